/* The page of a role, shared by tribed and the role's processes (a memfd that tribed makes): who holds `lead` leads. It
 * is a robust mutex, so the kernel takes it from the dead at once, before their memory is torn down, even while tribed
 * is stopped; from a stopped process never (tribed kills that first).
 *
 * The mutex belongs to the thread that answers: of a process that is killed each thread is taken apart by itself, and
 * another thread's mutex could be free while this one still writes an answer. exec gives it back, so it is taken after
 * that. Its mapping must last as long as the thread: nothing here unmaps it in a Jr. Measured and modelled:
 * docs/adr/0016-takeover-model.md, docs/adr/0017-understudies.md. */
#ifndef COMMON_LEAD_PAGE_H
#define COMMON_LEAD_PAGE_H
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

#define LEAD_PAGE_REV 1

struct lead_page {
	uint32_t rev, size; /* of this struct: who maps another's page refuses it */
	pthread_mutex_t lead;
	_Atomic uint64_t epoch;           /* of who took the mutex last: one more each time, 0 before the first */
	_Atomic uint32_t pid, generation; /* of the same, written before epoch */
};

/* tribed's: a fresh page. *fd is the caller's; 0 or < 0. */
int lead_page_new(int *fd, struct lead_page **page);
/* An inherited one. fd stays the caller's. TR_EPROTO: it is not such a page. */
int lead_page_map(int fd, struct lead_page **page);
void lead_page_unmap(struct lead_page **page); /* for who never took the mutex: tribed, tests */

/* Takes the mutex for the calling thread, or not (TR_EBUSY), without waiting. Then raises the epoch above both its own
 * and `above`, and says who leads. Allocates nothing. */
int lead_page_take(struct lead_page *page, uint64_t above, uint32_t pid, uint32_t generation, uint64_t *epoch);
/* Returns when nobody holds the mutex (it may be taken again by then). For a thread that does nothing else: it waits as
 * long as it takes. Raises nothing. 0 or < 0. */
int lead_page_wait(struct lead_page *page);
/* A lead that leaves in order; the same thread that took it. */
void lead_page_give(struct lead_page *page);
uint64_t lead_page_epoch(const struct lead_page *page);

#endif
