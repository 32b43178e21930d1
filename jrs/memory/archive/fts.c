/* The full-text index of SQLite: what each word of a question is worth, and how often it stands in a memory. */
#include "common/log/log.h"
#include "jrs/memory/archive/sqlite.h"
#include <math.h>
#include <string.h>

/* sqlite3_free() for xSetAuxdata. */
static void free_weights(void *p)
{
	sqlite3_free(p);
}

static int count_row(const Fts5ExtensionApi *api, Fts5Context *fts, void *arg)
{
	(void)api;
	(void)fts;
	++*(sqlite3_int64 *)arg;
	return SQLITE_OK;
}

/* The weight that bm25() gives each word: the rarer, the more; never 0 for one that stands somewhere, 0 for one that
 * does not. Reckoned once for a query. */
static int weights_of(const Fts5ExtensionApi *api, Fts5Context *fts, int n, double **out)
{
	double *v = api->xGetAuxdata(fts, 0);
	sqlite3_int64 rows = 0, hits;
	int i, rc;

	if (v == NULL) {
		if ((v = sqlite3_malloc64(sizeof(*v) * (size_t)n)) == NULL)
			return SQLITE_NOMEM;
		rc = api->xRowCount(fts, &rows);
		for (i = 0; rc == SQLITE_OK && i < n; i++) {
			hits = 0;
			rc = api->xQueryPhrase(fts, i, &hits, count_row);
			v[i] = hits == 0 ? 0.0 : fmax(1e-6, log(((double)(rows - hits) + 0.5) / ((double)hits + 0.5)));
		}
		if (rc != SQLITE_OK) {
			sqlite3_free(v);
			return rc;
		}
		if ((rc = api->xSetAuxdata(fts, v, free_weights)) != SQLITE_OK)
			return rc; /* it has freed v */
	}
	*out = v;
	return SQLITE_OK;
}

static void memory_terms(const Fts5ExtensionApi *api, Fts5Context *fts, sqlite3_context *ctx, int nargs,
			 sqlite3_value **args)
{
	struct term v[QUERY_WORDS_MAX];
	double *weights = NULL;
	int n = api->xPhraseCount(fts), i, phrase, col, off, instances = 0, rc = SQLITE_OK;

	(void)args;
	if (n <= 0 || n > QUERY_WORDS_MAX)
		return; /* NULL */
	memset(v, 0, sizeof(v));
	if (nargs == 0) /* else nobody asks for them: to reckon them every row is looked at that has one of the words */
		rc = weights_of(api, fts, n, &weights);
	if (rc == SQLITE_OK)
		rc = api->xInstCount(fts, &instances);
	for (i = 0; rc == SQLITE_OK && i < instances; i++) {
		rc = api->xInst(fts, i, &phrase, &col, &off);
		if (rc == SQLITE_OK && phrase >= 0 && phrase < n)
			v[phrase].count++;
	}
	if (rc != SQLITE_OK) {
		sqlite3_result_error_code(ctx, rc);
		return;
	}
	for (i = 0; weights != NULL && i < n; i++)
		v[i].weight = weights[i];
	sqlite3_result_blob64(ctx, v, sizeof(v[0]) * (size_t)n, SQLITE_TRANSIENT);
}

int fts_register(struct db *db, struct tr_fault *fault)
{
	fts5_api *api = NULL;
	sqlite3_stmt *st = NULL;
	int rc = sqlite3_prepare_v2(sqlite_of(db), "SELECT fts5(?1)", -1, &st, NULL);

	if (rc == SQLITE_OK)
		rc = sqlite3_bind_pointer(st, 1, (void *)&api, "fts5_api_ptr", NULL);
	if (rc == SQLITE_OK)
		sqlite3_step(st);
	sqlite3_finalize(st);
	if (rc == SQLITE_OK)
		rc = api == NULL ? SQLITE_ERROR : api->xCreateFunction(api, "memory_terms", NULL, memory_terms, NULL);
	if (rc == SQLITE_OK)
		return 0;
	sqlite_failed(db, rc);
	return tr_fault_set(fault, TR_ESTORE, "archive.url", "the full-text index of this SQLite cannot be used (%s)",
			    sqlite3_errstr(rc));
}

/* One row of the index, or any row that matches (memory == 0): 1, and terms (n of them) and match. */
static int ask(struct db *db, const struct buf *text, int64_t memory, struct term *v, unsigned n, double *match)
{
	struct query q = q_begin(db, memory == 0 ? SQL_EXPLAIN_ANY : SQL_EXPLAIN);
	int r;

	q_text(&q, text->p, text->len);
	if (memory != 0)
		q_i64(&q, memory);
	if ((r = q_row(&q)) == 1) {
		*match = q_get_f64(&q, 0);
		/* A word that the index cuts otherwise than we do is no phrase there: then none can be told apart. */
		if (q_len(&q, 1) == sizeof(*v) * n)
			memcpy(v, q_get(&q, 1), sizeof(*v) * n);
	}
	q_end(&q);
	return r;
}

/* The words of one row are counted; their weights in v stay. */
static int count(struct db *db, const struct buf *text, int64_t memory, struct term *v, unsigned n)
{
	struct term counted[QUERY_WORDS_MAX];
	struct query q = q_begin(db, SQL_EXPLAIN_COUNT);
	int r;

	q_text(&q, text->p, text->len);
	q_i64(&q, memory);
	if ((r = q_row(&q)) == 1 && q_len(&q, 0) == sizeof(*v) * n) {
		memcpy(counted, q_get(&q, 0), sizeof(*v) * n);
		for (unsigned i = 0; i < n; i++)
			v[i].count = counted[i].count;
	}
	q_end(&q);
	return r;
}

int fts_terms(struct db *db, const struct query_words *words, int64_t memory, bool weighed, struct term *v,
	      double *match)
{
	struct buf text = {0};
	double other;
	unsigned i;
	int r = query_text(words, &text);

	if (r > 0 && weighed) {
		r = count(db, &text, memory, v, words->n);
		buf_free(&text);
		return r;
	}
	if (r > 0 && (r = ask(db, &text, memory, v, words->n, match)) == 0 &&
	    (r = ask(db, &text, 0, v, words->n, &other)) == 1) {
		for (i = 0; i < words->n; i++)
			v[i].count = 0; /* they are another memory's */
		r = 0;
	}
	buf_free(&text);
	return r;
}
