#include "supervisor/app/drills.h"
#include "common/base/buf.h"
#include "common/log/log.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_MAX (2u << 20) /* many times what DRILLS_KEPT of the largest take */

static const char *const verdicts[DRILLS_VERDICTS] = {"true", "false", "unknown"};

/* One report: its bytes, and the item that points into them and the zone. */
struct kept {
	msgpack_sbuffer bytes;
	msgpack_unpacked value; /* owns the zone */
	struct item_drill item;
};

struct drills {
	char path[4200];
	struct kept *ring[DRILLS_KEPT];
	uint64_t added; /* the newest is ring[(added - 1) % DRILLS_KEPT] */
	uint64_t counts[DRILLS_VERDICTS];
};

static void kept_free(struct kept *k)
{
	if (k == NULL)
		return;
	msgpack_unpacked_destroy(&k->value);
	msgpack_sbuffer_destroy(&k->bytes);
	free(k);
}

static int verdict_of(wire_str s)
{
	for (int i = 0; i < DRILLS_VERDICTS; i++)
		if (s.n == strlen(verdicts[i]) && memcmp(s.p, verdicts[i], s.n) == 0)
			return i;
	return -1;
}

/* What the table of fields cannot say. */
static int check(const struct item_drill *d, struct tr_fault *fault)
{
	if (verdict_of(d->valid) < 0)
		return tr_fault_set(fault, TR_EINVAL, "valid", "must be true, false or unknown");
	for (uint32_t i = 0; i < d->jrs.n; i++)
		if (tr_role_find(d->jrs.v[i].p, d->jrs.v[i].n) < 0)
			return tr_fault_set(fault, TR_EINVAL, "jrs", "must be names of Jrs");
	return 0;
}

/* The bytes of *k are there: the rest of it. */
static int understand(struct kept *k, struct tr_fault *fault)
{
	size_t off = 0;
	int r;

	if (msgpack_unpack_next(&k->value, k->bytes.data, k->bytes.size, &off) != MSGPACK_UNPACK_SUCCESS)
		return tr_fault_set(fault, TR_EMALFORMED, "", "it cannot be parsed");
	r = wire_decode(&wire_shape_drill, &k->value.data, k->value.zone, &k->item, fault);
	return r < 0 ? r : check(&k->item, fault);
}

static struct kept *kept_new(void)
{
	struct kept *k = calloc(1, sizeof(*k));

	if (k == NULL)
		return NULL;
	msgpack_sbuffer_init(&k->bytes);
	msgpack_unpacked_init(&k->value);
	return k;
}

static void put(struct drills *d, struct kept *k)
{
	struct kept **at = &d->ring[d->added++ % DRILLS_KEPT];

	kept_free(*at);
	*at = k;
}

static uint64_t oldest(const struct drills *d)
{
	return d->added > DRILLS_KEPT ? d->added - DRILLS_KEPT : 0;
}

/* ---- the file: an array of them, the oldest first ---- */

static int pack_all(const struct drills *d, msgpack_sbuffer *sb)
{
	msgpack_packer pk;

	msgpack_packer_init(&pk, sb, msgpack_sbuffer_write);
	if (msgpack_pack_array(&pk, (size_t)(d->added - oldest(d))) != 0)
		return TR_ENOMEM;
	for (uint64_t i = oldest(d); i < d->added; i++) {
		const msgpack_sbuffer *one = &d->ring[i % DRILLS_KEPT]->bytes;

		if (msgpack_sbuffer_write(sb, one->data, one->size) != 0)
			return TR_ENOMEM;
	}
	return 0;
}

static int write_file(const struct drills *d, const msgpack_sbuffer *sb)
{
	char fresh[4210];
	ssize_t n;
	int fd, r = 0;

	(void)snprintf(fresh, sizeof(fresh), "%s.new", d->path);
	fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	n = write(fd, sb->data, sb->size);
	if (n != (ssize_t)sb->size)
		r = n < 0 ? -errno : TR_ENOSPACE;
	if (close(fd) < 0 && r == 0)
		r = -errno;
	if (r == 0 && rename(fresh, d->path) < 0)
		r = -errno;
	if (r < 0)
		(void)unlink(fresh);
	return r;
}

static void save(const struct drills *d)
{
	msgpack_sbuffer sb;
	int r;

	msgpack_sbuffer_init(&sb);
	if ((r = pack_all(d, &sb)) < 0 || (r = write_file(d, &sb)) < 0)
		log_warn("reports of drills cannot be written: %s", tr_strerror(r));
	msgpack_sbuffer_destroy(&sb);
}

/* 0 with no bytes: there is no file. */
static int read_file(const char *path, char **out, size_t *size)
{
	int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC), r = 0;
	struct stat st;
	ssize_t n;

	if (fd < 0)
		return errno == ENOENT ? 0 : -errno;
	if (fstat(fd, &st) < 0)
		r = -errno;
	else if (!S_ISREG(st.st_mode) || st.st_size > FILE_MAX)
		r = TR_ETOOBIG;
	else if ((*out = malloc((size_t)st.st_size + 1)) == NULL)
		r = TR_ENOMEM;
	else if ((n = read(fd, *out, (size_t)st.st_size)) < 0)
		r = -errno;
	else
		*size = (size_t)n;
	(void)close(fd);
	return r;
}

static int take(struct drills *d, const msgpack_object *one)
{
	struct kept *k = kept_new();
	struct tr_fault fault;
	msgpack_packer pk;
	int r;

	if (k == NULL)
		return TR_ENOMEM;
	msgpack_packer_init(&pk, &k->bytes, msgpack_sbuffer_write);
	r = msgpack_pack_object(&pk, *one) != 0 ? TR_ENOMEM : understand(k, &fault);
	if (r < 0)
		kept_free(k);
	else
		put(d, k);
	return r;
}

static int load(struct drills *d)
{
	msgpack_unpacked all;
	char *bytes = NULL;
	size_t size = 0, off = 0;
	int r = read_file(d->path, &bytes, &size);

	msgpack_unpacked_init(&all);
	if (r < 0 || bytes == NULL)
		goto out;
	if (wire_frame_length(bytes, size, FILE_MAX) != (int64_t)size ||
	    msgpack_unpack_next(&all, bytes, size, &off) != MSGPACK_UNPACK_SUCCESS ||
	    all.data.type != MSGPACK_OBJECT_ARRAY)
		r = TR_EMALFORMED;
	for (uint32_t i = 0; r == 0 && i < all.data.via.array.size; i++)
		r = take(d, &all.data.via.array.ptr[i]);
out:
	msgpack_unpacked_destroy(&all);
	free(bytes);
	return r;
}

int drills_new(struct drills **out, const char *state)
{
	struct drills *d = calloc(1, sizeof(*d));
	char aside[4210];
	int r;

	if (d == NULL)
		return TR_ENOMEM;
	(void)snprintf(d->path, sizeof(d->path), "%s/drills.mp", state);
	r = load(d);
	if (r < 0) {
		(void)snprintf(aside, sizeof(aside), "%s.broken", d->path);
		(void)rename(d->path, aside);
		log_warn("drills.mp in the state directory cannot be read (%s): put aside as drills.mp.broken",
			 tr_strerror(r));
	}
	*out = d;
	return 0;
}

void drills_free(struct drills **dp)
{
	struct drills *d = *dp;

	if (d == NULL)
		return;
	*dp = NULL;
	for (int i = 0; i < DRILLS_KEPT; i++)
		kept_free(d->ring[i]);
	free(d);
}

int drills_add(struct drills *d, const struct item_drill *drill, struct tr_fault *fault)
{
	struct kept *k = kept_new();
	int r;

	if (k == NULL)
		return tr_fault_set(fault, TR_ENOMEM, "", "out of memory");
	if ((r = wire_encode(&k->bytes, &wire_shape_drill, drill)) < 0)
		(void)tr_fault_set(fault, r, "", "%s", tr_strerror(r));
	else
		r = understand(k, fault);
	if (r < 0) {
		kept_free(k);
		return r;
	}
	d->counts[verdict_of(k->item.valid)]++;
	put(d, k);
	save(d);
	return 0;
}

uint32_t drills_list(const struct drills *d, uint32_t limit, struct item_drill *out)
{
	uint32_t n = 0;

	for (uint64_t i = d->added; i > oldest(d) && n < limit; i--) {
		out[n] = d->ring[(i - 1) % DRILLS_KEPT]->item;
		if (n++ > 0) /* the answer has to fit one packet */
			out[n - 1].has_steps = out[n - 1].has_slices = false;
	}
	return n;
}

uint64_t drills_total(const struct drills *d)
{
	return d->added;
}

uint32_t drills_counts(const struct drills *d, struct item_reason *out)
{
	uint32_t n = 0;

	for (int i = 0; i < DRILLS_VERDICTS; i++)
		if (d->counts[i] > 0)
			out[n++] = (struct item_reason){.reason = wire_s(verdicts[i]), .count = d->counts[i]};
	return n;
}
