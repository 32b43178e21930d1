#include "proto/json/json.h"
#include "supervisor/ctl/clean.h"
#include "supervisor/ctl/commands.h"
#include "supervisor/ctl/doctor.h"
#include <assert.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const levels[] = {[DOCTOR_OK] = "ok", [DOCTOR_WARN] = "warn", [DOCTOR_FAIL] = "fail"};

void doctor_add(struct doctor *d, const char *group, const char *check, enum doctor_level level, const char *degrades,
		const char *fmt, ...)
{
	struct finding *f = &d->v[d->n];
	va_list ap;

	assert(d->n < DOCTOR_MAX);
	d->n++;
	*f = (struct finding){.group = group, .check = check, .level = level};
	va_start(ap, fmt);
	(void)vsnprintf(f->value, sizeof(f->value), fmt, ap);
	va_end(ap);
	if (level != DOCTOR_OK)
		(void)snprintf(f->degrades, sizeof(f->degrades), "%s", degrades);
}

static void count(const struct doctor *d, unsigned of[3])
{
	of[DOCTOR_OK] = of[DOCTOR_WARN] = of[DOCTOR_FAIL] = 0;
	for (unsigned i = 0; i < d->n; i++)
		of[d->v[i].level]++;
}

static void report_text(const struct doctor *d, struct buf *out)
{
	static const enum show_colour colours[] = {SHOW_GOOD, SHOW_WARN, SHOW_BAD};
	const struct show_style *s = &d->c->style;
	unsigned of[3];

	for (unsigned i = 0; i < d->n; i++) {
		const struct finding *f = &d->v[i];

		if (i == 0 || strcmp(f->group, d->v[i - 1].group) != 0) {
			show_paint(out, s, SHOW_BOLD, "%s%s", i == 0 ? "" : "\n", f->group);
			(void)buf_puts(out, "\n");
		}
		(void)buf_puts(out, "  ");
		show_paint(out, s, colours[f->level], "%-4s", levels[f->level]);
		(void)buf_printf(out, "  %s: ", f->check);
		clean_text(out, f->value, strlen(f->value), " ", 0);
		if (f->degrades[0] != '\0')
			(void)buf_printf(out, "\n        %s", f->degrades);
		(void)buf_puts(out, "\n");
	}
	count(d, of);
	(void)buf_printf(out, "\n%u ok, %u to know about, %u failed\n", of[DOCTOR_OK], of[DOCTOR_WARN],
			 of[DOCTOR_FAIL]);
}

static int report_json(const struct doctor *d, struct buf *out)
{
	json_t *list = json_array(), *doc;
	unsigned of[3];
	int r;

	for (unsigned i = 0; i < d->n; i++) {
		const struct finding *f = &d->v[i];
		json_t *j = json_pack("{s:s, s:s, s:s, s:s}", "group", f->group, "check", f->check, "level",
				      levels[f->level], "value", f->value);

		if (j != NULL && f->degrades[0] != '\0')
			(void)json_object_set_new(j, "degrades", json_string(f->degrades));
		(void)json_array_append_new(list, j);
	}
	count(d, of);
	doc = json_pack("{s:s, s:I, s:I, s:I, s:o}", "verdict",
			of[DOCTOR_FAIL] > 0   ? "fail"
			: of[DOCTOR_WARN] > 0 ? "warn"
					      : "ok",
			"ok", (json_int_t)of[DOCTOR_OK], "warn", (json_int_t)of[DOCTOR_WARN], "fail",
			(json_int_t)of[DOCTOR_FAIL], "checks", list);
	r = doc == NULL ? TR_ENOMEM : json_print(doc, out);
	json_decref(doc);
	return r < 0 ? r : buf_puts(out, "\n");
}

enum ctl_exit cmd_doctor(struct ctl *c, const struct ctl_args *a)
{
	struct doctor *d = calloc(1, sizeof(*d));
	struct buf out = {.max = 0};
	unsigned of[3];
	enum ctl_exit e;

	(void)a;
	if (d == NULL)
		return CTL_INTERNAL;
	d->c = c;
	doctor_tribe(d);
	doctor_files(d);
	doctor_disk(d);
	doctor_kernel(d);
	doctor_spawn(d);
	doctor_limits(d);
	doctor_clock(d);
	doctor_systemd(d);
	if (!c->json)
		report_text(d, &out);
	else if (report_json(d, &out) < 0)
		out.failed = TR_ENOMEM;
	count(d, of);
	e = ctl_emit(c, &out);
	buf_free(&out);
	free(d);
	return e == CTL_DONE && of[DOCTOR_FAIL] > 0 ? CTL_FAILED : e;
}
