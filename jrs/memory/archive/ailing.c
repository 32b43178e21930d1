#include "jrs/memory/archive/ailing.h"
#include "common/base/text.h"
#include "jrs/memory/archive/ops.h"
#include <stdlib.h>
#include <string.h>

struct ailing {
	struct archive door;
	struct thermal_model model;
	char damage[160];
};

static int call(struct archive *a, enum wire_msg_id id, const void *msg, const struct archive_ctx *ctx, archive_cb *cb,
		void *arg)
{
	(void)a, (void)id, (void)msg, (void)ctx, (void)cb, (void)arg;
	return TR_EUNAVAILABLE;
}

static int tail(struct archive *a, const struct archive_mark *from, unsigned limit, archive_tail_cb *cb, void *arg)
{
	(void)a, (void)from, (void)limit, (void)cb, (void)arg;
	return TR_EUNAVAILABLE;
}

static int lead(struct archive *a, uint64_t epoch, archive_lead_cb *cb, void *arg)
{
	(void)a, (void)epoch, (void)cb, (void)arg;
	return TR_EUNAVAILABLE;
}

static int settle(struct archive *a, archive_lead_cb *cb, void *arg) /* and refresh */
{
	(void)a, (void)cb, (void)arg;
	return TR_EUNAVAILABLE;
}

static void touch(struct archive *a, int64_t memory, int64_t at_ms)
{
	(void)a, (void)memory, (void)at_ms;
}

static void recalled(struct archive *a, const struct item_recall_sample *log)
{
	(void)a, (void)log;
}

static void entangled(struct archive *a, const struct entangle_change *change)
{
	(void)a, (void)change;
}

static void heat_map(struct archive *a, const struct res_memory_thermal *figures)
{
	(void)a, (void)figures;
}

static void stats(struct archive *door, struct archive_stats *out)
{
	const char *damage = ((struct ailing *)door)->damage;

	*out = (struct archive_stats){.reason = damage, .damage = damage};
}

static const struct thermal_model *model(const struct archive *door)
{
	return &((const struct ailing *)door)->model;
}

static void close_door(struct archive *door)
{
	free(door);
}

static const struct archive_ops ops = {
	.call = call,
	.tail = tail,
	.refresh = settle,
	.lead = lead,
	.settle = settle,
	.touch = touch,
	.recalled = recalled,
	.entangled = entangled,
	.heat_map = heat_map,
	.stats = stats,
	.model = model,
	.close = close_door,
};

int ailing_open(struct archive **out, const char *damage)
{
	struct ailing *a = calloc(1, sizeof(*a));

	if (a == NULL)
		return TR_ENOMEM;
	a->door.ops = &ops;
	thermal_first(&a->model);
	tr_copy(a->damage, sizeof(a->damage), damage, strlen(damage));
	*out = &a->door;
	return 0;
}
