#include "supervisor/app/credentials.h"
#include "common/base/token.h"
#include "common/log/log.h"
#include "supervisor/app/certificate.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define CERTIFICATE_FILE "certificate.pem"
#define KEY_FILE         "private_key.pem"
#define TOKEN_FILE       "admin-token"
#define HASH_FILE        "admin-token.sha256"
#define FILE_BYTES       (1u << 20) /* no certificate chain is longer */
#define TOKEN_CHARS_MIN  16         /* of a token that somebody else made */

/* ---- files ---- */

/* The whole file behind what out holds; a negative errno when it cannot be read. */
static int read_file(const char *path, struct buf *out)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK), r = 0;
	char piece[4096];
	ssize_t n;

	if (fd < 0)
		return -errno;
	while (r == 0 && (n = read(fd, piece, sizeof(piece))) != 0) {
		if (n > 0)
			r = out->len > FILE_BYTES ? TR_ETOOBIG : buf_append(out, piece, (size_t)n);
		else if (errno != EINTR)
			r = -errno;
	}
	explicit_bzero(piece, sizeof(piece));
	close(fd);
	return r;
}

static int write_all(int fd, const char *p, size_t n)
{
	while (n > 0) {
		ssize_t done = write(fd, p, n);

		if (done < 0 && errno != EINTR)
			return -errno;
		p += done > 0 ? done : 0;
		n -= done > 0 ? (size_t)done : 0;
	}
	return fsync(fd) < 0 ? -errno : 0;
}

/* 0600, durable, whole or not at all. */
static int write_file(const char *dir, const char *name, const char *p, size_t n)
{
	char path[4200], fresh[4200];
	int fd, r;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	snprintf(fresh, sizeof(fresh), "%s/%s.new", dir, name);
	if (unlink(fresh) < 0 && errno != ENOENT) /* left by somebody who died */
		return -errno;
	fd = open(fresh, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -errno;
	r = write_all(fd, p, n);
	close(fd);
	if (r == 0 && rename(fresh, path) < 0)
		r = -errno;
	if (r < 0) {
		unlink(fresh);
		return r;
	}
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	r = fsync(fd) < 0 ? -errno : 0;
	close(fd);
	return r;
}

/* What the service manager handed over (LoadCredential= of systemd): false, no such file. */
static bool handed_over(char path[4200], const char *name)
{
	const char *dir = getenv("CREDENTIALS_DIRECTORY");

	if (dir == NULL || dir[0] == '\0')
		return false;
	snprintf(path, 4200, "%s/%s", dir, name);
	return access(path, F_OK) == 0;
}

/* ---- the certificate ---- */

static int read_pair(struct credentials *c, const char *certificate, const char *key, char *why, size_t size)
{
	const char *wrong;
	int r;

	if ((r = read_file(certificate, &c->certificate)) < 0) {
		snprintf(why, size, "http.certificate: %s: %s", certificate, tr_strerror(r));
		return TR_ECONFIG;
	}
	if ((r = read_file(key, &c->private_key)) < 0) {
		snprintf(why, size, "http.private_key: %s: %s", key, tr_strerror(r));
		return TR_ECONFIG;
	}
	wrong = certificate_fault(&c->certificate, &c->private_key);
	if (wrong == NULL)
		return 0;
	snprintf(why, size, "%s", wrong);
	return TR_ECONFIG;
}

static int read_ca(struct credentials *c, const char *path, char *why, size_t size)
{
	const char *wrong;
	int r;

	if (path[0] == '\0')
		return 0;
	if ((r = read_file(path, &c->client_ca)) < 0) {
		snprintf(why, size, "http.client_ca: %s: %s", path, tr_strerror(r));
		return TR_ECONFIG;
	}
	if ((wrong = certificate_ca_fault(&c->client_ca)) == NULL)
		return 0;
	snprintf(why, size, "%s", wrong);
	return TR_ECONFIG;
}

/* Why the pair in the state directory, read into *c, is to be made anew; NULL: it serves. */
static const char *pair_stale(struct credentials *c, const struct sockaddr_storage *at, const char *state, bool start)
{
	char certificate[4200], key[4200];

	snprintf(certificate, sizeof(certificate), "%s/" CERTIFICATE_FILE, state);
	snprintf(key, sizeof(key), "%s/" KEY_FILE, state);
	if (read_file(certificate, &c->certificate) < 0 || read_file(key, &c->private_key) < 0)
		return "there was none";
	if (certificate_fault(&c->certificate, &c->private_key) != NULL)
		return "it was damaged";
	return certificate_stale(&c->certificate, at, start);
}

static int own_certificate(struct credentials *c, const struct sockaddr_storage *at, const char *state, bool start,
			   char *why, size_t size)
{
	const char *stale = pair_stale(c, at, state, start);
	int r;

	c->own = true;
	if (stale == NULL)
		return 0;
	buf_clear(&c->certificate);
	buf_clear(&c->private_key);
	/* The key first: with a certificate that is not its own the pair is made anew. */
	if ((r = certificate_make(at, &c->certificate, &c->private_key)) < 0 ||
	    (r = write_file(state, KEY_FILE, c->private_key.p, c->private_key.len)) < 0 ||
	    (r = write_file(state, CERTIFICATE_FILE, c->certificate.p, c->certificate.len)) < 0) {
		snprintf(why, size, "a certificate cannot be made in %s: %s", state, tr_strerror(r));
		return r;
	}
	log_info("a self-signed certificate was made: %s", stale);
	return 0;
}

/* ---- the token ---- */

static int make_token(struct credentials *c, const char *state)
{
	unsigned char hash[TR_SHA256_LEN];
	char text[80];
	int n, r;

	if ((r = tr_token_make(c->token, hash)) < 0)
		return r;
	tr_hex(hash, sizeof(hash), c->token_hash);
	/* The hash last: it says that the token is complete. */
	n = snprintf(text, sizeof(text), "%s\n", c->token);
	r = write_file(state, TOKEN_FILE, text, (size_t)n);
	explicit_bzero(text, sizeof(text));
	if (r < 0)
		return r;
	n = snprintf(text, sizeof(text), "%s\n", c->token_hash);
	return write_file(state, HASH_FILE, text, (size_t)n);
}

/* The token that was handed over itself: its hash. */
static int hash_token(struct credentials *c, const char *path, char *why, size_t size)
{
	unsigned char hash[TR_SHA256_LEN];
	struct buf text;
	size_t n;
	int r;

	buf_init(&text, 0);
	if ((r = read_file(path, &text)) < 0) {
		snprintf(why, size, "%s: %s", path, tr_strerror(r));
	} else if ((n = strcspn(text.len > 0 ? text.p : "", "\r\n")) < TOKEN_CHARS_MIN) {
		snprintf(why, size, "%s: must be at least %d characters", path, TOKEN_CHARS_MIN);
		r = TR_ECONFIG;
	} else if ((r = tr_sha256(text.p, n, hash)) == 0) {
		tr_hex(hash, sizeof(hash), c->token_hash);
	}
	if (text.len > 0)
		explicit_bzero(text.p, text.len);
	buf_free(&text);
	return r;
}

static int load_token(struct credentials *c, const char *state, char *why, size_t size)
{
	struct buf text;
	char path[4200];
	int r;

	if (!handed_over(path, HASH_FILE) && handed_over(path, TOKEN_FILE))
		return hash_token(c, path, why, size);
	buf_init(&text, 0);
	if (!handed_over(path, HASH_FILE))
		snprintf(path, sizeof(path), "%s/" HASH_FILE, state);
	r = read_file(path, &text);
	if (r == -ENOENT) {
		if ((r = make_token(c, state)) < 0)
			snprintf(why, size, "an admin token cannot be made in %s: %s", state, tr_strerror(r));
		else
			log_info("an admin token was made");
	} else if (r < 0) {
		snprintf(why, size, "%s: %s", path, tr_strerror(r));
	} else if (text.len < 64 || strspn(text.p, "0123456789abcdef") != 64 || (text.len > 64 && text.p[64] != '\n')) {
		/* Never replaced by itself: who can damage it must not get a token for it. */
		snprintf(why, size, "%s: must be 64 hexadecimal digits; remove it to get a new admin token", path);
		r = TR_ECONFIG;
	} else {
		tr_copy(c->token_hash, sizeof(c->token_hash), text.p, 64);
	}
	buf_free(&text);
	return r;
}

/* ---- together ---- */

int credentials_load(struct credentials *out, const struct tr_config *cfg, const char *state,
		     const struct credentials *before, char *why, size_t size)
{
	struct credentials c = {.own = false};
	char certificate[4200], key[4200];
	struct sockaddr_storage at;
	bool beyond;
	int r;

	if ((r = cfg_listen_parse(cfg->http_listen, &at)) < 0)
		return r;
	beyond = !cfg_is_loopback(&at);
	buf_init(&c.certificate, 0);
	buf_init(&c.private_key, 0);
	buf_init(&c.client_ca, 0);
	if (cfg->http_certificate[0] != '\0')
		r = read_pair(&c, cfg->http_certificate, cfg->http_private_key, why, size);
	else if (handed_over(certificate, CERTIFICATE_FILE) | handed_over(key, KEY_FILE))
		r = read_pair(&c, certificate, key, why, size);
	else if (beyond)
		r = own_certificate(&c, &at, state, before == NULL, why, size);
	if (r == 0)
		r = read_ca(&c, cfg->http_client_ca, why, size);
	if (r == 0 && before != NULL)
		memcpy(c.token_hash, before->token_hash, sizeof(c.token_hash));
	else if (r == 0 && beyond)
		r = load_token(&c, state, why, size);
	if (r < 0)
		credentials_free(&c);
	else
		*out = c;
	return r;
}

static bool same(const struct buf *a, const struct buf *b)
{
	return a->len == b->len && (a->len == 0 || memcmp(a->p, b->p, a->len) == 0);
}

bool credentials_same(const struct credentials *a, const struct credentials *b)
{
	return same(&a->certificate, &b->certificate) && same(&a->private_key, &b->private_key) &&
	       same(&a->client_ca, &b->client_ca);
}

int credentials_welcome(const struct credentials *c, const char *state, const char *address, bool quiet,
			struct buf *out)
{
	const char *port = strrchr(address, ':');
	bool wildcard = strncmp(address, "0.0.0.0:", 8) == 0 || strncmp(address, "[::]:", 5) == 0;

	if (c->token[0] == '\0')
		return 0;
	buf_printf(out,
		   "tribed: first start beyond loopback: it serves with TLS, to those who bring a token.\n"
		   "The admin token, shown this once, is kept in %s/" TOKEN_FILE " for its owner to read and remove:\n",
		   state);
	if (!quiet)
		buf_printf(out, "  %s\n", c->token);
	buf_puts(out, "Try it:\n  curl ");
	if (c->own)
		buf_printf(out, "--cacert '%s/" CERTIFICATE_FILE "' ", state);
	buf_puts(out, "-H \"Authorization: Bearer ");
	if (quiet)
		buf_printf(out, "$(cat '%s/" TOKEN_FILE "')", state);
	else
		buf_puts(out, c->token);
	buf_printf(out, "\" https://%s%s/api/v1/status\n", wildcard ? "localhost" : "", wildcard ? port : address);
	return out->failed;
}

void credentials_free(struct credentials *c)
{
	if (c->private_key.len > 0)
		explicit_bzero(c->private_key.p, c->private_key.len);
	buf_free(&c->certificate);
	buf_free(&c->private_key);
	buf_free(&c->client_ca);
	explicit_bzero(c->token, sizeof(c->token));
	memset(c->token_hash, 0, sizeof(c->token_hash));
}
