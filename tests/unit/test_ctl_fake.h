/* A tribe of cardboard for tests of tribectl: a thread that answers on the five sockets of a temporary directory; and
 * what runs a command against it. Each test program includes it once. */
#ifndef TESTS_UNIT_TEST_CTL_FAKE_H
#define TESTS_UNIT_TEST_CTL_FAKE_H
#include "common/base/buf.h"
#include "common/loop/loop.h"
#include "proto/chan/server.h"
#include "proto/json/json.h"
#include "supervisor/ctl/ctl.h"
#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#define ENDS (TR_NROLES + 1)

static char dir[] = "/tmp/tribe-test-ctl-XXXXXX";

/* The thread's own; tests read `seen` only between commands, when nothing is being asked. */
static struct fake {
	pthread_t thread;
	uv_loop_t loop;
	uv_async_t leave;
	int fds[ENDS];
	struct chan_server *servers[ENDS];
	uint32_t generation[TR_NROLES];
	unsigned stale[TR_NROLES]; /* so many pings are still answered by the life before */
	unsigned faults, status_calls, beats_sent;
	unsigned behind;                /* so many times more the understudy of memory-jr is still starting */
	struct buf seen;                /* what came in, as JSON lines */
	uint64_t added, known, skipped; /* of this command's import */
	int refuse;                     /* TR_* to answer to memory.add; 0: none */
	bool silent;                    /* memory.thermal gets no answer */
	struct chan_call *held;
	unsigned pages;
	bool big; /* memory.export refuses pages of more than 100 */
	void (*during_export)(void);
	unsigned cut;  /* memory.export fails at this page; 0: never */
	bool unpurged; /* memory.forget does not wait for the purge */
	bool sacred;   /* memory.forget is refused */
} fake;

static void note(enum wire_msg_id id, const void *msg)
{
	json_t *j = json_encode(wire_methods[id].params, msg);

	(void)buf_printf(&fake.seen, "%s ", wire_methods[id].method);
	(void)json_print(j, &fake.seen);
	(void)buf_puts(&fake.seen, "\n");
	json_decref(j);
}

static struct item_jr jr_of(int role)
{
	return (struct item_jr){.state = wire_s("up"),
				.has_pid = true,
				.pid = 1000 + fake.generation[role],
				.generation = fake.generation[role]};
}

static void on_drill(void *arg, struct chan_call *call, const void *msg)
{
	struct res_drill_report r = {0};

	(void)arg;
	note(MSG_drill_report, msg);
	chan_reply(call, &r);
}

static void on_status(void *arg, struct chan_call *call, const void *msg)
{
	struct res_status r = {
		.status = wire_s("operational"),
		.jrs_running = {true, true, true, true},
		.jrs = {.memory_jr = jr_of(TR_ROLE_MEMORY),
			.executive_jr = jr_of(TR_ROLE_EXECUTIVE),
			.meta_jr = jr_of(TR_ROLE_META),
			.integration_jr = jr_of(TR_ROLE_INTEGRATION)},
		.supervisor_pid = 1,
		.version = wire_s("0"),
		.has_archive_healthy = true,
		.archive_healthy = true,
	};

	struct item_understudy waits = {.state = wire_s(fake.behind > 0 ? "starting" : "waiting"), .generation = 99};

	(void)arg, (void)msg;
	fake.status_calls++;
	fake.behind -= fake.behind > 0;
	r.jrs.memory_jr.understudies.v = &waits;
	r.jrs.memory_jr.understudies.n = 1;
	chan_reply(call, &r);
}

static void on_restart(void *arg, struct chan_call *call, const void *msg)
{
	struct res_jr_restart r = {.state = wire_s("stopping")};

	(void)arg;
	note(MSG_jr_restart, msg);
	fake.generation[TR_ROLE_META]++;
	chan_reply(call, &r);
}

static void on_stop(void *arg, struct chan_call *call, const void *msg)
{
	struct res_jr_stop r = {.state = wire_s("stopping")}; /* and it never gets there */

	(void)arg, (void)msg;
	chan_reply(call, &r);
}

static void on_beats(void *arg, struct chan_call *call, const void *msg)
{
	const struct msg_heartbeats *m = msg;
	struct item_beat beat = {.jr = wire_s("memory_jr"), .pid = 1, .state = wire_s("serving"), .seq = 1};
	struct msg_heartbeat more = {.jr = wire_s("meta_jr"),
				     .pid = 2,
				     .state = wire_s("serving"),
				     .seq = 77,
				     .has_phase_coherence = true,
				     .phase_coherence = 0.25};
	struct res_heartbeats r = {.heartbeats = {&beat, 1}};
	struct chan_conn *conn = chan_call_conn(call);
	bool follow = m->has_follow && m->follow;

	(void)arg;
	chan_reply(call, &r);
	for (; follow && conn != NULL && fake.beats_sent < 3; fake.beats_sent++)
		(void)chan_notify(conn, MSG_heartbeat, &more);
}

static void on_inject(void *arg, struct chan_call *call, const void *msg)
{
	const struct msg_fault_inject *m = msg;
	int role = tr_role_find(m->jr.p, m->jr.n);
	struct res_fault_inject r = {.pid = 1000 + fake.generation[role], .generation = fake.generation[role]};

	(void)arg;
	fake.faults++;
	fake.generation[role]++;
	fake.stale[role] = 2;
	chan_reply(call, &r);
}

static void on_ping(void *arg, struct chan_call *call, const void *msg)
{
	int role = *(const int *)arg;
	uint32_t life = fake.generation[role];
	struct res_ping r = {.jr = wire_s(tr_roles[role].api_name)};

	(void)msg;
	if (fake.stale[role] > 0) {
		fake.stale[role]--;
		life--;
	}
	r.generation = life;
	r.pid = 1000 + life;
	chan_reply(call, &r);
}

static void on_add(void *arg, struct chan_call *call, const void *msg)
{
	struct item_added added = {.id = wire_s("new-id"), .created = true, .temperature = 40, .stage = wire_s("warm")};
	struct res_memory_add r = {.memories = {&added, 1}};

	(void)arg;
	note(MSG_memory_add, msg);
	fake.skipped += ((const struct msg_memory_add *)msg)->import_skipped;
	if (fake.refuse != 0)
		chan_failf(call, fake.refuse, "memories[0].sacred", "not with this authority");
	else
		chan_reply(call, &r);
}

static void on_thermal(void *arg, struct chan_call *call, const void *msg)
{
	struct res_memory_thermal r = {.total_memories = 4242};

	(void)arg, (void)msg;
	if (!fake.silent)
		chan_reply(call, &r);
	else if (fake.held == NULL)
		fake.held = call;
	else
		chan_failf(call, TR_EBUSY, "", "held");
}

static void on_recall(void *arg, struct chan_call *call, const void *msg)
{
	static const char text[] = "found \x1b[31mit";
	struct item_memory m = {.id = wire_s("m1"), .content = {text, sizeof(text) - 1}, .stage = wire_s("warm")};
	struct res_memory_recall r = {.memories = {&m, 1}};

	(void)arg;
	note(MSG_memory_recall, msg);
	chan_reply(call, &r);
}

static void on_import(void *arg, struct chan_call *call, const void *msg)
{
	const struct msg_integration_import *m = msg;
	struct item_skipped why = {
		.line = m->first_line, .reason = wire_s("no content"), .has_count = true, .count = 1};
	struct res_integration_import r = {.added = 2, .known = 1, .skipped = 1, .reasons = {&why, 1}};

	(void)arg;
	if (m->data.n == 0) { /* a probe */
		r = (struct res_integration_import){.added = 0};
	} else {
		(void)buf_printf(&fake.seen, "import %.*s %.*s line %u, %u bytes\n", (int)m->name.n, m->name.p,
				 (int)m->format.n, m->format.p, (unsigned)m->first_line, m->data.n);
		if (memcmp(m->name.p, "bad", 3) == 0) {
			chan_failf(call, TR_EMALFORMED, "data", "not UTF-8");
			return;
		}
	}
	fake.added += r.added;
	fake.known += r.known;
	fake.skipped += r.skipped;
	chan_reply(call, &r);
}

/* Every command's import is a new one. */
static void on_begin(void *arg, struct chan_call *call, const void *msg)
{
	const struct msg_memory_import_begin *m = msg;
	struct res_memory_import_begin r = {.import = {.id = m->id,
						       .name = m->name,
						       .size = m->size,
						       .added = fake.added,
						       .known = fake.known,
						       .skipped = fake.skipped,
						       .started = 1795453200000}};

	(void)arg;
	chan_reply(call, &r);
}

static void on_anomalies(void *arg, struct chan_call *call, const void *msg)
{
	struct res_meta_anomalies r = {.analyses = 1};

	(void)arg, (void)msg;
	chan_reply(call, &r);
}

static void on_ask(void *arg, struct chan_call *call, const void *msg)
{
	struct res_executive_ask r = {.answer = wire_s("42"),
				      .confidence_basis = wire_s("b"),
				      .synthesis = wire_s("extractive"),
				      .request_id = wire_s("r")};

	(void)arg;
	note(MSG_executive_ask, msg);
	chan_reply(call, &r);
}

static void on_events(void *arg, struct chan_call *call, const void *msg)
{
	const struct msg_events *m = msg;
	struct item_event one = {.seq = 7,
				 .at = 1795453200000,
				 .kind = wire_s("exit"),
				 .has_jr = true,
				 .jr = wire_s("meta_jr"),
				 .has_pid = true,
				 .pid = 42,
				 .has_detail = true,
				 .detail = wire_s("signal 9 \x1b[31mred")};
	struct msg_event more = {.seq = 8, .at = 1795453201000, .kind = wire_s("operational")};
	struct res_events r = {.events = {&one, 1}};
	struct chan_conn *conn = chan_call_conn(call);
	bool more_wanted = m->has_follow && m->follow;

	(void)arg;
	note(MSG_events, msg);
	chan_reply(call, &r);
	if (!more_wanted || conn == NULL)
		return;
	(void)chan_notify(conn, MSG_event, &more);
	for (unsigned i = 0; i < 2000; i++, more.seq++, more.at++) /* the first one again; more than a pipe holds */
		(void)chan_notify(conn, MSG_event, &more);
}

static void on_reload(void *arg, struct chan_call *call, const void *msg)
{
	static wire_str changed[2];
	struct res_reload r = {.changed = {changed, 2}};

	(void)arg, (void)msg;
	changed[0] = wire_s("heartbeat_ms");
	changed[1] = wire_s("log.level");
	if (fake.refuse != 0)
		chan_failf(call, fake.refuse, "", "tribe.yaml:3: heartbeat_ms: must be a whole number");
	else
		chan_reply(call, &r);
}

static void on_config(void *arg, struct chan_call *call, const void *msg)
{
	static struct item_setting v[3];
	struct res_config r = {.pid = 4711, .settings = {v, 3}};

	(void)arg, (void)msg;
	v[0] = (struct item_setting){.key = wire_s("heartbeat_ms"),
				     .value = wire_s("50"),
				     .origin = wire_s("file"),
				     .has_line = true,
				     .line = 3,
				     .has_configured = true,
				     .configured = wire_s("60"),
				     .has_needs = true,
				     .needs = wire_s("reload")};
	v[1] = (struct item_setting){
		.key = wire_s("drills"), .value = wire_s("true"), .origin = wire_s("command line")};
	v[2] = (struct item_setting){
		.key = wire_s("of.tomorrow"), .value = wire_s("\x1b[31mred"), .origin = wire_s("default")};
	r.has_file = r.has_state = r.has_file_error = true;
	r.file = wire_s("/etc/their.yaml");
	r.state = wire_s("/their/state");
	r.file_error = wire_s("their.yaml:9: is wrong");
	if (fake.refuse != 0)
		chan_failf(call, fake.refuse, "", "not here");
	else
		chan_reply(call, &r);
}

static void on_forget(void *arg, struct chan_call *call, const void *msg)
{
	const struct msg_memory_forget *m = msg;
	struct res_memory_forget r = {.id = m->id, .has_purged = m->now, .purged = m->now && !fake.unpurged};

	(void)arg;
	note(MSG_memory_forget, msg);
	if (fake.sacred)
		chan_failf(call, TR_EREFUSED, "id", "it is sacred");
	else if (m->id.n == 4 && memcmp(m->id.p, "gone", 4) == 0)
		chan_failf(call, TR_ENOTFOUND, "id", "there is no such memory");
	else
		chan_reply(call, &r);
}

static void on_explain(void *arg, struct chan_call *call, const void *msg)
{
	const struct msg_memory_explain *m = msg;
	struct item_term terms[2] = {{.term = wire_s("kettle"), .count = 2, .weight = 3.5},
				     {.term = wire_s("blue"), .count = 0, .weight = 1.25}};
	struct res_memory_explain r = {
		.memory = {.id = m->id,
			   .content = wire_s("The kettle.\nIt boils."),
			   .stage = wire_s("warm"),
			   .temperature = 40,
			   .sacred = true,
			   .access_count = 3,
			   .revision = 1,
			   .has_explanation = true,
			   .explanation = {.raw_temperature = 33.5,
					   .decayed_accesses = 0.637,
					   .idle_days = 2.5,
					   .half_life_days = 7,
					   .floored = true}},
	};

	(void)arg;
	note(MSG_memory_explain, msg);
	if (m->has_q) {
		r.memory.explanation.has_match = r.has_rank = true;
		r.memory.explanation.match = 3.5;
		r.memory.explanation.terms = (struct list_term){terms, 2};
		r.rank = 2;
	}
	chan_reply(call, &r);
}

#define EXPORTED 250

/* Memories 1..EXPORTED, in pages. */
static void on_export(void *arg, struct chan_call *call, const void *msg)
{
	static struct item_record records[1000];
	static char names[1000][16];
	const struct msg_memory_export *m = msg;
	uint64_t first = m->has_after ? m->after + 1 : 1;
	struct res_memory_export r = {.records = {records, 0}};

	(void)arg;
	fake.pages++;
	if (fake.during_export != NULL)
		fake.during_export();
	if ((fake.big && m->limit > 100) || (fake.cut != 0 && fake.pages == fake.cut)) {
		chan_failf(call, fake.cut != 0 ? TR_ESTORE : TR_ETOOBIG, "", "no");
		return;
	}
	for (uint64_t i = first; i <= EXPORTED && r.records.n < m->limit && r.records.n < 100; i++) {
		struct item_record *x = &records[r.records.n];

		(void)snprintf(names[r.records.n], sizeof(names[0]), "m%u", (unsigned)i);
		*x = (struct item_record){.content = wire_s("one\ntwo"), .access_count = 1, .revision = 1};
		x->has_id = true;
		x->id = wire_s(names[r.records.n++]);
	}
	r.next = first + r.records.n - 1;
	r.has_next = r.next < EXPORTED;
	chan_reply(call, &r);
}

static const struct {
	int end;
	enum wire_msg_id id;
	chan_handler *fn;
} handlers[] = {
	{TR_NROLES, MSG_events, on_events},
	{TR_NROLES, MSG_reload, on_reload},
	{TR_NROLES, MSG_config, on_config},
	{TR_ROLE_MEMORY, MSG_memory_forget, on_forget},
	{TR_ROLE_MEMORY, MSG_memory_import_begin, on_begin},
	{TR_ROLE_MEMORY, MSG_memory_explain, on_explain},
	{TR_ROLE_MEMORY, MSG_memory_export, on_export},
	{TR_NROLES, MSG_status, on_status},
	{TR_NROLES, MSG_jr_restart, on_restart},
	{TR_NROLES, MSG_jr_stop, on_stop},
	{TR_NROLES, MSG_heartbeats, on_beats},
	{TR_NROLES, MSG_fault_inject, on_inject},
	{TR_NROLES, MSG_drill_report, on_drill},
	{TR_ROLE_MEMORY, MSG_memory_add, on_add},
	{TR_ROLE_MEMORY, MSG_memory_thermal, on_thermal},
	{TR_ROLE_MEMORY, MSG_memory_recall, on_recall},
	{TR_ROLE_INTEGRATION, MSG_integration_import, on_import},
	{TR_ROLE_META, MSG_meta_anomalies, on_anomalies},
	{TR_ROLE_EXECUTIVE, MSG_executive_ask, on_ask},
};

static void on_leave(uv_async_t *a)
{
	for (int i = 0; i < ENDS; i++)
		chan_server_free(&fake.servers[i]);
	uv_close((uv_handle_t *)a, NULL);
}

static void *serve(void *arg)
{
	static int roles[ENDS];

	(void)arg;
	for (int i = 0; i < ENDS; i++) {
		struct chan_server_cfg cfg = {.loop = &fake.loop,
					      .fd = fake.fds[i],
					      .max_conns = 16,
					      .max_queue = 1u << 20,
					      .max_inflight = 16};

		roles[i] = i;
		if (chan_server_new(&fake.servers[i], &cfg) < 0)
			abort();
		for (size_t k = 0; k < sizeof(handlers) / sizeof(handlers[0]); k++) {
			if (handlers[k].end == i)
				chan_server_handle(fake.servers[i], handlers[k].id, handlers[k].fn, NULL);
		}
		if (i < TR_NROLES)
			chan_server_handle(fake.servers[i], MSG_ping, on_ping, &roles[i]);
	}
	(void)uv_run(&fake.loop, UV_RUN_DEFAULT);
	return NULL;
}

static int setup(void **state)
{
	(void)state;
	if (mkdtemp(dir) == NULL || uv_loop_init(&fake.loop) < 0 ||
	    uv_async_init(&fake.loop, &fake.leave, on_leave) < 0)
		return -1;
	for (int i = 0; i < ENDS; i++) {
		struct sockaddr_un a = {.sun_family = AF_UNIX};

		(void)snprintf(a.sun_path, sizeof(a.sun_path), "%s/%s", dir,
			       i == TR_NROLES ? TR_CONTROL_SOCKET : tr_roles[i].socket);
		fake.fds[i] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
		if (bind(fake.fds[i], (const struct sockaddr *)&a, sizeof(a)) < 0 || listen(fake.fds[i], 16) < 0)
			return -1;
	}
	return pthread_create(&fake.thread, NULL, serve, NULL);
}

static int drop(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st, (void)type, (void)ftw;
	return remove(path);
}

static int teardown(void **state)
{
	(void)state;
	(void)uv_async_send(&fake.leave);
	(void)pthread_join(fake.thread, NULL);
	if (fake.held != NULL)
		chan_failf(fake.held, TR_ECLOSED, "", "over");
	buf_free(&fake.seen);
	return loop_finish(&fake.loop) < 0 ? -1 : nftw(dir, drop, 16, FTW_DEPTH | FTW_PHYS);
}

/* Runs a command with stdout (and stdin, unless NULL) of its own; *out: what it printed (caller frees). */
static enum ctl_exit run(struct buf *out, const char *in, const char *runtime, const char *line)
{
	FILE *tmp = tmpfile(), *input = in == NULL ? NULL : fmemopen(NULL, strlen(in) + 1, "w+");
	FILE *saved_in = stdin;
	int saved = dup(STDOUT_FILENO), argc = 0;
	char words[512], *argv[24], name[] = "tribectl", flag[] = "--runtime";
	char where[256], piece[4096], *next = NULL;
	struct ctl_error err = {.text = ""};
	enum ctl_exit e = CTL_USAGE;
	struct ctl_args args;
	struct ctl *c = NULL;
	size_t n;

	assert_non_null(tmp);
	(void)snprintf(words, sizeof(words), "%s", line);
	(void)snprintf(where, sizeof(where), "%s", runtime);
	argv[argc++] = name;
	argv[argc++] = flag;
	argv[argc++] = where;
	for (char *w = strtok_r(words, "|", &next); w != NULL; w = strtok_r(NULL, "|", &next))
		argv[argc++] = w;
	argv[argc] = NULL;
	buf_clear(&fake.seen);
	fake.added = fake.known = fake.skipped = 0;
	(void)fflush(stdout);
	assert_true(dup2(fileno(tmp), STDOUT_FILENO) >= 0);
	if (input != NULL) {
		(void)fwrite(in, 1, strlen(in), input);
		(void)rewind(input);
		stdin = input;
	}
	if (ctl_parse(&args, ctl_globals, ctl_commands, argc, argv, &err) == 0) {
		if ((e = ctl_open(&c, &args)) == CTL_DONE)
			e = ctl_run(c);
		ctl_close(&c);
		ctl_args_free(&args);
	}
	(void)fflush(stdout);
	(void)dup2(saved, STDOUT_FILENO);
	(void)close(saved);
	stdin = saved_in;
	if (input != NULL)
		(void)fclose(input);
	(void)fseek(tmp, 0, SEEK_SET);
	buf_init(out, 0);
	while ((n = fread(piece, 1, sizeof(piece), tmp)) > 0)
		(void)buf_append(out, piece, n);
	(void)fclose(tmp);
	(void)buf_puts(out, "");
	return e;
}

static void expect(const char *line, const char *in, enum ctl_exit want, const char *printed)
{
	struct buf out;
	enum ctl_exit e = run(&out, in, dir, line);

	if (e != want)
		fail_msg("'%s' left with %d, not %d; it printed: %s", line, (int)e, (int)want,
			 out.p == NULL ? "" : out.p);
	if (printed != NULL && (out.p == NULL || strstr(out.p, printed) == NULL))
		fail_msg("'%s' printed '%s', not '%s'", line, out.p == NULL ? "" : out.p, printed);
	if (out.p != NULL)
		assert_null(strchr(out.p, 0x1b));
	buf_free(&out);
}

__attribute__((unused)) static void saw(const char *what)
{
	if (fake.seen.p == NULL || strstr(fake.seen.p, what) == NULL)
		fail_msg("was sent '%s', not '%s'", fake.seen.p == NULL ? "" : fake.seen.p, what);
}

/* Reads four lines from the pipe and leaves; the follower must see that and end. */
__attribute__((unused)) static void *read_four(void *arg)
{
	FILE *f = fdopen(*(int *)arg, "re");
	static char lines[4][1024];

	for (int i = 0; f != NULL && i < 4 && fgets(lines[i], sizeof(lines[i]), f) != NULL; i++)
		;
	if (f != NULL)
		(void)fclose(f);
	return lines;
}

/* What a follower prints to somebody who reads four lines; in the first ones is `lines`, static. */
__attribute__((unused)) static char (*follow(char *cmd))[1024]
{
	char name[] = "tribectl", flag[] = "--follow", rt[] = "--runtime", json[] = "--json";
	char *argv[] = {name, cmd, flag, json, rt, dir, NULL};
	int saved = dup(STDOUT_FILENO), pipes[2];
	struct ctl_error err;
	struct ctl_args args;
	struct ctl *c = NULL;
	enum ctl_exit e;
	char(*lines)[1024];
	void *got = NULL;
	pthread_t t;

	(void)signal(SIGPIPE, SIG_IGN);
	assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
	assert_int_equal(pthread_create(&t, NULL, read_four, &pipes[0]), 0);
	assert_int_equal(ctl_parse(&args, ctl_globals, ctl_commands, 6, argv, &err), 0);
	assert_int_equal(ctl_open(&c, &args), CTL_DONE);
	(void)fflush(stdout);
	(void)dup2(pipes[1], STDOUT_FILENO);
	(void)close(pipes[1]);
	e = ctl_run(c); /* after four lines it asks again, and nobody reads */
	(void)dup2(saved, STDOUT_FILENO);
	(void)close(saved);
	clearerr(stdout);
	ctl_close(&c);
	ctl_args_free(&args);
	(void)pthread_join(t, &got);
	lines = got;
	assert_int_equal(e, CTL_FAILED);
	return lines;
}

__attribute__((unused)) static void put(const char *name, const char *text, unsigned times)
{
	char path[256];
	FILE *f;

	(void)snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "we");
	assert_non_null(f);
	for (unsigned i = 0; i < times; i++)
		(void)fputs(text, f);
	assert_int_equal(fclose(f), 0);
}

#endif
