"""What the machine did meanwhile: CPU of our processes to the nanosecond, CPU of everybody else, load."""
import os
import platform
import tempfile
import time

TICK = os.sysconf("SC_CLK_TCK")


def cpu_s(pid):
    """CPU seconds of a process, all its threads, ended ones too; None when it is gone."""
    try:
        return time.clock_gettime((~pid << 3) | 2)  # what clock_getcpuclockid(3) makes of a pid
    except OSError:
        return None


def load():
    with open("/proc/loadavg", encoding="ascii") as f:
        return f.read().split()[0]


def mounted(path, mountinfo):
    """Type of the file system that holds path, which is absolute and real; mountinfo: text of proc(5). Pure."""
    best, kind = "", "?"
    for line in mountinfo.splitlines():
        left, _, right = line.partition(" - ")
        point = left.split(" ")[4].encode().decode("unicode_escape")
        if (path + "/").startswith(point.rstrip("/") + "/") and len(point) >= len(best):
            best, kind = point, right.split(" ")[0]
    return kind


def describe(path=None):
    """path: where the bench writes; None: where temporary files go. On tmpfs no fsync is honest."""
    with open("/proc/self/mountinfo", encoding="utf-8") as f:
        kind = mounted(os.path.realpath(path or tempfile.gettempdir()), f.read())
    return "%d CPUs, %s %s, %s" % (os.cpu_count(), platform.system(), platform.release(), kind)


def processes():
    """{pid: (parent, ticks)}; ticks of the process and of the children it has reaped, so that the work of short-lived
    ones (a compiler's) does not vanish with them. Kernel threads are left out: they work for us as for others."""
    found = {}
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            with open("/proc/%s/stat" % name, "rb") as f:
                fields = f.read().rsplit(b") ", 1)[1].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        parent = int(fields[1])
        if parent != 2 and int(name) != 2:
            found[int(name)] = (parent, sum(int(x) for x in fields[11:15]))
    return found


def stolen():
    """Ticks the host gave to others; 0 where the kernel does not tell."""
    with open("/proc/stat", encoding="ascii") as f:
        fields = f.readline().split()
    return int(fields[8]) if len(fields) > 8 else 0


def others(table, own):
    """Ticks of all processes that are neither in own nor descend from one that is. Pure."""
    mine = set(own)

    def is_mine(pid):
        path = []
        while pid in table and pid not in mine and pid not in path:
            path.append(pid)
            pid = table[pid][0]
        if pid in mine:
            mine.update(path)
            return True
        return False

    return sum(ticks for pid, (_, ticks) in table.items() if not is_mine(pid))


class Neighbours:
    """cores() after a stretch of work: how many CPUs other programs, and other guests of the host, used meanwhile. own():
    pids of ours that are not our descendants."""

    def __init__(self, own=lambda: ()):
        self.own = own
        self.before, self.steal, self.at = self._sum(), stolen(), time.monotonic()

    def _sum(self):
        return others(processes(), {os.getpid(), *self.own()})

    def cores(self):
        took = time.monotonic() - self.at
        ticks = max(0, self._sum() - self.before) + max(0, stolen() - self.steal)
        return ticks / TICK / max(took, 1e-9)
