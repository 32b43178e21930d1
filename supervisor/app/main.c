/* tribed: wiring. */
#include "common/log/log.h"
#include "supervisor/app/tribe.h"
#include "supervisor/proc/detach.h"
#include <stdio.h>
#include <stdlib.h>

/* Returns in the daemon only. */
static int background(const struct app_opts *opts, char *why, unsigned size)
{
	char log_path[4200];
	int fd, r;

	fd = detach(why, size);
	if (fd < 0) {
		if (fd == -1)
			fputs(why, stdout);
		else if (why[0] != '\0')
			fprintf(stderr, "tribed: %s\n", why);
		exit(-1 - fd);
	}
	snprintf(log_path, sizeof(log_path), "%s/tribed.log", opts->paths.state);
	if ((r = detach_stdio(log_path)) < 0) {
		snprintf(why, size, "tribed.log in the state directory: %s", tr_strerror(r));
		detach_report(&fd, why);
		exit(1);
	}
	return fd;
}

int main(int argc, char **argv)
{
	static struct app_opts opts; /* large, and lives as long as the program */
	static struct tribe tribe;
	char why[DETACH_TEXT_MAX + 512] = "";
	int report_fd = -1, r;

	if (detach_guard_stdio() < 0)
		return 5;
	if ((r = app_opts_parse(&opts, argc, argv)) != 0)
		return r < 0 ? 2 : 0;
	if (app_dirs_make(&opts, why, sizeof(why)) < 0) {
		fprintf(stderr, "tribed: %s\n", why);
		return 1;
	}
	if (opts.detach)
		report_fd = background(&opts, why, sizeof(why));
	log_open("tribed", (enum log_level)log_level_find(opts.cfg.log_level));
	r = tribe_open(&tribe, &opts, report_fd);
	if (r < 0) /* on the terminal, or in the log; whoever waits for the daemon is told by tribe_free() */
		fprintf(stderr, "tribed: %s\n", tribe.failure);
	else
		r = tribe_run(&tribe);
	tribe_free(&tribe);
	return r == TR_ECONFIG ? 2 : r < 0 ? 1 : r;
}
