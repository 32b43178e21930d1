/* jrs/meta/analysis: what is odd in a sample, and what is news. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
/* after the standard headers, as cmocka wants it */
#include <cmocka.h>

#include "common/base/text.h"
#include "jrs/meta/analysis/anomalies.h"
#include "jrs/meta/analysis/beat.h"
#include "jrs/meta/analysis/robust.h"

#define NOW 1764000000000LL
#define N   200

/* An archive in good order, which each test spoils in one way. */
struct archive {
	struct item_sample memories[N];
	struct item_recall_sample recalls[N];
	char ids[N][16];
	struct res_memory_samples samples;
	struct res_memory_thermal thermal;
};

static void good(struct archive *a)
{
	memset(a, 0, sizeof *a);
	for (unsigned i = 0; i < N; i++) {
		(void)snprintf(a->ids[i], sizeof a->ids[i], "m%u", i);
		a->memories[i] = (struct item_sample){.id = wire_s(a->ids[i]),
						      .temperature = 20 + (double)(i % 60),
						      .access_count = 1 + i % 9,
						      .raw_temperature = 20 + (double)(i % 60),
						      .importance = .5,
						      .sacred = i % 20 == 0,
						      .idle_days = 10};
		a->recalls[i] = (struct item_recall_sample){
			.at = NOW - 1000 * (int64_t)i, .latency_us = 900 + i % 100, .sources = 5};
	}
	a->samples.memories = (struct list_sample){a->memories, N};
	a->samples.recalls = (struct list_recall_sample){a->recalls, N};
	a->samples.total_memories = N;
	a->thermal = (struct res_memory_thermal){.total_memories = N,
						 .has_average_temperature = true,
						 .average_temperature = 49,
						 .has_thermal_entropy = true,
						 .thermal_entropy = .6};
	a->thermal.stages.warm = N;
}

/* Runs the analysis; exactly the kinds in `want` (a mask) are there, and every finding keeps its bounds. */
static struct findings expect(const struct archive *a, const struct findings *before, int64_t now, unsigned want)
{
	struct findings f;
	unsigned got = 0;

	anomalies_find(&f, &a->samples, &a->thermal, before, now);
	for (unsigned i = 0; i < ANOMALY_NKINDS; i++) {
		const struct finding *v = &f.v[i];

		if (!v->present)
			continue;
		got |= 1u << i;
		assert_true(v->severity >= 0 && v->severity <= 1);
		assert_true(v->count > 0);
		assert_true(v->nevidence <= ANOMALY_EVIDENCE_MAX);
		assert_in_range(strlen(v->summary), 10, 300);
		assert_null(strchr(v->summary, '\n'));
		assert_true(tr_utf8_ok(v->summary, strlen(v->summary), NULL));
		assert_true(v->sample > 0 && v->unit != NULL); /* what a reader needs to do it again */
		assert_true(v->value != v->threshold || i == ANOMALY_hot_without_use);
	}
	assert_int_equal(got, want);
	return f;
}

#define BIT(kind) (1u << ANOMALY_##kind)

static void good_order_and_nothing_are_no_findings(void **state)
{
	static struct archive a;

	(void)state;
	good(&a);
	expect(&a, NULL, NOW, 0);
	memset(&a, 0, sizeof a); /* an empty archive */
	expect(&a, NULL, NOW, 0);
}

static void heat_without_use(void **state)
{
	static struct archive a;
	struct findings f;

	(void)state;
	good(&a);
	for (unsigned i = 0; i < 20; i++) {
		a.memories[i].temperature = 90 + i * .5;
		a.memories[i].access_count = i == 19 ? 2 : 1; /* twice used is another matter */
	}
	f = expect(&a, NULL, NOW, BIT(hot_without_use));
	assert_int_equal(f.v[ANOMALY_hot_without_use].count, 19);
	assert_int_equal(f.v[ANOMALY_hot_without_use].nevidence, 16);
	assert_string_equal(f.v[ANOMALY_hot_without_use].evidence[0], "m18"); /* the hottest first */
	assert_string_equal(f.v[ANOMALY_hot_without_use].evidence[15], "m3");
	assert_non_null(strstr(f.v[ANOMALY_hot_without_use].summary, "19 of 200"));
	a.memories[0].temperature = 89.9;
	f = expect(&a, NULL, NOW, BIT(hot_without_use));
	assert_int_equal(f.v[ANOMALY_hot_without_use].count, 18);
}

static void sacred_ones_running_low(void **state)
{
	static struct archive a;
	struct findings f;

	(void)state;
	good(&a);
	a.memories[1].raw_temperature = -50; /* not sacred */
	expect(&a, NULL, NOW, 0);
	a.memories[0].raw_temperature = 10.1;
	expect(&a, NULL, NOW, 0);
	a.memories[0].raw_temperature = 9;
	a.memories[20].raw_temperature = -12;
	f = expect(&a, NULL, NOW, BIT(sacred_cold));
	assert_int_equal(f.v[ANOMALY_sacred_cold].count, 2);
	assert_string_equal(f.v[ANOMALY_sacred_cold].evidence[0], "m20");
	assert_non_null(strstr(f.v[ANOMALY_sacred_cold].summary, "2 of 10 sacred"));
}

static void everything_hot(void **state)
{
	static struct archive a;
	struct findings f;

	(void)state;
	good(&a);
	a.thermal.stages.warm = 39;
	a.thermal.stages.red_hot = 100;
	a.thermal.stages.white_hot = 61;
	f = expect(&a, NULL, NOW, BIT(overheated));
	assert_int_equal(f.v[ANOMALY_overheated].count, 161);
	a.thermal.stages.warm = 40;
	a.thermal.stages.white_hot = 60; /* four fifths are still right */
	expect(&a, NULL, NOW, 0);
	a.thermal.average_temperature = 86;
	expect(&a, NULL, NOW, BIT(overheated));
	a.thermal.total_memories = 19; /* a handful may all be hot */
	expect(&a, NULL, NOW, 0);
}

static void entropy_low_or_fallen(void **state)
{
	static struct archive a;
	struct findings before;

	(void)state;
	good(&a);
	before = expect(&a, NULL, NOW, 0);
	a.thermal.thermal_entropy = .1;
	expect(&a, NULL, NOW, BIT(entropy_collapse));
	for (unsigned i = 0; i < N; i++)
		a.memories[i].idle_days = 1;
	expect(&a, NULL, NOW, 0); /* a young archive is all warm by nature */
	a.thermal.thermal_entropy = .29;
	expect(&a, &before, NOW, BIT(entropy_collapse)); /* it was .6 */
	a.thermal.total_memories = 3 * N;
	expect(&a, &before, NOW, 0); /* so much was imported that the old figure says nothing */
	a.thermal.total_memories = 99;
	a.thermal.thermal_entropy = 0;
	expect(&a, &before, NOW, 0);
	a.thermal.total_memories = N;
	a.thermal.has_thermal_entropy = false; /* unknown is not low */
	expect(&a, &before, NOW, 0);
}

static void a_few_recalls_far_too_slow(void **state)
{
	static struct archive a;
	struct findings f;

	(void)state;
	good(&a);
	a.recalls[7].latency_us = a.recalls[90].latency_us = a.recalls[91].latency_us = 80000;
	f = expect(&a, NULL, NOW, BIT(slow_recalls));
	assert_int_equal(f.v[ANOMALY_slow_recalls].count, 3);
	a.samples.recalls.n = 29; /* too few to say */
	expect(&a, NULL, NOW, 0);
	good(&a);
	for (unsigned i = 0; i < N; i++)
		a.recalls[i].latency_us = 100; /* a MAD of 0, and twice as slow is no matter */
	a.recalls[0].latency_us = a.recalls[1].latency_us = a.recalls[2].latency_us = 200;
	expect(&a, NULL, NOW, 0);
	for (unsigned i = 0; i < N; i++)
		a.recalls[i].latency_us = 40000 + 200 * i; /* slow, but evenly */
	expect(&a, NULL, NOW, 0);
	for (unsigned i = 0; i < N; i++)
		a.recalls[i].latency_us = i < 3 ? UINT32_MAX : 0;
	expect(&a, NULL, NOW, BIT(slow_recalls));
}

static void recalls_that_stopped(void **state)
{
	static struct archive a;
	struct findings f;

	(void)state;
	good(&a); /* one a second */
	expect(&a, NULL, NOW + 899000, 0);
	f = expect(&a, NULL, NOW + 3600000, BIT(sudden_idle));
	assert_non_null(strstr(f.v[ANOMALY_sudden_idle].summary, "60 minutes"));
	for (unsigned i = 0; i < N; i++)
		a.recalls[i].at = NOW - 600000 * (int64_t)i; /* one in ten minutes: an hour is no long silence */
	expect(&a, NULL, NOW + 3600000, 0);
	for (unsigned i = 0; i < N; i++)
		a.recalls[i].at = NOW + 1000; /* a clock that was set back */
	expect(&a, NULL, NOW, 0);
}

static void strange_figures_do_no_harm(void **state)
{
	static struct archive a;
	struct findings f;

	(void)state;
	good(&a);
	for (unsigned i = 0; i < N; i++) {
		a.memories[i].raw_temperature = i % 2 ? -1e308 : 1e308;
		a.memories[i].idle_days = i % 2 ? -1e308 : 1e308;
		a.memories[i].sacred = true;
		a.memories[i].access_count = 0;
		a.memories[i].temperature = 100;
		a.recalls[i].at = i % 2 ? INT64_MIN : INT64_MAX;
	}
	a.thermal.thermal_entropy = 0;
	a.thermal.total_memories = UINT64_MAX;
	anomalies_find(&f, &a.samples, &a.thermal, NULL, NOW);
	assert_true(f.v[ANOMALY_hot_without_use].present && f.v[ANOMALY_sacred_cold].present);
	for (unsigned i = 0; i < ANOMALY_NKINDS; i++)
		assert_true(f.v[i].severity >= 0 && f.v[i].severity <= 1);
}

static void the_newest_recalls_slower(void **state)
{
	static struct archive a;
	struct findings f;

	(void)state;
	good(&a); /* recall 0 is the newest */
	for (unsigned i = 0; i < 50; i++)
		a.recalls[i].latency_us = 2500;
	f = expect(&a, NULL, NOW, BIT(slower_recalls));
	assert_int_equal(f.v[ANOMALY_slower_recalls].count, 50);
	assert_true(f.v[ANOMALY_slower_recalls].value == 2.5);
	assert_true(f.v[ANOMALY_slower_recalls].has_middle);
	/* 150 figures of 900 + 50 .. 99, 0 .. 99: recomputed by hand from what the finding says */
	assert_true(f.v[ANOMALY_slower_recalls].threshold == f.v[ANOMALY_slower_recalls].median + 1);
	for (unsigned i = 0; i < 50; i++)
		a.recalls[i].latency_us = 1900; /* under a millisecond more: nobody feels it */
	expect(&a, NULL, NOW, 0);
	for (unsigned i = 0; i < N; i++)
		a.recalls[i].latency_us = i < 50 ? 900 : 5000; /* faster is no anomaly */
	expect(&a, NULL, NOW, 0);
}

static void used_or_long_beyond_all_others(void **state)
{
	static struct archive a;
	struct findings f;

	(void)state;
	good(&a);
	for (unsigned i = 0; i < N; i++)
		a.memories[i].content_bytes = 200 + i % 100;
	a.memories[5].access_count = 5000;
	a.memories[7].content_bytes = 60000;
	f = expect(&a, NULL, NOW, BIT(outlying_use) | BIT(outlying_size));
	assert_string_equal(f.v[ANOMALY_outlying_use].evidence[0], "m5");
	assert_string_equal(f.v[ANOMALY_outlying_size].evidence[0], "m7");
	assert_int_equal(f.v[ANOMALY_outlying_size].count, 1);
	assert_int_equal(f.v[ANOMALY_outlying_size].sample, N);
	for (unsigned i = 0; i < N; i++)
		a.memories[i].access_count = 1;
	a.memories[5].access_count = 8; /* a MAD of 0, and eight uses are no wonder */
	a.memories[7].content_bytes = 1500;
	expect(&a, NULL, NOW, 0);
	a.samples.memories.n = 49;
	a.memories[5].access_count = 5000;
	expect(&a, NULL, NOW, 0);
}

static void medians_and_deviations(void **state)
{
	double odd[] = {9, 1, 3, 2, 100}, even[] = {4, 1, 2, 3}, one[] = {7}, equal[] = {5, 5, 5, 9};
	struct robust r = robust_of(odd, 5);

	(void)state;
	assert_true(r.n == 5 && r.median == 3 && r.mad == 2);
	assert_true(odd[0] == 1 && odd[4] == 100);
	assert_true(robust_quantile(odd, 5, .99) == 100 && robust_quantile(odd, 5, .5) == 3);
	assert_true(robust_quantile(odd, 5, 0) == 1 && robust_quantile(odd, 5, .2) == 1);
	r = robust_of(even, 4);
	assert_true(r.median == 2.5 && r.mad == 1);
	r = robust_of(one, 1);
	assert_true(r.median == 7 && r.mad == 0);
	r = robust_of(equal, 4);
	assert_true(r.median == 5 && r.mad == 0 && robust_sigma(&r, .25) == .25);
	r = robust_of(equal, 0);
	assert_true(r.n == 0 && r.median == 0);
	for (unsigned n = 1; n < 40; n++) { /* against the definition */
		double v[40], d[40];

		for (unsigned i = 0; i < n; i++)
			v[i] = (double)((i * 7919 + n * 31) % 97);
		r = robust_of(v, n);
		for (unsigned i = 0; i < n; i++)
			d[i] = v[i] > r.median ? v[i] - r.median : r.median - v[i];
		assert_true(robust_of(d, n).median == r.mad);
	}
}

static void beats_keep_their_places(void **state)
{
	struct beat b = {.start_ms = 1000, .period_ms = 100};

	(void)state;
	assert_false(beat_take(&b, 999)); /* early */
	assert_true(beat_take(&b, 1007));
	assert_true(beat_take(&b, 1050)); /* a second try for the same beat */
	beat_done(&b, 1060);
	assert_false(beat_take(&b, 1061));
	assert_int_equal(beat_due_ms(&b), 1100); /* not 1107, nor 1160 */
	assert_true(beat_take(&b, 1100));
	beat_done(&b, 1350); /* 1200 and 1300 came meanwhile */
	assert_int_equal(b.missed, 2);
	assert_int_equal(beat_due_ms(&b), 1400);
	assert_true(beat_take(&b, 1400)); /* never answered: */
	assert_true(beat_take(&b, 1500)); /* 1400 is missed */
	assert_int_equal(b.missed, 3);
	beat_done(&b, 1500);
	assert_true(beat_take(&b, 1999)); /* the timer came late: 1600 .. 1800 are missed, 1900 is this one */
	assert_int_equal(b.missed, 6);
	beat_done(&b, 1999);
	assert_int_equal(beat_due_ms(&b), 2000);
}

static void news_is_told_once(void **state)
{
	static struct archive a;
	struct told told[ANOMALY_NKINDS] = {0};
	struct findings now;

	(void)state;
	good(&a);
	now = expect(&a, NULL, NOW, 0);
	assert_int_equal(anomalies_news(told, &now), 0);
	for (unsigned i = 0; i < 10; i++) {
		a.memories[i].temperature = 95;
		a.memories[i].access_count = 1;
	}
	now = expect(&a, NULL, NOW, BIT(hot_without_use));
	assert_int_equal(anomalies_news(told, &now), BIT(hot_without_use));
	assert_int_equal(anomalies_news(told, &now), 0);
	for (unsigned i = 10; i < 12; i++) {
		a.memories[i].temperature = 99;
		a.memories[i].access_count = 1;
	}
	now = expect(&a, NULL, NOW, BIT(hot_without_use)); /* two more of ten: not told, and kept as it was told */
	assert_int_equal(anomalies_news(told, &now), 0);
	assert_int_equal(told[ANOMALY_hot_without_use].count, 10);
	assert_int_equal(now.v[ANOMALY_hot_without_use].count, 12); /* what is answered is the newest all the same */
	for (unsigned i = 12; i < 60; i++) {
		a.memories[i].temperature = 99;
		a.memories[i].access_count = 1;
	}
	now = expect(&a, NULL, NOW, BIT(hot_without_use));
	assert_int_equal(anomalies_news(told, &now), BIT(hot_without_use));
	assert_int_equal(told[ANOMALY_hot_without_use].count, 60);
	good(&a);
	now = expect(&a, NULL, NOW, 0);
	assert_int_equal(anomalies_news(told, &now), BIT(hot_without_use)); /* gone is news too */
	assert_false(told[ANOMALY_hot_without_use].present);
	assert_int_equal(anomalies_news(told, &now), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good_order_and_nothing_are_no_findings),
		cmocka_unit_test(heat_without_use),
		cmocka_unit_test(sacred_ones_running_low),
		cmocka_unit_test(everything_hot),
		cmocka_unit_test(entropy_low_or_fallen),
		cmocka_unit_test(a_few_recalls_far_too_slow),
		cmocka_unit_test(recalls_that_stopped),
		cmocka_unit_test(strange_figures_do_no_harm),
		cmocka_unit_test(the_newest_recalls_slower),
		cmocka_unit_test(used_or_long_beyond_all_others),
		cmocka_unit_test(medians_and_deviations),
		cmocka_unit_test(beats_keep_their_places),
		cmocka_unit_test(news_is_told_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
