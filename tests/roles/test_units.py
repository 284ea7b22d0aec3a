"""Units of systemd, from what `systemctl show` printed on a host of the lab."""

from pathlib import Path

import pytest

from meshctl.errors import HostError, ParseError
from meshctl.host.fake import FakeHost
from meshctl.roles.units import Unit, parse, refuse_masked, units

SHOWN = (Path(__file__).parent / "ovn" / "data" / "units.txt").read_text()


def test_units_that_run() -> None:
    found = parse(SHOWN)
    assert found["ovn-northd.service"] == Unit("ovn-northd.service", "active", enabled=False)
    assert found["ovn-central.service"] == Unit("ovn-central.service", "active", enabled=True)
    assert found["ovn-central.service"].active


def test_a_unit_that_is_about_to_run() -> None:
    found = parse("Id=x.service\nActiveState=activating\nUnitFileState=disabled\nNeedDaemonReload=yes\n")
    assert (found["x.service"].runs, found["x.service"].active, found["x.service"].stale) == (True, False, True)


def test_until_the_next_boot_is_not_at_boot() -> None:
    assert not parse("Id=x.service\nActiveState=active\nUnitFileState=enabled-runtime\n")["x.service"].enabled


@pytest.mark.parametrize("state", ["masked", "masked-runtime"])
def test_a_masked_unit_is_refused_by_name_although_it_runs(state: str) -> None:
    found = parse(f"Id=x.service\nActiveState=active\nUnitFileState={state}\n\nId=y.service\nActiveState=active\n")
    with pytest.raises(HostError, match=r"masked by somebody.*: x.service$") as caught:
        refuse_masked(FakeHost(), found.values())
    assert caught.value.advice.endswith("systemctl unmask x.service")


def test_units_as_they_should_be_are_not_refused() -> None:
    refuse_masked(FakeHost(), parse(SHOWN).values())


async def test_a_unit_that_is_not_there_neither_runs_nor_starts_at_boot() -> None:
    host = FakeHost().on("systemctl show *", SHOWN)
    found = await units(host, "ovn-northd.service", "gone.service", "ceph-osd@*")
    assert found["gone.service"] == Unit("gone.service")
    assert "ceph-osd@*" not in found


async def test_nonsense_names_the_command() -> None:
    host = FakeHost().on("systemctl show *", "Id=x.service\n")
    with pytest.raises(ParseError, match="systemctl show --all"):
        await units(host, "x.service")
