"""The private PostgreSQL of tests (postgres.py, and the script beside it): it keeps what it committed, and it goes."""
import os
import pwd
import signal
import subprocess
import sys
import tempfile
import threading
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
import postgres as kit  # noqa: E402

SCRIPT = os.path.join(HERE, "postgres")


def run(*args, **more):
    return subprocess.run([SCRIPT, *args], capture_output=True, text=True, timeout=300, check=False, **more)


class PostgresKit(unittest.TestCase):
    def gone(self, pg, process):
        self.assertTrue(kit.gone(process))
        self.assertFalse(os.path.exists(pg.base))

    def test_commits_outlive_kills(self):
        with kit.Postgres() as pg:
            first = pg.process
            pg.create("one")
            pg.sql("CREATE TABLE t(n int); INSERT INTO t SELECT generate_series(1, 100)", "one")
            for end in (pg.kill, pg.stop, lambda: pg.stop(signal.SIGQUIT), pg.kill):
                had = [pg.process, *kit.children(pg.process[0])]
                self.assertGreater(len(had), 3)  # it has processes of its own
                end()
                self.assertTrue(all(kit.gone(one) for one in had[:1]))
                with self.assertRaises(RuntimeError):
                    pg.sql("SELECT 1")
                pg.start()
                self.assertEqual(pg.sql("SELECT count(*) FROM t", "one"), "100")
            self.assertEqual(pg.sql("SHOW fsync"), "on")
            pg.restart()
            last = pg.process
            self.assertNotEqual(first, last)
        self.gone(pg, last)

    def test_goes_when_the_test_fails(self):
        with self.assertRaises(ZeroDivisionError):
            with kit.Postgres(fsync=False, settings=["work_mem=5MB"]) as pg:
                process = pg.process
                self.assertEqual(pg.sql("SHOW fsync; SHOW work_mem; SHOW listen_addresses"), "off\n5MB")
                raise ZeroDivisionError
        self.gone(pg, process)
        with self.assertRaises(AssertionError):  # one that cannot start leaves nothing either
            kit.Postgres(settings=["shared_buffers=nonsense"])
        self.assertEqual([d for d in os.listdir("/tmp") if d == os.path.basename(pg.base)], [])

    def test_goes_when_the_test_is_killed(self):
        """The maker is killed, not asked: PostgreSQL goes by itself."""
        code = (f"import sys; sys.path.insert(0, {HERE!r}); import postgres, os\n"
                "pg = postgres.Postgres(fsync=False); print(*pg.process, pg.base, flush=True); os.kill(os.getpid(), 9)")
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)
        pid, birth, base = done.stdout.split()
        self.assertEqual(done.returncode, -signal.SIGKILL)
        try:
            kit.wait_for(lambda: kit.gone((int(pid), int(birth))), "it has gone with its maker", 30)
        finally:
            kit.send((int(pid), int(birth)), signal.SIGKILL)
            kit.Postgres.take_down({"base": base, "process": None})

    def test_side_by_side(self):
        """Several at once, each on a port that was free; databases of their own in one."""
        made, wrong = [], []

        def one():
            try:
                made.append(kit.Postgres(fsync=False, port=True))
            except BaseException as e:  # pylint: disable=broad-except
                wrong.append(e)

        threads = [threading.Thread(target=one) for _ in range(2)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        try:
            self.assertEqual(wrong, [])
            self.assertEqual(len({pg.port for pg in made}), 2)
            for pg in made:
                psql = [os.path.join(kit.BIN, "psql"), "-X", "-A", "-t", "-c", "SELECT inet_server_port()"]
                for how in (pg.conninfo(tcp=True), pg.url(tcp=True)):
                    out = subprocess.run([*psql, "-d", how], capture_output=True, text=True, timeout=60, check=True).stdout
                    self.assertEqual(out.strip(), str(pg.port))
                without = pg.conninfo(tcp=True).replace(pg.password, "wrong")
                self.assertNotEqual(subprocess.run([*psql, "-d", without], capture_output=True, timeout=60, check=False).returncode, 0)
            a, b = "a b", "a"
            made[0].create(a)
            made[0].create(b)
            made[0].sql("CREATE TABLE t(n int)", a)
            self.assertEqual(made[0].sql("SELECT count(*) FROM pg_class WHERE relname = 't'", b), "0")
            made[0].drop(a)
            with self.assertRaises(RuntimeError):
                made[0].sql("SELECT 1", a)
        finally:
            for pg in made:
                pg.close()

    def test_fixture(self):
        with tempfile.TemporaryDirectory() as base:
            where = os.path.join(base, "pg")
            lives = []
            for _ in range(2):  # the second start takes down what a run that was cut off has left
                done = run("start", where, "--fsync", "off")
                self.assertEqual(done.returncode, 0, done.stderr)
                with open(os.path.join(where, "saved.json"), encoding="utf-8") as f:
                    lives.append(tuple(kit.json.load(f)["process"]))
            self.assertTrue(kit.gone(lives[0]) and not kit.gone(lives[1]))
            with open(os.path.join(where, "conninfo"), encoding="utf-8") as f:
                self.assertEqual(f.read(), done.stdout)
            kit.send(lives[1], signal.SIGKILL)  # a test did that
            self.assertEqual(run("stop", where).returncode, 0)
            self.assertFalse(os.path.exists(where))
            self.assertEqual(run("stop", where).returncode, 0)

    def test_run(self):
        done = run("run", "--set", "max_connections=7", "--", "sh", "-c",
                   f'{kit.BIN}/psql -X -A -t -d "$(cat "$TRIBE_POSTGRES/url")" -c "SHOW max_connections"; exit 7')
        self.assertEqual((done.returncode, done.stdout.strip()), (7, "7"), done.stderr)

    def test_run_is_told_to_end(self):
        with subprocess.Popen([SCRIPT, "run", "--fsync", "off", "--", "sh", "-c", 'cat "$TRIBE_POSTGRES/saved.json"; exec cat'],
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as run_script:
            saved = kit.json.loads(run_script.stdout.readline())
            self.assertFalse(kit.gone(tuple(saved["process"])))
            run_script.terminate()
            run_script.stdin.close()
            self.assertNotEqual(run_script.wait(60), 0)
        self.assertTrue(kit.gone(tuple(saved["process"])))
        self.assertFalse(os.path.exists(saved["base"]))

    @unittest.skipUnless(os.geteuid() == 0, "is not root anyway")
    def test_without_root(self):
        nobody = pwd.getpwnam("nobody")
        with open(os.path.join(HERE, "postgres.py"), encoding="utf-8") as f:  # nobody may not see this directory
            code = f.read() + "\nwith Postgres(fsync=False) as pg:\n    print(pg.sql('SELECT 40 + 2'))\n"
        done = subprocess.run(["/usr/bin/python3", "-c", code], user=nobody.pw_uid, group=nobody.pw_gid, extra_groups=[], cwd="/",
                              capture_output=True, text=True, timeout=120, check=False)
        self.assertEqual(done.stdout.strip(), "42", done.stderr)


if __name__ == "__main__":
    unittest.main()
