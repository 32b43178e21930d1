/* executive-jr: the face. HTTP in front, the other Jrs behind. */
#include "common/base/text.h"
#include "common/base/version.h"
#include "common/log/log.h"
#include "jrs/executive/api/api.h"
#include "jrs/executive/http/secret.h"
#include "jrs/kit/jr.h"
#include <jansson.h>
#include <string.h>

#define SYNTHESIS_MS 1500
#define STREAMS_MAX  64
#define STREAM_QUEUE (256u << 10) /* seconds of events and heartbeats */
#define KEEPALIVE_MS 15000
#define TOKENS_MS    2000 /* a change is told at once; this is for what was lost on the way */

struct face {
	struct jr *jr;
	struct api *api;
	struct http_server *http;
	uint32_t hang_after_ms;
	char host[CFG_STR_MAX]; /* of http.listen, without the port */
};

static int ask_tribed(void *arg, uint32_t timeout_ms, peer_cb *cb, void *cb_arg)
{
	struct face *f = arg;
	struct msg_status msg = {0};

	return jr_ask_supervisor(f->jr, MSG_status, &msg, timeout_ms, cb, cb_arg);
}

static int ask_drills(void *arg, const struct msg_drills *msg, uint32_t timeout_ms, peer_cb *cb, void *cb_arg)
{
	struct face *f = arg;

	return jr_ask_supervisor(f->jr, MSG_drills, msg, timeout_ms, cb, cb_arg);
}

static int ask_drill(void *arg, const struct msg_drill_start *msg, uint32_t timeout_ms, peer_cb *cb, void *cb_arg)
{
	struct face *f = arg;

	return jr_ask_supervisor(f->jr, MSG_drill_start, msg, timeout_ms, cb, cb_arg);
}

static int ask_events(void *arg, const struct msg_events *msg, uint32_t timeout_ms, peer_cb *cb, void *cb_arg)
{
	struct face *f = arg;

	return jr_ask_supervisor(f->jr, MSG_events, msg, timeout_ms, cb, cb_arg);
}

static void on_done(void *arg, bool error)
{
	jr_count(((struct face *)arg)->jr, 1, error);
}

static void on_beat(void *arg, struct msg_heartbeat *beat)
{
	struct face *f = arg;

	beat->inflight += api_inflight(f->api);
	beat->overdue += api_overdue(f->api, f->hang_after_ms);
}

static void on_lead(void *arg, uint64_t epoch)
{
	struct face *f = arg;

	(void)epoch;
	api_lead(f->api);
	http_server_start(f->http);
}

static void on_drained(void *arg)
{
	jr_drained(((struct face *)arg)->jr);
}

static void on_drain(void *arg)
{
	struct face *f = arg;

	api_drain(f->api);
	http_server_drain(f->http, on_drained, f);
}

struct secrets {
	struct secret certificate, key, client_ca, hash_text;
	unsigned char hash[TR_SHA256_LEN];
};

/* What tribed handed over for TLS and tokens. On failure what was read is still to be wiped. */
static int take_secrets(struct secrets *s, const struct jr_opts *opts)
{
	int r = secret_take(&s->certificate, opts->certificate_fd), k = secret_take(&s->key, opts->private_key_fd);
	int h = secret_take(&s->hash_text, opts->token_hash_fd), c = secret_take(&s->client_ca, opts->client_ca_fd);

	if (r < 0 || k < 0 || h < 0 || c < 0)
		return r < 0 ? r : k < 0 ? k : h < 0 ? h : c;
	if ((s->certificate.p == NULL) != (s->key.p == NULL))
		return TR_EPROTO;
	return s->hash_text.p == NULL ? 0 : api_token_hash(s->hash_text.p, s->hash_text.n, s->hash);
}

static void wipe_secrets(struct secrets *s)
{
	secret_wipe(&s->certificate);
	secret_wipe(&s->key);
	secret_wipe(&s->client_ca);
	secret_wipe(&s->hash_text);
}

/* Other certificates. The key lies in the packet's bytes, which are the channel's, and is wiped there. */
static void on_note(void *arg, enum wire_msg_id id, const void *msg)
{
	struct face *f = arg;
	const struct msg_tls *m = msg;
	struct http_certificates c;

	if (id != MSG_tls) {
		api_note(f->api, id, msg);
		return;
	}
	if (m->generation != jr_options(f->jr)->generation)
		return;
	c = (struct http_certificates){.certificate = m->certificate.p,
				       .certificate_n = m->certificate.n,
				       .private_key = (char *)(uintptr_t)m->private_key.p,
				       .private_key_n = m->private_key.n,
				       .client_ca = m->has_client_ca ? m->client_ca.p : NULL,
				       .client_ca_n = m->client_ca.n};
	(void)http_server_renew(f->http, &c);
}

static struct http_server_cfg http_of(struct face *f, const struct jr_opts *opts, const struct secrets *secrets)
{
	return (struct http_server_cfg){.loop = jr_loop(f->jr),
					.fd = opts->http_fd,
					.held = true,
					.max_conns = opts->cfg.http_max_conns,
					.max_body = API_MAX_BODY,
					.head_timeout_ms = opts->cfg.http_head_timeout_ms,
					.body_timeout_ms = opts->cfg.http_body_timeout_ms,
					.idle_timeout_ms = opts->cfg.http_idle_timeout_ms,
					.certificate = secrets->certificate.p,
					.certificate_n = secrets->certificate.n,
					.private_key = secrets->key.p,
					.private_key_n = secrets->key.n,
					.client_ca = secrets->client_ca.p,
					.client_ca_n = secrets->client_ca.n,
					.on_request = api_request,
					.on_refused = api_refused,
					.on_dropped = api_dropped,
					.wants_body = api_wants_body,
					.arg = f->api};
}

static int face_open(struct face *f, const struct jr_opts *opts)
{
	struct api_cfg api = {.memory = jr_peer(f->jr, TR_ROLE_MEMORY),
			      .integration = jr_peer(f->jr, TR_ROLE_INTEGRATION),
			      .meta = jr_peer(f->jr, TR_ROLE_META),
			      .status = ask_tribed,
			      .drills = ask_drills,
			      .drill = ask_drill,
			      .events = ask_events,
			      .loop = jr_loop(f->jr),
			      .max_streams = STREAMS_MAX,
			      .stream_queue = STREAM_QUEUE,
			      .keepalive_ms = KEEPALIVE_MS,
			      .tokens_ms = TOKENS_MS,
			      .rate_per_s = opts->cfg.http_rate_per_s,
			      .rate_burst = opts->cfg.http_rate_burst,
			      .shed_target_ms = opts->cfg.http_shed_target_ms,
			      .on_done = on_done,
			      .arg = f,
			      .request_timeout_ms = opts->cfg.request_timeout_ms,
			      .synthesis_timeout_ms = SYNTHESIS_MS,
			      .capacity = opts->cfg.http_max_conns,
			      .postgres = cfg_archive_is_postgres(&opts->cfg),
			      .cors_origins = opts->cfg.http_cors_origins,
			      .listen_host = f->host};
	struct http_server_cfg http;
	struct secrets secrets = {0};
	int r;

	if ((r = take_secrets(&secrets, opts)) < 0)
		goto out;
	api.token_hash = secrets.hash_text.p != NULL ? secrets.hash : NULL;
	r = opts->http_fd < 0 ? TR_EPROTO : TR_ENOMEM; /* tribed hands it over */
	if (opts->http_fd < 0 || api.memory == NULL || api.integration == NULL || api.meta == NULL)
		goto out;
	f->hang_after_ms = opts->cfg.hang_after_ms;
	memcpy(f->host, opts->cfg.http_listen, sizeof(f->host));
	if (strrchr(f->host, ':') != NULL)
		*strrchr(f->host, ':') = '\0';
	if ((r = api_new(&f->api, &api)) < 0)
		goto out;
	http = http_of(f, opts, &secrets);
	if ((r = http_server_new(&f->http, &http)) < 0)
		goto out;
	api_conns(f->api, &http_server_stats(f->http)->conns);
	jr_handle(f->jr, MSG_executive_ask, api_rpc_ask, f->api);
	jr_handle(f->jr, MSG_executive_vote, api_rpc_vote, f->api);
	jr_handle(f->jr, MSG_executive_tokens, api_rpc_tokens, f->api);
	jr_on_note(f->jr, on_note, f);
	jr_on_beat(f->jr, on_beat, f);
	jr_on_lead(f->jr, on_lead, f);
	jr_on_drain(f->jr, on_drain, f);
	jr_on_half_open(f->jr, api_mute, f->api);
out:
	wipe_secrets(&secrets);
	return r;
}

int main(int argc, char **argv)
{
	const struct tr_library libs[] = {{"llhttp", http_parser_version()}};
	struct face f = {0};
	struct jr_opts opts;
	int r;

	jr_libraries(libs, sizeof(libs) / sizeof(*libs));
	json_object_seed(0); /* else the first answer waits until it is read from a file */
	if ((r = jr_opts_parse(&opts, TR_ROLE_EXECUTIVE, argc, argv)) != 0)
		return r < 0 ? tr_exit_code(r) : 0;
	if ((r = jr_open(&f.jr, &opts)) < 0 || (r = face_open(&f, &opts)) < 0 || (r = jr_ready(f.jr)) < 0)
		goto out;
	r = jr_run(f.jr); /* every call to another Jr has ended when it returns */
out:
	if (r < 0)
		log_error("leaving reason=\"%s\"", tr_strerror(r));
	http_server_free(&f.http);
	api_stop(f.api);
	jr_close(&f.jr);
	api_free(&f.api);
	return tr_exit_code(r);
}
