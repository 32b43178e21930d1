#include "jrs/memory/archive/canon.h"
#include "common/base/err.h"
#include "proto/json/json.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define WHOLE_MAX 9007199254740992.0 /* 2^53: up to here a double that is whole is one whole number */

static msgpack_packer packer(struct canon *c)
{
	msgpack_packer pk;

	msgpack_packer_init(&pk, &c->bytes, msgpack_sbuffer_write);
	return pk;
}

static void done(struct canon *c, int rc)
{
	if (rc != 0 && c->failed == 0)
		c->failed = TR_ENOMEM;
}

void canon_init(struct canon *c)
{
	msgpack_sbuffer_init(&c->bytes);
	c->failed = 0;
}

void canon_free(struct canon *c)
{
	msgpack_sbuffer_destroy(&c->bytes);
}

void canon_row(struct canon *c, const char *kind, unsigned columns)
{
	msgpack_packer pk = packer(c);

	msgpack_sbuffer_clear(&c->bytes);
	done(c, msgpack_pack_array(&pk, columns + 1));
	canon_text(c, kind, strlen(kind));
}

void canon_nil(struct canon *c)
{
	msgpack_packer pk = packer(c);

	done(c, msgpack_pack_nil(&pk));
}

void canon_text(struct canon *c, const char *p, size_t n)
{
	msgpack_packer pk = packer(c);

	if (p == NULL) {
		canon_nil(c);
		return;
	}
	done(c, msgpack_pack_str(&pk, n));
	done(c, msgpack_pack_str_body(&pk, p, n));
}

void canon_bytes(struct canon *c, const void *p, size_t n)
{
	msgpack_packer pk = packer(c);

	if (p == NULL) {
		canon_nil(c);
		return;
	}
	done(c, msgpack_pack_bin(&pk, n));
	done(c, msgpack_pack_bin_body(&pk, p, n));
}

void canon_i64(struct canon *c, int64_t v)
{
	msgpack_packer pk = packer(c);

	done(c, msgpack_pack_int64(&pk, v));
}

void canon_f64(struct canon *c, double v)
{
	msgpack_packer pk = packer(c);

	if (fabs(v) < WHOLE_MAX && trunc(v) == v)
		canon_i64(c, (int64_t)v);
	else
		done(c, msgpack_pack_double(&pk, v));
}

/* ---- JSON ---- */

static void value(struct canon *c, const json_t *j);

static int by_bytes(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b); /* json_parse() lets no NUL into a key */
}

static void map(struct canon *c, const json_t *j)
{
	size_t n = json_object_size(j), i = 0;
	const char **keys = calloc(n == 0 ? 1 : n, sizeof(*keys));
	msgpack_packer pk = packer(c);
	const char *key;
	json_t *v;

	if (keys == NULL) {
		done(c, -1);
		return;
	}
	json_object_foreach((json_t *)(uintptr_t)j, key, v) keys[i++] = key;
	qsort(keys, n, sizeof(*keys), by_bytes);
	done(c, msgpack_pack_map(&pk, n));
	for (i = 0; i < n; i++) {
		canon_text(c, keys[i], strlen(keys[i]));
		value(c, json_object_get(j, keys[i]));
	}
	free(keys);
}

static void value(struct canon *c, const json_t *j)
{
	msgpack_packer pk = packer(c);

	switch (json_typeof(j)) {
	case JSON_OBJECT:
		map(c, j);
		break;
	case JSON_ARRAY:
		done(c, msgpack_pack_array(&pk, json_array_size(j)));
		for (size_t i = 0; i < json_array_size(j); i++)
			value(c, json_array_get(j, i));
		break;
	case JSON_STRING:
		canon_text(c, json_string_value(j), json_string_length(j));
		break;
	case JSON_INTEGER:
		canon_i64(c, json_integer_value(j));
		break;
	case JSON_REAL:
		canon_f64(c, json_real_value(j));
		break;
	case JSON_TRUE:
	case JSON_FALSE:
		done(c, json_is_true(j) ? msgpack_pack_true(&pk) : msgpack_pack_false(&pk));
		break;
	default:
		canon_nil(c);
	}
}

void canon_json(struct canon *c, const char *p, size_t n)
{
	json_t *j = NULL;
	int r;

	if (p == NULL) {
		canon_nil(c);
		return;
	}
	if ((r = json_parse(&j, p, n, NULL)) == 0)
		value(c, j);
	else if (c->failed == 0)
		c->failed = r == TR_ENOMEM ? r : TR_ESTORE;
	json_decref(j);
}
