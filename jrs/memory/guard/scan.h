/* Inside the guard: the object itself. */
#ifndef JRS_MEMORY_GUARD_SCAN_H
#define JRS_MEMORY_GUARD_SCAN_H
#include "jrs/memory/guard/inside.h"

struct guard {
	struct guard_policy policy;
	struct engine *engine;
	struct guard_spans spans;
	struct view view;
	char *buf; /* texts that are put together to be looked at */
	size_t cap;
};
const char *guard_class_what(enum guard_class c); /* for a person */
unsigned guard_classes_of(unsigned kinds);        /* bits of the classes of GUARD_SECRET, GUARD_PII */

/* guard_new() with other tables than the build's: for a test. */
int guard_new_of(struct guard **out, const struct guard_policy *policy, const struct tables *tables,
		 struct tr_fault *fault);

#endif
