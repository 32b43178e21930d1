"""tests/bench/archive, first part: group commit and bulk import of the archive through its public door, in one process, against
the same rows on the bare library.

Both sides begin a turn on a copy of the same archive: the same tables, indexes and triggers. "request": every add leaves its
request id and its answer in the same commit, as everything does that comes through a tribe's sockets; the peer then inserts
that row as well. The peer's callers are one thread that keeps all adds under way, as our loop does ("fed"); the same with a
thread for each is shown beside it, and is slower.
"""
import os
import statistics

from figures import quantile
from frame import Contender, Failed, Turn, disturbed_line, run_program, take_turns
from prepared import label, remove

WIDTH = 64
IMPORT_BATCH = 256
OWN_COPY_BELOW = 300000  # above it each contender keeps one copy for all turns: what it adds is little beside what is there


class Part:
    """Contenders of one kind of database at one size."""

    def __init__(self, archives, bin_dir, scratch, n, a):
        self.archives, self.bin, self.dir, self.n, self.a = archives, bin_dir, scratch, n, a
        self.mark = "%s_%s" % (archives.name, label(n))
        self.sqlite, self.kept, self.acknowledged = archives.name == "sqlite", {}, {}

    def program(self, name):
        return os.path.join(self.bin, name)

    def place(self, key):
        if self.n >= OWN_COPY_BELOW and key in self.kept:
            return self.kept[key]
        name = key if self.n >= OWN_COPY_BELOW else "turn"
        self.acknowledged[key] = [self.n, 0]
        self.kept[key] = self.archives.copy(self.n, os.path.join(self.dir, name + ".sqlite") if self.sqlite else name)
        return self.kept[key]

    def check(self, key, where, words, count):
        """Nothing acknowledged is missing, and both sides did the same work."""
        batch = IMPORT_BATCH if words[0] == "import" else 1
        want = self.acknowledged[key]
        want[0] += count
        want[1] += -(-count // batch) if "request" in words else 0
        found = self.archives.count(where)
        if found != want:
            raise Failed("%s %s: %s memories and requests were acknowledged, %s are there" % (self.mark, key, want, found))

    def turn(self, key, ours, words, count, items=None):
        def measured(seed):
            where = self.place(key)
            if ours:
                argv = [self.program("bench-archive"), ("sqlite:" if self.sqlite else "postgresql:") + where]
            else:
                argv = [self.program("bench-store" if self.sqlite else "bench-pg"), where]
            server = None if self.sqlite else self.archives.server_cpu_s()
            turn = run_program(argv + [words[0], str(count), str(seed)] + words[1:], timeout=600)
            turn.items = items
            if server is not None:
                turn.more["server"] = int(1e9 * (self.archives.server_cpu_s() - server))
            self.check(key, where, words, count)
            return turn
        return measured

    def contender(self, key, title, ours, words, count, items=None):
        return Contender("%s_%s" % (self.mark, key), title, self.turn(key, ours, words, count, items))

    def contenders(self):
        adds, rows, wide = self.a.adds, self.a.imports, str(WIDTH)
        bare = "bare SQLite" if self.sqlite else "bare libpq"
        found = {
            "add": self.contender("add", "add, the archive", True, ["add", wide], adds),
            "add_bare": self.contender("add_bare", "add, %s" % bare, False, ["add", wide, "fed"], adds),
            "request": self.contender("request", "add with request, the archive", True, ["add", wide, "request"], adds),
            "request_bare": self.contender("request_bare", "add with request, %s" % bare, False, ["add", wide, "fed", "request"], adds),
            "request_threads": self.contender("request_threads", "add with request, %s, %d threads" % (bare, WIDTH), False,
                                              ["add", wide, "request"], adds),
            "import": self.contender("import", "import, the archive", True, ["import", "1", "request"], rows, rows),
            "import_bare": self.contender("import_bare", "import, %s" % bare, False, ["import", "1", "request"], rows, rows),
        }
        if self.sqlite:
            floor = os.path.join(self.dir, "floor.log")
            found["append"] = Contender(self.mark + "_append", "append 4 KiB + fdatasync", lambda seed: run_program(
                [self.program("bench-store"), floor, "append", str(max(16, adds // 8)), str(seed)]))
        return found

    def measure(self, raw, seed):
        by_name = self.contenders()
        rows = take_turns(by_name.values(), self.a.turns, self.a.spare, first_seed=seed)
        raw["turns"] += rows
        raw["disturbed"][self.mark] = disturbed_line(by_name.values(), rows)
        raw["rows"].update({c.key: summary(c) for c in by_name.values()})
        raw["figures"].update({"%s_%s" % (self.mark, name): value for name, value in figures(by_name).items()})
        for where in self.kept.values():
            if self.sqlite:
                remove(where)
        if not self.sqlite:
            for name in list(self.kept) + ["turn"]:
                self.archives.pg.drop(name)


def server_us(turn):
    return turn.more.get("server", 0) / 1e3 / turn.done()


def whole_us(turn):
    """The process and its server."""
    return turn.cpu_us() + server_us(turn)


def per_commit(turn):
    return turn.done() / turn.more["commits"] if turn.more.get("commits") else 0.0


def summary(c):
    median = lambda what: statistics.median(what(turn) for turn in c.turns)  # noqa: E731
    return {"title": c.title, "n": sum(turn.done() for turn in c.turns), "p50_ns": c.latency_ns(),
            "p99_ns": quantile(c.all_ns(), 0.99), "per_s": c.per_s(), "cpu_us": c.cpu_us(), "server_us": median(server_us),
            "per_commit": median(per_commit), "turns_per_s": [turn.per_s() for turn in c.turns], "disturbed": c.disturbed()}


def figures(by_name):
    out = {}
    for kind in ("add", "request", "import"):
        mine, peer = by_name[kind], by_name[kind + "_bare"]
        out.update({kind + "_rate_ratio": mine.ratio(peer, Turn.per_s), kind + "_cpu_ratio": mine.ratio(peer, whole_us),
                    kind + "_per_s": mine.per_s(), kind + "_bare_per_s": peer.per_s(), kind + "_cpu_us": mine.cpu_us(),
                    kind + "_bare_cpu_us": peer.cpu_us()})
    out["request_threads_rate_ratio"] = by_name["request"].ratio(by_name["request_threads"], Turn.per_s)
    return out
