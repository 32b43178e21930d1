/* meta-jr: watches. It works on samples it asks for and owns no data. */
#include "common/log/log.h"
#include "jrs/kit/jr.h"
#include "jrs/meta/sampler.h"

/* meta.time_scale makes the clock run faster, for tests: at 780 thirteen minutes are a second. */
static uint64_t analysis_period_ms(const struct tr_config *cfg)
{
	uint64_t ms = (uint64_t)cfg->analysis_period_s * 1000 / cfg->time_scale;

	return ms > 0 ? ms : 1;
}

static void on_lead(void *arg, uint64_t epoch)
{
	(void)epoch;
	sampler_start(arg);
}

int main(int argc, char **argv)
{
	struct sampler *sampler = NULL;
	struct sampler_cfg cfg;
	struct jr_opts opts;
	struct jr *jr = NULL;
	int r;

	if ((r = jr_opts_parse(&opts, TR_ROLE_META, argc, argv)) != 0)
		return r < 0 ? tr_exit_code(r) : 0;
	if ((r = jr_open(&jr, &opts)) < 0)
		goto out;
	cfg = (struct sampler_cfg){.loop = jr_loop(jr),
				   .memory = jr_peer(jr, TR_ROLE_MEMORY),
				   .period_ms = analysis_period_ms(&opts.cfg),
				   .timeout_ms = opts.cfg.request_timeout_ms};
	r = cfg.memory == NULL ? TR_ENOMEM : sampler_new(&sampler, &cfg);
	if (r < 0)
		goto out;
	jr_handle(jr, MSG_meta_anomalies, sampler_anomalies, sampler);
	jr_on_ballot(jr, sampler_ballot, sampler);
	jr_on_lead(jr, on_lead, sampler);
	if ((r = jr_ready(jr)) < 0)
		goto out;
	r = jr_run(jr);
out:
	if (r < 0)
		log_error("meta-jr: leaving: %s", tr_strerror(r));
	sampler_free(&sampler);
	jr_close(&jr);
	return tr_exit_code(r);
}
