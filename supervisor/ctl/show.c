#include "supervisor/ctl/show.h"
#include "common/base/clock.h"
#include "supervisor/ctl/clean.h"
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void show_paint(struct buf *out, const struct show_style *s, enum show_colour colour, const char *fmt, ...)
{
	static const char *const codes[] = {"", "\x1b[32m", "\x1b[33m", "\x1b[31m", "\x1b[2m", "\x1b[1m"};
	bool on = s->colour && colour != SHOW_PLAIN;
	char text[256];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	(void)buf_printf(out, "%s%s%s", on ? codes[colour] : "", text, on ? "\x1b[0m" : "");
}

void show_duration(char out[SHOW_SHORT], uint64_t seconds)
{
	uint64_t minutes = seconds / 60, hours = minutes / 60, days = hours / 24;

	if (minutes == 0)
		(void)snprintf(out, SHOW_SHORT, "%" PRIu64 "s", seconds);
	else if (hours == 0)
		(void)snprintf(out, SHOW_SHORT, "%" PRIu64 "m%02us", minutes, (unsigned)(seconds % 60));
	else if (days == 0)
		(void)snprintf(out, SHOW_SHORT, "%" PRIu64 "h%02um", hours, (unsigned)(minutes % 60));
	else
		(void)snprintf(out, SHOW_SHORT, "%" PRIu64 "d%02uh", days, (unsigned)(hours % 24));
}

void show_bytes(char out[SHOW_SHORT], uint64_t bytes)
{
	if (bytes < 1000000)
		(void)snprintf(out, SHOW_SHORT, "%u kB", (unsigned)(bytes / 1000));
	else if (bytes < 1000000000)
		(void)snprintf(out, SHOW_SHORT, "%.1f MB", (double)bytes / 1e6);
	else
		(void)snprintf(out, SHOW_SHORT, "%.1f GB", (double)bytes / 1e9);
}

void show_count(char out[SHOW_SHORT], uint64_t n)
{
	char digits[21];
	int len = snprintf(digits, sizeof(digits), "%" PRIu64, n), at = 0;

	if (len > 16) { /* 10^16: nobody counts that far; it must only fit */
		(void)snprintf(out, SHOW_SHORT, "%.3g", (double)n);
		return;
	}
	for (int i = 0; i < len; i++) {
		if (i > 0 && (len - i) % 3 == 0)
			out[at++] = ',';
		out[at++] = digits[i];
	}
	out[at] = '\0';
}

void show_time(char out[SHOW_SHORT], int64_t ms)
{
	char full[TR_RFC3339_LEN];

	tr_rfc3339_format(ms, full);
	(void)snprintf(out, SHOW_SHORT, "%.10s %.8sZ", full, full + 11);
}

/* ---- status ---- */

const struct item_jr *status_jr(const struct res_status *r, int role)
{
	const struct item_jr *const jrs[TR_NROLES] = {
		[TR_ROLE_MEMORY] = &r->jrs.memory_jr,
		[TR_ROLE_INTEGRATION] = &r->jrs.integration_jr,
		[TR_ROLE_META] = &r->jrs.meta_jr,
		[TR_ROLE_EXECUTIVE] = &r->jrs.executive_jr,
	};

	return jrs[role];
}

static bool equals(const wire_str *s, const char *text)
{
	return s->n == strlen(text) && memcmp(s->p, text, s->n) == 0;
}

bool status_is(const struct item_jr *j, const char *state)
{
	return equals(&j->state, state);
}

static enum show_colour state_colour(const wire_str *state)
{
	return equals(state, "up") ? SHOW_GOOD : equals(state, "failed") ? SHOW_BAD : SHOW_WARN;
}

static void show_understudy(struct buf *out, const struct show_style *s, const struct item_understudy *u)
{
	char age[SHOW_SHORT] = "-", mem[SHOW_SHORT] = "-", pid[16] = "-", beat[32] = "-";

	if (u->has_uptime_s)
		show_duration(age, u->uptime_s);
	if (u->has_rss_bytes)
		show_bytes(mem, u->rss_bytes);
	if (u->has_pid)
		(void)snprintf(pid, sizeof(pid), "%u", u->pid);
	if (u->has_heartbeat_age_ms)
		(void)snprintf(beat, sizeof(beat), "%" PRIu64 " ms", u->heartbeat_age_ms);
	(void)buf_printf(out, "%-12s ", "");
	show_paint(out, s, equals(&u->state, "waiting") ? SHOW_GOOD : SHOW_WARN, "%-9.*s", (int)u->state.n, u->state.p);
	(void)buf_printf(out, " %8s %8s %9s %10s %10s\n", pid, age, "", beat, mem);
}

static void show_jr(struct buf *out, const struct show_style *s, enum tr_role role, const struct item_jr *j)
{
	char age[SHOW_SHORT] = "-", mem[SHOW_SHORT] = "-", pid[16] = "-", beat[32] = "-";

	if (j->has_uptime_s)
		show_duration(age, j->uptime_s);
	if (j->has_rss_bytes)
		show_bytes(mem, j->rss_bytes);
	if (j->has_pid)
		(void)snprintf(pid, sizeof(pid), "%u", j->pid);
	if (j->has_heartbeat_age_ms)
		(void)snprintf(beat, sizeof(beat), "%" PRIu64 " ms", j->heartbeat_age_ms);
	(void)buf_printf(out, "%-12s ", tr_roles[role].name);
	show_paint(out, s, state_colour(&j->state), "%-9.*s", (int)j->state.n, j->state.p);
	(void)buf_printf(out, " %8s %8s %9" PRIu64 " %10s %10s\n", pid, age, j->restarts, beat, mem);
	for (uint32_t i = 0; i < j->understudies.n; i++)
		show_understudy(out, s, &j->understudies.v[i]);
}

/* Why a Jr is not up, one line each. */
static void show_trouble(struct buf *out, const struct show_style *s, enum tr_role role, const struct item_jr *j)
{
	if (state_colour(&j->state) == SHOW_GOOD || (!j->has_last_exit && !j->has_retry_in_ms))
		return;
	(void)buf_printf(out, "  %s: ", tr_roles[role].name);
	if (j->has_last_exit)
		clean_text(out, j->last_exit.p, j->last_exit.n, " ", 0);
	if (j->has_retry_in_ms)
		show_paint(out, s, SHOW_WARN, "%stried again in %.1f s", j->has_last_exit ? "; " : "",
			   (double)j->retry_in_ms / 1e3);
	(void)buf_puts(out, "\n");
}

static void show_component(struct buf *out, const char *name, bool known, double value)
{
	if (known)
		(void)buf_printf(out, "   %s %.2f", name, value);
	else
		(void)buf_printf(out, "   %s unknown", name);
}

static void show_sentience(struct buf *out, const struct show_style *s, const struct item_sentience *v)
{
	(void)buf_puts(out, "sentience    ");
	if (v->has_index)
		show_paint(out, s, v->index < 40 ? SHOW_BAD : SHOW_GOOD, "%.1f", v->index);
	else
		show_paint(out, s, SHOW_WARN, "warming up");
	show_component(out, "uptime", v->has_uptime, v->uptime);
	show_component(out, "coherence", v->has_coherence, v->coherence);
	show_component(out, "balance", v->has_thermal_balance, v->thermal_balance);
	(void)buf_puts(out, "\n");
}

/* A part a line: a screen is narrow. */
static void show_reason(struct buf *out, wire_str s)
{
	const char *p = s.p, *end = s.p + s.n;

	while (p < end) {
		const char *stop = memchr(p, ';', (size_t)(end - p));
		size_t n = (size_t)((stop == NULL ? end : stop) - p);

		while (n > 0 && *p == ' ')
			p++, n--;
		(void)buf_puts(out, "\n    ");
		clean_text(out, p, n, " ", 0);
		p += n + (stop != NULL);
	}
}

/* An address that a client of this machine can use: nobody can connect to "all of them". */
static void show_api(struct buf *out, const struct res_status *r)
{
	static const struct {
		const char *host, *use, *means;
	} all[] = {{"0.0.0.0:", "127.0.0.1:", "every IPv4 address"}, {"[::]:", "[::1]:", "every address"}};
	wire_str at = r->http_address;
	const char *use = "", *means = NULL;

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		size_t n = strlen(all[i].host);

		if (at.n < n || memcmp(at.p, all[i].host, n) != 0)
			continue;
		use = all[i].use;
		means = all[i].means;
		at = (wire_str){at.p + n, at.n - (uint32_t)n};
		break;
	}
	(void)buf_printf(out, "API          %s://%s%.*s", r->has_http_tls && r->http_tls ? "https" : "http", use,
			 (int)at.n, at.p);
	if (means != NULL)
		(void)buf_printf(out, "   listens on %s", means);
	(void)buf_puts(out, "\n");
}

void show_status(struct buf *out, const struct show_style *s, const void *res)
{
	const struct res_status *r = res;
	bool fine = equals(&r->status, "operational"), down = equals(&r->status, "down");
	char up[SHOW_SHORT], mem[SHOW_SHORT];

	show_duration(up, r->uptime_s);
	show_bytes(mem, r->supervisor_rss_bytes);
	(void)buf_puts(out, "tribe ");
	show_paint(out, s, fine ? SHOW_GOOD : down ? SHOW_BAD : SHOW_WARN, "%.*s", (int)r->status.n, r->status.p);
	(void)buf_printf(out, "   version %.*s   up %s   tribed pid %u, %s\n", (int)r->version.n, r->version.p, up,
			 r->supervisor_pid, mem);
	if (r->has_http_address)
		show_api(out, r);
	(void)buf_puts(out, "\n");
	show_paint(out, s, SHOW_BOLD, "%-12s %-9s %8s %8s %9s %10s %10s", "JR", "STATE", "PID", "AGE", "RESTARTS",
		   "LAST BEAT", "MEMORY");
	(void)buf_puts(out, "\n");
	for (int i = 0; i < TR_NROLES; i++)
		show_jr(out, s, (enum tr_role)i, status_jr(r, i));
	for (int i = 0; i < TR_NROLES; i++)
		show_trouble(out, s, (enum tr_role)i, status_jr(r, i));
	(void)buf_puts(out, "\narchive      ");
	if (!r->has_archive_healthy)
		show_paint(out, s, SHOW_WARN, "unknown");
	else
		show_paint(out, s, r->archive_healthy ? SHOW_GOOD : SHOW_BAD,
			   r->archive_healthy ? "healthy" : "not healthy");
	if (r->has_archive_reason)
		show_reason(out, r->archive_reason);
	(void)buf_puts(out, "\n");
	show_sentience(out, s, &r->sentience);
}

void show_temperature(struct buf *out, const struct show_style *s, const struct res_memory_thermal *t)
{
	char total[SHOW_SHORT], sacred[SHOW_SHORT];

	(void)s;
	show_count(total, t->total_memories);
	show_count(sacred, t->sacred_count);
	(void)buf_printf(out, "memories     %s, %s sacred\n", total, sacred);
	if (!t->has_average_temperature)
		return;
	(void)buf_printf(out, "temperature  mean %.1f", t->average_temperature);
	if (t->has_sacred_min_temperature)
		(void)buf_printf(out, "   sacred min %.1f", t->sacred_min_temperature);
	(void)buf_printf(out, "   white hot %" PRIu64, t->white_hot_count);
	if (t->has_thermal_entropy)
		(void)buf_printf(out, "   entropy %.2f", t->thermal_entropy);
	(void)buf_puts(out, "\n");
}

void show_beat(struct buf *out, const struct item_beat *b)
{
	(void)buf_printf(out,
			 "%-14.*s pid=%u gen=%u seq=%" PRIu64 " state=%.*s up_ms=%" PRIu64 " inflight=%u queue=%u"
			 " lag_us=%" PRIu64 " rss=%" PRIu64 " cpu_ms=%" PRIu64 " handled=%" PRIu64 " errors=%" PRIu64,
			 (int)b->jr.n, b->jr.p, b->pid, b->generation, b->seq, (int)b->state.n, b->state.p,
			 b->uptime_ms, b->inflight, b->queue_depth, b->loop_lag_us, b->rss_bytes, b->cpu_ms,
			 b->handled_total, b->errors_total);
	if (b->has_phase_coherence)
		(void)buf_printf(out, " phase_coherence=%.3f", b->phase_coherence);
	if (b->has_thermal_entropy)
		(void)buf_printf(out, " thermal_entropy=%.3f", b->thermal_entropy);
	(void)buf_puts(out, "\n");
}

void show_state(struct buf *out, const struct show_style *s, const void *res)
{
	const struct res_jr_restart *r = res; /* stop and start have the same one field */

	show_paint(out, s, state_colour(&r->state), "%.*s", (int)r->state.n, r->state.p);
	(void)buf_puts(out, "\n");
}
