"""The journal of a run: the hypothesis, the figures before, during and after, a row for each injection, the verdict. Pure."""

import bisect

SLOWEST_NS = 90_000_000_000  # no request lasts longer: load.py gives up before

HYPOTHESIS = ("Nothing that was acknowledged is lost, done twice or invisible to a later recall; no connection is refused while tribed "
              "runs; no request fails outside of a fault; what was harmed comes back by itself.")


def quantile(values, q):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * q))]


def figures(ops):
    """Counts and latency of some operations."""
    took = [(op["end"] - op["start"]) / 1e6 for op in ops if op["type"] == "ok"]
    out = {"operations": len(ops), "ok": len(took), "refused": sum(op.get("why") == "refused" for op in ops),
           "unknown": sum(op["type"] == "info" for op in ops),
           "failed": sum(op["type"] == "fail" and op.get("why") not in ("refused", "busy") for op in ops)}
    if took:
        out.update({"p50_ms": round(quantile(took, .5), 3), "p99_ms": round(quantile(took, .99), 3), "max_ms": round(max(took), 3)})
    return out


def injection(fault, ops, writes, begin):
    """One row: what the clients saw of this fault. Times in ms; t since the run's begin. ops: by start; writes: (start, end) of the
    answered adds, by start."""
    end = float("inf") if fault["end"] is None else fault["end"]
    first = bisect.bisect_left(ops, fault["start"] - SLOWEST_NS, key=lambda op: op["start"])
    last = bisect.bisect_right(ops, end, key=lambda op: op["start"])
    beside = [op for op in ops[first:last] if op["end"] >= fault["start"]]
    # a new request that needs the whole way, answered: the service is back for its users
    first = bisect.bisect_left(writes, (fault["start"],))
    writes = [write[1] for write in writes[first:first + 200]]  # of those that began later none was answered sooner
    row = {"t_ms": round((fault["start"] - begin) / 1e6, 3), "fault": fault["kind"], "target": fault["target"], "pid": fault.get("pid"),
           "early": fault.get("early_pid"),
           "waiting": fault.get("waiting"),
           "new_pid": fault.get("new_pid"), "detect_ms": fault.get("detect_ms"), "ready_ms": fault.get("ready_ms"),
           "first_reply_ms": round((min(writes) - fault["start"]) / 1e6, 3) if writes else None}
    row.update(figures(beside))
    if "error" in fault:
        row["error"] = fault["error"]
    return row


def build(seed, words, version, history, verdict, phases, broken, resent):
    """phases: {"before": (from_ns, to_ns), ...}. valid is the verdict's, unless a client broke."""
    ops = [op for op in history if op["f"] != "fault"]
    faults = [op for op in history if op["f"] == "fault"]
    ops.sort(key=lambda op: op["start"])
    writes = sorted((op["start"], op["end"]) for op in ops if op["f"] == "add" and op["type"] == "ok")
    begin = min(op["start"] for op in history)
    valid = verdict["valid"]
    if broken and valid is True:
        valid = "unknown"
    return {"seed": seed, "replay": " ".join(["tests/chaos/run"] + words), "version": version, "hypothesis": HYPOTHESIS,
            "steady_states": {name: figures([op for op in ops if low <= op["start"] < high]) for name, (low, high) in phases.items()},
            "injections": [injection(fault, ops, writes, begin) for fault in faults], "resent": resent, "broken_clients": broken,
            "valid": valid, "verdict": verdict}


def by_target(rows):
    """{target: figures of its injections}; times in ms."""
    out = {}
    for target in sorted({row["target"] for row in rows}):
        mine = [row for row in rows if row["target"] == target]
        early = sum(bool(row["early"]) for row in mine)  # of a successor that was still starting: a kill without a row
        out[target] = {"kills": len(mine) + early}
        if early:
            out[target]["early"] = early
        if any(row["waiting"] for row in mine):
            out[target]["covered"] = sum(bool(row["waiting"]) for row in mine)  # somebody waited behind it
        for name in ("ready_ms", "first_reply_ms"):
            took = [row[name] for row in mine if row[name] is not None]
            if took:
                out[target].update({name[:-3] + "_p50_ms": round(quantile(took, .5), 1), name[:-3] + "_p99_ms": round(quantile(took, .99), 1),
                                    name[:-3] + "_max_ms": round(max(took), 1)})
    return out


def totals(journal):
    """The figures of issue C: what was acknowledged, and what of it was not so."""
    verdict = journal["verdict"]
    return {"acknowledged": verdict["counts"]["acknowledged"], "lost": len(verdict["lost"]), "doubled": len(verdict["doubled"]),
            "refused": len(verdict["refused"]), "failed": len(verdict["failed"]),
            "other_wrong": sum(len(verdict[name]) for name in verdict["wrong"] if name not in ("lost", "doubled", "refused", "failed")),
            "refused_by_dead_tribed": verdict["counts"]["refused"] - len(verdict["refused"]),
            "unknown": verdict["counts"]["unknown"], "recovered": verdict["counts"]["recovered"], "resent": journal["resent"]}


def kills_text(journal):
    """For a person, of a run with many kills: no row for each."""
    out = []
    for target, figures_of in by_target(journal["injections"]).items():
        out.append("%-10s %s" % (target, "  ".join("%s %s" % item for item in figures_of.items())))
    out += ["%s: %s" % (row["target"], row["error"]) for row in journal["injections"] if "error" in row]
    return "\n".join(out + [state_lines(journal), ending(journal)])


def state_lines(journal):
    return "\n".join("%-7s %s" % (name, "  ".join("%s %s" % item for item in state.items()))
                     for name, state in journal["steady_states"].items())


def ending(journal):
    verdict, out = journal["verdict"], []
    out.append("  ".join("%s %d" % item for item in totals(journal).items()))
    for name in verdict["wrong"]:
        out.append("%s: %d, first %s" % (name, len(verdict[name]), verdict[name][0]))
    out += ["not judged: " + reason for reason in verdict["reasons"]] + ["broken client: " + what for what in journal["broken_clients"]]
    out.append("valid: %s" % str(journal["valid"]).lower())
    out.append("again: " + journal["replay"])
    return "\n".join(out)


def text(journal):
    """For a person."""
    verdict, out = journal["verdict"], []
    out.append("%8s  %-8s %-12s %10s %9s %12s %4s %8s %7s %7s" %
               ("t ms", "fault", "target", "detect ms", "ready ms", "1st reply ms", "ok", "refused", "unknown", "failed"))
    show = lambda value: "-" if value is None else "%.1f" % value
    for row in journal["injections"]:
        out.append("%8.0f  %-8s %-12s %10s %9s %12s %4d %8d %7d %7d" % (row["t_ms"], row["fault"], row["target"], show(row["detect_ms"]),
                   show(row["ready_ms"]), show(row["first_reply_ms"]), row["ok"], row["refused"], row["unknown"], row["failed"]))
    out += [state_lines(journal), "  ".join("%s %d" % item for item in verdict["counts"].items())]
    return "\n".join(out + [ending(journal)])
