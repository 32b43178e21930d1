"""Many large answers and many large uploads at once: whoever asks for something small beside them is answered or told to come again,
everybody gets his turn, and no process is taken for hung."""
import http.client
import os
import sys
import threading
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "kit"))
from tribe import Tribe, main  # noqa: E402

LARGE = 64 * 1024
LISTED = 160  # more of them than go into one answer
MANY = 48
CROWD_S = 100
PATIENCE_S = 8  # of who asks for something small, beside sanitizers and other tests; a request may take 10


class Crowd:
    """So many clients that send one request each, again when it was refused for now, and what they were answered."""

    def __init__(self, tribe, n, method, path, bodies=(None,)):
        self.tribe, self.method, self.path, self.bodies = tribe, method, path, bodies
        self.seen, self.good, self.wrong = [], 0, []
        self.threads = [threading.Thread(target=self.run, args=(i,)) for i in range(n)]
        for thread in self.threads:
            thread.start()

    def run(self, i):
        body = self.bodies[i % len(self.bodies)]
        for _ in range(60):
            try:
                answer = self.tribe.http(self.method, self.path, body, timeout=120)
            except (OSError, http.client.HTTPException) as e:
                self.wrong.append(repr(e))
                continue
            self.seen.append(answer.status)
            if answer.status == 503:
                if "Retry-After" not in answer.headers:
                    self.wrong.append(repr(answer))
                time.sleep(int(answer.headers.get("Retry-After", 1)) / 4)
                continue
            self.good += answer.status in (200, 201)
            break

    def busy(self):
        return any(thread.is_alive() for thread in self.threads)

    def join(self):
        for thread in self.threads:
            thread.join()


class Load(unittest.TestCase):
    def setUp(self):
        self.tribe = Tribe()
        self.addCleanup(self.tribe.close)
        self.tribe.remember("A small fact.", id="small")

    def beside(self, crowd):
        """Small reads, while there is a crowd."""
        took = []
        while crowd.busy():
            began = time.monotonic()
            answer = self.tribe.get("/api/v1/memories/small?touch=false")
            took.append(time.monotonic() - began)
            self.assertIn(answer.status, (200, 503), answer)
        crowd.join()
        return took

    def test_large_answers(self):
        large = [{"content": f"{i} " + "word " * (LARGE // 5 - 20), "id": f"large-{i}", "source": "large"} for i in range(LISTED)]
        for i in range(0, LISTED, 20):
            self.assertEqual(self.tribe.post("/api/v1/memories", large[i:i + 20]).status, 201)
        pids = self.tribe.pids()
        began = time.monotonic()
        crowd = Crowd(self.tribe, MANY, "GET", "/api/v1/memories?source=large&limit=200&touch=false")
        took = self.beside(crowd)
        self.assertEqual((crowd.good, crowd.wrong), (MANY, []), crowd.seen)
        self.assertLess(max(took), PATIENCE_S, took)
        self.assertLess(time.monotonic() - began, CROWD_S)
        self.assertEqual(self.tribe.pids(), pids)

    def test_a_page_is_bounded_and_the_next_goes_on(self):
        large = [{"content": f"{i} " + "word " * (LARGE // 5 - 20), "id": f"large-{i}", "source": "large"} for i in range(40)]
        for i in range(0, 40, 20):
            self.assertEqual(self.tribe.post("/api/v1/memories", large[i:i + 20]).status, 201)
        for query in ("", "q=word&"):
            path, found, cursor, pages = f"/api/v1/memories?{query}source=large&limit=200&touch=false", [], "", 0
            while cursor is not None:
                answer = self.tribe.get(path + cursor)
                self.assertEqual(answer.status, 200, answer)
                self.assertLess(len(answer.body), (1 << 20) + LARGE)
                page = answer.json()
                found += [m["id"] for m in page["memories"]]
                cursor = page["next_cursor"] and "&cursor=" + page["next_cursor"]
                pages += 1
            self.assertEqual(sorted(found), sorted(m["id"] for m in large))
            self.assertGreater(pages, 1)

    def test_large_uploads(self):
        pids = self.tribe.pids()
        bodies = [[{"content": "word " * 12000, "id": f"m{b}-{i}", "source": "load"} for i in range(60)] for b in range(4)]
        crowd = Crowd(self.tribe, MANY, "POST", "/api/v1/memories", bodies)
        self.beside(crowd)
        self.assertEqual((crowd.good, crowd.wrong), (MANY, []), crowd.seen)
        self.assertEqual(self.tribe.pids(), pids)
        self.assertNotIn("jr hung", self.tribe.logs())

    def test_pipelined_flood(self):
        """Thousands of requests in each segment, and a client that reads the answers as they come."""
        pids = self.tribe.pids()
        flood = b"GET /nowhere HTTP/1.1\r\nHost: localhost\r\n\r\n" * 1500
        end = time.monotonic() + 4

        def pour():
            import socket
            with socket.create_connection(self.tribe.address(), timeout=60) as s:
                reader = threading.Thread(target=lambda: self.drain(s))
                reader.start()
                try:
                    while time.monotonic() < end:
                        s.sendall(flood)
                    s.shutdown(socket.SHUT_WR)
                except OSError:
                    pass
                reader.join()
        threads = [threading.Thread(target=pour) for _ in range(MANY)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(self.tribe.pids(), pids)
        self.assertEqual(self.tribe.get("/api/v1/memories/small").status, 200)

    @staticmethod
    def drain(s):
        try:
            while s.recv(1 << 20):
                pass
        except OSError:
            pass


if __name__ == "__main__":
    main()
