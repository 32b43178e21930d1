"""Judges what clients saw while a tribe was being harmed. Pure: a list of operations in, a verdict out.

An operation is one request as its client saw it:
    f       "add" | "forget" | "read" (by id, or the last listing) | "ask" (by words)
    key     what it is about; every key is one memory, added under one value
    type    "ok"    it was answered: an add is acknowledged, a read says what it found
            "fail"  it certainly changed nothing (not connected, refused by rule)
            "info"  unknown: cut off after it was sent; it may have happened, or happen later
    start, end      monotonic ns; an operation without an end (the client died) is unknown
    value, id       add: what was sent, which id was acknowledged
    found, value, copies, applied       read: whether, what, how many rows, how often the add was carried out
    final   read: after everything was healed
    why     of fail and info: "refused" (no connection), "busy" (409: the first copy is still at work), or another word
A fault is {"f": "fault", "kind", "target", "start", "end"}; end None: what was harmed did not come back.

The classes, each a list of what was seen:
    lost         acknowledged, then not found, and never found again
    stale        acknowledged, then not found, found later
    vanished     never acknowledged, but found, then not found
    doubled      one add, several rows, several ids, or carried out several times
    resurrected  found after its forgetting was acknowledged
    unexpected   found, but never added, or its adding certainly failed
    corrupt      found with another value than was added
    missed       an answer by words that leaves out what was acknowledged
    refused      a connection refused while tribed was not harmed: it holds the sockets
    failed       an error outside of every fault
    unrecovered  a fault that did not end
valid: False when any class has an entry; "unknown", which is no pass, when nothing is wrong but not everything could be judged.
"""

CLASSES = ("lost", "stale", "vanished", "doubled", "resurrected", "unexpected", "corrupt", "missed", "refused", "failed",
           "unrecovered")
FOREVER = float("inf")


def begins(op):
    return op["start"]


def ends(op):
    """When it had taken effect at the latest. What is unknown may still happen."""
    return FOREVER if op["type"] == "info" else op["end"]


def normal(op):
    return op if op["f"] == "fault" or (op.get("end") is not None and op["type"] in ("ok", "fail", "info")) else \
        dict(op, type="info", end=None, why=op.get("why", "no end"))


def absent_against(read, establishers, forgets):
    """The operation by which the memory was certainly there when this read, which did not find it, began; None: may be absent."""
    for op in establishers:
        if op["end"] <= read["start"] and not any(f["start"] < read["end"] and ends(f) > op["start"] for f in forgets):
            return op
    return None


def raised_from(read, adds, forgets):
    """The acknowledged forgetting after which nothing could bring back what this read found; None: may be there."""
    for gone in forgets:
        if gone["type"] == "ok" and gone["end"] <= read["start"] and not any(ends(a) > gone["start"] for a in adds):
            return gone
    return None


def short(op):
    return {k: op[k] for k in ("f", "type", "start", "end", "why", "id", "found", "copies", "applied", "final") if op.get(k) is not None}


class Key:
    """One memory's operations, by time."""

    def __init__(self, name, ops):
        self.name = name
        self.tried = [op for op in ops if op["f"] == "add"]
        self.adds = [op for op in self.tried if op["type"] != "fail"]
        self.acknowledged = [op for op in self.adds if op["type"] == "ok"]
        self.forgets = [op for op in ops if op["f"] == "forget" and op["type"] != "fail"]
        self.reads = [op for op in ops if op["f"] in ("read", "ask") and op["type"] == "ok"]
        self.found = [op for op in self.reads if op["found"]]

    def judge(self, put):
        for read in self.reads:
            if read["found"]:
                self.judge_found(read, put)
            else:
                self.judge_absent(read, put)
        ids = {op["id"] for op in self.acknowledged if op.get("id") is not None}
        if len(ids) > 1:
            put("doubled", self.name, ids=sorted(ids))

    def judge_absent(self, read, put):
        because = absent_against(read, self.acknowledged, self.forgets)
        later = [op for op in self.found if op["end"] > read["start"]]
        if because is None:
            because = absent_against(read, [r for r in self.found if raised_from(r, self.adds, self.forgets) is None], self.forgets)
            if because is not None:
                put("vanished", self.name, read=short(read), against=short(because))
        elif read["f"] == "ask":
            put("missed", self.name, read=short(read), against=short(because))
        elif later:
            put("stale", self.name, read=short(read), against=short(because),
                late_ns=max(0, min(op["end"] for op in later) - because["end"]))
        else:
            put("lost", self.name, read=short(read), against=short(because))

    def judge_found(self, read, put):
        adds = [a for a in self.adds if a["start"] < read["end"]]
        gone = raised_from(read, adds, self.forgets)
        if not adds:
            put("unexpected", self.name, read=short(read), tried=[short(op) for op in self.tried])
        elif gone is not None:
            put("resurrected", self.name, read=short(read), against=short(gone))
        elif read.get("value") is not None and read["value"] not in {a.get("value") for a in adds}:
            put("corrupt", self.name, read=short(read))
        if read.get("copies", 1) > 1 or read.get("applied", 1) > 1:
            put("doubled", self.name, read=short(read))

    def unjudged(self):
        """Acknowledged, but nobody could look at the end."""
        return bool(self.acknowledged) and not any(op.get("final") and op["f"] == "read" for op in self.reads)

    def recovered(self):
        return not self.acknowledged and bool(self.adds) and bool(self.found)


def overlaps(op, fault):
    end = FOREVER if fault["end"] is None else fault["end"]
    return op["start"] <= end and (FOREVER if op["end"] is None else op["end"]) >= fault["start"]


def judge_errors(ops, faults, put):
    for op in ops:
        if op["type"] == "ok" or op.get("why") == "busy":
            continue
        refused = op.get("why") == "refused"
        excuses = [f for f in faults if f["target"] == "tribed"] if refused else faults
        if not any(overlaps(op, f) for f in excuses):
            put("refused" if refused else "failed", op["key"], op=short(op))
    for fault in faults:
        if fault["end"] is None:
            put("unrecovered", fault["target"], kind=fault["kind"], start=fault["start"])


def check(history, want_faults=0):
    """history: operations and faults in any order. want_faults: with fewer than that, nothing was shown."""
    history = [normal(op) for op in history]
    faults = sorted((op for op in history if op["f"] == "fault"), key=begins)
    ops = sorted((op for op in history if op["f"] != "fault"), key=begins)
    verdict = {name: [] for name in CLASSES}

    def put(name, key, **what):
        verdict[name].append(dict(what, key=key))

    by_key = {}
    for op in ops:
        by_key.setdefault(op["key"], []).append(op)
    keys = [Key(name, of_key) for name, of_key in by_key.items()]
    for key in keys:
        key.judge(put)
    judge_errors(ops, faults, put)

    unjudged = [key.name for key in keys if key.unjudged()]
    acknowledged = sum(bool(key.acknowledged) for key in keys)
    reasons = []
    if not acknowledged:
        reasons.append("nothing was acknowledged")
    if unjudged:
        reasons.append("%d acknowledged could not be looked up at the end" % len(unjudged))
    if len(faults) < want_faults:
        reasons.append("%d faults of %d" % (len(faults), want_faults))
    wrong = [name for name in CLASSES if verdict[name]]
    verdict.update(
        valid=False if wrong else "unknown" if reasons else True, wrong=wrong, reasons=reasons, unjudged=unjudged,
        counts={"operations": len(ops), "faults": len(faults), "keys": len(keys), "acknowledged": acknowledged,
                "recovered": sum(key.recovered() for key in keys), "unknown": sum(op["type"] == "info" for op in ops),
                "refused": sum(op.get("why") == "refused" for op in ops),
                "failed": sum(op["type"] == "fail" and op.get("why") not in ("refused", "busy") for op in ops)})
    return verdict
