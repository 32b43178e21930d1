#include "jrs/memory/archive/space.h"
#include "common/base/clock.h"
#include "common/log/log.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>

#define LOOK_MS   1000u
#define LARGE     (256u << 10) /* bytes of a call: before it the disk is looked at once more */
#define WEIGHT    4u           /* such a call takes so many times its bytes: log, rows, indexes, words */
#define MB        (1u << 20)
#define BACK_PART 4u        /* writing goes on when this part more is free than must be ... */
#define BACK_MIN  (8u * MB) /* ... at least so much */
#define PURGE     (8u * MB) /* the log while a purge goes on: it is moved all the time */

struct space {
	char *path;
	uint64_t min, back; /* bytes free: below the first low, from the second on fine */
	uint64_t free, looked_ms;
	int (*free_bytes)(const char *path, uint64_t *out);
	bool low, blind; /* blind: it cannot be found out */
};

static int by_statvfs(const char *path, uint64_t *out)
{
	struct statvfs v;

	if (statvfs(path, &v) < 0)
		return -errno;
	*out = (uint64_t)v.f_bavail * v.f_frsize;
	return 0;
}

int space_open(struct sql_archive *a, const struct archive_cfg *cfg)
{
	struct space *s;

	if (cfg->conninfo != NULL || cfg->min_free_bytes == 0)
		return 0;
	if ((s = calloc(1, sizeof(*s))) == NULL)
		return TR_ENOMEM;
	a->space = s;
	if ((s->path = strdup(cfg->path)) == NULL)
		return TR_ENOMEM;
	s->min = cfg->min_free_bytes;
	s->back = s->min + (s->min / BACK_PART > BACK_MIN ? s->min / BACK_PART : BACK_MIN);
	s->free = UINT64_MAX;
	s->free_bytes = cfg->free_bytes == NULL ? by_statvfs : cfg->free_bytes;
	snprintf(a->no_space, sizeof(a->no_space),
		 "the disk is nearly full: %llu MB must be free (archive.min_free_mb); reading and forgetting go on",
		 (unsigned long long)(s->min / MB));
	return 0;
}

void space_free(struct sql_archive *a)
{
	if (a->space == NULL)
		return;
	free(a->space->path);
	free(a->space);
	a->space = NULL;
}

static void look(struct sql_archive *a, uint64_t now_ms)
{
	struct space *s = a->space;
	uint64_t bytes = 0;
	int r = s->free_bytes(s->path, &bytes);
	bool low;

	s->looked_ms = now_ms;
	if (r < 0) { /* the next write will tell */
		if (!s->blind)
			log_warn("archive: the room on its disk cannot be found out reason=\"%s\"", tr_strerror(r));
		s->blind = true;
		return;
	}
	s->blind = false;
	s->free = bytes;
	low = bytes < (s->low ? s->back : s->min);
	if (low != s->low && low)
		log_error("archive: the disk is nearly full, writing stops free_mb=%llu min_free_mb=%llu",
			  (unsigned long long)(bytes / MB), (unsigned long long)(s->min / MB));
	else if (low != s->low)
		log_info("archive: there is room on the disk again, writing goes on free_mb=%llu",
			 (unsigned long long)(bytes / MB));
	s->low = low;
	a->low = low;
}

void space_turn(struct sql_archive *a, uint64_t now_ms)
{
	if (a->space != NULL && now_ms >= space_wake(a))
		look(a, now_ms);
}

uint64_t space_wake(const struct sql_archive *a)
{
	const struct space *s = a->space;

	return s == NULL ? UINT64_MAX : s->looked_ms == 0 ? 0 : s->looked_ms + LOOK_MS;
}

bool space_low(const struct sql_archive *a)
{
	return a->space != NULL && a->space->low;
}

bool space_for_purge(const struct sql_archive *a)
{
	return a->space == NULL || a->space->blind || a->space->free >= PURGE;
}

/* About what a call brings. */
static uint64_t bytes_of(const struct job *j)
{
	const struct msg_memory_restore *restore = j->msg;
	const struct msg_memory_add *add = j->msg;
	uint64_t n = 0;
	uint32_t i;

	for (i = 0; j->id == MSG_memory_add && i < add->memories.n; i++)
		n += add->memories.v[i].content.n;
	for (i = 0; j->id == MSG_memory_restore && i < restore->records.n; i++)
		n += restore->records.v[i].content.n;
	return n;
}

int space_admits(struct sql_archive *a, struct job *j)
{
	struct space *s = a->space;
	uint64_t bytes;

	if (s == NULL || j->id == MSG_memory_forget || j->id == MSG_memory_import_undo)
		return 0;
	if (s->low)
		return job_fault(j, TR_ENOSPACE, "", a->no_space);
	if ((bytes = bytes_of(j)) < LARGE)
		return 0;
	look(a, tr_mono_ms());
	if (!s->low && (s->blind || s->free - s->min >= bytes * WEIGHT))
		return 0;
	return job_fault(j, TR_ENOSPACE, "",
			 s->low ? a->no_space : "the disk has too little room for a call of this size");
}
