#include "supervisor/ctl/git_log.h"
#include "common/base/err.h"
#include <inttypes.h>
#include <string.h>

/* In the order they come. git closes each record with an empty field; behind a message with changed files stands a line
 * break, then their names. The next record begins with an empty field, which so ends the names. */
enum field { F_LEAD, F_SHA, F_TIME, F_AUTHOR, F_PARENTS, F_MESSAGE, F_CLOSE, F_NAME };

static size_t keep_of(unsigned field)
{
	return field == F_MESSAGE ? GIT_MESSAGE_BYTES + 4 : GIT_TEXT_BYTES;
}

void git_log_free(struct git_log *g)
{
	buf_free(&g->text);
	buf_free(&g->head);
	buf_free(&g->message);
	buf_free(&g->names);
	buf_free(&g->piece);
	*g = (struct git_log){.field = F_LEAD};
}

bool git_log_piece(const struct git_log *g)
{
	return g->records >= GIT_PIECE_RECORDS || g->piece.len >= GIT_PIECE_BYTES;
}

void git_log_next(struct git_log *g)
{
	buf_clear(&g->piece);
	g->records = 0;
}

static int put(struct buf *b, const struct buf *text)
{
	if (text->len > 0)
		(void)buf_append(b, text->p, text->len);
	(void)buf_append(b, "", 1);
	return b->failed;
}

static int end_record(struct git_log *g)
{
	struct buf *b = &g->piece;

	(void)buf_append(b, g->head.p, g->head.len);
	(void)buf_printf(b, "%" PRIu64 "%c%" PRIu64 "%c%" PRIu64 "%c", g->parents, 0, g->files, 0, g->message_bytes, 0);
	(void)put(b, &g->message);
	if (g->names.len > 0)
		(void)buf_append(b, g->names.p, g->names.len);
	(void)buf_append(b, "", 1);
	g->records++;
	g->total++;
	return b->failed;
}

static int begin_record(struct git_log *g)
{
	buf_clear(&g->head);
	buf_clear(&g->message);
	buf_clear(&g->names);
	g->message_bytes = g->parents = g->files = 0;
	g->full = false;
	return g->bytes == 40 || g->bytes == 64 ? put(&g->head, &g->text) : TR_EPROTO;
}

static uint64_t words(const struct buf *b)
{
	uint64_t n = b->len > 0;

	for (size_t i = 0; i < b->len; i++)
		n += b->p[i] == ' ';
	return n;
}

static int name(struct git_log *g)
{
	bool whole = g->bytes == g->text.len;

	if (g->files++ == 0 && g->text.len > 0 && *g->text.p == '\n')
		buf_consume(&g->text, 1);
	g->full = g->full || !whole || g->names.len + g->text.len >= GIT_NAMES_BYTES;
	return g->full || g->text.len == 0 ? 0 : put(&g->names, &g->text);
}

/* The field in hand is whole. */
static int end_field(struct git_log *g)
{
	int r = 0;

	switch ((enum field)g->field) {
	case F_LEAD:
		r = g->bytes > 0 ? TR_EPROTO : 0;
		break;
	case F_SHA:
		r = begin_record(g);
		break;
	case F_TIME:
	case F_AUTHOR:
		r = put(&g->head, &g->text);
		break;
	case F_PARENTS:
		g->parents = words(&g->text);
		break;
	case F_MESSAGE:
		r = g->text.len > 0 ? buf_append(&g->message, g->text.p, g->text.len) : 0;
		g->message_bytes = g->bytes;
		break;
	case F_CLOSE:
		r = g->bytes > 0 ? TR_EPROTO : 0;
		break;
	case F_NAME:
		r = g->bytes > 0 ? name(g) : end_record(g);
		break;
	}
	g->field = g->field < F_NAME ? g->field + 1 : g->bytes > 0 ? F_NAME : F_SHA;
	g->bytes = 0;
	buf_clear(&g->text);
	return r;
}

int git_log_feed(struct git_log *g, const char *p, size_t n, size_t *taken)
{
	int r = 0;

	*taken = 0;
	while (r == 0 && *taken < n && !git_log_piece(g)) {
		const char *from = p + *taken, *end = memchr(from, 0, n - *taken);
		size_t len = end != NULL ? (size_t)(end - from) : n - *taken, room = keep_of(g->field) - g->text.len;

		g->bytes += len;
		if (len > 0 && room > 0)
			r = buf_append(&g->text, from, len < room ? len : room);
		*taken += len + (end != NULL);
		if (r == 0 && end != NULL)
			r = end_field(g);
	}
	return r;
}

int git_log_end(struct git_log *g)
{
	bool whole = g->bytes == 0 && (g->field == F_LEAD || g->field == F_NAME);
	int r = !whole ? TR_EPROTO : g->field == F_NAME ? end_record(g) : 0;

	g->field = F_LEAD;
	g->bytes = 0;
	buf_clear(&g->text);
	return r;
}
