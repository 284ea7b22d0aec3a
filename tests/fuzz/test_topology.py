"""The loader and lint: whatever the file holds, findings that lead somewhere, or a topology that can be used."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from meshctl.roles.discovery import discover
from meshctl.topology import Topology, TopologyError, load, warnings
from meshctl.topology.positions import parse
from tests.fuzz.budget import budget, no_hang
from tests.fuzz.mutations import damaged, garbled

ROOT = Path(__file__).resolve().parents[2]
FILES = {path.stem: path.read_bytes() for path in sorted((ROOT / "topologies").glob("*.yaml"))}
FULL = b"""
ssh: {user: admin, port: 2222, identity: ~/.ssh/id_ed25519, connect_timeout: 5}
ospf: {area: 0.0.0.1, hello: 2, dead: 8, redistribute: [10.158.0.0/24]}
bfd: {interval: 100}
ovn: {northbound_port: 16641}
ceph: {pool: vms, replicas: 2, osd_memory_target: 1073741824}
incus: {port: 9443, network: net, network_address: 10.99.0.1/24}
smoke: {image: "images:alpine/3.20"}
secrets: {age_recipients: [age1kalxstl4c3jzwgpk447f50wh2g0vmr96gjlvwqlw833jgf5cp5hqj5lzpk]}
packages: {extra: [htop], install: false}
timeouts: {gate: 60.5}
"""
ALL = {**FILES, "full": FILES["triangle"] + FULL}
DOCUMENTS = {name: parse(text.decode()).data for name, text in ALL.items()}
ROLES = tuple(discover().values())
LONGEST = 2000


def examine(content: bytes, file: Path) -> Topology | None:
    """Load a file as `meshctl validate` does; None when it was refused in the promised way."""
    file.write_bytes(content)
    with no_hang():
        try:
            topology = load(file)
            found = warnings(file)
        except TopologyError as error:
            topology, found = None, error.findings
    assert topology or found, "refused without a reason"
    lines = content.replace(b"\r\n", b"\n").replace(b"\r", b"\n").count(b"\n") + 1
    for finding in found:
        assert 1 <= finding.line <= lines, f"{finding} is not in a file of {lines} lines"
        assert finding.column >= 1
        assert len(finding.message.split()) >= 2, f"no sentence: {finding}"
        assert finding.at(file).isprintable(), f"breaks a terminal: {finding!r}"
        assert len(finding.message) < LONGEST, f"{len(finding.message)} characters"
    return topology


def render(topology: Topology) -> None:
    """What is accepted can be rendered for every host."""
    for role in ROLES:
        made = role(topology)
        for node in topology.nodes:
            made.render(node)


@given(st.data())
@budget(60)
def test_documents_with_mutations(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(DOCUMENTS)))
    document = data.draw(damaged(DOCUMENTS[name]))
    text = yaml.safe_dump(document, allow_unicode=data.draw(st.booleans()), default_flow_style=data.draw(st.booleans()))
    topology = examine(text.encode(errors="surrogatepass"), tmp_path_factory.getbasetemp() / "t.yaml")
    if topology:
        render(topology)


@given(st.data())
@budget(60)
def test_files_with_other_bytes(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(ALL)))
    topology = examine(data.draw(garbled(ALL[name])), tmp_path_factory.getbasetemp() / "t.yaml")
    if topology:
        render(topology)


def _line(key: str, value: str) -> bytes:
    return ALL["full"] + f"{key}: {value}\n".encode()


TRIANGLE = FILES["triangle"]
HOSTILE: dict[str, bytes] = {
    "bomb": b"a: &a ["
    + b"x," * 9
    + b"x]\n"
    + b"".join(b"%c: &%c [*%c, *%c, *%c]\n" % (i, i, i - 1, i - 1, i - 1) for i in range(98, 120)),
    "cycle": b"a: &a [*a, *a]\n",
    "deep list": b"a: " + b"[" * 200_000,
    "deep mapping": b"{a: " * 60_000,
    "deep block": b"- " * 100_000,
    "huge": b"#" * 3_000_000,
    "huge word": b"cluster: " + b"a" * 250_000,
    "huge key": b"a" * 1000 + b": 1\n" + TRIANGLE,
    "huge number": TRIANGLE.replace(b"/24", b"/" + b"9" * 6000),
    "huge hexadecimal": TRIANGLE.replace(b"172.31.0.11", b"0x" + b"f" * 100_000),
    "base 60": TRIANGLE.replace(b"172.31.0.11", b"1" + b":1" * 60_000),
    "many keys": TRIANGLE + b"".join(b"k%d: 1\n" % i for i in range(20_000)),
    "many nodes": TRIANGLE.replace(
        b"nodes:\n", b"nodes:\n" + b"".join(b"  n%d: {address: 1}\n" % i for i in range(9000))
    ),
    "many cables": TRIANGLE.replace(b"cables:\n", b"cables:\n" + b"  - node1:e <-> node2:e\n" * 9000),
    "many bad cables": TRIANGLE.replace(b"cables:\n", b"cables:\n" + b"  - x\n" * 900),
    "many quotes": b"a: " + b"'" * 100_001,
    "many documents": b"---\n" * 60_000,
    "many comments": b"#\n" * 100_000 + TRIANGLE,
    "NUL": TRIANGLE + b"\0",
    "byte order mark": b"\xef\xbb\xbf" + TRIANGLE,
    "UTF-16": TRIANGLE.decode().encode("utf-16"),
    "CRLF": TRIANGLE.replace(b"\n", b"\r\n"),
    "CR": TRIANGLE.replace(b"\n", b"\r"),
    "tabs": TRIANGLE.replace(b"  ", b"\t"),
    "surrogate": _line("x", r'"\ud800"'),
    "surrogate as a key": _line(r'"\udfff"', "1"),
    "surrogate in UTF-8": TRIANGLE + b"x: \xed\xa0\x80\n",
    "beyond Unicode": _line("x", r'"\UFFFFFFFF"'),
    "line separator": TRIANGLE.replace(b"triangle\n", "tri\u2028angle\n".encode(), 1),
    "line separator, escaped": TRIANGLE.replace(b"cluster: triangle", rb'cluster: "tri\Langle"', 1),
    "next line": TRIANGLE.replace(b"cluster: triangle", "cluster: \u0085triangle".encode(), 1),
    **{
        f"tag {tag}": _line("x", f"!!{tag} maybe")
        for tag in ("bool", "int", "float", "timestamp", "null", "omap", "binary")
    },
    "python object": _line("x", "!!python/object/apply:os.system [reboot]"),
    "empty": b"",
    "only a comment": b"# nothing",
    "JSON": json.dumps(DOCUMENTS["triangle"]).encode(),
}

GOOD = {"byte order mark", "CRLF", "CR", "JSON", "many comments"}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files(tmp_path: Path, name: str) -> None:
    topology = examine(HOSTILE[name], tmp_path / "t.yaml")
    assert (topology is not None) == (name in GOOD)


def test_the_largest_mesh_is_judged_in_time(tmp_path: Path) -> None:
    nodes = {f"node{i}": {"address": f"172.31.{i // 200}.{i % 200 + 1}"} for i in range(1, 251)}
    pairs = [(i, k) for k in (1, 2, 3, 4) for i in range(1, 251)]
    cables = [f"node{i}:p{k}a <-> node{(i + k) % 250 + 1}:p{k}b" for i, k in pairs]
    mesh = {"loopbacks": "10.50.0.0/16", "links": "10.64.0.0/10"}
    document: Any = {"cluster": "big", "nodes": nodes, "cables": cables, "mesh": mesh}
    assert examine(json.dumps(document).encode(), tmp_path / "t.yaml")
