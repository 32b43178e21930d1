/* What every Jr shares: the inherited descriptors, hello, heartbeats, its socket, its peers, who leads, drain, leaving when tribed
 * is gone. A Jr's main is wiring: jr_opts_parse, jr_open, its own parts, jr_handle..., jr_ready, jr_run, take down in the opposite
 * order.
 *
 * Of the processes of a role one leads: it alone accepts on the socket and answers. Each is made ready in the same way, and then
 * waits for the mutex on its role's page; mostly it has it at once. A lead that leaves in order stops to accept, answers what it has
 * read, and gives the mutex back inside jr_run(), when its connections are closed and before its parts are taken down: its understudy
 * takes over at that moment. What callers have sent and nobody has read, they send again; what they send until the successor
 * accepts waits in the kernel. So whatever must not run beside a successor belongs before jr_drained().
 *
 * tribed hands over (LISTEN_FDS, LISTEN_PID, LISTEN_FDNAMES): "channel" (SOCK_SEQPACKET), "config" (memfd, YAML dump),
 * "socket" (the Jr's listening Unix socket), "lead" (the page of its role, common/lead/page.h); executive-jr also "http" (listening TCP), memory-jr also "lock" (state lock, kept
 * open for life). For TLS and tokens executive-jr also gets "certificate" and "private_key" (PEM files) and "token_hash"
 * (the SHA-256 of the admin token, as 64 hexadecimal digits), and "client_ca" (PEM, of clients' certificates). Environment: TRIBE_GENERATION, TRIBE_STATE, TRIBE_RUNTIME. */
#ifndef JRS_KIT_JR_H
#define JRS_KIT_JR_H
#include "common/config/config.h"
#include "proto/chan/peer.h"
#include "proto/chan/server.h"

struct jr;
struct jr_opts {
	enum tr_role role;
	struct tr_config cfg;
	char state[4096], runtime[4096];
	uint32_t generation;
	int channel_fd, socket_fd, lead_fd, http_fd, lock_fd; /* -1: not handed over */
	int certificate_fd, private_key_fd, client_ca_fd, token_hash_fd;
};

struct tr_library; /* common/base/version.h */
/* What is compiled in, for -V; shared libraries tell it themselves. Call before jr_opts_parse(). Borrowed. */
void jr_libraries(const struct tr_library *libs, size_t n);
/* -V and -h print and return 1; -n checks the configuration and returns 1. Started by hand (no channel): one clear line on
 * stderr. Fills opts from the environment. TR_ECONFIG for that and for anything malformed. */
int jr_opts_parse(struct jr_opts *opts, enum tr_role role, int argc, char **argv);
void jr_opts_close(struct jr_opts *opts); /* the descriptors of opts, if jr_open() is not reached */
/* channel_fd, socket_fd, lead_fd and lock_fd are the kit's from here on, also on failure; http_fd, certificate_fd,
 * private_key_fd and token_hash_fd stay the Jr's own.
 * Logging, signals (SIGPIPE and SIGHUP ignored; SIGTERM and SIGINT drain), no core dumps, no_new_privs, loop, channel, server. */
int jr_open(struct jr **out, const struct jr_opts *opts);
void jr_handle(struct jr *jr, enum wire_msg_id id, chan_handler *fn, void *arg);
/* Called for each heartbeat so that a Jr may add what only it knows (phase_coherence ...). */
void jr_on_beat(struct jr *jr, void (*fill)(void *arg, struct msg_heartbeat *beat), void *arg);
/* Called once when a drain begins: stop taking work, call jr_drained() when the last answer has left. Without one the kit
 * waits for the calls in flight on its own server. */
void jr_on_drain(struct jr *jr, void (*drain)(void *arg), void *arg);
void jr_drained(struct jr *jr);
/* Called once, on the loop's thread, when this process begins to lead: nothing was read from its socket yet, jr.lead has been
 * said, everything after this may be answered. From inside jr_ready() when nobody leads. Time spent here is seen by callers. */
void jr_on_lead(struct jr *jr, void (*lead)(void *arg, uint64_t epoch), void *arg);
/* Before jr_ready(), or while it waits: the epoch that is taken shall be above this one, whatever the page says. */
void jr_epoch_above(struct jr *jr, uint64_t epoch);
bool jr_leads(const struct jr *jr);     /* also while it drains; not any more when jr_run() has returned */
uint64_t jr_epoch(const struct jr *jr); /* in which it leads or has led; 0: it never did */
/* For the harm half-open: what is asked elsewhere than on the socket goes unanswered too, until fn(arg, false). */
void jr_on_half_open(struct jr *jr, void (*fn)(void *arg, bool half_open), void *arg);
/* Everything is prepared: says hello, and beats from now on, as "waiting" until it leads and "serving" then. */
int jr_ready(struct jr *jr);
int jr_run(struct jr *jr); /* until drained, tribed gone (channel EOF: finish what is in flight, at most 2 s), or jr_fatal() */
/* Callbacks of calls that still wait (peers, supervisor) have been called with TR_ECLOSED when jr_run() returns. */
void jr_leave(struct jr *jr, const char *why); /* by itself, as if drained: what is in flight is finished; tribed starts another */
void jr_fatal(struct jr *jr, int r); /* leave jr_run with r as soon as possible */
void jr_close(struct jr **jr);

uv_loop_t *jr_loop(struct jr *jr);
const struct jr_opts *jr_options(const struct jr *jr);
/* Standing connection to another Jr; owned by the kit, made on first use. */
struct peer *jr_peer(struct jr *jr, enum tr_role role);
/* Ask tribed over the channel (only what messages.def allows this role). Same promise as peer_call(). */
int jr_ask_supervisor(struct jr *jr, enum wire_msg_id id, const void *msg, uint32_t timeout_ms, peer_cb *cb, void *arg);
/* Notifications of tribed's that are not the kit's own business (event, heartbeat: for who asked to follow). msg: borrowed. */
void jr_on_note(struct jr *jr, peer_note_cb *cb, void *arg);
/* How this Jr votes: fn answers jr.ballot. Only of a process that was there when the Jrs were called to the vote; for one that
 * began later the kit answers: whoever was called has died. */
void jr_on_ballot(struct jr *jr, chan_handler *fn, void *arg);
/* Tells tribed's followers of an event: kind is one that jr.news allows. Nobody waits for it, and a full channel loses it. */
void jr_tell(struct jr *jr, const char *kind, const char *detail);
/* Counts for the heartbeat that the kit cannot see: work done outside the Jr's own socket (HTTP requests). */
void jr_count(struct jr *jr, uint64_t handled, uint64_t errors);
void jr_gauge(struct jr *jr, uint32_t inflight, uint32_t queue_depth); /* added to what the kit knows */

#endif
