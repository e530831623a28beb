#!/usr/bin/env python3
"""Keep-alive connections held by SYMPED, and the memory they take.

    sysctls ─► symped, a worker for every 18,000 ─► clients, a process for every 19,000
            ─► all open: memory ─► busy connections beside them ─► a request on each
            ─► all exit, sysctls restored

The server's memory is its PSS (smaps_rollup), summed over master and workers; the kernel's is taken
from its socket and slab statistics. Both ends are on this machine, so a connection is two kernel
sockets. A million need 12 GiB; when less than 2 GiB are left it gives up. It must run as root, to
raise the limits for that many connections (`sysctls`).

The busy connections (wrk, where it is installed) run for some seconds before the others are opened,
and again beside them.

    cargo build --release --bin symped --example hold
    servers/examples/measure/hold.py [--count 1000000] [--check]
"""

import argparse
import math
import os
import re
import selectors
import shutil
import subprocess
import sys
import time

import bench
from bench import Report, Server, wrk

# Fewer than a worker's descriptors: the kernel's balance is off by a percent or two.
WORKER_FILL = 0.9
CLIENT_CONNECTIONS = 19_000
CLIENT_SOURCES = 8
AVAILABLE_MIN_KIB = 2 << 20
PSS_MAX_BYTES = 256
IDLE = ["--idle-timeout", "1h"]
BUSY, BUSY_SECONDS = 64, 5


def sysctls(count):
    """Names below /proc/sys, and what they have to be at least: a pair of numbers is a range."""
    return {
        "fs/file-max": 2 * count + 100_000,
        "fs/epoll/max_user_watches": count + 100_000,
        "net/ipv4/ip_local_port_range": (10_000, 65_000),
        "net/ipv4/tcp_max_orphans": count,
        "net/ipv4/tcp_mem": (1 << 20, 2 << 20, 3 << 20),
        "net/netfilter/nf_conntrack_max": 2 * count + 100_000,
    }


class Sysctls:
    """Raises what is too low, prints it, and restores it in the end."""

    def __init__(self, wanted):
        self.before = {}
        for name, value in wanted.items():
            path = f"/proc/sys/{name}"
            if not os.path.exists(path):
                continue
            before = open(path).read().split()
            value = value if isinstance(value, tuple) else (value,)
            if name.endswith("_range"):
                enough = int(before[0]) <= value[0] and int(before[1]) >= value[1]
            else:
                enough = all(int(b) >= v for b, v in zip(before, value))
            if not enough:
                self.write(path, value)
                self.before[path] = before
                print(f"  {name}: {' '.join(before)}, for now {' '.join(map(str, value))}")

    @staticmethod
    def write(path, values):
        try:
            with open(path, "w", encoding="ascii") as file:
                file.write(" ".join(map(str, values)))
        except OSError as error:
            sys.exit(f"{path}: {error.strerror}; run this as root")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for path, before in self.before.items():
            self.write(path, before)


class Client:
    """A process that holds some of the connections."""

    def __init__(self, server, number, count):
        hold = os.path.join(bench.bin_dir(), "examples", "hold")
        address = f"127.0.0.1:{server.port}"
        source = number * CLIENT_SOURCES
        self.count = count
        self.process = subprocess.Popen(
            [hold, address, str(count), str(source)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def expect(self, word):
        """Waits until it has done this with all its connections."""
        # Not select(2): with 500 of these processes the descriptors exceed its 1,024.
        with selectors.PollSelector() as selector:
            selector.register(self.process.stdout, selectors.EVENT_READ)
            while not selector.select(0.5):
                if meminfo("MemAvailable") < AVAILABLE_MIN_KIB:
                    sys.exit("less than 2 GiB of memory are left; hold fewer with --count")
        line = self.process.stdout.readline().split()
        if line != [word, str(self.count)]:
            sys.exit(f"a client's process said {line}, and not that it {word} {self.count}")

    def ask(self):
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def end(self):
        self.process.stdin.close()

    def wait(self):
        self.process.wait()


def meminfo(name):
    return int(re.search(rf"^{name}:\s+(\d+)", open("/proc/meminfo").read(), re.M)[1])


def caches():
    """Bytes of the kernel's slab caches, by name; nothing where they may not be read."""
    try:
        lines = open("/proc/slabinfo").read().splitlines()[2:]
    except OSError:
        return {}
    rows = [line.split() for line in lines]
    return {row[0]: int(row[2]) * int(row[3]) for row in rows}


class Memory:
    """The memory of all processes and of the kernel, at one moment."""

    def __init__(self, server, clients):
        self.server = sum(pss(pid, "Pss") for pid in server.pids())
        self.anonymous = sum(pss(pid, "Pss_Anon") for pid in server.pids())
        self.clients = sum(pss(client.process.pid, "Pss") for client in clients)
        self.caches = caches()
        self.kernel = {
            name: meminfo(name) * 1024 for name in ("Slab", "PageTables", "KernelStack", "Percpu")
        }
        self.available = meminfo("MemAvailable") * 1024
        self.buffers = bench.tcp_bytes()


def pss(pid, name):
    rollup = open(f"/proc/{pid}/smaps_rollup").read()
    return int(re.search(rf"^{name}:\s+(\d+) kB", rollup, re.M)[1]) * 1024


def table(before, after, count):
    """Where the memory is, in total and per connection."""

    def row(what, grown):
        print(f"  {what:<52} {grown / (1 << 20):>10,.1f} MiB {grown / count:>9,.1f} B", flush=True)

    print("\n  where the memory is, beyond what there was without connections")
    row("the server: PSS", after.server - before.server)
    row("    anonymous (tables, buffers)", after.anonymous - before.anonymous)
    row("the clients: PSS, all of it", after.clients)
    row("the kernel: socket buffers (sockstat)", after.buffers - before.buffers)
    for name in after.kernel:
        row(f"the kernel: {name}", after.kernel[name] - before.kernel[name])
    grown = {name: size - before.caches.get(name, 0) for name, size in after.caches.items()}
    for name, size in sorted(grown.items(), key=lambda item: -item[1])[:10]:
        row(f"    of the slab: {name}", size)
    row("all of it (MemAvailable)", before.available - after.available)


def wait_for_all(clients, word):
    for client in clients:
        client.expect(word)


def busy(server):
    """A load that does not pause, for its rate; nothing without wrk."""
    if not shutil.which("wrk"):
        return None
    load = wrk(server, connections=BUSY, seconds=BUSY_SECONDS)
    time.sleep(0.5)  # its connections are gone
    return load


def compare_busy(report, alone, beside):
    if not alone:
        return report.line(f"{BUSY} busy connections beside them", "no wrk here")
    what = f"{BUSY} busy connections beside them"
    report.line(f"{what}: rate, relative to before", f"{beside.rate / alone.rate:.2f}")
    p99 = [load.percentiles_s[99] * 1e3 for load in (alone, beside)]
    report.line("    p99 before and beside", f"{p99[0]:.2f} ms, {p99[1]:.2f} ms")
    report.at_most("    errors", int(bool(beside.trouble)), 0, digits=0)


def hold(report, count, descriptors):
    workers = max(2, math.ceil(count / (descriptors * WORKER_FILL)))
    processes = math.ceil(count / CLIENT_CONNECTIONS)
    shares = [count // processes + (number < count % processes) for number in range(processes)]
    print(f"  {workers} workers, {processes} processes of clients, {descriptors} descriptors each")
    with Server("symped", bench.symped("--demo", "--workers", workers, *IDLE)) as server:
        time.sleep(1)
        alone = busy(server)
        before = Memory(server, [])
        begin = time.monotonic()
        clients = [Client(server, number, share) for number, share in enumerate(shares)]
        try:
            wait_for_all(clients, "held")
            report.line("connections opened, and each answered", f"{time.monotonic() - begin:.1f} s")
            after = Memory(server, clients)
            page = server.get("/status.json").decode()
            # One more connection sends a request.
            held = int(re.search(r'"counters":.*?"connections_open":(\d+)', page)[1]) - 1
            report.at_least("connections held", held, count, digits=0)
            spread = [int(n) for n in re.findall(r'"state":.*?"connections_open":(\d+)', page)]
            report.line("of one worker", f"{min(spread):,} … {max(spread):,}")
            report.line("PSS without connections", f"{before.server / (1 << 20):,.1f} MiB")
            report.at_most("PSS in all, for a connection", after.server / count, PSS_MAX_BYTES, " B")
            table(before, after, count)
            print()
            compare_busy(report, alone, busy(server))
            begin = time.monotonic()
            for client in clients:
                client.ask()
            wait_for_all(clients, "answered")
            report.line("each answered once more", f"{time.monotonic() - begin:.1f} s")
        finally:
            for client in clients:
                client.end()
            for client in clients:
                client.wait()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--count", type=int, default=50_000, help="connections (50,000)")
    parser.add_argument("--check", action="store_true", help="exit status 1 when a bound is missed")
    arguments = parser.parse_args()
    bench.environment()
    descriptors = bench.raise_descriptor_limit()
    report = Report(arguments.check)
    with Sysctls(sysctls(arguments.count)):
        hold(report, arguments.count, descriptors)
    report.finish()


if __name__ == "__main__":
    main()
