"""TLS and tokens of the real executive-jr. It serves beyond loopback here, so the test runs in a network namespace of its own
where there is nothing but loopback; a machine that allows none skips it (tests/unit/test_http_tls.c needs none)."""
import fcntl
import http.client
import json
import os
import re
import socket
import ssl
import struct
import subprocess
import sys
import time
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "kit")]
import test_hostile_http as hostile  # noqa: E402
from tribe import Response, Tribe, problem_of, wait_for  # noqa: E402

OWN_NAMESPACE = "TRIBE_TEST_NAMESPACE"
ANOTHER_ADDRESS = "10.9.8.7"
SIOCSIFADDR, SIOCSIFFLAGS, UP = 0x8916, 0x8914, 0x41
HEAD_MS = 600


def loopback_up():
    def ask(what, name, data):
        fcntl.ioctl(sock, what, struct.pack("16s24s", name, data))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        ask(SIOCSIFFLAGS, b"lo", struct.pack("h", UP))
        ask(SIOCSIFADDR, b"lo:1", struct.pack("HH4s", socket.AF_INET, 0, socket.inet_aton(ANOTHER_ADDRESS)))


class SecureTribe(Tribe):
    """One that is spoken to by TLS, with its token unless another is given."""

    def __init__(self, *settings, certificate=None, token=True, **more):
        self.certificate, self.wants_token, self.context, self.token = certificate, token, None, None
        super().__init__(*settings, **more)

    def address(self):
        found = super().address()
        return found and ("127.0.0.1", found[1])

    def is_ready(self):
        if self.process.poll() is not None:
            raise AssertionError(f"tribed left with {self.process.returncode}\n{self.log_tail()}")
        if self.address() is None:
            return False
        if self.context is None and not self.credentials():
            return False
        try:
            return self.get("/readyz").status == 200
        except OSError:
            return False

    def credentials(self):
        """False: tribed is still making them; the token's hash comes last."""
        if self.wants_token:
            if not os.path.exists(os.path.join(self.state, "admin-token.sha256")):
                return False
            with open(os.path.join(self.state, "admin-token"), encoding="ascii") as f:
                self.token = f.read().strip()
        self.context = self.new_context()
        return True

    def new_context(self):
        return ssl.create_default_context(cafile=self.certificate or os.path.join(self.state, "certificate.pem"))

    def http(self, method, path, body=None, headers=None, timeout=60):
        headers = dict(headers or {})
        if self.token and "Authorization" not in headers:
            headers["Authorization"] = "Bearer " + self.token
        if body is not None and not isinstance(body, (bytes, str)):
            body = json.dumps(body)
        if body is not None:
            headers.setdefault("Content-Type", "application/json")
        connection = http.client.HTTPSConnection("localhost", self.address()[1], timeout=timeout, context=self.context)
        connection._create_connection = lambda _, *rest: socket.create_connection(self.address(), *rest)
        try:
            connection.request(method, path, body.encode("utf-8") if isinstance(body, str) else body, headers)
            answer = connection.getresponse()
            return Response(answer.status, answer.headers, answer.read())
        finally:
            connection.close()

    def dial(self, context=None, address=None):
        sock = socket.create_connection((address or "127.0.0.1", self.address()[1]), timeout=60)
        try:
            return (context or self.context).wrap_socket(sock, server_hostname="localhost", suppress_ragged_eofs=False)
        except BaseException:
            sock.close()
            raise

    def say(self, data, **more):
        """All that comes back until close_notify; a connection cut without one is an error."""
        with self.dial(**more) as sock:
            sock.sendall(data)
            out = b""
            while piece := sock.recv(65536):
                out += piece
            return out


class SecureCase(hostile.HostileCase):
    @classmethod
    def setUpClass(cls):
        cls.tribe = SecureTribe("http.listen=0.0.0.0:0", f"http.head_timeout_ms={HEAD_MS}", *cls.SETTINGS)
        cls.addClassCleanup(cls.tribe.close)


class Tokens(SecureCase):
    def refused(self, answer):
        self.assertEqual(answer.status, 401, answer)
        self.assertEqual(answer.headers["WWW-Authenticate"], "Bearer")
        self.assertNotIn(self.tribe.token, problem_of(answer)["detail"])

    def test_every_request_needs_one(self):
        before = self.statuses().get(401, 0)
        wrong = ("", "Bearer", "Bearer ", "Bearer x", self.tribe.token, "Basic " + self.tribe.token, "Bearer" + self.tribe.token,
                 "Bearer " + self.tribe.token[:-1], "Bearer " + self.tribe.token + "x", f"Bearer {self.tribe.token} x",
                 f"Bearer {self.tribe.token}, Bearer {self.tribe.token}")
        for value in wrong:
            self.refused(self.tribe.get("/api/v1/status", headers={"Authorization": value}))
        none = {"Authorization": ""}
        calls = [("GET", path) for path in ("/metrics", "/api/v1/memories", "/api/v1/no-such-thing", "/healthz/", "/healthz/x", "/%68ealthz/x")]
        calls += [("POST", "/healthz"), ("POST", "/api/v1/ask"), ("POST", "/api/v1/memories"), ("DELETE", "/readyz"),
                  ("OPTIONS", "/api/v1/ask")]
        for method, path in calls:
            self.refused(self.tribe.http(method, path, "{}" if method == "POST" else None, headers=none))
        self.assertEqual(self.statuses()[401], before + len(wrong) + len(calls))
        for path in ("/healthz", "/readyz", "/", "/docs", "/assets/app.js"):  # the page: what it asks for wants a token
            self.assertEqual(self.tribe.get(path, headers=none).status, 200)
            self.assertEqual(self.tribe.http("HEAD", path, headers=none).status, 200)
        for scheme in ("Bearer", "bearer", "BEARER "):
            self.assertEqual(self.tribe.get("/api/v1/status", headers={"Authorization": f"{scheme} {self.tribe.token}"}).status, 200)

    def test_who_has_none_need_not_send_the_body(self):
        out = self.tribe.say(b"POST /api/v1/memories HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                             b"Expect: 100-continue\r\nContent-Length: 16000000\r\n\r\n")
        self.assertTrue(out.startswith(b"HTTP/1.1 401 "), out)
        self.assertIn(b"\r\nConnection: close\r\n", out)

    def test_a_memory_can_be_kept_and_asked_for(self):
        self.tribe.remember("The lighthouse keeper's parrot is called Admiral.")
        answer = self.tribe.post("/api/v1/ask", {"question": "What is the keeper's parrot called?"})
        self.assertEqual(answer.status, 200, answer)
        self.assertIn("Admiral", answer.json()["answer"])

    def test_the_token_is_nowhere_to_be_read(self):
        for name, pid in self.tribe.processes().items():
            for what in ("environ", "cmdline"):
                with open(f"/proc/{pid}/{what}", "rb") as f:
                    self.assertNotIn(self.tribe.token.encode(), f.read(), (name, what))
        self.assertNotIn("Bearer " + self.tribe.token, self.tribe.call("control.sock", "version").__repr__())

    def ask_as(self, host, origin=None, address=None):
        head = f"GET /healthz HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n"
        head += f"Origin: {origin}\r\n" if origin else ""
        return int(self.tribe.say(head.encode() + b"\r\n", address=address)[9:12])

    def test_host_and_origin(self):
        port = self.tribe.address()[1]
        for host in ("localhost", f"localhost:{port}", "127.0.0.1", f"127.0.0.1:{port}", f"[::1]:{port}"):
            self.assertEqual(self.ask_as(host), 200, host)
            self.assertEqual(self.ask_as(host, f"https://{host}"), 200, host)
        for host in ("evil.example", "localhost.evil.example", "10.11.12.13", "", ":80", f"{ANOTHER_ADDRESS}x"):
            self.assertEqual(self.ask_as(host), 421, host)
        self.assertEqual(self.ask_as(f"{ANOTHER_ADDRESS}:{port}", address=ANOTHER_ADDRESS), 200)
        self.assertEqual(self.ask_as(ANOTHER_ADDRESS, f"https://{ANOTHER_ADDRESS}", address=ANOTHER_ADDRESS), 200)
        for origin in (f"http://localhost:{port}", "https://localhost", f"https://localhost:{port + 1}", f"https://127.0.0.1:{port}",
                       f"https://localhost:{port}.evil.example", "https://evil.example", "null", "https://"):
            self.assertEqual(self.ask_as(f"localhost:{port}", origin), 403, origin)


class Handshakes(SecureCase):
    def context(self, **attributes):
        context = self.tribe.new_context()
        for name, value in attributes.items():
            setattr(context, name, value)
        return context

    def refused(self, context):
        with self.assertRaises((ssl.SSLError, ConnectionResetError)):
            self.tribe.dial(context).close()

    def test_versions_and_ciphers(self):
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            with self.tribe.dial(self.context(minimum_version=version, maximum_version=version)) as sock:
                self.assertEqual(sock.version(), version.name.replace("_", "."))
                self.assertRegex(sock.cipher()[0], "GCM|CHACHA20")
                self.assertIsNone(sock.compression())
        before = self.dropped("tls_failed")
        old = self.context(minimum_version=ssl.TLSVersion.TLSv1, maximum_version=ssl.TLSVersion.TLSv1_1)
        old.set_ciphers("DEFAULT:@SECLEVEL=0")
        self.refused(old)
        weak = self.context(maximum_version=ssl.TLSVersion.TLSv1_2)
        for ciphers in ("ECDHE+AES:!AESGCM:!AESCCM", "kRSA", "AESCCM"):
            weak.set_ciphers(ciphers + ":@SECLEVEL=0")
            self.refused(weak)
        self.assertEqual(self.dropped("tls_failed"), before + 4)

    def test_alpn(self):
        context = self.context()
        with self.tribe.dial(context) as sock:
            self.assertIsNone(sock.selected_alpn_protocol())
        context.set_alpn_protocols(["h2", "http/1.1"])
        with self.tribe.dial(context) as sock:
            self.assertEqual(sock.selected_alpn_protocol(), "http/1.1")
        context.set_alpn_protocols(["h2"])
        self.refused(context)

    def test_tickets(self):
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            context = self.context(minimum_version=version, maximum_version=version)
            with self.tribe.dial(context) as sock:
                sock.sendall(hostile.OK)
                sock.recv(65536)
                session = sock.session
            plain = socket.create_connection(self.tribe.address(), timeout=60)
            with context.wrap_socket(plain, server_hostname="localhost", session=session) as sock:
                self.assertTrue(sock.session_reused)
                sock.sendall(hostile.OK)
                self.assertTrue(sock.recv(65536).startswith(b"HTTP/1.1 200"))

    def test_the_end_is_said(self):
        """close_notify comes before the connection ends: behind an answer, and when an idle one is given up."""
        self.assertTrue(self.tribe.say(hostile.GET + b"Connection: close\r\n\r\n").startswith(b"HTTP/1.1 200"))
        self.assertTrue(self.tribe.say(b"BREW / HTTP/1.1\r\n\r\n").startswith(b"HTTP/1.1 501"))
        with self.tribe.dial() as sock:  # and it is understood when the client says it
            sock.sendall(hostile.OK)
            self.assertTrue(sock.recv(65536).startswith(b"HTTP/1.1 200"))  # a small answer is one record
            sock.unwrap().close()

    def test_byte_by_byte(self):
        wire_in, wire_out = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = self.tribe.context.wrap_bio(wire_in, wire_out, server_hostname="localhost")
        with socket.create_connection(self.tribe.address(), timeout=60) as sock:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

            def until(step):
                while True:
                    try:
                        return step()
                    except ssl.SSLWantReadError:
                        for byte in wire_out.read():
                            sock.sendall(bytes([byte]))
                        wire_in.write(sock.recv(1))
            until(tls.do_handshake)
            tls.write(hostile.OK + hostile.OK)
            out = b""
            while out.count(b"HTTP/1.1 200 OK") < 2:
                out += until(lambda: tls.read(7))

    def test_large_both_ways(self):
        ids = []
        for i in range(0, 60, 20):
            ids += self.tribe.remember(*[f"large {k} " + "y" * 60000 for k in range(i, i + 20)])
        found, cursor = [], ""
        while cursor is not None:
            page = self.tribe.get("/api/v1/memories?limit=60&touch=false" + cursor).json()
            found += page["memories"]
            cursor = page["next_cursor"] and "&cursor=" + page["next_cursor"]
        self.assertEqual({one["id"] for one in found}, set(ids))
        self.assertTrue(all(one["content"].endswith("y" * 60000) for one in found))


class NotTls(SecureCase):
    def closed(self, data, reason):
        before = self.dropped(reason)
        with socket.create_connection(self.tribe.address(), timeout=60) as sock:
            sock.sendall(data)
            out = b""
            try:
                while piece := sock.recv(65536):
                    out += piece
            except ConnectionResetError:
                pass
        self.assertEqual(self.dropped(reason), before + 1, data)
        return out

    def test_plain_http_is_closed_and_counted(self):
        for data in (hostile.OK, b"G", b"\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"\0", b"\x80\x2e\x01\x03\x01", b"x" * 100_000):
            self.assertEqual(self.closed(data, "plain_http"), b"")

    def test_broken_handshakes_are_closed_and_counted(self):
        hello = ssl.MemoryBIO()
        try:
            self.tribe.context.wrap_bio(ssl.MemoryBIO(), hello, server_hostname="localhost").do_handshake()
        except ssl.SSLWantReadError:
            pass
        hello = hello.read()
        damaged = bytearray(hello)
        damaged[5] ^= 0xff  # no client hello
        for data in (b"\x16" + b"\xff" * 100, b"\x16\x03\x01\xff\xff" + b"x" * 70000, bytes(damaged), hello + b"\x16" + b"\0" * 50,
                     hello + hostile.OK):
            out = self.closed(data, "tls_failed")
            self.assertNotIn(b"HTTP/1.1", out)
        for at in range(6, 60):  # random-ish damage must never hurt; some of it is harmless
            damaged = bytearray(hello)
            damaged[at * len(hello) // 60] ^= 0x55
            with socket.create_connection(self.tribe.address(), timeout=60) as sock:
                sock.sendall(damaged)
                sock.shutdown(socket.SHUT_WR)
                try:
                    while sock.recv(65536):
                        pass
                except ConnectionResetError:
                    pass

    def test_a_handshake_must_be_quick(self):
        begin = time.monotonic()
        for data in (b"", b"\x16\x03\x01\x02\x00\x01"):
            self.assertEqual(self.closed(data, "tls_timeout"), b"")
        self.assertGreaterEqual(time.monotonic() - begin, 2 * HEAD_MS / 1000 * 0.9)

    def test_damage_in_a_session_ends_it(self):
        before = self.dropped("tls_failed")
        sock = self.tribe.dial()
        plain = socket.socket(fileno=os.dup(sock.fileno()))
        try:
            sock.sendall(hostile.OK)
            self.assertTrue(sock.recv(65536).startswith(b"HTTP/1.1 200"))
            plain.sendall(b"\x17\x03\x03\x00\x20" + b"z" * 32)
            with self.assertRaises((ssl.SSLError, ConnectionResetError)):
                while sock.recv(65536):
                    pass
        finally:
            sock.close()
            plain.close()
        wait_for(lambda: self.dropped("tls_failed") == before + 1, "it is counted", 30)


class SameTable(hostile.Table):
    """All of the hostile table inside TLS, on loopback, where a configured certificate asks for no token."""

    @classmethod
    def setUpClass(cls):
        maker = SecureTribe("http.listen=0.0.0.0:0")
        cls.addClassCleanup(maker.close)
        paths = [os.path.join(maker.state, name) for name in ("certificate.pem", "private_key.pem")]
        cls.tribe = SecureTribe(f"http.certificate={paths[0]}", f"http.private_key={paths[1]}", *cls.SETTINGS, certificate=paths[0],
                                token=False, env=getattr(cls, "ENV", None))
        cls.addClassCleanup(cls.tribe.close)

    def test_no_token_on_loopback(self):
        self.assertEqual(self.tribe.get("/api/v1/status").status, 200)


class SamePipelines(hostile.Pipelines):
    setUpClass = SameTable.__dict__["setUpClass"]
    test_half_close = None  # of TCP it would be; Python's ssl knows none of TLS


class SameMany(hostile.Many):
    setUpClass = SameTable.__dict__["setUpClass"]
    test_more_than_are_served_at_once_wait = None  # a handshake would wait with them


def load_tests(loader, _, __):  # not the plain ones again that were imported
    return unittest.TestSuite(loader.loadTestsFromTestCase(case)
                              for case in (Tokens, Handshakes, NotTls, SameTable, SamePipelines, SameMany))


if __name__ == "__main__":
    if OWN_NAMESPACE not in os.environ:
        os.environ[OWN_NAMESPACE] = "1"
        for how in (["unshare", "-n"], ["unshare", "-Urn"]):  # root needs no user namespace, and has none in a chroot
            probe = subprocess.run([*how, "true"], stderr=subprocess.PIPE, text=True, check=False)
            if probe.returncode == 0:
                os.execvp("unshare", [*how, "--fork", "--kill-child", sys.executable, os.path.abspath(__file__), *sys.argv[1:]])
        print("skipped: no network namespace of its own:", probe.stderr.strip())
        sys.exit(77)
    loopback_up()
    unittest.main(verbosity=2)
