/* Reads whose answers may be large do not all go to memory-jr at once: what is on its way back holds up whatever comes
 * behind it, on its socket and on our loop. So many bytes may be on their way; the rest waits here, where it can still
 * be overtaken by what is smaller, and refused when it waits for too long. Pure. Its
 * clock stands still while nothing is answered: a Jr that is being replaced makes calls wait and refuses none.
 *
 * How large an answer will be nobody knows before; it is reckoned from how many rows are asked for and from how large
 * rows were lately. */
#ifndef JRS_EXECUTIVE_API_GATE_H
#define JRS_EXECUTIVE_API_GATE_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#define GATE_BYTES   (4u << 20) /* reckoned, of answers on their way */
#define GATE_MOST    24 /* of them at once: also if each is as large as can be, memory-jr's queue of 32 MiB holds them */
#define GATE_ANSWER  (1u << 20) /* about the most that memory-jr gives in one answer to a list */
#define GATE_ROW     4096       /* bytes of a row while none was seen; at least GATE_LEAST is reckoned for one */
#define GATE_LEAST   256
#define GATE_QUEUE   4096 /* more than that do not wait */
#define GATE_BYTE_MS 1024 /* so many bytes fewer are as good as having come a millisecond earlier */

struct gate_entry {
	TAILQ_ENTRY(gate_entry) link;
	size_t cost;
	uint64_t since_ms, turn; /* in the gate's time; turn: the least goes first */
};
struct gate {
	TAILQ_HEAD(gate_list, gate_entry) waiting; /* by turn */
	unsigned nwaiting, n;                      /* n: on their way */
	size_t bytes;                              /* of those */
	double row;
	uint64_t clock_ms;
	bool moves; /* something was answered since the last tick */
};
void gate_init(struct gate *g);
size_t gate_cost(const struct gate *g, uint32_t rows);
/* So large were they. */
void gate_learn(struct gate *g, uint32_t rows, size_t bytes);
/* Is there room for that much, and nobody before it? */
bool gate_open(const struct gate *g, size_t cost);
void gate_pass(struct gate *g, size_t cost);
void gate_back(struct gate *g, size_t cost, bool good); /* its answer is there; not good: or will not be */
/* So much time has passed. */
void gate_tick(struct gate *g, uint64_t ms);
/* Waits from now on. false: there would be no room within max_ms (0: however long it takes). */
bool gate_wait(struct gate *g, struct gate_entry *e, size_t cost, uint64_t max_ms);
/* The next that may go, taken out; NULL: none may yet. */
struct gate_entry *gate_next(struct gate *g);
/* One that has waited for max_ms, taken out; NULL: there is none. */
struct gate_entry *gate_late(struct gate *g, uint64_t max_ms);

#endif
