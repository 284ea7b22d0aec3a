"""The script that founds a database's cluster anew; ovsdb-tool is replaced by what keeps the data apart."""

import subprocess
from pathlib import Path

import pytest

from meshctl.roles.ovn import recovery

FAKE = """#!/bin/sh
case $1 in
    cluster-to-standalone) [ ! -e "$2" ] && sed 's/^member of the old: //' "$3" >"$2";;
    create-cluster) [ -z "$BROKEN" ] && [ ! -e "$2" ] && echo "first at $4: $(cat "$3")" >"$2";;
esac
"""


@pytest.fixture
def host(tmp_path: Path) -> Path:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/ovsdb-tool").write_text(FAKE)
    (tmp_path / "bin/ovsdb-tool").chmod(0o755)
    (tmp_path / "nb.db").write_text("member of the old: data\n")
    return tmp_path


def run(host: Path, broken: str = "") -> int:
    argv = ["sh", "-c", recovery._FOUND, "sh", f"{host}/nb.db", "ssl:10.50.1.1:6643", f"{host}/copies"]
    return subprocess.run(argv, env={"PATH": f"{host}/bin:/usr/bin:/bin", "BROKEN": broken}, check=False).returncode


def test_the_data_is_in_a_new_cluster_and_the_old_file_kept(host: Path) -> None:
    assert run(host) == 0
    assert (host / "nb.db").read_text() == "first at ssl:10.50.1.1:6643: data\n"
    (copy,) = (host / "copies").iterdir()
    assert copy.read_text() == "member of the old: data\n"
    assert sorted(path.name for path in host.glob("nb.db*")) == ["nb.db"]


def test_the_database_stays_until_the_new_one_is_whole(host: Path) -> None:
    assert run(host, broken="yes") != 0
    assert (host / "nb.db").read_text() == "member of the old: data\n"


def test_leftovers_of_a_killed_run_are_no_obstacle(host: Path) -> None:
    for leftover in ("nb.db.alone", "nb.db.draft"):
        (host / leftover).write_text("half")
    assert run(host) == 0
    assert (host / "nb.db").read_text() == "first at ssl:10.50.1.1:6643: data\n"
