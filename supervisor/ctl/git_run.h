/* Runs git and reads what it says. A repository is not to be trusted: its configuration names programs (pager, hooks,
 * gpg, file system monitor, transports). */
#ifndef SUPERVISOR_CTL_GIT_RUN_H
#define SUPERVISOR_CTL_GIT_RUN_H
#include <stddef.h>
#include <uv.h>

#define GIT_WHY_BYTES 400

struct git_run;

/* args: the words behind "git", NULL-terminated.
 * git_dir NULL: with the user's own configuration, so that git judges by it whether the directory of another user is
 * safe (safe.directory). For `rev-parse`, which starts nothing.
 * git_dir: that repository (git judges its owner no more: ask with NULL first), without any configuration but the
 * repository's, and with all in there that starts programs or speaks to a network switched off.
 * UV_ENOENT: no git in PATH. From here on standard error of git is kept, not shown. */
int git_run_start(struct git_run **out, uv_loop_t *loop, const char *git_dir, const char *const *args);
/* Waits for more of its standard output. *n: bytes, 0: that was all. 0 or -errno. */
int git_run_read(struct git_run *g, char *p, size_t size, size_t *n);
/* Closes its output and waits until it is gone. Its exit status, 128 + signal, or < 0; why: the first line of what it
 * said on standard error, without "fatal: ", any bytes. */
int git_run_end(struct git_run *g, char why[GIT_WHY_BYTES]);
/* Kills it if it still runs. NULL is fine. */
void git_run_free(struct git_run **g);

#endif
