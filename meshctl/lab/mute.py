"""Cables that lose everything but keep their carrier: the failures that only hellos and BFD notice."""

import json
from collections.abc import Iterable

from meshctl.lab.names import NETNS, lab_namespace
from meshctl.lab.proc import run

_TABLE = "bridge mesh"
_SET = f"{_TABLE} muted"

# By name, so that it holds when a host's panel ends are made anew at its next boot.
_RULES = f"""\
add table {_TABLE}
add set {_SET} {{ type ifname; }}
add chain {_TABLE} cables {{ type filter hook forward priority 0; }}
flush chain {_TABLE} cables
add rule {_TABLE} cables iifname @muted drop
"""


async def _nft(lab: str, *arguments: str, stdin: str = "") -> str:
    return await run(["nsenter", f"--net={NETNS / lab_namespace(lab)}", "nft", *arguments], stdin=stdin)


async def prepare(lab: str) -> None:
    """The rule that drops what muted panel ends send; again does no harm."""
    await _nft(lab, "-f", "-", stdin=_RULES)


async def mute(lab: str, ends: Iterable[str]) -> None:
    """Drop what the hosts behind these panel ends send."""
    await prepare(lab)
    await _nft(lab, "-f", "-", stdin="".join(f'add element {_SET} {{ "{end}" }}\n' for end in ends))


async def unmute(lab: str, ends: Iterable[str]) -> None:
    """Let them be heard again."""
    wanted = sorted(await muted(lab) & set(ends))
    await _nft(lab, "-f", "-", stdin="".join(f'delete element {_SET} {{ "{end}" }}\n' for end in wanted))


async def muted(lab: str) -> set[str]:
    """The panel ends that are muted now."""
    for entry in json.loads(await _nft(lab, "-j", "list", "sets", "bridge"))["nftables"]:
        if entry.get("set", {}).get("name") == "muted":
            return set(entry["set"].get("elem", []))
    return set()
