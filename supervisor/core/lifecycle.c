#include "supervisor/core/lifecycle.h"
#include <assert.h>

/* Short names keep a row on one screen. */
#define C(state, actions)             \
	{                             \
		LC_##state, (actions) \
	}
#define AGAIN (DO_GONE | DO_SPAWN)

struct cell {
	enum lc_state next;
	unsigned act;
};

/* clang-format off */
/* An explicit START does not wait for a back-off: the operator knows more. A stopped process does not see SIGTERM, so STOPPED
 * always ends in SIGKILL. HUNG before hello is the start timeout's business. */
static const struct cell table[LC_NSTATES][LC_NEVENTS] = {
[LC_DOWN] = {
	[EV_START]      = C(STARTING, DO_SPAWN),  [EV_HELLO]   = C(DOWN, DO_BUG),         [EV_BEAT]    = C(DOWN, DO_BUG),
	[EV_EXIT]       = C(DOWN, DO_BUG),        [EV_EXIT_LATER] = C(DOWN, DO_BUG),      [EV_EXIT_OFTEN] = C(DOWN, DO_BUG),
	[EV_EXIT_SPENT] = C(DOWN, DO_BUG),
	[EV_STOPPED]    = C(DOWN, DO_BUG),        [EV_HUNG]    = C(DOWN, DO_BUG),         [EV_TIMEOUT] = C(DOWN, DO_BUG),
	[EV_STOP]       = C(DOWN, 0) },
[LC_STARTING] = {
	[EV_START]      = C(STARTING, 0),         [EV_HELLO]   = C(UP, DO_UP),            [EV_BEAT]    = C(STARTING, 0),
	[EV_EXIT]       = C(STARTING, AGAIN),     [EV_EXIT_LATER] = C(BACKOFF, DO_GONE),  [EV_EXIT_OFTEN] = C(FAILED, DO_GONE),
	[EV_EXIT_SPENT] = C(DOWN, DO_GONE),
	[EV_STOPPED]    = C(KILLING, DO_KILL),    [EV_HUNG]    = C(STARTING, 0),          [EV_TIMEOUT] = C(KILLING, DO_KILL),
	[EV_STOP]       = C(TERMINATING, DO_TERM) },
[LC_UP] = {
	[EV_START]      = C(UP, 0),               [EV_HELLO]   = C(UP, 0),                [EV_BEAT]    = C(UP, 0),
	[EV_EXIT]       = C(STARTING, AGAIN),     [EV_EXIT_LATER] = C(BACKOFF, DO_GONE),  [EV_EXIT_OFTEN] = C(FAILED, DO_GONE),
	[EV_EXIT_SPENT] = C(DOWN, DO_GONE),
	[EV_STOPPED]    = C(KILLING, DO_KILL),    [EV_HUNG]    = C(KILLING, DO_KILL),     [EV_TIMEOUT] = C(UP, DO_BUG),
	[EV_STOP]       = C(STOPPING, DO_DRAIN) },
[LC_STOPPING] = {
	[EV_START]      = C(STOPPING, 0),         [EV_HELLO]   = C(STOPPING, 0),          [EV_BEAT]    = C(STOPPING, 0),
	[EV_EXIT]       = C(DOWN, DO_GONE),       [EV_EXIT_LATER] = C(DOWN, DO_GONE),     [EV_EXIT_OFTEN] = C(DOWN, DO_GONE),
	[EV_EXIT_SPENT] = C(DOWN, DO_GONE),
	[EV_STOPPED]    = C(ENDING, DO_KILL),     [EV_HUNG]    = C(ENDING, DO_KILL),      [EV_TIMEOUT] = C(TERMINATING, DO_TERM),
	[EV_STOP]       = C(STOPPING, 0) },
[LC_TERMINATING] = {
	[EV_START]      = C(TERMINATING, 0),      [EV_HELLO]   = C(TERMINATING, 0),       [EV_BEAT]    = C(TERMINATING, 0),
	[EV_EXIT]       = C(DOWN, DO_GONE),       [EV_EXIT_LATER] = C(DOWN, DO_GONE),     [EV_EXIT_OFTEN] = C(DOWN, DO_GONE),
	[EV_EXIT_SPENT] = C(DOWN, DO_GONE),
	[EV_STOPPED]    = C(ENDING, DO_KILL),     [EV_HUNG]    = C(ENDING, DO_KILL),      [EV_TIMEOUT] = C(ENDING, DO_KILL),
	[EV_STOP]       = C(TERMINATING, 0) },
[LC_ENDING] = {
	[EV_START]      = C(ENDING, 0),           [EV_HELLO]   = C(ENDING, 0),            [EV_BEAT]    = C(ENDING, 0),
	[EV_EXIT]       = C(DOWN, DO_GONE),       [EV_EXIT_LATER] = C(DOWN, DO_GONE),     [EV_EXIT_OFTEN] = C(DOWN, DO_GONE),
	[EV_EXIT_SPENT] = C(DOWN, DO_GONE),
	[EV_STOPPED]    = C(ENDING, 0),           [EV_HUNG]    = C(ENDING, 0),            [EV_TIMEOUT] = C(ENDING, DO_KILL),
	[EV_STOP]       = C(ENDING, 0) },
[LC_KILLING] = {
	[EV_START]      = C(KILLING, 0),          [EV_HELLO]   = C(KILLING, 0),           [EV_BEAT]    = C(KILLING, 0),
	[EV_EXIT]       = C(STARTING, AGAIN),     [EV_EXIT_LATER] = C(BACKOFF, DO_GONE),  [EV_EXIT_OFTEN] = C(FAILED, DO_GONE),
	[EV_EXIT_SPENT] = C(DOWN, DO_GONE),
	[EV_STOPPED]    = C(KILLING, 0),          [EV_HUNG]    = C(KILLING, 0),           [EV_TIMEOUT] = C(KILLING, DO_KILL),
	[EV_STOP]       = C(ENDING, 0) },
[LC_BACKOFF] = {
	[EV_START]      = C(STARTING, DO_SPAWN),  [EV_HELLO]   = C(BACKOFF, DO_BUG),      [EV_BEAT]    = C(BACKOFF, DO_BUG),
	[EV_EXIT]       = C(BACKOFF, DO_BUG),     [EV_EXIT_LATER] = C(BACKOFF, DO_BUG),   [EV_EXIT_OFTEN] = C(BACKOFF, DO_BUG),
	[EV_EXIT_SPENT] = C(BACKOFF, DO_BUG),
	[EV_STOPPED]    = C(BACKOFF, DO_BUG),     [EV_HUNG]    = C(BACKOFF, DO_BUG),      [EV_TIMEOUT] = C(STARTING, DO_SPAWN),
	[EV_STOP]       = C(DOWN, 0) },
[LC_FAILED] = {
	[EV_START]      = C(STARTING, DO_SPAWN),  [EV_HELLO]   = C(FAILED, DO_BUG),       [EV_BEAT]    = C(FAILED, DO_BUG),
	[EV_EXIT]       = C(FAILED, DO_BUG),      [EV_EXIT_LATER] = C(FAILED, DO_BUG),    [EV_EXIT_OFTEN] = C(FAILED, DO_BUG),
	[EV_EXIT_SPENT] = C(FAILED, DO_BUG),
	[EV_STOPPED]    = C(FAILED, DO_BUG),      [EV_HUNG]    = C(FAILED, DO_BUG),       [EV_TIMEOUT] = C(STARTING, DO_SPAWN),
	[EV_STOP]       = C(DOWN, 0) },
};
/* clang-format on */

void lc_init(struct lc *w)
{
	*w = (struct lc){.state = LC_DOWN};
}

/* How long a state may last; 0 = as long as it likes. */
static uint64_t patience(const struct lc_limits *lim, enum lc_state s)
{
	switch (s) {
	case LC_STARTING:
		return lim->start_ms;
	case LC_STOPPING:
		return lim->drain_ms;
	case LC_TERMINATING:
		return lim->term_ms;
	case LC_ENDING:
	case LC_KILLING:
		return lim->kill_ms;
	case LC_BACKOFF:
	case LC_FAILED:
		return lim->retry_ms > 0 ? lim->retry_ms : 1;
	default:
		return 0;
	}
}

unsigned lc_step(struct lc *w, const struct lc_limits *lim, enum lc_event ev, uint64_t now_ms)
{
	const struct cell *c = &table[w->state][ev];

	assert(c->next != LC_NONE);
	if (c->next != w->state || (c->act & DO_SPAWN) || ev == EV_TIMEOUT) {
		uint64_t p = patience(lim, c->next);

		w->wake_ms = p == 0 ? 0 : now_ms + p;
	}
	w->state = c->next;
	if (c->act & DO_SPAWN)
		w->generation++;
	return c->act;
}

int lc_alive(enum lc_state s)
{
	return s != LC_NONE && s != LC_DOWN && s != LC_BACKOFF && s != LC_FAILED;
}

const char *lc_word(enum lc_state s)
{
	static const char *const words[LC_NSTATES] = {"none",
#define X(name, word, doc) word,
						      LC_STATES(X)
#undef X
	};
	return words[s];
}

const char *lc_state_name(enum lc_state s)
{
	static const char *const names[LC_NSTATES] = {"NONE",
#define X(name, word, doc) #name,
						      LC_STATES(X)
#undef X
	};
	return names[s];
}

const char *lc_event_name(enum lc_event e)
{
	static const char *const names[LC_NEVENTS] = {
#define X(name) #name,
		LC_EVENTS(X)
#undef X
	};
	return names[e];
}

unsigned lc_cell(enum lc_state s, enum lc_event e, enum lc_state *next)
{
	*next = table[s][e].next;
	return table[s][e].act;
}
