"""fault.inject and fault.heal: a drill that ends, or dies, leaves nothing stopped."""
import json
import os
import signal
import subprocess
import sys
import unittest

import msgpack

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "kit"))
from stage import Staged
from tribe import API_NAMES, ROLES, RpcError, Tribe, alive, main, wait_for

# A drill of its own: connects, says so, sends one hang for each role named when it is told to, reads the answers if it shall.
DRILL = r"""
import socket, sys
import msgpack
sock = socket.socket(socket.AF_UNIX)
sock.connect(sys.argv[1])
print("connected", flush=True)
sys.stdin.readline()
sock.sendall(b"".join(msgpack.packb([0, n, "fault.inject", {"jr": role, "fault": "hang"}]) for n, role in enumerate(sys.argv[3:])))
if sys.argv[2] == "read":
    unpacker, got = msgpack.Unpacker(), []
    while len(got) < len(sys.argv[3:]):
        unpacker.feed(sock.recv(65536))
        got += list(unpacker)
    assert all(message[2] is None for message in got), got
print("sent", flush=True)
sys.stdin.readline()
"""


def state_of(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as f:
        return f.read().rsplit(") ", 1)[1][0]


class FaultCase(unittest.TestCase):
    def reasons(self, tribe, role):
        return {r["reason"]: r["count"] for r in tribe.status()["jrs"][API_NAMES[role]]["restarts_by_reason"]}

    def kinds(self, tribe, pid):
        return [e["kind"] for e in tribe.call("control.sock", "events")["events"] if e.get("pid") == pid]

    def at_once(self, tribe, *requests):
        """Several requests in one write, so that tribed sees nothing between them; their answers in order."""
        with tribe.rpc() as rpc:
            rpc.sock.sendall(b"".join(msgpack.packb([0, n, method, params]) for n, (method, params) in enumerate(requests)))
            answers = sorted(rpc.read() for _ in requests)
            self.assertEqual([answer[2] for answer in answers], [None] * len(requests))
            return [answer[3] for answer in answers]

    def drill(self, tribe, how, *roles):
        process = subprocess.Popen([sys.executable, "-c", DRILL, tribe.socket_path("control.sock"), how, *roles], stdin=subprocess.PIPE,
                                   stdout=subprocess.PIPE, text=True)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.stdin.close)
        self.addCleanup(process.wait, 60)
        self.addCleanup(process.kill)
        self.assertEqual(process.stdout.readline(), "connected\n")
        return process

    def go(self, process):
        process.stdin.write("\n")
        process.stdin.flush()
        self.assertEqual(process.stdout.readline(), "sent\n")


class Heal(FaultCase):
    def test_nothing_to_heal(self):
        with Tribe() as tribe:
            for params in ({}, {"jr": "meta"}, {"jr": "memory-jr"}):
                self.assertEqual(tribe.call("control.sock", "fault.heal", params), {"healed": []})
            with self.assertRaises(RpcError) as caught:
                tribe.call("control.sock", "fault.heal", {"jr": "chief"})
            self.assertEqual((caught.exception.code, caught.exception.error["field"]), ("invalid", "jr"))
            self.assertEqual([e for e in tribe.call("control.sock", "events")["events"] if e["kind"] == "heal"], [])

    def test_in_time_it_goes_on_as_if_nothing_had_been(self):
        with Tribe() as tribe:
            old = tribe.pids()["meta"]
            generation = tribe.status()["jrs"]["meta_jr"]["generation"]
            hit, healed = self.at_once(tribe, ("fault.inject", {"jr": "meta", "fault": "hang"}), ("fault.heal", {"jr": "meta"}))
            self.assertEqual((hit["pid"], hit["generation"]), (old, generation))
            self.assertEqual(healed, {"healed": [{"jr": "meta_jr", "fault": "hang", "pid": old, "generation": generation}]})
            self.assertEqual(tribe.call("meta.sock", "jr.ping")["pid"], old)
            self.assertEqual(tribe.call("control.sock", "fault.heal"), {"healed": []})
            self.assertEqual(self.kinds(tribe, old), ["spawn", "promote", "ready", "drill", "heal"])
            self.assertEqual(self.reasons(tribe, "meta"), {})
            # what kills it later is no drill
            os.kill(old, signal.SIGKILL)
            tribe.wait_new("meta", old)
            self.assertEqual(self.reasons(tribe, "meta"), {"signal": 1})

    def test_only_the_one_that_was_named(self):
        with Tribe() as tribe:
            old = tribe.pids()
            answers = self.at_once(tribe, ("fault.inject", {"jr": "meta", "fault": "hang"}),
                                   ("fault.inject", {"jr": "integration", "fault": "hang"}), ("fault.heal", {"jr": "integration"}))
            self.assertEqual([fault["jr"] for fault in answers[2]["healed"]], ["integration_jr"])
            # the connection has closed by now; if the other was not killed before, that has healed it
            wait_for(lambda: self.kinds(tribe, old["meta"])[-1] in ("heal", "exit"), "the other one has passed too")
            self.assertEqual(tribe.pids()["integration"], old["integration"])
            self.assertEqual(self.kinds(tribe, old["integration"])[-2:], ["drill", "heal"])

    def test_all(self):
        with Tribe() as tribe:
            old = tribe.pids()
            faults = [("fault.inject", {"jr": role, "fault": "hang"}) for role in ROLES]
            healed = self.at_once(tribe, *faults, ("fault.heal", {}))[-1]["healed"]
            self.assertEqual([(fault["jr"], fault["pid"]) for fault in healed], [(API_NAMES[role], old[role]) for role in ROLES])
            self.assertEqual(tribe.get("/readyz").status, 200)
            self.assertEqual(tribe.pids(), old)

    def test_too_late_there_is_nothing_left(self):
        with Tribe() as tribe:
            old = tribe.pids()["meta"]
            with tribe.rpc() as rpc:
                self.assertEqual(rpc.call("fault.inject", {"jr": "meta", "fault": "hang"})["pid"], old)
                tribe.wait_new("meta", old)
                self.assertEqual(rpc.call("fault.heal"), {"healed": []})
            self.assertFalse(alive(old))
            self.assertEqual(self.kinds(tribe, old)[-3:], ["drill", "stopped", "exit"])
            self.assertEqual(self.reasons(tribe, "meta"), {"drill": 1})

    def test_the_next_life_is_not_healed_of_it(self):
        with Tribe() as tribe, tribe.rpc() as rpc:
            old = tribe.pids()["meta"]
            rpc.call("fault.inject", {"jr": "meta", "fault": "hang"})
            new = tribe.wait_new("meta", old)
            # somebody else stops the new one; the request comes before tribed hears of that
            tribe.process.send_signal(signal.SIGSTOP)
            try:
                wait_for(lambda: state_of(tribe.process.pid) == "T", "tribed is stopped")
                os.kill(new, signal.SIGSTOP)
                wait_for(lambda: state_of(new) == "T", "meta-jr is stopped")
                rpc.send([0, 77, "fault.heal", {}])
            finally:
                tribe.process.send_signal(signal.SIGCONT)
            self.assertEqual(rpc.read()[1:], [77, None, {"healed": []}])
            tribe.wait_new("meta", new)
            self.assertEqual(self.reasons(tribe, "meta"), {"drill": 1, "stopped": 1})

    def test_a_kill_is_not_healed_and_ends_a_hang(self):
        with Tribe() as tribe:
            old = tribe.pids()["meta"]
            answers = self.at_once(tribe, ("fault.inject", {"jr": "meta", "fault": "hang"}), ("fault.inject", {"jr": "meta", "fault": "kill"}),
                                   ("fault.heal", {}))
            self.assertEqual(answers[2], {"healed": []})
            tribe.wait_new("meta", old)
            self.assertEqual(self.reasons(tribe, "meta"), {"drill": 1})


class Deserted(FaultCase):
    """The drill is killed -9."""

    def test_before_tribed_has_seen_the_stop(self):
        with Tribe() as tribe:
            old = tribe.pids()
            drill = self.drill(tribe, "blind", *ROLES)
            tribe.process.send_signal(signal.SIGSTOP)
            try:
                wait_for(lambda: state_of(tribe.process.pid) == "T", "tribed is stopped")
                self.go(drill)
                drill.kill()
                drill.wait(60)
            finally:
                tribe.process.send_signal(signal.SIGCONT)
            for role in ROLES:
                wait_for(lambda role=role: self.kinds(tribe, old[role])[-1] in ("heal", "exit"), f"{role} is healed")
                self.assertEqual(self.kinds(tribe, old[role])[-2:], ["drill", "heal"], role)
                self.assertNotIn(state_of(old[role]), "TZ", role)
                self.assertEqual(tribe.call(role + ".sock", "jr.ping")["pid"], old[role])
                self.assertEqual(self.reasons(tribe, role), {})
            self.assertEqual(tribe.pids(), old)
            self.assertEqual(tribe.get("/readyz").status, 200)

    def test_after_its_answer_nothing_stays_stopped(self):
        with Tribe() as tribe:
            old = tribe.pids()
            drill = self.drill(tribe, "read", "meta", "integration")
            self.go(drill)
            drill.kill()
            drill.wait(60)
            wait_for(lambda: all(self.kinds(tribe, old[role])[-1] in ("heal", "exit") for role in ("meta", "integration")), "it is over")
            wait_for(lambda: len(tribe.pids()) == len(ROLES), "all serve")
            for role, pid in tribe.pids().items():
                self.assertNotEqual(state_of(pid), "T", role)
                self.assertEqual(tribe.call(role + ".sock", "jr.ping")["pid"], pid)
                self.assertIn(self.reasons(tribe, role), ({}, {"drill": 1}))


class Callers(FaultCase):
    def test_a_jr_s_pid_is_refused(self):
        with Staged(fakes=("meta",)) as tribe:
            tribe.mode("meta", "knock")
            old = tribe.pids()["meta"]
            os.kill(old, signal.SIGKILL)
            tribe.wait_state("meta", "up")
            knocked = wait_for(lambda: tribe.wrote("knocked-meta"), "it has tried")
            self.assertEqual(json.loads(knocked[0]), {method: "closed" for method in ("fault.heal", "fault.inject", "config", "status")})
            self.assertEqual(len(tribe.pids()), len(ROLES), "and nobody was harmed")


class Inside(FaultCase):
    """Harms of a fault point inside a Jr."""

    def written(self, tribe, role):
        return [json.loads(line) for line in tribe.wrote("faults-" + role)]

    def refused(self, tribe, **params):
        with self.assertRaises(RpcError) as caught:
            tribe.call("control.sock", "fault.inject", params)
        return caught.exception.code, caught.exception.error.get("field")

    def test_only_with_drills(self):
        with Staged(fakes=ROLES) as tribe:
            for fault in ("spin", "block", "slow", "exit", "oom", "fd-exhaustion", "half-open", "garbage"):
                self.assertEqual(self.refused(tribe, jr="meta", fault=fault), ("refused", "fault"))
            self.assertEqual(self.refused(tribe, jr="meta", fault="supervisor-kill"), ("invalid", "fault"))
            self.assertEqual(self.refused(tribe, jr="meta", fault="flood"), ("invalid", "fault"))
            self.assertEqual([tribe.jr(role)["restarts"] for role in ROLES], [0, 0, 0, 0])

    def staged(self, *settings):
        tribe = Staged("drills=true", *settings, fakes=ROLES, start=False)
        tribe.mode("meta", "faults")
        return tribe

    def test_ends_by_exit_memory_and_spinning(self):
        with self.staged("hang_after_ms=400") as tribe:
            tribe.start()
            for fault, params, detected in (("exit", {"amount": 7}, {"exit": 1}), ("oom", {}, {"exit": 1, "oom": 1}),
                                            ("spin", {}, {"exit": 1, "oom": 1, "spin": 1})):
                old = tribe.pids()["meta"]
                hit = tribe.call("control.sock", "fault.inject", dict(params, jr="meta", fault=fault))
                self.assertEqual(hit["pid"], old)
                wait_for(lambda: tribe.pids().get("meta", old) != old, "another one leads")
                self.assertEqual(tribe.detections("meta"), detected)
            self.assertEqual(tribe.reasons("meta"), {"drill": 3})
            self.assertEqual(tribe.recoveries("meta"), {"drill": 3})
            self.assertEqual([w["params"].get("amount") for w in self.written(tribe, "meta")], [7, None, None])

    def test_one_that_lasts_is_healed_in_three_ways(self):
        with self.staged() as tribe:
            tribe.start()
            old = tribe.pids()["meta"]
            with tribe.rpc() as rpc:
                rpc.call("fault.inject", {"jr": "meta", "fault": "slow", "amount": 5})
                healed = rpc.call("fault.heal", {"jr": "meta"})["healed"]
                self.assertEqual([(f["jr"], f["fault"], f["pid"]) for f in healed], [("meta_jr", "slow", old)])
                rpc.call("fault.inject", {"jr": "meta", "fault": "half-open", "ms": 80})
                wait_for(lambda: len(self.written(tribe, "meta")) == 4, "its time is over")
                self.assertEqual(rpc.call("fault.heal"), {"healed": []})
                rpc.call("fault.inject", {"jr": "meta", "fault": "garbage"})
            wait_for(lambda: len(self.written(tribe, "meta")) == 6, "the drill has gone")
            written = self.written(tribe, "meta")
            self.assertEqual([w["params"].get("fault", "heal") for w in written], ["slow", "heal", "half-open", "heal", "garbage", "heal"])
            self.assertEqual(written[2]["params"]["ms"], 80)
            self.assertEqual({w["pid"] for w in written}, {old})
            self.assertEqual(tribe.pids()["meta"], old)
            os.kill(old, signal.SIGKILL)  # what ends it now is no drill
            wait_for(lambda: tribe.pids().get("meta", old) != old, "another one leads")
            self.assertEqual(tribe.reasons("meta"), {"signal": 1})


class Reports(FaultCase):
    def drill(self, n, **more):
        return dict({"id": f"drill-{n}", "started": 1764356400000 + n, "finished": 1764356400500 + n, "fault": "kill", "jrs": ["memory_jr"],
                     "seed": n, "valid": "true", "planned": 10, "injected": 10, "recovered": 10, "p50_ms": 0.4, "requests": 1000,
                     "refused": 0, "failed": 0, "lost": 0, "doubled": 0, "stale": 0}, **more)

    def test_kept_listed_counted_and_kept_over_a_restart(self):
        with Staged(fakes=ROLES) as tribe, tribe.rpc() as rpc:
            self.assertEqual(rpc.call("drills"), {"drills": []})
            self.assertEqual(rpc.call("status")["drills"], [])
            reports = [self.drill(n) for n in range(70)] + [self.drill(70, valid="false", reason="lost 1", lost=1), self.drill(71, valid="unknown")]
            for report in reports:
                self.assertEqual(rpc.call("drill.report", report), {})
            self.assertEqual(rpc.call("drills")["drills"], reports[:-65:-1])
            self.assertEqual(rpc.call("drills", {"limit": 2})["drills"], reports[:-3:-1])
            self.assertEqual(rpc.call("status")["drills"], [{"reason": word, "count": n} for word, n in (("true", 70), ("false", 1), ("unknown", 1))])
            for wrong, field in (({"valid": "maybe"}, "valid"), ({"jrs": ["chief"]}, "jrs"), ({"id": ""}, "id")):
                with self.assertRaises(RpcError) as caught:
                    rpc.call("drill.report", self.drill(99, **wrong))
                self.assertEqual((caught.exception.code, caught.exception.error["field"]), ("invalid", field))
            self.assertEqual(tribe.stop(), 0)
            tribe.start()
            self.assertEqual(tribe.call("control.sock", "drills")["drills"], reports[:-65:-1])
            self.assertEqual(tribe.status()["drills"], [], "counted since the start")

    def test_a_broken_file_is_put_aside(self):
        path = "drills.mp"
        with Staged(fakes=ROLES, start=False) as tribe:
            os.mkdir(tribe.state)
            whole = msgpack.packb([self.drill(1), self.drill(2)])
            for broken in (b"", b"\x81", whole[:-3], whole + b"\x00", b"\x80", msgpack.packb([{"id": "x"}]), b"\xdd\xff\xff\xff\xff",
                           msgpack.packb([self.drill(1, valid="maybe")])):
                with open(os.path.join(tribe.state, path), "wb") as f:
                    f.write(broken)
                tribe.start()
                self.assertTrue(os.path.exists(os.path.join(tribe.state, path + ".broken")), broken)
                self.assertFalse(os.path.exists(os.path.join(tribe.state, path)))
                os.unlink(os.path.join(tribe.state, path + ".broken"))
                self.assertLessEqual(len(tribe.call("control.sock", "drills")["drills"]), 2)
                tribe.call("control.sock", "drill.report", self.drill(3))
                self.assertEqual(tribe.call("control.sock", "drills")["drills"][0]["id"], "drill-3")
                self.assertEqual(tribe.stop(), 0)
            self.assertIn("put aside as drills.mp.broken", tribe.logs())
            with open(os.path.join(tribe.state, path), "wb") as f:
                f.write(whole)
            tribe.start()
            self.assertEqual([d["id"] for d in tribe.call("control.sock", "drills")["drills"]], ["drill-2", "drill-1"])


if __name__ == "__main__":
    main()
