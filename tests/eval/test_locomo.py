"""tests/eval/locomo on a made-up conversation: what it sends, what it writes, and that it fails when it must."""
import json
import os
import subprocess
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
MEMORIES = [("m%d" % n, text, speaker) for n, (text, speaker) in enumerate([
    ("The kettle in the lighthouse is blue.", "Ada"), ("My brother sails to Bergen on Friday.", "Ben"),
    ("Our accordion lost two of its keys.", "Ada"), ("The harbour master keeps seven geese.", "Ben")])]
QUESTIONS = [("q0", "What colour is the kettle?", ["m0"]), ("q1", "How many geese does the harbour master keep?", ["m3"])]
# stands in for the data's score.py: the share of questions whose first answer is evidence, in every column
SCORE = """
import json, sys
qs = [json.loads(l) for l in open(sys.argv[1])]
run = {r["qid"]: r["ranked"] for r in map(json.loads, open(sys.argv[2]))}
hit = sum(run[q["qid"]][:1] == q["evidence"] for q in qs) / len(qs)
row = {c: hit for c in ("R@1", "R@5", "R@10", "R@20", "hit@10", "all@10", "MRR", "nDCG@10")}
print(json.dumps({"all": dict(row, n=len(qs))}) if "--json" in sys.argv else "hit %.2f" % hit)
"""


class Locomo(unittest.TestCase):
    def setUp(self):
        where = tempfile.TemporaryDirectory(prefix="tribe-eval-test-")
        self.addCleanup(where.cleanup)
        self.dir = where.name
        self.data = self.path("data")
        os.mkdir(self.data)
        self.write("data/score.py", SCORE)
        self.conversation("conv-1", "")
        self.conversation("conv-2", "b")

    def path(self, name):
        return os.path.join(self.dir, name)

    def write(self, name, text):
        with open(self.path(name), "w", encoding="utf-8") as f:
            f.write(text)

    def read(self, name):
        with open(self.path(name), encoding="utf-8") as f:
            return f.read()

    def conversation(self, name, mark):
        self.write("data/%s.memories.jsonl" % name, "".join(json.dumps(
            {"id": mark + i, "content": text, "speaker": who, "time": "2023-05-08T13:56:00", "session": "S1", "n": n}) + "\n"
            for n, (i, text, who) in enumerate(MEMORIES)))
        self.write("data/%s.questions.jsonl" % name, "".join(json.dumps(
            {"qid": mark + i, "q": text, "evidence": [mark + e for e in evidence], "category": 1, "answer": "so"}) + "\n"
            for i, text, evidence in QUESTIONS))

    def run_it(self, *words):
        return subprocess.run([sys.executable, os.path.join(HERE, "locomo"), "--bin", os.environ["TRIBE_BIN"], "--data", self.data,
                               "--log", self.path("log"), *words], capture_output=True, text=True, timeout=120, check=False)

    def test_own_archives(self):
        done = self.run_it("--out", self.path("out"), "--answers", self.path("answers"), "--set", "heartbeat_ms=50")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("hit 1.00", done.stdout)
        rows = [json.loads(line) for line in self.read("out/RUN.jsonl").splitlines()]
        self.assertEqual([row["qid"] for row in rows], ["q0", "q1", "bq0", "bq1"])
        self.assertEqual([row["ranked"][0] for row in rows], ["m0", "m3", "bm0", "bm3"])
        self.assertFalse([i for row in rows[:2] for i in row["ranked"] if i.startswith("b")], "archives of their own")
        self.assertTrue(all(row["ms"] > 0 for row in rows))
        answers = self.read("answers")
        self.assertIn("blue", answers)
        self.assertIn("expected   so", answers)
        line = json.loads(self.read("log"))
        self.assertEqual((line["config"]["archives"], line["config"]["memories"], line["config"]["questions"]), ("own", 8, 4))
        self.assertEqual((line["figures"]["all"]["MRR"], line["config"]["set"]), (1.0, ["heartbeat_ms=50"]))
        self.assertNotIn("kettle", self.read("log"))

    def test_pooled(self):
        done = self.run_it("--out", self.path("out"), "--pooled", "--limit", "3")
        self.assertEqual(done.returncode, 0, done.stderr)
        ranked = json.loads(self.read("out/RUN.jsonl").splitlines()[0])["ranked"]
        self.assertEqual(sorted(ranked[:2]), ["bm0", "m0"])
        self.assertLessEqual(len(ranked), 3)
        self.assertEqual(json.loads(self.read("log"))["config"]["archives"], "pooled")

    def test_memories_that_do_not_arrive_are_a_failure(self):
        with open(self.path("data/conv-1.memories.jsonl"), "a", encoding="utf-8") as f:  # an id twice: one of them makes nothing
            f.write(json.dumps({"id": "m0", "content": MEMORIES[0][1], "speaker": "Ada", "time": "2023-05-08T13:56:00",
                                "session": "S1", "n": 9}) + "\n")
        done = self.run_it()
        self.assertEqual(done.returncode, 1, done.stdout)
        self.assertFalse(os.path.exists(self.path("log")), "a failed run leaves no figures")

    def test_skips_and_refusals(self):
        done = subprocess.run([sys.executable, os.path.join(HERE, "locomo"), "--data", self.path("none")], capture_output=True,
                              text=True, timeout=60, check=False)
        self.assertEqual((done.returncode, done.stdout.count("\n"), done.stderr), (0, 1, ""))
        done = self.run_it("--out", os.path.join(HERE, "out"))
        self.assertEqual(done.returncode, 2)
        self.assertFalse(os.path.exists(os.path.join(HERE, "out")))


if __name__ == "__main__":
    unittest.main(verbosity=2)
