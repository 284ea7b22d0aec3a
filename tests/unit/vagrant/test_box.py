"""The recipe of the box, and which stages a run of `make test-vagrant` has left."""

import argparse
import json
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from meshctl.lab.recipe import STACK
from meshctl.roles.distributions import SUPPORTED
from tests.vagrant import box
from tests.vagrant.__main__ import _wanted, arguments
from tests.vagrant.box import Box
from tests.vagrant.results import Results
from tests.vagrant.stages import STAGES

ROOT = Path(__file__).parents[3]


def test_the_box_has_what_hosts_need_and_a_kernel() -> None:
    made = Box()
    release = next(one for one in SUPPORTED if one.codename == made.release)
    assert {*release.packages, *STACK, "linux-image-amd64", "openssh-server", "sudo"} <= set(made.packages)
    assert made.metadata() == {"provider": "libvirt", "format": "qcow2", "virtual_size": 10}
    assert f'libvirt.kernel = "/var/lib/libvirt/boot/meshctl-{made.hash}/vmlinuz"' in made.vagrantfile()
    assert "root=LABEL=mesh-root" in made.vagrantfile()
    assert f"LABEL={box.LABEL} / ext4" in dict(made.files)["etc/fstab"]


def test_the_hash_follows_the_recipe() -> None:
    made = Box()
    assert made.hash == Box().hash
    others = [replace(made, packages=("x",)), replace(made, command_line="quiet"), replace(made, files=())]
    assert len({made.hash, *(other.hash for other in others)}) == 4


def test_the_recipe_is_printed_and_nothing_is_built(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert box.main(["--recipe", "--out", str(tmp_path / "none")]) == 0
    recipe = json.loads(capsys.readouterr().out)
    assert recipe["hash"] == Box().hash
    assert "://" not in json.dumps(recipe), "packages come from this machine's own apt sources"
    assert not (tmp_path / "none").exists()


def test_only_the_first_nic_is_configured_by_the_box() -> None:
    networks = [name for name in box.FILES if name.endswith(".network")]
    assert networks == ["etc/systemd/network/80-box.network"]
    assert "Name=eth0\n" in box.FILES[networks[0]]


@pytest.mark.parametrize("script", ["vagrant/isolated", "vagrant/build-box"])
def test_scripts_are_executable_and_parse(script: str) -> None:
    path = ROOT / script
    assert path.stat().st_mode & 0o111
    assert subprocess.run(["bash", "-n", str(path)], check=False).returncode == 0


# Which stages are left


def left(results: Results, *words: str) -> list[str]:
    given: argparse.Namespace = arguments(list(words))
    return _wanted(given, results)


def test_a_run_goes_on_with_the_first_stage_that_has_not_passed(tmp_path: Path) -> None:
    results = Results(tmp_path / "results.jsonl")
    names = list(STAGES)
    assert left(results) == names
    for name in names[:3]:
        results.add(name, ok=True, seconds=1.25, found="fine")
    results.add(names[3], ok=False, seconds=2, found="not fine")
    again = Results(tmp_path / "results.jsonl")
    assert left(again) == ["up", *names[3:]]
    assert left(again, "--from", names[1]) == ["up", *names[1:]]
    assert left(again, "--only", names[4]) == [names[4]]
    table = again.table(names).splitlines()
    assert table[0].split() == ["up", "passed", "1", "s", "fine"]
    assert table[3].split()[:2] == [names[3], "FAILED"]
    assert table[4].split()[:3] == [names[4], "not", "run"]


def test_when_all_have_passed_nothing_is_left(tmp_path: Path) -> None:
    results = Results(tmp_path / "results.jsonl")
    for name in STAGES:
        results.add(name, ok=True, seconds=1, found="")
    assert left(results) == []
