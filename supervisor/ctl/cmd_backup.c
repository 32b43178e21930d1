/* The archive in one file: memory-jr makes it below the state directory, from here it goes to its place. */
#include "common/base/clock.h"
#include "supervisor/ctl/backup.h"
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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

struct wish {
	const char *target; /* as named; NULL: STATE/backups */
	bool to_stdout, sql;
};

/* memory-jr has made the file. */
static enum ctl_exit take_part(struct bwork *w, const struct wish *wish, char path[CTL_PATH_MAX])
{
	enum ctl_exit e;

	if (!w->has_backup) {
		ctl_say(w->c, "memory-jr speaks of a backup that this tribectl does not understand");
		return CTL_INTERNAL;
	}
	if (wish->to_stdout)
		return part_to_stdout(w);
	e = backup_place(w->c, wish->target, &w->backup, path);
	return e != CTL_DONE ? e : part_take(w, path);
}

/* It is pg_dump's turn. */
static enum ctl_exit take_dump(struct bwork *w, const struct wish *wish, char path[CTL_PATH_MAX])
{
	struct steps steps = {.c = w->c, .what = "copying out", .bytes = true};
	struct backup now = {.kind = wish->sql ? BACKUP_SQL : BACKUP_DUMP};
	char temp[CTL_PATH_MAX + 8] = "";
	enum ctl_exit e;
	int fd;

	now.item.created = tr_wall_ms();
	if (wish->target == NULL && make_backups(w->c) < 0)
		return cannot(w->c, w->c->paths.state, errno);
	if ((e = backup_place(w->c, wish->target, &now, path)) != CTL_DONE)
		return e;
	if ((fd = open_nameless(path, temp)) < 0)
		return cannot(w->c, path, errno);
	e = dump_take(w, fd, wish->sql);
	if (e == CTL_DONE && wish->to_stdout) {
		if (copy_file(fd, STDOUT_FILENO, &steps) < 0)
			e = cannot(w->c, "standard output", errno);
		steps_end(&steps);
	} else if (e == CTL_DONE && (e = backup_place(w->c, wish->target, &w->backup, path)) == CTL_DONE) {
		if ((wish->target == NULL && give(fd, w->c->paths.state) < 0) || name_it(fd, temp, path) < 0)
			e = cannot(w->c, path, errno);
	}
	if (temp[0] != '\0')
		(void)unlink(temp);
	(void)close(fd);
	return e;
}

enum ctl_exit cmd_backup(struct ctl *c, const struct ctl_args *a)
{
	struct wish wish = {.target = a->noperands == 0 ? NULL : a->operands[0], .sql = ctl_flag(a, "sql")};
	struct msg_memory_backup msg = {.has_sql = wish.sql, .sql = wish.sql};
	struct bwork *w = calloc(1, sizeof(*w));
	uint64_t began_ms = tr_mono_ms();
	char path[CTL_PATH_MAX] = "";
	enum ctl_exit e;

	if (w == NULL)
		return CTL_INTERNAL;
	if ((wish.to_stdout = wish.target != NULL && strcmp(wish.target, "-") == 0))
		wish.target = NULL;
	bwork_init(w, c);
	msg.work = wire_s(w->id);
	if ((e = ctl_catch(c)) != CTL_DONE || (e = bwork_begin(w, MSG_memory_backup, &msg)) != CTL_DONE)
		goto out;
	if ((e = bwork_wait(w)) == CTL_FAILED && w->finished)
		ctl_say(c, "%s", w->reason);
	else if (e == CTL_DONE)
		e = w->turn ? take_dump(w, &wish, path) : take_part(w, &wish, path);
	if (e == CTL_DONE && !wish.to_stdout)
		e = report(w, path, began_ms);
out:
	bwork_end(w);
	free(w);
	return e;
}
