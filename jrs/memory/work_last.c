/* STATE/backups/last.json: how the last restore ended. Whoever carried it out leaves; its successor tells. */
#include "common/base/buf.h"
#include "jrs/memory/work_inside.h"
#include "proto/json/json.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LAST_MAX 16384

int work_last_write(const struct work_job *j)
{
	char path[WORK_PATH], fresh[WORK_PATH];
	struct buf text = {.max = LAST_MAX};
	struct item_work item;
	int fd, r = -1;
	json_t *doc;

	work_describe(j, &item);
	doc = json_encode(&wire_shape_work, &item);
	snprintf(path, sizeof(path), "%.4160s/last.json", j->work->backups);
	snprintf(fresh, sizeof(fresh), "%.4160s/last.json.new", j->work->backups);
	fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd >= 0 && doc != NULL && json_print(doc, &text) == 0 && buf_puts(&text, "\n") == 0 &&
	    write(fd, text.p, text.len) == (ssize_t)text.len && fsync(fd) == 0 && rename(fresh, path) == 0)
		r = 0;
	if (fd >= 0)
		close(fd);
	json_decref(doc);
	buf_free(&text);
	return r;
}

int work_last_read(const struct work *w, wire_str id, void (*fn)(void *arg, const struct item_work *item), void *arg)
{
	msgpack_zone *zone = msgpack_zone_new(2048);
	char path[WORK_PATH], text[LAST_MAX];
	struct item_work item;
	json_t *doc = NULL;
	ssize_t n = -1;
	int fd, r = 0;

	snprintf(path, sizeof(path), "%.4160s/last.json", w->backups);
	if ((fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC)) >= 0) {
		n = read(fd, text, sizeof(text));
		close(fd);
	}
	if (zone != NULL && n > 0 && json_parse(&doc, text, (size_t)n, NULL) == 0 &&
	    json_decode(&wire_shape_work, doc, zone, &item, NULL) == 0 && item.work.n == id.n &&
	    memcmp(item.work.p, id.p, id.n) == 0) {
		fn(arg, &item);
		r = 1;
	}
	json_decref(doc);
	msgpack_zone_free(zone);
	return r;
}
