/* Every memory as JSONL, page by page. A file has no name before it is whole. */
#include "common/base/clock.h"
#include "proto/json/json.h"
#include "supervisor/ctl/backup.h"
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PAGE_RECORDS 500
#define CALL_MS      60000
#define PROGRESS_MS  100

struct export
{
	struct ctl *c;
	const char *target;          /* as named; NULL: standard output */
	char path[CTL_PATH_MAX];     /* where it goes: target with links resolved */
	char temp[CTL_PATH_MAX + 8]; /* empty: it has no name yet, or is written in place */
	int fd;
	bool nameless; /* and is to get its name when it is whole */
	bool progress;
	uint64_t done, total, bytes, started_ms, shown_ms; /* total 0: unknown */
	uint64_t next;
	bool more;
	struct buf page;
};

static void on_total(void *arg, const void *res)
{
	((struct export *)arg)->total = ((const struct res_memory_thermal *)res)->total_memories;
}

/* With all digits: what is taken back must be what was given. */
static int record_line(struct buf *out, const struct item_record *record)
{
	json_t *j = json_encode(&wire_shape_record, record);
	int r = j == NULL ? TR_ENOMEM : json_print_exact(j, out);

	json_decref(j);
	return r < 0 ? r : buf_puts(out, "\n");
}

static void on_page(void *arg, const void *res)
{
	const struct res_memory_export *r = res;
	struct export *x = arg;

	for (uint32_t i = 0; i < r->records.n; i++) {
		struct item_record record = r->records.v[i];

		record.has_import_id = false; /* means something in this archive only */
		if (record_line(&x->page, &record) < 0)
			x->page.failed = TR_ENOMEM;
	}
	x->done += r->records.n;
	x->more = r->has_next;
	x->next = r->next;
}

static void show_progress(struct export *x, bool end)
{
	uint64_t now = tr_mono_ms();
	char done[SHOW_SHORT], total[SHOW_SHORT], bytes[SHOW_SHORT];

	if (!x->progress || (!end && now - x->shown_ms < PROGRESS_MS))
		return;
	x->shown_ms = now;
	show_count(done, x->done);
	show_count(total, x->total);
	show_bytes(bytes, x->bytes);
	if (end)
		(void)fputs("\r\x1b[K", stderr);
	else
		(void)fprintf(stderr, "\r\x1b[K%s%s%s memories  %s", done, x->total > 0 ? "/" : "",
			      x->total > 0 ? total : "", bytes);
}

static int write_all(int fd, const char *p, size_t n)
{
	while (n > 0) {
		ssize_t k = write(fd, p, n);

		if (k < 0 && errno != EINTR)
			return -errno;
		if (k > 0) {
			p += k;
			n -= (size_t)k;
		}
	}
	return 0;
}

static enum ctl_exit failed(const struct export *x, int r)
{
	if (r == -EPIPE) /* whoever read us has seen enough */
		return CTL_FAILED;
	ctl_say(x->c, "%s: %s", x->target == NULL ? "standard output" : x->target, tr_strerror(r));
	return CTL_FAILED;
}

/* A device, a pipe or a socket is written as it stands; a file gets its name in the end. */
static enum ctl_exit open_target(struct export *x)
{
	struct stat st;

	x->fd = STDOUT_FILENO;
	if (x->target == NULL)
		return CTL_DONE;
	if (realpath(x->target, x->path) == NULL) {
		if (errno != ENOENT)
			return failed(x, -errno);
		(void)snprintf(x->path, sizeof(x->path), "%s", x->target);
	} else if (stat(x->path, &st) == 0 && !S_ISREG(st.st_mode)) {
		x->fd = open(x->path, O_WRONLY | O_CLOEXEC | O_NOCTTY);
		return x->fd < 0 ? failed(x, -errno) : CTL_DONE;
	}
	x->fd = open_nameless(x->path, x->temp); /* 0600: these are memories */
	x->nameless = x->fd >= 0;
	return x->fd < 0 ? failed(x, -errno) : CTL_DONE;
}

static enum ctl_exit move_into_place(struct export *x)
{
	if (x->nameless && (fsync(x->fd) < 0 || name_it(x->fd, x->temp, x->path) < 0))
		return failed(x, -errno);
	return CTL_DONE;
}

static enum ctl_exit write_pages(struct export *x)
{
	struct msg_memory_export msg = {.has_limit = true, .limit = PAGE_RECORDS};
	struct tr_fault fault;
	int r;

	do {
		msg.has_after = x->more;
		msg.after = x->next;
		buf_clear(&x->page);
		r = ctl_call(x->c, MSG_memory_export, &msg, on_page, x, &fault);
		if (r == TR_ETOOBIG && msg.limit > 1) { /* large memories: a frame does not hold so many */
			msg.limit /= 2;
			continue;
		}
		if (r == 0 && x->page.failed != 0)
			r = tr_fault_set(&fault, x->page.failed, "", "%s", tr_strerror(x->page.failed));
		if (r < 0) {
			show_progress(x, true);
			return ctl_complain(x->c, r, &fault);
		}
		if (x->page.len > 0 && (r = write_all(x->fd, x->page.p, x->page.len)) < 0) {
			show_progress(x, true);
			return failed(x, r);
		}
		x->bytes += x->page.len;
		show_progress(x, false);
	} while (r == TR_ETOOBIG || x->more);
	return CTL_DONE;
}

/* Of an export into a file; one to standard output is its own result. */
static enum ctl_exit report(const struct export *x)
{
	struct buf out = {.max = 0};
	char done[SHOW_SHORT], bytes[SHOW_SHORT];
	double seconds = (double)(tr_mono_ms() - x->started_ms) / 1e3;
	enum ctl_exit e;
	json_t *doc;

	if (x->c->json) {
		doc = json_pack("{s:s, s:I, s:I, s:f}", "file", x->target, "memories", (json_int_t)x->done, "bytes",
				(json_int_t)x->bytes, "seconds", seconds);
		if (doc == NULL || json_print(doc, &out) < 0 || buf_puts(&out, "\n") < 0)
			out.failed = TR_ENOMEM;
		json_decref(doc);
	} else {
		show_count(done, x->done);
		show_bytes(bytes, x->bytes);
		(void)buf_printf(&out, "%s memor%s, %s, in %.1f s: %s\n", done, x->done == 1 ? "y" : "ies", bytes,
				 seconds, x->target);
	}
	e = ctl_emit(x->c, &out);
	buf_free(&out);
	return e;
}

enum ctl_exit cmd_export(struct ctl *c, const struct ctl_args *a)
{
	struct msg_memory_thermal thermal = {.common = {.has_request_id = false}};
	struct export *x = calloc(1, sizeof(*x));
	struct tr_fault fault;
	enum ctl_exit e;
	int r;

	if (x == NULL)
		return CTL_INTERNAL;
	x->c = c;
	x->fd = -1;
	x->target = a->noperands == 0 || strcmp(a->operands[0], "-") == 0 ? NULL : a->operands[0];
	x->progress = c->progress && (x->target != NULL || !isatty(STDOUT_FILENO));
	x->started_ms = tr_mono_ms();
	if (!c->timeout_given && c->timeout_ms < CALL_MS)
		c->timeout_ms = CALL_MS;
	if ((e = ctl_catch(c)) != CTL_DONE)
		goto out;
	/* first: where nobody answers no file is touched */
	if ((r = ctl_call(c, MSG_memory_thermal, &thermal, on_total, x, &fault)) < 0) {
		e = ctl_complain(c, r, &fault);
		goto out;
	}
	if ((e = open_target(x)) == CTL_DONE && (e = write_pages(x)) == CTL_DONE &&
	    (e = move_into_place(x)) == CTL_DONE) {
		show_progress(x, true);
		e = x->target == NULL ? CTL_DONE : report(x);
	}
out:
	if (x->temp[0] != '\0')
		(void)unlink(x->temp);
	if (x->fd >= 0 && x->fd != STDOUT_FILENO)
		(void)close(x->fd);
	buf_free(&x->page);
	free(x);
	return e;
}
