/* Gathers what SQLite writes into its log: a commit of sixteen pages is thirty-odd small writes, one behind the other,
 * and each costs a system call. Here they reach the file in one, at the latest before it is synced or read. An SQLite
 * VFS over another one; only logs are touched. */
#ifndef JRS_MEMORY_ARCHIVE_GATHER_H
#define JRS_MEMORY_ARCHIVE_GATHER_H

/* The name for sqlite3_open_v2(); registered at first use over the VFS of that name. NULL: out of memory. */
const char *gather_vfs(const char *over);

#endif
