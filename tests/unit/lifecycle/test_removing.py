"""Taking a host out for good: what is done, in which order, by what the host still holds."""

from pathlib import Path

import pytest

from meshctl.cli.remove import Found, Removal, show, with_silent
from meshctl.errors import ConnectError
from meshctl.host.fake import FakeHost
from meshctl.lifecycle import removing
from meshctl.roles.discovery import discover
from tests.roles import golden
from tests.roles.absencehost import cluster_of

FIVE = golden.topology("five")
ROLES = [role(FIVE) for role in discover().values()]
NODE = FIVE.nodes[3]
EVERYTHING = {"frr": ["OSPF and BFD"], "ceph_osd": ["/dev/sdb: an OSD"]}


def test_data_and_instances_leave_first_and_together() -> None:
    steps = removing.handover(FIVE, ROLES, NODE).order()
    assert {step.id for step in steps} == {f"ceph_osd.leave@{NODE.name}", f"incus.leave@{NODE.name}"}
    assert not any(step.needs for step in steps)


def test_the_name_is_struck_out_after_the_machine() -> None:
    order = [step.id.split("@")[0] for step in removing.striking(FIVE, ROLES, NODE).order()]
    assert order[0] == "gone"
    assert order[-2:] == ["ceph_mgr.strike", "ceph_osd.strike"]
    assert order.index("incus_network.forget") < order.index("ceph_mgr.strike")


def plans(tmp_path: Path, held: dict[str, list[str]], found: Found) -> list[str]:
    mesh = with_silent(
        cluster_of(FIVE, [FakeHost(name=node.name) for node in FIVE.nodes], tmp_path), NODE, found.missing
    )
    made = Removal(NODE, ROLES, found)._plans(mesh, held)
    assert NODE.name not in made[-1][1].hosts
    assert len(made[-1][1].topology.nodes) == 4
    return [plan.order()[0].id for plan, _ in made]


def test_what_a_host_holds_decides_what_is_done(tmp_path: Path) -> None:
    name = NODE.name
    first, last = [f"may-leave@{name}"], [f"gone@{name}", "preflight.verify"]
    clearing = next(step.id for step in removing.clearance(FIVE, ROLES, NODE).order())
    assert plans(tmp_path, EVERYTHING, Found()) == [
        *first, f"ceph_osd.leave@{name}", f"survives@{name}", clearing, *last
    ]  # fmt: skip
    assert plans(tmp_path, {"links": ["an address"]}, Found()) == [*first, clearing, *last]
    assert plans(tmp_path, {}, Found()) == [*first, *last]
    assert plans(tmp_path, {}, Found(missing=ConnectError(name, "silent"))) == [*first, *last]


def test_clearing_touches_no_other_host() -> None:
    assert {step.node for step in removing.clearance(FIVE, ROLES, NODE).order()} == {NODE.name, None}


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (Found(held=EVERYTHING), f"{NODE.name} leaves five: its data and instances move"),
        (Found(claims={"ceph_mon": ["monitor"]}), f"five forgets of {NODE.name}:"),
        (Found(missing=ConnectError(NODE.name, "silent")), f"{NODE.name} does not answer: five would forget it"),
        (Found(), f"{NODE.name} holds nothing of five, and is counted nowhere."),
    ],
)
def test_what_is_shown(found: Found, said: str) -> None:
    assert next(iter(show(FIVE, NODE, found))).startswith(said)
