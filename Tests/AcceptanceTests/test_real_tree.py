"""The main job on a copy of a real tree, with the daemon running: three moments, each compared with what stood there.

Long: only with AUTO_BACKUP_LONG=1. AUTO_BACKUP_TREE names the directories to copy, separated by colons.
"""

import os
import shutil
import subprocess
import time
import unittest

import trees
from installation import InstallationTestCase, fingerprint, seededRandom


@unittest.skipUnless(os.environ.get("AUTO_BACKUP_LONG"), "AUTO_BACKUP_LONG=1 runs it")
class RealTreeTests(InstallationTestCase):
    def testThreeMomentsOfALargeTree(self):
        random = seededRandom("real tree")
        there = self.install()
        for origin in os.environ.get("AUTO_BACKUP_TREE", "/usr/share:/usr/include").split(":"):
            target = os.path.join(there.source, origin.strip("/").replace("/", "-"))
            subprocess.run(["cp", "-a", origin, target], check=True)
        there.startDaemon()
        there.waitForSnapshot(1, timeout=600)
        moments = {1: fingerprint(there.source)}
        print(f"{len(moments[1])} entries")
        # The changer looks through its tree before each change: several small parts of the large tree are quick to look through.
        parts = [path for path, _, _ in os.walk(there.source) if path.count("/") < 9 and 200 < sum(len(names) for _, _, names in os.walk(path)) < 3000]
        changers = [trees.Changer(part, random) for part in random.sample(self.apart(parts), 6)]
        for _ in range(2):
            for changer in changers:
                changer.change(50)
            begin = time.monotonic()
            number = there.snapshot()["number"]
            print(f"snapshot {number} after {time.monotonic() - begin:.2f} s")
            moments[number] = fingerprint(there.source)
        there.stopDaemon()
        for number, expected in moments.items():
            target = os.path.join(there.directory, f"restored-{number}")
            begin = time.monotonic()
            there.restore(number, target)
            print(f"restore of {number}: {time.monotonic() - begin:.1f} s")
            self.assertSameTree(expected, there.restored(target), f"snapshot {number}")
            shutil.rmtree(target)
            there.recover(number, target)
            self.assertSameTree(expected, there.restored(target), f"recover.py, snapshot {number}")
            shutil.rmtree(target)

    @staticmethod
    def apart(paths):
        """Those of `paths` (a directory before what is in it) that do not lie below another."""
        result = []
        for path in paths:
            if not any(path.startswith(other + "/") for other in result):
                result.append(path)
        return result


if __name__ == "__main__":
    unittest.main()
