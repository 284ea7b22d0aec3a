"""A ping every 10 ms between all loopbacks, and how long nothing came back.

The probes run on the hosts themselves, so that the way to the controller has no part in the figures. Times are the
prober's own clock; what counts is when an answered packet was *sent*, so that slow answers are no losses.
"""

import re
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from meshctl.host.base import Host

INTERVAL = 0.01
"""Seconds between two packets of a pair."""

LIFETIME = 300.0
"""Seconds after which probes end that nobody stopped. ICMP numbers last for 655 s at this interval."""

_SCRIPT = Path(__file__).with_name("probes.sh").read_text()
_COUNT = 'cd "$0" 2>/dev/null && for f; do [ ! -e "$f" ] || echo "$f $(grep -c "bytes from" "$f")"; done; :'
_REPLY = re.compile(
    r"^\[(?P<at>\d+\.\d+)\] \d+ bytes from .*icmp_seq=(?P<seq>\d+) ttl=(?P<ttl>\d+) time=(?P<rtt>[\d.]+) ms$",
    re.MULTILINE,
)
_PART = re.compile(r"^@@ (\S+)\n", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Reply:
    """An answered packet: its number, when it was sent (Unix seconds), the answer's TTL, the round trip in ms."""

    seq: int
    sent: float
    ttl: int
    rtt: float


@dataclass(frozen=True, slots=True)
class Loss:
    """What one pair lost: packets without answer, and for how many ms nothing that was sent was answered.

    `ttl` is that of the last answer: 64 over a direct cable, one less for each host in between.
    """

    lost: int
    ms: float
    ttl: int


class Probes:
    """Running probes of one host. `run` ends when `stop` was called."""

    def __init__(self, host: Host, source: str, targets: Sequence[str]) -> None:
        self._host = host
        self._targets = tuple(targets)
        self._argv = [source, f"{INTERVAL:g}", f"{LIFETIME:g}", *targets]
        self.last_words = ""
        """The end of what the probes said, once they have ended."""
        self._folder = f"/run/meshctl-probes-{secrets.token_hex(4)}"

    async def run(self) -> dict[str, tuple[Reply, ...]]:
        """Probe until stopped; replies by target."""
        argv = ["sh", "-c", _SCRIPT, "probes.sh", self._folder, *self._argv]
        output = (await self._host.query(argv, timeout=LIFETIME + 20)).stdout
        self.last_words = " / ".join(output.splitlines()[-3:])
        return replies(output)

    async def answered(self) -> dict[str, int]:
        """How many packets were answered so far, by target; empty while the probes haven't begun."""
        lines = (await self._host.query(["sh", "-c", _COUNT, self._folder, *self._targets])).stdout.splitlines()
        # A probe that ends meanwhile leaves a target without a count.
        return {target: int(count) for target, _, count in (line.partition(" ") for line in lines) if count}

    async def stop(self) -> None:
        """Let `run` end."""
        await self._host.query(["sh", "-c", '[ ! -d "$0" ] || : >"$0/stop"', self._folder])


def replies(output: str) -> dict[str, tuple[Reply, ...]]:
    """The output of probes.sh, by target; duplicates are left out."""
    _, *parts = _PART.split(output)
    return {to: ping_replies(text) for to, text in zip(parts[::2], parts[1::2], strict=True)}


def ping_replies(output: str) -> tuple[Reply, ...]:
    """The answers in what `ping -D` prints, in the order of their numbers."""
    found = (
        Reply(int(m["seq"]), float(m["at"]) - float(m["rtt"]) / 1000, int(m["ttl"]), float(m["rtt"]))
        for m in _REPLY.finditer(output)
    )
    return tuple({reply.seq: reply for reply in sorted(found, key=lambda reply: reply.seq)}.values())


def loss(answers: Sequence[Reply]) -> Loss:
    """Numbers that are missing between the first and the last answer. Raises ValueError without any answer."""
    if not answers:
        raise ValueError("no packet was answered")
    gaps = [(a, b) for a, b in pairwise(answers) if b.seq - a.seq > 1]
    lost = sum(b.seq - a.seq - 1 for a, b in gaps)
    return Loss(lost, 1000 * sum(max(0.0, b.sent - a.sent - INTERVAL) for a, b in gaps), answers[-1].ttl)


def percentile(values: Iterable[float], share: float) -> float:
    """The value that `share` (0 to 1) of the values do not exceed (nearest rank). Raises ValueError without values."""
    ordered = sorted(values)
    if not ordered:
        raise ValueError("no values")
    return ordered[max(0, min(len(ordered) - 1, -(-int(share * 1000) * len(ordered) // 1000) - 1))]
