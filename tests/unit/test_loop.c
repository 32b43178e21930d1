/* common/loop */
#include "common/loop/loop.h"
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

struct probe {
	struct loop_timer *t;
	unsigned calls, free_at;
};

static void tick(void *arg)
{
	struct probe *p = arg;

	if (++p->calls == p->free_at)
		loop_timer_free(&p->t); /* inside its own callback */
}

static void timers_fire_and_free_themselves(void **state)
{
	struct probe once = {.free_at = 0}, often = {.free_at = 5};
	uv_loop_t loop;

	(void)state;
	assert_int_equal(uv_loop_init(&loop), 0);
	assert_int_equal(loop_timer_new(&once.t, &loop, tick, &once), 0);
	assert_int_equal(loop_timer_new(&often.t, &loop, tick, &often), 0);
	assert_int_equal(loop_timer_start(once.t, 1, 0), 0);
	assert_int_equal(loop_timer_start(often.t, 0, 1), 0);
	assert_int_equal(uv_run(&loop, UV_RUN_DEFAULT), 0);
	assert_int_equal(once.calls, 1);
	assert_int_equal(often.calls, 5);
	assert_null(often.t);
	assert_int_equal(loop_timer_start(once.t, 1, 0), 0); /* again */
	assert_int_equal(uv_run(&loop, UV_RUN_DEFAULT), 0);
	assert_int_equal(once.calls, 2);
	assert_int_equal(loop_timer_start(once.t, 1, 0), 0);
	loop_timer_stop(once.t);
	assert_int_equal(uv_run(&loop, UV_RUN_DEFAULT), 0);
	assert_int_equal(once.calls, 2);
	loop_timer_free(&once.t);
	loop_timer_free(&once.t); /* NULL is fine */
	loop_timer_free(NULL);
	assert_int_equal(loop_finish(&loop), 0);
}

static void block(void *arg)
{
	(void)arg;
	(void)poll(NULL, 0, 60); /* the subject of the test is a loop that is late */
}

static void lag_sees_a_late_loop(void **state)
{
	struct loop_timer *t;
	struct loop_lag *lag;
	struct probe p = {0};
	uv_loop_t loop;

	(void)state;
	assert_int_equal(uv_loop_init(&loop), 0);
	assert_int_equal(loop_lag_new(&lag, &loop), 0);
	assert_int_equal(uv_run(&loop, UV_RUN_NOWAIT), 0); /* measuring alone does not keep it alive */
	assert_int_equal(loop_timer_new(&t, &loop, block, NULL), 0);
	assert_int_equal(loop_timer_start(t, 1, 0), 0);
	assert_int_equal(loop_timer_new(&p.t, &loop, tick, &p), 0);
	assert_int_equal(loop_timer_start(p.t, 90, 0), 0); /* keeps the loop running past the block */
	assert_int_equal(uv_run(&loop, UV_RUN_DEFAULT), 0);
	assert_true(loop_lag_us(lag) >= 30000);
	loop_lag_reset(lag);
	assert_int_equal(loop_lag_us(lag), 0);
	loop_timer_free(&t);
	loop_timer_free(&p.t);
	loop_lag_free(&lag);
	loop_lag_free(&lag);
	assert_int_equal(loop_finish(&loop), 0);
}

static void finish_reports_an_open_handle(void **state)
{
	uv_loop_t loop;
	uv_async_t async;

	(void)state;
	assert_int_equal(uv_loop_init(&loop), 0);
	assert_int_equal(uv_async_init(&loop, &async, NULL), 0);
	uv_unref((uv_handle_t *)&async);
	assert_int_equal(loop_finish(&loop), UV_EBUSY);
	uv_close((uv_handle_t *)&async, NULL);
	assert_int_equal(loop_finish(&loop), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(timers_fire_and_free_themselves),
		cmocka_unit_test(lag_sees_a_late_loop),
		cmocka_unit_test(finish_reports_an_open_handle),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
