/* The Sentience Index: 100 * (0.3 uptime + 0.5 coherence + 0.2 thermal balance). Definition and reasons:
 * docs/SENTIENCE_INDEX.md. Pure. What is not known is absent, never a stale or invented value. */
#ifndef SUPERVISOR_CORE_SENTIENCE_H
#define SUPERVISOR_CORE_SENTIENCE_H
#include "common/base/roles.h"
#include <stdbool.h>
#include <stdint.h>

#define SENTIENCE_WARM_RECALLS 20

struct sentience_role {
	bool serving;
	double availability;  /* 0..1 over 24 h or since the start */
	uint64_t beat_age_ms; /* since its last heartbeat (or hello); read while serving */
};

struct sentience_in {
	struct sentience_role role[TR_NROLES];
	uint32_t heartbeat_ms;
	uint64_t recalls; /* seen since tribed started, see sentience_recalls() */
	bool archive_bad; /* memory-jr says that the archive is not healthy */
	bool has_phase_coherence, has_thermal_balance;
	double phase_coherence, thermal_balance; /* of a heartbeat that is not late */
};

struct sentience {
	bool has_index, has_coherence, has_thermal_balance, has_phase_coherence;
	double index;  /* 0..100 */
	double uptime; /* all the others 0..1 and unweighted */
	double coherence;
	double thermal_balance;
	double heartbeat_coherence;
	double phase_coherence;
};

/* 1 up to one interval late, linear to 0 at three intervals late. A beat is due one interval after the one before. */
double sentience_beat(uint64_t age_ms, uint32_t heartbeat_ms);
void sentience_reckon(const struct sentience_in *in, struct sentience *out);

/* A counter that starts again with each life of memory-jr, or goes on: counts recalls over all lives. */
struct recall_count {
	uint64_t before, last;
};
uint64_t sentience_recalls(struct recall_count *c, uint64_t recalls_total);

#endif
