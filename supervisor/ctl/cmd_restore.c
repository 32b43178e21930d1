/* verify-backup and restore: the file is checked byte by byte here and handed to memory-jr, which proves what is in it;
 * a restore then lets it take the archive's place. */
#include "common/base/clock.h"
#include "supervisor/ctl/backup.h"
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct given {
	const char *file;
	int fd, part;
	struct backup backup;
};

static enum ctl_exit one_file(const struct ctl *c, const struct ctl_args *a)
{
	if (a->noperands == 1)
		return CTL_DONE;
	ctl_say(c, a->noperands == 0 ? "which FILE?" : "one FILE only");
	return CTL_USAGE;
}

/* What is wrong with the file: for a person, and with --json as an answer too. */
static enum ctl_exit wrong(const struct ctl *c, const struct given *g, const char *field, const char *rule)
{
	json_t *doc;

	ctl_say(c, "%s: %s%s%s", g->file, field, field[0] != '\0' ? " " : "", rule);
	if (c->json && (doc = backup_json(g->file, NULL)) != NULL) {
		(void)json_object_set_new(doc, "ok", json_false());
		(void)json_object_set_new(doc, "reason",
					  json_sprintf("%s%s%s", field, field[0] != '\0' ? " " : "", rule));
		(void)backup_print(c, doc);
	}
	return CTL_FAILED;
}

static enum ctl_exit open_given(const struct ctl *c, struct given *g)
{
	struct tr_fault fault = {0};
	int r;

	if ((g->fd = open(g->file, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK)) < 0) {
		ctl_say(c, "%s: %s", g->file, strerror(errno));
		return errno == EACCES ? CTL_REFUSED : CTL_FAILED;
	}
	r = backup_read(&g->backup, g->fd, &fault);
	return r < 0 ? wrong(c, g, fault.field, fault.rule) : CTL_DONE;
}

/* Where memory-jr took it, nothing is there any more. */
static void drop_part(const struct bwork *w, struct given *g)
{
	char path[CTL_PATH_MAX];

	if (g->part >= 0) {
		part_path(w, path);
		(void)unlink(path);
		(void)close(g->part);
	}
	if (g->fd >= 0)
		(void)close(g->fd);
}

/* Its bytes against its manifest; copied on the way when there is a part. */
static enum ctl_exit check_bytes(const struct ctl *c, struct given *g)
{
	struct steps steps = {.c = c, .what = g->part >= 0 ? "copying in" : "reading", .bytes = true};
	struct tr_fault fault = {0};
	int r = backup_check(&g->backup, g->fd, g->part, steps_show, &steps, &fault);

	if (r == 0 && g->part >= 0 && fsync(g->part) < 0)
		r = tr_fault_set(&fault, -errno, "", "the copy cannot be written: %s", strerror(errno));
	steps_end(&steps);
	if (r == UV_ECANCELED)
		ctl_say(c, "interrupted");
	return r == 0 ? CTL_DONE : r == UV_ECANCELED ? CTL_FAILED : wrong(c, g, fault.field, fault.rule);
}

/* The file, its bytes proved, where memory-jr finds it: a database file as a part, of a dump the manifest in the
 * message. */
static enum ctl_exit hand_over(struct bwork *w, struct given *g)
{
	enum ctl_exit e = open_given(w->c, g);

	if (e == CTL_DONE && g->backup.kind == BACKUP_SQLITE)
		e = part_make(w, &g->part);
	return e != CTL_DONE ? e : check_bytes(w->c, g);
}

/* Until memory-jr has proved it (and, of a restore, put it in place), with pg_restore between where it is a dump. */
static enum ctl_exit see_through(struct bwork *w, struct given *g, bool go_on)
{
	enum ctl_exit e;

	w->go_on = go_on && g->backup.kind == BACKUP_SQLITE;
	if ((e = bwork_wait(w)) == CTL_DONE && w->turn && (e = dump_put(w, g->fd, &g->backup)) == CTL_DONE) {
		w->turn = false;
		w->go_on = true;
		e = bwork_wait(w);
	}
	return e == CTL_FAILED && w->finished ? wrong(w->c, g, "", w->reason) : e;
}

/* ---- verify-backup ---- */

static enum ctl_exit report_verified(const struct ctl *c, const struct given *g, bool content)
{
	char count[SHOW_SHORT], bytes[SHOW_SHORT], at[SHOW_SHORT];
	struct buf out = {.max = 0};
	enum ctl_exit e;
	json_t *doc;

	if (c->json) {
		doc = backup_json(g->file, &g->backup);
		if (doc != NULL) {
			(void)json_object_set_new(doc, "ok", content ? json_true() : json_null());
			(void)json_object_set_new(doc, "bytes_ok", json_true());
			(void)json_object_set_new(doc, "content_ok", content ? json_true() : json_null());
		}
		return backup_print(c, doc);
	}
	show_count(count, g->backup.item.memories);
	show_bytes(bytes, g->backup.item.bytes);
	show_time(at, g->backup.item.created);
	(void)buf_printf(&out, "%s: %s memor%s of %s, %s; %s\n", g->file, count,
			 g->backup.item.memories == 1 ? "y" : "ies", at, bytes,
			 content ? "bytes and content are what its manifest says"
				 : "its bytes are what its manifest says");
	e = ctl_emit(c, &out);
	buf_free(&out);
	return e;
}

/* Without a tribe only half can be said. */
static enum ctl_exit verify_alone(struct ctl *c, struct given *g)
{
	enum ctl_exit e = open_given(c, g);

	if (e != CTL_DONE || (e = check_bytes(c, g)) != CTL_DONE || (e = report_verified(c, g, false)) != CTL_DONE)
		return e;
	ctl_say(c, "what is in it was not checked: that needs a tribe, and none answers in %s", c->paths.runtime);
	return CTL_UNREACHABLE;
}

enum ctl_exit cmd_verify_backup(struct ctl *c, const struct ctl_args *a)
{
	struct given g = {.fd = -1, .part = -1};
	struct bwork *w = calloc(1, sizeof(*w));
	struct msg_memory_verify msg = {.common = {.has_request_id = false}};
	char socket[CTL_PATH_MAX];
	enum ctl_exit e;

	if (w == NULL)
		return CTL_INTERNAL;
	bwork_init(w, c);
	msg.work = wire_s(w->id);
	if ((e = one_file(c, a)) != CTL_DONE || (e = ctl_catch(c)) != CTL_DONE)
		goto out;
	g.file = a->operands[0];
	ctl_socket_path(c, TR_ROLE_MEMORY, socket);
	if (ctl_probe(socket) < 0) {
		e = verify_alone(c, &g);
	} else if ((e = hand_over(w, &g)) == CTL_DONE) {
		msg.has_backup = g.backup.kind != BACKUP_SQLITE;
		msg.backup = g.backup.item;
		if ((e = bwork_begin(w, MSG_memory_verify, &msg)) == CTL_DONE &&
		    (e = see_through(w, &g, false)) == CTL_DONE)
			e = report_verified(c, &g, true);
	}
out:
	drop_part(w, &g);
	bwork_end(w);
	free(w);
	return e;
}

/* ---- restore ---- */

static void on_recall(void *arg, const void *res)
{
	*(uint32_t *)arg = ((const struct res_memory_recall *)res)->memories.n;
}

static void on_thermal(void *arg, const void *res)
{
	*(uint64_t *)arg = ((const struct res_memory_thermal *)res)->total_memories;
}

/* The new memory-jr serves: a recall works, and at least the backup's memories are there. */
static enum ctl_exit await_service(struct ctl *c, uint64_t want, uint64_t *total)
{
	const struct msg_memory_recall recall = {.has_limit = true, .limit = 1, .has_touch = true, .touch = false};
	const struct msg_memory_thermal thermal = {.common = {.has_request_id = false}};
	struct tr_fault fault;
	uint32_t found = 0;
	int r;

	if ((r = ctl_call(c, MSG_memory_recall, &recall, on_recall, &found, &fault)) < 0 ||
	    (r = ctl_call(c, MSG_memory_thermal, &thermal, on_thermal, total, &fault)) < 0)
		return ctl_complain(c, r, &fault);
	if (*total >= want && (found > 0 || want == 0))
		return CTL_DONE;
	ctl_say(c, "%" PRIu64 " memories are served, the backup has %" PRIu64, *total, want);
	return CTL_FAILED;
}

static enum ctl_exit report_restored(const struct bwork *w, const char *file, uint64_t total, uint64_t began_ms)
{
	double seconds = (double)(tr_mono_ms() - began_ms) / 1e3;
	char count[SHOW_SHORT], at[SHOW_SHORT];
	struct buf out = {.max = 0};
	enum ctl_exit e;
	json_t *doc;

	if (w->c->json) {
		doc = backup_json(file == NULL ? "" : file, w->has_backup ? &w->backup : NULL);
		if (doc != NULL) {
			(void)json_object_set_new(doc, "ok", json_true());
			(void)json_object_set_new(doc, "kept", json_string(w->kept));
			(void)json_object_set_new(doc, "total_memories", json_integer((json_int_t)total));
			(void)json_object_set_new(doc, "seconds", json_real(seconds));
		}
		return backup_print(w->c, doc);
	}
	if (file != NULL && w->has_backup)
		total = w->backup.item.memories; /* not what came since it was put in place */
	show_count(count, total);
	if (file != NULL) {
		show_time(at, w->backup.item.created);
		(void)buf_printf(&out, "restored the archive of %s: %s memor%s, verified, in %.1f s\n", at, count,
				 total == 1 ? "y" : "ies", seconds);
	} else {
		(void)buf_printf(&out, "back to the archive of before the restore: %s memor%s\n", count,
				 total == 1 ? "y" : "ies");
	}
	(void)buf_printf(&out, "the archive it replaced is kept: %s\n", w->kept);
	if (file != NULL)
		(void)buf_puts(&out, "what was remembered after the backup is only there\n");
	e = ctl_emit(w->c, &out);
	buf_free(&out);
	return e;
}

static enum ctl_exit check_use(struct ctl *c, const struct ctl_args *a, bool undo)
{
	if (undo && a->noperands > 0) {
		ctl_say(c, "--undo goes back to the archive of before; it takes no FILE");
		return CTL_USAGE;
	}
	if (!undo && one_file(c, a) != CTL_DONE)
		return CTL_USAGE;
	if (c->dev || ctl_flag(a, "yes"))
		return CTL_DONE;
	ctl_say(c, "this puts another archive in the place of the one that is served (which is kept); outside --dev "
		   "say --yes");
	return CTL_USAGE;
}

static enum ctl_exit restore_file(struct bwork *w, struct given *g, struct msg_memory_switch *msg)
{
	enum ctl_exit e = hand_over(w, g);

	msg->has_backup = g->backup.kind != BACKUP_SQLITE;
	msg->backup = g->backup.item;
	if (e != CTL_DONE || (e = bwork_begin(w, MSG_memory_switch, msg)) != CTL_DONE)
		return e;
	return see_through(w, g, true);
}

static enum ctl_exit go_back(struct bwork *w, const struct msg_memory_switch *msg)
{
	enum ctl_exit e;

	w->go_on = true;
	if ((e = bwork_begin(w, MSG_memory_switch, msg)) == CTL_DONE && (e = bwork_wait(w)) == CTL_FAILED &&
	    w->finished)
		ctl_say(w->c, "%s", w->reason);
	return e;
}

enum ctl_exit cmd_restore(struct ctl *c, const struct ctl_args *a)
{
	bool undo = ctl_flag(a, "undo");
	struct msg_memory_switch msg = {.has_undo = undo, .undo = undo};
	struct given g = {.fd = -1, .part = -1};
	struct bwork *w = calloc(1, sizeof(*w));
	uint64_t began_ms = tr_mono_ms(), total = 0;
	enum ctl_exit e;

	if (w == NULL)
		return CTL_INTERNAL;
	bwork_init(w, c);
	msg.work = wire_s(w->id);
	if ((e = check_use(c, a, undo)) != CTL_DONE || (e = ctl_catch(c)) != CTL_DONE)
		goto out;
	g.file = undo ? NULL : a->operands[0];
	e = undo ? go_back(w, &msg) : restore_file(w, &g, &msg);
	if (e == CTL_DONE && (e = await_service(c, undo ? 0 : g.backup.item.memories, &total)) == CTL_DONE)
		e = report_restored(w, g.file, total, began_ms);
out:
	drop_part(w, &g);
	bwork_end(w);
	free(w);
	return e;
}
