#include "supervisor/core/sentience.h"

#define WEIGHT_UPTIME    0.3
#define WEIGHT_COHERENCE 0.5
#define WEIGHT_THERMAL   0.2

double sentience_beat(uint64_t age_ms, uint32_t heartbeat_ms)
{
	double late = ((double)age_ms - heartbeat_ms) / heartbeat_ms;

	if (late <= 1)
		return 1;
	return late >= 3 ? 0 : (3 - late) / 2;
}

uint64_t sentience_recalls(struct recall_count *c, uint64_t recalls_total)
{
	if (recalls_total < c->last) /* a new life began at 0 */
		c->before += c->last;
	c->last = recalls_total;
	return c->before + c->last;
}

void sentience_reckon(const struct sentience_in *in, struct sentience *out)
{
	double serving = 0, available = 0, beats = 1;
	bool broken;

	for (int i = 0; i < TR_NROLES; i++) {
		const struct sentience_role *r = &in->role[i];

		serving += r->serving ? 1 : 0;
		available += r->availability;
		beats *= r->serving ? sentience_beat(r->beat_age_ms, in->heartbeat_ms) : 0;
	}
	*out = (struct sentience){.uptime = serving / TR_NROLES * (available / TR_NROLES),
				  .heartbeat_coherence = beats,
				  /* What a dead archive said last is stale. */
				  .has_phase_coherence = in->has_phase_coherence && !in->archive_bad,
				  .has_thermal_balance = in->has_thermal_balance && !in->archive_bad};
	if (out->has_phase_coherence)
		out->phase_coherence = in->phase_coherence;
	if (out->has_thermal_balance)
		out->thermal_balance = in->thermal_balance;
	/* A silent Jr or a dead archive makes coherence 0 whatever the recalls were: that much is known. */
	broken = beats <= 0 || in->archive_bad;
	out->has_coherence = broken || out->has_phase_coherence;
	out->coherence = broken ? 0 : beats * out->phase_coherence;
	out->has_index = in->recalls >= SENTIENCE_WARM_RECALLS &&
			 (broken || (out->has_phase_coherence && out->has_thermal_balance));
	if (out->has_index)
		out->index = 100 * (WEIGHT_UPTIME * out->uptime + WEIGHT_COHERENCE * out->coherence +
				    WEIGHT_THERMAL * out->thermal_balance);
}
