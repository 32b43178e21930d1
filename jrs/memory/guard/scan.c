/* One text: what the engine finds is verified, sorted and told. */
#include "jrs/memory/guard/scan.h"
#include "jrs/memory/guard/inside.h"
#include <stdlib.h>
#include <string.h>

#define START 1
const struct shape guard_shapes[] = {
#define S(class, verifier, start, pattern) {GUARD_##class, verify_##verifier},
#include "jrs/memory/guard/shapes.def"
#undef S
};
#define NSHAPES (sizeof(guard_shapes) / sizeof(guard_shapes[0]))
const unsigned guard_nshapes = NSHAPES;

static const char *const class_names[] = {
#define C(id, name, kind, what) name,
#include "jrs/memory/guard/classes.def"
#undef C
};

const char *guard_class_name(enum guard_class c)
{
	return (unsigned)c < GUARD_NCLASSES ? class_names[c] : "unknown";
}

const char *guard_action_name(enum guard_action a)
{
	static const char *const action_names[] = {"refused", "redacted", "flagged"};

	return (unsigned)a < GUARD_NACTIONS ? action_names[a] : "unknown";
}

const char *guard_class_what(enum guard_class c)
{
	static const char *const what_names[] = {
#define C(id, name, kind, what) what,
#include "jrs/memory/guard/classes.def"
#undef C
	};
	return (unsigned)c < GUARD_NCLASSES ? what_names[c] : "something";
}

unsigned guard_classes_of(unsigned kinds)
{
	static const unsigned kind_of[] = {
#define C(id, name, kind, what) kind,
#include "jrs/memory/guard/classes.def"
#undef C
	};
	unsigned bits = 0, c;

	for (c = 0; c < GUARD_NCLASSES; c++)
		bits |= (kind_of[c] & kinds) != 0 ? GUARD_BIT(c) : 0;
	return bits;
}

bool guard_policy_parse(const char *secrets, const char *pii, struct guard_policy *out)
{
	static const char *const words[] = {"refuse", "redact", "allow"};
	unsigned i;

	for (i = 0; i < 3 && strcmp(words[i], secrets) != 0; i++)
		;
	if (i == 3 || (strcmp(pii, "flag") != 0 && strcmp(pii, "off") != 0))
		return false;
	*out = (struct guard_policy){(enum guard_secrets)i, strcmp(pii, "off") == 0};
	return true;
}

int guard_new_of(struct guard **out, const struct guard_policy *policy, const struct tables *tables,
		 struct tr_fault *fault)
{
	struct guard *g = calloc(1, sizeof(*g));
	int r;

	if (g == NULL)
		return tr_fault_set(fault, TR_ENOMEM, "", "%s", tr_strerror(TR_ENOMEM));
	g->policy = *policy;
	if ((r = engine_new(&g->engine, tables, fault)) < 0) {
		free(g);
		return r;
	}
	*out = g;
	return 0;
}

int guard_new(struct guard **out, const struct guard_policy *policy, struct tr_fault *fault)
{
	return guard_new_of(out, policy, &guard_tables, fault);
}

void guard_free(struct guard **gp)
{
	struct guard *g = gp == NULL ? NULL : *gp;

	if (g == NULL)
		return;
	engine_free(&g->engine);
	view_free(&g->view);
	free(g->spans.v);
	free(g->buf);
	free(g);
	*gp = NULL;
}

struct scan {
	struct text t;
	unsigned classes;
	struct guard_spans *spans;
	size_t seen[NSHAPES];
};

static int span_put(struct guard_spans *s, struct guard_span span)
{
	if (s->n == s->cap) {
		size_t cap = s->cap == 0 ? 64 : s->cap * 2;
		struct guard_span *v = realloc(s->v, sizeof(*v) * cap);

		if (v == NULL)
			return TR_ENOMEM;
		s->v = v;
		s->cap = cap;
	}
	s->v[s->n++] = span;
	return 0;
}

static int on_hit(void *arg, unsigned shape, size_t from, size_t to)
{
	const struct shape *sh = &guard_shapes[shape];
	struct scan *s = arg;

	if ((s->classes & GUARD_BIT(sh->class)) == 0 || to <= s->seen[shape] ||
	    !sh->verify(s->t, &from, &to, &s->seen[shape]))
		return 0;
	return span_put(s->spans, (struct guard_span){(uint32_t)from, (uint32_t)to, sh->class});
}

static int in_order(const void *a, const void *b)
{
	const struct guard_span *x = a, *y = b;

	if (x->from != y->from)
		return x->from < y->from ? -1 : 1;
	return (x->class > y->class) - (x->class < y->class);
}

/* Where two meet, a secret keeps its place whole, and what is only about a person what is left. */
static void join(struct guard_spans *s)
{
	const unsigned secret = guard_classes_of(GUARD_SECRET);
	size_t i, n = 0;

	if (s->n < 2)
		return;
	qsort(s->v, s->n, sizeof(*s->v), in_order);
	for (i = 1; i < s->n; i++) {
		struct guard_span *last = &s->v[n];

		if (s->v[i].from >= last->to) {
			s->v[++n] = s->v[i];
			continue;
		}
		if ((GUARD_BIT(last->class) & secret) != 0 && (GUARD_BIT(s->v[i].class) & secret) == 0)
			continue;
		if ((GUARD_BIT(last->class) & secret) == 0 && (GUARD_BIT(s->v[i].class) & secret) != 0) {
			last->to = s->v[i].from;
			n += last->to > last->from;
			s->v[n] = s->v[i];
			continue;
		}
		last->to = s->v[i].to > last->to ? s->v[i].to : last->to;
		last->class = s->v[i].class < last->class ? s->v[i].class : last->class;
	}
	s->n = n + 1;
}

/* One way to read the text; v NULL: as it is. */
static int scan(struct guard *g, struct text t, unsigned classes, const struct view *v)
{
	struct scan s = {.t = t, .classes = classes, .spans = &g->spans};
	size_t i = g->spans.n;
	int r;

	if (classes == 0 || t.n < 6) /* nothing is shorter */
		return 0;
	if ((r = engine_scan(g->engine, t.p, t.n, on_hit, &s)) < 0)
		return r;
	for (; v != NULL && i < g->spans.n; i++) {
		struct guard_span *span = &g->spans.v[i];

		span->to = v->end[span->to - 1];
		span->from = v->begin[span->from];
	}
	return 0;
}

int guard_scan(struct guard *g, const char *p, size_t n, unsigned classes, const struct guard_spans **out)
{
	static int (*const views[])(struct view *, struct text) = {view_plain, view_base64};
	const struct text t = {p, n};
	unsigned secrets = classes & guard_classes_of(GUARD_SECRET), i;
	int r;

	g->spans.n = 0;
	if ((r = scan(g, t, classes, NULL)) < 0)
		return r;
	for (i = 0; secrets != 0 && i < 2; i++) {
		if ((r = views[i](&g->view, t)) == 1)
			r = scan(g, (struct text){g->view.p, g->view.n}, secrets, &g->view);
		if (r < 0)
			return r;
	}
	join(&g->spans);
	*out = &g->spans;
	return 0;
}
