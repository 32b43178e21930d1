#include "common/config/rules.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PATH_BYTES      4096
#define SOCKET_PATH_MAX 107 /* bytes of sun_path without its NUL */

/* "dir/" + name with one slash between. */
static void put(struct buf *b, const char *name)
{
	if (b->len > 0 && b->p[b->len - 1] != '/')
		(void)buf_puts(b, "/");
	(void)buf_puts(b, name);
}

/* base, or base/name when name is not NULL, absolute and without a trailing slash. */
static int join(char out[PATH_BYTES], const char *flag, const char *base, const char *name, struct cfg_error *err)
{
	struct buf b = {.max = PATH_BYTES - 1};
	char cwd[PATH_BYTES];
	int r = 0;

	if (base[0] == '\0')
		return cfg_fail(err, flag, 0, NULL, 0, "must not be empty");
	if (base[0] != '/') {
		if (getcwd(cwd, sizeof(cwd)) == NULL)
			return cfg_fail(err, flag, 0, NULL, 0, "working directory: %s", tr_strerror(-errno));
		(void)buf_puts(&b, cwd);
		put(&b, base);
	} else {
		(void)buf_puts(&b, base);
	}
	if (name != NULL)
		put(&b, name);
	if (b.failed != 0) {
		r = cfg_fail(err, flag, 0, NULL, 0, "must be shorter than %d bytes", PATH_BYTES);
		goto out;
	}
	while (b.len > 1 && b.p[b.len - 1] == '/')
		b.len--;
	memcpy(out, b.p, b.len);
	out[b.len] = '\0';
out:
	buf_free(&b);
	return r;
}

/* systemd may list several directories; the first is ours. */
static int from_environment(char out[PATH_BYTES], const char *variable, const char *fallback, struct cfg_error *err)
{
	const char *value = getenv(variable);
	char first[PATH_BYTES];
	size_t n;

	if (value == NULL || value[0] == '\0')
		return join(out, variable, fallback, NULL, err);
	n = strcspn(value, ":");
	if (n >= sizeof(first))
		return cfg_fail(err, variable, 0, NULL, 0, "must be shorter than %d bytes", PATH_BYTES);
	memcpy(first, value, n);
	first[n] = '\0';
	return join(out, variable, first, NULL, err);
}

static int directory(char out[PATH_BYTES], const char *flag, const char *given, const char *dev, const char *below,
		     const char *variable, const char *fallback, struct cfg_error *err)
{
	if (given != NULL)
		return join(out, flag, given, NULL, err);
	if (dev != NULL)
		return join(out, "--dev", dev, below, err);
	return from_environment(out, variable, fallback, err);
}

static int config_file(char out[PATH_BYTES], const char *given, const char *dev, struct cfg_error *err)
{
	int r;

	if (given != NULL)
		return join(out, "--config", given, NULL, err);
	if (dev != NULL)
		r = join(out, "--dev", dev, "tribe.yaml", err);
	else
		r = join(out, "--config", "/etc/tribe/tribe.yaml", NULL, err);
	return r;
}

static size_t longest_socket_name(void)
{
	size_t n = strlen(TR_CONTROL_SOCKET);

	for (int i = 0; i < TR_NROLES; i++)
		if (strlen(tr_roles[i].socket) > n)
			n = strlen(tr_roles[i].socket);
	return n;
}

int cfg_paths(struct tr_paths *out, const char *dev, const char *state, const char *runtime, const char *config,
	      struct cfg_error *err)
{
	size_t max = SOCKET_PATH_MAX - 1 - longest_socket_name();
	struct tr_paths p;
	int r;

	if ((r = directory(p.state, "--state", state, dev, "state", "STATE_DIRECTORY", "/var/lib/tribe", err)) < 0 ||
	    (r = directory(p.runtime, "--runtime", runtime, dev, "run", "RUNTIME_DIRECTORY", "/run/tribe", err)) < 0 ||
	    (r = config_file(p.config_place, config, dev, err)) < 0)
		return r;
	memcpy(p.config, p.config_place, sizeof(p.config));
	if (config == NULL && access(p.config, F_OK) < 0)
		p.config[0] = '\0';
	if (strlen(p.runtime) > max)
		return cfg_fail(err, p.runtime, 0, NULL, 0,
				"the runtime directory's path must be at most %zu bytes long, so that socket paths fit",
				max);
	*out = p;
	return 0;
}
