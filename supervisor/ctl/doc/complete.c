/* Bash completion: one function of bash's own words, so that it needs no other package. */
#include "common/base/roles.h"
#include "common/config/config.h"
#include "supervisor/ctl/args.h"
#include "supervisor/ctl/doc/doc.h"
#include <string.h>

static const char head[] = "# Completion of tribectl for bash, written from its table of commands by the build.\n"
			   "_tribectl()\n"
			   "{\n"
			   "\tlocal cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} cmd= i\n"
			   "\tlocal options operand words=\n\n"
			   "\t# bash parts --option=value at the =\n"
			   "\tif [[ $cur == = ]]; then\n"
			   "\t\tcur=\n"
			   "\telif [[ $prev == = ]]; then\n"
			   "\t\tprev=${COMP_WORDS[COMP_CWORD-2]}\n"
			   "\tfi\n"
			   "\tfor ((i = 1; i < COMP_CWORD; i++)); do\n"
			   "\t\tcase ${COMP_WORDS[i]} in\n";

static const char middle[] = "\t\t\t[[ ${COMP_WORDS[i+1]} == = ]] && ((i++))\n"
			     "\t\t\t((i++))\n"
			     "\t\t\t;;\n"
			     "\t\t-* | =) ;;\n"
			     "\t\t*)\n"
			     "\t\t\tcmd=${COMP_WORDS[i]}\n"
			     "\t\t\tbreak\n"
			     "\t\t\t;;\n"
			     "\t\tesac\n"
			     "\tdone\n"
			     "\tCOMPREPLY=()\n";

static const char tail[] = "\tif [[ $cur == -* ]]; then\n"
			   "\t\twords=\"$options $globals\"\n"
			   "\telif [[ $operand == @files ]]; then\n"
			   "\t\tcompopt -o filenames 2>/dev/null\n"
			   "\t\tmapfile -t COMPREPLY < <(compgen -f -- \"$cur\")\n"
			   "\t\treturn\n"
			   "\telse\n"
			   "\t\twords=$operand\n"
			   "\tfi\n"
			   "\tmapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$cur\")\n"
			   "}\n"
			   "complete -F _tribectl tribectl\n";

static void put_roles(struct buf *out, bool all)
{
	for (int i = 0; i < TR_NROLES; i++)
		(void)buf_printf(out, "%s%s", i == 0 ? "" : " ", tr_roles[i].name);
	if (all)
		(void)buf_puts(out, " all");
}

/* The words of this version. */
static void put_words(struct buf *out, const char *words)
{
	const char *lead = "";
	bool later = false;
	size_t n;

	for (const char *w = ctl_word(words, NULL, &n, &later); w != NULL && !later;
	     w = ctl_word(words, w, &n, &later)) {
		(void)buf_puts(out, lead);
		(void)buf_append(out, w, n);
		lead = " ";
	}
}

static void put_options(struct buf *out, const struct ctl_option *o)
{
	const char *lead = "";

	for (; o != NULL && o->name != NULL; o++) {
		if ((o->bits & CTL_LATER) != 0)
			continue;
		(void)buf_printf(out, "%s--%s", lead, o->name);
		lead = " ";
	}
}

/* "--tag | -t" of each that takes a value. */
static void put_patterns(struct buf *out, const struct ctl_option *o, const char **lead)
{
	for (; o != NULL && o->name != NULL; o++) {
		if (o->type == CTL_FLAG)
			continue;
		(void)buf_printf(out, "%s--%s", *lead, o->name);
		*lead = " | ";
		if (o->letter != 0)
			(void)buf_printf(out, " | -%c", o->letter);
	}
}

/* What stands behind each option; "*" for a flag that every command takes. */
static void put_values(struct buf *out, const char *command, const struct ctl_option *o)
{
	for (; o != NULL && o->name != NULL; o++) {
		bool dirs = o->value != NULL && strcmp(o->value, "DIR") == 0;
		bool files = o->value != NULL && strcmp(o->value, "FILE") == 0;

		if (o->type == CTL_FLAG || (o->bits & CTL_LATER) != 0)
			continue;
		(void)buf_printf(out, "\t%s:--%s", command, o->name);
		if (o->letter != 0)
			(void)buf_printf(out, " | %s:-%c", command, o->letter);
		(void)buf_puts(out, ")\n");
		if (dirs || files) {
			(void)buf_printf(out,
					 "\t\tcompopt -o filenames 2>/dev/null\n\t\tmapfile -t COMPREPLY < <(compgen "
					 "-%c -- \"$cur\")\n",
					 dirs ? 'd' : 'f');
		} else if (o->type == CTL_CHOICE || o->type == CTL_JR || o->type == CTL_JR_ALL) {
			(void)buf_puts(out, "\t\tmapfile -t COMPREPLY < <(compgen -W \"");
			if (o->type == CTL_CHOICE)
				put_words(out, o->value);
			else
				put_roles(out, o->type == CTL_JR_ALL);
			(void)buf_puts(out, "\" -- \"$cur\")\n");
		} else if (strcmp(o->name, "set") == 0) {
			struct cfg_setting s;

			(void)buf_puts(
				out, "\t\tcompopt -o nospace 2>/dev/null\n\t\tmapfile -t COMPREPLY < <(compgen -W \"");
			for (unsigned i = 0; cfg_setting_at(i, &s); i++)
				(void)buf_printf(out, "%s%s=", i == 0 ? "" : " ", s.key);
			(void)buf_puts(out, "\" -- \"$cur\")\n");
		}
		(void)buf_puts(out, "\t\treturn\n\t\t;;\n");
	}
}

static void put_command(struct buf *out, const struct ctl_command *c)
{
	(void)buf_printf(out, "\t%s)\n\t\toptions=\"", c->name);
	put_options(out, c->options);
	(void)buf_puts(out, "\"\n\t\toperand=\"");
	switch (c->operands) {
	case CTL_ROLE:
		put_roles(out, false);
		break;
	case CTL_PATHS:
	case CTL_SOME_PATHS:
	case CTL_MAYBE_PATH:
		(void)buf_puts(out, "@files");
		break;
	case CTL_WORD:
		put_words(out, c->operand);
		break;
	case CTL_NO_OPERANDS:
	case CTL_TEXT:
	case CTL_ID:
	case CTL_MAYBE_ID:
		break;
	}
	(void)buf_puts(out, "\"\n\t\t;;\n");
}

void doc_completion(struct buf *out)
{
	const char *lead = "\t\t";

	(void)buf_puts(out, head);
	put_patterns(out, ctl_globals, &lead);
	(void)buf_puts(out, ")\n");
	(void)buf_puts(out, middle);
	(void)buf_puts(out, "\tcase $cmd:$prev in\n");
	for (const struct ctl_command *c = ctl_commands; c->name != NULL; c++) {
		if (c->later == NULL)
			put_values(out, c->name, c->options);
	}
	put_values(out, "*", ctl_globals);
	(void)buf_puts(out, "\tesac\n\tlocal globals=\"");
	put_options(out, ctl_globals);
	(void)buf_puts(out, "\"\n\tcase $cmd in\n");
	for (const struct ctl_command *c = ctl_commands; c->name != NULL; c++) {
		if (c->later == NULL)
			put_command(out, c);
	}
	(void)buf_puts(out, "\t'')\n\t\toptions=\n\t\toperand=\"");
	lead = "";
	for (const struct ctl_command *c = ctl_commands; c->name != NULL; c++) {
		if (c->later == NULL)
			(void)buf_printf(out, "%s%s", lead, c->name);
		lead = c->later == NULL ? " " : lead;
	}
	(void)buf_puts(out, "\"\n\t\t;;\n\tesac\n");
	(void)buf_puts(out, tail);
}
