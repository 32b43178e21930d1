/* wire-doc: prints docs/protocol.md from the tables; --check FILE compares; --seeds DIR writes one valid frame and one
 * JSON text for each message, to start fuzzing from. */
#include "common/base/buf.h"
#include "proto/json/json.h"
#include "proto/wire/doc/sample.h"
#include "proto/wire/rule.h"
#include <stdio.h>
#include <stdlib.h>

/* clang-format off */
static const char intro[] =
	"# Protocol\n\n"
	"Written by `wire-doc` from proto/wire/messages.def and proto/wire/fields.h; a test compares the two. After a change there:\n"
	"`build/.../tools/wire-doc > docs/protocol.md`.\n\n"
	"## Framing\n\n"
	"Every socket speaks [MessagePack](https://msgpack.org) RPC. A message has no length in front: it ends where its outermost\n"
	"array ends.\n\n"
	"| message | elements |\n|---|---|\n"
	"| request | `[0, msgid, method, params]` |\n"
	"| response | `[1, msgid, error, result]`: one of error and result is nil |\n"
	"| notification | `[2, method, params]` |\n\n"
	"msgid is any number of 32 bits, chosen by the caller; responses may come in any order. params and results are maps with\n"
	"string keys; nil for params is an empty map, nil for an optional field means that it is absent. Keys that a reader does not\n"
	"know are skipped, so that newer peers may say more; a key given twice is refused. In JSON the same fields have the same\n"
	"names and rules, a time is an RFC 3339 string, bytes are base64, and unknown fields are refused.\n\n";
/* clang-format on */

static void limits(struct buf *b)
{
	buf_printf(b, "## Limits\n\n");
	buf_printf(b, "| what | limit |\n|---|---|\n");
	buf_printf(b, "| bytes of one message | %u |\n", WIRE_FRAME_MAX);
	buf_printf(b, "| nesting of arrays and maps in a message | %d |\n", WIRE_DEPTH_MAX);
	buf_printf(b, "| values in a message | %d |\n", WIRE_ITEMS_MAX);
	buf_printf(b, "| nesting inside a field of type object, itself included | %d |\n", WIRE_MAP_DEPTH_MAX);
	buf_printf(b, "| bytes of a string in a list of strings | 1 to %d |\n", WIRE_STRS_ITEM_MAX);
	buf_printf(b, "| nesting in a JSON text | %d |\n", JSON_DEPTH_MAX);
	buf_printf(b, "| protocol revision (`proto_rev`) | %d |\n\n", WIRE_PROTO_REV);
	buf_printf(b, "A message over the first three is not read to its end: the connection is closed. Each method "
		      "has a cap\n"
		      "on the bytes of its params besides; over it, or from a sender that may not use the method, the "
		      "answer is\n"
		      "an error and the connection stays.\n\n");
}

static void errors(struct buf *b)
{
	buf_printf(b, "## Errors\n\n");
	buf_printf(b, "An error is a map: `code`, one of these names; `message`, for a person; and `field`, the dotted "
		      "path of\n"
		      "the value that was wrong (`memories[3].importance`), where there is one.\n\n");
	buf_printf(b, "| code | meaning |\n|---|---|\n");
#define X(name, code, wire, text) buf_printf(b, "| `%s` | %s |\n", wire, text);
	TR_ERRORS(X)
#undef X
	buf_puts(b, "\n");
}

static void type_of(struct buf *b, const struct wire_field *f)
{
	static const char *const names[] = {
		[WIRE_u32] = "integer",   [WIRE_u64] = "integer",  [WIRE_i64] = "integer", [WIRE_f64] = "number",
		[WIRE_flag] = "boolean",  [WIRE_str] = "string",   [WIRE_text] = "string", [WIRE_bin] = "bytes",
		[WIRE_time] = "time",     [WIRE_strs] = "strings", [WIRE_map] = "object",  [WIRE_ITEM] = "",
		[WIRE_LIST] = "list of ",
	};

	buf_puts(b, names[f->type]);
	if (f->item != NULL)
		buf_printf(b, "[%s](#item-%s)", f->item->name, f->item->name);
}

static void fields_of(struct buf *b, const struct wire_shape *shape)
{
	char range[160];

	if (shape->n == 0) {
		buf_puts(b, "no fields\n\n");
		return;
	}
	buf_puts(b, "| field | type | | rule |\n|---|---|---|---|\n");
	for (unsigned i = 0; i < shape->n; i++) {
		const struct wire_field *f = &shape->fields[i];

		buf_printf(b, "| `%s` | ", f->name);
		type_of(b, f);
		wire_range_text(f, range, sizeof(range));
		buf_printf(b, " | %s | %s |\n", f->required ? "required" : "optional",
			   f->type == WIRE_ITEM || f->type == WIRE_flag ? "" : range);
	}
	buf_puts(b, "\n");
}

static void callers_of(struct buf *b, unsigned callers)
{
	const char *comma = "";

	if ((callers & FROM_ANY_JR) == FROM_ANY_JR) {
		buf_puts(b, "any Jr");
		comma = ", ";
	} else {
		for (int role = 0; role < TR_NROLES; role++) {
			if (callers & 1u << role) {
				buf_printf(b, "%s%s", comma, tr_roles[role].program);
				comma = ", ";
			}
		}
	}
	if (callers & FROM_SUPERVISOR) {
		buf_printf(b, "%stribed", comma);
		comma = ", ";
	}
	if (callers & FROM_USER)
		buf_printf(b, "%sa user's tool%s", comma, callers & FROM_READER ? " (also of a member of group tribe)" : "");
}

static void messages(struct buf *b)
{
	buf_printf(b, "## Messages\n\nEvery request may carry these beside its own fields:\n\n");
	fields_of(b, &wire_shape_common);
	for (int id = 0; id < WIRE_NMSGS; id++) {
		const struct wire_method *m = &wire_methods[id];

		buf_printf(b, "### %s\n\n%s\n\n", m->method, m->doc);
		buf_printf(b, "%s; from ", m->kind == WIRE_NOTE ? "Notification" : "Request");
		callers_of(b, m->callers);
		buf_printf(b, "; params at most %u bytes\n\n", m->cap);
		buf_puts(b, m->params->n > 0 ? "Params:\n\n" : "Params: ");
		fields_of(b, m->params);
		if (m->result == NULL)
			continue;
		buf_puts(b, m->result->n > 0 ? "Result:\n\n" : "Result: ");
		fields_of(b, m->result);
	}
}

static void items(struct buf *b)
{
	buf_puts(b, "## Items\n\n");
#define X(item)                                \
	buf_puts(b, "### Item " #item "\n\n"); \
	fields_of(b, &wire_shape_##item);
	WIRE_ITEMS(X)
#undef X
}

static void write_doc(struct buf *b)
{
	buf_puts(b, intro);
	limits(b);
	errors(b);
	messages(b);
	items(b);
	b->len--; /* one newline at the end */
}

/* 0 the same, 1 not, 5 unreadable */
static int check(const struct buf *b, const char *path)
{
	FILE *f = fopen(path, "rb");
	unsigned line = 1;

	if (f == NULL) {
		perror(path);
		return 5;
	}
	for (size_t i = 0; i <= b->len; i++) {
		int c = getc(f);

		if (c != (i < b->len ? (unsigned char)b->p[i] : EOF)) {
			fprintf(stderr, "%s: line %u is not what the tables say; run wire-doc > %s\n", path, line,
				path);
			fclose(f);
			return 1;
		}
		line += c == '\n';
	}
	fclose(f);
	return 0;
}

static int write_file(const char *dir, const char *id, const char *suffix, const char *p, size_t n)
{
	char path[4096];
	FILE *f;
	size_t done;

	snprintf(path, sizeof(path), "%s/%s.%s", dir, id, suffix);
	f = fopen(path, "wb");
	if (f == NULL) {
		perror(path);
		return 5;
	}
	done = fwrite(p, 1, n, f);
	if (fclose(f) != 0 || done != n) {
		perror(path);
		return 5;
	}
	return 0;
}

/* One shape as a frame (r < 0: could not be packed) and as JSON. */
static int write_seed(const char *dir, const char *id, const char *what, msgpack_sbuffer *sb, json_t *j)
{
	char suffix[32];
	struct buf text = {0};
	int r = 5;

	snprintf(suffix, sizeof(suffix), "%s.frame", what);
	if (j == NULL || json_print(j, &text) < 0 || write_file(dir, id, suffix, sb->data, sb->size) != 0)
		goto out;
	snprintf(suffix, sizeof(suffix), "%s.json", what);
	r = write_file(dir, id, suffix, text.p, text.len);
out:
	buf_free(&text);
	json_decref(j);
	return r;
}

static int seeds(const char *dir)
{
	int r = 0;

	for (int id = 0; id < WIRE_NMSGS && r == 0; id++) {
		const struct wire_method *m = &wire_methods[id];
		struct sample s = {.state = (uint64_t)id, .zone = msgpack_zone_new(8192), .full = true};
		void *msg = malloc(m->params->size), *res = m->result != NULL ? malloc(m->result->size) : NULL;
		msgpack_sbuffer sb;

		msgpack_sbuffer_init(&sb);
		if (s.zone == NULL || msg == NULL || (m->result != NULL && res == NULL))
			abort();
		sample_fill(&s, m->params, msg);
		if (m->kind == WIRE_REQUEST)
			sample_fill(&s, &wire_shape_common, msg);
		r = m->kind == WIRE_NOTE ? wire_pack_note(&sb, (enum wire_msg_id)id, msg)
					 : wire_pack_request(&sb, 1, (enum wire_msg_id)id, msg);
		if (r == 0)
			r = write_seed(dir, m->id, "params", &sb, json_encode(m->params, msg));
		sb.size = 0;
		if (r == 0 && res != NULL) {
			sample_fill(&s, m->result, res);
			r = wire_pack_result(&sb, 1, (enum wire_msg_id)id, res);
			if (r == 0)
				r = write_seed(dir, m->id, "result", &sb, json_encode(m->result, res));
		}
		msgpack_sbuffer_destroy(&sb);
		msgpack_zone_free(s.zone);
		free(msg);
		free(res);
	}
	return r == 0 ? 0 : 5;
}

int main(int argc, char **argv)
{
	struct buf b = {0};
	int r = 0;

	if (argc == 3 && strcmp(argv[1], "--seeds") == 0)
		return seeds(argv[2]);
	if (argc != 1 && (argc != 3 || strcmp(argv[1], "--check") != 0)) {
		fprintf(stderr, "usage: wire-doc [--check FILE | --seeds DIR]\n");
		return 2;
	}
	write_doc(&b);
	if (b.failed != 0)
		r = 5;
	else if (argc == 3)
		r = check(&b, argv[2]);
	else if (fwrite(b.p, 1, b.len, stdout) != b.len || fflush(stdout) != 0)
		r = 5;
	buf_free(&b);
	return r;
}
