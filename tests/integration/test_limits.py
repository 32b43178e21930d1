"""Forgetting for good, quotas of sources, a disk that is nearly full; how often one may call, and when there is too much."""
import glob
import http.client
import json
import os
import signal
import subprocess
import sys
import threading
import unittest
import uuid

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "kit"))
from tribe import Response, Tribe, main, problem_of, wait_for  # noqa: E402

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


def labelled(tribe, line):
    """The value of a metric with its labels as they are written; 0 when it is not there."""
    for text in tribe.get("/metrics").body.decode().splitlines():
        if text.startswith(line + " "):
            return float(text.split(" ")[1])
    return 0


class Rates(unittest.TestCase):
    """http.rate_per_s and http.rate_burst."""

    def call(self, tribe, path, address="127.0.0.1", token=None):
        connection = http.client.HTTPConnection(*tribe.address(), timeout=30, source_address=(address, 0))
        try:
            connection.request("GET", path, headers={"Authorization": "Bearer " + token} if token else {})
            answer = connection.getresponse()
            return Response(answer.status, answer.headers, answer.read())
        finally:
            connection.close()

    def limited(self, answer, who):
        problem = problem_of(answer)
        self.assertEqual((answer.status, problem["type"]), (429, "urn:tribe:problem:rate"), answer)
        self.assertIn(who, problem["detail"])
        self.assertEqual(int(answer.headers["Retry-After"]), 1)

    def test_an_address(self):
        with Tribe("http.rate_per_s=5", "http.rate_burst=10") as tribe:
            answers = [self.call(tribe, "/api/v1/thermal").status for _ in range(40)]
            self.assertEqual(answers[:10], [200] * 10)
            self.assertGreater(answers.count(429), 20)
            self.limited(self.call(tribe, "/api/v1/thermal"), "this address")
            self.limited(self.call(tribe, "/no/such/path"), "this address")
            self.assertEqual(self.call(tribe, "/api/v1/thermal", "127.0.0.2").status, 200)  # another one
            for path in ("/healthz", "/readyz", "/metrics"):  # are for looking after it
                self.assertEqual([self.call(tribe, path).status for _ in range(15)], [200] * 15, path)
            self.assertGreater(labelled(tribe, 'cherokee_http_rate_limited_total{by="address"}'), 20)
            wait_for(lambda: self.call(tribe, "/api/v1/thermal").status == 200, "it may call again", 10)

    def test_a_token_from_wherever(self):
        with Tribe("http.rate_per_s=5", "http.rate_burst=10") as tribe:
            tokens = [json.loads(tribe.ctl("token", "create", name, "--scope", scope, "--json").stdout)["token"]
                      for name, scope in (("a", "read"), ("b", "read"), ("m", "metrics"))]
            answers = [self.call(tribe, "/api/v1/thermal", f"127.0.1.{i}", tokens[0]) for i in range(1, 41)]
            self.assertEqual([a.status for a in answers[:10]], [200] * 10)
            self.limited(answers[-1], "this token")
            self.assertEqual(self.call(tribe, "/api/v1/thermal", "127.0.2.1", tokens[1]).status, 200)
            page = self.call(tribe, "/metrics", token=tokens[2]).body.decode()
            self.assertRegex(page, r'cherokee_http_rate_limited_total\{by="token"\} [1-9]')
            # whoever guesses is held up by the address
            guesses = [self.call(tribe, "/api/v1/thermal", "127.0.3.1", "tribe_guess").status for _ in range(30)]
            self.assertEqual((guesses[:10], guesses[-1]), ([401] * 10, 429))

    def test_tokens_behind_one_address(self):
        """A proxy, say: each has what it may have, and whoever has none uses up only what is for such."""
        with Tribe("http.rate_per_s=2", "http.rate_burst=10") as tribe:
            tokens = [json.loads(tribe.ctl("token", "create", name, "--scope", "read", "--json").stdout)["token"] for name in "abcd"]
            for token in tokens:
                self.assertEqual([self.call(tribe, "/api/v1/thermal", token=token).status for _ in range(10)], [200] * 10)
            guesses = [self.call(tribe, "/api/v1/thermal", token="tribe_guess").status for _ in range(30)]
            self.assertEqual((guesses[:10], guesses[-1]), ([401] * 10, 429))
            self.limited(self.call(tribe, "/api/v1/thermal"), "this address")
            wait_for(lambda: self.call(tribe, "/api/v1/thermal", token=tokens[0]).status == 200, "a token is good again", 10)

    def test_without_a_limit(self):
        with Tribe() as tribe:
            self.assertEqual({self.call(tribe, "/api/v1/thermal").status for _ in range(200)}, {200})


class Shedding(unittest.TestCase):
    """http.shed_target_ms: with a memory-jr each turn of whose loop takes a third of a second. Not tighter: a machine that is busy
    otherwise makes answers late, too, and then it is right to refuse some."""

    def rush(self, tribe, until, users=60):
        """Users who ask again as soon as they have an answer, until until() is true: their answers."""
        answers, end = [], threading.Event()

        def user():
            while not end.is_set():
                answers.append(tribe.get(MEMORIES + "?q=harbour&touch=false"))
        threads = [threading.Thread(target=user) for _ in range(users)]
        for thread in threads:
            thread.start()
        try:
            wait_for(lambda: until(answers), "the rush has come so far", 60)
        finally:
            end.set()
            for thread in threads:
                thread.join(60)
        return answers

    def test_answers_come_in_time_or_not_at_all(self):
        with Tribe("http.shed_target_ms=200", "drills=true", "hang_after_ms=60000") as tribe, tribe.rpc() as drill:
            tribe.remember("the harbour master keeps the keys")
            self.rush(tribe, lambda answers: len(answers) > 300)
            drill.call("fault.inject", {"jr": "memory", "fault": "slow", "amount": 300})
            seen = []

            def shed(answers):
                seen.append([tribe.get(path).status for path in ("/healthz", "/readyz", "/metrics")])
                return sum(a.status == 503 for a in answers) > 100
            answers = self.rush(tribe, shed)
            self.assertEqual({a.status for a in answers}, {200, 503})
            self.assertEqual({s for statuses in seen for s in statuses}, {200}, "probes and /metrics are never refused")
            refused = next(a for a in answers if a.status == 503)
            self.assertEqual(problem_of(refused)["type"], "urn:tribe:problem:busy")
            self.assertGreaterEqual(int(refused.headers["Retry-After"]), 1)
            self.assertGreater(labelled(tribe, 'cherokee_http_shed_total{kind="read"}'), 100)
            self.assertEqual(tribe.post(MEMORIES, {"content": "writes are another queue"}).status, 201)
            drill.call("fault.heal", {})
            said = wait_for(lambda: [d for d in tribe.get("/api/v1/decisions").json()["decisions"] if d["by"] == "executive_jr"], "it is in the decision log")
            self.assertRegex(said[0]["text"], r"^Some reads are refused from now on: ")
            self.rush(tribe, lambda answers: len(answers) > 200 and all(a.status == 200 for a in answers[-200:]))

    def test_nobody_is_refused_for_a_jr_that_is_replaced(self):
        with Tribe("http.shed_target_ms=1000", "understudies=memory=0,executive=0") as tribe:
            for _ in range(3):
                pid = tribe.pids()["memory"]
                os.kill(pid, signal.SIGKILL)
                self.rush(tribe, lambda answers: len(answers) > 150, users=30)
                tribe.wait_new("memory", pid)
            self.assertEqual(labelled(tribe, 'cherokee_http_shed_total{kind="read"}'), 0)


if __name__ == "__main__":
    main()
