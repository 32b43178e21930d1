/* The table of settings and its types; no files, no YAML. */
#include "common/base/text.h"
#include "common/config/rules.h"
#include <stddef.h>
#include <stdio.h>
#include <string.h>

const struct cfg_row cfg_table[CFG_NSETTINGS] = {
#define S(type, member, key, def, min, max, doc) \
	{key, #type, def, doc, CFG_TYPE_##type, offsetof(struct tr_config, member), min, max},
#include "common/config/settings.def"
#undef S
};

#define UNDERSTUDIES_MAX 16 /* of one role */

bool cfg_setting_at(unsigned i, struct cfg_setting *out)
{
	const struct cfg_row *row;

	if (i >= CFG_NSETTINGS)
		return false;
	row = &cfg_table[i];
	*out = (struct cfg_setting){row->key, row->type_name, row->def, row->doc, row->min, row->max};
	return true;
}

bool cfg_same(const struct tr_config *a, const struct tr_config *b, unsigned i)
{
	const struct cfg_row *row = &cfg_table[i];
	const char *x = (const char *)a + row->offset, *y = (const char *)b + row->offset;

	switch (row->type) {
	case CFG_TYPE_u32:
		return memcmp(x, y, sizeof(cfg_u32)) == 0;
	case CFG_TYPE_bool:
		return memcmp(x, y, sizeof(cfg_bool)) == 0;
	case CFG_TYPE_roles:
		return memcmp(x, y, sizeof(cfg_roles)) == 0;
	case CFG_TYPE_str:
	default:
		return strcmp(x, y) == 0;
	}
}

int cfg_find(const char *key, size_t n)
{
	for (int i = 0; i < CFG_NSETTINGS; i++)
		if (strlen(cfg_table[i].key) == n && memcmp(cfg_table[i].key, key, n) == 0)
			return i;
	return -1;
}

#define KEY_MAX 64

/* Levenshtein's distance between two keys; n <= KEY_MAX. */
static size_t distance(const char *a, const char *b, size_t n)
{
	size_t row[KEY_MAX + 1];

	for (size_t j = 0; j <= n; j++)
		row[j] = j;
	for (size_t i = 0; a[i] != '\0'; i++) {
		size_t diagonal = row[0];

		row[0] = i + 1;
		for (size_t j = 1; j <= n; j++) {
			size_t best = diagonal + (a[i] != b[j - 1]);

			if (row[j] + 1 < best)
				best = row[j] + 1;
			if (row[j - 1] + 1 < best)
				best = row[j - 1] + 1;
			diagonal = row[j];
			row[j] = best;
		}
	}
	return row[n];
}

const char *cfg_nearest(const char *key, size_t n)
{
	const char *best = NULL;
	size_t least = n / 3 + 2; /* further away it is another word */

	if (n > KEY_MAX)
		return NULL;
	for (int i = 0; i < CFG_NSETTINGS; i++) {
		size_t d = distance(cfg_table[i].key, key, n);

		if (d < least) {
			least = d;
			best = cfg_table[i].key;
		}
	}
	return best;
}

static int refuse(char rule[CFG_RULE_MAX], const char *text)
{
	tr_copy(rule, CFG_RULE_MAX, text, strlen(text));
	return TR_ECONFIG;
}

static int parse_u32(void *slot, const struct cfg_row *row, const char *text, char rule[CFG_RULE_MAX])
{
	int64_t v;

	if (tr_parse_i64(text, (int64_t)row->min, (int64_t)row->max, &v) < 0) {
		(void)snprintf(rule, CFG_RULE_MAX, "must be a whole number from %.0f to %.0f", row->min, row->max);
		return TR_ECONFIG;
	}
	*(cfg_u32 *)slot = (cfg_u32)v;
	return 0;
}

static int parse_bool(void *slot, const char *text, char rule[CFG_RULE_MAX])
{
	bool yes = strcmp(text, "true") == 0;

	if (!yes && strcmp(text, "false") != 0)
		return refuse(rule, "must be true or false");
	*(cfg_bool *)slot = yes;
	return 0;
}

static int parse_str(void *slot, const struct cfg_row *row, const char *text, size_t n, char rule[CFG_RULE_MAX])
{
	if ((double)n < row->min || (double)n > row->max) {
		(void)snprintf(rule, CFG_RULE_MAX, "must be %.0f to %.0f bytes long", row->min, row->max);
		return TR_ECONFIG;
	}
	tr_copy(slot, CFG_STR_MAX, text, n);
	return 0;
}

static int parse_roles(void *slot, const char *text, char rule[CFG_RULE_MAX])
{
	cfg_roles v = {0};
	bool seen[TR_NROLES] = {false};

	while (*text != '\0') {
		size_t item = strcspn(text, ","), name = strcspn(text, "=");
		char number[16];
		int64_t count;
		int role;

		if (name >= item || (role = tr_role_find(text, name)) < 0 || seen[role] ||
		    item - name - 1 >= sizeof(number) || (text[item] == ',' && text[item + 1] == '\0'))
			goto bad;
		tr_copy(number, sizeof(number), text + name + 1, item - name - 1);
		if (tr_parse_i64(number, 0, UNDERSTUDIES_MAX, &count) < 0)
			goto bad;
		seen[role] = true;
		v[role] = (uint32_t)count;
		text += item + (text[item] == ',');
	}
	memcpy(slot, v, sizeof(v));
	return 0;
bad:
	return refuse(rule,
		      "must be ROLE=NUMBER[,ROLE=NUMBER]... such as memory=1,executive=1, each role once, 0 to 7");
}

int cfg_value_parse(struct tr_config *cfg, int row_nr, const char *text, size_t n, char rule[CFG_RULE_MAX])
{
	const struct cfg_row *row = &cfg_table[row_nr];
	void *slot = (char *)cfg + row->offset;
	char copy[CFG_STR_MAX];

	if (!tr_utf8_ok(text, n, NULL))
		return refuse(rule, "must be valid UTF-8 without NUL");
	if (row->type == CFG_TYPE_str)
		return parse_str(slot, row, text, n, rule);
	if (n >= sizeof(copy))
		n = sizeof(copy) - 1; /* far too long for any number; still refused below */
	tr_copy(copy, sizeof(copy), text, n);
	switch (row->type) {
	case CFG_TYPE_u32:
		return parse_u32(slot, row, copy, rule);
	case CFG_TYPE_bool:
		return parse_bool(slot, copy, rule);
	case CFG_TYPE_roles:
	default:
		return parse_roles(slot, copy, rule);
	}
}

static int print_roles(const uint32_t *v, struct buf *out)
{
	const char *comma = "";

	for (int i = 0; i < TR_NROLES; i++) {
		if (v[i] == 0)
			continue;
		(void)buf_printf(out, "%s%s=%u", comma, tr_roles[i].name, v[i]);
		comma = ",";
	}
	return out->failed;
}

int cfg_value_print(const struct tr_config *cfg, int row_nr, struct buf *out)
{
	const struct cfg_row *row = &cfg_table[row_nr];
	const void *slot = (const char *)cfg + row->offset;

	switch (row->type) {
	case CFG_TYPE_u32:
		return buf_printf(out, "%u", *(const cfg_u32 *)slot);
	case CFG_TYPE_bool:
		return buf_puts(out, *(const cfg_bool *)slot ? "true" : "false");
	case CFG_TYPE_roles:
		return print_roles(slot, out);
	case CFG_TYPE_str:
	default:
		return buf_puts(out, slot);
	}
}
