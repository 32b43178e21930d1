/* Going into the background: the caller's process stays until the daemon reports, then leaves with its result. */
#ifndef SUPERVISOR_PROC_DETACH_H
#define SUPERVISOR_PROC_DETACH_H

/* Call before anything else is open. Forks twice (no controlling terminal, no session to lead). In the daemon returns a
 * descriptor to report on; in the caller waits for that report and returns -1 - exit status, the reason being in
 * `reason` (when all is well: what the daemon wants its user to read, usually nothing). A failed fork returns -1 - 5.
 */
int detach(char *reason, unsigned reason_size);
/* From the daemon: the reason why it will not be ready. Closes *fd, sets it to -1; -1 is fine. */
void detach_report(int *fd, const char *why);
/* The same: it is ready. text: for the user's standard output, or NULL; shorter than DETACH_TEXT_MAX. */
#define DETACH_TEXT_MAX 4000
void detach_ready(int *fd, const char *text);
/* stdin and stdout become /dev/null, stderr the log file (appended, 0600). 0 or a negative errno. */
int detach_stdio(const char *log_path);
/* Descriptors 0-2 that were closed by whoever started us become /dev/null, so that no socket lands there. */
int detach_guard_stdio(void);

#endif
