/* Two real executive-jr on one HTTP socket, one page: who leads answers, who waits does not even look. The test plays
 * tribed and a browser. Links common/lead and proto/chan; starts the program beside its own. */
#include "proto/chan/packet.h"
#include "tests/unit/kit_spawn.h"
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

struct copy {
	struct packet *channel;
	pid_t pid;
	uint32_t generation;
	unsigned leads;
	uint64_t since_ns;
	char state[16];
	uint32_t inflight, overdue;
};
struct site {
	struct world w;
	int listener, http, lead_fd, quiet;
	unsigned short port;
	struct lead_page *lead;
	struct copy copies[2];
	char program[512];
};

static void on_message(void *arg, struct packet *ch, enum wire_msg_id id, uint32_t msgid, const void *msg)
{
	struct copy *c = arg;

	(void)ch;
	(void)msgid;
	if (id == MSG_lead) {
		c->leads++;
		c->since_ns = ((const struct msg_lead *)msg)->since_ns;
	} else if (id == MSG_heartbeat) {
		const struct msg_heartbeat *m = msg;

		c->inflight = m->inflight;
		c->overdue = m->overdue;
		(void)snprintf(c->state, sizeof(c->state), "%.*s", (int)m->state.n, m->state.p);
	}
}

static void on_close(void *arg, struct packet *ch)
{
	(void)arg;
	(void)ch;
}

static int setup(void **state)
{
	struct site *s = calloc(1, sizeof(*s));
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	socklen_t len = sizeof(a);
	ssize_t n = readlink("/proc/self/exe", s->program, sizeof(s->program) - 32);

	assert_true(n > 0);
	(void)strcpy(strrchr(s->program, '/'), "/executive-jr");
	world_open(&s->w);
	(void)snprintf(s->w.path, sizeof(s->w.path), "%s/executive.sock", s->w.dir);
	s->listener = world_listen(&s->w);
	s->http = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(s->http, (const struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(listen(s->http, 512), 0);
	assert_int_equal(getsockname(s->http, (struct sockaddr *)&a, &len), 0);
	s->port = ntohs(a.sin_port);
	s->quiet = open("/dev/null", O_WRONLY | O_CLOEXEC);
	assert_int_equal(lead_page_new(&s->lead_fd, &s->lead), 0);
	*state = s;
	return 0;
}

static int teardown(void **state)
{
	struct site *s = *state;

	for (int i = 0; i < 2; i++) {
		if (s->copies[i].pid > 0) {
			(void)kill(s->copies[i].pid, SIGKILL);
			(void)waitpid(s->copies[i].pid, NULL, 0);
		}
		packet_free(&s->copies[i].channel);
	}
	(void)close(s->listener);
	(void)close(s->http);
	(void)close(s->quiet);
	lead_page_unmap(&s->lead);
	(void)close(s->lead_fd);
	world_close(&s->w);
	free(s);
	return 0;
}

static struct copy *spawn(struct site *s, int i, const char *state)
{
	static const struct packet_ops ops = {on_message, on_close};
	char generation[16];
	struct spawn sp = {
		.program = s->program, .names = "channel:config:socket:lead:http", .generation = generation, .nfds = 5};
	struct spawn_fds fds = {.socket = s->listener, .lead = s->lead_fd, .http = s->http, .err = s->quiet};
	struct copy *c = &s->copies[i];
	int ends[2];

	c->generation = (uint32_t)i + 1;
	(void)snprintf(generation, sizeof(generation), "%d", i + 1);
	fds.config = spawn_config("heartbeat_ms: 10\nhang_after_ms: 100\nrequest_timeout_ms: 300\ndrills: true\n");
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
	fds.channel = ends[1];
	c->pid = fork();
	assert_true(c->pid >= 0);
	if (c->pid == 0)
		spawn_become(&sp, &fds, s->w.dir);
	(void)close(fds.config);
	(void)close(ends[1]);
	assert_int_equal(packet_new(&c->channel, &s->w.loop, ends[0], FROM_EXECUTIVE, &ops, c), 0);
	SPIN(&s->w, strcmp(c->state, state) == 0);
	return c;
}

static int http_ask(const struct site *s, int fd)
{
	static const char text[] = "GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n";
	struct sockaddr_in a = {
		.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}, .sin_port = htons(s->port)};

	if (fd < 0) {
		fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		assert_int_equal(connect(fd, (const struct sockaddr *)&a, sizeof(a)), 0); /* never refused */
	}
	assert_int_equal(send(fd, text, sizeof(text) - 1, MSG_NOSIGNAL), sizeof(text) - 1);
	return fd;
}

/* Has an answer come? 0: not yet; its status; -1: the connection is lost. */
static int http_status(int fd)
{
	char text[4096];
	ssize_t n = recv(fd, text, sizeof(text) - 1, MSG_DONTWAIT);

	if (n < 0 && errno == EAGAIN)
		return 0;
	if (n <= 0)
		return -1;
	text[n] = '\0';
	return strncmp(text, "HTTP/1.1 ", 9) == 0 ? atoi(text + 9) : -1;
}

/* How many descriptors does this process's epoll look at that are this socket (by inode)? */
static unsigned polls(pid_t pid, int socket)
{
	char path[64], link[64], want[64], line[256];
	struct stat st;
	unsigned found = 0;

	assert_int_equal(fstat(socket, &st), 0);
	(void)snprintf(want, sizeof(want), "ino:%lx ", (unsigned long)st.st_ino);
	for (int fd = 0; fd < 64; fd++) {
		ssize_t n;
		FILE *f;

		(void)snprintf(path, sizeof(path), "/proc/%ld/fd/%d", (long)pid, fd);
		n = readlink(path, link, sizeof(link) - 1);
		link[n < 0 ? 0 : n] = '\0';
		if (strcmp(link, "anon_inode:[eventpoll]") != 0)
			continue;
		(void)snprintf(path, sizeof(path), "/proc/%ld/fdinfo/%d", (long)pid, fd);
		f = fopen(path, "re");
		assert_non_null(f);
		while (fgets(line, sizeof(line), f) != NULL)
			found += strncmp(line, "tfd:", 4) == 0 && strstr(line, want) != NULL;
		(void)fclose(f);
	}
	return found;
}

static void http_goes_on(void **state)
{
	struct site *s = *state;
	struct copy *a = spawn(s, 0, "serving"), *b = spawn(s, 1, "waiting");
	int fds[40], fd, status = 0;
	uint64_t t;

	SPIN(&s->w, polls(a->pid, s->http) == 1 && polls(a->pid, s->listener) == 1); /* a turn after its beat */
	assert_int_equal(polls(b->pid, s->http), 0);
	assert_int_equal(polls(b->pid, s->listener), 0);
	fd = http_ask(s, -1);
	SPIN(&s->w, (status = http_status(fd)) != 0);
	assert_int_equal(status, 200);
	(void)close(fd);
	(void)kill(a->pid, SIGSTOP); /* so that what follows is neither accepted nor read by it */
	assert_int_equal(waitpid(a->pid, &status, WUNTRACED), a->pid);
	for (int i = 0; i < 40; i++)
		fds[i] = http_ask(s, -1);
	t = tr_mono_ns();
	(void)kill(a->pid, SIGKILL);
	for (int i = 0; i < 40; i++) {
		SPIN(&s->w, (status = http_status(fds[i])) != 0);
		if (i == 0)
			print_message("kill to the first answer over HTTP: %.0f us\n",
				      (double)(tr_mono_ns() - t) / 1e3);
		assert_int_equal(status, 200);
		(void)close(fds[i]);
	}
	SPIN(&s->w, b->leads == 1);
	SPIN(&s->w, polls(b->pid, s->http) == 1);
}

static void half_open_for_browsers_too(void **state)
{
	struct site *s = *state;
	struct copy *a = spawn(s, 0, "serving");
	struct msg_fault m = {.generation = 1, .fault = wire_s("half-open")};
	struct msg_heal over = {.generation = 1};
	int fd = http_ask(s, -1), status = 0;

	SPIN(&s->w, (status = http_status(fd)) != 0);
	assert_int_equal(packet_note(a->channel, MSG_fault, &m), 0);
	(void)http_ask(s, fd);
	SPIN(&s->w, a->inflight == 1 || (status = http_status(fd)) != 0); /* read before the harm, perhaps */
	if (a->inflight != 1) {
		(void)http_ask(s, fd);
		SPIN(&s->w, a->inflight == 1);
	}
	assert_int_equal(http_status(fd), 0);
	assert_int_equal(a->overdue, 0);
	SPIN(&s->w, a->overdue == 1); /* tribed would kill it soon */
	assert_int_equal(packet_note(a->channel, MSG_heal, &over), 0);
	SPIN(&s->w, (status = http_status(fd)) != 0);
	assert_int_equal(status, 200);
	SPIN(&s->w, a->inflight == 0 && a->overdue == 0);
	assert_int_equal(packet_note(a->channel, MSG_fault, &m), 0);
	(void)http_ask(s, fd);
	SPIN(&s->w, a->inflight == 1);
	(void)kill(a->pid, SIGTERM); /* and it can leave so */
	SPIN(&s->w, strcmp(a->state, "draining") == 0);
	assert_int_equal(packet_note(a->channel, MSG_heal, &over), 0);
	SPIN(&s->w, waitpid(a->pid, &status, WNOHANG) == a->pid);
	a->pid = 0;
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	(void)close(fd);
}

/* Who comes while it has no descriptors left waits in the kernel: for its heal, or for its successor. */
static void callers_wait_for_descriptors(void **state)
{
	struct site *s = *state;
	struct copy *a = spawn(s, 0, "serving"), *b = spawn(s, 1, "waiting");
	struct msg_fault m = {.generation = 1, .fault = wire_s("fd-exhaustion")};
	struct msg_heal over = {.generation = 1};
	int old = http_ask(s, -1), fds[20], status = 0;

	SPIN(&s->w, (status = http_status(old)) != 0);
	for (int round = 0; round < 2; round++) {
		struct rlimit files = {.rlim_cur = RLIM_INFINITY};

		assert_int_equal(packet_note(a->channel, MSG_fault, &m), 0);
		SPIN(&s->w, prlimit(a->pid, RLIMIT_NOFILE, NULL, &files) == 0 && files.rlim_cur < 64);
		for (int i = 0; i < 20; i++)
			fds[i] = http_ask(s, -1);
		for (int i = 0; i < 5; i++) { /* who has a connection is served */
			(void)http_ask(s, old);
			SPIN(&s->w, (status = http_status(old)) != 0);
			assert_int_equal(status, 200);
		}
		for (int i = 0; i < 20; i++)
			assert_int_equal(http_status(fds[i]), 0);
		if (round == 0)
			assert_int_equal(packet_note(a->channel, MSG_heal, &over), 0);
		else
			(void)kill(a->pid, SIGKILL);
		for (int i = 0; i < 20; i++) {
			SPIN(&s->w, (status = http_status(fds[i])) != 0);
			assert_int_equal(status, 200);
			(void)close(fds[i]);
		}
	}
	SPIN(&s->w, b->leads == 1);
	(void)close(old);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(http_goes_on),
		T(half_open_for_browsers_too),
		T(callers_wait_for_descriptors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
