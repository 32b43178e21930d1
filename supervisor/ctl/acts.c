#include "supervisor/ctl/acts.h"
#include "common/base/text.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>

#define CONSTANTS                                                                                                   \
	"constants takes NAME=NUMBER of base, k, half_life_ms, sacred_floor, max, white_hot, red_hot, warm, cool, " \
	"cold"

/* One "NAME=NUMBER" into the field of that name. */
static bool take_constant(struct item_constants *out, const char *word)
{
	size_t n = strcspn(word, "=");
	double v;

	if (word[n] == '\0' || tr_parse_f64(word + n + 1, -1e15, 1e15, &v) < 0)
		return false;
#define F(need, type, name, min, max)                            \
	if (strlen(#name) == n && memcmp(#name, word, n) == 0) { \
		if (out->has_##name)                             \
			return false;                            \
		out->name = v;                                   \
		return out->has_##name = true;                   \
	}
	ITEM_constants(F, , )
#undef F
		return false;
}

static const char *constants(struct item_act *out, const char *const *words, unsigned n)
{
	if (n == 0)
		return CONSTANTS;
	for (unsigned i = 0; i < n; i++) {
		if (!take_constant(&out->constants, words[i]))
			return CONSTANTS ", each once";
	}
	out->has_constants = true;
	return NULL;
}

const char *act_of_words(struct item_act *out, const char *const *words, unsigned n)
{
	static const char *const about_memory[] = {"designate", "unsacre", "delete"};

	if (n == 0)
		return "";
	*out = (struct item_act){.act = wire_s(words[0])};
	if (strcmp(words[0], "constants") == 0)
		return constants(out, words + 1, n - 1);
	if (strcmp(words[0], "object") == 0) {
		if (n != 2)
			return "object takes the id of one act";
		out->has_objects_to = true;
		out->objects_to = wire_s(words[1]);
		return NULL;
	}
	for (unsigned i = 0; i < sizeof(about_memory) / sizeof(about_memory[0]); i++) {
		if (strcmp(words[0], about_memory[i]) != 0)
			continue;
		if (n != 2)
			return "designate, unsacre and delete take the id of one memory";
		out->has_memory = true;
		out->memory = wire_s(words[1]);
		return NULL;
	}
	return "";
}

enum ctl_exit act_read(const struct ctl *c, const char *path, size_t max, struct buf *out)
{
	bool std = strcmp(path, "-") == 0;
	FILE *f = std ? stdin : fopen(path, "re");
	char piece[4096];
	size_t n;
	int err;

	buf_init(out, max);
	if (f == NULL) {
		ctl_say(c, "%s: %s", path, tr_strerror(-errno));
		return CTL_FAILED;
	}
	while ((n = fread(piece, 1, sizeof(piece), f)) > 0 && buf_append(out, piece, n) == 0)
		;
	err = ferror(f) ? errno : 0;
	if (!std)
		fclose(f);
	if (out->failed == 0 && err == 0)
		return CTL_DONE;
	if (err != 0)
		ctl_say(c, "%s: %s", path, tr_strerror(-err));
	else
		ctl_say(c, "%s: longer than %zu bytes", path, max);
	return CTL_FAILED;
}
