/* The tribe of these directories: who answers, whose files they are, what systemd gives. */
#include "supervisor/ctl/doctor.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <jansson.h>
#include <msgpack.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define ANSWER_MS 2000

static void on_version(void *arg, const void *res)
{
	((struct doctor *)arg)->tribed = (pid_t)((const struct res_version *)res)->pid;
}

void doctor_tribe(struct doctor *d)
{
	struct msg_version msg = {.common = {.has_request_id = false}};
	unsigned listening = 0, denied = 0, dead = 0;
	struct tr_fault fault;
	int r;

	if (!d->c->timeout_given && d->c->timeout_ms > ANSWER_MS)
		d->c->timeout_ms = ANSWER_MS;
	for (int end = 0; end < CTL_NENDS; end++) {
		char path[CTL_PATH_MAX];

		ctl_socket_path(d->c, end, path);
		r = ctl_probe(path);
		listening += r == 0;
		denied += r == UV_EACCES || r == UV_EPERM;
		dead += r == UV_ECONNREFUSED;
	}
	r = ctl_call(d->c, MSG_version, &msg, on_version, d, &fault);
	if (r == 0)
		doctor_add(d, "tribe", "tribed", DOCTOR_OK, NULL, "answers, pid %d", (int)d->tribed);
	else
		doctor_add(d, "tribe", "tribed", listening > 0 && denied == 0 ? DOCTOR_FAIL : DOCTOR_WARN,
			   listening > 0 ? "it holds the sockets and does not answer"
					 : "no tribe runs here, or it is somebody else's; what only a running one "
					   "shows is missing below",
			   "%s", tr_strerror(r));
	if (listening == CTL_NENDS)
		doctor_add(d, "tribe", "sockets", DOCTOR_OK, NULL, "all %u listen", listening);
	else if (denied > 0)
		doctor_add(d, "tribe", "sockets", DOCTOR_WARN, "only their owner can use them",
			   "%u of %d are not for you", denied, CTL_NENDS);
	else if (listening > 0)
		doctor_add(d, "tribe", "sockets", DOCTOR_FAIL, "whoever asks the others is refused: restart tribed",
			   "%u of %d listen", listening, CTL_NENDS);
	else if (dead > 0)
		doctor_add(d, "tribe", "sockets", DOCTOR_WARN,
			   "left behind by a tribe that is gone; the next start replaces them", "nobody listens");
	else
		doctor_add(d, "tribe", "sockets", DOCTOR_WARN, "they are made at the start of a tribe",
			   "none in %.200s", d->c->paths.runtime);
}

static const char *name_of(uid_t uid, char out[64])
{
	const struct passwd *p = getpwuid(uid);

	if (p != NULL)
		(void)snprintf(out, 64, "%.60s", p->pw_name);
	else
		(void)snprintf(out, 64, "uid %u", (unsigned)uid);
	return out;
}

static void directory(struct doctor *d, const char *check, const char *path)
{
	enum doctor_level level;
	const char *why;
	struct stat st;
	char who[64];

	if (stat(path, &st) < 0) {
		doctor_add(d, "files", check, DOCTOR_WARN,
			   errno == ENOENT ? "it is made at the first start" : "it cannot be looked at by you",
			   "%.180s: %s", path, strerror(errno));
		return;
	}
	level = judge_directory(st.st_mode, st.st_uid, geteuid(), &why);
	doctor_add(d, "files", check, level, why, "%.150s, mode %04o, of %s", path, (unsigned)(st.st_mode & 07777),
		   name_of(st.st_uid, who));
}

static void archive(struct doctor *d)
{
	static const char name[] = "archive/current/thermal.sqlite";
	char path[CTL_PATH_MAX + 64], size[SHOW_SHORT];
	struct stat st;

	(void)snprintf(path, sizeof(path), "%s/%s", d->c->paths.state, name);
	if (d->c->cfg.archive_url[0] != '\0')
		return; /* somewhere else, and memory-jr's business */
	if (stat(path, &st) < 0) {
		doctor_add(d, "files", "archive", DOCTOR_WARN,
			   errno == ENOENT ? "it is made at the first start" : "it cannot be looked at by you", "%s",
			   strerror(errno));
		return;
	}
	show_bytes(size, (uint64_t)st.st_size);
	doctor_add(d, "files", "archive", (st.st_mode & 0066) != 0 ? DOCTOR_WARN : DOCTOR_OK,
		   "others may read or change memories: chmod 0600", "%s, mode %04o", size,
		   (unsigned)(st.st_mode & 07777));
}

void doctor_files(struct doctor *d)
{
	const struct group *g = getgrnam("tribe");

	directory(d, "state", d->c->paths.state);
	directory(d, "runtime", d->c->paths.runtime);
	archive(d);
	if (g != NULL)
		doctor_add(d, "files", "group tribe", DOCTOR_OK, NULL, "there, gid %u: its members may look",
			   (unsigned)g->gr_gid);
	else
		doctor_add(d, "files", "group tribe", DOCTOR_OK, NULL,
			   "not there: only tribed's own user and root may use tribectl");
	doctor_add(d, "files", "libraries", DOCTOR_OK, NULL, "libuv %s, msgpack-c %s, jansson %s", uv_version_string(),
		   msgpack_version(), jansson_version_str());
}

/* A variable of tribed's environment; false when there is none or it may not be read. */
static bool has_variable(pid_t pid, const char *name, bool *readable)
{
	char path[64], text[16384];
	size_t n, len = strlen(name);
	FILE *f;

	(void)snprintf(path, sizeof(path), "/proc/%d/environ", (int)pid);
	*readable = (f = fopen(path, "re")) != NULL;
	if (f == NULL)
		return false;
	n = fread(text, 1, sizeof(text) - 1, f);
	(void)fclose(f);
	text[n] = '\0';
	for (const char *p = text; p < text + n; p += strlen(p) + 1) {
		if (strncmp(p, name, len) == 0 && p[len] == '=')
			return true;
	}
	return false;
}

void doctor_systemd(struct doctor *d)
{
	static const char orphans[] =
		"a tribed that is killed takes its Jrs along: they finish and leave, and all starts anew";
	bool readable, again, notify, store;

	if (access("/run/systemd/system", F_OK) < 0)
		doctor_add(d, "systemd", "service manager", DOCTOR_WARN,
			   "nobody starts a tribed that is gone, or that hangs", "not systemd");
	else
		doctor_add(d, "systemd", "service manager", DOCTOR_OK, NULL, "systemd");
	if (d->tribed <= 0) {
		doctor_add(d, "systemd", "FD store", DOCTOR_WARN, orphans, "unknown: no tribed runs");
		return;
	}
	notify = has_variable(d->tribed, "NOTIFY_SOCKET", &readable);
	store = has_variable(d->tribed, "FDSTORE", &again);
	if (!readable)
		doctor_add(d, "systemd", "FD store", DOCTOR_WARN, orphans, "unknown: tribed is another user's");
	else if (store)
		doctor_add(d, "systemd", "FD store", DOCTOR_OK, NULL, "there");
	else
		doctor_add(d, "systemd", "FD store", DOCTOR_WARN, orphans, "%s",
			   notify ? "tribed may notify, but FDSTORE is not set (systemd before 254, or "
				    "FileDescriptorStoreMax=0)"
				  : "tribed runs outside systemd");
}
