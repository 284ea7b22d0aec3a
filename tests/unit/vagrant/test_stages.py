"""What the stages of `make test-vagrant` want to see, against machines that answer from a table."""

import json
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from meshctl.topology import load
from tests.vagrant.machines import Machines, StageError
from tests.vagrant.stages import INSTANCE, STAGES, again, classes, datapath, evacuate, power, reboot

ROOT = Path(__file__).parents[3]
FINE = {"ok": True, "changed": 0, "wall_s": 1.0, "problems": []}
LSBLK = "sdb 1\nsdc 0\n"


@dataclass(frozen=True)
class Told(Machines):
    """Machines whose commands answer from `answers`: a part of the command line → its output, or what makes it."""

    answers: dict[str, str | Callable[[], str]] = field(default_factory=dict)
    ran: list[str] = field(default_factory=list)

    def _run(self, argv: list[str], seconds: float, **_: Any) -> str:
        line = " ".join(argv).replace("'", "")
        self.ran.append(line)
        for part, answer in self.answers.items():
            if part in line:
                return answer if isinstance(answer, str) else answer()
        return json.dumps(FINE) if "--output=json" in line else ""


def tree(*kinds: str) -> str:
    return json.dumps({"nodes": [{"type": "root"}, *({"type": "osd", "device_class": kind} for kind in kinds)]})


def instances(where: str, status: str = "Running") -> str:
    return json.dumps([{"name": INSTANCE, "location": where, "status": status}])


@pytest.fixture
def told(tmp_path: Path) -> Told:
    shutil.copy(ROOT / "topologies/triangle.yaml", tmp_path / "triangle.yaml")
    shutil.copy(ROOT / "topologies/triangle.yaml", tmp_path / "two-disks.yaml")
    names = ("node1", "node2", "node3")
    return Told(names, tmp_path / "triangle.yaml", tmp_path, time.monotonic() + 60, {
        "osd tree": tree("hdd", "ssd", "hdd", "ssd", "hdd", "ssd"),
        "lsblk": LSBLK,
        "dpif/show": "system@ovs-system: hit:1 missed:2",
        "ip -br link": "genev_sys_6081 UNKNOWN",
        "image list": json.dumps([{"aliases": [{"name": "mesh-busybox"}]}]),
        "incus list": instances("node3"),
        "rbd ls": f"incus_incus\ncontainer_{INSTANCE}\n",
        "rbd info": json.dumps({"name": f"container_{INSTANCE}", "id": "1f2e"}),
        "showmapped": f"0 incus container_{INSTANCE} - /dev/rbd0",
        "cat /var/kept": "kept\n",
    })  # fmt: skip


def test_every_stage_says_what_it_shows() -> None:
    assert list(STAGES) == ["up", "bootstrap", "classes", "datapath", "evacuate", "again", "reboot", "power"]
    assert all(stage.__doc__ for stage in STAGES.values())


def test_the_second_disk_comes_by_its_serial_number_and_has_its_class(told: Told) -> None:
    assert "['hdd', 'hdd', 'hdd', 'ssd', 'ssd', 'ssd']" in classes(told)
    made = load(told.folder / "two-disks.yaml")
    assert [disk.path.rsplit("_", 1)[1] for disk in made.nodes[1].disks] == ["hdd-node2-0", "ssd-node2-1"]
    assert made.cables == load(ROOT / "topologies/triangle.yaml").cables


@pytest.mark.parametrize(
    ("stage", "part", "answer", "message"),
    [
        (classes, "osd tree", tree(*["hdd"] * 6), "expected 3 hdd and 3 ssd"),
        (classes, "lsblk", "sdb 0\nsdc 1\n", "sdb of node1 rotational"),
        (datapath, "dpif/show", "netdev@ovs-netdev", "the kernel's datapath on node1"),
        (datapath, "ip -br link", "eth0 UP", "a Geneve device on node1"),
        (evacuate, "incus list", instances("node2"), "running elsewhere"),
        (evacuate, "incus list", instances("node3", "Stopped"), "running elsewhere"),
        (evacuate, "showmapped", "", "a mapped image on node2"),
        (evacuate, "cat /var/kept", "", "what was written before"),
        (evacuate, "rbd ls", "incus_incus\n", f"an image of {INSTANCE}"),
        (again, "bootstrap", json.dumps({**FINE, "changed": 2}), "expected 0 changes, seen 2"),
        (reboot, "boot_id", "the same\n", "another boot on every machine"),
        (power, "incus list", instances("node1", "Stopped"), f"{INSTANCE} running"),
    ],
)
def test_what_is_wrong_is_named(
    told: Told, stage: Callable[[Machines], str], part: str, answer: str, message: str
) -> None:
    told.answers[part] = answer
    with pytest.raises(StageError, match=message):
        stage(told)


def test_an_evacuated_instance_keeps_its_image(told: Told) -> None:
    assert evacuate(told) == "from node2 to node3 and back; image 1f2e stayed"
    order = [line.split("--output=json ")[1].split()[0] for line in told.ran if "--output=json" in line]
    assert order == ["restore", "evacuate", "restore"]
    images = iter(["1f2e", "9999"])
    told.answers["rbd info"] = lambda: json.dumps({"name": f"container_{INSTANCE}", "id": next(images)})
    with pytest.raises(StageError, match="expected the image 1f2e, seen 9999"):
        evacuate(told)


def test_all_machines_lose_their_power_before_the_first_comes_back(told: Told) -> None:
    assert "every gate passes" in power(told)
    lines = [line for line in told.ran if line.startswith("vagrant")]
    assert lines[:4] == [
        *(f"vagrant halt --force {name}" for name in told.names),
        "vagrant up --provider=libvirt --no-provision",
    ]


def test_rebooted_machines_have_other_boots(told: Told) -> None:
    boots = iter(range(100))
    told.answers["boot_id"] = lambda: f"{next(boots)}\n"
    assert reboot(told) == "3 machines, one after the other"


def test_nothing_goes_on_after_the_deadline(tmp_path: Path) -> None:
    late = Machines(("node1",), tmp_path / "t.yaml", tmp_path, time.monotonic() - 1)
    with pytest.raises(StageError, match="deadline"):
        late.on("node1", "true")


def test_a_command_that_fails_is_shown_with_what_it_said(tmp_path: Path) -> None:
    real = Machines(("node1",), tmp_path / "t.yaml", tmp_path, time.monotonic() + 60)
    with pytest.raises(StageError, match=r"exited with 3:\n.*no luck"):
        real._run(["sh", "-c", "echo no luck >&2; exit 3"], 10)
    with pytest.raises(StageError, match="did not finish within"):
        real._run(["sleep", "60"], 0.2)
