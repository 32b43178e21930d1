/* What meta-jr reckons for /metrics: R squared of the last analysis, and how the latest window of each figure compares
 * with the windows before. Answers meta.figures; what is not known is not in the answer. */
#ifndef JRS_META_FIGURES_H
#define JRS_META_FIGURES_H
#include "proto/chan/peer.h"
#include "proto/chan/server.h"
#include <uv.h>

struct figures;
struct figures_cfg {
	uv_loop_t *loop;
	/* asks tribed how the Jrs are; the promise of peer_call() */
	int (*status)(void *arg, uint32_t timeout_ms, peer_cb *cb, void *cb_arg);
	void *arg;
	uint64_t period_ms; /* of a window; tribed is asked 60 times in it, at most once in 10 ms */
	uint32_t timeout_ms;
};
int figures_new(struct figures **out, const struct figures_cfg *cfg);
void figures_start(struct figures *f); /* once */
/* An analysis has come, once a period (samples: borrowed; now_ms: wall clock), or has failed: then what was of the
 * archive is not known any more. */
void figures_analysed(struct figures *f, const struct res_memory_samples *samples, int64_t now_ms);
void figures_lost(struct figures *f);
void figures_free(struct figures **f); /* when no answer of tribed's can come any more */
void figures_answer(void *arg, struct chan_call *call, const void *msg); /* meta.figures */

#endif
