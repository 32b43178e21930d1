"""What is done to a tribe. plan() is pure: the same seed gives the same list; the rest carries one entry out and waits until it healed."""
import os
import random
import signal
import time
import urllib.parse

from tribe import API_NAMES, ROLES, wait_for

TARGETS = ROLES + ("tribed",)
KINDS = ("kill", "stop", "restart")
SERVER = "postgresql"  # a target of --kills with --postgres
SERVER_KINDS = ("crash", "restart", "cut")  # kill -9 of all of it, an orderly restart, the end of all connections
CUT = ("SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = 'tribe' AND pid <> pg_backend_pid()")
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


def kills(seed, targets):
    """Endless: kill -9 of one target after the other, drawn. Each entry as plan()'s; early_s, where not None: so long after its
    successor was started that one is killed as well, before it can be ready."""
    rng = random.Random("%d kills" % seed)
    while True:
        pause = rng.uniform(0, 0.02) if rng.random() < 0.3 else rng.uniform(0, 0.6)
        entry = {"kind": "kill", "target": rng.choice(targets), "pause_s": round(pause, 4),
                 "early_s": round(rng.uniform(0, 0.04), 4) if rng.random() < 0.2 else None}
        if entry["target"] == SERVER:
            entry.update(kind=rng.choice(SERVER_KINDS), early_s=None)
        yield entry


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


def strike_early(tribe, role, old, after_s, row):
    """Kills the process that follows `old` while it is being started. It may have got ready, or have gone, all the same."""
    young = lambda: [pid for name, pid in tribe.processes().items() if name.split("#")[0] == role + "-jr" and pid != old]
    pid = wait_for(young, "a new %s-jr is started" % role, HEAL_S)[0]
    time.sleep(after_s)  # the plan's own moment
    try:
        strike(tribe, pid, signal.SIGKILL)
    except (OSError, AssertionError):  # it has gone by itself
        return old
    row["early_pid"] = pid
    return pid


def leads(tribe, role):
    """What status says of the role, once somebody leads it."""
    jr = tribe.status()["jrs"][API_NAMES[role]]
    return jr if jr["state"] == "up" and "pid" in jr else None


def harm_jr(tribe, entry, row):
    role = entry["target"]
    jr = wait_for(lambda: leads(tribe, role), role + "-jr is up", HEAL_S)
    old = jr["pid"]
    # who waits behind it takes over; where nobody does, or not yet, another one is started
    row.update(pid=old, waiting=sum(u["state"] == "waiting" for u in jr.get("understudies", ())), start=time.monotonic_ns())
    if entry.get("early_s") is not None:
        strike(tribe, old, signal.SIGKILL)
        old = strike_early(tribe, role, old, entry["early_s"], row)
    elif entry["kind"] == "restart":
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
        if entry.get("early_s") is not None:
            tribe.process = tribe.spawn()
            time.sleep(entry["early_s"])  # the plan's own moment
            row["early_pid"] = tribe.process.pid
            tribe.kill()
        tribe.start()
    row["new_pid"] = tribe.process.pid


def harm_archive(tribe, entry, row):
    """Behind the clients' backs: the newest of their memories is removed, or added once more, by somebody they know nothing of."""
    row.update(start=time.monotonic_ns())
    newest = next(memory for memory in tribe.get("/api/v1/memories?limit=50&touch=false").json()["memories"]
                  if memory.get("source", "").startswith("chaos-") and memory["source"] != "chaos-topic")
    if entry["kind"] == "lose":
        answer = tribe.http("DELETE", "/api/v1/memories/" + urllib.parse.quote(newest["id"], safe=""))
    else:
        answer = tribe.post("/api/v1/memories", {"id": newest["id"] + "-again", "content": newest["content"], "source": newest["source"]})
    assert answer.status in (200, 201, 204), answer


def harm_server(tribe, entry, row):
    server = tribe.server
    row.update(pid=server.process[0], start=time.monotonic_ns())
    if entry["kind"] == "cut":
        server.sql(CUT)
    elif entry["kind"] == "crash":
        server.kill()
        server.start()
    else:
        server.restart()
    wait_for(lambda: tribe.get("/readyz").status == 200, "the tribe has its archive again", HEAL_S)
    row["new_pid"] = server.process[0]


def inject(tribe, entry):
    """Carries one entry of the plan out, from the main thread. Returns its row; end is None when it did not heal."""
    row = {"f": "fault", "kind": entry["kind"], "target": entry["target"], "end": None}
    harm = {"tribed": harm_tribed, "archive": harm_archive, SERVER: harm_server}.get(entry["target"], harm_jr)
    try:
        harm(tribe, entry, row)
    except (AssertionError, OSError, EOFError) as error:
        row["error"] = str(error)[:2000]
        row.setdefault("start", time.monotonic_ns())
        return row
    row["end"] = time.monotonic_ns()
    row["ready_ms"] = round((row["end"] - row["start"]) / 1e6, 3)
    return row
