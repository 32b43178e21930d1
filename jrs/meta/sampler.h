/* The watching shell of meta-jr: asks memory-jr for samples at every period, keeps the findings, answers
 * meta.anomalies. */
#ifndef JRS_META_SAMPLER_H
#define JRS_META_SAMPLER_H
#include "jrs/kit/decided.h"
#include "proto/chan/peer.h"
#include "proto/chan/server.h"
#include <uv.h>

struct sampler;
struct sampler_cfg {
	uv_loop_t *loop;
	struct peer *memory;     /* borrowed; must outlive the sampler's use of it: sampler_free() comes first */
	uint64_t period_ms;      /* between two analyses */
	uint32_t timeout_ms;     /* of one question to memory-jr */
	struct decided *decided; /* findings are decided upon: each kind once a day; NULL: nobody is told */
};
int sampler_new(struct sampler **out, const struct sampler_cfg *cfg);
/* Once: the clock begins. The first analysis comes after min(period, 5 s) and sets the beat; every further one comes n
 * periods after it, however long one takes. One that fails is tried again after min(period, 30 s; 5 s before the first)
 * and the old findings stay; beats that pass without an analysis are counted and not made up for. */
void sampler_start(struct sampler *s);
void sampler_anomalies(void *arg, struct chan_call *call, const void *msg); /* chan_handler; arg: struct sampler */
void sampler_ballot(void *arg, struct chan_call *call, const void *msg);    /* the same: how meta-jr votes */
void sampler_free(struct sampler **s);

#endif
