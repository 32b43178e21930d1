/* The life of a role: who leads, who could lead, and the epoch, as a complete table. Pure. A role has up to 32 slots,
 * each with a process life of its own (lifecycle.h); one of them leads, the rest are understudies. The epoch grows by
 * one with every lead that is named, appointed at its spawn or promoted from the understudies.
 *
 * Where the processes of a role wait for its mutex, the mutex decides and what is named here is what is expected: who
 * took it says so (role_leads) with the epoch that it raised on the role's page, perhaps before the death of the one
 * before was noticed, perhaps another than the one named, perhaps read after a later one's. There a hello is RV_WAITS;
 * RV_READY, by which an appointed lead serves, is for a role without a mutex; tribed has none (ADR 17).
 * tests/model/takeover.pml is the world that such a role lives in; its traces are replayed through this table. */
#ifndef SUPERVISOR_CORE_ROLE_H
#define SUPERVISOR_CORE_ROLE_H
#include <stdint.h>

#define ROLE_NOBODY (-1)
#define ROLE_SLOTS  32

#define ROLE_STATES(X)                                              \
	X(IDLE, "not wanted, nobody leads")                         \
	X(VACANT, "wanted, nobody leads, nobody could")             \
	X(ELECT, "a lead was named that has not proved itself yet") \
	X(LED, "the lead serves")                                   \
	X(CLOSING, "not wanted any more, the lead has not left yet")

enum role_state {
	ROLE_NONE, /* a forgotten cell */
#define X(name, doc) ROLE_##name,
	ROLE_STATES(X) ROLE_NSTATES
#undef X
};

/* What the shell reports. */
enum role_event {
	RV_START, /* the role is wanted; slot is not read */
	RV_STOP,  /* the role is not wanted; slot is not read */
	RV_SPAWN, /* a process is about to be made for this slot: as what? */
	RV_READY, /* its hello, or a promoted understudy says it leads */
	RV_LOST,  /* its process was reaped */
	RV_WAITS, /* its hello: it waits for the role's mutex and could lead at once */
	RV_LEADS, /* it took the mutex: role_leads() */
	ROLE_NEVENTS
};

/* What the table is asked: an event seen with what the role knows about the slot. */
/* clang-format off */
#define ROLE_COLUMNS(X) \
	X(START) X(STOP) X(SPAWN) X(LEAD_READY) X(UNDERSTUDY_READY) X(LEAD_LOST) X(LEAD_LOST_COVERED) X(UNDERSTUDY_LOST) \
	X(LEAD_TOOK) X(OTHER_TOOK) X(TOOK_BEFORE)
/* clang-format on */
enum role_column {
#define X(name) RC_##name,
	ROLE_COLUMNS(X) ROLE_NCOLUMNS
#undef X
};

enum role_action {
	RO_START = 1 << 0,   /* start every slot */
	RO_STOP = 1 << 1,    /* stop every slot */
	RO_APPOINT = 1 << 2, /* the slot asked about is the lead of the new epoch */
	RO_SECOND = 1 << 3,  /* the slot asked about is an understudy */
	RO_PROMOTE =
		1 << 4,     /* slot `lead`, an understudy until now, leads in the new epoch; without a mutex: tell it */
	RO_SERVES = 1 << 5, /* the role answers from now on */
	RO_VACATED = 1 << 6, /* the lead was lost; before RO_SERVES */
	RO_TAKEN = 1 << 7,   /* the slot that said so is the lead */
	RO_BUG = 1 << 8
};

struct role {
	enum role_state state;
	int lead;       /* slot or ROLE_NOBODY */
	uint32_t ready; /* a bit for each that could lead at once and does not yet; the one named may be among them */
	uint64_t epoch; /* of the lead, or of the last one; 0 before the first */
	uint64_t taken; /* the highest that was said by who took the mutex */
};

void role_init(struct role *r);
/* Returns bits of enum role_action. After RO_APPOINT or RO_PROMOTE, r->lead and r->epoch name the new lead. */
unsigned role_step(struct role *r, enum role_event ev, int slot);
/* RV_LEADS: slot took the mutex and raised the page's epoch to this. After RO_TAKEN it is r->lead and r->epoch. */
unsigned role_leads(struct role *r, int slot, uint64_t epoch);
const char *role_state_name(enum role_state s);
const char *role_column_name(enum role_column c);
unsigned role_cell(enum role_state s, enum role_column c, enum role_state *next);

#endif
