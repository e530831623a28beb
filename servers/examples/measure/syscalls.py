#!/usr/bin/env python3
"""System calls per request, counted by strace -c, of sped and of the floor under the same load.

strace slows a server down, so that more requests wait at each turn than would without it: compare the
share of epoll_wait with the floor's in the same table, not with a figure from elsewhere.

    cargo build --release --bins && cargo build --release -p stampede-reactor --example floor
    servers/examples/measure/syscalls.py [--check]
"""

import argparse
import re
import signal
import subprocess
import tempfile
import time

import bench
from bench import Report, Server, floor, sped, wrk

RECEIVES = ("recvfrom", "read", "recvmsg")
SENDS = ("sendto", "write", "writev", "sendmsg")
WAITS = ("epoll_wait", "epoll_pwait", "epoll_pwait2")


class Traced:
    """Counts a server's system calls while the block runs."""

    def __init__(self, server):
        self.out = tempfile.NamedTemporaryFile("r")
        command = ["strace", "-c", "-f", "-w", "-o", self.out.name, "-p", str(server.process.pid)]
        self.strace = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        if "attached" not in self.strace.stderr.readline():
            raise SystemExit("strace could not attach")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        # What the end of the load leaves behind (closing connections) is not the requests'.
        self.strace.send_signal(signal.SIGINT)
        self.strace.wait(10)
        self.counts = {}
        for line in self.out.read().splitlines():
            fields = line.split()
            if len(fields) >= 5 and re.fullmatch(r"[\d.]+", fields[0]) and fields[-1] != "total":
                self.counts[fields[-1]] = int(fields[3])


def calls_per_request(name, command, per_connection=False, **load):
    with Server(name, command) as server:
        with Traced(server) as traced:
            outcome = wrk(server, seconds=2, **load)
            time.sleep(0.2)
    setup = load.get("connections", 64)
    calls = {call: count / outcome.requests for call, count in traced.counts.items()}
    if not per_connection:
        # Accepting, registering and closing the few connections is no part of a keep-alive request.
        for call in ("accept4", "epoll_ctl", "close"):
            if traced.counts.get(call, 0) <= 2 * setup + 2:
                calls.pop(call, None)
    return calls, outcome


def together(calls, names):
    return sum(calls.get(name, 0) for name in names)


def show(title, calls, outcome):
    total = sum(calls.values())
    detail = ", ".join(f"{call} {count:.3f}" for call, count in sorted(calls.items(), key=lambda c: -c[1]) if count >= 0.0005)
    print(f"  {title:<34}{total:7.3f}   {detail}   ({outcome.requests:,} requests) {outcome.trouble}", flush=True)


def compare(title, options=(), floor_options=(), per_connection=False, **load):
    """The floor's and sped's calls under the same load."""
    print(f"\n{title}")
    base, outcome = calls_per_request("floor", floor(*floor_options), per_connection, **load)
    show("floor", base, outcome)
    calls, outcome = calls_per_request("sped", sped(*options), per_connection, **load)
    show("sped", calls, outcome)
    return base, calls


def judge_pair(report, what, calls, requests=1):
    """One receive and one send for so many requests, and nothing but waiting beside them."""
    report.at_most(f"{what}: receives", together(calls, RECEIVES) * requests, 1.02, digits=3)
    report.at_most(f"{what}: sends", together(calls, SENDS) * requests, 1.02, digits=3)
    others = sum(count for call, count in calls.items() if call not in RECEIVES + SENDS + WAITS)
    report.at_most(f"{what}: others", others * requests, 0.01, digits=3)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="exit with 1 when a bound is missed")
    arguments = parser.parse_args()
    bench.environment()
    report = Report(arguments.check)

    base, calls = compare("keep-alive /plaintext, 64 connections")
    judge_pair(report, "64 connections", calls)
    # The floor's own figure wanders by a tenth from run to run.
    report.at_most("64 connections: waits, to the floor's", together(calls, WAITS) / together(base, WAITS), 1.1)
    _, calls = compare("the same, 1 connection", connections=1)
    report.at_most("1 connection: all", sum(calls.values()), 3.02, digits=3)
    _, calls = compare("16 pipelined, 64 connections", script="pipeline.lua")
    judge_pair(report, "a batch of 16", calls, 16)
    close = {"header": "Connection: close", "per_connection": True}
    _, calls = compare("a connection each", floor_options=["--close"], **close)
    report.at_most("a connection each: all", sum(calls.values()), 8.05, digits=3)
    _, calls = compare("a connection each, deferred", ["--defer-accept", "10s"], ["--close", "--defer-accept"], **close)
    report.at_most("a connection each, deferred: all", sum(calls.values()), 5.05, digits=3)
    print()
    report.finish()


if __name__ == "__main__":
    main()
