/* YAML in and out: libyaml's events, our table (docs/adr/0002-configuration.md). */
#include "common/base/text.h"
#include "common/config/rules.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#define FILE_MAX   (1024 * 1024) /* bytes of a configuration file */
#define PATH_BYTES 256           /* of a dotted key, known or not */
#define DEPTH_MAX  4             /* mappings in one another */
#define NOT_LINES  "must hold KEY: VALUE lines"

struct load {
	struct tr_config *cfg;
	struct cfg_origins *origins; /* may be NULL */
	struct cfg_error *err;
	const char *name;
	char path[PATH_BYTES]; /* dotted key so far */
	size_t path_len;
	size_t saved[DEPTH_MAX]; /* path_len outside each open mapping */
	unsigned depth;          /* open mappings */
	bool have_key;           /* path ends with a key that waits for its value */
	bool have_document;
	uint32_t seen[CFG_NSETTINGS]; /* line of each key in this file, 0: not yet */
};

/* Refusal at a line, about the key so far (key true) or about the file. */
static int refuse(struct load *l, const yaml_mark_t *mark, bool key, const char *rule)
{
	return cfg_fail(l->err, l->name, (unsigned)mark->line + 1, key && l->path_len > 0 ? l->path : NULL, l->path_len,
			"%s", rule);
}

/* Adds one key to the dotted path. */
static int push_key(struct load *l, const yaml_mark_t *mark, const char *p, size_t n)
{
	size_t dot = l->path_len > 0;

	if (n == 0 || n + dot >= sizeof(l->path) - l->path_len)
		return refuse(l, mark, true, n == 0 ? "a key is empty" : "there is no such setting");
	if (dot)
		l->path[l->path_len++] = '.';
	memcpy(l->path + l->path_len, p, n);
	l->path_len += n;
	l->have_key = true;
	return 0;
}

static void pop_key(struct load *l)
{
	l->path_len = l->depth > 0 ? l->saved[l->depth - 1] : 0;
	l->have_key = false;
}

static int on_value(struct load *l, const yaml_mark_t *mark, const char *p, size_t n)
{
	int row = cfg_find(l->path, l->path_len);
	unsigned line = (unsigned)mark->line + 1;
	char rule[CFG_RULE_MAX];

	if (row < 0)
		return cfg_fail_unknown(l->err, l->name, line, l->path, l->path_len);
	if (l->seen[row] != 0)
		return cfg_fail(l->err, l->name, line, l->path, l->path_len, "is given twice, first on line %u",
				l->seen[row]);
	if (cfg_value_parse(l->cfg, row, p, n, rule) < 0)
		return refuse(l, mark, true, rule);
	l->seen[row] = line;
	if (l->origins != NULL) {
		l->origins->of[row] = CFG_FILE;
		l->origins->line[row] = line;
	}
	pop_key(l);
	return 0;
}

static int on_scalar(struct load *l, const yaml_event_t *e)
{
	const char *p = (const char *)e->data.scalar.value;
	size_t n = e->data.scalar.length;

	if (e->data.scalar.anchor != NULL || e->data.scalar.tag != NULL)
		return refuse(l, &e->start_mark, true, "anchors and tags are not used here");
	if (l->depth == 0) /* "---" and nothing behind it is an empty document */
		return n == 0 ? 0 : refuse(l, &e->start_mark, false, NOT_LINES);
	if (!l->have_key)
		return push_key(l, &e->start_mark, p, n);
	return on_value(l, &e->start_mark, p, n);
}

static int on_mapping(struct load *l, const yaml_event_t *e)
{
	if (e->data.mapping_start.anchor != NULL || e->data.mapping_start.tag != NULL)
		return refuse(l, &e->start_mark, true, "anchors and tags are not used here");
	if (l->depth > 0 && !l->have_key)
		return refuse(l, &e->start_mark, true, "a key must be plain text");
	if (cfg_find(l->path, l->path_len) >= 0)
		return refuse(l, &e->start_mark, true, "takes one value, not a mapping");
	if (l->depth == DEPTH_MAX)
		return refuse(l, &e->start_mark, true, "is nested too deep");
	l->saved[l->depth++] = l->path_len;
	l->have_key = false;
	return 0;
}

static void on_mapping_end(struct load *l)
{
	l->depth--;
	pop_key(l); /* the key whose value this mapping was */
}

static int on_event(struct load *l, const yaml_event_t *e)
{
	switch (e->type) {
	case YAML_DOCUMENT_START_EVENT:
		if (l->have_document)
			return refuse(l, &e->start_mark, false, "a second document is not used here");
		l->have_document = true;
		return 0;
	case YAML_SCALAR_EVENT:
		return on_scalar(l, e);
	case YAML_MAPPING_START_EVENT:
		return on_mapping(l, e);
	case YAML_MAPPING_END_EVENT:
		on_mapping_end(l);
		return 0;
	case YAML_SEQUENCE_START_EVENT:
		if (l->depth == 0)
			return refuse(l, &e->start_mark, false, NOT_LINES);
		return refuse(l, &e->start_mark, true, "takes one value, not a list");
	case YAML_ALIAS_EVENT:
		return refuse(l, &e->start_mark, true, "aliases are not used here");
	default:
		return 0;
	}
}

/* The line, from 1, on which byte `at` of the text lies. */
static unsigned line_of(const char *text, size_t n, size_t at)
{
	unsigned line = 1;

	for (size_t i = 0; i < n && i < at; i++)
		line += text[i] == '\n' || (text[i] == '\r' && (i + 1 == n || text[i + 1] != '\n'));
	return line;
}

static int syntax_error(struct load *l, const yaml_parser_t *y, const char *text, size_t n)
{
	char rule[CFG_RULE_MAX];

	if (y->error == YAML_MEMORY_ERROR)
		return cfg_fail(l->err, l->name, 0, NULL, 0, "%s", tr_strerror(TR_ENOMEM));
	(void)snprintf(rule, sizeof(rule), "is not YAML: %s", y->problem == NULL ? "cannot be parsed" : y->problem);
	if (y->error == YAML_READER_ERROR) /* bad UTF-8 and control characters: libyaml knows the byte, not the line */
		return cfg_fail(l->err, l->name, line_of(text, n, y->problem_offset), NULL, 0, "%s", rule);
	return refuse(l, &y->problem_mark, true, rule);
}

int cfg_load_text(struct tr_config *cfg, struct cfg_origins *origins, const char *text, size_t n, const char *name,
		  struct cfg_error *err)
{
	struct load l = {.cfg = cfg, .origins = origins, .err = err, .name = name};
	yaml_event_type_t type = YAML_NO_EVENT;
	yaml_parser_t y;
	yaml_event_t e;
	int r = 0;

	if (yaml_parser_initialize(&y) == 0)
		return cfg_fail(err, name, 0, NULL, 0, "%s", tr_strerror(TR_ENOMEM));
	yaml_parser_set_encoding(&y, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&y, (const unsigned char *)text, n);
	if (origins != NULL) /* its end says more than its start */
		tr_copy(origins->file, sizeof(origins->file),
			name + (strlen(name) < sizeof(origins->file) ? 0 : strlen(name) - sizeof(origins->file) + 1),
			strlen(name));
	while (r == 0 && type != YAML_STREAM_END_EVENT) {
		if (yaml_parser_parse(&y, &e) == 0) {
			r = syntax_error(&l, &y, text, n);
			break;
		}
		type = e.type;
		r = on_event(&l, &e);
		yaml_event_delete(&e);
	}
	yaml_parser_delete(&y);
	return r;
}

int cfg_load_file(struct tr_config *cfg, struct cfg_origins *origins, const char *path, struct cfg_error *err)
{
	char *text = malloc(FILE_MAX + 1);
	FILE *f = NULL;
	size_t n;
	int r;

	if (text == NULL)
		return cfg_fail(err, path, 0, NULL, 0, "%s", tr_strerror(TR_ENOMEM));
	if ((f = fopen(path, "re")) == NULL) {
		r = cfg_fail(err, path, 0, NULL, 0, "%s", tr_strerror(-errno));
		goto out;
	}
	n = fread(text, 1, FILE_MAX + 1, f);
	if (ferror(f)) /* a directory, a bad disk */
		r = cfg_fail(err, path, 0, NULL, 0, "%s", tr_strerror(-errno));
	else if (n > FILE_MAX)
		r = cfg_fail(err, path, 0, NULL, 0, "must be at most %d bytes long", FILE_MAX);
	else
		r = cfg_load_text(cfg, origins, text, n, path, err);
out:
	if (f != NULL)
		(void)fclose(f);
	free(text);
	return r;
}

/* What libyaml takes inside double quotes as it is, on one line. */
static bool plain(uint32_t c)
{
	return (c >= 0x20 && c < 0x7f && c != '"' && c != '\\') ||
	       (c >= 0xa0 && c < 0xd800 && c != 0x2028 && c != 0x2029) || (c >= 0xe000 && c < 0xfffe && c != 0xfeff) ||
	       c >= 0x10000;
}

/* text is valid UTF-8 (cfg_value_parse saw to that). */
static void put_quoted(struct buf *out, const char *text)
{
	(void)buf_puts(out, "\"");
	while (*text != '\0') {
		unsigned char c = (unsigned char)*text;
		size_t len = c < 0x80 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
		uint32_t cp = len == 1 ? c : c & (0x7fu >> len);

		for (size_t i = 1; i < len; i++)
			cp = cp << 6 | ((unsigned char)text[i] & 0x3fu);
		if (plain(cp))
			(void)buf_append(out, text, len);
		else
			(void)buf_printf(out, "\\u%04x",
					 (unsigned)cp); /* only code points below 0x10000 are not plain */
		text += len;
	}
	(void)buf_puts(out, "\"");
}

int cfg_dump(const struct tr_config *cfg, const struct cfg_origins *origins, struct buf *out)
{
	struct buf value = {0};

	for (int i = 0; i < CFG_NSETTINGS; i++) {
		buf_clear(&value);
		if ((origins == NULL ? cfg_value_print(cfg, i, &value) : cfg_value_show(cfg, i, &value)) < 0)
			break;
		(void)buf_printf(out, "%s: ", cfg_table[i].key);
		if (cfg_table[i].type == CFG_TYPE_str || cfg_table[i].type == CFG_TYPE_roles)
			put_quoted(out, value.p == NULL ? "" : value.p);
		else
			(void)buf_puts(out, value.p);
		if (origins != NULL)
			(void)buf_printf(out, " # %s: %s", cfg_origin_word(origins->of[i]), cfg_table[i].doc);
		(void)buf_puts(out, "\n");
	}
	if (value.failed != 0 && out->failed == 0)
		out->failed = value.failed;
	buf_free(&value);
	return out->failed;
}
