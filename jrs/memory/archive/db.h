/* A connection to the database with its prepared statements, whatever database it is, and short words for using it. One
 * thread at a time. The two drivers, sqlite.c and postgres.c, fill struct db_driver; nobody else knows which it is. */
#ifndef JRS_MEMORY_ARCHIVE_DB_H
#define JRS_MEMORY_ARCHIVE_DB_H
#include "common/base/err.h"
#include "proto/wire/types.h"
#include <stdbool.h>

enum sql {
#define SQL2(id, lane, sqlite, postgres) SQL_##id,
#include "jrs/memory/archive/sql.def"
#undef SQL2
	SQL_NSTATEMENTS
};
/* Which connections prepare a statement: the writer's, the readers', the keeper's, a backup's, the
 * loop's. */
enum db_lane {
	DB_W = 1,
	DB_R = 2,
	DB_K = 4,
	DB_B = 8,
	DB_L = 16,  /* the loop's: reads that are quicker than waking a reader */
	DB_BV = 32, /* a backup's, of an archive that has votes: schema 6 */
	DB_BG = 64, /* a backup's, of an archive whose digest has governance: schema 10 */
	/* a backup's, of an archive whose ballots have no vetoes yet, and of one whose have: until schema 10, from 11
	   on */
	DB_BO = 128,
	DB_BN = 256,
	DB_BACKUP = DB_B | DB_BV | DB_BG | DB_BO | DB_BN,
	DB_WR = DB_W | DB_R,
	DB_RK = DB_R | DB_K,
	DB_RL = DB_R | DB_L,
	DB_WRL = DB_W | DB_R | DB_L,
	DB_RKB = DB_RK | DB_B,
	DB_RKBL = DB_RKB | DB_L
};

/* Whose failure it was. Only DB_DAMAGED is a reason to look into the database; nothing else ever starts a repair. */
enum db_trouble {
	DB_FINE,
	DB_CALL,    /* the call's own: too big, against a rule */
	DB_BUSY,    /* somebody else holds the lock */
	DB_STORAGE, /* I/O error, disk full, read-only */
	DB_DAMAGED, /* what is stored is not what was written */
	DB_AWAY,    /* no connection to the server */
	DB_FENCED   /* a newer lead writes now */
};

struct db_driver;
struct db {
	const struct db_driver *driver; /* NULL: closed */
	void *conn;                     /* the driver's */
	enum db_trouble trouble;        /* of the last failure */
	int code;                       /* the same, as the database numbers it, for the log */
	char reason[96];                /* and in its words; no query, path or value in it */
};

/* One use of a statement: q_begin, bind in order (?1, ?2 ...), q_row until 0, q_end. Bound bytes must live until q_end.
 */
struct query {
	struct db *db;
	void *st; /* the driver's */
	int n;    /* parameters bound */
	int r;    /* first failure */
};

struct sql_archive;
struct archive_cfg;
struct query_words;
struct buf;
/* A word of a question in one memory. */
struct term {
	uint32_t count; /* how often it stands there */
	double weight;  /* the rarer in the archive, the more; 0: it stands nowhere */
};
struct db_driver {
	bool ranks_candidates; /* SEARCH filters and gives heat as well; else it gives only the index's rows */
	/* Opens the connections of all lanes, migrates, prepares. */
	int (*open)(struct sql_archive *a, const struct archive_cfg *cfg, struct tr_fault *fault);
	void (*reread)(const char *path); /* what opening reads next comes from the disk; NULL: a server sees to that */
	/* Has an earlier life left something to be made good before the first commit? Opening shall not wait for that:
	 * then the writer's thread claims the lead. NULL: never. */
	bool (*claims_late)(const struct sql_archive *a);
	void (*opened)(struct sql_archive *a); /* before the first thread: nothing is kept from opening; NULL: fine */
	/* Writer's thread, too, which has its own connection only; NULL: fine. */
	void (*proved)(struct sql_archive *a); /* what was read at the start made sense: closing may tidy up */
	void (*close)(struct db *db);
	/* 0, or TR_EUNAVAILABLE: the server is away. Tries to come back, at most as often as is good for it. */
	int (*ready)(struct db *db);
	/* The commit was sent and its answer lost: 1: it happened, 0: it did not; TR_EUNAVAILABLE: not known yet,
	 * TR_ESTORE: not to be found out. */
	int (*outcome)(struct db *db);

	/* Of a write transaction. Makes good before it what an earlier life or a failed transaction left. */
	int (*begin)(struct db *db);
	int (*commit)(struct db *db); /* 0: on disk. < 0 and outcome_open(): ask outcome() when it is ready again */
	void (*rollback)(struct db *db);
	bool (*inside)(const struct db *db); /* a transaction is open */
	int (*look)(struct db *db);          /* a snapshot for several reads; ended by looked() */
	int (*looked)(struct db *db);

	struct query (*start)(struct db *db, enum sql id);
	void (*bind_i64)(struct query *q, int64_t v);
	void (*bind_f64)(struct query *q, double v);
	void (*bind_null)(struct query *q);
	void (*bind_bytes)(struct query *q, const void *p, size_t n, bool text);
	void (*send)(struct query *q); /* bound: let it run while others are bound; NULL: row() does it */
	int (*row)(struct query *q);
	int (*run)(struct query *q); /* no rows wanted; a driver may find out only at commit() that it failed */
	void (*end)(struct query *q);
	int64_t (*get_i64)(const struct query *q, int col);
	double (*get_f64)(const struct query *q, int col);
	const void *(*get)(const struct query *q, int col, size_t *n);
	bool (*is_null)(const struct query *q, int col);

	/* A number for a row that is about to be inserted; 0: bind NULL, and inserted() tells it behind the insert. */
	int (*next_seq)(struct db *db, int64_t *out);
	int64_t (*inserted)(struct db *db);
	/* The words of a question -> the text that SEARCH takes. How many; 0: nothing is left. */
	int (*search_text)(const struct query_words *w, struct buf *out);

	/* One memory for all words; v (zeroed) has words->n of them. 1: it matches, *match is SEARCH's figure; 0: it
	 * does not. weighed: weights are in v already, words are only counted, *match stays */
	int (*terms)(struct db *db, const struct query_words *words, int64_t memory, bool weighed, struct term *v,
		     double *match);

	void (*commit_hook)(struct sql_archive *a); /* writer's thread, behind each round */
	void (*keep)(struct sql_archive *a);        /* keeper's thread: until a->keeper.stop */
	void (*watch)(struct sql_archive *a);       /* watcher's thread: until a->watcher.stop; NULL: it needs none */
	int (*purge)(struct sql_archive *a, bool first); /* writer's thread: a step of a pass; enum purge_step, < 0 */
};
extern const struct db_driver db_sqlite, db_postgres;

static inline bool db_trouble_of_storage(enum db_trouble t)
{
	return t > DB_CALL;
}
/* Notes the failure and returns code. */
int db_failed(struct db *db, enum db_trouble trouble, int code, const char *reason, int r);
void db_close(struct db *db);                    /* one that was never opened is fine */
const char *db_text(enum sql id, bool postgres); /* NULL: this database needs no such statement */
enum db_lane db_lanes(enum sql id);

struct query q_begin(struct db *db, enum sql id);
void q_i64(struct query *q, int64_t v);
void q_f64(struct query *q, double v);
void q_null(struct query *q);
void q_text(struct query *q, const char *p, size_t n);
void q_blob(struct query *q, const void *p, size_t n);
void q_opt_text(struct query *q, bool has, wire_str s);
void q_opt_i64(struct query *q, bool has, int64_t v);
void q_opt_f64(struct query *q, bool has, double v);
void q_send(struct query *q); /* everything is bound: it may run while others are made ready */
int q_row(struct query *q);   /* 1: a row, 0: no more, or < 0 */
void q_end(struct query *q);
int q_run(struct query *q);             /* a statement whose rows do not matter; ends it; 0 or < 0 */
int db_run(struct db *db, enum sql id); /* the same without parameters */
/* look(), and the snapshot is of this moment: a transaction sees from its first read on. 0 or < 0. */
int db_look_now(struct db *db);
/* Columns of the current row; get's bytes live until the next q_row or q_end, NULL for a NULL. */
int64_t q_get_i64(const struct query *q, int col);
double q_get_f64(const struct query *q, int col);
const char *q_get(const struct query *q, int col);
size_t q_len(const struct query *q, int col);
bool q_is_null(const struct query *q, int col);

#endif
