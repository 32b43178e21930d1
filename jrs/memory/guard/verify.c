/* Verifiers: what a regular expression cannot say, at a place that the engine found. Bytes, not characters: everything
 * that is looked for is ASCII. Each looks back at most BACK bytes, and forward never twice over the same ones. */
#include "jrs/memory/guard/inside.h"
#include <arpa/inet.h>
#include <ctype.h>
#include <math.h>
#include <string.h>
#include <strings.h>

#define BACK      64u
#define VALUE_MAX 256u /* of a password that somebody wrote down */
#define VALUE_MIN 8u
#define PEM_MAX   20000u
#define ADDRESS   512u

static bool alnum(char c)
{
	return isalnum((unsigned char)c) != 0;
}

static bool in(char c, const char *set)
{
	return c != '\0' && strchr(set, c) != NULL;
}

/* Where the run of letters, digits and what is in `more` that at stands in ends. */
static size_t run_end(struct text t, size_t at, const char *more)
{
	while (at < t.n && (alnum(t.p[at]) || in(t.p[at], more)))
		at++;
	return at;
}

#define SYMBOLS "!@#$%^&*+=?~"
struct kinds {
	unsigned lower, upper, digit, symbol, other; /* how many; symbol: that a password is likely to have */
	bool turns;                                  /* an upper case letter behind a lower case one */
	double bits;                                 /* of entropy, all together */
};

static bool is_lower(unsigned char c)
{
	return c >= 'a' && c <= 'z';
}

static bool is_upper(unsigned char c)
{
	return c >= 'A' && c <= 'Z';
}

static struct kinds kinds_of(const char *p, size_t n)
{
	unsigned count[256] = {0};
	struct kinds k = {0};
	size_t i;

	for (i = 0; i < n; i++) {
		unsigned char c = (unsigned char)p[i];

		count[c]++;
		k.turns |= i > 0 && is_upper(c) && is_lower((unsigned char)p[i - 1]);
	}
	for (i = 0; i < 256; i++) {
		unsigned char c = (unsigned char)i;

		if (count[i] == 0)
			continue;
		k.bits += count[i] * log2((double)n / count[i]);
		k.lower += is_lower(c) ? count[i] : 0;
		k.upper += is_upper(c) ? count[i] : 0;
		k.digit += c >= '0' && c <= '9' ? count[i] : 0;
		k.symbol += in((char)c, SYMBOLS) ? count[i] : 0;
		k.other += !alnum((char)c) && !in((char)c, SYMBOLS) ? count[i] : 0;
	}
	return k;
}

/* Not words strung together. */
static bool random_looking(const char *p, size_t n)
{
	struct kinds k = kinds_of(p, n);

	return k.digit > 0 && k.lower + k.upper > 0 && k.bits >= 3.0 * (double)n;
}

int verify_run(struct text t, size_t *from, size_t *to, size_t *seen)
{
	(void)from;
	*seen = *to = run_end(t, *to, "_-");
	return 1;
}

int verify_random(struct text t, size_t *from, size_t *to, size_t *seen)
{
	*seen = *to = run_end(t, *to, "_-");
	return random_looking(t.p + *from, *to - *from > 128 ? 128 : *to - *from);
}

int verify_dotted(struct text t, size_t *from, size_t *to, size_t *seen)
{
	(void)from;
	*seen = *to = run_end(t, *to, "_-.");
	return 1;
}

int verify_address(struct text t, size_t *from, size_t *to, size_t *seen)
{
	(void)from;
	*seen = *to = run_end(t, *to, "_-/");
	return 1;
}

int verify_exact(struct text t, size_t *from, size_t *to, size_t *seen)
{
	(void)t;
	(void)from;
	*seen = *to;
	return 1;
}

/* Authorization: what stands behind "bearer" or "basic". */
int verify_header(struct text t, size_t *from, size_t *to, size_t *seen)
{
	const size_t least = 12; /* as the pattern has it */
	size_t start = *to - least, n;
	struct kinds k;
	bool basic;

	*seen = *to = run_end(t, *to, "._~+/=-");
	*from = start;
	n = *to - start;
	while (start > 0 && in(t.p[start - 1], " \t"))
		start--;
	basic = start >= 5 && strncasecmp(t.p + start - 5, "basic", 5) == 0;
	k = kinds_of(t.p + *from, n > VALUE_MAX ? VALUE_MAX : n);
	if (basic)
		return n % 4 == 0 && (k.digit > 0 || k.turns);
	return n >= 16 && k.digit > 0 && k.lower + k.upper > 0 &&
	       k.bits >= 2.5 * (double)(n > VALUE_MAX ? VALUE_MAX : n);
}

static const char *find(struct text t, size_t from, size_t to, const char *what)
{
	return from >= to ? NULL : memmem(t.p + from, to - from, what, strlen(what));
}

/* With its body, as far as it is there. Without an end, the lines that can be of it. */
int verify_pem(struct text t, size_t *from, size_t *to, size_t *seen)
{
	size_t limit = t.n - *to < PEM_MAX ? t.n : *to + PEM_MAX, at = *to;
	const char *end = find(t, at, limit, "-----END "), *line;

	(void)from;
	if (end != NULL &&
	    (line = find(t, (size_t)(end - t.p) + 9, t.n - (size_t)(end - t.p) < 80 ? t.n : (size_t)(end - t.p) + 80,
			 "-----")) != NULL) {
		*seen = *to = (size_t)(line - t.p) + 5;
		return 1;
	}
	while (at < limit && (alnum(t.p[at]) || in(t.p[at], "+/=:,-\r\n\\ \t")))
		at++;
	*seen = *to = at;
	return 1;
}

/* ---- passwords ---- */
static bool starts(const char *p, size_t n, const char *with)
{
	return n >= strlen(with) && strncasecmp(p, with, strlen(with)) == 0;
}

/* Asked for each byte of what may be a value, which hostile texts have many of: switches are bit tests. */
static bool ends_value(char c)
{
	switch (c) {
	case ' ':
	case '\t':
	case '\n':
	case '\v':
	case '\f':
	case '\r':
	case '"':
	case '\'':
	case '`':
	case '<':
	case '>':
		return true;
	default:
		return false;
	}
}

static bool of_a_name(char c)
{
	const unsigned char u = (unsigned char)c;

	switch (c) {
	case '_':
	case '.':
	case ':':
	case '>':
	case '-':
		return true;
	default:
		return is_lower(u) || is_upper(u) || (c >= '0' && c <= '9');
	}
}

/* Something that stands for a value: a variable, a call, a gap to be filled. */
static bool stands_for_one(const char *p, size_t n)
{
	size_t i = 0;

	if (in(p[0], "<{[(*,;)]}") || (p[0] == '%' && n > 1 && in(p[1], "({%")) ||
	    (p[0] == '$' && n > 1 && (isalpha((unsigned char)p[1]) || in(p[1], "{(_"))))
		return true;
	if (starts(p, n, "http://") || starts(p, n, "https://") || in(p[0], "/~") || starts(p, n, "./") ||
	    starts(p, n, "file:"))
		return true;
	while (i < n && of_a_name(p[i]))
		i++;
	return i < n && i > 0 && in(p[i], "([{") ? true : starts(p, n, "process.env") || starts(p, n, "os.environ");
}

/* Numbers and what dates and versions have between them. */
static bool date_like(const char *p, size_t n)
{
	unsigned apart = 0;

	for (size_t i = 0; i < n; i++) {
		if (!isdigit((unsigned char)p[i]) && !in(p[i], "-:./,TZ+"))
			return false;
		apart += !isdigit((unsigned char)p[i]);
	}
	return apart > 0;
}

static bool secret_value(const char *p, size_t n, bool password, bool equals)
{
	struct kinds k;

	if (n < VALUE_MIN || stands_for_one(p, n) || date_like(p, n))
		return false;
	k = kinds_of(p, n);
	if (k.bits < (password ? 20.0 : 36.0))
		return false;
	if (k.digit > 0 && k.lower + k.upper > 0)
		return true;
	if (k.symbol > 0 && (k.digit > 0 || (k.lower > 0 && k.upper > 0)))
		return true;
	/* in a sentence words stand behind a colon; behind an equals sign they are meant as a value */
	return password && equals && k.other == 0 && (k.lower + k.upper == 0 || (n >= 16 && k.bits >= 50.0));
}

/* Does the word that is given a value say password? And how is it given one? */
static void look_back(struct text t, size_t at, bool *password, bool *equals)
{
	size_t from = at > BACK ? at - BACK : 0, i;

	*password = *equals = false;
	for (i = at; i > from && in(t.p[i - 1], " \t\"'>:="); i--)
		*equals |= t.p[i - 1] == '=';
	for (from = i > BACK / 2 ? i - BACK / 2 : 0; from + 3 <= i; from++)
		*password |= strncasecmp(t.p + from, "pas", 3) == 0 || strncasecmp(t.p + from, "pwd", 3) == 0;
}

/* to: behind the first byte of the value. */
int verify_value(struct text t, size_t *from, size_t *to, size_t *seen)
{
	size_t at = *to - 1, end, limit;
	char quote = '\0';
	bool password, equals;

	*seen = *to;
	while (at < t.n && in(t.p[at], "=>: \t") && at < *to + 4)
		at++;
	if (at < t.n && in(t.p[at], "\"'`"))
		quote = t.p[at++];
	limit = t.n - at < VALUE_MAX ? t.n : at + VALUE_MAX;
	for (end = at; end < limit && t.p[end] != '\n' && t.p[end] != quote; end++)
		if (quote == '\0' && ends_value(t.p[end]))
			break;
	while (quote == '\0' && end > at && in(t.p[end - 1], ".,;:)]}!?"))
		end--;
	if (end == at)
		return 0;
	look_back(t, at, &password, &equals);
	if (!password && memchr(t.p + at, ' ', end - at) != NULL) /* a sentence about one */
		return 0;
	if (!secret_value(t.p + at, end - at, password, equals))
		return 0;
	while (end == limit && end < t.n && !isspace((unsigned char)t.p[end]) && t.p[end] != quote)
		end++;
	*from = at;
	*seen = *to = end;
	return 1;
}

/* scheme://user:password@host; to: behind "://". */
int verify_url(struct text t, size_t *from, size_t *to, size_t *seen)
{
	size_t at = *to, limit = t.n - at < ADDRESS ? t.n : at + ADDRESS, colon = 0;

	*seen = *to;
	for (; at < limit && !isspace((unsigned char)t.p[at]) && !in(t.p[at], "/@\"'<>`"); at++)
		if (t.p[at] == ':' && colon == 0)
			colon = at + 1;
	if (at >= limit || t.p[at] != '@' || colon == 0 || at - colon < 3 || stands_for_one(t.p + colon, at - colon))
		return 0;
	*from = colon;
	*seen = *to = at;
	return 1;
}

/* ---- about persons ---- */
int verify_email(struct text t, size_t *from, size_t *to, size_t *seen)
{
	size_t at = *to, start, end, dot;

	while (at > 0 && t.p[at - 1] != '@')
		at--;
	start = at - 1;
	while (start > 0 && at - start <= BACK && (alnum(t.p[start - 1]) || in(t.p[start - 1], "._%+-")))
		start--;
	*seen = end = run_end(t, *to, ".-");
	while (end > at && in(t.p[end - 1], ".-"))
		end--;
	for (dot = end; dot > at && isalpha((unsigned char)t.p[dot - 1]); dot--)
		;
	if (end - dot < 2 || dot <= at || t.p[dot - 1] != '.')
		return 0;
	*from = start;
	*to = end;
	return 1;
}

int verify_ip4(struct text t, size_t *from, size_t *to, size_t *seen)
{
	char copy[16];
	unsigned char b[4];

	*seen = *to;
	if (*to - *from >= sizeof(copy) || (*from > 0 && t.p[*from - 1] == '.') ||
	    (*to + 1 < t.n && t.p[*to] == '.' && isdigit((unsigned char)t.p[*to + 1])))
		return 0;
	memcpy(copy, t.p + *from, *to - *from);
	copy[*to - *from] = '\0';
	if (inet_pton(AF_INET, copy, b) != 1)
		return 0;
	/* of nobody in particular: this host, private nets */
	return b[0] != 0 && b[0] != 127 && b[0] != 10 && !(b[0] == 192 && b[1] == 168) &&
	       !(b[0] == 172 && b[1] >= 16 && b[1] < 32) && !(b[0] == 169 && b[1] == 254) && b[0] < 224;
}

int verify_ip6(struct text t, size_t *from, size_t *to, size_t *seen)
{
	size_t start = *to, end = *to;
	unsigned colons = 0;
	bool gap = false, digit = false;
	unsigned char b[16];
	char copy[46];

	while (start > 0 && *to - start < BACK && (isxdigit((unsigned char)t.p[start - 1]) || t.p[start - 1] == ':'))
		start--;
	while (end < t.n && (isxdigit((unsigned char)t.p[end]) || in(t.p[end], ":.")))
		end++;
	*seen = end;
	while (end > start && in(t.p[end - 1], ".:") && !(end - start >= 2 && t.p[end - 2] == ':'))
		end--;
	if (end - start >= sizeof(copy) || (start > 0 && (alnum(t.p[start - 1]) || t.p[start - 1] == '_')) ||
	    (end < t.n && (alnum(t.p[end]) || t.p[end] == '_')))
		return 0;
	memcpy(copy, t.p + start, end - start);
	copy[end - start] = '\0';
	for (size_t i = start; i < end; i++) {
		colons += t.p[i] == ':';
		digit |= isdigit((unsigned char)t.p[i]) != 0;
		gap |= t.p[i] == ':' && i + 1 < end && t.p[i + 1] == ':';
	}
	if (!digit || (!gap && colons != 7) || inet_pton(AF_INET6, copy, b) != 1)
		return 0;
	*from = start;
	*to = end;
	return b[0] >= 0x20 && b[0] < 0xfc; /* neither this host nor a private or local net */
}
