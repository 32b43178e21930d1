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


if __name__ == "__main__":
    main()
