#include "supervisor/app/settings.h"
#include "common/base/text.h"
#include "supervisor/app/reload.h"
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What a start would read now, and the texts of the answer, which the items borrow. */
struct now {
	struct tr_config cfg;
	struct cfg_origins origins;
	struct item_setting items[CFG_NSETTINGS];
	struct buf in_force[CFG_NSETTINGS], configured[CFG_NSETTINGS];
	struct buf wrong; /* why it would read nothing */
};

static wire_str text_of(const struct buf *b)
{
	return (wire_str){b->p == NULL ? "" : b->p, (uint32_t)b->len};
}

static int fill(const struct tribe *t, struct now *n, unsigned i, struct item_setting *out)
{
	struct cfg_setting s;
	int r;

	(void)cfg_setting_at(i, &s);
	if ((r = cfg_value_show(&t->cfg, (int)i, &n->in_force[i])) < 0)
		return r;
	*out = (struct item_setting){.key = wire_s(s.key),
				     .value = text_of(&n->in_force[i]),
				     .origin = wire_s(cfg_origin_word(t->origins.of[i])),
				     .has_line = t->origins.of[i] == CFG_FILE,
				     .line = t->origins.line[i]};
	return 0;
}

/* Where the file and --set say something else by now. While one of them needs a restart no reload is taken, so then all
 * of them do. */
static int fill_differences(const struct tribe *t, struct now *n)
{
	const char *needs = "reload";
	struct cfg_setting s;
	int r;

	for (unsigned i = 0; cfg_setting_at(i, &s); i++)
		if (reload_needs_restart(s.key) && !cfg_same(&t->cfg, &n->cfg, i))
			needs = "restart";
	for (unsigned i = 0; i < CFG_NSETTINGS; i++) {
		struct item_setting *item = &n->items[i];

		if (cfg_same(&t->cfg, &n->cfg, i))
			continue;
		if ((r = cfg_value_show(&n->cfg, (int)i, &n->configured[i])) < 0)
			return r;
		item->has_configured = item->has_needs = true;
		item->configured = text_of(&n->configured[i]);
		item->needs = wire_s(needs);
	}
	return 0;
}

/* The key of a wrong line may be a value that was put in its place. */
static int fill_wrong(const struct tribe *t, const char *text, struct now *n)
{
	struct tr_fault fault = {0};

	(void)reload_wrong(t, text, &fault);
	return cfg_text_show(fault.rule, &n->wrong);
}

static bool sayable(const char *path)
{
	return path[0] != '\0' && tr_utf8_ok(path, strlen(path), NULL);
}

void settings_answer(const struct tribe *t, struct chan_call *call)
{
	const struct tr_paths *paths = &t->opts->paths;
	struct now *n = calloc(1, sizeof(*n));
	struct res_config res = {.pid = (uint32_t)getpid()};
	struct cfg_error err;
	int r = n == NULL ? TR_ENOMEM : 0;

	for (unsigned i = 0; r == 0 && i < CFG_NSETTINGS; i++)
		r = fill(t, n, i, &n->items[i]);
	if (r == 0)
		r = app_opts_reread(t->opts, &n->cfg, &n->origins, &err) < 0 ? fill_wrong(t, err.text, n)
									     : fill_differences(t, n);
	if (r < 0) {
		chan_failf(call, r, "", "%s", tr_strerror(r));
	} else {
		res.settings.v = n->items;
		res.settings.n = CFG_NSETTINGS;
		res.has_file = sayable(t->origins.file);
		res.file = wire_s(t->origins.file);
		res.has_file_error = n->wrong.len > 0;
		res.file_error = text_of(&n->wrong);
		res.has_state = sayable(paths->state);
		res.state = wire_s(paths->state);
		chan_reply(call, &res);
	}
	for (unsigned i = 0; n != NULL && i < CFG_NSETTINGS; i++) {
		buf_free(&n->in_force[i]);
		buf_free(&n->configured[i]);
	}
	if (n != NULL)
		buf_free(&n->wrong);
	free(n);
}
