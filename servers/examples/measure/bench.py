"""What the measuring scripts share: servers under test, their CPU time and memory, clients, tables.

Everything runs on loopback. A server and its load generator are pinned to one core (taskset): with
a core each the generator saturates first and ratios vary twice as much. All figures about a server
are the kernel's, never its own.

    Server      starts a binary, waits until it listens, reads its CPU time and PSS, stops it
    wrk         one run of wrk(1); returns requests, seconds and latencies
    Idle        many keep-alive connections that have been served once and then do nothing
    Report      a table of rows with bounds; exit status 1 when --check is given and one is missed
"""

import os
import re
import resource
import signal
import socket
import statistics
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.abspath(os.path.join(HERE, "..", "..", ".."))
# Connections of one source address; with more of them connecting becomes slow.
CONNECTIONS_PER_ADDRESS = 2_000


def bin_dir():
    target = os.environ.get("CARGO_TARGET_DIR", os.path.join(ROOT, "target"))
    return os.path.join(target, "release")


def sped(*options):
    """The command line of sped, for `Server`."""
    return [os.path.join(bin_dir(), "sped"), "--listen", "127.0.0.1:{port}", *map(str, options)]


def amped(*options):
    """The command line of amped, for `Server`."""
    return [os.path.join(bin_dir(), "amped"), "--listen", "127.0.0.1:{port}", *map(str, options)]


def symped(*options):
    """The command line of symped, for `Server`."""
    return [os.path.join(bin_dir(), "symped"), "--listen", "127.0.0.1:{port}", *map(str, options)]


def mp(*options):
    """The command line of mp, for `Server`."""
    return [os.path.join(bin_dir(), "mp"), "--listen", "127.0.0.1:{port}", *map(str, options)]


def mt(*options):
    """The command line of mt, for `Server`."""
    return [os.path.join(bin_dir(), "mt"), "--listen", "127.0.0.1:{port}", *map(str, options)]


def prefork(*options):
    """The command line of prefork, for `Server`."""
    return [os.path.join(bin_dir(), "prefork"), "--listen", "127.0.0.1:{port}", *map(str, options)]


def seda(*options):
    """The command line of seda, for `Server`."""
    return [os.path.join(bin_dir(), "seda"), "--listen", "127.0.0.1:{port}", *map(str, options)]


def mn(*options):
    """The command line of mn, for `Server`."""
    return [os.path.join(bin_dir(), "mn"), "--listen", "127.0.0.1:{port}", *map(str, options)]


def iterative(*options):
    """The command line of iterative, for `Server`."""
    binary = os.path.join(bin_dir(), "iterative")
    return [binary, "--listen", "127.0.0.1:{port}", *map(str, options)]


def floor(*options, kind="floor"):
    """The command line of a floor, for `Server`: of the event loop, or of the `kind` named."""
    return [os.path.join(bin_dir(), "examples", kind), "{port}", *map(str, options)]


def floor_fork(*options):
    """The command line of the floor of a process per connection, for `Server`."""
    return floor(*options, kind="floor_fork")


def floor_threads(*options):
    """The command line of the floor of a thread per connection, for `Server`."""
    return floor(*options, kind="floor_threads")


def floor_prefork(*options):
    """The command line of the floor of a pool of processes, for `Server`."""
    return floor(*options, kind="floor_prefork")


def floor_iterative(*options):
    """The command line of the floor of one connection at a time, for `Server`."""
    return floor(*options, kind="floor_iterative")


def output_of(*command):
    try:
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
    except OSError:
        return ""


def environment():
    """Prints the command line and the environment that the figures depend on."""
    cpu = re.search(r"model name\s*: (.*)", open("/proc/cpuinfo").read())
    cpu = cpu[1] if cpu else os.uname().machine
    print("$", " ".join([os.path.basename(sys.argv[0]), *sys.argv[1:]]))
    print(
        f"kernel {os.uname().release}, {os.cpu_count()} cores, {cpu}, "
        f"load {os.getloadavg()[0]:.2f}"
    )
    commit = output_of("git", "-C", ROOT, "rev-parse", "--short", "HEAD") or "unknown"
    edited = " and edits" if output_of("git", "-C", ROOT, "status", "--porcelain", "-uno") else ""
    first_line = (output_of("wrk", "-v").splitlines() or ["no wrk"])[0]
    print(
        f"commit {commit}{edited}; {first_line.split(' Copyright')[0]}; "
        f"Python {sys.version.split()[0]}"
    )
    print(flush=True)


def raise_descriptor_limit():
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def cpu_clock(pid):
    """The CPU clock of a process, as clock_getcpuclockid(3) makes it."""
    return ~pid << 3 | 2


def pinned(core, command):
    return command if core is None else ["taskset", "-c", str(core), *command]


def tcp_bytes():
    """What all TCP sockets of this machine make the kernel hold: both ends, and other programs'."""
    pages = re.search(r"^TCP: .* mem (\d+)", open("/proc/net/sockstat").read(), re.M)[1]
    return int(pages) * os.sysconf("SC_PAGESIZE")


class Server:
    """A server process. `{port}` in its command line is replaced by a free port."""

    def __init__(self, name, command, core=None, descriptors=None):
        self.name = name
        self.port = free_port()
        command = [part.replace("{port}", str(self.port)) for part in command]
        limit = None
        if descriptors is not None:
            limit = lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors, descriptors))
        self.process = subprocess.Popen(
            pinned(core, command),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            preexec_fn=limit,
        )
        self.wait_until_listening()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def wait_until_listening(self):
        for _ in range(500):
            if self.process.poll() is not None:
                sys.exit(f"{self.name} ended with status {self.process.returncode}")
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                time.sleep(0.02)
        sys.exit(f"{self.name} does not listen on port {self.port}")

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(15)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()

    def url(self, path):
        return f"http://127.0.0.1:{self.port}{path}"

    def pids(self):
        """The process and its children: a master's workers count as the server."""
        pid = self.process.pid
        children = open(f"/proc/{pid}/task/{pid}/children").read().split()
        return [pid, *map(int, children)]

    def cpu_ns(self):
        """CPU time, user and system, as the scheduler accounts for it: of all threads, including
        those that have exited, and of reaped children, in ticks of 10 ms."""
        fields = open(f"/proc/{self.process.pid}/stat").read().rsplit(")", 1)[1].split()
        total = (int(fields[13]) + int(fields[14])) * 10**9 // os.sysconf("SC_CLK_TCK")
        for pid in self.pids():
            try:
                total += time.clock_gettime_ns(cpu_clock(pid))
            except OSError:
                pass  # a child that has just exited
        return total

    def user_system_ticks(self):
        """User and system time in ticks of 10 ms: only their ratio is useful."""
        user = system = 0
        for pid in self.pids():
            fields = open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()
            user, system = user + int(fields[11]), system + int(fields[12])
        return user, system

    def pss_bytes(self):
        total = 0
        for pid in self.pids():
            rollup = open(f"/proc/{pid}/smaps_rollup").read()
            total += int(re.search(r"^Pss:\s+(\d+) kB", rollup, re.M)[1]) * 1024
        return total

    def pool_bytes(self):
        """PSS of the largest private mapping, which in sped is the buffer pool."""
        largest, pss = 0, 0
        mappings = re.split(
            r"^(?=[0-9a-f]+-[0-9a-f]+ )", open(f"/proc/{self.process.pid}/smaps").read(), flags=re.M
        )
        for mapping in mappings[1:]:
            size = int(re.search(r"^Size:\s+(\d+)", mapping, re.M)[1])
            if size > largest:
                largest, pss = size, int(re.search(r"^Pss:\s+(\d+)", mapping, re.M)[1]) * 1024
        return pss

    def get(self, path, headers=""):
        """One request on a connection of its own; returns the whole response as bytes."""
        with socket.create_connection(("127.0.0.1", self.port), 10) as stream:
            stream.sendall(f"GET {path} HTTP/1.1\r\nHost: a\r\n{headers}\r\n".encode())
            return read_response(stream)


def read_response(stream):
    """Reads one response that has a Content-Length."""
    data = b""
    while b"\r\n\r\n" not in data:
        piece = stream.recv(65536)
        if not piece:
            return data
        data += piece
    head, _, _ = data.partition(b"\r\n\r\n")
    length = re.search(rb"(?i)content-length: (\d+)", head)
    whole = len(head) + 4 + (int(length[1]) if length else 0)
    while len(data) < whole:
        piece = stream.recv(1 << 20)
        if not piece:
            break
        data += piece
    return data


UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0}


class Load:
    """The result of one run of wrk."""

    def __init__(self, text):
        count = re.search(r"(\d+) requests in ([\d.]+)(us|ms|s|m)", text)
        if not count:
            sys.exit(f"wrk said:\n{text}")
        self.requests = int(count[1])
        self.seconds = float(count[2]) * UNITS[count[3]]
        self.rate = float(re.search(r"Requests/sec:\s+([\d.]+)", text)[1])
        self.percentiles_s = {
            int(p): float(value) * UNITS[unit]
            for p, value, unit in re.findall(r"(\d+)%\s+([\d.]+)(us|ms|s|m)", text)
        }
        errors = re.search(r"Socket errors: (.*)", text)
        refused = re.search(r"Non-2xx or 3xx responses: (\d+)", text)
        self.trouble = " ".join(
            filter(None, [errors and errors[1], refused and f"non-2xx {refused[1]}"])
        )


def wrk(
    server,
    path="/plaintext",
    connections=64,
    seconds=1,
    core=None,
    script=None,
    header=None,
    threads=1,
):
    command = ["wrk", f"-t{threads}", f"-c{connections}", f"-d{seconds}", "--latency"]
    if script:
        command += ["-s", os.path.join(HERE, script)]
    if header:
        command += ["-H", header]
    command = pinned(core, [*command, server.url(path)])
    return Load(subprocess.run(command, capture_output=True, text=True, check=False).stdout)


class Idle:
    """Keep-alive connections that have had one answer and then send nothing."""

    REQUEST = b"GET /plaintext HTTP/1.1\r\nHost: a\r\n\r\n"

    def __init__(self, server, count, served=True):
        self.sockets = []
        for number in range(count):
            stream = connect(server.port, number)
            self.sockets.append(stream)
            if served:
                stream.sendall(self.REQUEST)
                if not stream.recv(4096).startswith(b"HTTP/1.1 200"):
                    sys.exit(f"connection {number} was not served")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for stream in self.sockets:
            stream.close()


def connect(port, number=0, receive_bytes=None):
    """A connection; the `number` picks one of several source addresses."""
    stream = socket.socket()
    if receive_bytes is not None:
        stream.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
    stream.bind((f"127.0.0.{2 + number // CONNECTIONS_PER_ADDRESS}", 0))
    stream.settimeout(10)
    stream.connect(("127.0.0.1", port))
    return stream


def median(values):
    return statistics.median(values)


class Report:
    """Lines of a table, some of them with a bound that must hold."""

    def __init__(self, check):
        self.check = check
        self.missed = []

    def line(self, what, figure, bound=None, holds=None):
        verdict = ""
        if bound is not None:
            verdict = f"   {bound}: {'met' if holds else 'MISSED'}"
            if not holds:
                self.missed.append(what)
        print(f"  {what:<52} {figure:>14}{verdict}", flush=True)

    def at_most(self, what, value, bound, unit="", digits=2):
        self.line(what, f"{value:,.{digits}f}{unit}", f"<= {bound:,g}{unit}", value <= bound)

    def at_least(self, what, value, bound, unit="", digits=2):
        self.line(what, f"{value:,.{digits}f}{unit}", f">= {bound:,g}{unit}", value >= bound)

    def finish(self):
        if self.missed:
            print(f"\nmissed: {', '.join(self.missed)}")
        sys.exit(1 if self.check and self.missed else 0)
