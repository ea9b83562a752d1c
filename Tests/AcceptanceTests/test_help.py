"""What helps at the command line, made by the programs themselves: manual pages, and completions for three shells.

In:  the programs.  Out: pages without a complaint of two formatters, that name every command and option; completions that complete.
"""
import json
import os
import shutil
import subprocess
import tempfile
import unittest

from installation import PROJECT, binariesDirectory, read


def commands(command, words=()):
    """Every command that can be called, as its words, with its own description."""
    below = [sub for sub in command.get("subcommands", []) if sub["shouldDisplay"] and sub["commandName"] != "help"]
    if not below:
        yield words, command
    for sub in below:
        yield from commands(sub, (*words, sub["commandName"]))


class HelpTests(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = cls.enterClassContext(tempfile.TemporaryDirectory())
        script = f'. "{PROJECT}/Scripts/help"; cd "{cls.folder}"; install_help "{binariesDirectory()}" bash zsh fish man'
        subprocess.run(["bash", "-euc", script], check=True)

    def file(self, *parts):
        return os.path.join(self.folder, *parts)

    def pages(self):
        return [self.file("man", "man1", "watchctl.1"), self.file("man", "man8", "watchd.8")]

    def testFormattersHaveNothingToSay(self):
        formatters = [words for words in (["groff", "-man", "-ww", "-z", "-Tutf8"], ["mandoc", "-Tlint"]) if shutil.which(words[0])]
        if not formatters:
            self.skipTest("neither groff nor mandoc is installed")
        for words in formatters:
            for page in self.pages():
                done = subprocess.run([*words, page], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
                self.assertEqual((done.returncode, done.stdout), (0, ""))

    def testPageNamesEveryCommandAndOption(self):
        dump = subprocess.run([os.path.join(binariesDirectory(), "watchctl"), "--experimental-dump-help"], check=True, stdout=subprocess.PIPE)
        page = read(self.pages()[0]).decode().replace("\\-", "-")
        found = list(commands(json.loads(dump.stdout)["command"]))
        self.assertGreater(len(found), 35)
        for words, command in found:
            section = page.split(f'.SS "{" ".join(words)}"\n')
            self.assertEqual(len(section), 2, words)
            text = section[1].split("\n.S")[0]
            for argument in command["arguments"]:
                for name in argument.get("names") or []:
                    if argument["shouldDisplay"] and name["name"] not in ("help", "h", "version"):
                        self.assertIn(("--" if name["kind"] == "long" else "-") + name["name"], text, words)

    def testHiddenOptionsStayHidden(self):
        for page in self.pages():
            self.assertNotIn(b"print\\-unit", read(page))

    def testShellsReadTheirCompletions(self):
        for shell in filter(shutil.which, ("bash", "zsh", "fish")):
            for program in ("watchctl", "watchd"):
                name = {"bash": program, "zsh": f"_{program}", "fish": f"{program}.fish"}[shell]
                done = subprocess.run([shell, "-n", self.file(shell, name)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
                self.assertEqual((done.returncode, done.stdout), (0, ""), shell)

    def testBashCompletesCommandsAndOptions(self):
        def complete(*words):
            line = " ".join(words)
            script = (f'PATH={binariesDirectory()}:$PATH; . "{self.file("bash", "watchctl")}"; COMP_WORDS=({" ".join(repr(word) for word in words)})\n'
                      f'COMP_CWORD={len(words) - 1} COMP_LINE={line!r} COMP_POINT={len(line)}; function=$(complete -p watchctl)\n'
                      'function=${function#*-F }; ${function%% *} watchctl "${COMP_WORDS[COMP_CWORD]}" ""; printf "%s\\n" "${COMPREPLY[@]}"')
            done = subprocess.run(["bash", "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            return sorted(word.strip() for word in done.stdout.split("\n") if word.strip())

        self.assertEqual(complete("watchctl", "snap"), ["snapshot", "snapshots"])
        self.assertEqual(complete("watchctl", "restore", "--over"), ["--overwrite"])


if __name__ == "__main__":
    unittest.main()
