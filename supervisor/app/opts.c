#include "supervisor/app/opts.h"
#include "common/base/version.h"
#include <errno.h>
#include <getopt.h>
#include <msgpack.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uv.h>

#define USAGE                                                                                                   \
	"usage: tribed [--dev DIR | --state DIR --runtime DIR] [--config FILE] [--set KEY=VALUE]... [--detach]" \
	" [-n] [-V] [-h]\n"

struct raw {
	const char *dev, *state, *runtime, *config;
	bool check;
};

static void help(void)
{
	struct cfg_setting s;

	printf(USAGE "\n"
		     "The supervisor of the tribe: holds its sockets and keeps the four Jrs alive.\n\n"
		     "  --dev DIR         keep everything below DIR (DIR/state, DIR/run), for a user without root\n"
		     "  --state DIR       data (default $STATE_DIRECTORY, else /var/lib/tribe)\n"
		     "  --runtime DIR     sockets (default $RUNTIME_DIRECTORY, else /run/tribe)\n"
		     "  --config FILE     YAML (default DIR/tribe.yaml or /etc/tribe/tribe.yaml if it is there)\n"
		     "  --set KEY=VALUE   overrides a setting; may be repeated\n"
		     "  --detach          go into the background; returns once every Jr is up\n"
		     "  -n, --check       check the configuration and leave: 0 good, 2 not\n"
		     "  -V, --version     version, build id and libraries\n"
		     "  -h, --help        this\n\nSettings:\n");
	for (unsigned i = 0; cfg_setting_at(i, &s); i++)
		printf("  %-24s %s (default %s)\n", s.key, s.doc, s.def[0] == '\0' ? "empty" : s.def);
}

static void version(void)
{
	tr_version_print("tribed", NULL, 0);
}

/* 0, 1 (said all) or TR_ECONFIG (getopt or we said what is wrong). */
static int read_flags(struct raw *raw, struct app_opts *o, int argc, char **argv)
{
	enum { DEV = 256, STATE, RUNTIME, CONFIG, SET, DETACH };
	static const struct option longs[] = {
		{"dev", required_argument, NULL, DEV},
		{"state", required_argument, NULL, STATE},
		{"runtime", required_argument, NULL, RUNTIME},
		{"config", required_argument, NULL, CONFIG},
		{"set", required_argument, NULL, SET},
		{"detach", no_argument, NULL, DETACH},
		{"check", no_argument, NULL, 'n'},
		{"version", no_argument, NULL, 'V'},
		{"help", no_argument, NULL, 'h'},
		{NULL, 0, NULL, 0},
	};
	int c;

	while ((c = getopt_long(argc, argv, "nVh", longs, NULL)) != -1) {
		switch (c) {
		case DEV:
			raw->dev = optarg;
			break;
		case STATE:
			raw->state = optarg;
			break;
		case RUNTIME:
			raw->runtime = optarg;
			break;
		case CONFIG:
			raw->config = optarg;
			break;
		case SET:
			o->set[o->nset++] = optarg;
			break;
		case DETACH:
			o->detach = true;
			break;
		case 'n':
			raw->check = true;
			break;
		case 'V':
			version();
			return 1;
		case 'h':
			help();
			return 1;
		default:
			fputs(USAGE, stderr);
			return TR_ECONFIG;
		}
	}
	if (optind < argc) {
		fprintf(stderr, "tribed: %s: takes no such argument\n" USAGE, argv[optind]);
		return TR_ECONFIG;
	}
	return 0;
}

int app_opts_reread(const struct app_opts *o, struct tr_config *cfg, struct cfg_origins *origins, struct cfg_error *err)
{
	const char *file = o->paths.config_place;
	int r;

	cfg_defaults(cfg, origins);
	if ((o->config_given || access(file, F_OK) == 0) && (r = cfg_load_file(cfg, origins, file, err)) < 0)
		return r;
	for (int i = 0; i < o->nset; i++)
		if ((r = cfg_set(cfg, origins, o->set[i], err)) < 0)
			return r;
	return cfg_check_at(cfg, origins, err);
}

static int read_config(const struct raw *raw, struct app_opts *o, struct cfg_error *err)
{
	int r;

	o->config_given = raw->config != NULL;
	o->dev = raw->dev != NULL;
	if ((r = cfg_paths(&o->paths, raw->dev, raw->state, raw->runtime, raw->config, err)) < 0)
		return r;
	if ((r = app_opts_reread(o, &o->cfg, &o->origins, err)) < 0)
		return r;
	return cfg_check_places(&o->cfg, &o->origins, o->paths.state, err);
}

int app_opts_parse(struct app_opts *o, int argc, char **argv)
{
	struct raw raw = {.check = false};
	struct cfg_error err;
	int r;

	memset(o, 0, sizeof(*o));
	o->set = calloc((size_t)argc + 1, sizeof(*o->set)); /* never more of them than words */
	if (o->set == NULL)
		return TR_ENOMEM;
	if ((r = read_flags(&raw, o, argc, argv)) != 0)
		return r;
	if ((r = read_config(&raw, o, &err)) < 0) {
		fprintf(stderr, "%s\n", err.text);
		return r;
	}
	if (raw.check) {
		puts("the configuration is good");
		r = 1;
	}
	return r;
}

/* mkdir -p: parents as the umask says, the last one 0700. One that is there stays as it is. */
static int make_dir(const char *path)
{
	char part[4096];
	size_t n = strlen(path);
	struct stat st;

	if (n >= sizeof(part))
		return -ENAMETOOLONG;
	for (size_t i = 1; i < n; i++) {
		if (path[i] != '/')
			continue;
		memcpy(part, path, i);
		part[i] = '\0';
		if (mkdir(part, 0755) < 0 && errno != EEXIST && errno != EROFS && errno != EACCES)
			return -errno;
	}
	if (mkdir(path, 0700) == 0)
		return 0;
	if (errno != EEXIST && errno != EROFS && errno != EACCES)
		return -errno;
	if (stat(path, &st) < 0)
		return -errno;
	return S_ISDIR(st.st_mode) ? 0 : -ENOTDIR;
}

int app_dirs_make(const struct app_opts *o, char *why, size_t size)
{
	const char *const dirs[] = {o->paths.state, o->paths.runtime};

	for (int i = 0; i < 2; i++) {
		int r = make_dir(dirs[i]);

		if (r < 0) {
			snprintf(why, size, "%s: cannot be made: %s", dirs[i], tr_strerror(r));
			return r;
		}
	}
	return 0;
}
