/* jrs/memory/guard/view: what is written in another way is the same secret. */
#include "guard_kit.h"

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

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(sees_through)};

	return cmocka_run_group_tests(tests, setup, teardown);
}
