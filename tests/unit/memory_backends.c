/* The kinds of archive that the suite runs on: where each is put, how it is wiped, how one looks inside. */
#include "memory_rig.h"

#include "jrs/memory/archive/pagesum.h"
#include "tests/kit/archive_double.h"
#include <libpq-fe.h>

const char *const rig_looks[RIG_NLOOKS] = {
	[LOOK_MEMORIES] = "SELECT count(*) FROM thermal_memory_archive",
	[LOOK_DECISIONS] = "SELECT count(*) FROM decisions",
	[LOOK_REQUESTS] = "SELECT count(*) FROM requests",
	[LOOK_ANSWERS] = "SELECT count(*) FROM requests WHERE length(result) > 0",
	[LOOK_PAIRS] = "SELECT count(*) FROM entanglements",
	[LOOK_PAIR_TIMES] = "SELECT coalesce(sum(times), 0) FROM entanglements",
	[LOOK_HEAT_MAPS] = "SELECT count(*) FROM thermal_heat_map",
	[LOOK_EPOCH] = "SELECT epoch FROM roles WHERE role = 'memory'",
};

static void nothing(struct rig *g)
{
	(void)g;
}

/* ---- SQLite ---- */
/* What is written through it has sums, as what the archive writes. */
static sqlite3 *sqlite_connect(struct rig *g)
{
	sqlite3 *db = NULL;

	assert_int_equal(sqlite3_open_v2(g->path, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, pagesum_vfs()),
			 SQLITE_OK);
	sqlite3_busy_timeout(db, 5000);
	return db;
}

static double sqlite_number(struct rig *g, const char *sql)
{
	sqlite3 *db = sqlite_connect(g);
	sqlite3_stmt *st = NULL;
	double v = (double)NAN;

	if (sqlite3_prepare_v2(db, sql, -1, &st, NULL) != SQLITE_OK)
		fail_msg("%s: %s", sql, sqlite3_errmsg(db));
	if (sqlite3_step(st) == SQLITE_ROW)
		v = sqlite3_column_double(st, 0);
	sqlite3_finalize(st);
	sqlite3_close(db);
	return v;
}

int rig_exec(struct rig *g, const char *sql)
{
	sqlite3 *db = sqlite_connect(g);
	int rc = sqlite3_exec(db, sql, NULL, NULL, NULL);

	sqlite3_close(db);
	return rc;
}

static bool sqlite_refuses(struct rig *g, const char *sql)
{
	int rc = rig_exec(g, sql);

	assert_true(rc == SQLITE_OK || rc == SQLITE_CONSTRAINT);
	return rc == SQLITE_CONSTRAINT;
}

static double sqlite_look(struct rig *g, unsigned what)
{
	return sqlite_number(g, rig_looks[what]);
}

/* The pages are in order, and the full-text index says what the rows say. */
static void sqlite_sound(struct rig *g)
{
	assert_true(sqlite_number(g, "SELECT count(*) FROM pragma_integrity_check WHERE integrity_check = 'ok'") ==
		    1.0);
	if (sqlite_number(g, "SELECT count(*) FROM sqlite_schema WHERE name = 'memory_words'") == 1.0)
		assert_int_equal(
			rig_exec(g, "INSERT INTO memory_words(memory_words, rank) VALUES('integrity-check', 1)"),
			SQLITE_OK);
}

static void sqlite_wipe(struct rig *g)
{
	char name[120];

	unlink(g->path);
	snprintf(name, sizeof(name), "%s-wal", g->path);
	unlink(name);
	snprintf(name, sizeof(name), "%s-shm", g->path);
	unlink(name);
}

const struct rig_backend rig_sqlite = {.name = "sqlite",
				       .open = archive_open,
				       .place = nothing,
				       .wipe = sqlite_wipe,
				       .sound = sqlite_sound,
				       .look = sqlite_look,
				       .sql = sqlite_number,
				       .refuses = sqlite_refuses,
				       .ranks = true};

/* ---- the double ---- */
static double double_look(struct rig *g, unsigned what)
{
	struct archive_double_inside in;

	archive_double_inside(g->a, &in);
	switch (what) {
	case LOOK_MEMORIES:
		return (double)in.memories;
	case LOOK_DECISIONS:
		return (double)in.decisions;
	case LOOK_REQUESTS:
		return (double)in.requests;
	case LOOK_ANSWERS:
		return (double)in.answers;
	case LOOK_PAIRS:
		return (double)in.pairs;
	case LOOK_PAIR_TIMES:
		return (double)in.pair_times;
	case LOOK_HEAT_MAPS:
		return (double)in.heat_maps;
	default:
		return (double)in.epoch;
	}
}

static void double_wipe(struct rig *g)
{
	archive_double_drop(g->path);
}

const struct rig_backend rig_double = {.name = "double",
				       .open = archive_double_open,
				       .place = nothing,
				       .wipe = double_wipe,
				       .sound = nothing,
				       .look = double_look,
				       .ranks = true};

/* ---- PostgreSQL: a database of this process in the cluster that TRIBE_POSTGRES names (tests/kit/postgres) ---- */
static char cluster[400], database[32];

static void quiet(void *arg, const char *message)
{
	(void)arg;
	(void)message;
}

/* A test that failed may have left an archive open, whose locks would be waited for. */
static PGconn *pg_connect(const char *conninfo)
{
	char bounded[600];
	PGconn *c;

	snprintf(bounded, sizeof(bounded), "%s options='-c lock_timeout=30s'", conninfo);
	c = PQconnectdb(bounded);
	if (PQstatus(c) != CONNECTION_OK) {
		fprintf(stderr, "PostgreSQL: %s", PQerrorMessage(c));
		exit(1);
	}
	PQsetNoticeProcessor(c, quiet, NULL);
	return c;
}

/* The SQLSTATE's first two characters, "00" when it worked; *number: of the first row, NaN without one. */
static const char *pg_run(const char *conninfo, const char *sql, double *number)
{
	static char state[3];
	PGconn *c = pg_connect(conninfo);
	PGresult *res = PQexec(c, sql);
	const char *s = PQresultErrorField(res, PG_DIAG_SQLSTATE);

	if (s != NULL)
		fprintf(stderr, "PostgreSQL: %s: %s", sql, PQresultErrorMessage(res));
	snprintf(state, sizeof(state), "%.2s", s == NULL ? "00" : s);
	if (number != NULL && PQresultStatus(res) == PGRES_TUPLES_OK)
		*number = PQntuples(res) > 0 && !PQgetisnull(res, 0, 0) ? strtod(PQgetvalue(res, 0, 0), NULL)
									: (double)NAN;
	PQclear(res);
	PQfinish(c);
	return state;
}

static void pg_must(const char *conninfo, const char *sql)
{
	if (strcmp(pg_run(conninfo, sql, NULL), "00") != 0)
		exit(1);
}

static void pg_drop(void)
{
	char sql[80];

	snprintf(sql, sizeof(sql), "DROP DATABASE IF EXISTS %s WITH (FORCE)", database);
	pg_must(cluster, sql);
}

static void pg_begin(void)
{
	const char *where = getenv("TRIBE_POSTGRES");
	char name[4096], sql[80];
	FILE *f;

	snprintf(name, sizeof(name), "%s/conninfo", where == NULL ? "." : where);
	if (where == NULL || (f = fopen(name, "r")) == NULL || fgets(cluster, sizeof(cluster), f) == NULL) {
		fprintf(stderr,
			"TRIBE_POSTGRES must name what tests/kit/postgres has started: run this by ctest, or by\n"
			"  tests/kit/postgres run -- THIS postgresql\n");
		exit(1);
	}
	fclose(f);
	cluster[strcspn(cluster, "\n")] = '\0';
	snprintf(database, sizeof(database), "rig_%d", (int)getpid());
	snprintf(sql, sizeof(sql), "CREATE DATABASE %s TEMPLATE template0", database);
	pg_must(cluster, sql);
	atexit(pg_drop);
}

static void pg_place(struct rig *g)
{
	if (database[0] == '\0')
		pg_begin();
	/* of a word that is there twice the last one counts */
	snprintf(g->conninfo, sizeof(g->conninfo), "%s dbname='%s'", cluster, database);
}

static void pg_wipe(struct rig *g)
{
	pg_must(g->conninfo, "DROP SCHEMA public CASCADE; CREATE SCHEMA public");
}

static double pg_number(struct rig *g, const char *sql)
{
	double v = (double)NAN;

	if (strcmp(pg_run(g->conninfo, sql, &v), "00") != 0)
		fail_msg("%s", sql);
	return v;
}

static double pg_look(struct rig *g, unsigned what)
{
	return pg_number(g, rig_looks[what]);
}

/* A broken rule is of class 23, an exception raised by a trigger of class P0. */
static bool pg_refuses(struct rig *g, const char *sql)
{
	const char *state = pg_run(g->conninfo, sql, NULL);

	if (strcmp(state, "00") != 0 && strcmp(state, "23") != 0 && strcmp(state, "P0") != 0)
		fail_msg("%s: class %s", sql, state);
	return strcmp(state, "00") != 0;
}

const struct rig_backend rig_postgresql = {.name = "postgresql",
					   .open = archive_open,
					   .place = pg_place,
					   .wipe = pg_wipe,
					   .sound = nothing,
					   .look = pg_look,
					   .sql = pg_number,
					   .refuses = pg_refuses};
