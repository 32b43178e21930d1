/* One connected Unix stream socket that carries whole frames both ways: cuts what comes in, gathers what goes out.
 * Internal to proto/chan. On the loop's thread. SIGPIPE must be ignored by the program: libuv writes with write(2). */
#ifndef PROTO_CHAN_STREAM_H
#define PROTO_CHAN_STREAM_H
#include "proto/wire/wire.h"
#include <stdbool.h>
#include <uv.h>

struct chan_stream;
struct chan_stream_ops {
	/* One frame, borrowed during the call. chan_stream_close() may be called inside. */
	void (*on_frame)(void *arg, const char *p, size_t n);
	/* UV_EOF: nothing more will come, what is queued still goes out. Anything else: the stream is dead (TR_EPROTO
	 * and TR_ETOOBIG: the framing is lost; TR_EBUSY: too much queued; else a socket error); only close it. Called
	 * from the loop, never from inside a function of this header. Another one may follow UV_EOF. */
	void (*on_end)(void *arg, int r);
	void (*on_flushed)(void *arg); /* from the loop: everything queued has left; may be NULL */
};
struct chan_stream_cfg {
	uv_loop_t *loop;
	int fd;           /* taken over, also on failure */
	size_t max_queue; /* bytes waiting to be written; above it the stream ends with TR_EBUSY */
	size_t choke;     /* above so many bytes waiting no further frame is cut; 0: never */
	const struct chan_stream_ops *ops;
	void *arg;
};
int chan_stream_new(struct chan_stream **out, const struct chan_stream_cfg *cfg);

/* To send: append whole frames here, then chan_stream_send(). now: write at once when nothing waits before it, else
 * gather and write once before the loop next waits. TR_EBUSY: over max_queue (the stream ends); TR_ECLOSED: it is dead.
 */
msgpack_sbuffer *chan_stream_out(struct chan_stream *s);
int chan_stream_send(struct chan_stream *s, bool now);
size_t chan_stream_queued(const struct chan_stream *s);
/* When bytes last came in, as tr_mono_ms() tells it; now, when some wait in the kernel to be read. */
uint64_t chan_stream_heard_ms(const struct chan_stream *s);

/* Inside on_frame only: the frame as the caller's own memory (free() it); NULL: no memory. Large ones are not copied.
 */
char *chan_stream_take(struct chan_stream *s, const char *p, size_t n);
/* Paused: no on_frame, no reading. Resuming takes effect from the loop. */
void chan_stream_pause(struct chan_stream *s, bool paused);
void chan_stream_close(struct chan_stream **s); /* no callback after this; unsent bytes are dropped; NULL is fine */

#endif
