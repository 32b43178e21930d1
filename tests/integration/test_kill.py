"""Killing and stopping every process of the tribe under a light load."""
import os
import signal
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "kit"))
from tribe import API_NAMES, PROGRAMS, ROLES, Load, Tribe, alive, main, wait_for  # noqa: E402


class Kill(unittest.TestCase):
    def test_kill_9_of_each_jr_under_load(self):
        with Tribe() as tribe:
            with Load(tribe) as load:
                load.wait_progress()
                for role in ROLES:
                    old = tribe.pids()[role]
                    os.kill(old, signal.SIGKILL)
                    new = tribe.wait_new(role, old)
                    self.assertNotEqual(new, old)
                    load.wait_progress()
                for role in ROLES:  # once more, without waiting for the load in between
                    old = tribe.pids()[role]
                    os.kill(old, signal.SIGKILL)
                    tribe.wait_new(role, old)
                load.wait_progress()
            load.check(self)
            status = tribe.status()
            for role in ROLES:
                jr = status["jrs"][API_NAMES[role]]
                self.assertGreaterEqual(jr["restarts"], 2, jr)
                self.assertEqual([r["cause"] for r in jr["recoveries"]], ["signal"], jr)
                self.assertGreaterEqual(jr["recoveries"][0]["count"], 2, jr)

    def test_two_at_once(self):
        with Tribe() as tribe:
            with Load(tribe) as load:
                load.wait_progress()
                old = tribe.pids()
                os.kill(old["memory"], signal.SIGKILL)
                os.kill(old["executive"], signal.SIGKILL)
                tribe.wait_new("memory", old["memory"])
                tribe.wait_new("executive", old["executive"])
                load.wait_progress()
            load.check(self)

    def test_a_stopped_jr_is_noticed_and_replaced(self):
        with Tribe() as tribe:
            with Load(tribe) as load:
                for role in ROLES:
                    load.wait_progress(1, 1)
                    old = tribe.pids()[role]
                    os.kill(old, signal.SIGSTOP)
                    tribe.wait_new(role, old)
                    wait_for(lambda pid=old: not alive(pid), f"the stopped {role}-jr is gone", 10)
                load.wait_progress()
            load.check(self)

    def test_kill_9_of_tribed_leaves_nobody_and_loses_nothing(self):
        with Tribe() as tribe:
            with Load(tribe, adders=1, askers=1) as load:
                load.wait_progress(20, 3)
            self.assertEqual(load.wrong, [])
            self.assertEqual(sorted(set(tribe.processes()) & set(PROGRAMS)), sorted(PROGRAMS))
            tribe.kill()
            tribe.wait_gone()
            tribe.start()
            load.check(self)
            tribe.remember("And it goes on.")

    def test_kill_9_of_tribed_under_load(self):
        """What was acknowledged before the end is there afterwards; the clients see resets and refusals, that is right."""
        with Tribe() as tribe:
            load = Load(tribe, adders=2, askers=0)
            with load:
                wait_for(lambda: load.wrong or load.done()[0] >= 20, "the load goes on")
                self.assertEqual(load.wrong, [])
                tribe.kill()
            tribe.wait_gone()
            tribe.start()
            for memory_id, content in load.memories.items():
                answer = tribe.get(f"/api/v1/memories/{memory_id}?touch=false")
                self.assertEqual(answer.status, 200, answer)
                self.assertEqual(answer.json()["content"], content)


if __name__ == "__main__":
    main()
