"""The script that lets one voter of Incus' database go on; the host's programs only note how they are called."""

import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

import pytest

from meshctl.roles.incus import recovery

OWN, OTHER = "10.50.1.1:8443", "10.50.1.2:8443"


@pytest.fixture
def host(tmp_path: Path) -> Path:
    (tmp_path / "bin").mkdir()
    for program in ("systemctl", "incus"):
        fake = tmp_path / "bin" / program
        fake.write_text(f'#!/bin/sh\necho "{program} $*" >>{tmp_path}/calls\n')
        fake.chmod(0o755)
    (tmp_path / "incus/database").mkdir(parents=True)
    return tmp_path


def run(host: Path, *members: str) -> list[str]:
    with closing(sqlite3.connect(host / "incus/database/local.db")) as db, db:
        db.execute("CREATE TABLE raft_nodes (address TEXT)")
        db.executemany("INSERT INTO raft_nodes VALUES (?)", [(member,) for member in members])
    script = recovery._ALONE.replace("/var/lib/incus", f"{host}/incus")
    env = {"PATH": f"{host}/bin:/usr/bin:/bin"}
    subprocess.run(["sh", "-c", script, "sh", OWN, f"{host}/copies"], check=True, env=env)
    return (host / "calls").read_text().splitlines()


RECOVER = "incus admin cluster recover-from-quorum-loss"


def test_membership_is_cut_between_stop_and_start(host: Path) -> None:
    calls = run(host, OWN, OTHER)
    stop = calls.index("systemctl stop incus.socket incus.service")
    assert stop < calls.index(RECOVER) < calls.index("systemctl start incus.socket incus-startup.service")
    (copy,) = (host / "copies").iterdir()
    assert (copy / "local.db").exists()
    assert (host / "copies").stat().st_mode & 0o777 == 0o700


def test_instances_run_on(host: Path) -> None:
    """Virtual machines are processes of the unit."""
    kills = [call for call in run(host, OWN, OTHER) if call.startswith("systemctl kill ")]
    assert kills == ["systemctl kill --kill-whom=main -s KILL incus.service"]


def test_who_is_alone_already_is_not_recovered_again(host: Path) -> None:
    assert RECOVER not in run(host, OWN)
