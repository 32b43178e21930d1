"""Every name of /metrics exists and moves; nothing is stale when a Jr or the archive is away; labels are bounded."""
import concurrent.futures
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "kit"))
from metrics import Scrape  # noqa: E402
from tribe import API_NAMES, Tribe, TribeCase, main, wait_for  # noqa: E402

DEFINITIONS = os.path.join(HERE, "..", "..", "common", "metrics", "metrics.def")
# The names that the contract promises, each with what must change it. "exists": there is nothing that it could follow.
CONTRACT = {
    "thermal_memory_heat_mean": "remember", "thermal_memory_total": "remember", "thermal_memory_stage": "remember",
    "thermal_memory_sacred_min_temperature": "remember_sacred", "thermal_memory_entropy": "remember",
    "cherokee_thermal_memory_heat_mean": "remember",
    "cherokee_uptime_seconds": "time", "cherokee_jr_heartbeat_timestamp": "time", "cherokee_jr_cpu_seconds_total": "time",
    "cherokee_jr_loop_lag_seconds": "time", "cherokee_archive_last_success_timestamp": "time",
    "cherokee_query_latency_seconds": "ask", "cherokee_api_requests_total": "ask",
    "cherokee_phase_coherence": "ask", "cherokee_thermal_memory_phase_coherence_mean": "ask",
    "cherokee_sentience_index": "ask", "cherokee_sentience_component": "ask",
    "cherokee_jr_queue_depth": "work", "cherokee_jr_resident_memory_bytes": "work",
    "cherokee_heartbeat_coherence": "stop_meta", "cherokee_jr_up": "stop_meta",
    "cherokee_jr_restarts_total": "kill_meta", "cherokee_jr_recovery_seconds": "kill_meta",
    "cherokee_drills_total": "drill", "cherokee_archive_up": "stop_memory", "cherokee_votes_total": "vote",
    "cherokee_regression_r_squared": "recall_apart", "cherokee_degradation_ratio": "recall_apart",
    "cherokee_build_info": "exists",
}
# What this version has beyond the contract.
OURS = {
    "cherokee_jr_detections_total": "kill_meta", "cherokee_http_dropped_total": "drop", "cherokee_http_connections": "connect",
    "cherokee_http_refused_total": "nonsense", "cherokee_sse_streams": "listen", "cherokee_sse_cut_total": "exists",
    "cherokee_archive_quota_refused_total": "quota", "cherokee_archive_purge_due_seconds": "forget",
    "cherokee_guard_total": "secret", "cherokee_http_rate_limited_total": "hurry", "cherokee_http_shed_total": "exists",  # moves: test_limits.py
}
# the same of one sample among others of its name
SAMPLES = [("cherokee_jr_queue_depth", {"jr": "memory_jr"}, "work"), ("cherokee_jr_up", {"jr": "meta_jr"}, "stop_meta"),
           ("cherokee_jr_restarts_total", {"jr": "meta_jr"}, "kill_meta"), ("cherokee_drills_total", {"result": "true"}, "drill"),
           ("cherokee_sentience_component", {"component": "coherence"}, "stop_meta"),
           ("cherokee_guard_total", {"class": "card", "action": "refused"}, "secret")]
# each kind of sample that must be there in the end, beyond the bare name
SHAPES = [("cherokee_jr_recovery_seconds", {"jr": "meta_jr"}), ("cherokee_drills_total", {"result": "true"}),
          ("cherokee_api_requests_total", {"method": "POST", "endpoint": "/api/v1/ask", "status": "200"}),
          ("cherokee_query_latency_seconds", {"endpoint": "/api/v1/ask"})]
SHAPES += [("cherokee_sentience_component", {"component": part}) for part in ("uptime", "coherence", "thermal_balance")]
SHAPES += [("cherokee_degradation_ratio", {"metric": what}) for what in ("recall_latency", "loop_lag", "resident_memory")]
SHAPES += [(name, {"jr": jr}) for jr in API_NAMES.values() for name in (
    "cherokee_jr_up", "cherokee_jr_heartbeat_timestamp", "cherokee_jr_resident_memory_bytes", "cherokee_jr_cpu_seconds_total",
    "cherokee_jr_queue_depth", "cherokee_jr_loop_lag_seconds")]
OF_ARCHIVE = re.compile(r"thermal_memory_|cherokee_thermal_memory_|cherokee_phase_coherence|cherokee_regression_|cherokee_archive_(quota|purge)|"
                        r"cherokee_votes_total")


def defined():
    with open(DEFINITIONS, encoding="utf-8") as f:
        return set(re.findall(r'^M\(\w+,\s*"(\w+)"', f.read(), re.M))


class Metrics(TribeCase):
    # thirteen minutes are a fifth of a second
    SETTINGS = ("meta.time_scale=3900", "drills=true", "archive.source_rows_max=500")

    def scrape(self, tribe=None):
        answer = (tribe or self.tribe).get("/metrics")
        self.assertEqual(answer.status, 200, answer)
        return Scrape(answer.body.decode()).judge()

    # -- what is done to the tribe; each may be done again and again until everything that it must move has moved ---------------
    def remember(self, n):
        self.tribe.remember(*(f"Entry {n}.{k}: the ferry to Ormsund was full." for k in range(3)), importance=(n % 10) / 10)

    def remember_sacred(self, n):
        self.tribe.remember(f"Oath {n}: the spring is not to be sold.", sacred=True)

    def time(self, _n):
        time.sleep(0.05)

    def ask(self, _n):
        for words in ("ferry Ormsund full", "spring sold oath"):
            self.assertEqual(self.tribe.post("/api/v1/ask", {"question": f"{words}?"}).status, 200)

    def work(self, n):
        """Until the next scrape many at once wait for the archive."""
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            jobs = [pool.submit(self.tribe.remember, *(f"Load {n}.{k}.{i} " + "of a long day " * 20 for i in range(40)), source=f"load{n}")
                    for k in range(8)]
            self.during = []
            while not all(job.done() for job in jobs):
                self.during.append(self.scrape())
            for job in jobs:
                job.result()

    def stop_meta(self, _n):
        self.assertEqual(self.tribe.ctl("stop", "meta").returncode, 0)
        try:
            wait_for(lambda: self.scrape().value("cherokee_jr_up", jr="meta_jr") == 0, "meta-jr is seen to be down")
            self.during = [self.scrape()]
        finally:
            self.tribe.ctl("start", "meta")
        wait_for(lambda: self.scrape().value("cherokee_jr_up", jr="meta_jr") == 1, "meta-jr is seen to be back")

    def stop_memory(self, _n):
        self.assertEqual(self.tribe.ctl("stop", "memory").returncode, 0)
        try:
            wait_for(lambda: self.scrape().value("cherokee_archive_up") == 0, "the archive is seen to be away")
            self.during = [self.scrape()]
        finally:
            self.tribe.ctl("start", "memory")
        wait_for(lambda: self.scrape().value("cherokee_archive_up") == 1, "the archive is seen to be back")

    def kill_meta(self, _n):
        old = self.tribe.pids()["meta"]
        os.kill(old, signal.SIGKILL)
        self.tribe.wait_new("meta", old)

    def drill(self, _n):
        done = self.tribe.ctl("drill", "--jr", "integration", "--kills", "1")
        self.assertEqual(done.returncode, 0, done)

    def vote(self, n):
        self.assertIn(self.tribe.post("/api/v1/vote", {"proposal": f"Shall number {n} be done?", "deadline_s": 2}).status, (200, 201))

    def recall_apart(self, _n):
        """Memories that share no word, recalled one by one, so that each has a recall of its own, a few in every window."""
        if not hasattr(self.tribe, "quartz"):
            self.tribe.quartz = 0
            for k in range(40):
                self.tribe.remember(f"quartz{k}xx lies under slate{k}yy", importance=k / 40)
        for k in range(8):
            answer = self.tribe.post("/api/v1/ask", {"question": f"quartz{(self.tribe.quartz + k) % 40}xx"})
            self.assertEqual(len(answer.json()["sources"]), 1, answer)
        self.tribe.quartz += 8

    def connect(self, n):
        with socket.create_connection(self.tribe.address(), timeout=30):
            self.during = [self.scrape()]

    def drop(self, _n):
        """Half a head, and then nothing: closed when the time is up."""
        with socket.create_connection(self.tribe.address(), timeout=30) as s:
            s.sendall(b"GET /healthz HT")
            s.shutdown(socket.SHUT_WR)
            while s.recv(4096):
                pass

    def nonsense(self, _n):
        self.tribe.raw(b"NO REQUEST\r\n\r\n")

    def listen(self, _n):
        with socket.create_connection(self.tribe.address(), timeout=30) as s:
            s.sendall(b"GET /api/v1/events HTTP/1.1\r\nHost: %s\r\n\r\n" % self.tribe.address()[0].encode())
            self.assertIn(b"200", s.recv(64))
            self.during = [self.scrape()]

    def quota(self, n):
        answer = self.tribe.post("/api/v1/memories", [{"content": f"Too much {n}.{k}", "source": "greedy"} for k in range(600)])
        self.assertEqual(answer.status, 403, answer)

    def forget(self, n):
        one, = self.tribe.remember(f"Soon gone {n}.")
        self.assertEqual(self.tribe.http("DELETE", f"/api/v1/memories/{one}").status, 204)
        self.during = [self.scrape()]

    def secret(self, n):
        answer = self.tribe.post("/api/v1/memories", {"content": f"Card {n}: 4111 1111 1111 1111"})
        self.assertIn(answer.status, (201, 403, 422), answer)

    def hurry(self, _n):
        with Tribe("http.rate_per_s=1") as other:
            self.assertIn(429, [other.get("/api/v1/thermal").status for _ in range(5)])
            self.during = [self.scrape(other)]

    # -- tests ------------------------------------------------------------------------------------------------------------------
    def test_a_the_tables_are_complete(self):
        names = defined()
        self.assertEqual(sorted(set(CONTRACT) - names), [], "promised, and not in metrics.def")
        self.assertEqual(sorted(names - set(CONTRACT) - set(OURS)), [], "in metrics.def, and no row here says what moves it")
        self.assertEqual(sorted(set(OURS) - names), [])

    def test_b_absent_while_warming_up(self):
        early = self.scrape()
        for name in ("cherokee_sentience_index", "cherokee_regression_r_squared", "cherokee_phase_coherence",
                     "thermal_memory_heat_mean", "thermal_memory_sacred_min_temperature"):
            self.assertEqual(early.of(name), {}, "nothing happened yet")
        self.assertEqual(early.value("thermal_memory_total"), 0)
        self.assertEqual(early.value("cherokee_archive_up"), 1)

    def test_c_every_name_moves(self):
        rows = [(name, (), action) for name, action in {**CONTRACT, **OURS}.items()]
        rows += [(name, tuple(labels.items()), action) for name, labels, action in SAMPLES]
        for action in dict.fromkeys(action for _, _, action in rows):
            if action == "exists":
                continue
            left = {(name, labels) for name, labels, by in rows if by == action}
            before, end, n = self.scrape(), time.monotonic() + 60, 0
            while left and time.monotonic() < end:
                self.during = []
                getattr(self, action)(n)
                n += 1
                for seen in self.during + [self.scrape()]:
                    left = {(name, labels) for name, labels in left
                            if seen.of(name, **dict(labels)) in ({}, before.of(name, **dict(labels)))}
            self.assertEqual(sorted(left), [], f"{action} ({n} times) did not move them")
        now = self.scrape()
        for name, _, action in rows:
            if action == "exists":
                self.assertTrue(now.of(name), name)

        def shapes():
            now = self.scrape()
            return not [row for row in SHAPES if not now.of(row[0], **row[1])]
        wait_for(lambda: (self.recall_apart(1), shapes())[1], "every kind of sample is there: " + repr(
            [row for row in SHAPES if not self.scrape().of(row[0], **row[1])]))
        r_squared = self.scrape().value("cherokee_regression_r_squared")
        self.assertTrue(0 <= r_squared <= 1, r_squared)

    def test_d_nothing_of_an_archive_that_is_away(self):
        wait_for(lambda: (self.recall_apart(1), self.scrape().of("cherokee_regression_r_squared") and
                          self.scrape().of("cherokee_degradation_ratio", metric="loop_lag"))[1], "meta-jr has something to say")
        asking = threading.Event()
        waits = []

        def ask():  # work that waits for memory-jr
            while not asking.is_set():
                waits.append(self.tribe.post("/api/v1/ask", {"question": "ferry"}).status)
        thread = threading.Thread(target=ask, daemon=True)
        self.tribe.ctl("stop", "memory")
        thread.start()
        try:
            away = wait_for(lambda: [s for s in [self.scrape()] if s.value("cherokee_jr_up", jr="memory_jr") == 0], "memory-jr is down")[0]
            self.assertEqual(away.value("cherokee_archive_up"), 0)
            self.assertEqual([key for key in away if OF_ARCHIVE.match(key[0])], [])
            self.assertEqual(away.of("cherokee_degradation_ratio", metric="recall_latency"), {})
            self.assertTrue(away.of("cherokee_degradation_ratio", metric="loop_lag"), "what is not of the archive stays")
            self.assertTrue(away.of("cherokee_archive_last_success_timestamp"))
            for name in ("resident_memory_bytes", "cpu_seconds_total", "queue_depth", "loop_lag_seconds"):
                self.assertEqual(away.of("cherokee_jr_" + name, jr="memory_jr"), {}, name)
            self.assertLess(away.value("cherokee_sentience_index"), 40)
            self.assertEqual(away.value("cherokee_sentience_component", component="coherence"), 0)
            self.assertIsNone(away.value("cherokee_sentience_component", component="thermal_balance"))
            wait_for(lambda: self.scrape().value("cherokee_jr_queue_depth", jr="executive_jr") > 0, "who waits is counted")
        finally:
            asking.set()
            self.tribe.ctl("start", "memory")
            thread.join(60)
        self.assertIn(503, waits)
        wait_for(lambda: (self.recall_apart(1), self.scrape().of("cherokee_regression_r_squared"))[1], "it is reckoned again")

    def test_e_nothing_of_a_jr_that_is_away(self):
        self.tribe.ctl("stop", "meta")
        try:
            away = wait_for(lambda: [s for s in [self.scrape()] if s.value("cherokee_jr_up", jr="meta_jr") == 0], "meta-jr is down")[0]
            for name in ("resident_memory_bytes", "cpu_seconds_total", "queue_depth", "loop_lag_seconds"):
                self.assertEqual(away.of("cherokee_jr_" + name, jr="meta_jr"), {}, name)
            self.assertEqual({**away.of("cherokee_regression_r_squared"), **away.of("cherokee_degradation_ratio")}, {})
            self.assertEqual(away.value("cherokee_heartbeat_coherence"), 0)
            self.assertLess(away.value("cherokee_sentience_index"), 40)
            self.assertEqual(away.value("cherokee_archive_up"), 1)
        finally:
            self.tribe.ctl("start", "meta")

    @unittest.skipUnless(shutil.which("promtool"), "there is no promtool here")
    def test_g_promtool_objects_to_nothing(self):
        """Behind the others: everything that /metrics can say is there."""
        done = subprocess.run(["promtool", "check", "metrics"], input=self.tribe.get("/metrics").body, capture_output=True, timeout=60, check=False)
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, b"", b""))

    def test_f_what_strangers_send_makes_no_labels(self):
        for n in range(20):
            self.tribe.get(f"/made/up/{n}")
            self.tribe.get(f"/api/v1/memories/m{n}")
            self.tribe.http(f"BREW{n}", "/api/v1/thermal")
            self.tribe.http("PURGE", f"/other{n}", headers={"X-Endpoint": f"e{n}"})
        now = self.scrape()
        labels = {value for key in now if key[0] != "cherokee_build_info" for _, value in key[1]}
        self.assertEqual([value for value in labels if re.search(r"made|BREW|PURGE|other\d|\bm\d|e\d\d", value)], [])
        self.assertGreaterEqual(sum(now.of("cherokee_api_requests_total", endpoint="other", status="404").values()), 20)
        self.assertGreaterEqual(sum(now.of("cherokee_api_requests_total", endpoint="/api/v1/memories/{id}", status="404").values()), 20)
        self.assertLess(len(now), 2000)


if __name__ == "__main__":
    main()
