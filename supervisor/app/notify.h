/* What systemd wants to know. Without NOTIFY_SOCKET every call is a no-op. */
#ifndef SUPERVISOR_APP_NOTIFY_H
#define SUPERVISOR_APP_NOTIFY_H
#include "common/loop/loop.h"
#include <stdbool.h>

struct notify;
/* Starts the watchdog's beat, from the loop that does the work, when WATCHDOG_USEC asks for it. */
int notify_new(struct notify **out, uv_loop_t *loop);
/* Words for the service manager, with descriptors. Never waits: false when they cannot leave now (nobody reads there),
 * or without a manager. */
bool notify_send(const char *text, const int *fds, unsigned n);
#define NOTIFY_FDS_MAX 4
void notify_ready(void);
void notify_stopping(void);
void notify_status(const char *text);
void notify_free(struct notify **n);

#endif
