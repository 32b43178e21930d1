#include "common/base/clock.h"
#include "proto/json/json.h"
#include "supervisor/ctl/clean.h"
#include "supervisor/ctl/import.h"
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REASONS_SHOWN 10
#define PROGRESS_MS   100
#define RATE_AFTER_MS 1000 /* a rate of less time is no rate */

void import_reason(struct import *im, uint64_t line, const char *text, size_t n, uint64_t count)
{
	struct reason *r = im->reasons;
	unsigned i = 0;

	while (i < im->nreasons && (r[i].text == NULL || strlen(r[i].text) != n || memcmp(r[i].text, text, n) != 0))
		i++;
	if (i == REASONS_KEPT)
		return;
	r += i;
	if (i == im->nreasons) {
		im->nreasons++;
		r->text = strndup(text, n);
	}
	r->count += count;
	if (im->name != NULL && r->nplaces < REASON_PLACES) {
		r->places[r->nplaces].name = strdup(im->name);
		r->places[r->nplaces++].line = line;
	}
}

void import_reasons_free(struct import *im)
{
	for (unsigned i = 0; i < im->nreasons; i++) {
		free(im->reasons[i].text);
		for (unsigned k = 0; k < im->reasons[i].nplaces; k++)
			free(im->reasons[i].places[k].name);
	}
	im->nreasons = 0;
}

/* ---- progress ---- */

static bool due(struct import *im)
{
	uint64_t now = tr_mono_ms();

	if (!im->c->progress || now - im->shown_ms < PROGRESS_MS)
		return false;
	im->shown_ms = now;
	return true;
}

static void overwrite(struct buf *b)
{
	if (b->failed == 0) {
		(void)fputs("\r\x1b[K", stderr);
		(void)fwrite(b->p, 1, b->len, stderr);
	}
	buf_free(b);
}

void import_show_reading(struct import *im, uint64_t bytes)
{
	struct buf b = {.max = 0};
	char text[SHOW_SHORT];

	if (!due(im))
		return;
	show_bytes(text, bytes);
	(void)buf_printf(&b, "reading  %s", text);
	overwrite(&b);
}

/* So much of the material. */
static void show_amount(const struct import *im, char out[SHOW_SHORT], uint64_t n)
{
	if (im->commits)
		show_count(out, n);
	else
		show_bytes(out, n);
}

void import_show_progress(struct import *im)
{
	uint64_t ms = tr_mono_ms() - im->sending_ms, sent = im->position - im->start;
	char done[SHOW_SHORT], all[SHOW_SHORT], rate[SHOW_SHORT], left[SHOW_SHORT], rows[SHOW_SHORT];
	struct buf b = {.max = 0};

	if (!due(im))
		return;
	show_amount(im, done, im->position);
	show_amount(im, all, im->size);
	(void)buf_printf(&b, "%3u%%  %s of %s%s",
			 im->size > 0 ? (unsigned)(100.0 * (double)im->position / (double)im->size) : 100, done, all,
			 im->commits ? " commits" : "");
	if (ms >= RATE_AFTER_MS && sent > 0) {
		show_amount(im, rate, sent * 1000 / ms);
		show_count(rows, (im->added + im->known) * 1000 / ms);
		show_duration(left,
			      (uint64_t)((double)(im->size - im->position) * (double)ms / (double)sent / 1e3 + .5));
		(void)buf_printf(&b, "  %s/s  %s memories/s  %s left", rate, rows, left);
	}
	(void)buf_printf(&b, "  %s %zu of %zu  ", im->commits ? "repository" : "file",
			 im->done + 1 < im->files.n ? im->done + 1 : im->files.n, im->files.n);
	clean_text(&b, im->name, strlen(im->name), " ", 30);
	overwrite(&b);
}

void import_hide_progress(struct import *im)
{
	if (im->c->progress && im->shown_ms > 0)
		(void)fputs("\r\x1b[K", stderr);
	im->shown_ms = 0;
}

/* ---- the report ---- */

static uint64_t files_skipped(const struct import *im)
{
	uint64_t n = 0;

	for (int i = 0; i < FILES_NSKIPS; i++)
		n += im->files.skipped[i];
	return n;
}

static json_t *reasons_json(const struct import *im)
{
	json_t *all = json_array();

	for (unsigned i = 0; i < im->nreasons; i++) {
		const struct reason *r = &im->reasons[i];
		json_t *places = json_array();

		for (unsigned k = 0; k < r->nplaces; k++)
			(void)json_array_append_new(places, json_pack("{s:s*, s:I}", "name", r->places[k].name, "line",
								      (json_int_t)r->places[k].line));
		(void)json_array_append_new(all, json_pack("{s:s*, s:I, s:o}", "reason", r->text, "count",
							   (json_int_t)r->count, "places", places));
	}
	return all;
}

static json_t *files_json(const struct import *im)
{
	json_t *all = json_array();

	for (int i = 0; i < FILES_NSKIPS; i++) {
		json_t *places;

		if (im->files.skipped[i] == 0)
			continue;
		places = json_array();
		for (int k = 0; k < FILES_PLACES && im->files.first[i][k] != NULL; k++)
			(void)json_array_append_new(places, json_pack("{s:s}", "name", im->files.first[i][k]));
		(void)json_array_append_new(all, json_pack("{s:s, s:I, s:o}", "reason", files_skip_text[i], "count",
							   (json_int_t)im->files.skipped[i], "places", places));
	}
	return all;
}

static int report_json(const struct import *im, struct buf *out)
{
	bool before = im->finished_before;
	json_t *doc;
	int r;

	doc = json_pack("{s:s, s:s, s:I, s:I, s:I, s:o, s:I, s:I, s:o, s:I, s:I, s:b, s:b, s:{s:I, s:I, s:I}, s:f}",
			"import_id", im->id, "name", im->title, "added", (json_int_t)im->added, "known",
			(json_int_t)(before ? im->before_added + im->before_known : im->known), "skipped",
			(json_int_t)(before ? im->before_skipped : im->skipped), "reasons", reasons_json(im), "files",
			(json_int_t)im->done, "files_skipped", (json_int_t)files_skipped(im), "files_skipped_reasons",
			files_json(im), im->commits ? "commits" : "bytes", (json_int_t)im->size, "resumed_at",
			(json_int_t)im->start, "resumed", im->start > 0 && !before, "finished_before", before, "total",
			"added", (json_int_t)(im->before_added + im->added), "known",
			(json_int_t)(im->before_known + im->known), "skipped",
			(json_int_t)(im->before_skipped + im->skipped), "seconds",
			(double)(tr_mono_ms() - im->begun_ms) / 1e3);
	r = doc == NULL ? TR_ENOMEM : json_print(doc, out);
	json_decref(doc);
	return r < 0 ? r : buf_puts(out, "\n");
}

static void counts(struct buf *out, uint64_t added, uint64_t known, uint64_t skipped)
{
	char a[SHOW_SHORT], k[SHOW_SHORT], s[SHOW_SHORT];

	show_count(a, added);
	show_count(k, known);
	show_count(s, skipped);
	(void)buf_printf(out, "%s remembered, %s known already, %s skipped", a, k, s);
}

static void places_text(struct buf *out, const struct import *im)
{
	for (int i = 0; i < FILES_NSKIPS; i++) {
		if (im->files.skipped[i] == 0)
			continue;
		(void)buf_printf(out, "left out %" PRIu64 " file%s: %s:", im->files.skipped[i],
				 im->files.skipped[i] == 1 ? "" : "s", files_skip_text[i]);
		for (int k = 0; k < FILES_PLACES && im->files.first[i][k] != NULL; k++) {
			(void)buf_puts(out, k == 0 ? " " : ", ");
			clean_text(out, im->files.first[i][k], strlen(im->files.first[i][k]), " ", 60);
		}
		(void)buf_puts(out, im->files.skipped[i] > FILES_PLACES ? " ...\n" : "\n");
	}
	for (unsigned i = 0; i < im->nreasons && i < REASONS_SHOWN; i++) {
		const struct reason *r = &im->reasons[i];

		(void)buf_printf(out, "skipped %" PRIu64 ": ", r->count);
		clean_text(out, r->text == NULL ? "" : r->text, r->text == NULL ? 0 : strlen(r->text), " ", 160);
		for (unsigned k = 0; k < r->nplaces; k++) {
			const char *name = r->places[k].name == NULL ? "" : r->places[k].name;

			(void)buf_puts(out, k == 0 ? ": " : ", ");
			clean_text(out, name, strlen(name), " ", 60);
			if (r->places[k].line > 0)
				(void)buf_printf(out, ":%" PRIu64, r->places[k].line);
		}
		(void)buf_puts(out, r->count > r->nplaces ? " ...\n" : "\n");
	}
	if (im->nreasons > REASONS_SHOWN)
		(void)buf_puts(out, "... more with --json\n");
}

static void report_text(const struct import *im, struct buf *out)
{
	char at[SHOW_SHORT];

	if (im->finished_before) {
		show_time(at, im->finished_at);
		(void)buf_printf(out, "nothing to do: this was imported at %s: ", at);
		counts(out, im->before_added, im->before_known, im->before_skipped);
		(void)buf_puts(out, "\n");
	} else {
		counts(out, im->added, im->known, im->skipped);
		(void)buf_printf(out, ", from %zu %s%s in %.1f s\n", im->done, im->commits ? "repositor" : "file",
				 im->done == 1 ? (im->commits ? "y" : "")
				 : im->commits ? "ies"
					       : "s",
				 (double)(tr_mono_ms() - im->begun_ms) / 1e3);
	}
	if (im->start > 0 && !im->finished_before) {
		(void)buf_printf(out, "went on at %.0f %% of an earlier run; in all: ",
				 100.0 * (double)im->start / (double)im->size);
		counts(out, im->before_added + im->added, im->before_known + im->known,
		       im->before_skipped + im->skipped);
		(void)buf_puts(out, "\n");
	}
	places_text(out, im);
	if (im->id[0] != '\0')
		(void)buf_printf(out, "import %s (to take it back: tribectl import --undo %.8s)\n", im->id, im->id);
}

enum ctl_exit import_report(struct import *im)
{
	struct buf out = {.max = 0};
	enum ctl_exit e;

	if (im->c->json) {
		if (report_json(im, &out) < 0)
			out.failed = TR_ENOMEM;
	} else {
		report_text(im, &out);
	}
	e = ctl_emit(im->c, &out);
	buf_free(&out);
	if (e == CTL_DONE && im->done == 0) {
		ctl_say(im->c, "there was nothing to import");
		e = CTL_FAILED;
	} else if (e == CTL_DONE && im->skipped + im->before_skipped > 0 &&
		   im->added + im->known + im->before_added + im->before_known == 0) {
		ctl_say(im->c, "nothing of it could be remembered");
		e = CTL_FAILED;
	}
	return e;
}
