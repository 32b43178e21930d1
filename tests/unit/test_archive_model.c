/* Random calls on an archive and on the double, in step; any difference is a fault of one of them.
 *
 *   test_archive_model KIND [SEED [STEPS]]     the seed and the number of steps of a run that failed show it again
 *
 * With a seed it tells each call. Without: one run whose seed is always the same, one whose seed is new each time. KIND
 * double: the double against itself, and against doubles that break one rule each, which must be found out. */
#include "archive_model.h"

#include "tests/kit/archive_double.h"

#define STEPS 1000 /* of each of the two runs */
#define SEED  20261128
#define BURST 8

uint64_t random_next(struct random *r)
{
	uint64_t z = r->state += 0x9e3779b97f4a7c15u;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

unsigned random_below(struct random *r, unsigned n)
{
	return (unsigned)(random_next(r) % n);
}

bool random_chance(struct random *r, unsigned percent)
{
	return random_below(r, 100) < percent;
}

void *model_alloc(struct model *m, size_t n)
{
	void *p = msgpack_zone_malloc(m->zone, n + 1);

	assert_non_null(p);
	return memset(p, 0, n + 1);
}

wire_str model_copy(struct model *m, wire_str s)
{
	char *p = model_alloc(m, s.n);

	if (s.n > 0)
		memcpy(p, s.p, s.n);
	return (wire_str){p, s.n};
}

static struct model_answer answers(struct rig *g)
{
	struct model_answer a = {.r = g->r, .res = g->res, .hits = g->answer.hits, .nhits = g->answer.nhits};

	snprintf(a.field, sizeof(a.field), "%s", g->r < 0 ? g->fault.field : "");
	return a;
}

struct model_answer model_ask(struct model *m, unsigned side, enum wire_msg_id id, const void *msg)
{
	rig_try(m->side[side], id, msg);
	return answers(m->side[side]);
}

/* ---- what the model remembers of what was answered ---- */
static void know_memory(struct model *m, wire_str a, wire_str b)
{
	struct msg_memory_get get[SIDES] = {{.id = a}, {.id = b}};
	struct model_answer got[SIDES];
	struct model_memory *at;
	size_t i;

	for (unsigned side = 0; side < SIDES; side++)
		got[side] = model_ask(m, side, MSG_memory_get, &get[side]);
	if (got[0].r != got[1].r) {
		model_differ(m, "get of a new memory: %s and %s", tr_strerror(got[0].r), tr_strerror(got[1].r));
		return;
	}
	if (got[0].r < 0) /* forgotten by a neighbour in the same commit */
		return;
	if (!model_compare(m, wire_methods[MSG_memory_get].result, got[0].res, got[1].res, false) ||
	    !model_learn_number(m, got[0].hits[0].memory, got[1].hits[0].memory))
		return;
	for (i = 0; i < m->nmemories; i++) {
		if (model_same_id(m, m->memory[i].id[0], b) && m->memory[i].id[0].n == a.n &&
		    memcmp(m->memory[i].id[0].p, a.p, a.n) == 0)
			break;
	}
	if (i == m->nmemories) {
		MODEL_ROOM(m->memory, m->nmemories, m->cap_memories);
		m->memory[m->nmemories++] = (struct model_memory){{model_copy(m, a), model_copy(m, b)}, {0, 0}};
	}
	at = &m->memory[i];
	at->number[0] = got[0].hits[0].memory;
	at->number[1] = got[1].hits[0].memory;
}

static void remember(struct model *m, const struct model_call *call, struct model_answer a, struct model_answer b)
{
	const struct msg_memory_restore *restore[SIDES] = {call->msg[0], call->msg[1]};
	const struct res_memory_add *add[SIDES] = {a.res, b.res};
	const struct res_memory_decide *decide[SIDES] = {a.res, b.res};
	uint32_t i;

	if (a.r < 0 || b.r < 0)
		return;
	switch (call->id) {
	case MSG_memory_add:
		m->created += add[0]->memories.n;
		for (i = 0; i < add[0]->memories.n; i++)
			know_memory(m, add[0]->memories.v[i].id, add[1]->memories.v[i].id);
		break;
	case MSG_memory_decide:
		m->created++;
		know_memory(m, decide[0]->decision.memory_id, decide[1]->decision.memory_id);
		break;
	case MSG_memory_restore:
		m->created += restore[0]->records.n;
		for (i = 0; i < restore[0]->records.n; i++)
			know_memory(m, restore[0]->records.v[i].id, restore[1]->records.v[i].id);
		break;
	default:
		break;
	}
}

static void remember_page(struct model *m, const struct model_call *call, struct model_answer a, struct model_answer b)
{
	const struct res_memory_recall *res[SIDES] = {a.res, b.res};

	m->cursor[0] = m->cursor[1] = wire_s(NULL);
	if (a.r < 0 || b.r < 0 || !res[0]->has_next_cursor || !res[1]->has_next_cursor)
		return;
	m->cursor[0] = model_copy(m, res[0]->next_cursor);
	m->cursor[1] = model_copy(m, res[1]->next_cursor);
	m->asked = *(const struct msg_memory_recall *)call->msg[0];
}

/* ---- steps ---- */
static bool compare_call(struct model *m, const struct model_call *call, struct model_answer a, struct model_answer b)
{
	const struct model_answer answer[SIDES] = {a, b};

	if (m->trace)
		printf("  %s: %s %s\n", wire_methods[call->id].method, tr_strerror(a.r), a.field);
	return model_compare_answers(m, call, answer);
}

static void one_call(struct model *m, const struct model_call *call)
{
	struct model_answer a = model_ask(m, 0, call->id, call->msg[0]), b = model_ask(m, 1, call->id, call->msg[1]);

	if (!compare_call(m, call, a, b))
		return;
	if (call->id == MSG_memory_recall)
		remember_page(m, call, a, b);
	remember(m, call, a, b);
}

struct burst {
	struct model_answer answer[BURST];
	unsigned n, done;
};
struct in_burst {
	struct burst *of;
	unsigned at;
};

static void on_answer(void *arg, int r, const struct archive_answer *answer, const struct tr_fault *fault)
{
	struct in_burst *in = arg;
	struct model_answer *a = &in->of->answer[in->at];

	in->of->done++;
	a->r = r;
	if (r < 0) {
		snprintf(a->field, sizeof(a->field), "%s", fault->field);
		return;
	}
	a->res = answer->res;
	a->hits = answer->hits;
	a->nhits = answer->nhits;
}

/* Several writes at once: they share a commit, or some, and each answers as if it had come alone. */
static void one_burst(struct model *m)
{
	struct model_call call[BURST];
	struct in_burst in[SIDES][BURST];
	struct burst burst[SIDES] = {{.n = 2 + random_below(&m->random, BURST - 1)}};
	unsigned i, side;

	burst[1].n = burst[0].n;
	for (i = 0; i < burst[0].n; i++)
		call[i] = model_make_write(m);
	for (side = 0; side < SIDES; side++) {
		struct archive_ctx ctx = {m->side[side]->zone, 0};

		for (i = 0; i < burst[side].n; i++) {
			in[side][i] = (struct in_burst){&burst[side], i};
			assert_int_equal(archive_call(m->side[side]->a, call[i].id, call[i].msg[side], &ctx, on_answer,
						      &in[side][i]),
					 0);
		}
		while (burst[side].done < burst[side].n)
			uv_run(&m->side[side]->loop, UV_RUN_ONCE);
	}
	for (i = 0; i < burst[0].n; i++)
		compare_call(m, &call[i], burst[0].answer[i], burst[1].answer[i]);
	for (i = 0; i < burst[0].n && !m->differs; i++) /* what it looks up may name what a later one has made */
		remember(m, &call[i], burst[0].answer[i], burst[1].answer[i]);
}

static void pass_time(struct model *m)
{
	unsigned how = random_below(&m->random, 100);

	if (how < 60)
		rig_now += random_below(&m->random, 600000);
	else if (how < 65)
		rig_now += (int64_t)random_below(&m->random, 72) * HOUR;
	else if (how == 65)
		rig_now += (int64_t)random_below(&m->random, 4) * WEEK;
}

static void one_step(struct model *m)
{
	unsigned kind = random_below(&m->random, 1000);
	struct model_call call;

	pass_time(m);
	if (m->trace)
		printf(" %u at %lld\n", kind, (long long)rig_now);
	for (unsigned side = 0; side < SIDES; side++)
		msgpack_zone_clear(m->side[side]->zone);
	if (kind < 510 || kind >= 990) {
		call = model_make_write(m);
		one_call(m, &call);
	} else if (kind < 870) {
		call = model_make_read(m);
		one_call(m, &call);
	} else if (kind < 920) {
		model_make_notes(m);
		for (unsigned side = 0; side < SIDES; side++)
			rig_settle(m->side[side]);
		know_memory(m, wire_s("settle"), wire_s("settle"));
		m->created++;
	} else if (kind < 950) {
		one_burst(m);
	} else if (kind < 970) {
		model_compare_tails(m);
	} else if (kind < 980) {
		model_compare_exports(m, 1 + random_below(&m->random, 60));
	} else {
		for (unsigned side = 0; side < SIDES; side++)
			rig_reopen(m->side[side]);
	}
}

/* ---- runs ---- */
static void begin(struct model *m, const struct rig_backend *kind, uint64_t seed, enum archive_double_fault fault)
{
	memset(m, 0, sizeof(*m));
	m->random.state = seed;
	assert_non_null(m->zone = msgpack_zone_new(65536));
	m->side[0] = rig_new_of(&rig_double);
	m->side[1] = rig_new_of(kind);
	if (fault != ARCHIVE_DOUBLE_SOUND)
		archive_double_break(m->side[1]->path, fault);
	for (unsigned side = 0; side < SIDES; side++)
		assert_int_equal(rig_open_again(m->side[side], NULL), 0);
}

static void end(struct model *m)
{
	for (unsigned side = 0; side < SIDES; side++) {
		free(m->follower[side].v);
		rig_free(m->side[side]);
	}
	msgpack_zone_free(m->zone);
	free(m->memory);
	free(m->ids);
	free(m->numbers);
}

/* How many steps it took to find a difference; 0: there is none. */
static unsigned run(struct model *m, unsigned steps)
{
	unsigned i;

	for (i = 0; i < steps && !m->differs; i++) {
		one_step(m);
		if (i % 250 == 249 && !m->differs)
			model_compare_all(m);
	}
	if (!m->differs)
		model_compare_all(m);
	return m->differs ? i : 0;
}

static uint64_t given_seed;
static unsigned given_steps; /* 0: none were given */

static void agrees(uint64_t seed, unsigned steps)
{
	struct model m;
	unsigned failed;

	printf("test_archive_model %s %llu %u\n", rig_backend->name, (unsigned long long)seed, steps);
	fflush(stdout);
	begin(&m, rig_backend, seed, ARCHIVE_DOUBLE_SOUND);
	m.trace = given_steps > 0;
	failed = run(&m, steps);
	archive_close(&m.side[1]->a);
	if (failed == 0)
		m.side[1]->kind->sound(m.side[1]);
	end(&m);
	if (failed > 0)
		fail_msg("seed %llu, step %u: %s", (unsigned long long)seed, failed, m.why);
}

static void the_given_seed(void **s)
{
	(void)s;
	agrees(given_seed, given_steps);
}

static void always_the_same(void **s)
{
	(void)s;
	agrees(SEED, STEPS);
}

static void each_time_another(void **s)
{
	(void)s;
	agrees((uint64_t)tr_wall_ms() * 1000003u + (uint64_t)getpid(), STEPS);
}

/* This test would notice. */
static void broken_ones_are_found_out(void **s)
{
	int fault;

	(void)s;
	if (rig_backend != &rig_double)
		skip();
	for (fault = ARCHIVE_DOUBLE_SOUND + 1; fault < ARCHIVE_DOUBLE_NFAULTS; fault++) {
		struct model m;
		unsigned steps;

		begin(&m, &rig_double, SEED, (enum archive_double_fault)fault);
		steps = run(&m, STEPS);
		printf("fault %d: step %u: %s\n", fault, steps, m.why);
		end(&m);
		assert_true(steps > 0);
	}
}

int main(int argc, char **argv)
{
	const struct CMUnitTest given[] = {cmocka_unit_test(the_given_seed)};
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(always_the_same),
		cmocka_unit_test(each_time_another),
		cmocka_unit_test(broken_ones_are_found_out),
	};

	rig_choose(argc, argv);
	if (argc < 3)
		return cmocka_run_group_tests(tests, NULL, NULL);
	given_seed = strtoull(argv[2], NULL, 10);
	given_steps = argc > 3 ? (unsigned)strtoul(argv[3], NULL, 10) : STEPS;
	return cmocka_run_group_tests(given, NULL, NULL);
}
