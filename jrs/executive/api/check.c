#include "jrs/executive/api/check.h"
#include "common/base/err.h"
#include "common/base/text.h"
#include <string.h>
#include <strings.h>

static bool is(const char *p, size_t n, const char *word)
{
	return strlen(word) == n && strncasecmp(p, word, n) == 0;
}

size_t check_host_name(const char *host)
{
	const char *end = host[0] == '[' ? strchr(host, ']') : strchr(host, ':');
	size_t n, digits;

	if (host[0] == '[' && end == NULL)
		return 0;
	n = end == NULL ? strlen(host) : (size_t)(end - host) + (host[0] == '[');
	if (host[n] == '\0')
		return n;
	digits = strspn(host + n + 1, "0123456789");
	return host[n] == ':' && digits <= 5 && host[n + 1 + digits] == '\0' ? n : 0;
}

bool check_host(const char *host, const char *also)
{
	size_t n = check_host_name(host);

	return n > 0 && (is(host, n, "localhost") || is(host, n, "127.0.0.1") || is(host, n, "[::1]") ||
			 (also != NULL && is(host, n, also)));
}

bool check_origin(const char *origin, const char *also)
{
	if (strncasecmp(origin, "http://", 7) == 0)
		return check_host(origin + 7, also);
	return strncasecmp(origin, "https://", 8) == 0 && check_host(origin + 8, also);
}

/* One item of a header list or of its parameters: from *p up to `stop`, blanks trimmed; quoted strings are kept whole.
 */
static bool next_part(const char **p, char stop, const char **part, size_t *n)
{
	const char *s = *p, *e;
	bool quoted = false;

	if (*s == '\0')
		return false;
	for (e = s; *e != '\0' && (quoted || *e != stop); e++) {
		if (*e == '"')
			quoted = !quoted;
		else if (*e == '\\' && quoted && e[1] != '\0')
			e++;
	}
	*p = *e == '\0' ? e : e + 1;
	while (s < e && (*s == ' ' || *s == '\t'))
		s++;
	while (e > s && (e[-1] == ' ' || e[-1] == '\t'))
		e--;
	*part = s;
	*n = (size_t)(e - s);
	return true;
}

static const struct {
	const char *name;
	unsigned bit;
} types[] = {
	{"application/json", MEDIA_JSON},
	{"application/x-ndjson", MEDIA_NDJSON},
	{"text/plain", MEDIA_TEXT},
	{"application/problem+json", MEDIA_PROBLEM},
	{"text/event-stream", MEDIA_EVENTS},
	{"text/html", MEDIA_HTML},
	{"text/css", MEDIA_CSS},
	{"text/javascript", MEDIA_SCRIPT},
	{"image/svg+xml", MEDIA_PICTURE},
};
#define NTYPES (sizeof(types) / sizeof(*types))

const char *check_media_name(unsigned bit)
{
	size_t i = 0;

	while (i < NTYPES - 1 && types[i].bit != bit)
		i++;
	return types[i].name;
}

unsigned check_content_type(const char *value)
{
	const char *part;
	unsigned bit = 0;
	size_t n;

	if (strchr(value, ',') != NULL || !next_part(&value, ';', &part, &n))
		return 0;
	for (size_t i = 0; i < NTYPES; i++)
		if (is(part, n, types[i].name))
			bit = types[i].bit;
	while (next_part(&value, ';', &part, &n))
		if (n >= 8 && strncasecmp(part, "charset=", 8) == 0 && !is(part + 8, n - 8, "utf-8") &&
		    !is(part + 8, n - 8, "\"utf-8\""))
			return 0;
	return bit;
}

/* How exactly a range names a type: 3 the type itself, 2 its half, 1 anything, 0 not at all. */
static int specific(const char *range, size_t n, const char *type)
{
	size_t half = (size_t)(strchr(type, '/') - type) + 1;

	if (is(range, n, type))
		return 3;
	if (n == half + 1 && strncasecmp(range, type, half) == 0 && range[half] == '*')
		return 2;
	return n == 3 && memcmp(range, "*/*", 3) == 0;
}

/* q=0, q=0.0 ...; anything else accepts */
static bool forbids(const char *params, const char *end)
{
	const char *part;
	char text[128];
	size_t n;

	tr_copy(text, sizeof(text), params, (size_t)(end - params));
	params = text;
	while (next_part(&params, ';', &part, &n))
		if (n > 2 && (part[0] == 'q' || part[0] == 'Q') && part[1] == '=')
			return strspn(part + 2, "0.") == n - 2;
	return false;
}

static bool accepts(const char *value, const char *type)
{
	const char *item, *semi;
	bool allowed = false;
	int best = 0;
	size_t n;

	while (next_part(&value, ',', &item, &n)) {
		size_t len;
		int s;

		semi = memchr(item, ';', n);
		len = semi == NULL ? n : (size_t)(semi - item);
		while (len > 0 && (item[len - 1] == ' ' || item[len - 1] == '\t'))
			len--;
		s = specific(item, len, type);
		if (s > best || (s == best && s > 0 && !allowed)) {
			best = s;
			allowed = semi == NULL || !forbids(semi + 1, item + n);
		}
	}
	return allowed;
}

bool check_accept(const char *value, unsigned media)
{
	if (value == NULL || value[strspn(value, " \t")] == '\0')
		return true;
	for (size_t i = 0; i < NTYPES; i++)
		if ((types[i].bit & media) != 0 && accepts(value, types[i].name))
			return true;
	return false;
}

size_t check_values(const char *p, size_t n, size_t *longest)
{
	bool in_string = false;
	size_t values = 1, begun = 0;

	*longest = 0;
	for (size_t i = 0; i < n; i++) {
		if (p[i] == '"') {
			if (in_string && i - begun > *longest)
				*longest = i - begun;
			in_string = !in_string;
			begun = i + 1;
		} else if (in_string)
			i += p[i] == '\\';
		else
			values += p[i] == ',' || p[i] == '[' || p[i] == '{' || p[i] == '\n';
	}
	return values;
}

int check_event_id(const char *text, uint64_t *out)
{
	int64_t id;

	if (tr_parse_i64(text, 0, INT64_MAX, &id) < 0)
		return TR_EINVAL;
	*out = (uint64_t)id;
	return 0;
}

int check_key(const char *key, size_t n, char out[KEY_MAX + 1])
{
	unsigned char digest[TR_SHA256_LEN];
	char hex[2 * TR_SHA256_LEN + 1];

	if (n < 1 || n > KEY_MAX)
		return TR_EINVAL;
	for (size_t i = 0; i < n; i++)
		if (key[i] < 0x21 || key[i] > 0x7e)
			return TR_EINVAL;
	if (n + 4 > KEY_MAX) {
		int r = tr_sha256(key, n, digest);

		if (r < 0)
			return r;
		tr_hex(digest, sizeof(digest), hex);
		key = hex;
		n = sizeof(hex) - 1;
	}
	memcpy(out, "key:", 4);
	tr_copy(out + 4, KEY_MAX + 1 - 4, key, n);
	return 0;
}
