"""tribectl config: what is in force in the tribe that answers, where it came from, and what it would take to change it."""
import json
import os
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "kit"))
from stage import Staged
from tribe import ROLES, main

DONE, USAGE = 0, 2


class Config(unittest.TestCase):
    def setUp(self):
        self.tribe = Staged("drills=true", fakes=ROLES, start=False)
        self.addCleanup(self.tribe.close)
        self.file = os.path.join(self.tribe.dir, "tribe.yaml")

    def write(self, text):
        with open(self.file, "w", encoding="ascii") as f:
            f.write(text)

    def ctl(self, *words):
        done = self.tribe.ctl("config", *words)
        self.assertEqual((done.returncode, done.stderr), (DONE, ""), done)
        return done.stdout

    def shown(self, *words):
        """The whole document, and its settings by key."""
        doc = json.loads(self.ctl("--json", *words))
        return doc, {s["key"]: s for s in doc["settings"]}

    def origin(self, setting):
        return tuple(setting.get(name) for name in ("value", "origin", "file", "line", "configured", "needs"))

    def test_of_a_running_tribe(self):
        self.write("# ours\nhttp.idle_timeout_ms: 4000\nlog:\n  level: debug\ndrills: false\n")
        self.tribe.start()
        doc, of = self.shown()
        self.assertEqual((doc["shows"], doc["file"], doc["state"], doc["runtime"], doc["pid"]),
                         ("running", self.file, self.tribe.state, self.tribe.run, self.tribe.process.pid))
        self.assertEqual(self.origin(of["http.listen"]), ("127.0.0.1:0", "command line", None, None, None, None))
        self.assertEqual(self.origin(of["drills"]), (True, "command line", None, None, None, None), "--set wins")
        self.assertEqual(self.origin(of["http.idle_timeout_ms"]), (4000, "file", self.file, 2, None, None))
        self.assertEqual(self.origin(of["log.level"]), ("debug", "file", self.file, 4, None, None))
        self.assertEqual(self.origin(of["heartbeat_ms"]), (100, "default", None, None, None, None))
        text = self.ctl()
        self.assertTrue(text.startswith(f"In force in the tribe in {self.tribe.run} (tribed is pid {self.tribe.process.pid}).\n"), text)
        self.assertIn(f"log.level = debug\n    from: file {self.file}:4 (default: info)\n", text)
        self.assertNotIn("needs a", text)

    def test_changes_of_the_file(self):
        self.tribe.start()
        self.assertNotIn("file", self.shown()[0])
        self.write("\nheartbeat_ms: 60\n")
        _, of = self.shown()
        self.assertEqual(self.origin(of["heartbeat_ms"]), (100, "default", None, None, 60, "reload"))
        self.assertIn("heartbeat_ms = 100\n    from: default\n    needs a reload to become: 60\n", self.ctl())
        self.tribe.call("control.sock", "reload")
        doc, of = self.shown()
        self.assertEqual((doc["file"], self.origin(of["heartbeat_ms"])), (self.file, (60, "file", self.file, 2, None, None)))
        # a comment more: nothing is to be done, the line is told right after the next reload
        self.write("\n# faster\nheartbeat_ms: 60\n")
        self.assertEqual(self.origin(self.shown()[1]["heartbeat_ms"])[2:], (self.file, 2, None, None))
        self.tribe.call("control.sock", "reload")
        self.assertEqual(self.origin(self.shown()[1]["heartbeat_ms"])[2:], (self.file, 3, None, None))
        # what needs a restart keeps the rest from being reloaded, too
        self.write("heartbeat_ms: 70\narchive.url: sqlite:other.sqlite\n")
        _, of = self.shown()
        self.assertEqual(self.origin(of["archive.url"]), ("", "default", None, None, "sqlite:other.sqlite", "restart"))
        self.assertEqual(self.origin(of["heartbeat_ms"]), (60, "file", self.file, 3, 70, "restart"))
        # wrong: what is in force is shown all the same
        self.write("heartbeat_ms: 60\n\nhang_after_ms: nine\n")
        doc, of = self.shown()
        self.assertTrue(doc["file_error"].startswith("tribe.yaml:3: hang_after_ms: must be"), doc["file_error"])
        self.assertEqual(self.origin(of["heartbeat_ms"])[:2], (60, "file"))
        self.assertIn("Its configuration is wrong by now: tribe.yaml:3: hang_after_ms", self.ctl())
        # gone
        os.unlink(self.file)
        doc, of = self.shown()
        self.assertNotIn("file_error", doc)
        self.assertEqual(self.origin(of["heartbeat_ms"]), (60, "file", self.file, 3, 100, "reload"))

    def test_of_a_start(self):
        self.write("heartbeat_ms: 50\n")
        doc, of = self.shown()
        self.assertEqual((doc["shows"], doc["file"], "pid" in doc), ("start", self.file, False))
        self.assertEqual(self.origin(of["heartbeat_ms"]), (50, "file", self.file, 1, None, None))
        self.assertEqual(of["drills"]["value"], False, "nobody runs whose --set could be known")
        self.assertTrue(self.ctl().startswith("What a start would read; no tribe answers here.\n"))
        self.tribe.start()
        self.assertEqual(self.shown()[0]["shows"], "running")
        doc, of = self.shown("--set", "heartbeat_ms=70")
        self.assertEqual((doc["shows"], of["heartbeat_ms"]["value"], of["drills"]["value"]), ("start", 70, False))
        self.assertEqual(self.shown("--config", self.file)[0]["shows"], "start")
        # --check is about the file
        self.assertEqual(self.ctl("--check"), "")
        self.write("heartbeat_ms: never\n")
        for words in (("--check",), ("--set", "drills=true"), ("--config", self.file)):
            self.assertEqual(self.tribe.ctl("config", *words).returncode, USAGE, words)
        self.assertEqual(self.tribe.ctl("config").returncode, DONE)
        self.tribe.stop()
        self.assertEqual(self.tribe.ctl("config").returncode, USAGE)

    def test_no_secret(self):
        self.tribe.start()
        for line in ("archive.url: postgresql://ada:hunter2@127.0.0.1:1/tribe?password=hunter2", "llm.url: https://hunter2@127.0.0.1:1/v1",
                     "https://ada:hunter2@127.0.0.1/v1: llm.url", "llm.url: https://127.0.0.1/v1?api_key=hunter2"):
            self.write(line + "\n")
            answer = self.tribe.call("control.sock", "config")
            self.assertNotIn("hunter2", repr(answer), line)
            differs = [s["key"] for s in answer["settings"] if "configured" in s]
            self.assertTrue(differs or answer.get("file_error"), "it was read")
            self.assertNotIn("hunter2", self.ctl())
            self.assertNotIn("hunter2", self.ctl("--json"))


if __name__ == "__main__":
    main()
