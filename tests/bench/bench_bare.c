/* The bare parser library: libuv and llhttp, a request in, the same answer out, and nothing else. What it costs is what
 * the kernel, the loop and the parser cost; any server on them costs that. bench-bare FILE    serves its bytes at every
 * path; writes the port it took to standard output */
#include "tests/bench/common.h"
#include <llhttp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

struct conn {
	uv_tcp_t tcp;
	llhttp_t ll;
};
static struct {
	uv_loop_t loop;
	uv_tcp_t listener;
	llhttp_settings_t settings;
	char *answer;
	size_t n;
	char read_buf[65536];
} srv;

static void on_closed(uv_handle_t *h)
{
	free(h->data);
}

static void on_written(uv_write_t *w, int status)
{
	(void)status;
	free(w);
}

static int on_complete(llhttp_t *ll)
{
	struct conn *c = ll->data;
	uv_buf_t v = uv_buf_init(srv.answer, (unsigned)srv.n);
	int r = uv_try_write((uv_stream_t *)&c->tcp, &v, 1);
	size_t done = r > 0 ? (size_t)r : 0;

	if (done < srv.n) { /* its bytes stay: nothing is copied */
		uv_write_t *w = malloc(sizeof(*w));

		bench_must(w != NULL, "memory");
		v = uv_buf_init(srv.answer + done, (unsigned)(srv.n - done));
		uv_write(w, (uv_stream_t *)&c->tcp, &v, 1, on_written);
	}
	return 0;
}

static void on_alloc(uv_handle_t *h, size_t suggested, uv_buf_t *buf)
{
	(void)h;
	(void)suggested;
	*buf = uv_buf_init(srv.read_buf, sizeof(srv.read_buf));
}

static void on_read(uv_stream_t *s, ssize_t n, const uv_buf_t *buf)
{
	struct conn *c = s->data;

	if (n < 0 || (n > 0 && llhttp_execute(&c->ll, buf->base, (size_t)n) != HPE_OK))
		uv_close((uv_handle_t *)s, on_closed);
}

static void on_connection(uv_stream_t *s, int status)
{
	struct conn *c = calloc(1, sizeof(*c));

	bench_must(status == 0 && c != NULL, "accept");
	uv_tcp_init(&srv.loop, &c->tcp);
	c->tcp.data = c;
	llhttp_init(&c->ll, HTTP_REQUEST, &srv.settings);
	c->ll.data = c;
	if (uv_accept(s, (uv_stream_t *)&c->tcp) < 0) {
		uv_close((uv_handle_t *)&c->tcp, on_closed);
		return;
	}
	uv_tcp_nodelay(&c->tcp, 1);
	uv_read_start((uv_stream_t *)&c->tcp, on_alloc, on_read);
}

static void load_answer(const char *path)
{
	FILE *f = fopen(path, "rb");
	long size = 0;
	int head;

	bench_must(f != NULL && fseek(f, 0, SEEK_END) == 0 && (size = ftell(f)) > 0, path);
	rewind(f);
	srv.answer = bench_room(1, (size_t)size + 256);
	head = snprintf(srv.answer, 256,
			"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %ld\r\n\r\n", size);
	bench_must(fread(srv.answer + head, 1, (size_t)size, f) == (size_t)size, path);
	srv.n = (size_t)head + (size_t)size;
	(void)fclose(f);
}

int main(int argc, char **argv)
{
	struct sockaddr_storage at;
	struct sockaddr_in in;
	int n = sizeof(at);

	if (argc != 2) {
		(void)fputs("usage: bench-bare FILE\n", stderr);
		return 2;
	}
	load_answer(argv[1]);
	llhttp_settings_init(&srv.settings);
	srv.settings.on_message_complete = on_complete;
	uv_loop_init(&srv.loop);
	uv_tcp_init(&srv.loop, &srv.listener);
	uv_ip4_addr("127.0.0.1", 0, &in);
	bench_must(uv_tcp_bind(&srv.listener, (const struct sockaddr *)&in, 0) == 0 &&
			   uv_listen((uv_stream_t *)&srv.listener, 1024, on_connection) == 0 &&
			   uv_tcp_getsockname(&srv.listener, (struct sockaddr *)&at, &n) == 0,
		   "listening");
	(void)printf("%d\n", ntohs(((const struct sockaddr_in *)(const void *)&at)->sin_port));
	(void)fflush(stdout);
	uv_run(&srv.loop, UV_RUN_DEFAULT); /* until SIGTERM */
	return 0;
}
