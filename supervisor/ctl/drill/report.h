/* What came of a drill: the record that the runner fills, the verdict on it, and its reports. Pure. Times are
 * CLOCK_MONOTONIC, ns, where no other unit is named; 0: it did not come to that. */
#ifndef SUPERVISOR_CTL_DRILL_REPORT_H
#define SUPERVISOR_CTL_DRILL_REPORT_H
#include "common/base/buf.h"
#include "common/base/harms.h"
#include "common/base/roles.h"
#include "supervisor/ctl/drill/check.h"
#include "supervisor/ctl/drill/probe.h"
#include <jansson.h>

#define REPORT_SUPERVISOR TR_NROLES /* a role of a row: tribed itself */
#define REPORT_NTARGETS   (TR_NROLES + 1)

struct report_row {
	int role; /* enum tr_role or REPORT_SUPERVISOR */
	uint32_t pid, generation;
	uint32_t also; /* the understudy that was hit with it; 0: none */
	uint64_t epoch;
	uint64_t inject_ns, detect_ns; /* detect: when the news arrived here */
	char detected_by[32];          /* the event: exit, hang, stopped, promote ... */
	struct probe_result back;
	double ms; /* inject to the first good reply; when there was none: how long it was waited for */
	/* what users saw from this injection to the next one; report_users() */
	uint32_t refused, failed, resent;
	uint64_t gap_ns; /* the longest that a request took */
};

enum report_steady { STEADY_UNKNOWN, STEADY_HELD, STEADY_MISSED };
extern const char *const report_steady_words[];
enum report_valid { VALID_UNKNOWN, VALID_TRUE, VALID_FALSE };
extern const char *const report_valid_words[];

struct report {
	const char *id, *version;
	enum harm_kind fault;
	int only;                    /* a role, or -1: all */
	bool roles[REPORT_NTARGETS]; /* that are, or may be, hit */
	bool storm;
	double storm_s, every_ms;
	uint32_t kills, seed, users, fault_ms, amount; /* the last two: 0: as they are by themselves */
	double rate, slo_ms;                           /* slo 0: none */
	int64_t started_ms, finished_ms;               /* wall clock */
	uint64_t began_ns, ended_ns;
	size_t planned, nrows; /* of a storm planned is what there was */
	struct report_row *rows;
	bool interrupted;
	enum report_steady before, during, after;
	/* with a load */
	bool loaded;
	const struct history *history;
	struct check check;
	uint32_t listed, removed, left;
	bool looked;
	/* the verdict; report_judge() */
	enum report_valid valid;
	char reason[256]; /* why it is not true; "" when it is */
};

struct report_figures {
	size_t hit, back;
	uint64_t refused, lost, failed;                /* of the probes */
	uint64_t users_refused, users_failed, resent;  /* of the load */
	double detect_p50, p50, p95, p99, max, gap_ms; /* ms; hold when back > 0 (detect: NAN when never known) */
};

const char *report_target(int role);                /* "memory", ... "supervisor" */
const char *report_target_api(int role);            /* "memory_jr", ... "supervisor" */
const char *report_verdict(const struct report *r); /* passed, failed, interrupted, unknown */
/* How the same is done again: the command with its seed. */
int report_replay(const struct report *r, struct buf *out);

/* The windows in which resets are excused: executive-jr (or tribed) was down by order. v: room for nrows. */
size_t report_windows(const struct report *r, struct check_window *v);
/* Fills each row's share of what users saw. Rows stand in the order of their injections. */
void report_users(struct report *r);
/* role: one target, or -1: all. 0 or TR_ENOMEM. */
int report_figures(const struct report *r, int role, struct report_figures *out);
/* How long requests of that kind (-1: of all) took, repeats included, ms. Those without an answer are not in it. */
struct report_latency {
	size_t n;
	double p50, p99, max; /* hold when n > 0 */
};
int report_latency(const struct report *r, int kind, struct report_latency *out); /* 0 or TR_ENOMEM */
/* The load's requests sorted into n slices of equal time by when they were sent; each slice's share that had an answer.
 */
struct report_slice {
	size_t n;
	double p50, p99, max; /* ms; hold when n > 0 */
};
int report_slices(const struct report *r, struct report_slice *out, size_t n); /* 0 or TR_ENOMEM */
/* Fills valid and reason. False before unknown: what was seen to be wrong stays wrong. 0 or TR_ENOMEM. */
int report_judge(struct report *r);

json_t *report_json(const struct report *r); /* NULL: out of memory */
/* Everything in one page: no script, nothing fetched. Under 1 MB whatever the length of the drill. */
int report_html(const struct report *r, struct buf *out);
int report_plot(const struct report *r, struct buf *out); /* its plot, SVG; empty without a load or kills */

#endif
