"""A tribe of its own for a test: its directory, its processes, its sockets, and nothing left behind.

    with Tribe() as tribe:
        tribe.post("/api/v1/memories", {"content": "The kettle is blue."})

Python's standard library and python3-msgpack only. TRIBE_BIN names the directory of the programs under test.
"""
import ctypes
import glob
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import uuid

import msgpack

ROLES = ("memory", "integration", "meta", "executive")  # the order of start
API_NAMES = {role: role + "_jr" for role in ROLES}
SOCKETS = tuple(role + ".sock" for role in ROLES)
PROGRAMS = tuple(role + "-jr" for role in ROLES)
START_S = 60  # a sanitizer build on a busy machine; nothing waits that long when all is well
SANITIZER_MARKS = ("ERROR: AddressSanitizer", "runtime error:", "LeakSanitizer")
RESET = (ConnectionResetError, BrokenPipeError, http.client.RemoteDisconnected, http.client.IncompleteRead)
SECOND_NS = 1_000_000_000


def program(name):
    where = os.environ.get("TRIBE_BIN")
    if not where:
        raise RuntimeError("TRIBE_BIN must name the directory of the programs")
    return os.path.join(os.path.abspath(where), name)


def wait_for(predicate, what, timeout=START_S):
    """Returns the first true value of predicate(), looked at every few milliseconds; fails after timeout seconds."""
    end = time.monotonic() + timeout
    while True:
        value = predicate()
        if value:
            return value
        if time.monotonic() >= end:
            raise AssertionError(f"after {timeout} s still not: {what}")
        time.sleep(0.005)


def alive(pid):
    """True while the process runs; a zombie does not."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as f:
            return f.read().rsplit(b") ", 1)[1][:1] not in (b"Z", b"X")
    except (FileNotFoundError, ProcessLookupError):
        return False


def problem_of(response):
    """The body of an error answer, after checking that it is one (RFC 9457)."""
    body = response.json()
    assert response.headers.get("Content-Type", "").startswith("application/problem+json"), response
    for field in ("type", "title", "status", "detail", "request_id"):
        assert field in body, (field, response)
    assert body["status"] == response.status, response
    return body


class Response:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    def json(self):
        return json.loads(self.body.decode("utf-8"))

    def __repr__(self):
        return f"<{self.status} {self.body[:600]!r}>"


class RpcError(Exception):
    """The error of a response: .error is what was sent, .code its name."""

    def __init__(self, error):
        super().__init__(repr(error))
        self.error = error
        self.code = error.get("code") if isinstance(error, dict) else None


class Rpc:
    """MessagePack-RPC over a Unix socket, one request at a time; notifications are kept in .notes."""

    def __init__(self, path, timeout=30):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self.sock.settimeout(timeout)
            self.sock.connect(path)
        except OSError:
            self.sock.close()
            raise
        self.unpacker = msgpack.Unpacker(raw=False, strict_map_key=False)
        self.notes, self.last = [], 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.sock.close()

    def send(self, message):
        self.sock.sendall(msgpack.packb(message))

    def read(self):
        """The next message; EOFError when the other side closed."""
        while True:
            for message in self.unpacker:
                return message
            data = self.sock.recv(65536)
            if not data:
                raise EOFError("closed by the other side")
            self.unpacker.feed(data)

    def call(self, method, params=None):
        self.last += 1
        self.send([0, self.last, method, {} if params is None else params])
        while True:
            message = self.read()
            if message[0] == 2:
                self.notes.append(message)
                continue
            assert message[0] == 1 and message[1] == self.last, message
            if message[2] is not None:
                raise RpcError(message[2])
            return message[3]

    def note(self):
        """The next notification as (method, params)."""
        while not self.notes:
            message = self.read()
            assert message[0] == 2, message
            self.notes.append(message)
        _, method, params = self.notes.pop(0)
        return method, params


def _die_with_parent():
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG: a killed test leaves no tribed


class Tribe:
    def __init__(self, *settings, flags=(), env=None, start=True, wait_all=True):
        """settings: KEY=VALUE for --set; flags: further words for tribed's command line; wait_all: a start waits for all four."""
        self.base = tempfile.mkdtemp(prefix="tribe-", dir="/tmp")  # short: a socket path must fit 107 bytes
        self.dir = os.path.join(self.base, "t")
        os.mkdir(self.dir)
        self.state, self.run = os.path.join(self.dir, "state"), os.path.join(self.dir, "run")
        self.log = os.path.join(self.base, "log")
        self.settings, self.flags = ("http.listen=127.0.0.1:0",) + settings, tuple(flags)
        self.env = dict(os.environ)
        for name in ("STATE_DIRECTORY", "RUNTIME_DIRECTORY", "NOTIFY_SOCKET", "WATCHDOG_USEC", "JOURNAL_STREAM"):
            self.env.pop(name, None)
        self.env.update(env or {})
        self.wait_all = wait_all
        self.judge = None  # called with method, path, answer of each http()
        self.process = None
        self.started = []  # every Popen of ours
        if start:
            try:
                self.start()
            except BaseException:
                self.close(failed=True)
                raise

    # -- life ---------------------------------------------------------------------------------------------------------
    def command(self, *flags):
        words = [program("tribed"), "--dev", self.dir]
        for setting in self.settings:
            words += ["--set", setting]
        return words + list(self.flags) + list(flags)

    def spawn(self, *flags):
        """Starts tribed without waiting for anything. From the main thread only: the child dies with its thread."""
        with open(self.log, "ab") as log:
            process = subprocess.Popen(self.command(*flags), stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self.env,
                                       cwd=self.base, preexec_fn=_die_with_parent)
        self.started.append(process)
        return process

    def start(self, *flags):
        assert self.process is None or self.process.poll() is not None, "it runs already"
        try:  # what an earlier life left would send us to the wrong port
            os.unlink(os.path.join(self.run, "http.addr"))
        except FileNotFoundError:
            pass
        self.process = self.spawn(*flags)
        wait_for(self.is_ready, "tribed is ready")
        return self

    def is_ready(self):
        if self.process is not None and self.process.poll() is not None:
            raise AssertionError(f"tribed left with {self.process.returncode}\n{self.log_tail()}")
        if self.address() is None:
            return False
        try:  # /readyz asks for no more than a memory that can be recalled
            return self.get("/readyz").status == 200 and (not self.wait_all or len(self.pids()) == len(ROLES))
        except OSError:
            return False

    def stop(self, timeout=60):
        """Asks tribed to end (SIGTERM) and returns its exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout)

    def kill(self):
        """kill -9 of tribed alone."""
        self.process.kill()
        self.process.wait(60)

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        self.close(failed=kind is not None)

    def close(self, failed=False):
        """Ends every process of this tribe, checks the logs for a sanitizer's report, removes the directory."""
        try:
            if not failed and self.process is not None and self.process.poll() is None:
                try:
                    self.stop()
                except subprocess.TimeoutExpired:
                    failed = True
                    print("tribed did not end after SIGTERM", file=sys.stderr)
            for process in self.started:
                if process.poll() is None:
                    process.kill()
                    process.wait(60)
            for pid in self.processes().values():
                self._kill(pid)
            self.wait_gone(30)
            report = self.sanitizer_report()
            if failed or report:
                print(f"--- log of {self.dir}\n{self.log_tail()}---", file=sys.stderr)
            assert not report, report
        finally:
            shutil.rmtree(self.base, ignore_errors=True)

    @staticmethod
    def _kill(pid):
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass

    def processes(self):
        """{program name: pid} of every living process that was started with this tribe's state directory. Looks into
        /proc, so it works without tribed and never meets another tribe's processes. Several of one name: name, name#2 ..."""
        want = b"TRIBE_STATE=" + os.fsencode(self.state)
        found = {}
        for path in glob.glob("/proc/[0-9]*"):
            pid = int(os.path.basename(path))
            try:
                with open(path + "/environ", "rb") as f:
                    if want not in f.read().split(b"\0"):
                        continue
                with open(path + "/cmdline", "rb") as f:
                    name = os.path.basename(os.fsdecode(f.read().split(b"\0", 1)[0]))
            except OSError:
                continue
            if not name or not alive(pid):
                continue
            key, again = name, 1
            while key in found:
                again += 1
                key = f"{name}#{again}"
            found[key] = pid
        return found

    def wait_gone(self, timeout=15):
        """Waits until no Jr of this tribe is left."""
        end = time.monotonic() + timeout
        while self.processes():
            if time.monotonic() >= end:
                raise AssertionError(f"after {timeout} s still there: {self.processes()}\n{self.log_tail()}")
            time.sleep(0.005)

    # -- what it says -------------------------------------------------------------------------------------------------
    def logs(self):
        """All that tribed and the Jrs wrote."""
        text = ""
        for path in (self.log, os.path.join(self.state, "tribed.log")):
            try:
                with open(path, encoding="utf-8", errors="replace") as f:
                    text += f.read()
            except FileNotFoundError:
                pass
        return text

    def log_tail(self, lines=60):
        return "".join(self.logs().splitlines(keepends=True)[-lines:])

    def sanitizer_report(self):
        text = self.logs()
        at = min((text.find(mark) for mark in SANITIZER_MARKS if mark in text), default=-1)
        return text[max(0, at - 200):at + 6000] if at >= 0 else ""

    def address(self):
        """(host, port) of the HTTP API, None before it is known."""
        try:
            with open(os.path.join(self.run, "http.addr"), encoding="ascii") as f:
                text = f.read()
        except FileNotFoundError:
            return None
        if not text.endswith("\n"):
            return None
        host, port = text.strip().rsplit(":", 1)
        return host.strip("[]"), int(port)

    # -- speaking to it -----------------------------------------------------------------------------------------------
    def socket_path(self, name):
        return os.path.join(self.run, name)

    def rpc(self, name="control.sock", timeout=30):
        return Rpc(self.socket_path(name), timeout)

    def call(self, name, method, params=None):
        with self.rpc(name) as rpc:
            return rpc.call(method, params)

    def wait_control(self):
        """Until tribed answers: the socket's name is there a moment before anybody listens behind it."""
        def answers():
            try:
                return self.call("control.sock", "version")
            except (OSError, EOFError):
                return None
        return wait_for(answers, "tribed answers")

    def status(self):
        return self.call("control.sock", "status")

    def pids(self):
        """{role: pid} of the Jrs that are up."""
        jrs = self.status()["jrs"]
        return {role: jrs[API_NAMES[role]]["pid"] for role in ROLES
                if jrs[API_NAMES[role]]["state"] == "up" and "pid" in jrs[API_NAMES[role]]}

    def wait_new(self, role, old_pid, timeout=START_S):
        """Waits until another process than old_pid serves the role; returns its pid."""
        def answers():
            pid = self.pids().get(role)
            if pid in (None, old_pid):
                return None
            answer = self.call(role + ".sock", "jr.ping")
            return pid if answer["pid"] == pid and answer["jr"] == API_NAMES[role] else None
        return wait_for(answers, f"a new {role}-jr serves", timeout)

    def http(self, method, path, body=None, headers=None, timeout=60):
        """One request on a connection of its own. body: bytes, str, or anything JSON can hold."""
        headers = dict(headers or {})
        if body is not None and not isinstance(body, (bytes, str)):
            body = json.dumps(body)
        if isinstance(body, str):
            body = body.encode("utf-8")
        if body is not None and not any(name.lower() == "content-type" for name in headers):
            headers["Content-Type"] = "application/json"
        connection = http.client.HTTPConnection(*self.address(), timeout=timeout)
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            answer = Response(answer.status, answer.headers, answer.read())
        finally:
            connection.close()
        if self.judge is not None:
            self.judge(method, path, answer)
        return answer

    def get(self, path, **more):
        return self.http("GET", path, **more)

    def post(self, path, body, **more):
        return self.http("POST", path, body, **more)

    def raw(self, data, timeout=60):
        """Sends bytes to the HTTP port, returns all that comes back until the other side closes."""
        with socket.create_connection(self.address(), timeout=timeout) as sock:
            sock.sendall(data)
            out = b""
            while True:
                try:
                    piece = sock.recv(65536)
                except ConnectionResetError:
                    return out
                if not piece:
                    return out
                out += piece

    def ctl(self, *words, stdin=None, timeout=120):
        """Runs tribectl for this tribe: .returncode, .stdout, .stderr as text."""
        done = subprocess.run([program("tribectl"), "--dev", self.dir, *words], input=stdin, capture_output=True, text=True,
                              env=self.env, cwd=self.base, timeout=timeout, check=False)
        for mark in SANITIZER_MARKS:
            assert mark not in done.stderr, done.stderr
        return done

    def remember(self, *contents, **fields):
        """Adds memories and returns their ids; fields go into each."""
        answer = self.post("/api/v1/memories", [dict(fields, content=content) for content in contents])
        assert answer.status in (200, 201), answer
        return [memory["id"] for memory in answer.json()["memories"]]


def repeat(tribe, method, path, body, timeout=60, headers=None):
    """The client the contract has in mind: a POST that was cut off is sent again with the same Idempotency-Key. A refused
    connection is never forgiven. Returns (response, how often it was sent)."""
    key, sent, end = str(uuid.uuid4()), 0, time.monotonic() + timeout
    while True:
        sent += 1
        try:
            answer = tribe.http(method, path, body, headers={"Idempotency-Key": key, **(headers or {})}, timeout=timeout)
        except RESET:
            answer = None
        # 409: the first copy of this very request is still being worked on
        if answer is not None and answer.status != 409:
            return answer, sent
        if time.monotonic() >= end:
            raise AssertionError(f"{method} {path} was not answered within {timeout} s, sent {sent} times")


class Load:
    """A light load on a tribe: some threads that remember, decide and ask. Everything acknowledged is written down."""

    TOPIC = "zanzibar lighthouse keepers polish brass lanterns"

    def __init__(self, tribe, adders=2, askers=1):
        self.tribe, self.lock = tribe, threading.Lock()
        self.memories, self.decisions = {}, {}  # id -> content, id -> text
        self.asked = self.resent = 0
        self.wrong = []
        self.run_id = uuid.uuid4().hex[:12]
        self.ending = threading.Event()
        tribe.remember(self.TOPIC, source="load-topic")
        self.threads = [threading.Thread(target=self._work, args=(self._add, n), daemon=True) for n in range(adders)]
        self.threads += [threading.Thread(target=self._work, args=(self._ask, n), daemon=True) for n in range(askers)]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, kind, *_):
        self.ending.set()
        for thread in self.threads:
            thread.join(120)
        if kind is None:
            assert not any(thread.is_alive() for thread in self.threads), "a load thread hangs"

    def _work(self, step, n):
        turn = 0
        while not self.ending.is_set():
            turn += 1
            try:
                step(n, turn)
            except Exception as error:  # judged by check()
                with self.lock:
                    self.wrong.append(f"{step.__name__}: {error!r}")

    def _note(self, where, key, value, sent):
        with self.lock:
            if key in where:
                self.wrong.append(f"id {key} was given out twice")
            where[key] = value
            self.resent += sent - 1

    def _add(self, n, turn):
        content = f"load {self.run_id} thread{n} turn{turn}"
        if turn % 8 == 0:
            answer, sent = repeat(self.tribe, "POST", "/api/v1/decisions", {"text": content, "by": "load"})
            body = answer.json()
            decision = body.get("decision", body)
            assert answer.status in (200, 201), answer
            self._note(self.decisions, decision["id"], content, sent)
            return
        answer, sent = repeat(self.tribe, "POST", "/api/v1/memories", {"content": content, "source": "load"})
        assert answer.status == 201, answer
        memory = answer.json()["memories"][0]
        assert memory["created"] is True, answer
        self._note(self.memories, memory["id"], content, sent)

    def _ask(self, _n, _turn):
        answer, sent = repeat(self.tribe, "POST", "/api/v1/ask", {"question": "What do the zanzibar keepers polish?"})
        assert answer.status == 200, answer
        body = answer.json()
        # an answer without integration-jr may be shorter, but the memory is found
        assert body["sources"] and body["sources"][0]["content"] == self.TOPIC, answer
        with self.lock:
            self.asked += 1
            self.resent += sent - 1

    def done(self):
        with self.lock:
            return len(self.memories) + len(self.decisions), self.asked

    def wait_progress(self, adds=5, asks=2):
        """Waits for that many further acknowledged adds and answered questions."""
        adds_before, asks_before = self.done()
        wait_for(lambda: self.wrong or (self.done()[0] >= adds_before + adds and self.done()[1] >= asks_before + asks),
                 "the load goes on")
        assert not self.wrong, self.wrong[:5]

    def check(self, case):
        """After the load has ended: nobody was refused, everything acknowledged is there, once."""
        case.assertEqual(self.wrong, [])
        for memory_id, content in self.memories.items():
            answer = self.tribe.get(f"/api/v1/memories/{memory_id}?touch=false")
            case.assertEqual(answer.status, 200, answer)
            case.assertEqual(answer.json()["content"], content)
            # done twice, it would have been heated by its second self
            case.assertEqual(answer.json()["access_count"], 1, answer)
        listed = {}
        cursor_ids = self.tribe.get("/api/v1/decisions?limit=200").json()["decisions"]
        for decision in cursor_ids:
            case.assertNotIn(decision["text"], listed, "a decision was written twice")
            listed[decision["text"]] = decision["id"]
        if len(cursor_ids) < 200:
            for decision_id, text in self.decisions.items():
                case.assertEqual(listed.get(text), decision_id)
        total = self.tribe.get("/api/v1/thermal").json()["total_memories"]
        case.assertEqual(total, len(self.memories) + len(self.decisions) + 1)


class TribeCase(unittest.TestCase):
    """Tests that share one tribe a class. SETTINGS: KEY=VALUE for --set."""

    SETTINGS = ()
    tribe = None

    @classmethod
    def setUpClass(cls):
        cls.tribe = Tribe(*cls.SETTINGS)
        cls.addClassCleanup(cls.tribe.close)

    def run(self, result=None):
        before = len(result.failures) + len(result.errors) if result is not None else 0
        super().run(result)
        if result is not None and len(result.failures) + len(result.errors) > before:
            print(f"--- log after {self.id()}\n{self.tribe.log_tail(30)}---", file=sys.stderr)
        return result


def main():
    unittest.main(verbosity=2)
