/* A request over HTTP on loopback, composed beforehand, and whether its answer is a good one. */
#ifndef TESTS_BENCH_WEB_H
#define TESTS_BENCH_WEB_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WEB_ID_MAX     64
#define WEB_ANSWER_MAX (256u << 10)

struct web_request {
	char p[1536], want[WEB_ID_MAX + 16]; /* want: what a good answer holds, empty: anything */
	size_t n;
};
/* A recall of a known id that heats nothing; a durable add under an id of the client's own, which is its
 * Idempotency-Key, too; a question; anything else that is read. */
void web_recall(struct web_request *q, const char *id);
void web_add(struct web_request *q, const char *id, const char *text);
void web_ask(struct web_request *q, const char *question);
void web_get(struct web_request *q, const char *path);

/* A connection of its own; -1: refused. */
int web_dial(uint16_t port);
bool web_send(int fd, const struct web_request *q);

enum web_end { WEB_MORE, WEB_GOOD, WEB_BAD, WEB_EOF, WEB_RESET };
struct web_answer {
	char *p; /* owned, WEB_ANSWER_MAX + 1 bytes */
	size_t have;
};
void web_answer_new(struct web_answer *a);
void web_answer_free(struct web_answer *a);
/* Reads what is there (the socket is readable) of q's answer. WEB_GOOD, WEB_BAD: it is all here, and a is ready for the
 * next. */
enum web_end web_read(int fd, const struct web_request *q, struct web_answer *a);

#endif
