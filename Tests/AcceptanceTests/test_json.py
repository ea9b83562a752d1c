"""Every --json form is as Sources/Agent/Agent.docc/JSONForms.md says: each key there, each of its type, and none besides.

In:  the tables of that page, and what the commands print on a small repository.  Out: agreement.
"""
import os
import re
import shutil
import unittest

from installation import (AT_ONCE, DAMAGED, FAILED, PARTIAL, PROJECT, InstallationTestCase, read, write)

PAGE = os.path.join(PROJECT, "Sources", "Agent", "Agent.docc", "JSONForms.md")
TIME = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")


class Key:
    """A row of a table: what the value of one key may be."""

    def __init__(self, text):
        self.optional = text.endswith(", optional")
        text = text.removesuffix(", optional")
        self.nullable = text.endswith("or null")
        self.type = text.removesuffix("or null").rstrip(" ,")
        self.choices = self.type.removeprefix("one of ").split(", ") if self.type.startswith("one of ") else None
        known = {"text", "time", "number", "amount", "flag", "object", "array", "array of text"}
        assert self.choices or self.type in known, f"{self.type!r} is no type of the page"

    def fits(self, value):
        if value is None:
            return self.nullable
        if self.choices:
            return value in self.choices
        # In Python a truth value is a number as well.
        isNumber = isinstance(value, (int, float)) and not isinstance(value, bool)
        return {
            "text": lambda: isinstance(value, str),
            "time": lambda: isinstance(value, str) and bool(TIME.match(value)),
            "number": lambda: isNumber and isinstance(value, int) and value >= 0,
            "amount": lambda: isNumber,
            "flag": lambda: isinstance(value, bool),
            "object": lambda: isinstance(value, dict),
            "array": lambda: isinstance(value, list),
            "array of text": lambda: isinstance(value, list) and all(isinstance(item, str) for item in value),
        }[self.type]()


def forms():
    """{heading: {key: Key}} of all tables whose first column is `key`."""
    result = {}
    for section in re.split(r"^## ", read(PAGE).decode(), flags=re.MULTILINE)[1:]:
        heading, _, body = section.partition("\n")
        rows = [[cell.strip() for cell in line.strip().strip("|").split("|")] for line in body.splitlines() if line.startswith("|")]
        assert rows[0][:2] == ["key", "type"], heading
        result[heading] = {row[0].strip("`"): Key(row[1]) for row in rows[2:]}
    return result


def disagreements(form, value):
    """Where a value is not as its form says; `seen` are the keys that had a value other than null, an optional one included."""
    found, seen = [], set()

    def look(place, value):
        key = form.get(place)
        if key is None:
            found.append(f"{place} is not on the page")
            return
        if not key.fits(value):
            found.append(f"{place}: {value!r} is no {key.choices or key.type}{' or null' if key.nullable else ''}")
            return
        if value is not None:
            seen.add(place)
        if isinstance(value, dict):
            members(place + ".", value)
        elif key.type == "array":
            for item in value:
                members(place + "[]." if place != "[]" else "[].", item)

    def members(prefix, value):
        if not isinstance(value, dict):
            found.append(f"{prefix}: {value!r} is no object")
            return
        for name in value:
            look(prefix + name, value[name])
        for name, key in form.items():
            inner = name.removeprefix(prefix)
            if name.startswith(prefix) and inner != "[]" and not re.search(r"[.\[]", inner) and inner not in value and not key.optional:
                found.append(f"{name} is missing")

    if "[]" in form:
        look("[]", value)
    else:
        members("", value)
    return found, seen


class JSONTests(InstallationTestCase):
    FORMS = forms()

    def check(self, heading, value, unseen=()):
        """Compares, and requires that every key of the form had a value, but those named."""
        found, seen = disagreements(self.FORMS[heading], value)
        self.assertEqual(found, [], heading)
        missed = [key for key in self.FORMS[heading] if key not in seen and not any(key.startswith(name) for name in unseen)]
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

    def testThePageIsComparedWithEveryCommand(self):
        text = read(os.path.abspath(__file__)).decode()
        for heading in self.FORMS:
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
        found, _ = disagreements(self.FORMS["stats"], installation.run("stats", "--json"))
        self.assertEqual(found, [])

    def testExplaining(self):
        installation = self.small(settings='[exclude]\npatterns = ["!*.jpg"]\n')
        path = os.fsencode(installation.source) + b"/caf\xe9.jpg"
        write(path, "otherwise")
        self.check("explain", installation.run("explain", path, "--json"), unseen=["latest.until", "watch"])
        os.unlink(path)
        installation.snapshot()
        self.check("explain", installation.run("explain", path, "--json"), unseen=["watch"])
        for other in ("/", "/absent", f"{installation.source}/absent", f"{installation.source}/new/below", installation.source):
            found, _ = disagreements(self.FORMS["explain"], installation.run("explain", other, "--json"))
            self.assertEqual(found, [])
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
        found, _ = disagreements(self.FORMS["restore"], installation.run("restore", "--dry-run", "--to", target, "--json", expect=None))
        self.assertEqual(found, [])
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
