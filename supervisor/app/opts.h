/* tribed's command line: docs/adr and contract.md "Common flags". */
#ifndef SUPERVISOR_APP_OPTS_H
#define SUPERVISOR_APP_OPTS_H
#include "common/config/config.h"

struct app_opts {
	struct tr_paths paths;
	struct tr_config cfg;
	struct cfg_origins origins;
	bool detach, dev;
	bool config_given; /* --config: the file must be there */
	const char **set;  /* the words of --set, in their order; kept for the life of the program */
	int nset;
};

/* 0: go on. 1: everything was said (-V, -h, -n). TR_ECONFIG: one line was said on stderr. Nothing is created. */
int app_opts_parse(struct app_opts *o, int argc, char **argv);
/* The same configuration read again, into *cfg and *origins; TR_ECONFIG with *err filled. */
int app_opts_reread(const struct app_opts *o, struct tr_config *cfg, struct cfg_origins *origins,
		    struct cfg_error *err);
/* Makes the state and runtime directories where they are missing, 0700. On failure `why` says which. */
int app_dirs_make(const struct app_opts *o, char *why, size_t size);

#endif
