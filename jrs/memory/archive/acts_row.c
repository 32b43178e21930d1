/* Rows of acts and what is written of them. */
#include "common/base/clock.h"
#include "jrs/memory/archive/acts.h"
#include "proto/json/json.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ACTS_SHOWN 50 /* when the caller does not say how many */

enum {
	COL_ID,
	COL_ACT,
	COL_STATE,
	COL_MEMORY,
	COL_CONSTANTS,
	COL_BEFORE,
	COL_SIGNERS,
	COL_REASON,
	COL_NOTE,
	COL_SAID,
	COL_SUBMITTED,
	COL_DUE,
	COL_ENDED,
	COL_ENVELOPE
};

const struct act_name act_names[ACT_NKINDS] = {
#define X(id, name, needed) [ACT_##id] = {name, needed},
	ACTS(X)
#undef X
};

int act_kind(wire_str name)
{
	for (int i = 0; i < ACT_NKINDS; i++) {
		if (strlen(act_names[i].name) == name.n && memcmp(act_names[i].name, name.p, name.n) == 0)
			return i;
	}
	return -1;
}

wire_str act_printf(struct job *j, const char *fmt, ...)
{
	char *text = NULL;
	wire_str s = {NULL, 0};
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vasprintf(&text, fmt, ap);
	va_end(ap);
	if (n < 0)
		return s;
	s = job_text(j, text, (uint32_t)n);
	free(text);
	return s;
}

/* ---- lists and constants as JSON ---- */
static int dumped(struct job *j, json_t *o, wire_str *out)
{
	struct buf text = {0};
	int r = o == NULL ? TR_ENOMEM : json_print_exact(o, &text);

	if (r == 0) {
		*out = job_text(j, text.p, (uint32_t)text.len);
		r = out->p == NULL ? TR_ENOMEM : 0;
	}
	buf_free(&text);
	json_decref(o);
	return r;
}

int constants_text(struct job *j, const struct item_constants *c, wire_str *out)
{
	return dumped(j, json_encode(&wire_shape_constants, c), out);
}

int names_text(struct job *j, const wire_strs *names, wire_str *out)
{
	json_t *list = json_array();

	for (uint32_t i = 0; list != NULL && i < names->n; i++) {
		if (json_array_append_new(list, json_stringn(names->v[i].p, names->v[i].n)) < 0) {
			json_decref(list);
			list = NULL;
		}
	}
	return dumped(j, list, out);
}

static int take_constants(struct job *j, struct query *q, int col, bool *has, struct item_constants *out)
{
	json_t *o = NULL;
	int r;

	if (q_is_null(q, col))
		return 0;
	if ((r = json_parse(&o, q_get(q, col), q_len(q, col), NULL)) < 0)
		return r == TR_ENOMEM ? r : TR_ESTORE;
	r = json_decode(&wire_shape_constants, o, j->ctx.zone, out, NULL); /* numbers: nothing is borrowed from it */
	json_decref(o);
	*has = r == 0;
	return r < 0 ? TR_ESTORE : 0;
}

static int take_names(struct job *j, struct query *q, int col, wire_strs *out)
{
	json_t *list = NULL;
	wire_str *v;
	int r;

	if ((r = json_parse(&list, q_get(q, col), q_len(q, col), NULL)) < 0)
		return r == TR_ENOMEM ? r : TR_ESTORE;
	v = job_alloc(j, sizeof(*v) * (json_array_size(list) + 1));
	for (uint32_t i = 0; v != NULL && i < json_array_size(list); i++) {
		const json_t *name = json_array_get(list, i);

		v[i] = job_text(j, json_string_value(name), (uint32_t)json_string_length(name));
		out->n = i + 1;
		if (v[i].p == NULL)
			v = NULL;
	}
	out->v = v;
	json_decref(list);
	return v == NULL ? TR_ENOMEM : 0;
}

int act_row(struct job *j, struct query *q, struct act *out)
{
	struct item_governed *g = &out->item;
	int r;

	memset(out, 0, sizeof(*out));
	if ((r = row_text(j, q, COL_ID, &g->id)) < 0 || (r = row_text(j, q, COL_ACT, &g->act)) < 0 ||
	    (r = row_text(j, q, COL_STATE, &g->state)) < 0 ||
	    (r = row_opt_text(j, q, COL_MEMORY, &g->has_memory, &g->memory)) < 0 ||
	    (r = take_constants(j, q, COL_CONSTANTS, &g->has_constants, &g->constants)) < 0 ||
	    (r = take_constants(j, q, COL_BEFORE, &g->has_before, &g->before)) < 0 ||
	    (r = take_names(j, q, COL_SIGNERS, &g->signers)) < 0 || (r = row_text(j, q, COL_REASON, &g->reason)) < 0 ||
	    (r = row_opt_text(j, q, COL_NOTE, &g->has_note, &g->note)) < 0 ||
	    (r = row_opt_text(j, q, COL_ENVELOPE, &g->has_envelope, &g->envelope)) < 0)
		return r;
	g->submitted_at = q_get_i64(q, COL_SUBMITTED);
	g->due_at = q_get_i64(q, COL_DUE);
	g->has_ended_at = !q_is_null(q, COL_ENDED);
	g->ended_at = q_get_i64(q, COL_ENDED);
	out->kind = act_kind(g->act);
	if (q_len(q, COL_SAID) != TR_SHA256_LEN || out->kind < 0)
		return TR_ESTORE;
	memcpy(out->said, q_get(q, COL_SAID), TR_SHA256_LEN);
	return 0;
}

int act_by_id(struct db *db, struct job *j, wire_str id, struct act *out)
{
	struct query q = q_begin(db, SQL_ACT);
	int r, s;

	q_text(&q, id.p, id.n);
	if ((r = q_row(&q)) == 1 && (s = act_row(j, &q, out)) < 0)
		r = s;
	q_end(&q);
	return r;
}

int act_objections(struct db *db, struct job *j, struct item_governed *item)
{
	struct query q = q_begin(db, SQL_OBJECTIONS_OF);
	struct item_objection *v = NULL;
	uint32_t n = 0;
	int r;

	q_text(&q, item->id.p, item->id.n);
	while ((r = q_row(&q)) == 1 && n < 64) {
		if (v == NULL && (v = job_alloc(j, sizeof(*v) * 64)) == NULL) /* hardly any act has one */
			r = TR_ENOMEM;
		else if ((r = row_text(j, &q, 0, &v[n].id)) == 0 && (r = row_text(j, &q, 1, &v[n].by)) == 0)
			r = row_text(j, &q, 2, &v[n].reason);
		if (r < 0)
			break;
		v[n++].at = q_get_i64(&q, 3);
	}
	q_end(&q);
	item->objections.v = v;
	item->objections.n = n;
	return r < 0 ? r : 0;
}

/* ---- what is written of them ---- */
static wire_str joined(struct job *j, const wire_strs *names)
{
	struct buf text = {0};
	wire_str s = {NULL, 0};

	for (uint32_t i = 0; i < names->n; i++)
		(void)buf_printf(&text, "%s%.*s", i == 0 ? "" : ", ", (int)names->v[i].n, names->v[i].p);
	if (!text.failed)
		s = job_text(j, text.p, (uint32_t)text.len);
	buf_free(&text);
	return s;
}

static wire_str what(struct job *j, const struct item_governed *g)
{
	wire_str text = {NULL, 0};

	switch (act_kind(g->act)) {
	case ACT_CONSTANTS:
		if (constants_text(j, &g->constants, &text) < 0)
			return text;
		return act_printf(j, "change the thermal constants to %.*s", (int)text.n, text.p);
	case ACT_DESIGNATE:
		return act_printf(j, "make the memory %.*s sacred", (int)g->memory.n, g->memory.p);
	case ACT_UNSACRE:
		return act_printf(j, "let the memory %.*s be sacred no longer", (int)g->memory.n, g->memory.p);
	default:
		return act_printf(j, "delete the sacred memory %.*s", (int)g->memory.n, g->memory.p);
	}
}

int act_decide(struct sql_archive *a, struct job *j, const struct item_governed *g, const char *happened, wire_str by,
	       wire_str why)
{
	static const wire_str tags[] = {{"decision", sizeof("decision") - 1}, {"governance", sizeof("governance") - 1}};
	wire_str act = what(j, g), signers = joined(j, &g->signers), text;
	struct item_decision decision;

	if (act.p == NULL || signers.p == NULL)
		return TR_ENOMEM;
	text = act_printf(j, "The act %.*s, to %.*s, asked for by %.*s, %s%s%.*s", (int)g->id.n, g->id.p, (int)act.n,
			  act.p, (int)signers.n, signers.p, happened, why.n > 0 ? ": " : ".", (int)why.n,
			  why.n > 0 ? why.p : "");
	if (text.p == NULL)
		return TR_ENOMEM;
	return write_decision(a, j, text, by, &(const wire_strs){tags, 2}, &decision);
}

int act_end(struct sql_archive *a, struct job *j, wire_str id, const char *state, wire_str note,
	    const struct item_constants *before)
{
	wire_str text = {NULL, 0};
	struct query q;
	int r;

	if (before != NULL && (r = constants_text(j, before, &text)) < 0)
		return r;
	q = q_begin(&a->wdb, SQL_END_ACT);
	q_text(&q, id.p, id.n);
	q_text(&q, state, strlen(state));
	q_opt_text(&q, note.n > 0, note);
	q_i64(&q, a->now_ms);
	q_opt_text(&q, before != NULL, text);
	return q_run(&q);
}

/* ---- the list ---- */
static int gather(struct job *j, struct query *q, struct item_governed *v, uint32_t limit, bool whole)
{
	uint32_t n = 0;
	struct act act;
	int r;

	while (n < limit && (r = q_row(q)) == 1) {
		if ((r = act_row(j, q, &act)) < 0)
			break;
		act.item.has_envelope = act.item.has_envelope && whole; /* of a list they would be most */
		v[n++] = act.item;
	}
	q_end(q);
	return n < limit && r < 0 ? r : (int)n;
}

int read_acts(struct sql_archive *a, struct job *j)
{
	const struct msg_memory_acts *msg = j->msg;
	uint32_t limit = msg->has_id ? 1 : msg->has_limit ? msg->limit : ACTS_SHOWN;
	struct res_memory_acts *res = job_alloc(j, sizeof(*res));
	struct item_governed *v = job_alloc(j, sizeof(*v) * limit);
	struct query q;
	int n, i, r;

	if (res == NULL || v == NULL)
		return TR_ENOMEM;
	if ((r = j->db->driver->look(j->db)) < 0)
		return r;
	q = q_begin(j->db, msg->has_id ? SQL_ACT : SQL_ACTS);
	if (msg->has_id)
		q_text(&q, msg->id.p, msg->id.n);
	else
		q_i64(&q, limit);
	if ((n = gather(j, &q, v, limit, msg->has_id)) < 0)
		return n;
	if (msg->has_id && n == 0)
		return job_fault(j, TR_ENOTFOUND, "id", "no act has this id");
	for (i = 0; i < n; i++) {
		if ((r = act_objections(j->db, j, &v[i])) < 0)
			return r;
	}
	res->acts.v = v;
	res->acts.n = (uint32_t)n;
	res->archive = act_printf(j, "%014llx", (unsigned long long)a->archive_id);
	res->keys = a->governance.has_keys;
	res->delay_s = a->governance.delay_ms / 1000;
	constants_show(archive_thermal(a), &res->constants);
	j->answer.res = res;
	return res->archive.p == NULL ? TR_ENOMEM : 0;
}
