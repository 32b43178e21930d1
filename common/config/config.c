/* Defaults, --set, and the rules between settings. */
#include "common/base/text.h"
#include "common/config/rules.h"
#include "common/log/log.h"
#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/* Appends src to dst with everything that is not printable ASCII as \xHH: messages go to terminals. */
static void append_escaped(char *dst, size_t size, const char *src, size_t n)
{
	size_t at = strlen(dst);

	for (size_t i = 0; i < n && at + 5 < size; i++) {
		unsigned char c = (unsigned char)src[i];

		if (c >= 0x20 && c < 0x7f) {
			dst[at++] = (char)c;
			dst[at] = '\0';
		} else {
			at += (size_t)snprintf(dst + at, size - at, "\\x%02x", c);
		}
	}
}

#define WHERE_MAX 200 /* bytes of a file name in a message */
#define KEY_MAX   100 /* the same of a key; both and a rule fit into cfg_error */

int cfg_fail(struct cfg_error *err, const char *where, unsigned line, const char *key, size_t key_len, const char *fmt,
	     ...)
{
	size_t n = where == NULL ? 0 : strlen(where), at;
	char *text = err->text;
	va_list ap;

	text[0] = '\0';
	if (n > WHERE_MAX)
		(void)strcpy(text, "...");
	if (n > 0)
		append_escaped(text, sizeof(err->text), where + (n > WHERE_MAX ? n - WHERE_MAX : 0),
			       n > WHERE_MAX ? WHERE_MAX : n);
	at = strlen(text);
	if (line > 0)
		at += (size_t)snprintf(text + at, sizeof(err->text) - at, ":%u", line);
	if (n > 0)
		at += (size_t)snprintf(text + at, sizeof(err->text) - at, ": ");
	if (key != NULL) {
		append_escaped(text, at + KEY_MAX, key, key_len);
		at = strlen(text);
		at += (size_t)snprintf(text + at, sizeof(err->text) - at, "%s: ", key_len > KEY_MAX ? "..." : "");
	}
	if (at >= sizeof(err->text))
		return TR_ECONFIG;
	va_start(ap, fmt);
	(void)vsnprintf(text + at, sizeof(err->text) - at, fmt, ap);
	va_end(ap);
	return TR_ECONFIG;
}

int cfg_fail_unknown(struct cfg_error *err, const char *where, unsigned line, const char *key, size_t key_len)
{
	const char *near = cfg_nearest(key, key_len);

	if (near == NULL)
		return cfg_fail(err, where, line, key, key_len, "there is no such setting");
	return cfg_fail(err, where, line, key, key_len, "there is no such setting; did you mean %s?", near);
}

void cfg_defaults(struct tr_config *cfg, struct cfg_origins *origins)
{
	char rule[CFG_RULE_MAX];

	memset(cfg, 0, sizeof(*cfg));
	if (origins != NULL)
		memset(origins, 0, sizeof(*origins));
	for (int i = 0; i < CFG_NSETTINGS; i++) {
		int r = cfg_value_parse(cfg, i, cfg_table[i].def, strlen(cfg_table[i].def), rule);

		assert(r == 0); /* a default breaks its own rule: settings.def is wrong */
		(void)r;
	}
}

int cfg_set(struct tr_config *cfg, struct cfg_origins *origins, const char *assignment, struct cfg_error *err)
{
	size_t n = strcspn(assignment, "=");
	const char *value = assignment + n + 1;
	char rule[CFG_RULE_MAX];
	int row;

	if (assignment[n] == '\0')
		return cfg_fail(err, "--set", 0, assignment, n, "must be KEY=VALUE");
	if ((row = cfg_find(assignment, n)) < 0)
		return cfg_fail_unknown(err, "--set", 0, assignment, n);
	if (cfg_value_parse(cfg, row, value, strlen(value), rule) < 0)
		return cfg_fail(err, "--set", 0, assignment, n, "%s", rule);
	if (origins != NULL) {
		origins->of[row] = CFG_COMMAND_LINE;
		origins->line[row] = 0;
	}
	return 0;
}

int cfg_listen_parse(const char *text, struct sockaddr_storage *out)
{
	struct sockaddr_storage ss;
	struct sockaddr_in *v4 = (struct sockaddr_in *)&ss;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&ss;
	const char *colon = strrchr(text, ':');
	size_t n = colon == NULL ? 0 : (size_t)(colon - text);
	char host[64];
	int64_t port;

	if (n == 0 || n >= sizeof(host) || tr_parse_i64(colon + 1, 0, 65535, &port) < 0)
		return TR_EINVAL;
	memset(&ss, 0, sizeof(ss));
	if (text[0] == '[' && text[n - 1] == ']') {
		tr_copy(host, sizeof(host), text + 1, n - 2);
		v6->sin6_family = AF_INET6;
		v6->sin6_port = htons((uint16_t)port);
		if (inet_pton(AF_INET6, host, &v6->sin6_addr) != 1)
			return TR_EINVAL;
	} else {
		tr_copy(host, sizeof(host), text, n);
		v4->sin_family = AF_INET;
		v4->sin_port = htons((uint16_t)port);
		if (inet_pton(AF_INET, strcmp(host, "localhost") == 0 ? "127.0.0.1" : host, &v4->sin_addr) != 1)
			return TR_EINVAL;
	}
	*out = ss;
	return 0;
}

bool cfg_is_loopback(const struct sockaddr_storage *ss)
{
	const struct sockaddr_in *v4 = (const struct sockaddr_in *)ss;
	const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)ss;

	if (ss->ss_family == AF_INET)
		return ntohl(v4->sin_addr.s_addr) >> 24 == 127;
	return IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr);
}

/* Each rule: NULL when it holds, else why not (static, or written into `why`). */
typedef const char *rule_fn(const struct tr_config *cfg, char why[CFG_RULE_MAX]);

static const char *rule_listen(const struct tr_config *cfg, char why[CFG_RULE_MAX])
{
	struct sockaddr_storage ss;

	(void)why;
	if (cfg_listen_parse(cfg->http_listen, &ss) < 0)
		return "must be HOST:PORT with an IPv4 address, an IPv6 address in brackets, or localhost";
	return NULL;
}

static const char *rule_certificate(const struct tr_config *cfg, char why[CFG_RULE_MAX])
{
	(void)why;
	if (cfg->http_certificate[0] == '\0')
		return NULL; /* rule_private_key() objects when only the other one is there */
	if (cfg->http_private_key[0] == '\0')
		return "must be given together with http.private_key";
	return cfg->http_certificate[0] == '/' ? NULL : "must be an absolute path";
}

static const char *rule_private_key(const struct tr_config *cfg, char why[CFG_RULE_MAX])
{
	(void)why;
	if (cfg->http_private_key[0] == '\0')
		return NULL;
	if (cfg->http_certificate[0] == '\0')
		return "must be given together with http.certificate";
	return cfg->http_private_key[0] == '/' ? NULL : "must be an absolute path";
}

static bool origin_ok(const char *p, size_t n)
{
	size_t scheme = n > 7 && memcmp(p, "http://", 7) == 0 ? 7 : n > 8 && memcmp(p, "https://", 8) == 0 ? 8 : 0;

	/* as browsers write it: small letters, no path, not even a slash */
	for (size_t i = scheme; i < n; i++)
		if (strchr("abcdefghijklmnopqrstuvwxyz0123456789.-_:[]", p[i]) == NULL)
			return false;
	return scheme > 0;
}

static const char *rule_cors_origins(const struct tr_config *cfg, char why[CFG_RULE_MAX])
{
	const char *s = cfg->http_cors_origins;

	(void)why;
	while (*(s += strspn(s, " ")) != '\0') {
		size_t n = strcspn(s, " ");

		if (!origin_ok(s, n))
			return "must be origins such as https://page.example:8443, in small letters, without a path, "
			       "parted by blanks; "
			       "there is no wildcard";
		s += n;
	}
	return NULL;
}

static const char *rule_client_ca(const struct tr_config *cfg, char why[CFG_RULE_MAX])
{
	(void)why;
	return cfg->http_client_ca[0] == '\0' || cfg->http_client_ca[0] == '/' ? NULL : "must be an absolute path";
}

static const char *rule_hang(const struct tr_config *cfg, char why[CFG_RULE_MAX])
{
	if (cfg->hang_after_ms >= 3 * cfg->heartbeat_ms)
		return NULL;
	(void)snprintf(why, CFG_RULE_MAX, "must be at least three times heartbeat_ms, here %u", 3 * cfg->heartbeat_ms);
	return why;
}

bool cfg_archive_is_postgres(const struct tr_config *cfg)
{
	return strncmp(cfg->archive_url, "postgresql://", 13) == 0 || strncmp(cfg->archive_url, "postgres://", 11) == 0;
}

static const char *rule_archive(const struct tr_config *cfg, char why[CFG_RULE_MAX])
{
	const char *url = cfg->archive_url;

	(void)why;
	if (url[0] == '\0' || cfg_archive_is_postgres(cfg) || (strncmp(url, "sqlite:", 7) == 0 && url[7] != '\0'))
		return NULL;
	return "must be empty, sqlite:PATH or postgresql://...";
}

static const char *rule_understudies(const struct tr_config *cfg, char why[CFG_RULE_MAX])
{
	for (int i = 0; i < TR_NROLES; i++)
		if (cfg->understudies[i] > CFG_UNDERSTUDIES_MAX) {
			(void)snprintf(why, CFG_RULE_MAX, "a role has at most %d understudies", CFG_UNDERSTUDIES_MAX);
			return why;
		}
	return NULL;
}

static const char *rule_guard_secrets(const struct tr_config *cfg, char why[CFG_RULE_MAX])
{
	(void)why;
	if (strcmp(cfg->guard_secrets, "refuse") == 0 || strcmp(cfg->guard_secrets, "redact") == 0 ||
	    strcmp(cfg->guard_secrets, "allow") == 0)
		return NULL;
	return "must be refuse, redact or allow";
}

static const char *rule_guard_pii(const struct tr_config *cfg, char why[CFG_RULE_MAX])
{
	(void)why;
	return strcmp(cfg->guard_pii, "flag") == 0 || strcmp(cfg->guard_pii, "off") == 0 ? NULL : "must be flag or off";
}

static const char *rule_log(const struct tr_config *cfg, char why[CFG_RULE_MAX])
{
	(void)why;
#define X(id, name)                            \
	if (strcmp(cfg->log_level, name) == 0) \
		return NULL;
	LOG_LEVELS(X)
#undef X
	return "must be error, warn, info or debug";
}

static const char *rule_llm(const struct tr_config *cfg, char why[CFG_RULE_MAX])
{
	(void)why;
	return cfg->llm_url[0] == '\0' ? NULL : "this version answers without a language model; it must be empty";
}

static const char *rule_embeddings(const struct tr_config *cfg, char why[CFG_RULE_MAX])
{
	(void)why;
	return cfg->embeddings_url[0] == '\0' ? NULL : "this version finds without embeddings; it must be empty";
}

static const char *rule_mcp(const struct tr_config *cfg, char why[CFG_RULE_MAX])
{
	(void)why;
	return cfg->mcp_conformance ? "this version serves no MCP; it must be false" : NULL;
}

static const char *rule_war_chief(const struct tr_config *cfg, char why[CFG_RULE_MAX])
{
	return governance_objection(cfg, 0, why);
}

static const char *rule_peace_chief(const struct tr_config *cfg, char why[CFG_RULE_MAX])
{
	return governance_objection(cfg, 1, why);
}

static const char *rule_medicine_woman(const struct tr_config *cfg, char why[CFG_RULE_MAX])
{
	return governance_objection(cfg, 2, why);
}

static const struct {
	const char *key;
	rule_fn *holds;
	const char *other; /* it ties the key to this one, which was set when the key was not */
} rules[] = {
	{"http.listen", rule_listen, NULL},
	{"http.certificate", rule_certificate, NULL},
	{"http.private_key", rule_private_key, NULL},
	{"http.cors_origins", rule_cors_origins, NULL},
	{"http.client_ca", rule_client_ca, NULL},
	{"hang_after_ms", rule_hang, "heartbeat_ms"},
	{"archive.url", rule_archive, NULL},
	{"understudies", rule_understudies, NULL},
	{"governance.war_chief", rule_war_chief, NULL},
	{"governance.peace_chief", rule_peace_chief, NULL},
	{"governance.medicine_woman", rule_medicine_woman, NULL},
	{"guard.secrets", rule_guard_secrets, NULL},
	{"guard.pii", rule_guard_pii, NULL},
	{"log.level", rule_log, NULL},
	{"llm.url", rule_llm, NULL},
	{"embeddings.url", rule_embeddings, NULL},
	{"mcp.conformance", rule_mcp, NULL},
};

/* Names the place the value came from. */
static int broken(const struct cfg_origins *origins, const char *key, const char *other, const char *rule,
		  struct cfg_error *err)
{
	int row = cfg_find(key, strlen(key));
	const char *where = NULL;

	assert(row >= 0);
	if (origins != NULL && origins->of[row] == CFG_DEFAULT && other != NULL)
		row = cfg_find(other, strlen(other));
	if (origins != NULL && origins->of[row] != CFG_DEFAULT)
		where = origins->of[row] == CFG_FILE ? origins->file : "--set";
	return cfg_fail(err, where, where == NULL ? 0 : origins->line[row], key, strlen(key), "%s", rule);
}

int cfg_check_at(const struct tr_config *cfg, const struct cfg_origins *origins, struct cfg_error *err)
{
	for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
		char why[CFG_RULE_MAX];
		const char *wrong = rules[i].holds(cfg, why);

		if (wrong != NULL)
			return broken(origins, rules[i].key, rules[i].other, wrong, err);
	}
	return 0;
}

int cfg_check(const struct tr_config *cfg, struct cfg_error *err)
{
	return cfg_check_at(cfg, NULL, err);
}

/* Without its last part: "/a/b.db" is "/a", and "/b.db" is "/". Slashes and "/." at the end are left out. */
static void cut_to_directory(char *path)
{
	size_t n = (size_t)(strrchr(path, '/') - path);

	while (n > 0 && (path[n - 1] == '/' || (n > 1 && path[n - 1] == '.' && path[n - 2] == '/')))
		n--;
	path[n > 0 ? n : 1] = '\0';
}

int cfg_check_places(const struct tr_config *cfg, const struct cfg_origins *origins, const char *state,
		     struct cfg_error *err)
{
	const char *path = cfg->archive_url + strlen("sqlite:"); /* its rule has been checked */
	char dir[4096 + CFG_STR_MAX];
	struct stat st;

	if (cfg->archive_url[0] == '\0' || cfg_archive_is_postgres(cfg))
		return 0;
	(void)snprintf(dir, sizeof(dir), "%s%s%s", path[0] == '/' ? "" : state, path[0] == '/' ? "" : "/", path);
	cut_to_directory(dir);
	if (strcmp(dir, state) == 0) /* made by the start */
		return 0;
	if (stat(dir, &st) < 0)
		return broken(origins, "archive.url", NULL,
			      errno == ENOENT ? "the directory its path names does not exist"
					      : "the directory its path names cannot be reached",
			      err);
	if (!S_ISDIR(st.st_mode))
		return broken(origins, "archive.url", NULL, "the directory its path names is not a directory", err);
	return 0;
}
