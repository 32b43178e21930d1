/* An archive that is damaged so that it cannot be opened: the same door, behind which everything is unavailable.
 * memory-jr stays up with it and says why, while what can be saved is. */
#ifndef JRS_MEMORY_ARCHIVE_AILING_H
#define JRS_MEMORY_ARCHIVE_AILING_H
#include "jrs/memory/archive/archive.h"

int ailing_open(struct archive **out, const char *damage);

#endif
