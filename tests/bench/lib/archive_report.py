"""tests/bench/archive's report: pure, from the raw figures."""
import re

import targets
from figures import ms, table


def of(raw, pattern):
    """[(key, row)] whose key matches, in the order measured."""
    return [(key, row) for key, row in raw["rows"].items() if re.fullmatch(pattern, key)]


def number(value, form="%.2f"):
    return "-" if value is None else form % value


def bars(raw):
    """Those that this run could reach."""
    rows = [row for row, target in zip(targets.rows({"archive": raw["figures"]}), targets.TARGETS)
            if target[2] == "archive" and target[3] in raw["figures"]]
    return table(["wanted", "bar", "measured", "met"], [row[:1] + row[2:] for row in rows])


def group_ratios(raw, markdown):
    rows = []
    for mark in dict.fromkeys(m.group(1) for m in (re.fullmatch(r"((?:sqlite|postgres)_\w+?)_add", key) for key in raw["rows"]) if m):
        for kind, title in (("add", "add, 64 writers"), ("request", "add with request, 64 writers"), ("import", "import, 256 a call")):
            f = {name: raw["figures"].get("%s_%s_%s" % (mark, kind, name)) for name in ("rate_ratio", "threads_rate_ratio", "cpu_ratio")}
            ours, bare = (raw["rows"].get("%s_%s%s" % (mark, kind, end), {}) for end in ("", "_bare"))
            rows.append(["%s, %s" % (mark.replace("_", " "), title), number(f["rate_ratio"]), number(f["threads_rate_ratio"]),
                         number(f["cpu_ratio"]),
                         number(ours.get("per_s"), "%.0f"), number(bare.get("per_s"), "%.0f"),
                         number(ours.get("per_commit"), "%.1f"), number(bare.get("per_commit"), "%.1f")])
    return table(["the archive against the bare library", "rate, times", "against threads", "CPU a row, times", "rows a second", "bare",
                  "rows a commit", "bare"], rows, markdown)


def group_rows(raw, markdown):
    rows = [[key.split("_")[0] + " " + key.split("_")[1] + ": " + r["title"], r["n"], ms(r["p50_ns"]), ms(r["p99_ns"]), "%.0f" % r["per_s"],
             "%.1f" % r["cpu_us"], "%.1f" % r["server_us"] if key.startswith("postgres") else "-",
             " ".join("%.0f" % (v / 1000) for v in r["turns_per_s"])] for key, r in of(raw, r"(sqlite|postgres)_.*")]
    return table(["in one process", "rows", "p50 ms", "p99 ms", "a second", "CPU us a row", "server's", "thousand a second, each turn"],
                 rows, markdown)


def http_tables(raw, markdown):
    marks = [key[:-len("_add_c100")] for key, _ in of(raw, r"http_.*_add_c100")]
    f = raw["figures"]
    parts = []
    rows = [[mark[5:].replace("_", " "), ms(raw["rows"][mark + "_add_c1"]["p50_ns"]), ms(raw["rows"][mark + "_append"]["p50_ns"]),
             number(f[mark + "_add_c1_over_append"]), "%.1f" % f[mark + "_add_c1_cpu_us"],
             " ".join(ms(ns) for ns in raw["rows"][mark + "_add_c1"]["turns_ns"])] for mark in marks]
    parts.append(table(["a durable add through HTTP, 1 connection", "p50 ms", "append + fdatasync", "times", "CPU us", "p50 of each turn"],
                       rows, markdown))
    rows = [[mark[5:].replace("_", " ") + word, "%.0f" % f[mark + name + "_per_s"], number(f[mark + name + "_p50_ms"]),
             number(f[mark + name + "_p99_ms"]), number(raw["rows"][mark + name]["max_ns"] / 1e6), "%.1f" % f[mark + name + "_cpu_us"],
             number(f[mark + ask]), number(f.get(mark + pss), "%.1f")]
            for mark in marks for word, name, ask, pss in (("", "_add_c100", "_ask_p99_ms", "_pss_after_mb"),
                                                           (", at half that rate", "_paced_c100", "_paced_ask_p99_ms", ""))]
    parts.append(table(["durable adds at 100 connections, one asks", "a second", "p50 ms", "p99 ms", "slowest", "CPU us (with the asks)",
                        "ask p99 ms", "PSS MB"], rows, markdown))
    names = ["quiet_max_ms", "ask_p50_ms", "ask_p99_ms", "ask_other_max_ms", "ask_other_excess_ms", "ask_checkpoint_max_ms",
             "ask_checkpoint_excess_ms"]
    rows = [[mark[5:].replace("_", " ")] + [number(f[mark + "_" + name], "%.1f") for name in names] +
            ["%d, %d" % (f[mark + "_checkpoints"], f[mark + "_log_turns"])] for mark in marks if not mark.startswith("http_postgres")]
    parts.append(table(["asks beside those adds, ms", "slowest when quiet", "p50", "p99", "slowest outside checkpoints",
                        "most beyond its quiet time", "slowest during checkpoints", "most beyond its quiet time",
                        "checkpoints, log turns"], rows, markdown))
    rows = [[mark[5:].replace("_", " "), number(f[mark + "_import_rate_ratio"]), "%.0f" % f[mark + "_import_per_s"],
             "%.0f" % f[mark + "_import_bare_per_s"], number(f[mark + "_import_cpu_ratio"])] for mark in marks if mark + "_import_per_s" in f]
    if rows:
        parts.append(table(["tribectl import against bare SQLite, 256 a commit", "rate, times", "memories a second", "bare", "CPU, times"],
                           rows, markdown))
    return parts


def start_table(raw, markdown):
    def ms_of(row, name):
        return number(row[name] / 1e6, "%.1f")
    rows = [[key.split("_")[1] + ", " + r["title"], r["n"], ms_of(r, "exec_p50_ns"), ms_of(r, "exec_max_ns"), ms_of(r, "warm_max_ns"),
             ms_of(r, "p50_ns") if key.endswith("_kill") else "-", ms_of(r, "max_ns") if key.endswith("_kill") else "-"]
            for key, r in of(raw, r"start_.*")]
    return table(["to the first right recall, ms", "times", "from exec p50", "from exec, slowest", "the slowest question by itself",
                  "from kill p50", "from kill, slowest"], rows, markdown)


def pss_line(raw):
    return "Memory (PSS) of all processes, started and asked fifty questions: " + ", ".join(
        "%s %.1f MB (%s)" % (mark[5:].replace("_", " "), sum(pss.values()) / 1e6,
                             ", ".join("%s %.1f" % (name, v / 1e6) for name, v in pss.items())) for mark, pss in raw["pss"].items()) + "."


def report(raw, markdown):
    parts = [("### " if markdown else "") + "Archive: %s, version %s" % (raw["date"], raw["version"]),
             "Command: `%s`; %s; load average %s." % (raw["command"], raw["machine"],
                                                       ", ".join("%s %s" % kv for kv in raw["load"].items()).replace("_", " "))]
    if not markdown:  # tests/bench/run has them in its own table
        parts.append(bars(raw))
    if of(raw, r"(sqlite|postgres)_.*"):
        parts += [group_ratios(raw, markdown), group_rows(raw, markdown)]
    if of(raw, r"http_.*"):
        parts += http_tables(raw, markdown)
    if of(raw, r"start_.*"):
        parts.append(start_table(raw, markdown))
    if raw["pss"]:
        parts.append(pss_line(raw))
    parts += ["FAILED, and therefore not measured: " + line.strip() for line in raw["failed"]]
    if not raw["postgres"]:
        parts.append("PostgreSQL was not there, or not wanted.")
    parts.append("\n".join(("- " if markdown else "") + mark.replace("_", " ") + ": " + line for mark, line in raw["disturbed"].items()))
    return "\n\n".join(parts)
