/* One connection to PostgreSQL in pipeline mode: statements go out without waiting for what came before; answers come
 * in the order of sending and are put aside until somebody asks. */
#include "common/base/clock.h"
#include "common/log/log.h"
#include "jrs/memory/archive/postgres.h"
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CONNECT_MS   5000u /* for a connection, from name to "ready" */
#define LOOK_MS      100   /* how often a wait looks whether it is still wanted */
#define DELAY_MIN_MS 20u
#define DELAY_MAX_MS 1000u
#define FLUSH_EVERY  32u

static struct pg_conn *conn_of(const struct db *db)
{
	return db->conn;
}

/* ---- items ---- */
struct pg_item *pg_item_new(struct pg_conn *c, enum sql id)
{
	struct pg_item *item = c->spare;

	if (item != NULL)
		c->spare = item->next;
	else if ((item = malloc(sizeof(*item))) == NULL)
		return NULL;
	item->next = NULL;
	item->kind = PG_STATEMENT;
	item->sent = item->done = item->streamed = false;
	item->owned = true;
	item->id = id;
	item->n = 0;
	item->res = NULL;
	item->row = -1;
	item->nrows = 0;
	item->r = 0;
	return item;
}

static void give_back(struct pg_conn *c, struct pg_item *item)
{
	if (item->res != NULL)
		pq->PQclear(item->res);
	item->res = NULL;
	item->next = c->spare;
	c->spare = item;
}

void pg_item_release(struct pg_conn *c, struct pg_item *item)
{
	if (item == NULL)
		return;
	item->owned = false;
	if (!item->sent || item->done)
		give_back(c, item);
}

static void put(struct pg_conn *c, struct pg_item *item)
{
	item->next = NULL;
	item->sent = true;
	if (c->tail == NULL)
		c->head = item;
	else
		c->tail->next = item;
	c->tail = item;
}

static void pop(struct pg_conn *c, int r)
{
	struct pg_item *item = c->head;

	c->head = item->next;
	if (c->head == NULL)
		c->tail = NULL;
	item->done = true;
	if (item->r == 0)
		item->r = r;
	if (!item->owned)
		give_back(c, item);
}

/* ---- failures ---- */
static const struct {
	const char *state; /* the beginning of an SQLSTATE; the first that fits counts */
	enum db_trouble trouble;
	int r;
} states[] = {
	{"57014", DB_CALL, TR_EDEADLINE}, /* query_canceled */
	{"08", DB_AWAY, TR_EUNAVAILABLE},
	{"57P", DB_AWAY, TR_EUNAVAILABLE},   /* shut down, starting, recovering */
	{"53300", DB_AWAY, TR_EUNAVAILABLE}, /* too many connections */
	{"25006", DB_AWAY, TR_EUNAVAILABLE}, /* read-only: not the primary any more */
	{"40", DB_BUSY, TR_EUNAVAILABLE},
	{"55P03", DB_BUSY, TR_EUNAVAILABLE},
	{"53", DB_STORAGE, TR_ESTORE},
	{"58", DB_STORAGE, TR_ESTORE},
	{"XX00", DB_DAMAGED, TR_ESTORE},
	{"54", DB_CALL, TR_ETOOBIG},
	{"", DB_CALL, TR_ESTORE},
};

int pg_trouble(struct db *db, const PGresult *res)
{
	const char *state = res == NULL ? NULL : pq->PQresultErrorField(res, PG_DIAG_SQLSTATE);
	char reason[64] = "SQLSTATE ";
	size_t i = 0;

	if (state == NULL || strlen(state) != 5)
		return db_failed(db, DB_AWAY, 0, "no connection to the server", TR_EUNAVAILABLE);
	while (strncmp(state, states[i].state, strlen(states[i].state)) != 0)
		i++;
	strcat(reason, state);
	return db_failed(db, states[i].trouble, atoi(state), reason, states[i].r);
}

static int lost(struct db *db)
{
	struct pg_conn *c = conn_of(db);

	pg_disconnect(db);
	c->retry_ms = tr_mono_ms();
	return db_failed(db, DB_AWAY, 0, "no connection to the server", TR_EUNAVAILABLE);
}

/* ---- connecting ---- */
static void silent(void *arg, const char *message)
{
	(void)arg;
	(void)message; /* it may quote what somebody said */
}

/* Over a network only encrypted, unless the string says otherwise. */
static const char *default_sslmode(const char *conninfo)
{
	PQconninfoOption *v = pq->PQconninfoParse(conninfo, NULL), *o;
	const char *mode = "prefer";

	for (o = v; o != NULL && o->keyword != NULL; o++) {
		if (strcmp(o->keyword, "host") == 0 && o->val != NULL && o->val[0] != '\0' && o->val[0] != '/' &&
		    strcmp(o->val, "localhost") != 0 && strncmp(o->val, "127.", 4) != 0 && strcmp(o->val, "::1") != 0)
			mode = "require";
	}
	pq->PQconninfoFree(v);
	return mode;
}

static PGconn *start(const char *conninfo)
{
	/* defaults first: what the string says wins */
	const char *const keys[] = {"target_session_attrs",
				    "sslmode",
				    "connect_timeout",
				    "keepalives_idle",
				    "keepalives_interval",
				    "keepalives_count",
				    "tcp_user_timeout",
				    "fallback_application_name",
				    "client_encoding",
				    "dbname",
				    NULL};
	const char *const values[] = {
		"read-write", default_sslmode(conninfo), "5", "5", "2", "3", "10000", "tribe", "UTF8", conninfo, NULL};
	PGconn *pg = pq->PQconnectStartParams(keys, values, 1);

	if (pg != NULL)
		pq->PQsetNoticeProcessor(pg, silent, NULL);
	return pg;
}

static int wait_socket(PGconn *pg, short events, int timeout_ms)
{
	struct pollfd p = {pq->PQsocket(pg), events, 0};

	return p.fd < 0 ? -1 : poll(&p, 1, timeout_ms);
}

/* 0: connected, < 0: not within `until_ms` or at all. */
static int establish(PGconn *pg, const struct sql_archive *a, uint64_t until_ms)
{
	PostgresPollingStatusType s = PGRES_POLLING_WRITING;

	while (s != PGRES_POLLING_OK) {
		if (s == PGRES_POLLING_FAILED || tr_mono_ms() >= until_ms || (a != NULL && a->closing) ||
		    pq->PQstatus(pg) == CONNECTION_BAD)
			return TR_EUNAVAILABLE;
		if (wait_socket(pg, s == PGRES_POLLING_READING ? POLLIN : POLLOUT, LOOK_MS) != 0)
			s = pq->PQconnectPoll(pg);
	}
	return 0;
}

PGconn *pg_open_plain(const char *conninfo, struct tr_fault *fault)
{
	PGconn *pg = start(conninfo);

	if (pg != NULL && establish(pg, NULL, tr_mono_ms() + CONNECT_MS) == 0)
		return pg;
	pq->PQfinish(pg);
	tr_fault_set(fault, TR_EUNAVAILABLE, "archive.url", "the server cannot be reached, or refuses us");
	return NULL;
}

/* ?1 -> $1: both databases share most texts. */
static void dollars(const char *text, char *out, size_t size)
{
	size_t i;

	for (i = 0; text[i] != '\0' && i + 1 < size; i++)
		out[i] = text[i] == '?' && text[i + 1] >= '1' && text[i + 1] <= '9' ? '$' : text[i];
	out[i] = '\0';
}

static int prepare_all(struct db *db)
{
	struct pg_conn *c = conn_of(db);
	char text[4096], name[16];
	struct pg_item *item;
	int i;

	for (i = 0; i < SQL_NSTATEMENTS; i++) {
		const char *sql = db_text((enum sql)i, true);

		if (sql == NULL || (db_lanes((enum sql)i) & c->lane) == 0)
			continue;
		if (strlen(sql) >= sizeof(text) || (item = pg_item_new(c, (enum sql)i)) == NULL)
			return TR_ENOMEM;
		dollars(sql, text, sizeof(text));
		snprintf(name, sizeof(name), "s%d", i);
		if (pq->PQsendPrepare(c->pg, name, text, 0, NULL) != 1) {
			pg_item_release(c, item);
			return lost(db);
		}
		item->owned = false;
		put(c, item);
	}
	c->unsynced = true;
	if (c->lane == DB_W && (i = db_run(db, SQL_LOOK_BY_KEY)) < 0)
		return i;
	if ((i = pg_sync(db)) < 0 || (i = pg_await(db, NULL)) < 0)
		return i;
	return db->trouble == DB_FINE ? 0 : TR_ESTORE;
}

int pg_connect(struct db *db, struct tr_fault *fault)
{
	struct pg_conn *c = conn_of(db);
	int r;

	db->trouble = DB_FINE;
	c->pg = start(c->conninfo);
	if (c->pg == NULL || establish(c->pg, c->a, tr_mono_ms() + CONNECT_MS) < 0 ||
	    pq->PQsetnonblocking(c->pg, 1) != 0 || pq->PQenterPipelineMode(c->pg) != 1) {
		pg_disconnect(db);
		db_failed(db, DB_AWAY, 0, "no connection to the server", TR_EUNAVAILABLE);
		return tr_fault_set(fault, TR_EUNAVAILABLE, "archive.url",
				    "the server cannot be reached, or refuses us");
	}
	if ((r = prepare_all(db)) == 0)
		return 0;
	pg_disconnect(db);
	log_error("archive: statements refused reason=\"%s\"", db->reason);
	return tr_fault_set(fault, r, "archive.url", "does not have the tables it should have (%s)", db->reason);
}

void pg_disconnect(struct db *db)
{
	struct pg_conn *c = conn_of(db);

	while (c->head != NULL)
		pop(c, TR_EUNAVAILABLE);
	pq->PQfinish(c->pg);
	c->pg = NULL;
	c->inside = c->unsynced = c->failed = false;
	c->unflushed = 0;
	c->next_seq = 1;
	c->last_seq = 0;
}

/* ---- the pipeline ---- */
/* Takes what has arrived. 1: something was finished, 0: nothing more is there yet, < 0. */
static int take(struct db *db)
{
	struct pg_conn *c = conn_of(db);
	struct pg_item *item = c->head;
	PGresult *res;

	if (item != NULL && item->streamed)
		(void)pq->PQsetSingleRowMode(c->pg); /* only the first time counts, before anything of it is read */
	if (item == NULL || pq->PQisBusy(c->pg))
		return 0;
	if ((res = pq->PQgetResult(c->pg)) == NULL) {
		if (item->kind == PG_SYNC) /* its answer has no end mark, and is not there yet */
			return 0;
		pop(c, 0);
		return 1;
	}
	switch (pq->PQresultStatus(res)) {
	case PGRES_PIPELINE_SYNC:
		pq->PQclear(res);
		c->failed = false;
		pop(c, 0);
		return 1;
	case PGRES_PIPELINE_ABORTED:
		pq->PQclear(res);
		item->r = c->error;
		return 1;
	case PGRES_SINGLE_TUPLE:
	case PGRES_TUPLES_OK:
	case PGRES_COMMAND_OK:
		if (item->res != NULL)
			pq->PQclear(item->res);
		item->res = res;
		item->nrows = pq->PQntuples(res);
		item->row = -1;
		return 1;
	default:
		item->r = c->error = pg_trouble(db, res);
		pq->PQclear(res);
		c->failed = true;
		return db->trouble == DB_AWAY ? lost(db) : 1;
	}
}

static void cancel(struct pg_conn *c)
{
	PGcancel *handle = pq->PQgetCancel(c->pg);
	char error[256];

	if (handle != NULL)
		(void)pq->PQcancel(handle, error, sizeof(error));
	pq->PQfreeCancel(handle);
}

/* Sends what waits to be sent and reads what has come; sleeps at most LOOK_MS for either. */
static int turn(struct db *db, bool sleep)
{
	struct pg_conn *c = conn_of(db);
	int waiting = pq->PQflush(c->pg);

	c->unflushed = 0;
	if (waiting < 0)
		return lost(db);
	if (sleep && wait_socket(c->pg, (short)(POLLIN | (waiting == 1 ? POLLOUT : 0)), LOOK_MS) < 0)
		return lost(db);
	return pq->PQconsumeInput(c->pg) == 1 ? 0 : lost(db);
}

int pg_await(struct db *db, struct pg_item *item)
{
	struct pg_conn *c = conn_of(db);
	bool cancelled = false;
	int r;

	if (c->pg == NULL)
		return TR_EUNAVAILABLE;
	/* A long answer: the next row may be here already. Asking the socket for each would move all that waits behind
	 * it. */
	while (item != NULL && item->streamed && c->head == item && !item->done && item->res == NULL) {
		if ((r = take(db)) < 0)
			return r;
		if (r == 0)
			break;
	}
	if (item != NULL && (item->done || (item->streamed && item->res != NULL)))
		return item->r;
	if (item != NULL && pq->PQsendFlushRequest(c->pg) != 1)
		return lost(db);
	if ((r = turn(db, false)) < 0)
		return r;
	while (item == NULL ? c->head != NULL : !item->done && !(item->streamed && item->res != NULL)) {
		if ((r = take(db)) < 0)
			return r;
		if (r == 1)
			continue;
		if (!cancelled && ((c->job != NULL && *c->job != NULL && (job_late(*c->job) || c->a->closing)) ||
				   (c->stop != NULL && *c->stop))) {
			cancel(c);
			cancelled = true;
		}
		if ((r = turn(db, true)) < 0)
			return r;
	}
	return item == NULL ? 0 : item->r;
}

int pg_send(struct db *db, struct pg_item *item)
{
	struct pg_conn *c = conn_of(db);
	char name[16];

	if (c->pg == NULL)
		return db_failed(db, DB_AWAY, 0, "no connection to the server", TR_EUNAVAILABLE);
	snprintf(name, sizeof(name), "s%d", (int)item->id);
	if (pq->PQsendQueryPrepared(c->pg, name, item->n, item->value, item->length, item->format, 1) != 1)
		return lost(db);
	put(c, item);
	c->unsynced = true;
	return ++c->unflushed >= FLUSH_EVERY ? turn(db, false) : 0;
}

int pg_sync(struct db *db)
{
	struct pg_conn *c = conn_of(db);
	struct pg_item *item;

	if (c->pg == NULL)
		return TR_EUNAVAILABLE;
	if ((item = pg_item_new(c, SQL_BEGIN)) == NULL)
		return TR_ENOMEM;
	item->kind = PG_SYNC;
	item->owned = false;
	if (pq->PQpipelineSync(c->pg) != 1) {
		item->sent = false;
		pg_item_release(c, item);
		return lost(db);
	}
	put(c, item);
	c->unsynced = false;
	return turn(db, false);
}
