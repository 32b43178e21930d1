/* jrs/memory/thermal: the model and its running histograms. Property tests are seeded: a failure prints its round. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "jrs/memory/thermal/hist.h"
#include "jrs/memory/thermal/touch.h"
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROUNDS 20000
#define WEEK   604800000.0
#define NOW    1764000000000.0

static uint64_t state;

static uint64_t rnd(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state;
}

static double unit(void)
{
	return (double)(rnd() >> 11) / 9007199254740992.0;
}

/* Any finite double, all exponents alike. */
static double any_double(void)
{
	double d;
	uint64_t bits;

	do {
		bits = rnd();
		memcpy(&d, &bits, sizeof(d));
	} while (!isfinite(d));
	return d;
}

static struct thermal_model model(void)
{
	struct thermal_model m;

	thermal_first(&m);
	assert_true(thermal_ok(&m));
	return m;
}

static double accessed(const struct thermal_model *m, double born, int times, double at)
{
	double heat = thermal_born(m, born);

	while (times-- > 0)
		heat = thermal_access(m, heat, at);
	return heat;
}

static void close_to(double got, double want, double by)
{
	if (!(fabs(got - want) <= by))
		fail_msg("%.12g is not %.12g", got, want);
}

/* The worked examples of docs/THERMAL_ENTROPY_MODEL.md; the table there is this one. */
static void worked_examples(void **s)
{
	static const struct {
		const char *what;
		int more; /* accesses after the first, all at the same moment */
		double idle_weeks;
		bool sacred;
		double temperature;
		const char *stage;
	} all[] = {
		{"just remembered", 0, 0, false, 40.0, "warm"},
		{"a week later, less an hour", 0, 167.0 / 168, false, 30.0595, "warm"},
		{"a day more", 0, 8.0 / 7, false, 28.5714, "cool"},
		{"two weeks later", 0, 2, false, 20.0, "cool"},
		{"three weeks later", 0, 3, false, 10.0, "cold"},
		{"five weeks later", 0, 5, false, 0.0, "ember"},
		{"used twice", 1, 0, false, 50.0, "warm"},
		{"used nine times", 8, 0, false, 71.6993, "red_hot"},
		{"used 33 times", 32, 0, false, 90.4439, "white_hot"},
		{"used 64 times", 63, 0, false, 100.0, "white_hot"},
		{"used 1000 times", 999, 0, false, 100.0, "white_hot"},
		{"used 1000 times, a month idle", 999, 30.0 / 7, false, 96.8007, "white_hot"},
		{"sacred, just remembered", 0, 0, true, 40.0, "warm"},
		{"sacred, a year idle", 0, 52, true, 40.0, "warm"},
		{"sacred, used 32 times, a year idle", 31, 52, true, 40.0, "warm"},
	};
	struct thermal_model m = model();
	size_t i;

	(void)s;
	for (i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		double heat = accessed(&m, NOW, all[i].more, NOW), then = NOW + all[i].idle_weeks * WEEK;
		double t = thermal_at(&m, heat, all[i].sacred, then);

		print_message("  %-36s raw %8.2f  temperature %6.2f  %s\n", all[i].what, thermal_raw(&m, heat, then), t,
			      thermal_stage_name(thermal_stage_of(&m, t)));
		close_to(t, all[i].temperature, 1e-4);
		assert_string_equal(thermal_stage_name(thermal_stage_of(&m, t)), all[i].stage);
	}
	/* The seed's formula with its own words: decay_factor 2^(idle/h), access_count decayed at the last access. */
	close_to(thermal_raw(&m, accessed(&m, NOW, 7, NOW), NOW + 2 * WEEK), 40 + 10 * log2(8.0 / 4.0), 1e-6);
}

static void order_does_not_matter(void **s)
{
	struct thermal_model m = model();
	int round, i, n;

	(void)s;
	for (round = 0; round < ROUNDS; round++) {
		double t[12], a, b, sum = 0.0, newest = 0.0;

		n = 2 + (int)(rnd() % 10);
		for (i = 0; i < n; i++) {
			t[i] = NOW + (unit() - 0.5) * 200 * WEEK;
			newest = fmax(newest, t[i]);
		}
		a = thermal_born(&m, t[0]);
		for (i = 1; i < n; i++)
			a = thermal_access(&m, a, t[i]);
		for (i = n - 1; i > 0; i--) { /* the same in another order */
			int j = (int)(rnd() % (unsigned)(i + 1));
			double x = t[i];

			t[i] = t[j];
			t[j] = x;
		}
		b = thermal_born(&m, t[0]);
		for (i = 1; i < n; i++)
			b = thermal_access(&m, b, t[i]);
		close_to(b, a, 1e-9);
		for (i = 0; i < n; i++) /* and it is what it is defined to be */
			sum += exp2((t[i] - newest) / WEEK);
		close_to(thermal_raw(&m, a, newest), 40 + 10 * log2(sum), 1e-7);
	}
}

static void access_never_cools_time_never_heats(void **s)
{
	struct thermal_model m = model();
	int round;

	(void)s;
	for (round = 0; round < ROUNDS; round++) {
		bool wild = round % 2 == 0, sacred = round % 3 == 0;
		double heat = wild ? any_double() : thermal_born(&m, NOW + (unit() - 0.5) * 100 * WEEK);
		double t = wild ? any_double() : NOW + (unit() - 0.5) * 100 * WEEK;
		double after = thermal_access(&m, heat, t), later = wild ? any_double() : t + unit() * 60 * WEEK, x;

		if (after < thermal_born(&m, t) || after > fmax(heat, thermal_born(&m, t)) + 1.0) /* doubles at most */
			fail_msg("%a at %a gives %a", heat, t, after);
		if (later < t) {
			x = t;
			t = later;
			later = x;
		}
		assert_true(after >= heat);
		assert_true(thermal_at(&m, after, sacred, t) >= thermal_at(&m, heat, sacred, t));
		assert_true(thermal_raw(&m, heat, later) <= thermal_raw(&m, heat, t));
		assert_true(thermal_at(&m, heat, sacred, later) <= thermal_at(&m, heat, sacred, t));
	}
}

static void heat_key_is_the_order_for_ever(void **s)
{
	struct thermal_model m = model();
	int round, i;

	(void)s;
	for (round = 0; round < ROUNDS; round++) {
		double a = any_double(), b = any_double();

		if (round % 2 == 0) {
			a = thermal_born(&m, NOW) + unit() * 8;
			b = thermal_born(&m, NOW) + unit() * 8;
		}
		for (i = 0; i < 4; i++) {
			double t = i == 0 ? any_double() : NOW + (unit() - 0.5) * 400 * WEEK;
			double ra = thermal_raw(&m, a, t), rb = thermal_raw(&m, b, t);

			assert_true(a < b ? ra <= rb : a > b ? ra >= rb : ra == rb);
		}
		/* and where numbers have room, strictly so */
		if (round % 2 == 0 && fabs(a - b) > 1e-9)
			assert_true((a < b) == (thermal_raw(&m, a, NOW) < thermal_raw(&m, b, NOW)));
	}
}

static void always_finite_and_within_bounds(void **s)
{
	static const double edges[] = {0.0,         -0.0,   DBL_MAX, -DBL_MAX, DBL_MIN,  -DBL_MIN,
				       DBL_EPSILON, 1e-320, -1e-320, NAN,      INFINITY, -INFINITY};
	struct thermal_model m = model();
	int round, n = sizeof(edges) / sizeof(edges[0]);

	(void)s;
	for (round = 0; round < ROUNDS + n * n; round++) {
		double heat = round < n * n ? edges[round / n] : any_double(),
		       t = round < n * n ? edges[round % n] : any_double();
		double plain = thermal_at(&m, heat, false, t), sacred = thermal_at(&m, heat, true, t);

		assert_true(isfinite(thermal_born(&m, t)));
		assert_true(isfinite(thermal_access(&m, heat, t)));
		assert_true(isfinite(thermal_raw(&m, heat, t)));
		assert_true(plain >= 0.0 && plain <= 100.0);
		assert_true(sacred >= 40.0 && sacred <= 100.0);
		assert_true(thermal_stage_of(&m, plain) < THERMAL_NSTAGES);
	}
}

static void settings_that_make_no_sense(void **s)
{
	struct thermal_model m = model(), bad;

	(void)s;
	bad = m, bad.half_life_ms = 0.0, assert_false(thermal_ok(&bad));
	bad = m, bad.k = (double)NAN, assert_false(thermal_ok(&bad));
	bad = m, bad.sacred_floor = 101.0, assert_false(thermal_ok(&bad));
	bad = m, bad.stage_from[THERMAL_COOL] = 31.0, assert_false(thermal_ok(&bad));
	bad = m, bad.stage_from[THERMAL_EMBER] = 1.0, assert_false(thermal_ok(&bad));
}

/* The half-life changes now and then: no memory jumps, none passes another, and each cools as the hour says. */
static void a_new_half_life_moves_nobody(void **s)
{
	(void)s;
	for (int round = 0; round < 200; round++) {
		struct thermal_model m = model(), want;
		double heat[20], before[20], t = NOW;
		int i, change;

		for (i = 0; i < 20; i++)
			heat[i] =
				accessed(&m, NOW - unit() * 20 * WEEK, 1 + (int)(rnd() % 30), NOW - unit() * 3 * WEEK);
		for (change = 0; change < 8; change++) {
			t += unit() * 4 * WEEK;
			for (i = 0; i < 20; i++)
				before[i] = thermal_raw(&m, heat[i], t);
			want = m;
			want.half_life_ms = exp2(unit() * 10) * WEEK / 30;
			assert_int_equal(thermal_change(&m, &want, t), 0);
			assert_true(thermal_ok(&m) && m.half_life_ms == want.half_life_ms);
			for (i = 0; i < 20; i++) {
				double after = thermal_raw(&m, heat[i], t), later = t + m.half_life_ms;

				close_to(after, before[i], 1e-6);
				close_to(thermal_raw(&m, heat[i], later), after - m.k, 1e-6);
				if (i > 0)
					assert_true((heat[i] > heat[i - 1]) ==
						    (thermal_raw(&m, heat[i], t) > thermal_raw(&m, heat[i - 1], t)));
			}
			heat[change] = thermal_access(&m, heat[change], t);
			assert_true(thermal_raw(&m, heat[change], t) > before[change]);
		}
		for (i = 0; i < 100; i++) { /* the clock never stands still and never jumps */
			double at = NOW - 30 * WEEK + unit() * 80 * WEEK;

			assert_true(thermal_born(&m, at + 1000) > thermal_born(&m, at));
			close_to(thermal_born(&m, at + 1000), thermal_born(&m, at), 0.01);
		}
	}
}

static void often_changed(void **s)
{
	struct thermal_model m = model(), want, was;
	int n = 0;

	(void)s;
	for (want = m; n < 100; n++) {
		want.half_life_ms += 1000;
		was = m;
		if (thermal_change(&m, &want, NOW - n) < 0) /* a clock that goes backwards */
			break;
		assert_true(thermal_ok(&m));
	}
	assert_int_equal(n, THERMAL_CLOCKS_MAX - 1); /* the first one stands there too */
	assert_memory_equal(&m, &was, sizeof(m));
	want.half_life_ms = m.half_life_ms; /* the others may still be */
	want.base = 50;
	assert_int_equal(thermal_change(&m, &want, NOW), 0);
	assert_true(m.base == 50 && m.nclocks == THERMAL_CLOCKS_MAX);
}

/* What an export says is possible by the first clock, and comes back. */
static void exports_speak_one_language(void **s)
{
	struct thermal_model first = model(), m = first, want;

	(void)s;
	for (int change = 0; change < 5; change++) {
		want = m;
		want.half_life_ms = WEEK / (1 + (double)(rnd() % 20));
		assert_int_equal(thermal_change(&m, &want, NOW + change * WEEK), 0);
		for (int i = 0; i < 200; i++) {
			double last = NOW + (unit() * 10 - 3) * WEEK, out;
			int more = (int)(rnd() % 50);
			double heat = accessed(&m, last, more, last);

			out = thermal_export(&m, heat, last);
			close_to(thermal_import(&m, out, last), heat, 1e-9);
			assert_true(out >= thermal_born(&first, last) - 1e-6 &&
				    out <= thermal_born(&first, last) + log2(1 + more) + 1e-6);
			assert_true(thermal_export(&first, heat, last) == heat);
		}
	}
}

static void what_an_act_may_ask(void **s)
{
	struct thermal_model m = model(), bad;
	const char *field = NULL;

	(void)s;
	assert_null(thermal_objection(&m, &field));
	bad = m, bad.sacred_floor = 39.999, assert_non_null(thermal_objection(&bad, &field));
	assert_string_equal(field, "sacred_floor");
	bad = m, bad.k = 0, assert_non_null(thermal_objection(&bad, &field));
	bad = m, bad.k = (double)NAN, assert_non_null(thermal_objection(&bad, &field));
	bad = m, bad.half_life_ms = 59999, assert_non_null(thermal_objection(&bad, &field));
	bad = m, bad.half_life_ms = (double)INFINITY, assert_non_null(thermal_objection(&bad, &field));
	bad = m, bad.max = 101, assert_non_null(thermal_objection(&bad, &field));
	bad = m, bad.max = 45, bad.sacred_floor = 46, assert_non_null(thermal_objection(&bad, &field));
	bad = m, bad.max = 80, assert_non_null(thermal_objection(&bad, &field)); /* white_hot is 90 */
	assert_string_equal(field, "white_hot");
	bad = m, bad.stage_from[THERMAL_WARM] = 71, assert_non_null(thermal_objection(&bad, &field));
	bad = m, bad.stage_from[THERMAL_COLD] = 0, assert_non_null(thermal_objection(&bad, &field));
	bad = m, bad.base = 41, bad.sacred_floor = 50, assert_null(thermal_objection(&bad, &field));
}

static void entropy(void **s)
{
	uint64_t none[THERMAL_NSTAGES] = {0}, one[THERMAL_NSTAGES] = {0, 0, 7},
		 all[THERMAL_NSTAGES] = {3, 3, 3, 3, 3, 3};
	uint64_t two[THERMAL_NSTAGES] = {0, 5, 5};

	(void)s;
	assert_true(thermal_entropy(none) == 0.0);
	assert_true(thermal_entropy(one) == 0.0);
	close_to(thermal_entropy(all), 1.0, 1e-12);
	close_to(thermal_entropy(two), 1 / log2(6), 1e-12);
}

/* ---- histograms against a recount ---- */
#define PEOPLE 400
struct crowd {
	double heat[PEOPLE];
	bool sacred[PEOPLE];
	int n, counted;
};

static int range(void *arg, bool sacred, double lo, double hi, uint64_t *n, double *excess)
{
	struct crowd *c = arg;
	int i;

	assert_true(lo > -DBL_MAX && lo < hi);
	*n = 0;
	*excess = 0.0;
	for (i = 0; i < c->n; i++) {
		if (c->sacred[i] == sacred && c->heat[i] >= lo && c->heat[i] < hi) {
			++*n;
			*excess += c->heat[i] - lo;
			c->counted++;
		}
	}
	return 0;
}

static int coldest(void *arg, bool sacred, double lo, double hi, double *out)
{
	struct crowd *c = arg;
	int i;

	*out = (double)INFINITY;
	for (i = 0; i < c->n; i++) {
		if (c->sacred[i] == sacred && c->heat[i] >= lo && c->heat[i] < hi)
			*out = fmin(*out, c->heat[i]);
	}
	assert_true(*out < (double)INFINITY);
	return 0;
}

static void recount(const struct crowd *c, const struct thermal_model *m, double now, struct thermal_figures *f)
{
	double sum = 0.0;
	int i;

	memset(f, 0, sizeof(*f));
	f->sacred_min = (double)INFINITY;
	for (i = 0; i < c->n; i++) {
		double t = thermal_at(m, c->heat[i], c->sacred[i], now);
		int step = (int)(t / 5.0);

		f->total++;
		f->sacred += c->sacred[i];
		if (c->sacred[i])
			f->sacred_min = fmin(f->sacred_min, t);
		f->stages[thermal_stage_of(m, t)]++;
		f->steps[step > 19 ? 19 : step]++;
		sum += t;
	}
	f->mean = c->n == 0 ? 0.0 : sum / c->n;
	f->sacred_min = f->sacred == 0 ? 0.0 : f->sacred_min;
	f->entropy = thermal_entropy(f->stages);
}

static void compare(struct crowd *c, const struct thermal_hist *h, const struct thermal_model *m, double now)
{
	const struct hist_rows rows = {c, range, coldest};
	struct thermal_figures got, want;

	assert_int_equal(hist_figures(h, m, now, &rows, &got), 0);
	recount(c, m, now, &want);
	assert_int_equal(got.total, want.total);
	assert_int_equal(got.sacred, want.sacred);
	assert_memory_equal(got.stages, want.stages, sizeof(got.stages));
	assert_memory_equal(got.steps, want.steps, sizeof(got.steps));
	close_to(got.mean, want.mean, 1e-8);
	close_to(got.sacred_min, want.sacred_min, 1e-9);
	close_to(got.entropy, want.entropy, 1e-12);
}

static void one_step(struct crowd *c, struct thermal_hist *h, const struct thermal_model *m, double now)
{
	int i = c->n == 0 ? 0 : (int)(rnd() % (unsigned)c->n);
	double heat = unit() < 0.1 ? any_double() : thermal_born(m, now - unit() * 20 * WEEK);

	switch (c->n == 0 ? 0 : rnd() % 6) {
	case 0: /* a new one, of any age */
		if (c->n == PEOPLE)
			return;
		c->heat[c->n] = heat;
		c->sacred[c->n] = unit() < 0.3;
		hist_add(h, heat, c->sacred[c->n]);
		c->n++;
		return;
	case 1: /* sacred or not any more */
		hist_remove(h, c->heat[i], c->sacred[i]);
		c->sacred[i] = !c->sacred[i];
		hist_add(h, c->heat[i], c->sacred[i]);
		return;
	case 2: /* gone */
		hist_remove(h, c->heat[i], c->sacred[i]);
		c->n--;
		c->heat[i] = c->heat[c->n];
		c->sacred[i] = c->sacred[c->n];
		return;
	default: /* an access */
		hist_remove(h, c->heat[i], c->sacred[i]);
		c->heat[i] = thermal_access(m, c->heat[i], now);
		hist_add(h, c->heat[i], c->sacred[i]);
	}
}

static void running_figures_agree_with_a_recount(void **s)
{
	struct thermal_model m = model();
	struct thermal_hist *h = calloc(1, sizeof(*h));
	int life, step;

	(void)s;
	assert_non_null(h);
	for (life = 0; life < 12; life++) {
		struct crowd c = {.n = 0};
		double now = NOW;

		hist_init(h, &m, now);
		compare(&c, h, &m, now);
		for (step = 0; step < 1500; step++) {
			one_step(&c, h, &m, now);
			now += unit() * (life < 6 ? 0.01 : 0.6) * WEEK; /* up to 17 years: the bins slide */
			hist_slide(h, &m, now);
			if (step % 25 == 0) {
				compare(&c, h, &m, now);
				compare(&c, h, &m, now - 30 * WEEK); /* the clock went back */
				compare(&c, h, &m, any_double());
			}
		}
	}
	free(h);
}

static void few_are_counted(void **s)
{
	struct thermal_model m = model();
	struct thermal_hist *h = calloc(1, sizeof(*h));
	struct crowd c = {.n = 0};

	(void)s;
	assert_non_null(h);
	hist_init(h, &m, NOW);
	for (c.n = 0; c.n < PEOPLE; c.n++) {
		c.heat[c.n] = thermal_born(&m, NOW - unit() * 4 * WEEK);
		hist_add(h, c.heat[c.n], false);
	}
	compare(&c, h, &m, NOW);
	assert_true(c.counted < PEOPLE / 5);
	/* All new ones lie in the bin that 40 degrees cut: only those above are counted, here one that was used again.
	 */
	hist_init(h, &m, NOW);
	for (c.n = c.counted = 0; c.n < PEOPLE; c.n++) {
		c.heat[c.n] = thermal_born(&m, NOW - 60000 - c.n);
		if (c.n == 7)
			c.heat[c.n] = thermal_access(&m, c.heat[c.n], NOW);
		hist_add(h, c.heat[c.n], false);
	}
	compare(&c, h, &m, NOW);
	assert_true(c.counted <= 1);
	free(h);
}

static void touched_once_an_hour(void **s)
{
	struct touch_table *t = NULL;
	int i, twice = 0;

	(void)s;
	assert_int_equal(touch_new(&t, 1024), 0);
	assert_true(touch_first(t, 1, "amy", 3, 1000));
	assert_false(touch_first(t, 1, "amy", 3, 1000));
	assert_true(touch_first(t, 1, "bob", 3, 1000));
	assert_true(touch_first(t, 1, NULL, 0, 1000));
	assert_true(touch_first(t, 2, "amy", 3, 1000));
	assert_false(touch_first(t, 1, "amy", 3, 1000 + TOUCH_EVERY_MS - 1));
	assert_true(touch_first(t, 1, "amy", 3, 1000 + TOUCH_EVERY_MS));
	for (i = 0; i < 100000; i++) /* bounded: it forgets, and goes on */
		touch_first(t, i, "x", 1, 5000000 + (uint64_t)i);
	for (i = 99900; i < 100000; i++)
		twice += touch_first(t, i, "x", 1, 5200000);
	assert_true(twice < 20);
	touch_free(&t);
	touch_free(&t);
}

static int seed(void **s)
{
	(void)s;
	state = 0x9e3779b97f4a7c15u;
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(worked_examples, seed),
		cmocka_unit_test_setup(order_does_not_matter, seed),
		cmocka_unit_test_setup(access_never_cools_time_never_heats, seed),
		cmocka_unit_test_setup(heat_key_is_the_order_for_ever, seed),
		cmocka_unit_test_setup(always_finite_and_within_bounds, seed),
		cmocka_unit_test_setup(settings_that_make_no_sense, seed),
		cmocka_unit_test_setup(a_new_half_life_moves_nobody, seed),
		cmocka_unit_test_setup(often_changed, seed),
		cmocka_unit_test_setup(exports_speak_one_language, seed),
		cmocka_unit_test_setup(what_an_act_may_ask, seed),
		cmocka_unit_test_setup(entropy, seed),
		cmocka_unit_test_setup(running_figures_agree_with_a_recount, seed),
		cmocka_unit_test_setup(few_are_counted, seed),
		cmocka_unit_test_setup(touched_once_an_hour, seed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
