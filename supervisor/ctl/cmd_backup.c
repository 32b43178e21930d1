/* The archive in one file: memory-jr makes it below the state directory, from here it goes to its place. */
#include "common/base/clock.h"
#include "supervisor/ctl/backup.h"
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

static enum ctl_exit report(const struct bwork *w, const char *path, uint64_t began_ms)
{
	double seconds = (double)(tr_mono_ms() - began_ms) / 1e3;
	char count[SHOW_SHORT], bytes[SHOW_SHORT];
	struct buf out = {.max = 0};
	enum ctl_exit e;
	json_t *doc;

	if (w->c->json) {
		doc = backup_json(path, &w->backup);
		if (doc != NULL)
			(void)json_object_set_new(doc, "seconds", json_real(seconds));
		return backup_print(w->c, doc);
	}
	show_count(count, w->backup.item.memories);
	show_bytes(bytes, w->backup.item.bytes);
	(void)buf_printf(&out, "%s memor%s, %s, in %.1f s: %s\n", count, w->backup.item.memories == 1 ? "y" : "ies",
			 bytes, seconds, path);
	e = ctl_emit(w->c, &out);
	buf_free(&out);
	return e;
}

enum ctl_exit cmd_backup(struct ctl *c, const struct ctl_args *a)
{
	const char *target = a->noperands == 0 ? NULL : a->operands[0];
	bool to_stdout = target != NULL && strcmp(target, "-") == 0;
	struct bwork *w = calloc(1, sizeof(*w));
	struct msg_memory_backup msg = {.has_sql = ctl_flag(a, "sql"), .sql = ctl_flag(a, "sql")};
	uint64_t began_ms = tr_mono_ms();
	char path[CTL_PATH_MAX];
	enum ctl_exit e;

	if (w == NULL)
		return CTL_INTERNAL;
	bwork_init(w, c);
	msg.work = wire_s(w->id);
	if ((e = ctl_catch(c)) != CTL_DONE || (e = bwork_begin(w, MSG_memory_backup, &msg)) != CTL_DONE)
		goto out;
	if ((e = bwork_wait(w)) != CTL_DONE) {
		if (w->finished)
			ctl_say(c, "%s", w->reason);
		goto out;
	}
	if (!w->has_backup) {
		ctl_say(c, "memory-jr speaks of a backup that this tribectl does not understand");
		e = CTL_INTERNAL;
	} else if (to_stdout) {
		e = part_to_stdout(w);
	} else if ((e = backup_place(c, target, &w->backup, path)) == CTL_DONE &&
		   (e = part_take(w, path)) == CTL_DONE) {
		e = report(w, path, began_ms);
	}
out:
	bwork_end(w);
	free(w);
	return e;
}
