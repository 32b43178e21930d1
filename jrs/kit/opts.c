/* How a Jr learns who it is: flags for a person, inherited descriptors and environment from tribed. */
#include "common/base/text.h"
#include "common/base/version.h"
#include "jrs/kit/jr.h"
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define CONFIG_MAX (1u << 20) /* bytes of the configuration tribed hands over */

static const struct tr_library *libraries;
static size_t nlibraries;

void jr_libraries(const struct tr_library *libs, size_t n)
{
	libraries = libs;
	nlibraries = n;
}

/* ---- a person at the keyboard ---- */

struct flags {
	bool check;
	const char *config, *state, *runtime, *dev;
	struct tr_config cfg;
	struct cfg_origins origins;
	int nset;
	char *const *argv;
};

enum { F_CONFIG = 256, F_STATE, F_RUNTIME, F_DEV, F_SET };
static const struct option options[] = {
	{"config", required_argument, NULL, F_CONFIG},
	{"state", required_argument, NULL, F_STATE},
	{"runtime", required_argument, NULL, F_RUNTIME},
	{"dev", required_argument, NULL, F_DEV},
	{"set", required_argument, NULL, F_SET},
	{"check", no_argument, NULL, 'n'},
	{"version", no_argument, NULL, 'V'},
	{"help", no_argument, NULL, 'h'},
	{NULL, 0, NULL, 0},
};

static void print_version(const char *program)
{
	tr_version_print(program, libraries, nlibraries);
}

static void print_help(const char *program)
{
	printf("%s is one of the workers of a tribe. It is started by tribed.\n"
	       "\n"
	       "  -n, --check        check the configuration and leave: 0 if it is right, 2 if not\n"
	       "      --config FILE  what --check reads; --set KEY=VALUE on top of it\n"
	       "      --state DIR, --runtime DIR, --dev DIR  as for tribed\n"
	       "  -V, --version      version, build id and libraries\n"
	       "  -h, --help         this\n",
	       program);
}

/* Two rounds, since the file comes before what --set puts on top of it. */
static int check_config(struct flags *f, int argc, char **argv)
{
	struct tr_paths paths;
	struct cfg_error err;
	int c, r;

	cfg_defaults(&f->cfg, &f->origins);
	r = cfg_paths(&paths, f->dev, f->state, f->runtime, f->config, &err);
	if (r == 0 && paths.config[0] != '\0')
		r = cfg_load_file(&f->cfg, &f->origins, paths.config, &err);
	optind = 1;
	while (r == 0 && (c = getopt_long(argc, argv, "nVh", options, NULL)) != -1) {
		if (c == F_SET)
			r = cfg_set(&f->cfg, &f->origins, optarg, &err);
	}
	if (r == 0)
		r = cfg_check(&f->cfg, &err);
	if (r < 0) {
		(void)fprintf(stderr, "%s\n", err.text);
		return TR_ECONFIG;
	}
	printf("configuration ok\n");
	return 1;
}

/* 0: nothing asked for; 1: done; TR_ECONFIG. */
static int parse_flags(const char *program, int argc, char **argv)
{
	struct flags f = {0};
	int c;

	optind = 1;
	while ((c = getopt_long(argc, argv, "nVh", options, NULL)) != -1) {
		switch (c) {
		case 'V':
			print_version(program);
			return 1;
		case 'h':
			print_help(program);
			return 1;
		case 'n':
			f.check = true;
			break;
		case F_CONFIG:
			f.config = optarg;
			break;
		case F_STATE:
			f.state = optarg;
			break;
		case F_RUNTIME:
			f.runtime = optarg;
			break;
		case F_DEV:
			f.dev = optarg;
			break;
		case F_SET:
			break;
		default:
			return TR_ECONFIG; /* getopt has said what */
		}
	}
	if (optind < argc) {
		(void)fprintf(stderr, "%s: takes no arguments\n", program);
		return TR_ECONFIG;
	}
	return f.check ? check_config(&f, argc, argv) : 0;
}

/* ---- what tribed hands over ---- */

static int broken(const char *program, const char *what)
{
	(void)fprintf(stderr, "%s: handed over by tribed: %s\n", program, what);
	return TR_ECONFIG;
}

struct inherited {
	const char *name;
	int *fd;
	int family, type, listening; /* -1 type: no socket */
};

/* As sd_is_socket(3). */
static bool is_socket(int fd, int family, int type, int listening)
{
	int has_type = 0, accepts = 0;
	struct sockaddr_storage at = {0};
	socklen_t n = sizeof(int), m = sizeof(at);

	if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &has_type, &n) < 0 || has_type != type ||
	    getsockname(fd, (struct sockaddr *)&at, &m) < 0 || (family != AF_UNSPEC && at.ss_family != family))
		return false;
	n = sizeof(int);
	return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &accepts, &n) == 0 && (accepts != 0) == (listening != 0);
}

static int keep(const char *program, const struct inherited *table, size_t n, const char *name, int fd)
{
	for (size_t i = 0; i < n; i++) {
		const struct inherited *e = &table[i];

		if (strcmp(name, e->name) != 0)
			continue;
		if (*e->fd >= 0)
			return broken(program, "the same descriptor twice");
		if (e->type >= 0 && !is_socket(fd, e->family, e->type, e->listening))
			return broken(program, "a descriptor of the wrong kind");
		*e->fd = fd;
		return 0;
	}
	(void)close(fd); /* from a newer tribed */
	return 0;
}

static int number_from(const char *variable, int64_t max, int64_t *out)
{
	const char *v = getenv(variable);

	return v == NULL ? TR_ECONFIG : tr_parse_i64(v, 0, max, out);
}

/* As sd_listen_fds_with_names(3), which would have libsystemd and six more libraries loaded at each start. names:
 * parted by colons, one for each; "" without any. How many, or TR_EINVAL. The environment is not told on. */
#define FDS_START 3
#define FDS_MAX   64
static int handed_over(char names[1024])
{
	const char *list = getenv("LISTEN_FDNAMES");
	int64_t pid = 0, n = 0;
	int r = 0;

	names[0] = '\0';
	if (getenv("LISTEN_PID") != NULL) {
		if (number_from("LISTEN_PID", INT32_MAX, &pid) < 0 || number_from("LISTEN_FDS", FDS_MAX, &n) < 0 ||
		    list == NULL || strlen(list) >= 1024)
			r = TR_EINVAL;
		else if (pid == getpid())
			r = (int)n;
		if (r > 0)
			memcpy(names, list, strlen(list) + 1);
	}
	for (int i = 0; i < r; i++)
		if (fcntl(FDS_START + i, F_SETFD, FD_CLOEXEC) < 0)
			r = TR_EINVAL;
	(void)unsetenv("LISTEN_PID");
	(void)unsetenv("LISTEN_FDS");
	(void)unsetenv("LISTEN_FDNAMES");
	return r;
}

static int take_fds(struct jr_opts *o, const char *program, int *config_fd)
{
	const struct inherited table[] = {
		{"channel", &o->channel_fd, AF_UNIX, SOCK_SEQPACKET, 0},
		{"socket", &o->socket_fd, AF_UNIX, SOCK_STREAM, 1},
		{"lead", &o->lead_fd, AF_UNSPEC, -1, -1},
		{"http", &o->http_fd, AF_UNSPEC, SOCK_STREAM, 1},
		{"lock", &o->lock_fd, AF_UNSPEC, -1, -1},
		{"certificate", &o->certificate_fd, AF_UNSPEC, -1, -1},
		{"private_key", &o->private_key_fd, AF_UNSPEC, -1, -1},
		{"client_ca", &o->client_ca_fd, AF_UNSPEC, -1, -1},
		{"token_hash", &o->token_hash_fd, AF_UNSPEC, -1, -1},
		{"config", config_fd, AF_UNSPEC, -1, -1},
	};
	char names[1024], *name, *rest = names;
	int n = handed_over(names), r = 0;

	if (n < 0)
		return broken(program, "LISTEN_FDS cannot be understood");
	for (int i = 0; i < n; i++) {
		if ((name = strsep(&rest, ":")) == NULL)
			return broken(program, "LISTEN_FDS cannot be understood");
		if (r == 0)
			r = keep(program, table, sizeof(table) / sizeof(table[0]), name, FDS_START + i);
	}
	if (r == 0 && o->channel_fd < 0) {
		(void)fprintf(stderr, "%s is started by tribed; run `tribed` instead\n", program);
		return TR_ECONFIG; /* a question of usage: exit status 2 */
	}
	if (r == 0 && (o->socket_fd < 0 || *config_fd < 0 || o->lead_fd < 0))
		return broken(program, "socket, config or lead is missing");
	return r;
}

static int path_from(const char *variable, char out[4096])
{
	const char *v = getenv(variable);
	size_t n = v == NULL ? 0 : strlen(v);

	if (n == 0 || n >= 4096 || v[0] != '/')
		return TR_ECONFIG;
	memcpy(out, v, n + 1);
	return 0;
}

static int take_environment(struct jr_opts *o, const char *program)
{
	int64_t generation;

	if (number_from("TRIBE_GENERATION", UINT32_MAX, &generation) < 0)
		return broken(program, "TRIBE_GENERATION is no number");
	if (path_from("TRIBE_STATE", o->state) < 0 || path_from("TRIBE_RUNTIME", o->runtime) < 0)
		return broken(program, "TRIBE_STATE or TRIBE_RUNTIME is no absolute path");
	o->generation = (uint32_t)generation;
	return 0;
}

static int take_config(struct jr_opts *o, const char *program, int fd)
{
	struct cfg_origins origins;
	struct cfg_error err;
	struct stat st;
	size_t n, at = 0;
	char *text;
	int r;

	if (fstat(fd, &st) < 0 || st.st_size < 0 || (size_t)st.st_size > CONFIG_MAX)
		return broken(program, "the configuration is too large");
	n = (size_t)st.st_size;
	text = malloc(n + 1);
	if (text == NULL)
		return TR_ENOMEM;
	while (at < n) { /* by position: the file's own one is shared with tribed */
		ssize_t got = pread(fd, text + at, n - at, (off_t)at);

		if (got <= 0 && errno != EINTR)
			break;
		at += got > 0 ? (size_t)got : 0;
	}
	cfg_defaults(&o->cfg, &origins);
	r = at < n ? broken(program, "the configuration cannot be read") : 0;
	if (r == 0 &&
	    ((r = cfg_load_text(&o->cfg, &origins, text, n, "config", &err)) < 0 || (r = cfg_check(&o->cfg, &err)) < 0))
		(void)fprintf(stderr, "%s: %s\n", program, err.text);
	free(text);
	return r;
}

static void close_fd(int *fd)
{
	if (*fd >= 0)
		(void)close(*fd);
	*fd = -1;
}

void jr_opts_close(struct jr_opts *o)
{
	close_fd(&o->channel_fd);
	close_fd(&o->socket_fd);
	close_fd(&o->lead_fd);
	close_fd(&o->http_fd);
	close_fd(&o->lock_fd);
	close_fd(&o->certificate_fd);
	close_fd(&o->private_key_fd);
	close_fd(&o->client_ca_fd);
	close_fd(&o->token_hash_fd);
}

int jr_opts_parse(struct jr_opts *opts, enum tr_role role, int argc, char **argv)
{
	const char *program = tr_roles[role].program;
	struct jr_opts o = {.role = role,
			    .channel_fd = -1,
			    .socket_fd = -1,
			    .lead_fd = -1,
			    .http_fd = -1,
			    .lock_fd = -1,
			    .certificate_fd = -1,
			    .private_key_fd = -1,
			    .client_ca_fd = -1,
			    .token_hash_fd = -1};
	int config_fd = -1, r;

	if ((r = parse_flags(program, argc, argv)) != 0)
		return r;
	if ((r = take_fds(&o, program, &config_fd)) == 0 && (r = take_environment(&o, program)) == 0)
		r = take_config(&o, program, config_fd);
	close_fd(&config_fd);
	if (r < 0) {
		jr_opts_close(&o);
		return r;
	}
	*opts = o;
	return 0;
}
