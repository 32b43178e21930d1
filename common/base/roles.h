/* The four roles, written once. enum order is the order of start; shutdown is the opposite. */
#ifndef COMMON_BASE_ROLES_H
#define COMMON_BASE_ROLES_H
#include <stddef.h>

/*       id           short name      API and label name  program            socket in the runtime directory */
#define TR_ROLES(X)                                                                                       \
	X(MEMORY,      "memory",      "memory_jr",      "memory-jr",      "memory.sock")               \
	X(INTEGRATION, "integration", "integration_jr", "integration-jr", "integration.sock")          \
	X(META,        "meta",        "meta_jr",        "meta-jr",        "meta.sock")                 \
	X(EXECUTIVE,   "executive",   "executive_jr",   "executive-jr",   "executive.sock")

enum tr_role {
#define X(id, name, api, prog, sock) TR_ROLE_##id,
	TR_ROLES(X)
#undef X
	TR_NROLES
};

struct tr_role_info {
	const char *name, *api_name, *program, *socket;
};
extern const struct tr_role_info tr_roles[TR_NROLES];

/* Accepts any of the three names ("memory", "memory_jr", "memory-jr"); -1 if there is no such role. */
int tr_role_find(const char *name, size_t n);

#define TR_CONTROL_SOCKET "control.sock"

#endif
