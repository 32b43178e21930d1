#include "jrs/memory/archive/old.h"
#include "common/base/err.h"
#include "common/base/text.h"
#include "jrs/memory/archive/mend.h"
#include "jrs/memory/archive/pagesum.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define USUAL      4096u
#define PROBED     64u        /* pages looked at to learn how large they are and whether they have sums */
#define SECTOR     512u       /* what is read alone where a whole page cannot be */
#define IMAGES_MAX 32u        /* of one page */
#define LOCK_AT    0x40000000 /* SQLite locks bytes there, so that page is never written */
#define FROM_FILE  UINT32_MAX

/* What is changed in an image on its way out. */
struct mended {
	uint32_t page, frame; /* frame: FROM_FILE, or its number in the log */
	bool from_file;       /* the frame's page is what the database file has */
	struct mend change;
};
struct old {
	char path[4096];
	int fd, log_fd;
	uint32_t size, usable, in_file; /* in_file: pages, the last perhaps in part */
	off_t bytes;
	bool checked;
	uint64_t budget;
	struct walcheck log;
	uint32_t whole;   /* of its frames: see whole_frames() */
	uint32_t *newest; /* of each page: number of its newest committed frame + 1 */
	uint32_t *older;  /* of each frame: the one before of the same page + 1 */
	bool *good;       /* of each page of the file */
	struct mended *mends;
	size_t nmends;
	struct old_figures figures;
};

/* A page of the file, as it is; what cannot be read or is not there is zeros. False: nothing of it is there. */
static bool file_page(const struct old *o, uint32_t page, unsigned char *buf)
{
	off_t at = (off_t)(page - 1) * o->size;
	ssize_t n = pread(o->fd, buf, o->size, at);
	uint32_t i;

	if (n < 0) { /* a bad sector costs no more than itself */
		memset(buf, 0, o->size);
		for (i = 0; i < o->size; i += SECTOR) {
			ssize_t got = pread(o->fd, buf + i, SECTOR, at + i);

			n = got > 0 ? (ssize_t)(i + (uint32_t)got) : n;
		}
		return n > 0;
	}
	memset(buf + n, 0, o->size - (size_t)n);
	return n > 0;
}

static bool log_page(const struct old *o, uint32_t frame, unsigned char *buf)
{
	off_t at = (off_t)WAL_HEAD + (off_t)frame * (o->size + WAL_FRAME_HEAD) + WAL_FRAME_HEAD;

	return frame < o->log.nframes && pread(o->log_fd, buf, o->size, at) == (ssize_t)o->size;
}

static const struct mended *mended_of(const struct old *o, uint32_t page, uint32_t frame)
{
	size_t i;

	for (i = 0; i < o->nmends; i++) {
		if (o->mends[i].frame == frame && (frame != FROM_FILE || o->mends[i].page == page))
			return &o->mends[i];
	}
	return NULL;
}

static int note_mended(struct old *o, const struct mended *m)
{
	struct mended *v = realloc(o->mends, sizeof(*v) * (o->nmends + 1));

	if (v == NULL)
		return TR_ENOMEM;
	o->mends = v;
	v[o->nmends++] = *m;
	o->figures.mended++;
	return 0;
}

/* ---- what size the pages have, and whether they have sums ---- */
static uint32_t agreeing(const struct old *o, uint32_t size, unsigned char *buf)
{
	uint32_t i, n = 0;

	for (i = 0; i < PROBED && pread(o->fd, buf, size, (off_t)i * size) == (ssize_t)size; i++)
		n += pagesum_judge(buf, size, i + 1) == PAGESUM_GOOD;
	return n;
}

static void learn_sizes(struct old *o)
{
	unsigned char head[100] = {0}, buf[65536];
	struct pagesum_header h = {0, 0};
	bool known =
		pread(o->fd, head, sizeof(head), 0) == (ssize_t)sizeof(head) && pagesum_header(head, sizeof(head), &h);
	uint32_t as_said = known ? agreeing(o, h.page_size, buf) : 0;
	uint32_t as_usual = agreeing(o, USUAL, buf);

	o->size = known && as_said >= as_usual ? h.page_size : USUAL;
	o->checked = as_said > 0 || as_usual > 0 || (known && h.reserve == PAGESUM_BYTES);
	o->usable = o->size - (o->checked ? PAGESUM_BYTES : known && h.reserve < 255 ? h.reserve : 0);
	if (o->usable < 480)
		o->usable = o->size;
	o->in_file = (uint32_t)((o->bytes + o->size - 1) / o->size);
}

/* ---- the log ---- */
/* A frame that is not intact: is its page the one that the file has, or is it one byte off? */
static int mend_frame(struct old *o, uint32_t i, unsigned char *buf)
{
	struct wal_frame *f = &o->log.v[i];
	struct mended m = {.page = f->page, .frame = i};
	unsigned char head[8] = {(unsigned char)(f->page >> 24),   (unsigned char)(f->page >> 16),
				 (unsigned char)(f->page >> 8),    (unsigned char)f->page,
				 (unsigned char)(f->commit >> 24), (unsigned char)(f->commit >> 16),
				 (unsigned char)(f->commit >> 8),  (unsigned char)f->commit};
	struct wal_sum sum = wal_sum(o->log.big, f->before, head, 8);

	if (f->page > 0 && f->page <= o->in_file && file_page(o, f->page, buf)) {
		struct wal_sum s;

		if (o->checked)
			pagesum_store(buf, o->size, 0);
		s = wal_sum(o->log.big, sum, buf, o->size);
		m.from_file = s.a == f->stored.a && s.b == f->stored.b;
	}
	if (!m.from_file) {
		if (!log_page(o, i, buf) || !mend_log(o->log.big, f->before, f->stored, head, buf, o->size, &m.change))
			return 0;
		if (m.change.at < 8) { /* counted from its head on */
			f->page = (uint32_t)head[0] << 24 | (uint32_t)head[1] << 16 | (uint32_t)head[2] << 8 | head[3];
			f->commit =
				(uint32_t)head[4] << 24 | (uint32_t)head[5] << 16 | (uint32_t)head[6] << 8 | head[7];
			m.change.by = 0;
		}
		m.change.at = m.change.at < 8 ? 0 : m.change.at - 8;
		m.page = f->page;
	}
	f->intact = true;
	return note_mended(o, &m);
}

/* Frames that make up the newest whole state: all that count, or, where the end of the log is missing, those up to the
 * last commit that is there. */
static uint32_t whole_frames(const struct old *o)
{
	uint32_t n = o->log.committed;

	if (n <= o->log.nframes)
		return n;
	for (n = o->log.nframes; n > 0 && (!o->log.v[n - 1].ours || o->log.v[n - 1].commit == 0); n--)
		;
	return n;
}

static int read_log(struct old *o, bool frozen)
{
	char name[4200];
	unsigned char buf[65536];
	uint32_t i, n;
	int r;

	if ((r = walcheck(o->path, frozen, &o->log)) < 0)
		return r;
	o->figures.log = o->log.verdict;
	if (o->log.verdict == WAL_LIVE)
		return TR_EBUSY;
	if (o->log.verdict == WAL_ABSENT || o->log.nframes == 0 || o->log.page_size != o->size) {
		o->figures.log_lost = o->log.committed - (o->log.committed < o->log.moved ? 0 : o->log.moved);
		walcheck_free(&o->log);
		return 0;
	}
	if (snprintf(name, sizeof(name), "%s-wal", o->path) >= (int)sizeof(name) ||
	    (o->log_fd = open(name, O_RDONLY | O_CLOEXEC)) < 0)
		return -EIO;
	n = o->log.committed < o->log.nframes ? o->log.committed : o->log.nframes;
	for (i = 0; i < n; i++) {
		if (!o->log.v[i].intact && (r = mend_frame(o, i, buf)) < 0)
			return r;
		o->figures.log_bad += !o->log.v[i].intact;
	}
	o->figures.log_lost = o->log.committed - n;
	o->whole = whole_frames(o);
	return 0;
}

/* As page 1 of the file says; 0: it is not to be believed. */
static uint32_t pages_in_head(const struct old *o)
{
	unsigned char buf[65536];
	uint32_t n;

	if (!file_page(o, 1, buf) || memcmp(buf + 24, buf + 92, 4) != 0 ||
	    (o->checked && pagesum_judge(buf, o->size, 1) == PAGESUM_BAD))
		return 0;
	n = (uint32_t)buf[28] << 24 | (uint32_t)buf[29] << 16 | (uint32_t)buf[30] << 8 | buf[31];
	return o->checked || n / 16 <= o->in_file ? n : 0;
}

/* How many pages there are: as the last commit says, else as many as anything speaks of. */
static uint32_t count_pages(const struct old *o)
{
	uint32_t n = pages_in_head(o), i;

	if (o->whole > 0 && o->log.v[o->whole - 1].intact && o->log.v[o->whole - 1].commit != 0)
		return o->log.v[o->whole - 1].commit;
	n = n > o->in_file ? n : o->in_file;
	for (i = o->whole; i > 0; i--) {
		const struct wal_frame *f = &o->log.v[i - 1];

		if (f->intact && f->page > n)
			n = f->page;
	}
	return n;
}

/* Which frames have which page. A frame that nobody knows the page of is lost. */
static int index_log(struct old *o)
{
	uint32_t i, n = o->whole, pages = count_pages(o);

	o->figures.pages = pages;
	if ((o->newest = calloc((size_t)pages + 1, sizeof(*o->newest))) == NULL ||
	    (o->older = calloc((size_t)n + 1, sizeof(*o->older))) == NULL)
		return TR_ENOMEM;
	for (i = 0; i < n; i++) {
		uint32_t page = o->log.v[i].page;

		if (page == 0 || page > pages) {
			o->figures.log_lost += !o->log.v[i].intact;
			continue;
		}
		o->older[i] = o->newest[page];
		o->newest[page] = i + 1;
	}
	return 0;
}

/* ---- the file ---- */
/* Does the log have a newer image? */
static bool in_log(const struct old *o, uint32_t page)
{
	return o->newest[page] > o->log.moved;
}

static int judge_file(struct old *o)
{
	unsigned char buf[65536];
	uint32_t page, at_lock = (uint32_t)(LOCK_AT / o->size) + 1;
	int r;

	if ((o->good = calloc((size_t)o->in_file + 1, sizeof(*o->good))) == NULL)
		return TR_ENOMEM;
	for (page = 1; page <= o->in_file; page++) {
		enum pagesum_verdict v = PAGESUM_ABSENT;
		struct mended m = {.page = page, .frame = FROM_FILE};
		bool whole = (off_t)page * o->size <= o->bytes;

		if (file_page(o, page, buf))
			v = o->checked ? pagesum_judge(buf, o->size, page) : PAGESUM_GOOD;
		o->good[page] = whole && (v == PAGESUM_GOOD || v == PAGESUM_NONE);
		if (!o->good[page] && whole && v == PAGESUM_BAD &&
		    mend_page(buf, o->size, page, &o->budget, &m.change)) {
			o->good[page] = true;
			if ((r = note_mended(o, &m)) < 0)
				return r;
		}
		if (page <= o->figures.pages && !o->good[page] && !in_log(o, page)) {
			o->figures.bad += v != PAGESUM_ABSENT;
			o->figures.missing += v == PAGESUM_ABSENT && page != at_lock;
		}
	}
	for (page = o->in_file + 1; page <= o->figures.pages; page++)
		o->figures.missing += o->newest[page] == 0 && page != at_lock;
	return 0;
}

int old_open(struct old **out, const char *db_path, bool frozen, uint64_t budget)
{
	struct old *o = calloc(1, sizeof(*o));
	struct stat st;
	int r;

	if (o == NULL)
		return TR_ENOMEM;
	o->fd = o->log_fd = -1;
	o->budget = budget;
	if (strlen(db_path) >= sizeof(o->path)) {
		r = TR_ETOOBIG;
		goto fail;
	}
	tr_copy(o->path, sizeof(o->path), db_path, strlen(db_path));
	if ((o->fd = open(db_path, O_RDONLY | O_CLOEXEC)) < 0 || fstat(o->fd, &st) < 0) {
		r = -errno;
		goto fail;
	}
	o->bytes = st.st_size;
	learn_sizes(o);
	if ((r = read_log(o, frozen)) < 0 || (r = index_log(o)) < 0 || (r = judge_file(o)) < 0)
		goto fail;
	o->figures.checked = o->checked;
	*out = o;
	return 0;
fail:
	old_close(&o);
	return r;
}

void old_close(struct old **op)
{
	struct old *o = op == NULL ? NULL : *op;

	if (o == NULL)
		return;
	if (o->fd >= 0)
		pagesum_close(o->fd, o->path);
	if (o->log_fd >= 0)
		close(o->log_fd);
	walcheck_free(&o->log);
	free(o->newest);
	free(o->older);
	free(o->good);
	free(o->mends);
	free(o);
	*op = NULL;
}

const struct old_figures *old_figures(const struct old *o)
{
	return &o->figures;
}

uint32_t old_page_size(const struct old *o)
{
	return o->size;
}

uint32_t old_usable(const struct old *o)
{
	return o->usable;
}

/* Where the images of a page are, newest first: frames that the file may not have, the file, and frames that were moved
 * into it. How many. */
static unsigned sources(const struct old *o, uint32_t page, uint32_t v[IMAGES_MAX])
{
	uint32_t f = o->newest[page];
	unsigned n = 0;

	for (; f > 0 && f - 1 >= o->log.moved && n < IMAGES_MAX; f = o->older[f - 1])
		v[n++] = f - 1;
	if (page <= o->in_file && n < IMAGES_MAX)
		v[n++] = FROM_FILE;
	for (; f > 0 && n < IMAGES_MAX; f = o->older[f - 1])
		v[n++] = f - 1;
	return n;
}

static bool load(const struct old *o, uint32_t page, uint32_t source, unsigned char *buf)
{
	const struct mended *m = mended_of(o, page, source);

	if (source == FROM_FILE || (m != NULL && m->from_file)) {
		if (!file_page(o, page, buf))
			return false;
	} else if (!log_page(o, source, buf)) {
		return false;
	}
	if (m != NULL && !m->from_file)
		mend_apply(buf, &m->change);
	return true;
}

/* What there is of a frame that is cut off, zeros behind it. False: it is not of this generation, or nothing of use. */
static bool cut_frame(const struct old *o, uint32_t frame, unsigned char *buf, uint32_t *page)
{
	off_t at = (off_t)WAL_HEAD + (off_t)frame * (o->size + WAL_FRAME_HEAD);
	unsigned char head[WAL_FRAME_HEAD], before[WAL_FRAME_HEAD];
	ssize_t n;

	if (frame == 0 || pread(o->log_fd, head, sizeof(head), at) != (ssize_t)sizeof(head) ||
	    pread(o->log_fd, before, sizeof(before), at - (off_t)(o->size + WAL_FRAME_HEAD)) !=
		    (ssize_t)sizeof(before) ||
	    memcmp(head + 8, before + 8, 8) != 0 || (n = pread(o->log_fd, buf, o->size, at + WAL_FRAME_HEAD)) <= 0)
		return false;
	memset(buf + n, 0, o->size - (size_t)n);
	*page = (uint32_t)head[0] << 24 | (uint32_t)head[1] << 16 | (uint32_t)head[2] << 8 | head[3];
	return true;
}

bool old_extra(const struct old *o, uint32_t i, void *buf, uint32_t *page, bool *good)
{
	uint32_t frame = o->whole + i;

	if (frame > o->log.nframes || frame >= o->log.committed)
		return false;
	*page = 0;
	*good = false;
	if (frame == o->log.nframes) {
		if (!cut_frame(o, frame, buf, page))
			*page = 0;
	} else if (o->log.v[frame].ours && load(o, o->log.v[frame].page, frame, buf)) {
		*page = o->log.v[frame].page;
		*good = o->log.v[frame].intact;
	}
	return true;
}

bool old_image(const struct old *o, uint32_t page, unsigned k, void *buf, struct old_image *out)
{
	uint32_t v[IMAGES_MAX];
	unsigned n;

	if (page == 0 || page > o->figures.pages || (n = sources(o, page, v)) <= k)
		return false;
	*out = (struct old_image){.good = v[k] == FROM_FILE ? o->good[page] : o->log.v[v[k]].intact, .stale = k > 0};
	return load(o, page, v[k], buf);
}

bool old_best(const struct old *o, uint32_t page, void *buf, struct old_image *out)
{
	uint32_t v[IMAGES_MAX];
	unsigned n, k;

	if (page == 0 || page > o->figures.pages || (n = sources(o, page, v)) == 0)
		return false;
	for (k = 0; k < n; k++) {
		if ((v[k] == FROM_FILE ? o->good[page] : o->log.v[v[k]].intact) && load(o, page, v[k], buf)) {
			*out = (struct old_image){true, k > 0};
			return true;
		}
	}
	*out = (struct old_image){false, false};
	return load(o, page, v[0], buf);
}
