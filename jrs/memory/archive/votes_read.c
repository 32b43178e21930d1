/* Votes as they stand. */
#include "jrs/memory/archive/votes.h"
#include <string.h>

#define VOTES 50 /* when the caller does not say how many */

/* of VOTE_COLUMNS, and what stands behind them */
/* clang-format off */
enum { COL_ID, COL_PROPOSAL, COL_BY, COL_OPENED, COL_CLOSES, COL_CLOSED, COL_CONVENED, COL_DECIDED, COL_OUTCOME, COL_MEMORY, NCOLUMNS };
enum { COL_OPTIONS = NCOLUMNS, COL_QUORUM, COL_THRESHOLD, COL_OUTSIDE, COL_DECISION };
enum { BALLOT_VOTER, BALLOT_CHOICE, BALLOT_CONFIDENCE, BALLOT_WHY, BALLOT_EVIDENCE_OF, BALLOT_AT, BALLOT_VETO };
/* clang-format on */

int vote_unknown(struct job *j)
{
	return job_fault(j, TR_ENOTFOUND, "", "there is no vote with this id");
}

static int row_line(struct job *j, struct query *q, bool outside, struct item_vote_line *out)
{
	int r;

	memset(out, 0, sizeof(*out));
	if ((r = row_text(j, q, COL_ID, &out->vote_id)) < 0 || (r = row_text(j, q, COL_PROPOSAL, &out->proposal)) < 0 ||
	    (r = row_text(j, q, COL_BY, &out->by)) < 0 ||
	    (r = row_opt_text(j, q, COL_MEMORY, &out->has_memory_id, &out->memory_id)) < 0)
		return r;
	out->opened_at = q_get_i64(q, COL_OPENED);
	out->has_closes_at = outside;
	out->closes_at = q_get_i64(q, COL_CLOSES);
	out->has_closed_at = !q_is_null(q, COL_CLOSED);
	out->closed_at = q_get_i64(q, COL_CLOSED);
	out->convened = q_get_i64(q, COL_CONVENED) != 0;
	out->decided = q_get_i64(q, COL_DECIDED) != 0;
	if (!out->has_closed_at)
		out->outcome = wire_s("open");
	else
		r = row_text(j, q, COL_OUTCOME, &out->outcome);
	return r;
}

static int row_vote(struct job *j, struct query *q, struct vote *v)
{
	struct item_vote *out = &v->item;
	struct item_vote_line line;
	int r;

	memset(v, 0, sizeof(*v));
	v->outside = q_get_i64(q, COL_OUTSIDE) != 0;
	v->closes_at = q_get_i64(q, COL_CLOSES);
	if ((r = row_line(j, q, v->outside, &line)) < 0 || (r = row_strs(j, q, COL_OPTIONS, &out->options)) < 0 ||
	    (r = row_opt_text(j, q, COL_DECISION, &out->has_decision_id, &out->decision_id)) < 0)
		return r;
	out->vote_id = line.vote_id;
	out->proposal = line.proposal;
	out->by = line.by;
	out->opened_at = line.opened_at;
	out->has_closes_at = line.has_closes_at;
	out->closes_at = line.closes_at;
	out->has_closed_at = line.has_closed_at;
	out->closed_at = line.closed_at;
	out->convened = line.convened;
	out->decided = line.decided;
	out->outcome = line.outcome;
	out->has_memory_id = line.has_memory_id;
	out->memory_id = line.memory_id;
	out->quorum = (uint32_t)q_get_i64(q, COL_QUORUM);
	out->threshold = q_get_f64(q, COL_THRESHOLD);
	return out->options.n < 2 || out->options.n > VOTE_OPTIONS_MAX ? TR_ESTORE : 1;
}

static int row_ballot(struct job *j, struct query *q, struct item_ballot *out)
{
	int r;

	memset(out, 0, sizeof(*out));
	if ((r = row_text(j, q, BALLOT_VOTER, &out->voter)) < 0 ||
	    (r = row_text(j, q, BALLOT_CHOICE, &out->choice)) < 0 ||
	    (r = row_opt_text(j, q, BALLOT_WHY, &out->has_reason, &out->reason)) < 0 ||
	    (r = row_strs(j, q, BALLOT_EVIDENCE_OF, &out->evidence)) < 0)
		return r;
	out->has_evidence = true;
	out->has_confidence = !q_is_null(q, BALLOT_CONFIDENCE);
	out->confidence = q_get_f64(q, BALLOT_CONFIDENCE);
	out->has_at = true;
	out->at = q_get_i64(q, BALLOT_AT);
	out->has_veto = out->veto = q_get_i64(q, BALLOT_VETO) != 0;
	return 0;
}

int vote_load(struct job *j, struct db *db, wire_str id, struct vote *out)
{
	struct query q = q_begin(db, SQL_VOTE);
	struct item_ballot *v;
	uint32_t n = 0;
	int r;

	q_text(&q, id.p, id.n);
	if ((r = q_row(&q)) == 1)
		r = row_vote(j, &q, out);
	q_end(&q);
	if (r <= 0)
		return r;
	if ((v = job_alloc(j, sizeof(*v) * (WIRE_BALLOTS_MAX + TR_NROLES))) == NULL)
		return TR_ENOMEM;
	q = q_begin(db, SQL_BALLOTS);
	q_text(&q, id.p, id.n);
	while (n < WIRE_BALLOTS_MAX && (r = q_row(&q)) == 1) {
		if ((r = row_ballot(j, &q, &v[n])) < 0)
			break;
		n++;
	}
	q_end(&q);
	out->ballots = v;
	out->item.ballots = (struct list_ballot){v, n};
	return r < 0 ? r : 1;
}

int vote_tally(struct job *j, const struct vote *v, struct vote_tally *out)
{
	struct vote_rule rule = {.options = v->item.options.n, v->item.quorum, v->item.threshold, -1};
	struct vote_ballot *all = job_alloc(j, sizeof(*all) * v->item.ballots.n);
	uint32_t i;
	int no;

	if (all == NULL)
		return TR_ENOMEM;
	(void)vote_yes_no(&v->item.options, &rule.yes, &no);
	for (i = 0; i < v->item.ballots.n; i++) {
		const struct item_ballot *b = &v->ballots[i];

		all[i] = (struct vote_ballot){vote_choice(&v->item.options, b->choice), vote_of_moment(b->voter),
					      b->has_veto && b->veto};
		if (all[i].choice == TR_EINVAL)
			return TR_ESTORE;
	}
	vote_count(&rule, all, v->item.ballots.n, out);
	return 0;
}

/* ---- what is shown ---- */
static msgpack_object text_object(wire_str s)
{
	return (msgpack_object){.type = MSGPACK_OBJECT_STR, .via.str = {s.n, s.p}};
}

static msgpack_object number_object(uint32_t n)
{
	return (msgpack_object){.type = MSGPACK_OBJECT_POSITIVE_INTEGER, .via.u64 = n};
}

/* A map with room for n; NULL: out of memory. */
static msgpack_object *new_map(struct job *j, uint32_t n)
{
	msgpack_object *o = job_alloc(j, sizeof(*o));
	msgpack_object_kv *kv = job_alloc(j, sizeof(*kv) * n);

	if (o == NULL || kv == NULL)
		return NULL;
	*o = (msgpack_object){.type = MSGPACK_OBJECT_MAP, .via.map = {0, kv}};
	return o;
}

static void put(msgpack_object *map, wire_str key, msgpack_object value)
{
	map->via.map.ptr[map->via.map.size++] = (msgpack_object_kv){text_object(key), value};
}

static bool is_minority(const struct vote *v, const struct item_ballot *b)
{
	return v->item.decided && vote_choice(&v->item.options, b->choice) >= 0 &&
	       (b->choice.n != v->item.outcome.n || memcmp(b->choice.p, v->item.outcome.p, b->choice.n) != 0);
}

int vote_show(struct job *j, struct vote *v, int64_t now_ms)
{
	struct item_vote *out = &v->item;
	struct item_ballot *minority = job_alloc(j, sizeof(*minority) * out->ballots.n);
	msgpack_object *results = new_map(j, out->ballots.n), *tally = new_map(j, out->options.n + 2);
	struct vote_tally t;
	uint32_t i, n = 0;
	int r;

	if (minority == NULL || results == NULL || tally == NULL)
		return TR_ENOMEM;
	if ((r = vote_tally(j, v, &t)) < 0)
		return r;
	for (i = 0; i < out->ballots.n; i++) {
		put(results, v->ballots[i].voter, text_object(v->ballots[i].choice));
		if (is_minority(v, &v->ballots[i]))
			minority[n++] = v->ballots[i];
	}
	for (i = 0; i < out->options.n; i++)
		put(tally, out->options.v[i], number_object(t.votes[i]));
	put(tally, wire_s("abstain"), number_object(t.abstain));
	put(tally, wire_s("absent"), number_object(t.absent));
	out->results = results;
	out->tally = tally;
	out->minority = (struct list_ballot){minority, n};
	out->timestamp = now_ms;
	return 0;
}

int read_vote(struct sql_archive *a, struct job *j)
{
	const struct msg_memory_vote *msg = j->msg;
	struct res_memory_vote *res = job_alloc(j, sizeof(*res));
	struct vote v;
	int r;

	if (res == NULL)
		return TR_ENOMEM;
	if ((r = j->db->driver->look(j->db)) < 0 || (r = vote_load(j, j->db, msg->id, &v)) < 0)
		return r;
	if (r == 0)
		return vote_unknown(j);
	if ((r = vote_show(j, &v, a->wall_ms())) < 0)
		return r;
	res->vote = v.item;
	j->answer.res = res;
	return 0;
}

int read_votes(struct sql_archive *a, struct job *j)
{
	const struct msg_memory_votes *msg = j->msg;
	uint32_t limit = msg->has_limit ? msg->limit : VOTES, n = 0;
	struct res_memory_votes *res = job_alloc(j, sizeof(*res));
	struct item_vote_line *v = job_alloc(j, sizeof(*v) * limit);
	struct query q = q_begin(j->db, SQL_VOTES);
	int r;

	(void)a;
	if (res == NULL || v == NULL)
		return TR_ENOMEM;
	q_i64(&q, msg->has_unconvened && msg->unconvened);
	q_i64(&q, limit);
	while ((r = q_row(&q)) == 1 && n < limit) {
		if ((r = row_line(j, &q, q_get_i64(&q, NCOLUMNS) != 0, &v[n])) < 0)
			break;
		n++;
	}
	q_end(&q);
	res->votes = (struct list_vote_line){v, n};
	j->answer.res = res;
	return r < 0 ? r : 0;
}

int read_vote_counts(struct job *j, struct item_vote_counts *out)
{
	struct query q = q_begin(j->db, SQL_VOTE_COUNTS);
	int r;

	memset(out, 0, sizeof(*out));
	while ((r = q_row(&q)) == 1) {
		wire_str name = {q_get(&q, 0), (uint32_t)q_len(&q, 0)};
		uint64_t n = (uint64_t)q_get_i64(&q, 1);

#define COUNT(word)                                                                              \
	if (name.n == sizeof("votes." #word) - 1 && memcmp(name.p, "votes." #word, name.n) == 0) \
		out->word = n;
		COUNT(yes)
		COUNT(no)
		COUNT(option)
#define X(id, word, doc) COUNT(word)
		VOTE_NO_DECISIONS(X)
#undef X
#undef COUNT
	}
	out->has_no_evidence = out->has_vetoed = true;
	q_end(&q);
	return r;
}
