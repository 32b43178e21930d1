/* tribectl's first commands against a tribe of cardboard: what is sent, what is printed, and the exit status. */
#include "tests/unit/test_ctl_fake.h"

static void asks_and_prints(void **state)
{
	(void)state;
	expect("status", NULL, CTL_DONE, "4,242");
	expect("status|--json", NULL, CTL_DONE, "{\"status\":\"operational\"");
	expect("heartbeats", NULL, CTL_DONE, "memory_jr");
	expect("thermal|--json", NULL, CTL_DONE, "\"total_memories\":4242");
	expect("recall|red|house|--limit|3|--tag|t|--min-temperature|20", NULL, CTL_DONE, "found it");
	saw("{\"q\":\"red house\",\"limit\":3,\"tag\":\"t\",\"min_temperature\":20");
	expect("ask|why?|--detail|full|--limit|2", NULL, CTL_DONE, "42");
	saw("{\"question\":\"why?\",\"limit\":2,\"detail\":\"full\"}");
	expect("remember|one|--tag|a|--tag|b|--sacred|--importance|0.5|--source|s|--session|e|--speaker|p|--id|i|--at|"
	       "2026-01-02T03:04:05Z",
	       NULL, CTL_DONE, "remembered new-id");
	saw("{\"content\":\"one\",\"id\":\"i\",\"tags\":[\"a\",\"b\"],\"source\":\"s\",\"session\":\"e\",\"speaker\":"
	    "\"p\","
	    "\"importance\":0.5,\"sacred\":true,\"at\":\"2026-01-02T03:04:05.000Z\"}");
	expect("remember|-", "two\nlines\n", CTL_DONE, "remembered");
	saw("\"content\":\"two\\nlines\"");
	expect("restart|meta", NULL, CTL_DONE, "up");
	saw("{\"jr\":\"meta_jr\"}");
}

static void failures_have_their_status(void **state)
{
	static char big[70000];
	struct buf out;

	(void)state;
	expect("remember|-", "", CTL_USAGE, NULL); /* an empty memory breaks its rule before anything is sent */
	assert_int_equal(fake.seen.len, 0);
	memset(big, 'x', sizeof(big) - 1);
	expect("remember|-", big, CTL_USAGE, NULL);
	fake.refuse = TR_EREFUSED;
	expect("remember|x|--sacred", NULL, CTL_REFUSED, NULL);
	fake.refuse = TR_ECONFLICT;
	expect("remember|x", NULL, CTL_FAILED, NULL);
	fake.refuse = 0;
	expect("decide|x", NULL, CTL_FAILED, NULL); /* no such method on this tribe */
	expect("stop|meta|--timeout|0.1", NULL, CTL_FAILED, NULL);
	fake.silent = true;
	expect("thermal|--timeout|0.1", NULL, CTL_FAILED, NULL); /* the tribe is there, a part of it is late */
	fake.silent = false;
	expect("drill|--jr|memory|--kills|1", NULL, CTL_USAGE, NULL);
	assert_int_equal(fake.faults, 0);
	expect("recall|x|--config|/nowhere/at/all", NULL, CTL_USAGE, NULL);
	assert_int_equal(run(&out, NULL, "/nowhere/at/all", "status"), CTL_UNREACHABLE);
	buf_free(&out);
}

static void follows_heartbeats(void **state)
{
	char cmd[] = "heartbeats", (*lines)[1024] = follow(cmd);

	(void)state;
	assert_non_null(strstr(lines[0], "{\"jr\":\"memory_jr\""));
	for (int i = 1; i < 4; i++) {
		assert_non_null(strstr(lines[i], "{\"jr\":\"meta_jr\""));
		assert_non_null(strstr(lines[i], "\"seq\":77"));
		assert_non_null(strstr(lines[i], "\"phase_coherence\":0.25"));
	}
}

static void drills(void **state)
{
	unsigned before = fake.faults;
	struct buf out;
	json_t *doc;

	(void)state;
	assert_int_equal(run(&out, NULL, dir, "drill|--jr|all|--kills|5|--yes|--seed|7|--json"), CTL_DONE);
	assert_int_equal(fake.faults - before, 20);
	doc = json_loads(out.p, 0, NULL);
	assert_non_null(doc);
	assert_string_equal(json_string_value(json_object_get(doc, "verdict")), "passed");
	assert_int_equal(json_array_size(json_object_get(doc, "run")), 20);
	for (size_t i = 0; i < 20; i++) {
		const json_t *row = json_array_get(json_object_get(doc, "run"), i);

		assert_true(json_is_true(json_object_get(row, "recovered")));
		/* two answers of the old life came first and did not count */
		assert_int_equal(json_integer_value(json_object_get(row, "attempts")), 3);
		assert_int_equal(json_integer_value(json_object_get(row, "refused")), 0);
		assert_int_equal(json_integer_value(json_object_get(row, "new_generation")),
				 json_integer_value(json_object_get(row, "generation")) + 1);
	}
	json_decref(doc);
	buf_free(&out);
	expect("drill|--jr|memory|--kills|2|--yes|--fault|hang|--slo-ms|10000", NULL, CTL_DONE, "passed");
	expect("drill|--jr|memory|--kills|2|--yes|--slo-ms|0.001", NULL, CTL_FAILED, "failed");
	saw("\"fault\":\"kill\",\"jrs\":[\"memory_jr\"]");
	saw("\"valid\":\"false\",\"reason\":\"the slowest recovery took");
	saw("\"planned\":2,\"injected\":2,\"recovered\":2");
	fake.behind = 20; /* nobody is harmed while an understudy is missing */
	expect("drill|--jr|meta|--kills|1|--yes", NULL, CTL_DONE, "passed");
	assert_int_equal(fake.behind, 0);
	fake.behind = 20;
	expect("drill|--jr|memory|--storm|0.1|--every|10|--yes", NULL, CTL_DONE, "passed");
	assert_int_equal(fake.behind, 0);
	before = fake.faults;
	expect("drill|--kills|3|--yes", NULL, CTL_USAGE, NULL);
	expect("drill|--jr|memory|--yes", NULL, CTL_USAGE, NULL);
	expect("drill|--storm|1|--yes", NULL, CTL_USAGE, NULL);
	expect("drill|--storm|1|--every|10|--kills|1|--yes", NULL, CTL_USAGE, NULL);
	expect("drill|--jr|all|--kills|1|--every|10|--yes", NULL, CTL_USAGE, NULL);
	expect("drill|--storm|1|--every|10|--fault|supervisor-kill|--yes", NULL, CTL_USAGE, NULL);
	expect("drill|--jr|all|--kills|1|--yes|--load|3", NULL, CTL_FAILED, NULL); /* it serves no HTTP */
	expect("drill|--jr|all|--kills|1|--yes|--report|/nowhere/at/all", NULL, CTL_FAILED, NULL);
	assert_int_equal(fake.faults, before);
	expect("drill|--storm|0.2|--every|10|--yes|--seed|1", NULL, CTL_DONE, "passed");
	assert_true(fake.faults - before >= 5);
}

static void imports(void **state)
{
	static char long_line[1100000];
	char line[512];

	(void)state;
	(void)snprintf(line, sizeof(line), "%s/docs", dir);
	assert_int_equal(mkdir(line, 0700), 0);
	put("docs/a.md", "# A\n", 1);
	put("docs/b.jsonl", "{}\n", 5000);
	put("docs/bad.txt", "x", 1);
	put("docs/c.png", "x", 1);
	put("docs/empty.txt", "", 1);
	(void)snprintf(line, sizeof(line), "import|%s/docs", dir);
	expect(line, NULL, CTL_DONE, "6 remembered, 3 known already, 4 skipped, from 4 files");
	saw("import a.md markdown line 1, 4 bytes\n");
	saw("import b.jsonl jsonl line 1, 12288 bytes\n");
	saw("import b.jsonl jsonl line 4097, 2712 bytes\n");
	expect(line, NULL, CTL_DONE, "not UTF-8");
	expect(line, NULL, CTL_DONE, "left out 1 file: a name that says no known format");
	(void)snprintf(line, sizeof(line), "import|%s/docs|--json", dir);
	expect(line, NULL, CTL_DONE, "\"added\":6,\"known\":3,\"skipped\":4,\"reasons\":[{\"reason\":");

	/* a line that fits no piece is left out, its neighbours are not */
	memset(long_line, 'y', sizeof(long_line) - 1);
	put("long.jsonl", "{}\n", 2);
	(void)snprintf(line, sizeof(line), "%s/long.jsonl", dir);
	{
		FILE *f = fopen(line, "ae");

		assert_non_null(f);
		(void)fprintf(f, "%s\n{}\n", long_line);
		assert_int_equal(fclose(f), 0);
	}
	(void)snprintf(line, sizeof(line), "import|%s/long.jsonl", dir);
	expect(line, NULL, CTL_DONE, "a line over 1 MiB");
	saw("line 1, 6 bytes\n");
	saw("line 4, 3 bytes\n");

	(void)snprintf(line, sizeof(line), "import|%s/docs/c.png", dir);
	expect(line, NULL, CTL_FAILED, NULL); /* nothing to import */
	expect("import|/nowhere/at/all", NULL, CTL_FAILED, NULL);
	expect("import|-", "x", CTL_USAGE, NULL); /* which format? */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(asks_and_prints),
		cmocka_unit_test(failures_have_their_status),
		cmocka_unit_test(follows_heartbeats),
		cmocka_unit_test(drills),
		cmocka_unit_test(imports),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
