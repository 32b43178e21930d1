/* Who may make a memory sacred: an admin, always; others so often a day for each source. */
#include "jrs/memory/archive/internal.h"

#define DAY_MS 86400000

bool job_admin(const struct job *j)
{
	const struct wire_common *common = j->msg;

	return !common->has_rationed || !common->rationed;
}

static int use(struct sql_archive *a, const unsigned char source[TR_SHA256_LEN], int64_t *used)
{
	struct query q = q_begin(&a->wdb, SQL_USE_SACRED);
	int r;

	q_blob(&q, source, TR_SHA256_LEN);
	q_i64(&q, a->now_ms / DAY_MS);
	if ((r = q_row(&q)) == 1)
		*used = q_get_i64(&q, 0);
	q_end(&q);
	return r < 0 ? r : r == 1 ? 0 : TR_ESTORE;
}

int sacred_use(struct sql_archive *a, struct job *j, bool admin, bool has_source, wire_str source)
{
	const struct wire_common *common = j->msg;
	/* who calls, by his name: else naming another source would be enough */
	const wire_str whose = common->has_who ? common->who : source;
	const struct tr_piece name = {common->has_who || has_source ? whose.p : NULL, whose.n};
	unsigned char hash[TR_SHA256_LEN];
	int64_t used = 0;
	int r;

	if (admin || a->governance.sacred_quota == UINT64_MAX)
		return 0;
	if (a->governance.sacred_quota == 0)
		return job_fault(j, TR_EREFUSED, "sacred", "only an admin makes memories sacred here");
	if ((r = tr_sha256_pieces(&name, 1, hash)) < 0 || (r = use(a, hash, &used)) < 0)
		return r;
	if ((uint64_t)used <= a->governance.sacred_quota)
		return 0;
	return job_fault(
		j, TR_EQUOTA, "sacred",
		"whoever asks, or its source, has made as many memories sacred today as may be without an admin's "
		"token");
}

int sacred_use_of(struct sql_archive *a, struct job *j, bool admin, const struct row *row)
{
	struct query q;
	wire_str source = {NULL, 0};
	bool has = false;
	int r;

	if (admin || a->governance.sacred_quota == UINT64_MAX)
		return 0;
	q = q_begin(&a->wdb, SQL_ROW_SIZE);
	q_i64(&q, row->seq);
	if ((r = q_row(&q)) == 1)
		r = row_opt_text(j, &q, 0, &has, &source);
	q_end(&q);
	return r < 0 ? r : sacred_use(a, j, false, has, source);
}
