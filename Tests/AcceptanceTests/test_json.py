"""Every --json form is as Sources/Agent/Agent.docc/JSONForms.md says: each key there, each of its type, and none besides.

In:  the JSON Schemas that Scripts/schemas.py makes of the tables of that page, and what the commands print on a small repository.
Out: agreement, as the validator `jsonschema` sees it.
"""
import json
import os
import shutil
import subprocess
import sys
import unittest

import jsonschema

from installation import (AT_ONCE, DAMAGED, FAILED, PARTIAL, PROJECT, InstallationTestCase, read, write)

sys.path.insert(0, os.path.join(PROJECT, "Scripts"))
import schemas   # noqa: E402


def closed(schema):
    """The same schema, which allows no key that it does not name."""
    if isinstance(schema, list):
        return [closed(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    result = {name: closed(each) for name, each in schema.items()}
    return {**result, "additionalProperties": False} if isinstance(result.get("properties"), dict) else result


def keys(schema, prefix=""):
    """All that a schema names, as the page writes them: `outer.inner`, `array[].key`."""
    inner, prefix = (schema["items"], prefix + "[]") if "items" in schema else (schema, prefix)
    for name, each in inner.get("properties", {}).items():
        key = prefix + "." * bool(prefix) + name
        yield key
        yield from keys(each, key)


def seen(value, prefix=""):
    """The keys that have a value other than null."""
    if isinstance(value, list):
        return set().union(*[seen(each, prefix + "[]") for each in value])
    found = set()
    for name, each in value.items() if isinstance(value, dict) else ():
        if each is not None:
            key = prefix + "." * bool(prefix) + name
            found |= {key} | seen(each, key)
    return found


FORMS = schemas.schemas()


def disagreements(heading, value):
    """Where a value is not as its form says."""
    return [f"{error.json_path}: {error.message}" for error in jsonschema.Draft202012Validator(closed(FORMS[heading])).iter_errors(value)]


class JSONTests(InstallationTestCase):
    def assertFits(self, heading, value):
        self.assertEqual(disagreements(heading, value), [], heading)

    def check(self, heading, value, unseen=()):
        """Compares, and requires that every key of the form had a value, but those named."""
        self.assertFits(heading, value)
        missed = [key for key in keys(FORMS[heading]) if key not in seen(value) and not any(key.startswith(name) for name in unseen)]
        self.assertEqual(missed, [], f"{heading}: nothing was compared with these keys")

    def small(self, settings=""):
        """Two snapshots of a few files, one of them with a name that is not UTF-8."""
        installation = self.install(settings=settings)
        write(f"{installation.source}/folder/document.txt", "first" * 100)
        write(os.fsencode(installation.source) + b"/caf\xe9.jpg", b"x" * 5000)
        installation.snapshot()
        write(f"{installation.source}/folder/document.txt", "second")
        write(f"{installation.source}/new", "new")
        installation.snapshot("--tag", "holiday")
        return installation

    def testSchemasAreWrittenAndValid(self):
        installation = self.install()
        directory = f"{installation.directory}/schemas"
        subprocess.run([os.path.join(PROJECT, "Scripts", "schemas.py"), directory], check=True)
        self.assertEqual(len(os.listdir(directory)), len(FORMS))
        for name in os.listdir(directory):
            jsonschema.Draft202012Validator.check_schema(json.loads(read(f"{directory}/{name}")))

    def testThePageIsComparedWithEveryCommand(self):
        text = read(os.path.abspath(__file__)).decode()
        for heading in FORMS:
            self.assertIn(f'self.check("{heading}"', text)

    def testLooking(self):
        installation = self.small()
        source = installation.source
        self.check("snapshots", installation.run("snapshots", "--json"))
        self.check("ls", installation.run("ls", "-R", source, "--json"), unseen=["[].implicit"])
        self.check("ls", installation.run("ls", "/", "--json"), unseen=["[].path_base64"])
        os.unlink(os.fsencode(source) + b"/caf\xe9.jpg")
        installation.snapshot()
        self.check("history", installation.run("history", os.fsencode(source) + b"/caf\xe9.jpg", "--json"))
        self.check("history", installation.run("history", source, "--json"), unseen=["[].path_base64"])
        self.check("find", installation.run("find", "*", source, "--at", 1, "--json"))
        self.check("history", installation.run("find", "caf*", "--all", "--json"))
        self.check("diff", installation.run("diff", 2, 3, "--json"), unseen=["problems["])
        self.check("stats", installation.run("stats", "--json"))
        write(f"{source}/later", "x")
        self.check("doctor", installation.run("doctor", "--json", expect=FAILED), unseen=["watch"])

    def testStatisticsBeforeTheFirstSnapshot(self):
        installation = self.install()
        # The presets of an empty repository: null, zero and empty arrays.
        self.assertFits("stats", installation.run("stats", "--json"))

    def testExplaining(self):
        installation = self.small(settings='[exclude]\npatterns = ["!*.jpg"]\n')
        path = os.fsencode(installation.source) + b"/caf\xe9.jpg"
        write(path, "otherwise")
        self.check("explain", installation.run("explain", path, "--json"), unseen=["latest.until", "watch"])
        os.unlink(path)
        installation.snapshot()
        self.check("explain", installation.run("explain", path, "--json"), unseen=["watch"])
        for other in ("/", "/absent", f"{installation.source}/absent", f"{installation.source}/new/below", installation.source):
            self.assertFits("explain", installation.run("explain", other, "--json"))
        # With a daemon, and a change that rests for an hour.
        installation.configure('[schedule]\nquiet = "1h"\ndeadline = "1h"\n')
        installation.startDaemon()
        # What it finds at its start does not rest.
        installation.waitForStatus(lambda status: status["watch"]["reconciles"] > 0 and status["activity"]["state"] == "idle", "the comparison")
        write(f"{installation.source}/new", "newer")
        installation.waitForStatus(lambda status: status["pending"]["paths"] > 0 and status["activity"]["next"], "the change")
        report = installation.run("explain", f"{installation.source}/new", "--json")
        self.check("explain", report, unseen=["path_base64", "rule", "latest.until", "watch.unwatched", "watch.backoff_seconds"])
        self.assertIn("Pending changed at ", installation.run("explain", f"{installation.source}/new"))
        self.check("doctor", installation.run("doctor", "--json"))

    def testTaking(self):
        installation = self.small()
        source = installation.source
        write(os.fsencode(source) + b"/na\xefve", "1")
        os.rename(f"{source}/new", f"{source}/newer")
        os.rename(source, source + ".away")
        self.check("diff", installation.run("diff", 1, "--json", expect=PARTIAL), unseen=["to", "changes[].path_base64"])
        self.check("snapshot --dry-run", installation.run("snapshot", "--dry-run", "--json"), unseen=["changes"])
        os.rename(source + ".away", source)
        preview = installation.run("snapshot", "--dry-run", "--json")
        self.assertEqual({change["letter"] for change in preview["changes"]}, {"A", "M", "D"})
        self.check("snapshot --dry-run", preview, unseen=["problems["])
        self.check("snapshot", installation.snapshot(), unseen=["problems["])
        self.check("snapshot", installation.snapshot(), unseen=["problems["])
        os.rename(source, source + ".away")
        self.check("snapshot", installation.snapshot(expect=PARTIAL))

    def testKeeping(self):
        installation = self.small(settings="[keep]\nlast = 1\n")
        self.check("rotate", installation.run("rotate", "--dry-run", "--json"))
        for depth in (["--digests"], ["--sample", "50%"], ["--data"]):
            self.check("verify", installation.run("verify", *depth, "--json"), unseen=["findings["])
        self.check("rotate", installation.run("rotate", "--json"))
        archive = f"{installation.repository}/archives/{installation.archives()[0]}"
        os.chmod(archive, 0o600)
        with open(archive, "r+b") as file:
            file.seek(200)
            file.write(b"damage")
        report = installation.run("verify", "--data", "--json", expect=DAMAGED)
        self.check("verify", report, unseen=["covered_since", "archives[].verified"])

    def testMending(self):
        installation = self.small()
        self.check("compact", installation.run("compact", "--json"))
        lost = ["lost_snapshots[", "lost["]
        self.check("repair", installation.run("repair", "--json"), unseen=lost)
        # What stood only here, in a state that the sources do not have any more, is lost for good.
        archive = f"{installation.repository}/archives/{installation.archives()[0]}"
        with open(archive, "r+b") as file:
            file.seek(100)
            file.write(b"damage")
        self.check("repair", installation.run("repair", "--json", expect=DAMAGED), unseen=["lost_snapshots["])

    def testRestoring(self):
        installation = self.small()
        target = f"{installation.directory}/target"
        self.check("restore", installation.restore(1, target), unseen=["problems["])
        self.check("restore", installation.restore(2, target, expect=PARTIAL), unseen=["problems["])
        self.assertFits("restore", installation.run("restore", "--dry-run", "--to", target, "--json", expect=None))
        # A repository without its archives restores nothing, and names what is lost.
        shutil.rmtree(target)
        archive = f"{installation.repository}/archives/{installation.archives()[0]}"
        with open(archive, "r+b") as file:
            file.seek(100)
            file.write(b"damage")
        self.check("restore", installation.restore(1, target, expect=PARTIAL))

    def testStatus(self):
        installation = self.small(settings=AT_ONCE)
        # No daemon: what the catalog knows.
        never = ["activity.progress", "watch.unwatched[", "pending.oldest_age_seconds", "pending.hot["]
        self.check("status", installation.status(), unseen=never + ["daemon.", "activity.next", "watch.", "repository.last_verified", "confirmed"])
        installation.run("verify", "--json")
        installation.startDaemon()
        installation.waitForStatus(lambda status: status["verdict"] == "protected" and status["activity"]["next"], "protection")
        installation.run("pause")
        report = installation.waitForStatus(lambda status: status["reasons"], "a reason")
        self.check("status", report or installation.status(), unseen=never + ["activity.next", "repository.last_verified"])


if __name__ == "__main__":
    unittest.main()
