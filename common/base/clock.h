/* Time. Pure code never calls these: it takes the time as an argument. */
#ifndef COMMON_BASE_CLOCK_H
#define COMMON_BASE_CLOCK_H
#include <stddef.h>
#include <stdint.h>

uint64_t tr_mono_ns(void);   /* CLOCK_MONOTONIC */
uint64_t tr_mono_ms(void);
int64_t tr_wall_ms(void);    /* CLOCK_REALTIME, milliseconds since 1970-01-01T00:00:00Z */

#define TR_TIME_MIN_MS (-62135596800000LL) /* 0001-01-01T00:00:00Z */
#define TR_TIME_MAX_MS 253402300799999LL   /* 9999-12-31T23:59:59.999Z */
#define TR_RFC3339_LEN 25                  /* "2026-11-23T17:00:00.000Z" and NUL */

/* RFC 3339 with any offset and 0 to 9 fractional digits (cut to ms); leap second 60 counts as 59.999.
 * TR_EINVAL otherwise; *out untouched. */
int tr_rfc3339_parse(const char *p, size_t n, int64_t *out);
/* Always UTC with milliseconds. ms outside TR_TIME_MIN_MS..TR_TIME_MAX_MS is clamped. */
void tr_rfc3339_format(int64_t ms, char out[TR_RFC3339_LEN]);

#endif
