/* What takes more than one answer to compare: exports, followers, everything. */
#include "archive_model.h"

/* ---- followers ---- */
#define CHANGES_MAX 20000
struct heard {
	bool done;
	int r;
	struct archive_mark next;
	bool more, lost;
	unsigned n;
	struct archive_change v[CHANGES_MAX];
};

static void on_tail(void *arg, int r, const struct archive_tail *tail, const struct tr_fault *fault)
{
	struct heard *h = arg;

	(void)fault;
	h->done = true;
	if ((h->r = r) < 0)
		return;
	assert_true(tail->n <= CHANGES_MAX - h->n);
	if (tail->n > 0)
		memcpy(h->v + h->n, tail->v, sizeof(h->v[0]) * tail->n);
	h->n += tail->n;
	h->next = tail->next;
	h->more = tail->more;
	h->lost = tail->lost;
}

static size_t place(const struct model_follower *f, int64_t memory)
{
	size_t i;

	for (i = 0; i < f->n && f->v[i] != memory; i++)
		;
	return i;
}

static void carry_out(struct model_follower *f, const struct archive_change *c)
{
	size_t at = place(f, c->memory);

	if (c->kind == ARCHIVE_ADDED && at == f->n) {
		MODEL_ROOM(f->v, f->n, f->cap);
		f->v[f->n++] = c->memory;
	} else if (c->kind == ARCHIVE_FORGOTTEN && at < f->n) {
		f->v[at] = f->v[--f->n];
	}
}

/* All that happened on that side since it was asked last. */
static bool hear(struct model *m, unsigned side, unsigned limit, struct heard *h)
{
	struct model_follower *f = &m->follower[side];
	struct rig *g = m->side[side];

	h->n = 0;
	do {
		h->done = false;
		if (archive_tail(g->a, &f->mark, limit, on_tail, h) < 0)
			return model_differ(m, "tail: refused");
		while (!h->done)
			uv_run(&g->loop, UV_RUN_ONCE);
		if (h->r < 0 || h->lost)
			return model_differ(m, "tail: %s%s", tr_strerror(h->r), h->lost ? ", lost" : "");
		f->mark = h->next;
	} while (h->more);
	for (unsigned i = 0; i < h->n; i++)
		carry_out(f, &h->v[i]);
	return true;
}

static int64_t number_on_1(const struct model *m, int64_t memory)
{
	for (size_t i = m->nnumbers; i-- > 0;) {
		if (m->numbers[i].at[0] == memory)
			return m->numbers[i].at[1];
	}
	return 0;
}

static bool heard_of(const struct heard *h, int64_t memory)
{
	for (unsigned i = 0; i < h->n; i++) {
		if (h->v[i].memory == memory && h->v[i].kind != ARCHIVE_FORGOTTEN)
			return true;
	}
	return false;
}

/* Both end with the same memories, and what the double says has changed the other says, too (it may say more). */
bool model_compare_tails(struct model *m)
{
	static struct heard h[SIDES];
	const struct model_follower *f = m->follower;
	unsigned limit = 1 + random_below(&m->random, 40);

	if (!hear(m, 0, limit, &h[0]) || !hear(m, 1, limit, &h[1]))
		return false;
	if (f[0].n != f[1].n)
		return model_differ(m, "tail: %zu and %zu memories are there", f[0].n, f[1].n);
	for (size_t i = 0; i < f[0].n; i++) {
		if (place(&f[1], number_on_1(m, f[0].v[i])) == f[1].n)
			return model_differ(m, "tail: memory %lld was not told", (long long)f[0].v[i]);
	}
	for (unsigned i = 0; i < h[0].n; i++) {
		int64_t memory = h[0].v[i].memory;

		if (h[0].v[i].kind == ARCHIVE_CHANGED && place(&f[0], memory) < f[0].n &&
		    !heard_of(&h[1], number_on_1(m, memory)))
			return model_differ(m, "tail: a change of memory %lld was not told", (long long)memory);
	}
	return true;
}

/* ---- exports ---- */
/* A copy in the model's zone, by way of the wire. */
static struct list_record keep_records(struct model *m, const struct list_record *l)
{
	struct list_record out = {NULL, l->n < 1000 ? l->n : 1000};
	struct item_record *v = model_alloc(m, sizeof(*v) * out.n);

	for (uint32_t i = 0; i < out.n; i++) {
		msgpack_sbuffer sb;
		msgpack_object o;
		size_t off = 0;
		char *bytes;

		msgpack_sbuffer_init(&sb);
		assert_int_equal(wire_encode(&sb, &wire_shape_record, &l->v[i]), 0);
		bytes = model_alloc(m, sb.size);
		memcpy(bytes, sb.data, sb.size);
		assert_int_equal(msgpack_unpack(bytes, sb.size, &off, m->zone, &o), MSGPACK_UNPACK_SUCCESS);
		assert_int_equal(wire_decode(&wire_shape_record, &o, m->zone, &v[i], NULL), 0);
		msgpack_sbuffer_destroy(&sb);
	}
	out.v = v;
	return out;
}

bool model_compare_exports(struct model *m, uint32_t page)
{
	struct list_record all[SIDES];

	for (unsigned side = 0; side < SIDES; side++)
		all[side] = rig_export(m->side[side], page);
	if (all[0].n != all[1].n)
		return model_differ(m, "export: %u and %u records", all[0].n, all[1].n);
	for (uint32_t i = 0; i < all[0].n; i++) {
		if (!model_compare(m, &wire_shape_record, &all[0].v[i], &all[1].v[i], false))
			return model_differ(m, "export: record %u", i);
	}
	for (unsigned side = 0; side < SIDES; side++)
		m->page[side] = keep_records(m, &all[side]);
	return true;
}

/* ---- everything ---- */
static bool compare_call(struct model *m, enum wire_msg_id id, const void *msg)
{
	const struct model_call call = {.id = id, .msg = {msg, msg}, .at = rig_now};
	const struct model_answer answer[SIDES] = {model_ask(m, 0, id, msg), model_ask(m, 1, id, msg)};

	return model_compare_answers(m, &call, answer);
}

static bool compare_inside(struct model *m)
{
	/* requests are not among them: each forgets those of yesterday when it likes */
	static const enum rig_look looks[] = {LOOK_MEMORIES, LOOK_DECISIONS, LOOK_PAIRS, LOOK_PAIR_TIMES,
					      LOOK_HEAT_MAPS};

	for (size_t i = 0; i < sizeof(looks) / sizeof(looks[0]); i++) {
		double a = rig_look(m->side[0], looks[i]), b = rig_look(m->side[1], looks[i]);

		if (a != b)
			return model_differ(m, "inside, %d: %g and %g", (int)looks[i], a, b);
	}
	return true;
}

static bool compare_stats(struct model *m)
{
	struct archive_stats s[SIDES];

	for (unsigned side = 0; side < SIDES; side++)
		archive_stats(m->side[side]->a, &s[side]);
	if (s[0].healthy != s[1].healthy || s[0].recalls_total != s[1].recalls_total ||
	    s[0].phase_known != s[1].phase_known || fabs(s[0].phase_sum - s[1].phase_sum) > 1e-9 || s[0].waiting != 0 ||
	    s[1].waiting != 0 || s[0].notes_dropped != 0 || s[1].notes_dropped != 0)
		return model_differ(m, "stats: recalls %llu and %llu, phases %llu %g and %llu %g",
				    (unsigned long long)s[0].recalls_total, (unsigned long long)s[1].recalls_total,
				    (unsigned long long)s[0].phase_known, s[0].phase_sum,
				    (unsigned long long)s[1].phase_known, s[1].phase_sum);
	return true;
}

bool model_compare_all(struct model *m)
{
	const struct msg_memory_thermal thermal = {.has_hottest = true, .hottest = 100};
	const struct msg_memory_decisions decisions = {.has_limit = true, .limit = 200};
	const struct msg_memory_imports imports = {.has_limit = true, .limit = 200};
	const struct msg_memory_samples samples = {
		.has_memories = true, .memories = 2000, .has_recalls = true, .recalls = 2000};
	const struct msg_memory_recall newest = {.has_limit = true, .limit = 200};

	for (unsigned side = 0; side < SIDES; side++)
		rig_reopen(m->side[side]);
	return model_compare_exports(m, 1000) && model_compare_exports(m, 7) &&
	       compare_call(m, MSG_memory_thermal, &thermal) && compare_call(m, MSG_memory_decisions, &decisions) &&
	       compare_call(m, MSG_memory_imports, &imports) && compare_call(m, MSG_memory_samples, &samples) &&
	       compare_call(m, MSG_memory_recall, &newest) && model_compare_tails(m) && compare_stats(m) &&
	       compare_inside(m);
}
