/* integration-jr: the door to the outside. It imports documents and makes answers out of sources; it owns no data. */
#include "common/log/log.h"
#include "jrs/integration/handlers.h"
#include "jrs/kit/jr.h"

int main(int argc, char **argv)
{
	struct decided_cfg decisions;
	struct decided *decided = NULL;
	struct integration *in = NULL;
	struct integration_cfg cfg;
	struct jr_opts opts;
	struct jr *jr = NULL;
	int r;

	if ((r = jr_opts_parse(&opts, TR_ROLE_INTEGRATION, argc, argv)) != 0)
		return r < 0 ? tr_exit_code(r) : 0;
	if ((r = jr_open(&jr, &opts)) < 0)
		goto out;
	cfg = (struct integration_cfg){
		.loop = jr_loop(jr), .memory = jr_peer(jr, TR_ROLE_MEMORY), .timeout_ms = opts.cfg.request_timeout_ms};
	decisions = (struct decided_cfg){cfg.loop, cfg.memory, TR_ROLE_INTEGRATION, cfg.timeout_ms, 0};
	r = cfg.memory == NULL ? TR_ENOMEM : decided_new(&decided, &decisions);
	cfg.decided = decided;
	if (r < 0 || (r = integration_new(&in, &cfg)) < 0)
		goto out;
	jr_handle(jr, MSG_integration_synthesise, integration_synthesise, in);
	jr_handle(jr, MSG_integration_import, integration_import, in);
	jr_on_ballot(jr, integration_ballot, in);
	if ((r = jr_ready(jr)) < 0)
		goto out;
	r = jr_run(jr);
out:
	if (r < 0)
		log_error("integration-jr: leaving: %s", tr_strerror(r));
	integration_free(&in);
	decided_free(&decided);
	jr_close(&jr);
	return tr_exit_code(r);
}
