#include "jrs/memory/warm.h"
#include "common/base/clock.h"
#include <stdlib.h>
#include <string.h>

#define QUESTION 64            /* bytes of the newest memory */
#define SHARE    20u           /* at most this part of the time */
#define AT_ONCE  2u            /* so many read side by side, each with a connection of its own */
#define ASKS     (AT_ONCE + 1) /* and one by its id, on this thread, over a connection of its own again */

struct warm {
	struct archive *a;
	msgpack_zone *zone[ASKS]; /* the first not NULL: under way */
	struct msg_memory_recall msg;
	struct msg_memory_get get;
	char question[QUESTION], id[WIRE_ID_MAX];
	unsigned flying;
	uint64_t began_ms, cost_ms;
};

int warm_new(struct warm **out, struct archive *a)
{
	struct warm *w = calloc(1, sizeof(*w));

	if (w == NULL)
		return TR_ENOMEM;
	w->a = a;
	*out = w;
	return 0;
}

static void ended(struct warm *w)
{
	unsigned i;

	for (i = 0; i < ASKS; i++) {
		if (w->zone[i] != NULL)
			msgpack_zone_free(w->zone[i]);
		w->zone[i] = NULL;
	}
	w->cost_ms = tr_mono_ms() - w->began_ms;
}

static void on_answered(void *arg, int r, const struct archive_answer *answer, const struct tr_fault *fault)
{
	struct warm *w = arg;

	(void)r, (void)answer, (void)fault;
	if (--w->flying == 0)
		ended(w);
}

static void ask(struct warm *w, unsigned i, enum wire_msg_id id, const void *msg, archive_cb *cb)
{
	struct archive_ctx ctx = {w->zone[i], tr_mono_ms() + 1000};

	if (archive_call(w->a, id, msg, &ctx, cb, w) == 0)
		w->flying++;
}

/* Its beginning, whole characters. */
static uint32_t take(char *to, wire_str content)
{
	uint32_t n = content.n < QUESTION ? content.n : QUESTION;

	while (n > 0 && n < content.n && ((unsigned char)content.p[n] & 0xc0) == 0x80)
		n--;
	memcpy(to, content.p, n);
	return n;
}

static void on_newest(void *arg, int r, const struct archive_answer *answer, const struct tr_fault *fault)
{
	struct warm *w = arg;
	const struct res_memory_recall *newest = r == 0 ? answer->res : NULL;
	unsigned i;

	(void)fault;
	w->flying--;
	if (newest != NULL && newest->memories.n > 0) {
		const struct item_memory *m = &newest->memories.v[0];

		memcpy(w->id, m->id.p, m->id.n);
		w->get = (struct msg_memory_get){.id = {w->id, m->id.n}, .has_touch = true};
		w->msg = (struct msg_memory_recall){
			.has_q = true, .q = {w->question, take(w->question, m->content)}, .has_touch = true};
		for (i = 0; i < AT_ONCE; i++)
			ask(w, i, MSG_memory_recall, &w->msg, on_answered);
		ask(w, AT_ONCE, MSG_memory_get, &w->get, on_answered);
	}
	if (w->flying == 0)
		ended(w);
}

void warm_ask(struct warm *w)
{
	unsigned i;

	if (w->zone[0] != NULL || (w->began_ms != 0 && tr_mono_ms() - w->began_ms < w->cost_ms * SHARE))
		return;
	for (i = 0; i < ASKS; i++) {
		if ((w->zone[i] = msgpack_zone_new(MSGPACK_ZONE_CHUNK_SIZE)) == NULL) {
			ended(w);
			return;
		}
	}
	w->began_ms = tr_mono_ms();
	w->msg = (struct msg_memory_recall){.has_limit = true, .limit = 1};
	ask(w, 0, MSG_memory_recall, &w->msg, on_newest);
	if (w->flying == 0)
		ended(w);
}

void warm_free(struct warm **w)
{
	if (w == NULL || *w == NULL)
		return;
	ended(*w);
	free(*w);
	*w = NULL;
}
