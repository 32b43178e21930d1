"""A tribe of one's own in a temporary directory, and what the system says about its processes."""
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import tempfile
import time
import urllib.request

from frame import Failed, run_program

JRS = ["memory_jr", "integration_jr", "meta_jr", "executive_jr"]


class Tribe:
    """with Tribe(bin_dir, parent) as t: ... ; t.dir is fresh; everything is stopped and removed at the end."""

    def __init__(self, bin_dir, parent=None):
        self.bin = os.path.abspath(bin_dir)
        self.dir = tempfile.mkdtemp(prefix="tribe-bench-", dir=parent)
        self.dev, self.settings = os.path.join(self.dir, "dev"), []  # settings: further "key=value" for tribed

    def __enter__(self):
        return self

    def __exit__(self, *_):
        try:
            self.stop(quiet=True)
        finally:
            shutil.rmtree(self.dir, ignore_errors=True)

    def program(self, name):
        return os.path.join(self.bin, name)

    def argv(self):
        """Of tribed."""
        words = [self.program("tribed"), "--dev", self.dev, "--detach"]
        for setting in ["http.listen=127.0.0.1:0", *self.settings]:
            words += ["--set", setting]
        return words

    def start(self):
        """Seconds from the start of tribed to its word that the tribe is ready."""
        begin = time.monotonic()
        done = subprocess.run(self.argv(), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
        took = time.monotonic() - begin
        if done.returncode != 0:
            raise Failed("tribed left with %d: %s" % (done.returncode, (done.stdout + done.stderr).strip()))
        with urllib.request.urlopen(self.url("/readyz"), timeout=10) as answer:  # its word must hold
            if answer.status != 200:
                raise Failed("readyz says %d right after the start" % answer.status)
        return took

    def stop(self, quiet=False):
        pid = self.pid()
        if pid is None:
            return
        done = subprocess.run([self.program("tribectl"), "--dev", self.dev, "shutdown", "--timeout", "30"],
                              capture_output=True, text=True, timeout=60)
        if done.returncode == 0:
            return
        if not quiet:
            raise Failed("shutdown: " + done.stderr.strip())
        try:
            os.kill(pid, signal.SIGKILL)  # ours: its pid file lies in our own directory; no Jr outlives it
        except ProcessLookupError:
            pass

    def pid(self):
        try:
            with open(os.path.join(self.dev, "run", "tribed.pid"), encoding="ascii") as f:
                return int(f.read())
        except (OSError, ValueError):
            return None

    def port(self):
        with open(os.path.join(self.dev, "run", "http.addr"), encoding="ascii") as f:
            return int(f.read().strip().rsplit(":", 1)[1])

    def socket(self, role):
        return os.path.join(self.dev, "run", role + ".sock")

    def url(self, path):
        return "http://127.0.0.1:%d%s" % (self.port(), path)

    def ctl(self, *words, timeout=600, may_fail=False):
        """The JSON answer of a tribectl command."""
        done = subprocess.run([self.program("tribectl"), "--dev", self.dev, "--json", *words],
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout)
        if done.returncode != 0 and not (may_fail and done.stdout):
            raise Failed("tribectl %s left with %d: %s" % (" ".join(words), done.returncode, done.stderr.strip()))
        return json.loads(done.stdout)

    def http(self, *words):
        """argv of bench-http against this tribe."""
        return [self.program("bench-http"), str(self.port())] + [str(word) for word in words]

    def fill(self, memories):
        run_program(self.http("fill", memories, 1))

    def memories(self):
        """Without those that a Jr has made by itself: its decisions (an anomaly acknowledged ...)."""
        while True:  # one may come between the two questions
            decided = len(self.ctl("decisions", "--limit", "200")["decisions"])
            n = self.ctl("thermal")["total_memories"]
            if len(self.ctl("decisions", "--limit", "200")["decisions"]) == decided:
                return n - decided

    def archive(self):
        """Its database, where it is in SQLite."""
        return os.path.join(self.dev, "state", "archive", "current", "thermal.sqlite")

    def copy_archive(self, path):
        """Schema and rows as they are now, for whoever does the same work without a tribe."""
        ours, copy = sqlite3.connect("file:%s?mode=ro" % self.archive(), uri=True), sqlite3.connect(path)
        try:
            ours.backup(copy)
        finally:
            ours.close()
            copy.close()

    def pids(self):
        status = self.ctl("status")
        found = {"tribed": status["supervisor_pid"]}
        found.update({name: jr["pid"] for name, jr in status["jrs"].items() if "pid" in jr})
        return found

    def pss(self):
        """Bytes of memory by process, shared pages counted by share."""
        return {name: pss_of(pid) for name, pid in self.pids().items()}


def pss_of(pid):
    with open("/proc/%d/smaps_rollup" % pid, encoding="ascii") as f:
        for line in f:
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    raise Failed("no Pss for %d" % pid)
