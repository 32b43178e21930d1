/* Settings as a person is shown them: no secret leaves here. Values that are no URL stay as they are; what looks like
 * one loses too much rather than too little, since a password may hold any character and be badly escaped. */
#include "common/config/rules.h"
#include <string.h>
#include <strings.h>

#define MASK "***"

static bool begins(const char *text, const char *with)
{
	return strncasecmp(text, with, strlen(with)) == 0;
}

/* Of a parameter behind "?". An escaped name may be any name. */
static bool is_secret(const char *name, size_t n)
{
	static const char *const harmless[] = {"passfile", "sslkey", "require_auth"}; /* of libpq: paths, a list */
	static const char *const words[] = {"pass", "pwd", "key", "token", "secret", "sig", "auth", "cred", "jwt", "%"};

	for (size_t i = 0; i < sizeof(harmless) / sizeof(harmless[0]); i++)
		if (strlen(harmless[i]) == n && memcmp(name, harmless[i], n) == 0)
			return false;
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		for (size_t at = 0, w = strlen(words[i]); at + w <= n; at++)
			if (strncasecmp(name + at, words[i], w) == 0)
				return true;
	return false;
}

/* From behind the user and the password on. */
static void put_rest(struct buf *out, const char *text)
{
	const char *p = text + strcspn(text, "?");

	(void)buf_append(out, text, (size_t)(p - text));
	while (*p != '\0') { /* at a "?" or "&" */
		size_t n = 1 + strcspn(p + 1, "&"), name = 1 + strcspn(p + 1, "=&");
		bool mask = name + 1 < n && is_secret(p + 1, name - 1);

		(void)buf_append(out, p, mask ? name + 1 : n);
		if (mask)
			(void)buf_puts(out, MASK);
		p += n;
	}
}

/* user:***@host of PostgreSQL, whose user is no secret; elsewhere the user may be the key. */
static void put_masked(struct buf *out, const char *text)
{
	const char *slashes = strstr(text, "://"), *start = slashes == NULL ? text : slashes + 3;
	const char *at = strrchr(start, '@'), *colon = strchr(start, ':');
	bool postgres = begins(text, "postgres:") || begins(text, "postgresql:");

	(void)buf_append(out, text, (size_t)(start - text));
	if (at == NULL || (postgres && (colon == NULL || colon > at))) {
		put_rest(out, start);
		return;
	}
	if (postgres)
		(void)buf_append(out, start, (size_t)(colon + 1 - start));
	(void)buf_puts(out, MASK);
	put_rest(out, at);
}

int cfg_text_show(const char *text, struct buf *out)
{
	put_masked(out, text);
	return out->failed;
}

int cfg_value_show(const struct tr_config *cfg, int i, struct buf *out)
{
	const char *text = (const char *)cfg + cfg_table[i].offset;

	if (cfg_table[i].type != CFG_TYPE_str || text[0] == '/' || begins(text, "sqlite:"))
		return cfg_value_print(cfg, i, out);
	return cfg_text_show(text, out);
}

const char *cfg_origin_word(unsigned char origin)
{
	static const char *const words[] = {
		[CFG_DEFAULT] = "default", [CFG_FILE] = "file", [CFG_COMMAND_LINE] = "command line"};

	return words[origin];
}
