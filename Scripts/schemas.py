#!/usr/bin/env python3
"""Writes a JSON Schema for each form of `watchctl … --json`.

Usage: Scripts/schemas.py DIRECTORY
In:  the tables of JSONForms.md, which are the documentation.  Out: DIRECTORY/status.schema.json and so on, one file per heading.
A key that a schema does not name is allowed: keys are added in later versions. Source: JSON Schema, draft 2020-12.
"""
import json
import os
import re
import sys

PAGE = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "Sources", "Agent", "Agent.docc", "JSONForms.md")
TYPES = {
    "text": {"type": "string"},
    "time": {"type": "string", "format": "date-time", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$"},
    "number": {"type": "integer", "minimum": 0},
    "amount": {"type": "number"},
    "flag": {"type": "boolean"},
    "object": {"type": "object", "properties": {}, "required": []},
    "array": {"type": "array", "items": {"type": "object", "properties": {}, "required": []}},
    "array of text": {"type": "array", "items": {"type": "string"}},
}


def schemas(page=PAGE):
    """{heading: schema} of all tables whose first column is `key`."""
    result = {}
    with open(page, encoding="utf-8") as file:
        sections = re.split(r"^## ", file.read(), flags=re.MULTILINE)[1:]
    for section in sections:
        heading, _, body = section.partition("\n")
        rows = [[cell.strip() for cell in line.strip().strip("|").split("|")] for line in body.splitlines() if line.startswith("|")]
        assert rows[0] == ["key", "type", "meaning"], heading
        result[heading] = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": f"watchctl {heading} --json", **schema(rows[2:])}
    return result


def schema(rows):
    """Of rows (key, type, meaning); that of an object or array stands before those of what is in it."""
    root = value("array" if rows[0][0] == "`[]`" else "object")
    # By the beginning of the keys in them.
    objects = {"": root, "[]": root.get("items")}
    for key, kind, meaning in rows:
        key, optional, kind = key.strip("`"), kind.endswith(", optional"), kind.removesuffix(", optional")
        if key == "[]":
            continue
        place, _, name = key.rpartition(".")
        here = value(kind)
        if meaning:
            here["description"] = meaning.replace("`", "")
        objects[key], objects[key + "[]"] = here, here.get("items")
        objects[place]["properties"][name] = here
        if not optional:
            objects[place]["required"].append(name)
    return root


def value(kind):
    base, isNullable = kind.removesuffix("or null").rstrip(" ,"), kind.endswith("or null")
    if base.startswith("one of "):
        return {"enum": base.removeprefix("one of ").split(", ") + [None] * isNullable}
    result = json.loads(json.dumps(TYPES[base]))
    if isNullable:
        result["type"] = [result["type"], "null"]
    return result


def main():
    if len(sys.argv) != 2 or sys.argv[1].startswith("-"):
        print("Usage: Scripts/schemas.py DIRECTORY", file=sys.stderr)
        return 64
    os.makedirs(sys.argv[1], exist_ok=True)
    for heading, form in schemas().items():
        with open(os.path.join(sys.argv[1], re.sub(r"[ -]+", "-", heading) + ".schema.json"), "w", encoding="utf-8") as file:
            json.dump(form, file, indent=1, ensure_ascii=False)
            file.write("\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
