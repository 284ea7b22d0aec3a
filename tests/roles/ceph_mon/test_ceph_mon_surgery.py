"""The script that cuts the monitors' map; the host's programs are replaced by what notes its calls."""

import subprocess
from pathlib import Path

import pytest

from meshctl.roles.ceph_mon import recovery

FAKES = {
    "systemctl": "",
    "chown": "",
    "runuser": 'shift 3; case $* in *--inject-monmap*) cp "$5" "$ROOT/injected";; *) cp "$ROOT/map" "$5";; esac',
    "ceph-mon": "",
    "monmaptool": """
case $* in
    --print*) n=0; while read -r name; do echo "$n: [v2:10.50.1.1:3300/0,v1:10.50.1.1:6789/0] mon.$name"; done <"$2";;
    *) grep -vxF "$3" "$1" >"$1.new"; mv "$1.new" "$1";;
esac
""",
}


@pytest.fixture
def host(tmp_path: Path) -> Path:
    (tmp_path / "bin").mkdir()
    for name, body in FAKES.items():
        fake = tmp_path / "bin" / name
        fake.write_text(f'#!/bin/sh\n[ {name} = monmaptool ] || echo "{name} $*" >>"$ROOT/calls"\n{body}\n')
        fake.chmod(0o755)
    store = tmp_path / "mon/ceph-node1"
    store.mkdir(parents=True)
    (store / "keyring").write_text("secret")
    return tmp_path


def run(host: Path, *members: str, fine: bool = True) -> list[str]:
    (host / "map").write_text("".join(f"{member}\n" for member in members))
    script = recovery._SURGERY.replace("/var/lib/ceph/mon", f"{host}/mon")
    env = {"PATH": f"{host}/bin:/usr/bin:/bin", "ROOT": str(host)}
    done = subprocess.run(["sh", "-c", script, "sh", "node1", f"{host}/copies"], env=env, check=False)
    assert (done.returncode == 0) == fine
    return (host / "calls").read_text().splitlines()


def test_the_map_has_the_survivor_alone(host: Path) -> None:
    calls = run(host, "node1", "node2", "node10")
    assert (host / "injected").read_text() == "node1\n"
    assert calls[0] == "systemctl stop ceph-mon@node1.service"
    assert calls[-1] == "systemctl start ceph-mon@node1.service"
    (copy,) = (host / "copies").iterdir()
    assert (copy / "keyring").read_text() == "secret"
    assert (host / "copies").stat().st_mode & 0o777 == 0o700


def test_a_map_that_is_cut_already_stays(host: Path) -> None:
    run(host, "node1")
    assert (host / "injected").read_text() == "node1\n"


def test_nothing_is_injected_without_a_copy(host: Path) -> None:
    (host / "copies").write_text("no folder")
    calls = run(host, "node1", "node2", fine=False)
    assert not (host / "injected").exists()
    assert calls == ["systemctl stop ceph-mon@node1.service"]
