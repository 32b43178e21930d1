/* jrs/executive/api: what needs no call: headers, the quoting confidence, the text of /metrics. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "jrs/executive/api/internal.h"
#include <stdio.h>
#include <string.h>

static void hosts(void **state)
{
	static const char *const good[] = {"localhost", "LOCALHOST:1", "127.0.0.1",      "127.0.0.1:8000",
					   "[::1]",     "[::1]:65535", "127.0.0.9:8000", "localhost:"};
	static const char *const bad[] = {"",
					  "example.org",
					  "localhost.example.org",
					  "localhost@x",
					  "127.0.0.1.example.org",
					  "127.0.0.2",
					  "::1",
					  "[::1",
					  "[::1]x",
					  "[::2]",
					  "localhost:80x",
					  "localhost:123456",
					  "0.0.0.0",
					  "127.1",
					  ":80",
					  "localhost.",
					  "xlocalhost"};

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++)
		assert_true(check_host(good[i], "127.0.0.9"));
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		assert_false(check_host(bad[i], "127.0.0.9"));
	assert_false(check_host("127.0.0.9", NULL));
	assert_true(check_origin("http://localhost:3000", NULL));
	assert_true(check_origin("HTTPS://[::1]", NULL));
	assert_false(check_origin("null", NULL));
	assert_false(check_origin("", NULL));
	assert_false(check_origin("http://example.org", NULL));
	assert_false(check_origin("http://localhost.example.org", NULL));
	assert_false(check_origin("file://localhost", NULL));
	assert_false(check_origin("http://localhost http://evil", NULL));
}

static void content_types(void **state)
{
	(void)state;
	assert_int_equal(check_content_type("application/json"), MEDIA_JSON);
	assert_int_equal(check_content_type("Application/JSON ; charset=UTF-8"), MEDIA_JSON);
	assert_int_equal(check_content_type("application/json;charset=\"utf-8\""), MEDIA_JSON);
	assert_int_equal(check_content_type("application/x-ndjson"), MEDIA_NDJSON);
	assert_int_equal(check_content_type("application/json;charset=latin1"), 0);
	assert_int_equal(check_content_type("application/json5"), 0);
	assert_int_equal(check_content_type("text/json"), 0);
	assert_int_equal(check_content_type(""), 0);
	assert_int_equal(check_content_type("application/json, text/plain"), 0);
	assert_int_equal(check_content_type("application/x-www-form-urlencoded"), 0);
}

static void accepts(void **state)
{
	static const char *const yes[] = {"",
					  " ",
					  "*/*",
					  "application/json",
					  "APPLICATION/*",
					  "text/html, */*;q=0.1",
					  "text/html;q=0, application/json;q=0.001",
					  "application/json;v=\"a,b;q=0\"",
					  "*/*;q=0, application/json"};
	static const char *const no[] = {"text/html",
					 "application/json;q=0",
					 "*/*;q=0.0",
					 "application/json;q=0, */*",
					 "application/*;q=0, */*",
					 "application/jsonx",
					 "image/*",
					 "*"};

	(void)state;
	assert_true(check_accept(NULL, MEDIA_JSON));
	for (size_t i = 0; i < sizeof(yes) / sizeof(*yes); i++)
		if (!check_accept(yes[i], MEDIA_JSON))
			fail_msg("refused: %s", yes[i]);
	for (size_t i = 0; i < sizeof(no) / sizeof(*no); i++)
		if (check_accept(no[i], MEDIA_JSON))
			fail_msg("accepted: %s", no[i]);
	assert_true(check_accept("application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
				 MEDIA_TEXT));
	assert_false(check_accept("application/json", MEDIA_TEXT));
}

static void keys(void **state)
{
	char key[KEY_MAX + 2], out[KEY_MAX + 1], other[KEY_MAX + 1];

	(void)state;
	assert_int_equal(check_key("a!~", 3, out), 0);
	assert_string_equal(out, "key:a!~");
	memset(key, 'k', sizeof(key));
	assert_int_equal(check_key(key, KEY_MAX - 4, out), 0);
	assert_int_equal(strlen(out), KEY_MAX);
	assert_int_equal(check_key(key, KEY_MAX, out), 0);
	assert_int_equal(strlen(out), 4 + 64);
	key[0] = 'x';
	assert_int_equal(check_key(key, KEY_MAX, other), 0);
	assert_string_not_equal(out, other);
	assert_int_equal(check_key(key, KEY_MAX + 1, out), TR_EINVAL);
	assert_int_equal(check_key("", 0, out), TR_EINVAL);
	assert_int_equal(check_key("a b", 3, out), TR_EINVAL);
	assert_int_equal(check_key("a\x7f", 2, out), TR_EINVAL);
	assert_int_equal(check_key("\xc3\xa4", 2, out), TR_EINVAL);
}

static void values(void **state)
{
	size_t longest = 7;

	(void)state;
	assert_int_equal(check_values("", 0, &longest), 1);
	assert_int_equal(check_values("[1,2,{\"a,[\\\"{\":3}]", 18, &longest), 5);
	assert_int_equal(check_values("\"\\", 2, &longest), 1); /* ends within an escape */
	assert_int_equal(check_values("[\"abc\",\"a\\\"cde\"]", 16, &longest), 3);
	assert_int_equal(longest, 6);
	assert_int_equal(check_values("\"abc", 4, &longest), 1); /* the parser refuses that */
	assert_int_equal(longest, 0);
}

static double quote(const char *question, const char *content)
{
	return quote_confidence(question, strlen(question), content, strlen(content));
}

static void quoting(void **state)
{
	(void)state;
	assert_true(quote("When did Caroline move to Berlin?", "caroline moved to BERLIN in May") > 0.33);
	assert_true(quote("When did Caroline move to Berlin?", "caroline moved to BERLIN in May") <= 0.5);
	assert_true(quote("Where are the painted gardens?", "She painted a garden") >= 0.25);
	assert_true(quote("What about Berlin?", "nothing of it") == 0);
	assert_true(quote("who?", "x") == 0);
	assert_true(quote("", "") == 0);
	assert_true(quote("Berlin", "Berlin") == 0.5);
}

/* ---- /metrics ---- */
static bool says(const struct buf *b, const char *line)
{
	char text[256];

	snprintf(text, sizeof(text), "\n%s\n", line);
	return strstr(b->p, text) != NULL;
}

static void scrape_all(void **state)
{
	static const struct item_bucket buckets[] = {{0.01, 2}, {0.1, 1}};
	static const struct item_reason reasons[] = {{{"killed", 6}, 3}};
	struct item_recovery recovery = {.cause = wire_s("hang"), .buckets = {buckets, 2}, .sum_s = 1.5, .count = 4};
	struct item_reason drills[] = {{wire_s("true"), 5}, {wire_s("unknown"), 1}};
	struct item_reason detections[] = {{wire_s("spin"), 2}, {wire_s("slow"), 9}};
	struct res_memory_thermal t = {
		.total_memories = 7, .average_temperature = 41.5, .has_average_temperature = true};
	struct res_status s = {.uptime_s = 9, .archive_healthy = true, .has_archive_healthy = true};
	const struct scrape_meta meta = {
		.has_r_squared = true, .r_squared = .5, .n = 1, .degradation = {{"loop_lag", false, 2}}};
	struct api *api = NULL;
	struct buf b = {0};

	(void)state;
	assert_int_equal(api_new(&api, &(struct api_cfg){.request_timeout_ms = 1}), 0);
	t.stages.warm = 6;
	t.phase_coherence_avg = 0.75;
	t.has_phase_coherence_avg = true;
	s.jrs_running.memory_jr = true;
	s.jrs.memory_jr.restarts_by_reason = (struct list_reason){reasons, 1};
	s.jrs.memory_jr.recoveries = (struct list_recovery){&recovery, 1};
	s.jrs.memory_jr.detections = (struct list_reason){detections, 2};
	s.jrs.memory_jr.cpu_ms = 1500;
	s.jrs.memory_jr.has_cpu_ms = true;
	s.jrs.meta_jr.heartbeat_at = 1700000000500;
	s.jrs.meta_jr.has_heartbeat_at = true;
	s.drills = (struct list_reason){drills, 2};
	s.sentience.index = 66;
	s.sentience.has_index = true;
	s.sentience.coherence = 0.5;
	s.sentience.has_coherence = true;
	api->archive_ms = 1500;
	api_refused(api, 431);
	assert_int_equal(scrape_write(&b, api, &s, &t, &meta), 0);
	assert_true(says(&b, "thermal_memory_total 7"));
	assert_true(says(&b, "thermal_memory_heat_mean 41.5") && says(&b, "cherokee_thermal_memory_heat_mean 41.5"));
	assert_true(says(&b, "thermal_memory_stage{stage=\"warm\"} 6") &&
		    says(&b, "thermal_memory_stage{stage=\"ember\"} 0"));
	assert_true(says(&b, "cherokee_phase_coherence 0.75"));
	assert_true(says(&b, "cherokee_thermal_memory_phase_coherence_mean 0.75"));
	assert_null(strstr(b.p, "thermal_memory_entropy")); /* not known: absent */
	assert_null(strstr(b.p, "sacred_min"));
	assert_true(says(&b, "cherokee_jr_up{jr=\"memory_jr\"} 1") && says(&b, "cherokee_jr_up{jr=\"meta_jr\"} 0"));
	assert_true(says(&b, "cherokee_jr_restarts_total{jr=\"memory_jr\",reason=\"killed\"} 3"));
	assert_true(says(&b, "cherokee_drills_total{result=\"true\"} 5"));
	assert_true(says(&b, "cherokee_drills_total{result=\"unknown\"} 1"));
	assert_true(says(&b, "cherokee_jr_detections_total{jr=\"memory_jr\",kind=\"spin\"} 2"));
	assert_true(says(&b, "cherokee_jr_detections_total{jr=\"memory_jr\",kind=\"slow\"} 9"));
	assert_true(says(&b, "cherokee_jr_recovery_seconds_bucket{jr=\"memory_jr\",cause=\"hang\",le=\"0.1\"} 3"));
	assert_true(says(&b, "cherokee_jr_recovery_seconds_bucket{jr=\"memory_jr\",cause=\"hang\",le=\"+Inf\"} 4"));
	assert_true(says(&b, "cherokee_jr_cpu_seconds_total{jr=\"memory_jr\"} 1.5"));
	assert_true(says(&b, "cherokee_jr_heartbeat_timestamp{jr=\"meta_jr\"} 1700000000.5"));
	assert_null(strstr(b.p, "cherokee_jr_heartbeat_timestamp{jr=\"memory_jr\"}"));
	assert_true(says(&b, "cherokee_sentience_index 66"));
	assert_true(says(&b, "cherokee_sentience_component{component=\"coherence\"} 0.5"));
	assert_null(strstr(b.p, "component=\"uptime\""));
	assert_true(says(&b, "cherokee_archive_up 1") && says(&b, "cherokee_archive_last_success_timestamp 1.5"));
	assert_true(says(&b, "cherokee_uptime_seconds 9"));
	assert_true(says(&b, "cherokee_regression_r_squared 0.5"));
	assert_true(says(&b, "cherokee_degradation_ratio{metric=\"loop_lag\"} 2"));
	assert_true(says(&b, "cherokee_api_requests_total{method=\"other\",endpoint=\"other\",status=\"431\"} 1"));
	assert_non_null(strstr(b.p, "cherokee_build_info{version=\""));

	/* the archive is away: nothing of it stays */
	buf_clear(&b);
	assert_int_equal(scrape_write(&b, api, NULL, NULL, &meta), 0);
	assert_true(says(&b, "cherokee_archive_up 0"));
	assert_null(strstr(b.p, "thermal_memory"));
	assert_null(strstr(b.p, "regression"));
	assert_null(strstr(b.p, "phase_coherence"));
	assert_null(strstr(b.p, "cherokee_jr_"));
	assert_null(strstr(b.p, "cherokee_uptime_seconds"));
	buf_clear(&b);
	s.archive_healthy = false; /* memory-jr answers from memory, but tribed knows better */
	assert_int_equal(scrape_write(&b, api, &s, &t, &meta), 0);
	assert_true(says(&b, "cherokee_archive_up 0"));
	assert_null(strstr(b.p, "thermal_memory"));
	buf_free(&b);
	api_free(&api);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hosts),      cmocka_unit_test(content_types), cmocka_unit_test(accepts),
		cmocka_unit_test(keys),       cmocka_unit_test(values),        cmocka_unit_test(quoting),
		cmocka_unit_test(scrape_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
