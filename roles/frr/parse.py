"""What FRR and the kernel say, as typed facts. Pure functions; ValueError means "not what I know"."""

import json
import re
from dataclasses import dataclass
from typing import Any

from meshctl.roles.parsing import parser

_OPENING = re.compile(r"^[\[{]", re.MULTILINE)

CHAIN = "meshctl"
"""The name of the key chain with the cluster's routing key."""

_KEY_LINE = (f"key chain {CHAIN}", "key 1", "key-string ")

# What follows these words in a line of configuration is a secret.
_SECRET = re.compile(r"(\bkey-string|\bauthentication-key|\bmd5|\bclear|\bpassword(?! (?:clear|md5))) +\S.*")

ConfigLine = tuple[str, ...]
"""A line of configuration after the lines it is nested in: `("interface eth1", "ip ospf cost 10")`."""

_FRAMES = frozenset({"exit", "end", "exit-address-family", "Building configuration...", "Current configuration:"})

# FRR reports the kernel's forwarding switches as if they were configuration; they are the system layer's sysctls.
_NOT_OURS = ("frr version", "ip forwarding", "no ip forwarding", "ipv6 forwarding", "no ipv6 forwarding")

# FRR goes on showing `bfd` / `exit` after the last profile and peer have gone.
_EMPTY = frozenset({("bfd",)})

# What the distribution's own frr.conf and an idle FRR consist of.
_HARMLESS = ("frr defaults", "hostname", "log ", "service ", "agentx", "no ", "zebra ")


@dataclass(frozen=True, slots=True)
class Adjacency:
    """An OSPF neighbour as one host sees it. `state` is how far the database exchange came; "Full" is done."""

    router: str
    address: str
    nic: str
    state: str


@dataclass(frozen=True, slots=True)
class BfdPeer:
    """A BFD session as one host sees it."""

    address: str
    nic: str
    status: str


@dataclass(frozen=True, slots=True)
class Route:
    """A route in the kernel's main table."""

    destination: str
    protocol: str
    source: str
    nic: str = ""
    """"" where there are several next hops."""
    metric: int = 0


@parser
def config_lines(text: str) -> frozenset[ConfigLine]:
    """A configuration as a set of lines with their context, without comments, frames, and what isn't FRR's own."""
    lines: set[ConfigLine] = set()
    context: list[tuple[int, str]] = []
    for raw in text.splitlines():
        line = raw.strip()
        if not line or line.startswith(("!", "#")) or line in _FRAMES or line.startswith(_NOT_OURS):
            continue
        depth = len(raw) - len(raw.lstrip())
        context = [entry for entry in context if entry[0] < depth]
        context.append((depth, line))
        lines.add(tuple(entry for _, entry in context))
    return frozenset(lines)


@parser
def foreign(text: str) -> str:
    """A line that shows that someone other than meshctl configured this FRR; "" if there is none.

    meshctl's own configuration is known by its names (`meshctl-source`, the BFD profile `meshctl`), because `write` in
    vtysh drops comments.
    """
    if "meshctl" in text:
        return ""
    strange = sorted(line for line in config_lines(text) if not line[0].startswith(_HARMLESS))
    return _shown(strange[0]) if strange else ""


def differences(wanted: str, running: str) -> str:
    """The first differences between two configurations, in one line; "" if they mean the same."""
    want, have = (config_lines(text) - _EMPTY for text in (wanted, running))
    parts = [f"lacks `{_shown(line)}`" for line in sorted(want - have)]
    parts += [f"has `{_shown(line)}`" for line in sorted(have - want)]
    more = f" and {len(parts) - 3} more" if len(parts) > 3 else ""  # noqa: PLR2004  (three show the pattern)
    return ", ".join(parts[:3]) + more


def _shown(line: ConfigLine) -> str:
    return redacted(" / ".join(line))


def redacted(text: str) -> str:
    """Configuration, or what vtysh says of it, with every secret left out."""
    return _SECRET.sub(r"\1 (not shown)", text)


def undone(line: str) -> str:
    """What takes back a line of an interface. Without the secret in it: FRR wants none, and it would be an argument."""
    bare = _SECRET.sub(lambda match: "" if match[1] in {"md5", "clear"} else match[1], line).strip()
    return bare.removeprefix("no ") if bare.startswith("no ") else f"no {bare}"


@parser
def enabled(text: str) -> frozenset[str]:
    """The daemons that /etc/frr/daemons switches on, and zebra, which always runs."""
    lines = (line.partition("=") for line in text.splitlines())
    return frozenset({"zebra", *(name.strip() for name, _, value in lines if value.strip() == "yes")})


@parser
def sources(text: str) -> str:
    """Of a configuration as we render it, what gives routes the loopback as source: zebra's part of it."""
    found = re.findall(r"^route-map meshctl-source.*?^exit$|^ip(?:v6)? protocol .*?$", text, re.MULTILINE | re.DOTALL)
    return "".join(f"{block}\n" for block in found)


@parser
def routing_key(text: str) -> str:
    """The key in our key chain; "" when this configuration has none."""
    chain, number, word = _KEY_LINE
    keys = [line[2].removeprefix(word) for line in config_lines(text) if line[:2] == (chain, number)
            and len(line) > 2 and line[2].startswith(word)]  # fmt: skip  # noqa: PLR2004
    return keys[0].strip() if keys else ""


def strangers(wanted: str, running: str) -> list[tuple[str, str]]:
    """(interface context, line) of what runs on interfaces that the wanted configuration doesn't have.

    frr-reload would say `no interface NIC`, which FRR 10 refuses while the NIC is up, and the lines would stay.
    """
    ours = {line[0] for line in config_lines(wanted)}
    extra = sorted(line for line in config_lines(running) if line[0].startswith("interface ") and line[0] not in ours)
    return [(line[0], line[1]) for line in extra if len(line) == 2]  # noqa: PLR2004  (context, line)


@parser
def running(text: str) -> tuple[frozenset[str], str]:
    """`show daemons` followed by `show running-config`: who runs, and with what; empty when FRR doesn't answer."""
    first, _, configuration = text.partition("\n")
    return frozenset(first.split()), configuration


@parser
def answers(text: str) -> tuple[Any, ...]:
    """The JSON that several questions to vtysh left behind, in their order.

    A daemon that doesn't run leaves none, only "ospfd is not running" or nothing at all.
    """
    found: list[Any] = []
    decoder, at = json.JSONDecoder(), 0
    while opening := _OPENING.search(text, at):
        try:
            value, at = decoder.raw_decode(text, opening.start())
        except (ValueError, RecursionError):
            break
        found.append(value)
    return tuple(found)


@parser
def bfd_peers(value: Any) -> tuple[BfdPeer, ...]:
    """The list of `show bfd peers json`."""
    if not isinstance(value, list):
        raise ValueError("a JSON list expected")  # noqa: TRY004  (callers know one error)
    return tuple(BfdPeer(str(e["peer"]), str(e.get("interface", "")), str(e["status"])) for e in value)


@parser
def routes(text: str) -> tuple[Route, ...]:
    """`ip -j -4 route show`, or -6."""
    return tuple(
        Route(
            destination=str(entry["dst"]),
            protocol=str(entry.get("protocol", "")),
            source=str(entry.get("prefsrc", "")),
            nic=str(entry.get("dev", "")),
            metric=entry.get("metric", 0),
        )
        for entry in _list(text)
    )


@parser
def unsourced(text: str) -> frozenset[str]:
    """The same; the protocols that have a route without a source."""
    return frozenset(route.protocol for route in routes(text) if not route.source)


def _list(text: str) -> list[dict[str, Any]]:
    value = json.loads(text)
    if not isinstance(value, list):
        raise ValueError("a JSON list expected")  # noqa: TRY004  (callers know one error)
    return value
