/* jrs/meta's sampler against a memory-jr that the test plays. */
#include "jrs/meta/sampler.h"
#include "tests/unit/jr_world.h"

struct site {
	struct jr_world j;
	struct sampler *sampler;
	unsigned asked_thermal, asked_samples;
	bool hot, fail_samples, hold;
	struct chan_call *held;
	/* the caller's side */
	bool done;
	uint32_t n;
	uint64_t analyses, sampled, missed;
	bool has_at, has_sampled, figures;
	double value, threshold;
	char conclusion[301];
	int64_t at;
	char kind[65], evidence[WIRE_ID_MAX + 1];
};

static void on_thermal(void *arg, struct chan_call *call, const void *msg)
{
	const struct msg_memory_thermal *m = msg;
	struct res_memory_thermal res = {.total_memories = 50,
					 .has_average_temperature = true,
					 .average_temperature = 45,
					 .has_thermal_entropy = true,
					 .thermal_entropy = .5};
	struct site *s = arg;

	assert_true(m->has_hottest && m->hottest == 0); /* no memory is opened for it */
	s->asked_thermal++;
	res.timestamp = 1;
	chan_reply(call, &res);
}

static void on_samples(void *arg, struct chan_call *call, const void *msg)
{
	const struct msg_memory_samples *m = msg;
	struct item_sample v[2] = {
		{.id = wire_s("cool"), .temperature = 20, .raw_temperature = 20, .access_count = 3, .importance = .5},
		{.id = wire_s("odd"), .temperature = 95, .raw_temperature = 95, .access_count = 1, .importance = .5},
	};
	struct site *s = arg;

	assert_true(m->has_memories && m->memories == 2000 && m->has_recalls && m->recalls == 2000);
	s->asked_samples++;
	if (s->hold) {
		s->held = call;
		return;
	}
	if (s->fail_samples) {
		chan_failf(call, TR_ESTORE, "", "not now");
		return;
	}
	chan_reply(call, &(struct res_memory_samples){.memories = {v, s->hot ? 2 : 1}, .total_memories = 50});
}

static void memory_comes(struct site *s)
{
	s->j.memory = jr_world_serve(&s->j, s->j.memory_path);
	chan_server_handle(s->j.memory, MSG_memory_thermal, on_thermal, s);
	chan_server_handle(s->j.memory, MSG_memory_samples, on_samples, s);
}

static void on_anomalies(void *arg, int r, const void *res, const struct tr_fault *fault)
{
	const struct res_meta_anomalies *a = res;
	struct site *s = arg;

	(void)fault;
	assert_int_equal(r, 0);
	s->done = true;
	s->n = a->anomalies.n;
	s->analyses = a->analyses;
	s->has_at = a->has_analysed_at;
	s->at = a->analysed_at;
	s->has_sampled = a->has_sampled;
	s->sampled = a->sampled;
	assert_true(a->has_missed);
	s->missed = a->missed;
	assert_true(a->has_conclusion == (a->analyses > 0));
	if (a->has_conclusion)
		(void)snprintf(s->conclusion, sizeof s->conclusion, "%.*s", (int)a->conclusion.n, a->conclusion.p);
	if (s->n > 0) {
		const struct item_anomaly *first = &a->anomalies.v[0];

		assert_true(first->has_value && first->has_threshold && first->has_unit && first->has_sample);
		s->value = first->value;
		s->threshold = first->threshold;
		(void)snprintf(s->kind, sizeof s->kind, "%.*s", (int)a->anomalies.v[0].kind.n,
			       a->anomalies.v[0].kind.p);
		if (a->anomalies.v[0].evidence.n > 0)
			(void)snprintf(s->evidence, sizeof s->evidence, "%.*s", (int)a->anomalies.v[0].evidence.v[0].n,
				       a->anomalies.v[0].evidence.v[0].p);
	}
}

static void ask(struct site *s)
{
	struct msg_meta_anomalies m = {0};

	s->done = false;
	assert_int_equal(peer_call(s->j.caller, MSG_meta_anomalies, &m, 10000, on_anomalies, s, NULL), 0);
	SPIN(&s->j.w, s->done);
}

/* Asks until so many analyses are done. */
static void ask_until(struct site *s, uint64_t analyses)
{
	uint64_t end = tr_mono_ms() + WORLD_PATIENCE_MS;

	do
		ask(s);
	while (s->analyses < analyses && tr_mono_ms() < end);
	assert_true(s->analyses >= analyses);
}

static void before_the_first_analysis_nothing_is_known(void **state)
{
	struct site *s = *state;

	ask(s);
	assert_int_equal(s->analyses, 0);
	assert_int_equal(s->n, 0);
	assert_false(s->has_at);
	assert_false(s->has_sampled);
}

static void findings_come_and_go(void **state)
{
	struct site *s = *state;
	int64_t start = tr_wall_ms();

	memory_comes(s);
	s->hot = true;
	ask_until(s, 2);
	assert_int_equal(s->n, 1);
	assert_string_equal(s->kind, "hot_without_use");
	assert_string_equal(s->evidence, "odd");
	assert_int_equal(s->sampled, 2);
	assert_true(s->value == 95 && s->threshold == 90);
	assert_non_null(strstr(s->conclusion, "1 finding in 2 memories of 50"));
	assert_true(s->has_at && s->at >= start && s->at <= tr_wall_ms());
	s->hot = false;
	ask_until(s, s->analyses + 2);
	assert_int_equal(s->n, 0);
	assert_int_equal(s->sampled, 1);
	assert_non_null(strstr(s->conclusion, "nothing odd in 1 memories of 50")); /* said, not left to be guessed */
}

static void beats_that_pass_are_missed_not_bunched(void **state)
{
	struct site *s = *state;
	uint64_t until, asked;

	memory_comes(s);
	ask_until(s, 1);
	s->hold = true;
	SPIN(&s->j.w, s->held != NULL);
	until = tr_mono_ms() + 40; /* eight periods of one analysis; longer and it would be given up */
	SPIN(&s->j.w, tr_mono_ms() >= until);
	s->hold = false;
	ask(s);
	asked = s->asked_samples;
	chan_reply(s->held, &(struct res_memory_samples){.total_memories = 50});
	ask_until(s, s->analyses + 1);
	assert_true(s->missed >= 7);
	assert_true(s->asked_samples <= asked + 3); /* none is made up for */
}

static void a_failed_sample_keeps_what_was_found(void **state)
{
	struct site *s = *state;
	unsigned asked;
	uint64_t analyses;
	int64_t at;

	memory_comes(s);
	s->hot = true;
	ask_until(s, 1);
	s->fail_samples = true;
	asked = s->asked_samples;
	SPIN(&s->j.w, s->asked_samples >= asked + 3);
	ask(s);
	analyses = s->analyses;
	at = s->at;
	asked = s->asked_samples;
	SPIN(&s->j.w, s->asked_samples >= asked + 3);
	ask(s);
	assert_int_equal(s->analyses, analyses); /* no analysis, no new time */
	assert_int_equal(s->at, at);
	assert_int_equal(s->n, 1);
	assert_string_equal(s->kind, "hot_without_use");
	s->fail_samples = s->hot = false;
	ask_until(s, analyses + 1);
	assert_int_equal(s->n, 0);
}

static void memory_may_come_late_and_die(void **state)
{
	struct site *s = *state;

	s->hot = true;
	for (int i = 0; i < 5; i++)
		ask(s);
	assert_int_equal(s->analyses, 0);
	memory_comes(s);
	ask_until(s, 1);
	chan_server_free(&s->j.memory);
	for (int i = 0; i < 5; i++)
		ask(s);
	assert_int_equal(s->n, 1);
	memory_comes(s);
	ask_until(s, s->analyses + 1);
	assert_int_equal(s->n, 1);
}

static void leaving_while_asking(void **state)
{
	struct site *s = *state;

	memory_comes(s);
	s->hold = true;
	SPIN(&s->j.w, s->held != NULL);
	sampler_free(&s->sampler);
	chan_reply(s->held, &(struct res_memory_samples){0});
	world_settle(&s->j.w); /* its answer finds nobody */
}

static int set_up(void **state)
{
	struct site *s = calloc(1, sizeof *s);
	struct sampler_cfg cfg = {.period_ms = 5, .timeout_ms = 50};

	*state = s;
	jr_world_open(&s->j);
	cfg.loop = &s->j.w.loop;
	cfg.memory = s->j.to_memory;
	assert_int_equal(sampler_new(&s->sampler, &cfg), 0);
	sampler_start(s->sampler);
	chan_server_handle(s->j.jr, MSG_meta_anomalies, sampler_anomalies, s->sampler);
	return 0;
}

static int take_down(void **state)
{
	struct site *s = *state;

	sampler_free(&s->sampler);
	jr_world_close(&s->j);
	free(s);
	return 0;
}

#define T(f) cmocka_unit_test_setup_teardown(f, set_up, take_down)
int main(void)
{
	const struct CMUnitTest tests[] = {
		T(before_the_first_analysis_nothing_is_known), T(findings_come_and_go),
		T(a_failed_sample_keeps_what_was_found),       T(memory_may_come_late_and_die),
		T(beats_that_pass_are_missed_not_bunched),     T(leaving_while_asking),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
