"""The bars that these benches can reach, each once: where it is set, what is wanted, which figure shows it."""

# name, set by, bench, figure, wanted at most, unit
TARGETS = [
    ("ask through HTTP, one connection, p50", "issue A", "first", "ask_p50", 5.0, "ms"),
    ("durable add through HTTP, one connection, p50", "issue A", "first", "add_p50", 2.0, "ms"),
    ("kill -9 to the next good answer, worst Jr, p99 (drill)", "issue A", "first", "recovery_p99", 50.0, "ms"),
    ("start to ready, p50", "issue A", "first", "start", 300.0, "ms"),
    ("memory of all processes, PSS", "issue A", "first", "memory", 60.0, "MB"),
    ("durable add, one connection, p50 against append 4 KiB + fdatasync", "goal 8", "store", "add_c1_over_append", 2.0, "times"),
    ("CPU of an ask beyond the engine's own, 64 connections", "goal 11", "store", "ask_c64_cpu_beyond_us", 20.0, "us"),
    ("p50 a question to the worker adds (thermal less healthz), one connection", "goal 12", "store", "thermal_over_healthz_us", 25.0, "us"),
    ("kill -9 of memory-jr to the next good answer, slowest", "goal 13, at 10k", "recovery", "memory_jr_max_ms", 50.0, "ms"),
    ("kill -9 of executive-jr to the first answer by HTTP, p99", "goal 14", "recovery", "http_p99_ms", 20.0, "ms"),
    ("refused connections in all kills", "goal 14", "recovery", "refused", 0, ""),
]


def rows(figures):
    """[name, set by, wanted, measured, met]; figures: {bench: {figure: value}}. What was not measured says so. Pure."""
    out = []
    for name, origin, bench, figure, wanted, unit in TARGETS:
        value = figures.get(bench, {}).get(figure)
        out.append([name, origin, ("<= %g %s" % (wanted, unit)).strip(),
                    "not measured" if value is None else ("%g %s" % (value, unit)).strip(),
                    "-" if value is None else "yes" if value <= wanted else "MISSED"])
    return out
