"""Start, stop, restart, shutdown, and what systemd is told."""
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "kit"))
from tribe import (API_NAMES, PROGRAMS, ROLES, START_S, Load, RpcError, Tribe, TribeCase, main, problem_of,  # noqa: E402
                   wait_for)


class OneJr(TribeCase):
    SETTINGS = ("request_timeout_ms=4000",)  # how long a caller waits for a Jr that does not come

    def state(self, role):
        return self.tribe.status()["jrs"][API_NAMES[role]]

    def order(self, method, role):
        return self.tribe.call("control.sock", method, {"jr": role})

    def tearDown(self):
        for role in ROLES:
            if self.state(role)["state"] == "down":
                self.order("jr.start", role)
        wait_for(lambda: len(self.tribe.pids()) == 4 and self.tribe.get("/readyz").status == 200, "all four are up again")

    def test_every_one_restarts_when_asked(self):
        with Load(self.tribe) as load:
            load.wait_progress()
            for role in ROLES:
                old = self.tribe.pids()[role]
                self.assertIn("state", self.order("jr.restart", role))
                self.tribe.wait_new(role, old)
                load.wait_progress(2, 1)
        # a planned restart loses nothing and resets nobody
        self.assertEqual(load.wrong, [])
        for memory_id in load.memories:
            self.assertEqual(self.tribe.get(f"/api/v1/memories/{memory_id}?touch=false").status, 200)

    def test_stop_and_start(self):
        for role in ROLES:
            old = self.tribe.pids()[role]
            self.order("jr.stop", role)
            wait_for(lambda role=role: self.state(role)["state"] == "down", f"{role} is down")
            self.assertNotIn("pid", self.state(role))
            self.assertFalse(os.path.exists(f"/proc/{old}"), "reaped")
            status = self.tribe.status()
            self.assertIs(status["jrs_running"][API_NAMES[role]], False)
            self.assertEqual(status["status"], "down" if role in ("memory", "executive") else "degraded")
            self.order("jr.stop", role)  # once more is fine
            self.order("jr.start", role)
            new = self.tribe.wait_new(role, old)
            self.order("jr.start", role)
            self.assertEqual(self.tribe.pids()[role], new, "starting a running one changes nothing")
        wait_for(lambda: self.tribe.status()["status"] == "operational", "operational again")

    def test_without_memory_the_api_says_so(self):
        self.order("jr.stop", "memory")
        wait_for(lambda: self.state("memory")["state"] == "down", "memory is down")
        self.assertEqual(self.tribe.get("/healthz").status, 200)
        wait_for(lambda: self.tribe.get("/readyz").status == 503, "not ready without memory")
        problem_of(self.tribe.get("/readyz"))
        status = self.tribe.get("/api/v1/status")
        self.assertEqual(status.status, 200, status)
        self.assertIs(status.json()["jrs_running"]["memory_jr"], False)
        self.assertNotEqual(status.json()["status"], "operational")
        answer = self.tribe.get("/api/v1/memories?q=anything")
        self.assertEqual(answer.status, 503, answer)
        self.assertTrue(int(answer.headers["Retry-After"]) > 0)

    def test_without_integration_an_answer_is_degraded(self):
        memory_id, = self.tribe.remember("The lamp hangs over the pier.")
        self.order("jr.stop", "integration")
        wait_for(lambda: self.state("integration")["state"] == "down", "integration is down")
        answer = self.tribe.post("/api/v1/ask", {"question": "Where hangs the lamp?"}, timeout=120)
        self.assertEqual(answer.status, 200, answer)
        self.assertEqual(answer.json()["sources"][0]["id"], memory_id)
        self.assertIn("integration_jr", answer.json()["degraded"])

    def test_without_executive_a_caller_waits_and_is_served(self):
        old = self.tribe.pids()["executive"]
        self.order("jr.stop", "executive")
        wait_for(lambda: self.state("executive")["state"] == "down", "executive is down")
        got = []
        caller = threading.Thread(target=lambda: got.append(self.tribe.get("/healthz")), daemon=True)
        caller.start()  # connects: the socket is tribed's and stays
        with socket.create_connection(self.tribe.address(), timeout=30):
            self.order("jr.start", "executive")
            self.tribe.wait_new("executive", old)
            caller.join(60)
        self.assertEqual([answer.status for answer in got], [200])

    def test_unknown_jr(self):
        for method in ("jr.stop", "jr.start", "jr.restart"):
            with self.assertRaises(RpcError):
                self.order(method, "chief")


class Ending(unittest.TestCase):
    def test_shutdown_takes_them_down_in_the_opposite_order(self):
        with Tribe() as tribe:
            memory_id, = tribe.remember("Last words.")
            poller, who, order = select.poll(), {}, []
            for role, pid in tribe.pids().items():
                fd = os.pidfd_open(pid)
                self.addCleanup(os.close, fd)
                poller.register(fd, select.POLLIN)
                who[fd] = role
            answer = tribe.call("control.sock", "shutdown")
            self.assertIsInstance(answer, dict)
            end = time.monotonic() + START_S
            while len(order) < 4 and time.monotonic() < end:
                gone = [fd for fd, _ in poller.poll(1000)]  # those seen at once are in no order of their own
                for fd in gone:
                    poller.unregister(fd)
                order += sorted((who[fd] for fd in gone), key=ROLES.index, reverse=True)
            self.assertEqual(order, list(reversed(ROLES)))
            self.assertEqual(tribe.process.wait(60), 0)
            self.assertFalse(os.path.exists(tribe.socket_path("control.sock")), "its sockets go with it")
            tribe.start()
            self.assertEqual(tribe.get(f"/api/v1/memories/{memory_id}").status, 200)

    def test_sigterm_and_sigint_end_with_0(self):
        for how in ("SIGTERM", "SIGINT"):
            with Tribe() as tribe:
                tribe.process.send_signal(getattr(signal, how))
                self.assertEqual(tribe.process.wait(60), 0)
                self.assertEqual(tribe.processes(), {})

    def test_what_was_asked_before_the_end_is_answered(self):
        with Tribe() as tribe:
            load = Load(tribe, adders=2, askers=0)
            with load:
                wait_for(lambda: load.wrong or load.done()[0] >= 10, "the load goes on")
                self.assertEqual(load.wrong, [])
                self.assertEqual(tribe.stop(), 0)
            tribe.start()
            for memory_id in load.memories:
                self.assertEqual(tribe.get(f"/api/v1/memories/{memory_id}?touch=false").status, 200)

    def test_a_stopped_jr_cannot_hold_the_end_up(self):
        with Tribe("stop_timeout_ms=500", "hang_after_ms=600000") as tribe:
            os.kill(tribe.pids()["meta"], signal.SIGSTOP)
            began = time.monotonic()
            self.assertEqual(tribe.stop(), 0)
            self.assertLess(time.monotonic() - began, 30)
            self.assertEqual(tribe.processes(), {})


class Detached(unittest.TestCase):
    def test_it_returns_when_ready_and_logs_to_a_file(self):
        tribe = Tribe(start=False)
        self.addCleanup(self.end, tribe)
        done = subprocess.run(tribe.command("--detach"), stdin=subprocess.DEVNULL, capture_output=True, text=True, env=tribe.env,
                              timeout=120, check=False)
        self.assertEqual(done.returncode, 0, done)
        self.assertEqual(tribe.get("/readyz").status, 200)
        self.assertEqual(len(tribe.pids()), 4)
        self.assertTrue(os.path.exists(os.path.join(tribe.state, "tribed.log")))
        tribe.remember("It is in the background.")
        # a second one says so and leaves the first alone
        again = subprocess.run(tribe.command("--detach"), stdin=subprocess.DEVNULL, capture_output=True, text=True, env=tribe.env,
                               timeout=120, check=False)
        self.assertNotEqual(again.returncode, 0)
        self.assertTrue(again.stderr)
        self.assertEqual(tribe.get("/readyz").status, 200)
        self.assertEqual(tribe.ctl("shutdown").returncode, 0)
        tribe.wait_gone()

    def test_it_fails_when_the_start_fails(self):
        tribe = Tribe(start=False)
        self.addCleanup(tribe.close)
        os.mkdir(tribe.state)
        with open(os.path.join(tribe.state, "archive"), "w", encoding="ascii") as f:
            f.write("in the way\n")
        done = subprocess.run(tribe.command("--detach", "--set", "start_timeout_ms=3000"), stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, env=tribe.env, timeout=120, check=False)
        self.assertNotEqual(done.returncode, 0, done)
        tribe.wait_gone(30)

    @staticmethod
    def end(tribe):
        try:
            with open(os.path.join(tribe.run, "tribed.pid"), encoding="ascii") as f:
                pid = int(f.read())
            with open(f"/proc/{pid}/cmdline", "rb") as f:
                ours = os.fsencode(tribe.dir) in f.read().split(b"\0")
            if ours:
                os.kill(pid, 15)
                wait_for(lambda: not os.path.exists(f"/proc/{pid}"), "tribed is gone", 60)
        except (OSError, ValueError):
            pass
        tribe.close()


class Notify(unittest.TestCase):
    """What systemd would hear."""

    def listen(self, name):
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        sock.settimeout(START_S)
        sock.bind(name)
        self.addCleanup(sock.close)
        return sock

    def hear(self, sock, word):
        """Datagrams until a line `word` has come; the lines."""
        lines, end = [], time.monotonic() + START_S
        while word not in lines and time.monotonic() < end:
            lines += sock.recv(65536).decode("utf-8").splitlines()
        self.assertIn(word, lines)
        return lines

    def check(self, address, sock):
        tribe = Tribe(start=False, env={"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "400000"})
        try:
            tribe.process = tribe.spawn()
            lines = self.hear(sock, "READY=1")
            self.assertNotIn("STOPPING=1", lines)
            self.assertEqual(len(tribe.pids()), 4, "ready means that all four are up")
            self.assertEqual(tribe.get("/readyz").status, 200)
            began = time.monotonic()
            for _ in range(5):
                self.hear(sock, "WATCHDOG=1")
            self.assertLess(time.monotonic() - began, 5 * 0.4, "more often than the watchdog bites")
            for jr in tribe.processes().values():
                with open(f"/proc/{jr}/environ", "rb") as f:
                    self.assertNotIn(b"NOTIFY_SOCKET=", f.read(), "a Jr has nothing to say to systemd")
            tribe.process.terminate()
            self.hear(sock, "STOPPING=1")
            self.assertEqual(tribe.process.wait(60), 0)
        finally:
            tribe.close()

    def test_a_socket_in_the_file_system(self):
        with tempfile.TemporaryDirectory(prefix="tribe-", dir="/tmp") as where:
            path = os.path.join(where, "notify")
            self.check(path, self.listen(path))

    def test_an_abstract_socket(self):
        name = "tribe-test-" + os.urandom(8).hex()
        self.check("@" + name, self.listen("\0" + name))


class Kept(unittest.TestCase):
    def test_directories_and_sockets_are_private(self):
        with Tribe() as tribe:
            self.assertEqual(os.stat(tribe.run).st_mode & 0o777, 0o700)
            self.assertEqual(os.stat(tribe.state).st_mode & 0o077, 0)
            for role in ROLES:
                self.assertEqual(os.stat(tribe.socket_path(role + ".sock")).st_mode & 0o777, 0o600)
            self.assertEqual(os.stat(tribe.socket_path("control.sock")).st_mode & 0o007, 0)
            with open(os.path.join(tribe.run, "tribed.pid"), encoding="ascii") as f:
                self.assertEqual(int(f.read()), tribe.process.pid)
            archive = os.path.join(tribe.state, "archive")
            self.assertEqual(os.readlink(os.path.join(archive, "current")).rstrip("/"), "1")
            self.assertTrue(os.path.exists(os.path.join(archive, "1", "thermal.sqlite")))
            self.assertEqual(sorted({name.split("#")[0] for name in tribe.processes()} - {"tribed"}), sorted(PROGRAMS))


if __name__ == "__main__":
    main()
