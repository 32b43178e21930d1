/* One question on a connection of its own, tried again at once: the same for the tribe and for its peers. Kinds:
 *   worker     a byte to a Unix socket, its pid comes back (peer_worker)
 *   nginx      GET / on a Unix socket, the body is its pid
 *   status     GET /api/v1/status on port ADDRESS of 127.0.0.1: the executive Jr's pid. tribed tells it, and knows the
 * new one only when the old one is reaped, so the new pid came through the new process a role     jr.ping and the
 * role's own question on its Unix socket, both answered well */
#ifndef TESTS_BENCH_ONESHOT_H
#define TESTS_BENCH_ONESHOT_H
#include <msgpack.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <sys/un.h>

#define ONESHOT_AGAIN_NS   20000 /* after a refusal */
#define ONESHOT_GIVE_UP_NS 30000000000

/* 0: not all here yet, -1: not a good answer, else the pid of who answered. closed: no more will come. */
typedef long oneshot_read_fn(const char *p, size_t n, bool closed);

struct oneshot {
	union {
		struct sockaddr any;
		struct sockaddr_un un;
		struct sockaddr_in in;
	} a;
	socklen_t len;
	msgpack_sbuffer request; /* the caller destroys it */
	oneshot_read_fn *read;
};
struct oneshot_counts {
	unsigned refused, failed; /* connections; failed: closed early, or a bad answer */
};

void oneshot_aim(struct oneshot *t, const char *kind, const char *address);
/* The pid of who answers, -1 when nobody did well. */
long oneshot_try(const struct oneshot *t, struct oneshot_counts *c);
/* Until somebody other than `not` answers well; his pid. */
long oneshot_until(const struct oneshot *t, long not, struct oneshot_counts *c);

#endif
