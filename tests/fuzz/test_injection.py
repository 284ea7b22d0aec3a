"""No value of a topology becomes more than a value: it is refused with its place, or files keep their shape.

Every leaf of a document that states everything, names of nodes and NICs included, is given text that ends a line, a
string, a comment, a section or a command somewhere: in a shell, FRR, systemd-networkd, chrony, ceph.conf, /etc/hosts
or YAML.
"""

import copy
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from meshctl.roles.discovery import discover
from meshctl.roles.incus_network import wanted
from meshctl.roles.incusapi import Wanted
from meshctl.topology import Topology, TopologyError, loads
from meshctl.topology.document import Document
from tests.fuzz.budget import LONG
from tests.fuzz.mutations import Where, places
from tests.fuzz.test_topology import DOCUMENTS

HOSTILE = (
    *("\n", "\r", "\r\n", "\n\n", "\x00", "\x0b", "\x0c", "\x1c", "\x85", "\u2028", "\u2029", "\u202e", "\ufeff"),
    *("\nno router ospf", "\n!\nline vty", "\n[Service]\nExecStart=/bin/sh", "\n[mon]\nauth = none", "\n# x"),
    *(";reboot", "; reboot", "`reboot`", "$(reboot)", "${IFS}", "&&reboot", "|sh", ">/etc/passwd", "<x", "\\", "\\n"),
    *(
        "'",
        '"',
        "'; reboot; '",
        '" --db="',
        " -x",
        " --help",
        " # x",
        "#",
        "!",
        "*",
        "?",
        "[Match]",
        "%n",
        "%i",
        "{{ 7*7 }}",
    ),
    *(
        "{% raw %}",
        ": x",
        "- x",
        "=x",
        ",ssl:6.6.6.6:1",
        " 6.6.6.6",
        "/../../etc/passwd",
        "/",
        "..",
        "\t",
        " ",
        "\u00a0",
    ),
    *("é", "\U0001f4a3", "\ufe69", "\uff10"),
)
ROLES = tuple(discover().values())
FULL = {
    **DOCUMENTS["full"],
    "nodes": {
        name: {
            **node,
            "macs": {"eth1": f"02:00:00:00:00:0{i}"},
            "host_key": "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGJ4 op@desk",
            "management_nic": "mgmt0",
            "uplink_nic": "eth3",
            "disks": [{"path": "/dev/sdb", "mode": "raw", "device_class": "ssd"}],
        }
        for i, (name, node) in enumerate(DOCUMENTS["triangle"]["nodes"].items())
    },
    "uplink": {**DOCUMENTS["triangle"]["uplink"], "dns": ["203.0.113.53"]},
}
FULL["cables"] = [{"cable": text, "mtu": 1500, "cost": 10} for text in FULL["cables"]]

WORD = re.compile(r"[A-Za-z0-9/][A-Za-z0-9._:/+@-]*")
"""What has no meaning of its own in a shell, an option of Ceph or a value of Incus, and is no option of a command."""

FREE = {"cable", "identity", "host_key", "range"}
"""What is more than a word: taken apart by the loader, or read by this machine alone."""


Shape = list[tuple[Any, ...]]


def leaves() -> Iterator[Where]:
    """The way to every value that is no list or mapping."""
    for where in places(FULL):
        if not isinstance(at(FULL, where), dict | list):
            yield where


def at(data: Any, where: Where) -> Any:
    for key in where:
        data = data[key]
    return data


def with_value(where: Where, value: Any) -> Any:
    data = copy.deepcopy(FULL)
    at(data, where[:-1])[where[-1]] = value
    return data


def variants(value: Any) -> Iterator[str]:
    for hostile in HOSTILE:
        yield from (f"{value}{hostile}", f"{hostile}{value}", f"{str(value)[:2]}{hostile}{str(value)[2:]}", hostile)


def shape(topology: Topology) -> Shape:
    """What must not depend on values: each file's lines by their first word, and what Incus is sent."""
    found: Shape = []
    for role in ROLES:
        made = role(topology)
        for node in topology.nodes:
            for path, file in made.render(node).items():
                assert re.fullmatch(r"(/[A-Za-z0-9][A-Za-z0-9._@+-]*)+", path), path
                # Whatever Python, a daemon or an editor takes for the end of a line.
                lines = re.split(r"[\n\r\x0b\x0c\x1c-\x1e\x85\u2028\u2029]", file.content.decode())
                assert not re.search(r"[\x00\x7f\u202e\ufeff]", file.content.decode()), path
                found.append((role.name, len(lines), *(heading(line) for line in lines)))
    networks: list[Wanted | None] = [wanted.uplink(topology), wanted.overlay(topology)]
    found += [("network", *network.config, len(network.per_member)) for network in networks if network]
    return sorted(found)


def heading(line: str) -> str:
    """The word that decides what a line is; addresses and names, which are values, aside."""
    word = re.split(r"[ =\t]", line.strip(), maxsplit=1)[0]
    return word if re.fullmatch(r"[A-Za-z!\[][A-Za-z_\]-]*", word) else ""


def accepted(data: Any) -> Topology | None:
    """The topology; None when it is refused, with the place of the fault."""
    try:
        return loads(json.dumps(data), Path("t.yaml"))
    except TopologyError as error:
        said = str(error)
    assert all(re.match(r"t\.yaml:\d+:\d+: \S", line) for line in said.splitlines()), said
    return None


def likely(data: Any) -> bool:
    """Whether the model takes it; sixty times faster than the loader."""
    try:
        Document.model_validate(data)
    except ValidationError:
        return False
    return True


TOPOLOGY = loads(json.dumps(FULL), Path("t.yaml"))
BENIGN = shape(TOPOLOGY)


@pytest.mark.parametrize("where", list(leaves()), ids=lambda where: ".".join(map(str, where)))
def test_value(where: Where) -> None:
    taken = [value for value in variants(at(FULL, where)) if likely(with_value(where, value))]
    for value in taken if LONG else taken[:: len(taken) // 4 + 1]:  # rendering all hosts takes a while
        topology = accepted(with_value(where, value))
        if topology and topology != TOPOLOGY:
            assert shape(topology) == BENIGN, f"{value!r} is accepted and changes what is rendered"
    assert accepted(with_value(where, ["\n"])) is None


@pytest.mark.parametrize("hostile", HOSTILE)
def test_names_of_nodes_and_nics(hostile: str) -> None:
    for old in ("node2", "eth1"):
        for new in (f"{old}{hostile}", f"{hostile}{old}", f"{old[:2]}{hostile}{old[2:]}"):
            data = json.loads(json.dumps(FULL).replace(old, json.dumps(new)[1:-1]))
            topology = accepted(data) if likely(data) else None
            if topology:
                assert shape(topology) == BENIGN, f"{new!r} is accepted and changes what is rendered"


def test_a_line_break_at_the_end_is_no_way_around_a_pattern() -> None:
    """`$` in Python's patterns matches before a last line break; pydantic's are Rust's, where it doesn't."""
    texts = [where for where in leaves() if isinstance(at(FULL, where), str)]
    assert len(texts) > 40
    passed = [where for where in texts if accepted(with_value(where, f"{at(FULL, where)}\n"))]
    assert passed == []


def words() -> Iterator[Where]:
    """The leaves that are arguments, options or JSON somewhere, and in no file."""
    for where in leaves():
        if isinstance(at(FULL, where), str) and not FREE & {*map(str, where)}:
            yield where


@pytest.mark.parametrize("where", list(words()), ids=lambda where: ".".join(map(str, where)))
def test_what_reaches_a_command_is_a_word(where: Where) -> None:
    """Pools, networks, images, users and packages can't be taken for options, or for anything by a shell."""
    taken = [one for one in variants(at(FULL, where)) if likely(with_value(where, one))]
    assert [one for one in taken if not WORD.fullmatch(one)] == []
