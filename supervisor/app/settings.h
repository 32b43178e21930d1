/* `config`: the settings in force, for `tribectl config`. */
#ifndef SUPERVISOR_APP_SETTINGS_H
#define SUPERVISOR_APP_SETTINGS_H
#include "proto/chan/server.h"
#include "supervisor/app/tribe.h"

/* Reads the configuration again, as a reload would, to say where it differs by now; changes nothing. Secrets are
 * masked. */
void settings_answer(const struct tribe *t, struct chan_call *call);

#endif
