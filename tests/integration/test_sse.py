"""GET /api/v1/events: server-sent events from a running tribe."""
import json
import os
import select
import signal
import socket
import sys
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "kit"))
from tribe import API_NAMES, Tribe, TribeCase, main, wait_for  # noqa: E402

EVENTS = "/api/v1/events"
STREAMS_MAX = 64


class Stream:
    """One client: .events as (kind, id or None, data), .ended: "" while open, then "clean" or "cut"."""

    def __init__(self, tribe, last_id=None):
        self.sock = socket.create_connection(tribe.address(), timeout=60)
        more = "" if last_id is None else f"Last-Event-ID: {last_id}\r\n"
        self.sock.sendall(f"GET {EVENTS} HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n{more}\r\n".encode())
        self.raw, self.text, self.events, self.ended = b"", b"", [], ""
        while b"\r\n\r\n" not in self.raw:
            piece = self.sock.recv(65536)
            assert piece, self.raw
            self.raw += piece
        head, _, self.raw = self.raw.partition(b"\r\n\r\n")
        self.head = head.decode("latin-1")
        self.status = int(self.head.split()[1])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.sock.close()

    def _cut_chunks(self):
        while b"\r\n" in self.raw:
            size, _, rest = self.raw.partition(b"\r\n")
            n = int(size, 16)
            if len(rest) < n + 2:
                return
            assert rest[n:n + 2] == b"\r\n", rest[:n + 2]
            self.text, self.raw = self.text + rest[:n], rest[n + 2:]
            if n == 0:
                self.ended = "clean"

    def _cut_events(self):
        while b"\n\n" in self.text:
            block, _, self.text = self.text.partition(b"\n\n")
            fields = {}
            for line in block.decode("utf-8").split("\n"):
                name, _, value = line.partition(":")
                if name:
                    fields[name] = value.removeprefix(" ")
            if "data" in fields:
                self.events.append((fields["event"], int(fields["id"]) if "id" in fields else None, json.loads(fields["data"])))

    def pump(self):
        """Takes what has arrived."""
        while not self.ended and select.select([self.sock], [], [], 0)[0]:
            try:
                piece = self.sock.recv(65536)
            except ConnectionResetError:
                piece = b""
            self.raw += piece
            self._cut_chunks()
            if not piece:
                self.ended = self.ended or "cut"
        self._cut_events()
        return self

    def wait(self, predicate, what, timeout=60):
        return wait_for(lambda: predicate(self.pump()), f"{what}; seen: {self.events[-20:]} {self.ended}", timeout)

    def of(self, *kinds, jr=None):
        return [e for e in self.events if e[0] in kinds and (jr is None or e[2].get("jr") == jr)]

    def ids(self):
        return [e[1] for e in self.events if e[1] is not None]


class Watch(TribeCase):
    def kill(self, role):
        old = self.tribe.pids()[role]
        os.kill(old, signal.SIGKILL)
        self.tribe.wait_new(role, old)
        return old

    def test_heartbeats_of_all(self):
        with Stream(self.tribe) as stream:
            self.assertEqual(stream.status, 200)
            for line in ("Content-Type: text/event-stream", "Cache-Control: no-store", "X-Request-Id: "):
                self.assertIn(line, stream.head)
            stream.wait(lambda s: {e[2]["jr"] for e in s.of("heartbeat")} == set(API_NAMES.values()), "a heartbeat of every Jr")
            pids = self.tribe.pids()
            for kind, event_id, data in stream.of("heartbeat"):
                self.assertIsNone(event_id, kind)
                self.assertEqual(data["state"], "serving")
                self.assertGreater(data["seq"], 0)
                self.assertIn(data["pid"], pids.values())

    def test_a_kill_is_told(self):
        with Stream(self.tribe) as one, Stream(self.tribe) as two:
            old = self.kill("meta")
            for stream in (one, two):
                stream.wait(lambda s: s.of("ready", jr="meta_jr"), "the new meta-jr is ready")
                self.assertEqual(stream.of("exit", jr="meta_jr")[0][2]["pid"], old)
                self.assertTrue(stream.of("spawn", jr="meta_jr"))
                for _, event_id, data in stream.of("exit", "spawn", "ready"):
                    self.assertEqual(event_id, data["seq"])
                    self.assertRegex(data["at"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")
                ids = stream.ids()
                self.assertEqual(ids, list(range(ids[0], ids[0] + len(ids))))

    def test_last_event_id(self):
        with Stream(self.tribe) as stream:
            self.kill("integration")
            stream.wait(lambda s: s.of("ready", jr="integration_jr"), "integration-jr is ready")
            last = stream.ids()[-1]
        self.kill("meta")  # nobody of ours looks
        with Stream(self.tribe, last) as stream:
            stream.wait(lambda s: s.of("ready", jr="meta_jr"), "what was missed")
            self.assertEqual(stream.ids()[0], last + 1)
            self.assertTrue(stream.of("exit", jr="meta_jr"))
            ids = stream.ids()
            self.assertEqual(ids, list(range(last + 1, last + 1 + len(ids))))
        with Stream(self.tribe, 10 ** 12) as stream:  # of an earlier tribe: all that is kept
            stream.wait(lambda s: s.of("ready", jr="memory_jr"), "the start of it all")
            self.assertEqual(stream.ids()[0], 1)

    def test_so_many_and_no_more(self):
        streams = []
        wait_for(lambda: "\ncherokee_sse_streams 0\n" in self.tribe.get("/metrics").body.decode(), "earlier tests' places are free")
        try:
            for _ in range(STREAMS_MAX):
                streams.append(Stream(self.tribe))
            self.assertEqual({stream.status for stream in streams}, {200})
            self.assertIn(f"\ncherokee_sse_streams {STREAMS_MAX}\n", self.tribe.get("/metrics").body.decode())
            answer = self.tribe.get(EVENTS)
            self.assertEqual((answer.status, answer.headers["Retry-After"]), (503, "1"), answer)
            self.assertIn("64 streams", answer.json()["detail"])
            for stream in streams[1:]:
                stream.close()
            wait_for(lambda: "\ncherokee_sse_streams 1\n" in self.tribe.get("/metrics").body.decode(), "their places are free")
            seen = len(streams[0].pump().events)
            streams[0].wait(lambda s: len(s.events) > seen, "the one that stayed goes on")
        finally:
            for stream in streams:
                stream.close()
        wait_for(lambda: "\ncherokee_sse_streams 0\n" in self.tribe.get("/metrics").body.decode(), "all places are free")


class End(unittest.TestCase):
    def test_a_restart_ends_it_cleanly_and_one_comes_back(self):
        with Tribe() as tribe:
            old = tribe.pids()["executive"]
            with Stream(tribe) as stream:
                last = tribe.call("control.sock", "events", {"limit": 1})["events"][-1]["seq"]
                tribe.call("control.sock", "jr.restart", {"jr": "executive_jr"})
                stream.wait(lambda s: s.ended, "the stream ends")
                self.assertEqual(stream.ended, "clean")
            tribe.wait_new("executive", old)
            with Stream(tribe, last) as stream:
                stream.wait(lambda s: s.of("ready", jr="executive_jr"), "what happened between")
                self.assertEqual(stream.ids()[0], last + 1)

    def test_a_shutdown_is_not_held_up(self):
        with Tribe() as tribe:
            streams = [Stream(tribe) for _ in range(5)]
            begun = time.monotonic()
            self.assertEqual(tribe.stop(), 0)
            self.assertLess(time.monotonic() - begun, 4, "below the time after which a Jr would be terminated")
            for stream in streams:
                stream.wait(lambda s: s.ended, "the stream ends")
                self.assertEqual(stream.ended, "clean")
                stream.close()


if __name__ == "__main__":
    main()
