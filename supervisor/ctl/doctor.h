/* What this machine gives a tribe and what degrades where it does not. The probes look (doctor_*.c); what a figure
 * means is decided by the pure judge_*() below, which tests feed by hand. */
#ifndef SUPERVISOR_CTL_DOCTOR_H
#define SUPERVISOR_CTL_DOCTOR_H
#include "supervisor/ctl/ctl.h"
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum doctor_level { DOCTOR_OK, DOCTOR_WARN, DOCTOR_FAIL };
struct finding {
	const char *group, *check; /* static: "disk", "fsync" */
	enum doctor_level level;
	char value[256];    /* what was found */
	char degrades[256]; /* what it means for the tribe; empty when all is well */
};
#define DOCTOR_MAX 64
struct doctor {
	struct ctl *c;
	struct finding v[DOCTOR_MAX];
	unsigned n;
	/* of the tribe that runs here, when one answers */
	pid_t tribed; /* 0: none */
};

/* Adds a finding; the value comes by the format. degrades: static or borrowed, copied; NULL when the level is
 * DOCTOR_OK. */
void doctor_add(struct doctor *d, const char *group, const char *check, enum doctor_level level, const char *degrades,
		const char *fmt, ...) __attribute__((format(printf, 6, 7)));

void doctor_kernel(struct doctor *d);
void doctor_spawn(struct doctor *d);
void doctor_disk(struct doctor *d);
void doctor_limits(struct doctor *d);
void doctor_clock(struct doctor *d);
void doctor_tribe(struct doctor *d); /* fills d->tribed: first of all */
void doctor_files(struct doctor *d);
void doctor_systemd(struct doctor *d);

/* Median time of append + fdatasync, in us. *why: what it degrades; NULL with DOCTOR_OK. */
enum doctor_level judge_sync(double median_us, const char **why);
/* statfs.f_type; *name is never NULL ("unknown" for one that is not listed). */
enum doctor_level judge_filesystem(uint64_t type, const char **name, const char **why);
enum doctor_level judge_space(uint64_t free_bytes, const char **why);
enum doctor_level judge_inodes(uint64_t files, uint64_t free_files, const char **why); /* files 0: it has no limit */
enum doctor_level judge_nofile(uint64_t soft, uint64_t http_connections, const char **why);
/* A directory of the tribe: its mode and owner, and who looks. */
enum doctor_level judge_directory(mode_t mode, uid_t owner, uid_t mine, const char **why);
/* How far the wall clock moved against the clock since boot, in ms, since tribed started. */
enum doctor_level judge_steps(int64_t moved_ms, const char **why);

#endif
