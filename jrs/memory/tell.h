/* Who changes the tokens of the API hears whether executive-jr goes by the new ones. */
#ifndef JRS_MEMORY_TELL_H
#define JRS_MEMORY_TELL_H
#include "jrs/kit/jr.h"

bool told_of(enum wire_msg_id id); /* executive-jr is to be told when that was done */
/* Tells executive-jr, answers the call with res (its own, of that message; in_force is filled in), then calls done,
 * perhaps from inside. */
void tell(struct jr *jr, struct chan_call *call, void *res, void (*done)(void *arg), void *arg);

#endif
