#include "jrs/memory/governor.h"
#include "common/base/clock.h"
#include "common/log/log.h"
#include <stdlib.h>

struct governor {
	struct archive *archive; /* borrowed */
	void (*carried)(void *arg, const struct archive_answer *answer);
	void *arg;
	msgpack_zone *zone; /* not NULL: an act is being carried out */
	struct msg_memory_carry_out msg;
};

static void on_carried(void *arg, int r, const struct archive_answer *answer, const struct tr_fault *fault)
{
	struct governor *g = arg;
	bool more = false;

	if (r < 0) {
		log_warn("governance: an act that is due waits reason=\"%s\"", fault->rule);
	} else {
		const struct res_memory_carry_out *res = answer->res;
		const struct item_governed *act = res->acts.v;

		if (res->acts.n > 0)
			log_info("governance: an act is %.*s act=%.*s", (int)act->state.n, act->state.p,
				 (int)act->act.n, act->act.p);
		g->carried(g->arg, answer);
		more = res->more;
	}
	msgpack_zone_free(g->zone);
	g->zone = NULL;
	if (more)
		governor_look(g);
}

int governor_new(struct governor **out, struct archive *archive,
		 void (*carried)(void *arg, const struct archive_answer *answer), void *arg)
{
	struct governor *g = calloc(1, sizeof(*g));

	if (g == NULL)
		return TR_ENOMEM;
	*g = (struct governor){.archive = archive, .carried = carried, .arg = arg};
	*out = g;
	return 0;
}

void governor_look(struct governor *g)
{
	struct archive_stats stats;
	struct archive_ctx ctx;

	archive_stats(g->archive, &stats);
	if (g->zone != NULL || stats.act_due_ms == 0 || stats.act_due_ms > tr_wall_ms() ||
	    (g->zone = msgpack_zone_new(MSGPACK_ZONE_CHUNK_SIZE)) == NULL)
		return;
	g->msg = (struct msg_memory_carry_out){.common = {.has_request_id = false}};
	ctx = (struct archive_ctx){g->zone, 0};
	if (archive_call(g->archive, MSG_memory_carry_out, &g->msg, &ctx, on_carried, g) < 0) {
		msgpack_zone_free(g->zone);
		g->zone = NULL;
	}
}

void governor_free(struct governor **g)
{
	if (g == NULL || *g == NULL)
		return;
	if ((*g)->zone != NULL)
		msgpack_zone_free((*g)->zone);
	free(*g);
	*g = NULL;
}
