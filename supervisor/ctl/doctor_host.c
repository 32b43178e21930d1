/* Limits, memory, the clock. */
#include "common/base/clock.h"
#include "supervisor/ctl/doctor.h"
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/timex.h>
#include <time.h>
#include <unistd.h>

#define NPROC_WARN  128
#define MEMORY_WARN (256u << 10) /* kB */

static const char *number(char out[SHOW_SHORT], uint64_t v)
{
	if (v == (uint64_t)RLIM_INFINITY)
		(void)snprintf(out, SHOW_SHORT, "unlimited");
	else
		show_count(out, v);
	return out;
}

/* Of the running tribed, when its figures may be read; else of this program. The same names as in /proc/PID/limits. */
static uint64_t limit(const struct doctor *d, const char *name, int resource, bool *of_tribed)
{
	struct rlimit own = {.rlim_cur = RLIM_INFINITY};
	char path[64], line[256];
	size_t n = strlen(name);
	uint64_t value = 0;
	bool found = false;
	FILE *f;

	(void)snprintf(path, sizeof(path), "/proc/%d/limits", (int)d->tribed);
	f = d->tribed > 0 ? fopen(path, "re") : NULL;
	while (f != NULL && !found && fgets(line, sizeof(line), f) != NULL) {
		if (strncmp(line, name, n) != 0)
			continue;
		found = true;
		value = strncmp(line + n + strspn(line + n, " "), "unlimited", 9) == 0 ? (uint64_t)RLIM_INFINITY
										       : strtoull(line + n, NULL, 10);
	}
	if (f != NULL)
		(void)fclose(f);
	*of_tribed = found;
	if (!found)
		(void)getrlimit((__rlimit_resource_t)resource, &own);
	return found ? value : (uint64_t)own.rlim_cur;
}

static void memory_left(struct doctor *d)
{
	FILE *f = fopen("/proc/meminfo", "re");
	unsigned long kb = 0;
	char line[128], text[SHOW_SHORT];
	bool found = false;

	while (f != NULL && !found && fgets(line, sizeof(line), f) != NULL)
		found = sscanf(line, "MemAvailable: %lu kB", &kb) == 1;
	if (f != NULL)
		(void)fclose(f);
	if (!found)
		return;
	show_bytes(text, (uint64_t)kb * 1024);
	doctor_add(d, "limits", "free memory", kb < MEMORY_WARN ? DOCTOR_WARN : DOCTOR_OK,
		   "the kernel may kill a Jr to get some", "%s", text);
}

void doctor_limits(struct doctor *d)
{
	enum doctor_level level;
	char text[SHOW_SHORT];
	const char *why, *whose;
	bool running;
	uint64_t v;

	v = limit(d, "Max open files", RLIMIT_NOFILE, &running);
	whose = running ? "of tribed" : "of this shell";
	level = judge_nofile(v, d->c->cfg.http_max_conns, &why);
	doctor_add(d, "limits", "open files", level, why, "%s, %s", number(text, v), whose);
	v = limit(d, "Max processes", RLIMIT_NPROC, &running);
	doctor_add(d, "limits", "processes", v < NPROC_WARN ? DOCTOR_WARN : DOCTOR_OK,
		   "a Jr that dies may not be started again", "%s, %s", number(text, v), whose);
	memory_left(d);
}

static int64_t now_ms(clockid_t id)
{
	struct timespec t;

	return clock_gettime(id, &t) < 0 ? 0 : (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Start of a process in ms since boot; -1: not known. */
static int64_t start_ms(pid_t pid)
{
	char path[64], line[1024], *p;
	unsigned long long ticks = 0;
	long hz = sysconf(_SC_CLK_TCK);
	FILE *f;

	(void)snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	if ((f = fopen(path, "re")) == NULL)
		return -1;
	p = fgets(line, sizeof(line), f) == NULL ? NULL : strrchr(line, ')'); /* the name may hold anything */
	(void)fclose(f);
	for (int field = 2; p != NULL && field < 22; field++)
		p = strchr(p + 1, ' ');
	if (p == NULL || hz <= 0)
		return -1;
	ticks = strtoull(p + 1, NULL, 10);
	return (int64_t)(ticks * 1000 / (unsigned long long)hz);
}

/* tribed wrote its pid file when it started: the file's time is the wall clock's then, the process's start the time
 * since boot then. Both together now, less both then, is what the wall clock was moved. */
static void steps(struct doctor *d)
{
	char path[CTL_PATH_MAX + 16];
	enum doctor_level level;
	const char *why;
	struct stat st;
	int64_t started, moved;

	(void)snprintf(path, sizeof(path), "%s/tribed.pid", d->c->paths.runtime);
	if (d->tribed <= 0 || (started = start_ms(d->tribed)) < 0 || stat(path, &st) < 0)
		return;
	moved = now_ms(CLOCK_REALTIME) - ((int64_t)st.st_mtim.tv_sec * 1000 + st.st_mtim.tv_nsec / 1000000) -
		(now_ms(CLOCK_BOOTTIME) - started);
	level = judge_steps(moved, &why);
	doctor_add(d, "clock", "steps since tribed started", level, why,
		   level == DOCTOR_OK ? "none" : "moved by %.1f s", (double)moved / 1e3);
}

void doctor_clock(struct doctor *d)
{
	struct timex t = {.modes = 0};
	int state = adjtimex(&t);
	bool synchronised = state >= 0 && state != TIME_ERROR && (t.status & STA_UNSYNC) == 0;
	char source[64] = "";
	FILE *f = fopen("/sys/devices/system/clocksource/clocksource0/current_clocksource", "re");

	if (f != NULL) {
		if (fgets(source, sizeof(source), f) == NULL)
			source[0] = '\0';
		source[strcspn(source, "\n")] = '\0';
		(void)fclose(f);
	}
	if (synchronised)
		doctor_add(d, "clock", "synchronised", DOCTOR_OK, NULL, "yes, estimated error %.1f ms%s%s",
			   (double)t.esterror / 1e3, source[0] == '\0' ? "" : "; source ", source);
	else
		doctor_add(d, "clock", "synchronised", DOCTOR_WARN,
			   "times of memories are as good as this clock; heat needs it right to minutes only", "no%s%s",
			   source[0] == '\0' ? "" : "; source ", source);
	steps(d);
}
