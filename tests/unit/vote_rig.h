/* Votes in an archive, for tests: the calls that they are made of, in few words. */
#ifndef TESTS_UNIT_VOTE_RIG_H
#define TESTS_UNIT_VOTE_RIG_H
#include "memory_rig.h"

#include "jrs/memory/archive/votes.h"

#define SECOND 1000

static inline struct msg_memory_vote_open proposal(const char *text)
{
	return (struct msg_memory_vote_open){.proposal = wire_s(text), .by = wire_s("ann")};
}

static inline wire_str opened(struct rig *g, const struct msg_memory_vote_open *msg)
{
	const struct res_memory_vote_open *res = rig_call(g, MSG_memory_vote_open, msg);

	return res->vote_id;
}

static inline wire_str open_one(struct rig *g, const char *text, uint32_t deadline_s)
{
	struct msg_memory_vote_open msg = proposal(text);

	msg.has_deadline_s = deadline_s > 0;
	msg.deadline_s = deadline_s;
	return opened(g, &msg);
}

static inline struct item_vote vote(struct rig *g, wire_str id)
{
	const struct msg_memory_vote msg = {.id = id};
	const struct res_memory_vote *res = rig_call(g, MSG_memory_vote, &msg);

	assert_int_equal(wire_validate(wire_methods[MSG_memory_vote].result, res, NULL), 0);
	return res->vote;
}

/* The four, each with its choice; NULL: no ballot of it. */
static inline struct msg_memory_vote_cast jrs(struct item_ballot v[4], wire_str id, const char *const choices[4])
{
	static const char *const names[] = {"memory_jr", "integration_jr", "meta_jr", "executive_jr"};
	struct msg_memory_vote_cast msg = {.vote_id = id, .has_convened = true, .convened = true};
	uint32_t n = 0;

	for (int i = 0; i < 4; i++) {
		if (choices[i] != NULL)
			v[n++] = (struct item_ballot){.voter = wire_s(names[i]),
						      .choice = wire_s(choices[i]),
						      .has_reason = true,
						      .reason = wire_s(i == 1 ? "two sources say so" : "because")};
	}
	msg.ballots = (struct list_ballot){v, n};
	return msg;
}

static inline struct res_memory_vote_cast convened(struct rig *g, wire_str id, const char *const choices[4])
{
	struct item_ballot v[4];
	const struct msg_memory_vote_cast msg = jrs(v, id, choices);

	return *(const struct res_memory_vote_cast *)rig_call(g, MSG_memory_vote_cast, &msg);
}

static inline const void *try_cast(struct rig *g, wire_str id, const char *voter, const char *choice,
				   const char *reason)
{
	const struct item_ballot b = {.voter = wire_s(voter),
				      .choice = wire_s(choice),
				      .has_reason = reason != NULL,
				      .reason = wire_s(reason)};
	const struct msg_memory_vote_cast msg = {.vote_id = id, .ballots = {&b, 1}};

	return rig_try(g, MSG_memory_vote_cast, &msg);
}

static inline bool cast(struct rig *g, wire_str id, const char *voter, const char *choice)
{
	const struct res_memory_vote_cast *res = try_cast(g, id, voter, choice, NULL);

	assert_non_null(res);
	assert_false(res->closed);
	return res->changed;
}

static inline struct res_memory_vote_close closed(struct rig *g)
{
	const struct msg_memory_vote_close msg = {.common = {.has_request_id = false}};

	return *(const struct res_memory_vote_close *)rig_call(g, MSG_memory_vote_close, &msg);
}

static inline uint32_t number(const msgpack_object *map, const char *key)
{
	for (uint32_t i = 0; i < map->via.map.size; i++) {
		const msgpack_object_kv *kv = &map->via.map.ptr[i];

		if (kv->key.via.str.size == strlen(key) && memcmp(kv->key.via.str.ptr, key, strlen(key)) == 0)
			return (uint32_t)kv->val.via.u64;
	}
	fail_msg("no %s in the tally", key);
	return 0;
}

static inline double rows(struct rig *g, const char *table)
{
	char sql[64];

	snprintf(sql, sizeof(sql), "SELECT count(*) FROM %s", table);
	return rig_sql(g, sql);
}

static const char *const three_to_one[] __attribute__((unused)) = {"yes", "no", "yes", "yes"};

#endif
