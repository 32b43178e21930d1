"""control.sock from Python: requests, and events as they come with the moment they came (CLOCK_MONOTONIC, ns)."""
import os
import socket
import time

import msgpack

from frame import Failed

PATIENCE_S = 40  # the longest back-off is 30 s


class Control:
    def __init__(self, run_dir):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(os.path.join(run_dir, "control.sock"))
        self.socket.settimeout(PATIENCE_S)
        self.unpacker, self.msgid, self.events = msgpack.Unpacker(), 0, []  # events: (ns, event), not yet looked at

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def _read(self):
        """The answer among what the next bytes bring, None when there is none."""
        data = self.socket.recv(1 << 16)
        came, answer = time.monotonic_ns(), None
        if not data:
            raise Failed("tribed closed control.sock")
        self.unpacker.feed(data)
        for message in self.unpacker:
            if message[0] == 2:
                self.events.append((came, message[2]))
            elif message[0] == 1:
                answer = message
        return answer

    def call(self, method, **params):
        self.msgid += 1
        self.socket.sendall(msgpack.packb([0, self.msgid, method, params]))
        try:
            while (answer := self._read()) is None:
                pass
        except TimeoutError:
            raise Failed("tribed does not answer %s" % method) from None
        if answer[2] is not None:
            raise Failed("tribed says of %s: %s" % (method, answer[2]))
        return answer[3]

    def follow(self):
        self.call("events", follow=True, limit=1)
        self.events.clear()

    def event(self, wanted, what):
        """(ns, event) of the next one that wanted(event) takes; those before it are dropped."""
        end = time.monotonic() + PATIENCE_S
        while True:
            while self.events:
                came, event = self.events.pop(0)
                if wanted(event):
                    return came, event
            if time.monotonic() > end:
                raise Failed("no event for %s" % what)
            try:
                self._read()
            except TimeoutError:
                raise Failed("no event for %s" % what) from None


def settled(jr, before=None):
    """Of a status: does a lead other than `before`'s serve, and does everybody wait who shall wait behind it? Pure."""
    if jr["state"] != "up" or (before is not None and jr.get("pid") == before.get("pid")):
        return False
    return all(u["state"] == "waiting" for u in jr["understudies"])


def wait_settled(control, jr, before=None):
    """Its status then."""
    end = time.monotonic() + PATIENCE_S
    while True:
        now = control.call("status")["jrs"][jr]
        if settled(now, before):
            return now
        if time.monotonic() > end:
            raise Failed("%s does not come back: %s" % (jr, now["state"]))
        time.sleep(0.002)
