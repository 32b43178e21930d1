#include "supervisor/ctl/commands.h"

enum ctl_exit cmd_analyze(struct ctl *c, const struct ctl_args *a)
{
	struct msg_meta_anomalies msg = {.common = {.has_request_id = false}};

	(void)a; /* the parser knows that it is anomalies: the others are of a later version */
	return ctl_ask(c, MSG_meta_anomalies, &msg, show_anomalies);
}
