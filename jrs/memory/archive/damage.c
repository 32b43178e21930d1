#include "jrs/memory/archive/damage.h"
#include <sqlite3.h>

enum damage_sign damage_sign(int code)
{
	switch (code & 0xff) {
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		return DAMAGE_SUSPECTED;
	case SQLITE_IOERR:
		return code == SQLITE_IOERR_DATA ? DAMAGE_SUSPECTED : DAMAGE_PASSES;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
	case SQLITE_FULL:
	case SQLITE_READONLY:
	case SQLITE_CANTOPEN:
	case SQLITE_PROTOCOL:
	case SQLITE_NOMEM:
	case SQLITE_PERM:
	case SQLITE_AUTH:
	case SQLITE_NOLFS:
		return DAMAGE_PASSES;
	default:
		return DAMAGE_NONE;
	}
}

enum damage_act damage_decide(enum damage_sign sign, const struct damage_facts *f, const char **why)
{
	if (sign != DAMAGE_SUSPECTED)
		return DAMAGE_GO_ON;
	if (!f->confirmed)
		return DAMAGE_LOOK_AGAIN;
	if (!f->leads)
		*why = "the lead sees to it";
	else if (!f->numbered)
		*why = "archive.url names its file: another cannot take its place by itself";
	else if (f->came_back)
		*why = "somebody led the link back to it after it had been left for its damage";
	else if (f->lately >= DAMAGE_LATELY_MAX)
		*why = "it happens too often: the machine itself is to be looked at";
	else if (!f->room)
		*why = "the disk has no room for a second archive";
	else
		return DAMAGE_RESCUE;
	return DAMAGE_REPORT;
}
