/* What a person reads: results of the wire, written as text. Pure: the style, the clock and the width come in. Text
 * that others wrote (memories, speakers, names) is cleaned for a terminal on its way. */
#ifndef SUPERVISOR_CTL_SHOW_H
#define SUPERVISOR_CTL_SHOW_H
#include "common/base/buf.h"
#include "proto/wire/wire.h"
#include <stdbool.h>

struct show_style {
	bool colour;
};
enum show_colour { SHOW_PLAIN, SHOW_GOOD, SHOW_WARN, SHOW_BAD, SHOW_DIM, SHOW_BOLD };

/* res: the struct res_ID of the message. All append to out; check out->failed once at the end. */
typedef void show_fn(struct buf *out, const struct show_style *s, const void *res);

show_fn show_status, show_state, show_events, show_reloaded, show_anomalies;
show_fn show_thermal, show_added, show_added_by_id, show_recall, show_answer, show_decided, show_decisions, show_audit,
	show_forgotten, show_explained;
show_fn show_votes;
void show_vote(struct buf *out, const struct show_style *s, const struct item_vote *v);
/* Further lines of the status screen, when memory-jr could be asked. */
void show_temperature(struct buf *out, const struct show_style *s, const struct res_memory_thermal *t);
void show_beat(struct buf *out, const struct item_beat *beat);                                /* one line */
void show_event(struct buf *out, const struct show_style *s, const struct item_event *event); /* one line */
/* What each Jr did between two looks at the heartbeats: share of a processor, requests a second. before may be of
 * another life or absent (n == 0); then only what needs no difference is shown. */
void show_load(struct buf *out, const struct show_style *s, const struct list_beat *before,
	       const struct list_beat *now);

enum show_colour show_heat(double temperature);

/* One role's part of a status, borrowed from it; and is it in that state ("up" ...)? */
const struct item_jr *status_jr(const struct res_status *r, int role);
bool status_is(const struct item_jr *j, const char *state);

/* ---- small parts, used above and by drill and import ---- */
/* Printed text in a colour; the width of a field counts the text alone. */
void show_paint(struct buf *out, const struct show_style *s, enum show_colour colour, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
#define SHOW_SHORT 24
void show_duration(char out[SHOW_SHORT], uint64_t seconds); /* "42s" "3m12s" "5h04m" "12d07h" */
void show_bytes(char out[SHOW_SHORT], uint64_t bytes);      /* "812 kB" "12.4 MB" */
void show_count(char out[SHOW_SHORT], uint64_t n);          /* "1,234,567" */
void show_time(char out[SHOW_SHORT], int64_t ms);           /* "2026-11-23 17:00:05Z" */

#endif
