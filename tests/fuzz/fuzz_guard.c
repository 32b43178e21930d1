/* Any bytes as a text, and as a message that brings it: what is found lies within the text, in order; what is redacted
 * has nothing left to be found that was to be taken out; and the same text says the same again. */
#include "jrs/memory/guard/guard.h"
#include "tests/fuzz/fuzz.h"
#include <stdlib.h>
#include <string.h>

/* Bytes below 32 stand for these, so that chance finds shapes; the seeds are files with such bytes in them. */
static const char *const pieces[32] = {
	"-----BEGIN ",
	"RSA PRIVATE",
	" KEY-----",
	"-----END ",
	"AKIA",
	"ABCDEFGH",
	"ghp"
	"_",
	"0123456789",
	"",
	"\n",
	"xoxb"
	"-",
	"sk_live"
	"_",
	"eyJ",
	".",
	"bearer ",
	"tribe"
	"_",
	"password",
	"=",
	"token: ",
	"://",
	"@",
	"4111 1111 ",
	"4111111111111111",
	"DE89 3704 0044 0532 0130 00",
	"a.b",
	"+49 30 ",
	"123-45-6789",
	"203.0.113.9",
	"2001:db8:",
	"\"",
	"a8Kx0qLw93",
	"\xc3\xa9",
};

static size_t spell(const uint8_t *data, size_t size, char *out, size_t most)
{
	size_t n = 0;

	for (size_t i = 0; i < size; i++) {
		const char *piece = data[i] < 32 ? pieces[data[i]] : (const char *)&data[i];
		size_t len = data[i] < 32 ? strlen(piece) : 1;

		if (n + len > most)
			break;
		memcpy(out + n, piece, len);
		n += len;
	}
	return n;
}

static struct guard *make(enum guard_secrets secrets)
{
	const struct guard_policy policy = {secrets, false};
	struct guard *g = NULL;

	if (guard_new(&g, &policy, NULL) < 0)
		abort();
	return g;
}

static void judge(const struct guard_spans *s, size_t n)
{
	uint32_t at = 0;

	for (size_t i = 0; i < s->n; i++) {
		if (s->v[i].from < at || s->v[i].to <= s->v[i].from || s->v[i].to > n ||
		    s->v[i].class >= GUARD_NCLASSES)
			abort();
		at = s->v[i].to;
	}
}

static void redact(struct guard *g, const char *p, uint32_t n, bool secret)
{
	static const wire_str key = {"note", 4};
	msgpack_zone *zone = msgpack_zone_new(4096);
	msgpack_object_kv kv = {.key = {.type = MSGPACK_OBJECT_STR, .via.str = {4, "note"}},
				.val = {.type = MSGPACK_OBJECT_STR, .via.str = {n, p}}};
	msgpack_object map = {.type = MSGPACK_OBJECT_MAP, .via.map = {1, &kv}};
	struct item_new_memory m = {
		.content = {p, n}, .has_tags = true, .tags = {&key, 1}, .has_metadata = true, .metadata = &map};
	struct msg_memory_add msg = {.memories = {&m, 1}};
	const struct msg_memory_add *left;
	struct guard_verdict v;
	int r;

	if (zone == NULL)
		abort();
	r = guard_message(g, MSG_memory_add, &msg, zone, &v, NULL);
	if (r < 0 && r != TR_ESECRET) /* what cannot be redacted is refused */
		abort();
	left = r < 0 ? &msg : v.msg;
	if (r == 0 && secret != (v.v[0].redacted != 0) && memchr(p, '=', n) == NULL && memchr(p, ':', n) == NULL)
		abort(); /* what is found in metadata may need its name */
	if (left->memories.n != 1 || m.content.p != p || kv.val.via.str.ptr != p)
		abort();
	msgpack_zone_free(zone);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct guard *g, *redacting;
	static char p[WIRE_CONTENT_MAX];
	const struct guard_spans *s;
	bool secret = false;
	size_t found;

	if ((size = spell(data, size, p, sizeof(p))) == 0)
		return 0;
	if (g == NULL) {
		g = make(GUARD_REFUSE);
		redacting = make(GUARD_REDACT);
	}
	if (guard_scan(g, p, size, GUARD_ALL_CLASSES, &s) < 0)
		abort();
	judge(s, size);
	found = s->n;
	for (size_t i = 0; i < s->n; i++)
		secret = secret || s->v[i].class <= GUARD_IBAN;
	redact(redacting, p, (uint32_t)size, secret);
	if (guard_scan(g, p, size, GUARD_ALL_CLASSES, &s) < 0 || s->n != found)
		abort();
	return 0;
}
