"""POST /api/v1/drills: tribed runs tribectl drill for whoever looks at the page; one at a time, and nothing is left of it."""
import glob
import os
import signal
import sys
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "kit"))
from tribe import RpcError, Tribe, TribeCase, alive, main, problem_of, program, repeat, wait_for  # noqa: E402

DRILLS = "/api/v1/drills"


class OutsideDev(Tribe):
    """The same directories, named one by one: no --dev."""

    def command(self, *flags):
        words = super().command(*flags)
        at = words.index("--dev")
        for name in (self.state, self.run):
            os.makedirs(name, mode=0o700, exist_ok=True)
        return words[:at] + ["--state", self.state, "--runtime", self.run] + words[at + 2:]


def begin(tribe, key=None, **body):
    return tribe.post(DRILLS, body, headers={"Idempotency-Key": key} if key else {})


def drills(tribe, headers=None):
    """Asked again where the drill killed who had read the question: that is executive-jr's own exception."""
    return repeat(tribe, "GET", DRILLS, None, headers=headers)[0].json()


def running(tribe):
    return drills(tribe).get("running")


def ended(tribe, n=1):
    """The n drills that were reported, when none is running any more."""
    return wait_for(lambda: (lambda d: "running" not in d and len(d["drills"]) >= n and d["drills"])(drills(tribe)), f"{n} drills are over")


def told(tribe):
    events = tribe.call("control.sock", "events", {"limit": 1000})["events"]
    return [e["detail"] for e in events if e["kind"] == "drill" and "jr" not in e]


def runner(tribe):
    """The pid of tribed's tribectl; 0: there is none."""
    for path in glob.glob("/proc/[0-9]*/stat"):
        try:
            with open(path, encoding="ascii", errors="replace") as f:
                name, rest = f.read().rsplit(") ", 1)
        except (FileNotFoundError, ProcessLookupError):
            continue
        if name.endswith("(tribectl") and int(rest.split()[1]) == tribe.process.pid:
            return int(path.split("/")[2])
    return 0


class Begun(TribeCase):
    def test_its_result_is_listed(self):
        before = len(self.tribe.get(DRILLS).json()["drills"])
        pid = self.tribe.pids()["meta"]
        answer = begin(self.tribe, jr="meta", kills=2)
        self.assertEqual(answer.status, 202, answer)
        run = answer.json()["running"]
        self.assertEqual((run["jr"], run["fault"], run["kills"]), ("meta_jr", "kill", 2))
        last = ended(self.tribe, before + 1)[0]
        self.assertEqual((last["jrs"], last["fault"], last["planned"], last["injected"], last["recovered"], last["valid"]), (["meta_jr"], "kill", 2, 2, 2, "true"))
        self.assertNotEqual(self.tribe.pids()["meta"], pid)
        self.assertIn("kill began: meta_jr, 2 times", told(self.tribe))
        self.assertEqual(wait_for(lambda: runner(self.tribe) == 0, "its process has left"), True)

    def test_under_users(self):
        before = len(self.tribe.get(DRILLS).json()["drills"])
        answer = begin(self.tribe, "users", jr="memory", kills=2, load=4)
        self.assertEqual((answer.status, answer.json()["running"]["load"]), (202, 4), answer)
        other = begin(self.tribe, "users", jr="memory", kills=2, load=5)
        self.assertEqual((other.status, problem_of(other)["type"]), (422, "urn:tribe:problem:key_reused"))
        self.assertIn("kill began: memory_jr, 2 times, under 4 users", told(self.tribe))
        last = ended(self.tribe, before + 1)[0]
        self.assertEqual((last["load"], last["valid"], last["failed"], last["lost"], last["doubled"]), (4, "true", 0, 0, 0), last)
        self.assertGreater(last["requests"], 20)
        self.assertEqual([s["jr"] for s in last["steps"]], ["memory_jr"] * 2)
        self.assertAlmostEqual(max(s["ms"] for s in last["steps"]), last["max_ms"], places=3)
        self.assertGreater(len(last["slices"]), 5)
        self.assertTrue(all(0 < s["p50_ms"] <= s["p99_ms"] <= s["max_ms"] for s in last["slices"]), last["slices"])
        wait_for(lambda: running(self.tribe) is None, "its process has left")
        self.assertEqual(begin(self.tribe, jr="meta", kills=1).status, 202)
        two = ended(self.tribe, before + 2)[:2]
        self.assertEqual(["steps" in d and d["steps"] is not None for d in two], [True, False], "the newest alone says all")
        self.assertIsNone(two[0].get("slices"))
        self.assertEqual(two[0]["load"], 0)

    def test_one_at_a_time_and_once_for_a_key(self):
        before = len(self.tribe.get(DRILLS).json()["drills"])
        first = begin(self.tribe, "one", jr="integration", kills=20)
        self.assertEqual(first.status, 202, first)
        again = begin(self.tribe, "one", jr="integration", kills=20)
        self.assertEqual((again.status, again.json()), (202, first.json()))
        other = begin(self.tribe, "one", jr="integration", kills=21)
        self.assertEqual((other.status, problem_of(other)["type"]), (422, "urn:tribe:problem:key_reused"))
        self.assertEqual(running(self.tribe), first.json()["running"])
        second = begin(self.tribe, "two", jr="meta", kills=1)
        self.assertEqual((second.status, problem_of(second)["detail"]), (409, "a drill is running already"))
        ended(self.tribe, before + 1)
        self.assertEqual(begin(self.tribe, "one", jr="integration", kills=20).json(), first.json())
        self.assertIsNone(running(self.tribe))
        self.assertEqual(len(self.tribe.get(DRILLS).json()["drills"]), before + 1)

    def test_refused(self):
        for body, status, words in (({}, 422, "kills"), ({"kills": 0}, 422, "kills"), ({"kills": 101}, 422, "kills"), ({"kills": 1, "jr": "chief"}, 422, "jr"),
                                    ({"kills": 1, "fault": "tickle"}, 422, "fault"), ({"kills": 1, "fault": "supervisor-kill"}, 422, "fault"),
                                    ({"kills": 1, "fault": "spin"}, 403, "drills: true"), ({"kills": 1, "load": 101}, 422, "load"), ({"kills": 1, "load": -1}, 422, "load"), ({"kills": 1, "token": "x"}, 422, "token")):
            answer = begin(self.tribe, **body)
            self.assertEqual(answer.status, status, answer)
            self.assertIn(words, problem_of(answer)["detail"])
        self.assertIsNone(running(self.tribe))
        with self.assertRaises(RpcError):  # executive-jr alone may ask for it
            self.tribe.call("control.sock", "drill.start", {"kills": 1})

    def test_one_that_is_killed_is_told_and_makes_room(self):
        self.assertEqual(begin(self.tribe, jr="meta", kills=100, fault="hang").status, 202)
        os.kill(wait_for(lambda: runner(self.tribe), "it runs"), signal.SIGKILL)
        wait_for(lambda: "hang was not finished: signal 9" in told(self.tribe), "its end is told")
        self.assertIsNone(running(self.tribe))
        wait_for(lambda: len(self.tribe.pids()) == 4, "all are there")
        self.assertEqual(begin(self.tribe, jr="meta", kills=1).status, 202)
        wait_for(lambda: running(self.tribe) is None, "the next one is over")

    def test_the_least_that_a_page_needs(self):
        self.assertTrue(os.path.exists(program("tribectl")))
        answer = begin(self.tribe, jr="all", kills=1)
        self.assertEqual(answer.json()["running"]["jr"], "all")
        wait_for(lambda: running(self.tribe) is None, "it is over")
        self.assertEqual(len(self.tribe.get(DRILLS).json()["drills"][0]["jrs"]), 4)


class Tokens(unittest.TestCase):
    def test_its_users_get_in_where_tokens_are_used(self):
        with Tribe() as tribe:
            token = tribe.post("/api/v1/tokens", {"name": "ops", "scopes": ["admin"]}).json()["token"]
            who = {"Authorization": "Bearer " + token}
            names = lambda: [t["name"] for t in tribe.get("/api/v1/tokens", headers=who).json()["tokens"]]  # noqa: E731
            self.assertEqual(tribe.post(DRILLS, {"jr": "executive", "kills": 3, "load": 3}, headers=who).status, 202)
            lent = wait_for(lambda: [n for n in names() if n != "ops"], "the load has a token of its own")
            self.assertTrue(lent[0].startswith("drill-"), lent)
            last = wait_for(lambda: drills(tribe, who)["drills"], "it is over")[0]
            self.assertEqual((last["valid"], last["failed"]), ("true", 0), last)
            self.assertGreater(last["requests"], 10)
            wait_for(lambda: names() == ["ops"], "what was lent is gone")

    def test_where_none_are_used_none_is_made(self):
        with Tribe() as tribe:
            self.assertEqual(begin(tribe, jr="meta", kills=2, load=4).status, 202)
            last = ended(tribe)[0]
            self.assertEqual(last["valid"], "true", last)
            self.assertEqual(tribe.get("/api/v1/tokens").json()["tokens"], [])


class Leaving(unittest.TestCase):
    def test_it_ends_with_the_tribe(self):
        with Tribe() as tribe:
            self.assertEqual(begin(tribe, jr="meta", kills=100, fault="hang").status, 202)
            pid = wait_for(lambda: runner(tribe), "it runs")
            began = time.monotonic()
            self.assertEqual(tribe.stop(), 0)
            self.assertLess(time.monotonic() - began, 20)
            self.assertFalse(alive(pid))

    def test_outside_dev_it_wants_yes(self):
        with OutsideDev() as tribe:
            answer = begin(tribe, jr="meta", kills=1)
            self.assertEqual(answer.status, 422, answer)
            self.assertIn('"yes"', problem_of(answer)["detail"])
            self.assertEqual(begin(tribe, jr="meta", kills=1, yes=False).status, 422)
            self.assertEqual(begin(tribe, jr="meta", kills=1, yes=True).status, 202)
            self.assertEqual(ended(tribe)[0]["recovered"], 1)

    def test_drills_true_is_a_yes(self):
        with OutsideDev("drills=true") as tribe:
            self.assertEqual(begin(tribe, jr="meta", kills=1, fault="exit").status, 202)
            self.assertEqual(ended(tribe)[0]["fault"], "exit")


if __name__ == "__main__":
    main()
