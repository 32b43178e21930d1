#include "common/base/text.h"
#include "proto/json/json.h"
#include "supervisor/ctl/clean.h"
#include "supervisor/ctl/import.h"
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define LIST_MAX   200
#define PREFIX_MIN 6

static void show_imports(struct buf *out, const struct show_style *s, const void *res)
{
	const struct list_import *all = &((const struct res_memory_imports *)res)->imports;

	if (all->n == 0)
		(void)buf_puts(out, "no import yet\n");
	for (uint32_t i = 0; i < all->n; i++) {
		const struct item_import *m = &all->v[i];
		char at[SHOW_SHORT], added[SHOW_SHORT], known[SHOW_SHORT], skipped[SHOW_SHORT];

		show_time(at, m->started);
		show_count(added, m->added);
		show_count(known, m->known);
		show_count(skipped, m->skipped);
		clean_text(out, m->id.p, m->id.n, " ", 0);
		(void)buf_printf(out, "  %s  ", at);
		if (m->has_undone)
			show_paint(out, s, SHOW_DIM, "undone");
		else if (m->has_finished)
			show_paint(out, s, SHOW_GOOD, "done  ");
		else
			show_paint(out, s, SHOW_WARN, "%4.0f %%",
				   m->size > 0 ? 100.0 * (double)m->position / (double)m->size : 100.0);
		(void)buf_printf(out, "  %10s remembered, %s known, %s skipped  ", added, known, skipped);
		clean_text(out, m->name.p, m->name.n, " ", 60);
		(void)buf_puts(out, "\n");
	}
}

enum ctl_exit import_list(struct ctl *c)
{
	const struct msg_memory_imports msg = {.has_limit = true, .limit = LIST_MAX};

	return ctl_ask(c, MSG_memory_imports, &msg, show_imports);
}

/* ---- undo ---- */

struct found {
	const char *want;
	unsigned n; /* that begin with it; an equal one counts alone */
	bool exact;
	char id[WIRE_ID_MAX + 1], name[WIRE_NAME_MAX + 1];
	uint64_t added;
};

static void on_imports(void *arg, const void *res)
{
	const struct list_import *all = &((const struct res_memory_imports *)res)->imports;
	struct found *f = arg;
	size_t n = strlen(f->want);

	for (uint32_t i = 0; i < all->n && !f->exact; i++) {
		const struct item_import *m = &all->v[i];

		f->exact = m->id.n == n && memcmp(m->id.p, f->want, n) == 0;
		if (!f->exact && (n < PREFIX_MIN || m->id.n < n || memcmp(m->id.p, f->want, n) != 0))
			continue;
		f->n = f->exact ? 1 : f->n + 1;
		f->added = m->added;
		tr_copy(f->id, sizeof(f->id), m->id.p, m->id.n);
		tr_copy(f->name, sizeof(f->name), m->name.p, m->name.n);
	}
}

static enum ctl_exit find(struct ctl *c, struct found *f)
{
	const struct msg_memory_imports msg = {.has_limit = true, .limit = LIST_MAX};
	struct tr_fault fault;
	int r = ctl_call(c, MSG_memory_imports, &msg, on_imports, f, &fault);

	if (r < 0)
		return ctl_complain(c, r, &fault);
	if (f->n == 1)
		return CTL_DONE;
	ctl_say(c,
		f->n == 0 ? "there is no import %.128s; see tribectl import --list"
			  : "more than one import begins with %.128s; see tribectl import --list",
		f->want);
	return f->n == 0 ? CTL_FAILED : CTL_USAGE;
}

/* Asks whoever sits there. Where nobody does, --yes has to say it. */
static enum ctl_exit confirm(struct ctl *c, const struct found *f)
{
	struct buf b = {.max = 0};
	char added[SHOW_SHORT], answer[16];

	if (!isatty(STDIN_FILENO) || !isatty(STDERR_FILENO)) {
		ctl_say(c, "--undo wants --yes where nobody can be asked");
		return CTL_USAGE;
	}
	show_count(added, f->added);
	(void)buf_printf(&b, "Delete up to %s memories that the import of ", added);
	clean_text(&b, f->name, strlen(f->name), " ", 60);
	(void)buf_puts(&b, " added? Sacred ones stay. [y/N] ");
	if (b.failed == 0)
		(void)fwrite(b.p, 1, b.len, stderr);
	buf_free(&b);
	if (fgets(answer, sizeof(answer), stdin) != NULL && (answer[0] == 'y' || answer[0] == 'Y'))
		return CTL_DONE;
	ctl_say(c, "nothing was deleted");
	return CTL_FAILED;
}

struct undone {
	uint64_t removed, kept;
	bool more;
};

static void on_undone(void *arg, const void *res)
{
	const struct res_memory_import_undo *r = res;
	struct undone *u = arg;

	u->removed += r->removed;
	u->kept = r->kept;
	u->more = r->more;
}

static enum ctl_exit report(struct ctl *c, const struct found *f, const struct undone *u)
{
	struct buf out = {.max = 0};
	char removed[SHOW_SHORT], kept[SHOW_SHORT];
	enum ctl_exit e;
	json_t *doc;

	if (c->json) {
		doc = json_pack("{s:s, s:I, s:I}", "id", f->id, "removed", (json_int_t)u->removed, "kept",
				(json_int_t)u->kept);
		if (doc == NULL || json_print(doc, &out) < 0)
			out.failed = TR_ENOMEM;
		json_decref(doc);
		(void)buf_puts(&out, "\n");
	} else {
		show_count(removed, u->removed);
		show_count(kept, u->kept);
		(void)buf_printf(&out, "%s memories deleted", removed);
		if (u->kept > 0)
			(void)buf_printf(&out, "; %s sacred one%s stayed", kept, u->kept == 1 ? "" : "s");
		(void)buf_puts(&out, "\n");
	}
	e = ctl_emit(c, &out);
	buf_free(&out);
	return e;
}

enum ctl_exit import_undo(struct ctl *c, const char *id, bool yes)
{
	struct found f = {.want = id};
	struct undone u = {.more = true};
	enum ctl_exit e = find(c, &f);
	struct tr_fault fault;

	if (e == CTL_DONE && !yes)
		e = confirm(c, &f);
	while (e == CTL_DONE && u.more) {
		struct msg_memory_import_undo msg = {.id = wire_s(f.id)};
		char request[TR_ID_LEN]; /* sent again to a successor it counts once */
		int r;

		tr_id_new(request);
		msg.common.has_request_id = true;
		msg.common.request_id = wire_s(request);
		r = ctl_call(c, MSG_memory_import_undo, &msg, on_undone, &u, &fault);
		if (r < 0)
			e = ctl_complain(c, r, &fault);
		else if (c->progress && u.more)
			(void)fprintf(stderr, "\r\x1b[K%" PRIu64 " deleted", u.removed);
	}
	if (c->progress)
		(void)fputs("\r\x1b[K", stderr);
	return e == CTL_DONE ? report(c, &f, &u) : e;
}
