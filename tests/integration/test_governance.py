"""Governance on a running tribe: keys and envelopes made by others' tools, the delay, objections, kills in between, and an admin without keys."""
import base64
import datetime
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "kit"))
from tribe import Tribe, main, problem_of, wait_for  # noqa: E402

GOVERNANCE, MEMORIES = "/api/v1/governance", "/api/v1/memories"
TYPE = "application/vnd.tribe.governance+json"
SEATS = ("war_chief", "peace_chief", "medicine_woman")
REFUSED, USAGE = 4, 2


def openssl(*words, stdin=None):
    return subprocess.run(["openssl", *words], input=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=True, timeout=60).stdout


class Keys:
    """Five Ed25519 keys by the openssl program: three of the tribe's, two of strangers."""
    def __init__(self):
        self.place = tempfile.mkdtemp(prefix="tribe-keys-", dir="/tmp")
        self.path = {}
        for name in SEATS + ("stranger", "other"):
            self.path[name] = os.path.join(self.place, name + ".pem")
            openssl("genpkey", "-algorithm", "ed25519", "-out", self.path[name])

    def public(self, name):
        """The line between the lines, as OPERATIONS.md says it."""
        return openssl("pkey", "-in", self.path[name], "-pubout").decode().splitlines()[1]

    def settings(self):
        return [f"governance.{name}={self.public(name)}" for name in SEATS]

    def sign(self, name, text):
        """A signature over a payload as DSSE has it, by pkeyutl."""
        pae = b"DSSEv1 %d %s %d %s" % (len(TYPE), TYPE.encode(), len(text), text)
        with tempfile.NamedTemporaryFile(dir=self.place) as f:
            f.write(pae)
            f.flush()
            return openssl("pkeyutl", "-sign", "-rawin", "-inkey", self.path[name], "-in", f.name)

    def close(self):
        shutil.rmtree(self.place)


def in_days(n):
    return (datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=n)).strftime("%Y-%m-%dT%H:%M:%SZ")


def problem(answer):
    return problem_of(answer)["type"].rpartition(":")[2]


def b64(data):
    return base64.b64encode(data).decode()


class Governed(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.keys = Keys()

    @classmethod
    def tearDownClass(cls):
        cls.keys.close()

    def tribe(self, delay_s=0, *more):
        tribe = Tribe(f"governance.delay_s={delay_s}", *self.keys.settings(), *more)
        self.addCleanup(lambda: tribe.close(failed=False))
        return tribe

    def payload(self, tribe, act_id, act, **more):
        archive = tribe.get(GOVERNANCE).json()["archive"]
        return json.dumps({"act": act, "id": act_id, "archive": archive, "expires": in_days(1), "reason": f"why {act_id}", **more}).encode()

    def envelope(self, payload, *names):
        return {"payload": b64(payload), "payloadType": TYPE, "signatures": [{"keyid": name, "sig": b64(self.keys.sign(name, payload))} for name in names]}

    def govern(self, tribe, act_id, act, names, **more):
        return tribe.post(GOVERNANCE, self.envelope(self.payload(tribe, act_id, act, **more), *names))

    def state(self, tribe, act_id):
        return tribe.get(f"{GOVERNANCE}/{act_id}").json()["state"]

    def wait_state(self, tribe, act_id, state):
        wait_for(lambda: self.state(tribe, act_id) == state, f"the act {act_id} is {state}")

    def decided(self, tribe, words):
        return [d for d in tribe.get("/api/v1/decisions?limit=200").json()["decisions"] if words in d["text"]]

    def holy(self, tribe, memory_id):
        answer = tribe.post(MEMORIES, {"id": memory_id, "content": f"The {memory_id} one.", "sacred": True})
        self.assertEqual(answer.status, 201, answer)

    def test_two_change_the_constants(self):
        tribe = self.tribe()
        tribe.remember("An ordinary one.")
        one = self.govern(tribe, "c1", "constants", ["war_chief"], constants={"base": 45})
        self.assertEqual((one.status, problem(one)), (403, "refused"), one)
        self.assertIn("two of the three", one.json()["detail"])
        self.assertEqual(self.state(tribe, "c1"), "refused")
        self.assertEqual(len(self.decided(tribe, "is refused")), 1)
        # one key twice, and under another name, is one
        payload = self.payload(tribe, "c2", "constants", constants={"base": 45})
        twice = self.envelope(payload, "war_chief", "war_chief")
        twice["signatures"][1]["keyid"] = "peace_chief"
        self.assertEqual(tribe.post(GOVERNANCE, twice).status, 403)
        answer = self.govern(tribe, "c1", "constants", ["war_chief", "medicine_woman", "stranger"], constants={"base": 45})
        self.assertEqual(answer.status, 202, answer)
        self.assertEqual(answer.json()["signers"], ["war_chief", "medicine_woman"])
        self.wait_state(tribe, "c1", "done")
        act = tribe.get(GOVERNANCE + "/c1").json()
        self.assertEqual((act["before"]["base"], tribe.get(GOVERNANCE).json()["constants"]["base"]), (40.0, 45.0))
        self.assertEqual(json.loads(act["envelope"])["payloadType"], TYPE)
        self.assertGreater(tribe.get("/api/v1/thermal").json()["average_temperature"], 44)
        answer = tribe.post(MEMORIES, {"content": "After it."}).json()
        self.assertAlmostEqual(answer["memories"][0]["temperature"], 45.0, 3)
        # whoever takes over has them too
        old = tribe.pids()["memory"]
        os.kill(old, signal.SIGKILL)
        tribe.wait_new("memory", old)
        answer = tribe.post(MEMORIES, {"content": "After that."}).json()
        self.assertAlmostEqual(answer["memories"][0]["temperature"], 45.0, 3)
        self.assertEqual(tribe.get(GOVERNANCE).json()["constants"]["base"], 45.0)

    def test_three_delete_and_unsacre(self):
        tribe = self.tribe()
        self.holy(tribe, "one")
        self.holy(tribe, "two")
        for method, body in (("DELETE", None), ("PATCH", {"sacred": False})):
            answer = tribe.http(method, f"{MEMORIES}/one", body)
            self.assertEqual((answer.status, problem(answer)), (403, "sacred"), answer)
        self.assertEqual(self.govern(tribe, "d0", "delete", SEATS[:2], memory="one").status, 403)
        self.assertEqual(self.govern(tribe, "d1", "delete", SEATS, memory="one").status, 202)
        self.assertEqual(self.govern(tribe, "u1", "unsacre", SEATS, memory="two").status, 202)
        self.wait_state(tribe, "d1", "done")
        self.wait_state(tribe, "u1", "done")
        self.assertEqual(tribe.get(f"{MEMORIES}/one").status, 404)
        self.assertFalse(tribe.get(f"{MEMORIES}/two").json()["sacred"])
        plain, = tribe.remember("An ordinary one.")
        self.assertEqual(self.govern(tribe, "s1", "designate", SEATS, memory=plain).status, 202)
        self.wait_state(tribe, "s1", "done")
        self.assertTrue(tribe.get(f"{MEMORIES}/{plain}").json()["sacred"])
        self.assertEqual(len(self.decided(tribe, "is carried out")), 3)

    def test_once_ever(self):
        tribe = self.tribe()
        payload = self.payload(tribe, "r", "constants", constants={"k": 11})
        self.assertEqual(tribe.post(GOVERNANCE, self.envelope(payload, *SEATS)).status, 202)
        self.wait_state(tribe, "r", "done")
        again = tribe.post(GOVERNANCE, self.envelope(payload, *SEATS))
        self.assertEqual((again.status, again.json()["state"]), (200, "done"), again)
        other = self.govern(tribe, "r", "constants", SEATS, constants={"k": 12})
        self.assertEqual((other.status, problem(other)), (409, "conflict"), other)
        self.assertEqual(len(self.decided(tribe, "is carried out")), 1)
        self.assertEqual(tribe.get(GOVERNANCE).json()["constants"]["k"], 11.0)

    def test_hostile(self):
        tribe = self.tribe()
        self.holy(tribe, "one")
        good = self.payload(tribe, "h", "delete", memory="one")
        sealed = self.envelope(good, *SEATS)
        cases = (
            ({**sealed, "payload": b64(good.replace(b'"one"', b'"two"'))}, 403),
            ({**sealed, "payloadType": "application/json"}, 422),
            ({**sealed, "signatures": []}, 403),
            ({**sealed, "signatures": [{"sig": s["sig"][:-4]} for s in sealed["signatures"]]}, 422),
            ({**sealed, "payload": sealed["payload"] + "\n"}, 422),
            (self.envelope(good, "stranger", "other"), 403),
            ({**sealed, "signatures": sealed["signatures"] * 6}, 413),
            (self.envelope(json.dumps({"act": "delete", "memory": "one", "reason": "r"}).encode(), *SEATS), 422),
            (self.envelope(self.payload(tribe, "x", "delete", memory="one", more=1), *SEATS), 422),
            (self.envelope(self.payload(tribe, "x", "eat", memory="one"), *SEATS), 422),
            (self.envelope(b"[]", *SEATS), 422),
            (self.envelope(b"{", *SEATS), 400),
            ({"act": "delete", "memory": "one", "confirm": "one", "reason": "an admin's word"}, 403),
        )
        for body, status in cases:
            with self.subTest(body=str(body)[:200]):
                self.assertEqual(tribe.post(GOVERNANCE, body).status, status, tribe.post(GOVERNANCE, body))
        for change, why in (({"archive": "0" * 14}, "another archive"), ({"expires": "2020-01-01T00:00:00Z"}, "expired"),
                            ({"expires": in_days(400)}, "366 days")):
            answer = self.govern(tribe, "w" + why[:3].strip(), "delete", SEATS, memory="one", **change)
            self.assertEqual(answer.status, 403, answer)
            self.assertIn(why, answer.json()["detail"])
        self.assertEqual(tribe.get(f"{MEMORIES}/one").status, 200)
        self.assertEqual({act["state"] for act in tribe.get(GOVERNANCE).json()["acts"]}, {"refused"})

    def test_an_objection(self):
        tribe = self.tribe(3600)
        self.holy(tribe, "one")
        answer = self.govern(tribe, "a", "delete", SEATS, memory="one")
        self.assertEqual((answer.status, answer.json()["state"]), (202, "pending"))
        path = f"{GOVERNANCE}/a/objections"
        wrong = self.envelope(self.payload(tribe, "o0", "object", objects_to="b"), "peace_chief")
        self.assertEqual(tribe.post(path, wrong).status, 422)
        self.assertEqual(tribe.post(path, self.envelope(self.payload(tribe, "d9", "delete", memory="one"), *SEATS)).status, 422)
        stranger = self.envelope(self.payload(tribe, "o1", "object", objects_to="a"), "stranger")
        self.assertEqual(tribe.post(path, stranger).status, 403)
        self.assertEqual(self.state(tribe, "a"), "pending")
        answer = tribe.post(path, self.envelope(self.payload(tribe, "o2", "object", objects_to="a"), "peace_chief"))
        self.assertEqual(answer.status, 201, answer)
        act = answer.json()
        self.assertEqual((act["state"], act["objections"][0]["by"], act["objections"][0]["reason"]), ("stopped", "peace_chief", "why o2"))
        self.assertEqual([d["by"] for d in self.decided(tribe, "is stopped")], ["peace_chief"])
        answer = tribe.post(path, self.envelope(self.payload(tribe, "o3", "object", objects_to="a"), "war_chief"))
        self.assertEqual((answer.status, problem(answer)), (409, "conflict"))
        self.assertTrue(tribe.get(f"{MEMORIES}/one").json()["sacred"])
        self.assertEqual(tribe.get(f"{GOVERNANCE}/none").status, 404)

    def test_killed_between_acceptance_and_effect(self):
        """The lead is killed while the act is pending and around the moment that it is due: it happens, once."""
        for understudies in (0, 1):
            with self.subTest(understudies=understudies):
                tribe = self.tribe(2, f"understudies=memory={understudies},executive=1")
                self.holy(tribe, "one")
                self.assertEqual(self.govern(tribe, "k", "delete", SEATS, memory="one").status, 202)
                self.assertEqual(self.govern(tribe, "l", "constants", SEATS, constants={"half_life_ms": 86400000}).status, 202)
                kills = 0
                while kills < 8 and self.state(tribe, "l") == "pending":
                    old = tribe.pids()["memory"]
                    os.kill(old, signal.SIGKILL)
                    kills += 1
                    tribe.wait_new("memory", old)
                self.assertGreater(kills, 2)
                self.wait_state(tribe, "k", "done")
                self.wait_state(tribe, "l", "done")
                self.assertEqual(tribe.get(f"{MEMORIES}/one").status, 404)
                self.assertEqual(len(self.decided(tribe, "The act k, ")), 2)
                self.assertEqual(len(self.decided(tribe, "The act l, ")), 2)
                self.assertEqual(tribe.get(GOVERNANCE).json()["constants"]["half_life_ms"], 86400000.0)

    def test_everything_killed_meanwhile(self):
        tribe = self.tribe(3)
        self.holy(tribe, "one")
        due = self.govern(tribe, "k", "unsacre", SEATS, memory="one").json()["due_at"]
        tribe.kill()
        tribe.wait_gone()
        wait_for(lambda: datetime.datetime.now(datetime.timezone.utc) > datetime.datetime.fromisoformat(due[:-1] + "+00:00"), "the act is due")
        tribe.start()
        self.wait_state(tribe, "k", "done")
        self.assertFalse(tribe.get(f"{MEMORIES}/one").json()["sacred"])
        self.assertEqual(len(self.decided(tribe, "The act k, ")), 2)

    def test_by_tribectl(self):
        tribe = self.tribe()
        self.holy(tribe, "one")
        path = os.path.join(self.keys.place, "act.json")
        made = tribe.ctl("sign", "--key", self.keys.path["war_chief"], "--reason", "a mistake", "--id", "t1", "--out", path, "delete", "one")
        self.assertEqual(made.returncode, 0, made)
        self.assertIn('"memory":"one"', made.stderr)  # whoever signs has seen it
        with open(self.keys.path["peace_chief"], "rb") as f:
            encrypted = openssl("pkey", "-aes256", "-passout", "pass:x", stdin=f.read())
        with open(self.keys.path["peace_chief"], encoding="ascii") as f:
            self.assertEqual(tribe.ctl("sign", "--key", "-", path, stdin=f.read()).returncode, 0)
        refused = tribe.ctl("governance", "submit", path)
        self.assertEqual(refused.returncode, REFUSED, refused)
        self.assertIn("all three keys", refused.stdout)
        self.assertEqual(tribe.ctl("sign", "--key", self.keys.path["medicine_woman"], path).returncode, 0)
        done = tribe.ctl("governance", "submit", path)
        self.assertEqual((done.returncode, done.stdout.split()[0]), (0, "pending"), done)
        self.wait_state(tribe, "t1", "done")
        self.assertIn("done", tribe.ctl("governance").stdout)
        self.assertIn("a mistake", tribe.ctl("governance", "show", "t1").stdout)
        shown = json.loads(tribe.ctl("governance", "show", "t1", "--json").stdout)
        self.assertEqual(shown["acts"][0]["signers"], list(SEATS))
        for words in (["governance", "eat"], ["governance", "submit"], ["sign", "--key", path], ["sign", "--key", path, "delete"],
                      ["sign", "--key", path, "constants", "base=x"], ["governance", "object"]):
            self.assertEqual(tribe.ctl(*words).returncode, USAGE, words)
        self.assertEqual(tribe.ctl("sign", "--key", path, path).returncode, 1)  # no key
        self.assertTrue(encrypted.startswith(b"-----BEGIN ENCRYPTED"))

    def test_others_tools_agree(self):
        """What tribectl signs, openssl and node verify; what node signs, the tribe takes."""
        tribe = self.tribe()
        path = os.path.join(self.keys.place, "agree.json")
        self.assertEqual(tribe.ctl("sign", "--key", self.keys.path["war_chief"], "--reason", "r", "--id", "n1", "--out", path,
                                   "constants", "base=43.5").returncode, 0)
        with open(path, encoding="utf-8") as f:
            sealed = json.load(f)
        payload = base64.b64decode(sealed["payload"], validate=True)
        with tempfile.NamedTemporaryFile(dir=self.keys.place) as pae, tempfile.NamedTemporaryFile(dir=self.keys.place) as sig, \
                tempfile.NamedTemporaryFile(dir=self.keys.place) as public:
            pae.write(b"DSSEv1 %d %s %d %s" % (len(TYPE), TYPE.encode(), len(payload), payload))
            sig.write(base64.b64decode(sealed["signatures"][0]["sig"], validate=True))
            public.write(openssl("pkey", "-in", self.keys.path["war_chief"], "-pubout"))
            for f in (pae, sig, public):
                f.flush()
            said = openssl("pkeyutl", "-verify", "-rawin", "-pubin", "-inkey", public.name, "-sigfile", sig.name, "-in", pae.name)
            self.assertIn(b"Signature Verified Successfully", said)
        node = shutil.which("node")
        if node is None:
            self.skipTest("no node here")
        script = """
const fs = require('fs'), crypto = require('crypto'), [file, mine, theirs] = process.argv.slice(1);
const e = JSON.parse(fs.readFileSync(file)), body = Buffer.from(e.payload, 'base64');
const pae = Buffer.concat([Buffer.from(`DSSEv1 ${e.payloadType.length} ${e.payloadType} ${body.length} `), body]);
const war = crypto.createPublicKey(fs.readFileSync(theirs));
if (!crypto.verify(null, pae, war, Buffer.from(e.signatures[0].sig, 'base64'))) throw new Error('not verified');
e.signatures.push({sig: crypto.sign(null, pae, crypto.createPrivateKey(fs.readFileSync(mine))).toString('base64')});
fs.writeFileSync(file, JSON.stringify(e));
"""
        subprocess.run([node, "-e", script, path, self.keys.path["peace_chief"], self.keys.path["war_chief"]], check=True, timeout=60)
        self.assertEqual(tribe.ctl("governance", "submit", path).returncode, 0)
        self.wait_state(tribe, "n1", "done")
        self.assertEqual(tribe.get(GOVERNANCE).json()["constants"]["base"], 43.5)


class Keyless(unittest.TestCase):
    def test_an_admin(self):
        with Tribe("governance.delay_s=3600") as tribe:
            tribe.post(MEMORIES, {"id": "one", "content": "The holy one.", "sacred": True})
            what = {"act": "delete", "memory": "one", "reason": "no use any more"}
            answer = tribe.post(GOVERNANCE, what)
            self.assertEqual((answer.status, problem(answer)), (422, "invalid"), answer)
            self.assertIn('"confirm"', answer.json()["detail"])
            self.assertEqual(tribe.post(GOVERNANCE, {**what, "confirm": "two"}).status, 422)
            self.assertEqual(tribe.post(GOVERNANCE, {**what, "confirm": "one", "by": "somebody"}).status, 422)
            answer = tribe.post(GOVERNANCE, {**what, "confirm": "one"})
            self.assertEqual((answer.status, answer.json()["signers"]), (202, ["loopback"]), answer)
            act = answer.json()["id"]
            self.assertEqual(tribe.post(f"{GOVERNANCE}/{act}/objections", {"reason": "r", "act": "delete"}).status, 422)
            answer = tribe.post(f"{GOVERNANCE}/{act}/objections", {"reason": "it is of use"})
            self.assertEqual((answer.status, answer.json()["state"]), (201, "stopped"), answer)
            archive = tribe.get(GOVERNANCE).json()["archive"]
            no = tribe.ctl("governance", "submit", "constants", "k=9", "--reason", "calmer", "--confirm", "x")
            self.assertEqual(no.returncode, USAGE, no)
            yes = tribe.ctl("governance", "submit", "constants", "k=9", "--reason", "calmer", "--confirm", archive, "--id", "calm")
            self.assertEqual(yes.returncode, 0, yes)
            self.assertEqual(tribe.ctl("governance", "object", "calm", "--reason", "not yet").returncode, 0)
            self.assertEqual(tribe.get(f"{GOVERNANCE}/calm").json()["state"], "stopped")
            self.assertEqual(tribe.get(f"{MEMORIES}/one").status, 200)

    def test_an_admins_act_takes_effect(self):
        with Tribe("governance.delay_s=1") as tribe:
            tribe.post(MEMORIES, {"id": "one", "content": "The holy one.", "sacred": True})
            answer = tribe.post(GOVERNANCE, {"act": "delete", "memory": "one", "reason": "r", "confirm": "one"})
            self.assertEqual((answer.status, answer.json()["state"]), (202, "pending"), answer)
            wait_for(lambda: tribe.get(f"{MEMORIES}/one").status == 404, "the memory is gone")

    def test_so_many_sacred_ones_a_day(self):
        """Who is no admin has a quota, and only an admin goes on."""
        with Tribe("governance.sacred_quota=2") as tribe:
            tokens = {}
            for name, scope in (("root", "admin"), ("pen", "write")):
                made = tribe.ctl("token", "create", "--name", name, "--scope", scope, "--json")
                self.assertEqual(made.returncode, 0, made)
                tokens[name] = {"Authorization": "Bearer " + json.loads(made.stdout)["token"]}
            wait_for(lambda: tribe.get("/api/v1/thermal", headers=tokens["pen"]).status == 200, "the tokens are known")

            def sacred(who, n, source="a"):
                return tribe.post(MEMORIES, {"content": f"Holy {n}.", "source": source, "sacred": True}, headers=tokens[who])
            self.assertEqual([sacred("pen", n).status for n in range(2)], [201, 201])
            answer = sacred("pen", 2)
            self.assertEqual((answer.status, problem(answer)), (403, "quota"), answer)
            self.assertEqual(sacred("pen", 1).status, 200)  # it is sacred already
            self.assertEqual(sacred("pen", 2, "b").status, 403)  # another source's name is no way round
            self.assertEqual(sacred("root", 2).status, 201)
            plain = tribe.post(MEMORIES, {"content": "Plain.", "source": "a"}, headers=tokens["pen"]).json()["memories"][0]["id"]
            for who, status in (("pen", 403), ("root", 200)):
                answer = tribe.http("PATCH", f"{MEMORIES}/{plain}", {"sacred": True}, headers=tokens[who])
                self.assertEqual(answer.status, status, answer)
            self.assertEqual(tribe.get("/api/v1/thermal", headers=tokens["root"]).json()["sacred_count"], 4)

    def test_keys_that_are_wrong(self):
        keys = Keys()
        self.addCleanup(keys.close)
        public = [keys.public(name) for name in SEATS]
        for settings, says in (
                ([f"governance.war_chief={public[0]}"], "together"),
                ([f"governance.{seat}={public[0]}" for seat in SEATS], "same key"),
                ([f"governance.{seat}={key}" for seat, key in zip(SEATS, public[:2] + ["bm8ga2V5"])], "Ed25519"),
        ):
            tribe = Tribe(*settings, start=False)
            try:
                checked = subprocess.run(tribe.command("--check"), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60, check=False)
                self.assertEqual(checked.returncode, 2, checked)
                self.assertIn(says, checked.stdout.decode())
            finally:
                tribe.close()


if __name__ == "__main__":
    main()
