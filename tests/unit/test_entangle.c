/* jrs/memory/thermal/entangle: company, phase coherence, partners. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "jrs/memory/thermal/entangle.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

static void recall(struct entangle *e, unsigned n, const int64_t *ids)
{
	struct entangle_seen seen[64];
	unsigned i;

	for (i = 0; i < n; i++)
		seen[i] = (struct entangle_seen){ids[i], 0.0, 0};
	assert_int_equal(entangle_recall(e, seen, n), 0);
}
#define RECALL(e, ...) recall(e, sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t), (int64_t[]){__VA_ARGS__})

static void phase_is(const struct entangle *e, int64_t memory, double want)
{
	double got = -1.0;

	assert_true(entangle_phase(e, memory, &got));
	if (!(fabs(got - want) < 1e-12))
		fail_msg("memory %lld: %g is not %g", (long long)memory, got, want);
}

static void jaccard(void **s)
{
	const int64_t a[] = {1, 2, 3}, b[] = {3, 4};

	(void)s;
	assert_true(entangle_jaccard(a, 3, a, 3) == 1.0);
	assert_true(entangle_jaccard(a, 3, b, 2) == 0.25);
	assert_true(entangle_jaccard(a, 0, b, 0) == 0.0);
}

static void unknown_until_recalled_twice(void **s)
{
	struct entangle *e = NULL;
	double mean;

	(void)s;
	assert_int_equal(entangle_new(&e, 1000, 0, 0.0), 0);
	assert_false(entangle_mean(e, &mean));
	RECALL(e, 1, 2, 3);
	RECALL(e, 4); /* alone is no company */
	RECALL(e, 4);
	assert_false(entangle_phase(e, 1, &mean));
	assert_false(entangle_phase(e, 4, &mean));
	RECALL(e, 3, 1, 2); /* the same company, in another order */
	phase_is(e, 1, 1.0);
	RECALL(e, 1, 4); /* {2,3} -> {4}: 0, so the mean is 1/2 */
	phase_is(e, 1, 0.5);
	assert_false(entangle_phase(e, 4, &mean));
	RECALL(e, 1, 4, 2); /* {4} -> {4,2}: 1/2; mean of 1, 0, 1/2 */
	phase_is(e, 1, 0.5);
	phase_is(e, 4, 0.5);
	phase_is(e, 2, (1.0 + 1.0 / 3.0) / 2.0); /* {3,1} -> {1,4}: 1/3 */
	assert_true(entangle_mean(e, &mean));
	assert_true(fabs(mean - (0.5 + 0.5 + 2.0 / 3.0 + 1.0) / 4.0) < 1e-12);
	entangle_free(&e);
	entangle_free(&e);
}

static void what_was_known_goes_on(void **s)
{
	struct entangle *e = NULL;
	struct entangle_seen first[2] = {{1, 0.8, 3}, {2, 0.0, 0}};
	double mean;

	(void)s;
	assert_int_equal(entangle_new(&e, 1000, 2, 0.8 + 0.4), 0); /* 1 and somebody else were known before */
	assert_int_equal(entangle_recall(e, first, 2), 0);
	phase_is(e, 1, 0.8); /* the company before this life is not known: nothing to compare with */
	assert_int_equal(entangle_recall(e, first, 2), 0);
	phase_is(e, 1, 0.85); /* (3 * 0.8 + 1) / 4 */
	phase_is(e, 2, 1.0);
	assert_true(entangle_mean(e, &mean));
	assert_true(fabs(mean - (0.85 + 1.0 + 0.4) / 3) < 1e-12);
	entangle_free(&e);
}

static void changes_are_taken_once(void **s)
{
	struct entangle *e = NULL;
	struct entangle_change c;
	int taken = 0;

	(void)s;
	assert_int_equal(entangle_new(&e, 1000, 0, 0.0), 0);
	RECALL(e, 1, 2);
	RECALL(e, 1, 2, 3);
	while (entangle_take(e, &c)) {
		taken++;
		if (c.memory != 1)
			continue;
		assert_int_equal(c.npartners, 2);
		assert_int_equal(c.partner[0].memory, 2);
		assert_int_equal(c.partner[0].times, 2);
		assert_int_equal(c.partner[1].times, 1);
		assert_int_equal(c.compared, 1);
	}
	assert_int_equal(taken, 3);
	assert_false(entangle_take(e, &c));
	RECALL(e, 2, 9);
	taken = 0;
	while (entangle_take(e, &c)) {
		taken++;
		assert_int_equal(c.npartners, 1); /* only what is new since then */
	}
	assert_int_equal(taken, 2);
	entangle_free(&e);
}

static void bounded(void **s)
{
	struct entangle *e = NULL;
	struct entangle_change c;
	struct entangle_seen many[200];
	double mean;
	int64_t i, j;

	(void)s;
	assert_int_equal(entangle_new(&e, 500, 0, 0.0), 0);
	for (i = 0; i < 300; i++) {
		for (j = 0; j < 200; j++)
			many[j] = (struct entangle_seen){i * 100 + j, 0.0, 0};
		assert_int_equal(entangle_recall(e, many, 200), 0);
		assert_true(entangle_count(e) <= 500);
		if (i % 3 == 0) {
			while (entangle_take(e, &c))
				assert_true(c.npartners <= ENTANGLE_PARTNERS);
		}
	}
	assert_true(entangle_count(e) > 100);
	assert_true(entangle_mean(e, &mean) && mean >= 0.0 && mean <= 1.0);
	entangle_free(&e);
}

/* The running mean is that of a plain recomputation, over random recalls of a small crowd. */
static void running_mean_is_the_mean(void **s)
{
	struct entangle *e = NULL;
	uint64_t x = 88172645463325252u;
	int64_t ids[8], last[40][16];
	double sum[40] = {0}, mean, want = 0.0;
	unsigned times[40] = {0}, nlast[40] = {0}, known = 0, i, j, k, round;

	(void)s;
	assert_int_equal(entangle_new(&e, 100, 0, 0.0), 0);
	for (round = 0; round < 3000; round++) {
		unsigned n = 2 + (unsigned)(round % 5);

		for (i = 0; i < n;) {
			x ^= x << 13, x ^= x >> 7, x ^= x << 17;
			ids[i] = (int64_t)(x % 40);
			for (j = 0; j < i && ids[j] != ids[i]; j++)
				;
			i += j == i;
		}
		recall(e, n, ids);
		for (i = 0; i < n; i++) {
			int64_t company[16];
			size_t m = (size_t)ids[i];

			for (j = k = 0; j < n; j++) {
				if (j != i)
					company[k++] = ids[j];
			}
			if (nlast[m] > 0) {
				sum[m] += entangle_jaccard(company, k, last[m], nlast[m]);
				times[m]++;
			}
			memcpy(last[m], company, sizeof(company[0]) * k);
			nlast[m] = k;
		}
	}
	for (i = 0; i < 40; i++) {
		if (times[i] > 0) {
			known++;
			want += sum[i] / times[i];
			assert_true(entangle_phase(e, i, &mean) && fabs(mean - sum[i] / times[i]) < 1e-9);
		}
	}
	assert_true(entangle_mean(e, &mean) && fabs(mean - want / known) < 1e-9);
	entangle_free(&e);
}

/* The tribe's mean is that of the memories that are there; the others go on as before. */
static void forgotten_and_joined(void **s)
{
	struct entangle *e = NULL;
	struct entangle_change change;
	double mean;
	int i;

	(void)s;
	assert_int_equal(entangle_new(&e, 1000, 1, 0.25), 0); /* one from before, of which nothing else is known */
	RECALL(e, 1, 2, 3);
	RECALL(e, 1, 2, 3);
	assert_true(entangle_mean(e, &mean) && mean == (3.0 + 0.25) / 4);
	entangle_forget(e, &(struct entangle_seen){2, 0.0, 0}); /* what we know is fresher than the row */
	assert_true(entangle_mean(e, &mean) && mean == (2.0 + 0.25) / 3);
	entangle_forget(e, &(struct entangle_seen){77, 0.25, 5}); /* known from the row only */
	assert_true(entangle_mean(e, &mean) && mean == 1.0);
	entangle_forget(e, &(struct entangle_seen){78, 0.0, 0}); /* never known */
	entangle_join(e, &(struct entangle_seen){79, 0.5, 2});
	entangle_join(e, &(struct entangle_seen){80, 0.0, 0});
	assert_true(entangle_mean(e, &mean) && mean == 2.5 / 3);
	assert_false(entangle_phase(e, 2, &mean));
	while (entangle_take(e, &change))
		assert_int_not_equal(change.memory, 2);
	for (i = 0; i < 2000; i += 2) /* past the clearing out */
		RECALL(e, 1000 + i, 1001 + i);
	while (entangle_take(e, &change))
		;
	RECALL(e, 1, 3);
	assert_true(entangle_mean(e, &mean) && mean > 0.0 && mean <= 1.0);
	entangle_free(&e);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(jaccard),
		cmocka_unit_test(unknown_until_recalled_twice),
		cmocka_unit_test(forgotten_and_joined),
		cmocka_unit_test(what_was_known_goes_on),
		cmocka_unit_test(changes_are_taken_once),
		cmocka_unit_test(bounded),
		cmocka_unit_test(running_mean_is_the_mean),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
