/* A random test of archives: the same calls go to the double (side 0) and to another kind (side 1), and every answer is
 * held against the other. archive_model_make.c invents the calls, archive_model_compare.c compares answers,
 * archive_model_whole.c all that is kept, test_archive_model.c runs. */
#ifndef TESTS_UNIT_ARCHIVE_MODEL_H
#define TESTS_UNIT_ARCHIVE_MODEL_H
#include "memory_rig.h"

#define SIDES 2
struct random {
	uint64_t state;
};
/* What the two sides call the same thing: ids that the archive made, and the numbers of memories. */
struct model_id {
	wire_str at[SIDES];
};
struct model_number {
	int64_t at[SIDES];
};
/* A memory that was there once; its newest number. */
struct model_memory {
	wire_str id[SIDES];
	int64_t number[SIDES];
};
/* One call, as each side gets it. */
struct model_call {
	enum wire_msg_id id;
	const void *msg[SIDES];
	int64_t at; /* when it was made */
};
#define PAST 32
struct model_follower {
	struct archive_mark mark;
	int64_t *v; /* numbers it has; owned */
	size_t n, cap;
};

struct model {
	struct rig *side[SIDES];
	struct random random;
	msgpack_zone *zone;          /* calls, ids and what else outlives a step */
	struct model_memory *memory; /* these three owned */
	size_t nmemories, cap_memories;
	struct model_id *ids;
	size_t nids, cap_ids;
	struct model_number *numbers;
	size_t nnumbers, cap_numbers;
	struct model_call past[PAST]; /* writes with a request id, for asking again */
	unsigned npast, requests;
	struct list_record page[SIDES]; /* of an export, for restoring */
	struct msg_memory_recall asked; /* the last recall that has a next page */
	wire_str cursor[SIDES];         /* of it; p == NULL: there is none */
	struct model_follower follower[SIDES];
	unsigned created; /* at most so many memories were ever added */
	bool trace;       /* tell each call */
	bool differs;     /* found a difference: `why` says which */
	char why[400];
};
#define MODEL_ROOM(v, n, cap)                                     \
	do {                                                      \
		if ((n) == (cap)) {                               \
			(cap) = (cap) == 0 ? 64 : (cap)*2;        \
			(v) = realloc((v), (cap) * sizeof(*(v))); \
			assert_non_null(v);                       \
		}                                                 \
	} while (0)

/* ---- archive_model_make.c ---- */
/* A write or a read for both sides, from m->random. */
struct model_call model_make_write(struct model *m);
struct model_call model_make_read(struct model *m);
/* Notes of all kinds for both sides; settle afterwards. */
void model_make_notes(struct model *m);

/* ---- archive_model_compare.c ---- */
/* What a side answered; kept until the next step. */
struct model_answer {
	int r;
	const void *res;
	const struct archive_hit *hits;
	unsigned nhits;
	char field[64];
};
/* Notes the difference (the first one counts) and gives false. */
bool model_differ(struct model *m, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
bool model_same_id(const struct model *m, wire_str a, wire_str b);
/* The id on side 1 of what side 0 calls so, or the other way round; p == NULL: it has none. */
wire_str model_other_id(const struct model *m, unsigned side, wire_str id);
void model_learn_id(struct model *m, wire_str a, wire_str b);
bool model_learn_number(struct model *m, int64_t a, int64_t b);
/* Field by field; `learn`: ids that are new may differ, and are the same from now on. */
bool model_compare(struct model *m, const struct wire_shape *shape, const void *a, const void *b, bool learn);
bool model_compare_answers(struct model *m, const struct model_call *call, const struct model_answer answer[SIDES]);
/* ---- archive_model_whole.c ---- */
/* What followers of both sides have heard since the last time. */
bool model_compare_tails(struct model *m);
/* Whole exports, `page` records at a time, and the first 1000 of them are kept for restoring. */
bool model_compare_exports(struct model *m, uint32_t page);
/* Everything: exports, figures, lists, and what no call shows. */
bool model_compare_all(struct model *m);

/* ---- test_archive_model.c ---- */
uint64_t random_next(struct random *r);
unsigned random_below(struct random *r, unsigned n); /* 0..n-1; n > 0 */
bool random_chance(struct random *r, unsigned percent);
void *model_alloc(struct model *m, size_t n); /* zeroed, in the model's zone */
wire_str model_copy(struct model *m, wire_str s);
/* One more call on one side, to find something out. */
struct model_answer model_ask(struct model *m, unsigned side, enum wire_msg_id id, const void *msg);

#endif
