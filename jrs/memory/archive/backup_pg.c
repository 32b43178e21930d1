/* Backups of an archive in PostgreSQL: its snapshot, the database beside it, the change of names. Statements about
 * databases take no parameters: the server itself makes their texts, by format() from names that it is given as
 * parameters. */
#include "common/base/buf.h"
#include "jrs/memory/archive/backup_inside.h"
#include "jrs/memory/archive/postgres.h"
#include "jrs/memory/archive/schema.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tribe/version.h>

#define RENAME_TRIES 3u /* each waits for sessions that end, up to five seconds */
#define SCRATCH      "_restoring"
#define BEFORE       "_before_"
#define UNDONE       "_undone_"

struct backup_pg {
	char *conninfo;
	struct backup_watch *watch;
	char name[BACKUP_DB_NAME], scratch[BACKUP_DB_NAME];
	int server;
	struct db held; /* lane B, inside its snapshot; driver NULL: none */
};

/* ---- one statement ---- */

static int refused(PGconn *pg, const PGresult *res, const char *what, struct tr_fault *fault)
{
	const char *state = res == NULL ? NULL : pq->PQresultErrorField(res, PG_DIAG_SQLSTATE);

	if (pq->PQstatus(pg) != CONNECTION_OK)
		return tr_fault_set(fault, TR_EUNAVAILABLE, "archive.url", "the server cannot be reached");
	if (state != NULL && strcmp(state, "42501") == 0)
		return tr_fault_set(fault, TR_EREFUSED, "archive.url",
				    "%s: its role may not; a restore needs the right CREATEDB and to own the database",
				    what);
	if (state != NULL && strcmp(state, "55006") == 0)
		return tr_fault_set(fault, TR_ECONFLICT, "archive.url", "%s: somebody else is connected to it", what);
	return tr_fault_set(fault, TR_ESTORE, "archive.url", "%s (SQLSTATE %s)", what,
			    state == NULL ? "unknown" : state);
}

/* The first column of the first row of a statement with parameters a and b, where they are not NULL. Caller frees *out.
 * 1, 0: no row or NULL, < 0. */
static int text(PGconn *pg, const char *what, const char *sql, const char *a, const char *b, char **out,
		struct tr_fault *fault)
{
	const char *const values[] = {a, b};
	PGresult *res = pq->PQexecParams(pg, sql, (a != NULL) + (b != NULL), NULL, values, NULL, NULL, 0);
	int r = 0;

	if (pq->PQresultStatus(res) != PGRES_TUPLES_OK)
		r = refused(pg, res, what, fault);
	else if (pq->PQntuples(res) > 0 && !pq->PQgetisnull(res, 0, 0))
		r = (*out = strdup(pq->PQgetvalue(res, 0, 0))) == NULL ? TR_ENOMEM : 1;
	pq->PQclear(res);
	return r == TR_ENOMEM ? tr_fault_set(fault, r, "", "%s", tr_strerror(r)) : r;
}

/* The same into an array. */
static int name(PGconn *pg, const char *sql, const char *a, char out[BACKUP_DB_NAME], struct tr_fault *fault)
{
	char *value = NULL;
	int r = text(pg, "cannot be looked at", sql, a, NULL, &value, fault);

	if (r == 1)
		snprintf(out, BACKUP_DB_NAME, "%s", value);
	free(value);
	return r;
}

static int exec(PGconn *pg, const char *what, const char *sql, struct tr_fault *fault)
{
	PGresult *res = pq->PQexec(pg, sql);
	ExecStatusType s = pq->PQresultStatus(res);
	int r = s == PGRES_COMMAND_OK || s == PGRES_TUPLES_OK ? 0 : refused(pg, res, what, fault);

	pq->PQclear(res);
	return r;
}

/* Runs the statement that `maker` comes to. */
static int run(PGconn *pg, const char *what, const char *maker, const char *a, const char *b, struct tr_fault *fault)
{
	char *sql = NULL;
	int r = text(pg, what, maker, a, b, &sql, fault);

	if (r == 1)
		r = exec(pg, what, sql, fault);
	free(sql);
	return r;
}

/* ---- how to connect ---- */

static int quoted(struct buf *out, const char *key, const char *value)
{
	(void)buf_printf(out, "%s='", key);
	for (; *value != '\0'; value++)
		(void)buf_printf(out, "%s%c", *value == '\'' || *value == '\\' ? "\\" : "", *value);
	return buf_puts(out, "' ");
}

/* The same server and role, another database. Caller frees. */
static char *with_database(const char *conninfo, const char *name)
{
	PQconninfoOption *v = pq->PQconninfoParse(conninfo, NULL), *o;
	struct buf out = {.max = 8192};

	for (o = v; o != NULL && o->keyword != NULL; o++) {
		if (o->val != NULL && o->val[0] != '\0' && strcmp(o->keyword, "dbname") != 0)
			(void)quoted(&out, o->keyword, o->val);
	}
	if (v == NULL)
		out.failed = TR_ENOMEM;
	(void)quoted(&out, "dbname", name);
	pq->PQconninfoFree(v);
	if (out.failed == 0)
		return out.p;
	buf_free(&out);
	return NULL;
}

static PGconn *connect_to(const struct backup_pg *b, const char *name, struct tr_fault *fault)
{
	char *conninfo = with_database(b->conninfo, name);
	PGconn *pg;

	if (conninfo == NULL) {
		tr_fault_set(fault, TR_ENOMEM, "", "%s", tr_strerror(TR_ENOMEM));
		return NULL;
	}
	pg = pg_open_plain(conninfo, fault);
	free(conninfo);
	return pg;
}

/* One that is neither the archive's nor the scratch one: these are renamed. */
static PGconn *connect_aside(const struct backup_pg *b, struct tr_fault *fault)
{
	static const char *const names[] = {"postgres", "template1"};
	PGconn *pg = NULL;
	size_t i;

	for (i = 0; pg == NULL && i < 2; i++)
		if (strcmp(names[i], b->name) != 0)
			pg = connect_to(b, names[i], fault);
	return pg;
}

static int learn(struct backup_pg *b, struct tr_fault *fault)
{
	PGconn *pg = pg_open_plain(b->conninfo, fault);
	int r;

	if (pg == NULL)
		return TR_EUNAVAILABLE;
	b->server = pq->PQserverVersion(pg);
	r = name(pg, "SELECT current_database()", NULL, b->name, fault);
	pq->PQfinish(pg);
	if (r >= 0 && strlen(b->name) + strlen(BEFORE) + 10 >= BACKUP_DB_NAME)
		return tr_fault_set(fault, TR_EUNSUPPORTED, "archive.url",
				    "its database's name is too long to make others of it");
	tr_copy(b->scratch, sizeof(b->scratch), b->name, strlen(b->name));
	strncat(b->scratch, SCRATCH, sizeof(b->scratch) - 1 - strlen(b->scratch));
	return r < 0 ? r : 0;
}

int backup_pg_open(struct backup_pg **out, const char *conninfo, struct backup_watch *watch, struct tr_fault *fault)
{
	struct backup_pg *b;
	int r;

	if ((r = pq_load(fault)) < 0)
		return r;
	if ((b = calloc(1, sizeof(*b))) == NULL || (b->conninfo = strdup(conninfo)) == NULL) {
		free(b);
		return tr_fault_set(fault, TR_ENOMEM, "", "%s", tr_strerror(TR_ENOMEM));
	}
	b->watch = watch;
	if ((r = learn(b, fault)) < 0) {
		backup_pg_close(&b);
		return r;
	}
	*out = b;
	return 0;
}

void backup_pg_close(struct backup_pg **bp)
{
	struct backup_pg *b = bp == NULL ? NULL : *bp;

	if (b == NULL)
		return;
	db_close(&b->held);
	free(b->conninfo);
	free(b);
	*bp = NULL;
}

uint32_t backup_pg_server(const struct backup_pg *b)
{
	return (uint32_t)b->server;
}

/* A line of a service file has no quotes: what cannot stand there is refused. */
static bool line_of(struct buf *out, const char *key, const char *value)
{
	size_t n = strlen(value);

	if (n > 0 &&
	    (strpbrk(value, "\r\n") != NULL || strchr(" \t", value[0]) != NULL || strchr(" \t", value[n - 1]) != NULL))
		return false;
	return buf_printf(out, "%s=%s\n", key, value) == 0;
}

int backup_pg_service(struct backup_pg *b, bool scratch, struct buf *out, struct tr_fault *fault)
{
	static const char *const left_out[] = {"dbname", "service", "client_encoding", "fallback_application_name",
					       "replication"};
	PGconn *pg = connect_to(b, scratch ? b->scratch : b->name, fault);
	PQconninfoOption *v, *o;
	bool ok = buf_puts(out, "[tribe]\n") == 0;
	size_t i;

	if (pg == NULL)
		return TR_EUNAVAILABLE;
	v = pq->PQconninfo(pg); /* with what came from the environment: the caller's is another */
	for (o = v; o != NULL && o->keyword != NULL; o++) {
		for (i = 0; i < sizeof(left_out) / sizeof(left_out[0]) && strcmp(o->keyword, left_out[i]) != 0; i++)
			;
		if (i == sizeof(left_out) / sizeof(left_out[0]) && o->val != NULL && o->val[0] != '\0')
			ok = ok && line_of(out, o->keyword, o->val);
	}
	ok = ok && v != NULL && line_of(out, "dbname", scratch ? b->scratch : b->name);
	pq->PQconninfoFree(v);
	pq->PQfinish(pg);
	if (ok)
		return 0;
	return tr_fault_set(fault, TR_EUNSUPPORTED, "archive.url", "has a value that a service file cannot hold");
}

/* ---- taking ---- */

int backup_pg_hold(struct backup_pg *b, char snapshot[BACKUP_SNAPSHOT], struct tr_fault *fault)
{
	struct query q;
	int r;

	watch_phase(b->watch, "dumping", 0);
	if ((r = pg_open_lone(&b->held, b->conninfo, backup_lanes(schema_version()), &b->watch->stop, fault)) < 0)
		return r;
	if ((r = b->held.driver->look(&b->held)) == 0) {
		q = q_begin(&b->held, SQL_EXPORT_SNAPSHOT);
		if ((r = q_row(&q)) == 1)
			tr_copy(snapshot, BACKUP_SNAPSHOT, q_get(&q, 0), q_len(&q, 0));
		q_end(&q);
		r = r == 1 ? 0 : r < 0 ? r : TR_ESTORE;
	}
	return r == 0 ? 0 : tr_fault_set(fault, r, "archive", "gives no snapshot (%s)", b->held.reason);
}

int backup_pg_content(struct backup_pg *b, struct backup *out, struct tr_fault *fault)
{
	tr_copy(out->version, sizeof(out->version), TRIBE_VERSION, strlen(TRIBE_VERSION));
	return backup_content(&b->held, b->watch, out, fault);
}

/* ---- the database beside it ---- */

int backup_pg_scratch(struct backup_pg *b, struct tr_fault *fault)
{
	PGconn *pg = connect_to(b, b->name, fault);
	int r;

	if (pg == NULL)
		return TR_EUNAVAILABLE;
	watch_phase(b->watch, "restoring", 0);
	r = run(pg, "an earlier database for restoring cannot be dropped",
		"SELECT format('DROP DATABASE IF EXISTS %I', $1::text)", b->scratch, NULL, fault);
	if (r == 0)
		r = run(pg, "no database can be made beside it",
			"SELECT format('CREATE DATABASE %I TEMPLATE template0 ENCODING ''UTF8'' LC_COLLATE %L LC_CTYPE "
			"%L', "
			"$1::text, datcollate, datctype) FROM pg_database WHERE datname = current_database()",
			b->scratch, NULL, fault);
	pq->PQfinish(pg);
	return r;
}

int backup_pg_drop(struct backup_pg *b, struct tr_fault *fault)
{
	PGconn *pg = connect_to(b, b->name, fault);
	int r;

	if (pg == NULL)
		return TR_EUNAVAILABLE;
	r = run(pg, "the database for restoring cannot be dropped",
		"SELECT format('DROP DATABASE IF EXISTS %I', $1::text)", b->scratch, NULL, fault);
	pq->PQfinish(pg);
	return r;
}

/* Is there an archive in it that this program can read? Its version. */
static int check_version(PGconn *pg, struct tr_fault *fault)
{
	char version[BACKUP_DB_NAME] = "";
	int r = name(pg, "SELECT max(version) FROM schema_migrations", NULL, version, fault);

	if (r < 0)
		return tr_fault_set(fault, TR_EINVAL, "archive", "is not in what was restored");
	if (atoi(version) > schema_version())
		return tr_fault_set(fault, TR_EUNSUPPORTED, "schema", "is %s, of a newer program; this one knows %d",
				    version, schema_version());
	return atoi(version);
}

/* Rows name the transaction that made them, for whoever follows; those of another server may name one that is still to
 * come here, and would not be seen. */
static int settle(PGconn *pg, struct tr_fault *fault)
{
	static const char sql[] =
		"UPDATE thermal_memory_archive SET xid = pg_current_xact_id() WHERE xid >= "
		"pg_snapshot_xmin(pg_current_snapshot());"
		"UPDATE changes SET xid = pg_current_xact_id() WHERE xid >= pg_snapshot_xmin(pg_current_snapshot());";

	return exec(pg, "what was restored cannot be made ready", sql, fault);
}

int backup_pg_prove(struct backup_pg *b, const struct backup *want, struct tr_fault *fault)
{
	PGconn *pg = connect_to(b, b->scratch, fault);
	struct db db = {.driver = NULL};
	struct backup got = {.version = ""};
	char *conninfo = NULL;
	int r, version;

	if (pg == NULL)
		return TR_EUNAVAILABLE;
	if ((r = version = check_version(pg, fault)) < 0)
		goto out;
	if ((conninfo = with_database(b->conninfo, b->scratch)) == NULL) {
		r = tr_fault_set(fault, TR_ENOMEM, "", "%s", tr_strerror(TR_ENOMEM));
		goto out;
	}
	if ((r = pg_open_lone(&db, conninfo, backup_lanes(version), &b->watch->stop, fault)) < 0)
		goto out;
	if ((r = db.driver->look(&db)) < 0)
		r = tr_fault_set(fault, r, "archive", "cannot be read (%s)", db.reason);
	else if ((r = backup_content(&db, b->watch, &got, fault)) == 0 && (r = backup_compare(want, &got, fault)) == 0)
		r = settle(pg, fault);
	db_close(&db);
out:
	free(conninfo);
	pq->PQfinish(pg);
	return r;
}

/* ---- names ---- */

int backup_pg_alone(struct backup_pg *b, struct tr_fault *fault)
{
	PGconn *pg = connect_to(b, b->name, fault);
	char n[BACKUP_DB_NAME] = "0";
	int r;

	if (pg == NULL)
		return TR_EUNAVAILABLE;
	r = name(pg,
		 "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() "
		 "AND application_name IS DISTINCT FROM current_setting('application_name') AND backend_type = 'client "
		 "backend'",
		 NULL, n, fault);
	pq->PQfinish(pg);
	if (r == 1 && strcmp(n, "0") != 0)
		return tr_fault_set(fault, TR_ECONFLICT, "archive.url",
				    "%s other connections to its database are open; close them first", n);
	return r < 0 ? r : 0;
}

/* A follower's sessions: it connects again when it next looks, to whatever has the name then. */
static int send_away(PGconn *pg, const struct backup_pg *b, struct tr_fault *fault)
{
	char n[BACKUP_DB_NAME];

	return name(pg,
		    "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = $1::text AND "
		    "pid <> pg_backend_pid() AND application_name = current_setting('application_name')",
		    b->name, n, fault);
}

static int rename_once(PGconn *pg, const struct backup_pg *b, const char *from, const char *kept,
		       struct tr_fault *fault)
{
	static const char maker[] = "SELECT format('ALTER DATABASE %I RENAME TO %I', $1::text, $2::text)";
	int r = exec(pg, "no transaction can begin", "BEGIN", fault);

	if (r == 0 && (r = run(pg, "its database cannot be renamed", maker, b->name, kept, fault)) == 0 &&
	    (r = run(pg, "the restored database cannot be renamed", maker, from, b->name, fault)) == 0)
		r = exec(pg, "databases cannot be renamed", "COMMIT", fault);
	if (r < 0)
		(void)exec(pg, "", "ROLLBACK", NULL);
	return r;
}

/* from takes the archive's name, which becomes `kept`. Followers may come back in between. */
static int rename_both(PGconn *pg, const struct backup_pg *b, const char *from, const char *kept,
		       struct tr_fault *fault)
{
	unsigned tries;
	int r;

	for (tries = 0; tries < RENAME_TRIES; tries++) {
		if ((r = send_away(pg, b, fault)) >= 0 && (r = rename_once(pg, b, from, kept, fault)) == 0)
			return 0;
	}
	return r;
}

/* learn() has seen to it that it fits. */
static void made_name(const struct backup_pg *b, const char *middle, int64_t now_ms, char out[BACKUP_DB_NAME])
{
	char text[2 * BACKUP_DB_NAME];

	snprintf(text, sizeof(text), "%s%s%lld", b->name, middle, (long long)(now_ms / 1000));
	tr_copy(out, BACKUP_DB_NAME, text, strlen(text));
}

int backup_pg_switch(struct backup_pg *b, int64_t now_ms, char kept[BACKUP_DB_NAME], struct tr_fault *fault)
{
	PGconn *pg = connect_aside(b, fault);
	int r;

	if (pg == NULL)
		return TR_EUNAVAILABLE;
	made_name(b, BEFORE, now_ms, kept);
	r = rename_both(pg, b, b->scratch, kept, fault);
	pq->PQfinish(pg);
	return r;
}

/* The newest one that a restore has kept. 1, 0: there is none. */
static int newest_kept(PGconn *pg, const struct backup_pg *b, char out[BACKUP_DB_NAME], struct tr_fault *fault)
{
	return name(pg,
		    "SELECT datname FROM pg_database WHERE starts_with(datname, $1::text || '" BEFORE "') AND "
		    "substr(datname, length($1::text || '" BEFORE "') + 1) ~ '^[0-9]+$' ORDER BY "
		    "substr(datname, length($1::text || '" BEFORE "') + 1)::bigint DESC LIMIT 1",
		    b->name, out, fault);
}

int backup_pg_can_go_back(struct backup_pg *b, struct tr_fault *fault)
{
	PGconn *pg = connect_to(b, b->name, fault);
	char found[BACKUP_DB_NAME];
	int r;

	if (pg == NULL)
		return TR_EUNAVAILABLE;
	r = newest_kept(pg, b, found, fault);
	pq->PQfinish(pg);
	return r == 0  ? tr_fault_set(fault, TR_ENOTFOUND, "undo", "is not possible: no restore made this archive")
	       : r < 0 ? r
		       : 0;
}

int backup_pg_back(struct backup_pg *b, int64_t now_ms, char kept[BACKUP_DB_NAME], struct tr_fault *fault)
{
	PGconn *pg = connect_aside(b, fault);
	char found[BACKUP_DB_NAME];
	int r;

	if (pg == NULL)
		return TR_EUNAVAILABLE;
	made_name(b, UNDONE, now_ms, kept);
	if ((r = newest_kept(pg, b, found, fault)) == 1)
		r = rename_both(pg, b, found, kept, fault);
	else if (r == 0)
		r = tr_fault_set(fault, TR_ENOTFOUND, "undo", "is not possible: the database of before is gone");
	pq->PQfinish(pg);
	return r;
}
