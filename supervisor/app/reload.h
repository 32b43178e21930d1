/* A new configuration for a running tribe: read, checked as a whole, then given to the Jrs one after the other, the
 * next only when the one before is up. Wrong or impossible: nothing changes. Crash budgets survive. */
#ifndef SUPERVISOR_APP_RELOAD_H
#define SUPERVISOR_APP_RELOAD_H
#include "proto/chan/server.h"
#include "supervisor/app/tribe.h"

struct reload;
int reload_new(struct reload **out, struct tribe *t);
/* call: answered when every Jr has the new configuration, or when it is certain that one does not come up with it; NULL
 * (SIGHUP): the log says what came of it. */
void reload_begin(struct reload *r, struct chan_call *call);
bool reload_needs_restart(const char *key); /* a running tribe cannot change that one */
/* Says why a configuration was refused: without the file's directory, which the asker knows. Returns TR_ECONFIG. */
int reload_wrong(const struct tribe *t, const char *text, struct tr_fault *fault);
void reload_roll(struct reload *r);      /* replaces every Jr that has not what it would be given now */
void reload_on_change(struct reload *r); /* a Jr's state is another */
void reload_free(struct reload **r);     /* whoever still waits is told so */

#endif
