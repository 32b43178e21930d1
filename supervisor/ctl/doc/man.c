/* man pages in the macros of man(7). */
#include "common/config/config.h"
#include "supervisor/ctl/args.h"
#include "supervisor/ctl/doc/doc.h"
#include "supervisor/ctl/help.h"
#include <stdio.h>
#include <string.h>
#include <tribe/version.h>

/* Text as it stands: no request at the start of a line, no escape, a hyphen that can be copied into a shell. */
static void text_n(struct buf *out, const char *p, size_t n)
{
	bool start = out->len == 0 || out->p[out->len - 1] == '\n';

	for (size_t i = 0; i < n; i++) {
		if (start && (p[i] == '.' || p[i] == '\''))
			(void)buf_puts(out, "\\&");
		start = p[i] == '\n';
		if (p[i] == '\\')
			(void)buf_puts(out, "\\e");
		else if (p[i] == '-')
			(void)buf_puts(out, "\\-");
		else
			(void)buf_append(out, &p[i], 1);
	}
}

static void text(struct buf *out, const char *p)
{
	text_n(out, p, strlen(p));
}

static void bold(struct buf *out, const char *p)
{
	(void)buf_puts(out, "\\fB");
	text(out, p);
	(void)buf_puts(out, "\\fR");
}

static void italic(struct buf *out, const char *p, int n)
{
	(void)buf_puts(out, "\\fI");
	text_n(out, p, (size_t)n);
	(void)buf_puts(out, "\\fR");
}

static void heading(struct buf *out, const char *name)
{
	(void)buf_printf(out, ".SH %s\n", name);
}

static void title(struct buf *out, const char *name, int section, const char *purpose)
{
	(void)buf_printf(out, ".TH %s %d \"\" \"tribe %s\" \"Tribe\"\n", name, section, TRIBE_VERSION);
	heading(out, "NAME");
	text(out, purpose);
	(void)buf_puts(out, "\n");
}

/* Alternating terms and their meanings; NULL ends. */
static void terms(struct buf *out, const char *const *v)
{
	for (; *v != NULL; v += 2) {
		(void)buf_puts(out, ".TP\n");
		bold(out, v[0]);
		(void)buf_puts(out, "\n");
		text(out, v[1]);
		(void)buf_puts(out, "\n");
	}
}

static void option_name(struct buf *out, const struct ctl_option *o)
{
	char letter[3] = {'-', o->letter, '\0'}, name[64];

	if (o->letter != 0) {
		bold(out, letter);
		(void)buf_puts(out, ", ");
	}
	(void)snprintf(name, sizeof(name), "--%s", o->name);
	bold(out, name);
	if (o->value != NULL) {
		(void)buf_puts(out, " ");
		italic(out, o->value, ctl_shown(o->value));
	}
}

static void options(struct buf *out, const struct ctl_option *o)
{
	for (; o != NULL && o->name != NULL; o++) {
		if ((o->bits & CTL_LATER) != 0)
			continue;
		(void)buf_puts(out, ".TP\n");
		option_name(out, o);
		(void)buf_puts(out, "\n");
		text(out, o->help);
		(void)buf_puts(out, (o->bits & CTL_NEEDED) != 0 ? " (needed)\n"
				    : (o->bits & CTL_MANY) != 0 ? " (may be repeated)\n"
								: "\n");
	}
}

static void later_of(struct buf *out, const struct ctl_command *c)
{
	if (ctl_shown_later(c->operand) != NULL) {
		(void)buf_puts(out, ".TP\n");
		bold(out, c->name);
		(void)buf_puts(out, " ");
		italic(out, ctl_shown_later(c->operand), (int)strlen(ctl_shown_later(c->operand)));
		(void)buf_puts(out, "\nis of a later version.\n");
	}
	for (const struct ctl_option *o = c->options; o != NULL && o->name != NULL; o++) {
		const char *words = ctl_shown_later(o->value);

		if ((o->bits & CTL_LATER) == 0 && words == NULL)
			continue;
		(void)buf_puts(out, ".TP\n");
		bold(out, c->name);
		(void)buf_puts(out, " ");
		if (words == NULL) {
			option_name(out, o);
			(void)buf_puts(out, "\n");
			text(out, o->help);
			(void)buf_puts(out, "\n");
		} else {
			(void)buf_puts(out, "\\fB\\-\\-");
			text(out, o->name);
			(void)buf_puts(out, "\\fR ");
			italic(out, words, (int)strlen(words));
			(void)buf_puts(out, "\nare of a later version.\n");
		}
	}
}

static void commands(struct buf *out)
{
	heading(out, "COMMANDS");
	for (const struct ctl_command *c = ctl_commands; c->name != NULL; c++) {
		if (c->later != NULL)
			continue;
		(void)buf_puts(out, ".SS ");
		bold(out, c->name);
		if (c->operand != NULL) {
			(void)buf_puts(out, " ");
			italic(out, c->operand, ctl_shown(c->operand));
		}
		(void)buf_puts(out, "\n");
		text(out, c->help);
		(void)buf_puts(out, ".\n");
		if (c->more != NULL) {
			(void)buf_puts(out, ".PP\n");
			text(out, c->more);
			(void)buf_puts(out, "\n");
		}
		options(out, c->options);
	}
	heading(out, "NOT IN THIS VERSION YET");
	text(out, "These are known, say so and leave with 5.\n");
	for (const struct ctl_command *c = ctl_commands; c->name != NULL; c++) {
		if (c->later == NULL) {
			later_of(out, c);
			continue;
		}
		(void)buf_puts(out, ".TP\n");
		bold(out, c->name);
		(void)buf_puts(out, " ");
		if (c->operand != NULL)
			italic(out, c->operand, ctl_shown(c->operand));
		(void)buf_puts(out, "\n");
		text(out, c->help);
		(void)buf_puts(out, "; comes with ");
		text(out, c->later);
		(void)buf_puts(out, ".\n");
	}
}

static const char *const places[] = {
	"/var/lib/tribe",
	"the data (the state directory)",
	"/run/tribe",
	"the sockets (the runtime directory)",
	"/etc/tribe/tribe.yaml",
	"the configuration",
	NULL,
};
static const char *const variables[] = {
	"STATE_DIRECTORY, RUNTIME_DIRECTORY",
	"the directories, as systemd sets them for the service",
	NULL,
};

void doc_man_tribectl(struct buf *out)
{
	static const char *const examples[] = {
		"tribectl --dev ~/tribe remember \"The kettle is blue.\" --tag kitchen",
		"remember something",
		"tribectl --dev ~/tribe ask \"Which colour has the kettle?\"",
		"and ask for it",
		"tribectl export memories.jsonl",
		"take every memory out, for tribectl import elsewhere",
		"tribectl --dev ~/tribe drill --jr all --kills 5",
		"prove the recovery",
		NULL,
	};
	char number[4];

	title(out, "TRIBECTL", 1, "tribectl - look at a tribe, ask it, and give it orders");
	heading(out, "SYNOPSIS");
	(void)buf_puts(out, "\\fBtribectl\\fR [\\fIFLAGS\\fR] \\fICOMMAND\\fR [\\fIARGUMENTS\\fR] [\\fIOPTIONS\\fR]\n");
	heading(out, "DESCRIPTION");
	text(out, "tribectl speaks to the supervisor of a tribe, tribed(8), and to its Jrs over their Unix sockets.\n"
		  "Results go to standard output, messages to standard error; with --json the result is one line of "
		  "JSON.\n");
	heading(out, "FLAGS");
	text(out, "Before or behind the command:\n");
	options(out, ctl_globals);
	commands(out);
	heading(out, "EXIT STATUS");
	for (int i = 0; i < CTL_NEXITS; i++) {
		(void)buf_puts(out, ".TP\n");
		(void)snprintf(number, sizeof(number), "%d", i);
		bold(out, number);
		(void)buf_puts(out, "\n");
		text(out, ctl_exit_text[i]);
		(void)buf_puts(out, "\n");
	}
	heading(out, "FILES");
	terms(out, places);
	heading(out, "ENVIRONMENT");
	terms(out, variables);
	terms(out, (const char *const[]){"NO_COLOR", "when set and not empty: no colours", NULL});
	heading(out, "EXAMPLES");
	terms(out, examples);
	heading(out, "SEE ALSO");
	(void)buf_puts(out, "\\fBtribed\\fR(8)\n");
}

static void settings(struct buf *out)
{
	struct cfg_setting s;

	heading(out, "SETTINGS");
	text(out, "In the configuration file (YAML, nested or with dots), or by --set:\n");
	for (unsigned i = 0; cfg_setting_at(i, &s); i++) {
		(void)buf_puts(out, ".TP\n");
		bold(out, s.key);
		(void)buf_puts(out, "\n");
		text(out, s.doc);
		(void)buf_puts(out, " (default: ");
		text(out, s.def[0] == '\0' ? "empty" : s.def);
		if (strcmp(s.type, "u32") == 0)
			(void)buf_printf(out, "; %.0f to %.0f", s.min, s.max);
		(void)buf_puts(out, ")\n");
	}
}

void doc_man_tribed(struct buf *out)
{
	static const char *const flags[] = {
		"--dev DIR",
		"keep everything below DIR (DIR/state, DIR/run, DIR/tribe.yaml), for a user without root",
		"--state DIR",
		"the data; default $STATE_DIRECTORY, else /var/lib/tribe",
		"--runtime DIR",
		"the sockets; default $RUNTIME_DIRECTORY, else /run/tribe",
		"--config FILE",
		"the configuration; default DIR/tribe.yaml with --dev, else /etc/tribe/tribe.yaml, if it is there",
		"--set KEY=VALUE",
		"override a setting (may be repeated)",
		"--detach",
		"go into the background; returns once every Jr is up",
		"-n, --check",
		"check the configuration and leave: 0 good, 2 not",
		"-V, --version",
		"print version, build id and libraries",
		"-h, --help",
		"print help",
		NULL,
	};
	static const char *const signals[] = {
		"SIGTERM, SIGINT",
		"stop every Jr in order, then leave",
		"SIGHUP",
		"read the configuration again, as tribectl reload does",
		NULL,
	};
	static const char *const statuses[] = {
		"0", "stopped as asked",       "1",  "it could not start, or could not go on",
		"2", "usage or configuration", NULL,
	};

	title(out, "TRIBED", 8, "tribed - keep the four Jrs of a tribe alive");
	heading(out, "SYNOPSIS");
	(void)buf_puts(out, "\\fBtribed\\fR [\\fB\\-\\-dev\\fR \\fIDIR\\fR] [\\fIOPTIONS\\fR]\n");
	heading(out, "DESCRIPTION");
	text(out, "tribed makes every listening socket of the tribe and holds it for life, starts memory-jr, "
		  "integration-jr,\n"
		  "meta-jr and executive-jr, hears their heartbeats, starts again what died, and kills what hangs. It "
		  "opens\n"
		  "no database and parses nothing from outside but its control socket, which tribectl(1) speaks to.\n");
	heading(out, "OPTIONS");
	terms(out, flags);
	settings(out);
	heading(out, "SIGNALS");
	terms(out, signals);
	heading(out, "EXIT STATUS");
	terms(out, statuses);
	heading(out, "FILES");
	terms(out, places);
	heading(out, "ENVIRONMENT");
	terms(out, variables);
	heading(out, "SEE ALSO");
	(void)buf_puts(out, "\\fBtribectl\\fR(1)\n");
}
