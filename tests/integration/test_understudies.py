"""Understudies: who leads is whoever took the mutex; tribed follows, replaces, counts. Jrs are fakes that take the real mutex of the real page."""
import os
import signal
import sys
import threading
import time
import unittest

import msgpack

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "kit"))
from stage import Staged
from tribe import API_NAMES, ROLES, RpcError, alive, main, wait_for

RESPAWN_MS = 10  # supervisor/core/succession.h
WORDS = {"down", "starting", "up", "stopping", "killing", "backoff", "failed"}


def state_of(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as f:
        return f.read().rsplit(") ", 1)[1][0]


class UnderstudyCase(unittest.TestCase):
    def staged(self, *settings, modes=(), start=True, plain=True):
        tribe = Staged(*settings, fakes=ROLES, start=False, plain=plain)
        self.addCleanup(tribe.close)
        for role, how in modes:
            tribe.mode(role, how)
        return tribe.start() if start else tribe

    def kinds(self, tribe, pid):
        return [e["kind"] for e in tribe.events() if e.get("pid") == pid]

    def stop_tribed(self, tribe):
        tribe.process.send_signal(signal.SIGSTOP)
        wait_for(lambda: state_of(tribe.process.pid) == "T", "tribed is stopped")

    def epoch_on_page(self, tribe, pid):
        """What the page of the role says, read from the memory of one of its processes."""
        with open(f"/proc/{pid}/maps", encoding="ascii") as f:
            start = next(int(line.split("-")[0], 16) for line in f if "/memfd:lead" in line)
        with open(f"/proc/{pid}/mem", "rb") as f:
            f.seek(start + 48)
            return int.from_bytes(f.read(8), "little")

    def order(self, tribe, method, role):
        return tribe.call("control.sock", method, {"jr": role})


class Takeover(UnderstudyCase):
    def test_a_death_is_covered(self):
        tribe = self.staged("understudies=memory=1")
        first = tribe.wait_covered("memory")
        second, = first["understudies"]
        self.assertEqual((first["generation"], first["epoch"], second["generation"]), (1, 1, 2))
        self.assertEqual(self.kinds(tribe, second["pid"]), ["spawn", "waits"])
        os.kill(first["pid"], signal.SIGKILL)
        wait_for(lambda: tribe.jr("memory")["pid"] == second["pid"] and tribe.wait_covered("memory"), "it leads, and is covered again")
        now = tribe.jr("memory")
        self.assertEqual((now["generation"], now["epoch"], now["understudies"][0]["generation"]), (2, 2, 3))
        self.assertEqual((tribe.reasons("memory"), tribe.recoveries("memory"), tribe.detections("memory")), ({"signal": 1},) * 3)
        self.assertEqual(now["last_exit"], "signal 9 (Killed)")
        self.assertEqual(self.kinds(tribe, second["pid"]), ["spawn", "waits", "promote", "ready"])
        by = {r["cause"]: r for r in now["recoveries"]}
        self.assertLess(by["signal"]["sum_s"], 0.5)
        self.assertEqual(sum(b["count"] for b in by["signal"]["buckets"]), 1)

    def test_an_understudy_s_death_is_no_recovery(self):
        tribe = self.staged("understudies=meta=2")
        lead = tribe.wait_covered("meta", 2)
        for victim in lead["understudies"]:
            os.kill(victim["pid"], signal.SIGKILL)
        wait_for(lambda: tribe.reasons("meta") == {"signal": 2} and tribe.wait_covered("meta", 2), "both are replaced")
        now = tribe.jr("meta")
        self.assertEqual((now["pid"], now["epoch"], now["recoveries"]), (lead["pid"], 1, []))
        self.assertEqual(tribe.detections("meta"), {"signal": 2})

    def test_both_at_once_and_all_eight(self):
        tribe = self.staged("understudies=memory=1,integration=1,meta=1,executive=1")
        old = {role: tribe.wait_covered(role) for role in ROLES}
        pids = [jr["pid"] for jr in old.values()] + [u["pid"] for jr in old.values() for u in jr["understudies"]]
        self.assertEqual(len(set(pids)), 8)
        self.stop_tribed(tribe)
        try:
            for pid in pids:
                os.kill(pid, signal.SIGKILL)
            wait_for(lambda: not any(alive(pid) for pid in pids), "all eight are dead, none is reaped")
        finally:
            tribe.process.send_signal(signal.SIGCONT)
        for role in ROLES:
            wait_for(lambda role=role: tribe.jr(role)["epoch"] > old[role]["epoch"] and tribe.wait_covered(role), f"{role} is back")
            self.assertEqual(tribe.reasons(role), {"signal": 2})
        with open(f"/proc/{tribe.process.pid}/task/{tribe.process.pid}/children", encoding="ascii") as f:
            self.assertEqual(len(f.read().split()), 8, "no zombies")

    def test_a_stopped_tribed_does_not_matter(self):
        tribe = self.staged("understudies=memory=1")
        old = tribe.wait_covered("memory")
        second = old["understudies"][0]["pid"]
        self.stop_tribed(tribe)
        try:
            os.kill(old["pid"], signal.SIGKILL)
            wait_for(lambda: self.epoch_on_page(tribe, second) == 2, "it has taken the mutex")
        finally:
            tribe.process.send_signal(signal.SIGCONT)
        wait_for(lambda: tribe.jr("memory")["pid"] == second and tribe.wait_covered("memory"), "tribed has read of it")
        self.assertEqual(tribe.recoveries("memory"), {"signal": 1})
        self.assertEqual(self.kinds(tribe, second), ["spawn", "waits", "promote", "ready"])

    def test_two_takeovers_behind_a_stopped_tribed(self):
        tribe = self.staged("understudies=memory=2")
        old = tribe.wait_covered("memory", 2)
        behind = [u["pid"] for u in old["understudies"]]
        self.stop_tribed(tribe)
        try:
            os.kill(old["pid"], signal.SIGKILL)
            wait_for(lambda: self.epoch_on_page(tribe, behind[0]) == 2, "one has taken over")
            with open(f"/proc/{behind[0]}/maps", encoding="ascii") as f:
                start = next(int(line.split("-")[0], 16) for line in f if "/memfd:lead" in line)
            with open(f"/proc/{behind[0]}/mem", "rb") as f:
                f.seek(start + 56)
                holder = int.from_bytes(f.read(4), "little")
            os.kill(holder, signal.SIGKILL)
            left = next(pid for pid in behind if pid != holder)
            wait_for(lambda: self.epoch_on_page(tribe, left) == 3, "the other one has")
        finally:
            tribe.process.send_signal(signal.SIGCONT)
        wait_for(lambda: tribe.jr("memory")["epoch"] == 3 and tribe.wait_covered("memory", 2), "both are replaced")
        self.assertEqual(tribe.jr("memory")["pid"], left)
        self.assertEqual((tribe.recoveries("memory"), tribe.reasons("memory")), ({"signal": 2}, {"signal": 2}))

    def test_a_stopped_lead_is_killed_first(self):
        tribe = self.staged("understudies=meta=1", "hang_after_ms=600000")
        old = tribe.wait_covered("meta")
        os.kill(old["pid"], signal.SIGSTOP)
        wait_for(lambda: tribe.jr("meta")["pid"] == old["understudies"][0]["pid"] and tribe.wait_covered("meta"), "it is replaced")
        self.assertEqual((tribe.reasons("meta"), tribe.recoveries("meta"), tribe.detections("meta")), ({"stopped": 1},) * 3)

    def test_a_hung_understudy_is_replaced_and_told_apart(self):
        tribe = self.staged("understudies=meta=1", "hang_after_ms=400")
        old = tribe.wait_covered("meta")
        for sig, seen in ((signal.SIGUSR1, {"spin": 1}), (signal.SIGUSR2, {"spin": 1, "block": 1})):
            victim = tribe.wait_covered("meta")["understudies"][0]["pid"]
            os.kill(victim, sig)
            wait_for(lambda v=victim: tribe.wait_covered("meta")["understudies"][0]["pid"] != v, "another one waits")
            self.assertEqual(tribe.detections("meta"), seen)
        self.assertEqual((tribe.jr("meta")["pid"], tribe.reasons("meta")), (old["pid"], {"hang": 2}))

    def test_a_crash_loop_behind_it_does_not_hurt_the_lead(self):
        tribe = self.staged("understudies=meta=1", modes=[("meta", "ok exit")])
        wait_for(lambda: tribe.understudies("meta", "backoff"), "the understudy crashes again and again")
        lead = tribe.jr("meta")
        self.assertEqual(lead["state"], "up")
        self.assertGreaterEqual(tribe.reasons("meta")["exit"], 2)
        os.kill(lead["pid"], signal.SIGKILL)  # its slot's budget is untouched: it starts at once, three times
        wait_for(lambda: tribe.jr("meta")["state"] in ("backoff", "failed"), "now both wait")
        self.assertEqual(len(tribe.understudies("meta")), 1)
        tribe.mode("meta", "ok")
        tribe.wait_covered("meta")

    def test_one_that_never_takes_the_mutex_is_not_called_up(self):
        tribe = self.staged("hang_after_ms=600000", modes=[("meta", "shy")], start=False)
        tribe.process = tribe.spawn()
        tribe.wait_control()
        wait_for(lambda: all(tribe.jr(role).get("heartbeat_age_ms") is not None for role in ROLES), "all beat")
        self.assertEqual(tribe.jr("meta")["state"], "starting")
        self.assertIs(tribe.status()["jrs_running"]["meta_jr"], False)
        self.assertEqual(sorted(b["jr"] for b in tribe.call("control.sock", "heartbeats")["heartbeats"]), sorted(API_NAMES.values()))


    def test_a_replacement_leaves_the_first_answers_the_cpu(self):
        tribe = self.staged("understudies=memory=1")
        for _ in range(3):
            old = tribe.wait_covered("memory")
            os.kill(old["pid"], signal.SIGKILL)
            with tribe.rpc() as rpc:  # a role that wants an understudy never looks as if it wanted none
                while True:
                    now = rpc.call("status")["jrs"]["memory_jr"]
                    if now["state"] == "up" and now["epoch"] > old["epoch"]:
                        self.assertEqual(len(now["understudies"]), 1, now)
                        if now["understudies"][0]["state"] == "waiting":
                            break
        mine = [e for e in tribe.events() if e.get("jr") == "memory_jr"]
        ready = [e["at"] for e in mine if e["kind"] == "ready"]
        spawn = [e["at"] for e in mine if e["kind"] == "spawn"]
        self.assertEqual((len(ready), len(spawn)), (4, 5))
        for i in range(1, 4):
            self.assertGreaterEqual(spawn[i + 1] - ready[i], RESPAWN_MS - 1, mine)  # two clocks, each cut to milliseconds


class Stuck(UnderstudyCase):
    """Nobody leads, and who could does not take the mutex."""

    def stuck(self, tribe, role):
        return [e for e in tribe.events() if e["kind"] == "hang" and e.get("jr") == API_NAMES[role]]

    def test_one_that_never_leads_is_replaced_until_one_does(self):
        tribe = self.staged("hang_after_ms=600", modes=[("meta", "shy")], start=False)
        tribe.process = tribe.spawn()
        tribe.wait_control()
        wait_for(lambda: tribe.detections("meta").get("stuck", 0) >= 2, "it is noticed")
        self.assertEqual(set(tribe.detections("meta")), {"stuck"})
        self.assertEqual(set(tribe.reasons("meta")), {"hang"})
        self.assertIn("does not take the lead", self.stuck(tribe, "meta")[0]["detail"])
        wait_for(lambda: tribe.jr("meta")["state"] == "backoff", "its time was no service: it is started again less often")
        tribe.mode("meta", "ok")
        wait_for(lambda: len(tribe.pids()) == len(ROLES), "all four serve")
        self.assertEqual([tribe.jr(role)["restarts"] for role in ROLES if role != "meta"], [0, 0, 0])

    def test_those_that_wait_are_ended_one_by_one(self):
        tribe = self.staged("understudies=memory=2", "hang_after_ms=600", modes=[("memory", "ok shy")])
        old = tribe.wait_covered("memory", 2)
        tribe.mode("memory", "ok")  # whoever comes next is of sound mind
        os.kill(old["pid"], signal.SIGKILL)
        wait_for(lambda: tribe.jr("memory")["epoch"] == 2 and tribe.wait_covered("memory", 2), "it is led and covered again")
        told = self.stuck(tribe, "memory")
        self.assertIn(len(told), (1, 2))  # a fresh one may lead before the second one's time is up
        for a, b in zip(told, told[1:]):
            self.assertGreaterEqual(b["at"] - a["at"], 595)
        self.assertTrue({e["pid"] for e in told} <= {u["pid"] for u in old["understudies"]})
        self.assertEqual(tribe.recoveries("memory"), {"signal": 1})

    def test_one_that_waits_behind_a_lead_is_left_alone(self):
        tribe = self.staged("understudies=memory=1", "hang_after_ms=600", modes=[("memory", "ok shy")])
        old = tribe.wait_covered("memory")
        beats = old["heartbeat_at"]
        wait_for(lambda: tribe.jr("memory")["heartbeat_at"] > beats + 2000, "it has waited for long")
        now = tribe.wait_covered("memory")
        self.assertEqual((now["pid"], now["understudies"][0]["pid"], now["restarts"]), (old["pid"], old["understudies"][0]["pid"], 0))


class Orders(UnderstudyCase):
    def test_restart_replaces_the_understudy_first_and_leaves_no_gap(self):
        tribe = self.staged("understudies=memory=1")
        old = tribe.wait_covered("memory")
        last = tribe.events()[-1]["seq"]
        self.assertEqual(self.order(tribe, "jr.restart", "memory"), {"state": "up"})
        new = tribe.wait_covered("memory")
        self.assertFalse({old["pid"], old["understudies"][0]["pid"]} & {new["pid"], new["understudies"][0]["pid"]})
        self.assertEqual((tribe.reasons("memory"), new["recoveries"], tribe.detections("memory")), ({"request": 2}, [], {}))
        mine = [(e["kind"], e["generation"]) for e in tribe.events() if e["seq"] > last and e.get("jr") == "memory_jr"]
        self.assertEqual(mine[:5], [("stop", 2), ("exit", 2), ("spawn", 3), ("waits", 3), ("stop", 1)])
        rest = mine[5:]
        rest.remove(("exit", 1))  # read before its successor's word or after
        self.assertEqual(rest, [("promote", 3), ("ready", 3), ("spawn", 4), ("waits", 4)])

    def test_a_restart_that_its_understudies_do_not_survive_keeps_the_lead(self):
        tribe = self.staged("understudies=memory=1")
        old = tribe.wait_covered("memory")
        tribe.mode("memory", "exit")
        with self.assertRaises(RpcError) as caught:
            self.order(tribe, "jr.restart", "memory")
        self.assertEqual(caught.exception.code, "unavailable")
        self.assertIn("exit 3", caught.exception.error["message"])
        self.assertEqual((tribe.jr("memory")["pid"], tribe.jr("memory")["state"]), (old["pid"], "up"))
        tribe.mode("memory", "ok")  # it goes on by itself
        wait_for(lambda: tribe.jr("memory")["pid"] != old["pid"] and tribe.wait_covered("memory"), "replaced after all")

    def test_stop_ends_the_understudies_first(self):
        tribe = self.staged("understudies=executive=2", "stop_timeout_ms=400", modes=[("executive", "ok slow")])
        old = tribe.wait_covered("executive", 2)
        self.assertEqual(self.order(tribe, "jr.stop", "executive"), {"state": "down"})
        ends = [e["generation"] for e in tribe.events() if e["kind"] == "exit" and e["jr"] == "executive_jr"]
        self.assertEqual((len(ends), ends[-1]), (3, old["generation"]))
        jr = tribe.jr("executive")
        self.assertEqual((jr["state"], jr["understudies"], jr["epoch"]), ("down", [], 1), "nobody took over")
        self.assertNotIn("pid", jr)
        self.assertEqual(self.order(tribe, "jr.start", "executive"), {"state": "up"})
        tribe.wait_covered("executive", 2)
        self.assertEqual(tribe.jr("executive")["recoveries"], [])

    def test_start_while_stopping(self):
        tribe = self.staged("understudies=meta=1", "stop_timeout_ms=400", modes=[("meta", "slow")])
        old = tribe.wait_covered("meta")
        stopped = []
        with tribe.rpc() as rpc:
            rpc.send([0, 1, "jr.stop", {"jr": "meta"}])
            wait_for(lambda: tribe.jr("meta")["state"] == "stopping", "it stops")
            stopped.append(self.order(tribe, "jr.start", "meta"))
            self.assertEqual(rpc.read()[2]["code"], "conflict")
        self.assertEqual(stopped, [{"state": "up"}])
        new = tribe.wait_covered("meta")
        self.assertFalse({old["pid"]} & {new["pid"], new["understudies"][0]["pid"]})

    def test_shutdown_with_all_of_them(self):
        tribe = self.staged("understudies=memory=1,integration=1,meta=1,executive=1")
        for role in ROLES:
            tribe.wait_covered(role)
        self.assertEqual(tribe.stop(), 0)
        self.assertEqual(tribe.processes(), {})
        ends = [line.split("jr=")[1].split()[0] for line in tribe.logs().splitlines() if "jr ended" in line]
        self.assertEqual(ends, [API_NAMES[role] for role in reversed(ROLES) for _ in range(2)])
        self.assertEqual(len([line for line in tribe.logs().splitlines() if "jr leads" in line]), 4, "no takeover on the way")

    def test_reload_changes_their_number(self):
        tribe = self.staged(plain=False)
        with open(os.path.join(tribe.dir, "tribe.yaml"), "w", encoding="ascii") as f:
            f.write("understudies: memory=2\n")
        self.assertEqual(tribe.call("control.sock", "reload"), {"changed": ["understudies"]})
        old = tribe.wait_covered("memory", 2)
        with open(os.path.join(tribe.dir, "tribe.yaml"), "w", encoding="ascii") as f:
            f.write("understudies: memory=1,meta=1\nlog.level: debug\n")
        self.assertEqual(sorted(tribe.call("control.sock", "reload")["changed"]), ["log.level", "understudies"])
        new = tribe.wait_covered("memory")
        tribe.wait_covered("meta")
        pids = {old["pid"]} | {u["pid"] for u in old["understudies"]}
        self.assertFalse(pids & ({new["pid"]} | {u["pid"] for u in new["understudies"]}))
        self.assertEqual(tribe.recoveries("memory"), {})
        wait_for(lambda: not any(alive(pid) for pid in pids), "the old ones are gone")

    def test_no_copy_may_knock(self):
        tribe = self.staged("understudies=meta=1", modes=[("meta", "ok knock")])
        tribe.wait_covered("meta")
        line, = wait_for(lambda: tribe.wrote("knocked-meta"), "the understudy has tried")
        self.assertNotIn("answered", line)


class Drills(UnderstudyCase):
    def inject(self, tribe, fault, role="memory"):
        with tribe.rpc() as rpc:
            hit = rpc.call("fault.inject", {"jr": role, "fault": fault})
            self.last = rpc.call("status")
        return hit

    def test_double(self):
        tribe = self.staged("understudies=memory=1")
        old = tribe.wait_covered("memory")
        second = old["understudies"][0]["pid"]
        hit = self.inject(tribe, "double")
        self.assertEqual((hit["pid"], hit["also"]), (old["pid"], second))
        wait_for(lambda: tribe.jr("memory")["epoch"] >= 2 and tribe.wait_covered("memory"), "back")
        self.assertEqual((tribe.reasons("memory"), tribe.recoveries("memory")), ({"drill": 2}, {"drill": 1}))
        with self.assertRaises(RpcError) as caught:
            tribe.call("control.sock", "fault.inject", {"jr": "meta", "fault": "double"})
        self.assertEqual(caught.exception.code, "unavailable")
        self.assertEqual(tribe.jr("meta")["restarts"], 0)

    def test_during_recovery_with_an_understudy(self):
        tribe = self.staged("understudies=memory=1")
        old = tribe.wait_covered("memory")
        with tribe.rpc() as rpc:
            self.assertEqual(rpc.call("fault.inject", {"jr": "memory", "fault": "during-recovery"})["pid"], old["pid"])
            wait_for(lambda: tribe.reasons("memory") == {"drill": 2} and tribe.wait_covered("memory"), "both were hit")
        self.assertEqual((tribe.jr("memory")["epoch"], tribe.recoveries("memory")), (3, {"drill": 2}))
        self.assertEqual(self.kinds(tribe, old["understudies"][0]["pid"]), ["spawn", "waits", "promote", "ready", "drill", "exit"])

    def test_during_recovery_without_one(self):
        tribe = self.staged()
        with tribe.rpc() as rpc:
            rpc.call("fault.inject", {"jr": "memory", "fault": "during-recovery"})
            wait_for(lambda: tribe.reasons("memory") == {"drill": 2} and tribe.jr("memory")["state"] == "up", "both were hit")
        self.assertIn(tribe.recoveries("memory"), ({"drill": 1}, {"drill": 2}))  # the second one may have led by the time of its death
        self.assertEqual([e["kind"] for e in tribe.events() if e.get("jr") == "memory_jr"].count("drill"), 2)

    def test_a_drill_that_left_hits_nobody(self):
        tribe = self.staged("understudies=memory=1", "hang_after_ms=600000", modes=[("memory", "ok shy")])
        tribe.wait_covered("memory")
        with tribe.rpc() as rpc:
            rpc.call("fault.inject", {"jr": "memory", "fault": "during-recovery"})
            wait_for(lambda: tribe.jr("memory")["state"] == "starting", "the lead is dead and nobody takes over")
        tribe.mode("memory", "ok")
        for copy in [tribe.jr("memory")] + tribe.understudies("memory"):
            if "pid" in copy:
                os.kill(copy["pid"], signal.SIGKILL)
        tribe.wait_covered("memory")
        self.assertEqual(tribe.reasons("memory")["drill"], 1)


class Noticed(UnderstudyCase):
    def test_one_that_answers_nothing(self):
        tribe = self.staged("understudies=meta=1", "request_timeout_ms=300", "hang_after_ms=300", modes=[("meta", "busy ok")])
        old = tribe.wait_covered("meta")
        wait_for(lambda: tribe.jr("meta")["pid"] == old["understudies"][0]["pid"] and tribe.wait_covered("meta"), "the mute one is replaced")
        self.assertEqual((tribe.reasons("meta"), tribe.recoveries("meta"), tribe.detections("meta")), ({"mute": 1},) * 3)
        self.assertIn("mute", self.kinds(tribe, old["pid"]))

    def test_a_real_one_that_is_half_open_may_use_the_time_that_it_was_given(self):
        tribe = Staged("drills=true", "understudies=meta=1", "heartbeat_ms=20", "hang_after_ms=200", "request_timeout_ms=300")
        self.addCleanup(tribe.close)
        old = tribe.wait_covered("meta")
        with tribe.rpc() as control, tribe.rpc("meta.sock") as patient:
            control.call("fault.inject", {"jr": "meta", "fault": "half-open"})
            began = time.monotonic()
            patient.send([0, 1, "meta.anomalies", {"deadline_ms": 2000}])
            wait_for(lambda: tribe.jr("meta")["pid"] == old["understudies"][0]["pid"], "it is noticed and replaced")
            self.assertGreater(time.monotonic() - began, 2.0 + 0.2 + 0.2 - 0.05, "not while its caller was content to wait")
        # slow: what a busy machine makes of anybody, and nobody is replaced for it
        self.assertEqual({k: n for k, n in tribe.detections("meta").items() if k != "slow"}, {"mute": 1})
        self.assertIn("mute", self.kinds(tribe, old["pid"]))
        self.assertEqual(tribe.call("meta.sock", "meta.anomalies")["analyses"], 0)

    def test_one_that_is_slow_is_told_once_and_lives(self):
        tribe = self.staged("hang_after_ms=1000", modes=[("meta", "lagging")])
        wait_for(lambda: tribe.detections("meta") == {"slow": 1}, "it is told")
        beats = tribe.jr("meta")["heartbeat_at"]
        wait_for(lambda: tribe.jr("meta")["heartbeat_at"] > beats + 500, "many more beats")
        self.assertEqual((tribe.detections("meta"), tribe.jr("meta")["restarts"]), ({"slow": 1}, 0))
        self.assertEqual([e["kind"] for e in tribe.events() if e.get("jr") == "meta_jr"].count("slow"), 1)

    def test_one_without_memory(self):
        tribe = self.staged(modes=[("meta", "ok nomem")])
        os.kill(tribe.pids()["meta"], signal.SIGKILL)
        wait_for(lambda: tribe.reasons("meta").get("oom", 0) >= 2, "its exit status says so")
        tribe.mode("meta", "ok")
        tribe.wait_state("meta", "up")

    def test_lies_are_dropped(self):
        tribe = self.staged(modes=[("meta", "liar ok")], start=False)
        tribe.process = tribe.spawn()
        wait_for(lambda: tribe.logs().count("hello dropped") == 4, "four false greetings")
        wait_for(lambda: tribe.logs().count("jr.lead dropped") == 2, "before its hello, and of an epoch that the page does not have")
        wait_for(lambda: len(tribe.pids()) == len(ROLES), "the truth is believed")
        self.assertEqual((tribe.jr("meta")["epoch"], tribe.jr("meta")["restarts"]), (1, 0))

    def test_a_flood_of_notes(self):
        tribe = self.staged("understudies=meta=1", modes=[("meta", "ok flood")])
        began = time.monotonic()
        wait_for(lambda: tribe.wrote("flooded-meta"), "10,000 notes were taken")
        with tribe.rpc() as rpc:
            for _ in range(50):
                self.assertEqual(rpc.call("status")["jrs"]["memory_jr"]["state"], "up")
        self.assertLess(time.monotonic() - began, 30)
        tribe.wait_covered("meta")
        self.assertEqual([tribe.jr(role)["restarts"] for role in ROLES], [0, 0, 0, 0])


class Counts(UnderstudyCase):
    """Right at every instant, while processes die all the time."""

    def check(self, status, most):
        running = status["jrs_running"]
        for role in ROLES:
            jr = status["jrs"][API_NAMES[role]]
            waiting = jr["understudies"]
            self.assertIn(jr["state"], WORDS)
            self.assertEqual(running[API_NAMES[role]], jr["state"] == "up", jr)
            self.assertLessEqual(len(waiting), most[role])
            if jr["state"] == "up":
                self.assertEqual(len(waiting), most[role], jr)
            pids = [jr["pid"]] * ("pid" in jr) + [u["pid"] for u in waiting if "pid" in u]
            self.assertEqual(len(set(pids)), len(pids), jr)
            generations = [jr["generation"]] + [u["generation"] for u in waiting]
            self.assertEqual(len(set(generations)), len(generations), jr)
            self.assertEqual(jr["restarts"], sum(r["count"] for r in jr["restarts_by_reason"]))
            if jr["state"] == "up":
                self.assertIn("pid", jr)
        up = [running[API_NAMES[role]] for role in ROLES]
        self.assertEqual(status["status"] == "down", not (running["memory_jr"] and running["executive_jr"]))
        if status["status"] == "operational":
            self.assertTrue(all(up))

    def test_under_a_storm(self):
        most = {"memory": 1, "integration": 1, "meta": 0, "executive": 2}
        tribe = self.staged("understudies=memory=1,integration=1,executive=2")
        for role in ROLES:
            tribe.wait_covered(role, most[role])
        done, seen, counts = threading.Event(), [], {role: 0 for role in ROLES}

        def look():
            with tribe.rpc() as rpc:
                while not done.is_set():
                    seen.append(rpc.call("status"))
        watcher = threading.Thread(target=look)
        watcher.start()
        try:
            with tribe.rpc() as rpc:
                for i in range(160):
                    role = ROLES[i % 4]
                    try:
                        rpc.call("fault.inject", {"jr": role, "fault": "kill"})
                        counts[role] += 1
                    except RpcError as error:
                        self.assertEqual(error.code, "unavailable")
                    time.sleep(0.004)
        finally:
            done.set()
            watcher.join(60)
        self.assertGreater(len(seen), 100)
        for status in seen:
            self.check(status, most)
        for role in ROLES:
            tribe.wait_covered(role, most[role])
            deaths = sum(tribe.detections(role).values())
            self.assertEqual(tribe.jr(role)["restarts"], deaths, "each death was followed by a start")
            self.assertLessEqual(deaths, counts[role], "one signal, at most one death")
            self.assertEqual(set(tribe.reasons(role)), {"drill"})
        with open(f"/proc/{tribe.process.pid}/task/{tribe.process.pid}/children", encoding="ascii") as f:
            self.assertEqual(len(f.read().split()), 4 + sum(most.values()), "no zombies, nobody too many")

    def test_death_during_restart(self):
        tribe = self.staged("understudies=memory=1")
        for _ in range(10):
            old = tribe.wait_covered("memory")
            with tribe.rpc() as rpc:
                rpc.sock.sendall(msgpack.packb([0, 1, "jr.restart", {"jr": "memory"}]) +
                                 msgpack.packb([0, 2, "fault.inject", {"jr": "memory", "fault": "kill"}]))
                self.assertEqual(rpc.read()[3]["pid"], old["pid"])
                self.assertEqual(rpc.read()[1:], [1, None, {"state": "up"}])
            new = tribe.wait_covered("memory")
            self.assertGreater(new["generation"], old["generation"])
            self.assertNotEqual(new["pid"], old["pid"])

    def test_a_second_death_while_the_first_restarts(self):
        tribe = self.staged(modes=[("meta", "ok late"), ("integration", "ok late")])
        old = tribe.pids()
        os.kill(old["meta"], signal.SIGKILL)
        tribe.wait_state("meta", "starting")
        os.kill(old["integration"], signal.SIGKILL)
        tribe.wait_state("integration", "starting")
        self.assertEqual(sorted(tribe.pids()), ["executive", "memory"])
        self.assertEqual(tribe.status()["status"], "degraded")
        wait_for(lambda: len(tribe.pids()) == len(ROLES), "both come")
        self.assertEqual((tribe.reasons("meta"), tribe.reasons("integration")), ({"signal": 1}, {"signal": 1}))

    def test_a_hanging_restart_loop_can_be_stopped(self):
        tribe = self.staged("start_timeout_ms=3000", "understudies=meta=1", modes=[("meta", "ok mute")])
        os.kill(tribe.jr("meta")["pid"], signal.SIGKILL)
        wait_for(lambda: tribe.reasons("meta").get("start_timeout", 0) >= 2, "none of them says hello")
        began = time.monotonic()
        self.assertEqual(self.order(tribe, "jr.stop", "meta"), {"state": "down"})
        self.assertLess(time.monotonic() - began, 15)
        tribe.mode("meta", "ok")
        self.assertEqual(self.order(tribe, "jr.start", "meta"), {"state": "up"})
        lead = tribe.wait_covered("meta")
        tribe.mode("meta", "mute")
        for copy in [lead] + lead["understudies"]:
            os.kill(copy["pid"], signal.SIGKILL)
        tribe.wait_state("meta", "starting", "backoff", "killing")
        self.assertEqual(tribe.stop(), 0)


if __name__ == "__main__":
    main()
