#include "jrs/memory/archive/fresh.h"
#include "common/base/text.h"
#include "jrs/memory/archive/pagesum.h"
#include "jrs/memory/archive/schema.h"
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What acts of governance have made of the constants is taken over: as an act, which is gone before anybody sees it. */
#define CONSTANTS_OPEN                                                                        \
	"INSERT INTO acts(seq, id, act, state, signers, reason, said, submitted_at, due_at) " \
	"VALUES(-1, 'salvage', 'constants', 'carrying', '[]', 'salvage', x'', 0, 0)"
#define CONSTANTS_SEALED "DELETE FROM acts WHERE seq = -1; DELETE FROM sqlite_sequence WHERE name = 'acts' AND seq <= 0"

static int failed(const struct fresh *f, struct tr_fault *fault, const char *what)
{
	return tr_fault_set(fault, TR_ESTORE, "archive", "%s (%s)", what,
			    sqlite3_errstr(sqlite3_extended_errcode(f->db)));
}

static int path_of(char *out, size_t size, const char *dir, const char *name)
{
	int n = snprintf(out, size, "%s/%s", dir, name);

	return n < 0 || (size_t)n >= size ? TR_ETOOBIG : 0;
}

static int exec(struct fresh *f, const char *sql)
{
	return sqlite3_exec(f->db, sql, NULL, NULL, NULL);
}

/* ---- the tables, as the schema says ---- */
static enum column_type type_of(const char *name)
{
	static const char *const names[] = {"ANY", "INTEGER", "REAL", "TEXT", "BLOB"};
	int i;

	for (i = 1; i < 5; i++) {
		if (strcasecmp(name, names[i]) == 0 || (i == 1 && strcasecmp(name, "INT") == 0))
			return (enum column_type)i;
	}
	return COLUMN_ANY;
}

static const char *text(sqlite3_stmt *st, int col)
{
	const char *p = (const char *)sqlite3_column_text(st, col);

	return p == NULL ? "" : p;
}

/* Columns that are stored, in the order of a record. */
static int read_columns(struct fresh *f, struct table *t)
{
	sqlite3_stmt *st = NULL;
	int rc =
		sqlite3_prepare_v2(f->db,
				   "SELECT name, type, \"notnull\", pk, dflt_value IS NULL FROM pragma_table_xinfo(?1) "
				   "WHERE hidden <> 2 ORDER BY CASE WHEN ?2 AND pk > 0 THEN pk ELSE 1000 + cid END",
				   -1, &st, NULL);

	t->rowid_col = -1;
	if (rc == SQLITE_OK && (rc = sqlite3_bind_text(st, 1, t->name, -1, SQLITE_STATIC)) == SQLITE_OK)
		rc = sqlite3_bind_int(st, 2, t->without_rowid);
	while (rc == SQLITE_OK && (rc = sqlite3_step(st)) == SQLITE_ROW && t->ncols < RECORD_MAX) {
		struct column *c = &t->col[t->ncols];

		tr_copy(c->name, sizeof(c->name), text(st, 0), strlen(text(st, 0)));
		c->type = type_of(text(st, 1));
		c->needed = sqlite3_column_int(st, 2) != 0 && sqlite3_column_int(st, 4) != 0;
		if (!t->without_rowid && sqlite3_column_int(st, 3) != 0 && c->type == COLUMN_INT)
			t->rowid_col = t->ncols;
		t->ncols++;
		rc = SQLITE_OK;
	}
	sqlite3_finalize(st);
	return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

static enum table_use use_of(const char *name)
{
	if (strcmp(name, MEMORIES) == 0)
		return TABLE_MEMORIES;
	if (strcmp(name, "settings") == 0)
		return TABLE_SETTINGS;
	if (strcmp(name, CLOCK) == 0)
		return TABLE_CLOCK;
	if (strcmp(name, "schema_migrations") == 0)
		return TABLE_VERSIONS;
	return strcmp(name, "sqlite_sequence") == 0 ? TABLE_SEQUENCES : TABLE_PLAIN;
}

/* Virtual tables and what belongs to them are derived, and left out. */
static int read_tables(struct fresh *f)
{
	sqlite3_stmt *st = NULL;
	int rc = sqlite3_prepare_v2(
		f->db,
		"SELECT l.name, l.wr, s.rootpage FROM pragma_table_list l JOIN sqlite_schema s ON s.name = "
		"l.name AND s.type = 'table' WHERE l.schema = 'main' AND l.type = 'table'",
		-1, &st, NULL);

	while (rc == SQLITE_OK && (rc = sqlite3_step(st)) == SQLITE_ROW) {
		struct table *v = realloc(f->tables, sizeof(*v) * (size_t)(f->ntables + 1)), *t;

		if (v == NULL) {
			rc = SQLITE_NOMEM;
			break;
		}
		f->tables = v;
		t = &v[f->ntables++];
		memset(t, 0, sizeof(*t));
		tr_copy(t->name, sizeof(t->name), text(st, 0), strlen(text(st, 0)));
		t->use = use_of(t->name);
		t->without_rowid = sqlite3_column_int(st, 1) != 0;
		t->root = (uint32_t)sqlite3_column_int(st, 2);
		rc = read_columns(f, t);
	}
	sqlite3_finalize(st);
	return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

static int prepare(struct fresh *f, sqlite3_stmt **st, const char *sql)
{
	return sqlite3_prepare_v3(f->db, sql, -1, SQLITE_PREPARE_PERSISTENT, st, NULL);
}

int fresh_make(struct fresh *f, const char *dir, const char *name, int64_t now_ms, struct tr_fault *fault)
{
	char path[4200], rejects[4200];
	int r;

	memset(f, 0, sizeof(*f));
	if ((r = path_of(path, sizeof(path), dir, name)) < 0 ||
	    (r = path_of(rejects, sizeof(rejects), dir, "rejects.jsonl")) < 0)
		return tr_fault_set(fault, r, "archive", "its path is too long");
	if ((f->rejects = fopen(rejects, "wxe")) == NULL)
		return tr_fault_set(fault, TR_ESTORE, "archive", "the new directory cannot be written (errno %d)",
				    errno);
	if (sqlite3_open_v2(path, &f->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_EXRESCODE,
			    pagesum_vfs()) != SQLITE_OK ||
	    pagesum_reserve(f->db) != SQLITE_OK)
		return failed(f, fault, "the new archive cannot be made");
	/* Nobody uses it before it is whole and synced: a crash leaves a directory that is thrown away. */
	if (exec(f,
		 "PRAGMA trusted_schema = OFF; PRAGMA secure_delete = ON; PRAGMA synchronous = OFF;"
		 "PRAGMA journal_mode = MEMORY; PRAGMA temp_store = MEMORY; PRAGMA cache_size = -32000") != SQLITE_OK)
		return failed(f, fault, "the new archive cannot be made");
	if ((r = schema_make_ours(f->db, fault)) < 0 || (r = schema_migrate(f->db, now_ms, fault)) < 0)
		return r;
	if (read_tables(f) != SQLITE_OK ||
	    exec(f, "CREATE TEMP TABLE listed(seq INTEGER, id TEXT, unsure INTEGER, PRIMARY KEY(seq, id)) "
		    "WITHOUT ROWID; BEGIN; " CONSTANTS_OPEN) != SQLITE_OK ||
	    prepare(f, &f->list, "INSERT OR IGNORE INTO temp.listed(seq, id, unsure) VALUES(?1, ?2, ?3)") !=
		    SQLITE_OK ||
	    prepare(f, &f->listed, "SELECT 1 FROM temp.listed WHERE seq = ?1 AND id = ?2") != SQLITE_OK ||
	    prepare(f, &f->has, "SELECT 1 FROM " MEMORIES " WHERE seq = ?1") != SQLITE_OK)
		return failed(f, fault, "the new archive cannot be used");
	return 0;
}

void fresh_close(struct fresh *f)
{
	int i;

	for (i = 0; i < f->ntables; i++)
		sqlite3_finalize(f->tables[i].insert);
	sqlite3_finalize(f->list);
	sqlite3_finalize(f->listed);
	sqlite3_finalize(f->has);
	sqlite3_close(f->db);
	free(f->tables);
	if (f->rejects != NULL)
		fclose(f->rejects);
	memset(f, 0, sizeof(*f));
}

struct table *fresh_table(struct fresh *f, const char *name, size_t n)
{
	int i;

	for (i = 0; i < f->ntables; i++) {
		if (strlen(f->tables[i].name) == n && memcmp(f->tables[i].name, name, n) == 0)
			return &f->tables[i];
	}
	return NULL;
}

int fresh_column(const struct table *t, const char *name)
{
	int i;

	for (i = 0; i < t->ncols; i++) {
		if (strcmp(t->col[i].name, name) == 0)
			return i;
	}
	return -1;
}

static bool fits(const struct column *c, const struct value *v)
{
	switch (v->kind) {
	case VALUE_NULL:
		return !c->needed;
	case VALUE_INT:
		return c->type == COLUMN_ANY || c->type == COLUMN_INT || c->type == COLUMN_REAL;
	case VALUE_REAL:
		return c->type == COLUMN_ANY || c->type == COLUMN_REAL;
	case VALUE_TEXT:
		return c->type == COLUMN_ANY || c->type == COLUMN_TEXT;
	default:
		return c->type == COLUMN_ANY || c->type == COLUMN_BLOB;
	}
}

bool fresh_fits(const struct table *t, const struct value *v, int n)
{
	int i;

	if (n < 1 || n > t->ncols)
		return false;
	for (i = 0; i < t->ncols; i++) {
		if (i == t->rowid_col) { /* a record does not repeat the rowid */
			if (i >= n || v[i].kind != VALUE_NULL)
				return false;
		} else if (i < n ? !fits(&t->col[i], &v[i]) : t->col[i].needed) {
			return false;
		}
	}
	return true;
}

/* ---- rows ---- */
static int bind(sqlite3_stmt *st, int i, const struct value *v)
{
	switch (v->kind) {
	case VALUE_INT:
		return sqlite3_bind_int64(st, i, v->i);
	case VALUE_REAL:
		return sqlite3_bind_double(st, i, v->d);
	case VALUE_TEXT:
		return sqlite3_bind_text64(st, i, (const char *)v->p, v->n, SQLITE_STATIC, SQLITE_UTF8);
	case VALUE_BLOB:
		return sqlite3_bind_blob64(st, i, v->p, v->n, SQLITE_STATIC);
	default:
		return sqlite3_bind_null(st, i);
	}
}

/* The statement that inserts the first n columns; an older program's rows have fewer. Only names of our own schema. */
static int prepare_insert(struct fresh *f, struct table *t, int n)
{
	sqlite3_str *sql;
	char *s;
	int i, rc;

	if (t->insert != NULL && t->ninsert == n)
		return SQLITE_OK;
	sqlite3_finalize(t->insert);
	t->insert = NULL;
	sql = sqlite3_str_new(f->db);
	if (t->use == TABLE_SEQUENCES)
		sqlite3_str_appendf(sql, "UPDATE sqlite_sequence SET seq = max(seq, ?2) WHERE name = ?1");
	else
		sqlite3_str_appendf(sql, "INSERT INTO \"%w\"(", t->name);
	for (i = 0; i < n && t->use != TABLE_SEQUENCES; i++)
		sqlite3_str_appendf(sql, "%s\"%w\"", i == 0 ? "" : ", ", t->col[i].name);
	for (i = 0; i < n && t->use != TABLE_SEQUENCES; i++)
		sqlite3_str_appendf(sql, "%s?%d", i == 0 ? ") VALUES(" : ", ", i + 1);
	if (t->use != TABLE_SEQUENCES)
		sqlite3_str_appendf(sql, t->use == TABLE_SETTINGS
						 ? ") ON CONFLICT(key) DO UPDATE SET value = excluded.value"
						 : ")");
	if ((s = sqlite3_str_finish(sql)) == NULL)
		return SQLITE_NOMEM;
	rc = prepare(f, &t->insert, s);
	sqlite3_free(s);
	t->ninsert = n;
	return rc;
}

/* The sequence of a table that has no row yet stands nowhere. */
static int begin_sequence(struct fresh *f, const struct value *name)
{
	sqlite3_stmt *st = NULL;
	int rc = prepare(f, &st,
			 "INSERT INTO sqlite_sequence(name, seq) SELECT ?1, 0 WHERE NOT EXISTS "
			 "(SELECT 1 FROM sqlite_sequence WHERE name = ?1)");

	if (rc == SQLITE_OK && (rc = bind(st, 1, name)) == SQLITE_OK)
		rc = sqlite3_step(st);
	sqlite3_finalize(st);
	return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

static const char *constraint(int rc)
{
	switch (rc) {
	case SQLITE_CONSTRAINT_UNIQUE:
	case SQLITE_CONSTRAINT_PRIMARYKEY:
	case SQLITE_CONSTRAINT_ROWID:
		return "another row has its key";
	case SQLITE_CONSTRAINT_NOTNULL:
		return "a value is missing";
	default:
		return "a value breaks its rule";
	}
}

int fresh_put(struct fresh *f, struct table *t, int64_t rowid, const struct value *v, int n, const char **why)
{
	struct value number = {.kind = VALUE_INT, .i = rowid};
	int i, rc = prepare_insert(f, t, n);

	if (rc == SQLITE_OK && t->use == TABLE_SEQUENCES)
		rc = begin_sequence(f, &v[0]);
	for (i = 0; i < n && rc == SQLITE_OK; i++)
		rc = bind(t->insert, i + 1, i == t->rowid_col ? &number : &v[i]);
	if (rc == SQLITE_OK)
		rc = sqlite3_step(t->insert);
	sqlite3_reset(t->insert);
	sqlite3_clear_bindings(t->insert);
	if (rc == SQLITE_DONE) {
		t->taken++;
		return 1;
	}
	*why = constraint(rc);
	return (rc & 0xff) == SQLITE_CONSTRAINT || (rc & 0xff) == SQLITE_TOOBIG ? 0 : TR_ESTORE;
}

static int one(sqlite3_stmt *st, const struct value *id, int64_t seq)
{
	int rc = sqlite3_bind_int64(st, 1, seq);

	if (rc == SQLITE_OK && id != NULL)
		rc = bind(st, 2, id);
	if (rc == SQLITE_OK)
		rc = sqlite3_step(st);
	sqlite3_reset(st);
	sqlite3_clear_bindings(st);
	return rc == SQLITE_ROW ? 1 : rc == SQLITE_DONE ? 0 : TR_ESTORE;
}

int fresh_list(struct fresh *f, const struct value *id, int64_t seq, bool unsure)
{
	if (sqlite3_bind_int(f->list, 3, unsure) != SQLITE_OK)
		return TR_ESTORE;
	return one(f->list, id, seq);
}

int fresh_listed(struct fresh *f, const struct value *id, int64_t seq)
{
	return one(f->listed, id, seq);
}

int fresh_has(struct fresh *f, int64_t seq)
{
	return one(f->has, NULL, seq);
}

/* ---- what is kept aside ---- */
/* Text as it is; what is no text as hexadecimal digits, in an object that says so. */
static json_t *value_json(const struct value *v)
{
	json_t *text = NULL, *o;
	char *hex;

	switch (v->kind) {
	case VALUE_INT:
		return json_integer(v->i);
	case VALUE_REAL:
		text = json_real(v->d);
		return text == NULL ? json_string("not a number") : text;
	case VALUE_NULL:
		return json_null();
	case VALUE_TEXT:
		if ((text = json_stringn((const char *)v->p, v->n)) != NULL)
			return text;
		break;
	default:
		break;
	}
	if ((hex = malloc(2 * (size_t)v->n + 1)) == NULL)
		return NULL;
	tr_hex(v->p, v->n, hex);
	o = json_pack("{s:s}", "hex", hex);
	free(hex);
	return o;
}

int fresh_note(struct fresh *f, const char *what, const char *why, const struct table *t, uint32_t page, int64_t rowid,
	       const struct value *v, int n)
{
	json_t *line =
		json_pack("{s:s, s:s, s:s, s:I}", "what", what, "why", why, "table", t->name, "row", (json_int_t)rowid);
	json_t *values = v == NULL ? NULL : json_object();
	int i, r = 0;

	if (line == NULL)
		return TR_ENOMEM;
	if (page != 0)
		json_object_set_new(line, "page", json_integer((json_int_t)page));
	for (i = 0; values != NULL && i < n && i < t->ncols; i++) {
		if (i != t->rowid_col)
			json_object_set_new(values, t->col[i].name, value_json(&v[i]));
	}
	if (values != NULL)
		json_object_set_new(line, "values", values);
	if (json_dumpf(line, f->rejects, JSON_COMPACT) < 0 || fputc('\n', f->rejects) == EOF)
		r = TR_ESTORE;
	json_decref(line);
	return r;
}

int64_t fresh_lost(struct fresh *f, bool note)
{
	struct table *t = fresh_table(f, MEMORIES, strlen(MEMORIES));
	sqlite3_stmt *st = NULL;
	int rc = prepare(f, &st,
			 "SELECT l.seq, l.id FROM temp.listed l WHERE l.unsure = 0 AND NOT EXISTS "
			 "(SELECT 1 FROM " MEMORIES " m WHERE m.seq = l.seq)");
	int64_t n = 0;

	while (rc == SQLITE_OK && (rc = sqlite3_step(st)) == SQLITE_ROW) {
		struct value v[2] = {{.kind = VALUE_NULL},
				     {.kind = VALUE_TEXT,
				      .p = sqlite3_column_text(st, 1),
				      .n = (uint32_t)sqlite3_column_bytes(st, 1)}};

		if (note && fresh_note(f, "lost", "the index of ids knows it, and no page has it whole", t, 0,
				       sqlite3_column_int64(st, 0), v, 2) < 0)
			rc = SQLITE_FULL;
		else
			rc = SQLITE_OK;
		n++;
	}
	sqlite3_finalize(st);
	return rc == SQLITE_DONE ? n : TR_ESTORE;
}

/* ---- the end ---- */
static int64_t number(struct fresh *f, const char *sql)
{
	sqlite3_stmt *st = NULL;
	int64_t n = -1;

	if (sqlite3_prepare_v2(f->db, sql, -1, &st, NULL) == SQLITE_OK && sqlite3_step(st) == SQLITE_ROW)
		n = sqlite3_column_int64(st, 0);
	sqlite3_finalize(st);
	return n;
}

uint32_t fresh_id_root(struct fresh *f)
{
	int64_t n = number(f, "SELECT rootpage FROM sqlite_schema WHERE name = '" ID_INDEX "'");

	return n > 0 ? (uint32_t)n : 0;
}

int fresh_judge_list(struct fresh *f)
{
	int64_t same =
		number(f, "SELECT count(*) FROM temp.listed l JOIN " MEMORIES " m ON m.seq = l.seq AND m.id = l.id");
	int64_t other =
		number(f, "SELECT count(*) FROM temp.listed l JOIN " MEMORIES " m ON m.seq = l.seq AND m.id <> l.id "
			  "WHERE l.unsure = 0");

	if (same < 0 || other < 0)
		return TR_ESTORE;
	if (other * 10 <= same)
		return 0;
	return exec(f, "UPDATE temp.listed SET unsure = 1") == SQLITE_OK ? 0 : TR_ESTORE;
}

static int verify(struct fresh *f, uint64_t memories, struct tr_fault *fault)
{
	if (number(f, "SELECT count(*) FROM pragma_integrity_check WHERE integrity_check = 'ok'") != 1)
		return failed(f, fault, "the new archive is not sound");
	if (number(f, "SELECT count(*) FROM " MEMORIES) != (int64_t)memories)
		return failed(f, fault, "the new archive does not have what was put into it");
	if (number(f, "SELECT count(*) FROM sqlite_schema WHERE name = 'memory_words'") == 1 &&
	    exec(f, "INSERT INTO memory_words(memory_words, rank) VALUES('integrity-check', 1)") != SQLITE_OK)
		return failed(f, fault, "the new archive's words do not agree with its memories");
	return 0;
}

static int sync_file(const char *dir, const char *name)
{
	char path[4200];
	int fd, r = path_of(path, sizeof(path), dir, name);

	if (r < 0 || (fd = open(path, O_RDONLY | O_CLOEXEC)) < 0)
		return TR_ESTORE;
	r = fsync(fd);
	close(fd);
	return r < 0 ? TR_ESTORE : 0;
}

int fresh_finish(struct fresh *f, const char *dir, const char *name, uint64_t memories, struct tr_fault *fault)
{
	bool words = number(f, "SELECT count(*) FROM sqlite_schema WHERE name = 'memory_words'") == 1;
	int r;

	/* A number that any index still knew is not given to another. */
	if (exec(f, "UPDATE sqlite_sequence SET seq = max(seq, coalesce((SELECT max(seq) FROM temp.listed), 0)) WHERE "
		    "name = "
		    "'" MEMORIES "'") != SQLITE_OK ||
	    (words && exec(f, "INSERT INTO memory_words(memory_words) VALUES('rebuild')") != SQLITE_OK) ||
	    exec(f, CONSTANTS_SEALED) != SQLITE_OK || exec(f, "COMMIT") != SQLITE_OK)
		return failed(f, fault, "the new archive cannot be written");
	if ((r = verify(f, memories, fault)) < 0)
		return r;
	if (exec(f, "PRAGMA journal_mode = WAL") != SQLITE_OK || fflush(f->rejects) == EOF)
		return failed(f, fault, "the new archive cannot be finished");
	fresh_close(f);
	if (sync_file(dir, name) < 0 || sync_file(dir, "rejects.jsonl") < 0)
		return tr_fault_set(fault, TR_ESTORE, "archive", "the new archive cannot be synced");
	return 0;
}
