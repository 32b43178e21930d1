/* jrs/executive/api/thermal.c: whoever asks while memory-jr is being asked waits for the next question, asked once for
 * all. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/base/clock.h"
#include "tests/unit/api_fake.h"
#include "tests/unit/http_client.h"

#define THERMAL "GET /api/v1/thermal HTTP/1.1\r\nHost: localhost\r\n\r\n"
#define WAIT(cond)                                         \
	do {                                               \
		loop_timer_start(fx.watchdog, WAIT_MS, 0); \
		while (!(cond))                            \
			uv_run(&fx.loop, UV_RUN_ONCE);     \
		loop_timer_stop(fx.watchdog);              \
	} while (0)

/* Everything that is on its way has arrived. */
static void settle(void)
{
	for (int i = 0; i < 50; i++)
		uv_run(&fx.loop, UV_RUN_NOWAIT);
}

static void answer(unsigned i, uint64_t memories)
{
	struct res_memory_thermal res = {.total_memories = memories, .timestamp = 1700000000000};

	chan_reply(fx.silent[i], &res);
	fx.silent[i] = NULL;
}

static void forget_answered(void)
{
	unsigned kept = 0;

	for (unsigned i = 0; i < fx.nsilent; i++)
		if (fx.silent[i] != NULL)
			fx.silent[kept++] = fx.silent[i];
	fx.nsilent = kept;
}

static void one_question_for_all_who_wait(void **state)
{
	struct client c[5];

	(void)state;
	fx.memory_mood = SILENT;
	for (int i = 0; i < 5; i++)
		dial(&c[i], &fx.loop, &fx.addr);
	SAY(&c[0], THERMAL);
	WAIT(fx.nsilent == 1);
	for (int i = 1; i < 5; i++)
		SAY(&c[i], THERMAL);
	settle();
	assert_int_equal(fx.nsilent, 1); /* they came behind the moment that this answer is of: it is not theirs */
	assert_int_equal(api_inflight(fx.api), 5);
	answer(0, 3);
	WAIT(has(&c[0], "\"total_memories\":3") && fx.nsilent == 2);
	settle();
	for (int i = 1; i < 5; i++)
		assert_int_equal(c[i].in.len, 0);
	hang_up(&c[4], false); /* who has gone is no trouble */
	answer(1, 4);
	WAIT(has(&c[1], "\"total_memories\":4") && has(&c[2], "\"total_memories\":4") &&
	     has(&c[3], "\"total_memories\":4"));
	assert_true(has(&c[1], "200 OK") && has(&c[1], "\"average_temperature\":null"));
	assert_int_equal(fx.nsilent, 2);
	assert_int_equal(api_inflight(fx.api), 0);
	fx.memory_mood = ANSWER; /* and all is as before */
	buf_clear(&c[0].in);
	SAY(&c[0], THERMAL THERMAL THERMAL);
	WAIT(count(&c[0], "200 OK") == 3);
	forget_answered();
	for (int i = 0; i < 4; i++)
		hang_up(&c[i], false);
}

static void a_failure_is_everybodys(void **state)
{
	struct client c[3];

	(void)state;
	fx.memory_mood = SILENT;
	for (int i = 0; i < 3; i++)
		dial(&c[i], &fx.loop, &fx.addr);
	SAY(&c[0], THERMAL);
	WAIT(fx.nsilent == 1);
	SAY(&c[1], THERMAL THERMAL); /* the second one waits behind it on its connection, then asks itself */
	SAY(&c[2], THERMAL);
	settle();
	chan_failf(fx.silent[0], TR_ESTORE, "", "no");
	fx.silent[0] = NULL;
	WAIT(has(&c[0], "503 ") && fx.nsilent == 2);
	chan_failf(fx.silent[1], TR_ESTORE, "", "no");
	fx.silent[1] = NULL;
	WAIT(has(&c[1], "503 ") && has(&c[2], "503 ") && fx.nsilent == 3);
	answer(2, 9);
	WAIT(has(&c[1], "\"total_memories\":9"));
	assert_int_equal(fx.errors, 3);
	forget_answered();
	for (int i = 0; i < 3; i++)
		hang_up(&c[i], false);
}

/* A question without an answer ends with its oldest call's time; those that came later go on, into a question of their
 * own. */
static void who_came_later_has_time_left(void **state)
{
	struct client first, later;
	uint64_t start;

	(void)state;
	fx.memory_mood = SILENT;
	dial(&first, &fx.loop, &fx.addr);
	dial(&later, &fx.loop, &fx.addr);
	SAY(&first, THERMAL);
	WAIT(fx.nsilent == 1);
	start = tr_mono_ms();
	WAIT(tr_mono_ms() - start > 2500); /* half of its time; api/others.c turns the loop every 200 ms */
	SAY(&later, THERMAL);
	settle();
	WAIT(has(&first, "503 ") && fx.nsilent == 2);
	assert_int_equal(later.in.len, 0);
	assert_true(has(&first, "memory_jr did not answer in time"));
	answer(1, 5);
	WAIT(has(&later, "\"total_memories\":5"));
	chan_failf(fx.silent[0], TR_ECLOSED, "", "too late");
	fx.silent[0] = NULL;
	forget_answered();
	hang_up(&first, false);
	hang_up(&later, false);
}

/* The fixture's end is that of executive-jr: the peers go first, and everybody has been answered before the api goes. */
static void leaving_answers_who_waits(void **state)
{
	struct client first, later;

	(void)state;
	fx.memory_mood = SILENT;
	dial(&first, &fx.loop, &fx.addr);
	dial(&later, &fx.loop, &fx.addr);
	SAY(&first, THERMAL);
	WAIT(fx.nsilent == 1);
	SAY(&later, THERMAL);
	settle();
	assert_int_equal(api_inflight(fx.api), 2);
	hang_up(&first, false);
	hang_up(&later, false);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(one_question_for_all_who_wait, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_failure_is_everybodys, set_up, tear_down),
		cmocka_unit_test_setup_teardown(who_came_later_has_time_left, set_up, tear_down),
		cmocka_unit_test_setup_teardown(leaving_answers_who_waits, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
