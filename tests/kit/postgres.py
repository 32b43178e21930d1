"""A PostgreSQL of its own for a test: its directory, its socket, its processes, and nothing left behind.

    with Postgres() as pg:
        pg.create("one")
        connect(pg.conninfo("one"))
        pg.kill()       # SIGKILL to the postmaster and everything it has
        pg.start()      # the same data; crash recovery is PostgreSQL's

It listens on a Unix socket in a directory of its own, so ports and the packages' cluster "main" do not matter; port=True adds
one on 127.0.0.1, taken free at run time and with a password. PostgreSQL refuses to be root: for root it runs as the user
"postgres", for anybody else as that user. Python's standard library and Debian's postgresql-15 only.
"""
import ctypes
import json
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time

BIN = os.environ.get("TRIBE_POSTGRES_BIN", "/usr/lib/postgresql/15/bin")
USER = "tribe"  # the cluster's superuser
SOCKET_PORT = 5432  # names the socket's file only
START_S = 60  # a busy machine, after a crash; nothing waits that long when all is well
STOP_S = 30
PR_SET_PDEATHSIG = 1


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_for(predicate, what, timeout):
    end = time.monotonic() + timeout
    while not predicate():
        if time.monotonic() >= end:
            raise AssertionError(f"after {timeout} s still not: {what}")
        time.sleep(0.005)


def birth(pid):
    """When the process was started, in ticks since boot: with the pid it names one process for ever. None: it is gone."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as f:
            fields = f.read().rsplit(b") ", 1)[1].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] in (b"Z", b"X") else int(fields[19])


def children(pid):
    """(pid, birth) of the processes that pid has made and that live."""
    found = []
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            with open(f"/proc/{name}/stat", "rb") as f:
                parent = int(f.read().rsplit(b") ", 1)[1].split()[1])
        except (FileNotFoundError, ProcessLookupError):
            continue
        if parent == pid:
            found.append((int(name), birth(int(name))))
    return [one for one in found if one[1] is not None]


def send(process, what):
    """A signal to (pid, birth), if it is still that process."""
    if process is not None and birth(process[0]) == process[1]:
        try:
            os.kill(process[0], what)
        except ProcessLookupError:
            pass


def gone(process):
    return process is None or birth(process[0]) != process[1]


def quoted(value):
    """One value of a connection string."""
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def die_with_parent():
    """Should the test be killed, its PostgreSQL is told to stop at once."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGQUIT, 0, 0, 0)


class Postgres:
    def __init__(self, fsync=True, port=False, settings=(), start=True, leave=False):
        """settings: "name=value" for postgresql.conf. leave: it outlives this process; see saved()."""
        self.leave, self.process, self.popen = leave, None, None
        self.base = tempfile.mkdtemp(prefix="tribe-pg-", dir="/tmp")  # a socket's path is short, and "postgres" gets there
        self.data, self.socket_dir = os.path.join(self.base, "data"), os.path.join(self.base, "s")
        self.log = os.path.join(self.base, "log")
        self.port = free_port() if port else None
        self.password = secrets.token_hex(16) if port else None
        self.owner = {}
        if os.geteuid() == 0:
            user = pwd.getpwnam("postgres")
            self.owner = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
        try:
            self._init(fsync, settings)
            if start:
                self.start()
        except BaseException:
            self.close()
            raise

    def _init(self, fsync, settings):
        secret = os.path.join(self.base, "password")
        with open(secret, "w", encoding="ascii") as f:
            f.write((self.password or secrets.token_hex(16)) + "\n")
        if self.owner:
            for path in (self.base, secret):
                os.chown(path, self.owner["user"], self.owner["group"])
        self._run("initdb", "-D", self.data, "-U", USER, "--auth-local=trust", "--auth-host=scram-sha-256", "--pwfile=" + secret,
                  "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync")
        self._as_owner(os.mkdir, self.socket_dir, 0o700)
        lines = [f"listen_addresses = '{'127.0.0.1' if self.port else ''}'", f"port = {self.port or SOCKET_PORT}",
                 f"unix_socket_directories = '{self.socket_dir}'", f"fsync = {'on' if fsync else 'off'}",
                 "shared_buffers = 16MB", "max_connections = 100", "max_wal_size = 256MB", "jit = off",
                 "log_line_prefix = '%m [%p] %d '"]
        for one in settings:
            name, value = one.split("=", 1)
            lines.append(f"{name.strip()} = '{value.strip()}'")
        with open(os.path.join(self.data, "postgresql.conf"), "a", encoding="utf-8") as f:
            f.write("\n".join(lines) + "\n")

    def _as_owner(self, call, path, *more):
        call(path, *more)
        if self.owner:
            os.chown(path, self.owner["user"], self.owner["group"])

    def _run(self, name, *args):
        done = subprocess.run([os.path.join(BIN, name), *args], cwd=self.base, stdin=subprocess.DEVNULL, capture_output=True,
                              text=True, check=False, timeout=300, **self.owner)
        if done.returncode != 0:
            raise RuntimeError(f"{name}: {done.returncode}\n{done.stdout}{done.stderr}")
        return done.stdout

    # ---- its life ----
    def _launch(self):
        # the kernel's word for a parent is the thread: one that ends would take it along
        tied = not self.leave and threading.current_thread() is threading.main_thread()
        with open(self.log, "ab") as log:
            self.popen = subprocess.Popen([os.path.join(BIN, "postgres"), "-D", self.data], cwd=self.base,
                                          stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                                          env={"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "LC_ALL": "C.UTF-8"},
                                          preexec_fn=die_with_parent if tied else None, **self.owner)
        self.process = (self.popen.pid, birth(self.popen.pid))

    def _ready(self):
        """The postmaster says so on the last line of its pid file."""
        try:
            with open(os.path.join(self.data, "postmaster.pid"), encoding="ascii") as f:
                lines = f.read().split("\n")
        except FileNotFoundError:
            return False
        return len(lines) > 7 and lines[0] == str(self.popen.pid) and lines[7].strip() == "ready"

    def start(self):
        """Until it takes connections. After a kill the rest of the earlier life may still hold its shared memory: again then."""
        end = time.monotonic() + START_S
        self._launch()
        while not self._ready():
            if self.popen.poll() is not None:
                if time.monotonic() >= end or "still in use" not in self.log_tail() and "lock file" not in self.log_tail():
                    raise AssertionError(f"PostgreSQL left with {self.popen.returncode}\n{self.log_tail()}")
                time.sleep(0.05)
                self._launch()
            elif time.monotonic() >= end:
                raise AssertionError(f"PostgreSQL is not ready after {START_S} s\n{self.log_tail()}")
            time.sleep(0.005)

    def _await_end(self, timeout):
        end = time.monotonic() + timeout
        while not gone(self.process) and time.monotonic() < end:
            time.sleep(0.005)
        if gone(self.process) and self.popen is not None:
            self.popen.wait()  # a child is to be reaped
        return gone(self.process)

    def stop(self, how=signal.SIGINT):
        """SIGINT: it cuts its connections and writes a checkpoint; SIGQUIT: at once, as in a crash."""
        if gone(self.process):
            return
        had = children(self.process[0])
        send(self.process, how)
        if not self._await_end(STOP_S):
            send(self.process, signal.SIGQUIT)
        if not self._await_end(STOP_S):
            for one in [self.process, *had]:
                send(one, signal.SIGKILL)
            self._await_end(STOP_S)
        self.process = None

    def kill(self):
        """SIGKILL to all of it, the postmaster first, so that it cannot tidy up."""
        had = children(self.process[0])
        send(self.process, signal.SIGKILL)
        had += [one for one in children(self.process[0]) if one not in had]
        for one in had:
            send(one, signal.SIGKILL)
        wait_for(lambda: self._await_end(0) and all(gone(one) for one in had), "it and its children are gone", STOP_S)
        self.process = None

    def alone(self, text, database="postgres"):
        """While it is down: runs one line as the only one there, and gives what the backend prints."""
        done = subprocess.run([os.path.join(BIN, "postgres"), "--single", "-D", self.data, database], input=text + "\n", cwd=self.base,
                              capture_output=True, text=True, check=False, timeout=120, **self.owner)
        if done.returncode != 0:
            raise RuntimeError(f"postgres --single: {done.stderr}")
        return done.stdout

    def restart(self, how=signal.SIGINT):
        self.stop(how)
        self.start()

    def close(self):
        try:
            self.stop()
        finally:
            shutil.rmtree(self.base, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def log_tail(self, n=4000):
        try:
            with open(self.log, "rb") as f:
                return f.read()[-n:].decode("utf-8", "replace")
        except FileNotFoundError:
            return ""

    # ---- how it is reached ----
    def conninfo(self, database="postgres", tcp=False):
        """For libpq. The socket needs no password: only its owner and root get to it."""
        if tcp:
            parts = {"host": "127.0.0.1", "port": str(self.port), "password": self.password}
        else:
            parts = {"host": self.socket_dir, "port": str(self.port or SOCKET_PORT)}
        parts |= {"user": USER, "dbname": database}
        return " ".join(f"{k}={quoted(v)}" for k, v in parts.items())

    def url(self, database="postgres", tcp=False):
        """For archive.url."""
        if tcp:
            return f"postgresql://{USER}:{self.password}@127.0.0.1:{self.port}/{database}"
        return f"postgresql://{USER}@/{database}?host={self.socket_dir}&port={self.port or SOCKET_PORT}"

    def sql(self, text, database="postgres"):
        """Runs it and gives what psql prints: rows a line each, columns apart by |."""
        done = subprocess.run([os.path.join(BIN, "psql"), "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d",
                               self.conninfo(database), "-c", text], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              check=False, timeout=120)
        if done.returncode != 0:
            raise RuntimeError(f"psql: {done.stderr}")
        return done.stdout.strip()

    def create(self, database):
        self.sql(f'CREATE DATABASE "{database}"')

    def drop(self, database):
        self.sql(f'DROP DATABASE IF EXISTS "{database}" WITH (FORCE)')

    # ---- one that outlives its maker ----
    def saved(self):
        return {"base": self.base, "process": self.process, "port": self.port, "password": self.password}

    @classmethod
    def take_down(cls, saved):
        """What saved() told of, from any process."""
        pg = cls.__new__(cls)
        pg.popen, pg.process = None, None if saved["process"] is None else tuple(saved["process"])
        pg.base, pg.log = saved["base"], os.path.join(saved["base"], "log")
        pg.close()


def begin(where, **options):
    """Starts one that stays until end(where), and says in files of that directory how it is reached: conninfo, url."""
    end(where)  # of a run that was cut off
    os.makedirs(where, exist_ok=True)
    pg = Postgres(leave=True, **options)
    try:
        texts = {"saved.json": json.dumps(pg.saved()), "conninfo": pg.conninfo(), "url": pg.url()}
        if pg.port is not None:
            texts |= {"conninfo.tcp": pg.conninfo(tcp=True), "url.tcp": pg.url(tcp=True)}
        for name, text in texts.items():
            with open(os.open(os.path.join(where, name), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as f:
                f.write(text + "\n")
    except BaseException:
        pg.close()
        raise
    return pg


def end(where):
    """Takes down what begin(where) started; nothing there is fine."""
    path = os.path.join(where, "saved.json")
    try:
        with open(path, encoding="utf-8") as f:
            saved = json.load(f)
    except FileNotFoundError:
        return
    Postgres.take_down(saved)
    shutil.rmtree(where, ignore_errors=True)
