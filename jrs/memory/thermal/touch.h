/* Who touched which memory within the last hour? A bounded table: when it is full of recent touches the oldest of a few
 * is forgotten, and that memory may count twice in an hour. Pure; the time is passed in. */
#ifndef JRS_MEMORY_THERMAL_TOUCH_H
#define JRS_MEMORY_THERMAL_TOUCH_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TOUCH_EVERY_MS 3600000u /* a memory counts one access an hour for each toucher */

struct touch_table;
/* memories: for how many touches an hour; rounded up. TR_ENOMEM. */
int touch_new(struct touch_table **out, unsigned touches);
/* True the first time within the hour; from now on it has been touched. toucher: a session or token, n may be 0. */
bool touch_first(struct touch_table *t, int64_t memory, const char *toucher, size_t n, uint64_t now_ms);
void touch_free(struct touch_table **t);

#endif
