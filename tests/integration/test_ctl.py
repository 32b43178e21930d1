"""tribectl: every command, for a person and as JSON, and its exit codes."""
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "kit"))
from tribe import API_NAMES, ROLES, Tribe, TribeCase, alive, main, program, wait_for  # noqa: E402

DONE, FAILED, USAGE, UNREACHABLE = 0, 1, 2, 3


class CtlCase(TribeCase):
    def text(self, *words, **more):
        done = self.tribe.ctl(*words, **more)
        self.assertEqual((done.returncode, done.stderr), (DONE, ""), (words, done))
        self.assertNotIn("\x1b", done.stdout, "no colours into a pipe")
        return done.stdout

    def json(self, *words, **more):
        done = self.tribe.ctl(*words, "--json", **more)
        self.assertEqual((done.returncode, done.stderr), (DONE, ""), (words, done))
        return json.loads(done.stdout)


class Commands(CtlCase):
    def test_status(self):
        text = self.text("status")
        self.assertIn("operational", text)
        for role, pid in self.tribe.pids().items():
            self.assertIn(role, text)
            self.assertIn(str(pid), text)
        body = self.json("status")
        self.assertEqual(body["status"], "operational")
        self.assertEqual(set(body["jrs"]), set(API_NAMES.values()))

    def test_heartbeats(self):
        lines = self.text("heartbeats").splitlines()
        self.assertEqual(sorted(line.split()[0] for line in lines), sorted(API_NAMES.values()))
        beats = self.json("heartbeats")["heartbeats"]
        self.assertEqual(sorted(beat["jr"] for beat in beats), sorted(API_NAMES.values()))

    def test_remember_recall_ask(self):
        text = self.text("remember", "The", "ferry leaves", "at seven.", "--tag", "ferry", "--tag", "time", "--source", "board")
        self.assertTrue(text.strip())
        added = self.json("remember", "The ferry returns at nine.", "--importance", "0.9", "--session", "s", "--sacred", "--at",
                          "2026-01-02T03:04:05Z")["memories"][0]
        self.assertIs(added["created"], True)
        again = self.json("remember", "The ferry returns at nine.", "--session", "s", "--at", "2026-01-02T03:04:05Z")["memories"][0]
        self.assertEqual((again["id"], again["created"]), (added["id"], False))
        from_stdin = self.json("remember", "-", stdin="The ferry's bell is brass.\n")["memories"][0]
        self.assertIs(from_stdin["created"], True)

        self.assertIn("ferry leaves at seven", self.text("recall", "ferry", "leaves"))
        found = self.json("recall", "ferry returns", "--limit", "1")["memories"]
        self.assertEqual([memory["id"] for memory in found], [added["id"]])
        self.assertEqual(len(self.json("recall", "ferry", "--tag", "time")["memories"]), 1)
        self.assertEqual(self.json("recall", "ferry", "--min-temperature", "99.9")["memories"], [])

        self.assertIn("at nine", self.text("ask", "When does the ferry return?"))
        answer = self.json("ask", "When does the ferry return?", "--limit", "2")
        self.assertEqual(answer["memory_id"], added["id"])
        self.assertEqual(answer["synthesis"], "extractive")
        self.assertLessEqual(len(answer["sources"]), 2)

    def test_known_already(self):
        heat = lambda key: self.tribe.get(f"/api/v1/memories/{key}?touch=false").json()["access_count"]
        self.assertTrue(self.text("remember", "The quay is wet.", "--id", "quay").startswith("remembered quay "))
        self.assertTrue(self.text("remember", "The quay is wet.", "--id", "quay").startswith("known already, left as it is: quay "))
        self.assertEqual(heat("quay"), 1)
        key = self.text("remember", "The pier is dry.").split()[1]
        self.assertTrue(self.text("remember", "The pier is dry.").startswith(f"known already, warmed: {key} "))
        self.assertEqual(heat(key), 2)
        other = self.tribe.ctl("remember", "The quay is dry.", "--id", "quay")
        self.assertEqual((other.returncode, other.stdout), (FAILED, ""), other)

    def test_nothing_found_is_an_answer(self):
        self.assertTrue(self.text("ask", "xylophone", "quasar", "zymurgy?").strip())
        self.assertEqual(self.json("ask", "xylophone quasar zymurgy?")["sources"], [])
        self.assertTrue(self.text("recall", "xylophone quasar zymurgy").strip())

    def test_a_memory_cannot_drive_the_terminal(self):
        self.tribe.remember("gong \x1b]0;owned\x07\x1b[2J\u202egnog")
        text = self.text("recall", "gong")
        self.assertIn("gong", text)
        for bad in ("\x1b", "\x07", "\u202e"):
            self.assertNotIn(bad, text)

    def test_thermal(self):
        self.tribe.remember("something warm")
        self.assertIn("warm", self.text("thermal"))
        body = self.json("thermal")
        self.assertEqual(sum(body["stages"].values()), body["total_memories"])

    def test_decisions(self):
        self.assertTrue(self.text("decide", "We", "sail at dawn.", "--by", "crew").strip())
        made = self.json("decide", "We reef the sails.", "--by", "crew")
        made = made.get("decision", made)
        self.assertEqual((made["text"], made["by"]), ("We reef the sails.", "crew"))
        self.assertIn("We sail at dawn.", self.text("decisions"))
        listed = self.json("decisions", "--limit", "1")["decisions"]
        self.assertEqual([item["id"] for item in listed], [made["id"]])
        self.assertEqual(self.json("decisions", "--since", "2999-01-01T00:00:00Z")["decisions"], [])

    def test_import(self):
        with tempfile.TemporaryDirectory(prefix="tribe-", dir="/tmp") as where:
            with open(os.path.join(where, "a.jsonl"), "w", encoding="utf-8") as f:
                f.write('{"content":"Plovers nest on shingle."}\n{"content":""}\n\n{"content":"Terns dive for sprats."}\n')
            with open(os.path.join(where, "b.md"), "w", encoding="utf-8") as f:
                f.write("# Boats\n\nThe yawl has a mizzen mast.\n\n## Engines\n\nThe diesel is from 1974.\n")
            with open(os.path.join(where, "c.txt"), "w", encoding="utf-8") as f:
                f.write("The harbour freezes in hard winters.\n\nThe pilot lives on the hill.\n")
            first = self.json("import", where)
            self.assertGreaterEqual(first["added"], 6)
            self.assertEqual((first["known"], first["files"]), (0, 3))
            self.assertGreaterEqual(first["skipped"], 1, "the empty content")
            self.assertTrue(first["reasons"])
            again = self.json("import", where)
            self.assertEqual((again["added"], again["known"]), (0, first["added"]))
            self.assertIn("known", self.text("import", os.path.join(where, "a.jsonl")))
        self.assertIn("1974", self.json("ask", "From which year is the diesel?")["answer"])
        self.assertIn("sprats", self.json("recall", "terns")["memories"][0]["content"])

    def test_import_of_nothing(self):
        done = self.tribe.ctl("import", os.path.join(self.tribe.base, "absent"))
        self.assertNotEqual(done.returncode, DONE)
        self.assertTrue(done.stderr)

    def test_usage(self):
        for words in ((), ("no-such-command",), ("status", "extra"), ("status", "--no-such-flag"), ("remember",), ("restart",),
                      ("restart", "chief"), ("recall", "x", "--limit", "0"), ("recall", "x", "--limit", "201"),
                      ("remember", "x", "--importance", "2"), ("remember", "x", "--at", "noon"), ("drill", "--jr", "memory"),
                      ("drill", "--jr", "memory", "--kills", "0"), ("drill", "--jr", "all", "--kills", "1", "--fault", "flood"),
                      ("status", "--set", "heartbeat_ms=fast"), ("remember", "")):
            done = self.tribe.ctl(*words)
            self.assertEqual(done.returncode, USAGE, (words, done))
            self.assertTrue(done.stderr, words)
            self.assertEqual(done.stdout, "", words)

    def test_help(self):
        text = self.text("--help")
        for command in ("status", "heartbeats", "remember", "recall", "ask", "thermal", "decide", "decisions", "import", "drill",
                        "restart", "stop", "start", "shutdown"):
            self.assertIn(command, text)
            self.assertIn(command, self.text(command, "--help"))
        for command in re.findall(r"^  ([a-z-]+) ", text.partition("Commands:")[2].partition("Flags")[0], re.M):
            said = self.text("help", command)
            self.assertEqual(said, self.text(command, "--help"))
            for other in re.findall(r"tribectl help ([a-z-]+)", said):  # what a text points to is there
                self.text("help", other)
        self.assertEqual(self.text("help"), text)
        self.assertRegex(self.text("--version"), r"^tribectl \d")


class Life(CtlCase):
    def test_restart_stop_start(self):
        for n, role in enumerate(ROLES):
            spelling = (role, role + "_jr", role + "-jr")[n % 3]
            old = self.tribe.pids()[role]
            self.text("restart", spelling)
            new = self.tribe.wait_new(role, old)
            self.text("stop", spelling)
            wait_for(lambda role=role: role not in self.tribe.pids(), f"{role} is down")
            self.json("start", spelling)
            self.tribe.wait_new(role, new)
        self.assertEqual(self.tribe.status()["status"], "operational")

    def test_a_part_that_is_away_is_1(self):
        self.assertEqual(self.text("stop", "memory").strip(), "down")
        for words in (("remember", "x"), ("ask", "Is it there?"), ("thermal",), ("import", __file__, "--format", "text")):
            begun = time.monotonic()
            done = self.tribe.ctl(*words)
            self.assertEqual((done.returncode, done.stdout), (FAILED, ""), (words, done))
            self.assertRegex(done.stderr, "memory.jr is (stopped; start it with: tribectl start memory|down)", words)
            self.assertLess(time.monotonic() - begun, 8, "nobody waits for what does not come")
        done = self.tribe.ctl("remember", "x", "--timeout", "0.2")
        self.assertEqual(done.returncode, FAILED, done)
        self.assertIn("no answer of memory-jr within 0.2 s", done.stderr)
        self.assertEqual(self.text("start", "memory").strip(), "up")
        self.assertTrue(self.text("remember", "Now it is there."))

    def test_a_missed_target_is_1(self):
        done = self.tribe.ctl("drill", "--jr", "meta", "--kills", "1", "--slo-ms", "0.001")
        self.assertEqual(done.returncode, FAILED, done)
        self.assertIn("failed", done.stdout)

    def test_follow_ends_with_its_reader(self):
        with subprocess.Popen([program("tribectl"), "--dev", self.tribe.dir, "heartbeats", "--follow", "--json"],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=self.tribe.env) as follower:
            try:
                seqs = {jr: [] for jr in API_NAMES.values()}
                while min(map(len, seqs.values())) < 3:
                    beat = json.loads(follower.stdout.readline())
                    seqs[beat["jr"]].append((beat["generation"], beat["seq"]))
                for seq in seqs.values():
                    self.assertEqual(sorted(set(seq)), seq)
                follower.send_signal(signal.SIGINT)
                self.assertIn(follower.wait(30), (0, -signal.SIGINT, 130))
            finally:
                follower.kill()


class Reach(unittest.TestCase):
    def test_no_tribe_is_3(self):
        tribe = Tribe(start=False)
        self.addCleanup(tribe.close)
        for words in (("status",), ("remember", "x"), ("ask", "x"), ("heartbeats",), ("shutdown",), ("restart", "memory"), ("thermal",)):
            for flag in ((), ("--json",)):
                done = tribe.ctl(*words, *flag)
                self.assertEqual(done.returncode, UNREACHABLE, (words, done))
                self.assertEqual(done.stdout, "")
                self.assertIn(tribe.dir, done.stderr)
        self.assertEqual(os.listdir(tribe.dir), [], "looking makes nothing")

    def test_dead_sockets_are_3_too(self):
        with Tribe() as tribe:
            tribe.kill()
            tribe.wait_gone()
            self.assertEqual(tribe.ctl("status").returncode, UNREACHABLE)

    def test_shutdown(self):
        with Tribe() as tribe:
            done = tribe.ctl("shutdown")
            self.assertEqual((done.returncode, done.stderr), (DONE, ""), done)
            self.assertEqual(tribe.process.wait(60), 0)
            self.assertEqual(tribe.processes(), {})
            self.assertEqual(tribe.ctl("status").returncode, UNREACHABLE)

    def test_outside_dev_a_drill_wants_yes(self):
        with Tribe() as tribe:
            words = [program("tribectl"), "--runtime", tribe.run, "--state", tribe.state, "drill", "--jr", "meta", "--kills", "1"]
            pid = tribe.pids()["meta"]
            done = subprocess.run(words, capture_output=True, text=True, timeout=120, check=False)
            self.assertEqual(done.returncode, USAGE, done)
            self.assertIn("--yes", done.stderr)
            self.assertEqual(tribe.pids()["meta"], pid)
            done = subprocess.run(words + ["--yes"], capture_output=True, text=True, timeout=120, check=False)
            self.assertEqual(done.returncode, DONE, done)


if __name__ == "__main__":
    main()
