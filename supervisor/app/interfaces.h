/* The addresses by which others may reach this machine. By the older ioctl and /proc/net/if_inet6, not by getifaddrs():
 * that one wants AF_NETLINK, which the unit file denies to tribed and to the Jrs it starts, and does not tell which
 * IPv6 addresses are temporary. */
#ifndef SUPERVISOR_APP_INTERFACES_H
#define SUPERVISOR_APP_INTERFACES_H
#include <net/if.h>
#include <netinet/in.h>
#include <stdbool.h>

#define INTERFACES_MAX 64 /* addresses; of more the first in order, so that two looks see the same */
struct interfaces {
	char text[INTERFACES_MAX][INET6_ADDRSTRLEN]; /* IPv4 first, sorted, each once */
	unsigned n;
};

/* Of interfaces that are up; IPv6 ones too when v6. A negative errno when the kernel does not tell. */
int interfaces_list(struct interfaces *out, bool v6);

/* ---- parts of it, pure ---- */
/* Neither loopback nor link-local (169.254/16) nor the wildcard. */
bool interfaces_v4_counts(struct in_addr a);
/* One line of /proc/net/if_inet6. True: an address of global scope (also fd00::/8) that will stay: no link-local one,
 * which nobody can call without a zone; no temporary one, of which there is another tomorrow; no deprecated or
 * duplicate one. */
bool interfaces_v6_counts(const char *line, struct in6_addr *out, char name[IF_NAMESIZE]);

#endif
