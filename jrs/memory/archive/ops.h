/* What an archive must be able to do. archive.h says what each means; door.c passes the calls on.
 * An implementation's struct begins with a struct archive. */
#ifndef JRS_MEMORY_ARCHIVE_OPS_H
#define JRS_MEMORY_ARCHIVE_OPS_H
#include "jrs/memory/archive/archive.h"

struct archive_ops {
	int (*call)(struct archive *a, enum wire_msg_id id, const void *msg, const struct archive_ctx *ctx,
		    archive_cb *cb, void *arg);
	int (*tail)(struct archive *a, const struct archive_mark *from, unsigned limit, archive_tail_cb *cb, void *arg);
	int (*refresh)(struct archive *a, archive_lead_cb *cb, void *arg);
	int (*lead)(struct archive *a, uint64_t epoch, archive_lead_cb *cb, void *arg);
	int (*settle)(struct archive *a, archive_lead_cb *cb, void *arg);
	void (*touch)(struct archive *a, int64_t memory, int64_t at_ms);
	void (*recalled)(struct archive *a, const struct item_recall_sample *log);
	void (*entangled)(struct archive *a, const struct entangle_change *change);
	void (*heat_map)(struct archive *a, const struct res_memory_thermal *figures);
	void (*stats)(struct archive *a, struct archive_stats *out);
	const struct thermal_model *(*model)(const struct archive *a);
	void (*close)(struct archive *a); /* frees it too */
};
struct archive {
	const struct archive_ops *ops;
};

#endif
