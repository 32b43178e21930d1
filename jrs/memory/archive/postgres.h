/* Inside the PostgreSQL driver: pg_conn.c (a connection and its pipeline), postgres.c (the driver), schema_postgres.c.
 */
#ifndef JRS_MEMORY_ARCHIVE_POSTGRES_H
#define JRS_MEMORY_ARCHIVE_POSTGRES_H
#include "jrs/memory/archive/internal.h"
#include "jrs/memory/archive/pq.h"

#define PG_PARAMS_MAX 24

/* Something that was sent and whose answer is still to come, or is there. In the order of sending. */
enum pg_kind { PG_STATEMENT, PG_SYNC };
struct pg_item {
	struct pg_item *next;
	enum pg_kind kind;
	bool sent, done, owned; /* owned: by a struct query; else it is freed when it is done */
	bool streamed;          /* rows come one by one */
	enum sql id;
	int n;
	const char *value[PG_PARAMS_MAX];
	int length[PG_PARAMS_MAX], format[PG_PARAMS_MAX];
	char number[PG_PARAMS_MAX][32]; /* numbers as text: any integer or float type takes them */
	PGresult *res;
	int row, nrows;
	int r; /* its failure */
};
struct pg_conn {
	struct sql_archive *a;
	char *conninfo; /* owned */
	enum db_lane lane;
	PGconn *pg; /* NULL: not connected */
	struct pg_item *head, *tail, *spare;
	unsigned unflushed;         /* statements sent since the last look at the socket */
	bool inside;                /* BEGIN was sent */
	bool unsynced;              /* something was sent since the last sync */
	bool failed;                /* an error since the last sync: the server skips what follows */
	int error;                  /* of ours, that error */
	bool in_doubt;              /* a COMMIT was sent and its answer never came */
	struct query xact;          /* asks for the number of the open transaction */
	int64_t xid;                /* of the open or doubtful transaction; 0: not known */
	int64_t next_seq, last_seq; /* numbers in reserve; next > last: none */
	uint64_t retry_ms, delay_ms;
	const struct job *const *job; /* a reader's: its deadline holds for waiting too */
	const atomic_bool *stop;      /* a backup's: waiting ends soon when it is set; else NULL */
};

/* Connects and prepares the lane's statements; blocks for at most CONNECT_MS. TR_EUNAVAILABLE. */
int pg_connect(struct db *db, struct tr_fault *fault);
void pg_disconnect(struct db *db);
struct pg_item *pg_item_new(struct pg_conn *c, enum sql id);
void pg_item_release(struct pg_conn *c, struct pg_item *item); /* it is not looked at any more */
int pg_send(struct db *db, struct pg_item *item);
int pg_sync(struct db *db);                        /* sends one; does not wait */
int pg_await(struct db *db, struct pg_item *item); /* until its answer is there; NULL: until everything is */
int pg_fresh(struct db *db); /* postgres.c: ready for a statement that shall be a transaction of its own */
/* pg_words.c; as struct db_driver has them */
int pg_search_text(const struct query_words *w, struct buf *out);
int pg_terms(struct db *db, const struct query_words *words, int64_t memory, bool weighed, struct term *v,
	     double *match);
/* purge_postgres.c, keeper's thread */
int postgres_clean(struct sql_archive *a);
/* Once, without the pipeline, on a connection of its own: texts of our own only. */
int schema_postgres(PGconn *pg, int64_t now_ms, struct tr_fault *fault);
int schema_postgres_ready(PGconn *pg, struct tr_fault *fault);       /* for who only follows: 0, or TR_EBUSY: not yet */
PGconn *pg_open_plain(const char *conninfo, struct tr_fault *fault); /* blocks; NULL */
/* A connection of lane B, for a backup; close with db_close(). lanes: backup_lanes() */
int pg_open_lone(struct db *db, const char *conninfo, enum db_lane lanes, const atomic_bool *stop,
		 struct tr_fault *fault);
int pg_trouble(struct db *db, const PGresult *res); /* notes the failure; code of ours */

#endif
