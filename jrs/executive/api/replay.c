#include "jrs/executive/api/replay.h"
#include "jrs/executive/api/check.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

struct entry {
	TAILQ_ENTRY(entry) link;
	char key[KEY_MAX + 1];
	unsigned char digest[TR_SHA256_LEN];
	struct buf answer; /* owned; none while it is being answered */
	uint64_t at_ms;
	bool done, stale; /* stale: something was forgotten while it was being answered */
};
TAILQ_HEAD(entries, entry);
struct replay {
	struct entries list; /* oldest first; few enough to look through */
	unsigned n, max_entries;
	size_t bytes, max_bytes;
};

int replay_new(struct replay **out, unsigned max_entries, size_t max_bytes)
{
	struct replay *r = calloc(1, sizeof(*r));

	if (r == NULL)
		return TR_ENOMEM;
	TAILQ_INIT(&r->list);
	r->max_entries = max_entries;
	r->max_bytes = max_bytes;
	*out = r;
	return 0;
}

static void drop(struct replay *r, struct entry *e)
{
	TAILQ_REMOVE(&r->list, e, link);
	r->n--;
	r->bytes -= e->answer.len;
	buf_free(&e->answer);
	free(e);
}

void replay_free(struct replay **rp)
{
	if (*rp == NULL)
		return;
	while (!TAILQ_EMPTY(&(*rp)->list))
		drop(*rp, TAILQ_FIRST(&(*rp)->list));
	free(*rp);
	*rp = NULL;
}

static struct entry *find(struct replay *r, const char *key)
{
	struct entry *e;

	TAILQ_FOREACH(e, &r->list, link)
	if (strcmp(e->key, key) == 0)
		return e;
	return NULL;
}

/* Makes room for `entries` more with `bytes`; false: what is left is being answered. */
static bool make_room(struct replay *r, unsigned entries, size_t bytes, uint64_t now_ms)
{
	struct entry *e = TAILQ_FIRST(&r->list);

	while (e != NULL) {
		struct entry *next = TAILQ_NEXT(e, link);
		bool full = r->n + entries > r->max_entries || r->bytes + bytes > r->max_bytes;

		if (e->done && (full || now_ms - e->at_ms >= REPLAY_MS))
			drop(r, e);
		e = next;
	}
	return r->n + entries <= r->max_entries && r->bytes + bytes <= r->max_bytes;
}

int replay_begin(struct replay *r, const char *key, const unsigned char digest[TR_SHA256_LEN], uint64_t now_ms,
		 const struct buf **out)
{
	struct entry *e;

	make_room(r, 0, 0, now_ms);
	e = find(r, key);
	if (e != NULL && memcmp(e->digest, digest, TR_SHA256_LEN) != 0)
		return TR_EMISMATCH;
	if (e != NULL && !e->done)
		return TR_ECONFLICT;
	if (e != NULL) {
		*out = &e->answer;
		return 1;
	}
	if (!make_room(r, 1, 0, now_ms))
		return TR_EBUSY;
	e = calloc(1, sizeof(*e));
	if (e == NULL)
		return TR_ENOMEM;
	tr_copy(e->key, sizeof(e->key), key, strlen(key));
	memcpy(e->digest, digest, TR_SHA256_LEN);
	e->at_ms = now_ms;
	TAILQ_INSERT_TAIL(&r->list, e, link);
	r->n++;
	return 0;
}

void replay_done(struct replay *r, const char *key, const struct buf *answer, uint64_t now_ms)
{
	struct entry *e = find(r, key);

	assert(e != NULL && !e->done);
	if (e == NULL)
		return;
	if (e->stale || answer->len > r->max_bytes || !make_room(r, 0, answer->len, now_ms) ||
	    buf_append(&e->answer, answer->p, answer->len) < 0) {
		drop(r, e);
		return;
	}
	e->done = true;
	r->bytes += answer->len;
}

void replay_drop(struct replay *r, const char *key)
{
	struct entry *e = find(r, key);

	assert(e != NULL && !e->done);
	if (e == NULL)
		return;
	drop(r, e);
}

void replay_forget(struct replay *r, const char *id, size_t n)
{
	struct entry *e = TAILQ_FIRST(&r->list);

	while (e != NULL) {
		struct entry *next = TAILQ_NEXT(e, link);

		e->stale = !e->done;
		if (e->done && memmem(e->answer.p, e->answer.len, id, n) != NULL)
			drop(r, e);
		e = next;
	}
}
