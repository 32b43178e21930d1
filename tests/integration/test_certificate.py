"""The certificate of a wildcard address names the addresses of the machine. In a network namespace of its own, whose addresses
all lie on its loopback interface; a machine that allows none skips it."""
import fcntl
import os
import shutil
import socket
import struct
import subprocess
import sys
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "kit")]
import test_first_start as first  # noqa: E402
from tribe import ROLES, main  # noqa: E402

OWN_NAMESPACE = "TRIBE_TEST_NAMESPACE"
SIOCSIFFLAGS, SIOCSIFADDR, SIOCDIFADDR, UP, DOWN = 0x8914, 0x8916, 0x8936, 0x41, 0x40


def v4(label, address=None):
    """Gives lo that address under a label; None takes it away."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        if address is None:
            fcntl.ioctl(sock, SIOCSIFFLAGS, struct.pack("16sh22x", label.encode(), DOWN))
        else:
            fcntl.ioctl(sock, SIOCSIFADDR, struct.pack("16sHH4s16x", label.encode(), socket.AF_INET, 0, socket.inet_aton(address)))


def v6(address, what=SIOCSIFADDR):
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sock:
        fcntl.ioctl(sock, what, struct.pack("16sIi", socket.inet_pton(socket.AF_INET6, address), 64, socket.if_nametoindex("lo")))


class Names(unittest.TestCase):
    def setUp(self):
        v4("lo:1", "10.77.0.1")
        v4("lo:2", "169.254.7.7")
        v6("fd77::1")
        v6("fe80::77")
        self.addCleanup(v6, "fe80::77", SIOCDIFADDR)
        self.addCleanup(v6, "fd77::1", SIOCDIFADDR)
        self.addCleanup(v4, "lo:2")
        self.addCleanup(v4, "lo:1")

    def names(self, tribe, *addresses):
        path = os.path.join(tribe.state, first.CERTIFICATE)
        return [first.handshake(path, os.path.join(tribe.state, first.KEY), address, path) for address in addresses]

    def again(self, tribe):
        """The certificate after another start."""
        self.assertEqual(tribe.stop(), 0)
        tribe.start()
        return tribe.kept(first.CERTIFICATE)

    def test_of_every_ipv4_address(self):
        with first.Beyond(fakes=ROLES) as tribe:
            kept, token = tribe.kept(first.CERTIFICATE), tribe.kept(first.HASH)
            self.assertEqual(self.names(tribe, "10.77.0.1", "127.0.0.1", "localhost"), [True] * 3)
            self.assertEqual(self.names(tribe, "169.254.7.7", "fd77::1", "fe80::77", "10.77.0.2"), [False] * 4)
            self.assertEqual(self.again(tribe), kept)
            # another address: a reload is not the time for another certificate, a start is
            v4("lo:3", "10.77.0.2")
            try:
                tribe.call("control.sock", "reload")
                self.assertEqual(tribe.kept(first.CERTIFICATE), kept)
                anew = self.again(tribe)
                self.assertNotEqual(anew, kept)
                self.assertIn("a self-signed certificate was made: it did not name every address of this machine", tribe.logs())
                self.assertEqual(self.names(tribe, "10.77.0.1", "10.77.0.2"), [True] * 2)
                self.assertEqual(tribe.kept(first.HASH), token)
                self.assertEqual(tribe.given()["files"]["certificate"], anew)
            finally:
                v4("lo:3")
            self.assertEqual(self.again(tribe), anew, "one address less is no reason")

    def test_of_ipv6_where_it_is_served(self):
        with first.Beyond(listen="[::]:0", fakes=ROLES) as tribe:
            self.assertEqual(self.names(tribe, "10.77.0.1", "fd77::1", "::1"), [True] * 3)
            self.assertEqual(self.names(tribe, "169.254.7.7", "fe80::77"), [False] * 2)
            kept = tribe.kept(first.CERTIFICATE)
            v6("fd77::2")
            try:
                tribe.listen = "0.0.0.0:0"
                self.assertEqual(self.again(tribe), kept, "nobody can come by it")
                tribe.listen = "[::]:0"
                self.assertNotEqual(self.again(tribe), kept)
                self.assertEqual(self.names(tribe, "fd77::1", "fd77::2"), [True] * 2)
            finally:
                v6("fd77::2", SIOCDIFADDR)

    def test_one_address_names_no_other(self):
        with first.Beyond(listen="10.77.0.1:0", fakes=ROLES) as tribe:
            self.assertEqual(self.names(tribe, "10.77.0.1", "fd77::1"), [True, False])
            kept = tribe.kept(first.CERTIFICATE)
            v4("lo:3", "10.77.0.2")
            self.addCleanup(v4, "lo:3")
            self.assertEqual(self.again(tribe), kept)

    def test_an_interface_that_is_down_does_not_count(self):
        def ip(*words):
            return subprocess.run(["ip", *words], stderr=subprocess.PIPE, text=True, check=False)
        if shutil.which("ip") is None or ip("link", "add", "d0", "type", "veth", "peer", "name", "d1").returncode != 0:
            self.skipTest("no ip, or no veth pairs")
        self.addCleanup(ip, "link", "delete", "d0")
        self.assertEqual(ip("address", "add", "10.78.0.1/24", "dev", "d0").returncode, 0)
        with first.Beyond(fakes=ROLES) as tribe:
            self.assertEqual(self.names(tribe, "10.77.0.1", "10.78.0.1"), [True, False])
            ip("link", "set", "d0", "up")
            self.again(tribe)
            self.assertEqual(self.names(tribe, "10.77.0.1", "10.78.0.1"), [True, True])

    def test_a_configured_pair_is_left_alone(self):
        with first.Beyond(listen="10.77.0.1:0", fakes=ROLES) as one, first.Beyond(fakes=ROLES, start=False) as tribe:
            given = []
            for name in (first.CERTIFICATE, first.KEY):
                given.append(os.path.join(tribe.base, "given-" + name))
                shutil.copy(os.path.join(one.state, name), given[-1])
            tribe.settings += ("http.certificate=" + given[0], "http.private_key=" + given[1])
            tribe.start()
            self.assertEqual(tribe.given()["files"]["certificate"], one.kept(first.CERTIFICATE))
            self.assertFalse(os.path.exists(os.path.join(tribe.state, first.CERTIFICATE)))


def load_tests(loader, _, __):  # not those again that were imported
    return loader.loadTestsFromTestCase(Names)


if __name__ == "__main__":
    if OWN_NAMESPACE not in os.environ:
        os.environ[OWN_NAMESPACE] = "1"
        for how in (["unshare", "-n"], ["unshare", "-Urn"]):  # root needs no user namespace, and has none in a chroot
            probe = subprocess.run([*how, "true"], stderr=subprocess.PIPE, text=True, check=False)
            if probe.returncode == 0:
                os.execvp("unshare", [*how, "--fork", "--kill-child", sys.executable, os.path.abspath(__file__), *sys.argv[1:]])
        print("skipped: no network namespace of its own:", probe.stderr.strip())
        sys.exit(77)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        fcntl.ioctl(s, SIOCSIFFLAGS, struct.pack("16sh22x", b"lo", UP))
    main()
