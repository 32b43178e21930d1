#include "common/lead/page.h"
#include "common/base/err.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static int map(int fd, struct lead_page **page)
{
	void *p = mmap(NULL, sizeof(**page), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, 0);

	if (p == MAP_FAILED)
		return errno > 0 ? -errno : TR_EINTERNAL; /* for compilers: never 0 */
	(void)mlock(p, sizeof(**page)); /* a page fault at the takeover would only cost time */
	*page = p;
	return 0;
}

static int prepare(struct lead_page *page)
{
	pthread_mutexattr_t attr;
	int r;

	if ((r = pthread_mutexattr_init(&attr)) != 0)
		return -r;
	if ((r = pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED)) == 0 &&
	    (r = pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST)) == 0)
		r = pthread_mutex_init(&page->lead, &attr);
	(void)pthread_mutexattr_destroy(&attr);
	page->rev = LEAD_PAGE_REV;
	page->size = sizeof(*page);
	return -r;
}

int lead_page_new(int *out, struct lead_page **page)
{
	int fd = memfd_create("lead", MFD_CLOEXEC | MFD_ALLOW_SEALING), r;

	if (fd < 0)
		return -errno;
	if (ftruncate(fd, sizeof(**page)) < 0 || fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
		r = -errno;
	else if ((r = map(fd, page)) == 0 && (r = prepare(*page)) < 0)
		lead_page_unmap(page);
	if (r < 0) {
		(void)close(fd);
		return r;
	}
	*out = fd;
	return 0;
}

int lead_page_map(int fd, struct lead_page **page)
{
	struct lead_page *p;
	struct stat st;
	int r;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (st.st_size != (off_t)sizeof(*p))
		return TR_EPROTO;
	if ((r = map(fd, &p)) < 0)
		return r;
	if (p->rev != LEAD_PAGE_REV || p->size != sizeof(*p)) {
		lead_page_unmap(&p);
		return TR_EPROTO;
	}
	*page = p;
	return 0;
}

void lead_page_unmap(struct lead_page **page)
{
	if (*page != NULL)
		(void)munmap(*page, sizeof(**page));
	*page = NULL;
}

/* There is nothing in the page that a death could leave half done: epoch is one word. */
static int mend(struct lead_page *page, int r)
{
	return r == EOWNERDEAD ? -pthread_mutex_consistent(&page->lead) : -r;
}

int lead_page_take(struct lead_page *page, uint64_t above, uint32_t pid, uint32_t generation, uint64_t *epoch)
{
	int r = pthread_mutex_trylock(&page->lead);
	uint64_t last;

	if (r == EBUSY)
		return TR_EBUSY;
	if ((r = mend(page, r)) < 0)
		return r;
	last = atomic_load(&page->epoch);
	*epoch = (last > above ? last : above) + 1;
	atomic_store(&page->pid, pid);
	atomic_store(&page->generation, generation);
	atomic_store(&page->epoch, *epoch);
	return 0;
}

int lead_page_wait(struct lead_page *page)
{
	int r = mend(page, pthread_mutex_lock(&page->lead));

	return r < 0 ? r : -pthread_mutex_unlock(&page->lead);
}

void lead_page_give(struct lead_page *page)
{
	(void)pthread_mutex_unlock(&page->lead);
}

uint64_t lead_page_epoch(const struct lead_page *page)
{
	return atomic_load(&page->epoch);
}
