#!/usr/bin/env python3
"""SYMPED and prefork: what crashes, restarts and upgrades cost its clients, how connections are balanced, and
what a request costs with two workers.

    kill       kill -9 of a random worker every 100 ms for 60 s, under a load that verifies
    signals    200 HUP and 20 USR2, the same
    balance    SYMPED: 1,000 connections for each way of accepting: how they are spread over four workers
    cpu        SYMPED: CPU time of a keep-alive /plaintext: two workers, one, SPED, nginx with two
    overload   cores that one SYMPED worker uses under more load than it can serve

The load of `kill` and `signals` compares every answer byte for byte, honours `Connection: close`, and
repeats a request only on a connection that was closed before the answer's first byte. Before a worker
is killed it is stopped, to list its connections: any other lost connection counts as an error.

    cargo build --release --bins --example verify
    servers/examples/measure/symped.py [--check] [SECTION ...]
"""

import argparse
import collections
import contextlib
import json
import os
import random
import re
import shutil
import signal
import subprocess
import tempfile
import time

import bench
from bench import Report, Server, connect, median, prefork, sped, symped, wrk

KILL_EVERY_S = 0.1
KILL_FOR_S = 60
RENEWALS = 200
UPGRADES = 20
CONNECTIONS = 1_000
CLIENTS = 8
ROUNDS = 9
MODES = ["reuseport", "shared", "pass"]
# Threads of a prefork process: each of two has room for all clients.
THREADS = 16
# Of the classic kind, with a thread each: most of them are free at any time.
PROCESSES = 32


class Verify:
    """The load that verifies."""

    def __init__(self, server):
        command = [os.path.join(bench.bin_dir(), "examples", "verify")]
        command += [f"127.0.0.1:{server.port}", str(CLIENTS)]
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True)

    def finish(self, report, what, cuts_allowed=frozenset()):
        """Reports the results. Connections may have been cut only if their ports are allowed to."""
        said, _ = self.process.communicate()
        tally = collections.namedtuple("Counters", (found := json.loads(said)))(**found)
        answers = f"{tally.answered:,} on {tally.connections:,} connections"
        report.line(f"{what}: requests answered", answers)
        report.line("    closed by announcement, repeated", f"{tally.announced}, {tally.repeats}")
        report.at_most("    refused", tally.refused, 0, digits=0)
        report.at_most("    wrong or not answered", tally.failed, 0, digits=0)
        return tally


def processes(server):
    """The workers' entries of the status page; empty if the worker that was asked is gone."""
    with contextlib.suppress(OSError, ValueError):
        _, _, body = server.get("/status.json", "Connection: close\r\n").partition(b"\r\n\r\n")
        return json.loads(body)["processes"]
    return []


def wait_for(what, holds):
    end = time.monotonic() + 60
    while not (found := holds()):
        if time.monotonic() > end:
            raise SystemExit(f"waited in vain for: {what}")
        time.sleep(0.002)
    return found


def all_serve(server):
    return renewed(server, set())


def state(pid):
    with contextlib.suppress(OSError):
        return open(f"/proc/{pid}/stat").read().rsplit(") ", 1)[1][0]
    return None


def is_halted(pid):
    """All of its threads are, or it is gone."""
    return all(state(f"{pid}/task/{thread}") in ("T", "Z", None) for thread in threads(pid))


def threads(pid):
    with contextlib.suppress(OSError):
        return os.listdir(f"/proc/{pid}/task")
    return []


def clients_of(pid, port):
    """The clients' ports of a process's connections."""
    inodes, clients = set(), set()
    for fd in os.listdir(f"/proc/{pid}/fd"):
        with contextlib.suppress(OSError):
            inodes.add(os.readlink(f"/proc/{pid}/fd/{fd}"))
    for line in open(f"/proc/{pid}/net/tcp").readlines()[1:]:
        columns = line.split()
        ours = int(columns[1].split(":")[1], 16) == port
        if ours and f"socket:[{columns[9]}]" in inodes:
            clients.add(int(columns[2].split(":")[1], 16))
    return clients


def kill(report):
    for name, workers, command in [
        ("symped", 4, symped),
        (f"prefork, {THREADS} threads", 4, lambda *all: prefork("--threads", THREADS, *all)),
        ("prefork", PROCESSES, prefork),
    ]:
        print(f"  {name}, {workers} workers")
        kill_workers(report, workers, command("--demo", "--workers", workers))


def kill_workers(report, workers, command):
    with Server("server", command) as server:
        wait_for("the workers", lambda: all_serve(server))
        time.sleep(0.5)
        master = server.process.pid
        descriptors = len(os.listdir(f"/proc/{master}/fd"))
        load, victims, kills = Verify(server), set(), 0
        begin = due = time.monotonic()
        while (due := due + KILL_EVERY_S) < begin + KILL_FOR_S:
            time.sleep(max(0, due - time.monotonic()))
            living = [pid for pid in server.pids()[1:] if state(pid) in ("R", "S", "D")]
            if living:
                victims |= kill_one(random.choice(living), server.port)
                kills += 1
        tally = load.finish(report, f"{kills} kills in {time.monotonic() - begin:.0f} s")
        report.line("    cut off within an answer", f"{tally.truncated}")
        others = [port for port in tally.cut if port not in victims]
        report.at_most("    connections of survivors that were cut", len(others), 0, digits=0)
        wait_for("all to be replaced", lambda: all_serve(server))
        wait_for("no zombie", lambda: len(server.pids()) == workers + 1)
        zombies = sum(state(pid) == "Z" for pid in server.pids())
        report.at_most("    zombies", zombies, 0, digits=0)
        time.sleep(0.5)
        leaked = len(os.listdir(f"/proc/{master}/fd")) - descriptors
        report.at_most("    descriptors leaked in the master", leaked, 0, digits=0)
        page = server.get("/metrics").decode()
        still_open = int(re.search(r"^stampede_connections_open (\d+)", page, re.M)[1]) - 1
        report.at_most("    connections counted and gone", still_open, 0, digits=0)


def kill_one(pid, port):
    """Kills a worker; returns its clients' ports, nothing if it has just died of the last kill."""
    with contextlib.suppress(ProcessLookupError, FileNotFoundError):
        os.kill(pid, signal.SIGSTOP)
        wait_for("a halted worker", lambda: is_halted(pid))
        clients = clients_of(pid, port)
        os.kill(pid, signal.SIGKILL)
        return clients
    return set()


def signals(report):
    servers = [(mode, symped("--workers", 2, "--accept", mode)) for mode in MODES]
    servers.append((f"prefork, {THREADS} threads", prefork("--workers", 2, "--threads", THREADS)))
    servers.append(("prefork", prefork("--workers", PROCESSES)))
    for mode, command in servers:
        with Server("server", [*command, "--demo"]) as server:
            wait_for("the workers", lambda: all_serve(server))
            load = Verify(server)
            for _ in range(RENEWALS):
                old = {process["pid"] for process in processes(server)}
                server.process.send_signal(signal.SIGHUP)
                wait_for("other workers", lambda: renewed(server, old))
            tally = load.finish(report, f"{RENEWALS} HUP, {mode}")
            report.at_most("    truncated", tally.truncated, 0, digits=0)
            upgrade_all(report, server, mode)


def renewed(server, old):
    """The workers, once all of them serve and none is an `old` one; from a single status page."""
    found = processes(server)
    done = all(process["state"] == "serving" and process["pid"] not in old for process in found)
    return found if done else []


def upgrade_all(report, server, mode):
    load, master = Verify(server), server.process.pid
    for _ in range(UPGRADES):
        before = {process["pid"] for process in processes(server)}
        os.kill(master, signal.SIGUSR2)
        found = wait_for("a successor", lambda: renewed(server, before))
        old, master = master, parent(found[0]["pid"])
        if old == server.process.pid:
            server.process.wait()
        wait_for("the old one's end", lambda: state(old) in (None, "Z"))
    tally = load.finish(report, f"{UPGRADES} USR2, {mode}")
    report.at_most("    truncated", tally.truncated, 0, digits=0)
    os.kill(master, signal.SIGTERM)
    wait_for("the last one's end", lambda: state(master) in (None, "Z"))


def parent(pid):
    return int(open(f"/proc/{pid}/stat").read().rsplit(") ", 1)[1].split()[1])


def balance(report):
    for mode in MODES:
        with Server("symped", symped("--demo", "--workers", 4, "--accept", mode)) as server:
            wait_for("the workers", lambda: all_serve(server))
            held = [connect(server.port, number) for number in range(CONNECTIONS)]
            for stream in held:
                stream.sendall(bench.Idle.REQUEST)
                stream.recv(4096)
            wait_for("all to be counted", lambda: sum(shares(server)) == CONNECTIONS + 1)
            spread = shares(server)
            figure = " ".join(map(str, spread))
            report.line(f"{mode}: connections of each worker", figure)
            report.line("    spread, of the mean", f"{spread_of(spread):.0%}")
            for stream in held:
                stream.close()


def shares(server):
    return [process["connections_open"] for process in processes(server)]


def spread_of(counts):
    return (max(counts) - min(counts)) / (sum(counts) / len(counts))


NGINX = """
daemon off; worker_processes 2; error_log /dev/null; pid {folder}/pid;
events {{ worker_connections 1024; }}
http {{ access_log off; keepalive_requests 1000000000; keepalive_timeout 1h;
    client_body_temp_path {folder}/b; proxy_temp_path {folder}/p; fastcgi_temp_path {folder}/f;
    uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
    server {{ listen 127.0.0.1:{{port}} reuseport;
        location = /plaintext {{ default_type text/plain; return 200 "Hello, World!"; }} }} }}
"""


class Nginx(Server):
    """nginx with two workers; its configuration is written when its port is known."""

    def __init__(self, folder):
        configuration = os.path.join(folder, "nginx.conf")
        port = bench.free_port()
        with open(configuration, "w", encoding="ascii") as file:
            file.write(NGINX.format(folder=folder).replace("{port}", str(port)))
        bench.free_port, before = lambda: port, bench.free_port
        try:
            super().__init__("nginx", ["nginx", "-c", configuration])
        finally:
            bench.free_port = before


def cpu(report):
    """With a load of two threads: one cannot keep two workers busy, and the measurement would show
    that they wait more often than a single process does."""
    with contextlib.ExitStack() as stack:
        start = lambda *server: stack.enter_context(Server(*server))
        servers = {
            "2 workers": start("symped", symped("--demo", "--workers", 2)),
            "1 worker": start("symped", symped("--demo", "--workers", 1)),
            "SPED": start("sped", sped("--demo")),
        }
        if shutil.which("nginx"):
            folder = stack.enter_context(tempfile.TemporaryDirectory())
            os.chmod(folder, 0o755)
            servers["nginx, 2 workers"] = stack.enter_context(Nginx(folder))
        costs = collections.defaultdict(list)
        for _ in range(ROUNDS):
            for name, server in servers.items():
                before = server.cpu_ns()
                load = wrk(server, seconds=2, threads=2)
                costs[name].append((server.cpu_ns() - before) / load.requests / 1000)
    ours = costs["2 workers"]
    for name, values in costs.items():
        report.line(f"CPU time of a request, {name}", f"{median(values):.2f} us")
    for name, bound in (("SPED", 1.05), ("1 worker", None), ("nginx, 2 workers", 0.95)):
        if name in costs:
            ratio = median([mine / other for mine, other in zip(ours, costs[name])])
            what = f"    2 workers, to {name}"
            if bound is None:
                report.line(what, f"{ratio:.2f}")
            else:
                report.at_most(what, ratio, bound)


def overload(report):
    with Server("symped", symped("--demo", "--workers", 1)) as server:
        before, begin = server.cpu_ns(), time.monotonic()
        load = wrk(server, seconds=5, connections=512)
        cores = (server.cpu_ns() - before) / 1e9 / (time.monotonic() - begin)
        report.line("512 connections as fast as they can", f"{load.rate:,.0f}/s")
        report.at_most("    cores in use", cores, 1)


SECTIONS = {
    "kill": kill,
    "signals": signals,
    "balance": balance,
    "cpu": cpu,
    "overload": overload,
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("sections", nargs="*", metavar="SECTION", help=", ".join(SECTIONS))
    parser.add_argument("--check", action="store_true", help="exit status 1 when a bound is missed")
    arguments = parser.parse_args()
    bench.environment()
    report = Report(arguments.check)
    for name in arguments.sections or SECTIONS:
        print(name)
        SECTIONS[name](report)
        print()
    report.finish()


if __name__ == "__main__":
    main()
