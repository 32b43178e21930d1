#include "jrs/executive/api/bucket.h"
#include "common/base/err.h"
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#define HASH_NONFATAL_OOM 1
#include <uthash.h>

struct bucket {
	UT_hash_handle hh;
	TAILQ_ENTRY(bucket) link;
	double calls; /* that are in it */
	uint64_t at_ms;
	unsigned char n, key[BUCKET_KEY_MAX];
};
TAILQ_HEAD(bucket_list, bucket);
struct buckets {
	struct bucket *all;      /* by key */
	struct bucket_list list; /* the one looked at last is last */
	struct bucket *v;
	unsigned n, max;
	double rate, burst; /* calls a millisecond; calls */
};

int buckets_new(struct buckets **out, uint32_t rate, uint32_t burst, unsigned max)
{
	struct buckets *b = calloc(1, sizeof(*b));

	if (b == NULL)
		return TR_ENOMEM;
	b->max = max == 0 ? BUCKETS_MAX : max;
	b->rate = rate / 1000.0;
	b->burst = burst == 0 ? rate : burst;
	TAILQ_INIT(&b->list);
	if ((b->v = calloc(b->max, sizeof(*b->v))) == NULL) {
		free(b);
		return TR_ENOMEM;
	}
	*out = b;
	return 0;
}

void buckets_free(struct buckets **b)
{
	if (*b == NULL)
		return;
	HASH_CLEAR(hh, (*b)->all);
	free((*b)->v);
	free(*b);
	*b = NULL;
}

static struct bucket *add(struct buckets *b, const void *key, size_t n, uint64_t now_ms)
{
	struct bucket *one;

	if (b->n < b->max) {
		one = &b->v[b->n++];
	} else {
		one = TAILQ_FIRST(&b->list);
		TAILQ_REMOVE(&b->list, one, link);
		if (one->hh.tbl != NULL) /* else memory ran out when it was added: it was found by nobody */
			HASH_DEL(b->all, one);
	}
	memset(one, 0, sizeof(*one));
	one->calls = b->burst;
	one->at_ms = now_ms;
	one->n = (unsigned char)n;
	memcpy(one->key, key, n);
	TAILQ_INSERT_TAIL(&b->list, one, link);
	HASH_ADD_KEYPTR(hh, b->all, one->key, one->n, one);
	return one;
}

uint64_t buckets_take(struct buckets *b, const void *key, size_t n, uint64_t now_ms)
{
	struct bucket *one;

	n = n > BUCKET_KEY_MAX ? BUCKET_KEY_MAX : n;
	HASH_FIND(hh, b->all, key, n, one);
	if (one == NULL) {
		one = add(b, key, n, now_ms);
	} else {
		TAILQ_REMOVE(&b->list, one, link);
		TAILQ_INSERT_TAIL(&b->list, one, link);
	}
	if (now_ms > one->at_ms) {
		one->calls += (double)(now_ms - one->at_ms) * b->rate;
		one->calls = one->calls > b->burst ? b->burst : one->calls;
		one->at_ms = now_ms;
	}
	if (one->calls >= 1) {
		one->calls -= 1;
		return 0;
	}
	return (uint64_t)((1 - one->calls) / b->rate) + 1;
}
