"""Import: goes on where a kill -9 stopped it, adds nothing twice, says what it left out, can be undone; and what export
wrote comes back byte for byte."""
import json
import os
import signal
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "kit"))
from tribe import Tribe, TribeCase, main, program, wait_for  # noqa: E402

LINES = 12000  # three pieces and more at the least
MEMORIES = "/api/v1/memories"


class ImportCase(TribeCase):
    def path(self, name):
        return os.path.join(self.tribe.base, name)

    def write(self, name, text):
        os.makedirs(os.path.dirname(self.path(name)), exist_ok=True)
        with open(self.path(name), "w", encoding="utf-8") as f:
            f.write(text)
        return self.path(name)

    def lines(self, name, n=LINES):
        """n memories told apart by the file's name; every thousandth line is broken."""
        return self.write(name, "".join(
            "rubbish\n" if i % 1000 == 7 else json.dumps({"content": f"{name} keeps entry {i} of the log", "source": name}) + "\n"
            for i in range(n)))

    def ctl(self, *words, code=0, **more):
        done = self.tribe.ctl("--json", *words, **more)
        self.assertEqual(done.returncode, code, done)
        return json.loads(done.stdout) if done.stdout else None

    def imports(self):
        return self.ctl("import", "--list")["imports"]

    def one(self, name):
        found = [entry for entry in self.imports() if entry["name"] == name]
        self.assertEqual(len(found), 1, found)
        return found[0]

    def total(self):
        return self.tribe.get("/api/v1/thermal").json()["total_memories"]

    def start(self, path):
        """tribectl import, running."""
        return subprocess.Popen([program("tribectl"), "--dev", self.tribe.dir, "--json", "import", path], env=self.tribe.env,
                                cwd=self.tribe.base, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                text=True)

    def in_the_middle(self, process, name, past):
        """Waits until the import has got past that many bytes; False when it was quicker."""
        def there():
            if process.poll() is not None:
                return True
            found = [entry for entry in self.tribe.call("memory.sock", "memory.imports", {})["imports"] if entry["name"] == name]
            return bool(found) and found[0]["position"] > past
        wait_for(there, "the import is under way")
        return process.poll() is None


class Import(ImportCase):
    def test_what_was_left_out_and_why(self):
        self.write("mixed/a.jsonl", '{"content":"Plovers nest on shingle."}\n{"content":""}\n{"content":""}\nno json\n')
        self.write("mixed/b.png", "x")
        self.write("mixed/.hidden.txt", "x")
        first = self.ctl("import", self.path("mixed"))
        self.assertEqual((first["added"], first["known"], first["skipped"], first["files"]), (1, 0, 3, 1))
        self.assertEqual(sorted(reason["count"] for reason in first["reasons"]), [1, 2])
        empty = next(reason for reason in first["reasons"] if reason["count"] == 2)
        self.assertEqual([place["line"] for place in empty["places"]], [2, 3])
        self.assertEqual(first["files_skipped"], 2)
        self.assertEqual(self.one("mixed")["skipped"], 3)
        text = self.tribe.ctl("import", self.path("mixed")).stdout
        self.assertIn("nothing to do", text)
        self.write("binary.txt", "a\0b\n")
        done = self.tribe.ctl("import", self.path("binary.txt"))
        self.assertEqual(done.returncode, 1, "a script must see that nothing was remembered")

    def test_again_and_changed(self):
        path = self.lines("again.jsonl", 500)
        first = self.ctl("import", path)
        self.assertEqual((first["added"], first["skipped"]), (499, 1))
        before = self.total()
        again = self.ctl("import", path)
        self.assertEqual((again["added"], again["known"], again["finished_before"]), (0, 499, True))
        with open(path, "a", encoding="utf-8") as f:
            f.write('{"content":"one more","source":"again.jsonl"}\n')
        more = self.ctl("import", path)
        self.assertEqual((more["added"], more["known"], more["skipped"]), (1, 499, 1))
        self.assertNotEqual(more["import_id"], first["import_id"])
        self.assertEqual(self.total(), before + 1)
        from_stdin = self.ctl("import", "--format", "text", "-", stdin="A text from a pipe.\n")
        self.assertEqual(from_stdin["added"], 1)
        from_stdin = self.ctl("import", "--format", "text", "-", stdin="A text from a pipe.\n")
        self.assertTrue(from_stdin["finished_before"])

    def test_undo(self):
        before = self.total()
        path = self.write("undo/a.jsonl", '{"content":"An undone fact."}\n{"content":"A kept fact.","sacred":true}\n')
        first = self.ctl("import", self.path("undo"))
        self.assertEqual((first["added"], self.total()), (2, before + 2))
        refused = self.tribe.ctl("import", "--undo", first["import_id"], stdin="")
        self.assertEqual(refused.returncode, 2, refused)
        undone = self.ctl("import", "--undo", first["import_id"][:10], "--yes")
        self.assertEqual((undone["removed"], undone["kept"]), (1, 1))
        self.assertEqual(self.total(), before + 1)
        self.assertIn("undone", self.one("undo"))
        again = self.ctl("import", self.path("undo"))
        self.assertEqual((again["added"], again["known"]), (1, 1), "after an undo it begins anew")
        self.assertEqual(self.total(), before + 2)
        self.assertEqual(self.tribe.ctl("import", "--undo", "no-such-import", "--yes").returncode, 1)
        self.assertTrue(os.path.exists(path))

    def test_killed_tribectl(self):
        name = "killed.jsonl"
        path, before, kills = self.lines(name), self.total(), 0
        position = 0
        for _ in range(3):
            process = self.start(path)
            try:
                if not self.in_the_middle(process, name, position):
                    break
                process.kill()
                kills += 1
            finally:
                process.kill()
                process.communicate()
            position = self.one(name)["position"]
        self.assertGreater(kills, 0)
        last = self.ctl("import", path)
        entry = self.one(name)
        self.assertIn("finished", entry)
        self.assertTrue(last["resumed"] or last["finished_before"], last)
        self.assertEqual((entry["added"], entry["known"], entry["skipped"]), (LINES - LINES // 1000, 0, LINES // 1000))
        self.assertEqual(self.total(), before + LINES - LINES // 1000)

    def test_killed_jrs(self):
        for role in ("integration", "memory"):
            name = f"killed-{role}.jsonl"
            path, before = self.lines(name), self.total()
            process = self.start(path)
            try:
                if self.in_the_middle(process, name, 0):
                    pid = self.tribe.pids()[role]
                    os.kill(pid, signal.SIGKILL)
                    self.tribe.wait_new(role, pid)
                out, err = process.communicate(timeout=300)
            finally:
                process.kill()
                process.wait()
            self.assertEqual(process.returncode, 0, (out, err))
            entry = self.one(name)
            self.assertEqual((entry["added"], entry["known"], entry["skipped"]), (LINES - LINES // 1000, 0, LINES // 1000), role)
            self.assertEqual(self.total(), before + LINES - LINES // 1000)


class KilledTribed(ImportCase):
    def test_goes_on_in_the_next_life(self):
        name = "life.jsonl"
        path = self.lines(name)
        process = self.start(path)
        try:
            killed = self.in_the_middle(process, name, 0)
            self.tribe.kill()
            self.tribe.wait_gone()
            process.terminate()  # it would wait for an answer until its deadline
            process.communicate()
        finally:
            process.kill()
            process.wait()
        self.tribe.start()
        last = self.ctl("import", path)
        entry = self.one(name)
        self.assertIn("finished", entry)
        self.assertTrue(last["resumed"] or last["finished_before"] or not killed, last)
        self.assertEqual((entry["added"], entry["known"], entry["skipped"]), (LINES - LINES // 1000, 0, LINES // 1000))
        self.assertEqual(self.total(), LINES - LINES // 1000)


class RoundTrip(ImportCase):
    def fill(self):
        answer = self.tribe.post(MEMORIES, [
            {"content": "Plain."},
            {"content": "Umlauts äöü, 漢字, \U0001f9ed and a \"quote\" with a \\ and a\ttab.\nTwo lines.", "tags": ["a", "ü b"]},
            {"content": "Sacred.", "sacred": True, "importance": 0.9, "source": "s", "session": "t", "speaker": "Ann"},
            {"content": "With its own id.", "id": "mine/1", "at": "2024-02-03T04:05:06.789Z"},
            {"content": "With metadata.", "metadata": {"n": 7, "x": 0.1, "z": None, "deep": {"list": [1, "two", True]}, "empty": {}}},
            {"content": "The meeting is on Monday.", "id": "old"},
        ])
        self.assertEqual(answer.status, 201, answer)
        self.assertEqual(self.tribe.post(MEMORIES, {"content": "The meeting is on Friday.", "supersedes": "old"}).status, 201)
        for _ in range(2):  # known again: heated
            self.tribe.post(MEMORIES, {"content": "Plain."})
        self.assertIn(self.tribe.post("/api/v1/decisions", {"text": "We meet on Friday.", "by": "council"}).status, (200, 201))
        self.lines("many.jsonl", 1500)
        self.ctl("import", self.path("many.jsonl"))
        for question in ("meeting Friday", "entry log"):
            self.tribe.get(f"{MEMORIES}?q={question.replace(' ', '+')}&limit=5")
        self.tribe.post(MEMORIES, {"content": "The last commit takes the notes of accesses along."})

    def export(self, name):
        done = self.tribe.ctl("export", self.path(name))
        self.assertEqual(done.returncode, 0, done)
        with open(self.path(name), "rb") as f:
            return f.read()

    def test_every_digit_of_a_number(self):
        with Tribe() as tribe:
            tribe.remember("One third of nearly nothing.", metadata={"f": 0.30000000000000004})
            record = json.loads(tribe.ctl("export", "-").stdout)
            self.assertEqual(record["metadata"]["f"], 0.30000000000000004)

    def test_the_same_bytes(self):
        self.fill()
        self.assertEqual(self.tribe.stop(), 0)  # every note is written
        self.tribe.start()
        first = self.export("first.jsonl")
        self.assertEqual(first.count(b"\n"), self.total())
        decisions = self.tribe.get("/api/v1/decisions").json()
        with Tribe() as other:
            done = other.ctl("--json", "import", self.path("first.jsonl"))
            self.assertEqual(done.returncode, 0, done)
            report = json.loads(done.stdout)
            self.assertEqual((report["added"], report["known"], report["skipped"]), (first.count(b"\n"), 0, 0), report)
            again = os.path.join(other.base, "again.jsonl")
            done = other.ctl("export", again)
            self.assertEqual(done.returncode, 0, done)
            with open(again, "rb") as f:
                second = f.read()
            if first != second:  # the first line that differs says more than two files
                for a, b in zip(first.splitlines(), second.splitlines()):
                    self.assertEqual(a, b)
            self.assertEqual(first, second)
            self.assertEqual(other.get("/api/v1/decisions").json(), decisions)
            self.assertEqual(other.get(f"{MEMORIES}/old?touch=false").json()["superseded_by"],
                             self.tribe.get(f"{MEMORIES}/old?touch=false").json()["superseded_by"])
            self.assertEqual(other.get(f"{MEMORIES}?q=monday+meeting&touch=false").json()["memories"][0]["content"],
                             self.tribe.get(f"{MEMORIES}?q=monday+meeting&touch=false").json()["memories"][0]["content"])
            done = other.ctl("--json", "import", again)  # the same bytes under another name: another import
            report = json.loads(done.stdout)
            self.assertEqual((report["added"], report["known"]), (0, first.count(b"\n")), report)


if __name__ == "__main__":
    main()
