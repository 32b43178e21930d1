/* SQLite's file format, as far as rows have to be read from pages that SQLite itself would not read any more: the pages
 * of a b-tree, the cells on them, the values in a record. Pure: bytes in, values out; every byte may be wrong.
 * (https://www.sqlite.org/fileformat2.html) */
#ifndef JRS_MEMORY_ARCHIVE_BTREE_H
#define JRS_MEMORY_ARCHIVE_BTREE_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum btree_kind { BTREE_INNER_INDEX = 2, BTREE_INNER_TABLE = 5, BTREE_LEAF_INDEX = 10, BTREE_LEAF_TABLE = 13 };
struct btree_page {
	const unsigned char *p; /* borrowed */
	uint32_t size, usable;  /* usable: without the reserved bytes */
	uint32_t head;          /* where its header begins: 100 on page 1 */
	enum btree_kind kind;
	unsigned ncells;
	uint32_t right; /* inner: the last child */
};
/* False: it is not a page of a b-tree, or its header makes no sense. */
bool btree_page(const void *p, uint32_t size, uint32_t usable, uint32_t number, struct btree_page *out);

struct btree_cell {
	uint32_t child;             /* inner: page with what is before it */
	int64_t rowid;              /* tables */
	uint64_t payload;           /* bytes in all; 0 on inner pages of tables */
	const unsigned char *local; /* the part that is on this page: borrowed */
	uint32_t nlocal, overflow;  /* first page with the rest, 0: none */
	uint32_t at, end;           /* its bytes on the page */
};
bool btree_cell(const struct btree_page *page, unsigned i, struct btree_cell *out);
/* A cell of a table's leaf that would begin at this place, whoever says so. */
bool btree_cell_at(const struct btree_page *page, uint32_t at, struct btree_cell *out);

enum value_kind { VALUE_NULL, VALUE_INT, VALUE_REAL, VALUE_TEXT, VALUE_BLOB };
struct value {
	enum value_kind kind;
	int64_t i;
	double d;
	const unsigned char *p; /* borrowed from the record */
	uint32_t n;
};
#define RECORD_MAX 64 /* columns; more than any table of ours */
/* The values of a record. How many; -1: it is none. */
int record_read(const unsigned char *p, size_t n, struct value v[RECORD_MAX]);

#endif
