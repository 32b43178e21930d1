#!/usr/bin/python3
"""kill -9 of tribed under a real systemd, N times, under load: supervisor_kills.py N. Every request must be answered well,
every Jr and every understudy keep its pid; how long it took is printed. Inside the test host: Python's standard library alone."""
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request

BASE = "http://127.0.0.1:8000"
UNDERSTUDIES = {"memory_jr": 1, "executive_jr": 1}  # by default
JRS = ("memory_jr", "integration_jr", "meta_jr", "executive_jr")
GIVE_UP_S, CLIENTS = 30, 2


def ask(path, body=None):
    request = urllib.request.Request(BASE + path, None if body is None else json.dumps(body).encode(),
                                     {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


def main_pid():
    return int(subprocess.run(["systemctl", "show", "-p", "MainPID", "--value", "tribe"], capture_output=True, text=True,
                              check=True).stdout)


class Client(threading.Thread):
    """Adds a memory and reads it again, without a pause and without ever asking twice."""

    def __init__(self, number):
        super().__init__(daemon=True)
        self.number, self.ids, self.failed, self.end = number, [], [], threading.Event()

    def run(self):
        while not self.end.is_set():
            try:
                mine = "client-%d-%d" % (self.number, len(self.ids))
                ask("/api/v1/memories", {"id": mine, "content": "written by " + mine, "source": "kills"})
                self.ids.append(mine)
                ask("/api/v1/memories/%s?touch=false" % mine)
            except (OSError, ValueError) as e:
                self.failed.append(repr(e))


def lives():
    """{Jr: pids of the lead and of who waits behind it}; None while it is not whole, or tribed is away."""
    try:
        jrs = ask("/api/v1/status")["jrs"]
    except urllib.error.HTTPError:  # executive-jr is there, tribed is not
        return None
    if any(jrs[jr]["state"] != "up" for jr in JRS):
        return None
    behind = {jr: sorted(u["pid"] for u in jrs[jr]["understudies"] if u["state"] == "waiting") for jr in JRS}
    if any(len(behind[jr]) != UNDERSTUDIES.get(jr, 0) or len(jrs[jr]["understudies"]) != len(behind[jr]) for jr in JRS):
        return None
    return {jr: [jrs[jr]["pid"]] + behind[jr] for jr in JRS}


def wait_whole():
    begin = time.monotonic()
    while time.monotonic() < begin + GIVE_UP_S:
        found = lives()
        if found is not None:
            return found
        time.sleep(0.001)
    raise SystemExit("not whole after %d s" % GIVE_UP_S)


def own_ms():
    """What each tribed took from its first line to the last adoption, by its own clock."""
    text = subprocess.run(["journalctl", "-u", "tribe", "-o", "cat", "--no-pager"], capture_output=True, text=True, check=True).stdout
    return sorted(int(ms) for ms in re.findall(r"ready start_ms=(\d+)", text)[1:])


def once(before):
    """ms from the kill to a tribe that is whole, and whether its Jrs are those of before."""
    old = main_pid()
    begin = time.monotonic()
    os.kill(old, signal.SIGKILL)
    found = wait_whole()  # told by a new tribed alone: the old one is dead, and nobody else answers this
    took = 1000 * (time.monotonic() - begin)
    return took, found == before, main_pid() != old


def main():
    kills, took, wrong = int(sys.argv[1]), [], 0
    clients = [Client(n) for n in range(CLIENTS)]
    for client in clients:
        client.start()
    before = wait_whole()
    for _ in range(kills):
        ms, same, new = once(before)
        took.append(ms)
        wrong += not (same and new)
    for client in clients:
        client.end.set()
        client.join(60)
    lost = 0
    for client in clients:
        for one in client.ids:
            try:
                ask("/api/v1/memories/%s?touch=false" % one)
            except OSError:
                lost += 1
    failed = [text for client in clients for text in client.failed]
    took.sort()
    print("tribed killed %d times: whole again after %.1f ms (median), %.1f (p99), %.1f (slowest); %d requests, failed %d, lost %d; "
          "other pids %d times" % (kills, took[len(took) // 2], took[int(len(took) * .99)], took[-1],
                                   2 * sum(len(c.ids) for c in clients), len(failed), lost, wrong))
    own = own_ms()
    print("of which tribed itself, from its start to all of them adopted: %d ms (median), %d (slowest), of %d"
          % (own[len(own) // 2], own[-1], len(own)))
    print("\n".join(failed[:5]), flush=True)
    return 1 if failed or lost or wrong else 0


if __name__ == "__main__":
    sys.exit(main())
