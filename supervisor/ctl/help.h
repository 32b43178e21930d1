/* Help and hints, written from the table of commands. Pure. */
#ifndef SUPERVISOR_CTL_HELP_H
#define SUPERVISOR_CTL_HELP_H
#include "common/base/buf.h"
#include "supervisor/ctl/args.h"
#include <stddef.h>

void ctl_help_all(struct buf *out, const struct ctl_option *globals, const struct ctl_command *commands);
void ctl_help_command(struct buf *out, const struct ctl_option *globals, const struct ctl_command *c);

/* What an exit status means, for a person: [enum ctl_exit]. */
#define CTL_NEXITS (CTL_INTERNAL + 1)
extern const char *const ctl_exit_text[CTL_NEXITS];
/* Of "a|b||c": the length of "a|b", and "c" (NULL without "||"). NULL is fine. */
int ctl_shown(const char *words);
const char *ctl_shown_later(const char *words);

/* "; did you mean status or start?", or what else helps when nothing is near. */
void ctl_near_command(char *out, size_t size, const struct ctl_command *commands, const char *word);
void ctl_near_option(char *out, size_t size, const struct ctl_option *globals, const struct ctl_command *c,
		     const char *word);
/* Edits (insert, delete, change, swap of neighbours) that turn a into b; only the first 31 bytes of each count. */
unsigned ctl_distance(const char *a, const char *b);

#endif
