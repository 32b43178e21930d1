/* TLS 1.2 and 1.3 by OpenSSL, over memory: bytes of the wire in, plaintext out, and the other way round. No sockets and
 * no clock; nothing of OpenSSL shows. */
#ifndef JRS_EXECUTIVE_HTTP_TLS_H
#define JRS_EXECUTIVE_HTTP_TLS_H
#include "common/base/buf.h"
#include <stdbool.h>

#define TLS_PIECE 16384 /* plaintext of the largest record */

struct tls_ctx; /* certificate, key and rules of a server */
struct tls;     /* one connection */

/* PEM texts: certificate chain (leaf first) and its private key, which is wiped here in any case. TR_ECONFIG when they
 * are no such thing, are too weak or do not belong together; *why (static) says which. */
/* client_ca: PEM of those whose clients' certificates count; NULL: none is asked for. Who shows another one is turned
 * away. */
int tls_ctx_new(struct tls_ctx **out, const char *certificate, size_t certificate_n, char *key, size_t key_n,
		const char *client_ca, size_t client_ca_n, const char **why);
void tls_wipe(char *p, size_t n); /* NULL is fine */
void tls_ctx_free(struct tls_ctx **ctx);
/* Does the certificate speak for this DNS name or address ("10.0.0.1", "[::1]")? */
bool tls_ctx_covers(const struct tls_ctx *ctx, const char *host);

int tls_new(struct tls **out, struct tls_ctx *ctx); /* keeps what it needs of ctx */
void tls_free(struct tls **t);
/* Bytes of the wire, borrowed until tls_read() has returned something else than plaintext. */
void tls_feed(struct tls *t, const char *p, size_t n);
enum { TLS_MORE = 0, TLS_END = -1, TLS_PLAIN = -2, TLS_BROKEN = -3 };
/* > 0: so many bytes of plaintext; TLS_MORE: wants to be fed; TLS_END: the peer said close_notify; TLS_PLAIN: what came
 * is no TLS; TLS_BROKEN: failed for good. Shakes hands on the way: look at tls_out() after each round. */
int tls_read(struct tls *t, char *out, size_t n);
bool tls_ready(const struct tls *t); /* hands are shaken */
/* The i-th name of the certificate that the client has shown and that was proved: its alternative names (DNS, e-mail), then
 * its common name. NULL: there are no more, or it has shown none. */
const char *tls_client_name(struct tls *t, unsigned i);
int tls_write(struct tls *t, const void *p, size_t n);
void tls_bye(struct tls *t); /* close_notify, once */
/* What must go to the wire; the caller takes it out (buf_clear(), or moves it away whole). */
struct buf *tls_out(struct tls *t);

#endif
