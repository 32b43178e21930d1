"""Debian's Prometheus scrapes a living tribe: promtool finds nothing to object to, queries return the tribe's own figures, and what
deploy/prometheus and deploy/grafana ask is answered. No Grafana rendered the dashboard: there is none in Debian."""
import ctypes
import http.client
import json
import math
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.parse

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.join(HERE, "..", "..")
sys.path[:0] = [HERE, os.path.join(HERE, "..", "kit")]
import test_metrics  # noqa: E402
from tribe import API_NAMES, TribeCase, main, wait_for  # noqa: E402

RULES = os.path.abspath(os.path.join(TOP, "deploy", "prometheus", "tribe.rules.yml"))
RULES_TEST = os.path.join(HERE, "prometheus", "tribe.rules.test.yml")
CONFIG = os.path.join(TOP, "deploy", "prometheus", "prometheus.yml")
DASHBOARD = os.path.join(TOP, "deploy", "grafana", "tribe.json")
SCRAPE_S = float(os.environ.get("TRIBE_SCRAPE_S", "5"))  # how long the dashboard's tribe is scraped; a minute in the full suite

# every name that a running tribe with a few memories, recalls and a kill behind it must show
EXPECTED = """thermal_memory_heat_mean cherokee_thermal_memory_heat_mean thermal_memory_total thermal_memory_stage
thermal_memory_sacred_min_temperature thermal_memory_entropy cherokee_uptime_seconds cherokee_query_latency_seconds_count
cherokee_query_latency_seconds_bucket cherokee_phase_coherence cherokee_thermal_memory_phase_coherence_mean
cherokee_heartbeat_coherence cherokee_jr_heartbeat_timestamp cherokee_jr_up
cherokee_jr_restarts_total cherokee_jr_recovery_seconds_bucket cherokee_jr_resident_memory_bytes cherokee_jr_cpu_seconds_total
cherokee_jr_queue_depth cherokee_jr_loop_lag_seconds cherokee_sentience_component cherokee_api_requests_total
cherokee_http_refused_total cherokee_sse_streams cherokee_sse_cut_total cherokee_archive_up
cherokee_archive_last_success_timestamp cherokee_build_info""".split()


def free_port():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


class Prometheus:
    """One of our own: configuration, data and port; loopback only."""

    def __init__(self, target, rules=()):
        self.base = tempfile.mkdtemp(prefix="tribe-prom-", dir="/tmp")
        self.port, self.process = free_port(), None
        config = os.path.join(self.base, "prometheus.yml")
        with open(config, "w", encoding="utf-8") as f:
            json.dump({"global": {"scrape_interval": "250ms", "scrape_timeout": "250ms", "evaluation_interval": "250ms"},
                       "rule_files": list(rules),
                       "scrape_configs": [{"job_name": "tribe", "static_configs": [{"targets": [target]}]}]}, f)
        with open(os.path.join(self.base, "log"), "wb") as log:
            self.process = subprocess.Popen(
                ["prometheus", f"--config.file={config}", f"--storage.tsdb.path={self.base}/data",
                 f"--web.listen-address=127.0.0.1:{self.port}"], stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.base,
                preexec_fn=lambda: ctypes.CDLL(None).prctl(1, signal.SIGKILL))

    def close(self):
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(30)
        shutil.rmtree(self.base, ignore_errors=True)

    def log(self):
        with open(os.path.join(self.base, "log"), encoding="utf-8", errors="replace") as f:
            return f.read()[-3000:]

    def query(self, text):
        """[(labels, value)], [] also while it does not answer yet."""
        assert self.process.poll() is None, self.log()
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request("GET", "/api/v1/query?" + urllib.parse.urlencode({"query": text}))
            answer = connection.getresponse()
            body = answer.read()
        except OSError:
            return []
        finally:
            connection.close()
        if answer.status == 503:
            return []
        assert answer.status == 200, body
        return [(row["metric"], float(row["value"][1])) for row in json.loads(body)["data"]["result"]]


class Scraped(TribeCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.tribe.remember(*(f"The lamp in room {n} is lit at night." for n in range(7)), sacred=True)
        for _ in range(3):
            cls.tribe.post("/api/v1/ask", {"question": "Which lamp is lit at night?"})
        old = cls.tribe.pids()["meta"]
        os.kill(old, signal.SIGKILL)
        cls.tribe.wait_new("meta", old)
        cls.tribe.raw(b"NO REQUEST\r\n\r\n")
        wait_for(lambda: b"cherokee_phase_coherence " in cls.tribe.get("/metrics").body, "the same memories were recalled again")

    def test_promtool_objects_to_nothing(self):
        text = self.tribe.get("/metrics").body
        done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, timeout=60, check=False)
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, b"", b""))
        for line in text.decode().splitlines():  # whole numbers print plainly
            if not line.startswith("#") and float(line.rsplit(" ", 1)[1]) == int(float(line.rsplit(" ", 1)[1])):
                self.assertRegex(line.rsplit(" ", 1)[1], r"^-?\d+$", line)

    def test_queries_return_the_values(self):
        prometheus = Prometheus("%s:%d" % self.tribe.address())
        self.addCleanup(prometheus.close)
        wait_for(lambda: prometheus.query('up{job="tribe"} == 1'), "a scrape succeeded")
        wait_for(lambda: [value for _, value in prometheus.query("count_over_time(thermal_memory_total[5m])") if value >= 8],
                 "eight scrapes")
        for name in EXPECTED:
            self.assertTrue(prometheus.query(name), name)
        self.assertEqual([value for _, value in prometheus.query("thermal_memory_total")], [7])
        self.assertEqual([value for _, value in prometheus.query("sum(thermal_memory_stage)")], [7])
        self.assertEqual({labels["jr"]: value for labels, value in prometheus.query("cherokee_jr_up")},
                         {name: 1 for name in API_NAMES.values()})
        self.assertEqual([value for _, value in prometheus.query('cherokee_http_refused_total{status="400"}')], [1])
        self.assertEqual([value for _, value in prometheus.query('cherokee_api_requests_total{endpoint="/api/v1/ask",method="POST"}')], [3])
        self.assertEqual([value for _, value in prometheus.query('sum(cherokee_jr_restarts_total{jr="meta_jr"})')], [1])
        # scrapes are answered by executive-jr and count themselves
        self.assertGreaterEqual(prometheus.query('cherokee_query_latency_seconds_count{endpoint="/metrics"}')[0][1], 8)
        (age,) = [value for _, value in prometheus.query("time() - min(cherokee_jr_heartbeat_timestamp)")]
        self.assertLess(abs(age), 30)
        (labels, value), = prometheus.query("cherokee_build_info")
        self.assertEqual((value, labels["version"]), (1, self.tribe.status()["version"]))
        # and the figures move: what is added now is seen by a later scrape
        self.tribe.remember("One more lamp.")
        wait_for(lambda: [value for _, value in prometheus.query("thermal_memory_total")] == [8], "the new memory is counted")
        self.assertEqual(prometheus.query('min_over_time(up{job="tribe"}[5m])')[0][1], 1, "no scrape failed")


def text_of(path):
    with open(path, encoding="utf-8") as f:
        return f.read()


def metrics_in(text):
    """Names of ours in an expression, without what a histogram's parts add."""
    return {re.sub(r"_(bucket|sum|count)\Z", "", name) for name in re.findall(r"\b(?:cherokee|thermal)_[a-z0-9_]+", text)}


class Rules(unittest.TestCase):
    def promtool(self, *words):
        done = subprocess.run(["promtool", *words], capture_output=True, text=True, timeout=120, check=False)
        self.assertEqual(done.returncode, 0, done)
        return done.stdout

    def test_rules_are_right_and_fire(self):
        self.promtool("check", "rules", RULES)
        self.promtool("test", "rules", RULES_TEST)
        tested, silent = text_of(RULES_TEST).split("- name: everything is wrong")[::-1]
        alerts = re.findall(r"- alert: (\w+)", text_of(RULES))
        self.assertGreater(len(alerts), 10)
        for alert in alerts:
            self.assertIn(f'alertname="{alert}"', tested)
            self.assertIn(f"alertname: {alert},", silent)
        self.assertLessEqual(metrics_in(text_of(RULES)), test_metrics.defined())

    def test_each_alert_has_a_runbook_that_is_there(self):
        manual = text_of(os.path.join(TOP, "docs", "OPERATIONS.md")).split("## Alerts", 1)[1].split("\n## ", 1)[0]
        for rule in text_of(RULES).split("- alert: ")[1:]:
            alert = rule.split("\n", 1)[0]
            self.assertIn(f'runbook: "docs/OPERATIONS.md, Alerts, {alert}"', rule)
            self.assertIn("summary: ", rule)
            self.assertRegex(rule, r"severity: (critical|warning|info)\}")
            self.assertIn(f"| `{alert}` |", manual)

    def test_the_example_is_a_configuration(self):
        where = tempfile.mkdtemp(prefix="tribe-prom-", dir="/tmp")
        self.addCleanup(shutil.rmtree, where)
        shutil.copy(RULES, where)
        for name in ("token", "ca"):
            with open(os.path.join(where, name), "w", encoding="ascii") as f:
                f.write("x")
        for text in (text_of(CONFIG), re.sub(r"(?m)^    # (authorization:|  credentials_file:|scheme:|tls_config:|  ca_file:)", r"    \1", text_of(CONFIG))
                     .replace("/etc/prometheus/tribe.token", where + "/token").replace("/etc/prometheus/tribe-certificate.pem", where + "/ca")):
            with open(os.path.join(where, "prometheus.yml"), "w", encoding="utf-8") as f:
                f.write(text)
            self.promtool("check", "config", os.path.join(where, "prometheus.yml"))
        self.assertIn(f"credentials_file: {where}/token", text)


class Dashboard(TribeCase):
    SETTINGS = test_metrics.Metrics.SETTINGS

    def test_a_it_is_a_dashboard(self):
        board = json.loads(text_of(DASHBOARD))
        self.assertEqual((board["uid"], board["title"]), ("tribe", "Tribe"))
        self.assertGreaterEqual(board["schemaVersion"], 36)
        self.assertEqual([v["name"] for v in board["templating"]["list"]], ["datasource", "instance", "jr"])
        panels = board["panels"]
        self.assertEqual(len({p["id"] for p in panels}), len(panels))
        taken = set()
        for p in panels:
            self.assertTrue(p["title"] and p["type"] in ("stat", "gauge", "timeseries") and p["targets"], p)
            at = p["gridPos"]
            cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
            self.assertLessEqual(at["x"] + at["w"], 24, p["title"])
            self.assertFalse(cells & taken, p["title"] + " lies on another")
            taken |= cells
            self.assertEqual(len({t["refId"] for t in p["targets"]}), len(p["targets"]))
            for t in p["targets"]:
                self.assertEqual(t["datasource"]["uid"], "${datasource}")
                self.assertTrue(metrics_in(t["expr"]) and metrics_in(t["expr"]) <= test_metrics.defined(), t["expr"])

    def test_b_every_panel_has_something_to_show(self):
        prometheus = Prometheus("%s:%d" % self.tribe.address(), [RULES])
        self.addCleanup(prometheus.close)
        drive = test_metrics.Metrics
        drive.remember_sacred(self, 0)
        for action in ("vote", "secret", "drill", "nonsense", "kill_meta"):
            getattr(drive, action)(self, 0)
        wait_for(lambda: prometheus.query('cherokee_jr_recovery_seconds_count{jr="meta_jr"} > 0'), "the kill was scraped")
        drive.kill_meta(self, 1)
        end, n = time.monotonic() + SCRAPE_S, 0
        while time.monotonic() < end or not (prometheus.query("cherokee_regression_r_squared") and
                                             prometheus.query("cherokee_degradation_ratio") and prometheus.query("cherokee_sentience_index")):
            self.assertLess(time.monotonic(), end + 60, "there is something of each sort")
            drive.remember(self, n % 40)  # a source may have 500
            drive.ask(self, n)
            drive.recall_apart(self, n)
            n += 1
            time.sleep(SCRAPE_S / 100)  # meta-jr looks at the newest 2,000 recalls, and a memory counts an access an hour: after 200 rounds it has none
        instance = "%s:%d" % self.tribe.address()
        for panel in json.loads(text_of(DASHBOARD))["panels"]:
            for target in panel["targets"]:
                expr = target["expr"].replace("$instance", instance).replace("$jr", ".*").replace("$__rate_interval", "1m")
                rows = wait_for(lambda: [v for _, v in prometheus.query(expr) if not math.isnan(v)], f"{panel['title']}: {expr}", 30)
                self.assertTrue(all(math.isfinite(v) for v in rows), expr)
        for record in re.findall(r"- record: (\S+)", text_of(RULES)):
            self.assertTrue(prometheus.query(record) or "p95_1h" in record, record)
        self.assertEqual([labels for labels, _ in prometheus.query('ALERTS{alertname=~"TribeNotScraped|TribeArchiveAway|TribeJrDown|TribeSentienceLow"}')
                          if labels["alertstate"] == "firing"], [])


if __name__ == "__main__":
    if not shutil.which("prometheus") or not shutil.which("promtool"):
        print("skipped: there is no prometheus here")
        sys.exit(77)
    main()
