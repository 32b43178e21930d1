"""Votes end to end, on SQLite and on PostgreSQL: who votes how and why, what outsiders may, replays, and that each vote ends right and once, whoever is killed in the middle."""
import json
import os
import signal
import sys
import threading
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "kit"))
from postgres import Postgres
from tribe import RESET, Tribe, TribeCase, alive, main, problem_of, wait_for

VOTE, VOTES = "/api/v1/vote", "/api/v1/votes"
JRS = {"memory_jr", "integration_jr", "meta_jr", "executive_jr"}
NO_DECISIONS = {"no_quorum", "no_evidence", "tie", "no_majority", "vetoed"}
TAKEN = sorted(NO_DECISIONS) + ["decided", "open", "abstain", "absent", "Vetoed"]


def vote_memories(tribe):
    """Every memory that came of a vote."""
    return tribe.get("/api/v1/memories?tag=vote&limit=200&touch=false").json()["memories"]


def decisions(tribe):
    return [d for d in tribe.get("/api/v1/decisions?limit=200").json()["decisions"] if d["by"] == "vote"]


def counts(tribe):
    """cherokee_votes_total by outcome."""
    found = {}
    for line in tribe.get("/metrics").body.decode().splitlines():
        if line.startswith("cherokee_votes_total{"):
            found[line.split('"')[1]] = int(float(line.rsplit(" ", 1)[1]))
    return found


class Place:
    """Where the tribes of a test keep what they have; a setting for each."""

    @classmethod
    def place(cls):
        return ()


class OnPostgres:
    @classmethod
    def setUpClass(cls):
        cls.pg, cls.n = Postgres(), 0
        cls.addClassCleanup(cls.pg.close)
        super().setUpClass()

    @classmethod
    def place(cls):
        cls.n += 1
        cls.pg.create(f"t{cls.n}")
        return ("archive.url=" + cls.pg.url(f"t{cls.n}"),)


class Voting(Place, TribeCase):
    @classmethod
    def setUpClass(cls):
        cls.SETTINGS = (*cls.SETTINGS, *cls.place())
        super().setUpClass()

    def vote(self, proposal, status=201, headers=None, **more):
        answer = self.tribe.post(VOTE, {"proposal": proposal, **more}, headers=headers)
        self.assertEqual(answer.status, status, answer)
        return answer.json()

    def cast(self, vote_id, voter, choice, **more):
        return self.tribe.post(f"{VOTES}/{vote_id}/ballots", {"voter": voter, "choice": choice, **more})


class Ballots(Voting):
    def test_shape(self):
        vote = self.vote("Shall the zeppelin be painted?")
        self.assertEqual(set(vote["results"]), JRS)
        self.assertEqual(vote["results"]["memory_jr"], "abstain")
        self.assertEqual((vote["outcome"], vote["decided"], vote["minority"]), ("no_quorum", False, []))
        self.assertEqual(sum(vote["tally"].values()), 4)
        self.assertEqual({b["voter"] for b in vote["ballots"]}, JRS)
        for ballot in vote["ballots"]:
            self.assertTrue(ballot["reason"], "each says what its evidence was, or that it has none")
            self.assertEqual("confidence" in ballot, ballot["choice"] != "abstain")
            self.assertIsInstance(ballot["evidence"], list)
        self.assertEqual(self.tribe.get(f"{VOTES}/{vote['vote_id']}").json()["ballots"], vote["ballots"])
        kept = self.tribe.get(f"/api/v1/memories/{vote['memory_id']}?touch=false").json()
        self.assertEqual((kept["tags"], kept["source"]), (["vote"], "vote"))

    def test_a_decision_with_its_minority(self):
        sources = [self.tribe.remember(text, source=who)[0] for who, text in
                   (("ann", "The harbour crane is oiled weekly."), ("bob", "Oil the harbour crane every week."))]
        before = counts(self.tribe)
        vote = self.vote("Shall the harbour crane be oiled weekly?", quorum=3)
        self.assertEqual((vote["outcome"], vote["decided"]), ("yes", True), vote)
        ballots = {b["voter"]: b for b in vote["ballots"]}
        self.assertEqual({v: ballots[v]["choice"] for v in ("memory_jr", "integration_jr", "executive_jr")},
                         {"memory_jr": "yes", "integration_jr": "yes", "executive_jr": "yes"})
        self.assertEqual(set(ballots["integration_jr"]["evidence"]), set(sources))
        self.assertEqual(set(ballots["memory_jr"]["evidence"]), set(sources))
        decision = decisions(self.tribe)[0]
        self.assertEqual((decision["id"], decision["memory_id"]), (vote["decision_id"], vote["memory_id"]))
        self.assertIn("Decided by vote: yes", decision["text"])
        now = counts(self.tribe)
        self.assertEqual(now["yes"], before["yes"] + 1)
        again = self.vote("Shall the harbour crane be oiled weekly?")  # the precedent is known now
        self.assertIn(vote["memory_id"], next(b for b in again["ballots"] if b["voter"] == "memory_jr")["evidence"])

    def test_a_sacred_memory_is_contradicted(self):
        vow = self.tribe.remember("The vault must never be opened at night.", sacred=True, source="vow")[0]
        for n in range(3):
            self.tribe.remember(f"We opened the vault at night, time {n}, and all was well.", source="log")
        memory = next(b for b in self.vote("Shall the vault be opened at night?")["ballots"] if b["voter"] == "memory_jr")
        self.assertEqual((memory["choice"], memory["evidence"]), ("no", [vow]))
        self.assertIn("sacred", memory["reason"])
        rule = self.tribe.remember("The dragon is never to be fed after dark.", sacred=True)[0]  # one that agrees is one more for it
        memory = next(b for b in self.vote("The dragon must not be fed after dark")["ballots"] if b["voter"] == "memory_jr")
        self.assertEqual((memory["choice"], memory["evidence"]), ("yes", [rule]))

    def test_drill_load_has_no_voice(self):
        for who in ("drill:1", "drill:2"):
            self.tribe.remember("The glacier is melted for tea.", source=who)
        vote = self.vote("Shall the glacier be melted for tea?")
        self.assertEqual((vote["results"]["memory_jr"], vote["results"]["integration_jr"]), ("abstain", "abstain"))

    def test_replays(self):
        key = {"Idempotency-Key": "vote-once"}
        vote = self.vote("Shall we repeat ourselves?", headers=key)
        again = self.vote("Shall we repeat ourselves?", headers=key)
        for name in vote:
            if name != "timestamp":
                self.assertEqual(again[name], vote[name])
        self.assertEqual(problem_of(self.tribe.post(VOTE, {"proposal": "Other words?"}, headers=key))["type"], "urn:tribe:problem:key_reused")
        own = self.vote("By a name of its own?", vote_id="own-name")
        self.assertEqual(own["vote_id"], "own-name")
        self.assertEqual(self.vote("By a name of its own?", status=200, vote_id="own-name")["closed_at"], own["closed_at"])
        self.assertEqual(self.tribe.post(VOTE, {"proposal": "Another?", "vote_id": "own-name"}).status, 409)
        ids = [v["vote_id"] for v in self.tribe.get(VOTES + "?limit=200").json()["votes"]]
        self.assertEqual(len(ids), len(set(ids)))
        self.assertEqual(ids.count(vote["vote_id"]) + ids.count("own-name"), 2)

    def test_from_outside(self):
        vote = self.vote("Red or blue?", options=["red", "blue"], deadline_s=2, quorum=3, threshold=0.6)
        where = vote["vote_id"]
        self.assertEqual((vote["outcome"], vote["closed_at"], vote["memory_id"]), ("open", None, None))
        self.assertEqual(set(vote["results"].values()), {"abstain"})
        key = {"Idempotency-Key": "ann-votes"}
        body = {"voter": "ann", "choice": "red", "reason": "It is warm.", "evidence": ["m1"], "confidence": 0.9}
        self.assertEqual(self.tribe.post(f"{VOTES}/{where}/ballots", body, headers=key).status, 201)
        self.assertEqual(self.cast(where, "bob", "red").status, 201)
        self.assertEqual(self.cast(where, "bob", "red").status, 200)  # the same again
        self.assertEqual(self.cast(where, "bob", "blue", reason="It is calm.").status, 201)  # another choice replaces it
        self.assertEqual(self.cast(where, "cy", "red").status, 201)
        self.assertEqual(self.cast(where, "dee", "abstain").status, 201)
        standing = self.tribe.get(f"{VOTES}/{where}").json()
        self.assertEqual(standing["tally"], {"red": 2, "blue": 1, "abstain": 5, "absent": 0})
        closed = wait_for(lambda: (lambda v: v["outcome"] != "open" and v)(self.tribe.get(f"{VOTES}/{where}").json()), "it is closed")
        self.assertEqual((closed["outcome"], closed["decided"]), ("red", True))
        self.assertEqual([(b["voter"], b["reason"]) for b in closed["minority"]], [("bob", "It is calm.")])
        self.assertGreaterEqual(closed["closed_at"], closed["closes_at"])
        late = self.cast(where, "eve", "blue")
        self.assertEqual((late.status, problem_of(late)["type"]), (409, "urn:tribe:problem:conflict"))
        replay = self.tribe.post(f"{VOTES}/{where}/ballots", body, headers=key)  # the answer was lost, the vote is closed by now
        self.assertEqual((replay.status, replay.json()["results"]["ann"]), (201, "red"))
        self.assertEqual(len([m for m in vote_memories(self.tribe) if m["id"] == closed["memory_id"]]), 1)

    def test_refused(self):
        vote = self.vote("Only the Jrs?")
        waits = self.vote("Waits?", deadline_s=3600)
        for status, name, answer in (
                (404, "not_found", self.tribe.get(VOTES + "/no-such-vote")),
                (404, "not_found", self.cast("no-such-vote", "ann", "yes")),
                (409, "conflict", self.cast(vote["vote_id"], "ann", "yes")),
                (422, "invalid", self.cast(waits["vote_id"], "meta_jr", "yes")),
                (422, "invalid", self.cast(waits["vote_id"], "ann", "absent")),
                (422, "invalid", self.cast(waits["vote_id"], "ann", "perhaps")),
                (422, "invalid", self.tribe.post(VOTE, {"proposal": ""})),
                (422, "invalid", self.tribe.post(VOTE, {"proposal": "x" * 2001})),
                (422, "invalid", self.tribe.post(VOTE, {"proposal": "x", "options": ["a"]})),
                (422, "invalid", self.tribe.post(VOTE, {"proposal": "x", "options": ["a", "a"]})),
                *((422, "invalid", self.tribe.post(VOTE, {"proposal": "x", "options": ["a", taken]})) for taken in TAKEN),
                (422, "invalid", self.tribe.post(VOTE, {"proposal": "x", "quorum": 0})),
                (422, "invalid", self.tribe.post(VOTE, {"proposal": "x", "threshold": 1.1})),
                (422, "invalid", self.tribe.post(VOTE, {"proposal": "x", "deadline_s": 0})),
                (422, "invalid", self.tribe.post(VOTE, {"proposal": "x", "by": "ann"}))):
            self.assertEqual((answer.status, problem_of(answer)["type"]), (status, "urn:tribe:problem:" + name), answer)

    def test_forgotten_with_its_memory(self):
        vote = self.vote("Shall this be a secret?")
        self.assertEqual(self.tribe.http("DELETE", f"/api/v1/memories/{vote['memory_id']}").status, 204)
        self.assertEqual(self.tribe.get(f"{VOTES}/{vote['vote_id']}").status, 404)
        self.assertNotIn(vote["vote_id"], [v["vote_id"] for v in self.tribe.get(VOTES).json()["votes"]])

    def test_events(self):
        vote = self.vote("Who hears of it?")
        def told():
            text = [e["detail"] for e in self.tribe.call("control.sock", "events")["events"] if e["kind"] == "vote" and vote["vote_id"] in e["detail"]]
            return len(text) >= 2 and text
        self.assertEqual([t.replace(vote["vote_id"], "ID") for t in wait_for(told, "both events")], ["vote ID opened", "vote ID closed: no_quorum"])

    def test_tribectl(self):
        done = self.tribe.ctl("vote", "Does the clerk vote?", "--quorum", "5", "--json")
        vote = json.loads(done.stdout)
        self.assertEqual((done.returncode, vote["outcome"], set(vote["results"])), (1, "no_quorum", JRS))
        done = self.tribe.ctl("vote", "Which way?", "--option", "left", "--option", "right", "--deadline", "3600", "--id", "way")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertIn("open until", done.stdout)
        for choice in ("left", "right"):
            self.cast("way", "voter " + choice, choice)
        shown = self.tribe.ctl("votes", "way")
        self.assertIn("left 1, right 1", shown.stdout)
        self.assertIn("voter left: left", shown.stdout)
        self.assertIn("way", self.tribe.ctl("votes", "--limit", "200").stdout)
        self.assertEqual(json.loads(self.tribe.ctl("votes", "--json").stdout)["votes"][0]["by"], vote["by"])


class Evidence(Voting):
    """A tribe that is well and knows it: meta_jr and executive_jr say yes to whatever is asked."""
    SETTINGS = ("meta.analysis_period_s=1",)

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        for n in range(30):
            cls.tribe.remember(f"Entry {n} of the gardener's book: all is in bloom.", source="book")
        wait_for(lambda: (cls.tribe.get("/api/v1/analysis/anomalies").json().get("sampled") or 0) >= 30, "an analysis of all of them")

    def by_the_moment(self, vote):
        self.assertEqual((vote["results"]["meta_jr"], vote["results"]["executive_jr"]), ("yes", "yes"), vote)

    def no_decision(self, vote, outcome):
        self.assertEqual((vote["outcome"], vote["decided"], vote["decision_id"], vote["minority"]), (outcome, False, None, []), vote)
        self.assertEqual(self.tribe.get(f"/api/v1/memories/{vote['memory_id']}?touch=false").json()["tags"], ["vote"])
        self.assertNotIn(vote["memory_id"], [d["memory_id"] for d in decisions(self.tribe)])

    def test_the_moment_alone_decides_nothing(self):
        before = counts(self.tribe)
        self.assertEqual(set(before), {"yes", "no", "option"} | NO_DECISIONS)
        for proposal in ("Shall the zeppelin be sold?", "Shall nobody ever have tea?"):
            vote = self.vote(proposal)
            self.by_the_moment(vote)
            self.assertEqual((vote["results"]["memory_jr"], vote["results"]["integration_jr"]), ("abstain", "abstain"))
            self.assertEqual(vote["tally"], {"yes": 2, "no": 0, "abstain": 2, "absent": 0})
            self.no_decision(vote, "no_evidence")
        self.no_decision(self.vote("Shall the zeppelin be sold?", quorum=1, threshold=0), "no_evidence")
        self.no_decision(self.vote("Shall the zeppelin be sold?", quorum=3), "no_quorum")  # looked at first
        self.assertEqual(counts(self.tribe)["no_evidence"], before["no_evidence"] + 3)
        done = self.tribe.ctl("vote", "Shall the zeppelin be bought?")
        self.assertEqual((done.returncode, done.stderr), (1, "tribectl: vote: no decision\n"))
        self.assertIn("no_evidence", done.stdout)

    def test_the_moment_counts_where_there_is_evidence(self):
        self.tribe.remember("The lighthouse lamp is cleaned daily.", source="keeper")
        vote = self.vote("Shall the lighthouse lamp be cleaned daily?", quorum=3)
        self.by_the_moment(vote)
        self.assertEqual((vote["results"]["integration_jr"], vote["outcome"], vote["tally"]["yes"]), ("abstain", "yes", 3))

    def test_one_voice_from_outside_is_evidence(self):
        vote = self.vote("Shall the weathercock be gilded?", deadline_s=1)
        self.assertEqual(self.cast(vote["vote_id"], "ann", "yes").status, 201)
        closed = wait_for(lambda: (lambda v: v["closed_at"] and v)(self.tribe.get(f"{VOTES}/{vote['vote_id']}").json()), "it is closed")
        self.assertEqual((closed["outcome"], closed["tally"]["yes"]), ("yes", 3))

    def test_what_is_sacred_is_not_voted_away(self):
        vow = self.tribe.remember("The old oak must never be felled.", sacred=True, source="vow")[0]
        for who in ("ann", "bob", "cy"):
            self.tribe.remember(f"{who} says: the old oak is felled soon.", source=who)
        before = counts(self.tribe)
        vote = self.vote("Shall the old oak be felled?", vote_id="oak")
        self.by_the_moment(vote)
        self.assertEqual((vote["results"]["memory_jr"], vote["results"]["integration_jr"]), ("no", "yes"))
        self.no_decision(vote, "vetoed")
        self.assertEqual([(b["voter"], b["evidence"]) for b in vote["ballots"] if b.get("veto")], [("memory_jr", [vow])])
        self.assertTrue(all("veto" not in b for b in vote["ballots"] if b["voter"] != "memory_jr"))
        again = self.vote("Shall the old oak be felled?", status=200, vote_id="oak")
        self.assertEqual({k: v for k, v in again.items() if k != "timestamp"}, {k: v for k, v in vote.items() if k != "timestamp"})
        self.assertEqual(counts(self.tribe)["vetoed"], before["vetoed"] + 1)
        shown = self.tribe.ctl("votes", "oak").stdout
        self.assertIn("vetoed", shown)
        self.assertIn("memory_jr: no (1.00), veto, it contradicts 1 sacred memory: a veto", shown)
        # neither who writes nor who votes takes it away
        self.tribe.remember("The old oak may be felled by now.", source="ann", supersedes=vow)
        vote = self.vote("Shall the old oak be felled?", deadline_s=1)
        self.assertEqual(self.tribe.post(f"{VOTES}/{vote['vote_id']}/ballots", {"voter": "v", "choice": "yes", "veto": False}).status, 422)
        for n in range(5):
            self.assertEqual(self.cast(vote["vote_id"], f"voter {n}", "yes").status, 201)
        closed = wait_for(lambda: (lambda v: v["closed_at"] and v)(self.tribe.get(f"{VOTES}/{vote['vote_id']}").json()), "it is closed")
        self.no_decision(closed, "vetoed")
        # no is no; and what agrees with it is decided as ever
        vote = self.vote("Shall the old oak be felled?", deadline_s=1)
        for n in range(5):
            self.assertEqual(self.cast(vote["vote_id"], f"voter {n}", "no").status, 201)
        closed = wait_for(lambda: (lambda v: v["closed_at"] and v)(self.tribe.get(f"{VOTES}/{vote['vote_id']}").json()), "it is closed")
        self.assertEqual((closed["outcome"], closed["decided"]), ("no", True), closed)

    def test_what_is_sacred_is_not_drowned(self):
        vow = self.tribe.remember("Among much else that the elders have laid down for all times to come: the mill pond must never be drained.",
                                  sacred=True, source="vow")[0]
        for n in range(40):
            self.tribe.remember(f"The mill pond is drained: {n}.", source=f"neighbour {n}")
        found = self.tribe.get("/api/v1/memories?q=Shall+the+mill+pond+be+drained&limit=30&touch=false").json()["memories"]
        self.assertNotIn(vow, [m["id"] for m in found])
        vote = self.vote("Shall the mill pond be drained?")
        self.no_decision(vote, "vetoed")
        self.assertEqual([b["evidence"] for b in vote["ballots"] if b.get("veto")], [[vow]])

    def test_what_is_sacred_may_be_agreed_with(self):
        self.tribe.remember("Visitors are never to be turned away at the gate.", sacred=True, source="vow")
        vote = self.vote("Visitors must not be turned away at the gate")
        self.assertEqual((vote["outcome"], [b for b in vote["ballots"] if b.get("veto")]), ("yes", []), vote)


class Middle(Place, unittest.TestCase):
    """Somebody dies while a vote is under way: a half-open Jr holds it there."""

    def tribe(self, *settings):
        tribe = Tribe("drills=true", "heartbeat_ms=20", *self.place(), *settings)
        self.addCleanup(tribe.close)
        return tribe

    def hold(self, tribe, jr, ms=600000):
        """That Jr takes requests and answers none, until the connection returned is closed."""
        def covered():  # who starts later says hello to everybody, and would wait for an answer, too
            jrs = tribe.status()["jrs"].values()
            return all(j["state"] == "up" and all(u["state"] == "waiting" for u in j["understudies"]) for j in jrs)
        wait_for(covered, "all are there, and who waits behind them")
        rpc = tribe.rpc()
        rpc.call("fault.inject", {"jr": jr, "fault": "half-open", "ms": ms})
        self.addCleanup(rpc.close)
        return rpc

    def begin(self, tribe, proposal, **more):
        """Puts it to the vote in a thread: its answer, or the exception, will be in the list."""
        got = []

        def ask():
            try:
                got.append(tribe.post(VOTE, {"proposal": proposal, **more}, headers={"Idempotency-Key": "middle"}))
            except RESET as e:
                got.append(e)
        thread = threading.Thread(target=ask)
        thread.start()
        self.addCleanup(thread.join, 60)
        return thread, got

    def asked(self, tribe, jr):
        """Waits until the Jr has a request that it does not answer: the vote is in the middle."""
        def waits():
            beats = {b["jr"]: b for b in tribe.call("control.sock", "heartbeats")["heartbeats"]}
            return beats[jr]["inflight"] > 0
        vote, = wait_for(lambda: tribe.get(VOTES).json()["votes"], "the vote is open")
        wait_for(waits, jr + " was asked and is silent")
        self.assertEqual((vote["outcome"], vote["convened"]), ("open", False))
        return vote["vote_id"]

    def closed(self, tribe, vote_id):
        return wait_for(lambda: (lambda v: v["closed_at"] and v)(tribe.get(f"{VOTES}/{vote_id}").json()), "the vote is closed")

    def ended_once(self, tribe, vote_id):
        vote = tribe.get(f"{VOTES}/{vote_id}").json()
        self.assertEqual(set(vote["results"]), JRS)
        self.assertEqual(len(vote["ballots"]), 4)
        self.assertEqual([m["id"] for m in vote_memories(tribe)], [vote["memory_id"]])
        self.assertEqual([d["memory_id"] for d in decisions(tribe)], [vote["memory_id"]] if vote["decided"] else [])
        self.assertEqual(sum(counts(tribe).values()), 1)
        again = tribe.post(VOTE, {"proposal": "Shall the bridge be closed?"}, headers={"Idempotency-Key": "middle"})
        self.assertIn(again.status, (200, 201))
        self.assertEqual({k: v for k, v in again.json().items() if k != "timestamp"}, {k: v for k, v in vote.items() if k != "timestamp"})
        self.assertEqual(len(tribe.get(VOTES).json()["votes"]), 1)
        return vote

    def kill_one(self, role):
        tribe = self.tribe()
        self.hold(tribe, role)
        thread, got = self.begin(tribe, "Shall the bridge be closed?")
        vote_id = self.asked(tribe, role + "_jr")
        old = tribe.pids()[role]
        os.kill(old, signal.SIGKILL)
        thread.join(60)
        answer = got[0].json()
        self.assertEqual((got[0].status, answer["vote_id"]), (201, vote_id))
        vote = self.ended_once(tribe, vote_id)
        self.assertEqual({v: c == "absent" for v, c in vote["results"].items()}, {jr: jr == role + "_jr" for jr in JRS})
        self.assertEqual((vote["tally"]["absent"], vote["convened"]), (1, True))
        tribe.wait_new(role, old)
        self.assertNotEqual(tribe.post(VOTE, {"proposal": "And now?"}).json()["results"][role + "_jr"], "absent")

    def test_meta_jr_is_killed(self):
        self.kill_one("meta")

    def test_integration_jr_is_killed(self):
        self.kill_one("integration")

    def test_one_that_is_silent_is_absent(self):
        tribe = self.tribe()
        self.hold(tribe, "meta")
        answer = tribe.post(VOTE, {"proposal": "Shall the bridge be closed?"}, headers={"Idempotency-Key": "middle"})
        self.assertEqual((answer.status, answer.json()["results"]["meta_jr"]), (201, "absent"))
        self.assertIn("in time", next(b["reason"] for b in answer.json()["ballots"] if b["voter"] == "meta_jr"))
        self.ended_once(tribe, answer.json()["vote_id"])

    def test_one_that_is_down_is_absent(self):
        tribe = self.tribe()
        self.assertEqual(tribe.ctl("stop", "integration").returncode, 0)
        answer = tribe.post(VOTE, {"proposal": "Shall the bridge be closed?"}, headers={"Idempotency-Key": "middle"})
        self.assertEqual((answer.status, answer.json()["results"]["integration_jr"]), (201, "absent"))
        self.ended_once(tribe, answer.json()["vote_id"])

    def kill_memory(self, *settings):
        tribe = self.tribe(*settings)
        holder = self.hold(tribe, "integration")
        thread, got = self.begin(tribe, "Shall the bridge be closed?")
        vote_id = self.asked(tribe, "integration_jr")
        os.kill(tribe.pids()["memory"], signal.SIGKILL)
        holder.close()
        thread.join(60)
        self.assertEqual((got[0].status, got[0].json()["vote_id"]), (201, vote_id), got[0])
        self.closed(tribe, vote_id)
        return self.ended_once(tribe, vote_id)

    def test_memory_jr_is_killed(self):
        self.kill_memory()

    def test_memory_jr_is_killed_and_nobody_waits_behind_it(self):
        self.kill_memory("understudies=memory=0,executive=0")

    def kill_executive(self, *settings):
        tribe = self.tribe(*settings)
        holder = self.hold(tribe, "meta")
        thread, got = self.begin(tribe, "Shall the bridge be closed?")
        vote_id = self.asked(tribe, "meta_jr")
        old = tribe.pids()["executive"]
        os.kill(old, signal.SIGKILL)
        thread.join(60)
        self.assertIsInstance(got[0], RESET)  # its connection died with it; the vote did not
        holder.close()
        tribe.wait_new("executive", old)
        vote = self.closed(tribe, vote_id)
        self.assertEqual((vote["convened"], vote["tally"]["absent"]), (True, 0))  # convened anew by who leads now
        self.ended_once(tribe, vote_id)

    def test_executive_jr_is_killed(self):
        self.kill_executive()

    def test_executive_jr_is_killed_and_nobody_waits_behind_it(self):
        self.kill_executive("understudies=memory=0,executive=0")

    def test_executive_jr_is_killed_while_tribectl_waits(self):
        """Its question is sent again to who leads then, and is the same one."""
        tribe = self.tribe()
        holder = self.hold(tribe, "meta")
        got = []
        thread = threading.Thread(target=lambda: got.append(tribe.ctl("vote", "Shall the bridge be closed?", "--json")))
        thread.start()
        self.addCleanup(thread.join, 60)
        vote_id = self.asked(tribe, "meta_jr")
        old = tribe.pids()["executive"]
        os.kill(old, signal.SIGKILL)
        holder.close()
        thread.join(60)
        vote = json.loads(got[0].stdout)
        self.assertEqual((vote["vote_id"], vote["outcome"], got[0].returncode), (vote_id, "no_quorum", 1))
        self.assertEqual([v["vote_id"] for v in tribe.get(VOTES).json()["votes"]], [vote_id])
        self.assertEqual(len(vote_memories(tribe)), 1)

    def test_everybody_is_killed(self):
        tribe = self.tribe()
        self.hold(tribe, "meta")
        thread, got = self.begin(tribe, "Shall the bridge be closed?")
        vote_id = self.asked(tribe, "meta_jr")
        pids = list(tribe.processes().values())
        tribe.kill()
        for pid in pids:
            tribe._kill(pid)  # may have left already: its channel ended
        tribe.wait_gone()
        wait_for(lambda: not any(alive(pid) for pid in pids), "the last of them is gone")
        thread.join(60)
        tribe.start()
        vote = self.closed(tribe, vote_id)
        self.assertTrue(vote["convened"])
        self.ended_once(tribe, vote_id)


class Restart(Place, unittest.TestCase):
    def test_open_votes_outlive_the_tribe(self):
        with Tribe(*self.place()) as tribe:
            soon = tribe.post(VOTE, {"proposal": "Is it over while nobody is there?", "deadline_s": 1}).json()
            late = tribe.post(VOTE, {"proposal": "Does it go on?", "deadline_s": 3600, "quorum": 1}).json()
            for vote in (soon, late):
                self.assertEqual(tribe.post(f"{VOTES}/{vote['vote_id']}/ballots", {"voter": "ann", "choice": "no"}).status, 201)
            self.assertEqual(tribe.stop(), 0)
            end = time.time() + 1  # the deadline passes, by the clock
            wait_for(lambda: time.time() > end, "a second has passed")
            tribe.start()
            vote = wait_for(lambda: (lambda v: v["closed_at"] and v)(tribe.get(f"{VOTES}/{soon['vote_id']}").json()), "it is closed")
            self.assertEqual((vote["results"]["ann"], vote["convened"]), ("no", True))
            vote = tribe.get(f"{VOTES}/{late['vote_id']}").json()
            self.assertEqual((vote["outcome"], vote["results"]["ann"]), ("open", "no"))
            self.assertEqual(tribe.post(f"{VOTES}/{late['vote_id']}/ballots", {"voter": "bob", "choice": "no"}).json()["tally"]["no"], 2)
            self.assertEqual(sum(counts(tribe).values()), 1)


class BallotsOnPostgres(OnPostgres, Ballots):
    pass


class EvidenceOnPostgres(OnPostgres, Evidence):
    pass


class MiddleOnPostgres(OnPostgres, Middle):
    pass


class RestartOnPostgres(OnPostgres, Restart):
    pass


if __name__ == "__main__":
    main()
