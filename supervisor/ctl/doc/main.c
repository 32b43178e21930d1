/* ctl-doc WHAT FILE: writes a document from the tables; "-": to standard output. Part of the build, not installed. */
#include "supervisor/ctl/doc/doc.h"
#include <stdio.h>
#include <string.h>

static const struct {
	const char *name;
	void (*write)(struct buf *out);
} documents[] = {
	{"tribectl-man", doc_man_tribectl},
	{"tribed-man", doc_man_tribed},
	{"completion", doc_completion},
};

int main(int argc, char **argv)
{
	struct buf out = {.max = 0};
	FILE *f = NULL;
	int r = 1;

	for (size_t i = 0; argc == 3 && i < sizeof(documents) / sizeof(documents[0]); i++) {
		if (strcmp(argv[1], documents[i].name) == 0)
			documents[i].write(&out);
	}
	if (out.len == 0 || out.failed != 0) {
		(void)fputs("usage: ctl-doc tribectl-man|tribed-man|completion FILE\n", stderr);
		goto out;
	}
	f = strcmp(argv[2], "-") == 0 ? stdout : fopen(argv[2], "we");
	if (f == NULL || fwrite(out.p, 1, out.len, f) != out.len || fflush(f) != 0)
		perror(argv[2]);
	else
		r = 0;
out:
	if (f != NULL && f != stdout)
		(void)fclose(f);
	buf_free(&out);
	return r;
}
