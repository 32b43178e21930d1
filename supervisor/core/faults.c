#include "supervisor/core/faults.h"
#include <assert.h>
#include <string.h>

const char *const fault_words[FAULT_NKINDS] = {
#define X(id, word, lasts, doc) word,
	FAULT_KINDS(X)
#undef X
};

static const bool lasting[FAULT_NKINDS] = {
#define X(id, word, lasts, doc) lasts,
	FAULT_KINDS(X)
#undef X
};

int fault_find(const char *p, size_t n)
{
	for (int i = 0; i < FAULT_NKINDS; i++)
		if (strlen(fault_words[i]) == n && memcmp(fault_words[i], p, n) == 0)
			return i;
	return -1;
}

void faults_done(struct faults *f, enum tr_role role, const struct fault *fault)
{
	assert(fault->owner != NULL);
	if (lasting[fault->kind])
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
