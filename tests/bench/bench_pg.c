/* The same adds on bare libpq, in a database with the archive's own tables: pipeline mode, prepared statements, a BEGIN
 * and a COMMIT around whatever came during the last commit.
 *   bench-pg CONNINFO add|import COUNT SEED [WIDTH] [request] [fed]
 * The words mean what they mean to bench-store. The CPU told is this process's; the server's is its own. */
#include "tests/bench/common.h"
#include "tests/bench/group.h"
#include "tests/bench/row.h"
#include "tests/bench/words.h"
#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WIDTH_MAX  256
#define IMPORT     256 /* rows of a commit: what an import sends at once */
#define PARAMS_MAX 32
#define SQL_MAX    1024 /* of a statement used here */

enum statement { USE_BEGIN, USE_COMMIT, USE_ADD, USE_ADD_REQUEST, NUSED };
static const char *const names[NUSED] = {"begin", "commit", "add", "request"};
enum {
#define SQL2(id, lane, sqlite, postgres) ST_##id,
#include "jrs/memory/archive/sql.def"
#undef SQL2
	NSTATEMENTS
};
static const char *const statements[NSTATEMENTS] = {
#define SQL2(id, lane, sqlite, postgres) [ST_##id] = postgres,
#include "jrs/memory/archive/sql.def"
#undef SQL2
};

struct bench {
	const char *conninfo, *kind;
	char (*texts)[WORDS_TEXT_MAX]; /* owned */
	int64_t *ns;                   /* owned */
	size_t count, width;
	uint64_t seed;
	bool request, fed;
	int64_t wall_ns, cpu_ns;
};
struct writer {
	struct bench *b;
	PGconn *pg;
	int nparams[NUSED]; /* what is not put stays NULL */
	uint64_t next;
	int64_t seq; /* of the last row */
};
/* Parameters of one statement: text where length is 0, else so many bytes as they are. */
struct params {
	const char *value[PARAMS_MAX];
	int length[PARAMS_MAX], format[PARAMS_MAX];
};

static void must(struct writer *w, bool ok, const char *what)
{
	if (ok)
		return;
	(void)fprintf(stderr, "bench-pg: %s: %s", what, PQerrorMessage(w->pg));
	exit(1);
}

/* ?1 -> $1; counts the parameters */
static void prepare(struct writer *w, enum statement id, const char *text)
{
	char sql[SQL_MAX];
	PGresult *res;
	size_t n = strlen(text);

	bench_must(n < sizeof(sql), "a statement of that length: it");
	memcpy(sql, text, n + 1);
	for (char *p = sql; (p = strchr(p, '?')) != NULL;) {
		int nr = (int)strtol(p + 1, NULL, 10);

		*p = '$';
		w->nparams[id] = nr > w->nparams[id] ? nr : w->nparams[id];
	}
	bench_must(w->nparams[id] <= PARAMS_MAX, "a statement with so many parameters: it");
	res = PQprepare(w->pg, names[id], sql, 0, NULL);
	must(w, PQresultStatus(res) == PGRES_COMMAND_OK, names[id]);
	PQclear(res);
}

static void *writer_open(void *bench)
{
	struct writer *w = bench_room(1, sizeof(*w));
	PGresult *res;

	w->b = bench;
	w->pg = PQconnectdb(w->b->conninfo);
	must(w, PQstatus(w->pg) == CONNECTION_OK, "connect");
	prepare(w, USE_BEGIN, statements[ST_BEGIN]);
	prepare(w, USE_COMMIT, statements[ST_COMMIT]);
	prepare(w, USE_ADD, statements[ST_ADD]);
	prepare(w, USE_ADD_REQUEST, statements[ST_ADD_REQUEST]);
	res = PQexec(w->pg, "SELECT coalesce(max(seq), 0) FROM thermal_memory_archive");
	must(w, PQresultStatus(res) == PGRES_TUPLES_OK, "last row");
	w->seq = strtoll(PQgetvalue(res, 0, 0), NULL, 10);
	PQclear(res);
	must(w, PQenterPipelineMode(w->pg) == 1, "pipeline");
	return w;
}

static void writer_close(void *writer)
{
	struct writer *w = writer;

	PQfinish(w->pg);
	free(w);
}

static void put(struct params *p, int nr, const void *bytes, size_t n)
{
	p->value[nr - 1] = bytes;
	p->length[nr - 1] = (int)n;
	p->format[nr - 1] = n > 0;
}

static void send_one(struct writer *w, enum statement id, const struct params *p)
{
	must(w, PQsendQueryPrepared(w->pg, names[id], w->nparams[id], p->value, p->length, p->format, 1) == 1, "send");
}

static void send_row(struct writer *w, const struct row *r, const char *text)
{
	struct params p = {.length = {0}};
	char seq[24], heat[32], now[24];

	(void)snprintf(seq, sizeof(seq), "%lld", (long long)++w->seq);
	(void)snprintf(heat, sizeof(heat), "%.17g", r->heat);
	(void)snprintf(now, sizeof(now), "%lld", (long long)r->now_ms);
	put(&p, 1, seq, 0);
	put(&p, 2, r->id, 0);
	put(&p, 3, r->hash, 0);
	put(&p, 4, r->identity, sizeof(r->identity));
	put(&p, 5, heat, 0);
	put(&p, 6, now, 0);
	put(&p, 8, "0.5", 0);
	put(&p, 9, "0", 0);
	put(&p, 14, "[]", 0);
	put(&p, 16, text, 0);
	send_one(w, USE_ADD, &p);
}

static void send_request(struct writer *w, const struct row *r)
{
	struct params p = {.length = {0}};
	char now[24];

	(void)snprintf(now, sizeof(now), "%lld", (long long)r->now_ms);
	put(&p, 1, r->request, 0);
	put(&p, 2, "memory.add", 0);
	put(&p, 3, r->fingerprint, sizeof(r->fingerprint));
	put(&p, 4, r->result, sizeof(r->result));
	put(&p, 5, now, 0);
	send_one(w, USE_ADD_REQUEST, &p);
}

/* Until the answer of the sync: every statement succeeded, and the last was a COMMIT that committed. */
static void await_commit(struct writer *w)
{
	bool committed = false, synced = false;

	while (!synced) {
		PGresult *res = PQgetResult(w->pg);

		if (res == NULL)
			continue;
		synced = PQresultStatus(res) == PGRES_PIPELINE_SYNC;
		must(w, synced || PQresultStatus(res) == PGRES_COMMAND_OK, "statement");
		committed = synced ? committed : strcmp(PQcmdStatus(res), "COMMIT") == 0;
		PQclear(res);
	}
	must(w, committed, "commit");
}

/* per_request: rows that one request brings. */
static void write_rows(struct writer *w, const size_t *v, size_t from, size_t n, size_t per_request)
{
	const struct params none = {.length = {0}};
	struct row r;

	send_one(w, USE_BEGIN, &none);
	for (size_t i = 0; i < n; i++) {
		row_make(&r, w->b->seed, w->next++);
		send_row(w, &r, w->b->texts[v != NULL ? v[i] : from + i]);
		if (w->b->request && i % per_request == 0)
			send_request(w, &r);
	}
	send_one(w, USE_COMMIT, &none);
	must(w, PQpipelineSync(w->pg) == 1, "sync");
	await_commit(w);
}

static void write_group(void *writer, const size_t *v, size_t n)
{
	write_rows(writer, v, 0, n, 1);
}

/* One thread, `each` rows a commit. How many commits. */
static size_t add_alone(struct bench *b, size_t each)
{
	struct writer *w = writer_open(b);
	size_t commits = 0;

	b->wall_ns = bench_ns(CLOCK_MONOTONIC);
	b->cpu_ns = bench_ns(CLOCK_PROCESS_CPUTIME_ID);
	for (size_t i = 0; i < b->count; i += each) {
		int64_t start = bench_ns(CLOCK_MONOTONIC);

		write_rows(w, NULL, i, b->count - i < each ? b->count - i : each, each);
		b->ns[commits++] = bench_ns(CLOCK_MONOTONIC) - start;
	}
	b->cpu_ns = bench_ns(CLOCK_PROCESS_CPUTIME_ID) - b->cpu_ns;
	b->wall_ns = bench_ns(CLOCK_MONOTONIC) - b->wall_ns;
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

int main(int argc, char **argv)
{
	struct bench b = {.width = 1};
	struct words words;
	size_t commits, n;
	bool import;

	if (argc < 5 || (strcmp(argv[2], "add") != 0 && strcmp(argv[2], "import") != 0)) {
		(void)fputs("usage: bench-pg CONNINFO add|import COUNT SEED [WIDTH] [request] [fed]\n", stderr);
		return 2;
	}
	b.conninfo = argv[1];
	import = strcmp(argv[2], "import") == 0;
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
	bench_must(words_open(&words, b.seed) == 0, "memory");
	for (size_t i = 0; i < b.count; i++)
		words_memory(&words, b.texts[i]);
	words_close(&words);
	commits = import ? add_alone(&b, IMPORT) : b.width == 1 ? add_alone(&b, 1) : add_together(&b);
	n = import ? commits : b.count;
	bench_print(b.ns, n, b.wall_ns, b.cpu_ns);
	(void)printf("commits %zu\n", commits);
	free(b.texts);
	free(b.ns);
	return fflush(stdout) == 0 ? 0 : 1;
}
