/* libpq, loaded when an archive lies in PostgreSQL and not before: its libraries (Kerberos, LDAP) would cost every
 * start of memory-jr about 3 ms (docs/adr/0008-archive.md). Call it as pq->PQstatus(...). */
#ifndef JRS_MEMORY_ARCHIVE_PQ_H
#define JRS_MEMORY_ARCHIVE_PQ_H
#include "common/base/err.h"
#include <libpq-fe.h>

struct pq {
#define PQ(result, name, parameters) result(*name) parameters;
#include "jrs/memory/archive/pq.def"
#undef PQ
};
extern const struct pq *pq; /* NULL until pq_load() has succeeded; never unloaded */
/* Any thread, any number of times. TR_EUNSUPPORTED with *fault when it is not installed. */
int pq_load(struct tr_fault *fault);

#endif
