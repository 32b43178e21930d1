/* A disk in memory that can lose its power. No SQLite in here; powercut_vfs.c puts it under SQLite.
 *
 * THE MODEL. What the running machine sees is the page cache: every write at once. What survives a power cut is
 *  - of a file: its content as of the last finished sync, and of every write and truncation since then, drawn from a
 * seed: all of it, nothing of it, or it is torn: of each 512-byte sector it touches the new bytes arrived, or they did
 * not, or (where the mood of this cut allows it) noise stands there instead. Each draws for itself, so they arrive in
 * any order, also across files; a mood may instead let them arrive in order up to one point. A sync that was under way
 * at the cut counts as not finished.
 *  - No write hurts a byte outside its own range: powersafe overwrite, which SQLite's own Unix VFS assumes too.
 *  - A file that grew by writes of which an earlier one is missing has zeros in the gap, or noise where the mood allows
 *      it (blocks that were given to the file and never written).
 *  - of the directory: its names as of its last sync, and of the creations, deletions and renames since then a random
 *      selection in their order, or the first few (a file system with a journal). Syncing a file does not sync its
 * name.
 *  - what was synced is never damaged: this is a disk without power, not a broken one.
 * A failed sync may leave what it should have written clean in the cache and absent from the disk for ever, as Linux
 * does.
 *
 * One directory a disk. Not for several threads at once: the caller has a lock. Aborts when memory runs out. */
#ifndef TESTS_KIT_VFS_DISK_H
#define TESTS_KIT_VFS_DISK_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VDISK_SECTOR 512u

struct vdisk;
struct vfile; /* one file, whatever its name is now; gone when neither a name nor anybody holds it */

/* A number that depends on its arguments only: dice without a state. */
uint64_t vdisk_dice(uint64_t seed, uint64_t a, uint64_t b);

struct vdisk *vdisk_new(void);
void vdisk_free(struct vdisk **d); /* files that are still held stay usable. NULL is fine */
/* What a machine finds that is started after a cut of d, which stays as it is. *mood (may be NULL): a word for it. */
struct vdisk *vdisk_cut(const struct vdisk *d, uint64_t seed, const char **mood);

/* Each gives a hold that vfile_release() ends. */
struct vfile *vdisk_open(struct vdisk *d, const char *name, bool create); /* NULL: there is no such file */
struct vfile *vdisk_anonymous(struct vdisk *d);
void vfile_release(struct vfile **f);

bool vdisk_delete(struct vdisk *d, const char *name); /* false: there is no such file */
bool vdisk_rename(struct vdisk *d, const char *from, const char *to);
void vdisk_sync_names(struct vdisk *d);
/* The names, in the order of their creation: name number i, NULL past the last one. */
const char *vdisk_name(const struct vdisk *d, size_t i);

size_t vfile_read(const struct vfile *f, void *to, size_t n, uint64_t at); /* bytes that were there */
void vfile_write(struct vfile *f, const void *from, size_t n, uint64_t at);
void vfile_truncate(struct vfile *f, uint64_t size); /* also lengthens, with zeros */
void vfile_sync(struct vfile *f);
void vfile_sync_failed(struct vfile *f, uint64_t seed); /* see above; some of it reaches the disk */
unsigned vfile_sync_failures(const struct vfile *f);    /* so many ever */
uint64_t vfile_size(const struct vfile *f);
size_t vfile_unsynced(const struct vfile *f); /* writes and truncations */
/* The bytes as the running machine sees them; valid until the next change. */
const unsigned char *vfile_bytes(const struct vfile *f);

#endif
