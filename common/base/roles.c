#include "common/base/roles.h"
#include <string.h>

const struct tr_role_info tr_roles[TR_NROLES] = {
#define X(id, name, api, prog, sock) [TR_ROLE_##id] = {name, api, prog, sock},
	TR_ROLES(X)
#undef X
};

static int same(const char *want, const char *p, size_t n)
{
	return strlen(want) == n && memcmp(want, p, n) == 0;
}

int tr_role_find(const char *name, size_t n)
{
	for (int i = 0; i < TR_NROLES; i++)
		if (same(tr_roles[i].name, name, n) || same(tr_roles[i].api_name, name, n) ||
		    same(tr_roles[i].program, name, n))
			return i;
	return -1;
}
