"""The bars that these benches can reach, each once: where it is set, what is wanted, which figure shows it."""

AT_LEAST = "at least"

# name, set by, bench, figure, wanted at most (or AT_LEAST), unit
TARGETS = [
    ("ask through HTTP, one connection, p50", "issue A", "first", "ask_p50", 5.0, "ms"),
    ("durable add through HTTP, one connection, p50", "issue A", "first", "add_p50", 2.0, "ms"),
    ("kill -9 to the next good answer, worst Jr, p99 (drill)", "issue A", "first", "recovery_p99", 50.0, "ms"),
    ("start to ready, p50", "issue A", "first", "start", 300.0, "ms"),
    ("memory of all processes, PSS", "issue A", "first", "memory", 60.0, "MB"),
    ("durable add, one connection, p50 against append 4 KiB + fdatasync", "goal 8", "store", "add_c1_over_append", 2.0, "times"),
    ("CPU of an ask beyond the engine's own, 64 connections", "goal 11", "store", "ask_c64_cpu_beyond_us", 20.0, "us"),
    ("p50 a question to the worker adds (thermal less healthz), one connection", "goal 12", "store", "thermal_over_healthz_us", 25.0, "us"),
    ("kill -9 of memory-jr to the first good read, slowest (below: issue D's narrower bars)", "goal 13, at 10k", "recovery",
     "memory_read_max_ms", 50.0, "ms"),
    ("kill -9 of executive-jr to the first good read, p99 (below: issue D's narrower bars)", "goal 14", "recovery",
     "executive_read_p99_ms", 20.0, "ms"),
    ("refused connections in all kills, requests of others too", "goal 14", "recovery", "refused", 0, ""),
]


def _takeover():
    """The bars of a takeover: through HTTP, requests of others under way, against supervisors of others in the same run."""
    rows = []
    for role in ("memory", "executive"):
        name = "kill -9 of %s-jr to the first good read" % role
        rows.append((name + ", p50", "issue D", "recovery", role + "_read_p50_ms", 0.5, "ms"))
        rows.append((name + ", p99", "issue D", "recovery", role + "_read_p99_ms", 2.0, "ms"))
        for peer, times in (("nginx", 3), ("runit", 5)):
            rows.append(("%s, times quicker than %s, p50" % (name, peer), "issue D", "recovery",
                         "%s_over_%s_read_p50" % (peer, role), (AT_LEAST, times), "times"))
            rows.append(("%s, times quicker than %s, p99" % (name, peer), "issue D", "recovery",
                         "%s_over_%s_read_p99" % (peer, role), (AT_LEAST, 2), "times"))
    rows.append(("the same of memory-jr with 512 MB of heap, against an empty one, p50", "issue D", "recovery",
                 "memory_read_512_over_empty_p50", 1.5, "times"))
    for role in ("meta", "integration"):
        rows.append(("kill -9 of %s-jr, which has nobody behind it, to its answer, p50" % role, "issue D", "recovery", role + "_p50_ms", 3.0, "ms"))
    rows.append(("requests of others that failed meanwhile, resets by executive-jr's death apart", "issue D", "recovery", "others_failed", 0, ""))
    rows.append(("SIGSTOP until tribed says so, p50", "issue D", "detect", "stopped_p50_ms", 1.0, "ms"))
    for kind in ("spin", "block"):
        for after, most in ((1000, 1200.0), (50, 60.0)):
            rows.append(("%s until tribed says so, hang_after_ms %d, slowest" % (kind, after), "issue D", "detect",
                         "%s_%d_max_ms" % (kind, after), most, "ms"))
    rows.append(("false alarms in 10 minutes at load average 8, hang_after_ms 1000", "issue D", "detect", "false_alarms_1000", 0, ""))
    for what, most, unit in (("fds", 0, ""), ("zombies", 0, ""), ("rss_kb", 256, "kB")):
        rows.append(("tribed after 10,000 kills, growth: %s" % what, "issue D", "lives", "growth_" + what, most, unit))
    return rows


TARGETS += _takeover()


def _archive():
    """The bars of the archive, at each size."""
    rows = []
    for size in ("10k", "100k", "1m"):
        for key, name in (("sqlite", "bare SQLite"), ("postgres", "bare libpq")):
            for kind, what in (("add", "adds"), ("request", "adds with requests")):
                rows.append(("%s at 64 writers against %s, %s" % (what, name, size), "issue C", "archive",
                             "%s_%s_%s_rate_ratio" % (key, size, kind), (AT_LEAST, 0.8), "times"))
        rows.append(("bulk import (tribectl import) against bare SQLite at 256 a commit, %s" % size, "issue C, goal 9", "archive",
                     "http_%s_import_rate_ratio" % size, (AT_LEAST, 0.6), "times"))
        rows.append(("durable add through HTTP, one connection, p50 against append 4 KiB + fdatasync, %s" % size, "issue C, goal 8",
                     "archive", "http_%s_add_c1_over_append" % size, 2.0, "times"))
        rows.append(("durable add at 100 connections without a pause while one asks, p99, %s" % size, "issue C", "archive",
                     "http_%s_add_c100_p99_ms" % size, 10.0, "ms"))
        rows.append(("the same at half that rate, from when it was due, p99, %s" % size, "issue C", "archive",
                     "http_%s_paced_c100_p99_ms" % size, 10.0, "ms"))
        rows.append(("ask during a checkpoint, beyond the same one when it is quiet, slowest, %s" % size, "issue C", "archive",
                     "http_%s_ask_checkpoint_excess_ms" % size, 50.0, "ms"))
    rows.append(("memory-jr from exec to first recall, slowest, 1m", "issue C", "archive", "start_1m_first_recall_ms", 300.0, "ms"))
    rows.append(("the same, its files not in memory", "issue C", "archive", "start_1m_first_recall_cold_ms", 300.0, "ms"))
    rows.append(("memory of all processes, PSS, 10k", "issue C", "archive", "http_10k_pss_mb", 60.0, "MB"))
    return rows


TARGETS += _archive()


TARGETS += [
    ("thermal at 100 connections and 100k memories, rate against FastAPI and PostgreSQL", "issue E, goal 2", "http", "thermal_over_fastapi", (AT_LEAST, 1000), "times"),
    ("the same, p99", "goal 2", "http", "thermal_p99_ms", 2.0, "ms"),
    ("durable adds at 100 connections, rate against FastAPI and PostgreSQL", "issue E, goal 7", "http", "add_over_fastapi", (AT_LEAST, 4), "times"),
    ("the same, p99 against its", "goal 7", "http", "add_p99_over_fastapi", 0.2, "times"),
    ("healthz at 100 connections, rate against nginx return 200", "issue E, goal 1", "http", "healthz_over_nginx", (AT_LEAST, 0.9), "times"),
    ("the same, p99 against its", "goal 1", "http", "healthz_p99_over_nginx", 1.5, "times"),
    ("CPU of a healthz beyond the bare parser library's", "issue E", "http", "healthz_cpu_beyond_us", 20.0, "us"),
    ("CPU of a thermal beyond the same bytes from the bare parser library", "issue E", "http", "thermal_cpu_beyond_us", 20.0, "us"),
]


def rows(figures):
    """[name, set by, wanted, measured, met]; figures: {bench: {figure: value}}. What was not measured says so. Pure."""
    out = []
    for name, origin, bench, figure, wanted, unit in TARGETS:
        value = figures.get(bench, {}).get(figure)
        least = isinstance(wanted, tuple)
        wanted = wanted[1] if least else wanted
        met = value is not None and (value >= wanted if least else value <= wanted)
        out.append([name, origin, ("%s %g %s" % (">=" if least else "<=", wanted, unit)).strip(),
                    "not measured" if value is None else ("%g %s" % (value, unit)).strip(),
                    "-" if value is None else "yes" if met else "MISSED"])
    return out
