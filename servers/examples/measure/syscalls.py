#!/usr/bin/env python3
"""System calls per request, counted by strace -c, of sped and of the floor under the same load.

strace slows a server down, so that more requests wait at each turn than without it: compare the
share of epoll_wait with the floor's in the same table, not with a figure from elsewhere. With
--perf the kernel's tracepoints count, at nearly full speed, but only the calls listed here.

    cargo build --release --bins && cargo build --release -p stampede-reactor --example floor
    servers/examples/measure/syscalls.py [--perf] [--check]
"""

import argparse
import os
import re
import signal
import subprocess
import tempfile
import time

import bench
from bench import Report, Server, floor, sped, wrk

RECEIVES = ("recvfrom", "read", "recvmsg")
SENDS = ("sendto", "write", "writev", "sendmsg")
CALLS = (
    "recvfrom",
    "sendto",
    "epoll_wait",
    "epoll_pwait2",
    "epoll_ctl",
    "accept4",
    "close",
    "shutdown",
    "sendmsg",
    "sendfile64",
    "setsockopt",
    "futex",
    "read",
    "write",
    "openat",
    "pread64",
)
WAITS = ("epoll_wait", "epoll_pwait", "epoll_pwait2")


class Counted:
    """Counts a server's system calls by the kernel's tracepoints: hardly slows it down."""

    def __init__(self, server):
        self.out = tempfile.NamedTemporaryFile("r")
        points = ",".join(f"syscalls:sys_enter_{call}" for call in CALLS)
        command = [
            "perf",
            "stat",
            "-x;",
            "-o",
            self.out.name,
            "-e",
            points,
            "-p",
            str(server.process.pid),
        ]
        self.perf = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        time.sleep(0.5)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.perf.send_signal(signal.SIGINT)
        self.perf.wait(10)
        found = re.findall(r"^(\d+);.*sys_enter_(\w+)", self.out.read(), re.M)
        self.counts = {call: int(count) for count, call in found if int(count)}


class Traced:
    """Counts a server's system calls while the block runs, all of them, and slows it down."""

    def __init__(self, server):
        self.out = tempfile.NamedTemporaryFile("r")
        command = ["strace", "-c", "-f", "-w", "-o", self.out.name, "-p", str(server.process.pid)]
        self.strace = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        if "attached" not in self.strace.stderr.readline():
            raise SystemExit("strace could not attach")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        # Closing connections at the end of the load does not count.
        self.strace.send_signal(signal.SIGINT)
        self.strace.wait(10)
        self.counts = {}
        for line in self.out.read().splitlines():
            fields = line.split()
            if len(fields) >= 5 and re.fullmatch(r"[\d.]+", fields[0]) and fields[-1] != "total":
                self.counts[fields[-1]] = int(fields[3])


def calls_per_request(tool, name, command, per_connection=False, **load):
    core = os.cpu_count() - 1
    with Server(name, command, core) as server:
        with tool(server) as traced:
            outcome = wrk(server, seconds=2, core=core, **load)
            time.sleep(0.2)
    setup = load.get("connections", 64)
    calls = {call: count / outcome.requests for call, count in traced.counts.items()}
    if not per_connection:
        # Accepting, registering and closing the few connections is no part of keep-alive requests.
        for call in ("accept4", "epoll_ctl", "close"):
            if traced.counts.get(call, 0) <= 2 * setup + 2:
                calls.pop(call, None)
    return calls, outcome


def together(calls, names):
    return sum(calls.get(name, 0) for name in names)


def show(title, calls, outcome):
    total = sum(calls.values())
    detail = ", ".join(
        f"{call} {count:.3f}"
        for call, count in sorted(calls.items(), key=lambda c: -c[1])
        if count >= 0.0005
    )
    print(
        f"  {title:<34}{total:7.3f}   {detail}   ({outcome.requests:,} requests) {outcome.trouble}",
        flush=True,
    )


def compare(tool, title, options=(), floor_options=(), per_connection=False, **load):
    """The floor's and sped's calls under the same load."""
    print(f"\n{title}")
    base, outcome = calls_per_request(tool, "floor", floor(*floor_options), per_connection, **load)
    show("floor", base, outcome)
    calls, outcome = calls_per_request(tool, "sped", sped(*options), per_connection, **load)
    show("sped", calls, outcome)
    return base, calls


def judge_pair(report, what, calls, requests=1):
    """One receive and one send for this many requests, and nothing else but waiting."""
    report.at_most(f"{what}: receives", together(calls, RECEIVES) * requests, 1.02, digits=3)
    report.at_most(f"{what}: sends", together(calls, SENDS) * requests, 1.02, digits=3)
    others = sum(count for call, count in calls.items() if call not in RECEIVES + SENDS + WAITS)
    report.at_most(f"{what}: others", others * requests, 0.01, digits=3)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="exit with 1 when a bound is missed")
    parser.add_argument(
        "--perf", action="store_true", help="count by perf stat, which needs root and tracefs"
    )
    arguments = parser.parse_args()
    bench.environment()
    report = Report(arguments.check)
    tool = Counted if arguments.perf else Traced

    base, calls = compare(tool, "keep-alive /plaintext, 64 connections")
    judge_pair(report, "64 connections", calls)
    # The floor's own figure varies by a tenth from run to run.
    report.at_most(
        "64 connections: waits, to the floor's", together(calls, WAITS) / together(base, WAITS), 1.1
    )
    _, calls = compare(tool, "the same, 1 connection", connections=1)
    report.at_most("1 connection: all", sum(calls.values()), 3.02, digits=3)
    _, calls = compare(tool, "16 pipelined, 64 connections", script="pipeline.lua")
    judge_pair(report, "a batch of 16", calls, 16)
    close = {"header": "Connection: close", "per_connection": True}
    _, calls = compare(tool, "a connection each", floor_options=["--close"], **close)
    report.at_most("a connection each: all", sum(calls.values()), 8.05, digits=3)
    _, calls = compare(
        tool,
        "a connection each, deferred",
        ["--defer-accept", "10s"],
        ["--close", "--defer-accept"],
        **close,
    )
    report.at_most("a connection each, deferred: all", sum(calls.values()), 5.05, digits=3)
    print()
    report.finish()


if __name__ == "__main__":
    main()
