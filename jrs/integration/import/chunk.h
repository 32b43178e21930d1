/* Where a long Markdown text may be cut so that both parts mean what they meant. Internal to this folder. */
#ifndef JRS_INTEGRATION_IMPORT_CHUNK_H
#define JRS_INTEGRATION_IMPORT_CHUNK_H
#include <stddef.h>

#define MARKDOWN_CHUNK     (32u << 10) /* bytes of a chunk, about */
#define MARKDOWN_CHUNK_MAX (64u << 10) /* it is cut here whatever stands there */

/* Bytes of the next chunk of p..p+n: 1..MARKDOWN_CHUNK_MAX, n when it all fits into MARKDOWN_CHUNK. Ends in front of a
 * heading or behind a blank line, not inside a fence, where such a place is near. */
size_t markdown_chunk(const char *p, size_t n);
/* Bytes of YAML between "---" lines that opens the text, with these; 0: there is none. Its first line must be a key or
 * a comment: a rule in front of text is no front matter. */
size_t markdown_front_matter(const char *p, size_t n);

#endif
