#!/usr/bin/env python3
"""What may use what in servers/: dependencies point down, and nothing goes in circles.

Two rules, over every path that begins with `crate::`, `super::` or `self::` (comments and tests do
not count):

1. A module uses modules of its own layer and of those below it (LAYERS).
2. Of the files and folders that lie beside each other, at every level, none leads back to itself.
   A folder counts as one with all that is in it. A folder's mod.rs stands for the folder: it has
   the types that the files in it share, and it names those files; so uses between it and them are
   no circle, and only they are exempt. What a mod.rs hands on from one of them to another is not
   followed.

Prints each violation with its file and line; the status is 1 if there is any.
"""

import collections
import pathlib
import re
import sys

LAYERS = [
    ["lab"],
    ["start"],
    ["models"],
    ["drivers", "supervisor"],
    ["session", "work", "operation"],
    ["site"],
    ["app", "metrics", "options", "access_log", "model", "failure", "report"],
]
ROOT = pathlib.Path(__file__).resolve().parent.parent
SERVERS = ROOT / "servers"

Use = collections.namedtuple("Use", "source target file line")


def modules():
    """All files that count, by the path of their module: ("site", "demo") for site/demo.rs."""
    found = {}
    for file in sorted(SERVERS.rglob("*.rs")):
        path = file.relative_to(SERVERS).with_suffix("").parts
        if path[0] in ("bin", "examples", "lib") or path[-1] == "tests" or "tests" in path:
            continue
        found[path[:-1] if path[-1] == "mod" else path] = file
    return found


def code(file):
    """The file's text with its lines where they were, without comments and the tests at its end."""
    text = re.sub(r"//.*", "", file.read_text())
    return re.split(r"#\[cfg\(test\)\]\s*(?:pub(?:\([a-z]+\))? )?mod \w+ \{", text)[0]


def leaves(text, at):
    """The paths that a use tree stands for, from `at` on: a::{b, c::{d}} is a::b and a::c::d."""
    name = re.compile(r"\s*(\w+|\*)\s*(::)?")
    path = []
    while match := name.match(text, at):
        path.append(match[1])
        at = match.end()
        if not match[2]:
            return [path], at
        if text[at : at + 1] == "{":
            break
    if text[at : at + 1] != "{":
        return [path], at
    found, at = [], at + 1
    while not re.compile(r"\s*\}").match(text, at):
        inner, at = leaves(text, at)
        found += [path + leaf for leaf in inner]
        alias = re.compile(r"(\s+as \w+)?\s*,?").match(text, at)
        at = alias.end()
    return found, text.index("}", at) + 1


def absolute(path, module):
    """A path from the crate's root, as it is meant in `module`."""
    if path[0] == "crate":
        return tuple(path[1:])
    base, path = module, list(path)
    while path and path[0] in ("super", "self"):
        base = base[:-1] if path.pop(0) == "super" else base
    return base + tuple(path)


def uses(found):
    for module, file in found.items():
        text = code(file)
        for match in re.finditer(r"(?<![\w:])(?=(?:crate|super|self)::)", text):
            line = text.count("\n", 0, match.start()) + 1
            for leaf in leaves(text, match.start())[0]:
                target = absolute(leaf, module)
                while target and target not in found:
                    target = target[:-1]
                if target and target != module:
                    yield Use(module, target, file.relative_to(ROOT), line)


def upward(use):
    layer = {name: index for index, names in enumerate(LAYERS) for name in names}
    for name in (use.source[0], use.target[0]):
        if name not in layer:
            raise SystemExit(f".ci/layers.py: {name} is in no layer: add it to LAYERS")
    return layer[use.target[0]] < layer[use.source[0]]


def beside(use):
    """The two neighbours that a use connects, and where; None within a file, or with its mod.rs."""
    common = 0
    for a, b in zip(use.source, use.target):
        if a != b:
            break
        common += 1
    if common in (len(use.source), len(use.target)):
        return None
    return use.source[:common], use.source[common], use.target[common]


def reachable(edges, start):
    seen, queue = set(), [start]
    while queue:
        new = edges.get(queue.pop(), set()) - seen
        seen |= new
        queue += new
    return seen


def circles(all_uses):
    """The uses that are part of a circle, each with the two neighbours that it leads between."""
    levels = collections.defaultdict(lambda: collections.defaultdict(set))
    for use in all_uses:
        if found := beside(use):
            level, a, b = found
            levels[level][a].add(b)
    found = {use: beside(use) for use in all_uses if beside(use)}
    return {
        use: f"circle, {a} -> {b} -> ... -> {a}"
        for use, (level, a, b) in found.items()
        if a in reachable(levels[level], b)
    }


def main():
    all_uses = set(uses(modules()))
    problems = {use: "upward" for use in all_uses if upward(use)}
    # A use upward is not blamed on all others that it closes a circle with.
    problems |= circles([use for use in all_uses if use not in problems])
    for use, problem in sorted(problems.items(), key=lambda item: (item[0].file, item[0].line)):
        print(f"{use.file}:{use.line}: {'::'.join(use.target)} ({problem})")
    print(f"{len(all_uses)} uses, {len(problems)} that must not be")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
