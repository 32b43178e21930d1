"""tribectl drill: what it says of a tribe that recovers, of one that does not, and of one that forgets; and what it leaves behind."""
import glob
import html.parser
import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.join(HERE, "..", "..")
sys.path[:0] = [HERE, os.path.join(HERE, "..", "kit")]
import test_tls  # noqa: E402
from tribe import API_NAMES, ROLES, SANITIZER_MARKS, TribeCase, alive, main, program, wait_for  # noqa: E402

DONE, FAILED, USAGE, UNREACHABLE, REFUSED = range(5)
WARNING = re.compile(r"\A(tribectl: drill: warning: tribed did not take the result: [^\n]*\n)?\Z")
COUNTS = ("lost", "doubled", "stale", "refused", "failed")


def harms():
    """{word: (by, lasts, doc)} of the one list."""
    with open(os.path.join(TOP, "common", "base", "harms.h"), encoding="utf-8") as f:
        rows = re.findall(r'^\tX\(\w+,\s*"([a-z-]+)",\s*(\w+),\s*(\w+),\s*"([^"]*)"\)', f.read(), re.M)
    assert len(rows) >= 13, rows
    return {word: (by, lasts, doc) for word, by, lasts, doc in rows}


def state_of(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as f:
            return f.read().rsplit(") ", 1)[1][0]
    except FileNotFoundError:
        return "-"


class Page(html.parser.HTMLParser):
    """What a page names: its elements and every attribute that could fetch something."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.fetches = {}, []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags[tag] = self.tags.get(tag, 0) + 1
        self.fetches += [(tag, name) for name, _ in attrs if name in ("src", "href", "srcset", "data", "action") or name.startswith("on")]


class DrillCase(TribeCase):
    def drill(self, *words, status=DONE, tribe=None, env=None):
        """Runs it to its end; its report."""
        tribe = tribe or self.tribe
        done = subprocess.run([program("tribectl"), "--dev", tribe.dir, "drill", "--json", *words], capture_output=True, text=True,
                              env=env or tribe.env, timeout=300, check=False)
        self.assertEqual(done.returncode, status, done)
        self.assertRegex(done.stderr, WARNING)
        return json.loads(done.stdout)

    def good(self, report, kills=None):
        self.assertEqual((report["valid"], report["verdict"], report.get("reason")), ("true", "passed", None), report)
        self.assertEqual(report["done"], report["planned"])
        self.assertEqual(report["done"], len(report["run"]))
        if kills is not None:
            self.assertEqual({jr["jr"]: (jr["kills"], jr["recovered"], jr["refused"]) for jr in report["jrs"]},
                             {API_NAMES[role]: (kills, kills, 0) for role in ROLES})
        self.assertEqual(len({row["pid"] for row in report["run"]}), len(report["run"]), "nobody is killed twice")
        for row in report["run"]:
            self.assertTrue(row["recovered"])
            self.assertNotEqual(row["pid"], row["new_pid"])
            self.assertGreater(row["new_epoch"], row["epoch"])
            self.assertGreater(row["t_ready_ms"], 0)
            self.assertLessEqual(row["t_ready_ms"], row["t_first_reply_ms"])

    def clean(self, report, tribe=None):
        """Nothing of its load is left."""
        left = (tribe or self.tribe).get(f"/api/v1/memories?source=drill:{report['id']}&touch=false")
        self.assertEqual((left.status, left.json()["memories"]), (200, []))
        memories = report["load"]["memories"]
        self.assertEqual((memories["listed"], memories["left"]), (memories["removed"], 0))


class Verdicts(DrillCase):
    def test_kill_under_load(self):
        self.tribe.remember("The lamp of the pier is green.")
        before, old = self.tribe.get("/api/v1/thermal").json(), self.tribe.pids()
        with tempfile.TemporaryDirectory(prefix="tribe-", dir="/tmp") as where:
            path = os.path.join(where, "report.json")
            report = self.drill("--jr", "all", "--kills", "2", "--seed", "5", "--load", "10", "--rate", "20", "--report", path)
            self.assertEqual(sorted(os.listdir(where)), ["report.json", "report.json.html"])
            with open(path, encoding="utf-8") as f:
                self.assertEqual(json.load(f), report)
            with open(path + ".html", encoding="utf-8") as f:
                page = Page(f.read())
        self.good(report, 2)
        self.assertFalse(set(old.values()) & set(self.tribe.pids().values()))
        self.assertEqual(report["steady_states"], {"before": "held", "during": "held", "after": "held"})
        self.assertEqual({name: report["checker"][name] for name in COUNTS}, {name: {"count": 0, "examples": []} for name in COUNTS})
        self.assertGreaterEqual(report["checker"]["acknowledged"], 10)
        self.assertGreaterEqual(report["checker"]["reads"], 10)
        self.assertTrue(report["checker"]["history_whole"])
        self.assertEqual(sum(report["load"]["requests"].values()), report["checker"]["requests"])
        self.assertEqual(report["load"]["memories"]["listed"], report["checker"]["acknowledged"])
        self.clean(report)
        after = self.tribe.get("/api/v1/thermal").json()
        self.assertEqual((after["total_memories"], after["white_hot_count"]), (before["total_memories"], before["white_hot_count"]))
        self.assertEqual(page.fetches, [])
        self.assertNotIn("script", page.tags)
        self.assertGreaterEqual(page.tags["line"], 8)
        for row in report["run"]:
            # an understudy leads before tribed can have seen the death
            self.assertIn(row["detected_by"], ("exit",) if row["jr"] in ("meta_jr", "integration_jr") else ("exit", "promote"), row)
            self.assertGreater(row["t_detect_ms"], 0)
        again = self.drill("--jr", "all", "--kills", "2", "--seed", "5")
        self.assertEqual([row["jr"] for row in again["run"]], [row["jr"] for row in report["run"]], "the seed replays the order")
        self.assertTrue(again["replay"].startswith("tribectl drill --jr all --kills 2 --fault kill --seed 5"), again["replay"])

    def test_each_blow_hits_somebody_living(self):
        """An understudy answers before tribed has seen the death of the lead, whose pid its status then still names."""
        def killed():
            status = self.tribe.call("control.sock", "status", {})["jrs"]["executive_jr"]
            return sum(row["count"] for row in status["detections"] if row["reason"] == "signal")
        before = killed()
        self.good(self.drill("--jr", "executive", "--kills", "40", "--seed", "1"))
        wait_for(lambda: killed() == before + 40, "tribed has seen as many deaths")

    def test_storm(self):
        report = self.drill("--storm", "3", "--every", "20", "--load", "10", "--rate", "30")
        self.good(report)
        self.assertGreaterEqual(report["done"], 20)
        self.assertGreaterEqual(len({row["jr"] for row in report["run"]}), 3)
        times = [row["t_ms"] for row in report["run"]]
        self.assertTrue(all(b - a > 19 for a, b in zip(times, times[1:])), "never faster than it was told")
        self.clean(report)

    def test_a_storm_that_could_not_go_on_is_no_pass(self):
        # meta and integration have no understudy that could be harmed with their lead; which comes first is the seed's
        done = self.tribe.ctl("drill", "--storm", "30", "--every", "20", "--fault", "double", "--json")
        self.assertEqual(done.returncode, 1, done)
        if done.stdout:  # none when the first one was one of those
            report = json.loads(done.stdout)
            self.assertEqual((report["verdict"], report["valid"], report["planned"]), ("unknown", "unknown", report["done"] + 1))

    def test_a_report_that_cannot_be_written_is_told_before(self):
        old = self.tribe.pids()
        done = self.tribe.ctl("drill", "--jr", "meta", "--kills", "1", "--report", self.tribe.run)
        self.assertEqual((done.returncode, self.tribe.pids()), (1, old), done)
        self.assertIn("directory", done.stderr)

    def test_hang(self):
        old = self.tribe.pids()["meta"]
        report = self.drill("--jr", "meta", "--kills", "1", "--fault", "hang")
        self.good(report)
        self.assertEqual(report["run"][0]["detected_by"], "stopped")
        wait_for(lambda: not alive(old), "the hung one is gone")

    def test_text(self):
        done = self.tribe.ctl("drill", "--jr", "meta", "--kills", "1", "--load", "3", "--rate", "50")
        self.assertEqual(done.returncode, DONE, done)
        for word in ("meta", "p99", "lost 0, doubled 0, stale 0, refused 0, failed 0", "left 0", "passed"):
            self.assertIn(word, done.stdout)
        self.assertNotIn("\x1b", done.stdout)

    def test_too_little_is_unknown(self):
        report = self.drill("--jr", "meta", "--kills", "1", "--load", "1", "--rate", "1", status=FAILED)
        self.assertEqual((report["valid"], report["verdict"]), ("unknown", "unknown"))
        self.assertIn("too few", report["reason"])
        self.clean(report)

    def test_a_missed_target_is_false(self):
        report = self.drill("--jr", "meta", "--kills", "1", "--slo-ms", "0.001", status=FAILED)
        self.assertEqual((report["valid"], report["verdict"]), ("false", "failed"))

    def test_what_is_forgotten_behind_its_back_is_lost(self):
        """The checker against a real tribe that loses an acknowledged memory: somebody deletes one."""
        with subprocess.Popen([program("tribectl"), "--dev", self.tribe.dir, "drill", "--json", "--storm", "4", "--every", "500", "--load", "4",
                               "--rate", "50"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=self.tribe.env) as process:
            try:
                found = glob.glob(os.path.join(self.tribe.state, "archive", "current", "*.sqlite"))
                self.assertEqual(len(found), 1, found)

                def some():
                    db = sqlite3.connect(f"file:{found[0]}?mode=ro", uri=True)
                    try:
                        return db.execute("SELECT id FROM thermal_memory_archive WHERE source LIKE 'drill:%' LIMIT 1").fetchone()
                    finally:
                        db.close()
                key = wait_for(some, "a memory of the drill")[0]
                wait_for(lambda: self.try_delete(key), "it is deleted")
                out, err = process.communicate(timeout=120)
            finally:
                process.kill()
        self.assertEqual(process.returncode, FAILED, err)
        report = json.loads(out)
        self.assertEqual((report["valid"], report["checker"]["lost"]["count"]), ("false", 1), report["checker"])
        self.assertRegex(report["checker"]["lost"]["examples"][0], r"^memory \d+ was acknowledged at .* and is not there$")
        self.clean(report)

    def try_delete(self, key):
        try:
            return self.tribe.http("DELETE", "/api/v1/memories/" + key).status in (204, 404)
        except OSError:
            return False


class Refusals(DrillCase):
    def test_unknown_to_this_tribe_harms_nobody(self):
        """Faults that need code inside a Jr: not without `drills: true`."""
        old = self.tribe.pids()
        done = self.tribe.ctl("drill", "--jr", "meta", "--kills", "1", "--fault", "spin")
        self.assertIn(done.returncode, (USAGE, REFUSED), done)
        self.assertEqual((done.stdout, done.stderr.count("\n")), ("", 1), done)
        self.assertTrue(done.stderr.startswith("tribectl: drill: "), done)
        self.assertEqual(self.tribe.pids(), old)

    def test_nobody_to_harm(self):
        done = self.tribe.ctl("drill", "--jr", "meta", "--kills", "1", "--fault", "double")  # meta-jr has no understudy
        self.assertIn(done.returncode, (FAILED, USAGE), done)
        self.assertEqual((done.stdout, done.stderr.count("\n")), ("", 1), done)

    def test_supervisor_kill_wants_yes_with_dev(self):
        done = self.tribe.ctl("drill", "--jr", "all", "--kills", "1", "--fault", "supervisor-kill")
        self.assertEqual((done.returncode, done.stdout), (USAGE, ""), done)
        self.assertIn("--yes", done.stderr)
        self.assertIsNone(self.tribe.process.poll())

    def test_supervisor_kill(self):
        """Somebody starts tribed again: here it is us."""
        old = self.tribe.process.pid
        process = subprocess.Popen([program("tribectl"), "--dev", self.tribe.dir, "drill", "--json", "--kills", "1", "--fault", "supervisor-kill",
                                    "--yes"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=self.tribe.env)
        try:
            self.assertEqual(self.tribe.process.wait(60), -signal.SIGKILL)
            self.tribe.start()
            out, err = process.communicate(timeout=120)
        finally:
            process.kill()
            process.wait(60)
        self.assertEqual(process.returncode, DONE, (out, err))
        row, = json.loads(out)["run"]
        self.assertEqual((row["jr"], row["fault"], row["pid"], row["new_pid"]), ("supervisor", "supervisor-kill", old, self.tribe.process.pid))

    def test_a_report_that_cannot_be_written_harms_nobody(self):
        old = self.tribe.pids()
        done = self.tribe.ctl("drill", "--jr", "all", "--kills", "1", "--report", "/no/such/dir/file")
        self.assertEqual((done.returncode, done.stdout), (FAILED, ""), done)
        self.assertEqual(self.tribe.pids(), old)


class Ends(DrillCase):
    def popen(self, *words):
        process = subprocess.Popen([program("tribectl"), "--dev", self.tribe.dir, "drill", "--json", *words], stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, text=True, env=self.tribe.env)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.stderr.close)
        self.addCleanup(process.wait, 60)
        self.addCleanup(process.kill)
        return process

    def restarts(self):
        return self.tribe.status()["jrs"]["meta_jr"]["restarts"]

    def test_interrupted_under_load_it_cleans_up(self):
        process, before = self.popen("--jr", "meta", "--kills", "100000", "--load", "5", "--rate", "50"), self.restarts()
        wait_for(lambda: self.restarts() >= before + 2, "some kills")
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=120)
        self.assertEqual(process.returncode, FAILED)
        self.assertRegex(err, WARNING)
        report = json.loads(out)
        self.assertEqual((report["valid"], report["verdict"], report["reason"]), ("unknown", "interrupted", "interrupted"), report)
        self.assertEqual(report["steady_states"]["after"], "unknown")
        self.clean(report)

    def test_killed_it_leaves_nothing_stopped(self):
        """kill -9 of the runner while its SIGSTOPs fly: no Jr stays stopped, and all serve."""
        for _ in range(5):
            process, before = self.popen("--jr", "meta", "--kills", "100000", "--fault", "hang"), self.restarts()
            wait_for(lambda before=before: self.restarts() > before, "a hang")
            process.kill()
            process.wait(60)
            wait_for(lambda: len(self.tribe.pids()) == len(ROLES), "all serve")
            wait_for(lambda: not [pid for pid in self.tribe.processes().values() if state_of(pid) in "Tt"], "none is stopped")
        self.assertEqual(self.tribe.call("meta.sock", "jr.ping")["pid"], self.tribe.pids()["meta"])


class Script(DrillCase):
    """deploy/scripts/chaos_monkey.sh"""

    def monkey(self, *words, **more):
        return subprocess.run([os.path.join(TOP, "deploy", "scripts", "chaos_monkey.sh"), *words], capture_output=True, text=True,
                              env=dict(self.tribe.env, **{"TRIBECTL": program("tribectl"), **more}), timeout=300, check=False)

    def test_each_ten_times(self):
        done = self.monkey("--dev", self.tribe.dir, "--json", "--seed", "3")
        self.assertEqual(done.returncode, DONE, done)
        report = json.loads(done.stdout)
        self.good(report, 10)
        self.assertEqual(report["slo_ms"], 30000)

    def test_its_failures_are_its_own(self):
        with tempfile.TemporaryDirectory(prefix="tribe-", dir="/tmp") as nothing:
            self.assertEqual(self.monkey("--dev", nothing).returncode, UNREACHABLE)
        self.assertEqual(self.monkey("--dev", self.tribe.dir, "--no-such-option").returncode, USAGE)
        self.assertNotEqual(self.monkey("--dev", self.tribe.dir, TRIBECTL="/no/such/program").returncode, DONE)


class Words(unittest.TestCase):
    def test_the_document_has_them_all(self):
        with open(os.path.join(TOP, "docs", "CHAOS_ENGINEERING.md"), encoding="utf-8") as f:
            rows = re.findall(r"^\| `([a-z-]+)` \| (\w+) \| (\w+) \| (.*) \|$", f.read(), re.M)
        self.assertEqual({word: (by.upper(), {"yes": "true", "no": "false"}[lasts], doc) for word, by, lasts, doc in rows}, harms())

    def test_the_command_has_them_all(self):
        done = subprocess.run([program("tribectl"), "drill", "--help"], capture_output=True, text=True, timeout=60, check=True)
        found = re.search(r"^ +--fault (\S+)", done.stdout, re.M)
        self.assertEqual(found.group(1).split("|"), list(harms()))


class Secure(DrillCase):
    """With TLS and a token, and with TLS alone; in a network namespace of its own, see Namespace."""

    @classmethod
    def setUpClass(cls):
        cls.tribe = test_tls.SecureTribe("http.listen=0.0.0.0:0")
        cls.addClassCleanup(cls.tribe.close)

    def test_token(self):
        words = ("--jr", "executive", "--kills", "2", "--load", "4", "--rate", "50")
        kept = self.drill(*words)  # admin-token of the state directory
        self.good(kept)
        self.assertGreater(kept["checker"]["requests"], 50)
        self.clean(kept)
        self.good(self.drill(*words, env=dict(self.tribe.env, TRIBE_TOKEN=self.tribe.token)))
        path = os.path.join(self.tribe.base, "token")
        with open(path, "w", encoding="ascii") as f:
            f.write("tribe_of_somebody_else\n")
        wrong = self.drill(*words, "--token-file", path, status=FAILED)
        self.assertEqual(wrong["valid"], "false")
        self.assertGreater(wrong["checker"]["failed"]["count"], 0)
        self.assertIn("401", wrong["checker"]["failed"]["examples"][0])

    def test_a_certificate_of_its_own(self):
        paths = [os.path.join(self.tribe.state, name) for name in ("certificate.pem", "private_key.pem")]
        other = test_tls.SecureTribe(f"http.certificate={paths[0]}", f"http.private_key={paths[1]}", certificate=paths[0], token=False)
        self.addCleanup(other.close)
        report = self.drill("--jr", "executive", "--kills", "1", "--load", "4", "--rate", "50", tribe=other)
        self.good(report)
        self.clean(report, other)


class Namespace(unittest.TestCase):
    def test_secure(self):
        for how in (["unshare", "-n"], ["unshare", "-Urn"]):
            if subprocess.run([*how, "true"], capture_output=True, check=False).returncode == 0:
                break
        else:
            self.skipTest("no network namespace of its own")
        done = subprocess.run([*how, "--fork", "--kill-child", sys.executable, os.path.abspath(__file__), "Secure"], capture_output=True, text=True,
                              env=dict(os.environ, **{test_tls.OWN_NAMESPACE: "1"}), timeout=280, check=False)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        for mark in SANITIZER_MARKS:
            self.assertNotIn(mark, done.stderr)


def load_tests(loader, _, __):
    cases = (Verdicts, Refusals, Ends, Script, Words, Namespace)
    return unittest.TestSuite(loader.loadTestsFromTestCase(case) for case in cases)


if __name__ == "__main__":
    if test_tls.OWN_NAMESPACE in os.environ:
        test_tls.loopback_up()
    main()
