"""Every call of the HTTP API on a running tribe: what is refused, with which status, problem and words; HEAD and OPTIONS everywhere."""
import http.client
import json
import os
import re
import shlex
import signal
import sys
import time
import unittest
import uuid

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "kit"))
from openapi import Contract  # noqa: E402
from tribe import Response, Tribe, TribeCase, main, problem_of, wait_for  # noqa: E402

MEMORIES, ASK, DECISIONS, GOVERNANCE = "/api/v1/memories", "/api/v1/ask", "/api/v1/decisions", "/api/v1/governance"
VOTE, VOTES = "/api/v1/vote", "/api/v1/votes"
JSON, LINES = {"Content-Type": "application/json"}, {"Content-Type": "application/x-ndjson"}
ONE = '{"content":"one"}'

# path: what it takes beside OPTIONS; HEAD goes where GET goes
ROUTES = {
    "/": "GET", "/openapi.json": "GET", "/healthz": "GET", "/readyz": "GET", "/metrics": "GET", MEMORIES: "GET POST", MEMORIES + "/{id}": "GET PATCH DELETE",
    ASK: "POST", DECISIONS: "GET POST", "/api/v1/status": "GET", "/api/v1/thermal": "GET", "/api/v1/analysis/anomalies": "GET",
    VOTE: "POST", VOTES: "GET", VOTES + "/{id}": "GET", VOTES + "/{id}/ballots": "POST",
    "/api/v1/events": "GET", "/api/v1/drills": "GET POST", MEMORIES + "/{id}/explanation": "GET", "/api/v1/tokens": "GET POST", "/api/v1/tokens/{name}": "DELETE",
    "/api/v1/tokens/{name}/rotate": "POST",
    "/api/v1/audit": "GET",
    GOVERNANCE: "GET POST", GOVERNANCE + "/{id}": "GET", GOVERNANCE + "/{id}/objections": "POST",
}

# method, path, headers, body -> status, problem, what the detail names
REFUSED = (
    # 404, 405
    ("GET", "/api/v1/nothing", {}, None, 404, "not_found", "no such path"),
    ("GET", MEMORIES + "/", {}, None, 404, "not_found", "no such path"),
    ("GET", MEMORIES + "/a/b", {}, None, 404, "not_found", "no such path"),
    ("GET", MEMORIES + "/no-such-id", {}, None, 404, "not_found", "there is no memory with this id"),
    ("PATCH", MEMORIES + "/no-such-id", JSON, '{"importance":1}', 404, "not_found", "there is no memory with this id"),
    ("DELETE", MEMORIES + "/no-such-id", {}, None, 404, "not_found", "there is no memory with this id"),
    ("GET", GOVERNANCE + "/no-such-act", {}, None, 404, "not_found", "no act has this id"),
    ("POST", GOVERNANCE + "/no-such-act/objections", JSON, '{"reason":"r"}', 404, "not_found", "no act has this id"),
    ("POST", GOVERNANCE + "/" + "x" * 65 + "/objections", JSON, '{"reason":"r"}', 404, "not_found", "no act has this id"),
    ("POST", GOVERNANCE, JSON, '{"act":"delete","memory":"no-such-id","confirm":"no-such-id","reason":"r"}', 403, "refused", "no memory has this id"),
    ("POST", GOVERNANCE, JSON, '{"act":"delete","memory":"x","reason":"r"}', 422, "invalid", '"confirm"'),
    ("POST", GOVERNANCE, JSON, '{"act":"delete","memory":"x","confirm":"x"}', 422, "invalid", '"reason"'),
    ("POST", GOVERNANCE, JSON, '{"act":"burn","memory":"x","confirm":"x","reason":"r"}', 422, "invalid", '"act"'),
    ("POST", GOVERNANCE, JSON, '{"act":"constants","confirm":"x","reason":"r","constants":{"pi":3}}', 422, "invalid", '"constants.pi"'),
    ("POST", GOVERNANCE, JSON, '{"payload":"e30=","payloadType":"application/vnd.tribe.governance+json","signatures":[]}', 403, "refused", "no keys of governance"),
    ("POST", GOVERNANCE, JSON, "[]", 422, "invalid", ""),
    ("POST", GOVERNANCE, JSON, "{", 400, "malformed", ""),
    ("GET", "/api/v1/analysis/regression", {}, None, 404, "not_found", "this version"),
    ("GET", "/api/v1/analysis/patterns", {}, None, 404, "not_found", "this version"),
    ("OPTIONS", "/api/v1/nothing", {}, None, 404, "not_found", "no such path"),
    ("PUT", MEMORIES, JSON, ONE, 405, "method_not_allowed", "PUT"),
    ("DELETE", MEMORIES, {}, None, 405, "method_not_allowed", "DELETE"),
    ("POST", MEMORIES + "/x", JSON, ONE, 405, "method_not_allowed", "POST"),
    ("GET", ASK, {}, None, 405, "method_not_allowed", "GET"),
    ("HEAD", ASK, {}, None, 405, None, None),
    ("POST", "/metrics", JSON, "{}", 405, "method_not_allowed", "POST"),
    # who asks
    ("GET", "/healthz", {"Host": "evil.example"}, None, 421, "misdirected", "Host"),
    ("GET", "/healthz", {"Origin": "https://evil.example"}, None, 403, "refused", "Origin"),
    # 406
    ("GET", MEMORIES, {"Accept": "text/html"}, None, 406, "not_acceptable", "application/json"),
    ("GET", MEMORIES, {"Accept": "application/json;q=0"}, None, 406, "not_acceptable", "application/json"),
    ("GET", "/metrics", {"Accept": "application/json"}, None, 406, "not_acceptable", "text/plain"),
    ("GET", "/api/v1/events", {"Accept": "application/json"}, None, 406, "not_acceptable", "text/event-stream"),
    # 411, 413, 414, 431
    ("POST", MEMORIES, JSON, None, 411, "length_required", "Content-Length"),
    ("PATCH", MEMORIES + "/x", JSON, None, 411, "length_required", "Content-Length"),
    ("POST", MEMORIES, {**JSON, "Content-Length": str(17 << 20)}, None, 413, "too_big", ""),
    ("POST", ASK, JSON, json.dumps({"question": "q", "context": "x" * 65536}), 413, "too_big", "65536 bytes"),
    ("GET", "/healthz?" + "a" * 9000, {}, None, 414, "uri_too_long", ""),
    ("GET", "/healthz", {"X-Long": "a" * 40000}, None, 431, "headers_too_large", ""),
    # 415
    ("POST", MEMORIES, {"Content-Type": "text/plain"}, ONE, 415, "unsupported_media_type", "application/x-ndjson"),
    ("POST", MEMORIES, {}, ONE, 415, "unsupported_media_type", "application/json"),
    ("POST", MEMORIES, {"Content-Type": "application/json; charset=latin1"}, ONE, 415, "unsupported_media_type", "UTF-8"),
    ("POST", MEMORIES, {**JSON, "Content-Encoding": "gzip"}, ONE, 415, "unsupported_media_type", "not compressed"),
    ("POST", ASK, LINES, '{"question":"q"}', 415, "unsupported_media_type", "application/json"),
    ("POST", DECISIONS, {"Content-Type": "application/x-www-form-urlencoded"}, "text=a", 415, "unsupported_media_type", "application/json"),
    ("PATCH", MEMORIES + "/x", {"Content-Type": "application/merge-patch+json"}, "{}", 415, "unsupported_media_type", "application/json"),
    # 417, 501, 505
    ("POST", MEMORIES, {**JSON, "Expect": "200-maybe"}, ONE, 417, "expectation_failed", "100-continue"),
    ("POST", MEMORIES, {**JSON, "Transfer-Encoding": "gzip"}, None, 501, "unsupported", "chunked"),
    # 400
    ("POST", MEMORIES, JSON, '{"content":"one"', 400, "malformed", "line 1"),
    ("POST", MEMORIES, JSON, '{"content":"a","content":"b"}', 400, "malformed", "line 1"),
    ("POST", MEMORIES, JSON, "", 400, "malformed", ""),
    ("POST", MEMORIES, LINES, ONE + "\n{", 400, "malformed", "(line 2, column"),
    ("POST", ASK, JSON, "[" * 100, 400, "malformed", ""),
    ("GET", "/healthz?a=%zz", {}, None, 400, "malformed", ""),
    ("GET", "/healthz", {"Content-Length": "1", "Transfer-Encoding": "chunked"}, None, 400, "malformed", ""),
    # 422, the field by its name
    ("POST", MEMORIES, JSON, "{}", 422, "invalid", '"content"'),
    ("POST", MEMORIES, JSON, "[]", 422, "invalid", "at least one"),
    ("POST", MEMORIES, JSON, '{"content":""}', 422, "invalid", '"content"'),
    ("POST", MEMORIES, JSON, json.dumps({"content": "x" * 65537}), 422, "invalid", '"content"'),
    ("POST", MEMORIES, JSON, '{"content":"a","importance":1.01}', 422, "invalid", '"importance" must be a number from 0 to 1'),
    ("POST", MEMORIES, JSON, '{"content":"a","at":"2026-02-30T00:00:00Z"}', 422, "invalid", '"at" must be a time as in RFC 3339'),
    ("POST", MEMORIES, JSON, '{"content":"a","supersedes":"none"}', 422, "invalid", '"supersedes" must be'),
    ("POST", MEMORIES, JSON, '[{"content":"a"},{"content":"b","supersedes":"none"}]', 422, "invalid", '"[1].supersedes" must be'),
    ("POST", MEMORIES, LINES, ONE + '\n\n{"content":"b","supersedes":"none"}\n', 422, "invalid", '"line 3.supersedes" must be'),
    ("POST", MEMORIES, JSON, '{"content":"a","sacred":1}', 422, "invalid", '"sacred"'),
    ("POST", MEMORIES, JSON, '{"content":"a","metadata":[]}', 422, "invalid", '"metadata"'),
    ("POST", MEMORIES, JSON, '{"content":"a","id":"%s"}' % ("i" * 129), 422, "invalid", '"id"'),
    ("POST", MEMORIES, JSON, '{"content":"a","surprise":1}', 422, "invalid", '"surprise"'),
    ("POST", MEMORIES, JSON, '[{"content":"a"},{"content":"b","tags":[3]}]', 422, "invalid", '"[1].tags[0]"'),
    ("POST", MEMORIES, LINES, ONE + '\n{"content":3}\n', 422, "invalid", '"line 2.content"'),
    ("POST", MEMORIES, {**JSON, "Idempotency-Key": "a b"}, ONE, 422, "invalid", '"Idempotency-Key"'),
    ("GET", MEMORIES + "?colour=red", {}, None, 422, "invalid", '"colour"'),
    ("GET", MEMORIES + "?=", {}, None, 422, "invalid", "the name of a parameter is empty"),
    ("GET", MEMORIES + "?limit=201", {}, None, 422, "invalid", '"limit"'),
    ("GET", MEMORIES + "?limit=0", {}, None, 422, "invalid", '"limit"'),
    ("GET", MEMORIES + "?limit=3&limit=3", {}, None, 422, "invalid", '"limit" is given twice'),
    ("GET", MEMORIES + "?touch=no", {}, None, 422, "invalid", '"touch"'),
    ("GET", MEMORIES + "?explain=1", {}, None, 422, "invalid", '"explain"'),
    ("GET", MEMORIES + "?min_temperature=nan", {}, None, 422, "invalid", '"min_temperature"'),
    ("GET", MEMORIES + "?before=noon", {}, None, 422, "invalid", '"before"'),
    ("GET", MEMORIES + "?cursor=nonsense", {}, None, 422, "invalid", '"cursor"'),
    ("GET", MEMORIES + "?max_tokens=0", {}, None, 422, "invalid", '"max_tokens"'),
    ("PATCH", MEMORIES + "/x", JSON, '{"importance":"high"}', 422, "invalid", '"importance"'),
    ("PATCH", MEMORIES + "/x", JSON, '{"id":"y"}', 422, "invalid", '"id" stands in the path'),
    ("PATCH", MEMORIES + "/x", JSON, '{"content":"other"}', 422, "invalid", '"content"'),
    ("PATCH", MEMORIES + "/x", JSON, "[]", 422, "invalid", "object"),
    ("DELETE", MEMORIES + "/x?now=1", {}, None, 422, "invalid", '"now" must be true or false'),
    ("DELETE", MEMORIES + "/x?later=true", {}, None, 422, "invalid", '"later"'),
    ("POST", ASK, JSON, "{}", 422, "invalid", '"question"'),
    ("POST", ASK, JSON, json.dumps({"question": "x" * 1001}), 422, "invalid", '"question"'),
    ("POST", ASK, JSON, '{"question":"q","detail":"long"}', 422, "invalid", '"detail" must be concise, summary or full'),
    ("POST", ASK, JSON, '{"question":"q","limit":0}', 422, "invalid", '"limit"'),
    ("POST", ASK, {**JSON, "Idempotency-Key": "x" * 129}, '{"question":"q"}', 422, "invalid", '"Idempotency-Key"'),
    ("POST", DECISIONS, JSON, '{"text":"t"}', 422, "invalid", '"by"'),
    ("POST", DECISIONS, JSON, '{"by":"b"}', 422, "invalid", '"text"'),
    ("GET", DECISIONS + "?since=never", {}, None, 422, "invalid", '"since"'),
    ("GET", DECISIONS + "?limit=-1", {}, None, 422, "invalid", '"limit"'),
    ("POST", VOTE, JSON, "{}", 422, "invalid", '"proposal"'),
    ("POST", VOTE, JSON, '{"proposal":"p","options":["a"]}', 422, "invalid", '"options"'),
    ("POST", VOTE, JSON, '{"proposal":"p","options":["a","open"]}', 422, "invalid", '"options" must not be a word'),
    ("POST", VOTE, JSON, '{"proposal":"p","threshold":2}', 422, "invalid", '"threshold" must be a number from 0 to 1'),
    ("POST", VOTE, JSON, '{"proposal":"p","by":"b"}', 422, "invalid", '"by" is the name of whoever calls'),
    ("GET", VOTES + "?limit=201", {}, None, 422, "invalid", '"limit"'),
    ("GET", VOTES + "/no-such-id", {}, None, 404, "not_found", "there is no vote with this id"),
    ("POST", VOTES + "/no-such-id/ballots", JSON, '{"choice":"yes"}', 404, "not_found", "there is no vote with this id"),
    ("POST", VOTES + "/x/ballots", JSON, '{"voter":"v"}', 422, "invalid", '"choice"'),
    ("PUT", VOTES + "/x", JSON, "{}", 405, "method_not_allowed", "PUT"),
    ("GET", "/api/v1/status?verbose=1", {}, None, 422, "invalid", '"verbose"'),
    ("GET", "/api/v1/events", {"Last-Event-ID": "abc"}, None, 422, "invalid", '"Last-Event-ID"'),
)


def send(tribe, method, path, headers, body, version="HTTP/1.1"):
    """One request byte by byte as it is told; the answer."""
    lines = [f"{method} {path} {version}"]
    headers = {"Host": "localhost", **headers, "Connection": "close"}
    if body is not None:
        headers["Content-Length"] = str(len(body.encode()))
    lines += [f"{name}: {value}" for name, value in headers.items()]
    raw = tribe.raw(("\r\n".join(lines) + "\r\n\r\n" + (body or "")).encode())
    head, _, rest = raw.partition(b"\r\n\r\n")
    first, *fields = head.decode("latin-1").split("\r\n")
    answer = Response(int(first.split()[1]), {k.title(): v for k, v in (field.split(": ", 1) for field in fields)}, rest)
    if tribe.judge is not None and path.startswith("/"):
        tribe.judge(method, path, answer)
    return answer


class Case(TribeCase):
    """Every answer must be as /openapi.json says."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.contract = Contract(cls.tribe)
        cls.tribe.judge = cls.contract.judge


class Table(Case):
    def test_refused(self):
        for method, path, headers, body, status, problem, names in REFUSED:
            with self.subTest(method=method, path=path[:80], headers=str(headers)[:80], body=(body or "")[:80]):
                answer = send(self.tribe, method, path, headers, body)
                self.assertEqual(answer.status, status, answer)
                if method == "HEAD":
                    self.assertEqual(answer.body, b"")
                    continue
                self.assertEqual(answer.headers["Content-Type"], "application/problem+json")
                what = answer.json()
                self.assertEqual(sorted(what), ["detail", "request_id", "status", "title", "type"])
                self.assertEqual((what["type"], what["status"]), (f"urn:tribe:problem:{problem}", status))
                self.assertIn(names, what["detail"])
                self.assertEqual(what["request_id"], answer.headers["X-Request-Id"])
                self.assertEqual("Allow" in answer.headers, status == 405, answer.headers)
                self.assertNotIn("Retry-After", answer.headers)
                for inside in ("jansson", "sqlite", "llhttp", "msgpack", self.tribe.base):
                    self.assertNotIn(inside, answer.body.decode().lower())

    def test_versions(self):
        for version in ("HTTP/2.0", "HTTP/3.7"):
            answer = send(self.tribe, "GET", "/healthz", {}, None, version)
            self.assertEqual(answer.status, 505, answer)
            self.assertEqual(answer.json()["type"], "urn:tribe:problem:version_not_supported")

    def test_what_was_refused_is_counted(self):
        def count(status):
            for line in self.tribe.get("/metrics").body.decode().splitlines():
                if line.startswith(f'cherokee_http_refused_total{{status="{status}"}} '):
                    return int(line.split()[1])
            return 0
        before = count(411), count(417)
        send(self.tribe, "POST", MEMORIES, JSON, None)
        send(self.tribe, "POST", MEMORIES, {**JSON, "Expect": "200-maybe"}, ONE)
        self.assertEqual((count(411), count(417)), (before[0] + 1, before[1] + 1))

    def test_head_and_options_everywhere(self):
        memory_id, = self.tribe.remember("Somebody looks at the head only.")
        act = self.tribe.post(GOVERNANCE, {"act": "designate", "memory": memory_id, "confirm": memory_id, "reason": "r"}).json()["id"]
        vote_id = self.tribe.post(VOTE, {"proposal": "Shall somebody look?"}).json()["vote_id"]
        for pattern, methods in ROUTES.items():
            path = pattern.replace("{id}", vote_id if "votes" in pattern else act if pattern.startswith(GOVERNANCE) else memory_id)
            with self.subTest(path=pattern):
                allowed = methods.replace("GET", "GET HEAD").split() + ["OPTIONS"]
                answer = send(self.tribe, "OPTIONS", path, {}, None)
                self.assertEqual((answer.status, answer.body), (204, b""), answer)
                self.assertEqual(answer.headers["Allow"].split(", "), allowed)
                self.assertEqual(answer.headers.get("Accept-Patch"), "application/json" if "PATCH" in methods else None)
                self.assertNotIn("Content-Length", answer.headers)
                head = send(self.tribe, "HEAD", path, {}, None)
                self.assertEqual((head.status, head.body), (200 if "GET" in methods else 405, b""), head)
                if "GET" not in methods:
                    self.assertEqual(head.headers["Allow"].split(", "), allowed)
                elif path != "/api/v1/events":
                    got = send(self.tribe, "GET", path, {}, None)
                    self.assertEqual(head.headers["Content-Type"], got.headers["Content-Type"])
                    self.assertEqual(int(got.headers["Content-Length"]), len(got.body))
                    self.assertGreater(int(head.headers["Content-Length"]), 0)
                else:
                    self.assertEqual(head.headers["Content-Type"], "text/event-stream")
        self.assertEqual(send(self.tribe, "OPTIONS", "*", {}, None).status, 204)

    def test_what_may_be_sent(self):
        for accept in ("*/*", "application/*", "application/json", "text/html, application/json;q=0.1"):
            self.assertEqual(send(self.tribe, "GET", MEMORIES, {"Accept": accept}, None).status, 200, accept)
        for kind in ("application/json; charset=utf-8", 'Application/JSON;charset="UTF-8"'):
            self.assertIn(send(self.tribe, "POST", MEMORIES, {"Content-Type": kind}, ONE).status, (200, 201), kind)
        answer = send(self.tribe, "GET", "http://localhost/healthz", {}, None)
        self.assertEqual(answer.status, 200, answer)


class Changes(Case):
    def got(self, memory_id):
        return self.tribe.get(f"{MEMORIES}/{memory_id}?touch=false")

    def test_patch(self):
        memory_id, = self.tribe.remember(f"The shed is red. {uuid.uuid4()}", tags=["a"], importance=0.25, metadata={"k": 1})
        before = self.got(memory_id).json()
        answer = self.tribe.http("PATCH", f"{MEMORIES}/{memory_id}", {"tags": ["b", "c"], "importance": 0.5, "metadata": {"n": [1, None]}})
        self.assertEqual(answer.status, 200, answer)
        memory = answer.json()
        self.assertEqual((memory["id"], memory["tags"], memory["importance"], memory["metadata"]),
                         (memory_id, ["b", "c"], 0.5, {"n": [1, None]}))
        self.assertGreater(memory["revision"], before["revision"])
        self.assertEqual((memory["content"], memory["sacred"]), (before["content"], False))
        answer = self.tribe.http("PATCH", f"{MEMORIES}/{memory_id}", {"tags": []})
        self.assertEqual((answer.json()["tags"], answer.json()["importance"]), ([], 0.5))
        after = self.got(memory_id).json()
        self.assertEqual((after["tags"], after["importance"], after["access_count"]), ([], 0.5, 1))

    def test_patch_once(self):
        memory_id, = self.tribe.remember(f"The door is green. {uuid.uuid4()}")
        key = {"Idempotency-Key": uuid.uuid4().hex}
        first = self.tribe.http("PATCH", f"{MEMORIES}/{memory_id}", {"importance": 0.75}, headers=key)
        self.assertEqual(first.status, 200, first)
        again = self.tribe.http("PATCH", f"{MEMORIES}/{memory_id}", {"importance": 0.75}, headers=key)
        self.assertEqual((again.status, again.json()["revision"]), (200, first.json()["revision"]))
        other = self.tribe.http("PATCH", f"{MEMORIES}/{memory_id}", {"importance": 1}, headers=key)
        self.assertEqual(other.status, 422, other)
        self.assertEqual(problem_of(other)["type"], "urn:tribe:problem:key_reused")
        self.assertIn('"Idempotency-Key" was used for another request', problem_of(other)["detail"])

    def test_sacred_stays(self):
        memory_id, = self.tribe.remember(f"The promise at the river. {uuid.uuid4()}")
        answer = self.tribe.http("PATCH", f"{MEMORIES}/{memory_id}", {"sacred": True})
        self.assertEqual((answer.status, answer.json()["sacred"]), (200, True))
        for method, path, body in (("PATCH", "", {"sacred": False}), ("DELETE", "", None), ("DELETE", "?now=true", None)):
            answer = self.tribe.http(method, f"{MEMORIES}/{memory_id}{path}", body)
            self.assertEqual(answer.status, 403, answer)
            self.assertEqual(problem_of(answer)["type"], "urn:tribe:problem:sacred")
        memory = self.got(memory_id).json()
        self.assertIs(memory["sacred"], True)
        self.assertEqual(self.tribe.http("PATCH", f"{MEMORIES}/{memory_id}", {"importance": 0.125}).json()["importance"], 0.125)

    def test_delete_hides_at_once(self):
        for query in ("", "?now=true", "?now=false"):
            word = "w" + uuid.uuid4().hex
            memory_id, = self.tribe.remember(f"The {word} is to be forgotten.")
            self.assertEqual(len(self.tribe.get(f"{MEMORIES}?q={word}&touch=false").json()["memories"]), 1)
            total = self.tribe.get("/api/v1/thermal").json()["total_memories"]
            answer = self.tribe.http("DELETE", f"{MEMORIES}/{memory_id}{query}")
            self.assertEqual((answer.status, answer.body), (204, b""), answer)
            self.assertEqual(self.got(memory_id).status, 404)
            self.assertEqual(self.tribe.get(f"{MEMORIES}?q={word}").json()["memories"], [])
            self.assertEqual(self.tribe.get("/api/v1/thermal").json()["total_memories"], total - 1)
            self.assertEqual(self.tribe.http("DELETE", f"{MEMORIES}/{memory_id}").status, 404)
            self.assertEqual(self.tribe.http("PATCH", f"{MEMORIES}/{memory_id}", {"tags": []}).status, 404)

    def test_explain(self):
        word = "w" + uuid.uuid4().hex
        self.tribe.remember(f"The {word} stands here once.", f"The {word} and the {word} stand here.")
        found = self.tribe.get(f"{MEMORIES}?q={word}&explain=true&touch=false").json()["memories"]
        self.assertEqual(len(found), 2)
        for memory in found:
            why = memory["explanation"]
            self.assertGreater(why["match"], 0)
            self.assertEqual(why["half_life_days"], 7)
            self.assertAlmostEqual(why["raw_temperature"], memory["temperature"], places=1)
            self.assertIs(why["floored"], False)
        plain = self.tribe.get(f"{MEMORIES}?q={word}&explain=false&touch=false").json()["memories"]
        self.assertTrue(all("explanation" not in memory for memory in plain))


class Ask(Case):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.tribe.remember("The bridge over the Wupper was painted green in spring. The painters came from Solingen. They used oil paint. "
                           "The work took eleven days. Nobody fell into the river.",
                           "The bridge over the Ruhr was painted yellow in autumn.",
                           "The harbour crane was painted black before the feast.")

    def ask(self, **body):
        answer = self.tribe.post(ASK, body)
        self.assertEqual(answer.status, 200, answer)
        return answer.json()

    def test_context_says_what_it_is_about(self):
        for context, colour in (("We speak about the Ruhr bridge.", "yellow"), ("We speak about the harbour crane.", "black")):
            body = self.ask(question="Which colour was it painted?", context=context, limit=1)
            self.assertIn(colour, body["sources"][0]["content"])
            self.assertIn(colour, body["answer"])
            self.assertEqual(body["memory_id"], body["sources"][0]["id"])

    def test_detail_says_how_much(self):
        question = "Who painted the bridge over the Wupper, with what, and how long did the work take?"
        lengths = [len(self.ask(question=question, detail=detail)["answer"]) for detail in ("concise", "summary", "full")]
        self.assertEqual(lengths, sorted(lengths))
        self.assertLess(lengths[0], lengths[2])

    def test_the_same_key_is_the_same_answer(self):
        key, body = {"Idempotency-Key": uuid.uuid4().hex}, {"question": "Who painted the bridge over the Wupper?"}
        first = self.tribe.post(ASK, body, headers=key)
        again = self.tribe.post(ASK, body, headers=key)
        self.assertEqual((first.status, again.status, again.body), (200, 200, first.body))
        other = self.tribe.post(ASK, {"question": "Who painted the crane?"}, headers=key)
        self.assertEqual(other.status, 422, other)
        self.assertEqual(problem_of(other)["type"], "urn:tribe:problem:key_reused")
        self.assertIn('"Idempotency-Key" was used for another request', problem_of(other)["detail"])
        self.assertNotEqual(self.tribe.post(ASK, body).json()["request_id"], first.json()["request_id"])
        # an answer is no effect: a new executive-jr answers anew
        old = self.tribe.pids()["executive"]
        os.kill(old, signal.SIGKILL)
        self.tribe.wait_new("executive", old)
        anew = self.tribe.post(ASK, body, headers=key)
        self.assertEqual((anew.status, anew.json()["memory_id"]), (200, first.json()["memory_id"]), anew)


class Documented(Case):
    """docs/API.md: each curl line is run, in its order; the status and every field it shows must be there. $TOKEN is the first that was made."""
    token = ""

    def run_line(self, line):
        method, headers, body, target, words = None, {}, None, None, shlex.split(line)[1:]
        while words:
            word = words.pop(0)
            if word == "-X":
                method = words.pop(0)
            elif word == "-H":
                name, _, value = words.pop(0).partition(": ")
                headers[name] = value.replace("$TOKEN", self.token)
            elif word == "-d":
                body = words.pop(0)
            elif word not in ("-s", "-sN"):
                self.assertIsNone(target, line)
                target = word
        self.assertTrue(target.startswith("localhost:8000/"), line)
        path = target.removeprefix("localhost:8000")
        if path != "/api/v1/events":
            return path, self.tribe.http(method or ("POST" if body else "GET"), path, body, headers)
        connection = http.client.HTTPConnection(*self.tribe.address(), timeout=60)
        try:  # its end would never come
            connection.request("GET", path, headers=headers)
            answer = connection.getresponse()
            return path, Response(answer.status, answer.headers, b"".join(answer.readline() for _ in range(20)))
        finally:
            connection.close()

    def test_every_line(self):
        with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "docs", "API.md"), encoding="utf-8") as f:
            text = f.read()
        blocks = re.findall(r"```sh\n(curl [^\n]*)\n```\n`(\d+)`(.*?)(?=```sh|\Z)", text, re.DOTALL)
        self.assertEqual(len(blocks), text.count("```sh"))
        shown, = json.loads(re.search(r'^\{"drills":.*?\}\]\}$', text, re.DOTALL | re.MULTILINE).group())["drills"]
        self.tribe.call("control.sock", "drill.report", dict(shown, started=1764356512391, finished=1764356527114))  # or there is none to list
        paths = set()
        for line, status, rest in blocks:
            with self.subTest(line=line):
                path, answer = self.run_line(line)
                paths.add(path.split("?")[0])
                self.assertEqual(answer.status, int(status), answer)
                got = answer.body.decode()
                if path == "/api/v1/tokens" and answer.status == 201:
                    self.token = self.token or answer.json()["token"]
                shown = re.search(r"```(json|text)\n(.*?)```", rest, re.DOTALL)
                if shown:
                    for name in re.findall(r'"(\w+)":', shown.group(2)):
                        self.assertIn(f'"{name}":', got)
                if shown and shown.group(1) == "text":
                    for word in re.findall(r"^(retry: 1000|event: start|id: 1|# TYPE .*)$", shown.group(2), re.MULTILINE):
                        self.assertIn(word, got)
        self.assertEqual(paths, {route.replace("{id}", "oath-act" if route.startswith(GOVERNANCE) else "kettle-1").replace("{name}", "agent-7") for route in ROUTES})


class Away(unittest.TestCase):
    def test_every_503_says_when_to_come_back(self):
        with Tribe() as tribe:
            memory_id, other = tribe.remember("Here before it went.", "Another one.")
            tribe.call("control.sock", "jr.stop", {"jr": "memory_jr"})
            wait_for(lambda: "memory" not in tribe.pids(), "memory-jr is down")
            for method, path, body in (("GET", "/readyz", None), ("GET", MEMORIES, None), ("GET", MEMORIES + "?q=here", None),
                                       ("GET", f"{MEMORIES}/{memory_id}", None), ("PATCH", f"{MEMORIES}/{other}", '{"tags":[]}'),
                                       ("DELETE", f"{MEMORIES}/{other}", None), ("POST", MEMORIES, ONE),
                                       ("POST", ASK, '{"question":"Who?"}'), ("POST", DECISIONS, '{"text":"t","by":"b"}'),
                                       ("GET", DECISIONS, None), ("GET", "/api/v1/thermal", None), ("POST", VOTE, '{"proposal":"p"}'),
                                       ("GET", VOTES, None), ("GET", VOTES + "/v", None), ("POST", VOTES + "/v/ballots", '{"choice":"yes"}')):
                with self.subTest(method=method, path=path):
                    start = time.monotonic()
                    answer = send(tribe, method, path, JSON if body else {}, body)
                    self.assertEqual(answer.status, 503, answer)
                    self.assertLess(time.monotonic() - start, 5)  # request_timeout_ms is 10000
                    self.assertEqual(answer.json()["detail"], "memory_jr is down")
                    self.assertGreaterEqual(int(answer.headers["Retry-After"]), 1)
                    self.assertEqual(answer.json()["type"], "urn:tribe:problem:unavailable")
            for path in ("/healthz", "/api/v1/status", "/metrics", "/"):
                self.assertEqual(tribe.get(path).status, 200, path)
            text = tribe.get("/metrics").body.decode()
            self.assertIn("\ncherokee_archive_up 0\n", text)
            self.assertNotIn("thermal_memory", text)
            self.assertIn('cherokee_jr_up{jr="memory_jr"} 0\n', text)
            tribe.call("control.sock", "jr.start", {"jr": "memory_jr"})
            wait_for(lambda: tribe.get("/readyz").status == 200, "it is back")
            self.assertEqual(tribe.get(f"{MEMORIES}/{memory_id}").status, 200)
            # a change that was answered with 503 may still have been waiting for memory-jr: the outcome is not known


if __name__ == "__main__":
    main()
