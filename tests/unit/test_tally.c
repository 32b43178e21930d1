/* jrs/vote/tally.c: what ballots come to (properties, against a count of its own). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/base/err.h"
#include "jrs/vote/tally.h"
#include <stdlib.h>

static uint64_t state = 42;

static unsigned below(unsigned n)
{
	state = state * UINT64_C(6364136223846793005) + 1442695040888963407u;
	return (unsigned)(state >> 33) % n;
}

/* ---- the count ---- */
#define BALLOTS 24

struct ballots {
	struct vote_rule rule;
	struct vote_ballot v[BALLOTS + 4];
	size_t n;
};

/* A ballot of whoever: a Jr that speaks of the moment, one that vetoes, an outsider. */
static struct vote_ballot any_ballot(unsigned options)
{
	return (struct vote_ballot){(int)below(options + 2) - 2, below(2) == 0, below(16) == 0};
}

static struct ballots any(void)
{
	static const double thresholds[] = {0, 0.25, 1.0 / 3, 0.5, 0.6, 2.0 / 3, 0.75, 1};
	struct ballots b = {.rule = {2 + below(4), below(7), thresholds[below(8)], -1},
			    .n = below(below(4) == 0 ? 5 : BALLOTS)};
	size_t i;

	b.rule.yes = (int)below(b.rule.options + 1) - 1;
	for (i = 0; i < b.n; i++)
		b.v[i] = any_ballot(b.rule.options);
	return b;
}

static struct vote_tally count(const struct ballots *b)
{
	struct vote_tally t;

	vote_count(&b->rule, b->v, b->n, &t);
	return t;
}

/* By another way: sorted out one option after the other, shares as fractions. */
static void oracle(const struct ballots *b, enum vote_end *end, int *winner)
{
	unsigned choices = 0, most = 0, leaders = 0, of_it = 0, vetoes = 0, o, with;
	size_t i;

	*winner = -1;
	for (o = 0; o < b->rule.options; o++) {
		unsigned n = 0;

		for (i = with = 0; i < b->n; i++) {
			n += b->v[i].choice == (int)o;
			with += b->v[i].choice == (int)o && !b->v[i].moment;
		}
		choices += n;
		if (n > most) {
			most = n;
			leaders = of_it = 0;
		}
		if (n == most && n > 0) {
			leaders++;
			of_it += with;
			*winner = (int)o;
		}
	}
	for (i = 0; i < b->n; i++)
		vetoes += b->v[i].veto;
	*end = choices < b->rule.quorum || choices == 0    ? VOTE_NO_QUORUM
	       : of_it == 0                                ? VOTE_NO_EVIDENCE
	       : leaders > 1                               ? VOTE_TIE
	       : most < b->rule.threshold * choices - 1e-9 ? VOTE_NO_MAJORITY
	       : vetoes > 0 && *winner == b->rule.yes      ? VOTE_VETOED
							   : VOTE_DECIDED;
	*winner = *end == VOTE_DECIDED ? *winner : -1;
}

static void as_counted_otherwise(void **s)
{
	unsigned seen[VOTE_NENDS] = {0};
	int i;

	(void)s;
	for (i = 0; i < 200000; i++) {
		struct ballots b = any();
		struct vote_tally t = count(&b);
		uint32_t sum = 0, o;
		enum vote_end end;
		int winner;

		oracle(&b, &end, &winner);
		assert_int_equal(t.end, end);
		assert_int_equal(t.winner, winner);
		for (o = 0; o < b.rule.options; o++)
			sum += t.votes[o];
		assert_int_equal(sum, t.choices);
		assert_int_equal(t.choices + t.abstain + t.absent, b.n);
		seen[t.end]++;
	}
	for (i = 0; i < VOTE_NENDS; i++)
		assert_true(seen[i] > 1000);
}

static void the_order_does_not_matter(void **s)
{
	int round;

	(void)s;
	for (round = 0; round < 50000; round++) {
		struct ballots b = any(), mixed = b;
		struct vote_tally x = count(&b), y;
		size_t i, k;

		for (i = mixed.n; i > 1; i--) {
			struct vote_ballot was = mixed.v[k = below((unsigned)i)];

			mixed.v[k] = mixed.v[i - 1];
			mixed.v[i - 1] = was;
		}
		y = count(&mixed);
		assert_memory_equal(&x, &y, sizeof(x));
	}
}

/* Whoever names no option changes nothing, however many they are. */
static void no_choice_is_none(void **s)
{
	int round;

	(void)s;
	for (round = 0; round < 50000; round++) {
		struct ballots b = any(), more = b;
		struct vote_tally x = count(&b), y;
		unsigned k = 1 + below(4);

		while (k-- > 0)
			more.v[more.n++] =
				(struct vote_ballot){below(2) == 0 ? VOTE_ABSTAIN : VOTE_ABSENT, below(2) == 0, false};
		y = count(&more);
		assert_int_equal(x.end, y.end);
		assert_int_equal(x.winner, y.winner);
		assert_int_equal(x.choices, y.choices);
		assert_memory_equal(x.votes, y.votes, sizeof(x.votes));
	}
}

/* One more for the winner never takes its victory away; one option renamed for another changes only the name. */
static void the_winner_stays(void **s)
{
	int round;

	(void)s;
	for (round = 0; round < 50000; round++) {
		struct ballots b = any(), more = b, turned = b;
		struct vote_tally x = count(&b), y;
		int last = (int)b.rule.options - 1;
		size_t i;

		for (i = 0; i < turned.n; i++)
			turned.v[i].choice = turned.v[i].choice < 0 ? turned.v[i].choice : last - turned.v[i].choice;
		turned.rule.yes = turned.rule.yes < 0 ? -1 : last - turned.rule.yes;
		y = count(&turned);
		assert_int_equal(y.end, x.end);
		assert_int_equal(y.winner, x.winner < 0 ? -1 : last - x.winner);
		if (x.winner < 0)
			continue;
		more.v[more.n++] = (struct vote_ballot){x.winner, below(2) == 0, false};
		assert_int_equal(count(&more).winner, x.winner);
	}
}

/* Whatever else is said: choices of the moment alone decide nothing, and a veto keeps yes from winning and nothing
 * else. */
static void moments_and_vetoes(void **s)
{
	unsigned vetoed = 0, other = 0;
	int round;

	(void)s;
	for (round = 0; round < 50000; round++) {
		struct ballots b = any(), none = b, free = b;
		struct vote_tally x = count(&b), y;
		size_t i;

		for (i = 0; i < b.n; i++) {
			none.v[i].moment = true;
			free.v[i].veto = false;
		}
		y = count(&none);
		assert_true(y.winner < 0 && (y.end == VOTE_NO_QUORUM || y.end == VOTE_NO_EVIDENCE));
		y = count(&free);
		assert_true(y.end != VOTE_VETOED);
		if (x.end == VOTE_VETOED) {
			assert_true(y.end == VOTE_DECIDED && y.winner == b.rule.yes);
			vetoed++;
		} else {
			assert_true(y.end == x.end && y.winner == x.winner);
		}
		if (x.winner < 0)
			continue;
		b.v[b.n++] = (struct vote_ballot){VOTE_ABSTAIN, false, true};
		assert_true(x.winner == b.rule.yes ? count(&b).end == VOTE_VETOED : count(&b).winner == x.winner);
		other += x.winner != b.rule.yes;
	}
	assert_true(vetoed > 1000 && other > 1000);
}

static void bounds(void **s)
{
	static const struct {
		unsigned options;
		uint32_t quorum;
		double threshold;
		int choice[6];
		size_t n;
		enum vote_end end;
		unsigned moment; /* so many of them, from behind */
		int veto;        /* number of the ballot, from 1 on */
	} t[] = {
		{2, 2, 0.5, {0, 0}, 2, VOTE_NO_EVIDENCE, 2, 0},
		{2, 3, 0.5, {0, 0}, 2, VOTE_NO_QUORUM, 2, 0},           /* looked at first */
		{2, 2, 0.5, {0, 1}, 2, VOTE_NO_EVIDENCE, 2, 0},         /* ... before the tie */
		{2, 2, 0.5, {-1, -2, 0, 0}, 4, VOTE_NO_EVIDENCE, 2, 0}, /* who abstains speaks of nothing */
		{2, 2, 0.5, {0, -1, 0}, 3, VOTE_DECIDED, 1, 0},
		{2, 2, 0.5, {1, 0, 0}, 3, VOTE_NO_EVIDENCE, 2, 0}, /* a precedent is not outvoted by the moment */
		{2, 2, 0.5, {1, 0, 0}, 3, VOTE_DECIDED, 1, 0},     /* the moment counts, where there is evidence */
		{2, 2, 0.5, {1, 0, 0}, 3, VOTE_VETOED, 1, 1},      /* the same, against what is sacred */
		{2, 2, 0.5, {1, 0}, 2, VOTE_TIE, 1, 0},            /* one of the two has evidence */
		{2, 2, 0.5, {1, 1, 0}, 3, VOTE_DECIDED, 1, 1},     /* no wins as ever */
		{2, 2, 0.5, {1, 0}, 2, VOTE_TIE, 0, 1},            /* looked at before the veto */
		{2, 2, 0.9, {1, 0, 0}, 3, VOTE_NO_MAJORITY, 0, 1},
		{3, 2, 0.5, {1, 2, 2}, 3, VOTE_DECIDED, 0, 1}, /* neither yes nor no */
		{2, 1, 0.5, {0}, 0, VOTE_NO_QUORUM, 0, 0},
		{2, 1, 0, {-1, -2, -1}, 3, VOTE_NO_QUORUM, 0, 0}, /* nobody named anything */
		{2, 2, 0.5, {0, -1, -1, -2}, 4, VOTE_NO_QUORUM, 0, 0},
		{2, 2, 0.5, {0, 0, -1, -2}, 4, VOTE_DECIDED, 0, 0},
		{2, 2, 0.5, {0, 1}, 2, VOTE_TIE, 0, 0},
		{3, 2, 0, {0, 1, 2}, 3, VOTE_TIE, 0, 0},
		{3, 2, 0.5, {0, 0, 1, 2}, 4, VOTE_DECIDED, 0, 0}, /* a half is enough for a half */
		{3, 2, 0.51, {0, 0, 1, 2}, 4, VOTE_NO_MAJORITY, 0, 0},
		{2, 3, 0.6, {0, 0, 0, 1, 1}, 5, VOTE_DECIDED, 0, 0}, /* 3/5 is 0.6 */
		{2, 3, 1, {1, 1, 1}, 3, VOTE_DECIDED, 0, 0},
		{2, 3, 1, {1, 1, 1, 0}, 4, VOTE_NO_MAJORITY, 0, 0},
	};

	(void)s;
	for (size_t i = 0; i < sizeof(t) / sizeof(*t); i++) {
		const struct vote_rule rule = {t[i].options, t[i].quorum, t[i].threshold, 0};
		struct vote_ballot v[6];
		struct vote_tally tally;

		for (size_t k = 0; k < t[i].n; k++)
			v[k] = (struct vote_ballot){t[i].choice[k], k + t[i].moment >= t[i].n, (int)k + 1 == t[i].veto};
		vote_count(&rule, v, t[i].n, &tally);
		assert_int_equal(tally.end, t[i].end);
		assert_true((tally.winner >= 0) == (t[i].end == VOTE_DECIDED));
	}
}

static void words_of_options(void **s)
{
	static const wire_str plain[] = {{"No", 2}, {"later", 5}, {"YES", 3}}, other[] = {{"red", 3}, {"yes", 3}};
	const wire_strs options = {plain, 3}, colours = {other, 2};
	int yes, no;

	(void)s;
	assert_true(vote_yes_no(&options, &yes, &no) && yes == 2 && no == 0);
	assert_false(vote_yes_no(&colours, &yes, &no));
	assert_int_equal(vote_choice(&options, wire_s("later")), 1);
	assert_int_equal(vote_choice(&options, wire_s("abstain")), VOTE_ABSTAIN);
	assert_int_equal(vote_choice(&options, wire_s("absent")), VOTE_ABSENT);
	assert_int_equal(vote_choice(&options, wire_s("lat")), TR_EINVAL);
	assert_true(vote_word_taken(wire_s("Tie")) && vote_word_taken(wire_s("open")) &&
		    vote_word_taken(wire_s("absent")));
	for (int i = 0; i < VOTE_NENDS; i++)
		assert_true(vote_word_taken(wire_s(vote_end_words[i])));
	assert_false(vote_word_taken(wire_s("yes")));
}

/* Who speaks of what, and who may veto what. */
static void voices(void **s)
{
	static const wire_str plain[] = {{"No", 2}, {"later", 5}, {"YES", 3}}, other[] = {{"red", 3}, {"no", 2}};
	const wire_strs options = {plain, 3}, colours = {other, 2};
	static const char *const names[] = {"memory_jr", "integration_jr", "meta_jr", "executive_jr", "memory", "ann"};

	(void)s;
	for (int i = 0; i < 6; i++) {
		wire_str who = wire_s(names[i]);

		assert_int_equal(vote_role(who), i < 4 ? i : -1);
		assert_true(vote_of_moment(who) == (i == 2 || i == 3));
		assert_true(vote_may_veto(&options, who, wire_s("No")) == (i == 0));
		assert_false(vote_may_veto(&options, who, wire_s("YES")));
		assert_false(vote_may_veto(&options, who, wire_s("later")));
		assert_false(vote_may_veto(&options, who, wire_s("abstain")));
		assert_false(vote_may_veto(&colours, who, wire_s("no")));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(as_counted_otherwise), cmocka_unit_test(the_order_does_not_matter),
		cmocka_unit_test(no_choice_is_none),    cmocka_unit_test(the_winner_stays),
		cmocka_unit_test(moments_and_vetoes),   cmocka_unit_test(bounds),
		cmocka_unit_test(words_of_options),     cmocka_unit_test(voices),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
