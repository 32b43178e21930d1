"""What every bench has in common: its options, what it writes down beside the figures, how it ends."""
import argparse
import json
import os
import subprocess
import sys
import time

from frame import Failed, build, orderly
from machine import describe, load
from spin import awake

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))


def parser(doc):
    p = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--bin", default=os.path.join(ROOT, "build", "release", "bin"), help="where the programs are")
    p.add_argument("--dir", help="where the temporary directory is made (a real disk, for honest fsync)")
    p.add_argument("--out", help="file for figures and raw rows, JSON")
    p.add_argument("--markdown", action="store_true", help="print the section of docs/PERFORMANCE_BASELINE.md")
    p.add_argument("--no-build", action="store_true", help="do not build the programs of the bench in --bin's directory")
    p.add_argument("--awake", action="store_true", help="keep the processors from halting meanwhile (lib/spin.py)")
    p.add_argument("--quick", action="store_true", help="a small run that only shows that everything works")
    return p


def now():
    return time.strftime("%Y-%m-%d %H:%M:%SZ", time.gmtime())


def commit():
    """Of the sources, with a + when they were changed since; None without git."""
    def git(*words):
        done = subprocess.run(["git", "-C", ROOT, *words], stdin=subprocess.DEVNULL, capture_output=True, text=True)
        return done.stdout.strip() if done.returncode == 0 else None
    try:
        head = git("rev-parse", "--short=12", "HEAD")
        return head and head + ("+" if git("status", "--porcelain", "--untracked-files=no") else "")
    except FileNotFoundError:
        return None


def command():
    """As it was called, without what only names places of this machine."""
    words, rest = [os.path.relpath(os.path.realpath(sys.argv[0]), ROOT)], iter(sys.argv[1:])
    for word in rest:
        if word in ("--bin", "--dir", "--out"):
            next(rest, None)
        elif not word.startswith(("--bin=", "--dir=", "--out=")):
            words.append(word)
    return " ".join(words)


def envelope(a):
    return {"date": now(), "command": command(), "machine": describe(a.dir), "load": {"begin": load()}, "figures": {}}


def write_json(path, what):
    with open(path, "w", encoding="utf-8") as f:
        json.dump(what, f)
        f.write("\n")


def main(a, targets, measure, report):
    """measure(a) -> raw; report(raw, markdown) -> text. Programs named in targets are built first."""
    orderly()
    try:
        if targets and not a.no_build:
            build(a.bin, targets)
        with awake(a.awake):
            raw = measure(a)
    except (Failed, OSError) as e:
        print("bench: %s" % e, file=sys.stderr)
        return 1
    raw["report"] = report(raw, True)
    print(raw["report"] if a.markdown else report(raw, False))
    if a.out:
        write_json(a.out, raw)
    return 0
