#include "powercut_world.h"
#include "jrs/memory/archive/internal.h"
#include <dirent.h>
#include <fcntl.h>
#include <math.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static atomic_llong now_ms = 1764000000000; /* the archive's clock, read by its threads */

int64_t world_now(void)
{
	return now_ms;
}

void world_tick(unsigned ms)
{
	now_ms += ms;
}

unsigned verdict_wrong(const struct verdict *v)
{
	unsigned n = 0;
#define X(name) n += v->name;
	WRONG(X)
#undef X
	return n;
}

void verdict_add(struct verdict *sum, const struct verdict *v)
{
#define X(name) sum->name += v->name;
	WRONG(X)
	X(cuts)
	X(lives)
	X(calls)
	X(acknowledged)
	X(unknown)
	X(failed)
	X(replays)
	X(followed)
	X(promoted)
#undef X
	if (sum->first[0] == '\0')
		memcpy(sum->first, v->first, sizeof(sum->first));
}

void wrong(struct world *w, unsigned *what, const char *fmt, ...)
{
	va_list ap;
	int n;

	++*what;
	if (w->v.first[0] != '\0')
		return;
	n = snprintf(w->v.first, sizeof(w->v.first), "disk 0x%llx life %u: ", (unsigned long long)w->seed, w->life);
	va_start(ap, fmt);
	vsnprintf(w->v.first + n, sizeof(w->v.first) - (size_t)n, fmt, ap);
	va_end(ap);
}

/* ---- the world ---- */
struct world *world_new(uint64_t seed)
{
	struct world *w = calloc(1, sizeof(*w));

	assert_non_null(w);
	w->seed = seed;
	w->forgets = true;
	w->bulk = 30;
	w->again = 100;
	snprintf(w->dir, sizeof(w->dir), "/tmp/tribe-power-XXXXXX");
	assert_non_null(mkdtemp(w->dir));
	snprintf(w->path, sizeof(w->path), "%s/" FILE_NAME, w->dir);
	assert_int_equal(uv_loop_init(&w->loop), 0);
	power_new();
	return w;
}

void op_free(struct op *op)
{
	msgpack_zone_free(op->zone);
	free(op);
}

static void empty_place(const char *dir)
{
	struct dirent *e;
	DIR *d = opendir(dir);

	while (d != NULL && (e = readdir(d)) != NULL)
		unlinkat(dirfd(d), e->d_name, 0);
	if (d != NULL)
		closedir(d);
}

void world_free(struct world **pw)
{
	struct world *w = *pw;
	unsigned i;

	world_close(w);
	assert_int_equal(loop_finish(&w->loop), 0);
	for (i = 0; i < w->nops; i++)
		op_free(w->op[i]);
	for (i = 0; i < w->nfacts; i++) {
		free(w->fact[i]->content);
		free(w->fact[i]);
	}
	free(w->op);
	free(w->fact);
	if (w->keep && verdict_wrong(&w->v) > 0) {
		print_message("what had survived, before it was opened: test_powercut --image %s\n", w->dir);
	} else {
		empty_place(w->dir);
		rmdir(w->dir);
	}
	free(w);
	*pw = NULL;
}

/* What survived, at its real place. */
static void put_in_place(struct world *w)
{
	const char *name;
	char path[200];
	size_t i, n;

	empty_place(w->dir);
	for (i = 0; (name = power_file_name(i)) != NULL; i++) {
		const unsigned char *p = power_file_bytes(name, &n);
		int fd;

		snprintf(path, sizeof(path), "%s/%s", w->dir, name);
		fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
		assert_true(fd >= 0 && (n == 0 || write(fd, p, n) == (ssize_t)n));
		close(fd);
	}
}

uint64_t world_place(const struct world *w)
{
	uint64_t sum = 0;
	struct dirent *e;
	DIR *d = opendir(w->dir);
	size_t i;

	assert_non_null(d);
	while ((e = readdir(d)) != NULL) {
		uint64_t one = e->d_ino;

		for (i = 0; e->d_name[i] != '\0'; i++)
			one = vdisk_dice(one, (uint64_t)e->d_name[i], i);
		sum += e->d_name[0] == '.' ? 0 : one;
	}
	closedir(d);
	return sum;
}

int world_open(struct world *w, struct tr_fault *fault)
{
	struct archive_cfg cfg = {
		.loop = &w->loop, .path = w->path, .epoch = 1, .wall_ms = world_now, .follow = w->follow};
	int r;

	put_in_place(w);
	w->place = world_place(w);
	r = archive_open(&w->a, &cfg, fault);
	if (r < 0)
		uv_run(&w->loop, UV_RUN_NOWAIT); /* what it had open closes */
	return r;
}

void world_await_lead(const struct world *w)
{
	const struct sql_archive *a = (const struct sql_archive *)w->a;
	uint64_t until = tr_mono_ms() + 5000;

	while (!a->leads && !a->damaged && !power_is_off() && tr_mono_ms() < until)
		usleep(200);
}

void world_close(struct world *w)
{
	w->stop = true;
	archive_close(&w->a);
	archive_close(&w->f); /* the last one, and yet it leaves everything as it is */
	uv_run(&w->loop, UV_RUN_NOWAIT);
	w->stop = false;
}

/* Whoever follows looks at the real place whether there is anything to follow. What had survived the last cut was laid
 * there for the one who opened it: a journal of it, which he has played back by now, is in the way. */
static void something_there(struct world *w)
{
	char journal[4200];
	int fd = open(w->path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	assert_true(fd >= 0 && write(fd, "S", 1) == 1);
	close(fd);
	(void)snprintf(journal, sizeof(journal), "%s-journal", w->path);
	(void)unlink(journal);
	w->place = world_place(w);
}

bool world_follow(struct world *w)
{
	struct archive_cfg cfg = {.loop = &w->loop, .path = w->path, .wall_ms = world_now, .follow = true};
	struct tr_fault fault = {0};

	world_await_lead(w);
	something_there(w);
	if (archive_open(&w->f, &cfg, &fault) < 0) {
		uv_run(&w->loop, UV_RUN_NOWAIT);
		if (power_is_off())
			return true;
		wrong(w, &w->v.unopened, "it cannot be followed: %s %s", fault.field, fault.rule);
		return false;
	}
	w->v.followed++;
	return true;
}

struct promotion {
	unsigned flying;
	int r;
};

static void on_lead(void *arg, int r, uint64_t epoch, const struct tr_fault *fault)
{
	struct promotion *p = arg;

	(void)epoch, (void)fault;
	p->r = r;
	p->flying--;
}

/* A claim that the power cut short is tried again for ever: closing ends that. */
static void on_look(uv_timer_t *t)
{
	struct world *w = t->data;

	if (power_is_off())
		archive_close(&w->f);
}

static void free_timer(uv_handle_t *h)
{
	free(h);
}

void world_promote(struct world *w, bool in_order)
{
	struct promotion p = {1, 0};
	struct archive_stats stats;
	uv_timer_t *look = malloc(sizeof(*look));

	assert_non_null(look);
	if (in_order)
		archive_close(&w->a);
	archive_stats(w->f, &stats);
	uv_timer_init(&w->loop, look);
	look->data = w;
	uv_timer_start(look, on_look, 5, 5);
	if (archive_lead(w->f, stats.epoch + 1, on_lead, &p) < 0)
		p = (struct promotion){0, TR_EINTERNAL};
	(void)world_await(w, &p.flying);
	uv_close((uv_handle_t *)look, free_timer);
	archive_close(&w->a);
	w->a = w->f;
	w->f = NULL;
	uv_run(&w->loop, UV_RUN_NOWAIT);
	if (p.r == 0)
		w->v.promoted++;
	else if (!power_is_off())
		wrong(w, &w->v.unopened, "the lead cannot be taken: %s", tr_err_name(p.r));
}

/* ---- facts ---- */
uint64_t world_dice(struct world *w, unsigned writer)
{
	return vdisk_dice(w->seed, 5000 + writer, w->writer[writer % WRITERS].turn++);
}

struct fact *world_fact(struct world *w, unsigned owner, uint64_t seed, size_t max)
{
	static const char *const words[] = {"amber",  "birch",  "cedar",  "delta",   "ember", "fjord",
					    "gravel", "heron",  "indigo", "juniper", "kelp",  "lichen",
					    "moss",   "nettle", "otter",  "pebble"};
	struct fact *f = calloc(1, sizeof(*f));
	size_t want = vdisk_dice(seed, 1, 0) % 1000 < w->bulk ? 4000 + vdisk_dice(seed, 1, 1) % 16000
							      : 20 + vdisk_dice(seed, 1, 2) % 500;
	size_t n, i;

	want = want > max ? max : want;
	assert_non_null(f);
	if (w->nfacts == w->facts_cap) {
		w->facts_cap = w->facts_cap == 0 ? 1024 : w->facts_cap * 2;
		w->fact = realloc(w->fact, sizeof(struct fact *) * w->facts_cap);
		assert_non_null(w->fact);
	}
	f->number = w->nfacts;
	f->owner = owner;
	w->fact[w->nfacts++] = f;
	f->content = malloc(want + 64);
	assert_non_null(f->content);
	n = (size_t)sprintf(f->content, "%u zq%ux", f->number, f->number);
	for (i = 0; n < want; i++)
		n += (size_t)sprintf(f->content + n, " %s", words[vdisk_dice(seed, 2, i) % 16]);
	f->n = (uint32_t)n;
	return f;
}

/* One of the writer's own that is there and that no call is about. */
struct fact *world_own(struct world *w, unsigned writer, bool may_go)
{
	uint64_t at = world_dice(w, writer);
	unsigned i;

	for (i = 0; i < w->nfacts && i < 400; i++) {
		struct fact *f = w->fact[(at + i) % w->nfacts];

		if (f->owner == writer && f->fate == THERE && f->id[0] != '\0' &&
		    (!may_go || (!f->kept && !f->sacred && !f->hidden)))
			return f;
	}
	return NULL;
}

struct fact *world_common(struct world *w, unsigned writer)
{
	struct fact **at = &w->common[world_dice(w, writer) % COMMON];

	if (*at == NULL)
		*at = world_fact(w, WRITERS, world_dice(w, writer), WIRE_CONTENT_MAX);
	return *at;
}
