#include "common/base/clock.h"
#include "proto/json/json.h"
#include "supervisor/ctl/clean.h"
#include "supervisor/ctl/commands.h"
#include "supervisor/ctl/files.h"
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PIECE_BYTES   (1u << 20)
#define PIECE_LINES   4096
#define CALL_MS       60000 /* a large document takes its time */
#define REASONS_KEPT  100
#define REASONS_SHOWN 10
#define PROGRESS_MS   100

struct reason {
	char *name, *text; /* owned */
	uint64_t line;
};
struct import {
	struct ctl *c;
	const char *source; /* NULL: none */
	struct file_list files;
	size_t done; /* files */
	uint64_t added, known, skipped, bytes, started_ms, shown_ms;
	struct reason reasons[REASONS_KEPT];
	unsigned nreasons;
	const char *name; /* of the file in hand */
	struct buf data;
};

static void keep_reason(struct import *im, uint64_t line, const char *text, size_t n)
{
	struct reason *r = &im->reasons[im->nreasons];

	if (im->nreasons == REASONS_KEPT)
		return;
	r->name = strdup(im->name);
	r->text = strndup(text, n);
	r->line = line;
	im->nreasons++;
}

static void on_imported(void *arg, const void *res)
{
	const struct res_integration_import *r = res;
	struct import *im = arg;

	im->added += r->added;
	im->known += r->known;
	im->skipped += r->skipped;
	for (uint32_t i = 0; i < r->reasons.n; i++)
		keep_reason(im, r->reasons.v[i].line, r->reasons.v[i].reason.p, r->reasons.v[i].reason.n);
}

static void show_progress(struct import *im, bool end)
{
	uint64_t now = tr_mono_ms();
	struct buf b = {.max = 0};
	char added[SHOW_SHORT], bytes[SHOW_SHORT];

	if (!im->c->progress || (!end && now - im->shown_ms < PROGRESS_MS))
		return;
	im->shown_ms = now;
	show_count(added, im->added);
	show_bytes(bytes, im->bytes);
	(void)buf_puts(&b, "\r\x1b[K");
	if (!end) {
		(void)buf_printf(&b, "%zu/%zu files  %s  %s added  %" PRIu64 " known  ", im->done, im->files.n, bytes,
				 added, im->known);
		clean_text(&b, im->name, strlen(im->name), " ", 30);
	}
	if (b.failed == 0)
		(void)fwrite(b.p, 1, b.len, stderr);
	buf_free(&b);
}

/* One piece. What integration-jr finds wrong with a document is a skipped file; anything else ends the import. */
static enum ctl_exit send_piece(struct import *im, const char *format, const char *p, size_t n, uint64_t first_line)
{
	struct msg_integration_import msg = {
		.name = wire_s(im->name),
		.format = wire_s(format),
		.data = {p, (uint32_t)n},
		.has_first_line = true,
		.first_line = first_line,
		.has_source = im->source != NULL,
		.source = wire_s(im->source),
	};
	struct tr_fault fault;
	int r = ctl_call(im->c, MSG_integration_import, &msg, on_imported, im, &fault);

	im->bytes += n;
	if (r == 0)
		return CTL_DONE;
	if (r != TR_EINVAL && r != TR_EMALFORMED && r != TR_ETOOBIG && r != TR_EUNSUPPORTED) {
		show_progress(im, true);
		return ctl_complain(im->c, r, &fault);
	}
	im->files.skipped[FILES_SKIP_REFUSED]++;
	keep_reason(im, first_line, fault.rule, strlen(fault.rule));
	return CTL_DONE;
}

/* Appends up to `want` bytes; false at the end of the file or on an error (*err). */
static bool read_some(int fd, struct buf *b, size_t want, int *err)
{
	ssize_t n;

	if (buf_reserve(b, want) < 0) {
		*err = TR_ENOMEM;
		return false;
	}
	do
		n = read(fd, b->p + b->len, want);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		*err = -errno;
	else
		b->len += (size_t)n;
	b->p[b->len] = '\0';
	return n > 0;
}

/* Drops the rest of a line that is longer than a piece. */
static bool drop_line(int fd, struct buf *b, int *err)
{
	const char *nl;

	while ((nl = b->len == 0 ? NULL : memchr(b->p, '\n', b->len)) == NULL) {
		buf_clear(b);
		if (!read_some(fd, b, PIECE_BYTES, err))
			return false;
	}
	buf_consume(b, (size_t)(nl - b->p) + 1);
	return true;
}

static enum ctl_exit send_lines(struct import *im, int fd, int *err)
{
	struct buf *b = &im->data;
	uint64_t line = 1, lines = 0;
	enum ctl_exit e = CTL_DONE;
	bool more = true;

	buf_clear(b);
	while (e == CTL_DONE && *err == 0) {
		size_t n;

		while (more && b->len < PIECE_BYTES)
			more = read_some(fd, b, PIECE_BYTES - b->len, err);
		if (b->len == 0 || *err != 0)
			break;
		n = files_cut(b->p, b->len, !more, PIECE_BYTES, PIECE_LINES, &lines);
		if (n == 0) {
			static const char why[] = "a line over 1 MiB";

			im->skipped++;
			keep_reason(im, line++, why, sizeof(why) - 1);
			more = drop_line(fd, b, err) && more;
			continue;
		}
		e = send_piece(im, "jsonl", b->p, n, line);
		buf_consume(b, n);
		line += lines;
		show_progress(im, false);
	}
	return e;
}

static enum ctl_exit send_document(struct import *im, const char *format, int fd, int *err)
{
	struct buf *b = &im->data;

	buf_clear(b);
	while (b->len <= FILES_BYTES_MAX && read_some(fd, b, PIECE_BYTES, err))
		;
	if (*err != 0)
		return CTL_DONE;
	if (b->len > FILES_BYTES_MAX) { /* it has grown, or it is standard input */
		im->files.skipped[FILES_SKIP_LARGE]++;
		return CTL_DONE;
	}
	return b->len == 0 ? CTL_DONE : send_piece(im, format, b->p, b->len, 1);
}

static enum ctl_exit send_fd(struct import *im, const char *name, const char *format, int fd)
{
	enum ctl_exit e;
	int err = 0;

	im->name = name;
	show_progress(im, false);
	e = strcmp(format, "jsonl") == 0 ? send_lines(im, fd, &err) : send_document(im, format, fd, &err);
	if (err != 0) {
		im->files.skipped[FILES_SKIP_UNREAD]++;
		keep_reason(im, 0, tr_strerror(err), strlen(tr_strerror(err)));
	}
	im->done++;
	return e;
}

static enum ctl_exit send_file(struct import *im, const struct file_entry *f)
{
	struct stat st;
	enum ctl_exit e;
	int fd = open(f->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

	im->name = f->name;
	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
		const char *why = fd < 0 ? tr_strerror(-errno) : "it is no longer a file";

		im->files.skipped[FILES_SKIP_UNREAD]++;
		keep_reason(im, 0, why, strlen(why));
		e = CTL_DONE;
	} else {
		e = send_fd(im, f->name, f->format, fd);
	}
	if (fd >= 0)
		(void)close(fd);
	return e;
}

/* Everything that was named must be there before the first piece goes out. */
static enum ctl_exit gather(struct import *im, const struct ctl_args *a, bool *from_stdin)
{
	const char *format = ctl_str(a, "format");
	int r;

	for (unsigned i = 0; i < a->noperands; i++) {
		const char *path = a->operands[i];

		if (strcmp(path, "-") == 0) {
			if (format == NULL) {
				ctl_say(im->c, "- (standard input) wants --format");
				return CTL_USAGE;
			}
			*from_stdin = true;
		} else if ((r = files_add(&im->files, path, format)) < 0) {
			ctl_say(im->c, "%s: %s", path, tr_strerror(r));
			return CTL_FAILED;
		}
	}
	return CTL_DONE;
}

static uint64_t files_skipped(const struct import *im)
{
	uint64_t n = 0;

	for (int i = 0; i < FILES_NSKIPS; i++)
		n += im->files.skipped[i];
	return n;
}

static int report_json(const struct import *im, struct buf *out)
{
	json_t *doc, *reasons = json_array(), *skips = json_array();
	int r;

	for (unsigned i = 0; i < im->nreasons; i++)
		(void)json_array_append_new(reasons,
					    json_pack("{s:s*, s:I, s:s*}", "name", im->reasons[i].name, "line",
						      (json_int_t)im->reasons[i].line, "reason", im->reasons[i].text));
	for (int i = 0; i < FILES_NSKIPS; i++) {
		if (im->files.skipped[i] > 0)
			(void)json_array_append_new(skips, json_pack("{s:s, s:I}", "reason", files_skip_text[i],
								     "count", (json_int_t)im->files.skipped[i]));
	}
	doc = json_pack("{s:I, s:I, s:I, s:o, s:I, s:I, s:o, s:I, s:f}", "added", (json_int_t)im->added, "known",
			(json_int_t)im->known, "skipped", (json_int_t)im->skipped, "reasons", reasons, "files",
			(json_int_t)im->done, "files_skipped", (json_int_t)files_skipped(im), "files_skipped_reasons",
			skips, "bytes", (json_int_t)im->bytes, "seconds",
			(double)(tr_mono_ms() - im->started_ms) / 1e3);
	r = doc == NULL ? TR_ENOMEM : json_print(doc, out);
	json_decref(doc);
	return r < 0 ? r : buf_puts(out, "\n");
}

static void report_text(const struct import *im, struct buf *out)
{
	char added[SHOW_SHORT], known[SHOW_SHORT], skipped[SHOW_SHORT];

	show_count(added, im->added);
	show_count(known, im->known);
	show_count(skipped, im->skipped);
	(void)buf_printf(out, "%s remembered, %s known already, %s skipped, from %zu file%s in %.1f s\n", added, known,
			 skipped, im->done, im->done == 1 ? "" : "s", (double)(tr_mono_ms() - im->started_ms) / 1e3);
	for (int i = 0; i < FILES_NSKIPS; i++) {
		if (im->files.skipped[i] > 0)
			(void)buf_printf(out, "left out %" PRIu64 ": %s\n", im->files.skipped[i], files_skip_text[i]);
	}
	for (unsigned i = 0; i < im->nreasons && i < REASONS_SHOWN; i++) {
		const struct reason *w = &im->reasons[i];

		(void)buf_puts(out, "  ");
		clean_text(out, w->name == NULL ? "" : w->name, w->name == NULL ? 0 : strlen(w->name), " ", 80);
		if (w->line > 0)
			(void)buf_printf(out, ":%" PRIu64, w->line);
		(void)buf_puts(out, ": ");
		clean_text(out, w->text == NULL ? "" : w->text, w->text == NULL ? 0 : strlen(w->text), " ", 160);
		(void)buf_puts(out, "\n");
	}
	if (im->nreasons > REASONS_SHOWN)
		(void)buf_puts(out, "  ... more with --json\n");
}

static enum ctl_exit report(struct import *im)
{
	struct buf out = {.max = 0};
	enum ctl_exit e;

	if (im->c->json) {
		if (report_json(im, &out) < 0)
			out.failed = TR_ENOMEM;
	} else {
		report_text(im, &out);
	}
	e = ctl_emit(im->c, &out);
	buf_free(&out);
	if (e == CTL_DONE && im->done == 0) {
		ctl_say(im->c, "there was nothing to import");
		e = CTL_FAILED;
	}
	return e;
}

enum ctl_exit cmd_import(struct ctl *c, const struct ctl_args *a)
{
	struct import *im = calloc(1, sizeof(*im));
	bool from_stdin = false;
	enum ctl_exit e;

	if (im == NULL)
		return CTL_INTERNAL;
	im->c = c;
	im->source = ctl_str(a, "source");
	im->started_ms = tr_mono_ms();
	if (!c->timeout_given && c->timeout_ms < CALL_MS)
		c->timeout_ms = CALL_MS;
	e = gather(im, a, &from_stdin);
	for (size_t i = 0; e == CTL_DONE && i < im->files.n; i++)
		e = send_file(im, &im->files.v[i]);
	if (e == CTL_DONE && from_stdin)
		e = send_fd(im, "stdin", ctl_str(a, "format"), STDIN_FILENO);
	show_progress(im, true);
	if (e == CTL_DONE)
		e = report(im);
	for (unsigned i = 0; i < im->nreasons; i++) {
		free(im->reasons[i].name);
		free(im->reasons[i].text);
	}
	files_free(&im->files);
	buf_free(&im->data);
	free(im);
	return e;
}
