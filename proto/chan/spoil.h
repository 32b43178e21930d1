/* Makes an answer worthless, for a drill: each way is one that its reader can tell. Pure. Internal to proto/chan. */
#ifndef PROTO_CHAN_SPOIL_H
#define PROTO_CHAN_SPOIL_H
#include <msgpack.h>
#include <stdbool.h>

/* The frame of a response that begins at `at` and ends the buffer. turn 0, 1, 2, 3 and again: a bit flipped in its head; cut
 * short; a string in it said to be 4 GiB long; a number for a result. True: nothing may follow it on its connection. */
bool chan_spoil(msgpack_sbuffer *sb, size_t at, unsigned turn);

#endif
