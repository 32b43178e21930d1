#include "common/log/log.h"
#include "jrs/executive/http/internal.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define BACKLOG 1024 /* the kernel cuts it to somaxconn */

const char *const http_drop_names[HTTP_NDROPS] = {
#define X(id, name) [HTTP_DROP_##id] = (name),
	HTTP_DROPS(X)
#undef X
};

static uint32_t tick_of(const struct http_server_cfg *cfg)
{
	uint32_t least = cfg->head_timeout_ms;

	if (cfg->body_timeout_ms < least)
		least = cfg->body_timeout_ms;
	if (cfg->idle_timeout_ms < least)
		least = cfg->idle_timeout_ms;
	least /= 8;
	return least < 10 ? 10 : least > 250 ? 250 : least;
}

static void check_drained(struct http_server *s)
{
	void (*done)(void *arg) = s->drained;

	if (!s->draining || done == NULL || s->stats.inflight > 0)
		return;
	for (const struct conn *c = s->conns; c != NULL; c = c->next)
		if (c->state != CONN_LINGER)
			return;
	s->drained = NULL;
	done(s->drained_arg);
}

static void destroy(struct http_server *s)
{
	tls_ctx_free(&s->tls);
	http_gzip_free(&s->gzip);
	buf_free(&s->head);
	free(s->read_buf);
	free(s);
}

static void on_closed(uv_handle_t *h)
{
	struct http_server *s = h->data;

	if (--s->closing == 0)
		destroy(s);
}

/* A place has become free, or may have, or may accept at last. */
static void listen_again(struct http_server *s)
{
	if (s->started && s->listener != NULL)
		loop_listener_start(s->listener);
}

static void stop_listening(struct http_server *s)
{
	loop_listener_free(&s->listener);
	conn_free(s->spare);
	s->spare = NULL;
	s->starved = false;
}

static void on_tick(uv_timer_t *t);

static void tick_start(struct http_server *s, uint64_t first_ms)
{
	uv_update_time(s->cfg.loop);
	uv_timer_start(&s->tick, on_tick, first_ms, s->wheel.tick_ms);
	s->ticking = true;
}

static void tick_needed(struct http_server *s)
{
	if (s->ticking)
		return;
	wheel_init(&s->wheel, s->wheel.tick_ms, uv_now(s->cfg.loop)); /* it is empty and stood still */
	tick_start(s, s->wheel.tick_ms);
}

/* While draining: the wheel is too coarse for so short a time. */
static void end_grace(struct http_server *s)
{
	uint64_t now = uv_now(s->cfg.loop);
	struct conn *c, *next;

	if (now < s->grace_ms) {
		tick_start(s, s->grace_ms - now);
		return;
	}
	for (c = s->conns; c != NULL; c = next) {
		next = c->next;
		conn_grace_over(c);
	}
}

static void on_tick(uv_timer_t *t)
{
	struct http_server *s = t->data;
	struct wheel_node *n;

	while ((n = wheel_expired(&s->wheel, uv_now(s->cfg.loop))) != NULL)
		conn_timeout((struct conn *)(void *)((char *)n - offsetof(struct conn, timer)));
	if (s->starved)
		listen_again(s);
	if (s->draining)
		end_grace(s);
	check_drained(s); /* may free the server: nothing behind it */
}

/* Nobody is accepted for whom there is not everything: who waits in the kernel loses nothing. */
static bool room(void *arg)
{
	struct http_server *s = arg;

	if (s->stats.conns >= s->cfg.max_conns)
		return false;
	s->starved = s->spare == NULL && conn_new(&s->spare, s) < 0;
	if (s->starved)
		tick_needed(s);
	return !s->starved;
}

static void accepted(void *arg, int fd)
{
	struct http_server *s = arg;
	struct conn *c = s->spare;

	s->spare = NULL;
	tick_needed(s);
	conn_take(c, s, fd);
}

static const struct loop_listener_ops listener_ops = {room, accepted};

void server_conn_gone(struct http_server *s, struct conn *c)
{
	if (c->prev != NULL)
		c->prev->next = c->next;
	else
		s->conns = c->next;
	if (c->next != NULL)
		c->next->prev = c->prev;
	wheel_remove(&c->timer);
	s->stats.conns--;
	listen_again(s);
	if (s->conns == NULL && !s->draining && !s->starved) {
		uv_timer_stop(&s->tick);
		s->ticking = false;
	} else if (s->draining && s->drained != NULL) {
		tick_start(s, 0); /* look whether that was the last one, in the loop's next turn */
	}
}

const char *server_date(struct http_server *s)
{
	struct timespec now;
	struct tm tm;

	clock_gettime(CLOCK_REALTIME, &now);
	if (now.tv_sec != s->date_s) {
		gmtime_r(&now.tv_sec, &tm);
		strftime(s->date, sizeof(s->date), "%a, %d %b %Y %H:%M:%S GMT", &tm);
		s->date_s = now.tv_sec;
	}
	return s->date;
}

static int secure(struct http_server *s)
{
	struct http_server_cfg *cfg = &s->cfg;
	const char *why = NULL;
	int r;

	if (cfg->certificate == NULL && cfg->private_key == NULL)
		return 0;
	r = tls_ctx_new(&s->tls, cfg->certificate, cfg->certificate_n, cfg->private_key, cfg->private_key_n,
			cfg->client_ca, cfg->client_ca_n, &why);
	if (r < 0)
		log_error("TLS is not possible reason=\"%s\"", why);
	cfg->certificate = cfg->private_key = NULL; /* were borrowed */
	cfg->client_ca = NULL;
	cfg->certificate_n = cfg->private_key_n = 0;
	return r;
}

int http_server_new(struct http_server **out, const struct http_server_cfg *cfg)
{
	struct http_server *s = calloc(1, sizeof(*s));
	int r = TR_ENOMEM;

	if (s == NULL || (s->read_buf = malloc(HTTP_READ_SIZE)) == NULL) {
		tls_wipe(cfg->private_key, cfg->private_key_n);
		free(s);
		return TR_ENOMEM;
	}
	s->cfg = *cfg;
	if (s->cfg.max_held == 0)
		s->cfg.max_held = HTTP_HELD_MAX;
	s->date_s = -1;
	(void)server_date(s); /* the first one reads the time zone's file, now rather than at a takeover */
	wheel_init(&s->wheel, tick_of(cfg), uv_now(cfg->loop));
	if ((r = secure(s)) < 0 ||
	    (r = loop_listener_new(&s->listener, cfg->loop, cfg->fd, BACKLOG, &listener_ops, s)) < 0) {
		destroy(s);
		return r;
	}
	s->tick.data = s;
	uv_timer_init(cfg->loop, &s->tick);
	turns_begin(s);
	s->closing = 3;
	if (!cfg->held)
		http_server_start(s);
	*out = s;
	return 0;
}

void http_server_start(struct http_server *s)
{
	s->started = true;
	listen_again(s);
}

int http_server_renew(struct http_server *s, const struct http_certificates *c)
{
	struct tls_ctx *fresh = NULL;
	const char *why = NULL;
	int r;

	if (s->tls == NULL) {
		tls_wipe(c->private_key, c->private_key_n);
		return TR_EUNSUPPORTED;
	}
	r = tls_ctx_new(&fresh, c->certificate, c->certificate_n, c->private_key, c->private_key_n, c->client_ca,
			c->client_ca_n, &why);
	if (r < 0) {
		log_error("the certificate stays as it was reason=\"%s\"", why);
		return r;
	}
	tls_ctx_free(&s->tls); /* connections keep what they need of it */
	s->tls = fresh;
	conn_free(s->spare); /* it was made with the old one */
	s->spare = NULL;
	log_info("another certificate is in use");
	return 0;
}

void http_server_drain(struct http_server *s, void (*done)(void *arg), void *arg)
{
	struct conn *c, *next;

	if (s->draining)
		return;
	stop_listening(s);
	s->draining = true;
	s->drained = done;
	s->drained_arg = arg;
	s->grace_ms = uv_now(s->cfg.loop) + HTTP_GRACE_MS;
	for (c = s->conns; c != NULL; c = next) {
		next = c->next;
		conn_drain(c);
	}
	tick_start(s, 0);
}

const struct http_stats *http_server_stats(const struct http_server *s)
{
	return &s->stats;
}

void http_server_free(struct http_server **sp)
{
	struct http_server *s = *sp;

	if (s == NULL)
		return;
	*sp = NULL;
	s->draining = true;
	s->drained = NULL;
	stop_listening(s);
	while (s->conns != NULL)
		conn_close(s->conns);
	while (s->flights != NULL) {
		struct http_req *r = s->flights;

		s->flights = r->next;
		r->srv = NULL;
		r->prev = r->next = NULL;
	}
	s->freed = true;
	uv_close((uv_handle_t *)&s->tick, on_closed);
	turns_end(s, on_closed);
}
