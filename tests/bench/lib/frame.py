"""The frame of every bench: contenders measured in turns A B C A B C ..., so that a noisy neighbour meets all of them.

A bench is a list of Contender. Each turn notes latencies, wall time, CPU of the contender's processes and how many CPUs
other programs used meanwhile; a turn they disturbed is void and repeated, a bounded number of times, after which it counts
but is shown as disturbed. What is quoted is medians of turns, and ratios between contenders of one run: of turns of the same round, neighbours in
time, and of those the median.
"""
import os
import signal
import statistics
import subprocess
import sys
import time

from figures import quantile
from machine import Neighbours, cpu_s

OTHERS_MAX = 0.1      # cores
OTHERS_SLACK_S = 0.03  # ticks are 10 ms: in a short turn three of them say nothing


class Failed(Exception):
    pass


class Turn:
    """ns: a latency each. items: what they did together, when it is more than one each. cpu_s: of the contender's processes, None
    when not told. more: what else the program told, by name. others: cores."""

    def __init__(self, ns, wall_s=None, cpu_s=None, rows=None):
        self.ns, self.wall_s, self.cpu_s, self.rows, self.items, self.more = ns, wall_s, cpu_s, rows, None, {}
        self.others, self.void = 0.0, False

    def p50(self):
        return quantile(self.ns, 0.50)

    def done(self):
        return len(self.ns) if self.items is None else self.items

    def per_s(self):
        return self.done() / self.wall_s

    def cpu_us(self):
        """CPU microseconds a request."""
        return 1e6 * self.cpu_s / self.done()

    def raw(self):
        return {"ns": self.ns, "items": self.items, "wall_s": self.wall_s, "cpu_s": self.cpu_s, "rows": self.rows, "more": self.more,
                "others_cores": round(self.others, 3), "void": self.void}


class Contender:
    """key: in the raw rows. turn(number) -> Turn; the number is a seed, new for each turn. pids() -> the processes whose
    CPU a request costs, when turn() does not know it itself. runs_apart: pids that are not our descendants."""

    def __init__(self, key, title, turn, pids=None):
        self.key, self.title, self.turn, self.pids = key, title, turn, pids
        self.turns = []  # those that count

    def run(self, number, own):
        watch = Neighbours(own)
        before = {pid: cpu_s(pid) for pid in (self.pids() if self.pids else ())}
        turn = self.turn(number)
        if before:
            after = {pid: cpu_s(pid) for pid in before}
            if None in before.values() or None in after.values():
                raise Failed("%s: a process ended while it was measured" % self.title)
            turn.cpu_s = sum(after[pid] - before[pid] for pid in before)
        took = time.monotonic() - watch.at
        turn.others = watch.cores()
        turn.void = turn.others * took > OTHERS_MAX * took + OTHERS_SLACK_S
        return turn

    # -- what is quoted: medians over the turns -----------------------------------------------------------------------
    def latency_ns(self, q=0.50):
        return statistics.median(quantile(turn.ns, q) for turn in self.turns)

    def per_s(self):
        return statistics.median(turn.per_s() for turn in self.turns)

    def cpu_us(self):
        return statistics.median(turn.cpu_us() for turn in self.turns)

    def ratio(self, peer, what):
        """Of each turn to the peer's turn of the same round, its neighbour in time; then the median. what: Turn.p50 ..."""
        return statistics.median(what(mine) / what(other) for mine, other in zip(self.turns, peer.turns))

    def beyond(self, peer, what):
        """The same for differences."""
        return statistics.median(what(mine) - what(other) for mine, other in zip(self.turns, peer.turns))

    def all_ns(self):
        return [ns for turn in self.turns for ns in turn.ns]

    def disturbed(self):
        return sum(turn.void for turn in self.turns)


def take_turns(contenders, turns, spare, own=lambda: (), first_seed=1000, until=None):
    """turns rounds over all contenders; at most spare void turns are repeated, none after until (time.monotonic()).
    Returns every turn in its order, void ones too, for the raw rows."""
    raw, number = [], first_seed
    for round_ in range(turns):
        for contender in contenders:
            while True:
                say("turn %d of %d: %s" % (round_ + 1, turns, contender.title))
                number += 1
                turn = contender.run(number, own)
                raw.append(dict(turn.raw(), contender=contender.key, round=round_ + 1))
                if not turn.void or spare == 0 or (until is not None and time.monotonic() > until):
                    break
                spare -= 1
            contender.turns.append(turn)
    return raw


def disturbed_line(contenders, raw):
    """What a reader must know before believing the figures."""
    kept = sum(len(c.turns) for c in contenders)
    return "Turns: %d counted, %d repeated because other programs used more than %g core, %d of the counted ones disturbed too." % (
        kept, len(raw) - kept, OTHERS_MAX, sum(c.disturbed() for c in contenders))


# -- programs ---------------------------------------------------------------------------------------------------------
def run_program(argv, timeout=120):
    """A bench program's Turn: latencies one a line (further numbers of a line are kept as rows), then "wall NS", "cpu NS" and
    whatever else has a name and a number."""
    try:
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout)
    except subprocess.TimeoutExpired:
        raise Failed("%s: not done after %d s" % (os.path.basename(argv[0]), timeout)) from None
    if done.returncode != 0:
        raise Failed("%s: %s" % (os.path.basename(argv[0]), done.stderr.strip()))
    turn, rows = Turn([]), []
    for line in done.stdout.splitlines():
        words = line.split()
        if words[0] == "wall":
            turn.wall_s = int(words[1]) / 1e9
        elif words[0] == "cpu":
            turn.cpu_s = int(words[1]) / 1e9
        elif words[0].isalpha():
            turn.more[words[0]] = int(words[1])
        else:
            rows.append([int(word) for word in words])
    turn.ns = [row[0] for row in rows]
    if any(len(row) > 1 for row in rows):
        turn.rows = rows
    return turn


def build(bin_dir, targets):
    """The benches' own programs are no part of a plain release build."""
    where = os.path.dirname(os.path.abspath(bin_dir))
    if not os.path.exists(os.path.join(where, "CMakeCache.txt")):
        return
    done = subprocess.run(["cmake", "--build", where, "--target", *targets], stdin=subprocess.DEVNULL, capture_output=True,
                          text=True)
    if done.returncode != 0:
        raise Failed("cannot build %s:\n%s%s" % (" ".join(targets), done.stdout, done.stderr))


def say(text):
    if sys.stderr.isatty():
        print(text, file=sys.stderr)


def orderly():
    """SIGTERM and SIGHUP end us as Ctrl-C does: through every `with`, so that nothing is left running."""
    def leave(number, _frame):
        sys.exit(128 + number)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, leave)
