/* What changes a vote. The proposal is durable before any Jr is asked; the ballots of the Jrs come in one commit; a
 * vote is closed in one commit with the memory, and the decision, that its outcome is. Whoever leads may have to go on
 * where another one died: each of these may be said again. */
#include "jrs/memory/archive/votes.h"
#include "common/base/roles.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DUE_MAX       8    /* votes closed by one call */
#define VOTERS_MAX    1000 /* of one vote */
#define CONTENT_CHARS 2000 /* of the memory of an outcome: what the decision log takes */
#define NOTED_MAX     16   /* ballots of the minority that the memory's metadata tell of */
#define NOTED_REASON  300  /* bytes of each one's reason */

static bool same(wire_str a, wire_str b)
{
	return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

/* ---- opening ---- */
struct rules {
	wire_strs options;
	uint32_t quorum;
	double threshold;
	int64_t lasts_ms;
	bool outside;
};

static struct rules rules_of(const struct msg_memory_vote_open *msg)
{
	static const wire_str yes_no[] = {{"yes", 3}, {"no", 2}};
	struct rules r = {.options = {yes_no, 2},
			  .quorum = msg->has_quorum ? msg->quorum : VOTE_QUORUM,
			  .threshold = msg->has_threshold ? msg->threshold : VOTE_THRESHOLD,
			  .lasts_ms = msg->has_deadline_s ? (int64_t)msg->deadline_s * 1000 : VOTE_CONVENE_MS,
			  .outside = msg->has_deadline_s};

	if (msg->has_options)
		r.options = msg->options;
	return r;
}

/* Of a vote that is new: an option of one that an older program opened may be a word that is taken by now. */
#define X(id, word, doc) " " #word
#define TAKEN            VOTE_WORDS_TAKEN(X)
static int check_options(struct job *j, const wire_strs *options)
{
	uint32_t i, k;

	for (i = 0; i < options->n; i++) {
		if (vote_word_taken(options->v[i]))
			return job_fault(j, TR_EINVAL, "options",
					 "must not be a word that an outcome or a ballot may be:" TAKEN);
		for (k = 0; k < i; k++) {
			if (same(options->v[i], options->v[k]))
				return job_fault(j, TR_EINVAL, "options", "must differ from each other");
		}
	}
	return 0;
}

#undef TAKEN
#undef X

/* Known under this id: is it the same vote? */
static int check_same(struct job *j, const struct msg_memory_vote_open *msg, const struct rules *rules,
		      const struct vote *v)
{
	bool alike = same(v->item.proposal, msg->proposal) && v->item.quorum == rules->quorum &&
		     v->item.threshold == rules->threshold && v->outside == rules->outside &&
		     v->closes_at - v->item.opened_at == rules->lasts_ms && v->item.options.n == rules->options.n;
	uint32_t i;

	for (i = 0; alike && i < rules->options.n; i++)
		alike = same(v->item.options.v[i], rules->options.v[i]);
	return alike ? 0 : job_fault(j, TR_ECONFLICT, "vote_id", "belongs to another vote");
}

static int insert_vote(struct sql_archive *a, const struct msg_memory_vote_open *msg, const struct rules *rules,
		       wire_str id)
{
	char *options = tags_json(&rules->options);
	struct query q;
	int r;

	if (options == NULL)
		return TR_ENOMEM;
	q = q_begin(&a->wdb, SQL_ADD_VOTE);
	q_text(&q, id.p, id.n);
	q_text(&q, msg->proposal.p, msg->proposal.n);
	q_text(&q, options, strlen(options));
	q_i64(&q, rules->quorum);
	q_f64(&q, rules->threshold);
	q_text(&q, msg->by.p, msg->by.n);
	q_i64(&q, a->now_ms);
	q_i64(&q, a->now_ms + rules->lasts_ms);
	q_i64(&q, rules->outside);
	r = q_run(&q);
	free(options);
	return r;
}

int write_vote_open(struct sql_archive *a, struct job *j)
{
	const struct msg_memory_vote_open *msg = j->msg;
	struct res_memory_vote_open *res = job_alloc(j, sizeof(*res));
	struct rules rules = rules_of(msg);
	char fresh[TR_ID_LEN];
	struct vote v;
	int r;

	if (res == NULL)
		return TR_ENOMEM;
	tr_id_new(fresh);
	res->vote_id = msg->has_vote_id ? msg->vote_id : job_text(j, fresh, (uint32_t)strlen(fresh));
	if (res->vote_id.p == NULL)
		return TR_ENOMEM;
	j->answer.res = res;
	if (msg->has_vote_id && (r = vote_load(j, &a->wdb, msg->vote_id, &v)) != 0) {
		res->closes_at = v.closes_at;
		return r < 0 ? r : check_same(j, msg, &rules, &v);
	}
	if ((r = check_options(j, &rules.options)) < 0)
		return r;
	res->created = true;
	res->closes_at = a->now_ms + rules.lasts_ms;
	return insert_vote(a, msg, &rules, res->vote_id);
}

/* ---- ballots ---- */
static int put_ballot(struct sql_archive *a, wire_str id, const struct item_ballot *b)
{
	char *evidence = tags_json(b->has_evidence ? &b->evidence : &(const wire_strs){NULL, 0});
	struct query q;
	int r;

	if (evidence == NULL)
		return TR_ENOMEM;
	q = q_begin(&a->wdb, SQL_ADD_BALLOT);
	q_text(&q, id.p, id.n);
	q_text(&q, b->voter.p, b->voter.n);
	q_text(&q, b->choice.p, b->choice.n);
	q_opt_f64(&q, b->has_confidence, b->confidence);
	q_opt_text(&q, b->has_reason, b->reason);
	q_text(&q, evidence, strlen(evidence));
	q_i64(&q, a->now_ms);
	q_i64(&q, b->has_veto && b->veto);
	r = q_run(&q);
	free(evidence);
	return r;
}

static struct item_ballot *ballot_of(const struct vote *v, wire_str voter)
{
	uint32_t i;

	for (i = 0; i < v->item.ballots.n; i++) {
		if (same(v->ballots[i].voter, voter))
			return &v->ballots[i];
	}
	return NULL;
}

static void append(struct vote *v, const struct item_ballot *b)
{
	v->ballots[v->item.ballots.n++] = *b;
}

/* A Jr that nobody could ask, or that has not answered, is absent; no ballot is made up for it. */
static int put_absent(struct sql_archive *a, struct vote *v)
{
	int i, r;

	for (i = 0; i < TR_NROLES; i++) {
		struct item_ballot b = {.voter = wire_s(tr_roles[i].api_name),
					.choice = wire_s("absent"),
					.has_reason = true,
					.reason = wire_s("it was not asked in time")};

		if (ballot_of(v, b.voter) != NULL)
			continue;
		if ((r = put_ballot(a, v->item.vote_id, &b)) < 0)
			return r;
		append(v, &b);
	}
	return 0;
}

/* ---- closing ---- */
static void text_pair(msgpack_object_kv *kv, const char *key, wire_str value)
{
	kv->key = (msgpack_object){.type = MSGPACK_OBJECT_STR, .via.str = {(uint32_t)strlen(key), key}};
	kv->val = (msgpack_object){.type = MSGPACK_OBJECT_STR, .via.str = {value.n, value.p}};
}

/* At most max bytes, cut at a whole character. */
static wire_str cut(wire_str s, uint32_t max)
{
	if (s.n <= max)
		return s;
	while (max > 0 && ((unsigned char)s.p[max] & 0xc0) == 0x80)
		max--;
	return (wire_str){s.p, max};
}

/* What the memory keeps beside its text: which vote, what was decided, and the minority with its reasons. */
static msgpack_object *metadata_of(struct job *j, const struct vote *v)
{
	const struct list_ballot *all = &v->item.minority;
	uint32_t n = all->n < NOTED_MAX ? all->n : NOTED_MAX, i;
	msgpack_object *map = job_alloc(j, sizeof(*map)), *few = job_alloc(j, sizeof(*few) * n);
	msgpack_object_kv *kv = job_alloc(j, sizeof(*kv) * 5), *one = job_alloc(j, sizeof(*one) * 3 * n);

	if (map == NULL || few == NULL || kv == NULL || one == NULL)
		return NULL;
	for (i = 0; i < n; i++) {
		const struct item_ballot *b = &all->v[i];

		text_pair(&one[3 * i], "voter", b->voter);
		text_pair(&one[3 * i + 1], "choice", b->choice);
		text_pair(&one[3 * i + 2], "reason", cut(b->has_reason ? b->reason : wire_s(""), NOTED_REASON));
		few[i] = (msgpack_object){.type = MSGPACK_OBJECT_MAP, .via.map = {3, &one[3 * i]}};
	}
	text_pair(&kv[0], "vote_id", v->item.vote_id);
	text_pair(&kv[1], "outcome", v->item.outcome);
	text_pair(&kv[2], "proposal", v->item.proposal);
	text_pair(&kv[3], "minority", wire_s(""));
	kv[3].val = (msgpack_object){.type = MSGPACK_OBJECT_ARRAY, .via.array = {n, few}};
	text_pair(&kv[4], "tally", wire_s(""));
	kv[4].val = *v->item.tally;
	*map = (msgpack_object){.type = MSGPACK_OBJECT_MAP, .via.map = {5, kv}};
	return map;
}

/* The proposal and what became of it, in words, as far as the decision log has room. */
static int content_of(struct job *j, const struct vote *v, wire_str *out)
{
	const msgpack_object_map *tally = &v->item.tally->via.map;
	struct buf text = {0};
	size_t chars, bytes;
	uint32_t i;
	int r;

	buf_append(&text, v->item.proposal.p, v->item.proposal.n);
	tr_utf8_ok(text.p, text.len, &chars);
	if (chars > CONTENT_CHARS / 2) { /* what came of it matters more than the last words of a long one */
		for (bytes = 0, chars = 0; chars <= CONTENT_CHARS / 2; bytes++)
			chars += ((unsigned char)text.p[bytes] & 0xc0) != 0x80;
		text.len = bytes - 1;
		buf_puts(&text, "...");
	}
	buf_printf(&text, v->item.decided ? "\nDecided by vote: " : "\nA vote without a decision: ");
	buf_append(&text, v->item.outcome.p, v->item.outcome.n);
	for (i = 0; i < tally->size; i++)
		buf_printf(&text, "%s%.*s %llu", i == 0 ? " (" : ", ", (int)tally->ptr[i].key.via.str.size,
			   tally->ptr[i].key.via.str.ptr, (unsigned long long)tally->ptr[i].val.via.u64);
	buf_puts(&text, ").");
	for (i = 0; i < v->item.minority.n && i < NOTED_MAX; i++) {
		const struct item_ballot *b = &v->item.minority.v[i];
		wire_str why = cut(b->has_reason ? b->reason : wire_s("no reason given"), NOTED_REASON);

		buf_printf(&text, " %.*s was for %.*s: %.*s.", (int)b->voter.n, b->voter.p, (int)b->choice.n,
			   b->choice.p, (int)why.n, why.p);
	}
	r = text.failed;
	if (r == 0) {
		for (bytes = 0, chars = 0; bytes < text.len; bytes++) {
			chars += ((unsigned char)text.p[bytes] & 0xc0) != 0x80;
			if (chars > CONTENT_CHARS)
				break;
		}
		*out = job_text(j, text.p, (uint32_t)bytes);
		r = out->p == NULL ? TR_ENOMEM : 0;
	}
	buf_free(&text);
	return r;
}

/* The outcome as a memory of its own, whatever the source's limits are: a vote that cannot be closed would stay for
 * ever. */
static int remember_outcome(struct sql_archive *a, struct job *j, struct vote *v)
{
	static const wire_str tags[] = {{"vote", 4}, {"decision", 8}};
	struct item_new_memory m = {.has_id = true, .has_tags = true, .has_metadata = true};
	struct entry e = {.m = &m, .has_source = true, .source = wire_s(VOTE_SOURCE), .unbounded = true};
	char id[TR_ID_LEN], decision[TR_ID_LEN];
	struct row row;
	struct query q;
	int r;

	tr_id_new(id);
	tr_id_new(decision);
	m.id = wire_s(id);
	m.tags = (wire_strs){tags, v->item.decided ? 2 : 1};
	if ((m.metadata = metadata_of(j, v)) == NULL)
		return TR_ENOMEM;
	if ((r = content_of(j, v, &m.content)) < 0 || (r = entry_prepare(&e)) < 0 ||
	    (r = entry_create(a, j, &e, &row)) < 0)
		return r;
	v->item.memory_id = job_text(j, id, (uint32_t)strlen(id));
	v->item.decision_id = job_text(j, decision, (uint32_t)strlen(decision));
	if (v->item.memory_id.p == NULL || v->item.decision_id.p == NULL)
		return TR_ENOMEM;
	v->item.has_memory_id = true;
	v->item.has_decision_id = v->item.decided;
	if (!v->item.decided)
		return 0;
	q = q_begin(&a->wdb, SQL_ADD_DECISION);
	q_text(&q, decision, strlen(decision));
	q_text(&q, id, strlen(id));
	q_text(&q, VOTE_SOURCE, strlen(VOTE_SOURCE));
	q_i64(&q, a->now_ms);
	return q_run(&q);
}

/* The counter that a closed vote moves: labels must be few, and options are anybody's words. */
static int count_closed(struct sql_archive *a, const struct vote *v, const struct vote_tally *t)
{
	struct query q = q_begin(&a->wdb, SQL_COUNT);
	char name[32];
	int yes, no;

	(void)vote_yes_no(&v->item.options, &yes, &no);
	snprintf(name, sizeof(name), "votes.%s",
		 t->end != VOTE_DECIDED ? vote_end_words[t->end]
		 : t->winner == yes     ? "yes"
		 : t->winner == no      ? "no"
					: "option");
	q_text(&q, name, strlen(name));
	q_i64(&q, 1);
	return q_run(&q);
}

static int close_vote(struct sql_archive *a, struct job *j, struct vote *v)
{
	struct vote_tally t;
	struct query q;
	int r;

	if ((r = put_absent(a, v)) < 0 || (r = vote_tally(j, v, &t)) < 0)
		return r;
	v->item.decided = t.end == VOTE_DECIDED;
	v->item.outcome = v->item.decided ? v->item.options.v[t.winner] : wire_s(vote_end_words[t.end]);
	if ((r = vote_show(j, v, a->now_ms)) < 0 || (r = remember_outcome(a, j, v)) < 0 ||
	    (r = count_closed(a, v, &t)) < 0)
		return r;
	q = q_begin(&a->wdb, SQL_CLOSE_VOTE);
	q_text(&q, v->item.vote_id.p, v->item.vote_id.n);
	q_i64(&q, a->now_ms);
	q_text(&q, v->item.outcome.p, v->item.outcome.n);
	q_i64(&q, v->item.decided);
	q_text(&q, v->item.memory_id.p, v->item.memory_id.n);
	q_opt_text(&q, v->item.decided, v->item.decision_id);
	return q_run(&q);
}

/* ---- casting ---- */
static bool veto_is_sound(const struct vote *v, const struct item_ballot *b)
{
	return !b->has_veto || !b->veto || vote_may_veto(&v->item.options, b->voter, b->choice);
}

static int cast_by_jrs(struct sql_archive *a, struct job *j, struct vote *v, struct res_memory_vote_cast *res)
{
	const struct msg_memory_vote_cast *msg = j->msg;
	struct query q;
	uint32_t i;
	int r;

	if (v->item.has_closed_at || v->item.convened) /* another convener was here before */
		return 0;
	for (i = 0; i < msg->ballots.n; i++) {
		const struct item_ballot *b = &msg->ballots.v[i];

		if (vote_role(b->voter) < 0 || ballot_of(v, b->voter) != NULL)
			return job_fault(j, TR_EINVAL, "ballots", "must be of the Jrs, one of each at most");
		if (!veto_is_sound(v, b))
			return job_fault(j, TR_EINVAL, "ballots", "must not have a veto but memory_jr's no");
		if (vote_choice(&v->item.options, b->choice) == TR_EINVAL)
			return job_fault(j, TR_EINVAL, "ballots", "must name an option, abstain or absent");
		if ((r = put_ballot(a, v->item.vote_id, b)) < 0)
			return r;
		append(v, b);
	}
	q = q_begin(&a->wdb, SQL_CONVENED);
	q_text(&q, v->item.vote_id.p, v->item.vote_id.n);
	if ((r = q_run(&q)) < 0 || (r = put_absent(a, v)) < 0)
		return r;
	v->item.convened = res->changed = true;
	res->closed = !v->outside || a->now_ms >= v->closes_at;
	return res->closed ? close_vote(a, j, v) : 0;
}

static int cast_from_outside(struct sql_archive *a, struct job *j, struct vote *v, struct res_memory_vote_cast *res)
{
	const struct msg_memory_vote_cast *msg = j->msg;
	const struct item_ballot *b = &msg->ballots.v[0], *had = ballot_of(v, b->voter);
	int choice = vote_choice(&v->item.options, b->choice);

	if (msg->ballots.n != 1)
		return job_fault(j, TR_EINVAL, "ballots", "must be one");
	if (vote_role(b->voter) >= 0)
		return job_fault(j, TR_EINVAL, "voter", "is the name of a Jr");
	if (!veto_is_sound(v, b))
		return job_fault(j, TR_EINVAL, "veto", "is memory_jr's alone");
	if (choice < 0 && choice != VOTE_ABSTAIN)
		return job_fault(j, TR_EINVAL, "choice", "must be one of the options, or abstain");
	if (had != NULL && same(had->choice, b->choice) &&
	    (!b->has_reason || (had->has_reason && same(had->reason, b->reason))))
		return 0; /* it is there already */
	if (v->item.has_closed_at)
		return job_fault(j, TR_ECONFLICT, "", "the vote is closed");
	if (!v->outside)
		return job_fault(j, TR_ECONFLICT, "", "only the Jrs vote in it: it has no deadline");
	if (a->now_ms >= v->closes_at)
		return job_fault(j, TR_ECONFLICT, "", "the vote's time is over");
	if (had == NULL && v->item.ballots.n >= VOTERS_MAX)
		return job_fault(j, TR_ECONFLICT, "", "the vote has all the ballots that it may have");
	res->changed = true;
	return put_ballot(a, v->item.vote_id, b);
}

int write_vote_cast(struct sql_archive *a, struct job *j)
{
	const struct msg_memory_vote_cast *msg = j->msg;
	struct res_memory_vote_cast *res = job_alloc(j, sizeof(*res));
	struct vote v;
	int r;

	if (res == NULL)
		return TR_ENOMEM;
	if ((r = vote_load(j, &a->wdb, msg->vote_id, &v)) < 0)
		return r;
	if (r == 0)
		return vote_unknown(j);
	r = msg->has_convened && msg->convened ? cast_by_jrs(a, j, &v, res) : cast_from_outside(a, j, &v, res);
	if (r < 0)
		return r;
	res->vote_id = msg->vote_id;
	res->has_outcome = res->closed;
	res->outcome = v.item.outcome;
	j->answer.res = res;
	return 0;
}

/* ---- whose time is over ---- */
static int due(struct sql_archive *a, struct job *j, wire_str *ids)
{
	struct query q = q_begin(&a->wdb, SQL_DUE_VOTES);
	int r, n = 0;

	q_i64(&q, a->now_ms);
	q_i64(&q, DUE_MAX);
	while (n < DUE_MAX && (r = q_row(&q)) == 1) {
		if ((r = row_text(j, &q, 0, &ids[n])) < 0)
			break;
		n++;
	}
	q_end(&q);
	return r < 0 ? r : n;
}

static int next_due(struct sql_archive *a, struct res_memory_vote_close *res)
{
	struct query q = q_begin(&a->wdb, SQL_NEXT_VOTE);
	int r;

	if ((r = q_row(&q)) == 1 && !q_is_null(&q, 0)) {
		res->has_next_at = true;
		res->next_at = q_get_i64(&q, 0);
	}
	q_end(&q);
	return r < 0 ? r : 0;
}

int write_vote_close(struct sql_archive *a, struct job *j)
{
	struct res_memory_vote_close *res = job_alloc(j, sizeof(*res));
	wire_str *ids = job_alloc(j, sizeof(*ids) * DUE_MAX), *outcomes = job_alloc(j, sizeof(*outcomes) * DUE_MAX);
	struct vote v;
	int r, i, n;

	if (res == NULL || ids == NULL || outcomes == NULL)
		return TR_ENOMEM;
	if ((n = due(a, j, ids)) < 0)
		return n;
	for (i = 0; i < n; i++) {
		if ((r = vote_load(j, &a->wdb, ids[i], &v)) <= 0 || (r = close_vote(a, j, &v)) < 0)
			return r < 0 ? r : TR_ESTORE;
		outcomes[i] = v.item.outcome;
	}
	res->closed = (uint32_t)n;
	res->ids = (wire_strs){ids, (uint32_t)n};
	res->outcomes = (wire_strs){outcomes, (uint32_t)n};
	j->answer.res = res;
	return next_due(a, res);
}
