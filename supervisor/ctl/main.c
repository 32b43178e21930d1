#include "common/base/version.h"
#include "supervisor/ctl/ctl.h"
#include "supervisor/ctl/help.h"
#include <jansson.h>
#include <msgpack.h>
#include <signal.h>
#include <stdio.h>

static enum ctl_exit inform(const struct ctl_args *args)
{
	struct buf out = {.max = 0};
	enum ctl_exit e = CTL_DONE;

	if (ctl_flag(args, "version")) {
		tr_version_print("tribectl", NULL, 0);
	} else if (args->command != NULL) {
		ctl_help_command(&out, ctl_globals, args->command);
	} else {
		ctl_help_all(&out, ctl_globals, ctl_commands);
	}
	if (out.failed != 0 || fwrite(out.len > 0 ? out.p : "", 1, out.len, stdout) != out.len || fflush(stdout) != 0)
		e = CTL_INTERNAL;
	buf_free(&out);
	return e;
}

int main(int argc, char **argv)
{
	struct ctl_error err;
	struct ctl_args args;
	struct ctl *c = NULL;
	enum ctl_exit e;

	(void)signal(SIGPIPE, SIG_IGN); /* a reader that leaves is an error of write, not a death */
	if (ctl_parse(&args, ctl_globals, ctl_commands, argc, argv, &err) < 0) {
		(void)fprintf(stderr, "tribectl: %s\n", err.text);
		return CTL_USAGE;
	}
	if (ctl_flag(&args, "help") || ctl_flag(&args, "version"))
		e = inform(&args);
	else if ((e = ctl_open(&c, &args)) == CTL_DONE && !ctl_flag(&args, "check"))
		e = ctl_run(c);
	ctl_close(&c);
	ctl_args_free(&args);
	return (int)e;
}
