/* Acts of governance on the command line: made of words, shown to a person, read from files. */
#ifndef SUPERVISOR_CTL_ACTS_H
#define SUPERVISOR_CTL_ACTS_H
#include "supervisor/ctl/ctl.h"

/* "delete ID", "constants base=41 k=9", "object ACT" ...: *out gets act and what it is about; texts are the words'.
 * NULL, or what is wrong, ready to print; "": the first word is no act, so it may be a file. */
const char *act_of_words(struct item_act *out, const char *const *words, unsigned n);
/* The whole file, "-": standard input; at most max bytes. The reason has been printed when it fails. */
enum ctl_exit act_read(const struct ctl *c, const char *path, size_t max, struct buf *out);
show_fn show_acts, show_governed;

#endif
