/* Every listening socket of the tribe: made before the first Jr, held until the last one left, so no caller is refused
 * while a Jr is away. Under the state lock only. */
#ifndef SUPERVISOR_APP_LISTEN_H
#define SUPERVISOR_APP_LISTEN_H
#include "common/base/roles.h"
#include <stdbool.h>
#include <stddef.h>

#define LISTEN_BACKLOG 1024

struct listeners {
	int jr[TR_NROLES]; /* 0600 */
	int control;       /* 0600; 0660 for group tribe where it exists */
	bool readers;      /* it is open to that group */
	int http;
	char http_address[64]; /* with the port that was really taken */
};

extern const struct listeners listeners_none;

/* patient: an orphaned executive-jr may still hold the port; wait up to 5 s for it. */
int listeners_open(struct listeners *l, const char *runtime, const char *http_listen, bool patient, char *why,
		   size_t size);
/* Those of a tribed that died, from l's descriptors (all of them are there): makes their files' contents good again. On
 * failure they are no listeners of this runtime directory, and still the caller's. */
int listeners_adopt(struct listeners *l, const char *runtime);
/* Closes, and removes the files that name them. */
void listeners_close(struct listeners *l, const char *runtime);

#endif
