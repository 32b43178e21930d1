#include "jrs/memory/archive/gather.h"
#include <pthread.h>
#include <sqlite3.h>
#include <string.h>

#define NAME      "tribe-log"
#define BYTES_MAX (128 * 1024) /* gathered at most; a longer commit takes several writes */

struct log_file {
	sqlite3_file base;
	char *buf; /* owned; NULL until the first write */
	sqlite3_int64 from;
	int n; /* bytes in buf, which belong at `from` */
};

static sqlite3_vfs vfs;
static sqlite3_vfs *under;

/* The file below lies behind ours in the same memory. */
static sqlite3_file *real(sqlite3_file *f)
{
	return (sqlite3_file *)(void *)((char *)f + ((sizeof(struct log_file) + 15) & ~(size_t)15));
}

static int flush(sqlite3_file *f)
{
	struct log_file *log = (struct log_file *)f;
	int rc = log->n == 0 ? SQLITE_OK : real(f)->pMethods->xWrite(real(f), log->buf, log->n, log->from);

	if (rc == SQLITE_OK)
		log->n = 0;
	return rc;
}

/* For a write or a sync that fails SQLite gives the whole transaction up: its bytes must not come later. After a failed read
 * it may go on, and then they are still to be written. */
static int flush_or_drop(sqlite3_file *f)
{
	int rc = flush(f);

	((struct log_file *)f)->n = 0;
	return rc;
}

static int log_close(sqlite3_file *f)
{
	int rc = flush(f), closed = real(f)->pMethods->xClose(real(f));

	sqlite3_free(((struct log_file *)f)->buf);
	return rc != SQLITE_OK ? rc : closed;
}

static int log_read(sqlite3_file *f, void *p, int n, sqlite3_int64 at)
{
	int rc = flush(f);

	return rc != SQLITE_OK ? rc : real(f)->pMethods->xRead(real(f), p, n, at);
}

static int log_write(sqlite3_file *f, const void *p, int n, sqlite3_int64 at)
{
	struct log_file *log = (struct log_file *)f;
	int rc = SQLITE_OK;

	if (log->n > 0 && (at != log->from + log->n || n > BYTES_MAX - log->n))
		rc = flush_or_drop(f);
	if (rc == SQLITE_OK && log->buf == NULL)
		log->buf = sqlite3_malloc(BYTES_MAX);
	if (rc != SQLITE_OK || log->buf == NULL || n > BYTES_MAX)
		return rc != SQLITE_OK ? rc : real(f)->pMethods->xWrite(real(f), p, n, at);
	if (log->n == 0)
		log->from = at;
	memcpy(log->buf + log->n, p, (size_t)n);
	log->n += n;
	return SQLITE_OK;
}

static int log_truncate(sqlite3_file *f, sqlite3_int64 size)
{
	int rc = flush(f);

	return rc != SQLITE_OK ? rc : real(f)->pMethods->xTruncate(real(f), size);
}

static int log_sync(sqlite3_file *f, int flags)
{
	int rc = flush_or_drop(f);

	return rc != SQLITE_OK ? rc : real(f)->pMethods->xSync(real(f), flags);
}

static int log_size(sqlite3_file *f, sqlite3_int64 *out)
{
	int rc = flush(f);

	return rc != SQLITE_OK ? rc : real(f)->pMethods->xFileSize(real(f), out);
}

static int log_lock(sqlite3_file *f, int how)
{
	return real(f)->pMethods->xLock(real(f), how);
}

static int log_unlock(sqlite3_file *f, int how)
{
	return real(f)->pMethods->xUnlock(real(f), how);
}

static int log_reserved(sqlite3_file *f, int *out)
{
	return real(f)->pMethods->xCheckReservedLock(real(f), out);
}

static int log_control(sqlite3_file *f, int op, void *arg)
{
	return real(f)->pMethods->xFileControl(real(f), op, arg);
}

static int log_sector(sqlite3_file *f)
{
	return real(f)->pMethods->xSectorSize(real(f));
}

static int log_kind(sqlite3_file *f)
{
	return real(f)->pMethods->xDeviceCharacteristics(real(f));
}

static const sqlite3_io_methods methods = {
	.iVersion = 1, /* a log has no shared memory and is not mapped */
	.xClose = log_close,
	.xRead = log_read,
	.xWrite = log_write,
	.xTruncate = log_truncate,
	.xSync = log_sync,
	.xFileSize = log_size,
	.xLock = log_lock,
	.xUnlock = log_unlock,
	.xCheckReservedLock = log_reserved,
	.xFileControl = log_control,
	.xSectorSize = log_sector,
	.xDeviceCharacteristics = log_kind,
};

/* Anything but a log is opened by the VFS below in the same memory, and we are out of its way. */
static int open_file(sqlite3_vfs *v, const char *path, sqlite3_file *f, int flags, int *out)
{
	struct log_file *log = (struct log_file *)f;
	int rc;

	(void)v;
	if ((flags & SQLITE_OPEN_WAL) == 0)
		return under->xOpen(under, path, f, flags, out);
	memset(log, 0, sizeof(*log));
	real(f)->pMethods = NULL;
	rc = under->xOpen(under, path, real(f), flags, out);
	if (rc == SQLITE_OK)
		f->pMethods = &methods;
	else if (real(f)->pMethods != NULL)
		real(f)->pMethods->xClose(real(f));
	return rc;
}

static const char *wanted;

static void enrol(void)
{
	if ((under = sqlite3_vfs_find(wanted)) == NULL)
		return;
	vfs = *under; /* its methods take any sqlite3_vfs with its pAppData */
	vfs.pNext = NULL;
	vfs.zName = NAME;
	vfs.xOpen = open_file;
	vfs.szOsFile = under->szOsFile + (int)((sizeof(struct log_file) + 15) & ~(size_t)15);
	if (sqlite3_vfs_register(&vfs, 0) != SQLITE_OK)
		under = NULL;
}

const char *gather_vfs(const char *over)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	if (over == NULL)
		return NULL;
	wanted = over; /* the same for everybody */
	pthread_once(&once, enrol);
	return under == NULL ? NULL : NAME;
}
