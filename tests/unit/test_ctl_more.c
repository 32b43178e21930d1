/* events, reload, forget, explain, export, config and what comes later, against the same tribe of cardboard. */
#include "tests/unit/test_ctl_fake.h"

static void events(void **state)
{
	(void)state;
	expect("events|--limit|3", NULL, CTL_DONE,
	       "2026-11-23 17:00:00Z  exit         meta_jr         pid 42  signal 9 red\n");
	saw("{\"limit\":3}");
	expect("events|--json", NULL, CTL_DONE, "{\"events\":[{\"seq\":7,");
	saw("{\"limit\":50}");
}

/* Each once. */
static void follows_events(void **state)
{
	char cmd[] = "events", (*lines)[1024];

	(void)state;
	lines = follow(cmd);
	for (unsigned i = 0; i < 4; i++) {
		char want[16];

		(void)snprintf(want, sizeof(want), "{\"seq\":%u,", 7 + i);
		if (strstr(lines[i], want) != lines[i])
			fail_msg("line %u is %s", i, lines[i]);
	}
}

static void reloads(void **state)
{
	(void)state;
	expect("reload", NULL, CTL_DONE, "changed: heartbeat_ms, log.level");
	expect("reload|--json", NULL, CTL_DONE, "{\"changed\":[\"heartbeat_ms\",\"log.level\"]}");
	fake.refuse = TR_ECONFIG;
	expect("reload", NULL, CTL_USAGE, NULL);
	fake.refuse = 0;
}

static void forgets_and_explains(void **state)
{
	(void)state;
	expect("forget|m1", NULL, CTL_DONE, "forgotten m1");
	saw("{\"id\":\"m1\"}");
	expect("forget|m1|--now|--json", NULL, CTL_DONE, "{\"id\":\"m1\",\"purged\":true}");
	saw("{\"id\":\"m1\",\"now\":true}");
	expect("forget|m1|--now", NULL, CTL_DONE, "forgotten m1, and purged");
	fake.unpurged = true;
	expect("forget|m1|--now", NULL, CTL_FAILED, NULL);
	expect("forget|m1|--now|--json", NULL, CTL_FAILED, "{\"id\":\"m1\",\"purged\":false}");
	expect("forget|m1", NULL, CTL_DONE, "forgotten m1");
	fake.unpurged = false;
	expect("forget|gone", NULL, CTL_FAILED, NULL);
	fake.sacred = true;
	expect("forget|m1|--now", NULL, CTL_REFUSED, NULL);
	fake.sacred = false;
	expect("explain|m1", NULL, CTL_DONE, "40 + 10 * log2(0.637) = 33.5, but it is sacred and never under 40");
	expect("explain|m1", NULL, CTL_DONE, "last 1970-01-01 00:00:00Z, 2d12h ago");
	expect("explain|m1|--question|blue kettle?", NULL, CTL_DONE, "place 2 among all that match, match 3.500");
	saw("{\"id\":\"m1\",\"q\":\"blue kettle?\"}");
	expect("explain|m1|-q|blue kettle?", NULL, CTL_DONE, "weight  1.250    0 times  blue  (not in this memory)");
	expect("explain|m1|--json", NULL, CTL_DONE, "\"half_life_days\":7");
	expect("analyze|anomalies", NULL, CTL_DONE, "not analysed anything yet");
	expect("analyze|anomalies|--json", NULL, CTL_DONE, "{\"anomalies\":[]");
}

static unsigned lines_of(const char *path)
{
	FILE *f = fopen(path, "re");
	unsigned n = 0;
	int c;

	while (f != NULL && (c = fgetc(f)) != EOF)
		n += c == '\n';
	if (f != NULL)
		(void)fclose(f);
	return n;
}

static unsigned entries(const char *path)
{
	DIR *d = opendir(path);
	unsigned n = 0;

	assert_non_null(d);
	while (readdir(d) != NULL)
		n++;
	(void)closedir(d);
	return n - 2;
}

static char export_dir[128];
static unsigned names_seen;

static void count_names(void)
{
	names_seen += entries(export_dir);
}

/* Whatever ends it then leaves nothing behind. */
static void has_no_name_before_it_is_whole(void)
{
	int fd = open(export_dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	char line[256];

	if (fd < 0)
		return; /* not on this file system */
	(void)close(fd);
	(void)snprintf(line, sizeof(line), "export|%s/m.jsonl", export_dir);
	fake.during_export = count_names;
	fake.pages = 0;
	expect(line, NULL, CTL_DONE, "250 memories");
	fake.during_export = NULL;
	assert_true(fake.pages > 1);
	assert_int_equal(names_seen, 0);
	assert_int_equal(entries(export_dir), 1);
}

static void exports(void **state)
{
	char where[128], file[160], line[256];
	struct stat st;
	struct buf out;

	(void)state;
	(void)snprintf(where, sizeof(where), "%s/out", dir);
	assert_int_equal(mkdir(where, 0700), 0);
	(void)strcpy(export_dir, where);
	has_no_name_before_it_is_whole();
	(void)snprintf(file, sizeof(file), "%s/m.jsonl", where);
	(void)snprintf(line, sizeof(line), "export|%s", file);
	expect(line, NULL, CTL_DONE, "250 memories");
	assert_int_equal(lines_of(file), EXPORTED);
	assert_int_equal(stat(file, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(run(&out, NULL, dir, "export"), CTL_DONE);
	assert_int_equal(out.len, st.st_size);
	assert_true(strstr(out.p, "{\"content\":\"one\\ntwo\",\"id\":\"m1\",") == out.p);
	buf_free(&out);
	expect("export|-|--json", NULL, CTL_DONE, "\"id\":\"m250\"");

	/* a frame that does not hold a page of that many: smaller ones */
	fake.big = true;
	expect(line, NULL, CTL_DONE, "250 memories");
	fake.big = false;
	assert_int_equal(lines_of(file), EXPORTED);

	/* what breaks off leaves the older file as it was and nothing beside it */
	put("out/m.jsonl", "old\n", 3);
	fake.pages = 0;
	fake.cut = 3;
	expect(line, NULL, CTL_FAILED, NULL);
	fake.cut = 0;
	assert_int_equal(lines_of(file), 3);
	assert_int_equal(entries(where), 1);
	expect("export|/nowhere/at/all", NULL, CTL_FAILED, NULL);
	expect("export|/dev/null|--json", NULL, CTL_DONE, "{\"file\":\"/dev/null\",\"memories\":250");
	(void)snprintf(line, sizeof(line), "export|%s", where);
	expect(line, NULL, CTL_FAILED, NULL); /* a directory */
}

static void says_what_comes_later(void **state)
{
	static const char *const lines[] = {"mcp", "verify|d", "bench|--users|3", "analyze|regression"};
	unsigned before = fake.faults;

	(void)state;
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		struct buf out;

		assert_int_equal(run(&out, NULL, dir, lines[i]), CTL_INTERNAL);
		assert_int_equal(out.len, 0);
		buf_free(&out);
	}
	assert_int_equal(fake.faults, before);
}

static void config_shows_origins(void **state)
{
	char line[300];

	(void)state;
	put("t.yaml", "heartbeat_ms: 50\nlog:\n  level: debug\n", 1);
	(void)snprintf(line, sizeof(line), "config|--config|%s/t.yaml|--set|drills=true", dir);
	expect(line, NULL, CTL_DONE, "heartbeat_ms = 50\n    from: file ");
	expect(line, NULL, CTL_DONE, "t.yaml:1 (default: 100)\n");
	expect(line, NULL, CTL_DONE, "drills = true\n    from: command line (default: false)\n");
	expect(line, NULL, CTL_DONE, "hang_after_ms = 1000\n    from: default\n");
	(void)snprintf(line, sizeof(line), "config|--json|--config|%s/t.yaml", dir);
	expect(line, NULL, CTL_DONE,
	       "{\"key\":\"log.level\",\"value\":\"debug\",\"origin\":\"file\",\"default\":\"info\",");
	put("t.yaml", "heartbeat_ms: never\n", 1);
	expect(line, NULL, CTL_USAGE, NULL);
}

/* The tribe that answers is asked, unless something is wanted that it cannot know; then, and where it does not tell,
 * what a start would read. */
static void config_of_the_running_tribe(void **state)
{
	static const int mild[] = {TR_EMETHOD, TR_EREFUSED};
	char line[300], nowhere[64];
	struct buf out;

	(void)state;
	expect("config", NULL, CTL_DONE,
	       "(tribed is pid 4711).\nIts configuration is wrong by now: their.yaml:9: is wrong\n"
	       "heartbeat_ms = 50\n    from: file /etc/their.yaml:3 (default: 100)\n"
	       "    needs a reload to become: 60\n    milliseconds between");
	expect("config", NULL, CTL_DONE, "drills = true\n    from: command line (default: false)\n    allow");
	expect("config", NULL, CTL_DONE, "of.tomorrow = ");
	expect("config|--json", NULL, CTL_DONE,
	       "{\"shows\":\"running\",\"file\":\"/etc/their.yaml\",\"state\":\"/their/state\",");
	expect("config|--json", NULL, CTL_DONE,
	       "{\"key\":\"heartbeat_ms\",\"value\":50,\"origin\":\"file\",\"default\":100,\"type\":\"u32\",");
	expect("config|--json", NULL, CTL_DONE,
	       "\"file\":\"/etc/their.yaml\",\"line\":3,\"min\":10,\"max\":60000,"
	       "\"configured\":60,\"needs\":\"reload\"}");
	expect("config|--json", NULL, CTL_DONE, "\"pid\":4711}");
	assert_int_equal(run(&out, NULL, dir, "config|--set|drills=true"), CTL_DONE);
	assert_int_equal(strncmp(out.p, "What a start would read; --config or --set was given.\nhttp.listen = ", 66),
			 0);
	assert_null(strstr(out.p, "their.yaml"));
	buf_free(&out);
	(void)snprintf(nowhere, sizeof(nowhere), "%s/none", dir);
	assert_int_equal(run(&out, NULL, nowhere, "config|--json"), CTL_DONE);
	assert_int_equal(strncmp(out.p, "{\"shows\":\"start\"", 16), 0);
	buf_free(&out);
	for (size_t i = 0; i < sizeof(mild) / sizeof(mild[0]); i++) {
		fake.refuse = mild[i];
		expect("config", NULL, CTL_DONE, "What a start would read; the tribe here ");
		put("t.yaml", "heartbeat_ms: never\n", 1);
		(void)snprintf(line, sizeof(line), "config|--config|%s/t.yaml", dir);
		expect(line, NULL, CTL_USAGE, NULL);
	}
	fake.refuse = TR_EINTERNAL;
	expect("config", NULL, CTL_INTERNAL, NULL);
	fake.refuse = 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(events),
		cmocka_unit_test(follows_events),
		cmocka_unit_test(reloads),
		cmocka_unit_test(forgets_and_explains),
		cmocka_unit_test(exports),
		cmocka_unit_test(config_shows_origins),
		cmocka_unit_test(config_of_the_running_tribe),
		cmocka_unit_test(says_what_comes_later),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
