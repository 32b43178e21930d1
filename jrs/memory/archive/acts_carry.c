/* Acts whose time has come. What an act does, its end and its decision are one commit, so it happens once, whoever
 * leads. */
#include "common/log/log.h"
#include "jrs/memory/archive/acts.h"
#include "jrs/memory/archive/ahead.h"
#include <string.h>

int acts_look(struct sql_archive *a)
{
	struct constants c;
	int r = constants_read(&a->wdb, &c, NULL);

	if (r == 0)
		a->act_due_ms = c.act_due;
	return r;
}

static const char *wrong_constants(struct sql_archive *a, struct job *j, const struct item_constants *asked,
				   struct thermal_model *model)
{
	struct thermal_model want = *constants_latest(a), changed = want;
	const char *field = "", *rule;
	wire_str text;

	if (constants_apply(asked, &want) == 0)
		return "no constant is named";
	if ((rule = thermal_objection(&want, &field)) != NULL) {
		text = act_printf(j, "%s %s%c", field, rule, '\0');
		return text.p == NULL ? rule : text.p;
	}
	if (thermal_same(&want, &changed))
		return "the constants are so already";
	if (thermal_change(&changed, &want, (double)a->now_ms) < 0)
		return "the half-life has been changed as often as it can be";
	*model = changed;
	return NULL;
}

const char *act_obstacle(struct sql_archive *a, struct job *j, int kind, const struct item_governed *item,
			 struct row *row, struct thermal_model *model, int *r)
{
	*r = 0;
	if (kind == ACT_CONSTANTS)
		return wrong_constants(a, j, &item->constants, model);
	ahead_clear(a);
	if ((*r = row_by_id(a, item->memory, row)) < 0)
		return NULL;
	if (*r == 0)
		return "no memory has this id";
	*r = 0;
	if (kind == ACT_DESIGNATE)
		return row->sacred ? "the memory is sacred already" : NULL;
	return row->sacred ? NULL : "the memory is not sacred: this needs no act";
}

static int set_sacred(struct sql_archive *a, const struct row *row, bool sacred)
{
	const struct heat_change c = {row->heat, row->heat, true, row->sacred, sacred, false};
	struct query q = q_begin(&a->wdb, SQL_SET_SACRED);
	int r;

	q_i64(&q, row->seq);
	q_i64(&q, sacred);
	if ((r = q_run(&q)) < 0 || row->hidden)
		return r;
	return heat_changed(a, &c);
}

static int set_constants(struct sql_archive *a, const struct thermal_model *model, struct item_constants *before)
{
	const struct thermal_model was = *constants_latest(a);
	int r;

	constants_show(&was, before);
	if ((r = constants_write(a, &was, model)) < 0)
		return r;
	return constants_next(a, model);
}

static int delete (struct sql_archive *a, struct job *j, const struct row *row)
{
	struct archive_hit *hit = job_alloc(j, sizeof(*hit));
	int r;

	if (hit == NULL)
		return TR_ENOMEM;
	if ((r = forget_row(a, row)) < 0)
		return r;
	*hit = (struct archive_hit){.memory = row->seq, .seen = row->seen};
	j->answer.hits = hit;
	j->answer.nhits = 1;
	return 0;
}

static int begin(struct sql_archive *a, wire_str id)
{
	struct query q = q_begin(&a->wdb, SQL_CARRY_ACT);

	q_text(&q, id.p, id.n);
	return q_run(&q);
}

/* What it does; before: filled for constants. */
static int effect(struct sql_archive *a, struct job *j, const struct act *act, const struct row *row,
		  const struct thermal_model *model, struct item_constants *before)
{
	switch (act->kind) {
	case ACT_CONSTANTS:
		return set_constants(a, model, before);
	case ACT_DESIGNATE:
		return set_sacred(a, row, true);
	case ACT_UNSACRE:
		return set_sacred(a, row, false);
	default:
		return delete (a, j, row);
	}
}

static int carry(struct sql_archive *a, struct job *j, struct act *act)
{
	static const wire_str us = {"memory_jr", sizeof("memory_jr") - 1}, none = {NULL, 0};
	const bool constants = act->kind == ACT_CONSTANTS;
	struct item_constants before = {.has_base = false};
	struct thermal_model model;
	struct row row;
	const char *why;
	int r;

	why = act_obstacle(a, j, act->kind, &act->item, &row, &model, &r);
	if (r < 0 || (r = begin(a, act->item.id)) < 0)
		return r;
	if (why != NULL) {
		if ((r = act_end(a, j, act->item.id, "failed", wire_s(why), NULL)) < 0)
			return r;
		return act_decide(a, j, &act->item, "could not be carried out", us, wire_s(why));
	}
	if ((r = effect(a, j, act, &row, &model, &before)) < 0 ||
	    (r = act_end(a, j, act->item.id, "done", none, constants ? &before : NULL)) < 0)
		return r;
	return act_decide(a, j, &act->item, "is carried out", us, act->item.reason);
}

/* 1 and *out, 0: none is due, < 0 */
static int next_due(struct sql_archive *a, struct job *j, struct act *out)
{
	struct query q = q_begin(&a->wdb, SQL_ACT_DUE);
	int r, s;

	q_i64(&q, a->now_ms);
	if ((r = q_row(&q)) == 1 && (s = act_row(j, &q, out)) < 0)
		r = s;
	q_end(&q);
	return r;
}

int write_carry_out(struct sql_archive *a, struct job *j)
{
	struct res_memory_carry_out *res = job_alloc(j, sizeof(*res));
	struct item_governed *v = job_alloc(j, sizeof(*v));
	struct act act;
	int r;

	if (res == NULL || v == NULL)
		return TR_ENOMEM;
	if ((r = next_due(a, j, &act)) == 1) {
		wire_str id = act.item.id;

		if ((r = carry(a, j, &act)) < 0 || (r = act_by_id(&a->wdb, j, id, &act)) < 0)
			return r;
		act.item.has_envelope = false;
		*v = act.item;
		res->acts.n = 1;
	}
	if (r < 0 || (r = acts_look(a)) < 0)
		return r;
	res->acts.v = v;
	res->more = a->act_due_ms != 0 && a->act_due_ms <= a->now_ms;
	j->answer.res = res;
	return 0;
}
