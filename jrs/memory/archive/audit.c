/* The guard in front of the writer, and the audit: what was refused, redacted and flagged, never the text. */
#include "common/base/clock.h"
#include "common/log/log.h"
#include "jrs/memory/archive/internal.h"
#include <string.h>

#define LOAD_LATE_MS 300u
#define LINES        50 /* when the caller does not say how many */

static bool guards(const struct sql_archive *a)
{
	return a->policy.secrets != GUARD_ALLOW || !a->policy.pii_off;
}

void guard_later(struct sql_archive *a)
{
	a->guard_ms = guards(a) ? tr_mono_ms() + LOAD_LATE_MS : UINT64_MAX;
}

uint64_t guard_wake(const struct sql_archive *a)
{
	return a->guard_ms;
}

void guard_begin(struct sql_archive *a)
{
	struct tr_fault fault = {0};

	if (a->guard_ms > tr_mono_ms())
		return;
	a->guard_ms = UINT64_MAX; /* one try; then whoever needs it tries */
	if (a->guard == NULL && guard_new(&a->guard, &a->policy, &fault) < 0)
		log_error("archive: nothing that holds text is written reason=\"%s\"", fault.rule);
}

/* What only names what is there already may go on when nobody can look: it is how something gets out again. */
static bool brings_text(enum wire_msg_id id)
{
	return id != MSG_memory_forget && id != MSG_memory_import_undo;
}

void guard_look(struct sql_archive *a, struct job *j)
{
	if (j->kind != JOB_CALL || j->looked || !guards(a) || !brings_text(j->id))
		return;
	j->looked = true;
	if (a->guard == NULL && (j->guard = guard_new(&a->guard, &a->policy, &j->guard_fault)) < 0)
		goto out;
	j->guard = guard_message(a->guard, j->id, j->msg, j->ctx.zone, &j->verdict, &j->guard_fault);
	if (j->guard == 0)
		j->msg = j->verdict.msg;
out:
	if (j->guard < 0 && j->guard_fault.code != j->guard)
		tr_fault_set(&j->guard_fault, j->guard, "", "%s", tr_strerror(j->guard));
}

/* Whoever forgets guard_look() stores nothing. */
bool guard_passed(const struct sql_archive *a, const struct job *j)
{
	return !guards(a) || !brings_text(j->id) || (j->looked && j->guard == 0);
}

static void line(struct sql_archive *a, enum guard_action action, enum guard_class class, const struct job *j,
		 struct query *q)
{
	const struct wire_common *common = j->msg;
	wire_str who = common->has_who ? common->who : wire_s("local"); /* somebody who is us, on our own socket */
	const char *method = wire_methods[j->id].method;

	*q = q_begin(&a->wdb, SQL_ADD_AUDIT);
	q_i64(q, a->now_ms);
	q_text(q, guard_action_name(action), strlen(guard_action_name(action)));
	q_text(q, guard_class_name(class), strlen(guard_class_name(class)));
	q_text(q, method, strlen(method));
	q_text(q, who.p, who.n);
	a->guarded.n[class][action]++;
}

/* The source of what was refused; n == 0: none, or one that has a secret in itself. */
static wire_str source_of(struct sql_archive *a, const struct job *j)
{
	const struct msg_memory_restore *restore = j->msg;
	const struct msg_memory_decide *decide = j->msg;
	const struct msg_memory_add *add = j->msg;
	const struct guard_spans *found;
	uint32_t i = j->verdict.item;
	wire_str s = wire_s(NULL);

	if (j->id == MSG_memory_add && i < add->memories.n)
		s = add->memories.v[i].has_source ? add->memories.v[i].source : add->has_source ? add->source : s;
	else if (j->id == MSG_memory_restore && i < restore->records.n)
		s = restore->records.v[i].has_source ? restore->records.v[i].source : s;
	else if (j->id == MSG_memory_decide)
		s = decide->by;
	if (s.n == 0 || guard_scan(a->guard, s.p, s.n, GUARD_ALL_CLASSES, &found) < 0 || found->n > 0)
		return wire_s(NULL);
	return s;
}

int audit_refused(struct sql_archive *a, struct job *j)
{
	const struct wire_common *common = j->msg;
	wire_str source = source_of(a, j);
	struct query q;

	line(a, GUARD_REFUSED, j->verdict.class, j, &q);
	q_null(&q);
	q_opt_text(&q, common->has_request_id && strcmp(j->verdict.field, "request_id") != 0, common->request_id);
	q_opt_text(&q, source.n > 0, source);
	q_text(&q, j->verdict.field, strlen(j->verdict.field));
	return q_run(&q);
}

int audit_stored(struct sql_archive *a, const struct job *j, uint32_t item, const struct row *row, bool created,
		 bool has_source, wire_str source)
{
	const struct wire_common *common = j->msg;
	const struct guard_found *found = j->verdict.v == NULL ? NULL : &j->verdict.v[item];
	unsigned c;
	int r;

	for (c = 0; found != NULL && c < GUARD_NCLASSES; c++) {
		bool redacted = (found->redacted & GUARD_BIT(c)) != 0;
		struct query q;

		if (!redacted && !(created && (found->flagged & GUARD_BIT(c)) != 0))
			continue;
		line(a, redacted ? GUARD_REDACTED : GUARD_FLAGGED, (enum guard_class)c, j, &q);
		q_text(&q, row->id, row->id_n);
		q_opt_text(&q, common->has_request_id, common->request_id);
		q_opt_text(&q, has_source, source);
		q_null(&q);
		if ((r = q_run(&q)) < 0)
			return r;
	}
	return 0;
}

static int names(struct job *j, uint32_t bits, bool *has, wire_strs *out)
{
	wire_str *v;
	unsigned c;

	if (bits == 0)
		return 0;
	if ((v = job_alloc(j, sizeof(*v) * GUARD_NCLASSES)) == NULL)
		return TR_ENOMEM;
	out->v = v;
	*has = true;
	for (c = 0; c < GUARD_NCLASSES; c++) {
		if ((bits & GUARD_BIT(c)) != 0)
			v[out->n++] = wire_s(guard_class_name((enum guard_class)c));
	}
	return 0;
}

int audit_told(struct job *j, uint32_t item, struct item_added *out)
{
	const struct guard_found *found = j->verdict.v == NULL ? NULL : &j->verdict.v[item];
	int r;

	if (found == NULL)
		return 0;
	if ((r = names(j, found->redacted, &out->has_redacted, &out->redacted)) < 0)
		return r;
	return names(j, found->flagged, &out->has_flagged, &out->flagged);
}

void audit_committed(struct sql_archive *a)
{
	unsigned c, k;

	for (c = 0; c < GUARD_NCLASSES; c++) {
		for (k = 0; k < GUARD_NACTIONS; k++) {
			if (a->guarded.n[c][k] > 0)
				a->guard_counts[c][k] += a->guarded.n[c][k];
		}
	}
}

int audit_counts(struct sql_archive *a, struct job *j, struct res_memory_thermal *res)
{
	struct item_guard_count *v = job_alloc(j, sizeof(*v) * GUARD_NCLASSES * GUARD_NACTIONS);
	unsigned c, k, n = 0;

	if (v == NULL)
		return TR_ENOMEM;
	for (c = 0; c < GUARD_NCLASSES; c++) {
		for (k = 0; k < GUARD_NACTIONS; k++) {
			if (a->guard_counts[c][k] > 0)
				v[n++] = (struct item_guard_count){wire_s(guard_class_name((enum guard_class)c)),
								   wire_s(guard_action_name((enum guard_action)k)),
								   a->guard_counts[c][k]};
		}
	}
	res->guard = (struct list_guard_count){v, n};
	res->has_guard = n > 0;
	return 0;
}

static bool is_one_of(wire_str s, const char *(*name)(unsigned), unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		if (s.n == strlen(name(i)) && memcmp(s.p, name(i), s.n) == 0)
			return true;
	}
	return false;
}

static const char *name_of_action(unsigned i)
{
	return guard_action_name((enum guard_action)i);
}

static const char *name_of_class(unsigned i)
{
	return guard_class_name((enum guard_class)i);
}

int read_audit(struct sql_archive *a, struct job *j)
{
	const struct msg_memory_audit *msg = j->msg;
	uint32_t limit = msg->has_limit ? msg->limit : LINES, n = 0;
	struct res_memory_audit *res = job_alloc(j, sizeof(*res));
	struct item_audit *v = job_alloc(j, sizeof(*v) * limit);
	struct query q;
	int r;

	(void)a;
	if (res == NULL || v == NULL)
		return TR_ENOMEM;
	if (msg->has_action && !is_one_of(msg->action, name_of_action, GUARD_NACTIONS))
		return job_fault(j, TR_EINVAL, "action", "must be refused, redacted or flagged");
	if (msg->has_class && !is_one_of(msg->class, name_of_class, GUARD_NCLASSES))
		return job_fault(j, TR_EINVAL, "class", "must be a class that the guard knows, such as email");
	q = q_begin(j->db, SQL_AUDIT);
	q_opt_i64(&q, msg->has_since, msg->since);
	q_opt_text(&q, msg->has_action, msg->action);
	q_opt_text(&q, msg->has_class, msg->class);
	q_opt_text(&q, msg->has_memory, msg->memory);
	q_i64(&q, limit);
	while ((r = q_row(&q)) == 1 && n < limit) {
		struct item_audit *l = &v[n++];

		l->at = q_get_i64(&q, 0);
		if ((r = row_text(j, &q, 1, &l->action)) < 0 || (r = row_text(j, &q, 2, &l->class)) < 0 ||
		    (r = row_text(j, &q, 3, &l->method)) < 0 || (r = row_text(j, &q, 4, &l->who)) < 0 ||
		    (r = row_opt_text(j, &q, 5, &l->has_memory_id, &l->memory_id)) < 0 ||
		    (r = row_opt_text(j, &q, 6, &l->has_request_id, &l->request_id)) < 0 ||
		    (r = row_opt_text(j, &q, 7, &l->has_source, &l->source)) < 0 ||
		    (r = row_opt_text(j, &q, 8, &l->has_field, &l->field)) < 0)
			break;
	}
	q_end(&q);
	res->audit.v = v;
	res->audit.n = n;
	j->answer.res = res;
	return r < 0 ? r : 0;
}
