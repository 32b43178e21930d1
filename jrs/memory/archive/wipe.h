/* A page of a b-tree keeps, between its list of cells and its cells, what once stood there: SQLite moves cells to
 * another page without clearing the place they leave, and secure_delete clears only what is deleted. So a text may be
 * deleted from its page and still lie in the room of the page it was moved from. That room is no content: it is filled
 * with zeros on its way to the database file. Pure. */
#ifndef JRS_MEMORY_ARCHIVE_WIPE_H
#define JRS_MEMORY_ARCHIVE_WIPE_H
#include <stddef.h>
#include <stdint.h>

/* page: a whole page, changed in place. A page that is not certainly one of a b-tree is left as it is. How many bytes
 * were cleared. */
size_t wipe_room(unsigned char *page, size_t size, uint32_t number);

#endif
