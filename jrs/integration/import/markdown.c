/* Markdown by md4c, 32 KiB at a time: its callbacks build clean text, a finished block becomes a piece.
 *
 * The parser of Debian 12 (0.4.8) needs time by the square of its input for a few hostile inputs: 0.1 to 0.3 s for 64
 * KiB, 1.4 to 4.7 s for 256 KiB (docs/adr/0010-text-libraries.md). So it never gets more than MARKDOWN_CHUNK_MAX at
 * once; a chunk ends in front of a heading or behind a blank line, outside fences. A link reference defined in another
 * chunk stays unresolved, that is all it costs. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <md4c.h>

#include "jrs/integration/import/chunk.h"
#include "jrs/integration/import/entity.h"
#include "jrs/integration/import/reader.h"
#include "jrs/integration/text/chars.h"

#define LEVELS      6
#define HEADING_MAX 200 /* bytes of one heading in a path */
#define LEAD_MAX    200 /* bytes of "The parts are:" repeated in front of each group of its list */
#define GROUP_GOOD  300 /* bytes: short list items are gathered up to this */
#define GROUP_MAX   600
#define ROW_ALONE   100 /* bytes: a table row so long is a memory of its own */
#define COLUMNS_MAX 32
#define LISTS_MAX   16 /* deeper ones lose their numbers */

struct markdown_headings {
	struct {
		char text[HEADING_MAX + 1];
		size_t n;
	} level[LEVELS];
	bool bare;     /* nothing stands under the last one yet */
	unsigned last; /* its level, 1..6 */
	uint64_t line;
};

struct reader {
	struct import *im;
	struct markdown_headings *h;
	const char *chunk, *counted; /* lines are counted up to here */
	size_t len;
	uint64_t line, block_line; /* of `counted`; of the first text in the block */
	bool fresh;                /* the block has no text yet */
	struct buf text;           /* the block being read */
	struct buf lead;           /* a paragraph that ends with ':' and waits for its list */
	uint64_t lead_line;
	struct buf item, group; /* of the outermost list */
	unsigned items, lists;  /* in group; open */
	struct {
		char mark;             /* behind the numbers; 0: they are dashes */
		unsigned number, next; /* of the item; of the one after */
		bool fresh;            /* nothing of the item is written yet */
	} list[LISTS_MAX];
	uint64_t item_line, group_line;
	struct buf head; /* the table's first row, NUL after each cell */
	unsigned column;
	bool in_head, in_table, in_html, lead_used;
	const char *mark; /* "[x] " of a task, in front of the item's first text; or NULL */
	size_t link_at;   /* where the link's text begins */
	size_t path_offset, path_n, innermost_n;
	size_t lang_offset, lang_n;
};

static int emit(struct reader *r, const char *p, size_t n, uint64_t line, bool code)
{
	struct piece base = {.line = line,
			     .heading_offset = r->path_offset,
			     .heading_n = r->path_n,
			     .innermost_n = r->innermost_n,
			     .code = code};

	if (code) {
		base.lang_offset = r->lang_offset;
		base.lang_n = r->lang_n;
	}
	r->h->bare = false;
	return piece_add(r->im, p, n, &base);
}

/* The path to here into im->text, for the pieces that follow. */
static int set_path(struct reader *r)
{
	struct buf *b = &r->im->text;
	size_t start = b->len;

	r->innermost_n = 0;
	for (unsigned i = 0; i < LEVELS; i++) {
		if (r->h->level[i].n == 0)
			continue;
		if (b->len > start)
			buf_puts(b, " > ");
		buf_append(b, r->h->level[i].text, r->h->level[i].n);
		r->innermost_n = r->h->level[i].n;
	}
	r->path_offset = start;
	r->path_n = b->len - start;
	return b->failed;
}

/* A heading with nothing under it, not even a deeper one, says something itself. */
static int close_heading(struct reader *r, unsigned next_level)
{
	struct markdown_headings *h = r->h;

	if (!h->bare || next_level > h->last)
		return 0;
	h->bare = false;
	return emit(r, h->level[h->last - 1].text, h->level[h->last - 1].n, h->line, false);
}

static int heading(struct reader *r, unsigned level)
{
	struct markdown_headings *h = r->h;
	int e = close_heading(r, level);

	if (e < 0 || level < 1 || level > LEVELS || r->text.len == 0)
		return e;
	for (unsigned i = level - 1; i < LEVELS; i++)
		h->level[i].n = 0;
	h->level[level - 1].n = chars_cut(r->text.p, r->text.len, HEADING_MAX);
	memcpy(h->level[level - 1].text, r->text.p, h->level[level - 1].n);
	h->bare = true;
	h->last = level;
	h->line = r->block_line;
	return set_path(r);
}

static int flush_lead(struct reader *r)
{
	int e = r->lead.len > 0 ? emit(r, r->lead.p, r->lead.len, r->lead_line, false) : 0;

	buf_clear(&r->lead);
	return e;
}

static int flush_group(struct reader *r)
{
	/* a lone item needs no "- " */
	size_t at = r->items == 1 && r->group.len > 2 && r->group.p[0] == '-' && r->lead.len == 0 ? 2 : 0;
	struct buf b = {0};
	int e;

	if (r->group.len == 0)
		return 0;
	if (r->lead.len > 0) {
		buf_append(&b, r->lead.p, r->lead.len);
		buf_puts(&b, "\n");
	}
	buf_append(&b, r->group.p + at, r->group.len - at);
	e = b.failed < 0 ? b.failed : emit(r, b.p, b.len, r->group_line, false);
	buf_free(&b);
	buf_clear(&r->group);
	r->items = 0;
	r->lead_used = true;
	return e;
}

/* In front of an item: its number or a dash. */
static void put_mark(struct reader *r, struct buf *b)
{
	unsigned at = r->lists - 1;
	bool known = r->lists > 0 && r->lists <= LISTS_MAX;

	if (!known || r->list[at].mark == 0)
		buf_puts(b, "- ");
	else if (r->list[at].fresh)
		buf_printf(b, "%u%c ", r->list[at].number, r->list[at].mark);
	if (known)
		r->list[at].fresh = false;
}

/* An item of the outermost list is complete, with all that is nested in it. */
static int end_item(struct reader *r)
{
	int e = 0;

	if (r->item.len == 0)
		return 0;
	if (r->group.len > 0 && r->group.len + r->item.len > GROUP_MAX)
		e = flush_group(r);
	if (e < 0)
		return e;
	if (r->group.len == 0)
		r->group_line = r->item_line;
	else
		buf_puts(&r->group, "\n");
	put_mark(r, &r->group);
	buf_append(&r->group, r->item.p, r->item.len);
	r->items++;
	buf_clear(&r->item);
	if (r->group.failed < 0)
		return r->group.failed;
	return r->group.len >= GROUP_GOOD ? flush_group(r) : 0;
}

/* A block inside a list becomes lines of its item; nested items are marked. */
static int into_item(struct reader *r)
{
	if (r->text.len == 0)
		return 0;
	if (r->item.len == 0)
		r->item_line = r->block_line;
	else
		buf_puts(&r->item, "\n");
	if (r->item.len > 0 && r->lists > 1)
		put_mark(r, &r->item);
	if (r->mark != NULL)
		buf_puts(&r->item, r->mark);
	r->mark = NULL;
	buf_append(&r->item, r->text.p, r->text.len);
	buf_clear(&r->text);
	return r->item.failed;
}

static int end_paragraph(struct reader *r)
{
	int e;

	if (r->text.len == 0)
		return 0;
	if (r->lists > 0)
		return into_item(r);
	e = flush_lead(r);
	if (e < 0)
		return e;
	if (r->text.p[r->text.len - 1] == ':' && r->text.len <= LEAD_MAX) {
		r->lead_line = r->block_line;
		return buf_append(&r->lead, r->text.p, r->text.len);
	}
	return emit(r, r->text.p, r->text.len, r->block_line, false);
}

/* A block of raw HTML: its text, as a paragraph. */
static int end_html(struct reader *r)
{
	struct buf raw = r->text;
	size_t n = raw.len, from = 0;
	int e;

	r->in_html = false;
	r->text = (struct buf){0};
	e = html_text(&r->text, raw.p, n);
	buf_free(&raw);
	while (from < r->text.len && strchr(" \t\r\n", r->text.p[from]) != NULL)
		from++;
	buf_consume(&r->text, from);
	return e < 0 ? e : end_paragraph(r);
}

static int end_code(struct reader *r)
{
	int e;

	while (r->text.len > 0 && r->text.p[r->text.len - 1] == '\n')
		r->text.len--;
	if (r->text.len == 0)
		return 0;
	if (r->lists > 0)
		return into_item(r);
	e = flush_lead(r);
	return e < 0 ? e : emit(r, r->text.p, r->text.len, r->block_line, true);
}

static const char *head_of(const struct reader *r, unsigned column)
{
	const char *p = r->head.p;

	for (unsigned i = 0; p != NULL && p < r->head.p + r->head.len; i++, p += strlen(p) + 1)
		if (i == column)
			return p;
	return "";
}

/* "column: cell; column: cell", so that a row can be understood alone. The row gathers in item. */
static int end_cell(struct reader *r)
{
	unsigned column = r->column++;
	const char *h = column < COLUMNS_MAX ? head_of(r, column) : "";

	if (r->in_head) {
		buf_append(&r->head, r->text.p != NULL ? r->text.p : "", r->text.len);
		buf_append(&r->head, "", 1);
	}
	if (r->text.len == 0)
		return r->head.failed;
	if (r->item.len == 0)
		r->item_line = r->block_line;
	else
		buf_puts(&r->item, "; ");
	if (!r->in_head && *h != '\0') {
		buf_puts(&r->item, h);
		buf_puts(&r->item, ": ");
	}
	buf_append(&r->item, r->text.p, r->text.len);
	return r->item.failed;
}

/* A row that says something is a memory; short ones are gathered like list items, or they would crowd every short
 * question. */
static int end_row(struct reader *r)
{
	int e = 0;

	if (!r->in_head && r->item.len > 0 && r->item.len < ROW_ALONE) {
		e = end_item(r);
	} else if (!r->in_head && r->item.len > 0) {
		e = flush_group(r);
		if (e == 0)
			e = emit(r, r->item.p, r->item.len, r->item_line, false);
	}
	buf_clear(&r->item);
	r->column = 0;
	return e;
}

static void start_block(struct reader *r)
{
	buf_clear(&r->text);
	r->fresh = true;
	r->block_line = r->line;
}

static int set_lang(struct reader *r, const MD_BLOCK_CODE_DETAIL *d)
{
	r->lang_offset = r->im->text.len;
	r->lang_n = d->lang.size < 32 ? d->lang.size : 0;
	return buf_append(&r->im->text, d->lang.text != NULL ? d->lang.text : "", r->lang_n);
}

static int enter_list(struct reader *r, const MD_BLOCK_OL_DETAIL *numbers)
{
	int e = 0;

	if (r->lists == 0) {
		buf_clear(&r->item);
		r->lead_used = false;
	} else {
		e = into_item(r); /* a tight item's own text, in front of the nested list */
		start_block(r);
	}
	if (r->lists < LISTS_MAX) {
		r->list[r->lists].mark = numbers != NULL ? numbers->mark_delimiter : 0;
		r->list[r->lists].next = numbers != NULL ? numbers->start : 0;
	}
	r->lists++;
	return e;
}

static void enter_item(struct reader *r, const MD_BLOCK_LI_DETAIL *d)
{
	unsigned at = r->lists - 1;

	if (r->lists > 0 && r->lists <= LISTS_MAX) {
		r->list[at].number = r->list[at].next++;
		r->list[at].fresh = true;
	}
	if (d->is_task)
		r->mark = d->task_mark == ' ' ? "[ ] " : "[x] ";
}

static int enter_block(MD_BLOCKTYPE type, void *detail, void *arg)
{
	struct reader *r = arg;
	int e = 0;

	switch (type) {
	case MD_BLOCK_UL:
	case MD_BLOCK_OL:
		return enter_list(r, type == MD_BLOCK_OL ? detail : NULL);
	case MD_BLOCK_TABLE:
		e = r->lists > 0 ? into_item(r) : flush_lead(r);
		buf_clear(&r->head);
		r->in_table = r->lists == 0;
		break;
	case MD_BLOCK_THEAD:
		r->in_head = true;
		break;
	case MD_BLOCK_CODE:
		if (r->lists > 0)
			e = into_item(r);
		if (e == 0)
			e = set_lang(r, detail);
		break;
	case MD_BLOCK_LI:
		enter_item(r, detail);
		break;
	case MD_BLOCK_P:
	case MD_BLOCK_H:
	case MD_BLOCK_HTML:
		r->in_html = type == MD_BLOCK_HTML;
		if (r->lists > 0)
			e = into_item(r);
		break;
	default:
		break;
	}
	start_block(r);
	return e;
}

static int leave_list(struct reader *r)
{
	int e;

	if (--r->lists > 0)
		return 0;
	e = flush_group(r);
	if (e == 0 && !r->lead_used)
		e = flush_lead(r);
	buf_clear(&r->lead);
	r->mark = NULL;
	return e;
}

static int leave_block(MD_BLOCKTYPE type, void *detail, void *arg)
{
	struct reader *r = arg;
	int e = 0;

	switch (type) {
	case MD_BLOCK_UL:
	case MD_BLOCK_OL:
		return leave_list(r);
	case MD_BLOCK_LI:
		e = into_item(r);
		if (e == 0 && r->lists == 1)
			e = end_item(r);
		break;
	case MD_BLOCK_H:
		e = r->lists > 0 ? into_item(r) : flush_lead(r);
		if (e == 0 && r->lists == 0)
			e = heading(r, ((MD_BLOCK_H_DETAIL *)detail)->level);
		break;
	case MD_BLOCK_HTML:
		e = end_html(r);
		break;
	case MD_BLOCK_P:
		e = end_paragraph(r);
		break;
	case MD_BLOCK_CODE:
		e = end_code(r);
		break;
	case MD_BLOCK_TH:
	case MD_BLOCK_TD:
		e = r->in_table ? end_cell(r) : into_item(r);
		break;
	case MD_BLOCK_TR:
		e = r->in_table ? end_row(r) : 0;
		break;
	case MD_BLOCK_THEAD:
		r->in_head = false;
		break;
	case MD_BLOCK_TABLE:
		r->in_table = false;
		e = flush_group(r);
		break;
	default:
		break;
	}
	start_block(r);
	return e;
}

static int enter_span(MD_SPANTYPE type, void *detail, void *arg)
{
	struct reader *r = arg;

	(void)detail;
	if (type == MD_SPAN_A)
		r->link_at = r->text.len;
	return 0;
}

/* A link's address is kept where it leads outward and is not its own text: somebody may ask for it. */
static int leave_span(MD_SPANTYPE type, void *detail, void *arg)
{
	struct reader *r = arg;
	const MD_ATTRIBUTE *href;
	size_t n;

	if (type != MD_SPAN_A || r->text.len < r->link_at)
		return 0;
	href = &((MD_SPAN_A_DETAIL *)detail)->href;
	n = r->text.len - r->link_at;
	if (href->size < 8 || strncmp(href->text, "http", 4) != 0 ||
	    (n == href->size && memcmp(r->text.p + r->link_at, href->text, n) == 0))
		return 0;
	if (n > 0)
		buf_puts(&r->text, " (");
	buf_append(&r->text, href->text, href->size);
	return n > 0 ? buf_puts(&r->text, ")") : r->text.failed;
}

/* md4c points into the chunk for most texts; line numbers only ever grow. */
static void count_lines(struct reader *r, const char *p)
{
	if (p < r->counted || p >= r->chunk + r->len)
		return;
	for (; r->counted < p; r->counted++)
		r->line += *r->counted == '\n';
	if (r->fresh)
		r->block_line = r->line;
	r->fresh = false;
}

static int text(MD_TEXTTYPE type, const MD_CHAR *p, MD_SIZE n, void *arg)
{
	struct reader *r = arg;

	count_lines(r, p);
	switch (type) {
	case MD_TEXT_NULLCHAR:
		return buf_append(&r->text, "", 1); /* piece_add() will refuse the piece */
	case MD_TEXT_BR:
		return buf_puts(&r->text, "\n");
	case MD_TEXT_SOFTBR:
		return buf_puts(&r->text, " ");
	case MD_TEXT_ENTITY:
		return entity_put(&r->text, p, n);
	case MD_TEXT_HTML:
		if (r->in_html)
			return buf_append(&r->text, p, n);
		if (n >= 3 && strncasecmp(p, "<br", 3) == 0)
			return buf_puts(&r->text, "\n");
		return 0; /* a tag inside a line is markup */
	default:
		return buf_append(&r->text, p, n);
	}
}

static int finish_chunk(struct reader *r, bool last)
{
	int e = flush_lead(r);

	return e == 0 && last ? close_heading(r, 1) : e;
}

static void reader_free(struct reader *r)
{
	struct buf *all[] = {&r->text, &r->lead, &r->item, &r->group, &r->head};

	for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
		buf_free(all[i]);
}

static int parse(struct import *im, const char *p, size_t n, bool last)
{
	static const MD_PARSER parser = {.flags = MD_FLAG_TABLES | MD_FLAG_STRIKETHROUGH | MD_FLAG_TASKLISTS,
					 .enter_block = enter_block,
					 .leave_block = leave_block,
					 .enter_span = enter_span,
					 .leave_span = leave_span,
					 .text = text};
	struct reader r = {.im = im, .h = im->headings, .chunk = p, .counted = p, .len = n, .line = im->line};
	int e = set_path(&r);

	if (e == 0)
		e = md_parse(p, (MD_SIZE)n, &parser, &r);
	if (e == 0)
		e = finish_chunk(&r, last);
	reader_free(&r);
	return e == 0 ? 0 : TR_ENOMEM; /* md4c fails for want of memory only */
}

int markdown_turn(struct import *im)
{
	const char *p = im->cfg.data + im->pos;
	size_t left = im->cfg.len - im->pos, n;
	int r;

	if (im->headings == NULL) {
		im->headings = calloc(1, sizeof *im->headings);
		if (im->headings == NULL)
			return TR_ENOMEM;
		n = markdown_front_matter(p, left);
		for (size_t i = 0; i < n; i++)
			im->line += p[i] == '\n';
		im->pos += n;
		p += n;
		left -= n;
	}
	n = markdown_chunk(p, left);
	r = parse(im, p, n, n == left);
	im->pos += n;
	for (size_t i = 0; i < n; i++)
		im->line += p[i] == '\n';
	return r;
}

void markdown_free(struct import *im)
{
	free(im->headings);
}
