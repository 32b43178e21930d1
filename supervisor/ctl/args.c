#include "supervisor/ctl/args.h"
#include "common/base/clock.h"
#include "common/base/err.h"
#include "common/base/roles.h"
#include "common/base/text.h"
#include "supervisor/ctl/help.h"
#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct parser {
	struct ctl_args *args;
	const struct ctl_option *globals;
	const struct ctl_command *commands;
	struct ctl_error *err;
};

__attribute__((format(printf, 2, 3))) static int refuse(struct parser *p, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(p->err->text, sizeof(p->err->text), fmt, ap);
	va_end(ap);
	return TR_EINVAL;
}

static const struct ctl_option *find_in(const struct ctl_option *list, const char *name, size_t n, char letter)
{
	for (; list != NULL && list->name != NULL; list++) {
		if (name != NULL ? strlen(list->name) == n && memcmp(list->name, name, n) == 0
				 : letter != 0 && list->letter == letter)
			return list;
	}
	return NULL;
}

static const struct ctl_option *find_option(const struct parser *p, const char *name, size_t n, char letter)
{
	const struct ctl_option *o = NULL;

	if (p->args->command != NULL)
		o = find_in(p->args->command->options, name, n, letter);
	return o != NULL ? o : find_in(p->globals, name, n, letter);
}

const char *ctl_word(const char *words, const char *last, size_t *n, bool *later)
{
	const char *w = last == NULL ? words : last + strcspn(last, "|");

	if (last != NULL && w[0] == '|' && w[1] == '|')
		*later = true;
	w += strspn(w, "|");
	*n = strcspn(w, "|");
	return *n == 0 ? NULL : w;
}

/* One of the words. A word of a later version is noted as what was asked for. */
static int read_choice(struct parser *p, const char *words, const char *text)
{
	bool later = false;
	size_t n;

	for (const char *w = ctl_word(words, NULL, &n, &later); w != NULL; w = ctl_word(words, w, &n, &later)) {
		if (strlen(text) != n || memcmp(w, text, n) != 0)
			continue;
		if (later)
			p->args->later = text;
		return 0;
	}
	return TR_EINVAL;
}

/* "a, b or c" without those of a later version. */
static const char *list_words(const char *words, char *out, size_t size)
{
	size_t n, m, used = 0;
	bool later = false;
	const char *next;

	out[0] = '\0';
	for (const char *w = ctl_word(words, NULL, &n, &later); w != NULL && !later && used < size; w = next, n = m) {
		int k;

		next = ctl_word(words, w, &m, &later);
		k = snprintf(out + used, size - used, "%s%.*s",
			     used == 0               ? ""
			     : next == NULL || later ? " or "
						     : ", ",
			     (int)n, w);
		used += k > 0 ? (size_t)k : 0;
	}
	return out;
}

static int read_role(const struct ctl_option *o, const char *text, int *out)
{
	int role = tr_role_find(text, strlen(text));

	if (role < 0 && (o->type != CTL_JR_ALL || strcmp(text, "all") != 0))
		return TR_EINVAL;
	*out = role;
	return 0;
}

/* Fills v->as from v->text by the row's type; the error names the option and its rule. */
static int read_value(struct parser *p, struct ctl_value *v)
{
	const struct ctl_option *o = v->option;
	bool bound = o->min != 0 || o->max != 0;
	size_t len = strlen(v->text);
	char words[200];
	int64_t i;

	switch (o->type) {
	case CTL_FLAG:
		return 0;
	case CTL_STR:
		if (bound && ((double)len < o->min || (double)len > o->max))
			return refuse(p, "--%s: must be %.0f to %.0f bytes long", o->name, o->min, o->max);
		if (!tr_utf8_ok(v->text, len, NULL))
			return refuse(p, "--%s: must be UTF-8 text", o->name);
		return 0;
	case CTL_U32:
		if (tr_parse_i64(v->text, (int64_t)o->min, bound ? (int64_t)o->max : UINT32_MAX, &i) < 0)
			return refuse(p, "--%s: must be a whole number from %.0f to %.0f", o->name, o->min,
				      bound ? o->max : (double)UINT32_MAX);
		v->as.u32 = (uint32_t)i;
		return 0;
	case CTL_F64:
		if (tr_parse_f64(v->text, bound ? o->min : -1e300, bound ? o->max : 1e300, &v->as.f64) < 0)
			return refuse(p, "--%s: must be a number from %g to %g", o->name, o->min, o->max);
		return 0;
	case CTL_TIME:
		if (tr_rfc3339_parse(v->text, len, &v->as.time_ms) < 0)
			return refuse(p, "--%s: must be a time such as 2026-11-23T17:00:00Z (RFC 3339)", o->name);
		return 0;
	case CTL_CHOICE:
		if (read_choice(p, o->value, v->text) < 0)
			return refuse(p, "--%s: must be %s", o->name, list_words(o->value, words, sizeof(words)));
		return 0;
	case CTL_JR:
	case CTL_JR_ALL:
		if (read_role(o, v->text, &v->as.role) < 0)
			return refuse(p, "--%s: no Jr has this name; there are memory, integration, meta, executive%s",
				      o->name, o->type == CTL_JR_ALL ? " (or all)" : "");
		return 0;
	}
	assert(!"a type without a reader");
	return TR_EINTERNAL;
}

static int keep_value(struct parser *p, const struct ctl_option *o, const char *text)
{
	struct ctl_value v = {.option = o, .text = text, .as = {0}};
	int r;

	if ((o->bits & CTL_MANY) == 0 && o->type != CTL_FLAG && ctl_given(p->args, o->name) != NULL)
		return refuse(p, "--%s: given twice", o->name);
	if ((r = read_value(p, &v)) < 0)
		return r;
	if ((o->bits & CTL_LATER) != 0 && p->args->later == NULL)
		p->args->later = o->name;
	p->args->given[p->args->ngiven++] = v;
	return 0;
}

/* One option at argv[*i]; moves *i over a value that stands behind it. */
static int take_option(struct parser *p, int argc, char **argv, int *i)
{
	const char *arg = argv[*i], *name = arg + 2, *value;
	bool is_long = arg[1] == '-';
	size_t n = is_long ? strcspn(name, "=") : 0;
	const struct ctl_option *o;
	char hint[128];

	o = is_long ? find_option(p, name, n, 0) : arg[2] == '\0' ? find_option(p, NULL, 0, arg[1]) : NULL;
	if (o == NULL && p->args->later != NULL) /* what a later version's command takes is not known here */
		return 0;
	if (o == NULL) {
		ctl_near_option(hint, sizeof(hint), p->globals, p->args->command, arg);
		return refuse(p, "there is no option %.*s%s%s", (int)(is_long ? n + 2 : strlen(arg)), arg,
			      p->args->command == NULL ? " before the command" : "", hint);
	}
	value = is_long && name[n] == '=' ? name + n + 1 : NULL;
	if (o->type == CTL_FLAG) {
		if (value != NULL)
			return refuse(p, "--%s takes no value", o->name);
		return keep_value(p, o, "");
	}
	if (value == NULL) {
		if (*i + 1 >= argc)
			return refuse(p, "--%s wants a value: %s", o->name, o->value);
		value = argv[++*i];
	}
	return keep_value(p, o, value);
}

static int take_operand(struct parser *p, const char *arg)
{
	char hint[128];

	if (p->args->command != NULL) {
		p->args->operands[p->args->noperands++] = arg;
		return 0;
	}
	if (strcmp(arg, "help") == 0) /* help COMMAND is COMMAND --help */
		return keep_value(p, find_option(p, "help", strlen("help"), 0), "");
	for (const struct ctl_command *c = p->commands; c->name != NULL; c++) {
		if (strcmp(c->name, arg) == 0) {
			p->args->command = c;
			if (c->later != NULL)
				p->args->later = c->name;
			return 0;
		}
	}
	ctl_near_command(hint, sizeof(hint), p->commands, arg);
	return refuse(p, "there is no command '%.64s'%s", arg, hint);
}

/* Of those that take exactly one that is no Jr. */
static int check_one(struct parser *p, const struct ctl_command *c)
{
	const char *arg = p->args->operands[0];
	char words[200];

	if (p->args->noperands > 1)
		return refuse(p, "%s: takes one argument; '%.64s' is one too many", c->name, p->args->operands[1]);
	if (c->operands == CTL_WORD && read_choice(p, c->operand, arg) < 0)
		return refuse(p, "%s: '%.64s' is unknown; there is %s", c->name, arg,
			      list_words(c->operand, words, sizeof(words)));
	if ((c->operands == CTL_ID || c->operands == CTL_MAYBE_ID) &&
	    (*arg == '\0' || !tr_utf8_ok(arg, strlen(arg), NULL)))
		return refuse(p, "%s: an id is UTF-8 text and not empty", c->name);
	return 0;
}

static int check_operands(struct parser *p)
{
	const struct ctl_command *c = p->args->command;
	unsigned n = p->args->noperands;
	char words[200];

	switch (c->operands) {
	case CTL_NO_OPERANDS:
		if (n > 0)
			return refuse(p, "%s: takes no argument; '%.64s' is one too many", c->name,
				      p->args->operands[0]);
		return 0;
	case CTL_SOME_PATHS:
		return 0;
	case CTL_MAYBE_ID:
		return n == 0 ? 0 : check_one(p, c);
	case CTL_MAYBE_PATH:
		return n <= 1 ? 0
			      : refuse(p, "%s: takes one argument; '%.64s' is one too many", c->name,
				       p->args->operands[1]);
	case CTL_TEXT:
	case CTL_PATHS:
	case CTL_ID:
	case CTL_WORD:
		if (n == 0)
			return refuse(p, "%s: wants %s; see tribectl %s --help", c->name,
				      c->operands == CTL_WORD ? list_words(c->operand, words, sizeof(words))
							      : c->operand,
				      c->name);
		return c->operands == CTL_ID || c->operands == CTL_WORD ? check_one(p, c) : 0;
	case CTL_ROLE:
		if (n != 1)
			return refuse(p, "%s: wants one Jr: memory, integration, meta or executive", c->name);
		p->args->role = tr_role_find(p->args->operands[0], strlen(p->args->operands[0]));
		if (p->args->role < 0)
			return refuse(p,
				      "%s: no Jr has the name '%.64s'; there are memory, integration, meta, executive",
				      c->name, p->args->operands[0]);
		return 0;
	}
	assert(!"operands of an unknown kind");
	return TR_EINTERNAL;
}

static int check_needed(struct parser *p)
{
	const struct ctl_command *c = p->args->command;

	if (p->args->later != NULL)
		return 0;
	for (const struct ctl_option *o = c->options; o != NULL && o->name != NULL; o++) {
		if ((o->bits & CTL_NEEDED) != 0 && ctl_given(p->args, o->name) == NULL)
			return refuse(p, "%s: wants --%s %s; see tribectl %s --help", c->name, o->name, o->value,
				      c->name);
	}
	return check_operands(p);
}

int ctl_parse(struct ctl_args *out, const struct ctl_option *globals, const struct ctl_command *commands, int argc,
	      char **argv, struct ctl_error *err)
{
	struct parser p = {.args = out, .globals = globals, .commands = commands, .err = err};
	bool only_operands = false;
	int r = 0;

	*out = (struct ctl_args){.role = -1};
	err->text[0] = '\0';
	out->given = calloc((size_t)argc + 1, sizeof(*out->given));
	out->operands = calloc((size_t)argc + 1, sizeof(*out->operands));
	if (out->given == NULL || out->operands == NULL)
		r = TR_ENOMEM;
	for (int i = 1; r == 0 && i < argc; i++) {
		if (!only_operands && strcmp(argv[i], "--") == 0)
			only_operands = true;
		else if (!only_operands && argv[i][0] == '-' && argv[i][1] != '\0')
			r = take_option(&p, argc, argv, &i);
		else
			r = take_operand(&p, argv[i]);
	}
	if (r == 0 && !ctl_flag(out, "help") && !ctl_flag(out, "version") && !ctl_flag(out, "check"))
		r = out->command != NULL ? check_needed(&p) : refuse(&p, "wants a command; see tribectl --help");
	if (r < 0)
		ctl_args_free(out);
	return r;
}

void ctl_args_free(struct ctl_args *a)
{
	free(a->given);
	free(a->operands);
	*a = (struct ctl_args){.role = -1};
}

const struct ctl_value *ctl_given(const struct ctl_args *a, const char *name)
{
	for (unsigned i = a->ngiven; i > 0; i--) {
		if (strcmp(a->given[i - 1].option->name, name) == 0)
			return &a->given[i - 1];
	}
	return NULL;
}

bool ctl_flag(const struct ctl_args *a, const char *name)
{
	return ctl_given(a, name) != NULL;
}

const char *ctl_str(const struct ctl_args *a, const char *name)
{
	const struct ctl_value *v = ctl_given(a, name);

	return v == NULL ? NULL : v->text;
}

bool ctl_u32(const struct ctl_args *a, const char *name, uint32_t *out)
{
	const struct ctl_value *v = ctl_given(a, name);

	assert(v == NULL || v->option->type == CTL_U32);
	if (v != NULL)
		*out = v->as.u32;
	return v != NULL;
}

bool ctl_f64(const struct ctl_args *a, const char *name, double *out)
{
	const struct ctl_value *v = ctl_given(a, name);

	assert(v == NULL || v->option->type == CTL_F64);
	if (v != NULL)
		*out = v->as.f64;
	return v != NULL;
}

bool ctl_time(const struct ctl_args *a, const char *name, int64_t *out)
{
	const struct ctl_value *v = ctl_given(a, name);

	assert(v == NULL || v->option->type == CTL_TIME);
	if (v != NULL)
		*out = v->as.time_ms;
	return v != NULL;
}

const char *ctl_nth(const struct ctl_args *a, const char *name, unsigned i)
{
	for (unsigned k = 0; k < a->ngiven; k++) {
		if (strcmp(a->given[k].option->name, name) == 0 && i-- == 0)
			return a->given[k].text;
	}
	return NULL;
}
