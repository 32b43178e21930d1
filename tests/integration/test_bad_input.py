"""Whatever comes in from outside: a clear error, nothing lost, nobody dies."""
import json
import os
import random
import socket
import struct
import subprocess
import sys
import unittest
import uuid

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "kit"))
import msgpack  # noqa: E402
from tribe import (PROGRAMS, ROLES, SOCKETS, Rpc, RpcError, Tribe, TribeCase, main, problem_of, program)  # noqa: E402

MEMORIES = "/api/v1/memories"


class UnharmedCase(TribeCase):
    """After every test the same four processes answer."""

    def setUp(self):
        self.before = self.tribe.pids()
        self.assertEqual(len(self.before), 4)

    def tearDown(self):
        self.assertEqual(self.tribe.pids(), self.before, "somebody died")
        self.assertEqual(self.tribe.get("/readyz").status, 200)


class Http(UnharmedCase):
    def refused(self, answer, status, *words):
        statuses = status if isinstance(status, tuple) else (status,)
        self.assertIn(answer.status, statuses, answer)
        detail = problem_of(answer)["detail"]
        for word in words:
            self.assertIn(word, detail)
        for secret in (self.tribe.dir, "sqlite", "SELECT", "jansson", "llhttp"):
            self.assertNotIn(secret, answer.body.decode("utf-8"))
        return answer

    def test_malformed_json_is_400(self):
        for body in (b"", b"{", b"{}x", b"[1,", b"nul", b"{\"content\":}", b"{\"content\":\"a\" \"b\"}", b"'a'", b"\xef\xbb\xbf{}",
                     b"{\"content\":\"a\\u0000\"", b"{\"content\":\"\\ud800\"}", b"[" * 100, b"{\"content\": NaN}", b"\x00"):
            self.refused(self.tribe.post(MEMORIES, body), 400)

    def test_wrong_types_are_422_and_name_the_field(self):
        for field, value in (("content", 5), ("content", None), ("content", ["a"]), ("content", {}), ("content", ""), ("id", 7),
                             ("id", ""), ("id", "x" * 129), ("tags", "a"), ("tags", [1]), ("tags", [""]), ("source", 1),
                             ("session", {}), ("speaker", []), ("importance", "high"), ("importance", 1.01),
                             ("importance", -0.01), ("sacred", "yes"), ("sacred", 1), ("at", "yesterday"), ("at", 5),
                             ("at", "2026-02-30T00:00:00Z"), ("supersedes", 1), ("metadata", []), ("metadata", "x")):
            body = {"content": "a sound content"}
            body[field] = value
            self.refused(self.tribe.post(MEMORIES, body), 422, field)
        for body in (5, "text", None, True):
            self.refused(self.tribe.post(MEMORIES, json.dumps(body)), 422)
        self.refused(self.tribe.post(MEMORIES, {}), 422, "content")
        self.refused(self.tribe.post(MEMORIES, [{"content": "ok"}, {"content": "ok", "importance": 2}]), 422, "importance", "1")
        self.refused(self.tribe.post(MEMORIES, []), 422)

    def test_a_bad_one_in_a_batch_adds_none(self):
        before = self.tribe.get("/api/v1/thermal").json()["total_memories"]
        good = {"content": uuid.uuid4().hex}
        self.refused(self.tribe.post(MEMORIES, [good, {"content": ""}]), 422, "content")
        lines = json.dumps(good) + "\n{\n"
        self.refused(self.tribe.post(MEMORIES, lines, headers={"Content-Type": "application/x-ndjson"}), 400)
        self.assertEqual(self.tribe.get("/api/v1/thermal").json()["total_memories"], before)

    def test_unknown_fields_are_422_and_named(self):
        self.refused(self.tribe.post(MEMORIES, {"content": "x", "colour": "red"}), 422, "colour")
        self.refused(self.tribe.post("/api/v1/ask", {"question": "x", "colour": "red"}), 422, "colour")
        self.refused(self.tribe.post("/api/v1/decisions", {"text": "x", "by": "y", "colour": "red"}), 422, "colour")

    def test_repeated_keys_are_refused(self):
        self.refused(self.tribe.post(MEMORIES, b'{"content":"a","content":"b"}'), (400, 422))

    def test_invalid_utf8_and_nul(self):
        for middle in (b"\xff", b"\xc3", b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80"):
            self.refused(self.tribe.post(MEMORIES, b'{"content":"a' + middle + b'b"}'), (400, 422))
        self.refused(self.tribe.post(MEMORIES, b'{"content":"a\\u0000b"}'), (400, 422))
        self.refused(self.tribe.post(MEMORIES, b'{"content":"a\x00b"}'), (400, 422))
        for query in ("q=%ff", "q=%00", "q=%c0%80", "q=%zz"):
            self.refused(self.tribe.get(f"{MEMORIES}?{query}"), (400, 422))

    def test_64_kib_is_the_limit(self):
        self.assertEqual(self.tribe.post(MEMORIES, {"content": "x" * 65536}).status, 201)
        self.refused(self.tribe.post(MEMORIES, {"content": "x" * 65537}), (413, 422), "content")
        self.refused(self.tribe.post(MEMORIES, json.dumps({"content": "\u00e9" * 32769}, ensure_ascii=False)), (413, 422), "content")

    def test_deep_nesting(self):
        for depth in (100, 10_000, 200_000):
            self.refused(self.tribe.post(MEMORIES, b"[" * depth + b"]" * depth), (400, 413, 422))
            body = b'{"content":"x","metadata":' + b'{"a":' * depth + b"1" + b"}" * depth + b"}"
            self.refused(self.tribe.post(MEMORIES, body), (400, 413, 422))

    def test_numbers_beyond_reason(self):
        for number in ("1e999", "-1e999", "123456789012345678901234567890", "0.1e-99999"):
            answer = self.tribe.post(MEMORIES, f'{{"content":"x","importance":{number}}}')
            self.assertIn(answer.status, (200, 201, 400, 422), answer)

    def test_content_types(self):
        for kind in ("text/plain", "application/xml", "application/x-www-form-urlencoded", "application/jsonx", "x"):
            self.refused(self.tribe.post(MEMORIES, "{}", headers={"Content-Type": kind}), 415)
        answer = self.tribe.post(MEMORIES, {"content": "x"}, headers={"Content-Type": "application/json; charset=utf-8"})
        self.assertIn(answer.status, (200, 201), answer)

    def test_unknown_path_and_method(self):
        for path in ("/api/v1/nothing", "/api/v2/memories", "/api/v1/memories/a/b", "/etc/passwd", "/api/v1/../status", "//"):
            self.refused(self.tribe.get(path), (400, 404))
        for method, path, allowed in (("PUT", MEMORIES, {"GET", "POST"}), ("DELETE", "/api/v1/ask", {"POST"}),
                                      ("POST", "/healthz", {"GET"}), ("GET", "/api/v1/ask", {"POST"})):
            answer = self.refused(self.tribe.http(method, path), 405)
            self.assertLessEqual(allowed, {word.strip() for word in answer.headers["Allow"].split(",")})

    def test_host_and_origin(self):
        host, port = self.tribe.address()
        for good in (f"127.0.0.1:{port}", f"localhost:{port}"):
            self.assertEqual(self.tribe.get("/healthz", headers={"Host": good}).status, 200)
        for bad in ("evil.example", f"evil.example:{port}", "127.0.0.1.evil.example", ""):
            answer = self.tribe.post(MEMORIES, {"content": "x"}, headers={"Host": bad})
            self.assertIn(answer.status, (400, 403, 421), (bad, answer))
        for bad in ("http://evil.example", "null", f"http://{host}.evil.example:{port}", "https://evil.example"):
            answer = self.tribe.post(MEMORIES, {"content": "x"}, headers={"Origin": bad})
            self.assertEqual(answer.status, 403, (bad, answer))
        answer = self.tribe.post(MEMORIES, {"content": "x"}, headers={"Origin": f"http://127.0.0.1:{port}"})
        self.assertIn(answer.status, (200, 201), answer)

    def test_bytes_that_are_no_request(self):
        noise = random.Random(1)
        for data in (b"\r\n\r\n\r\n", b"GET\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00", b"GET / HTTP/9.9\r\n\r\n", b"\0" * 100,
                     b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
                     b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx",
                     b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: " + b"y" * 200_000 + b"\r\n\r\n",
                     b"GET /" + b"a" * 200_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
                     b"POST /api/v1/memories HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999\r\n\r\n",
                     noise.randbytes(5000)):
            try:
                answer = self.tribe.raw(data)
            except (ConnectionResetError, BrokenPipeError):
                continue
            if answer:
                self.assertRegex(answer[:16], rb"^HTTP/1\.1 [45]\d\d ", data[:60])
        # one that leaves in the middle
        with socket.create_connection(self.tribe.address()) as sock:
            sock.sendall(b"POST /api/v1/memories HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{")


class UnixSockets(UnharmedCase):
    def still_serves(self, name):
        method = "version" if name == "control.sock" else "jr.ping"
        self.assertIn("pid", self.tribe.call(name, method))

    def throw(self, name, data):
        """Sends bytes and then the end of the stream; returns what came back until the other side closed."""
        out = b""
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(60)
            sock.connect(self.tribe.socket_path(name))
            try:
                sock.sendall(data)
                sock.shutdown(socket.SHUT_WR)
                while True:
                    piece = sock.recv(65536)
                    if not piece:
                        break
                    out += piece
            except (ConnectionResetError, BrokenPipeError):
                pass
        return out

    def test_garbage_is_answered_with_an_error_or_a_close(self):
        noise = random.Random(7)
        whole = msgpack.packb([0, 1, "jr.ping", {}])
        pieces = [
            whole[:-1], whole[:1], b"\xc1", b"\xc1" * 1000, b"\x00" * 1000, b"\xff" * 1000, b"GET / HTTP/1.1\r\n\r\n",
            b"\xc6\xff\xff\xff\xff", b"\xdb\xff\xff\xff\xff", b"\xdd\xff\xff\xff\xff", b"\xdf\xff\xff\xff\xff",
            b"\x94\x00\x01\xa7jr.ping\xdf\xff\xff\xff\xff", b"\x94\x00\x01\xdb\xff\xff\xff\xff", b"\xc9\xff\xff\xff\xff\x01",
            b"\x91" * 100_000, b"\x81\xa1a" * 100_000, struct.pack(">BI", 0xc6, 17 << 20) + b"x" * 65536,
        ] + [noise.randbytes(noise.randrange(1, 4000)) for _ in range(60)]
        for name in SOCKETS + ("control.sock",):
            for data in pieces:
                self.throw(name, data)
            self.still_serves(name)

    def test_wrong_shapes_are_errors(self):
        shapes = [
            [], [0], [0, 1], [0, 1, "jr.ping"], [0, 1, "jr.ping", {}, 5], [9, 1, "jr.ping", {}], ["0", 1, "jr.ping", {}],
            [0, -1, "jr.ping", {}], [0, "1", "jr.ping", {}], [0, 2 ** 40, "jr.ping", {}], [0, 1, 5, {}], [0, 1, None, {}],
            [0, 1, b"\xff\xfe", {}], [0, 1, "jr.ping", 5], [0, 1, "jr.ping", [1]], [0, 1, "jr.ping", "x"], [0, 1, "", {}],
            [0, 1, "x" * 100_000, {}], {}, {"a": 1}, 5, None, True, 1.5, "text", b"bytes", [1, 1, None, {}], [1, 77, None, {"pid": 1}],
            [2, "jr.hello", {}], [2, "heartbeat", {"jr": "memory_jr"}], [2, "no.such", {}], [2, "jr.drain", {"generation": 1, "deadline_ms": 1}],
            [0, 1, "jr.ping", {1: 2}], [0, 1, "jr.ping", {"request_id": "x" * 200}], [0, 1, "jr.ping", {"deadline_ms": -5}],
            [0, 1, "jr.ping", {"deadline_ms": "soon"}], [0, 1, "jr.ping", {"request_id": 5}],
        ]
        for name in SOCKETS + ("control.sock",):
            for shape in shapes:
                self.throw(name, msgpack.packb(shape))
            self.still_serves(name)

    def test_unknown_methods_and_wrong_params_are_told(self):
        cases = [(name, "no.such.method", {}, "unknown_method") for name in SOCKETS + ("control.sock",)]
        cases += [
            ("memory.sock", "memory.add", {}, "invalid"), ("memory.sock", "memory.add", {"memories": []}, "invalid"),
            ("memory.sock", "memory.add", {"memories": [{"content": 5}]}, "invalid"),
            ("memory.sock", "memory.add", {"memories": [{"content": b"\xff".decode("latin1"), "importance": 2.0}]}, "invalid"),
            ("memory.sock", "memory.add", {"memories": [{"content": "x" * 65537}]}, "invalid"),
            ("memory.sock", "memory.get", {"id": ""}, "invalid"), ("memory.sock", "memory.get", {"id": "no-such"}, "not_found"),
            ("memory.sock", "memory.recall", {"limit": 0}, "invalid"), ("memory.sock", "memory.recall", {"cursor": "junk"}, "invalid"),
            ("executive.sock", "executive.ask", {"question": ""}, "invalid"),
            ("integration.sock", "integration.import", {"name": "x", "format": "sonnet", "data": b"x"}, "invalid"),
            ("control.sock", "jr.restart", {"jr": "chief"}, None), ("control.sock", "jr.stop", {}, "invalid"),
            ("control.sock", "fault.inject", {"jr": "memory", "fault": "earthquake"}, None),
        ]
        for name, method, params, code in cases:
            with self.tribe.rpc(name) as rpc:
                with self.assertRaises(RpcError, msg=(name, method, params)) as caught:
                    rpc.call(method, params)
                self.assertTrue(caught.exception.code, caught.exception)
                if code:
                    self.assertEqual(caught.exception.code, code, (name, method, params, caught.exception))
                # an error answer is no reason to hang up
                self.assertIn("pid", rpc.call("version" if name == "control.sock" else "jr.ping"))

    def test_what_belongs_elsewhere_is_unknown_here(self):
        for name, method in (("memory.sock", "status"), ("meta.sock", "memory.thermal"), ("control.sock", "memory.thermal"),
                             ("control.sock", "jr.ping"), ("executive.sock", "shutdown")):
            with self.tribe.rpc(name) as rpc:
                with self.assertRaises(RpcError) as caught:
                    rpc.call(method)
                self.assertIn(caught.exception.code, ("refused", "unknown_method"), (name, method))

    def test_a_frame_over_16_mib_is_refused_early(self):
        for name in SOCKETS + ("control.sock",):
            with socket.socket(socket.AF_UNIX) as sock:
                sock.settimeout(60)
                sock.connect(self.tribe.socket_path(name))
                try:
                    sock.sendall(b"\x94\x00\x01\xa7jr.ping\xc6" + struct.pack(">I", 64 << 20))
                    got = sock.recv(65536)  # an error or the end, long before 64 MiB have been sent
                except ConnectionResetError:
                    got = b""
                self.assertLess(len(got), 65536)
            self.still_serves(name)

    def test_many_connections_that_say_nothing(self):
        for name in SOCKETS + ("control.sock",):
            idle = []
            try:
                for _ in range(200):
                    idle.append(Rpc(self.tribe.socket_path(name)))
                self.still_serves(name)
            finally:
                for rpc in idle:
                    rpc.close()

    def test_one_byte_at_a_time(self):
        for name in SOCKETS:
            with self.tribe.rpc(name) as rpc:
                for byte in msgpack.packb([0, 5, "jr.ping", {}]):
                    rpc.sock.sendall(bytes([byte]))
                self.assertEqual(rpc.read()[:3], [1, 5, None])

    def test_random_changes_to_good_requests(self):
        noise = random.Random(11)
        good = {
            "control.sock": [("status", {}), ("heartbeats", {"follow": False}), ("version", {})],
            "memory.sock": [("memory.recall", {"q": "words", "limit": 3}), ("memory.get", {"id": "x"}), ("memory.thermal", {"hottest": 2})],
            "executive.sock": [("executive.ask", {"question": "what?", "limit": 3})],
            "integration.sock": [("integration.import", {"name": "n", "format": "text", "data": b""})],
            "meta.sock": [("meta.anomalies", {})],
        }
        for name, requests in good.items():
            for method, params in requests:
                packed = bytearray(msgpack.packb([0, 1, method, params]))
                for _ in range(60):
                    changed = bytearray(packed)
                    for _ in range(noise.randrange(1, 4)):
                        changed[noise.randrange(len(changed))] = noise.randrange(256)
                    self.throw(name, bytes(changed))
            self.still_serves(name)


class Started(unittest.TestCase):
    def run_tribed(self, *words, where):
        return subprocess.run([program("tribed"), "--dev", os.path.join(where.base, "new"), *words], capture_output=True, text=True,
                              timeout=60, check=False, cwd=where.base)

    def test_a_broken_configuration_starts_nothing(self):
        tribe = Tribe(start=False)
        self.addCleanup(tribe.close)
        new = os.path.join(tribe.base, "new")
        path = os.path.join(tribe.base, "broken.yaml")
        for text, place in (("http:\n  listen: 127.0.0.1:0\n\nheartbeat_ms: fast\n", ":4: heartbeat_ms: must be"),
                            ("hartbeat_ms: 5\n", ":1: hartbeat_ms: "), ("drills: true\n\tx: 1\n", ":2: "),
                            ("drills: true\ndrills: true\n", ":2: drills: "),
                            ("http.listen: somewhere:80\n", "http.listen: must be HOST:PORT"),
                            ("http.certificate: /c.pem\n", "http.certificate: must be given together"),
                            ("archive.url: postgresql:db/tribe\n", "archive.url: must be empty, sqlite:PATH or postgresql://"),
                            ("archive.url: sqlite:/nonexistent/x.db\n", ":1: archive.url: the directory its path names does not exist"),
                            ("archive.url: sqlite:sub/x.db\n", ":1: archive.url: the directory its path names does not exist"),
                            ("- a\n", ":1: must hold KEY: VALUE lines"),
                            ("llm.url: http://x\n", "llm.url: this version"),
                            ("heartbeat_ms: 1000\n", "hang_after_ms: must be at least three times")):
            with open(path, "w", encoding="utf-8") as f:
                f.write(text)
            for words in (("--config", path), ("--config", path, "--check"), ("-n", "--config", path)):
                done = self.run_tribed(*words, where=tribe)
                self.assertEqual(done.returncode, 2, done)
                self.assertIn(place, done.stderr)
                self.assertEqual(len(done.stderr.splitlines()), 1, done.stderr)
                if place.startswith(":"):
                    self.assertIn(path + place, done.stderr)
                self.assertFalse(os.path.exists(new), "something was made")
        for setting in ("heartbeat_ms=fast", "hartbeat_ms=1", "heartbeat_ms", "http.listen=127.0.0.1:99999",
                        "archive.url=sqlite:/nonexistent/x.db"):
            done = self.run_tribed("--set", setting, where=tribe)
            self.assertEqual((done.returncode, os.path.exists(new)), (2, False), done)
            self.assertIn(setting.split("=", maxsplit=1)[0], done.stderr)
        for words in (("--no-such-flag",), ("operand",), ("--set",), ("--config", os.path.join(tribe.base, "absent.yaml"))):
            done = self.run_tribed(*words, where=tribe)
            self.assertEqual((done.returncode, os.path.exists(new)), (2, False), done)
            self.assertTrue(done.stderr)

    def test_check_of_a_good_one_starts_nothing_either(self):
        tribe = Tribe(start=False)
        self.addCleanup(tribe.close)
        path = os.path.join(tribe.base, "good.yaml")
        with open(path, "w", encoding="utf-8") as f:
            f.write("heartbeat_ms: 50\n")
        done = self.run_tribed("--config", path, "--check", where=tribe)
        self.assertEqual(done.returncode, 0, done)
        self.assertFalse(os.path.exists(os.path.join(tribe.base, "new")))

    def test_a_second_tribed_on_the_same_state_is_refused(self):
        with Tribe() as tribe:
            before, address = tribe.pids(), tribe.address()
            memory_id, = tribe.remember("The first one stays.")
            other_run = os.path.join(tribe.base, "run2")
            for more in ((), ("--runtime", other_run)):
                done = subprocess.run(tribe.command(*more), capture_output=True, text=True, timeout=60, check=False, env=tribe.env)
                self.assertNotIn(done.returncode, (0, -6, -11), done)
                self.assertIn(f"another tribed (pid {tribe.process.pid})", done.stderr)
                self.assertLessEqual(len(done.stderr.splitlines()), 2, done.stderr)
            self.assertEqual((tribe.pids(), tribe.address()), (before, address))
            self.assertEqual(tribe.get(f"/api/v1/memories/{memory_id}").status, 200)
            self.assertIsNone(tribe.process.poll())

    def test_a_jr_started_by_hand_refuses(self):
        tribe = Tribe(start=False)
        self.addCleanup(tribe.close)
        for name in PROGRAMS:
            for more in ({}, {"TRIBE_STATE": tribe.state}, {"LISTEN_FDS": "3", "LISTEN_PID": "1"}):
                done = subprocess.run([program(name)], capture_output=True, text=True, timeout=60, check=False, cwd=tribe.base,
                                      env={**tribe.env, **more}, stdin=subprocess.DEVNULL)
                self.assertNotIn(done.returncode, (0, -6, -11), done)
                self.assertIn("tribed", done.stderr)
                self.assertEqual(len(done.stderr.splitlines()), 1, done.stderr)
        self.assertEqual(os.listdir(tribe.dir), [])

    @staticmethod
    def linked(name):
        """As -V calls them: what the program's own file says it needs, and is not the C library."""
        names = {"libmsgpackc": "msgpack-c", "libsqlite3": "SQLite", "libjansson": "jansson", "libyaml-0": "libyaml", "libutf8proc": "utf8proc",
                 "libcrypto": "OpenSSL", "libssl": "OpenSSL", "libmd4c": "md4c", "libz": "zlib"}
        said = subprocess.run(["readelf", "-d", program(name)], capture_output=True, text=True, timeout=60, check=True).stdout
        files = {line.split("[")[1].split(".so")[0] for line in said.splitlines() if "(NEEDED)" in line}
        return {names.get(file, file) for file in files - {"libc", "libm", "libasan", "libubsan"}}

    def test_versions_and_help(self):
        for name in PROGRAMS + ("tribed", "tribectl"):
            for flag in ("-V", "--version"):
                done = subprocess.run([program(name), flag], capture_output=True, text=True, timeout=60, check=False)
                self.assertEqual(done.returncode, 0, done)
                self.assertRegex(done.stdout, rf"^{name} \d+\.\d+\.\d+")
                self.assertRegex(done.stdout, r"(?i)build.id[: ]+[0-9a-f]{40}")
                self.assertEqual({line.split()[0] for line in done.stdout.splitlines()[2:]} - {"llhttp"}, self.linked(name))
                self.assertNotIn("unknown", done.stdout)
            for flag in ("-h", "--help"):
                done = subprocess.run([program(name), flag], capture_output=True, text=True, timeout=60, check=False)
                self.assertEqual((done.returncode, done.stderr), (0, ""), done)
                self.assertIn(name, done.stdout)

    def test_a_socket_left_by_the_dead_is_no_obstacle(self):
        with Tribe() as tribe:
            tribe.kill()
            tribe.wait_gone()
            self.assertTrue(os.path.exists(tribe.socket_path("control.sock")))
            tribe.start()
            self.assertEqual(sorted(tribe.pids()), sorted(ROLES))


if __name__ == "__main__":
    main()
