/* An effect happens once: its request id and its answer are written in its own commit. */
#include "common/base/text.h"
#include "jrs/memory/archive/ahead.h"
#include <string.h>

union tokenless {
	struct msg_memory_token_create create;
	struct msg_memory_token_rotate rotate;
};

/* The hash of a token is no part of what was asked for: each try comes with a token of its own, and the first one's is
 * made. */
static const void *asked_for(const struct job *j, union tokenless *copy)
{
	static const char none[TR_SHA256_LEN];

	if (j->id == MSG_memory_token_create) {
		copy->create = *(const struct msg_memory_token_create *)j->msg;
		copy->create.hash = (wire_bin){none, sizeof(none)};
		return copy;
	}
	if (j->id == MSG_memory_token_rotate) {
		copy->rotate = *(const struct msg_memory_token_rotate *)j->msg;
		copy->rotate.hash = (wire_bin){none, sizeof(none)};
		return copy;
	}
	return j->msg;
}

/* What the call says, without its id and its deadline. */
static int fingerprint_of(const struct job *j, unsigned char out[TR_SHA256_LEN])
{
	const struct wire_method *m = &wire_methods[j->id];
	struct tr_piece pieces[2] = {{m->method, strlen(m->method)}, {NULL, 0}};
	union tokenless copy;
	msgpack_sbuffer sb;
	int r;

	msgpack_sbuffer_init(&sb);
	if ((r = wire_encode(&sb, m->params, asked_for(j, &copy))) == 0) {
		pieces[1] = (struct tr_piece){sb.data, sb.size};
		r = tr_sha256_pieces(pieces, 2, out);
	}
	msgpack_sbuffer_destroy(&sb);
	return r;
}

/* Packed bytes of an answer -> its struct in the call's zone. */
static int unpack(struct job *j, const void *p, size_t n)
{
	const struct wire_shape *shape = wire_methods[j->id].result;
	char *bytes = job_alloc(j, n);
	msgpack_object o;
	size_t off = 0;
	void *res = job_alloc(j, shape->size);

	if (bytes == NULL || res == NULL)
		return TR_ENOMEM;
	memcpy(bytes, p, n);
	if (msgpack_unpack(bytes, n, &off, j->ctx.zone, &o) != MSGPACK_UNPACK_SUCCESS ||
	    wire_decode(shape, &o, j->ctx.zone, res, NULL) < 0)
		return TR_ESTORE;
	j->answer.res = res;
	return 0;
}

/* The stored answer of an earlier call under this id. */
static int replay(struct job *j, const char *stored, size_t stored_n, const unsigned char *fingerprint,
		  const char *result, size_t n)
{
	int r;

	if (stored_n != TR_SHA256_LEN || memcmp(stored, fingerprint, TR_SHA256_LEN) != 0)
		return job_fault(j, TR_EMISMATCH, "request_id", "was used for another request");
	if (n == 0)
		return job_fault(j, TR_ENOTFOUND, "request_id", "was carried out; its memory has been forgotten since");
	r = unpack(j, result, n);
	return r < 0 ? r : 1;
}

int request_replay(struct sql_archive *a, struct job *j, unsigned char fingerprint[TR_SHA256_LEN])
{
	const struct wire_common *common = j->msg;
	const char *stored = NULL, *result = NULL;
	size_t n = 0;
	struct query q;
	int r;

	if (!common->has_request_id)
		return 0;
	if ((r = fingerprint_of(j, fingerprint)) < 0)
		return r;
	r = ahead_request(a, common->request_id, &stored, &result, &n);
	if (r != AHEAD_UNKNOWN)
		return r == 1 ? replay(j, stored, TR_SHA256_LEN, fingerprint, result, n) : 0;
	q = q_begin(&a->wdb, SQL_REQUEST);
	q_text(&q, common->request_id.p, common->request_id.n);
	if ((r = q_row(&q)) == 1)
		r = replay(j, q_get(&q, 0), q_len(&q, 0), fingerprint, q_get(&q, 1), q_len(&q, 1));
	q_end(&q);
	return r;
}

/* Of the import that the call belongs to; n == 0: of none. */
static wire_str import_of(const struct job *j)
{
	const struct msg_memory_restore *restore = j->msg;
	const struct msg_memory_add *add = j->msg;

	if (j->id == MSG_memory_add && add->has_import_id)
		return add->import_id;
	if (j->id == MSG_memory_restore && restore->has_import_id)
		return restore->import_id;
	return wire_s(NULL);
}

/* Whose text stands in the answer; n == 0: nobody's. */
static wire_str memory_of(const struct job *j)
{
	if (j->id == MSG_memory_decide)
		return ((const struct res_memory_decide *)j->answer.res)->decision.memory_id;
	if (j->id == MSG_memory_patch)
		return ((const struct res_memory_patch *)j->answer.res)->memory.id;
	return wire_s(NULL);
}

int request_store(struct sql_archive *a, struct job *j, const unsigned char fingerprint[TR_SHA256_LEN])
{
	const struct wire_common *common = j->msg;
	const struct wire_method *m = &wire_methods[j->id];
	wire_str import = import_of(j), memory = memory_of(j);
	msgpack_sbuffer sb;
	struct query q;
	int r;

	if (!common->has_request_id)
		return 0;
	msgpack_sbuffer_init(&sb);
	if ((r = wire_encode(&sb, m->result, j->answer.res)) == 0) {
		q = q_begin(&a->wdb, SQL_ADD_REQUEST);
		q_text(&q, common->request_id.p, common->request_id.n);
		q_text(&q, m->method, strlen(m->method));
		q_blob(&q, fingerprint, TR_SHA256_LEN);
		q_blob(&q, sb.data, sb.size);
		q_i64(&q, a->now_ms);
		q_opt_text(&q, import.n > 0, import);
		q_opt_text(&q, memory.n > 0, memory);
		r = q_run(&q);
		ahead_requested(a, common->request_id);
	}
	msgpack_sbuffer_destroy(&sb);
	return r;
}
