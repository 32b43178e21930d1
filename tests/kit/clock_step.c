/* Preloaded into a program: its wall clock is ahead by the seconds in the file that CLOCK_STEP names (int64, of this
 * machine's byte order), whatever they are at that moment; all other clocks are as they were. */
#include <fcntl.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static _Atomic int64_t *ahead; /* mapped, so a write to the file is a step */

__attribute__((constructor)) static void open_it(void)
{
	const char *name = getenv("CLOCK_STEP");
	int fd = name == NULL ? -1 : open(name, O_RDONLY | O_CLOEXEC);
	void *p;

	if (fd < 0)
		return;
	p = mmap(NULL, sizeof(*ahead), PROT_READ, MAP_SHARED, fd, 0);
	if (p != MAP_FAILED)
		ahead = p;
	close(fd);
}

__attribute__((visibility("default"))) int clock_gettime(clockid_t id, struct timespec *ts)
{
	long r = syscall(SYS_clock_gettime, id, ts);

	if (r == 0 && ahead != NULL && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE))
		ts->tv_sec += (time_t)atomic_load(ahead);
	return (int)r;
}

__attribute__((visibility("default"))) time_t time(time_t *out)
{
	struct timespec ts = {0, 0};

	clock_gettime(CLOCK_REALTIME, &ts);
	if (out != NULL)
		*out = ts.tv_sec;
	return ts.tv_sec;
}
