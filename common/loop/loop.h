/* The thin libuv shell shared by tribed, the Jrs and tribectl. All of it belongs to its loop's thread. */
#ifndef COMMON_LOOP_LOOP_H
#define COMMON_LOOP_LOOP_H
#include <stdint.h>
#include <uv.h>

/* A timer that needs no embedding struct. cb may free the timer. */
struct loop_timer;
typedef void loop_timer_cb(void *arg);
/* repeat_ms 0: once. The timer stays allocated until loop_timer_free(); starting again moves it. */
int loop_timer_new(struct loop_timer **out, uv_loop_t *loop, loop_timer_cb *cb, void *arg);
int loop_timer_start(struct loop_timer *t, uint64_t first_ms, uint64_t repeat_ms);
void loop_timer_stop(struct loop_timer *t);
void loop_timer_free(struct loop_timer **t); /* NULL is fine; memory goes once libuv has closed the handle */

/* How late the loop is: a timer of 10 ms measures its own delay. */
struct loop_lag;
int loop_lag_new(struct loop_lag **out, uv_loop_t *loop);
uint64_t loop_lag_us(const struct loop_lag *l); /* largest delay since the last call of loop_lag_reset() */
void loop_lag_reset(struct loop_lag *l);
void loop_lag_free(struct loop_lag **l);

/* Runs the loop until every handle is closed, for at most about a second; then uv_loop_close(). Call after everything was
 * freed. Returns 0, or UV_EBUSY when a handle was left open (a bug, logged by the caller). */
int loop_finish(uv_loop_t *loop);

#endif
