/* One run of tribectl: where the tribe is, how to speak to it, how to print. A call is synchronous: the loop turns
 * until the answer or the deadline. Messages for a person go to stderr, results to stdout. */
#ifndef SUPERVISOR_CTL_CTL_H
#define SUPERVISOR_CTL_CTL_H
#include "common/config/config.h"
#include "proto/chan/peer.h"
#include "supervisor/ctl/args.h"
#include "supervisor/ctl/show.h"
#include <uv.h>

#define CTL_CONTROL  TR_NROLES /* the end of a call: a role's socket, or tribed's */
#define CTL_NENDS    (TR_NROLES + 1)
#define CTL_PATH_MAX 4200

struct ctl {
	const struct ctl_args *args;
	struct tr_paths paths;
	struct tr_config cfg; /* as the file and --set say; the defaults where they are wrong and nobody named them */
	struct cfg_origins origins;
	struct cfg_error cfg_error; /* why the file is wrong that nobody named; empty: it is right */
	uint32_t timeout_ms;
	bool timeout_given, json, dev;
	bool progress; /* stderr is a terminal */
	struct show_style style;
	uv_loop_t loop;
	struct peer *peers[CTL_NENDS]; /* owned, made on first use */
	uv_async_t wake;               /* ends the turn of the loop when a signal came; open when catching */
	bool catching;
	uv_timer_t patience; /* open from the first call that waits for a Jr; wakes its loop */
	bool patient;
	int asked; /* the end of the last call */
};

/* Reads the flags that every command takes. On failure the reason has been printed and *out is untouched. */
enum ctl_exit ctl_open(struct ctl **out, const struct ctl_args *args);
void ctl_close(struct ctl **c);
/* Does what args say; says so, and leaves with 5, where that is of a later version. */
enum ctl_exit ctl_run(struct ctl *c);

/* From now on the first Ctrl-C (or SIGTERM, SIGHUP) only sets ctl_interrupted() and ends a call under way with
 * UV_ECANCELED, so that a command can tidy up; the second one kills. Until ctl_close(). One struct ctl at a time. */
enum ctl_exit ctl_catch(struct ctl *c);
bool ctl_interrupted(void);

/* Which socket takes this message: a role, or CTL_CONTROL. By the first word of the method. */
int ctl_end_of(enum wire_msg_id id);
void ctl_socket_path(const struct ctl *c, int end, char out[CTL_PATH_MAX]);
struct peer *ctl_peer(struct ctl *c, int end); /* NULL: out of memory */

/* res is borrowed during the call of fn. */
typedef void ctl_result_fn(void *arg, const void *res);
/* msg is checked against its table first, so a wrong value is named before anything is sent. 0, or < 0 with *fault
 * filled. */
int ctl_call(struct ctl *c, enum wire_msg_id id, const void *msg, ctl_result_fn *fn, void *arg, struct tr_fault *fault);
/* Prints why it failed and says with which status to leave: a part that is away or gives no answer, of a tribe that is
 * there, is a failure and not an unreachable tribe. */
enum ctl_exit ctl_complain(const struct ctl *c, int r, const struct tr_fault *fault);
/* "tribectl: COMMAND: ..." on stderr. */
void ctl_say(const struct ctl *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Calls and prints the result: as JSON, or by show. */
enum ctl_exit ctl_ask(struct ctl *c, enum wire_msg_id id, const void *msg, show_fn *show);
/* Appends the result as one line of JSON. */
int ctl_json(struct buf *out, const struct wire_shape *shape, const void *value);
/* Writes it to stdout and empties it. CTL_INTERNAL when it had failed, CTL_FAILED when stdout takes no
 * more. */
enum ctl_exit ctl_emit(const struct ctl *c, struct buf *out);

/* The text of a CTL_TEXT command: its words joined, or standard input for "-" (its last line break is not part of it).
 * Caller frees *out. */
enum ctl_exit ctl_text(const struct ctl *c, struct buf *out);
/* Is anybody listening there? 0, or the error of connect (UV_ENOENT, UV_ECONNREFUSED, UV_EACCES ...). */
int ctl_probe(const char *path);

#endif
