/* Answers of POST /ask that can be given again for the same Idempotency-Key. Kept in memory only: an answer is not an
 * effect, so after a restart of executive-jr the question is simply answered anew. Bounded in number, bytes and age;
 * the oldest go first. Pure: time is passed in. Keys are strings, digests those of the question. */
#ifndef JRS_EXECUTIVE_API_REPLAY_H
#define JRS_EXECUTIVE_API_REPLAY_H
#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/base/text.h"
#include <stdint.h>

#define REPLAY_MAX_ENTRIES 1024
#define REPLAY_MAX_BYTES   (16u << 20) /* of all answers together */
#define REPLAY_MS          (24u * 3600 * 1000)

struct replay;
int replay_new(struct replay **out, unsigned max_entries, size_t max_bytes);
void replay_free(struct replay **r);
/* 0: not known; it is noted as being answered, and replay_done() or replay_drop() must follow. 1: *out is the answer,
 * borrowed until the next call. TR_ECONFLICT: it is being answered now. TR_EMISMATCH: the key was another question's.
 * TR_EBUSY: too many are being answered. TR_ENOMEM. */
int replay_begin(struct replay *r, const char *key, const unsigned char digest[TR_SHA256_LEN], uint64_t now_ms,
		 const struct buf **out);
void replay_done(struct replay *r, const char *key, const struct buf *answer, uint64_t now_ms); /* copied, if it fits */
/* A memory has been forgotten: every answer that names it (n bytes as they stand in answers) goes, and what is being
 * answered now will not be kept. A key that goes is new again. */
void replay_forget(struct replay *r, const char *id, size_t n);
void replay_drop(struct replay *r, const char *key); /* there is no answer: the same key may try again */

#endif
