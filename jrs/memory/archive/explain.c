/* Why a memory answers a question: its words, how often each stands in it, and what each weighs in the ranking. */
#include "jrs/memory/archive/internal.h"
#include <math.h>
#include <string.h>

int explain_match(struct sql_archive *a, struct job *j, const struct query_words *words, int64_t memory,
		  struct explained *before, struct item_explanation *out)
{
	struct term v[QUERY_WORDS_MAX];
	struct item_term *terms = job_alloc(j, sizeof(*terms) * words->n);
	bool weighed = before->weighed;
	double match = before->match;
	unsigned i;
	int r;

	(void)a;
	if (terms == NULL)
		return TR_ENOMEM;
	memset(v, 0, sizeof(v));
	for (i = 0; weighed && i < words->n; i++)
		v[i].weight = before->weight[i];
	if ((r = j->db->driver->terms(j->db, words, memory, weighed, v, &match)) < 0)
		return r;
	if (r == 1) {
		out->has_match = true;
		out->match = fmax(0.0, match);
	}
	for (i = 0; i < words->n; i++) {
		terms[i].term = job_text(j, words->text.p + words->from[i], (uint32_t)words->len[i]);
		if (terms[i].term.p == NULL)
			return TR_ENOMEM;
		terms[i].count = v[i].count;
		terms[i].weight = v[i].weight;
	}
	out->terms.v = terms;
	out->terms.n = words->n;
	if ((r = owned_weights(j, words, weighed, out, terms)) < 0)
		return r;
	before->weighed = true;
	for (i = 0; i < words->n; i++)
		before->weight[i] = terms[i].weight;
	return 0;
}
