"""/etc/hosts: one marked block is ours, everything else is the operator's."""

from collections.abc import Collection
from ipaddress import IPv4Address

PATH = "/etc/hosts"
BEGIN = "# meshctl begins: the nodes, by the addresses that no cut cable takes away"
END = "# meshctl ends"


def merge(text: str, nodes: dict[str, IPv4Address]) -> str:
    """The file with our block, where it is or at the end, and without lines that give a node's name another address.

    Debian's installer writes `127.0.1.1 NAME`, which makes daemons announce an address nobody else can reach.
    """
    before, after = (
        [cleaned for line in lines if (cleaned := _without(line, nodes)) is not None] for lines in _around(text)
    )
    before = _trimmed(before)
    block = [BEGIN, *(f"{address}\t{name}" for name, address in nodes.items()), END]
    return "\n".join([*before, *([""] if before else []), *block, *after]) + "\n"


def without(text: str) -> str:
    """The file without our block."""
    before, after = _around(text)
    return "".join(f"{line}\n" for line in _trimmed([*before, *after]))


def _trimmed(lines: list[str]) -> list[str]:
    """Without the empty lines at the end."""
    while lines and not lines[-1].strip():
        lines = lines[:-1]
    return lines


def _around(text: str) -> tuple[list[str], list[str]]:
    """The lines before and after our block; without an end mark only those up to the next empty one belong to it."""
    before: list[str] = []
    after: list[str] = []
    outside = before
    inside = False
    ended = END in text.splitlines()
    for line in text.splitlines():
        if line == BEGIN:
            inside, outside = True, after
        elif inside and (line == END or (not ended and not line.strip())):
            inside = False
        elif not inside:
            outside.append(line)
    return before, after


def _without(line: str, names: Collection[str]) -> str | None:
    """A line without those names; None when nothing but the address is left."""
    words = line.split("#", 1)[0].split()
    if not any(word in names for word in words[1:]):
        return line
    kept = [word for word in words[1:] if word not in names and word.split(".", 1)[0] not in names]
    return "\t".join([words[0], *kept]) if kept else None
