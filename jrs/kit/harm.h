/* The harms a Jr does itself when a drill asks for it: those of common/base/harms.h that are INSIDE. */
#ifndef JRS_KIT_HARM_H
#define JRS_KIT_HARM_H
#include "common/base/harms.h"
#include "proto/chan/server.h"
#include <stdbool.h>

struct harm;
/* For half-open: what the Jr answers elsewhere than on its socket. May be called while nothing changes. */
typedef void harm_cb(void *arg, bool half_open);

/* allowed: `drills`. server: borrowed. */
int harm_open(struct harm **out, uv_loop_t *loop, struct chan_server *server, bool allowed);
void harm_on_half_open(struct harm *h, harm_cb *cb, void *arg);
/* Many of them do not come back. One that lasts ends those before it. TR_EREFUSED: not allowed; TR_EINVAL: not such a harm. */
int harm_begin(struct harm *h, const struct msg_fault *m);
void harm_heal(struct harm *h);
void harm_close(struct harm **h); /* NULL is fine */

#endif
