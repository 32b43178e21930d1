/* What a bench asks of tribed, over one standing connection to control.sock. Whatever it does not answer well ends the
 * bench. */
#ifndef TESTS_BENCH_CONTROL_H
#define TESTS_BENCH_CONTROL_H
#include "common/base/roles.h"
#include <stdbool.h>
#include <stdint.h>

struct control {
	int fd;
	uint32_t msgid;
	char *p; /* owned: what has been read of the answer */
};
struct control_role {
	bool up;                  /* its lead serves */
	uint32_t pid, generation; /* of the lead; pid 0: there is none */
	uint64_t epoch;
	unsigned understudies, waiting; /* processes behind the lead; those of them that could take over at once */
};

void control_open(struct control *c, const char *run_dir);
void control_close(struct control *c);
void control_ask(struct control *c, enum tr_role role, struct control_role *out);
/* amount 0: none. */
void control_inject(struct control *c, enum tr_role role, const char *fault, uint32_t amount);

#endif
