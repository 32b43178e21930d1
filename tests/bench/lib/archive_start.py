"""tests/bench/archive, third part: from exec of memory-jr to its first right recall, on a prepared archive.

start    tribed is started; the clock runs from the event "spawn" of memory-jr (a millisecond is its unit)
kill     kill -9 of memory-jr; the clock runs from right before kill(2), and "from exec" from the event
cold     memory-jr is stopped, the pages of its files are dropped from the page cache (posix_fadvise), it is started again
A recall is right when its best memory is the one that the same question had before. It is asked on memory.sock, on a
connection that waits in the kernel's queue until somebody takes it.
"""
import os
import signal
import socket
import subprocess
import threading
import time

from archive_http import Prepared
from frame import Contender, Failed, Turn, disturbed_line, take_turns
from prepared import label, settle

GIVE_UP_S = 60
AGAIN_S = 0.0005


def pack_recall(question):
    import msgpack
    return msgpack.packb([0, 1, "memory.recall", {"q": question, "limit": 5, "touch": False}])


def recall_once(path, question, patience):
    """The id of the best memory, "" when none fits; None: refused, closed or an error, which may be asked again."""
    import msgpack
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(patience)
        unpacker = msgpack.Unpacker(raw=False, strict_map_key=False)
        try:
            s.connect(path)
            s.sendall(pack_recall(question))
            while True:
                got = s.recv(1 << 20)
                if not got:
                    return None
                unpacker.feed(got)
                for answer in unpacker:
                    if answer[3] is None:
                        return None
                    return answer[3]["memories"][0]["id"] if answer[3]["memories"] else ""
        except (ConnectionError, FileNotFoundError):
            return None


def recall(path, question, wanted=None):
    """Until it is answered, and rightly when we know what is right. When that was (monotonic seconds), and what it was."""
    end = time.monotonic() + GIVE_UP_S
    while time.monotonic() < end:
        found = recall_once(path, question, GIVE_UP_S)
        if found is not None and wanted in (None, found):
            return time.monotonic(), found
        time.sleep(AGAIN_S)
    raise Failed("no right recall within %d s" % GIVE_UP_S)


def drop_pages(path):
    """Of a file from the page cache; written first, as dirty pages stay."""
    if os.path.exists(path):
        settle(path)
        fd = os.open(path, os.O_RDONLY)
        try:
            os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
        finally:
            os.close(fd)


class Part:
    def __init__(self, archives, bin_dir, parent, n, a, questions):
        self.archives, self.bin, self.parent, self.n, self.a, self.questions = archives, bin_dir, parent, n, a, questions
        self.mark = "start_%s" % label(n)

    def spawned(self, tribe):
        """When the living memory-jr was spawned, in time.monotonic()."""
        pid = tribe.pids()["memory_jr"]
        for event in reversed(tribe.ctl("events")["events"]):
            if event["kind"] == "spawn" and event.get("pid") == pid:
                return moment(event["at"])
        raise Failed("no event tells of the spawn of memory-jr")

    def right(self, tribe, seed):
        """A question that has an answer, that, and what it takes now that everything is warm (seconds)."""
        for i in range(len(self.questions)):
            question = self.questions[(seed + i) % len(self.questions)]
            found = recall(tribe.socket("memory"), question)[1]
            if found != "":
                begin = time.monotonic()
                return question, found, recall(tribe.socket("memory"), question)[0] - begin
        raise Failed("no question has an answer")

    def waiting(self, tribe, question, wanted):
        """A thread that asks until it is answered; .at afterwards."""
        def ask():
            try:
                thread.at = recall(tribe.socket("memory"), question, wanted)[0]
            except Failed:
                pass
        thread = threading.Thread(target=ask, daemon=True)
        thread.at = None
        thread.start()
        return thread

    def ended(self, tribe, thread, warm_s, since=None):
        thread.join(GIVE_UP_S + 1)
        if thread.at is None:
            raise Failed("memory-jr did not come back")
        exec_s = thread.at - self.spawned(tribe)
        turn = Turn([int(1e9 * (exec_s if since is None else thread.at - since))])
        turn.more.update(exec_ns=int(1e9 * exec_s), warm_ns=int(1e9 * warm_s))
        return turn

    def start(self, tribe):
        def turn(seed):
            question, wanted, warm_s = self.right(tribe, seed)
            tribe.stop()
            thread = self.waiting(tribe, question, wanted)
            tribe.start()
            return self.ended(tribe, thread, warm_s)
        return Contender(self.mark + "_start", "start of tribed", turn)

    def kill(self, tribe):
        def turn(seed):
            question, wanted, warm_s = self.right(tribe, seed)
            pid = tribe.pids()["memory_jr"]
            time.sleep(self.a.rest_s)  # health forgives the kill before
            since = time.monotonic()
            os.kill(pid, signal.SIGKILL)
            thread = self.waiting(tribe, question, wanted)
            return self.ended(tribe, thread, warm_s, since)
        return Contender(self.mark + "_kill", "kill -9 of memory-jr", turn)

    def cold(self, tribe):
        def turn(seed):
            question, wanted, warm_s = self.right(tribe, seed)
            tribe.ctl("stop", "memory-jr")
            for end in ("", "-wal", "-shm"):
                drop_pages(tribe.archive() + end)
            thread = self.waiting(tribe, question, wanted)
            tribe.ctl("start", "memory-jr")
            return self.ended(tribe, thread, warm_s)
        return Contender(self.mark + "_cold", "start of memory-jr, its files not in memory", turn)

    def measure(self, raw, seed):
        with Prepared(self.bin, self.parent, self.archives, self.n) as tribe:
            own = lambda: [pid for pid in [tribe.pid()] if pid is not None]  # noqa: E731
            tribe.renew()
            tribe.stop()  # the heat of what was asked is written: it may change which memory is best
            tribe.start()
            every = [self.start(tribe), self.kill(tribe), self.cold(tribe)]
            rows = take_turns(every, self.a.starts, self.a.spare // 2, own, seed)
        raw["turns"] += rows
        raw["disturbed"][self.mark] = disturbed_line(every, rows)
        for c in every:
            ns, exec_ns = sorted(c.all_ns()), sorted(turn.more["exec_ns"] for turn in c.turns)
            raw["rows"][c.key] = {"title": c.title, "n": len(ns), "p50_ns": ns[len(ns) // 2], "max_ns": ns[-1],
                                  "exec_p50_ns": exec_ns[len(ns) // 2], "exec_max_ns": exec_ns[-1], "disturbed": c.disturbed(),
                                  "warm_max_ns": max(turn.more["warm_ns"] for turn in c.turns)}
        worst = max(raw["rows"][c.key]["exec_max_ns"] for c in every[:2])
        raw["figures"].update({self.mark + "_first_recall_ms": worst / 1e6,
                               self.mark + "_first_recall_cold_ms": raw["rows"][every[2].key]["exec_max_ns"] / 1e6,
                               self.mark + "_kill_ms": raw["rows"][every[1].key]["max_ns"] / 1e6})


def moment(at, now=None):
    """RFC 3339 with milliseconds, or milliseconds since 1970, as time.monotonic() would have said it."""
    import datetime
    if isinstance(at, str):
        at = 1000 * datetime.datetime.fromisoformat(at.replace("Z", "+00:00")).timestamp()
    wall, mono = (time.time(), time.monotonic()) if now is None else now
    return mono - (wall - at / 1000)


def questions_of(program):
    """Three words each, as bench-http asks them. program: bench-words."""
    out = subprocess.run([program, "ask", "64", "1"], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True)
    return out.stdout.splitlines()
