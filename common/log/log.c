#include "common/log/log.h"
#include "common/log/format.h"
#include <dlfcn.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <syslog.h>
#include <unistd.h>

static const char *const names[LOG_NLEVELS] = {
#define X(id, name) [LOG_LEVEL_##id] = name,
	LOG_LEVELS(X)
#undef X
};
static const int priorities[LOG_NLEVELS] = {LOG_ERR, LOG_WARNING, LOG_INFO, LOG_DEBUG}; /* syslog's */

/* Set once by log_open(), only read afterwards. */
static struct {
	const char *name;
	enum log_level level;
	bool journal;
} state = {"tribe", LOG_LEVEL_INFO, false};

typedef int journal_fn(const struct iovec *v, int n);
static _Atomic(journal_fn *) journal_send; /* sd_journal_sendv(); NULL: not looked for yet, or not there */
static atomic_bool journal_looked;

int log_level_find(const char *name)
{
	for (int i = 0; i < LOG_NLEVELS; i++)
		if (strcmp(names[i], name) == 0)
			return i;
	return -1;
}

/* systemd says which stream is the journal; a descriptor that was redirected since is not. */
static bool stderr_is_journal(void)
{
	const char *want = getenv("JOURNAL_STREAM");
	char have[64];
	struct stat st;

	if (want == NULL || fstat(STDERR_FILENO, &st) < 0)
		return false;
	(void)snprintf(have, sizeof(have), "%ju:%ju", (uintmax_t)st.st_dev, (uintmax_t)st.st_ino);
	return strcmp(want, have) == 0;
}

void log_open(const char *name, enum log_level level)
{
	state.name = name;
	state.level = level;
	state.journal = stderr_is_journal();
}

/* One write(2): whole lines from several processes. What does not fit into a full pipe is lost rather than waited for
 * twice. */
static void write_line(const char *p, size_t n)
{
	ssize_t r;

	do
		r = write(STDERR_FILENO, p, n);
	while (r < 0 && errno == EINTR);
}

/* libsystemd brings six more libraries along, half a millisecond of every start: who logs nothing before it serves
 * loads none before. NULL also for a line of another thread just then: it goes the other way. */
static journal_fn *sender(void)
{
	journal_fn *send = NULL;
	void *lib;

	if (!atomic_exchange(&journal_looked, true) && (lib = dlopen("libsystemd.so.0", RTLD_NOW)) != NULL) {
		*(void **)&send = dlsym(lib, "sd_journal_sendv");
		atomic_store(&journal_send, send);
	}
	return atomic_load(&journal_send);
}

/* p: the line without prefix and newline. */
static bool journal_line(enum log_level level, const char *p, size_t n)
{
	char message[LOG_LINE_MAX + 16], priority[16], ident[96];
	struct iovec v[3] = {{message, 0}, {priority, 0}, {ident, 0}};
	journal_fn *send = sender();

	if (send == NULL)
		return false;
	(void)snprintf(message, sizeof(message), "MESSAGE=%.*s", (int)n, p);
	(void)snprintf(priority, sizeof(priority), "PRIORITY=%d", priorities[level]);
	(void)snprintf(ident, sizeof(ident), "SYSLOG_IDENTIFIER=%s", state.name);
	for (int i = 0; i < 3; i++)
		v[i].iov_len = strlen(v[i].iov_base);
	return send(v, 3) >= 0;
}

void log_write(enum log_level level, const char *fmt, ...)
{
	char line[LOG_LINE_MAX], prefix[96];
	int saved = errno;
	size_t n, head;
	va_list ap;

	if (level > state.level)
		return;
	if (state.journal) /* journald reads the priority from the front of a line */
		(void)snprintf(prefix, sizeof(prefix), "<%d>%s:", priorities[level], state.name);
	else
		(void)snprintf(prefix, sizeof(prefix), "%s %s:", names[level], state.name);
	va_start(ap, fmt);
	n = log_format(line, sizeof(line), prefix, fmt, ap);
	va_end(ap);
	head = strlen(prefix) + 1;
	if (!state.journal || !journal_line(level, line + head, n - head - 1))
		write_line(line, n);
	errno = saved;
}
