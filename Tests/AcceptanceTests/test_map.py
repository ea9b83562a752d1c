"""What the documents at the top of the repository say of the tree is true: modules, tests, top-level entries."""

import os
import re
import subprocess
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def read(*parts):
    with open(os.path.join(ROOT, *parts), encoding="utf-8") as file:
        return file.read()


class MapTests(unittest.TestCase):
    def testReadmeNamesEveryModuleAndNoOther(self):
        table = read("README.md").split("## How it works")[1]
        named = set(re.findall(r"`(C?[A-Z][A-Za-z]+|watch(?:d|ctl))`", table))
        self.assertEqual(named, set(os.listdir(os.path.join(ROOT, "Sources"))))

    def testEveryTestThatFeaturesNamesExists(self):
        swift = {}
        python = set()
        for directory, _, files in os.walk(os.path.join(ROOT, "Tests")):
            for name in files:
                if name.endswith(".py"):
                    python.add(name)
                elif name.endswith(".swift"):
                    text = read(os.path.relpath(os.path.join(directory, name), ROOT))
                    for suite in re.findall(r"struct (\w+Tests)\b", text):
                        swift.setdefault(suite, set()).update(re.findall(r"func (\w+)\(", text))
        rows = [row for page in ("FEATURES.md", "Sources/Watching/Watching.docc/Pitfalls.md")
                for row in read(page).splitlines() if row.startswith("|") and not row.startswith("|---")]
        self.assertGreater(len(rows), 60)
        for row in rows:
            tests = row.split("|")[-2].strip()
            if tests in ("test", "tests"):
                continue
            names = re.findall(r"`([^`]+)`", tests)
            self.assertTrue(names, f"no test: {row}")
            for name in names:
                if name.endswith(".py"):
                    self.assertIn(name, python, row)
                else:
                    suite, _, test = name.partition(".")
                    self.assertIn(test, swift.get(suite, set()), row)

    def testTopLevelHasOnlyWhatTheLayoutNames(self):
        tracked = subprocess.run(["git", "-C", ROOT, "ls-files"], capture_output=True, text=True)
        if tracked.returncode != 0:
            self.skipTest("not a git work tree")
        entries = {line.split("/")[0] for line in tracked.stdout.splitlines()}
        allowed = {"Package.swift", "Sources", "Tests", "Scripts", "README.md", "FEATURES.md", "LICENSE"}
        self.assertEqual({entry for entry in entries if not entry.startswith(".")} - allowed, set())


if __name__ == "__main__":
    unittest.main()
