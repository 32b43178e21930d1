/* The command line of tribectl, driven by a table: one parser for every command, the checks of every option in its row.
 * --help, hints, the man page and the completion (doc/) come from the same table. Pure: no I/O. */
#ifndef SUPERVISOR_CTL_ARGS_H
#define SUPERVISOR_CTL_ARGS_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum ctl_exit { CTL_DONE, CTL_FAILED, CTL_USAGE, CTL_UNREACHABLE, CTL_REFUSED, CTL_INTERNAL }; /* contract.md */

enum ctl_type {
	CTL_FLAG,
	CTL_STR,    /* min..max bytes */
	CTL_U32,    /* min..max */
	CTL_F64,    /* min..max, finite */
	CTL_TIME,   /* RFC 3339 */
	CTL_CHOICE, /* one of the words in `value`: "kill|hang"; words behind "||" are known, but of a later version */
	CTL_JR,     /* any spelling of a Jr's name */
	CTL_JR_ALL  /* the same, or "all" */
};
struct ctl_option {
	const char *name; /* without dashes; NULL ends a list */
	char letter;      /* short form; 0: none */
	enum ctl_type type;
	const char *value; /* what stands for the value in help; NULL for a flag */
	double min, max;   /* both 0: no bounds */
	unsigned bits;     /* CTL_MANY, CTL_NEEDED, CTL_LATER */
	const char *help;
};
#define CTL_MANY   1u /* may be given several times; all count. Without it a second one is refused */
#define CTL_NEEDED 2u
#define CTL_LATER  4u /* taken and checked, but what it asks for is of a later version */

enum ctl_operands {
	CTL_NO_OPERANDS,
	CTL_TEXT,       /* one or more words, taken as one text; "-" alone: from standard input */
	CTL_ROLE,       /* exactly one Jr */
	CTL_PATHS,      /* one or more */
	CTL_SOME_PATHS, /* none or more; the command itself says when it wants one */
	CTL_MAYBE_PATH, /* none or one; "-": standard output */
	CTL_ID,         /* exactly one id */
	CTL_MAYBE_ID,   /* none or one */
	CTL_WORD        /* exactly one of the words in `operand`, written as those of CTL_CHOICE */
};
struct ctl;
struct ctl_args;
struct ctl_command {
	const char *name; /* NULL ends the table */
	enum ctl_operands operands;
	const char *operand;                                                /* how help calls it */
	const struct ctl_option *options;                                   /* NULL: none */
	enum ctl_exit (*run)(struct ctl *ctl, const struct ctl_args *args); /* NULL with `later` */
	const char *help;                                                   /* one line */
	const char *more;  /* further lines for its own help; may be NULL */
	const char *later; /* what brings it, when this version has not got it; else NULL. Its words are not checked */
};

struct ctl_value {
	const struct ctl_option *option;
	const char *text; /* as given; borrowed from argv */
	union {
		uint32_t u32;
		double f64;
		int64_t time_ms;
		int role; /* enum tr_role, or -1 for "all" */
	} as;
};
struct ctl_args {
	const struct ctl_command *command; /* NULL: none was named */
	struct ctl_value *given;           /* owned, in the order given */
	unsigned ngiven;
	const char **operands; /* owned; the texts are argv's */
	unsigned noperands;
	int role;          /* of CTL_ROLE */
	const char *later; /* what was asked for and is of a later version ("vote", "storm"); NULL: nothing */
};
struct ctl_error {
	char text[512]; /* ready to print behind "tribectl: " */
};

extern const struct ctl_option ctl_globals[]; /* flags that every command takes: commands.c */
extern const struct ctl_command ctl_commands[];

/* argv must outlive *out. TR_EINVAL with *err filled, or TR_ENOMEM; *out is then empty. With --help, --version or
 * --check given, a missing command, operand or option is no error. */
int ctl_parse(struct ctl_args *out, const struct ctl_option *globals, const struct ctl_command *commands, int argc,
	      char **argv, struct ctl_error *err);
void ctl_args_free(struct ctl_args *a);

/* Walks the words of a CTL_CHOICE or CTL_WORD: last is NULL first, then the word before. NULL at the end. *n: length of
 * the word; *later (set false before the first call): it stands behind "||". */
const char *ctl_word(const char *words, const char *last, size_t *n, bool *later);

/* What was given last for an option; NULL or false when it was not. */
const struct ctl_value *ctl_given(const struct ctl_args *a, const char *name);
bool ctl_flag(const struct ctl_args *a, const char *name);
const char *ctl_str(const struct ctl_args *a, const char *name);
bool ctl_u32(const struct ctl_args *a, const char *name, uint32_t *out);
bool ctl_f64(const struct ctl_args *a, const char *name, double *out);
bool ctl_time(const struct ctl_args *a, const char *name, int64_t *out);
/* The i-th value of a CTL_MANY option, NULL past the end. */
const char *ctl_nth(const struct ctl_args *a, const char *name, unsigned i);

#endif
