/* What the table of commands calls. Each prints its result and says with which status to leave. */
#ifndef SUPERVISOR_CTL_COMMANDS_H
#define SUPERVISOR_CTL_COMMANDS_H
#include "supervisor/ctl/ctl.h"

typedef enum ctl_exit cmd_fn(struct ctl *c, const struct ctl_args *a);
/* cmd_tribe.c, cmd_top.c, cmd_follow.c, cmd_life.c: tribed itself */
cmd_fn cmd_status, cmd_top, cmd_heartbeats, cmd_events, cmd_restart, cmd_stop, cmd_start, cmd_reload, cmd_shutdown;
/* cmd_memory.c, cmd_export.c */
cmd_fn cmd_remember, cmd_recall, cmd_ask, cmd_forget, cmd_thermal, cmd_explain, cmd_decide, cmd_decisions, cmd_audit, cmd_export;
/* cmd_token.c */
cmd_fn cmd_token;
/* cmd_vote.c */
cmd_fn cmd_vote, cmd_votes;
/* cmd_meta.c, cmd_doctor.c, cmd_config.c */
cmd_fn cmd_analyze, cmd_doctor, cmd_config;
/* cmd_import.c, cmd_drill.c */
cmd_fn cmd_import, cmd_drill;
/* cmd_governance.c, cmd_sign.c */
cmd_fn cmd_governance, cmd_sign;
/* cmd_backup.c, cmd_restore.c */
cmd_fn cmd_backup, cmd_restore, cmd_verify_backup;

#endif
