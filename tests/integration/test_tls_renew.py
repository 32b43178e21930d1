"""Certificates that change while it runs, and clients' certificates. On loopback, with pairs of the test's own making."""
import http.client
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "kit")]
import test_tls  # noqa: E402
from tribe import RpcError, main, wait_for  # noqa: E402

GET = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"


def openssl(*words):
    subprocess.run(["openssl", *words], check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


class Maker:
    """A directory of pairs: selfsigned(), and those that a CA of ours signed."""

    def __init__(self):
        self.dir = tempfile.mkdtemp(prefix="tribe-pairs-", dir="/tmp")

    def path(self, name):
        return os.path.join(self.dir, name)

    def selfsigned(self, name, subject="/CN=localhost", ca=False):
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", subject,
                "-keyout", self.path(name + ".key"), "-out", self.path(name + ".pem"),
                *([] if ca else ["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]))
        return self.path(name + ".pem"), self.path(name + ".key")

    def signed(self, name, ca, subject, san=None):
        with open(self.path(name + ".ext"), "w", encoding="ascii") as f:
            f.write("extendedKeyUsage=clientAuth\n" + (f"subjectAltName={san}\n" if san else ""))
        openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", subject, "-keyout", self.path(name + ".key"),
                "-out", self.path(name + ".csr"))
        openssl("x509", "-req", "-in", self.path(name + ".csr"), "-CA", self.path(ca + ".pem"), "-CAkey", self.path(ca + ".key"),
                "-CAcreateserial", "-days", "2", "-extfile", self.path(name + ".ext"), "-out", self.path(name + ".pem"))
        return self.path(name + ".pem"), self.path(name + ".key")


class Renewed(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.made = Maker()
        cls.addClassCleanup(shutil.rmtree, cls.made.dir)

    def open_tribe(self, *settings):
        for old, new in zip(self.made.selfsigned("first"), ("in-use.pem", "in-use.key")):
            shutil.copy(old, self.made.path(new))
        paths = self.made.path("in-use.pem"), self.made.path("in-use.key")
        tribe = test_tls.SecureTribe(f"http.certificate={paths[0]}", f"http.private_key={paths[1]}", *settings, certificate=paths[0], token=False)
        self.addCleanup(tribe.close)
        return tribe

    def put(self, name):
        for kind in (".pem", ".key"):
            shutil.copy(self.made.path(name + kind), self.made.path("in-use" + kind))

    def shown(self, tribe):
        return ssl.get_server_certificate(tribe.address())

    def text(self, name):
        with open(self.made.path(name), encoding="ascii") as f:
            return f.read()

    def test_no_connection_ends_and_no_process_is_replaced(self):
        tribe = self.open_tribe()
        self.made.selfsigned("second")
        before = tribe.pids()
        sock = tribe.dial()
        sock.sendall(GET)
        self.assertIn(b"200 OK", sock.recv(65536))
        slow = tribe.dial()
        slow.sendall(GET[:20])  # in the middle of a request
        self.put("second")
        self.assertEqual(tribe.call("control.sock", "reload"), {"changed": ["http.certificate"]})
        wait_for(lambda: self.shown(tribe) == self.text("second.pem"), "new connections see the new certificate", 10)
        slow.sendall(GET[20:])
        self.assertIn(b"200 OK", slow.recv(65536))
        sock.sendall(GET)
        self.assertIn(b"200 OK", sock.recv(65536))
        for s in (sock, slow):
            s.close()
        self.assertEqual(tribe.pids(), before)
        self.assertEqual(tribe.call("control.sock", "reload"), {"changed": []})
        # whoever takes over has it too
        tribe.context = tribe.new_context()
        os.kill(before["executive"], signal.SIGKILL)
        tribe.wait_new("executive", before["executive"])
        self.assertEqual(self.shown(tribe), self.text("second.pem"))
        wait_for(lambda: "waiting" in str(tribe.status()["jrs"]["executive_jr"]["understudies"]), "an understudy waits", 30)

    def test_sighup_does_the_same(self):
        tribe = self.open_tribe()
        self.made.selfsigned("third")
        before = tribe.pids()
        self.put("third")
        tribe.process.send_signal(signal.SIGHUP)
        wait_for(lambda: self.shown(tribe) == self.text("third.pem"), "the new certificate is in use", 10)
        self.assertEqual(tribe.pids(), before)

    def test_a_pair_that_does_not_fit_changes_nothing(self):
        tribe = self.open_tribe()
        self.made.selfsigned("fourth")
        shutil.copy(self.made.path("fourth.key"), self.made.path("in-use.key"))
        with self.assertRaises(RpcError):
            tribe.call("control.sock", "reload")
        self.assertEqual(self.shown(tribe), self.text("in-use.pem"))


class Clients(Renewed):
    test_no_connection_ends_and_no_process_is_replaced = test_sighup_does_the_same = test_a_pair_that_does_not_fit_changes_nothing = None

    def call(self, tribe, pair=None, path="/api/v1/thermal", headers=None, method="GET", body=None):
        context = tribe.new_context()
        if pair:
            context.load_cert_chain(*pair)
        connection = http.client.HTTPSConnection("localhost", tribe.address()[1], timeout=30, context=context)
        connection._create_connection = lambda _, *rest: socket.create_connection(tribe.address(), *rest)
        try:
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            answer.read()
            return answer.status
        finally:
            connection.close()

    def test_a_certificate_stands_for_the_token_of_its_name(self):
        made = self.made
        made.selfsigned("ca", "/CN=a CA", ca=True)
        made.selfsigned("ca2", "/CN=another CA", ca=True)
        tribe = self.open_tribe("http.client_ca=" + made.path("ca.pem"))
        by_cn = made.signed("by-cn", "ca", "/CN=agent-1")
        by_san = made.signed("by-san", "ca", "/CN=whatever", "DNS:agent-2.example,email:ann@example.org")
        nobody = made.signed("nobody", "ca", "/CN=nobody")
        foreign = made.signed("foreign", "ca2", "/CN=agent-1")
        self.assertEqual(self.call(tribe), 200)  # no token yet: as on loopback without certificates
        for words in (("agent-1", "--scope", "read"), ("ann@example.org", "--scope", "write", "--source", "ann"), ("root", "--scope", "admin")):
            self.assertEqual(tribe.ctl("token", "create", *words).returncode, 0)
        self.assertEqual(self.call(tribe), 401)
        self.assertEqual(self.call(tribe, by_cn), 200)
        self.assertEqual(self.call(tribe, by_cn, "/api/v1/tokens"), 403)
        self.assertEqual(self.call(tribe, by_san), 200)
        self.assertEqual(self.call(tribe, by_san, "/api/v1/status"), 403)  # bound to a source
        self.assertEqual(self.call(tribe, nobody), 401)
        self.assertEqual(self.call(tribe, nobody, "/healthz"), 200)
        self.assertEqual(self.call(tribe, by_cn, headers={"Authorization": "Bearer wrong"}), 401)  # a token that is brought counts
        with self.assertRaises((ssl.SSLError, ConnectionResetError, http.client.RemoteDisconnected, BrokenPipeError)):
            self.call(tribe, foreign)
        self.assertEqual(tribe.ctl("token", "revoke", "agent-1").returncode, 0)
        self.assertEqual(self.call(tribe, by_cn), 401)
        # and another CA by reload, without a restart
        before = tribe.pids()
        shutil.copy(made.path("ca2.pem"), made.path("ca.pem"))
        self.assertEqual(tribe.call("control.sock", "reload"), {"changed": ["http.certificate"]})
        self.assertEqual(tribe.ctl("token", "create", "agent-1", "--scope", "read").returncode, 0)
        wait_for(lambda: self.call(tribe, foreign) == 200, "the other CA counts", 10)
        with self.assertRaises((ssl.SSLError, ConnectionResetError, http.client.RemoteDisconnected, BrokenPipeError)):
            self.call(tribe, by_san)
        self.assertEqual(tribe.pids(), before)


if __name__ == "__main__":
    main()
