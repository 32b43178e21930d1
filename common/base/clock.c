#include "common/base/clock.h"
#include "common/base/err.h"
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define DAY_MS 86400000LL

static struct timespec now(clockid_t id)
{
	struct timespec ts = {0, 0};

	(void)clock_gettime(id, &ts); /* cannot fail for these two clocks */
	return ts;
}

uint64_t tr_mono_ns(void)
{
	struct timespec ts = now(CLOCK_MONOTONIC);

	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

uint64_t tr_mono_ms(void)
{
	return tr_mono_ns() / 1000000u;
}

int64_t tr_wall_ms(void)
{
	struct timespec ts = now(CLOCK_REALTIME);

	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static bool leap_year(int y)
{
	return (y % 4 == 0 && y % 100 != 0) || y % 400 == 0;
}

static int month_days(int y, int m)
{
	static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};

	return m == 2 && leap_year(y) ? 29 : days[m - 1];
}

/* Days from 0001-01-01 to the first of January of year y >= 0 (year 0 is a leap year). */
static int64_t year_days(int y)
{
	int64_t p = (int64_t)y - 1;

	if (y == 0)
		return -366;
	return p * 365 + p / 4 - p / 100 + p / 400;
}

static int64_t date_days(int y, int m, int d)
{
	int64_t n = year_days(y) + d - 1;

	for (int i = 1; i < m; i++)
		n += month_days(y, i);
	return n;
}

/* The next `digits` decimal digits as a number in [min, max]; -1 when they are not there. */
static int take(const char **p, const char *end, int digits, int min, int max)
{
	int v = 0;

	for (int i = 0; i < digits; i++, (*p)++) {
		if (*p == end || **p < '0' || **p > '9')
			return -1;
		v = v * 10 + (**p - '0');
	}
	return v >= min && v <= max ? v : -1;
}

static bool expect(const char **p, const char *end, const char *any_of)
{
	if (*p == end || **p == '\0' || strchr(any_of, **p) == NULL)
		return false;
	(*p)++;
	return true;
}

/* "" or "." and 1 to 9 digits, cut to milliseconds; -1 when malformed. */
static int take_fraction(const char **p, const char *end)
{
	int ms = 0, n = 0;

	if (*p == end || **p != '.')
		return 0;
	for ((*p)++; *p < end && **p >= '0' && **p <= '9'; (*p)++, n++)
		if (n < 3)
			ms = ms * 10 + (**p - '0');
	if (n < 1 || n > 9)
		return -1;
	for (; n < 3; n++)
		ms *= 10;
	return ms;
}

/* "Z" or "+HH:MM" in minutes. */
static bool take_offset(const char **p, const char *end, int *out)
{
	int sign, h, m;

	*out = 0;
	if (expect(p, end, "Zz"))
		return true;
	if (*p == end || (**p != '+' && **p != '-'))
		return false;
	sign = **p == '-' ? -1 : 1;
	(*p)++;
	if ((h = take(p, end, 2, 0, 23)) < 0 || !expect(p, end, ":") || (m = take(p, end, 2, 0, 59)) < 0)
		return false;
	*out = sign * (h * 60 + m);
	return true;
}

/* A leap second ends a month of UTC; ms is the instant one second before its end. */
static bool leap_second_ok(int64_t ms)
{
	char next[TR_RFC3339_LEN];

	if (ms >= TR_TIME_MAX_MS - 1000)
		return true; /* the last second of year 9999 */
	tr_rfc3339_format(ms + 1000, next);
	return strncmp(next + 8, "01T00:00:00", 11) == 0;
}

int tr_rfc3339_parse(const char *p, size_t n, int64_t *out)
{
	const char *end = p + n;
	int y, mo, d, h, mi, s, ms, offset;
	bool leap;
	int64_t t;

	if ((y = take(&p, end, 4, 0, 9999)) < 0 || !expect(&p, end, "-") || (mo = take(&p, end, 2, 1, 12)) < 0 ||
	    !expect(&p, end, "-") || (d = take(&p, end, 2, 1, month_days(y, mo))) < 0 || !expect(&p, end, "Tt") ||
	    (h = take(&p, end, 2, 0, 23)) < 0 || !expect(&p, end, ":") || (mi = take(&p, end, 2, 0, 59)) < 0 ||
	    !expect(&p, end, ":") || (s = take(&p, end, 2, 0, 60)) < 0 || (ms = take_fraction(&p, end)) < 0 ||
	    !take_offset(&p, end, &offset) || p != end)
		return TR_EINVAL;
	leap = s == 60;
	if (leap)
		s = 59;
	t = TR_TIME_MIN_MS + date_days(y, mo, d) * DAY_MS + (int64_t)(h * 60 + mi - offset) * 60000 + s * 1000;
	if (leap && !leap_second_ok(t))
		return TR_EINVAL;
	t += leap ? 999 : ms;
	if (t < TR_TIME_MIN_MS || t > TR_TIME_MAX_MS)
		return TR_EINVAL;
	*out = t;
	return 0;
}

void tr_rfc3339_format(int64_t ms, char out[TR_RFC3339_LEN])
{
	int64_t days, rest;
	int y, m = 1, d;

	if (ms < TR_TIME_MIN_MS)
		ms = TR_TIME_MIN_MS;
	if (ms > TR_TIME_MAX_MS)
		ms = TR_TIME_MAX_MS;
	days = (ms - TR_TIME_MIN_MS) / DAY_MS;
	rest = (ms - TR_TIME_MIN_MS) % DAY_MS;
	y = (int)(days * 400 / 146097) + 1; /* right or one off */
	while (year_days(y) > days)
		y--;
	while (year_days(y + 1) <= days)
		y++;
	d = (int)(days - year_days(y)) + 1;
	for (; d > month_days(y, m); m++)
		d -= month_days(y, m);
	/* the remainders tell the compiler what we know: every field fits */
	(void)snprintf(out, TR_RFC3339_LEN, "%04u-%02u-%02uT%02u:%02u:%02u.%03uZ", (unsigned)y % 10000u,
		       (unsigned)m % 100u, (unsigned)d % 100u, (unsigned)(rest / 3600000) % 100u,
		       (unsigned)(rest / 60000 % 60), (unsigned)(rest / 1000 % 60), (unsigned)(rest % 1000));
}
