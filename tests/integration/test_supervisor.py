"""The supervisor's own promises, with real Jrs and with fakes that misbehave on purpose."""
import ctypes
import fcntl
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "kit"))
from stage import Staged
from tribe import API_NAMES, ROLES, Load, Rpc, RpcError, Tribe, alive, main, wait_for

GROUP_ID, NOBODY = 54321, 65534


class Crashing(unittest.TestCase):
    def test_a_crash_loop_backs_off_and_heals_while_the_rest_goes_on(self):
        with Staged(fakes=("meta",)) as tribe:
            tribe.mode("meta", "exit")
            os.kill(tribe.pids()["meta"], signal.SIGKILL)
            wait_for(lambda: tribe.reasons("meta").get("exit", 0) >= 4, "it crashes again and again")
            jr = wait_for(lambda: tribe.jr("meta")["state"] == "backoff" and tribe.jr("meta"), "backoff")
            self.assertEqual(jr["last_exit"], "exit 3")
            self.assertGreater(jr["retry_in_ms"], 0)
            self.assertNotIn("pid", jr)
            self.assertEqual(tribe.status()["status"], "degraded")
            tribe_pids = tribe.pids()
            self.assertEqual(sorted(tribe_pids), ["executive", "integration", "memory"])
            with Rpc(tribe.socket_path("memory.sock")) as rpc:
                self.assertEqual(rpc.call("jr.ping")["jr"], "memory_jr")
            told = [e for e in tribe.events() if e["kind"] == "backoff"]
            self.assertTrue(told and told[-1]["jr"] == "meta_jr" and "next start in" in told[-1]["detail"])
            spawns = [e["at"] for e in tribe.events() if e["kind"] == "spawn" and e["jr"] == "meta_jr"]
            self.assertLess(len(spawns), 14, "a loop without a pause would have run thousands of times")
            tribe.mode("meta", "ok")
            tribe.wait_state("meta", "up")
            wait_for(lambda: tribe.status()["status"] == "operational", "operational again")
            self.assertEqual({r: p for r, p in tribe.pids().items() if r != "meta"}, tribe_pids)

    def test_a_start_on_request_does_not_wait_for_the_back_off(self):
        with Staged(fakes=ROLES) as tribe:
            tribe.mode("meta", "exit")
            os.kill(tribe.pids()["meta"], signal.SIGKILL)
            wait_for(lambda: tribe.jr("meta").get("retry_in_ms", 0) > 800, "a long back-off")
            tribe.mode("meta", "ok")
            self.assertEqual(tribe.call("control.sock", "jr.start", {"jr": "meta"})["state"], "up")

    def test_a_missing_program_is_said_and_found_again(self):
        with Staged(fakes=ROLES) as tribe:
            os.rename(os.path.join(tribe.stage, "meta-jr"), os.path.join(tribe.stage, "away"))
            os.kill(tribe.pids()["meta"], signal.SIGKILL)
            jr = tribe.wait_state("meta", "backoff")
            self.assertIn("not started: no such file", jr["last_exit"])
            wait_for(lambda: tribe.reasons("meta").get("start_failed", 0) >= 2, "counted by its cause")
            os.rename(os.path.join(tribe.stage, "away"), os.path.join(tribe.stage, "meta-jr"))
            tribe.wait_state("meta", "up")

    def test_who_says_no_hello_is_killed(self):
        with Staged("start_timeout_ms=300", fakes=ROLES) as tribe:
            tribe.mode("meta", "mute")
            os.kill(tribe.pids()["meta"], signal.SIGKILL)
            wait_for(lambda: tribe.reasons("meta").get("start_timeout", 0) >= 1, "late ones are counted")
            self.assertIn("late", [e["kind"] for e in tribe.events()])
            tribe.mode("meta", "ok")
            tribe.wait_state("meta", "up")


class Hopeless(unittest.TestCase):
    def detach(self, tribe):
        began = time.monotonic()
        done = subprocess.run(tribe.command("--detach"), stdin=subprocess.DEVNULL, capture_output=True, text=True, env=tribe.env,
                              timeout=120, check=False)
        tribe.wait_gone(30)
        self.assertEqual(done.returncode, 1, done)
        self.assertEqual(len(done.stderr.splitlines()), 1, done.stderr)
        return done.stderr.strip(), time.monotonic() - began

    def test_detach_does_not_wait_for_one_that_leaves_each_time(self):
        tribe = Tribe("start_timeout_ms=600000", start=False)
        self.addCleanup(tribe.close)
        os.makedirs(os.path.join(tribe.state, "archive", "current"))
        with open(os.path.join(tribe.state, "archive", "current", "thermal.sqlite"), "w", encoding="ascii") as f:
            f.write("no database\n" * 20)
        log = os.path.join(tribe.state, "tribed.log")
        said, took = self.detach(tribe)
        self.assertTrue(said.endswith(f"not every Jr came up: memory-jr leaves each time (exit 1); the reason is in {log}"), said)
        self.assertLess(took, 60, "the start timeout is ten minutes")
        with open(log, encoding="utf-8") as f:
            self.assertIn("the archive cannot be used: the archive is not a database", f.read())

    def test_one_that_is_only_late_is_waited_for(self):
        tribe = Staged("start_timeout_ms=4000", fakes=ROLES, start=False)
        self.addCleanup(tribe.close)
        tribe.mode("meta", "mute")
        said, took = self.detach(tribe)
        self.assertRegex(said, r"not every Jr came up in time: meta-jr did not \((starting|signal 9.*)\); the reason is in .*/tribed\.log$")
        self.assertGreaterEqual(took, 4)


class PidFile(unittest.TestCase):
    def test_it_goes_with_a_clean_end_only(self):
        with Tribe() as tribe:
            path = os.path.join(tribe.run, "tribed.pid")
            self.assertEqual(tribe.stop(), 0)
            self.assertFalse(os.path.exists(path))
            tribe.start()
            done = subprocess.run(tribe.command("--state", os.path.join(tribe.base, "state2")), capture_output=True, text=True,
                                  timeout=60, check=False, env=tribe.env)
            self.assertEqual(done.returncode, 1, done)
            self.assertIn("another tribed uses this runtime directory", done.stderr)
            with open(path, encoding="ascii") as f:
                self.assertEqual(int(f.read()), tribe.process.pid, "who was refused leaves it alone")
            tribe.kill()
            tribe.wait_gone()
            self.assertTrue(os.path.exists(path))
            tribe.start()
            with open(path, encoding="ascii") as f:
                self.assertEqual(int(f.read()), tribe.process.pid)


class Silent(unittest.TestCase):
    def check(self, sig, reason, kind, *settings):
        with Staged(*settings, fakes=ROLES) as tribe:
            old = tribe.pids()["meta"]
            os.kill(old, sig)
            wait_for(lambda: tribe.pids().get("meta", old) != old, "another one serves")
            self.assertFalse(alive(old))
            wait_for(lambda: tribe.jr("meta")["restarts"] == 1, "one restart")
            self.assertEqual(tribe.reasons("meta"), {reason: 1})
            mine = [e for e in tribe.events() if e.get("pid") == old]
            self.assertEqual([e["kind"] for e in mine], ["spawn", "promote", "ready", kind, "exit"])
            self.assertIn("cause: " + reason, mine[-1]["detail"])
            self.assertIn("signal 9", mine[-1]["detail"])
            self.assertEqual([tribe.jr(r)["restarts"] for r in ROLES if r != "meta"], [0, 0, 0])

    def test_one_that_blocks_is_hung(self):
        self.check(signal.SIGUSR2, "hang", "hang", "hang_after_ms=1000")

    def test_one_that_spins_is_hung(self):
        self.check(signal.SIGUSR1, "hang", "hang", "hang_after_ms=1000")

    def test_one_that_is_stopped_is_seen_at_once(self):
        self.check(signal.SIGSTOP, "stopped", "stopped", "hang_after_ms=600000")


class Deaths(unittest.TestCase):
    def test_four_at_once_behind_one_signal(self):
        with Tribe("understudies=") as tribe:
            memory_id, = tribe.remember("All four will come back.")
            old = tribe.pids()
            tribe.process.send_signal(signal.SIGSTOP)
            try:
                for pid in old.values():
                    os.kill(pid, signal.SIGKILL)
                wait_for(lambda: not any(alive(pid) for pid in old.values()), "all are dead, none is reaped")
            finally:
                tribe.process.send_signal(signal.SIGCONT)
            for role in ROLES:
                tribe.wait_new(role, old[role])
            for role in ROLES:
                jr = tribe.status()["jrs"][API_NAMES[role]]
                self.assertEqual({r["reason"]: r["count"] for r in jr["restarts_by_reason"]}, {"signal": 1}, role)
            wait_for(lambda: tribe.get("/readyz").status == 200, "ready")
            self.assertEqual(tribe.get(f"/api/v1/memories/{memory_id}").status, 200)
            with open(f"/proc/{tribe.process.pid}/task/{tribe.process.pid}/children", encoding="ascii") as f:
                self.assertEqual(len(f.read().split()), 4, "no zombies")

    def test_a_stopped_memory_does_not_outlive_tribed(self):
        with Tribe() as tribe:
            tribe.process.send_signal(signal.SIGSTOP)  # or it would see the stop
            os.kill(tribe.processes()["memory-jr"], signal.SIGSTOP)
            tribe.kill()
            wait_for(lambda: not tribe.processes(), "all have left, the stopped one too")

    def hold_the_lock(self, tribe):
        """kill -9 of tribed; its lock is then held as an orphan would that does not leave. Closing the file lets go."""
        tribe.kill()
        wait_for(lambda: not tribe.processes(), "its Jrs have left")
        lock = open(os.path.join(tribe.state, "lock"), "rb")
        self.addCleanup(lock.close)
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return lock

    def test_one_that_was_killed_a_moment_ago_is_no_other(self):
        with Tribe() as tribe:
            for _ in range(5):
                old = tribe.process
                old.kill()  # and nobody has waited for it: dying, then a zombie
                tribe.process = tribe.spawn()
                wait_for(tribe.is_ready, "the next one is ready")
                old.wait(60)

    def test_a_new_tribed_waits_for_the_orphan_that_holds_the_archive(self):
        with Tribe() as tribe:
            memory_id, = tribe.remember("Kept over the supervisor's death.")
            lock = self.hold_the_lock(tribe)
            tribe.process = tribe.spawn()
            fds = f"/proc/{tribe.process.pid}/fd"

            def waits():
                try:
                    return lock.name in [os.readlink(os.path.join(fds, fd)) for fd in os.listdir(fds)]
                except FileNotFoundError:
                    return False
            wait_for(waits, "it looks at the lock")
            self.assertIsNone(tribe.process.poll())
            self.assertEqual(tribe.processes(), {}, "it starts nobody yet")
            lock.close()
            wait_for(tribe.is_ready, "it starts when the lock is free")
            self.assertEqual(tribe.get(f"/api/v1/memories/{memory_id}").status, 200)

    def test_an_orphan_that_stays_is_named(self):
        with Tribe() as tribe:
            self.hold_the_lock(tribe)
            self.assertEqual(tribe.spawn().wait(60), 1)
            self.assertIn("a memory-jr of a dead tribed still holds this state directory", tribe.logs())


class Surroundings(unittest.TestCase):
    def test_closed_standard_descriptors(self):
        def close_them():
            ctypes.CDLL(None).prctl(1, signal.SIGKILL)
            for fd in range(3):
                os.close(fd)
        with Tribe(start=False) as tribe:
            tribe.process = subprocess.Popen(tribe.command(), env=tribe.env, cwd=tribe.base, preexec_fn=close_them)
            tribe.started.append(tribe.process)
            wait_for(tribe.is_ready, "ready")
            tribe.remember("Nothing lands on descriptor 0, 1 or 2.")
            for pid in [tribe.process.pid] + list(tribe.pids().values()):
                for fd in range(3):
                    self.assertEqual(os.readlink(f"/proc/{pid}/fd/{fd}"), "/dev/null")
            self.assertEqual(tribe.stop(), 0)

    def ending(self, how):
        """Seconds until tribed has ended, and which signals it sent, when meta is a `how` one."""
        tribe = Staged("stop_timeout_ms=300", fakes=ROLES, start=False)
        try:
            tribe.mode("meta", how)
            tribe.start()
            began = time.monotonic()
            self.assertEqual(tribe.stop(), 0)
            lines = [line for line in tribe.logs().splitlines() if "jr signalled" in line]
            self.assertTrue(all("jr=meta_jr" in line for line in lines), lines)
            self.assertEqual(tribe.processes(), {})
            return time.monotonic() - began, [line.rsplit("signal=", 1)[1] for line in lines]
        finally:
            tribe.close()

    def test_an_orderly_end_has_deadlines(self):
        self.assertEqual(self.ending("ok")[1], [])
        took, signals = self.ending("slow")
        self.assertEqual(signals, ["TERM"])
        self.assertGreaterEqual(took, 0.3)
        took, signals = self.ending("deaf")
        self.assertEqual(signals, ["TERM", "KILL"])
        self.assertGreaterEqual(took, 0.6)
        self.assertLess(took, 20)


class Reload(unittest.TestCase):
    def write(self, tribe, text):
        with open(os.path.join(tribe.dir, "tribe.yaml"), "w", encoding="ascii") as f:
            f.write(text)

    def refused(self, tribe):
        with self.assertRaises(RpcError) as caught:
            tribe.call("control.sock", "reload")
        return caught.exception

    def test_one_after_the_other_and_nobody_is_refused(self):
        with Tribe() as tribe:
            old, address = tribe.pids(), tribe.address()
            last = tribe.call("control.sock", "events")["events"][-1]["seq"]
            self.write(tribe, "heartbeat_ms: 50\nlog.level: debug\n")
            with Load(tribe) as load:
                load.wait_progress()
                answer = tribe.call("control.sock", "reload")
                self.assertEqual(sorted(answer["changed"]), ["heartbeat_ms", "log.level"])
                load.wait_progress()
            load.check(self)
            new = tribe.pids()
            self.assertEqual(sorted(new), sorted(old))
            self.assertFalse(set(new.values()) & set(old.values()))
            self.assertEqual(tribe.address(), address)
            events = [e for e in tribe.call("control.sock", "events")["events"] if e["seq"] > last]
            self.assertEqual([e["kind"] for e in events if e["kind"] == "reload"], ["reload", "reload"])
            order = [(e["kind"], e["jr"]) for e in events if e["kind"] in ("stop", "ready")]
            behind = {"memory": 1, "executive": 1}  # the understudies by default; they go first
            self.assertEqual(order, [(kind, API_NAMES[role]) for role in ROLES for kind in ("stop",) * (1 + behind.get(role, 0)) + ("ready",)])
            for role in ROLES:
                jr = tribe.status()["jrs"][API_NAMES[role]]
                self.assertEqual({r["reason"]: r["count"] for r in jr["restarts_by_reason"]}, {"reload": 1 + behind.get(role, 0)})
                self.assertEqual(jr["recoveries"], [])
            # again: nothing has changed, nobody is replaced
            self.assertEqual(tribe.call("control.sock", "reload"), {"changed": []})
            self.assertEqual(tribe.pids(), new)

    def test_what_is_wrong_changes_nothing(self):
        with Tribe() as tribe:
            old = tribe.pids()
            for text, code, field, said in (
                    ("heartbeat_ms: 50\nhang_after_ms: nine\n", "config", None, "tribe.yaml:2: hang_after_ms"),
                    ("heartbeat_ms: 500\n\nhang_after_ms: 1000\n", "config", None, "tribe.yaml:3: hang_after_ms"),
                    ("no_such: 1\n", "config", None, "tribe.yaml:1: no_such"),
                    ("{", "config", None, "tribe.yaml:"),
                    ("archive.url: sqlite:/elsewhere\n", "unsupported", "archive.url", "needs a restart"),
                    ("http.certificate: /no/such\nhttp.private_key: /no/such\n", "config", None, "http.certificate: /no/such")):
                self.write(tribe, text)
                error = self.refused(tribe)
                self.assertEqual((error.code, error.error.get("field")), (code, field), error)
                self.assertIn(said, error.error["message"])
                self.assertEqual(tribe.pids(), old)
            # an understudy may come up beside it, and say so last
            said = [e.get("detail", "") for e in tribe.call("control.sock", "events")["events"] if e["kind"] == "reload"]
            self.assertTrue(said and all("refused" in detail for detail in said), said)

    def test_the_listening_address_needs_a_restart(self):
        tribe = Tribe(start=False)
        tribe.settings = ()
        self.write(tribe, "http.listen: 127.0.0.1:0\n")
        with tribe:
            tribe.start()
            old = tribe.pids()
            self.write(tribe, "http.listen: 127.0.0.2:0\n")
            error = self.refused(tribe)
            self.assertEqual((error.code, error.error["field"]), ("unsupported", "http.listen"))
            self.assertEqual(tribe.pids(), old)

    def test_sighup_does_the_same(self):
        with Tribe() as tribe:
            old = tribe.pids()
            self.write(tribe, "heartbeat_ms: nonsense\n")
            tribe.process.send_signal(signal.SIGHUP)
            wait_for(lambda: "reload refused: tribe.yaml:1: heartbeat_ms" in tribe.logs(), "the log says why not")
            self.assertEqual(tribe.pids(), old)
            self.write(tribe, "heartbeat_ms: 50\n")
            tribe.process.send_signal(signal.SIGHUP)
            for role in ROLES:
                tribe.wait_new(role, old[role])
            wait_for(lambda: "every Jr has the new configuration" in tribe.logs(), "done")

    def test_each_life_is_judged_by_the_beat_it_was_given(self):
        with Staged(fakes=ROLES) as tribe:
            self.write(tribe, "heartbeat_ms: 2000\nhang_after_ms: 6000\n")
            tribe.call("control.sock", "reload")
            self.write(tribe, "heartbeat_ms: 100\nhang_after_ms: 1000\n")
            tribe.mode("meta", "late")  # so executive lives on for two seconds, at its old beat, under the new rule
            tribe.call("control.sock", "reload")
            for role in ROLES:
                self.assertEqual(tribe.reasons(role), {"reload": 2}, role)

    def test_a_crash_budget_survives(self):
        with Staged(fakes=ROLES) as tribe:
            tribe.mode("meta", "exit")
            os.kill(tribe.pids()["meta"], signal.SIGKILL)
            wait_for(lambda: tribe.jr("meta").get("retry_in_ms", 0) > 300, "it has crashed often")
            last = tribe.events()[-1]["seq"]
            self.write(tribe, "log.level: debug\n")
            error = self.refused(tribe)
            self.assertEqual((error.code, error.error["field"]), ("unavailable", "meta_jr"))
            self.assertIn("exit 3", error.error["message"])
            mine = [e["kind"] for e in tribe.events() if e["seq"] > last and e.get("jr") == "meta_jr"]
            first = mine[mine.index("exit"):][:2]
            self.assertEqual(first, ["exit", "backoff"], f"one crash and it waits again, no free ones: {mine}")
            # integration and memory have it, executive keeps the old one until meta is up
            self.assertEqual([tribe.jr(role)["restarts"] for role in ("memory", "integration", "executive")], [1, 1, 0])
            tribe.mode("meta", "ok")
            wait_for(lambda: tribe.reasons("executive") == {"reload": 1} and len(tribe.pids()) == 4, "the rest follows by itself")

    def test_a_stopped_one_stays_down(self):
        with Staged(fakes=ROLES) as tribe:
            tribe.call("control.sock", "jr.stop", {"jr": "meta"})
            self.write(tribe, "log.level: debug\n")
            self.assertEqual(tribe.call("control.sock", "reload"), {"changed": ["log.level"]})
            self.assertEqual(tribe.jr("meta")["state"], "down")
            tribe.call("control.sock", "jr.start", {"jr": "meta"})
            self.assertIn("log.level: debug", "".join(tribe.wrote("fds-meta")[-1:]).replace('\\"', ""))


def enter_own_group_file(path):
    """In the child: a mount namespace of its own, in which /etc/group is that file."""
    libc = ctypes.CDLL(None, use_errno=True)
    for call in (lambda: libc.unshare(0x20000), lambda: libc.mount(b"none", b"/", None, 0x44000, None),
                 lambda: libc.mount(os.fsencode(path), b"/etc/group", None, 0x1000, None)):
        if call() != 0:
            raise OSError(ctypes.get_errno(), "no mount namespace")


def namespaces_work():
    if os.geteuid() != 0:
        return False
    return subprocess.run([sys.executable, "-c", "import ctypes,sys; l=ctypes.CDLL(None); "
                           "sys.exit(l.unshare(0x20000) or l.mount(b'none', b'/', None, 0x44000, None))"], check=False).returncode == 0


class Group(unittest.TestCase):
    """Members of group `tribe` may look."""

    READER = r"""
import json, os, sys
sys.path.insert(0, sys.argv[1])
sys.dont_write_bytecode = True
gid = int(sys.argv[3])
os.setgroups([gid] if gid else [])
os.setgid(%d)
os.setuid(%d)
from tribe import Rpc, RpcError
out = {}
try:
    for method, params in (("status", {}), ("heartbeats", {"follow": True}), ("events", {"follow": True}), ("version", {}), ("config", {}),
                           ("jr.stop", {"jr": "meta"}), ("jr.restart", {"jr": "meta"}), ("fault.inject", {"jr": "meta", "fault": "kill"}),
                           ("fault.heal", {}), ("reload", {}), ("shutdown", {})):
        with Rpc(os.path.join(sys.argv[2], "control.sock")) as rpc:
            try:
                rpc.call(method, params)
                out[method] = "ok"
            except RpcError as error:
                out[method] = error.code
except PermissionError:
    out = "kept out"
print(json.dumps(out))
""" % (NOBODY, NOBODY)

    def look(self, tribe, kit, gid):
        done = subprocess.run(["/usr/bin/python3", "-c", self.READER, kit, tribe.run, str(gid)], capture_output=True, text=True,
                              check=False, timeout=60)
        self.assertEqual(done.returncode, 0, done)
        return done.stdout.strip()

    @unittest.skipUnless(namespaces_work(), "needs root and mount namespaces")
    def test_readers(self):
        with tempfile.TemporaryDirectory(prefix="tribe-", dir="/tmp") as where:
            os.chmod(where, 0o755)
            shutil.copy(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "kit", "tribe.py"), where)
            group = os.path.join(where, "group")
            with open(group, "w", encoding="ascii") as f:
                f.write(f"root:x:0:\ntribe:x:{GROUP_ID}:\n")
            tribe = Tribe(start=False)
            try:
                for path in (tribe.base, tribe.dir):
                    os.chmod(path, 0o711)
                with open(tribe.log, "ab") as log:
                    tribe.process = subprocess.Popen(tribe.command(), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                                     env=tribe.env, cwd=tribe.base, preexec_fn=lambda: enter_own_group_file(group))
                tribe.started.append(tribe.process)
                wait_for(tribe.is_ready, "ready")
                control, run = os.stat(tribe.socket_path("control.sock")), os.stat(tribe.run)
                self.assertEqual((stat.S_IMODE(control.st_mode), control.st_gid), (0o660, GROUP_ID))
                self.assertEqual((stat.S_IMODE(run.st_mode), run.st_gid), (0o710, GROUP_ID))
                for role in ROLES:
                    self.assertEqual(stat.S_IMODE(os.stat(tribe.socket_path(role + ".sock")).st_mode), 0o600)
                self.assertEqual(self.look(tribe, where, GROUP_ID),
                                 '{"status": "ok", "heartbeats": "ok", "events": "ok", "version": "ok", "config": "ok", "jr.stop": "refused", '
                                 '"jr.restart": "refused", "fault.inject": "refused", "fault.heal": "refused", "reload": "refused", "shutdown": "refused"}')
                self.assertEqual(self.look(tribe, where, 0), '"kept out"')
                self.assertEqual(tribe.call("control.sock", "status")["status"], "operational", "nothing was harmed")
            finally:
                tribe.close()

    def test_without_the_group_it_is_the_owner_s_alone(self):
        with Tribe() as tribe:
            try:
                import grp
                grp.getgrnam("tribe")
                self.skipTest("this machine has the group")
            except KeyError:
                pass
            self.assertEqual(stat.S_IMODE(os.stat(tribe.socket_path("control.sock")).st_mode), 0o600)
            self.assertEqual(stat.S_IMODE(os.stat(tribe.run).st_mode), 0o700)


if __name__ == "__main__":
    main()
