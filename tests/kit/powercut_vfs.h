/* SQLite on a machine whose power can be cut, and whose system calls can fail. Everything lies in memory (vfs_disk.h
 * has the model of the disk). power_register() makes it the default VFS; what is then opened runs on the present
 * machine.
 *
 * A cut freezes: whatever the old machine's connections still ask for ends with SQLITE_IOERR, and nothing of it is
 * carried out. power_on_again() starts the next machine on what survived; old connections may be closed before or
 * after. The -shm file is memory and gone. System calls behave as in SQLite's own Unix VFS: a new journal's first sync
 * syncs the directory too, a delete does when it is asked to, the main file's creation does not.
 *
 * One for the whole process. Any thread. Paths lead into one directory: only the last part of a name counts. */
#ifndef TESTS_KIT_POWERCUT_VFS_H
#define TESTS_KIT_POWERCUT_VFS_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum power_op {
	POWER_OPEN,
	POWER_WRITE,
	POWER_TRUNCATE,
	POWER_SYNC,
	POWER_DELETE,
	POWER_NOPS
}; /* what leaves a mark on a disk */
enum power_file { POWER_DB, POWER_WAL, POWER_JOURNAL, POWER_OTHER, POWER_NFILES };
#define POWER_ALL_OPS   ((1u << POWER_NOPS) - 1)
#define POWER_ALL_FILES ((1u << POWER_NFILES) - 1)

void power_register(void);
void power_new(void);      /* another machine with an empty disk; the one before is cut for good */
void power_shutdown(void); /* the end: nothing is left of any machine once its connections are closed */

/* ---- the cut ---- */
/* At the nth operation from now (1: the next) of these ops on these files. It is carried out in the cache, then it is
 * dark. */
void power_cut_at(unsigned ops, unsigned files, unsigned long nth);
void power_cut_never(void); /* disarms */
void power_cut(void);       /* now */
bool power_is_off(void);
/* Starts the next machine; what it finds is drawn from seed. Returns a word for what the disk did. */
const char *power_on_again(uint64_t seed);

/* ---- what lies on the disk ---- */
const char *power_file_name(size_t i);                              /* NULL: past the last one */
const unsigned char *power_file_bytes(const char *name, size_t *n); /* NULL: no such file. Valid until anybody writes */
void power_file_put(const char *name, const void *p, size_t n);     /* durable, name and bytes */

/* ---- failing system calls ---- */
enum power_fault {
	FAULT_BUSY,      /* a lock: SQLITE_BUSY */
	FAULT_EIO_READ,  /* and of a size */
	FAULT_EIO_WRITE, /* some of it may have been written */
	FAULT_EIO_SYNC,  /* some of it reached the disk, the rest never will: it is clean in the cache */
	FAULT_EIO_TRUNCATE,
	FAULT_EIO_DELETE,
	FAULT_SHORT_WRITE, /* a part is written, then the disk is full */
	FAULT_ENOSPC,      /* nothing is written */
	FAULT_EMFILE,      /* no file can be opened, not the -shm either */
	FAULT_NKINDS
};
struct power_faults {
	uint64_t seed;
	uint32_t ppm[FAULT_NKINDS]; /* of a million calls of that kind */
	uint64_t nth[FAULT_NKINDS]; /* exactly this call from now on (1: the next); 0: none */
	bool readonly;              /* remounted: nothing can be written, made or deleted */
	bool lie;                   /* a sync does nothing and says it did */
};
void power_faults(const struct power_faults *f); /* NULL: none from now on */
uint64_t power_injected(enum power_fault kind);  /* so often in this process */
uint64_t power_injected_all(void);

/* ---- looking on ---- */
/* Connections that this thread opens while it is on are of the test: no faults, no cuts, not counted, not traced. */
void power_observe(bool on);
/* From now on whoever says PRAGMA synchronous = FULL has said OFF. */
void power_synchronous_off(bool on);
/* Every statement that connections opened from now on run; from their threads, one at a time. NULL: none. */
typedef void power_trace_cb(void *arg, const char *sql);
void power_trace(power_trace_cb *cb, void *arg);

struct power_seen { /* since power_new() or power_seen_reset() */
	uint64_t ops[POWER_NOPS][POWER_NFILES];
	uint64_t cuts[POWER_NOPS][POWER_NFILES]; /* this was a machine's last; over all machines */
	uint64_t db_shrunk;                      /* the main file became shorter */
	uint64_t db_deleted;
	uint64_t strangers; /* files made or deleted that are neither the main file nor its -wal, -journal, -shm */
	char stranger[64];  /* the first of them */
};
void power_seen(struct power_seen *out);
void power_seen_reset(void);

#endif
