/* systemd's file descriptor store: what a tribed needs to go on with the Jrs of one that died. Whatever of it is made
 * is kept there at once, and dropped there when it is gone; systemd itself drops what it sees hung up. Without a
 * service manager ($NOTIFY_SOCKET) keeping is a no-op, and a channel ends with its tribed.
 *
 * Names: those of STORE_SINGLES, "ROLE.socket" and "ROLE.lead" (the role's page), and "ROLE.SLOT.GENERATION" for the
 * two of a process: its channel and its pidfd. */
#ifndef SUPERVISOR_APP_STORE_H
#define SUPERVISOR_APP_STORE_H
#include "common/base/roles.h"
#include "supervisor/core/role.h"
#include <stdbool.h>
#include <stdint.h>

#define STORE_SINGLES(X)                                                 \
	X(CONTROL, "control", "the listening control.sock")              \
	X(HTTP, "http", "the listening TCP socket")                      \
	X(STATE_LOCK, "state-lock", "lock of the state directory")       \
	X(RUNTIME_LOCK, "runtime-lock", "lock of the runtime directory") \
	X(GIVEN, "given", "a digest of what the Jrs were given to go by")
enum store_single {
#define X(id, name, doc) STORE_##id,
	STORE_SINGLES(X) STORE_NSINGLES
#undef X
};

#define STORE_PROCESSES (TR_NROLES * ROLE_SLOTS)

struct store_process {
	enum tr_role role;
	int slot;
	uint32_t generation;
	int channel, pidfd;
};
/* Every descriptor is the holder's to take (leaving -1) or to close with store_close(). */
struct store {
	int single[STORE_NSINGLES];
	int socket[TR_NROLES], lead[TR_NROLES];
	struct store_process process[STORE_PROCESSES];
	unsigned n;
};

/* What the service manager hands over: first of all, once. Strangers and halves are closed. True: everything is there
 * that a tribe had before its first Jr (STORE_GIVEN aside), so that its Jrs may be adopted. */
bool store_take(struct store *s);
void store_close(struct store *s);

void store_keep_single(enum store_single id, int fd);
/* In the place of what was kept before. */
void store_keep_given(const char *digest);
bool store_given_is(const struct store *s, const char *digest);
void store_keep_role(enum tr_role role, int socket, int lead);
void store_keep_process(const struct store_process *p);
void store_drop_process(enum tr_role role, int slot, uint32_t generation);
void store_drop_all(void); /* an ordered end: the next tribe begins anew; processes are dropped one by one */

#endif
