"""BFD's fast profile for ten minutes with every core busy, and no session lost: `make bench-soak`, as root.

    tests/bench/soak.py [--lab NAME] [--keep] [--seconds N] [--only CONFIG]

A lab of its own with the layers that routing needs. Prints a line every half minute and a table of all sessions; exits
with 1 when one went down, or when the run proves nothing (a session gone, bfdd restarted, cores that were idle).
"""

import argparse
import asyncio
import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from meshctl.topology import Topology
from tests.bench.failover import CONFIGS, Bench, bench_of

COUNTERS = ["vtysh", "-c", "show bfd peers counters json"]
SPIN = (sys.executable, "-c", "while True: pass")
BUSY = 0.9
"""The share of all cores' time that must have been used: less, and nothing was tried."""

EVERY = 30.0
LEAST = 0.3
"""The share of its packets that a session gets at least: bfdd sends up to a quarter earlier, a full machine later."""


@dataclass(frozen=True, slots=True)
class Session:
    """One end of a session as its bfdd counts it since it started."""

    downs: int
    received: int


Sessions = Mapping[tuple[str, str], Session]
"""By host, and the other end's `NIC ADDRESS`."""


def sessions(answers: Mapping[str, str]) -> Sessions:
    """From `show bfd peers counters json` of each host."""
    return {
        (host, f"{peer.get('interface', '')} {peer['peer']}".strip()): Session(
            int(peer["session-down"]), int(peer["control-packet-input"])
        )
        for host, answer in answers.items()
        for peer in json.loads(answer)
    }


def expected(topology: Topology) -> int:
    """Ends of sessions: two per cable."""
    return 2 * len(topology.cables)


def verdict(before: Session, after: Session | None, least: float) -> str:
    """What a session went through; "ok" when it was never down and heard the other end all the time."""
    if after is None:
        return "gone"
    if after.received < before.received or after.downs < before.downs:
        return "counted anew: bfdd was restarted"
    if after.downs > before.downs:
        return f"lost {after.downs - before.downs} times"
    heard = after.received - before.received
    return "ok" if heard >= least else f"heard {heard} packets, {least:.0f} expected"


def table(before: Sessions, after: Sessions, least: float) -> tuple[str, bool]:
    """Markdown, and whether all is well."""
    said = {key: verdict(one, after.get(key), least) for key, one in before.items()}
    lines = ["| host | session | packets heard | went down | |", "|---|---|---|---|---|"]
    for (host, peer), one in before.items():
        last = after.get((host, peer), one)
        heard, downs = last.received - one.received, last.downs - one.downs
        lines.append(f"| {host} | {peer} | {heard} | {downs} | {said[host, peer]} |")
    return "\n".join(lines), bool(said) and set(said.values()) == {"ok"}


@contextlib.contextmanager
def busy_cores(program: Sequence[str] = SPIN) -> Iterator[list[subprocess.Popen[bytes]]]:
    """A process for every core that does nothing but use it. Exits when one has ended before it was told to."""
    spinning = [subprocess.Popen(program) for _ in range(os.cpu_count() or 1)]
    try:
        yield spinning
        died = [process.pid for process in spinning if process.poll() is not None]
        if died:
            sys.exit(f"what keeps the cores busy ended by itself: {died}")
    finally:
        for process in spinning:
            process.kill()
            process.wait()


def idle(stat: str) -> tuple[int, int]:
    """`/proc/stat`: the ticks of all cores together in which nothing ran (idle, iowait), and all ticks."""
    fields = [int(field) for field in stat.split("\n", 1)[0].split()[1:9]]
    return fields[3] + fields[4], sum(fields)


def busy(before: str, after: str) -> float:
    """The share of all cores' time that was used between two looks at `/proc/stat`."""
    (idle_before, all_before), (idle_after, all_after) = idle(before), idle(after)
    ticks = all_after - all_before
    return 1 - (idle_after - idle_before) / ticks if ticks else 0.0


def stat() -> str:
    """The kernel's count of what the cores did."""
    return Path("/proc/stat").read_text()


async def look(bench: Bench) -> Sessions:
    answers = await bench.cluster.each(lambda _node, host: host.query(COUNTERS))
    return sessions({name: answer.stdout for name, answer in answers.items()})


async def soaked(bench: Bench, seconds: float) -> tuple[Sessions, Sessions, float]:
    """The counters before and after, and how busy the cores were."""
    before, ticks = await look(bench), stat()
    ends = time.monotonic() + seconds
    with busy_cores():
        after = before
        while (left := ends - time.monotonic()) > 0:
            await asyncio.sleep(min(EVERY, left))
            after = await look(bench)
            lost = sum(max(0, after[key].downs - before[key].downs) for key in before.keys() & after.keys())
            still = max(0.0, ends - time.monotonic())
            print(f"{still:5.0f} s left, {lost} lost, load {os.getloadavg()[0]:.0f}", flush=True)
    return before, after, busy(ticks, stat())


async def soak(arguments: argparse.Namespace) -> int:
    async with bench_of(arguments.lab, keep=arguments.keep) as bench:
        await bench.configure(CONFIGS[arguments.only])
        bfd, ends = bench.cluster.topology.bfd, expected(bench.cluster.topology)
        before, after, share = await soaked(bench, arguments.seconds)
        await bench.whole()
    text, fine = table(before, after, LEAST * 1000 * arguments.seconds / bfd.every)
    print(text)
    print(f"{bfd.every} ms x {bfd.misses}, {arguments.seconds:.0f} s, cores busy {100 * share:.0f} %")
    if len(before) != ends:
        print(f"{len(before)} ends of sessions instead of {ends}")
    return 0 if fine and len(before) == ends and share >= BUSY else 1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lab", default="soak")
    parser.add_argument("--keep", action="store_true", help="leave the lab running")
    parser.add_argument("--seconds", type=float, default=600)
    with_bfd = [name for name, config in CONFIGS.items() if config.bfd.enabled]
    parser.add_argument("--only", choices=with_bfd, default="fast")
    sys.exit(asyncio.run(soak(parser.parse_args())))


if __name__ == "__main__":
    main()
