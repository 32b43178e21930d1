/* openapi-doc: the OpenAPI document of the tribe's API.
 *   openapi-doc           on standard output, indented
 *   openapi-doc --c FILE  as C arrays, plain and gzip, for jrs/executive/api to serve */
#include "common/base/text.h"
#include "jrs/executive/http/encoding.h"
#include "jrs/executive/openapi/document.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TAG_BYTES 12

static void put_array(FILE *f, const char *name, const struct buf *b)
{
	fprintf(f, "const unsigned char %s[] = {", name);
	for (size_t i = 0; i < b->len; i++)
		fprintf(f, "%s%u,", i % 32 == 0 ? "\n" : "", (unsigned char)b->p[i]);
	fprintf(f, "\n};\nconst size_t %s_n = sizeof(%s);\n", name, name);
}

static int write_c(const char *path, const struct buf *text)
{
	unsigned char digest[TR_SHA256_LEN];
	char tag[2 * TAG_BYTES + 1];
	struct http_gzip *z = NULL;
	struct buf packed = {0};
	FILE *f = NULL;
	int r = 5;

	if (http_gzip(&z, &packed, text->p, text->len) < 0 || tr_sha256(text->p, text->len, digest) < 0 ||
	    (f = fopen(path, "wb")) == NULL)
		goto out;
	tr_hex(digest, TAG_BYTES, tag);
	fputs("#include \"jrs/executive/openapi/openapi.h\"\n", f);
	put_array(f, "openapi_json", text);
	put_array(f, "openapi_gzip", &packed);
	fprintf(f, "const char openapi_tag[] = \"%s\";\n", tag);
	r = ferror(f) != 0 ? 5 : 0;
out:
	if (f != NULL && fclose(f) != 0)
		r = 5;
	if (r != 0)
		perror(path);
	http_gzip_free(&z);
	buf_free(&packed);
	return r;
}

int main(int argc, char **argv)
{
	json_t *doc;
	struct buf text = {0};
	int r = 5;

	if (argc != 1 && (argc != 3 || strcmp(argv[1], "--c") != 0)) {
		fputs("usage: openapi-doc [--c FILE]\n", stderr);
		return 2;
	}
	doc = document();
	if (argc == 1)
		r = json_dumpf(doc, stdout, JSON_INDENT(1)) == 0 && fflush(stdout) == 0 ? 0 : 5;
	else if (json_print(doc, &text) == 0)
		r = write_c(argv[2], &text);
	json_decref(doc);
	buf_free(&text);
	return r;
}
