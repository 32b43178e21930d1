/* Records of `git log`, as import.h describes them. A repository may hold anything: every field is checked or mended.
 */
#include <string.h>

#include "common/base/clock.h"
#include "common/base/text.h"
#include "jrs/integration/import/reader.h"
#include "jrs/integration/import/rows.h"

#define FILES_MAX 256 /* names kept in a memory's metadata */
#define FILE_MAX  512 /* bytes of one */

struct record {
	wire_str sha, time, author, parents, files, bytes, message;
	size_t names; /* place of the first name in the piece */
};

/* The field at *pos; false when the piece ends before it does. */
static bool field(const struct import *im, size_t *pos, wire_str *out)
{
	const char *p = im->cfg.data + *pos;
	const char *end = *pos < im->cfg.len ? memchr(p, 0, im->cfg.len - *pos) : NULL;

	if (end == NULL)
		return false;
	*out = (wire_str){p, (uint32_t)(end - p)};
	*pos += out->n + 1;
	return true;
}

static bool number(wire_str s, int64_t max, int64_t *out)
{
	char text[24];

	if (s.n == 0 || s.n >= sizeof text)
		return false;
	tr_copy(text, sizeof text, s.p, s.n);
	return tr_parse_i64(text, 0, max, out) == 0;
}

static bool is_sha(wire_str s)
{
	if (s.n != 40 && s.n != 64)
		return false;
	for (uint32_t i = 0; i < s.n; i++)
		if (memchr("0123456789abcdef", s.p[i], 16) == NULL)
			return false;
	return true;
}

/* Reads the record at im->pos and moves behind it. False: it is none. */
static bool record_next(struct import *im, struct record *rec)
{
	size_t pos = im->pos;
	wire_str name;

	if (!field(im, &pos, &rec->sha) || !is_sha(rec->sha) || !field(im, &pos, &rec->time) ||
	    !field(im, &pos, &rec->author) || !field(im, &pos, &rec->parents) || !field(im, &pos, &rec->files) ||
	    !field(im, &pos, &rec->bytes) || !field(im, &pos, &rec->message))
		return false;
	rec->names = pos;
	do
		if (!field(im, &pos, &name))
			return false;
	while (name.n > 0);
	im->pos = pos;
	return true;
}

static wire_str trimmed(wire_str s)
{
	static const char white[] = " \t\r\n\v\f";

	while (s.n > 0 && memchr(white, s.p[s.n - 1], sizeof white - 1) != NULL)
		s.n--;
	while (s.n > 0 && memchr(white, *s.p, sizeof white - 1) != NULL) {
		s.p++;
		s.n--;
	}
	return s;
}

static bool is_merge(const struct record *rec)
{
	int64_t parents;

	return number(rec->parents, INT64_MAX, &parents) && parents > 1;
}

static int files_of(struct import *im, const struct record *rec, msgpack_zone *zone, struct meta *meta)
{
	msgpack_object *v = msgpack_zone_malloc(zone, FILES_MAX * sizeof *v);
	int64_t total;
	uint32_t n = 0;
	size_t pos = rec->names, bytes = 0;
	wire_str name;

	if (v == NULL)
		return TR_ENOMEM;
	while (n < FILES_MAX && field(im, &pos, &name) && name.n > 0) {
		wire_str clean;

		if (rows_text(zone, name.p, name.n, FILE_MAX, &clean) < 0)
			return TR_ENOMEM;
		bytes += clean.n;
		if (bytes > WIRE_CONTENT_MAX / 2) /* metadata is bounded too */
			break;
		v[n++] = meta_item(clean);
	}
	if (n > 0)
		meta_list(meta, "files", v, n);
	if (number(rec->files, INT64_MAX, &total) && (total > 0 || !is_merge(rec))) /* git compares no merge */
		meta_u64(meta, "files_changed", (uint64_t)total);
	return 0;
}

static int metadata(struct import *im, const struct record *rec, msgpack_zone *zone, bool cut,
		    struct item_new_memory *m)
{
	struct meta meta = {.n = 0};
	int64_t bytes;
	wire_str sha;
	int r = rows_text(zone, rec->sha.p, rec->sha.n, rec->sha.n, &sha);

	if (r < 0)
		return r;
	meta_str(&meta, "commit", sha);
	if ((r = files_of(im, rec, zone, &meta)) < 0)
		return r;
	if (cut && number(rec->bytes, INT64_MAX, &bytes))
		meta_u64(&meta, "message_bytes", (uint64_t)bytes);
	return meta_done(&meta, zone, m);
}

/* 1: taken as rows->memories[n]; 0: skipped; TR_ENOMEM. */
static int commit(struct import *im, const struct record *rec, msgpack_zone *zone, struct import_rows *rows)
{
	static const wire_str tags[] = {{"commit", 6}, {"merge", 5}};
	wire_str message = trimmed(rec->message), author = trimmed(rec->author);
	struct item_new_memory *m = &rows->memories[rows->n];
	int64_t seconds, bytes;
	char id[72] = "git:";
	bool cut;
	int r;

	if (!rows_has_word(message.p, message.n)) {
		skip(im, im->line, "%s", message.n == 0 ? "the commit has no message" : NO_WORD);
		return 0;
	}
	memset(m, 0, sizeof *m);
	memcpy(id + 4, rec->sha.p, rec->sha.n);
	if ((r = rows_text(zone, id, 4 + rec->sha.n, sizeof id, &m->id)) < 0 ||
	    (r = rows_text(zone, message.p, message.n, WIRE_CONTENT_MAX, &m->content)) < 0 ||
	    (r = rows_text(zone, author.p, author.n, WIRE_NAME_MAX, &m->speaker)) < 0)
		return r;
	/* tribectl sends no more of a message than what can be kept, and how long it was */
	cut = number(rec->bytes, INT64_MAX, &bytes) && (uint64_t)bytes > rec->message.n;
	if ((r = metadata(im, rec, zone, cut || m->content.n < message.n, m)) < 0)
		return r;
	m->has_id = true;
	m->has_speaker = m->speaker.n > 0;
	m->has_at = number(rec->time, TR_TIME_MAX_MS / 1000, &seconds);
	m->at = m->has_at ? seconds * 1000 : 0;
	m->has_tags = true;
	m->tags = (wire_strs){tags, is_merge(rec) ? 2 : 1};
	return 1;
}

int git_batch(struct import *im, msgpack_zone *zone, struct import_rows *rows)
{
	size_t bytes = 0, start = im->pos;

	while (im->pos < im->cfg.len && rows->n < IMPORT_BATCH && bytes < IMPORT_BATCH_BYTES &&
	       im->pos - start < IMPORT_BATCH_BYTES) {
		struct record rec;
		int r;

		if (!record_next(im, &rec)) {
			/* where the next one would begin cannot be told */
			skip(im, im->line, "it is not a record of a commit");
			im->pos = im->cfg.len;
			break;
		}
		r = commit(im, &rec, zone, rows);
		if (r < 0)
			return r;
		if (r > 0) {
			im->lines[rows->n] = im->line;
			bytes += rows->memories[rows->n++].content.n;
		}
		im->line++;
	}
	return im->pos < im->cfg.len;
}
