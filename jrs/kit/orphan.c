/* Without its supervisor a Jr in this version leaves: nobody would start it again, and a new tribed starts its own. The
 * sound sign is the end of file on the channel; what there is to do depends on the state of the Jr:
 *  - a healthy loop sees it itself and drains for ORPHAN_DRAIN_MS (jr.c calls that);
 *  - a loop that blocks or spins is ended by the thread below, which sleeps in poll() on the same end of file;
 *  - a stopped process (SIGSTOP) runs no thread and gets no SIGTERM, so the kernel is asked to send SIGCONT when the
 *    parent dies: it goes on, and then one of the two above holds. A running process does not notice SIGCONT.
 * SIGKILL on parent death would be simpler, yet leave no time for what is in flight, and could not be taken back by a
 * Jr that waits to be adopted by a new tribed: then this file decides otherwise, and nothing else has to change. */
#include "jrs/kit/orphan.h"
#include "common/base/err.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <unistd.h>

struct orphan {
	pthread_t thread;
	int channel; /* a copy: the loop closes its own */
	int stop;    /* eventfd: written to end the thread */
};

/* True when told to stop, false after ms (-1: never) or when the channel has ended. */
static bool wait_for(const struct orphan *o, bool channel, int ms)
{
	/* no POLLIN on the channel: messages do not wake this thread */
	struct pollfd p[2] = {{.fd = o->stop, .events = POLLIN},
			      {.fd = channel ? o->channel : -1, .events = POLLRDHUP}};
	int r;

	do {
		r = poll(p, 2, ms);
	} while (r < 0 && errno == EINTR);
	return p[0].revents != 0;
}

static void *run(void *arg)
{
	const struct orphan *o = arg;

	if (wait_for(o, true, -1) || wait_for(o, false, ORPHAN_HARD_MS))
		return NULL;
	_exit(tr_exit_code(TR_EINTERNAL)); /* no line in the log: its reader may be what the loop is stuck in */
}

static int start_thread(struct orphan *o)
{
	sigset_t all, before;
	int r;

	(void)sigfillset(&all); /* signals belong to the loop's thread */
	(void)pthread_sigmask(SIG_SETMASK, &all, &before);
	r = pthread_create(&o->thread, NULL, run, o);
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	return -r;
}

int orphan_watch(struct orphan **out, int channel_fd)
{
	struct orphan *o = calloc(1, sizeof(*o));
	int r;

	if (o == NULL)
		return TR_ENOMEM;
	o->channel = fcntl(channel_fd, F_DUPFD_CLOEXEC, 3);
	o->stop = eventfd(0, EFD_CLOEXEC);
	r = o->channel < 0 || o->stop < 0 ? -errno : 0;
	if (r == 0 && prctl(PR_SET_PDEATHSIG, SIGCONT) < 0)
		r = -errno;
	if (r == 0)
		r = start_thread(o);
	if (r < 0) {
		if (o->channel >= 0)
			(void)close(o->channel);
		if (o->stop >= 0)
			(void)close(o->stop);
		free(o);
		return r;
	}
	*out = o;
	return 0;
}

void orphan_unwatch(struct orphan **po)
{
	struct orphan *o = *po;

	if (o == NULL)
		return;
	*po = NULL;
	(void)prctl(PR_SET_PDEATHSIG, 0); /* a late SIGCONT would wake what LeakSanitizer stops to look at */
	(void)eventfd_write(o->stop, 1);
	(void)pthread_join(o->thread, NULL);
	(void)close(o->channel);
	(void)close(o->stop);
	free(o);
}
