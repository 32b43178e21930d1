/* The judge of a history: what was acknowledged and is not there, what is there twice, what was not seen though it had
 * been written, what was refused and what failed. Pure; the order of the records does not matter, their times do. */
#ifndef SUPERVISOR_CTL_DRILL_CHECK_H
#define SUPERVISOR_CTL_DRILL_CHECK_H
#include "supervisor/ctl/drill/history.h"

/* A stretch of time in which executive-jr was down by the drill's order: requests that it had read are reset then, and
 * that is no failure when their repeats are answered. */
struct check_window {
	uint64_t from_ns, to_ns;
};

enum check_count {
	CHECK_LOST,    /* acknowledged, and not in the listing at the end; or there with another content */
	CHECK_DOUBLED, /* one key and two memories, one memory and two effects, or a memory that nobody sent */
	CHECK_STALE,   /* a read begun after the acknowledgement (or after another read had seen it) did not see it */
	CHECK_REFUSED, /* connections that were refused */
	CHECK_FAILED,  /* 5xx, timeouts, garbage, resets outside the windows, 4xx, requests without an end */
	CHECK_NCOUNTS
};
extern const char *const check_words[CHECK_NCOUNTS];

#define CHECK_EXAMPLES     5
#define CHECK_EXAMPLE_SIZE 112
struct check {
	uint64_t count[CHECK_NCOUNTS];
	char example[CHECK_NCOUNTS][CHECK_EXAMPLES][CHECK_EXAMPLE_SIZE]; /* the first few of each, "" behind them */
	uint64_t ops, acknowledged, reads, excused_resets, repeats;
	uint64_t recovered; /* in the listing though never acknowledged: allowed */
	bool whole;         /* of the history */
};

/* from_ns: what examples count their time from. 0, or TR_ENOMEM and *out untouched. */
int check_history(const struct history *h, const struct check_window *windows, size_t nwindows, uint64_t from_ns,
		  struct check *out);

#endif
