#include "supervisor/core/faults.h"
#include <assert.h>

void faults_done(struct faults *f, enum tr_role role, const struct fault *fault)
{
	assert(fault->owner != NULL);
	if (harm_kinds[fault->kind].lasts)
		f->of[role] = *fault;
	else
		faults_passed(f, role);
}

void faults_passed(struct faults *f, enum tr_role role)
{
	f->of[role].owner = NULL;
}

bool faults_take(struct faults *f, enum tr_role role, const void *owner, struct fault *out)
{
	const struct fault *at = &f->of[role];

	if (at->owner == NULL || (owner != NULL && at->owner != owner))
		return false;
	*out = *at;
	faults_passed(f, role);
	return true;
}
