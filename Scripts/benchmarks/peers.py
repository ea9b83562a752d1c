"""The tools that are measured, each behind the same few verbs: Auto-Backup, restic, borg.

In:  an installation, whose home, launcher and source all of them use.  Out: runs with seconds and peak memory.
Invariant: each has a repository in the same file system, and caches as a user has them. restic and borg work with their presets.
"""
import os
import shutil

from benchmarks.outcome import require
from benchmarks.trees import total_bytes

PACKAGES = {"restic": "restic", "borg": "borgbackup", "zstd": "zstd", "xz": "xz-utils", "tar": "tar", "openssl": "openssl"}
ENVIRONMENT = {"RESTIC_PASSWORD": "benchmark", "BORG_PASSPHRASE": "benchmark"}


def require_peers():
    missing = [package for command, package in PACKAGES.items() if not shutil.which(command)]
    require(not missing, f"There is nothing to compare with: apt-get install {' '.join(missing)}")


class AutoBackup:
    name = "Auto-Backup"

    def __init__(self, installation):
        self.installation = installation
        self.repository = installation.repository

    def initialize(self):
        it = self.installation
        for path in (self.repository, os.path.dirname(it.configuration), os.path.dirname(it.socket)):
            shutil.rmtree(path, ignore_errors=True)
        it.run("init", it.source, "--repository", self.repository, "--quiet")
        it.configure(within="3650d")

    def backup(self):
        return self.installation.run("snapshot", "--quiet")

    def restore(self, target):
        return self.installation.run("restore", "--to", target, "--quiet")

    def read(self, path):
        return self.installation.run("cat", path)

    def list(self):
        return self.installation.run("snapshots")

    def stored(self):
        return total_bytes(self.repository)


class Peer:
    def __init__(self, installation):
        self.installation = installation
        self.program = shutil.which(self.command)
        self.repository = os.path.join(installation.directory, self.command)

    def initialize(self):
        shutil.rmtree(self.repository, ignore_errors=True)
        shutil.rmtree(os.path.join(self.installation.home, ".cache", self.command), ignore_errors=True)
        self.create()

    def run(self, *arguments, directory="/"):
        it = self.installation
        # borg extracts into the working directory.
        line = ["/bin/sh", "-c", 'cd "$0" && exec "$@"', directory, self.program, *arguments]
        run = it.launcher.run(line, it.output, it.errors)
        require(run.status == 0, f"{self.command} {' '.join(arguments)}: exit status {run.status}; see {it.errors}")
        return run

    def stored(self):
        return total_bytes(self.repository)


class Restic(Peer):
    name = command = "restic"

    def create(self):
        self.run("init", "--repo", self.repository)

    def backup(self):
        return self.run("backup", "--quiet", "--repo", self.repository, self.installation.source)

    def restore(self, target):
        return self.run("restore", "latest", "--quiet", "--repo", self.repository, "--target", target)

    def read(self, path):
        return self.run("dump", "--quiet", "--repo", self.repository, "latest", path)

    def list(self):
        return self.run("snapshots", "--repo", self.repository)


class Borg(Peer):
    name = command = "borg"

    def create(self):
        self.number = 0
        self.run("init", "--encryption", "repokey", self.repository)

    def backup(self):
        self.number += 1
        return self.run("create", "--compression", "lz4", f"{self.repository}::{self.number}", self.installation.source)

    def restore(self, target):
        os.makedirs(target)
        return self.run("extract", f"{self.repository}::{self.number}", directory=target)

    def read(self, path):
        return self.run("extract", "--stdout", f"{self.repository}::{self.number}", path.lstrip("/"))

    def list(self):
        return self.run("list", self.repository)
