#include "jrs/memory/archive/pagesum.h"
#include "jrs/memory/archive/held.h"
#include "jrs/memory/archive/wipe.h"
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define VFS_NAME    "tribe"
#define OP_STATS    0x54524201 /* file controls of ours: SQLite leaves those over 100 to others */
#define OP_READ     0x54524202
#define OP_DROP     0x54524203
#define PROBE_PAGES 16u /* looked at when the header denies having sums */
#define PROBE_SIZE  4096u

enum state {
	UNKNOWN, /* a new file: nothing says yet whether there will be sums */
	UNCHECKED,
	CHECKED,
	DENIED /* there are sums, and a header that says there are none */
};

struct file {
	sqlite3_file base;
	sqlite3_file *real; /* own allocation: its size is the real VFS's affair */
	bool main;
	enum state state;
	uint32_t page_size, behind; /* behind: UNKNOWN, the last page written without its sum */
	unsigned char *copy;        /* of a page on its way out */
	struct held *held;
	struct pagesum_stats stats;
};

struct raw_read {
	uint32_t page, pages;
	void *buf;
	int size;
};

/* ---- one file ---- */
static bool page_like(int64_t n)
{
	return n >= 512 && n <= 65536 && (n & (n - 1)) == 0;
}

static struct file *file_of(sqlite3_file *base)
{
	return (struct file *)base;
}

/* Page 1 is here, as it is or will be in the file. */
static void learn(struct file *f, const void *head, size_t n)
{
	struct pagesum_header h;

	if (!pagesum_header(head, n, &h))
		return; /* keep what is known: the sum tells whether it is damaged */
	if (h.reserve == PAGESUM_BYTES) {
		f->state = CHECKED;
		f->page_size = h.page_size;
	} else if (f->state == UNKNOWN) {
		f->state = UNCHECKED;
	}
	f->stats.checked = f->state == CHECKED || f->state == DENIED;
}

/* The header says that there are no sums: do the pages agree? One by accident would be one in 2^64. */
static bool pages_have_sums(struct file *f, sqlite3_int64 size)
{
	unsigned char page[PROBE_SIZE];
	uint32_t i;

	for (i = 0; i < PROBE_PAGES && (sqlite3_int64)(i + 1) * PROBE_SIZE <= size; i++) {
		if (f->real->pMethods->xRead(f->real, page, PROBE_SIZE, (sqlite3_int64)i * PROBE_SIZE) != SQLITE_OK)
			return false;
		if (pagesum_judge(page, PROBE_SIZE, i + 1) == PAGESUM_GOOD)
			return true;
	}
	return false;
}

static void probe(struct file *f)
{
	sqlite3_int64 size = 0;
	unsigned char head[100];
	struct pagesum_header h;

	f->state = UNKNOWN;
	if (f->real->pMethods->xFileSize(f->real, &size) != SQLITE_OK || size < (sqlite3_int64)sizeof(head) ||
	    f->real->pMethods->xRead(f->real, head, sizeof(head), 0) != SQLITE_OK)
		return;
	learn(f, head, sizeof(head));
	if (f->state != CHECKED && pages_have_sums(f, size)) {
		/* a header in pieces, as a power cut leaves it, denies nothing: the log may have page 1 whole */
		f->state = pagesum_header(head, sizeof(head), &h) ? DENIED : CHECKED;
		f->page_size = PROBE_SIZE;
	} else if (f->state != CHECKED) {
		f->state = UNCHECKED;
	}
	f->stats.checked = f->state != UNCHECKED;
}

static int bad_page(struct file *f, uint32_t page)
{
	struct pagesum_stats *s = &f->stats;
	unsigned i;

	s->bad++;
	for (i = 0; i < s->nbad_page && s->bad_page[i] != page; i++)
		;
	if (i == s->nbad_page && i < PAGESUM_NOTED)
		s->bad_page[s->nbad_page++] = page;
	return SQLITE_IOERR_DATA;
}

/* A whole page of a checked file is in buf. */
static int verify(struct file *f, unsigned char *buf, int n, sqlite3_int64 at)
{
	uint32_t page = (uint32_t)(at / n) + 1;
	enum pagesum_verdict v;

	f->stats.read++;
	v = f->state == DENIED ? PAGESUM_BAD : pagesum_judge(buf, (size_t)n, page);
	if ((v == PAGESUM_BAD || v == PAGESUM_ABSENT) && f->state != DENIED &&
	    f->real->pMethods->xRead(f->real, buf, n, at) == SQLITE_OK) /* it may have been half written */
		v = pagesum_judge(buf, (size_t)n, page);
	if (v == PAGESUM_BAD || v == PAGESUM_ABSENT)
		return bad_page(f, page);
	f->stats.unsummed += v == PAGESUM_NONE;
	return SQLITE_OK;
}

static int read_page(struct file *f, void *buf, int n, sqlite3_int64 at)
{
	int rc = f->real->pMethods->xRead(f->real, buf, n, at);

	if (rc != SQLITE_OK && rc != SQLITE_IOERR_SHORT_READ && f->held != NULL)
		f->held->failures++;
	if (!f->main || !page_like(n) || at % n != 0)
		return rc;
	if (rc == SQLITE_IOERR_SHORT_READ && at > 0 && f->state == CHECKED) {
		f->stats.read++;
		return bad_page(f, (uint32_t)(at / n) + 1); /* SQLite asks for no page that was never written */
	}
	if (rc != SQLITE_OK)
		return rc;
	if (at == 0)
		learn(f, buf, (size_t)n);
	return f->state == CHECKED || f->state == DENIED ? verify(f, buf, n, at) : SQLITE_OK;
}

static int x_read(sqlite3_file *base, void *buf, int n, sqlite3_int64 at)
{
	struct file *f = file_of(base);
	int rc = read_page(f, buf, n, at);

	if (rc == SQLITE_OK && f->main && f->state == CHECKED && page_like(n) && at % n == 0)
		pagesum_store(buf, (size_t)n, 0);
	return rc;
}

static int write_sum(struct file *f, const void *buf, int n, sqlite3_int64 at)
{
	if (f->copy == NULL && (f->copy = malloc(f->page_size)) == NULL)
		return SQLITE_IOERR_NOMEM;
	memcpy(f->copy, buf, (size_t)n);
	wipe_room(f->copy, (size_t)n, (uint32_t)(at / n) + 1);
	pagesum_store(f->copy, (size_t)n, pagesum_of(f->copy, (size_t)n, (uint32_t)(at / n) + 1));
	f->stats.written++;
	return f->real->pMethods->xWrite(f->real, f->copy, n, at);
}

/* Pages of a new file that left the cache before page 1 said that they have sums. */
static int catch_up(struct file *f)
{
	int n = (int)f->page_size, rc = SQLITE_OK;
	uint32_t page;

	if (f->behind == 0)
		return rc;
	if (f->copy == NULL && (f->copy = malloc(f->page_size)) == NULL)
		return SQLITE_IOERR_NOMEM;
	for (page = 2; rc == SQLITE_OK && page <= f->behind; page++) {
		sqlite3_int64 at = (sqlite3_int64)(page - 1) * n;

		if (f->real->pMethods->xRead(f->real, f->copy, n, at) != SQLITE_OK ||
		    pagesum_judge(f->copy, (size_t)n, page) != PAGESUM_NONE)
			continue; /* not written yet: it will come by itself */
		pagesum_store(f->copy, (size_t)n, pagesum_of(f->copy, (size_t)n, page));
		rc = f->real->pMethods->xWrite(f->real, f->copy, n, at);
	}
	f->behind = 0;
	return rc;
}

static int x_write(sqlite3_file *base, const void *buf, int n, sqlite3_int64 at)
{
	struct file *f = file_of(base);
	int rc;

	if (!f->main || !page_like(n) || at % n != 0)
		return f->real->pMethods->xWrite(f->real, buf, n, at);
	if (at == 0) {
		learn(f, buf, (size_t)n);
		if (f->state == CHECKED && (uint32_t)n == f->page_size && (rc = catch_up(f)) != SQLITE_OK)
			return rc;
	} else if (f->state == UNKNOWN && (uint32_t)(at / n) + 1 > f->behind) {
		f->behind = (uint32_t)(at / n) + 1;
	}
	if (f->state == CHECKED && (uint32_t)n == f->page_size)
		return write_sum(f, buf, n, at);
	return f->real->pMethods->xWrite(f->real, buf, n, at);
}

static int x_close(sqlite3_file *base)
{
	struct file *f = file_of(base);
	int rc = f->real->pMethods->xClose(f->real);

	if (f->main)
		held_drop(f->held);
	free(f->copy);
	free(f->real);
	return rc;
}

static int raw_read(struct file *f, const struct raw_read *r)
{
	sqlite3_int64 at = (sqlite3_int64)(r->page - 1) * r->size;
	int rc = f->real->pMethods->xRead(f->real, r->buf, r->size, at);

	if (rc != SQLITE_OK)
		return rc;
	return f->state == CHECKED || f->state == DENIED ? verify(f, r->buf, r->size, at) : SQLITE_OK;
}

static int drop(const struct file *f, const struct raw_read *r)
{
	off_t at = (off_t)(r->page - 1) * r->size;

	if (f->held != NULL && f->held->fd >= 0)
		posix_fadvise(f->held->fd, at, (off_t)r->pages * r->size, POSIX_FADV_DONTNEED);
	return SQLITE_OK;
}

static int x_file_control(sqlite3_file *base, int op, void *arg)
{
	struct file *f = file_of(base);
	int rc;

	if (op == OP_STATS && f->main) {
		*(struct pagesum_stats *)arg = f->stats;
		((struct pagesum_stats *)arg)->failures = f->held == NULL ? 0 : f->held->failures;
		return SQLITE_OK;
	}
	if (op == OP_READ && f->main)
		return raw_read(f, arg);
	if (op == OP_DROP && f->main)
		return drop(f, arg);
	rc = f->real->pMethods->xFileControl(f->real, op, arg);
	if (op == SQLITE_FCNTL_VFSNAME && rc == SQLITE_OK)
		*(char **)arg = sqlite3_mprintf(VFS_NAME "/%z", *(char **)arg);
	return rc;
}

/* ---- what passes through ---- */
static int x_truncate(sqlite3_file *f, sqlite3_int64 size)
{
	sqlite3_file *r = file_of(f)->real;

	return r->pMethods->xTruncate(r, size);
}

static int x_sync(sqlite3_file *f, int flags)
{
	sqlite3_file *r = file_of(f)->real;

	return r->pMethods->xSync(r, flags);
}

static int x_file_size(sqlite3_file *f, sqlite3_int64 *out)
{
	sqlite3_file *r = file_of(f)->real;

	return r->pMethods->xFileSize(r, out);
}

static int x_lock(sqlite3_file *f, int how)
{
	sqlite3_file *r = file_of(f)->real;

	return r->pMethods->xLock(r, how);
}

static int x_unlock(sqlite3_file *f, int how)
{
	sqlite3_file *r = file_of(f)->real;

	return r->pMethods->xUnlock(r, how);
}

static int x_check_reserved(sqlite3_file *f, int *out)
{
	sqlite3_file *r = file_of(f)->real;

	return r->pMethods->xCheckReservedLock(r, out);
}

static int x_sector_size(sqlite3_file *f)
{
	sqlite3_file *r = file_of(f)->real;

	return r->pMethods->xSectorSize(r);
}

static int x_characteristics(sqlite3_file *f)
{
	sqlite3_file *r = file_of(f)->real;

	return r->pMethods->xDeviceCharacteristics(r);
}

static int x_shm_map(sqlite3_file *f, int page, int size, int extend, void volatile **out)
{
	sqlite3_file *r = file_of(f)->real;

	return r->pMethods->xShmMap(r, page, size, extend, out);
}

static int x_shm_lock(sqlite3_file *f, int offset, int n, int flags)
{
	sqlite3_file *r = file_of(f)->real;

	return r->pMethods->xShmLock(r, offset, n, flags);
}

static void x_shm_barrier(sqlite3_file *f)
{
	sqlite3_file *r = file_of(f)->real;

	r->pMethods->xShmBarrier(r);
}

static int x_shm_unmap(sqlite3_file *f, int remove)
{
	sqlite3_file *r = file_of(f)->real;

	return r->pMethods->xShmUnmap(r, remove);
}

/* Version 1 has no shared memory, version 2 has; memory mapping came with 3. */
#define METHODS(version, map, lock, barrier, unmap)                                                                    \
	{                                                                                                              \
		version, x_close, x_read, x_write, x_truncate, x_sync, x_file_size, x_lock, x_unlock,                  \
			x_check_reserved, x_file_control, x_sector_size, x_characteristics, map, lock, barrier, unmap, \
			NULL, NULL                                                                                     \
	}
static const sqlite3_io_methods methods_1 = METHODS(1, NULL, NULL, NULL, NULL);
static const sqlite3_io_methods methods_2 = METHODS(2, x_shm_map, x_shm_lock, x_shm_barrier, x_shm_unmap);

/* ---- the VFS ---- */
static sqlite3_vfs shim;

static sqlite3_vfs *real_vfs(void)
{
	sqlite3_vfs *v = sqlite3_vfs_find(NULL);

	return v == &shim ? shim.pNext : v;
}

static int v_open(sqlite3_vfs *vfs, sqlite3_filename name, sqlite3_file *base, int flags, int *out)
{
	sqlite3_vfs *v = real_vfs();
	struct file *f = file_of(base);
	int rc;

	(void)vfs;
	memset(f, 0, sizeof(*f));
	if ((f->real = calloc(1, (size_t)v->szOsFile)) == NULL)
		return SQLITE_NOMEM;
	rc = v->xOpen(v, name, f->real, flags, out);
	if (f->real->pMethods == NULL) { /* nothing to be closed */
		free(f->real);
		f->real = NULL;
		return rc == SQLITE_OK ? SQLITE_CANTOPEN : rc;
	}
	base->pMethods = f->real->pMethods->iVersion >= 2 ? &methods_2 : &methods_1;
	f->main = (flags & SQLITE_OPEN_MAIN_DB) != 0;
	if (rc == SQLITE_OK && (flags & SQLITE_OPEN_WAL) != 0)
		f->held = held_by_log(name);
	if (rc == SQLITE_OK && f->main) {
		probe(f);
		f->held = held_take(name);
	}
	return rc;
}

static int v_delete(sqlite3_vfs *vfs, const char *name, int sync)
{
	sqlite3_vfs *v = real_vfs();

	(void)vfs;
	return v->xDelete(v, name, sync);
}

static int v_access(sqlite3_vfs *vfs, const char *name, int flags, int *out)
{
	sqlite3_vfs *v = real_vfs();

	(void)vfs;
	return v->xAccess(v, name, flags, out);
}

static int v_full_pathname(sqlite3_vfs *vfs, const char *name, int n, char *out)
{
	sqlite3_vfs *v = real_vfs();

	(void)vfs;
	return v->xFullPathname(v, name, n, out);
}

static int v_randomness(sqlite3_vfs *vfs, int n, char *out)
{
	sqlite3_vfs *v = real_vfs();

	(void)vfs;
	return v->xRandomness(v, n, out);
}

static int v_sleep(sqlite3_vfs *vfs, int us)
{
	sqlite3_vfs *v = real_vfs();

	(void)vfs;
	return v->xSleep(v, us);
}

static int v_current_time(sqlite3_vfs *vfs, double *out)
{
	sqlite3_vfs *v = real_vfs();

	(void)vfs;
	return v->xCurrentTime(v, out);
}

static int v_last_error(sqlite3_vfs *vfs, int n, char *out)
{
	sqlite3_vfs *v = real_vfs();

	(void)vfs;
	return v->xGetLastError == NULL ? 0 : v->xGetLastError(v, n, out);
}

static int v_current_time_64(sqlite3_vfs *vfs, sqlite3_int64 *out)
{
	sqlite3_vfs *v = real_vfs();
	double days;
	int rc;

	(void)vfs;
	if (v->iVersion >= 2 && v->xCurrentTimeInt64 != NULL)
		return v->xCurrentTimeInt64(v, out);
	rc = v->xCurrentTime(v, &days);
	*out = (sqlite3_int64)(days * 86400000.0);
	return rc;
}

static sqlite3_vfs shim = {
	.iVersion = 2,
	.szOsFile = (int)sizeof(struct file),
	.zName = VFS_NAME,
	.xOpen = v_open,
	.xDelete = v_delete,
	.xAccess = v_access,
	.xFullPathname = v_full_pathname,
	.xRandomness = v_randomness,
	.xSleep = v_sleep,
	.xCurrentTime = v_current_time,
	.xGetLastError = v_last_error,
	.xCurrentTimeInt64 = v_current_time_64,
};

static pthread_once_t once = PTHREAD_ONCE_INIT;
static int registered = SQLITE_ERROR;

static void do_register(void)
{
	const sqlite3_vfs *v;

	if (sqlite3_initialize() != SQLITE_OK || (v = sqlite3_vfs_find(NULL)) == NULL)
		return;
	shim.mxPathname = v->mxPathname;
	registered = sqlite3_vfs_register(&shim, 0);
}

const char *pagesum_vfs(void)
{
	pthread_once(&once, do_register);
	return registered == SQLITE_OK ? VFS_NAME : NULL;
}

int pagesum_reserve(sqlite3 *db)
{
	int n = PAGESUM_BYTES;

	return sqlite3_file_control(db, "main", SQLITE_FCNTL_RESERVE_BYTES, &n);
}

int pagesum_stats(sqlite3 *db, struct pagesum_stats *out)
{
	struct pagesum_stats got;
	int rc = sqlite3_file_control(db, "main", OP_STATS, &got);

	if (rc == SQLITE_OK)
		*out = got;
	return rc;
}

int pagesum_read(sqlite3 *db, uint32_t page, void *buf, int size)
{
	struct raw_read r = {page, 1, buf, size};

	return sqlite3_file_control(db, "main", OP_READ, &r);
}

int pagesum_drop(sqlite3 *db, uint32_t page, uint32_t n, int size)
{
	struct raw_read r = {page, n, NULL, size};

	return sqlite3_file_control(db, "main", OP_DROP, &r);
}
