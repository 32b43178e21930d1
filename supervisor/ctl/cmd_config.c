#include "proto/json/json.h"
#include "supervisor/ctl/clean.h"
#include "supervisor/ctl/commands.h"
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const origins[] = {
	[CFG_DEFAULT] = "default", [CFG_FILE] = "file", [CFG_COMMAND_LINE] = "command line"};

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

static json_t *setting_json(const struct ctl *c, unsigned i, const struct cfg_setting *s, const char *value)
{
	json_t *j = json_pack("{s:s, s:o, s:s, s:o, s:s, s:s}", "key", s->key, "value", typed(s->type, value), "origin",
			      origins[c->origins.of[i]], "default", typed(s->type, s->def), "type", s->type, "meaning",
			      s->doc);

	if (j != NULL && c->origins.of[i] == CFG_FILE) {
		(void)json_object_set_new(j, "file", json_string(c->origins.file));
		(void)json_object_set_new(j, "line", json_integer(c->origins.line[i]));
	}
	if (j != NULL && s->max > 0) {
		(void)json_object_set_new(j, "min", json_integer((json_int_t)s->min));
		(void)json_object_set_new(j, "max", json_integer((json_int_t)s->max));
	}
	return j;
}

static void setting_text(const struct ctl *c, struct buf *out, unsigned i, const struct cfg_setting *s,
			 const char *value)
{
	bool changed = c->origins.of[i] != CFG_DEFAULT;

	show_paint(out, &c->style, SHOW_BOLD, "%s", s->key);
	(void)buf_puts(out, " = ");
	clean_text(out, value, strlen(value), " ", 0);
	if (value[0] == '\0')
		show_paint(out, &c->style, SHOW_DIM, "(empty)");
	(void)buf_puts(out, "\n    from: ");
	show_paint(out, &c->style, changed ? SHOW_GOOD : SHOW_DIM, "%s", origins[c->origins.of[i]]);
	if (c->origins.of[i] == CFG_FILE)
		(void)buf_printf(out, " %s:%u", c->origins.file, c->origins.line[i]);
	if (changed)
		(void)buf_printf(out, " (default: %s)", s->def[0] == '\0' ? "empty" : s->def);
	(void)buf_printf(out, "\n    %s\n    ", s->doc);
	put_range(out, s);
	(void)buf_puts(out, "\n");
}

enum ctl_exit cmd_config(struct ctl *c, const struct ctl_args *a)
{
	struct buf out = {.max = 0}, value = {.max = 0};
	json_t *list = c->json ? json_array() : NULL, *doc = NULL;
	struct cfg_setting s;
	enum ctl_exit e;

	(void)a;
	for (unsigned i = 0; cfg_setting_at(i, &s); i++) {
		buf_clear(&value);
		if (cfg_value_print(&c->cfg, (int)i, &value) < 0)
			out.failed = value.failed;
		if (c->json)
			(void)json_array_append_new(list, setting_json(c, i, &s, value.p == NULL ? "" : value.p));
		else
			setting_text(c, &out, i, &s, value.p == NULL ? "" : value.p);
	}
	if (c->json) {
		doc = json_pack("{s:s*, s:s, s:s, s:o}", "file", c->paths.config[0] == '\0' ? NULL : c->paths.config,
				"state", c->paths.state, "runtime", c->paths.runtime, "settings", list);
		if (doc == NULL || json_print(doc, &out) < 0 || buf_puts(&out, "\n") < 0)
			out.failed = TR_ENOMEM;
		json_decref(doc);
	}
	e = ctl_emit(c, &out);
	buf_free(&value);
	buf_free(&out);
	return e;
}
