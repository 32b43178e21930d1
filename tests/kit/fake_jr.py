#!/usr/bin/python3
"""A Jr of the tests' own, to stand in for a real one beside a copy of tribed. It takes the mutex of its role's page and says jr.lead, or waits
for it, as a real one does. What else it does is said by the file mode-ROLE beside the program, a word, or two words for the first life of the role and
all that follow: ok; exit (at once, status 3); nomem (at once, status 12); mute (no hello); late (hello after two seconds); deaf (heeds neither drain nor
SIGTERM); slow (heeds only SIGTERM); shy (never takes the mutex); busy (a request is overdue); lagging (its loop runs late); follow
(asks for events over its channel and writes down what comes to notes-ROLE); faults (writes down jr.fault and jr.heal to faults-ROLE, and does what spin,
exit and oom say); liar (forges, before it says the truth); finishes (has work for a second and a half when it is told to drain); parent (leaves a process in a
session of its own, and writes its pid to left-ROLE); flood (10,000 notes at once); knock (asks on control.sock and writes down to knocked-ROLE what
comes of it). SIGUSR1: it spins; SIGUSR2: it blocks; SIGRTMIN + n: it leaves with status n."""
import ctypes
import errno
import json
import mmap
import os
import re
import signal
import socket
import sys
import time

HERE = os.path.dirname(os.path.abspath(sys.argv[0]))
ROLE = os.path.basename(sys.argv[0])[:-len("-jr")]


def mode():
    try:
        with open(os.path.join(HERE, "mode-" + ROLE), encoding="ascii") as f:
            words = f.read().split()
    except FileNotFoundError:
        return "ok"
    return words[0 if os.environ["TRIBE_GENERATION"] == "1" else -1]


class Page:
    """common/lead/page.h, by the C library itself: the mutex is robust, so the kernel takes it from the dead."""
    MUTEX, EPOCH, PID, GENERATION, SIZE = 8, 48, 56, 60, 64

    def __init__(self, fd):
        self.libc = ctypes.CDLL(None)
        assert os.fstat(fd).st_size == self.SIZE
        self.map = mmap.mmap(fd, self.SIZE)
        self.start = ctypes.addressof(ctypes.c_char.from_buffer(self.map))
        assert ctypes.c_uint32.from_address(self.start + 4).value == self.SIZE

    def at(self, kind, offset):
        return kind.from_address(self.start + offset)

    def epoch(self):
        return self.at(ctypes.c_uint64, self.EPOCH).value

    def take(self, generation):
        """The epoch it leads in; 0: somebody else holds the mutex."""
        r = self.libc.pthread_mutex_trylock(ctypes.c_void_p(self.start + self.MUTEX))
        if r == errno.EBUSY:
            return 0
        if r == errno.EOWNERDEAD:
            r = self.libc.pthread_mutex_consistent(ctypes.c_void_p(self.start + self.MUTEX))
        assert r == 0, r
        self.at(ctypes.c_uint32, self.PID).value = os.getpid()
        self.at(ctypes.c_uint32, self.GENERATION).value = generation
        self.at(ctypes.c_uint64, self.EPOCH).value += 1
        return self.epoch()


def spin(*_):
    while True:
        pass


def block(*_):
    while True:
        time.sleep(60)


def write_down(name, value):
    with open(os.path.join(HERE, name), "a", encoding="utf-8") as f:
        f.write(json.dumps(value) + "\n")


def leave_a_daemon():
    """As a daemon does it: two forks and a session, so that nothing but the kernel's book of children leads to it."""
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            write_down("left-" + ROLE, os.getpid())
            block()
        os._exit(0)
    os.wait()


def handed_over():
    names = os.environ["LISTEN_FDNAMES"].split(":")
    assert int(os.environ["LISTEN_PID"]) == os.getpid() and int(os.environ["LISTEN_FDS"]) == len(names)
    return {name: 3 + i for i, name in enumerate(names)}


def contents(fds):
    return {name: os.pread(fd, 1 << 20, 0).decode("utf-8") for name, fd in fds.items()
            if name in ("config", "certificate", "private_key", "token_hash")}


def knock(msgpack, method, params):
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(30)
        try:
            sock.connect(os.path.join(os.environ["TRIBE_RUNTIME"], "control.sock"))
            sock.sendall(msgpack.packb([0, 1, method, params]))
            return "answered" if sock.recv(65536) else "closed"
        except (ConnectionError, BrokenPipeError):
            return "closed"


class Jr:
    def __init__(self, msgpack, how, fds):
        self.pack, self.how = msgpack.packb, how
        self.generation = int(os.environ["TRIBE_GENERATION"])
        self.jr = {"jr": ROLE + "_jr", "pid": os.getpid(), "generation": self.generation}
        self.channel = socket.socket(fileno=fds["channel"])
        self.page = Page(fds["lead"])
        self.epoch = self.seq = 0
        self.began, self.since = time.monotonic(), 0
        self.beat_s = int(re.search(r"^heartbeat_ms: (\d+)", contents(fds)["config"], re.M).group(1)) / 1000

    def note(self, method, **fields):
        try:
            self.channel.send(self.pack([2, method, fields]))
        except BlockingIOError:
            pass

    def hello(self):
        if self.how == "liar":
            for lie in ({"pid": 1}, {"generation": self.generation + 1}, {"jr": "chief_jr"}, {"proto_rev": 9}):
                self.note("jr.hello", **dict(dict(self.jr, proto_rev=1), **lie))
            self.say_lead(1)  # before hello
            self.beat()
            time.sleep(0.3)
        self.note("jr.hello", **dict(self.jr, proto_rev=1))
        if self.how == "liar":
            self.note("jr.hello", **dict(self.jr, proto_rev=1))  # again
            self.say_lead(self.page.epoch() + 7)
            time.sleep(0.3)

    def say_lead(self, epoch):
        self.note("jr.lead", **dict(self.jr, epoch=epoch, monotonic_ns=time.monotonic_ns(), since_ns=self.since))

    def try_lead(self):
        self.epoch = 0 if self.how == "shy" else self.page.take(self.generation)
        if self.epoch:
            self.since = time.monotonic_ns() if self.seq else 0
            self.say_lead(self.epoch)

    def beat(self):
        self.seq += 1
        lag = 900000 if self.how == "lagging" else 0
        self.note("heartbeat", **dict(self.jr, epoch=self.epoch, seq=self.seq, monotonic_ns=time.monotonic_ns(),
                                      uptime_ms=int((time.monotonic() - self.began) * 1000), state="serving" if self.epoch else "waiting",
                                      inflight=0, queue_depth=0, overdue=1 if self.how == "busy" else 0, loop_lag_us=lag, rss_bytes=1, cpu_ms=0,
                                      handled_total=0, errors_total=0))

    def heed(self, message):
        if self.how == "follow":
            write_down("notes-" + ROLE, {"t": time.monotonic(), "message": message})
        if message[0] != 2:
            return
        if message[1] == "jr.tls":
            write_down("tls-" + ROLE, {k: v.decode() if isinstance(v, bytes) else v for k, v in message[2].items()})
        if message[1] == "jr.drain" and self.how == "finishes":
            time.sleep(1.5)
        if message[1] == "jr.drain" and self.how not in ("deaf", "slow"):
            os._exit(0)  # an orderly end of Python would unmap the page first, and the mutex would stay locked for ever
        if self.how == "faults" and message[1] in ("jr.fault", "jr.heal"):
            write_down("faults-" + ROLE, {"pid": os.getpid(), "method": message[1], "params": message[2]})
            fault = message[2].get("fault")
            if fault == "spin":
                spin()
            if fault in ("exit", "oom"):
                os._exit(12 if fault == "oom" else message[2].get("amount", 1))


def main():
    how = mode()
    if how in ("exit", "nomem"):
        sys.exit(3 if how == "exit" else 12)
    import msgpack
    fds = handed_over()
    write_down("fds-" + ROLE, {"names": sorted(fds), "files": contents(fds)})
    if how == "late":
        time.sleep(2)
    jr = Jr(msgpack, how, fds)
    if how == "parent":
        leave_a_daemon()
    for status in range(13):
        signal.signal(signal.SIGRTMIN + status, lambda _, __, status=status: os._exit(status))
    signal.signal(signal.SIGUSR1, spin)
    signal.signal(signal.SIGUSR2, block)
    signal.signal(signal.SIGTERM, signal.SIG_IGN if how == "deaf" else lambda *_: os._exit(0))
    if how != "mute":
        jr.hello()
        jr.try_lead()
    if how == "follow":
        jr.channel.send(msgpack.packb([0, 7, "events", {"follow": True}]))
    if how == "knock":
        write_down("knocked-" + ROLE, {method: knock(msgpack, method, {"jr": "memory", "fault": "kill"} if method == "fault.inject" else {})
                                       for method in ("fault.heal", "fault.inject", "config", "status")})
    if how == "flood":
        jr.channel.setblocking(True)
        for _ in range(10000):
            jr.beat()
        write_down("flooded-" + ROLE, os.getpid())
    due = 0.0
    while True:
        now = time.monotonic()
        if how != "mute" and now >= due:
            due = now + jr.beat_s
            jr.beat()
        if how != "mute" and not jr.epoch:
            jr.try_lead()
        wait = max(0.001, due - time.monotonic()) if how != "mute" else 0.05
        jr.channel.settimeout(wait if jr.epoch or how in ("shy", "mute") else min(wait, 0.003))
        try:
            data = jr.channel.recv(1 << 17)
        except (TimeoutError, BlockingIOError):
            continue
        if not data:
            os._exit(0)
        jr.heed(msgpack.unpackb(data))


main()
