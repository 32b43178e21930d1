#include "common/base/clock.h"
#include "common/base/text.h"
#include "supervisor/ctl/commands.h"
#include "supervisor/ctl/import.h"
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* How the material is cut is part of every request's id: another cutting is another version. */
#define IMPORT_VERSION "tribectl import/1"
#define PIECE_BYTES    (1u << 20)
#define PIECE_LINES    4096

/* ---- one request ---- */

static void take_reasons(struct import *im, const struct res_integration_import *r)
{
	for (uint32_t i = 0; i < r->reasons.n; i++) {
		const struct item_skipped *s = &r->reasons.v[i];

		import_reason(im, s->line, s->reason.p, s->reason.n, s->has_count ? s->count : 0);
	}
}

static void on_imported(void *arg, const void *res)
{
	const struct res_integration_import *r = res;
	struct import *im = arg;

	im->added += r->added;
	im->known += r->known;
	im->skipped += r->skipped;
	take_reasons(im, r);
}

static void on_looked(void *arg, const void *res)
{
	const struct res_integration_import *r = res;
	struct import *im = arg;

	im->looked += r->skipped;
	take_reasons(im, r);
}

static enum ctl_exit complain(struct import *im, int r, const struct tr_fault *fault)
{
	import_hide_progress(im);
	if (im->position < im->size && im->id[0] != '\0')
		ctl_say(im->c, "stopped at %.0f %%; the same command goes on from there",
			100.0 * (double)im->position / (double)im->size);
	return ctl_complain(im->c, r, fault);
}

/* What the archive counted: answers cannot be added up for that, since what an earlier run left half done is answered
 * again. One that was undone and begun anew meanwhile counts something else. */
static void on_counted(void *arg, const void *res)
{
	const struct item_import *m = &((const struct res_memory_import_begin *)res)->import;
	struct import *im = arg;

	if (m->started != im->begun_at)
		return;
	im->added = m->added - im->before_added;
	im->known = m->known - im->before_known;
	im->skipped = m->skipped - im->before_skipped;
}

static enum ctl_exit count(struct import *im)
{
	struct msg_memory_import_begin msg = {.id = wire_s(im->id), .name = wire_s(im->title), .size = im->size};
	struct tr_fault fault;
	int r;

	if (im->id[0] == '\0' || im->finished_before)
		return CTL_DONE;
	r = ctl_call(im->c, MSG_memory_import_begin, &msg, on_counted, im, &fault);
	return r < 0 ? complain(im, r, &fault) : CTL_DONE;
}

/* Nothing to remember, but the import is further: some of the material was left out here. */
static enum ctl_exit note(struct import *im, uint64_t position, uint64_t skipped)
{
	struct msg_memory_add msg = {.has_import_id = true,
				     .import_id = wire_s(im->id),
				     .has_import_position = true,
				     .import_position = position,
				     .has_import_skipped = true,
				     .import_skipped = skipped};
	struct tr_fault fault;
	int r;

	if (position <= im->position) { /* noted by an earlier run */
		im->looked += skipped;
		return CTL_DONE;
	}
	r = ctl_call(im->c, MSG_memory_add, &msg, NULL, NULL, &fault);
	if (r < 0)
		return complain(im, r, &fault);
	im->position = position;
	im->skipped += skipped;
	return CTL_DONE;
}

/* The same for a piece of the same import however often tribectl dies: what the archive took from an earlier try is
 * answered, not done and counted again. An import that was undone has begun at another time. */
static int request_id(const struct import *im, uint64_t position, char out[2 * TR_SHA256_LEN + 1])
{
	unsigned char sum[TR_SHA256_LEN];
	char text[96];
	int n = snprintf(text, sizeof(text), "%s %" PRIi64 " %" PRIu64, im->id, im->begun_at, position);
	int r = tr_sha256(text, (size_t)n, sum);

	if (r == 0)
		tr_hex(sum, sizeof(sum), out);
	return r;
}

static int deliver(struct import *im, struct msg_integration_import *msg, uint64_t position, struct tr_fault *fault)
{
	char id[2 * TR_SHA256_LEN + 1] = "";
	bool has_id = request_id(im, position, id) == 0; /* before it is looked at below */
	int r;

	msg->common.has_request_id = has_id;
	msg->common.request_id = wire_s(id);
	msg->has_import_id = msg->has_import_position = true;
	msg->import_id = wire_s(im->id);
	msg->import_position = position;
	r = ctl_call(im->c, MSG_integration_import, msg, on_imported, im, fault);
	if (r == TR_EMISMATCH) { /* another version of integration-jr had begun it: its rows are known then */
		msg->common.has_request_id = false;
		r = ctl_call(im->c, MSG_integration_import, msg, on_imported, im, fault);
	}
	if (r == 0)
		im->position = position;
	return r;
}

enum ctl_exit import_send_piece(struct import *im, const char *format, const struct buf *piece, size_t n,
				uint64_t first_line, uint64_t position)
{
	struct msg_integration_import msg = {
		.name = wire_s(im->name),
		.format = wire_s(format),
		.data = {piece->p, (uint32_t)n},
		.has_first_line = true,
		.first_line = first_line,
		.has_source = im->source != NULL,
		.source = wire_s(im->source),
	};
	struct tr_fault fault;
	int r;

	msg.has_look = msg.look = position <= im->position;
	r = msg.look ? ctl_call(im->c, MSG_integration_import, &msg, on_looked, im, &fault)
		     : deliver(im, &msg, position, &fault);
	if (r == 0)
		return CTL_DONE;
	if (r != TR_EINVAL && r != TR_EMALFORMED && r != TR_ETOOBIG && r != TR_EUNSUPPORTED)
		return complain(im, r, &fault);
	if (im->refused != im->name) /* once for all its pieces */
		files_skip(&im->files, FILES_SKIP_REFUSED, im->name);
	im->refused = im->name;
	import_reason(im, first_line, fault.rule, strlen(fault.rule), 1);
	return note(im, position, 1);
}

/* ---- one file ---- */

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

/* Drops the rest of a line that is longer than a piece; *dropped = its bytes. */
static bool drop_line(int fd, struct buf *b, uint64_t *dropped, int *err)
{
	const char *nl;
	size_t n;

	*dropped = 0;
	while ((nl = b->len == 0 ? NULL : memchr(b->p, '\n', b->len)) == NULL) {
		*dropped += b->len;
		buf_clear(b);
		if (!read_some(fd, b, PIECE_BYTES, err))
			return false;
	}
	n = (size_t)(nl - b->p) + 1;
	*dropped += n;
	buf_consume(b, n);
	return true;
}

/* Moves fd behind the `done` bytes that an earlier run sent; *line = number of the line that begins there. */
static void pass_done(int fd, struct buf *b, uint64_t done, uint64_t *line, int *err)
{
	*line = 1;
	while (done > 0 && *err == 0) {
		buf_clear(b);
		if (!read_some(fd, b, done < PIECE_BYTES ? (size_t)done : PIECE_BYTES, err))
			return;
		done -= b->len;
		for (size_t i = 0; i < b->len; i++)
			*line += b->p[i] == '\n';
	}
	buf_clear(b);
}

/* base: place of the file's first byte in the material. A line of an MCP memory file is a whole entity, however much
 * was observed of it; one that does not fit into a piece goes alone. */
static enum ctl_exit send_lines(struct import *im, const struct file_entry *f, uint64_t base, int fd, int *err)
{
	bool graph = strcmp(f->format, "mcp-memory") == 0;
	size_t room = PIECE_BYTES, longest = graph ? FILES_BYTES_MAX : PIECE_BYTES;
	const char *why = graph ? "a line over 8 MiB" : "a line over 1 MiB";
	uint64_t at = im->look || im->position < base ? base : im->position, line, lines = 0, dropped;
	struct buf *b = &im->data;
	enum ctl_exit e = CTL_DONE;
	bool more = true;

	pass_done(fd, b, at - base, &line, err);
	while (e == CTL_DONE && *err == 0) {
		size_t n;

		while (more && b->len < room)
			more = read_some(fd, b, room - b->len, err);
		if (b->len == 0 || *err != 0)
			break;
		n = files_cut(b->p, b->len, !more, room, room > PIECE_BYTES ? 1 : PIECE_LINES, &lines);
		if (n == 0 && room < longest) {
			room = longest;
			continue;
		}
		room = PIECE_BYTES;
		if (n == 0) {
			import_reason(im, line++, why, strlen(why), 1);
			more = drop_line(fd, b, &dropped, err) && more;
			at += dropped;
			e = *err == 0 ? note(im, at, 1) : e;
			continue;
		}
		at += n;
		e = import_send_piece(im, f->format, b, n, line, at);
		buf_consume(b, n);
		line += lines;
		import_show_progress(im);
	}
	return e;
}

static enum ctl_exit send_document(struct import *im, const struct file_entry *f, uint64_t base, int fd, int *err)
{
	struct buf *b = &im->data;

	buf_clear(b);
	while (b->len < f->size && read_some(fd, b, PIECE_BYTES, err))
		;
	if (*err == 0 && b->len != f->size)
		*err = TR_ECONFLICT;
	return *err != 0 || b->len == 0 ? CTL_DONE : import_send_piece(im, f->format, b, b->len, 1, base + f->size);
}

/* What changes under our hands would be imported under the wrong name: that ends it. */
static enum ctl_exit send_file(struct import *im, const struct file_entry *f, uint64_t base)
{
	enum ctl_exit e = CTL_DONE;
	int fd = -1, err = 0;

	im->name = f->name;
	if (f->revision[0] != '\0') {
		if (im->look || base + f->size > im->position)
			e = import_send_git(im, f, base);
		im->done += e == CTL_DONE;
		return e;
	}
	if (f->size > 0 && (im->look || base + f->size > im->position)) {
		import_show_progress(im);
		err = files_open(f, &fd);
		if (err == 0)
			e = files_in_lines(f) ? send_lines(im, f, base, fd, &err)
					      : send_document(im, f, base, fd, &err);
		if (e == CTL_DONE && err == 0 && im->position < base + f->size)
			err = TR_ECONFLICT;
		if (fd >= 0)
			(void)close(fd);
	}
	if (err != 0) {
		import_hide_progress(im);
		if (err == TR_ECONFLICT)
			ctl_say(im->c, "%s has changed while it was being imported; start it again", f->name);
		else
			ctl_say(im->c, "%s: %s", f->name, tr_strerror(err));
		return CTL_FAILED;
	}
	im->done += e == CTL_DONE;
	return e;
}

/* ---- the whole ---- */

/* Standard input goes into a file without a name first: only then can it be told by its content and sent again. */
static int spool(FILE **out)
{
	FILE *f = tmpfile();
	char piece[65536];
	size_t n;

	if (f == NULL)
		return -errno;
	while ((n = fread(piece, 1, sizeof(piece), stdin)) > 0)
		if (fwrite(piece, 1, n, f) != n)
			break;
	if (ferror(stdin) || ferror(f) || fflush(f) != 0) {
		(void)fclose(f);
		return -EIO;
	}
	*out = f;
	return 0;
}

static int add_stdin(struct import *im, const char *format, FILE **spooled)
{
	char path[64];
	int r = spool(spooled);

	if (r < 0)
		return r;
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fileno(*spooled));
	r = files_add(&im->files, path, format);
	if (r == 0 && im->files.n > 0) {
		char *name = strdup("stdin");

		if (name == NULL)
			return TR_ENOMEM;
		free(im->files.v[im->files.n - 1].name);
		im->files.v[im->files.n - 1].name = name;
	}
	return r;
}

/* path: "-" is standard input. *last: what names it, for a person; caller frees. */
static enum ctl_exit add_files(struct import *im, const char *path, const char *format, FILE **spooled, char **last)
{
	bool in = strcmp(path, "-") == 0;
	char *real;
	int r;

	if (in && (format == NULL || *spooled != NULL)) {
		ctl_say(im->c, format == NULL ? "- (standard input) wants --format" : "- may stand there once");
		return CTL_USAGE;
	}
	r = in ? add_stdin(im, format, spooled) : files_add(&im->files, path, format);
	if (r < 0) {
		ctl_say(im->c, "%s: %s", in ? "standard input" : path, tr_strerror(r));
		return CTL_FAILED;
	}
	real = in ? NULL : realpath(path, NULL);
	*last = strdup(real == NULL ? "stdin" : strrchr(real, '/') + 1);
	free(real);
	return *last == NULL ? CTL_INTERNAL : CTL_DONE;
}

static enum ctl_exit add_git(struct import *im, const char *path, char **last)
{
	enum ctl_exit e = import_add_git(im, path);

	if (e != CTL_DONE)
		return e;
	*last = strdup(im->files.v[im->files.n - 1].name);
	return *last == NULL ? CTL_INTERNAL : CTL_DONE;
}

/* Everything that was named must be there before the first piece goes out. */
static enum ctl_exit gather(struct import *im, const struct ctl_args *a, FILE **spooled, struct buf *how)
{
	const char *format = ctl_str(a, "format");
	bool git = format != NULL && strcmp(format, "git") == 0;

	(void)buf_printf(how, "%s\n%s\n%s\n", IMPORT_VERSION, format == NULL ? "" : format,
			 im->source == NULL ? "" : im->source);
	for (unsigned i = 0; i < a->noperands; i++) {
		char *last = NULL;
		enum ctl_exit e = git ? add_git(im, a->operands[i], &last)
				      : add_files(im, a->operands[i], format, spooled, &last);

		if (e != CTL_DONE)
			return e;
		(void)buf_printf(how, "%s\n", last);
		if (i == 0)
			tr_copy(im->title, sizeof(im->title), last, strlen(last));
		free(last);
	}
	if (!tr_utf8_ok(im->title, strlen(im->title), NULL) || im->title[0] == '\0')
		tr_copy(im->title, sizeof(im->title), "files", 5);
	if (how->failed < 0) {
		ctl_say(im->c, "%s", tr_strerror(how->failed));
		return CTL_INTERNAL;
	}
	return CTL_DONE;
}

static void on_step(void *arg, uint64_t bytes)
{
	import_show_reading(arg, bytes);
}

static void on_begun(void *arg, const void *res)
{
	const struct item_import *m = &((const struct res_memory_import_begin *)res)->import;
	struct import *im = arg;

	im->position = im->start = m->position < im->size ? m->position : im->size;
	im->before_added = m->added;
	im->before_known = m->known;
	im->before_skipped = m->skipped;
	im->look = m->skipped > 0;
	im->begun_at = m->started;
	im->finished_before = m->has_finished;
	im->finished_at = m->has_finished ? m->finished : 0;
}

/* Tells the import by its content and asks how far it got. */
static enum ctl_exit begin(struct import *im, const char *how)
{
	struct msg_memory_import_begin msg;
	struct tr_fault fault;
	int r = files_digest(&im->files, how, on_step, im, im->id);

	if (r < 0) {
		ctl_say(im->c, "%s", tr_strerror(r));
		return CTL_INTERNAL;
	}
	im->size = files_size(&im->files);
	if (im->size == 0) {
		im->id[0] = '\0'; /* empty files: nothing to remember it by */
		return CTL_DONE;
	}
	msg = (struct msg_memory_import_begin){.id = wire_s(im->id), .name = wire_s(im->title), .size = im->size};
	r = ctl_call(im->c, MSG_memory_import_begin, &msg, on_begun, im, &fault);
	if (r < 0) {
		import_hide_progress(im);
		return ctl_complain(im->c, r, &fault);
	}
	return CTL_DONE;
}

/* What the archive refused in an earlier run, the material alone does not tell. */
static void rest_of_reasons(struct import *im)
{
	static const char why[] =
		"refused by the archive in an earlier run (its id, supersedes or the limit of its source)";

	im->name = NULL;
	if (im->look && im->looked < im->before_skipped)
		import_reason(im, 0, why, strlen(why), im->before_skipped - im->looked);
}

static enum ctl_exit run(struct import *im, const struct ctl_args *a)
{
	FILE *spooled = NULL;
	struct buf how = {.max = 0};
	enum ctl_exit e = gather(im, a, &spooled, &how);
	uint64_t base = 0;
	bool nothing;

	if (e == CTL_DONE)
		e = begin(im, how.p);
	im->sending_ms = tr_mono_ms();
	nothing = im->finished_before && !im->look;
	if (e == CTL_DONE && nothing)
		im->done = im->files.n;
	for (size_t i = 0; e == CTL_DONE && !nothing && i < im->files.n; i++) {
		e = send_file(im, &im->files.v[i], base);
		base += im->files.v[i].size;
	}
	if (e == CTL_DONE)
		e = count(im);
	rest_of_reasons(im);
	import_hide_progress(im);
	if (e == CTL_DONE)
		e = import_report(im);
	if (spooled != NULL)
		(void)fclose(spooled);
	buf_free(&how);
	return e;
}

enum ctl_exit cmd_import(struct ctl *c, const struct ctl_args *a)
{
	const char *undo = ctl_str(a, "undo");
	struct import *im;
	enum ctl_exit e;

	if (!c->timeout_given && c->timeout_ms < IMPORT_CALL_MS)
		c->timeout_ms = IMPORT_CALL_MS;
	if ((a->noperands > 0) + (undo != NULL) + ctl_flag(a, "list") != 1) {
		ctl_say(c, "wants FILE|DIR..., or --list, or --undo ID; see tribectl import --help");
		return CTL_USAGE;
	}
	if (ctl_flag(a, "list"))
		return import_list(c);
	if (undo != NULL)
		return import_undo(c, undo, ctl_flag(a, "yes"));
	im = calloc(1, sizeof(*im));
	if (im == NULL)
		return CTL_INTERNAL;
	im->c = c;
	im->source = ctl_str(a, "source");
	im->begun_ms = tr_mono_ms();
	e = run(im, a);
	import_reasons_free(im);
	files_free(&im->files);
	buf_free(&im->data);
	free(im);
	return e;
}
