#include "jrs/memory/archive/db.h"
#include "common/base/text.h"
#include <string.h>

static const struct {
	enum db_lane lanes;
	const char *sqlite, *postgres;
} all[SQL_NSTATEMENTS] = {
#define SQL2(id, lane, sqlite, postgres) [SQL_##id] = {DB_##lane, sqlite, postgres},
#include "jrs/memory/archive/sql.def"
#undef SQL2
};

const char *db_text(enum sql id, bool postgres)
{
	return postgres ? all[id].postgres : all[id].sqlite;
}

enum db_lane db_lanes(enum sql id)
{
	return all[id].lanes;
}

int db_failed(struct db *db, enum db_trouble trouble, int code, const char *reason, int r)
{
	db->trouble = trouble;
	db->code = code;
	tr_copy(db->reason, sizeof(db->reason), reason, strlen(reason));
	return r;
}

void db_close(struct db *db)
{
	if (db->driver != NULL)
		db->driver->close(db);
	memset(db, 0, sizeof(*db));
}

struct query q_begin(struct db *db, enum sql id)
{
	return db->driver->start(db, id);
}

void q_i64(struct query *q, int64_t v)
{
	q->db->driver->bind_i64(q, v);
}

void q_f64(struct query *q, double v)
{
	q->db->driver->bind_f64(q, v);
}

void q_null(struct query *q)
{
	q->db->driver->bind_null(q);
}

void q_text(struct query *q, const char *p, size_t n)
{
	q->db->driver->bind_bytes(q, p, n, true);
}

void q_blob(struct query *q, const void *p, size_t n)
{
	q->db->driver->bind_bytes(q, p, n, false);
}

void q_opt_text(struct query *q, bool has, wire_str s)
{
	if (has)
		q_text(q, s.p, s.n);
	else
		q_null(q);
}

void q_opt_i64(struct query *q, bool has, int64_t v)
{
	if (has)
		q_i64(q, v);
	else
		q_null(q);
}

void q_opt_f64(struct query *q, bool has, double v)
{
	if (has)
		q_f64(q, v);
	else
		q_null(q);
}

void q_send(struct query *q)
{
	if (q->db->driver->send != NULL)
		q->db->driver->send(q);
}

int q_row(struct query *q)
{
	return q->db->driver->row(q);
}

void q_end(struct query *q)
{
	q->db->driver->end(q);
}

int q_run(struct query *q)
{
	return q->db->driver->run(q);
}

int db_run(struct db *db, enum sql id)
{
	struct query q = q_begin(db, id);

	return q_run(&q);
}

int db_look_now(struct db *db)
{
	struct query q;
	int r = db->driver->look(db);

	if (r < 0)
		return r;
	q = q_begin(db, SQL_SEQ_RANGE);
	r = q_row(&q);
	q_end(&q);
	return r < 0 ? r : 0;
}

int64_t q_get_i64(const struct query *q, int col)
{
	return q->db->driver->get_i64(q, col);
}

double q_get_f64(const struct query *q, int col)
{
	return q->db->driver->get_f64(q, col);
}

const char *q_get(const struct query *q, int col)
{
	size_t n;

	return q->db->driver->get(q, col, &n);
}

size_t q_len(const struct query *q, int col)
{
	size_t n = 0;

	(void)q->db->driver->get(q, col, &n);
	return n;
}

bool q_is_null(const struct query *q, int col)
{
	return q->db->driver->is_null(q, col);
}
