#include "jrs/vote/tally.h"
#include "common/base/err.h"
#include <assert.h>
#include <strings.h>

const char *const vote_end_words[VOTE_NENDS] = {
#define X(id, word, doc) word,
	VOTE_ENDS(X)
#undef X
};

void vote_count(const struct vote_rule *rule, const int *choice, size_t n, struct vote_tally *out)
{
	unsigned best = 0, i;
	bool tie = false;
	size_t k;

	assert(rule->options > 0 && rule->options <= VOTE_OPTIONS_MAX);
	memset(out, 0, sizeof(*out));
	for (k = 0; k < n; k++) {
		assert(choice[k] >= VOTE_ABSENT && choice[k] < (int)rule->options);
		if (choice[k] == VOTE_ABSTAIN) {
			out->abstain++;
		} else if (choice[k] == VOTE_ABSENT) {
			out->absent++;
		} else {
			out->votes[choice[k]]++;
			out->choices++;
		}
	}
	for (i = 1; i < rule->options; i++) {
		tie = out->votes[i] > out->votes[best] ? false : tie || out->votes[i] == out->votes[best];
		best = out->votes[i] > out->votes[best] ? i : best;
	}
	out->winner = -1;
	if (out->choices == 0 || out->choices < rule->quorum)
		out->end = VOTE_NO_QUORUM;
	else if (tie)
		out->end = VOTE_TIE;
	else if ((double)out->votes[best] / out->choices < rule->threshold)
		out->end = VOTE_NO_MAJORITY;
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
	unsigned i;

	for (i = 0; i < VOTE_NENDS; i++) {
		if (is(option, vote_end_words[i]))
			return true;
	}
	return is(option, "open") || is(option, "abstain") || is(option, "absent");
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
