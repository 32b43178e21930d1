/* Starting a Jr's program: which file, which environment, which descriptors. */
#ifndef SUPERVISOR_APP_LAUNCH_H
#define SUPERVISOR_APP_LAUNCH_H
#include "common/base/sha256.h"
#include "common/config/config.h"
#include "common/lead/page.h"
#include "supervisor/app/credentials.h"
#include "supervisor/app/listen.h"
#include "supervisor/proc/proc.h"

struct launch {
	char dir[4096];                        /* of our own program: the Jrs lie beside it */
	const struct tr_paths *paths;          /* borrowed */
	const struct listeners *listeners;     /* borrowed */
	const struct credentials *credentials; /* borrowed; executive-jr gets what is there */
	int lock_fd;                           /* borrowed; memory-jr inherits it */
	int lead_fd[TR_NROLES];                /* each role's page */
	struct lead_page *lead[TR_NROLES];
	struct buf config; /* YAML for every Jr */
	uint32_t revision; /* of config and credentials: one more with each launch_configure() */
};

struct life {
	enum tr_role role;
	uint32_t generation;
	bool waits; /* somebody leads: it has time before it is needed */
};

/* leads: the pages of a tribed that died, taken over; NULL: new ones are made. */
int launch_init(struct launch *l, const struct tr_paths *paths, const struct listeners *listeners,
		const struct credentials *credentials, int lock_fd, int leads[TR_NROLES]);
/* What lives that begin from now on are given; before the first one. On failure it stays as it was. */
int launch_configure(struct launch *l, const struct tr_config *cfg);
/* Of all that a life which begins now is given to go by, so that the next tribed can tell whether it would give the
 * same. */
int launch_digest(const struct launch *l, char digest[TR_SHA256_HEX]);
void launch_free(struct launch *l);
/* On success *channel is our end of the Jr's private channel (caller closes). arg: for the proc callbacks. */
int launch_jr(const struct launch *l, struct proc_set *procs, const struct life *life, void *arg, struct proc **proc,
	      int *channel);

/* A program beside ours that is no Jr: our environment as far as a Jr may know it, standard output closed. arg: for
 * ops. */
int launch_tool(const struct launch *l, struct proc_set *procs, char *const argv[], const struct proc_ops *ops,
		void *arg, struct proc **proc);

#endif
