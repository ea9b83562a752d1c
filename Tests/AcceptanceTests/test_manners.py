#!/usr/bin/env python3
"""Archiving gives way to a person: reading at a rate, and waiting for mains power.

No test can unplug a computer: the daemon is shown a directory of power supplies of the test's own. What makes a network metered, and the
times, are tested as pure decisions (ConditionsTests, SchedulerTests).
"""
import os
import time
import unittest

from installation import AT_ONCE, InstallationTestCase, reasonCodes, write


class RateTests(InstallationTestCase):
    SIZE, RATE = 6 << 20, 2 << 20

    def testSourcesAreReadNoFasterThanTheRate(self):
        installation = self.install(settings=f'[limits]\nread_rate = "{self.RATE}B/s"\n')
        write(f"{installation.source}/large", os.urandom(self.SIZE))
        for number in range(100):
            write(f"{installation.source}/small{number}", b"a little")
        began = time.monotonic()
        installation.run("snapshot")
        # A quarter of a second's worth is free.
        self.assertGreater(time.monotonic() - began, self.SIZE / self.RATE - 0.3)
        installation.configure("")
        installation.run("snapshot", "--rehash")

    def testWaitingEndsWithTheDaemon(self):
        installation = self.install(settings=AT_ONCE + '[limits]\nread_rate = "1KiB/s"\n')
        write(f"{installation.source}/large", os.urandom(self.SIZE))
        installation.startDaemon()
        installation.waitForStatus(lambda status: status["activity"]["state"] == "snapshotting", "the snapshot begins")
        began = time.monotonic()
        installation.stopDaemon()
        self.assertLess(time.monotonic() - began, 20)


class BatteryTests(InstallationTestCase):
    def plug(self, online, capacity):
        write(f"{self.supplies}/AC/type", "Mains\n")
        write(f"{self.supplies}/AC/online", f"{online:d}\n")
        for name, value in (("type", "Battery"), ("status", "Charging" if online else "Discharging"), ("capacity", capacity)):
            write(f"{self.supplies}/BAT0/{name}", f"{value}\n")

    def powered(self, settings, online, capacity):
        installation = self.install(settings=settings)
        self.supplies = f"{installation.directory}/power"
        installation.environment["AUTO_BACKUP_POWER_SUPPLIES"] = self.supplies
        self.plug(online, capacity)
        write(f"{installation.source}/document", "first")
        installation.startDaemon()
        return installation

    def testArchivingWaitsForTheMainsAndSaysSo(self):
        installation = self.powered(AT_ONCE, True, 90)
        installation.waitForSnapshot(1)
        installation.waitForStatus(lambda status: status["activity"]["state"] == "idle", "idle")
        self.plug(False, 90)
        write(f"{installation.source}/document", "second")
        installation.waitForSnapshot(2)
        self.plug(False, 12)
        write(f"{installation.source}/document", "third")
        status = installation.waitForStatus(lambda status: "deferred" in reasonCodes(status), "deferred")
        self.assertEqual(status["verdict"], "protected")
        message = next(reason["message"] for reason in status["reasons"] if reason["code"] == "deferred")
        self.assertRegex(message, "battery is at 12%, below 30%.*at the latest")
        status = installation.waitForStatus(lambda status: (status["activity"]["next"] or {}).get("waiting_for") == "mains power", "what it waits for")
        self.assertEqual(status["latest_snapshot"]["number"], 2)
        self.assertGreater(status["pending"]["paths"], 0)
        self.assertIn("deferred", installation.run("status", expect=None))
        # Whoever asks gets one, and what comes next waits again.
        installation.run("snapshot")
        self.assertEqual(installation.run("cat", f"{installation.source}/document"), "third")
        write(f"{installation.source}/document", "fourth")
        installation.waitForStatus(lambda status: "deferred" in reasonCodes(status) and status["pending"]["paths"] > 0, "deferred again")
        # The plug is seen within a minute.
        self.plug(True, 12)
        installation.waitForSnapshot(4)
        installation.waitForStatus(lambda status: "deferred" not in reasonCodes(status), "not deferred")

    def testNoLongerThanTheLongestWait(self):
        installation = self.powered(AT_ONCE + '[limits]\nlongest_wait = "3s"\n', False, 5)
        installation.waitForStatus(lambda status: "deferred" in reasonCodes(status), "deferred")
        installation.waitForSnapshot(1)
        write(f"{installation.source}/document", "second")
        status = installation.waitForSnapshot(2)
        self.assertEqual(installation.run("cat", f"{installation.source}/document"), "second")


if __name__ == "__main__":
    unittest.main()
