#include "powercut_world.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ANSWER_MS 60000 /* nothing takes so long; what does is stuck */
#define PURGE_MS  1000
#define HEAL_MS   30000 /* so long after the last fault all must be well again */

/* ---- calls ---- */
struct op *op_new(struct world *w, unsigned writer, enum deed deed, enum wire_msg_id id)
{
	struct op *op = calloc(1, sizeof(*op));

	assert_non_null(op);
	op->world = w;
	op->writer = writer;
	op->life = w->life;
	op->deed = deed;
	op->id = id;
	op->zone = msgpack_zone_new(2048);
	assert_non_null(op->zone);
	return op;
}

struct op *op_again(const struct op *first)
{
	struct op *op = malloc(sizeof(*op));

	assert_non_null(op);
	*op = *first;
	op->zone = msgpack_zone_new(2048);
	assert_non_null(op->zone);
	if (op->deed == DO_ADD)
		op->msg.add.memories.v = op->item;
	if (op->deed == DO_PATCH)
		op->msg.patch.tags.v = &op->tags;
	if (op->msg.common.has_request_id)
		op->msg.common.request_id = wire_s(op->rid);
	op->answered = op->acknowledged = false;
	return op;
}

static void with_rid(struct op *op)
{
	struct world *w = op->world;

	snprintf(op->rid, sizeof(op->rid), "r%u-%u-%llx", op->life, op->writer,
		 (unsigned long long)w->writer[op->writer].turn);
	op->msg.common.has_request_id = true;
	op->msg.common.request_id = wire_s(op->rid);
}

static void add_item(struct op *op, struct fact *f)
{
	struct item_new_memory *m = &op->item[op->nfacts];

	op->fact[op->nfacts++] = f;
	m->content = (wire_str){f->content, f->n};
	m->has_id = f->own_id;
	m->id = wire_s(f->own_id ? f->id : NULL);
	m->has_sacred = m->sacred = f->sacred;
	if (f->hidden) {
		m->has_source = true;
		m->source = wire_s(ARCHIVE_DRILL_PREFIX "power");
	}
	if (f->supersedes != NULL) {
		m->has_supersedes = true;
		m->supersedes = wire_s(f->supersedes->id);
	}
	op->msg.add.memories.v = op->item;
	op->msg.add.memories.n = op->nfacts;
}

static struct op *make_add(struct world *w, unsigned writer)
{
	struct op *op = op_new(w, writer, DO_ADD, MSG_memory_add);
	uint64_t kind = world_dice(w, writer) % 100;
	struct fact *f;
	unsigned n = 1;

	if (kind < 15) { /* said by everybody, mostly without any id */
		add_item(op, world_common(w, writer));
		if (kind < 5)
			with_rid(op);
		return op;
	}
	if (kind < 27) {
		n = 2 + (unsigned)(world_dice(w, writer) % (LIST_MAX - 1));
		w->lists++;
	}
	while (op->nfacts < n) {
		f = world_fact(w, writer, world_dice(w, writer), WIRE_CONTENT_MAX);
		f->list = n > 1 ? w->lists : 0;
		f->own_id = kind >= 60;
		if (f->own_id)
			snprintf(f->id, sizeof(f->id), "own-%u", f->number);
		f->sacred = kind >= 27 && kind < 30;
		f->hidden = kind >= 30 && kind < 33;
		if (kind >= 33 && kind < 38 && (f->supersedes = world_own(w, writer, true)) != NULL)
			f->kept = f->supersedes->kept = true;
		add_item(op, f);
	}
	if (kind == 26) { /* all or nothing: the last one corrects nobody */
		op->refused = true;
		op->item[op->nfacts - 1].has_supersedes = true;
		op->item[op->nfacts - 1].supersedes = wire_s("nobody");
	}
	if (kind < 70 || kind >= 90) /* 70..89: a client's own id alone; the rest with a request id */
		with_rid(op);
	if (kind >= 52 && kind < 60) { /* and a few with neither: sent again they may heat */
		op->msg.common.has_request_id = false;
		op->rid[0] = '\0';
	}
	return op;
}

static struct op *make_decide(struct world *w, unsigned writer)
{
	struct op *op = op_new(w, writer, DO_DECIDE, MSG_memory_decide);
	struct fact *f = world_fact(w, writer, world_dice(w, writer), 1500);

	f->decision = true;
	op->fact[op->nfacts++] = f;
	op->msg.decide.text = (wire_str){f->content, f->n};
	op->msg.decide.by = wire_s("power");
	with_rid(op);
	return op;
}

static struct op *make_patch(struct world *w, unsigned writer, struct fact *f)
{
	struct op *op = op_new(w, writer, DO_PATCH, MSG_memory_patch);

	op->fact[op->nfacts++] = f;
	op->patch_number = (f->patch > f->maybe_patch ? f->patch : f->maybe_patch) + 1;
	snprintf(op->tag, sizeof(op->tag), "p%u", op->patch_number);
	op->tags = wire_s(op->tag);
	op->msg.patch.id = wire_s(f->id);
	op->msg.patch.has_tags = op->msg.patch.has_importance = true;
	op->msg.patch.tags = (wire_strs){&op->tags, 1};
	op->msg.patch.importance = op->patch_number / 1048576.0;
	if (world_dice(w, writer) % 2 == 0)
		with_rid(op);
	return op;
}

static struct op *make_import(struct world *w)
{
	struct op *op;

	if (!w->import_known) {
		op = op_new(w, 0, DO_IMPORT_BEGIN, MSG_memory_import_begin);
		snprintf(w->import, sizeof(w->import), "import-%llx", (unsigned long long)w->seed);
		op->msg.begin.id = wire_s(w->import);
		op->msg.begin.name = wire_s("all.jsonl");
		op->msg.begin.size = 1000000;
		return op;
	}
	op = op_new(w, 0, DO_ADD, MSG_memory_add);
	while (op->nfacts < 3) {
		struct fact *f = world_fact(w, 0, world_dice(w, 0), WIRE_CONTENT_MAX);

		f->kept = true;
		if (op->nfacts == 0)
			w->lists++;
		f->list = w->lists;
		add_item(op, f);
	}
	op->msg.add.has_import_id = op->msg.add.has_import_position = true;
	op->msg.add.import_id = wire_s(w->import);
	op->msg.add.import_position = (w->import_position > w->import_maybe ? w->import_position : w->import_maybe) + 1;
	with_rid(op);
	return op;
}

static struct op *make(struct world *w, unsigned writer)
{
	bool read = world_dice(w, writer) % 100 < w->reads;
	uint64_t kind = read ? 72 + world_dice(w, writer) % 18 : world_dice(w, writer) % 100;
	struct fact *f = kind < 50 ? NULL : world_own(w, writer, kind >= 65 && kind < 72);
	struct op *op;

	if (writer == 0 && kind < 40)
		return make_import(w);
	if (f == NULL)
		return kind < 90 ? make_add(w, writer) : make_decide(w, writer);
	if (kind < 65)
		return make_patch(w, writer, f);
	if (kind < 72 && w->forgets) {
		op = op_new(w, writer, DO_FORGET, MSG_memory_forget);
		op->msg.forget.id = wire_s(f->id);
		op->msg.forget.has_now = op->msg.forget.now = kind == 66;
		if (kind < 69)
			with_rid(op);
	} else if (kind < 85) {
		op = op_new(w, writer, DO_GET, MSG_memory_get);
		op->msg.get.id = wire_s(f->id);
	} else if (kind < 90) {
		op = op_new(w, writer, DO_RECALL, MSG_memory_recall);
		snprintf(op->word, sizeof(op->word), "zq%ux", f->number);
		op->msg.recall.has_q = op->msg.recall.has_limit = true;
		op->msg.recall.q = wire_s(op->word);
		op->msg.recall.limit = 5;
	} else {
		return make_decide(w, writer);
	}
	op->fact[op->nfacts++] = f;
	return op;
}

/* ---- what a writer knows before and after ---- */
static void expect(struct op *op)
{
	struct world *w = op->world;
	unsigned i;

	for (i = 0; i < op->nfacts; i++) {
		struct fact *f = op->fact[i];

		if (op->deed == DO_ADD || op->deed == DO_DECIDE) {
			f->fate = f->fate == NEVER ? MAYBE : f->fate;
			f->trying++;
			f->may_add++;
		} else if (op->deed == DO_PATCH) {
			f->maybe_patch = op->patch_number;
		} else if (op->deed == DO_FORGET) {
			f->fate = MAYBE_GONE;
		}
	}
	if (op->deed == DO_ADD && op->msg.add.has_import_id)
		w->import_maybe = (unsigned)op->msg.add.import_position;
}

/* It certainly did nothing: it was not even taken. */
static void not_taken(struct op *op)
{
	unsigned i;

	for (i = 0; i < op->nfacts; i++) {
		struct fact *f = op->fact[i];

		if (op->deed == DO_ADD || op->deed == DO_DECIDE) {
			f->trying--;
			f->may_add--;
			f->fate = f->fate == MAYBE && f->trying == 0 ? NEVER : f->fate;
		} else if (op->deed == DO_PATCH) {
			f->maybe_patch = 0;
		} else if (op->deed == DO_FORGET) {
			f->fate = THERE;
		}
	}
	op->settled = true;
}

static void learn_id(struct world *w, struct op *op, unsigned i, wire_str id, bool created, double temperature)
{
	struct fact *f = op->fact[i];

	if (f->id[0] == '\0')
		snprintf(f->id, sizeof(f->id), "%.*s", (int)id.n, id.p);
	else if (strlen(f->id) != id.n || memcmp(f->id, id.p, id.n) != 0)
		wrong(w, &w->v.doubled, "fact %u is %s and %.*s", f->number, f->id, (int)id.n, id.p);
	if (!created && f->owner != WRITERS) /* nobody else ever said it */
		wrong(w, &w->v.answers, "fact %u was said to be known already", f->number);
	snprintf(op->answer_id[i], sizeof(op->answer_id[i]), "%.*s", (int)id.n, id.p);
	op->created[i] = created;
	op->temperature[i] = temperature;
	f->fate = THERE;
	f->added++;
	f->trying--;
}

static void check_seen(struct op *op, const struct item_memory *m)
{
	struct world *w = op->world;
	const struct fact *f = op->fact[0];

	if (m->content.n != f->n || memcmp(m->content.p, f->content, f->n) != 0)
		wrong(w, &w->v.torn, "fact %u is read with another content", f->number);
	else if (m->access_count < f->added || m->access_count > f->may_add + f->touched)
		wrong(w, &w->v.doubled, "fact %u is read with %llu accesses", f->number,
		      (unsigned long long)m->access_count);
}

/* What a reader does beside reading: notes that nobody waits for. */
static void notes(struct op *op, const struct archive_answer *answer)
{
	struct world *w = op->world;
	struct fact *f = op->fact[0];
	uint64_t what = world_dice(w, op->writer) % 4;
	struct entangle_change change = {.phase = 0.5, .compared = 1, .npartners = 1};
	struct item_recall_sample sample = {world_now(), 17, 3};

	if (answer->nhits == 0)
		return;
	f->seq = answer->hits[0].memory;
	if (what < 2) {
		f->touched++;
		archive_touch(w->a, f->seq, world_now());
	} else if (what == 2) {
		archive_recalled(w->a, &sample);
	} else {
		change.memory = f->seq;
		change.partner[0] = (struct entangle_partner){f->seq > 1 ? f->seq - 1 : f->seq + 1, 2};
		archive_entangled(w->a, &change);
	}
}

static void acknowledged(struct op *op, const struct archive_answer *answer)
{
	struct world *w = op->world;
	const struct res_memory_add *added = answer->res;
	const struct res_memory_decide *decided = answer->res;
	const struct res_memory_recall *recalled = answer->res;
	const struct res_memory_get *got = answer->res;
	struct fact *f = op->fact[0];
	unsigned i;

	op->acknowledged = op->settled = true;
	switch (op->deed) {
	case DO_ADD:
		if (added->memories.n != op->nfacts) {
			wrong(w, &w->v.answers, "%u memories answered, %u asked", added->memories.n, op->nfacts);
			break;
		}
		for (i = 0; i < op->nfacts; i++)
			learn_id(w, op, i, added->memories.v[i].id, added->memories.v[i].created,
				 added->memories.v[i].temperature);
		if (op->msg.add.has_import_id)
			w->import_position = (unsigned)op->msg.add.import_position;
		break;
	case DO_DECIDE:
		learn_id(w, op, 0, decided->decision.memory_id, true, 0.0);
		break;
	case DO_PATCH:
		f->patch = op->patch_number;
		f->maybe_patch = 0;
		break;
	case DO_FORGET:
		f->fate = GONE;
		break;
	case DO_IMPORT_BEGIN:
		w->import_known = true;
		break;
	case DO_GET:
		check_seen(op, &got->memory);
		notes(op, answer);
		break;
	case DO_RECALL:
		if (!f->hidden && (recalled->memories.n != 1 || recalled->memories.v[0].content.n != f->n))
			wrong(w, &w->v.index, "fact %u is there and its word finds %u", f->number,
			      recalled->memories.n);
		break;
	default:
		break;
	}
}

/* ---- the writers ---- */
/* Who forgets now waits for the purge, which a dead disk never sees: he says how long. */
static uint64_t deadline_of(const struct op *op)
{
	return op->deed == DO_FORGET && op->msg.forget.now ? tr_mono_ms() + PURGE_MS : 0;
}

static void begin(struct world *w, unsigned writer);

static void on_answer(void *arg, int r, const struct archive_answer *answer, const struct tr_fault *fault)
{
	struct op *op = arg;
	struct world *w = op->world;
	bool read = op->deed == DO_GET || op->deed == DO_RECALL;

	op->answered = true;
	w->writer[op->writer].op = NULL;
	w->flying--;
	if (op->refused) {
		not_taken(op);
		if (r == 0)
			wrong(w, &w->v.answers, "what breaks a rule was acknowledged");
	} else if (r == 0) {
		w->v.acknowledged++;
		acknowledged(op, answer);
	} else if (r == TR_ESTORE || r == TR_EUNAVAILABLE || r == TR_ECLOSED || r == TR_EBUSY ||
		   (r == TR_EDEADLINE && deadline_of(op) != 0)) {
		w->v.unknown += !read;
		w->v.failed += read;
		op->settled = read;
	} else {
		wrong(w, &w->v.answers, "%s answered %s: %s %s", wire_methods[op->id].method, tr_err_name(r),
		      fault->field, fault->rule);
	}
	if (r == 0 || r == TR_EINVAL || w->patient)
		begin(w, op->writer);
}

static void keep(struct world *w, struct op *op)
{
	if (w->nops == w->ops_cap) {
		w->ops_cap = w->ops_cap == 0 ? 1024 : w->ops_cap * 2;
		w->op = realloc(w->op, sizeof(struct op *) * w->ops_cap);
		assert_non_null(w->op);
	}
	w->op[w->nops++] = op;
}

static void begin(struct world *w, unsigned writer)
{
	struct archive_ctx ctx = {NULL, 0};
	struct op *op;

	if (w->stop || w->budget == 0 || power_is_off())
		return;
	w->budget--;
	world_tick((unsigned)(world_dice(w, writer) % 50));
	op = make(w, writer);
	keep(w, op);
	expect(op);
	ctx.zone = op->zone;
	ctx.deadline_ms = deadline_of(op);
	w->v.calls++;
	if (archive_call(w->a, op->id, &op->msg, &ctx, on_answer, op) < 0) {
		not_taken(op);
		return;
	}
	w->writer[writer].op = op;
	w->flying++;
}

static void too_long(uv_timer_t *t)
{
	*(bool *)t->data = true;
}

static void closed(uv_handle_t *h)
{
	h->data = NULL;
}

bool world_await(struct world *w, const unsigned *flying)
{
	uv_timer_t timer;
	bool stuck = false;
	unsigned i;

	uv_timer_init(&w->loop, &timer);
	timer.data = &stuck;
	uv_timer_start(&timer, too_long, ANSWER_MS, 0);
	while (*flying > 0 && !stuck)
		uv_run(&w->loop, UV_RUN_ONCE);
	uv_close((uv_handle_t *)&timer, closed);
	while (timer.data != NULL)
		uv_run(&w->loop, UV_RUN_ONCE);
	if (stuck) {
		for (i = 0; i < WRITERS && w->writer[i].op == NULL; i++)
			;
		wrong(w, &w->v.stuck, "%u calls are not answered after %u s, such as %s%s", *flying, ANSWER_MS / 1000,
		      i < WRITERS ? wire_methods[w->writer[i].op->id].method : "one of the judge's",
		      power_is_off() ? "; the power is off" : "");
		world_close(w); /* answers them: nothing of this stack stays behind */
	}
	return !stuck;
}

void world_run(struct world *w, unsigned calls)
{
	unsigned i;

	w->budget = calls;
	for (i = 0; i < WRITERS; i++)
		begin(w, i);
	world_await(w, &w->flying);
	w->budget = 0;
}

struct waited {
	struct op *op;
	unsigned flying;
	int r;
	bool first; /* not sent again: what is answered is learned */
};

static void on_waited(void *arg, int r, const struct archive_answer *answer, const struct tr_fault *fault)
{
	struct waited *c = arg;
	struct op *op = c->op;
	const struct res_memory_add *added = r == 0 ? answer->res : NULL;
	const struct res_memory_decide *decided = r == 0 ? answer->res : NULL;
	unsigned i;

	(void)fault;
	c->flying--;
	c->r = r;
	op->answered = true;
	op->acknowledged = r == 0;
	if (r == 0 && c->first) {
		acknowledged(op, answer);
		return;
	}
	for (i = 0; r == 0 && op->deed == DO_ADD && i < op->nfacts && i < added->memories.n; i++) {
		snprintf(op->answer_id[i], sizeof(op->answer_id[i]), "%.*s", (int)added->memories.v[i].id.n,
			 added->memories.v[i].id.p);
		op->created[i] = added->memories.v[i].created;
		op->temperature[i] = added->memories.v[i].temperature;
	}
	if (r == 0 && op->deed == DO_DECIDE)
		snprintf(op->answer_id[0], sizeof(op->answer_id[0]), "%.*s", (int)decided->decision.memory_id.n,
			 decided->decision.memory_id.p);
}

static int call(struct world *w, struct op *op, bool first)
{
	struct archive_ctx ctx = {op->zone, deadline_of(op)};
	struct waited c = {op, 1, 0, first};
	int r = archive_call(w->a, op->id, &op->msg, &ctx, on_waited, &c);

	if (r < 0)
		return r;
	return world_await(w, &c.flying) ? c.r : TR_EINTERNAL;
}

int world_call(struct world *w, struct op *op)
{
	return call(w, op, false);
}

bool world_settle(struct world *w)
{
	uint64_t until = tr_mono_ms() + HEAL_MS;
	struct archive_stats stats;
	int r;

	for (;;) {
		struct op *op = op_new(w, 1, DO_ADD, MSG_memory_add);
		struct fact *f = world_fact(w, 1, world_dice(w, 1), 1000);

		add_item(op, f);
		with_rid(op);
		keep(w, op);
		expect(op);
		w->v.calls++;
		r = call(w, op, true);
		archive_stats(w->a, &stats);
		if (r == 0 && stats.healthy)
			return true;
		if (tr_mono_ms() > until)
			break;
		uv_sleep(5);
	}
	wrong(w, &w->v.stuck, "not healthy %u s after the last fault: %s", HEAL_MS / 1000, tr_err_name(r));
	return false;
}
