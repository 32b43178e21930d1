/* The double's recall: every memory is held against every word of the question. BM25 over content and speaker (a word
 * that is the speaker's name counts double), k1 = 1.2, b = 0.75, a word's weight at least 1e-6. */
#include "common/base/text.h"
#include "jrs/memory/recall/query.h"
#include "jrs/memory/recall/rank.h"
#include "tests/kit/archive_double_inside.h"
#include <libstemmer.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#define LIMIT       10 /* when the caller does not say how many */
#define SPEAKER     2.0
#define K1          1.2
#define B           0.75
#define LEAST       1e-6
#define DEEPEST     10000 /* a ranked list is not paged further */
#define TOKEN_BYTES 4
#define DAY_MS      86400000.0

/* ---- words ---- */
static bool in_word(utf8proc_int32_t c)
{
	utf8proc_category_t k = utf8proc_category(c);

	return (k >= UTF8PROC_CATEGORY_LU && k <= UTF8PROC_CATEGORY_NO) && k != UTF8PROC_CATEGORY_ME;
}

static void end_word(struct dbl_book *b, struct dbl_list *l, const char *p, size_t n)
{
	static struct sb_stemmer *stemmer; /* for the life of the process */
	wire_str *at;

	if (n == 0)
		return;
	at = dbl_put(l);
	*at = dbl_text(b, true, (wire_str){p, (uint32_t)n});
	if (n < 3 || n > 64)
		return;
	if (stemmer == NULL && (stemmer = sb_stemmer_new("porter", NULL)) == NULL)
		abort();
	p = (const char *)sb_stemmer_stem(stemmer, (const sb_symbol *)p, (int)n);
	*at = dbl_text(b, true, (wire_str){p, (uint32_t)sb_stemmer_length(stemmer)});
}

void dbl_words(struct dbl_book *b, wire_str text, wire_strs *out)
{
	struct dbl_list l = {.item = sizeof(wire_str)};
	char *word = malloc(text.n * 4u + 4u);
	size_t at = 0, n = 0;

	if (word == NULL)
		abort();
	while (at < text.n) {
		utf8proc_int32_t c;
		utf8proc_ssize_t used =
			utf8proc_iterate((const utf8proc_uint8_t *)text.p + at, (utf8proc_ssize_t)(text.n - at), &c);

		at += used > 0 ? (size_t)used : 1;
		if (used > 0 && in_word(c)) {
			n += (size_t)utf8proc_encode_char(utf8proc_tolower(c), (utf8proc_uint8_t *)word + n);
			continue;
		}
		end_word(b, &l, word, n);
		n = 0;
	}
	end_word(b, &l, word, n);
	*out = dbl_texts(b, (wire_strs){l.v, (uint32_t)l.n});
	free(l.v);
	free(word);
}

/* ---- how well memories match ---- */
struct question {
	struct query_words words;
	wire_str stem[QUERY_WORDS_MAX];
	double weight[QUERY_WORDS_MAX]; /* 0: the word stands nowhere */
	double mean_length;
};

static unsigned times(wire_strs words, wire_str stem)
{
	unsigned n = 0;

	for (uint32_t i = 0; i < words.n; i++)
		n += dbl_same(words.v[i], stem);
	return n;
}

static unsigned times_in(const struct dbl_row *row, wire_str stem)
{
	return times(row->words, stem) + times(row->names, stem);
}

static int read_question(struct dbl *d, wire_str q, struct question *out)
{
	const struct dbl_list *rows = &d->book->list[ROWS];
	double n = (double)rows->n, length = 0.0;
	wire_strs stems;
	int r;

	memset(out, 0, sizeof(*out));
	if ((r = query_split(q.p, q.n, &out->words)) < 0)
		return r;
	EACH(dbl_row, row, rows)
	length += row->words.n + row->names.n;
	out->mean_length = length / n;
	for (unsigned i = 0; i < out->words.n; i++) {
		wire_str word = {out->words.text.p + out->words.from[i], (uint32_t)out->words.len[i]};
		double hits = 0.0;

		dbl_words(d->book, word, &stems);
		out->stem[i] = stems.n == 1 ? stems.v[0] : word;
		EACH(dbl_row, row, rows)
		hits += times_in(row, out->stem[i]) > 0;
		out->weight[i] = hits > 0.0 ? fmax(LEAST, log((n - hits + 0.5) / (hits + 0.5))) : 0.0;
	}
	return 0;
}

/* False: none of the words stands in it. */
static bool match(const struct question *q, const struct dbl_row *row, double *out)
{
	double length = row->words.n + row->names.n, sum = 0.0;
	unsigned any = 0;

	for (unsigned i = 0; i < q->words.n; i++) {
		double f = times(row->words, q->stem[i]) + SPEAKER * times(row->names, q->stem[i]);

		any += f > 0.0;
		sum += fmax(LEAST, q->weight[i]) * (f * (K1 + 1.0)) /
		       (f + K1 * (1.0 - B + B * length / q->mean_length));
	}
	*out = sum;
	return any > 0;
}

/* ---- which memories are meant ---- */
static bool has_tag(const struct dbl_row *row, wire_str tag)
{
	for (uint32_t i = 0; i < row->tags.n; i++) {
		if (dbl_same(row->tags.v[i], tag))
			return true;
	}
	return false;
}

static bool meant(const struct dbl *d, const struct msg_memory_recall *m, const struct dbl_row *row, int64_t now)
{
	int64_t at = row->has_at ? row->at : row->created;

	return (m->has_source ? dbl_same(row->source, m->source) : !dbl_hidden(row)) &&
	       (!m->has_session || dbl_same(row->session, m->session)) &&
	       (!m->has_speaker || dbl_same(row->speaker, m->speaker)) && (!m->has_tag || has_tag(row, m->tag)) &&
	       (!m->has_before || at < m->before) && (!m->has_after || at >= m->after) &&
	       (!m->has_min_temperature || dbl_temperature(d, row, now) >= m->min_temperature);
}

struct found {
	struct rank_item *v;
	size_t n;
};

/* All of them: best first, or without a question newest first. */
static struct found find(struct dbl *d, struct dbl_job *j, const struct msg_memory_recall *m, const struct question *q,
			 int64_t now)
{
	struct dbl_list *rows = &d->book->list[ROWS];
	struct found f = {dbl_alloc(j, sizeof(*f.v) * rows->n), 0};

	for (size_t i = rows->n; i-- > 0;) {
		const struct dbl_row *row = (struct dbl_row *)rows->v + i, *newer;
		double how_well = 0.0;

		if (!meant(d, m, row, now) || (q != NULL && !match(q, row, &how_well)))
			continue;
		newer = row->superseded_by.p == NULL ? NULL : dbl_by_id(d->book, row->superseded_by);
		f.v[f.n++] = (struct rank_item){.memory = row->number,
						.match = how_well,
						.temperature = dbl_temperature(d, row, now),
						.superseded_by = newer == NULL ? 0 : newer->number};
	}
	if (q != NULL)
		rank_order(f.v, f.n);
	return f;
}

/* ---- cursors: which question with which filters, and how many came before or which number to stay below ---- */
static uint64_t mix(uint64_t h, const void *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		h = (h ^ ((const unsigned char *)p)[i]) * 0x100000001b3u;
	return (h ^ n) * 0x100000001b3u;
}

static void cursor_head(const struct msg_memory_recall *m, bool ranked, char out[32])
{
	uint64_t h = 0xcbf29ce484222325u;

#define TEXT(has, s) (h = mix(h, (has) ? (s).p : "", (has) ? (s).n : 0))
	TEXT(ranked, m->q), TEXT(m->has_tag, m->tag), TEXT(m->has_source, m->source), TEXT(m->has_session, m->session);
	TEXT(m->has_speaker, m->speaker);
#undef TEXT
#define NUMBER(has, x) (h = mix(h, (has) ? (const void *)&(x) : "", (has) ? sizeof(x) : 0))
	NUMBER(m->has_min_temperature, m->min_temperature), NUMBER(m->has_before, m->before);
	NUMBER(m->has_after, m->after);
#undef NUMBER
	snprintf(out, 32, "%s-%016llx-", ranked ? "best" : "newest", (unsigned long long)h);
}

static int read_cursor(struct dbl_job *j, const struct msg_memory_recall *m, bool ranked, int64_t *after)
{
	char head[32], text[129];

	*after = ranked ? 0 : INT64_MAX;
	if (!m->has_cursor)
		return 0;
	cursor_head(m, ranked, head);
	tr_copy(text, sizeof(text), m->cursor.p, m->cursor.n);
	if (strncmp(text, head, strlen(head)) != 0 ||
	    tr_parse_i64(text + strlen(head), 0, ranked ? DEEPEST : INT64_MAX, after) < 0)
		return dbl_fault(j, TR_EINVAL, "cursor", "must be of the same question with the same filters");
	return 0;
}

static void write_cursor(struct dbl_job *j, struct res_memory_recall *res, bool ranked, int64_t after)
{
	char *text = dbl_alloc(j, 64);

	cursor_head(j->msg, ranked, text);
	snprintf(text + strlen(text), 32, "%lld", (long long)after);
	res->has_next_cursor = true;
	res->next_cursor = wire_s(text);
}

/* ---- answers ---- */
static void explain_heat(struct dbl *d, const struct dbl_row *row, int64_t now, struct item_memory *out)
{
	struct item_explanation *e = &out->explanation;

	out->has_explanation = true;
	e->heat_key = row->heat;
	e->raw_temperature = thermal_raw(&d->model, row->heat, (double)now);
	e->decayed_accesses = exp2(fmin(1000.0, row->heat - thermal_born(&d->model, (double)now)));
	e->idle_days = now > row->last_access ? (double)(now - row->last_access) / DAY_MS : 0.0;
	e->half_life_days = d->model.half_life_ms / DAY_MS;
	e->floored = row->sacred && e->raw_temperature < d->model.sacred_floor;
	e->superseded = row->superseded_by.p != NULL;
}

static void explain_match(struct dbl_job *j, const struct question *q, const struct dbl_row *row,
			  struct item_explanation *e)
{
	struct item_term *terms = dbl_alloc(j, sizeof(*terms) * q->words.n);

	e->has_match = match(q, row, &e->match);
	for (unsigned i = 0; i < q->words.n; i++) {
		wire_str word = {q->words.text.p + q->words.from[i], (uint32_t)q->words.len[i]};

		terms[i] = (struct item_term){dbl_copy(j, word), times_in(row, q->stem[i]), q->weight[i]};
	}
	e->terms.v = terms;
	e->terms.n = q->words.n;
}

/* The page that begins at v[at], as far as the caller's budget and a frame go. What alone is over them is passed over
 * when nothing stands before it, so that paging goes on; behind something it is where the next page begins. */
static int page(struct dbl *d, struct dbl_job *j, const struct found *f, size_t at, const struct question *q,
		int64_t now)
{
	const struct msg_memory_recall *m = j->msg;
	uint32_t limit = m->has_limit ? m->limit : LIMIT, n = 0;
	struct res_memory_recall *res = dbl_alloc(j, sizeof(*res));
	struct item_memory *v = dbl_alloc(j, sizeof(*v) * limit);
	struct archive_hit *hits = dbl_alloc(j, sizeof(*hits) * limit);
	size_t budget = m->has_max_tokens ? (size_t)m->max_tokens * TOKEN_BYTES : SIZE_MAX, frame = DBL_ANSWER_MAX;
	size_t end = f->n - at < limit ? f->n : at + limit, i;
	int r;

	for (i = at; i < end; i++) {
		const struct dbl_row *row = dbl_by_number(d->book, f->v[i].memory);
		size_t bytes = row->content.n + row->metadata.n;

		if (row->content.n > budget || bytes > frame) {
			if (n > 0)
				break;
			continue;
		}
		if ((r = dbl_memory(d, j, row, now, &v[n], &hits[n])) < 0)
			return r;
		v[n].has_score = q != NULL;
		v[n].score = f->v[i].score;
		if (m->has_explain && m->explain)
			explain_heat(d, row, now, &v[n]);
		if (m->has_explain && m->explain && q != NULL)
			explain_match(j, q, row, &v[n].explanation);
		n++;
		frame -= bytes;
		budget -= row->content.n;
	}
	res->memories.v = v;
	res->memories.n = n;
	if (i < f->n && (q == NULL || i <= DEEPEST))
		write_cursor(j, res, q != NULL, q != NULL ? (int64_t)i : i > at ? f->v[i - 1].memory : f->v[at].memory);
	j->answer = (struct archive_answer){.res = res, .hits = hits, .nhits = n};
	return 0;
}

int dbl_recall(struct dbl *d, struct dbl_job *j)
{
	const struct msg_memory_recall *m = j->msg;
	bool ranked = m->has_q && m->q.n > 0;
	int64_t now = d->wall_ms(), after;
	struct question q = {0};
	struct found f;
	size_t at = 0;
	int r;

	if ((r = read_cursor(j, m, ranked, &after)) < 0 || (ranked && (r = read_question(d, m->q, &q)) < 0))
		goto out;
	f = find(d, j, m, ranked ? &q : NULL, now);
	if (ranked)
		at = (size_t)after < f.n ? (size_t)after : f.n;
	while (!ranked && at < f.n && f.v[at].memory >= after)
		at++;
	r = page(d, j, &f, at, ranked ? &q : NULL, now);
out:
	buf_free(&q.words.text);
	return r;
}

int dbl_explain(struct dbl *d, struct dbl_job *j)
{
	const struct msg_memory_explain *msg = j->msg;
	const struct msg_memory_recall all = {.has_q = msg->has_q, .q = msg->q};
	struct res_memory_explain *res = dbl_alloc(j, sizeof(*res));
	struct archive_hit *hit = dbl_alloc(j, sizeof(*hit));
	const struct dbl_row *row = dbl_by_id(d->book, msg->id);
	int64_t now = d->wall_ms();
	struct question q = {0};
	struct found f;
	int r;

	if (row == NULL)
		return dbl_fault(j, TR_ENOTFOUND, "id", "no memory has this id");
	if ((r = dbl_memory(d, j, row, now, &res->memory, hit)) < 0)
		return r;
	explain_heat(d, row, now, &res->memory);
	j->answer = (struct archive_answer){.res = res, .hits = hit, .nhits = 1};
	if (!msg->has_q || (r = read_question(d, msg->q, &q)) < 0 || q.words.n == 0)
		goto out;
	explain_match(j, &q, row, &res->memory.explanation);
	f = find(d, j, &all, &q, now);
	for (size_t i = 0; i < f.n; i++) {
		if (f.v[i].memory != row->number)
			continue;
		res->has_rank = res->memory.has_score = true;
		res->rank = i + 1;
		res->memory.score = f.v[i].score;
	}
out:
	buf_free(&q.words.text);
	return r;
}
