#include "jrs/memory/archive/pq.h"
#include "common/log/log.h"
#include <dlfcn.h>
#include <pthread.h>
#include <stddef.h>
#include <string.h>

#define LIBRARY "libpq.so.5" /* its ABI since PostgreSQL 8; pipelines need 14, whose names are looked up here */

const struct pq *pq;

static pthread_once_t once = PTHREAD_ONCE_INIT;
static struct pq table;

static void load(void)
{
	static const struct {
		const char *name;
		size_t offset;
	} all[] = {
#define PQ(result, name, parameters) {#name, offsetof(struct pq, name)},
#include "jrs/memory/archive/pq.def"
#undef PQ
	};
	void *library = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
	size_t i;

	for (i = 0; library != NULL && i < sizeof(all) / sizeof(all[0]); i++) {
		void *f = dlsym(library, all[i].name);

		if (f == NULL) {
			log_error("archive: this libpq lacks %s", all[i].name);
			return;
		}
		memcpy((char *)&table + all[i].offset, &f, sizeof(f));
	}
	if (library != NULL)
		pq = &table;
}

int pq_load(struct tr_fault *fault)
{
	pthread_once(&once, load);
	if (pq != NULL)
		return 0;
	return tr_fault_set(fault, TR_EUNSUPPORTED, "archive.url",
			    "needs libpq 14 or newer (package libpq5), which is not installed");
}
