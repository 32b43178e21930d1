"""Forgetting for good, quotas of sources, and a disk that is nearly full."""
import glob
import json
import os
import signal
import subprocess
import sys
import unittest
import uuid

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "kit"))
from tribe import Tribe, main, problem_of, wait_for  # noqa: E402

MEMORIES = "/api/v1/memories"
REFUSED = 4


def live_files(tribe):
    return glob.glob(os.path.join(tribe.state, "archive", "*", "thermal.sqlite*"))


def left(tribe, word):
    """How often it stands in the archive's live files, in whatever case."""
    found = 0
    for path in live_files(tribe):
        with open(path, "rb") as f:
            found += f.read().lower().count(word.lower().encode())
    return found


def metric(tribe, name):
    """The value of a metric without labels; None when it is not there."""
    for line in tribe.get("/metrics").body.decode().splitlines():
        if line.startswith(name + " "):
            return float(line.split(" ")[1])
    return None


class Forgetting(unittest.TestCase):
    def secret(self, tribe, word):
        """A memory with the word in everything it has; its id."""
        answer = tribe.post(MEMORIES, {"content": f"They were {word}ing {word.upper()}s all day.", "tags": [word], "source": f"src {word}",
                                       "session": f"{word} session", "speaker": f"{word}ella", "metadata": {word: [word]}})
        self.assertEqual(answer.status, 201, answer)
        memory_id = answer.json()["memories"][0]["id"]
        self.assertEqual(tribe.http("PATCH", f"{MEMORIES}/{memory_id}", {"tags": [f"{word} two"]}).status, 200)
        return memory_id

    def test_now(self):
        with Tribe() as tribe:
            tribe.remember(*(f"neighbour {n} of a very ordinary kind" for n in range(500)))
            memory_id, other = self.secret(tribe, "zuvqan"), self.secret(tribe, "qovzan")
            asked = tribe.post("/api/v1/ask", {"question": "Who were zuvqaning?"}, headers={"Idempotency-Key": "k"}).json()
            self.assertIn(memory_id, [source["id"] for source in asked["sources"]])
            self.assertGreater(left(tribe, "zuvqan"), 5)
            answer = tribe.http("DELETE", f"{MEMORIES}/{memory_id}?now=true")
            self.assertEqual((answer.status, answer.body), (204, b""), answer)
            self.assertEqual(left(tribe, "zuvqan"), 0)
            self.assertGreater(left(tribe, "qovzan"), 5)
            self.assertEqual(tribe.get(f"{MEMORIES}/{memory_id}").status, 404)
            again = tribe.post("/api/v1/ask", {"question": "Who were zuvqaning?"}, headers={"Idempotency-Key": "k"}).json()
            self.assertNotIn(memory_id, [source["id"] for source in again["sources"]])
            done = tribe.ctl("forget", other, "--now", "--json")
            self.assertEqual((done.returncode, json.loads(done.stdout)), (0, {"id": other, "purged": True}), done)
            self.assertEqual(left(tribe, "qovzan"), 0)
            tribe.remember(*(f"later neighbour {n}" for n in range(200)))
            self.assertEqual((left(tribe, "zuvqan"), left(tribe, "qovzan")), (0, 0))

    def test_by_itself(self):
        with Tribe("archive.purge_after_s=2") as tribe:
            memory_id = self.secret(tribe, "zuvqan")
            self.assertEqual(tribe.http("DELETE", f"{MEMORIES}/{memory_id}").status, 204)
            wait_for(lambda: left(tribe, "zuvqan") == 0, "it is purged")
            wait_for(lambda: metric(tribe, "cherokee_archive_purge_due_seconds") is None, "nothing is due any more")

    def test_kill_9(self):
        """Forgotten, killed before it was purged: the next life purges it."""
        with Tribe("archive.purge_after_s=40") as tribe:
            memory_id = self.secret(tribe, "zuvqan")
            pid = tribe.pids()["memory"]
            self.assertEqual(tribe.http("DELETE", f"{MEMORIES}/{memory_id}").status, 204)
            os.kill(pid, signal.SIGKILL)
            before = left(tribe, "zuvqan")
            tribe.wait_new("memory", pid)
            self.assertGreater(before, 0)
            wait_for(lambda: left(tribe, "zuvqan") == 0, "it is purged")


class Quotas(unittest.TestCase):
    def test_rows(self):
        with Tribe("archive.source_rows_max=3") as tribe:
            tribe.remember("one", "two", "three", source="agent-7")
            wait_for(lambda: tribe.post(MEMORIES, {"content": uuid.uuid4().hex, "source": "probe"}).status == 403,
                     "the sources are counted")  # until then nothing is refused
            answer = tribe.post(MEMORIES, [{"content": "fine", "source": "agent-8"}, {"content": "four", "source": "agent-7"}])
            problem = problem_of(answer)
            self.assertEqual((answer.status, problem["type"]), (403, "urn:tribe:problem:quota"), answer)
            self.assertEqual(problem["detail"], '"[1].source" would pass the limit of source "agent-7": archive.source_rows_max is 3; '
                                                'forget some of its memories or raise it')
            self.assertEqual(tribe.get(f"{MEMORIES}?source=agent-8").json()["memories"], [], "a call fails as a whole")
            self.assertEqual(tribe.post(MEMORIES, {"content": "one", "source": "agent-7"}).status, 200, "known: it heats")
            done = tribe.ctl("remember", "five", "--source", "agent-7")
            self.assertEqual(done.returncode, REFUSED, done)
            self.assertIn("archive.source_rows_max", done.stderr)
            self.assertGreaterEqual(metric(tribe, "cherokee_archive_quota_refused_total"), 2)
            gone, = tribe.remember("one", source="agent-7")
            self.assertEqual(tribe.http("DELETE", f"{MEMORIES}/{gone}").status, 204)
            self.assertEqual(tribe.post(MEMORIES, {"content": "five", "source": "agent-7"}).status, 201)

    def test_import_skips_with_the_reason(self):
        with Tribe("archive.source_bytes_max=100") as tribe:
            wait_for(lambda: tribe.post(MEMORIES, {"content": uuid.uuid4().hex * 4, "source": "probe"}).status == 403, "the sources are counted")
            path = os.path.join(tribe.base, "lines.jsonl")
            with open(path, "w", encoding="utf-8") as f:
                for n in range(10):
                    f.write(json.dumps({"content": f"{n}" * 20, "source": "bulk"}) + "\n")
            done = tribe.ctl("import", path, "--json")
            report = json.loads(done.stdout.splitlines()[-1])
            self.assertEqual((report["added"], report["skipped"]), (5, 5), done)
            self.assertIn("archive.source_bytes_max is 100", done.stdout + done.stderr)


class SmallDisk(Tribe):
    """A tribe whose state lies in a tmpfs of 40 MB, in a mount namespace of its own."""

    def command(self, *flags):
        os.makedirs(self.state, exist_ok=True)
        return ["unshare", "--mount", "sh", "-c", 'mount -t tmpfs -o size=40m none "$0" && exec "$@"', self.state,
                *super().command(*flags)]

    def inside(self, *words):
        return subprocess.run(["nsenter", "--mount", "--target", str(self.process.pid), *words], check=True)


class LowDisk(unittest.TestCase):
    def test_reading_goes_on(self):
        if os.geteuid() != 0 or subprocess.run(["unshare", "--mount", "true"], check=False, stderr=subprocess.DEVNULL).returncode != 0:
            self.skipTest("no mount namespaces here")
        with SmallDisk("archive.min_free_mb=16") as tribe:
            kept, gone = tribe.remember("the harbour master keeps the keys", "this may go")
            self.assertIs(tribe.get("/api/v1/status").json()["archive_healthy"], True)
            filler = os.path.join(tribe.state, "filler")
            tribe.inside("fallocate", "-l", "24M", filler)
            status = wait_for(lambda: (lambda s: s if s["archive_healthy"] is False else None)(tribe.get("/api/v1/status").json()),
                              "the archive says that it is ill")
            self.assertEqual((status["status"], status["archive_reason"]),
                             ("degraded", "the disk is nearly full: 16 MB must be free (archive.min_free_mb); "
                                          "reading and forgetting go on"))
            self.assertIn("the disk is nearly full", tribe.ctl("status").stdout)
            answer = tribe.post(MEMORIES, {"content": "no room for this"})
            problem = problem_of(answer)
            self.assertEqual((answer.status, problem["type"], problem["detail"]),
                             (503, "urn:tribe:problem:no_space", status["archive_reason"]), answer)
            self.assertGreaterEqual(int(answer.headers["Retry-After"]), 1)
            self.assertEqual(tribe.get(f"{MEMORIES}/{kept}").status, 200)
            self.assertEqual(tribe.get(f"{MEMORIES}?q=harbour").json()["memories"][0]["id"], kept)
            self.assertEqual(tribe.get("/readyz").status, 200)
            self.assertEqual(tribe.http("DELETE", f"{MEMORIES}/{gone}?now=true").status, 204)
            tribe.inside("rm", filler)
            wait_for(lambda: tribe.post(MEMORIES, {"content": "there is room again"}).status == 201, "writing goes on by itself")
            status = wait_for(lambda: (lambda s: s if s["archive_healthy"] else None)(tribe.get("/api/v1/status").json()), "it is well")
            self.assertNotIn("archive_reason", status)
            log = subprocess.run(["nsenter", "--mount", "--target", str(tribe.process.pid), "cat", os.path.join(tribe.state, "tribed.log")],
                                 check=False, capture_output=True, text=True).stdout + tribe.logs()
            self.assertEqual(log.count("the disk is nearly full, writing stops"), 1, "said once a change")
            self.assertEqual(log.count("there is room on the disk again"), 1)


if __name__ == "__main__":
    main()
