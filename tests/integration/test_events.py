"""`events`: what happened, in order, none lost between the list and what follows it."""
import json
import os
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "kit"))
from stage import Staged
from tribe import API_NAMES, ROLES, RpcError, TribeCase, main, wait_for


def kinds(events, role=None):
    return [e["kind"] for e in events if role is None or e.get("jr") == API_NAMES[role]]


class Listed(TribeCase):
    SETTINGS = ("understudies=",)  # one process a role: test_understudies.py tells of more

    def events(self, **params):
        return self.tribe.call("control.sock", "events", params)["events"]

    def consecutive(self, events):
        self.assertEqual([e["seq"] for e in events], list(range(events[0]["seq"], events[0]["seq"] + len(events))))

    def follow(self):
        rpc = self.tribe.rpc()
        self.addCleanup(rpc.close)
        return rpc, rpc.call("events", {"follow": True})["events"]

    def until(self, rpc, wanted):
        """Followed events up to the first for which wanted(event) holds."""
        got = []
        while not got or not wanted(got[-1]):
            method, event = rpc.note()
            self.assertEqual(method, "event")
            got.append(event)
        return got

    def test_the_start_is_told(self):
        events = self.events()
        self.consecutive(events)
        for role in ROLES:
            self.assertEqual(kinds(events, role)[:4], ["start", "spawn", "promote", "ready"])
            ready = next(e for e in events if e["kind"] == "ready" and e["jr"] == API_NAMES[role])
            self.assertEqual((ready["generation"], ready["epoch"]), (1, 1))
            self.assertGreater(ready["pid"], 1)
        self.assertIn("operational", kinds(events))
        at = [e["at"] for e in events]
        self.assertEqual(at, sorted(at))

    def test_limit(self):
        everything = self.events()
        self.assertEqual(self.events(limit=3), everything[-3:])
        for wrong in (0, 1001, "1"):
            with self.assertRaises(RpcError):
                self.events(limit=wrong)

    def test_a_kill_is_told_to_followers_in_order(self):
        rpc, listed = self.follow()
        last = listed[-1]["seq"]
        for _ in range(3):
            old = self.tribe.pids()["meta"]
            self.tribe.call("control.sock", "fault.inject", {"jr": "meta", "fault": "kill"})
            got = self.until(rpc, lambda e: e["kind"] == "operational")
            self.consecutive(got)
            self.assertEqual(got[0]["seq"], last + 1, "none is lost, none comes twice")
            last = got[-1]["seq"]
            self.assertEqual(kinds(got, "meta"), ["drill", "exit", "spawn", "promote", "ready"])
            self.assertIn("degraded", kinds(got))
            by = {e["kind"]: e for e in got}
            self.assertEqual((by["drill"]["pid"], by["exit"]["pid"]), (old, old))
            self.assertIn("cause: drill", by["exit"]["detail"])
            self.assertEqual(by["spawn"]["generation"], by["exit"]["generation"] + 1)
            self.assertEqual(by["promote"]["epoch"], by["exit"]["epoch"] + 1)
        self.assertEqual(self.events()[-1]["seq"], last)

    def test_joining_in_the_middle_loses_nothing(self):
        """The list and what follows it are one sequence, whenever one begins to follow."""
        watchers = []
        self.tribe.call("control.sock", "fault.inject", {"jr": "integration", "fault": "kill"})
        for _ in range(20):
            watchers.append(self.follow())
        self.tribe.call("control.sock", "fault.inject", {"jr": "meta", "fault": "kill"})
        end = wait_for(lambda: self.events()[-1]["kind"] == "operational" and len(self.tribe.pids()) == 4 and
                       self.events()[-1]["seq"], "all is well again")
        self.tribe.call("control.sock", "reload")  # one more, so that each has something to wait for
        for rpc, listed in watchers:
            self.consecutive(listed + self.until(rpc, lambda e: e["seq"] > end))

    def test_stop_and_start(self):
        rpc, _ = self.follow()
        self.tribe.call("control.sock", "jr.stop", {"jr": "memory"})
        got = self.until(rpc, lambda e: e["kind"] == "exit")
        self.assertEqual(kinds(got, "memory"), ["stop", "exit"])
        self.assertIn("cause: stop", got[-1]["detail"])
        self.tribe.call("control.sock", "jr.start", {"jr": "memory"})
        got += self.until(rpc, lambda e: e["kind"] == "operational")
        self.assertEqual(kinds(got, "memory"), ["stop", "exit", "start", "spawn", "promote", "ready"])
        self.assertEqual([k for k in kinds(got) if k in ("down", "degraded", "operational")], ["down", "operational"])


class Bounded(TribeCase):
    def test_only_the_last_thousand_are_kept(self):
        with self.tribe.rpc() as rpc:
            for _ in range(1100):
                self.assertEqual(rpc.call("reload"), {"changed": []})
            events = rpc.call("events")["events"]
        self.assertEqual(len(events), 1000)
        self.assertEqual([e["seq"] for e in events], list(range(events[-1]["seq"] - 999, events[-1]["seq"] + 1)))
        self.assertGreater(events[0]["seq"], 100)


class OverTheChannel(unittest.TestCase):
    """What executive-jr hears, for its page."""

    def heard(self, tribe):
        return [json.loads(line) for line in tribe.wrote("notes-executive")]

    def test_executive_follows(self):
        with Staged(fakes=ROLES, start=False) as tribe:
            tribe.mode("executive", "follow")
            tribe.start()
            wait_for(lambda: self.heard(tribe), "the answer")
            tribe.call("control.sock", "fault.inject", {"jr": "meta", "fault": "kill"})
            wait_for(lambda: "ready" in [h["message"][2].get("kind") for h in self.heard(tribe) if h["message"][1] == "event"
                                         and h["message"][2].get("generation") == 2], "meta's second life is told")
            wait_for(lambda: len([h for h in self.heard(tribe) if h["message"][1] == "heartbeat"]) >= 12, "three beats of each")
            heard = self.heard(tribe)
            answer = next(h["message"] for h in heard if h["message"][0] == 1)
            self.assertEqual(answer[:3], [1, 7, None])
            seqs = [e["seq"] for e in answer[3]["events"]]
            seqs += [h["message"][2]["seq"] for h in heard if h["message"][1] == "event"]
            self.assertEqual(seqs, list(range(1, len(seqs) + 1)))
            for role in ROLES:
                times = [h["t"] for h in heard if h["message"][1] == "heartbeat" and h["message"][2]["jr"] == API_NAMES[role]]
                self.assertGreaterEqual(len(times), 2, role)
                # the fakes beat ten times a second; heard when the fake comes round to it
                self.assertLessEqual(len(times), (times[-1] - times[0]) + 2, f"{role}: more than one a second")

    def test_others_may_not(self):
        with Staged(fakes=ROLES, start=False) as tribe:
            tribe.mode("integration", "follow")
            tribe.start()
            answer, = wait_for(lambda: [json.loads(line)["message"] for line in tribe.wrote("notes-integration")], "the answer")[:1]
            self.assertEqual(answer[2]["code"], "refused")

    def test_a_follower_that_does_not_read_costs_only_its_own_notes(self):
        with Staged("hang_after_ms=600000", fakes=ROLES, start=False) as tribe:
            tribe.mode("executive", "follow")
            tribe.start()
            wait_for(lambda: self.heard(tribe), "the answer")
            os.kill(tribe.pids()["executive"], 12)  # SIGUSR2: blocks for good
            with tribe.rpc() as rpc:
                for _ in range(2000):
                    rpc.call("reload")
                self.assertEqual(rpc.call("events", {"limit": 1})["events"][0]["kind"], "reload")
            os.kill(tribe.pids()["executive"], 9)
            wait_for(lambda: "channel was full at times jr=executive_jr dropped=" in tribe.logs(), "the loss is counted")


if __name__ == "__main__":
    main()
