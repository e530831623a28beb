#!/usr/bin/env python3
"""CPU time per request, as ratios to the floor.

All servers of a workload run at the same time, on one core together with the load generator. A
round gives each of them a second of load, in rotating order; a ratio compares figures of the same
round. The table shows medians over the rounds. The floor runs twice: the second one is the control,
and its deviation is the noise. A workload whose control is off by more than 5 % is run again.

The blocking models have floors of their own, and `sped` beside them. `iterative` gets one client at
a time: the others would wait until the first one is done.

    cargo build --release --bins && cargo build --release -p stampede-reactor --examples
    servers/examples/measure/ratios.py [--rounds 7] [--core 1] [--nginx] [--check] [WORKLOAD ...]
"""

import argparse
import contextlib
import os
import shutil
import tempfile

import bench
from bench import Idle, Report, Server, amped, floor, floor_fork, floor_iterative, floor_prefork
from bench import floor_threads, iterative, median, mn, mp, mt, prefork, sped, wrk

NOISE_MAX = 0.05
ATTEMPTS_MAX = 3
FILES = {"1KiB": 1 << 10, "4KiB": 4 << 10, "64KiB": 64 << 10, "1MiB": 1 << 20}
IDLE_CONNECTIONS = 10_000
# Of prefork: a client each.
PROCESSES = 16


class Workload:
    """The requests, the servers, and by how much they may exceed the floor."""

    def __init__(self, servers, path="/plaintext", bound=None, **load):
        self.servers = (
            servers  # (label, command) pairs; the first two are the floor and its control
        )
        self.path = path
        self.bound = bound
        self.load = load


def nginx_command(folder):
    """nginx, one worker, tuned by its manual; the second row adds its cache of open files."""

    def command(name, extra=""):
        path = os.path.join(folder, f"{name}.conf")
        with open(path, "w") as file:
            file.write(NGINX_CONF % {"folder": folder, "name": name, "extra": extra})
        script = f'sed s/PORT/{{port}}/ {path} > {path}.port && exec nginx -c {path}.port'
        return ["sh", "-c", script]

    cache = "open_file_cache max=1000 inactive=20s; open_file_cache_valid 60s;"
    return [("nginx", command("plain")), ("nginx, open_file_cache", command("cached", cache))]


NGINX_CONF = """\
daemon off; worker_processes 1; error_log /dev/null; pid %(folder)s/%(name)s.pid; user root;
events { worker_connections 15000; }
http {
  access_log off; keepalive_requests 1000000000; keepalive_timeout 600;
  sendfile on; tcp_nopush on; tcp_nodelay on; default_type text/plain; %(extra)s
  server {
    listen 127.0.0.1:PORT; root %(folder)s/www;
    location = /plaintext { return 200 "Hello, World!"; }
  }
}
"""


def make_files(folder):
    root = os.path.join(folder, "www")
    os.mkdir(root)
    for name, size in FILES.items():
        with open(os.path.join(root, name), "wb") as file:
            file.write(b"x" * size)
    return root


def answer_file(folder, name, command, path, headers=""):
    """A server's answer, saved for a floor that sends the same bytes."""
    with Server("sample", command) as server:
        answer = server.get(path, headers)
    file_name = os.path.join(folder, name)
    with open(file_name, "wb") as file:
        file.write(answer)
    return file_name


def twice(command):
    return [("floor", command), ("floor again", command)]


def workloads(folder, with_nginx, before=None):
    root = make_files(folder)
    nginx = nginx_command(folder) if with_nginx else []
    site = sped("--root", root, "--demo")
    close = "Connection: close\r\n"
    plain = answer_file(folder, "plaintext.answer", site, "/plaintext")
    closing = answer_file(folder, "close.answer", site, "/plaintext", close)
    hello = twice(floor("--answer", plain))
    both = [("sped", site)]
    if before:
        both.append(("sped, before", [before, *site[1:]]))
    table = {
        "plaintext": Workload([*hello, *both, *nginx[:1]], bound=1.08),
        "pipelined": Workload([*hello, *both, *nginx[:1]], bound=1.3, script="pipeline.lua"),
        "one": Workload([*hello, *both, *nginx[:1]], connections=1),
        "idle": Workload([*both, ("sped again", site), ("sped, 10,000 idle", site)], bound=1.05),
    }
    work_elsewhere = [("amped, all", amped("--offload", "all")), ("amped", amped())]
    table["offload"] = Workload([*both, ("sped again", sped()), *work_elsewhere], bound=1.5)
    for name, size in FILES.items():
        answer = answer_file(folder, f"{name}.answer", site, f"/{name}")
        yardstick = (
            floor("--sendfile", os.path.join(root, name))
            if size > 65536
            else floor("--answer", answer)
        )
        table[name] = Workload([*twice(yardstick), *both, *nginx], path=f"/{name}", bound=1.10)
    now, later = floor("--close", "--answer", closing), floor(
        "--close", "--answer", closing, "--defer-accept"
    )
    deferring = [*site, "--defer-accept", "10s"]
    table["close"] = Workload(
        [*twice(now), ("floor, deferred", later), *both, ("sped, deferred", deferring), *nginx[:1]],
        header="Connection: close",
    )
    table.update(blocking_workloads(site, plain, closing))
    return table


def blocking_workloads(site, plain, closing):
    """A process or a thread per connection, a process for each of a few, and one connection at a
    time: kept open, and closed at once."""
    table = {}
    pool, processes = ["--workers", PROCESSES], ["--processes", PROCESSES]
    models = [
        ("mp", [floor_fork], [mp], 64, 1.10),
        ("mt", [floor_threads], [mt], 64, 1.08),
        ("prefork", [floor_prefork, *processes], [prefork, *pool], PROCESSES, 1.10),
        ("iterative", [floor_iterative], [iterative], 1, 1.08),
    ]
    for name, (yardstick, *its), (server, *options), connections, bound in models:
        options += site[site.index("--root") :]
        servers = [(name, server(*options)), ("sped", site)]
        keep = twice(yardstick("--answer", plain, *its))
        now = twice(yardstick("--close", "--answer", closing, *its))
        close = {"connections": connections, "header": "Connection: close"}
        table[name] = Workload([*keep, *servers], bound=bound, connections=connections)
        table[f"{name}-close"] = Workload([*now, *servers], **close)
    options = site[site.index("--root") :]
    fibers = [("mn", mn(*options)), ("mn, 1 worker", mn("--workers", 1, *options))]
    table["mn"] = Workload([("sped", site), ("sped again", site), *fibers], bound=1.15)
    table["mn-close"] = Workload(
        [("sped", site), ("sped again", site), *fibers], header="Connection: close"
    )
    return table


def measure(workload, rounds, core):
    """CPU nanoseconds per request: for each server a list by round; and the rest."""
    with contextlib.ExitStack() as stack:
        servers = [
            stack.enter_context(Server(label, command, core)) for label, command in workload.servers
        ]
        for server in servers:
            if "idle" in server.name:
                stack.enter_context(Idle(server, IDLE_CONNECTIONS))
            wrk(server, workload.path, seconds=1, core=core, **workload.load)
        ticks = {server.name: server.user_system_ticks() for server in servers}
        costs = {server.name: [] for server in servers}
        rates = {server.name: [] for server in servers}
        trouble = {}
        for number in range(rounds):
            turn = number % len(servers)
            for server in servers[turn:] + servers[:turn]:
                before = server.cpu_ns()
                load = wrk(server, workload.path, seconds=1, core=core, **workload.load)
                costs[server.name].append((server.cpu_ns() - before) / max(load.requests, 1))
                rates[server.name].append(load.rate)
                if load.trouble:
                    trouble[server.name] = load.trouble
        shares = {
            server.name: user_share(ticks[server.name], server.user_system_ticks())
            for server in servers
        }
    return costs, rates, shares, trouble


def user_share(before, after):
    user, system = after[0] - before[0], after[1] - before[1]
    return user / max(user + system, 1)


def ratios_to(costs, name, base):
    return [cost / yardstick for cost, yardstick in zip(costs[name], costs[base])]


def show(name, workload, outcome, report):
    costs, rates, shares, trouble = outcome
    labels = list(costs)
    print(f"{name}: {workload.path} {workload.load or ''}")
    print(
        f"  {'':<26}{'ns/request':>11}{'user part':>11}{'requests/s':>12}"
        f"{'ratio':>8}   lowest … highest"
    )
    for label in labels:
        ratios = ratios_to(costs, label, labels[0])
        cost = median(costs[label])
        print(
            f"  {label:<26}{cost:>11,.0f}{cost * shares[label]:>11,.0f}"
            f"{median(rates[label]):>12,.0f}"
            f"{median(ratios):>8.3f}   {min(ratios):.3f} … {max(ratios):.3f}"
            f"  {trouble.get(label, '')}"
        )
    if workload.bound:
        judged = labels[2]
        report.at_most(
            f"{judged} / {labels[0]}",
            median(ratios_to(costs, judged, labels[0])),
            workload.bound,
            digits=3,
        )
    if name == "plaintext":
        report.at_most(
            "sped, user part", median(costs["sped"]) * shares["sped"], 500, " ns", digits=0
        )
    print(flush=True)


def is_missing(command):
    return os.path.isabs(command[0]) and not os.path.exists(command[0])


def noise(costs):
    labels = list(costs)
    return abs(median(ratios_to(costs, labels[1], labels[0])) - 1)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "workload",
        nargs="*",
        help="plaintext pipelined one idle offload close mp mp-close mt mt-close prefork "
        + "prefork-close iterative iterative-close mn mn-close "
        + " ".join(FILES),
    )
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--core", type=int, default=os.cpu_count() - 1)
    parser.add_argument("--nginx", action="store_true", help="measure nginx, too")
    parser.add_argument("--before", help="another sped, measured beside: that of an earlier commit")
    parser.add_argument("--check", action="store_true", help="exit with 1 when a bound is missed")
    arguments = parser.parse_args()
    bench.environment()
    bench.raise_descriptor_limit()
    report = Report(arguments.check)
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        table = workloads(folder, arguments.nginx and shutil.which("nginx"), arguments.before)
        for name in arguments.workload or table:
            missing = [label for label, command in table[name].servers if is_missing(command)]
            if missing:
                print(f"{name}: not built: {', '.join(missing)}\n")
                continue
            for attempt in range(ATTEMPTS_MAX):
                outcome = measure(table[name], arguments.rounds, arguments.core)
                if noise(outcome[0]) <= NOISE_MAX or attempt == ATTEMPTS_MAX - 1:
                    break
                print(f"({name}: the control is off by {noise(outcome[0]):.1%}: once more)")
            show(name, table[name], outcome, report)
    report.finish()


if __name__ == "__main__":
    main()
