/* Acts of governance: who may ask for one, that it is asked for once, and that somebody may object. docs/OPERATIONS.md
 * has it in words. What is asked for is decided on, written and told in one commit; what it does comes when its time
 * has come (acts_carry.c). */
#include "jrs/memory/archive/acts.h"
#include "common/base/clock.h"
#include "common/config/config.h"
#include "common/log/log.h"
#include "jrs/memory/archive/ahead.h"
#include "proto/dsse/dsse.h"
#include "proto/json/json.h"
#include <string.h>

#define TYPE        "application/vnd.tribe.governance+json"
#define DAY_MS      86400000
#define EXPIRES_MAX (366LL * DAY_MS)

/* What somebody asks for, once it is known who. */
struct asked {
	const struct item_act *act;
	int kind; /* enum act_kind */
	bool is_signed;
	wire_str id, envelope;
	wire_str signer[GOVERNORS];
	unsigned nsigners;
	unsigned char said[TR_SHA256_LEN];
};

/* ---- who asks for what ---- */
static void drop_json(void *o)
{
	json_decref(o);
}

/* The payload borrows its texts from the JSON, which lives as long as the call. */
static int payload(struct job *j, const struct dsse *e, struct asked *out)
{
	struct item_act *act = job_alloc(j, sizeof(*act));
	json_t *doc = NULL;
	int r;

	if (act == NULL)
		return TR_ENOMEM;
	if ((r = json_parse(&doc, (const char *)e->payload, e->payload_n, &j->fault)) < 0)
		return r;
	if (!msgpack_zone_push_finalizer(j->ctx.zone, drop_json, doc)) {
		json_decref(doc);
		return TR_ENOMEM;
	}
	if ((r = json_decode(&wire_shape_act, doc, j->ctx.zone, act, &j->fault)) < 0)
		return r;
	out->act = act;
	return tr_sha256(e->payload, e->payload_n, out->said);
}

static int take_signed(struct sql_archive *a, struct job *j, const struct msg_memory_govern *msg, struct asked *out)
{
	struct dsse *e = job_alloc(j, sizeof(*e));
	uint32_t bits = 0;
	int r;

	if (e == NULL)
		return TR_ENOMEM;
	if (!a->governance.has_keys)
		return job_fault(j, TR_EREFUSED, "envelope",
				 "no keys of governance are set: an admin asks, with act and confirm");
	if ((r = dsse_parse(e, msg->envelope.p, msg->envelope.n, &j->fault)) < 0)
		return r;
	if (strcmp(e->type, TYPE) != 0)
		return job_fault(j, TR_EINVAL, "payloadType", "must be " TYPE);
	if ((r = dsse_verify(e, TYPE, (const unsigned char(*)[DSSE_KEY_LEN])a->governance.key, GOVERNORS, &bits)) < 0)
		return r;
	if (bits == 0)
		return job_fault(j, TR_EREFUSED, "signatures", "none of them is by a key of governance");
	for (unsigned i = 0; i < GOVERNORS; i++) {
		if (bits >> i & 1)
			out->signer[out->nsigners++] = wire_s(cfg_governors[i]);
	}
	out->is_signed = true;
	out->envelope = msg->envelope;
	return payload(j, e, out);
}

static int take_plain(struct sql_archive *a, struct job *j, const struct msg_memory_govern *msg, struct asked *out)
{
	msgpack_sbuffer sb;
	int r;

	if (!msg->has_act)
		return job_fault(j, TR_EINVAL, "", "must have envelope or act");
	if (a->governance.has_keys)
		return job_fault(j, TR_EREFUSED, "act",
				 "keys of governance are set: it takes an envelope that they have signed");
	out->act = &msg->act;
	out->signer[out->nsigners++] = msg->has_by ? msg->by : wire_s("admin");
	msgpack_sbuffer_init(&sb);
	if ((r = wire_encode(&sb, &wire_shape_act, &msg->act)) == 0)
		r = tr_sha256(sb.data, sb.size, out->said);
	msgpack_sbuffer_destroy(&sb);
	return r;
}

/* What must stand there, whoever signed it. */
static int shape(struct job *j, const struct asked *k)
{
	const struct item_act *act = k->act;

	if (k->kind < 0)
		return job_fault(j, TR_EINVAL, "act", "must be constants, designate, unsacre, delete or object");
	if (k->is_signed && (!act->has_id || !act->has_archive || !act->has_expires))
		return job_fault(j, TR_EINVAL,
				 !act->has_id        ? "id"
				 : !act->has_archive ? "archive"
						     : "expires",
				 "must stand in what is signed");
	if (act->has_constants != (k->kind == ACT_CONSTANTS))
		return job_fault(j, TR_EINVAL, "constants", "must be there for the act constants, and for no other");
	if (act->has_objects_to != (k->kind == ACT_OBJECT))
		return job_fault(j, TR_EINVAL, "objects_to", "must be there to object, and for no other act");
	if (act->has_memory != (k->kind != ACT_OBJECT && k->kind != ACT_CONSTANTS))
		return job_fault(j, TR_EINVAL, "memory",
				 "must be there to designate, unsacre or delete, and for no other act");
	return 0;
}

static wire_str archive_name(struct sql_archive *a, struct job *j)
{
	return act_printf(j, "%014llx", (unsigned long long)a->archive_id);
}

static bool same_text(wire_str x, wire_str y)
{
	return x.n == y.n && memcmp(x.p, y.p, x.n) == 0;
}

/* Without keys an admin says once more what it is about. */
static int confirmed(struct sql_archive *a, struct job *j, const struct msg_memory_govern *msg, const struct asked *k)
{
	wire_str want = k->kind == ACT_CONSTANTS ? archive_name(a, j)
			: k->kind == ACT_OBJECT  ? k->act->objects_to
						 : k->act->memory;

	if (k->is_signed || k->kind == ACT_OBJECT)
		return 0;
	if (want.p == NULL)
		return TR_ENOMEM;
	if (!msg->has_confirm || !same_text(msg->confirm, want))
		return job_fault(j, TR_EINVAL, "confirm",
				 k->kind == ACT_CONSTANTS
					 ? "must be the id of this archive, as the list of acts tells it"
					 : "must be the id of the memory once more");
	return 0;
}

static int identify(struct job *j, struct asked *k)
{
	char id[TR_ID_LEN];

	k->id = k->act->id;
	if (k->act->has_id)
		return 0;
	tr_id_new(id);
	k->id = job_text(j, id, (uint32_t)strlen(id));
	return k->id.p == NULL ? TR_ENOMEM : 0;
}

/* ---- may it be? ---- */
/* Why what is signed does not count here and now; NULL: it does. *r < 0 on failure. */
static const char *unfit(struct sql_archive *a, struct job *j, const struct asked *k, int *r)
{
	const struct item_act *act = k->act;
	wire_str us = archive_name(a, j);

	*r = us.p == NULL ? TR_ENOMEM : 0;
	if (*r < 0 || !k->is_signed)
		return NULL;
	if (!same_text(act->archive, us))
		return "it is for another archive";
	if (act->expires <= a->now_ms)
		return "it has expired";
	if (act->expires > a->now_ms + EXPIRES_MAX)
		return "it must expire within 366 days";
	if (act->has_not_before && act->not_before > act->expires)
		return "it would begin behind its end";
	if (k->nsigners < act_names[k->kind].needed)
		return k->kind == ACT_CONSTANTS ? "it takes two of the three keys" : "it takes all three keys";
	return NULL;
}

static const char *refusal(struct sql_archive *a, struct job *j, const struct asked *k, int *r)
{
	const char *why = unfit(a, j, k, r);
	struct item_governed item = {.memory = k->act->memory, .constants = k->act->constants};
	struct thermal_model model;
	struct row row;

	if (why != NULL || *r < 0)
		return why;
	return act_obstacle(a, j, k->kind, &item, &row, &model, r);
}

/* ---- what is written ---- */
static int put_act(struct sql_archive *a, struct job *j, const struct asked *k, const char *refused, int64_t due)
{
	const wire_strs signers = {k->signer, k->nsigners};
	wire_str constants = {NULL, 0}, names = {NULL, 0};
	struct query q;
	int r;

	if ((k->act->has_constants && (r = constants_text(j, &k->act->constants, &constants)) < 0) ||
	    (r = names_text(j, &signers, &names)) < 0)
		return r;
	q = q_begin(&a->wdb, SQL_ADD_ACT);
	q_text(&q, k->id.p, k->id.n);
	q_text(&q, act_names[k->kind].name, strlen(act_names[k->kind].name));
	if (refused != NULL)
		q_text(&q, "refused", strlen("refused"));
	else
		q_text(&q, "pending", strlen("pending"));
	q_opt_text(&q, k->act->has_memory, k->act->memory);
	q_opt_text(&q, k->act->has_constants, constants);
	q_text(&q, names.p, names.n);
	q_text(&q, k->act->reason.p, k->act->reason.n);
	q_opt_text(&q, refused != NULL, wire_s(refused));
	q_blob(&q, k->said, sizeof(k->said));
	q_i64(&q, a->now_ms);
	q_i64(&q, due);
	q_opt_i64(&q, refused != NULL, a->now_ms);
	q_opt_text(&q, k->is_signed, k->envelope);
	r = q_row(&q);
	q_end(&q);
	return r < 0 ? r : r == 1 ? 0 : TR_ESTORE;
}

static int answer(struct sql_archive *a, struct job *j, wire_str id, bool known)
{
	struct res_memory_govern *res = job_alloc(j, sizeof(*res));
	struct act act;
	int r;

	if (res == NULL)
		return TR_ENOMEM;
	if ((r = act_by_id(&a->wdb, j, id, &act)) != 1)
		return r < 0 ? r : TR_ESTORE;
	act.item.has_envelope = false; /* the asker has it */
	res->act = act.item;
	res->known = known;
	j->answer.res = res;
	return act_objections(&a->wdb, j, &res->act);
}

static int propose(struct sql_archive *a, struct job *j, const struct asked *k, const struct act *before)
{
	static const wire_str us = {"memory_jr", sizeof("memory_jr") - 1};
	int64_t due = a->now_ms + (int64_t)a->governance.delay_ms, pending = a->act_due_ms;
	char when[TR_RFC3339_LEN], happened[160];
	struct act act;
	const char *why;
	int r;

	if (k->act->has_not_before && k->act->not_before > due)
		due = k->act->not_before;
	why = refusal(a, j, k, &r);
	if (r < 0)
		return r;
	if (why != NULL && before != NULL && memcmp(before->said, k->said, sizeof(k->said)) == 0 &&
	    same_text(before->item.note, wire_s(why)))
		return answer(a, j, k->id, true); /* nothing new: the log is not to be filled by saying it again */
	if ((r = put_act(a, j, k, why, due)) < 0 || (r = act_by_id(&a->wdb, j, k->id, &act)) != 1)
		return r < 0 ? r : TR_ESTORE;
	tr_rfc3339_format(due, when);
	(void)snprintf(happened, sizeof(happened), "takes effect at %s unless somebody objects before", when);
	if (why != NULL)
		r = act_decide(a, j, &act.item, "is refused", us, wire_s(why));
	else
		r = act_decide(a, j, &act.item, happened, us, act.item.reason);
	if (r < 0)
		return r;
	/* Told before it is committed: too early is harmless, too late is not. */
	if (why == NULL && (pending == 0 || due < pending))
		a->act_due_ms = due;
	log_info("governance: an act is %s act=%s signers=%u", why == NULL ? "pending" : "refused",
		 act_names[k->kind].name, k->nsigners);
	return answer(a, j, k->id, false);
}

/* ---- objections ---- */
static int put_objection(struct sql_archive *a, const struct asked *k)
{
	struct query q = q_begin(&a->wdb, SQL_ADD_OBJECTION);

	q_text(&q, k->id.p, k->id.n);
	q_text(&q, k->act->objects_to.p, k->act->objects_to.n);
	q_text(&q, k->signer[0].p, k->signer[0].n);
	q_text(&q, k->act->reason.p, k->act->reason.n);
	q_i64(&q, a->now_ms);
	q_blob(&q, k->said, sizeof(k->said));
	q_opt_text(&q, k->is_signed, k->envelope);
	return q_run(&q);
}

/* 1: the same was said before, 0: it is new, < 0 */
static int objected(struct sql_archive *a, struct job *j, const struct asked *k)
{
	struct query q = q_begin(&a->wdb, SQL_OBJECTION);
	int r;

	q_text(&q, k->id.p, k->id.n);
	if ((r = q_row(&q)) == 1 &&
	    (q_len(&q, 1) != TR_SHA256_LEN || memcmp(q_get(&q, 1), k->said, TR_SHA256_LEN) != 0))
		r = job_fault(j, TR_ECONFLICT, "id", "was used for another objection");
	q_end(&q);
	return r;
}

static int object(struct sql_archive *a, struct job *j, const struct asked *k)
{
	wire_str note, target = k->act->objects_to;
	struct act act;
	const char *why;
	int r;

	if ((r = objected(a, j, k)) != 0)
		return r < 0 ? r : answer(a, j, target, true);
	why = unfit(a, j, k, &r);
	if (r < 0)
		return r;
	if (why != NULL)
		return job_fault(j, TR_EREFUSED, "", why);
	if ((r = act_by_id(&a->wdb, j, target, &act)) <= 0)
		return r < 0 ? r : job_fault(j, TR_ENOTFOUND, "objects_to", "no act has this id");
	if (!same_text(act.item.state, wire_s("pending")) || act.item.due_at <= a->now_ms)
		return job_fault(j, TR_ECONFLICT, "objects_to", "the time to object to this act is over");
	note = act_printf(j, "%.*s objects: %.*s", (int)k->signer[0].n, k->signer[0].p, (int)k->act->reason.n,
			  k->act->reason.p);
	if (note.p == NULL)
		return TR_ENOMEM;
	if ((r = put_objection(a, k)) < 0 || (r = act_end(a, j, target, "stopped", note, NULL)) < 0 ||
	    (r = act_decide(a, j, &act.item, "is stopped", k->signer[0], note)) < 0 || (r = acts_look(a)) < 0)
		return r;
	log_info("governance: an act is stopped by an objection act=%s", act_names[act.kind].name);
	return answer(a, j, target, false);
}

int write_govern(struct sql_archive *a, struct job *j)
{
	const struct msg_memory_govern *msg = j->msg;
	struct asked k = {.act = NULL};
	struct act before;
	int r = msg->has_envelope ? take_signed(a, j, msg, &k) : take_plain(a, j, msg, &k);

	if (r < 0)
		return r;
	k.kind = act_kind(k.act->act);
	if (msg->has_about &&
	    (k.kind != ACT_OBJECT || !k.act->has_objects_to || !same_text(k.act->objects_to, msg->about)))
		return job_fault(j, TR_EINVAL, "objects_to", "must be the act that the path names");
	if ((r = shape(j, &k)) < 0 || (r = confirmed(a, j, msg, &k)) < 0 || (r = identify(j, &k)) < 0)
		return r;
	if (k.kind == ACT_OBJECT)
		return object(a, j, &k);
	if ((r = act_by_id(&a->wdb, j, k.id, &before)) < 0)
		return r;
	if (r == 1 && !same_text(before.item.state, wire_s("refused"))) {
		if (memcmp(before.said, k.said, sizeof(k.said)) != 0)
			return job_fault(j, TR_ECONFLICT, "id", "was used for another act");
		return answer(a, j, k.id, true);
	}
	return propose(a, j, &k, r == 1 ? &before : NULL);
}
