#!/usr/bin/env python3
"""How long light requests take while others compute: amped and seda beside sped.

    busy      32 connections request /plaintext, 4 others /work?us=20000, all without pause
    rate      the same work, and light requests at 2,000 a second, independent of the others
    one-core  1,600 requests a second, a tenth of them 5 ms of work, the server on one core: 80 % busy
    priority  one-core for each --worker-priority
    sleeps    5,000 × /sleep?ms=50 at once, under seda: how much longer than that they take

"At a rate" means an open loop: requests are due at random moments (a Poisson process) and are sent
then, on any idle connection; latency counts from when the request was due. A client that waits for
its last answer first would send fewer requests to a slow server, and hide the delay.

    cargo build --release --bins
    servers/examples/measure/latency.py [busy] [rate] [one-core] [priority] [sleeps] [--seconds 10] [--check]
"""

import argparse
import collections
import os
import random
import select
import socket
import subprocess
import sys
import threading
import time

import bench
from bench import Report, Server, amped, median, seda, sped, wrk

LIGHT = "/plaintext"
WORK_US = 20_000
WORK_CLIENTS = 4
RATE = 2_000
CORE_RATE, CORE_WORK_US, CORE_SHARE = 1_600, 5_000, 0.1
CONNECTIONS = 1024
SLEEPS, SLEEP_MS = 5_000, 50
PRIORITIES = ["normal", "nice:5", "nice:10", "nice:19", "batch", "idle", "slice:500us"]


def request(path):
    return f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode()


class Workers:
    """Clients that request work without pause."""

    def __init__(self, server, clients=WORK_CLIENTS, us=WORK_US):
        self.done = 0
        self.stopping = False
        path = f"/work?us={us}"
        self.threads = [
            threading.Thread(target=self.run, args=(server, path)) for _ in range(clients)
        ]

    def run(self, server, path):
        with socket.create_connection(("127.0.0.1", server.port)) as stream:
            while not self.stopping:
                stream.sendall(request(path))
                bench.read_response(stream)
                self.done += 1

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stopping = True
        for thread in self.threads:
            thread.join()


class OpenLoop:
    """Requests at random moments of a given rate; latencies by path, in seconds from when due."""

    def __init__(self, port, rate, seconds, share=0.0, work=""):
        self.idle = collections.deque()
        self.epoll = select.epoll()
        self.busy = {}
        self.latencies = collections.defaultdict(list)
        for _ in range(CONNECTIONS):
            stream = socket.create_connection(("127.0.0.1", port))
            stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            stream.setblocking(False)
            self.epoll.register(stream.fileno(), select.EPOLLIN)
            self.idle.append(stream)
        chance = random.Random(1)
        self.schedule, at = [], 0.0
        while at < seconds:
            at += chance.expovariate(rate)
            self.schedule.append((at, work if chance.random() < share else LIGHT))

    def run(self):
        begin, position = time.perf_counter() + 0.05, 0
        bytes_of = {path: request(path) for _, path in self.schedule}
        while position < len(self.schedule) or self.busy:
            now = time.perf_counter() - begin
            while position < len(self.schedule) and self.schedule[position][0] <= now:
                due, path = self.schedule[position]
                if not self.idle:
                    break  # Its latency counts nevertheless.
                stream = self.idle.popleft()
                stream.send(bytes_of[path])
                self.busy[stream.fileno()] = (stream, due, path)
                position += 1
            self.wait(begin + self.schedule[min(position, len(self.schedule) - 1)][0])
            for fd, _ in self.epoll.poll(0):
                self.answered(fd, time.perf_counter() - begin)
            if now > self.schedule[-1][0] + 30:
                raise SystemExit("no answer for 30 s")
        return self.latencies

    def wait(self, until):
        """Waits for an answer or the next request; to the microsecond, unlike epoll."""
        seconds = until - time.perf_counter()
        if seconds > 0:
            select.select([self.epoll], [], [], seconds)

    def answered(self, fd, now):
        stream, due, path = self.busy.pop(fd)
        answer = stream.recv(4096)
        if not answer.startswith(b"HTTP/1.1 200"):
            raise SystemExit(f"{path}: {answer[:100]!r}")
        self.latencies[path].append(now - due)
        self.idle.append(stream)


def percentile(values, p):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * p / 100))]


def open_loop(server, core, rate, seconds, *mix):
    """Runs an `OpenLoop` in a process of its own; latencies by path."""
    command = [sys.executable, os.path.abspath(__file__), "--generate", server.port, rate, seconds]
    command = bench.pinned(core, [*map(str, command), *map(str, mix)])
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    if run.returncode != 0:
        sys.exit(f"{server.name}: {run.stdout}{run.stderr}")
    latencies = collections.defaultdict(list)
    for line in run.stdout.splitlines():
        path, *values = line.split()
        latencies[path] = [float(value) for value in values]
    return latencies


def generate(arguments):
    """The process that `open_loop` starts."""
    port, rate, seconds = int(arguments[0]), float(arguments[1]), float(arguments[2])
    mix = (float(arguments[3]), arguments[4]) if len(arguments) > 3 else ()
    for path, values in OpenLoop(port, rate, seconds, *mix).run().items():
        print(path, *(f"{value:.6f}" for value in values))


def show_latencies(name, values, note=""):
    at = {p: percentile(values, p) * 1e3 for p in (50, 90, 99, 99.9)}
    row = "  ".join(f"p{p} {ms:8.2f}" for p, ms in at.items())
    print(f"  {name:<24} {row} ms   {len(values):>7,} answers  {note}", flush=True)
    return at[99]


def show_busy(arguments, report):
    print(f"busy: {LIGHT} on 32 connections, {WORK_CLIENTS} × /work?us={WORK_US}")
    p99 = {}
    for name, command in (("sped", sped()), ("amped", amped())):
        with Server(name, command) as server, Workers(server) as workers:
            time.sleep(0.5)
            load = wrk(server, LIGHT, connections=32, seconds=arguments.seconds)
        p99[name] = load.percentiles_s[99] * 1e3
        print(
            f"  {name:<24} p50 {load.percentiles_s[50] * 1e3:8.2f}  p99 {p99[name]:8.2f} ms   "
            f"{load.rate:>9,.0f} requests/s, {workers.done:,} times work  {load.trouble}"
        )
    report.at_most("amped's p99 / sped's", p99["amped"] / p99["sped"], 1 / 20, digits=4)
    print()


def show_rate(arguments, report):
    print(f"rate: {RATE:,} × {LIGHT} a second, {WORK_CLIENTS} × /work?us={WORK_US}")
    seconds, rounds = arguments.seconds, []
    for _ in range(arguments.rounds):
        p99 = {}
        for name, command in (("sped", sped()), ("amped", amped())):
            with Server(name, command) as server:
                if name == "amped":
                    alone = open_loop(server, None, RATE, seconds)[LIGHT]
                    p99["alone"] = show_latencies("amped, no work", alone)
                with Workers(server):
                    time.sleep(0.5)
                    values = open_loop(server, None, RATE, seconds)[LIGHT]
            p99[name] = show_latencies(name, values)
        rounds.append(p99)
    ratio = lambda a, b: median([p99[a] / p99[b] for p99 in rounds])
    report.at_most("amped's p99 / sped's", ratio("amped", "sped"), 1 / 20, digits=4)
    report.at_most("amped's p99 / its own without work", ratio("amped", "alone"), 3)
    print()


def one_core(command, name, arguments):
    core = arguments.core
    with Server(name, command, core) as server:
        mix = (CORE_SHARE, f"/work?us={CORE_WORK_US}")
        generator = (core + 1) % os.cpu_count()
        latencies = open_loop(server, generator, CORE_RATE, arguments.seconds, *mix)
    work = percentile(latencies[mix[1]], 50) * 1e3
    return show_latencies(name, latencies[LIGHT], f"work: p50 {work:.1f} ms")


def show_one_core(arguments, report):
    print(f"one-core: {CORE_RATE:,} a second, {CORE_SHARE:.0%} of them {CORE_WORK_US} us of work")
    one_core(sped(), "sped", arguments)
    p99 = [one_core(amped(), "amped", arguments) for _ in range(arguments.rounds)]
    report.at_most("amped's p99 of light requests", median(p99), 5, " ms")
    p99 = [one_core(seda(), "seda", arguments) for _ in range(arguments.rounds)]
    report.at_most("seda's p99 of light requests", median(p99), 5, " ms")
    print()


def show_priority(arguments, _report):
    print("priority: one-core for each --worker-priority")
    for _ in range(arguments.rounds):
        for priority in PRIORITIES:
            one_core(amped("--worker-priority", priority), f"amped, {priority}", arguments)
    print()


def burst(server, path, count):
    """That many requests at once, each on a connection of its own; seconds from the first send."""
    streams = {}
    for _ in range(count):
        stream = socket.create_connection(("127.0.0.1", server.port))
        streams[stream.fileno()] = stream
    poll = select.epoll()
    for fd in streams:
        poll.register(fd, select.EPOLLIN)
    bytes_of, taken = request(path), []
    begun = {}
    for fd, stream in streams.items():
        begun[fd] = time.perf_counter()
        stream.send(bytes_of)
    while len(taken) < count:
        for fd, _ in poll.poll(10):
            now = time.perf_counter()
            if not streams[fd].recv(4096).startswith(b"HTTP/1.1 200"):
                sys.exit(f"{path}: no answer")
            poll.unregister(fd)
            taken.append(now - begun[fd])
    for stream in streams.values():
        stream.close()
    return taken


def show_sleeps(arguments, report):
    print(f"sleeps: {SLEEPS:,} × /sleep?ms={SLEEP_MS} at once")
    p99 = []
    for _ in range(arguments.rounds):
        with Server("seda", seda()) as server:
            taken = burst(server, f"/sleep?ms={SLEEP_MS}", SLEEPS)
        p99.append(show_latencies("seda", taken) - SLEEP_MS)
    report.at_most("seda's p99 beyond the wait", median(p99), 100, " ms")
    print()


SHOWS = {
    "busy": show_busy,
    "rate": show_rate,
    "one-core": show_one_core,
    "priority": show_priority,
    "sleeps": show_sleeps,
}


def main():
    if sys.argv[1:2] == ["--generate"]:
        return generate(sys.argv[2:])
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", nargs="*", help=" ".join(SHOWS))
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--core", type=int, default=os.cpu_count() - 1)
    parser.add_argument("--check", action="store_true", help="exit with 1 when a bound is missed")
    arguments = parser.parse_args()
    bench.environment()
    report = Report(arguments.check)
    for what in arguments.what or ["busy", "rate", "one-core"]:
        SHOWS[what](arguments, report)
    report.finish()


if __name__ == "__main__":
    main()
