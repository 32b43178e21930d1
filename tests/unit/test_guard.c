/* The guard: jrs/memory/guard. Every sample is made up, and put together here, so that nobody's scanner takes this file
 * for a leak. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "jrs/memory/guard/guard.h"
#include "jrs/memory/guard/scan.h"
#include "proto/dsse/dsse.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static struct guard *g;

static int setup(void **state)
{
	const struct guard_policy policy = {GUARD_REFUSE, false};
	struct tr_fault fault = {0};

	(void)state;
	if (guard_new(&g, &policy, &fault) == 0)
		return 0;
	print_error("%s\n", fault.rule);
	return -1;
}

static int teardown(void **state)
{
	(void)state;
	guard_free(&g);
	return 0;
}

/* class "": nothing is found. what, in brackets: the bytes that are found. \1 is replaced by 40 random-looking
 * characters, \2 by nothing: it parts what must not stand in this file in one piece. */
static const struct {
	const char *class, *text;
} cases[] = {
	{"private_key", "[-----BEGIN RSA\2 PRIVATE KEY-----\nMIIE\1\n\1\n-----END RSA\2 PRIVATE KEY-----]\nregards"},
	{"private_key", "key: [-----BEGIN OPENSSH\2 PRIVATE KEY-----\nb3Bl\1\n-----END OPENSSH\2 PRIVATE KEY-----]"},
	{"private_key", "[-----BEGIN\2 PRIVATE KEY-----\nMIIE\1\n]"},
	{"private_key", "[-----BEGIN PGP\2 PRIVATE KEY BLOCK-----\n\nlQ\1\n-----END PGP\2 PRIVATE KEY BLOCK-----]"},
	{"private_key", "\"[-----BEGIN EC\2 PRIVATE KEY-----\\nMHc\1\\n-----END EC\2 PRIVATE KEY-----]\\n\""},
	{"", "-----BEGIN CERTIFICATE-----\nMIIE\1\n-----END CERTIFICATE-----"},
	{"", "-----BEGIN PUBLIC KEY-----\nMIIE\1\n-----END PUBLIC KEY-----"},
	{"cloud_key", "id [AKIA\2ABCDEFGHIJKLMNOP] here"},
	{"cloud_key", "[ASIA\2ABCDEFGHIJ234567]"},
	{"", "AKIA\2ABCDEFGH and the AKIAs of it"},
	{"cloud_key", "maps: [AIza\2SyA0123456789abcdefghijklmnopqrstuv]."},
	{"code_token", "use [ghp\2_0123456789abcdefghijABCDEFGHIJ456789] for it"},
	{"code_token", "[github\2_pat_11ABCDEFG0abcdefghij_0123456789]"},
	{"code_token", "[glpat\2-0123456789abcdefghij]"},
	{"code_token", "[npm\2_0123456789abcdefghijABCDEFGHIJ456789]"},
	{"chat_token", "[xoxb\2-123456789012-abcdefABCDEF]"},
	{"chat_token", "post to https://[hooks.slack\2.com/services/T0000000/B0000000/abcdefghijklmnop]"},
	{"chat_token", "bot [12345678\2:AA0123456789abcdefghijABCDEFGHIJ012]"},
	{"payment_key", "[sk_live\2_0123456789abcdefghijABCD]"},
	{"payment_key", "[rk_test\2_0123456789abcdefghijABCD]"},
	{"api_key", "[sk-\2proj-a8Kx0qLw93mZbT51RvYc77Hd] is theirs"},
	{"", "sk-learn-and-the-other-libraries-that-we-use"},
	{"jwt", "cookie [eyJ\2hbGciOiJIUzI1NiJ9.eyJ\2zdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9P]!"},
	{"", "the eyJhbGciOiJIUzI1NiJ9 part alone"},
	{"bearer_token", "Authorization: Bearer [a8Kx0qLw93mZbT51RvYc77Hd]"},
	{"bearer_token", "authorization: basic [QWxhZGRpbjpvcGVuIHNlc2FtZQ==]"},
	{"", "the bearer understandably-misunderstood the message"},
	{"", "a basic misunderstanding of it"},
	{"tribe_token", "with [tribe\2_a8Kx0qLw93mZbT51RvYc77Hda8Kx0qLw93mZbT51RvY]"},
	{"", "call tribe_backup_thermal_memory_archive_now() for it"},
	{"password", "password=[hunter2hunter]"},
	{"password", "Password: [Tr0ub4dor&3], changed on Monday"},
	{"password", "the password is [correct7horse]."},
	{"password", "db_password = '[s3cr3t with words]'"},
	{"password", "{\"api_key\": \"[a8Kx0qLw93mZbT51]\"}"},
	{"password", "client_secret=>[a8Kx0qLw93mZbT51]"},
	{"password", "export AWS_SECRET_ACCESS_KEY=[wJalrXUtnFEMI/K7MDENG/bPxRfiCYzzzzzzzzzz]"},
	{"password", "postgresql://tribe:[pa55word]@db.local/x"},
	{"password", "redis://:[longpass]@cache:6379"},
	{"", "the password policy: tokens expire after 90 days"},
	{"", "password: changed yesterday by the team"},
	{"", "secret: the recipe of the house"},
	{"", "token=$TOKEN password=${DB_PASSWORD} api_key=<your key here1>"},
	{"", "password = getpass1234() and secret = os.environ[\"X1234567\"]"},
	{"", "token: 2026-03-14T15:30:00Z"},
	{"", "see https://example.org/a:b/c and http://localhost:8000/x@y"},
	{"", "key = value, monkey=banana12"},
	{"card", "pay with [4111 1111 1111 1111] please"},
	{"card", "[5555555555554444]"},
	{"card", "3 boxes, 12 cables, [3782-822463-10005], done"},
	{"card", "[6011111111111117]."},
	{"", "4111 1111 1111 1112 is not one"},
	{"", "order 9999999999999995, and 41111111111111111111111"},
	{"", "0.4111111111111111 of it; a4111111111111111; id 1764371000123"},
	{"iban", "to [DE89 3704 0044 0532 0130 00] by Friday"},
	{"iban", "[GB82WEST12345698765432]"},
	{"", "DE88 3704 0044 0532 0130 00"},
	{"email", "ask [anna.b+x@mail.example.org]."},
	{"", "see @anna and user@host"},
	{"phone", "call [+49 (30) 1234-5678] or"},
	{"phone", "call [415-555-0132] now"},
	{"", "+1 and +12 34"},
	{"national_id", "ssn [123-45-6789]"},
	{"", "000-45-6789 and 2026-03-14"},
	{"national_id", "QQ 12 34 56 A no, [AB 12 34 56 C]"},
	{"national_id", "dni [12345678Z]"},
	{"", "dni 12345678A"},
	{"ip", "from [203.0.113.9] again"},
	{"", "127.0.0.1, 10.0.0.8, 192.168.1.1, version 1.2.3.4.5, 999.1.1.1"},
	{"ip", "host [2001:db8::8a2e:370:7334] there"},
	{"", "at 15:30:45, std::vector::a1, ::1 and fe80::1"},
	{"", "Yesterday Anna told me that the second cluster was moved to Thursday, 2026-03-14, 15:30, room 4.12."},
};

/* The text of a case without its marks. */
static size_t unmark(const char *from, char *to, size_t *begin, size_t *end)
{
	static const char random[] = "a8Kx0qLw93mZbT51RvYc77HdP2sJ46uEoNfGi8Qy";
	size_t n = 0;

	*begin = *end = 0;
	for (; *from != '\0'; from++) {
		if (*from == '\1') {
			memcpy(to + n, random, 40);
			n += 40;
		} else if (*from == '[' && *end == 0) {
			*begin = n;
		} else if (*from == ']' && *end == 0) {
			*end = n;
		} else if (*from != '\2') {
			to[n++] = *from;
		}
	}
	to[n] = '\0';
	return n;
}

static void finds_what_it_should(void **state)
{
	unsigned wrong = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct guard_spans *s;
		size_t from = 0, to = 0, n;
		char text[1024];
		bool ok;

		n = unmark(cases[i].text, text, &from, &to);
		if (cases[i].class[0] == '\0') { /* brackets in it are its own */
			n = 0;
			for (const char *c = cases[i].text; *c != '\0'; c++)
				if (*c != '\2' && *c != '\1')
					text[n++] = *c;
		}
		assert_int_equal(guard_scan(g, text, n, GUARD_ALL_CLASSES, &s), 0);
		ok = cases[i].class[0] == '\0'
			     ? s->n == 0
			     : s->n >= 1 && strcmp(guard_class_name(s->v[0].class), cases[i].class) == 0 &&
				       s->v[0].from == from && s->v[0].to == to;
		if (!ok)
			print_error("case %zu \"%s\": %zu found, %s %u..%u, not %zu..%zu\n", i, cases[i].text, s->n,
				    s->n == 0 ? "-" : guard_class_name(s->v[0].class), s->n == 0 ? 0 : s->v[0].from,
				    s->n == 0 ? 0 : s->v[0].to, from, to);
		wrong += !ok;
	}
	assert_int_equal(wrong, 0);
}

/* Engines that look at many bytes at once have had their mistakes where a match lies across such blocks. */
static void finds_it_wherever_it_stands(void **state)
{
	static const char *const fill[] = {"lorem ipsum, ", "x", "4 ", "-", "\xc3\xa9t\xc3\xa9 "};
	unsigned wrong = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		size_t from, to, n;
		char sample[1024];

		if (cases[i].class[0] == '\0')
			continue;
		n = unmark(cases[i].text, sample, &from, &to);
		for (size_t k = 0; k < sizeof(fill) / sizeof(fill[0]) * 300; k++) {
			const char *with = fill[k / 300];
			size_t before = k % 300, behind = (k * 7) % 100, at, b;
			const struct guard_spans *s;
			bool found = false;
			char text[2048];

			for (b = 0; b < before; b++)
				text[b] = with[b % strlen(with)];
			text[before] = '\n';
			memcpy(text + before + 1, sample, n);
			text[before + 1 + n] = '\n';
			for (b = 0; b < behind; b++)
				text[before + 2 + n + b] = with[b % strlen(with)];
			at = before + 1 + from;
			assert_int_equal(guard_scan(g, text, before + 2 + n + behind, GUARD_ALL_CLASSES, &s), 0);
			for (b = 0; b < s->n; b++)
				found = found || (s->v[b].from <= at && s->v[b].to >= at + (to - from) &&
						  strcmp(guard_class_name(s->v[b].class), cases[i].class) == 0);
			if (!found && wrong++ < 10)
				print_error("case %zu behind %zu of \"%s\": %s not found\n", i, before, with,
					    cases[i].class);
		}
	}
	assert_int_equal(wrong, 0);
}

/* Signed words are read as they were written, not as an envelope carries them. */
/* ---- other ways to write the same ---- */
enum { NO_WIDTH, SOFT, FULL_WIDTH, MATHEMATICAL, PERCENT, SOME_PERCENT, BASE64, BASE64_LINES, NWAYS };

static size_t put_utf8(char *to, uint32_t c)
{
	if (c < 0x800) {
		to[0] = (char)(0xc0 | c >> 6);
		to[1] = (char)(0x80 | (c & 0x3f));
		return 2;
	}
	if (c < 0x10000) {
		to[0] = (char)(0xe0 | c >> 12);
		to[1] = (char)(0x80 | (c >> 6 & 0x3f));
		to[2] = (char)(0x80 | (c & 0x3f));
		return 3;
	}
	to[0] = (char)(0xf0 | c >> 18);
	to[1] = (char)(0x80 | (c >> 12 & 0x3f));
	to[2] = (char)(0x80 | (c >> 6 & 0x3f));
	to[3] = (char)(0x80 | (c & 0x3f));
	return 4;
}

/* One character of a text in another way; how many bytes. */
static size_t rewrite(unsigned way, char c, size_t i, char *to)
{
	const unsigned char u = (unsigned char)c;

	to[0] = c;
	switch (way) {
	case NO_WIDTH:
		return u < 0x80 ? 1 + put_utf8(to + 1, (uint32_t[]){0x200b, 0x200d, 0x2060, 0xfeff}[i % 4]) : 1;
	case SOFT:
		return i % 7 == 3 && u > ' ' && u < 0x7f ? 1 + put_utf8(to + 1, 0xad) : 1;
	case FULL_WIDTH:
		return u > ' ' && u < 0x7f ? put_utf8(to, 0xff01u + u - '!') : u == ' ' ? put_utf8(to, 0x3000) : 1;
	case MATHEMATICAL:
		if (u >= '0' && u <= '9')
			return put_utf8(to, 0x1d7ceu + u - '0');
		if (u >= 'a' && u <= 'z')
			return put_utf8(to, 0x1d41au + u - 'a');
		return u >= 'A' && u <= 'Z' ? put_utf8(to, 0x1d400u + u - 'A') : 1;
	default:
		if (way == SOME_PERCENT && (u == ' ' || (u >= '0' && u <= '9') ||
					    (u >= 'a' && u <= 'z' && i % 3 != 0) || (u >= 'A' && u <= 'Z')))
			return 1;
		return u >= ' ' && u < 0x7f ? (size_t)sprintf(to, "%%%02X", u) : 1;
	}
}

static size_t base64(const char *p, size_t n, size_t line, char *to)
{
	static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	size_t k = 0, column = 0;

	for (size_t i = 0; i < n; i += 3) {
		uint32_t b = (uint32_t)(unsigned char)p[i] << 16;

		b |= i + 1 < n ? (uint32_t)(unsigned char)p[i + 1] << 8 : 0;
		b |= i + 2 < n ? (unsigned char)p[i + 2] : 0;
		to[k++] = letters[b >> 18];
		to[k++] = letters[b >> 12 & 63];
		to[k++] = i + 1 < n ? letters[b >> 6 & 63] : '=';
		to[k++] = i + 2 < n ? letters[b & 63] : '=';
		if ((column += 4) == line && i + 3 < n) {
			to[k++] = '\n';
			column = 0;
		}
	}
	return k;
}

/* A text in another way; *from, *to: where a place of it is then. */
static size_t in_another_way(unsigned way, const char *text, size_t n, char *out, size_t *from, size_t *to)
{
	static const char front[] = "this is what was written in it: ";
	char plain[1200];
	size_t begin = 0, end = 0, k = 0;

	if (way == BASE64 || way == BASE64_LINES) {
		memcpy(plain, front, sizeof(front) - 1);
		memcpy(plain + sizeof(front) - 1, text, n);
		memcpy(out, "see ", 4);
		k = 4 + base64(plain, n + sizeof(front) - 1, way == BASE64_LINES ? 76 : 4096, out + 4);
		*from = 4;
		for (*to = k; out[*to - 1] == '='; --*to)
			;
		memcpy(out + k, " there", 6);
		return k + 6;
	}
	for (size_t i = 0; i < n; i++) {
		begin = i == *from ? k : begin;
		k += rewrite(way, text[i], i, out + k);
		end = i + 1 == *to ? k : end;
	}
	*from = begin;
	*to = end;
	return k;
}

/* What is found as it stands is found in every other way to write it, in its whole length; and nothing else is. */
static void sees_through(void **state)
{
	static const char *const ways[] = {"no width",      "soft hyphens",       "full width", "mathematical",
					   "percent signs", "some percent signs", "base64",     "base64 in lines"};
	static char out[8192];
	unsigned wrong = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct guard_spans *s;
		unsigned secrets = 0, class = 0;
		char text[1024];
		size_t from, to, n = unmark(cases[i].text, text, &from, &to);

		assert_int_equal(guard_scan(g, text, n, guard_classes_of(GUARD_SECRET), &s), 0);
		if (s->n > 0) {
			secrets = 1;
			class = s->v[0].class;
			from = s->v[0].from;
			to = s->v[0].to;
		}
		for (unsigned way = 0; way < NWAYS; way++) {
			size_t f = from, t = to, m = in_another_way(way, text, n, out, &f, &t);
			bool ok;

			if (memchr(text, (char)0xc3, n) != NULL && way >= BASE64)
				continue;
			assert_int_equal(guard_scan(g, out, m, guard_classes_of(GUARD_SECRET), &s), 0);
			ok = secrets == 0 ? s->n == 0 : s->n > 0 && s->v[0].class == class && s->v[0].from <= f;
			/* what has no width behind the last letter need not be in it */
			if (ok && secrets > 0 && s->v[0].to + (way == NO_WIDTH ? 3 : way == SOFT ? 2 : 0) < t)
				ok = false;
			if (!ok)
				print_error("case %zu in %s: %zu found, %s %u..%u, not %s %zu..%zu: %.*s\n", i,
					    ways[way], s->n, s->n == 0 ? "-" : guard_class_name(s->v[0].class),
					    s->n == 0 ? 0 : s->v[0].from, s->n == 0 ? 0 : s->v[0].to,
					    secrets == 0 ? "-" : guard_class_name((enum guard_class) class), f, t,
					    (int)m, out);
			wrong += !ok;
		}
	}
	assert_int_equal(wrong, 0);
}

/* Tables that the library does not take: of another version, for another processor, cut, with a wrong byte. What is
 * made of the shapes then finds the same. */
static void tables_are_made_anew(void **state)
{
	const struct guard_policy policy = {GUARD_REFUSE, false};
	struct guard *usual = g;
	unsigned char *bytes = malloc(guard_tables.n);
	/* where its head has them: magic, version and length of 32 bits each, platform of 64, sum of 32 */
	static const size_t at[] = {4, 12 + 7, 20, 4096};

	assert_non_null(bytes);
	assert_true(guard_tables.n > 8192);
	assert_false(engine_made_anew(usual->engine));
	for (size_t i = 0; i <= sizeof(at) / sizeof(at[0]); i++) {
		struct tables tables = {bytes, guard_tables.n};
		struct tr_fault fault = {0};

		memcpy(bytes, guard_tables.p, guard_tables.n);
		if (i < sizeof(at) / sizeof(at[0]))
			bytes[at[i]] ^= 0x80;
		else
			tables.n /= 2;
		if (guard_new_of(&g, &policy, &tables, &fault) < 0)
			fail_msg("%zu: %s", i, fault.rule);
		assert_true(engine_made_anew(g->engine));
		finds_what_it_should(state);
		if (i == 0)
			finds_it_wherever_it_stands(state);
		guard_free(&g);
	}
	g = usual;
	free(bytes);
}

static void looks_into_an_envelope(void **state)
{
	static const char *const says[] = {
		"{\"act\":\"delete\",\"reason\":\"it was wrong from the start\"}",
		"{\"act\":\"delete\",\"reason\":\"the password=Tr0ub4dor-and-3x is in it\"}"};
	const struct guard_policy refuse = {GUARD_REFUSE, false}, redact = {GUARD_REDACT, false};
	const struct guard_policy *const policies[] = {&refuse, &redact};

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		struct dsse e = {.type = "application/vnd.tribe.governance+json", .nsignatures = 1};
		msgpack_zone *zone = msgpack_zone_new(MSGPACK_ZONE_CHUNK_SIZE);
		struct tr_fault fault = {0};
		struct guard_verdict v;
		struct guard *mine = NULL;
		struct buf line = {0};
		struct msg_memory_govern msg = {.has_envelope = true};

		e.payload_n = strlen(says[i % 2]);
		memcpy(e.payload, says[i % 2], e.payload_n);
		for (size_t k = 0; k < DSSE_SIG_LEN; k++)
			e.signatures[0].sig[k] = (unsigned char)(k * 37 + 11);
		assert_int_equal(dsse_print(&e, &line), 0);
		msg.envelope = (wire_str){line.p, (uint32_t)line.len};
		assert_int_equal(guard_new(&mine, policies[i / 2], &fault), 0);
		assert_int_equal(guard_message(mine, MSG_memory_govern, &msg, zone, &v, &fault),
				 i % 2 == 0 ? 0 : TR_ESECRET);
		assert_true(i % 2 == 0 || strcmp(v.field, "envelope") == 0);
		guard_free(&mine);
		buf_free(&line);
		msgpack_zone_free(zone);
	}
}

/* ---- time ---- */
static double cpu_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

/* Nanoseconds a byte, the best of some tries. */
static double pace(const char *text, size_t n, unsigned tries)
{
	const struct guard_spans *s;
	double best = 1e18;

	while (tries-- > 0) {
		double began = cpu_ns(), took;

		assert_int_equal(guard_scan(g, text, n, GUARD_ALL_CLASSES, &s), 0);
		took = cpu_ns() - began;
		best = took < best ? took : best;
	}
	return best / (double)n;
}

/* Repeated, they are what each verifier likes least. "": letters of all shapes, at random. */
static const char *const hostile[] = {
	"",
	"a",
	"1",
	"1 ",
	"1-",
	"4111 ",
	"-----BEGIN ",
	"-----BEGIN PRIVATE KEY-----",
	"pwd=",
	"token=\"",
	"password: ",
	"pwd='a ",
	"eyJ",
	"eyJaaaaaaaa.",
	"eyJaaaaaaaa.eyJaaaaaaaa",
	"A1",
	"x@x.",
	"x@x.x",
	"://a:",
	"://a:a@",
	"a://b:c.d",
	"DE89 ",
	"GB82WEST1234",
	"\"",
	"+1 ",
	"+11111111 ",
	"1.",
	"1.1.1.1",
	"a:",
	"a:a:a::",
	":",
	"sk-",
	"sk-aaaaaaaaaaaaaaaaaaaa",
	"tribe_",
	"AKIA",
	"bearer ",
	"basic AAAAAAAAAAAAAAAA ",
	"ghp_",
	"xoxb-",
	"123-45-6789",
	"12345678Z ",
	"hooks.slack.com/services/",
	"\xc3\xa9",
	"%41",
	"%67%68%70%5F",
	"\xe2\x80\x8b",
	"a\xe2\x80\x8b",
	"password:password:\xc2\xad",
	"\xef\xbc\x91",
	"\xf0\x9d\x90\x80",
	"cGFzc3dvcmQ9",
	"IDExMTExMTExMTExMTExMTExMTExMTExMTExMTExMTEx",
	"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA ",
	"YWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFh\n",
	"%",
	"_",
};
#define NHOSTILE (sizeof(hostile) / sizeof(hostile[0]))

static void hostile_text(size_t which, char *out, size_t n)
{
	static const char letters[] = "eyJ.:=-_ AKpass4@sk1\"w+0/";
	size_t len = strlen(hostile[which]);
	uint32_t x = 2463534242u;

	for (size_t i = 0; i < n; i++) {
		x ^= x << 13, x ^= x >> 17, x ^= x << 5;
		out[i] = len == 0 ? letters[x % (sizeof(letters) - 1)] : hostile[which][i % len];
	}
}

#define LARGEST 65536u

static void takes_linear_time(void **state)
{
	char *text = malloc(LARGEST);

	(void)state;
	assert_non_null(text);
	for (size_t i = 0; i < NHOSTILE; i++) {
		double small, large;

		hostile_text(i, text, LARGEST);
		small = pace(text, LARGEST / 16, 8);
		large = pace(text, LARGEST, 4);
		if (large > 4.0 * small + 20.0 || large > 2000.0) /* by the square it would be sixteen times */
			fail_msg("\"%s\": %.1f ns a byte in a short text, %.1f in a long one", hostile[i], small,
				 large);
	}
	free(text);
}

static void measure(void)
{
	static const char usual[] = "Yesterday Anna told me that the deployment of the second cluster was moved to "
				    "Thursday because the storage team found "
				    "slow disks; Ben will write the report and send it around before noon. We agreed "
				    "that the budget stays at 45,000 and that "
				    "the review is on 2026-03-14 at 15:30 in room 4.12. The password policy was "
				    "discussed: tokens expire after 90 days, and "
				    "nobody keeps secrets in the wiki any more. Next steps: check the graphs, call the "
				    "vendor, order 12 cables and two "
				    "switches (SKU 4471-22), issue 1234.";
	const struct guard_policy policy = {GUARD_REFUSE, false};
	struct guard *again = NULL;
	char *text = malloc(LARGEST * 4);
	double began = cpu_ns(), worst = 0.0;

	assert_true(text != NULL && guard_new(&again, &policy, NULL) == 0);
	printf("one guard more: %.2f ms\n", (cpu_ns() - began) / 1e6);
	guard_free(&again);
	printf("%zu bytes of ordinary text: %.2f us\n", sizeof(usual) - 1,
	       pace(usual, sizeof(usual) - 1, 1000) * (double)(sizeof(usual) - 1) / 1e3);
	for (size_t i = 0; i < NHOSTILE; i++) {
		printf("%-28s", hostile[i][0] == '\0' ? "(random)" : hostile[i]);
		for (size_t n = LARGEST / 16; n <= LARGEST * 4; n *= 4) {
			double p;

			hostile_text(i, text, n);
			p = pace(text, n, 5);
			worst = p > worst ? p : worst;
			printf(" %8.2f", p);
		}
		printf("  ns a byte in 4, 16, 64, 256 KiB\n");
	}
	printf("worst: %.1f ns a byte\n", worst);
	free(text);
}

static int by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double median_ms(bool anew)
{
	const struct guard_policy policy = {GUARD_REFUSE, false};
	unsigned char *bytes = malloc(guard_tables.n);
	struct tables tables = {bytes, guard_tables.n};
	double ms[15];

	assert_non_null(bytes);
	memcpy(bytes, guard_tables.p, guard_tables.n);
	bytes[4] ^= anew ? 0x80 : 0;
	for (unsigned i = 0; i < 15; i++) {
		struct guard *one = NULL;
		double began = cpu_ns();

		assert_int_equal(guard_new_of(&one, &policy, &tables, NULL), 0);
		ms[i] = (cpu_ns() - began) / 1e6;
		guard_free(&one);
	}
	free(bytes);
	qsort(ms, 15, sizeof(ms[0]), by_size);
	return ms[7];
}

/* What texts of the sizes of a memory cost; the median of some turns. */
static void cost(void)
{
	static const struct {
		const char *name, *text;
	} kinds[] = {
		{"English",
		 "Yesterday Anna told me that the second cluster was moved to Thursday, 2026-03-14, room 4.12. "},
		{"German", "F\xc3\xbcr die B\xc3\xbc"
			   "cher h\xc3\xa4tten wir gr\xc3\xb6\xc3\x9f"
			   "ere Regale gebraucht, sagte sie \xe2\x80\x93 "},
		{"Chinese", "\xe6\x98\xa8\xe5\xa4\xa9\xef\xbc\x8c\xe7\xac\xac\xe4\xba\x8c\xe5\x8f\xb0\xe6\x9c\xba\xe5"
			    "\x99\xa8\xe6\x90\xac\xe5\x88\xb0\xe5\x91\xa8\xe5\x9b\x9b\xe3\x80\x82"},
		{"URLs", "see https://example.org/wiki/A%20page%20with%C3%A9?q=two%20words&lang=en for more of it. "},
		{"base64 of bytes", "iVBORw0KGgoAAAANSUhEUgAAAAUAAAAFCAYAAACNbyblAAAAHElEQVQI12P4\n"},
		{"base64 of text", "WWVzdGVyZGF5IEFubmEgdG9sZCBtZSB0aGF0IHRoZSBzZWNvbmQgY2x1c3Rl\n"},
	};
	char *text = malloc(LARGEST);

	assert_non_null(text);
	printf("a guard more: %.2f ms of CPU, with tables made anew %.1f ms\n", median_ms(false), median_ms(true));
	for (size_t k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++) {
		size_t len = strlen(kinds[k].text);

		for (size_t i = 0; i < LARGEST; i++)
			text[i] = kinds[k].text[i % len];
		for (size_t n = 1024; n <= LARGEST; n *= 64) {
			double turns[15];

			for (unsigned i = 0; i < 15; i++)
				turns[i] = pace(text, n, n == 1024 ? 400 : 10) * (double)n / 1e3;
			qsort(turns, 15, sizeof(turns[0]), by_size);
			printf("%-16s %6zu bytes: %8.2f us\n", kinds[k].name, n, turns[7]);
		}
	}
	free(text);
}

/* Each line of standard input (--count0: whatever ends with a zero byte) is a text: how many of them hold what? */
static void count(int separator)
{
	uint64_t texts = 0, with[GUARD_NCLASSES] = {0}, secret = 0, person = 0;
	const struct guard_spans *s;
	char *line = NULL;
	size_t cap = 0;
	ssize_t n;

	while ((n = getdelim(&line, &cap, separator, stdin)) > 0) {
		uint32_t bits = 0;

		assert_int_equal(guard_scan(g, line, (size_t)n, GUARD_ALL_CLASSES, &s), 0);
		for (size_t i = 0; i < s->n; i++)
			bits |= GUARD_BIT(s->v[i].class);
		texts++;
		secret += (bits & (GUARD_BIT(GUARD_IBAN + 1) - 1)) != 0;
		person += bits >> (GUARD_IBAN + 1) != 0;
		for (unsigned c = 0; c < GUARD_NCLASSES; c++)
			with[c] += (bits & GUARD_BIT(c)) != 0;
	}
	printf("texts %llu, with a secret %llu, with something about a person %llu\n", (unsigned long long)texts,
	       (unsigned long long)secret, (unsigned long long)person);
	for (unsigned c = 0; c < GUARD_NCLASSES; c++)
		if (with[c] > 0)
			printf("  %-13s %llu\n", guard_class_name((enum guard_class)c), (unsigned long long)with[c]);
	free(line);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finds_what_it_should),   cmocka_unit_test(finds_it_wherever_it_stands),
		cmocka_unit_test(sees_through),           cmocka_unit_test(tables_are_made_anew),
		cmocka_unit_test(looks_into_an_envelope), cmocka_unit_test(takes_linear_time),
	};

	if (argc == 2 && (strcmp(argv[1], "--measure") == 0 || strcmp(argv[1], "--cost") == 0 ||
			  strncmp(argv[1], "--count", 7) == 0)) {
		double began = cpu_ns();

		if (setup(NULL) < 0)
			return 1;
		printf("the first guard, with its library: %.2f ms of CPU\n", (cpu_ns() - began) / 1e6);
		if (strncmp(argv[1], "--count", 7) == 0)
			count(argv[1][7] == '0' ? 0 : '\n');
		else if (strcmp(argv[1], "--cost") == 0)
			cost();
		else
			measure();
		return teardown(NULL);
	}
	return cmocka_run_group_tests(tests, setup, teardown);
}
