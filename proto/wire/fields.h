/* The fields of every message and item, once. No code here.
 *   F(need, type, name, min, max)   need: REQ or OPT; types and the meaning of min..max: types.h; 0, 0 = the type's own bounds
 *   I(need, item, name)             one nested item
 *   L(need, item, name, min, max)   a list of min..max items
 * OPT fields have a `bool has_NAME` beside them; an absent list or strs has n == 0 as well. Names are those of the HTTP API. */
#ifndef PROTO_WIRE_FIELDS_H
#define PROTO_WIRE_FIELDS_H

#define WIRE_CONTENT_MAX 65536
#define WIRE_ID_MAX      128
#define WIRE_NAME_MAX    256
#define WIRE_BATCH_MAX   10000  /* memories in one add */
#define WIRE_COMPANY_MAX 4096   /* of one record */
#define WIRE_TOKENS_MAX  500    /* of the API */
#define WIRE_CHAIN_MAX   24000  /* PEM that fits one packet of the private channel; what is larger takes a new process */
#define WIRE_KEY_MAX     12000
#define WIRE_CA_MAX      28000
#define WIRE_DRILL_STEPS_MAX  200
#define WIRE_DRILL_SLICES_MAX 60
#define WIRE_BALLOTS_MAX 1024   /* of one vote */

/* ---- items ---- (ITEMS lists them so that an item stands behind those it contains) */
#define WIRE_ITEMS(X) \
	X(role_flags) X(reason) X(bucket) X(recovery) X(understudy) X(drill_step) X(drill_slice) X(drill) X(drill_run) X(jr) X(jrs) X(sentience) X(new_memory) X(added) X(term) X(explanation) X(memory) X(source) X(stages) X(heat_bin) \
	X(event) X(ended_fault) X(setting) X(company) X(record) X(import) X(decision) X(ballot) X(new_ballot) X(vote) X(vote_line) X(vote_counts) X(sample) X(recall_sample) X(anomaly) X(degradation) X(beat) X(constants) X(act) X(objection) X(governed) X(skipped) X(backup_rows) X(backup) X(dump) X(work) X(token) X(token_key) X(new_token) X(rotation) X(audit) X(guard_count)

#define ITEM_role_flags(F, I, L) \
	F(REQ, flag, memory_jr, 0, 0) F(REQ, flag, executive_jr, 0, 0) F(REQ, flag, meta_jr, 0, 0) F(REQ, flag, integration_jr, 0, 0)
#define ITEM_reason(F, I, L) F(REQ, str, reason, 1, 32) F(REQ, u64, count, 0, 0)
/* one bucket of a histogram, not cumulative: values <= le seconds and above the bucket before */
#define ITEM_bucket(F, I, L) F(REQ, f64, le, 0, 0) F(REQ, u64, count, 0, 0)
/* How long a role was away, after what (as restarts_by_reason has it). */
#define ITEM_recovery(F, I, L) \
	F(REQ, str, cause, 1, 32) L(REQ, bucket, buckets, 0, 32) F(REQ, f64, sum_s, 0, 0) F(REQ, u64, count, 0, 0)
/* a process that waits behind the lead. state: as of a Jr, and `waiting` for one that could lead at once */
#define ITEM_understudy(F, I, L)                                                                                \
	F(REQ, str, state, 1, 16) F(REQ, u32, generation, 0, 0) F(OPT, u32, pid, 0, 0) F(OPT, u64, uptime_s, 0, 0) \
	F(OPT, u64, heartbeat_age_ms, 0, 0) F(OPT, u64, rss_bytes, 0, 0)
/* One blow of a drill, at_ms after it began. ms: to the first good answer, absent: there was none. noticed_ms: until tribed told that
 * it had seen it, by noticed_by (an event's kind); absent: it was over before anybody noticed */
#define ITEM_drill_step(F, I, L) \
	F(REQ, str, jr, 1, 32) F(REQ, f64, at_ms, 0, 0) F(OPT, f64, ms, 0, 0) F(OPT, f64, noticed_ms, 0, 0) F(OPT, str, noticed_by, 1, 32)
/* What the load's requests took that were sent in one slice of a drill; at_ms: its middle */
#define ITEM_drill_slice(F, I, L) \
	F(REQ, f64, at_ms, 0, 0) F(REQ, f64, p50_ms, 0, 0) F(REQ, f64, p99_ms, 0, 0) F(REQ, f64, max_ms, 0, 0)
/* What came of a drill. valid: true, false or unknown; figures of what users saw (all roles): from the fault to the first good
 * answer, requests of the built-in load (load: its users) and what became of them. steps, of many every so manyth, and slices: what
 * its plot is made of, of the newest drill alone */
#define ITEM_drill(F, I, L)                                                                                     \
	F(REQ, str, id, 1, 64) F(REQ, time, started, 0, 0) F(REQ, time, finished, 0, 0) F(REQ, str, fault, 1, 64) \
	F(REQ, strs, jrs, 0, 4) F(REQ, u32, seed, 0, 0) F(REQ, str, valid, 1, 16) F(OPT, str, reason, 1, 256)     \
	F(REQ, u32, planned, 0, 0) F(REQ, u32, injected, 0, 0) F(REQ, u32, recovered, 0, 0)                       \
	F(OPT, f64, p50_ms, 0, 0) F(OPT, f64, p95_ms, 0, 0) F(OPT, f64, p99_ms, 0, 0) F(OPT, f64, max_ms, 0, 0)   \
	F(REQ, u64, requests, 0, 0) F(REQ, u64, refused, 0, 0) F(REQ, u64, failed, 0, 0) F(REQ, u64, lost, 0, 0)  \
	F(REQ, u64, doubled, 0, 0) F(REQ, u64, stale, 0, 0) F(OPT, u32, load, 0, 0)                               \
	L(OPT, drill_step, steps, 0, WIRE_DRILL_STEPS_MAX) L(OPT, drill_slice, slices, 0, WIRE_DRILL_SLICES_MAX)
/* a drill that tribed began: jr: a role's API name, or all */
#define ITEM_drill_run(F, I, L) \
	F(REQ, time, started, 0, 0) F(REQ, str, jr, 1, 32) F(REQ, str, fault, 1, 32) F(REQ, u32, kills, 1, 100) \
	F(OPT, u32, load, 0, 100)
/* a Jr as tribed sees it: its lead, and the processes that wait behind it. detections: what was noticed, by kind, ordered or not.
 * state: down starting up stopping killing backoff failed */
#define ITEM_jr(F, I, L)                                                                                        \
	F(REQ, str, state, 1, 16) F(OPT, u32, pid, 0, 0) F(REQ, u32, generation, 0, 0) F(REQ, u64, epoch, 0, 0)   \
	F(OPT, u64, uptime_s, 0, 0) F(REQ, u64, restarts, 0, 0) L(REQ, reason, restarts_by_reason, 0, 32)         \
	F(OPT, u64, heartbeat_age_ms, 0, 0) F(OPT, time, heartbeat_at, 0, 0) F(OPT, u64, rss_bytes, 0, 0)        \
	F(OPT, u64, cpu_ms, 0, 0) F(OPT, u32, inflight, 0, 0) F(OPT, u32, queue_depth, 0, 0)                      \
	F(OPT, u64, loop_lag_us, 0, 0) F(OPT, u64, handled_total, 0, 0) F(OPT, u64, errors_total, 0, 0)           \
	F(OPT, str, last_exit, 0, 64) F(OPT, u64, retry_in_ms, 0, 0)                                              \
	L(REQ, recovery, recoveries, 0, 32) L(REQ, reason, detections, 0, 32) L(REQ, understudy, understudies, 0, 16)
#define ITEM_jrs(F, I, L) I(REQ, jr, memory_jr) I(REQ, jr, executive_jr) I(REQ, jr, meta_jr) I(REQ, jr, integration_jr)
/* index 0..100, absent while warming up; components 0..1, each absent while unknown */
#define ITEM_sentience(F, I, L)                                                                                 \
	F(OPT, f64, index, 0, 100) F(OPT, f64, uptime, 0, 1) F(OPT, f64, coherence, 0, 1)                         \
	F(OPT, f64, thermal_balance, 0, 1) F(OPT, f64, heartbeat_coherence, 0, 1) F(OPT, f64, phase_coherence, 0, 1)
/* kind: spawn ready exit hang stopped backoff failed promote stop start drill reload ready-all shutdown ... detail: for a person */
#define ITEM_event(F, I, L)                                                                                     \
	F(REQ, u64, seq, 0, 0) F(REQ, time, at, 0, 0) F(REQ, str, kind, 1, 32) F(OPT, str, jr, 1, 32)             \
	F(OPT, u32, pid, 1, 0) F(OPT, u32, generation, 0, 0) F(OPT, u64, epoch, 0, 0) F(OPT, str, detail, 0, 256)
/* fault: as fault.inject takes it; pid, generation: of the process that was hit and lives on */
#define ITEM_ended_fault(F, I, L) \
	F(REQ, str, jr, 1, 32) F(REQ, str, fault, 1, 32) F(REQ, u32, pid, 1, 0) F(REQ, u32, generation, 0, 0)
/* value: in force, as --set takes it, a secret in it as ***; origin: default, file or "command line"; line: in the file.
 * configured: what the file and --set say by now, where that differs; needs: "reload" or "restart", to put it in force */
#define ITEM_setting(F, I, L)                                                                                   \
	F(REQ, str, key, 1, 64) F(REQ, str, value, 0, 4096) F(REQ, str, origin, 1, 32) F(OPT, u32, line, 1, 0)    \
	F(OPT, str, configured, 0, 4096) F(OPT, str, needs, 1, 16)
/* what somebody wants remembered */
#define ITEM_new_memory(F, I, L)                                                                                \
	F(REQ, str, content, 1, WIRE_CONTENT_MAX) F(OPT, str, id, 1, WIRE_ID_MAX) F(OPT, strs, tags, 0, 64)       \
	F(OPT, str, source, 1, WIRE_NAME_MAX) F(OPT, str, session, 1, WIRE_NAME_MAX)                              \
	F(OPT, str, speaker, 1, WIRE_NAME_MAX) F(OPT, f64, importance, 0, 1) F(OPT, flag, sacred, 0, 0)           \
	F(OPT, time, at, 0, 0) F(OPT, str, supersedes, 1, WIRE_ID_MAX) F(OPT, map, metadata, 0, 65536)
/* created false: it was known already (and was heated by this add). redacted: classes of secrets that were taken out of it;
 * flagged: classes of what is about persons in it */
#define ITEM_added(F, I, L)                                                                                     \
	F(REQ, str, id, 1, WIRE_ID_MAX) F(REQ, flag, created, 0, 0) F(REQ, f64, temperature, 0, 100)              \
	F(REQ, str, stage, 1, 16) F(OPT, strs, redacted, 0, 32) F(OPT, strs, flagged, 0, 32)
/* a word of the question: how often it stands in the memory, and its weight (rare words weigh more) */
#define ITEM_term(F, I, L) F(REQ, str, term, 1, WIRE_NAME_MAX) F(REQ, u32, count, 0, 0) F(REQ, f64, weight, 0, 0)
/* match: the ranker's figure before it is normalised, absent without a question; raw_temperature: before clamp and floor;
 * decayed_accesses: accesses as they count now, each halved per half-life; idle_days: since the last access */
#define ITEM_explanation(F, I, L)                                                                               \
	F(OPT, f64, match, 0, 0) L(REQ, term, terms, 0, 64) F(REQ, f64, raw_temperature, 0, 0)                    \
	F(REQ, f64, heat_key, 0, 0) F(REQ, f64, decayed_accesses, 0, 0) F(REQ, f64, idle_days, 0, 0)              \
	F(REQ, f64, half_life_days, 0, 0) F(REQ, flag, floored, 0, 0) F(REQ, flag, superseded, 0, 0)
#define ITEM_memory(F, I, L)                                                                                    \
	F(REQ, str, id, 1, WIRE_ID_MAX) F(REQ, str, content, 1, WIRE_CONTENT_MAX) F(OPT, f64, score, 0, 0)        \
	F(REQ, f64, temperature, 0, 100) F(REQ, str, stage, 1, 16) F(OPT, time, at, 0, 0)                         \
	F(REQ, time, created_at, 0, 0) F(REQ, time, last_access, 0, 0) F(REQ, u64, access_count, 0, 0)            \
	F(REQ, strs, tags, 0, 64) F(OPT, str, source, 1, WIRE_NAME_MAX) F(OPT, str, session, 1, WIRE_NAME_MAX)    \
	F(OPT, str, speaker, 1, WIRE_NAME_MAX) F(REQ, f64, importance, 0, 1) F(REQ, flag, sacred, 0, 0)           \
	F(OPT, f64, phase_coherence, 0, 1) F(OPT, str, supersedes, 1, WIRE_ID_MAX)                                \
	F(OPT, str, superseded_by, 1, WIRE_ID_MAX) F(REQ, u32, revision, 0, 0) F(OPT, map, metadata, 0, 65536)     \
	I(OPT, explanation, explanation)
/* A memory that was recalled together with the record's, and is older. own: it stands in the record's list of partners; else the
 * record's memory stands in its. */
#define ITEM_company(F, I, L)                                                                                   \
	F(REQ, str, id, 1, WIRE_ID_MAX) F(REQ, flag, own, 0, 0) F(REQ, u64, times, 1, 0) F(REQ, time, last_at, 0, 0)
/* One line of an export: a memory with everything that is kept of it, so that it can be taken back as it was. own_id: the id was
 * the client's. A memory that is a decision carries decision_id, decided_by, decided_at. */
#define ITEM_record(F, I, L)                                                                                    \
	ITEM_new_memory(F, I, L) F(REQ, flag, own_id, 0, 0) F(REQ, f64, heat_key, 0, 0)                           \
	F(REQ, u64, access_count, 1, 0) F(REQ, time, created_at, 0, 0) F(REQ, time, last_access, 0, 0)            \
	F(OPT, f64, phase_coherence, 0, 1) F(OPT, u32, phase_count, 0, 0) F(REQ, u32, revision, 1, 0)             \
	F(OPT, str, superseded_by, 1, WIRE_ID_MAX) F(OPT, str, import_id, 1, WIRE_ID_MAX)                         \
	F(OPT, str, decision_id, 1, WIRE_ID_MAX) F(OPT, str, decided_by, 1, 64) F(OPT, time, decided_at, 0, 0)    \
	L(OPT, company, company, 0, WIRE_COMPANY_MAX)
/* position: bytes of the material that are done and durable, of size; finished: absent while under way */
#define ITEM_import(F, I, L)                                                                                    \
	F(REQ, str, id, 1, WIRE_ID_MAX) F(REQ, str, name, 1, WIRE_NAME_MAX) F(REQ, u64, position, 0, 0)           \
	F(REQ, u64, size, 0, 0) F(REQ, u64, added, 0, 0) F(REQ, u64, known, 0, 0) F(REQ, u64, skipped, 0, 0)      \
	F(REQ, time, started, 0, 0) F(OPT, time, finished, 0, 0) F(OPT, time, undone, 0, 0)
/* a source of an answer */
#define ITEM_source(F, I, L)                                                                                    \
	F(REQ, str, id, 1, WIRE_ID_MAX) F(REQ, str, content, 1, WIRE_CONTENT_MAX) F(REQ, f64, score, 0, 0)        \
	F(REQ, f64, temperature, 0, 100) F(OPT, time, at, 0, 0) F(OPT, str, speaker, 1, WIRE_NAME_MAX)            \
	F(OPT, str, source, 1, WIRE_NAME_MAX)
#define ITEM_stages(F, I, L)                                                                                    \
	F(REQ, u64, white_hot, 0, 0) F(REQ, u64, red_hot, 0, 0) F(REQ, u64, warm, 0, 0) F(REQ, u64, cool, 0, 0)   \
	F(REQ, u64, cold, 0, 0) F(REQ, u64, ember, 0, 0)
/* memories with from <= temperature < from + 5 (the last one includes 100) */
#define ITEM_heat_bin(F, I, L) F(REQ, f64, from, 0, 100) F(REQ, u64, count, 0, 0)
#define ITEM_decision(F, I, L)                                                                                  \
	F(REQ, str, id, 1, WIRE_ID_MAX) F(REQ, text, text, 1, 2000) F(REQ, str, by, 1, 64)                        \
	F(REQ, str, memory_id, 1, WIRE_ID_MAX) F(REQ, time, at, 0, 0)
/* The thermal constants (docs/THERMAL_ENTROPY_MODEL.md): those that are to change, or all of them. The names of stages: from which
 * temperature on they are */
#define ITEM_constants(F, I, L)                                                                                 \
	F(OPT, f64, base, 0, 0) F(OPT, f64, k, 0, 0) F(OPT, f64, half_life_ms, 0, 0) F(OPT, f64, sacred_floor, 0, 0) \
	F(OPT, f64, max, 0, 0) F(OPT, f64, white_hot, 0, 0) F(OPT, f64, red_hot, 0, 0) F(OPT, f64, warm, 0, 0)    \
	F(OPT, f64, cool, 0, 0) F(OPT, f64, cold, 0, 0)
/* What somebody asks for. act: constants, designate (make a memory sacred), unsacre, delete, object (to an act: objects_to). archive:
 * as memory.acts tells it; id: the asker's own, carried out once ever; archive, id and expires must stand in what is signed */
#define ITEM_act(F, I, L)                                                                                       \
	F(REQ, str, act, 1, 16) F(OPT, str, archive, 1, 32) F(OPT, str, id, 1, 64)                                \
	F(OPT, str, memory, 1, WIRE_ID_MAX) I(OPT, constants, constants) F(OPT, str, objects_to, 1, 64)           \
	F(OPT, time, not_before, 0, 0) F(OPT, time, expires, 0, 0) F(REQ, text, reason, 1, 1000)
#define ITEM_objection(F, I, L) \
	F(REQ, str, id, 1, 64) F(REQ, str, by, 1, 64) F(REQ, text, reason, 1, 1000) F(REQ, time, at, 0, 0)
/* state: pending (it takes effect at due_at, unless somebody objects before), done, stopped (by an objection), failed (what it was
 * about had changed meanwhile), refused (note says why). before: the constants that held until then; envelope: as it was signed */
#define ITEM_governed(F, I, L)                                                                                  \
	F(REQ, str, id, 1, 64) F(REQ, str, act, 1, 16) F(REQ, str, state, 1, 16) F(OPT, str, memory, 1, WIRE_ID_MAX) \
	I(OPT, constants, constants) I(OPT, constants, before) F(REQ, strs, signers, 0, 8)                        \
	F(REQ, text, reason, 1, 1000) F(OPT, text, note, 1, 1200) F(REQ, time, submitted_at, 0, 0)                \
	F(REQ, time, due_at, 0, 0) F(OPT, time, ended_at, 0, 0) L(REQ, objection, objections, 0, 64)              \
	F(OPT, str, envelope, 1, 65536)
/* voter: a Jr ("memory_jr") or the name of somebody outside; choice: an option, "abstain" or "absent"; evidence: ids of memories;
 * veto: of memory_jr alone, true when a sacred memory is against it */
#define ITEM_ballot(F, I, L)                                                                                    \
	F(REQ, str, voter, 1, 128) F(REQ, str, choice, 1, WIRE_STRS_ITEM_MAX) F(OPT, f64, confidence, 0, 1)       \
	F(OPT, text, reason, 1, 1000) F(OPT, strs, evidence, 0, 16) F(OPT, flag, veto, 0, 0) F(OPT, time, at, 0, 0)
/* the ballot of somebody outside, as he sends it; voter: only where callers have no names of their own */
#define ITEM_new_ballot(F, I, L)                                                                                      \
	F(REQ, str, choice, 1, WIRE_STRS_ITEM_MAX) F(OPT, f64, confidence, 0, 1) F(OPT, text, reason, 1, 1000)    \
	F(OPT, strs, evidence, 0, 16) F(OPT, str, voter, 1, 128)
/* outcome: the option that won, or open, or a word of VOTE_NO_DECISIONS (jrs/vote/tally.h); convened: the Jrs have been asked; closes_at: until when
 * others may vote, absent when only the Jrs do. results: voter -> choice; tally: option, abstain, absent -> how many; minority:
 * ballots for other options than the one that won. memory_id, decision_id: once it is closed, and decided */
#define ITEM_vote(F, I, L)                                                                                      \
	F(REQ, str, vote_id, 1, WIRE_ID_MAX) F(REQ, text, proposal, 1, 2000) F(REQ, strs, options, 2, 16)         \
	F(REQ, u32, quorum, 1, 1000) F(REQ, f64, threshold, 0, 1) F(REQ, str, by, 1, 128)                         \
	F(REQ, time, opened_at, 0, 0) F(OPT, time, closes_at, 0, 0) F(OPT, time, closed_at, 0, 0)                 \
	F(REQ, flag, convened, 0, 0) F(REQ, flag, decided, 0, 0) F(REQ, str, outcome, 1, WIRE_STRS_ITEM_MAX)      \
	F(REQ, map, results, 0, 1000000) L(REQ, ballot, ballots, 0, WIRE_BALLOTS_MAX) F(REQ, map, tally, 0, 65536) \
	L(REQ, ballot, minority, 0, WIRE_BALLOTS_MAX) F(OPT, str, memory_id, 1, WIRE_ID_MAX)                       \
	F(OPT, str, decision_id, 1, WIRE_ID_MAX) F(REQ, time, timestamp, 0, 0)
#define ITEM_vote_line(F, I, L)                                                                                 \
	F(REQ, str, vote_id, 1, WIRE_ID_MAX) F(REQ, text, proposal, 1, 2000) F(REQ, str, by, 1, 128)              \
	F(REQ, time, opened_at, 0, 0) F(OPT, time, closes_at, 0, 0) F(OPT, time, closed_at, 0, 0)                 \
	F(REQ, flag, convened, 0, 0) F(REQ, flag, decided, 0, 0) F(REQ, str, outcome, 1, WIRE_STRS_ITEM_MAX)      \
	F(OPT, str, memory_id, 1, WIRE_ID_MAX)
/* votes that were closed, ever, by what came of them; option: another one than yes and no won. OPT: unknown to an older memory-jr */
#define ITEM_vote_counts(F, I, L)                                                                               \
	F(REQ, u64, yes, 0, 0) F(REQ, u64, no, 0, 0) F(REQ, u64, option, 0, 0) F(REQ, u64, tie, 0, 0)             \
	F(REQ, u64, no_quorum, 0, 0) F(REQ, u64, no_majority, 0, 0)                                               \
	F(OPT, u64, no_evidence, 0, 0) F(OPT, u64, vetoed, 0, 0)
/* a memory without its text, for analysis */
#define ITEM_sample(F, I, L)                                                                                    \
	F(REQ, str, id, 1, WIRE_ID_MAX) F(REQ, f64, temperature, 0, 100) F(REQ, f64, raw_temperature, 0, 0)       \
	F(REQ, u64, access_count, 0, 0) F(REQ, f64, importance, 0, 1) F(REQ, flag, sacred, 0, 0)                  \
	F(REQ, f64, idle_days, 0, 0) F(REQ, u32, content_bytes, 0, 0) F(OPT, time, last_access, 0, 0)
/* at: also the last_access of what it found, unless that was accessed since */
#define ITEM_recall_sample(F, I, L) F(REQ, time, at, 0, 0) F(REQ, u32, latency_us, 0, 0) F(REQ, u32, sources, 0, 0)
/* kind: a machine name; severity 0..1; evidence: memory ids. What it was reckoned from, so that a reader can do it again:
 * value passed threshold (both in unit), sample: how many figures were looked at; median and mad (median absolute
 * deviation from it) of these where the threshold comes from them */
#define ITEM_anomaly(F, I, L)                                                                                   \
	F(REQ, str, kind, 1, 64) F(REQ, f64, severity, 0, 1) F(REQ, text, summary, 1, 300)                        \
	F(REQ, u64, count, 0, 0) F(REQ, strs, evidence, 0, 16)                                                    \
	F(OPT, f64, value, 0, 0) F(OPT, f64, threshold, 0, 0) F(OPT, str, unit, 1, 32) F(OPT, u64, sample, 1, 0)  \
	F(OPT, f64, median, 0, 0) F(OPT, f64, mad, 0, 0)
/* of_archive: not known while the archive is away; ratio: median of the latest window over that of the windows before */
#define ITEM_degradation(F, I, L) F(REQ, str, metric, 1, 32) F(REQ, flag, of_archive, 0, 0) F(REQ, f64, ratio, 0, 0)
/* overdue: requests that are still not answered hang_after_ms behind their deadline (or request_timeout_ms, if that is later) */
#define ITEM_beat(F, I, L)                                                                                      \
	F(REQ, str, jr, 1, 32) F(REQ, u32, pid, 1, 0) F(REQ, u32, generation, 0, 0) F(REQ, u64, epoch, 0, 0)      \
	F(REQ, u64, seq, 0, 0) F(REQ, u64, monotonic_ns, 0, 0) F(REQ, u64, uptime_ms, 0, 0)                       \
	F(REQ, str, state, 1, 16) F(REQ, u32, inflight, 0, 0) F(REQ, u32, queue_depth, 0, 0)                      \
	F(REQ, u64, loop_lag_us, 0, 0) F(REQ, u64, rss_bytes, 0, 0) F(REQ, u64, cpu_ms, 0, 0)                     \
	F(REQ, u64, handled_total, 0, 0) F(REQ, u64, errors_total, 0, 0)                                          \
	F(OPT, f64, phase_coherence, 0, 1) F(OPT, f64, thermal_entropy, 0, 1) F(OPT, u64, recalls_total, 0, 0)    \
	F(OPT, flag, archive_healthy, 0, 0) F(OPT, str, archive_reason, 1, 128) F(OPT, u32, overdue, 0, 0)
/* Rows of each table; those of votes are absent below schema 6, those of governance below 10. */
#define ITEM_backup_rows(F, I, L)                                                                               \
	F(REQ, u64, thermal_memory_archive, 0, 0) F(REQ, u64, decisions, 0, 0) F(REQ, u64, imports, 0, 0)         \
	F(REQ, u64, entanglements, 0, 0) F(REQ, u64, settings, 0, 0) F(REQ, u64, requests, 0, 0)                  \
	F(REQ, u64, recall_log, 0, 0) F(REQ, u64, thermal_heat_map, 0, 0)                                         \
	F(OPT, u64, votes, 0, 0) F(OPT, u64, ballots, 0, 0) F(OPT, u64, acts, 0, 0) F(OPT, u64, objections, 0, 0) \
	F(OPT, u64, thermal_clock, 0, 0)
/* The manifest of a backup: the JSON on the last line of its file. kind: sqlite (a database file), dump (pg_dump's custom
 * format) or sql (plain SQL); bytes, sha256: of what stands before that line; memories: those that recall can find;
 * content_sha256: of the rows in canonical order, the same whichever database holds them; version: of the program */
#define ITEM_backup(F, I, L)                                                                                    \
	F(REQ, u32, format, 1, 1000) F(REQ, str, kind, 1, 8) F(REQ, time, created, 0, 0)                          \
	F(REQ, str, version, 1, 64) F(REQ, u32, schema, 1, 1000000) F(REQ, u64, memories, 0, 0)                   \
	I(REQ, backup_rows, rows) F(REQ, u64, bytes, 0, 0) F(REQ, str, sha256, 1, 64)                            \
	F(REQ, str, content_sha256, 1, 64)
/* It is the caller's turn: pg_dump or pg_restore is to be run. service: a file beside the caller's for PGSERVICEFILE, with
 * one service "tribe"; snapshot: for pg_dump; server: its version as a number, such as 150018 */
#define ITEM_dump(F, I, L) F(REQ, str, service, 1, 128) F(OPT, str, snapshot, 1, 128) F(REQ, u32, server, 1, 0)
/* A backup, a verification or a restore under way. total 0: unknown; ok, reason: once it is finished; kept: where a restore
 * left the archive of before */
#define ITEM_work(F, I, L)                                                                                      \
	F(REQ, str, work, 1, WIRE_ID_MAX) F(REQ, str, kind, 1, 16) F(REQ, str, phase, 1, 32)                      \
	F(REQ, u64, done, 0, 0) F(REQ, u64, total, 0, 0) F(REQ, flag, finished, 0, 0) F(REQ, flag, ok, 0, 0)      \
	F(OPT, str, reason, 1, 256) F(OPT, str, kept, 1, 4096) I(OPT, backup, backup) I(OPT, dump, dump)
/* One place of what was left out; reason: for a person. count: at the first place of a reason, how often it was met in
 * all; further places of the same reason follow without one. */
#define ITEM_skipped(F, I, L) F(REQ, u64, line, 0, 0) F(REQ, str, reason, 1, 256) F(OPT, u64, count, 1, 0)
/* A token of the API: who brings it is called name. scopes: read write admin metrics; source: the only one that exists for it;
 * rotated_until: so long the token before it is good too; file: the one that tribed made or was given, which is not in the archive
 * but in admin-token.sha256; when is not known */
#define ITEM_token(F, I, L)                                                                                     \
	F(REQ, str, name, 1, 64) F(REQ, strs, scopes, 1, 4) F(OPT, str, source, 1, WIRE_NAME_MAX)                 \
	F(OPT, time, created_at, 0, 0) F(OPT, time, expires_at, 0, 0) F(OPT, time, rotated_until, 0, 0) F(OPT, flag, file, 0, 0)
/* What somebody wants: a new one; another one under the same name, while the one before is good for overlap_s more (300) */
#define ITEM_new_token(F, I, L)                                                                                 \
	F(REQ, str, name, 1, 64) F(REQ, strs, scopes, 1, 4) F(OPT, str, source, 1, WIRE_NAME_MAX) F(OPT, time, expires_at, 0, 0)
#define ITEM_rotation(F, I, L) F(REQ, str, name, 1, 64) F(OPT, u32, overlap_s, 0, 86400)
/* What it is known by: SHA-256 of the token, and until old_until of the one before it; scopes: bits of common/base/token.h */
#define ITEM_token_key(F, I, L)                                                                                 \
	F(REQ, str, name, 1, 64) F(REQ, u32, scopes, 1, 15) F(OPT, str, source, 1, WIRE_NAME_MAX)                 \
	F(REQ, bin, hash, 1, 32) F(REQ, time, created_at, 0, 0) F(OPT, time, expires_at, 0, 0) F(OPT, bin, old_hash, 1, 32)  \
	F(OPT, time, old_until, 0, 0)
/* One thing that the guard did. action: refused, redacted, flagged; class: jrs/memory/guard/classes.def; who: the caller; field: where
 * in the call. memory_id: in whose text; absent: nothing was stored. Never a byte of what was found. */
#define ITEM_audit(F, I, L)                                                                                     \
	F(REQ, time, at, 0, 0) F(REQ, str, action, 1, 16) F(REQ, str, class, 1, 32) F(REQ, str, method, 1, 64)    \
	F(REQ, str, who, 1, 128) F(OPT, str, memory_id, 1, WIRE_ID_MAX) F(OPT, str, request_id, 1, WIRE_ID_MAX)   \
	F(OPT, str, source, 1, WIRE_NAME_MAX) F(OPT, str, field, 1, 64)
#define ITEM_guard_count(F, I, L) F(REQ, str, class, 1, 32) F(REQ, str, action, 1, 16) F(REQ, u64, count, 0, 0)

/* ---- the private channel ---- */
#define FIELDS_hello(F, I, L) \
	F(REQ, str, jr, 1, 32) F(REQ, u32, pid, 1, 0) F(REQ, u32, generation, 0, 0) F(REQ, u32, proto_rev, 0, 0)
#define FIELDS_heartbeat(F, I, L) ITEM_beat(F, I, L)
#define FIELDS_drain(F, I, L) F(REQ, u32, generation, 0, 0) F(REQ, u32, deadline_ms, 0, 0)
#define FIELDS_event(F, I, L) ITEM_event(F, I, L)
#define FIELDS_adopt(F, I, L) F(REQ, u32, generation, 0, 0)
/* fault: as fault.inject takes it; ms: how long it lasts, for those that pass by themselves; amount: see common/base/harms.h */
#define FIELDS_fault(F, I, L) \
	F(REQ, u32, generation, 0, 0) F(REQ, str, fault, 1, 32) F(OPT, u32, ms, 1, 600000) F(OPT, u32, amount, 0, 0)
#define FIELDS_heal(F, I, L) F(REQ, u32, generation, 0, 0)
/* PEM, as the descriptors of the same names; client_ca absent: clients are not asked for a certificate */
#define FIELDS_tls(F, I, L)                                                                                     \
	F(REQ, u32, generation, 0, 0) F(REQ, bin, certificate, 1, WIRE_CHAIN_MAX)                                 \
	F(REQ, bin, private_key, 1, WIRE_KEY_MAX) F(OPT, bin, client_ca, 1, WIRE_CA_MAX)
/* kind: of the events that a Jr may tell of: vote */
#define FIELDS_news(F, I, L) F(REQ, str, kind, 1, 32) F(OPT, str, detail, 0, 256)
/* monotonic_ns: when it began to answer; since_ns: when it knew that the mutex was free, 0: it never waited. An epoch holds for a
 * connection: older ones lead to who answered before. */
#define FIELDS_lead(F, I, L)                                                                                    \
	F(REQ, str, jr, 1, 32) F(REQ, u32, pid, 1, 0) F(REQ, u32, generation, 0, 0) F(REQ, u64, epoch, 1, 0)      \
	F(REQ, u64, monotonic_ns, 0, 0) F(REQ, u64, since_ns, 0, 0)

/* ---- every Jr ---- */
#define FIELDS_ping(F, I, L)
#define RESULT_ping(F, I, L) \
	F(REQ, str, jr, 1, 32) F(REQ, u32, pid, 1, 0) F(REQ, u32, generation, 0, 0) F(REQ, u64, epoch, 0, 0) F(REQ, u64, monotonic_ns, 0, 0)

/* called_ns: when the Jrs were called to this vote, by the monotonic clock. Who was started later has no voice in it: whoever was
 * called has died. reason: what the evidence was, or why there is none; veto: as in a ballot */
#define FIELDS_ballot(F, I, L)                                                                                  \
	F(REQ, str, vote_id, 1, WIRE_ID_MAX) F(REQ, text, proposal, 1, 2000) F(REQ, strs, options, 2, 16)         \
	F(REQ, u64, called_ns, 0, 0)
#define RESULT_ballot(F, I, L)                                                                                  \
	F(REQ, str, choice, 1, WIRE_STRS_ITEM_MAX) F(OPT, f64, confidence, 0, 1) F(REQ, text, reason, 1, 1000)    \
	F(REQ, strs, evidence, 0, 16) F(OPT, flag, veto, 0, 0)

/* ---- control.sock ---- */
#define FIELDS_status(F, I, L)
/* drills: how many ended, by what was found (reason: as valid of a drill). status: operational (all four up and the archive healthy), degraded, down (no memory-jr or no executive-jr); http_tls: the API
 * speaks TLS alone */
#define RESULT_status(F, I, L)                                                                                  \
	F(REQ, str, status, 1, 16) F(OPT, flag, archive_healthy, 0, 0) F(OPT, str, archive_reason, 1, 128)        \
	I(REQ, role_flags, jrs_running)                                                                           \
	I(REQ, jrs, jrs) I(REQ, sentience, sentience) F(REQ, u64, uptime_s, 0, 0) F(REQ, u32, supervisor_pid, 0, 0) \
	F(REQ, u64, supervisor_rss_bytes, 0, 0) F(REQ, str, version, 1, 64) F(REQ, time, timestamp, 0, 0)         \
	F(OPT, str, http_address, 1, 64) F(OPT, flag, http_tls, 0, 0) L(REQ, reason, drills, 0, 8)
#define FIELDS_heartbeats(F, I, L) F(OPT, flag, follow, 0, 0)
#define RESULT_heartbeats(F, I, L) L(REQ, beat, heartbeats, 0, 64)
#define FIELDS_jr_restart(F, I, L) F(REQ, str, jr, 1, 32)
#define RESULT_jr_restart(F, I, L) F(REQ, str, state, 1, 16)
#define FIELDS_jr_stop(F, I, L)    F(REQ, str, jr, 1, 32)
#define RESULT_jr_stop(F, I, L)    F(REQ, str, state, 1, 16)
#define FIELDS_jr_start(F, I, L)   F(REQ, str, jr, 1, 32)
#define RESULT_jr_start(F, I, L)   F(REQ, str, state, 1, 16)
/* fault: a word of common/base/harms.h; ms, amount: as jr.fault has them. pid, generation: of the process that was hit (of a
 * role: its lead); also: of the understudy that was hit with it */
#define FIELDS_fault_inject(F, I, L) \
	F(REQ, str, jr, 1, 32) F(REQ, str, fault, 1, 32) F(OPT, u32, ms, 1, 600000) F(OPT, u32, amount, 0, 0)
#define RESULT_fault_inject(F, I, L) \
	F(REQ, u32, pid, 1, 0) F(REQ, u32, generation, 0, 0) F(REQ, u64, monotonic_ns, 0, 0) F(OPT, u32, also, 1, 0)
#define FIELDS_drill_report(F, I, L) ITEM_drill(F, I, L)
#define RESULT_drill_report(F, I, L)
#define FIELDS_drills(F, I, L) F(OPT, u32, limit, 1, 64)
/* running: the one that was begun by drill.start and has not ended */
#define RESULT_drills(F, I, L) L(REQ, drill, drills, 0, 64) I(OPT, drill_run, running)
/* jr: absent or `all`: all four, kills times each. fault: kill by default. yes: needed outside --dev without `drills: true`.
 * load: so many users meanwhile. The same request_id again is answered again, and begins nothing. */
#define FIELDS_drill_start(F, I, L) \
	F(OPT, str, jr, 1, 32) F(REQ, u32, kills, 1, 100) F(OPT, str, fault, 1, 32) F(OPT, flag, yes, 0, 0) \
	F(OPT, u32, load, 0, 100)
#define RESULT_drill_start(F, I, L) I(REQ, drill_run, running)
/* jr: absent for all. What had passed already is not in the list: tribed kills a Jr as soon as it sees it stopped. */
#define FIELDS_fault_heal(F, I, L) F(OPT, str, jr, 1, 32)
#define RESULT_fault_heal(F, I, L) L(REQ, ended_fault, healed, 0, 64)
#define FIELDS_shutdown(F, I, L)
#define RESULT_shutdown(F, I, L)
#define FIELDS_events(F, I, L) F(OPT, flag, follow, 0, 0) F(OPT, u32, limit, 1, 1000)
#define RESULT_events(F, I, L) L(REQ, event, events, 0, 1000)
/* changed: keys whose values differ now; jr processes are replaced only when there are any */
#define FIELDS_reload(F, I, L)
#define RESULT_reload(F, I, L) F(REQ, strs, changed, 0, 64)
/* file: the configuration file that was read last, absent when there was none; state: the state directory.
 * file_error: the file is wrong by now; then nothing is said about what is configured */
#define FIELDS_config(F, I, L)
#define RESULT_config(F, I, L)                                                                                  \
	L(REQ, setting, settings, 0, 64) F(REQ, u32, pid, 1, 0) F(OPT, str, file, 1, 4096) F(OPT, str, state, 1, 4096) \
	F(OPT, str, file_error, 1, 512)
#define FIELDS_version(F, I, L)
#define RESULT_version(F, I, L) F(REQ, str, version, 1, 64) F(REQ, str, commit, 1, 64) F(REQ, u32, proto_rev, 0, 0) F(REQ, u32, pid, 1, 0)

/* ---- memory.sock ---- */
/* With a request_id the answer is stored in the effect's own commit: the same call again gets the same answer, another
 * call under the same id TR_EMISMATCH. source: given to memories that name none. */
/* import_id, import_position, import_skipped: of an import that was begun; noted in the same commit, so that it can be resumed and undone. */
#define FIELDS_memory_add(F, I, L)                                                                              \
	L(REQ, new_memory, memories, 0, WIRE_BATCH_MAX) F(OPT, str, source, 1, WIRE_NAME_MAX)                     \
	F(OPT, str, import_id, 1, WIRE_ID_MAX) F(OPT, u64, import_position, 0, 0) F(OPT, u64, import_skipped, 0, 0)
#define RESULT_memory_add(F, I, L) L(REQ, added, memories, 0, WIRE_BATCH_MAX)
/* touch (default true): counts as an access, at most once per memory and toucher and hour */
#define FIELDS_memory_get(F, I, L) F(REQ, str, id, 1, WIRE_ID_MAX) F(OPT, flag, touch, 0, 0) F(OPT, str, toucher, 1, WIRE_NAME_MAX)
#define RESULT_memory_get(F, I, L) I(REQ, memory, memory)
#define FIELDS_memory_recall(F, I, L)                                                                           \
	F(OPT, text, q, 0, 1000) F(OPT, u32, limit, 1, 200) F(OPT, str, tag, 1, WIRE_NAME_MAX)                    \
	F(OPT, str, source, 1, WIRE_NAME_MAX) F(OPT, str, session, 1, WIRE_NAME_MAX)                              \
	F(OPT, str, speaker, 1, WIRE_NAME_MAX) F(OPT, f64, min_temperature, 0, 100) F(OPT, time, before, 0, 0)    \
	F(OPT, time, after, 0, 0) F(OPT, str, cursor, 1, 128) F(OPT, u32, max_tokens, 1, 1000000)                 \
	F(OPT, flag, touch, 0, 0) F(OPT, str, toucher, 1, WIRE_NAME_MAX) F(OPT, flag, explain, 0, 0)
/* best first; without q: newest first */
#define RESULT_memory_recall(F, I, L) L(REQ, memory, memories, 0, 200) F(OPT, str, next_cursor, 1, 128)
/* quota_refused_total: additions over the limit of their source, since the start; purge_due_s: how long ago the oldest memory was
 * forgotten that has not been purged from the files, absent: there is none */
#define FIELDS_memory_thermal(F, I, L) F(OPT, u32, hottest, 0, 100)
#define RESULT_memory_thermal(F, I, L)                                                                          \
	F(REQ, u64, total_memories, 0, 0) F(OPT, f64, average_temperature, 0, 100) F(REQ, u64, white_hot_count, 0, 0) \
	F(REQ, u64, sacred_count, 0, 0) F(OPT, f64, sacred_min_temperature, 0, 100)                               \
	F(OPT, f64, phase_coherence_avg, 0, 1) F(OPT, f64, thermal_entropy, 0, 1) I(REQ, stages, stages)          \
	L(REQ, heat_bin, histogram, 0, 20) L(REQ, memory, hottest, 0, 100) F(REQ, time, timestamp, 0, 0)          \
	F(OPT, u64, quota_refused_total, 0, 0) F(OPT, u64, purge_due_s, 0, 0) I(OPT, vote_counts, votes) L(OPT, guard_count, guard, 0, 100)
#define FIELDS_memory_decide(F, I, L) F(REQ, text, text, 1, 2000) F(REQ, str, by, 1, 64)
#define RESULT_memory_decide(F, I, L) I(REQ, decision, decision)
#define FIELDS_memory_decisions(F, I, L) F(OPT, time, since, 0, 0) F(OPT, u32, limit, 1, 200)
#define RESULT_memory_decisions(F, I, L) L(REQ, decision, decisions, 0, 200)
/* memory: only what concerns this one */
#define FIELDS_memory_audit(F, I, L)                                                                            \
	F(OPT, time, since, 0, 0) F(OPT, u32, limit, 1, 1000) F(OPT, str, action, 1, 16) F(OPT, str, class, 1, 32) \
	F(OPT, str, memory, 1, WIRE_ID_MAX)
#define RESULT_memory_audit(F, I, L) L(REQ, audit, audit, 0, 1000)
#define FIELDS_memory_samples(F, I, L) F(OPT, u32, memories, 0, 2000) F(OPT, u32, recalls, 0, 2000)
#define RESULT_memory_samples(F, I, L)                                                                          \
	L(REQ, sample, memories, 0, 2000) L(REQ, recall_sample, recalls, 0, 2000) F(REQ, u64, total_memories, 0, 0)
/* absent fields stay as they are; sacred false on a sacred memory is TR_EREFUSED */
#define FIELDS_memory_patch(F, I, L)                                                                            \
	F(REQ, str, id, 1, WIRE_ID_MAX) F(OPT, strs, tags, 0, 64) F(OPT, f64, importance, 0, 1)                   \
	F(OPT, flag, sacred, 0, 0) F(OPT, map, metadata, 0, 65536)
#define RESULT_memory_patch(F, I, L) I(REQ, memory, memory)
#define FIELDS_memory_forget(F, I, L) F(REQ, str, id, 1, WIRE_ID_MAX) F(OPT, flag, now, 0, 0)
/* now: answered when it is purged from the files too, or shortly before the deadline; purged says which */
#define RESULT_memory_forget(F, I, L) F(REQ, str, id, 1, WIRE_ID_MAX) F(OPT, flag, purged, 0, 0)
/* Either envelope (DSSE, payload: JSON of an act), where keys of governance are set, or act, confirm (the id of the memory; for
 * constants the archive's) and by, where none are. */
/* about: it must be an objection to this act, and nothing else */
#define FIELDS_memory_govern(F, I, L)                                                                           \
	F(OPT, str, envelope, 1, 65536) I(OPT, act, act) F(OPT, str, confirm, 1, WIRE_ID_MAX) F(OPT, str, by, 1, 64) \
	F(OPT, str, about, 1, 64)
#define RESULT_memory_govern(F, I, L) I(REQ, governed, act) F(REQ, flag, known, 0, 0)
/* archive: its id, for what is to be signed; keys: are keys of governance set? constants: as they are now */
#define FIELDS_memory_acts(F, I, L) F(OPT, str, id, 1, 64) F(OPT, u32, limit, 1, 200)
#define RESULT_memory_acts(F, I, L)                                                                             \
	L(REQ, governed, acts, 0, 200) F(REQ, str, archive, 1, 32) F(REQ, flag, keys, 0, 0) F(REQ, u64, delay_s, 0, 0) \
	I(REQ, constants, constants)
#define FIELDS_memory_carry_out(F, I, L)
/* the one that was carried out, or failed; more: another one is due */
#define RESULT_memory_carry_out(F, I, L) L(REQ, governed, acts, 0, 1) F(REQ, flag, more, 0, 0)
#define FIELDS_memory_explain(F, I, L) F(REQ, str, id, 1, WIRE_ID_MAX) F(OPT, text, q, 0, 1000)
/* rank: place among all memories that match q, from 1; absent without q or when it does not match */
#define RESULT_memory_explain(F, I, L) I(REQ, memory, memory) F(OPT, u64, rank, 1, 0)
/* after: the `next` of the page before; order of creation */
#define FIELDS_memory_export(F, I, L) F(OPT, u64, after, 0, 0) F(OPT, u32, limit, 1, 1000)
#define RESULT_memory_export(F, I, L) L(REQ, record, records, 0, 1000) F(OPT, u64, next, 0, 0)
/* A record whose id (or, without own_id, whose identity) is there already is known and left as it is. */
#define FIELDS_memory_restore(F, I, L)                                                                          \
	L(REQ, record, records, 1, 1000) F(OPT, str, import_id, 1, WIRE_ID_MAX) F(OPT, u64, import_position, 0, 0) \
	F(OPT, u64, import_skipped, 0, 0)
#define RESULT_memory_restore(F, I, L) F(REQ, u64, added, 0, 0) F(REQ, u64, known, 0, 0)
#define FIELDS_memory_import_begin(F, I, L) F(REQ, str, id, 1, WIRE_ID_MAX) F(REQ, str, name, 1, WIRE_NAME_MAX) F(REQ, u64, size, 0, 0)
#define RESULT_memory_import_begin(F, I, L) I(REQ, import, import)
#define FIELDS_memory_imports(F, I, L) F(OPT, u32, limit, 1, 200)
#define RESULT_memory_imports(F, I, L) L(REQ, import, imports, 0, 200)
/* removed: in this call, at most 200; more: call again; kept: sacred ones, which stay */
#define FIELDS_memory_import_undo(F, I, L) F(REQ, str, id, 1, WIRE_ID_MAX)
#define RESULT_memory_import_undo(F, I, L) F(REQ, u64, removed, 0, 0) F(REQ, u64, kept, 0, 0) F(REQ, flag, more, 0, 0)
/* vote_id: of the caller's own choice; the same one again with the same words is the same vote (created false). options: yes and no by
 * default; quorum: so many ballots must name an option; threshold: share of these that the first option needs; deadline_s: others
 * than the Jrs may vote so long; closes_at: when it is closed at the latest. Nothing of it is in the answer, which is kept: it may have to be forgotten. */
#define FIELDS_memory_vote_open(F, I, L)                                                                        \
	F(OPT, str, vote_id, 1, WIRE_ID_MAX) F(REQ, text, proposal, 1, 2000) F(OPT, strs, options, 2, 16)         \
	F(OPT, u32, quorum, 1, 1000) F(OPT, f64, threshold, 0, 1) F(OPT, u32, deadline_s, 1, 2592000)             \
	F(REQ, str, by, 1, 128)
#define RESULT_memory_vote_open(F, I, L) F(REQ, str, vote_id, 1, WIRE_ID_MAX) F(REQ, flag, created, 0, 0) F(REQ, time, closes_at, 0, 0)
/* convened: these are the ballots of the Jrs, who were asked; for a vote that has them already, or is closed, it does nothing. Without it:
 * one ballot of somebody else, who may change it until the vote is closed. closed: by this call; changed: so was something */
#define FIELDS_memory_vote_cast(F, I, L) \
	F(REQ, str, vote_id, 1, WIRE_ID_MAX) L(REQ, ballot, ballots, 1, 8) F(OPT, flag, convened, 0, 0)
#define RESULT_memory_vote_cast(F, I, L) \
	F(REQ, str, vote_id, 1, WIRE_ID_MAX) F(REQ, flag, closed, 0, 0) F(REQ, flag, changed, 0, 0) F(OPT, str, outcome, 1, WIRE_STRS_ITEM_MAX)
/* closed: so many, at most 8 in one call; ids, outcomes: these; next_at: when the next one is due, absent when none is open */
#define FIELDS_memory_vote_close(F, I, L)
#define RESULT_memory_vote_close(F, I, L) \
	F(REQ, u32, closed, 0, 0) F(REQ, strs, ids, 0, 8) F(REQ, strs, outcomes, 0, 8) F(OPT, time, next_at, 0, 0)
#define FIELDS_memory_vote(F, I, L) F(REQ, str, id, 1, WIRE_ID_MAX)
#define RESULT_memory_vote(F, I, L) I(REQ, vote, vote)
/* terms: the words of the proposal with their weights, as memory.recall explains them */
#define FIELDS_memory_sacred(F, I, L) F(REQ, text, proposal, 1, 2000) L(REQ, term, terms, 0, 64)
#define RESULT_memory_sacred(F, I, L) L(REQ, memory, memories, 0, 200)
/* unconvened: only open ones whose Jrs have not been asked yet */
#define FIELDS_memory_votes(F, I, L) F(OPT, u32, limit, 1, 200) F(OPT, flag, unconvened, 0, 0)
#define RESULT_memory_votes(F, I, L) L(REQ, vote_line, votes, 0, 200)

/* work: chosen by the caller, a UUID; a file that goes along is STATE/backups/WORK.part. Only one work at a time; one whose
 * caller asks no more is given up. The answer comes at once; memory.work tells how it goes on. */
#define FIELDS_memory_backup(F, I, L) F(REQ, str, work, 1, WIRE_ID_MAX) F(OPT, flag, sql, 0, 0)
#define RESULT_memory_backup(F, I, L) I(REQ, work, work)
/* backup: what a dump's manifest says; that of a database file is read from the file */
#define FIELDS_memory_verify(F, I, L) F(REQ, str, work, 1, WIRE_ID_MAX) I(OPT, backup, backup)
#define RESULT_memory_verify(F, I, L) I(REQ, work, work)
/* undo: back to the archive that the last restore replaced; no file then */
#define FIELDS_memory_switch(F, I, L) F(REQ, str, work, 1, WIRE_ID_MAX) I(OPT, backup, backup) F(OPT, flag, undo, 0, 0)
#define RESULT_memory_switch(F, I, L) I(REQ, work, work)
/* go_on: a restore that is ready may take place, or the caller has had its turn; end: give it up, or forget what is finished */
#define FIELDS_memory_work(F, I, L) F(REQ, str, work, 1, WIRE_ID_MAX) F(OPT, flag, go_on, 0, 0) F(OPT, flag, end, 0, 0)
#define RESULT_memory_work(F, I, L) I(REQ, work, work)

/* hash: SHA-256 of the token. in_force: executive-jr knows it by now; absent: it was not asked. */
#define FIELDS_memory_token_create(F, I, L) ITEM_new_token(F, I, L) F(REQ, bin, hash, 1, 32)
#define RESULT_memory_token_create(F, I, L) I(REQ, token, token) F(REQ, bin, hash, 1, 32) F(OPT, flag, in_force, 0, 0)
#define FIELDS_memory_token_rotate(F, I, L) ITEM_rotation(F, I, L) F(REQ, bin, hash, 1, 32)
#define RESULT_memory_token_rotate(F, I, L) I(REQ, token, token) F(REQ, bin, hash, 1, 32) F(OPT, flag, in_force, 0, 0)
/* left: how many tokens there are now */
#define FIELDS_memory_token_revoke(F, I, L) F(REQ, str, name, 1, 64)
#define RESULT_memory_token_revoke(F, I, L) F(REQ, str, name, 1, 64) F(REQ, u32, left, 0, 0) F(OPT, flag, in_force, 0, 0)
#define FIELDS_memory_tokens(F, I, L)
#define RESULT_memory_tokens(F, I, L) L(REQ, token, tokens, 0, WIRE_TOKENS_MAX + 1)
/* known: the revision that the caller has; of the same there are no keys, and `same` */
#define FIELDS_memory_token_keys(F, I, L) F(OPT, u64, known, 0, 0)
#define RESULT_memory_token_keys(F, I, L) \
	F(REQ, u64, revision, 0, 0) F(REQ, flag, same, 0, 0) L(REQ, token_key, keys, 0, WIRE_TOKENS_MAX)

/* ---- integration.sock ---- */
/* sources: best first; detail: concise (one sentence), summary (up to three), full (up to six) */
#define FIELDS_integration_synthesise(F, I, L)                                                                  \
	F(REQ, text, question, 1, 1000) F(OPT, str, detail, 1, 16) L(REQ, source, sources, 0, 200)
/* cited: ids of the sources whose sentences stand in the answer, in their order; confidence_basis: how it was reckoned */
#define RESULT_integration_synthesise(F, I, L)                                                                  \
	F(REQ, str, answer, 1, 200000) F(REQ, f64, confidence, 0, 1) F(REQ, str, confidence_basis, 1, 256)        \
	F(REQ, strs, cited, 0, 64) F(REQ, str, synthesis, 1, 16)
/* One piece: whole lines of a JSONL or MCP memory file, a whole text or Markdown document, or records of commits (described in
 * jrs/integration/import/import.h). first_line: number of its first line (or commit) in the file. look: only say what the reader
 * skips and why; nothing is remembered or noted. */
#define FIELDS_integration_import(F, I, L)                                                                      \
	F(REQ, str, name, 1, WIRE_NAME_MAX) F(REQ, str, format, 1, 16) F(REQ, bin, data, 0, 8388608)              \
	F(OPT, u64, first_line, 0, 0) F(OPT, str, source, 1, WIRE_NAME_MAX)                                       \
	F(OPT, str, import_id, 1, WIRE_ID_MAX) F(OPT, u64, import_position, 0, 0) F(OPT, flag, look, 0, 0)
#define RESULT_integration_import(F, I, L)                                                                      \
	F(REQ, u64, added, 0, 0) F(REQ, u64, known, 0, 0) F(REQ, u64, skipped, 0, 0) L(REQ, skipped, reasons, 0, 100)

/* ---- meta.sock ---- */
#define FIELDS_meta_anomalies(F, I, L)
/* conclusion: one sentence, also when nothing is odd; missed: beats of the analysis clock that passed without an analysis */
#define RESULT_meta_anomalies(F, I, L)                                                                          \
	L(REQ, anomaly, anomalies, 0, 64) F(OPT, time, analysed_at, 0, 0) F(REQ, u64, analyses, 0, 0)             \
	F(OPT, u64, sampled, 0, 0) F(OPT, u64, recalls_sampled, 0, 0) F(OPT, str, conclusion, 1, 300)             \
	F(OPT, u64, missed, 0, 0)
#define FIELDS_meta_figures(F, I, L)
/* r_squared: of temperature on importance and recall latency in the last analysis, over regression_rows memories */
#define RESULT_meta_figures(F, I, L)                                                                            \
	F(OPT, f64, r_squared, 0, 1) F(OPT, u64, regression_rows, 0, 0) L(REQ, degradation, degradations, 0, 16)

/* ---- executive.sock ---- */
#define FIELDS_executive_ask(F, I, L)                                                                           \
	F(REQ, text, question, 1, 1000) F(OPT, u32, limit, 1, 50) F(OPT, text, context, 0, 2000)                  \
	F(OPT, str, detail, 1, 16) F(OPT, str, session, 1, WIRE_NAME_MAX) F(OPT, str, tag, 1, WIRE_NAME_MAX)      \
	F(OPT, str, source, 1, WIRE_NAME_MAX) F(OPT, flag, touch, 0, 0)
/* memory_id: the best source's. degraded: what was missing, such as "integration_jr". */
#define RESULT_executive_ask(F, I, L)                                                                           \
	F(REQ, str, answer, 1, 200000) F(REQ, f64, confidence, 0, 1) F(REQ, str, confidence_basis, 1, 256)        \
	F(OPT, f64, phase_coherence, 0, 1) F(OPT, str, memory_id, 1, WIRE_ID_MAX) L(REQ, source, sources, 0, 200) \
	F(REQ, str, synthesis, 1, 16) F(REQ, strs, degraded, 0, 8) F(REQ, time, timestamp, 0, 0)                  \
	F(REQ, str, request_id, 1, 128)
#define FIELDS_executive_tokens(F, I, L)
/* file: it takes one that is not in the archive, too */
#define RESULT_executive_tokens(F, I, L) F(REQ, flag, file, 0, 0)
/* as memory.vote_open; by: who puts it to the vote, "operator" by default */
#define FIELDS_executive_vote(F, I, L)                                                                          \
	F(OPT, str, vote_id, 1, WIRE_ID_MAX) F(REQ, text, proposal, 1, 2000) F(OPT, strs, options, 2, 16)         \
	F(OPT, u32, quorum, 1, 1000) F(OPT, f64, threshold, 0, 1) F(OPT, u32, deadline_s, 1, 2592000)             \
	F(OPT, str, by, 1, 128)
#define RESULT_executive_vote(F, I, L) I(REQ, vote, vote)

#endif
