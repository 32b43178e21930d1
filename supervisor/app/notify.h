/* What systemd wants to know. Without NOTIFY_SOCKET every call is a no-op. */
#ifndef SUPERVISOR_APP_NOTIFY_H
#define SUPERVISOR_APP_NOTIFY_H
#include "common/loop/loop.h"

struct notify;
/* Starts the watchdog's beat, from the loop that does the work, when WATCHDOG_USEC asks for it. */
int notify_new(struct notify **out, uv_loop_t *loop);
void notify_ready(void);
void notify_stopping(void);
void notify_status(const char *text);
void notify_free(struct notify **n);

#endif
