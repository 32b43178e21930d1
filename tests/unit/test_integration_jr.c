/* jrs/integration's handlers against a memory-jr that the test plays. */
#include "jrs/integration/handlers.h"
#include "tests/unit/jr_world.h"

#define ROWS_MAX     2048
#define REQUESTS_MAX 64

/* What the played memory-jr holds: rows told apart by session and content, and the answers it gave by request id. */
struct site {
	struct jr_world j;
	struct integration *in;
	unsigned nrows, nrequests, calls, biggest;
	char rows[ROWS_MAX][160];
	struct {
		char id[129];
		unsigned n;
		bool created[256];
	} requests[REQUESTS_MAX];
	char source[WIRE_NAME_MAX + 1], import_id[WIRE_ID_MAX + 1];
	unsigned noted; /* calls with a position */
	uint64_t position, skipped;
	unsigned restored;
	struct chan_call *held;
	unsigned hold_call;   /* number of the call to keep unanswered; 0: none */
	unsigned refuse_call; /* number of the call to refuse with fault */
	struct tr_fault fault;
	/* the caller's side */
	bool done;
	int r;
	struct tr_fault why;
	struct res_integration_import got;
	char reason[256], answer[2048], basis[257], cited[4][WIRE_ID_MAX + 1];
	unsigned ncited;
	double confidence;
};

static bool remember(struct site *s, const struct item_new_memory *m)
{
	char row[160];

	(void)snprintf(row, sizeof row, "%.*s|%.*s", m->has_session ? (int)m->session.n : 0,
		       m->has_session ? m->session.p : "", (int)(m->content.n < 100 ? m->content.n : 100),
		       m->content.p);
	for (unsigned i = 0; i < s->nrows; i++)
		if (strcmp(s->rows[i], row) == 0)
			return false;
	assert_true(s->nrows < ROWS_MAX);
	(void)strcpy(s->rows[s->nrows++], row);
	return true;
}

/* What a call said of its import. */
static void heard(struct site *s, bool has_id, wire_str id, bool has_position, uint64_t position, bool has_skipped,
		  uint64_t skipped)
{
	(void)snprintf(s->import_id, sizeof s->import_id, "%.*s", has_id ? (int)id.n : 0, has_id ? id.p : "");
	assert_int_equal(has_position, has_skipped);
	assert_true(s->noted == 0 || !has_position || position != s->position || skipped >= s->skipped);
	if (!has_position)
		return;
	s->noted++;
	s->position = position;
	s->skipped = skipped;
}

static void on_restore(void *arg, struct chan_call *call, const void *msg)
{
	const struct msg_memory_restore *m = msg;
	struct site *s = arg;

	s->calls++;
	assert_true(m->common.has_request_id && m->common.request_id.n == 64);
	heard(s, m->has_import_id, m->import_id, m->has_import_position, m->import_position, m->has_import_skipped,
	      m->import_skipped);
	if (s->refuse_call == s->calls) {
		chan_fail(call, &s->fault);
		return;
	}
	s->restored += m->records.n;
	chan_reply(call, &(struct res_memory_restore){.added = m->records.n - 1, .known = 1});
}

static void on_add(void *arg, struct chan_call *call, const void *msg)
{
	const struct msg_memory_add *m = msg;
	struct item_added *v = calloc(m->memories.n, sizeof *v);
	struct site *s = arg;
	unsigned at = 0;

	s->calls++;
	s->biggest = m->memories.n > s->biggest ? m->memories.n : s->biggest;
	assert_true(m->common.has_request_id && m->common.request_id.n == 64);
	assert_true(m->has_source);
	heard(s, m->has_import_id, m->import_id, m->has_import_position, m->import_position, m->has_import_skipped,
	      m->import_skipped);
	(void)snprintf(s->source, sizeof s->source, "%.*s", (int)m->source.n, m->source.p);
	if (s->refuse_call == s->calls) {
		chan_fail(call, &s->fault);
		free(v);
		return;
	}
	while (at < s->nrequests && memcmp(s->requests[at].id, m->common.request_id.p, 64) != 0)
		at++;
	assert_true(at < REQUESTS_MAX);
	if (at == s->nrequests) {
		memcpy(s->requests[at].id, m->common.request_id.p, 64);
		s->requests[at].n = m->memories.n;
		s->nrequests++;
		for (uint32_t i = 0; i < m->memories.n; i++)
			s->requests[at].created[i] = remember(s, &m->memories.v[i]);
	}
	assert_int_equal(s->requests[at].n, m->memories.n); /* the same id never means another request */
	if (s->hold_call == s->calls) {
		s->held = call;
		free(v);
		return;
	}
	for (uint32_t i = 0; i < m->memories.n; i++)
		v[i] = (struct item_added){.id = wire_s("id"),
					   .created = s->requests[at].created[i],
					   .temperature = 40,
					   .stage = wire_s("warm")};
	chan_reply(call, &(struct res_memory_add){.memories = {v, m->memories.n}});
	free(v);
}

static void memory_comes(struct site *s)
{
	s->j.memory = jr_world_serve(&s->j, s->j.memory_path);
	chan_server_handle(s->j.memory, MSG_memory_add, on_add, s);
	chan_server_handle(s->j.memory, MSG_memory_restore, on_restore, s);
}

static void on_imported(void *arg, int r, const void *res, const struct tr_fault *fault)
{
	struct site *s = arg;

	s->done = true;
	s->r = r;
	if (r < 0) {
		s->why = *fault;
		return;
	}
	s->got = *(const struct res_integration_import *)res;
	if (s->got.reasons.n > 0)
		(void)snprintf(s->reason, sizeof s->reason, "%llu: %.*s", (unsigned long long)s->got.reasons.v[0].line,
			       (int)s->got.reasons.v[0].reason.n, s->got.reasons.v[0].reason.p);
}

static void start_import(struct site *s, const char *format, const char *data, const char *request_id,
			 uint32_t timeout_ms)
{
	struct msg_integration_import m = {.name = wire_s("doc.md"), .format = wire_s(format), .data = wire_s(data)};

	m.common.has_request_id = true;
	m.common.request_id = wire_s(request_id);
	s->done = false;
	assert_int_equal(peer_call(s->j.caller, MSG_integration_import, &m, timeout_ms, on_imported, s, NULL), 0);
}

/* A piece of an import that was begun; it brings it to `position`. */
static void import_to(struct site *s, const char *data, const char *request_id, uint64_t position)
{
	struct msg_integration_import m = {.name = wire_s("x.jsonl"),
					   .format = wire_s("jsonl"),
					   .data = wire_s(data),
					   .has_import_id = true,
					   .import_id = wire_s("imp"),
					   .has_import_position = true,
					   .import_position = position};

	m.common.has_request_id = true;
	m.common.request_id = wire_s(request_id);
	s->done = false;
	s->noted = 0;
	assert_int_equal(peer_call(s->j.caller, MSG_integration_import, &m, 15000, on_imported, s, NULL), 0);
	SPIN(&s->j.w, s->done);
	assert_int_equal(s->r, 0);
	assert_string_equal(s->import_id, "imp");
	assert_int_equal(s->position, position);
}

static void import(struct site *s, const char *format, const char *data, const char *request_id)
{
	start_import(s, format, data, request_id, 15000);
	SPIN(&s->j.w, s->done);
}

static void counts_are_added_known_skipped(void **state)
{
	struct site *s = *state;

	memory_comes(s);
	import(s, "text", "One fact.\n\nAnother fact.\n\nOne fact.\n\n---\n", "r1");
	assert_int_equal(s->r, 0);
	assert_int_equal(s->got.added, 2);
	assert_int_equal(s->got.known, 1); /* two equal paragraphs are one memory */
	assert_int_equal(s->got.skipped, 1);
	assert_string_equal(s->reason, "7: there is no letter or digit in it");
	assert_string_equal(s->source, "doc.md");
	assert_string_equal(s->rows[0], "doc.md|One fact.");
	import(s, "markdown", "# Title\n\nUnder it.\n", "r2");
	assert_int_equal(s->got.added, 1);
	assert_string_equal(s->rows[2], "doc.md|Title:\n\nUnder it.");
	import(s, "jsonl", "{\"content\":\"third\"}\nrubbish\n", "r3");
	assert_int_equal(s->got.added, 1);
	assert_int_equal(s->got.skipped, 1);
	assert_string_equal(s->rows[3], "|third");
	import(s, "text", "", "r4");
	assert_int_equal(s->r, 0);
	assert_int_equal(s->got.added + s->got.known + s->got.skipped, 0);
}

static char *many_lines(unsigned n)
{
	char *text = malloc(n * 40), *p = text;

	for (unsigned i = 0; i < n; i++)
		p += sprintf(p, "{\"content\":\"memory number %u\"}\n", i);
	return text;
}

static void a_repeated_piece_is_harmless(void **state)
{
	struct site *s = *state;
	char *text = many_lines(600);

	memory_comes(s);
	import(s, "jsonl", text, "r1");
	assert_int_equal(s->got.added, 600);
	assert_int_equal(s->calls, 3);
	assert_int_equal(s->biggest, 256);
	assert_int_equal(s->nrequests, 3); /* each batch under an id of its own */
	import(s, "jsonl", text, "r1");    /* sent again: the same requests, the same answer */
	assert_int_equal(s->nrequests, 3);
	assert_int_equal(s->got.added, 600);
	import(s, "jsonl", text, "r2"); /* imported again: known */
	assert_int_equal(s->nrequests, 6);
	assert_int_equal(s->got.added, 0);
	assert_int_equal(s->got.known, 600);
	assert_int_equal(s->nrows, 600);
	free(text);
}

static void memory_dies_in_the_middle(void **state)
{
	struct site *s = *state;
	char *text = many_lines(600);

	memory_comes(s);
	s->hold_call = 2;
	start_import(s, "jsonl", text, "r1", 15000);
	SPIN(&s->j.w, s->held != NULL);
	chan_server_free(&s->j.memory); /* it was durable, but nobody heard of it */
	chan_reply(s->held, &(struct res_memory_add){0});
	memory_comes(s);
	SPIN(&s->j.w, s->done);
	assert_int_equal(s->r, 0);
	assert_int_equal(s->got.added, 600);
	assert_int_equal(s->nrows, 600);
	free(text);
}

static void memory_away_is_an_error_in_time(void **state)
{
	struct site *s = *state;
	uint64_t start = tr_mono_ms();

	start_import(s, "text", "A fact.", "r1", 150);
	SPIN(&s->j.w, s->done);
	assert_true(s->r == TR_EDEADLINE || s->r == TR_EUNAVAILABLE);
	assert_true(tr_mono_ms() - start < 5000);
	memory_comes(s);
	import(s, "text", "A fact.", "r1");
	assert_int_equal(s->r, 0);
	assert_int_equal(s->got.added, 1);
}

static void one_refused_memory_does_not_spoil_the_rest(void **state)
{
	struct site *s = *state;

	memory_comes(s);
	s->refuse_call = 1;
	tr_fault_set(&s->fault, TR_ECONFLICT, "memories[1].id", "is known with another content");
	import(s, "jsonl", "{\"content\":\"a\"}\n{\"content\":\"b\"}\n{\"content\":\"c\"}\n", "r1");
	assert_int_equal(s->r, 0);
	assert_int_equal(s->got.added, 2);
	assert_int_equal(s->got.skipped, 1);
	assert_string_equal(s->reason, "2: id: is known with another content");
	assert_string_equal(s->rows[1], "|c");
	s->refuse_call = s->calls + 1; /* the only one of its batch */
	tr_fault_set(&s->fault, TR_ECONFLICT, "memories[0]", "no");
	import(s, "jsonl", "{\"content\":\"d\"}\n", "r2");
	assert_int_equal(s->r, 0);
	assert_int_equal(s->got.skipped, 1);
}

static void a_look_remembers_nothing(void **state)
{
	struct msg_integration_import m = {.name = wire_s("x.jsonl"),
					   .format = wire_s("jsonl"),
					   .data = wire_s("{\"content\":\"a\"}\nrubbish\n{\"content\":\"\"}\n"),
					   .has_first_line = true,
					   .first_line = 10,
					   .has_look = true,
					   .look = true};
	struct site *s = *state;

	memory_comes(s);
	assert_int_equal(peer_call(s->j.caller, MSG_integration_import, &m, 15000, on_imported, s, NULL), 0);
	SPIN(&s->j.w, s->done);
	assert_int_equal(s->r, 0);
	assert_int_equal(s->got.added + s->got.known, 0);
	assert_int_equal(s->got.skipped, 2);
	assert_int_equal(strncmp(s->reason, "11: ", 4), 0);
	assert_int_equal(s->calls, 0);
}

static void an_archive_error_goes_back(void **state)
{
	struct site *s = *state;

	memory_comes(s);
	s->refuse_call = 1;
	tr_fault_set(&s->fault, TR_ESTORE, "", "the disk is full");
	import(s, "text", "A fact.", "r1");
	assert_int_equal(s->r, TR_ESTORE);
	s->refuse_call = s->calls + 1;
	tr_fault_set(&s->fault, TR_ECONFLICT, "memories[7]", "there is no such place");
	import(s, "text", "A fact.", "r2");
	assert_int_equal(s->r, TR_ECONFLICT);
}

static void only_the_last_batch_says_how_far(void **state)
{
	struct site *s = *state;
	char *text = many_lines(600);

	memory_comes(s);
	import_to(s, text, "r1", 1000);
	assert_int_equal(s->calls, 3);
	assert_int_equal(s->noted, 1);
	assert_int_equal(s->skipped, 0);
	import_to(s, "rubbish\n{\"content\":\"x\"}\n[]\n", "r2", 2000); /* the skipped ones go along */
	assert_int_equal(s->noted, 1);
	assert_int_equal(s->skipped, 2);
	s->calls = 0;
	import_to(s, "rubbish\n\n", "r3", 3000); /* nothing to remember, but further */
	assert_int_equal(s->calls, 1);
	assert_int_equal(s->noted, 1);
	assert_int_equal(s->skipped, 1);
	import_to(s, "", "r4", 4000);
	assert_int_equal(s->noted, 1);
	import(s, "jsonl", "{\"content\":\"of no import\"}\n", "r5");
	assert_string_equal(s->import_id, "");
	free(text);
}

static void a_refused_last_row_does_not_lose_the_position(void **state)
{
	struct site *s = *state;

	memory_comes(s);
	s->refuse_call = 1;
	tr_fault_set(&s->fault, TR_ECONFLICT, "memories[0].id", "is known with another content");
	import_to(s, "{\"content\":\"a\"}\n", "r1", 10);
	assert_int_equal(s->calls, 2);
	assert_int_equal(s->skipped, 1);
	assert_int_equal(s->got.skipped, 1);
}

#define RECORD(c)                                                                                         \
	"{\"content\":\"" c "\",\"own_id\":false,\"heat_key\":2913.25,\"access_count\":1,\"revision\":1," \
	"\"created_at\":\"2026-01-02T03:04:05.678Z\",\"last_access\":\"2026-01-02T03:04:05.678Z\"}\n"

static void exported_rows_are_restored(void **state)
{
	struct site *s = *state;

	memory_comes(s);
	import_to(s, RECORD("a") RECORD("b") "{\"content\":\"new\"}\n" RECORD("c") RECORD("d"), "r1", 77);
	assert_int_equal(s->calls, 3);
	assert_int_equal(s->restored, 4);
	assert_int_equal(s->got.added, 3); /* one of each restore was known */
	assert_int_equal(s->got.known, 2);
	assert_int_equal(s->noted, 1);
	s->refuse_call = s->calls + 1;
	tr_fault_set(&s->fault, TR_ECONFLICT, "records[1].id", "is known with another content");
	import_to(s, RECORD("e") RECORD("f") RECORD("g"), "r2", 99);
	assert_int_equal(s->restored, 6);
	assert_int_equal(s->got.skipped, 1);
	assert_string_equal(s->reason, "2: id: is known with another content");
}

static void formats_are_checked(void **state)
{
	struct site *s = *state;

	memory_comes(s);
	import(s, "git", "x", "r1"); /* no record at all */
	assert_int_equal(s->r, 0);
	assert_int_equal(s->got.skipped, 1);
	import(s, "docx", "x", "r2");
	assert_int_equal(s->r, TR_EINVAL);
	assert_string_equal(s->why.field, "format");
}

static void leaving_ends_what_is_under_way(void **state)
{
	struct site *s = *state;

	memory_comes(s);
	s->hold_call = 1;
	start_import(s, "text", "A fact.", "r1", 15000);
	SPIN(&s->j.w, s->held != NULL);
	integration_free(&s->in);
	SPIN(&s->j.w, s->done);
	assert_int_equal(s->r, TR_ECLOSED);
	chan_fail(s->held, &s->why);
}

static void on_answer(void *arg, int r, const void *res, const struct tr_fault *fault)
{
	const struct res_integration_synthesise *a = res;
	struct site *s = arg;

	s->done = true;
	s->r = r;
	if (r < 0) {
		s->why = *fault;
		return;
	}
	(void)snprintf(s->answer, sizeof s->answer, "%.*s", (int)a->answer.n, a->answer.p);
	(void)snprintf(s->basis, sizeof s->basis, "%.*s", (int)a->confidence_basis.n, a->confidence_basis.p);
	s->confidence = a->confidence;
	s->ncited = a->cited.n;
	for (uint32_t i = 0; i < a->cited.n && i < 4; i++)
		(void)snprintf(s->cited[i], sizeof s->cited[i], "%.*s", (int)a->cited.v[i].n, a->cited.v[i].p);
	assert_int_equal(a->synthesis.n, 10);
	assert_memory_equal(a->synthesis.p, "extractive", 10);
}

static void ask(struct site *s, const char *detail, const struct item_source *v, uint32_t n)
{
	struct msg_integration_synthesise m = {.question = wire_s("Where does the heron nest?"), .sources = {v, n}};

	m.has_detail = detail != NULL;
	m.detail = wire_s(detail);
	s->done = false;
	assert_int_equal(peer_call(s->j.caller, MSG_integration_synthesise, &m, 15000, on_answer, s, NULL), 0);
	SPIN(&s->j.w, s->done);
}

static void answers_are_quoted_and_cited(void **state)
{
	static const struct item_source v[] = {
		{.id = {"m-1", 3}, .content = {"Ducks swim.", 11}, .score = 2},
		{.id = {"m-2", 3}, .content = {"The heron nests in the old mill.", 32}, .score = 1},
	};
	struct site *s = *state;

	ask(s, NULL, v, 2);
	assert_int_equal(s->r, 0);
	assert_string_equal(s->answer, "The heron nests in the old mill. [2]");
	assert_int_equal(s->ncited, 1);
	assert_string_equal(s->cited[0], "m-2");
	assert_true(s->confidence > .5);
	assert_non_null(strstr(s->basis, "2 of 2 words"));
	ask(s, "full", NULL, 0);
	assert_string_equal(s->answer, "Nothing in memory answers this.");
	assert_true(s->confidence == 0);
	assert_int_equal(s->ncited, 0);
	ask(s, "loud", v, 2);
	assert_int_equal(s->r, TR_EINVAL);
	assert_string_equal(s->why.field, "detail");
}

static int set_up(void **state)
{
	struct site *s = calloc(1, sizeof *s);
	struct integration_cfg cfg = {.timeout_ms = 10000};

	*state = s;
	jr_world_open(&s->j);
	cfg.loop = &s->j.w.loop;
	cfg.memory = s->j.to_memory;
	assert_int_equal(integration_new(&s->in, &cfg), 0);
	chan_server_handle(s->j.jr, MSG_integration_import, integration_import, s->in);
	chan_server_handle(s->j.jr, MSG_integration_synthesise, integration_synthesise, s->in);
	return 0;
}

static int take_down(void **state)
{
	struct site *s = *state;

	integration_free(&s->in);
	jr_world_close(&s->j);
	free(s);
	return 0;
}

#define T(f) cmocka_unit_test_setup_teardown(f, set_up, take_down)
int main(void)
{
	const struct CMUnitTest tests[] = {
		T(counts_are_added_known_skipped),
		T(a_repeated_piece_is_harmless),
		T(memory_dies_in_the_middle),
		T(memory_away_is_an_error_in_time),
		T(one_refused_memory_does_not_spoil_the_rest),
		T(a_look_remembers_nothing),
		T(an_archive_error_goes_back),
		T(only_the_last_batch_says_how_far),
		T(a_refused_last_row_does_not_lose_the_position),
		T(exported_rows_are_restored),
		T(formats_are_checked),
		T(leaving_ends_what_is_under_way),
		T(answers_are_quoted_and_cited),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
