#include "common/base/clock.h"
#include "supervisor/ctl/drill_run.h"
#include "supervisor/ctl/show.h"
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define POLL_MAX_MS   20
#define CALM_NS       1000000000ull /* so long no request of the load was in trouble */
#define LASTS_MS      1000u         /* of a fault that passes, without --ms */
#define LASTS_TRY_MS  250u          /* one probe while such a fault lasts: what is not answered then is asked again */
#define SUPERVISOR_MS 500u          /* one status, while tribed is replaced */

static void nap(uint64_t ns)
{
	const struct timespec t = {.tv_sec = (time_t)(ns / 1000000000), .tv_nsec = (long)(ns % 1000000000)};

	(void)nanosleep(&t, NULL);
}

/* ---- how it is ---- */

/* Serving, and everybody who is to wait behind it waits. */
static bool ready(const struct item_jr *j)
{
	bool yes = status_is(j, "up");

	for (uint32_t i = 0; i < j->understudies.n; i++) {
		wire_str state = j->understudies.v[i].state;

		yes = yes && state.n == strlen("waiting") && memcmp(state.p, "waiting", state.n) == 0;
	}
	return yes;
}

/* Does the same process live on? SIGSTOP lasts, too, but tribed kills what it sees stopped. */
static bool passes(enum harm_kind fault)
{
	return harm_kinds[fault].lasts && fault != HARM_HANG;
}

/* A takeover can be over before tribed has seen the death: until then its status names the dead one, who would be hit
 * again, and counted as somebody. */
static bool was_hit(const struct drill *d, int role, const struct item_jr *j)
{
	for (size_t i = d->r.nrows; i > 0 && !passes(d->r.fault); i--) {
		const struct report_row *row = &d->r.rows[i - 1];

		if (row->role == role && (row->pid == j->pid || row->also == j->pid) && j->has_pid)
			return row->generation >= j->generation;
	}
	return false;
}

static void on_status(void *arg, const void *res)
{
	const struct res_status *s = res;
	struct drill *d = arg;

	d->operational = s->status.n == strlen("operational") && memcmp(s->status.p, "operational", s->status.n) == 0;
	d->supervisor_pid = s->supervisor_pid;
	d->has_http = s->has_http_address;
	d->http_tls = s->has_http_tls && s->http_tls;
	if (s->has_http_address)
		tr_copy(d->http_address, sizeof(d->http_address), s->http_address.p, s->http_address.n);
	for (int i = 0; i < TR_NROLES; i++) {
		const struct item_jr *j = status_jr(s, i);

		d->seen[i] = (struct drill_seen){.up = ready(j) && !was_hit(d, i, j),
						 .pid = j->has_pid ? j->pid : 0,
						 .generation = j->generation,
						 .epoch = j->epoch};
	}
}

int drill_look(struct drill *d, uint32_t timeout_ms, struct tr_fault *fault)
{
	const struct msg_status msg = {.common = {.has_request_id = false}};
	uint32_t usual = d->c->timeout_ms;
	int r;

	if (timeout_ms > 0)
		d->c->timeout_ms = timeout_ms;
	r = ctl_call(d->c, MSG_status, &msg, on_status, d, fault);
	d->c->timeout_ms = usual;
	return r;
}

static bool calm(struct drill *d)
{
	uint64_t now = tr_mono_ns();
	struct load_now l;

	if (d->load == NULL)
		return true;
	load_now(d->load, &l);
	return l.good > 0 && now - l.last_good_ns < CALM_NS &&
	       (l.last_trouble_ns == 0 || now - l.last_trouble_ns >= CALM_NS);
}

static bool all_up(const struct drill *d)
{
	bool up = d->operational;

	for (int i = 0; i < TR_NROLES; i++)
		up = up && d->seen[i].up;
	return up;
}

int drill_steady(struct drill *d, uint32_t watch_ms, struct tr_fault *fault)
{
	uint64_t begun = tr_mono_ms(), until = begun + DRILL_GIVE_UP_MS, pause_ms = 1;
	uint64_t earliest = d->load == NULL ? 0 : begun + watch_ms;
	int r;

	while ((r = drill_look(d, 0, fault)) == 0 && !(all_up(d) && calm(d) && tr_mono_ms() >= earliest)) {
		if (tr_mono_ms() >= until)
			return 1;
		if (ctl_interrupted())
			return tr_fault_set(fault, UV_ECANCELED, "", "interrupted");
		nap(pause_ms * 1000000);
		pause_ms = pause_ms * 2 > POLL_MAX_MS ? POLL_MAX_MS : pause_ms * 2;
	}
	return r;
}

void drill_notices(struct drill *d)
{
	struct watch_notice n;

	for (size_t i = d->r.nrows > 16 ? d->r.nrows - 16 : 0; d->watch != NULL && i < d->r.nrows; i++) {
		struct report_row *row = &d->r.rows[i];

		if (row->detect_ns != 0 || row->role >= TR_NROLES ||
		    !watch_find(d->watch, report_target_api(row->role), row->pid, row->inject_ns, &n) ||
		    (i + 1 < d->r.nrows && n.at_ns >= d->r.rows[i + 1].inject_ns && row[1].role == row->role))
			continue;
		row->detect_ns = n.at_ns;
		(void)snprintf(row->detected_by, sizeof(row->detected_by), "%s", n.kind);
	}
}

/* ---- a call that Ctrl-C does not end ---- */

struct waiting {
	struct tr_fault *fault;
	int r;
	bool done;
};

static void on_answer(void *arg, int r, const void *res, const struct tr_fault *fault)
{
	struct waiting *w = arg;

	(void)res;
	w->done = true;
	w->r = r;
	if (r < 0 && fault != NULL)
		*w->fault = *fault;
}

int drill_call(struct drill *d, enum wire_msg_id id, const void *msg, uint32_t timeout_ms, struct tr_fault *fault)
{
	struct peer *p = ctl_peer(d->c, CTL_CONTROL);
	struct waiting w = {.fault = fault};
	int r = p == NULL ? TR_ENOMEM : peer_call(p, id, msg, timeout_ms, on_answer, &w, NULL);

	if (r < 0)
		return tr_fault_set(fault, r, "", "%s", tr_strerror(r));
	while (!w.done) /* the peer's own deadline ends it */
		(void)uv_run(&d->c->loop, UV_RUN_ONCE);
	return w.r;
}

/* ---- tribed itself ---- */

static void on_version(void *arg, const void *res)
{
	*(uint32_t *)arg = ((const struct res_version *)res)->pid;
}

/* A handle on the process that tribed says it is, once its name says so too. < 0: with *fault. */
static int hold_supervisor(struct drill *d, struct tr_fault *fault)
{
	const struct msg_version msg = {.common = {.has_request_id = false}};
	char path[64], name[32] = "";
	uint32_t pid = 0;
	FILE *f;
	int fd, r;

	if ((r = drill_look(d, 0, fault)) < 0)
		return r;
	fd = (int)syscall(SYS_pidfd_open, (pid_t)d->supervisor_pid, 0);
	if (fd < 0)
		return tr_fault_set(fault, -errno, "", "cannot get hold of tribed: %s", tr_strerror(-errno));
	/* asked again while we hold it: the number cannot be another process's */
	(void)snprintf(path, sizeof(path), "/proc/%u/comm", d->supervisor_pid);
	r = ctl_call(d->c, MSG_version, &msg, on_version, &pid, fault);
	f = r < 0 ? NULL : fopen(path, "re");
	if (f != NULL) {
		if (fscanf(f, "%31s", name) != 1)
			name[0] = '\0';
		(void)fclose(f);
	}
	if (r == 0 && (pid != d->supervisor_pid || strcmp(name, "tribed") != 0))
		r = tr_fault_set(fault, TR_EREFUSED, "", "process %u is no tribed that may be killed",
				 d->supervisor_pid);
	if (r < 0) {
		(void)close(fd);
		return r;
	}
	return fd;
}

static enum ctl_exit inject_supervisor(struct drill *d, struct report_row *row)
{
	struct tr_fault fault;
	uint64_t until;
	int fd = hold_supervisor(d, &fault), r;

	if (fd < 0)
		return ctl_interrupted() ? CTL_FAILED : ctl_complain(d->c, fd, &fault);
	row->pid = d->supervisor_pid;
	row->inject_ns = tr_mono_ns();
	r = (int)syscall(SYS_pidfd_send_signal, fd, SIGKILL, NULL, 0);
	(void)close(fd);
	if (r < 0) {
		ctl_say(d->c, "cannot kill tribed: %s", tr_strerror(-errno));
		return CTL_REFUSED;
	}
	until = tr_mono_ms() + DRILL_GIVE_UP_MS;
	while (!row->back.good && tr_mono_ms() < until && !ctl_interrupted()) {
		row->back.attempts++;
		if (drill_look(d, SUPERVISOR_MS, &fault) < 0 || d->supervisor_pid == row->pid) {
			nap(1000000);
			continue;
		}
		row->back.at_ns = tr_mono_ns();
		if (row->back.ready_ns == 0)
			row->back.ready_ns = row->back.at_ns;
		row->back.pid = d->supervisor_pid;
		row->back.good = all_up(d);
		if (!row->back.good)
			nap(1000000);
	}
	return CTL_DONE;
}

/* ---- a Jr ---- */

static void on_injected(void *arg, const void *res)
{
	const struct res_fault_inject *r = res;
	struct report_row *row = arg;
	uint64_t now = tr_mono_ns();

	row->pid = r->pid;
	row->generation = r->generation;
	row->also = r->has_also ? r->also : 0;
	if (r->monotonic_ns >= row->inject_ns && r->monotonic_ns <= now)
		row->inject_ns = r->monotonic_ns;
}

static void heal(struct drill *d, const struct report_row *row, uint32_t lasts_ms)
{
	const struct msg_fault_heal msg = {.has_jr = true, .jr = wire_s(report_target_api(row->role))};
	uint64_t end = row->inject_ns + lasts_ms * 1000000ull, now = tr_mono_ns();
	struct tr_fault fault;

	if (now < end && !ctl_interrupted())
		nap(end - now);
	(void)drill_call(d, MSG_fault_heal, &msg, d->c->timeout_ms, &fault); /* the end of our connection heals, too */
}

static enum ctl_exit inject_jr(struct drill *d, struct report_row *row)
{
	struct msg_fault_inject inject = {.jr = wire_s(report_target_api(row->role)),
					  .fault = wire_s(harm_kinds[d->r.fault].word),
					  .has_amount = d->r.amount > 0,
					  .amount = d->r.amount,
					  .has_ms = d->r.fault_ms > 0 || passes(d->r.fault),
					  .ms = d->r.fault_ms > 0 ? d->r.fault_ms : LASTS_MS};
	struct probe_order order = {.role = (enum tr_role)row->role,
				    .epoch = d->seen[row->role].epoch,
				    .anyone = passes(d->r.fault),
				    .try_ms = passes(d->r.fault) ? LASTS_TRY_MS : 0,
				    .stop = ctl_interrupted};
	char path[CTL_PATH_MAX];
	struct tr_fault fault;
	int r;

	ctl_socket_path(d->c, row->role, path);
	row->epoch = order.epoch;
	row->inject_ns = tr_mono_ns();
	order.deadline_ns = row->inject_ns + DRILL_GIVE_UP_MS * 1000000ull;
	r = ctl_call(d->c, MSG_fault_inject, &inject, on_injected, row, &fault);
	if (r < 0 && ctl_interrupted())
		return CTL_FAILED;
	if (r == TR_EUNAVAILABLE) { /* tribed is there, what should be harmed is not */
		ctl_say(d->c, "%s: %s", report_target_api(row->role), fault.rule);
		return CTL_FAILED;
	}
	if (r < 0)
		return ctl_complain(d->c, r, &fault);
	order.pid = row->pid;
	order.also = row->also;
	order.generation = row->generation;
	probe_until(path, &order, &row->back);
	if (passes(d->r.fault))
		heal(d, row, inject.ms);
	return CTL_DONE;
}

enum ctl_exit drill_inject(struct drill *d, int target)
{
	struct report_row *row = &d->r.rows[d->r.nrows];
	enum ctl_exit e;

	*row = (struct report_row){.role = target};
	e = target == REPORT_SUPERVISOR ? inject_supervisor(d, row) : inject_jr(d, row);
	if (e != CTL_DONE || (!row->back.good && ctl_interrupted()))
		return e != CTL_DONE ? e : CTL_FAILED; /* nobody saw whether it came back: no row */
	row->ms = (double)((row->back.good ? row->back.at_ns : tr_mono_ns()) - row->inject_ns) / 1e6;
	d->r.nrows++;
	drill_progress(d, NULL);
	return row->back.good ? CTL_DONE : CTL_FAILED;
}
