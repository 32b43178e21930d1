#include "supervisor/ctl/drill/check.h"
#include "common/base/err.h"
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

const char *const check_words[CHECK_NCOUNTS] = {"lost", "doubled", "stale", "refused", "failed"};

struct known {
	uint64_t acked_ns; /* the earliest answer to an add; 0: none */
	uint64_t seen_ns;  /* the earliest moment at which it was known to be there */
	uint32_t listed;
};
struct judge {
	const struct history *h;
	struct known *keys;
	uint64_t from_ns;
	struct check *out;
};

static void found(struct judge *j, enum check_count what, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
static void found(struct judge *j, enum check_count what, const char *fmt, ...)
{
	uint64_t n = j->out->count[what]++;
	va_list ap;

	if (n >= CHECK_EXAMPLES)
		return;
	va_start(ap, fmt);
	(void)vsnprintf(j->out->example[what][n], CHECK_EXAMPLE_SIZE, fmt, ap);
	va_end(ap);
}

static double at_s(const struct judge *j, uint64_t ns)
{
	return ((double)ns - (double)j->from_ns) / 1e9;
}

static bool before(uint64_t *earliest, uint64_t ns)
{
	if (*earliest != 0 && *earliest <= ns)
		return false;
	*earliest = ns;
	return true;
}

/* First what is known of each memory, from all records: they may stand in any order. */
static void gather(struct judge *j)
{
	for (size_t i = 0; i < j->h->nops; i++) {
		const struct op *op = &j->h->ops[i];
		struct known *k = op->key < j->h->nkeys ? &j->keys[op->key] : NULL;

		j->out->ops++;
		j->out->repeats += op->repeats;
		if (op->end != OP_GOOD || k == NULL)
			continue;
		if (op->kind == OP_ADD)
			(void)before(&k->acked_ns, op->done_ns);
		if (op->kind == OP_ADD || op->kind == OP_GET)
			(void)before(&k->seen_ns, op->done_ns);
	}
}

static void judge_op(struct judge *j, const struct op *op)
{
	const struct known *k = op->key < j->h->nkeys ? &j->keys[op->key] : NULL;

	if (op->kind == OP_ADD && op->end == OP_GOOD) {
		j->out->acknowledged++;
		if (op->known)
			found(j, CHECK_DOUBLED, "memory %u was answered as known already, %.3f s", op->key,
			      at_s(j, op->done_ns));
	}
	if (op->kind == OP_GET && (op->end == OP_GOOD || op->end == OP_ABSENT))
		j->out->reads++;
	if (op->kind == OP_GET && op->end == OP_GOOD && op->wrong)
		found(j, CHECK_LOST, "memory %u was read with another content, %.3f s", op->key, at_s(j, op->done_ns));
	if (op->kind == OP_GET && op->end == OP_ABSENT && k != NULL && k->seen_ns != 0 && k->seen_ns <= op->sent_ns)
		found(j, CHECK_STALE, "memory %u was there at %.3f s and not seen by a read sent at %.3f s", op->key,
		      at_s(j, k->seen_ns), at_s(j, op->sent_ns));
	if (op->end == OP_OPEN)
		found(j, CHECK_FAILED, "%s sent at %.3f s was never answered", op_words[op->kind],
		      at_s(j, op->sent_ns));
	else if (op->end == OP_REFUSED || (op->end == OP_ABSENT && op->kind != OP_GET))
		found(j, CHECK_FAILED, "%s sent at %.3f s ended with status %u", op_words[op->kind],
		      at_s(j, op->sent_ns), op->status);
}

static void judge_trouble(struct judge *j, const struct trouble *t, const struct check_window *w, size_t n)
{
	bool excused = false;

	for (size_t i = 0; i < n && t->kind == TROUBLE_RESET && !excused; i++)
		excused = t->at_ns >= w[i].from_ns && t->at_ns <= w[i].to_ns;
	if (excused)
		j->out->excused_resets++;
	else
		found(j, t->kind == TROUBLE_REFUSED ? CHECK_REFUSED : CHECK_FAILED, "%s of %s at %.3f s",
		      trouble_words[t->kind], t->op < j->h->nops ? op_words[j->h->ops[t->op].kind] : "a request",
		      at_s(j, t->at_ns));
}

static void judge_listing(struct judge *j)
{
	for (size_t i = 0; i < j->h->nlisted; i++) {
		const struct listed *l = &j->h->listed[i];

		if (l->key >= j->h->nkeys) {
			found(j, CHECK_DOUBLED, "a memory is there that nobody sent");
			continue;
		}
		if (++j->keys[l->key].listed > 1)
			found(j, CHECK_DOUBLED, "memory %u is there %u times", l->key, j->keys[l->key].listed);
		if (l->accesses > 1)
			found(j, CHECK_DOUBLED, "memory %u was remembered %u times", l->key, l->accesses);
		if (j->keys[l->key].acked_ns == 0 && j->keys[l->key].listed == 1)
			j->out->recovered++;
	}
	for (uint32_t k = 0; k < j->h->nkeys && j->h->whole; k++)
		if (j->keys[k].acked_ns != 0 && j->keys[k].listed == 0)
			found(j, CHECK_LOST, "memory %u was acknowledged at %.3f s and is not there", k,
			      at_s(j, j->keys[k].acked_ns));
}

int check_history(const struct history *h, const struct check_window *windows, size_t nwindows, uint64_t from_ns,
		  struct check *out)
{
	struct known *keys = calloc((size_t)h->nkeys + 1, sizeof(*keys));
	struct judge j = {.h = h, .keys = keys, .from_ns = from_ns, .out = out};

	if (keys == NULL)
		return TR_ENOMEM;
	*out = (struct check){.whole = h->whole};
	gather(&j);
	for (size_t i = 0; i < h->nops; i++)
		judge_op(&j, &h->ops[i]);
	for (size_t i = 0; i < h->ntroubles; i++)
		judge_trouble(&j, &h->troubles[i], windows, nwindows);
	judge_listing(&j);
	free(keys);
	return 0;
}
