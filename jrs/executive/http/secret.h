/* What came by a descriptor and must not stay in memory: keys, hashes. */
#ifndef JRS_EXECUTIVE_HTTP_SECRET_H
#define JRS_EXECUTIVE_HTTP_SECRET_H
#include <stddef.h>

#define SECRET_MAX 65536 /* bytes */

struct secret {
	char *p; /* owned; NULL: none was handed over */
	size_t n;
};
/* Reads fd from its beginning (its position, shared with others, stays) and closes it. fd < 0: none, 0. TR_ETOOBIG,
 * TR_ENOMEM, or the system's error; *out is untouched then. */
int secret_take(struct secret *out, int fd);
void secret_wipe(struct secret *s); /* overwrites and frees; empty is fine */

#endif
