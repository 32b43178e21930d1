/* The engine's tables: see CMakeLists.txt. */
#include "jrs/memory/guard/inside.h"
static const unsigned char bytes[] = {
#include "guard_tables.inc"
};
const struct tables guard_tables = {bytes, sizeof(bytes)};
