"""Live heartbeats on control.sock, read by a client of 20 lines."""
import os
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "kit"))
from tribe import API_NAMES, ROLES, TribeCase, main, wait_for  # noqa: E402

CLIENT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "heartbeats_client.py")
WHOLE = ("pid", "generation", "seq", "monotonic_ns", "uptime_ms", "inflight", "queue_depth", "loop_lag_us", "rss_bytes", "cpu_ms",
         "handled_total", "errors_total")


class Heartbeats(TribeCase):
    def test_twenty_lines_of_python_read_all_four(self):
        with open(CLIENT, encoding="utf-8") as f:
            lines = [line for line in f if line.strip() and not line.startswith("#")]
        self.assertLessEqual(len(lines), 20)
        done = subprocess.run([sys.executable, CLIENT, self.tribe.socket_path("control.sock"), "4"], capture_output=True,
                              text=True, timeout=60, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        beats = [dict(word.split("=", 1) for word in line.split()) for line in done.stdout.splitlines()]
        pids = self.tribe.pids()
        for role in ROLES:
            mine = [beat for beat in beats if beat["jr"] == API_NAMES[role]]
            self.assertGreaterEqual(len(mine), 4)
            self.assertEqual({beat["pid"] for beat in mine}, {str(pids[role])})
            self.assertEqual({beat["state"] for beat in mine}, {"serving"})
            seqs = [int(beat["seq"]) for beat in mine]
            self.assertEqual(sorted(set(seqs)), seqs, "seq grows")
            times = [int(beat["monotonic_ns"]) for beat in mine]
            self.assertEqual(sorted(set(times)), times, "monotonic_ns grows")
            for beat in mine:
                for field in WHOLE:
                    self.assertGreaterEqual(int(beat[field]), 0, (field, beat))
                self.assertGreater(int(beat["rss_bytes"]), 100_000)
                age_s = (time.monotonic_ns() - int(beat["monotonic_ns"])) / 1e9
                self.assertTrue(0 <= age_s < 60, "the clock is CLOCK_MONOTONIC")

    def test_without_follow_there_is_one_answer(self):
        beats = self.tribe.call("control.sock", "heartbeats")["heartbeats"]
        self.assertEqual(sorted(beat["jr"] for beat in beats), sorted(API_NAMES.values()))

    def test_a_beat_counts_the_work(self):
        def handled(jr):
            beats = self.tribe.call("control.sock", "heartbeats")["heartbeats"]
            return next(beat["handled_total"] for beat in beats if beat["jr"] == jr)
        before = {jr: handled(jr) for jr in ("memory_jr", "executive_jr")}
        self.tribe.remember("The heron stands on one leg.")
        for jr, count in before.items():
            wait_for(lambda jr=jr, count=count: handled(jr) > count, f"{jr} counts what it did", 30)

    def test_a_slow_reader_does_not_stop_the_others(self):
        with self.tribe.rpc() as slow, self.tribe.rpc() as quick:
            slow.send([0, 1, "heartbeats", {"follow": True}])  # and never read
            quick.call("heartbeats", {"follow": True})
            seen = set()
            while len(seen) < 4:
                method, beat = quick.note()
                self.assertEqual(method, "heartbeat")
                seen.add(beat["jr"])
        self.assertEqual(len(self.tribe.pids()), 4)


if __name__ == "__main__":
    main()
