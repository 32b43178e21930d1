/* What drills did to the Jrs, what of it lasts until somebody ends it, and who is to end it: at most one lasting fault
 * of each Jr. Pure: no process, signal or connection; an owner is only ever compared. */
#ifndef SUPERVISOR_CORE_FAULTS_H
#define SUPERVISOR_CORE_FAULTS_H
#include "common/base/harms.h"
#include "common/base/roles.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct fault {
	enum harm_kind kind;
	uint32_t pid, generation; /* of the process that was hit */
	const void *owner;        /* ends it at the latest when it goes; never NULL */
};
struct faults {
	struct fault of[TR_NROLES]; /* owner NULL: none */
};

/* It was done to that Jr. One that does not last ends what lasted (a killed process hangs no more); one that lasts is
 * the latest owner's. */
void faults_done(struct faults *f, enum tr_role role, const struct fault *fault);
/* Its process is gone, or is being killed: nothing is left to heal. */
void faults_passed(struct faults *f, enum tr_role role);
/* Takes what lasts on that Jr out of the book: the owner's, or anybody's for NULL. False: there is none. */
bool faults_take(struct faults *f, enum tr_role role, const void *owner, struct fault *out);

#endif
