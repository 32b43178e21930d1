"""The page: a person can use it, and it is whole without the one library that comes by npm, in Chromium. Skipped only where there is no Chromium.

    test_page.py WHERE     a directory below the build: the npm tools are kept there, and the screenshots
"""
import hashlib
import os
import shutil
import stat
import subprocess
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "kit"))
sys.path.insert(0, os.path.join(HERE, "..", "integration"))
import test_governance  # noqa: E402
from tribe import Tribe, program  # noqa: E402

WEB = os.path.join(HERE, "..", "..", "web")
WHERE = os.path.abspath(sys.argv.pop(1))
TOOLS, SHOTS = os.path.join(WHERE, "tools"), os.path.join(WHERE, "screenshots")
CHROMIUM = shutil.which("chromium")


def install_tools():
    """npm ci, once for each package-lock.json; beside the build, so that the sources stay as they are."""
    with open(os.path.join(WEB, "package-lock.json"), "rb") as f:
        want = hashlib.sha256(f.read()).hexdigest()
    stamp = os.path.join(TOOLS, "stamp")
    try:
        with open(stamp, encoding="ascii") as f:
            have = f.read()
    except FileNotFoundError:
        have = None
    if have != want:
        shutil.rmtree(TOOLS, ignore_errors=True)
        os.makedirs(TOOLS)
        for name in ("package.json", "package-lock.json"):
            shutil.copy(os.path.join(WEB, name), TOOLS)
        subprocess.run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline"], cwd=TOOLS, check=True, timeout=240)
        with open(stamp, "w", encoding="ascii") as f:
            f.write(want)


def put_tribectl(where, tribe):
    """`tribectl` for lines as the page shows them: it finds this tribe."""
    path = os.path.join(where, "tribectl")
    with open(path, "w", encoding="ascii") as f:
        f.write(f'#!/bin/sh\nexec {program("tribectl")} --dev {tribe.dir} "$@"\n')
    os.chmod(path, stat.S_IRWXU)


class Page(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        try:
            install_tools()
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as e:
            print("skipped: npm cannot bring what this test needs; no registry can be reached from here:", e)
            raise SystemExit(77) from e

    def test_the_lock_names_no_registry(self):
        with open(os.path.join(WEB, "package-lock.json"), encoding="utf-8") as f:
            text = f.read()
        self.assertNotIn("resolved", text)
        self.assertEqual(text.count('"integrity": "sha512-'), 3)

    def test_a_person_can_use_it(self):
        shutil.rmtree(SHOTS, ignore_errors=True)
        os.makedirs(SHOTS)
        keys = test_governance.Keys()
        self.addCleanup(keys.close)
        with Tribe() as tribe, Tribe("governance.delay_s=3600", *keys.settings()) as keyed, tempfile.TemporaryDirectory() as where:
            put_tribectl(where, keyed)
            base, other = ("http://%s:%d" % t.address() for t in (tribe, keyed))
            done = subprocess.run(["node", os.path.join(HERE, "page.mjs"), base, TOOLS, SHOTS], timeout=420, check=False,
                                  env=dict(os.environ, CHROMIUM=CHROMIUM, KEYED=other, KEYS=keys.place, WITH_TRIBECTL=where))
            self.assertEqual(done.returncode, 0, "what it says is above; a screenshot of it is " + SHOTS)


if __name__ == "__main__":
    if CHROMIUM is None:
        print("no chromium here: deploy/packages.sh names it")
        sys.exit(77)
    unittest.main()
