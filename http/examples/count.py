#!/usr/bin/env python3
"""Instructions per request head, exactly: ours, httparse's and picohttpparser's.

The example `count` runs under callgrind for 1,000 and again for 11,000 times; what the second run
took more, divided by 10,000, is a head's share, free of start and end, and always the same. callgrind
does not tell a program of AVX-512, so that is never what is counted.

    cargo build --release -p stampede-http --example count
    http/examples/count.py [--program target/release/examples/count] [--check]
"""

import argparse
import re
import subprocess
import sys

PARSERS = ["stampede", "httparse", "picohttpparser"]
HEADS = {"31": 1, "68": 1, "170": 1, "430": 1, "703": 1, "3072": 1, "16x31": 16}
FEW, MANY = 1_000, 11_000


def collected(program, parser, name, times):
    """Instructions of a whole run."""
    command = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null"]
    command += [program, parser, name, str(times)]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    found = re.search(r"Collected : (\d+)", run.stderr)
    if run.returncode or not found:
        raise SystemExit(f"{' '.join(command)}: failed\n{run.stderr}")
    return int(found[1])


def per_head(program, parser, name):
    few, many = (collected(program, parser, name, times) for times in (FEW, MANY))
    return (many - few) / (MANY - FEW) / HEADS[name]


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--program", default="target/release/examples/count")
    parser.add_argument("--check", action="store_true", help="fail unless ours are fewer than httparse's")
    args = parser.parse_args()

    print(f"| bytes | {' | '.join(PARSERS)} | ours/httparse |")
    print("|---" * (len(PARSERS) + 2) + "|")
    missed = []
    for name in HEADS:
        counts = [per_head(args.program, each, name) for each in PARSERS]
        figures = " | ".join(f"{count:,.0f}" for count in counts)
        print(f"| {name} | {figures} | {counts[0] / counts[1]:.2f} |", flush=True)
        if counts[0] >= counts[1]:
            missed.append(f"{name} bytes: {counts[0]:,.0f} instructions, httparse {counts[1]:,.0f}")
    if args.check and missed:
        sys.exit("\n".join(missed))


if __name__ == "__main__":
    main()
