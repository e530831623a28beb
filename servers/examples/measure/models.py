#!/usr/bin/env python3
"""All models side by side: what a request costs, and what many or slow clients do to each.

    cpu        CPU time of a keep-alive /plaintext, beside the floor of each kind, in one run
    wait       5,000 connections, each of whose requests waits 50 ms (/sleep?ms=50)
    light      1,600 requests a second on one core, a tenth of them 5 ms of work: 80 % busy
    slow       slowhttptest with 2,000 clients (slow heads, slow bodies, slow readers of 4 MiB) and
               with 5,000 slow readers of 64 MiB; whether good clients are served meanwhile, and
               what each slow client costs the server (PSS) and the kernel (`mem` of sockstat)
    memory     PSS of 10,000 idle connections (as many as the model holds)
    faults     prefork and mp: a kill every 100 ms, then HUP, under a load that verifies

    cargo build --release --bins --example verify
    cargo build --release -p stampede-reactor --examples
    servers/examples/measure/models.py [--check] [--model NAME ...] [SECTION ...]
"""

import argparse
import contextlib
import os
import random
import signal
import subprocess
import tempfile
import threading
import time

import bench
import latency
import symped as supervised
from bench import Idle, Report, Server, median, wrk

# From the simplest on. Those with a pool get one that holds the clients of most sections.
MODELS = {
    "iterative": [],
    "mp": [],
    "mt": [],
    "prefork": ["--workers", "64"],
    "sped": [],
    "seda": [],
    "amped": [],
    "symped": ["--workers", "2"],
    "mn": [],
}
# A floor does what its models do to a request, and nothing else: (floor, models measured by it).
FLOORS = {
    "floor_iterative": ["iterative"],
    "floor_fork": ["mp"],
    "floor_threads": ["mt"],
    "floor_prefork": ["prefork"],
    "floor": ["sped", "amped", "symped", "mn", "seda", "amped --offload all"],
}
BOUND, MN_BOUND = 1.10, 1.15
UNBOUNDED = ("seda", "amped --offload all")
# Where all share one core, a second worker would only add switches between the two.
CPU_OPTIONS = {"symped": ["--workers", "1"]}
WAIT_MS, WAIT_CONNECTIONS, WAIT_BEYOND_MS = 50, 5_000, 100
WAITING = ["sped", "amped", "symped", "seda", "mn", "mt"]
SLOW_SECONDS, SLOW_FILE_BYTES, LARGE_FILE_BYTES = 12, 4 << 20, 64 << 20
IDLE_CONNECTIONS = 10_000
KILL_EVERY_S, KILL_FOR_S, RENEWALS = 0.1, 20, 20
PATIENT = ["--idle-timeout", "300s", "--head-timeout", "120s"]


def model(name, *options):
    """The command line of a model, for `Server`, with these options or its usual ones."""
    name, *more = name.split()
    settings = [*more, *(options or MODELS[name])]
    binary = os.path.join(bench.bin_dir(), name)
    return [binary, "--listen", "127.0.0.1:{port}", "--demo", *map(str, settings)]


def connections_of(name):
    return 1 if "iterative" in name else 64


# --- cpu ------------------------------------------------------------------------------------------


def cpu(report, arguments):
    """Servers in rotating order, a second each round; ratios are of the same round."""
    all_names = [name for names in FLOORS.values() for name in names]
    chosen = [name for name in all_names if name.split()[0] in arguments.model]
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        answer = os.path.join(folder, "answer")
        with Server("sample", model("sped")) as server, open(answer, "wb") as file:
            file.write(server.get("/plaintext"))
        commands = {
            floor: bench.floor("--answer", answer, kind=floor)
            for floor, names in FLOORS.items()
            if set(names) & set(chosen)
        }
        commands["floor again"] = bench.floor("--answer", answer)
        commands |= {name: model(name, *CPU_OPTIONS.get(name, [])) for name in chosen}
        servers = [
            stack.enter_context(Server(name, command, arguments.core))
            for name, command in commands.items()
        ]
        costs, troubles = measure_cpu(servers, arguments)
    show_cpu(report, costs, troubles)


def measure_cpu(servers, arguments):
    costs, troubles = {server.name: [] for server in servers}, {}
    for number in range(-1, arguments.rounds):
        turn = max(number, 0) % len(servers)
        for server in servers[turn:] + servers[:turn]:
            before = server.cpu_ns()
            load = wrk(server, connections=connections_of(server.name), core=arguments.core)
            if "mp" in server.name or "fork" in server.name:
                time.sleep(0.05)  # children that have ended count when they are reaped
            if number >= 0:
                costs[server.name].append((server.cpu_ns() - before) / max(load.requests, 1))
                troubles[server.name] = load.trouble or troubles.get(server.name, "")
    return costs, troubles


def show_cpu(report, costs, troubles):
    floor_of = {name: floor for floor, names in FLOORS.items() for name in names}
    print("cpu: /plaintext, kept alive, server and load on one core")
    print(f"  {'':<22}{'ns/request':>11}{'of its floor':>14}{'of sped':>10}")
    for name, values in costs.items():
        floor = floor_of.get(name, name if name in FLOORS else "floor")
        to = lambda base: median([a / b for a, b in zip(values, costs[base])])
        beside = f"{to('sped'):>10.3f}" if "sped" in costs else ""
        print(
            f"  {name:<22}{median(values):>11,.0f}{to(floor):>14.3f}{beside}  {troubles[name]}"
        )
    for name in costs:
        if name in floor_of and name not in UNBOUNDED:
            ratio = median([a / b for a, b in zip(costs[name], costs[floor_of[name]])])
            if name != "mn":
                report.at_most(f"{name} / {floor_of[name]}", ratio, BOUND, digits=3)
    if "mn" in costs and "sped" in costs:
        ratio = median([a / b for a, b in zip(costs["mn"], costs["sped"])])
        report.at_most("mn / sped", ratio, MN_BOUND, digits=3)
    print(flush=True)


# --- wait, light ----------------------------------------------------------------------------------


def wait(report, arguments):
    print(f"wait: {WAIT_CONNECTIONS:,} connections × /sleep?ms={WAIT_MS}, without pause")
    for name in WAITING:
        if name not in arguments.model:
            continue
        options = ["--max-threads", 6000] if name == "mt" else []
        with Server(name, model(name, *options)) as server:
            wrk(server, f"/sleep?ms={WAIT_MS}", connections=WAIT_CONNECTIONS, seconds=2)
            load = wrk(server, f"/sleep?ms={WAIT_MS}", connections=WAIT_CONNECTIONS, seconds=5)
            memory = server.pss_bytes() >> 20
        p50, p99 = (load.percentiles_s[p] * 1e3 for p in (50, 99))
        figures = f"{p50:.0f} ms, {p99:.0f} ms, {load.rate:,.0f}, {memory} MiB {load.trouble}"
        report.line(f"{name}: p50, p99, requests/s, PSS", figures)
        report.at_most(f"{name}: p99 beyond the wait", p99 - WAIT_MS, WAIT_BEYOND_MS, " ms", 0)
    print(flush=True)


def light(report, arguments):
    print(
        f"light: {latency.CORE_RATE:,} a second, {latency.CORE_SHARE:.0%} of them "
        f"{latency.CORE_WORK_US} us of work, the server on one core"
    )
    for name in ("sped", "amped", "seda", "mn", "mt"):
        if name in arguments.model:
            options = ["--max-threads", 2000] if name == "mt" else []
            p99 = [
                latency.one_core(model(name, *options), name, arguments)
                for _ in range(arguments.light_rounds)
            ]
            if name == "seda":
                report.at_most("seda's p99 of light requests", median(p99), 5, " ms")
    print(flush=True)


# --- slow -----------------------------------------------------------------------------------------

# The target, the number of clients, and what they do.
ATTACKS = {
    "head": ("/", 2_000, ["-H", "-i", "2"]),
    "body": ("/echo", 2_000, ["-B", "-i", "2", "-s", "8192"]),
    "read": ("/file", 2_000, ["-X", "-w", "64", "-y", "128", "-n", "2", "-z", "8", "-k", "3"]),
    "read 64 MiB": (
        "/large",
        5_000,
        ["-X", "-w", "10", "-y", "20", "-n", "2", "-z", "32", "-k", "3", "-i", "2"],
    ),
}


class GoodClient(threading.Thread):
    """A request each 20 ms on a connection of its own; counts answers and how long they took."""

    def __init__(self, server):
        super().__init__()
        self.server, self.stopping = server, False
        self.failed = 0
        self.times_ms = []

    def run(self):
        while not self.stopping:
            begin = time.monotonic()
            try:
                answer = self.server.get("/plaintext", "Connection: close\r\n")
                good = answer.startswith(b"HTTP/1.1 200")
            except OSError:
                good = False
            if good:
                self.times_ms.append((time.monotonic() - begin) * 1e3)
            self.failed += not good
            time.sleep(0.02)

    def figures(self):
        times = sorted(self.times_ms) or [0]
        p50, p99 = (times[len(times) * p // 100] for p in (50, 99))
        return f"{len(self.times_ms)}, {self.failed} not, {p50:.1f}, {p99:.1f}, {times[-1]:.0f} ms"


def slow(report, arguments):
    with tempfile.TemporaryDirectory() as folder:
        for name, size in (("file", SLOW_FILE_BYTES), ("large", LARGE_FILE_BYTES)):
            with open(os.path.join(folder, name), "wb") as file:
                file.write(b"x" * size)
        os.chmod(folder, 0o755)
        attack_all(report, arguments, folder)


def attack_all(report, arguments, folder):
    print(f"slow: slowhttptest for {SLOW_SECONDS} s, and good clients meanwhile")
    print("  good requests: answered, not, p50, p99, longest; then KiB of a slow client: PSS, kernel")
    for name in MODELS:
        if name not in arguments.model:
            continue
        for what, attack in ATTACKS.items():
            options = ["--max-threads", 6_000] if name == "mt" else MODELS[name]
            with Server(name, model(name, *options, "--root", folder)) as server:
                good, (pss, kernel) = attacked(server, *attack)
                ended = server.process.poll()
            verdict = f"{good}; {pss:.1f}, {kernel:.1f}"
            verdict += "" if ended is None else " (it died)"
            report.line(f"{name}, slow {what}", verdict)
    print(flush=True)


def attacked(server, path, clients, options):
    """How good clients fared, and the most KiB that each slow one took."""
    before, most = taken_kib(server), (0, 0)
    command = ["slowhttptest", *options, "-c", str(clients), "-r", "1000"]
    command += ["-l", str(SLOW_SECONDS), "-u", server.url(path), "-p", "3", "-v", "1"]
    null = subprocess.DEVNULL
    good, process = GoodClient(server), subprocess.Popen(command, stdout=null, stderr=null)
    good.start()
    while process.poll() is None and server.process.poll() is None:
        most = tuple(map(max, most, taken_kib(server)))
        time.sleep(0.5)
    process.wait()
    good.stopping = True
    good.join()
    return good.figures(), [(most - least) / clients for most, least in zip(most, before)]


def taken_kib(server):
    """Of the server's processes (PSS), and of the kernel for TCP: both ends' buffers."""
    return server.pss_bytes() / 1024, bench.tcp_bytes() / 1024


# --- memory ---------------------------------------------------------------------------------------


def memory(report, arguments):
    print(f"memory: PSS of an idle connection, {IDLE_CONNECTIONS:,} of them")
    for name in MODELS:
        if name not in arguments.model or name in ("iterative", "prefork"):
            continue
        count = 500 if name == "mp" else IDLE_CONNECTIONS
        options = {"mt": ["--max-threads", IDLE_CONNECTIONS + 100], "mp": ["--max-children", 600]}
        with Server(name, model(name, *PATIENT, *options.get(name, []))) as server:
            wrk(server, seconds=1, connections=8)
            time.sleep(0.2)
            before = server.pss_bytes()
            with Idle(server, count):
                each = (server.pss_bytes() - before) / count
            if name == "mn":
                report.at_most("mn", each / 1024, 9, " KiB", 2)
            else:
                report.line(f"{name} ({count:,} connections)", f"{each / 1024:.2f} KiB")
    print(flush=True)


# --- faults ---------------------------------------------------------------------------------------


def faults(report, arguments):
    for name, options in (("prefork", ["--workers", 4, "--threads", 4]), ("mp", [])):
        if name not in arguments.model:
            continue
        binary = os.path.join(bench.bin_dir(), name)
        command = [binary, "--listen", "127.0.0.1:{port}", "--demo", *map(str, options)]
        with Server(name, command) as server:
            time.sleep(0.5)
            kills(report, server)
            renewals(report, server)
            zombies = sum(supervised.state(pid) == "Z" for pid in server.pids())
            report.at_most(f"{name}: zombies", zombies, 0, digits=0)
    print(flush=True)


def kills(report, server):
    load, victims, count = supervised.Verify(server), set(), 0
    begin = due = time.monotonic()
    while (due := due + KILL_EVERY_S) < begin + KILL_FOR_S:
        time.sleep(max(0, due - time.monotonic()))
        living = [pid for pid in server.pids()[1:] if supervised.state(pid) in ("R", "S", "D")]
        if living:
            victims |= supervised.kill_one(random.choice(living), server.port)
            count += 1
    tally = load.finish(report, f"{server.name}: {count} kills in {KILL_FOR_S} s")
    report.line("    cut off within an answer", f"{tally.truncated}")
    others = [port for port in tally.cut if port not in victims]
    report.at_most("    connections of survivors that were cut", len(others), 0, digits=0)


def renewals(report, server):
    load = supervised.Verify(server)
    for _ in range(RENEWALS):
        server.process.send_signal(signal.SIGHUP)
        time.sleep(0.25)
    tally = load.finish(report, f"{server.name}: {RENEWALS} HUP")
    report.at_most("    truncated", tally.truncated, 0, digits=0)


SECTIONS = {
    "cpu": cpu,
    "wait": wait,
    "light": light,
    "slow": slow,
    "memory": memory,
    "faults": faults,
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("section", nargs="*", help=" ".join(SECTIONS))
    parser.add_argument("--model", action="append", choices=MODELS, help="only this; repeatable")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=int, default=8)
    parser.add_argument("--light-rounds", type=int, default=1)
    parser.add_argument("--core", type=int, default=os.cpu_count() - 1)
    parser.add_argument("--check", action="store_true", help="exit with 1 when a bound is missed")
    arguments = parser.parse_args()
    arguments.model = arguments.model or list(MODELS)
    bench.environment()
    bench.raise_descriptor_limit()
    report = Report(arguments.check)
    for section in arguments.section or SECTIONS:
        SECTIONS[section](report, arguments)
    report.finish()


if __name__ == "__main__":
    main()
