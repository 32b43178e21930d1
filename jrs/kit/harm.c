#include "jrs/kit/harm.h"
#include "common/base/err.h"
#include "common/log/log.h"
#include "common/loop/loop.h"
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#define SLOW_MS    20
#define HEAP_MB    512
#define HEAP_STEP  (4u << 20)  /* bytes touched in one turn of the loop: beats go on meanwhile */
#define OOM_ABOVE  (64u << 20) /* bytes that it may still get */
#define OOM_CHUNK  (1u << 20)
#define OOM_STATUS 12 /* exit status by which tribed knows it */

struct harm {
	struct chan_server *server;
	bool allowed;
	uv_check_t slow;
	uint32_t slow_ms;
	struct loop_timer *over;
	struct rlimit files; /* as it was; rlim_max 0: untouched */
	void *heap;          /* owned mapping, NULL: none */
	size_t heap_bytes, heap_touched;
	struct loop_timer *grow;
	harm_cb *half_open;
	void *arg;
};

static void on_slow(uv_check_t *c)
{
	(void)poll(NULL, 0, (int)((struct harm *)c->data)->slow_ms);
}

static void on_over(void *arg)
{
	log_info("drill: the time of the harm is over");
	harm_heal(arg);
}

static void drop_heap(struct harm *h)
{
	if (h->heap != NULL)
		(void)munmap(h->heap, h->heap_bytes);
	h->heap = NULL;
}

static void on_grow(void *arg)
{
	struct harm *h = arg;
	size_t left = h->heap_bytes - h->heap_touched, n = left < HEAP_STEP ? left : HEAP_STEP;

	memset((char *)h->heap + h->heap_touched, 1, n);
	h->heap_touched += n;
	if (h->heap_touched == h->heap_bytes)
		loop_timer_stop(h->grow);
}

int harm_open(struct harm **out, uv_loop_t *loop, struct chan_server *server, bool allowed)
{
	struct harm *h = calloc(1, sizeof(*h));
	int r;

	if (h == NULL)
		return TR_ENOMEM;
	if ((r = loop_timer_new(&h->over, loop, on_over, h)) < 0 ||
	    (r = loop_timer_new(&h->grow, loop, on_grow, h)) < 0) {
		loop_timer_free(&h->over); /* NULL is fine */
		free(h);
		return r;
	}
	(void)uv_check_init(loop, &h->slow); /* cannot fail */
	h->slow.data = h;
	h->server = server;
	h->allowed = allowed;
	*out = h;
	return 0;
}

void harm_on_half_open(struct harm *h, harm_cb *cb, void *arg)
{
	h->half_open = cb;
	h->arg = arg;
}

static void on_closed(uv_handle_t *handle)
{
	free(handle->data);
}

void harm_close(struct harm **ph)
{
	struct harm *h = *ph;

	if (h == NULL)
		return;
	*ph = NULL;
	loop_timer_free(&h->grow);
	drop_heap(h);
	loop_timer_free(&h->over);
	uv_close((uv_handle_t *)&h->slow, on_closed);
}

/* ---- those that do not come back ---- */

static _Noreturn void spin(void)
{
	static volatile unsigned turns;

	for (;;)
		turns++;
}

static _Noreturn void block(void)
{
	for (;;)
		(void)pause();
}

static uint64_t address_space(void)
{
	char text[64];
	int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

	if (fd >= 0)
		(void)close(fd);
	text[n < 0 ? 0 : n] = '\0';
	return strtoull(text, NULL, 10) * (uint64_t)sysconf(_SC_PAGESIZE);
}

/* By mmap(), as malloc() would for such sizes: sanitizers end a program in their own way when malloc() fails. */
static _Noreturn void run_out_of_memory(void)
{
	struct rlimit space = {0};
	void *p;

	if (getrlimit(RLIMIT_AS, &space) == 0) {
		space.rlim_cur = address_space() + OOM_ABOVE;
		(void)setrlimit(RLIMIT_AS, &space);
	}
	while ((p = mmap(NULL, OOM_CHUNK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)) != MAP_FAILED)
		memset(p, 1, OOM_CHUNK);
	_exit(OOM_STATUS);
}

/* ---- those that last ---- */

/* The lowest number that is free is the first that is forbidden: nothing can be opened any more, nothing is closed. */
static int use_up_files(struct harm *h)
{
	struct rlimit now;
	int fd = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0);

	if (fd < 0 || getrlimit(RLIMIT_NOFILE, &now) < 0) {
		int r = -errno;

		if (fd >= 0)
			(void)close(fd);
		return r;
	}
	(void)close(fd);
	h->files = now;
	now.rlim_cur = (rlim_t)fd;
	return setrlimit(RLIMIT_NOFILE, &now) < 0 ? -errno : 0;
}

/* In small pages: what a heap that grew little by little is made of, and what its death has to give back one by one. */
static int take_heap(struct harm *h, uint32_t mb)
{
	size_t n = (size_t)mb << 20;
	void *p = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED)
		return -errno;
	(void)madvise(p, n, MADV_NOHUGEPAGE);
	h->heap = p;
	h->heap_bytes = n;
	h->heap_touched = 0;
	return loop_timer_start(h->grow, 1, 1);
}

static int begin_lasting(struct harm *h, enum harm_kind kind, const struct msg_fault *m)
{
	int r = 0;

	switch (kind) {
	case HARM_SLOW:
		h->slow_ms = m->has_amount ? m->amount : SLOW_MS;
		r = uv_check_start(&h->slow, on_slow);
		break;
	case HARM_HEAP:
		r = take_heap(h, m->has_amount ? m->amount : HEAP_MB);
		break;
	case HARM_FDS:
		r = use_up_files(h);
		break;
	case HARM_HALF_OPEN:
		chan_server_harm(h->server, CHAN_SILENT);
		if (h->half_open != NULL)
			h->half_open(h->arg, true);
		break;
	case HARM_GARBAGE:
		chan_server_harm(h->server, CHAN_GARBAGE);
		break;
	default:
		r = TR_EINVAL;
	}
	return r == 0 && m->has_ms ? loop_timer_start(h->over, m->ms, 0) : r;
}

int harm_begin(struct harm *h, const struct msg_fault *m)
{
	int kind = harm_find(m->fault.p, m->fault.n);

	if (!h->allowed)
		return TR_EREFUSED;
	if (kind < 0 || harm_kinds[kind].by != HARM_BY_INSIDE)
		return TR_EINVAL;
	log_warn("drill: doing harm fault=%s", harm_kinds[kind].word);
	switch (kind) {
	case HARM_SPIN:
		spin();
	case HARM_BLOCK:
		block();
	case HARM_EXIT:
		_exit(m->has_amount ? (int)(m->amount & 0xff) : 1);
	case HARM_OOM:
		run_out_of_memory();
	default:
		harm_heal(h);
		return begin_lasting(h, (enum harm_kind)kind, m);
	}
}

void harm_heal(struct harm *h)
{
	loop_timer_stop(h->over);
	(void)uv_check_stop(&h->slow);
	if (h->files.rlim_max > 0)
		(void)setrlimit(RLIMIT_NOFILE, &h->files);
	h->files.rlim_max = 0;
	loop_timer_stop(h->grow);
	drop_heap(h);
	if (h->half_open != NULL)
		h->half_open(h->arg, false);
	chan_server_harm(h->server, CHAN_SOUND);
}
