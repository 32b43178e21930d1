"""A tribe whose programs lie in a directory of its own, so that a test can put a fake Jr, or none, in the place of a real one."""
import os
import shutil
import stat
import subprocess

from tribe import API_NAMES, PROGRAMS, ROLES, START_S, Tribe, _die_with_parent, program, wait_for

FAKE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "fake_jr.py")


class Staged(Tribe):
    def __init__(self, *settings, fakes=(), start=True, plain=True, uid=None, **more):
        """fakes: roles played by fake_jr.py. plain: when all are, one process a role unless the settings say otherwise. uid: whose
        tribed it is, if not the test's own; for root, with fakes alone."""
        self.uid = uid
        if plain and len(fakes) == len(ROLES) and not any(s.startswith("understudies=") for s in settings):
            settings += ("understudies=",)
        super().__init__(*settings, start=False, **more)
        self.stage = os.path.join(self.base, "bin")
        try:
            os.mkdir(self.stage)
            shutil.copy2(program("tribed"), self.stage)  # looks for the Jrs beside itself
            for role, name in zip(ROLES, PROGRAMS):
                if role in fakes:
                    self.put_fake(role)
                else:
                    os.symlink(program(name), os.path.join(self.stage, name))
            self.fakes = tuple(fakes)
            if start:
                self.start()
        except BaseException:
            self.close(failed=True)
            raise

    def spawn(self, *flags):
        if self.uid is None:
            return super().spawn(*flags)
        for where, dirs, files in os.walk(self.base):
            for path in [where] + [os.path.join(where, name) for name in dirs + files]:
                os.lchown(path, self.uid, self.uid)

        def become():
            os.setgroups([])
            os.setresgid(self.uid, self.uid, self.uid)
            os.setresuid(self.uid, self.uid, self.uid)
            _die_with_parent()  # behind the change of user, which would take it back
        with open(self.log, "ab") as log:
            process = subprocess.Popen(self.command(*flags), stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self.env, cwd=self.base,
                                       preexec_fn=become)
        self.started.append(process)
        return process

    def put_fake(self, role):
        path = os.path.join(self.stage, role + "-jr")
        shutil.copyfile(FAKE, path + ".new")
        os.chmod(path + ".new", stat.S_IRWXU)
        os.replace(path + ".new", path)

    def mode(self, role, how):
        path = os.path.join(self.stage, "mode-" + role)
        with open(path + ".new", "w", encoding="ascii") as f:
            f.write(how)
        os.replace(path + ".new", path)

    def wrote(self, name):
        """The lines a fake wrote down, whole ones only."""
        try:
            with open(os.path.join(self.stage, name), encoding="utf-8") as f:
                return [line for line in f.read().splitlines(keepends=True) if line.endswith("\n")]
        except FileNotFoundError:
            return []

    def command(self, *flags):
        return [os.path.join(self.stage, "tribed")] + super().command(*flags)[1:]

    def is_ready(self):
        """All four are up; of real ones also that the API serves."""
        if self.process is not None and self.process.poll() is not None:
            raise AssertionError(f"tribed left with {self.process.returncode}\n{self.log_tail()}")
        if not self.fakes:
            return super().is_ready()
        try:
            return len(self.pids()) == len(ROLES)
        except OSError:
            return False

    def jr(self, role):
        return self.status()["jrs"][API_NAMES[role]]

    def wait_state(self, role, *states, timeout=START_S):
        return wait_for(lambda: self.jr(role)["state"] in states and self.jr(role), f"{role} is {states}", timeout)

    def understudies(self, role, state=None):
        return [u for u in self.jr(role)["understudies"] if state is None or u["state"] == state]

    def wait_covered(self, role, n=1, timeout=START_S):
        """Its lead serves and n understudies wait; what status says of the role then."""
        def covered():
            jr = self.jr(role)
            waiting = [u for u in jr["understudies"] if u["state"] == "waiting"]
            return jr["state"] == "up" and len(waiting) == n and jr
        return wait_for(covered, f"{role} serves with {n} behind it", timeout)

    def detections(self, role):
        return {r["reason"]: r["count"] for r in self.jr(role)["detections"]}

    def recoveries(self, role):
        return {r["cause"]: r["count"] for r in self.jr(role)["recoveries"]}

    def reasons(self, role):
        return {r["reason"]: r["count"] for r in self.jr(role)["restarts_by_reason"]}

    def events(self, **params):
        return self.call("control.sock", "events", params)["events"]
