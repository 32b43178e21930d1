/* What executive-jr needs beyond loopback: certificate, private key, admin token. On loopback: the certificate if one
 * was configured, else nothing. */
#ifndef SUPERVISOR_APP_CREDENTIALS_H
#define SUPERVISOR_APP_CREDENTIALS_H
#include "common/base/token.h"
#include "common/config/config.h"

#define CREDENTIALS_TOKEN_LEN TR_TOKEN_LEN
struct credentials {
	struct buf certificate, private_key; /* PEM; empty: no TLS */
	struct buf client_ca;                /* PEM of http.client_ca; empty: clients are not asked for a certificate */
	char token_hash[65];                 /* SHA-256 of the admin token, hex; empty: no tokens */
	char token[CREDENTIALS_TOKEN_LEN];   /* only right after it was made: to be shown once and wiped */
	bool own;                            /* the certificate is of our own making */
};

/* Reads what is there and makes what is missing, in the state directory, 0600. In $CREDENTIALS_DIRECTORY
 * certificate.pem with private_key.pem (unless http.certificate is set) and admin-token.sha256 or admin-token go before
 * those. Under the state lock. On failure `why` is a line for a person and *out is untouched: TR_ECONFIG when a
 * configured file is wrong. before (may be NULL): those in force, whose token stays. */
int credentials_load(struct credentials *out, const struct tr_config *cfg, const char *state,
		     const struct credentials *before, char *why, size_t size);
bool credentials_same(const struct credentials *a, const struct credentials *b);
/* What the owner is told after a first start, the token included unless `quiet` (the journal keeps what it hears).
 * address: as in http.addr. Empty when there is nothing new to tell. */
int credentials_welcome(const struct credentials *c, const char *state, const char *address, bool quiet,
			struct buf *out);
void credentials_free(struct credentials *c); /* wipes; zeroed ones are fine */

#endif
