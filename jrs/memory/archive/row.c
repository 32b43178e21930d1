/* A row of thermal_memory_archive -> struct item_memory in the call's zone. */
#include "jrs/memory/archive/internal.h"
#include "proto/json/json.h"
#include <math.h>
#include <string.h>

#define DAY_MS 86400000.0

/* clang-format off */
enum { COL_SEQ, COL_ID, COL_CONTENT, COL_HEAT, COL_SACRED, COL_OCCURRED, COL_CREATED, COL_LAST_ACCESS, COL_ACCESSES, COL_TAGS,
       COL_SOURCE, COL_SESSION, COL_SPEAKER, COL_IMPORTANCE, COL_PHASE, COL_COMPARED, COL_SUPERSEDES, COL_SUPERSEDED_BY,
       COL_REVISION, COL_METADATA, NCOLUMNS };
/* clang-format on */
_Static_assert((int)NCOLUMNS == (int)ROW_NCOLUMNS, "columns of a memory");

int row_text(struct job *j, struct query *q, int col, wire_str *out)
{
	const char *p = q_get(q, col);
	size_t n = q_len(q, col);
	char *copy;

	if (p == NULL)
		n = 0;
	if ((copy = job_alloc(j, n)) == NULL)
		return TR_ENOMEM;
	if (n > 0)
		memcpy(copy, p, n);
	out->p = copy;
	out->n = (uint32_t)n;
	return 0;
}

int row_opt_text(struct job *j, struct query *q, int col, bool *has, wire_str *out)
{
	if (q_is_null(q, col))
		return 0;
	*has = true;
	return row_text(j, q, col, out);
}

static int parse(struct query *q, int col, json_t **out)
{
	return json_parse(out, q_get(q, col), q_len(q, col), NULL);
}

int row_strs(struct job *j, struct query *q, int col, wire_strs *out)
{
	json_t *list = NULL;
	wire_str *v = NULL;
	size_t i, n;
	int r;

	if (q_len(q, col) <= 2) /* "[]" */
		return 0;
	if ((r = parse(q, col, &list)) < 0)
		return r == TR_ENOMEM ? r : TR_ESTORE;
	n = json_array_size(list);
	if ((v = job_alloc(j, sizeof(*v) * n)) == NULL)
		goto out;
	for (i = 0; i < n; i++) {
		const json_t *tag = json_array_get(list, i);
		char *copy = job_alloc(j, json_string_length(tag));

		if (copy == NULL)
			goto out;
		if (json_is_string(tag))
			memcpy(copy, json_string_value(tag), json_string_length(tag));
		v[i] = (wire_str){copy, (uint32_t)json_string_length(tag)};
	}
	out->v = v;
	out->n = (uint32_t)n;
	v = NULL;
	r = 1;
out:
	json_decref(list);
	return r == 1 ? 0 : TR_ENOMEM;
}

static void drop_json(void *map)
{
	json_decref(map);
}

static int row_metadata(struct job *j, struct query *q, struct item_memory *out)
{
	msgpack_object *o;
	json_t *map = NULL;
	int r;

	if (q_is_null(q, COL_METADATA))
		return 0;
	if ((r = parse(q, COL_METADATA, &map)) < 0)
		return r == TR_ENOMEM ? r : TR_ESTORE;
	/* The object borrows its strings from the JSON, which therefore lives as long as the zone. */
	if (!msgpack_zone_push_finalizer(j->ctx.zone, drop_json, map)) {
		json_decref(map);
		return TR_ENOMEM;
	}
	o = job_alloc(j, sizeof(*o));
	r = o == NULL ? TR_ENOMEM : json_to_msgpack(map, j->ctx.zone, o);
	if (r == 0) {
		out->has_metadata = true;
		out->metadata = o;
	}
	return r;
}

int row_memory(struct sql_archive *a, struct job *j, struct query *q, int64_t now_ms, struct item_memory *out,
	       struct archive_hit *hit)
{
	int r;

	memset(out, 0, sizeof(*out));
	if ((r = row_text(j, q, COL_ID, &out->id)) < 0 || (r = row_text(j, q, COL_CONTENT, &out->content)) < 0 ||
	    (r = row_opt_text(j, q, COL_SOURCE, &out->has_source, &out->source)) < 0 ||
	    (r = row_opt_text(j, q, COL_SESSION, &out->has_session, &out->session)) < 0 ||
	    (r = row_opt_text(j, q, COL_SPEAKER, &out->has_speaker, &out->speaker)) < 0 ||
	    (r = row_opt_text(j, q, COL_SUPERSEDES, &out->has_supersedes, &out->supersedes)) < 0 ||
	    (r = row_opt_text(j, q, COL_SUPERSEDED_BY, &out->has_superseded_by, &out->superseded_by)) < 0 ||
	    (r = row_strs(j, q, COL_TAGS, &out->tags)) < 0 || (r = row_metadata(j, q, out)) < 0 ||
	    (r = owned_links(j, q->db, out)) < 0)
		return r;
	out->sacred = q_get_i64(q, COL_SACRED) != 0;
	out->temperature = thermal_at(archive_thermal(a), q_get_f64(q, COL_HEAT), out->sacred, (double)now_ms);
	out->stage = wire_s(thermal_stage_name(thermal_stage_of(archive_thermal(a), out->temperature)));
	out->has_at = !q_is_null(q, COL_OCCURRED);
	out->at = q_get_i64(q, COL_OCCURRED);
	out->created_at = q_get_i64(q, COL_CREATED);
	out->last_access = q_get_i64(q, COL_LAST_ACCESS);
	out->access_count = (uint64_t)q_get_i64(q, COL_ACCESSES);
	out->importance = q_get_f64(q, COL_IMPORTANCE);
	out->has_phase_coherence = !q_is_null(q, COL_PHASE);
	out->phase_coherence = q_get_f64(q, COL_PHASE);
	out->revision = (uint32_t)q_get_i64(q, COL_REVISION);
	hit->shown = out;
	hit->memory = hit->seen.memory = q_get_i64(q, COL_SEQ);
	hit->seen.phase = out->phase_coherence;
	hit->seen.compared = out->has_phase_coherence ? (uint32_t)q_get_i64(q, COL_COMPARED) : 0;
	return 0;
}

size_t row_bytes(struct query *q)
{
	return q_len(q, COL_CONTENT) + q_len(q, COL_METADATA) + q_len(q, COL_TAGS) + 4096; /* names, ids and figures */
}

int64_t row_compared(struct query *q)
{
	return q_get_i64(q, COL_COMPARED);
}

void row_explain(struct sql_archive *a, struct query *q, int64_t now_ms, struct item_memory *out)
{
	struct item_explanation *e = &out->explanation;
	double now = thermal_born(archive_thermal(a), (double)now_ms);
	int64_t idle = now_ms - out->last_access;

	out->has_explanation = true;
	e->heat_key = q_get_f64(q, COL_HEAT);
	e->raw_temperature = thermal_raw(archive_thermal(a), e->heat_key, (double)now_ms);
	e->decayed_accesses = exp2(fmin(1000.0, e->heat_key - now)); /* a heat beyond all bounds stays a number */
	e->idle_days = (double)(idle > 0 ? idle : 0) / DAY_MS;
	e->half_life_days = archive_thermal(a)->half_life_ms / DAY_MS;
	e->floored = out->sacred && e->raw_temperature < archive_thermal(a)->sacred_floor;
	e->superseded = out->has_superseded_by;
}
