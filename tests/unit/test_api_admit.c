/* jrs/executive/api: who a token is (tokens.c), how often they may call (bucket.c), when there is too much (shed.c).
 * Pure. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/base/err.h"
#include "jrs/executive/api/bucket.h"
#include "jrs/executive/api/gate.h"
#include "jrs/executive/api/shed.h"
#include "jrs/executive/api/tokens.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- tokens ---- */
static void hash_of(const char *token, unsigned char out[TR_SHA256_LEN])
{
	assert_int_equal(tr_sha256(token, strlen(token), out), 0);
}

static void who_it_is(void **state)
{
	unsigned char a[TR_SHA256_LEN], b[TR_SHA256_LEN], old[TR_SHA256_LEN], other[TR_SHA256_LEN];
	struct item_token_key v[] = {
		{.name = wire_s("ann"), .scopes = TR_SCOPE_READ, .hash = {(const char *)a, 32}},
		{.name = wire_s("bob"),
		 .scopes = TR_SCOPE_WRITE,
		 .hash = {(const char *)b, 32},
		 .has_source = true,
		 .source = wire_s("bob's"),
		 .has_expires_at = true,
		 .expires_at = 2000,
		 .has_old_hash = true,
		 .old_hash = {(const char *)old, 32},
		 .has_old_until = true,
		 .old_until = 1500},
	};
	const struct res_memory_token_keys keys = {.revision = 7, .keys = {v, 2}};
	struct res_memory_token_keys bad = keys;
	const unsigned char none[TR_SHA256_LEN] = {0};
	struct tokens t = {.v = NULL};
	const struct principal *p;

	(void)state;
	hash_of("a", a);
	hash_of("b", b);
	hash_of("old", old);
	hash_of("other", other);
	assert_null(tokens_find(&t, a, 1000));
	assert_int_equal(tokens_take(&t, &keys), 0);
	assert_true(t.known && t.n == 2 && t.revision == 7);
	p = tokens_find(&t, a, INT64_MAX - 1);
	assert_non_null(p);
	assert_string_equal(p->name, "ann");
	assert_int_equal(p->scopes, TR_SCOPE_READ);
	p = tokens_find(&t, b, 1999);
	assert_true(p != NULL && p->has_source && p->via == VIA_TOKEN && p->scopes == (TR_SCOPE_READ | TR_SCOPE_WRITE));
	assert_string_equal(p->source, "bob's");
	assert_null(tokens_find(&t, b, 2000));       /* past its time */
	assert_non_null(tokens_find(&t, old, 1499)); /* rotated: good a little longer */
	assert_null(tokens_find(&t, old, 1500));
	assert_null(tokens_find(&t, other, 1000));
	assert_null(tokens_find(&t, none, 0)); /* what has none before it is not found by nothing */
	assert_non_null(tokens_named(&t, "ann", 3, 0));
	assert_null(tokens_named(&t, "an", 2, 0));
	assert_null(tokens_named(&t, "bob", 3, 2000));
	v[0].hash.n = 31;
	bad.revision = 8;
	assert_int_equal(tokens_take(&t, &bad), TR_EPROTO);
	assert_true(t.revision == 7 && tokens_find(&t, a, 0) != NULL); /* those of before hold */
	tokens_free(&t);
}

static void among_many(void **state)
{
	enum { N = WIRE_TOKENS_MAX };
	static unsigned char hashes[2 * N][TR_SHA256_LEN];
	static struct item_token_key v[N];
	static char names[N][16];
	const struct res_memory_token_keys keys = {.revision = 1, .keys = {v, N}};
	struct tokens t = {.v = NULL};
	unsigned char other[TR_SHA256_LEN];

	(void)state;
	for (unsigned i = 0; i < N; i++) {
		snprintf(names[i], sizeof(names[i]), "token-%u", i);
		hash_of(names[i], hashes[2 * i]);
		hash_of(names[i] + 1, hashes[2 * i + 1]);
		if (i % 7 == 3) /* begins like the one before it */
			memcpy(hashes[2 * i], hashes[2 * i - 2], sizeof(uint64_t));
		v[i] = (struct item_token_key){.name = wire_s(names[i]),
					       .scopes = TR_SCOPE_READ,
					       .hash = {(const char *)hashes[2 * i], TR_SHA256_LEN},
					       .has_old_hash = true,
					       .old_hash = {(const char *)hashes[2 * i + 1], TR_SHA256_LEN},
					       .has_old_until = true,
					       .old_until = 10};
	}
	assert_int_equal(tokens_take(&t, &keys), 0);
	for (unsigned i = 0; i < 2 * N; i++) {
		const struct principal *p = tokens_find(&t, hashes[i], 9);

		assert_non_null(p);
		assert_string_equal(p->name, names[i / 2]);
		assert_true((tokens_find(&t, hashes[i], 10) != NULL) == (i % 2 == 0));
		memcpy(other, hashes[i], sizeof(other));
		other[TR_SHA256_LEN - 1] ^= 1;
		assert_null(tokens_find(&t, other, 9));
	}
	tokens_free(&t);
}

/* ---- the gate ---- */
static void so_much_is_on_its_way(void **state)
{
	struct gate_entry e[200], late;
	struct gate g;
	unsigned n = 0, waits = 0;

	(void)state;
	gate_init(&g);
	gate_learn(&g, 10, 10 * 65536); /* rows are large */
	assert_int_equal(gate_cost(&g, 200), GATE_ANSWER);
	assert_true(gate_cost(&g, 1) >= 65536);
	for (unsigned i = 0; i < 100; i++) {
		if (gate_open(&g, GATE_ANSWER)) {
			gate_pass(&g, GATE_ANSWER);
			n++;
		} else {
			assert_true(gate_wait(&g, &e[i], GATE_ANSWER, 1000));
			waits++;
		}
	}
	assert_int_equal(n, GATE_BYTES / GATE_ANSWER);
	assert_true(gate_wait(&g, &late, 4096, 1000)); /* what is small goes before them */
	assert_null(gate_next(&g));
	gate_back(&g, GATE_ANSWER, true);
	assert_ptr_equal(gate_next(&g), &late);
	gate_pass(&g, 4096);
	assert_null(gate_next(&g)); /* no room for a large one beside it */
	gate_tick(&g, 600);         /* something was answered meanwhile */
	assert_null(gate_late(&g, 1000));
	assert_false(gate_wait(&g, &late, GATE_ANSWER, 1000)); /* there is too long a queue before it */
	assert_true(gate_wait(&g, &late, GATE_ANSWER, 0));     /* who has time may */
	gate_tick(&g, 10000);                                  /* nothing was: its time stands still */
	assert_null(gate_late(&g, 1000));
	gate_back(&g, 4096, true);
	gate_tick(&g, 400);
	for (unsigned i = 0; i < waits; i++)
		assert_non_null(gate_late(&g, 1000));
	assert_null(gate_late(&g, 1000)); /* the last one came later */
	while (g.n > 0)
		gate_back(&g, 0, true);
	g.bytes = 0;
	assert_ptr_equal(gate_next(&g), &late);
	for (unsigned i = 0; i < 1000; i++)
		gate_learn(&g, 10, 100);
	assert_int_equal(gate_cost(&g, 10), 10 * GATE_LEAST); /* they are small again */
	for (n = 0; gate_open(&g, 1) && n < 1000; n++)
		gate_pass(&g, 1);
	assert_int_equal(n, GATE_MOST); /* however small they are reckoned to be */
}

static void what_they_may(void **state)
{
	const struct principal nobody = {.scopes = 0}, reader = {.scopes = tr_scopes_whole(TR_SCOPE_READ)},
			       writer = {.scopes = tr_scopes_whole(TR_SCOPE_WRITE)},
			       admin = {.scopes = tr_scopes_whole(TR_SCOPE_ADMIN)},
			       figures = {.scopes = tr_scopes_whole(TR_SCOPE_METRICS)},
			       bound = {.scopes = tr_scopes_whole(TR_SCOPE_WRITE), .has_source = true};

	(void)state;
	assert_false(principal_may(&nobody, TR_SCOPE_READ, false));
	assert_true(principal_may(&reader, TR_SCOPE_READ, true) && !principal_may(&reader, TR_SCOPE_WRITE, false) &&
		    !principal_may(&reader, TR_SCOPE_METRICS, true));
	assert_true(principal_may(&writer, TR_SCOPE_READ, true) && principal_may(&writer, TR_SCOPE_WRITE, false) &&
		    !principal_may(&writer, TR_SCOPE_ADMIN, false));
	assert_true(principal_may(&admin, TR_SCOPE_READ, true) && principal_may(&admin, TR_SCOPE_METRICS, true) &&
		    principal_may(&admin, TR_SCOPE_ADMIN, true));
	assert_true(principal_may(&figures, TR_SCOPE_METRICS, true) && !principal_may(&figures, TR_SCOPE_READ, false));
	assert_true(principal_may(&bound, TR_SCOPE_WRITE, false) && !principal_may(&bound, TR_SCOPE_READ, true));
}

/* ---- buckets ---- */
static void a_rate_and_a_burst(void **state)
{
	struct buckets *b = NULL;
	unsigned good = 0;

	(void)state;
	assert_int_equal(buckets_new(&b, 10, 5, 0), 0);
	for (int i = 0; i < 5; i++)
		assert_int_equal(buckets_take(b, "a", 1, 1000), 0);
	assert_int_equal(buckets_take(b, "a", 1, 1000), 101); /* the next one is there in a tenth of a second */
	assert_int_equal(buckets_take(b, "b", 1, 1000), 0);   /* somebody else has a bucket of his own */
	assert_true(buckets_take(b, "a", 1, 1099) > 0);
	assert_int_equal(buckets_take(b, "a", 1, 1101), 0);
	assert_true(buckets_take(b, "a", 1, 1101) > 0);
	for (uint64_t t = 2000; t < 12000;
	     t++) /* asked a hundred times as often as may be: ten a second, and what was saved */
		good += buckets_take(b, "a", 1, t) == 0;
	assert_in_range(good, 100, 106);
	assert_true(buckets_take(b, "a", 1, 11000) > 0); /* a clock that went back gives nothing */
	buckets_free(&b);
	assert_int_equal(buckets_new(&b, 3, 0, 0), 0);
	for (int i = 0; i < 3; i++)
		assert_int_equal(buckets_take(b, "a", 1, 0), 0);
	assert_true(buckets_take(b, "a", 1, 0) > 0);
	buckets_free(&b);
	buckets_free(&b);
}

static void the_table_is_bounded(void **state)
{
	struct buckets *b = NULL;

	(void)state;
	assert_int_equal(buckets_new(&b, 1, 1, 64), 0);
	assert_int_equal(buckets_take(b, "hot", 3, 0), 0);
	for (unsigned i = 0; i < 10000; i++) {
		(void)buckets_take(b, &i, sizeof(i), 0);
		if (i % 32 == 0) /* who calls often is not forgotten */
			assert_true(buckets_take(b, "hot", 3, 0) > 0);
	}
	buckets_free(&b);
}

/* ---- shedding: a server that does `rate` calls a second, in order, and users who each wait for their answer, or for
 * half a second when they were refused ---- */
#define USERS_MAX 2000
struct world {
	struct shed shed;
	uint64_t asked[USERS_MAX]; /* 0: he waits until `back` */
	uint64_t back[USERS_MAX];
	unsigned queue[USERS_MAX], head, n; /* a ring of users */
	unsigned refused, done;
	uint64_t slowest;
	double credit;
};

static void turn(struct world *w, unsigned users, double rate, uint64_t now)
{
	for (unsigned i = 0; i < users; i++) {
		if (w->asked[i] != 0 || now < w->back[i])
			continue;
		if (!shed_admits(&w->shed)) {
			w->refused++;
			w->back[i] = now + 500;
			continue;
		}
		shed_begin(&w->shed);
		w->asked[i] = now;
		w->queue[(w->head + w->n++) % USERS_MAX] = i;
	}
	w->credit += rate / 1000;
	for (; w->credit >= 1 && w->n > 0; w->credit--, w->n--) {
		unsigned i = w->queue[w->head];
		uint64_t took = now - w->asked[i];

		w->head = (w->head + 1) % USERS_MAX;
		shed_end(&w->shed, true, took, now);
		w->slowest = took > w->slowest ? took : w->slowest;
		w->asked[i] = 0;
		w->done++;
	}
	w->credit = w->n == 0 ? 0 : w->credit;
}

static void run(struct world *w, unsigned users, double rate, uint64_t from, uint64_t to)
{
	w->refused = w->done = 0;
	w->slowest = 0;
	for (uint64_t now = from; now < to; now++)
		turn(w, users, rate, now);
}

static struct world *world_new(uint32_t target_ms)
{
	struct world *w = calloc(1, sizeof(*w));

	assert_non_null(w);
	shed_init(&w->shed, target_ms, 1);
	return w;
}

static void answers_come_in_time(void **state)
{
	struct world *w = world_new(200);

	(void)state;
	run(w, 100, 1000, 1, 5000); /* a tenth of a second each: nobody is refused */
	assert_int_equal(w->refused, 0);
	assert_true(w->slowest <= 110);
	run(w, 2000, 1000, 5000, 9000); /* twenty times as many: two seconds each, without a limit */
	run(w, 2000, 1000, 9000, 20000);
	assert_true(w->refused > 1000);
	assert_in_range(w->slowest, 150, 300);   /* about the target */
	assert_true(w->done > 11000 * 95 / 100); /* and as many are served as could be */
	run(w, 50, 1000, 20000, 40000);
	run(w, 150, 1000, 40000, 45000); /* the rush is over, and its limit soon too */
	assert_int_equal(w->refused, 0);
	free(w);
}

static void without_a_target_never(void **state)
{
	struct world *w = world_new(0);

	(void)state;
	run(w, 2000, 100, 1, 60000);
	assert_int_equal(w->refused, 0);
	free(w);
}

/* memory-jr is replaced: for two seconds nobody is answered, then everybody. Nobody is refused for that. */
static void a_pause_is_no_rush(void **state)
{
	struct world *w = world_new(500);

	(void)state;
	run(w, 400, 4000, 1, 3000);
	for (uint64_t round = 0; round < 5; round++) {
		run(w, 400, 0, 3000 + round * 5000, 5000 + round * 5000);
		assert_int_equal(w->refused, 0);
		run(w, 400, 4000, 5000 + round * 5000, 8000 + round * 5000);
		assert_int_equal(w->refused, 0);
		assert_true(w->slowest >= 1900);
	}
	free(w);
}

static void a_few_are_always_let_in(void **state)
{
	struct world *w = world_new(10);

	(void)state;
	run(w, 100, 2, 1, 60000); /* half a second each, whatever is refused */
	assert_int_equal(w->shed.limit, SHED_LEAST);
	assert_true(w->done > 100);
	free(w);
}

/* What fails tells nothing of how long things take. */
static void failures_teach_nothing(void **state)
{
	struct shed s;

	(void)state;
	shed_init(&s, 100, 0);
	for (uint64_t now = 1; now < 20000; now += 10) {
		shed_begin(&s);
		shed_end(&s, false, 10000, now);
	}
	assert_int_equal(s.limit, SHED_NO_LIMIT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(who_it_is),
		cmocka_unit_test(among_many),
		cmocka_unit_test(so_much_is_on_its_way),
		cmocka_unit_test(what_they_may),
		cmocka_unit_test(a_rate_and_a_burst),
		cmocka_unit_test(the_table_is_bounded),
		cmocka_unit_test(answers_come_in_time),
		cmocka_unit_test(without_a_target_never),
		cmocka_unit_test(a_pause_is_no_rush),
		cmocka_unit_test(a_few_are_always_let_in),
		cmocka_unit_test(failures_teach_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
