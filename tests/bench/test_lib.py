#!/usr/bin/python3
"""The frame of the benches judged with contenders and neighbours made up here."""
import contextlib
import importlib.machinery
import importlib.util
import io
import os
import re
import sqlite3
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(HERE, "lib"))

import archive_http  # noqa: E402
import archive_start  # noqa: E402
import control  # noqa: E402
import figures  # noqa: E402
import frame  # noqa: E402
import machine  # noqa: E402
import prepared  # noqa: E402
import takeovers  # noqa: E402
import targets  # noqa: E402
import wal  # noqa: E402
import wrk  # noqa: E402


class Others(unittest.TestCase):
    def test_ours_and_what_descends_from_it_is_left_out(self):
        table = {1: (0, 100), 10: (1, 7), 11: (10, 5), 12: (11, 3), 20: (1, 1000), 30: (20, 10000)}
        self.assertEqual(machine.others(table, {10}), 11100)
        self.assertEqual(machine.others(table, {10, 30}), 1100)
        self.assertEqual(machine.others(table, set()), 11115)

    def test_a_loop_in_a_torn_table_ends(self):
        self.assertEqual(machine.others({5: (6, 1), 6: (5, 2)}, {9}), 3)

    def test_work_of_a_process_is_seen_with_its_threads(self):
        before = machine.cpu_s(os.getpid())
        while machine.cpu_s(os.getpid()) - before < 0.02:
            sum(range(1000))
        self.assertIsNone(machine.cpu_s(2 ** 22 + 1))  # above every pid

    def test_own_work_is_not_a_neighbours(self):
        watch = machine.Neighbours()
        before = machine.others(machine.processes(), {os.getpid()})
        start = machine.cpu_s(os.getpid())
        while machine.cpu_s(os.getpid()) - start < 0.1:
            sum(range(1000))
        self.assertGreaterEqual(machine.others(machine.processes(), set()) - before, 10)  # there it is
        self.assertGreaterEqual(watch.cores(), 0)


class Mounts(unittest.TestCase):
    TEXT = ("1 0 8:1 / / rw - ext4 /dev/a rw\n2 1 0:5 / /tmp rw shared:1 - tmpfs t rw\n3 1 0:6 / /tmp/my\\040disk rw - xfs x rw\n")

    def test_the_longest_mount_point_above_it(self):
        for path, kind in (("/", "ext4"), ("/tmpfile", "ext4"), ("/tmp", "tmpfs"), ("/tmp/a", "tmpfs"), ("/tmp/my disk/a", "xfs")):
            self.assertEqual(machine.mounted(path, self.TEXT), kind, path)


class Scripted(frame.Contender):
    """run() gives the turns that the script says: latency, void."""

    def __init__(self, key, script):
        super().__init__(key, key, None)
        self.script, self.seeds = list(script), []

    def run(self, number, own):
        ns, void = self.script.pop(0)
        self.seeds.append(number)
        turn = frame.Turn([ns], wall_s=1.0, cpu_s=ns / 1e9)
        turn.void = void
        return turn


class Turns(unittest.TestCase):
    def test_in_turns_each_with_a_seed_of_its_own(self):
        a, b = Scripted("a", [(1, False)] * 3), Scripted("b", [(2, False)] * 3)
        raw = frame.take_turns([a, b], 3, 0)
        self.assertEqual([t["contender"] for t in raw], list("ababab"))
        self.assertEqual(len(set(a.seeds + b.seeds)), 6)

    def test_a_void_turn_is_repeated_and_does_not_count(self):
        a = Scripted("a", [(900, True), (1, False), (3, False)])
        raw = frame.take_turns([a], 2, 5)
        self.assertEqual([t["void"] for t in raw], [True, False, False])
        self.assertEqual(a.latency_ns(), 2)
        self.assertEqual(a.disturbed(), 0)
        self.assertIn("2 counted, 1 repeated", frame.disturbed_line([a], raw))

    def test_repeats_are_bounded_and_the_rest_is_told(self):
        a = Scripted("a", [(9, True)] * 5)
        raw = frame.take_turns([a], 3, 2)
        self.assertEqual((len(raw), len(a.turns), a.disturbed()), (5, 3, 3))

    def test_nothing_is_repeated_after_the_time_is_over(self):
        a = Scripted("a", [(9, True)] * 2)
        self.assertEqual(len(frame.take_turns([a], 2, 50, until=0)), 2)

    def test_one_bad_turn_does_not_decide(self):
        a = Scripted("a", [(10, False), (5000, False), (12, False)])
        frame.take_turns([a], 3, 0)
        self.assertEqual(a.latency_ns(), 12)
        self.assertAlmostEqual(a.cpu_us(), 0.012)
        self.assertEqual(a.per_s(), 1)

    def test_a_ratio_is_taken_between_neighbours_in_time(self):
        a, b = (Scripted(key, [(ns, False) for ns in v]) for key, v in (("a", (10, 90, 12, 30)), ("b", (5, 45, 6, 15))))
        frame.take_turns([a, b], 4, 0)
        self.assertEqual(a.ratio(b, frame.Turn.p50), 2)
        self.assertEqual(a.beyond(b, frame.Turn.p50), 10.5)


class Programs(unittest.TestCase):
    def test_lines_and_what_it_took(self):
        turn = frame.run_program(["/bin/printf", "5 1 2\n7 0 0\nwall 2000000000\ncpu 1000000000\n"])
        self.assertEqual((turn.ns, turn.rows, turn.wall_s, turn.cpu_s), ([5, 7], [[5, 1, 2], [7, 0, 0]], 2.0, 1.0))

    def test_what_else_a_program_tells_is_kept_by_name(self):
        turn = frame.run_program(["/bin/printf", "500\\nwall 2000000000\\ncpu 1000000\\ncommits 7\\n"])
        turn.items = 100
        self.assertEqual((turn.more, turn.per_s(), turn.cpu_us()), ({"commits": 7}, 50, 10))

    def test_failure_and_silence_are_told(self):
        with self.assertRaisesRegex(frame.Failed, "sh: no"):
            frame.run_program(["/bin/sh", "-c", "echo no >&2; exit 1"])
        with self.assertRaisesRegex(frame.Failed, "not done"):
            frame.run_program(["/bin/sleep", "60"], timeout=0.05)


class Wrk(unittest.TestCase):
    def test_its_figures(self):
        self.assertEqual(wrk.parse("Running 1s test\nfigures 10 1000000 5 7 9 0 1\n"), [10, 1000000, 5, 7, 9, 0, 1])
        with self.assertRaisesRegex(frame.Failed, "no figures: connection refused"):
            wrk.parse("connection refused\n")


class Targets(unittest.TestCase):
    def test_met_missed_and_not_measured(self):
        rows = {row[0]: row for row in targets.rows({"first": {"ask_p50": 5.0, "add_p50": 2.001}, "recovery": {"refused": 0}, "lives": {"growth_fds": 1}})}
        met = {name.split(",")[0]: row[4] for name, row in reversed(rows.items())}  # of one beginning the first
        self.assertEqual(met["ask through HTTP"], "yes")
        self.assertEqual(met["durable add through HTTP"], "MISSED")
        self.assertEqual(met["refused connections in all kills"], "yes")
        self.assertEqual(met["tribed after 10"], "MISSED")
        self.assertEqual(rows["start to ready, p50"][3:], ["not measured", "-"])

    def test_a_bar_from_below(self):
        figure, name = "sqlite_10k_add_rate_ratio", "adds at 64 writers against bare SQLite, 10k"
        for value, met in ((0.8, "yes"), (0.79, "MISSED"), (1.3, "yes")):
            row = {row[0]: row for row in targets.rows({"archive": {figure: value}})}[name]
            self.assertEqual((row[2], row[4]), (">= 0.8 times", met))

    def test_every_figure_of_a_target_is_one_that_its_bench_writes(self):
        archive = ""
        for part in ("archive", "lib/archive_group.py", "lib/archive_http.py", "lib/archive_start.py"):
            with open(os.path.join(HERE, part), encoding="utf-8") as f:
                archive += f.read()
        for _, _, bench, figure, _, _ in targets.TARGETS:
            if bench == "archive":
                name = re.sub(r"^(sqlite|postgres|http|start)_\d+[km]_((add|request|import)_(?=rate_ratio))?", "", figure)
                self.assertTrue(any(name + end in archive for end in ('"', "_ms\"")), figure)
                continue
            with open(os.path.join(HERE, bench), encoding="utf-8") as f:
                text = f.read()
            written = {figure.replace("_", " ")} if bench == "first" else {
                figure, re.sub(r"^(ask|add)_c\d+_", "", figure), re.sub(r"^(memory_read|executive_read|meta|integration|stopped|spin_\d+|block_\d+)_", "_", figure),
                re.sub(r"_\d+$", "_%d", figure), re.sub(r"^(healthz|thermal|add)_(?=p99_ms|cpu_beyond)", "_", figure),
                re.sub(r"^(healthz|thermal|add)_(p99_)?over_\w+$", r"%s_\2over_%s", figure),
                re.sub(r"^(nginx|runit)_over_(memory|executive)_read_", "%s_over_%s_", figure)}
            self.assertTrue(any('"%s"' % name in text for name in written), figure)


def index(pages, moved, tried, salt=1):
    """The first bytes of a log's index, as SQLite writes them."""
    image = bytearray(wal.SIZE)
    image[12] = 1
    for at, value in ((16, pages), (32, salt), (96, moved), (128, tried)):
        image[at:at + 4] = value.to_bytes(4, sys.byteorder)
    return bytes(image)


class Log(unittest.TestCase):
    def told(self, *looks):
        story = wal.Story()
        for at, image in looks:
            story.look(at, wal.parse(image))
        return story

    def test_a_checkpoint_lasts_while_more_is_tried_than_moved(self):
        story = self.told((10, index(100, 0, 0)), (20, index(100, 0, 100)), (30, index(120, 0, 100)), (40, index(120, 100, 100)),
                          (50, index(3, 0, 0, salt=2)), (60, index(9, 0, 0, salt=2)))
        self.assertEqual((story.checkpoints, story.turns, story.most_pages), ([[20, 40, 100]], 1, 120))
        self.assertEqual([story.overlaps(*ask, slack_ns=0) for ask in ((1, 19), (1, 20), (25, 30), (40, 90), (41, 90))],
                         [False, True, True, True, False])

    def test_an_index_not_in_use_says_nothing(self):
        self.assertIsNone(wal.parse(b""))
        self.assertIsNone(wal.parse(bytes(wal.SIZE)))

    def test_a_real_log_is_read_rightly(self):
        with tempfile.TemporaryDirectory() as where:
            path = os.path.join(where, "db")
            db = sqlite3.connect(path, isolation_level=None)
            db.execute("PRAGMA journal_mode = WAL")
            db.execute("PRAGMA wal_autocheckpoint = 0")
            with wal.Watch(path) as watch:
                db.execute("CREATE TABLE t(a)")
                for i in range(20):
                    db.execute("INSERT INTO t VALUES(?)", (i,))
                with open(path + "-shm", "rb") as f:
                    pages, moved, tried, _ = wal.parse(f.read(wal.SIZE))
                self.assertEqual((moved, tried), (0, 0))
                self.assertEqual(list(db.execute("PRAGMA wal_checkpoint")), [(0, pages, pages)])
                with open(path + "-shm", "rb") as f:
                    self.assertEqual(wal.parse(f.read(wal.SIZE))[1:3], (pages, pages))
                db.execute("INSERT INTO t VALUES(?)", (1,))  # begins the log anew
                self.assertGreater(pages, 20)
            db.close()
            self.assertIsNone(watch.story.begun)


class Beside(unittest.TestCase):
    def test_an_ask_is_held_against_itself_when_it_was_quiet(self):
        story = wal.Story()
        story.checkpoints = [[10 ** 9, 10 ** 9 + 10 ** 7, 7]]
        asked = [[5 * 10 ** 6, 0], [80 * 10 ** 6, 10 ** 9], [9 * 10 ** 6, 3 * 10 ** 9]]  # the third is the first again
        found = archive_http.beside(asked, [4 * 10 ** 6, 30 * 10 ** 6], story)
        self.assertEqual((found["ask_checkpoint_n"], found["ask_checkpoint_max_ms"], found["ask_checkpoint_excess_ms"]), (1, 80, 50))
        self.assertEqual((found["ask_other_n"], found["ask_other_max_ms"], found["ask_other_excess_ms"]), (2, 9, 5))
        self.assertEqual((found["ask_max_ms"], found["quiet_max_ms"], found["checkpoints"]), (80, 30, 1))


class Moments(unittest.TestCase):
    def test_an_events_time_on_the_clock_of_the_bench(self):
        self.assertAlmostEqual(archive_start.moment("1970-01-01T00:00:02.500Z", (10.0, 100.0)), 92.5)
        self.assertAlmostEqual(archive_start.moment(2500, (10.0, 100.0)), 92.5)

    def test_sizes_have_short_names(self):
        self.assertEqual([prepared.label(n) for n in (300, 1000, 10000, 1000000, 1500)], ["300", "1k", "10k", "1m", "1500"])


class Document(unittest.TestCase):
    def setUp(self):
        loader = importlib.machinery.SourceFileLoader("bench_run", os.path.join(HERE, "run"))
        spec = importlib.util.spec_from_loader("bench_run", loader)
        self.run_ = importlib.util.module_from_spec(spec)
        loader.exec_module(self.run_)
        handle, self.path = tempfile.mkstemp()
        os.close(handle)
        self.addCleanup(os.unlink, self.path)

    def text(self, new=None):
        if new is not None:
            with open(self.path, "w", encoding="utf-8") as f:
                f.write(new)
        with open(self.path, encoding="utf-8") as f:
            return f.read()

    def test_only_what_stands_between_the_markers_changes(self):
        begin, end = self.run_.BEGIN, self.run_.END
        self.run_.DOCUMENT = self.path
        self.text("before\n%s\nold\n%s\nafter\n" % (begin, end))
        self.assertEqual(self.run_.write_document("new"), 0)
        self.assertEqual(self.text(), "before\n%s\n\nnew\n\n%s\nafter\n" % (begin, end))
        with open(os.path.join(HERE, "..", "..", "docs", "PERFORMANCE_BASELINE.md"), encoding="utf-8") as f:
            real = f.read()
        self.assertEqual((real.count(begin), real.count(end)), (1, 1))

    def test_a_document_without_markers_is_left_alone(self):
        self.run_.DOCUMENT = self.path
        self.text("nothing here\n")
        with contextlib.redirect_stderr(io.StringIO()):
            self.assertEqual(self.run_.write_document("new"), 1)
        self.assertEqual(self.text(), "nothing here\n")


class Takeovers(unittest.TestCase):
    def row(self, ns, **more):
        values = dict(dict.fromkeys(takeovers.COLUMNS, 0), ns=ns, **more)
        return [values[name] for name in takeovers.COLUMNS]

    def contender(self, *turns):
        c = Scripted("c", [])
        for rows in turns:
            turn = frame.Turn([row[0] for row in rows], rows=rows)
            c.turns.append(turn)
        return c

    def test_figures_of_all_kills_and_what_others_met(self):
        s = takeovers.summary(self.contender(
            [self.row(10 ** 6, under_way=8, others_reset=2, old_how=1, old_ns=5 * 10 ** 5), self.row(3 * 10 ** 6, under_way=7, failed=1)],
            [self.row(9 * 10 ** 6, under_way=8, others_failed=4, old_how=2, old_ns=10 ** 6), self.row(2 * 10 ** 6, under_way=8, refused=3)]))
        self.assertEqual((s["n"], s["median"], s["max"], s["refused"], s["failed"]), (4, 1.5, 9, 3, 1))
        self.assertEqual((s["under_way"], s["others_reset"], s["others_failed"]), (8, 2, 4))
        self.assertEqual((s["old"]["how"], s["old"]["n"], s["old"]["max"]), ({"closed": 1, "reset": 1}, 2, 1))

    def test_a_peers_rows_are_shorter(self):
        s = takeovers.summary(self.contender([[10 ** 6, 2, 1], [2 * 10 ** 6, 0, 0]]))
        self.assertEqual((s["p50"], s["refused"], s["failed"], "under_way" in s), (1, 2, 1, False))

    def test_times_quicker(self):
        mine, peer = (self.contender(*[[self.row(ns)] for ns in v]) for v in ((1, 2, 100), (4, 6, 100)))
        self.assertEqual(takeovers.quicker(mine, peer, [1, 2, 50], [4, 6, 100]), (3, 2))


class Settled(unittest.TestCase):
    def test_a_new_lead_and_everybody_behind_it(self):
        jr = {"state": "up", "pid": 7, "understudies": [{"state": "waiting"}]}
        self.assertTrue(control.settled(jr))
        self.assertTrue(control.settled(jr, {"pid": 6}))
        self.assertFalse(control.settled(jr, {"pid": 7}))
        self.assertFalse(control.settled(dict(jr, state="starting")))
        self.assertFalse(control.settled(dict(jr, understudies=[{"state": "waiting"}, {"state": "starting"}])))


class Figures(unittest.TestCase):
    def test_quantile_is_a_value_that_was_measured(self):
        self.assertEqual([figures.quantile([4, 1, 3, 2], q) for q in (0.0, 0.5, 0.75, 0.99, 1.0)], [1, 2, 3, 4, 4])


if __name__ == "__main__":
    unittest.main()
