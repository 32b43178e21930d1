/* Every setting: of the tribe that answers, else what a start would read. */
#include "common/base/text.h"
#include "proto/json/json.h"
#include "supervisor/ctl/clean.h"
#include "supervisor/ctl/commands.h"
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One setting as it is shown; borrowed. */
struct shown {
	const char *key, *value, *origin, *file;
	const char *configured, *needs; /* NULL: no difference */
	uint32_t line;                  /* 0: not from a file */
	bool known;                     /* row is filled: a newer tribed may have settings that we have not */
	struct cfg_setting row;
};
/* Of all of them. */
struct view {
	const struct ctl *c;
	struct buf out;
	json_t *list;                                  /* NULL: for a person */
	const char *shows, *file, *state, *file_error; /* shows: "running" or "start"; the others may be NULL */
	const char *why;                               /* of a start, for a person */
	uint32_t pid;                                  /* 0: of a start */
};

static void put_range(struct buf *out, const struct cfg_setting *s)
{
	if (strcmp(s->type, "u32") == 0)
		(void)buf_printf(out, "a whole number from %.0f to %.0f", s->min, s->max);
	else if (strcmp(s->type, "bool") == 0)
		(void)buf_puts(out, "true or false");
	else if (strcmp(s->type, "roles") == 0)
		(void)buf_puts(out, "a number for each role, such as memory=1,executive=1");
	else
		(void)buf_printf(out, "text of %.0f to %.0f bytes", s->min, s->max);
}

static json_t *typed(const char *type, const char *text)
{
	if (strcmp(type, "u32") == 0)
		return json_integer((json_int_t)strtoul(text, NULL, 10));
	if (strcmp(type, "bool") == 0)
		return json_boolean(strcmp(text, "true") == 0);
	return json_string(text);
}

static void put_json(struct view *v, const struct shown *s)
{
	const char *type = s->known ? s->row.type : "";
	json_t *j = json_pack("{s:s, s:o, s:s}", "key", s->key, "value", typed(type, s->value), "origin", s->origin);

	if (j != NULL && s->known) {
		(void)json_object_set_new(j, "default", typed(type, s->row.def));
		(void)json_object_set_new(j, "type", json_string(type));
		(void)json_object_set_new(j, "meaning", json_string(s->row.doc));
	}
	if (j != NULL && s->line > 0) {
		(void)json_object_set_new(j, "file", json_string(s->file));
		(void)json_object_set_new(j, "line", json_integer(s->line));
	}
	if (j != NULL && s->known && s->row.max > 0) {
		(void)json_object_set_new(j, "min", json_integer((json_int_t)s->row.min));
		(void)json_object_set_new(j, "max", json_integer((json_int_t)s->row.max));
	}
	if (j != NULL && s->needs != NULL) {
		(void)json_object_set_new(j, "configured", typed(type, s->configured));
		(void)json_object_set_new(j, "needs", json_string(s->needs));
	}
	if (json_array_append_new(v->list, j) < 0)
		v->out.failed = TR_ENOMEM;
}

static void put_text(struct view *v, const struct shown *s)
{
	const struct show_style *style = &v->c->style;
	bool changed = strcmp(s->origin, cfg_origin_word(CFG_DEFAULT)) != 0;
	struct buf *out = &v->out;

	show_paint(out, style, SHOW_BOLD, "%s", s->key);
	(void)buf_puts(out, " = ");
	clean_text(out, s->value, strlen(s->value), " ", 0);
	if (s->value[0] == '\0')
		show_paint(out, style, SHOW_DIM, "(empty)");
	(void)buf_puts(out, "\n    from: ");
	show_paint(out, style, changed ? SHOW_GOOD : SHOW_DIM, "%s", s->origin);
	if (s->line > 0)
		(void)buf_printf(out, " %s:%u", s->file, s->line);
	if (changed && s->known)
		(void)buf_printf(out, " (default: %s)", s->row.def[0] == '\0' ? "empty" : s->row.def);
	if (s->needs != NULL) {
		(void)buf_puts(out, "\n    ");
		show_paint(out, style, SHOW_WARN, "needs a %s to become: ", s->needs);
		clean_text(out, s->configured, strlen(s->configured), " ", 0);
		(void)buf_puts(out, s->configured[0] == '\0' ? "(empty)" : "");
	}
	if (s->known) {
		(void)buf_printf(out, "\n    %s\n    ", s->row.doc);
		put_range(out, &s->row);
	}
	(void)buf_puts(out, "\n");
}

static void put(struct view *v, const struct shown *s)
{
	if (v->list != NULL)
		put_json(v, s);
	else
		put_text(v, s);
}

static void head(struct view *v)
{
	const struct show_style *style = &v->c->style;

	if (v->list != NULL)
		return;
	if (v->pid != 0)
		show_paint(&v->out, style, SHOW_DIM, "In force in the tribe in %s (tribed is pid %u).",
			   v->c->paths.runtime, v->pid);
	else
		show_paint(&v->out, style, SHOW_DIM, "What a start would read; %s.", v->why);
	(void)buf_puts(&v->out, "\n");
	if (v->file_error == NULL)
		return;
	show_paint(&v->out, style, SHOW_BAD, "Its configuration is wrong by now: ");
	clean_text(&v->out, v->file_error, strlen(v->file_error), " ", 0);
	(void)buf_puts(&v->out, "\n");
}

static int finish_json(struct view *v)
{
	json_t *doc =
		json_pack("{s:s, s:s*, s:s*, s:s, s:s*, s:O}", "shows", v->shows, "file", v->file, "state", v->state,
			  "runtime", v->c->paths.runtime, "file_error", v->file_error, "settings", v->list);
	int r = doc == NULL ? TR_ENOMEM : 0;

	if (r == 0 && v->pid != 0)
		(void)json_object_set_new(doc, "pid", json_integer(v->pid));
	if (r == 0 && (r = json_print(doc, &v->out)) == 0)
		r = buf_puts(&v->out, "\n");
	json_decref(doc);
	return r;
}

/* ---- of a running tribe ---- */

/* A string of the answer, as one of C. The copies live until the process ends its command. */
struct copies {
	char *v[4 * 64 + 8];
	unsigned n;
};

static const char *copy(struct copies *k, wire_str s)
{
	char *p = k->n < sizeof(k->v) / sizeof(k->v[0]) ? strndup(s.n == 0 ? "" : s.p, s.n) : NULL;

	if (p == NULL)
		return "";
	return k->v[k->n++] = p;
}

static void find_row(struct shown *s)
{
	for (unsigned i = 0; !s->known && cfg_setting_at(i, &s->row); i++)
		s->known = strcmp(s->row.key, s->key) == 0;
}

static void on_config(void *arg, const void *msg)
{
	const struct res_config *res = msg;
	struct copies k = {.n = 0};
	struct view *v = arg;

	v->shows = "running";
	v->pid = res->pid;
	v->file = res->has_file ? copy(&k, res->file) : NULL;
	v->state = res->has_state ? copy(&k, res->state) : NULL;
	v->file_error = res->has_file_error ? copy(&k, res->file_error) : NULL;
	head(v);
	for (uint32_t i = 0; i < res->settings.n; i++) {
		const struct item_setting *in = &res->settings.v[i];
		struct shown s = {.key = copy(&k, in->key),
				  .value = copy(&k, in->value),
				  .origin = copy(&k, in->origin),
				  .file = v->file == NULL ? "" : v->file,
				  .line = in->has_line ? in->line : 0};

		if (in->has_configured && in->has_needs) {
			s.configured = copy(&k, in->configured);
			s.needs = copy(&k, in->needs);
		}
		find_row(&s);
		put(v, &s);
	}
	if (v->list != NULL && finish_json(v) < 0)
		v->out.failed = TR_ENOMEM;
	for (unsigned i = 0; i < k.n; i++)
		free(k.v[i]);
}

/* ---- of a start ---- */

static void show_start(struct view *v)
{
	const struct ctl *c = v->c;
	struct buf value = {.max = 0};
	struct shown s = {.known = true};

	v->shows = "start";
	v->file = c->paths.config[0] == '\0' ? NULL : c->paths.config;
	v->state = c->paths.state;
	head(v);
	for (unsigned i = 0; cfg_setting_at(i, &s.row); i++) {
		buf_clear(&value);
		if (cfg_value_show(&c->cfg, (int)i, &value) < 0)
			v->out.failed = value.failed;
		s.key = s.row.key;
		s.value = value.p == NULL ? "" : value.p;
		s.origin = cfg_origin_word(c->origins.of[i]);
		s.file = c->origins.file;
		s.line = c->origins.of[i] == CFG_FILE ? c->origins.line[i] : 0;
		put(v, &s);
	}
	if (v->list != NULL && finish_json(v) < 0)
		v->out.failed = TR_ENOMEM;
	buf_free(&value);
}

/* Why a call failed, where that is no reason to fail; NULL: it is. */
static const char *forgiven(int r)
{
	if (r == UV_ENOENT || r == UV_ECONNREFUSED || r == UV_ENOTDIR)
		return "no tribe answers here";
	if (r == UV_EACCES || r == UV_EPERM || r == TR_EREFUSED)
		return "the tribe here belongs to somebody else";
	return r == TR_EMETHOD ? "the tribe here is of an older version and does not tell" : NULL;
}

enum ctl_exit cmd_config(struct ctl *c, const struct ctl_args *a)
{
	struct view v = {.c = c, .list = c->json ? json_array() : NULL, .why = "--config or --set was given"};
	struct msg_config msg = {.common = {.has_request_id = false}};
	enum ctl_exit e = CTL_DONE;
	struct tr_fault fault;
	int r = TR_EMETHOD;

	if (!ctl_flag(a, "config") && !ctl_flag(a, "set")) {
		r = ctl_call(c, MSG_config, &msg, on_config, &v, &fault);
		v.why = r < 0 ? forgiven(r) : NULL;
		if (r < 0 && v.why == NULL)
			e = ctl_complain(c, r, &fault);
	}
	if (e == CTL_DONE && r < 0 && c->cfg_error.text[0] != '\0') {
		(void)fprintf(stderr, "tribectl: %s\n", c->cfg_error.text);
		e = CTL_USAGE;
	} else if (e == CTL_DONE && r < 0) {
		show_start(&v);
	}
	if (e == CTL_DONE)
		e = ctl_emit(c, &v.out);
	json_decref(v.list);
	buf_free(&v.out);
	return e;
}
