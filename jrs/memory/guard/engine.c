/* The engine: Vectorscan, loaded when the first guard is made. Its tables are made at build time; should the library
 * that is installed not take them, being of another version, they are made anew here, which takes 0.1 s.
 */
#include "common/log/log.h"
#include "jrs/memory/guard/inside.h"
#include <dlfcn.h>
#include <hs/hs.h>
#include <pthread.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#define RUNTIME  "libhs_runtime.so.5"
#define COMPILER "libhs.so.5" /* both are in one package */

struct hs {
#define HS(result, name, parameters) result(*name) parameters;
#include "jrs/memory/guard/hs.def"
#undef HS
};
static struct hs hs;
static bool loaded;
static pthread_once_t once = PTHREAD_ONCE_INIT;

struct engine {
	hs_database_t *db;
	hs_scratch_t *scratch;
	bool made_anew;
};

static void load(void)
{
	static const struct {
		const char *name;
		size_t offset;
	} all[] = {
#define HS(result, name, parameters) {#name, offsetof(struct hs, name)},
#include "jrs/memory/guard/hs.def"
#undef HS
	};
	void *library = dlopen(RUNTIME, RTLD_NOW | RTLD_LOCAL);
	size_t i;

	for (i = 0; library != NULL && i < sizeof(all) / sizeof(all[0]); i++) {
		void *f = dlsym(library, all[i].name);

		if (f == NULL) {
			log_error("guard: this libvectorscan lacks %s", all[i].name);
			return;
		}
		memcpy((char *)&hs + all[i].offset, &f, sizeof(f));
	}
	loaded = library != NULL;
}

/* For any processor of this architecture, as those of the build are. The compiler's own library scans too, but ours has
 * its scratch. */
static int compile(hs_database_t **out)
{
	static const char *const patterns[] = {
#define S(class, verifier, start, pattern) pattern,
#include "jrs/memory/guard/shapes.def"
#undef S
	};
#define START HS_FLAG_SOM_LEFTMOST
	static const unsigned flags[] = {
#define S(class, verifier, start, pattern) start,
#include "jrs/memory/guard/shapes.def"
#undef S
	};
#undef START
	typedef hs_error_t compile_fn(const char *const *, const unsigned *, const unsigned *, unsigned, unsigned,
				      const hs_platform_info_t *, hs_database_t **, hs_compile_error_t **);
	typedef hs_error_t free_error_fn(hs_compile_error_t *);
	static const hs_platform_info_t any = {.tune = HS_TUNE_FAMILY_GENERIC, .cpu_features = 0};
	unsigned ids[sizeof(patterns) / sizeof(patterns[0])], i;
	hs_compile_error_t *error = NULL;
	void *library = dlopen(COMPILER, RTLD_NOW | RTLD_LOCAL), *f, *g;
	free_error_fn *free_error;
	compile_fn *multi;

	if (library == NULL || (f = dlsym(library, "hs_compile_multi")) == NULL ||
	    (g = dlsym(library, "hs_free_compile_error")) == NULL)
		return TR_EUNAVAILABLE;
	memcpy(&multi, &f, sizeof(f));
	memcpy(&free_error, &g, sizeof(g));
	for (i = 0; i < sizeof(ids) / sizeof(ids[0]); i++)
		ids[i] = i;
	if (multi(patterns, flags, ids, i, HS_MODE_BLOCK, &any, out, &error) == HS_SUCCESS)
		return 0;
	free_error(error);
	return TR_EUNAVAILABLE;
}

static int unavailable(struct tr_fault *fault, const char *why)
{
	return tr_fault_set(fault, TR_EUNAVAILABLE, "", "the guard cannot look for secrets, so nothing is written: %s",
			    why);
}

int engine_new(struct engine **out, const struct tables *tables, struct tr_fault *fault)
{
	struct engine *e;
	hs_error_t err;
	int r = 0;

	pthread_once(&once, load);
	if (!loaded)
		return unavailable(fault, "package libvectorscan5 is not installed");
	if (hs.hs_valid_platform() != HS_SUCCESS)
		return unavailable(fault, "this processor lacks SSE 4.2");
	if ((e = calloc(1, sizeof(*e))) == NULL)
		return tr_fault_set(fault, TR_ENOMEM, "", "%s", tr_strerror(TR_ENOMEM));
	err = hs.hs_deserialize_database(tables->p, tables->n, &e->db);
	if (err == HS_NOMEM) {
		r = TR_ENOMEM;
	} else if (err != HS_SUCCESS) {
		log_info("guard: the library does not take its tables, they are made anew");
		e->db = NULL;
		e->made_anew = true;
		r = compile(&e->db);
	}
	if (r == 0 && hs.hs_alloc_scratch(e->db, &e->scratch) != HS_SUCCESS)
		r = TR_ENOMEM;
	if (r < 0) {
		engine_free(&e);
		return r == TR_ENOMEM ? tr_fault_set(fault, r, "", "%s", tr_strerror(r))
				      : unavailable(fault, "its tables do not suit the library");
	}
	*out = e;
	return 0;
}

void engine_free(struct engine **ep)
{
	struct engine *e = ep == NULL ? NULL : *ep;

	if (e == NULL)
		return;
	if (e->scratch != NULL)
		(void)hs.hs_free_scratch(e->scratch);
	if (e->db != NULL)
		(void)hs.hs_free_database(e->db);
	free(e);
	*ep = NULL;
}

bool engine_made_anew(const struct engine *e)
{
	return e->made_anew;
}

struct passed {
	engine_cb *cb;
	void *arg;
	int r;
};

static int on_match(unsigned id, unsigned long long from, unsigned long long to, unsigned flags, void *arg)
{
	struct passed *p = arg;

	(void)flags;
	p->r = p->cb(p->arg, id, (size_t)from, (size_t)to);
	return p->r < 0;
}

int engine_scan(struct engine *e, const char *p, size_t n, engine_cb *cb, void *arg)
{
	struct passed passed = {cb, arg, 0};
	hs_error_t err;

	if (n > UINT32_MAX)
		return TR_ETOOBIG;
	err = hs.hs_scan(e->db, p, (unsigned)n, 0, e->scratch, on_match, &passed);
	if (err == HS_SCAN_TERMINATED && passed.r < 0)
		return passed.r;
	return err == HS_SUCCESS ? 0 : TR_EUNAVAILABLE; /* whatever it is: nobody has looked at this text */
}
