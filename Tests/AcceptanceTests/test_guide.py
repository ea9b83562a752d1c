"""Every command of the guides and of the README's first part works as it is written there, in the order in which a person would type it.

In:  the blocks marked `sh` of each page.  Each line is given to a shell, in a home with Documents and Projects and a disk for backups.
"""
import os
import re
import subprocess
import unittest

from installation import DONE, PATIENCE, PROJECT, Installation, InstallationTestCase, compiler, write

GUIDES = os.path.join(PROJECT, "Sources", "Agent", "Agent.docc")


def commands(page, section=None):
    """The lines of all `sh` blocks, or of the first one in a section."""
    with open(page, encoding="utf-8") as file:
        text = file.read()
    blocks = re.findall(r"```sh\n(.*?)```", text.split(f"## {section}\n")[1] if section else text, re.DOTALL)
    if section:
        del blocks[1:]
    lines = [line.split(" # ")[0].strip() for block in blocks for line in block.splitlines()]
    return [line for line in lines if line and not line.startswith("#")]


class GuideTests(InstallationTestCase):
    def computer(self, sources=("Documents", "Projects")):
        """A home, and a disk that takes the place of /media/disk."""
        installation = Installation(sources=sources, initialize=False)
        self.addCleanup(installation.close)
        self.disk = f"{installation.directory}/disk"
        os.makedirs(self.disk)
        write(f"{installation.home}/passphrase.txt", "a passphrase for tests\n")
        return installation

    def type(self, installation, lines, folder=""):
        """A line that ends with 0 is right; nothing waits for a terminal."""
        self.assertTrue(lines)
        environment = {**installation.environment, "PATH": os.path.dirname(installation.watchctl) + ":" + os.environ["PATH"]}
        for line in lines:
            command = line.replace("/media/disk", self.disk).replace("/tmp/", f"{installation.directory}/")
            done = subprocess.run(["sh", "-c", command], cwd=os.path.join(installation.home, folder), env=environment, stdin=subprocess.DEVNULL,
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=PATIENCE)
            self.assertEqual(done.returncode, DONE, f"{line}\n{done.stdout.decode('utf-8', 'replace')}\n{installation.logTail()}")

    def testFromTheFirstDayToANewComputer(self):
        """The pages follow each other: what the first makes is restored by the second, and taken over by the third."""
        installation = self.computer()
        write(f"{installation.home}/Projects/plan.txt", "a plan")
        first = commands(f"{GUIDES}/FirstDay.md")
        # Until the first snapshot is there the answer is no.
        begin, rest = first[:2], [line for line in first[2:] if line != "watchctl status"]
        self.type(installation, begin)
        installation.waitForStatus(lambda status: status["verdict"] == "protected", "protection")
        self.type(installation, ["watchctl status"] + rest)
        self.assertEqual(installation.run("cat", f"{installation.home}/Documents/letter.txt"), "a first line\n")

        # An hour ago there was nothing yet; the latest does as well here.
        lines = [line.replace(" --at 1h", "") for line in commands(f"{GUIDES}/GettingFilesBack.md")]
        self.type(installation, lines)
        for place in ("restored/Documents", "letters/Documents", "imported" + installation.home + "/Documents"):
            with open(f"{installation.directory}/{place}/letter.txt") as file:
                self.assertEqual(file.read(), "a first line\n")
        installation.run("stop")

        # The new computer has the same home, and nothing in it but the passphrase.
        for name in ("Documents", "Projects", ".config", ".local"):
            subprocess.run(["rm", "-rf", f"{installation.home}/{name}"], check=True)
        self.type(installation, commands(f"{GUIDES}/NewComputer.md"))
        with open(f"{installation.home}/Documents/letter.txt") as file:
            self.assertEqual(file.read(), "a first line\n")
        installation.run("stop")

    @unittest.skipUnless(compiler(), "needs a C compiler for a clock that can be set")
    def testReadme(self):
        """With a snapshot of last week, so that there was something on monday and yesterday."""
        installation = self.install(sources=("Documents", "Videos"))
        for name in ("letter.txt", "budget.odt"):
            write(f"{installation.home}/Documents/{name}", "of last week")
        write(f"{installation.home}/Videos/film.mkv", "a film")
        write(f"{installation.directory}/week", str(-8 * 86400))
        installation.run("snapshot", environment=installation.clock(f"{installation.directory}/week"))
        write(f"{installation.home}/Documents/letter.txt", "of today")
        installation.startDaemon()
        installation.waitForStatus(lambda status: status["verdict"] == "protected" and status["latest_snapshot"]["number"] > 1, "protection")
        readme = os.path.join(PROJECT, "README.md")
        self.disk = ""
        self.type(installation, commands(readme, "Is it working?"), folder="Documents")
        self.type(installation, commands(readme, "Get a file back"), folder="Documents")
        with open(f"{installation.home}/Documents/restored-1/letter.txt") as file:
            self.assertEqual(file.read(), "of last week")
        installation.run("stop")


if __name__ == "__main__":
    unittest.main()
