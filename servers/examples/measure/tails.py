#!/usr/bin/env python3
"""Files by size: from which size on sendfile pays, and whether a head held back delays the tail of
the latencies.

Four ways to send the same file, side by side on one core: sendfile after a head that is held back
(MSG_MORE), as sped does; the same with the head sent at once (an LD_PRELOAD library removes the
flag; needs cc); read and sent; and, with --memory, by a build that keeps files of every size in
memory.

sped keeps files up to 64 KiB in memory anyway: to measure smaller sizes, build sped with another
CONTENTS_BYTES_MAX (servers/site/files/resource.rs) and name it by --binary.

    cargo build --release --bins
    servers/examples/measure/tails.py [--binary SPED] [--memory SPED] [--rounds 5] [SIZE ...]
"""

import argparse
import contextlib
import os
import subprocess
import tempfile

import bench
from bench import Server, median, wrk

SIZES_KIB = [128, 256, 1024, 4096]
CONNECTIONS = 8

NO_MORE = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <sys/socket.h>
ssize_t send(int fd, const void *bytes, size_t len, int flags) {
    static ssize_t (*next)(int, const void *, size_t, int);
    if (!next) next = (ssize_t (*)(int, const void *, size_t, int)) dlsym(RTLD_NEXT, "send");
    return next(fd, bytes, len, flags & ~MSG_MORE);
}
"""


def head_not_held_back(folder, command):
    """The command with a `send` that ignores MSG_MORE; `None` without a C compiler."""
    source, library = os.path.join(folder, "more.c"), os.path.join(folder, "more.so")
    with open(source, "w") as file:
        file.write(NO_MORE)
    try:
        subprocess.run(["cc", "-O2", "-shared", "-fPIC", "-o", library, source, "-ldl"], check=True)
    except (OSError, subprocess.CalledProcessError):
        print("(no C compiler: heads are held back in all rows)")
        return None
    return ["env", f"LD_PRELOAD={library}", *command]


def ways(folder, arguments):
    options = [
        "--listen",
        "127.0.0.1:{port}",
        "--root",
        folder,
        "--cache-ttl",
        "60s",
        "--cache-size",
        "1G",
    ]
    site = [arguments.binary, *options]
    table = [
        ("sendfile", site),
        ("head sent at once", head_not_held_back(folder, site)),
        ("read and sent", [*site, "--no-sendfile"]),
    ]
    if arguments.memory:
        table.append(("from memory", [arguments.memory, *options]))
    return [(name, command) for name, command in table if command]


def measure(servers, path, rounds, core):
    """For each server: CPU nanoseconds per request, and the percentiles of each round."""
    costs = {server.name: [] for server in servers}
    tails = {server.name: [] for server in servers}
    for number in range(rounds + 1):
        turn = number % len(servers)
        for server in servers[turn:] + servers[:turn]:
            before = server.cpu_ns()
            load = wrk(server, path, connections=CONNECTIONS, core=core)
            if number == 0:
                continue  # The first fills caches.
            costs[server.name].append((server.cpu_ns() - before) / max(load.requests, 1))
            tails[server.name].append(load.percentiles_s)
    return costs, tails


def show(size_kib, costs, tails):
    base = next(iter(costs))
    print(f"{size_kib} KiB, {CONNECTIONS} connections")
    for name, by_round in costs.items():
        ratio = median([cost / yardstick for cost, yardstick in zip(by_round, costs[base])])
        at = {
            p: median([percentiles[p] for percentiles in tails[name]]) * 1e6 for p in (50, 90, 99)
        }
        print(
            f"  {name:<20}{median(by_round):>12,.0f} ns/request   ratio {ratio:5.2f}   "
            f"p50 {at[50]:>7,.0f}  p90 {at[90]:>7,.0f}  p99 {at[99]:>7,.0f} us",
            flush=True,
        )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("size", nargs="*", type=int, help="sizes in KiB")
    parser.add_argument("--binary", default=os.path.join(bench.bin_dir(), "sped"))
    parser.add_argument("--memory", help="a sped that keeps all files in memory")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--core", type=int, default=os.cpu_count() - 1)
    arguments = parser.parse_args()
    bench.environment()
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        for size_kib in arguments.size or SIZES_KIB:
            with open(os.path.join(folder, str(size_kib)), "wb") as file:
                file.write(os.urandom(1024) * size_kib)
        servers = [
            stack.enter_context(Server(name, command, arguments.core))
            for name, command in ways(folder, arguments)
        ]
        for size_kib in arguments.size or SIZES_KIB:
            show(size_kib, *measure(servers, f"/{size_kib}", arguments.rounds, arguments.core))


if __name__ == "__main__":
    main()
