/* A work of memory-jr's, seen from outside: begun, looked at ten times a second, ended. */
#include "common/base/clock.h"
#include "supervisor/ctl/backup.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define LOOK_MS     100u
#define SHOW_MS     100u
#define BUSY_MS     20000u /* another one may be given up meanwhile */
#define LAST_MS     2000u
#define END_MS      10000u /* what is given up may have to tidy up */
#define CALL_MIN_MS 60000u /* memory-jr may be replaced meanwhile */

bool steps_show(void *arg, uint64_t done, uint64_t total)
{
	struct steps *s = arg;
	uint64_t now = tr_mono_ms();
	char a[SHOW_SHORT], b[SHOW_SHORT];

	if (ctl_interrupted())
		return false;
	if (!s->c->progress || now - s->shown_ms < SHOW_MS)
		return true;
	s->shown_ms = now;
	(s->bytes ? show_bytes : show_count)(a, done);
	(s->bytes ? show_bytes : show_count)(b, total);
	if (total > 0)
		(void)fprintf(stderr, "\r\x1b[K%s %3.0f %%  %s of %s", s->what, 100.0 * (double)done / (double)total, a,
			      b);
	else if (done > 0)
		(void)fprintf(stderr, "\r\x1b[K%s  %s", s->what, a);
	else
		(void)fprintf(stderr, "\r\x1b[K%s ...", s->what);
	return true;
}

void steps_end(struct steps *s)
{
	if (s->c->progress && s->shown_ms != 0)
		(void)fputs("\r\x1b[K", stderr);
	s->shown_ms = 0;
}

void bwork_init(struct bwork *w, struct ctl *c)
{
	memset(w, 0, sizeof(*w));
	w->c = c;
	tr_id_new(w->id);
	if (!c->timeout_given && c->timeout_ms < CALL_MIN_MS)
		c->timeout_ms = CALL_MIN_MS;
}

static void keep_text(char *to, size_t size, bool has, wire_str s)
{
	tr_copy(to, size, has ? s.p : "", has ? s.n : 0);
}

static void on_work(void *arg, const void *res)
{
	const struct item_work *i = &((const struct res_memory_work *)res)->work;
	struct bwork *w = arg;

	keep_text(w->phase, sizeof(w->phase), true, i->phase);
	keep_text(w->reason, sizeof(w->reason), i->has_reason, i->reason);
	keep_text(w->kept, sizeof(w->kept), i->has_kept, i->kept);
	w->done = i->done;
	w->total = i->total;
	w->finished = i->finished;
	w->ok = i->ok;
	w->has_backup = i->has_backup && backup_take(&w->backup, &i->backup, NULL) == 0;
	w->turn = i->has_dump;
	if (!w->turn)
		return;
	keep_text(w->service, sizeof(w->service), true, i->dump.service);
	keep_text(w->snapshot, sizeof(w->snapshot), i->dump.has_snapshot, i->dump.snapshot);
	w->server = i->dump.server;
}

static void nap(void)
{
	const struct timespec t = {.tv_nsec = LOOK_MS * 1000000L};

	(void)nanosleep(&t, NULL); /* a signal ends it */
}

enum ctl_exit bwork_begin(struct bwork *w, enum wire_msg_id id, const void *msg)
{
	uint64_t until = tr_mono_ms() + BUSY_MS;
	struct steps steps = {.c = w->c, .what = "waiting for another backup or restore"};
	struct tr_fault fault;
	int r;

	w->begun = true; /* or perhaps: the answer may be lost */
	while ((r = ctl_call(w->c, id, msg, on_work, w, &fault)) == TR_EBUSY && tr_mono_ms() < until &&
	       !ctl_interrupted()) {
		steps_show(&steps, 0, 0);
		nap();
	}
	steps_end(&steps);
	if (r == TR_EBUSY)
		w->begun = false;
	return r < 0 ? ctl_complain(w->c, r, &fault) : CTL_DONE;
}

enum ctl_exit bwork_look(struct bwork *w)
{
	const struct msg_memory_work msg = {.work = wire_s(w->id), .has_go_on = true, .go_on = w->go_on};
	struct tr_fault fault;
	int r = ctl_call(w->c, MSG_memory_work, &msg, on_work, w, &fault);

	if (r < 0) {
		w->finished = false;
		return ctl_complain(w->c, r, &fault);
	}
	return w->finished && !w->ok ? CTL_FAILED : CTL_DONE;
}

enum ctl_exit bwork_wait(struct bwork *w)
{
	struct steps steps = {.c = w->c, .what = w->phase};
	enum ctl_exit e = w->finished && !w->ok ? CTL_FAILED : CTL_DONE;

	while (e == CTL_DONE && !w->finished && !w->turn && (e = bwork_look(w)) == CTL_DONE && !w->finished &&
	       !w->turn) {
		steps.bytes = strcmp(w->phase, "sealing") == 0 || strcmp(w->phase, "digesting") == 0;
		steps_show(&steps, w->done, w->total);
		nap();
	}
	steps_end(&steps);
	return e;
}

struct last {
	bool told, over;
};

static void on_last(void *arg, int r, const void *res, const struct tr_fault *fault)
{
	struct last *l = arg;

	(void)fault;
	l->told = true;
	l->over = r < 0 || ((const struct res_memory_work *)res)->work.finished; /* not known any more, or at its end */
}

/* Not ctl_call(): that says nothing any more once somebody pressed Ctrl-C. */
void bwork_end(struct bwork *w)
{
	const struct msg_memory_work msg = {.work = wire_s(w->id), .has_end = true, .end = true};
	struct peer *p = w->begun ? ctl_peer(w->c, TR_ROLE_MEMORY) : NULL;
	uint64_t until = tr_mono_ms() + END_MS;
	struct last last = {.over = p == NULL};

	w->begun = false;
	while (!last.over && tr_mono_ms() < until) {
		last.told = false;
		if (peer_call(p, MSG_memory_work, &msg, LAST_MS, on_last, &last, NULL) < 0)
			return;
		while (!last.told)
			(void)uv_run(&w->c->loop, UV_RUN_ONCE);
		if (!last.over)
			nap();
	}
}
