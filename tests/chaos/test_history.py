"""The judge on hand-made histories: what is right passes, every planted fault is found, and what cannot be known is no pass."""
import json
import os
import random
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from history import CLASSES, check  # noqa: E402


def op(f, start, end, kind="ok", key="k", **more):
    if f == "add":
        more.setdefault("value", "v " + key)
    return dict({"f": f, "key": key, "type": kind, "start": start, "end": end}, **more)


def add(start, end, kind="ok", **more):
    return op("add", start, end, kind, **more)


def read(start, end, found=True, **more):
    if found and more.get("f", "read") == "read":
        more.setdefault("value", "v " + more.get("key", "k"))
    return op("read", start, end, found=found, **more)


def last(found=True, start=1000, **more):
    return read(start, start + 1, found, final=True, **more)


def fault(start, end, target="memory", kind="kill"):
    return {"f": "fault", "kind": kind, "target": target, "start": start, "end": end}


class Judge(unittest.TestCase):
    def sees(self, history, *wrong, valid=None, **more):
        """Whatever the order of the lines, exactly these classes have entries."""
        shuffled = list(history)
        random.Random(1).shuffle(shuffled)
        for lines in (history, list(reversed(history)), shuffled):
            verdict = check(lines, **more)
            self.assertEqual(verdict["wrong"], [name for name in CLASSES if name in wrong], verdict)
            self.assertEqual(verdict["valid"], (not wrong) if valid is None else valid, verdict)
            json.dumps(verdict)
        return verdict

    # -- what is right ------------------------------------------------------------------------------------------------
    def test_plain(self):
        self.sees([add(0, 10, id="k"), read(11, 12), last()])

    def test_a_read_beside_the_add_may_see_it_or_not(self):
        self.sees([add(0, 10), read(5, 15, False), read(5, 6), last()])

    def test_a_resend_is_one_add(self):
        self.sees([add(0, 10, "info", why="reset"), add(11, 20, id="x"), last(copies=1, applied=1), fault(5, 15)])

    def test_forgotten_is_gone(self):
        self.sees([add(0, 10), read(11, 12), op("forget", 20, 30), read(25, 26, False), read(25, 27), read(31, 32, False),
                   last(False)])

    # -- what is wrong ------------------------------------------------------------------------------------------------
    def test_lost(self):
        self.sees([add(0, 10), last(False)], "lost")
        self.sees([add(0, 10), read(11, 12), last(False)], "lost")  # it had even been seen
        found = self.sees([add(0, 10), add(0, 10, key="b"), last(False), last(key="b")], "lost")
        self.assertEqual([entry["key"] for entry in found["lost"]], ["k"])

    def test_lost_in_a_crash_is_still_lost(self):
        self.sees([add(0, 10), fault(11, 50), fault(12, 60, "tribed"), last(False)], "lost")

    def test_lost_after_it_was_acknowledged_a_second_time(self):
        self.sees([add(0, 10), op("forget", 20, 30), add(40, 50), last(False)], "lost")

    def test_doubled_rows(self):
        self.sees([add(0, 10), last(copies=2)], "doubled")

    def test_doubled_by_a_resend(self):
        self.sees([add(0, 10, "info", why="reset"), add(11, 20), last(copies=1, applied=2), fault(5, 15)], "doubled")

    def test_doubled_ids(self):
        self.sees([add(0, 10, id="x"), add(11, 20, id="y"), last()], "doubled")

    def test_reordered(self):
        """Seen, then unseen: also of an add that nobody acknowledged."""
        self.sees([add(0, 10), read(11, 12), read(13, 14, False), read(15, 16), last()], "stale")
        unknown = [add(0, 10, "info", why="reset"), fault(5, 9), add(0, 10, key="b"), last(key="b")]
        self.sees(unknown + [read(11, 12), read(13, 14, False), last()], "vanished")
        self.sees(unknown + [read(11, 14), read(13, 16, False), last()])  # side by side

    def test_late(self):
        found = self.sees([add(0, 10), read(11, 12, False), read(30, 40), last()], "stale")
        self.assertEqual(found["stale"][0]["late_ns"], 30)

    def test_resurrected(self):
        self.sees([add(0, 10), op("forget", 20, 30), read(31, 32), last(False)], "resurrected")
        self.sees([add(0, 10), op("forget", 20, 30), read(31, 32, False), last()], "resurrected")
        self.sees([add(0, 10), op("forget", 20, 30), add(40, 50), last()])

    def test_unexpected(self):
        self.sees([add(0, 10), last(), last(key="nobody")], "unexpected")
        self.sees([add(0, 10), last(), add(0, 5, "fail", key="b", why="busy"), last(key="b")], "unexpected")
        self.sees([add(50, 60), read(10, 20), last()], "unexpected")  # before it was added

    def test_corrupt(self):
        self.sees([add(0, 10), last(value="something else")], "corrupt")

    def test_missed(self):
        self.sees([add(0, 10), op("ask", 20, 30, found=False), last()], "missed")
        self.sees([add(0, 10), op("ask", 20, 30, found=True), last()])

    # -- what is not known --------------------------------------------------------------------------------------------
    def test_unknown_outcome_may_have_happened_or_not(self):
        for found in (True, False):
            self.sees([add(0, 10), last(), add(0, 9, "info", key="b", why="reset"), last(found, key="b"), fault(5, 9)])
        verdict = self.sees([add(0, 10), last(), add(0, 9, "info", key="b", why="reset"), last(key="b"), fault(5, 9)])
        self.assertEqual((verdict["counts"]["recovered"], verdict["counts"]["unknown"]), (1, 1))

    def test_unknown_outcome_may_happen_late(self):
        self.sees([add(0, 10), last(), add(0, 9, "info", key="b", why="reset"), read(20, 30, False, key="b"), last(key="b"),
                   fault(5, 9)])

    def test_an_unknown_forgetting_explains_absence_and_presence(self):
        for found in (True, False):
            self.sees([add(0, 10), op("forget", 20, 30, "info", why="reset"), last(found), fault(25, 40)])

    def test_a_forgetting_before_the_add_explains_nothing(self):
        self.sees([op("forget", 0, 5), add(10, 20), last(False)], "lost")

    def test_a_forgetting_after_the_read_explains_nothing(self):
        self.sees([add(0, 10), read(12, 13, False), op("forget", 20, 30), last(False)], "lost")

    def test_an_unknown_change_may_come_after_a_later_one(self):
        self.sees([op("forget", 0, 5, "info", why="reset"), fault(2, 6), add(10, 20), last(False)])
        self.sees([add(0, 10), add(11, 15, "info", why="reset"), fault(12, 16), op("forget", 20, 30), read(31, 32), last()])

    def test_no_end_is_unknown(self):
        self.sees([add(0, 10), last(), {"f": "add", "key": "b", "type": "invoke", "start": 5, "value": "v b"}, fault(5, 9)])
        self.sees([add(0, 10), last(), {"f": "add", "key": "b", "type": "ok", "start": 5, "end": None}, fault(5, 9)])

    def test_unknown_is_no_pass(self):
        self.sees([], valid="unknown")
        self.sees([add(0, 10, "info", why="reset"), fault(5, 9), last(False)], valid="unknown")
        self.sees([add(0, 10), read(20, 30)], valid="unknown")  # nobody looked at the end
        self.sees([add(0, 10), read(20, 30, kind="fail", final=True, why="reset"), fault(20, 25)], valid="unknown")
        self.sees([add(0, 10), last()], valid="unknown", want_faults=1)
        self.sees([add(0, 10), last(), fault(5, 9)], want_faults=1)

    def test_wrong_beats_unknown(self):
        self.sees([add(0, 10), add(0, 10, key="b"), last(False)], "lost")

    # -- errors ------------------------------------------------------------------------------------------------------
    def test_refused(self):
        base = [add(0, 10), last()]
        refused = add(20, 21, "fail", key="b", why="refused")
        self.sees(base + [refused], "refused")
        self.sees(base + [refused, fault(15, 25)], "refused")  # a Jr's death refuses nobody
        self.sees(base + [refused, fault(15, 25, "tribed")])
        self.sees(base + [refused, fault(15, 19, "tribed")], "refused")

    def test_failed(self):
        base = [add(0, 10), last()]
        failed = op("ask", 20, 40, "fail", key="b", why="503")
        self.sees(base + [failed], "failed")
        self.sees(base + [failed, fault(30, 35, "executive")])
        self.sees(base + [failed, fault(41, 45)], "failed")
        self.sees(base + [add(20, 40, "fail", key="b", why="busy")])

    def test_unrecovered(self):
        self.sees([add(0, 10), last(), fault(5, None)], "unrecovered")


if __name__ == "__main__":
    unittest.main(verbosity=2)
