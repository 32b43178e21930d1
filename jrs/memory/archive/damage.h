/* What is to be done about a failure of the archive. Pure: facts in, act out.
 * Only what is stored and is not what was written is damage. What may pass (busy, an I/O error, a full or read-only
 * disk, a file that cannot be opened) never starts a repair, and damage itself only when it has been seen twice. */
#ifndef JRS_MEMORY_ARCHIVE_DAMAGE_H
#define JRS_MEMORY_ARCHIVE_DAMAGE_H
#include <stdbool.h>

enum damage_sign {
	DAMAGE_NONE,
	DAMAGE_PASSES,   /* may pass by itself */
	DAMAGE_SUSPECTED /* to be looked at again, from the disk */
};
/* Of an extended code of SQLite's. */
enum damage_sign damage_sign(int code);

struct damage_facts {
	bool confirmed;  /* seen again with nothing cached; the log and a scrub are proof by themselves */
	bool numbered;   /* the archive lies in a directory of a numbered row, so another can take its place */
	bool leads;      /* we lead: an understudy leaves it to the lead */
	bool came_back;  /* somebody led the link back to a directory that was left for its damage */
	bool room;       /* the disk has room for a second archive */
	unsigned lately; /* archives that were made by a salvage within the last hour */
};
enum damage_act {
	DAMAGE_GO_ON,
	DAMAGE_LOOK_AGAIN,
	DAMAGE_REPORT, /* say so, serve what can be read, write nothing */
	DAMAGE_RESCUE  /* and take what is undamaged into a fresh archive */
};
#define DAMAGE_LATELY_MAX 3u /* more of it is the machine's fault: another copy would not help */
/* *why (static): the reason for DAMAGE_REPORT; untouched else. */
enum damage_act damage_decide(enum damage_sign sign, const struct damage_facts *f, const char **why);

#endif
