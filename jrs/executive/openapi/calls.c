/* What routes.def and the messages cannot say of a call: words and examples. A handler without its doc_ does not
 * compile, nor does a doc_ without its handler. Examples are run in their order by tests/integration/test_openapi.py.
 */
#include "jrs/executive/api/api.h"
#include "jrs/executive/api/check.h"
#include "jrs/executive/openapi/document.h"

/* ---- memories ---- */
#define MEMORY                                                                                                         \
	"\"id\":\"kettle-1\",\"content\":\"The kettle in the north kitchen is "                                        \
	"blue.\",\"temperature\":40.0,\"stage\":\"warm\","                                                             \
	"\"created_at\":\"2026-11-23T19:01:52.391Z\",\"last_access\":\"2026-11-23T19:01:52.391Z\",\"access_count\":1," \
	"\"tags\":[\"kitchen\"],\"speaker\":\"Ada\",\"importance\":0.5,\"sacred\":false,\"revision\":1"

static const struct call_doc doc_api_post_memories = {
	.tag = "Memories",
	.summary = "Remember",
	.text = "One object, an array of at most 10000, or lines. Answered when durable. A memory with an id that is "
		"there already, or without "
		"one and the same in source, session, speaker, time and content, is known: it is heated instead.",
	.body_schema = "{\"oneOf\":[{\"$ref\":\"#/components/schemas/"
		       "new_memory\"},{\"type\":\"array\",\"minItems\":1,\"maxItems\":10000,"
		       "\"items\":{\"$ref\":\"#/components/schemas/new_memory\"}}]}",
	.body_item = &wire_shape_new_memory,
	.example = "{\"id\":\"kettle-1\",\"content\":\"The kettle in the north kitchen is "
		   "blue.\",\"tags\":[\"kitchen\"],\"speaker\":\"Ada\"}",
	.lines = "{\"content\":\"The stove is black.\"}\n{\"content\":\"The tiles are white.\",\"importance\":0.25}\n",
	.answers = {{.status = 201,
		     .what = "At least one of them is new",
		     .result = MSG_memory_add,
		     .example = "{\"memories\":[{\"id\":\"kettle-1\",\"created\":true,\"temperature\":40.0,\"stage\":"
				"\"warm\"}]}"},
		    {.status = 200, .what = "Every one was known", .result = MSG_memory_add}},
};
static const struct call_doc doc_api_get_memories = {
	.tag = "Memories",
	.summary = "Recall",
	.text = "Best first; without `q` newest first. What is found is heated, at most once an hour and session, "
		"unless touch=false.",
	.query = MSG_memory_recall,
	.asks = "q=blue+kettle&tag=kitchen&limit=1&explain=true&touch=false",
	.answers = {{.status = 200,
		     .what = "What was found, perhaps nothing",
		     .result = MSG_memory_recall,
		     .nulls = "next_cursor",
		     .example = "{\"memories\":[{" MEMORY "}],\"next_cursor\":null}"}},
};
static const struct call_doc doc_api_get_memory = {
	.tag = "Memories",
	.summary = "One memory",
	.query = MSG_memory_get,
	.path = "kettle-1",
	.asks = "touch=false",
	.answers = {{.status = 200, .what = "The memory", .item = &wire_shape_memory, .example = "{" MEMORY "}"}},
};
static const struct call_doc doc_api_get_explanation = {
	.tag = "Memories",
	.summary = "Why a memory is as hot as it is, and how well it answers a question",
	.text = "Looking at why does not heat it. rank is its place among all that match q.",
	.query = MSG_memory_explain,
	.path = "kettle-1",
	.asks = "q=blue+kettle",
	.answers = {{.status = 200, .what = "The memory with its explanation", .result = MSG_memory_explain}},
};
static const struct call_doc doc_api_patch_memory = {
	.tag = "Memories",
	.summary = "Change tags, importance, metadata; make sacred",
	.text = "Each is replaced as a whole, what is absent stays. To take `sacred` away is 403 `sacred`.",
	.body = MSG_memory_patch,
	.path = "kettle-1",
	.example = "{\"importance\":0.75,\"tags\":[\"kitchen\",\"tea\"]}",
	.answers = {{.status = 200, .what = "The memory as it is now", .item = &wire_shape_memory}},
};
static const struct call_doc doc_api_delete_memory = {
	.tag = "Memories",
	.summary = "Forget",
	.text = "Hidden at once, purged from the archive's files within the hour, with now=true before the answer. A "
		"sacred one is 403 `sacred`.",
	.query = MSG_memory_forget,
	.path = "kettle-1",
	.asks = "now=true",
	.answers = {{.status = 204, .what = "Forgotten"},
		    {.status = 202,
		     .what = "Forgotten; with now=true: purging goes on by itself",
		     .result = MSG_memory_forget}},
};

/* ---- questions ---- */
static const struct call_doc doc_api_post_ask = {
	.tag = "Questions",
	.summary = "Ask",
	.text = "The answer quotes memories, and names them. Nothing found: confidence 0, sources empty, memory_id "
		"absent. Under an "
		"Idempotency-Key the same answer comes again as long as executive-jr has it.",
	.body = MSG_executive_ask,
	.example = "{\"question\":\"Which colour is the kettle?\",\"detail\":\"concise\",\"limit\":3}",
	.answers =
		{{.status = 200,
		  .what = "The answer",
		  .result = MSG_executive_ask,
		  .nulls = "phase_coherence",
		  .example =
			  "{\"answer\":\"Ada: \\\"The kettle in the north kitchen is blue.\\\" "
			  "[1]\",\"confidence\":0.47,"
			  "\"confidence_basis\":\"2 of 2 words of the question stand in the best sentence; 1 source "
			  "agrees\","
			  "\"memory_id\":\"kettle-1\",\"sources\":[{\"id\":\"kettle-1\",\"content\":\"The kettle in "
			  "the north "
			  "kitchen is blue.\",\"score\":1.0,\"temperature\":40.0,\"speaker\":\"Ada\"}],\"synthesis\":"
			  "\"extractive\",\"degraded\":[],\"timestamp\":\"2026-11-23T19:11:34.666Z\",\"request_id\":"
			  "\"01a209d2-8e5c-7d60-a3f0-0f6f5b1d2c3e\",\"phase_coherence\":null}"}},
};

/* ---- decisions ---- */
#define DECISION                                                                        \
	"{\"id\":\"01a209c9-95d6-7c5e-8f2a-3b1e0c9d4f10\",\"text\":\"We keep the blue " \
	"kettle.\",\"by\":\"ada\",\"memory_id\":"                                       \
	"\"01a209c9-95d6-7c5e-8f2a-3b1e0c9d4f11\",\"at\":\"2026-11-23T19:01:52.391Z\"}"

static const struct call_doc doc_api_get_decisions = {
	.tag = "Decisions",
	.summary = "The decision log",
	.text = "Newest first.",
	.query = MSG_memory_decisions,
	.asks = "limit=1&since=2026-01-01T00:00:00Z",
	.answers = {{.status = 200,
		     .what = "Decisions",
		     .result = MSG_memory_decisions,
		     .example = "{\"decisions\":[" DECISION "]}"}},
};
static const struct call_doc doc_api_post_decisions = {
	.tag = "Decisions",
	.summary = "Write down a decision",
	.text = "It is a memory as well, tagged `decision`.",
	.body = MSG_memory_decide,
	.example = "{\"text\":\"We keep the blue kettle.\",\"by\":\"ada\"}",
	.answers = {{.status = 201,
		     .what = "It is durable",
		     .result = MSG_memory_decide,
		     .example = "{\"decision\":" DECISION "}"}},
};

/* ---- votes ---- */
#define VOTE                                                                                                          \
	"\"vote_id\":\"kettle-1\",\"proposal\":\"Which kettle goes to the north "                                     \
	"kitchen?\",\"options\":[\"red\",\"blue\"],"                                                                  \
	"\"quorum\":1,\"threshold\":0.5,\"by\":\"loopback\",\"opened_at\":\"2026-11-28T23:28:08.980Z\",\"convened\":" \
	"true,"                                                                                                       \
	"\"decided\":false,\"outcome\":\"open\",\"results\":{\"memory_jr\":\"abstain\"},\"ballots\":[{\"voter\":"     \
	"\"memory_jr\",\"choice\":\"abstain\",\"reason\":\"no precedent: nothing that is remembered speaks to "       \
	"it\",\"evidence\":[],\"at\":\"2026-11-28T23:28:08.982Z\"}],\"tally\":{\"red\":0,\"blue\":0,\"abstain\":4,"   \
	"\"absent\":0},\"minority\":[],\"timestamp\":\"2026-11-28T23:28:08.985Z\",\"closes_at\":"                     \
	"\"2026-11-29T00:28:08.980Z\",\"closed_at\":null,\"memory_id\":null,\"decision_id\":null"

static const struct call_doc doc_api_post_vote = {
	.tag = "Votes",
	.summary = "Put a proposal to the vote",
	.text = "Of the four Jrs, each from its own evidence, and until deadline_s is over of whoever else has a name. "
		"Without a deadline the answer is the closed vote. The same vote_id, or Idempotency-Key, is the same "
		"vote. "
		"`by` is whoever calls and must not be given.",
	.body = MSG_executive_vote,
	.example = "{\"vote_id\":\"kettle-1\",\"proposal\":\"Which kettle goes to the north kitchen?\","
		   "\"options\":[\"red\",\"blue\"],\"deadline_s\":3600,\"quorum\":1}",
	.answers = {{.status = 201,
		     .what = "The vote, closed, or open until its deadline",
		     .item = &wire_shape_vote,
		     .example = "{" VOTE "}"},
		    {.status = 200, .what = "It was there already", .item = &wire_shape_vote}},
};
static const struct call_doc doc_api_get_votes = {
	.tag = "Votes",
	.summary = "The votes",
	.text = "Newest first, without ballots.",
	.query = MSG_memory_votes,
	.asks = "limit=1",
	.answers = {{.status = 200, .what = "Votes, perhaps none", .result = MSG_memory_votes}},
};
static const struct call_doc doc_api_get_vote = {
	.tag = "Votes",
	.summary = "One vote as it stands",
	.query = MSG_memory_vote,
	.path = "kettle-1",
	.answers = {{.status = 200, .what = "The vote", .item = &wire_shape_vote}},
};
#define VOTE_OR_OWN                                                                                               \
	"{\"anyOf\":[{\"$ref\":\"#/components/schemas/vote\"},{\"type\":\"object\",\"properties\":{\"vote_id\":"  \
	"{\"type\":\"string\"},\"ballot\":{\"$ref\":\"#/components/schemas/ballot\"}},\"required\":[\"vote_id\"," \
	"\"ballot\"],\"description\":\"For a token that is bound to a source.\"}]}"
static const struct call_doc doc_api_post_ballot = {
	.tag = "Votes",
	.summary = "Vote",
	.text = "Under the name of the token; `voter` only where no token is asked for. The same ballot again changes "
		"nothing, another choice before the deadline replaces it. A token that is bound to a source may vote, "
		"and is answered with its own ballot alone.",
	.body_schema = "{\"$ref\":\"#/components/schemas/new_ballot\"}",
	.body_item = &wire_shape_new_ballot,
	.query = MSG_memory_vote,
	.path = "kettle-1",
	.example = "{\"voter\":\"ada\",\"choice\":\"blue\",\"reason\":\"The red one is too small.\"}",
	.answers = {{.status = 201, .what = "It counts", .schema = VOTE_OR_OWN},
		    {.status = 200, .what = "It was there already", .schema = VOTE_OR_OWN}},
};
static const struct call_doc doc_api_get_audit = {
	.tag = "Decisions",
	.summary = "What the guard refused, redacted and flagged",
	.text = "Newest first. At most 10,000 lines of each action are kept; what was flagged in a memory is forgotten "
		"with it.",
	.query = MSG_memory_audit,
	.asks = "limit=1&action=refused",
	.answers = {{.status = 200,
		     .what = "Lines",
		     .result = MSG_memory_audit,
		     .example = "{\"audit\":[{\"at\":\"2026-11-28T18:00:00.000Z\",\"action\":\"refused\",\"class\":"
				"\"password\",\"method\":\"memory.add\",\"who\":\"loopback\",\"field\":\"memories[0]."
				"content\"}]}"}},
};

/* ---- the tribe ---- */
static const struct call_doc doc_api_get_status = {
	.tag = "Tribe",
	.summary = "How everybody is",
	.text = "The index is null while it is warming up, and each of its parts while nobody knows it.",
	.answers = {{.status = 200,
		     .what = "As tribed sees it",
		     .result = MSG_status,
		     .nulls = "archive_healthy",
		     .also = "{\"postgres_healthy\":{\"type\":[\"boolean\",\"null\"],\"description\":\"archive_healthy,"
			     " where the archive is "
			     "PostgreSQL\"}}"}},
};
static const struct call_doc doc_api_get_thermal = {
	.tag = "Tribe",
	.summary = "Temperatures of the whole archive",
	.answers = {{.status = 200,
		     .what = "As of now",
		     .result = MSG_memory_thermal,
		     .nulls = "average_temperature sacred_min_temperature phase_coherence_avg thermal_entropy"}},
};
static const struct call_doc doc_api_get_events = {
	.tag = "Tribe",
	.summary = "Events as they happen",
	.text = "Server-sent events: `event:` is the kind, or `heartbeat`; `id:` the event's number, which heartbeats "
		"have none of; `data:` is JSON, as "
		"the schemas in x-events say. With Last-Event-ID the stream begins behind that event, at most 200 "
		"back. A comment every 15 s "
		"keeps proxies awake.",
	.headers = "[{\"name\":\"Last-Event-ID\",\"in\":\"header\",\"description\":\"Number of an "
		   "event\",\"schema\":{\"type\":\"integer\","
		   "\"minimum\":0}}]",
	.more = "{\"x-events\":{\"heartbeat\":{\"$ref\":\"#/components/schemas/beat\"},\"*\":{\"$ref\":\"#/components/"
		"schemas/event\"}}}",
	.answers = {{.status = 200,
		     .what = "A stream without end",
		     .example =
			     "event: spawn\nid: 2\ndata: "
			     "{\"seq\":2,\"at\":\"2026-11-23T19:01:52.271Z\",\"kind\":\"spawn\",\"jr\":\"memory_jr\","
			     "\"pid\":820,\"generation\":1,\"epoch\":1}\n\n"}},
};
static const struct call_doc doc_api_get_drills = {
	.tag = "Drills",
	.summary = "The last drills",
	.text = "Newest first. Times run from the fault to the first good answer.",
	.query = MSG_drills,
	.asks = "limit=1",
	.answers = {{.status = 200, .what = "Reports", .result = MSG_drills}},
};

static const struct call_doc doc_api_post_drills = {
	.tag = "Drills",
	.summary = "Begin a drill",
	.text = "One at a time; a second one is 409. Its report stands in the list when it has ended, and the events "
		"tell "
		"how it goes. Outside `tribed --dev` it wants `drills: true` in the configuration or `yes`; faults "
		"inside a "
		"Jr want that setting in any case (403).",
	.body = MSG_drill_start,
	.example = "{\"jr\":\"meta\",\"kills\":1,\"fault\":\"kill\",\"load\":5,\"yes\":true}",
	.answers = {{.status = 202, .what = "It has begun", .result = MSG_drill_start}},
};

/* ---- tokens ---- */
#define TOKEN "\"name\":\"desk\",\"scopes\":[\"admin\"],\"created_at\":\"2026-11-23T19:01:52.391Z\""
#define TOKEN_SHOWN                                                                                                   \
	.also = "{\"token\":{\"type\":\"string\",\"description\":\"shown in this one answer\"},"                      \
		"\"in_force\":{\"type\":\"boolean\",\"description\":\"executive-jr knows it by now; else within two " \
		"seconds\"}}"

static const struct call_doc doc_api_post_tokens = {
	.tag = "Tokens",
	.summary = "Make a token",
	.text = "Shown once; what is kept is its SHA-256. From the first one on every call but the probes and this "
		"document needs a token. One that is "
		"bound to a source reads and writes there, and nothing else exists for it.",
	.body_schema = "{\"$ref\":\"#/components/schemas/new_token\"}",
	.body_item = &wire_shape_new_token,
	.example = "{\"name\":\"desk\",\"scopes\":[\"admin\"]}",
	.answers = {{.status = 201,
		     .what = "It is there",
		     .item = &wire_shape_token,
		     TOKEN_SHOWN,
		     .example = "{" TOKEN "}"},
		    {.status = 200,
		     .what = "Asked again under the same Idempotency-Key: without the token",
		     .item = &wire_shape_token}},
};
static const struct call_doc doc_api_get_tokens = {
	.tag = "Tokens",
	.summary = "Who may call",
	.answers = {{.status = 200, .what = "All of them, the oldest first", .result = MSG_memory_tokens}},
};
static const struct call_doc doc_api_rotate_token = {
	.tag = "Tokens",
	.summary = "Another token in the place of one",
	.text = "The one before stays good for overlap_s seconds more, 300 when not said.",
	.query = MSG_memory_token_rotate, /* of which the path has the name */
	.path = "desk",
	.body_schema = "{\"type\":\"object\",\"additionalProperties\":false,\"properties\":{\"overlap_s\":{\"type\":"
		       "\"integer\",\"minimum\":0,"
		       "\"maximum\":86400,\"description\":\"the one before stays good for so many seconds\"}}}",
	.example = "{\"overlap_s\":60}",
	.answers = {{.status = 201, .what = "It is there", .item = &wire_shape_token, TOKEN_SHOWN},
		    {.status = 200,
		     .what = "Asked again under the same Idempotency-Key: without the token",
		     .item = &wire_shape_token}},
};
static const struct call_doc doc_api_delete_token = {
	.tag = "Tokens",
	.summary = "Revoke a token",
	.text = "It is refused from the answer on. Without any token left nobody on this machine needs one.",
	.query = MSG_memory_token_revoke,
	.path = "desk",
	.answers = {{.status = 204, .what = "Revoked"}},
};

/* ---- governance ---- */
#define ACT(state)                                                                                               \
	"\"id\":\"oath-act\",\"act\":\"designate\",\"state\":\"" state "\",\"memory\":\"kettle-1\",\"signers\":" \
	"[\"loopback\"],\"reason\":\"All the rest hangs on it.\",\"submitted_at\":\"2026-11-28T23:38:14.279Z\"," \
	"\"due_at\":\"2026-11-29T23:38:14.279Z\""
#define ENVELOPE                                                                                                       \
	"{\"type\":\"object\",\"description\":\"DSSE: the payload is the JSON of an act\",\"required\":[\"payload\","  \
	"\"payloadType\",\"signatures\"],\"properties\":{\"payload\":{\"type\":\"string\",\"description\":\"base64\"}" \
	","                                                                                                            \
	"\"payloadType\":{\"const\":\"application/vnd.tribe.governance+json\",\"description\":\"of the payload\"},"    \
	"\"signatures\":{\"type\":\"array\",\"maxItems\":16,\"description\":\"keyid, and sig in base64\"}}}"
#define REASON "\"reason\":{\"type\":\"string\",\"minLength\":1,\"maxLength\":1000,\"description\":\"why; it is kept\"}"
#define OWN_ID                                                                                                   \
	"\"id\":{\"type\":\"string\",\"minLength\":1,\"maxLength\":64,\"description\":\"the caller's own, used " \
	"once ever\"}"

static const struct call_doc doc_api_get_acts = {
	.tag = "Governance",
	.summary = "Acts of governance",
	.text = "Newest first, with what was refused and why. Also the id of the archive, for what is to be signed.",
	.query = MSG_memory_acts,
	.asks = "limit=1",
	.answers = {{.status = 200,
		     .what = "Acts, and the thermal constants as they are now",
		     .result = MSG_memory_acts,
		     .example = "{\"acts\":[{" ACT(
			     "stopped") ",\"objections\":[]}],\"archive\":\"169ac50801077d\",\"keys\":"
					"false,\"delay_s\":86400,\"constants\":{\"base\":40.0,\"k\":10.0}}"}},
};
static const struct call_doc doc_api_get_act = {
	.tag = "Governance",
	.summary = "One act",
	.text = "With its envelope, as it was signed.",
	.query = MSG_memory_acts,
	.path = "oath-act",
	.answers = {{.status = 200, .what = "The act as it stands", .item = &wire_shape_governed}},
};
static const struct call_doc doc_api_post_act = {
	.tag = "Governance",
	.summary = "Ask for an act",
	.text = "Where keys of governance are set: an envelope that two (constants) or all three of them have signed. "
		"Where "
		"none are: an admin's word, with the id of what it is about once more as confirm (the memory's, or the "
		"archive's). It takes effect when delay_s has passed and nobody has objected.",
	.body_schema =
		"{\"oneOf\":[{\"type\":\"object\",\"additionalProperties\":false,\"required\":[\"act\",\"reason\","
		"\"confirm\"],\"properties\":{\"act\":{\"enum\":[\"constants\",\"designate\",\"unsacre\",\"delete\"],"
		"\"description\":\"what is to be done\"},\"memory\":{\"type\":\"string\",\"minLength\":1,\"maxLength\":"
		"128,\"description\":\"which one\"},\"constants\":{\"$ref\":\"#/components/schemas/constants\","
		"\"description\":\"those that are to change\"},\"confirm\":{\"type\":\"string\",\"minLength\":1,"
		"\"maxLength\":128,\"description\":\"the id once more\"},\"not_before\":{\"type\":\"string\","
		"\"format\":\"date-time\",\"description\":\"no effect before that\"}," OWN_ID "," REASON "}}," ENVELOPE
		"]}",
	.body_item = &wire_shape_constants,
	.example = "{\"id\":\"oath-act\",\"act\":\"designate\",\"memory\":\"kettle-1\",\"confirm\":\"kettle-1\","
		   "\"reason\":"
		   "\"All the rest hangs on it.\"}",
	.answers = {{.status = 202,
		     .what = "It is pending",
		     .item = &wire_shape_governed,
		     .example = "{" ACT("pending") ",\"objections\":[]}"},
		    {.status = 200,
		     .what = "The same was asked for before: as it stands",
		     .item = &wire_shape_governed}},
};
static const struct call_doc doc_api_post_objection = {
	.tag = "Governance",
	.summary = "Object to an act",
	.text = "Before it is due; it is stopped for good. With keys: an envelope of the act `object`, signed by any "
		"one of them.",
	.body_schema = "{\"oneOf\":[{\"type\":\"object\",\"additionalProperties\":false,\"required\":[\"reason\"],"
		       "\"properties\":{" OWN_ID "," REASON "}}," ENVELOPE "]}",
	.query = MSG_memory_acts,
	.path = "oath-act",
	.example = "{\"reason\":\"Let us talk first.\"}",
	.answers = {{.status = 201, .what = "It is stopped", .item = &wire_shape_governed},
		    {.status = 200, .what = "The same objection again", .item = &wire_shape_governed}},
};

/* ---- analysis ---- */
static const struct call_doc doc_api_get_anomalies = {
	.tag = "Analysis",
	.summary = "What is odd",
	.text = "Of meta-jr's last analysis; analysed_at is null before the first.",
	.answers = {{.status = 200,
		     .what = "Findings, perhaps none",
		     .result = MSG_meta_anomalies,
		     .nulls = "analysed_at"}},
};
static const struct call_doc doc_api_get_later = {
	.tag = "Analysis",
	.summary = "Comes with a later version",
	.text = "404 until then.",
	.more = "{\"x-later\":true}",
};

/* ---- probes ---- */
#define STATUS_IS(word)                                                                                          \
	.schema = "{\"type\":\"object\",\"required\":[\"status\"],\"properties\":{\"status\":{\"const\":\"" word \
		  "\"}}}",                                                                                       \
	.example = "{\"status\":\"" word "\"}"

static const struct call_doc doc_api_get_healthz = {
	.tag = "Probes",
	.summary = "Does the process serve?",
	.answers = {{.status = 200, .what = "It does", STATUS_IS("ok")}},
};
static const struct call_doc doc_api_get_readyz = {
	.tag = "Probes",
	.summary = "Can a memory be recalled?",
	.text = "503 with the reason when not.",
	.answers = {{.status = 200, .what = "It can", STATUS_IS("ready")}},
};
static const struct call_doc doc_api_get_metrics = {
	.tag = "Probes",
	.summary = "Metrics for Prometheus",
	.text = "Text format 0.0.4. What is not known is absent.",
	.answers = {{.status = 200, .what = "Samples", .example = "thermal_memory_total 2\n"}},
};

/* ---- for people and their tools ---- */
static const struct call_doc doc_api_get_root = {
	.tag = "Page",
	.summary = "The page; for who asks for JSON alone: where things are",
	.answers = {{.status = 200,
		     .what = "The page; or name, version, links",
		     .schema = "{\"type\":\"object\",\"required\":[\"name\",\"version\",\"links\"],\"properties\":{"
			       "\"name\":{\"const\":\"tribe\"},"
			       "\"version\":{\"type\":\"string\"},\"links\":{\"type\":\"object\","
			       "\"additionalProperties\":{\"type\":"
			       "\"string\"}}}}"}},
};
static const struct call_doc doc_api_get_page = {
	.tag = "Page",
	.summary = "The API, readable; and what pages are made of",
	.text = "Scripts, styles and the picture of the page: what its HTML names.",
	.path = "app.js",
	.headers = "[{\"name\":\"If-None-Match\",\"in\":\"header\",\"description\":\"The ETag of the copy at "
		   "hand\",\"schema\":{\"type\":\"string\"}}]",
	.answers = {{.status = 200, .what = "The file"}, {.status = 304, .what = "It is the same"}},
};
static const struct call_doc doc_api_get_openapi = {
	.tag = "Page",
	.summary = "This document",
	.headers = "[{\"name\":\"If-None-Match\",\"in\":\"header\",\"description\":\"The ETag of the copy at "
		   "hand\",\"schema\":{\"type\":\"string\"}}]",
	.answers = {{.status = 200,
		     .what = "OpenAPI 3.1",
		     .schema = "{\"type\":\"object\",\"required\":[\"openapi\",\"info\",\"paths\"]}"},
		    {.status = 304, .what = "It is the same"}},
};

/* ---- the table ---- */
#define NEEDS_NONE      NULL, false
#define NEEDS_READ      "read", false
#define NEEDS_READ_ALL  "read", true
#define NEEDS_WRITE     "write", false
#define NEEDS_WRITE_ALL "write", true
#define NEEDS_ADMIN     "admin", true
#define NEEDS_METRICS   "metrics", true
const struct call calls[] = {
#define R(method, pattern, handler, needs, takes, gives, max_body, query) \
	{method, pattern, needs, takes, gives, max_body, query, &doc_##handler},
#include "jrs/executive/api/routes.def"
#undef R
};
const size_t ncalls = sizeof(calls) / sizeof(*calls);
