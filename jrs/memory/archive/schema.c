#include "jrs/memory/archive/schema.h"
#include "jrs/memory/thermal/thermal.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <tribe/version.h>
#include <unistd.h>

/* clang-format off */
/* Times are milliseconds since 1970 UTC. Small columns stand before the long text: a look at heat then reads few pages. */
static const char version_1_memories[] =
	"CREATE TABLE thermal_memory_archive("
	" seq INTEGER PRIMARY KEY AUTOINCREMENT,"         /* never used again: a watermark for whoever follows */
	" id TEXT NOT NULL UNIQUE CHECK(length(id) BETWEEN 1 AND 128),"
	" memory_hash TEXT NOT NULL CHECK(length(memory_hash) = 64)," /* SHA-256 of the content, hex */
	" identity BLOB,"                                 /* SHA-256 of source, session, speaker, at and content; NULL: client's own id */
	" heat_key REAL NOT NULL,"
	" access_count INTEGER NOT NULL DEFAULT 1 CHECK(access_count >= 1),"
	" created_at INTEGER NOT NULL,"
	" last_access INTEGER NOT NULL,"
	" occurred_at INTEGER,"
	" importance REAL NOT NULL DEFAULT 0.5 CHECK(importance BETWEEN 0 AND 1),"
	" sacred_pattern INTEGER NOT NULL DEFAULT 0 CHECK(sacred_pattern IN (0, 1)),"
	" phase_coherence REAL CHECK(phase_coherence BETWEEN 0 AND 1),"
	" phase_count INTEGER NOT NULL DEFAULT 0,"        /* comparisons that phase_coherence is the mean of */
	" revision INTEGER NOT NULL DEFAULT 1,"
	" supersedes TEXT,"
	" superseded_by TEXT,"
	" source TEXT,"
	" session TEXT,"
	" speaker TEXT,"
	" tags TEXT NOT NULL DEFAULT '[]',"               /* JSON */
	" metadata TEXT,"                                 /* JSON */
	" original_content TEXT NOT NULL,"
	" hidden INTEGER NOT NULL GENERATED ALWAYS AS (source IS NOT NULL AND substr(source, 1, 6) = 'drill:') VIRTUAL"
	") STRICT;"
	"CREATE UNIQUE INDEX memory_identity ON thermal_memory_archive(identity) WHERE identity IS NOT NULL;"
	"CREATE INDEX memory_heat ON thermal_memory_archive(heat_key, sacred_pattern) WHERE hidden = 0;"
	"CREATE INDEX memory_phase ON thermal_memory_archive(phase_coherence) WHERE phase_coherence IS NOT NULL;"
	"CREATE VIRTUAL TABLE memory_words USING fts5(original_content, speaker, content='thermal_memory_archive',"
	" content_rowid='seq', tokenize='porter unicode61');";

/* What must hold whoever holds the pen. */
static const char version_1_rules[] =
	"CREATE TRIGGER sacred_stays BEFORE DELETE ON thermal_memory_archive WHEN OLD.sacred_pattern = 1"
	" BEGIN SELECT raise(ABORT, 'a sacred memory is not deleted'); END;"
	"CREATE TRIGGER sacred_stays_sacred BEFORE UPDATE OF sacred_pattern ON thermal_memory_archive"
	" WHEN OLD.sacred_pattern = 1 AND NEW.sacred_pattern = 0"
	" BEGIN SELECT raise(ABORT, 'a sacred memory stays sacred'); END;"
	"CREATE TRIGGER never_cooled BEFORE UPDATE OF heat_key ON thermal_memory_archive WHEN NEW.heat_key < OLD.heat_key"
	" BEGIN SELECT raise(ABORT, 'nothing cools a memory but time'); END;";

/* entanglements: memory and partner are seq; each memory keeps a list of its own, so a pair may stand there once or twice. */
static const char version_1_tables[] =
	"CREATE TABLE thermal_heat_map(seq INTEGER PRIMARY KEY AUTOINCREMENT, at INTEGER NOT NULL,"
	" total_memories INTEGER NOT NULL, average_temperature REAL, sacred_min_temperature REAL, thermal_entropy REAL,"
	" white_hot INTEGER NOT NULL, red_hot INTEGER NOT NULL, warm INTEGER NOT NULL, cool INTEGER NOT NULL,"
	" cold INTEGER NOT NULL, ember INTEGER NOT NULL) STRICT;"
	"CREATE TABLE entanglements(memory INTEGER NOT NULL, partner INTEGER NOT NULL, times INTEGER NOT NULL,"
	" last_at INTEGER NOT NULL, PRIMARY KEY(memory, partner)) STRICT, WITHOUT ROWID;"
	"CREATE TABLE decisions(seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, memory_id TEXT NOT NULL,"
	" decided_by TEXT NOT NULL, decided_at INTEGER NOT NULL) STRICT;"
	"CREATE TABLE requests(seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, method TEXT NOT NULL,"
	" fingerprint BLOB NOT NULL, result BLOB NOT NULL, created_at INTEGER NOT NULL) STRICT;"
	"CREATE TABLE recall_log(seq INTEGER PRIMARY KEY AUTOINCREMENT, at INTEGER NOT NULL, latency_us INTEGER NOT NULL,"
	" sources INTEGER NOT NULL) STRICT;"
	"CREATE TABLE settings(key TEXT PRIMARY KEY, value ANY NOT NULL) STRICT, WITHOUT ROWID;"
	"CREATE TABLE counters(name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;"
	"CREATE TABLE roles(role TEXT PRIMARY KEY, epoch INTEGER NOT NULL, since INTEGER NOT NULL) STRICT, WITHOUT ROWID;";

/* Temperatures as of now; docs/THERMAL_ENTROPY_MODEL.md. Drill load is left out, as in every figure. */
static const char version_1_view[] =
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
	"  (julianday('now') - 2440587.5) * 86400000.0 AS now FROM settings),"
	" t AS (SELECT m.*, k.*, max(CASE sacred_pattern WHEN 1 THEN sacred_floor ELSE 0.0 END,"
	"  min(top, base + k * (heat_key - now / h))) AS temperature_score,"
	"  pow(2.0, min(1000.0, max(0.0, (now - last_access) / h))) AS decay_factor"
	"  FROM k CROSS JOIN thermal_memory_archive m WHERE m.hidden = 0)"
	" SELECT id, memory_hash, original_content, metadata, tags, source, session, speaker, importance, sacred_pattern,"
	" access_count, heat_key, created_at, occurred_at, last_access, phase_coherence, supersedes, superseded_by, revision,"
	" temperature_score, decay_factor,"
	" CASE WHEN temperature_score >= white_hot THEN 'white_hot' WHEN temperature_score >= red_hot THEN 'red_hot'"
	" WHEN temperature_score >= warm THEN 'warm' WHEN temperature_score >= cool THEN 'cool'"
	" WHEN temperature_score >= cold THEN 'cold' ELSE 'ember' END AS current_stage FROM t;";

/* Last, after the first values have been written. */
static const char version_1_seal[] =
	"CREATE TRIGGER constants_stay BEFORE UPDATE ON settings WHEN OLD.key LIKE 'thermal.%'"
	" BEGIN SELECT raise(ABORT, 'thermal constants change only by a migration'); END;"
	"CREATE TRIGGER constants_stay_here BEFORE DELETE ON settings WHEN OLD.key LIKE 'thermal.%'"
	" BEGIN SELECT raise(ABORT, 'thermal constants change only by a migration'); END;";

/* What a memory was brought by, and who points at whom: the indexes hold only rows that have such a thing. */
static const char version_2[] =
	"CREATE TABLE imports(seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE CHECK(length(id) BETWEEN 1 AND 128),"
	" name TEXT NOT NULL, size INTEGER NOT NULL, position INTEGER NOT NULL DEFAULT 0 CHECK(position BETWEEN 0 AND size),"
	" added INTEGER NOT NULL DEFAULT 0, known INTEGER NOT NULL DEFAULT 0, skipped INTEGER NOT NULL DEFAULT 0,"
	" started INTEGER NOT NULL, finished INTEGER, undone INTEGER) STRICT;"
	"ALTER TABLE thermal_memory_archive ADD COLUMN import_id TEXT;" /* of the import that created it */
	"CREATE INDEX memory_import ON thermal_memory_archive(import_id, sacred_pattern) WHERE import_id IS NOT NULL;"
	"CREATE INDEX memory_supersedes ON thermal_memory_archive(supersedes) WHERE supersedes IS NOT NULL;"
	"CREATE INDEX memory_superseded_by ON thermal_memory_archive(superseded_by) WHERE superseded_by IS NOT NULL;"
	"CREATE INDEX entanglement_partner ON entanglements(partner);"
	"CREATE INDEX decision_memory ON decisions(memory_id);"
	"CREATE INDEX decision_time ON decisions(decided_at);"
	"ALTER TABLE requests ADD COLUMN import_id TEXT;"
	"CREATE INDEX request_import ON requests(import_id) WHERE import_id IS NOT NULL;"
	"CREATE INDEX request_with_text ON requests(method) WHERE method IN ('memory.decide', 'memory.patch');";
/* What a follower cannot see in the rows themselves: what changed, and what is gone (enum archive_change_kind). Heat is not
 * among it: it is read where it is needed. The newest one is never trimmed, so that numbers go on. */
static const char version_3[] =
	"CREATE TABLE changes(seq INTEGER PRIMARY KEY AUTOINCREMENT, memory INTEGER NOT NULL, kind INTEGER NOT NULL) STRICT;"
	"CREATE TRIGGER change_noted AFTER UPDATE OF tags, importance, metadata, sacred_pattern, supersedes, superseded_by"
	" ON thermal_memory_archive WHEN OLD.revision <> NEW.revision OR OLD.sacred_pattern <> NEW.sacred_pattern"
	" BEGIN INSERT INTO changes(memory, kind) VALUES(NEW.seq, 1); END;"
	"CREATE TRIGGER forgetting_noted AFTER DELETE ON thermal_memory_archive"
	" BEGIN INSERT INTO changes(memory, kind) VALUES(OLD.seq, 2); END;"
	/* whose text a stored answer holds; of older answers nobody knows it, so they are emptied: forgetting must find all */
	"DROP INDEX request_with_text;"
	"ALTER TABLE requests ADD COLUMN memory_id TEXT;"
	"UPDATE requests SET result = x'' WHERE method IN ('memory.decide', 'memory.patch');"
	"CREATE INDEX request_memory ON requests(memory_id) WHERE memory_id IS NOT NULL;";
/* What REPLACE removes fires no trigger of DELETE: an update that would displace a sacred memory, and an insert that would displace a
 * constant, are refused before. No trigger watches inserts of memories: each would then copy its pages aside, 10 us a row. And FTS5
 * merges so many of its pages at once that commits were seen to wait 20 ms for it: smaller pages, smaller lots. */
static const char version_4[] =
	"CREATE TRIGGER sacred_is_not_displaced BEFORE UPDATE OF seq, id, identity ON thermal_memory_archive WHEN"
	" EXISTS(SELECT 1 FROM thermal_memory_archive WHERE sacred_pattern = 1 AND seq <> OLD.seq"
	"  AND (seq = NEW.seq OR id = NEW.id OR identity = NEW.identity))"
	" BEGIN SELECT raise(ABORT, 'a sacred memory is not replaced'); END;"
	"CREATE TRIGGER constants_are_not_replaced BEFORE INSERT ON settings"
	" WHEN NEW.key LIKE 'thermal.%' AND EXISTS(SELECT 1 FROM settings WHERE key = NEW.key)"
	" BEGIN SELECT raise(ABORT, 'thermal constants change only by a migration'); END;"
	"INSERT INTO memory_words(memory_words, rank) VALUES('pgsz', 1000);";
/* Tokens of the API: their SHA-256 only. scopes: bits of common/base/token.h */
static const char version_5[] =
	"CREATE TABLE tokens(seq INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE CHECK(length(name) BETWEEN 1 AND 64),"
	" hash BLOB NOT NULL UNIQUE CHECK(length(hash) = 32), scopes INTEGER NOT NULL CHECK(scopes BETWEEN 1 AND 15), source TEXT,"
	" created_at INTEGER NOT NULL, expires_at INTEGER, old_hash BLOB CHECK(length(old_hash) = 32), old_until INTEGER) STRICT;";
/* Votes. closes_at: with outside = 1 others than the Jrs may vote until then, else so long the Jrs have; behind it whoever leads closes the
 * vote. convened: the Jrs have been asked. memory_id: what remembers the outcome; forgetting it forgets the vote. A closed one stays as it is. */
static const char version_6[] =
	"CREATE TABLE votes(seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE CHECK(length(id) BETWEEN 1 AND 128),"
	" proposal TEXT NOT NULL, options TEXT NOT NULL," /* JSON */
	" quorum INTEGER NOT NULL CHECK(quorum >= 1), threshold REAL NOT NULL CHECK(threshold BETWEEN 0 AND 1), called_by TEXT NOT NULL,"
	" opened_at INTEGER NOT NULL, closes_at INTEGER NOT NULL, outside INTEGER NOT NULL CHECK(outside IN (0, 1)),"
	" convened INTEGER NOT NULL DEFAULT 0 CHECK(convened IN (0, 1)), closed_at INTEGER, outcome TEXT,"
	" decided INTEGER NOT NULL DEFAULT 0 CHECK(decided IN (0, 1)), memory_id TEXT, decision_id TEXT,"
	" CHECK((closed_at IS NULL) = (outcome IS NULL) AND (closed_at IS NULL) = (memory_id IS NULL)"
	"  AND (decided = 0) = (decision_id IS NULL))) STRICT;"
	"CREATE INDEX vote_due ON votes(closes_at) WHERE closed_at IS NULL;"
	"CREATE INDEX vote_memory ON votes(memory_id) WHERE memory_id IS NOT NULL;"
	"CREATE TABLE ballots(seq INTEGER PRIMARY KEY AUTOINCREMENT, vote_id TEXT NOT NULL, voter TEXT NOT NULL, choice TEXT NOT NULL,"
	" confidence REAL CHECK(confidence BETWEEN 0 AND 1), reason TEXT, evidence TEXT NOT NULL DEFAULT '[]'," /* JSON */
	" cast_at INTEGER NOT NULL, revision INTEGER NOT NULL DEFAULT 1, UNIQUE(vote_id, voter)) STRICT;"
	"CREATE TRIGGER closed_vote_stays BEFORE UPDATE ON votes WHEN OLD.closed_at IS NOT NULL"
	" BEGIN SELECT raise(ABORT, 'a closed vote stays as it is'); END;"
	"CREATE TRIGGER ballot_of_a_closed_vote_stays BEFORE UPDATE ON ballots"
	" WHEN EXISTS(SELECT 1 FROM votes WHERE id = OLD.vote_id AND closed_at IS NOT NULL)"
	" BEGIN SELECT raise(ABORT, 'a closed vote stays as it is'); END;";
/* What the guard did: classes and places, never a byte of what it found. Of one request the same is noted once. */
static const char version_7[] =
	"CREATE TABLE guard_audit(seq INTEGER PRIMARY KEY AUTOINCREMENT, at INTEGER NOT NULL,"
	" action TEXT NOT NULL CHECK(action IN ('refused', 'redacted', 'flagged')), class TEXT NOT NULL, method TEXT NOT NULL,"
	" who TEXT NOT NULL, memory_id TEXT, request_id TEXT, source TEXT, field TEXT) STRICT;"
	"CREATE INDEX audit_action ON guard_audit(action, seq);"
	"CREATE INDEX audit_memory ON guard_audit(memory_id) WHERE memory_id IS NOT NULL;"
	"CREATE UNIQUE INDEX audit_refused ON guard_audit(request_id, class, field) WHERE action = 'refused' AND request_id IS NOT NULL;";
/* For who is bound to a source (owned.c): what is there for him is found without reading the rest. */
static const char version_8[] =
	"CREATE INDEX memory_source ON thermal_memory_archive(source) WHERE source IS NOT NULL;";
/* Governance: acts.c. The rules of version 1 give way to an act that is being carried out, in that transaction alone. The
 * thermal clock: thermal.h; no row: the half-life was never changed. Of the view only what reads t/h is another. */
#define UNDER_ACT(what, memory)                                                                                         \
	" AND NOT EXISTS(SELECT 1 FROM acts WHERE state = 'carrying' AND act = '" what "'" memory ")"
static const char version_9_tables[] =
	"CREATE TABLE acts(seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE CHECK(length(id) BETWEEN 1 AND 64),"
	" act TEXT NOT NULL, state TEXT NOT NULL"
	"  CHECK(state IN ('pending', 'carrying', 'done', 'stopped', 'failed', 'refused')),"
	" memory_id TEXT, constants TEXT, before TEXT," /* JSON: what is asked for, what held before */
	" signers TEXT NOT NULL, reason TEXT NOT NULL, note TEXT, said BLOB NOT NULL," /* said: SHA-256 of what was asked */
	" submitted_at INTEGER NOT NULL, due_at INTEGER NOT NULL, ended_at INTEGER,"
	" envelope TEXT) STRICT;" /* as it came, for whoever wants to verify it again; NULL: by an admin */
	"CREATE INDEX act_due ON acts(due_at) WHERE state = 'pending';"
	"CREATE INDEX act_carrying ON acts(act) WHERE state = 'carrying';"
	"CREATE TABLE objections(seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE CHECK(length(id) BETWEEN 1 AND 64),"
	" act_id TEXT NOT NULL, objector TEXT NOT NULL, reason TEXT NOT NULL, at INTEGER NOT NULL, said BLOB NOT NULL,"
	" envelope TEXT) STRICT;"
	"CREATE INDEX objection_act ON objections(act_id);"
	"CREATE TABLE thermal_clock(seq INTEGER PRIMARY KEY AUTOINCREMENT, at INTEGER NOT NULL, tau REAL NOT NULL,"
	" half_life_ms REAL NOT NULL) STRICT;"
	/* source: SHA-256 of its name; day: since 1970, UTC */
	"CREATE TABLE sacred_quota(source BLOB PRIMARY KEY, day INTEGER NOT NULL, used INTEGER NOT NULL) STRICT, WITHOUT ROWID;";
static const char version_9_rules[] =
	"DROP TRIGGER sacred_stays; DROP TRIGGER sacred_stays_sacred; DROP TRIGGER constants_stay;"
	"DROP TRIGGER constants_stay_here; DROP TRIGGER constants_are_not_replaced;"
	"CREATE TRIGGER sacred_stays BEFORE DELETE ON thermal_memory_archive WHEN OLD.sacred_pattern = 1"
	UNDER_ACT("delete", " AND memory_id = OLD.id")
	" BEGIN SELECT raise(ABORT, 'a sacred memory is not deleted'); END;"
	"CREATE TRIGGER sacred_stays_sacred BEFORE UPDATE OF sacred_pattern ON thermal_memory_archive"
	" WHEN OLD.sacred_pattern = 1 AND NEW.sacred_pattern = 0" UNDER_ACT("unsacre", " AND memory_id = OLD.id")
	" BEGIN SELECT raise(ABORT, 'a sacred memory stays sacred'); END;"
	"CREATE TRIGGER constants_stay BEFORE UPDATE ON settings WHEN (OLD.key LIKE 'thermal.%'" UNDER_ACT("constants", "")
	") OR OLD.key = 'archive.id'"
	" BEGIN SELECT raise(ABORT, 'thermal constants change only by an act of governance'); END;"
	"CREATE TRIGGER constants_stay_here BEFORE DELETE ON settings WHEN OLD.key LIKE 'thermal.%' OR OLD.key = 'archive.id'"
	" BEGIN SELECT raise(ABORT, 'thermal constants are not removed'); END;"
	"CREATE TRIGGER constants_are_not_replaced BEFORE INSERT ON settings"
	" WHEN EXISTS(SELECT 1 FROM settings WHERE key = NEW.key)" UNDER_ACT("constants", "")
	" BEGIN SELECT raise(ABORT, 'thermal constants change only by an act of governance'); END;"
	"CREATE TRIGGER clock_runs BEFORE INSERT ON thermal_clock WHEN 1" UNDER_ACT("constants", "")
	" BEGIN SELECT raise(ABORT, 'the half-life changes only by an act of governance'); END;"
	"CREATE TRIGGER clock_stays BEFORE UPDATE ON thermal_clock BEGIN SELECT raise(ABORT, 'what was is not changed'); END;"
	"CREATE TRIGGER clock_stays_here BEFORE DELETE ON thermal_clock BEGIN SELECT raise(ABORT, 'what was is not removed'); END;"
	"CREATE TRIGGER acts_stay BEFORE DELETE ON acts WHEN OLD.seq > 0" /* below: fresh.c */
	" BEGIN SELECT raise(ABORT, 'an act is kept'); END;"
	"CREATE TRIGGER acts_end BEFORE UPDATE ON acts WHEN OLD.state IN ('done', 'stopped', 'failed')"
	" BEGIN SELECT raise(ABORT, 'an act that has ended stays so'); END;"
	"CREATE TRIGGER objections_stay BEFORE DELETE ON objections BEGIN SELECT raise(ABORT, 'an objection is kept'); END;";
static const char version_9_view[] =
	"DROP VIEW thermal_memory_now;"
	"CREATE VIEW thermal_memory_now AS WITH"
	" s AS MATERIALIZED (SELECT"
	"  max(value) FILTER (WHERE key = 'thermal.base') AS base, max(value) FILTER (WHERE key = 'thermal.k') AS k,"
	"  max(value) FILTER (WHERE key = 'thermal.half_life_ms') AS h, max(value) FILTER (WHERE key = 'thermal.max') AS top,"
	"  max(value) FILTER (WHERE key = 'thermal.sacred_floor') AS sacred_floor,"
	"  max(value) FILTER (WHERE key = 'thermal.stage.white_hot') AS white_hot,"
	"  max(value) FILTER (WHERE key = 'thermal.stage.red_hot') AS red_hot,"
	"  max(value) FILTER (WHERE key = 'thermal.stage.warm') AS warm,"
	"  max(value) FILTER (WHERE key = 'thermal.stage.cool') AS cool,"
	"  max(value) FILTER (WHERE key = 'thermal.stage.cold') AS cold,"
	"  (julianday('now') - 2440587.5) * 86400000.0 AS now FROM settings),"
	" k AS MATERIALIZED (SELECT s.*, coalesce((SELECT tau + (s.now - at) / half_life_ms FROM thermal_clock"
	"  ORDER BY seq DESC LIMIT 1), s.now / s.h) AS tau_now FROM s),"
	" t AS (SELECT m.*, k.*, max(CASE sacred_pattern WHEN 1 THEN sacred_floor ELSE 0.0 END,"
	"  min(top, base + k * (heat_key - tau_now))) AS temperature_score,"
	"  pow(2.0, min(1000.0, max(0.0, tau_now - coalesce((SELECT c.tau + (m.last_access - c.at) / c.half_life_ms"
	"  FROM thermal_clock c WHERE c.at <= m.last_access ORDER BY c.seq DESC LIMIT 1), m.last_access / h)))) AS decay_factor"
	"  FROM k CROSS JOIN thermal_memory_archive m WHERE m.hidden = 0)"
	" SELECT id, memory_hash, original_content, metadata, tags, source, session, speaker, importance, sacred_pattern,"
	" access_count, heat_key, created_at, occurred_at, last_access, phase_coherence, supersedes, superseded_by, revision,"
	" temperature_score, decay_factor,"
	" CASE WHEN temperature_score >= white_hot THEN 'white_hot' WHEN temperature_score >= red_hot THEN 'red_hot'"
	" WHEN temperature_score >= warm THEN 'warm' WHEN temperature_score >= cool THEN 'cool'"
	" WHEN temperature_score >= cold THEN 'cold' ELSE 'ember' END AS current_stage FROM t;";
/* What governance has said stays as it was said; and from here on it is in the digest of a backup's content. What REPLACE removes
 * fires no trigger: see version 4. */
static const char version_10[] =
	"CREATE TRIGGER objections_stay_so BEFORE UPDATE ON objections BEGIN SELECT raise(ABORT, 'an objection is kept'); END;"
	"CREATE TRIGGER objections_are_not_replaced BEFORE INSERT ON objections"
	" WHEN EXISTS(SELECT 1 FROM objections WHERE id = NEW.id OR seq = NEW.seq)"
	" BEGIN SELECT raise(ABORT, 'an objection is kept'); END;";
/* What memory-jr's ballot says of sacred memories: it keeps "yes" from winning. And each word of the index is written again half as
 * often as with merges of four, which took a quarter of an add. */
static const char version_11[] =
	"ALTER TABLE ballots ADD COLUMN veto INTEGER NOT NULL DEFAULT 0 CHECK(veto IN (0, 1));"
	"INSERT INTO memory_words(memory_words, rank) VALUES('automerge', 8);";
/* clang-format on */

static int put_setting(sqlite3 *db, const char *key, double value)
{
	sqlite3_stmt *st = NULL;
	int rc = sqlite3_prepare_v2(db, "INSERT INTO settings(key, value) VALUES(?1, ?2)", -1, &st, NULL);

	if (rc == SQLITE_OK)
		rc = sqlite3_bind_text(st, 1, key, -1, SQLITE_STATIC);
	if (rc == SQLITE_OK)
		rc = sqlite3_bind_double(st, 2, value);
	if (rc == SQLITE_OK)
		rc = sqlite3_step(st);
	sqlite3_finalize(st);
	return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

static int up_1(sqlite3 *db)
{
	struct thermal_model m;
	static const char *const parts[] = {version_1_memories, version_1_rules, version_1_tables, version_1_view};
	int rc = SQLITE_OK;
	size_t i;

	for (i = 0; rc == SQLITE_OK && i < sizeof(parts) / sizeof(parts[0]); i++)
		rc = sqlite3_exec(db, parts[i], NULL, NULL, NULL);
	thermal_first(&m);
#define X(member, key, first) \
	if (rc == SQLITE_OK)  \
		rc = put_setting(db, key, m.member);
	THERMAL_SETTINGS(X)
#undef X
#define X(id, name, key, from) \
	if (rc == SQLITE_OK)   \
		rc = put_setting(db, key, m.stage_from[THERMAL_##id]);
	THERMAL_STAGES(X)
#undef X
	return rc != SQLITE_OK ? rc : sqlite3_exec(db, version_1_seal, NULL, NULL, NULL);
}

static int up_2(sqlite3 *db)
{
	return sqlite3_exec(db, version_2, NULL, NULL, NULL);
}

static int up_3(sqlite3 *db)
{
	return sqlite3_exec(db, version_3, NULL, NULL, NULL);
}

static int up_4(sqlite3 *db)
{
	return sqlite3_exec(db, version_4, NULL, NULL, NULL);
}

static int up_5(sqlite3 *db)
{
	return sqlite3_exec(db, version_5, NULL, NULL, NULL);
}

static int up_6(sqlite3 *db)
{
	return sqlite3_exec(db, version_6, NULL, NULL, NULL);
}

static int up_7(sqlite3 *db)
{
	return sqlite3_exec(db, version_7, NULL, NULL, NULL);
}

static int up_8(sqlite3 *db)
{
	return sqlite3_exec(db, version_8, NULL, NULL, NULL);
}

static int up_9(sqlite3 *db)
{
	static const char *const parts[] = {version_9_tables, version_9_rules, version_9_view};
	int rc = SQLITE_OK;

	for (size_t i = 0; rc == SQLITE_OK && i < sizeof(parts) / sizeof(parts[0]); i++)
		rc = sqlite3_exec(db, parts[i], NULL, NULL, NULL);
	return rc;
}

static int up_10(sqlite3 *db)
{
	return sqlite3_exec(db, version_10, NULL, NULL, NULL);
}

static int up_11(sqlite3 *db)
{
	return sqlite3_exec(db, version_11, NULL, NULL, NULL);
}

/* migrations[i] leads from version i to i + 1. What has been released is never edited; a change is a new line. */
static int (*const migrations[])(sqlite3 *db) = {up_1, up_2, up_3, up_4, up_5, up_6, up_7, up_8, up_9, up_10, up_11};
#define NEWEST ((int)(sizeof(migrations) / sizeof(migrations[0])))

int schema_version(void)
{
	return NEWEST;
}

static int refuse(struct tr_fault *fault, const char *rule)
{
	return tr_fault_set(fault, TR_ESTORE, "archive.url", "%s", rule);
}

bool schema_head_is_ours(const unsigned char *head, size_t n)
{
	return n >= 72 && memcmp(head, "SQLite format 3", 16) == 0 &&
	       ((uint32_t)head[68] << 24 | (uint32_t)head[69] << 16 | (uint32_t)head[70] << 8 | head[71]) ==
		       SCHEMA_APPLICATION_ID;
}

int schema_check_file(const char *path, struct tr_fault *fault)
{
	unsigned char head[100];
	struct stat st;
	ssize_t n;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

	if (fd < 0)
		return errno == ENOENT
			       ? 0
			       : tr_fault_set(fault, TR_ESTORE, "archive.url", "cannot be opened (errno %d)", errno);
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
		close(fd);
		return refuse(fault, "is not a regular file");
	}
	n = read(fd, head, sizeof(head));
	close(fd);
	if (n == 0)
		return 0;
	if (schema_head_is_ours(head, n < 0 ? 0 : (size_t)n))
		return 0;
	if (n < (ssize_t)sizeof(head) || memcmp(head, "SQLite format 3", 16) != 0)
		return refuse(fault, "is not a database, or its beginning is damaged; the file was left as it is");
	return refuse(fault, "is a database of another program; the file was left as it is");
}

/* One number from one query; < 0 when it cannot be read. */
static int64_t number(sqlite3 *db, const char *sql)
{
	sqlite3_stmt *st = NULL;
	int64_t n = -1;

	if (sqlite3_prepare_v2(db, sql, -1, &st, NULL) == SQLITE_OK && sqlite3_step(st) == SQLITE_ROW)
		n = sqlite3_column_int64(st, 0);
	sqlite3_finalize(st);
	return n;
}

int schema_make_ours(sqlite3 *db, struct tr_fault *fault)
{
	char sql[64];
	int64_t tables = number(db, "SELECT count(*) FROM sqlite_schema");

	if (tables > 0 && number(db, "SELECT count(*) FROM sqlite_schema WHERE name = 'schema_migrations'") == 1)
		return 0;
	if (tables != 0)
		return tr_fault_set(fault, TR_ESTORE, "archive.url", "cannot be read, or its tables are not ours (%s)",
				    sqlite3_errstr(sqlite3_extended_errcode(db)));
	sqlite3_snprintf((int)sizeof(sql), sql, "PRAGMA application_id = %d", SCHEMA_APPLICATION_ID);
	if (sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK)
		return 0;
	return tr_fault_set(fault, TR_ESTORE, "archive.url", "cannot be written (%s)",
			    sqlite3_errstr(sqlite3_extended_errcode(db)));
}

static int one_migration(sqlite3 *db, int version, int64_t now_ms)
{
	char note[160];
	int rc = sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL);

	if (rc != SQLITE_OK)
		return rc;
	rc = migrations[version - 1](db);
	/* Numbers and our own version string only; the one statement that is put together. */
	snprintf(note, sizeof(note),
		 "INSERT INTO schema_migrations(version, applied_at, program) VALUES(%d, %lld, '%s')", version,
		 (long long)now_ms, TRIBE_VERSION);
	if (rc == SQLITE_OK)
		rc = sqlite3_exec(db, note, NULL, NULL, NULL);
	if (rc == SQLITE_OK)
		rc = sqlite3_exec(db, "COMMIT", NULL, NULL, NULL);
	if (rc != SQLITE_OK)
		sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
	return rc;
}

int schema_migrate_to(sqlite3 *db, int newest, int64_t now_ms, struct tr_fault *fault)
{
	int64_t version;

	if (sqlite3_exec(db,
			 "CREATE TABLE IF NOT EXISTS schema_migrations(version INTEGER PRIMARY KEY, applied_at INTEGER "
			 "NOT NULL,"
			 " program TEXT NOT NULL) STRICT",
			 NULL, NULL, NULL) != SQLITE_OK)
		return tr_fault_set(fault, TR_ESTORE, "archive.url", "cannot be read or written (%s)",
				    sqlite3_errstr(sqlite3_extended_errcode(db)));
	version = number(db, "SELECT coalesce(max(version), 0) FROM schema_migrations");
	if (version < 0)
		return refuse(fault, "has no readable list of schema versions");
	if (version > NEWEST)
		return tr_fault_set(fault, TR_ESTORE, "archive.url",
				    "was written by a newer program (schema %lld, this one knows %d)",
				    (long long)version, NEWEST);
	for (; version < newest; version++) {
		if (one_migration(db, (int)version + 1, now_ms) != SQLITE_OK)
			return tr_fault_set(fault, TR_ESTORE, "archive.url", "could not be brought to schema %d (%s)",
					    (int)version + 1, sqlite3_errstr(sqlite3_extended_errcode(db)));
	}
	return 0;
}

bool schema_is_old(sqlite3 *db)
{
	return number(db, "SELECT count(*) FROM sqlite_schema WHERE name = 'schema_migrations'") != 1 ||
	       number(db, "SELECT coalesce(max(version), 0) FROM schema_migrations") < NEWEST;
}

int schema_not_ready(struct tr_fault *fault)
{
	return tr_fault_set(fault, TR_EBUSY, "archive.url",
			    "is not ready to be followed: whoever leads makes or mends it");
}

int schema_ready(sqlite3 *db, struct tr_fault *fault)
{
	int64_t version = number(db, "SELECT coalesce(max(version), 0) FROM schema_migrations");

	if (version > NEWEST)
		return tr_fault_set(fault, TR_ESTORE, "archive.url",
				    "was written by a newer program (schema %lld, this one knows %d)",
				    (long long)version, NEWEST);
	if (version < NEWEST || number(db, "SELECT count(*) FROM pragma_journal_mode WHERE journal_mode = 'wal'") != 1)
		return schema_not_ready(fault);
	return 0;
}

int schema_migrate(sqlite3 *db, int64_t now_ms, struct tr_fault *fault)
{
	return schema_migrate_to(db, NEWEST, now_ms, fault);
}
