/* jrs/meta/analysis: R squared and the ratio of a window to those before. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
/* after the standard headers, as cmocka wants it */
#include <cmocka.h>

#include "jrs/meta/analysis/regression.h"
#include "jrs/meta/analysis/trend.h"
#include <math.h>
#include <stdlib.h>

#define NOW 1764000000000LL

static uint32_t seed = 7;

static double chance(void) /* 0..1 */
{
	seed = seed * 1664525u + 1013904223u;
	return seed / 4294967296.0;
}

/* The other way to the same figure: coefficients by Cramer's rule on the normal equations, then 1 - SSE / SST. */
static double by_residuals(const struct regression_row *v, uint32_t n)
{
	double m[3] = {0}, s[3][3] = {{0}}, det, b0, b1, sse = 0;

	for (uint32_t i = 0; i < n; i++) {
		m[0] += v[i].x[0] / n;
		m[1] += v[i].x[1] / n;
		m[2] += v[i].y / n;
	}
	for (uint32_t i = 0; i < n; i++) {
		const double d[3] = {v[i].x[0] - m[0], v[i].x[1] - m[1], v[i].y - m[2]};

		for (int a = 0; a < 3; a++)
			for (int b = 0; b < 3; b++)
				s[a][b] += d[a] * d[b];
	}
	det = s[0][0] * s[1][1] - s[0][1] * s[0][1];
	b0 = (s[0][2] * s[1][1] - s[1][2] * s[0][1]) / det;
	b1 = (s[0][0] * s[1][2] - s[0][1] * s[0][2]) / det;
	for (uint32_t i = 0; i < n; i++) {
		double e = v[i].y - m[2] - b0 * (v[i].x[0] - m[0]) - b1 * (v[i].x[1] - m[1]);

		sse += e * e;
	}
	return 1 - sse / s[2][2];
}

static void a_line_is_explained_and_chance_is_not(void **state)
{
	struct regression_row v[500];
	double r2 = -1;

	(void)state;
	for (int i = 0; i < 500; i++) {
		v[i].x[0] = chance();
		v[i].x[1] = 1 + 9 * chance();
		v[i].y = 30 + 20 * v[i].x[0] - 2 * v[i].x[1];
	}
	assert_true(regression_r_squared(v, 500, &r2));
	assert_true(fabs(r2 - 1) < 1e-12);
	for (int i = 0; i < 500; i++)
		v[i].y += 10 * chance();
	assert_true(regression_r_squared(v, 500, &r2));
	assert_true(r2 > .7 && r2 < .99);
	assert_true(fabs(r2 - by_residuals(v, 500)) < 1e-9);
	for (int i = 0; i < 500; i++)
		v[i].y = 100 * chance();
	assert_true(regression_r_squared(v, 500, &r2));
	assert_true(r2 >= 0 && r2 < .03); /* an honest null */
	assert_true(fabs(r2 - by_residuals(v, 500)) < 1e-9);
}

static void what_cannot_be_reckoned_is_not(void **state)
{
	struct regression_row v[60];
	double r2 = -1, alone;

	(void)state;
	for (int i = 0; i < 60; i++)
		v[i] = (struct regression_row){.y = 40 + i % 7, .x = {.5, 1.25}};
	assert_false(regression_r_squared(v, 60, &r2)); /* no predictor varies */
	for (int i = 0; i < 60; i++)
		v[i].x[1] = 1.25 + i % 7 + .5 * (i % 3);
	assert_false(regression_r_squared(v, 29, &r2));
	assert_true(r2 == -1);
	assert_true(
		regression_r_squared(v, 60, &alone)); /* importance is the same everywhere: the other stands alone */
	assert_true(alone > .8 && alone < 1);
	for (int i = 0; i < 60; i++)
		v[i].x[0] = 3 * v[i].x[1] + 1; /* says the same twice */
	assert_true(regression_r_squared(v, 60, &r2));
	assert_true(fabs(r2 - alone) < 1e-9);
	for (int i = 0; i < 60; i++)
		v[i].y = 40.1;
	assert_false(regression_r_squared(v, 60, &r2)); /* nothing to explain */
}

static void memories_and_recalls_are_paired_by_their_moment(void **state)
{
	static struct regression_row v[REGRESSION_MAX];
	struct item_recall_sample r[] = {{NOW - 5, 5000, 1}, {NOW, 700, 2}, {NOW - 9, 900, 3}, {NOW - 9, 901, 3}};
	struct item_sample m[] = {
		{.temperature = 50, .importance = .25, .has_last_access = true, .last_access = NOW},
		{.temperature = 51, .has_last_access = true, .last_access = NOW - 1}, /* of no recall in the log */
		{.temperature = 52, .has_last_access = true, .last_access = NOW - 9}, /* of one of two */
		{.temperature = 53, .importance = 1, .has_last_access = true, .last_access = NOW - 5},
		{.temperature = 54},
	};
	struct res_memory_samples s = {.memories = {m, 5}, .recalls = {r, 4}};

	(void)state;
	assert_int_equal(regression_rows(v, &s), 2);
	assert_true(v[0].y == 50 && v[0].x[0] == .25 && v[0].x[1] == .7);
	assert_true(v[1].y == 53 && v[1].x[0] == 1 && v[1].x[1] == 5);
	s.recalls.n = 0;
	assert_int_equal(regression_rows(v, &s), 0);
}

static void window(struct trend *t, double value, int n)
{
	for (int i = 0; i < n; i++)
		trend_add(t, i == 0 ? value * 1000 : value); /* one wild value moves nothing */
	trend_close(t);
}

static void a_window_is_held_against_those_before(void **state)
{
	struct trend *t = calloc(1, sizeof *t);
	double ratio = -1;

	(void)state;
	assert_non_null(t);
	for (int i = 0; i < 3; i++) {
		window(t, 100, 7);
		assert_false(trend_ratio(t, &ratio)); /* no baseline yet */
	}
	window(t, 130, 7);
	assert_true(trend_ratio(t, &ratio));
	assert_true(fabs(ratio - 1.3) < 1e-12);
	window(t, 100, 4); /* too few: not known, and no part of what comes */
	assert_false(trend_ratio(t, &ratio));
	window(t, 50, 7);
	assert_true(trend_ratio(t, &ratio));
	assert_true(fabs(ratio - .5) < 1e-12);
	for (int i = 0; i < TREND_WINDOWS + 1; i++)
		window(t, 200, 5);
	assert_true(trend_ratio(t, &ratio)); /* a day later the new is the usual */
	assert_true(fabs(ratio - 1) < 1e-12);
	for (int i = 0; i < TREND_VALUES + 10; i++)
		trend_add(t, 1);
	trend_close(t);
	assert_true(trend_ratio(t, &ratio) && fabs(ratio - 1 / 200.0) < 1e-12);
	for (int i = 0; i < TREND_WINDOWS + 2; i++) {
		for (int k = 0; k < 5; k++)
			trend_add(t, 0);
		trend_close(t);
	}
	assert_false(trend_ratio(t, &ratio)); /* nothing times what? */
	free(t);
}

static void the_log_is_the_baseline_of_the_first_analysis(void **state)
{
	struct trend *t = calloc(1, sizeof *t);
	struct item_recall_sample r[36], next[6];
	struct res_memory_samples s = {.recalls = {r, 36}};
	int64_t seen = 0;
	double ratio = -1;

	(void)state;
	assert_non_null(t);
	for (int i = 0; i < 36;
	     i++) /* the newest first: six a window of a second, those of the newest take half as long again */
		r[i] = (struct item_recall_sample){NOW - 100 - i / 6 * 1000 - i % 6, i < 6 ? 300 : 200, 1};
	trend_recalls(t, &s, NOW, 1000, &seen);
	assert_int_equal(seen, NOW - 100);
	assert_true(trend_ratio(t, &ratio) && fabs(ratio - 1.5) < 1e-12);
	trend_recalls(t, &s, NOW + 1000, 1000, &seen); /* nothing new */
	assert_false(trend_ratio(t, &ratio));
	for (int i = 0; i < 6; i++)
		next[i] = (struct item_recall_sample){NOW + 1500 - i, 100, 1};
	s.recalls.v = next;
	s.recalls.n = 6;
	trend_recalls(t, &s, NOW + 2000, 1000, &seen);
	assert_true(trend_ratio(t, &ratio) && fabs(ratio - .5) < 1e-12);
	/* older than all windows, and from a clock that was ahead */
	memset(t, 0, sizeof *t);
	seen = 0;
	for (int i = 0; i < 6; i++)
		next[i].at = i < 3 ? NOW + 100000 : 1;
	trend_recalls(t, &s, NOW, 1000, &seen);
	assert_false(trend_ratio(t, &ratio));
	s.recalls.n = 0;
	trend_recalls(t, &s, NOW, 1000, &seen);
	free(t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_line_is_explained_and_chance_is_not),
		cmocka_unit_test(what_cannot_be_reckoned_is_not),
		cmocka_unit_test(memories_and_recalls_are_paired_by_their_moment),
		cmocka_unit_test(a_window_is_held_against_those_before),
		cmocka_unit_test(the_log_is_the_baseline_of_the_first_analysis),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
