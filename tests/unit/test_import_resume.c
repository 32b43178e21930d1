/* tribectl import against a memory-jr and an integration-jr of cardboard: what is sent again after an end in the
 * middle, what never is, undo and the list. */
#include "common/base/buf.h"
#include "common/loop/loop.h"
#include "proto/chan/server.h"
#include "supervisor/ctl/commands.h"
#include <fcntl.h>
#include <ftw.h>
#include <jansson.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#define PIECES_MAX 256

static char dir[] = "/tmp/tribe-test-resume-XXXXXX";

/* The thread's own; the test reads and sets it only between commands. */
static struct tribe {
	pthread_t thread;
	uv_loop_t loop;
	uv_async_t leave;
	int fds[2];
	struct chan_server *memory, *integration;
	/* the one import it knows */
	char id[WIRE_ID_MAX + 1], name[WIRE_NAME_MAX + 1];
	uint64_t position, size, added, skipped;
	int64_t started;
	bool finished, undone;
	unsigned begins, undos;
	/* the pieces of this run, in order */
	struct piece {
		char name[64], request[129];
		uint64_t first_line, position;
		unsigned lines;
	} pieces[PIECES_MAX];
	unsigned npieces, looks; /* looks: pieces only looked at, sent before */
	unsigned fail_at;        /* this piece gets an error, 1 the first; 0: none */
	bool fail_late;          /* ... though it was done and noted */
	unsigned notes;          /* memory.add of nothing */
} tribe;

static void put(char *out, size_t size, wire_str s)
{
	(void)snprintf(out, size, "%.*s", (int)s.n, s.p);
}

static void progress(uint64_t position, uint64_t skipped)
{
	tribe.position = position;
	tribe.skipped += skipped;
	tribe.finished = position == tribe.size;
}

static struct item_import the_import(void)
{
	return (struct item_import){.id = wire_s(tribe.id),
				    .name = wire_s(tribe.name),
				    .position = tribe.position,
				    .size = tribe.size,
				    .added = tribe.added,
				    .skipped = tribe.skipped,
				    .started = tribe.started,
				    .has_finished = tribe.finished,
				    .finished = tribe.started,
				    .has_undone = tribe.undone,
				    .undone = tribe.started};
}

static void on_begin(void *arg, struct chan_call *call, const void *msg)
{
	const struct msg_memory_import_begin *m = msg;
	char id[sizeof tribe.id];

	(void)arg;
	put(id, sizeof id, m->id);
	tribe.begins++;
	if (strcmp(id, tribe.id) != 0 || tribe.undone) {
		put(tribe.name, sizeof tribe.name, m->name);
		(void)strcpy(tribe.id, id);
		tribe.position = tribe.added = tribe.skipped = 0;
		tribe.size = m->size;
		tribe.started += 1000;
		tribe.finished = tribe.undone = false;
	}
	chan_reply(call, &(struct res_memory_import_begin){.import = the_import()});
}

static void on_add(void *arg, struct chan_call *call, const void *msg)
{
	const struct msg_memory_add *m = msg;

	(void)arg;
	assert_int_equal(m->memories.n, 0);
	assert_true(m->has_import_id && m->has_import_position && m->has_import_skipped);
	tribe.notes++;
	progress(m->import_position, m->import_skipped);
	chan_reply(call, &(struct res_memory_add){.memories = {NULL, 0}});
}

static void on_imports(void *arg, struct chan_call *call, const void *msg)
{
	struct item_import v = the_import();

	(void)arg, (void)msg;
	chan_reply(call, &(struct res_memory_imports){.imports = {&v, tribe.id[0] != '\0'}});
}

static void on_undo(void *arg, struct chan_call *call, const void *msg)
{
	(void)arg, (void)msg;
	tribe.undos++;
	tribe.undone = tribe.undos == 3;
	chan_reply(call, &(struct res_memory_import_undo){
				 .removed = tribe.undone ? 5 : 1000, .kept = 2, .more = !tribe.undone});
}

static void on_import(void *arg, struct chan_call *call, const void *msg)
{
	const struct msg_integration_import *m = msg;
	struct item_skipped why[2] = {{.line = m->first_line, .reason = wire_s("bad"), .has_count = true, .count = 4},
				      {.line = m->first_line + 1, .reason = wire_s("bad")}};
	struct piece *p = &tribe.pieces[tribe.npieces];
	bool fails;

	(void)arg;
	if (m->has_look && m->look) {
		assert_false(m->has_import_id || m->has_import_position);
		tribe.looks++;
		chan_reply(call, &(struct res_integration_import){.skipped = 4, .reasons = {why, 2}});
		return;
	}
	fails = tribe.fail_at == ++tribe.npieces;
	assert_true(tribe.npieces <= PIECES_MAX);
	assert_true(m->common.has_request_id && m->has_import_id && m->has_import_position);
	put(p->name, sizeof p->name, m->name);
	put(p->request, sizeof p->request, m->common.request_id);
	p->first_line = m->first_line;
	p->position = m->import_position;
	p->lines = 0;
	for (uint32_t i = 0; i < m->data.n; i++)
		p->lines += m->data.p[i] == '\n';
	if (!fails || tribe.fail_late) {
		progress(m->import_position, 4);
		tribe.added += p->lines;
	}
	if (fails)
		chan_failf(call, TR_ESTORE, "", "not now");
	else
		chan_reply(call,
			   &(struct res_integration_import){.added = p->lines, .skipped = 4, .reasons = {why, 2}});
}

static void on_leave(uv_async_t *h)
{
	chan_server_free(&tribe.memory);
	chan_server_free(&tribe.integration);
	uv_close((uv_handle_t *)h, NULL);
}

static unsigned anybody(void *arg, pid_t pid, uid_t uid, gid_t gid)
{
	(void)arg, (void)pid, (void)uid, (void)gid;
	return FROM_USER;
}

static void *serve(void *arg)
{
	(void)uv_run(&tribe.loop, UV_RUN_DEFAULT);
	return arg;
}

static struct chan_server *server(const char *name, int *fd)
{
	struct chan_server_cfg cfg = {
		.loop = &tribe.loop, .max_conns = 8, .max_queue = 32 << 20, .max_inflight = 8, .identify = anybody};
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	struct chan_server *s = NULL;

	(void)snprintf(a.sun_path, sizeof a.sun_path, "%s/%s", dir, name);
	*fd = cfg.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	assert_int_equal(bind(*fd, (const struct sockaddr *)&a, sizeof a), 0);
	assert_int_equal(listen(*fd, 16), 0);
	assert_int_equal(chan_server_new(&s, &cfg), 0);
	return s;
}

static int setup(void **state)
{
	(void)state;
	assert_non_null(mkdtemp(dir));
	assert_int_equal(uv_loop_init(&tribe.loop), 0);
	assert_int_equal(uv_async_init(&tribe.loop, &tribe.leave, on_leave), 0);
	tribe.memory = server("memory.sock", &tribe.fds[0]);
	tribe.integration = server("integration.sock", &tribe.fds[1]);
	chan_server_handle(tribe.memory, MSG_memory_import_begin, on_begin, NULL);
	chan_server_handle(tribe.memory, MSG_memory_add, on_add, NULL);
	chan_server_handle(tribe.memory, MSG_memory_imports, on_imports, NULL);
	chan_server_handle(tribe.memory, MSG_memory_import_undo, on_undo, NULL);
	chan_server_handle(tribe.integration, MSG_integration_import, on_import, NULL);
	return pthread_create(&tribe.thread, NULL, serve, NULL);
}

static int drop(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st, (void)type, (void)ftw;
	return remove(path);
}

static int teardown(void **state)
{
	(void)state;
	(void)uv_async_send(&tribe.leave);
	(void)pthread_join(tribe.thread, NULL);
	return loop_finish(&tribe.loop) < 0 ? -1 : nftw(dir, drop, 16, FTW_DEPTH | FTW_PHYS);
}

/* Runs `tribectl import --json WORDS` (words parted by '|'); *out: its result, NULL when it printed none. */
static enum ctl_exit import(json_t **out, const char *line)
{
	char words[1024], *next = NULL, *argv[16], name[] = "tribectl", flag[] = "--runtime", json[] = "--json",
			  cmd[] = "import", text[65536] = "";
	int saved = dup(STDOUT_FILENO), argc = 0;
	struct ctl_error err = {.text = ""};
	enum ctl_exit e = CTL_USAGE;
	FILE *tmp = tmpfile();
	struct ctl_args args;
	struct ctl *c = NULL;

	(void)snprintf(words, sizeof words, "%s", line);
	argv[argc++] = name;
	argv[argc++] = flag;
	argv[argc++] = dir;
	argv[argc++] = json;
	argv[argc++] = cmd;
	for (char *w = strtok_r(words, "|", &next); w != NULL; w = strtok_r(NULL, "|", &next))
		argv[argc++] = w;
	argv[argc] = NULL;
	tribe.npieces = tribe.notes = tribe.looks = 0;
	(void)fflush(stdout);
	assert_true(dup2(fileno(tmp), STDOUT_FILENO) >= 0);
	if (ctl_parse(&args, ctl_globals, ctl_commands, argc, argv, &err) == 0) {
		if ((e = ctl_open(&c, &args)) == CTL_DONE)
			e = cmd_import(c, &args);
		ctl_close(&c);
		ctl_args_free(&args);
	}
	(void)fflush(stdout);
	(void)dup2(saved, STDOUT_FILENO);
	(void)close(saved);
	rewind(tmp);
	(void)!fread(text, 1, sizeof text - 1, tmp);
	(void)fclose(tmp);
	*out = json_loads(text, 0, NULL);
	return e;
}

static long number(const json_t *j, const char *key)
{
	return (long)json_integer_value(json_object_get(j, key));
}

/* The result names a reason for everything that was skipped in all. */
static void check_reasons(const json_t *j, long skipped)
{
	const json_t *all = json_object_get(j, "reasons");
	long sum = 0;

	for (size_t i = 0; i < json_array_size(all); i++)
		sum += number(json_array_get(all, i), "count");
	assert_int_equal(number(json_object_get(j, "total"), "skipped"), skipped);
	assert_int_equal(sum, skipped);
}

/* A directory of a document, 10,000 lines and another document. */
static void material(void)
{
	char path[256];
	FILE *f;

	(void)snprintf(path, sizeof path, "%s/m", dir);
	assert_int_equal(mkdir(path, 0700), 0);
	(void)snprintf(path, sizeof path, "%s/m/a.txt", dir);
	f = fopen(path, "we");
	(void)fputs("One.\n\nTwo.\n", f);
	(void)fclose(f);
	(void)snprintf(path, sizeof path, "%s/m/b.jsonl", dir);
	f = fopen(path, "we");
	for (int i = 0; i < 10000; i++)
		(void)fprintf(f, "{\"content\":\"line %d\"}\n", i);
	(void)fclose(f);
	(void)snprintf(path, sizeof path, "%s/m/c.md", dir);
	f = fopen(path, "we");
	(void)fputs("# T\n\nText.\n", f);
	(void)fclose(f);
}

static void goes_on_where_it_stopped(void **state)
{
	struct piece whole[PIECES_MAX];
	char where[256], id[64];
	unsigned n;
	json_t *j;

	(void)state;
	material();
	(void)snprintf(where, sizeof where, "%s/m", dir);
	assert_int_equal(import(&j, where), CTL_DONE);
	n = tribe.npieces;
	assert_int_equal(n, 5); /* a.txt, three pieces of at most 4096 lines, c.md */
	memcpy(whole, tribe.pieces, sizeof whole);
	assert_int_equal(whole[1].first_line, 1);
	assert_int_equal(whole[2].first_line, 4097);
	assert_int_equal(whole[4].position, tribe.size);
	assert_true(number(j, "files") == 3 && number(j, "skipped") == 20);
	(void)snprintf(id, sizeof id, "%s", json_string_value(json_object_get(j, "import_id")));
	json_decref(j);

	/* once more: it is done, and nothing is sent but for the reasons */
	assert_int_equal(import(&j, where), CTL_DONE);
	assert_int_equal(tribe.npieces, 0);
	assert_int_equal(tribe.looks, n);
	check_reasons(j, 20);
	assert_true(json_is_true(json_object_get(j, "finished_before")));
	assert_true(number(j, "added") == 0 && number(j, "known") == (long)tribe.added);
	json_decref(j);

	for (unsigned late = 0; late < 2; late++)
		for (unsigned at = 1; at <= n; at++) {
			unsigned done = at - 1 + late, rest;

			tribe.undone = true; /* begins anew */
			tribe.fail_at = at;
			tribe.fail_late = late;
			assert_int_equal(import(&j, where), CTL_FAILED);
			assert_null(j);
			assert_int_equal(tribe.npieces, at);
			assert_string_not_equal(tribe.pieces[0].request, whole[0].request); /* undone: other requests */
			memcpy(whole, tribe.pieces, at * sizeof whole[0]);
			tribe.fail_at = 0;
			assert_int_equal(import(&j, where), CTL_DONE);
			assert_string_equal(tribe.id, id);
			rest = tribe.npieces;
			assert_int_equal(rest, n - done);
			assert_int_equal(tribe.looks, done);
			check_reasons(j, 4 * (long)n);
			for (unsigned i = 0; i < rest; i++) { /* the very same pieces */
				assert_string_equal(tribe.pieces[i].name, whole[done + i].name);
				assert_int_equal(tribe.pieces[i].first_line, whole[done + i].first_line);
				assert_int_equal(tribe.pieces[i].position, whole[done + i].position);
			}
			if (!late) /* under the very same request */
				assert_string_equal(tribe.pieces[0].request, whole[at - 1].request);
			assert_true(json_is_true(json_object_get(j, "resumed")) == (done > 0 && done < n));
			assert_int_equal(tribe.added, 10000 + 3 + 3);
			json_decref(j);
		}
}

static void reasons_are_grouped(void **state)
{
	json_t *j, *r;
	char where[256];

	(void)state;
	(void)snprintf(where, sizeof where, "--source|other|%s/m", dir); /* another source is another import */
	assert_int_equal(import(&j, where), CTL_DONE);
	assert_int_equal(tribe.npieces, 5);
	r = json_object_get(j, "reasons");
	assert_int_equal(json_array_size(r), 1);
	assert_int_equal(number(json_array_get(r, 0), "count"), 20);
	assert_int_equal(json_array_size(json_object_get(json_array_get(r, 0), "places")), 3);
	json_decref(j);
}

static void a_line_too_long_is_noted(void **state)
{
	char path[256], *big = malloc(1200000);
	json_t *j;
	FILE *f;

	(void)state;
	memset(big, 'x', 1200000);
	(void)snprintf(path, sizeof path, "%s/big.jsonl", dir);
	f = fopen(path, "we");
	(void)fputs("{\"content\":\"a\"}\n", f);
	(void)fwrite(big, 1, 1200000, f);
	(void)fputs("\n{\"content\":\"b\"}\n", f);
	(void)fclose(f);
	free(big);
	assert_int_equal(import(&j, path), CTL_DONE);
	assert_int_equal(tribe.npieces, 2);
	assert_int_equal(tribe.notes, 1);
	assert_int_equal(tribe.pieces[1].first_line, 3);
	assert_true(tribe.finished);
	assert_int_equal(number(j, "skipped"), 9);
	json_decref(j);
	assert_int_equal(import(&j, path), CTL_DONE); /* and named again when nothing is to be done */
	assert_int_equal(tribe.npieces + tribe.notes, 0);
	check_reasons(j, 9);
	json_decref(j);
	tribe.skipped += 2; /* by the archive: the material does not tell why */
	assert_int_equal(import(&j, path), CTL_DONE);
	check_reasons(j, 11);
	json_decref(j);
	(void)snprintf(path, sizeof path, "%s/empty.txt", dir);
	f = fopen(path, "we");
	(void)fclose(f);
	assert_int_equal(import(&j, path), CTL_DONE); /* nothing to remember, nothing wrong */
	assert_int_equal(tribe.npieces + tribe.notes, 0);
	json_decref(j);
}

static void undo_and_list(void **state)
{
	char words[256];
	json_t *j;

	(void)state;
	assert_int_equal(import(&j, "--list"), CTL_DONE);
	assert_int_equal(json_array_size(json_object_get(j, "imports")), 1);
	json_decref(j);
	(void)snprintf(words, sizeof words, "--undo|%s", tribe.id);
	if (!isatty(STDIN_FILENO)) {
		assert_int_equal(import(&j, words), CTL_USAGE); /* nobody can be asked */
		assert_int_equal(tribe.undos, 0);
	}
	assert_int_equal(import(&j, "--undo|000000nothing|--yes"), CTL_FAILED);
	(void)snprintf(words, sizeof words, "--undo|%.8s|--yes", tribe.id);
	assert_int_equal(import(&j, words), CTL_DONE);
	assert_int_equal(tribe.undos, 3);
	assert_true(number(j, "removed") == 2005 && number(j, "kept") == 2);
	json_decref(j);
	assert_int_equal(import(&j, "--list|--undo|x"), CTL_USAGE);
	assert_int_equal(import(&j, ""), CTL_USAGE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(goes_on_where_it_stopped),
		cmocka_unit_test(reasons_are_grouped),
		cmocka_unit_test(a_line_too_long_is_noted),
		cmocka_unit_test(undo_and_list),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
