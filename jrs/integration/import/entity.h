/* HTML character references in Markdown text. Internal to this folder. */
#ifndef JRS_INTEGRATION_IMPORT_ENTITY_H
#define JRS_INTEGRATION_IMPORT_ENTITY_H
#include "common/base/buf.h"

/* Appends the character that "&name;", "&#N;" or "&#xN;" (p..p+n) means; one that is not known is appended as written.
 */
int entity_put(struct buf *b, const char *p, size_t n);
/* Appends raw HTML without tags and comments, references resolved. */
int html_text(struct buf *b, const char *p, size_t n);

#endif
