/* The archive through its public door (jrs/memory/archive/archive.h), in this process, on a loop:
 *   add      calls of memory.add with one memory each, WIDTH of them under way at once
 *   import   the same with 256 memories each: what integration-jr sends; a latency is a call
 *   bench-archive sqlite:PATH|postgresql:CONNINFO add|import COUNT SEED [WIDTH] [request]
 * COUNT: memories. request: with a request id, as every call through the tribe's sockets has one. The archive is made
 * when it is not there. The clock starts when it has counted what it holds. Each latency in nanoseconds on a line of
 * its own, then what the timed part took and cost (all threads), and in how many commits. */
#include "common/base/text.h"
#include "common/loop/loop.h"
#include "jrs/memory/archive/archive.h"
#include "tests/bench/common.h"
#include "tests/bench/words.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WIDTH_MAX 256
#define IMPORT    256

struct bench {
	struct archive *archive;
	struct item_new_memory *memories; /* owned, count; their texts too */
	char (*texts)[WORDS_TEXT_MAX];
	size_t count, each; /* each: memories of a call */
	size_t next, told, calls;
	bool request;
	int64_t *ns;
};
/* One of WIDTH places: a call under way. */
struct place {
	struct bench *b;
	msgpack_zone *zone; /* owned */
	struct msg_memory_add msg;
	char request_id[TR_ID_LEN];
	size_t number; /* of the call */
	int64_t start_ns;
};

static void begin_call(struct place *p);

static void refused(const struct tr_fault *fault)
{
	(void)fprintf(stderr, "bench-archive: %s %s\n", fault->field, fault->rule);
	exit(1);
}

static void on_answer(void *arg, int r, const struct archive_answer *answer, const struct tr_fault *fault)
{
	struct place *p = arg;
	struct bench *b = p->b;
	const struct res_memory_add *res;

	b->ns[p->number] = bench_ns(CLOCK_MONOTONIC) - p->start_ns;
	if (r < 0)
		refused(fault);
	res = answer->res;
	bench_must(res->memories.n == p->msg.memories.n && res->memories.v[0].created, "a new memory: it");
	b->told++;
	msgpack_zone_clear(p->zone);
	if (b->next < b->count)
		begin_call(p);
}

static void begin_call(struct place *p)
{
	struct bench *b = p->b;
	size_t n = b->count - b->next < b->each ? b->count - b->next : b->each;
	const struct archive_ctx ctx = {p->zone, 0};

	p->msg = (struct msg_memory_add){.memories = {b->memories + b->next, (uint32_t)n}};
	if (b->request) {
		tr_id_new(p->request_id);
		p->msg.common.has_request_id = true;
		p->msg.common.request_id = wire_s(p->request_id);
	}
	p->number = b->next / b->each;
	b->next += n;
	p->start_ns = bench_ns(CLOCK_MONOTONIC);
	bench_must(archive_call(b->archive, MSG_memory_add, &p->msg, &ctx, on_answer, p) == 0, "call");
}

static void on_counted(void *arg, int r, const struct archive_answer *answer, const struct tr_fault *fault)
{
	(void)answer;
	if (r < 0)
		refused(fault);
	*(bool *)arg = true;
}

static void open_and_count(struct bench *b, uv_loop_t *loop, const char *where, msgpack_zone *zone)
{
	struct archive_cfg cfg = {.loop = loop, .epoch = 1};
	const struct msg_memory_thermal msg = {.common = {.has_request_id = false}};
	const struct archive_ctx ctx = {zone, 0};
	struct tr_fault fault = {0};
	const char *rest = strchr(where, ':');
	bool counted = false;

	bench_must(rest != NULL, "sqlite:PATH or postgresql:CONNINFO");
	if (strncmp(where, "sqlite:", 7) == 0)
		cfg.path = rest + 1;
	else
		cfg.conninfo = rest + 1;
	if (archive_open(&b->archive, &cfg, &fault) < 0)
		refused(&fault);
	bench_must(archive_call(b->archive, MSG_memory_thermal, &msg, &ctx, on_counted, &counted) == 0, "call");
	while (!counted)
		(void)uv_run(loop, UV_RUN_ONCE);
	msgpack_zone_clear(zone);
}

static void compose(struct bench *b, uint64_t seed)
{
	struct words w;

	b->texts = bench_room(b->count, sizeof(*b->texts));
	b->memories = bench_room(b->count, sizeof(*b->memories));
	bench_must(words_open(&w, seed) == 0, "memory");
	for (size_t i = 0; i < b->count; i++) {
		words_memory(&w, b->texts[i]);
		b->memories[i].content = wire_s(b->texts[i]);
	}
	words_close(&w);
	b->calls = (b->count + b->each - 1) / b->each;
	b->ns = bench_room(b->calls, sizeof(*b->ns));
}

static void run(struct bench *b, const char *where, size_t width)
{
	struct place *places = bench_room(width, sizeof(*places));
	struct archive_stats before, after;
	int64_t wall, cpu;
	uv_loop_t loop;

	bench_must(uv_loop_init(&loop) == 0, "loop");
	for (size_t i = 0; i < width; i++) {
		places[i] = (struct place){.b = b, .zone = msgpack_zone_new(8192)};
		bench_must(places[i].zone != NULL, "memory");
	}
	open_and_count(b, &loop, where, places[0].zone);
	archive_stats(b->archive, &before);
	wall = bench_ns(CLOCK_MONOTONIC);
	cpu = bench_ns(CLOCK_PROCESS_CPUTIME_ID);
	for (size_t i = 0; i < width && b->next < b->count; i++)
		begin_call(&places[i]);
	while (b->told < b->calls)
		(void)uv_run(&loop, UV_RUN_ONCE);
	cpu = bench_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu;
	wall = bench_ns(CLOCK_MONOTONIC) - wall;
	archive_stats(b->archive, &after);
	archive_close(&b->archive);
	bench_must(loop_finish(&loop) == 0, "the loop's end");
	bench_print(b->ns, b->calls, wall, cpu);
	(void)printf("commits %llu\n", (unsigned long long)(after.commits - before.commits));
	for (size_t i = 0; i < width; i++)
		msgpack_zone_free(places[i].zone);
	free(places);
}

int main(int argc, char **argv)
{
	struct bench b = {.each = 1};
	size_t width = 1;

	if (argc < 5 || (strcmp(argv[2], "add") != 0 && strcmp(argv[2], "import") != 0)) {
		(void)fputs("usage: bench-archive sqlite:PATH|postgresql:CONNINFO add|import COUNT SEED [WIDTH] "
			    "[request]\n",
			    stderr);
		return 2;
	}
	b.each = strcmp(argv[2], "import") == 0 ? IMPORT : 1;
	b.count = (size_t)bench_number(argv[3], 1, 10000000);
	for (int i = 5; i < argc; i++) {
		if (strcmp(argv[i], "request") == 0)
			b.request = true;
		else
			width = (size_t)bench_number(argv[i], 1, WIDTH_MAX);
	}
	archive_prepare_process(); /* as memory-jr */
	compose(&b, strtoull(argv[4], NULL, 10));
	run(&b, argv[1], width);
	free(b.ns);
	free(b.texts);
	free(b.memories);
	return fflush(stdout) == 0 ? 0 : 1;
}
