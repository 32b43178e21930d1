/* A world with two sockets for testing one Jr's handlers: a memory-jr that the test plays, and the Jr under test. */
#ifndef TESTS_UNIT_JR_WORLD_H
#define TESTS_UNIT_JR_WORLD_H
#include "proto/chan/peer.h"
#include "proto/chan/server.h"
#include "tests/unit/world.h"

struct jr_world {
	struct world w;
	char memory_path[108], jr_path[108];
	struct chan_server *memory, *jr; /* memory NULL: memory-jr is away */
	struct peer *to_memory;          /* the Jr's own */
	struct peer *caller;             /* the test's, to the Jr */
};

static unsigned jr_world_anybody(void *arg, pid_t pid, uid_t uid, gid_t gid)
{
	(void)arg;
	(void)pid;
	(void)uid;
	(void)gid;
	return FROM_ANY_JR | FROM_USER;
}

static inline struct chan_server *jr_world_serve(struct jr_world *j, const char *path)
{
	struct chan_server_cfg cfg = {.loop = &j->w.loop,
				      .max_conns = 8,
				      .max_queue = 32 << 20,
				      .max_inflight = 8,
				      .identify = jr_world_anybody};
	struct chan_server *s = NULL;

	(void)unlink(path);
	(void)strcpy(j->w.path, path);
	cfg.fd = world_listen(&j->w);
	assert_int_equal(chan_server_new(&s, &cfg), 0);
	return s;
}

static inline void jr_world_open(struct jr_world *j)
{
	memset(j, 0, sizeof *j);
	world_open(&j->w);
	(void)snprintf(j->memory_path, sizeof j->memory_path, "%s/memory.sock", j->w.dir);
	(void)snprintf(j->jr_path, sizeof j->jr_path, "%s/jr.sock", j->w.dir);
	j->jr = jr_world_serve(j, j->jr_path);
	assert_int_equal(peer_new(&j->to_memory, &j->w.loop, j->memory_path, 64), 0);
	assert_int_equal(peer_new(&j->caller, &j->w.loop, j->jr_path, 64), 0);
}

/* The Jr's own object was freed before. */
static inline void jr_world_close(struct jr_world *j)
{
	peer_free(&j->caller);
	peer_free(&j->to_memory);
	chan_server_free(&j->jr);
	chan_server_free(&j->memory);
	(void)unlink(j->memory_path);
	(void)unlink(j->jr_path);
	world_close(&j->w);
}

#endif
