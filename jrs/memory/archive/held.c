#include "jrs/memory/archive/held.h"
#include "jrs/memory/archive/pagesum.h"
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static pthread_mutex_t held_lock = PTHREAD_MUTEX_INITIALIZER;
static struct held *held; /* under held_lock */

static struct held *find_held(const struct stat *st)
{
	struct held *h;

	for (h = held; h != NULL && (h->dev != st->st_dev || h->ino != st->st_ino); h = h->next)
		;
	return h;
}

struct held *held_take(const char *name)
{
	struct stat st;
	struct held *h;

	if (name == NULL || stat(name, &st) < 0)
		return NULL; /* a VFS that has no such file */
	pthread_mutex_lock(&held_lock);
	if ((h = find_held(&st)) == NULL && (h = calloc(1, sizeof(*h))) != NULL) {
		*h = (struct held){.next = held, .dev = st.st_dev, .ino = st.st_ino};
		h->fd = open(name, O_RDONLY | O_CLOEXEC);
		held = h;
	}
	if (h != NULL)
		h->n++;
	pthread_mutex_unlock(&held_lock);
	return h;
}

/* Of the database whose log has this name. It is open for longer than its log. */
struct held *held_by_log(const char *name)
{
	size_t n = name == NULL ? 0 : strlen(name), end = strlen("-wal");
	struct stat st;
	struct held *h = NULL;
	char path[4096];

	if (n <= end || n - end >= sizeof(path) || strcmp(name + n - end, "-wal") != 0)
		return NULL;
	memcpy(path, name, n - end);
	path[n - end] = '\0';
	if (stat(path, &st) < 0)
		return NULL;
	pthread_mutex_lock(&held_lock);
	h = find_held(&st);
	pthread_mutex_unlock(&held_lock);
	return h;
}

void held_drop(struct held *h)
{
	struct held **at;

	if (h == NULL)
		return;
	pthread_mutex_lock(&held_lock);
	if (--h->n == 0) {
		for (at = &held; *at != h; at = &(*at)->next)
			;
		*at = h->next;
		if (h->fd >= 0)
			close(h->fd);
		while (h->nparked > 0)
			close(h->parked[--h->nparked]);
		free(h->parked);
		free(h);
	}
	pthread_mutex_unlock(&held_lock);
}

bool pagesum_held(const char *path)
{
	struct stat st;
	bool found;

	if (stat(path, &st) < 0)
		return false;
	pthread_mutex_lock(&held_lock);
	found = find_held(&st) != NULL;
	pthread_mutex_unlock(&held_lock);
	return found;
}

void pagesum_close(int fd, const char *path)
{
	struct stat st;
	struct held *h = NULL;
	int *v;

	pthread_mutex_lock(&held_lock);
	if (stat(path, &st) == 0 && (h = find_held(&st)) != NULL) {
		/* without memory for the note it stays open: that harms nobody */
		if ((v = realloc(h->parked, sizeof(*v) * (h->nparked + 1))) != NULL) {
			h->parked = v;
			v[h->nparked++] = fd;
		}
	}
	pthread_mutex_unlock(&held_lock);
	if (h == NULL)
		close(fd);
}
