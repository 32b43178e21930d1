"""tribectl where it stays a while or looks around: top and drill under a real pseudo-terminal, followers, export, explain, doctor,
config, every exit status, the man pages and the completion."""
import contextlib
import fcntl
import json
import os
import pty
import re
import select
import shutil
import signal
import sqlite3
import struct
import subprocess
import sys
import tempfile
import termios
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "kit"))
from tribe import API_NAMES, ROLES, SANITIZER_MARKS, Tribe, TribeCase, main, program, wait_for  # noqa: E402

DONE, FAILED, USAGE, UNREACHABLE, REFUSED, INTERNAL = range(6)
SHARE = os.path.join(os.path.dirname(program("tribectl")), "..", "share")


class Terminal:
    """A program with a pseudo-terminal as its controlling one: what it prints, keys for it, and the terminal's settings."""

    def __init__(self, words, env, rows=40, columns=120):
        self.output = b""
        # keep: our own hold of its side; the settings outlive the program, and its last words are not lost with it
        self.fd, self.keep = pty.openpty()
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self.status = None
        self.pid = os.fork()
        if self.pid == 0:
            os.setsid()
            fcntl.ioctl(self.keep, termios.TIOCSCTTY, 0)
            for fd in range(3):
                os.dup2(self.keep, fd)
            os.execve(words[0], words, dict(env, TERM="xterm"))

    def read(self, seconds=0.05):
        if select.select([self.fd], [], [], seconds)[0]:
            self.output += os.read(self.fd, 65536)
        return self.output

    def wait_output(self, text, timeout=60):
        wait_for(lambda: text in self.read(0.01), f"{text!r} on the terminal; there is {self.output[-2000:]!r}", timeout)

    def send(self, keys):
        os.write(self.fd, keys)

    def cooked(self):
        flags = termios.tcgetattr(self.keep)[3]
        return bool(flags & termios.ICANON) and bool(flags & termios.ECHO)

    def wait(self, timeout=60):
        """The exit status, negative for a signal."""
        def gone():
            self.read(0.01)
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.status = os.waitstatus_to_exitcode(status)
            return pid
        if self.status is None:
            wait_for(gone, f"the program leaves; it printed {self.output[-2000:]!r}", timeout)
        while select.select([self.fd], [], [], 0)[0]:
            self.output += os.read(self.fd, 65536)
        return self.status

    def close(self):
        if self.status is None:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        os.close(self.keep)
        os.close(self.fd)


def plain(data):
    """Without control sequences."""
    return re.sub(rb"\x1b\[[0-9;?]*[A-Za-z]", b"", data).decode("utf-8", "replace")


class LiveCase(TribeCase):
    def terminal(self, *words, **more):
        terminal = Terminal([program("tribectl"), "--dev", self.tribe.dir, *words], self.tribe.env, **more)
        self.addCleanup(terminal.close)
        return terminal

    def popen(self, *words, stdout=subprocess.PIPE):
        process = subprocess.Popen([program("tribectl"), "--dev", self.tribe.dir, *words], stdout=stdout, stderr=subprocess.PIPE,
                                   text=True, env=self.tribe.env)
        self.addCleanup(lambda: (process.kill(), process.communicate()))
        return process

    def text(self, *words, **more):
        done = self.tribe.ctl(*words, **more)
        self.assertEqual((done.returncode, done.stderr), (DONE, ""), (words, done))
        self.assertNotIn("\x1b", done.stdout)
        return done.stdout

    def json(self, *words, **more):
        return json.loads(self.text(*words, "--json", **more))


class Top(LiveCase):
    TAKE, GIVE = b"\x1b[?1049h", b"\x1b[?1049l"

    def frames(self, terminal):
        return terminal.read().count(b"\x1b[H")

    def test_draws_in_place_and_gives_the_terminal_back(self):
        self.tribe.remember("the lamp is lit")
        for leave in (b"q", b"\x03"):
            terminal = self.terminal("top")
            wait_for(lambda: self.frames(terminal) >= 3, "three frames")  # pylint: disable=cell-var-from-loop
            self.assertFalse(terminal.cooked(), "keys come without Enter")
            self.assertTrue(terminal.output.startswith(self.TAKE), terminal.output[:40])
            last = terminal.output.split(b"\x1b[H")[-2]
            text = plain(last)
            self.assertIn("operational", text)
            self.assertIn("memories", text)
            self.assertIn("REQ/S", text)
            for role, pid in self.tribe.pids().items():
                self.assertRegex(text, rf"{role} +up +{pid}")
            self.assertRegex(text, r"memory_jr +\d+\.\d +\d+\.\d", "a rate from two looks")
            terminal.send(leave)
            self.assertEqual(terminal.wait(), DONE)
            self.assertTrue(terminal.output.rstrip().endswith(self.GIVE), terminal.output[-80:])
            self.assertIn(b"\x1b[?25h", terminal.output.split(self.TAKE)[-1], "the cursor is back")
            self.assertTrue(terminal.cooked())

    def test_shows_a_new_life(self):
        terminal = self.terminal("top")
        terminal.wait_output(b"REQ/S")
        old = self.tribe.pids()["meta"]
        os.kill(old, signal.SIGKILL)
        new = self.tribe.wait_new("meta", old)
        terminal.wait_output(str(new).encode())
        terminal.send(b"q")
        self.assertEqual(terminal.wait(), DONE)

    def test_fits_a_small_window(self):
        terminal = self.terminal("top", rows=6)
        fcntl.ioctl(terminal.fd, termios.TIOCSWINSZ, struct.pack("HHHH", 6, 60, 0, 0))
        start = len(terminal.read())
        wait_for(lambda: terminal.read()[start:].count(b"\x1b[H") >= 3, "frames of the small window")
        frame = terminal.output[start:].split(b"\x1b[H")[-2]
        self.assertLess(frame.count(b"\n"), 6, "more would scroll")
        os.kill(terminal.pid, signal.SIGTERM)
        self.assertEqual(terminal.wait(), DONE)
        self.assertTrue(terminal.cooked())

    def test_stops_and_goes_on(self):
        terminal = self.terminal("top")
        wait_for(lambda: self.frames(terminal) >= 1, "a frame")
        terminal.send(b"\x1a")  # Ctrl-Z

        def stopped():
            terminal.read(0.01)
            pid, status = os.waitpid(terminal.pid, os.WNOHANG | os.WUNTRACED)
            return pid and os.WIFSTOPPED(status)
        wait_for(stopped, "it stops")
        self.assertTrue(terminal.cooked(), "the shell gets its terminal back")
        frames = self.frames(terminal)
        os.kill(terminal.pid, signal.SIGCONT)
        wait_for(lambda: self.frames(terminal) > frames, "it draws again")
        self.assertFalse(terminal.cooked())
        terminal.send(b"q")
        self.assertEqual(terminal.wait(), DONE)

    def test_waits_for_a_tribe_that_is_away(self):
        with Tribe() as tribe:
            terminal = Terminal([program("tribectl"), "--dev", tribe.dir, "top"], tribe.env)
            self.addCleanup(terminal.close)
            terminal.wait_output(b"REQ/S")
            tribe.stop()
            terminal.wait_output(b"no answer from the tribe")
            tribe.start()
            pid = str(tribe.pids()["memory"]).encode()
            terminal.wait_output(pid)
            terminal.send(b"q")
            self.assertEqual(terminal.wait(), DONE)

    def test_without_a_terminal_it_repeats(self):
        for flags in ((), ("--json",)):
            process = self.popen("top", *flags)
            seen = 0
            while seen < 3:
                line = process.stdout.readline()
                self.assertNotIn("\x1b", line)
                if flags:
                    self.assertEqual(json.loads(line)["status"], "operational")
                seen += "operational" in line
            process.send_signal(signal.SIGINT)
            self.assertEqual(process.wait(60), DONE)
        reader_gone = self.popen("top", "--json")
        reader_gone.stdout.readline()
        reader_gone.stdout.close()
        self.assertEqual(reader_gone.wait(60), FAILED)

    def test_without_a_tribe_it_leaves(self):
        with tempfile.TemporaryDirectory(prefix="tribe-", dir="/tmp") as where:
            terminal = Terminal([program("tribectl"), "--dev", where, "top"], self.tribe.env)
            self.addCleanup(terminal.close)
            self.assertEqual(terminal.wait(), UNREACHABLE)
            self.assertNotIn(self.TAKE, terminal.output, "the reason stays to be read")
            self.assertIn(where, plain(terminal.output))


class Drill(LiveCase):
    def test_ctrl_c_prints_what_there_is(self):
        terminal = self.terminal("drill", "--jr", "meta", "--kills", "100000")
        terminal.wait_output(b"3/100000")  # a progress line: it is a terminal
        terminal.send(b"\x03")
        self.assertEqual(terminal.wait(), FAILED)
        text = plain(terminal.output)
        found = re.search(r"interrupted after (\d+) of 100000", text)
        self.assertTrue(found, text)
        self.assertGreaterEqual(int(found.group(1)), 3)
        wait_for(lambda: self.tribe.status()["status"] == "operational", "operational again")

    def test_ctrl_c_as_json(self):
        process = self.popen("drill", "--jr", "meta", "--kills", "100000", "--json")
        kills = wait_for(lambda: self.tribe.status()["jrs"]["meta_jr"]["restarts"] >= 3, "some kills")
        self.assertTrue(kills)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
        self.assertEqual(process.returncode, FAILED)
        self.assertRegex(err, r"\A(tribectl: drill: warning: tribed did not take the result: [^\n]*\n)?\Z", "no progress into a pipe")
        report = json.loads(out)
        self.assertEqual((report["verdict"], report["planned"]), ("interrupted", 100000))
        self.assertEqual(report["done"], len(report["run"]))
        self.assertTrue(all(row["recovered"] for row in report["run"]))


class Memories(LiveCase):
    def test_export_has_the_last_minute(self):
        """Whom a memory was recalled with is gathered for a minute; who copies the archive gets it all the same."""
        ids = self.tribe.remember("the ferryman counts lanterns", "the ferryman mends lanterns", source="shore")
        for turn in range(3):
            self.tribe.post("/api/v1/ask", {"question": "What does the ferryman do with lanterns?"})
            lines = {line["id"]: line for line in map(json.loads, self.text("export").splitlines())}
            newer = lines[ids[1]]  # it names the older one
            self.assertEqual({(c["id"], c["times"]) for c in newer.get("company", [])}, {(ids[0], turn + 1)}, newer)
        self.tribe.post("/api/v1/ask", {"question": "What does the ferryman do with lanterns?"})
        path = os.path.join(self.tribe.base, "minute.db")
        self.text("backup", path)
        with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
            self.assertIn((4,), db.execute("SELECT times FROM entanglements").fetchall())

    def test_export_is_every_memory(self):
        ids = self.tribe.remember(*[f"pebble number {n} \N{SNOWMAN}\nsecond line" for n in range(1200)], source="beach", tags=["a", "b"])
        self.text("decide", "We", "keep the pebbles.", "--by", "crew")
        total = self.tribe.get("/api/v1/thermal").json()["total_memories"]
        lines = [json.loads(line) for line in self.text("export").splitlines()]
        self.assertEqual(len(lines), total)
        self.assertTrue(set(ids) <= {line["id"] for line in lines})
        one = next(line for line in lines if line["id"] == ids[7])
        self.assertEqual((one["content"], one["source"], one["tags"]), ("pebble number 7 \N{SNOWMAN}\nsecond line", "beach", ["a", "b"]))
        for field in ("heat_key", "access_count", "created_at", "last_access", "revision", "own_id"):
            self.assertIn(field, one)
        path = os.path.join(self.tribe.base, "out.jsonl")
        said = self.json("export", path)
        self.assertEqual((said["memories"], said["bytes"]), (total, os.path.getsize(path)))
        with open(path, encoding="utf-8") as f:
            self.assertEqual({json.loads(line)["id"] for line in f}, {line["id"] for line in lines})
        self.assertEqual(os.stat(path).st_mode & 0o777, 0o600)
        self.assertIn(f"{total:,} memories", self.text("export", path))
        self.assertEqual([name for name in os.listdir(self.tribe.base) if name.startswith("out")], ["out.jsonl"])
        with Tribe() as other:
            self.assertEqual(other.ctl("import", path).returncode, DONE)
            again = [json.loads(line) for line in other.ctl("export").stdout.splitlines()]
            imported = {line["id"]: line for line in again}
            self.assertEqual(set(imported), {line["id"] for line in lines})
            for line in lines:
                got = imported[line["id"]]
                got.pop("import_id", None)
                line.pop("import_id", None)
                self.assertEqual(got, line)
        # a terminal sees how far it is
        terminal = self.terminal("export", path)
        self.assertEqual(terminal.wait(), DONE)
        self.assertIn("memories  ", plain(terminal.output))

    def test_forget(self):
        plain_id, sacred_id = self.tribe.remember("forget the moth") + self.tribe.remember("keep the owl", sacred=True)
        done = self.tribe.ctl("forget", sacred_id)
        self.assertEqual((done.returncode, done.stdout), (REFUSED, ""), done)
        self.assertIn("sacred", done.stderr)
        self.assertEqual(self.tribe.ctl("forget", sacred_id, "--now", "--json").returncode, REFUSED)
        self.assertEqual(self.json("forget", plain_id)["id"], plain_id)
        self.assertEqual(self.tribe.ctl("forget", plain_id).returncode, FAILED)
        self.assertEqual(self.tribe.get(f"/api/v1/memories/{plain_id}").status, 404)
        self.assertEqual(self.tribe.get(f"/api/v1/memories/{sacred_id}").status, 200)
        again = self.tribe.remember("forget the gnat")[0]
        self.assertIn(again, self.text("forget", again, "--now"))

    def test_explain(self):
        one = self.tribe.remember("The heron fishes at the weir.", sacred=True)[0]
        text = self.text("explain", one)
        for word in ("why this hot", "log2", "counts half", "sacred", "heron"):
            self.assertIn(word, text)
        self.assertNotIn("why this answer", text)
        text = self.text("explain", one, "--question", "Where does the heron fish?")
        self.assertIn("place 1 among all that match", text)
        self.assertIn("weight", text)
        body = self.json("explain", one, "-q", "heron")
        self.assertEqual((body["rank"], body["memory"]["id"]), (1, one))
        self.assertEqual(self.tribe.ctl("explain", "no-such-id").returncode, FAILED)


class Around(LiveCase):
    def test_events(self):
        old = self.tribe.pids()["meta"]
        os.kill(old, signal.SIGKILL)
        self.tribe.wait_new("meta", old)
        text = self.text("events")
        for word in ("spawn", "ready", "exit", "meta_jr", str(old)):
            self.assertIn(word, text)
        events = self.json("events", "--limit", "5")["events"]
        self.assertEqual(len(events), 5)
        seqs = [event["seq"] for event in events]
        self.assertEqual(sorted(seqs), seqs)

    def test_events_follow(self):
        follower = self.popen("events", "--follow", "--json", "--limit", "2")
        first = [json.loads(follower.stdout.readline()) for _ in range(2)]
        self.assertLess(first[0]["seq"], first[1]["seq"])
        old = self.tribe.pids()["integration"]
        os.kill(old, signal.SIGKILL)
        kinds, last = set(), first[1]["seq"]
        while not {"exit", "spawn", "ready"} <= kinds:
            event = json.loads(follower.stdout.readline())
            self.assertGreater(event["seq"], last)
            last = event["seq"]
            if event.get("jr") == "integration_jr":
                kinds.add(event["kind"])
        follower.send_signal(signal.SIGINT)
        self.assertIn(follower.wait(30), (-signal.SIGINT, 130))

    def test_config(self):
        text = self.text("config", "--set", "heartbeat_ms=70")
        self.assertIn("heartbeat_ms = 70\n    from: command line (default: 100)", text)
        settings = {s["key"]: s for s in self.json("config")["settings"]}
        self.assertEqual(settings["http.listen"]["value"], "127.0.0.1:0", "of the tribe that runs")
        for setting in settings.values():
            self.assertEqual(setting["origin"], "command line" if setting["key"] == "http.listen" else "default")
            self.assertTrue(setting["meaning"])
        path = os.path.join(self.tribe.base, "c.yaml")
        with open(path, "w", encoding="utf-8") as f:
            f.write("# c\nlog:\n  level: warn\n")
        level = next(s for s in self.json("config", "--config", path)["settings"] if s["key"] == "log.level")
        self.assertEqual((level["value"], level["origin"], level["file"], level["line"]), ("warn", "file", path, 3))

    def test_reload(self):
        with tempfile.TemporaryDirectory(prefix="tribe-", dir="/tmp") as where:
            path = os.path.join(where, "tribe.yaml")

            def write(text):
                with open(path, "w", encoding="utf-8") as f:
                    f.write(text)
            write("hang_after_ms: 900\n")
            with Tribe(flags=("--config", path)) as tribe:
                before = tribe.pids()
                self.assertIn("no value differs", tribe.ctl("reload").stdout)
                self.assertEqual(tribe.pids(), before)
                write("hang_after_ms: soon\n")
                wrong = tribe.ctl("reload")
                self.assertEqual((wrong.returncode, wrong.stdout, tribe.pids()), (USAGE, "", before), wrong)
                self.assertIn("hang_after_ms", wrong.stderr)
                write("hang_after_ms: 950\n")
                done = tribe.ctl("reload", "--json")
                self.assertEqual((done.returncode, json.loads(done.stdout)), (DONE, {"changed": ["hang_after_ms"]}), done)
                wait_for(lambda: tribe.status()["status"] == "operational", "operational again")

    def test_doctor(self):
        body = self.json("doctor")
        self.assertEqual(body["fail"], 0, body)
        checks = {check["check"]: check for check in body["checks"]}
        self.assertEqual(len(checks), len(body["checks"]), "no name twice")
        for name in ("tribed", "sockets", "state", "runtime", "archive", "group tribe", "libraries", "file system", "fsync", "free space",
                     "free inodes", "version", "pidfd", "memfd", "seccomp", "Landlock", "programs", "vfork and exec", "open files",
                     "processes", "synchronised", "steps since tribed started", "FD store"):
            self.assertIn(name, checks)
        self.assertEqual(checks["sockets"]["value"], "all 5 listen")
        self.assertIn(str(self.tribe.process.pid), checks["tribed"]["value"])
        self.assertIn("append and fdatasync", checks["fsync"]["value"])
        for check in body["checks"]:
            self.assertEqual("degrades" in check, check["level"] != "ok", check)
        self.assertIn("to know about", self.text("doctor"))
        self.assertEqual([n for n in os.listdir(self.tribe.state) if "doctor" in n], [])

    def test_doctor_fails_only_for_what_cannot_work(self):
        with tempfile.TemporaryDirectory(prefix="tribe-", dir="/tmp") as where:
            nothing = subprocess.run([program("tribectl"), "--dev", where, "doctor"], capture_output=True, text=True, check=False)
            self.assertEqual(nothing.returncode, DONE, nothing)
            os.mkdir(os.path.join(where, "state"))
            os.chmod(os.path.join(where, "state"), 0o777)
            wrong = subprocess.run([program("tribectl"), "--dev", where, "doctor"], capture_output=True, text=True, check=False)
            self.assertEqual(wrong.returncode, FAILED, wrong)
            self.assertIn("chmod 0700", wrong.stdout)

    def test_analyze(self):
        body = self.json("analyze", "anomalies")
        self.assertIn("anomalies", body)
        self.assertTrue(self.text("analyze", "anomalies").strip())


class ExitStatus(LiveCase):
    def table(self):
        sacred = self.tribe.remember("a vow", sacred=True)[0]
        lines = {
            DONE: (("status",), ("heartbeats",), ("events",), ("thermal",), ("decisions",), ("config",), ("recall", "x"), ("ask", "x"),
                   ("remember", "x"), ("explain", sacred), ("export",), ("export", "-"), ("analyze", "anomalies"), ("--help",),
                   ("top", "--help"), ("vote", "--help"), ("--version",), ("--check",), ("status", "-n"), ("reload",),
                   ("import", "--list"), ("restart", "meta"), ("token", "list"), ("votes",),
                   ("vote", "Shall we wait?", "--deadline", "600", "--id", "live"), ("votes", "live")),
            FAILED: (("forget", "no-such-id"), ("explain", "no-such-id"), ("import", "/no/such/path"),
                     ("import", "/no/such/path", "--format", "git"), ("import", "/no/such/path", "--format", "mcp-memory"), ("export", "/no/such/dir/file"),
                     ("drill", "--jr", "meta", "--kills", "1", "--slo-ms", "0.001"), ("votes", "no-such-id"),
                     ("vote", "Shall we?", "--option", "a", "--option", "b", "--quorum", "5")),
            USAGE: (("forget",), ("forget", "a", "b"), ("explain",), ("analyze", "dreams"), ("top", "x"), ("export", "a", "b"),
                    ("events", "--limit", "0"), ("config", "--set", "no.such=1"), ("config", "--set", "heartbeat_ms=0"),
                    ("drill", "--jr", "all", "--kills", "1", "--fault", "flood"), ("drill", "--jr", "all"), ("drill", "--storm", "1"), ("remember", ""), ("token",),
                    ("token", "make"), ("token", "create"), ("token", "create", "x"), ("token", "create", "x", "--scope", "all"),
                    ("token", "create", "x y", "--scope", "read"), ("token", "list", "x"), ("token", "revoke"), ("token", "rotate", "a", "b"),
                    ("vote",), ("vote", "x", "--option", "a"), ("vote", "x", "--quorum", "0"), ("vote", "x", "--deadline", "0"), ("votes", "a", "b")),
            REFUSED: (("forget", sacred), ("forget", sacred, "--now")),
            INTERNAL: (("mcp",), ("soak", "--hours", "1"), ("bench",),
                       ("verify", "d"),
                       ("analyze", "regression"), ("analyze", "patterns")),
        }
        return [(status, words) for status, group in lines.items() for words in group]

    def test_every_path(self):
        for status, words in self.table():
            for flags in ((), ("--json",)):
                done = self.tribe.ctl(*words, *flags)
                self.assertEqual(done.returncode, status, (words, flags, done))
                if status == DONE:
                    self.assertEqual(done.stderr, "", (words, done))
                    if flags and words[0] not in ("--help", "--version", "--check", "export") and words[-1] not in ("-n", "--help"):
                        json.loads(done.stdout)
                elif words[0] != "drill" or status != FAILED:  # a drill that missed its target says so in its report
                    self.assertTrue(done.stderr.startswith("tribectl: "), (words, done))
                if status in (USAGE, REFUSED, INTERNAL):
                    self.assertEqual((done.stdout, done.stderr.count("\n")), ("", 1), (words, done))
                self.assertNotIn("\x1b", done.stdout + done.stderr, "no colours and no progress into a pipe")

    def test_unreachable(self):
        tribe = Tribe(start=False)
        self.addCleanup(tribe.close)
        for words in (("status",), ("top",), ("heartbeats", "--follow"), ("events",), ("events", "--follow"), ("reload",), ("forget", "x"),
                      ("explain", "x"), ("export",), ("export", os.path.join(tribe.base, "o")), ("analyze", "anomalies"),
                      ("drill", "--jr", "all", "--kills", "1"), ("thermal",), ("decisions",), ("votes",), ("vote", "x")):
            for flags in ((), ("--json",)):
                done = tribe.ctl(*words, *flags)
                self.assertEqual((done.returncode, done.stdout), (UNREACHABLE, ""), (words, done))
                self.assertIn(tribe.dir, done.stderr)
        self.assertEqual((os.listdir(tribe.dir), os.listdir(tribe.base)), ([], ["t"]), "asking makes nothing")


class Documents(unittest.TestCase):
    """What the build writes from the tables."""

    @staticmethod
    def read(*path):
        with open(os.path.join(SHARE, *path), encoding="utf-8") as f:
            return f.read()

    @staticmethod
    def ctl(*words):
        return subprocess.run([program(words[0]), *words[1:]], capture_output=True, text=True, check=True).stdout

    def commands(self):
        """(those of this version, those of a later one) as the help lists them."""
        here, later = self.ctl("tribectl", "--help").split("not got yet:\n")
        names = [re.findall(r"^  ([a-z][a-z-]+)", part, re.M) for part in (here, later.split("Flags")[0])]
        self.assertIn("status", names[0])
        self.assertIn("vote", names[0])
        self.assertIn("mcp", names[1])
        return names

    def test_man_pages_are_clean(self):
        for path in (("man", "man1", "tribectl.1"), ("man", "man8", "tribed.8")):
            text = self.read(*path)
            self.assertTrue(text.startswith(".TH "))
            for line in text.splitlines():
                self.assertFalse(line.startswith("'"), line)
                if line.startswith("."):
                    self.assertRegex(line, r"^\.(TH|SH|SS|TP|PP)\b")
                self.assertEqual(re.sub(r"\\(fB|fI|fR|e|-|&)", "", line).count("\\"), 0, line)
            if shutil.which("groff"):
                done = subprocess.run(["groff", "-man", "-z", "-ww", "-Tutf8", "-K", "utf8", os.path.join(SHARE, *path)], capture_output=True,
                                      text=True, check=False)
                self.assertEqual((done.returncode, done.stdout + done.stderr), (0, ""))
            if shutil.which("man"):
                done = subprocess.run(["man", "-l", "--warnings", os.path.join(SHARE, *path)], capture_output=True, text=True, check=False,
                                      env=dict(os.environ, MANPAGER="cat", PAGER="cat"))
                if done.returncode == 0:  # a machine without a formatter has man and says so
                    self.assertEqual(done.stderr, "")

    def test_man_pages_are_complete(self):
        text = self.read("man", "man1", "tribectl.1").replace("\\-", "-")
        here, later = self.commands()
        for name in here:
            self.assertIn(f".SS \\fB{name}\\fR", text)
            for option in re.findall(r"--[a-z][a-z-]+", self.ctl("tribectl", name, "--help")):
                self.assertIn(option, text)
        for name in later:
            self.assertIn(f"\\fB{name}\\fR", text.split("NOT IN THIS VERSION")[1])
        tribed = self.read("man", "man8", "tribed.8").replace("\\-", "-")
        for option in re.findall(r"--[a-z][a-z-]+", self.ctl("tribed", "--help")):
            self.assertIn(option, tribed)
        with tempfile.TemporaryDirectory(prefix="tribe-", dir="/tmp") as where:
            for setting in json.loads(self.ctl("tribectl", "--dev", where, "config", "--json"))["settings"]:
                self.assertIn(f"\\fB{setting['key']}\\fR", tribed)

    def complete(self, *words, cwd=None):
        """What bash offers for the last word."""
        script = 'source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _tribectl; printf "%s\\n" "${COMPREPLY[@]}"'
        done = subprocess.run(["bash", "-uc", script, "bash", os.path.join(SHARE, "bash-completion", "completions", "tribectl"), "tribectl",
                               *words], capture_output=True, text=True, check=False, cwd=cwd)
        self.assertEqual((done.returncode, done.stderr), (0, ""), done)
        return done.stdout.split()

    def test_completion(self):
        here, later = self.commands()
        self.assertEqual(sorted(self.complete("")), sorted(here))
        self.assertFalse(set(later) & set(self.complete("")))
        self.assertEqual(self.complete("st"), ["status", "stop", "start"])
        self.assertEqual(self.complete("--dev", "/tmp", "heart"), ["heartbeats"])
        self.assertEqual(self.complete("--dev", "=", "/tmp", "heart"), ["heartbeats"])
        self.assertEqual(self.complete("--json", "heart"), ["heartbeats"])
        self.assertEqual(self.complete("restart", ""), list(ROLES))
        self.assertEqual(self.complete("restart", "me"), ["memory", "meta"])
        self.assertEqual(self.complete("drill", "--jr", ""), list(ROLES) + ["all"])
        self.assertEqual(self.complete("drill", "--jr", "=", "ex"), ["executive"])
        self.assertEqual(self.complete("drill", "--jr", "="), list(ROLES) + ["all"])
        self.assertEqual(self.complete("drill", "--fault", ""), ["kill", "hang", "spin", "block", "slow", "exit", "heap", "oom", "fd-exhaustion", "half-open", "garbage", "double",
                                                                  "during-recovery", "supervisor-kill"])
        self.assertEqual(self.complete("ask", "why", "--detail", "f"), ["full"])
        self.assertEqual(self.complete("analyze", ""), ["anomalies"])
        self.assertEqual(self.complete("--set", "log"), ["log.level="])
        self.assertEqual(self.complete("status", ""), [])
        self.assertIn("--json", self.complete("status", "--"))
        self.assertEqual(self.complete("drill", "--sl"), ["--slo-ms"])
        self.assertEqual(self.complete("drill", "--sto"), ["--storm"])
        for name in here:
            wanted = set(re.findall(r"^ .*?(--[a-z][a-z-]+)", self.ctl("tribectl", name, "--help").split("Not in this version")[0], re.M))
            self.assertTrue(wanted <= set(self.complete(name, "--")), name)
        with tempfile.TemporaryDirectory(prefix="tribe-", dir="/tmp") as where:
            for name in ("notes.md", "more.md"):
                with open(os.path.join(where, name), "w", encoding="utf-8"):
                    pass
            os.mkdir(os.path.join(where, "nest"))
            self.assertEqual(sorted(self.complete("import", "n", cwd=where)), ["nest", "notes.md"])
            self.assertEqual(self.complete("--dev", "n", cwd=where), ["nest"])


if __name__ == "__main__":
    main()
