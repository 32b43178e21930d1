/* Following what others commit and taking the lead, on any archive. */
#include "memory_rig.h"

#define WAIT_MS 20000 /* for what must happen; nothing waits that long when all is well */

struct told {
	int r;
	bool done;
	uint64_t epoch;
	struct archive_tail tail;
	struct archive_change v[20000];
};

static void on_tail(void *arg, int r, const struct archive_tail *tail, const struct tr_fault *fault)
{
	struct told *t = arg;

	t->done = true;
	t->r = r;
	assert_true((r == 0) == (tail != NULL) && (r < 0) == (fault != NULL));
	if (tail == NULL)
		return;
	t->tail = *tail;
	assert_in_range(tail->n, 0, sizeof(t->v) / sizeof(t->v[0]));
	if (tail->n > 0)
		memcpy(t->v, tail->v, sizeof(t->v[0]) * tail->n);
}

static void on_lead(void *arg, int r, uint64_t epoch, const struct tr_fault *fault)
{
	struct told *t = arg;

	t->done = true;
	t->r = r;
	t->epoch = epoch;
	assert_true((r < 0) == (fault != NULL));
}

static void await(struct rig *g, struct told *t)
{
	uint64_t until = tr_mono_ms() + WAIT_MS;

	assert_false(t->done); /* never from inside the call */
	while (!t->done && tr_mono_ms() < until)
		uv_run(&g->loop, UV_RUN_ONCE);
	assert_true(t->done);
}

/* One page of what happened after *mark, which moves behind it. */
static void page(struct rig *g, struct archive *a, struct archive_mark *mark, unsigned limit, struct told *t)
{
	memset(t, 0, offsetof(struct told, v));
	assert_int_equal(archive_tail(a, mark, limit, on_tail, t), 0);
	await(g, t);
	assert_int_equal(t->r, 0);
	assert_false(t->tail.lost);
	*mark = t->tail.next;
}

#define FOLLOWED 64
/* What a follower has of an archive: numbers, and how often it heard that one changed. */
struct copy {
	struct archive_mark mark;
	int64_t memory[FOLLOWED];
	unsigned changed[FOLLOWED], n;
};

static unsigned place(const struct copy *c, int64_t memory)
{
	unsigned i;

	for (i = 0; i < c->n && c->memory[i] != memory; i++)
		;
	return i;
}

static void catch_up(struct rig *g, struct archive *a, struct copy *c, unsigned limit)
{
	static struct told t;
	unsigned i, at, pages = 0;

	do {
		page(g, a, &c->mark, limit, &t);
		for (i = 0; i < t.tail.n; i++) {
			at = place(c, t.v[i].memory);
			assert_in_range(t.v[i].kind, ARCHIVE_ADDED, ARCHIVE_FORGOTTEN);
			if (at == c->n && t.v[i].kind == ARCHIVE_ADDED) {
				assert_true(c->n < FOLLOWED);
				c->changed[c->n] = 0;
				c->memory[c->n++] = t.v[i].memory;
			} else if (at < c->n && t.v[i].kind == ARCHIVE_CHANGED) {
				c->changed[at]++;
			} else if (at < c->n && t.v[i].kind == ARCHIVE_FORGOTTEN) {
				c->memory[at] = c->memory[--c->n];
				c->changed[at] = c->changed[c->n];
			}
		}
		assert_true(++pages < 1000);
	} while (t.tail.more);
}

static int64_t number_of(struct rig *g, wire_str id)
{
	rig_get(g, id);
	return g->answer.hits[0].memory;
}

/* The follower has what a list shows, and nothing else. */
static void has_all(struct rig *g, const struct copy *c)
{
	struct msg_memory_recall msg = {.has_limit = true, .limit = 200};
	unsigned i;

	rig_call(g, MSG_memory_recall, &msg);
	assert_int_equal(g->answer.nhits, c->n);
	for (i = 0; i < c->n; i++)
		assert_true(place(c, g->answer.hits[i].memory) < c->n);
}

static unsigned changes_of(struct rig *g, const struct copy *c, wire_str id)
{
	unsigned at = place(c, number_of(g, id));

	assert_true(at < c->n);
	return c->changed[at];
}

static void every_change_is_told(void **s)
{
	struct rig *g = *s;
	static struct copy c, anew;
	struct item_new_memory m = said("corrected");
	struct msg_memory_patch patch = {.has_importance = true, .importance = 1};
	struct msg_memory_forget forget = {0};
	wire_str old, other;
	int64_t gone;
	char text[32];
	int i;

	memset(&c, 0, sizeof(c));
	catch_up(g, g->a, &c, 10);
	assert_int_equal(c.n, 0);
	for (i = 0; i < 25; i++) {
		snprintf(text, sizeof(text), "row %d", i);
		rig_say(g, text);
	}
	old = rig_say(g, "old")->id;
	other = rig_say(g, "other")->id;
	gone = number_of(g, old);
	catch_up(g, g->a, &c, 7); /* page by page */
	has_all(g, &c);
	/* tags, importance and metadata; sacredness, also by a repetition; links */
	patch.id = other;
	rig_call(g, MSG_memory_patch, &patch);
	catch_up(g, g->a, &c, 100);
	assert_true(changes_of(g, &c, other) >= 1);
	m.content = wire_s("other"), m.has_sacred = m.sacred = true;
	c.changed[place(&c, number_of(g, other))] = 0;
	rig_add(g, &m);
	catch_up(g, g->a, &c, 100);
	assert_true(changes_of(g, &c, other) >= 1);
	m = said("corrected"), m.has_supersedes = true, m.supersedes = old;
	rig_add(g, &m);
	catch_up(g, g->a, &c, 100);
	assert_true(changes_of(g, &c, old) >= 1);
	has_all(g, &c);
	forget.id = old;
	rig_call(g, MSG_memory_forget, &forget);
	rig_say(g, "row 26");
	catch_up(g, g->a, &c, 1);
	has_all(g, &c);
	assert_true(place(&c, gone) == c.n);
	/* a call that fails tells nothing */
	i = (int)c.n;
	m = said("refused"), m.has_supersedes = true, m.supersedes = wire_s("nobody");
	assert_false(rig_try_add(g, &m));
	catch_up(g, g->a, &c, 100);
	assert_int_equal(c.n, i);
	/* the mark holds over a restart, and who begins now gets the same */
	rig_reopen(g);
	rig_say(g, "after the restart");
	catch_up(g, g->a, &c, 100);
	has_all(g, &c);
	memset(&anew, 0, sizeof(anew));
	catch_up(g, g->a, &anew, 3);
	has_all(g, &anew);
}

static void open_follower(struct rig *g, struct archive **out)
{
	struct archive_cfg cfg = rig_cfg(g);
	struct tr_fault fault = {0};

	cfg.follow = true;
	if (g->kind->open(out, &cfg, &fault) < 0)
		fail_msg("cannot follow: %s %s", fault.field, fault.rule);
}

/* Calls by the rig go to that one. */
static void turn_to(struct rig *g, struct archive **other)
{
	struct archive *a = g->a;

	g->a = *other;
	*other = a;
}

/* *epoch: the one to lead in, and then the one it says. */
static int take_lead(struct rig *g, uint64_t *epoch)
{
	static struct told t;

	memset(&t, 0, offsetof(struct told, v));
	assert_int_equal(archive_lead(g->a, *epoch, on_lead, &t), 0);
	await(g, &t);
	*epoch = t.epoch;
	return t.r;
}

static uint64_t next_epoch(struct rig *g)
{
	struct archive_stats stats;

	archive_stats(g->a, &stats);
	return stats.epoch + 1;
}

static void a_follower_sees_and_leaves_alone(void **s)
{
	struct rig *g = *s;
	struct item_new_memory m = said("not by a follower");
	struct item_recall_sample log = {rig_now, 1, 1};
	struct archive *follower = NULL;
	static struct copy c;
	wire_str id = rig_say(g, "the lead's")->id;
	double epoch = rig_look(g, LOOK_EPOCH);

	memset(&c, 0, sizeof(c));
	open_follower(g, &follower);
	turn_to(g, &follower);
	assert_true(same(rig_get(g, id)->content, "the lead's"));
	catch_up(g, g->a, &c, 100);
	has_all(g, &c);
	assert_int_equal(rig_export(g, 10).n, 1);
	assert_false(rig_try_add(g, &m));
	assert_int_equal(g->r, TR_EUNAVAILABLE);
	archive_touch(g->a, c.memory[0], rig_now);
	archive_recalled(g->a, &log);
	turn_to(g, &follower);
	rig_say(g, "one more"); /* the lead goes on */
	turn_to(g, &follower);
	catch_up(g, g->a, &c, 100);
	assert_int_equal(c.n, 2);
	has_all(g, &c);
	archive_close(&g->a);
	turn_to(g, &follower);
	assert_true(rig_look(g, LOOK_EPOCH) == epoch && rig_look(g, LOOK_MEMORIES) == 2.0);
	assert_int_equal(rig_get(g, id)->access_count, 1);
}

static void a_follower_takes_over(void **s)
{
	struct rig *g = *s;
	struct archive *follower = NULL;
	struct msg_memory_add msg;
	struct item_new_memory m = said("asked twice");
	static struct copy c;
	uint64_t epoch = 0;
	double before = rig_look(g, LOOK_EPOCH);
	const struct item_added *again;
	wire_str id;

	memset(&c, 0, sizeof(c));
	msg = (struct msg_memory_add){.memories = {&m, 1}};
	msg.common.has_request_id = true;
	msg.common.request_id = wire_s("r");
	open_follower(g, &follower);
	id = ((const struct res_memory_add *)rig_call(g, MSG_memory_add, &msg))->memories.v[0].id;
	archive_close(&g->a);
	turn_to(g, &follower);
	epoch = next_epoch(g) + 5; /* a role may have raised it for other reasons */
	assert_int_equal(take_lead(g, &epoch), 0);
	assert_true((double)epoch == before + 6 && rig_look(g, LOOK_EPOCH) == (double)epoch);
	catch_up(g, g->a, &c, 100); /* all that was acknowledged */
	assert_int_equal(c.n, 1);
	/* the caller sends it again: the same answer, not a second effect */
	again = &((const struct res_memory_add *)rig_call(g, MSG_memory_add, &msg))->memories.v[0];
	assert_true(again->created && again->id.n == id.n && memcmp(again->id.p, id.p, id.n) == 0);
	assert_int_equal(rig_get(g, id)->access_count, 1);
	rig_say(g, "the new lead's");
	rig_figures_hold(g);
	assert_int_equal(rig_thermal(g, 0)->total_memories, 2);
	assert_true(take_lead(g, &epoch) < 0); /* it leads */
}

/* Whoever led before may not be gone yet: from the claim on nothing of it is committed. */
static void who_was_replaced_commits_nothing(void **s)
{
	struct rig *g = *s;
	struct item_new_memory late = said("too late");
	struct item_recall_sample log = {rig_now, 1, 1};
	struct archive_stats stats;
	struct archive *other = NULL;
	uint64_t epoch = 0;
	wire_str id = rig_say(g, "in time")->id;
	int64_t memory = number_of(g, id);

	open_follower(g, &other);
	turn_to(g, &other);
	epoch = next_epoch(g);
	assert_int_equal(take_lead(g, &epoch), 0);
	rig_say(g, "the new lead's");
	turn_to(g, &other); /* the old one */
	assert_false(rig_try_add(g, &late));
	assert_int_equal(g->r, TR_EUNAVAILABLE);
	archive_stats(g->a, &stats);
	assert_false(stats.healthy);
	archive_touch(g->a, memory, rig_now);
	archive_recalled(g->a, &log);
	archive_close(&g->a); /* its notes go nowhere */
	turn_to(g, &other);
	assert_true(rig_look(g, LOOK_MEMORIES) == 2.0 && rig_look(g, LOOK_EPOCH) == (double)epoch);
	assert_int_equal(rig_get(g, id)->access_count, 1);
	rig_reopen(g);
	archive_stats(g->a, &stats);
	assert_true(stats.recalls_total == 0 && stats.healthy);
}

/* A claim that comes late, of who led before the newest lead, changes nothing. */
static void a_late_claim_is_refused(void **s)
{
	struct rig *g = *s;
	struct archive *late = NULL;
	struct item_new_memory m = said("too late");
	struct archive_stats stats;
	uint64_t epoch = next_epoch(g), mine = epoch + 1;

	open_follower(g, &late);
	archive_close(&g->a);
	open_follower(g, &g->a);
	assert_int_equal(take_lead(g, &mine), 0);
	turn_to(g, &late);
	assert_int_equal(take_lead(g, &epoch), TR_EREFUSED);
	archive_stats(g->a, &stats);
	assert_true(stats.fenced);
	assert_false(rig_try_add(g, &m));
	assert_int_equal(g->r, TR_EUNAVAILABLE);
	turn_to(g, &late);
	assert_true(rig_look(g, LOOK_EPOCH) == (double)mine);
	rig_say(g, "the lead goes on");
	archive_close(&late);
	uv_run(&g->loop, UV_RUN_NOWAIT);
	/* nor does the same epoch lead twice */
	open_follower(g, &late);
	turn_to(g, &late);
	epoch = mine;
	assert_int_equal(take_lead(g, &epoch), TR_EREFUSED);
	turn_to(g, &late);
	rig_say(g, "and on");
	archive_close(&late);
	uv_run(&g->loop, UV_RUN_NOWAIT);
	assert_true(rig_look(g, LOOK_MEMORIES) == 2.0);
}

/* What is asked behind the wish to lead waits for it; what was asked before is not for a follower. */
static void writes_wait_for_the_claim(void **s)
{
	struct rig *g = *s;
	struct item_new_memory m = said("written by a follower that leads");
	struct msg_memory_add msg = {.memories = {&m, 1}};
	struct archive_ctx ctx = {g->zone, 0};
	uint64_t epoch = next_epoch(g);
	static struct told t;

	archive_close(&g->a);
	open_follower(g, &g->a);
	assert_false(rig_try_add(g, &m));
	assert_int_equal(g->r, TR_EUNAVAILABLE);
	memset(&t, 0, offsetof(struct told, v));
	assert_int_equal(archive_lead(g->a, epoch, on_lead, &t), 0);
	g->waiting = 1;
	assert_int_equal(archive_call(g->a, MSG_memory_add, &msg, &ctx, rig_answered, g), 0);
	while (g->waiting > 0)
		uv_run(&g->loop, UV_RUN_ONCE);
	assert_true(t.done && t.r == 0 && t.epoch == epoch);
	assert_int_equal(g->r, 0);
}

static struct archive_stats refreshed(struct rig *g, struct archive *a)
{
	static struct told t;
	struct archive_stats stats;

	memset(&t, 0, offsetof(struct told, v));
	assert_int_equal(archive_refresh(a, on_lead, &t), 0);
	await(g, &t);
	assert_int_equal(t.r, 0);
	archive_stats(a, &stats);
	return stats;
}

/* What is kept in memory of what others change. */
static void a_follower_is_brought_up_to_date(void **s)
{
	struct rig *g = *s;
	struct item_recall_sample log = {rig_now, 1, 1};
	struct entangle_change change = {.phase = 0.5, .compared = 3};
	struct archive_stats stats;
	struct archive *follower = NULL;
	uint64_t before, epoch = next_epoch(g);

	change.memory = number_of(g, rig_say(g, "in company")->id);
	open_follower(g, &follower);
	archive_stats(follower, &stats);
	assert_true(stats.recalls_total == 0 && stats.phase_known == 0 && stats.epoch + 1 == epoch);
	archive_recalled(g->a, &log);
	archive_recalled(g->a, &log);
	archive_entangled(g->a, &change);
	rig_settle(g);
	before = stats.changes;
	stats = refreshed(g, follower);
	if (stats.recalls_total == 0) /* its other reader was asked, or it saw it when it was opened */
		stats = refreshed(g, follower);
	assert_true(stats.changes > before);
	assert_int_equal(stats.recalls_total, 2);
	assert_true(stats.phase_known == 1 && stats.phase_sum == 0.5);
	/* and the last it does, on the lead */
	archive_recalled(g->a, &log);
	change.phase = 0.75;
	archive_entangled(g->a, &change);
	archive_close(&g->a);
	turn_to(g, &follower);
	assert_int_equal(take_lead(g, &epoch), 0);
	archive_stats(g->a, &stats);
	assert_int_equal(stats.recalls_total, 3);
	assert_true(stats.phase_known == 1 && stats.phase_sum == 0.75 && stats.epoch == epoch);
	archive_recalled(g->a, &log);
	rig_settle(g);
	rig_reopen(g);
	archive_stats(g->a, &stats);
	assert_int_equal(stats.recalls_total, 4);
}

/* Where nothing is yet, or something older, a follower neither makes nor migrates anything. */
static void a_follower_makes_nothing(void **s)
{
	struct rig *g = *s;
	struct archive_cfg cfg = rig_cfg(g);
	struct archive *a = NULL;
	struct tr_fault fault = {0};
	int i;

	if (g->kind->sql == NULL)
		skip();
	archive_close(&g->a);
	uv_run(&g->loop, UV_RUN_NOWAIT);
	g->kind->wipe(g);
	cfg.follow = true;
	for (i = 0; i < 2; i++) { /* it left nothing that would do the second time */
		assert_int_equal(g->kind->open(&a, &cfg, &fault), TR_EBUSY);
		assert_null(a);
		assert_true(access(g->path, F_OK) < 0);
	}
	cfg.alone = true;
	assert_int_equal(g->kind->open(&a, &cfg, &fault), 0);
	archive_close(&a);
	uv_run(&g->loop, UV_RUN_NOWAIT);
	cfg.alone = false;
	assert_int_equal(g->kind->open(&a, &cfg, &fault), 0);
	archive_close(&a);
	uv_run(&g->loop, UV_RUN_NOWAIT);
	assert_false(rig_refuses(g, "UPDATE schema_migrations SET version = version - 100"));
	assert_int_equal(g->kind->open(&a, &cfg, &fault), TR_EBUSY);
	uv_run(&g->loop, UV_RUN_NOWAIT);
	assert_false(rig_refuses(g, "UPDATE schema_migrations SET version = version + 100"));
	assert_int_equal(rig_open_again(g, &fault), 0);
}

static void epochs_only_grow(void **s)
{
	struct rig *g = *s;
	struct archive_cfg cfg = rig_cfg(g);
	double last = rig_look(g, LOOK_EPOCH), now;
	int i;

	for (i = 0; i < 3; i++) {
		rig_reopen(g); /* always with epoch 1 */
		now = rig_look(g, LOOK_EPOCH);
		assert_true(now > last);
		last = now;
	}
	archive_close(&g->a);
	cfg.epoch = 1000;
	assert_int_equal(g->kind->open(&g->a, &cfg, NULL), 0);
	assert_true(rig_look(g, LOOK_EPOCH) == 1000.0);
	rig_reopen(g);
	assert_true(rig_look(g, LOOK_EPOCH) == 1001.0);
	rig_say(g, "still writes");
}

/* Closing answers who waits: writes are finished, whoever only looks is turned away. */
static void closing_answers_all(void **s)
{
	struct rig *g = *s;
	struct item_new_memory m = said("on the way");
	struct msg_memory_add msg = {.memories = {&m, 1}};
	struct archive_mark mark = {0, 0};
	static struct told t, u;
	struct archive_ctx ctx = {g->zone, 0};

	memset(&t, 0, offsetof(struct told, v));
	memset(&u, 0, offsetof(struct told, v));
	g->waiting = 1;
	assert_int_equal(archive_call(g->a, MSG_memory_add, &msg, &ctx, rig_answered, g), 0);
	assert_int_equal(archive_tail(g->a, &mark, 10, on_tail, &t), 0);
	archive_close(&g->a);
	assert_true(g->waiting == 0 && g->r == 0 && t.done && (t.r == 0 || t.r == TR_ECLOSED));
	rig_reopen(g);
	assert_true(rig_look(g, LOOK_MEMORIES) == 1.0);
	archive_close(&g->a);
	open_follower(g, &g->a);
	assert_int_equal(archive_lead(g->a, 1000, on_lead, &u), 0);
	archive_close(&g->a);
	assert_true(u.done);
	rig_reopen(g);
}

#define T(name) cmocka_unit_test_setup_teardown(name, rig_setup, rig_teardown_sound)
int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		T(every_change_is_told),
		T(a_follower_sees_and_leaves_alone),
		T(a_follower_takes_over),
		T(who_was_replaced_commits_nothing),
		T(epochs_only_grow),
		T(closing_answers_all),
		T(a_late_claim_is_refused),
		T(writes_wait_for_the_claim),
		T(a_follower_is_brought_up_to_date),
		T(a_follower_makes_nothing),
	};

	rig_choose(argc, argv);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
