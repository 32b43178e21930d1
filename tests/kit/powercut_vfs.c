#include "tests/kit/powercut_vfs.h"
#include "tests/kit/powercut_vfs_internal.h"
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct power power = {.lock = PTHREAD_MUTEX_INITIALIZER};
static _Thread_local bool observing;

static void machine_release(struct machine *m)
{
	if (--m->holds > 0)
		return;
	vdisk_free(&m->disk);
	free(m);
}

void power_new(void)
{
	pthread_mutex_lock(&power.lock);
	if (power.machine != NULL) {
		power.machine->off = true;
		machine_release(power.machine);
	}
	if ((power.machine = calloc(1, sizeof(*power.machine))) == NULL)
		abort();
	power.machine->holds = 1;
	power.machine->disk = vdisk_new();
	power.cut_in = 0;
	memset(&power.seen, 0, sizeof(power.seen));
	pthread_mutex_unlock(&power.lock);
}

void power_shutdown(void)
{
	pthread_mutex_lock(&power.lock);
	if (power.machine != NULL) {
		power.machine->off = true;
		machine_release(power.machine);
		power.machine = NULL;
	}
	pthread_mutex_unlock(&power.lock);
}

void power_cut_at(unsigned ops, unsigned files, unsigned long nth)
{
	pthread_mutex_lock(&power.lock);
	power.cut_ops = ops;
	power.cut_files = files;
	power.cut_in = nth;
	pthread_mutex_unlock(&power.lock);
}

void power_cut_never(void)
{
	power_cut_at(0, 0, 0);
}

void power_cut(void)
{
	pthread_mutex_lock(&power.lock);
	power.machine->off = true;
	power.cut_in = 0;
	pthread_mutex_unlock(&power.lock);
}

bool power_is_off(void)
{
	bool off;

	pthread_mutex_lock(&power.lock);
	off = power.machine->off;
	pthread_mutex_unlock(&power.lock);
	return off;
}

const char *power_on_again(uint64_t seed)
{
	struct machine *m = calloc(1, sizeof(*m)), *old;
	const char *mood;

	if (m == NULL)
		abort();
	pthread_mutex_lock(&power.lock);
	old = power.machine;
	old->off = true;
	power.cut_in = 0;
	m->holds = 1;
	m->disk = vdisk_cut(old->disk, seed, &mood);
	power.machine = m;
	machine_release(old);
	pthread_mutex_unlock(&power.lock);
	return mood;
}

const unsigned char *power_file_bytes(const char *name, size_t *n)
{
	const unsigned char *p = NULL;
	struct vfile *f;

	pthread_mutex_lock(&power.lock);
	if ((f = vdisk_open(power.machine->disk, name, false)) != NULL) {
		*n = (size_t)vfile_size(f);
		p = *n == 0 ? (const unsigned char *)"" : vfile_bytes(f);
		vfile_release(&f); /* its name holds it */
	}
	pthread_mutex_unlock(&power.lock);
	return p;
}

const char *power_file_name(size_t i)
{
	const char *name;

	pthread_mutex_lock(&power.lock);
	name = vdisk_name(power.machine->disk, i);
	pthread_mutex_unlock(&power.lock);
	return name;
}

void power_file_put(const char *name, const void *p, size_t n)
{
	struct vfile *f;

	pthread_mutex_lock(&power.lock);
	f = vdisk_open(power.machine->disk, name, true);
	vfile_truncate(f, 0);
	vfile_write(f, p, n, 0);
	vfile_sync(f);
	vfile_release(&f);
	vdisk_sync_names(power.machine->disk);
	pthread_mutex_unlock(&power.lock);
}

/* ---- what strikes; all under the lock ---- */
enum power_file power_kind(const char *name)
{
	size_t n = name == NULL ? 0 : strlen(name);

	if (n == 0)
		return POWER_OTHER;
	if (n > 4 && strcmp(name + n - 4, "-wal") == 0)
		return POWER_WAL;
	if (n > 8 && strcmp(name + n - 8, "-journal") == 0)
		return POWER_JOURNAL;
	return power.db_name[0] == '\0' || strcmp(name, power.db_name) == 0 ? POWER_DB : POWER_OTHER;
}

/* Counts an operation; true: it is the machine's last. */
bool power_strikes(struct machine *m, bool observer, enum power_op op, enum power_file file)
{
	if (observer)
		return false;
	power.seen.ops[op][file]++;
	if (m != power.machine || power.cut_in == 0 || (power.cut_ops >> op & 1) == 0 ||
	    (power.cut_files >> file & 1) == 0 || --power.cut_in > 0)
		return false;
	m->off = true;
	power.cuts[op][file]++;
	return true;
}

void power_stranger(bool observer, const char *name)
{
	if (observer || power_kind(name) != POWER_OTHER)
		return;
	if (power.seen.strangers++ == 0)
		snprintf(power.seen.stranger, sizeof(power.seen.stranger), "%s", name);
}

bool power_fails(bool observer, enum power_fault kind)
{
	uint64_t n;

	if (observer)
		return false;
	n = ++power.calls[kind];
	if (power.faults.nth[kind] != n &&
	    vdisk_dice(power.faults.seed, kind + 100, n) % 1000000 >= power.faults.ppm[kind])
		return false;
	power.injected[kind]++;
	return true;
}

void power_faults(const struct power_faults *f)
{
	pthread_mutex_lock(&power.lock);
	memset(power.calls, 0, sizeof(power.calls));
	if (f != NULL)
		power.faults = *f;
	else
		memset(&power.faults, 0, sizeof(power.faults));
	pthread_mutex_unlock(&power.lock);
}

uint64_t power_injected(enum power_fault kind)
{
	uint64_t n;

	pthread_mutex_lock(&power.lock);
	n = power.injected[kind];
	pthread_mutex_unlock(&power.lock);
	return n;
}

uint64_t power_injected_all(void)
{
	uint64_t n = 0;
	int i;

	for (i = 0; i < FAULT_NKINDS; i++)
		n += power_injected((enum power_fault)i);
	return n;
}

void power_seen(struct power_seen *out)
{
	pthread_mutex_lock(&power.lock);
	*out = power.seen;
	memcpy(out->cuts, power.cuts, sizeof(out->cuts));
	pthread_mutex_unlock(&power.lock);
}

void power_seen_reset(void)
{
	pthread_mutex_lock(&power.lock);
	memset(&power.seen, 0, sizeof(power.seen));
	pthread_mutex_unlock(&power.lock);
}

/* ---- connections ---- */
void power_observe(bool on)
{
	observing = on;
}

void power_synchronous_off(bool on)
{
	pthread_mutex_lock(&power.lock);
	power.synchronous_off = on;
	pthread_mutex_unlock(&power.lock);
}

void power_trace(power_trace_cb *cb, void *arg)
{
	pthread_mutex_lock(&power.trace_lock);
	power.trace = cb;
	power.trace_arg = arg;
	pthread_mutex_unlock(&power.trace_lock);
}

static int traced(unsigned what, void *arg, void *st, void *sql)
{
	(void)what;
	(void)arg;
	(void)st;
	pthread_mutex_lock(&power.trace_lock);
	if (power.trace != NULL)
		power.trace(power.trace_arg, sql);
	pthread_mutex_unlock(&power.trace_lock);
	return 0;
}

/* SQLite calls it for every connection, before whoever opened it gets it. */
static int connected(sqlite3 *db, char **error, const void *api)
{
	(void)error;
	(void)api;
	if (observing)
		return SQLITE_OK;
	sqlite3_trace_v2(db, SQLITE_TRACE_STMT, traced, NULL);
	return SQLITE_OK;
}

/* ---- the VFS ---- */
static const char *last_part(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash == NULL ? path : slash + 1;
}

static int vfs_open(sqlite3_vfs *v, const char *path, sqlite3_file *out, int flags, int *out_flags)
{
	const char *name = path == NULL ? NULL : last_part(path);
	struct pfile *f = (struct pfile *)(void *)out;
	bool create = (flags & SQLITE_OPEN_CREATE) != 0, fresh;
	int rc = SQLITE_CANTOPEN;

	(void)v;
	memset(f, 0, sizeof(*f));
	pthread_mutex_lock(&power.lock);
	if (power.machine == NULL || power.machine->off || power_fails(observing, FAULT_EMFILE))
		goto out;
	if ((flags & SQLITE_OPEN_MAIN_DB) != 0 && name != NULL && power.db_name[0] == '\0')
		snprintf(power.db_name, sizeof(power.db_name), "%s", name);
	f->machine = power.machine;
	f->observer = observing;
	f->kind = power_kind(name);
	f->readonly = power.faults.readonly && !f->observer;
	if (name == NULL) {
		f->file = vdisk_anonymous(f->machine->disk);
	} else {
		f->file = vdisk_open(f->machine->disk, name, false);
		fresh = f->file == NULL;
		if (fresh && create && !f->readonly)
			f->file = vdisk_open(f->machine->disk, name, true);
		if (f->file == NULL)
			goto out;
		if (fresh) {
			power_stranger(f->observer, name);
			if (power_strikes(f->machine, f->observer, POWER_OPEN, f->kind)) {
				vfile_release(&f->file);
				goto out;
			}
		}
	}
	f->readonly |= (flags & SQLITE_OPEN_READONLY) != 0;
	f->new_journal =
		create && (flags & (SQLITE_OPEN_MAIN_JOURNAL | SQLITE_OPEN_SUPER_JOURNAL | SQLITE_OPEN_WAL)) != 0;
	if ((flags & SQLITE_OPEN_DELETEONCLOSE) != 0 && name != NULL)
		vdisk_delete(f->machine->disk, name);
	f->sync_failures = vfile_sync_failures(f->file);
	f->machine->holds++;
	f->node = node_of(f->machine, f->file);
	f->base.pMethods = &power_methods;
	if (out_flags != NULL)
		*out_flags = f->readonly
				     ? (flags & ~(SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE)) | SQLITE_OPEN_READONLY
				     : flags;
	rc = SQLITE_OK;
out:
	pthread_mutex_unlock(&power.lock);
	return rc;
}

int power_close(sqlite3_file *file)
{
	struct pfile *f = (struct pfile *)(void *)file;

	pthread_mutex_lock(&power.lock);
	node_leave(f);
	vfile_release(&f->file);
	machine_release(f->machine);
	pthread_mutex_unlock(&power.lock);
	f->base.pMethods = NULL;
	return SQLITE_OK;
}

static int vfs_delete(sqlite3_vfs *v, const char *path, int sync_names)
{
	const char *name = last_part(path);
	struct machine *m;
	int rc = SQLITE_IOERR_DELETE;

	(void)v;
	pthread_mutex_lock(&power.lock);
	m = power.machine;
	if (m == NULL || m->off || (power.faults.readonly && !observing) || power_fails(observing, FAULT_EIO_DELETE))
		goto out;
	rc = SQLITE_IOERR_DELETE_NOENT;
	if (!vdisk_delete(m->disk, name))
		goto out;
	power_stranger(observing, name);
	power.seen.db_deleted += !observing && power_kind(name) == POWER_DB;
	rc = SQLITE_OK;
	if (power_strikes(m, observing, POWER_DELETE, power_kind(name)))
		rc = SQLITE_IOERR_DELETE;
	else if ((sync_names & 1) != 0 && !power.faults.lie)
		vdisk_sync_names(m->disk);
out:
	pthread_mutex_unlock(&power.lock);
	return rc;
}

static int vfs_access(sqlite3_vfs *v, const char *path, int flags, int *out)
{
	struct vfile *f = NULL;
	int rc = SQLITE_IOERR_ACCESS;

	(void)v;
	pthread_mutex_lock(&power.lock);
	if (power.machine != NULL && !power.machine->off) {
		f = vdisk_open(power.machine->disk, last_part(path), false);
		/* as SQLite's own: an empty file counts as none */
		*out = f != NULL && (flags != SQLITE_ACCESS_EXISTS || vfile_size(f) > 0) &&
		       (flags != SQLITE_ACCESS_READWRITE || !power.faults.readonly || observing);
		vfile_release(&f);
		rc = SQLITE_OK;
	}
	pthread_mutex_unlock(&power.lock);
	return rc;
}

/* The same in every run, so that a seed says more. */
static int vfs_randomness(sqlite3_vfs *v, int n, char *out)
{
	static uint64_t calls;
	int i;

	(void)v;
	pthread_mutex_lock(&power.lock);
	for (i = 0; i < n; i++)
		out[i] = (char)vdisk_dice(11, calls, (uint64_t)i);
	calls++;
	pthread_mutex_unlock(&power.lock);
	return n;
}

/* Where BUSY is injected by the thousand nobody waits out every time. */
static int vfs_sleep(sqlite3_vfs *v, int us)
{
	(void)v;
	usleep((useconds_t)(power.faults.ppm[FAULT_BUSY] > 0 ? us / 1000 : us));
	return us;
}

void power_register(void)
{
	static sqlite3_vfs vfs;
	sqlite3_vfs *unix_vfs;
	pthread_mutexattr_t attr;

	if (vfs.xOpen != NULL)
		return;
	pthread_mutexattr_init(&attr);
	pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_RECURSIVE);
	pthread_mutex_init(&power.trace_lock, &attr);
	pthread_mutexattr_destroy(&attr);
	sqlite3_initialize();
	unix_vfs = sqlite3_vfs_find(NULL);
	vfs = *unix_vfs; /* the clock and paths stay the system's */
	vfs.iVersion = 2;
	vfs.szOsFile = (int)sizeof(struct pfile);
	vfs.zName = "powercut";
	vfs.pNext = NULL;
	vfs.xOpen = vfs_open;
	vfs.xDelete = vfs_delete;
	vfs.xAccess = vfs_access;
	vfs.xSleep = vfs_sleep;
	vfs.xRandomness = vfs_randomness;
	sqlite3_vfs_register(&vfs, 1);
	sqlite3_auto_extension((void (*)(void))connected);
	power_new();
}
