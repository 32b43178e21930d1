/* Verifiers of numbers: payment cards, bank accounts, phones, and what states give to persons. */
#include "jrs/memory/guard/inside.h"
#include <ctype.h>
#include <string.h>

#define CARD_MAX 19u

static bool digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool alnum(char c)
{
	return isalnum((unsigned char)c) != 0;
}

/* ---- payment cards ---- */
static bool luhn(const char *d, size_t n)
{
	unsigned sum = 0;
	size_t i;

	for (i = 0; i < n; i++) {
		unsigned v = (unsigned)(d[n - 1 - i] - '0');

		v <<= i % 2;
		sum += v > 9 ? v - 9 : v;
	}
	return sum % 10 == 0;
}

/* First digits and length as issuers use them: without that every tenth long number would be one. */
static bool issued(const char *d, size_t n)
{
	static const struct {
		unsigned from, to; /* of the first four digits */
		size_t least, most;
	} all[] = {
		{4000, 4999, 16, 16}, {5100, 5599, 16, 16}, {2221, 2720, 16, 16}, {3400, 3499, 15, 15},
		{3700, 3799, 15, 15}, {3000, 3059, 14, 14}, {3600, 3699, 14, 14}, {3800, 3999, 14, 16},
		{3528, 3589, 16, 19}, {6011, 6011, 16, 19}, {6440, 6599, 16, 19}, {6200, 6299, 16, 19},
		{5018, 5018, 16, 19}, {5020, 5020, 16, 19}, {5038, 5038, 16, 19}, {6304, 6304, 16, 19},
		{6759, 6763, 16, 19}, {2200, 2204, 16, 19},
	};
	unsigned first = (unsigned)(d[0] - '0') * 1000 + (unsigned)(d[1] - '0') * 100 + (unsigned)(d[2] - '0') * 10 +
			 (unsigned)(d[3] - '0');
	size_t i;

	for (i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		if (first >= all[i].from && first <= all[i].to && n >= all[i].least && n <= all[i].most)
			return true;
	}
	return false;
}

/* As cards are written: in one piece, in fours, or 4-6-4, 4-6-5. */
static bool written_so(const unsigned *size, unsigned n)
{
	unsigned i;

	if (n == 1 || (n == 3 && size[0] == 4 && size[1] == 6 && (size[2] == 4 || size[2] == 5)))
		return true;
	for (i = 0; i + 1 < n; i++) {
		if (size[i] != 4)
			return false;
	}
	return size[n - 1] <= 4;
}

/* Does a card begin here, where a group of digits begins? Its end, or 0. */
static size_t card_at(struct text t, size_t at)
{
	char d[CARD_MAX];
	unsigned size[CARD_MAX] = {0}, groups = 1;
	size_t n = 0;

	for (; at < t.n; at++) {
		if (digit(t.p[at])) {
			if (n == CARD_MAX)
				return 0;
			d[n++] = t.p[at];
			size[groups - 1]++;
			if (at + 1 < t.n && digit(t.p[at + 1]))
				continue;
			if (n >= 13 && written_so(size, groups) && issued(d, n) && luhn(d, n) &&
			    !(at + 1 < t.n && (alnum(t.p[at + 1]) || t.p[at + 1] == '_')) &&
			    !(at + 2 < t.n && t.p[at + 1] == '.' && digit(t.p[at + 2])))
				return at + 1;
		} else if ((t.p[at] == ' ' || t.p[at] == '-') && at + 1 < t.n && digit(t.p[at + 1]) &&
			   groups < CARD_MAX) {
			groups++;
		} else {
			return 0;
		}
	}
	return 0;
}

/* to: behind at least 13 digits, in groups or not. Where the whole run begins is at most that far back. */
int verify_card(struct text t, size_t *from, size_t *to, size_t *seen)
{
	size_t at = *to, floor = *seen, end;

	while (at > floor && (digit(t.p[at - 1]) ||
			      ((t.p[at - 1] == ' ' || t.p[at - 1] == '-') && at - 1 > floor && digit(t.p[at - 2]))))
		at--;
	for (; at < t.n; at++) {
		bool begins = digit(t.p[at]) && (at == 0 || !digit(t.p[at - 1]));

		if (begins && !(at > 0 && (alnum(t.p[at - 1]) || t.p[at - 1] == '_')) &&
		    !(at > 1 && t.p[at - 1] == '.' && digit(t.p[at - 2])) && (end = card_at(t, at)) != 0) {
			*from = at;
			*seen = *to = end;
			return 1;
		}
		if (!digit(t.p[at]) && !((t.p[at] == ' ' || t.p[at] == '-') && at + 1 < t.n && digit(t.p[at + 1])))
			break;
	}
	*seen = at;
	return 0;
}

/* ---- bank accounts ---- */
static size_t iban_length(const char *country)
{
	static const char all[][5] = {
		"AD24", "AE23", "AL28", "AT20", "AZ28", "BA20", "BE16", "BG22", "BH22", "BR29", "BY28", "CH21",
		"CR22", "CY28", "CZ24", "DE22", "DK18", "DO28", "EE20", "EG29", "ES24", "FI18", "FO18", "FR27",
		"GB22", "GE22", "GI23", "GL18", "GR27", "GT28", "HR21", "HU28", "IE22", "IL23", "IQ23", "IS26",
		"IT27", "JO30", "KW30", "KZ20", "LB28", "LC32", "LI21", "LT20", "LU20", "LV21", "LY25", "MC27",
		"MD24", "ME22", "MK19", "MR27", "MT31", "MU30", "NL18", "NO15", "PK24", "PL28", "PS29", "PT25",
		"QA29", "RO24", "RS22", "SA24", "SC31", "SD18", "SE24", "SI19", "SK24", "SM27", "ST25", "SV28",
		"TL23", "TN24", "TR26", "UA29", "VA22", "VG24", "XK20",
	};
	size_t i;

	for (i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		if (memcmp(all[i], country, 2) == 0)
			return (size_t)(all[i][2] - '0') * 10 + (size_t)(all[i][3] - '0');
	}
	return 0;
}

static unsigned mod97(unsigned so_far, char c)
{
	if (digit(c))
		return (so_far * 10 + (unsigned)(c - '0')) % 97;
	return (so_far * 100 + (unsigned)(c - 'A') + 10) % 97;
}

int verify_iban(struct text t, size_t *from, size_t *to, size_t *seen)
{
	size_t want = iban_length(t.p + *from), n = 0, at, i;
	unsigned rest = 0;
	char d[34];

	*seen = *to;
	if (want == 0)
		return 0;
	for (at = *from; at < t.n && n < want; at++) {
		if (digit(t.p[at]) || (t.p[at] >= 'A' && t.p[at] <= 'Z'))
			d[n++] = t.p[at];
		else if (t.p[at] != ' ' || t.p[at - 1] == ' ')
			return 0;
	}
	if (n < want || (at < t.n && alnum(t.p[at])))
		return 0;
	for (i = 0; i < n; i++)
		rest = mod97(rest, d[(i + 4) % n]);
	if (rest != 1)
		return 0;
	*seen = *to = at;
	return 1;
}

/* ---- about persons ---- */
int verify_phone(struct text t, size_t *from, size_t *to, size_t *seen)
{
	size_t at, end = *to;
	unsigned digits = 0;

	for (at = *from + 1; at < t.n && (digit(t.p[at]) || memchr(" ().-", t.p[at], 5) != NULL); at++) {
		if (digits < 16 && digit(t.p[at])) {
			digits++;
			end = at + 1;
		}
	}
	*seen = at;
	*to = end;
	return digits >= 8 && digits <= 15;
}

/* Of the United States. */
int verify_ssn(struct text t, size_t *from, size_t *to, size_t *seen)
{
	const char *p = t.p + *from;

	*seen = *to;
	return memcmp(p, "000", 3) != 0 && memcmp(p, "666", 3) != 0 && p[0] != '9' && memcmp(p + 4, "00", 2) != 0 &&
	       memcmp(p + 7, "0000", 4) != 0;
}

/* Of Spain, whose last letter is a checksum. */
int verify_dni(struct text t, size_t *from, size_t *to, size_t *seen)
{
	static const char letters[] = "TRWAGMYFPDXBNJZSQVHLCKE";
	const char *p = t.p + *from;
	unsigned v = p[0] >= 'X' && p[0] <= 'Z' ? (unsigned)(p[0] - 'X') : (unsigned)(p[0] - '0');
	int i;

	*seen = *to;
	for (i = 1; i < 8; i++)
		v = v * 10 + (unsigned)(p[i] - '0');
	return t.p[*to - 1] == letters[v % 23];
}
