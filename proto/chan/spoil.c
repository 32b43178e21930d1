#include "proto/chan/spoil.h"
#include <string.h>

/* Of a msgid as MessagePack writes it: its own length, 0: it is none. */
static size_t number_length(unsigned char head)
{
	return head < 0x80 ? 1 : head == 0xcc ? 2 : head == 0xcd ? 3 : head == 0xce ? 5 : 0;
}

bool chan_spoil(msgpack_sbuffer *sb, size_t at, unsigned turn)
{
	static const unsigned char head[] = {0x94, 0x01}; /* a response */
	unsigned char *frame = (unsigned char *)sb->data + at;
	size_t n = sb->size - at, number = n > 2 ? number_length(frame[2]) : 0;
	const unsigned char huge[] = {0xc0, 0xdb, 0xff, 0xff, 0xff, 0xff}, forty_two[] = {0xc0, 0x2a};

	if (number == 0 || n < sizeof(head) + number + 2 || memcmp(frame, head, sizeof(head)) != 0)
		return false; /* no response */
	switch (turn % 4) {
	case 0:
		frame[0] ^= 0x80; /* an array no more */
		return false;
	case 1:
		sb->size -= n - n / 2;
		return true;
	case 2:
		sb->size = at + sizeof(head) + number;
		return msgpack_sbuffer_write(sb, (const char *)huge, sizeof(huge)) == 0;
	default:
		sb->size = at + sizeof(head) + number;
		return msgpack_sbuffer_write(sb, (const char *)forty_two, sizeof(forty_two)) != 0;
	}
}
