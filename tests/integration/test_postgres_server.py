"""The archive on somebody's PostgreSQL server: what docs/OPERATIONS.md says a guest needs there, how it proves who it is, and what
libpq's words in archive.url do. Loopback only."""
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "kit")]
from postgres import Postgres, free_port  # noqa: E402
from tribe import Tribe, main, wait_for  # noqa: E402

NOT_LOOPBACK_BY_NAME = "0.0.0.0"  # leads to this machine, and is none of the names that pass as loopback


class GuestCase(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.pg = Postgres(fsync=False, port=True)
        cls.addClassCleanup(cls.pg.close)
        cls.dir = tempfile.mkdtemp(prefix="tribe-guest-", dir="/tmp")
        cls.addClassCleanup(shutil.rmtree, cls.dir)
        cls.secret = secrets.token_hex(16)
        # nothing but a schema of its own name in a database of somebody else's, as OPERATIONS.md has it
        cls.pg.create("shared")
        for text in (f"CREATE ROLE guest LOGIN PASSWORD '{cls.secret}'", "REVOKE ALL ON DATABASE shared FROM PUBLIC",
                     "REVOKE ALL ON SCHEMA public FROM PUBLIC", "GRANT CONNECT ON DATABASE shared TO guest",
                     "CREATE SCHEMA AUTHORIZATION guest"):
            cls.pg.sql(text, "shared")
        cls.passfile = cls.write("passfile", f"*:*:shared:guest:{cls.secret}\n")

    @classmethod
    def write(cls, name, text):
        path = os.path.join(cls.dir, name)
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="ascii") as f:
            f.write(text)
        return path

    def url(self, *hosts, passfile=None, **words):
        words["passfile"] = passfile or self.passfile
        places = ",".join(hosts or (f"127.0.0.1:{self.pg.port}",))
        return f"archive.url=postgresql://guest@{places}/shared?" + "&".join(f"{k}={v}" for k, v in words.items())

    def count(self, content):
        return self.pg.sql(f"SELECT count(*) FROM guest.thermal_memory_now WHERE original_content = '{content}'", "shared")

    def refused(self, setting):
        """A tribe that does not get in: it says so, and what it says holds no secret."""
        with Tribe(setting, start=False) as tribe:
            tribe.process = tribe.spawn()
            wait_for(lambda: "archive.url the server cannot be reached, or refuses us" in tribe.logs(), "memory-jr says why")
            self.assertEqual(tribe.get("/healthz").status, 200)
            self.assertEqual(tribe.get("/readyz").status, 503)
            self.assertNotIn(self.secret, tribe.logs())

    def tls(self, on):
        if on:
            made = subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days",
                                   "2", "-subj", "/CN=localhost", "-keyout", os.path.join(self.pg.data, "server.key"), "-out",
                                   os.path.join(self.pg.data, "server.crt")], capture_output=True, text=True, check=False)
            self.assertEqual(made.returncode, 0, made.stderr)
            for name in ("server.key", "server.crt"):
                path = os.path.join(self.pg.data, name)
                os.chmod(path, 0o600)
                if self.pg.owner:
                    os.chown(path, self.pg.owner["user"], self.pg.owner["group"])
        self.pg.sql(f"ALTER SYSTEM SET ssl = {'on' if on else 'off'}")
        self.pg.restart()

    def encrypted(self):
        return self.pg.sql("SELECT DISTINCT ssl FROM pg_stat_activity JOIN pg_stat_ssl USING (pid) WHERE usename = 'guest'")

    # ---- who it is, and what it may ----
    def test_a_guest_with_a_passfile(self):
        nobody = f"127.0.0.1:{free_port()}"
        with Tribe(self.url(nobody, f"127.0.0.1:{self.pg.port}")) as tribe:
            tribe.remember("The kettle of the guest is blue.")
            self.assertEqual(self.count("The kettle of the guest is blue."), "1")
            for name, pid in tribe.processes().items():
                for what in ("cmdline", "environ"):
                    with open(f"/proc/{pid}/{what}", "rb") as f:
                        self.assertNotIn(self.secret.encode(), f.read(), (name, what))
            shown = tribe.ctl("config", "--json")
            self.assertEqual(shown.returncode, 0, shown.stderr)
            self.assertIn(self.passfile, shown.stdout)
            for text in (shown.stdout, tribe.logs(), tribe.get("/api/v1/status").body.decode()):
                self.assertNotIn(self.secret, text)
            self.assertEqual(tribe.get("/api/v1/status").json()["postgres_healthy"], True)
            # a role that may this much may also begin again where another left
            self.assertEqual(tribe.stop(), 0)
            tribe.start()
            found = tribe.get("/api/v1/memories?q=kettle&touch=false").json()["memories"]
            self.assertEqual([m["content"] for m in found], ["The kettle of the guest is blue."])

    def test_a_wrong_password(self):
        self.refused(self.url(passfile=self.write("wrong", "*:*:shared:guest:" + self.secret[::-1] + "\n")))

    def test_a_schema_of_another_name(self):
        self.pg.sql("CREATE SCHEMA attic AUTHORIZATION guest", "shared")
        with Tribe(self.url(options="-csearch_path%3Dattic")) as tribe:
            tribe.remember("Kept under the roof.")
            self.assertEqual(self.pg.sql("SELECT original_content FROM attic.thermal_memory_now", "shared"), "Kept under the roof.")

    # ---- which server ----
    def test_the_host_that_takes_writes(self):
        with Postgres(fsync=False, port=True) as other:
            other.create("shared")
            for text in (f"CREATE ROLE guest LOGIN PASSWORD '{self.secret}'", "ALTER DATABASE shared OWNER TO guest",
                         "ALTER SYSTEM SET default_transaction_read_only = on", "SELECT pg_reload_conf()"):
                other.sql(text)
            wait_for(lambda: other.sql("SHOW default_transaction_read_only") == "on", "it takes no writes")
            with Tribe(self.url(f"127.0.0.1:{other.port}", f"127.0.0.1:{self.pg.port}")) as tribe:
                tribe.remember("Only one of the two takes this.")
                self.assertEqual(self.count("Only one of the two takes this."), "1")

    # ---- encrypted beyond loopback ----
    def test_a_network_without_tls(self):
        host = f"{NOT_LOOPBACK_BY_NAME}:{self.pg.port}"
        self.refused(self.url(host))
        with Tribe(self.url(host, sslmode="disable")) as tribe:
            tribe.remember("Nobody minds that this is readable.")
            self.assertEqual(self.encrypted(), "f")

    def test_a_network_with_tls(self):
        self.tls(True)
        self.addCleanup(self.tls, False)
        with Tribe(self.url(f"{NOT_LOOPBACK_BY_NAME}:{self.pg.port}")) as tribe:
            tribe.remember("This went encrypted.")
            self.assertEqual(self.encrypted(), "t")


if __name__ == "__main__":
    main()
