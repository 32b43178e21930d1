#include "jrs/integration/inside.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/text.h"
#include "common/log/log.h"
#include "common/loop/loop.h"
#include "jrs/integration/import/import.h"
#include "jrs/integration/synthesis/synthesis.h"

/* Part of every batch's request id: another cutting of the same piece is another request. */
#define IMPORT_REVISION "import/3"

/* One integration.import under way. */
struct job {
	struct job *next, **link;
	struct integration *in;
	struct chan_call *call;
	const struct msg_integration_import *msg; /* lives as long as the call */
	struct import *import;
	struct loop_timer *timer; /* the next turn, so that the loop can beat in between */
	msgpack_zone *zone;       /* owned; the batch's rows */
	struct import_rows rows;
	uint32_t place[IMPORT_BATCH]; /* of each row still in the batch, among those import_batch() gave */
	bool more, asking;
	bool looking;       /* only at what would be skipped */
	bool noting, noted; /* the position: goes with the last batch; is durable */
	uint32_t token;
	uint64_t round; /* number of the request, part of its id */
	unsigned char digest[TR_SHA256_LEN];
	uint64_t added, known, refused; /* refused: rows that the archive did not take */
	char why[200];                  /* the first of these */
};

int integration_new(struct integration **out, const struct integration_cfg *cfg)
{
	struct integration *in = calloc(1, sizeof *in);
	int r;

	if (in == NULL)
		return TR_ENOMEM;
	in->cfg = *cfg;
	r = words_new(&in->words);
	if (r < 0) {
		free(in);
		return r;
	}
	*out = in;
	return 0;
}

void integration_synthesise(void *arg, struct chan_call *call, const void *msg)
{
	const struct msg_integration_synthesise *m = msg;
	struct integration *in = arg;
	enum synthesis_detail detail = SYNTHESIS_SUMMARY;
	struct res_integration_synthesise res = {0};
	wire_str cited[SYNTHESIS_CITED_MAX];
	struct tr_fault fault = {0};
	struct synthesis s;
	int r = m->has_detail ? synthesis_detail_parse(m->detail, &detail, &fault) : 0;

	if (r < 0) {
		chan_fail(call, &fault);
		return;
	}
	r = synthesise(&s, in->words, m->question, detail, m->sources.v, m->sources.n);
	if (r < 0) {
		chan_failf(call, r, "", "%s", tr_strerror(r));
		return;
	}
	for (unsigned i = 0; i < s.ncited; i++)
		cited[i] = m->sources.v[s.cited[i]].id;
	res.answer = (wire_str){s.answer.p, (uint32_t)s.answer.len};
	res.confidence = s.confidence;
	res.confidence_basis = wire_s(s.basis);
	res.cited = (wire_strs){cited, s.ncited};
	res.synthesis = wire_s("extractive");
	chan_reply(call, &res);
	synthesis_free(&s);
}

static void job_free(struct job *j)
{
	if (j->asking)
		peer_cancel(j->in->cfg.memory, j->token);
	*j->link = j->next;
	if (j->next != NULL)
		j->next->link = j->link;
	loop_timer_free(&j->timer);
	import_free(&j->import);
	msgpack_zone_free(j->zone);
	free(j);
}

/* What was not taken in, and why, is a decision of ours. */
static void decide(struct job *j, uint64_t refused, const char *why)
{
	const struct msg_integration_import *m = j->msg;
	wire_str name = m->has_import_id ? m->import_id : m->name;
	char topic[WIRE_NAME_MAX + 8];

	if (j->in->cfg.decided == NULL || j->looking)
		return;
	snprintf(topic, sizeof topic, "import %.*s", (int)name.n, name.p);
	if (refused == 0)
		decided_say(j->in->cfg.decided, topic, DECIDED_HOUR_MS, tr_wall_ms(), "Import of %.*s refused: %s.",
			    (int)m->name.n, m->name.p, why);
	else if (j->added + j->known == 0)
		decided_say(j->in->cfg.decided, topic, DECIDED_HOUR_MS, tr_wall_ms(),
			    "Import of %.*s refused: all %llu of what it brought, the first because: %s.",
			    (int)m->name.n, m->name.p, (unsigned long long)refused, why);
	else
		decided_say(j->in->cfg.decided, topic, DECIDED_HOUR_MS, tr_wall_ms(),
			    "Import of %.*s: refused %llu of what it brought, the first because: %s.", (int)m->name.n,
			    m->name.p, (unsigned long long)refused, why);
}

static bool refuses(int code)
{
	return code == TR_ECONFLICT || code == TR_EINVAL || code == TR_EREFUSED || code == TR_EQUOTA ||
	       code == TR_ESECRET;
}

static void job_fail(struct job *j, const struct tr_fault *fault)
{
	if (refuses(fault->code) || fault->code == TR_EMALFORMED || fault->code == TR_ETOOBIG)
		decide(j, 0, fault->rule[0] != '\0' ? fault->rule : tr_strerror(fault->code));
	log_warn("import failed error=%s", tr_err_name(fault->code));
	chan_fail(j->call, fault);
	job_free(j);
}

/* For a person; the places of a reason follow its count. */
static const char *first_reason(const struct import_skips *skips, char *out, size_t size)
{
	const wire_str reason = skips->n > 0 ? skips->v[0].reason : wire_s("it cannot be read");

	tr_copy(out, size, reason.p, reason.n);
	return out;
}

static void job_done(struct job *j)
{
	const struct import_skips *skips = import_skips(j->import); /* of the rows as well, they are done */
	char why[sizeof j->why];
	struct res_integration_import res = {.added = j->added, .known = j->known, .skipped = skips->total};

	res.reasons = (struct list_skipped){skips->v, skips->n};
	if (j->refused > 0)
		decide(j, j->added + j->known > 0 ? j->refused : skips->total, j->why);
	else if (skips->total > 0 && j->added + j->known == 0) /* none of it could be read */
		decide(j, skips->total, first_reason(skips, why, sizeof why));
	if (!j->looking)
		log_info("imported added=%llu known=%llu skipped=%llu", (unsigned long long)j->added,
			 (unsigned long long)j->known, (unsigned long long)skips->total);
	chan_reply(j->call, &res);
	job_free(j);
}

/* What must be the same for a repeated call to mean the same effect. */
static int job_digest(struct job *j)
{
	const struct msg_integration_import *m = j->msg;
	char line[24], position[24];
	int n = snprintf(line, sizeof line, "%llu", (unsigned long long)(m->has_first_line ? m->first_line : 1));
	int k = snprintf(position, sizeof position, "%llu", (unsigned long long)m->import_position);
	const struct tr_piece v[] = {
		{IMPORT_REVISION, sizeof IMPORT_REVISION - 1},
		{m->common.has_request_id ? m->common.request_id.p : NULL, m->common.request_id.n},
		{m->name.p, m->name.n},
		{m->format.p, m->format.n},
		{m->has_source ? m->source.p : NULL, m->source.n},
		{line, (size_t)n},
		{m->has_import_id ? m->import_id.p : NULL, m->import_id.n},
		{m->has_import_position ? position : NULL, (size_t)k},
		{m->data.n > 0 ? m->data.p : "", m->data.n},
	};

	return tr_sha256_pieces(v, sizeof v / sizeof v[0], j->digest);
}

static void on_added(void *arg, int r, const void *res, const struct tr_fault *fault);
static void on_restored(void *arg, int r, const void *res, const struct tr_fault *fault);

/* The id of the next request of this piece. Who only looks asks for none, and waits for no library of digests. */
static int next_id(struct job *j, char hex[2 * TR_SHA256_LEN + 1])
{
	unsigned char id[TR_SHA256_LEN + sizeof j->round], sum[TR_SHA256_LEN];
	int r;

	if (j->round == 0 && (r = job_digest(j)) < 0)
		return r;
	memcpy(id, j->digest, sizeof j->digest);
	for (unsigned i = 0; i < sizeof j->round; i++)
		id[TR_SHA256_LEN + i] = (unsigned char)(j->round >> (8 * i));
	r = tr_sha256(id, sizeof id, sum);
	if (r < 0)
		return r;
	tr_hex(sum, sizeof sum, hex);
	j->round++;
	return 0;
}

/* What both requests say of the import: the last one of the piece carries how far that brings it. */
#define TELL_IMPORT(j, to, hex)                                                    \
	do {                                                                       \
		const struct msg_integration_import *from = (j)->msg;              \
                                                                                   \
		(to)->common.has_request_id = true;                                \
		(to)->common.request_id = wire_s(hex);                             \
		(to)->common.has_who = true;                                       \
		(to)->common.who = wire_s(tr_roles[TR_ROLE_INTEGRATION].api_name); \
		(to)->has_import_id = from->has_import_id;                         \
		(to)->import_id = from->import_id;                                 \
		(to)->has_import_position = (j)->noting;                           \
		(to)->import_position = from->import_position;                     \
		(to)->has_import_skipped = (j)->noting;                            \
		(to)->import_skipped = import_skips((j)->import)->total;           \
	} while (0)

static int send_batch(struct job *j)
{
	char hex[2 * TR_SHA256_LEN + 1];
	struct msg_memory_restore restore = {0};
	struct msg_memory_add add = {0};
	uint32_t left = chan_call_left_ms(j->call);
	int r;

	if (left == 0)
		return TR_EDEADLINE;
	r = next_id(j, hex);
	if (r < 0)
		return r;
	left = left == UINT32_MAX ? j->in->cfg.timeout_ms : left;
	j->noting = !j->more && j->msg->has_import_id && j->msg->has_import_position;
	if (j->rows.kind == IMPORT_RECORDS && j->rows.n > 0) {
		restore.records = (struct list_record){j->rows.records, j->rows.n};
		TELL_IMPORT(j, &restore, hex);
		r = peer_call(j->in->cfg.memory, MSG_memory_restore, &restore, left, on_restored, j, &j->token);
	} else {
		add.has_source = true;
		add.source = j->msg->has_source ? j->msg->source : j->msg->name;
		add.memories = (struct list_new_memory){j->rows.memories, j->rows.n};
		TELL_IMPORT(j, &add, hex);
		r = peer_call(j->in->cfg.memory, MSG_memory_add, &add, left, on_added, j, &j->token);
	}
	j->asking = r == 0;
	return r;
}

static void fail_with(struct job *j, int r)
{
	struct tr_fault fault = {0};

	tr_fault_set(&fault, r, "", "%s", tr_strerror(r));
	job_fail(j, &fault);
}

/* Nothing of the piece is left to read. Where its last rows were skipped, the position still has to be noted. */
static void end(struct job *j)
{
	int r;

	if (j->looking || j->noted || !j->msg->has_import_id || !j->msg->has_import_position) {
		job_done(j);
		return;
	}
	j->rows.n = 0;
	r = send_batch(j);
	if (r < 0)
		fail_with(j, r);
}

/* The next turn: reads a batch, sends it, or ends. The job may be gone afterwards. */
static void turn(void *arg)
{
	struct job *j = arg;
	int r;

	msgpack_zone_clear(j->zone);
	r = import_batch(j->import, j->zone, &j->rows);
	j->more = r > 0;
	if (j->looking)
		j->rows.n = 0;
	for (uint32_t i = 0; i < j->rows.n; i++)
		j->place[i] = i;
	if (r >= 0 && j->rows.n > 0)
		r = send_batch(j);
	else if (r > 0)
		r = loop_timer_start(j->timer, 0, 0);
	else if (r == 0) {
		end(j);
		return;
	}
	if (r < 0)
		fail_with(j, r);
}

/* The archive refused one row of the batch ("memories[3].id": known with other content): it is skipped, the others go
 * again. */
static bool drop_refused(struct job *j, const struct tr_fault *fault)
{
	struct import_rows *rows = &j->rows;
	const char *field = strchr(fault->field, '.');
	char reason[256];
	unsigned at;

	if (!refuses(fault->code) ||
	    (sscanf(fault->field, "memories[%u]", &at) != 1 && sscanf(fault->field, "records[%u]", &at) != 1) ||
	    at >= rows->n)
		return false;
	snprintf(reason, sizeof reason, "%s%s%s", field != NULL ? field + 1 : "", field != NULL ? ": " : "",
		 fault->rule[0] != '\0' ? fault->rule : tr_strerror(fault->code));
	import_refused(j->import, j->place[at], reason);
	if (j->refused++ == 0)
		tr_copy(j->why, sizeof j->why, reason, strlen(reason));
	rows->n--;
	memmove(&j->place[at], &j->place[at + 1], (rows->n - at) * sizeof j->place[0]);
	if (rows->kind == IMPORT_RECORDS)
		memmove(&rows->records[at], &rows->records[at + 1], (rows->n - at) * sizeof rows->records[0]);
	else
		memmove(&rows->memories[at], &rows->memories[at + 1], (rows->n - at) * sizeof rows->memories[0]);
	return true;
}

static void answered(struct job *j, int r, const struct tr_fault *fault)
{
	j->asking = false;
	if (r < 0 && !drop_refused(j, fault)) {
		job_fail(j, fault);
		return;
	}
	if (r < 0 && j->rows.n > 0) {
		r = send_batch(j);
		if (r < 0)
			fail_with(j, r);
		return;
	}
	j->noted = r == 0 && j->noting;
	if (j->more)
		turn(j);
	else
		end(j);
}

static void on_added(void *arg, int r, const void *res, const struct tr_fault *fault)
{
	const struct res_memory_add *added = res;
	struct job *j = arg;

	for (uint32_t i = 0; r == 0 && i < added->memories.n; i++) {
		j->added += added->memories.v[i].created;
		j->known += !added->memories.v[i].created;
	}
	answered(j, r, fault);
}

static void on_restored(void *arg, int r, const void *res, const struct tr_fault *fault)
{
	const struct res_memory_restore *restored = res;
	struct job *j = arg;

	if (r == 0) {
		j->added += restored->added;
		j->known += restored->known;
	}
	answered(j, r, fault);
}

static int job_new(struct job **out, struct integration *in, struct chan_call *call,
		   const struct msg_integration_import *m, enum import_format format)
{
	struct import_cfg cfg = {.format = format,
				 .name = m->name,
				 .source = m->has_source ? m->source : (wire_str){NULL, 0},
				 .data = m->data.p,
				 .len = m->data.n,
				 .first_line = m->has_first_line ? m->first_line : 1,
				 .words = in->words};
	struct job *j = calloc(1, sizeof *j);
	int r = TR_ENOMEM;

	if (j == NULL)
		return r;
	j->in = in;
	j->call = call;
	j->msg = m;
	j->looking = m->has_look && m->look;
	j->next = in->jobs;
	j->link = &in->jobs;
	in->jobs = j;
	if (j->next != NULL)
		j->next->link = &j->next;
	j->zone = msgpack_zone_new(64 << 10);
	if (j->zone == NULL || (r = import_open(&j->import, &cfg)) < 0 ||
	    (r = loop_timer_new(&j->timer, in->cfg.loop, turn, j)) < 0) {
		job_free(j);
		return r;
	}
	*out = j;
	return 0;
}

void integration_import(void *arg, struct chan_call *call, const void *msg)
{
	const struct msg_integration_import *m = msg;
	struct tr_fault fault = {0};
	enum import_format format;
	struct job *j = NULL;
	int r = import_format_parse(m->format, &format, &fault);

	if (r < 0) {
		chan_fail(call, &fault);
		return;
	}
	r = job_new(&j, arg, call, m, format);
	if (r < 0) {
		chan_failf(call, r, "", "%s", tr_strerror(r));
		return;
	}
	turn(j);
}

void integration_free(struct integration **in)
{
	struct tr_fault fault = {0};

	if (in == NULL || *in == NULL)
		return;
	tr_fault_set(&fault, TR_ECLOSED, "", "%s", tr_strerror(TR_ECLOSED));
	integration_ballots_end(*in);
	while ((*in)->jobs != NULL)
		job_fail((*in)->jobs, &fault);
	words_free(&(*in)->words);
	free(*in);
	*in = NULL;
}
