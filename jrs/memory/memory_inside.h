/* Inside memory-jr: what the life of the process (memory.c) and its calls (calls.c) share. */
#ifndef JRS_MEMORY_MEMORY_INSIDE_H
#define JRS_MEMORY_MEMORY_INSIDE_H
#include "common/loop/loop.h"
#include "jrs/memory/archive/archive.h"
#include "jrs/memory/memory.h"
#include "jrs/memory/opening.h"

struct pending; /* a call: calls.c */
struct memory {
	struct jr *jr;
	struct archive *archive;
	struct work *work;
	struct votes *votes;
	struct opening opening;
	/* NULL archive: it is closed, we leave */
	bool leads, claims, draining; /* claims: or has claimed */
	uint64_t epoch, lead_ns;
	struct loop_timer *claim_timer;
	struct pending *held, **held_end; /* calls that wait until the claim was asked for, in order */
	unsigned pending;                 /* calls of others that are not answered */
	struct loop_timer *close_timer;
	/* while we wait to lead */
	bool refreshing;
	uint64_t refresh_ms, refresh_cost_ms, followed_changes;
	struct warm *warm;
	unsigned warmed;
	struct entangle *entangle;
	struct touch_table *touches;
	struct loop_timer *flush_timer, *figures_timer;
	/* damage */
	struct rescue *rescue; /* not NULL: under way */
	uint64_t rescue_ms;    /* when it was last thought about; 0: never */
	struct governor *governor;
	/* figures for the heartbeat */
	msgpack_zone *zone; /* not NULL: being asked for */
	struct msg_memory_thermal figures_msg;
	bool has_entropy;
	double entropy;
	uint64_t asked_ms, cost_ms, asked_changes, heat_map_ms;
};

/* memory.c */
void memory_flush_company(void *arg);        /* what is known of company goes to the archive */
void memory_close_if_done(struct memory *m); /* draining, and no call is left */
/* calls.c: arg: struct memory */
void calls_take(void *arg, struct chan_call *call, const void *msg);
void calls_go_on(struct memory *m);   /* those that waited for the claim */
void calls_give_up(struct memory *m); /* they will not be answered */
void calls_follow_phases(struct memory *m, const struct archive_answer *answer, enum wire_msg_id id);

#endif
