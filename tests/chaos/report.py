"""The journal of a run: the hypothesis, the figures before, during and after, a row for each injection, the verdict. Pure."""

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


def injection(fault, ops, begin):
    """One row: what the clients saw of this fault. Times in ms; t since the run's begin."""
    end = float("inf") if fault["end"] is None else fault["end"]
    beside = [op for op in ops if op["start"] <= end and op["end"] >= fault["start"]]
    # a new request that needs the whole way, answered: the service is back for its users
    writes = [op["end"] for op in ops if op["f"] == "add" and op["type"] == "ok" and op["start"] >= fault["start"]]
    row = {"t_ms": round((fault["start"] - begin) / 1e6, 3), "fault": fault["kind"], "target": fault["target"], "pid": fault.get("pid"),
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
    begin = min(op["start"] for op in history)
    valid = verdict["valid"]
    if broken and valid is True:
        valid = "unknown"
    return {"seed": seed, "replay": " ".join(["tests/chaos/run"] + words), "version": version, "hypothesis": HYPOTHESIS,
            "steady_states": {name: figures([op for op in ops if low <= op["start"] < high]) for name, (low, high) in phases.items()},
            "injections": [injection(fault, ops, begin) for fault in faults], "resent": resent, "broken_clients": broken,
            "valid": valid, "verdict": verdict}


def text(journal):
    """For a person."""
    verdict, out = journal["verdict"], []
    out.append("%8s  %-8s %-12s %10s %9s %12s %4s %8s %7s %7s" %
               ("t ms", "fault", "target", "detect ms", "ready ms", "1st reply ms", "ok", "refused", "unknown", "failed"))
    show = lambda value: "-" if value is None else "%.1f" % value
    for row in journal["injections"]:
        out.append("%8.0f  %-8s %-12s %10s %9s %12s %4d %8d %7d %7d" % (row["t_ms"], row["fault"], row["target"], show(row["detect_ms"]),
                   show(row["ready_ms"]), show(row["first_reply_ms"]), row["ok"], row["refused"], row["unknown"], row["failed"]))
    for name, state in journal["steady_states"].items():
        out.append("%-7s %s" % (name, "  ".join("%s %s" % item for item in state.items())))
    out.append("  ".join("%s %d" % item for item in verdict["counts"].items()) + "  resent %d" % journal["resent"])
    for name in verdict["wrong"]:
        out.append("%s: %d, first %s" % (name, len(verdict[name]), verdict[name][0]))
    out += ["not judged: " + reason for reason in verdict["reasons"]] + ["broken client: " + what for what in journal["broken_clients"]]
    out.append("valid: %s" % str(journal["valid"]).lower())
    out.append("again: " + journal["replay"])
    return "\n".join(out)
