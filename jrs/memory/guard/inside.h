/* Inside the guard: what its files share. */
#ifndef JRS_MEMORY_GUARD_INSIDE_H
#define JRS_MEMORY_GUARD_INSIDE_H
#include "jrs/memory/guard/guard.h"

/* tables.c: the engine's, serialised; made at build time by compile/ */
struct tables {
	const void *p;
	size_t n;
};
extern const struct tables guard_tables;

/* engine.c: all shapes at once */
struct engine;
/* What the library does not take of the tables is made anew from the shapes. */
int engine_new(struct engine **out, const struct tables *tables, struct tr_fault *fault);
bool engine_made_anew(const struct engine *e);
void engine_free(struct engine **e);
/* Called at each place where a shape ends; not in order across shapes. < 0 ends the scan, which then returns it. */
typedef int engine_cb(void *arg, unsigned shape, size_t from, size_t to);
int engine_scan(struct engine *e, const char *p, size_t n, engine_cb *cb, void *arg);

/* A text that is being looked at. */
struct text {
	const char *p;
	size_t n;
};
/* view.c: another way to read a text. Byte i of it stands in the text at begin[i]..end[i]. */
struct view {
	char *p;
	uint32_t *begin, *end;
	size_t n, cap;
};
void view_free(struct view *v);
/* 1: there is something to be looked at, 0: no more than the text itself shows, TR_ENOMEM. */
int view_plain(struct view *v, struct text t);  /* as it looks: no characters without width, ASCII letters, no %41 */
int view_base64(struct view *v, struct text t); /* what its long runs of base64 hold, where that is text */

/* A verifier is told where its shape was found (from: only of a shape with START). 1: it is one, and *from, *to say
 * where; 0: it is none. In either case *seen is how far it has looked: the same shape's hits that end there or before
 * say nothing new. */
typedef int verifier(struct text t, size_t *from, size_t *to, size_t *seen);
struct shape {
	enum guard_class class;
	verifier *verify;
};
extern const struct shape guard_shapes[];
extern const unsigned guard_nshapes;

/* verify.c, number.c */
verifier verify_run, verify_random, verify_dotted, verify_address, verify_header, verify_pem, verify_value, verify_url;
verifier verify_card, verify_iban, verify_email, verify_phone, verify_exact, verify_ssn, verify_dni, verify_ip4,
	verify_ip6;

#endif
