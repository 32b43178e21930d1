/* This process's part in who leads its role: the page, and a thread that does nothing but wait for its mutex. The mutex
 * is taken by the loop's thread alone (docs/adr/0016-takeover-model.md says why); the thread only wakes it. */
#ifndef JRS_KIT_LEAD_H
#define JRS_KIT_LEAD_H
#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

struct lead;
/* From the loop, once, for lead_begin() that said TR_EBUSY: this process leads now (r 0), since_ns is when the thread
 * knew that the mutex was free; or it never will (r < 0). */
typedef void lead_cb(void *arg, int r, uint64_t since_ns);

/* fd: of the page; stays the caller's. The page stays mapped as long as the process lives. */
int lead_open(struct lead **out, uv_loop_t *loop, int fd, uint32_t generation, lead_cb *cb, void *arg);
void lead_above(struct lead *l, uint64_t epoch); /* the epoch that is taken is above it */
/* 0: nobody led, this process does now. TR_EBUSY: cb comes later, and to it promotion allocates nothing. */
int lead_begin(struct lead *l);
void lead_stop(struct lead *l); /* waits no more; cb is not called any more */
bool lead_has(const struct lead *l);
uint64_t lead_epoch(const struct lead *l); /* 0: it never led */
void lead_give(struct lead *l);            /* leads no more; on the thread that took it */
void lead_close(struct lead **l); /* waits for nobody; NULL is fine. Handles close in later turns of the loop. */

#endif
