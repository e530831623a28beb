#!/usr/bin/env python3
"""Memory per connection, and what bad clients cost good ones.

    idle       10,000 keep-alive connections that do nothing
    fibers     the same under mn, with a stack each
    heads      2,000 clients that send a head a byte a second
    readers    500 clients that read a 64 MiB file at 256 bytes a second
    pipeline   one client that sends 200,000 requests and reads nothing for four seconds
    emfile     no descriptor left with 10,000 connections open and more arriving

Memory is PSS (smaps_rollup): pages the server has touched, without the kernel's memory for sockets.
Every server has served some load before it is measured, so that pages touched by the first requests
do not count.

    cargo build --release --bins
    servers/examples/measure/memory.py [--check] [SECTION ...]
"""

import argparse
import contextlib
import os
import re
import socket
import tempfile
import threading
import time

import bench
from bench import Idle, Report, Server, connect, median, mn, read_response, sped, wrk

HEAD_START = b"GET /plaintext HTTP/1.1\r\nHost: a\r\nX-Slow: " + b"s" * 60
FILE_BYTES = 64 << 20
PIPELINED = 200_000
# Beyond the pool: the pages of the tables' first entries and of the stack.
PIPELINE_GROWTH_MAX = 16 << 10
PATIENT = ["--head-timeout", "120s", "--write-timeout", "300s", "--idle-timeout", "300s"]


def warm(server):
    wrk(server, seconds=1, connections=8)
    time.sleep(0.1)


def kib(count):
    return f"{count / 1024:,.0f} KiB"


def idle(report, _folder):
    idle_under(report, "sped", sped(*PATIENT), 256)


def fibers(report, _folder):
    idle_under(report, "mn", mn(*PATIENT), 9 << 10)


def idle_under(report, name, command, bytes_max):
    count = 10_000
    with Server(name, command) as server:
        warm(server)
        before = server.pss_bytes()
        with Idle(server, count):
            after = server.pss_bytes()
            report.line("PSS before and after", f"{kib(before)} … {kib(after)}")
            status = server.get("/status.json").decode()
            used = re.findall(r'"(buffers_\w+_used)":(\d+)', status)
            report.line("buffers in use", " ".join(f"{name} {value}" for name, value in used))
            report.at_most("PSS of an idle connection", (after - before) / count, bytes_max, " B", 1)


class Trickle(threading.Thread):
    """Calls `step` for each socket once a second until it is stopped."""

    def __init__(self, sockets, step):
        super().__init__(daemon=True)
        self.sockets, self.step, self.running = sockets, step, True
        self.start()

    def run(self):
        while self.running:
            begun = time.monotonic()
            for number, stream in enumerate(self.sockets):
                with contextlib.suppress(OSError):
                    self.step(stream)
                # Spread over the second: a burst would measure something else.
                if number % 50 == 49:
                    late = begun + number / len(self.sockets) - time.monotonic()
                    time.sleep(max(late, 0))
            time.sleep(max(begun + 1 - time.monotonic(), 0))

    def stop(self):
        self.running = False
        self.join()


def rate_beside(server, alone, core, rounds=7):
    """The rate of 8 good clients of `server`, relative to their rate with `alone`."""
    ratios = []
    for _ in range(rounds):
        undisturbed = wrk(alone, connections=8, seconds=1, core=core).rate
        ratios.append(wrk(server, connections=8, seconds=1, core=core).rate / undisturbed)
    return median(ratios)


def heads(report, _folder):
    count, core = 2_000, os.cpu_count() - 1
    with Server("sped", sped(*PATIENT), core) as server, Server(
        "alone", sped(*PATIENT), core
    ) as alone:
        warm(server)
        warm(alone)
        before = server.pss_bytes()
        sockets = [connect(server.port, number) for number in range(count)]
        for stream in sockets:
            stream.sendall(HEAD_START)
        time.sleep(0.5)
        after = server.pss_bytes()
        report.at_most("PSS of an unfinished head", (after - before) / count, 1024, " B", 1)
        trickle = Trickle(sockets, lambda stream: stream.sendall(b"s"))
        report.at_least(
            "rate of 8 good clients beside", rate_beside(server, alone, core), 0.95, digits=3
        )
        trickle.stop()
        stream = sockets[count // 2]
        stream.sendall(b"\r\n\r\n")
        report.line("one of them ends its head and gets", read_response(stream)[:15].decode())
        for stream in sockets:
            stream.close()


FIRST = 100


def slow_readers(server, count):
    """This many clients that have requested the large file and read next to nothing of it."""
    sockets = [connect(server.port, number, receive_bytes=4096) for number in range(count)]
    for stream in sockets:
        stream.sendall(b"GET /large HTTP/1.1\r\nHost: a\r\n\r\n")
    time.sleep(1)
    return sockets


def readers(report, folder):
    count, core = 500, os.cpu_count() - 1
    with open(os.path.join(folder, "large"), "wb") as file:
        file.truncate(FILE_BYTES)
    site = sped("--root", folder, "--demo", *PATIENT)
    with Server("sped", site, core) as server, Server("alone", site, core) as alone:
        warm(server)
        warm(alone)
        # As slopes, from a few connections on: the first ones fault in pages of code, which two
        # servers share.
        sockets = slow_readers(server, FIRST)
        before = server.pss_bytes()
        sockets += slow_readers(server, count)
        after = server.pss_bytes()
        with Idle(server, FIRST):
            idle_before = server.pss_bytes()
            with Idle(server, count):
                idle = (server.pss_bytes() - idle_before) / count
        each = (after - before) / count
        report.line("PSS before and after", f"{kib(before)} … {kib(after)}")
        report.line("PSS of a reader, of an idle connection", f"{each:.1f} B, {idle:.1f} B")
        report.at_most("PSS of a slow reader beyond idle", each - idle, 300, " B", 1)
        trickle = Trickle(sockets, lambda stream: stream.recv(256))
        report.at_least(
            "rate of 8 good clients beside", rate_beside(server, alone, core), 0.95, digits=3
        )
        trickle.stop()
        for stream in sockets:
            stream.close()


def pipeline(report, _folder):
    with Server("sped", sped(*PATIENT)) as server:
        warm(server)
        pool_before = server.pool_bytes()
        before = server.pss_bytes() - pool_before
        stream = connect(server.port)
        sender = threading.Thread(
            target=send_numbered, args=(stream.fileno(), PIPELINED), daemon=True
        )
        sender.start()
        time.sleep(4)
        pool_growth = server.pool_bytes() - pool_before
        growth = server.pss_bytes() - server.pool_bytes() - before
        delivered, growth_reading = read_numbered(stream, server, before)
        sender.join()
    report.line("pages of the pool that it touched", kib(pool_growth))
    report.at_most(
        "PSS growth beyond the pool, highest",
        max(growth, growth_reading) / 1024,
        PIPELINE_GROWTH_MAX / 1024,
        " KiB",
        0,
    )
    report.at_least("delivered, in order", delivered / PIPELINED * 100, 100, " %")


def send_numbered(descriptor, count):
    """Requests with distinct answers: an echo contains its target."""
    with socket.socket(fileno=os.dup(descriptor)) as stream:
        stream.settimeout(60)
        for begin in range(0, count, 1000):
            numbers = range(begin, min(begin + 1000, count))
            stream.sendall(
                b"".join(b"GET /echo?%d HTTP/1.1\r\nHost: a\r\n\r\n" % n for n in numbers)
            )


def read_numbered(stream, server, before):
    """Reads the answers; returns how many came before the first that is out of order."""
    stream.settimeout(30)
    expected, rest, growth, reads = 0, b"", 0, 0
    while expected < PIPELINED:
        piece = stream.recv(1 << 20)
        if not piece:
            break
        reads += 1
        if reads % 64 == 1:
            growth = max(growth, server.pss_bytes() - server.pool_bytes() - before)
        text = rest + piece
        end = 0
        for match in re.finditer(rb"GET /echo\?(\d+) HTTP/1.1", text):
            if int(match[1]) != expected:
                return expected, growth
            expected, end = expected + 1, match.end()
        rest = text[end:]
    return expected, growth


def emfile(report, _folder):
    for title, options in (("own limit", []), ("EMFILE", ["--max-connections", "19000"])):
        emfile_with(report, title, options)


def emfile_with(report, title, options):
    """The server may have 10,600 descriptors; its own limit is below that, or above."""
    full, more = 10_600, 400
    with Server("sped", sped(*PATIENT, *options), descriptors=full) as server:
        open_sockets = fill(server, full)
        late = [connect(server.port, full + number) for number in range(more)]
        for stream in late:
            stream.sendall(Idle.REQUEST)
        report.line(f"{title}: connections served when it is full", f"{len(open_sockets):,}")
        before, begun = server.cpu_ns(), time.monotonic()
        time.sleep(5)
        share = (server.cpu_ns() - before) / 1e9 / (time.monotonic() - begun)
        report.at_most(f"{title}: CPU of the loop over 5 s", share * 100, 2, " %")
        report.at_least(
            f"{title}: existing clients served", served_of(open_sockets[::100]) * 100, 100, " %"
        )
        for stream in open_sockets[:2000]:
            stream.close()
        report.at_least(
            f"{title}: late ones served when others leave", answered(late) * 100, 100, " %"
        )
        for stream in open_sockets[2000:] + late:
            stream.close()


def fill(server, full):
    """Connects and is served until the server takes no more."""
    sockets = []
    for number in range(full):
        stream = connect(server.port, number)
        stream.settimeout(1)
        try:
            stream.sendall(Idle.REQUEST)
            stream.recv(4096)
        except TimeoutError:
            stream.close()
            break
        sockets.append(stream)
    return sockets


def served_of(sockets):
    for stream in sockets:
        stream.sendall(Idle.REQUEST)
    return answered(sockets)


def answered(sockets):
    good = 0
    for stream in sockets:
        stream.settimeout(5)
        with contextlib.suppress(OSError):
            good += stream.recv(4096).startswith(b"HTTP/1.1 200")
    return good / len(sockets)


SECTIONS = {
    "idle": idle,
    "fibers": fibers,
    "heads": heads,
    "readers": readers,
    "pipeline": pipeline,
    "emfile": emfile,
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("section", nargs="*", help=" ".join(SECTIONS))
    parser.add_argument("--check", action="store_true", help="exit with 1 when a bound is missed")
    arguments = parser.parse_args()
    bench.environment()
    bench.raise_descriptor_limit()
    report = Report(arguments.check)
    with tempfile.TemporaryDirectory() as folder:
        for name in arguments.section or SECTIONS:
            print(name)
            SECTIONS[name](report, folder)
    report.finish()


if __name__ == "__main__":
    main()
