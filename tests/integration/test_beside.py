"""An understudy of memory-jr beside what happens to the archive: a restore, a salvage, a first start that takes its time, a lock that
is held by somebody who dies. Whoever comes to lead serves the archive that is in place, and nobody makes an error of it."""
import os
import random
import signal
import subprocess
import sys
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "kit"))
from postgres import Postgres  # noqa: E402
from tribe import API_NAMES, Tribe, alive, main, wait_for  # noqa: E402

MEMORIES = "/api/v1/memories"
PAGE = 4096


def memory_jr(tribe):
    return tribe.status()["jrs"][API_NAMES["memory"]]


def has_open(pid, path):
    try:
        return any(os.readlink(f"/proc/{pid}/fd/{fd}") == path for fd in os.listdir(f"/proc/{pid}/fd"))
    except FileNotFoundError:
        return False  # a descriptor that was just closed, or the process


def covered(tribe):
    """Waits until a lead serves and another one waits; what status says of them."""
    def look():
        jr = memory_jr(tribe)
        waiting = [u for u in jr["understudies"] if u["state"] == "waiting"]
        return jr["state"] == "up" and len(waiting) == 1 and jr
    return wait_for(look, "memory-jr serves with one behind it")


def all_pids(tribe):
    return {pid for name, pid in tribe.processes().items() if name.split("#")[0] == "memory-jr"}


def take_over(tribe):
    """Kills the lead; the one that waits now has to do."""
    was = covered(tribe)
    os.kill(was["pid"], signal.SIGKILL)
    tribe.wait_new("memory", was["pid"])


class Lock:
    """Somebody who has the archive for himself: a process of its own, which can be killed."""

    CODE = "import fcntl,os,sys; f=os.open(sys.argv[1],os.O_RDWR|os.O_CREAT,0o600); fcntl.flock(f,fcntl.LOCK_EX); print(flush=True); sys.stdin.read()"

    def __init__(self, tribe):
        os.makedirs(tribe.state, mode=0o700, exist_ok=True)
        self.process = subprocess.Popen([sys.executable, "-c", self.CODE, os.path.join(tribe.state, "memory.lock")],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.process.stdout.readline()

    def kill(self):
        self.process.kill()
        self.process.communicate(timeout=60)


class Beside(unittest.TestCase):
    def tribe_of(self, *settings, **more):
        tribe = Tribe(*settings, **more)
        self.addCleanup(tribe.close)
        return tribe

    def ctl(self, tribe, *words):
        done = tribe.ctl("--json", *words)
        self.assertEqual(done.returncode, 0, done)

    def no_errors(self, tribe):
        self.assertEqual([line for line in tribe.logs().splitlines() if line.startswith("error")], [])

    def restored(self, tribe, server=False):
        """There and back, each time with somebody waiting who knows the old one; and nobody of those is left."""
        path = os.path.join(tribe.base, "backup")
        tribe.remember("The heron fishes at dawn.", id="heron")
        self.ctl(tribe, "backup", path)
        tribe.remember("Only behind the backup.", id="behind")
        before = covered(tribe)
        old = {before["pid"]} | {u["pid"] for u in before["understudies"]}
        self.ctl(tribe, "restore", path)
        for look in range(2):
            self.assertEqual(tribe.get(f"{MEMORIES}/heron?touch=false").status, 200)
            self.assertEqual(tribe.get(f"{MEMORIES}/behind?touch=false").status, 404)
            tribe.remember(f"Written to the restored one {look}.", id=f"after{look}")
            if not server:  # there whoever waits was cut off, and finds the restored one by its name
                self.assertFalse(old & all_pids(tribe), "somebody has the old archive open")
            if look == 0:
                take_over(tribe)
        covered(tribe)
        self.assertEqual(tribe.get(f"{MEMORIES}/after0?touch=false").status, 200)
        if server:
            self.assertNotIn("leaving reason", tribe.logs())
        else:
            self.no_errors(tribe)

    def test_restore_of_a_numbered_one(self):
        tribe = self.tribe_of()
        self.restored(tribe)
        self.ctl(tribe, "restore", "--undo")
        self.assertEqual(tribe.get(f"{MEMORIES}/behind?touch=false").status, 200)
        take_over(tribe)
        self.assertEqual(tribe.get(f"{MEMORIES}/behind?touch=false").status, 200)

    def test_restore_of_a_named_file(self):
        self.restored(self.tribe_of("archive.url=sqlite:mine.sqlite"))

    def test_a_switch_that_was_cut_off(self):
        """A lead that dies after it has removed the empty log of the old file, and before the new one is there: who comes to lead
        must not write to a log without a name."""
        tribe = self.tribe_of("archive.url=sqlite:mine.sqlite")
        covered(tribe)
        path = os.path.join(tribe.state, "mine.sqlite")
        for name in (path + "-wal", path + "-shm"):
            os.unlink(name)
        take_over(tribe)
        tribe.remember("Written behind it.", id="kept")
        take_over(tribe)
        self.assertEqual(tribe.get(f"{MEMORIES}/kept?touch=false").status, 200)
        covered(tribe)

    def test_two_restores_in_a_second(self):
        tribe = self.tribe_of("archive.url=sqlite:mine.sqlite")
        path = os.path.join(tribe.base, "backup")
        self.ctl(tribe, "backup", path)
        for i in range(4):
            tribe.remember(f"Only behind the backup, {i}.", id=f"behind{i}")
            self.ctl(tribe, "restore", path)
            self.assertEqual(tribe.get(f"{MEMORIES}/behind{i}?touch=false").status, 404)
        self.assertEqual(sum(".before-" in name for name in os.listdir(tribe.state)), 4)

    def test_restore_in_postgresql(self):
        with Postgres(fsync=False) as pg:
            pg.create("birds")
            with Tribe("archive.url=" + pg.url("birds")) as tribe:
                self.restored(tribe, True)

    def test_salvage(self):
        """Damage that a read meets while somebody waits: both leave the old one, of which nothing is changed any more."""
        tribe = self.tribe_of(wait_all=False)
        for i in range(0, 600, 50):
            tribe.remember(*(f"memory {k} " + "and more " * (k % 40) for k in range(i, i + 50)))
        take_over(tribe)  # the log is in the database, and no page of it in a connection's cache
        was = covered(tribe)
        old = {was["pid"]} | {u["pid"] for u in was["understudies"]}
        file = os.path.join(tribe.state, "archive", "1", "thermal.sqlite")
        with open(file, "r+b") as f:
            for page in range(20, os.path.getsize(file) // PAGE, 10):
                f.seek(page * PAGE + 3000)
                f.write(random.Random(page).randbytes(100))
        current = os.path.join(tribe.state, "archive", "current")

        def met():
            try:
                tribe.get(f"{MEMORIES}?limit=200&touch=false")
                tribe.get(f"{MEMORIES}?q=memory+more&touch=false")
            except OSError:
                pass
            return os.readlink(current) == "2"
        wait_for(met, "what is sound is in another archive")
        wait_for(lambda: not old & all_pids(tribe), "nobody has the damaged one open")
        covered(tribe)
        found = [tribe.get(f"{MEMORIES}?q=memory&limit=5&touch=false").json()["memories"]]
        with open(file, "rb") as f:
            damaged = f.read()
        tribe.remember("written to the fresh one", id="fresh")
        take_over(tribe)
        found.append(tribe.get(f"{MEMORIES}?q=memory&limit=5&touch=false").json()["memories"])
        self.assertEqual(*([m["id"] for m in page] for page in found))
        self.assertEqual(tribe.get(f"{MEMORIES}/fresh?touch=false").status, 200)
        with open(file, "rb") as f:
            self.assertEqual(f.read(), damaged)
        self.assertNotIn("leaving reason", tribe.logs())

    def test_another_one_in_place(self):
        """By hand, as LEFT.txt says: whoever waits leaves it by itself, and the next lead serves what is in place."""
        tribe = self.tribe_of()
        path = os.path.join(tribe.base, "backup")
        tribe.remember("In the first one.", id="first")
        self.ctl(tribe, "backup", path)
        self.ctl(tribe, "restore", path)
        tribe.remember("In the second one.", id="second")
        before = covered(tribe)
        link = os.path.join(tribe.state, "archive", "current")
        self.assertEqual(os.readlink(link), "2")
        os.symlink("1", link + ".new")
        os.rename(link + ".new", link)
        wait_for(lambda: not alive(before["understudies"][0]["pid"]), "who waited has left the old one")
        self.assertEqual(covered(tribe)["pid"], before["pid"])
        take_over(tribe)
        self.assertEqual(tribe.get(f"{MEMORIES}/second?touch=false").status, 404)
        self.assertEqual(tribe.get(f"{MEMORIES}/first?touch=false").status, 200)

    def hold_back(self, tribe):
        """An understudy that cannot open yet: (the lock that keeps it from it, its pid)."""
        was = covered(tribe)
        lead = was["pid"]
        os.kill(tribe.process.pid, signal.SIGSTOP)
        try:
            for pid in all_pids(tribe) - {lead}:
                os.kill(pid, signal.SIGKILL)
                wait_for(lambda pid=pid: not alive(pid), "who waited is gone")
            # what the lead holds is shared: only without it the lock can be had alone
            os.unlink(os.path.join(tribe.state, "memory.lock"))
            lock = Lock(tribe)
            self.addCleanup(lock.kill)
        finally:
            os.kill(tribe.process.pid, signal.SIGCONT)
        young, = wait_for(lambda: all_pids(tribe) - {lead} - {u["pid"] for u in was["understudies"]}, "another one is started")
        wait_for(lambda: has_open(young, os.path.join(tribe.state, "memory.lock")), "it has come to the lock")
        return lock, young

    def test_it_waits_for_who_has_the_archive_alone(self):
        tribe = self.tribe_of()
        lock, young = self.hold_back(tribe)
        lead = memory_jr(tribe)["pid"]
        tribe.remember("Served all the while.", id="while")
        self.assertEqual([u["state"] for u in memory_jr(tribe)["understudies"]], ["starting"])
        lock.kill()
        now = covered(tribe)
        self.assertEqual((now["pid"], now["understudies"][0]["pid"]), (lead, young))
        self.no_errors(tribe)

    def test_it_hears_that_it_shall_leave(self):
        tribe = self.tribe_of()
        _lock, young = self.hold_back(tribe)
        began = time.monotonic()
        os.kill(young, signal.SIGTERM)
        wait_for(lambda: not alive(young), "it has left")
        self.assertLess(time.monotonic() - began, 2)
        wait_for(lambda: all_pids(tribe) - {memory_jr(tribe)["pid"]}, "another one is started")
        began = time.monotonic()
        self.assertEqual(tribe.stop(), 0)
        self.assertLess(time.monotonic() - began, 3, "a stop had to wait for who waited")
        self.assertIn("leaving before the archive could be opened", tribe.logs())
        self.no_errors(tribe)

    def test_a_first_start_is_waited_for(self):
        """Two at once, nobody has made the archive yet, and who was about to dies."""
        tribe = self.tribe_of(start=False)
        lock = Lock(tribe)
        self.addCleanup(lock.kill)
        tribe.process = tribe.spawn()
        wait_for(lambda: len(all_pids(tribe)) >= 1, "memory-jr is started")
        archive = os.path.join(tribe.state, "archive", "1", "thermal.sqlite")
        self.assertFalse(os.path.exists(archive), "made by who had it not alone")
        lock.kill()
        wait_for(tribe.is_ready, "it serves")
        covered(tribe)
        opened = [line for line in tribe.logs().splitlines() if "archive open ms=" in line]
        self.assertEqual([line.rsplit(" ", 1)[1] for line in opened[:2]], ["alone", "others"])
        self.assertEqual(sum("alone" in line for line in opened), 1)
        self.no_errors(tribe)


if __name__ == "__main__":
    main()
