/* What drills do to a process, and the end of it. */
#include "common/base/clock.h"
#include "common/log/log.h"
#include "supervisor/app/copy.h"
#include "supervisor/app/worker.h"
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

static const char *api_name(const struct copy *c)
{
	return tr_roles[c->w->id].api_name;
}

int copy_hit(struct copy *c, int sig, uint64_t *monotonic_ns)
{
	char text[96];

	if (c->proc == NULL || copy_leaves(c))
		return TR_EUNAVAILABLE;
	c->ordered = true;
	log_info("fault injected jr=%s pid=%d generation=%" PRIu32 " signal=%d", api_name(c), proc_pid(c->proc),
		 c->generation, sig);
	snprintf(text, sizeof(text), "signal %d (%s)", sig, strsignal(sig));
	copy_tell(c, EVENT_DRILL, text);
	*monotonic_ns = tr_mono_ns();
	reign_hurt(&c->reign, *monotonic_ns);
	return proc_signal(c->proc, sig);
}

int copy_fault(struct copy *c, const struct msg_fault *fault, bool lasts, uint64_t *monotonic_ns)
{
	struct msg_fault m = *fault;
	char text[96];
	int r;

	if (c->proc == NULL || c->chan == NULL || copy_leaves(c) || c->up_ms == 0)
		return TR_EUNAVAILABLE;
	m.generation = c->generation;
	log_info("fault injected jr=%s pid=%d generation=%" PRIu32 " fault=%.*s", api_name(c), proc_pid(c->proc),
		 c->generation, (int)m.fault.n, m.fault.p);
	snprintf(text, sizeof(text), "%.*s", (int)m.fault.n, m.fault.p);
	copy_tell(c, EVENT_DRILL, text);
	*monotonic_ns = tr_mono_ns();
	if ((r = packet_note(c->chan, MSG_fault, &m)) < 0)
		return r;
	c->ordered = true;
	if (!lasts) /* one that lasts need not end it: then its notice counts */
		reign_hurt(&c->reign, *monotonic_ns);
	return 0;
}

bool copy_heal(struct copy *c, bool stopped)
{
	struct msg_heal m = {.generation = c->generation};

	if (c->proc == NULL)
		return false;
	if (c->why == DEATH_NONE) {
		c->ordered = false; /* how it ends from now on is its own doing */
		c->reign.hurt_ns = 0;
	}
	if (stopped) {
		stopped = proc_stopped(c->proc);
		if (proc_signal(c->proc, SIGCONT) < 0 || !stopped)
			return false;
	} else if (c->chan == NULL || packet_note(c->chan, MSG_heal, &m) < 0) {
		return false;
	}
	log_info("fault healed jr=%s pid=%d generation=%" PRIu32, api_name(c), proc_pid(c->proc), c->generation);
	copy_tell(c, EVENT_HEAL, NULL);
	return true;
}
