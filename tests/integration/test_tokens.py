"""Tokens of the API: made, used, rotated, revoked; and the authorisation matrix, call x scope x foreign source."""
import glob
import hashlib
import http.client
import json
import os
import re
import signal
import socket
import sys
import threading
import time
import unittest

sys.path[:0] = [os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "kit"), os.path.dirname(os.path.abspath(__file__))]
import test_tls
from tribe import Response, Tribe, main, problem_of, wait_for  # noqa: E402

ROUTES_DEF = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "jrs", "executive", "api", "routes.def")
TOKEN_RULE = re.compile(r"tribe_[A-Za-z0-9_-]{43}")
MARKS = ("zanzibar", "their-", "theirs")  # in what the other source has, its ids, its name


def bearer(token):
    return {"Authorization": "Bearer " + token} if token else {}


class TokenTribe(Tribe):
    """Remembers one admin token and speaks with it, once there is one."""
    token = None

    def http(self, method, path, body=None, headers=None, timeout=60):
        headers = dict(headers or {})
        if self.token and "Authorization" not in headers:
            headers.update(bearer(self.token))
        return super().http(method, path, body, headers, timeout)

    def anonymous(self, method, path, body=None):
        return super().http(method, path, body)

    def make(self, name, *scopes, source=None, expires=None):
        words = ["token", "create", name, "--json"]
        for scope in scopes:
            words += ["--scope", scope]
        words += ["--source", source] if source else []
        words += ["--expires", expires] if expires else []
        done = self.ctl(*words)
        assert done.returncode == 0 and done.stderr == "", done
        made = json.loads(done.stdout)
        assert made["in_force"] and TOKEN_RULE.fullmatch(made["token"]), made
        return made["token"]

    def head_of(self, path, token):
        """The status alone, of an answer that may never end."""
        connection = http.client.HTTPConnection(*self.address(), timeout=60)
        try:
            connection.request("GET", path, headers=bearer(token))
            answer = connection.getresponse()
            body = answer.read() if answer.status != 200 else b""
            return Response(answer.status, answer.headers, body)
        finally:
            connection.close()


def routes():
    with open(ROUTES_DEF, encoding="utf-8") as f:
        return re.findall(r'^R\("([A-Z]+)",\s*"([^"]+)",\s*\w+,\s*NEEDS_(\w+)', f.read(), re.M)


# What may who? Written here once more, on purpose: not read from the program.
INCLUDES = {"read": {"read"}, "write": {"read", "write"}, "admin": {"read", "write", "admin", "metrics"}, "metrics": {"metrics"}}
WHO = {  # scopes, source
    "reader": (("read",), None),
    "writer": (("write",), None),
    "chief": (("admin",), None),
    "prometheus": (("metrics",), None),
    "watcher": (("read", "metrics"), None),
    "bound_reader": (("read",), "mine"),
    "bound_writer": (("write",), "mine"),
}


def may(who, scope, whole):
    scopes, source = WHO[who]
    return scope in set().union(*(INCLUDES[s] for s in scopes)) and not (whole and source)


class Row:
    """One line of the matrix: the scope that a call wants, whether it tells of the whole tribe, a request, and good answers."""

    def __init__(self, scope, request, *good, whole=False, stream=False):
        self.scope, self.request, self.good, self.whole, self.stream = scope, request, good, whole, stream


class Matrix(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.tribe = TokenTribe()
        cls.addClassCleanup(cls.tribe.close)
        cls.n = 0
        cls.fill()
        cls.tribe.token = cls.tribe.make("root", "admin")
        cls.tokens = {who: cls.tribe.make(who, *scopes, source=source) for who, (scopes, source) in WHO.items()}

    @classmethod
    def fill(cls):
        tribe = cls.tribe
        tribe.remember("The blue kettle of mine is in the kitchen.", source="mine", id="mine-1")
        tribe.remember("My other kettle whistles.", source="mine", id="mine-2")
        for i in range(30):
            tribe.remember(f"The blue kettle number {i} is in zanzibar.", source="theirs", id=f"their-{i}")
        tribe.remember("My kettle is in zanzibar by now.", source="theirs", id="their-x", supersedes="mine-2")
        tribe.remember("A kettle of nobody, in zanzibar.", id="their-nobody")
        for by in ("mine", "theirs"):
            done = tribe.post("/api/v1/decisions", {"text": f"{by}: we boil it" + (" in zanzibar" if by == "theirs" else ""), "by": by})
            assert done.status == 201, done

    @classmethod
    def fresh(cls):
        cls.n += 1
        return f"n{cls.n}"

    def memory(self):
        return self.tribe.remember(f"To be changed {self.fresh()}.", source="mine")[0]

    def table(self):
        post = "POST"
        return {
            (post, "/api/v1/memories"): Row("write", lambda: ("/api/v1/memories", {"content": f"Said {self.fresh()}."}), 201),
            ("GET", "/api/v1/memories"): Row("read", lambda: ("/api/v1/memories?q=blue+kettle&explain=true&limit=200", None), 200),
            ("GET", "/api/v1/memories/{id}"): Row("read", lambda: ("/api/v1/memories/mine-2", None), 200),
            ("GET", "/api/v1/memories/{id}/explanation"): Row("read", lambda: ("/api/v1/memories/mine-2/explanation?q=blue+kettle", None), 200),
            ("PATCH", "/api/v1/memories/{id}"): Row("write", lambda: ("/api/v1/memories/mine-2", {"importance": 0.6}), 200),
            ("DELETE", "/api/v1/memories/{id}"): Row("write", lambda: ("/api/v1/memories/" + self.memory(), None), 204),
            (post, "/api/v1/ask"): Row("read", lambda: ("/api/v1/ask", {"question": "Where is the blue kettle?", "limit": 50}), 200),
            ("GET", "/api/v1/status"): Row("read", lambda: ("/api/v1/status", None), 200, whole=True),
            ("GET", "/api/v1/drills"): Row("read", lambda: ("/api/v1/drills", None), 200, whole=True),
            # one at a time: the next one that may is told so
            (post, "/api/v1/drills"): Row("admin", lambda: ("/api/v1/drills", {"jr": "meta", "kills": 1}), 202, 409, whole=True),
            ("GET", "/api/v1/thermal"): Row("read", lambda: ("/api/v1/thermal", None), 200),
            ("GET", "/api/v1/decisions"): Row("read", lambda: ("/api/v1/decisions", None), 200),
            (post, "/api/v1/decisions"): Row("write", lambda: ("/api/v1/decisions", {"text": f"Done {self.fresh()}", "by": "mine"}), 201),
            (post, "/api/v1/vote"): Row("write", lambda: ("/api/v1/vote", {"proposal": f"Shall we {self.fresh()}?", "deadline_s": 3600}), 201, whole=True),
            ("GET", "/api/v1/votes"): Row("read", lambda: ("/api/v1/votes", None), 200, whole=True),
            ("GET", "/api/v1/votes/{id}"): Row("read", lambda: ("/api/v1/votes/" + self.vote(), None), 200, whole=True),
            (post, "/api/v1/votes/{id}/ballots"): Row("write", lambda: (f"/api/v1/votes/{self.vote()}/ballots", {"choice": "yes"}), 201),
            ("GET", "/api/v1/audit"): Row("admin", lambda: ("/api/v1/audit", None), 200, whole=True),
            ("GET", "/api/v1/analysis/anomalies"): Row("read", lambda: ("/api/v1/analysis/anomalies", None), 200, whole=True),
            ("GET", "/api/v1/analysis/regression"): Row("read", lambda: ("/api/v1/analysis/regression", None), 200, 404, whole=True),
            ("GET", "/api/v1/analysis/patterns"): Row("read", lambda: ("/api/v1/analysis/patterns", None), 200, 404, whole=True),
            ("GET", "/api/v1/events"): Row("read", lambda: ("/api/v1/events", None), 200, whole=True, stream=True),
            ("GET", "/api/v1/governance"): Row("read", lambda: ("/api/v1/governance", None), 200, whole=True),
            # an envelope needs no admin, an act without one does: 422 is behind the scope, 403 `refused` is not `scope`
            (post, "/api/v1/governance"): Row("write", lambda: ("/api/v1/governance", {"act": "delete", "memory": "mine-1", "reason": "r", "confirm": "x"}), 422, 403, whole=True),
            ("GET", "/api/v1/governance/{id}"): Row("read", lambda: ("/api/v1/governance/" + self.act(), None), 200, whole=True),
            (post, "/api/v1/governance/{id}/objections"): Row("write", lambda: (f"/api/v1/governance/{self.act()}/objections", {"reason": "no"}), 201, 403, whole=True),
            (post, "/api/v1/tokens"): Row("admin", lambda: ("/api/v1/tokens", {"name": self.fresh(), "scopes": ["read"]}), 201, whole=True),
            ("GET", "/api/v1/tokens"): Row("admin", lambda: ("/api/v1/tokens", None), 200, whole=True),
            ("DELETE", "/api/v1/tokens/{name}"): Row("admin", lambda: ("/api/v1/tokens/" + self.victim(), None), 204, whole=True),
            (post, "/api/v1/tokens/{name}/rotate"): Row("admin", lambda: (f"/api/v1/tokens/{self.victim()}/rotate", {}), 201, whole=True),
            ("GET", "/openapi.json"): Row(None, lambda: ("/openapi.json", None), 200),
            ("GET", "/healthz"): Row(None, lambda: ("/healthz", None), 200),
            ("GET", "/readyz"): Row(None, lambda: ("/readyz", None), 200),
            ("GET", "/metrics"): Row("metrics", lambda: ("/metrics", None), 200, whole=True),
            ("GET", "/openapi.json"): Row(None, lambda: ("/openapi.json", None), 200),
            ("GET", "/"): Row(None, lambda: ("/", None), 200),
            ("GET", "/docs"): Row(None, lambda: ("/docs", None), 200),
            ("GET", "/assets/{name}"): Row(None, lambda: ("/assets/app.js", None), 200),
        }

    def act(self):
        done = self.tribe.post("/api/v1/governance", {"act": "constants", "constants": {"base": 41}, "reason": "r",
                                                      "confirm": self.tribe.get("/api/v1/governance").json()["archive"]})
        self.assertEqual(done.status, 202, done)
        return done.json()["id"]

    def vote(self):
        return self.tribe.post("/api/v1/vote", {"proposal": f"Shall we {self.fresh()}?", "deadline_s": 3600}).json()["vote_id"]

    def test_whoever_votes_does_so_under_his_token_s_name(self):
        vote_id = self.vote()
        writer = bearer(self.tokens["writer"])
        self.assertEqual(self.tribe.post(f"/api/v1/votes/{vote_id}/ballots", {"choice": "no"}, headers=writer).status, 201)
        standing = self.tribe.get(f"/api/v1/votes/{vote_id}").json()
        self.assertEqual((standing["by"], standing["results"]["writer"]), ("root", "no"))
        refused = self.tribe.post(f"/api/v1/votes/{vote_id}/ballots", {"choice": "no", "voter": "reader"}, headers=writer)
        self.assertEqual((refused.status, refused.json()["type"]), (403, "urn:tribe:problem:refused"))
        self.assertNotIn("reader", self.tribe.get(f"/api/v1/votes/{vote_id}").json()["results"])

    def test_who_is_bound_votes_and_sees_what_it_said(self):
        vote_id = self.tribe.post("/api/v1/vote", {"proposal": "Shall zanzibar be theirs?", "options": ["yes", "zanzibar"], "deadline_s": 3600}).json()["vote_id"]
        path = f"/api/v1/votes/{vote_id}/ballots"
        self.assertEqual(self.tribe.post(path, {"choice": "zanzibar", "reason": "It is theirs.", "evidence": ["their-1"]}).status, 201)
        mine = {"choice": "yes", "reason": "So I say.", "confidence": 0.5, "evidence": ["mine-1"]}
        for status in (201, 200):
            answer = self.as_bound("POST", path, mine)
            self.assertEqual((answer.status, answer.json()), (status, {"vote_id": vote_id, "ballot": {"voter": "bound_writer", **mine}}))
            self.no_leak(answer, path)
        standing = self.tribe.get(f"/api/v1/votes/{vote_id}").json()
        self.assertEqual((standing["results"]["bound_writer"], standing["tally"]["yes"]), ("yes", 1))
        for method, where, body, who, status, problem in (
                ("GET", f"/api/v1/votes/{vote_id}", None, "bound_writer", 403, "scope"),
                ("POST", path, mine, "bound_reader", 403, "scope"),
                ("POST", path, {"choice": "yes", "voter": "writer"}, "bound_writer", 403, "refused"),
                ("POST", path, {"choice": "no"}, "bound_writer", 422, "invalid"),
                ("POST", "/api/v1/votes/no-such-vote/ballots", mine, "bound_writer", 404, "not_found")):
            answer = self.as_bound(method, where, body, who)
            self.assertEqual((answer.status, problem_of(answer)["type"]), (status, "urn:tribe:problem:" + problem), answer)
            self.no_leak(answer, where)

    def victim(self):
        name = self.fresh()
        done = self.tribe.post("/api/v1/tokens", {"name": name, "scopes": ["read"]})
        self.assertEqual(done.status, 201, done)
        return name

    def send(self, row, method, token):
        path, body = row.request()
        if row.stream:
            return self.tribe.head_of(path, token)
        return self.tribe.http(method, path, body, headers=bearer(token) or {"Authorization": ""})

    def test_every_route_has_a_row(self):
        """A new route must be thought about: who may, and what does who is bound to a source see of it?"""
        self.assertEqual({(m, p) for m, p, _ in routes()}, set(self.table()))

    def test_call_by_scope(self):
        for (method, pattern), row in self.table().items():
            for who, token in [(None, ""), (None, "tribe_" + "A" * 43)] + list(self.tokens.items()):
                answer = self.send(row, method, token)
                where = (method, pattern, who, answer)
                if row.scope is None or (who and may(who, row.scope, row.whole)):
                    self.assertIn(answer.status, row.good, where)
                elif who is None:
                    self.assertEqual(answer.status, 401, where)
                    self.assertEqual(answer.headers["WWW-Authenticate"], "Bearer", where)
                else:
                    self.assertEqual(answer.status, 403, where)
                    self.assertEqual(problem_of(answer)["type"], "urn:tribe:problem:scope", where)
                if who and WHO[who][1] and pattern != "/openapi.json":  # which is the same for everybody
                    self.no_leak(answer, where)

    def no_leak(self, answer, where):
        seen = answer.body.decode("utf-8", "replace").lower() + str(answer.headers).lower()
        for mark in MARKS:
            self.assertNotIn(mark, seen, where)

    def test_acts_without_envelope_are_an_admin_s(self):
        want = {"act": "constants", "constants": {"base": 41}, "reason": "r", "confirm": self.tribe.get("/api/v1/governance").json()["archive"]}
        for who, status in (("writer", 403), ("chief", 202)):
            answer = self.tribe.http("POST", "/api/v1/governance", want, headers=bearer(self.tokens[who]))
            self.assertEqual(answer.status, status, answer)
        self.assertEqual(answer.json()["signers"], ["chief"])
        path = f"/api/v1/governance/{answer.json()['id']}/objections"
        for who, status in (("writer", 403), ("chief", 201)):
            answer = self.tribe.http("POST", path, {"reason": "no"}, headers=bearer(self.tokens[who]))
            self.assertEqual(answer.status, status, answer)

    def as_bound(self, method, path, body=None, who="bound_writer"):
        return self.tribe.http(method, path, body, headers=bearer(self.tokens[who]))

    def alike(self, *answers):
        """But for the request's id they say the same."""
        said = []
        for answer in answers:
            body = answer.json()
            del body["request_id"]
            said.append((answer.status, body, sorted(k for k in answer.headers)))
        self.assertTrue(all(one == said[0] for one in said), answers)

    def test_scores_do_not_count_others_words(self):
        for content in ("A bassoon plays oboesque.", "A bassoon plays fagottish."):
            self.assertEqual(self.as_bound("POST", "/api/v1/memories", {"content": content}).status, 201)
        def scores():
            found = self.as_bound("GET", "/api/v1/memories?q=oboesque+fagottish&touch=false").json()["memories"]
            return [m["score"] for m in found]
        before = scores()
        self.assertEqual(len(before), 2)
        for n in range(5):
            self.tribe.post("/api/v1/memories", {"content": f"Number {n} is fagottish.", "source": "theirs"})
        self.assertEqual(scores(), before)

    def test_nobody_decides_under_another_s_name(self):
        for by in ("meta-jr", "Executive_Jr", "vote", "medicine_woman", "War Chief"):
            answer = self.tribe.post("/api/v1/decisions", {"text": "It is carried out.", "by": by})
            self.assertEqual((answer.status, problem_of(answer)["type"]), (403, "urn:tribe:problem:refused"), answer)

    def test_foreign_ids_are_as_ids_that_never_were(self):
        for foreign in ("their-1", "their-x", "their-nobody"):
            for method, body in (("GET", None), ("PATCH", {"importance": 1}), ("PATCH", {"sacred": True}), ("DELETE", None)):
                answer = self.as_bound(method, "/api/v1/memories/" + foreign, body)
                self.assertEqual(answer.status, 404, answer)
                self.alike(answer, self.as_bound(method, "/api/v1/memories/never-was", body))
            self.alike(self.as_bound("GET", f"/api/v1/memories/{foreign}/explanation?q=kettle"), self.as_bound("GET", "/api/v1/memories/never-was/explanation?q=kettle"))
            kept = self.tribe.get("/api/v1/memories/" + foreign).json()
            self.assertEqual((kept["importance"], kept["sacred"], kept["revision"]), (0.5, False, 1))
        answer = self.as_bound("POST", "/api/v1/memories", {"content": "It moved.", "supersedes": "their-1"})
        self.assertEqual(answer.status, 422, answer)
        self.alike(answer, self.as_bound("POST", "/api/v1/memories", {"content": "It moved.", "supersedes": "never-was"}))
        # ids are one namespace: a taken one is taken, with the same words whatever it holds
        same = {"content": "The blue kettle number 1 is in zanzibar.", "id": "their-1"}
        answer = self.as_bound("POST", "/api/v1/memories", same)
        self.assertEqual(answer.status, 409, answer)
        self.alike(answer, self.as_bound("POST", "/api/v1/memories", {"content": "other", "id": "their-1"}))

    def test_reads_find_nothing_else(self):
        for query in ("q=zanzibar", "q=blue+kettle&limit=200", "limit=200", "source=theirs", "q=kettle&source=theirs", "tag=decision",
                      "min_temperature=0&limit=200", "q=kettle&max_tokens=100000&explain=true"):
            answer = self.as_bound("GET", "/api/v1/memories?" + query, who="bound_reader")
            self.assertEqual(answer.status, 200, answer)
            self.assertEqual({m["source"] for m in answer.json()["memories"]} - {"mine"}, set(), (query, answer))
            self.no_leak(answer, query)
        self.assertEqual(self.as_bound("GET", "/api/v1/memories?source=theirs").json(), {"memories": [], "next_cursor": None})
        self.assertNotIn("superseded_by", self.as_bound("GET", "/api/v1/memories/mine-2").json())
        self.assertEqual(self.tribe.get("/api/v1/memories/mine-2").json()["superseded_by"], "their-x")
        for body in ({"question": "What is in zanzibar?"}, {"question": "Where is the kettle?", "source": "theirs"}):
            answer = self.as_bound("POST", "/api/v1/ask", body)
            self.assertEqual((answer.status, answer.json()["sources"]), (200, []), answer)
        answer = self.as_bound("GET", "/api/v1/decisions").json()["decisions"]
        self.assertTrue(answer and all(d["by"] == "mine" for d in answer), answer)

    def test_foreign_links_leave_no_trace(self):
        """That another source's memory supersedes its own shows nowhere: not when it comes, not when it goes."""
        def seen():
            return [self.as_bound("GET", path, who="bound_reader").json()
                    for path in ("/api/v1/memories/mine-3?touch=false", "/api/v1/memories?q=samovar&touch=false&explain=true")]

        def still(what):
            return [[{k: v for k, v in m.items() if k not in ("temperature", "explanation")} for m in a.get("memories", [a])] for a in what]
        self.tribe.remember("My samovar hums.", source="mine", id="mine-3")
        before = seen()
        self.assertEqual(before[0]["revision"], 1)
        self.tribe.remember("That samovar hums no more, in zanzibar.", source="theirs", id="their-samovar", supersedes="mine-3")
        self.assertEqual(self.tribe.get("/api/v1/memories/mine-3?touch=false").json()["superseded_by"], "their-samovar")
        self.assertEqual(still(seen()), still(before))
        self.assertEqual(self.tribe.http("DELETE", "/api/v1/memories/their-samovar").status, 204)
        self.assertNotIn("superseded_by", self.tribe.get("/api/v1/memories/mine-3?touch=false").json())
        self.assertEqual(still(seen()), still(before))
        self.tribe.remember("My samovar is silent.", source="mine", id="mine-4", supersedes="mine-3")
        self.assertEqual([(m["revision"], m["superseded_by"]) for m in seen()[:1]], [(2, "mine-4")])

    def test_counts_are_of_its_own(self):
        mine = len(self.tribe.get("/api/v1/memories?source=mine&limit=200&touch=false").json()["memories"])
        before = self.as_bound("GET", "/api/v1/thermal").json()
        self.assertEqual(before["total_memories"], mine)
        self.assertEqual(sum(before["stages"].values()), mine)
        self.assertEqual(sum(b["count"] for b in before["histogram"]), mine)
        self.assertLessEqual({m["source"] for m in before["hottest"]}, {"mine"})
        self.assertGreaterEqual(self.tribe.get("/api/v1/thermal").json()["total_memories"], mine + 32)
        self.tribe.remember("One more of zanzibar.", source="theirs", id="their-more")
        after = self.as_bound("GET", "/api/v1/thermal").json()
        for name in ("total_memories", "sacred_count", "white_hot_count", "stages", "histogram"):
            self.assertEqual(before[name], after[name], name)
        self.assertNotIn("quota_refused_total", after)

    def test_who_asks_together_sees_his_own(self):
        """One question is asked for all who may see the same: never for others."""
        tokens = {"mine": self.tokens["bound_reader"], "theirs": self.tribe.make("their_other", "read", source="theirs")}
        want = {source: self.tribe.http("GET", "/api/v1/thermal", headers=bearer(token)).json()["total_memories"] for source, token in tokens.items()}
        self.assertNotEqual(want["mine"], want["theirs"])
        seen = {source: set() for source in tokens}

        def ask(source):
            for _ in range(15):
                answer = self.tribe.http("GET", "/api/v1/thermal", headers=bearer(tokens[source])).json()
                seen[source].add((answer["total_memories"], *{m["source"] for m in answer["hottest"]}))
        threads = [threading.Thread(target=ask, args=(source,)) for source in list(tokens) * 6]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(seen, {source: {(n, source)} for source, n in want.items()})

    def test_the_rank_is_among_its_own(self):
        path = "/api/v1/memories/mine-2/explanation?q=blue+kettle"
        mine, all_of_it = self.as_bound("GET", path).json()["rank"], self.tribe.get(path).json()["rank"]
        self.assertLessEqual(mine, 2)
        self.assertGreater(all_of_it, 2)

    def test_pages_do_not_tell_how_many_others_there_are(self):
        seen, cursor, places = [], "", []
        for _ in range(100):
            page = self.as_bound("GET", "/api/v1/memories?limit=1" + cursor).json()
            seen += [m["id"] for m in page["memories"]]
            if page["next_cursor"] is None:
                break
            places.append(int(page["next_cursor"].split("-")[1]))
            cursor = "&cursor=" + page["next_cursor"]
        self.assertEqual(places, list(range(len(seen), 1, -1)))  # among its own, without a gap
        self.assertEqual(len(seen), len(set(seen)))
        self.assertEqual(set(seen), {m["id"] for m in self.tribe.get("/api/v1/memories?source=mine&limit=200").json()["memories"]})

    def test_writes_go_to_its_source(self):
        answer = self.as_bound("POST", "/api/v1/memories", {"content": f"Said {self.fresh()}."})
        kept = self.tribe.get("/api/v1/memories/" + answer.json()["memories"][0]["id"]).json()
        self.assertEqual(kept["source"], "mine")
        self.assertEqual(self.as_bound("POST", "/api/v1/memories", {"content": f"Said {self.fresh()}.", "source": "mine"}).status, 201)
        for body in ({"content": "x", "source": "theirs"}, [{"content": "good"}, {"content": "x", "source": "other"}]):
            answer = self.as_bound("POST", "/api/v1/memories", body)
            self.assertEqual((answer.status, problem_of(answer)["type"]), (403, "urn:tribe:problem:source"), answer)
        answer = self.as_bound("POST", "/api/v1/decisions", {"text": "x", "by": "theirs"})
        self.assertEqual((answer.status, problem_of(answer)["type"]), (403, "urn:tribe:problem:source"), answer)

    def test_keys_are_each_callers_own(self):
        key = {"Idempotency-Key": "the-same"}
        first = self.tribe.post("/api/v1/memories", {"content": "Theirs, of zanzibar.", "source": "theirs"}, headers=key)
        self.assertEqual(first.status, 201, first)
        for body in ({"content": "Mine."}, ):
            answer = self.tribe.post("/api/v1/memories", body, headers=dict(key, **bearer(self.tokens["bound_writer"])))
            self.assertEqual(answer.status, 201, answer)
        again = self.tribe.post("/api/v1/memories", {"content": "Mine."}, headers=dict(key, **bearer(self.tokens["bound_writer"])))
        self.assertEqual(again.json(), answer.json())


class OfTribed(unittest.TestCase):
    """The token that tribed makes beyond loopback is not in the archive: it is listed all the same, and said what it is."""

    def test_listed_and_how_to_change_it(self):
        with test_tls.SecureTribe("http.listen=0.0.0.0:0") as tribe:
            wait_for(lambda: tribe.get("/api/v1/tokens").status == 200, "tokens are known")
            self.assertEqual(tribe.get("/api/v1/tokens").json()["tokens"], [{"name": "admin", "scopes": ["admin"], "file": True}])
            self.assertEqual(json.loads(tribe.ctl("token", "list", "--json").stdout)["tokens"], [{"name": "admin", "scopes": ["admin"], "file": True}])
            self.assertIn("admin-token.sha256", tribe.ctl("token", "list").stdout)
            made = tribe.post("/api/v1/tokens", {"name": "ops", "scopes": ["admin"]})
            self.assertEqual(made.status, 201, made)
            self.assertEqual([t["name"] for t in tribe.get("/api/v1/tokens").json()["tokens"]], ["admin", "ops"])
            for done in (tribe.ctl("token", "revoke", "admin"), tribe.ctl("token", "rotate", "admin")):
                self.assertNotEqual(done.returncode, 0)
                self.assertIn("remove admin-token.sha256", done.stderr)
            refused = tribe.http("DELETE", "/api/v1/tokens/admin")
            self.assertEqual(refused.status, 404, refused)
            self.assertIn("admin-token.sha256", refused.json()["detail"])
            done = tribe.ctl("token", "revoke", "ops")
            self.assertNotIn("everybody", done.stdout + done.stderr, "there is tribed's")
            self.assertEqual(tribe.get("/api/v1/tokens").status, 200)


class Life(unittest.TestCase):
    def setUp(self):
        self.tribe = TokenTribe()
        self.addCleanup(lambda: self.tribe.close())

    def code(self, token, path="/api/v1/thermal"):
        return self.tribe.http("GET", path, headers=bearer(token) or {"Authorization": ""}).status

    def test_a_name_that_comes_again_has_no_keys_of_the_one_before(self):
        tribe = self.tribe
        tribe.token = tribe.make("root", "admin")
        key, body = {"Idempotency-Key": "again"}, {"content": "Said under a key."}
        ids = []
        for source in ("alpha", "beta"):
            mine = dict(key, **bearer(tribe.make("pen", "write", source=source)))
            answers = [tribe.post("/api/v1/memories", body, headers=mine) for _ in range(2)]
            self.assertEqual([a.status for a in answers], [201, 201], answers)
            self.assertEqual(answers[0].json(), answers[1].json())
            ids.append(answers[0].json()["memories"][0]["id"])
            self.assertEqual(tribe.get(f"/api/v1/memories/{ids[-1]}").json()["source"], source)
            self.assertEqual(tribe.http("DELETE", "/api/v1/tokens/pen").status, 204)
        self.assertNotEqual(*ids)

    def test_from_the_first_to_the_last(self):
        tribe = self.tribe
        self.assertEqual(tribe.anonymous("GET", "/api/v1/status").status, 200)
        token = tribe.make("ci", "read", "write")
        self.assertEqual(tribe.anonymous("GET", "/api/v1/status").status, 401)  # from the first one on
        self.assertEqual(tribe.anonymous("GET", "/healthz").status, 200)
        self.assertEqual(self.code(token), 200)
        listed = json.loads(tribe.ctl("token", "list", "--json").stdout)["tokens"]
        self.assertEqual([(t["name"], t["scopes"]) for t in listed], [("ci", ["read", "write"])])
        self.assertNotIn(token, tribe.ctl("token", "list").stdout)
        self.assertEqual(tribe.ctl("token", "create", "ci", "--scope", "read").returncode, 1)
        done = tribe.ctl("token", "revoke", "ci")
        self.assertEqual((done.returncode, done.stdout), (0, "revoked\n"))
        self.assertIn("last token", done.stderr)
        self.assertEqual(tribe.anonymous("GET", "/api/v1/status").status, 200)
        self.assertEqual(tribe.ctl("token", "revoke", "ci").returncode, 1)

    def test_only_its_hash_is_kept(self):
        tribe = self.tribe
        token = tribe.make("ci", "admin")
        digest = hashlib.sha256(token.encode()).digest()
        tribe.token = token
        made = tribe.post("/api/v1/tokens", {"name": "http", "scopes": ["read"]}, headers={"Idempotency-Key": "k"}).json()
        again = tribe.post("/api/v1/tokens", {"name": "http", "scopes": ["read"]}, headers={"Idempotency-Key": "k"})
        self.assertEqual(again.status, 200)
        self.assertNotIn("token", again.json())
        self.assertEqual(again.json()["name"], "http")
        tribe.stop()
        found = False
        for path in glob.glob(os.path.join(tribe.state, "**"), recursive=True) + [tribe.log]:
            if os.path.isfile(path):
                with open(path, "rb") as f:
                    data = f.read()
                self.assertNotIn(token.encode(), data, path)
                self.assertNotIn(made["token"].encode(), data, path)
                found = found or digest in data
        self.assertTrue(found)
        tribe.start()
        self.assertEqual(self.code(token), 200)
        self.assertEqual(self.code(""), 401)

    def test_an_admin_over_http(self):
        tribe = self.tribe
        tribe.token = tribe.make("root", "admin")
        made = tribe.post("/api/v1/tokens", {"name": "agent-1", "scopes": ["write"], "source": "agent-1",
                                             "expires_at": "2999-01-01T00:00:00Z"})
        self.assertEqual(made.status, 201, made)
        token = made.json()["token"]
        self.assertEqual(self.code(token), 200)
        listed = tribe.get("/api/v1/tokens").json()["tokens"]
        self.assertEqual([t["name"] for t in listed], ["root", "agent-1"])
        self.assertTrue(all("hash" not in t and "token" not in t for t in listed), listed)
        turned = tribe.post("/api/v1/tokens/agent-1/rotate", {"overlap_s": 0})
        self.assertEqual(turned.status, 201, turned)
        self.assertEqual((self.code(token), self.code(turned.json()["token"])), (401, 200))
        self.assertEqual(tribe.http("DELETE", "/api/v1/tokens/agent-1").status, 204)
        self.assertEqual(self.code(turned.json()["token"]), 401)
        for method, path in (("DELETE", "/api/v1/tokens/agent-1"), ("POST", "/api/v1/tokens/agent-1/rotate")):
            answer = tribe.http(method, path, {} if method == "POST" else None)
            self.assertEqual((answer.status, problem_of(answer)["detail"]), (404, "no token has this name"))
        for body, field in (({"name": "a b", "scopes": ["read"]}, "name"), ({"name": "a", "scopes": ["all"]}, "scopes"),
                            ({"name": "a", "scopes": []}, "scopes"), ({"name": "a"}, "scopes"),
                            ({"name": "a", "scopes": ["admin"], "source": "x"}, "scopes"),
                            ({"name": "a", "scopes": ["read"], "hash": "x"}, "hash"), ({"name": "admin", "scopes": ["read"]}, "name")):
            answer = tribe.post("/api/v1/tokens", body)
            self.assertEqual(answer.status, 422, answer)
            self.assertIn(f'"{field}"', problem_of(answer)["detail"])
        self.assertEqual(tribe.post("/api/v1/tokens", {"name": "root", "scopes": ["read"]}).status, 409)

    def test_rotated_the_old_one_is_good_a_little_longer(self):
        old = self.tribe.make("ci", "read")
        done = self.tribe.ctl("token", "rotate", "ci", "--overlap", "2", "--json")
        new = json.loads(done.stdout)["token"]
        self.assertNotEqual(old, new)
        self.assertEqual((self.code(old), self.code(new)), (200, 200))
        wait_for(lambda: self.code(old) == 401, "the old token is past its time", 10)
        self.assertEqual(self.code(new), 200)

    def test_past_its_time(self):
        self.tribe.make("other", "read")
        token = self.tribe.make("brief", "read", expires="2s")
        self.assertEqual(self.code(token), 200)
        wait_for(lambda: self.code(token) == 401, "it is past its time", 10)
        self.assertEqual(self.code(""), 401)

    def test_revoked_is_refused_from_that_moment_on(self):
        self.tribe.make("other", "read")
        for i in range(20):
            token = self.tribe.make(f"t{i}", "read")
            self.assertEqual(self.code(token), 200)
            self.assertEqual(self.tribe.ctl("token", "revoke", f"t{i}").returncode, 0)
            self.assertEqual(self.code(token), 401)

    def test_streams_end_with_their_token(self):
        self.tribe.make("other", "read")
        token = self.tribe.make("ears", "read")
        with socket.create_connection(self.tribe.address(), timeout=30) as sock:
            sock.sendall(f"GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\r\n".encode())
            self.assertIn(b"200 OK", sock.recv(65536))
            self.tribe.ctl("token", "revoke", "ears")
            end, data = time.monotonic() + 10, b"-"
            while data and time.monotonic() < end:
                data = sock.recv(65536)
            self.assertEqual(data, b"")

    def test_streams_end_when_their_token_does(self):
        self.tribe.make("other", "read")
        ends = time.time() + 3
        token = self.tribe.make("ears", "read", expires=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(ends)))
        with socket.create_connection(self.tribe.address(), timeout=30) as sock:
            sock.sendall(f"GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\r\n".encode())
            self.assertIn(b"200 OK", sock.recv(65536))
            data = b"-"
            while data and time.time() < ends + 8:  # well before the next comment that keeps proxies awake
                data = sock.recv(65536)
            self.assertEqual(data, b"")

    def test_memory_jr_away_the_last_ones_known_hold(self):
        tribe = self.tribe
        tribe.token = tribe.make("root", "admin")
        gone = tribe.make("gone", "read")
        tribe.ctl("token", "revoke", "gone")
        self.assertEqual(tribe.ctl("stop", "memory").returncode, 0)
        for _ in range(3):
            self.assertEqual(tribe.get("/api/v1/status").status, 200)
            self.assertEqual(self.code("", "/api/v1/status"), 401)
            self.assertEqual(self.code(gone, "/api/v1/status"), 401)
        # a new executive-jr that never heard of them lets nobody in, and says why
        self.assertEqual(tribe.ctl("restart", "executive").returncode, 0)
        answers = {token: tribe.http("GET", "/api/v1/status", headers=bearer(token) or {"Authorization": ""}).status
                   for token in ("", gone, tribe.token)}
        self.assertNotEqual(answers[""], 200, answers)
        self.assertNotEqual(answers[gone], 200, answers)
        self.assertEqual(self.code("", "/healthz"), 200)
        self.assertEqual(tribe.ctl("start", "memory").returncode, 0)
        wait_for(lambda: tribe.get("/api/v1/status").status == 200, "the tokens are known again", 20)

    def test_killed_and_nobody_slips_in(self):
        tribe = self.tribe
        tribe.token = tribe.make("root", "admin")
        for role in ("executive", "memory", "executive"):
            pid = tribe.pids()[role]
            os.kill(pid, signal.SIGKILL)
            end, statuses = time.monotonic() + 1.5, set()
            while time.monotonic() < end:
                try:
                    statuses.add(tribe.anonymous("GET", "/api/v1/thermal").status)
                    statuses.add(-tribe.get("/api/v1/status").status)
                except (OSError, http.client.HTTPException):
                    pass
            self.assertNotIn(200, statuses)
            self.assertEqual(statuses - {401, 503}, {-200}, statuses)
            tribe.wait_new(role, pid)


if __name__ == "__main__":
    main()
