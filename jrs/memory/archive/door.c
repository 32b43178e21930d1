/* The door: which archive it is, and its calls passed on. */
#include "jrs/memory/archive/internal.h"
#include <sqlite3.h>
#include <string.h>

bool archive_is_drill(bool has_source, wire_str source)
{
	return has_source && source.n >= strlen(ARCHIVE_DRILL_PREFIX) &&
	       memcmp(source.p, ARCHIVE_DRILL_PREFIX, strlen(ARCHIVE_DRILL_PREFIX)) == 0;
}

void archive_prepare_process(void)
{
	sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0); /* nobody reads them, and each allocation takes a lock for them */
}

int archive_open(struct archive **out, const struct archive_cfg *cfg, struct tr_fault *fault)
{
	const struct db_driver *driver = cfg->conninfo != NULL ? &db_postgres : &db_sqlite;
	int r = sql_archive_open(out, driver, cfg, fault);

	if (r < 0 && cfg->damaged != NULL && *cfg->damaged && driver->reread != NULL) {
		*cfg->damaged = false; /* seen once: it may have been a wrong byte in memory */
		driver->reread(cfg->path);
		r = sql_archive_open(out, driver, cfg, fault);
	}
	return r;
}

void archive_close(struct archive **a)
{
	if (a == NULL || *a == NULL)
		return;
	(*a)->ops->close(*a);
	*a = NULL;
}

int archive_call(struct archive *a, enum wire_msg_id id, const void *msg, const struct archive_ctx *ctx, archive_cb *cb,
		 void *arg)
{
	return a->ops->call(a, id, msg, ctx, cb, arg);
}

int archive_tail(struct archive *a, const struct archive_mark *from, unsigned limit, archive_tail_cb *cb, void *arg)
{
	return a->ops->tail(a, from, limit, cb, arg);
}

int archive_refresh(struct archive *a, archive_lead_cb *cb, void *arg)
{
	return a->ops->refresh(a, cb, arg);
}

int archive_lead(struct archive *a, uint64_t epoch, archive_lead_cb *cb, void *arg)
{
	return a->ops->lead(a, epoch, cb, arg);
}

int archive_settle(struct archive *a, archive_lead_cb *cb, void *arg)
{
	return a->ops->settle(a, cb, arg);
}

void archive_touch(struct archive *a, int64_t memory, int64_t at_ms)
{
	a->ops->touch(a, memory, at_ms);
}

void archive_recalled(struct archive *a, const struct item_recall_sample *log)
{
	a->ops->recalled(a, log);
}

void archive_entangled(struct archive *a, const struct entangle_change *change)
{
	a->ops->entangled(a, change);
}

void archive_heat_map(struct archive *a, const struct res_memory_thermal *figures)
{
	a->ops->heat_map(a, figures);
}

void archive_stats(struct archive *a, struct archive_stats *out)
{
	a->ops->stats(a, out);
}

const struct thermal_model *archive_model(const struct archive *a)
{
	return a->ops->model(a);
}
