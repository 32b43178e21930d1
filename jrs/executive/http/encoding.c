#include "jrs/executive/http/encoding.h"
#include "common/base/err.h"
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#define ZLIB_CONST /* what is read is const */
#include <zlib.h>

#define LEVEL      1  /* the loop waits for it: a third less is as good as half less */
#define GZIP_BITS  31 /* 32 KiB of window, and a gzip frame */
#define MEMORY     8
#define UNSPECIFIC (-1) /* a coding that is not named */

/* ---- Accept-Encoding ---- */
static const char *blanks(const char *s)
{
	return s + strspn(s, " \t");
}

/* "0", "0.5", "1.000" at s, as thousandths; -1: it is none. *end: behind it. */
static int weight(const char *s, const char **end)
{
	int whole = *s - '0', rest = 0, scale = 100;

	if (whole != 0 && whole != 1)
		return -1;
	if (*++s == '.')
		for (s++; *s >= '0' && *s <= '9' && scale > 0; s++, scale /= 10)
			rest += (*s - '0') * scale;
	*end = s;
	return whole == 1 && rest > 0 ? -1 : whole * 1000 + rest;
}

/* ";q=0.5" or nothing, up to the end of the element. -1: malformed. */
static int quality(const char *s, const char *end)
{
	int q;

	s = blanks(s);
	if (s >= end)
		return 1000;
	if (*s != ';')
		return -1;
	s = blanks(s + 1);
	if ((*s != 'q' && *s != 'Q') || s[1] != '=' || (q = weight(s + 2, &s)) < 0)
		return -1;
	return blanks(s) >= end ? q : -1;
}

bool http_wants_gzip(const char *accept_encoding)
{
	int gzip = UNSPECIFIC, identity = UNSPECIFIC, any = UNSPECIFIC;
	const char *s = accept_encoding == NULL ? "" : accept_encoding, *end;

	for (; *s != '\0'; s = *end == '\0' ? end : end + 1) {
		size_t n;
		int q;

		s = blanks(s);
		end = s + strcspn(s, ",");
		n = strcspn(s, " \t;,");
		if (n == 0 || (q = quality(s + n, end)) < 0)
			continue;
		if ((n == 4 && strncasecmp(s, "gzip", n) == 0) || (n == 6 && strncasecmp(s, "x-gzip", n) == 0))
			gzip = q;
		else if (n == 8 && strncasecmp(s, "identity", n) == 0)
			identity = q;
		else if (n == 1 && *s == '*')
			any = q;
	}
	if (gzip == UNSPECIFIC)
		gzip = any;
	return gzip > 0 && gzip >= identity;
}

/* ---- If-None-Match ---- */
bool http_tag_known(const char *if_none_match, const char *tag)
{
	const char *s = if_none_match == NULL ? "" : if_none_match;
	size_t n = strlen(tag);

	while (*(s += strspn(s, " \t,")) != '\0') {
		const char *close;

		if (*s == '*')
			return true;
		if (s[0] == 'W' && s[1] == '/')
			s += 2;
		if (*s != '"' || (close = strchr(s + 1, '"')) == NULL)
			return false; /* malformed: nothing behind it is understood */
		if ((size_t)(close + 1 - s) == n && memcmp(s, tag, n) == 0)
			return true;
		s = close + 1;
	}
	return false;
}

/* ---- gzip ---- */
struct http_gzip {
	z_stream z;
};

void http_gzip_free(struct http_gzip **z)
{
	if (*z != NULL)
		(void)deflateEnd(&(*z)->z);
	free(*z);
	*z = NULL;
}

static int ready(struct http_gzip **zp)
{
	struct http_gzip *z = *zp;

	if (z != NULL)
		return deflateReset(&z->z) == Z_OK ? 0 : TR_ENOMEM;
	if ((z = calloc(1, sizeof(*z))) == NULL)
		return TR_ENOMEM;
	if (deflateInit2(&z->z, LEVEL, Z_DEFLATED, GZIP_BITS, MEMORY, Z_DEFAULT_STRATEGY) != Z_OK) {
		free(z);
		return TR_ENOMEM;
	}
	*zp = z;
	return 0;
}

int http_gzip(struct http_gzip **zp, struct buf *out, const void *p, size_t n)
{
	uLong most;
	z_stream *z;

	if (n > INT_MAX || ready(zp) < 0)
		return TR_ENOMEM;
	z = &(*zp)->z;
	most = deflateBound(z, (uLong)n);
	if (buf_reserve(out, most) < 0)
		return TR_ENOMEM;
	z->next_in = p;
	z->avail_in = (uInt)n;
	z->next_out = (Bytef *)out->p + out->len;
	z->avail_out = (uInt)most;
	if (deflate(z, Z_FINISH) != Z_STREAM_END)
		return TR_ENOMEM;
	out->len += most - z->avail_out;
	out->p[out->len] = '\0';
	return 0;
}
