/* Inside a salvage: what its files share. */
#ifndef JRS_MEMORY_ARCHIVE_SALVOR_H
#define JRS_MEMORY_ARCHIVE_SALVOR_H
#include "jrs/memory/archive/fresh.h"
#include "jrs/memory/archive/salvage.h"
#include "jrs/memory/thermal/thermal.h"

#define PAYLOAD_MAX (4u << 20) /* no row of ours is larger */

/* What a page belongs to: a table's number, or one of these. */
enum { NOBODY = -1, ID_ENTRIES = -2, OTHER_INDEX = -3, FREE_PAGE = -4 };

struct later { /* a page that is read when everything sound has been */
	uint32_t page;
	int owner;
};
struct clock_row { /* of thermal_clock, as it was found */
	int64_t seq;
	uint32_t page;
	struct thermal_clock at;
};
struct salvor {
	const struct salvage_cfg *cfg;
	struct salvage_report *report;
	struct old *old;
	struct fresh fresh;
	struct table *memories;
	uint32_t size, usable, pages;
	short *owner;   /* of each page, as an unbroken way from its root shows it */
	bool whole;     /* no way was broken: a page of nobody is free */
	bool ids_whole; /* nor that of the index of ids: what it does not know is gone */
	bool guessed;   /* where the trees are: the schema cannot be read */
	struct later *later;
	size_t nlater, later_cap;
	unsigned char *page, *chain; /* buffers of a page */
	unsigned char *payload;
	int64_t newest_schema;
	double half_life_ms;                        /* the setting, from a sound page; 0: not known */
	bool clock_sound;                           /* the page of the clock was; else rows may be missing */
	struct clock_row clock[THERMAL_CLOCKS_MAX]; /* in the order of seq */
	unsigned nclock;
	struct thermal_model model; /* by which heat keys are judged: salvor_clock() */
};
/* One row as it was found. */
struct found {
	int owner;
	uint32_t page;
	int64_t rowid;
	bool sure;   /* sound page, an unbroken way to it, nothing newer */
	bool good;   /* the page is as it was written */
	bool listed; /* its page says itself that the row is on it */
	bool stale;  /* there is a newer image of its page */
	bool newer;  /* than the newest whole state: no index knows it yet */
	bool cut;    /* the rest of it is not there */
	struct value v[RECORD_MAX];
	int n;
};

/* salvage.c: the row of a cell; false: it is none. What its overflow pages are like is noted in f. */
bool salvor_row(struct salvor *s, const struct btree_cell *c, struct found *f);
/* owners.c: which page belongs to what */
void salvor_owners(struct salvor *s);
/* proof.c: what a memory proves by itself. NULL: nothing speaks against it. Else why not (static). */
const char *salvor_objection(const struct salvor *s, const struct found *f);
bool salvor_hash_agrees(const struct salvor *s, const struct found *f);
const struct value *salvor_value(const struct salvor *s, const struct found *f, const char *name);
bool salvor_heat_possible(const struct thermal_model *m, double heat_key, double accesses, double last_access_ms);
/* salvor_clock.c: a row of the clock is kept until all that can be found are; then, before any memory is judged, the
 * clock is put into the fresh archive. */
void salvor_setting(struct salvor *s, const struct found *f); /* a sound row of settings */
int salvor_clock_row(struct salvor *s, struct table *t, const struct found *f);
int salvor_clock(struct salvor *s);

#endif
