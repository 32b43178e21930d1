/* Starting a Jr as tribed starts one: descriptors 3.. and the environment, as sd_listen_fds(3) describes. Mostly this
 * very program again: it finds its mode in TEST_KIT_JR. */
#ifndef TESTS_UNIT_KIT_SPAWN_H
#define TESTS_UNIT_KIT_SPAWN_H
#include "common/lead/page.h"
#include "tests/unit/world.h"
#include <fcntl.h>
#include <sys/mman.h>

struct spawn {
	const char *program; /* NULL: this one */
	const char *mode, *arg, *names, *config;
	const char *generation;
	unsigned nfds;
};
struct spawn_fds {
	int channel, config, socket, lead, http, err; /* http: for nfds 5 */
};

static inline int spawn_config(const char *text)
{
	int fd = memfd_create("config", 0);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	return fd;
}

/* In the child; does not return. */
static inline void spawn_become(const struct spawn *sp, const struct spawn_fds *f, const char *dir)
{
	const int from[5] = {f->channel, f->config, f->socket, f->lead, f->http}, n = sp->nfds == 5 ? 5 : 4;
	char name[] = "meta-jr", number[16], arg[64];
	char *argv[] = {name, sp->arg == NULL ? NULL : arg, NULL};
	int fds[5];

	if (sp->arg != NULL)
		(void)snprintf(arg, sizeof(arg), "%s", sp->arg);
	(void)dup2(f->err, STDERR_FILENO);
	(void)dup2(f->err, STDOUT_FILENO);
	for (int i = 0; i < n; i++)
		fds[i] = fcntl(from[i], F_DUPFD, 100);
	for (int i = 0; i < n; i++)
		(void)dup2(fds[i], 3 + i);
	for (int i = 3 + n; i < 200; i++)
		(void)close(i);
	(void)setenv("TEST_KIT_JR", sp->mode == NULL ? "" : sp->mode, 1);
	if (sp->nfds > 0) {
		(void)snprintf(number, sizeof(number), "%ld", (long)getpid());
		(void)setenv("LISTEN_PID", number, 1);
		(void)snprintf(number, sizeof(number), "%u", sp->nfds);
		(void)setenv("LISTEN_FDS", number, 1);
		(void)setenv("LISTEN_FDNAMES", sp->names, 1);
	}
	(void)setenv("TRIBE_GENERATION", sp->generation, 1);
	(void)setenv("TRIBE_STATE", dir, 1);
	(void)setenv("TRIBE_RUNTIME", dir, 1);
	(void)execv(sp->program == NULL ? "/proc/self/exe" : sp->program, argv);
	_exit(127);
}

#endif
