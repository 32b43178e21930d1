#!/usr/bin/python3
"""A tribed that is killed takes no Jr with it: the next one finds their sockets, channels and pidfds in the service manager's
descriptor store and goes on."""
import fcntl
import os
import signal
import subprocess
import sys
import threading
import time
import unittest

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "kit"))

from manager import Managed  # noqa: E402
from tribe import API_NAMES, PROGRAMS, ROLES, Tribe, alive, wait_for  # noqa: E402

SINGLES = {"control", "http", "state-lock", "runtime-lock"}


def lives(tribe):
    """{role: (pid, generation, epoch)} of the leads."""
    jrs = tribe.status()["jrs"]
    return {role: (jrs[API_NAMES[role]].get("pid"), jrs[API_NAMES[role]]["generation"], jrs[API_NAMES[role]]["epoch"]) for role in ROLES}


def all_up(tribe):
    try:
        return len(tribe.pids()) == len(ROLES)
    except (OSError, EOFError):
        return False


class Asker(threading.Thread):
    """Reads and writes without a pause, each request on a connection of its own; .errors: what went wrong."""

    def __init__(self, tribe, known):
        super().__init__(daemon=True)
        self.tribe, self.known, self.errors, self.done, self.ids, self.ended = tribe, known, [], 0, [], threading.Event()

    def run(self):
        while not self.ended.is_set():
            try:
                if self.tribe.get(f"/api/v1/memories/{self.known}").status != 200:
                    self.errors.append("read")
                self.ids += self.tribe.remember(f"number {self.done} of the asker")
                self.done += 1
            except (OSError, AssertionError) as e:
                self.errors.append(repr(e))


class Adopt(unittest.TestCase):
    def test_the_jrs_of_a_killed_tribed_go_on_under_the_next(self):
        with Managed() as tribe:
            known, = tribe.remember("The lighthouse is green.")
            before, old = lives(tribe), tribe.status()["supervisor_pid"]
            asker = Asker(tribe, known)
            asker.start()
            for _ in range(3):
                done = asker.done
                tribe.kill()
                wait_for(lambda: asker.done >= done + 3, "requests are answered without a tribed")
                tribe.start_again()
                wait_for(lambda: all_up(tribe), "every Jr is adopted")
                self.assertEqual(lives(tribe), before)
                self.assertNotEqual(tribe.status()["supervisor_pid"], old)
            asker.ended.set()
            asker.join(60)
            self.assertEqual(asker.errors, [])
            for id in asker.ids:
                self.assertEqual(tribe.get(f"/api/v1/memories/{id}").status, 200)
            self.assertEqual({name: n for name, n in tribe.processes().items()}.keys() & set(PROGRAMS), set(PROGRAMS))
            self.assertEqual(tribe.stop(), 0)
            tribe.wait_gone()
            self.assertEqual(tribe.manager.stored(), {})

    def test_an_adopted_jr_is_watched_like_any_other(self):
        with Managed("heartbeat_ms=20", "hang_after_ms=200") as tribe:
            tribe.kill()
            tribe.start_again()
            wait_for(lambda: all_up(tribe), "every Jr is adopted")
            pids = tribe.pids()
            os.kill(pids["meta"], signal.SIGKILL)
            self.assertNotEqual(tribe.wait_new("meta", pids["meta"]), pids["meta"])
            self.assertIn("unknown", tribe.status()["jrs"]["meta_jr"]["last_exit"])
            os.kill(pids["integration"], signal.SIGSTOP)
            tribe.wait_new("integration", pids["integration"])
            self.assertFalse(alive(pids["integration"]))
            self.assertEqual(tribe.ctl("restart", "memory").returncode, 0)
            self.assertNotEqual(tribe.pids()["memory"], pids["memory"])

    def test_one_that_died_while_there_was_no_tribed_is_started_again(self):
        with Managed() as tribe:
            before = lives(tribe)
            tribe.kill()
            os.kill(before["memory"][0], signal.SIGKILL)
            wait_for(lambda: not alive(before["memory"][0]), "it is dead")
            tribe.start_again()
            wait_for(lambda: all_up(tribe), "all are up")
            after = lives(tribe)
            self.assertNotEqual(after["memory"][0], before["memory"][0])
            self.assertGreater(after["memory"][2], before["memory"][2])
            for role in ("meta", "integration", "executive"):
                self.assertEqual(after[role], before[role])
            self.assertTrue(tribe.remember("The lighthouse is red."))

    def test_a_stopped_one_does_not_stay_stopped(self):
        with Managed("heartbeat_ms=20", "hang_after_ms=200", "start_timeout_ms=2000") as tribe:
            pids = tribe.pids()
            tribe.kill()
            os.kill(pids["meta"], signal.SIGSTOP)
            tribe.start_again()
            wait_for(lambda: all_up(tribe), "all are up")
            self.assertFalse(alive(pids["meta"]))

    def test_half_a_store_begins_anew_and_leaves_no_second_copy(self):
        for lost in ("control", "memory.socket", "memory.lead", "state-lock"):
            with self.subTest(lost), Managed() as tribe:
                known, = tribe.remember("The lighthouse is blue.")
                before = lives(tribe)
                tribe.kill()
                tribe.manager.lose(lost)
                tribe.start_again()
                wait_for(lambda: all_up(tribe), "all are up")
                wait_for(lambda: not any(alive(pid) for pid, _, _ in before.values()), "those of before have left")
                self.assertEqual(sorted(n for n in tribe.processes() if "#" not in n and n in PROGRAMS), sorted(PROGRAMS))
                self.assertEqual(tribe.get(f"/api/v1/memories/{known}").status, 200)
                self.assertGreater(lives(tribe)["memory"][2], 0)
                self.assertTrue(SINGLES <= set(tribe.manager.stored()))

    def test_a_lock_that_is_only_being_let_go_is_waited_for(self):
        """The service manager drops what it kept a moment after it was told to."""
        tribe = Tribe(start=False)
        self.addCleanup(lambda: tribe.close())
        gone = subprocess.Popen(["true"])
        gone.wait()
        os.makedirs(tribe.run, mode=0o700, exist_ok=True)
        path = os.path.join(tribe.run, "tribed.pid")
        with open(path, "w", encoding="ascii") as kept:
            kept.write(f"{gone.pid}\n")
            kept.flush()
            fcntl.flock(kept, fcntl.LOCK_EX)
            tribe.process = tribe.spawn()
            pid = tribe.process.pid

            def has_it_open():
                self.assertIsNone(tribe.process.poll(), "it does not wait")
                links = [os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd") if os.path.lexists(f"/proc/{pid}/fd/{fd}")]
                return path in links
            wait_for(has_it_open, "it wants the lock")
            self.assertFalse(os.path.exists(tribe.socket_path("control.sock")))
        wait_for(tribe.is_ready, "it is ready")

    def test_the_configuration_changed_meanwhile(self):
        with Managed() as tribe:
            before = lives(tribe)
            tribe.kill()
            tribe.settings += ("request_timeout_ms=7777",)
            tribe.start_again()
            wait_for(lambda: all_up(tribe) and not any(alive(pid) for pid, _, _ in before.values()),
                     "every Jr was replaced, one after the other")

    def test_adopting_takes_milliseconds(self):
        with Managed() as tribe:
            took = []
            for _ in range(10):
                tribe.kill()
                begin = time.monotonic()
                tribe.start_again()
                wait_for(lambda: all_up(tribe), "every Jr is adopted")
                took.append(1000 * (time.monotonic() - begin))
            print("start of tribed to all adopted, ms:", " ".join(f"{ms:.0f}" for ms in sorted(took)))


if __name__ == "__main__":
    unittest.main()
