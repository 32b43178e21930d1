#include "jrs/memory/rescue.h"
#include "common/base/text.h"
#include "common/log/log.h"
#include "jrs/memory/numbered.h"
#include "jrs/memory/place.h"
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define NAME      "thermal.sqlite"
#define HOUR_MS   3600000
#define MEND_MAX  20000000u /* single bytes tried: some seconds at most */
#define ROOM_HALF 3u        /* halves of the old files' size that must be free */

static bool has_room(const struct rescue_cfg *cfg)
{
	struct statvfs fs;
	struct stat file = {0}, log = {0};
	char name[4200];

	if (statvfs(cfg->state, &fs) < 0)
		return false;
	(void)stat(cfg->path, &file);
	if (snprintf(name, sizeof(name), "%s-wal", cfg->path) < (int)sizeof(name))
		(void)stat(name, &log);
	return (uint64_t)fs.f_bavail * fs.f_frsize >= (uint64_t)(file.st_size + log.st_size) * ROOM_HALF / 2;
}

enum damage_act rescue_may(const struct rescue_cfg *cfg, bool numbered, bool leads, const char **why)
{
	unsigned current = numbered ? numbered_current(cfg->state) : 0;
	const struct damage_facts facts = {
		.confirmed = true,
		.numbered = current > 0,
		.leads = leads,
		.came_back = current > 0 && numbered_was_left(cfg->state, current),
		.room = has_room(cfg),
		.lately = numbered_count(cfg->state, "salvage.json", cfg->now_ms - HOUR_MS),
	};

	return damage_decide(DAMAGE_SUSPECTED, &facts, why);
}

static void log_report(const struct rescue_result *r)
{
	const struct salvage_report *s = &r->report;

	log_info("archive: salvaged memories=%llu rows=%llu doubtful=%llu rejected=%llu lost=%llu mended=%u "
		 "bad_pages=%u "
		 "missing_pages=%u log=%s log_bad=%u log_lost=%u",
		 (unsigned long long)s->memories, (unsigned long long)s->rows, (unsigned long long)s->doubtful,
		 (unsigned long long)s->rejected, (unsigned long long)s->lost, s->old.mended, s->old.bad,
		 s->old.missing, wal_verdict_name(s->old.log), s->old.log_bad, s->old.log_lost);
}

int rescue_run(const struct rescue_cfg *cfg, struct rescue_result *out, struct tr_fault *fault)
{
	struct rescue_result result = {.from = numbered_current(cfg->state)};
	struct salvage_cfg salvage_cfg = {.from = cfg->path,
					  .name = NAME,
					  .reason = cfg->why,
					  .now_ms = cfg->now_ms,
					  .frozen = cfg->frozen,
					  .budget = MEND_MAX,
					  .go_on = cfg->go_on,
					  .arg = cfg->arg};
	char dir[4096];
	int r;

	log_info("archive: salvage begins from=%u", result.from);
	if ((r = numbered_begin(cfg->state, dir, sizeof(dir), fault)) < 0)
		return r;
	salvage_cfg.to_dir = dir;
	if ((r = salvage(&salvage_cfg, &result.report, fault)) < 0 ||
	    (r = numbered_settle(cfg->state, &result.to, fault)) < 0)
		return r;
	log_report(&result);
	/* First the note, then the link: whoever finds the old one left knows why. */
	if ((r = numbered_leave(cfg->state, result.from, result.to, cfg->why, cfg->now_ms, fault)) < 0 ||
	    (r = place_switch(cfg->state, result.to, fault)) < 0)
		return r;
	log_info("archive: current leads to another directory from=%u to=%u; the old one stays as it is", result.from,
		 result.to);
	*out = result;
	return 0;
}

/* ---- in a thread ---- */
struct rescue {
	struct rescue_cfg cfg;
	char state[4096], path[4096], why[160];
	rescue_done *done;
	void *arg;
	uv_async_t *async; /* own allocation: outlives us until libuv has closed it */
	pthread_t thread;
	atomic_bool stop;
	int r;
	struct rescue_result result;
	struct tr_fault fault;
};

static bool go_on(void *arg)
{
	const struct rescue *r = arg;

	return !r->stop;
}

static void *run(void *arg)
{
	struct rescue *r = arg;

	r->r = rescue_run(&r->cfg, &r->result, &r->fault);
	uv_async_send(r->async);
	return NULL;
}

static void on_async(uv_async_t *async)
{
	struct rescue *r = async->data;

	r->done(r->arg, r->r, &r->result, &r->fault);
}

static void free_handle(uv_handle_t *h)
{
	free(h);
}

int rescue_begin(struct rescue **out, uv_loop_t *loop, const struct rescue_cfg *cfg, rescue_done *done, void *arg)
{
	struct rescue *r = calloc(1, sizeof(*r));
	int rc;

	if (r == NULL || (r->async = calloc(1, sizeof(*r->async))) == NULL) {
		free(r);
		return TR_ENOMEM;
	}
	r->cfg = *cfg;
	tr_copy(r->state, sizeof(r->state), cfg->state, strlen(cfg->state));
	tr_copy(r->path, sizeof(r->path), cfg->path, strlen(cfg->path));
	tr_copy(r->why, sizeof(r->why), cfg->why, strlen(cfg->why));
	r->cfg.state = r->state;
	r->cfg.path = r->path;
	r->cfg.why = r->why;
	r->cfg.go_on = go_on;
	r->cfg.arg = r;
	r->done = done;
	r->arg = arg;
	if ((rc = uv_async_init(loop, r->async, on_async)) < 0) {
		free(r->async);
		free(r);
		return rc;
	}
	r->async->data = r;
	if (pthread_create(&r->thread, NULL, run, r) != 0) {
		uv_close((uv_handle_t *)r->async, free_handle);
		free(r);
		return TR_ENOMEM;
	}
	*out = r;
	return 0;
}

void rescue_free(struct rescue **rp)
{
	struct rescue *r = rp == NULL ? NULL : *rp;

	if (r == NULL)
		return;
	r->stop = true;
	pthread_join(r->thread, NULL);
	uv_close((uv_handle_t *)r->async, free_handle);
	free(r);
	*rp = NULL;
}
