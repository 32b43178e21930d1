#include "common/base/text.h"
#include "proto/backup/backup.h"
#include "proto/json/json.h"
#include <string.h>

#define MARK     "tribe-backup "
#define SQL_MARK "-- " MARK

static const char *const kinds[] = {"sqlite", "dump", "sql"};
#define NKINDS (sizeof(kinds) / sizeof(kinds[0]))

const char *backup_kind_name(enum backup_kind kind)
{
	return kinds[kind];
}

static bool hexadecimal(wire_str s)
{
	for (uint32_t i = 0; i < s.n; i++)
		if (!(s.p[i] >= '0' && s.p[i] <= '9') && !(s.p[i] >= 'a' && s.p[i] <= 'f'))
			return false;
	return s.n == 2 * TR_SHA256_LEN;
}

static int wrong(struct tr_fault *fault, const char *field, const char *rule)
{
	return tr_fault_set(fault, TR_EINVAL, field, "%s", rule);
}

int backup_take(struct backup *out, const struct item_backup *item, struct tr_fault *fault)
{
	size_t kind;

	if (item->format != BACKUP_FORMAT)
		return tr_fault_set(fault, TR_EUNSUPPORTED, "format", "is %u; this program knows %d", item->format,
				    BACKUP_FORMAT);
	for (kind = 0; kind < NKINDS; kind++)
		if (item->kind.n == strlen(kinds[kind]) && memcmp(item->kind.p, kinds[kind], item->kind.n) == 0)
			break;
	if (kind == NKINDS)
		return wrong(fault, "kind", "must be sqlite, dump or sql");
	if (!hexadecimal(item->sha256))
		return wrong(fault, "sha256", "must be 64 hexadecimal digits");
	if (!hexadecimal(item->content_sha256))
		return wrong(fault, "content_sha256", "must be 64 hexadecimal digits");
	out->item = *item;
	out->kind = (enum backup_kind)kind;
	tr_copy(out->sha256, sizeof(out->sha256), item->sha256.p, item->sha256.n);
	tr_copy(out->content_sha256, sizeof(out->content_sha256), item->content_sha256.p, item->content_sha256.n);
	tr_copy(out->version, sizeof(out->version), item->version.p, item->version.n);
	backup_copy(out, out);
	return 0;
}

void backup_copy(struct backup *out, const struct backup *from)
{
	if (out != from)
		*out = *from;
	out->item.kind = wire_s(kinds[out->kind]);
	out->item.sha256 = wire_s(out->sha256);
	out->item.content_sha256 = wire_s(out->content_sha256);
	out->item.version = wire_s(out->version);
}

int backup_line(struct buf *out, const struct item_backup *b)
{
	bool sql = b->kind.n == 3 && memcmp(b->kind.p, kinds[BACKUP_SQL], 3) == 0;
	json_t *j = json_encode(&wire_shape_backup, b);
	int r = j == NULL ? TR_ENOMEM : buf_puts(out, sql ? SQL_MARK : "\n" MARK);

	if (r == 0)
		r = json_print(j, out);
	json_decref(j);
	return r < 0 ? r : buf_puts(out, "\n");
}

/* The last line of a tail. */
struct last {
	const char *json;
	size_t n;
	size_t payload; /* where it ends, counted from the start of the tail */
	bool sql;       /* the line is an SQL comment */
};

static bool last_line(const char *tail, size_t n, struct last *out)
{
	const char *line, *mark = MARK;
	size_t len;

	if (n < 2 || tail[n - 1] != '\n')
		return false;
	line = memrchr(tail, '\n', n - 1);
	line = line == NULL ? tail : line + 1; /* the whole tail: of plain SQL that says nothing */
	len = n - 1 - (size_t)(line - tail);
	out->sql = len > strlen(SQL_MARK) && memcmp(line, SQL_MARK, strlen(SQL_MARK)) == 0;
	if (out->sql)
		mark = SQL_MARK;
	else if (len <= strlen(MARK) || memcmp(line, MARK, strlen(MARK)) != 0 || line == tail)
		return false;
	out->json = line + strlen(mark);
	out->n = len - strlen(mark);
	out->payload = (size_t)(line - tail) - (out->sql ? 0 : 1);
	return true;
}

static int decode(struct backup *out, const char *json, size_t n, struct tr_fault *fault)
{
	msgpack_zone *zone = msgpack_zone_new(1024);
	struct item_backup item;
	json_t *j = NULL;
	int r = zone == NULL ? TR_ENOMEM : json_parse(&j, json, n, fault);

	if (r == 0)
		r = json_decode(&wire_shape_backup, j, zone, &item, fault);
	if (r == 0)
		r = backup_take(out, &item, fault);
	json_decref(j);
	msgpack_zone_free(zone);
	if (r == TR_EMALFORMED) /* whatever it is, it is no manifest of ours */
		r = tr_fault_set(fault, TR_EINVAL, "manifest", "is not JSON");
	return r;
}

int backup_parse(struct backup *out, const char *tail, size_t n, uint64_t size, struct tr_fault *fault)
{
	struct backup b;
	struct last last;
	int r;

	if (!last_line(tail, n, &last))
		return wrong(fault, "manifest", "is missing: the file is cut, or is no backup of a tribe");
	if ((r = decode(&b, last.json, last.n, fault)) < 0)
		return r;
	if (b.item.bytes != size - n + last.payload)
		return wrong(fault, "bytes", "is not the length of what stands before the manifest");
	if (last.sql != (b.kind == BACKUP_SQL))
		return wrong(fault, "kind", "is not that of the file");
	backup_copy(out, &b);
	return 0;
}
