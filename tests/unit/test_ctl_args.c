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
		assert_true((c->run == NULL) == (c->later != NULL)); /* here, or of a later version */
		assert_non_null(c->help);
		assert_true(strlen(c->help) <= 80);
		assert_true((c->operands == CTL_NO_OPERANDS) == (c->operand == NULL));
		for (const struct ctl_command *d = c + 1; d->name != NULL; d++)
			assert_string_not_equal(c->name, d->name);
		for (const struct ctl_option *o = c->options; o != NULL && o->name != NULL; o++) {
			assert_true((o->type == CTL_FLAG) == (o->value == NULL));
			assert_true((o->bits & (CTL_LATER | CTL_NEEDED)) != (CTL_LATER | CTL_NEEDED));
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
	good("help", &a);
	assert_true(a.command == NULL && ctl_flag(&a, "help"));
	ctl_args_free(&a);
	good("help|sign", &a);
	assert_true(a.command != NULL && ctl_flag(&a, "help"));
	assert_string_equal(a.command->name, "sign");
	ctl_args_free(&a);
	good("--dev|d|help|token|create", &a);
	assert_string_equal(a.command->name, "token");
	ctl_args_free(&a);
	good("remember|help", &a);
	assert_false(ctl_flag(&a, "help"));
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
	bad("help|statsu", "did you mean status");
	bad("st", "status");
	bad("forget", "wants ID");
	bad("forget|a|b", "one too many");
	bad("explain|", "not empty");
	bad("export|a|b", "one too many");
	bad("analyze", "wants anomalies; see");
	bad("analyze|dreams", "'dreams' is unknown; there is anomalies");
	bad("events|--limit|1001", "from 1 to 1000");
	bad("zzzzzz", "see tribectl --help");
	bad("status|x", "takes no argument");
	bad("remember", "wants TEXT");
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
	bad("ask|x|--detail|ful", "must be concise, summary or full");
	bad("drill|--jr|any|--kills|3", "or all");
	bad("drill|--jr|all|--kills|3|--fault|flood", "--fault: must be kill, hang, spin");
	bad("--limit|3|recall|x", "before the command");
	bad("status|--timeout|0", "--timeout");
	bad("status|-x", "no option -x");
	bad("status|-jx", "no option -jx");
}

static void later(const char *line, const char *what)
{
	struct ctl_args a;

	good(line, &a);
	if (what == NULL)
		assert_null(a.later);
	else
		assert_string_equal(a.later, what);
	ctl_args_free(&a);
}

/* What a later version brings is known, whatever stands behind it; what is there already is still checked. */
static void knows_what_comes_later(void **state)
{
	(void)state;
	later("vote|Shall we?|--option|a|--option|b|--quorum|3|--threshold|0.5", NULL);
	later("votes|id", NULL);
	later("verify|d", "verify");
	later("bench|--endpoint|/api/v1/ask|-u|3", "bench");
	later("drill|--storm|10|--every|50", NULL);
	later("drill|--jr|all|--kills|3|--load|50", NULL);
	later("drill|--jr|all|--kills|3|--fault|supervisor-kill", NULL);
	later("analyze|patterns", "patterns");
	later("import|x|--format|git", NULL);
	later("analyze|anomalies", NULL);
	later("drill|--jr|all|--kills|3|--fault|hang", NULL);
	bad("drill|--storm|never", "--storm: must be a number");
	bad("vot|x", "did you mean vote");
}

static void walks_words(void **state)
{
	static const struct {
		const char *word;
		bool later;
	} want[] = {{"a", false}, {"bc", false}, {"d", true}, {"e", true}};
	const char *w = NULL;
	bool is_later = false;
	size_t n, i = 0;

	(void)state;
	while ((w = ctl_word("a|bc||d|e", w, &n, &is_later)) != NULL) {
		assert_true(i < 4);
		assert_int_equal(n, strlen(want[i].word));
		assert_memory_equal(w, want[i].word, n);
		assert_int_equal(is_later, want[i].later);
		i++;
	}
	assert_int_equal(i, 4);
	assert_int_equal(ctl_shown("a|bc||d"), 4);
	assert_int_equal(ctl_shown("a|bc"), 4);
	assert_int_equal(ctl_shown(NULL), 0);
	assert_string_equal(ctl_shown_later("a|bc||d"), "d");
	assert_null(ctl_shown_later("a|bc"));
	assert_null(ctl_shown_later(NULL));
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
		/* what is not there yet stands apart, behind */
		assert_true((strstr(b.p, c->help) > strstr(b.p, "not got yet")) == (c->later != NULL));
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
		cmocka_unit_test(distance_counts_edits), cmocka_unit_test(knows_what_comes_later),
		cmocka_unit_test(walks_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
