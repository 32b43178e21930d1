/* One run of `tribectl drill`: what its files share. cmd_drill.c plans and ends it, drill_inject.c does the harm
 * and waits for the recovery, drill_api.c and drill_tell.c are about the API and tribed, drill_show.c prints it. */
#ifndef SUPERVISOR_CTL_DRILL_RUN_H
#define SUPERVISOR_CTL_DRILL_RUN_H
#include "common/base/text.h"
#include "supervisor/ctl/ctl.h"
#include "supervisor/ctl/drill/load.h"
#include "supervisor/ctl/drill/report.h"
#include "supervisor/ctl/drill/watch.h"

#define DRILL_GIVE_UP_MS 30000 /* a Jr that is not back, a state that is not steady by then */

struct drill_seen { /* of one role, as the last status had it */
	bool up;    /* it serves, and its understudies wait */
	uint32_t pid, generation;
	uint64_t epoch;
};
struct drill {
	struct ctl *c;
	struct report r;
	unsigned char *order; /* a target for each injection; of a storm NULL */
	size_t cap;           /* of r.rows */
	char id[TR_ID_LEN];
	struct watch *watch; /* NULL: tribed's events could not be heard */
	struct load *load;   /* NULL: none */
	struct http_where where;
	char token_name[80]; /* of the load's own token; "": it has none */
	/* the last status */
	struct drill_seen seen[TR_NROLES];
	bool operational, has_http, http_tls;
	char http_address[80];
	uint32_t supervisor_pid;
	uint64_t random; /* of a storm */
};

/* Asks for the status; < 0 with *fault. */
int drill_look(struct drill *d, uint32_t timeout_ms, struct tr_fault *fault);
/* Operational, every Jr up, and of the load's requests none in trouble for a second: waits for that, with a load at
 * least watch_ms, so that its users are seen. 0: it is so; 1: it was not within DRILL_GIVE_UP_MS; < 0: with *fault. */
int drill_steady(struct drill *d, uint32_t watch_ms, struct tr_fault *fault);
/* One fault and its recovery: a row. CTL_FAILED without a complaint: it did not come back, or Ctrl-C. */
enum ctl_exit drill_inject(struct drill *d, int target);
/* Looks up who noticed what when, for rows that do not know it yet. */
void drill_notices(struct drill *d);
/* Where the API is, what it must show, and what opens it. */
enum ctl_exit drill_find_api(struct drill *d, const struct ctl_args *a);
void drill_leave_api(struct drill *d); /* revokes what was made for the load */
/* Tribed keeps it; one that does not know how is only warned of. */
void drill_tell(struct drill *d);
/* A call to tribed that Ctrl-C does not end. */
int drill_call(struct drill *d, enum wire_msg_id id, const void *msg, uint32_t timeout_ms, struct tr_fault *fault);

void drill_progress(const struct drill *d, const char *what); /* NULL: the last injection; "": no line any more */
void drill_text(const struct drill *d, struct buf *out);
/* Writes the JSON into file and the page into html (NULL: none of it). What cannot be written is said. */
enum ctl_exit drill_write(const struct drill *d, const char *file, const char *html);
enum ctl_exit drill_may_write(const struct drill *d, const char *file); /* before anything is harmed */

#endif
