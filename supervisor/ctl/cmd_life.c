/* restart, stop, start of a Jr, and the end of all: done means that it has happened, not that it was asked for. */
#include "common/base/clock.h"
#include "supervisor/ctl/commands.h"
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define POLL_MS 5

static void nap(void)
{
	const struct timespec t = {.tv_nsec = POLL_MS * 1000000L};

	(void)nanosleep(&t, NULL);
}

struct look {
	int role;
	uint32_t generation;
	char state[17];
};

static void on_look(void *arg, const void *res)
{
	struct look *l = arg;
	const struct item_jr *j = status_jr(res, l->role);
	size_t n = j->state.n < sizeof(l->state) ? j->state.n : sizeof(l->state) - 1;

	l->generation = j->generation;
	memcpy(l->state, j->state.p, n);
	l->state[n] = '\0';
}

static int look_at(struct ctl *c, struct look *l, struct tr_fault *fault)
{
	struct msg_status msg = {.common = {.has_request_id = false}};

	return ctl_call(c, MSG_status, &msg, on_look, l, fault);
}

/* Until the Jr is in that state, in a later life than `after`. */
static int await_state(struct ctl *c, struct look *l, const char *state, uint32_t after, struct tr_fault *fault)
{
	uint64_t until = tr_mono_ms() + c->timeout_ms;
	int r;

	while ((r = look_at(c, l, fault)) == 0 && (strcmp(l->state, state) != 0 || l->generation < after)) {
		if (tr_mono_ms() >= until)
			return tr_fault_set(fault, TR_ECONFLICT, "", "it is %s, not %s, after %.1f s", l->state, state,
					    (double)c->timeout_ms / 1e3);
		nap();
	}
	return r;
}

static enum ctl_exit print_state(struct ctl *c, const char *state)
{
	struct res_jr_restart res = {.state = wire_s(state)};
	struct buf out = {.max = 0};
	enum ctl_exit e;

	if (c->json)
		(void)ctl_json(&out, wire_methods[MSG_jr_restart].result, &res);
	else
		show_state(&out, &c->style, &res);
	e = ctl_emit(c, &out);
	buf_free(&out);
	return e;
}

/* id: one of the three, which have the same fields. */
static enum ctl_exit change(struct ctl *c, const struct ctl_args *a, enum wire_msg_id id, const char *state,
			    bool new_life)
{
	struct msg_jr_restart restart = {.jr = wire_s(tr_roles[a->role].api_name)};
	struct msg_jr_stop stop = {.jr = restart.jr};
	struct msg_jr_start start = {.jr = restart.jr};
	const void *msg = id == MSG_jr_restart ? (const void *)&restart
			  : id == MSG_jr_stop  ? (const void *)&stop
					       : &start;
	struct look l = {.role = a->role};
	struct tr_fault fault;
	uint32_t before;
	int r;

	if ((r = look_at(c, &l, &fault)) < 0)
		return ctl_complain(c, r, &fault);
	before = l.generation;
	if ((r = ctl_call(c, id, msg, NULL, NULL, &fault)) < 0 ||
	    (r = await_state(c, &l, state, before + (new_life ? 1 : 0), &fault)) < 0)
		return ctl_complain(c, r, &fault);
	return print_state(c, l.state);
}

enum ctl_exit cmd_restart(struct ctl *c, const struct ctl_args *a)
{
	return change(c, a, MSG_jr_restart, "up", true);
}

enum ctl_exit cmd_stop(struct ctl *c, const struct ctl_args *a)
{
	return change(c, a, MSG_jr_stop, "down", false);
}

enum ctl_exit cmd_start(struct ctl *c, const struct ctl_args *a)
{
	return change(c, a, MSG_jr_start, "up", false);
}

/* ---- shutdown ---- */

static void on_version(void *arg, const void *res)
{
	*(pid_t *)arg = (pid_t)((const struct res_version *)res)->pid;
}

/* The kernel says when tribed has gone. Where its pid means nothing here (another pid namespace): until nobody listens.
 */
static bool await_exit(struct ctl *c, int pidfd)
{
	uint64_t until = tr_mono_ms() + c->timeout_ms;
	struct pollfd p = {.fd = pidfd, .events = POLLIN};
	char path[CTL_PATH_MAX];
	int n;

	if (pidfd >= 0) {
		do
			n = poll(&p, 1, c->timeout_ms > INT32_MAX ? INT32_MAX : (int)c->timeout_ms);
		while (n < 0 && errno == EINTR);
		return n > 0;
	}
	ctl_socket_path(c, CTL_CONTROL, path);
	while (ctl_probe(path) == 0) {
		if (tr_mono_ms() >= until)
			return false;
		nap();
	}
	return true;
}

enum ctl_exit cmd_shutdown(struct ctl *c, const struct ctl_args *a)
{
	struct msg_version version = {.common = {.has_request_id = false}};
	struct msg_shutdown msg = {.common = {.has_request_id = false}};
	struct buf out = {.max = 0};
	struct tr_fault fault;
	pid_t pid = 0;
	enum ctl_exit e;
	int pidfd = -1, r;

	(void)a;
	if ((r = ctl_call(c, MSG_version, &version, on_version, &pid, &fault)) == 0) {
		pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
		r = ctl_call(c, MSG_shutdown, &msg, NULL, NULL, &fault);
	}
	if (r < 0) {
		e = ctl_complain(c, r, &fault);
	} else if (!await_exit(c, pidfd)) {
		ctl_say(c, "tribed is still there after %.1f s", (double)c->timeout_ms / 1e3);
		e = CTL_FAILED;
	} else {
		(void)buf_puts(&out, c->json ? "{}\n" : "the tribe has stopped\n");
		e = ctl_emit(c, &out);
	}
	if (pidfd >= 0)
		(void)close(pidfd);
	buf_free(&out);
	return e;
}

/* ---- reload ---- */

#define RELOAD_MS 120000 /* four Jrs, each drained and started */

enum ctl_exit cmd_reload(struct ctl *c, const struct ctl_args *a)
{
	struct msg_reload msg = {.common = {.has_request_id = false}};

	(void)a;
	if (!c->timeout_given && c->timeout_ms < RELOAD_MS)
		c->timeout_ms = RELOAD_MS;
	return ctl_ask(c, MSG_reload, &msg, show_reloaded);
}
