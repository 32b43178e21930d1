"""meta-jr: the analysis clock, its figures, and a result that says so when there is nothing to say."""
import os
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "kit"))
from tribe import TribeCase, main, wait_for  # noqa: E402

FAST = ("meta.time_scale=7800",)  # thirteen minutes are a tenth of a second


class Meta(TribeCase):
    SETTINGS = FAST

    def anomalies(self):
        answer = self.tribe.get("/api/v1/analysis/anomalies")
        self.assertEqual(answer.status, 200, answer)
        return answer.json()

    def after(self, count):
        wait_for(lambda: self.anomalies()["analyses"] >= count, f"{count} analyses")
        return self.anomalies()

    def test_a_the_clock_moves(self):
        first = self.after(1)
        later = self.after(first["analyses"] + 3)
        self.assertGreater(later["analysed_at"], first["analysed_at"])
        self.assertGreaterEqual(later["missed"], 0)

    def test_b_nothing_odd_is_said(self):
        self.tribe.remember(*[f"Fact {n} of the almanac, quite ordinary." for n in range(60)])
        now = self.after(self.anomalies()["analyses"] + 2)
        self.assertEqual(now["anomalies"], [])
        self.assertEqual(now["sampled"], 60)
        self.assertIn("nothing odd in 60 memories", now["conclusion"])
        self.assertIn("fewer than 30 recalls", now["conclusion"])

    def test_c_a_finding_can_be_recomputed(self):
        self.tribe.remember("An endless scroll. " * 2000)
        now = self.after(self.anomalies()["analyses"] + 2)
        finding, = now["anomalies"]
        self.assertEqual((finding["kind"], finding["count"], finding["unit"]), ("outlying_size", 1, "log2 bytes"))
        self.assertIn(finding["sample"], (61, 62))  # that it was acknowledged is a memory, too
        self.assertGreater(finding["value"], finding["threshold"])
        sigma = max(1.4826 * finding["mad"], 0.5)
        self.assertAlmostEqual(finding["threshold"], finding["median"] + 6 * sigma, places=9)
        self.assertEqual(len(finding["evidence"]), 1)
        self.assertTrue(self.tribe.get(f"/api/v1/memories/{finding['evidence'][0]}?touch=false").json()["content"].startswith("An endless"))


if __name__ == "__main__":
    main()
