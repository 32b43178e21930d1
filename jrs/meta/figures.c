#include "jrs/meta/figures.h"

#include <stdlib.h>

#include "common/loop/loop.h"
#include "jrs/meta/analysis/regression.h"
#include "jrs/meta/analysis/trend.h"

#define LOOKS         60 /* in a window */
#define LOOK_LEAST_MS 10

/*  metric (a label of cherokee_degradation_ratio), whether it is of the archive */
#define FIGURES(X)              \
	X(recall_latency, true) \
	X(loop_lag, false)      \
	X(resident_memory, false)
enum {
#define X(name, of_archive) FIGURE_##name,
	FIGURES(X)
#undef X
		NFIGURES
};

struct figures {
	struct figures_cfg cfg;
	struct loop_timer *timer;
	unsigned looks;
	struct trend trend[NFIGURES];
	int64_t recalls_seen;
	bool has_r_squared;
	double r_squared;
	uint32_t rows;
};

/* The slowest loop is the one that somebody feels; memory is taken by all of them together. */
static void look(struct figures *f, const struct res_status *s)
{
	const struct item_jr *const jrs[] = {&s->jrs.memory_jr, &s->jrs.executive_jr, &s->jrs.meta_jr,
					     &s->jrs.integration_jr};
	double lag = 0, rss = 0;
	unsigned lags = 0, sizes = 0;

	for (unsigned i = 0; i < sizeof jrs / sizeof jrs[0]; i++) {
		if (jrs[i]->has_loop_lag_us) {
			lag = (double)jrs[i]->loop_lag_us > lag ? (double)jrs[i]->loop_lag_us : lag;
			lags++;
		}
		if (jrs[i]->has_rss_bytes) {
			rss += (double)jrs[i]->rss_bytes;
			sizes++;
		}
	}
	if (lags > 0)
		trend_add(&f->trend[FIGURE_loop_lag], lag);
	if (sizes == sizeof jrs / sizeof jrs[0]) /* the sum of three is not less memory */
		trend_add(&f->trend[FIGURE_resident_memory], rss);
}

static void again(struct figures *f)
{
	uint64_t ms = f->cfg.period_ms / LOOKS;

	if (++f->looks == LOOKS) {
		f->looks = 0;
		trend_close(&f->trend[FIGURE_loop_lag]);
		trend_close(&f->trend[FIGURE_resident_memory]);
	}
	(void)loop_timer_start(f->timer, ms > LOOK_LEAST_MS ? ms : LOOK_LEAST_MS, 0);
}

static void on_status(void *arg, int r, const void *res, const struct tr_fault *fault)
{
	struct figures *f = arg;

	(void)fault;
	if (r == TR_ECLOSED) /* tribed is gone, and so are we */
		return;
	if (r == 0)
		look(f, res);
	again(f);
}

static void on_timer(void *arg)
{
	struct figures *f = arg;

	if (f->cfg.status(f->cfg.arg, f->cfg.timeout_ms, on_status, f) < 0)
		again(f);
}

int figures_new(struct figures **out, const struct figures_cfg *cfg)
{
	struct figures *f = calloc(1, sizeof *f);
	int r = TR_ENOMEM;

	if (f == NULL)
		return r;
	f->cfg = *cfg;
	if ((r = loop_timer_new(&f->timer, cfg->loop, on_timer, f)) < 0) {
		free(f);
		return r;
	}
	*out = f;
	return 0;
}

void figures_start(struct figures *f)
{
	(void)loop_timer_start(f->timer, LOOK_LEAST_MS, 0); /* fails only for a handle that is closing */
}

void figures_free(struct figures **f)
{
	if (f == NULL || *f == NULL)
		return;
	loop_timer_free(&(*f)->timer);
	free(*f);
	*f = NULL;
}

void figures_analysed(struct figures *f, const struct res_memory_samples *samples, int64_t now_ms)
{
	struct regression_row rows[REGRESSION_MAX];

	f->rows = regression_rows(rows, samples);
	f->has_r_squared = regression_r_squared(rows, f->rows, &f->r_squared);
	trend_recalls(&f->trend[FIGURE_recall_latency], samples, now_ms, f->cfg.period_ms, &f->recalls_seen);
}

void figures_lost(struct figures *f)
{
	f->has_r_squared = false;
	f->trend[FIGURE_recall_latency].has_latest = false; /* nor is it part of the baseline */
}

void figures_answer(void *arg, struct chan_call *call, const void *msg)
{
	static const struct {
		const char *name;
		bool of_archive;
	} kinds[NFIGURES] = {
#define X(name, of_archive) {#name, of_archive},
		FIGURES(X)
#undef X
	};
	const struct figures *f = arg;
	struct item_degradation v[NFIGURES];
	struct res_meta_figures res = {.has_r_squared = f->has_r_squared,
				       .r_squared = f->has_r_squared ? f->r_squared : 0,
				       .has_regression_rows = true,
				       .regression_rows = f->rows};
	uint32_t n = 0;

	(void)msg;
	for (unsigned i = 0; i < NFIGURES; i++) {
		double ratio;

		if (!trend_ratio(&f->trend[i], &ratio))
			continue;
		v[n++] = (struct item_degradation){
			.metric = wire_s(kinds[i].name), .of_archive = kinds[i].of_archive, .ratio = ratio};
	}
	res.degradations = (struct list_degradation){v, n};
	chan_reply(call, &res);
}
