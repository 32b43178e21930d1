/* common/metrics */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/metrics/metrics.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void table_is_well_formed(void **state)
{
	static const char ok[] = "abcdefghijklmnopqrstuvwxyz_0123456789";

	(void)state;
	for (unsigned i = 0; i < METRIC_N; i++) {
		const char *name = metrics[i].name, *total = strstr(name, "_total");

		assert_int_equal(strspn(name, ok), strlen(name));
		assert_true(strspn(metrics[i].labels, "abcdefghijklmnopqrstuvwxyz,") == strlen(metrics[i].labels));
		assert_true(strlen(metrics[i].help) > 10);
		if (metrics[i].type != METRIC_UNTYPED)
			assert_int_equal(metrics[i].type == METRIC_COUNTER, total != NULL && total[6] == '\0');
		for (unsigned k = 0; k < i; k++)
			assert_string_not_equal(metrics[k].name, name);
	}
}

static void text_format(void **state)
{
	struct metrics_writer w;
	struct buf b = {0};

	(void)state;
	metrics_begin(&w, &b);
	metrics_put(&w, METRIC_HEAT_MEAN, 42.5);
	metrics_put(&w, METRIC_PHASE, (double)NAN); /* not known: absent, and its header too */
	metrics_put(&w, METRIC_JR_UP, 1.0, "memory_jr");
	metrics_put(&w, METRIC_JR_UP, 0.0, "meta_jr");
	metrics_put(&w, METRIC_JR_RESTARTS, 3e9, "a\"b", "c\\d\ne");
	metrics_put(&w, METRIC_UPTIME, 0.1);
	assert_int_equal(metrics_end(&w), 0);
	assert_string_equal(b.p, "# HELP thermal_memory_heat_mean Mean temperature of all memories, 0 to 100.\n"
				 "# TYPE thermal_memory_heat_mean gauge\n"
				 "thermal_memory_heat_mean 42.5\n"
				 "# HELP cherokee_jr_up 1 while the Jr is serving.\n"
				 "# TYPE cherokee_jr_up gauge\n"
				 "cherokee_jr_up{jr=\"memory_jr\"} 1\n"
				 "cherokee_jr_up{jr=\"meta_jr\"} 0\n"
				 "# HELP cherokee_jr_restarts_total Restarts since the supervisor started.\n"
				 "# TYPE cherokee_jr_restarts_total counter\n"
				 "cherokee_jr_restarts_total{jr=\"a\\\"b\",reason=\"c\\\\d\\ne\"} 3000000000\n"
				 "# HELP cherokee_uptime_seconds Seconds since the tribe started.\n"
				 "# TYPE cherokee_uptime_seconds gauge\n"
				 "cherokee_uptime_seconds 0.1\n");
	buf_free(&b);
}

static void whole_numbers(void **state)
{
	static const struct {
		double v;
		const char *text;
	} t[] = {{0, "0"},
		 {-0.0, "0"},
		 {-7, "-7"},
		 {1e6, "1000000"},
		 {1700000000123, "1700000000123"},
		 {9007199254740991, "9007199254740991"},
		 {9007199254740992, "9007199254740992"},
		 {1e300, "1e+300"},
		 {1700000000.25, "1700000000.25"},
		 {0.000015, "1.5e-05"}};

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(*t); i++) {
		struct metrics_writer w;
		struct buf b = {0};

		metrics_begin(&w, &b);
		metrics_put(&w, METRIC_UPTIME, t[i].v);
		assert_int_equal(metrics_end(&w), 0);
		b.p[b.len - 1] = '\0'; /* the line's end */
		assert_string_equal(strrchr(b.p, ' ') + 1, t[i].text);
		buf_free(&b);
	}
}

static void histogram_text(void **state)
{
	struct metrics_histogram h = {.le = {0.5, 10}, .buckets = 2};
	struct metrics_writer w;
	struct buf b = {0};

	(void)state;
	metrics_observe(&h, 0.5); /* the bound belongs to its bucket */
	metrics_observe(&h, 0.75);
	metrics_observe(&h, 70);
	metrics_observe(&h, (double)NAN);
	metrics_begin(&w, &b);
	metrics_put_histogram(&w, METRIC_LATENCY, &h, "/x");
	assert_int_equal(metrics_end(&w), 0);
	assert_non_null(strstr(b.p, "\n# TYPE cherokee_query_latency_seconds histogram\n"
				    "cherokee_query_latency_seconds_bucket{endpoint=\"/x\",le=\"0.5\"} 1\n"
				    "cherokee_query_latency_seconds_bucket{endpoint=\"/x\",le=\"10\"} 2\n"
				    "cherokee_query_latency_seconds_bucket{endpoint=\"/x\",le=\"+Inf\"} 3\n"
				    "cherokee_query_latency_seconds_sum{endpoint=\"/x\"} 71.25\n"
				    "cherokee_query_latency_seconds_count{endpoint=\"/x\"} 3\n"));
	buf_free(&b);
}

static void latency_bounds(void **state)
{
	struct metrics_histogram h;
	uint64_t n = 0;

	(void)state;
	metrics_latency_init(&h);
	for (unsigned i = 1; i < h.buckets; i++)
		assert_true(h.le[i] > h.le[i - 1]);
	for (double v = 0.00001; v < 100; v *= 1.1)
		metrics_observe(&h, v);
	for (unsigned i = 0; i < h.buckets; i++) {
		assert_true(h.n[i] > 0);
		n += h.n[i];
	}
	assert_true(n < h.count);
}

static void failure_sticks(void **state)
{
	struct metrics_histogram h = {.le = {1}, .buckets = 1};
	struct metrics_writer w;
	struct buf b = {.max = 100};

	(void)state;
	metrics_begin(&w, &b);
	metrics_put_histogram(&w, METRIC_LATENCY, &h, "/x");
	assert_int_equal(metrics_end(&w), TR_ETOOBIG);
	buf_free(&b);
}

/* Prometheus' own judge, where it is installed. */
static void promtool(void **state)
{
	struct metrics_histogram h;
	struct metrics_writer w;
	struct buf b = {0};
	FILE *f;

	(void)state;
	if (system("command -v promtool >/dev/null 2>&1") != 0)
		skip();
	metrics_latency_init(&h);
	metrics_observe(&h, 0.002);
	metrics_begin(&w, &b);
	for (unsigned i = 0; i < METRIC_N; i++) {
		if (metrics[i].type == METRIC_HISTOGRAM)
			metrics_put_histogram(&w, (enum metric_id)i, &h, "x\\\"\n", "y", "z", "v");
		else
			metrics_put(&w, (enum metric_id)i, 1.5, "x\\\"\n", "y", "z", "v");
	}
	assert_int_equal(metrics_end(&w), 0);
	f = popen("promtool check metrics", "w");
	assert_non_null(f);
	assert_int_equal(fwrite(b.p, 1, b.len, f), b.len);
	assert_int_equal(pclose(f), 0);
	buf_free(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(table_is_well_formed),
		cmocka_unit_test(text_format),
		cmocka_unit_test(whole_numbers),
		cmocka_unit_test(histogram_text),
		cmocka_unit_test(latency_bounds),
		cmocka_unit_test(failure_sticks),
		cmocka_unit_test(promtool),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
