/* Text from memories, made harmless for a terminal: a memory must not be able to move the cursor, set the title, change
 * colours, hide text or turn its direction round. Pure. */
#ifndef SUPERVISOR_CTL_CLEAN_H
#define SUPERVISOR_CTL_CLEAN_H
#include "common/base/buf.h"
#include <stddef.h>

/* Appends p..p+n. Escape sequences go whole; other control characters and the invisible marks of direction and of tags
 * go; a tab becomes a space; bytes that are no UTF-8 become U+FFFD. A line break becomes `newline`, the text to put
 * instead
 * ("\n    " to indent, " " for one line). At most max_chars characters are shown (0: all), then " ... (N more)". */
void clean_text(struct buf *out, const char *p, size_t n, const char *newline, size_t max_chars);

#endif
