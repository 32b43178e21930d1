#include "jrs/memory/archive/walcheck.h"
#include "common/base/err.h"
#include "jrs/memory/archive/pagesum.h"
#include "jrs/memory/archive/wipe.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAGIC    0x377f0682u /* | 1: sums are reckoned in big endian words */
#define FORMAT   3007000u
#define SHM_HEAD 48u /* twice, then the checkpoint's part */
#define SHM_DMS  128 /* a byte that whoever uses the database has locked */
#define USUAL    4096u
#define SECTOR   512u /* a disk that loses its power writes so much as a whole, or not */

struct salts {
	unsigned char b[8];
};
/* What the shared memory of the last life says. */
struct shm {
	bool valid;
	struct salts salts;
	uint32_t committed, moved;
	struct wal_sum last; /* of the last committed frame */
};
struct walk {
	struct walcheck w;
	struct shm shm;
	int fd;
	unsigned char head[WAL_HEAD];
	bool head_ok;
	struct salts salts; /* in force */
	unsigned char *buf; /* one frame */
	uint32_t pages_max; /* the database may have so many pages at most, as far as is known */
	/* while walking: the sum carried on as stored, and as reckoned where the stored one may be the damaged one */
	struct wal_sum stored, reckoned;
};

const char *wal_verdict_name(enum wal_verdict v)
{
	static const char *const names[] = {"absent", "sound", "torn", "damaged", "live"};

	return names[v];
}

static uint32_t be32(const unsigned char *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static uint32_t le32(const unsigned char *p)
{
	return (uint32_t)p[3] << 24 | (uint32_t)p[2] << 16 | (uint32_t)p[1] << 8 | p[0];
}

static uint32_t native32(const unsigned char *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

struct wal_sum wal_sum(bool big, struct wal_sum s, const void *bytes, size_t n)
{
	const unsigned char *p = bytes, *end = p + n;

	for (; p < end; p += 8) {
		s.a += (big ? be32(p) : le32(p)) + s.b;
		s.b += (big ? be32(p + 4) : le32(p + 4)) + s.a;
	}
	return s;
}

/* The sum that n bytes carried on to s. */
static struct wal_sum sum_before(bool big, struct wal_sum s, const void *bytes, size_t n)
{
	const unsigned char *p = (const unsigned char *)bytes + n;

	while (p > (const unsigned char *)bytes) {
		p -= 8;
		s.b -= (big ? be32(p + 4) : le32(p + 4)) + s.a;
		s.a -= (big ? be32(p) : le32(p)) + s.b;
	}
	return s;
}

static bool same(struct wal_sum x, struct wal_sum y)
{
	return x.a == y.a && x.b == y.b;
}

static bool big_here(void)
{
	const uint16_t one = 1;

	return *(const unsigned char *)&one == 0;
}

static int open_beside(const char *db_path, const char *ending)
{
	char name[4200];
	int n = snprintf(name, sizeof(name), "%s%s", db_path, ending);

	if (n < 0 || (size_t)n >= sizeof(name)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	return open(name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
}

static bool locked(int shm_fd)
{
	struct flock l = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = SHM_DMS, .l_len = 1};

	return fcntl(shm_fd, F_GETLK, &l) == 0 && l.l_type != F_UNLCK;
}

/* True: somebody has the database open. Else *shm is what was left; not valid if it does not agree with itself. */
static bool read_shm(const char *db_path, struct shm *shm)
{
	unsigned char b[2 * SHM_HEAD + 4];
	struct wal_sum sum = {0, 0};
	int fd = open_beside(db_path, "-shm");
	bool live;

	*shm = (struct shm){0};
	if (fd < 0)
		return false;
	live = locked(fd);
	if (pread(fd, b, sizeof(b), 0) == (ssize_t)sizeof(b) && memcmp(b, b + SHM_HEAD, SHM_HEAD) == 0 &&
	    native32(b) == FORMAT && b[12] != 0) {
		sum = wal_sum(big_here(), sum, b, 40);
		shm->valid = sum.a == native32(b + 40) && sum.b == native32(b + 44);
		memcpy(shm->salts.b, b + 32, 8);
		shm->committed = native32(b + 16);
		shm->last = (struct wal_sum){native32(b + 24), native32(b + 28)};
		shm->moved = native32(b + 2 * SHM_HEAD);
		if (shm->moved > shm->committed)
			shm->moved = 0;
	}
	pagesum_close(fd, db_path);
	return live;
}

static uint32_t page_size_of_db(const char *db_path, off_t *bytes)
{
	unsigned char head[100];
	struct pagesum_header h = {USUAL, 0};
	struct stat st = {0};
	int fd = open_beside(db_path, "");

	*bytes = 0;
	if (fd < 0)
		return USUAL;
	if (pread(fd, head, sizeof(head), 0) == (ssize_t)sizeof(head))
		pagesum_header(head, sizeof(head), &h);
	if (fstat(fd, &st) == 0)
		*bytes = st.st_size;
	pagesum_close(fd, db_path);
	return h.page_size;
}

static bool page_size_ok(uint32_t n)
{
	return n >= 512 && n <= 65536 && (n & (n - 1)) == 0;
}

/* The log's own head; where it is damaged, what else is known of it. */
static void read_head(struct walk *k, const char *db_path)
{
	uint32_t magic = be32(k->head), size = be32(k->head + 8);
	struct wal_sum zero = {0, 0};
	unsigned char first[WAL_FRAME_HEAD];
	off_t bytes;

	k->w.big = (magic & 1) != 0 && (magic & ~1u) == MAGIC;
	k->reckoned = wal_sum(k->w.big, zero, k->head, 24);
	k->stored = (struct wal_sum){be32(k->head + 24), be32(k->head + 28)};
	k->head_ok = (magic & ~1u) == MAGIC && be32(k->head + 4) == FORMAT && page_size_ok(size) &&
		     same(k->reckoned, k->stored);
	k->w.page_size = page_size_of_db(db_path, &bytes);
	if (k->head_ok)
		k->w.page_size = size;
	k->pages_max = (uint32_t)(bytes / k->w.page_size) + 1;
	if (k->head_ok)
		memcpy(k->salts.b, k->head + 16, 8);
	else if (k->shm.valid)
		k->salts = k->shm.salts;
	else if (pread(k->fd, first, sizeof(first), WAL_HEAD) == (ssize_t)sizeof(first))
		memcpy(k->salts.b, first + 8, 8); /* the first frame is always of the newest generation */
	if (!k->head_ok && (magic & ~1u) != MAGIC)
		k->w.big = big_here(); /* whose sums are made as it is quickest */
}

/* How many of the two salts are those in force. */
static int salts_alike(const struct walk *k, const unsigned char *salts)
{
	return (memcmp(k->salts.b, salts, 4) == 0) + (memcmp(k->salts.b + 4, salts + 4, 4) == 0);
}

static bool head_plausible(const struct walk *k, uint32_t page, uint32_t commit)
{
	return page > 0 && page <= k->pages_max && (commit == 0 || (commit >= page && commit <= k->pages_max));
}

/* A frame that does not agree with its sum: does it end a transaction? Its first eight bytes count as they are if they
 * could be true and the salts, by which it is ours, cannot have come without them. Else they are noise, or an older
 * frame's, of a sector that a power cut tore: if its page is as it was written, they follow from its sum; if it is not,
 * that gives 64 bits by chance, which are hardly ever plausible. */
static void judge_head(const struct walk *k, uint32_t i, const struct wal_sum carried[2])
{
	const size_t at = WAL_HEAD + (size_t)i * (WAL_FRAME_HEAD + k->w.page_size);
	struct wal_frame *f = &k->w.v[i];
	struct wal_sum after = sum_before(k->w.big, f->stored, k->buf + WAL_FRAME_HEAD, k->w.page_size);
	bool plausible = head_plausible(k, f->page, f->commit);
	int by;

	if (plausible && (at + 8) % SECTOR != 0)
		return;
	f->ends = false;
	for (by = 0; by < 2; by++) {
		uint32_t x = after.a - carried[by].a - carried[by].b, y = after.b - carried[by].b - after.a;
		uint32_t page = k->w.big ? x : __builtin_bswap32(x), commit = k->w.big ? y : __builtin_bswap32(y);

		if (!head_plausible(k, page, commit))
			continue;
		f->ends = commit != 0;
		if (!plausible) {
			f->page = page;
			f->commit = commit;
			f->before = carried[by];
			f->intact = true;
		}
		return;
	}
}

static void judge_frame(struct walk *k, uint32_t i)
{
	const unsigned char *h = k->buf, *page = k->buf + WAL_FRAME_HEAD;
	struct wal_frame *f = &k->w.v[i];
	struct wal_sum carried[2] = {k->stored, k->reckoned};
	struct wal_sum sum[2];
	int alike = salts_alike(k, h + 8), by;

	*f = (struct wal_frame){.page = be32(h), .commit = be32(h + 4), .stored = {be32(h + 16), be32(h + 20)}};
	for (by = 0; by < 2; by++) {
		sum[by] = wal_sum(k->w.big, carried[by], h, 8);
		sum[by] = wal_sum(k->w.big, sum[by], page, k->w.page_size);
	}
	by = same(sum[0], f->stored) ? 0 : same(sum[1], f->stored) ? 1 : -1;
	/* An older generation's frames agree with each other too, but have two other salts. */
	f->ours = alike == 2 || (alike == 1 && by >= 0 && (i == 0 || k->w.v[i - 1].ours));
	f->intact = f->ours && by >= 0 && f->page != 0;
	f->ends = f->ours && f->commit != 0;
	f->plain = f->intact && by == 0 && alike == 2;
	f->before = carried[by == 1];
	if (f->intact && by == 1 && i > 0)
		k->w.v[i - 1].intact = k->w.v[i - 1].page != 0; /* only its sum was damaged */
	if (f->intact && f->commit != 0 && f->commit + k->w.nframes > k->pages_max)
		k->pages_max = f->commit + k->w.nframes; /* each page that is new has a frame */
	if (f->ours && !f->intact)
		judge_head(k, i, carried);
	k->stored = f->stored;
	k->reckoned = by == 1 ? sum[1] : sum[0];
}

static int walk(struct walk *k, off_t size)
{
	size_t one = WAL_FRAME_HEAD + k->w.page_size;
	uint32_t i, n = size > (off_t)WAL_HEAD ? (uint32_t)((size_t)(size - (off_t)WAL_HEAD) / one) : 0;

	if (n == 0)
		return 0;
	if ((k->buf = malloc(one)) == NULL || (k->w.v = calloc(n, sizeof(*k->w.v))) == NULL)
		return TR_ENOMEM;
	k->w.nframes = n;
	k->pages_max += n;
	for (i = 0; i < n; i++) {
		if (pread(k->fd, k->buf, one, (off_t)(WAL_HEAD + i * one)) != (ssize_t)one)
			return -EIO;
		judge_frame(k, i);
	}
	if (k->shm.valid && memcmp(k->shm.salts.b, k->salts.b, 8) == 0 && k->shm.committed == n && n > 0 &&
	    !k->w.v[n - 1].intact && same(k->reckoned, k->shm.last))
		k->w.v[n - 1].intact = true; /* nobody comes behind it who could tell, but this */
	return 0;
}

/* What SQLite would take: up to the last commit of the unbroken beginning. */
static uint32_t count_served(const struct walk *k)
{
	uint32_t i, n = 0;

	for (i = 0; k->head_ok && i < k->w.nframes && k->w.v[i].plain; i++) {
		if (k->w.v[i].commit != 0)
			n = i + 1;
	}
	return n;
}

/* The last commit that had its fsync, as the frames show it: another transaction begins right behind it. Frames that
 * only repeat it fill up a sector. */
static uint32_t count_followed(const struct walk *k)
{
	uint32_t i, n = 0;

	for (i = 0; i + 1 < k->w.nframes; i++) {
		const struct wal_frame *f = &k->w.v[i], *next = f + 1;
		bool repeats = next->commit == f->commit && next->page == f->page;

		if (f->ends && next->plain && !repeats)
			n = i + 1;
	}
	return n;
}

/* The last commit behind `from` whose transaction is whole. */
static uint32_t last_whole(const struct walk *k, uint32_t from)
{
	uint32_t i, n = from;
	bool whole = true;

	for (i = from; i < k->w.nframes && k->w.v[i].ours; i++) {
		whole = whole && k->w.v[i].intact;
		if (k->w.v[i].ends && whole)
			n = i + 1;
		whole = whole || k->w.v[i].ends;
	}
	return n;
}

/* Is every page as the intact frames leave it in the database already? Then a log whose head is no longer one had been
 * moved, and was about to begin anew. */
static bool all_moved(struct walk *k, const char *db_path)
{
	uint32_t i, j, n = k->w.page_size;
	unsigned char *page = malloc(n);
	int fd = open_beside(db_path, "");
	bool moved = page != NULL && fd >= 0;

	for (i = 0; i < k->w.nframes && moved; i++) {
		const struct wal_frame *f = &k->w.v[i];

		for (j = i + 1; j < k->w.nframes && k->w.v[j].page != f->page; j++)
			;
		if (!f->ours || j < k->w.nframes) /* a later frame has the page again */
			continue;
		moved = f->page != 0 && pread(fd, page, n, (off_t)(f->page - 1) * n) == (ssize_t)n &&
			pread(k->fd, k->buf, n, (off_t)WAL_HEAD + (off_t)i * (n + WAL_FRAME_HEAD) + WAL_FRAME_HEAD) ==
				(ssize_t)n;
		if (moved) { /* what is no content was wiped on the way */
			wipe_room(page, n, f->page);
			wipe_room(k->buf, n, f->page);
			moved = memcmp(page, k->buf, n - PAGESUM_BYTES) == 0;
		}
	}
	if (fd >= 0)
		pagesum_close(fd, db_path);
	free(page);
	return moved;
}

static void conclude(struct walk *k, const char *db_path)
{
	struct walcheck *w = &k->w;
	bool shm = k->shm.valid && (w->nframes == 0 || memcmp(k->shm.salts.b, k->salts.b, 8) == 0);
	uint32_t i, followed = count_followed(k);

	w->served = count_served(k);
	w->moved = shm ? k->shm.moved : 0;
	w->committed = followed > w->served ? followed : w->served;
	if (shm && k->shm.committed > w->committed)
		w->committed = k->shm.committed;
	if ((w->committed > w->served || !k->head_ok) && w->committed < w->nframes)
		w->committed = last_whole(k, w->committed);
	for (i = 0; i < w->committed; i++)
		w->bad += i >= w->nframes || !w->v[i].intact;
	if (w->committed > w->served && (w->nframes > 0 || w->moved < w->committed)) {
		w->verdict = WAL_DAMAGED;
		w->why = !k->head_ok                 ? "its head is damaged"
			 : w->committed > w->nframes ? "its end is missing"
						     : "a frame before its end is damaged";
		if (!k->head_ok && !shm && all_moved(k, db_path))
			w->verdict = WAL_ABSENT;
	} else {
		bool tail = w->served < w->nframes && w->v[w->served].ours;

		w->verdict = w->nframes == 0 ? WAL_ABSENT : tail ? WAL_TORN : WAL_SOUND;
	}
}

static int look(struct walk *k, const char *db_path)
{
	struct stat st;
	int r;

	if ((k->fd = open_beside(db_path, "-wal")) < 0 && errno != ENOENT)
		return -errno;
	if (k->fd >= 0 && fstat(k->fd, &st) < 0)
		return -errno;
	if (k->fd < 0 || st.st_size < (off_t)WAL_HEAD) {
		conclude(k, db_path); /* the shared memory may know that there was more */
		return 0;
	}
	if (pread(k->fd, k->head, WAL_HEAD, 0) != (ssize_t)WAL_HEAD)
		return -EIO;
	read_head(k, db_path);
	if ((r = walk(k, st.st_size)) < 0)
		return r;
	conclude(k, db_path);
	return 0;
}

int walcheck(const char *db_path, bool frozen, struct walcheck *out)
{
	struct walk k = {.fd = -1};
	struct shm after;
	int r;

	k.w.page_size = USUAL;
	if ((pagesum_held(db_path) && !frozen) || (read_shm(db_path, &k.shm) && !frozen)) {
		*out = (struct walcheck){.verdict = WAL_LIVE};
		return 0;
	}
	r = look(&k, db_path);
	if (r == 0 && !frozen && (read_shm(db_path, &after) || memcmp(&after, &k.shm, sizeof(after)) != 0)) {
		walcheck_free(&k.w); /* somebody came meanwhile */
		k.w.verdict = WAL_LIVE;
	}
	if (k.fd >= 0)
		close(k.fd);
	free(k.buf);
	if (r < 0)
		walcheck_free(&k.w);
	else
		*out = k.w;
	return r;
}

void walcheck_free(struct walcheck *w)
{
	free(w->v);
	*w = (struct walcheck){0};
}
