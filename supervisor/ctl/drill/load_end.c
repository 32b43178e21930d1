/* The end of a load: what is there is listed for the checker, removed by all users at once, and looked for again. */
#include "common/base/clock.h"
#include "common/base/err.h"
#include "proto/json/json.h"
#include "supervisor/ctl/drill/load_inside.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PAGE       200
#define TRIES      100 /* of one page or one removal, AGAIN_MS apart or TRY_MS when nothing answers */
#define AGAIN_MS   100
#define ROUNDS_MAX 3 /* looks for what is left */

static void ask_page(void *arg);
static void remove_next(void *arg);

/* The loop ends when the last handle is closed. */
static void leave(struct load *l)
{
	for (uint32_t i = 0; i < l->cfg.users; i++) {
		http_free(&l->users[i].http);
		loop_timer_free(&l->users[i].timer);
	}
	uv_close((uv_handle_t *)&l->wake, NULL);
	atomic_store(&l->phase, LOAD_ENDED);
}

static void forget_found(struct load *l)
{
	for (size_t i = 0; i < l->nfound; i++)
		free(l->found[i]);
	l->nfound = l->next = 0;
}

/* A timer of the end belongs to a user, and means what its load does now. */
static void later(struct user *u, void (*fn)(void *))
{
	loop_timer_free(&u->timer);
	if (loop_timer_new(&u->timer, &u->load->loop, fn, u) < 0 || loop_timer_start(u->timer, AGAIN_MS, 0) < 0)
		abort(); /* out of memory: nobody can end this in order */
}

static bool take_id(struct load *l, const char *id)
{
	size_t more = l->cap_found == 0 ? 1024 : l->cap_found * 2;
	void *p;

	if (l->nfound == l->cap_found) {
		if ((p = realloc(l->found, more * sizeof(*l->found))) == NULL)
			return false;
		l->found = p;
		l->cap_found = more;
	}
	if ((l->found[l->nfound] = strdup(id)) == NULL)
		return false;
	l->nfound++;
	return true;
}

/* True: it was one, and l->cursor says where the next one begins ("": this was the last). */
static bool take_page(struct load *l, const char *body, size_t n)
{
	struct tr_fault fault;
	const json_t *list, *m;
	const char *cursor;
	json_t *doc;
	size_t i;
	bool good;

	if (json_parse(&doc, body, n, &fault) < 0)
		return false;
	list = json_object_get(doc, "memories");
	good = json_is_array(list);
	json_array_foreach(list, i, m)
	{
		const char *id = json_string_value(json_object_get(m, "id"));
		const char *content = json_string_value(json_object_get(m, "content"));
		json_int_t accesses = json_integer_value(json_object_get(m, "access_count"));
		struct listed one = {.key = content == NULL ? HISTORY_NO_KEY : load_key_of(l, content),
				     .accesses = accesses < 0 ? 0 : (uint32_t)accesses};

		if (id == NULL || !take_id(l, id))
			good = false;
		else if (l->first)
			history_listed(&l->history, &one);
	}
	cursor = json_string_value(json_object_get(doc, "next_cursor"));
	(void)snprintf(l->cursor, sizeof(l->cursor), "%s", cursor == NULL ? "" : cursor);
	json_decref(doc);
	return good;
}

static void begin_removal(struct load *l)
{
	uint32_t n = l->cfg.users;

	atomic_store(&l->phase, LOAD_CLEANS);
	l->under_way = n;
	for (uint32_t i = 0; i < n; i++)
		remove_next(&l->users[i]);
}

static void listed_all(struct load *l)
{
	if (l->first)
		l->left.listed = (uint32_t)l->nfound;
	l->first = false;
	l->left.left = (uint32_t)l->nfound;
	l->left.looked = true;
	if (l->nfound == 0 || l->rounds++ >= ROUNDS_MAX)
		leave(l);
	else
		begin_removal(l);
}

static void on_page(void *arg, enum http_end end, int status, const char *body, size_t n)
{
	struct user *u = arg;
	struct load *l = u->load;

	if (end == HTTP_ANSWERED && status == 200 && take_page(l, body, n)) {
		l->tries = 0;
		if (l->cursor[0] == '\0')
			listed_all(l);
		else
			ask_page(u);
	} else if (++l->tries < TRIES && (end == HTTP_REFUSED || end == HTTP_RESET || status >= 500)) {
		later(u, ask_page);
	} else {
		if (l->first)
			l->history.whole = false;
		l->left.looked = false;
		leave(l);
	}
}

static void ask_page(void *arg)
{
	struct user *u = arg;
	struct load *l = u->load;

	(void)snprintf(u->target, sizeof(u->target), "/api/v1/memories?source=drill:%s&limit=%d&touch=false%s%s", l->id,
		       PAGE, l->cursor[0] == '\0' ? "" : "&cursor=", l->cursor);
	if (http_send(u->http, "GET", u->target, NULL, NULL, TRY_MS, on_page, u) < 0)
		on_page(u, HTTP_LATE, 0, "", 0);
}

void load_list(struct load *l)
{
	atomic_store(&l->phase, LOAD_LISTS);
	l->first = true;
	l->tries = 0;
	l->cursor[0] = '\0';
	ask_page(&l->users[0]);
}

static void on_removed(void *arg, enum http_end end, int status, const char *body, size_t n)
{
	struct user *u = arg;
	bool done = end == HTTP_ANSWERED && (status == 204 || status == 202 || status == 404);

	(void)body, (void)n;
	if (!done && ++u->nown < TRIES && end != HTTP_LATE) {
		later(u, remove_next);
		return;
	}
	u->load->left.removed += done;
	u->busy = false;
	remove_next(u);
}

/* u->busy: the target is still to be removed; u->nown: how often that was tried. */
static void remove_next(void *arg)
{
	struct user *u = arg;
	struct load *l = u->load;

	if (!u->busy && l->next >= l->nfound) {
		if (--l->under_way == 0) {
			forget_found(l);
			ask_page(&l->users[0]);
		}
		return;
	}
	if (!u->busy) {
		u->busy = true;
		u->nown = 0;
		(void)snprintf(u->target, sizeof(u->target), "/api/v1/memories/%s", l->found[l->next++]);
	}
	if (http_send(u->http, "DELETE", u->target, NULL, NULL, TRY_MS, on_removed, u) < 0)
		on_removed(u, HTTP_LATE, 0, "", 0);
}
