/* A tribed for one that was killed: goes on with its locks, sockets and Jrs, which the service manager's descriptor
 * store kept (store.h). On the loop's thread. */
#ifndef SUPERVISOR_APP_ADOPT_H
#define SUPERVISOR_APP_ADOPT_H
#include "supervisor/app/tribe.h"

/* First of all: locks and sockets of before. False: there are none, or not all, or another tribe's; then the tribe
 * begins anew, and Jrs that live still leave with their channels. */
bool adopt_base(struct tribe *t);
/* After adopt_base(), before any Jr is started: those that live on. Who was given something else is replaced. */
void adopt_jrs(struct tribe *t);
/* Without adopt_base(), when everything stands: for the next tribed, should this one die. */
void adopt_keep(struct tribe *t);
void adopt_given(struct tribe *t); /* what Jrs are given is another from now on */

#endif
