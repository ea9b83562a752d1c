#!/usr/bin/env python3
"""Writes the format vectors: small repositories, each with one thing that a reader must get right or refuse.

In:  the scenarios below.  With a directory as argument they are written there, else beside this file.
Out: SCENARIO/repository, SCENARIO/key (key-2 and passphrase where they are needed), SCENARIO/expected.json.
Invariant: the same bytes in every run and on every machine.  Keys, salts, IVs and times are fixed, and compressed payloads
come from compressed.json, for compressors differ from version to version; --compress adds those that are missing.

expected.json:
  scenario    a sentence
  expect      "success", or what a reader must refuse or report (names of ArchiveError.Code, and a few more)
  verify      exit status of a verification of everything
  keys        key files to be given; with "passphrase" the repository is opened by the passphrase alone
  snapshots   number: {"result": "whole", "part" or "refused", "entries": all that is restored, "lost": paths that must not be there}
  pins, tags  [number], {number: [text]}
  merged      {number: the snapshot that stands for it}
Paths and bytes are hexadecimal, `modified` is seconds and nanoseconds; of an entry, members that are empty or 0 are left out.
"""
import json
import os
import shutil
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "InteroperationTests")]
sys.dont_write_bytecode = True

import make_repository as made  # noqa: E402
import sound_scenarios  # noqa: E402, F401
import refused_scenarios  # noqa: E402, F401
from vector import SCENARIOS, Vector  # noqa: E402


def make(folder, name):
    function, properties = SCENARIOS[name]
    folder = os.path.join(folder, name)
    os.makedirs(folder)
    vector = type("Scenario", (Vector,), {"two_keys": "key-2" in properties.get("keys", ())})(folder, name, slots=properties.pop("slots", False))
    function(vector)
    expected = {"verify": 0, "keys": ["key"], "passphrase": False, **properties}
    expected["snapshots"] = {str(number): vector.expected[number] for number in sorted(vector.expected)}
    expected["pins"], expected["tags"] = vector.pins, {str(number): texts for number, texts in vector.tags.items()}
    expected["merged"] = {str(number): into for number, into in vector.merged.items()}
    made.write_side_files(folder, vector)
    for file, needed in (("key", "key" in expected["keys"]), ("key-2", "key-2" in expected["keys"]), ("passphrase", expected["passphrase"])):
        if not needed:
            os.unlink(os.path.join(folder, file))
    with open(os.path.join(folder, "expected.json"), "w", encoding="utf-8") as file:
        file.write(spelled(expected) + "\n")


def spelled(value, indent=""):
    """JSON with a line for each entry and each member that is not nested."""
    deeper = indent + " "
    if isinstance(value, dict) and "path" not in value:
        return "{" + ",".join(f"\n{deeper}{json.dumps(key)}: {spelled(value[key], deeper)}" for key in value) + "}"
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return "[" + ",".join(f"\n{deeper}{json.dumps(entry, ensure_ascii=False)}" for entry in value) + "]"
    return json.dumps(value, ensure_ascii=False)


def main(arguments):
    if "--compress" in arguments:
        arguments.remove("--compress")
        Vector.compressing = True
    folder = arguments[0] if arguments else HERE
    for name in SCENARIOS:
        shutil.rmtree(os.path.join(folder, name), ignore_errors=True)
        make(folder, name)


if __name__ == "__main__":
    main(sys.argv[1:])
