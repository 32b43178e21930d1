"""The edge of HTTP on a running tribe: pages of other origins, packed answers, trailers, pipelining, and a stop under load."""
import gzip
import http.client
import json
import os
import signal
import socket
import sys
import threading
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "kit"))
from tribe import Tribe, TribeCase, main, wait_for  # noqa: E402

PAGE, OTHER = "https://page.example:8443", "http://10.1.2.3"
MEMORIES = "/api/v1/memories"


class Origins(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.tribe = Tribe(f"http.cors_origins={PAGE} {OTHER}")

    @classmethod
    def tearDownClass(cls):
        cls.tribe.close()

    def headers(self, answer):
        return {k.lower(): v for k, v in answer.headers.items() if k.lower().startswith("access-control-")}

    def vary(self, answer):
        return {word.strip().lower() for value in answer.headers.get_all("Vary", []) for word in value.split(",")}

    def test_an_origin_on_the_list_may_read(self):
        for origin in (PAGE, OTHER):
            for method, path, body, status in (("GET", "/healthz", None, 200), ("GET", "/api/v1/nothing", None, 404),
                                               ("POST", MEMORIES, {"content": "From a page."}, (200, 201)), ("PUT", MEMORIES, {}, 405),
                                               ("POST", MEMORIES, {"content": ""}, 422)):
                answer = self.tribe.http(method, path, body, headers={"Origin": origin})
                self.assertIn(answer.status, status if isinstance(status, tuple) else (status,), answer)
                self.assertEqual(answer.headers["Access-Control-Allow-Origin"], origin)
                self.assertIn("X-Request-Id", answer.headers["Access-Control-Expose-Headers"])
                self.assertIn("origin", self.vary(answer))
                self.assertNotIn("Access-Control-Allow-Credentials", answer.headers)

    def test_others_may_not(self):
        for origin in ("https://page.example", "https://page.example:8443.evil", "http://page.example:8443", "null", "*", PAGE + "/"):
            answer = self.tribe.get("/healthz", headers={"Origin": origin})
            self.assertEqual(answer.status, 403, (origin, answer))
            self.assertEqual(self.headers(answer), {}, origin)
            self.assertIn("origin", self.vary(answer))
        answer = self.tribe.get("/healthz")
        self.assertEqual((answer.status, self.headers(answer)), (200, {}))
        self.assertIn("origin", self.vary(answer))  # or a cache would give it to the page

    def test_preflight(self):
        ask = {"Origin": PAGE, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type,idempotency-key"}
        answer = self.tribe.http("OPTIONS", MEMORIES, headers=ask)
        self.assertEqual((answer.status, answer.body), (204, b""), answer)
        said = self.headers(answer)
        self.assertEqual(said["access-control-allow-origin"], PAGE)
        self.assertEqual(said["access-control-allow-methods"].split(", "), ["GET", "HEAD", "POST", "OPTIONS"])
        for name in ("Authorization", "Content-Type", "Idempotency-Key", "Last-Event-ID"):
            self.assertIn(name, said["access-control-allow-headers"].split(", "))
        self.assertGreater(int(said["access-control-max-age"]), 0)
        self.assertLessEqual({"origin", "access-control-request-method", "access-control-request-headers"}, self.vary(answer))
        plain = self.tribe.http("OPTIONS", MEMORIES, headers={"Origin": PAGE})  # no preflight: says what the path takes
        self.assertNotIn("Access-Control-Allow-Methods", plain.headers)
        refused = self.tribe.http("OPTIONS", MEMORIES, headers=dict(ask, Origin="https://evil.example"))
        self.assertEqual((refused.status, self.headers(refused)), (403, {}))
        missing = self.tribe.http("OPTIONS", "/api/v1/nothing", headers=ask)
        self.assertEqual((missing.status, self.headers(missing)["access-control-allow-origin"]), (404, PAGE))

    def test_events_too(self):
        with socket.create_connection(self.tribe.address(), timeout=60) as sock:
            sock.sendall(f"GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\nOrigin: {PAGE}\r\nAccept-Encoding: gzip\r\n\r\n".encode())
            raw = b""
            while b"retry:" not in raw:  # in plain text: nobody packs a stream
                piece = sock.recv(65536)
                self.assertTrue(piece, raw)
                raw += piece
        head = raw.partition(b"\r\n\r\n")[0].decode()
        self.assertIn(f"\r\nAccess-Control-Allow-Origin: {PAGE}\r\n", head)
        self.assertNotIn("Content-Encoding", head)


class Edge(TribeCase):
    def test_without_a_list_nothing_is_said(self):
        for headers in ({}, {"Origin": "http://localhost:3000"}):
            answer = self.tribe.get("/healthz", headers=headers)
            self.assertEqual(answer.status, 200)
            self.assertNotIn("Access-Control-Allow-Origin", answer.headers)
            self.assertIsNone(answer.headers.get("Vary"))

    def test_packed(self):
        self.tribe.remember(*[f"The {n}th lamp in the long corridor is lit every evening." for n in range(40)])
        path = MEMORIES + "?q=lamp&limit=40&touch=false"
        packed = {"Accept-Encoding": "gzip, deflate"}
        for path in (path, "/metrics"):
            plain, got = self.tribe.get(path), self.tribe.get(path, headers=packed)
            self.assertEqual((plain.status, got.status), (200, 200))
            self.assertIsNone(plain.headers.get("Content-Encoding"))
            self.assertEqual(got.headers["Content-Encoding"], "gzip")
            for answer in (plain, got):
                self.assertEqual(answer.headers["Vary"], "Accept-Encoding")
                self.assertEqual(int(answer.headers["Content-Length"]), len(answer.body))
            self.assertLess(len(got.body), len(plain.body) / 2)
            text = gzip.decompress(got.body).decode()
            if path == "/metrics":
                self.assertIn("thermal_memory_total", text)
            else:
                self.assertEqual(len(json.loads(text)["memories"]), 40)
            head = self.tribe.http("HEAD", path, headers=packed)
            self.assertEqual((head.body, head.headers["Content-Encoding"]), (b"", "gzip"))
        for never in ("identity", "gzip;q=0", "br", "gzip;q=0.1, identity"):
            self.assertIsNone(self.tribe.get("/metrics", headers={"Accept-Encoding": never}).headers.get("Content-Encoding"), never)
        small = self.tribe.get("/healthz", headers=packed)
        self.assertEqual((small.headers.get("Content-Encoding"), small.json()), (None, {"status": "ok"}))

    def test_trailers_are_read_over(self):
        body = b'{"content":"It came in pieces."}'
        raw = self.tribe.raw(b"POST " + MEMORIES.encode() + b" HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                             b"Transfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n%x\r\n%s\r\n0\r\nX-Sum: 1\r\nAuthorization: Bearer x\r\n"
                             b"Content-Type: text/plain\r\n\r\n" % (len(body), body) +
                             b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        first, second = raw.split(b"HTTP/1.1 ")[1:]
        self.assertIn(first[:3], (b"200", b"201"), raw)
        self.assertEqual(second[:3], b"200", raw)

    def test_pipelined(self):
        paths = ["/healthz", "/api/v1/thermal", "/healthz?2", MEMORIES + "?limit=1&touch=false", "/readyz"] * 20
        text = "".join(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nX-Request-Id: r{i}\r\n\r\n" for i, path in enumerate(paths))
        text += "GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        raw = self.tribe.raw(text.encode())
        self.assertEqual(raw.count(b"HTTP/1.1 200 OK\r\n"), len(paths) + 1)
        at = [raw.index(b"X-Request-Id: r%d\r\n" % i) for i in range(len(paths))]
        self.assertEqual(at, sorted(at))


class Load(threading.Thread):
    """Keep-alive requests without a pause. .good: answers; .reset: a connection that stood was closed before a byte of the answer;
    .cut: an answer that ended before its end; .refused: nobody listened; .bad: other statuses."""

    def __init__(self, tribe, method, path, body):
        super().__init__(daemon=True)
        self.address, self.what = tribe.address(), (method, path, body)
        self.good = self.reset = self.cut = self.refused = 0
        self.bad, self.acknowledged, self.leave = [], 0, False

    def one(self, connection):
        method, path, body = self.what
        headers = {"Content-Type": "application/json"} if body else {}
        connection.request(method, path, body, headers)
        try:
            answer = connection.getresponse()
        except (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError):
            self.reset += 1
            return False
        try:
            answer.read()
        except (http.client.IncompleteRead, ConnectionResetError):
            self.cut += 1
            return False
        if answer.status not in (200, 201):
            self.bad.append(answer.status)
        else:
            self.good += 1
        return not answer.will_close

    def run(self):
        connection = None
        while not self.leave:
            try:
                connection = connection or http.client.HTTPConnection(*self.address, timeout=60)
                if not self.one(connection):
                    connection.close()
                    connection = None
            except ConnectionRefusedError:
                self.refused += 1
                connection = None
                time.sleep(0.001)
            except (ConnectionResetError, BrokenPipeError):
                self.reset += 1
                connection = None


class Drain(unittest.TestCase):
    """A Jr that is replaced in order, while requests keep coming: who is answered is answered whole."""

    def under_load(self, tribe, what):
        loads = [Load(tribe, "GET", "/api/v1/thermal", None) for _ in range(6)] + \
                [Load(tribe, "POST", MEMORIES, json.dumps({"content": f"Under load {i}."})) for i in range(2)]
        for load in loads:
            load.start()
        try:
            wait_for(lambda: all(load.good > 20 for load in loads), "everybody is served")
            what()
            before = [load.good for load in loads]
            wait_for(lambda: all(load.good > n + 20 for load, n in zip(loads, before)), "everybody is served again")
        finally:
            for load in loads:
                load.leave = True
            for load in loads:
                load.join(60)
        return loads

    def test_restart_of_executive(self):
        with Tribe() as tribe:
            resets = 0
            for _ in range(5):
                old = tribe.pids()["executive"]

                def restart():
                    done = tribe.ctl("restart", "executive")
                    self.assertEqual(done.returncode, 0, done.stderr)
                    tribe.wait_new("executive", old)
                loads = self.under_load(tribe, restart)
                self.assertEqual([load.cut for load in loads], [0] * len(loads))
                self.assertEqual([load.bad for load in loads], [[]] * len(loads))
                self.assertEqual([load.refused for load in loads], [0] * len(loads))
                resets += sum(load.reset for load in loads)
            # who asks again at once has its connection closed behind an answer; now and then one may be late
            self.assertLessEqual(resets, 2)

    def test_stop_answers_what_it_has(self):
        """SIGTERM to tribed: what is under way is answered, the rest meets a closed door, and all leave with 0."""
        with Tribe() as tribe:
            loads = [Load(tribe, "GET", "/api/v1/thermal", None) for _ in range(4)]
            for load in loads:
                load.start()
            wait_for(lambda: all(load.good > 20 for load in loads), "everybody is served")
            tribe.process.send_signal(signal.SIGTERM)
            self.assertEqual(tribe.process.wait(60), 0)
            for load in loads:
                load.leave = True
                load.join(60)
            self.assertEqual([load.cut for load in loads], [0] * len(loads))
            self.assertEqual({status for load in loads for status in load.bad} - {503}, set())


if __name__ == "__main__":
    main()
