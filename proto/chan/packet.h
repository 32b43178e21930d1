/* The private channel between tribed and a Jr: SOCK_SEQPACKET, one MessagePack-RPC message a packet, either side may ask.
 * Non-blocking; a full socket drops notifications (counted) and fails requests with TR_EBUSY. On the loop's thread. */
#ifndef PROTO_CHAN_PACKET_H
#define PROTO_CHAN_PACKET_H
#include <uv.h>
#include "proto/chan/peer.h"

struct packet;
struct packet_ops {
	/* packet_free() may be called inside either. A message with params decoded: struct msg_ID, borrowed. For requests `msgid` is what packet_reply() wants; notes: 0. */
	void (*on_message)(void *arg, struct packet *ch, enum wire_msg_id id, uint32_t msgid, const void *msg);
	void (*on_close)(void *arg, struct packet *ch); /* other end gone (EOF); called once, packet_free() may be called inside */
};
/* fd: taken over. caller: bits of who is on the other end, for the table's check. */
int packet_new(struct packet **out, uv_loop_t *loop, int fd, unsigned caller, const struct packet_ops *ops, void *arg);
int packet_note(struct packet *ch, enum wire_msg_id id, const void *msg);
int packet_call(struct packet *ch, enum wire_msg_id id, const void *msg, uint32_t timeout_ms, peer_cb *cb, void *arg);
/* Answers wait in a short queue when the socket is full; TR_EBUSY above it. */
int packet_reply(struct packet *ch, enum wire_msg_id id, uint32_t msgid, const void *res);
int packet_fail(struct packet *ch, uint32_t msgid, const struct tr_fault *fault);
struct packet_stats {
	uint64_t dropped; /* notifications that were not sent */
	uint64_t broken;  /* packets that broke the protocol */
	uint32_t waiting; /* own requests without an answer */
};
const struct packet_stats *packet_stats(const struct packet *ch);
void packet_shut(struct packet *ch);  /* waiting calls end with TR_ECLOSED, called from inside this; so does every later packet_call() */
void packet_free(struct packet **ch);

#endif
