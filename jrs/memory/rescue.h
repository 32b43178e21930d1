/* A damaged archive of the numbered row: what is undamaged goes into a fresh one under the next number, and `current`
 * leads there. The old directory gets a note and is otherwise left as it is. */
#ifndef JRS_MEMORY_RESCUE_H
#define JRS_MEMORY_RESCUE_H
#include "jrs/memory/archive/damage.h"
#include "jrs/memory/archive/salvage.h"
#include <uv.h>

struct rescue_cfg {
	const char *state; /* the state directory */
	const char *path;  /* of the damaged database file */
	const char *why;
	int64_t now_ms;
	bool frozen;              /* it is open in this process, and nobody writes */
	bool (*go_on)(void *arg); /* NULL: to the end */
	void *arg;
};
struct rescue_result {
	unsigned from, to; /* numbers of the directories */
	struct salvage_report report;
};
/* May it be done? DAMAGE_RESCUE, or DAMAGE_REPORT with *why (static). */
enum damage_act rescue_may(const struct rescue_cfg *cfg, bool numbered, bool leads, const char **why);
/* Blocks, does it all. 0: `current` leads to the new one. */
int rescue_run(const struct rescue_cfg *cfg, struct rescue_result *out, struct tr_fault *fault);

/* The same in a thread of its own; done is called once on the loop. The strings of cfg are copied. */
struct rescue;
typedef void rescue_done(void *arg, int r, const struct rescue_result *result, const struct tr_fault *fault);
int rescue_begin(struct rescue **out, uv_loop_t *loop, const struct rescue_cfg *cfg, rescue_done *done, void *arg);
/* Stops it where it is, if it still runs: nothing leads to what it has begun. NULL is fine. */
void rescue_free(struct rescue **r);

#endif
