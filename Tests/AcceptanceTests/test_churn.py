"""A tree that changes all the time, watched live: nothing is missed, and nothing is believed that is not so.

In:  a running daemon without a quiet period, seeded operations of several processes.  Out: `doctor` reports zero, during it and at
quiet, and a restore equals the tree. AUTO_BACKUP_OPERATIONS says how many; Scripts/soak runs a million of them.
"""
import json
import os
import shutil
import subprocess
import sys
import unittest

from installation import (AT_ONCE, LONG, PATIENCE, ROOT, DirectoryMarks, InstallationTestCase, fingerprint, mayMarkDirectories, mayMount, seededRandom,
                          write)

OPERATIONS = int(os.environ.get("AUTO_BACKUP_OPERATIONS") or (50_000 if LONG else 4000))
CHURN = os.path.join(os.path.dirname(os.path.abspath(__file__)), "churn.py")


def git(*arguments, folder):
    subprocess.run(["git", "-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "gc.auto=0", "-C", folder, *arguments], check=True,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env={**os.environ, "GIT_CONFIG_NOSYSTEM": "1", "HOME": folder})


class ChurnTests(InstallationTestCase):
    backend = "inotify"
    countsWatches = True

    def watched(self):
        installation = self.install(settings=AT_ONCE, backend=self.backend)
        write(f"{installation.source}/document", "first")
        installation.startDaemon()
        installation.waitForStatus(lambda status: status["verdict"] == "protected" and status["activity"]["state"] == "idle", "protection")
        return installation

    def churning(self, installation, operations, seed, processes=3):
        """The process that leads the churning ones."""
        child = subprocess.Popen([sys.executable, CHURN, installation.source, f"{installation.home}/outside", str(operations), str(seed), str(processes)],
                                 stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        installation.children.append(child)
        return child

    def assertNothingIsMissed(self, installation):
        """Returns the report of `doctor`, whose exit status must say the same."""
        report = installation.run("doctor", "--json", expect=None)
        faults = {key: report[key] for key in ("different_count", "different", "problems")}
        self.assertEqual(faults, {"different_count": 0, "different": [], "problems": []}, installation.logTail())
        # Watches can be compared with directories only where each directory has one.
        self.assertEqual(report["watch"] is not None, self.countsWatches)
        if report["watch"]:
            self.assertEqual((report["watch"]["blind"], report["watch"]["stale"]), ([], []), installation.logTail())
        return report

    def assertQuietAndWhole(self, installation):
        """Waits until nothing is pending; then all is known, and a restore is the tree."""
        def isQuiet(status):
            if status["pending"]["paths"] or status["activity"]["state"] != "idle":
                return False
            return self.assertNothingIsMissed(installation)["waiting_count"] == 0

        installation.waitForStatus(isQuiet, "quiet", timeout=PATIENCE * 3)
        report = installation.run("doctor", "--json")
        self.assertEqual((report["different_count"], report["waiting_count"]), (0, 0))
        if report["watch"]:
            directories = sum(item.type == "directory" for item in fingerprint(installation.source).values())
            self.assertEqual(report["watch"]["directories"], directories)
            self.assertEqual(installation.status()["watch"]["directories_watched"], directories)
        target = f"{installation.directory}/restored"
        installation.restore("latest", target)
        self.assertSameTree(fingerprint(installation.source), installation.restored(target))

    def testManyOperations(self):
        installation = self.watched()
        before = installation.status()["watch"]
        seed = seededRandom("churn").randrange(2 ** 32)
        child = self.churning(installation, OPERATIONS, seed)
        looks = 0
        while child.poll() is None:
            self.assertNothingIsMissed(installation)
            looks += 1
        output, errors = child.communicate()
        self.assertEqual(child.returncode, 0, errors.decode())
        self.assertEqual(sum(json.loads(output).values()), OPERATIONS // 3 * 3)
        self.assertQuietAndWhole(installation)
        after = installation.status()["watch"]
        if after["overflows"] == before["overflows"]:
            # All of it came by events: no comparison of everything has helped.
            self.assertEqual(after["reconciles"], before["reconciles"])
        print(f"{OPERATIONS} operations, {self.backend}, seed {seed}: {after['events']} events, {after['overflows']} overflows, {after['reconciles']} comparisons, "
              f"{installation.status()['latest_snapshot']['number']} snapshots, {looks} looks of the doctor during it", file=sys.stderr)

    @unittest.skipUnless(mayMount(), "needs the permission to mount")
    def testOperationsAmongMounts(self):
        installation = self.watched()
        random = seededRandom("churn among mounts")
        covered, alias = f"{installation.source}/mounts/covered", f"{installation.source}/mounts/alias"
        write(f"{covered}/inner/hidden", "hidden, not deleted")
        others = [f"{installation.source}/beside", f"{installation.home}/outside"]
        for path in (alias, *others):
            os.makedirs(path)
        child = self.churning(installation, 20_000 if LONG else 2500, random.randrange(2 ** 32))
        rounds = 0
        while child.poll() is None or rounds < 3:
            if random.random() < 0.5:
                installation.mount(covered, size="1m")
                write(f"{covered}/above/{rounds}", "not in the source")
                write(f"{covered}/inner/hidden", "not in the source")
                # At once, even while the daemon is looking at it.
                installation.unmount(covered, "--lazy")
            else:
                subprocess.run(["mount", "--bind", random.choice(others), alias], check=True)
                installation.mounts.append(alias)
                write(f"{alias}/through the alias", str(rounds))
                os.unlink(f"{alias}/through the alias")
                installation.unmount(alias, "--lazy")
            rounds += 1
        self.assertEqual(child.wait(), 0, child.stderr.read().decode())
        self.assertQuietAndWhole(installation)
        self.assertEqual(installation.run("cat", f"{covered}/inner/hidden"), "hidden, not deleted")

    def testCheckoutStorm(self):
        """A large work tree that is switched ten times between two states that have little in common."""
        installation = self.watched()
        tree = f"{installation.source}/project"
        os.makedirs(tree)
        git("init", "-q", "-b", "one", folder=tree)
        count = 6000 if LONG else 1500
        for state in ("one", "two"):
            if state == "two":
                git("checkout", "-q", "-b", "two", folder=tree)
                for folder in range(0, 40, 2):
                    shutil.rmtree(f"{tree}/one/{folder}")
            for index in range(count):
                # Some stay, some change, most stand elsewhere.
                folder = "both" if index % 3 == 0 else state
                write(f"{tree}/{folder}/{index % 40}/{index % 7}/{index}", f"{state} {index}\n" * (index % 30))
            git("add", "-A", folder=tree)
            git("commit", "-q", "-m", state, folder=tree)
        for turn in range(10):
            git("checkout", "-q", "one" if turn % 2 else "two", folder=tree)
        self.assertQuietAndWhole(installation)


@unittest.skipUnless(ROOT, "whole file systems are marked by root alone")
class FanotifyChurnTests(ChurnTests):
    backend = "fanotify"
    countsWatches = False


@unittest.skipUnless(mayMarkDirectories(), "needs fanotify without capabilities")
class DirectoryMarkChurnTests(DirectoryMarks, ChurnTests):
    pass


if __name__ == "__main__":
    unittest.main()
