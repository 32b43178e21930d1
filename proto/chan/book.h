/* The book of requests that wait for their answers: by msgid, in order, each with a deadline. Internal to proto/chan.
 * Callbacks may do anything, also free the book. */
#ifndef PROTO_CHAN_BOOK_H
#define PROTO_CHAN_BOOK_H
#include "proto/chan/peer.h"
#include <sys/queue.h>

struct chan_asked {
	TAILQ_ENTRY(chan_asked) in_order;
	LIST_ENTRY(chan_asked) in_bucket;
	uint32_t msgid;
	enum wire_msg_id id;
	uint64_t deadline_ms; /* by tr_mono_ms() */
	uint64_t packed_ms;   /* when frame was packed */
	peer_cb *cb;
	void *arg;
	char *frame; /* owned; the packed request if the owner wants to send it again, else NULL */
	size_t n;
	bool sent; /* on some connection; the owner's to set */
};

struct chan_book;
/* What is the deadline's code for this one? */
typedef int chan_book_late(void *arg, const struct chan_asked *c);
/* waiting: the owner's count of entries, kept by the book as long as it lives. */
int chan_book_new(struct chan_book **out, uv_loop_t *loop, unsigned max_waiting, uint32_t *waiting,
		  chan_book_late *late, void *arg);
/* TR_EBUSY when full, TR_ENOMEM. The entry is the book's; the owner may fill frame, n and packed_ms. */
int chan_book_add(struct chan_book *b, struct chan_asked **out, enum wire_msg_id id, uint32_t timeout_ms, peer_cb *cb,
		  void *arg);
/* NULL: no such. */
struct chan_asked *chan_book_find(struct chan_book *b, uint32_t msgid);
/* Takes it out without a callback. */
void chan_book_drop(struct chan_book *b, struct chan_asked *c);
/* A response came in: decodes it and calls back. TR_ENOTFOUND: nobody waits for it (any more). TR_EPROTO: it makes no
 * sense, *bad says why, and the call still waits. Else not to be used after the call, the callback may have freed
 * everything. */
int chan_book_answer(struct chan_book *b, const struct wire_in *in, struct tr_fault *bad);
/* Ends one with a failure. */
void chan_book_end(struct chan_book *b, uint32_t msgid, const struct tr_fault *fault);
/* Every call that waits now ends with r. */
void chan_book_end_all(struct chan_book *b, int r);
size_t chan_book_bytes(const struct chan_book *b); /* of all frames */
struct chan_asked *chan_book_first(const struct chan_book *b);
#define chan_book_next(c) TAILQ_NEXT(c, in_order)
/* Frames are accounted for by the book. */
void chan_book_keep(struct chan_book *b, struct chan_asked *c, char *frame, size_t n, uint64_t now_ms);
void chan_book_free(struct chan_book **b); /* without callbacks; NULL is fine */

/* Packs msg as a request with this msgid and deadline; with fresh_id (NULL: none) as its request_id when it has none.
 */
int chan_book_pack(msgpack_sbuffer *sb, const struct chan_asked *c, const void *msg, uint32_t deadline_ms,
		   const char *fresh_id);

#endif
