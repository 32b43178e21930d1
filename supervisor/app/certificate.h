/* A certificate of our own making, and a look at somebody else's. The only part of tribed that knows OpenSSL's X.509.
 */
#ifndef SUPERVISOR_APP_CERTIFICATE_H
#define SUPERVISOR_APP_CERTIFICATE_H
#include "common/base/buf.h"
#include <stdbool.h>
#include <sys/socket.h>

#define CERTIFICATE_DAYS 825 /* at most; browsers accept no more from anybody */

/* EC P-256, self-signed, PEM. It names `at`, or for a wildcard address those of the machine's interfaces
 * (interfaces.h), the loopback addresses, localhost and this machine. TR_EINTERNAL when libcrypto fails; the buffers
 * are then to be freed as ever. */
int certificate_make(const struct sockaddr_storage *at, struct buf *certificate, struct buf *private_key);
/* What is wrong with the pair, for a person; NULL: they are PEM and belong together. Static. */
const char *certificate_fault(const struct buf *certificate, const struct buf *private_key);
/* What is wrong with this list of CA certificates; NULL: nothing. Static. */
const char *certificate_ca_fault(const struct buf *ca);
/* Why the one in the state directory serves here no longer, for the log; NULL: it does. Static. start: one of our own
 * making must name every address of the machine too, where `at` is a wildcard address; a certificate that somebody put
 * in its place need not. */
const char *certificate_stale(const struct buf *certificate, const struct sockaddr_storage *at, bool start);

#endif
