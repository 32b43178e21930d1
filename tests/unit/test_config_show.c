/* common/config: settings as a person is shown them. */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */
#include "common/base/text.h"
#include "common/config/config.h"
#include <string.h>

/* As a person is shown it, in llm.url and in archive.url. */
static const struct {
	const char *value, *shown;
} masked[] = {
	{"", ""},
	{"postgresql://ada:hunter2@db.example/tribe", "postgresql://ada:***@db.example/tribe"},
	{"postgres://ada:hunter2@db.example/tribe", "postgres://ada:***@db.example/tribe"},
	{"POSTGRESQL://ada:hunter2@db.example", "POSTGRESQL://ada:***@db.example"},
	{"postgresql://ada:hunter2@h1:5432,h2:5433/tribe?target_session_attrs=read-write&connect_timeout=2",
	 "postgresql://ada:***@h1:5432,h2:5433/tribe?target_session_attrs=read-write&connect_timeout=2"},
	{"postgresql://ada@db.example:5432/tribe", "postgresql://ada@db.example:5432/tribe"},
	{"postgresql://db.example:5432/tribe", "postgresql://db.example:5432/tribe"},
	{"postgresql://:hunter2@db.example", "postgresql://:***@db.example"},
	{"postgresql://ada:@db.example", "postgresql://ada:***@db.example"},
	/* badly escaped: the whole of it goes */
	{"postgresql://ada:hun@ter2@db.example", "postgresql://ada:***@db.example"},
	{"postgresql://ada:hun/ter2@db.example", "postgresql://ada:***@db.example"},
	{"postgresql://ada:hun?ter2@db.example", "postgresql://ada:***@db.example"},
	{"postgresql://ada:hun#ter2@db.example", "postgresql://ada:***@db.example"},
	{"postgresql:ada:hunter2@db.example", "postgresql:***@db.example"},
	{"postgresql:///tribe?host=/run/pg&user=ada&password=hunter2",
	 "postgresql:///tribe?host=/run/pg&user=ada&password=***"},
	{"postgresql://ada@db/tribe?PassWord=hunter2&application_name=tribe",
	 "postgresql://ada@db/tribe?PassWord=***&application_name=tribe"},
	{"postgresql://ada@db/tribe?sslpassword=hunter2", "postgresql://ada@db/tribe?sslpassword=***"},
	{"postgresql://ada@db/tribe?passfile=/etc/tribe/pgpass&sslkey=/etc/tribe/k.pem&passfiles=hunter2",
	 "postgresql://ada@db/tribe?passfile=/etc/tribe/pgpass&sslkey=/etc/tribe/k.pem&passfiles=***"},
	{"postgresql://ada@db/tribe?p%61ssword=hunter2", "postgresql://ada@db/tribe?p%61ssword=***"},
	{"https://api.example/v1", "https://api.example/v1"},
	{"https://api.example:8443/v1?api-version=3&x", "https://api.example:8443/v1?api-version=3&x"},
	{"https://sk-hunter2@api.example/v1", "https://***@api.example/v1"},
	{"https://sk-hunter2:@api.example/v1", "https://***@api.example/v1"},
	{"https://ada:hunter2@api.example/v1?api_key=hunter2&n=1", "https://***@api.example/v1?api_key=***&n=1"},
	{"api.example/v1?access_token=hunter2", "api.example/v1?access_token=***"},
	{"https://api.example/v1?a=1&sig=hunter2#x", "https://api.example/v1?a=1&sig=***"},
	{"https://api.example/v1?token=&n=1", "https://api.example/v1?token=&n=1"},
	{"https://api.example/v1?token", "https://api.example/v1?token"},
	{"ada:hunter2@api.example", "***@api.example"},
	{"sqlite:/data/a:b@c/thermal.sqlite", "sqlite:/data/a:b@c/thermal.sqlite"},
	{"/etc/keys/a:b@c.pem", "/etc/keys/a:b@c.pem"},
	{"127.0.0.1:8000", "127.0.0.1:8000"},
};

static void no_secret_is_shown(void **state)
{
	struct buf out = {0}, line = {0};
	struct cfg_origins o;
	struct tr_config cfg;
	struct cfg_setting s;

	(void)state;
	for (size_t i = 0; i < sizeof(masked) / sizeof(masked[0]); i++) {
		cfg_defaults(&cfg, &o);
		tr_copy(cfg.llm_url, sizeof(cfg.llm_url), masked[i].value, strlen(masked[i].value));
		tr_copy(cfg.archive_url, sizeof(cfg.archive_url), masked[i].value, strlen(masked[i].value));
		for (unsigned k = 0; cfg_setting_at(k, &s); k++) {
			buf_clear(&out);
			assert_int_equal(cfg_value_show(&cfg, (int)k, &out), 0);
			if (strcmp(s.key, "llm.url") == 0 || strcmp(s.key, "archive.url") == 0)
				assert_string_equal(out.len == 0 ? "" : out.p, masked[i].shown);
		}
		/* the dump for a person ... */
		buf_clear(&out);
		assert_int_equal(cfg_dump(&cfg, &o, &out), 0);
		assert_null(strstr(out.p, "hunter2"));
		assert_null(strstr(out.p, "ter2"));
		buf_clear(&line);
		assert_int_equal(buf_printf(&line, "archive.url: \"%s\" # default: ", masked[i].shown), 0);
		assert_non_null(strstr(out.p, line.p));
		/* ... and the one for a Jr, which must know it */
		buf_clear(&out);
		assert_int_equal(cfg_dump(&cfg, NULL, &out), 0);
		buf_clear(&line);
		assert_int_equal(buf_printf(&line, "archive.url: \"%s\"\n", masked[i].value), 0);
		assert_non_null(strstr(out.p, line.p));
	}
	buf_clear(&out);
	assert_int_equal(cfg_text_show("t.yaml:1: https://ada:hunter2@x: there is no such setting", &out), 0);
	assert_string_equal(out.p, "t.yaml:1: https://***@x: there is no such setting");
	buf_free(&line);
	buf_free(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_secret_is_shown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
