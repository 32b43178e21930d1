#include "jrs/vote/tally.h"
#include "common/base/err.h"
#include <assert.h>
#include <strings.h>

const char *const vote_end_words[VOTE_NENDS] = {
#define X(id, word, doc) #word,
	VOTE_ENDS(X)
#undef X
};

enum { PROPOSAL, MOMENT };
static const struct {
	int of;
	bool veto;
} voices[TR_NROLES] = {
#define X(role, speaks_of, may_veto) [TR_ROLE_##role] = {speaks_of, may_veto},
	VOTE_VOICES(X)
#undef X
};

/* Sums only. true: there is a veto. */
static bool add_up(const struct vote_rule *rule, const struct vote_ballot *v, size_t n, struct vote_tally *out)
{
	bool veto = false;
	size_t k;

	(void)rule; /* looked at by the assertion alone */
	for (k = 0; k < n; k++) {
		assert(v[k].choice >= VOTE_ABSENT && v[k].choice < (int)rule->options);
		veto = veto || v[k].veto;
		if (v[k].choice == VOTE_ABSTAIN) {
			out->abstain++;
		} else if (v[k].choice == VOTE_ABSENT) {
			out->absent++;
		} else {
			out->votes[v[k].choice]++;
			out->choices++;
			out->evidence[v[k].choice] += !v[k].moment;
		}
	}
	return veto;
}

/* Does any of the options that have most votes have one that speaks of the proposal? */
static bool evidence(const struct vote_rule *rule, const struct vote_tally *t, unsigned best)
{
	unsigned i;

	for (i = 0; i < rule->options; i++) {
		if (t->votes[i] == t->votes[best] && t->evidence[i] > 0)
			return true;
	}
	return false;
}

void vote_count(const struct vote_rule *rule, const struct vote_ballot *v, size_t n, struct vote_tally *out)
{
	bool tie = false, veto;
	unsigned best = 0, i;

	assert(rule->options > 0 && rule->options <= VOTE_OPTIONS_MAX);
	memset(out, 0, sizeof(*out));
	veto = add_up(rule, v, n, out);
	for (i = 1; i < rule->options; i++) {
		tie = out->votes[i] > out->votes[best] ? false : tie || out->votes[i] == out->votes[best];
		best = out->votes[i] > out->votes[best] ? i : best;
	}
	out->winner = -1;
	if (out->choices == 0 || out->choices < rule->quorum)
		out->end = VOTE_NO_QUORUM;
	else if (!evidence(rule, out, best))
		out->end = VOTE_NO_EVIDENCE;
	else if (tie)
		out->end = VOTE_TIE;
	else if ((double)out->votes[best] / out->choices < rule->threshold)
		out->end = VOTE_NO_MAJORITY;
	else if (veto && (int)best == rule->yes)
		out->end = VOTE_VETOED;
	else
		out->end = VOTE_DECIDED;
	if (out->end == VOTE_DECIDED)
		out->winner = (int)best;
}

static bool is(wire_str s, const char *word)
{
	return s.n == strlen(word) && strncasecmp(s.p, word, s.n) == 0;
}

bool vote_word_taken(wire_str option)
{
#define X(id, word, doc) || is(option, #word)
	return false VOTE_WORDS_TAKEN(X);
#undef X
}

int vote_role(wire_str voter)
{
	int i;

	for (i = 0; i < TR_NROLES; i++) {
		if (voter.n == strlen(tr_roles[i].api_name) && memcmp(voter.p, tr_roles[i].api_name, voter.n) == 0)
			return i;
	}
	return -1;
}

bool vote_of_moment(wire_str voter)
{
	int role = vote_role(voter);

	return role >= 0 && voices[role].of == MOMENT;
}

int vote_choice(const wire_strs *options, wire_str name)
{
	uint32_t i;

	for (i = 0; i < options->n; i++) {
		if (options->v[i].n == name.n && memcmp(options->v[i].p, name.p, name.n) == 0)
			return (int)i;
	}
	return is(name, "abstain") ? VOTE_ABSTAIN : is(name, "absent") ? VOTE_ABSENT : TR_EINVAL;
}

bool vote_yes_no(const wire_strs *options, int *yes, int *no)
{
	uint32_t i;

	*yes = *no = -1;
	for (i = 0; i < options->n; i++) {
		if (is(options->v[i], "yes"))
			*yes = (int)i;
		else if (is(options->v[i], "no"))
			*no = (int)i;
	}
	return *yes >= 0 && *no >= 0;
}

bool vote_may_veto(const wire_strs *options, wire_str voter, wire_str choice)
{
	int role = vote_role(voter), yes, no;

	return role >= 0 && voices[role].veto && vote_yes_no(options, &yes, &no) && vote_choice(options, choice) == no;
}
