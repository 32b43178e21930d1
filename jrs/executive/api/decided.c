/* What executive-jr decides by itself, in the decision log: that it sheds load, and that it stops to. */
#include "jrs/kit/decided.h"
#include "common/base/clock.h"
#include "common/log/log.h"
#include "jrs/executive/api/internal.h"

void api_decided(struct api *api, const char *topic, const char *text)
{
	const struct decided_cfg cfg = {api->cfg.loop, api->cfg.memory, TR_ROLE_EXECUTIVE, api->cfg.request_timeout_ms,
					0};

	if (api->draining)
		return;
	if (api->decided == NULL && decided_new(&api->decided, &cfg) < 0)
		log_warn("a decision was not written: out of memory");
	else
		decided_say(api->decided, topic, DECIDED_HOUR_MS, tr_wall_ms(), "%s", text);
}
