/* common/base/urgency.h, as somebody without a privilege has it who may use the lowest real-time priority; and as
 * somebody who may not. */
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/base/urgency.h"

static int policy(void)
{
	return sched_getscheduler(0) & ~SCHED_RESET_ON_FORK;
}

/* 0, or the number of the step that went wrong. */
static int steps(int allowed)
{
	int urgent = allowed ? SCHED_RR : SCHED_OTHER;

	tr_slice(100000);
	if (policy() != SCHED_OTHER)
		return 1;
	for (int i = 0; i < 3; i++) { /* not only once */
		tr_urgent(0);
		if (policy() != urgent)
			return 2;
		tr_calm(0);
		if (policy() != SCHED_OTHER)
			return 3;
	}
	tr_urgent(getpid()); /* by its number, as others do it */
	if (policy() != urgent)
		return 4;
	if (fork() == 0)
		_exit(policy() == SCHED_OTHER ? 0 : 1);
	int status = -1;
	(void)wait(&status);
	if (status != 0)
		return 5; /* what it starts is urgent too */
	tr_calm(getpid());
	return policy() == SCHED_OTHER ? 0 : 6;
}

static void run(rlim_t priority)
{
	const struct rlimit limit = {priority, priority};
	int status = -1;
	pid_t pid = fork();

	if (pid == 0) {
		if (setrlimit(RLIMIT_RTPRIO, &limit) < 0 || (geteuid() == 0 && setuid(65534) < 0))
			_exit(99);
		_exit(steps(priority > 0));
	}
	assert_true(pid > 0 && wait(&status) == pid);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == 99)
		skip(); /* we may not give ourselves that limit */
	assert_int_equal(WEXITSTATUS(status), 0);
}

static void permitted(void **state)
{
	(void)state;
	run(1);
}

static void not_permitted(void **state)
{
	(void)state;
	run(0);
}

/* Whoever was made urgent by root, and is nobody, can end it. */
static void ended_without_a_privilege(void **state)
{
	int status = -1;
	pid_t pid = fork();

	(void)state;
	if (pid == 0) {
		tr_urgent(0);
		if (policy() != SCHED_RR || setuid(65534) < 0)
			_exit(99);
		tr_calm(0);
		_exit(policy() == SCHED_OTHER ? 0 : 1);
	}
	assert_true(pid > 0 && wait(&status) == pid && WIFEXITED(status));
	if (WEXITSTATUS(status) == 99)
		skip();
	assert_int_equal(WEXITSTATUS(status), 0);
}

/* Whom somebody else has given a policy keeps it. */
static void chosen_by_others(void **state)
{
	const struct sched_param none = {0};

	(void)state;
	assert_int_equal(sched_setscheduler(0, SCHED_BATCH, &none), 0);
	tr_urgent(0);
	assert_int_equal(policy(), SCHED_BATCH);
	tr_slice(100000);
	assert_int_equal(policy(), SCHED_BATCH);
	tr_calm(0);
	assert_int_equal(policy(), SCHED_BATCH);
	assert_int_equal(sched_setscheduler(0, SCHED_OTHER, &none), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(permitted),
		cmocka_unit_test(not_permitted),
		cmocka_unit_test(ended_without_a_privilege),
		cmocka_unit_test(chosen_by_others),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
