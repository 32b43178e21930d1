/* The command line of tribectl: the table itself, the parser, help and hints. */
#include "common/base/err.h"
#include "common/base/roles.h"
#include "supervisor/ctl/args.h"
#include "supervisor/ctl/help.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define MAX_WORDS 16

/* "a|b c|d" -> argv {"tribectl", "a", "b c", "d"}; words part at '|'. */
static int parse(const char *line, struct ctl_args *out, struct ctl_error *err)
{
	static char words[512];
	static char *argv[MAX_WORDS + 1];
	static char name[] = "tribectl";
	int argc = 0;

	(void)snprintf(words, sizeof(words), "%s", line);
	argv[argc++] = name;
	for (char *w = words; *line != '\0' && w != NULL && argc < MAX_WORDS;) {
		char *bar = strchr(w, '|');

		argv[argc++] = w;
		if (bar != NULL)
			*bar = '\0';
		w = bar == NULL ? NULL : bar + 1;
	}
	argv[argc] = NULL;
	return ctl_parse(out, ctl_globals, ctl_commands, argc, argv, err);
}

static void good(const char *line, struct ctl_args *out)
{
	struct ctl_error err;
	int r = parse(line, out, &err);

	if (r < 0)
		fail_msg("'%s' was refused: %s", line, err.text);
}

/* Refused, with a text that holds `why`. */
static void bad(const char *line, const char *why)
{
	struct ctl_error err;
	struct ctl_args a;

	if (parse(line, &a, &err) != TR_EINVAL)
		fail_msg("'%s' was taken", line);
	if (strstr(err.text, why) == NULL)
		fail_msg("'%s' says '%s', not '%s'", line, err.text, why);
	assert_null(a.given);
	assert_null(a.operands);
}

static void table_is_sound(void **state)
{
	(void)state;
	for (const struct ctl_command *c = ctl_commands; c->name != NULL; c++) {
		assert_non_null(c->run);
		assert_non_null(c->help);
		assert_true(strlen(c->help) <= 80);
		assert_true((c->operands == CTL_NO_OPERANDS) == (c->operand == NULL));
		for (const struct ctl_command *d = c + 1; d->name != NULL; d++)
			assert_string_not_equal(c->name, d->name);
		for (const struct ctl_option *o = c->options; o != NULL && o->name != NULL; o++) {
			assert_true((o->type == CTL_FLAG) == (o->value == NULL));
			assert_non_null(o->help);
			for (const struct ctl_option *g = ctl_globals; g->name != NULL; g++) {
				assert_string_not_equal(o->name, g->name);
				assert_true(o->letter == 0 || o->letter != g->letter);
			}
		}
	}
}

static void reads_what_is_given(void **state)
{
	struct ctl_args a;
	double f = 0;
	int64_t t = 0;

	(void)state;
	good("--dev|d|remember|two words|and|--tag|x|--tag=y "
	     "z|--importance|0.25|--sacred|--at=2026-11-23T17:00:00Z|--json",
	     &a);
	assert_string_equal(a.command->name, "remember");
	assert_int_equal(a.noperands, 2);
	assert_string_equal(a.operands[0], "two words");
	assert_string_equal(ctl_str(&a, "dev"), "d");
	assert_string_equal(ctl_nth(&a, "tag", 0), "x");
	assert_string_equal(ctl_nth(&a, "tag", 1), "y z");
	assert_null(ctl_nth(&a, "tag", 2));
	assert_true(ctl_f64(&a, "importance", &f) && f > 0.249 && f < 0.251);
	assert_true(ctl_time(&a, "at", &t) && t == 1795453200000);
	assert_true(ctl_flag(&a, "sacred") && ctl_flag(&a, "json") && !ctl_flag(&a, "help"));
	assert_null(ctl_str(&a, "id"));
	ctl_args_free(&a);

	good("restart|memory-jr", &a);
	assert_int_equal(a.role, TR_ROLE_MEMORY);
	ctl_args_free(&a);
	good("drill|--jr|all|--kills|3", &a);
	assert_int_equal(ctl_given(&a, "jr")->as.role, -1);
	ctl_args_free(&a);
	good("drill|--jr|executive_jr|--kills|3|--fault|hang", &a);
	assert_int_equal(ctl_given(&a, "jr")->as.role, TR_ROLE_EXECUTIVE);
	ctl_args_free(&a);
	good("recall|--limit|5|words", &a);
	assert_int_equal(ctl_given(&a, "limit")->as.u32, 5);
	ctl_args_free(&a);
	good("ask|--|--dev", &a); /* behind -- nothing is an option */
	assert_string_equal(a.operands[0], "--dev");
	ctl_args_free(&a);
	good("remember|-", &a);
	assert_string_equal(a.operands[0], "-");
	ctl_args_free(&a);
	good("drill|-h", &a); /* help wants nothing that is needed otherwise */
	ctl_args_free(&a);
	good("-n|--set|drills=true", &a);
	assert_null(a.command);
	ctl_args_free(&a);
	good("-V", &a);
	assert_null(a.command);
	ctl_args_free(&a);
}

static void refuses_with_a_reason(void **state)
{
	(void)state;
	bad("", "wants a command");
	bad("statsu", "did you mean status");
	bad("st", "status");
	bad("forget", "--help"); /* of a later version */
	bad("zzzzzz", "see tribectl --help");
	bad("status|x", "takes no argument");
	bad("remember", "wants TEXT");
	bad("import", "wants FILE|DIR");
	bad("restart", "one Jr");
	bad("restart|memory|meta", "one Jr");
	bad("restart|nobody", "nobody");
	bad("remember|x|--tga|y", "did you mean --tag");
	bad("remember|x|--importance|1.01", "--importance: must be a number from 0 to 1");
	bad("remember|x|--importance|nan", "--importance");
	bad("remember|x|--importance|", "--importance");
	bad("remember|x|--importance", "wants a value");
	bad("remember|x|--at|yesterday", "RFC 3339");
	bad("remember|x|--id|", "--id: must be 1 to 128 bytes");
	bad("remember|x|--source|a\xff", "UTF-8");
	bad("remember|x|--source|a|--source|b", "given twice");
	bad("remember|x|--sacred=yes", "takes no value");
	bad("recall|x|--limit|0", "from 1 to 200");
	bad("recall|x|--limit|201", "from 1 to 200");
	bad("recall|x|--limit|5x", "whole number");
	bad("ask|x|--detail|ful", "concise|summary|full");
	bad("drill|--kills|3", "wants --jr");
	bad("drill|--jr|memory", "wants --kills");
	bad("drill|--jr|any|--kills|3", "or all");
	bad("--limit|3|recall|x", "before the command");
	bad("status|--timeout|0", "--timeout");
	bad("status|-x", "no option -x");
	bad("status|-jx", "no option -jx");
}

static void help_names_everything(void **state)
{
	struct buf b = {.max = 0};

	(void)state;
	ctl_help_all(&b, ctl_globals, ctl_commands);
	assert_int_equal(b.failed, 0);
	for (const struct ctl_command *c = ctl_commands; c->name != NULL; c++) {
		struct buf own = {.max = 0};

		assert_non_null(strstr(b.p, c->name));
		assert_non_null(strstr(b.p, c->help));
		ctl_help_command(&own, ctl_globals, c);
		for (const struct ctl_option *o = c->options; o != NULL && o->name != NULL; o++) {
			assert_non_null(strstr(own.p, o->name));
			assert_non_null(strstr(own.p, o->help));
		}
		buf_free(&own);
	}
	buf_free(&b);
}

static void distance_counts_edits(void **state)
{
	(void)state;
	assert_int_equal(ctl_distance("", ""), 0);
	assert_int_equal(ctl_distance("", "abc"), 3);
	assert_int_equal(ctl_distance("status", "statsu"), 1);
	assert_int_equal(ctl_distance("status", "satus"), 1);
	assert_int_equal(ctl_distance("status", "xtatuss"), 2);
	assert_int_equal(ctl_distance("kitten", "sitting"), 3);
	/* longer than its table: no overflow */
	assert_true(ctl_distance("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "b") <= 31);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(table_is_sound),        cmocka_unit_test(reads_what_is_given),
		cmocka_unit_test(refuses_with_a_reason), cmocka_unit_test(help_names_everything),
		cmocka_unit_test(distance_counts_edits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
