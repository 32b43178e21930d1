/* memory.recall: candidates by the full-text index, best first; then their rows, filters and order. Nothing is joined
 * to or filtered inside the ranked query: that would cost fifty times as much. */
#include "common/base/text.h"
#include "jrs/memory/archive/internal.h"
#include "jrs/memory/recall/query.h"
#include "jrs/memory/recall/rank.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LIMIT       10    /* when the caller does not say how many */
#define SLACK       32    /* candidates looked at beyond those wanted: ties and superseded ones move */
#define FIRST_LOOK  1024  /* ranked rows asked for at first when there is a filter; 16 times more each time */
#define NEWEST_PAGE 256   /* rows looked at in one go without a question */
#define DEEPEST     10000 /* a ranked list is not paged further */
#define LIST_BYTES \
	(1u << 20)    /* of one answer: whoever reads it has other things to do, too; the rest is the next page */
#define TOKEN_BYTES 4 /* about so many bytes are a token */

struct search {
	struct sql_archive *a;
	struct job *j;
	const struct msg_memory_recall *msg; /* of who is bound to a source: that is its source */
	int64_t now;
	uint32_t limit;
	uint32_t mark; /* of question and filters: a cursor belongs to one of them */
	int64_t after; /* from the cursor: ranked, how many came before; newest first, the number to stay below */
	bool ranked;
	struct query_words words; /* of the question; text freed by search_free() */
	struct buf fts;           /* the same for the index */
	struct explained explained;
	struct rank_item *v; /* freed by search_free() */
	size_t n, cap;
	bool more; /* there are further ones behind those taken */
};

static void bind_filter(struct query *q, const struct msg_memory_recall *m)
{
	q_opt_text(q, m->has_source, m->source);
	q_opt_text(q, m->has_session, m->session);
	q_opt_text(q, m->has_speaker, m->speaker);
	q_opt_text(q, m->has_tag, m->tag);
	q_opt_i64(q, m->has_before, m->before);
	q_opt_i64(q, m->has_after, m->after);
}

static bool warm_enough(const struct search *s, double temperature)
{
	return !s->msg->has_min_temperature || temperature >= s->msg->min_temperature;
}

static int keep(struct search *s, const struct rank_item *item)
{
	if (s->n == s->cap) {
		size_t cap = s->cap == 0 ? 128 : s->cap * 2;
		struct rank_item *v = realloc(s->v, sizeof(*v) * cap);

		if (v == NULL)
			return TR_ENOMEM;
		s->v = v;
		s->cap = cap;
	}
	s->v[s->n++] = *item;
	return 0;
}

/* The candidate in the current row, whose columns from `col` on are heat, sacredness and its successor. 1: kept, 0:
 * not. */
static int consider(struct search *s, struct query *q, int col, int64_t memory, double match)
{
	struct rank_item item = {.memory = memory, .match = match};

	item.temperature =
		thermal_at(archive_thermal(s->a), q_get_f64(q, col), q_get_i64(q, col + 1) != 0, (double)s->now);
	item.superseded_by = q_get_i64(q, col + 2);
	if (!warm_enough(s, item.temperature))
		return 0;
	return keep(s, &item) < 0 ? TR_ENOMEM : 1;
}

/* Does the row pass? 1: kept, 0: not. */
static int candidate(struct search *s, int64_t memory, double match)
{
	struct query q = q_begin(s->j->db, SQL_CANDIDATE);
	int r;

	bind_filter(&q, s->msg);
	q_i64(&q, memory);
	q_owner(&q, s->j);
	if ((r = q_row(&q)) == 1)
		r = consider(s, &q, 0, memory, match);
	q_end(&q);
	return r;
}

/* Looks at the best `depth` rows of the index. 1: it wants to look deeper. */
static int look(struct search *s, int64_t depth, size_t want)
{
	bool whole = s->j->db->driver->ranks_candidates; /* the ranked rows are filtered and bring their heat */
	struct query q = q_begin(s->j->db, SQL_SEARCH);
	int64_t seen = 0;
	int r;

	s->n = 0;
	if (whole)
		bind_filter(&q, s->msg);
	q_text(&q, s->fts.p, s->fts.len);
	q_i64(&q, depth);
	if (whole)
		q_owner(&q, s->j);
	while ((r = q_row(&q)) == 1) {
		int64_t memory = q_get_i64(&q, 0);
		double match = q_get_f64(&q, 1);

		seen++;
		/* Enough, and what follows is not as good as the last one wanted: no tie is cut through. */
		if (s->n >= want + SLACK && match < s->v[want - 1].match)
			break;
		if ((r = whole ? consider(s, &q, 2, memory, match) : candidate(s, memory, match)) < 0)
			break;
	}
	q_end(&q);
	if (r < 0)
		return r;
	return seen == depth && s->n < want;
}

static bool filtered(const struct msg_memory_recall *m)
{
	return m->has_tag || m->has_source || m->has_session || m->has_speaker || m->has_min_temperature ||
	       m->has_before || m->has_after;
}

/* The words of the question; how many. */
static int read_words(struct search *s)
{
	int r = query_split(s->msg->q.p, s->msg->q.n, &s->words);

	return r < 0 ? r : s->j->db->driver->search_text(&s->words, &s->fts);
}

static void search_free(struct search *s)
{
	buf_free(&s->words.text);
	buf_free(&s->fts);
	free(s->v);
}

static int search_ranked(struct search *s)
{
	size_t want = (size_t)s->after + s->limit + 1; /* one more tells whether there is a next page */
	int64_t depth = filtered(s->msg) ? FIRST_LOOK : (int64_t)want + 3 * SLACK;
	int r = read_words(s);

	if (r > 0) {
		while ((r = look(s, depth, want)) == 1 && depth < INT32_MAX)
			depth *= 16;
	}
	if (r < 0)
		return r;
	rank_order(s->v, s->n);
	s->more = s->n >= want && s->after + s->limit <= DEEPEST;
	s->n = s->n < want - 1 ? s->n : want - 1;
	return 0;
}

/* The newest below `below`, at most NEWEST_PAGE rows. 1: there may be more; *below moves along. */
static int newest_page(struct search *s, int64_t *below)
{
	struct query q = q_begin(s->j->db, SQL_NEWEST);
	int seen = 0, r;

	bind_filter(&q, s->msg);
	q_i64(&q, *below);
	q_i64(&q, NEWEST_PAGE);
	while ((r = q_row(&q)) == 1) {
		struct rank_item item = {.memory = q_get_i64(&q, 0)};

		seen++;
		*below = item.memory;
		item.temperature =
			thermal_at(archive_thermal(s->a), q_get_f64(&q, 1), q_get_i64(&q, 2) != 0, (double)s->now);
		if (!warm_enough(s, item.temperature))
			continue;
		if (s->n == s->limit) {
			s->more = true;
			break;
		}
		if ((r = keep(s, &item)) < 0)
			break;
	}
	q_end(&q);
	return r < 0 ? r : seen == NEWEST_PAGE && !s->more;
}

static int search_newest(struct search *s)
{
	int64_t below = s->after;
	int r;

	while ((r = newest_page(s, &below)) == 1)
		;
	return r;
}

/* ---- cursors: "q<mark>-<how many came before>" or "n<mark>-<stay below this number>" (for
 * who is bound to a source: below this place) ---- */
static int mark_of(struct search *s)
{
	const struct msg_memory_recall *m = s->msg;
	char numbers[128];
	unsigned char sum[TR_SHA256_LEN];
	int n = snprintf(numbers, sizeof(numbers), "%d %.17g %d %lld %d %lld", m->has_min_temperature,
			 m->min_temperature, m->has_before, (long long)m->before, m->has_after, (long long)m->after);
	struct tr_piece pieces[] = {
		{s->ranked ? m->q.p : NULL, s->ranked ? m->q.n : 0},
		{m->has_tag ? m->tag.p : NULL, m->has_tag ? m->tag.n : 0},
		{m->has_source ? m->source.p : NULL, m->has_source ? m->source.n : 0},
		{m->has_session ? m->session.p : NULL, m->has_session ? m->session.n : 0},
		{m->has_speaker ? m->speaker.p : NULL, m->has_speaker ? m->speaker.n : 0},
		{numbers, (size_t)n},
	};
	int r = tr_sha256_pieces(pieces, sizeof(pieces) / sizeof(pieces[0]), sum);

	if (r == 0)
		s->mark = (uint32_t)sum[0] << 24 | (uint32_t)sum[1] << 16 | (uint32_t)sum[2] << 8 | sum[3];
	return r;
}

static int read_cursor(struct search *s)
{
	const struct msg_memory_recall *m = s->msg;
	char text[64], expected[16];

	s->after = s->ranked ? 0 : INT64_MAX;
	if (!m->has_cursor)
		return 0;
	tr_copy(text, sizeof(text), m->cursor.p, m->cursor.n);
	snprintf(expected, sizeof(expected), "%c%08x-", s->ranked ? 'q' : 'n', s->mark);
	if (m->cursor.n >= sizeof(text) || strncmp(text, expected, strlen(expected)) != 0 ||
	    tr_parse_i64(text + strlen(expected), 0, s->ranked ? DEEPEST : INT64_MAX, &s->after) < 0)
		return job_fault(s->j, TR_EINVAL, "cursor",
				 "must be next_cursor of the same question with the same filters");
	return s->ranked ? 0 : owned_at(s->j, &s->after);
}

static int write_cursor(struct search *s, struct res_memory_recall *res, int64_t after)
{
	char *text = job_alloc(s->j, 48);
	int r;

	if (text == NULL)
		return TR_ENOMEM;
	if (!s->ranked && (r = owned_place(s->j, &after)) < 0)
		return r;
	snprintf(text, 48, "%c%08x-%lld", s->ranked ? 'q' : 'n', s->mark, (long long)after);
	res->has_next_cursor = true;
	res->next_cursor = wire_s(text);
	return 0;
}

/* The ranker's figures weigh words by how rare they are in the whole archive: who is bound to a source sees the places
 * only, or he could count others' words. */
static double shown_score(const struct search *s, size_t i)
{
	wire_str own;

	return owned_by(s->j, &own) ? 1.0 / (double)(i + 1) : s->v[i].score;
}

/* The answer of q, which asks for row i of the list; ends q. *bytes: what the row adds to the frame. 1: it is there, 0:
 * it went in between. */
static int read_row(struct search *s, struct query *q, size_t i, struct item_memory *out, struct archive_hit *hit,
		    size_t *bytes)
{
	int r = q_row(q);

	if (r == 1) {
		r = row_memory(s->a, s->j, q, s->now, out, hit);
		out->has_score = s->ranked;
		out->score = shown_score(s, i);
		*bytes = out->content.n + q_len(q, ROW_NCOLUMNS - 1); /* metadata */
		if (r == 0 && s->msg->has_explain && s->msg->explain)
			row_explain(s->a, q, s->now, out);
		r = r < 0 ? r : 1;
	}
	q_end(q);
	if (r == 1 && out->has_explanation && s->ranked) {
		s->explained.match = s->v[i].match;
		r = explain_match(s->a, s->j, &s->words, s->v[i].memory, &s->explained, &out->explanation);
		r = r < 0 ? r : 1;
	}
	return r;
}

static struct query ask_row(struct search *s, size_t i)
{
	struct query q = q_begin(s->j->db, SQL_ROW);

	q_i64(&q, s->v[i].memory);
	q_send(&q);
	return q;
}

/* The wanted part of the list, as far as the caller's budget goes. What alone is over it is passed over when nothing
 * stands before it, so that paging goes on; behind something it is where the next page begins. */
static int answer(struct search *s, struct res_memory_recall *res)
{
	struct item_memory *v = job_alloc(s->j, sizeof(*v) * s->limit);
	struct archive_hit *hits = job_alloc(s->j, sizeof(*hits) * s->limit);
	struct query *rows = job_alloc(s->j, sizeof(*rows) * s->limit);
	size_t budget = s->msg->has_max_tokens ? (size_t)s->msg->max_tokens * TOKEN_BYTES : SIZE_MAX;
	size_t frame = LIST_BYTES, bytes = 0, i, first = s->ranked ? (size_t)s->after : 0, asked = first;
	bool together = s->j->db->driver->send != NULL;
	uint32_t n = 0;
	int r = 0;

	if (v == NULL || hits == NULL || rows == NULL)
		return TR_ENOMEM;
	for (i = first; i < s->n; i++) {
		for (; asked < s->n && (together || asked == i); asked++)
			rows[asked - first] = ask_row(s, asked);
		if ((r = read_row(s, &rows[i - first], i, &v[n], &hits[n], &bytes)) < 0)
			break;
		if (r == 1 && v[n].content.n <= budget && bytes <= frame) {
			frame -= bytes;
			budget -= v[n++].content.n;
		} else if (r == 1 && n > 0) {
			s->more = true;
			break;
		}
	}
	for (asked = asked > i + 1 ? asked : i + 1; asked > i + 1; asked--)
		q_end(&rows[asked - 1 - first]);
	if (r < 0)
		return r;
	res->memories.v = v;
	res->memories.n = n;
	s->j->answer = (struct archive_answer){.res = res, .hits = hits, .nhits = n};
	if (!s->more)
		return 0;
	return write_cursor(s, res, s->ranked ? (int64_t)i : i > 0 ? s->v[i - 1].memory : s->after);
}

/* Only the caller's own source is looked at. false: another one was asked for, and there is none for him. */
static bool only_own(const struct job *j, struct msg_memory_recall *m)
{
	wire_str own;

	if (!owned_by(j, &own))
		return true;
	if (m->has_source && (m->source.n != own.n || memcmp(m->source.p, own.p, own.n) != 0))
		return false;
	m->has_source = true;
	m->source = own;
	return true;
}

int read_recall(struct sql_archive *a, struct job *j)
{
	struct msg_memory_recall msg = *(const struct msg_memory_recall *)j->msg;
	struct search s = {.a = a, .j = j, .msg = &msg, .now = a->wall_ms()};
	struct res_memory_recall *res = job_alloc(j, sizeof(*res));
	int r;

	if (res == NULL)
		return TR_ENOMEM;
	j->answer.res = res;
	if (!only_own(j, &msg))
		return 0;
	s.limit = s.msg->has_limit ? s.msg->limit : LIMIT;
	s.ranked = s.msg->has_q && s.msg->q.n > 0;
	if ((r = mark_of(&s)) == 0 && (r = read_cursor(&s)) == 0 && (r = j->db->driver->look(j->db)) == 0 &&
	    (r = s.ranked ? search_ranked(&s) : search_newest(&s)) == 0)
		r = answer(&s, res);
	search_free(&s);
	return r;
}

/* Its place among all that match: the order of memory.recall without a limit. 0: it does not match. */
static int place_of(struct search *s, struct item_memory *m, int64_t memory, uint64_t *rank)
{
	size_t i;
	int r = look(s, INT64_MAX, SIZE_MAX / 2);

	if (r < 0)
		return r;
	rank_order(s->v, s->n);
	for (i = 0, *rank = 0; i < s->n; i++) {
		if (s->v[i].memory != memory)
			continue;
		m->has_score = true;
		m->score = shown_score(s, i);
		*rank = i + 1;
		break;
	}
	return 0;
}

int read_explain(struct sql_archive *a, struct job *j)
{
	const struct msg_memory_explain *msg = j->msg;
	struct msg_memory_recall all = {.common = msg->common, .has_q = msg->has_q, .q = msg->q};
	struct search s = {.a = a, .j = j, .msg = &all, .now = a->wall_ms()};
	struct res_memory_explain *res = job_alloc(j, sizeof(*res));
	struct archive_hit *hit = job_alloc(j, sizeof(*hit));
	struct query q;
	int r;

	if (res == NULL || hit == NULL)
		return TR_ENOMEM;
	if ((r = j->db->driver->look(j->db)) < 0)
		return r;
	(void)only_own(j, &all);
	q = q_begin(j->db, SQL_ROW_BY_ID);
	q_text(&q, msg->id.p, msg->id.n);
	q_owner(&q, j);
	r = q_row(&q);
	if (r == 0)
		r = job_fault(j, TR_ENOTFOUND, "id", "no memory has this id");
	else if (r == 1 && (r = row_memory(a, j, &q, s.now, &res->memory, hit)) == 0)
		row_explain(a, &q, s.now, &res->memory);
	q_end(&q);
	if (r == 0 && msg->has_q && msg->q.n > 0 && (r = read_words(&s)) > 0 &&
	    (r = explain_match(a, j, &s.words, hit->memory, &s.explained, &res->memory.explanation)) == 0 &&
	    (r = place_of(&s, &res->memory, hit->memory, &res->rank)) == 0)
		res->has_rank = res->rank > 0;
	j->answer = (struct archive_answer){.res = res, .hits = hit, .nhits = 1};
	search_free(&s);
	return r;
}
