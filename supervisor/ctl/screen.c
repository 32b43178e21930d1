#include "supervisor/ctl/screen.h"
#include "common/base/clock.h"
#include "common/base/err.h"
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#define CTRL_C       3
#define ROWS_DEFAULT 24
/* other screen, no cursor, long lines are cut, not wrapped; and back */
#define TAKE "\x1b[?1049h\x1b[?25l\x1b[?7l\x1b[2J"
#define GIVE "\x1b[?7h\x1b[?25h\x1b[?1049l"

struct screen {
	bool keys; /* standard input is a terminal */
	struct termios before;
	struct sigaction old_winch, old_tstp;
};

static volatile sig_atomic_t stop_asked;

static void on_winch(int sig)
{
	(void)sig; /* that poll() returns is all */
}

static void on_tstp(int sig)
{
	(void)sig;
	stop_asked = 1;
}

static void put(const char *text)
{
	ssize_t n;

	do
		n = write(STDOUT_FILENO, text, strlen(text));
	while (n < 0 && errno == EINTR);
}

static void take(struct screen *s)
{
	struct termios raw = s->before;

	raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
	raw.c_cc[VMIN] = 1;
	raw.c_cc[VTIME] = 0;
	if (s->keys)
		(void)tcsetattr(STDIN_FILENO, TCSADRAIN, &raw);
	put(TAKE);
}

static void give_back(struct screen *s)
{
	put(GIVE);
	if (s->keys)
		(void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &s->before);
}

int screen_open(struct screen **out)
{
	struct sigaction winch = {.sa_handler = on_winch}, tstp = {.sa_handler = on_tstp};
	struct screen *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return TR_ENOMEM;
	s->keys = tcgetattr(STDIN_FILENO, &s->before) == 0;
	(void)sigemptyset(&winch.sa_mask);
	(void)sigemptyset(&tstp.sa_mask);
	stop_asked = 0;
	(void)sigaction(SIGWINCH, &winch, &s->old_winch);
	(void)sigaction(SIGTSTP, &tstp, &s->old_tstp);
	take(s);
	*out = s;
	return 0;
}

void screen_close(struct screen **s)
{
	if (s == NULL || *s == NULL)
		return;
	give_back(*s);
	(void)sigaction(SIGWINCH, &(*s)->old_winch, NULL);
	(void)sigaction(SIGTSTP, &(*s)->old_tstp, NULL);
	free(*s);
	*s = NULL;
}

unsigned screen_rows(const struct screen *s)
{
	struct winsize w;

	(void)s;
	return ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) < 0 || w.ws_row == 0 ? ROWS_DEFAULT : w.ws_row;
}

static void stop_here(struct screen *s)
{
	give_back(s);
	stop_asked = 0;
	(void)raise(SIGSTOP); /* and here it goes on after fg */
	take(s);
}

enum screen_event screen_wait(struct screen *s, uint64_t until_ms)
{
	struct pollfd p = {.fd = s->keys ? STDIN_FILENO : -1, .events = POLLIN};
	uint64_t now = tr_mono_ms();
	ssize_t got;
	char key;
	int n;

	n = stop_asked ? -1 : poll(&p, 1, until_ms > now ? (int)(until_ms - now) : 0);
	if (stop_asked)
		stop_here(s);
	if (n <= 0)
		return SCREEN_DRAW;
	got = read(STDIN_FILENO, &key, 1);
	if (got < 0 && errno == EINTR)
		return SCREEN_DRAW;
	if (got != 1)
		return SCREEN_LEAVE;
	return key == 'q' || key == 'Q' || key == CTRL_C ? SCREEN_LEAVE : SCREEN_DRAW;
}

void screen_frame(struct buf *out, const char *text, size_t n, unsigned rows)
{
	(void)buf_puts(out, "\x1b[H");
	for (unsigned row = 0; row < rows && n > 0; row++) {
		const char *end = memchr(text, '\n', n);
		size_t len = end == NULL ? n : (size_t)(end - text);

		/* no line break behind the last row: it would scroll */
		(void)buf_puts(out, row == 0 ? "\x1b[K" : "\r\n\x1b[K");
		(void)buf_append(out, text, len);
		text += len + (end != NULL);
		n -= len + (end != NULL);
	}
	(void)buf_puts(out, "\x1b[0m\x1b[J");
}
