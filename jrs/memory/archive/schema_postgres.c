/* The tables in PostgreSQL: the same as SQLite's (schema.c), version by version. PostgreSQL came with version 3. */
#include "jrs/memory/archive/postgres.h"
#include "jrs/memory/archive/schema.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tribe/version.h>

#define LOCK_KEY "8389200523" /* of the advisory lock held while tables are made: two tribes may start at once */

/* clang-format off */
/* Times are milliseconds since 1970 UTC. xid: the transaction that made the row, for whoever follows: sequences do not tell the
 * order of commits, a snapshot's horizon does. seq comes from memory_seq in blocks of SEQ_BLOCK. */
static const char version_3_memories[] =
	"CREATE SEQUENCE memory_seq AS bigint INCREMENT BY 1024 START WITH 1024;"
	"CREATE TABLE thermal_memory_archive("
	" seq bigint PRIMARY KEY,"
	" id text COLLATE \"C\" NOT NULL UNIQUE CHECK(length(id) BETWEEN 1 AND 128),"
	" memory_hash text NOT NULL CHECK(length(memory_hash) = 64),"
	" identity bytea,"
	" heat_key double precision NOT NULL,"
	" access_count bigint NOT NULL DEFAULT 1 CHECK(access_count >= 1),"
	" created_at bigint NOT NULL,"
	" last_access bigint NOT NULL,"
	" occurred_at bigint,"
	" importance double precision NOT NULL DEFAULT 0.5 CHECK(importance BETWEEN 0 AND 1),"
	" sacred_pattern smallint NOT NULL DEFAULT 0 CHECK(sacred_pattern IN (0, 1)),"
	" phase_coherence double precision CHECK(phase_coherence BETWEEN 0 AND 1),"
	" phase_count bigint NOT NULL DEFAULT 0,"
	" revision bigint NOT NULL DEFAULT 1,"
	" supersedes text COLLATE \"C\","
	" superseded_by text COLLATE \"C\","
	" source text,"
	" session text,"
	" speaker text,"
	" tags jsonb NOT NULL DEFAULT '[]',"
	" metadata json,"
	" original_content text NOT NULL,"
	" import_id text,"
	" xid xid8 NOT NULL DEFAULT pg_current_xact_id(),"
	" hidden smallint NOT NULL GENERATED ALWAYS AS (CASE WHEN source LIKE 'drill:%' THEN 1 ELSE 0 END) STORED,"
	" words tsvector GENERATED ALWAYS AS (setweight(to_tsvector('english'::regconfig, coalesce(speaker, '')), 'A')"
	"  || to_tsvector('english'::regconfig, original_content)) STORED);"
	"CREATE UNIQUE INDEX memory_identity ON thermal_memory_archive(identity) WHERE identity IS NOT NULL;"
	"CREATE INDEX memory_heat ON thermal_memory_archive(heat_key, sacred_pattern) WHERE hidden = 0;"
	"CREATE INDEX memory_phase ON thermal_memory_archive(phase_coherence) WHERE phase_coherence IS NOT NULL;"
	"CREATE INDEX memory_words ON thermal_memory_archive USING gin(words);"
	"CREATE INDEX memory_xid ON thermal_memory_archive(xid);"
	"CREATE INDEX memory_import ON thermal_memory_archive(import_id, sacred_pattern) WHERE import_id IS NOT NULL;"
	"CREATE INDEX memory_supersedes ON thermal_memory_archive(supersedes) WHERE supersedes IS NOT NULL;"
	"CREATE INDEX memory_superseded_by ON thermal_memory_archive(superseded_by) WHERE superseded_by IS NOT NULL;";

static const char version_3_tables[] =
	"CREATE TABLE changes(seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, memory bigint NOT NULL, kind smallint NOT NULL,"
	" xid xid8 NOT NULL DEFAULT pg_current_xact_id());"
	"CREATE INDEX change_xid ON changes(xid);"
	"CREATE TABLE thermal_heat_map(seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, at bigint NOT NULL,"
	" total_memories bigint NOT NULL, average_temperature double precision, sacred_min_temperature double precision,"
	" thermal_entropy double precision, white_hot bigint NOT NULL, red_hot bigint NOT NULL, warm bigint NOT NULL,"
	" cool bigint NOT NULL, cold bigint NOT NULL, ember bigint NOT NULL);"
	"CREATE TABLE entanglements(memory bigint NOT NULL, partner bigint NOT NULL, times bigint NOT NULL, last_at bigint NOT NULL,"
	" PRIMARY KEY(memory, partner));"
	"CREATE INDEX entanglement_partner ON entanglements(partner);"
	"CREATE TABLE decisions(seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, id text NOT NULL UNIQUE,"
	" memory_id text COLLATE \"C\" NOT NULL, decided_by text NOT NULL, decided_at bigint NOT NULL);"
	"CREATE INDEX decision_memory ON decisions(memory_id);"
	"CREATE INDEX decision_time ON decisions(decided_at);"
	"CREATE TABLE imports(seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,"
	" id text NOT NULL UNIQUE CHECK(length(id) BETWEEN 1 AND 128), name text NOT NULL, size bigint NOT NULL,"
	" position bigint NOT NULL DEFAULT 0 CHECK(position BETWEEN 0 AND size), added bigint NOT NULL DEFAULT 0,"
	" known bigint NOT NULL DEFAULT 0, skipped bigint NOT NULL DEFAULT 0, started bigint NOT NULL, finished bigint, undone bigint);"
	"CREATE TABLE requests(seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, id text COLLATE \"C\" NOT NULL UNIQUE,"
	" method text NOT NULL, fingerprint bytea NOT NULL, result bytea NOT NULL, created_at bigint NOT NULL, import_id text,"
	" memory_id text COLLATE \"C\");"
	"CREATE INDEX request_import ON requests(import_id) WHERE import_id IS NOT NULL;"
	"CREATE INDEX request_memory ON requests(memory_id) WHERE memory_id IS NOT NULL;"
	"CREATE TABLE recall_log(seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, at bigint NOT NULL, latency_us bigint NOT NULL,"
	" sources bigint NOT NULL);"
	"CREATE TABLE settings(key text PRIMARY KEY, value double precision NOT NULL);"
	"CREATE TABLE counters(name text PRIMARY KEY, value bigint NOT NULL);"
	"CREATE TABLE roles(role text PRIMARY KEY, epoch bigint NOT NULL, since bigint NOT NULL);";

/* What must hold whoever holds the pen. */
static const char version_3_rules[] =
	"CREATE FUNCTION tribe_refuse() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RAISE EXCEPTION '%', TG_ARGV[0]; END$$;"
	"CREATE TRIGGER sacred_stays BEFORE DELETE ON thermal_memory_archive FOR EACH ROW WHEN (OLD.sacred_pattern = 1)"
	" EXECUTE FUNCTION tribe_refuse('a sacred memory is not deleted');"
	"CREATE TRIGGER sacred_stays_sacred BEFORE UPDATE ON thermal_memory_archive FOR EACH ROW"
	" WHEN (OLD.sacred_pattern = 1 AND NEW.sacred_pattern = 0) EXECUTE FUNCTION tribe_refuse('a sacred memory stays sacred');"
	"CREATE TRIGGER never_cooled BEFORE UPDATE ON thermal_memory_archive FOR EACH ROW WHEN (NEW.heat_key < OLD.heat_key)"
	" EXECUTE FUNCTION tribe_refuse('nothing cools a memory but time');"
	"CREATE FUNCTION tribe_changed() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN"
	" INSERT INTO changes(memory, kind) VALUES(OLD.seq, CASE TG_OP WHEN 'DELETE' THEN 2 ELSE 1 END); RETURN NULL; END$$;"
	"CREATE TRIGGER change_noted AFTER UPDATE ON thermal_memory_archive FOR EACH ROW"
	" WHEN (OLD.revision <> NEW.revision OR OLD.sacred_pattern <> NEW.sacred_pattern) EXECUTE FUNCTION tribe_changed();"
	"CREATE TRIGGER forgetting_noted AFTER DELETE ON thermal_memory_archive FOR EACH ROW EXECUTE FUNCTION tribe_changed();";

static const char version_3_view[] =
	"CREATE VIEW thermal_memory_now AS WITH"
	" k AS MATERIALIZED (SELECT"
	"  max(value) FILTER (WHERE key = 'thermal.base') AS base, max(value) FILTER (WHERE key = 'thermal.k') AS k,"
	"  max(value) FILTER (WHERE key = 'thermal.half_life_ms') AS h, max(value) FILTER (WHERE key = 'thermal.max') AS top,"
	"  max(value) FILTER (WHERE key = 'thermal.sacred_floor') AS sacred_floor,"
	"  max(value) FILTER (WHERE key = 'thermal.stage.white_hot') AS white_hot,"
	"  max(value) FILTER (WHERE key = 'thermal.stage.red_hot') AS red_hot,"
	"  max(value) FILTER (WHERE key = 'thermal.stage.warm') AS warm,"
	"  max(value) FILTER (WHERE key = 'thermal.stage.cool') AS cool,"
	"  max(value) FILTER (WHERE key = 'thermal.stage.cold') AS cold,"
	"  extract(epoch FROM clock_timestamp())::float8 * 1000.0 AS now FROM settings),"
	" t AS (SELECT m.*, k.*, greatest(CASE sacred_pattern WHEN 1 THEN sacred_floor ELSE 0.0 END,"
	"  least(top, base + k.k * (heat_key - now / h))) AS temperature_score,"
	"  power(2.0::float8, least(1000.0, greatest(0.0, (now - last_access) / h))) AS decay_factor"
	"  FROM k CROSS JOIN thermal_memory_archive m WHERE m.hidden = 0)"
	" SELECT id, memory_hash, original_content, metadata, tags, source, session, speaker, importance, sacred_pattern,"
	" access_count, heat_key, created_at, occurred_at, last_access, phase_coherence, supersedes, superseded_by, revision,"
	" temperature_score, decay_factor,"
	" CASE WHEN temperature_score >= white_hot THEN 'white_hot' WHEN temperature_score >= red_hot THEN 'red_hot'"
	" WHEN temperature_score >= warm THEN 'warm' WHEN temperature_score >= cool THEN 'cool'"
	" WHEN temperature_score >= cold THEN 'cold' ELSE 'ember' END AS current_stage FROM t;";

/* Last, after the first values have been written. */
static const char version_3_seal[] =
	"CREATE TRIGGER constants_stay BEFORE UPDATE OR DELETE ON settings FOR EACH ROW WHEN (OLD.key LIKE 'thermal.%')"
	" EXECUTE FUNCTION tribe_refuse('thermal constants change only by a migration');";
/* TRUNCATE fires no trigger of DELETE. And what was forgotten must not stay in the planner's statistics, whose samples are whole
 * values: of nothing that people wrote are there any. */
static const char version_4[] =
	"CREATE TRIGGER memories_are_not_emptied BEFORE TRUNCATE ON thermal_memory_archive FOR EACH STATEMENT"
	" EXECUTE FUNCTION tribe_refuse('memories are forgotten one by one');"
	"CREATE TRIGGER constants_are_not_emptied BEFORE TRUNCATE ON settings FOR EACH STATEMENT"
	" EXECUTE FUNCTION tribe_refuse('thermal constants change only by a migration');"
	"ALTER TABLE thermal_memory_archive ALTER original_content SET STATISTICS 0, ALTER words SET STATISTICS 0,"
	" ALTER speaker SET STATISTICS 0, ALTER tags SET STATISTICS 0, ALTER metadata SET STATISTICS 0, ALTER session SET STATISTICS 0;"
	"ALTER TABLE requests ALTER result SET STATISTICS 0;"
	"ALTER TABLE decisions ALTER decided_by SET STATISTICS 0;";
static const char version_5[] =
	"CREATE TABLE tokens(seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,"
	" name text COLLATE \"C\" NOT NULL UNIQUE CHECK(length(name) BETWEEN 1 AND 64),"
	" hash bytea NOT NULL UNIQUE CHECK(length(hash) = 32), scopes bigint NOT NULL CHECK(scopes BETWEEN 1 AND 15), source text,"
	" created_at bigint NOT NULL, expires_at bigint, old_hash bytea CHECK(length(old_hash) = 32), old_until bigint);";
static const char version_6[] =
	"CREATE TABLE votes(seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,"
	" id text COLLATE \"C\" NOT NULL UNIQUE CHECK(length(id) BETWEEN 1 AND 128), proposal text NOT NULL, options jsonb NOT NULL,"
	" quorum bigint NOT NULL CHECK(quorum >= 1), threshold double precision NOT NULL CHECK(threshold BETWEEN 0 AND 1),"
	" called_by text NOT NULL, opened_at bigint NOT NULL, closes_at bigint NOT NULL, outside smallint NOT NULL CHECK(outside IN (0, 1)),"
	" convened smallint NOT NULL DEFAULT 0 CHECK(convened IN (0, 1)), closed_at bigint, outcome text,"
	" decided smallint NOT NULL DEFAULT 0 CHECK(decided IN (0, 1)), memory_id text COLLATE \"C\", decision_id text,"
	" CHECK((closed_at IS NULL) = (outcome IS NULL) AND (closed_at IS NULL) = (memory_id IS NULL)"
	"  AND (decided = 0) = (decision_id IS NULL)));"
	"CREATE INDEX vote_due ON votes(closes_at) WHERE closed_at IS NULL;"
	"CREATE INDEX vote_memory ON votes(memory_id) WHERE memory_id IS NOT NULL;"
	"CREATE TABLE ballots(seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, vote_id text COLLATE \"C\" NOT NULL,"
	" voter text COLLATE \"C\" NOT NULL, choice text NOT NULL, confidence double precision CHECK(confidence BETWEEN 0 AND 1),"
	" reason text, evidence jsonb NOT NULL DEFAULT '[]', cast_at bigint NOT NULL, revision bigint NOT NULL DEFAULT 1,"
	" UNIQUE(vote_id, voter));"
	"CREATE FUNCTION tribe_ballot_stays() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN"
	" IF EXISTS(SELECT 1 FROM votes WHERE id = OLD.vote_id AND closed_at IS NOT NULL) THEN"
	" RAISE EXCEPTION 'a closed vote stays as it is'; END IF; RETURN NEW; END$$;"
	"CREATE TRIGGER closed_vote_stays BEFORE UPDATE ON votes FOR EACH ROW WHEN (OLD.closed_at IS NOT NULL)"
	" EXECUTE FUNCTION tribe_refuse('a closed vote stays as it is');"
	"CREATE TRIGGER ballot_of_a_closed_vote_stays BEFORE UPDATE ON ballots FOR EACH ROW EXECUTE FUNCTION tribe_ballot_stays();"
	"ALTER TABLE votes ALTER proposal SET STATISTICS 0, ALTER options SET STATISTICS 0, ALTER called_by SET STATISTICS 0,"
	" ALTER outcome SET STATISTICS 0;"
	"ALTER TABLE ballots ALTER voter SET STATISTICS 0, ALTER choice SET STATISTICS 0, ALTER reason SET STATISTICS 0,"
	" ALTER evidence SET STATISTICS 0;";
static const char version_7[] =
	"CREATE TABLE guard_audit(seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, at bigint NOT NULL,"
	" action text NOT NULL CHECK(action IN ('refused', 'redacted', 'flagged')), class text NOT NULL, method text NOT NULL,"
	" who text NOT NULL, memory_id text COLLATE \"C\", request_id text COLLATE \"C\", source text, field text);"
	"CREATE INDEX audit_action ON guard_audit(action, seq);"
	"CREATE INDEX audit_memory ON guard_audit(memory_id) WHERE memory_id IS NOT NULL;"
	"CREATE UNIQUE INDEX audit_refused ON guard_audit(request_id, class, field) WHERE action = 'refused' AND request_id IS NOT NULL;";
static const char version_8[] =
	"CREATE INDEX memory_source ON thermal_memory_archive(source, seq) WHERE source IS NOT NULL;";
/* Governance, as schema.c has it. A trigger's WHEN holds no subquery: what the rule says stands in its function. */
static const char version_9_tables[] =
	"CREATE TABLE acts(seq bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,"
	" id text COLLATE \"C\" NOT NULL UNIQUE CHECK(length(id) BETWEEN 1 AND 64), act text NOT NULL, state text NOT NULL"
	"  CHECK(state IN ('pending', 'carrying', 'done', 'stopped', 'failed', 'refused')),"
	" memory_id text COLLATE \"C\", constants text, before text, signers text NOT NULL, reason text NOT NULL, note text,"
	" said bytea NOT NULL, submitted_at bigint NOT NULL, due_at bigint NOT NULL, ended_at bigint, envelope text);"
	"CREATE INDEX act_due ON acts(due_at) WHERE state = 'pending';"
	"CREATE INDEX act_carrying ON acts(act) WHERE state = 'carrying';"
	"CREATE TABLE objections(seq bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,"
	" id text COLLATE \"C\" NOT NULL UNIQUE CHECK(length(id) BETWEEN 1 AND 64), act_id text COLLATE \"C\" NOT NULL,"
	" objector text NOT NULL, reason text NOT NULL, at bigint NOT NULL, said bytea NOT NULL, envelope text);"
	"CREATE INDEX objection_act ON objections(act_id);"
	"CREATE TABLE thermal_clock(seq bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY, at bigint NOT NULL,"
	" tau double precision NOT NULL, half_life_ms double precision NOT NULL);"
	"CREATE TABLE sacred_quota(source bytea PRIMARY KEY, day bigint NOT NULL, used bigint NOT NULL);"
	"ALTER TABLE acts ALTER reason SET STATISTICS 0, ALTER note SET STATISTICS 0, ALTER envelope SET STATISTICS 0;"
	"ALTER TABLE objections ALTER reason SET STATISTICS 0, ALTER envelope SET STATISTICS 0;";
static const char version_9_rules[] =
	"CREATE FUNCTION tribe_governed_memory() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN"
	" IF NOT EXISTS(SELECT 1 FROM acts WHERE state = 'carrying' AND act = TG_ARGV[1] AND memory_id = OLD.id) THEN"
	"  RAISE EXCEPTION '%', TG_ARGV[0]; END IF;"
	" IF TG_OP = 'DELETE' THEN RETURN OLD; END IF; RETURN NEW; END$$;"
	"CREATE FUNCTION tribe_governed_constants() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN"
	" IF NOT EXISTS(SELECT 1 FROM acts WHERE state = 'carrying' AND act = 'constants') THEN"
	"  RAISE EXCEPTION '%', TG_ARGV[0]; END IF; RETURN NEW; END$$;"
	"DROP TRIGGER sacred_stays ON thermal_memory_archive; DROP TRIGGER sacred_stays_sacred ON thermal_memory_archive;"
	"DROP TRIGGER constants_stay ON settings;"
	"CREATE TRIGGER sacred_stays BEFORE DELETE ON thermal_memory_archive FOR EACH ROW WHEN (OLD.sacred_pattern = 1)"
	" EXECUTE FUNCTION tribe_governed_memory('a sacred memory is not deleted', 'delete');"
	"CREATE TRIGGER sacred_stays_sacred BEFORE UPDATE ON thermal_memory_archive FOR EACH ROW"
	" WHEN (OLD.sacred_pattern = 1 AND NEW.sacred_pattern = 0)"
	" EXECUTE FUNCTION tribe_governed_memory('a sacred memory stays sacred', 'unsacre');"
	"CREATE TRIGGER constants_stay BEFORE UPDATE ON settings FOR EACH ROW WHEN (OLD.key LIKE 'thermal.%')"
	" EXECUTE FUNCTION tribe_governed_constants('thermal constants change only by an act of governance');"
	"CREATE TRIGGER identity_stays BEFORE UPDATE ON settings FOR EACH ROW WHEN (OLD.key = 'archive.id')"
	" EXECUTE FUNCTION tribe_refuse('an archive keeps its id');"
	"CREATE TRIGGER constants_stay_here BEFORE DELETE ON settings FOR EACH ROW"
	" WHEN (OLD.key LIKE 'thermal.%' OR OLD.key = 'archive.id')"
	" EXECUTE FUNCTION tribe_refuse('thermal constants are not removed');"
	"CREATE TRIGGER clock_runs BEFORE INSERT ON thermal_clock FOR EACH ROW"
	" EXECUTE FUNCTION tribe_governed_constants('the half-life changes only by an act of governance');"
	"CREATE TRIGGER clock_stays BEFORE UPDATE OR DELETE ON thermal_clock FOR EACH ROW"
	" EXECUTE FUNCTION tribe_refuse('what was is not changed');"
	"CREATE TRIGGER acts_stay BEFORE DELETE ON acts FOR EACH ROW EXECUTE FUNCTION tribe_refuse('an act is kept');"
	"CREATE TRIGGER acts_end BEFORE UPDATE ON acts FOR EACH ROW WHEN (OLD.state IN ('done', 'stopped', 'failed'))"
	" EXECUTE FUNCTION tribe_refuse('an act that has ended stays so');"
	"CREATE TRIGGER objections_stay BEFORE DELETE ON objections FOR EACH ROW EXECUTE FUNCTION tribe_refuse('an objection is kept');";
static const char version_9_view[] =
	"CREATE OR REPLACE VIEW thermal_memory_now AS WITH"
	" s AS MATERIALIZED (SELECT"
	"  max(value) FILTER (WHERE key = 'thermal.base') AS base, max(value) FILTER (WHERE key = 'thermal.k') AS k,"
	"  max(value) FILTER (WHERE key = 'thermal.half_life_ms') AS h, max(value) FILTER (WHERE key = 'thermal.max') AS top,"
	"  max(value) FILTER (WHERE key = 'thermal.sacred_floor') AS sacred_floor,"
	"  max(value) FILTER (WHERE key = 'thermal.stage.white_hot') AS white_hot,"
	"  max(value) FILTER (WHERE key = 'thermal.stage.red_hot') AS red_hot,"
	"  max(value) FILTER (WHERE key = 'thermal.stage.warm') AS warm,"
	"  max(value) FILTER (WHERE key = 'thermal.stage.cool') AS cool,"
	"  max(value) FILTER (WHERE key = 'thermal.stage.cold') AS cold,"
	"  extract(epoch FROM clock_timestamp())::float8 * 1000.0 AS now FROM settings),"
	" k AS MATERIALIZED (SELECT s.*, coalesce((SELECT c.tau + (s.now - c.at) / c.half_life_ms FROM thermal_clock c"
	"  ORDER BY c.seq DESC LIMIT 1), s.now / s.h) AS tau_now FROM s),"
	" t AS (SELECT m.*, k.*, greatest(CASE sacred_pattern WHEN 1 THEN sacred_floor ELSE 0.0 END,"
	"  least(top, base + k.k * (heat_key - tau_now))) AS temperature_score,"
	"  power(2.0::float8, least(1000.0, greatest(0.0, tau_now - coalesce((SELECT c.tau + (m.last_access - c.at) / c.half_life_ms"
	"  FROM thermal_clock c WHERE c.at <= m.last_access ORDER BY c.seq DESC LIMIT 1), m.last_access / h)))) AS decay_factor"
	"  FROM k CROSS JOIN thermal_memory_archive m WHERE m.hidden = 0)"
	" SELECT id, memory_hash, original_content, metadata, tags, source, session, speaker, importance, sacred_pattern,"
	" access_count, heat_key, created_at, occurred_at, last_access, phase_coherence, supersedes, superseded_by, revision,"
	" temperature_score, decay_factor,"
	" CASE WHEN temperature_score >= white_hot THEN 'white_hot' WHEN temperature_score >= red_hot THEN 'red_hot'"
	" WHEN temperature_score >= warm THEN 'warm' WHEN temperature_score >= cool THEN 'cool'"
	" WHEN temperature_score >= cold THEN 'cold' ELSE 'ember' END AS current_stage FROM t;";
static const char version_10[] =
	"CREATE TRIGGER objections_stay_so BEFORE UPDATE ON objections FOR EACH ROW EXECUTE FUNCTION tribe_refuse('an objection is kept');";
static const char version_11[] =
	"ALTER TABLE ballots ADD COLUMN veto smallint NOT NULL DEFAULT 0 CHECK(veto IN (0, 1));";
/* clang-format on */

/* A text of our own. 0, or TR_ESTORE with the SQLSTATE noted. */
static int run(PGconn *pg, const char *sql, struct tr_fault *fault)
{
	PGresult *res = pq->PQexec(pg, sql);
	ExecStatusType s = pq->PQresultStatus(res);
	const char *state = pq->PQresultErrorField(res, PG_DIAG_SQLSTATE);
	int r = 0;

	if (s != PGRES_COMMAND_OK && s != PGRES_TUPLES_OK)
		r = tr_fault_set(fault, TR_ESTORE, "archive.url", "its tables cannot be made (SQLSTATE %s)",
				 state == NULL ? "unknown" : state);
	pq->PQclear(res);
	return r;
}

static int number(PGconn *pg, const char *sql, long long *out, struct tr_fault *fault)
{
	PGresult *res = pq->PQexec(pg, sql);
	int r = 0;

	if (pq->PQresultStatus(res) == PGRES_TUPLES_OK && pq->PQntuples(res) == 1 && !pq->PQgetisnull(res, 0, 0))
		*out = atoll(pq->PQgetvalue(res, 0, 0));
	else
		r = tr_fault_set(fault, TR_ESTORE, "archive.url", "cannot be read");
	pq->PQclear(res);
	return r;
}

static int put_setting(PGconn *pg, const char *key, double value, struct tr_fault *fault)
{
	char text[32];
	const char *const values[] = {key, text};
	PGresult *res;
	int r = 0;

	snprintf(text, sizeof(text), "%.17g", value);
	res = pq->PQexecParams(pg, "INSERT INTO settings(key, value) VALUES($1, $2)", 2, NULL, values, NULL, NULL, 0);
	if (pq->PQresultStatus(res) != PGRES_COMMAND_OK)
		r = tr_fault_set(fault, TR_ESTORE, "archive.url", "its settings cannot be written");
	pq->PQclear(res);
	return r;
}

static int up_3(PGconn *pg, struct tr_fault *fault)
{
	static const char *const parts[] = {version_3_memories, version_3_tables, version_3_rules, version_3_view};
	struct thermal_model m;
	size_t i;
	int r = 0;

	for (i = 0; r == 0 && i < sizeof(parts) / sizeof(parts[0]); i++)
		r = run(pg, parts[i], fault);
	thermal_first(&m);
#define X(member, key, first) \
	if (r == 0)           \
		r = put_setting(pg, key, m.member, fault);
	THERMAL_SETTINGS(X)
#undef X
#define X(id, name, key, from) \
	if (r == 0)            \
		r = put_setting(pg, key, m.stage_from[THERMAL_##id], fault);
	THERMAL_STAGES(X)
#undef X
	return r < 0 ? r : run(pg, version_3_seal, fault);
}

static int up_4(PGconn *pg, struct tr_fault *fault)
{
	return run(pg, version_4, fault);
}

static int up_5(PGconn *pg, struct tr_fault *fault)
{
	return run(pg, version_5, fault);
}

static int up_6(PGconn *pg, struct tr_fault *fault)
{
	return run(pg, version_6, fault);
}

static int up_7(PGconn *pg, struct tr_fault *fault)
{
	return run(pg, version_7, fault);
}

static int up_8(PGconn *pg, struct tr_fault *fault)
{
	return run(pg, version_8, fault);
}

static int up_9(PGconn *pg, struct tr_fault *fault)
{
	int r;

	if ((r = run(pg, version_9_tables, fault)) < 0 || (r = run(pg, version_9_rules, fault)) < 0)
		return r;
	return run(pg, version_9_view, fault);
}

static int up_10(PGconn *pg, struct tr_fault *fault)
{
	return run(pg, version_10, fault);
}

static int up_11(PGconn *pg, struct tr_fault *fault)
{
	return run(pg, version_11, fault);
}

/* From version FIRST on: migrations[i] leads to version FIRST + i. */
#define FIRST 3
static int (*const migrations[])(PGconn *pg, struct tr_fault *fault) = {up_3, up_4, up_5,  up_6, up_7,
									up_8, up_9, up_10, up_11};
#define NEWEST (FIRST + (int)(sizeof(migrations) / sizeof(migrations[0])) - 1)

static int one_migration(PGconn *pg, int version, int64_t now_ms, struct tr_fault *fault)
{
	char note[160];
	int r = migrations[version - FIRST](pg, fault);

	if (r < 0)
		return r;
	/* Numbers and our own version string only; the one statement that is put together. */
	snprintf(note, sizeof(note),
		 "INSERT INTO schema_migrations(version, applied_at, program) VALUES(%d, %lld, '%s')", version,
		 (long long)now_ms, TRIBE_VERSION);
	return run(pg, note, fault);
}

static int newer(long long version, struct tr_fault *fault)
{
	return tr_fault_set(fault, TR_ESTORE, "archive.url",
			    "was written by a newer program (schema %lld, this one knows %d)", version, NEWEST);
}

/* Inside the transaction that holds the lock. */
static int migrate(PGconn *pg, int64_t now_ms, struct tr_fault *fault)
{
	long long version = 0, tables = 0;
	int r;

	if ((r = number(pg,
			"SELECT (to_regclass('thermal_memory_archive') IS NOT NULL)::int * 2 "
			"+ (to_regclass('schema_migrations') IS NOT NULL)::int",
			&tables, fault)) < 0)
		return r;
	if (tables == 2)
		return tr_fault_set(fault, TR_ESTORE, "archive.url", "holds a table of our name that is not ours");
	if (tables == 0 &&
	    (r = run(pg,
		     "CREATE TABLE schema_migrations(version bigint PRIMARY KEY, applied_at bigint NOT NULL, "
		     "program text NOT NULL)",
		     fault)) < 0)
		return r;
	if ((r = number(pg, "SELECT coalesce(max(version), 0) FROM schema_migrations", &version, fault)) < 0)
		return r;
	if (version > NEWEST)
		return newer(version, fault);
	for (version = version < FIRST ? FIRST : version + 1; version <= NEWEST; version++) {
		if ((r = one_migration(pg, (int)version, now_ms, fault)) < 0)
			return r;
	}
	return 0;
}

int schema_postgres_ready(PGconn *pg, struct tr_fault *fault)
{
	long long ours = 0, version = 0;
	int r;

	if ((r = number(pg, "SELECT (to_regclass('schema_migrations') IS NOT NULL)::int", &ours, fault)) < 0 ||
	    (ours == 1 &&
	     (r = number(pg, "SELECT coalesce(max(version), 0) FROM schema_migrations", &version, fault)) < 0))
		return r;
	if (version > NEWEST)
		return newer(version, fault);
	return version < NEWEST ? schema_not_ready(fault) : 0;
}

int schema_postgres(PGconn *pg, int64_t now_ms, struct tr_fault *fault)
{
	int r;

	if (pq->PQserverVersion(pg) < 140000)
		return tr_fault_set(fault, TR_EUNSUPPORTED, "archive.url", "needs PostgreSQL 14 or newer");
	if ((r = run(pg, "BEGIN; SELECT pg_advisory_xact_lock(" LOCK_KEY ")", fault)) == 0 &&
	    (r = migrate(pg, now_ms, fault)) == 0)
		r = run(pg, "COMMIT", fault);
	if (r < 0)
		(void)run(pg, "ROLLBACK", NULL);
	return r;
}
