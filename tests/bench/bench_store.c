/* The same work without a tribe around it, on a copy of a tribe's archive, with the archive's own statements:
 *   ask      the ranked search of three words and its five rows; each thread has a connection of its own
 *   add      a row and its words, durable (WAL, FULL); several threads hand theirs to one writer that commits whatever
 * came during its last commit. Left out, and so part of the tribe's price: hashes, requests, heat, checks append   4
 * KiB appended and fdatasync: the floor bench-store FILE ask|add|append COUNT SEED [THREADS] Each latency in
 * nanoseconds on a line of its own, then what the timed part took and cost. */
#include "tests/bench/common.h"
#include "tests/bench/words.h"
#include <fcntl.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define THREADS_MAX 256
#define SOURCES     5 /* of an answer, as POST /api/v1/ask has it when nothing is said */

enum statement {
#define SQL2(id, lane, sqlite, postgres) ST_##id,
#include "jrs/memory/archive/sql.def"
#undef SQL2
	NSTATEMENTS
};
static const char *const statements[NSTATEMENTS] = {
#define SQL2(id, lane, sqlite, postgres) [ST_##id] = sqlite,
#include "jrs/memory/archive/sql.def"
#undef SQL2
};

struct item {
	char text[WORDS_TEXT_MAX];
	int64_t start_ns;
	bool done;
	struct item *next; /* in the writer's queue */
};
struct bench {
	const char *path, *kind;
	struct item *items;
	int64_t *ns;
	size_t count, threads;
	uint64_t seed;
	pthread_barrier_t ready;  /* everything is open and prepared */
	int64_t start_ns, cpu_ns; /* after stop_clock(): what it took */
	/* group commit; under lock */
	pthread_mutex_t lock;
	pthread_cond_t work, committed;
	struct item *first, **last;
	size_t written;
};
struct worker {
	struct bench *b;
	sqlite3 *db;
	size_t from, to; /* its part of the items */
	pthread_t thread;
};

static sqlite3 *open_db(const char *path)
{
	sqlite3 *db;

	bench_must(sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL) == SQLITE_OK, "open");
	bench_must(sqlite3_exec(db, "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL", NULL, NULL, NULL) == SQLITE_OK,
		   "setup");
	(void)sqlite3_busy_timeout(db, 10000);
	return db;
}

static sqlite3_stmt *prepare(sqlite3 *db, enum statement id)
{
	sqlite3_stmt *st;

	if (sqlite3_prepare_v3(db, statements[id], -1, SQLITE_PREPARE_PERSISTENT, &st, NULL) != SQLITE_OK) {
		(void)fprintf(stderr, "bench-store: %s\n", sqlite3_errmsg(db));
		exit(1);
	}
	return st;
}

static void step(sqlite3_stmt *st, const char *what)
{
	bench_must(sqlite3_step(st) == SQLITE_DONE, what);
	(void)sqlite3_reset(st);
}

/* ---- add ---- */
struct writer {
	sqlite3 *db;
	sqlite3_stmt *begin, *commit, *row, *words;
	uint64_t next;
};

static void writer_open(struct writer *w, const struct bench *b)
{
	w->db = open_db(b->path);
	w->begin = prepare(w->db, ST_BEGIN);
	w->commit = prepare(w->db, ST_COMMIT);
	w->row = prepare(w->db, ST_ADD);
	w->words = prepare(w->db, ST_ADD_WORDS);
	w->next = 0;
}

static void writer_close(struct writer *w)
{
	(void)sqlite3_finalize(w->begin);
	(void)sqlite3_finalize(w->commit);
	(void)sqlite3_finalize(w->row);
	(void)sqlite3_finalize(w->words);
	bench_must(sqlite3_close(w->db) == SQLITE_OK, "close");
}

/* The columns that are not text stand for what the tribe computes: a time-ordered id, a hash that falls anywhere. */
static void insert(struct writer *w, const struct bench *b, const char *text)
{
	uint64_t n = w->next++, mixed[4];
	int64_t now = bench_ns(CLOCK_REALTIME) / 1000000;
	char id[40], hash[65];

	for (uint64_t i = 0; i < 4; i++)
		mixed[i] = (b->seed * 1000003 + n * 4 + i + 1) * 0x9e3779b97f4a7c15u ^ (uint64_t)now << 20;
	(void)snprintf(id, sizeof(id), "%012llx-%016llx%06llx", (unsigned long long)now, (unsigned long long)mixed[0],
		       (unsigned long long)n & 0xffffff);
	(void)snprintf(hash, sizeof(hash), "%016llx%016llx%016llx%016llx", (unsigned long long)mixed[0],
		       (unsigned long long)mixed[1], (unsigned long long)mixed[2], (unsigned long long)mixed[3]);
	(void)sqlite3_bind_text(w->row, 2, id, -1, SQLITE_STATIC);
	(void)sqlite3_bind_text(w->row, 3, hash, -1, SQLITE_STATIC);
	(void)sqlite3_bind_blob(w->row, 4, mixed, sizeof(mixed), SQLITE_STATIC);
	(void)sqlite3_bind_double(w->row, 5, (double)now / 604800000.0);
	(void)sqlite3_bind_int64(w->row, 6, now);
	(void)sqlite3_bind_double(w->row, 8, 0.5);
	(void)sqlite3_bind_int(w->row, 9, 0);
	(void)sqlite3_bind_text(w->row, 14, "[]", -1, SQLITE_STATIC);
	(void)sqlite3_bind_text(w->row, 16, text, -1, SQLITE_STATIC);
	step(w->row, "insert");
	(void)sqlite3_bind_int64(w->words, 1, sqlite3_last_insert_rowid(w->db));
	(void)sqlite3_bind_text(w->words, 2, text, -1, SQLITE_STATIC);
	step(w->words, "index");
}

static void start_clock(struct bench *b)
{
	b->start_ns = bench_ns(CLOCK_MONOTONIC);
	b->cpu_ns = bench_ns(CLOCK_PROCESS_CPUTIME_ID);
}

static void stop_clock(struct bench *b)
{
	b->cpu_ns = bench_ns(CLOCK_PROCESS_CPUTIME_ID) - b->cpu_ns;
	b->start_ns = bench_ns(CLOCK_MONOTONIC) - b->start_ns;
}

static void add_alone(struct bench *b)
{
	struct writer w;

	writer_open(&w, b);
	start_clock(b);
	for (size_t i = 0; i < b->count; i++) {
		int64_t start = bench_ns(CLOCK_MONOTONIC);

		step(w.begin, "begin");
		insert(&w, b, b->items[i].text);
		step(w.commit, "commit");
		b->ns[i] = bench_ns(CLOCK_MONOTONIC) - start;
	}
	stop_clock(b);
	writer_close(&w);
}

static void *hand_in(void *arg)
{
	const struct worker *me = arg;
	struct bench *b = me->b;

	(void)pthread_barrier_wait(&b->ready);
	for (size_t i = me->from; i < me->to; i++) {
		struct item *it = &b->items[i];

		it->start_ns = bench_ns(CLOCK_MONOTONIC);
		(void)pthread_mutex_lock(&b->lock);
		*b->last = it;
		b->last = &it->next;
		(void)pthread_cond_signal(&b->work);
		while (!it->done)
			(void)pthread_cond_wait(&b->committed, &b->lock);
		(void)pthread_mutex_unlock(&b->lock);
		b->ns[i] = bench_ns(CLOCK_MONOTONIC) - it->start_ns;
	}
	return NULL;
}

static void *write_groups(void *arg)
{
	struct bench *b = arg;
	struct writer w;

	writer_open(&w, b);
	(void)pthread_barrier_wait(&b->ready);
	while (b->written < b->count) {
		struct item *group, *it;

		(void)pthread_mutex_lock(&b->lock);
		while (b->first == NULL)
			(void)pthread_cond_wait(&b->work, &b->lock);
		group = b->first;
		b->first = NULL;
		b->last = &b->first;
		(void)pthread_mutex_unlock(&b->lock);
		step(w.begin, "begin");
		for (it = group; it != NULL; it = it->next)
			insert(&w, b, it->text);
		step(w.commit, "commit");
		(void)pthread_mutex_lock(&b->lock);
		for (it = group; it != NULL; it = it->next) {
			it->done = true;
			b->written++;
		}
		(void)pthread_cond_broadcast(&b->committed);
		(void)pthread_mutex_unlock(&b->lock);
	}
	stop_clock(b);
	writer_close(&w);
	return NULL;
}

/* ---- ask ---- */
static void *ask(void *arg)
{
	const struct worker *me = arg;
	struct bench *b = me->b;
	sqlite3_stmt *search = prepare(me->db, ST_SEARCH), *row = prepare(me->db, ST_ROW);

	(void)pthread_barrier_wait(&b->ready);
	for (size_t i = me->from; i < me->to; i++) {
		int64_t start = bench_ns(CLOCK_MONOTONIC);

		(void)sqlite3_bind_text(search, 1, b->items[i].text, -1, SQLITE_STATIC);
		(void)sqlite3_bind_int(search, 2, SOURCES);
		while (sqlite3_step(search) == SQLITE_ROW) {
			(void)sqlite3_bind_int64(row, 1, sqlite3_column_int64(search, 0));
			bench_must(sqlite3_step(row) == SQLITE_ROW && sqlite3_column_bytes(row, 2) > 0, "row");
			(void)sqlite3_reset(row);
		}
		bench_must(sqlite3_reset(search) == SQLITE_OK, "search");
		b->ns[i] = bench_ns(CLOCK_MONOTONIC) - start;
	}
	(void)sqlite3_finalize(search);
	(void)sqlite3_finalize(row);
	return NULL;
}

static void append(struct bench *b)
{
	static char page[4096];
	int fd = open(b->path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);

	bench_must(fd >= 0, "open");
	memset(page, 'x', sizeof(page));
	start_clock(b);
	for (size_t i = 0; i < b->count; i++) {
		int64_t start = bench_ns(CLOCK_MONOTONIC);

		bench_must(write(fd, page, sizeof(page)) == (ssize_t)sizeof(page) && fdatasync(fd) == 0, "append");
		b->ns[i] = bench_ns(CLOCK_MONOTONIC) - start;
	}
	stop_clock(b);
	(void)close(fd);
}

/* "one two three" -> "one" OR "two" OR "three": what the tribe asks its index. */
static void as_query(char *text)
{
	char was[WORDS_TEXT_MAX], *rest = was, *word;
	size_t at = 0;

	memcpy(was, text, sizeof(was));
	while ((word = strtok_r(rest, " ", &rest)) != NULL)
		at += (size_t)sprintf(text + at, "%s\"%s\"", at > 0 ? " OR " : "", word);
}

static void compose_all(struct bench *b)
{
	bool asking = strcmp(b->kind, "ask") == 0;
	struct words w;

	bench_must(words_open(&w, b->seed) == 0, "memory");
	for (size_t i = 0; i < b->count; i++) {
		if (asking) {
			words_question(&w, b->items[i].text);
			as_query(b->items[i].text);
		} else {
			words_memory(&w, b->items[i].text);
		}
	}
	words_close(&w);
}

/* One part for each thread; everything is open before anybody starts. The writer, when there is one, stops the clock.
 */
static void run_threads(struct bench *b, bool asking)
{
	struct worker *v = bench_room(b->threads, sizeof(*v));
	pthread_t writer = 0;

	bench_must(pthread_barrier_init(&b->ready, NULL, (unsigned)b->threads + (asking ? 1 : 2)) == 0, "barrier");
	bench_must(asking || pthread_create(&writer, NULL, write_groups, b) == 0, "thread");
	for (size_t i = 0; i < b->threads; i++) {
		v[i] = (struct worker){.b = b,
				       .db = asking ? open_db(b->path) : NULL,
				       .from = b->count * i / b->threads,
				       .to = b->count * (i + 1) / b->threads};
	}
	for (size_t i = 0; i < b->threads; i++)
		bench_must(pthread_create(&v[i].thread, NULL, asking ? ask : hand_in, &v[i]) == 0, "thread");
	(void)pthread_barrier_wait(&b->ready);
	start_clock(b);
	for (size_t i = 0; i < b->threads; i++)
		bench_must(pthread_join(v[i].thread, NULL) == 0, "thread");
	if (asking)
		stop_clock(b);
	else
		bench_must(pthread_join(writer, NULL) == 0, "thread");
	(void)pthread_barrier_destroy(&b->ready);
	for (size_t i = 0; i < b->threads; i++)
		(void)sqlite3_close(v[i].db);
	free(v);
}

int main(int argc, char **argv)
{
	struct bench b = {.lock = PTHREAD_MUTEX_INITIALIZER,
			  .work = PTHREAD_COND_INITIALIZER,
			  .committed = PTHREAD_COND_INITIALIZER};

	if (argc < 5 || argc > 6 ||
	    (strcmp(argv[2], "ask") != 0 && strcmp(argv[2], "add") != 0 && strcmp(argv[2], "append") != 0)) {
		(void)fputs("usage: bench-store FILE ask|add|append COUNT SEED [THREADS]\n", stderr);
		return 2;
	}
	b.path = argv[1];
	b.kind = argv[2];
	b.count = (size_t)bench_number(argv[3], 1, 10000000);
	b.seed = strtoull(argv[4], NULL, 10);
	b.threads = argc > 5 ? (size_t)bench_number(argv[5], 1, THREADS_MAX) : 1;
	b.last = &b.first;
	b.items = bench_room(b.count, sizeof(*b.items));
	b.ns = bench_room(b.count, sizeof(*b.ns));
	compose_all(&b);
	(void)sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0); /* a lock less for the threads */
	if (strcmp(b.kind, "append") == 0)
		append(&b);
	else if (strcmp(b.kind, "add") == 0 && b.threads == 1)
		add_alone(&b);
	else
		run_threads(&b, strcmp(b.kind, "ask") == 0);
	bench_print(b.ns, b.count, b.start_ns, b.cpu_ns);
	free(b.items);
	free(b.ns);
	return 0;
}
