#include "memory_rig.h"

#include <dirent.h>

_Atomic int64_t rig_now = RIG_BEGIN;
const struct rig_backend *rig_backend = &rig_sqlite;

int64_t rig_clock(void)
{
	return rig_now;
}

const struct rig_backend *rig_find(const char *name)
{
	static const struct rig_backend *const all[] = {&rig_sqlite, &rig_double, &rig_postgresql};
	size_t i;

	for (i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		if (strcmp(all[i]->name, name) == 0)
			return all[i];
	}
	return NULL;
}

void rig_choose(int argc, char **argv)
{
	struct tr_fault fault = {0};
	struct rig *g;
	int r;

	if (argc > 1 && (rig_backend = rig_find(argv[1])) == NULL) {
		fprintf(stderr, "usage: %s [sqlite|postgresql|double]\n", argv[0]);
		exit(2);
	}
	if (rig_backend != &rig_postgresql)
		return;
	g = rig_new();
	if ((r = rig_open_again(g, &fault)) < 0)
		fprintf(stderr, "PostgreSQL: %s %s\n", fault.field, fault.rule);
	rig_free(g);
	if (r < 0)
		exit(r == TR_EUNSUPPORTED ? 77 : 1);
}

struct archive_cfg rig_cfg(struct rig *g)
{
	return (struct archive_cfg){.loop = &g->loop,
				    .path = g->path,
				    .conninfo = g->conninfo[0] == '\0' ? NULL : g->conninfo,
				    .epoch = 1,
				    .wall_ms = rig_clock,
				    .governors = g->governors,
				    .act_delay_ms = g->act_delay_ms,
				    .sacred_limited = g->sacred_limited,
				    .sacred_quota = g->sacred_quota};
}

int rig_open_again(struct rig *g, struct tr_fault *fault)
{
	const struct archive_cfg cfg = rig_cfg(g);

	return g->kind->open(&g->a, &cfg, fault);
}

struct rig *rig_new_of(const struct rig_backend *kind)
{
	struct rig *g = calloc(1, sizeof(*g));

	assert_non_null(g);
	g->kind = kind;
	rig_now = RIG_BEGIN;
	snprintf(g->dir, sizeof(g->dir), "/tmp/tribe-archive-XXXXXX");
	assert_non_null(mkdtemp(g->dir));
	snprintf(g->path, sizeof(g->path), "%s/thermal.sqlite", g->dir);
	assert_int_equal(uv_loop_init(&g->loop), 0);
	g->zone = msgpack_zone_new(8192);
	assert_non_null(g->zone);
	kind->place(g);
	return g;
}

struct rig *rig_new(void)
{
	return rig_new_of(rig_backend);
}

static void remove_dir(const char *path)
{
	DIR *d = opendir(path);
	struct dirent *e;

	while (d != NULL && (e = readdir(d)) != NULL) {
		char name[400];

		snprintf(name, sizeof(name), "%s/%s", path, e->d_name);
		unlink(name);
	}
	if (d != NULL)
		closedir(d);
	rmdir(path);
}

void rig_free(struct rig *g)
{
	archive_close(&g->a);
	assert_int_equal(loop_finish(&g->loop), 0);
	msgpack_zone_free(g->zone);
	g->kind->wipe(g);
	remove_dir(g->dir);
	free(g);
}

int rig_setup(void **s)
{
	struct tr_fault fault = {0};
	struct rig *g = rig_new();

	*s = g;
	if (rig_open_again(g, &fault) == 0)
		return 0;
	fprintf(stderr, "cannot open: %s %s\n", fault.field, fault.rule);
	rig_free(g); /* without a setup there is no teardown */
	return -1;
}

int rig_teardown(void **s)
{
	rig_free(*s);
	return 0;
}

int rig_teardown_sound(void **s)
{
	struct rig *g = *s;

	archive_close(&g->a);
	g->kind->sound(g);
	rig_free(g);
	return 0;
}

static void must_open(struct rig *g)
{
	struct tr_fault fault = {0};

	if (rig_open_again(g, &fault) < 0)
		fail_msg("cannot open again: %s %s", fault.field, fault.rule);
}

void rig_reopen(struct rig *g)
{
	archive_close(&g->a);
	must_open(g);
}

void rig_start_over(struct rig *g)
{
	archive_close(&g->a);
	g->kind->wipe(g);
	must_open(g);
}

/* ---- calls ---- */
void rig_answered(void *arg, int r, const struct archive_answer *answer, const struct tr_fault *fault)
{
	struct rig *g = arg;

	g->r = r;
	g->waiting--;
	memset(&g->answer, 0, sizeof(g->answer));
	memset(&g->fault, 0, sizeof(g->fault));
	if (r == 0)
		g->answer = *answer;
	else
		g->fault = *fault;
	g->res = g->answer.res;
}

const void *rig_call_until(struct rig *g, enum wire_msg_id id, const void *msg, uint64_t deadline_ms)
{
	struct archive_ctx ctx = {g->zone, deadline_ms};

	g->waiting = 1;
	g->r = archive_call(g->a, id, msg, &ctx, rig_answered, g);
	if (g->r < 0)
		return NULL;             /* refused at once: g->fault is that of the call before */
	assert_int_equal(g->waiting, 1); /* never from inside the call */
	while (g->waiting > 0)
		uv_run(&g->loop, UV_RUN_ONCE);
	return g->res;
}

const void *rig_try(struct rig *g, enum wire_msg_id id, const void *msg)
{
	return rig_call_until(g, id, msg, 0);
}

const void *rig_call(struct rig *g, enum wire_msg_id id, const void *msg)
{
	const void *res = rig_try(g, id, msg);

	if (res == NULL) {
		fail_msg("%s failed: %s: %s %s", wire_methods[id].method, tr_strerror(g->r), g->fault.field,
			 g->fault.rule);
		abort(); /* not reached: cmocka jumps out, which the compiler cannot know */
	}
	return res;
}

struct item_new_memory said(const char *content)
{
	struct item_new_memory m = {.content = wire_s(content)};

	return m;
}

bool rig_try_add(struct rig *g, const struct item_new_memory *m)
{
	struct msg_memory_add msg = {.memories = {m, 1}};

	return rig_try(g, MSG_memory_add, &msg) != NULL;
}

const struct item_added *rig_add(struct rig *g, const struct item_new_memory *m)
{
	struct msg_memory_add msg = {.memories = {m, 1}};
	const struct res_memory_add *res = rig_call(g, MSG_memory_add, &msg);

	return &res->memories.v[0];
}

const struct item_added *rig_say(struct rig *g, const char *content)
{
	struct item_new_memory m = said(content);

	return rig_add(g, &m);
}

const struct item_memory *rig_get(struct rig *g, wire_str id)
{
	struct msg_memory_get msg = {.id = id};
	const struct res_memory_get *res = rig_call(g, MSG_memory_get, &msg);

	return &res->memory;
}

bool rig_try_get(struct rig *g, wire_str id)
{
	struct msg_memory_get msg = {.id = id};

	return rig_try(g, MSG_memory_get, &msg) != NULL;
}

const struct res_memory_thermal *rig_thermal(struct rig *g, uint32_t hottest)
{
	struct msg_memory_thermal msg = {.has_hottest = true, .hottest = hottest};

	return rig_call(g, MSG_memory_thermal, &msg);
}

void rig_settle(struct rig *g)
{
	struct item_new_memory m = said("settle");

	m.has_id = true;
	m.id = wire_s("settle");
	rig_add(g, &m);
}

bool same(wire_str s, const char *want)
{
	return s.n == strlen(want) && memcmp(s.p, want, s.n) == 0;
}

/* ---- the whole content ---- */
struct list_record rig_export(struct rig *g, uint32_t limit)
{
	struct msg_memory_export msg = {.has_limit = true, .limit = limit};
	const struct res_memory_export *res;
	struct item_record *v = NULL, *kept;
	uint32_t n = 0;

	do {
		res = rig_call(g, MSG_memory_export, &msg);
		assert_true(res->records.n > 0 || !res->has_next);
		v = realloc(v, sizeof(*v) * (n + res->records.n + 1));
		assert_non_null(v);
		if (res->records.n > 0)
			memcpy(v + n, res->records.v, sizeof(*v) * res->records.n);
		n += res->records.n;
		msg.has_after = true;
		msg.after = res->next;
	} while (res->has_next);
	kept = msgpack_zone_malloc(g->zone, sizeof(*v) * (n + 1));
	assert_non_null(kept);
	memcpy(kept, v, sizeof(*v) * n);
	free(v);
	return (struct list_record){kept, n};
}

static void recount(struct rig *g, const struct res_memory_thermal *t)
{
	const struct list_record all = rig_export(g, 1000);
	const struct thermal_model *m = archive_model(g->a);
	uint64_t total = 0, sacred = 0, stages[THERMAL_NSTAGES] = {0}, steps = 0;
	double sum = 0, least = (double)INFINITY;
	uint32_t i;

	for (i = 0; i < all.n; i++) {
		const struct item_record *r = &all.v[i];
		bool holy = r->has_sacred && r->sacred;
		double heat = thermal_import(m, r->heat_key, (double)r->last_access);
		double temperature = thermal_at(m, heat, holy, (double)rig_now);

		if (i > 0 && r->id.n == r[-1].id.n && memcmp(r->id.p, r[-1].id.p, r->id.n) == 0)
			continue; /* decided more than once: a record each, one memory */
		total++;
		sacred += holy;
		stages[thermal_stage_of(m, temperature)]++;
		sum += temperature;
		least = holy ? fmin(least, temperature) : least;
	}
	assert_int_equal(t->total_memories, total);
	assert_int_equal(t->sacred_count, sacred);
#define X(id, name, key, from) assert_int_equal(t->stages.name, stages[THERMAL_##id]);
	THERMAL_STAGES(X)
#undef X
	assert_int_equal(t->white_hot_count, t->stages.white_hot);
	assert_true(t->has_average_temperature == (total > 0) && t->has_sacred_min_temperature == (sacred > 0));
	assert_true(total == 0 || fabs(t->average_temperature - sum / (double)total) < 1e-9);
	assert_true(sacred == 0 || fabs(t->sacred_min_temperature - least) < 1e-9);
	assert_true(total == 0 || fabs(t->thermal_entropy - thermal_entropy(stages)) < 1e-9);
	for (i = 0; i < t->histogram.n; i++)
		steps += t->histogram.v[i].count;
	assert_true(t->histogram.n == 20 && steps == total);
}

void rig_figures_hold(struct rig *g)
{
	const struct res_memory_thermal *t = rig_thermal(g, 0);
	double mean = t->average_temperature;

	recount(g, t);
	rig_reopen(g);
	t = rig_thermal(g, 0);
	recount(g, t);
	assert_true(fabs(t->average_temperature - mean) < 1e-9);
}

/* ---- inside ---- */
double rig_look(struct rig *g, enum rig_look what)
{
	return g->kind->look(g, what);
}

double rig_sql(struct rig *g, const char *sql)
{
	assert_non_null(g->kind->sql);
	return g->kind->sql(g, sql);
}

bool rig_refuses(struct rig *g, const char *sql)
{
	assert_non_null(g->kind->refuses);
	return g->kind->refuses(g, sql);
}
