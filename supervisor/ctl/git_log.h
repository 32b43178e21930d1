/* What `git log -z --name-only --format=GIT_LOG_FORMAT` writes, made into pieces for integration-jr, whose records are
 * described in jrs/integration/import/import.h. Pure. A record is bounded whatever a commit holds. */
#ifndef SUPERVISOR_CTL_GIT_LOG_H
#define SUPERVISOR_CTL_GIT_LOG_H
#include "common/base/buf.h"
#include <stdbool.h>
#include <stdint.h>

/* No address of anybody is asked for. No field can hold a NUL: git ends every text at one. */
#define GIT_LOG_FORMAT    "%x00%H%x00%at%x00%an%x00%P%x00%B%x00"
#define GIT_PIECE_BYTES   (1u << 20) /* a piece ends with the record that passes this */
#define GIT_PIECE_RECORDS 4096
#define GIT_MESSAGE_BYTES (64u << 10) /* kept of a message, and a character more: so much a memory holds */
#define GIT_NAMES_BYTES   (16u << 10) /* kept of the names of changed files, whole ones */
#define GIT_TEXT_BYTES    4096        /* kept of any other field */

struct git_log {
	unsigned field; /* in hand */
	struct buf text;
	uint64_t bytes; /* of it; text holds the first ones */
	/* the record under way */
	struct buf head, message, names;
	uint64_t message_bytes, parents, files;
	bool full; /* of names */
	/* what is done */
	struct buf piece;
	uint64_t records; /* in piece */
	uint64_t total;   /* in all pieces */
};

/* Zero-initialised it is at the beginning of a log. */
void git_log_free(struct git_log *g);
/* Takes bytes of p..p+n: all, or up to the end of a full piece, which the caller then takes away with
 * git_log_next(). How pieces are cut depends on the log alone, not on how its bytes come. *taken is set always.
 * TR_ENOMEM, TR_EPROTO: this is no such log. */
int git_log_feed(struct git_log *g, const char *p, size_t n, size_t *taken);
bool git_log_piece(const struct git_log *g); /* is a piece full? */
void git_log_next(struct git_log *g);        /* drops piece and begins the next one */
/* A log has ended; another one may follow. piece holds what is left, maybe nothing, maybe a full one. */
int git_log_end(struct git_log *g);

#endif
