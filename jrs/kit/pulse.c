#include "jrs/kit/pulse.h"
#include "common/base/clock.h"
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

void pulse_open(struct pulse *p)
{
	p->statm_fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
	p->start_ns = tr_mono_ns();
	p->page_bytes = sysconf(_SC_PAGESIZE);
}

void pulse_close(struct pulse *p)
{
	if (p->statm_fd >= 0)
		(void)close(p->statm_fd);
	p->statm_fd = -1;
}

uint64_t pulse_rss_bytes(const struct pulse *p)
{
	char text[128];
	const char *resident;
	ssize_t n = p->statm_fd < 0 ? -1 : pread(p->statm_fd, text, sizeof(text) - 1, 0);

	if (n <= 0)
		return 0;
	text[n] = '\0';
	resident = strchr(text, ' '); /* behind the total size */
	return resident == NULL ? 0 : (uint64_t)strtoull(resident, NULL, 10) * (uint64_t)p->page_bytes;
}

uint64_t pulse_cpu_ms(void)
{
	struct timespec t;

	if (clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t) < 0)
		return 0;
	return (uint64_t)t.tv_sec * 1000u + (uint64_t)t.tv_nsec / 1000000u;
}

uint64_t pulse_uptime_ms(const struct pulse *p)
{
	return (tr_mono_ns() - p->start_ns) / 1000000u;
}
