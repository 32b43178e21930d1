"""The whole harness on a real tribe: every Jr and tribed killed once under load; and planted damage, which must be found."""
import itertools
import json
import os
import re
import subprocess
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "kit")]
import faults  # noqa: E402


class Plan(unittest.TestCase):
    def test_the_seed_replays_it(self):
        take = lambda seed: list(itertools.islice(faults.plan(seed, ["kill", "stop"], faults.TARGETS), 30))
        self.assertEqual(take(3), take(3))
        self.assertNotEqual(take(3), take(4))
        for at in range(0, 30, 10):  # each round: every kind meets every target
            self.assertEqual(len({(e["kind"], e["target"]) for e in take(3)[at:at + 10]}), 10)


    def test_the_seed_replays_kills(self):
        take = lambda seed: list(itertools.islice(faults.kills(seed, ["tribed", "memory"]), 100))
        self.assertEqual(take(3), take(3))
        self.assertNotEqual(take(3), take(4))
        self.assertEqual({e["target"] for e in take(3)}, {"tribed", "memory"})
        early = [e["early_s"] for e in take(3) if e["early_s"] is not None]
        self.assertTrue(5 < len(early) < 50 and max(early) < 0.05, early)
        self.assertTrue(all(0 <= e["pause_s"] <= 0.6 for e in take(3)))
        server = list(itertools.islice(faults.kills(3, [faults.SERVER]), 30))
        self.assertEqual({e["kind"] for e in server}, set(faults.SERVER_KINDS))


class Run(unittest.TestCase):
    def chaos(self, *words):
        """(exit status, what it printed, the journal)"""
        with tempfile.TemporaryDirectory(prefix="tribe-chaos-test-") as where:
            path = os.path.join(where, "journal")
            done = subprocess.run([sys.executable, os.path.join(HERE, "run"), "--seconds", "0", "--rate", "60", "--report", path, *words],
                                  capture_output=True, text=True, timeout=300, check=False)
            self.assertTrue(os.path.exists(path), done.stderr)
            with open(path, encoding="utf-8") as f:
                return done.returncode, done.stdout + done.stderr, json.load(f)

    def test_kill_each(self):
        status, text, journal = self.chaos("--seed", "7", "--faults", "kill")
        self.assertEqual(status, 0, text)
        self.assertIs(journal["valid"], True)
        self.assertEqual(sorted(row["target"] for row in journal["injections"]), sorted(faults.TARGETS))
        for row in journal["injections"]:
            self.assertNotEqual(row["pid"], row["new_pid"], row)
            self.assertIsNotNone(row["first_reply_ms"], row)
        self.assertGreaterEqual(journal["verdict"]["counts"]["acknowledged"], 30)
        self.assertIn("--seed 7", journal["replay"])

    def kills(self, *more):
        status, text, journal = self.chaos("--seed", "11", "--kills", "8", "--writers", "16", "--targets", "tribed,memory", "--no-log",
                                           *more)
        self.assertEqual(status, 0, text)
        self.assertIs(journal["valid"], True)
        self.assertEqual({row["target"] for row in journal["injections"]}, {"tribed", "memory"})
        kills = sum(1 + (row["early"] is not None) for row in journal["injections"])
        printed = [int(n) for n in re.findall(r"^\w+ +kills (\d+) ", text, re.M)]
        self.assertEqual(sum(printed), kills, text)
        self.assertGreaterEqual(kills, 8)
        self.assertIn("lost 0  doubled 0  refused 0  failed 0", text)
        self.assertIn("--kills 8", journal["replay"])
        self.assertGreaterEqual(journal["verdict"]["counts"]["acknowledged"], 30)

    def test_kills_under_writers(self):
        self.kills()

    def test_harm_to_the_database_server(self):
        status, text, journal = self.chaos("--seed", "14", "--kills", "5", "--postgres", "--targets", "postgresql", "--no-log")
        self.assertEqual(status, 0, text)
        self.assertEqual({row["fault"] for row in journal["injections"]}, set(faults.SERVER_KINDS))
        self.assertIn("lost 0  doubled 0  refused 0  failed 0", text)

    def test_too_few_kills_are_no_pass(self):
        status, text, journal = self.chaos("--seed", "12", "--kills", "1000", "--limit", "1", "--no-log")
        self.assertEqual((status, journal["valid"]), (6, "unknown"), text)

    def test_a_lost_row_is_found(self):
        status, text, journal = self.chaos("--seed", "8", "--faults", "lose", "--threads", "2")
        self.assertEqual((status, journal["verdict"]["wrong"]), (1, ["lost"]), text)

    def test_a_doubled_row_is_found(self):
        status, text, journal = self.chaos("--seed", "9", "--faults", "double", "--threads", "2")
        self.assertEqual((status, journal["verdict"]["wrong"]), (1, ["doubled"]), text)

    def test_wrong_usage(self):
        for words in (("--faults", "burn"), ("--targets", "nobody"), ("--threads", "0"), ("--kills", "0"), ("--kills", "3", "--targets", "postgresql"),
                      ("--postgres", "--set", "archive.url=sqlite:x")):
            done = subprocess.run([sys.executable, os.path.join(HERE, "run"), *words], capture_output=True, text=True, timeout=60, check=False)
            self.assertEqual(done.returncode, 2, done.stderr)


if __name__ == "__main__":
    unittest.main(verbosity=2)
