"""One installation of Auto-Backup in a directory of its own, and the comparison of file trees.

In:  the binaries' directory in AUTO_BACKUP_BINARIES; without it, the one that `swift build` names.
Out: `Installation` (configuration, key, repository, daemon, commands), `fingerprint` and `differences` for trees.
Invariant: nothing outside the temporary directory is touched, and `close` ends every process and mount that was made.
AUTO_BACKUP_LONG=1 selects the long forms of the tests, AUTO_BACKUP_SEED a seed that was printed before.
"""
import atexit
import collections
import hashlib
import http.client
import json
import os
import random
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
import unittest
import zlib

sys.dont_write_bytecode = True
# Ended from outside, a test cleans up as after Ctrl-C.
signal.signal(signal.SIGTERM, signal.default_int_handler)

HERE = os.path.dirname(os.path.abspath(__file__))
PROJECT = os.path.dirname(os.path.dirname(HERE))
RECOVER = os.path.join(PROJECT, "Scripts", "recover.py")
ROOT = os.geteuid() == 0
LONG = os.environ.get("AUTO_BACKUP_LONG") == "1"
PATIENCE = 120.0 * (5 if LONG else 1)                  # seconds until something that must happen counts as failed

DONE, FAILED, PARTIAL, NO_REPOSITORY, LOCKED, WRONG_KEY, DAMAGED, USAGE = 0, 1, 3, 10, 11, 12, 13, 64


def binariesDirectory():
    """The directory with `watchd` and `watchctl`."""
    given = os.environ.get("AUTO_BACKUP_BINARIES")
    if given:
        return os.path.abspath(given)
    shown = subprocess.run(["swift", "build", "--package-path", PROJECT, "--show-bin-path"], check=True,
                           stdout=subprocess.PIPE)
    os.environ["AUTO_BACKUP_BINARIES"] = os.fsdecode(shown.stdout.strip())
    return os.environ["AUTO_BACKUP_BINARIES"]


def compiler():
    """A C compiler; None without one."""
    return shutil.which("clang") or shutil.which("cc") or shutil.which("gcc")


def seededRandom(name):
    """A random generator whose seed is printed, and can be given again as AUTO_BACKUP_SEED.

    The short form has one fixed seed for each name, so that a red run tells of a change; the long form looks for new cases.
    """
    fresh = int.from_bytes(os.urandom(4), "big") if os.environ.get("AUTO_BACKUP_LONG") else zlib.crc32(name.encode())
    seed = int(os.environ.get("AUTO_BACKUP_SEED") or fresh)
    print(f"{name}: AUTO_BACKUP_SEED={seed}", file=sys.stderr, flush=True)
    return random.Random(seed)


Completed = collections.namedtuple("Completed", "status output errors")
Completed.__doc__ = "A finished command: exit status, standard output as bytes, standard error as text."


class Installation:
    """A home directory with a configuration, a key, a repository and sources; all below `directory`.

    sources:       names of directories below the home, made here; `source` is the path of the first, `sources` all.
    settings:      TOML sections appended to the configuration, e.g. '[keep]\\nlast = 3'. Exclusion by the standard
                   patterns is off unless the text has an [exclude] section.
    directory:     an existing directory to be used (a mounted file system, say) instead of a new temporary one.
    repository:    path, instead of `directory`/repository.
    backend:       what watches. Not "auto", with which it would hang on who runs the tests.
    """

    def __init__(self, sources=("source",), settings="", directory=None, repository=None, initialize=True, user=None, backend="inotify"):
        base = "/dev/shm" if os.path.isdir("/dev/shm") else None
        self.ownsDirectory = directory is None
        # The socket's path, below the home, must be shorter than 108 bytes.
        self.directory = directory or os.path.realpath(tempfile.mkdtemp(prefix="ab-", dir=base))
        self.home = os.path.join(self.directory, "home")
        self.sources = [os.path.join(self.home, name) for name in sources]
        self.source = self.sources[0]
        self.repository = repository or os.path.join(self.directory, "repository")
        self.configurationFile = os.path.join(self.home, ".config", "auto-backup", "config.toml")
        self.keyFile = os.path.join(self.home, ".config", "auto-backup", "secret.key")
        self.state = os.path.join(self.home, ".local", "state", "auto-backup")
        self.socketFile = os.path.join(self.state, "control.sock")
        self.logFile = os.path.join(self.directory, "watchd.out")
        self.backend = backend
        self.daemon = None
        self.children = []
        self.mounts = []
        self.environment = {name: value for name, value in os.environ.items()
                            if not name.startswith(("XDG_", "AUTO_BACKUP_")) and name not in ("NOTIFY_SOCKET", "INVOCATION_ID")}
        # Without a session bus `watchctl start` has no systemd user unit to go through.
        self.environment.pop("DBUS_SESSION_BUS_ADDRESS", None)
        self.environment.update(HOME=self.home, LC_ALL="C.UTF-8", TZ="UTC", NO_COLOR="1")
        binaries = binariesDirectory()
        self.watchctl, self.watchd = os.path.join(binaries, "watchctl"), os.path.join(binaries, "watchd")
        atexit.register(self.close)
        for path in self.sources:
            os.makedirs(path)
        if initialize:
            self.run("init", *self.sources, "--repository", self.repository, "--quiet")
            self.configure(settings)

    # Configuration

    def configure(self, settings):
        """Replaces all sections of the configuration; sources, repository and id stay. A daemon needs `reload`."""
        with open(self.configurationFile) as file:
            head = [line for line in file.read().split("\n[")[0].splitlines()]
        if "[exclude]" not in settings:
            settings += "\n[exclude]\ndefaults = false\n"
        if "[watch]" not in settings:
            settings += "\n[watch]\n"
        if "backend" not in settings:
            settings = settings.replace("[watch]", f'[watch]\nbackend = "{self.backend}"')
        with open(self.configurationFile, "w") as file:
            file.write("\n".join(head) + "\n" + settings + "\n")

    def clock(self, file):
        """What in the environment of a process makes its wall clock differ by the seconds that `file` holds."""
        library = f"{self.directory}/clock.so"
        subprocess.run([compiler(), "-shared", "-fPIC", "-o", library, os.path.join(HERE, "clock.c"), "-ldl"], check=True)
        return {"LD_PRELOAD": library, "TEST_CLOCK": file}

    # Commands

    def command(self, *arguments):
        """The command line of `watchctl`; arguments may be str, bytes or numbers."""
        return [self.watchctl] + [part if isinstance(part, (str, bytes)) else str(part) for part in arguments]

    def attempt(self, *arguments, input=None, cwd=None, timeout=None, environment=()):
        """Runs `watchctl` and returns a `Completed`, whatever its exit status."""
        done = subprocess.run(self.command(*arguments), input=input, cwd=cwd or self.directory,
                              env={**self.environment, **dict(environment)}, timeout=timeout or PATIENCE * 2,
                              stdin=subprocess.DEVNULL if input is None else None,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        return Completed(done.returncode, done.stdout, done.stderr.decode("utf-8", "replace"))

    def run(self, *arguments, expect=0, **more):
        """Runs `watchctl`, requires exit status `expect` (one, several, or None for any), and returns standard output.

        With --json the parsed value, else text.
        """
        done = self.attempt(*arguments, **more)
        allowed = expect if isinstance(expect, (tuple, list, set)) else (expect,)
        if expect is not None and done.status not in allowed:
            raise AssertionError(f"watchctl {' '.join(map(repr, arguments))}: exit status {done.status}, expected {expect}\n"
                                 f"{done.output.decode('utf-8', 'replace')[-4000:]}{done.errors[-4000:]}\n{self.logTail()}")
        if "--json" in arguments and done.output.strip():
            return json.loads(done.output)
        return done.output.decode("utf-8", "replace")

    def spawn(self, *arguments):
        """Starts `watchctl` and returns its `Popen`; `close` ends it."""
        child = subprocess.Popen(self.command(*arguments), cwd=self.directory, env=self.environment,
                                 stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.children.append(child)
        return child

    def snapshot(self, *arguments, expect=0):
        """Takes a snapshot; returns its JSON: `taken`, `number`, `kind`, `bytes_added`, …"""
        return self.run("snapshot", "--json", *arguments, expect=expect)

    def snapshots(self):
        """All snapshots, the newest last."""
        return sorted(self.run("snapshots", "--json"), key=lambda snapshot: snapshot["number"])

    def numbers(self):
        return [snapshot["number"] for snapshot in self.snapshots()]

    def restore(self, number, target, *arguments, expect=0):
        """Restores everything of a snapshot below `target`; returns the report."""
        return self.run("restore", "--at", number, "--to", target, "--json", *arguments, expect=expect)

    def restored(self, target, source=None):
        """Where a source (preset: the first) lies after a restore of everything to `target`."""
        return target + (source or self.source)

    def recover(self, number, target, *arguments, expect=0):
        """Restores a snapshot with Scripts/recover.py."""
        done = subprocess.run([sys.executable, RECOVER, "--repository", self.repository, "--key", self.keyFile,
                               "--snapshot", str(number), "--to", target, *arguments],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=PATIENCE * 4)
        if done.returncode != expect:
            raise AssertionError(f"recover.py: exit status {done.returncode}, expected {expect}\n"
                                 f"{(done.stdout + done.stderr).decode('utf-8', 'replace')[-4000:]}")

    def archives(self):
        """Names of all files in the repository's archives directory, sorted."""
        return sorted(os.listdir(os.path.join(self.repository, "archives")))

    def archiveBytes(self):
        folder = os.path.join(self.repository, "archives")
        return sum(os.lstat(os.path.join(folder, name)).st_size for name in os.listdir(folder))

    def removeCatalog(self):
        """Deletes the catalog as a person would who lost it; the daemon must not be running."""
        for name in os.listdir(self.state):
            if name.startswith("catalog.sqlite"):
                os.unlink(os.path.join(self.state, name))

    # The daemon

    def startDaemon(self, *arguments, wait=True, expectRunning=True):
        """Starts `watchd` in the foreground as a child, its output appended to `logFile`; waits until it answers."""
        assert self.daemon is None or self.daemon.poll() is not None, "a daemon runs already"
        with open(self.logFile, "ab") as log:
            self.daemon = subprocess.Popen([self.watchd, *arguments], env=self.environment, cwd=self.directory,
                                           stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self.children.append(self.daemon)
        if wait:
            self.waitUntil(lambda: self.daemon.poll() is not None or self.answers(), "the daemon answers")
            if expectRunning and self.daemon.poll() is not None:
                raise AssertionError(f"watchd ended with {self.daemon.returncode}\n{self.logTail()}")
        return self.daemon

    def stopDaemon(self, expect=0):
        """SIGTERM, and waits for the end; requires exit status `expect`."""
        self.daemon.send_signal(signal.SIGTERM)
        status = self.daemon.wait(PATIENCE)
        self.daemon = None
        if expect is not None and status != expect:
            raise AssertionError(f"watchd ended with {status} after SIGTERM\n{self.logTail()}")
        return status

    def killDaemon(self):
        """kill -9."""
        self.daemon.kill()
        self.daemon.wait(PATIENCE)
        self.daemon = None

    def answers(self):
        """True when something accepts connections at the control socket."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as end:
            try:
                end.connect(self.socketFile)
                return True
            except OSError:
                return False

    def log(self):
        try:
            with open(self.logFile, errors="replace") as file:
                return file.read()
        except FileNotFoundError:
            return ""

    def logTail(self, lines=25):
        return "".join(self.log().splitlines(keepends=True)[-lines:])

    # The control API

    def request(self, method, path, body=None, timeout=None):
        """One request to the control API. Returns (status code, parsed JSON or None)."""
        connection = LocalConnection(self.socketFile, timeout or PATIENCE)
        try:
            headers = {"Content-Type": "application/json"} if body is not None else {}
            connection.request(method, path, body=None if body is None else json.dumps(body), headers=headers)
            response = connection.getresponse()
            data = response.read()
            return response.status, json.loads(data) if data.strip() else None
        finally:
            connection.close()

    def status(self):
        """The status as the daemon tells it now (no daemon: as `watchctl status --json` prints it)."""
        return self.run("status", "--json", expect=None)

    def events(self, timeout=None):
        """Yields the status reports of /v1/events; ends with an error after `timeout` seconds without one."""
        connection = LocalConnection(self.socketFile, timeout or PATIENCE)
        try:
            connection.request("GET", "/v1/events")
            response = connection.getresponse()
            while True:
                line = response.readline()
                if not line:
                    return
                if line.startswith(b"data:"):
                    yield json.loads(line[5:])
        finally:
            connection.close()

    def pause(self):
        """Pauses the daemon, and waits for the end of what it was at."""
        self.run("pause")
        self.waitForStatus(lambda status: status["activity"]["state"] == "paused", "the pause")

    def waitForStatus(self, condition, what="the awaited status", timeout=None):
        """Reads events until `condition(status)` is true; returns that status."""
        limit = timeout or PATIENCE
        deadline = time.monotonic() + limit
        latest = None
        try:
            for latest in self.events(limit):
                if condition(latest):
                    return latest
                if time.monotonic() > deadline:
                    break
        except (socket.timeout, TimeoutError):
            pass
        raise AssertionError(f"{what}: did not come within {limit} s; the status is\n{json.dumps(latest, indent=1)}\n{self.logTail()}")

    def waitForSnapshot(self, number=1, timeout=None):
        """Waits until the daemon's latest snapshot has at least this number."""
        return self.waitForStatus(lambda status: (status.get("latest_snapshot") or {}).get("number", 0) >= number,
                                  f"snapshot {number}", timeout)

    def waitUntil(self, condition, what, timeout=None):
        """For what announces itself nowhere: looks every 10 ms."""
        deadline = time.monotonic() + (timeout or PATIENCE)
        while not condition():
            if time.monotonic() > deadline:
                raise AssertionError(f"{what}: did not happen\n{self.logTail()}")
            time.sleep(0.01)

    # Mounts and the end

    def mount(self, target, size="64m", kind="tmpfs", options=""):
        """Mounts a file system (root only); unmounted by `close`."""
        os.makedirs(target, exist_ok=True)
        settings = ",".join(filter(None, [f"size={size}" if kind == "tmpfs" else "", options]))
        subprocess.run(["mount", "-t", kind, *(["-o", settings] if settings else []), "ab-test", target], check=True)
        self.mounts.append(target)

    def unmount(self, target, *arguments):
        subprocess.run(["umount", *arguments, target], check=True)
        self.mounts.remove(target)

    def close(self):
        """Ends all children and a daemon that `watchctl start` made, unmounts, and removes the directory."""
        atexit.unregister(self.close)
        for child in self.children:
            if child.poll() is None:
                child.kill()
            child.wait()
        self.children = []
        if os.path.exists(self.socketFile) and self.answers():
            try:
                self.attempt("stop", timeout=20)
            except subprocess.TimeoutExpired:
                self.killDetached()
        for target in reversed(self.mounts):
            subprocess.run(["umount", "-l", target], check=False)
        self.mounts = []
        if self.ownsDirectory:
            removeTree(self.directory)

    def killDetached(self):
        """kill -9 for a daemon that `watchctl start` made: its process id stands in its lock."""
        try:
            with open(os.path.join(self.state, "watchd.lock")) as file:
                pid = int(file.readline())
            if os.path.realpath(f"/proc/{pid}/exe") == os.path.realpath(self.watchd):
                os.kill(pid, signal.SIGKILL)
        except (OSError, ValueError):
            pass


class LocalConnection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path, timeout):
        super().__init__("localhost", timeout=timeout)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


# Trees

Item = collections.namedtuple("Item", "type mode owner size mtime target attributes links digest allocated device")
Item.__doc__ = """What a restore must give back of one path.

links: all names of the same inode within the tree, or () for one name. allocated: bytes on disk, for files. device:
numbers of a device file. Sockets have no content; a directory has no size.
"""

TYPES = {stat.S_IFREG: "file", stat.S_IFDIR: "directory", stat.S_IFLNK: "symlink", stat.S_IFIFO: "fifo",
         stat.S_IFSOCK: "socket", stat.S_IFCHR: "character", stat.S_IFBLK: "block"}


def fingerprint(root, owners=ROOT):
    """Maps every path below `root` (bytes, relative; b"" is the root itself) to its `Item`.

    Walks by directory descriptors: paths may be longer than the system's limit.
    """
    found, inodes = {}, collections.defaultdict(list)

    def look(above, name, path):
        status = os.stat(name, dir_fd=above, follow_symlinks=False)
        place = f"/proc/self/fd/{above}/".encode() + name
        kind = TYPES[stat.S_IFMT(status.st_mode)]
        attributes = ()
        if kind in ("file", "directory") or ROOT:
            try:
                attributes = tuple((attribute, os.getxattr(place, attribute, follow_symlinks=False))
                                   for attribute in sorted(os.listxattr(place, follow_symlinks=False)))
            except OSError:
                pass
        target = os.readlink(name, dir_fd=above) if kind == "symlink" else None
        found[path] = Item(
            kind, stat.S_IMODE(status.st_mode), (status.st_uid, status.st_gid) if owners else None,
            status.st_size if kind == "file" else None, status.st_mtime_ns, target, attributes, (),
            digest(above, name) if kind == "file" else None, status.st_blocks * 512 if kind == "file" else None,
            status.st_rdev if kind in ("character", "block") else None)
        if kind != "directory":
            inodes[status.st_dev, status.st_ino].append(path)
            return
        inner = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=above)
        try:
            for child in sorted(os.listdir(f"/proc/self/fd/{inner}".encode())):
                look(inner, child, path + b"/" + child if path else child)
        finally:
            os.close(inner)

    root = os.fsencode(root)
    above = os.open(os.path.dirname(root) or b".", os.O_RDONLY | os.O_DIRECTORY)
    try:
        look(above, os.path.basename(root), b"")
    finally:
        os.close(above)
    for names in inodes.values():
        if len(names) > 1:
            for name in names:
                found[name] = found[name]._replace(links=tuple(sorted(names)))
    return found


def digest(above, name):
    """SHA-256 of a file; holes are skipped as runs of zeros of their length."""
    summary = hashlib.sha256()
    with open(os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=above), "rb", buffering=0) as file:
        while True:
            data = file.read(1 << 20)
            if not data:
                return summary.hexdigest()
            summary.update(data)


def differences(expected, actual, ignore=(), limit=30):
    """Describes how two fingerprints differ, one line a difference; empty when they are equal.

    ignore: names of fields of `Item`; `allocated` is compared as an upper bound only.
    """
    lines = []
    for path in sorted(expected.keys() | actual.keys()):
        name = shorten(path, 150)
        if path not in actual:
            lines.append(f"{name}: missing ({expected[path].type})")
        elif path not in expected:
            lines.append(f"{name}: should not be there ({actual[path].type})")
        else:
            before, after = expected[path], actual[path]
            for field in Item._fields:
                if field in ignore:
                    continue
                one, other = getattr(before, field), getattr(after, field)
                # A restored file may lie more compactly, but holes must not have been filled.
                same = one == other if field != "allocated" or one is None else other is not None and other <= one + (128 << 10)
                if not same:
                    if field == "mode":
                        one, other = oct(one), oct(other)
                    if field == "links":
                        one, other = f"{len(one)} names", f"{len(other)}"
                    lines.append(f"{name}: {field} is {shorten(other)}, expected {shorten(one)}")
    if len(lines) > limit:
        lines[limit:] = [f"… and {len(lines) - limit} more"]
    return lines


def shorten(value, limit=200):
    text = repr(value)
    return text if len(text) < limit else f"{text[:limit // 2]} … {text[-limit // 2:]}"


def removeTree(path):
    """Removes a tree, also one deeper than the longest path, or with directories that cannot be read."""
    def clear(folder):
        os.fchmod(folder, 0o700)
        for name in os.listdir(f"/proc/self/fd/{folder}".encode()):
            try:
                os.unlink(name, dir_fd=folder)
            except (IsADirectoryError, PermissionError):
                os.chmod(f"/proc/self/fd/{folder}/".encode() + name, 0o700)
                inner = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=folder)
                try:
                    clear(inner)
                finally:
                    os.close(inner)
                os.rmdir(name, dir_fd=folder)

    try:
        folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except FileNotFoundError:
        return
    except NotADirectoryError:
        os.unlink(path)
        return
    try:
        clear(folder)
    finally:
        os.close(folder)
    shutil.rmtree(path)


class InstallationTestCase(unittest.TestCase):
    """A test with its own installations, each closed at its end."""

    def install(self, **options):
        """A new `Installation` with these options."""
        installation = Installation(**options)
        self.addCleanup(installation.close)
        return installation

    def assertSameTree(self, expected, actual, message="", ignore=()):
        """Compares two fingerprints, or a fingerprint and a directory."""
        if not isinstance(actual, dict):
            actual = fingerprint(actual)
        lines = differences(expected, actual, ignore)
        if lines:
            self.fail("\n".join(([message] if message else []) + lines))


class DirectoryMarks:
    """For a test case before `InstallationTestCase`: the daemon may not mark file systems, so that fanotify has to mark directories."""
    backend = "fanotify"

    def install(self, **options):
        installation = super().install(**options)
        if ROOT:
            # As in a container.
            wrapper = f"{installation.directory}/watchd-without-capability"
            write(wrapper, f'#!/bin/sh\nexec {" ".join(WITHOUT_CAPABILITY)} {installation.watchd} "$@"\n')
            os.chmod(wrapper, 0o755)
            installation.watchd = wrapper
        return installation


WITHOUT_CAPABILITY = ("setpriv", "--bounding-set", "-sys_admin")


def mayMarkDirectories():
    """True when fanotify can be used without CAP_SYS_ADMIN, which takes Linux 5.13, and a container may forbid."""
    if ROOT and not shutil.which("setpriv"):
        return False
    # FAN_REPORT_DIR_FID | FAN_REPORT_NAME
    probe = [sys.executable, "-c", "import ctypes, sys; sys.exit(ctypes.CDLL(None).fanotify_init(0xC00, 0) < 0)"]
    return subprocess.run([*(WITHOUT_CAPABILITY if ROOT else ()), *probe]).returncode == 0


def write(path, data=b""):
    """Makes or replaces a file, with the directories above it."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.write(data if isinstance(data, bytes) else data.encode())


def read(path):
    with open(path, "rb") as file:
        return file.read()


def mayMount():
    """True when this process may mount file systems, which root in a container may not."""
    if not ROOT:
        return False
    target = tempfile.mkdtemp(prefix="ab-")
    try:
        if subprocess.run(["mount", "-t", "tmpfs", "ab-test", target], stderr=subprocess.DEVNULL).returncode != 0:
            return False
        subprocess.run(["umount", target], check=True)
        return True
    finally:
        os.rmdir(target)


def reasonCodes(status):
    """The codes of a status report's reasons."""
    return [reason["code"] for reason in status["reasons"]]


# A daemon with these settings takes a snapshot as soon as something has changed.
AT_ONCE = '[schedule]\nquiet = "0s"\ndeadline = "1s"\nminimum_gap = "0s"\n'
