/* What tribectl prints: text made harmless, and the screens. */
#include "supervisor/ctl/clean.h"
#include "supervisor/ctl/drill/probe.h"
#include "supervisor/ctl/show.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static const struct show_style plain = {.colour = false}, coloured = {.colour = true};

static void cleans(const char *in, size_t n, const char *want)
{
	struct buf b = {.max = 0};

	clean_text(&b, in, n, "|", 0);
	assert_string_equal(b.p == NULL ? "" : b.p, want);
	buf_free(&b);
}
#define CLEANS(in, want) cleans(in, sizeof(in) - 1, want)

static void text_is_made_harmless(void **state)
{
	(void)state;
	CLEANS("", "");
	CLEANS("plain \xc3\xa9\xe2\x82\xac\xf0\x9f\x8c\x8d", "plain \xc3\xa9\xe2\x82\xac\xf0\x9f\x8c\x8d");
	CLEANS("a\nb\tc\rd", "a|b cd");
	CLEANS("a\x1b[31mred\x1b[0m", "ared");
	CLEANS("a\x1b[2J\x1b[1;1Hb", "ab");
	CLEANS("a\x1b]0;title\x07"
	       "b",
	       "ab");
	CLEANS("a\x1b]8;;http://x\x1b\\b", "ab");
	CLEANS("a\x1bPdevice\x1b\\b", "ab");
	CLEANS("a\x1b]0;never ended", "a0;never ended"); /* it must not swallow the rest */
	CLEANS("a\x1b"
	       "cb",
	       "ab");
	CLEANS("a\x1b", "a");
	CLEANS("a\x1b[", "a");
	CLEANS("a\xc2\x9b"
	       "31mb",
	       "ab"); /* CSI as one character */
	CLEANS("a\xc2\x9d"
	       "0;t\xc2\x9c"
	       "b",
	       "ab");
	CLEANS("a\x00\x01\x7f\xc2\x85"
	       "b",
	       "ab");
	CLEANS("a\xe2\x80\xae"
	       "b\xe2\x81\xa6"
	       "c\xef\xbb\xbf",
	       "abc"); /* direction and marks */
	CLEANS("a\xf3\xa0\x81\x81"
	       "b",
	       "ab"); /* tags */
	CLEANS("a\xe2\x80\xa8"
	       "b",
	       "a|b");
	CLEANS("\xff\xc3(\xe2\x82", "\xef\xbf\xbd\xef\xbf\xbd(\xef\xbf\xbd\xef\xbf\xbd");
	CLEANS("\xed\xa0\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"); /* a surrogate */
	CLEANS("\xc0\xaf", "\xef\xbf\xbd\xef\xbf\xbd");                 /* overlong */
}

static void no_byte_string_leaves_a_control_character(void **state)
{
	uint64_t x = 88172645463325252u;

	(void)state;
	for (int round = 0; round < 20000; round++) {
		static const char alphabet[] = "\x1b[]PX^_\\;0m\x07\n\t\xc2\x9b\x9d\x90\xe2\x80\xae\xff"
					       "ab";
		struct buf b = {.max = 0};
		char in[24];
		size_t n;

		for (n = 0; n < sizeof(in); n++) {
			x ^= x << 13, x ^= x >> 7, x ^= x << 17;
			in[n] = alphabet[x % (sizeof(alphabet) - 1)];
		}
		clean_text(&b, in, n, " ", (size_t)(x % 30));
		for (size_t i = 0; i < b.len; i++) {
			unsigned char c = (unsigned char)b.p[i];

			assert_true(c >= 0x20 && c != 0x7f);
			assert_false(c == 0xc2 && i + 1 < b.len && (unsigned char)b.p[i + 1] < 0xa0);
		}
		buf_free(&b);
	}
}

static void long_text_is_cut_in_characters(void **state)
{
	struct buf b = {.max = 0};

	(void)state;
	clean_text(&b, "\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9", 8, "\n", 3);
	assert_string_equal(b.p, "\xc3\xa9\xc3\xa9\xc3\xa9 ... (1 more)");
	buf_free(&b);
}

static void small_parts(void **state)
{
	static const struct {
		uint64_t n;
		const char *duration, *bytes, *count;
	} t[] = {
		{0, "0s", "0 kB", "0"},
		{59, "59s", "0 kB", "59"},
		{61, "1m01s", "0 kB", "61"},
		{3661, "1h01m", "3 kB", "3,661"},
		{90000, "1d01h", "90 kB", "90,000"},
		{1234567, "14d06h", "1.2 MB", "1,234,567"},
		{UINT64_MAX, "213503982334601d07h", "18446744073.7 GB", "1.84e+19"},
	};
	char s[SHOW_SHORT];

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		show_duration(s, t[i].n);
		assert_string_equal(s, t[i].duration);
		show_bytes(s, t[i].n);
		assert_string_equal(s, t[i].bytes);
		show_count(s, t[i].n);
		assert_string_equal(s, t[i].count);
	}
	show_time(s, 1795453205123);
	assert_string_equal(s, "2026-11-23 17:00:05Z");
}

static struct item_jr a_jr(const char *state)
{
	return (struct item_jr){
		.state = wire_s(state),
		.has_pid = true,
		.pid = 4194304,
		.generation = 7,
		.has_uptime_s = true,
		.uptime_s = 8640000,
		.restarts = 123456,
		.has_heartbeat_age_ms = true,
		.heartbeat_age_ms = 100000,
		.has_rss_bytes = true,
		.rss_bytes = 123456789,
		.has_last_exit = true,
		.last_exit = wire_s("signal 9"),
		.has_retry_in_ms = true,
		.retry_in_ms = 30000,
	};
}

static void status_fits_a_screen(void **state)
{
	struct item_jr j = a_jr("backoff");
	struct res_status r = {
		.status = wire_s("operational"),
		.jrs = {j, j, j, j},
		.has_archive_healthy = true,
		.has_archive_reason = true,
		.archive_reason = wire_s("the disk is nearly full: 1048576 MB must be free (archive.min_free_mb); "
					 "reading and forgetting go on"),
		.uptime_s = 8640000,
		.supervisor_pid = 4194304,
		.supervisor_rss_bytes = 123456789,
		.version = wire_s("10.20.30"),
		.has_http_address = true,
		.http_address = wire_s("127.0.0.1:65535"),
		.sentience = {.has_uptime = true, .uptime = 0.999, .has_coherence = true, .coherence = 0.5},
	};
	struct res_memory_thermal t = {
		.total_memories = 123456789,
		.has_average_temperature = true,
		.average_temperature = 41.25,
		.white_hot_count = 123456,
		.sacred_count = 123456,
		.has_sacred_min_temperature = true,
		.sacred_min_temperature = 40,
		.has_thermal_entropy = true,
		.thermal_entropy = 0.5,
	};
	unsigned lines = 0, column = 0;
	struct buf b = {.max = 0};

	(void)state;
	show_status(&b, &plain, &r);
	show_temperature(&b, &plain, &t);
	assert_int_equal(b.failed, 0);
	for (size_t i = 0; i < b.len; i++) {
		column = b.p[i] == '\n' ? 0 : column + 1;
		lines += b.p[i] == '\n';
		assert_true(column <= 80);
	}
	assert_true(lines <= 23);
	for (int i = 0; i < TR_NROLES; i++)
		assert_non_null(strstr(b.p, tr_roles[i].name));
	assert_non_null(strstr(b.p, "warming up"));
	assert_non_null(strstr(b.p, "signal 9"));
	assert_non_null(strstr(b.p, "not healthy\n    the disk is nearly full"));
	assert_non_null(strstr(b.p, "\n    reading and forgetting go on\n"));
	assert_null(strchr(b.p, 0x1b));
	buf_clear(&b);
	r.sentience.has_index = true;
	r.sentience.index = 72.34;
	show_status(&b, &coloured, &r);
	assert_non_null(strstr(b.p, "72.3"));
	assert_null(strstr(b.p, "warming up"));
	assert_non_null(strchr(b.p, 0x1b));
	buf_free(&b);
}

static void the_address_can_be_used(void **state)
{
	static const struct {
		const char *address, *shown;
		bool tls;
	} cases[] = {
		{"127.0.0.1:8000", "API          http://127.0.0.1:8000\n", false},
		{"127.0.0.1:8000", "API          https://127.0.0.1:8000\n", true},
		{"[fd00::1]:65535", "API          https://[fd00::1]:65535\n", true},
		{"0.0.0.0:65535", "API          https://127.0.0.1:65535   listens on every IPv4 address\n", true},
		{"[::]:1", "API          https://[::1]:1   listens on every address\n", true},
		{"10.0.0.0:80", "API          http://10.0.0.0:80\n", false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct item_jr j = a_jr("up");
		struct res_status r = {.status = wire_s("operational"),
				       .jrs = {j, j, j, j},
				       .version = wire_s("1"),
				       .has_http_address = true,
				       .http_address = wire_s(cases[i].address),
				       .has_http_tls = true,
				       .http_tls = cases[i].tls};
		struct buf b = {.max = 0};

		show_status(&b, &plain, &r);
		if (b.p == NULL || strstr(b.p, cases[i].shown) == NULL)
			fail_msg("not '%s' in '%s'", cases[i].shown, b.p == NULL ? "" : b.p);
		buf_free(&b);
	}
}

static void lists_are_clean(void **state)
{
	static const char evil[] = "so\x1b[2J\x1b]0;x\x07\nit goes";
	wire_str tag = wire_s("t\x1b[1mag");
	struct item_memory m = {
		.id = wire_s("id-1"),
		.content = {evil, sizeof(evil) - 1},
		.temperature = 41,
		.stage = wire_s("warm"),
		.has_speaker = true,
		.speaker = wire_s("Al\x1b[Aice"),
		.tags = {&tag, 1},
		.has_score = true,
		.score = 0.5,
	};
	struct item_source s = {.id = m.id, .content = m.content, .score = 1, .temperature = 41};
	struct item_decision d = {.id = m.id, .text = m.content, .by = m.speaker, .memory_id = m.id};
	struct res_memory_recall recall = {.memories = {&m, 1}};
	struct res_memory_thermal thermal = {.total_memories = 1, .stages = {.warm = 1}, .hottest = {&m, 1}};
	struct res_memory_decisions decisions = {.decisions = {&d, 1}};
	struct res_executive_ask ask = {
		.answer = m.content,
		.confidence = 0.5,
		.confidence_basis = wire_s("words"),
		.sources = {&s, 1},
		.degraded = {&tag, 1},
	};
	struct buf b = {.max = 0};

	(void)state;
	show_recall(&b, &plain, &recall);
	show_thermal(&b, &plain, &thermal);
	show_decisions(&b, &plain, &decisions);
	show_answer(&b, &plain, &ask);
	assert_int_equal(b.failed, 0);
	assert_null(strchr(b.p, 0x1b));
	assert_null(strchr(b.p, 0x07));
	assert_non_null(strstr(b.p, "    so\n    it goes"));
	assert_non_null(strstr(b.p, "Alice"));
	assert_non_null(strstr(b.p, "#tag"));
	assert_non_null(strstr(b.p, "100.0%"));
	buf_clear(&b);
	recall.memories.n = 0;
	show_recall(&b, &plain, &recall);
	assert_string_equal(b.p, "nothing found\n");
	buf_free(&b);
}

/* The probe's requests are within the rules of their own table. */
static void probes_are_well_formed(void **state)
{
	(void)state;
	for (int role = 0; role < TR_NROLES; role++) {
		msgpack_sbuffer sb;
		size_t at = 0;
		unsigned n = 0;

		msgpack_sbuffer_init(&sb);
		assert_int_equal(probe_pack(&sb, (enum tr_role)role), 0);
		while (at < sb.size) {
			int64_t len = wire_frame_length(sb.data + at, sb.size - at, WIRE_FRAME_MAX);
			struct tr_fault fault = {.code = 0};
			struct wire_in in;
			union {
				struct msg_ping ping;
				struct msg_memory_recall recall;
				struct msg_integration_import import;
				struct msg_meta_anomalies anomalies;
				struct msg_executive_ask ask;
			} msg;

			assert_true(len > 0);
			assert_int_equal(wire_parse(&in, sb.data + at, (size_t)len), 0);
			assert_int_equal(wire_check(&in, FROM_USER, &fault), 0);
			assert_int_equal(wire_decode_params(&in, &msg, &fault), 0);
			wire_in_free(&in);
			at += (size_t)len;
			n++;
		}
		assert_int_equal(n, 2);
		msgpack_sbuffer_destroy(&sb);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(text_is_made_harmless),
		cmocka_unit_test(no_byte_string_leaves_a_control_character),
		cmocka_unit_test(long_text_is_cut_in_characters),
		cmocka_unit_test(small_parts),
		cmocka_unit_test(status_fits_a_screen),
		cmocka_unit_test(the_address_can_be_used),
		cmocka_unit_test(lists_are_clean),
		cmocka_unit_test(probes_are_well_formed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
