"""Processes that never sleep, and end with us: a load, or, at the idle class, what keeps the processors awake."""
import contextlib
import ctypes
import os
import signal
import subprocess


def _begin(idle):
    def in_child():
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
        if idle:
            os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    return in_child


@contextlib.contextmanager
def spinning(count, idle=False):
    """idle: they run when nobody else wants to, and give way at once."""
    with contextlib.ExitStack() as stack:
        for _ in range(count):
            child = subprocess.Popen(["/bin/sh", "-c", "while :; do :; done"], stdin=subprocess.DEVNULL, preexec_fn=_begin(idle))
            stack.callback(child.wait)
            stack.callback(child.kill)
        yield


def awake(wanted):
    """A virtual processor with nothing to do is given back to the host, and takes .1 to .5 ms to return when something comes: that
    time is the machine's and not the programs'. With this it has something to do."""
    return spinning(os.cpu_count() if wanted else 0, idle=True)
