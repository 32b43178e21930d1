#include "jrs/vote/judge.h"
#include "common/base/text.h"
#include "jrs/vote/stance.h"
#include <math.h>
#include <stdarg.h>
#include <stdio.h>

/* How much a memory counts, times its share of the proposal's weight. */
#define WEIGHS_SACRED   1.0
#define WEIGHS_DECISION 0.8
#define WEIGHS_MEMORY   0.5
#define SAMPLE_MIN      20  /* memories in an analysis that says anything */
#define SAMPLE_FULL     200 /* ... and so much that it cannot say more */
#define SEVERE          0.5 /* an anomaly */
#define LOAD_HIGH       0.8 /* of what may be in flight */
#define SOURCES_MIN     2   /* that are independent of each other */

static void say(struct ballot_judged *out, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void say(struct ballot_judged *out, const char *fmt, ...)
{
	size_t n;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(out->reason, sizeof(out->reason), fmt, ap);
	va_end(ap);
	for (n = strlen(out->reason); n > 0 && !tr_utf8_ok(out->reason, n, NULL); n--) /* cut within a character */
		out->reason[n - 1] = '\0';
}

static void abstain(struct ballot_judged *out)
{
	memset(out, 0, sizeof(*out));
	out->choice = VOTE_ABSTAIN;
}

static void show(struct ballot_judged *out, wire_str id)
{
	if (out->nevidence < BALLOT_EVIDENCE)
		out->evidence[out->nevidence++] = id;
}

/* ---- what is remembered ---- */
static bool tagged(const struct item_memory *m, const char *tag)
{
	uint32_t i;

	for (i = 0; i < m->tags.n; i++) {
		if (m->tags.v[i].n == strlen(tag) && memcmp(m->tags.v[i].p, tag, m->tags.v[i].n) == 0)
			return true;
	}
	return false;
}

/* A text of its metadata; n == 0: there is none. */
static wire_str noted(const struct item_memory *m, const char *key)
{
	const msgpack_object *o = m->has_metadata ? m->metadata : NULL;
	uint32_t i;

	for (i = 0; o != NULL && o->type == MSGPACK_OBJECT_MAP && i < o->via.map.size; i++) {
		const msgpack_object_kv *kv = &o->via.map.ptr[i];

		if (kv->key.type == MSGPACK_OBJECT_STR && kv->val.type == MSGPACK_OBJECT_STR &&
		    kv->key.via.str.size == strlen(key) && memcmp(kv->key.via.str.ptr, key, strlen(key)) == 0)
			return (wire_str){kv->val.via.str.ptr, kv->val.via.str.size};
	}
	return wire_s(NULL);
}

/* On which side one memory is. */
struct side {
	int option; /* -1: it does not speak to the proposal */
	double weight;
	bool sacred_no;
};

struct reading {
	const struct ballot_question *question;
	struct stance_proposal proposal;
	struct stance_said said;
	int yes, no;
	bool binary; /* the options are yes and no, perhaps among others */
};

static void read_question(struct reading *r, const struct ballot_question *question, const struct list_memory *found)
{
	static const struct list_term none = {NULL, 0};
	const struct item_memory *first = found->n > 0 ? &found->v[0] : NULL;

	r->question = question;
	r->binary = vote_yes_no(&question->options, &r->yes, &r->no);
	stance_said(&r->said, question->proposal);
	stance_proposal(&r->proposal, question->proposal,
			first != NULL && first->has_explanation ? &first->explanation.terms : &none);
}

/* An earlier vote: its proposal is compared, its outcome is the side. */
static struct side side_of_vote(const struct reading *r, const struct item_memory *m)
{
	wire_str outcome = noted(m, "outcome");
	struct stance s = stance_of(&r->proposal, noted(m, "proposal"));
	struct side side = {-1, WEIGHS_DECISION * s.share, false};
	int option = vote_choice(&r->question->options, outcome);

	if (!s.speaks || option < 0)
		return side;
	if (!s.against)
		side.option = option;
	else if (r->binary && (option == r->yes || option == r->no))
		side.option = option == r->yes ? r->no : r->yes;
	return side;
}

static struct side side_of(const struct reading *r, const struct item_memory *m)
{
	bool decision = tagged(m, "decision");
	double weight = m->sacred ? WEIGHS_SACRED : decision ? WEIGHS_DECISION : WEIGHS_MEMORY;
	struct side side = {-1, 0, false};
	struct stance s;
	uint32_t i, held = 0;

	/* Whoever may write may say that a memory is replaced: of a sacred one that is no news. */
	if ((m->has_superseded_by && !m->sacred) || (tagged(m, "vote") && !decision))
		return side;
	if (tagged(m, "vote") && noted(m, "outcome").n > 0)
		return side_of_vote(r, m);
	s = stance_of(&r->proposal, m->content);
	side.weight = weight * s.share;
	if (r->binary && s.speaks && !s.unsure)
		side.option = s.against ? r->no : r->yes;
	if (r->binary && m->sacred &&
	    ((s.speaks && (s.against || (s.unsure && !r->proposal.negated))) ||
	     stance_contradicts(&r->said, m->content))) {
		side.option = r->no;
		side.weight = weight * fmax(s.share, STANCE_SHARE);
		side.sacred_no = true;
	}
	for (i = 0; !r->binary && i < r->question->options.n; i++) {
		if (stance_holds(m->content, r->question->options.v[i]) && !s.against && s.share > 0) {
			side.option = (int)i;
			held++;
		}
	}
	if (held > 1) /* it names several of them: it prefers none */
		side.option = -1;
	return side;
}

/* The option with the highest sum; -1: there is none, or not one alone. rest: of all others. */
static int leading(const double *sum, uint32_t n, double *rest)
{
	uint32_t best = 0, i;
	bool alone = n > 0;

	*rest = 0;
	for (i = 1; i < n; i++) {
		if (sum[i] > sum[best] + 1e-12) {
			best = i;
			alone = true;
		} else if (fabs(sum[i] - sum[best]) <= 1e-12) {
			alone = false;
		}
	}
	for (i = 0; i < n; i++)
		*rest += i != best ? sum[i] : 0;
	return n > 0 && alone && sum[best] > 0 ? (int)best : -1;
}

static double certainty(double best, double rest, unsigned speaking)
{
	return (best - rest) / (best + rest) * (1 - pow(0.5, speaking));
}

void judge_query(const struct ballot_question *question, char q[JUDGE_QUERY_BYTES], struct msg_memory_recall *out)
{
	size_t used = 0, chars = 0, i = 0;
	int yes, no;

	memset(out, 0, sizeof(*out));
	for (uint32_t k = 0; k <= question->options.n; k++) {
		wire_str s = k == 0 ? question->proposal : question->options.v[k - 1];

		if (k > 0 && vote_yes_no(&question->options, &yes, &no))
			break;
		if (k > 0 && chars < JUDGE_QUERY_CHARS && used < JUDGE_QUERY_BYTES) {
			q[used++] = ' ';
			chars++;
		}
		for (i = 0; i < s.n && used < JUDGE_QUERY_BYTES; i++) {
			bool begins = ((unsigned char)s.p[i] & 0xc0) != 0x80;

			if (begins && (chars == JUDGE_QUERY_CHARS || used + 4 > JUDGE_QUERY_BYTES))
				break;
			chars += begins;
			q[used++] = s.p[i];
		}
	}
	out->has_q = out->has_limit = out->has_touch = out->has_explain = out->explain = true;
	out->q = (wire_text){q, (uint32_t)used};
	out->limit = JUDGE_FOUND;
}

/* ---- memory-jr ---- */
bool judge_ask_sacred(const struct ballot_question *question, const struct list_memory *found,
		      struct msg_memory_sacred *out)
{
	memset(out, 0, sizeof(*out));
	if (found->n == 0 || !found->v[0].has_explanation)
		return false;
	out->proposal = (wire_text){question->proposal.p, question->proposal.n};
	out->terms = found->v[0].explanation.terms;
	return true;
}

static bool settled_by_sacred(const struct reading *r, const struct list_memory *sacred, struct ballot_judged *out)
{
	unsigned n = 0;
	uint32_t i;

	for (i = 0; i < sacred->n; i++) {
		struct side side = side_of(r, &sacred->v[i]);

		if (!side.sacred_no)
			continue;
		n++;
		out->confidence = fmax(out->confidence, side.weight);
		show(out, sacred->v[i].id);
	}
	if (n == 0)
		return false;
	out->choice = r->no;
	out->veto = true;
	say(out, "it contradicts %u sacred %s: a veto", n, n == 1 ? "memory" : "memories");
	return true;
}

/* Asked again and again, a tribe would else outvote whoever decides otherwise later: of all votes that speak to it the
 * newest one counts. */
static bool is_older_vote(const struct list_memory *seen, const struct side *side, uint32_t i)
{
	uint32_t k;

	for (k = 0; tagged(&seen->v[i], "vote") && k < seen->n; k++) {
		if (k != i && side[k].option >= 0 && tagged(&seen->v[k], "vote") &&
		    (seen->v[k].created_at > seen->v[i].created_at ||
		     (seen->v[k].created_at == seen->v[i].created_at && k < i)))
			return true;
	}
	return false;
}

void judge_memory(const struct ballot_question *question, const struct list_memory *found,
		  const struct list_memory *sacred_ones, struct ballot_judged *out)
{
	double sum[VOTE_OPTIONS_MAX] = {0}, rest;
	unsigned speaking = 0, decisions = 0, sacred = 0;
	struct side side[JUDGE_FOUND];
	struct reading r;
	struct list_memory seen = *found;
	uint32_t i;

	abstain(out);
	seen.n = seen.n < JUDGE_FOUND ? seen.n : JUDGE_FOUND;
	read_question(&r, question, &seen);
	if (settled_by_sacred(&r, sacred_ones, out) || settled_by_sacred(&r, &seen, out))
		return;
	for (i = 0; i < seen.n; i++)
		side[i] = side_of(&r, &seen.v[i]);
	for (i = 0; i < seen.n; i++) {
		if (side[i].option < 0 || is_older_vote(&seen, side, i))
			continue;
		speaking++;
		decisions += tagged(&seen.v[i], "decision");
		sacred += seen.v[i].sacred;
		sum[side[i].option] += side[i].weight;
	}
	out->choice = leading(sum, question->options.n, &rest);
	if (out->choice < 0) {
		out->choice = VOTE_ABSTAIN;
		if (speaking == 0)
			say(out, "no precedent: nothing that is remembered speaks to it");
		else
			say(out, "%u memories speak to it, as much for one option as for another", speaking);
	} else {
		out->confidence = certainty(sum[out->choice], rest, speaking);
		say(out, "%u %s to it, %u of them decisions, %u sacred: %.2f for this, %.2f for the rest", speaking,
		    speaking == 1 ? "memory speaks" : "memories speak", decisions, sacred, sum[out->choice], rest);
	}
	for (i = 0; i < seen.n; i++) {
		if (side[i].option >= 0)
			show(out, seen.v[i].id);
	}
}

/* ---- integration-jr ---- */
static bool same_source(const struct item_memory *a, const struct item_memory *b)
{
	wire_str x = a->has_source ? a->source : wire_s(""), y = b->has_source ? b->source : wire_s("");

	return x.n == y.n && memcmp(x.p, y.p, x.n) == 0;
}

/* The side of one source: that of most of its memories; -1: none. */
static int side_of_source(const struct list_memory *found, const struct side *side, uint32_t first, uint32_t options)
{
	double sum[VOTE_OPTIONS_MAX] = {0}, rest;
	uint32_t i;

	for (i = first; i < found->n; i++) {
		if (side[i].option >= 0 && same_source(&found->v[i], &found->v[first]))
			sum[side[i].option] += 1;
	}
	return leading(sum, options, &rest);
}

static bool seen_before(const struct list_memory *found, const struct side *side, uint32_t i)
{
	uint32_t k;

	for (k = 0; k < i; k++) {
		if (side[k].option >= 0 && same_source(&found->v[k], &found->v[i]))
			return true;
	}
	return false;
}

void judge_integration(const struct ballot_question *question, const struct list_memory *found,
		       struct ballot_judged *out)
{
	double sum[VOTE_OPTIONS_MAX] = {0}, rest;
	struct side side[JUDGE_FOUND];
	struct list_memory seen = *found;
	unsigned sources = 0;
	struct reading r;
	uint32_t i;
	int option;

	abstain(out);
	seen.n = seen.n < JUDGE_FOUND ? seen.n : JUDGE_FOUND;
	read_question(&r, question, &seen);
	for (i = 0; i < seen.n; i++) {
		side[i] = side_of(&r, &seen.v[i]);
		if (tagged(&seen.v[i], "vote")) /* what the tribe made itself has no source of its own */
			side[i].option = -1;
	}
	for (i = 0; i < seen.n; i++) {
		if (side[i].option < 0 || seen_before(&seen, side, i))
			continue;
		sources++;
		show(out, seen.v[i].id);
		if ((option = side_of_source(&seen, side, i, question->options.n)) >= 0)
			sum[option] += 1;
	}
	option = leading(sum, question->options.n, &rest);
	if (option < 0 || sum[option] < SOURCES_MIN) {
		say(out, "%u independent %s to it; two that agree, and more than disagree, are wanted", sources,
		    sources == 1 ? "source speaks" : "sources speak");
		return;
	}
	out->choice = option;
	out->confidence = certainty(sum[option], rest, sources);
	say(out, "%u independent sources speak to it: %.0f for this, %.0f for the rest", sources, sum[option], rest);
}

/* ---- meta-jr ---- */
void judge_meta(const struct ballot_question *question, const struct res_meta_anomalies *last,
		struct ballot_judged *out)
{
	const struct item_anomaly *worst = NULL;
	uint32_t i;
	int yes, no;

	abstain(out);
	if (!vote_yes_no(&question->options, &yes, &no)) {
		say(out, "a trend speaks for going on or against it; the options are not yes and no");
		return;
	}
	if (!last->has_analysed_at || !last->has_sampled || last->sampled < SAMPLE_MIN) {
		say(out,
		    last->has_analysed_at ? "the last analysis saw fewer than %d memories"
					  : "no analysis yet, of at least %d memories",
		    SAMPLE_MIN);
		return;
	}
	for (i = 0; i < last->anomalies.n; i++) {
		if (worst == NULL || last->anomalies.v[i].severity > worst->severity)
			worst = &last->anomalies.v[i];
	}
	for (i = 0; worst != NULL && i < worst->evidence.n; i++)
		show(out, worst->evidence.v[i]);
	if (worst != NULL && worst->severity >= SEVERE) {
		out->choice = no;
		out->confidence = worst->severity;
		say(out, "anomaly %.*s, severity %.2f: %.*s", (int)worst->kind.n, worst->kind.p, worst->severity,
		    (int)worst->summary.n, worst->summary.p);
		return;
	}
	out->choice = yes;
	out->confidence = (1 - (worst != NULL ? worst->severity : 0)) * fmin(1, (double)last->sampled / SAMPLE_FULL);
	say(out, "no severe anomaly among %u in the last analysis, of %llu memories", last->anomalies.n,
	    (unsigned long long)last->sampled);
}

/* ---- executive-jr ---- */
void judge_executive(const struct ballot_question *question, const struct judge_capacity *now,
		     struct ballot_judged *out)
{
	double load = now->capacity > 0 ? (double)now->inflight / now->capacity : 0;
	bool well;
	int yes, no;

	abstain(out);
	if (!vote_yes_no(&question->options, &yes, &no)) {
		say(out, "capacity speaks for going on or against it; the options are not yes and no");
		return;
	}
	if (!now->known) {
		say(out, "tribed did not say how the tribe is");
		return;
	}
	well = strcmp(now->status, "operational") == 0;
	out->choice = well && now->overdue == 0 && load < LOAD_HIGH ? yes : no;
	out->confidence = out->choice == yes ? 1 - load : well ? fmin(1, fmax(load, LOAD_HIGH)) : 0.9;
	say(out, "the tribe is %s; %u of %u requests in flight, %u overdue", now->status, now->inflight, now->capacity,
	    now->overdue);
}

struct res_ballot judge_answer(const struct ballot_question *question, const struct ballot_judged *judged)
{
	struct res_ballot res = {.has_confidence = judged->choice >= 0,
				 .confidence = fmin(1, fmax(0, judged->confidence)),
				 .reason = wire_s(judged->reason),
				 .evidence = {judged->evidence, judged->nevidence},
				 .has_veto = judged->veto,
				 .veto = judged->veto};

	res.choice = judged->choice < 0 ? wire_s("abstain") : question->options.v[judged->choice];
	return res;
}
