"""What is done to a tribe. plan() is pure: the same seed gives the same list; the rest carries one entry out and waits until it healed."""
import os
import random
import signal
import sqlite3
import time

from tribe import API_NAMES, ROLES, wait_for

TARGETS = ROLES + ("tribed",)
KINDS = ("kill", "stop", "restart")
PLANTED = ("lose", "double")  # damage the tribe cannot be right about: they prove that the judge objects
HEAL_S = 60


def plan(seed, kinds, targets):
    """Endless: rounds in which every kind meets every target once, in an order of the seed's.
    Each entry: kind, target, pause_s before it, hold_s for which a stopped tribed stays stopped."""
    rng = random.Random("%d plan" % seed)
    while True:
        pairs = [(kind, target) for kind in kinds for target in (["archive"] if kind in PLANTED else targets)]
        rng.shuffle(pairs)
        for kind, target in pairs:
            yield {"kind": kind, "target": target, "pause_s": round(rng.uniform(0, 0.4), 3), "hold_s": round(rng.uniform(0.1, 0.6), 3)}


def strike(tribe, pid, sig):
    """Signals a Jr of this tribe; a pid that became somebody else's is left alone."""
    fd = os.pidfd_open(pid)
    try:
        with open("/proc/%d/environ" % pid, "rb") as f:
            if b"TRIBE_STATE=" + os.fsencode(tribe.state) not in f.read().split(b"\0"):
                raise AssertionError("%d is no Jr of ours" % pid)
        signal.pidfd_send_signal(fd, sig)
    finally:
        os.close(fd)


def ms_since(begin):
    return round((time.monotonic_ns() - begin) / 1e6, 3)


def harm_jr(tribe, entry, row):
    role = entry["target"]
    old = wait_for(lambda: tribe.pids().get(role), role + "-jr is up", HEAL_S)
    row.update(pid=old, start=time.monotonic_ns())
    if entry["kind"] == "restart":
        tribe.call("control.sock", "jr.restart", {"jr": API_NAMES[role]})
    else:
        strike(tribe, old, signal.SIGKILL if entry["kind"] == "kill" else signal.SIGSTOP)
    wait_for(lambda: tribe.pids().get(role) != old, "the end of %s-jr is noticed" % role, HEAL_S)
    row["detect_ms"] = ms_since(row["start"])  # as seen from control.sock: an upper bound
    row["new_pid"] = tribe.wait_new(role, old, HEAL_S)


def harm_tribed(tribe, entry, row):
    row.update(pid=tribe.process.pid, start=time.monotonic_ns())
    if entry["kind"] == "stop":
        try:
            tribe.process.send_signal(signal.SIGSTOP)
            time.sleep(entry["hold_s"])  # the fault itself, not a wait for something
        finally:
            tribe.process.send_signal(signal.SIGCONT)
        wait_for(lambda: sorted(tribe.pids()) == sorted(ROLES), "tribed and every Jr go on", HEAL_S)
    else:
        (tribe.kill if entry["kind"] == "kill" else tribe.stop)()
        tribe.start()
    row["new_pid"] = tribe.process.pid


def harm_archive(tribe, entry, row):
    """Behind the back of a tribe that is down: the newest row is removed, or written once more."""
    row.update(pid=tribe.process.pid, start=time.monotonic_ns())
    tribe.stop()
    with sqlite3.connect(os.path.join(tribe.state, "archive", "current", "thermal.sqlite")) as db:
        newest = "(SELECT max(seq) FROM thermal_memory_archive WHERE source LIKE 'chaos-%')"
        if entry["kind"] == "lose":
            db.execute("DELETE FROM thermal_memory_archive WHERE seq = " + newest)
        else:
            db.execute("INSERT INTO thermal_memory_archive(id, memory_hash, heat_key, created_at, last_access, source, tags, original_content) "
                       "SELECT id || '-again', memory_hash, heat_key, created_at, last_access, source, tags, original_content "
                       "FROM thermal_memory_archive WHERE seq = " + newest)
    db.close()
    tribe.start()
    row["new_pid"] = tribe.process.pid


def inject(tribe, entry):
    """Carries one entry of the plan out, from the main thread. Returns its row; end is None when it did not heal."""
    row = {"f": "fault", "kind": entry["kind"], "target": entry["target"], "end": None}
    # a tribe that is down on purpose is tribed's own absence to its clients
    harm = {"tribed": harm_tribed, "archive": harm_archive}.get(entry["target"], harm_jr)
    if harm is harm_archive:
        row["target"] = "tribed"
    try:
        harm(tribe, entry, row)
    except (AssertionError, OSError, EOFError) as error:
        row["error"] = str(error)[:2000]
        row.setdefault("start", time.monotonic_ns())
        return row
    row["end"] = time.monotonic_ns()
    row["ready_ms"] = round((row["end"] - row["start"]) / 1e6, 3)
    return row
