/* Shared by powercut_vfs.c (machines, names, faults) and powercut_vfs_file.c (what an open file does). */
#ifndef TESTS_KIT_POWERCUT_VFS_INTERNAL_H
#define TESTS_KIT_POWERCUT_VFS_INTERNAL_H
#include "tests/kit/powercut_vfs.h"
#include "tests/kit/vfs_disk.h"
#include <pthread.h>
#include <sqlite3.h>

struct node;
/* One life between two cuts. Held by its open files and, while it is the present one, by `power`. */
struct machine {
	unsigned holds;
	struct vdisk *disk;
	struct node *nodes;
	bool off;
};
/* An open file's locks and shared memory on one machine, common to all who opened it. */
#define SHM_REGIONS 64
struct node {
	struct node *next;
	struct vfile *file; /* whose; not a hold of its own */
	unsigned opens, shm_users;
	unsigned shared;                                    /* connections at SHARED or more */
	const struct pfile *reserved, *pending, *exclusive; /* who, or NULL */
	unsigned shm_shared[SQLITE_SHM_NLOCK];
	const struct pfile *shm_exclusive[SQLITE_SHM_NLOCK];
	void *shm[SHM_REGIONS];
	int nshm;
};
struct pfile {
	sqlite3_file base;
	struct machine *machine;
	struct node *node;
	struct vfile *file;
	enum power_file kind;
	int level;              /* SQLITE_LOCK_* */
	unsigned sync_failures; /* of the file, as far as it was told */
	uint16_t shm_shared, shm_exclusive;
	bool observer, readonly, new_journal, has_shm, persist_wal;
};

extern struct power {
	pthread_mutex_t lock;
	struct machine *machine;
	char db_name[64]; /* the main file's: the first one that was opened */
	unsigned cut_ops, cut_files;
	unsigned long cut_in; /* operations until the cut; 0: not armed */
	struct power_faults faults;
	uint64_t calls[FAULT_NKINDS], injected[FAULT_NKINDS];
	struct power_seen seen;
	uint64_t cuts[POWER_NOPS][POWER_NFILES];
	bool synchronous_off;
	pthread_mutex_t trace_lock; /* recursive: the callback may look at SQLite */
	power_trace_cb *trace;
	void *trace_arg;
} power;
extern const sqlite3_io_methods power_methods;

enum power_file power_kind(const char *name);
bool power_strikes(struct machine *m, bool observer, enum power_op op, enum power_file file);
bool power_fails(bool observer, enum power_fault kind);
void power_stranger(bool observer, const char *name);
int power_close(sqlite3_file *file);
struct node *node_of(struct machine *m, struct vfile *file);
void node_leave(struct pfile *f); /* gives back its locks and its part of the shared memory */

#endif
