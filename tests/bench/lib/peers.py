"""Supervisors of others, each with one worker that answers with its pid: runit, s6, nginx.

with Runsv(dir, worker) as peer: peer.address() ... ; everything it started is gone afterwards. Peer.find() is None where
the program is not installed.
"""
import ctypes
import os
import shutil
import signal
import socket
import subprocess
import time

from frame import Failed

READY_S = 20


def _end_with_parent():
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG: on SIGTERM they stop their worker and leave


class Peer:
    key = kind = title = binary = ""
    rest_ms = 0  # how long a worker must have lived to be started again at once

    @classmethod
    def find(cls):
        return shutil.which(cls.binary, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")

    def __init__(self, parent, worker):
        self.dir, self.worker, self.process = os.path.join(parent, self.key), worker, None
        os.mkdir(self.dir)

    def prepare(self):
        """A service directory whose ./run is the worker itself: no shell in its way."""
        os.symlink(self.worker, os.path.join(self.dir, "run"))

    def argv(self):
        return [self.find(), self.dir]

    def address(self):
        return os.path.join(self.dir, "sock")

    def __enter__(self):
        self.prepare()
        with open(os.path.join(self.dir, "log"), "wb") as log:
            self.process = subprocess.Popen(self.argv(), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            preexec_fn=_end_with_parent)
        try:
            self._wait()
        except BaseException:
            self.__exit__()
            raise
        return self

    def _wait(self):
        end = time.monotonic() + READY_S
        while True:
            with socket.socket(socket.AF_UNIX) as s:
                try:
                    s.connect(self.address())
                    return
                except OSError:
                    pass
            if time.monotonic() > end or self.process.poll() is not None:
                with open(os.path.join(self.dir, "log"), encoding="utf-8", errors="replace") as f:
                    raise Failed("%s does not start: %s" % (self.title, f.read()[-400:].strip()))
            time.sleep(0.005)

    def __exit__(self, *_):
        children = self._children()
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            children |= self._children()
            self.process.kill()
            self.process.wait(10)
            for pid in children:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass

    def _children(self):
        try:
            with open("/proc/%d/task/%d/children" % (self.process.pid, self.process.pid), encoding="ascii") as f:
                return {int(pid) for pid in f.read().split()}
        except OSError:
            return set()


class Runsv(Peer):
    key, kind, title, binary = "runit", "worker", "runit (runsv)", "runsv"
    rest_ms = 1100  # it pauses for a second when a worker dies in its first


class S6(Peer):
    key, kind, title, binary = "s6", "worker", "s6 (s6-supervise)", "s6-supervise"
    rest_ms = 1100  # the same, unless the worker has said that it is ready; it has

    def prepare(self):
        super().prepare()
        with open(os.path.join(self.dir, "notification-fd"), "w", encoding="ascii") as f:
            f.write("3\n")


class Nginx(Peer):
    key, kind, title, binary = "nginx", "nginx", "nginx, its own worker", "nginx"
    rest_ms = 100

    def prepare(self):
        temp = "".join("%s_temp_path %s;\n" % (what, os.path.join(self.dir, what))
                       for what in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        with open(os.path.join(self.dir, "conf"), "w", encoding="ascii") as f:
            f.write("daemon off; worker_processes 1; pid %s; error_log stderr;\n%s"
                    "events { worker_connections 512; }\n"
                    "http { access_log off; default_type text/plain; %s\n"
                    "server { listen unix:%s; location / { return 200 \"$pid\\n\"; } } }\n" %
                    (os.path.join(self.dir, "pid"), "user root;\n" if os.geteuid() == 0 else "", temp, self.address()))

    def argv(self):
        return [self.find(), "-p", self.dir, "-c", os.path.join(self.dir, "conf"), "-e", "stderr"]


ALL = [Runsv, S6, Nginx]
