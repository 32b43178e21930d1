#include "supervisor/ctl/help.h"
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define WORD_MAX 31
#define NEAR_MAX 3

static size_t min3(size_t a, size_t b, size_t c)
{
	size_t m = a < b ? a : b;

	return m < c ? m : c;
}

unsigned ctl_distance(const char *a, const char *b)
{
	size_t d[WORD_MAX + 1][WORD_MAX + 1];
	size_t na = strnlen(a, WORD_MAX), nb = strnlen(b, WORD_MAX);

	for (size_t i = 0; i <= na; i++) {
		for (size_t j = 0; j <= nb; j++) {
			if (i == 0 || j == 0) {
				d[i][j] = i + j;
				continue;
			}
			d[i][j] = min3(d[i - 1][j] + 1, d[i][j - 1] + 1, d[i - 1][j - 1] + (a[i - 1] != b[j - 1]));
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
			    d[i - 2][j - 2] + 1 < d[i][j])
				d[i][j] = d[i - 2][j - 2] + 1;
		}
	}
	return (unsigned)d[na][nb];
}

struct near {
	const char *word, *prefix;
	const char *found[NEAR_MAX];
	unsigned distance[NEAR_MAX], n;
};

/* Keeps the nearest few, nearest first. Near: a third of the letters wrong at most, or the beginning of the name. */
static void consider(struct near *s, const char *name)
{
	size_t len = strlen(s->word);
	unsigned dist = ctl_distance(s->word, name), allowed = len <= 3 ? 1 : len <= 6 ? 2 : 3, at;

	if (len >= 2 && strncmp(name, s->word, len) == 0)
		dist = 0;
	if (dist > allowed)
		return;
	for (at = s->n; at > 0 && s->distance[at - 1] > dist; at--)
		;
	if (at >= NEAR_MAX)
		return;
	if (s->n < NEAR_MAX)
		s->n++;
	for (unsigned i = s->n - 1; i > at; i--) {
		s->found[i] = s->found[i - 1];
		s->distance[i] = s->distance[i - 1];
	}
	s->found[at] = name;
	s->distance[at] = dist;
}

static void say_near(const struct near *s, char *out, size_t size, const char *otherwise)
{
	size_t used = 0;

	if (s->n == 0) {
		(void)snprintf(out, size, "; see %s", otherwise);
		return;
	}
	for (unsigned i = 0; i < s->n && used < size; i++) {
		const char *lead = i == 0 ? "; did you mean " : i + 1 == s->n ? " or " : ", ";
		int n = snprintf(out + used, size - used, "%s%s%s", lead, s->prefix, s->found[i]);

		used += n > 0 ? (size_t)n : 0;
	}
	if (used + 1 < size)
		memcpy(out + used, "?", 2);
}

void ctl_near_command(char *out, size_t size, const struct ctl_command *commands, const char *word)
{
	struct near s = {.word = word, .prefix = ""};

	for (const struct ctl_command *c = commands; c->name != NULL; c++)
		consider(&s, c->name);
	say_near(&s, out, size, "tribectl --help");
}

void ctl_near_option(char *out, size_t size, const struct ctl_option *globals, const struct ctl_command *c,
		     const char *word)
{
	char name[WORD_MAX + 1], see[64];
	struct near s = {.word = name, .prefix = "--"};

	word += strspn(word, "-");
	(void)snprintf(name, sizeof(name), "%.*s", (int)strcspn(word, "="), word);
	for (const struct ctl_option *o = c == NULL ? NULL : c->options; o != NULL && o->name != NULL; o++)
		consider(&s, o->name);
	for (const struct ctl_option *o = globals; o->name != NULL; o++)
		consider(&s, o->name);
	(void)snprintf(see, sizeof(see), "tribectl %s%s--help", c == NULL ? "" : c->name, c == NULL ? "" : " ");
	say_near(&s, out, size, see);
}

const char *const ctl_exit_text[CTL_NEXITS] = {
	[CTL_DONE] = "done",
	[CTL_FAILED] = "what was asked for failed, or a Jr that it needs is away or late",
	[CTL_USAGE] = "usage or configuration",
	[CTL_UNREACHABLE] = "cannot reach the tribe",
	[CTL_REFUSED] = "refused",
	[CTL_INTERNAL] = "internal error, or not in this version yet",
};

int ctl_shown(const char *words)
{
	const char *end = words == NULL ? NULL : strstr(words, "||");

	return words == NULL ? 0 : end == NULL ? (int)strlen(words) : (int)(end - words);
}

const char *ctl_shown_later(const char *words)
{
	const char *end = words == NULL ? NULL : strstr(words, "||");

	return end == NULL ? NULL : end + 2;
}

/* Those of this version, or those of a later one. */
static void help_options(struct buf *out, const struct ctl_option *o, bool later)
{
	for (; o != NULL && o->name != NULL; o++) {
		char left[192], letter[8] = "    ";

		if (((o->bits & CTL_LATER) != 0) != later)
			continue;
		if (o->letter != 0)
			(void)snprintf(letter, sizeof(letter), "-%c, ", o->letter);
		(void)snprintf(left, sizeof(left), "%s--%s%s%.*s", letter, o->name, o->value == NULL ? "" : " ",
			       ctl_shown(o->value), o->value == NULL ? "" : o->value);
		(void)buf_printf(out, "  %-28s  %s%s\n", left, o->help,
				 (o->bits & CTL_NEEDED) != 0 ? " (needed)"
				 : (o->bits & CTL_MANY) != 0 ? " (may be repeated)"
							     : "");
	}
}

/* What the command will take in a later version. */
static void help_later(struct buf *out, const struct ctl_command *c)
{
	bool any = false;

	if (ctl_shown_later(c->operand) != NULL)
		(void)buf_printf(out, "\nNot in this version yet: %s\n", ctl_shown_later(c->operand));
	for (const struct ctl_option *o = c->options; o != NULL && o->name != NULL; o++) {
		if (ctl_shown_later(o->value) != NULL)
			(void)buf_printf(out, "\nNot in this version yet: --%s %s\n", o->name,
					 ctl_shown_later(o->value));
		any = any || (o->bits & CTL_LATER) != 0;
	}
	if (any) {
		(void)buf_puts(out, "\nNot in this version yet:\n");
		help_options(out, c->options, true);
	}
}

static void help_commands(struct buf *out, const struct ctl_command *c, bool later)
{
	for (; c->name != NULL; c++) {
		char left[64];

		if ((c->later != NULL) != later)
			continue;
		(void)snprintf(left, sizeof(left), "%s%s%.*s", c->name, c->operand == NULL ? "" : " ",
			       ctl_shown(c->operand), c->operand == NULL ? "" : c->operand);
		(void)buf_printf(out, "  %-21s  %s\n", left, c->help);
	}
}

void ctl_help_all(struct buf *out, const struct ctl_option *globals, const struct ctl_command *commands)
{
	(void)buf_puts(out, "tribectl: look at a tribe, ask it, and give it orders.\n\n"
			    "Usage: tribectl [FLAGS] COMMAND [ARGUMENTS] [OPTIONS]\n\nCommands:\n");
	help_commands(out, commands, false);
	(void)buf_puts(out, "\nCommands that this version has not got yet:\n");
	help_commands(out, commands, true);
	(void)buf_puts(out, "\nFlags, before or behind the command:\n");
	help_options(out, globals, false);
	(void)buf_puts(out,
		       "\nOptions of a command: tribectl help COMMAND, or tribectl COMMAND --help\n\nExit status:\n");
	for (int i = 0; i < CTL_NEXITS; i++)
		(void)buf_printf(out, "  %d  %s\n", i, ctl_exit_text[i]);
}

void ctl_help_command(struct buf *out, const struct ctl_option *globals, const struct ctl_command *c)
{
	(void)buf_printf(out, "tribectl %s: %s\n\nUsage: tribectl %s%s%.*s", c->name, c->help, c->name,
			 c->operand == NULL ? "" : " ", ctl_shown(c->operand), c->operand == NULL ? "" : c->operand);
	for (const struct ctl_option *o = c->options; o != NULL && o->name != NULL; o++) {
		bool needed = (o->bits & CTL_NEEDED) != 0;

		if ((o->bits & CTL_LATER) != 0)
			continue;
		(void)buf_printf(out, " %s--%s%s%.*s%s%s", needed ? "" : "[", o->name, o->value == NULL ? "" : " ",
				 ctl_shown(o->value), o->value == NULL ? "" : o->value, needed ? "" : "]",
				 (o->bits & CTL_MANY) != 0 ? "..." : "");
	}
	(void)buf_puts(out, "\n");
	if (c->later != NULL)
		(void)buf_printf(out, "\nThis version has not got it yet; it comes with %s.\n", c->later);
	if (c->more != NULL)
		(void)buf_printf(out, "\n%s\n", c->more);
	if (c->options != NULL) {
		(void)buf_puts(out, "\nOptions:\n");
		help_options(out, c->options, false);
	}
	help_later(out, c);
	(void)buf_puts(out, "\nFlags:\n");
	help_options(out, globals, false);
}
