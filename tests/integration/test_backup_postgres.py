"""Backup, verify-backup and restore of an archive in PostgreSQL; test_backup.py has SQLite. Databases are changed by their
names here, so the drill also drops one, and restores into another server."""
import hashlib
import json
import os
import random
import signal
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from test_backup import DRILL_SIZE, LINE, MEMORIES, Case, Clock, flipped, manifest  # noqa: E402
from tribe import Load, Tribe, main, program, wait_for  # noqa: E402
from postgres import BIN, Postgres  # noqa: E402


class PgCase(Case):
    """A server of the class's own, with a database "birds" that the tribe's archive is in."""

    ROLE = ""

    @classmethod
    def setUpClass(cls):
        cls.pg = Postgres(fsync=False)
        cls.addClassCleanup(cls.pg.close)
        cls.pg.create("birds")
        cls.tribe = Tribe("archive.url=" + cls.url(), start=False)
        cls.addClassCleanup(cls.tribe.close)
        cls.tribe.start()

    @classmethod
    def url(cls):
        return cls.pg.url("birds")

    def databases(self):
        return set(self.pg.sql("SELECT datname FROM pg_database WHERE datname LIKE 'birds%'").splitlines())

    def no_parts(self):
        left = [name for name in os.listdir(os.path.join(self.tribe.state, "backups")) if name.endswith((".part", ".new"))]
        self.assertEqual(left, [])
        self.assertNotIn("birds_restoring", self.databases())

    def looked_into(self, path):
        """(id, content) of the memories in a dump, by PostgreSQL's own tools."""
        self.pg.drop("look")
        self.pg.create("look")
        subprocess.run([os.path.join(BIN, "pg_restore"), "--exit-on-error", "--no-owner", "-d", self.pg.conninfo("look"), path],
                       check=True, capture_output=True)
        rows = json.loads(self.pg.sql("SELECT coalesce(json_agg(json_build_array(id, original_content)), '[]') "
                                      "FROM thermal_memory_archive", "look"))
        self.pg.drop("look")
        return rows


class UnderLoad(PgCase):
    def test_a_consistent_prefix(self):
        self.fill(3000, "prefill")
        with Load(self.tribe, adders=3, askers=1) as load:
            load.wait_progress(20, 2)
            for turn in range(2):
                with load.lock:
                    before = dict(load.memories)
                path = self.path(f"load{turn}.dump")
                answer = self.ctl("backup", path)
                with load.lock:
                    after = dict(load.memories)
                rows = self.looked_into(path)
                found = dict(rows)
                self.assertEqual(len(found), len(rows))
                self.assertEqual([i for i, content in before.items() if found.get(i) != content], [])
                for n in range(3):
                    mine = sorted(int(content.rsplit("turn", 1)[1]) for _, content in rows if f"thread{n} turn" in content)
                    self.assertEqual(mine, list(range(1, len(mine) + 1)))
                self.assertEqual(answer["memories"], len(rows))
                self.assertGreater(len(after), len(before), "nobody wrote meanwhile")
                load.wait_progress(10, 1)
        self.assertEqual(load.wrong, [])
        for turn in range(2):
            self.assertIs(self.ctl("verify-backup", self.path(f"load{turn}.dump"))["ok"], True)
        self.no_parts()

    def test_nobody_is_refused_while_it_is_restored(self):
        with Load(self.tribe, adders=2, askers=1) as load:
            load.wait_progress(10, 2)
            path = self.path("calm.dump")
            self.ctl("backup", path)
            load.wait_progress(10, 2)
            answer = self.ctl("restore", path)
            load.wait_progress(10, 2)
        self.assertEqual(load.wrong, [])
        served = {json.loads(line)["id"] for line in self.export()}
        kept = set(self.pg.sql("SELECT id FROM thermal_memory_archive", answer["kept"]).splitlines())
        self.assertEqual([i for i in load.memories if i not in served and i not in kept], [])
        self.assertTrue(any(i not in served for i in load.memories), "what came behind the backup is served")


class Verified(PgCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.tribe.remember("The plover nests on shingle.", tags=["birds"], metadata={"n": 1.5, "t": "a\\b\r\nc"})
        cls.tribe.remember("\\! touch nothing", source="drill:1")
        cls.tribe.ctl("decide", "Nests are left alone")
        cls.files = {}
        for kind in ("dump", "sql"):
            cls.files[kind] = os.path.join(cls.tribe.base, "good." + kind)
            done = cls.tribe.ctl("backup", *(["--sql"] if kind == "sql" else []), cls.files[kind])
            assert done.returncode == 0, done

    def refused(self, path, word, verb="verify-backup"):
        done = self.tribe.ctl("--json", verb, path)
        self.assertEqual(done.returncode, 1, done)
        self.assertIn(word, done.stderr)
        self.assertEqual(self.databases(), {"birds"})
        self.assertEqual(self.tribe.get("/readyz").status, 200)

    def rewrite(self, kind, name, change):
        """A backup whose bytes and manifest agree, but not with the truth."""
        with open(self.files[kind], "rb") as f:
            data = f.read()
        m = manifest(self.files[kind])
        payload = data[:m["bytes"]]
        payload = change(m, payload) or payload
        m["bytes"], m["sha256"] = len(payload), hashlib.sha256(payload).hexdigest()
        with open(self.path(name), "wb") as f:
            f.write(payload + (b"-- " if kind == "sql" else b"\n") + LINE + json.dumps(m).encode() + b"\n")
        return self.path(name)

    def test_good_ones(self):
        seen = set()
        for kind, path in self.files.items():
            answer = self.ctl("verify-backup", path)
            self.assertEqual((answer["kind"], answer["ok"], answer["memories"]), (kind, True, 2))
            self.assertEqual(answer["rows"]["thermal_memory_archive"], 3)
            self.assertEqual(os.stat(path).st_mode & 0o777, 0o600)
            seen.add(answer["content_sha256"])
        self.assertEqual(len(seen), 1)
        self.assertEqual(self.databases(), {"birds"})
        self.no_parts()

    def test_flipped_and_cut(self):
        for kind, path in self.files.items():
            size, rng = os.stat(path).st_size, random.Random(5)
            for _ in range(10):
                self.refused(flipped(path, self.path("flipped"), rng.randrange(size - 700), rng.randrange(8)), "sha256")
            self.refused(self.path("flipped"), "sha256", "restore")
            with open(path, "rb") as f:
                data = f.read()
            with open(self.path("cut"), "wb") as f:
                f.write(data[:len(data) // 2])
            self.refused(self.path("cut"), "manifest")

    def test_manifests_that_lie(self):
        for kind in self.files:
            self.refused(self.rewrite(kind, "count", lambda m, p: m.update(memories=3)), "memories")
            self.refused(self.rewrite(kind, "count", lambda m, p: m.update(memories=3)), "memories", "restore")
            self.refused(self.rewrite(kind, "content", lambda m, p: m.update(content_sha256="0" * 64)), "content_sha256")
        changed = self.rewrite("sql", "changed", lambda m, p: p.replace(b"The plover nests", b"The plover tests"))
        self.refused(changed, "content_sha256")
        self.refused(self.rewrite("sql", "broken", lambda m, p: p.replace(b"CREATE TABLE", b"CREATE TABEL", 1)), "psql ended")
        self.refused(self.rewrite("dump", "junk", lambda m, p: os.urandom(5000)), "pg_restore ended")

    def test_a_file_cannot_run_programs(self):
        """psql has commands that do; a file that brings one is refused, and it is not run."""
        for line in (b"\\! touch %s\n", b"SELECT 1 \\! touch %s\n", b"\\restrict x\n\\unrestrict x\n\\! touch %s\n",
                     b"\\o |touch %s\nSELECT 1;\n", b"COPY x FROM stdin;\n\\.\n\\! touch %s\n"):
            trap = self.path("trap")
            path = self.rewrite("sql", "trap.sql", lambda m, p, line=line: line.replace(b"%s", trap.encode()) + p)
            self.refused(path, "psql ended")
            self.assertFalse(os.path.exists(trap), line)

    def test_of_the_other_database(self):
        other = Tribe()
        try:
            other.remember("Elsewhere.")
            path = os.path.join(other.base, "other.sqlite")
            self.assertEqual(other.ctl("backup", path).returncode, 0)
            self.refused(path, "backup of SQLite")
            done = other.ctl("restore", self.files["dump"])
            self.assertEqual(done.returncode, 1, done)
            self.assertIn("backup of PostgreSQL", done.stderr)
        finally:
            other.close()


class Drill(PgCase):
    """What docs/DISASTER_RECOVERY.md rehearses."""

    def tearDown(self):
        for name in self.databases() - {"birds"}:
            self.pg.drop(name)

    def test_backup_destroy_restore_verify(self):
        self.fill(DRILL_SIZE)
        self.ctl("decide", "The archive is backed up every night")
        asked = self.tribe.post("/api/v1/ask", {"question": "What does the log say of entry 17?"}).json()
        for source in asked["sources"]:  # the touches ride in the next commit
            wait_for(lambda i=source["id"]: self.tribe.get(f"{MEMORIES}/{i}?touch=false").json()["access_count"] == 2, "it is touched")
        before, total = self.export(), self.total()
        clock = Clock()
        answer = self.ctl("backup", self.path("drill.dump"))
        clock("backup (%.1f MB)" % (answer["bytes"] / 1e6))
        self.assertEqual(self.tribe.stop(), 0)
        alone = self.tribe.ctl("--json", "verify-backup", self.path("drill.dump"))
        self.assertEqual(alone.returncode, 3, alone)
        self.pg.drop("birds")
        self.pg.create("birds")
        self.tribe.start()
        self.assertEqual(self.total(), 0)
        clock("destroyed and started anew")
        self.ctl("verify-backup", self.path("drill.dump"))
        clock("verify-backup")
        restored = self.ctl("restore", self.path("drill.dump"))
        clock("restore")
        self.assertEqual(restored["total_memories"], total)
        self.assertRegex(restored["kept"], r"^birds_before_\d+$")
        self.assertTrue(self.export() == before, "what was restored is not what was there")
        self.assertEqual(self.ctl("backup", self.path("again.dump"))["content_sha256"], answer["content_sha256"])
        self.no_parts()

    def test_into_another_server(self):
        """Its transactions have lower numbers than those that the rows name: none may look as if it were still to come."""
        self.pg.sql("DO $$BEGIN FOR i IN 1..3000 LOOP PERFORM pg_current_xact_id(); COMMIT; END LOOP; END$$")
        self.tribe.remember("The heron fishes at dawn.", id="heron")
        total = self.total()
        self.ctl("backup", self.path("far.dump"))
        self.ctl("backup", "--sql", self.path("far.sql"))
        for name in ("far.dump", "far.sql"):
            with Postgres(fsync=False) as other:
                other.create("elsewhere")
                tribe = Tribe("archive.url=" + other.url("elsewhere"))
                try:
                    done = tribe.ctl("--json", "restore", self.path(name))
                    self.assertEqual(done.returncode, 0, done)
                    self.assertEqual(tribe.get("/api/v1/thermal").json()["total_memories"], total)
                    self.assertEqual(tribe.get(f"{MEMORIES}/heron?touch=false").status, 200)
                    self.assertEqual(other.sql("SELECT count(*) FROM thermal_memory_archive WHERE xid >= "
                                               "pg_snapshot_xmin(pg_current_snapshot())", "elsewhere"), "0")
                    tribe.remember("Written there.", id="there")
                    self.assertEqual(tribe.get(f"{MEMORIES}/there?touch=false").status, 200)
                finally:
                    tribe.close()

    def test_there_and_back(self):
        self.tribe.remember("The gull laughs.")
        self.ctl("backup", self.path("there.dump"))
        total = self.total()
        self.tribe.remember("Only behind the backup.", id="behind")
        restored = self.ctl("restore", self.path("there.dump"))
        self.assertEqual(self.total(), total)
        self.assertEqual(self.tribe.get(f"{MEMORIES}/behind").status, 404)
        self.assertEqual(self.databases(), {"birds", restored["kept"]})
        back = self.ctl("restore", "--undo")
        self.assertEqual(back["total_memories"], total + 1)
        self.assertEqual(self.tribe.get(f"{MEMORIES}/behind?touch=false").status, 200)
        self.assertRegex(back["kept"], r"^birds_undone_\d+$")
        again = self.tribe.ctl("restore", "--undo")
        self.assertEqual(again.returncode, 1, again)
        self.assertIn("no restore", again.stderr)

    def test_somebody_else_is_connected(self):
        self.ctl("backup", self.path("alone.dump"))
        shell = subprocess.Popen([os.path.join(BIN, "psql"), "-X", "-d", self.pg.conninfo("birds")], stdin=subprocess.PIPE,
                                 stdout=subprocess.DEVNULL)
        try:
            wait_for(lambda: self.pg.sql("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'psql' AND datname = 'birds'",
                                         "birds") == "2", "psql is connected")
            done = self.tribe.ctl("restore", self.path("alone.dump"))
            self.assertEqual(done.returncode, 1, done)
            self.assertIn("other connections", done.stderr)
            self.assertEqual(self.databases(), {"birds"})
        finally:
            shell.stdin.close()
            shell.wait(30)
        self.ctl("restore", self.path("alone.dump"))


class WeakRole(PgCase):
    """A role that may not make databases: it can back up; verifying and restoring say what is missing."""

    @classmethod
    def url(cls):
        cls.pg.sql("CREATE ROLE weak LOGIN; ALTER DATABASE birds OWNER TO weak")
        cls.pg.sql("ALTER SCHEMA public OWNER TO weak", "birds")
        return cls.pg.url("birds").replace("://tribe@", "://weak@")

    def test_it(self):
        self.tribe.remember("The plover nests on shingle.")
        self.ctl("backup", self.path("weak.dump"))
        for verb in ("verify-backup", "restore"):
            done = self.tribe.ctl(verb, self.path("weak.dump"))
            self.assertEqual(done.returncode, 1, done)
            self.assertIn("CREATEDB", done.stderr)
        self.assertEqual(self.total(), 1)


class Killed(PgCase):
    """kill -9, of whoever works: the archive serves, and nothing half done has a final name."""

    SIZE = 6000

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        case = cls("test_backup")
        case.fill(cls.SIZE, "killed")
        case.ctl("backup", case.path("good.dump"))
        cls.tribe.remember("Only behind the backup.", id="behind")

    def tool_runs(self, process, name):
        """Waits until tribectl has started it. False when it was quicker."""
        def there():
            if process.poll() is not None:
                return True
            try:
                with open(f"/proc/{process.pid}/task/{process.pid}/children", encoding="ascii") as f:
                    pids = f.read().split()
            except FileNotFoundError:
                return False
            for pid in pids:
                try:
                    with open(f"/proc/{pid}/cmdline", "rb") as f:
                        words = f.read().split(b"\0")
                    with open(f"/proc/{pid}/environ", "rb") as f:
                        self.assertNotIn(b"PGPASSWORD", f.read())
                except (FileNotFoundError, ProcessLookupError):
                    continue
                if os.path.basename(words[0].decode()) == name:
                    return True
            return False
        wait_for(there, f"{name} runs")
        return process.poll() is None

    def kill_memory(self):
        pid = self.tribe.pids()["memory"]
        os.kill(pid, signal.SIGKILL)
        self.tribe.wait_new("memory", pid)

    def judge(self):
        self.assertEqual(self.tribe.get(f"{MEMORIES}/behind?touch=false").status, 200)
        self.assertEqual([name for name in os.listdir(self.tribe.base) if name.startswith("out.dump")], [])
        self.assertTrue(self.databases() <= {"birds", "birds_restoring"})

    def cut_off(self, words, tool):
        for what in ("memory", "tribectl", "interrupt"):
            process = self.start_ctl(*words)
            self.assertTrue(self.tool_runs(process, tool), "too quick for this test")
            if what == "memory":
                self.kill_memory()
            else:
                process.send_signal(signal.SIGKILL if what == "tribectl" else signal.SIGINT)
            _, err = process.communicate(timeout=120)
            self.assertNotEqual(process.returncode, 0)
            if what == "memory":
                self.assertIn("replaced meanwhile", err)
            self.judge()

    def test_backup(self):
        self.cut_off(("backup", self.path("out.dump")), "pg_dump")
        self.assertEqual(self.ctl("backup", self.path("next.dump"))["memories"], self.SIZE + 1)
        self.no_parts()

    def test_restore(self):
        self.cut_off(("restore", self.path("good.dump")), "pg_restore")
        # what was cut off is taken away by the next one, once a pg_restore without its tribectl has let go
        wait_for(lambda: self.tribe.ctl("verify-backup", self.path("good.dump")).returncode == 0, "it verifies again")
        self.no_parts()
        self.assertEqual(self.tribe.get(f"{MEMORIES}/behind?touch=false").status, 200)


if __name__ == "__main__":
    main()
