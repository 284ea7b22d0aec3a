"""/etc/hosts: one marked block is ours, everything else is the operator's."""

from collections.abc import Collection
from ipaddress import IPv4Address

PATH = "/etc/hosts"
BEGIN = "# meshctl begins: the nodes, by the addresses that no cut cable takes away"
END = "# meshctl ends"


def merge(text: str, nodes: dict[str, IPv4Address]) -> str:
    """The file with our block at its end, and without lines that would give a node's name another address.

    Debian's installer writes `127.0.1.1 NAME`, which makes daemons announce an address nobody else can reach.
    """
    kept = [cleaned for line in _outside(text) if (cleaned := _without(line, nodes)) is not None]
    kept = _trimmed(kept)
    block = [BEGIN, *(f"{address}\t{name}" for name, address in nodes.items()), END]
    return "\n".join([*kept, *([""] if kept else []), *block]) + "\n"


def without(text: str) -> str:
    """The file without our block."""
    return "".join(f"{line}\n" for line in _trimmed(_outside(text)))


def _trimmed(lines: list[str]) -> list[str]:
    """Without the empty lines at the end."""
    while lines and not lines[-1].strip():
        lines = lines[:-1]
    return lines


def _outside(text: str) -> list[str]:
    """The lines outside our block; without an end mark only the lines up to the next empty one belong to it."""
    lines = []
    inside = False
    ended = END in text.splitlines()
    for line in text.splitlines():
        if line == BEGIN:
            inside = True
        elif inside and (line == END or (not ended and not line.strip())):
            inside = False
        elif not inside:
            lines.append(line)
    return lines


def _without(line: str, names: Collection[str]) -> str | None:
    """A line without those names; None when nothing but the address is left."""
    words = line.split("#", 1)[0].split()
    if not any(word in names for word in words[1:]):
        return line
    kept = [word for word in words[1:] if word not in names and word.split(".", 1)[0] not in names]
    return "\t".join([words[0], *kept]) if kept else None
