#include "supervisor/ctl/commands.h"
#include "common/base/harms.h"
#include <stddef.h>

/* clang-format off */
#define END {NULL, 0, CTL_FLAG, NULL, 0, 0, 0, NULL}

const struct ctl_option ctl_globals[] = {
	/* name    letter type     value        min    max    bits      help */
	{"dev",     0,   CTL_STR,  "DIR",       1,     4000,  0,        "the tribe that `tribed --dev DIR` started"},
	{"runtime", 0,   CTL_STR,  "DIR",       1,     4000,  0,        "where the sockets are"},
	{"state",   0,   CTL_STR,  "DIR",       1,     4000,  0,        "where the data is"},
	{"config",  0,   CTL_STR,  "FILE",      1,     4000,  0,        "configuration file"},
	{"set",     0,   CTL_STR,  "KEY=VALUE", 1,     2000,  CTL_MANY, "override a setting"},
	{"timeout", 0,   CTL_F64,  "S",         0.001, 86400, 0,        "seconds to wait for an answer"},
	{"json",    0,   CTL_FLAG, NULL,        0,     0,     0,        "print the result as JSON"},
	{"check",   'n', CTL_FLAG, NULL,        0,     0,     0,        "check the configuration and leave: 0 good, 2 wrong"},
	{"version", 'V', CTL_FLAG, NULL,        0,     0,     0,        "print version, build and libraries"},
	{"help",    'h', CTL_FLAG, NULL,        0,     0,     0,        "print help; behind a command: its own"},
	END
};

static const struct ctl_option heartbeats_options[] = {
	{"follow", 'f', CTL_FLAG, NULL, 0, 0, 0, "go on with every further one"},
	END
};
static const struct ctl_option events_options[] = {
	{"follow", 'f', CTL_FLAG, NULL, 0, 0,    0, "go on with every further one"},
	{"limit",  0,   CTL_U32,  "N",  1, 1000, 0, "at most so many of those that have been"},
	END
};
static const struct ctl_option remember_options[] = {
	{"tag",        't', CTL_STR,  "T",     1, 256, CTL_MANY, "mark it with a tag"},
	{"sacred",     0,   CTL_FLAG, NULL,    0, 0,   0,        "never let it cool under 40 degrees"},
	{"importance", 0,   CTL_F64,  "0..1",  0, 1,   0,        "how much it matters"},
	{"source",     0,   CTL_STR,  "S",     1, 256, 0,        "where it comes from"},
	{"session",    0,   CTL_STR,  "S",     1, 256, 0,        "the conversation it belongs to"},
	{"speaker",    0,   CTL_STR,  "S",     1, 256, 0,        "who said it"},
	{"at",         0,   CTL_TIME, "TIME",  0, 0,   0,        "when it happened, RFC 3339"},
	{"id",         0,   CTL_STR,  "ID",    1, 128, 0,        "an id of your own; the same id again changes nothing"},
	END
};
static const struct ctl_option recall_options[] = {
	{"limit",           0,   CTL_U32, "N", 1, 200, 0, "at most so many; 10 by default"},
	{"tag",             't', CTL_STR, "T", 1, 256, 0, "only those with this tag"},
	{"min-temperature", 0,   CTL_F64, "X", 0, 100, 0, "only those at least this warm"},
	{"no-touch",        0,   CTL_FLAG, NULL, 0, 0, 0,  "leave no trace: no heat, no count; for probes"},
	END
};
static const struct ctl_option ask_options[] = {
	{"limit",  0, CTL_U32,    "N",                    1, 50, 0, "at most so many sources"},
	{"detail", 0, CTL_CHOICE, "concise|summary|full", 0, 0,  0, "how long the answer may be"},
	{"no-touch", 0, CTL_FLAG, NULL, 0, 0, 0, "leave no trace: no heat, no count; for probes"},
	END
};
static const struct ctl_option decide_options[] = {
	{"by", 0, CTL_STR, "NAME", 1, 64, 0, "who decided; your login name by default"},
	END
};
static const struct ctl_option decisions_options[] = {
	{"since", 0,   CTL_TIME, "TIME", 0, 0,   0, "not older than that, RFC 3339"},
	{"limit", 0,   CTL_U32,  "N",    1, 200, 0, "at most so many"},
	END
};
static const struct ctl_option vote_options[] = {
	{"option",    'o', CTL_STR, "O",    1, 256,     CTL_MANY, "what may be voted for, at least two; yes and no by default"},
	{"quorum",    0,   CTL_U32, "N",    1, 1000,    0,        "so many ballots must name an option; 2 by default"},
	{"threshold", 0,   CTL_F64, "0..1", 0, 1,       0,        "share of these that the first one needs; 0.5 by default"},
	{"deadline",  0,   CTL_U32, "S",    1, 2592000, 0,        "others than the Jrs may vote for so many seconds (over HTTP)"},
	{"id",        0,   CTL_STR, "ID",   1, 128,     0,        "an id of your own; the same id again is the same vote"},
	END
};
static const struct ctl_option votes_options[] = {
	{"limit", 0, CTL_U32, "N", 1, 200, 0, "at most so many; 50 by default"},
	END
};
static const struct ctl_option audit_options[] = {
	{"since",  0, CTL_TIME,   "TIME", 0, 0,    0, "not older than that, RFC 3339"},
	{"limit",  0, CTL_U32,    "N",    1, 1000, 0, "at most so many"},
	{"action", 0, CTL_CHOICE, "refused|redacted|flagged", 0, 0, 0, "only these"},
	{"class",  0, CTL_STR,    "C",    1, 32,   0, "only this class, such as email"},
	{"memory", 0, CTL_STR,    "ID",   1, 128,  0, "only what concerns this memory"},
	END
};
static const struct ctl_option import_options[] = {
	{"format", 0, CTL_CHOICE, "jsonl|markdown|text|git|mcp-memory", 0, 0, 0, "read every file as this, whatever its name"},
	{"source", 0, CTL_STR,    "S",                   1, 256, 0, "the source of memories that name none; by default the file's name, git:NAME or mcp-memory"},
	{"list",   0, CTL_FLAG,   NULL,                  0, 0,   0, "show the imports, newest first"},
	{"undo",   0, CTL_STR,    "ID",                  1, 128, 0, "delete what an import added; sacred memories stay"},
	{"yes",    0, CTL_FLAG,   NULL,                  0, 0,   0, "with --undo: do not ask"},
	END
};
static const struct ctl_option forget_options[] = {
	{"now", 0, CTL_FLAG, NULL, 0, 0, 0, "purge it at once, not within the hour"},
	END
};
static const struct ctl_option explain_options[] = {
	{"question", 'q', CTL_STR, "Q", 1, 4000, 0, "explain too why it answers this"},
	END
};
static const struct ctl_option token_options[] = {
	{"name",    0, CTL_STR, "N",     1, 64,    0,        "what it is called; may stand behind the word as well"},
	{"scope",   0, CTL_STR, "SCOPE", 1, 16,    CTL_MANY, "create: what it may do: read, write, admin or metrics"},
	{"source",  0, CTL_STR, "S",     1, 256,   0,        "create: the only source that exists for it"},
	{"expires", 0, CTL_STR, "TIME",  1, 64,    0,        "create: until when, RFC 3339, or after how long: 90s 15m 12h 30d"},
	{"overlap", 0, CTL_U32, "S",     0, 86400, 0,        "rotate: seconds that the one before is good for; 300 by default"},
	END
};
static const struct ctl_option backup_options[] = {
	{"sql", 0, CTL_FLAG, NULL, 0, 0, 0, "plain SQL; of an archive in PostgreSQL"},
	END
};
static const struct ctl_option restore_options[] = {
	{"undo", 0, CTL_FLAG, NULL, 0, 0, 0, "go back to the archive that the last restore replaced"},
	{"yes",  0, CTL_FLAG, NULL, 0, 0, 0, "outside --dev: yes, replace what is served"},
	END
};
static const struct ctl_option governance_options[] = {
	{"reason",     0, CTL_STR,  "TEXT", 1, 4000, 0, "why; kept, and to be read by everybody"},
	{"confirm",    0, CTL_STR,  "ID",   1, 128,  0, "without keys: the memory's id once more; for constants the archive's"},
	{"id",         0, CTL_STR,  "ID",   1, 64,   0, "an id of your own; the same id again changes nothing"},
	{"not-before", 0, CTL_TIME, "TIME", 0, 0,    0, "no effect before that, RFC 3339"},
	{"limit",      0, CTL_U32,  "N",    1, 200,  0, "with list: at most so many"},
	END
};
static const struct ctl_option sign_options[] = {
	{"key",        0, CTL_STR,  "FILE", 1, 4000, CTL_NEEDED, "PEM file of the Ed25519 private key, - for standard input"},
	{"reason",     0, CTL_STR,  "TEXT", 1, 4000, 0, "of a new act: why; kept, and to be read by everybody"},
	{"archive",    0, CTL_STR,  "ID",   1, 32,   0, "of a new act: the archive it is for; by default the running tribe is asked"},
	{"id",         0, CTL_STR,  "ID",   1, 64,   0, "of a new act: an id of your own, used once ever"},
	{"expires",    0, CTL_TIME, "TIME", 0, 0,    0, "of a new act: to be submitted before that; in seven days by default"},
	{"not-before", 0, CTL_TIME, "TIME", 0, 0,    0, "of a new act: no effect before that"},
	{"out",        0, CTL_STR,  "FILE", 1, 4000, 0, "where the envelope goes; of a new act by default standard output, else the file itself"},
	END
};
/* The words of common/base/harms.h; the macro puts a bar before each. */
#define HARM_WORD(id, word, by, lasts, doc) "|" word
static const struct ctl_option drill_options[] = {
	{"jr",     0, CTL_JR_ALL, "JR|all",    0, 0,           0, "whom to harm"},
	{"kills",  0, CTL_U32,    "N",         1, 100000,      0, "how often each"},
	{"storm",  0, CTL_F64,    "SECONDS",   0.001, 86400,   0, "instead of --kills: random serving leads (of --jr) for so long"},
	{"every",  0, CTL_F64,    "MS",        0.01, 3e6,      0, "with --storm: one so often, as soon as the one before is back"},
	{"fault",  0, CTL_CHOICE, &(HARM_KINDS(HARM_WORD))[1], 0, 0, 0, "what is done; kill by default; see below"},
	{"ms",     0, CTL_U32,    "MS",        1, 600000,      0, "how long a fault lasts that passes by itself; 1000 by default"},
	{"amount", 0, CTL_U32,    "N",         1, 4294967295,  0, "how much of it: slow: ms a turn, exit: the exit status"},
	{"load",   0, CTL_U32,    "USERS",     1, 10000,       0, "so many users remember, read and ask over HTTP meanwhile; what they saw is judged"},
	{"rate",   0, CTL_F64,    "N",         0.01, 10000,    0, "with --load: requests a second and user; 10 by default"},
	{"token-file", 0, CTL_STR, "FILE",     1, 4000,        0, "with --load over TLS: the token of the API; by default $TRIBE_TOKEN, then admin-token of the state directory; where tokens are used and there is none: one that is made for the drill"},
	{"slo-ms", 0, CTL_F64,    "MS",        0.001, 3e6,     0, "fail when one recovery took longer"},
	{"seed",   0, CTL_U32,    "N",         0, 4294967295,  0, "the order again of an earlier drill"},
	{"report", 0, CTL_STR,    "FILE",      1, 4000,        0, "write the report as JSON, and beside it FILE.html"},
	{"html",   0, CTL_STR,    "FILE",      1, 4000,        0, "write the report as a page there"},
	{"yes",    0, CTL_FLAG,   NULL,        0, 0,           0, "outside --dev, and for supervisor-kill: yes, harm this tribe"},
	END
};

const struct ctl_command ctl_commands[] = {
	{"status", CTL_NO_OPERANDS, NULL, NULL, cmd_status,
	 "one screen: every Jr, the archive, the temperature, the Sentience Index", NULL, NULL},
	{"top", CTL_NO_OPERANDS, NULL, NULL, cmd_top,
	 "the status, live, with what each Jr is doing",
	 "Drawn anew every second; q or Ctrl-C leaves. Where standard output is no terminal it prints the status every\n"
	 "second, with --json one line each.", NULL},
	{"heartbeats", CTL_NO_OPERANDS, NULL, heartbeats_options, cmd_heartbeats,
	 "the last heartbeat of each Jr, one a line", NULL, NULL},
	{"events", CTL_NO_OPERANDS, NULL, events_options, cmd_events,
	 "what happened to the tribe: spawn, ready, exit, hang, backoff, drill, vote", NULL, NULL},
	{"restart", CTL_ROLE, "JR", NULL, cmd_restart, "drain a Jr and start it again", NULL, NULL},
	{"stop", CTL_ROLE, "JR", NULL, cmd_stop, "drain a Jr and leave it down", NULL, NULL},
	{"start", CTL_ROLE, "JR", NULL, cmd_start, "start a Jr that was stopped", NULL, NULL},
	{"reload", CTL_NO_OPERANDS, NULL, NULL, cmd_reload,
	 "let tribed read its configuration again",
	 "A wrong configuration changes nothing. When a value differs, the Jrs are replaced one after the other.", NULL},
	{"shutdown", CTL_NO_OPERANDS, NULL, NULL, cmd_shutdown, "stop every Jr in order, then tribed", NULL, NULL},
	{"remember", CTL_TEXT, "TEXT", remember_options, cmd_remember,
	 "remember a text; done when it is durable", "TEXT may be - to read it from standard input.", NULL},
	{"recall", CTL_TEXT, "WORDS", recall_options, cmd_recall,
	 "memories that match, best first", "WORDS may be - to read them from standard input.", NULL},
	{"ask", CTL_TEXT, "QUESTION", ask_options, cmd_ask,
	 "an answer from memory, with its sources", "QUESTION may be - to read it from standard input.", NULL},
	{"forget", CTL_ID, "ID", forget_options, cmd_forget,
	 "delete one memory; a sacred one is refused",
	 "It is hidden at once and purged from the archive's files within the hour. With --now the command ends when that is "
	 "done, or with 1 when it could not wait so long; then it goes on by itself. Backups keep what they hold.", NULL},
	{"thermal", CTL_NO_OPERANDS, NULL, NULL, cmd_thermal,
	 "the temperatures of the archive", NULL, NULL},
	{"explain", CTL_ID, "ID", explain_options, cmd_explain,
	 "why a memory is as hot as it is, and why it answers a question", NULL, NULL},
	{"decide", CTL_TEXT, "TEXT", decide_options, cmd_decide,
	 "write a decision into the log", "A decision is a memory too. TEXT may be - to read it from standard input.", NULL},
	{"decisions", CTL_NO_OPERANDS, NULL, decisions_options, cmd_decisions,
	 "the decision log, newest first", NULL, NULL},
	{"vote", CTL_TEXT, "PROPOSAL", vote_options, cmd_vote,
	 "put a proposal to the vote of the four Jrs",
	 "Each votes from its own evidence and says what it was, or abstains; one that does not answer is absent. The outcome is\n"
	 "remembered, and when it is decided it is a decision. Leaves with 1 when no option wins: no quorum, no ballot that speaks\n"
	 "of the proposal itself, a tie, too small a share, or a veto: yes against a sacred memory. With --deadline others may\n"
	 "vote until then, and the answer is the open vote. PROPOSAL may be - to read it from standard input.", NULL},
	{"votes", CTL_MAYBE_ID, "[ID]", votes_options, cmd_votes,
	 "the votes, newest first, or one with its ballots and reasons", NULL, NULL},
	{"audit", CTL_NO_OPERANDS, NULL, audit_options, cmd_audit,
	 "what the guard refused, redacted and flagged, newest first",
	 "Texts that are to be remembered are looked through for secrets (guard.secrets) and for what is about persons\n"
	 "(guard.pii). A line says what was found, where and by whom it came; never the text.", NULL},
	{"import", CTL_SOME_PATHS, "FILE|DIR...", import_options, cmd_import,
	 "remember what files or a git history hold",
	 "Formats by name: .jsonl .ndjson (a memory a line), .md .markdown, .txt .text; others are skipped and\n"
	 "counted. A directory is walked in sorted order, without hidden entries and symbolic links. What a `tribectl\n"
	 "export` wrote is taken back as it was. All files are read once first, to tell this import by its content: the\n"
	 "same command goes on where an interrupted one stopped, and does nothing when it was done.\n"
	 "\n"
	 "--format git: DIR is a work tree (its top) or a bare repository; each commit that HEAD reaches is a memory: its\n"
	 "message, by its author (the name; no e-mail address is read), at its time, under the id git:SHA, so a later import\n"
	 "brings only what is new. Commits are numbered as `git rev-list --reverse --topo-order HEAD` lists them.\n"
	 "\n"
	 "--format mcp-memory: FILE is what the official MCP memory server keeps; each observation and relation is a memory,\n"
	 "and so is an entity without observations.", NULL},
	{"export", CTL_MAYBE_PATH, "[FILE]", NULL, cmd_export,
	 "every memory as JSONL that import takes back without loss",
	 "Without FILE, or with -, to standard output. A FILE is there whole or not at all.", NULL},
	{"backup", CTL_MAYBE_PATH, "[FILE|DIR]", backup_options, cmd_backup,
	 "the whole archive in one file, while the tribe goes on",
	 "Without FILE into backups/ of the state directory; in a DIR it is named thermal-SECONDS.sqlite (.dump or .sql of\n"
	 "PostgreSQL). The last line of the file is its manifest. It is there whole and proved, or not at all.", NULL},
	{"verify-backup", CTL_SOME_PATHS, "FILE", NULL, cmd_verify_backup,
	 "prove that a backup holds what its manifest says",
	 "Its bytes first, here; then a running tribe proves what is in it. Without a tribe only its bytes: it leaves with 3.", NULL},
	{"restore", CTL_SOME_PATHS, "FILE", restore_options, cmd_restore,
	 "put a backup in the archive's place",
	 "It is verified beside the archive first, then takes its place in one step; the old archive is kept, and with it what\n"
	 "was remembered after the backup. Outside --dev it wants --yes.", NULL},
	{"drill", CTL_NO_OPERANDS, NULL, drill_options, cmd_drill,
	 "harm Jrs on purpose: time their recovery, judge what users saw",
	 "Wants --jr and --kills, or --storm and --every. Measured from the fault to the first good answer of a new process.\n"
	 "Passed only when every Jr came back within 30 seconds (and --slo-ms), the state was steady before, between and after,\n"
	 "and with --load nothing acknowledged was lost, doubled or stale and no request refused or failed. Else it leaves with\n"
	 "1: false, or unknown where it was interrupted or saw too little. Faults: docs/CHAOS_ENGINEERING.md; all but kill, hang,\n"
	 "double, during-recovery and supervisor-kill want `drills: true`.", NULL},
	{"token", CTL_SOME_PATHS, "create|list|revoke|rotate [NAME]", token_options, cmd_token,
	 "make, list, revoke and rotate tokens of the API",
	 "create wants a name and --scope: read, write (and read), admin (everything), metrics (/metrics alone). A token is\n"
	 "shown once, when it is made; only its SHA-256 is kept. With --source nothing but that source exists for it. As soon\n"
	 "as there is a token, every call of the API but /healthz and /readyz needs one, on loopback too.\n"
	 "rotate makes another token under the same name; the one before is good for --overlap seconds more. revoke refuses\n"
	 "it from that moment on, and ends its streams.", NULL},
	{"analyze", CTL_WORD, "anomalies||regression|patterns", NULL, cmd_analyze,
	 "what meta-jr's last analysis found", NULL, NULL},
	{"governance", CTL_SOME_PATHS, "[list|show ID|submit FILE|ACT|object ID]", governance_options, cmd_governance,
	 "acts of governance: ask for one, list, show, object",
	 "An ACT is constants NAME=NUMBER... (base, k, half_life_ms, sacred_floor, max, white_hot, red_hot, warm, cool, cold),\n"
	 "designate MEMORY, unsacre MEMORY or delete MEMORY. Where keys of governance are set it takes a FILE that two\n"
	 "(constants) or all three of them have signed: tribectl sign. Without keys: submit ACT --reason TEXT --confirm ID.\n"
	 "It takes effect when governance.delay_s has passed. Until then an objection stops it: with keys a FILE of the act\n"
	 "object ACT, signed by any of them, is submitted. Refusals, objections and reasons are kept.", NULL},
	{"sign", CTL_SOME_PATHS, "ACT|FILE", sign_options, cmd_sign,
	 "put a signature to an act of governance",
	 "Makes an envelope of an ACT (tribectl help governance; also object ID), or adds to the one in FILE. What is signed is\n"
	 "shown first. With --archive it needs no tribe: sign where the key is. A passphrase is asked for on the terminal.", NULL},
	{"doctor", CTL_NO_OPERANDS, NULL, NULL, cmd_doctor,
	 "what this machine gives, and what degrades where it does not",
	 "Looks at the kernel, the disk, limits, the clock, permissions and sockets; a tribe need not run. Writes a file\n"
	 "without a name into the state directory to time its disk. Leaves with 1 only when something fails.", NULL},
	{"config", CTL_NO_OPERANDS, NULL, NULL, cmd_config,
	 "every setting: its value, where it came from, what it means",
	 "Of the tribe that answers: what is in force, --set of its command line included, and what of the file needs a\n"
	 "reload or a restart. Where none answers, or with --config or --set: what a start would read, the file and then\n"
	 "--set. The first line says which. Passwords and keys are never shown.", NULL},
	/* of later versions */
	{"soak", CTL_NO_OPERANDS, NULL, NULL, NULL, "the Fibonacci stress test, for hours", NULL, "the long drills"},
	{"bench", CTL_NO_OPERANDS, NULL, NULL, NULL, "measure the endpoints against a baseline", NULL, "the measuring of endpoints"},
	{"verify", CTL_PATHS, "RELEASE_DIR", NULL, NULL, "check a release: signatures, digests, provenance", NULL, "signed releases"},
	{"mcp", CTL_NO_OPERANDS, NULL, NULL, NULL, "an MCP server on standard input and output", NULL, "the MCP server"},
	{NULL, CTL_NO_OPERANDS, NULL, NULL, NULL, NULL, NULL, NULL},
};
/* clang-format on */
