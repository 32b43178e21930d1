/* Documents written from the tables. Each appends to out; check out->failed once at the end. Pure. */
#ifndef SUPERVISOR_CTL_DOC_DOC_H
#define SUPERVISOR_CTL_DOC_DOC_H
#include "common/base/buf.h"

void doc_man_tribectl(struct buf *out);
void doc_man_tribed(struct buf *out);
void doc_completion(struct buf *out);

#endif
