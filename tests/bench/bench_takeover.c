/* kill -9 of a role's lead and the time until its successor gives a good answer, as somebody sees it who speaks HTTP:
 * the request is sent right after kill(2), over a connection that stood before (executive-jr killed: over a fresh one,
 * tried again after 20 us; its old connections end with it). Requests of others are under way meanwhile (inflight.h).
 *   bench-takeover RUN_DIR memory|executive read|add COUNT REST_MS SEED [INFLIGHT [RATE [HEAP_MB]]]
 *   bench-takeover RUN_DIR meta|integration question COUNT REST_MS SEED [INFLIGHT [RATE]]
 *     read       a recall of a known id
 *     add        a durable add under an id of its own
 *     question   jr.ping and the role's own question on its Unix socket, as oneshot.h has it: the new pid answers
 * REST_MS: how long a lead has served, and whoever waits behind it has waited, before it is killed. HEAP_MB: so much
 * memory is taken by the lead before (fault "heap": wants `drills: true`). A line for each kill: nanoseconds from right
 * before kill(2) to the answer, refused, failed (of this request), old pid, new pid, old epoch, new epoch, requests
 * unanswered at the kill, of those and later ones until somebody waits behind the new lead: answered, refused, failed,
 * reset; nanoseconds to the end of the old connection (0: it stands) and how it ended (0, 1: closed, 2: reset);
 * microseconds until tribed had the new lead up and somebody waiting behind it. Last: "adds N", memories acknowledged.
 */
#include "tests/bench/common.h"
#include "tests/bench/control.h"
#include "tests/bench/inflight.h"
#include "tests/bench/oneshot.h"
#include "tests/bench/web.h"
#include "tests/bench/words.h"
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#define AGAIN_NS    20000
#define WARM_NS     50000000
#define LOOK_NS     2000000
#define PATIENCE_NS 30000000000

struct takeover {
	const char *run_dir;
	enum tr_role role;
	enum { READ, ADD, QUESTION } what;
	unsigned long seed, heap_mb;
	uint16_t port;
	struct control control;
	struct oneshot oneshot; /* for QUESTION */
	struct words words;
	struct inflight *inflight;
	char known_id[WEB_ID_MAX];
	struct web_request request;
	struct web_answer answer;
	int now, old; /* connections; old leads to the dead executive-jr */
	unsigned refused, failed, adds;
	int64_t start_ns, old_ns;
	int old_how;
};

static void nap(int64_t ns)
{
	const struct timespec t = {.tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000};

	(void)nanosleep(&t, NULL);
}

static void patient(int64_t since_ns, const char *what)
{
	bench_must(bench_ns(CLOCK_MONOTONIC) - since_ns < PATIENCE_NS, what);
}

/* Nothing is asked on the old connection: what can be read there is its end. */
static void on_old(struct takeover *t)
{
	static const struct web_request nothing;
	enum web_end end = web_read(t->old, &nothing, &t->answer);

	bench_must(end == WEB_EOF || end == WEB_RESET || end == WEB_MORE, "an answer that nobody asked for: it");
	if (end == WEB_MORE)
		return;
	t->old_ns = bench_ns(CLOCK_MONOTONIC) - t->start_ns;
	t->old_how = end == WEB_EOF ? 1 : 2;
	(void)close(t->old);
	t->old = -1;
}

/* Of the request that was sent on `now`. */
static enum web_end await(struct takeover *t, int64_t since_ns)
{
	for (;;) {
		struct pollfd p[2] = {{.fd = t->now, .events = POLLIN}, {.fd = t->old, .events = POLLIN}};
		enum web_end end;

		if (poll(p, 2, 1000) < 0)
			bench_must(errno == EINTR, "poll");
		patient(since_ns, "a good answer within 30 s");
		if (p[0].revents != 0 && (end = web_read(t->now, &t->request, &t->answer)) != WEB_MORE)
			return end;
		if (p[1].revents != 0 && t->old >= 0 && t->answer.have == 0)
			on_old(t);
	}
}

/* Asks until there is a good answer. */
static void exchange(struct takeover *t)
{
	int64_t since = bench_ns(CLOCK_MONOTONIC);

	for (;; patient(since, "a good answer within 30 s")) {
		enum web_end end = WEB_RESET;

		if (t->now < 0 && (t->now = web_dial(t->port)) < 0) {
			t->refused++;
			nap(AGAIN_NS);
			continue;
		}
		if (web_send(t->now, &t->request) && (end = await(t, since)) == WEB_GOOD)
			return;
		t->failed++;
		if (end != WEB_BAD) {
			(void)close(t->now);
			t->now = -1;
		}
		nap(AGAIN_NS);
	}
}

static void add(struct takeover *t, const char *id)
{
	char text[WORDS_TEXT_MAX];

	words_memory(&t->words, text);
	web_add(&t->request, id, text);
	t->adds++;
}

/* Until a lead that is not `before` serves and everybody who shall wait behind it does. */
static void settle(struct takeover *t, const struct control_role *before, struct control_role *out)
{
	int64_t since = bench_ns(CLOCK_MONOTONIC);

	for (;; nap(LOOK_NS)) {
		control_ask(&t->control, t->role, out);
		if (out->up && out->pid != before->pid && out->epoch > before->epoch &&
		    out->waiting >= before->understudies)
			return;
		patient(since, "a new lead, and somebody who waits behind it, within 30 s");
	}
}

static void take_memory(struct takeover *t, uint32_t pid)
{
	int64_t since = bench_ns(CLOCK_MONOTONIC);
	unsigned long pages = 0;
	char path[64];

	control_inject(&t->control, t->role, "heap", (uint32_t)t->heap_mb);
	(void)snprintf(path, sizeof(path), "/proc/%u/statm", pid);
	for (;; nap(LOOK_NS)) {
		FILE *f = fopen(path, "re");

		bench_must(f != NULL && fscanf(f, "%*u %lu", &pages) == 1, "reading the size of a Jr");
		(void)fclose(f);
		if (pages * (unsigned long)sysconf(_SC_PAGESIZE) >> 20 >= t->heap_mb)
			return;
		patient(since, "a heap of that size within 30 s");
	}
}

/* Kills the lead; returns when somebody else has answered well. */
static int64_t take_down(struct takeover *t, uint32_t pid)
{
	struct oneshot_counts c = {0, 0};
	int64_t end;

	t->refused = t->failed = 0;
	t->old_ns = t->old_how = 0;
	if (t->role == TR_ROLE_EXECUTIVE) {
		t->old = t->now;
		t->now = -1;
	}
	t->start_ns = bench_ns(CLOCK_MONOTONIC);
	bench_must(kill((pid_t)pid, SIGKILL) == 0, "kill");
	if (t->what == QUESTION) {
		(void)oneshot_until(&t->oneshot, pid, &c);
		t->refused = c.refused;
		t->failed = c.failed;
	} else {
		exchange(t);
	}
	end = bench_ns(CLOCK_MONOTONIC);
	while (t->old >= 0) {
		struct pollfd p = {.fd = t->old, .events = POLLIN};

		patient(end, "the end of a connection to the dead within 30 s");
		if (poll(&p, 1, 1000) > 0)
			on_old(t);
	}
	return end - t->start_ns;
}

/* One kill, from a lead at rest to the next. lead: in and out. */
static void turn(struct takeover *t, struct control_role *lead, long number)
{
	struct control_role after;
	struct inflight_counts others;
	char id[WEB_ID_MAX];
	unsigned under_way;
	int64_t ns, settled, steady;

	if (t->heap_mb > 0)
		take_memory(t, lead->pid);
	web_recall(&t->request, t->known_id);
	inflight_go(t->inflight);
	nap(WARM_NS);
	exchange(t); /* the connection stands */
	steady = bench_ns(CLOCK_MONOTONIC);
	exchange(t);
	steady = bench_ns(CLOCK_MONOTONIC) - steady;
	if (t->what == ADD) {
		(void)snprintf(id, sizeof(id), "takeover-%lu-%ld", t->seed, number);
		add(t, id);
	}
	under_way = inflight_fill(t->inflight);
	ns = take_down(t, lead->pid);
	settle(t, lead, &after);
	settled = bench_ns(CLOCK_MONOTONIC) - t->start_ns;
	others = inflight_rest(t->inflight);
	t->adds += others.adds;
	(void)printf("%lld %u %u %u %u %llu %llu %u %u %u %u %u %lld %d %lld %lld\n", (long long)ns, t->refused,
		     t->failed, lead->pid, after.pid, (unsigned long long)lead->epoch, (unsigned long long)after.epoch,
		     under_way, others.answered, others.refused, others.failed, others.reset, (long long)t->old_ns,
		     t->old_how, (long long)(settled / 1000), (long long)steady);
	*lead = after;
}

static uint16_t port_of(const char *run_dir)
{
	char path[512];
	unsigned port = 0;
	FILE *f;

	(void)snprintf(path, sizeof(path), "%s/http.addr", run_dir);
	f = fopen(path, "re");
	bench_must(f != NULL && fscanf(f, "127.0.0.1:%u", &port) == 1 && port < 65536, "reading http.addr");
	(void)fclose(f);
	return (uint16_t)port;
}

static void usage(void)
{
	(void)fputs(
		"usage: bench-takeover RUN_DIR ROLE read|add|question COUNT REST_MS SEED [INFLIGHT [RATE [HEAP_MB]]]\n",
		stderr);
	exit(2);
}

static void take_arguments(struct takeover *t, int argc, char **argv)
{
	static const char *const whats[] = {[READ] = "read", [ADD] = "add", [QUESTION] = "question"};
	int role, what = 0;
	bool web;

	if (argc < 7 || argc > 10 || (role = tr_role_find(argv[2], strlen(argv[2]))) < 0)
		usage();
	while (what <= QUESTION && strcmp(argv[3], whats[what]) != 0)
		what++;
	web = role == TR_ROLE_MEMORY || role == TR_ROLE_EXECUTIVE;
	if (what > QUESTION || (what == QUESTION) == web)
		usage();
	*t = (struct takeover){.run_dir = argv[1], .role = (enum tr_role)role, .now = -1, .old = -1};
	t->what = what == READ ? READ : what == ADD ? ADD : QUESTION;
	t->seed = (unsigned long)bench_number(argv[6], 0, 1000000000);
	t->heap_mb = argc > 9 ? (unsigned long)bench_number(argv[9], 0, 65536) : 0;
}

static void open_all(struct takeover *t, unsigned conns, unsigned rate)
{
	struct inflight_how how = {
		.conns = conns, .rate = rate, .seed = t->seed, .known_id = t->known_id, .role = t->role};
	char path[512];

	how.port = t->port = port_of(t->run_dir);
	control_open(&t->control, t->run_dir);
	web_answer_new(&t->answer);
	bench_must(words_open(&t->words, t->seed) == 0, "memory");
	(void)snprintf(t->known_id, sizeof(t->known_id), "known-%lu", t->seed);
	add(t, t->known_id);
	exchange(t);
	if (t->what == QUESTION) {
		(void)snprintf(path, sizeof(path), "%s/%s", t->run_dir, tr_roles[t->role].socket);
		oneshot_aim(&t->oneshot, tr_roles[t->role].name, path);
	}
	t->inflight = inflight_start(&how);
}

static void close_all(struct takeover *t)
{
	inflight_stop(t->inflight);
	if (t->what == QUESTION)
		msgpack_sbuffer_destroy(&t->oneshot.request);
	(void)close(t->now);
	words_close(&t->words);
	web_answer_free(&t->answer);
	control_close(&t->control);
}

int main(int argc, char **argv)
{
	static struct takeover t;
	struct control_role lead;
	long count, rest_ms;

	take_arguments(&t, argc, argv);
	count = bench_number(argv[4], 1, 100000);
	rest_ms = bench_number(argv[5], 0, 60000);
	(void)prctl(PR_SET_TIMERSLACK, 1ul, 0ul, 0ul, 0ul); /* 20 us shall be 20 us */
	open_all(&t, argc > 7 ? (unsigned)bench_number(argv[7], 0, INFLIGHT_MAX) : 8,
		 argc > 8 ? (unsigned)bench_number(argv[8], 0, 1000000) : 0);
	control_ask(&t.control, t.role, &lead);
	settle(&t, &(struct control_role){.understudies = lead.understudies}, &lead);
	for (long i = 0; i < count; i++) {
		nap(rest_ms * 1000000);
		turn(&t, &lead, i);
	}
	close_all(&t);
	(void)printf("adds %u\n", t.adds);
	return fflush(stdout) == 0 ? 0 : 1;
}
