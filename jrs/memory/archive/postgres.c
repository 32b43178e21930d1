/* PostgreSQL as the archive's database. */
#include "jrs/memory/archive/postgres.h"
#include "common/base/clock.h"
#include "common/log/log.h"
#include "jrs/memory/archive/purge.h"
#include <endian.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RETRY_MIN_MS 20u
#define RETRY_MAX_MS \
	250u /* four tries a second and connection hurt no server; a longer one is time that writers wait */
#define PING_MS   1000u
#define SEQ_BLOCK 1024 /* numbers taken from the sequence at once; what is left of them is lost at the end */

static struct pg_conn *conn_of(const struct db *db)
{
	return db->conn;
}

static struct pg_item *item_of(const struct query *q)
{
	return q->st;
}

/* ---- connections ---- */
static void close_db(struct db *db)
{
	struct pg_conn *c = conn_of(db);
	struct pg_item *item;

	if (c == NULL)
		return;
	pg_item_release(c, c->xact.st);
	if (c->pg != NULL)
		pg_disconnect(db);
	while ((item = c->spare) != NULL) {
		c->spare = item->next;
		free(item);
	}
	free(c->conninfo);
	free(c);
}

static int make(struct sql_archive *a, struct db *db, enum db_lane lane, const char *conninfo)
{
	struct pg_conn *c = calloc(1, sizeof(*c));

	if (c == NULL || (c->conninfo = strdup(conninfo)) == NULL) {
		free(c);
		return TR_ENOMEM;
	}
	c->a = a;
	c->lane = lane;
	c->next_seq = 1;
	c->delay_ms = RETRY_MIN_MS;
	*db = (struct db){.driver = &db_postgres, .conn = c};
	return 0;
}

static int migrate(struct sql_archive *a, const struct archive_cfg *cfg, struct tr_fault *fault)
{
	PGconn *pg = pg_open_plain(cfg->conninfo, fault);
	int r;

	if (pg == NULL)
		return TR_EUNAVAILABLE;
	r = cfg->follow && !cfg->alone ? schema_postgres_ready(pg, fault) : schema_postgres(pg, a->wall_ms(), fault);
	pq->PQfinish(pg);
	return r;
}

static int open_all(struct sql_archive *a, const struct archive_cfg *cfg, struct tr_fault *fault)
{
	unsigned i;
	int r;

	if ((r = pq_load(fault)) < 0 || (r = migrate(a, cfg, fault)) < 0)
		return r;
	if ((r = make(a, &a->wdb, DB_W, cfg->conninfo)) < 0 || (r = pg_connect(&a->wdb, fault)) < 0)
		return r;
	for (i = 0; i < READERS; i++) {
		struct reader *reader = &a->readers[i];

		reader->a = a;
		if ((r = make(a, &reader->db, DB_R, cfg->conninfo)) < 0 || (r = pg_connect(&reader->db, fault)) < 0)
			return r;
		conn_of(&reader->db)->job = (const struct job *const *)&reader->job;
	}
	if ((r = make(a, &a->kdb, DB_K, cfg->conninfo)) < 0)
		return r;
	return pg_connect(&a->kdb, fault);
}

int pg_open_lone(struct db *db, const char *conninfo, enum db_lane lanes, const atomic_bool *stop,
		 struct tr_fault *fault)
{
	int r = make(NULL, db, lanes, conninfo);

	if (r < 0)
		return tr_fault_set(fault, r, "", "%s", tr_strerror(r));
	conn_of(db)->stop = stop;
	if ((r = pg_connect(db, fault)) < 0)
		db_close(db);
	return r;
}

static int ready(struct db *db)
{
	struct pg_conn *c = conn_of(db);
	uint64_t now = tr_mono_ms();

	if (c->pg != NULL && pq->PQstatus(c->pg) == CONNECTION_OK)
		return 0;
	if (c->pg != NULL)
		pg_disconnect(db);
	if (now < c->retry_ms)
		return db_failed(db, DB_AWAY, 0, "no connection to the server", TR_EUNAVAILABLE);
	if (pg_connect(db, NULL) == 0) {
		c->delay_ms = RETRY_MIN_MS;
		return 0;
	}
	c->delay_ms = c->delay_ms * 2 > RETRY_MAX_MS ? RETRY_MAX_MS : c->delay_ms * 2;
	c->retry_ms = tr_mono_ms() + c->delay_ms / 2 + tr_mono_ns() / 1000 % (c->delay_ms / 2 + 1);
	return TR_EUNAVAILABLE;
}

/* ---- one statement ---- */
static struct query start(struct db *db, enum sql id)
{
	struct query q = {.db = db};

	if (db_text(id, true) != NULL && (q.st = pg_item_new(conn_of(db), id)) == NULL)
		q.r = TR_ENOMEM;
	if (q.st != NULL)
		item_of(&q)->streamed = id == SQL_HEATS || id == SQL_SOURCES || id == SQL_SACRED ||
					(db_lanes(id) | DB_BACKUP) == DB_BACKUP;
	return q;
}

static void put_value(struct query *q, const void *p, size_t n, int format)
{
	struct pg_item *item = item_of(q);

	if (item == NULL)
		return;
	if (q->n >= PG_PARAMS_MAX || n > INT32_MAX) {
		q->r = TR_ETOOBIG;
		return;
	}
	item->value[q->n] = p;
	item->length[q->n] = (int)n;
	item->format[q->n] = format;
	item->n = ++q->n;
}

static char *room(struct query *q)
{
	return item_of(q) == NULL || q->n >= PG_PARAMS_MAX ? NULL : item_of(q)->number[q->n];
}

static void bind_i64(struct query *q, int64_t v)
{
	char *text = room(q);

	if (text != NULL)
		snprintf(text, 32, "%lld", (long long)v);
	put_value(q, text, 0, 0);
}

static void bind_f64(struct query *q, double v)
{
	char *text = room(q);

	if (text != NULL)
		snprintf(text, 32, "%.17g", v);
	put_value(q, text, 0, 0);
}

static void bind_null(struct query *q)
{
	put_value(q, NULL, 0, 0);
}

/* Binary, so that text needs no terminator. An empty value must not look like a NULL. */
static void bind_bytes(struct query *q, const void *p, size_t n, bool text)
{
	(void)text;
	put_value(q, p == NULL ? "" : p, n, 1);
}

static int send_now(struct query *q)
{
	struct pg_item *item = item_of(q);

	if (q->r == 0 && item != NULL && !item->sent)
		q->r = pg_send(q->db, item);
	return q->r;
}

static void send_ahead(struct query *q)
{
	(void)send_now(q);
}

/* The next row of what is here or comes. */
static int row(struct query *q)
{
	struct pg_item *item = item_of(q);
	int r;

	if (item == NULL || (r = send_now(q)) < 0)
		return q->r;
	for (;;) {
		if (item->res != NULL && item->row + 1 < item->nrows) {
			item->row++;
			return 1;
		}
		if (item->done)
			return item->r;
		if (item->streamed && item->res != NULL) {
			pq->PQclear(item->res);
			item->res = NULL;
			item->row = -1;
			item->nrows = 0;
		}
		if ((r = pg_await(q->db, item)) < 0)
			return q->r = r;
	}
}

static void end(struct query *q)
{
	pg_item_release(conn_of(q->db), item_of(q));
	q->st = NULL;
}

/* What is wrong with it turns out at the latest at commit(). Bytes that were bound are sent here. */
static int run(struct query *q)
{
	int r = item_of(q) == NULL ? q->r : send_now(q);

	end(q);
	return r;
}

static const char *cell(const struct query *q, int col, int *n)
{
	const struct pg_item *item = item_of(q);

	if (pq->PQgetisnull(item->res, item->row, col))
		return NULL;
	*n = pq->PQgetlength(item->res, item->row, col);
	return pq->PQgetvalue(item->res, item->row, col);
}

static int64_t get_i64(const struct query *q, int col)
{
	uint64_t u64;
	uint32_t u32;
	uint16_t u16;
	int n = 0;
	const char *p = cell(q, col, &n);

	if (p == NULL)
		return 0;
	switch (n) {
	case 8:
		memcpy(&u64, p, 8);
		return (int64_t)be64toh(u64);
	case 4:
		memcpy(&u32, p, 4);
		return (int32_t)be32toh(u32);
	case 2:
		memcpy(&u16, p, 2);
		return (int16_t)be16toh(u16);
	default:
		return n == 1 ? p[0] : 0;
	}
}

static double get_f64(const struct query *q, int col)
{
	uint64_t bits;
	double v;
	int n = 0;
	const char *p = cell(q, col, &n);

	if (p == NULL || n != 8)
		return 0.0;
	memcpy(&bits, p, 8);
	bits = be64toh(bits);
	memcpy(&v, &bits, 8);
	return v;
}

static const void *get(const struct query *q, int col, size_t *n)
{
	int len = 0;
	const char *p = cell(q, col, &len);

	*n = (size_t)len;
	return p;
}

static bool is_null(const struct query *q, int col)
{
	return pq->PQgetisnull(item_of(q)->res, item_of(q)->row, col) != 0;
}

/* ---- transactions ---- */
static bool inside(const struct db *db)
{
	return conn_of(db)->inside;
}

/* Everything that was sent is over, and the server waits for a new word. */
static void settle(struct db *db)
{
	struct pg_conn *c = conn_of(db);
	enum db_trouble trouble = db->trouble;
	int code = db->code;
	char reason[sizeof(db->reason)];

	memcpy(reason, db->reason, sizeof(reason));
	if (c->pg != NULL && (c->unsynced || c->failed))
		(void)pg_sync(db);
	if (c->pg != NULL)
		(void)pg_await(db, NULL);
	db_failed(db, trouble, code, reason, 0);
}

/* Ready for a BEGIN: in a pipeline, statements since the last sync are a transaction already. */
int pg_fresh(struct db *db)
{
	int r = ready(db);

	return r == 0 && conn_of(db)->unsynced ? pg_sync(db) : r;
}

static int begin(struct db *db)
{
	struct pg_conn *c = conn_of(db);
	int r = pg_fresh(db);

	if (r < 0)
		return r;
	c->xid = 0;
	c->in_doubt = false;
	if ((r = db_run(db, SQL_BEGIN)) < 0)
		return r;
	c->inside = true;
	c->xact = q_begin(db, SQL_XACT); /* answered on the way to whatever is waited for first; read by commit() */
	q_send(&c->xact);
	return c->xact.r;
}

/* The transaction's number, before its end is sent. */
static int number_of(struct pg_conn *c)
{
	int r = c->xact.st == NULL ? 0 : row(&c->xact);

	if (r == 1)
		c->xid = get_i64(&c->xact, 0);
	return r < 0 ? r : 0;
}

static void forget_number(struct pg_conn *c)
{
	if (c->xact.st != NULL)
		end(&c->xact);
}

static int commit(struct db *db)
{
	struct pg_conn *c = conn_of(db);
	struct query q = q_begin(db, SQL_COMMIT);
	bool sent;
	int r = number_of(c);

	if (r == 0)
		r = send_now(&q);
	sent = r == 0 && c->pg != NULL;
	if (r == 0 && (r = pg_sync(db)) == 0)
		r = pg_await(db, NULL);
	if (r == 0 && (r = item_of(&q)->r) == 0 && strcmp(pq->PQcmdStatus(item_of(&q)->res), "COMMIT") != 0)
		r = TR_ESTORE; /* it was rolled back */
	if (r == 0)
		c->inside = false;
	else if (sent && c->pg == NULL)
		c->in_doubt = true;
	q_end(&q);
	forget_number(c);
	return r;
}

static void rollback(struct db *db)
{
	struct pg_conn *c = conn_of(db);
	enum db_trouble trouble = db->trouble;
	int code = db->code;

	forget_number(c);
	settle(db);
	if (c->pg != NULL && c->inside) {
		(void)db_run(db, SQL_ROLLBACK);
		settle(db);
	}
	c->inside = false;
	db->trouble = trouble;
	db->code = code;
}

/* Not by pg_xact_status(): a server that crashed before it wrote anything of a transaction gives its number to another
 * one. Each transaction of a lead writes the row of its role, and nobody else does but a newer lead. */
static int outcome(struct db *db)
{
	struct pg_conn *c = conn_of(db);
	struct query q;
	int r = ready(db);

	if (!c->in_doubt)
		return 0;
	if (r < 0 || c->xid == 0)
		return c->xid == 0 ? 0 : r;
	q = q_begin(db, SQL_XACT_STATUS);
	q_i64(&q, c->xid);
	q_text(&q, "memory", strlen("memory"));
	if ((r = q_row(&q)) == 1)
		r = (uint64_t)q_get_i64(&q, 0) == c->a->epoch ? q_get_i64(&q, 1) != 0 : TR_ESTORE;
	else if (r < 0 && (db->trouble == DB_AWAY || db->trouble == DB_BUSY))
		r = TR_EUNAVAILABLE; /* busy: its end is not decided yet */
	else
		r = TR_ESTORE; /* another server, which never heard of us */
	q_end(&q);
	settle(db);
	c->in_doubt = r == TR_EUNAVAILABLE;
	return r;
}

static int look(struct db *db)
{
	int r = pg_fresh(db);

	if (r == 0 && (r = db_run(db, SQL_LOOK)) == 0)
		conn_of(db)->inside = true;
	return r;
}

static int looked(struct db *db)
{
	struct pg_conn *c = conn_of(db);

	if (c->pg == NULL)
		return 0;
	if (c->failed) { /* the server listens again only behind a sync */
		settle(db);
	}
	if (c->inside && c->pg != NULL)
		(void)db_run(db, SQL_LOOKED);
	c->inside = false;
	return c->pg != NULL && c->unsynced ? pg_sync(db) : 0;
}

/* What was read at the start must not keep a transaction open: it would hold up whoever changes a table. */
static void opened(struct sql_archive *a)
{
	unsigned i;

	for (i = 0; i < READERS; i++)
		(void)looked(&a->readers[i].db);
	(void)looked(&a->kdb);
}

static int next_seq(struct db *db, int64_t *out)
{
	struct pg_conn *c = conn_of(db);
	struct query q;
	int r = 1;

	if (c->next_seq > c->last_seq) {
		q = q_begin(db, SQL_NEXT_SEQ);
		if ((r = q_row(&q)) == 1) {
			c->last_seq = q_get_i64(&q, 0);
			c->next_seq = c->last_seq - SEQ_BLOCK + 1;
		}
		q_end(&q);
	}
	if (r != 1)
		return r < 0 ? r : TR_ESTORE;
	*out = c->next_seq++;
	return 0;
}

static int64_t inserted(struct db *db)
{
	(void)db;
	return 0; /* next_seq() has told it */
}

/* ---- housekeeping ---- */
static void after_round(struct sql_archive *a)
{
	(void)a;
}

/* Is the server there? Asked also when nobody reads or writes. */
static bool answers(struct sql_archive *a)
{
	struct db *db = &a->kdb;
	struct query q;
	int r = ready(db);

	if (r < 0)
		return false;
	q = q_begin(db, SQL_PING);
	r = q_row(&q);
	q_end(&q);
	return looked(db) == 0 && r == 1;
}

static void keep(struct sql_archive *a)
{
	do {
		bool away = !answers(a);

		if (purge_wanted(a))
			purge_worked(a, away ? TR_EUNAVAILABLE : postgres_clean(a));

		if (away != a->away)
			log_info("archive: the server is %s", away ? "away" : "there again");
		a->away = away;
	} while (!purge_doze(a, PING_MS));
}

const struct db_driver db_postgres = {
	.ranks_candidates = true,
	.open = open_all,
	.opened = opened,
	.close = close_db,
	.ready = ready,
	.outcome = outcome,
	.begin = begin,
	.commit = commit,
	.rollback = rollback,
	.inside = inside,
	.look = look,
	.looked = looked,
	.start = start,
	.bind_i64 = bind_i64,
	.bind_f64 = bind_f64,
	.bind_null = bind_null,
	.bind_bytes = bind_bytes,
	.send = send_ahead,
	.row = row,
	.run = run,
	.end = end,
	.get_i64 = get_i64,
	.get_f64 = get_f64,
	.get = get,
	.is_null = is_null,
	.next_seq = next_seq,
	.inserted = inserted,
	.search_text = pg_search_text,
	.terms = pg_terms,
	.commit_hook = after_round,
	.keep = keep,
	.purge = purge_hand_over,
};
