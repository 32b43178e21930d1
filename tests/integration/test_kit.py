"""The test kit itself, against a tribed that is only a script: it must clean up and must object."""
import contextlib
import io
import os
import stat
import sys
import tempfile
import unittest
import unittest.mock

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "kit"))
import tribe as kit  # noqa: E402

FAKE = r'''#!/usr/bin/python3
import http.server, os, signal, subprocess, sys
where = sys.argv[sys.argv.index("--dev") + 1]
mode = os.environ.get("FAKE_MODE", "")
if mode == "exit":
    sys.exit("fake: no")
if mode == "asan":
    print("==1==ERROR: AddressSanitizer: heap-use-after-free", file=sys.stderr, flush=True)
for name in ("state", "run"):
    os.makedirs(os.path.join(where, name), exist_ok=True)
jr = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"],
                      env={**os.environ, "TRIBE_STATE": os.path.join(where, "state")})
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")
    def log_message(self, *_):
        pass
server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
with open(os.path.join(where, "run", "http.addr.new"), "w") as f:
    f.write("127.0.0.1:%d\n" % server.server_port)
os.rename(f.name, os.path.join(where, "run", "http.addr"))
def leave(*_):
    if mode != "orphan":
        jr.kill()
        jr.wait()
    os._exit(0)
signal.signal(signal.SIGTERM, leave)
server.serve_forever()
'''


class Kit(unittest.TestCase):
    def setUp(self):
        where = tempfile.TemporaryDirectory(prefix="tribe-", dir="/tmp")
        self.addCleanup(where.cleanup)
        path = os.path.join(where.name, "tribed")
        with open(path, "w", encoding="ascii") as f:
            f.write(FAKE)
        os.chmod(path, stat.S_IRWXU)
        old = os.environ.get("TRIBE_BIN")
        os.environ["TRIBE_BIN"] = where.name
        self.addCleanup(lambda: os.environ.update(TRIBE_BIN=old) if old else os.environ.pop("TRIBE_BIN"))
        self.quiet = contextlib.redirect_stderr(io.StringIO())
        self.stderr = self.quiet.__enter__()
        self.addCleanup(self.quiet.__exit__, None, None, None)

    def gone(self, tribe):
        self.assertFalse(os.path.exists(tribe.base))
        self.assertEqual(tribe.processes(), {})
        self.assertIsNotNone(tribe.process.poll())

    def test_a_good_one(self):
        with kit.Tribe(wait_all=False) as tribe:
            self.assertEqual(tribe.get("/readyz").status, 200)
            self.assertEqual(len(tribe.processes()), 1)
            longest = max(kit.SOCKETS, key=len)
            self.assertLessEqual(len(tribe.socket_path(longest)), 107)
        self.gone(tribe)

    def test_a_failing_body_is_cleaned_up_too(self):
        with self.assertRaises(ZeroDivisionError):
            with kit.Tribe(wait_all=False) as tribe:
                1 / 0
        self.gone(tribe)
        self.assertIn("--- log of", self.stderr.getvalue())

    def test_orphans_are_killed(self):
        with kit.Tribe(wait_all=False, env={"FAKE_MODE": "orphan"}) as tribe:
            self.assertEqual(tribe.stop(), 0)
            self.assertEqual(len(tribe.processes()), 1)
        self.gone(tribe)

    def test_a_sanitizer_report_fails_the_test(self):
        with self.assertRaises(AssertionError) as caught:
            with kit.Tribe(wait_all=False, env={"FAKE_MODE": "asan"}) as tribe:
                pass
        self.assertIn("heap-use-after-free", str(caught.exception))
        self.gone(tribe)

    def test_one_that_does_not_start(self):
        made = []

        def note(make=tempfile.mkdtemp, **more):
            made.append(make(**more))
            return made[-1]

        with unittest.mock.patch.object(kit.tempfile, "mkdtemp", note), self.assertRaises(AssertionError) as caught:
            kit.Tribe(wait_all=False, env={"FAKE_MODE": "exit"})
        self.assertIn("fake: no", str(caught.exception))
        self.assertEqual([os.path.exists(path) for path in made], [False])

    def test_wait_for_gives_up(self):
        with self.assertRaises(AssertionError) as caught:
            kit.wait_for(lambda: False, "pigs fly", 0.05)
        self.assertIn("pigs fly", str(caught.exception))
        self.assertEqual(kit.wait_for(lambda: 5, "five", 0), 5)


if __name__ == "__main__":
    kit.main()
