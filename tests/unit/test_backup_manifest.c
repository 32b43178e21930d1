/* proto/backup and jrs/memory/archive/canon: a manifest is believed only where it is true, and rows have one form. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "jrs/memory/archive/canon.h"
#include "proto/backup/backup.h"
#include <stdlib.h>
#include <string.h>

/* ---- the manifest ---- */

static void sample(struct backup *b, enum backup_kind kind)
{
	memset(b, 0, sizeof(*b));
	b->kind = kind;
	strcpy(b->version, "9.9.9");
	memset(b->sha256, 'a', 64);
	memset(b->content_sha256, '0', 64);
	b->item = (struct item_backup){.format = 1, .schema = 3, .memories = 7, .created = 1764000000123, .bytes = 20};
	b->item.rows.thermal_memory_archive = 8;
	backup_copy(b, b);
}

/* A whole file with that manifest; caller frees. Plain SQL ends with a line. */
static char *file_of(const struct backup *b, size_t payload, size_t *n)
{
	struct buf f = {.max = 0};

	for (size_t i = 0; i < payload; i++)
		assert_int_equal(buf_append(&f, i + 1 == payload && b->kind == BACKUP_SQL ? "\n" : &"x\0y-"[i % 4], 1),
				 0);
	assert_int_equal(backup_line(&f, &b->item), 0);
	*n = f.len;
	return f.p;
}

static int parse(const char *p, size_t n, struct backup *out, struct tr_fault *fault)
{
	size_t tail = n < BACKUP_LINE_MAX ? n : BACKUP_LINE_MAX;

	memset(fault, 0, sizeof(*fault));
	return backup_parse(out, p + n - tail, tail, n, fault);
}

static void manifest_there_and_back(void **s)
{
	(void)s;
	for (int kind = BACKUP_SQLITE; kind <= BACKUP_SQL; kind++) {
		for (size_t payload = 0; payload < 9000; payload += 1499) {
			struct backup b, got;
			struct tr_fault fault;
			size_t n;
			char *p;

			sample(&b, (enum backup_kind)kind);
			b.item.bytes = payload;
			p = file_of(&b, payload, &n);
			assert_int_equal(parse(p, n, &got, &fault), 0);
			assert_int_equal(got.kind, kind);
			assert_int_equal(got.item.bytes, payload);
			assert_int_equal(got.item.created, b.item.created);
			assert_int_equal(got.item.rows.thermal_memory_archive, 8);
			assert_string_equal(got.sha256, b.sha256);
			assert_true(got.item.sha256.p == got.sha256);
			free(p);
		}
	}
}

/* Every file cut short is refused, as is one with something behind it. */
static void cut_files(void **s)
{
	struct backup b, got;
	struct tr_fault fault;
	size_t n;
	char *p;

	(void)s;
	sample(&b, BACKUP_SQLITE);
	p = file_of(&b, 20, &n);
	for (size_t i = 0; i < n; i++) {
		assert_int_equal(parse(p, i, &got, &fault), TR_EINVAL);
		assert_true(fault.rule[0] != '\0');
	}
	p = realloc(p, n + 1);
	assert_non_null(p);
	p[n] = '\n';
	assert_int_equal(parse(p, n + 1, &got, &fault), TR_EINVAL);
	assert_int_equal(parse(p, n, &got, &fault), 0);
	free(p);
}

/* Any one byte of the line changed: refused, or read as a manifest that is still well formed. Nothing else may happen.
 */
static void changed_bytes(void **s)
{
	struct backup b, got;
	struct tr_fault fault;
	unsigned refused = 0, taken = 0;
	size_t n;
	char *p;

	(void)s;
	sample(&b, BACKUP_SQL);
	p = file_of(&b, 20, &n);
	for (size_t i = 20; i < n; i++) {
		for (int bit = 0; bit < 8; bit++) {
			int r;

			p[i] = (char)(p[i] ^ (1 << bit));
			r = parse(p, n, &got, &fault);
			assert_true(r == 0 || r == TR_EINVAL || r == TR_EUNSUPPORTED);
			refused += r < 0;
			taken += r == 0;
			p[i] = (char)(p[i] ^ (1 << bit));
		}
	}
	assert_true(refused > 4 * taken);
	free(p);
}

static void refused_line(const char *line, const char *field)
{
	char text[600];
	struct tr_fault fault = {0};
	struct backup got;
	int n = snprintf(text, sizeof(text), "01234567890123456789%s\n", line);

	assert_true(backup_parse(&got, text, (size_t)n, (uint64_t)n, &fault) < 0);
	if (strcmp(fault.field, field) != 0)
		fail_msg("%s: %s %s", line, fault.field, fault.rule);
}

#define HEX "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define ROWS                                                                                                       \
	"\"rows\":{\"thermal_memory_archive\":1,\"decisions\":0,\"imports\":0,\"entanglements\":0,\"settings\":0," \
	"\"requests\":0,\"recall_log\":0,\"thermal_heat_map\":0}"
#define FRONT(format, kind)                                          \
	"\ntribe-backup {\"format\":" format ",\"kind\":\"" kind     \
	"\",\"created\":\"2026-11-23T17:00:00Z\",\"version\":\"1\"," \
	"\"schema\":3,\"memories\":1," ROWS ","

static void hostile_manifests(void **s)
{
	(void)s;
	refused_line("", "manifest");
	refused_line("\ntribe-backup", "manifest");
	refused_line("\ntribe-backup [", "manifest");
	refused_line("\ntribe-backup []", "");
	refused_line("\ntribe-backup {}", "format");
	refused_line("\nsomething else {}", "manifest");
	refused_line(FRONT("1", "sqlite") "\"bytes\":21,\"sha256\":\"" HEX "\",\"content_sha256\":\"" HEX "\"}",
		     "bytes");
	refused_line(FRONT("1", "sqlite") "\"bytes\":-1,\"sha256\":\"" HEX "\",\"content_sha256\":\"" HEX "\"}",
		     "bytes");
	refused_line(FRONT("1", "sqlite") "\"bytes\":1e3,\"sha256\":\"" HEX "\",\"content_sha256\":\"" HEX "\"}",
		     "bytes");
	refused_line(FRONT("1", "sqlite") "\"bytes\":18446744073709551636,\"sha256\":\"" HEX
					  "\",\"content_sha256\":\"" HEX "\"}",
		     "manifest");
	refused_line(FRONT("1", "sqlite") "\"bytes\":20,\"sha256\":\"" HEX "a\",\"content_sha256\":\"" HEX "\"}",
		     "sha256");
	refused_line(FRONT("1", "sqlite") "\"bytes\":20,\"sha256\":\"" HEX
					  "\",\"content_sha256\":\"../../../../../../../etc/"
					  "passwd0123456789012345678901234567890123\"}",
		     "content_sha256");
	refused_line(FRONT("2", "sqlite") "\"bytes\":20,\"sha256\":\"" HEX "\",\"content_sha256\":\"" HEX "\"}",
		     "format");
	refused_line(FRONT("1", "shell") "\"bytes\":20,\"sha256\":\"" HEX "\",\"content_sha256\":\"" HEX "\"}", "kind");
	refused_line(FRONT("1", "sql") "\"bytes\":20,\"sha256\":\"" HEX "\",\"content_sha256\":\"" HEX "\"}", "kind");
	refused_line(FRONT("1", "sqlite") "\"bytes\":20,\"bytes\":20,\"sha256\":\"" HEX "\",\"content_sha256\":\"" HEX
					  "\"}",
		     "manifest");
	refused_line(FRONT("1", "sqlite") "\"more\":1,\"bytes\":20,\"sha256\":\"" HEX "\",\"content_sha256\":\"" HEX
					  "\"}",
		     "more");
}

/* ---- rows in canonical form ---- */

static void same_json(const char *a, const char *b, bool same_bytes)
{
	struct canon x, y;

	canon_init(&x);
	canon_init(&y);
	canon_json(&x, a, strlen(a));
	canon_json(&y, b, strlen(b));
	assert_int_equal(x.failed | y.failed, 0);
	assert_int_equal(x.bytes.size == y.bytes.size && memcmp(x.bytes.data, y.bytes.data, x.bytes.size) == 0,
			 same_bytes);
	canon_free(&x);
	canon_free(&y);
}

static void canonical_json(void **s)
{
	struct canon c;

	(void)s;
	same_json("{\"b\":1,\"a\":[1,2]}", " { \"a\" : [ 1 , 2.0 ], \"b\" : 1 }", true);
	same_json("{\"a\":{\"z\":null,\"y\":true}}", "{\"a\":{\"y\":true,\"z\":null}}", true);
	same_json("1e3", "1000", true);
	same_json("\"\\u00e9\"", "\"\xc3\xa9\"", true);
	same_json("0.1", "0.10000000000000001", true);
	same_json("[1,2]", "[2,1]", false);
	same_json("{\"a\":1}", "{\"a\":\"1\"}", false);
	same_json("{\"a\":null}", "{}", false);
	same_json("true", "false", false);
	canon_init(&c);
	canon_json(&c, "{", 1);
	assert_int_equal(c.failed, TR_ESTORE);
	canon_free(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(manifest_there_and_back), cmocka_unit_test(cut_files),
		cmocka_unit_test(changed_bytes),           cmocka_unit_test(hostile_manifests),
		cmocka_unit_test(canonical_json),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
