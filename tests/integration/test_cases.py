"""What other supervisors test, as our own cases: those of OTP's supervisor_SUITE, systemd's units and PostgreSQL's recovery tests that no other file here has.
The list of all of them, with the test that stands for each: docs/CHAOS_ENGINEERING.md, "Cases of others"; that its names are true is looked after here."""
import os
import re
import signal
import struct
import subprocess
import sys
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "kit"))
from stage import Staged
from tribe import API_NAMES, ROLES, alive, main, wait_for

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.join(HERE, "..", "..")
HOUR_S = 3600
CLOCK_TICKS = os.sysconf("SC_CLK_TCK")


def cpu_s(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as f:
        words = f.read().rsplit(") ", 1)[1].split()
    return (int(words[11]) + int(words[12])) / CLOCK_TICKS


class Case(unittest.TestCase):
    def staged(self, *settings, modes=(), start=True, **more):
        tribe = Staged(*settings, fakes=ROLES, start=False, **more)
        self.addCleanup(tribe.close)
        for role, how in modes:
            tribe.mode(role, how)
        return tribe.start() if start else tribe

    def ends(self, tribe):
        return [line.split("jr=")[1].split()[0] for line in tribe.logs().splitlines() if "jr ended" in line]


class Start(Case):
    def test_a_failed_start_is_unwound_in_reverse(self):
        tribe = self.staged("start_timeout_ms=600000", modes=[("meta", "exit")], start=False)
        done = subprocess.run(tribe.command("--detach"), stdin=subprocess.DEVNULL, capture_output=True, text=True, env=tribe.env, timeout=120,
                              check=False)
        tribe.wait_gone(30)
        self.assertEqual(done.returncode, 1, done)
        self.assertRegex(done.stderr, r"^tribed: not every Jr came up: meta-jr leaves each time \(exit 3\); the reason is in [^\n]*\n$")
        behind = tribe.logs().split("shutting down")[1]
        order = [line.split("jr=")[1].split()[0] for line in behind.splitlines() if "jr ended" in line]
        self.assertEqual([jr for jr in order if jr != "meta_jr"], ["executive_jr", "integration_jr", "memory_jr"])
        self.assertFalse(os.path.exists(tribe.socket_path("control.sock")))


class Stop(Case):
    def test_as_long_as_it_needs(self):
        """infinity: the limit is far, and nobody is signalled."""
        tribe = self.staged("stop_timeout_ms=600000", modes=[("meta", "finishes")])
        began = time.monotonic()
        self.assertEqual(tribe.call("control.sock", "jr.stop", {"jr": "meta"}), {"state": "down"})
        self.assertGreaterEqual(time.monotonic() - began, 1.5)
        self.assertNotIn("jr signalled", tribe.logs())
        self.assertEqual(tribe.jr("meta")["last_exit"], "exit 0")

    # test_supervisor has the other two: TERM behind the limit, KILL behind another


class Ends(Case):
    """exit 0, exit n, a signal, a hang: of one that is wanted it is a death with its cause, of one that is being stopped it is the end that was asked for."""

    HOWS = (("exit 0", lambda pid: os.kill(pid, signal.SIGRTMIN), "exit"), ("exit 5", lambda pid: os.kill(pid, signal.SIGRTMIN + 5), "exit"),
            ("exit 12", lambda pid: os.kill(pid, signal.SIGRTMIN + 12), "oom"), ("signal", lambda pid: os.kill(pid, signal.SIGSEGV), "signal"),
            ("spins", lambda pid: os.kill(pid, signal.SIGUSR1), "hang"), ("blocks", lambda pid: os.kill(pid, signal.SIGUSR2), "hang"),
            ("stopped", lambda pid: os.kill(pid, signal.SIGSTOP), "stopped"))

    def test_of_one_that_is_wanted(self):
        tribe = self.staged("hang_after_ms=1000")
        for name, how, reason in self.HOWS:
            with self.subTest(name):
                old, before = tribe.wait_state("meta", "up")["pid"], tribe.reasons("meta").get(reason, 0)
                how(old)
                wait_for(lambda o=old: (lambda jr: jr["state"] == "up" and jr.get("pid") != o)(tribe.jr("meta")), "another one serves")
                self.assertEqual(tribe.reasons("meta").get(reason, 0), before + 1)
                self.assertFalse(alive(old))
        self.assertEqual([tribe.jr(role)["restarts"] for role in ROLES if role != "meta"], [0, 0, 0])

    def test_of_one_that_is_being_stopped(self):
        tribe = self.staged("stop_timeout_ms=1000", "hang_after_ms=1000", modes=[("meta", "slow")])
        for name, how, _ in self.HOWS:
            with self.subTest(name), tribe.rpc() as rpc:
                old, last = tribe.wait_state("meta", "up")["pid"], tribe.events()[-1]["seq"]
                rpc.send([0, 1, "jr.stop", {"jr": "meta"}])
                wait_for(lambda: tribe.jr("meta")["state"] == "stopping", "it drains")
                how(old)
                self.assertEqual(rpc.read()[1:], [1, None, {"state": "down"}])
                self.assertFalse(alive(old))
                mine = [e["kind"] for e in tribe.events() if e["seq"] > last and e.get("jr") == "meta_jr"]
                self.assertEqual((mine[0], mine[-1], mine.count("spawn")), ("stop", "exit", 0), mine)
                self.assertEqual(tribe.call("control.sock", "jr.start", {"jr": "meta"}), {"state": "up"})
        self.assertEqual((tribe.jr("meta")["restarts"], tribe.detections("meta"), tribe.recoveries("meta")), (0, {}, {}))


class Grandchildren(Case):
    def test_what_a_jr_left_behind_goes_with_it(self):
        tribe = self.staged(modes=[("meta", "parent")])
        for how in ("jr.stop", "kill", "shutdown"):
            left = int(wait_for(lambda: tribe.wrote("left-meta"), "it has left somebody")[-1])
            self.assertTrue(alive(left))
            self.assertEqual(os.getsid(left) == os.getsid(tribe.pids()["meta"]), False)
            if how == "jr.stop":
                tribe.call("control.sock", "jr.stop", {"jr": "meta"})
            elif how == "kill":
                os.kill(tribe.pids()["meta"], signal.SIGKILL)
            else:
                self.assertEqual(tribe.stop(), 0)
            wait_for(lambda pid=left: not alive(pid), f"{how}: it is gone")
            if how != "shutdown":
                tribe.call("control.sock", "jr.start", {"jr": "meta"})
                wait_for(lambda pid=left: int(tribe.wrote("left-meta")[-1]) != pid and tribe.jr("meta")["state"] == "up", "the next one has another")


class Scarce(Case):
    """What tribed itself may be short of. It says so, goes on with what it has, and everything is well by itself when there is enough again."""

    @staticmethod
    def limit(tribe, name, soft):
        """Sets the soft limit; what it was. By the user whose process it is: who may do it to others is another matter."""
        words = ["prlimit", "--pid", str(tribe.process.pid)]
        who = {} if tribe.uid is None else {"user": tribe.uid, "group": tribe.uid, "extra_groups": []}
        was = subprocess.run(words + ["--raw", "--noheadings", "--output=SOFT", "--" + name], capture_output=True, text=True, check=True, **who).stdout
        subprocess.run(words + [f"--{name}={soft}:"], check=True, **who)
        return was.strip()

    def starve(self, tribe, what, soft):
        """meta-jr dies and cannot be started; the others do not notice."""
        rest = {role: pid for role, pid in tribe.pids().items() if role != "meta"}
        with tribe.rpc() as held:
            held.call("status")
            enough = self.limit(tribe, what, soft(tribe.process.pid))
            self.assertNotEqual(enough, "")
            try:
                late = tribe.rpc()  # waits in the queue of the socket when there is no descriptor for it
                self.addCleanup(late.close)
                late.send([0, 1, "status", {}])
                os.kill(held.call("status")["jrs"]["meta_jr"]["pid"], signal.SIGKILL)
                wait_for(lambda: self.reasons(held).get("start_failed", 0) >= 2, "it cannot be started")
                meta = wait_for(lambda: held.call("status")["jrs"]["meta_jr"]["state"] == "backoff" and held.call("status")["jrs"]["meta_jr"], "it waits")
                self.assertIn("not started: ", meta["last_exit"])
                used, began = cpu_s(tribe.process.pid), time.monotonic()
                beats = held.call("status")["jrs"]["memory_jr"]["heartbeat_at"]
                wait_for(lambda: held.call("status")["jrs"]["memory_jr"]["heartbeat_at"] > beats + 1000, "the others beat")
                self.assertLess(cpu_s(tribe.process.pid) - used, (time.monotonic() - began) / 2 + 0.1, "it does not spin")
                yield meta["last_exit"]
            finally:
                self.limit(tribe, what, enough)
            wait_for(lambda: held.call("status")["jrs"]["meta_jr"]["state"] == "up", "it is back by itself")
        self.assertEqual(late.read()[1:3], [1, None])
        self.assertEqual({role: pid for role, pid in tribe.pids().items() if role != "meta"}, rest)
        self.assertTrue(all(tribe.status()["jrs_running"].values()))
        self.assertEqual([tribe.jr(role)["restarts"] for role in rest], [0, 0, 0])

    @staticmethod
    def reasons(rpc):
        return {r["reason"]: r["count"] for r in rpc.call("status")["jrs"]["meta_jr"]["restarts_by_reason"]}

    @unittest.skipUnless(os.geteuid() == 0, "root has no such limit, so somebody else must be tribed; that takes root")
    def test_fork_fails(self):
        tribe = self.staged(uid=54000 + os.getpid() % 1000)
        for said in self.starve(tribe, "nproc", lambda _: 1):
            self.assertIn("resource temporarily unavailable", said)
            self.assertEqual(sorted(tribe.pids()), ["executive", "integration", "memory"])

    def test_no_descriptors_are_left(self):
        tribe = self.staged()
        for said in self.starve(tribe, "nofile", lambda pid: max(map(int, os.listdir(f"/proc/{pid}/fd"))) + 1):
            self.assertIn("too many open files", said)


class Clock(Case):
    LIBRARY = os.environ.get("CLOCK_STEP_LIBRARY")

    def step(self, path, seconds):
        with open(path, "r+b" if os.path.exists(path) else "wb") as f:
            f.write(struct.pack("=q", seconds))

    @unittest.skipUnless(LIBRARY, "CLOCK_STEP_LIBRARY names clock_step.so")
    def test_a_wall_clock_stepped_by_an_hour(self):
        tribe = self.staged("hang_after_ms=1000", "understudies=memory=1", start=False)
        path = os.path.join(tribe.base, "step")
        self.step(path, 0)
        tribe.env.update(LD_PRELOAD=self.LIBRARY, CLOCK_STEP=path, ASAN_OPTIONS="verify_asan_link_order=0:" + tribe.env.get("ASAN_OPTIONS", ""))
        tribe.start()
        old, pids = tribe.wait_covered("memory"), tribe.pids()
        for ahead in (HOUR_S, -HOUR_S, 0):
            self.step(path, ahead)
            wait_for(lambda a=ahead: abs(tribe.status()["timestamp"] / 1000 - time.time() - a) < 60, "tribed's wall clock has moved")
            beats = tribe.jr("meta")["heartbeat_at"]
            wait_for(lambda: abs(tribe.jr("meta")["heartbeat_at"] - beats) > 300 and tribe.jr("meta")["heartbeat_age_ms"] < 1000, "they beat as before")
            self.assertEqual(tribe.pids(), pids)
            began = time.monotonic()
            os.kill(pids["integration"], signal.SIGKILL)
            wait_for(lambda: tribe.pids().get("integration", pids["integration"]) != pids["integration"], "a restart takes as long as ever")
            self.assertLess(time.monotonic() - began, 20)
            pids = tribe.pids()
            time_away = {r["cause"]: r["sum_s"] for r in tribe.jr("integration")["recoveries"]}["signal"]
            self.assertTrue(0 <= time_away < 60, time_away)
        self.assertEqual([tribe.jr(role)["restarts"] for role in ROLES], [0, 3, 0, 0])
        os.kill(old["pid"], signal.SIGSTOP)
        wait_for(lambda: tribe.jr("memory")["epoch"] == 2 and tribe.wait_covered("memory"), "and a takeover, too")
        self.assertEqual(tribe.recoveries("memory"), {"stopped": 1})


class Listed(unittest.TestCase):
    def test_every_case_has_its_test(self):
        with open(os.path.join(TOP, "docs", "CHAOS_ENGINEERING.md"), encoding="utf-8") as f:
            section = f.read().split("\n## Cases of others")[1].split("\n## ")[0]
        names = re.findall(r"`(unit\.\w+|[\w/]+\.py|tests/\S+?)( \w+)?`", section)
        self.assertGreater(len(names), 30)
        for where, test in names:
            if where.startswith("unit."):
                path = os.path.join(TOP, "tests", "unit", "test_" + where[5:] + ".c")
            else:
                path = os.path.join(TOP, where) if where.startswith("tests/") else os.path.join(HERE, where)
            with self.subTest(where + test):
                with open(path, encoding="utf-8") as f:
                    self.assertRegex(f.read(), r"\b" + (test.strip() or "") + r"\b")


if __name__ == "__main__":
    main()
