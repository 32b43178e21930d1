/* The judge of a drill: planted histories that each must be found out, and none that must not; the verdict; the
 * reports. */
#include "common/base/buf.h"
#include "supervisor/ctl/drill/report.h"
#include "supervisor/ctl/drill/stats.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define MS 1000000ull
#define T0 (1000000 * MS)

/* ---- a history by hand: times in ms since T0 ---- */

static struct history h;

static struct op *op(enum op_kind kind, uint32_t key, unsigned sent, unsigned done, enum op_end end)
{
	const struct op o = {.sent_ns = T0 + sent * MS,
			     .done_ns = done == 0 ? 0 : T0 + done * MS,
			     .key = key,
			     .kind = (uint8_t)kind,
			     .end = (uint8_t)end,
			     .status = end == OP_GOOD     ? 200
				       : end == OP_ABSENT ? 404
							  : 0};

	assert_true(history_op(&h, &o) >= 0);
	if (kind == OP_ADD && key >= h.nkeys)
		h.nkeys = key + 1;
	return &h.ops[h.nops - 1];
}

static void there(uint32_t key, uint32_t accesses)
{
	const struct listed l = {.key = key, .accesses = accesses};

	history_listed(&h, &l);
}

static void trouble(enum trouble_kind kind, unsigned at)
{
	const struct trouble t = {.at_ns = T0 + at * MS, .op = 0, .kind = (uint8_t)kind};

	history_trouble(&h, &t);
}

/* Four memories, each acknowledged, read and there. */
static void good_history(void)
{
	history_free(&h);
	h.whole = true;
	for (uint32_t k = 0; k < 4; k++) {
		(void)op(OP_ADD, k, 10 * k, 10 * k + 5, OP_GOOD);
		(void)op(OP_GET, k, 10 * k + 6, 10 * k + 7, OP_GOOD);
		there(k, 1);
	}
	(void)op(OP_ASK, HISTORY_NO_KEY, 50, 60, OP_GOOD);
}

static const struct check_window down = {T0 + 100 * MS, T0 + 200 * MS};

/* Lost, doubled, stale, refused, failed must be so many; the records may stand in any order. */
static struct check expect(uint64_t lost, uint64_t doubled, uint64_t stale, uint64_t refused, uint64_t failed)
{
	const uint64_t want[CHECK_NCOUNTS] = {lost, doubled, stale, refused, failed};
	struct check c;
	uint64_t random = 1;

	for (int turn = 0; turn < 8; turn++) {
		assert_int_equal(check_history(&h, &down, 1, T0, &c), 0);
		for (int i = 0; i < CHECK_NCOUNTS; i++) {
			if (c.count[i] != want[i])
				fail_msg("%s: %llu, not %llu (turn %d)", check_words[i], (unsigned long long)c.count[i],
					 (unsigned long long)want[i], turn);
			assert_int_equal(c.example[i][0][0] != '\0', want[i] > 0);
		}
		for (size_t i = h.nops; i > 1; i--) {
			size_t k = (size_t)(stats_random(&random) % i);
			struct op swap = h.ops[i - 1];

			h.ops[i - 1] = h.ops[k];
			h.ops[k] = swap;
		}
	}
	return c;
}

static void a_good_history_is_good(void **state)
{
	struct check c;

	(void)state;
	good_history();
	c = expect(0, 0, 0, 0, 0);
	assert_int_equal(c.ops, 9);
	assert_int_equal(c.acknowledged, 4);
	assert_int_equal(c.reads, 4);
	assert_true(c.whole);
}

static void lost_is_found(void **state)
{
	(void)state;
	good_history();
	h.listed[2] = h.listed[--h.nlisted]; /* acknowledged, and not in the listing */
	(void)expect(1, 0, 0, 0, 0);
	h.whole = false; /* of half a listing nobody can say what is missing */
	assert_false(expect(0, 0, 0, 0, 0).whole);
	good_history();
	h.ops[1].wrong = true; /* there, with another content */
	(void)expect(1, 0, 0, 0, 0);
}

static void doubled_is_found(void **state)
{
	(void)state;
	good_history();
	there(1, 1); /* one key, two memories */
	(void)expect(0, 1, 0, 0, 0);
	good_history();
	h.listed[3].accesses = 2; /* one memory, two effects */
	(void)expect(0, 1, 0, 0, 0);
	good_history();
	h.ops[0].known = true; /* an answer that another effect must have preceded */
	(void)expect(0, 1, 0, 0, 0);
	good_history();
	there(HISTORY_NO_KEY, 1); /* nobody sent it */
	there(77, 1);
	(void)expect(0, 2, 0, 0, 0);
}

static void stale_is_found(void **state)
{
	(void)state;
	good_history();
	(void)op(OP_GET, 2, 26, 27, OP_ABSENT); /* acknowledged at 25 */
	(void)expect(0, 0, 1, 0, 0);
	good_history();
	(void)op(OP_GET, 2, 24, 30, OP_ABSENT); /* sent before the acknowledgement: allowed */
	(void)expect(0, 0, 0, 0, 0);
	good_history();
	h.ops[4].end = OP_OPEN; /* key 2 was never acknowledged, but a read saw it at 27 */
	h.ops[4].done_ns = 0;
	(void)op(OP_GET, 2, 28, 29, OP_ABSENT);
	(void)expect(0, 0, 1, 0, 1); /* and its add has no end */
}

/* Late: the effect came after the user had given up; it may be there. */
static void late_is_allowed(void **state)
{
	struct check c;

	(void)state;
	good_history();
	(void)op(OP_ADD, 4, 70, 0, OP_OPEN);
	there(4, 1);
	c = expect(0, 0, 0, 0, 1);
	assert_int_equal(c.recovered, 1);
}

static void refused_and_failed_are_found(void **state)
{
	static const enum trouble_kind bad[] = {TROUBLE_SERVER, TROUBLE_TIMEOUT, TROUBLE_GARBAGE};
	struct check c;

	(void)state;
	good_history();
	trouble(TROUBLE_REFUSED, 150); /* the window excuses resets and nothing else */
	(void)expect(0, 0, 0, 1, 0);
	for (int i = 0; i < 3; i++) {
		good_history();
		trouble(bad[i], 150);
		(void)expect(0, 0, 0, 0, 1);
	}
	good_history();
	trouble(TROUBLE_RESET, 100);
	trouble(TROUBLE_RESET, 200);
	c = expect(0, 0, 0, 0, 0);
	assert_int_equal(c.excused_resets, 2);
	good_history();
	trouble(TROUBLE_RESET, 99);
	trouble(TROUBLE_RESET, 201);
	(void)expect(0, 0, 0, 0, 2);
	good_history();
	op(OP_ADD, 4, 70, 80, OP_REFUSED)->status = 422;
	(void)expect(0, 0, 0, 0, 1);
	good_history();
	(void)op(OP_ASK, HISTORY_NO_KEY, 70, 80, OP_ABSENT); /* a 404 is an answer to a get alone */
	(void)expect(0, 0, 0, 0, 1);
}

static void examples_are_few(void **state)
{
	struct check c;

	(void)state;
	good_history();
	for (unsigned i = 0; i < 20; i++)
		trouble(TROUBLE_SERVER, i);
	assert_int_equal(check_history(&h, NULL, 0, T0, &c), 0);
	assert_int_equal(c.count[CHECK_FAILED], 20);
	for (int i = 0; i < CHECK_EXAMPLES; i++)
		assert_int_not_equal(c.example[CHECK_FAILED][i][0], '\0');
}

/* ---- the verdict ---- */

static struct report_row rows[3];

static struct report good_report(void)
{
	struct report r = {.id = "d-1",
			   .version = "0",
			   .only = -1,
			   .kills = 3,
			   .planned = 3,
			   .nrows = 3,
			   .rows = rows,
			   .began_ns = T0,
			   .ended_ns = T0 + 2000 * MS,
			   .before = STEADY_HELD,
			   .during = STEADY_HELD,
			   .after = STEADY_HELD,
			   .loaded = true,
			   .users = 2,
			   .rate = 10,
			   .history = &h};

	good_history();
	for (unsigned i = 0; i < 3; i++)
		rows[i] = (struct report_row){
			.role = i == 1 ? TR_ROLE_EXECUTIVE : TR_ROLE_MEMORY,
			.pid = 10 + i,
			.inject_ns = T0 + 100 * MS * (i + 1),
			.detect_ns = T0 + 100 * MS * (i + 1) + MS,
			.back = {.good = true, .at_ns = T0 + 100 * MS * (i + 1) + 5 * MS, .pid = 20 + i},
			.ms = 5};
	r.check = (struct check){.ops = 100, .acknowledged = 30, .reads = 50, .whole = true};
	return r;
}

static void verdict(struct report *r, enum report_valid valid, const char *reason)
{
	assert_int_equal(report_judge(r), 0);
	if (r->valid != valid || strstr(r->reason, reason) == NULL)
		fail_msg("%s (%s), not %s (%s)", report_valid_words[r->valid], r->reason, report_valid_words[valid],
			 reason);
}

static void verdicts(void **state)
{
	struct report r = good_report();

	(void)state;
	verdict(&r, VALID_TRUE, "");
	assert_string_equal(report_verdict(&r), "passed");
	for (int i = 0; i < CHECK_NCOUNTS; i++) {
		r = good_report();
		r.check.count[i] = 1;
		verdict(&r, VALID_FALSE, check_words[i]);
		r.interrupted = true; /* what was seen stays seen */
		verdict(&r, VALID_FALSE, check_words[i]);
	}
	r = good_report();
	r.rows[1].back.good = false;
	verdict(&r, VALID_FALSE, "1 of 3 did not come back");
	r = good_report();
	r.slo_ms = 4;
	verdict(&r, VALID_FALSE, "more than 4 ms");
	r.slo_ms = 5;
	verdict(&r, VALID_TRUE, "");
	r.rows[2].back.refused = 1;
	verdict(&r, VALID_FALSE, "refused");
	r = good_report();
	r.before = STEADY_MISSED;
	verdict(&r, VALID_UNKNOWN, "before the first");
	r = good_report();
	r.during = STEADY_MISSED;
	verdict(&r, VALID_UNKNOWN, "between");
	r = good_report();
	r.after = STEADY_UNKNOWN;
	verdict(&r, VALID_UNKNOWN, "after the last");
	r = good_report();
	r.planned = 4;
	verdict(&r, VALID_UNKNOWN, "not everything");
	r.interrupted = true;
	verdict(&r, VALID_UNKNOWN, "interrupted");
	assert_string_equal(report_verdict(&r), "interrupted");
	r = good_report();
	r.check.whole = false;
	verdict(&r, VALID_UNKNOWN, "not whole");
	r = good_report();
	r.check.reads = 9;
	verdict(&r, VALID_UNKNOWN, "too few");
	r.loaded = false;
	verdict(&r, VALID_TRUE, "");
}

/* ---- who saw what ---- */

static void users_belong_to_their_injection(void **state)
{
	struct report r = good_report();
	struct check_window w[3];
	struct report_figures f;

	(void)state;
	trouble(TROUBLE_RESET, 50); /* before the first */
	trouble(TROUBLE_SERVER, 150);
	trouble(TROUBLE_RESET, 210);
	trouble(TROUBLE_REFUSED, 999);
	(void)op(OP_ASK, HISTORY_NO_KEY, 90, 140, OP_GOOD); /* under way when the first came */
	report_users(&r);
	assert_int_equal(rows[0].failed, 1);
	assert_int_equal(rows[0].resent, 1);
	assert_int_equal(rows[0].gap_ns, 50 * MS);
	assert_int_equal(rows[1].resent, 1);
	assert_int_equal(rows[1].failed, 0);
	assert_int_equal(rows[2].refused, 1);
	assert_int_equal(report_windows(&r, w), 1);
	assert_int_equal(w[0].from_ns, T0 + 200 * MS);
	assert_true(w[0].to_ns > T0 + 205 * MS);
	assert_int_equal(report_figures(&r, TR_ROLE_MEMORY, &f), 0);
	assert_int_equal(f.hit, 2);
	assert_int_equal(f.users_failed, 1);
	assert_true(f.detect_p50 > 0.99 && f.detect_p50 < 1.01);
	assert_int_equal(report_figures(&r, TR_ROLE_META, &f), 0);
	assert_int_equal(f.hit, 0);
}

/* ---- reports ---- */

static void a_report_replays_itself(void **state)
{
	struct report r = good_report();
	struct buf b = {.max = 0};

	(void)state;
	r.seed = 7;
	assert_int_equal(report_replay(&r, &b), 0);
	assert_string_equal(b.p, "tribectl drill --jr all --kills 3 --fault kill --seed 7 --load 2 --rate 10");
	buf_clear(&b);
	r.storm = true;
	r.storm_s = 2.5;
	r.every_ms = 20;
	r.fault = HARM_DOUBLE;
	r.loaded = false;
	assert_int_equal(report_replay(&r, &b), 0);
	assert_string_equal(b.p, "tribectl drill --storm 2.5 --every 20 --fault double --seed 7");
	buf_free(&b);
}

static void json_has_the_journal(void **state)
{
	static const char *const keys[] = {"platform", "start", "end",   "steady_states", "run",   "jrs",
					   "checker",  "load",  "valid", "seed",          "replay"};
	static const char *const row_keys[] = {
		"t_ms", "fault", "jr", "pid", "new_pid", "new_epoch", "t_detect_ms", "t_ready_ms", "t_first_reply_ms",
		"users"};
	struct report r = good_report();
	const json_t *row;
	json_t *doc;

	(void)state;
	trouble(TROUBLE_SERVER, 150);
	report_users(&r);
	assert_int_equal(check_history(&h, NULL, 0, T0, &r.check), 0);
	assert_int_equal(report_judge(&r), 0);
	doc = report_json(&r);
	assert_non_null(doc);
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		if (json_object_get(doc, keys[i]) == NULL)
			fail_msg("no %s", keys[i]);
	assert_string_equal(json_string_value(json_object_get(doc, "valid")), "false");
	assert_int_equal(json_array_size(json_object_get(doc, "run")), 3);
	row = json_array_get(json_object_get(doc, "run"), 0);
	for (size_t i = 0; i < sizeof(row_keys) / sizeof(row_keys[0]); i++)
		if (json_object_get(row, row_keys[i]) == NULL)
			fail_msg("no %s in a row", row_keys[i]);
	assert_int_equal(json_integer_value(json_object_get(json_object_get(row, "users"), "failed")), 1);
	assert_int_equal(json_array_size(json_object_get(json_object_get(json_object_get(doc, "checker"), "failed"),
							 "examples")),
			 1);
	json_decref(doc);
}

static unsigned count(const char *in, const char *what)
{
	unsigned n = 0;

	for (const char *p = in; (p = strstr(p, what)) != NULL; p += strlen(what))
		n++;
	return n;
}

static void the_page_is_closed_in_itself(void **state)
{
	static const char *const never[] = {"<script", "http:", "https:", "src=", "url(",
					    "@import", "<img",  "nan",    "inf"};
	struct report r = good_report();
	struct buf b = {.max = 0};

	(void)state;
	r.id = "<img onerror=x>\"&";
	(void)snprintf(r.check.example[CHECK_LOST][0], CHECK_EXAMPLE_SIZE, "<script>alert(1)</script>");
	(void)snprintf(rows[0].detected_by, sizeof(rows[0].detected_by), "<b>");
	report_users(&r);
	assert_int_equal(report_judge(&r), 0);
	assert_int_equal(report_html(&r, &b), 0);
	for (size_t i = 0; i < sizeof(never) / sizeof(never[0]); i++)
		if (strstr(b.p, never[i]) != NULL)
			fail_msg("%s is in it", never[i]);
	assert_non_null(strstr(b.p, "&lt;img onerror=x&gt;&quot;&amp;"));
	assert_non_null(strstr(b.p, "&lt;script&gt;"));
	assert_int_equal(count(b.p, "<line class=\"t0\""), 2);
	assert_int_equal(count(b.p, "<line class=\"t3\""), 1);
	assert_int_equal(count(b.p, "<circle"), 9); /* every request */
	buf_free(&b);
}

static void a_long_drill_is_a_small_page(void **state)
{
	static struct report_row many[20000];
	struct report r = good_report();
	struct buf b = {.max = 0};

	(void)state;
	for (unsigned i = 0; i < 20000; i++) {
		many[i] = rows[i % 3];
		many[i].inject_ns = T0 + i * MS / 10;
		many[i].back.at_ns = many[i].inject_ns + 5 * MS;
	}
	for (unsigned i = 0; i < 300000; i++) {
		(void)op(OP_ASK, HISTORY_NO_KEY, i % 2000, i % 2000 + 1 + i % 50, OP_GOOD);
		if (i % 20 == 0)
			trouble(TROUBLE_RESET, i % 2000);
	}
	r.rows = many;
	r.nrows = r.planned = 20000;
	report_users(&r);
	assert_int_equal(report_html(&r, &b), 0);
	assert_true(b.len < 1000000);
	assert_int_equal(count(b.p, "<circle"), 0);
	assert_int_equal(count(b.p, "class=\"p99\""), 1);
	buf_free(&b);
}

/* By when they were sent; what had no answer has no latency, what came too late is of the last slice. */
static void latency_is_sliced(void **state)
{
	struct report r = good_report(); /* nine requests in the first tenth of a second of two */
	struct report_slice s[20];

	(void)state;
	(void)op(OP_ASK, HISTORY_NO_KEY, 150, 159, OP_GOOD);
	(void)op(OP_ASK, HISTORY_NO_KEY, 199, 202, OP_GOOD);
	(void)op(OP_ASK, HISTORY_NO_KEY, 160, 167, OP_GOOD);
	(void)op(OP_ASK, HISTORY_NO_KEY, 161, 0, OP_OPEN);
	(void)op(OP_ASK, HISTORY_NO_KEY, 5000, 5004, OP_GOOD);
	assert_int_equal(report_slices(&r, s, 20), 0);
	assert_int_equal(s[0].n, 9);
	assert_true(s[0].p50 == 5 && s[0].max == 10);
	assert_int_equal(s[1].n, 3);
	assert_true(s[1].p50 == 7 && s[1].p99 == 9 && s[1].max == 9);
	for (int i = 2; i < 19; i++)
		assert_int_equal(s[i].n, 0);
	assert_int_equal(s[19].n, 1);
	r.history = NULL;
	assert_int_equal(report_slices(&r, s, 20), 0);
	assert_int_equal(s[0].n, 0);
}

/* A drill without anything in it: no division by nothing. */
static void an_empty_drill_has_reports(void **state)
{
	struct report r = {.id = "d", .version = "0", .only = -1, .began_ns = T0, .ended_ns = T0};
	struct buf b = {.max = 0};
	json_t *doc;

	(void)state;
	assert_int_equal(report_judge(&r), 0);
	assert_int_equal(r.valid, VALID_UNKNOWN);
	assert_int_equal(report_html(&r, &b), 0);
	doc = report_json(&r);
	assert_non_null(doc);
	json_decref(doc);
	buf_free(&b);
}

static int teardown(void **state)
{
	(void)state;
	history_free(&h);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_good_history_is_good),
		cmocka_unit_test(lost_is_found),
		cmocka_unit_test(doubled_is_found),
		cmocka_unit_test(stale_is_found),
		cmocka_unit_test(late_is_allowed),
		cmocka_unit_test(refused_and_failed_are_found),
		cmocka_unit_test(examples_are_few),
		cmocka_unit_test(verdicts),
		cmocka_unit_test(users_belong_to_their_injection),
		cmocka_unit_test(a_report_replays_itself),
		cmocka_unit_test(json_has_the_journal),
		cmocka_unit_test(the_page_is_closed_in_itself),
		cmocka_unit_test(a_long_drill_is_a_small_page),
		cmocka_unit_test(latency_is_sliced),
		cmocka_unit_test(an_empty_drill_has_reports),
	};

	return cmocka_run_group_tests(tests, NULL, teardown);
}
