/* A certificate of our own making, and a look at somebody else's. The only part of tribed that knows OpenSSL's X.509.
 */
#ifndef SUPERVISOR_APP_CERTIFICATE_H
#define SUPERVISOR_APP_CERTIFICATE_H
#include "common/base/buf.h"
#include <stdbool.h>
#include <sys/socket.h>

#define CERTIFICATE_DAYS 825 /* at most; browsers accept no more from anybody */

/* EC P-256, self-signed, PEM. It names `at` (unless that is a wildcard address), the loopback addresses, localhost and
 * this machine. TR_EINTERNAL when libcrypto fails; the buffers are then to be freed as ever. */
int certificate_make(const struct sockaddr_storage *at, struct buf *certificate, struct buf *private_key);
/* What is wrong with the pair, for a person; NULL: they are PEM and belong together. Static. */
const char *certificate_fault(const struct buf *certificate, const struct buf *private_key);
/* Does one of our own making still serve here: not about to end, and naming `at`? */
bool certificate_serves(const struct buf *certificate, const struct sockaddr_storage *at);

#endif
