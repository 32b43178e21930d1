/* The bounded walker: finds the end of a MessagePack object before anything is unpacked. It owns no memory and looks at
 * each object's head once; bodies of strings are jumped over, so its cost is the number of objects, not of bytes. */
#include "proto/wire/wire.h"

/* What a first byte announces: how many bytes of length or value follow it, and of what sort the object is. */
enum sort { FIXED, BODY, ARRAY, MAP, BROKEN };
struct head {
	enum sort sort;
	unsigned length_bytes; /* size of the big-endian length behind the first byte */
	uint32_t amount;       /* bytes of body, entries of a container; added to what the length says */
};

static struct head head_of(unsigned char c)
{
	/* clang-format off */
	static const struct head tail[32] = { /* 0xc0 .. 0xdf */
		{FIXED, 0, 0},  {BROKEN, 0, 0}, {FIXED, 0, 0},  {FIXED, 0, 0},                  /* nil, never used, false, true */
		{BODY, 1, 0},   {BODY, 2, 0},   {BODY, 4, 0},                                   /* bin 8, 16, 32 */
		{BODY, 1, 1},   {BODY, 2, 1},   {BODY, 4, 1},                                   /* ext 8, 16, 32: and a type byte */
		{FIXED, 0, 4},  {FIXED, 0, 8},                                                  /* float 32, 64 */
		{FIXED, 0, 1},  {FIXED, 0, 2},  {FIXED, 0, 4},  {FIXED, 0, 8},                  /* uint 8 .. 64 */
		{FIXED, 0, 1},  {FIXED, 0, 2},  {FIXED, 0, 4},  {FIXED, 0, 8},                  /* int 8 .. 64 */
		{FIXED, 0, 2},  {FIXED, 0, 3},  {FIXED, 0, 5},  {FIXED, 0, 9},  {FIXED, 0, 17}, /* fixext 1 .. 16 */
		{BODY, 1, 0},   {BODY, 2, 0},   {BODY, 4, 0},                                   /* str 8, 16, 32 */
		{ARRAY, 2, 0},  {ARRAY, 4, 0},  {MAP, 2, 0},    {MAP, 4, 0},
	};
	/* clang-format on */

	if (c < 0x80 || c >= 0xe0) /* small integers */
		return (struct head){FIXED, 0, 0};
	if (c < 0x90)
		return (struct head){MAP, 0, c & 0x0fu};
	if (c < 0xa0)
		return (struct head){ARRAY, 0, c & 0x0fu};
	if (c < 0xc0)
		return (struct head){BODY, 0, c & 0x1fu};
	return tail[c - 0xc0];
}

static uint64_t big_endian(const char *p, unsigned n)
{
	uint64_t v = 0;

	for (unsigned i = 0; i < n; i++)
		v = v << 8 | (unsigned char)p[i];
	return v;
}

/* One object begins: of its container, and of everything announced, one less is to come. */
static void begin_object(struct wire_walk *w)
{
	w->pending--;
	if (w->depth > 0)
		w->left[w->depth - 1]--;
}

static int open_container(struct wire_walk *w, uint64_t entries, bool map)
{
	uint64_t objects = map ? entries * 2 : entries;

	if (w->depth == WIRE_DEPTH_MAX || objects > WIRE_ITEMS_MAX - w->items)
		return TR_ETOOBIG;
	w->items += (uint32_t)objects;
	w->pending += objects;
	w->left[w->depth++] = (uint32_t)objects;
	return 0;
}

int64_t wire_walk(struct wire_walk *w, const char *p, size_t n, size_t cap)
{
	if (!w->started)
		*w = (struct wire_walk){.pending = 1, .items = 1, .started = true};
	for (;;) {
		struct head h;
		uint64_t amount;

		while (w->depth > 0 && w->left[w->depth - 1] == 0)
			w->depth--;
		/* Every object still to come takes a byte at least, so this is certain before the bytes are there. */
		if (w->pos > cap || w->pending > cap - w->pos)
			return TR_ETOOBIG;
		if (w->pending == 0)
			return w->pos <= n ? (int64_t)w->pos : 0;
		if (w->pos >= n)
			return 0;
		h = head_of((unsigned char)p[w->pos]);
		if (h.sort == BROKEN)
			return TR_EPROTO;
		if (n - w->pos - 1 < h.length_bytes)
			return w->pos + 1 + h.length_bytes + w->pending - 1 > cap ? TR_ETOOBIG : 0;
		amount = h.amount + big_endian(p + w->pos + 1, h.length_bytes);
		begin_object(w);
		w->pos += 1 + h.length_bytes;
		if (h.sort == FIXED || h.sort == BODY)
			w->pos += amount;
		else if (open_container(w, amount, h.sort == MAP) < 0)
			return TR_ETOOBIG;
	}
}

int64_t wire_frame_length(const char *p, size_t n, size_t cap)
{
	struct wire_walk w = {0};

	return wire_walk(&w, p, n, cap);
}
