"""The daemon as a service of systemd: its units, its start and stop, the signs of life that it gives.

In:  systemd's own check of units; a stand-in for `systemctl` that runs the daemon as the user's manager would.
Out: what the manager was asked, what the daemon told it.
"""
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import unittest

from installation import AT_ONCE, PATIENCE, ROOT, InstallationTestCase, binariesDirectory, read, write

UNIT = "auto-backup.service"

# Keeps what it is asked in `calls`; starts and stops the ExecStart of the unit, as systemd would.
STAND_IN = """#!{python}
import os, re, shlex, signal, subprocess, sys
home, folder = os.environ["HOME"], {folder!r}
words = [word for word in sys.argv[1:] if word != "--quiet"]
with open(folder + "/calls", "a") as file:
    file.write(" ".join(words) + "\\n")
unit, pid = home + "/.config/systemd/user/{unit}", folder + "/pid"
if "is-active" in words:
    sys.exit(0 if os.path.exists(pid) else 3)
if "enable" in words:
    line = re.search("^ExecStart=(.*)$", open(unit).read(), re.M)[1]
    environment = dict(os.environ, NOTIFY_SOCKET=folder + "/notify", WATCHDOG_USEC="{watchdog}")
    daemon = subprocess.Popen(["/bin/sh", "-c", 'WATCHDOG_PID=$$ exec "$@"', "sh", *shlex.split(line)], env=environment,
                              stdout=subprocess.DEVNULL, stderr=open(folder + "/log", "a"), start_new_session=True)
    open(pid, "w").write(str(daemon.pid))
if "stop" in words:
    os.kill(int(open(pid).read()), signal.SIGTERM)
    os.unlink(pid)
"""


class Manager:
    """The user's service manager of one installation: a socket that makes it look alive, and `systemctl` first in PATH."""

    def __init__(self, installation, watchdog=1_000_000):
        self.folder = os.path.join(installation.directory, "manager")
        runtime = os.path.join(self.folder, "runtime")
        os.makedirs(os.path.join(runtime, "systemd"))
        write(os.path.join(runtime, "systemd", "private"))
        program = os.path.join(self.folder, "systemctl")
        write(program, STAND_IN.format(python=sys.executable, folder=self.folder, unit=UNIT, watchdog=watchdog))
        os.chmod(program, 0o755)
        self.unit = os.path.join(installation.home, ".config", "systemd", "user", UNIT)
        installation.environment.update(XDG_RUNTIME_DIR=runtime, PATH=f"{self.folder}:{installation.environment['PATH']}")
        installation.socketFile = os.path.join(runtime, "auto-backup", "control.sock")
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(os.path.join(self.folder, "notify"))
        self.socket.settimeout(PATIENCE)
        self.told = []

    def close(self):
        self.socket.close()

    @property
    def calls(self):
        return read(os.path.join(self.folder, "calls")).decode().splitlines()

    @property
    def pid(self):
        return int(read(os.path.join(self.folder, "pid")))

    def waitFor(self, line):
        """Receives until one of the lines matches; returns it."""
        while True:
            for told in self.socket.recv(1 << 16).decode().splitlines():
                self.told.append(told)
                if re.match(line, told):
                    return told

    def isSilent(self, line, seconds):
        """Nothing that matches comes for so long."""
        self.socket.settimeout(seconds)
        try:
            self.waitFor(line)
            return False
        except TimeoutError:
            return True
        finally:
            self.socket.settimeout(PATIENCE)


class ServiceTests(InstallationTestCase):
    def manage(self, **options):
        installation = self.install(settings=AT_ONCE)
        manager = Manager(installation, **options)
        self.addCleanup(manager.close)
        return installation, manager

    def testStartInstallsTheUnitAndStopKeepsIt(self):
        installation, manager = self.manage()
        answer = installation.run("start")
        self.assertIn("at every login", answer)
        self.assertEqual(manager.calls, ["--user daemon-reload", f"--user enable --now {UNIT}"])
        unit = read(manager.unit).decode()
        self.assertIn(f'\nExecStart="{os.path.realpath(installation.watchd)}" --config "{installation.configurationFile}"\n', unit)
        manager.waitFor("READY=1$")
        # The manager's process, and no other.
        self.assertEqual(installation.status()["daemon"]["pid"], manager.pid)

        self.assertIn("runs already", installation.run("start"))
        self.assertIn("stopped by systemd", installation.run("stop"))
        manager.waitFor("STOPPING=1$")
        installation.waitUntil(lambda: not installation.answers(), "the daemon has ended")
        self.assertEqual(manager.calls[2:], [f"--user is-active {UNIT}", f"--user stop {UNIT}"])
        self.assertEqual(read(manager.unit).decode(), unit)

        # As it was, the manager need not read it again.
        installation.run("start")
        self.assertEqual(manager.calls[4:], [f"--user enable --now {UNIT}"])
        installation.run("stop")

    def testUnitOfAPersonStaysAsItIs(self):
        installation, manager = self.manage()
        own = f'[Service]\nType=notify\nExecStart="{installation.watchd}" --config "{installation.configurationFile}"\n'
        write(manager.unit, own)
        installation.run("start")
        self.assertEqual(read(manager.unit).decode(), own)
        self.assertEqual(manager.calls, [f"--user enable --now {UNIT}"])
        installation.run("stop")

    def testUnitOfAnotherConfigurationIsLeftAlone(self):
        installation, manager = self.manage()
        other = '[Service]\nType=notify\nExecStart="/usr/bin/watchd" --config "/elsewhere/config.toml"\n'
        write(manager.unit, other)
        self.assertIn("its log is", installation.run("start"))
        self.assertEqual(read(manager.unit).decode(), other)
        installation.run("stop")
        self.assertFalse(os.path.exists(os.path.join(manager.folder, "calls")))

    def testSignsOfLifeComeAndTheStatusIsTold(self):
        installation, manager = self.manage()
        installation.run("start")
        manager.waitFor("READY=1$")
        manager.waitFor(r"STATUS=protected; (idle|waiting)$")
        for _ in range(6):
            manager.waitFor("WATCHDOG=1$")
        # A daemon that rests writes nothing for it.
        statusFile = os.path.join(installation.state, "status.json")
        before = os.stat(statusFile).st_mtime_ns
        for _ in range(4):
            manager.waitFor("WATCHDOG=1$")
        self.assertEqual(os.stat(statusFile).st_mtime_ns, before)
        write(os.path.join(installation.source, "file"), b"new")
        installation.waitForSnapshot(2)
        manager.waitFor("WATCHDOG=1$")
        installation.run("stop")

    def testWithoutAQuestionNothingIsSaid(self):
        installation, manager = self.manage(watchdog=0)
        installation.run("start")
        manager.waitFor("READY=1$")
        self.assertTrue(manager.isSilent("WATCHDOG=1$", 2))
        installation.run("stop")


    @unittest.skipUnless(ROOT and shutil.which("strace"), "holding a single thread takes strace, and root")
    def testThreadThatHangsIsNotVouchedFor(self):
        installation, manager = self.manage()
        installation.run("start")
        manager.waitFor("READY=1$")
        installation.waitForStatus(lambda status: status["verdict"] == "protected", "protection")
        threads = f"/proc/{manager.pid}/task"
        for name in ("agent", "watch-reader"):
            thread = next(number for number in os.listdir(threads) if read(f"{threads}/{number}/comm") == f"{name}\n".encode())
            manager.waitFor("WATCHDOG=1$")
            # Held at its next waiting, while all others run.
            holding = subprocess.Popen(["strace", "-qq", "-o", "/dev/null", "-p", thread, "-e", "inject=poll,ppoll:delay_enter=600s"])
            installation.waitUntil(lambda: manager.isSilent("WATCHDOG=1$", 2), f"silence about {name}")
            self.assertTrue(installation.answers())
            holding.terminate()
            holding.wait()
            manager.waitFor("WATCHDOG=1$")
        installation.run("stop")


@unittest.skipUnless(shutil.which("systemd-analyze"), "systemd-analyze is not installed")
class UnitTests(unittest.TestCase):
    def check(self, manager, *arguments):
        folder = self.enterContext(tempfile.TemporaryDirectory())
        text = subprocess.run([os.path.join(binariesDirectory(), "watchd"), "--print-unit", manager], check=True, stdout=subprocess.PIPE).stdout
        # What the package installs there need not be installed here.
        path = os.path.join(folder, UNIT)
        write(path, text.replace(b"/usr/bin/watchd", os.fsencode(os.path.join(binariesDirectory(), "watchd"))))
        done = subprocess.run(["systemd-analyze", *arguments, "verify", "--man=no", path], env={**os.environ, "XDG_RUNTIME_DIR": folder},
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.assertEqual((done.returncode, done.stdout), (0, ""))

    def testSourcesStayReadable(self):
        """RestrictSUIDSGID forbids openat2(2), by which sources are opened: whatever else it looks like, the service would save nothing."""
        for manager in ("user", "system"):
            text = subprocess.run([os.path.join(binariesDirectory(), "watchd"), "--print-unit", manager], check=True, stdout=subprocess.PIPE).stdout
            self.assertNotIn(b"RestrictSUIDSGID", text)

    def testSystemdAcceptsTheUserUnit(self):
        self.check("user", "--user")

    def testSystemdAcceptsTheSystemUnit(self):
        self.check("system")


if __name__ == "__main__":
    unittest.main()
