#include "jrs/memory/opening.h"
#include "common/base/clock.h"
#include "common/log/log.h"
#include "jrs/memory/archive/ailing.h"
#include "jrs/memory/numbered.h"
#include "jrs/memory/place.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define SERVER_WAIT_MS 15000u /* less than start_timeout_ms */
#define FOLLOW_WAIT_MS 5000u  /* who follows and cannot yet leaves then, and is started again */
#define LOOK_MS        20u
#define LOCK           "memory.lock"

static int open_lock(struct opening *o, const char *state, struct tr_fault *fault)
{
	char path[4200];

	if (snprintf(path, sizeof(path), "%s/" LOCK, state) >= (int)sizeof(path))
		return tr_fault_set(fault, TR_ETOOBIG, "archive", "is too long a path");
	if ((o->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600)) < 0)
		return tr_fault_set(fault, TR_ESTORE, "archive", "its lock cannot be opened (errno %d)", errno);
	return 0;
}

struct files {
	uint64_t dev, ino, index;
};

/* A takeover waits for opening_moved(): so the way to the archive is gone only once, as far as nothing on it is ever
 * switched, and the last two names remain (`current` is a link). */
static int open_near(struct opening *o, struct tr_fault *fault)
{
	char dir[sizeof(o->path)];
	char *cut;
	int names;

	(void)snprintf(dir, sizeof(dir), "%s", o->path);
	for (names = 0, cut = dir + strlen(dir); names < 2 && cut > dir; names += *cut == '/')
		cut--;
	if ((size_t)snprintf(o->near, sizeof(o->near), "%s", o->path + (cut - dir) + 1) >= sizeof(o->near))
		return tr_fault_set(fault, TR_ETOOBIG, "archive.url", "has too long a name");
	(void)snprintf(o->near_index, sizeof(o->near_index), "%s-shm", o->near);
	cut[cut == dir] = '\0';
	if ((o->dir_fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC)) < 0)
		return tr_fault_set(fault, TR_ESTORE, "archive.url", "its directory cannot be opened (errno %d)",
				    errno);
	return 0;
}

static struct files files_of(const struct opening *o)
{
	struct files f = {0, 0, 0};
	struct stat st;

	if (o->path[0] == '\0' || fstatat(o->dir_fd, o->near, &st, 0) < 0)
		return f;
	f.dev = st.st_dev;
	f.ino = st.st_ino;
	f.index = fstatat(o->dir_fd, o->near_index, &st, 0) < 0 ? 0 : st.st_ino;
	return f;
}

static void remember(struct opening *o, struct files f)
{
	o->dev = f.dev;
	o->ino = f.ino;
	o->index = f.index;
}

bool opening_moved(const struct opening *o)
{
	struct files now = files_of(o);

	/* while it is open nobody makes its index anew, and nobody removes it */
	return now.dev != o->dev || now.ino != o->ino || (o->index != 0 && now.index != o->index);
}

/* TR_EBUSY: somebody else sees to what it needs. */
static int open_once(struct opening *o, struct archive_cfg *cfg, struct archive **out, struct tr_fault *fault)
{
	bool damaged = false;
	int r;

	cfg->damaged = &damaged;
	remember(o, files_of(o));
	if ((r = archive_open(out, cfg, fault)) == 0 && cfg->alone)
		remember(o, files_of(o)); /* it may just have been made */
	if (r == 0 && opening_moved(o)) {
		archive_close(out);
		return tr_fault_set(fault, TR_EBUSY, "archive.url", "was replaced while it was opened");
	}
	if (r == 0 || !damaged)
		return r;
	if (!cfg->alone)
		return tr_fault_set(fault, TR_EBUSY, "archive.url", "is damaged; whoever leads sees to it");
	log_error("archive: damaged, it cannot be opened reason=\"%s\"", fault->rule);
	return ailing_open(out, fault->rule);
}

/* Alone if that is so, else beside others. Afterwards the lock is shared, or, on failure, not held. */
static int open_as_it_is(struct opening *o, struct archive_cfg *cfg, struct archive **out, struct tr_fault *fault)
{
	int r;

	cfg->alone = flock(o->lock_fd, LOCK_EX | LOCK_NB) == 0;
	if (!cfg->alone && flock(o->lock_fd, LOCK_SH | LOCK_NB) < 0)
		return tr_fault_set(fault, TR_EBUSY, "archive.url", "is being opened by another memory-jr");
	r = open_once(o, cfg, out, fault);
	if (r < 0)
		(void)flock(o->lock_fd, LOCK_UN);
	else if (cfg->alone && flock(o->lock_fd, LOCK_SH) < 0)
		log_warn("archive: its lock could not be shared errno=%d", errno);
	return r;
}

/* A server that is away at the start, or goes away meanwhile, gets some time, as does a lead that makes the archive: to
 * leave and be started anew would be slower. Who is told to leave meanwhile hears it. */
static int open_patiently(struct opening *o, struct archive_cfg *cfg, struct archive **out, struct tr_fault *fault)
{
	uint64_t began = tr_mono_ms();
	int r;

	for (;;) {
		uint64_t waited;

		r = open_as_it_is(o, cfg, out, fault);
		waited = tr_mono_ms() - began;
		if (!(r == TR_EBUSY && waited < FOLLOW_WAIT_MS) &&
		    !(r == TR_EUNAVAILABLE && cfg->conninfo != NULL && waited < SERVER_WAIT_MS))
			return r;
		usleep(LOOK_MS * 1000);
		(void)uv_run(cfg->loop, UV_RUN_NOWAIT);
		if (o->told_to_leave(o->arg))
			return TR_ECLOSED;
	}
}

int opening_begin(struct opening *o, const struct jr_opts *opts, uv_loop_t *loop, struct archive **out)
{
	bool usual = opts->cfg.archive_url[0] == '\0';
	struct guard_policy policy = {GUARD_REFUSE,
				      false}; /* the settings were checked; whatever else they say is that */
	struct archive_cfg cfg = {.loop = loop,
				  .follow = true,
				  .purge_after_ms = (uint64_t)opts->cfg.archive_purge_after_s * 1000,
				  .source_rows_max = opts->cfg.archive_source_rows_max,
				  .source_bytes_max = opts->cfg.archive_source_bytes_max,
				  .min_free_bytes = (uint64_t)opts->cfg.archive_min_free_mb << 20,
				  .act_delay_ms = (uint64_t)opts->cfg.governance_delay_s * 1000,
				  .sacred_limited = true,
				  .sacred_quota = opts->cfg.governance_sacred_quota};
	unsigned char keys[CFG_NGOVERNORS][CFG_KEY_LEN];
	struct tr_fault fault = {0};
	uint64_t began = tr_mono_ns();
	int r;

	if (cfg_governance_keys(&opts->cfg, keys))
		cfg.governors = (const unsigned char(*)[CFG_KEY_LEN])keys;
	if (guard_policy_parse(opts->cfg.guard_secrets, opts->cfg.guard_pii, &policy))
		cfg.guard = policy;
	o->path[0] = '\0';
	o->dir_fd = -1;
	remember(o, (struct files){0, 0, 0});
	if ((r = open_lock(o, opts->state, &fault)) == 0 && cfg_archive_is_postgres(&opts->cfg))
		cfg.conninfo = opts->cfg.archive_url;
	else if (r == 0 &&
		 (r = place_archive(opts->state, opts->cfg.archive_url, o->path, sizeof(o->path), &fault)) == 0 &&
		 (r = open_near(o, &fault)) == 0)
		cfg.path = o->path;
	/* where somebody came back to on purpose, what can be read is served */
	cfg.numbered = usual && !numbered_was_left(opts->state, numbered_current(opts->state));
	if (r == 0)
		r = open_patiently(o, &cfg, out, &fault);
	if (r == 0)
		log_info("archive open ms=%.1f %s", (double)(tr_mono_ns() - began) / 1e6,
			 cfg.alone ? "alone" : "beside others");
	else if (r == TR_ECLOSED)
		log_info("leaving before the archive could be opened: it %s", fault.rule);
	else if (r == TR_EBUSY)
		log_warn("cannot follow yet, to be started again: the archive %s", fault.rule);
	else
		log_error("the archive cannot be used: %s %s", /* nobody set the key of the usual place */
			  usual ? "the archive" : fault.field, fault.rule);
	return r;
}

void opening_end(struct opening *o)
{
	if (o->lock_fd >= 0)
		close(o->lock_fd);
	if (o->dir_fd >= 0)
		close(o->dir_fd);
	o->lock_fd = o->dir_fd = -1;
}
