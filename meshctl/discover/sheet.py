"""A topology file as it is written for people: short, commented, and the same whoever gathered what it says. Pure."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from meshctl.topology.document import Ssh
from meshctl.topology.positions import YamlFault, parse


@dataclass(frozen=True, slots=True)
class Entry:
    """One host: its settings in order, values as YAML; its disks with what is known of each, "" for nothing."""

    name: str
    settings: Mapping[str, str]
    disks: Sequence[tuple[str, str]] = ()


@dataclass(frozen=True, slots=True)
class Sheet:
    """All that the file says. `head` are lines without `# `; `sections` is text, `mesh` and what comes after it."""

    head: Sequence[str]
    cluster: str
    ssh: Ssh
    nodes: Sequence[Entry]
    cables: Sequence[str]
    sections: str
    no_cables: str = "none was found"

    def text(self) -> str:
        """The whole file, with a line break at its end. Nothing that is in a comment can leave it."""
        lines = [*(f"# {line}".rstrip() for line in self.head), "", *self._body(), "", *self.sections.split("\n")]
        return "".join("".join(c if c.isprintable() else "?" for c in line) + "\n" for line in lines)

    def _body(self) -> Iterator[str]:
        yield f"cluster: {word(self.cluster)}"
        if login := self.ssh.model_dump(mode="json", exclude_defaults=True):
            yield f"ssh: {{{', '.join(f'{key}: {scalar(value)}' for key, value in login.items())}}}"
        yield ""
        yield "nodes:"
        for entry in self.nodes:
            yield from _node(entry)
        yield ""
        yield "cables:" if self.cables else f"cables: []    # {self.no_cables}"
        yield from (f"  - {cable}" for cable in self.cables)


def _node(entry: Entry) -> Iterator[str]:
    yield f"  {entry.name}:"
    yield from (f"    {key}: {value}" for key, value in entry.settings.items())
    if entry.disks:
        yield "    disks:"
    for path, known in entry.disks:
        yield f"      - {word(path)}{f'    # {known}' if known else ''}"


def mesh(loopbacks: object, links: object) -> Iterator[str]:
    """The section `mesh`, with what its prefixes are for."""
    yield "mesh:"
    yield f"  loopbacks: {loopbacks}    # one /32 per node, the address of OSPF, OVN, Ceph and Incus"
    yield f"  links: {links}    # one /30 per cable"


def unknown_uplink(nic: str = "eth3", known: str = "") -> Iterator[str]:
    """The section `uplink` as a comment, for who can't say yet."""
    yield "# The network behind the OVN routers, without which instances have no way out. To be filled in:"
    yield "# uplink:"
    yield f"#   nic: {nic}{f'    # {known}' if known else ''}"
    yield "#   gateway: 203.0.113.1/24"
    yield "#   range: 203.0.113.100-203.0.113.199"


def word(text: str) -> str:
    """Plain where YAML reads it as the same text, else in quotes."""
    try:
        return text if parse(text).data == text else quoted(text)
    except YamlFault:
        return quoted(text)


def scalar(value: object) -> str:
    """A number as it is, text in quotes: YAML 1.1 takes 02:00:00:00:00:01 for a number in base 60."""
    return str(value) if isinstance(value, int | float) else quoted(str(value))


def quoted(value: object) -> str:
    """Plain data as YAML, on one line and of printable characters: JSON, but for characters beyond 16 bits."""
    text = json.dumps(value, ensure_ascii=False)
    return "".join(c if c.isprintable() else f"\\U{ord(c):08x}" for c in text)
