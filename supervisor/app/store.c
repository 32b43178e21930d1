#include "supervisor/app/store.h"
#include "common/log/log.h"
#include "supervisor/app/notify.h"
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#define NAME_MAX_BYTES 64

static const char *const single_names[STORE_NSINGLES] = {
#define X(id, name, doc) name,
	STORE_SINGLES(X)
#undef X
};

/* ---- keeping ---- */

/* poll: systemd is to drop it when it hangs up. */
static void keep(const char *name, const int *fds, unsigned n, bool poll)
{
	char text[NAME_MAX_BYTES + 64];

	snprintf(text, sizeof(text), "FDSTORE=1\nFDNAME=%s%s", name, poll ? "" : "\nFDPOLL=0");
	if (getenv("NOTIFY_SOCKET") != NULL && !notify_send(text, fds, n))
		log_warn("the descriptor store does not take name=%s", name);
}

static void drop(const char *name)
{
	char text[NAME_MAX_BYTES + 64];

	snprintf(text, sizeof(text), "FDSTOREREMOVE=1\nFDNAME=%s", name);
	(void)notify_send(text, NULL, 0);
}

void store_keep_single(enum store_single id, int fd)
{
	keep(single_names[id], &fd, 1, false);
}

void store_keep_given(const char *digest)
{
	int fd;

	drop(single_names[STORE_GIVEN]);
	if ((fd = memfd_create("given", MFD_CLOEXEC)) < 0)
		return; /* unknown is as another one */
	if (write(fd, digest, strlen(digest)) == (ssize_t)strlen(digest))
		store_keep_single(STORE_GIVEN, fd);
	close(fd);
}

bool store_given_is(const struct store *s, const char *digest)
{
	char text[128];
	ssize_t n = s->single[STORE_GIVEN] < 0 ? -1 : pread(s->single[STORE_GIVEN], text, sizeof(text), 0);

	return n == (ssize_t)strlen(digest) && memcmp(text, digest, (size_t)n) == 0;
}

static void role_name(char out[NAME_MAX_BYTES], enum tr_role role, const char *what)
{
	snprintf(out, NAME_MAX_BYTES, "%s.%s", tr_roles[role].name, what);
}

void store_keep_role(enum tr_role role, int socket, int lead)
{
	char name[NAME_MAX_BYTES];

	role_name(name, role, "socket");
	keep(name, &socket, 1, false);
	role_name(name, role, "lead");
	keep(name, &lead, 1, false);
}

static void process_name(char out[NAME_MAX_BYTES], enum tr_role role, int slot, uint32_t generation)
{
	snprintf(out, NAME_MAX_BYTES, "%s.%d.%" PRIu32, tr_roles[role].name, slot, generation);
}

/* Both in one message: there is no moment at which half of it is kept. */
void store_keep_process(const struct store_process *p)
{
	char name[NAME_MAX_BYTES];

	if (p->pidfd < 0) /* an old kernel: it cannot be adopted, and leaves with its channel */
		return;
	process_name(name, p->role, p->slot, p->generation);
	keep(name, (const int[]){p->channel, p->pidfd}, 2, true);
}

void store_drop_process(enum tr_role role, int slot, uint32_t generation)
{
	char name[NAME_MAX_BYTES];

	process_name(name, role, slot, generation);
	drop(name);
}

void store_drop_all(void)
{
	char name[NAME_MAX_BYTES];

	for (int i = 0; i < STORE_NSINGLES; i++)
		drop(single_names[i]);
	for (int i = 0; i < TR_NROLES; i++) {
		role_name(name, (enum tr_role)i, "socket");
		drop(name);
		role_name(name, (enum tr_role)i, "lead");
		drop(name);
	}
}

/* ---- taking over ---- */

static bool put(int *at, int fd)
{
	if (*at >= 0)
		return false;
	*at = fd;
	return true;
}

static struct store_process *process_of(struct store *s, enum tr_role role, int slot, uint32_t generation)
{
	for (unsigned i = 0; i < s->n; i++)
		if (s->process[i].role == role && s->process[i].slot == slot && s->process[i].generation == generation)
			return &s->process[i];
	if (s->n == STORE_PROCESSES)
		return NULL;
	s->process[s->n] = (struct store_process){role, slot, generation, -1, -1};
	return &s->process[s->n++];
}

/* "ROLE.socket", "ROLE.lead" or "ROLE.SLOT.GENERATION". */
static bool put_of_role(struct store *s, enum tr_role role, const char *rest, int fd)
{
	struct store_process *p;
	uint32_t generation;
	int slot, end = -1;

	if (strcmp(rest, "socket") == 0)
		return put(&s->socket[role], fd);
	if (strcmp(rest, "lead") == 0)
		return put(&s->lead[role], fd);
	if (sscanf(rest, "%d.%" SCNu32 "%n", &slot, &generation, &end) != 2 || rest[end] != '\0' || slot < 0 ||
	    slot >= ROLE_SLOTS || (p = process_of(s, role, slot, generation)) == NULL)
		return false;
	return put(sd_is_socket(fd, AF_UNIX, SOCK_SEQPACKET, 0) > 0 ? &p->channel : &p->pidfd, fd);
}

static bool put_named(struct store *s, const char *name, int fd)
{
	const char *dot = strchr(name, '.');
	int role = dot == NULL ? -1 : tr_role_find(name, (size_t)(dot - name));

	for (int i = 0; i < STORE_NSINGLES; i++)
		if (strcmp(name, single_names[i]) == 0)
			return put(&s->single[i], fd);
	return role >= 0 && put_of_role(s, (enum tr_role)role, dot + 1, fd);
}

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static void drop_halves(struct store *s)
{
	unsigned kept = 0;

	for (unsigned i = 0; i < s->n; i++) {
		struct store_process *p = &s->process[i];

		if (p->channel >= 0 && p->pidfd >= 0) {
			s->process[kept++] = *p;
			continue;
		}
		close_fd(&p->channel);
		close_fd(&p->pidfd);
		store_drop_process(p->role, p->slot, p->generation);
	}
	s->n = kept;
}

static bool whole(const struct store *s)
{
	for (int i = 0; i < STORE_NSINGLES; i++)
		if (i != STORE_GIVEN && s->single[i] < 0)
			return false;
	for (int i = 0; i < TR_NROLES; i++)
		if (s->socket[i] < 0 || s->lead[i] < 0)
			return false;
	return true;
}

bool store_take(struct store *s)
{
	char **names = NULL;
	int n;

	memset(s, 0xff, sizeof(*s)); /* every descriptor -1 */
	s->n = 0;
	n = sd_listen_fds_with_names(1, &names);
	for (int i = 0; i < n; i++) {
		int fd = SD_LISTEN_FDS_START + i;

		(void)fcntl(fd, F_SETFD, FD_CLOEXEC);
		if (!put_named(s, names[i], fd))
			close(fd);
		free(names[i]);
	}
	free(names);
	drop_halves(s);
	return n > 0 && whole(s);
}

void store_close(struct store *s)
{
	for (int i = 0; i < STORE_NSINGLES; i++)
		close_fd(&s->single[i]);
	for (int i = 0; i < TR_NROLES; i++) {
		close_fd(&s->socket[i]);
		close_fd(&s->lead[i]);
	}
	for (unsigned i = 0; i < s->n; i++) {
		close_fd(&s->process[i].channel);
		close_fd(&s->process[i].pidfd);
	}
	s->n = 0;
}
