"""A turn of wrk: keep-alive connections, each asks as soon as it is answered, for some seconds."""
import os
import shutil
import subprocess

from frame import Failed, Turn

SCRIPT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "wrk.lua")


def find():
    return shutil.which("wrk")


def parse(text):
    """The line of wrk.lua. Pure."""
    for line in text.splitlines():
        words = line.split()
        if words and words[0] == "figures" and len(words) == 8:
            return [int(word) for word in words[1:]]
    raise Failed("wrk said no figures: " + text.strip()[-300:])


def turn(url, connections, seconds, script=("get",)):
    """A Turn whose ns is the p50; further ones in more. One answer that is no success, or one lost connection, fails it."""
    argv = [find(), "-t1", "-c%d" % connections, "-d%ds" % seconds, "--timeout", "30s", "-s", SCRIPT, url, "--", *script]
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=seconds + 60)
    if done.returncode != 0:
        raise Failed("wrk: " + (done.stderr or done.stdout).strip()[-300:])
    requests, us, p50, p99, most, bad, lost = parse(done.stdout)
    if bad or lost or not requests:
        raise Failed("%s: %d requests, %d answers were no success, %d connections were lost" % (url, requests, bad, lost))
    found = Turn([p50 * 1000], wall_s=us / 1e6)
    found.items = requests
    found.more = {"p99_ms": p99 / 1000, "max_ms": most / 1000}
    return found
