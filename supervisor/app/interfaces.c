#include "supervisor/app/interfaces.h"
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_addr.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define ENTRIES_MAX 1024 /* looked at */

struct list {
	char (*v)[INET6_ADDRSTRLEN]; /* ENTRIES_MAX of them */
	unsigned n;
};

bool interfaces_v4_counts(struct in_addr a)
{
	uint32_t n = ntohl(a.s_addr);

	return n != 0 && n >> 24 != 127 && n >> 16 != 0xa9fe;
}

bool interfaces_v6_counts(const char *line, struct in6_addr *out, char name[IF_NAMESIZE])
{
	unsigned scope, flags, byte;
	struct in6_addr a;
	char hex[33];

	_Static_assert(IF_NAMESIZE == 16, "the width below");
	if (sscanf(line, "%32s %*x %*x %x %x %15s", hex, &scope, &flags, name) != 4 ||
	    strspn(hex, "0123456789abcdef") != 32)
		return false;
	for (int i = 0; i < 16; i++) {
		if (sscanf(hex + 2 * i, "%2x", &byte) != 1)
			return false;
		a.s6_addr[i] = (uint8_t)byte;
	}
	if (scope != 0 || (flags & (IFA_F_TEMPORARY | IFA_F_DEPRECATED | IFA_F_DADFAILED)) != 0)
		return false;
	*out = a;
	return true;
}

static bool is_up(int fd, const char *name)
{
	struct ifreq r = {0};

	memcpy(r.ifr_name, name, strnlen(name, sizeof(r.ifr_name) - 1));
	return ioctl(fd, SIOCGIFFLAGS, &r) == 0 && (r.ifr_flags & IFF_UP) != 0;
}

static void add(struct list *l, int family, const void *address)
{
	if (l->n < ENTRIES_MAX && inet_ntop(family, address, l->v[l->n], INET6_ADDRSTRLEN) != NULL)
		l->n++;
}

static int list_v4(int fd, struct list *l)
{
	struct ifreq *v = calloc(ENTRIES_MAX, sizeof(*v));
	struct ifconf c = {.ifc_len = (int)(ENTRIES_MAX * sizeof(*v)), .ifc_req = v};
	int r = v == NULL ? -ENOMEM : ioctl(fd, SIOCGIFCONF, &c) < 0 ? -errno : 0;

	for (size_t i = 0; r == 0 && i < (size_t)c.ifc_len / sizeof(*v); i++) {
		const struct sockaddr_in *at = (const struct sockaddr_in *)(const void *)&v[i].ifr_addr;

		if (at->sin_family == AF_INET && interfaces_v4_counts(at->sin_addr) && is_up(fd, v[i].ifr_name))
			add(l, AF_INET, &at->sin_addr);
	}
	free(v);
	return r;
}

static int list_v6(int fd, struct list *l)
{
	FILE *f = fopen("/proc/net/if_inet6", "re");
	char line[160], name[IF_NAMESIZE];
	struct in6_addr a;

	if (f == NULL)
		return errno == ENOENT ? 0 : -errno; /* a kernel without IPv6 */
	while (fgets(line, sizeof(line), f) != NULL)
		if (interfaces_v6_counts(line, &a, name) && is_up(fd, name))
			add(l, AF_INET6, &a);
	fclose(f);
	return 0;
}

static int compare(const void *a, const void *b)
{
	bool six_a = strchr(a, ':') != NULL, six_b = strchr(b, ':') != NULL;

	return six_a != six_b ? six_a - six_b : strcmp(a, b);
}

int interfaces_list(struct interfaces *out, bool v6)
{
	struct list l = {.v = calloc(ENTRIES_MAX, sizeof(*l.v))};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), r;

	if (fd < 0 || l.v == NULL) {
		r = fd < 0 ? -errno : -ENOMEM;
		goto out;
	}
	if ((r = list_v4(fd, &l)) < 0 || (v6 && (r = list_v6(fd, &l)) < 0))
		goto out;
	qsort(l.v, l.n, sizeof(*l.v), compare);
	*out = (struct interfaces){.n = 0};
	for (unsigned i = 0; i < l.n && out->n < INTERFACES_MAX; i++)
		if (i == 0 || strcmp(l.v[i], l.v[i - 1]) != 0)
			memcpy(out->text[out->n++], l.v[i], INET6_ADDRSTRLEN);
out:
	if (fd >= 0)
		close(fd);
	free(l.v);
	return r;
}
