/* common/config */
#include "common/base/text.h"
#include "common/config/config.h"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static int load(struct tr_config *cfg, struct cfg_origins *o, const char *text, struct cfg_error *err)
{
	memset(err, 0, sizeof(*err));
	cfg_defaults(cfg, o);
	return cfg_load_text(cfg, o, text, strlen(text), "tribe.yaml", err);
}

static void defaults_are_sound(void **state)
{
	struct cfg_setting s;
	struct tr_config cfg;
	struct cfg_origins o;
	struct cfg_error err;
	unsigned n = 0;

	(void)state;
	cfg_defaults(&cfg, &o);
	assert_int_equal(cfg_check(&cfg, &err), 0);
	assert_int_equal(cfg_check_at(&cfg, &o, &err), 0);
	assert_string_equal(cfg.http_listen, "127.0.0.1:8000");
	assert_int_equal(cfg.heartbeat_ms, 100);
	assert_false(cfg.drills);
	for (; cfg_setting_at(n, &s); n++) {
		assert_true(s.key[0] != '\0' && s.doc[0] != '\0' && s.type[0] != '\0');
		assert_int_equal(o.of[n], CFG_DEFAULT);
	}
	assert_int_equal(n, CFG_NSETTINGS);
	assert_int_equal(sizeof(cfg.http_listen), CFG_STR_MAX);
}

static void nested_and_dotted_keys_are_the_same(void **state)
{
	struct tr_config a, b;
	struct cfg_origins o;
	struct cfg_error err;

	(void)state;
	assert_int_equal(load(&a, &o,
			      "# mine\nhttp:\n  listen: '127.0.0.1:0'\n  max_connections: 7\nheartbeat_ms: 50\n"
			      "log: {level: debug}\nmeta: {}\nunderstudies: memory=2,executive_jr=1\ndrills: true\n",
			      &err),
			 0);
	assert_int_equal(o.of[0], CFG_FILE);
	assert_int_equal(o.line[0], 3);
	assert_string_equal(o.file, "tribe.yaml");
	assert_int_equal(load(&b, NULL,
			      "http.listen: \"127.0.0.1:0\"\nhttp.max_connections: \"7\"\nheartbeat_ms: 50\n"
			      "log.level: debug\nunderstudies: 'executive=1,memory-jr=2'\n\"drills\": true\n",
			      &err),
			 0);
	assert_memory_equal(&a, &b, sizeof(a));
	assert_string_equal(a.http_listen, "127.0.0.1:0");
	assert_int_equal(a.http_max_conns, 7);
	assert_int_equal(a.understudies[TR_ROLE_MEMORY], 2);
	assert_int_equal(a.understudies[TR_ROLE_EXECUTIVE], 1);
	assert_int_equal(a.understudies[TR_ROLE_META], 0);
	assert_string_equal(a.log_level, "debug");
	assert_true(a.drills);
	for (const char *const *p = (const char *const[]){"", "# nothing\n", "---\n", "--- {}\n", "---\n...\n", NULL};
	     *p; p++)
		assert_int_equal(load(&a, &o, *p, &err), 0);
}

static void errors_name_file_line_key_and_rule(void **state)
{
	/* clang-format off */
	static const struct {
		const char *text, *error;
	} rows[] = {
		{"\n\nheartbeat_ms: fast\n", "tribe.yaml:3: heartbeat_ms: must be a whole number from 10 to 60000"},
		{"heartbeat_ms: 9\n", "tribe.yaml:1: heartbeat_ms: must be a whole number from 10 to 60000"},
		{"heartbeat_ms: 60001\n", "tribe.yaml:1: heartbeat_ms: must be a whole number from 10 to 60000"},
		{"heartbeat_ms: 4294967396\n", "tribe.yaml:1: heartbeat_ms: must be a whole number from 10 to 60000"},
		{"heartbeat_ms:\n", "tribe.yaml:1: heartbeat_ms: must be a whole number from 10 to 60000"},
		{"drills: yes\n", "tribe.yaml:1: drills: must be true or false"},
		{"http:\n  listen: x\n", "tribe.yaml:2: http.listen: must be 3 to 256 bytes long"},
		{"http:\n  lisen: x\n", "tribe.yaml:2: http.lisen: there is no such setting; did you mean http.listen?"},
		{"hartbeat_ms: 1\n", "tribe.yaml:1: hartbeat_ms: there is no such setting; did you mean heartbeat_ms?"},
		{"colour: red\n", "tribe.yaml:1: colour: there is no such setting"},
		{"http:\n  listen: 127.0.0.1:1\nhttp.listen: 127.0.0.1:2\n",
		 "tribe.yaml:3: http.listen: is given twice, first on line 2"},
		{"http: 5\n", "tribe.yaml:1: http: there is no such setting"},
		{"http:\n- listen\n", "tribe.yaml:2: http: takes one value, not a list"},
		{"- a\n", "tribe.yaml:1: must hold KEY: VALUE lines"},
		{"drills:\n  a: true\n", "tribe.yaml:2: drills: takes one value, not a mapping"},
		{"heartbeat_ms: 100\xff\n", "tribe.yaml:1: is not YAML: invalid leading UTF-8 octet"},
		{"# \xc3\xa4\r\n\rdrills: true\n\nheartbeat_ms: 1\xff", "tribe.yaml:5: is not YAML: invalid leading UTF-8 octet"},
		{"drills: true\nlog.level: a\x01\n", "tribe.yaml:2: is not YAML: control characters are not allowed"},
		{"just text\n", "tribe.yaml:1: must hold KEY: VALUE lines"},
		{"drills: &a true\n", "tribe.yaml:1: drills: anchors and tags are not used here"},
		{"drills: !!bool true\n", "tribe.yaml:1: drills: anchors and tags are not used here"},
		{"http: &h {listen: 'a:1'}\n", "tribe.yaml:1: http: anchors and tags are not used here"},
		{"drills: *a\n", "tribe.yaml:1: drills: aliases are not used here"},
		{"drills: true\n---\ndrills: true\n", "tribe.yaml:2: a second document is not used here"},
		{"{a: {b: {c: {d: {e: 1}}}}}\n", "tribe.yaml:1: a.b.c.d: is nested too deep"},
		{"? {a: b}\n: c\n", "tribe.yaml:1: a key must be plain text"},
		{"\"\": 1\n", "tribe.yaml:1: a key is empty"},
		{"\"a\\nb\": 1\n", "tribe.yaml:1: a\\x0ab: there is no such setting"},
		{"llm.url: \"a\\0b\"\n", "tribe.yaml:1: llm.url: must be valid UTF-8 without NUL"},
		{"understudies: memory\n", NULL}, {"understudies: memory=1,\n", NULL}, {"understudies: memory=1,memory_jr=1\n", NULL},
		{"understudies: memory=17\n", NULL}, {"understudies: memory=-1\n", NULL}, {"understudies: chief=1\n", NULL},
		{"understudies: =1\n", NULL}, {"understudies: memory=1;meta=1\n", NULL}, {"understudies: ','\n", NULL},
	};
	/* clang-format on */
	struct tr_config cfg;
	struct cfg_origins o;
	struct cfg_error err;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const char *want = rows[i].error != NULL
					   ? rows[i].error
					   : "tribe.yaml:1: understudies: must be ROLE=NUMBER[,ROLE=NUMBER]... such as "
					     "memory=1,executive=1, each role "
					     "once, 0 to 7";

		if (load(&cfg, &o, rows[i].text, &err) != TR_ECONFIG)
			fail_msg("taken: %s", rows[i].text);
		assert_string_equal(err.text, want);
	}
}

static void what_is_not_yaml_is_refused(void **state)
{
	static const char *const bad[] = {"a: [\n",           "a: b: c\n", "\tx: 1\n",  "a: \"x\n",
					  "%YAML 9.9\n---\n", "{",         "a: \xff\n", "a: \x01\n"};
	struct tr_config cfg;
	struct cfg_origins o;
	struct cfg_error err;
	char *deep = malloc(200001);

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(load(&cfg, &o, bad[i], &err), TR_ECONFIG);
		assert_int_equal(strncmp(err.text, "tribe.yaml:", 11), 0);
	}
	assert_non_null(deep);
	memset(deep, '[', 200000);
	deep[200000] = '\0';
	assert_int_equal(load(&cfg, &o, deep, &err), TR_ECONFIG);
	memset(deep, 'k', 200000); /* one endless key */
	memcpy(deep + 199990, ": 1\n", 5);
	assert_int_equal(load(&cfg, &o, deep, &err), TR_ECONFIG);
	free(deep);
}

static void rules_between_settings(void **state)
{
	/* clang-format off */
	static const struct {
		const char *text, *error;
	} rows[] = {
		{"http.certificate: /c.pem\n", "tribe.yaml:1: http.certificate: must be given together with http.private_key"},
		{"http.listen: '127.0.0.1'\n", "must be HOST:PORT"},
		{"http.listen: ':8000'\n", "must be HOST:PORT"},
		{"http.listen: 127.0.0.1:65536\n", "must be HOST:PORT"},
		{"http.listen: 127.0.0.1:+1\n", "must be HOST:PORT"},
		{"http.listen: '::1:80'\n", "must be HOST:PORT"},
		{"http.listen: 'example.org:80'\n", "must be HOST:PORT"},
		{"http.listen: '[::1:80'\n", "must be HOST:PORT"},
		{"hang_after_ms: 299\n", "must be at least three times heartbeat_ms, here 300"},
		{"heartbeat_ms: 60000\nhang_after_ms: 179999\n", "must be at least three times heartbeat_ms, here 180000"},
		{"archive.url: postgresql:h/db\n", "must be empty, sqlite:PATH or postgresql://"},
		{"archive.url: mysql:x\n", "must be empty, sqlite:PATH"},
		{"archive.url: 'sqlite:'\n", "must be empty, sqlite:PATH"},
		{"llm.url: http://x\n", "this version answers without"},
		{"embeddings.url: http://x\n", "this version finds without"},
		{"mcp.conformance: true\n", "this version serves no MCP"},
		{"understudies: memory=8\n", "a role has at most 7 understudies"},
		{"understudies: memory=0,meta=16\n", "a role has at most 7 understudies"},
		{"understudies: memory=7,executive=1,meta=7,integration=7\n", NULL},
		{"log.level: loud\n", "must be error, warn, info or debug"},
		{"http.listen: 127.0.0.1:0\nhang_after_ms: 300\narchive.url: postgres://h/db\nunderstudies: meta=0\n", NULL},
		{"http.listen: '[::1]:8000'\n", NULL},
		{"http.listen: 'localhost:0'\n", NULL},
		{"http.listen: '127.255.0.9:1'\n", NULL},
		{"http.listen: 0.0.0.0:8000\n", NULL},
		{"http.listen: '[::]:8000'\n", NULL},
		{"http.listen: 192.168.1.1:80\n", NULL},
		{"http.certificate: /c.pem\nhttp.private_key: /k.pem\n", NULL},
		{"http.cors_origins: https://page.example  http://10.0.0.1:3000 http://[::1]:80\n", NULL},
		{"http.cors_origins: '*'\n", "tribe.yaml:1: http.cors_origins: must be origins such as"},
		{"http.cors_origins: https://*.example\n", "there is no wildcard"},
		{"http.cors_origins: https://page.example/\n", "without a path"},
		{"http.cors_origins: https://Page.example\n", "in small letters"},
		{"http.cors_origins: https://a.example,https://b.example\n", "parted by blanks"},
		{"http.cors_origins: 'null'\n", "must be origins such as"},
		{"http.cors_origins: https://\n", "must be origins such as"},
		{"http.certificate: c.pem\nhttp.private_key: /k.pem\n", "http.certificate: must be an absolute path"},
		{"http.certificate: /c.pem\nhttp.private_key: k.pem\n", "http.private_key: must be an absolute path"},
		{"http.private_key: /k.pem\n", "tribe.yaml:1: http.private_key: must be given together with http.certificate"},
		{"governance.war_chief: MCowBQYDK2VwAyEApK+s6nus+xDe1A88CeNm/e97W+brRKBt2ZR5dr6U/7M=\ngovernance.peace_chief: MCowBQYDK2VwAyEAVrh4bjktGruL2E5TSE/fz5QCSm6faZfs7agpBiyQUNg=\ngovernance.medicine_woman: dwG4UdCb1PGPOam3RFy2heWNJcNDa8Ae/tQShV6GK20=\n", NULL},
		{"governance.war_chief: MCowBQYDK2VwAyEApK+s6nus+xDe1A88CeNm/e97W+brRKBt2ZR5dr6U/7M=\n", "governance.war_chief: must be given together with governance.peace_chief"},
		{"governance.medicine_woman: MCowBQYDK2VwAyEAVrh4bjktGruL2E5TSE/fz5QCSm6faZfs7agpBiyQUNg=\n", "governance.medicine_woman: must be given together with governance.war_chief"},
		{"governance.war_chief: MCowBQYDK2VwAyEApK+s6nus+xDe1A88CeNm/e97W+brRKBt2ZR5dr6U/7M=\ngovernance.peace_chief: MCowBQYDK2VwAyEAVrh4bjktGruL2E5TSE/fz5QCSm6faZfs7agpBiyQUNg=\ngovernance.medicine_woman: pK+s6nus+xDe1A88CeNm/e97W+brRKBt2ZR5dr6U/7M=\n", "governance.medicine_woman: is the same key as governance.war_chief"},
		{"governance.war_chief: no key\ngovernance.peace_chief: MCowBQYDK2VwAyEAVrh4bjktGruL2E5TSE/fz5QCSm6faZfs7agpBiyQUNg=\ngovernance.medicine_woman: dwG4UdCb1PGPOam3RFy2heWNJcNDa8Ae/tQShV6GK20=\n", "governance.war_chief: must be an Ed25519 public key"},
		{"governance.war_chief: MCowBQYDK2VwAyEApK+s6nus+xDe1A88CeNm/e97W+brRKBt2ZR5dr6U/7M=\ngovernance.peace_chief: MCowBQYDK2VwAyEAVrh4bjktGruL2E5TSE/fz5QCSm6faZfs7agpBiyQUNg\ngovernance.medicine_woman: dwG4UdCb1PGPOam3RFy2heWNJcNDa8Ae/tQShV6GK20=\n", "governance.peace_chief: must be an Ed25519 public key"},
		{"governance.war_chief: MCowBQYDK2VwAyEApK+s6nus+xDe1A88CeNm/e97W+brRKBt2ZR5dr6U/7M=\ngovernance.peace_chief: MCowBQYDK2VwAyEAVrh4bjktGruL2E5TSE/fz5QCSm6faZfs7agpBiyQUNg=\ngovernance.medicine_woman: MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE\n", "governance.medicine_woman: must be an Ed25519 public key"},
		{"governance.war_chief: MCowBQYDK2VwAyEApK+s6nus+xDe1A88CeNm/e97W+brRKBt2ZR5dr6U/7M=\ngovernance.peace_chief: MCowBQYDK2VwAyEAVrh4bjktGruL2E5TSE/fz5QCSm6faZfs7agpBiyQUNg=\ngovernance.medicine_woman: AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n", "governance.medicine_woman: must be an Ed25519 public key"},
	};
	/* clang-format on */
	struct tr_config cfg;
	struct cfg_origins o;
	struct cfg_error err;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		int r = load(&cfg, &o, rows[i].text, &err);

		if (r == 0)
			r = cfg_check_at(&cfg, &o, &err);
		if (rows[i].error == NULL) {
			if (r != 0)
				fail_msg("%s: %s", rows[i].text, err.text);
		} else if (r != TR_ECONFIG || strncmp(err.text, "tribe.yaml:", 11) != 0 ||
			   strstr(err.text, rows[i].error) == NULL) {
			fail_msg("%s: %s", rows[i].text, err.text);
		}
	}
}

/* Of each setting: changing it is seen, in its own row only. */
static void changes_are_seen(void **state)
{
	static const char *const sets[] = {"http.listen=127.0.0.1:1", "heartbeat_ms=50", "drills=true",
					   "understudies=meta=1"};
	struct tr_config a, b;
	struct cfg_origins o;
	struct cfg_setting s;
	struct cfg_error err;

	(void)state;
	for (size_t i = 0; i < sizeof(sets) / sizeof(sets[0]); i++) {
		cfg_defaults(&a, &o);
		cfg_defaults(&b, &o);
		assert_int_equal(cfg_set(&b, &o, sets[i], &err), 0);
		for (unsigned n = 0; cfg_setting_at(n, &s); n++) {
			size_t len = strlen(s.key);

			assert_int_equal(cfg_same(&a, &b, n), strncmp(sets[i], s.key, len) != 0 || sets[i][len] != '=');
		}
	}
}

static void places_of_rules(void **state)
{
	struct tr_config cfg;
	struct cfg_origins o;
	struct cfg_error err;

	(void)state;
	assert_int_equal(load(&cfg, &o, "\n\nhang_after_ms: 200\n", &err), 0);
	assert_int_equal(cfg_check_at(&cfg, &o, &err), TR_ECONFIG);
	assert_string_equal(err.text,
			    "tribe.yaml:3: hang_after_ms: must be at least three times heartbeat_ms, here 300");
	assert_int_equal(cfg_check(&cfg, &err), TR_ECONFIG);
	assert_string_equal(err.text, "hang_after_ms: must be at least three times heartbeat_ms, here 300");
	assert_int_equal(cfg_set(&cfg, &o, "hang_after_ms=100", &err), 0);
	assert_int_equal(cfg_check_at(&cfg, &o, &err), TR_ECONFIG);
	assert_string_equal(err.text, "--set: hang_after_ms: must be at least three times heartbeat_ms, here 300");
	assert_int_equal(cfg_set(&cfg, &o, "heartbeat_ms=20", &err), 0);
	assert_int_equal(cfg_check_at(&cfg, &o, &err), 0);
	/* the one that was set is shown when the other one is the default */
	assert_int_equal(load(&cfg, &o, "\nheartbeat_ms: 900\n", &err), 0);
	assert_int_equal(cfg_check_at(&cfg, &o, &err), TR_ECONFIG);
	assert_string_equal(err.text,
			    "tribe.yaml:2: hang_after_ms: must be at least three times heartbeat_ms, here 2700");
	assert_int_equal(load(&cfg, &o, "log.level: chatty\n", &err), 0);
	assert_int_equal(cfg_check_at(&cfg, &o, &err), TR_ECONFIG);
	assert_string_equal(err.text, "tribe.yaml:1: log.level: must be error, warn, info or debug");
}

static void command_line(void **state)
{
	/* clang-format off */
	static const struct {
		const char *set, *error;
	} rows[] = {
		{"heartbeat_ms", "--set: heartbeat_ms: must be KEY=VALUE"},
		{"heartbeat=5", "--set: heartbeat: there is no such setting; did you mean heartbeat_ms?"},
		{"=5", "--set: : there is no such setting"},
		{"heartbeat_ms=", "--set: heartbeat_ms: must be a whole number from 10 to 60000"},
		{"heartbeat_ms=50 ", "--set: heartbeat_ms: must be a whole number from 10 to 60000"},
		{"llm.url=\xff", "--set: llm.url: must be valid UTF-8 without NUL"},
	};
	/* clang-format on */
	struct tr_config cfg;
	struct cfg_origins o;
	struct cfg_error err;

	(void)state;
	cfg_defaults(&cfg, &o);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_int_equal(cfg_set(&cfg, &o, rows[i].set, &err), TR_ECONFIG);
		assert_string_equal(err.text, rows[i].error);
	}
	assert_int_equal(cfg_set(&cfg, &o, "archive.url=sqlite:a=b.db", &err), 0);
	assert_string_equal(cfg.archive_url, "sqlite:a=b.db");
	assert_int_equal(cfg_set(&cfg, NULL, "archive.url=", &err), 0);
	assert_string_equal(cfg.archive_url, "");
}

static void dump_is_taken_back(void **state)
{
	static const char *const strings[] = {
		"",
		" ",
		"a",
		"null",
		"true",
		"# no comment",
		"key: value",
		"\"'\\",
		" both ends ",
		"\n\n",
		"a\tb\r\x7f\x1b",
		"- x",
		"caf\xc3\xa9",
		"\xc2\x85\xc2\xa0\xc2\x9b",
		"\xe2\x80\xa8\xe2\x80\xa9",
		"\xef\xbb\xbf",
		"\xef\xbf\xbe\xef\xbf\xbf",
		"\xf0\x9f\x90\xbb",
		"\xee\x80\x80\xef\xbf\xbd",
		"%TAG",
		"*alias &anchor !tag",
		"{[,]}",
		"|\n",
		"---",
		"...",
	};
	struct tr_config a, b;
	struct cfg_origins o, o2;
	struct cfg_error err;
	struct buf text = {0};

	(void)state;
	cfg_defaults(&a, &o);
	assert_int_equal(cfg_set(&a, &o, "understudies=memory=3,meta=1", &err), 0);
	assert_int_equal(cfg_set(&a, &o, "drills=true", &err), 0);
	for (size_t i = 0; i < sizeof(strings) / sizeof(strings[0]); i++) {
		for (int with = 0; with < 2; with++) {
			memset(a.llm_url, 0, sizeof(a.llm_url)); /* so that whole structs can be compared */
			tr_copy(a.llm_url, sizeof(a.llm_url), strings[i], strlen(strings[i]));
			buf_clear(&text);
			assert_int_equal(cfg_dump(&a, with ? &o : NULL, &text), 0);
			cfg_defaults(&b, &o2);
			memset(b.llm_url, 0, sizeof(b.llm_url));
			if (cfg_load_text(&b, &o2, text.p, text.len, "dump", &err) < 0)
				fail_msg("%s: %s\n%s", strings[i], err.text, text.p);
			assert_string_equal(a.llm_url, b.llm_url);
			assert_int_equal(a.heartbeat_ms, b.heartbeat_ms);
			assert_memory_equal(a.understudies, b.understudies, sizeof(a.understudies));
			assert_true(b.drills);
		}
	}
	assert_non_null(strstr(text.p, "drills: true # command line: allow the faults"));
	buf_free(&text);
	buf_init(&text, 20);
	assert_int_equal(cfg_dump(&a, NULL, &text), TR_ETOOBIG);
	buf_free(&text);
}

static void dump_survives_every_character(void **state)
{
	struct tr_config a, b;
	struct cfg_origins o;
	struct cfg_error err;
	struct buf text = {0};
	size_t n = 0;

	(void)state;
	cfg_defaults(&a, &o);
	for (uint32_t c = 1; c < 0x3000; c++) { /* 200 at a time */
		n += c < 0x80 ? (size_t)sprintf(a.llm_url + n, "%c", (char)c)
		     : c < 0x800
			     ? (size_t)sprintf(a.llm_url + n, "%c%c", (char)(0xc0 | c >> 6), (char)(0x80 | (c & 0x3f)))
			     : (size_t)sprintf(a.llm_url + n, "%c%c%c", (char)(0xe0 | c >> 12),
					       (char)(0x80 | (c >> 6 & 0x3f)), (char)(0x80 | (c & 0x3f)));
		if (c % 200 != 0 && c != 0x2fff)
			continue;
		n = 0;
		buf_clear(&text);
		assert_int_equal(cfg_dump(&a, NULL, &text), 0);
		cfg_defaults(&b, NULL);
		assert_int_equal(cfg_load_text(&b, NULL, text.p, text.len, "dump", &err), 0);
		assert_string_equal(a.llm_url, b.llm_url);
	}
	buf_free(&text);
}

/* A directory of its own for each test that wants one; taken away whether the test passes or not. */
static char dir[64];
static const char *const dir_files[] = {"t.yaml", "tribe.yaml"};

static int make_dir(void **state)
{
	(void)state;
	(void)snprintf(dir, sizeof(dir), "/tmp/tribe-cfg-XXXXXX");
	return mkdtemp(dir) == NULL ? -1 : 0;
}

static int remove_dir(void **state)
{
	char path[128];

	(void)state;
	for (size_t i = 0; i < sizeof(dir_files) / sizeof(dir_files[0]); i++) {
		(void)snprintf(path, sizeof(path), "%s/%s", dir, dir_files[i]);
		(void)unlink(path);
	}
	return rmdir(dir);
}

static void files(void **state)
{
	char path[128];
	struct tr_config cfg;
	struct cfg_origins o;
	struct cfg_error err;
	FILE *f;

	(void)state;
	(void)snprintf(path, sizeof(path), "%s/t.yaml", dir);
	cfg_defaults(&cfg, &o);
	assert_int_equal(cfg_load_file(&cfg, &o, path, &err), TR_ECONFIG);
	assert_non_null(strstr(err.text, "t.yaml: no such file"));
	assert_int_equal(cfg_load_file(&cfg, &o, dir, &err), TR_ECONFIG);
	f = fopen(path, "w");
	assert_non_null(f);
	fputs("drills: true\nheartbeat_ms: 1\n", f);
	fclose(f);
	assert_int_equal(cfg_load_file(&cfg, &o, path, &err), TR_ECONFIG);
	assert_non_null(strstr(err.text, "t.yaml:2: heartbeat_ms: must"));
	assert_int_equal(truncate(path, 13), 0);
	assert_int_equal(cfg_load_file(&cfg, &o, path, &err), 0);
	assert_true(cfg.drills);
	assert_int_equal(truncate(path, 2 * 1024 * 1024), 0);
	assert_int_equal(cfg_load_file(&cfg, &o, path, &err), TR_ECONFIG);
	assert_non_null(strstr(err.text, "must be at most"));
}

static void paths(void **state)
{
	char cwd[4096], want[8192], longer[200];
	struct tr_paths p = {.state = "untouched"};
	struct cfg_error err;
	FILE *f;

	(void)state;
	assert_non_null(getcwd(cwd, sizeof(cwd)));
	unsetenv("STATE_DIRECTORY");
	unsetenv("RUNTIME_DIRECTORY");
	memset(longer, 'x', sizeof(longer) - 1);
	longer[0] = '/';
	longer[sizeof(longer) - 1] = '\0';
	assert_int_equal(cfg_paths(&p, longer, NULL, NULL, NULL, &err), TR_ECONFIG);
	assert_non_null(strstr(err.text, "at most 90 bytes"));
	assert_int_equal(cfg_paths(&p, "", NULL, NULL, NULL, &err), TR_ECONFIG);
	assert_string_equal(p.state, "untouched");
	assert_int_equal(cfg_paths(&p, NULL, NULL, NULL, NULL, &err), 0);
	assert_string_equal(p.state, "/var/lib/tribe");
	assert_string_equal(p.runtime, "/run/tribe");
	setenv("STATE_DIRECTORY", "/a/b/:/c", 1);
	setenv("RUNTIME_DIRECTORY", "/r", 1);
	assert_int_equal(cfg_paths(&p, NULL, NULL, NULL, NULL, &err), 0);
	assert_string_equal(p.state, "/a/b");
	assert_string_equal(p.runtime, "/r");
	assert_int_equal(cfg_paths(&p, "/d/", NULL, "/q//", "/x.yaml", &err), 0);
	assert_string_equal(p.state, "/d/state");
	assert_string_equal(p.runtime, "/q");
	assert_string_equal(p.config, "/x.yaml");
	assert_int_equal(cfg_paths(&p, NULL, "s", "/r", NULL, &err), 0);
	(void)snprintf(want, sizeof(want), "%s/s", cwd);
	assert_string_equal(p.state, want);
	unsetenv("STATE_DIRECTORY");
	unsetenv("RUNTIME_DIRECTORY");
	assert_int_equal(cfg_paths(&p, dir, NULL, NULL, NULL, &err), 0);
	assert_string_equal(p.config, "");
	(void)snprintf(want, sizeof(want), "%s/tribe.yaml", dir);
	assert_non_null(f = fopen(want, "w"));
	fclose(f);
	assert_int_equal(cfg_paths(&p, dir, NULL, NULL, NULL, &err), 0);
	assert_string_equal(p.config, want);
}

static void listen_addresses(void **state)
{
	struct sockaddr_storage ss;
	const struct sockaddr_in *v4 = (const struct sockaddr_in *)&ss;
	const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)&ss;

	(void)state;
	assert_int_equal(cfg_listen_parse("localhost:8000", &ss), 0);
	assert_int_equal(ss.ss_family, AF_INET);
	assert_int_equal(ntohs(v4->sin_port), 8000);
	assert_int_equal(ntohl(v4->sin_addr.s_addr), 0x7f000001);
	assert_int_equal(cfg_listen_parse("[::1]:0", &ss), 0);
	assert_int_equal(ss.ss_family, AF_INET6);
	assert_int_equal(v6->sin6_port, 0);
	assert_true(IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr));
	assert_int_equal(cfg_listen_parse("[]:0", &ss), TR_EINVAL);
	assert_int_equal(cfg_listen_parse("[:0", &ss), TR_EINVAL);
	assert_int_equal(cfg_listen_parse("", &ss), TR_EINVAL);
}

static void the_archive_s_directory_must_be_there(void **state)
{
	char base[] = "/tmp/tribe-test-XXXXXX", here[64], fresh[64], file[64];
	/* clang-format off */
	const struct {
		const char *state, *text, *error;
	} rows[] = {
		{fresh, "drills: true\n", NULL},
		{fresh, "archive.url: sqlite:a.db\n", NULL},
		{fresh, "archive.url: sqlite:./a.db\n", NULL},
		{fresh, "archive.url: sqlite:%s/new//a.db\n", NULL},
		{here, "archive.url: sqlite:%s/a.db\n", NULL},
		{here, "archive.url: sqlite:/a.db\n", NULL},
		{here, "archive.url: sqlite:sub/a.db\n", "tribe.yaml:1: archive.url: the directory its path names does not exist"},
		{here, "\narchive.url: sqlite:%s/x/a.db\n", "tribe.yaml:2: archive.url: the directory its path names does not exist"},
		{here, "archive.url: sqlite:%s/file/a.db\n", "tribe.yaml:1: archive.url: the directory its path names is not a directory"},
		{here, "archive.url: sqlite:file/x/a.db\n", "tribe.yaml:1: archive.url: the directory its path names cannot be reached"},
	};
	/* clang-format on */
	struct tr_config cfg;
	struct cfg_origins o;
	struct cfg_error err;
	FILE *f;

	(void)state;
	assert_non_null(mkdtemp(base));
	(void)snprintf(here, sizeof(here), "%s", base);
	(void)snprintf(fresh, sizeof(fresh), "%s/new", base);
	(void)snprintf(file, sizeof(file), "%s/file", base);
	assert_non_null(f = fopen(file, "w"));
	(void)fclose(f);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const char *mark = strstr(rows[i].text, "%s");
		char text[256];
		int r;

		(void)snprintf(text, sizeof(text), "%.*s%s%s", mark ? (int)(mark - rows[i].text) : 200, rows[i].text,
			       mark ? base : "", mark ? mark + 2 : "");
		assert_int_equal(load(&cfg, &o, text, &err), 0);
		r = cfg_check_places(&cfg, &o, rows[i].state, &err);
		assert_int_equal(r, rows[i].error == NULL ? 0 : TR_ECONFIG);
		if (rows[i].error != NULL)
			assert_string_equal(err.text, rows[i].error);
	}
	(void)unlink(file);
	(void)rmdir(base);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(defaults_are_sound),
		cmocka_unit_test(nested_and_dotted_keys_are_the_same),
		cmocka_unit_test(errors_name_file_line_key_and_rule),
		cmocka_unit_test(what_is_not_yaml_is_refused),
		cmocka_unit_test(the_archive_s_directory_must_be_there),
		cmocka_unit_test(rules_between_settings),
		cmocka_unit_test(changes_are_seen),
		cmocka_unit_test(places_of_rules),
		cmocka_unit_test(command_line),
		cmocka_unit_test(dump_is_taken_back),
		cmocka_unit_test(dump_survives_every_character),
		cmocka_unit_test_setup_teardown(files, make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(paths, make_dir, remove_dir),
		cmocka_unit_test(listen_addresses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
