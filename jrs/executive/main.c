/* executive-jr: the face. HTTP in front, the other Jrs behind. */
#include "common/base/version.h"
#include "common/log/log.h"
#include "jrs/executive/api/api.h"
#include "jrs/kit/jr.h"
#include <jansson.h>
#include <string.h>

#define HEAD_TIMEOUT_MS 10000
#define BODY_TIMEOUT_MS 30000
#define IDLE_TIMEOUT_MS 75000
#define SYNTHESIS_MS    1500

struct face {
	struct jr *jr;
	struct api *api;
	struct http_server *http;
	char host[CFG_STR_MAX]; /* of http.listen, without the port */
};

static int ask_tribed(void *arg, uint32_t timeout_ms, peer_cb *cb, void *cb_arg)
{
	struct face *f = arg;
	struct msg_status msg = {0};

	return jr_ask_supervisor(f->jr, MSG_status, &msg, timeout_ms, cb, cb_arg);
}

static void on_done(void *arg, bool error)
{
	jr_count(((struct face *)arg)->jr, 1, error);
}

static void on_beat(void *arg, struct msg_heartbeat *beat)
{
	beat->inflight += api_inflight(((struct face *)arg)->api);
}

static void on_drained(void *arg)
{
	jr_drained(((struct face *)arg)->jr);
}

static void on_drain(void *arg)
{
	struct face *f = arg;

	http_server_drain(f->http, on_drained, f);
}

static int face_open(struct face *f, const struct jr_opts *opts)
{
	struct api_cfg api = {.memory = jr_peer(f->jr, TR_ROLE_MEMORY),
			      .integration = jr_peer(f->jr, TR_ROLE_INTEGRATION),
			      .meta = jr_peer(f->jr, TR_ROLE_META),
			      .status = ask_tribed,
			      .on_done = on_done,
			      .arg = f,
			      .request_timeout_ms = opts->cfg.request_timeout_ms,
			      .synthesis_timeout_ms = SYNTHESIS_MS,
			      .postgres = strncmp(opts->cfg.archive_url, "postgresql:", 11) == 0,
			      .listen_host = f->host};
	struct http_server_cfg http = {.loop = jr_loop(f->jr),
				       .fd = opts->http_fd,
				       .max_conns = opts->cfg.http_max_conns,
				       .max_body = API_MAX_BODY,
				       .head_timeout_ms = HEAD_TIMEOUT_MS,
				       .body_timeout_ms = BODY_TIMEOUT_MS,
				       .idle_timeout_ms = IDLE_TIMEOUT_MS,
				       .on_request = api_request,
				       .on_refused = api_refused};
	int r;

	if (opts->http_fd < 0)
		return TR_EPROTO; /* tribed hands it over */
	if (api.memory == NULL || api.integration == NULL || api.meta == NULL)
		return TR_ENOMEM;
	memcpy(f->host, opts->cfg.http_listen, sizeof(f->host));
	if (strrchr(f->host, ':') != NULL)
		*strrchr(f->host, ':') = '\0';
	if ((r = api_new(&f->api, &api)) < 0)
		return r;
	http.arg = f->api;
	if ((r = http_server_new(&f->http, &http)) < 0)
		return r;
	jr_handle(f->jr, MSG_executive_ask, api_rpc_ask, f->api);
	jr_on_beat(f->jr, on_beat, f);
	jr_on_drain(f->jr, on_drain, f);
	return 0;
}

int main(int argc, char **argv)
{
	const struct tr_library libs[] = {{"llhttp", http_parser_version()}, {"jansson", jansson_version_str()}};
	struct face f = {0};
	struct jr_opts opts;
	int r;

	jr_libraries(libs, sizeof(libs) / sizeof(*libs));
	if ((r = jr_opts_parse(&opts, TR_ROLE_EXECUTIVE, argc, argv)) != 0)
		return r < 0 ? tr_exit_code(r) : 0;
	if ((r = jr_open(&f.jr, &opts)) < 0 || (r = face_open(&f, &opts)) < 0 || (r = jr_ready(f.jr)) < 0)
		goto out;
	r = jr_run(f.jr); /* every call to another Jr has ended when it returns */
out:
	if (r < 0)
		log_error("leaving reason=\"%s\"", tr_strerror(r));
	http_server_free(&f.http);
	jr_close(&f.jr);
	api_free(&f.api);
	return tr_exit_code(r);
}
