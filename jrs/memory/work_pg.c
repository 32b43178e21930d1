/* A work's own thread, for an archive in PostgreSQL. pg_dump and pg_restore are run by whoever asked: it alone may make
 * processes. */
#include "common/base/clock.h"
#include "jrs/memory/work_inside.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#define LOOK_MS 20

/* How the caller's tools reach the database, in a file that only its owner reads. Connection strings hold passwords:
 * none goes over a socket, or into a command line. */
static int write_service(struct work_job *j, struct backup_pg *pg, bool scratch)
{
	struct buf text = {.max = 8192};
	int r = work_make_dir(j);

	if (r == 0)
		r = backup_pg_service(pg, scratch, &text, &j->fault);
	if (r == 0) {
		j->part_fd = open(j->service, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
		if (j->part_fd < 0 || flock(j->part_fd, LOCK_EX | LOCK_NB) < 0 ||
		    write(j->part_fd, text.p, text.len) != (ssize_t)text.len)
			r = tr_fault_set(&j->fault, TR_ESTORE, "backups", "cannot be written (%s)", strerror(errno));
	}
	buf_free(&text);
	return r;
}

static int await_caller(struct work_job *j)
{
	const struct timespec t = {.tv_nsec = LOOK_MS * 1000000L};

	while (!j->go && !j->watch.stop)
		nanosleep(&t, NULL);
	(void)unlink(j->service);
	return j->watch.stop ? tr_fault_set(&j->fault, TR_ECLOSED, "", "given up") : 0;
}

/* The snapshot is there: the caller may dump it while its rows are read here. */
static int take(struct work_job *j, struct backup_pg *pg)
{
	int r;

	if ((r = backup_pg_hold(pg, j->snapshot, &j->fault)) < 0 || (r = write_service(j, pg, false)) < 0)
		return r;
	j->backup.item.format = BACKUP_FORMAT;
	j->backup.item.created = tr_wall_ms();
	j->turn = true;
	if ((r = backup_pg_content(pg, &j->backup, &j->fault)) < 0 || (r = await_caller(j)) < 0)
		return r;
	memset(j->backup.sha256, '0', 2 * TR_SHA256_LEN); /* the caller's to tell */
	backup_copy(&j->backup, &j->backup);
	j->has_backup = true;
	return 0;
}

static int prove(struct work_job *j, struct backup_pg *pg)
{
	int r;

	if (j->kind == WORK_RESTORE && (r = backup_pg_alone(pg, &j->fault)) < 0)
		return r;
	if ((r = backup_pg_scratch(pg, &j->fault)) < 0)
		return r;
	if ((r = write_service(j, pg, true)) == 0) {
		j->turn = true;
		r = await_caller(j);
	}
	if (r == 0)
		r = backup_pg_prove(pg, &j->backup, &j->fault);
	if (r == 0 && j->kind == WORK_RESTORE)
		r = backup_pg_alone(pg, &j->fault);
	if (r < 0 || j->kind == WORK_VERIFY)
		(void)backup_pg_drop(pg, r < 0 ? NULL : &j->fault);
	return r;
}

int work_run_pg(struct work_job *j)
{
	struct backup_pg *pg = NULL;
	int r = backup_pg_open(&pg, j->work->conninfo, &j->watch, &j->fault);

	if (r < 0)
		return r;
	j->server = backup_pg_server(pg);
	if (j->kind == WORK_BACKUP)
		r = take(j, pg);
	else if (j->kind != WORK_UNDO)
		r = prove(j, pg);
	else if ((r = backup_pg_can_go_back(pg, &j->fault)) == 0)
		r = backup_pg_alone(pg, &j->fault);
	backup_pg_close(&pg);
	return r;
}

int work_switch_pg(struct work_job *j)
{
	struct backup_pg *pg = NULL;
	int r = backup_pg_open(&pg, j->work->conninfo, &j->watch, &j->fault);

	if (r < 0)
		return r;
	r = j->kind == WORK_UNDO ? backup_pg_back(pg, tr_wall_ms(), j->kept, &j->fault)
				 : backup_pg_switch(pg, tr_wall_ms(), j->kept, &j->fault);
	backup_pg_close(&pg);
	if (r < 0)
		j->kept[0] = '\0';
	return r;
}
