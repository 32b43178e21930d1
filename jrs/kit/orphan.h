/* What a Jr does when tribed dies, in one place. */
#ifndef JRS_KIT_ORPHAN_H
#define JRS_KIT_ORPHAN_H

#define ORPHAN_DRAIN_MS 2000 /* the loop finishes what is in flight, at most */
#define ORPHAN_HARD_MS  3000 /* a loop that does not even notice is ended */

struct orphan;
/* channel_fd: borrowed, for a copy of its own. Blocks no signal of the caller's thread. */
int orphan_watch(struct orphan **out, int channel_fd);
void orphan_unwatch(struct orphan **o); /* the program leaves by itself; NULL is fine */

#endif
