#include "supervisor/app/adopt.h"
#include "common/log/log.h"
#include "supervisor/app/reload.h"
#include <string.h>

static bool take_locks(struct tribe *t)
{
	const struct tr_paths *paths = &t->opts->paths;
	int *single = t->store.single;

	if (state_lock_adopt(&t->lock, paths->state, paths->runtime, single[STORE_STATE_LOCK],
			     single[STORE_RUNTIME_LOCK]) < 0)
		return false;
	single[STORE_STATE_LOCK] = single[STORE_RUNTIME_LOCK] = -1;
	return true;
}

static bool take_sockets(struct tribe *t)
{
	struct store *s = &t->store;
	struct listeners l = {.control = s->single[STORE_CONTROL], .http = s->single[STORE_HTTP]};

	memcpy(l.jr, s->socket, sizeof(l.jr));
	if (listeners_adopt(&l, t->opts->paths.runtime) < 0)
		return false;
	t->listeners = l;
	s->single[STORE_CONTROL] = s->single[STORE_HTTP] = -1;
	memset(s->socket, 0xff, sizeof(s->socket)); /* -1 */
	return true;
}

bool adopt_base(struct tribe *t)
{
	struct store *s = &t->store;
	bool whole = store_take(s);

	if (whole && take_locks(t)) {
		if (take_sockets(t))
			return true;
		state_lock_drop(&t->lock);
	}
	if (whole)
		log_warn("what the descriptor store holds is of another tribe: begun anew");
	for (unsigned i = 0; i < s->n; i++)
		store_drop_process(s->process[i].role, s->process[i].slot, s->process[i].generation);
	store_close(s);
	store_drop_all();
	return false;
}

void adopt_given(struct tribe *t)
{
	char digest[TR_SHA256_HEX];

	if (launch_digest(&t->launch, digest) == 0)
		store_keep_given(digest);
}

void adopt_jrs(struct tribe *t)
{
	char digest[TR_SHA256_HEX];
	bool same = launch_digest(&t->launch, digest) == 0 && store_given_is(&t->store, digest);

	for (unsigned i = 0; i < t->store.n; i++)
		worker_adopt(&t->workers[t->store.process[i].role], &t->store.process[i],
			     same ? t->launch.revision : t->launch.revision - 1);
	store_close(&t->store);
	if (same)
		return;
	adopt_given(t);
	reload_roll(t->reload);
}

void adopt_keep(struct tribe *t)
{
	store_keep_single(STORE_CONTROL, t->listeners.control);
	store_keep_single(STORE_HTTP, t->listeners.http);
	store_keep_single(STORE_STATE_LOCK, t->lock.state_fd);
	store_keep_single(STORE_RUNTIME_LOCK, t->lock.runtime_fd);
	for (int i = 0; i < TR_NROLES; i++)
		store_keep_role((enum tr_role)i, t->listeners.jr[i], t->launch.lead_fd[i]);
	adopt_given(t);
}
