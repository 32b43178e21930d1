/* Inside the double: what its files share. */
#ifndef TESTS_KIT_ARCHIVE_DOUBLE_INSIDE_H
#define TESTS_KIT_ARCHIVE_DOUBLE_INSIDE_H
#include "jrs/memory/archive/ops.h"
#include "tests/kit/archive_double.h"

/* An array that grows. EACH walks it; what is put in or taken out meanwhile moves it. */
struct dbl_list {
	void *v;
	size_t n, cap, item; /* item: bytes of one */
};
void *dbl_put(struct dbl_list *l); /* a zeroed one more at the end; aborts when memory is short */
void dbl_take(struct dbl_list *l, size_t i);
#define EACH(type, it, l) for (struct type *it = (l)->v; it != NULL && it < (struct type *)(l)->v + (l)->n; it++)

/* Texts are borrowed from the book's zone, where they stay; an absent one has p == NULL. */
struct dbl_row {
	int64_t number;
	wire_str id, content, source, session, speaker, supersedes, superseded_by, import_id;
	wire_str metadata; /* JSON */
	wire_strs tags;
	wire_strs words, names; /* stems of the content and of the speaker */
	bool own_id, sacred, has_at, has_phase;
	double importance, heat, phase;
	int64_t at, created, last_access;
	uint64_t accesses;
	uint32_t compared, revision;
};
struct dbl_decision {
	wire_str id, memory_id, by;
	int64_t at;
};
struct dbl_request {
	wire_str id, params, answer; /* answer.n == 0: its memory has been forgotten */
	enum wire_msg_id method;
	wire_str memory_id, import_id; /* whose text the answer holds; which import it was a piece of */
	int64_t at;
};
struct dbl_import {
	wire_str id, name;
	uint64_t size, position, added, known, skipped;
	int64_t started, finished, undone;
	bool has_finished, has_undone;
};
struct dbl_pair {
	int64_t memory, partner, last_at;
	uint64_t times;
};

enum { ROWS, DECISIONS, REQUESTS, IMPORTS, PAIRS, RECALLS, CHANGES, NLISTS };
/* All that is kept of one archive, over its openings. */
struct dbl_book {
	struct dbl_book *next;
	char *path;
	msgpack_zone *texts; /* only grows */
	struct dbl_list list[NLISTS];
	int64_t last_number; /* of a memory: taken back with a failed call, else never used again */
	uint64_t heat_maps, recalls_total, epoch;
	enum archive_double_fault fault;
};

enum dbl_kind { DBL_READ, DBL_WRITE, DBL_TAIL, DBL_REFRESH, DBL_SETTLE, DBL_LEAD };
struct dbl_job {
	struct dbl_job *next;
	enum dbl_kind kind;
	enum wire_msg_id id;
	const void *msg;
	struct archive_ctx ctx;
	void *arg;
	archive_cb *cb;
	archive_tail_cb *tail_cb;
	archive_lead_cb *lead_cb;
	struct archive_mark from;
	unsigned limit;
	/* the answer */
	int r;
	struct tr_fault fault;
	struct archive_answer answer;
	struct archive_tail tail;
	struct archive_change *changes; /* owned: tail's */
	uint64_t epoch;
};

struct dbl {
	struct archive base;
	struct dbl_book *book;
	uv_async_t *async; /* both freed by libuv's close */
	uv_timer_t *timer; /* runs while there are notes */
	int64_t (*wall_ms)(void);
	uint64_t source_rows_max, source_bytes_max; /* 0: no limit */
	struct thermal_model model;
	bool follow, healthy, fenced;
	uint64_t epoch, lead_epoch; /* ours as a lead; the book's, as it was read last */
	unsigned max_waiting, nwaiting[DBL_LEAD + 1];
	struct dbl_job *first, **last;
	struct dbl_list touches, recalls, company; /* notes */
	unsigned heat_maps;
	int64_t now; /* commit time, never falling */
	uint64_t changes, commits, committed_calls, notes_dropped, recalls_noted;
	uint64_t phase_known;
	double phase_sum;
};
struct dbl_touch {
	int64_t memory, at;
};

/* ---- archive_double_book.c ---- */
struct dbl_book *dbl_book_of(const char *path); /* made when there is none */
struct dbl_book *dbl_book_find(const char *path);
void dbl_lists_copy(struct dbl_list to[NLISTS], const struct dbl_list from[NLISTS]);
void dbl_lists_free(struct dbl_list lists[NLISTS]);
/* Copies into the book's zone; an absent one stays absent. */
wire_str dbl_text(struct dbl_book *b, bool has, wire_str s);
wire_strs dbl_texts(struct dbl_book *b, wire_strs s);
bool dbl_same(wire_str a, wire_str b);                      /* two absent ones are the same */
struct dbl_row *dbl_by_id(struct dbl_book *b, wire_str id); /* these four: NULL, there is none */
struct dbl_row *dbl_by_number(struct dbl_book *b, int64_t number);
struct dbl_import *dbl_import_by_id(struct dbl_book *b, wire_str id);
struct dbl_request *dbl_request_by_id(struct dbl_book *b, wire_str id);
void dbl_changed(struct dbl_book *b, int64_t number, enum archive_change_kind kind);
bool dbl_hidden(const struct dbl_row *row); /* drill load */

/* ---- what a call does; 0 and j->answer, or < 0 and j->fault ---- */
int dbl_fault(struct dbl_job *j, int r, const char *field, const char *rule);
int dbl_item_fault(struct dbl_job *j, uint32_t i, int r, const char *field, const char *rule);
void *dbl_alloc(struct dbl_job *j, size_t n);      /* zeroed, in the call's zone; aborts when memory is short */
wire_str dbl_copy(struct dbl_job *j, wire_str s);  /* into the call's zone */
int dbl_write(struct dbl *d, struct dbl_job *j);   /* archive_double_write.c: once per request id */
int dbl_restore(struct dbl *d, struct dbl_job *j); /* archive_double_import.c */
int dbl_import_begin(struct dbl *d, struct dbl_job *j);
int dbl_import_undo(struct dbl *d, struct dbl_job *j);
void dbl_import_show(struct dbl_job *j, const struct dbl_import *import, struct item_import *out);
int dbl_read(struct dbl *d, struct dbl_job *j);   /* archive_double_read.c */
int dbl_recall(struct dbl *d, struct dbl_job *j); /* archive_double_recall.c */
int dbl_explain(struct dbl *d, struct dbl_job *j);
void dbl_words(struct dbl_book *b, wire_str text, wire_strs *out);

struct dbl_import_note {
	bool has_id, has_position, has_skipped;
	wire_str id;
	uint64_t position, skipped;
};
#define DBL_IMPORT_NOTE(msg)                                                                                   \
	{                                                                                                      \
		(msg)->has_import_id, (msg)->has_import_position, (msg)->has_import_skipped, (msg)->import_id, \
			(msg)->import_position, (msg)->import_skipped                                          \
	}
int dbl_import_check(struct dbl *d, struct dbl_job *j, const struct dbl_import_note *n);
void dbl_import_brought(struct dbl *d, const struct dbl_import_note *n, uint64_t added, uint64_t known);

/* archive_double_write.c, for the others */
struct dbl_row *dbl_twin(struct dbl_book *b, const struct item_new_memory *m, bool has_source, wire_str source);
/* A new row; < 0 with the fault of entry i. taken: NULL, or what else it shall be. */
int dbl_create(struct dbl *d, struct dbl_job *j, uint32_t i, const struct item_new_memory *m,
	       const struct item_record *taken, wire_str source, wire_str import_id, struct dbl_row **out);
void dbl_forget(struct dbl *d, int64_t number);
void dbl_heat(struct dbl *d, struct dbl_row *row, int64_t at);
struct archive_hit dbl_hit(const struct dbl_row *row);

/* archive_double_read.c */
double dbl_temperature(const struct dbl *d, const struct dbl_row *row, int64_t now);
int dbl_memory(struct dbl *d, struct dbl_job *j, const struct dbl_row *row, int64_t now, struct item_memory *out,
	       struct archive_hit *hit);
size_t dbl_bytes(const struct dbl_row *row); /* about what it takes in a frame */
#define DBL_ANSWER_MAX (8u << 20)

#endif
