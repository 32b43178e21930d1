/* GET /api/v1/events: what tribed tells its followers, as server-sent events.
 * Each new stream asks tribed for its last events (and to follow), so that nothing is lost between the two: answer and
 * notifications come over one ordered channel. Events carry tribed's number as id; heartbeats carry none, so that the
 * id a browser comes back with is always an event's. Notifications that were dropped on the way show as a gap and are
 * asked for. */
#include "common/base/text.h"
#include "common/log/log.h"
#include "jrs/executive/api/auth.h"
#include "jrs/executive/api/internal.h"
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define RING_MAX 200  /* events in one answer of tribed: must fit one packet of the channel */
#define RING_MS  2000 /* tribed answers at once or not at all */
#define PREAMBLE "retry: 1000\n: the tribe's events\n\n"

struct watcher {
	struct api *api;
	struct principal who;
	struct watcher *prev, *next; /* while it streams */
	struct api_call *call;       /* until tribed has answered */
	struct http_stream *out;     /* owned */
	uint64_t after;              /* Last-Event-ID */
	bool has_after, asked_again;
};

static void on_ring_again(void *arg, int r, const void *res, const struct tr_fault *fault);

/* ---- asking tribed ---- */
static int ask_ring(struct api *api, bool follow, peer_cb *cb, void *arg)
{
	struct msg_events msg = {
		.follow = follow, .has_follow = true, .limit = follow ? RING_MAX : 1, .has_limit = true};

	return api->cfg.events(api->cfg.arg, &msg, RING_MS, cb, arg);
}

static void on_unfollowed(void *arg, int r, const void *res, const struct tr_fault *fault)
{
	(void)arg;
	(void)r; /* else it goes on telling us, which nobody hears */
	(void)res;
	(void)fault;
}

/* ---- life of a watcher: in the list from add() to watcher_free() ---- */
static void watcher_free(struct watcher *w)
{
	struct api *api = w->api;

	if (w->prev != NULL)
		w->prev->next = w->next;
	else
		api->watchers = w->next;
	if (w->next != NULL)
		w->next->prev = w->prev;
	http_stream_end(&w->out);
	free(w);
	api->streams--;
	if (api->watchers == NULL)
		loop_timer_free(&api->keepalive);
	if (api->streams == 0 && !api->draining)
		(void)ask_ring(api, false, on_unfollowed, NULL);
}

static void on_gone(void *arg)
{
	watcher_free(arg);
}

static bool allowed(struct watcher *w)
{
	return auth_still(w->api, &w->who) && principal_may(&w->who, TR_SCOPE_READ, true);
}

/* Whoever has no token any more hears no more. */
void api_tokens_changed(struct api *api)
{
	struct watcher *w, *next;

	for (w = api->watchers; w != NULL; w = next) {
		next = w->next;
		if (!allowed(w))
			watcher_free(w);
	}
}

static void tell(struct watcher *w, const struct buf *text)
{
	int r = http_stream_write(w->out, text->p, text->len);

	if (r == TR_EBUSY) {
		w->api->streams_cut++;
		log_warn("events: a reader was too slow and is cut off streams=%u", w->api->streams - 1);
		http_stream_cut(&w->out);
	}
	if (r < 0)
		watcher_free(w);
}

static void tell_all(struct api *api, const struct buf *text)
{
	struct watcher *w, *next;

	if (text->failed != 0) /* out of memory: the next event shows the gap */
		return;
	for (w = api->watchers; w != NULL; w = next) {
		next = w->next;
		tell(w, text);
	}
}

/* ---- texts ---- */
static void put_data(struct buf *out, json_t *doc)
{
	buf_puts(out, "data: ");
	if (doc == NULL || json_print(doc, out) < 0)
		out->failed = TR_ENOMEM;
	json_decref(doc);
	buf_puts(out, "\n\n");
}

/* shape: of value, whose kind and seq are these */
static void put_event(struct buf *out, const struct wire_shape *shape, const void *value, wire_str kind, uint64_t seq)
{
	buf_puts(out, "event: ");
	for (uint32_t i = 0; i < kind.n; i++) /* one line, whatever it holds */
		buf_append(out, (unsigned char)kind.p[i] < 0x20 ? "_" : &kind.p[i], 1);
	buf_printf(out, "\nid: %" PRIu64 "\n", seq);
	put_data(out, json_encode(shape, value));
}

/* Those behind `after`, the oldest first, whichever way they are listed. */
static void put_ring(struct buf *out, const struct list_event *ring, uint64_t after)
{
	bool falling = ring->n > 1 && ring->v[0].seq > ring->v[ring->n - 1].seq;

	for (uint32_t i = 0; i < ring->n; i++) {
		const struct item_event *e = &ring->v[falling ? ring->n - 1 - i : i];

		if (e->seq > after)
			put_event(out, &wire_shape_event, e, e->kind, e->seq);
	}
}

static uint64_t newest(const struct list_event *ring)
{
	uint64_t seq = 0;

	for (uint32_t i = 0; i < ring->n; i++)
		if (ring->v[i].seq > seq)
			seq = ring->v[i].seq;
	return seq;
}

/* ---- what tribed says ---- */
/* Brings those who watch already up to the ring's newest. */
static void catch_up(struct api *api, const struct list_event *ring)
{
	struct buf text = {0};
	uint64_t seq = newest(ring);

	put_ring(&text, ring, api->last_seq);
	if (text.len > 0)
		tell_all(api, &text);
	buf_free(&text);
	if (seq > api->last_seq)
		api->last_seq = seq;
	api->behind = false;
}

static void resync(struct api *api)
{
	if (!api->behind || api->syncing || api->watchers == NULL)
		return;
	api->syncing = ask_ring(api, true, on_ring_again, api) == 0; /* else the next event or keep-alive tries again */
}

static void on_ring_again(void *arg, int r, const void *res, const struct tr_fault *fault)
{
	struct api *api = arg;

	(void)fault;
	api->syncing = false;
	if (r == 0)
		catch_up(api, &((const struct res_events *)res)->events);
}

static void on_event(struct api *api, const struct msg_event *e)
{
	struct buf text = {0};

	if (e->seq <= api->last_seq)
		return;
	api->behind = api->behind || (api->last_seq != 0 && e->seq != api->last_seq + 1);
	if (api->behind) { /* this one will be in the ring */
		resync(api);
		return;
	}
	put_event(&text, wire_methods[MSG_event].params, e, e->kind, e->seq);
	tell_all(api, &text);
	buf_free(&text);
	api->last_seq = e->seq;
}

void api_note(void *arg, enum wire_msg_id id, const void *msg)
{
	struct api *api = arg;
	struct buf text = {0};

	if (api->watchers == NULL) {
		if (id == MSG_event) /* told by nobody; the ring has it */
			api->last_seq = ((const struct msg_event *)msg)->seq;
	} else if (id == MSG_event) {
		on_event(api, msg);
	} else if (id == MSG_heartbeat) {
		buf_puts(&text, "event: heartbeat\n");
		put_data(&text, json_encode(wire_methods[MSG_heartbeat].params, msg));
		tell_all(api, &text);
		buf_free(&text);
	}
}

static void on_keepalive(void *arg)
{
	struct api *api = arg;
	struct buf text = {0};

	api_tokens_changed(api); /* one may have come to its end meanwhile */
	buf_puts(&text, ":\n\n");
	tell_all(api, &text); /* may have freed the timer, with the last watcher */
	buf_free(&text);
	resync(api);
}

/* ---- a new one ---- */
static int add(struct watcher *w)
{
	struct api *api = w->api;
	int r = 0;

	if (api->keepalive == NULL) {
		r = loop_timer_new(&api->keepalive, api->cfg.loop, on_keepalive, api);
		if (r == 0)
			r = loop_timer_start(api->keepalive, api->cfg.keepalive_ms, api->cfg.keepalive_ms);
	}
	w->next = api->watchers;
	if (w->next != NULL)
		w->next->prev = w;
	api->watchers = w;
	return r;
}

static void give_up(struct watcher *w, const struct tr_fault *fault)
{
	struct api_call *call = w->call;

	w->api->streams--;
	free(w);
	api_fail(call, fault);
}

static void on_ring(void *arg, int r, const void *res, const struct tr_fault *fault)
{
	static const struct tr_fault leaving = {.code = TR_EUNAVAILABLE}, revoked = {.code = TR_EREFUSED};
	const struct res_events *e = res;
	struct watcher *w = arg;
	struct api *api = w->api;
	struct http_stream_cfg cfg = {.max_queue = api->cfg.stream_queue, .on_gone = on_gone, .arg = w};
	struct buf text = {0};

	if (r < 0 || api->draining) {
		struct tr_fault named = r < 0 ? *fault : leaving;

		if (r == TR_EDEADLINE || r == TR_EUNAVAILABLE)
			api_absent(&named, r, "tribed");
		give_up(w, &named);
		return;
	}
	if (!allowed(w)) {
		give_up(w, &revoked);
		return;
	}
	if (newest(&e->events) < api->last_seq) { /* a notification overtook the answer, or tribed counts anew */
		if (!w->asked_again && ask_ring(api, true, on_ring, w) == 0) {
			w->asked_again = true;
			return;
		}
		api->last_seq = newest(&e->events);
	}
	catch_up(api, &e->events);
	if (api_reply_stream(w->call, "text/event-stream", &cfg, &w->out) < 0) {
		api->streams--;
		free(w);
		return;
	}
	w->call = NULL;
	buf_puts(&text, PREAMBLE);
	if (w->has_after) /* a number that was never given is an earlier tribe's: all is new */
		put_ring(&text, &e->events, w->after > newest(&e->events) ? 0 : w->after);
	if (add(w) < 0 || text.failed != 0)
		watcher_free(w);
	else
		tell(w, &text);
	buf_free(&text);
}

static void head_only(struct api_call *call)
{
	static const struct http_stream_cfg cfg = {.max_queue = 0};
	struct http_stream *out = NULL;

	if (api_reply_stream(call, "text/event-stream", &cfg, &out) == 0)
		http_stream_end(&out);
}

void api_get_events(struct api_call *call)
{
	struct http_str last = http_header(call->req, "last-event-id");
	struct api *api = call->api;
	struct watcher *w;
	uint64_t after = 0;
	int r;

	if (last.p != NULL && last.n > 0 && check_event_id(last.p, &after) < 0) {
		api_failf(call, TR_EINVAL, "Last-Event-ID", "must be the id of an event: a whole number");
		return;
	}
	if (strcmp(http_method(call->req).p, "HEAD") == 0) {
		head_only(call);
		return;
	}
	if (api->draining || api->streams >= api->cfg.max_streams) {
		if (api->draining)
			api_failf(call, TR_EUNAVAILABLE, "", "%s", tr_strerror(TR_EUNAVAILABLE));
		else
			api_refuse(call, 503, NULL, "there are %u streams of events already", api->streams);
		return;
	}
	w = calloc(1, sizeof(*w));
	if (w == NULL) {
		api_failf(call, TR_ENOMEM, "", "%s", tr_strerror(TR_ENOMEM));
		return;
	}
	*w = (struct watcher){.api = api, .call = call, .after = after, .has_after = last.p != NULL && last.n > 0};
	w->who = call->who;
	api->streams++;
	if ((r = ask_ring(api, true, on_ring, w)) < 0) {
		struct tr_fault fault = {.code = r};

		give_up(w, &fault);
	}
}

void api_drain(struct api *api)
{
	api->draining = true;
	loop_timer_free(&api->resume);
	while (api->watchers != NULL)
		watcher_free(api->watchers);
}
