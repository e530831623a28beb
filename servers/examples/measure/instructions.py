#!/usr/bin/env python3
"""User-space instructions and heap allocations per request, exactly.

A server runs under callgrind for 2,000 and again for 12,000 requests over 8 connections; the
difference, divided by 10,000, is a request's share, without startup and shutdown. The same by
source line shows where they go: in a release build everything is inlined, so functions would show
little. With --allocations, heap blocks are counted the same way, under memcheck.

callgrind does not announce AVX-512, so the parser does not use it there. With --native nothing is
simulated: the example `steps` stops the processor after every instruction, in sped and in a worker
of symped. That is slow, so what a server does every second counts a little, too: the figure is
reproducible only on an otherwise idle machine.

    cargo build --release --bins --examples
    cargo build --release -p stampede-reactor --example floor
    servers/examples/measure/instructions.py [--path /plaintext] [--root DIR] [--lines 40]
        [--allocations] [--native] [--check]
"""

import argparse
import collections
import os
import re
import subprocess
import tempfile

import bench
from bench import Report, Server, floor, sped, symped

FEW, MANY = 2_000, 12_000
NATIVE_FEW, NATIVE_MANY = 400, 2_400
INSTRUCTIONS_MAX = 1_000
WORKER_INSTRUCTIONS_MAX = 1_050
# A cached file is checked again by time, not per request: a few times while valgrind runs.
ALLOCATIONS_MAX = 0.01


def load(server, path, requests):
    command = ["h2load", "--h1", "-c", "8", "-n", str(requests), server.url(path)]
    text = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    if f"{requests} succeeded" not in text:
        raise SystemExit(f"h2load: not all requests succeeded\n{text}")


def run_under(tool, command, path, requests):
    """Runs a server under a tool of valgrind; returns the path of the tool's output."""
    with tempfile.NamedTemporaryFile(delete=False) as out, tempfile.NamedTemporaryFile(
        delete=False
    ) as log:
        pass
    options = {
        "callgrind": [f"--callgrind-out-file={out.name}", "--dump-instr=no"],
        "memcheck": ["--leak-check=no", "--undef-value-errors=no"],
    }[tool]
    wrapped = ["valgrind", f"--tool={tool}", f"--log-file={log.name}", *options, *command]
    with Server(tool, wrapped) as server:
        load(server, path, requests)
    if tool == "callgrind":
        os.unlink(log.name)
        return out.name
    os.unlink(out.name)
    return log.name


class Profile:
    """Instructions by (file, line) of one callgrind run, self cost only."""

    def __init__(self, path):
        self.lines = collections.Counter()
        self.functions = collections.Counter()
        self.names = {}
        file = function = None
        line = 0
        inherited = False  # The cost line after `calls=` is the callee's.
        for text in open(path):
            if match := re.match(r"(fl|fi|fe|fn|cfn|cfi|cfl|ob|cob)=(.*)", text):
                kind, name = match[1], self.name(match[1], match[2])
                if kind in ("fl", "fi", "fe"):
                    file = name
                elif kind == "fn":
                    function = name
            elif text.startswith("calls="):
                inherited = True
            elif match := re.match(r"([+-]?\d+|\*)(?: (\d+))?$", text.strip()):
                line = self.position(line, match[1])
                if not inherited and match[2]:
                    self.lines[file, line] += int(match[2])
                    self.functions[function] += int(match[2])
                inherited = False
        os.unlink(path)

    def name(self, kind, text):
        """`(12) name` defines a name, `(12)` uses it; files, functions, objects count apart."""
        space = (
            "file"
            if kind in ("fl", "fi", "fe", "cfi", "cfl")
            else "function" if "fn" in kind else "object"
        )
        match = re.match(r"\((\d+)\)(?: (.*))?", text)
        if match[2] is not None:
            self.names[space, match[1]] = match[2]
        return self.names.get((space, match[1]), text)

    @staticmethod
    def position(last, text):
        if text == "*":
            return last
        return last + int(text) if text[0] in "+-" else int(text)

    def total(self):
        return sum(self.lines.values())


def per_request(more, fewer):
    difference = collections.Counter(more)
    difference.subtract(fewer)
    return {key: count / (MANY - FEW) for key, count in difference.items() if count > 0}


def short(file):
    """A short path: from the crate or the standard library on."""
    for mark in (bench.ROOT + "/", "/library/", "/registry/src/"):
        if mark in file:
            file = file.split(mark, 1)[1]
    return re.sub(r"^index\.[^/]+/", "", file)


def source_line(file, line):
    try:
        with open(file, encoding="utf-8", errors="replace") as source:
            return source.read().splitlines()[line - 1].strip()[:60]
    except (OSError, IndexError):
        return ""


def show_profile(more, fewer, lines_shown):
    by_line = per_request(more.lines, fewer.lines)
    by_file = collections.Counter()
    for (file, _), count in by_line.items():
        by_file[short(file)] += count
    for title, table in (
        ("by file", by_file),
        ("by function, as compiled", per_request(more.functions, fewer.functions)),
    ):
        print(f"\n  {title}")
        for name, count in sorted(table.items(), key=lambda item: -item[1])[:30]:
            if count >= 1:
                print(f"  {count:9.1f}  {str(name)[:110]}")
    print("\n  by line")
    for (file, line), count in sorted(by_line.items(), key=lambda item: -item[1])[:lines_shown]:
        print(f"  {count:9.1f}  {short(file)}:{line}  {source_line(file, line)}")


def instructions(name, command, path, lines_shown):
    fewer = Profile(run_under("callgrind", command, path, FEW))
    more = Profile(run_under("callgrind", command, path, MANY))
    count = (more.total() - fewer.total()) / (MANY - FEW)
    print(f"\n{name} {path}: {count:,.1f} instructions a request", flush=True)
    if lines_shown:
        show_profile(more, fewer, lines_shown)
    return count


def steps(command, path, requests):
    """Instructions of the serving process, from when it listens until it exits."""
    program = os.path.join(bench.bin_dir(), "examples", "steps")
    with Server("steps", command) as server:
        # A master's only worker, or the server itself.
        pid = server.pids()[-1]
        stepper = subprocess.Popen([program, str(pid)], stdout=subprocess.PIPE, text=True)
        if stepper.stdout.readline() != "attached\n":
            raise SystemExit("steps could not attach (is kernel.yama.ptrace_scope above 1?)")
        load(server, path, requests)
    return int(stepper.communicate()[0].split()[0])


def native(command, path):
    more, fewer = (steps(command, path, requests) for requests in (NATIVE_MANY, NATIVE_FEW))
    return (more - fewer) / (NATIVE_MANY - NATIVE_FEW)


def allocations(command, path):
    def blocks(requests):
        log = run_under("memcheck", command, path, requests)
        text = open(log).read()
        os.unlink(log)
        return int(re.search(r"total heap usage: ([\d,]+) allocs", text)[1].replace(",", ""))

    return (blocks(MANY) - blocks(FEW)) / (MANY - FEW)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--path", default="/plaintext")
    parser.add_argument("--root", help="a directory for sped to serve")
    parser.add_argument("--lines", type=int, default=0, help="source lines to list, dearest first")
    parser.add_argument("--no-floor", action="store_true")
    parser.add_argument("--allocations", action="store_true", help="count heap allocations, too")
    parser.add_argument("--native", action="store_true", help="as the processor counts, too")
    parser.add_argument("--check", action="store_true", help="exit with 1 when a bound is missed")
    arguments = parser.parse_args()
    bench.environment()
    site = sped(*(["--root", arguments.root, "--demo"] if arguments.root else []))
    report = Report(arguments.check)
    if not arguments.no_floor:
        instructions("floor", floor(), arguments.path, 0)
    count = instructions("sped", site, arguments.path, arguments.lines)
    print()
    if arguments.path == "/plaintext":
        report.at_most("instructions a request", count, INSTRUCTIONS_MAX, digits=1)
    if arguments.native:
        options = site[3:]
        for name, command, most in (
            ("sped", site, INSTRUCTIONS_MAX),
            ("a worker of symped", symped("--workers", 1, *options), WORKER_INSTRUCTIONS_MAX),
        ):
            count = native(command, arguments.path)
            report.at_most(f"natively, {name}", count, most, digits=1)
    if arguments.allocations:
        report.at_most(
            "heap allocations a request",
            allocations(site, arguments.path),
            ALLOCATIONS_MAX,
            digits=4,
        )
    report.finish()


if __name__ == "__main__":
    main()
