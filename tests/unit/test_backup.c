/* jrs/memory/archive/backup (the manifest: test_backup_manifest.c): a backup is one moment of the archive, its manifest
 * is believed only where it is true, and the digest of its content depends on nothing but the content. */
#include "tests/unit/memory_rig.h"

#include "jrs/memory/archive/backup.h"
#include "jrs/memory/archive/pagesum.h"
#include "jrs/memory/archive/schema.h"
#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>

struct taken {
	char path[128];
	struct backup manifest;
};

static void take(struct rig *g, const char *name, struct taken *t)
{
	struct backup_watch watch = {.phase = ""};
	struct tr_fault fault = {0};
	int fd;

	snprintf(t->path, sizeof(t->path), "%s/%s", g->dir, name);
	fd = open(t->path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	close(fd);
	if (backup_sqlite(g->path, t->path, &watch, &t->manifest, &fault) < 0)
		fail_msg("no backup: %s %s", fault.field, fault.rule);
}

/* The payload alone, as a restore makes it. */
static void open_up(const struct taken *t, struct backup *out)
{
	struct tr_fault fault = {0};
	int fd = open(t->path, O_RDWR | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(backup_read(out, fd, &fault), 0);
	assert_int_equal(backup_check(out, fd, -1, NULL, NULL, &fault), 0);
	assert_int_equal(ftruncate(fd, (off_t)out->item.bytes), 0);
	close(fd);
}

static int prove(const char *path, const struct backup *want, struct tr_fault *fault)
{
	struct backup_watch watch = {.phase = ""};

	memset(fault, 0, sizeof(*fault));
	return backup_prove_sqlite(path, want, &watch, fault);
}

static void fill(struct rig *g, bool backwards)
{
	static const char *const says[] = {"The plover nests on shingle", "The heron fishes at dawn",
					   "The kettle is blue", "\xc3\xa9t\xc3\xa9 \xf0\x9f\x90\xa6",
					   "The gull laughs"};
	static const char *const ids[] = {"b", "B", "a", "\xc3\xa9", "aa"};

	for (int k = 0; k < 5; k++) {
		int i = backwards ? 4 - k : k;
		struct item_new_memory m = said(says[i]);

		m.has_id = true;
		m.id = wire_s(ids[i]);
		m.has_source = i % 2 == 0;
		m.source = wire_s("birds");
		m.has_importance = true;
		m.importance = i / 7.0;
		rig_add(g, &m);
	}
}

/* Its pages have sums of their own, given when they were written. */
static void pages_have_sums(const struct taken *t)
{
	unsigned char page[4096];
	int fd = open(t->path, O_RDONLY | O_CLOEXEC);

	for (uint32_t i = 0; i < t->manifest.item.bytes / sizeof(page); i++) {
		assert_int_equal(pread(fd, page, sizeof(page), (off_t)(i * sizeof(page))), sizeof(page));
		assert_int_equal(pagesum_judge(page, sizeof(page), i + 1), PAGESUM_GOOD);
	}
	close(fd);
}

static void a_backup_is_complete(void **s)
{
	struct rig *g = *s;
	struct msg_memory_decide decide = {.text = wire_s("Nests are left alone"), .by = wire_s("me")};
	struct tr_fault fault;
	struct stat st;
	struct backup b;
	struct taken t;

	fill(g, false);
	rig_call(g, MSG_memory_decide, &decide);
	take(g, "one", &t);
	assert_int_equal(t.manifest.item.memories, 6);
	assert_int_equal(t.manifest.item.rows.decisions, 1);
	assert_int_equal(stat(t.path, &st), 0);
	assert_true((uint64_t)st.st_size > t.manifest.item.bytes);
	/* sqlite3 reads it as it is, the manifest behind it notwithstanding */
	{
		char keep[96];

		memcpy(keep, g->path, sizeof(keep));
		snprintf(g->path, sizeof(g->path), "%.90s", t.path);
		assert_true(rig_sql(g, "SELECT count(*) FROM thermal_memory_now") == 6);
		assert_true(rig_sql(g, "SELECT integrity_check = 'ok' FROM pragma_integrity_check") == 1);
		memcpy(g->path, keep, sizeof(keep));
	}
	pages_have_sums(&t);
	open_up(&t, &b);
	assert_string_equal(b.content_sha256, t.manifest.content_sha256);
	assert_int_equal(prove(t.path, &b, &fault), 0);
	b.item.memories++;
	assert_int_equal(prove(t.path, &b, &fault), TR_EINVAL);
	assert_string_equal(fault.field, "memories");
	b.item.memories--;
	b.content_sha256[3] ^= 1;
	assert_int_equal(prove(t.path, &b, &fault), TR_EINVAL);
	assert_string_equal(fault.field, "content_sha256");
}

/* The same rows, stored in another order, under other numbers, with other pages: the same content. */
static void content_has_no_order(void **s)
{
	struct rig *g = *s, *h = rig_new();
	struct taken a, b, c;
	struct item_new_memory extra = said("to be forgotten");
	struct msg_memory_forget forget = {.id = wire_s("extra")};

	assert_int_equal(rig_open_again(h, NULL), 0);
	fill(g, false);
	extra.has_id = true;
	extra.id = wire_s("extra");
	rig_add(h, &extra);
	fill(h, true);
	rig_call(h, MSG_memory_forget, &forget);
	take(g, "one", &a);
	take(h, "two", &b);
	assert_string_equal(a.manifest.content_sha256, b.manifest.content_sha256);
	assert_string_not_equal(a.manifest.sha256, b.manifest.sha256);
	assert_int_equal(
		rig_exec(h, "UPDATE thermal_memory_archive SET importance = importance + 1e-12 WHERE id = 'a'"), 0);
	take(h, "three", &c);
	assert_string_not_equal(a.manifest.content_sha256, c.manifest.content_sha256);
	rig_free(h);
}

/* Company counts by the memories' names. */
static void company_is_content(void **s)
{
	struct rig *g = *s, *h = rig_new();
	struct taken a, b;
	static const char pairs[] =
		"INSERT INTO entanglements(memory, partner, times, last_at) SELECT x.seq, y.seq, 3, 77 FROM "
		"thermal_memory_archive x JOIN thermal_memory_archive y ON x.id <> y.id";

	assert_int_equal(rig_open_again(h, NULL), 0);
	fill(g, false);
	fill(h, true);
	assert_int_equal(rig_exec(g, pairs), 0);
	assert_int_equal(rig_exec(h, pairs), 0);
	take(g, "one", &a);
	take(h, "two", &b);
	assert_int_equal(a.manifest.item.rows.entanglements, 20);
	assert_string_equal(a.manifest.content_sha256, b.manifest.content_sha256);
	assert_int_equal(
		rig_exec(h, "UPDATE entanglements SET times = 4 WHERE rowid IS NULL OR memory = 1 AND partner = 2"), 1);
	assert_int_equal(rig_exec(h, "UPDATE entanglements SET times = 4 WHERE memory = 1 AND partner = 2"), 0);
	take(h, "three", &b);
	assert_string_not_equal(a.manifest.content_sha256, b.manifest.content_sha256);
	rig_free(h);
}

/* Every one of 200 flipped bytes is found, by the digest of the bytes; and where somebody makes that agree, by SQLite's
 * check or by the digest of the content, unless the byte lies where nothing is. */
static void flipped_bytes(void **s)
{
	struct rig *g = *s;
	struct taken t;
	struct backup b;
	uint64_t x = 88172645463325252ull;
	int fd;

	fill(g, false);
	take(g, "one", &t);
	fd = open(t.path, O_RDWR | O_CLOEXEC);
	assert_true(fd >= 0);
	for (int i = 0; i < 200; i++) {
		struct tr_fault fault = {0};
		unsigned char byte;
		off_t at;

		x ^= x << 13, x ^= x >> 7, x ^= x << 17;
		at = (off_t)(x % t.manifest.item.bytes);
		assert_int_equal(pread(fd, &byte, 1, at), 1);
		byte ^= (unsigned char)(1u << (x >> 60) % 8);
		assert_int_equal(pwrite(fd, &byte, 1, at), 1);
		assert_int_equal(backup_read(&b, fd, &fault), 0);
		assert_int_equal(backup_check(&b, fd, -1, NULL, NULL, &fault), TR_EINVAL);
		assert_string_equal(fault.field, "sha256");
		byte ^= (unsigned char)(1u << (x >> 60) % 8);
		assert_int_equal(pwrite(fd, &byte, 1, at), 1);
	}
	assert_int_equal(backup_check(&b, fd, -1, NULL, NULL, NULL), 0);
	close(fd);
}

static void newer_and_foreign_files(void **s)
{
	struct backup_watch watch = {.phase = ""};
	struct rig *g = *s;
	struct tr_fault fault;
	struct taken t;
	struct backup b;
	int fd;

	fill(g, false);
	take(g, "one", &t);
	open_up(&t, &b);
	fd = open(t.path, O_RDWR | O_TRUNC | O_CLOEXEC);
	assert_int_equal(write(fd, "something else, not a database at all", 30), 30);
	close(fd);
	assert_true(prove(t.path, &b, &fault) < 0);
	/* of an archive that a newer program has changed meanwhile there is no backup */
	assert_int_equal(rig_exec(g, "INSERT INTO schema_migrations VALUES(9999, 0, 'later')"), 0);
	fd = open(t.path, O_RDWR | O_TRUNC | O_CLOEXEC);
	close(fd);
	memset(&fault, 0, sizeof(fault));
	assert_int_equal(backup_sqlite(g->path, t.path, &watch, &b, &fault), TR_EUNSUPPORTED);
	assert_string_equal(fault.field, "schema");
}

/* ---- governance ---- */

/* As acts.c and acts_carry.c leave them. */
static const char governed[] =
	"INSERT INTO acts(id, act, state, constants, before, signers, reason, said, submitted_at, due_at, envelope) "
	"VALUES"
	"('day', 'constants', 'carrying', '{\"half_life_ms\":86400000}', '{\"half_life_ms\":604800000}',"
	" '[\"war_chief\",\"peace_chief\"]', 'it is summer', x'0102', 1000, 2000, '{}');"
	"INSERT INTO thermal_clock(at, tau, half_life_ms) VALUES(0, 0.0, 604800000.0), (3000, 3000 / 604800000.0, "
	"86400000.0);"
	"UPDATE acts SET state = 'done', ended_at = 3000 WHERE id = 'day';"
	"INSERT INTO acts(id, act, state, memory_id, signers, reason, note, said, submitted_at, due_at, ended_at) "
	"VALUES"
	"('away', 'delete', 'stopped', 'b', '[\"admin\"]', 'it is old', 'objected', x'03', 1000, 2000, 1500);"
	"INSERT INTO objections(id, act_id, objector, reason, at, said, envelope) VALUES"
	"('no', 'away', 'medicine_woman', 'it is dear', 1500, x'04', NULL)";

static void change(const char *path, const char *sql)
{
	sqlite3 *db = NULL;

	assert_int_equal(sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, pagesum_vfs()), SQLITE_OK);
	if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK)
		fail_msg("%s: %s", sql, sqlite3_errmsg(db));
	sqlite3_close(db);
}

/* Who alters an act, an objection or the clock in a backup must at least reckon its content anew. */
static void governance_is_content(void **s)
{
	static const char *const changes[][2] = {
		{"UPDATE acts SET signers = '[\"admin\"]' WHERE id = 'day'", "content_sha256"},
		{"UPDATE acts SET state = 'done', note = NULL WHERE id = 'away'", "content_sha256"},
		{"UPDATE acts SET envelope = '{ }' WHERE id = 'day'", "content_sha256"},
		{"UPDATE objections SET objector = 'war_chief'", "content_sha256"},
		{"DELETE FROM objections", "rows"},
		{"UPDATE thermal_clock SET half_life_ms = half_life_ms + 1 WHERE seq = 1", "content_sha256"},
	};
	struct rig *g = *s;
	struct tr_fault fault;
	struct taken t;
	struct backup b;

	fill(g, false);
	assert_int_equal(rig_exec(g, governed), 0);
	for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
		take(g, "one", &t);
		assert_true(t.manifest.item.rows.acts == 2 && t.manifest.item.rows.objections == 1 &&
			    t.manifest.item.rows.thermal_clock == 2);
		open_up(&t, &b);
		assert_int_equal(prove(t.path, &b, &fault), 0);
		change(t.path, "DROP TRIGGER acts_end; DROP TRIGGER objections_stay; DROP TRIGGER objections_stay_so;"
			       "DROP TRIGGER clock_stays");
		change(t.path, changes[i][0]);
		if (prove(t.path, &b, &fault) != TR_EINVAL || strcmp(fault.field, changes[i][1]) != 0)
			fail_msg("%s: \"%s\" %s", changes[i][0], fault.field, fault.rule);
		unlink(t.path);
	}
	/* the archive itself keeps objections as they were made */
	assert_true(rig_exec(g, "UPDATE objections SET reason = 'it is not'") == SQLITE_CONSTRAINT);
	assert_true(rig_exec(g, "INSERT OR REPLACE INTO objections(id, act_id, objector, reason, at, said) VALUES"
				"('no', 'away', 'x', 'y', 1, x'')") == SQLITE_CONSTRAINT);
}

/* Archives of older programs are proved as what they are. */
static void empty_archive_of(struct rig *g, int schema)
{
	sqlite3 *db = NULL;

	if (g->a != NULL)
		archive_close(&g->a);
	unlink(g->path);
	assert_int_equal(sqlite3_open_v2(g->path, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, pagesum_vfs()),
			 SQLITE_OK);
	assert_int_equal(schema_make_ours(db, NULL), 0);
	assert_int_equal(schema_migrate_to(db, schema, rig_now, NULL), 0);
	sqlite3_close(db);
}

static void an_archive_without_votes(void **s)
{
	struct rig *g = *s;
	struct tr_fault fault;
	struct taken t;
	struct backup b;

	empty_archive_of(g, SCHEMA_VOTES - 1);
	take(g, "one", &t);
	open_up(&t, &b);
	assert_true(b.item.schema == SCHEMA_VOTES - 1 && !b.item.rows.has_votes && !b.item.rows.has_ballots);
	assert_int_equal(prove(t.path, &b, &fault), 0);
	b.item.rows.has_votes = true;
	assert_int_equal(prove(t.path, &b, &fault), TR_EINVAL);
	assert_string_equal(fault.field, "rows");
}

/* Governance was not in its digest yet: this is what the program of schema 9 came to, and it is believed still. */
static void an_archive_before_governance_counted(void **s)
{
	static const char then[] = "2cf02c4998d6fc0f2d24e1919005afbddc7f3e72808826c990994268c0bc082f";
	struct rig *g = *s;
	struct tr_fault fault;
	struct taken t;
	struct backup b;

	empty_archive_of(g, SCHEMA_GOVERNANCE - 1);
	take(g, "one", &t);
	assert_string_equal(t.manifest.content_sha256, then);
	change(g->path, governed);
	unlink(t.path);
	take(g, "two", &t);
	assert_string_equal(t.manifest.content_sha256, then);
	open_up(&t, &b);
	assert_true(!b.item.rows.has_acts && !b.item.rows.has_objections && !b.item.rows.has_thermal_clock);
	assert_int_equal(prove(t.path, &b, &fault), 0);
}

/* Ballots without vetoes, as schemas 6 to 10 have them: the digest is the one that the program of schema 9 wrote. */
static void older_ballots(void **s)
{
	static const char fill[] =
		"INSERT INTO votes(id, proposal, options, quorum, threshold, called_by, opened_at, closes_at, outside) "
		"VALUES('v', 'Shall we?', '[\"yes\",\"no\"]', 2, 0.5, 'me', 1, 2, 1);"
		"INSERT INTO ballots(vote_id, voter, choice, confidence, reason, evidence, cast_at) "
		"VALUES('v', 'ann', 'no', 0.5, 'so', '[\"m\"]', 1)";
	static const char then[] = "25e8ab07cf913963d69242adb5cbfd919fbc2c0bb50f2b9c36045e158d635578";
	static const char *const names[] = {"nine", "ten", "eleven"};
	struct rig *g = *s;
	struct tr_fault fault;
	struct taken t;
	struct backup b;

	for (int i = 0; i < 3; i++) {
		empty_archive_of(g, 9 + i);
		change(g->path, fill);
		take(g, names[i], &t);
		open_up(&t, &b);
		assert_true(b.item.schema == 9u + (unsigned)i && b.item.rows.ballots == 1);
		assert_int_equal(prove(t.path, &b, &fault), 0);
		assert_true((strcmp(b.content_sha256, then) == 0) == (9 + i < SCHEMA_VETO));
	}
}

/* ---- under load ---- */

struct load {
	struct rig *g;
	struct taken t;
	struct backup_watch watch;
	int r;
};

static void *in_its_thread(void *arg)
{
	struct load *l = arg;

	l->r = backup_sqlite(l->g->path, l->t.path, &l->watch, &l->t.manifest, NULL);
	return NULL;
}

/* 200 memories of 8 KiB in one call, numbered from `from` on. */
static unsigned fill_up(struct rig *g, unsigned from)
{
	static char text[200][8192];
	struct item_new_memory m[200];
	struct msg_memory_add msg = {.memories = {m, 200}};

	for (unsigned i = 0; i < 200; i++) {
		snprintf(text[i], sizeof(text[i]), "%08u %08180u", from + i, from + i);
		m[i] = said(text[i]);
	}
	rig_call(g, MSG_memory_add, &msg);
	return from + 200;
}

/* Writers go on while it is taken: it holds what was acknowledged before it began, a prefix of the rest, and never
 * begins again (pages copied never fall back). */
static void one_moment(void **s)
{
	struct rig *g = *s;
	struct load l = {.g = g, .watch = {.phase = ""}};
	unsigned long long seen = 0;
	unsigned added = 0, before;
	pthread_t thread;
	char text[200], keep[96];
	bool copying = true;
	int fd;

	for (int i = 0; i < 8; i++)
		added = fill_up(g, added);
	before = added;
	snprintf(l.t.path, sizeof(l.t.path), "%s/moment", g->dir);
	fd = open(l.t.path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	close(fd);
	assert_int_equal(pthread_create(&thread, NULL, in_its_thread, &l), 0);
	for (; copying && added < 400000; added++) {
		const char *phase = l.watch.phase;
		unsigned long long done = l.watch.done;

		copying = phase[0] == '\0' || strcmp(phase, "copying") == 0;
		if (phase[0] != '\0' && copying) {
			assert_true(done >= seen);
			seen = done;
		}
		snprintf(text, sizeof(text), "%08u %0150u", added, added);
		rig_say(g, text);
	}
	pthread_join(thread, NULL);
	assert_int_equal(l.r, 0);
	assert_true(seen > 0);
	assert_true(l.t.manifest.item.memories >= before);
	assert_true(l.t.manifest.item.memories <= added);
	memcpy(keep, g->path, sizeof(keep));
	snprintf(g->path, sizeof(g->path), "%.90s", l.t.path);
	/* a prefix: as many as the highest number says, none twice */
	assert_true(rig_sql(g, "SELECT count(*) = 1 + max(CAST(substr(original_content, 1, 8) AS INTEGER)) AND "
			       "count(*) = count(DISTINCT original_content) FROM thermal_memory_archive") == 1);
	memcpy(g->path, keep, sizeof(keep));
}

static void given_up(void **s)
{
	struct rig *g = *s;
	struct backup_watch watch = {.phase = "", .stop = true};
	struct tr_fault fault = {0};
	struct backup b;
	char path[128];
	int fd;

	fill(g, false);
	snprintf(path, sizeof(path), "%s/none", g->dir);
	fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	close(fd);
	assert_int_equal(backup_sqlite(g->path, path, &watch, &b, &fault), TR_ECLOSED);
	fill(g, false); /* and the archive goes on */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_backup_is_complete, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(content_has_no_order, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(company_is_content, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(flipped_bytes, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(newer_and_foreign_files, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(an_archive_without_votes, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(an_archive_before_governance_counted, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(governance_is_content, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(older_ballots, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(one_moment, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(given_up, rig_setup, rig_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
