#!/usr/bin/python3
"""A Jr of the tests' own, to stand in for a real one beside a copy of tribed. What it does is said by the file mode-ROLE
beside the program: ok; exit (at once, status 3); mute (no hello); late (hello after two seconds); deaf (heeds neither drain nor SIGTERM); slow (heeds only
SIGTERM); follow (asks for events over its channel and writes down what comes to notes-ROLE); knock (asks on control.sock and writes down to
knocked-ROLE what comes of it). SIGUSR1: it spins; SIGUSR2: it blocks."""
import json
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
            return f.read().strip()
    except FileNotFoundError:
        return "ok"


def spin(*_):
    while True:
        pass


def block(*_):
    while True:
        time.sleep(60)


def write_down(name, value):
    with open(os.path.join(HERE, name), "a", encoding="utf-8") as f:
        f.write(json.dumps(value) + "\n")


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


def main():
    how = mode()
    if how == "exit":
        sys.exit(3)
    import msgpack
    fds = handed_over()
    write_down("fds-" + ROLE, {"names": sorted(fds), "files": contents(fds)})
    beat_s = int(re.search(r"^heartbeat_ms: (\d+)", contents(fds)["config"], re.M).group(1)) / 1000
    if how == "late":
        time.sleep(2)
    generation = int(os.environ["TRIBE_GENERATION"])
    channel = socket.socket(fileno=fds["channel"])
    signal.signal(signal.SIGUSR1, spin)
    signal.signal(signal.SIGUSR2, block)
    signal.signal(signal.SIGTERM, signal.SIG_IGN if how == "deaf" else lambda *_: os._exit(0))
    jr = {"jr": ROLE + "_jr", "pid": os.getpid(), "generation": generation}
    if how != "mute":
        channel.send(msgpack.packb([2, "jr.hello", dict(jr, proto_rev=1)]))
    if how == "follow":
        channel.send(msgpack.packb([0, 7, "events", {"follow": True}]))
    if how == "knock":
        write_down("knocked-" + ROLE, {method: knock(msgpack, method, {"jr": "memory", "fault": "kill"} if method == "fault.inject" else {})
                                       for method in ("fault.heal", "fault.inject", "config", "status")})
    seq, began, due = 0, time.monotonic(), 0.0
    while True:
        now = time.monotonic()
        if how != "mute" and now >= due:
            seq, due = seq + 1, now + beat_s
            beat = dict(jr, epoch=int(os.environ["TRIBE_EPOCH"]), seq=seq, monotonic_ns=time.monotonic_ns(),
                        uptime_ms=int((now - began) * 1000), state="serving", inflight=0, queue_depth=0, loop_lag_us=0,
                        rss_bytes=1, cpu_ms=0, handled_total=0, errors_total=0)
            try:
                channel.send(msgpack.packb([2, "heartbeat", beat]))
            except BlockingIOError:
                pass
        channel.settimeout(max(0.001, due - time.monotonic()))
        try:
            data = channel.recv(1 << 17)
        except (TimeoutError, BlockingIOError):
            continue
        if not data:
            sys.exit(0)
        message = msgpack.unpackb(data)
        if how == "follow":
            write_down("notes-" + ROLE, {"t": time.monotonic(), "message": message})
        if message[0] == 2 and message[1] == "jr.drain" and how not in ("deaf", "slow"):
            sys.exit(0)


main()
