/* A disk that is nearly full, on an archive in SQLite: writing stops before it is, and goes on by itself. */
#include "memory_rig.h"

#define MB   (1u << 20)
#define WAIT 20000u

static _Atomic uint64_t free_bytes;
static _Atomic int looked, fails;

static int told_free(const char *path, uint64_t *out)
{
	assert_non_null(path);
	looked++;
	if (fails)
		return UV_EIO;
	*out = free_bytes;
	return 0;
}

/* At least 64 MB must be free. */
static int setup(void **s)
{
	struct rig *g = rig_new();
	struct archive_cfg cfg = rig_cfg(g);

	*s = g;
	fails = 0;
	free_bytes = 1000ull * MB;
	cfg.min_free_bytes = 64ull * MB;
	cfg.free_bytes = told_free;
	return g->kind->open(&g->a, &cfg, NULL);
}

static bool healthy(struct rig *g, const char **why)
{
	struct archive_stats stats;

	archive_stats(g->a, &stats);
	if (why != NULL)
		*why = stats.reason;
	return stats.healthy;
}

/* It looks by itself, nobody calls. */
static void until(struct rig *g, bool well)
{
	uint64_t end = tr_mono_ms() + WAIT;

	while (healthy(g, NULL) != well) {
		assert_true(tr_mono_ms() < end);
		usleep(1000);
	}
}

/* After it has looked once more, nothing is another. */
static void still(struct rig *g, bool well)
{
	int before = looked;
	uint64_t end = tr_mono_ms() + WAIT;

	while (looked < before + 2) {
		assert_true(tr_mono_ms() < end);
		usleep(1000);
	}
	assert_true(healthy(g, NULL) == well);
}

static void writing_stops_and_goes_on(void **s)
{
	struct rig *g = *s;
	struct item_new_memory m = said("too late");
	struct msg_memory_patch patch = {.id = rig_say(g, "there already")->id, .has_importance = true};
	struct msg_memory_decide decide = {.text = wire_s("no"), .by = wire_s("meta_jr")};
	struct msg_memory_import_begin begin = {.id = wire_s("i"), .name = wire_s("f"), .size = 1};
	struct msg_memory_forget forget = {.has_now = true, .now = true};
	const char *why;
	double before;

	forget.id = rig_say(g, "may go")->id;
	assert_true(healthy(g, &why) && why == NULL);
	free_bytes = 64ull * MB - 1;
	until(g, false);
	assert_false(healthy(g, &why));
	assert_string_equal(why, "the disk is nearly full: 64 MB must be free (archive.min_free_mb); reading and "
				 "forgetting go on");
	before = rig_look(g, LOOK_MEMORIES);
	assert_false(rig_try_add(g, &m));
	assert_int_equal(g->r, TR_ENOSPACE);
	assert_string_equal(g->fault.rule, why);
	assert_true(rig_try(g, MSG_memory_patch, &patch) == NULL && g->r == TR_ENOSPACE);
	assert_true(rig_try(g, MSG_memory_decide, &decide) == NULL && g->r == TR_ENOSPACE);
	assert_true(rig_try(g, MSG_memory_import_begin, &begin) == NULL && g->r == TR_ENOSPACE);
	assert_true(rig_look(g, LOOK_MEMORIES) == before);
	rig_get(g, patch.id); /* reading goes on, and forgetting and purging too: they make room */
	assert_true(((const struct res_memory_forget *)rig_call(g, MSG_memory_forget, &forget))->purged);
	free_bytes = 64ull * MB; /* not at once with the first byte: it would go to and fro */
	still(g, false);
	free_bytes = 80ull * MB;
	until(g, true);
	rig_add(g, &m);
}

/* Accesses that were noted meanwhile are written afterwards. */
static void notes_wait(void **s)
{
	struct rig *g = *s;
	wire_str id = rig_say(g, "used")->id;
	struct entangle_change change = {.phase = 0.5, .compared = 2};
	uint64_t end = tr_mono_ms() + WAIT;

	rig_get(g, id);
	change.memory = g->answer.hits[0].memory;
	free_bytes = 0;
	until(g, false);
	archive_touch(g->a, change.memory, rig_now);
	archive_entangled(g->a, &change);
	still(g, false);
	assert_int_equal(rig_get(g, id)->access_count, 1);
	free_bytes = 100ull * MB;
	until(g, true);
	while (rig_get(g, id)->access_count == 1)
		assert_true(tr_mono_ms() < end);
	assert_true(rig_get(g, id)->has_phase_coherence);
}

/* Before a large call the disk is looked at once more. */
static void a_large_call_is_looked_at(void **s)
{
	enum { N = 20, SIZE = 60000 };
	struct rig *g = *s;
	static char text[N][SIZE + 1];
	static struct item_new_memory m[N];
	struct msg_memory_add add = {.memories = {m, N}};
	int i;

	for (i = 0; i < N; i++) {
		memset(text[i], 'a' + i, SIZE);
		m[i] = said(text[i]);
	}
	still(g, true);
	free_bytes = 64ull * MB + N * SIZE;
	assert_null(rig_try(g, MSG_memory_add, &add));
	assert_int_equal(g->r, TR_ENOSPACE);
	assert_non_null(strstr(g->fault.rule, "a call of this size"));
	assert_true(healthy(g, NULL)); /* smaller ones still fit */
	rig_say(g, "small");
	free_bytes = 64ull * MB + 5 * N * SIZE;
	rig_call(g, MSG_memory_add, &add);
	free_bytes = 1;
	assert_null(rig_try(g, MSG_memory_add, &add));
	assert_int_equal(g->r, TR_ENOSPACE);
	assert_false(healthy(g, NULL));
}

/* What cannot be found out stops nobody. */
static void a_blind_look_stops_nobody(void **s)
{
	struct rig *g = *s;

	fails = 1;
	still(g, true);
	rig_say(g, "written");
	fails = 0;
	free_bytes = 0;
	until(g, false);
	fails = 1;
	still(g, false); /* and what was known last stays */
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, rig_teardown_sound)
int main(void)
{
	const struct CMUnitTest tests[] = {
		T(writing_stops_and_goes_on),
		T(notes_wait),
		T(a_large_call_is_looked_at),
		T(a_blind_look_stops_nobody),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
