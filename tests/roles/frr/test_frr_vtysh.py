"""What FRR's scripts call at a start in vtysh's place: run by a shell, with a vtysh that keeps what it is told."""

import subprocess
from pathlib import Path

import pytest

from meshctl.roles.frr.role import Frr
from meshctl.roles.frr.vty import CONF, VTYSH
from tests.roles import golden

FAKE = """#!/bin/sh
cd {folder}
case "$*" in
    *"show route-map"*) [ ! -e told ] || printf '    src 10.50.1.1\\nospf      : meshctl-source\\n' ;;
    "-f "*) echo "$*" | cut -c1-2 >>calls; cat "$2" >>first; [ "$(wc -l <calls)" -lt {deaf} ] || touch told ;;
    *) echo "$*" >>calls ;;
esac
"""


@pytest.mark.parametrize(
    ("argv", "deaf", "calls"),
    [
        (["-b"], 1, ["-f", "-b"]),
        (["-b", "-d", "ospfd"], 1, ["-f", "-b -d ospfd"]),
        (["-b"], 2, ["-f", "-f", "-b"]),
        (["-c", "exit"], 1, ["-c exit"]),
    ],
)
def test_zebra_knows_the_source_before_the_rest_is_loaded(
    tmp_path: Path, argv: list[str], deaf: int, calls: list[str]
) -> None:
    mesh = golden.topology("triangle")
    files = Frr(mesh).render(mesh.nodes[0])
    script = (
        files[VTYSH].content.decode().replace("/usr/bin/vtysh", f"{tmp_path}/vtysh").replace(CONF, f"{tmp_path}/conf")
    )
    for name, content in {
        "conf": files[CONF].content.decode(),
        "vtysh": FAKE.format(folder=tmp_path, deaf=deaf),
        "loader": script,
    }.items():
        (tmp_path / name).write_text(content)
        (tmp_path / name).chmod(0o755)
    subprocess.run([tmp_path / "loader", *argv], check=True, timeout=30)
    assert (tmp_path / "calls").read_text().splitlines() == calls
    if "-f" in calls:
        told = (
            "route-map meshctl-source permit 10\n set src 10.50.1.1\nexit\nip protocol ospf route-map meshctl-source\n"
        )
        assert (tmp_path / "first").read_text() == told * calls.count("-f")
