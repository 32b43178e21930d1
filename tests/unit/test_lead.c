/* Who leads a role, in real processes: this program is also the Jr (TEST_KIT_JR says which), several of them share a
 * socket and a page. The test plays tribed, a caller, and executive-jr, who is told of a new lead. Links jrs/kit.
 *
 * TEST_LEAD_ROUNDS=500 measures takeovers; TEST_LEAD_HEAP=512 with so many MB in the dead lead. */
#include "tests/unit/lead_site.h"

/* ---- every allocation, libraries' too ---- */

static volatile sig_atomic_t counting;
static volatile unsigned allocations;

static void count(void)
{
	if (counting)
		allocations++;
}

#ifdef __SANITIZE_ADDRESS__
extern int
__sanitizer_install_malloc_and_free_hooks(void (*allocated)(const volatile void *, size_t),
					  void (*freed)(const volatile void *)); /* gcc has no header for it */

static void on_malloc(const volatile void *p, size_t n)
{
	(void)p;
	(void)n;
	count();
}

static void on_free(const volatile void *p)
{
	(void)p;
}

static void count_allocations(void)
{
	assert_true(__sanitizer_install_malloc_and_free_hooks(on_malloc, on_free) > 0);
}
#else
extern void *__libc_malloc(size_t n);
extern void *__libc_calloc(size_t n, size_t size);
extern void *__libc_realloc(void *p, size_t n);

__attribute__((visibility("default"))) void *malloc(size_t n)
{
	count();
	return __libc_malloc(n);
}

__attribute__((visibility("default"))) void *calloc(size_t n, size_t size)
{
	count();
	return __libc_calloc(n, size);
}

__attribute__((visibility("default"))) void *realloc(void *p, size_t n)
{
	count();
	return __libc_realloc(p, n);
}

static void count_allocations(void)
{
}
#endif

static void on_usr1(int signum)
{
	(void)signum;
	counting = 1;
}

/* ---- the Jr ---- */

struct test_jr {
	struct jr *jr;
	const char *mode;
	struct loop_timer *later;
	struct chan_call *held;
	unsigned at_lead; /* allocations until then */
};

static void answer(struct chan_call *call)
{
	struct res_meta_anomalies out = {.analyses = (uint64_t)getpid()};

	chan_reply(call, &out);
}

static void jr_later(void *arg)
{
	struct test_jr *t = arg;

	if (t->held != NULL)
		answer(t->held);
	t->held = NULL;
}

static void jr_told(void *arg, int r, const void *res, const struct tr_fault *fault)
{
	struct test_jr *t = arg;

	(void)res;
	if (r == 0)
		answer(t->held);
	else
		chan_fail(t->held, fault);
	t->held = NULL;
}

static void jr_anomalies(void *arg, struct chan_call *call, const void *msg)
{
	struct test_jr *t = arg;

	(void)msg;
	if (strcmp(t->mode, "later") == 0 && t->held == NULL && jr_epoch(t->jr) == 1) {
		t->held = call;
		(void)loop_timer_start(t->later, 100, 0);
	} else if (strcmp(t->mode, "fatal") == 0 && jr_epoch(t->jr) == 1) {
		t->held = call;
		jr_fatal(t->jr, TR_ESTORE);
	} else if (strcmp(t->mode, "asks") == 0) {
		struct msg_executive_ask m = {.question = wire_s("who?")};

		t->held = call;
		if (peer_call(jr_peer(t->jr, TR_ROLE_EXECUTIVE), MSG_executive_ask, &m, 10000, jr_told, t, NULL) < 0)
			abort();
	} else {
		answer(call);
	}
}

static void jr_lead(void *arg, uint64_t epoch)
{
	struct test_jr *t = arg;

	t->at_lead = allocations;
	if (!jr_leads(t->jr) || jr_epoch(t->jr) != epoch)
		abort();
	if (strcmp(t->mode, "leaves") == 0)
		jr_leave(t->jr, "it does not like to lead");
}

static void jr_beat(void *arg, struct msg_heartbeat *beat)
{
	struct test_jr *t = arg;

	jr_gauge(t->jr, 0, allocations);
	beat->has_recalls_total = true;
	beat->recalls_total = t->at_lead;
}

/* Pages that the kernel has to take apart when this process dies. */
static void grow(void)
{
	const char *mb = getenv("TEST_LEAD_HEAP");
	size_t n = mb == NULL ? 0 : strtoul(mb, NULL, 10) << 20;
	char *p = n == 0 ? NULL : malloc(n);

	if (p != NULL)
		memset(p, 1, n);
}

static int jr_main(const char *mode, int argc, char **argv)
{
	struct test_jr t = {.mode = mode};
	struct jr_opts opts;
	int r;

	(void)signal(SIGUSR1, on_usr1);
	count_allocations();
	if ((r = jr_opts_parse(&opts, TR_ROLE_META, argc, argv)) != 0)
		return r < 0 ? 2 : 0;
	if ((r = jr_open(&t.jr, &opts)) < 0)
		goto out;
	if ((r = loop_timer_new(&t.later, jr_loop(t.jr), jr_later, &t)) < 0)
		goto out;
	grow();
	jr_handle(t.jr, MSG_meta_anomalies, jr_anomalies, &t);
	jr_on_beat(t.jr, jr_beat, &t);
	jr_on_lead(t.jr, jr_lead, &t);
	if (strcmp(mode, "above") == 0)
		jr_epoch_above(t.jr, 1000);
	if (jr_leads(t.jr) || jr_epoch(t.jr) != 0)
		return 9;
	if ((r = jr_ready(t.jr)) < 0)
		goto out;
	r = jr_run(t.jr);
	if (jr_leads(t.jr))
		return 9;
	if (strcmp(mode, "lingers") == 0) /* as one that closes its archive: until it is killed */
		for (;;)
			(void)pause();
out:
	if (t.held != NULL)
		chan_failf(t.held, TR_ECLOSED, NULL, "leaving");
	loop_timer_free(&t.later);
	jr_close(&t.jr);
	return tr_exit_code(r);
}

/* ---- takeovers ---- */

static void an_understudy_takes_over(void **state)
{
	struct site *s = *state;
	struct copy *a = spawn(s, "plain", "serving"), *b = spawn(s, "plain", "waiting");
	uint64_t t;
	unsigned n;

	assert_int_equal(a->leads, 1);
	assert_int_equal(a->epoch, 1);
	assert_int_equal(a->since_ns, 0); /* it never waited */
	assert_int_equal(atomic_load(&s->lead->pid), a->pid);
	for (int i = 0; i < 20; i++)
		assert_int_equal(who(s), a->pid);
	n = b->beats;
	SPIN(&s->w, b->beats > n + 3); /* goes on */
	assert_int_equal(b->leads, 0);
	t = tr_mono_ns();
	kill_it(a);
	SPIN(&s->w, b->leads == 1);
	assert_int_equal(b->epoch, 2);
	assert_true(b->since_ns >= t && b->began_ns >= b->since_ns);
	SPIN(&s->w, is(b, "serving"));
	assert_int_equal(who(s), b->pid);
	SPIN(&s->w, s->heard_epoch == 2);                            /* executive-jr was told */
	SPIN(&s->w, chan_server_stats(s->executive)->accepted == 3); /* and may have been another one before */
	assert_int_equal(atomic_load(&s->lead->generation), b->generation);
}

static void one_of_several(void **state)
{
	struct site *s = *state;
	struct copy *c[COPIES_MAX] = {spawn(s, "plain", "serving")};
	uint64_t epoch = 1;

	for (int i = 1; i < COPIES_MAX; i++)
		c[i] = spawn(s, "plain", "waiting");
	for (int dead = 0; dead < COPIES_MAX - 1; dead++) {
		struct copy *lead = NULL;
		unsigned leads = 0, beats = 0;

		for (int i = 0; i < COPIES_MAX; i++)
			if (c[i]->pid != 0 && is(c[i], "serving"))
				lead = c[i];
		assert_non_null(lead);
		kill_it(lead);
		lead->leads = 0;
		epoch++;
		SPIN(&s->w, s->heard_epoch == epoch);
		for (int i = 0; i < COPIES_MAX; i++) {
			beats = c[i]->beats;
			if (c[i]->pid != 0)
				SPIN(&s->w, c[i]->beats > beats + 3); /* whoever thinks so has said so */
			leads += c[i]->leads;
		}
		assert_int_equal(leads, 1);
		assert_int_equal(lead_page_epoch(s->lead), epoch);
	}
}

static void a_stopped_lead_keeps_it(void **state)
{
	struct site *s = *state;
	struct copy *a = spawn(s, "plain", "serving"), *b = spawn(s, "plain", "waiting");
	unsigned n = b->beats;

	assert_int_equal(kill(a->pid, SIGSTOP), 0);
	SPIN(&s->w, b->beats > n + 10);
	assert_int_equal(b->leads, 0);
	kill_it(a);
	SPIN(&s->w, b->leads == 1);
}

static void both_die(void **state)
{
	struct site *s = *state;
	struct copy *a = spawn(s, "plain", "serving"), *b = spawn(s, "plain", "waiting"), *c;

	(void)kill(a->pid, SIGKILL);
	(void)kill(b->pid, SIGKILL);
	(void)wait_exit(a);
	(void)wait_exit(b);
	c = spawn(s, "plain", "serving");
	assert_int_equal(c->since_ns, 0);
	assert_int_equal(who(s), c->pid);
}

static void above_what_it_is_told(void **state)
{
	struct site *s = *state;
	struct copy *a = spawn(s, "above", "serving"), *b = spawn(s, "above", "waiting");

	assert_int_equal(a->epoch, 1001);
	kill_it(a);
	SPIN(&s->w, b->leads == 1);
	assert_int_equal(b->epoch, 1002);
}

static void promotion_allocates_nothing(void **state)
{
	struct site *s = *state;
	struct copy *a = spawn(s, "plain", "serving"), *b = spawn(s, "plain", "waiting");
	unsigned n = b->beats;

	SPIN(&s->w,
	     chan_server_stats(s->executive)->answered >= 2 && b->beats > n + 5); /* it knows who answers there */
	assert_int_equal(kill(b->pid, SIGUSR1), 0);
	n = b->beats;
	SPIN(&s->w, b->beats > n + 5);
	assert_int_equal(b->queue, 0); /* beats do not either */
	kill_it(a);
	SPIN(&s->w, is(b, "serving") && s->heard_epoch == 2);
	assert_int_equal(b->allocations, 0);
	assert_int_equal(who(s), b->pid);
	SPIN(&s->w, b->queue > 0); /* it can count */
}

/* It waits for an answer of executive-jr, who dies without closing anything. */
static void callers_move(void **state)
{
	struct site *s = *state;
	struct copy *a = spawn(s, "asks", "serving");
	struct msg_lead m = {
		.jr = wire_s("executive_jr"), .pid = 9, .generation = 9, .epoch = 2, .monotonic_ns = 1, .since_ns = 1};
	struct tr_fault no = {.code = TR_ENOTFOUND};

	SPIN(&s->w, chan_server_stats(s->executive)->answered == 1);
	peer_open(s->caller);
	ask(s);
	SPIN(&s->w, s->nasked == 1);
	assert_int_equal(peer_note(s->caller, MSG_lead, &m), 0);
	SPIN(&s->w, s->nasked == 2);
	m.epoch = 1; /* of the one before: late */
	assert_int_equal(peer_note(s->caller, MSG_lead, &m), 0);
	m.jr = wire_s("meta_jr"); /* its own role */
	m.epoch = 7;
	assert_int_equal(peer_note(s->caller, MSG_lead, &m), 0);
	m.jr = wire_s("nobody");
	assert_int_equal(peer_note(s->caller, MSG_lead, &m), 0);
	chan_fail(s->asked[1], &no);
	s->asked[1] = NULL;
	SPIN(&s->w, s->answers == 1);
	assert_int_equal(s->r, TR_ENOTFOUND);
	assert_int_equal(s->nasked, 2);
	assert_int_equal(chan_server_stats(s->executive)->accepted, 2);
	assert_int_equal(a->leads, 1);
}

/* ---- leaving ---- */

static void waiting_delays_no_leaving(void **state)
{
	struct site *s = *state;
	struct copy *a = spawn(s, "plain", "serving"), *b = spawn(s, "plain", "waiting"),
		    *c = spawn(s, "plain", "waiting");
	uint64_t t = tr_mono_ms();

	tell_drain(b, 5000);
	assert_int_equal(wait_exit(b), 0); /* with nothing for the leak checker */
	(void)kill(c->pid, SIGTERM);
	assert_int_equal(wait_exit(c), 0);
	assert_true(tr_mono_ms() - t < 4000);
	assert_int_equal(b->leads + c->leads, 0);
	assert_int_equal(who(s), a->pid);
	tell_drain(a, 5000);
	assert_int_equal(wait_exit(a), 0);
	assert_int_equal(spawn(s, "plain", "serving")->epoch, 2);
}

/* A lead that drains answers what it has read, and leads until then; what comes meanwhile its understudy answers. */
static void drains_then_hands_over(void **state)
{
	struct site *s = *state;
	struct copy *a = spawn(s, "later", "serving"), *b = spawn(s, "later", "waiting");
	struct peer *late = NULL;

	ask(s);
	SPIN(&s->w, a->inflight == 1);
	tell_drain(a, 5000);
	SPIN(&s->w, is(a, "draining"));
	assert_int_equal(b->leads, 0);
	ask(s); /* over the connection that is not read any more */
	assert_int_equal(peer_new(&late, &s->w.loop, s->w.path, 4), 0);
	assert_int_equal(peer_call(late, MSG_meta_anomalies, &(struct msg_meta_anomalies){0}, 10000, answered, s, NULL),
			 0);
	SPIN(&s->w, s->answers == 3);
	assert_int_equal(s->r, 0);
	assert_int_equal(s->by[0], a->pid);
	assert_int_equal(s->by[1], b->pid);
	assert_int_equal(s->by[2], b->pid);
	SPIN(&s->w, b->leads == 1);
	assert_int_equal(wait_exit(a), 0);
	peer_free(&late);
}

/* Its parts may take their time to be closed. */
static void hands_over_before_it_is_gone(void **state)
{
	struct site *s = *state;
	struct copy *a = spawn(s, "lingers", "serving"), *b = spawn(s, "plain", "waiting");

	assert_int_equal(who(s), a->pid);
	tell_drain(a, 5000);
	SPIN(&s->w, b->leads == 1);
	assert_int_equal(who(s), b->pid);
	assert_int_equal(waitpid(a->pid, NULL, WNOHANG), 0);
}

/* No caller is told that it leaves: it asks the successor. */
static void fatal_is_no_answer(void **state)
{
	struct site *s = *state;
	struct copy *a = spawn(s, "fatal", "serving"), *b = spawn(s, "fatal", "waiting");

	assert_int_equal(who(s), b->pid);
	assert_int_equal(wait_exit(a), tr_exit_code(TR_ESTORE));
	assert_int_equal(s->answers, 1);
}

static void may_leave_as_soon_as_it_leads(void **state)
{
	struct site *s = *state;
	struct copy *a = spawn(s, "plain", "serving"), *b = spawn(s, "leaves", "waiting"), *c;

	kill_it(a);
	assert_int_equal(wait_exit(b), 0);
	assert_int_equal(b->leads, 1);
	c = spawn(s, "plain", "serving");
	assert_int_equal(c->epoch, 3);
}

/* ---- how long it takes ---- */

static int by_size(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static void tell_times(const char *what, uint64_t *ns, size_t n)
{
	qsort(ns, n, sizeof(*ns), by_size);
	print_message("%-42s p50 %7.1f us  p99 %7.1f us  max %7.1f us\n", what, (double)ns[n / 2] / 1e3,
		      (double)ns[n - 1 - n / 100] / 1e3, (double)ns[n - 1] / 1e3);
}

/* A call is under way when its lead is killed; the loop knows of it by jr.lead alone, or by the end of the connection.
 */
static void takeover_is_quick(void **state)
{
	const char *want = getenv("TEST_LEAD_ROUNDS");
	size_t n = want == NULL ? 20 : strtoul(want, NULL, 10);
	uint64_t *woken = calloc(n, sizeof(*woken)), *began = calloc(n, sizeof(*began)),
		 *first = calloc(n, sizeof(*first)), *told = calloc(n, sizeof(*told));
	struct site *s = *state;
	struct copy *a = spawn(s, "plain", "serving");

	peer_open(s->caller);
	for (size_t i = 0; i < n; i++) {
		struct copy *b = spawn(s, "plain", "waiting");
		unsigned answers = s->answers, heard;
		uint64_t t, heard_ns;

		assert_int_equal(who(s), a->pid);
		assert_int_equal(s->answers, ++answers);
		world_settle(&s->w);
		t = tr_mono_ns();
		(void)kill(a->pid, SIGKILL);
		ask(s);
		heard = s->heard;
		heard_ns = 0;
		while (s->answers == answers) {
			(void)uv_run(&s->w.loop, UV_RUN_ONCE);
			if (heard_ns == 0 && s->heard > heard)
				heard_ns = s->heard_ns;
		}
		assert_int_equal(s->r, 0);
		if (s->answered_by == b->pid) { /* else the dead one was quicker than the kill */
			SPIN(&s->w, b->leads == 1);
			woken[i] = b->since_ns - t;
			told[i] = heard_ns > b->since_ns ? heard_ns - b->since_ns : 0;
			began[i] = b->began_ns - b->since_ns;
			first[i] = s->answered_ns - b->since_ns;
		} else {
			i--;
		}
		(void)wait_exit(a);
		forget(a);
		SPIN(&s->w, is(b, "serving"));
		a = b;
	}
	tell_times("kill to the mutex known as free", woken, n);
	tell_times("from then to jr.lead", began, n);
	tell_times("from then to the caller told", told, n);
	tell_times("from then to the first answer of a call", first, n);
	assert_true(first[n / 2] < 20u * 1000 * 1000); /* generous: a shared machine, sanitizers */
	free(woken);
	free(began);
	free(first);
	free(told);
}

int main(int argc, char **argv)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(an_understudy_takes_over),
		T(one_of_several),
		T(a_stopped_lead_keeps_it),
		T(both_die),
		T(above_what_it_is_told),
		T(promotion_allocates_nothing),
		T(callers_move),
		T(waiting_delays_no_leaving),
		T(drains_then_hands_over),
		T(hands_over_before_it_is_gone),
		T(fatal_is_no_answer),
		T(may_leave_as_soon_as_it_leads),
		T(takeover_is_quick),
	};
	const char *mode = getenv("TEST_KIT_JR");

	if (mode != NULL)
		return jr_main(mode, argc, argv);
	if (getenv("TEST_LEAD_ROUNDS") != NULL)
		cmocka_set_test_filter("takeover_is_quick");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
