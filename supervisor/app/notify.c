#include "supervisor/app/notify.h"
#include "common/base/err.h"
#include <stdlib.h>
#include <systemd/sd-daemon.h>

struct notify {
	struct loop_timer *timer;
};

static void beat(void *arg)
{
	(void)arg;
	sd_notify(0, "WATCHDOG=1");
}

int notify_new(struct notify **out, uv_loop_t *loop)
{
	struct notify *n = calloc(1, sizeof(*n));
	uint64_t usec = 0, ms;
	int r;

	if (n == NULL)
		return TR_ENOMEM;
	if (sd_watchdog_enabled(0, &usec) > 0) {
		ms = usec / 3000 > 0 ? usec / 3000 : 1; /* three times in the time allowed */
		if ((r = loop_timer_new(&n->timer, loop, beat, n)) < 0 || (r = loop_timer_start(n->timer, 0, ms)) < 0) {
			notify_free(&n);
			return r;
		}
	}
	*out = n;
	return 0;
}

void notify_ready(void)
{
	sd_notify(0, "READY=1");
}

void notify_stopping(void)
{
	sd_notify(0, "STOPPING=1");
}

void notify_status(const char *text)
{
	sd_notifyf(0, "STATUS=%s", text);
}

void notify_free(struct notify **n)
{
	if (*n == NULL)
		return;
	loop_timer_free(&(*n)->timer);
	free(*n);
	*n = NULL;
}
