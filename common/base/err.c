#include "common/base/err.h"
#include "common/base/text.h"
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <uv.h>

const char *tr_strerror(int r)
{
	if (r >= 0)
		return "success";
	switch (r) {
#define X(name, code, wire, text) \
	case name:                \
		return text;
		TR_ERRORS(X)
#undef X
		/* only codes libuv knows: for others it would allocate the text */
#define X(name, text) case UV_##name:
		UV_ERRNO_MAP(X)
#undef X
		return uv_strerror(r);
	default:
		return "unknown error";
	}
}

const char *tr_err_name(int r)
{
	switch (r) {
#define X(name, code, wire, text) \
	case name:                \
		return wire;
		TR_ERRORS(X)
#undef X
	default:
		return "internal";
	}
}

int tr_err_code(const char *name, unsigned n)
{
#define X(id, code, wire, text)                                  \
	if (n == sizeof(wire) - 1 && memcmp(name, wire, n) == 0) \
		return id;
	TR_ERRORS(X)
#undef X
	return TR_EINTERNAL;
}

int tr_exit_code(int r)
{
	if (r >= 0)
		return 0;
	switch (r) {
	case TR_ECONFIG:
	case TR_EINVAL:
		return 2;
	case TR_EUNAVAILABLE:
	case TR_ECLOSED:
	case UV_ECONNREFUSED:
	case UV_ECONNRESET:
	case UV_ENOENT:
	case UV_ENOTCONN:
	case UV_EPIPE:
		return 3;
	case TR_EREFUSED:
	case TR_EQUOTA:
	case UV_EACCES:
	case UV_EPERM:
		return 4;
	case TR_ENOMEM:
	case TR_EPROTO:
	case TR_EINTERNAL:
	case UV_ENOMEM:
		return 5;
	default:
		return 1;
	}
}

int tr_fault_set(struct tr_fault *f, int code, const char *field, const char *fmt, ...)
{
	va_list ap;

	if (f == NULL)
		return code;
	f->code = code;
	tr_copy(f->field, sizeof(f->field), field, field == NULL ? 0 : strlen(field));
	va_start(ap, fmt);
	if (vsnprintf(f->rule, sizeof(f->rule), fmt, ap) < 0)
		f->rule[0] = '\0';
	va_end(ap);
	return code;
}
