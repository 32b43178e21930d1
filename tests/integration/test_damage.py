"""Damage on disk: a tribe that finds its archive damaged takes what is undamaged into a fresh one, and goes on by itself."""
import json
import os
import random
import signal
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "kit"))
from tribe import Tribe, main, wait_for  # noqa: E402

PAGE = 4096
FRAME = PAGE + 24


def overwrite(path, offset, n, seed):
    with open(path, "r+b") as f:
        f.seek(offset)
        f.write(random.Random(seed).randbytes(n))


def everything(tribe):
    """content by id of all there is, by the list's own pages."""
    found, cursor = {}, None
    while True:
        page = tribe.get("/api/v1/memories?limit=200&touch=false" + (f"&cursor={cursor}" if cursor else "")).json()
        found.update((m["id"], m["content"]) for m in page["memories"])
        cursor = page.get("next_cursor")
        if not cursor:
            return found


def memory_jrs(tribe):
    """Pids of whoever leads and whoever waits."""
    return [pid for name, pid in tribe.processes().items() if name.startswith("memory-jr")]


class Damage(unittest.TestCase):
    def path(self, tribe, n, name=""):
        return os.path.join(tribe.state, "archive", str(n), name)

    def fill(self, tribe, n, first=0):
        for i in range(first, first + n, 50):
            tribe.remember(*(f"memory {k} about {'boats' if k % 2 else 'trees'} " + "and more " * (k % 40)
                             for k in range(i, i + 50)))

    def rescued(self, tribe):
        """Waits until `current` leads to archive 2 and the tribe serves from it."""
        current = os.path.join(tribe.state, "archive", "current")
        wait_for(lambda: os.readlink(current) == "2" and tribe.is_ready(), "the tribe serves from a fresh archive", 60)
        with open(self.path(tribe, 2, "salvage.json")) as f:
            return json.load(f)

    def test_pages_that_are_damaged(self):
        with Tribe(start=False) as tribe:
            tribe.start()
            self.fill(tribe, 1500)
            before = everything(tribe)
            self.assertEqual(tribe.stop(), 0)
            file = self.path(tribe, 1, "thermal.sqlite")
            pages = os.path.getsize(file) // PAGE
            overwrite(file, (pages // 2) * PAGE + 1000, 200, 1)
            overwrite(file, 0 * PAGE + 40, 300, 2)  # and the first page, without which SQLite reads nothing at all
            with open(file, "rb") as f:
                damaged = f.read()
            tribe.process = tribe.spawn()
            report = self.rescued(tribe)
            after = everything(tribe)
            self.assertTrue(set(after.items()) <= set(before.items()))
            self.assertGreaterEqual(len(after), len(before) - 40, report)
            self.assertEqual(report["memories_taken"], len(after), report)
            self.assertGreaterEqual(report["rejected"] + report["lost"], len(before) - len(after), report)
            with open(file, "rb") as f:
                self.assertEqual(f.read(), damaged, "the old file is as it was")
            with open(self.path(tribe, 1, "LEFT.txt")) as f:
                self.assertIn("ln -sfn 1", f.read())
            tribe.remember("written to the fresh archive")
            self.assertEqual(tribe.status()["archive_healthy"], True)
            self.assertTrue(tribe.get("/api/v1/memories?q=boats&touch=false").json()["memories"])

    def test_a_log_that_is_damaged(self):
        """kill -9, then a wrong byte in the middle of the log: SQLite would drop everything behind it without a word."""
        with Tribe(start=False) as tribe:
            tribe.start()
            self.fill(tribe, 500)
            before = everything(tribe)
            lead = tribe.pids()["memory"]
            os.kill(tribe.process.pid, signal.SIGSTOP)  # it shall not start another
            for pid in sorted(memory_jrs(tribe), key=lambda pid: pid == lead):  # nobody shall be left to take over
                os.kill(pid, signal.SIGKILL)
            tribe.kill()
            tribe.wait_gone()
            log = self.path(tribe, 1, "thermal.sqlite-wal")
            frames = (os.path.getsize(log) - 32) // FRAME
            self.assertGreater(frames, 20)
            overwrite(log, 32 + 3 * FRAME + 2000, 1, 3)
            tribe.process = tribe.spawn()
            report = self.rescued(tribe)
            self.assertEqual(report["found"]["log"], "damaged", report)
            self.assertEqual(report["found"]["mended"], 1, report)
            self.assertEqual(everything(tribe), before)

    def test_back_to_the_old_one(self):
        """The way back, as LEFT.txt says it: it is served as far as it can be read, and nothing is repaired again."""
        with Tribe(start=False, wait_all=False) as tribe:
            tribe.start()
            self.fill(tribe, 500)
            before = everything(tribe)
            self.assertEqual(tribe.stop(), 0)
            file = self.path(tribe, 1, "thermal.sqlite")
            for page in range(70, os.path.getsize(file) // PAGE, 25):  # the first ones are the tables' own: without one of those nothing is read
                overwrite(file, page * PAGE + 3000, 100, page)
            tribe.process = tribe.spawn()
            wait_for(tribe.address, "it serves")
            for i in before:  # at the latest a read meets it
                try:
                    tribe.get(f"/api/v1/memories/{i}?touch=false")
                except OSError:
                    pass
            self.rescued(tribe)
            self.assertEqual(tribe.stop(), 0)
            link = os.path.join(tribe.state, "archive", "current")
            os.unlink(link)
            os.symlink("1", link)
            tribe.process = tribe.spawn()  # it may never be ready: what /readyz looks for may be on a damaged page
            wait_for(tribe.address, "it serves")
            some = [i for i in list(before)[-50:] if tribe.get(f"/api/v1/memories/{i}?touch=false").status == 200]
            self.assertGreater(len(some), 10)
            self.assertEqual(os.readlink(link), "1")
            self.assertFalse(os.path.exists(self.path(tribe, 3)))


if __name__ == "__main__":
    main()
