/* The same work without a tribe around it, on a copy of a tribe's archive, with the archive's own statements:
 *   ask      the ranked search of three words and its five rows; each thread has a connection of its own
 *   add      a row and its words, durable (WAL, FULL); WIDTH callers hand theirs to one writer that commits whatever
 *            came during its last commit; WIDTH 1: one thread does it all
 *   import   the same, 256 rows a commit, one thread; a latency is a commit
 *   append   4 KiB appended and fdatasync: the floor
 *   bench-store FILE ask|add|import|append COUNT SEED [WIDTH] [request] [fed]
 * request: each add (import: each commit) leaves its request id and answer too, as those that come through the tribe's
 * sockets do. fed: one thread keeps WIDTH adds under way instead of WIDTH threads. Left out, and so part of the tribe's
 * price: hashes, looking whether it is known, heat, checks, answers. Each latency in nanoseconds on a line of its own,
 * then what the timed part took and cost. */
#include "tests/bench/common.h"
#include "tests/bench/group.h"
#include "tests/bench/row.h"
#include "tests/bench/words.h"
#include <fcntl.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define WIDTH_MAX 256
#define IMPORT    256 /* rows of a commit: what an import sends at once */
#define SOURCES   5   /* of an answer, as POST /api/v1/ask has it when nothing is said */

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

struct bench {
	const char *path, *kind;
	char (*texts)[WORDS_TEXT_MAX]; /* owned */
	int64_t *ns;                   /* owned */
	size_t count, width;
	uint64_t seed;
	bool request, fed;
	pthread_barrier_t ready; /* asking: everything is open and prepared */
	int64_t wall_ns, cpu_ns; /* after stop_clock(): what it took */
};
struct worker {
	struct bench *b;
	sqlite3 *db;
	size_t from, to; /* its part of the questions */
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
	struct bench *b;
	sqlite3 *db;
	sqlite3_stmt *begin, *commit, *row, *words, *request;
	uint64_t next;
	struct written {
		int64_t row;
		const char *text;
	} * written; /* of this commit */
	size_t room;
};

static void *writer_open(void *bench)
{
	struct writer *w = bench_room(1, sizeof(*w));

	w->b = bench;
	w->db = open_db(w->b->path);
	w->begin = prepare(w->db, ST_BEGIN);
	w->commit = prepare(w->db, ST_COMMIT);
	w->row = prepare(w->db, ST_ADD);
	w->words = prepare(w->db, ST_ADD_WORDS);
	w->request = prepare(w->db, ST_ADD_REQUEST);
	return w;
}

static void writer_close(void *writer)
{
	struct writer *w = writer;

	(void)sqlite3_finalize(w->begin);
	(void)sqlite3_finalize(w->commit);
	(void)sqlite3_finalize(w->row);
	(void)sqlite3_finalize(w->words);
	(void)sqlite3_finalize(w->request);
	bench_must(sqlite3_close(w->db) == SQLITE_OK, "close");
	free(w->written);
	free(w);
}

static void insert(struct writer *w, const struct row *r, const char *text)
{
	(void)sqlite3_bind_text(w->row, 2, r->id, -1, SQLITE_STATIC);
	(void)sqlite3_bind_text(w->row, 3, r->hash, -1, SQLITE_STATIC);
	(void)sqlite3_bind_blob(w->row, 4, r->identity, sizeof(r->identity), SQLITE_STATIC);
	(void)sqlite3_bind_double(w->row, 5, r->heat);
	(void)sqlite3_bind_int64(w->row, 6, r->now_ms);
	(void)sqlite3_bind_double(w->row, 8, 0.5);
	(void)sqlite3_bind_int(w->row, 9, 0);
	(void)sqlite3_bind_text(w->row, 14, "[]", -1, SQLITE_STATIC);
	(void)sqlite3_bind_text(w->row, 16, text, -1, SQLITE_STATIC);
	step(w->row, "insert");
}

/* Behind all rows of a commit: an insert that fires triggers is a savepoint, at which FTS5 writes what it has gathered.
 */
static void insert_words(struct writer *w, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		(void)sqlite3_bind_int64(w->words, 1, w->written[i].row);
		(void)sqlite3_bind_text(w->words, 2, w->written[i].text, -1, SQLITE_STATIC);
		step(w->words, "index");
	}
}

static void remember_request(struct writer *w, const struct row *r)
{
	(void)sqlite3_bind_text(w->request, 1, r->request, -1, SQLITE_STATIC);
	(void)sqlite3_bind_text(w->request, 2, "memory.add", -1, SQLITE_STATIC);
	(void)sqlite3_bind_blob(w->request, 3, r->fingerprint, sizeof(r->fingerprint), SQLITE_STATIC);
	(void)sqlite3_bind_blob(w->request, 4, r->result, sizeof(r->result), SQLITE_STATIC);
	(void)sqlite3_bind_int64(w->request, 5, r->now_ms);
	step(w->request, "request");
}

/* per_request: rows that one request brings. */
static void write_rows(struct writer *w, const size_t *v, size_t from, size_t n, size_t per_request)
{
	struct row r;

	if (n > w->room) {
		free(w->written);
		w->written = bench_room(w->room = n, sizeof(*w->written));
	}
	step(w->begin, "begin");
	for (size_t i = 0; i < n; i++) {
		const char *text = w->b->texts[v != NULL ? v[i] : from + i];

		row_make(&r, w->b->seed, w->next++);
		insert(w, &r, text);
		w->written[i] = (struct written){sqlite3_last_insert_rowid(w->db), text};
		if (w->b->request && i % per_request == 0)
			remember_request(w, &r);
	}
	insert_words(w, n);
	step(w->commit, "commit");
}

static void write_group(void *writer, const size_t *v, size_t n)
{
	write_rows(writer, v, 0, n, 1);
}

static void start_clock(struct bench *b)
{
	b->wall_ns = bench_ns(CLOCK_MONOTONIC);
	b->cpu_ns = bench_ns(CLOCK_PROCESS_CPUTIME_ID);
}

static void stop_clock(struct bench *b)
{
	b->cpu_ns = bench_ns(CLOCK_PROCESS_CPUTIME_ID) - b->cpu_ns;
	b->wall_ns = bench_ns(CLOCK_MONOTONIC) - b->wall_ns;
}

/* One thread, `each` rows a commit. How many commits. */
static size_t add_alone(struct bench *b, size_t each)
{
	struct writer *w = writer_open(b);
	size_t commits = 0;

	start_clock(b);
	for (size_t i = 0; i < b->count; i += each) {
		int64_t start = bench_ns(CLOCK_MONOTONIC);

		write_rows(w, NULL, i, b->count - i < each ? b->count - i : each, each);
		b->ns[commits++] = bench_ns(CLOCK_MONOTONIC) - start;
	}
	stop_clock(b);
	writer_close(w);
	return commits;
}

static size_t add_together(struct bench *b)
{
	struct group g = {.count = b->count,
			  .width = b->width,
			  .fed = b->fed,
			  .open = writer_open,
			  .commit = write_group,
			  .close = writer_close,
			  .arg = b,
			  .ns = b->ns};

	group_run(&g);
	b->wall_ns = g.wall_ns;
	b->cpu_ns = g.cpu_ns;
	return (size_t)g.commits;
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

		(void)sqlite3_bind_text(search, 1, b->texts[i], -1, SQLITE_STATIC);
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
			words_question(&w, b->texts[i]);
			as_query(b->texts[i]);
		} else {
			words_memory(&w, b->texts[i]);
		}
	}
	words_close(&w);
}

/* A part of the questions for each thread; everything is open before anybody starts. */
static void ask_all(struct bench *b)
{
	struct worker *v = bench_room(b->width, sizeof(*v));

	bench_must(pthread_barrier_init(&b->ready, NULL, (unsigned)b->width + 1) == 0, "barrier");
	for (size_t i = 0; i < b->width; i++)
		v[i] = (struct worker){.b = b,
				       .db = open_db(b->path),
				       .from = b->count * i / b->width,
				       .to = b->count * (i + 1) / b->width};
	for (size_t i = 0; i < b->width; i++)
		bench_must(pthread_create(&v[i].thread, NULL, ask, &v[i]) == 0, "thread");
	(void)pthread_barrier_wait(&b->ready);
	start_clock(b);
	for (size_t i = 0; i < b->width; i++)
		bench_must(pthread_join(v[i].thread, NULL) == 0, "thread");
	stop_clock(b);
	(void)pthread_barrier_destroy(&b->ready);
	for (size_t i = 0; i < b->width; i++)
		(void)sqlite3_close(v[i].db);
	free(v);
}

/* Does it; how many latencies there are, and *commits where rows are committed. */
static size_t run(struct bench *b, size_t *commits)
{
	if (strcmp(b->kind, "append") == 0)
		append(b);
	else if (strcmp(b->kind, "ask") == 0)
		ask_all(b);
	else if (strcmp(b->kind, "import") == 0)
		return *commits = add_alone(b, IMPORT);
	else
		*commits = b->width == 1 ? add_alone(b, 1) : add_together(b);
	return b->count;
}

int main(int argc, char **argv)
{
	struct bench b = {.width = 1};
	size_t commits = 0, n;

	if (argc < 5 || (strcmp(argv[2], "ask") != 0 && strcmp(argv[2], "add") != 0 && strcmp(argv[2], "import") != 0 &&
			 strcmp(argv[2], "append") != 0)) {
		(void)fputs("usage: bench-store FILE ask|add|import|append COUNT SEED [WIDTH] [request] [fed]\n",
			    stderr);
		return 2;
	}
	b.path = argv[1];
	b.kind = argv[2];
	b.count = (size_t)bench_number(argv[3], 1, 10000000);
	b.seed = strtoull(argv[4], NULL, 10);
	for (int i = 5; i < argc; i++) {
		if (strcmp(argv[i], "request") == 0)
			b.request = true;
		else if (strcmp(argv[i], "fed") == 0)
			b.fed = true;
		else
			b.width = (size_t)bench_number(argv[i], 1, WIDTH_MAX);
	}
	b.texts = bench_room(b.count, sizeof(*b.texts));
	b.ns = bench_room(b.count, sizeof(*b.ns));
	compose_all(&b);
	(void)sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0); /* a lock less for the threads */
	n = run(&b, &commits);
	bench_print(b.ns, n, b.wall_ns, b.cpu_ns);
	if (commits > 0)
		(void)printf("commits %zu\n", commits);
	free(b.texts);
	free(b.ns);
	return fflush(stdout) == 0 ? 0 : 1;
}
