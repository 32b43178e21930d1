/* Pure: figures in, verdicts out. */
#include "supervisor/ctl/doctor.h"
#include <linux/magic.h>
#include <stddef.h>
#include <sys/stat.h>

#define SYNC_ABSURD_US 15    /* no disk and no flash without a cache answers so fast; a syscall does */
#define SYNC_SLOW_US   20000 /* fifty acknowledged commits a second */
#define SPACE_FAIL     (64ull << 20)
#define SPACE_WARN     (1ull << 30)
#define INODES_WARN    1000
#define NOFILE_SPARE   256 /* files, sockets and channels of a Jr beside its HTTP connections */
#define STEP_MS        2000

enum doctor_level judge_sync(double median_us, const char **why)
{
	*why = NULL;
	if (median_us < SYNC_ABSURD_US) {
		*why = "answered without a disk: a volatile write cache or a file system in memory; what was "
		       "acknowledged "
		       "may be lost with the power";
		return DOCTOR_WARN;
	}
	if (median_us > SYNC_SLOW_US) {
		*why = "every acknowledged write waits for this; many at once share one wait";
		return DOCTOR_WARN;
	}
	return DOCTOR_OK;
}

enum doctor_level judge_filesystem(uint64_t type, const char **name, const char **why)
{
	static const char lost[] = "it is gone with the machine's memory: nothing outlives a restart of the machine";
	static const char layer[] = "a container's own layer: it is gone with the container; mount a volume here";
	static const char remote[] =
		"SQLite's write-ahead log needs memory shared on one machine, and locks over a network "
		"are not sound: use a local disk";
	static const char fuse[] = "what fsync and locks mean there is up to the program behind it";
	static const struct {
		uint64_t type;
		const char *name;
		enum doctor_level level;
		const char *why;
	} known[] = {
		{EXT4_SUPER_MAGIC, "ext4", DOCTOR_OK, NULL},
		{XFS_SUPER_MAGIC, "xfs", DOCTOR_OK, NULL},
		{BTRFS_SUPER_MAGIC, "btrfs", DOCTOR_OK, NULL},
		{F2FS_SUPER_MAGIC, "f2fs", DOCTOR_OK, NULL},
		{0x2fc12fc1, "zfs", DOCTOR_OK, NULL},
		{0xca451a4e, "bcachefs", DOCTOR_OK, NULL},
		{TMPFS_MAGIC, "tmpfs", DOCTOR_WARN, lost},
		{RAMFS_MAGIC, "ramfs", DOCTOR_WARN, lost},
		{OVERLAYFS_SUPER_MAGIC, "overlayfs", DOCTOR_WARN, layer},
		{FUSE_SUPER_MAGIC, "fuse", DOCTOR_WARN, fuse},
		{V9FS_MAGIC, "9p", DOCTOR_FAIL, remote},
		{NFS_SUPER_MAGIC, "nfs", DOCTOR_FAIL, remote},
		{SMB_SUPER_MAGIC, "smb", DOCTOR_FAIL, remote},
		{CIFS_SUPER_MAGIC, "cifs", DOCTOR_FAIL, remote},
		{SMB2_SUPER_MAGIC, "smb2", DOCTOR_FAIL, remote},
		{CEPH_SUPER_MAGIC, "ceph", DOCTOR_FAIL, remote},
	};

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		if (known[i].type == type) {
			*name = known[i].name;
			*why = known[i].why;
			return known[i].level;
		}
	}
	*name = "unknown";
	*why = "not one of those the tribe is known to run on";
	return DOCTOR_WARN;
}

enum doctor_level judge_space(uint64_t free_bytes, const char **why)
{
	*why = free_bytes < SPACE_FAIL   ? "nothing can be remembered once it is full"
	       : free_bytes < SPACE_WARN ? "it fills soon: nothing can be remembered then"
					 : NULL;
	return free_bytes < SPACE_FAIL ? DOCTOR_FAIL : free_bytes < SPACE_WARN ? DOCTOR_WARN : DOCTOR_OK;
}

enum doctor_level judge_inodes(uint64_t files, uint64_t free_files, const char **why)
{
	*why = NULL;
	if (files == 0 || free_files >= INODES_WARN)
		return DOCTOR_OK;
	*why = "a new file (log, snapshot, backup) cannot be made without one";
	return free_files < 16 ? DOCTOR_FAIL : DOCTOR_WARN;
}

enum doctor_level judge_nofile(uint64_t soft, uint64_t http_connections, const char **why)
{
	*why = NULL;
	if (soft >= http_connections + NOFILE_SPARE)
		return DOCTOR_OK;
	*why = "fewer HTTP connections than http.max_connections can be open at once; raise it (LimitNOFILE=)";
	return soft < NOFILE_SPARE ? DOCTOR_FAIL : DOCTOR_WARN;
}

enum doctor_level judge_directory(mode_t mode, uid_t owner, uid_t mine, const char **why)
{
	*why = NULL;
	if (!S_ISDIR(mode))
		*why = "it is no directory: tribed cannot start";
	else if ((mode & 0002) != 0)
		*why = "everybody may put files here, or take them away: chmod 0700";
	if (*why != NULL)
		return DOCTOR_FAIL;
	if ((mode & 0067) != 0) /* the group may walk through, to control.sock */
		*why = "others may look into it: chmod 0700";
	else if (owner != mine && mine != 0)
		*why = "it belongs to somebody else: run tribectl as that user, as root, or as a member of the group "
		       "tribe";
	return *why != NULL ? DOCTOR_WARN : DOCTOR_OK;
}

enum doctor_level judge_steps(int64_t moved_ms, const char **why)
{
	*why = NULL;
	if (moved_ms > -STEP_MS && moved_ms < STEP_MS)
		return DOCTOR_OK;
	*why = "the clock was set while the tribe ran: memories of that time carry wrong times, and heat a little off";
	return DOCTOR_WARN;
}
