/* A work's own thread, and what it does with an SQLite archive. */
#include "jrs/memory/work_inside.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <unistd.h>

#define NICE 10 /* who asks and remembers comes first */

void work_part(const struct work_job *j, char out[WORK_PATH])
{
	(void)snprintf(out, WORK_PATH, "%.*s/%s.part", WORK_PATH - WORK_ID - 8, j->work->backups, j->id);
}

void work_service(const struct work_job *j, char out[WORK_PATH])
{
	(void)snprintf(out, WORK_PATH, "%.*s/%s.service.part", WORK_PATH - WORK_ID - 20, j->work->backups, j->id);
}

static int no_file(struct work_job *j, const char *what)
{
	return tr_fault_set(&j->fault, TR_ESTORE, "backups", "%s (%s)", what, strerror(errno));
}

static int run_backup(struct work_job *j)
{
	char part[WORK_PATH];
	int r;

	if ((r = work_make_dir(j)) < 0)
		return r;
	work_part(j, part);
	j->part_fd = open(part, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (j->part_fd < 0 || flock(j->part_fd, LOCK_EX | LOCK_NB) < 0)
		return no_file(j, "cannot be made");
	r = backup_sqlite(j->work->path, part, &j->watch, &j->backup, &j->fault);
	j->has_backup = r == 0;
	return r;
}

static bool step(void *arg, uint64_t done, uint64_t total)
{
	struct backup_watch *w = arg;

	w->done = done;
	w->total = total;
	return !w->stop;
}

/* The caller's copy of a backup: its bytes, then what is in them. The manifest is cut off. */
static int run_verify(struct work_job *j)
{
	char part[WORK_PATH];
	int fd, r;

	work_part(j, part);
	if ((fd = open(part, O_RDWR | O_NOFOLLOW | O_CLOEXEC)) < 0)
		return no_file(j, "has no such part");
	j->watch.phase = "digesting";
	if ((r = backup_read(&j->backup, fd, &j->fault)) == 0)
		r = backup_check(&j->backup, fd, -1, step, &j->watch, &j->fault);
	if (r == 0 && j->backup.kind != BACKUP_SQLITE)
		r = tr_fault_set(&j->fault, TR_EUNSUPPORTED, "kind",
				 "is a backup of PostgreSQL; this tribe's archive is an SQLite file");
	if (r == 0 && ftruncate(fd, (off_t)j->backup.item.bytes) < 0)
		r = no_file(j, "cannot be written");
	if (r == 0 && fsync(fd) < 0)
		r = no_file(j, "cannot be written");
	close(fd);
	if (r < 0)
		return r;
	j->has_backup = true;
	return backup_prove_sqlite(part, &j->backup, &j->watch, &j->fault);
}

static int run(struct work_job *j)
{
	int r;

	switch (j->kind) {
	case WORK_BACKUP:
		return run_backup(j);
	case WORK_VERIFY:
		return run_verify(j);
	case WORK_RESTORE:
		r = run_verify(j);
		return r < 0 ? r : work_lay_beside(j);
	default:
		return work_look_back(j);
	}
}

void *work_run(void *arg)
{
	struct work_job *j = arg;

	(void)setpriority(PRIO_PROCESS, 0, NICE); /* on Linux: of this thread */
	j->r = j->work->conninfo != NULL ? work_run_pg(j) : run(j);
	if (j->r < 0 && j->fault.code != j->r)
		(void)tr_fault_set(&j->fault, j->r, "", "%s", tr_strerror(j->r));
	j->ended = true;
	(void)uv_async_send(j->work->async);
	return NULL;
}
