#include "supervisor/ctl/drill/history.h"
#include <stdlib.h>

const char *const op_words[OP_NKINDS] = {"add", "get", "ask", "findings"};
const char *const trouble_words[TROUBLE_NKINDS] = {"refused", "reset", "5xx", "timeout", "garbage"};

/* Room for one more of `size` bytes; false: none. */
static bool grow(void **v, size_t n, size_t *cap, size_t size)
{
	size_t more = *cap == 0 ? 1024 : *cap * 2;
	void *p;

	if (n < *cap)
		return true;
	if ((p = realloc(*v, more * size)) == NULL)
		return false;
	*v = p;
	*cap = more;
	return true;
}

int64_t history_op(struct history *h, const struct op *op)
{
	void *v = h->ops;

	if (h->nops >= HISTORY_OPS_MAX || !grow(&v, h->nops, &h->cap_ops, sizeof(*h->ops))) {
		h->whole = false;
		return -1;
	}
	h->ops = v;
	h->ops[h->nops] = *op;
	return (int64_t)h->nops++;
}

void history_trouble(struct history *h, const struct trouble *t)
{
	void *v = h->troubles;

	if (!grow(&v, h->ntroubles, &h->cap_troubles, sizeof(*h->troubles))) {
		h->whole = false;
		return;
	}
	h->troubles = v;
	h->troubles[h->ntroubles++] = *t;
}

void history_listed(struct history *h, const struct listed *l)
{
	void *v = h->listed;

	if (!grow(&v, h->nlisted, &h->cap_listed, sizeof(*h->listed))) {
		h->whole = false;
		return;
	}
	h->listed = v;
	h->listed[h->nlisted++] = *l;
}

void history_free(struct history *h)
{
	free(h->ops);
	free(h->troubles);
	free(h->listed);
	*h = (struct history){.whole = false};
}
