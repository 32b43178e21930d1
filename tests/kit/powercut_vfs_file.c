/* What an open file does: bytes, locks, shared memory. */
#include "tests/kit/powercut_vfs_internal.h"
#include <stdlib.h>
#include <string.h>

static struct pfile *enter(sqlite3_file *file)
{
	pthread_mutex_lock(&power.lock);
	return (struct pfile *)(void *)file;
}

static int leave(int rc)
{
	pthread_mutex_unlock(&power.lock);
	return rc;
}

/* ---- bytes ---- */
static int file_read(sqlite3_file *file, void *to, int n, sqlite3_int64 at)
{
	struct pfile *f = enter(file);
	size_t got;

	if (f->machine->off || power_fails(f->observer, FAULT_EIO_READ))
		return leave(SQLITE_IOERR_READ);
	got = vfile_read(f->file, to, (size_t)n, (uint64_t)at);
	if (got == (size_t)n)
		return leave(SQLITE_OK);
	memset((char *)to + got, 0, (size_t)n - got);
	return leave(SQLITE_IOERR_SHORT_READ);
}

/* How much of a write that fails is carried out before it does. */
static size_t part_of(const struct pfile *f, size_t n)
{
	return (size_t)(vdisk_dice(power.faults.seed, vfile_size(f->file), power.calls[FAULT_EIO_WRITE]) % n);
}

static int file_write(sqlite3_file *file, const void *from, int n, sqlite3_int64 at)
{
	struct pfile *f = enter(file);

	if (f->machine->off || f->readonly || (power.faults.readonly && !f->observer))
		return leave(SQLITE_IOERR_WRITE);
	if (power_fails(f->observer, FAULT_ENOSPC))
		return leave(SQLITE_FULL);
	if (power_fails(f->observer, FAULT_SHORT_WRITE)) {
		vfile_write(f->file, from, part_of(f, (size_t)n), (uint64_t)at);
		return leave(SQLITE_FULL);
	}
	if (power_fails(f->observer, FAULT_EIO_WRITE)) {
		vfile_write(f->file, from, part_of(f, (size_t)n), (uint64_t)at);
		return leave(SQLITE_IOERR_WRITE);
	}
	vfile_write(f->file, from, (size_t)n, (uint64_t)at);
	return leave(power_strikes(f->machine, f->observer, POWER_WRITE, f->kind) ? SQLITE_IOERR_WRITE : SQLITE_OK);
}

static int file_truncate(sqlite3_file *file, sqlite3_int64 size)
{
	struct pfile *f = enter(file);

	if (f->machine->off || f->readonly || (power.faults.readonly && !f->observer) ||
	    power_fails(f->observer, FAULT_EIO_TRUNCATE))
		return leave(SQLITE_IOERR_TRUNCATE);
	power.seen.db_shrunk += !f->observer && f->kind == POWER_DB && (uint64_t)size < vfile_size(f->file);
	vfile_truncate(f->file, (uint64_t)size);
	return leave(power_strikes(f->machine, f->observer, POWER_TRUNCATE, f->kind) ? SQLITE_IOERR_TRUNCATE
										     : SQLITE_OK);
}

static int file_sync(sqlite3_file *file, int flags)
{
	struct pfile *f = enter(file);

	(void)flags;
	if (f->machine->off || power_strikes(f->machine, f->observer, POWER_SYNC, f->kind))
		return leave(SQLITE_IOERR_FSYNC);
	if (power.faults.lie)
		return leave(SQLITE_OK);
	if (power_fails(f->observer, FAULT_EIO_SYNC))
		vfile_sync_failed(f->file, vdisk_dice(power.faults.seed, 9, power.calls[FAULT_EIO_SYNC]));
	else
		vfile_sync(f->file);
	if (f->sync_failures !=
	    vfile_sync_failures(f->file)) { /* somebody else's too: what it lost may have been ours */
		f->sync_failures = vfile_sync_failures(f->file);
		return leave(SQLITE_IOERR_FSYNC);
	}
	if (f->new_journal)
		vdisk_sync_names(f->machine->disk);
	f->new_journal = false;
	return leave(SQLITE_OK);
}

static int file_size(sqlite3_file *file, sqlite3_int64 *out)
{
	struct pfile *f = enter(file);

	if (f->machine->off || power_fails(f->observer, FAULT_EIO_READ))
		return leave(SQLITE_IOERR_FSTAT);
	*out = (sqlite3_int64)vfile_size(f->file);
	return leave(SQLITE_OK);
}

static int file_control(sqlite3_file *file, int op, void *arg)
{
	struct pfile *f = enter(file);
	char **pragma = arg;
	int rc = SQLITE_NOTFOUND;

	switch (op) {
	case SQLITE_FCNTL_LOCKSTATE:
		*(int *)arg = f->level;
		rc = SQLITE_OK;
		break;
	case SQLITE_FCNTL_POWERSAFE_OVERWRITE:
		*(int *)arg = 1;
		rc = SQLITE_OK;
		break;
	case SQLITE_FCNTL_PERSIST_WAL: /* negative asks */
		if (*(int *)arg >= 0)
			f->persist_wal = *(int *)arg > 0;
		*(int *)arg = f->persist_wal;
		rc = SQLITE_OK;
		break;
	case SQLITE_FCNTL_HAS_MOVED:
		*(int *)arg = 0;
		rc = SQLITE_OK;
		break;
	case SQLITE_FCNTL_SIZE_HINT:
	case SQLITE_FCNTL_CHUNK_SIZE:
		rc = SQLITE_OK;
		break;
	case SQLITE_FCNTL_VFSNAME:
		*(char **)arg = sqlite3_mprintf("powercut");
		rc = SQLITE_OK;
		break;
	case SQLITE_FCNTL_PRAGMA: /* SQLite shows a copy of what was said, and goes on with it */
		if (power.synchronous_off && !f->observer && sqlite3_stricmp(pragma[1], "synchronous") == 0 &&
		    pragma[2] != NULL)
			memcpy(pragma[2], strlen(pragma[2]) < 3 ? "0" : "OFF", strlen(pragma[2]) < 3 ? 2 : 4);
		break;
	default:
		break;
	}
	return leave(rc);
}

static int sector_size(sqlite3_file *file)
{
	(void)file;
	return 4096; /* what SQLite's own says on Linux */
}

static int characteristics(sqlite3_file *file)
{
	(void)file;
	return SQLITE_IOCAP_POWERSAFE_OVERWRITE;
}

/* ---- locks: between connections of one process, as between processes ---- */
static int file_lock(sqlite3_file *file, int level)
{
	struct pfile *f = enter(file);
	struct node *n = f->node;

	if (f->machine->off)
		return leave(SQLITE_IOERR_LOCK);
	if (f->level >= level)
		return leave(SQLITE_OK);
	if (power_fails(f->observer, FAULT_BUSY))
		return leave(SQLITE_BUSY);
	if (f->level == SQLITE_LOCK_NONE) {
		if (n->pending != NULL || n->exclusive != NULL)
			return leave(SQLITE_BUSY);
		n->shared++;
		f->level = SQLITE_LOCK_SHARED;
	}
	if (level >= SQLITE_LOCK_RESERVED && f->level < SQLITE_LOCK_RESERVED) {
		if (n->reserved != NULL || n->pending != NULL)
			return leave(SQLITE_BUSY);
		if (level == SQLITE_LOCK_RESERVED) {
			n->reserved = f;
			f->level = SQLITE_LOCK_RESERVED;
		}
	}
	if (level == SQLITE_LOCK_EXCLUSIVE) {
		n->pending = f;
		f->level = SQLITE_LOCK_PENDING;
		if (n->shared > 1)
			return leave(SQLITE_BUSY);
		n->exclusive = f;
		f->level = SQLITE_LOCK_EXCLUSIVE;
	}
	return leave(SQLITE_OK);
}

static void unlock_to(struct pfile *f, int level)
{
	struct node *n = f->node;

	if (f->level <= level)
		return;
	if (n->reserved == f)
		n->reserved = NULL;
	if (n->pending == f)
		n->pending = NULL;
	if (n->exclusive == f)
		n->exclusive = NULL;
	if (level == SQLITE_LOCK_NONE)
		n->shared--;
	f->level = level;
}

static int file_unlock(sqlite3_file *file, int level)
{
	struct pfile *f = enter(file);

	unlock_to(f, level);
	return leave(SQLITE_OK);
}

static int file_reserved(sqlite3_file *file, int *out)
{
	struct pfile *f = enter(file);

	*out = f->node->reserved != NULL || f->node->pending != NULL;
	return leave(f->machine->off ? SQLITE_IOERR_CHECKRESERVEDLOCK : SQLITE_OK);
}

/* ---- shared memory: lives as long as somebody of this machine uses it ---- */
static int shm_map(sqlite3_file *file, int region, int size, int extend, void volatile **out)
{
	struct pfile *f = enter(file);
	struct node *n = f->node;

	*out = NULL;
	if (f->machine->off || region >= SHM_REGIONS)
		return leave(SQLITE_IOERR_SHMMAP);
	if (!f->has_shm) {
		if (power_fails(f->observer, FAULT_EMFILE) ||
		    (n->shm_users == 0 && power.faults.readonly && !f->observer))
			return leave(SQLITE_CANTOPEN);
		n->shm_users++;
		f->has_shm = true;
	}
	while (extend && n->nshm <= region) {
		if ((n->shm[n->nshm] = calloc(1, (size_t)size)) == NULL)
			return leave(SQLITE_NOMEM);
		n->nshm++;
	}
	if (region < n->nshm)
		*out = n->shm[region];
	return leave(SQLITE_OK);
}

static bool shm_try(struct pfile *f, uint16_t mask, int offset, int count, bool exclusive)
{
	struct node *n = f->node;
	int i;

	for (i = offset; i < offset + count; i++) {
		bool mine = (f->shm_shared >> i & 1) != 0;

		if (n->shm_exclusive[i] != NULL && n->shm_exclusive[i] != f)
			return false;
		if (exclusive && n->shm_shared[i] > (mine ? 1u : 0u))
			return false;
	}
	for (i = offset; i < offset + count; i++) {
		if (exclusive)
			n->shm_exclusive[i] = f;
		else if ((f->shm_shared >> i & 1) == 0)
			n->shm_shared[i]++;
	}
	if (exclusive)
		f->shm_exclusive |= mask;
	else
		f->shm_shared |= mask;
	return true;
}

static void shm_give_back(struct pfile *f, uint16_t mask)
{
	int i;

	for (i = 0; i < SQLITE_SHM_NLOCK; i++) {
		if ((mask >> i & 1) == 0)
			continue;
		if ((f->shm_shared >> i & 1) != 0)
			f->node->shm_shared[i]--;
		if ((f->shm_exclusive >> i & 1) != 0)
			f->node->shm_exclusive[i] = NULL;
	}
	f->shm_shared &= (uint16_t)~mask;
	f->shm_exclusive &= (uint16_t)~mask;
}

static int shm_lock(sqlite3_file *file, int offset, int count, int flags)
{
	struct pfile *f = enter(file);
	uint16_t mask = (uint16_t)(((1u << count) - 1) << offset);

	if ((flags & SQLITE_SHM_UNLOCK) != 0) {
		shm_give_back(f, mask);
		return leave(SQLITE_OK);
	}
	if (f->machine->off)
		return leave(SQLITE_IOERR_SHMLOCK);
	if (power_fails(f->observer, FAULT_BUSY))
		return leave(SQLITE_BUSY);
	return leave(shm_try(f, mask, offset, count, (flags & SQLITE_SHM_EXCLUSIVE) != 0) ? SQLITE_OK : SQLITE_BUSY);
}

static void shm_barrier(sqlite3_file *file)
{
	enter(file); /* a lock taken and given back orders memory for everybody */
	leave(0);
}

static void shm_leave(struct pfile *f)
{
	struct node *n = f->node;

	shm_give_back(f, (uint16_t)~0u);
	if (!f->has_shm)
		return;
	f->has_shm = false;
	if (--n->shm_users > 0)
		return;
	while (n->nshm > 0)
		free(n->shm[--n->nshm]);
}

static int shm_unmap(sqlite3_file *file, int delete)
{
	struct pfile *f = enter(file);

	(void)delete; /* it is memory: the last one out takes it along */
	shm_leave(f);
	return leave(SQLITE_OK);
}

static int no_fetch(sqlite3_file *file, sqlite3_int64 at, int n, void **out)
{
	(void)file;
	(void)at;
	(void)n;
	*out = NULL; /* not mapped: it is read */
	return SQLITE_OK;
}

static int no_unfetch(sqlite3_file *file, sqlite3_int64 at, void *p)
{
	(void)file;
	(void)at;
	(void)p;
	return SQLITE_OK;
}

/* ---- nodes; under the lock ---- */
struct node *node_of(struct machine *m, struct vfile *file)
{
	struct node *n;

	for (n = m->nodes; n != NULL && n->file != file; n = n->next)
		;
	if (n == NULL) {
		if ((n = calloc(1, sizeof(*n))) == NULL)
			abort();
		n->file = file;
		n->next = m->nodes;
		m->nodes = n;
	}
	n->opens++;
	return n;
}

void node_leave(struct pfile *f)
{
	struct node *n = f->node, **at;

	shm_leave(f);
	unlock_to(f, SQLITE_LOCK_NONE);
	if (--n->opens > 0)
		return;
	for (at = &f->machine->nodes; *at != n; at = &(*at)->next)
		;
	*at = n->next;
	free(n);
}

const sqlite3_io_methods power_methods = {
	.iVersion = 3,
	.xClose = power_close,
	.xRead = file_read,
	.xWrite = file_write,
	.xTruncate = file_truncate,
	.xSync = file_sync,
	.xFileSize = file_size,
	.xLock = file_lock,
	.xUnlock = file_unlock,
	.xCheckReservedLock = file_reserved,
	.xFileControl = file_control,
	.xSectorSize = sector_size,
	.xDeviceCharacteristics = characteristics,
	.xShmMap = shm_map,
	.xShmLock = shm_lock,
	.xShmBarrier = shm_barrier,
	.xShmUnmap = shm_unmap,
	.xFetch = no_fetch,
	.xUnfetch = no_unfetch,
};
