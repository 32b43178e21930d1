/* Inside of integration-jr's handlers: what their files share. */
#ifndef JRS_INTEGRATION_INSIDE_H
#define JRS_INTEGRATION_INSIDE_H
#include "jrs/integration/handlers.h"
#include "jrs/integration/synthesis/synthesis.h"

struct job;
struct ballot;
struct integration {
	struct integration_cfg cfg;
	struct words *words;
	struct job *jobs;       /* imports under way: handlers.c */
	struct ballot *ballots; /* ballots under way: ballot.c */
};
void integration_ballots_end(struct integration *in);

#endif
