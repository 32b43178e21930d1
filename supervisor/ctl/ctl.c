#include "supervisor/ctl/ctl.h"
#include "common/base/clock.h"
#include "common/base/text.h"
#include "common/loop/loop.h"
#include "proto/json/json.h"
#include "supervisor/ctl/commands.h"
#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define WAITING_MAX 8
#define PATIENCE_MS 1000 /* then a call asks whether the Jr that it waits for is to come back at all */

/* A configuration named on the command line must be right; one that only lies there is tribed's business (and that of
 * `config`, where no tribe answers). */
static enum ctl_exit read_config(struct ctl *c, const struct ctl_args *args)
{
	bool asked = ctl_flag(args, "config") || ctl_flag(args, "set") || ctl_flag(args, "check");
	struct cfg_error err = {.text = ""};
	const char *set;
	int r = 0;

	cfg_defaults(&c->cfg, &c->origins);
	if (c->paths.config[0] != '\0')
		r = cfg_load_file(&c->cfg, &c->origins, c->paths.config, &err);
	for (unsigned i = 0; r == 0 && (set = ctl_nth(args, "set", i)) != NULL; i++)
		r = cfg_set(&c->cfg, &c->origins, set, &err);
	if (r == 0)
		r = cfg_check_at(&c->cfg, &c->origins, &err);
	if (r < 0 && !asked) {
		cfg_defaults(&c->cfg, &c->origins);
		c->cfg_error = err;
	} else if (r < 0) {
		(void)fprintf(stderr, "tribectl: %s\n", err.text);
	}
	c->timeout_ms = c->cfg.request_timeout_ms;
	return r < 0 && asked ? CTL_USAGE : CTL_DONE;
}

static bool wants_colour(void)
{
	const char *no = getenv("NO_COLOR"), *term = getenv("TERM");

	return isatty(STDOUT_FILENO) && (no == NULL || *no == '\0') && (term == NULL || strcmp(term, "dumb") != 0);
}

enum ctl_exit ctl_open(struct ctl **out, const struct ctl_args *args)
{
	struct ctl *c = calloc(1, sizeof(*c));
	struct cfg_error err = {.text = ""};
	enum ctl_exit e = CTL_USAGE;
	double seconds;

	if (c == NULL)
		return CTL_INTERNAL;
	c->args = args;
	c->json = ctl_flag(args, "json");
	c->dev = ctl_flag(args, "dev");
	c->progress = isatty(STDERR_FILENO) != 0;
	c->style.colour = wants_colour();
	if (cfg_paths(&c->paths, ctl_str(args, "dev"), ctl_str(args, "state"), ctl_str(args, "runtime"),
		      ctl_str(args, "config"), &err) < 0) {
		(void)fprintf(stderr, "tribectl: %s\n", err.text);
		goto fail;
	}
	if ((e = read_config(c, args)) != CTL_DONE)
		goto fail;
	c->timeout_given = ctl_f64(args, "timeout", &seconds);
	if (c->timeout_given)
		c->timeout_ms = (uint32_t)(seconds * 1000 + 0.5);
	e = CTL_INTERNAL;
	if (uv_loop_init(&c->loop) < 0)
		goto fail;
	*out = c;
	return CTL_DONE;
fail:
	free(c);
	return e;
}

enum ctl_exit ctl_run(struct ctl *c)
{
	const struct ctl_args *a = c->args;
	const struct ctl_command *cmd = a->command;

	if (a->later == NULL)
		return cmd->run(c, a);
	(void)fprintf(stderr, "tribectl: %s", cmd->name);
	for (unsigned i = 0; i < a->ngiven; i++) {
		if (a->given[i].option->name == a->later)
			(void)fprintf(stderr, " --%s", a->later);
		else if (a->given[i].text == a->later)
			(void)fprintf(stderr, " --%s %s", a->given[i].option->name, a->later);
	}
	if (cmd->operands == CTL_WORD)
		(void)fprintf(stderr, " %s", a->later);
	(void)fprintf(stderr, ": this version has not got it yet%s%s\n", cmd->later == NULL ? "" : "; it comes with ",
		      cmd->later == NULL ? "" : cmd->later);
	return CTL_INTERNAL;
}

/* ---- signals ---- */

static const int caught[] = {SIGINT, SIGTERM, SIGHUP};
static volatile sig_atomic_t came;
static uv_async_t *wake_up; /* of the one that catches */

static void on_signal(int sig)
{
	int saved = errno;

	(void)sig;
	came = 1;
	if (wake_up != NULL)
		(void)uv_async_send(wake_up); /* may be called here */
	errno = saved;
}

static void on_wake(uv_async_t *a)
{
	(void)a;
}

static void set_signals(void (*handler)(int))
{
	struct sigaction act = {.sa_flags = (int)SA_RESETHAND}; /* and no SA_RESTART: what blocks shall return */

	act.sa_handler = handler;
	(void)sigemptyset(&act.sa_mask);
	for (size_t i = 0; i < sizeof(caught) / sizeof(caught[0]); i++)
		(void)sigaction(caught[i], &act, NULL);
}

enum ctl_exit ctl_catch(struct ctl *c)
{
	assert(wake_up == NULL);
	if (uv_async_init(&c->loop, &c->wake, on_wake) < 0)
		return CTL_INTERNAL;
	uv_unref((uv_handle_t *)&c->wake);
	c->catching = true;
	came = 0;
	wake_up = &c->wake;
	set_signals(on_signal);
	return CTL_DONE;
}

bool ctl_interrupted(void)
{
	return came != 0;
}

void ctl_close(struct ctl **c)
{
	if (c == NULL || *c == NULL)
		return;
	if ((*c)->catching) {
		set_signals(SIG_DFL);
		wake_up = NULL;
		came = 0;
		uv_close((uv_handle_t *)&(*c)->wake, NULL);
	}
	if ((*c)->patient)
		uv_close((uv_handle_t *)&(*c)->patience, NULL);
	for (int i = 0; i < CTL_NENDS; i++)
		peer_free(&(*c)->peers[i]);
	if (loop_finish(&(*c)->loop) < 0)
		(void)fputs("tribectl: a handle was left open\n", stderr);
	free(*c);
	*c = NULL;
}

int ctl_end_of(enum wire_msg_id id)
{
	const char *method = wire_methods[id].method;

	for (int i = 0; i < TR_NROLES; i++) {
		size_t n = strlen(tr_roles[i].name);

		if (strncmp(method, tr_roles[i].name, n) == 0 && method[n] == '.')
			return i;
	}
	return CTL_CONTROL;
}

void ctl_socket_path(const struct ctl *c, int end, char out[CTL_PATH_MAX])
{
	(void)snprintf(out, CTL_PATH_MAX, "%s/%s", c->paths.runtime,
		       end == CTL_CONTROL ? TR_CONTROL_SOCKET : tr_roles[end].socket);
}

struct peer *ctl_peer(struct ctl *c, int end)
{
	char path[CTL_PATH_MAX];

	if (c->peers[end] == NULL) {
		ctl_socket_path(c, end, path);
		(void)peer_new(&c->peers[end], &c->loop, path, WAITING_MAX);
	}
	return c->peers[end];
}

int ctl_probe(const char *path)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int fd, r = 0;

	if (strlen(path) >= sizeof(a.sun_path))
		return UV_ENAMETOOLONG;
	memcpy(a.sun_path, path, strlen(path) + 1);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	if (connect(fd, (const struct sockaddr *)&a, sizeof(a)) < 0 && errno != EAGAIN) /* EAGAIN: its queue is full */
		r = -errno;
	(void)close(fd);
	return r;
}

struct waiting {
	ctl_result_fn *fn;
	void *arg;
	struct tr_fault *fault;
	int r;
	bool done;
};

static void on_answer(void *arg, int r, const void *res, const struct tr_fault *fault)
{
	struct waiting *w = arg;

	w->done = true;
	w->r = r;
	if (r < 0 && fault != NULL)
		*w->fault = *fault;
	if (r == 0 && w->fn != NULL)
		w->fn(w->arg, res);
}

/* tribed holds every socket for as long as it lives, so where nobody listens there is no tribe and no point in waiting.
 */
static int reach(struct ctl *c, int end, struct tr_fault *fault)
{
	char path[CTL_PATH_MAX];
	int r;

	if (c->peers[end] != NULL)
		return 0;
	ctl_socket_path(c, end, path);
	if ((r = ctl_probe(path)) == 0)
		return ctl_peer(c, end) != NULL ? 0 : tr_fault_set(fault, TR_ENOMEM, "", "out of memory");
	return tr_fault_set(fault, r, "", "%s", tr_strerror(r));
}

static void on_patience(uv_timer_t *t)
{
	(void)t;
}

static void start_patience(struct ctl *c)
{
	if (!c->patient && uv_timer_init(&c->loop, &c->patience) == 0) {
		uv_unref((uv_handle_t *)&c->patience);
		c->patient = true;
	}
	if (c->patient)
		(void)uv_timer_start(&c->patience, on_patience, PATIENCE_MS, 0);
}

struct coming {
	int role;
	bool down, failed;
};

static void on_coming(void *arg, const void *res)
{
	struct coming *g = arg;
	const struct item_jr *j = status_jr(res, g->role);

	g->down = status_is(j, "down");
	g->failed = status_is(j, "failed");
}

/* A Jr that was stopped, or has failed too often, is not waited for: 0, or < 0 with *fault filled. */
static int still_coming(struct ctl *c, int role, struct tr_fault *fault)
{
	struct msg_status msg = {.common = {.has_request_id = false}};
	struct coming g = {.role = role};
	uint32_t timeout_ms = c->timeout_ms;
	struct tr_fault ignored;

	c->timeout_ms = PATIENCE_MS;
	(void)ctl_call(c, MSG_status, &msg, on_coming, &g, &ignored);
	c->timeout_ms = timeout_ms;
	c->asked = role;
	if (g.down)
		return tr_fault_set(fault, TR_EUNAVAILABLE, "", "%s is stopped; start it with: tribectl start %s",
				    tr_roles[role].program, tr_roles[role].name);
	if (g.failed)
		return tr_fault_set(fault, TR_EUNAVAILABLE, "", "%s has failed too often; see tribectl status",
				    tr_roles[role].program);
	return 0;
}

int ctl_call(struct ctl *c, enum wire_msg_id id, const void *msg, ctl_result_fn *fn, void *arg, struct tr_fault *fault)
{
	struct waiting w = {.fn = fn, .arg = arg, .fault = fault};
	int end = ctl_end_of(id), r;
	uint64_t begun_ms = tr_mono_ms();
	bool looked = end == CTL_CONTROL;
	struct tr_fault absent;
	uint32_t token;

	c->asked = end;
	*fault = (struct tr_fault){.code = 0};
	if ((r = wire_validate(wire_methods[id].params, msg, fault)) < 0 || (r = reach(c, end, fault)) < 0)
		return r;
	r = peer_call(c->peers[end], id, msg, c->timeout_ms, on_answer, &w, &token);
	if (r < 0)
		return tr_fault_set(fault, r, "", "%s", tr_strerror(r));
	if (!looked)
		start_patience(c);
	while (!w.done && !ctl_interrupted()) {
		(void)uv_run(&c->loop, UV_RUN_ONCE);
		if (w.done || looked || tr_mono_ms() - begun_ms < PATIENCE_MS)
			continue;
		looked = true;
		r = still_coming(c, end, &absent);
		if (r < 0 && !w.done) {
			peer_cancel(c->peers[end], token);
			*fault = absent;
			return r;
		}
	}
	if (w.done)
		return w.r;
	peer_cancel(c->peers[end], token);
	return tr_fault_set(fault, UV_ECANCELED, "", "interrupted");
}

void ctl_say(const struct ctl *c, const char *fmt, ...)
{
	struct buf b = {.max = 2048};
	va_list ap;
	char text[1024];

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	(void)buf_printf(&b, "tribectl: %s: %s\n", c->args->command->name, text);
	if (b.len > 0)
		(void)fwrite(b.p, 1, b.len, stderr);
	buf_free(&b);
}

static enum ctl_exit unreachable(const struct ctl *c, int r)
{
	const char *dev = ctl_str(c->args, "dev");

	ctl_say(c, "cannot reach a tribe in %s (%s); start it with: %s%s%s", c->paths.runtime, tr_strerror(r),
		dev != NULL ? "tribed --dev " : "systemctl start tribe", dev != NULL ? dev : "",
		dev != NULL ? " --detach" : ", or without root: tribed --dev DIR --detach (then tribectl --dev DIR)");
	return CTL_UNREACHABLE;
}

enum ctl_exit ctl_complain(const struct ctl *c, int r, const struct tr_fault *fault)
{
	int code = tr_exit_code(r);
	char control[CTL_PATH_MAX];

	ctl_socket_path(c, CTL_CONTROL, control);
	if (r == UV_ENOENT || r == UV_ECONNREFUSED || r == UV_ENOTDIR)
		return unreachable(c, r);
	if (r == UV_EACCES || r == UV_EPERM) {
		ctl_say(c, "%s belongs to somebody else: not allowed", c->paths.runtime);
		return CTL_REFUSED;
	}
	if (r == TR_EDEADLINE)
		ctl_say(c, "no answer%s%s within %.1f s; tribectl status shows what is up",
			c->asked == CTL_CONTROL ? "" : " of ",
			c->asked == CTL_CONTROL ? "" : tr_roles[c->asked].program, (double)c->timeout_ms / 1e3);
	else
		ctl_say(c, "%s%s%s", fault->field, fault->field[0] != '\0' ? ": " : "",
			fault->rule[0] != '\0' ? fault->rule : tr_strerror(r));
	if (r == TR_EDEADLINE || r == TR_EUNAVAILABLE || r == TR_ECLOSED)
		return c->asked != CTL_CONTROL && ctl_probe(control) == 0 ? CTL_FAILED : CTL_UNREACHABLE;
	return code == 0 ? CTL_INTERNAL : (enum ctl_exit)code;
}

int ctl_json(struct buf *out, const struct wire_shape *shape, const void *value)
{
	json_t *j = json_encode(shape, value);
	int r = j == NULL ? TR_ENOMEM : json_print(j, out);

	json_decref(j);
	return r < 0 ? r : buf_puts(out, "\n");
}

enum ctl_exit ctl_emit(const struct ctl *c, struct buf *out)
{
	enum ctl_exit e = CTL_DONE;

	if (out->failed != 0) {
		ctl_say(c, "%s", tr_strerror(out->failed));
		e = CTL_INTERNAL;
	} else if ((out->len > 0 && fwrite(out->p, 1, out->len, stdout) != out->len) || fflush(stdout) != 0) {
		e = CTL_FAILED;
		if (errno != EPIPE) /* whoever read us has seen enough */
			ctl_say(c, "cannot write the result: %s", tr_strerror(-errno));
	}
	buf_clear(out);
	return e;
}

struct printing {
	const struct ctl *c;
	enum wire_msg_id id;
	show_fn *show;
	struct buf out;
};

static void print_result(void *arg, const void *res)
{
	struct printing *p = arg;

	if (!p->c->json)
		p->show(&p->out, &p->c->style, res);
	else if (ctl_json(&p->out, wire_methods[p->id].result, res) < 0)
		p->out.failed = TR_ENOMEM;
}

enum ctl_exit ctl_ask(struct ctl *c, enum wire_msg_id id, const void *msg, show_fn *show)
{
	struct printing p = {.c = c, .id = id, .show = show};
	struct tr_fault fault;
	enum ctl_exit e;
	int r;

	r = ctl_call(c, id, msg, print_result, &p, &fault);
	e = r < 0 ? ctl_complain(c, r, &fault) : ctl_emit(c, &p.out);
	buf_free(&p.out);
	return e;
}

/* One byte over the largest memory and a CR LF, so that too much is seen as too much. */
static enum ctl_exit read_stdin(const struct ctl *c, struct buf *out)
{
	char piece[16384];
	size_t n;

	while ((n = fread(piece, 1, sizeof(piece), stdin)) > 0) {
		if (buf_append(out, piece, n) < 0) {
			ctl_say(c, "standard input: longer than %d bytes", WIRE_CONTENT_MAX);
			return CTL_USAGE;
		}
	}
	if (ferror(stdin)) {
		ctl_say(c, "standard input: %s", tr_strerror(-errno));
		return CTL_FAILED;
	}
	if (out->len > 0 && out->p[out->len - 1] == '\n')
		out->len--;
	if (out->len > 0 && out->p[out->len - 1] == '\r')
		out->len--;
	return CTL_DONE;
}

enum ctl_exit ctl_text(const struct ctl *c, struct buf *out)
{
	const struct ctl_args *a = c->args;

	buf_init(out, WIRE_CONTENT_MAX + 3);
	if (a->noperands == 1 && strcmp(a->operands[0], "-") == 0)
		return read_stdin(c, out);
	for (unsigned i = 0; i < a->noperands; i++) {
		(void)buf_puts(out, i == 0 ? "" : " ");
		(void)buf_puts(out, a->operands[i]);
	}
	if (out->failed == 0)
		return CTL_DONE;
	ctl_say(c, "text: longer than %d bytes", WIRE_CONTENT_MAX);
	return CTL_USAGE;
}
