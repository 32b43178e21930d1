/* Reads tribed's events every few seconds and writes into the decision log what they say about roles: given up, healed.
 * Nobody else does: executive-jr knows them too. */
#ifndef JRS_META_ROLES_H
#define JRS_META_ROLES_H
#include "jrs/kit/decided.h"
#include "jrs/kit/jr.h"

struct roles;
int roles_new(struct roles **out, struct jr *jr, struct decided *decided);
void roles_start(struct roles *r); /* once this process leads */
void roles_free(struct roles **r); /* when jr_run() has returned: no question is out any more */

#endif
