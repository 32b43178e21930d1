/* Recall and temperatures of any archive: order, filters, paging, drills, figures against a recount. */
#include "memory_rig.h"

static const struct res_memory_recall *ask(struct rig *g, const char *q, uint32_t limit)
{
	struct msg_memory_recall msg = {.has_q = q != NULL, .q = wire_s(q), .has_limit = true, .limit = limit};

	return rig_call(g, MSG_memory_recall, &msg);
}

static void best_first(void **s)
{
	struct rig *g = *s;
	const struct res_memory_recall *res;
	uint32_t i;

	rig_say(g, "The cat sleeps on the mat.");
	rig_say(g, "Caroline went hiking in the mountains with her dog.");
	rig_say(g, "Mountains are high.");
	rig_say(g, "Something about nothing at all.");
	res = ask(g, "Where did Caroline go hiking in the mountains?", 10);
	assert_int_equal(res->memories.n, 2);
	assert_true(same(res->memories.v[0].content, "Caroline went hiking in the mountains with her dog."));
	assert_true(res->memories.v[0].score == 1.0 && res->memories.v[1].score < 1.0 &&
		    res->memories.v[1].score > 0.0);
	assert_false(res->has_next_cursor);
	assert_int_equal(ask(g, "mountain", 10)->memories.n, 2); /* stems */
	assert_int_equal(ask(g, "HIKE hikes hiked", 10)->memories.n, 1);
	assert_int_equal(ask(g, "who is the", 10)->memories.n, 0); /* nothing is asked for */
	assert_int_equal(ask(g, "zebra", 10)->memories.n, 0);
	assert_int_equal(ask(g, "\" OR ( * NEAR", 10)->memories.n, 0);
	res = ask(g, NULL, 3); /* newest first */
	assert_int_equal(res->memories.n, 3);
	assert_true(same(res->memories.v[0].content, "Something about nothing at all.") &&
		    !res->memories.v[0].has_score);
	for (i = 0; i < 3; i++)
		assert_true(g->answer.hits[i].shown == &res->memories.v[i]);
}

static void temperature_only_breaks_ties(void **s)
{
	struct rig *g = *s;
	struct item_new_memory m = said("green apples taste sour");
	const struct res_memory_recall *res;
	char session[16];
	int i;

	m.has_session = true;
	for (i = 0; i < 60; i++) {
		snprintf(session, sizeof(session), "s%d", i);
		m.session = wire_s(session);
		rig_add(g, &m);
		if (i == 7) {
			rig_add(g, &m); /* hotter */
			rig_add(g, &m);
		}
	}
	rig_say(g, "apples");
	res = ask(g, "green apples", 3);
	assert_true(same(res->memories.v[0].session, "s7") && res->memories.v[0].access_count == 3);
	assert_true(same(res->memories.v[1].session, "s59"));
	assert_true(res->memories.v[0].score == res->memories.v[1].score);
	res = ask(g, "apples", 1); /* a better match wins over any heat */
	assert_true(same(res->memories.v[0].content, "apples"));
}

static void filters(void **s)
{
	struct rig *g = *s;
	const wire_str red = wire_s("red"), blue = wire_s("blue");
	struct msg_memory_recall msg = {.has_q = true, .q = wire_s("boats"), .has_limit = true, .limit = 200};
	const struct res_memory_recall *res;
	char text[64];
	int i;

	for (i = 0; i < 120; i++) {
		struct item_new_memory m = said(text);

		snprintf(text, sizeof(text), "boats number %d", i);
		m.content = wire_s(text);
		m.has_tags = m.has_source = m.has_session = m.has_speaker = m.has_at = true;
		m.tags = (wire_strs){i % 2 ? &red : &blue, 1};
		m.source = wire_s(i % 3 ? "chat" : "mail");
		m.session = wire_s(i % 4 ? "day" : "night");
		m.speaker = wire_s(i % 5 ? "amy" : "bob");
		m.at = i * DAY;
		m.has_sacred = m.sacred = i == 119;
		rig_add(g, &m);
	}
#define COUNT(want)                                                       \
	do {                                                              \
		msg.has_q = true;                                         \
		res = rig_call(g, MSG_memory_recall, &msg);               \
		assert_int_equal(res->memories.n, want);                  \
		msg.has_q = false; /* and the same filters on the list */ \
		res = rig_call(g, MSG_memory_recall, &msg);               \
		assert_int_equal(res->memories.n, want);                  \
	} while (0)
	COUNT(120);
	msg.has_tag = true, msg.tag = red;
	COUNT(60);
	msg.has_source = true, msg.source = wire_s("mail");
	COUNT(20);
	msg.has_session = true, msg.session = wire_s("day");
	COUNT(20);
	msg.has_speaker = true, msg.speaker = wire_s("bob");
	COUNT(4);
	msg.has_before = true, msg.before = 60 * DAY;
	COUNT(2);
	msg.has_after = true, msg.after = 45 * DAY;
	COUNT(1);
	msg.has_min_temperature = true, msg.min_temperature = 40.5;
	COUNT(0);
	msg = (struct msg_memory_recall){.q = wire_s("boats"), .has_min_temperature = true, .min_temperature = 35};
	rig_now += 3 * WEEK;
	COUNT(1); /* only the sacred one is that warm */
}

static void paging(void **s)
{
	struct rig *g = *s;
	struct msg_memory_recall msg = {.has_q = true, .q = wire_s("paper"), .has_limit = true, .limit = 7};
	const struct res_memory_recall *res;
	bool seen[50] = {false};
	char text[200];
	int i, total, ranked;

	for (i = 0; i < 50; i++) {
		snprintf(text, sizeof(text), "%d paper %.*s", i, i,
			 "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx");
		rig_say(g, text);
	}
	for (ranked = 0; ranked < 2; ranked++) {
		memset(seen, 0, sizeof(seen));
		msg.has_q = ranked == 1;
		msg.has_cursor = false;
		for (total = 0;;) {
			res = rig_call(g, MSG_memory_recall, &msg);
			for (i = 0; i < (int)res->memories.n; i++) {
				int id = atoi(res->memories.v[i].content.p);

				assert_false(seen[id]);
				seen[id] = true;
				total++;
			}
			if (!res->has_next_cursor)
				break;
			msg.has_cursor = true;
			msg.cursor = res->next_cursor;
		}
		assert_int_equal(total, 50);
	}
	/* a cursor belongs to its question */
	msg.q = wire_s("stone");
	assert_null(rig_try(g, MSG_memory_recall, &msg));
	assert_int_equal(g->r, TR_EINVAL);
	assert_string_equal(g->fault.field, "cursor");
	msg.cursor = wire_s("q00000000-99999999999999999999999999999");
	assert_null(rig_try(g, MSG_memory_recall, &msg));
	/* a budget: about four bytes a token; what comes behind is on the next page */
	msg = (struct msg_memory_recall){.has_limit = true, .limit = 200, .has_max_tokens = true, .max_tokens = 40};
	res = rig_call(g, MSG_memory_recall, &msg);
	assert_true(res->memories.n == 2 && res->has_next_cursor);
	msg.max_tokens = 1; /* nothing fits: told, and no endless paging */
	res = rig_call(g, MSG_memory_recall, &msg);
	assert_int_equal(res->memories.n, 0);
	assert_false(res->has_next_cursor);
}

static void answers_fit_a_frame(void **s)
{
	struct rig *g = *s;
	struct msg_memory_recall msg = {.has_limit = true, .limit = 200};
	const struct res_memory_recall *res;
	char *big = malloc(WIRE_CONTENT_MAX);
	uint32_t total = 0;
	int i;

	assert_non_null(big);
	memset(big, 'b', WIRE_CONTENT_MAX);
	for (i = 0; i < 200; i++) {
		struct item_new_memory m = {.content = {big, WIRE_CONTENT_MAX}};

		big[snprintf(big, 16, "%d", i)] = 'b'; /* no NUL in a text */
		rig_add(g, &m);
	}
	do {
		res = rig_call(g, MSG_memory_recall, &msg);
		assert_true(res->memories.n > 0 && res->memories.n * WIRE_CONTENT_MAX <= WIRE_FRAME_MAX / 2);
		total += res->memories.n;
		msg.has_cursor = res->has_next_cursor;
		msg.cursor = res->next_cursor;
	} while (res->has_next_cursor);
	assert_int_equal(total, 200);
	free(big);
}

static void superseded_stands_below(void **s)
{
	struct rig *g = *s;
	struct item_new_memory m =
		said("The meeting room is now the blue one, not any other; ask at the desk for its key.");
	const struct res_memory_recall *res;
	uint32_t i, newer, older;

	m.has_supersedes = true;
	m.supersedes = rig_say(g, "The meeting room is red.")->id;
	rig_say(g, "Rooms have doors.");
	assert_true(same(ask(g, "which meeting room", 10)->memories.v[0].content, "The meeting room is red."));
	rig_add(g, &m);
	res = ask(g, "which meeting room", 10);
	assert_int_equal(res->memories.n, 3);
	for (i = 0, newer = older = 9; i < 3; i++) {
		newer = res->memories.v[i].has_supersedes ? i : newer;
		older = res->memories.v[i].has_superseded_by ? i : older;
	}
	assert_true(newer < older && older < 3 && res->memories.v[older].score < res->memories.v[newer].score);
}

static void drills_are_seen_by_nobody(void **s)
{
	struct rig *g = *s;
	struct msg_memory_recall msg = {
		.has_q = true, .q = wire_s("engine noise"), .has_source = true, .source = wire_s("drill:42")};
	struct item_new_memory m = said("x");
	char text[64];
	int i;

	rig_say(g, "A quiet engine makes little noise here, very little indeed.");
	m.has_source = true;
	m.source = wire_s("drill:42");
	for (i = 0; i < 300; i++) { /* better matches than the real one, and many */
		snprintf(text, sizeof(text), "engine noise %d", i);
		m.content = wire_s(text);
		rig_add(g, &m);
	}
	rig_add(g, &m); /* said again: heats, and still nobody sees it */
	assert_int_equal(ask(g, "engine noise", 10)->memories.n, 1);
	assert_int_equal(ask(g, NULL, 10)->memories.n, 1);
	assert_int_equal(rig_thermal(g, 10)->total_memories, 1);
	assert_int_equal(rig_thermal(g, 10)->hottest.n, 1);
	assert_int_equal(((const struct res_memory_recall *)rig_call(g, MSG_memory_recall, &msg))->memories.n, 10);
	rig_reopen(g);
	assert_int_equal(rig_thermal(g, 0)->total_memories, 1);
}

/* The running figures and a recount of the rows agree, before and after a restart, whatever the age of the memories. */
static void figures_agree(void **s)
{
	struct rig *g = *s;
	const struct res_memory_thermal *t;
	uint64_t x = 88172645463325252u;
	char text[32];
	int round, i;
	uint32_t k;

	for (round = 0; round < 400; round++) {
		struct item_new_memory m = said(text);

		x ^= x << 13, x ^= x >> 7, x ^= x << 17;
		snprintf(text, sizeof(text), "thing %d", (int)(x % 150));
		m.content = wire_s(text);
		m.has_sacred = true;
		m.sacred = x % 150 < 20;
		for (i = 0; i < (int)(x >> 60); i++)
			rig_add(g, &m);
		rig_now += 6 * WEEK / 420;
		if (round % 100 == 99)
			rig_figures_hold(g);
	}
	for (round = 0; round < 10; round++) { /* further and further away: clamps and floors */
		rig_now += round * WEEK;
		t = rig_thermal(g, 5);
		assert_true(t->timestamp == rig_now && t->hottest.n == 5 && g->answer.nhits == 5);
		for (k = 1; k < 5; k++)
			assert_true(t->hottest.v[k].sacred ||
				    t->hottest.v[k].temperature <= t->hottest.v[k - 1].temperature);
		rig_figures_hold(g);
	}
	assert_true(rig_thermal(g, 0)->stages.ember > 0 && rig_thermal(g, 0)->sacred_min_temperature == 40.0);
}

static void empty_archive(void **s)
{
	struct rig *g = *s;
	const struct res_memory_thermal *t = rig_thermal(g, 10);
	struct msg_memory_samples msg = {.has_memories = true, .memories = 10, .has_recalls = true, .recalls = 10};
	const struct res_memory_samples *samples;

	assert_true(t->total_memories == 0 && !t->has_average_temperature && !t->has_thermal_entropy &&
		    !t->has_sacred_min_temperature);
	samples = rig_call(g, MSG_memory_samples, &msg);
	assert_true(samples->memories.n == 0 && samples->recalls.n == 0 && samples->total_memories == 0);
	assert_int_equal(ask(g, "anything", 10)->memories.n, 0);
	assert_int_equal(ask(g, NULL, 10)->memories.n, 0);
}

static void samples(void **s)
{
	struct rig *g = *s;
	struct msg_memory_samples msg = {.has_memories = true, .memories = 10, .has_recalls = true, .recalls = 3};
	struct item_recall_sample log = {0, 0, 0};
	const struct res_memory_samples *res;
	char text[32];
	uint32_t i;

	for (i = 0; i < 95; i++) {
		snprintf(text, sizeof(text), "sample %u", i);
		rig_say(g, text);
		log.latency_us = i;
		archive_recalled(g->a, &log);
	}
	rig_settle(g);
	rig_now += DAY;
	res = rig_call(g, MSG_memory_samples, &msg);
	assert_true(res->memories.n == 10 && res->total_memories == 96);
	for (i = 0; i < 10; i++) {
		assert_true(fabs(res->memories.v[i].idle_days - 1.0) < 1e-9 && res->memories.v[i].content_bytes >= 6);
		assert_true(fabs(res->memories.v[i].raw_temperature - (40.0 - 10.0 / 7)) < 1e-6);
	}
	assert_true(same(res->memories.v[0].id, "") == false);
	assert_int_equal(res->recalls.n, 3);
	assert_int_equal(res->recalls.v[0].latency_us, 94);
	msg.memories = 2000;
	res = rig_call(g, MSG_memory_samples, &msg);
	assert_int_equal(res->memories.n, 96); /* each once */
}

/* Whatever is missing between them: as many as are asked for, where there are so many; each once, oldest first. */
static void samples_leap_gaps(void **s)
{
	struct rig *g = *s;
	struct msg_memory_samples msg = {.has_memories = true};
	const struct res_memory_samples *res;
	struct item_new_memory m = said("");
	char text[40][16];
	uint32_t want, i;

	for (i = 0; i < 40; i++) {
		snprintf(text[i], sizeof(text[i]), "%02u", i);
		m.content = m.id = wire_s(text[i]);
		m.has_id = true;
		rig_add(g, &m);
		if (i == 20)
			rig_reopen(g); /* a server's numbers leave a gap here */
	}
	for (i = 3; i < 30; i++) {
		const struct msg_memory_forget forget = {.id = wire_s(text[i])};

		if (i != 20)
			rig_call(g, MSG_memory_forget, &forget);
	}
	for (want = 1; want <= 16; want++) { /* 0, 1, 2, 20 and 30 to 39 are left */
		msg.memories = want;
		res = rig_call(g, MSG_memory_samples, &msg);
		assert_int_equal(res->memories.n, want < 14 ? want : 14);
		assert_true(same(res->memories.v[0].id, "00"));
		for (i = 1; i < res->memories.n; i++)
			assert_true(memcmp(res->memories.v[i - 1].id.p, res->memories.v[i].id.p, 2) < 0);
	}
}

#define T(name) cmocka_unit_test_setup_teardown(name, rig_setup, rig_teardown_sound)
int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		T(best_first),
		T(temperature_only_breaks_ties),
		T(filters),
		T(paging),
		T(answers_fit_a_frame),
		T(superseded_stands_below),
		T(drills_are_seen_by_nobody),
		T(figures_agree),
		T(empty_archive),
		T(samples),
		T(samples_leap_gaps),
	};

	rig_choose(argc, argv);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
