"""Hostile HTTP against the real executive-jr: one table of probes, and what slow, greedy and rude clients do.

Every probe is sent whole and byte by byte, must be answered by exactly the statuses of its row, and leaves a server that
answers others and has counted the refusal."""
import os
import re
import socket
import ssl
import struct
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "kit"))
from tribe import Tribe, TribeCase, main, wait_for  # noqa: E402

GET = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n"
OK = GET + b"\r\n"
MEMORIES = b"POST /api/v1/memories HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
TE = MEMORIES + b"Transfer-Encoding: chunked\r\n"
CHUNKED = TE + b"\r\n"
SMUGGLED = b"GET /api/v1/status HTTP/1.1\r\nHost: localhost\r\n\r\n"  # must never be answered behind a refusal
BODY = b'{"content":5}'  # well framed and refused by the API: nothing is stored
HEX = b"%x\r\n%s\r\n" % (len(BODY), BODY)
CLOSE, OPEN = "close", "open"

# name, bytes, statuses of the answers in their order, what happens to the connection behind them
PROBES = (
    # -- the good, for comparison
    ("plain", OK, (200,), OPEN),
    ("HEAD", OK.replace(b"GET", b"HEAD"), (200,), OPEN),
    ("blank lines in front", b"\r\n\r\n" + OK, (200,), OPEN),
    ("two pipelined", OK + OK, (200, 200), OPEN),
    ("length", MEMORIES + b"Content-Length: 13\r\n\r\n" + BODY, (422,), OPEN),
    ("chunked", CHUNKED + HEX + b"0\r\n\r\n", (422,), OPEN),
    ("chunked, extensions and zeros", CHUNKED + b"000d;a=b\r\n" + BODY + b"\r\n00;z\r\n\r\n", (422,), OPEN),
    ("chunked, then pipelined", CHUNKED + HEX + b"0\r\n\r\n" + OK, (422, 200), OPEN),
    ("1.0 closes", b"GET /healthz HTTP/1.0\r\n\r\n", (200,), CLOSE),
    ("close asked for", GET + b"Connection: close\r\n\r\n" + SMUGGLED, (200,), CLOSE),
    ("expect 100-continue", MEMORIES + b"Expect: 100-continue\r\nContent-Length: 13\r\n\r\n" + BODY, (422,), OPEN),
    ("upgrade is not granted", GET + b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AA\r\n\r\n", (200,), OPEN),
    # -- two lengths for one body
    ("TE and CL", TE + b"Content-Length: 5\r\n\r\n0\r\n\r\n" + SMUGGLED, (400,), CLOSE),
    ("CL and TE", MEMORIES + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + SMUGGLED, (400,), CLOSE),
    ("TE and CL 0", TE + b"Content-Length: 0\r\n\r\n" + SMUGGLED, (400,), CLOSE),
    ("CL.TE behind a good one", OK + MEMORIES + b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n12\r\n" + SMUGGLED, (200, 400), CLOSE),
    ("TE.CL behind a good one", OK + TE + b"Content-Length: 3\r\n\r\n8\r\nSMUGGLED\r\n0\r\n\r\n", (200, 400), CLOSE),
    ("CL and CL", MEMORIES + b"Content-Length: 13\r\nContent-Length: 0\r\n\r\n" + BODY, (400,), CLOSE),
    ("CL twice the same", MEMORIES + b"Content-Length: 13\r\nContent-Length: 13\r\n\r\n" + BODY, (400,), CLOSE),
    ("CL as a list", MEMORIES + b"Content-Length: 13, 13\r\n\r\n" + BODY, (400,), CLOSE),
    ("CL with a sign", MEMORIES + b"Content-Length: +13\r\n\r\n" + BODY, (400,), CLOSE),
    ("CL negative", MEMORIES + b"Content-Length: -1\r\n\r\n", (400,), CLOSE),
    ("CL in hex", MEMORIES + b"Content-Length: 0xd\r\n\r\n" + BODY, (400,), CLOSE),
    ("CL with blanks inside", MEMORIES + b"Content-Length: 1 3\r\n\r\n" + BODY, (400,), CLOSE),
    ("CL empty", MEMORIES + b"Content-Length:\r\n\r\n" + BODY, (400,), CLOSE),
    ("CL over 2^64", MEMORIES + b"Content-Length: 18446744073709551629\r\n\r\n" + BODY, (400,), CLOSE),
    ("CL with an underscore is no CL", MEMORIES + b"Content_Length: 13\r\n\r\n", (411,), CLOSE),
    ("POST without length", MEMORIES + b"\r\n" + SMUGGLED, (411,), CLOSE),
    ("GET with a smuggled body", GET + b"Content-Length: %d\r\n\r\n" % len(SMUGGLED) + SMUGGLED, (200,), OPEN),
    # -- transfer codings
    ("TE xchunked", MEMORIES + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", (501,), CLOSE),
    ("TE identity", MEMORIES + b"Transfer-Encoding: identity\r\n\r\n0\r\n\r\n", (501,), CLOSE),
    ("TE gzip, chunked", MEMORIES + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", (501,), CLOSE),
    ("TE chunked, identity", MEMORIES + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n", (400, 501), CLOSE),
    ("TE chunked, chunked", MEMORIES + b"Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n", (400, 501), CLOSE),
    ("TE twice", TE + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", (400,), CLOSE),
    ("TE twice, one unknown", TE + b"Transfer-Encoding: cow\r\n\r\n0\r\n\r\n", (400,), CLOSE),
    ("TE quoted", MEMORIES + b"Transfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n", (501,), CLOSE),
    ("TE empty", MEMORIES + b"Transfer-Encoding:\r\n\r\n0\r\n\r\n", (501,), CLOSE),
    ("TE with a vertical tab", MEMORIES + b"Transfer-Encoding:\x0bchunked\r\n\r\n0\r\n\r\n", (400,), CLOSE),
    ("TE with a blank before the colon", MEMORIES + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n", (400,), CLOSE),
    ("TE behind a bare CR", MEMORIES + b"X: y\rTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", (400,), CLOSE),
    ("TE behind a bare LF", MEMORIES + b"X: y\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", (400,), CLOSE),
    ("TE folded", MEMORIES + b"Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n", (400,), CLOSE),
    ("TE in 1.0", TE.replace(b"1.1", b"1.0") + b"\r\n0\r\n\r\n", (400,), CLOSE),
    # -- chunks
    ("chunk size 0x1", CHUNKED + b"0x1\r\na\r\n0\r\n\r\n", (400,), CLOSE),
    ("chunk size empty", CHUNKED + b"\r\na\r\n0\r\n\r\n", (400,), CLOSE),
    ("chunk size with a sign", CHUNKED + b"+1\r\na\r\n0\r\n\r\n", (400,), CLOSE),
    ("chunk size negative", CHUNKED + b"-1\r\na\r\n0\r\n\r\n", (400,), CLOSE),
    ("chunk size behind a blank", CHUNKED + b" 1\r\na\r\n0\r\n\r\n", (400,), CLOSE),
    ("chunk size before a blank", CHUNKED + b"1 \r\na\r\n0\r\n\r\n", (400,), CLOSE),
    ("chunk size over 2^64", CHUNKED + b"10000000000000001\r\na\r\n0\r\n\r\n", (400,), CLOSE),
    ("chunk size near 2^64", CHUNKED + b"ffffffffffffffff\r\na\r\n0\r\n\r\n", (400,), CLOSE),
    ("chunk larger than any body", CHUNKED + b"7fffffff\r\n", (413,), CLOSE),
    ("chunk longer than said", CHUNKED + b"1\r\nab\r\n0\r\n\r\n", (400,), CLOSE),
    ("chunk shorter than said", CHUNKED + b"5\r\nab\r\n0\r\n\r\n", (400,), CLOSE),
    ("chunk line ends in LF", CHUNKED + b"1\na\r\n0\r\n\r\n", (400,), CLOSE),
    ("chunk data ends in LF", CHUNKED + b"1\r\na\n0\r\n\r\n", (400,), CLOSE),
    ("last chunk ends in LF", CHUNKED + b"1\r\na\r\n0\r\n\n", (400,), CLOSE),
    ("extension with a bare CR", CHUNKED + b"1;a\rb\r\na\r\n0\r\n\r\n", (400,), CLOSE),
    ("extension with a bare LF", CHUNKED + b"1;a\nb\r\na\r\n0\r\n\r\n", (400,), CLOSE),
    ("extension of 20 KB", CHUNKED + b"1;" + b"e" * 20480 + b"\r\na\r\n0\r\n\r\n", (400,), CLOSE),
    ("extensions of 20 KB in all", CHUNKED + (b"1;" + b"e" * 100 + b"\r\na\r\n") * 200 + b"0\r\n\r\n", (400,), CLOSE),
    ("leading zeros without end", CHUNKED + b"0" * 20480, (400,), CLOSE),
    ("length as a trailer", CHUNKED + b"1\r\na\r\n0\r\nContent-Length: 3\r\n\r\n", (400,), CLOSE),
    ("coding as a trailer", CHUNKED + b"1\r\na\r\n0\r\nTransfer-Encoding: chunked\r\n\r\n", (400,), CLOSE),
    ("trailers of 40 KB", CHUNKED + b"1\r\na\r\n0\r\n" + (b"X: " + b"a" * 500 + b"\r\n") * 80 + b"\r\n", (431,), CLOSE),
    ("101 trailers", CHUNKED + b"1\r\na\r\n0\r\n" + b"X: a\r\n" * 101 + b"\r\n", (431,), CLOSE),
    # -- bytes that do not belong
    ("bare LF everywhere", OK.replace(b"\r\n", b"\n"), (400,), CLOSE),
    ("bare LF behind the request line", b"GET /healthz HTTP/1.1\nHost: localhost\r\n\r\n", (400,), CLOSE),
    ("bare LF at the end", GET + b"\n", (400,), CLOSE),
    ("bare CR everywhere", OK.replace(b"\r\n", b"\r"), (400,), CLOSE),
    ("bare CR in a value", GET + b"X: a\rb\r\n\r\n", (400,), CLOSE),
    ("NUL in the target", b"GET /health\0z HTTP/1.1\r\nHost: localhost\r\n\r\n", (400,), CLOSE),
    ("NUL in a name", GET + b"X\0: a\r\n\r\n", (400,), CLOSE),
    ("NUL in a value", GET + b"X: a\0b\r\n\r\n", (400,), CLOSE),
    ("NUL in Host", b"GET /healthz HTTP/1.1\r\nHost: local\0host\r\n\r\n", (400,), CLOSE),
    ("%00 in the path", b"GET /healthz%00 HTTP/1.1\r\nHost: localhost\r\n\r\n", (400,), CLOSE),
    ("bad escape in the path", b"GET /%zz HTTP/1.1\r\nHost: localhost\r\n\r\n", (400,), CLOSE),
    ("path is no UTF-8", b"GET /%ff HTTP/1.1\r\nHost: localhost\r\n\r\n", (400,), CLOSE),
    ("raw bytes in the path", b"GET /\xc3\xa4 HTTP/1.1\r\nHost: localhost\r\n\r\n", (400,), CLOSE),
    ("obs-fold", GET + b"X: a\r\n b\r\n\r\n", (400,), CLOSE),
    ("obs-fold by tab", GET + b"X: a\r\n\tb\r\n\r\n", (400,), CLOSE),
    ("first line folded", b"GET /healthz HTTP/1.1\r\n Host: localhost\r\n\r\n", (400,), CLOSE),
    ("a blank line of blanks", GET + b" \r\n\r\n", (400,), CLOSE),
    ("name empty", GET + b": a\r\n\r\n", (400,), CLOSE),
    ("name with a blank", GET + b"X Y: a\r\n\r\n", (400,), CLOSE),
    ("blank before the colon", GET + b"X : a\r\n\r\n", (400,), CLOSE),
    ("no colon", GET + b"X\r\n\r\n", (400,), CLOSE),
    ("DEL in a value", GET + b"X: a\x7f\r\n\r\n", (400,), CLOSE),
    # -- who is meant
    ("no Host", b"GET /healthz HTTP/1.1\r\n\r\n", (400,), CLOSE),
    ("two Hosts", GET + b"Host: localhost\r\n\r\n", (400,), CLOSE),
    ("two Hosts that differ", GET + b"Host: evil.example\r\n\r\n", (400,), CLOSE),
    ("Host with a path", b"GET /healthz HTTP/1.1\r\nHost: localhost/x\r\n\r\n", (400,), CLOSE),
    ("Host with a user", b"GET /healthz HTTP/1.1\r\nHost: a@localhost\r\n\r\n", (400,), CLOSE),
    ("Host as a list", b"GET /healthz HTTP/1.1\r\nHost: localhost, b\r\n\r\n", (400,), CLOSE),
    ("Host of another", b"GET /healthz HTTP/1.1\r\nHost: evil.example\r\n\r\n", (421,), OPEN),
    ("Host empty", b"GET /healthz HTTP/1.1\r\nHost:\r\n\r\n", (421,), OPEN),
    ("target and Host differ", b"GET http://localhost/healthz HTTP/1.1\r\nHost: evil.example\r\n\r\n", (400,), CLOSE),
    ("target with a user", b"GET http://a@localhost/ HTTP/1.1\r\nHost: localhost\r\n\r\n", (400,), CLOSE),
    ("target of another scheme", b"GET ftp://localhost/ HTTP/1.1\r\nHost: localhost\r\n\r\n", (400,), CLOSE),
    ("target with a fragment", b"GET /healthz#x HTTP/1.1\r\nHost: localhost\r\n\r\n", (400,), CLOSE),
    ("target *", b"GET * HTTP/1.1\r\nHost: localhost\r\n\r\n", (400,), CLOSE),
    ("Origin of another", GET + b"Origin: http://evil.example\r\n\r\n", (403,), OPEN),
    # -- other protocols and methods
    ("HTTP/0.9", b"GET /healthz\r\n", (400,), CLOSE),
    ("HTTP/2 preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0", (505,), CLOSE),
    ("HTTP/1.2", b"GET / HTTP/1.2\r\nHost: localhost\r\n\r\n", (505,), CLOSE),
    ("HTTP/9.9", b"GET / HTTP/9.9\r\nHost: localhost\r\n\r\n", (505,), CLOSE),
    ("http/1.1", b"GET / http/1.1\r\nHost: localhost\r\n\r\n", (400,), CLOSE),
    ("HTTP/1.10", b"GET / HTTP/1.10\r\nHost: localhost\r\n\r\n", (400,), CLOSE),
    ("TLS hello", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", (400,), CLOSE),
    ("RTSP", b"DESCRIBE rtsp://localhost/ RTSP/1.0\r\n\r\n", (400,), CLOSE),
    ("CONNECT", b"CONNECT localhost:25 HTTP/1.1\r\nHost: localhost:25\r\n\r\n" + SMUGGLED, (501,), CLOSE),
    ("TRACE", b"TRACE / HTTP/1.1\r\nHost: localhost\r\nX-Secret: y\r\n\r\n", (405,), OPEN),
    ("unknown method", b"BREW / HTTP/1.1\r\nHost: localhost\r\n\r\n", (501,), CLOSE),
    ("method in small letters", b"get / HTTP/1.1\r\nHost: localhost\r\n\r\n", (501,), CLOSE),
    ("two blanks in the request line", b"GET  / HTTP/1.1\r\nHost: localhost\r\n\r\n", (400,), CLOSE),
    ("tab in the request line", b"GET\t/ HTTP/1.1\r\nHost: localhost\r\n\r\n", (400,), CLOSE),
    ("blank in the target", b"GET /a b HTTP/1.1\r\nHost: localhost\r\n\r\n", (400,), CLOSE),
    ("empty lines only", b"\r\n" * 20, (400,), CLOSE),
    ("unknown expectation", MEMORIES + b"Expect: miracles\r\nContent-Length: 13\r\n\r\n" + BODY, (417,), CLOSE),
    # -- too much
    ("request line of 20 KB", b"GET /" + b"a" * 20480 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n", (414,), CLOSE),
    ("method of 20 KB", b"G" * 20480 + b" / HTTP/1.1\r\n\r\n", (414,), CLOSE),
    ("header of 40 KB", GET + b"X: " + b"a" * 40960 + b"\r\n\r\n", (431,), CLOSE),
    ("header name of 40 KB", GET + b"a" * 40960 + b": x\r\n\r\n", (431,), CLOSE),
    ("101 headers", GET + b"X: y\r\n" * 100 + b"\r\n", (431,), CLOSE),
    ("20000 headers", GET + b"A:\r\n" * 20000 + b"\r\n", (431,), CLOSE),
    ("100 headers", GET + b"X: y\r\n" * 99 + b"\r\n", (200,), OPEN),
    ("body said to be 1 TB", MEMORIES + b"Content-Length: 1099511627776\r\n\r\n" + b"x" * 1000, (413,), CLOSE),
    ("65 query parameters", b"GET /healthz?" + b"a&" * 65 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n", (400,), CLOSE),
)
# where llhttp and we may each be the first to object
EITHER = {"TE chunked, identity", "TE chunked, chunked"}


class Client:
    """One connection that says bytes and reads whole answers."""

    def __init__(self, tribe, timeout=60):
        self.sock = socket.create_connection(tribe.address(), timeout=timeout)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        context = getattr(tribe, "context", None)  # test_tls.py throws the same table through TLS
        if context is not None:
            self.sock = context.wrap_socket(self.sock, server_hostname="localhost")
        self.left = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sock.close()

    def say(self, data, step=None):
        """False: the other side has hung up before the end."""
        try:
            for at in range(0, len(data), step or len(data) or 1):
                self.sock.sendall(data[at:at + (step or len(data))])
        except (BrokenPipeError, ConnectionResetError, ssl.SSLError):
            return False
        return True

    def more(self):
        try:
            piece = self.sock.recv(65536)
        except ConnectionResetError:
            piece = b""
        self.left += piece
        return piece != b""

    def answer(self, head_only=False):
        """(status, head, body) of the next final answer; None when the connection ends in front of it."""
        while True:
            while b"\r\n\r\n" not in self.left:
                if not self.more():
                    assert self.left == b"", self.left
                    return None
            head, self.left = self.left.split(b"\r\n\r\n", 1)
            status = int(re.match(rb"HTTP/1\.1 (\d{3}) ", head)[1])
            if status == 100:
                continue
            found = re.search(rb"\r\nContent-Length: (\d+)", head)
            n = int(found[1]) if found and not head_only else 0
            while len(self.left) < n:
                assert self.more(), "ended inside an answer"
            body, self.left = self.left[:n], self.left[n:]
            return status, head, body

    def reset(self):
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()


class HostileCase(TribeCase):
    def setUp(self):
        self.before = self.tribe.pids()
        self.assertEqual(len(self.before), 4)

    def tearDown(self):
        self.assertEqual(self.tribe.pids(), self.before, "somebody died")
        self.assertEqual(self.tribe.get("/readyz").status, 200)

    def metrics(self):
        return self.tribe.get("/metrics").body.decode("utf-8")

    def counted(self, pattern, text=None):
        """Sum of all samples whose name and labels match."""
        found = re.findall(rf"(?m)^({pattern}) ([0-9.e+]+)$", text if text is not None else self.metrics())
        return sum(float(one[-1]) for one in found)

    def statuses(self):
        out = {}
        for status, value in re.findall(r'(?m)^cherokee_api_requests_total\{[^}]*status="(\d+)"\} (\d+)$', self.metrics()):
            if status[0] not in "23":
                out[int(status)] = out.get(int(status), 0) + int(value)
        return out

    def dropped(self, reason):
        return self.counted(rf'cherokee_http_dropped_total\{{reason="{reason}"\}}')

    def rss(self):
        return self.tribe.status()["jrs"]["executive_jr"]["rss_bytes"]


class Table(HostileCase):
    def one(self, name, data, wanted, then, step):
        got = []
        with Client(self.tribe) as client:
            client.say(data, step)
            expected = 1 if name in EITHER else len(wanted)
            for _ in range(expected):
                answer = client.answer(head_only=data.startswith(b"HEAD"))
                self.assertIsNotNone(answer, f"closed after {got}")
                got.append(answer[0])
                if answer[0] >= 400:
                    self.assertIn(b"Content-Type: application/problem+json", answer[1])
                    self.assertNotIn(b"llhttp", answer[2])
            if name in EITHER:
                self.assertIn(got[0], wanted)
            else:
                self.assertEqual(tuple(got), wanted)
            if then == CLOSE:
                self.assertIn(b"\r\nConnection: close", answer[1])
                self.assertIsNone(client.answer(), "something was answered behind the end")
            else:
                client.say(OK)  # nothing of the probe may be left over
                self.assertEqual(client.answer()[0], 200)
                self.assertEqual(client.left, b"")
        return [status for status in got if status >= 400]

    def all(self, step):
        for name, data, wanted, then in PROBES:
            with self.subTest(name):
                count = self.statuses()
                # what is long goes in larger pieces, or it would take minutes
                for status in self.one(name, data, wanted, then, step if step is None or len(data) < 2000 else 499):
                    count[status] = count.get(status, 0) + 1
                self.assertEqual(self.statuses(), count, "refusals counted")

    def test_whole(self):
        self.all(None)

    def test_byte_by_byte(self):
        self.all(1)

    def test_names_are_unique(self):
        self.assertEqual(len({probe[0] for probe in PROBES}), len(PROBES))


class Pipelines(HostileCase):
    def test_order_and_depth(self):
        """A thousand in one go: answered one after the other, in their order."""
        n = 1000
        with Client(self.tribe) as client:
            data = b"".join(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-Request-Id: r-%d\r\n\r\n" % i for i in range(n))
            client.say(data)
            for i in range(n):
                status, head, _ = client.answer()
                self.assertEqual(status, 200)
                self.assertIn(b"\r\nX-Request-Id: r-%d\r\n" % i, head)
        self.assertEqual(client.left, b"")

    def test_slow_ones_are_not_overtaken(self):
        with Client(self.tribe) as client:
            ask = b'{"question":"what?"}'
            client.say(b"POST /api/v1/ask HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                       b"X-Request-Id: first\r\nContent-Length: %d\r\n\r\n" % len(ask) + ask + GET + b"X-Request-Id: second\r\n\r\n")
            self.assertIn(b"X-Request-Id: first\r\n", client.answer()[1])
            self.assertIn(b"X-Request-Id: second\r\n", client.answer()[1])

    def test_the_last_one_waits_behind_a_slow_one(self):
        """What ends the connection was read ahead while another request was in flight."""
        ask = b'{"question":"what?"}'
        slow = (b"POST /api/v1/ask HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
                % len(ask) + ask)
        for data, wanted in ((GET + b"Connection: close\r\n\r\n", 200), (TE + b"Content-Length: 5\r\n\r\n0\r\n\r\n", 400),
                             (b"GET / HTTP/9.9\r\n\r\n", 505), (b"\0", 400)):
            with Client(self.tribe) as client:
                client.say(slow + data + SMUGGLED)
                self.assertEqual([client.answer()[0], client.answer()[0], client.answer()], [200, wanted, None], data)

    def test_flood_without_reading_is_held_back(self):
        """Who sends without reading is read from no further: the kernel's buffers fill and sending stops."""
        client = Client(self.tribe)
        self.addCleanup(client.sock.close)
        client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)
        client.sock.setblocking(False)
        request = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n"
        before, sent, quiet = self.rss(), 0, time.monotonic()
        while sent < 64 << 20 and time.monotonic() - quiet < 1:
            try:
                sent += client.sock.send(request * 500)
                quiet = time.monotonic()
            except (BlockingIOError, ssl.SSLWantWriteError):
                self.assertEqual(self.tribe.get("/healthz").status, 200)
        self.assertLess(sent, 64 << 20, "nothing ever held it back")
        self.assertLess(self.rss() - before, 256 << 20)

    def test_half_close(self):
        with Client(self.tribe) as client:
            client.say(OK + OK)
            client.sock.shutdown(socket.SHUT_WR)
            self.assertEqual([client.answer()[0], client.answer()[0], client.answer()], [200, 200, None])

    def test_early_close(self):
        before = self.dropped("client_left")
        cuts = (b"G", b"GET /healthz HTTP/1.1\r\nHos", GET, MEMORIES + b"Content-Length: 13\r\n\r\n", MEMORIES + b"Content-Length: 13\r\n\r\n{",
                CHUNKED, CHUNKED + b"5", CHUNKED + b"5\r\nab")
        for data in cuts:
            for leave in ("close", "reset"):
                client = Client(self.tribe)
                client.say(data)
                client.reset() if leave == "reset" else client.sock.close()
        # a reset may overtake its bytes: then nothing had begun that could be lost
        wait_for(lambda: self.dropped("client_left") >= before + len(cuts), "those who left are counted", 30)
        for _ in range(20):  # and those who do not wait for their answer
            client = Client(self.tribe)
            client.say(SMUGGLED)
            client.reset()

    def test_100_continue(self):
        with Client(self.tribe) as client:
            client.say(MEMORIES + b"Expect: 100-continue\r\nContent-Length: 13\r\n\r\n")
            while b"\r\n\r\n" not in client.left:
                self.assertTrue(client.more())
            self.assertEqual(client.left, b"HTTP/1.1 100 Continue\r\n\r\n")
            client.say(BODY)
            self.assertEqual(client.answer()[0], 422)
            # who is refused is not asked for the body first
            client.say(MEMORIES + b"Expect: 100-continue\r\nContent-Length: 99999999\r\n\r\n")
            while b"\r\n\r\n" not in client.left:
                self.assertTrue(client.more())
            self.assertTrue(client.left.startswith(b"HTTP/1.1 413 "), client.left)
        for head, status in ((MEMORIES.replace(b"/memories", b"/nothing"), 404), (MEMORIES.replace(b"/json", b"/xml"), 415),
                             (MEMORIES.replace(b"localhost", b"elsewhere.example"), 421), (MEMORIES.replace(b"POST", b"PUT"), 405),
                             (MEMORIES + b"Accept: text/html\r\n", 406)):
            with Client(self.tribe) as client:
                client.say(head + b"Expect: 100-continue\r\nContent-Length: 13\r\n\r\n")
                while client.more():
                    pass
                self.assertTrue(client.left.startswith(b"HTTP/1.1 %d " % status), client.left)
        with Client(self.tribe) as client:  # unknown to HTTP/1.0
            client.say(MEMORIES.replace(b"1.1", b"1.0") + b"Expect: 100-continue\r\nContent-Length: 13\r\n\r\n" + BODY)
            while client.more():
                pass
            self.assertTrue(client.left.startswith(b"HTTP/1.1 422 "), client.left)

    def test_a_refusal_can_be_read_while_the_upload_goes_on(self):
        with Client(self.tribe) as client:
            client.say(MEMORIES + b"Content-Length: 99999999\r\n\r\n")
            client.say(b"x" * (4 << 20))
            self.assertEqual(client.answer()[0], 413)
            self.assertIsNone(client.answer())


class Slow(HostileCase):
    HEAD_MS, BODY_MS, IDLE_MS = 300, 600, 900
    SETTINGS = (f"http.head_timeout_ms={HEAD_MS}", f"http.body_timeout_ms={BODY_MS}", f"http.idle_timeout_ms={IDLE_MS}")

    def drip(self, data, more, least_ms):
        """Sends data, then a little of `more` again and again until the server has had enough; the answer's status."""
        begin = time.monotonic()
        with Client(self.tribe) as client:
            client.say(data)
            client.sock.settimeout(0.02)
            while time.monotonic() - begin < 30:
                client.say(more)
                try:
                    if not client.more() or b"\r\n\r\n" in client.left:
                        break
                except TimeoutError:
                    continue
            client.sock.settimeout(60)
            answer = client.answer()
            self.assertGreaterEqual((time.monotonic() - begin) * 1000, least_ms * 0.9)
            self.assertIsNone(client.answer())
        return None if answer is None else answer[0]

    def test_slow_heads(self):
        before = self.statuses().get(408, 0)
        self.assertEqual(self.drip(b"GET /healthz HT", b"", self.HEAD_MS), 408)
        self.assertEqual(self.drip(GET, b"X: y\r\n", self.HEAD_MS), 408)  # slowloris
        self.assertEqual(self.drip(GET + b"X: ", b"y", self.HEAD_MS), 408)
        self.assertEqual(self.statuses()[408], before + 3)

    def test_slow_bodies(self):
        before = self.statuses().get(408, 0)
        self.assertEqual(self.drip(MEMORIES + b"Content-Length: 99999\r\n\r\n", b"", self.BODY_MS), 408)
        self.assertEqual(self.drip(MEMORIES + b"Content-Length: 99999\r\n\r\n", b"x", self.BODY_MS), 408)
        self.assertEqual(self.drip(CHUNKED, b"1\r\nx\r\n", self.BODY_MS), 408)
        self.assertEqual(self.drip(CHUNKED + b"1;", b"e", self.BODY_MS), 408)
        self.assertEqual(self.statuses()[408], before + 4)

    def test_idle_ones_are_closed_without_a_word(self):
        before = self.dropped("idle")
        with Client(self.tribe) as never, Client(self.tribe) as after_one:
            after_one.say(OK)
            self.assertEqual(after_one.answer()[0], 200)
            self.assertIsNone(never.answer())
            self.assertIsNone(after_one.answer())
        self.assertGreaterEqual(self.dropped("idle"), before + 2)

    def test_a_slow_reader(self):
        """What waits for it is one answer, and not for longer than the time given."""
        for i in range(0, 100, 25):
            self.tribe.remember(*[f"slow reader {k} " + "x" * 60000 for k in range(i, i + 25)])
        self.assertGreater(len(self.tribe.get("/api/v1/memories?limit=100&touch=false").body), 900000)
        rss, slow = self.rss(), self.dropped("slow_reader")
        client = Client.__new__(Client)
        client.sock, client.left = socket.socket(), b""
        self.addCleanup(client.sock.close)
        client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.sock.connect(self.tribe.address())
        client.say(b"GET /api/v1/memories?limit=100&touch=false HTTP/1.1\r\nHost: localhost\r\n\r\n" * 250)  # 250 MB of answers
        wait_for(lambda: self.dropped("slow_reader") == slow + 1, "the slow reader is given up", 60)
        self.assertLess(self.rss() - rss, 160 << 20, "more than one answer was made for it")


class Many(HostileCase):
    CONNECTIONS = 400
    SETTINGS = (f"http.max_connections={CONNECTIONS + 20}",)
    ENV = {"ASAN_OPTIONS": "quarantine_size_mb=1"}  # or the sanitizer's own hoard would be measured
    EACH = 96 << 10  # bytes of resident memory; the sanitizer takes some, test_http_limits.c measures the heap itself

    @classmethod
    def setUpClass(cls):
        cls.tribe = Tribe(*cls.SETTINGS, env=cls.ENV)
        cls.addClassCleanup(cls.tribe.close)

    def connections(self):
        return self.counted("cherokee_http_connections")

    def test_idle_connections_are_cheap(self):
        clients = []
        try:
            for _ in range(20):  # what the process takes once and for all
                self.tribe.get("/healthz", headers={"X": "y" * 20000})
            before = self.rss()
            for _ in range(self.CONNECTIONS):
                clients.append(Client(self.tribe))
                clients[-1].say(GET + b"X: " + b"y" * 20000 + b"\r\nContent-Length: 60000\r\n\r\n" + b"z" * 60000)
            for client in clients:
                self.assertEqual(client.answer()[0], 200)
            self.assertGreaterEqual(self.connections(), self.CONNECTIONS)
            self.assertLess((self.rss() - before) / self.CONNECTIONS, self.EACH)
            self.assertEqual(self.tribe.get("/readyz").status, 200)
        finally:
            for client in clients:
                client.sock.close()
        wait_for(lambda: self.connections() < 10, "they are gone", 30)

    def test_more_than_are_served_at_once_wait(self):
        clients = []
        try:
            for _ in range(self.CONNECTIONS + 60):
                clients.append(Client(self.tribe))
            late = clients[-1]
            late.say(OK)
            late.sock.settimeout(0.2)
            with self.assertRaises(TimeoutError):
                late.more()
            for client in clients[:100]:
                client.sock.close()
            late.sock.settimeout(60)
            self.assertEqual(late.answer()[0], 200)
        finally:
            for client in clients:
                client.sock.close()


if __name__ == "__main__":
    main()
