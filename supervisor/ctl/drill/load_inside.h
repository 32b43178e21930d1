/* What load.c (users) and load_end.c (listing and cleaning) share. */
#ifndef SUPERVISOR_CTL_DRILL_LOAD_INSIDE_H
#define SUPERVISOR_CTL_DRILL_LOAD_INSIDE_H
#include "common/base/text.h"
#include "common/loop/loop.h"
#include "supervisor/ctl/drill/load.h"
#include <stdatomic.h>

#define TRY_MS      10000 /* one try of a request */
#define PATIENCE_MS 30000 /* and all its repeats */
#define LOAD_ID_MAX 65
#define OWN_KEYS    64 /* the last memories of a user that it reads back */

struct load;
struct user {
	struct load *load;
	struct http *http;
	struct loop_timer *timer; /* the next request, or the next try of this one */
	uint32_t number;
	uint64_t due_ns, random;
	/* the request under way */
	bool busy;
	int64_t op; /* index in the history; -1: it was full */
	enum op_kind kind;
	uint32_t key;
	uint64_t sent_ns, give_up_ns;
	char target[400];
	char key_header[128];
	char body[512];
	uint32_t own[OWN_KEYS], nown;
};
struct load {
	struct load_cfg cfg;
	char id[LOAD_ID_MAX];
	uv_thread_t thread;
	bool joined;
	uv_loop_t loop;
	uv_async_t wake;
	struct user *users;
	struct history history;
	struct load_left left;
	char (*ids)[TR_ID_LEN]; /* by key; "": not known */
	uint32_t cap_ids;
	atomic_bool ending;
	atomic_int phase;
	_Atomic uint64_t good, troubles, last_good_ns, last_trouble_ns;
	/* of the end */
	char **found; /* ids of what is to be removed; owned */
	size_t nfound, cap_found, next;
	char cursor[160];
	unsigned under_way, rounds, tries;
	bool first; /* the listing that the checker gets */
};

void load_trouble(struct load *l, int64_t op, enum trouble_kind kind);
/* "ID no KEY:" is in there: which KEY? HISTORY_NO_KEY: none. */
uint32_t load_key_of(const struct load *l, const char *content);
void load_list(struct load *l); /* every user is idle: begin the end */

#endif
