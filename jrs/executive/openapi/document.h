/* Inside of openapi-doc, which runs at build time only: whatever is wrong with a table ends it with a message. */
#ifndef JRS_EXECUTIVE_OPENAPI_DOCUMENT_H
#define JRS_EXECUTIVE_OPENAPI_DOCUMENT_H
#include "proto/json/json.h"
#include <jansson.h>

/* ---- calls.c: what the tables cannot say of a call, one of these for each handler of routes.def ---- */
struct call_answer {
	int status;                    /* 0: no more of them */
	const char *what;              /* for a person */
	enum wire_msg_id result;       /* its body is this message's result; MSG_hello (0): see the next ones */
	const struct wire_shape *item; /* or this item; */
	const char *schema;            /* or this schema, as JSON; none of the three: no body, or text */
	const char *also;              /* properties, as JSON, which the handler adds to the shape's */
	const char *nulls;   /* fields of the shape which are null where nothing is known, as api_nulls() has them */
	const char *example; /* JSON, or text as it is */
};
#define CALL_ANSWERS 3
struct call_doc {
	const char *tag, *summary, *text;
	enum wire_msg_id body;   /* params that the body brings, without what stands in the path; MSG_hello: none */
	const char *body_schema; /* instead: JSON; %s-free */
	const struct wire_shape *body_item; /* that body_schema refers to */
	enum wire_msg_id query;             /* params that the query brings; MSG_hello: none */
	const char *example;                /* of the body, JSON */
	const char *lines;                  /* of the body as application/x-ndjson */
	const char *path, *asks; /* examples: of the piece in braces; of parameters: "q=blue+kettle&limit=1" */
	const char *headers;     /* further parameters, a JSON array */
	const char *more;        /* further members of the operation, a JSON object; NULL: none */
	struct call_answer answers[CALL_ANSWERS];
};
struct call {
	const char *method, *pattern;
	const char *scope; /* NULL: anybody may */
	bool whole;        /* not for a token that is bound to a source */
	unsigned takes, gives;
	size_t max_body;
	const char *query;
	const struct call_doc *doc;
};
extern const struct call calls[];
extern const size_t ncalls;

/* ---- schema.c ---- */
enum schema_way {
	SCHEMA_SENT,
	SCHEMA_ANSWERED
}; /* by the client: nothing else may be in it; or by us: more may come */
/* A component for the item and those in it; a reference to it (new). */
json_t *schema_item(json_t *components, const struct wire_shape *item, enum schema_way way);
/* Of the shape itself. owner: whose fields they are, for words.def; without, nulls: names parted by blanks, or NULL. */
json_t *schema_shape(json_t *components, const struct wire_shape *shape, const char *owner, enum schema_way way,
		     const char *without, const char *nulls);
json_t *schema_field(json_t *components, const struct wire_field *f, const char *owner, enum schema_way way);
const struct wire_field *schema_find(const struct wire_shape *shape, const char *name);

/* ---- document.c ---- */
json_t *document(void);
json_t *must(json_t *j);                                       /* not NULL */
json_t *must_parse(const char *text, const char *what);        /* JSON of a table */
void must_set(json_t *object, const char *key, json_t *value); /* value: taken */
bool listed(const char *names, const char *name);              /* parted by blanks; NULL: none */

#endif
