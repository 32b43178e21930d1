"""tests/bench/archive, second part: through HTTP on a whole tribe that begins with so many memories.

single     an add at one connection, against append 4 KiB + fdatasync beside it
together   100 connections add without a pause, one asks without a pause; before that the same questions in the same order on the
           quiet tribe. Meanwhile SQLite's log is watched from outside (wal.py), so that each ask is known to have met a
           checkpoint or not. What a checkpoint may cost is an ask's time beyond the same question's time when it was quiet
paced      the same 100 connections at half the rate which they reached so, evenly: what somebody sees who does not use all there is.
           Without a pause each of them waits for the 99 others, so that its time is 100 / rate, whatever an add takes
import     `tribectl import` of a JSON Lines file, against bare SQLite at 256 a commit
Each turn of the last two begins with a fresh copy of the prepared archive.
"""
import os
import statistics
import subprocess
import time

from figures import quantile
from frame import Contender, Failed, Turn, disturbed_line, run_program, take_turns
from machine import cpu_s
from prepared import label, remove, settle
from tribe import Tribe
from wal import Watch

USERS = 100
ADDS_PER_S = 25000  # more than can be added: new memories must not run out before the time is over


class Prepared(Tribe):
    """A tribe whose archive is a copy of a prepared one."""

    def __init__(self, bin_dir, parent, archives, n):
        super().__init__(bin_dir, parent)
        self.archives, self.n = archives, n

    def renew(self):
        """Stopped, given a fresh copy, started."""
        self.stop()
        if self.archives.name == "sqlite":
            if not os.path.exists(os.path.dirname(self.archive())):
                self.start()  # it makes the directories
                self.stop()
            self.archives.copy(self.n, self.archive())
        else:
            self.archives.copy(self.n, "tribe")
            self.settings = ["archive.url=" + self.archives.pg.url("tribe")]
        self.start()
        self.must_hold(self.n)
        run_program(self.http("ask", 50, 1))

    def must_hold(self, n):
        """Counted in the database: thermal reads every row that is about as warm as a stage's bound, as new ones are."""
        sqlite = self.archives.name == "sqlite"
        found = self.archives.count(self.archive() if sqlite else self.archives.pg.conninfo("tribe"))[0]
        if found != n:
            raise Failed("%d memories were acknowledged, %d are there" % (n, found))

    def all_pids(self):
        return list(self.pids().values())


def cpu_of(pids):
    return sum(cpu_s(pid) or 0.0 for pid in pids)


class Part:
    def __init__(self, archives, bin_dir, parent, scratch, n, a):
        self.archives, self.bin, self.parent, self.dir, self.n, self.a = archives, bin_dir, parent, scratch, n, a
        self.sqlite = archives.name == "sqlite"
        self.mark = ("http_%s" if self.sqlite else "http_postgres_%s") % label(n)

    def program(self, name):
        return os.path.join(self.bin, name)

    # -- single -----------------------------------------------------------------------------------------------------------
    def single(self, tribe):
        adds, floor = str(self.a.singles), os.path.join(self.dir, "floor.log")
        pids = tribe.all_pids()
        return [Contender(self.mark + "_add_c1", "add through HTTP, 1 connection", lambda seed: run_program(tribe.http("add", adds, seed)),
                          pids=lambda: pids),
                Contender(self.mark + "_append", "append 4 KiB + fdatasync", lambda seed: run_program(
                    [self.program("bench-store"), floor, "append", adds, str(seed)]))]

    # -- together ---------------------------------------------------------------------------------------------------------
    def asks(self, tribe, seed, seconds):
        return tribe.http("ask", self.a.questions, seed, 1, seconds)

    def turn_together(self, tribe, seed, pace):
        """pace: of adds in a second; None: without a pause."""
        a = self.a
        tribe.renew()
        quiet = run_program(tribe.http("ask", a.questions, seed), timeout=600)
        adds = ["add", ADDS_PER_S * a.seconds, seed, USERS, a.seconds] if pace is None else \
            ["add", pace * a.seconds, seed, USERS, a.seconds, pace]
        pids = tribe.all_pids()
        before = cpu_of(pids)
        with Watch(tribe.archive()) as watch:
            asking = subprocess.Popen(self.asks(tribe, seed, a.seconds), stdin=subprocess.DEVNULL,
                                      stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            try:
                adding = run_program(tribe.http(*adds), timeout=a.seconds + 60)
                out, err = asking.communicate(timeout=60)
            finally:
                if asking.poll() is None:
                    asking.kill()
                    asking.wait()
        if asking.returncode != 0:
            raise Failed("asking beside adds: " + err.strip())
        cpu = cpu_of(pids) - before
        asked = [[int(word) for word in line.split()] for line in out.splitlines() if line[0].isdigit()]
        found = Turn(adding.ns, wall_s=adding.wall_s, cpu_s=cpu)
        found.more = beside(asked, quiet.ns, watch.story if self.sqlite else None)
        tribe.must_hold(self.n + len(adding.ns))
        found.more["pss"] = sum(tribe.pss().values())
        return found

    def together(self, tribe):
        return [Contender(self.mark + "_add_c100", "adds at %d connections, one asks" % USERS,
                          lambda seed: self.turn_together(tribe, seed, None))]

    def paced(self, tribe, rate):
        return [Contender(self.mark + "_paced_c100", "%d adds a second at %d connections, one asks" % (rate, USERS),
                          lambda seed: self.turn_together(tribe, seed, rate))]

    # -- import -----------------------------------------------------------------------------------------------------------
    def imports(self, tribe):
        rows = self.a.imports
        material = os.path.join(self.dir, "material.jsonl")

        def ours(seed):
            tribe.renew()
            with open(material, "w", encoding="ascii") as f:
                subprocess.run([self.program("bench-words"), "add", str(rows), str(seed)], stdin=subprocess.DEVNULL, stdout=f, check=True)
            settle(material)
            pids = tribe.all_pids()
            before, begin = cpu_of(pids), time.monotonic()
            tribe.ctl("import", material)
            wall = time.monotonic() - begin
            turn = Turn([int(wall * 1e9)], wall_s=wall, cpu_s=cpu_of(pids) - before)
            tribe.must_hold(self.n + rows)
            turn.items = rows
            return turn

        def bare(seed):
            where = self.archives.copy(self.n, os.path.join(self.dir, "turn.sqlite"))
            turn = run_program([self.program("bench-store"), where, "import", str(rows), str(seed), "request"], timeout=600)
            turn.items = rows
            return turn

        return [Contender(self.mark + "_import", "tribectl import", ours),
                Contender(self.mark + "_import_bare", "import, bare SQLite", bare)]

    def measure(self, raw, seed):
        with Prepared(self.bin, self.parent, self.archives, self.n) as tribe:
            own = lambda: [pid for pid in [tribe.pid()] if pid is not None]  # noqa: E731
            tribe.renew()
            raw["pss"][self.mark] = tribe.pss()
            single, together = self.single(tribe), self.together(tribe)
            imports = self.imports(tribe) if self.sqlite else []
            rows = take_turns(single, self.a.turns, self.a.spare, own, seed)
            rows += take_turns(together, self.a.long_turns, self.a.spare // 2, own, seed + 1000)
            paced = self.paced(tribe, max(1, int(together[0].per_s() / 2)))
            rows += take_turns(paced, self.a.long_turns, self.a.spare // 2, own, seed + 3000)
            rows += take_turns(imports, self.a.long_turns, self.a.spare // 2, own, seed + 2000)
        remove(os.path.join(self.dir, "turn.sqlite"))
        every = single + together + paced + imports
        raw["turns"] += rows
        raw["disturbed"][self.mark] = disturbed_line(every, rows)
        raw["rows"].update({c.key: summary(c) for c in every})
        found = figures({c.key[len(self.mark) + 1:]: c for c in every})
        raw["figures"].update({"%s_%s" % (self.mark, name): value for name, value in found.items()})


def figures(c):
    adds, paced = c["add_c100"], c["paced_c100"]
    out = {"add_c1_over_append": c["add_c1"].ratio(c["append"], Turn.p50), "add_c1_p50_ms": c["add_c1"].latency_ns() / 1e6,
           "append_p50_ms": c["append"].latency_ns() / 1e6, "add_c1_cpu_us": c["add_c1"].cpu_us(),
           "add_c100_p50_ms": adds.latency_ns() / 1e6, "add_c100_p99_ms": adds.latency_ns(0.99) / 1e6,
           "add_c100_per_s": adds.per_s(), "add_c100_cpu_us": adds.cpu_us(),
           "paced_c100_p50_ms": paced.latency_ns() / 1e6, "paced_c100_p99_ms": paced.latency_ns(0.99) / 1e6,
           "paced_c100_per_s": paced.per_s(), "paced_c100_cpu_us": paced.cpu_us(),
           "paced_ask_p99_ms": statistics.median(turn.more["ask_p99_ms"] for turn in paced.turns),
           "pss_after_mb": max(turn.more["pss"] for turn in adds.turns) / 1e6}
    for name in ("quiet_max_ms", "ask_p50_ms", "ask_p99_ms"):
        out[name] = statistics.median(turn.more[name] for turn in adds.turns)
    # of what must never happen the worst turn counts
    for name in ("ask_max_ms", "ask_checkpoint_max_ms", "ask_checkpoint_excess_ms", "ask_other_max_ms", "ask_other_excess_ms"):
        out[name] = max(turn.more.get(name, 0.0) for turn in adds.turns)
    for name in ("checkpoints", "log_turns"):
        out[name] = min(turn.more.get(name, 0) for turn in adds.turns)
    if "import" in c:
        out["import_rate_ratio"] = c["import"].ratio(c["import_bare"], Turn.per_s)
        out["import_per_s"], out["import_bare_per_s"] = c["import"].per_s(), c["import_bare"].per_s()
        out["import_cpu_ratio"] = c["import"].ratio(c["import_bare"], Turn.cpu_us)
    return out


def beside(asked, quiet_ns, story):
    """What adding does to asking. asked: [ns, sent at] in the order of the questions, which begin again after the last; quiet_ns: the
    same questions when nobody added; story: wal.Story, or None. Pure."""
    ns = [row[0] for row in asked]
    out = {"quiet_max_ms": max(quiet_ns) / 1e6, "quiet_p50_ms": quantile(quiet_ns, 0.50) / 1e6, "asks": len(ns),
           "ask_p50_ms": quantile(ns, 0.50) / 1e6, "ask_p99_ms": quantile(ns, 0.99) / 1e6, "ask_max_ms": max(ns) / 1e6}
    if story is None:
        return out
    met = {True: [], False: []}
    for i, (took, at) in enumerate(asked):
        met[story.overlaps(at, at + took)].append((took, took - quiet_ns[i % len(quiet_ns)]))
    for which, name in ((True, "ask_checkpoint"), (False, "ask_other")):
        out[name + "_n"] = len(met[which])
        out[name + "_max_ms"] = max((took for took, _ in met[which]), default=0) / 1e6
        out[name + "_excess_ms"] = max((over for _, over in met[which]), default=0) / 1e6
    out["checkpoints"], out["log_turns"], out["log_pages"] = len(story.checkpoints), story.turns, story.most_pages
    out["checkpoint_ms"] = [round((end - begin) / 1e6, 1) for begin, end, _ in story.checkpoints][:200]
    return out


def summary(c):
    return {"title": c.title, "n": sum(turn.done() for turn in c.turns), "p50_ns": c.latency_ns(), "p99_ns": quantile(c.all_ns(), 0.99),
            "per_s": c.per_s(), "cpu_us": c.cpu_us(), "turns_ns": [turn.p50() for turn in c.turns], "max_ns": max(c.all_ns()),
            "disturbed": c.disturbed()}
