/* Error codes of the whole tribe: 0 or more is success, negative is failure, outputs stay untouched on failure.
 * libuv's codes (-errno and -4000..-4095) pass through; ours start at -20001; tr_strerror() knows both.
 * The wire name is what programs see in RPC errors and problem+json types; it never changes its meaning. */
#ifndef COMMON_BASE_ERR_H
#define COMMON_BASE_ERR_H

/*        name             code    wire name        for a person */
#define TR_ERRORS(X)                                                                                           \
	X(TR_ENOMEM,       -20001, "no_memory",     "out of memory")                                           \
	X(TR_EPROTO,       -20002, "protocol",      "peer broke the protocol")                                 \
	X(TR_ETOOBIG,      -20003, "too_big",       "over a configured limit")                                 \
	X(TR_ESTORE,       -20004, "store",         "the archive refused the operation")                       \
	X(TR_EINVAL,       -20005, "invalid",       "a value breaks its rule")                                 \
	X(TR_ENOTFOUND,    -20006, "not_found",     "there is no such thing")                                  \
	X(TR_ECONFLICT,    -20007, "conflict",      "it contradicts what is already there")                    \
	X(TR_EMISMATCH,    -20008, "key_reused",    "this request id was used for another request")            \
	X(TR_EBUSY,        -20009, "busy",          "too much is waiting already")                             \
	X(TR_EUNAVAILABLE, -20010, "unavailable",   "a part that is needed is not there at the moment")        \
	X(TR_EDEADLINE,    -20011, "deadline",      "the deadline passed first")                               \
	X(TR_EREFUSED,     -20012, "refused",       "not allowed")                                             \
	X(TR_ECONFIG,      -20013, "config",        "the configuration is wrong")                              \
	X(TR_EMETHOD,      -20014, "unknown_method", "no such method here")                                    \
	X(TR_EINTERNAL,    -20015, "internal",      "something went wrong inside")                             \
	X(TR_ECLOSED,      -20016, "closed",        "the connection was closed")                               \
	X(TR_EMALFORMED,   -20017, "malformed",     "it cannot be parsed")                                     \
	X(TR_EUNSUPPORTED, -20018, "unsupported",   "this version cannot do that")                             \
	X(TR_EQUOTA,       -20019, "quota",         "over the limit of its source")                            \
	X(TR_ENOSPACE,     -20020, "no_space",      "the disk is nearly full")                                 \
	X(TR_ESECRET,      -20021, "secret",        "it holds a secret")

enum tr_err {
#define X(name, code, wire, text) name = (code),
	TR_ERRORS(X)
#undef X
};

/* Static text for any code, ours or libuv's. Never NULL. */
const char *tr_strerror(int r);
/* "invalid", "not_found" ...; "internal" for a code that has no wire name. Never NULL. */
const char *tr_err_name(int r);
/* The code for a wire name of n bytes; TR_EINTERNAL for one that is not known. */
int tr_err_code(const char *name, unsigned n);
/* Exit status for a program that ends with r: 0 done; 2 usage or configuration; 3 cannot reach; 4 refused; 5 internal;
 * 1 for the rest (the thing asked for failed). */
int tr_exit_code(int r);

/* What is wrong with one value: which field, which rule. Filled by decoders; safe to show to whoever sent the value. */
struct tr_fault {
	int code;        /* TR_EINVAL, TR_EMALFORMED ...; 0 = nothing wrong */
	char field[64];  /* dotted path such as "memories[3].importance"; empty: the whole */
	char rule[160];  /* "must be a number from 0 to 1" */
};
/* Fills *f (may be NULL) and returns code, so that a check can `return tr_fault_set(...)`. */
int tr_fault_set(struct tr_fault *f, int code, const char *field, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

#endif
