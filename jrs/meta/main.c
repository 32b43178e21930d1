/* meta-jr: watches. It works on samples it asks for and owns no data. */
#include "common/log/log.h"
#include "jrs/kit/jr.h"
#include "jrs/meta/roles.h"
#include "jrs/meta/sampler.h"

/* meta.time_scale makes the clock run faster, for tests: at 780 thirteen minutes are a second. */
static uint64_t analysis_period_ms(const struct tr_config *cfg)
{
	uint64_t ms = (uint64_t)cfg->analysis_period_s * 1000 / cfg->time_scale;

	return ms > 0 ? ms : 1;
}

struct parts {
	struct decided *decided;
	struct sampler *sampler;
	struct roles *roles;
};

static void on_lead(void *arg, uint64_t epoch)
{
	struct parts *p = arg;

	(void)epoch;
	sampler_start(p->sampler);
	roles_start(p->roles);
}

static int make_parts(struct parts *p, struct jr *jr, const struct jr_opts *opts)
{
	struct decided_cfg decided = {jr_loop(jr), jr_peer(jr, TR_ROLE_MEMORY), TR_ROLE_META,
				      opts->cfg.request_timeout_ms, 0};
	struct sampler_cfg cfg = {.loop = jr_loop(jr),
				  .memory = decided.memory,
				  .period_ms = analysis_period_ms(&opts->cfg),
				  .timeout_ms = opts->cfg.request_timeout_ms};
	int r = decided.memory == NULL ? TR_ENOMEM : decided_new(&p->decided, &decided);

	cfg.decided = p->decided;
	if (r == 0 && (r = sampler_new(&p->sampler, &cfg)) == 0)
		r = roles_new(&p->roles, jr, p->decided);
	return r;
}

int main(int argc, char **argv)
{
	struct parts parts = {NULL, NULL, NULL};
	struct jr_opts opts;
	struct jr *jr = NULL;
	int r;

	if ((r = jr_opts_parse(&opts, TR_ROLE_META, argc, argv)) != 0)
		return r < 0 ? tr_exit_code(r) : 0;
	if ((r = jr_open(&jr, &opts)) < 0 || (r = make_parts(&parts, jr, &opts)) < 0)
		goto out;
	jr_handle(jr, MSG_meta_anomalies, sampler_anomalies, parts.sampler);
	jr_on_ballot(jr, sampler_ballot, parts.sampler);
	jr_on_lead(jr, on_lead, &parts);
	if ((r = jr_ready(jr)) < 0)
		goto out;
	r = jr_run(jr);
out:
	if (r < 0)
		log_error("meta-jr: leaving: %s", tr_strerror(r));
	roles_free(&parts.roles);
	sampler_free(&parts.sampler);
	decided_free(&parts.decided);
	jr_close(&jr);
	return tr_exit_code(r);
}
