/* The guard: jrs/memory/guard; what else than the plain text it looks at is in test_guard_ways.c. */
#include "guard_kit.h"

#include "proto/dsse/dsse.h"
#include <time.h>

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
		cmocka_unit_test(finds_what_it_should), cmocka_unit_test(finds_it_wherever_it_stands),
		cmocka_unit_test(tables_are_made_anew), cmocka_unit_test(looks_into_an_envelope),
		cmocka_unit_test(takes_linear_time),
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
