/* kill -9 and the time until another process gives a good answer, for supervisors of others and for whoever has a
 * socket of his own: a connection for each attempt, tried again at once (20 us after a refusal). Kinds: oneshot.h.
 *   bench-kill KIND ADDRESS COUNT REST_MS
 * A line for each kill: nanoseconds from right before kill(2) to the answer, refused connections, failed ones (closed,
 * or a bad answer). REST_MS: how long a process has served before it is killed. */
#include "tests/bench/common.h"
#include "tests/bench/oneshot.h"
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>

int main(int argc, char **argv)
{
	struct oneshot t = {.len = 0};
	struct oneshot_counts c = {0, 0};
	struct timespec rest;
	long count, rest_ms, pid;

	if (argc != 5) {
		(void)fputs("usage: bench-kill worker|nginx|status|ROLE ADDRESS COUNT REST_MS\n", stderr);
		return 2;
	}
	oneshot_aim(&t, argv[1], argv[2]);
	count = bench_number(argv[3], 1, 100000);
	rest_ms = bench_number(argv[4], 0, 60000);
	rest = (struct timespec){.tv_sec = rest_ms / 1000, .tv_nsec = rest_ms % 1000 * 1000000};
	(void)prctl(PR_SET_TIMERSLACK, 1ul, 0ul, 0ul, 0ul); /* 20 us shall be 20 us */
	pid = oneshot_until(&t, 0, &c);
	while (count-- > 0) {
		int64_t start;

		(void)nanosleep(&rest, NULL);
		c = (struct oneshot_counts){0, 0};
		start = bench_ns(CLOCK_MONOTONIC);
		bench_must(kill((pid_t)pid, SIGKILL) == 0, "kill");
		pid = oneshot_until(&t, pid, &c);
		(void)printf("%lld %u %u\n", (long long)(bench_ns(CLOCK_MONOTONIC) - start), c.refused, c.failed);
	}
	msgpack_sbuffer_destroy(&t.request);
	return fflush(stdout) == 0 ? 0 : 1;
}
