"""Backup, verify-backup and restore: under load, against flipped bytes, against kill -9; and the drill of
docs/DISASTER_RECOVERY.md: backup, destroy, restore, compare."""
import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "kit"))
from tribe import Load, Tribe, TribeCase, main, program, wait_for  # noqa: E402

MEMORIES = "/api/v1/memories"
DRILL_SIZE = int(os.environ.get("TRIBE_DRILL_SIZE", "2000"))  # memories in the drill of docs/DISASTER_RECOVERY.md
LINE = b"tribe-backup "


def manifest(path):
    """What `tail -n 1` would show."""
    with open(path, "rb") as f:
        last = f.read().splitlines()[-1]
    return json.loads(last[last.index(LINE) + len(LINE):])


def flipped(source, target, at, bit=0):
    shutil.copyfile(source, target)
    with open(target, "r+b") as f:
        f.seek(at)
        byte = f.read(1)[0]
        f.seek(at)
        f.write(bytes([byte ^ 1 << bit]))
    return target


class Clock:
    """Prints how long each step of a drill took."""

    def __init__(self):
        self.began = time.monotonic()

    def __call__(self, step):
        now = time.monotonic()
        print(f"  {step}: {now - self.began:.2f} s", file=sys.stderr)
        self.began = time.monotonic()


class Case(TribeCase):
    def path(self, name):
        return os.path.join(self.tribe.base, name)

    def ctl(self, *words, code=0, **more):
        done = self.tribe.ctl("--json", *words, **more)
        self.assertEqual(done.returncode, code, done)
        return json.loads(done.stdout) if done.stdout else {}

    def start_ctl(self, *words):
        return subprocess.Popen([program("tribectl"), "--dev", self.tribe.dir, "--json", *words], env=self.tribe.env,
                                cwd=self.tribe.base, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                text=True)

    def export(self):
        """Everything, as one can compare it."""
        done = self.tribe.ctl("export")
        self.assertEqual(done.returncode, 0, done)
        return sorted(done.stdout.splitlines())

    def total(self):
        answers = []  # on a busy machine the first count may take longer than a caller's patience
        wait_for(lambda: answers.append(self.tribe.get("/api/v1/thermal")) or answers[-1].status == 200, "it can say how many there are")
        return answers[-1].json()["total_memories"]

    def fill(self, n, name="entry"):
        """n memories in one file's import: with metadata, tags, sources, some of them sacred."""
        with open(self.path(name + ".jsonl"), "w", encoding="utf-8") as f:
            for i in range(n):
                f.write(json.dumps({"id": f"{name}-{i}", "content": f"{name} {i} \u00e9t\u00e9 of the log " + "word " * (i % 40),
                                    "tags": [f"t{i % 7}"], "source": f"s{i % 5}", "importance": i % 10 / 9,
                                    "sacred": i % 97 == 0, "metadata": {"n": i, "x": i / 7, "deep": {"b": [1, None], "a": "z"}}})
                        + "\n")
        self.assertEqual(self.ctl("import", self.path(name + ".jsonl"))["added"], n)

    def no_parts(self):
        """Nothing half done is left once a work has come and gone."""
        left = [name for name in os.listdir(os.path.join(self.tribe.state, "backups")) if name.endswith((".part", ".new"))]
        self.assertEqual(left, [])
        self.assertFalse(os.path.exists(os.path.join(self.tribe.state, "archive", "restoring")))

    def current(self):
        return os.readlink(os.path.join(self.tribe.state, "archive", "current"))


class UnderLoad(Case):
    """Writers go on; a backup is one moment of them."""

    def look(self, path):
        """ids -> content of the memories in a backup, by SQLite itself, the manifest behind it notwithstanding."""
        with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as db:
            self.assertEqual(db.execute("PRAGMA integrity_check").fetchone()[0], "ok")
            rows = db.execute("SELECT id, original_content FROM thermal_memory_archive").fetchall()
        db.close()
        return rows

    def test_a_consistent_prefix(self):
        self.fill(4000, "prefill")
        with Load(self.tribe, adders=3, askers=1) as load:
            load.wait_progress(20, 2)
            for turn in range(3):
                with load.lock:
                    before = dict(load.memories)
                path = self.path(f"load{turn}.sqlite")
                answer = self.ctl("backup", path)
                with load.lock:
                    after = dict(load.memories)
                rows = self.look(path)
                found = dict(rows)
                self.assertEqual(len(found), len(rows))
                missing = [i for i, content in before.items() if found.get(i) != content]
                self.assertEqual(missing, [], "acknowledged before it began, and not in it")
                contents = [content for _, content in rows]
                self.assertEqual(len(set(contents)), len(contents), "a memory is in it twice")
                # of each writer a prefix: it adds the next one only when the last was acknowledged
                for n in range(3):
                    mine = sorted(int(content.rsplit("turn", 1)[1]) for content in contents if f"thread{n} turn" in content)
                    self.assertEqual(mine, list(range(1, len(mine) + 1)))
                self.assertEqual(answer["memories"], len(rows))
                self.assertGreater(len(after), len(before), "nobody wrote meanwhile")
                self.assertEqual(manifest(path)["content_sha256"], answer["content_sha256"])
                load.wait_progress(10, 1)
        load_before = load.done()
        load.wrong = [w for w in load.wrong]  # read once, under no load
        self.assertEqual(load.wrong, [])
        self.assertGreater(load_before[0], 40)
        for turn in range(3):
            self.assertIs(self.ctl("verify-backup", self.path(f"load{turn}.sqlite"))["ok"], True)
        self.no_parts()

    def test_nobody_is_refused_while_it_is_restored(self):
        self.fill(500, "calm")
        with Load(self.tribe, adders=2, askers=1) as load:
            load.wait_progress(10, 2)
            path = self.path("calm.sqlite")
            self.ctl("backup", path)
            load.wait_progress(10, 2)
            answer = self.ctl("restore", path)
            load.wait_progress(10, 2)
        self.assertEqual(load.wrong, [])
        # Everything acknowledged is in the new archive or in the kept one, nothing in neither.
        served = {json.loads(line)["id"] for line in self.export()}
        with sqlite3.connect(f"file:{answer['kept']}/thermal.sqlite?mode=ro", uri=True) as db:
            kept = {row[0] for row in db.execute("SELECT id FROM thermal_memory_archive")}
        db.close()
        lost = [i for i in load.memories if i not in served and i not in kept]
        self.assertEqual(lost, [])
        self.assertTrue(any(i not in served for i in load.memories), "what came behind the backup is served")


class Verified(Case):
    """A manifest is believed only where it is true."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.tribe.remember("The plover nests on shingle.", tags=["birds"], metadata={"n": 1.5})
        cls.tribe.remember("drill load", source="drill:1")
        cls.tribe.ctl("decide", "Nests are left alone")
        cls.file = os.path.join(cls.tribe.base, "good.sqlite")
        done = cls.tribe.ctl("backup", cls.file)
        assert done.returncode == 0, done

    def refused(self, path, word):
        done = self.tribe.ctl("--json", "verify-backup", path)
        self.assertEqual(done.returncode, 1, done)
        self.assertIs(json.loads(done.stdout)["ok"], False)
        self.assertIn(word, json.loads(done.stdout)["reason"])
        before = self.current()
        done = self.tribe.ctl("restore", path)
        self.assertEqual(done.returncode, 1, done)
        self.assertIn(word, done.stderr)
        self.assertEqual(self.current(), before)
        self.no_parts()

    def test_a_good_one(self):
        answer = self.ctl("verify-backup", self.file)
        self.assertEqual((answer["ok"], answer["bytes_ok"], answer["content_ok"]), (True, True, True))
        self.assertEqual((answer["memories"], answer["rows"]["thermal_memory_archive"], answer["rows"]["decisions"]), (2, 3, 1))
        self.assertEqual(os.stat(self.file).st_mode & 0o777, 0o600)
        # with the tools of any system
        size = str(answer["bytes"])
        digest = subprocess.run(f"head -c {size} '{self.file}' | sha256sum", shell=True, capture_output=True, text=True, check=True)
        self.assertEqual(digest.stdout.split()[0], answer["sha256"])

    def test_flipped_bytes(self):
        size = os.stat(self.file).st_size
        rng = random.Random(7)
        for i in range(30):
            path = flipped(self.file, self.path("flipped"), rng.randrange(size - 700), rng.randrange(8))
            done = self.tribe.ctl("verify-backup", path)
            self.assertEqual(done.returncode, 1, (i, done))
            self.assertIn("sha256", done.stderr)
        self.refused(path, "sha256")

    def test_cut_and_grown_files(self):
        with open(self.file, "rb") as f:
            data = f.read()
        for cut in (0, 1, 100, len(data) // 2, len(data) - 1):
            with open(self.path("cut"), "wb") as f:
                f.write(data[:cut])
            self.refused(self.path("cut"), "manifest")
        with open(self.path("grown"), "wb") as f:
            f.write(data + b"x\n")
        self.refused(self.path("grown"), "manifest")

    def rewrite(self, name, change):
        """A backup whose bytes and manifest agree, but not with the truth."""
        with open(self.file, "rb") as f:
            data = f.read()
        m = manifest(self.file)
        payload = data[:m["bytes"]]
        payload = change(m, payload) or payload
        m["bytes"] = len(payload)
        if "sha256" not in name:
            import hashlib
            m["sha256"] = hashlib.sha256(payload).hexdigest()
        with open(self.path(name), "wb") as f:
            f.write(payload + b"\n" + LINE + json.dumps(m).encode() + b"\n")
        return self.path(name)

    def change_rows(self, statement):
        def change(_m, payload):
            with open(self.path("raw"), "wb") as f:
                f.write(payload)
            db = sqlite3.connect(self.path("raw"))
            db.execute(statement)
            db.commit()
            db.close()
            with open(self.path("raw"), "rb") as f:
                return f.read()
        return change

    def test_manifests_that_lie(self):
        self.refused(self.rewrite("count", lambda m, p: m.update(memories=3)), "memories")
        self.refused(self.rewrite("schema", lambda m, p: m.update(schema=1)), "schema")
        self.refused(self.rewrite("rows", lambda m, p: m["rows"].update(decisions=2)), "rows")
        self.refused(self.rewrite("content", lambda m, p: m.update(content_sha256="0" * 64)), "content_sha256")
        self.refused(self.rewrite("format", lambda m, p: m.update(format=2)), "format")
        done = self.tribe.ctl("verify-backup", self.rewrite("kind", lambda m, p: m.update(kind="dump")))
        self.assertEqual(done.returncode, 1, done)
        self.assertIn("kind", done.stderr)
        self.refused(self.rewrite("extra", lambda m, p: m.update(more=1)), "more")
        # What another program wrote has not the sums that pages have here.
        self.refused(self.rewrite("changed", self.change_rows("UPDATE thermal_memory_archive SET importance = 1 WHERE hidden = 0")),
                     "damaged")

    def test_not_a_backup(self):
        with open(self.path("text"), "w", encoding="utf-8") as f:
            f.write("just a text\n")
        self.refused(self.path("text"), "manifest")
        self.refused("/dev/null", "regular file")
        self.assertEqual(self.tribe.ctl("verify-backup", self.path("nowhere")).returncode, 1)
        self.assertEqual(self.tribe.ctl("verify-backup").returncode, 2)
        self.assertEqual(self.tribe.ctl("restore").returncode, 2)
        self.assertEqual(self.tribe.ctl("restore", "--undo", self.file).returncode, 2)
        self.assertEqual(self.tribe.ctl("backup", "--sql").returncode, 1)
        flags = ("--state", self.tribe.state, "--runtime", self.tribe.run)
        done = subprocess.run([program("tribectl"), *flags, "restore", self.file], capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 2, done)
        self.assertIn("--yes", done.stderr)

    def test_where_it_goes(self):
        answer = self.ctl("backup")
        self.assertEqual(os.path.dirname(answer["file"]), os.path.join(self.tribe.state, "backups"))
        self.assertRegex(os.path.basename(answer["file"]), r"^thermal-\d+\.sqlite$")
        again = self.ctl("backup")
        self.assertNotEqual(again["file"], answer["file"])
        os.mkdir(self.path("dir"))
        self.assertEqual(os.path.dirname(self.ctl("backup", self.path("dir"))["file"]), self.path("dir"))
        os.symlink("behind", self.path("link"))
        with open(self.path("behind"), "w", encoding="utf-8") as f:
            f.write("old")
        self.ctl("backup", self.path("link"))
        self.assertTrue(os.path.islink(self.path("link")))
        self.assertEqual(manifest(self.path("behind"))["memories"], 2)
        with open(self.path("stdout"), "wb") as f:
            subprocess.run([program("tribectl"), "--dev", self.tribe.dir, "backup", "-"], stdout=f, check=True)
        self.ctl("verify-backup", self.path("stdout"))
        self.assertEqual(self.tribe.ctl("backup", "/nowhere/at/all.sqlite").returncode, 1)
        self.no_parts()

    def test_the_second_waits_for_the_first(self):
        running = [self.start_ctl("backup", self.path(f"both{i}")) for i in range(3)]
        for i, process in enumerate(running):
            out, err = process.communicate(timeout=120)
            self.assertEqual(process.returncode, 0, err)
            self.assertEqual(json.loads(out)["memories"], 2)
            self.assertEqual(manifest(self.path(f"both{i}"))["memories"], 2)


class Drill(Case):
    """What docs/DISASTER_RECOVERY.md rehearses."""

    def test_backup_destroy_restore_verify(self):
        self.fill(DRILL_SIZE)
        self.ctl("decide", "The archive is backed up every night")
        asked = self.tribe.post("/api/v1/ask", {"question": "What does the log say of entry 17?"}).json()
        for source in asked["sources"]:  # the touches ride in the next commit
            wait_for(lambda i=source["id"]: self.tribe.get(f"{MEMORIES}/{i}?touch=false").json()["access_count"] == 2, "it is touched")
        before = self.export()
        clock = Clock()
        answer = self.ctl("backup", self.path("drill.sqlite"))
        clock("backup (%.1f MB)" % (answer["bytes"] / 1e6))
        self.assertEqual(self.tribe.stop(), 0)
        alone = self.tribe.ctl("--json", "verify-backup", self.path("drill.sqlite"))
        self.assertEqual(alone.returncode, 3, alone)
        self.assertIsNone(json.loads(alone.stdout)["ok"])
        self.assertIn("was not checked", alone.stderr)
        shutil.rmtree(os.path.join(self.tribe.state, "archive"))
        self.tribe.start()
        self.assertEqual(self.total(), 0)
        clock("destroyed and started anew")
        self.ctl("verify-backup", self.path("drill.sqlite"))
        clock("verify-backup")
        restored = self.ctl("restore", self.path("drill.sqlite"))
        clock("restore")
        self.assertEqual(restored["total_memories"], DRILL_SIZE + 1)
        self.assertEqual(self.current(), "2")
        self.assertTrue(self.export() == before, "what was restored is not what was there")
        self.assertEqual(self.ctl("backup", self.path("again.sqlite"))["content_sha256"], answer["content_sha256"])
        found = self.tribe.get(f"{MEMORIES}?q=entry+17+of+the+log&limit=1&touch=false").json()["memories"]
        self.assertEqual(len(found), 1)

    def test_damage_that_memory_jr_refuses(self):
        """The archive's file is no database any more: it is moved away, and the backup restored into a new one."""
        self.tribe.remember("The heron fishes at dawn.", id="heron")
        total = self.total()
        self.ctl("backup", self.path("heron.sqlite"))
        self.assertEqual(self.tribe.stop(), 0)
        archive = os.path.join(self.tribe.state, "archive")
        with open(os.path.join(archive, "current", "thermal.sqlite"), "r+b") as f:
            f.write(b"rubbish" * 1000)
        os.rename(archive, archive + ".broken")
        self.tribe.start()
        self.ctl("restore", self.path("heron.sqlite"))
        self.assertEqual(self.total(), total)
        self.assertEqual(self.tribe.get(f"{MEMORIES}/heron?touch=false").json()["content"], "The heron fishes at dawn.")
        shutil.rmtree(archive + ".broken")

    def test_there_and_back(self):
        self.ctl("backup", self.path("there.sqlite"))
        total, was = self.total(), self.current()
        self.tribe.remember("Only behind the backup.", id="behind")
        restored = self.ctl("restore", self.path("there.sqlite"))
        self.assertEqual(restored["kept"], os.path.join(self.tribe.state, "archive", was))
        self.assertEqual(self.total(), total)
        self.assertEqual(self.tribe.get(f"{MEMORIES}/behind").status, 404)
        back = self.ctl("restore", "--undo")
        self.assertEqual(self.current(), was)
        self.assertEqual(back["total_memories"], total + 1)
        self.assertEqual(self.tribe.get(f"{MEMORIES}/behind?touch=false").status, 200)
        text = self.tribe.ctl("restore", self.path("there.sqlite")).stdout
        self.assertIn("is kept", text)
        self.assertIn("only there", text)


class Scripts(Case):
    """deploy/scripts, as cron would call them."""

    WHERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "deploy", "scripts")

    def script(self, name, *words, code=0, **env):
        done = subprocess.run(["/bin/sh", os.path.join(self.WHERE, name), *words], capture_output=True, text=True, check=False,
                              timeout=120, cwd=self.tribe.base, env={**self.tribe.env, "TRIBE_CTL": program("tribectl"), **env})
        self.assertEqual(done.returncode, code, done)
        return done

    def test_keep_and_restore(self):
        where, dev = self.path("my backups"), ("--dev", self.tribe.dir)
        self.tribe.remember("The first.", id="first")
        made = [json.loads(self.script("backup_thermal_memory.sh", "--to", where, "--keep", "2", "--json", *dev).stdout)["file"]
                for _ in range(4)]
        with open(os.path.join(where, "thermal-notes.sqlite"), "w", encoding="utf-8") as f:
            f.write("mine")
        left = os.listdir(where)
        self.assertIn(os.path.basename(made[-1]), left)
        self.assertIn("thermal-notes.sqlite", left)
        self.assertTrue(3 <= len(left) <= 4, left)  # of two within a second the newest may have the lower number
        self.assertEqual(os.stat(made[-1]).st_mode & 0o777, 0o600)
        self.tribe.remember("The second.", id="second")
        wait_for(lambda: time.time() > max(int(name[8:-7]) for name in left if name[8:-7].isdigit()) + 1, "the next second")
        self.script("backup_thermal_memory.sh", *dev, TRIBE_BACKUP_DIR=where, TRIBE_BACKUP_KEEP="0")
        self.assertEqual(len(os.listdir(where)), len(left) + 1)
        self.tribe.remember("The third.", id="third")
        done = self.script("restore_thermal_memory.sh", where, "--json", *dev)
        self.assertEqual(json.loads(done.stdout)["memories"], 2)
        self.assertEqual(self.tribe.get(f"{MEMORIES}/third").status, 404)
        self.script("restore_thermal_memory.sh", made[-1], *dev)
        self.assertEqual(self.tribe.get(f"{MEMORIES}/second").status, 404)
        self.assertEqual(self.tribe.get(f"{MEMORIES}/first?touch=false").status, 200)

    def test_statuses(self):
        where = self.path("statuses")
        self.script("backup_thermal_memory.sh", "--keep", "some", code=2)
        self.script("backup_thermal_memory.sh", "--keep", code=2)
        self.script("backup_thermal_memory.sh", "--to", where, "--dev", self.path("nobody"), code=3)
        self.script("backup_thermal_memory.sh", "--to", where, "--dev", self.tribe.dir, "--no-such-flag", code=2)
        self.script("backup_thermal_memory.sh", "--to", where, "--dev", self.tribe.dir, "--sql", code=1)
        self.script("restore_thermal_memory.sh", code=2)
        self.script("restore_thermal_memory.sh", where, "--dev", self.tribe.dir, code=1)
        self.assertIn("--keep N", self.script("backup_thermal_memory.sh", "--help").stdout)
        self.assertIn("FILE|DIR", self.script("restore_thermal_memory.sh", "--help").stdout)


class NamedFile(Case):
    """archive.url = sqlite:PATH: the old file keeps a name of its own."""

    @classmethod
    def setUpClass(cls):
        cls.tribe = Tribe("archive.url=sqlite:mine.sqlite")
        cls.addClassCleanup(cls.tribe.close)

    def test_restore(self):
        self.tribe.remember("The gull laughs.", id="gull")
        self.ctl("backup", self.path("gull.sqlite"))
        self.tribe.remember("Only behind the backup.", id="behind")
        answer = self.ctl("restore", self.path("gull.sqlite"))
        self.assertRegex(answer["kept"], r"/mine\.sqlite\.before-\d+$")
        self.assertEqual(self.total(), 1)
        with sqlite3.connect(f"file:{answer['kept']}?mode=ro", uri=True) as db:
            self.assertEqual(db.execute("SELECT count(*) FROM thermal_memory_archive").fetchone()[0], 2)
        db.close()
        undo = self.tribe.ctl("restore", "--undo")
        self.assertEqual(undo.returncode, 1, undo)
        self.assertIn("by hand", undo.stderr)
        self.assertFalse(os.path.exists(os.path.join(self.tribe.state, "mine.sqlite.restoring")))


class Killed(Case):
    """kill -9, of whoever works, whenever: the old archive serves, and nothing half done has a final name."""

    SIZE = 12000

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        case = cls("test_all")
        case.fill(cls.SIZE, "killed")
        case.ctl("backup", case.path("good.sqlite"))
        cls.tribe.remember("Only behind the backup.", id="behind")

    def judge(self, target):
        """The file is not there, or whole."""
        if target is not None and os.path.exists(target):
            self.ctl("verify-backup", target)
            os.unlink(target)
        names = os.listdir(self.tribe.base)
        self.assertEqual([name for name in names if name.startswith("out.sqlite")], [])
        self.assertEqual(self.tribe.get(f"{MEMORIES}/killed-7?touch=false").status, 200)

    def in_phase(self, process, phases):
        """Waits until memory-jr is at it; False when it was quicker."""
        def there():
            if process.poll() is not None:
                return True
            names = os.listdir(os.path.join(self.tribe.state, "backups"))
            for name in names:
                if name.endswith(".part"):
                    try:
                        work = self.tribe.call("memory.sock", "memory.work", {"work": name[:-5]})["work"]
                    except Exception:  # pylint: disable=broad-except
                        continue
                    if work["phase"] in phases:
                        return True
            return False
        wait_for(there, f"it is {phases}")
        return process.poll() is None

    def kill_memory(self):
        pid = self.tribe.pids().get("memory")
        if pid is None:
            return
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:  # it has just left by itself: the restored archive is in place
            pass
        self.tribe.wait_new("memory", pid)

    def test_all(self):
        for what in ("memory", "tribectl"):
            for phase in ("copying", "checking", "reading", "sealing"):
                target = self.path("out.sqlite")
                process = self.start_ctl("backup", target)
                caught = self.in_phase(process, (phase,))
                if what == "memory":
                    self.kill_memory()
                else:
                    process.kill()
                out, err = process.communicate(timeout=120)
                if caught and what == "memory":
                    self.assertEqual(process.returncode, 1, (phase, out, err))
                    self.assertIn("replaced meanwhile", err)
                self.judge(target)
        answer = self.ctl("backup", self.path("out2.sqlite"))
        self.assertEqual(answer["memories"], self.SIZE + 1)
        self.no_parts()

    def test_restore_before_the_switch(self):
        for what in ("memory", "tribectl"):
            for phase in ("digesting", "checking", "reading"):
                was = self.current()
                process = self.start_ctl("restore", self.path("good.sqlite"))
                caught = self.in_phase(process, (phase,))
                if what == "memory":
                    self.kill_memory()
                else:
                    process.kill()
                process.communicate(timeout=120)
                if caught and what == "memory":
                    self.assertEqual(process.returncode, 1, phase)
                if caught and what == "tribectl":
                    # whoever asked is gone: given up once somebody else wants to work
                    self.ctl("verify-backup", self.path("good.sqlite"))
                if caught:
                    self.assertEqual(self.current(), was)
                    self.assertEqual(self.tribe.get(f"{MEMORIES}/behind?touch=false").status, 200)
                elif self.current() != was:
                    self.ctl("restore", "--undo")
                self.judge(None)
        self.ctl("verify-backup", self.path("good.sqlite"))
        self.no_parts()

    def test_restore_at_any_moment(self):
        """Random moments up to the end: the old one or the new one, never anything between."""
        rng = random.Random(11)
        began = time.monotonic()
        self.ctl("restore", self.path("good.sqlite"))
        whole = time.monotonic() - began
        self.ctl("restore", "--undo")
        outcomes = set()
        for turn in range(12):
            process = self.start_ctl("restore", self.path("good.sqlite"))
            end = time.monotonic() + whole * (0.5 + 0.6 * turn / 12) * rng.uniform(0.9, 1.1)
            while time.monotonic() < end and process.poll() is None:
                time.sleep(0.002)
            self.kill_memory()
            process.communicate(timeout=120)
            wait_for(lambda: self.tribe.get("/readyz").status == 200, "it serves")
            total = self.total()
            self.assertIn(total, (self.SIZE, self.SIZE + 1))
            outcomes.add(total)
            if process.returncode == 0:
                self.assertEqual(total, self.SIZE)
            if total == self.SIZE:
                self.ctl("restore", "--undo")
        self.assertEqual(self.total(), self.SIZE + 1)
        print(f"outcomes {outcomes}", file=sys.stderr)

    def test_interrupted(self):
        process = self.start_ctl("backup", self.path("out.sqlite"))
        if self.in_phase(process, ("copying", "checking", "reading")):
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=60)
            self.assertNotEqual(process.returncode, 0)
            began = time.monotonic()
            self.ctl("backup", self.path("next.sqlite"))
            self.assertLess(time.monotonic() - began, 30)
        else:
            process.communicate(timeout=60)
        self.judge(self.path("out.sqlite"))


if __name__ == "__main__":
    main()
