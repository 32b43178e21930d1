/* Answers of two archives side by side. Times are the rig's and must agree to the millisecond, temperatures and the
 * like to 1e-9; ids that the archives made are matched up when they are first seen. Only where archive.h leaves a
 * choice (order among equals, which memories a sample holds, how deep a ranked list is looked through) something else
 * is asked for. */
#include "archive_model.h"

#include <stdarg.h>

#define CLOSE 1e-9

bool model_differ(struct model *m, const char *fmt, ...)
{
	va_list ap;

	if (m->differs)
		return false;
	m->differs = true;
	va_start(ap, fmt);
	vsnprintf(m->why, sizeof(m->why), fmt, ap);
	va_end(ap);
	return false;
}

static bool equal(wire_str a, wire_str b)
{
	return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

static bool close_to(double a, double b)
{
	return fabs(a - b) <= CLOSE * fmax(1.0, fabs(a));
}

/* ---- what the two call the same ---- */
wire_str model_other_id(const struct model *m, unsigned side, wire_str id)
{
	for (size_t i = m->nids; i-- > 0;) {
		if (equal(m->ids[i].at[side], id))
			return m->ids[i].at[!side];
	}
	return wire_s(NULL);
}

bool model_same_id(const struct model *m, wire_str a, wire_str b)
{
	wire_str known = model_other_id(m, 0, a);

	return known.p == NULL ? equal(a, b) && model_other_id(m, 1, b).p == NULL : equal(known, b);
}

void model_learn_id(struct model *m, wire_str a, wire_str b)
{
	if (equal(a, b) || model_other_id(m, 0, a).p != NULL || model_other_id(m, 1, b).p != NULL)
		return;
	MODEL_ROOM(m->ids, m->nids, m->cap_ids);
	m->ids[m->nids++] = (struct model_id){{model_copy(m, a), model_copy(m, b)}};
}

bool model_learn_number(struct model *m, int64_t a, int64_t b)
{
	for (size_t i = m->nnumbers; i-- > 0;) {
		const int64_t *at = m->numbers[i].at;

		if (at[0] == a || at[1] == b)
			return (at[0] == a && at[1] == b) ||
			       model_differ(m, "memory %lld is %lld, and now %lld is %lld", (long long)at[0],
					    (long long)at[1], (long long)a, (long long)b);
	}
	MODEL_ROOM(m->numbers, m->nnumbers, m->cap_numbers);
	m->numbers[m->nnumbers++] = (struct model_number){{a, b}};
	return true;
}

/* ---- field by field ---- */
static const msgpack_object *entry(const msgpack_object_map *map, const msgpack_object_str *key)
{
	for (uint32_t i = map->size; i-- > 0;) {
		const msgpack_object_str *k = &map->ptr[i].key.via.str;

		if (k->size == key->size && memcmp(k->ptr, key->ptr, key->size) == 0)
			return &map->ptr[i].val;
	}
	return NULL;
}

static bool same_value(const msgpack_object *a, const msgpack_object *b)
{
	const msgpack_object *other;
	uint32_t i;

	if (a->type == MSGPACK_OBJECT_MAP && b->type == MSGPACK_OBJECT_MAP) {
		for (i = 0; i < a->via.map.size; i++) { /* in any order */
			other = entry(&b->via.map, &a->via.map.ptr[i].key.via.str);
			if (other == NULL || !same_value(&a->via.map.ptr[i].val, other))
				return false;
		}
		return a->via.map.size == b->via.map.size;
	}
	if (a->type == MSGPACK_OBJECT_ARRAY && b->type == MSGPACK_OBJECT_ARRAY) {
		for (i = 0; i < a->via.array.size && i < b->via.array.size; i++) {
			if (!same_value(&a->via.array.ptr[i], &b->via.array.ptr[i]))
				return false;
		}
		return a->via.array.size == b->via.array.size;
	}
	return msgpack_object_equal(*a, *b);
}

static bool is_id(const char *name)
{
	static const char *const ids[] = {"id", "memory_id", "supersedes", "superseded_by", "decision_id"};

	for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
		if (strcmp(ids[i], name) == 0)
			return true;
	}
	return false;
}

static bool same_text(struct model *m, const struct wire_field *f, const void *x, const void *y, bool learn)
{
	const wire_str *a = x, *b = y;

	if (strcmp(f->name, "next_cursor") == 0)
		return true; /* each its own */
	if (!is_id(f->name))
		return equal(*a, *b);
	if (learn)
		model_learn_id(m, *a, *b);
	return model_same_id(m, *a, *b);
}

static bool same_texts(const void *x, const void *y)
{
	const wire_strs *a = x, *b = y;

	for (uint32_t i = 0; i < a->n && i < b->n; i++) {
		if (!equal(a->v[i], b->v[i]))
			return false;
	}
	return a->n == b->n;
}

/* Sorted by ids, which the archives make: so in any order. */
static bool same_company(struct model *m, const struct list_company *a, const struct list_company *b)
{
	for (uint32_t i = 0, k; i < a->n; i++) {
		for (k = 0; k < b->n; k++) {
			if (a->v[i].own == b->v[k].own && model_same_id(m, a->v[i].id, b->v[k].id))
				break;
		}
		if (k == b->n)
			return model_differ(m, "company: %.*s is missing", (int)a->v[i].id.n, a->v[i].id.p);
		if (!model_compare(m, &wire_shape_company, &a->v[i], &b->v[k], false))
			return false;
	}
	return true;
}

static bool same_list(struct model *m, const struct wire_field *f, const void *x, const void *y, bool learn)
{
	const struct wire_list *a = x, *b = y;

	if (a->n != b->n)
		return model_differ(m, "%s: %u and %u", f->name, a->n, b->n);
	if (f->item == &wire_shape_company)
		return same_company(m, x, y);
	for (uint32_t i = 0; i < a->n; i++) {
		if (!model_compare(m, f->item, (const char *)a->v + i * f->item->size,
				   (const char *)b->v + i * f->item->size, learn))
			return false;
	}
	return true;
}

static bool same_number(const struct wire_field *f, const void *x, const void *y)
{
	double a, b;

	if (f->type != WIRE_f64)
		return (f->type == WIRE_u64 && strcmp(f->name, "next") == 0) || memcmp(x, y, f->size) == 0;
	memcpy(&a, x, sizeof(a));
	memcpy(&b, y, sizeof(b));
	return close_to(a, b);
}

/* For a person: what stands in a field. */
static void show(const struct wire_field *f, const void *x, char *out, size_t n)
{
	const wire_str *s = x;

	switch (f->type) {
	case WIRE_str:
	case WIRE_text:
		snprintf(out, n, "\"%.*s\"", (int)(s->n < 60 ? s->n : 60), s->p);
		break;
	case WIRE_f64:
		snprintf(out, n, "%.17g", *(const double *)x);
		break;
	case WIRE_u64:
	case WIRE_i64:
	case WIRE_time:
		snprintf(out, n, "%lld", (long long)*(const int64_t *)x);
		break;
	case WIRE_u32:
		snprintf(out, n, "%u", *(const uint32_t *)x);
		break;
	case WIRE_flag:
		snprintf(out, n, "%d", *(const bool *)x);
		break;
	default:
		snprintf(out, n, "one thing");
	}
}

static bool same_field(struct model *m, const struct wire_field *f, const void *x, const void *y, bool learn)
{
	const wire_map *a = x, *b = y;

	switch (f->type) {
	case WIRE_str:
	case WIRE_text:
	case WIRE_bin:
		return same_text(m, f, x, y, learn);
	case WIRE_strs:
		return same_texts(x, y);
	case WIRE_map:
		return same_value(*a, *b);
	case WIRE_ITEM:
		return model_compare(m, f->item, x, y, learn);
	case WIRE_LIST:
		return same_list(m, f, x, y, learn);
	default:
		return same_number(f, x, y);
	}
}

bool model_compare(struct model *m, const struct wire_shape *shape, const void *a, const void *b, bool learn)
{
	char x[80], y[80];

	for (unsigned i = 0; i < shape->n; i++) {
		const struct wire_field *f = &shape->fields[i];
		const char *p = (const char *)a + f->offset, *q = (const char *)b + f->offset;
		bool there = f->required || *(const bool *)(p + f->size),
		     too = f->required || *(const bool *)(q + f->size);

		if (there != too)
			return model_differ(m, "%s.%s: %s and %s", shape->name, f->name, there ? "there" : "absent",
					    too ? "there" : "absent");
		if (!there || same_field(m, f, p, q, learn))
			continue;
		show(f, p, x, sizeof(x));
		show(f, q, y, sizeof(y));
		return model_differ(m, "%s.%s: %s and %s", shape->name, f->name, x, y);
	}
	return true;
}

/* ---- answers where the contract leaves a choice ---- */
/* What side 0 calls what side 1 calls so. */
static wire_str of_0(const struct model *m, wire_str of_1)
{
	wire_str id = model_other_id(m, 1, of_1);

	return id.p == NULL ? of_1 : id;
}

static const struct item_memory *find_memory(const struct list_memory *l, wire_str id)
{
	for (uint32_t i = 0; i < l->n; i++) {
		if (equal(l->v[i].id, id))
			return &l->v[i];
	}
	return NULL;
}

/* Best first; among equals the hotter, then the newer one. */
static bool in_order(struct model *m, const struct model_answer *answer)
{
	const struct list_memory *l = &((const struct res_memory_recall *)answer->res)->memories;

	for (uint32_t i = 1; i < l->n; i++) {
		const struct item_memory *a = &l->v[i - 1], *b = &l->v[i];

		if (a->score < b->score || (a->score == b->score && a->temperature < b->temperature) ||
		    (a->score == b->score && a->temperature == b->temperature &&
		     answer->hits[i - 1].memory < answer->hits[i].memory))
			return model_differ(m, "recall: place %u stands before %u", i - 1, i);
	}
	return true;
}

/* A ranked list: whatever is shown matches, and when all fits all is there, with the same figures. */
static bool compare_ranked(struct model *m, const struct msg_memory_recall *msg,
			   const struct model_answer answer[SIDES])
{
	struct msg_memory_recall whole = *msg;
	const struct res_memory_recall *got = answer[1].res, *all;
	struct model_answer full;
	uint32_t limit = msg->has_limit ? msg->limit : 10, i;
	bool cut = msg->has_cursor || msg->has_max_tokens, fits, deep;

	whole.has_cursor = whole.has_max_tokens = false;
	whole.has_limit = true;
	whole.limit = 200;
	full = model_ask(m, 0, MSG_memory_recall, &whole);
	all = full.res;
	deep = all->has_next_cursor;
	fits = !cut && !deep && limit >= all->memories.n;
	if (got->memories.n > limit || (!cut && !deep && got->memories.n != (fits ? all->memories.n : limit)))
		return model_differ(m, "recall: %u of %u, limit %u", got->memories.n, all->memories.n, limit);
	if (!cut && got->has_next_cursor != (deep || all->memories.n > limit))
		return model_differ(m, "recall: a next page is %d", got->has_next_cursor);
	if (!in_order(m, &answer[1]))
		return false;
	for (i = 0; i < got->memories.n; i++) {
		const struct item_memory *it = &got->memories.v[i],
					 *same = find_memory(&all->memories, of_0(m, it->id));
		struct item_memory copy = *it;

		if (same == NULL && !deep)
			return model_differ(m, "recall: %.*s does not match", (int)it->id.n, it->id.p);
		if (same != NULL &&
		    (!fits || !m->side[1]->kind->ranks)) { /* seen from here the best may be another one */
			copy.score = same->score;
			if (copy.has_explanation && !m->side[1]->kind->ranks)
				copy.explanation = same->explanation;
		}
		if (same != NULL && !model_compare(m, &wire_shape_memory, same, &copy, false))
			return false;
	}
	return true;
}

static double heat_of(struct model *m, wire_str id)
{
	struct msg_memory_explain msg = {.id = id};
	const struct res_memory_explain *res = model_ask(m, 0, MSG_memory_explain, &msg).res;

	return res == NULL ? (double)NAN : res->memory.explanation.heat_key;
}

/* Equally hot ones may stand in any order, and any of them at the end. */
static bool compare_hottest(struct model *m, const struct list_memory *a, const struct list_memory *b)
{
	uint32_t i, k;

	if (a->n != b->n)
		return model_differ(m, "hottest: %u and %u", a->n, b->n);
	for (i = 0; i < b->n; i++) {
		struct msg_memory_get msg = {.id = of_0(m, b->v[i].id)};
		const struct res_memory_get *res = model_ask(m, 0, MSG_memory_get, &msg).res;

		for (k = 0; k < i; k++) {
			if (equal(b->v[k].id, b->v[i].id))
				return model_differ(m, "hottest: one twice");
		}
		if (res == NULL || !model_compare(m, &wire_shape_memory, &res->memory, &b->v[i], false))
			return model_differ(m, "hottest: place %u", i);
		if (!close_to(heat_of(m, a->v[i].id), heat_of(m, msg.id)))
			return model_differ(m, "hottest: place %u is not as hot", i);
	}
	return true;
}

static bool compare_thermal(struct model *m, const struct model_answer answer[SIDES])
{
	struct res_memory_thermal a = *(const struct res_memory_thermal *)answer[0].res;
	struct res_memory_thermal b = *(const struct res_memory_thermal *)answer[1].res;

	if (!compare_hottest(m, &a.hottest, &b.hottest))
		return false;
	a.hottest.n = b.hottest.n = 0;
	return model_compare(m, wire_methods[MSG_memory_thermal].result, &a, &b, false);
}

/* Which memories a sample holds is the archive's choice; that each is there once, oldest first, is not. */
static bool compare_samples(struct model *m, const struct msg_memory_samples *msg,
			    const struct model_answer answer[SIDES])
{
	const struct msg_memory_samples whole = {.has_memories = true, .memories = 2000};
	struct res_memory_samples a = *(const struct res_memory_samples *)answer[0].res;
	struct res_memory_samples b = *(const struct res_memory_samples *)answer[1].res;
	const struct list_sample *all, *some = &b.memories;
	uint32_t i, at = 0;

	all = &((const struct res_memory_samples *)model_ask(m, 0, MSG_memory_samples, &whole).res)->memories;
	if (some->n != (msg->memories < all->n ? msg->memories : all->n))
		return model_differ(m, "samples: %u of %u, wanted %u", some->n, all->n, msg->memories);
	for (i = 0; i < some->n; i++, at++) {
		wire_str id = of_0(m, some->v[i].id);

		while (at < all->n && !equal(all->v[at].id, id))
			at++;
		if (at == all->n)
			return model_differ(m, "samples: place %u is nobody or not in order", i);
		if (!model_compare(m, &wire_shape_sample, &all->v[at], &some->v[i], false))
			return false;
	}
	a.memories.n = b.memories.n = 0;
	return model_compare(m, wire_methods[MSG_memory_samples].result, &a, &b, false);
}

/* Its place among equals may differ by a rounding. */
static bool compare_explain(struct model *m, const struct msg_memory_explain *msg,
			    const struct model_answer answer[SIDES])
{
	struct res_memory_explain a = *(const struct res_memory_explain *)answer[0].res;
	struct res_memory_explain b = *(const struct res_memory_explain *)answer[1].res;
	struct msg_memory_recall ask = {.has_q = true, .q = msg->q, .has_limit = true, .limit = 200};
	const struct res_memory_recall *all;

	if (a.has_rank != b.has_rank)
		return model_differ(m, "explain: a rank is %d and %d", a.has_rank, b.has_rank);
	if (!m->side[1]->kind->ranks) {
		b.rank = a.rank;
		b.memory.score = a.memory.score;
		b.memory.explanation = a.memory.explanation;
	}
	if (a.has_rank && a.rank != b.rank) {
		all = model_ask(m, 0, MSG_memory_recall, &ask).res;
		if (b.rank > all->memories.n || !close_to(all->memories.v[b.rank - 1].score, a.memory.score))
			return model_differ(m, "explain: rank %llu and %llu", (unsigned long long)a.rank,
					    (unsigned long long)b.rank);
		b.rank = a.rank;
	}
	return model_compare(m, wire_methods[MSG_memory_explain].result, &a, &b, false);
}

/* ---- any answer ---- */
static bool compare_hits(struct model *m, enum wire_msg_id id, const struct model_answer answer[SIDES])
{
	if (answer[0].nhits != answer[1].nhits)
		return model_differ(m, "hits: %u and %u", answer[0].nhits, answer[1].nhits);
	for (unsigned i = 0; i < answer[0].nhits; i++) {
		const struct archive_hit *a = &answer[0].hits[i], *b = &answer[1].hits[i];

		if ((a->shown == NULL) != (b->shown == NULL))
			return model_differ(m, "hits: place %u is shown or not", i);
		if (a->shown != NULL && !model_same_id(m, a->shown->id, b->shown->id))
			continue; /* a choice that compare_hottest() or compare_ranked() has allowed */
		if (!model_learn_number(m, a->memory, b->memory))
			return false;
		if (id != MSG_memory_thermal && (a->seen.memory != a->memory || b->seen.memory != b->memory))
			return model_differ(m, "hits: place %u is another's", i);
		if (a->seen.compared != b->seen.compared ||
		    (a->seen.compared > 0 && !close_to(a->seen.phase, b->seen.phase)))
			return model_differ(m, "hits: place %u: company %u %g and %u %g", i, a->seen.compared,
					    a->seen.phase, b->seen.compared, b->seen.phase);
	}
	return true;
}

bool model_compare_answers(struct model *m, const struct model_call *call, const struct model_answer answer[SIDES])
{
	const struct msg_memory_recall *recall = call->msg[1];
	const struct wire_shape *shape = wire_methods[call->id].result;
	bool learn = call->id == MSG_memory_add || call->id == MSG_memory_decide, same;

	if (answer[0].r != answer[1].r || strcmp(answer[0].field, answer[1].field) != 0)
		return model_differ(m, "%s: %s %s and %s %s", wire_methods[call->id].method, tr_strerror(answer[0].r),
				    answer[0].field, tr_strerror(answer[1].r), answer[1].field);
	if (answer[0].r < 0)
		return true;
	if (call->id == MSG_memory_recall && recall->has_q && recall->q.n > 0)
		same = compare_ranked(m, recall, answer);
	else if (call->id == MSG_memory_thermal)
		same = compare_thermal(m, answer);
	else if (call->id == MSG_memory_samples)
		same = compare_samples(m, call->msg[1], answer);
	else if (call->id == MSG_memory_explain)
		same = compare_explain(m, call->msg[0], answer);
	else
		same = model_compare(m, shape, answer[0].res, answer[1].res, learn);
	if (call->id == MSG_memory_recall && answer[0].nhits != answer[1].nhits)
		return same; /* each page of a ranked list ends where that archive ended it */
	return same && compare_hits(m, call->id, answer);
}
