"""Who the face is measured against: nginx's `return 200`, the bare parser library, FastAPI over PostgreSQL. Each takes a free port
and is gone at the end of its `with`; find() is None where it is not installed."""
import os
import shutil
import signal
import socket
import subprocess
import time
import urllib.request

from frame import Failed
from peers import READY_S, _end_with_parent

SETTLE_S = 120
PYTHON = "/usr/bin/python3"  # Debian's, which has Debian's packages


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Program:
    """One process on a port of its own. pids(): of those whose CPU a request costs."""

    def __init__(self, scratch, name):
        self.dir, self.process, self.port = os.path.join(scratch, name), None, None
        os.mkdir(self.dir)

    def start(self, argv, probe, **more):
        self.log = open(os.path.join(self.dir, "log"), "ab")
        more.setdefault("stdout", self.log)
        self.process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stderr=self.log, preexec_fn=_end_with_parent, **more)
        if self.port is None:
            self.port = int(self.process.stdout.readline() or 0)
        end = time.monotonic() + READY_S
        while True:
            try:
                with urllib.request.urlopen(self.url(probe), timeout=5) as answer:
                    answer.read()
                    return
            except OSError as e:
                if time.monotonic() > end or self.process.poll() is not None:
                    with open(os.path.join(self.dir, "log"), encoding="utf-8", errors="replace") as f:
                        raise Failed("%s does not start: %s %s" % (argv[0], e, f.read()[-400:])) from None
                time.sleep(0.02)

    def url(self, path):
        return "http://127.0.0.1:%d%s" % (self.port, path)

    def children(self):
        with open("/proc/%d/task/%d/children" % (self.process.pid, self.process.pid), encoding="ascii") as f:
            return [int(pid) for pid in f.read().split()]

    def pids(self):
        return [self.process.pid] + self.children()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process is not None:
            workers = self.children() if self.process.poll() is None else []
            self.process.terminate()
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(20)
            for pid in workers:  # uvicorn's wait for queries that nobody wants any more
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
            if self.process.stdout is not None:
                self.process.stdout.close()
            self.log.close()


class Nginx(Program):
    """The same body as ours at every path; one worker, no log."""

    @staticmethod
    def find():
        return shutil.which("nginx", path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")

    def __init__(self, scratch, body):
        super().__init__(scratch, "nginx")
        self.port = free_port()
        temp = "".join("%s_temp_path %s;\n" % (what, os.path.join(self.dir, what)) for what in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        with open(os.path.join(self.dir, "conf"), "w", encoding="ascii") as f:
            f.write("daemon off; worker_processes 1; pid %s; error_log stderr;\n%sevents { worker_connections 1024; }\n"
                    "http { access_log off; default_type application/json; keepalive_requests 1000000000; %s\n"
                    "server { listen 127.0.0.1:%d; location / { return 200 '%s'; } } }\n" % (
                        os.path.join(self.dir, "pid"), "user root;\n" if os.geteuid() == 0 else "", temp, self.port, body))
        self.start([self.find(), "-p", self.dir, "-c", os.path.join(self.dir, "conf"), "-e", "stderr"], "/")


class Bare(Program):
    """llhttp and libuv: the given bytes at every path (bench_bare.c)."""

    def __init__(self, scratch, program, name, body):
        super().__init__(scratch, "bare-" + name)
        path = os.path.join(self.dir, "body")
        with open(path, "wb") as f:
            f.write(body)
        self.start([program, path], "/", stdout=subprocess.PIPE)


class FastApi(Program):
    """peers/fastapi_peer.py: uvicorn with two workers, over a database of a private cluster."""

    WORKERS = 2

    @staticmethod
    def find():
        """uvicorn, if all that the peer needs is there."""
        done = subprocess.run([PYTHON, "-c", "import asyncpg, fastapi, httptools, uvloop"], stdin=subprocess.DEVNULL, capture_output=True)
        return shutil.which("uvicorn") if done.returncode == 0 else None

    def __init__(self, scratch, here, pg, memories):
        """memories: a file of JSON lines."""
        super().__init__(scratch, "fastapi")
        self.pg = pg
        pg.create("peer")
        dsn = "postgresql://tribe@/peer?host=%s&port=5432" % pg.socket_dir
        done = subprocess.run([PYTHON, os.path.join(here, "peers", "fastapi_peer.py"), dsn, memories], stdin=subprocess.DEVNULL,
                              capture_output=True, text=True)
        if done.returncode != 0:
            raise Failed("the peer's database: " + done.stderr.strip()[-400:])
        self.port = free_port()
        self.start([PYTHON, "-m", "uvicorn", "--app-dir", os.path.join(here, "peers"), "fastapi_peer:app", "--workers", str(self.WORKERS), "--host",
                    "127.0.0.1", "--port", str(self.port), "--no-access-log", "--log-level", "warning", "--loop", "uvloop", "--http", "httptools"],
                   "/healthz", env=dict(os.environ, PEER_DSN=dsn, PYTHONDONTWRITEBYTECODE="1"))

    def settle(self):
        """Until nothing of a turn is left: it goes on answering whoever has gone, and the next turn would pay for it."""
        end = time.monotonic() + SETTLE_S
        while int(self.pg.sql("SELECT count(*) FROM pg_stat_activity WHERE datname = 'peer' AND state = 'active' AND pid <> pg_backend_pid()", "peer")):
            if time.monotonic() > end:
                raise Failed("FastAPI's queries do not end")
            time.sleep(0.1)

    def rows(self):
        return int(self.pg.sql("SELECT count(*) FROM memories", "peer"))
