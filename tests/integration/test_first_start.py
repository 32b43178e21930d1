"""The first start beyond loopback: a certificate, a token, and the line that uses them."""
import hashlib
import http.client
import json
import os
import re
import shutil
import socket
import ssl
import stat
import subprocess
import sys
import tempfile
import threading
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "kit"))
from stage import Staged
from tribe import ROLES, RpcError, Tribe, main, wait_for

CERTIFICATE, KEY, TOKEN, HASH = "certificate.pem", "private_key.pem", "admin-token", "admin-token.sha256"
FILES = (CERTIFICATE, KEY, TOKEN, HASH)
TOKEN_RULE = re.compile(r"tribe_[A-Za-z0-9_-]{43}")


class Beyond(Staged):
    """Listens on every address; the network is the machine's own all the same."""

    def __init__(self, *settings, listen="0.0.0.0:0", **more):
        self.listen = listen
        super().__init__(*settings, **more)

    def command(self, *flags):
        self.settings = ("http.listen=" + self.listen,) + tuple(s for s in self.settings if not s.startswith("http.listen="))
        return super().command(*flags)

    def kept(self, name):
        with open(os.path.join(self.state, name), encoding="ascii") as f:
            return f.read()

    def given(self, role="executive"):
        """What the fake was handed over in its last life."""
        return json.loads(self.wrote("fds-" + role)[-1])


def handshake(certificate, key, name, trusted):
    """True when a TLS client that trusts only `trusted` accepts the pair under that name."""
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(certificate, key)
    client = ssl.create_default_context(cafile=trusted)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        def serve():
            try:
                server.wrap_socket(theirs, server_side=True).close()
            except OSError:
                pass
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            client.wrap_socket(ours, server_hostname=name).close()
            return True
        except ssl.SSLError:
            return False
        finally:
            ours.close()
            thread.join(30)


class FirstStart(unittest.TestCase):
    def test_made_once_kept_private_and_handed_over(self):
        with Beyond(fakes=ROLES) as tribe:
            for name in FILES:
                self.assertEqual(stat.S_IMODE(os.stat(os.path.join(tribe.state, name)).st_mode), 0o600, name)
            token = tribe.kept(TOKEN).strip()
            self.assertIsNotNone(TOKEN_RULE.fullmatch(token))
            self.assertEqual(tribe.kept(HASH).strip(), hashlib.sha256(token.encode()).hexdigest())
            said = tribe.logs()
            port = tribe.address()[1]
            self.assertEqual(said.count(f'Authorization: Bearer {token}" https://localhost:{port}/'), 1)
            self.assertIn(f"--cacert '{tribe.state}/{CERTIFICATE}'", said)
            self.assertIn(f" https://127.0.0.1:{port}   listens on every IPv4 address\n", tribe.ctl("status").stdout)
            given = tribe.given()
            self.assertEqual(given["files"]["certificate"], tribe.kept(CERTIFICATE))
            self.assertEqual(given["files"]["private_key"], tribe.kept(KEY))
            self.assertEqual(given["files"]["token_hash"], tribe.kept(HASH).strip())
            for role in ROLES:
                if role != "executive":
                    self.assertEqual(set(tribe.given(role)["files"]), {"config"}, "nobody else gets them")
            before = {name: tribe.kept(name) for name in FILES}
            self.assertEqual(tribe.stop(), 0)
            tribe.start()
            self.assertEqual({name: tribe.kept(name) for name in FILES}, before)
            self.assertEqual(tribe.logs().count(token), said.count(token), "said once")
            # the owner has read it: it may go; without the hash there is a new one
            os.unlink(os.path.join(tribe.state, TOKEN))
            tribe.stop()
            tribe.start()
            self.assertFalse(os.path.exists(os.path.join(tribe.state, TOKEN)))
            tribe.stop()
            os.unlink(os.path.join(tribe.state, HASH))
            tribe.start()
            self.assertNotEqual(tribe.kept(HASH), before[HASH])
            self.assertEqual(tribe.kept(CERTIFICATE), before[CERTIFICATE])

    def test_the_certificate(self):
        with Beyond(fakes=ROLES) as tribe:
            path, key = os.path.join(tribe.state, CERTIFICATE), os.path.join(tribe.state, KEY)
            for name in ("localhost", "127.0.0.1", "::1", socket.gethostname()):
                self.assertTrue(handshake(path, key, name, path), name)
            self.assertFalse(handshake(path, key, "elsewhere.example", path))
            self.assertFalse(handshake(path, key, "192.0.2.1", path))
            decoded = ssl._ssl._test_decode_cert(path)  # pylint: disable=protected-access
            life = ssl.cert_time_to_seconds(decoded["notAfter"]) - ssl.cert_time_to_seconds(decoded["notBefore"])
            self.assertLessEqual(life, 825 * 86400)
            self.assertGreater(ssl.cert_time_to_seconds(decoded["notAfter"]), time.time() + 800 * 86400)

    def test_a_damaged_pair_is_made_anew_and_a_damaged_hash_is_not(self):
        with Beyond(fakes=ROLES) as tribe:
            first = tribe.kept(CERTIFICATE)
            tribe.stop()
            with open(os.path.join(tribe.state, CERTIFICATE), "w", encoding="ascii") as f:
                f.write(first[:200])
            tribe.start()
            path = os.path.join(tribe.state, CERTIFICATE)
            self.assertTrue(handshake(path, os.path.join(tribe.state, KEY), "localhost", path))
            tribe.stop()
            with open(os.path.join(tribe.state, HASH), "w", encoding="ascii") as f:
                f.write("0123\n")
            self.assertEqual(tribe.spawn().wait(60), 2)
            self.assertIn("must be 64 hexadecimal digits", tribe.logs())

    def test_in_the_background_the_caller_is_told(self):
        with Beyond(fakes=ROLES, start=False) as tribe:
            done = subprocess.run(tribe.command("--detach"), stdin=subprocess.DEVNULL, capture_output=True, text=True, env=tribe.env,
                                  timeout=120, check=False)
            try:
                self.assertEqual(done.returncode, 0, done)
                token = tribe.kept(TOKEN).strip()
                self.assertEqual(done.stdout.count("  " + token + "\n"), 1)
                self.assertIn(f"Bearer {token}\" https://localhost:{tribe.address()[1]}/", done.stdout)
                self.assertNotIn(token, tribe.logs(), "its log holds no secret")
            finally:
                tribe.call("control.sock", "shutdown")
                wait_for(lambda: not os.path.exists(tribe.socket_path("control.sock")) and not tribe.processes(), "it is gone")

    def test_on_loopback_nothing_of_this_happens(self):
        with Beyond(listen="127.0.0.1:0", fakes=ROLES) as tribe:
            for name in FILES:
                self.assertFalse(os.path.exists(os.path.join(tribe.state, name)), name)
            self.assertEqual(set(tribe.given()["files"]), {"config"})
            self.assertNotIn("curl", tribe.logs())
            self.assertIn(f" http://127.0.0.1:{tribe.address()[1]}\n", tribe.ctl("status").stdout)


class Given(unittest.TestCase):
    """http.certificate and http.private_key."""

    def pair(self, tribe, other):
        """A pair that another tribe made, as files of the operator's."""
        out = []
        for name in (CERTIFICATE, KEY):
            out.append(os.path.join(tribe.base, "given-" + name))
            shutil.copy(os.path.join(other.state, name), out[-1])
        return out

    def test_they_are_used_and_renewed_by_reload(self):
        with Beyond(fakes=ROLES) as one, Beyond(listen="127.0.0.1:0", fakes=ROLES, start=False) as tribe:
            certificate, key = self.pair(tribe, one)
            tribe.settings += ("http.certificate=" + certificate, "http.private_key=" + key)
            tribe.start()
            given = tribe.given()["files"]
            self.assertEqual((given["certificate"], given["private_key"]), (one.kept(CERTIFICATE), one.kept(KEY)))
            self.assertNotIn("token_hash", given, "tokens are for beyond loopback")
            self.assertFalse(os.path.exists(os.path.join(tribe.state, CERTIFICATE)))
            self.assertEqual(tribe.call("control.sock", "reload"), {"changed": []})
            self.assertIn(f" https://127.0.0.1:{tribe.address()[1]}\n", tribe.ctl("status").stdout)
            # half renewed: the key is another's
            one.stop()
            os.unlink(os.path.join(one.state, CERTIFICATE))
            one.start()
            self.assertNotEqual(one.kept(KEY), given["private_key"])
            shutil.copy(os.path.join(one.state, KEY), key)
            with self.assertRaises(RpcError) as caught:
                tribe.call("control.sock", "reload")
            self.assertIn("it is not the key of http.certificate", caught.exception.error["message"])
            self.assertEqual(tribe.jr("executive")["restarts"], 0)
            shutil.copy(os.path.join(one.state, CERTIFICATE), certificate)
            self.assertEqual(tribe.call("control.sock", "reload"), {"changed": ["http.certificate"]})
            told = wait_for(lambda: [json.loads(line) for line in tribe.wrote("tls-executive")], "executive-jr is told")
            self.assertEqual((told[-1]["certificate"], told[-1]["private_key"]), (one.kept(CERTIFICATE), one.kept(KEY)))
            self.assertEqual(tribe.jr("executive")["restarts"], 0)
            # and whoever comes later is given it
            tribe.call("control.sock", "jr.restart", {"jr": "executive_jr"})
            wait_for(lambda: tribe.given()["files"]["certificate"] == one.kept(CERTIFICATE), "the next one has it")

    def test_what_the_service_manager_hands_over(self):
        with tempfile.TemporaryDirectory() as handed, Beyond(fakes=ROLES) as one:
            for name in (CERTIFICATE, KEY):
                shutil.copy(os.path.join(one.state, name), handed)
            with Beyond(fakes=ROLES, env={"CREDENTIALS_DIRECTORY": handed}, start=False) as tribe:
                with open(os.path.join(handed, TOKEN), "w", encoding="ascii") as f:
                    f.write("too short\n")
                self.assertEqual(tribe.spawn().wait(60), 2)
                self.assertIn("must be at least 16 characters", tribe.logs())
                with open(os.path.join(handed, TOKEN), "w", encoding="ascii") as f:
                    f.write("a token of the operator's\n")
                tribe.start()
                given = tribe.given()["files"]
                self.assertEqual((given["certificate"], given["private_key"]), (one.kept(CERTIFICATE), one.kept(KEY)))
                self.assertEqual(given["token_hash"], hashlib.sha256(b"a token of the operator's").hexdigest())
                self.assertEqual([name for name in FILES if os.path.exists(os.path.join(tribe.state, name))], [])
                self.assertNotIn("operator's", tribe.logs())
                tribe.stop()
                with open(os.path.join(handed, HASH), "w", encoding="ascii") as f:
                    f.write("ab" * 32 + "\n")
                tribe.start()
                self.assertEqual(tribe.given()["files"]["token_hash"], "ab" * 32)
                tribe.stop()
                os.unlink(os.path.join(handed, KEY))
                self.assertEqual(tribe.spawn().wait(60), 2)

    def test_wrong_ones_are_refused_in_one_line(self):
        tribe = Tribe(start=False)
        self.addCleanup(tribe.close)
        rubbish = os.path.join(tribe.base, "rubbish")
        with open(rubbish, "w", encoding="ascii") as f:
            f.write("no certificate\n")
        for certificate, key, said in ((rubbish, rubbish, "http.certificate: the file holds no certificate in PEM"),
                                       ("/no/such", rubbish, "http.certificate: /no/such: no such file"),
                                       (rubbish, "/no/such", "http.private_key: /no/such: no such file"),
                                       ("", rubbish, "http.private_key: must be given together with http.certificate"),
                                       (rubbish, "", "http.certificate: must be given together with http.private_key"),
                                       ("here.pem", rubbish, "http.certificate: must be an absolute path")):
            tribe.settings = ("http.listen=127.0.0.1:0", "http.certificate=" + certificate, "http.private_key=" + key)
            done = subprocess.run(tribe.command(), stdin=subprocess.DEVNULL, capture_output=True, text=True, env=tribe.env, timeout=60,
                                  check=False)
            self.assertEqual(done.returncode, 2, done)
            self.assertIn(said, done.stderr)
            self.assertEqual(tribe.processes(), {})


class Real(unittest.TestCase):
    """The printed line works: the real executive-jr answers it, and nobody without the token."""

    def test_https_with_the_token(self):
        with Beyond(start=False) as tribe:
            tribe.fakes = ROLES  # ready when all are up: the kit's own look is by plain HTTP
            tribe.start()
            token, port = tribe.kept(TOKEN).strip(), tribe.address()[1]
            context = ssl.create_default_context(cafile=os.path.join(tribe.state, CERTIFICATE))

            def status(headers):
                connection = http.client.HTTPSConnection("localhost", port, timeout=60, context=context)
                try:
                    connection.request("GET", "/api/v1/status", headers=headers)
                    return connection.getresponse().status
                finally:
                    connection.close()
            self.assertEqual(status({"Authorization": "Bearer " + token}), 200)
            self.assertEqual(status({}), 401)
            self.assertEqual(status({"Authorization": "Bearer " + token[:-1] + ("A" if token[-1] != "A" else "B")}), 401)


if __name__ == "__main__":
    main()
