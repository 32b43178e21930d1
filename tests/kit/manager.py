"""A service manager's part in the life of a tribe: $NOTIFY_SOCKET and the file descriptor store, as systemd has them.

    with Managed() as tribe:
        tribe.kill(); tribe.start_again()      # as Restart= would
        tribe.manager.stored()                 # {name: how many descriptors}

What it does not do: drop descriptors that hang up, limit their number, watch the watchdog.
"""
import array
import os
import socket
import subprocess
import threading

from tribe import Tribe, _die_with_parent, wait_for

FDS_MAX = 8


class Manager:
    def __init__(self, path):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.sock.bind(path)
        self.path, self.store, self.states = path, {}, []
        self.end = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)  # connected: the name may be gone by then
        self.end.connect(path)
        self.lock = threading.Lock()
        self.thread = threading.Thread(target=self._listen, daemon=True)
        self.thread.start()

    def _listen(self):
        while True:
            try:
                text, found, _, _ = self.sock.recvmsg(65536, socket.CMSG_SPACE(FDS_MAX * 4))
            except OSError:
                return
            fds = array.array("i")
            for level, kind, data in found:
                if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                    fds.frombytes(data[:len(data) - len(data) % fds.itemsize])
            if text == b"QUIT":
                return
            with self.lock:
                self._take(dict(line.split("=", 1) for line in text.decode().splitlines() if "=" in line), list(fds))

    def _take(self, words, fds):
        name = words.get("FDNAME", "stored")
        if "FDSTORE" in words:
            self.store.setdefault(name, []).extend(fds)
            fds = []
        if "FDSTOREREMOVE" in words:
            fds = fds + self.store.pop(name, [])
        for fd in fds:
            os.close(fd)
        self.states += [f"{key}={words[key]}" for key in ("READY", "STOPPING", "STATUS") if key in words]

    def stored(self):
        with self.lock:
            return {name: len(fds) for name, fds in self.store.items()}

    def said(self, word):
        with self.lock:
            return word in self.states

    def lose(self, name):
        """As if one had never been kept."""
        with self.lock:
            for fd in self.store.pop(name):
                os.close(fd)

    def flush(self):
        """A service that ended for good keeps nothing."""
        with self.lock:
            for fds in self.store.values():
                for fd in fds:
                    os.close(fd)
            self.store = {}

    def listing(self):
        """(names, copies of the descriptors) in the order in which they are handed over; the copies are the caller's."""
        with self.lock:
            flat = [(name, fd) for name, fds in self.store.items() for fd in fds]
            return [name for name, _ in flat], [os.dup(fd) for _, fd in flat]

    def close(self):
        self.flush()
        self.end.send(b"QUIT")
        self.thread.join(30)
        self.end.close()
        self.sock.close()


class Managed(Tribe):
    def __init__(self, *settings, **more):
        self.manager = None
        super().__init__(*settings, **dict(more, start=False))
        self.manager = Manager(os.path.join(self.base, "notify"))
        self.env["NOTIFY_SOCKET"] = self.manager.path
        if more.get("start", True):
            try:
                self.start()
            except BaseException:
                self.close(failed=True)
                raise

    def spawn(self, *flags):
        names, fds = self.manager.listing()
        env = dict(self.env)
        if fds:
            env.update(LISTEN_FDS=str(len(fds)), LISTEN_FDNAMES=":".join(names))

        def place():
            _die_with_parent()
            high = [os.dup2(fd, 500 + i) for i, fd in enumerate(fds)]
            for i, fd in enumerate(high):
                os.dup2(fd, 3 + i, inheritable=True)
            os.closerange(3 + len(fds), 600)

        words = self.command(*flags)
        with open(self.log, "ab") as log:  # LISTEN_PID is known to the process itself alone
            process = subprocess.Popen(["/bin/sh", "-c", 'LISTEN_PID=$$ exec "$@"', "sh", *words], stdin=subprocess.DEVNULL,
                                       stdout=log, stderr=log, env=env, cwd=self.base, preexec_fn=place, close_fds=False)
        for fd in fds:
            os.close(fd)
        self.started.append(process)
        return process

    def start_again(self):
        """A new tribed for the one that died, at once, as Restart= would; does not wait for it to be ready."""
        assert self.process.poll() is not None, "it runs"
        self.process = self.spawn()

    def wait_ready(self):
        wait_for(self.is_ready, "tribed is ready")

    def close(self, failed=False):
        try:
            super().close(failed)
        finally:
            if self.manager is not None:
                self.manager.close()
