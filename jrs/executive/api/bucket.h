/* How often may somebody call? A bucket for each, which holds so many calls at most and fills at a steady rate. A
 * bounded table: when it is full the one that was not looked at for longest makes room. Pure: time is passed in. */
#ifndef JRS_EXECUTIVE_API_BUCKET_H
#define JRS_EXECUTIVE_API_BUCKET_H
#include <stddef.h>
#include <stdint.h>

#define BUCKET_KEY_MAX 72
#define BUCKETS_MAX    4096 /* 1 MiB */

struct buckets;
/* rate: calls a second, 1 or more; burst: calls at once, 0: as many as in a second. max: 0 for BUCKETS_MAX. */
int buckets_new(struct buckets **out, uint32_t rate, uint32_t burst, unsigned max);
void buckets_free(struct buckets **b);
/* One call of whoever has this key (1..BUCKET_KEY_MAX bytes). 0: it may be; else so many milliseconds are to pass. */
uint64_t buckets_take(struct buckets *b, const void *key, size_t n, uint64_t now_ms);

#endif
