"""The guard: no secret gets into the archive by any way, what is about persons is flagged, and the audit says so. Samples are put together
at run time, so that nobody's scanner takes this file for a leak."""
import base64
import os
import random
import re
import shutil
import signal
import string
import subprocess
import sys
import tempfile
import unittest
import unittest.mock

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "kit"))
from postgres import Postgres  # noqa: E402
from tribe import PROGRAMS, Tribe, main, problem_of, program, wait_for  # noqa: E402

MEMORIES = "/api/v1/memories"
WITHOUT = os.environ.get("NO_GUARD_DIR")


def made_up(n, letters=string.ascii_letters + string.digits):
    return "".join(random.choice(letters) for _ in range(n - 2)) + "7x"


def samples():
    """class -> (secret, text with it)"""
    token = "ghp" + "_" + made_up(36)
    cloud = "AKIA" + made_up(16, string.ascii_uppercase + "234567")[:14] + "7Q"
    password = made_up(14)
    pem = "\n".join(["-----BEGIN OPENSSH " + "PRIVATE KEY-----", made_up(64), made_up(64), "-----END OPENSSH " + "PRIVATE KEY-----"])
    own = "tribe" + "_" + made_up(43)
    card = "4111 1111" + " 1111 1111"
    iban = "DE89 3704 0044" + " 0532 0130 00"
    return {"code_token": (token, f"the robot logs in with {token} now"), "cloud_key": (cloud, f"use {cloud}, please"),
            "password": (password, f"db password={password} for all"), "private_key": (pem, f"the key:\n{pem}\nand that is it"),
            "tribe_token": (own, f"curl with {own}"), "card": (card, f"paid by {card} on Monday"), "iban": (iban, f"send it to {iban}.")}


def spoiled(to):
    """The programs, with tables in memory-jr that say they are of another version of the engine."""
    for name in ("tribed",) + PROGRAMS:
        shutil.copy(program(name), to)
    with open(os.path.join(to, "memory-jr"), "r+b") as f:
        heads = [m.start() for m in re.finditer(rb"\xdb{4}[\s\S]{3}\x05", f.read())]  # magic; version, major last
        if len(heads) != 1:
            raise AssertionError(f"tables at {heads}")
        f.seek(heads[0] + 7)
        f.write(b"\x04")


class Guarded:
    """On both databases."""

    def tribe(self, *settings, **more):
        raise NotImplementedError

    def leaks(self, tribe, secret):
        """Where it stands in what the tribe has written: files, logs."""
        first = secret.split("\n")[1 if "\n" in secret else 0].encode()
        found = [line for line in tribe.logs().splitlines() if first.decode() in line]
        for top, _, names in os.walk(tribe.dir):
            for name in names:
                path = os.path.join(top, name)
                if os.path.isfile(path):
                    with open(path, "rb") as f:
                        if first in f.read():
                            found.append(path)
        return found

    def audit(self, tribe, query=""):
        return tribe.get("/api/v1/audit" + query).json()["audit"]

    def told(self, tribe):
        """Memories but for decisions: that an import was refused is one."""
        return [m["content"] for m in tribe.get(MEMORIES + "?limit=200").json()["memories"] if "decision" not in m["tags"]]

    def refused(self, answer, cls, field, secret):
        problem = problem_of(answer)
        self.assertEqual((answer.status, problem["type"]), (422, "urn:tribe:problem:secret"), problem)
        for part in (f'"{field}"', f"({cls})", "at byte"):
            self.assertIn(part, problem["detail"])
        self.assertNotIn(secret[:12], answer.body.decode())

    def test_refuses_every_way_in(self):
        tribe = self.tribe()
        known = tribe.post(MEMORIES, {"content": "a stone"}).json()["memories"][0]["id"]
        all_of = samples()
        for cls, (secret, text) in all_of.items():
            self.refused(tribe.post(MEMORIES, {"content": text, "source": "s1"}), cls, "content", secret)
            self.refused(tribe.post(MEMORIES, [{"content": "fine"}, {"content": text}]), cls, "[1].content", secret)
            self.refused(tribe.post(MEMORIES, {"content": "x", "tags": ["a", text[:250]]}), cls, "tags[1]", secret)
            self.refused(tribe.post(MEMORIES, {"content": "x", "metadata": {"a": [{"note": text}]}}), cls, "metadata.a.note", secret)
            self.refused(tribe.http("PATCH", f"{MEMORIES}/{known}", {"tags": [text[:250]]}), cls, "tags[0]", secret)
            self.refused(tribe.http("PATCH", f"{MEMORIES}/{known}", {"metadata": {"n": text}}), cls, "metadata.n", secret)
            self.refused(tribe.post("/api/v1/decisions", {"text": text, "by": "me"}), cls, "text", secret)
            self.refused(tribe.post(MEMORIES, {"content": "x", "session": text[:250]}), cls, "session", secret)
            self.refused(tribe.post(MEMORIES, {"content": "x", "speaker": text[:250]}), cls, "speaker", secret)
        token = all_of["code_token"][0]
        self.refused(tribe.post(MEMORIES, {"content": "x", "id": token}), "code_token", "id", token)
        self.refused(tribe.post(MEMORIES, {"content": "x", "source": token}), "code_token", "source", token)
        self.refused(tribe.post("/api/v1/decisions", {"text": "x", "by": token}), "code_token", "by", token)
        self.refused(tribe.post(MEMORIES, {"content": "x"}, headers={"Idempotency-Key": token}), "code_token", "Idempotency-Key", token)
        self.refused(tribe.post(MEMORIES, {"content": "x", "metadata": {token: 1}}), "code_token", "metadata", token)
        self.refused(tribe.post(MEMORIES, {"content": "x", "metadata": {"card": 4111111111111111}}), "card", "metadata.card", "411111111111")
        self.assertEqual(tribe.get("/api/v1/thermal").json()["total_memories"], 1, "a batch with one is refused as a whole")
        self.assertEqual(tribe.post(MEMORIES, {"content": "x", "id": "4111111111111111"}).status, 201, "ids are numbers, too")

        lines = self.audit(tribe, "?limit=1000")
        self.assertEqual(len(lines), 9 * len(all_of) + 6)
        self.assertEqual({line["action"] for line in lines}, {"refused"})
        self.assertEqual({line["class"] for line in lines}, set(all_of))
        self.assertEqual({line["who"] for line in lines}, {"loopback"})
        self.assertIn("memories[1].content", {line.get("field") for line in lines})
        self.assertEqual({line.get("source") for line in lines}, {None, "s1", "me"}, "no source that is a secret itself")
        self.assertEqual(len(self.audit(tribe, "?class=iban&limit=3")), 3)
        self.assertIn('cherokee_guard_total{class="card",action="refused"} 10\n', tribe.get("/metrics").body.decode())
        self.assertIn("code_token", tribe.ctl("audit").stdout)
        wait_for(lambda: "flushed" if tribe.get("/readyz").status == 200 else None, "still there")
        for secret, _ in all_of.values():
            self.assertEqual(self.leaks(tribe, secret), [])

    def test_sees_through(self):
        """Spelt in another way it is the same secret; what a run of base64 holds is taken out with the whole run."""
        token = samples()["code_token"][0]
        ways = ["\u200b".join(token), "".join(chr(ord(c) - 0x21 + 0xff01) for c in token), token.replace("_", "%5F"),
                base64.b64encode(f"log in with {token} please".encode()).decode().rstrip("=")]
        tribe = self.tribe()
        for way in ways:
            self.refused(tribe.post(MEMORIES, {"content": f"see {way} there"}), "code_token", "content", token)
            self.refused(tribe.post(MEMORIES, {"content": "x", "metadata": {"a": way}}), "code_token", "metadata.a", token)
        tribe.stop()
        tribe = self.tribe("guard.secrets=redact")
        for i, way in enumerate(ways):
            self.assertEqual(tribe.post(MEMORIES, {"content": f"{i}: see {way} there"}).status, 201)
        self.assertEqual(set(self.told(tribe)), {f"{i}: see [redacted:code_token] there" for i in range(len(ways))})

    def test_redacts(self):
        tribe = self.tribe("guard.secrets=redact")
        known = tribe.post(MEMORIES, {"content": "a stone"}).json()["memories"][0]["id"]
        all_of = samples()
        for cls, (secret, text) in all_of.items():
            answer = tribe.post(MEMORIES, [{"content": "fine"}, {"content": text, "tags": [text[:200]], "metadata": {"a": [text, "b"]}}])
            self.assertEqual(answer.status, 201, answer)
            made = answer.json()["memories"]
            self.assertEqual((made[0].get("redacted"), made[1]["redacted"]), (None, [cls]))
            memory = tribe.get(f"{MEMORIES}/{made[1]['id']}").json()
            want = text.replace(secret, f"[redacted:{cls}]")
            self.assertEqual(memory["content"], want)
            self.assertEqual(memory["metadata"], {"a": [want, "b"]})
            self.assertEqual(tribe.post(MEMORIES, {"content": text}).json()["memories"][0]["redacted"], [cls])
            patched = tribe.http("PATCH", f"{MEMORIES}/{known}", {"metadata": {"n": text}}).json()
            self.assertEqual(patched["metadata"], {"n": want})
            decided = tribe.post("/api/v1/decisions", {"text": text, "by": "me"})
            self.assertEqual((decided.status, decided.json()["decision"]["text"] if "decision" in decided.json() else decided.json()["text"]),
                             (201, want))
            self.assertEqual(tribe.post(MEMORIES, {"content": "x", "session": text[:250]}).status, 422, "who it is cannot be redacted")
        answer = tribe.post(MEMORIES, {"content": "y", "metadata": {"password": "three words 4u", "n": 7}})
        memory = tribe.get(f"{MEMORIES}/{answer.json()['memories'][0]['id']}").json()
        self.assertEqual(memory["metadata"], {"password": "[redacted:password]", "n": 7})
        self.assertEqual({(line["action"], line["class"]) for line in self.audit(tribe, "?action=redacted&limit=1000")},
                         {("redacted", cls) for cls in all_of})
        for secret, _ in all_of.values():
            self.assertEqual(self.leaks(tribe, secret), [])

    def test_allows_and_is_off(self):
        tribe = self.tribe("guard.secrets=allow")
        token, text = samples()["code_token"]
        card, paid = samples()["card"]
        made = tribe.post(MEMORIES, [{"content": text}, {"content": paid}]).json()["memories"]
        self.assertEqual((made[0].get("flagged"), made[1]["flagged"]), (None, ["card"]))
        self.assertIn(token, tribe.get(f"{MEMORIES}/{made[0]['id']}").json()["content"])
        self.assertIn(card, tribe.get(f"{MEMORIES}/{made[1]['id']}").json()["content"])

    def test_flags_persons(self):
        tribe = self.tribe()
        text = "Anna: anna@example.org, +49 30 1234567, from 203.0.113.9"
        made = tribe.post(MEMORIES, {"content": text, "source": "notes"}).json()["memories"][0]
        self.assertEqual(made["flagged"], ["email", "phone", "ip"])
        self.assertEqual(tribe.get(f"{MEMORIES}/{made['id']}").json()["content"], text)
        lines = self.audit(tribe, f"?memory={made['id']}")
        self.assertEqual([(line["class"], line["source"], line["who"]) for line in lines],
                         [(cls, "notes", "loopback") for cls in ("ip", "phone", "email")])
        self.assertNotIn("example.org", str(lines))
        self.assertEqual(tribe.post(MEMORIES, {"content": text, "source": "notes"}).status, 200)
        self.assertEqual(len(self.audit(tribe)), 3, "known: it has been flagged")
        self.assertEqual(tribe.http("DELETE", f"{MEMORIES}/{made['id']}").status, 204)
        self.assertEqual(self.audit(tribe), [], "forgotten with it")

    def test_imports(self):
        tribe = self.tribe()
        path = tribe.dir + "-notes.jsonl"
        token, text = samples()["code_token"]
        with open(path, "w", encoding="utf-8") as f:
            f.write('{"content":"line one"}\n{"content":"' + text + '"}\n{"content":"line three"}\n')
        done = tribe.ctl("import", path)
        self.assertNotIn(token[:12], done.stdout + done.stderr)
        self.assertIn("code_token", done.stdout + done.stderr, "which line is skipped, and why")
        self.assertEqual(sorted(self.told(tribe)), ["line one", "line three"])
        self.assertEqual([(line["who"], line["class"]) for line in self.audit(tribe)], [("integration_jr", "code_token")])
        self.assertEqual(self.leaks(tribe, token), [])

    def test_takes_no_secrets_back(self):
        tribe = self.tribe("guard.secrets=allow")
        token, text = samples()["code_token"]
        tribe.remember("line one", text, "line three")
        exported = tribe.ctl("export", "-").stdout
        self.assertIn(token, exported)
        for policy, count, left in (("refuse", 2, None), ("redact", 3, "[redacted:code_token]")):
            other = self.tribe("guard.secrets=" + policy)
            path = other.dir + "-export.jsonl"
            with open(path, "w", encoding="utf-8") as f:
                f.write(exported)
            other.ctl("import", path)
            self.assertEqual(len(self.told(other)), count, policy)
            found = [content for content in self.told(other) if "robot" in content]
            self.assertEqual(found, [] if left is None else [text.replace(token, left)])
            self.assertEqual(self.leaks(other, token), [])
            other.close()

    def test_a_kill_changes_nothing(self):
        tribe = self.tribe()
        old = tribe.pids()["memory"]
        os.kill(old, 9)
        secret, text = samples()["password"]
        self.refused(tribe.post(MEMORIES, {"content": text}), "password", "content", secret)
        self.assertEqual(tribe.post(MEMORIES, {"content": "a stone"}).status, 201)


class OnSqlite(Guarded, unittest.TestCase):
    def tribe(self, *settings, **more):
        tribe = Tribe(*settings, **more)
        self.addCleanup(tribe.close)
        return tribe

    @unittest.skipUnless(WITHOUT, "NO_GUARD_DIR names a directory with a library that is no engine")
    def test_cannot_look(self):
        """Without its engine nothing that holds text is written; reading and forgetting go on."""
        tribe = self.tribe()
        known = tribe.post(MEMORIES, {"content": "a stone"}).json()["memories"][0]["id"]
        tribe.stop()
        tribe.env.update(LD_LIBRARY_PATH=WITHOUT)
        tribe.start()
        answer = tribe.post(MEMORIES, {"content": "another stone"})
        self.assertEqual((answer.status, problem_of(answer)["type"]), (503, "urn:tribe:problem:unavailable"), answer)
        self.assertIn("guard", problem_of(answer)["detail"])
        self.assertEqual(tribe.post("/api/v1/decisions", {"text": "x", "by": "me"}).status, 503)
        self.assertEqual(tribe.get(f"{MEMORIES}/{known}").status, 200)
        self.assertEqual(tribe.http("DELETE", f"{MEMORIES}/{known}").status, 204)

    def test_tables_of_another_version(self):
        """A memory-jr whose tables the library does not take makes them anew, and refuses as ever; who is killed does it again."""
        with tempfile.TemporaryDirectory() as bin_dir:
            spoiled(bin_dir)
            with unittest.mock.patch.dict(os.environ, TRIBE_BIN=bin_dir):
                tribe = self.tribe()
            secret, text = samples()["code_token"]
            self.refused(tribe.post(MEMORIES, {"content": text}), "code_token", "content", secret)
            self.assertEqual(tribe.post(MEMORIES, {"content": "a stone"}).status, 201)
            self.assertIn("does not take its tables, they are made anew", tribe.logs())
            os.kill(tribe.pids()["memory"], signal.SIGKILL)
            self.refused(tribe.post(MEMORIES, {"content": text}), "code_token", "content", secret)
            self.assertEqual(self.told(tribe), ["a stone"])

    def test_words_of_the_settings(self):
        for wrong in ("guard.secrets=ignore", "guard.pii=on"):
            done = subprocess.run([program("tribed"), "--check", "--set", wrong], capture_output=True, text=True, check=False, timeout=60)
            self.assertEqual(done.returncode, 2)
            self.assertIn("must be", done.stderr)


class OnPostgres(Guarded, unittest.TestCase):
    def setUp(self):
        self.pg = Postgres()
        self.addCleanup(self.pg.close)
        self.n = 0

    def tribe(self, *settings, **more):
        self.n += 1
        self.pg.create(f"t{self.n}")
        tribe = Tribe("archive.url=" + self.pg.url(f"t{self.n}"), *settings, **more)
        self.addCleanup(tribe.close)
        return tribe


if __name__ == "__main__":
    main()
