/* The Jrs behind the API, played by the test program on Unix sockets in a directory of its own, and the API in front of
 * them; all on one loop. Included once by one test program. */
#ifndef TESTS_UNIT_API_FAKE_H
#define TESTS_UNIT_API_FAKE_H
#include "common/loop/loop.h"
#include "jrs/executive/api/api.h"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define WAIT_MS 20000

enum mood { ANSWER, FAIL, SILENT }; /* what a played Jr does */
static struct fixture {
	uv_loop_t loop;
	char dir[64];
	struct chan_server *memory, *integration, *meta;
	struct peer *to_memory, *to_integration, *to_meta, *to_executive;
	struct chan_server *executive;
	struct api *api;
	struct http_server *http;
	struct sockaddr_in addr;
	struct loop_timer *watchdog;
	/* how the played Jrs behave, and what they saw */
	enum mood memory_mood, integration_mood, meta_mood, status_mood;
	int code;                                     /* of FAIL */
	const char *field;                            /* of FAIL; NULL: "importance" */
	const char *memory_state, *integration_state; /* as tribed sees them; NULL: "up" */
	unsigned status_asked;
	unsigned found; /* memories a recall returns */
	bool known;     /* memory.add knows them all */
	struct chan_call *silent[8];
	unsigned nsilent;
	char request_id[129], recall_id[129],
		last[128]; /* of the last call; of the last recall; what the last handler saw */
	uint32_t last_n, deadline;
	unsigned errors;
	enum mood events_mood;
	uint64_t ring_first, ring_last;
	bool ring_falls;
	unsigned events_asked;
	bool followed;
} fx;

/* ---- the played Jrs ---- */
static bool moody(enum mood mood, struct chan_call *call)
{
	const struct wire_common *c = chan_call_common(call);

	fx.deadline = c->has_deadline_ms ? c->deadline_ms : 0;
	fx.request_id[0] = '\0';
	if (c->has_request_id)
		snprintf(fx.request_id, sizeof(fx.request_id), "%.*s", (int)c->request_id.n, c->request_id.p);
	if (mood == FAIL)
		chan_failf(call, fx.code, fx.field != NULL ? fx.field : "importance", "must be a number from 0 to 1");
	if (mood == SILENT)
		fx.silent[fx.nsilent++] = call;
	return mood != ANSWER;
}

static void on_add(void *arg, struct chan_call *call, const void *msg)
{
	const struct msg_memory_add *m = msg;
	struct item_added *v = msgpack_zone_malloc(chan_call_zone(call), m->memories.n * sizeof(*v));
	struct res_memory_add res = {.memories = {v, m->memories.n}};

	(void)arg;
	if (moody(fx.memory_mood, call))
		return;
	fx.last_n = m->memories.n;
	for (uint32_t i = 0; i < m->memories.n; i++)
		v[i] = (struct item_added){
			.id = wire_s("id-1"), .created = !fx.known, .temperature = 40, .stage = wire_s("warm")};
	snprintf(fx.last, sizeof(fx.last), "%.*s", (int)m->memories.v[m->memories.n - 1].content.n,
		 m->memories.v[m->memories.n - 1].content.p);
	chan_reply(call, &res);
}

static struct item_memory memory(unsigned i)
{
	struct item_memory m = {.id = wire_s(i == 0 ? "m-0" : "m-x"), .stage = wire_s("warm"), .temperature = 50};

	m.content = wire_s(i == 0 ? "Caroline moved to Berlin in May." : "Something else.");
	m.score = 3.5 - i;
	m.has_score = true;
	m.phase_coherence = i == 0 ? 0.25 : 0.75;
	m.has_phase_coherence = i < 2;
	m.created_at = m.last_access = 1700000000000;
	m.speaker = wire_s("Caroline");
	m.has_speaker = true;
	return m;
}

static void on_recall(void *arg, struct chan_call *call, const void *msg)
{
	const struct msg_memory_recall *m = msg;
	struct item_memory v[8];
	struct res_memory_recall res = {.memories = {v, fx.found}};

	(void)arg;
	if (moody(fx.memory_mood, call))
		return;
	strcpy(fx.recall_id, fx.request_id);
	for (unsigned i = 0; i < fx.found; i++)
		v[i] = memory(i);
	for (unsigned i = 0; i < fx.found && m->has_explain && m->explain; i++) {
		v[i].has_explanation = v[i].explanation.has_match = true;
		v[i].explanation.match = 1.5;
	}
	snprintf(fx.last, sizeof(fx.last), "q=%.*s limit=%u touch=%d tag=%.*s before=%lld min=%g explain=%d",
		 m->has_q ? (int)m->q.n : 1, m->has_q ? m->q.p : "-", m->has_limit ? m->limit : 0,
		 m->has_touch ? m->touch : -1, (int)m->tag.n, m->has_tag ? m->tag.p : "",
		 m->has_before ? (long long)m->before : 0, m->has_min_temperature ? m->min_temperature : -1,
		 m->has_explain && m->explain);
	chan_reply(call, &res);
}

static void on_get(void *arg, struct chan_call *call, const void *msg)
{
	const struct msg_memory_get *m = msg;
	struct res_memory_get res = {.memory = memory(0)};

	(void)arg;
	if (moody(fx.memory_mood, call))
		return;
	snprintf(fx.last, sizeof(fx.last), "%.*s touch=%d", (int)m->id.n, m->id.p, m->has_touch ? m->touch : -1);
	if (strncmp(fx.last, "missing", 7) == 0)
		chan_failf(call, TR_ENOTFOUND, "id", "is not the id of a memory");
	else
		chan_reply(call, &res);
}

static void on_patch(void *arg, struct chan_call *call, const void *msg)
{
	const struct msg_memory_patch *m = msg;
	struct res_memory_patch res = {.memory = memory(0)};

	(void)arg;
	if (moody(fx.memory_mood, call))
		return;
	snprintf(fx.last, sizeof(fx.last), "%.*s tags=%d importance=%g sacred=%d metadata=%d", (int)m->id.n, m->id.p,
		 m->has_tags ? (int)m->tags.n : -1, m->has_importance ? m->importance : -1,
		 m->has_sacred ? m->sacred : -1, m->has_metadata);
	chan_reply(call, &res);
}

static void on_forget(void *arg, struct chan_call *call, const void *msg)
{
	const struct msg_memory_forget *m = msg;
	struct res_memory_forget res = {.id = m->id};

	(void)arg;
	if (moody(fx.memory_mood, call))
		return;
	snprintf(fx.last, sizeof(fx.last), "%.*s now=%d", (int)m->id.n, m->id.p, m->has_now ? m->now : -1);
	res.has_purged = m->has_now && m->now;
	res.purged = m->id.n != 4 || memcmp(m->id.p, "slow", 4) != 0;
	chan_reply(call, &res);
}

static void on_thermal(void *arg, struct chan_call *call, const void *msg)
{
	const struct msg_memory_thermal *m = msg;
	struct res_memory_thermal res = {.total_memories = 3, .timestamp = 1700000000000};

	(void)arg;
	if (moody(fx.memory_mood, call))
		return;
	snprintf(fx.last, sizeof(fx.last), "hottest=%u", m->hottest);
	chan_reply(call, &res);
}

static void on_decide(void *arg, struct chan_call *call, const void *msg)
{
	const struct msg_memory_decide *m = msg;
	struct res_memory_decide res = {
		.decision = {.id = wire_s("d-1"), .text = m->text, .by = m->by, .memory_id = wire_s("m-1")}};

	(void)arg;
	if (!moody(fx.memory_mood, call))
		chan_reply(call, &res);
}

static void on_decisions(void *arg, struct chan_call *call, const void *msg)
{
	const struct msg_memory_decisions *m = msg;
	struct res_memory_decisions res = {0};

	(void)arg;
	if (moody(fx.memory_mood, call))
		return;
	snprintf(fx.last, sizeof(fx.last), "since=%lld limit=%u", m->has_since ? (long long)m->since : 0, m->limit);
	chan_reply(call, &res);
}

static void on_synthesise(void *arg, struct chan_call *call, const void *msg)
{
	const struct msg_integration_synthesise *m = msg;
	struct res_integration_synthesise res = {
		.answer = wire_s("In May."), .confidence = 0.8, .synthesis = wire_s("extractive")};

	(void)arg;
	if (moody(fx.integration_mood, call))
		return;
	res.confidence_basis = wire_s("played");
	snprintf(fx.last, sizeof(fx.last), "%.*s sources=%u detail=%.*s", (int)m->question.n, m->question.p,
		 m->sources.n, m->has_detail ? (int)m->detail.n : 1, m->has_detail ? m->detail.p : "-");
	chan_reply(call, &res);
}

static void on_anomalies(void *arg, struct chan_call *call, const void *msg)
{
	struct res_meta_anomalies res = {.analyses = 2};

	(void)arg;
	(void)msg;
	chan_reply(call, &res);
}

static void on_figures(void *arg, struct chan_call *call, const void *msg)
{
	static const struct item_degradation v[] = {{{"recall_latency", 14}, true, 1.25}, {{"loop_lag", 8}, false, .5}};
	struct res_meta_figures res = {.has_r_squared = true, .r_squared = .125, .degradations = {v, 2}};

	(void)arg;
	(void)msg;
	if (!moody(fx.meta_mood, call))
		chan_reply(call, &res);
}

/* tribed's answer comes a turn later, as the promise of peer_call() wants it */
static struct {
	peer_cb *cb;
	void *arg;
	struct loop_timer *timer;
} status_call;

static void answer_status(void *arg)
{
	static const struct tr_fault away = {.code = TR_EUNAVAILABLE};
	struct res_status res = {.status = wire_s("operational"), .version = wire_s("1"), .uptime_s = 5};
	wire_str up = wire_s("up");

	(void)arg;
	res.jrs.memory_jr.state = res.jrs.executive_jr.state = res.jrs.meta_jr.state = res.jrs.integration_jr.state =
		up;
	if (fx.memory_state != NULL)
		res.jrs.memory_jr.state = wire_s(fx.memory_state);
	if (fx.integration_state != NULL)
		res.jrs.integration_jr.state = wire_s(fx.integration_state);
	if (fx.status_mood == ANSWER)
		status_call.cb(status_call.arg, 0, &res, NULL);
	else
		status_call.cb(status_call.arg, TR_EUNAVAILABLE, NULL, &away);
}

static int drills(void *arg, const struct msg_drills *msg, uint32_t timeout_ms, peer_cb *cb, void *cb_arg)
{
	static const struct item_drill two[] = {
		{.id = {"d2", 2},
		 .fault = {"hang", 4},
		 .valid = {"unknown", 7},
		 .reason = {"cut short", 9},
		 .has_reason = true},
		{.id = {"d1", 2}, .fault = {"kill", 4}, .valid = {"true", 4}, .lost = 0, .requests = 7},
	};
	static const struct tr_fault away = {.code = TR_EUNAVAILABLE};
	struct res_drills res = {.drills = {two, msg->has_limit && msg->limit == 1 ? 1 : 2}};

	(void)arg;
	(void)timeout_ms;
	if (fx.status_mood == ANSWER)
		cb(cb_arg, 0, &res, NULL);
	else
		cb(cb_arg, TR_EUNAVAILABLE, NULL, &away);
	return 0;
}

static int status(void *arg, uint32_t timeout_ms, peer_cb *cb, void *cb_arg)
{
	(void)arg;
	(void)timeout_ms;
	fx.status_asked++;
	status_call.cb = cb;
	status_call.arg = cb_arg;
	return loop_timer_start(status_call.timer, 0, 0);
}

/* so do tribed's events: those from fx.ring_first to fx.ring_last, the newest first when fx.ring_falls */
static struct {
	peer_cb *cb[8];
	void *arg[8];
	unsigned n;
	struct loop_timer *timer;
} events_calls;

static struct item_event event_of(uint64_t seq)
{
	return (struct item_event){
		.seq = seq, .at = 1700000000000, .kind = wire_s("spawn"), .jr = wire_s("memory_jr"), .has_jr = true};
}

static void answer_events(void *arg)
{
	static const struct tr_fault away = {.code = TR_EDEADLINE};
	struct item_event v[64];
	struct res_events res = {.events = {v, 0}};
	unsigned n = events_calls.n;

	(void)arg;
	if (fx.ring_last - fx.ring_first >= 64)
		fx.ring_first = fx.ring_last - 63;
	for (uint64_t seq = fx.ring_first; seq != 0 && seq <= fx.ring_last; seq++)
		v[res.events.n++] = event_of(fx.ring_falls ? fx.ring_first + fx.ring_last - seq : seq);
	events_calls.n = 0;
	for (unsigned i = 0; i < n; i++)
		events_calls.cb[i](events_calls.arg[i], fx.events_mood == ANSWER ? 0 : TR_EDEADLINE,
				   fx.events_mood == ANSWER ? &res : NULL, fx.events_mood == ANSWER ? NULL : &away);
}

static int events(void *arg, const struct msg_events *msg, uint32_t timeout_ms, peer_cb *cb, void *cb_arg)
{
	(void)arg;
	(void)timeout_ms;
	assert_true(msg->has_follow && msg->has_limit && events_calls.n < 8);
	fx.events_asked += msg->follow;
	fx.followed = msg->follow;
	events_calls.cb[events_calls.n] = cb;
	events_calls.arg[events_calls.n++] = cb_arg;
	return fx.events_mood == SILENT ? 0 : loop_timer_start(events_calls.timer, 0, 0);
}

static void on_done(void *arg, bool error)
{
	(void)arg;
	fx.errors += error;
}

/* ---- set-up ---- */
static struct chan_server *play(const char *name, struct peer **peer)
{
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	struct chan_server_cfg cfg = {.loop = &fx.loop, .max_conns = 8, .max_queue = 32u << 20, .max_inflight = 100};
	struct chan_server *s = NULL;

	snprintf(un.sun_path, sizeof(un.sun_path), "%s/%s", fx.dir, name);
	cfg.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	assert_int_equal(bind(cfg.fd, (struct sockaddr *)&un, sizeof(un)), 0);
	assert_int_equal(listen(cfg.fd, 16), 0);
	assert_int_equal(chan_server_new(&s, &cfg), 0);
	assert_int_equal(peer_new(peer, &fx.loop, un.sun_path, 100), 0);
	return s;
}

static void on_watchdog(void *arg)
{
	(void)arg;
	fail_msg("nothing happened for %d ms", WAIT_MS);
}

static void start_http(void)
{
	struct http_server_cfg cfg = {.loop = &fx.loop, .max_conns = 10, .max_body = API_MAX_BODY};
	socklen_t len = sizeof(fx.addr);

	cfg.head_timeout_ms = cfg.body_timeout_ms = cfg.idle_timeout_ms = 60000;
	cfg.on_request = api_request;
	cfg.on_refused = api_refused;
	cfg.arg = fx.api;
	cfg.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	fx.addr.sin_family = AF_INET;
	fx.addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(bind(cfg.fd, (struct sockaddr *)&fx.addr, sizeof(fx.addr)), 0);
	assert_int_equal(listen(cfg.fd, 64), 0);
	assert_int_equal(getsockname(cfg.fd, (struct sockaddr *)&fx.addr, &len), 0);
	assert_int_equal(http_server_new(&fx.http, &cfg), 0);
}

static int set_up(void **state)
{
	struct api_cfg api = {.status = status,
			      .drills = drills,
			      .events = events,
			      .on_done = on_done,
			      .request_timeout_ms = 5000,
			      .synthesis_timeout_ms = 300};

	(void)state;
	memset(&fx, 0, sizeof(fx));
	signal(SIGPIPE, SIG_IGN);
	uv_loop_init(&fx.loop);
	strcpy(fx.dir, "/tmp/tribe-api-XXXXXX");
	assert_non_null(mkdtemp(fx.dir));
	fx.memory = play("memory.sock", &fx.to_memory);
	fx.integration = play("integration.sock", &fx.to_integration);
	fx.meta = play("meta.sock", &fx.to_meta);
	fx.executive = play("executive.sock", &fx.to_executive);
	chan_server_handle(fx.memory, MSG_memory_add, on_add, NULL);
	chan_server_handle(fx.memory, MSG_memory_get, on_get, NULL);
	chan_server_handle(fx.memory, MSG_memory_recall, on_recall, NULL);
	chan_server_handle(fx.memory, MSG_memory_patch, on_patch, NULL);
	chan_server_handle(fx.memory, MSG_memory_forget, on_forget, NULL);
	chan_server_handle(fx.memory, MSG_memory_thermal, on_thermal, NULL);
	chan_server_handle(fx.memory, MSG_memory_decide, on_decide, NULL);
	chan_server_handle(fx.memory, MSG_memory_decisions, on_decisions, NULL);
	chan_server_handle(fx.integration, MSG_integration_synthesise, on_synthesise, NULL);
	chan_server_handle(fx.meta, MSG_meta_anomalies, on_anomalies, NULL);
	chan_server_handle(fx.meta, MSG_meta_figures, on_figures, NULL);
	api.memory = fx.to_memory;
	api.integration = fx.to_integration;
	api.meta = fx.to_meta;
	api.loop = &fx.loop;
	api.max_streams = 2;
	api.stream_queue = 32768;
	api.keepalive_ms = 20;
	memset(&events_calls, 0, sizeof(events_calls));
	assert_int_equal(loop_timer_new(&events_calls.timer, &fx.loop, answer_events, NULL), 0);
	assert_int_equal(api_new(&fx.api, &api), 0);
	chan_server_handle(fx.executive, MSG_executive_ask, api_rpc_ask, fx.api);
	start_http();
	assert_int_equal(loop_timer_new(&status_call.timer, &fx.loop, answer_status, NULL), 0);
	return loop_timer_new(&fx.watchdog, &fx.loop, on_watchdog, NULL);
}

static int tear_down(void **state)
{
	static const char *const names[] = {"memory.sock", "integration.sock", "meta.sock", "executive.sock"};
	char path[128];
	int r;

	(void)state;
	for (unsigned i = 0; i < fx.nsilent; i++)
		chan_failf(fx.silent[i], TR_ECLOSED, "", "the test is over");
	fx.events_mood = FAIL;
	answer_events(NULL);
	peer_free(&fx.to_executive);
	peer_free(&fx.to_memory);
	peer_free(&fx.to_integration);
	peer_free(&fx.to_meta);
	http_server_free(&fx.http);
	api_free(&fx.api);
	chan_server_free(&fx.memory);
	chan_server_free(&fx.integration);
	chan_server_free(&fx.meta);
	chan_server_free(&fx.executive);
	loop_timer_free(&status_call.timer);
	loop_timer_free(&events_calls.timer);
	loop_timer_free(&fx.watchdog);
	r = loop_finish(&fx.loop);
	for (unsigned i = 0; i < sizeof(names) / sizeof(*names); i++) {
		snprintf(path, sizeof(path), "%s/%s", fx.dir, names[i]);
		unlink(path);
	}
	return r | rmdir(fx.dir);
}

#endif
