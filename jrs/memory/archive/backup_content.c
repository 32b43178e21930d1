/* What an archive holds, as one digest that does not depend on the database: rows in the order of their names, each in
 * canonical form (canon.h). Numbers that a database gives its rows are not in it, nor what is history or cache: answers
 * of requests, recall_log, thermal_heat_map, counters. docs/DISASTER_RECOVERY.md has it in words. */
#include "jrs/memory/archive/backup_inside.h"
#include "jrs/memory/archive/canon.h"
#include "jrs/memory/archive/schema.h"
#include <limits.h>
#include <string.h>

#define LOOK_ROWS 256u /* between two looks at watch->stop */

/* T text, B bytes, J JSON, I integer, R real; a NULL is nil whatever the letter. */
static const struct {
	enum sql id;
	const char *kind, *columns;
	int since, until; /* schemas: the digest of another archive has none of them */
} tables[] = {
	{SQL_CONTENT_MEMORIES, "memory", "TTTJJTTTRIIRIIIRITTIBT", 1, INT_MAX},
	{SQL_CONTENT_DECISIONS, "decision", "TTTI", 1, INT_MAX},
	{SQL_CONTENT_IMPORTS, "import", "TTIIIIIIII", 1, INT_MAX},
	{SQL_CONTENT_PAIRS, "pair", "TTII", 1, INT_MAX},
	{SQL_CONTENT_SETTINGS, "setting", "TR", 1, INT_MAX},
	{SQL_CONTENT_VOTES, "vote", "TTJIRTIIIIITITT", SCHEMA_VOTES, INT_MAX},
	{SQL_CONTENT_OLD_BALLOTS, "ballot", "TTTRTJII", SCHEMA_VOTES, SCHEMA_VETO - 1},
	{SQL_CONTENT_BALLOTS, "ballot", "TTTRTJIII", SCHEMA_VETO, INT_MAX},
	{SQL_CONTENT_ACTS, "act", "TTTTTTTTTBIIIT", SCHEMA_GOVERNANCE, INT_MAX},
	{SQL_CONTENT_OBJECTIONS, "objection", "TTTTIBT", SCHEMA_GOVERNANCE, INT_MAX},
	{SQL_CONTENT_CLOCK, "clock", "IRR", SCHEMA_GOVERNANCE, INT_MAX},
};
#define NTABLES ((unsigned)(sizeof(tables) / sizeof(tables[0])))

enum db_lane backup_lanes(int schema)
{
	unsigned lanes = DB_B;

	lanes |= schema >= SCHEMA_VOTES ? DB_BV : 0;
	lanes |= schema >= SCHEMA_VETO ? DB_BN : schema >= SCHEMA_VOTES ? DB_BO : 0;
	lanes |= schema >= SCHEMA_GOVERNANCE ? DB_BG : 0;
	return (enum db_lane)lanes;
}

void watch_phase(struct backup_watch *w, const char *phase, uint64_t total)
{
	w->done = 0;
	w->total = total;
	w->phase = phase;
}

static void column(struct canon *c, const struct query *q, int col, char type)
{
	if (q_is_null(q, col))
		canon_nil(c);
	else if (type == 'T')
		canon_text(c, q_get(q, col), q_len(q, col));
	else if (type == 'B')
		canon_bytes(c, q_len(q, col) == 0 ? "" : q_get(q, col), q_len(q, col));
	else if (type == 'J')
		canon_json(c, q_get(q, col), q_len(q, col));
	else if (type == 'I')
		canon_i64(c, q_get_i64(q, col));
	else
		canon_f64(c, q_get_f64(q, col));
}

static int table(struct db *db, unsigned t, struct backup_watch *w, struct canon *c, struct tr_sha256 *sum)
{
	const char *columns = tables[t].columns;
	unsigned n = (unsigned)strlen(columns), i;
	struct query q = q_begin(db, tables[t].id);
	int r;

	while ((r = q_row(&q)) == 1) {
		canon_row(c, tables[t].kind, n);
		for (i = 0; i < n; i++)
			column(c, &q, (int)i, columns[i]);
		if ((r = c->failed) < 0)
			break;
		tr_sha256_add(sum, c->bytes.data, c->bytes.size);
		if (++w->done % LOOK_ROWS == 0 && w->stop) {
			r = TR_ECLOSED;
			break;
		}
	}
	q_end(&q);
	return r;
}

static int counts(struct db *db, struct item_backup *out)
{
	struct query q = q_begin(db, SQL_CONTENT_COUNTS);
	int r = q_row(&q);

	if (r == 1) {
		struct item_backup_rows *rows = &out->rows;
		uint64_t *const to[] = {&out->memories,         &rows->thermal_memory_archive,
					&rows->decisions,       &rows->imports,
					&rows->entanglements,   &rows->settings,
					&rows->requests,        &rows->recall_log,
					&rows->thermal_heat_map};

		memset(rows, 0, sizeof(*rows));
		out->schema = (uint32_t)q_get_i64(&q, 0);
		for (int i = 0; i < (int)(sizeof(to) / sizeof(to[0])); i++)
			*to[i] = (uint64_t)q_get_i64(&q, i + 1);
	}
	q_end(&q);
	return r == 1 ? 0 : r < 0 ? r : TR_ESTORE;
}

static int count_votes(struct db *db, struct item_backup_rows *rows)
{
	struct query q = q_begin(db, SQL_CONTENT_VOTE_COUNTS);
	int r = q_row(&q);

	if (r == 1) {
		rows->has_votes = rows->has_ballots = true;
		rows->votes = (uint64_t)q_get_i64(&q, 0);
		rows->ballots = (uint64_t)q_get_i64(&q, 1);
	}
	q_end(&q);
	return r == 1 ? 0 : r < 0 ? r : TR_ESTORE;
}

static int count_governance(struct db *db, struct item_backup_rows *rows)
{
	struct query q = q_begin(db, SQL_CONTENT_GOVERNANCE_COUNTS);
	int r = q_row(&q);

	if (r == 1) {
		rows->has_acts = rows->has_objections = rows->has_thermal_clock = true;
		rows->acts = (uint64_t)q_get_i64(&q, 0);
		rows->objections = (uint64_t)q_get_i64(&q, 1);
		rows->thermal_clock = (uint64_t)q_get_i64(&q, 2);
	}
	q_end(&q);
	return r == 1 ? 0 : r < 0 ? r : TR_ESTORE;
}

int backup_content(struct db *db, struct backup_watch *w, struct backup *out, struct tr_fault *fault)
{
	const struct item_backup_rows *rows = &out->item.rows;
	struct tr_sha256 *sum = NULL;
	struct canon c;
	int r;

	canon_init(&c);
	if ((r = tr_sha256_new(&sum)) == 0 && (r = counts(db, &out->item)) == 0 &&
	    (out->item.schema < SCHEMA_VOTES || (r = count_votes(db, &out->item.rows)) == 0) &&
	    (out->item.schema < SCHEMA_GOVERNANCE || (r = count_governance(db, &out->item.rows)) == 0))
		watch_phase(w, "reading",
			    rows->thermal_memory_archive + rows->decisions + rows->imports + rows->entanglements +
				    rows->settings + rows->votes + rows->ballots + rows->acts + rows->objections +
				    rows->thermal_clock);
	for (unsigned t = 0; r == 0 && t < NTABLES; t++) {
		if ((int)out->item.schema >= tables[t].since && (int)out->item.schema <= tables[t].until)
			r = table(db, t, w, &c, sum);
	}
	if (r == 0)
		r = tr_sha256_end(&sum, out->content_sha256);
	tr_sha256_free(&sum);
	if (r == TR_ESTORE && c.failed == r)
		tr_fault_set(fault, r, "archive", "has tags or metadata that are not JSON");
	else if (r < 0)
		tr_fault_set(fault, w->stop ? TR_ECLOSED : r, "archive", "cannot be read (%s)",
			     db->reason[0] != '\0' ? db->reason : tr_strerror(r));
	canon_free(&c);
	return r < 0 && w->stop ? TR_ECLOSED : r;
}

/* Neither has it, or both have as many. */
static bool same_count(bool has_a, uint64_t a, bool has_b, uint64_t b)
{
	return has_a == has_b && (!has_a || a == b);
}

static bool same_rows(const struct item_backup_rows *a, const struct item_backup_rows *b)
{
	return a->thermal_memory_archive == b->thermal_memory_archive && a->decisions == b->decisions &&
	       a->imports == b->imports && a->entanglements == b->entanglements && a->settings == b->settings &&
	       a->requests == b->requests && a->recall_log == b->recall_log &&
	       a->thermal_heat_map == b->thermal_heat_map &&
#define SAME(name) same_count(a->has_##name, a->name, b->has_##name, b->name)
	       SAME(votes) && SAME(ballots) && SAME(acts) && SAME(objections) && SAME(thermal_clock);
#undef SAME
}

int backup_compare(const struct backup *want, const struct backup *got, struct tr_fault *fault)
{
	const struct item_backup *a = &want->item, *b = &got->item;

	if (a->schema != b->schema)
		return tr_fault_set(fault, TR_EINVAL, "schema", "is %u in the file, %u in its manifest", b->schema,
				    a->schema);
	if (a->memories != b->memories)
		return tr_fault_set(fault, TR_EINVAL, "memories", "are %llu in the file, %llu in its manifest",
				    (unsigned long long)b->memories, (unsigned long long)a->memories);
	if (!same_rows(&a->rows, &b->rows))
		return tr_fault_set(fault, TR_EINVAL, "rows", "of a table are not as many as the manifest says");
	if (strcmp(want->content_sha256, got->content_sha256) != 0)
		return tr_fault_set(fault, TR_EINVAL, "content_sha256", "of the rows is not what the manifest says");
	return 0;
}
