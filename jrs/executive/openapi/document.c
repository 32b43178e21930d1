/* routes.def, the shapes and calls.c put together: OpenAPI 3.1. */
#include "jrs/executive/openapi/document.h"
#include "common/base/text.h"
#include "jrs/executive/api/check.h"
#include "jrs/executive/http/problem.h"
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tribe/version.h>

static const char info_text[] = "Memories that warm and cool, questions answered from them, votes and decisions, and "
				"how the four Jrs are. JSON in UTF-8; times "
				"are RFC 3339 in UTC. On loopback nobody needs a token as long as none was made; "
				"beyond it, and as soon as there is one, every "
				"call but the probes needs a bearer token with the scope that `x-scope` names (read < "
				"write < admin; metrics alone for /metrics). "
				"A token bound to a source sees that source's memories only, and no call with "
				"`x-whole-tribe`. Errors are problem details "
				"(RFC 9457); `detail` names the field and the rule. Answers may have more fields than "
				"are listed here; requests may not. `HEAD` goes "
				"where `GET` goes, `OPTIONS` says what a path takes. Lengths of strings with "
				"`x-max-bytes` are counted in bytes of UTF-8.";

static const struct {
	const char *name, *text;
} tags[] = {
	{"Memories", "What the tribe remembers."},
	{"Questions", "Answers that quote memories."},
	{"Votes", "Proposals put to the Jrs and to others."},
	{"Decisions", "The log of what was decided; each decision is a memory, too."},
	{"Tribe", "How the Jrs, the archive and the whole are."},
	{"Analysis", "What meta-jr found."},
	{"Drills", "What harm on purpose came to."},
	{"Governance", "What takes several to change."},
	{"Tokens", "Who may call."},
	{"Probes", "For whoever watches the process."},
	{"Page", "For people."},
};

json_t *must(json_t *j)
{
	if (j == NULL) {
		fputs("openapi-doc: out of memory, or a table with bad UTF-8\n", stderr);
		exit(5);
	}
	return j;
}

void must_set(json_t *object, const char *key, json_t *value)
{
	if (json_object_set_new(object, key, must(value)) < 0)
		must(NULL);
}

json_t *must_parse(const char *text, const char *what)
{
	json_error_t e;
	json_t *j = json_loads(text, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &e);

	if (j == NULL) {
		fprintf(stderr, "openapi-doc: %s: %s: %s\n", what, e.text, text);
		exit(5);
	}
	return j;
}

bool listed(const char *names, const char *name)
{
	size_t len = strlen(name);

	while (names != NULL && *names != '\0') {
		size_t n = strcspn(names, " ");

		if (n == len && memcmp(names, name, n) == 0)
			return true;
		names += n + (names[n] == ' ');
	}
	return false;
}

static void die(const struct call *c, const char *why, const char *name)
{
	fprintf(stderr, "openapi-doc: %s %s: %s: %s\n", c->method, c->pattern, why, name);
	exit(5);
}

/* ---- names ---- */
/* "GET /api/v1/memories/{id}" -> "get_memories_id" */
static void operation_id(const struct call *c, char out[128])
{
	const char *p = strncmp(c->pattern, "/api/v1/", 8) == 0 ? c->pattern + 7 : c->pattern;
	size_t n = 0;

	for (const char *m = c->method; *m != '\0'; m++)
		out[n++] = (char)tolower((unsigned char)*m);
	for (; *p != '\0' && n < 126; p++)
		if (isalnum((unsigned char)*p) || *p == '_' || (*p == '/' && p[1] != '\0'))
			out[n++] = *p == '/' ? '_' : *p;
		else if (*p == '.')
			out[n++] = '_';
	out[n] = '\0';
}

static json_t *ref_to(const char *kind, const char *name)
{
	return must(json_pack("{s:o}", "$ref", must(json_sprintf("#/components/%s/%s", kind, name))));
}

/* ---- parameters ---- */
/* The value of `name` in "a=b&c=d+e", typed by its schema; NULL: there is none. */
static json_t *example_of(const char *asks, const char *name, const struct wire_field *f)
{
	size_t len = strlen(name);

	for (const char *p = asks; p != NULL && *p != '\0';) {
		size_t n = strcspn(p, "&");

		if (n > len && strncmp(p, name, len) == 0 && p[len] == '=') {
			char text[256];

			tr_copy(text, sizeof(text), p + len + 1, n - len - 1);
			for (char *s = text; *s != '\0'; s++)
				*s = *s == '+' ? ' ' : *s;
			if (f->type == WIRE_str || f->type == WIRE_text || f->type == WIRE_time)
				return must(json_string(text));
			return must_parse(text, name);
		}
		p += n + (p[n] == '&');
	}
	return NULL;
}

static json_t *parameter(const struct call *c, const char *where, const char *name, json_t *components)
{
	const struct wire_shape *shapes[2] = {wire_methods[c->doc->query].params, wire_methods[c->doc->body].params};
	enum wire_msg_id ids[2] = {c->doc->query, c->doc->body};
	bool path = strcmp(where, "path") == 0;
	json_t *p = must(json_pack("{s:s,s:s}", "name", name, "in", where)), *schema, *example = NULL;
	const struct wire_field *f = NULL;
	int i = 0;

	for (; i < 2 && f == NULL; i++)
		if (ids[i] != MSG_hello)
			f = schema_find(shapes[i], name);
	if (f == NULL && !path)
		die(c, "the message that the query brings has no such field", name);
	if (path)
		must_set(p, "required", json_true());
	schema = f == NULL ? must(json_pack("{s:s,s:i,s:s}", "type", "string", "minLength", 1, "description",
					    "which one"))
			   : schema_field(components, f, wire_methods[ids[i - 1]].id, SCHEMA_SENT);
	if (json_object_get(schema, "description") != NULL) {
		must_set(p, "description", json_incref(json_object_get(schema, "description")));
		json_object_del(schema, "description");
	}
	must_set(p, "schema", schema);
	if (path && c->doc->path != NULL)
		example = must(json_string(c->doc->path));
	else if (!path)
		example = example_of(c->doc->asks, name, f);
	if (example != NULL)
		must_set(p, "example", example);
	return p;
}

static json_t *parameters(const struct call *c, json_t *components)
{
	json_t *list = must(json_array());
	char name[64];

	for (const char *p = strchr(c->pattern, '{'); p != NULL; p = strchr(p + 1, '{')) {
		tr_copy(name, sizeof(name), p + 1, strcspn(p + 1, "}"));
		json_array_append_new(list, parameter(c, "path", name, components));
	}
	for (const char *q = c->query; *q != '\0' && *q != '*';) {
		size_t n = strcspn(q, " ");

		tr_copy(name, sizeof(name), q, n);
		json_array_append_new(list, parameter(c, "query", name, components));
		q += n + (q[n] == ' ');
	}
	if (strcmp(c->method, "GET") != 0)
		json_array_append_new(list, ref_to("parameters", "idempotency_key"));
	json_array_append_new(list, ref_to("parameters", "request_id"));
	if (c->doc->headers != NULL) {
		json_t *more = must_parse(c->doc->headers, c->pattern);

		json_array_extend(list, more);
		json_decref(more);
	}
	return list;
}

/* ---- bodies ---- */
static json_t *with_example(json_t *schema, const char *example, bool text, const char *what)
{
	json_t *m = must(json_pack("{s:o}", "schema", schema));

	if (example != NULL)
		must_set(m, "example", text ? json_string(example) : must_parse(example, what));
	return m;
}

static json_t *request_body(const struct call *c, const char *id, json_t *components)
{
	const struct call_doc *d = c->doc;
	json_t *content = must(json_object()), *schema;
	char name[160], without[64] = "";

	if (strchr(c->pattern, '{') != NULL)
		tr_copy(without, sizeof(without), strchr(c->pattern, '{') + 1,
			strcspn(strchr(c->pattern, '{') + 1, "}"));
	if (d->body_schema != NULL) {
		schema = must_parse(d->body_schema, c->pattern);
		if (d->body_item != NULL)
			json_decref(schema_item(components, d->body_item, SCHEMA_SENT));
	} else {
		if (d->body == MSG_hello)
			die(c, "takes a body, and calls.c says nothing of it", id);
		snprintf(name, sizeof(name), "%s_request", id);
		must_set(json_object_get(components, "schemas"), name,
			 schema_shape(components, wire_methods[d->body].params, wire_methods[d->body].id, SCHEMA_SENT,
				      without, NULL));
		schema = ref_to("schemas", name);
	}
	for (unsigned bit = 1; bit != 0 && bit <= c->takes; bit <<= 1) {
		if ((c->takes & bit) == 0)
			continue;
		if (bit == MEDIA_JSON)
			must_set(content, check_media_name(bit),
				 with_example(json_incref(schema), d->example, false, c->pattern));
		else
			must_set(content, check_media_name(bit),
				 with_example(must(json_pack("{s:s,s:s}", "type", "string", "description",
							     "one JSON object a line, each as one of the array")),
					      d->lines, true, c->pattern));
	}
	json_decref(schema);
	return must(
		json_pack("{s:b,s:o,s:I}", "required", 1, "content", content, "x-max-bytes", (json_int_t)c->max_body));
}

static void put_also(json_t *schema, const char *also, const char *what)
{
	json_t *more = must_parse(also, what), *v;
	const char *key;

	json_object_foreach(more, key, v)
	{
		must_set(json_object_get(schema, "properties"), key, json_incref(v));
		json_array_append_new(json_object_get(schema, "required"), must(json_string(key)));
	}
	json_decref(more);
}

static json_t *answer_schema(const struct call *c, const char *id, const struct call_answer *a, json_t *components)
{
	json_t *schema;
	char name[160];

	if (a->item != NULL)
		return schema_item(components, a->item, SCHEMA_ANSWERED);
	if (a->schema != NULL)
		return must_parse(a->schema, c->pattern);
	if (a->result == MSG_hello)
		return NULL;
	snprintf(name, sizeof(name), a->status < 202 ? "%s_answer" : "%s_answer_%d", id, a->status);
	schema = schema_shape(components, wire_methods[a->result].result, wire_methods[a->result].id, SCHEMA_ANSWERED,
			      NULL, a->nulls);
	if (a->also != NULL)
		put_also(schema, a->also, c->pattern);
	must_set(json_object_get(components, "schemas"), name, schema);
	return ref_to("schemas", name);
}

static json_t *answer(const struct call *c, const char *id, const struct call_answer *a, json_t *components)
{
	json_t *r = must(json_pack("{s:s,s:{s:o}}", "description", a->what, "headers", "X-Request-Id",
				   ref_to("headers", "request_id")));
	json_t *content = must(json_object()), *schema = answer_schema(c, id, a, components);

	for (unsigned bit = 1; a->status != 204 && a->status != 304 && bit != 0 && bit <= c->gives; bit <<= 1) {
		bool json = bit == MEDIA_JSON && schema != NULL;

		if ((c->gives & bit) != 0)
			must_set(content, check_media_name(bit),
				 with_example(json ? json_incref(schema) : must(json_pack("{s:s}", "type", "string")),
					      json == (schema != NULL) ? a->example : NULL, !json, c->pattern));
	}
	if (json_object_size(content) > 0)
		must_set(r, "content", content);
	else
		json_decref(content);
	json_decref(schema);
	return r;
}

/* ---- answers ---- */
/* May this call be refused with this status? */
static bool can_be(const struct call *c, int status)
{
	bool body = c->takes != 0;

	switch (status) {
	case 400:
	case 406:
	case 421:
	case 500:
	case 503:
		return true;
	case 401:
	case 403:
	case 429:
		return c->scope != NULL || status == 403;
	case 404:
		return strchr(c->pattern, '{') != NULL;
	case 409:
		return strcmp(c->method, "GET") != 0;
	case 408:
	case 411:
	case 413:
	case 415:
		return body;
	case 422:
		return body || c->doc->headers != NULL || strcmp(c->query, "*") != 0;
	default:
		return false;
	}
}

static json_t *responses(const struct call *c, const char *id, json_t *components)
{
	json_t *all = must(json_object());
	char key[16], name[32];

	for (int i = 0; i < CALL_ANSWERS && c->doc->answers[i].status != 0; i++) {
		snprintf(key, sizeof(key), "%d", c->doc->answers[i].status);
		must_set(all, key, answer(c, id, &c->doc->answers[i], components));
	}
	for (int i = 0; i < HTTP_NSTATUSES; i++) {
		snprintf(key, sizeof(key), "%d", http_statuses[i].code);
		snprintf(name, sizeof(name), "problem_%s", key);
		if (http_statuses[i].problem != NULL && can_be(c, http_statuses[i].code) &&
		    json_object_get(all, key) == NULL)
			must_set(all, key, ref_to("responses", name));
	}
	must_set(all, "default", ref_to("responses", "problem"));
	return all;
}

/* ---- an operation ---- */
static json_t *operation(const struct call *c, json_t *components)
{
	const struct call_doc *d = c->doc;
	json_t *op;
	char id[128];

	operation_id(c, id);
	op = must(json_pack("{s:s,s:[s],s:s}", "operationId", id, "tags", d->tag, "summary", d->summary));
	if (d->text != NULL)
		must_set(op, "description", json_string(d->text));
	if (c->scope == NULL)
		must_set(op, "security", json_array());
	else
		must_set(op, "security", json_pack("[{s:[s]},{}]", "bearer", c->scope));
	if (c->scope != NULL)
		must_set(op, "x-scope", json_string(c->scope));
	if (c->whole)
		must_set(op, "x-whole-tribe", json_true());
	must_set(op, "parameters", parameters(c, components));
	if (c->takes != 0)
		must_set(op, "requestBody", request_body(c, id, components));
	must_set(op, "responses", responses(c, id, components));
	if (d->more != NULL) {
		json_t *more = must_parse(d->more, c->pattern);

		json_object_update(op, more);
		json_decref(more);
	}
	return op;
}

/* ---- what all share ---- */
static json_t *problem_answer(int status, const char *text)
{
	json_t *r = must(json_pack("{s:s,s:{s:o},s:{s:{s:o}}}", "description", text, "headers", "X-Request-Id",
				   ref_to("headers", "request_id"), "content", HTTP_PROBLEM_TYPE, "schema",
				   ref_to("schemas", "problem")));
	json_t *headers = json_object_get(r, "headers");

	if (status == 503 || status == 429)
		must_set(headers, "Retry-After", ref_to("headers", "retry_after"));
	if (status == 405)
		must_set(headers, "Allow", ref_to("headers", "allow"));
	return r;
}

static json_t *problem_answers(void)
{
	json_t *all = must(json_object());
	char name[32];

	for (int i = 0; i < HTTP_NSTATUSES; i++) {
		if (http_statuses[i].problem == NULL)
			continue;
		snprintf(name, sizeof(name), "problem_%d", http_statuses[i].code);
		must_set(all, name, problem_answer(http_statuses[i].code, http_statuses[i].text));
	}
	must_set(all, "problem", problem_answer(0, "Any other refusal"));
	return all;
}

static const char shared[] =
	"{\"parameters\":{"
	"\"idempotency_key\":{\"name\":\"Idempotency-Key\",\"in\":\"header\",\"description\":\"The same call again "
	"under the same key has one "
	"effect and gets the same answer, for 24 hours; another body under it is 422 key_reused, one that is still "
	"under way 409.\","
	"\"schema\":{\"type\":\"string\",\"pattern\":\"^[!-~]{1,128}$\"}},"
	"\"request_id\":{\"name\":\"X-Request-Id\",\"in\":\"header\",\"description\":\"Echoed, where it is 1 to 128 of "
	"A-Z a-z 0-9 . _ -\","
	"\"schema\":{\"type\":\"string\"}}},"
	"\"headers\":{"
	"\"request_id\":{\"description\":\"The request's X-Request-Id, or a new "
	"one\",\"schema\":{\"type\":\"string\"}},"
	"\"retry_after\":{\"description\":\"Seconds\",\"schema\":{\"type\":\"integer\",\"minimum\":0}},"
	"\"allow\":{\"description\":\"Methods of this path\",\"schema\":{\"type\":\"string\"}}},"
	"\"securitySchemes\":{\"bearer\":{\"type\":\"http\",\"scheme\":\"bearer\",\"description\":\"tribectl token "
	"create, or the admin token "
	"of a first start beyond loopback. Scopes: read, write (and read), admin (and all others), metrics (/metrics "
	"alone).\"}},"
	"\"schemas\":{\"problem\":{\"type\":\"object\",\"description\":\"RFC "
	"9457\",\"required\":[\"type\",\"title\",\"status\",\"detail\",\"request_id\"],"
	"\"properties\":{\"type\":{\"type\":\"string\",\"pattern\":\"^urn:tribe:problem:[a-z_]+$\",\"description\":"
	"\"never changes its meaning\"},"
	"\"title\":{\"type\":\"string\"},\"status\":{\"type\":\"integer\",\"minimum\":400,\"maximum\":599},"
	"\"detail\":{\"type\":\"string\",\"description\":\"the field and the "
	"rule\"},\"request_id\":{\"type\":\"string\"}}}}}";

json_t *document(void)
{
	json_t *components = must_parse(shared, "shared"), *paths = must(json_object()), *list = must(json_array());
	json_t *doc = must(json_pack("{s:s,s:{s:s,s:s,s:s,s:{s:s,s:s}},s:[{s:s}]}", "openapi", "3.1.0", "info", "title",
				     "tribe", "version", TRIBE_VERSION, "description", info_text, "license", "name",
				     "Apache-2.0", "identifier", "Apache-2.0", "servers", "url", "/"));

	must_set(components, "responses", problem_answers());
	json_decref(schema_item(components, &wire_shape_event, SCHEMA_ANSWERED)); /* streams refer to these */
	json_decref(schema_item(components, &wire_shape_beat, SCHEMA_ANSWERED));
	for (size_t i = 0; i < ncalls; i++) {
		json_t *path = json_object_get(paths, calls[i].pattern);
		char method[16] = "";

		for (size_t k = 0; calls[i].method[k] != '\0' && k < sizeof(method) - 1; k++)
			method[k] = (char)tolower((unsigned char)calls[i].method[k]);
		if (path == NULL)
			must_set(paths, calls[i].pattern, path = must(json_object()));
		must_set(path, method, operation(&calls[i], components));
	}
	for (size_t i = 0; i < sizeof(tags) / sizeof(*tags); i++)
		json_array_append_new(list,
				      must(json_pack("{s:s,s:s}", "name", tags[i].name, "description", tags[i].text)));
	must_set(doc, "tags", list);
	must_set(doc, "paths", paths);
	must_set(doc, "components", components);
	return doc;
}
