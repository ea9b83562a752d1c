"""The Debian package: what is in it, and that it installs, upgrades and goes again.

In:  the programs of AUTO_BACKUP_BINARIES, whatever build they are of.
Out: a package, unpacked and installed below a private root; the system's own packages are not touched.
"""
import glob
import os
import re
import shutil
import subprocess
import tempfile
import unittest

from installation import PROJECT, binariesDirectory, read, write

FILES = {
    "usr/bin/watchd", "usr/bin/watchctl", "usr/lib/systemd/user/auto-backup.service", "usr/lib/systemd/system/auto-backup.service",
    "usr/share/bash-completion/completions/watchd", "usr/share/bash-completion/completions/watchctl",
    "usr/share/zsh/vendor-completions/_watchd", "usr/share/zsh/vendor-completions/_watchctl",
    "usr/share/fish/vendor_completions.d/watchd.fish", "usr/share/fish/vendor_completions.d/watchctl.fish",
    "usr/share/man/man1/watchctl.1.gz", "usr/share/man/man8/watchd.8.gz",
    "usr/share/doc/auto-backup/copyright", "usr/share/doc/auto-backup/changelog.gz", "usr/share/doc/auto-backup/README.md",
    "usr/share/doc/auto-backup/RepositoryFormat.md", "usr/share/doc/auto-backup/recover.py", "usr/share/doc/auto-backup/growth.svg",
    *(f"usr/share/doc/auto-backup/{name}.md" for name in (
        "FirstDay", "GettingFilesBack", "NewComputer", "Protection", "HowItWorks", "HowWeKnow", "HowFast", "JSONForms", "Hooks", "WhatIsKept")),
    *(f"usr/share/auto-backup/schemas/{name}.schema.json" for name in (
        "compact", "diff", "doctor", "explain", "find", "history", "ls", "repair", "restore", "rotate", "snapshot", "snapshot-dry-run", "snapshots",
        "stats", "status", "verify")),
}


# Smaller packages are not what is tested.
os.environ.update(DPKG_DEB_COMPRESSOR_TYPE="gzip", DPKG_DEB_COMPRESSOR_LEVEL="1")


def output(*words, **more):
    return subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True, **more).stdout


@unittest.skipUnless(shutil.which("dpkg-deb") and shutil.which("dpkg-shlibdeps"), "dpkg-dev is not installed")
class PackageTests(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = cls.enterClassContext(tempfile.TemporaryDirectory())
        environment = {**os.environ, "AUTO_BACKUP_BINARIES": binariesDirectory(), "DEBFULLNAME": "Debian", "DEBEMAIL": "packages@debian.org"}
        printed = output(os.path.join(PROJECT, "Scripts", "package"), cls.folder, env=environment, stderr=subprocess.DEVNULL)
        cls.package = printed.splitlines()[-1]
        cls.version = output(os.path.join(binariesDirectory(), "watchctl"), "--version").split()[-1]

    def field(self, name):
        return output("dpkg-deb", "--field", self.package, name).strip()

    def newRoot(self):
        """A root of its own with an empty list of packages."""
        root = tempfile.mkdtemp(dir=self.folder)
        for name in ("status", "available"):
            write(os.path.join(root, "var", "lib", "dpkg", name))
        for name in ("info", "updates", "triggers"):
            os.makedirs(os.path.join(root, "var", "lib", "dpkg", name))
        return root

    def dpkg(self, root, *words):
        subprocess.run(["dpkg", f"--root={root}", "--force-not-root", "--force-depends", "--force-script-chrootless",
                        f"--log={root}/log", *words], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                       env={**os.environ, "PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin"})

    def files(self, root):
        found = glob.glob("**", root_dir=root, recursive=True)
        return {name for name in found if not os.path.isdir(os.path.join(root, name)) and not name.startswith("var/") and name != "log"}

    def testHoldsWhatBelongsToIt(self):
        self.assertEqual(self.field("Package"), "auto-backup")
        self.assertEqual(self.field("Version"), self.version)
        self.assertEqual(self.field("Architecture"), output("dpkg", "--print-architecture").strip())
        for library in ("libc6", "liblzma5", "libsqlite3-0", "libssl3", "libzstd1"):
            self.assertIn(library, self.field("Depends"))
        listed = [line.split(None, 5) for line in output("dpkg-deb", "--contents", self.package).splitlines()]
        self.assertEqual({line[5][2:] for line in listed if not line[0].startswith("d")}, FILES)
        for mode, owner, _, _, _, name in listed:
            self.assertEqual(owner, "root/root", name)
            self.assertEqual(mode[1:], "rwxr-xr-x" if mode[0] == "d" or "/bin/" in name else "rw-r--r--", name)

    def testLinksOfTheReadmeLeadToFilesOfThePackage(self):
        unpacked = os.path.join(self.folder, "unpacked")
        output("dpkg-deb", "--extract", self.package, unpacked)
        folder = os.path.join(unpacked, "usr", "share", "doc", "auto-backup")
        links = [link for link in re.findall(r"\]\(([^)]+)\)", read(os.path.join(folder, "README.md")).decode()) if "://" not in link]
        self.assertGreater(len(links), 5)
        self.assertEqual([link for link in links if not os.path.isfile(os.path.join(folder, link))], [])

    def testInstallsUpgradesAndGoes(self):
        root = self.newRoot()
        self.dpkg(root, "--install", self.package)
        self.assertEqual(self.files(root), FILES)
        subprocess.run(["md5sum", "--quiet", "--check", "var/lib/dpkg/info/auto-backup.md5sums"], cwd=root, check=True)
        self.assertEqual(output(os.path.join(root, "usr/bin/watchctl"), "--version").split()[-1], self.version)
        unit = read(os.path.join(root, "usr/lib/systemd/user/auto-backup.service"))
        self.assertIn(b'\nExecStart="/usr/bin/watchd"\n', unit)

        # What an administrator changed in /etc outlives an upgrade; a file that the newer one does not have goes.
        drop = os.path.join(root, "etc", "systemd", "system", "auto-backup.service.d", "own.conf")
        write(drop, "[Service]\nNice=5\n")
        newer = os.path.join(self.folder, "newer")
        output("dpkg-deb", "--raw-extract", self.package, newer)
        control = os.path.join(newer, "DEBIAN", "control")
        write(control, read(control).replace(b"Version: ", b"Version: 9"))
        os.unlink(os.path.join(newer, "usr", "share", "doc", "auto-backup", "README.md"))
        output("dpkg-deb", "--build", "--root-owner-group", newer, newer + ".deb")
        self.dpkg(root, "--install", newer + ".deb")
        changed = {"etc/systemd/system/auto-backup.service.d/own.conf"}
        self.assertEqual(self.files(root), FILES - {"usr/share/doc/auto-backup/README.md"} | changed)

        self.dpkg(root, "--remove", "auto-backup")
        self.assertEqual(self.files(root), changed)
        self.dpkg(root, "--purge", "auto-backup")
        self.assertEqual([line for line in read(os.path.join(root, "var/lib/dpkg/status")).splitlines() if line.startswith(b"Package:")], [])

    @unittest.skipUnless(shutil.which("lintian"), "lintian is not installed")
    def testLintianHasNothingToSay(self):
        # Programs that are not linked with the static libraries of Swift look for them where the compiler is.
        isStatic = b"libswiftCore.so" not in subprocess.run(["readelf", "--dynamic", os.path.join(binariesDirectory(), "watchd")],
                                                            check=True, stdout=subprocess.PIPE).stdout
        suppressed = [] if isStatic else ["--suppress-tags", "custom-library-search-path"]
        done = subprocess.run(["lintian", "--allow-root", "--fail-on", "error,warning", *suppressed, self.package],
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.assertEqual((done.returncode, done.stdout), (0, ""))


if __name__ == "__main__":
    unittest.main()
