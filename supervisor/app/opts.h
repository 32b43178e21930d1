/* tribed's command line: docs/adr and contract.md "Common flags". */
#ifndef SUPERVISOR_APP_OPTS_H
#define SUPERVISOR_APP_OPTS_H
#include "common/config/config.h"

struct app_opts {
	struct tr_paths paths;
	struct tr_config cfg;
	struct cfg_origins origins;
	bool detach;
};

/* 0: go on. 1: everything was said (-V, -h, -n). TR_ECONFIG: one line was said on stderr. Nothing is created. */
int app_opts_parse(struct app_opts *o, int argc, char **argv);
/* Makes the state and runtime directories where they are missing, 0700. On failure `why` says which. */
int app_dirs_make(const struct app_opts *o, char *why, size_t size);

#endif
