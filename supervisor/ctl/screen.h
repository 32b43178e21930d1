/* A terminal taken over for a while: the other screen, no cursor, keys without Enter and echo; given back as it was.
 * The terminal is that of standard output; keys come from standard input when that is a terminal too. One at a time. */
#ifndef SUPERVISOR_CTL_SCREEN_H
#define SUPERVISOR_CTL_SCREEN_H
#include "common/base/buf.h"
#include <stddef.h>
#include <stdint.h>

struct screen;
enum screen_event { SCREEN_LEAVE, SCREEN_DRAW };

/* -errno or TR_ENOMEM; the terminal is then as it was. */
int screen_open(struct screen **out);
void screen_close(struct screen **s); /* NULL is fine */
unsigned screen_rows(const struct screen *s);
/* Until that time (tr_mono_ms), a key, a new size of the window, or a signal. SCREEN_LEAVE: q, Ctrl-C, or the terminal
 * is gone. Ctrl-Z stops the program with the terminal given back, and takes it again afterwards. */
enum screen_event screen_wait(struct screen *s, uint64_t until_ms);
/* The bytes that draw text (lines, each with its line break) from the top, at most rows of them, and clear the rest.
 * Pure. */
void screen_frame(struct buf *out, const char *text, size_t n, unsigned rows);

#endif
