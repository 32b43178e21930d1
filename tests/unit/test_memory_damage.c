/* jrs/memory/archive: what is refused at the door and left as it is, and what kill -9 may not take. */
#include "memory_rig.h"

#include "common/base/text.h"
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

/* ---- what is refused at the door ---- */
static void put_file(const char *path, const void *p, size_t n)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0 && write(fd, p, n) == (ssize_t)n);
	close(fd);
}

static void get_file(const char *path, char **p, size_t *n)
{
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	assert_true(fd >= 0 && fstat(fd, &st) == 0);
	*n = (size_t)st.st_size;
	*p = malloc(*n + 1);
	assert_true(*p != NULL && read(fd, *p, *n) == st.st_size);
	close(fd);
}

/* Refused with a clear line, and not a byte of the file is another. */
static void refused(struct rig *g, const char *because)
{
	struct tr_fault fault = {0};
	char *before, *after;
	size_t n, m;

	get_file(g->path, &before, &n);
	assert_int_equal(rig_open_again(g, &fault), TR_ESTORE);
	if (strstr(fault.rule, because) == NULL)
		fail_msg("\"%s\" does not say \"%s\"", fault.rule, because);
	assert_null(g->a);
	get_file(g->path, &after, &m);
	assert_int_equal(n, m);
	assert_memory_equal(before, after, n);
	free(before);
	free(after);
}

static void foreign_and_damaged_files(void **s)
{
	struct rig *g = *s;
	char noise[8192], *good;
	uint64_t x = 88172645463325252u;
	size_t i, n;

	rig_say(g, "precious");
	archive_close(&g->a);
	get_file(g->path, &good, &n);
	for (i = 0; i < sizeof(noise); i++) {
		x ^= x << 13, x ^= x >> 7, x ^= x << 17;
		noise[i] = (char)x;
	}
	put_file(g->path, noise, sizeof(noise)); /* random bytes */
	refused(g, "not a database");
	put_file(g->path, "hello", 5);
	refused(g, "not a database");
	put_file(g->path, noise, sizeof(noise)); /* our name on random bytes */
	memcpy(noise, good, 100);
	put_file(g->path, noise, sizeof(noise));
	refused(g, "cannot be");
	unlink(g->path);
	assert_int_equal(rig_exec(g, "CREATE TABLE customers(name TEXT)"), SQLITE_OK); /* somebody else's */
	refused(g, "another program");
	unlink(g->path);
	put_file(g->path, good, n); /* nothing was lost meanwhile */
	rig_reopen(g);
	assert_int_equal(rig_thermal(g, 0)->total_memories, 1);
	free(good);
}

static void newer_schema(void **s)
{
	struct rig *g = *s;

	rig_say(g, "from today");
	archive_close(&g->a);
	assert_int_equal(
		rig_exec(g, "INSERT INTO schema_migrations VALUES(99, 0, 'future'); PRAGMA wal_checkpoint(TRUNCATE)"),
		SQLITE_OK);
	refused(g, "newer");
	refused(g, "99");
}

/* ---- kill -9 ---- */
static void killed_acknowledge(void *arg, int r, const struct archive_answer *answer, const struct tr_fault *fault)
{
	const struct res_memory_add *res = r == 0 ? answer->res : NULL;
	char line[TR_ID_LEN];

	(void)fault;
	if (res == NULL)
		return;
	tr_copy(line, sizeof(line), res->memories.v[0].id.p, res->memories.v[0].id.n);
	line[TR_ID_LEN - 1] = '\n';
	if (write(*(int *)arg, line, TR_ID_LEN) != TR_ID_LEN) /* acknowledged: from now on it must be there */
		_exit(3);
}

/* The child: adds as fast as it can and tells each acknowledged id, until it is killed. */
static _Noreturn void killed_writer(struct rig *g, int fd, int life)
{
	static struct item_new_memory m[256];
	static struct msg_memory_add msg[256];
	static char text[256][64];
	msgpack_zone *zone = msgpack_zone_new(65536);
	struct archive_ctx ctx = {zone, 0};
	unsigned n;

	if (uv_loop_init(&g->loop) < 0 || rig_open_again(g, NULL) < 0)
		_exit(2);
	for (n = 0;; n++) {
		struct archive_stats stats;
		unsigned i = n % 256;

		snprintf(text[i], sizeof(text[i]), "life %d said %u", life, n);
		m[i] = said(text[i]);
		msg[i] = (struct msg_memory_add){.memories = {&m[i], 1}};
		if (archive_call(g->a, MSG_memory_add, &msg[i], &ctx, killed_acknowledge, &fd) < 0)
			_exit(4);
		for (archive_stats(g->a, &stats); stats.waiting > 100; archive_stats(g->a, &stats))
			uv_run(&g->loop, UV_RUN_ONCE);
	}
}

#define LIVES 12
static void kill_9_loses_nothing_acknowledged(void **s)
{
	struct rig *g = *s;
	char(*ids)[TR_ID_LEN] = NULL;
	size_t n = 0, i;
	int life;

	archive_close(&g->a);
	for (life = 0; life < LIVES; life++) {
		int fd[2], status;
		size_t wanted = n + 50 + (size_t)life * 37;
		pid_t pid;

		assert_int_equal(pipe(fd), 0);
		if ((pid = fork()) == 0) {
			close(fd[0]);
			killed_writer(g, fd[1], life);
		}
		assert_true(pid > 0);
		close(fd[1]);
		ids = realloc(ids, sizeof(*ids) * (wanted + 100000));
		assert_non_null(ids);
		while (n < wanted && read(fd[0], ids[n], TR_ID_LEN) == TR_ID_LEN)
			ids[n++][TR_ID_LEN - 1] = '\0';
		kill(pid, SIGKILL);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
		while (n < wanted + 99999 &&
		       read(fd[0], ids[n], TR_ID_LEN) == TR_ID_LEN) /* acknowledged before it fell */
			ids[n++][TR_ID_LEN - 1] = '\0';
		close(fd[0]);
	}
	assert_int_equal(rig_open_again(g, NULL), 0);
	for (i = 0; i < n; i++) {
		msgpack_zone_clear(g->zone);
		if (!rig_try_get(g, wire_s(ids[i])))
			fail_msg("acknowledged and lost: %s, number %zu of %zu", ids[i], i, n);
	}
	assert_true(n >= 50 * LIVES);
	assert_true(rig_sql(g, "SELECT count(*) FROM pragma_integrity_check WHERE integrity_check = 'ok'") == 1.0);
	assert_true(rig_sql(g, "SELECT count(*) - count(DISTINCT original_content) FROM thermal_memory_archive") ==
		    0.0);
	assert_int_equal(rig_thermal(g, 0)->total_memories,
			 (uint64_t)rig_sql(g, "SELECT count(*) FROM thermal_memory_now"));
	free(ids);
}

#define T(name) cmocka_unit_test_setup_teardown(name, rig_setup, rig_teardown)
int main(void)
{
	const struct CMUnitTest tests[] = {
		T(foreign_and_damaged_files),
		T(newer_schema),
		T(kill_9_loses_nothing_acknowledged),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
