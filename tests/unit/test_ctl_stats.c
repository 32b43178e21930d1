/* Percentiles and the seeded order of a drill. */
#include "supervisor/ctl/drill/stats.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void near(double a, double b)
{
	assert_true(a > b - 1e-9 && a < b + 1e-9);
}

static void quantiles_are_nearest_rank(void **state)
{
	double one[] = {7}, v[100], w[] = {3, 1, 2}, twenty[20];

	(void)state;
	near(stats_quantile(one, 1, 0), 7);
	near(stats_quantile(one, 1, 0.5), 7);
	near(stats_quantile(one, 1, 1), 7);
	for (int i = 0; i < 100; i++)
		v[i] = 100 - i;
	stats_sort(v, 100);
	near(stats_quantile(v, 100, 0.50), 50);
	near(stats_quantile(v, 100, 0.95), 95);
	near(stats_quantile(v, 100, 0.99), 99);
	near(stats_quantile(v, 100, 1), 100);
	near(stats_quantile(v, 100, 0), 1);
	stats_sort(w, 3);
	near(stats_quantile(w, 3, 0.5), 2);
	near(stats_quantile(w, 3, 0.95), 3);
	for (int i = 0; i < 20; i++)
		twenty[i] = i + 1;
	near(stats_quantile(twenty, 20, 0.95), 19);
	near(stats_quantile(v, 100, 0.55), 55); /* 0.55 * 100 is a little over 55 in binary */
	stats_sort(one, 0);
}

static void a_shuffle_keeps_all_and_follows_its_seed(void **state)
{
	unsigned char a[40], b[40], c[40];
	unsigned count[4] = {0};

	(void)state;
	for (unsigned i = 0; i < 40; i++)
		a[i] = b[i] = c[i] = (unsigned char)(i / 10);
	stats_shuffle(a, 40, 1);
	stats_shuffle(b, 40, 1);
	stats_shuffle(c, 40, 2);
	assert_memory_equal(a, b, 40);
	assert_memory_not_equal(a, c, 40);
	for (unsigned i = 0; i < 40; i++)
		count[a[i]]++;
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(count[i], 10);
	stats_shuffle(a, 0, 1);
	stats_shuffle(a, 1, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(quantiles_are_nearest_rank),
		cmocka_unit_test(a_shuffle_keeps_all_and_follows_its_seed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
