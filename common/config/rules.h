/* Inside common/config: what the parts of it share. */
#ifndef COMMON_CONFIG_RULES_H
#define COMMON_CONFIG_RULES_H
#include "common/config/config.h"

enum cfg_type { CFG_TYPE_u32, CFG_TYPE_bool, CFG_TYPE_str, CFG_TYPE_roles };

struct cfg_row {
	const char *key, *type_name, *def, *doc;
	enum cfg_type type;
	size_t offset; /* in struct tr_config */
	double min, max;
};
extern const struct cfg_row cfg_table[CFG_NSETTINGS];

/* Row of a key of n bytes; -1: none. */
int cfg_find(const char *key, size_t n);
/* The known key with the fewest changes from this one, NULL when none is near. */
const char *cfg_nearest(const char *key, size_t n);
/* Value from text of n bytes (any bytes). On failure rule says what it must be and cfg is unchanged. */
#define CFG_RULE_MAX 200
int cfg_value_parse(struct tr_config *cfg, int row, const char *text, size_t n, char rule[CFG_RULE_MAX]);

/* "WHERE:LINE: KEY: RULE" without the parts that are NULL or line 0. A long WHERE keeps its end. Unprintable bytes of
 * the key are escaped. Returns TR_ECONFIG. */
int cfg_fail(struct cfg_error *err, const char *where, unsigned line, const char *key, size_t key_len, const char *fmt,
	     ...) __attribute__((format(printf, 6, 7)));
/* cfg_fail for a key that is not in the table: suggests the nearest one. */
int cfg_fail_unknown(struct cfg_error *err, const char *where, unsigned line, const char *key, size_t key_len);

/* governance.c: NULL, or why key i of governance is wrong; static, or written into why. */
const char *governance_objection(const struct tr_config *cfg, unsigned i, char why[CFG_RULE_MAX]);

#endif
