"""What a Jr decides by itself is a decision of that Jr with its reason: once, whoever is killed meanwhile."""
import os
import sys
import unittest

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "kit"))
from tribe import Tribe, main, wait_for  # noqa: E402

MEMORIES = "/api/v1/memories"


class Decided(unittest.TestCase):
    def tribe(self, *settings):
        tribe = Tribe(*settings)
        self.addCleanup(tribe.close)
        return tribe

    def decisions(self, tribe, by=None):
        return [d for d in tribe.get("/api/v1/decisions?limit=200").json()["decisions"] if by in (None, d["by"])]

    def events(self, tribe, kind, jr):
        return [e for e in tribe.call("control.sock", "events", {"limit": 1000})["events"] if e["kind"] == kind and e.get("jr") == jr]

    def kill(self, tribe, role):
        """Once; it comes back, or waits to be started."""
        pid = tribe.pids().get(role)
        if pid is not None:
            os.kill(pid, 9)
            wait_for(lambda: tribe.pids().get(role) != pid, f"{role} is gone")

    def read_again(self, tribe):
        """A meta-jr that is new has read all of tribed's events, and memory-jr has heard what it made of them."""
        before, old = tribe.logs().count("tribed's events are read"), tribe.pids()["meta"]
        os.kill(old, 9)
        tribe.wait_new("meta", old)
        wait_for(lambda: tribe.logs().count("tribed's events are read") > before, "events are read")
        handled = tribe.status()["jrs"]["memory_jr"]["handled_total"]
        wait_for(lambda: tribe.status()["jrs"]["memory_jr"]["handled_total"] >= handled + 3, "it is asked for more, so that is through",
                 timeout=60)

    def test_a_role_given_up_and_healed(self):
        tribe = self.tribe()
        other = tribe.post(MEMORIES, {"content": "a stone"}).json()["memories"][0]
        self.assertEqual(self.decisions(tribe), [])

        def given_up():
            self.kill(tribe, "integration")
            return self.events(tribe, "failed", "integration_jr")
        wait_for(given_up, "tribed gives it up", timeout=120)
        wait_for(lambda: self.decisions(tribe), "that is decided")
        failed, = self.decisions(tribe)
        self.assertEqual(failed["by"], "meta_jr")
        self.assertIn("integration_jr is given up for now", failed["text"])
        self.assertIn("last: ", failed["text"])
        memory = tribe.get(f"{MEMORIES}/{failed['memory_id']}?touch=false").json()
        self.assertEqual((memory["source"], memory["tags"]), ("meta_jr", ["decision"]))
        wait_for(lambda: tribe.status()["jrs_running"]["integration_jr"], "it is tried again", timeout=90)
        wait_for(lambda: len(self.decisions(tribe)) == 2, "that is decided, too")
        healed = self.decisions(tribe)[0]
        self.assertIn("integration_jr is healed: after ", healed["text"])

        self.read_again(tribe)
        self.assertEqual([d["id"] for d in self.decisions(tribe)], [healed["id"], failed["id"]], "a new meta-jr says nothing twice")
        self.assertEqual(tribe.get(f"{MEMORIES}/{other['id']}?touch=false").json()["access_count"], 1, "decisions heat nothing")
        self.assertEqual(tribe.get(f"{MEMORIES}/{failed['memory_id']}?touch=false").json()["access_count"], 1)

    def test_an_anomaly_once_a_day(self):
        tribe = self.tribe("meta.time_scale=7800")
        tribe.remember(*[f"Fact {n} of the almanac, quite ordinary." for n in range(60)])
        tribe.remember("An endless scroll. " * 2000)
        wait_for(lambda: self.decisions(tribe, "meta_jr"), "it is acknowledged")
        found, = self.decisions(tribe)
        self.assertIn("Anomaly acknowledged, outlying_size: ", found["text"])
        analyses = tribe.get("/api/v1/analysis/anomalies").json()["analyses"]
        old = tribe.pids()["meta"]
        os.kill(old, 9)
        tribe.wait_new("meta", old)
        wait_for(lambda: tribe.get("/api/v1/analysis/anomalies").json()["analyses"] > 3, "it was found again")
        self.assertGreater(analyses, 0)
        self.assertEqual([d["id"] for d in self.decisions(tribe)], [found["id"]])

    def test_an_import_refused(self):
        tribe = self.tribe()
        path = tribe.dir + "-letters.jsonl"
        token = "ghp" + "_" + "a8Kx0qLw93mZbT51RvYc77HdP2sJ46uEoNfG"
        with open(path, "w", encoding="utf-8") as f:
            for n in range(5):
                f.write('{"content":"line %d"}\n{"content":"number %d by %s"}\n' % (n, n, token))
        tribe.ctl("import", path)
        wait_for(lambda: self.decisions(tribe, "integration_jr"), "that is decided")
        refused, = self.decisions(tribe)
        self.assertIn("refused 5 of what it brought", refused["text"])
        self.assertIn("code_token", refused["text"])
        self.assertNotIn(token[:12], refused["text"])
        tribe.ctl("import", path)
        self.assertEqual(len(self.decisions(tribe)), 1)

    def test_an_import_of_which_nothing_is_taken(self):
        tribe = self.tribe()
        token = "ghp" + "_" + "a8Kx0qLw93mZbT51RvYc77HdP2sJ46uEoNfG"
        for name, line, why in (("secrets", '{"content":"number %d by ' + token + '"}', "code_token"),
                                ("broken", '{"content": %d', "JSON")):
            path = f"{tribe.dir}-{name}.jsonl"
            with open(path, "w", encoding="utf-8") as f:
                f.writelines(line % n + "\n" for n in range(3))
            tribe.ctl("import", path)
            decision = wait_for(lambda: [d for d in self.decisions(tribe, "integration_jr") if name in d["text"]], "that is decided")[0]
            self.assertIn("refused: all 3 of what it brought", decision["text"])
            self.assertIn(why, decision["text"])
            self.assertNotIn(token[:12], decision["text"])
        self.assertEqual(len(self.decisions(tribe)), 2)

    def test_memory_jr_away(self):
        """A decision waits until somebody can write it down."""
        tribe = self.tribe("meta.time_scale=7800")
        tribe.remember(*[f"Fact {n} of the almanac, quite ordinary." for n in range(60)])
        tribe.remember("An endless scroll. " * 2000)
        self.kill(tribe, "memory")
        wait_for(lambda: self.decisions(tribe, "meta_jr"), "it is acknowledged")
        self.assertEqual(len(self.decisions(tribe)), 1)


if __name__ == "__main__":
    main()
