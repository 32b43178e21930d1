#include "tests/bench/control.h"
#include "proto/wire/wire.h"
#include "tests/bench/common.h"
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define ROOM        (1u << 20)
#define PATIENCE_MS 30000

void control_open(struct control *c, const char *run_dir)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int n = snprintf(a.sun_path, sizeof(a.sun_path), "%s/control.sock", run_dir);

	*c = (struct control){.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), .p = bench_room(1, ROOM)};
	bench_must(n > 0 && (size_t)n < sizeof(a.sun_path), "a directory with a name of that length: it");
	bench_must(c->fd >= 0 && connect(c->fd, (const struct sockaddr *)&a, sizeof(a)) == 0,
		   "connecting to control.sock");
}

void control_close(struct control *c)
{
	(void)close(c->fd);
	free(c->p);
	c->p = NULL;
}

/* The answer is parsed into in, which borrows from c->p. */
static void call(struct control *c, enum wire_msg_id id, const void *msg, struct wire_in *in)
{
	msgpack_sbuffer sb;
	int64_t len;
	size_t have = 0;

	msgpack_sbuffer_init(&sb);
	bench_must(wire_pack_request(&sb, ++c->msgid, id, msg) == 0, "packing a request");
	bench_must(send(c->fd, sb.data, sb.size, MSG_NOSIGNAL) == (ssize_t)sb.size, "asking tribed");
	msgpack_sbuffer_destroy(&sb);
	while ((len = wire_frame_length(c->p, have, ROOM)) == 0) {
		struct pollfd p = {.fd = c->fd, .events = POLLIN};
		ssize_t n;

		bench_must(poll(&p, 1, PATIENCE_MS) > 0, "an answer of tribed within 30 s");
		n = recv(c->fd, c->p + have, ROOM - have, 0);
		bench_must(n > 0, "reading an answer of tribed");
		have += (size_t)n;
	}
	bench_must(len > 0 && (size_t)len == have && wire_parse(in, c->p, have) == 0, "understanding tribed");
	bench_must(in->kind == WIRE_RESPONSE && in->msgid == c->msgid, "understanding tribed");
	if (in->error != NULL) {
		struct tr_fault fault;

		wire_decode_error(in, &fault);
		(void)fprintf(stderr, "%s: tribed says of %s: %s\n", program_invocation_short_name,
			      wire_methods[id].method, fault.rule);
		exit(1);
	}
}

static bool is(wire_str s, const char *word)
{
	return s.n == strlen(word) && memcmp(s.p, word, s.n) == 0;
}

void control_ask(struct control *c, enum tr_role role, struct control_role *out)
{
	const struct msg_status msg = {.common = {.has_request_id = false}};
	struct res_status res;
	struct tr_fault fault;
	struct wire_in in;
	const struct item_jr *jr;

	call(c, MSG_status, &msg, &in);
	bench_must(wire_decode_result(&in, MSG_status, &res, &fault) == 0, "understanding a status");
	jr = role == TR_ROLE_MEMORY      ? &res.jrs.memory_jr
	     : role == TR_ROLE_EXECUTIVE ? &res.jrs.executive_jr
	     : role == TR_ROLE_META      ? &res.jrs.meta_jr
					 : &res.jrs.integration_jr;
	*out = (struct control_role){.up = is(jr->state, "up"),
				     .pid = jr->has_pid ? jr->pid : 0,
				     .generation = jr->generation,
				     .epoch = jr->epoch,
				     .understudies = jr->understudies.n};
	for (uint32_t i = 0; i < jr->understudies.n; i++)
		out->waiting += is(jr->understudies.v[i].state, "waiting");
	wire_in_free(&in);
}

void control_inject(struct control *c, enum tr_role role, const char *fault, uint32_t amount)
{
	const struct msg_fault_inject msg = {.jr = wire_s(tr_roles[role].api_name),
					     .fault = wire_s(fault),
					     .has_amount = amount > 0,
					     .amount = amount};
	struct wire_in in;

	call(c, MSG_fault_inject, &msg, &in);
	wire_in_free(&in);
}
