#include "jrs/memory/guard/inside.h"

const unsigned char guard_tables[] = {
#include "guard_tables.inc"
};
const size_t guard_tables_n = sizeof(guard_tables);
