#include "common/base/clock.h"
#include "common/base/err.h"
#include "proto/json/json.h"
#include "supervisor/ctl/drill/load_inside.h"
#include "supervisor/ctl/drill/stats.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define AFTER_5XX_MS     50
#define AFTER_REFUSAL_MS 5
#define BEHIND_NS        1000000000ull /* a user that is further behind its rate does not catch up */

static void next(struct user *u);
static void send_try(void *arg);

uint32_t load_key_of(const struct load *l, const char *content)
{
	char lead[LOAD_ID_MAX + 32];
	const char *at;
	unsigned long key;
	char *end;

	(void)snprintf(lead, sizeof(lead), "%s no ", l->id);
	if ((at = strstr(content, lead)) == NULL)
		return HISTORY_NO_KEY;
	key = strtoul(at + strlen(lead), &end, 10);
	return *end == ':' && key < HISTORY_NO_KEY ? (uint32_t)key : HISTORY_NO_KEY;
}

void load_trouble(struct load *l, int64_t op, enum trouble_kind kind)
{
	struct trouble t = {.at_ns = tr_mono_ns(), .op = op < 0 ? UINT32_MAX : (uint32_t)op, .kind = (uint8_t)kind};

	history_trouble(&l->history, &t);
	if (kind == TROUBLE_RESET)
		return;
	atomic_store(&l->last_trouble_ns, t.at_ns);
	atomic_fetch_add(&l->troubles, 1);
}

/* ---- one request ---- */

static struct op *op_of(struct user *u)
{
	return u->op < 0 ? NULL : &u->load->history.ops[u->op];
}

static void end_op(struct user *u, enum op_end end, int status)
{
	struct op *op = op_of(u);
	uint64_t now = tr_mono_ns();

	if (op != NULL) {
		op->end = (uint8_t)end;
		op->status = (uint16_t)status;
		op->done_ns = now;
	}
	if (end != OP_REFUSED) {
		atomic_store(&u->load->last_good_ns, now);
		atomic_fetch_add(&u->load->good, 1);
	}
	u->busy = false;
	next(u);
}

static void again(struct user *u, uint32_t after_ms, int status)
{
	struct op *op = op_of(u);

	if (tr_mono_ns() >= u->give_up_ns) {
		end_op(u, OP_REFUSED, status);
		return;
	}
	if (op != NULL)
		op->repeats++;
	(void)loop_timer_start(u->timer, after_ms, 0);
}

/* The id of what was added; false: this is no answer to an add. */
static bool take_added(struct user *u, const char *body, size_t n)
{
	struct load *l = u->load;
	struct op *op = op_of(u);
	struct tr_fault fault;
	const json_t *m;
	const char *id;
	json_t *doc;
	bool good;

	if (json_parse(&doc, body, n, &fault) < 0)
		return false;
	m = json_array_get(json_object_get(doc, "memories"), 0);
	id = json_string_value(json_object_get(m, "id"));
	good = id != NULL && json_is_boolean(json_object_get(m, "created"));
	if (good && op != NULL)
		op->known = json_is_false(json_object_get(m, "created"));
	if (good && u->key % 2 != 0)
		tr_copy(l->ids[u->key], TR_ID_LEN, id, strlen(id));
	if (good)
		u->own[u->nown++ % OWN_KEYS] = u->key;
	json_decref(doc);
	return good;
}

static void take_answer(struct user *u, int status, const char *body, size_t n)
{
	struct op *op = op_of(u);

	if (status >= 500) {
		load_trouble(u->load, u->op, TROUBLE_SERVER);
		again(u, AFTER_5XX_MS, status);
	} else if (status == 409) { /* the first try is still being carried out */
		again(u, AFTER_REFUSAL_MS, status);
	} else if (status == 404) {
		end_op(u, OP_ABSENT, status);
	} else if (status >= 300) {
		end_op(u, OP_REFUSED, status);
	} else if (u->kind == OP_ADD && !take_added(u, body, n)) {
		load_trouble(u->load, u->op, TROUBLE_GARBAGE);
		again(u, AFTER_5XX_MS, status);
	} else {
		if (op != NULL && u->kind == OP_GET)
			op->wrong = load_key_of(u->load, body) != u->key;
		end_op(u, OP_GOOD, status);
	}
}

static void on_end(void *arg, enum http_end end, int status, const char *body, size_t n)
{
	static const enum trouble_kind kinds[] = {[HTTP_REFUSED] = TROUBLE_REFUSED,
						  [HTTP_RESET] = TROUBLE_RESET,
						  [HTTP_LATE] = TROUBLE_TIMEOUT,
						  [HTTP_GARBAGE] = TROUBLE_GARBAGE};
	struct user *u = arg;

	if (end == HTTP_ANSWERED) {
		take_answer(u, status, body, n);
		return;
	}
	load_trouble(u->load, u->op, kinds[end]);
	again(u, end == HTTP_REFUSED ? AFTER_REFUSAL_MS : 0, 0);
}

/* Also the timer of a user. */
static void send_try(void *arg)
{
	struct user *u = arg;
	const char *body = u->body[0] == '\0' ? NULL : u->body;

	if (!u->busy) {
		next(u);
		return;
	}
	if (http_send(u->http, body == NULL ? "GET" : "POST", u->target, body == NULL ? NULL : u->key_header, body,
		      TRY_MS, on_end, u) < 0)
		end_op(u, OP_REFUSED, 0);
}

/* ---- what a user does ---- */

static bool room_for_id(struct load *l)
{
	uint32_t more = l->cap_ids == 0 ? 4096 : l->cap_ids * 2;
	void *p;

	if (l->history.nkeys < l->cap_ids)
		return true;
	if ((p = realloc(l->ids, more * sizeof(*l->ids))) == NULL)
		return false;
	l->ids = p;
	l->cap_ids = more;
	return true;
}

/* Every second one under an id of its own; of the others a second effect shows as a second access. No word that a probe
 * asks for is in it: what a probe costs does not grow with the drill. */
static bool plan_add(struct user *u)
{
	struct load *l = u->load;
	char own[128] = "";

	if (!room_for_id(l))
		return false;
	u->key = l->history.nkeys++;
	l->ids[u->key][0] = '\0';
	if (u->key % 2 == 0)
		(void)snprintf(own, sizeof(own), "\"id\":\"drill-%s-%u\",", l->id, u->key);
	(void)snprintf(u->target, sizeof(u->target), "/api/v1/memories");
	(void)snprintf(u->body, sizeof(u->body),
		       "{%s\"content\":\"%s no %u: lamp%u hangs at gate%u\",\"source\":\"drill:%s\"}", own, l->id,
		       u->key, u->key, u->number, l->id);
	return true;
}

static bool plan_get(struct user *u)
{
	struct load *l = u->load;
	uint32_t have = u->nown < OWN_KEYS ? u->nown : OWN_KEYS;

	if (have == 0)
		return false;
	u->key = u->own[stats_random(&u->random) % have];
	if (u->key % 2 == 0)
		(void)snprintf(u->target, sizeof(u->target), "/api/v1/memories/drill-%s-%u?touch=false", l->id, u->key);
	else
		(void)snprintf(u->target, sizeof(u->target), "/api/v1/memories/%s?touch=false", l->ids[u->key]);
	return true;
}

/* For a word that one memory has: what it costs does not grow with the drill. */
static void plan_ask(struct user *u)
{
	(void)snprintf(u->target, sizeof(u->target), "/api/v1/ask");
	(void)snprintf(u->body, sizeof(u->body),
		       "{\"question\":\"Where is lamp%u?\",\"limit\":3,\"source\":\"drill:%s\"}",
		       (unsigned)(stats_random(&u->random) % (u->load->history.nkeys + 1)), u->load->id);
}

static bool plan(struct user *u)
{
	unsigned dice = (unsigned)(stats_random(&u->random) % 20);

	u->body[0] = '\0';
	u->key = HISTORY_NO_KEY;
	if (dice < 10 && plan_get(u)) {
		u->kind = OP_GET;
	} else if (dice < 16) {
		u->kind = OP_ADD;
		return plan_add(u);
	} else if (dice < 19) {
		u->kind = OP_ASK;
		plan_ask(u);
	} else {
		u->kind = OP_FINDINGS;
		(void)snprintf(u->target, sizeof(u->target), "/api/v1/analysis/anomalies");
	}
	return true;
}

static void begin(struct user *u, uint64_t now)
{
	struct load *l = u->load;
	struct op op;

	if (!plan(u)) {
		l->history.whole = false;
		return;
	}
	op = (struct op){.sent_ns = now, .user = u->number, .key = u->key, .kind = (uint8_t)u->kind};
	u->op = history_op(&l->history, &op);
	u->sent_ns = now;
	u->give_up_ns = now + PATIENCE_MS * 1000000ull;
	(void)snprintf(u->key_header, sizeof(u->key_header), "%s-%u-%zu", l->id, u->number, l->history.nops);
	u->busy = true;
	send_try(u);
}

static void idle(struct load *l)
{
	for (uint32_t i = 0; i < l->cfg.users; i++)
		if (l->users[i].busy)
			return;
	if (atomic_load(&l->phase) == LOAD_SETTLES)
		load_list(l);
}

static void next(struct user *u)
{
	struct load *l = u->load;
	uint64_t now = tr_mono_ns(), every = (uint64_t)(1e9 / l->cfg.rate);

	if (atomic_load(&l->ending)) {
		loop_timer_stop(u->timer);
		idle(l);
		return;
	}
	if (u->due_ns + BEHIND_NS < now)
		u->due_ns = now;
	if (u->due_ns <= now) {
		u->due_ns += every;
		begin(u, now);
		return;
	}
	(void)loop_timer_start(u->timer, (u->due_ns - now) / 1000000 + 1, 0);
}

/* ---- the thread ---- */

static void on_wake(uv_async_t *a)
{
	struct load *l = a->data;

	if (atomic_load(&l->phase) != LOAD_RUNS)
		return;
	atomic_store(&l->phase, LOAD_SETTLES);
	for (uint32_t i = 0; i < l->cfg.users; i++)
		if (!l->users[i].busy)
			loop_timer_stop(l->users[i].timer);
	idle(l);
}

static void turn(void *arg)
{
	struct load *l = arg;

	(void)uv_run(&l->loop, UV_RUN_DEFAULT);
}

static int make_users(struct load *l)
{
	uint64_t now = tr_mono_ns(), every = (uint64_t)(1e9 / l->cfg.rate), random = l->cfg.seed;
	int r = 0;

	for (uint32_t i = 0; r == 0 && i < l->cfg.users; i++) {
		struct user *u = &l->users[i];

		u->load = l;
		u->number = i;
		u->random = stats_random(&random);
		u->due_ns = now + (uint64_t)((double)every * i / l->cfg.users);
		if ((r = http_new(&u->http, &l->loop, l->cfg.where)) == 0)
			r = loop_timer_new(&u->timer, &l->loop, send_try, u);
		if (r == 0)
			r = loop_timer_start(u->timer, 1 + (u->due_ns - now) / 1000000, 0);
	}
	return r;
}

static void free_users(struct load *l)
{
	for (uint32_t i = 0; l->users != NULL && i < l->cfg.users; i++) {
		http_free(&l->users[i].http);
		loop_timer_free(&l->users[i].timer);
	}
}

int load_start(struct load **out, const struct load_cfg *cfg)
{
	struct load *l = calloc(1, sizeof(*l));
	int r;

	if (l == NULL)
		return TR_ENOMEM;
	l->cfg = *cfg;
	(void)snprintf(l->id, sizeof(l->id), "%s", cfg->id);
	l->cfg.id = l->id;
	l->history.whole = true;
	l->joined = true;
	if ((r = uv_loop_init(&l->loop)) < 0) {
		free(l);
		return r;
	}
	if ((r = uv_async_init(&l->loop, &l->wake, on_wake)) < 0)
		goto fail;
	l->wake.data = l;
	r = TR_ENOMEM;
	if ((l->users = calloc(cfg->users, sizeof(*l->users))) == NULL || (r = make_users(l)) < 0 ||
	    (r = uv_thread_create(&l->thread, turn, l)) < 0) {
		free_users(l);
		uv_close((uv_handle_t *)&l->wake, NULL);
		goto fail;
	}
	l->joined = false;
	*out = l;
	return 0;
fail:
	(void)loop_finish(&l->loop);
	free(l->users);
	free(l);
	return r;
}

void load_now(struct load *l, struct load_now *out)
{
	*out = (struct load_now){.phase = (enum load_phase)atomic_load(&l->phase),
				 .good = atomic_load(&l->good),
				 .troubles = atomic_load(&l->troubles),
				 .last_good_ns = atomic_load(&l->last_good_ns),
				 .last_trouble_ns = atomic_load(&l->last_trouble_ns)};
}

void load_end(struct load *l)
{
	atomic_store(&l->ending, true);
	(void)uv_async_send(&l->wake);
}

void load_join(struct load *l)
{
	if (l->joined)
		return;
	(void)uv_thread_join(&l->thread);
	l->joined = true;
}

const struct history *load_history(const struct load *l)
{
	return &l->history;
}

const struct load_left *load_left(const struct load *l)
{
	return &l->left;
}

void load_free(struct load **l)
{
	if (l == NULL || *l == NULL)
		return;
	if (!(*l)->joined) {
		load_end(*l);
		load_join(*l);
	}
	(void)loop_finish(&(*l)->loop);
	for (size_t i = 0; i < (*l)->nfound; i++)
		free((*l)->found[i]);
	free((*l)->found);
	free((*l)->users);
	free((*l)->ids);
	history_free(&(*l)->history);
	free(*l);
	*l = NULL;
}
