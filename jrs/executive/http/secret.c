#include "jrs/executive/http/secret.h"
#include "common/base/err.h"
#include <errno.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <unistd.h>

int secret_take(struct secret *out, int fd)
{
	struct secret s = {.p = fd < 0 ? NULL : malloc(SECRET_MAX + 1)};
	int r = fd < 0 || s.p != NULL ? 0 : TR_ENOMEM;

	while (r == 0 && s.p != NULL) { /* never grown: no copy is left behind */
		ssize_t n = pread(fd, s.p + s.n, SECRET_MAX + 1 - s.n, (off_t)s.n);

		if (n == 0)
			break;
		if (n > 0)
			s.n += (size_t)n;
		else if (errno != EINTR)
			r = -errno;
		if (s.n > SECRET_MAX)
			r = TR_ETOOBIG;
	}
	if (fd >= 0)
		(void)close(fd);
	if (r < 0)
		secret_wipe(&s);
	else
		*out = s;
	return r;
}

void secret_wipe(struct secret *s)
{
	if (s->p != NULL)
		OPENSSL_cleanse(s->p, s->n);
	free(s->p);
	s->p = NULL;
	s->n = 0;
}
