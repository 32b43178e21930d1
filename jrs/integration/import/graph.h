/* How JavaScript reads a line of JSON that is not quite UTF-8. Internal to this folder. */
#ifndef JRS_INTEGRATION_IMPORT_GRAPH_H
#define JRS_INTEGRATION_IMPORT_GRAPH_H
#include <stdbool.h>

#include "proto/json/json.h"

bool graph_blank(const char *p, size_t n);
/* Like json_parse(), but broken bytes, "\u0000" and halves of surrogate pairs read as U+FFFD. Caller decrefs *out. */
int graph_parse(json_t **out, const char *p, size_t n, struct tr_fault *fault);

#endif
