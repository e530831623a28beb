#!/usr/bin/env python3
"""How long light requests take while a file that is not in memory is sent: amped beside sped.

    cargo build --release --bins
    servers/examples/measure/cold.py [--gib 1] [--seconds 10] [--folder DIR] [--check]

One client fetches a large file again and again; each time it is dropped from the page cache first
(posix_fadvise(2), so no privilege is needed). Others request /plaintext at 2,000 a second, an open
loop (see latency.py). In addition to the latencies: how many bytes the loop's thread has read from
the disk (read_bytes of /proc/PID/task/PID/io): the thread that reads a file waits for the disk.
"""

import argparse
import os
import random
import socket
import sys
import tempfile
import threading
import time

import bench
from bench import Report, Server, amped, sped
from latency import LIGHT, RATE, open_loop, request, show_latencies

MIB = 1 << 20
BLOCK = bytearray(MIB)


def make_file(path, size):
    """Bytes that no file system can compress away."""
    with open(path, "wb") as file:
        for _ in range(size // MIB):
            file.write(random.randbytes(MIB))
        os.fsync(file.fileno())


def chill(path):
    """Drops the file from the page cache; returns whether that worked."""
    file = os.open(path, os.O_RDONLY)
    try:
        # Checking a page must not make the kernel read ahead.
        os.posix_fadvise(file, 0, 0, os.POSIX_FADV_RANDOM)
        os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
        for at in range(0, os.fstat(file).st_size, 16 * MIB):
            try:
                os.preadv(file, [bytearray(1)], at, os.RWF_NOWAIT)
                return False
            except BlockingIOError:
                pass
        os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
        return True
    finally:
        os.close(file)


class Fetching:
    """A client that fetches the file again and again, cold each time."""

    def __init__(self, server, path):
        self.path, self.stopping = path, False
        self.seconds, self.warm, self.size = [], 0, os.path.getsize(path)
        self.thread = threading.Thread(target=self.run, args=(server.port,))

    def run(self, port):
        target = "/" + os.path.basename(self.path)
        while not self.stopping:
            self.warm += not chill(self.path)
            begin = time.perf_counter()
            with socket.create_connection(("127.0.0.1", port)) as stream:
                stream.sendall(request(target))
                left = self.size
                while left > 0:  # not worth separating the head from the body
                    count = stream.recv_into(BLOCK, MIB, socket.MSG_TRUNC)
                    if count == 0:
                        raise SystemExit(f"cut short, {left} bytes before the end")
                    left -= count
            self.seconds.append(time.perf_counter() - begin)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stopping = True
        self.thread.join()

    def rate(self):
        return self.size / MIB / bench.median(self.seconds)


def of_loop(server):
    """Bytes that the server's first thread has read from the disk."""
    task = f"/proc/{server.process.pid}/task/{server.process.pid}"
    numbers = dict(line.split(": ") for line in open(f"{task}/io").read().splitlines())
    return int(numbers["read_bytes"])


def show(name, command, path, arguments):
    options = ["--demo", "--root", os.path.dirname(path)]
    with Server(name, command + options) as server:
        if name == "amped":
            show_latencies("amped, nothing else", open_loop(server, None, RATE, 3)[LIGHT])
        before = of_loop(server)
        with Fetching(server, path) as fetching:
            values = open_loop(server, None, RATE, arguments.seconds)[LIGHT]
        read = of_loop(server) - before
    p99 = show_latencies(name, values)
    worst = max(values) * 1e3
    times = len(fetching.seconds)
    line = f"    worst {worst:,.2f} ms; the file {times} times at {fetching.rate():,.0f} MiB/s; "
    line += f"the loop has read {read / MIB / times:,.2f} MiB of it"
    print(line + (f"; NOT COLD {fetching.warm} times" if fetching.warm else ""), flush=True)
    return p99, read / times


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--gib", type=float, default=1)
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--folder", default=bench.bin_dir(), help="on a disk")
    parser.add_argument("--check", action="store_true", help="exit with 1 when a bound is missed")
    arguments = parser.parse_args()
    bench.environment()
    report = Report(arguments.check)
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        path = os.path.join(folder, "file")
        make_file(path, int(arguments.gib * 1024) * MIB)
        if not chill(path):
            sys.exit(f"{path} stays in the page cache: choose a --folder on a disk")
        sped_p99, _ = show("sped", sped(), path, arguments)
        amped_p99, read = show("amped", amped(), path, arguments)
    report.at_most("amped's p99 / sped's", amped_p99 / sped_p99, 1, digits=3)
    size = arguments.gib * 1024 * MIB
    report.at_most("part of the file that amped's loop has read", read / size, 0.01, digits=5)
    report.finish()


if __name__ == "__main__":
    main()
