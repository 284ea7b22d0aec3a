from ipaddress import IPv4Interface
from pathlib import Path

import pytest

from meshctl.roles.links.parse import holdings, links, unread
from meshctl.roles.links.role import Links
from tests.roles import golden

DATA = Path(__file__).parent / "data"


@pytest.mark.parametrize("name", ["triangle", "five", "dual", "ring", "bonded", "vlans", "switched"])
def test_files_are_as_reviewed(name: str) -> None:
    golden.check(__file__, Links, name)


def test_addresses_of_a_lab_host() -> None:
    found = links((DATA / "ip-addr.json").read_text())
    eth1 = found["eth1"]
    assert (eth1.mtu, eth1.up, eth1.carrier) == (1500, True, True)
    assert IPv4Interface("192.168.11.1/30") in eth1.addresses
    assert IPv4Interface("10.50.1.1/32") in found["lo"].addresses


@pytest.mark.parametrize("text", ["", "{}x", '[{"ifname": "eth1"}]', '["eth1"]', "null"])
def test_anything_else_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        links(text)


def test_files_of_ours_with_their_addresses() -> None:
    [lo, eth1] = holdings(
        "/n/05-meshctl-lo.network:Name=lo\n"
        "/n/05-meshctl-lo.network:Address=10.50.1.1/32\n"
        "/n/05-meshctl-eth1.network:Name=eth1\n"
    )[::-1]
    assert (lo.device, lo.addresses) == ("lo", (IPv4Interface("10.50.1.1/32"),))
    assert (eth1.device, eth1.addresses) == ("eth1", ())


def test_file_newer_than_networkds_state_is_unread() -> None:
    times = (
        "100.5 /etc/systemd/network/05-meshctl-eth1.network\n"
        "100.5 /etc/systemd/network/05-meshctl-lo.network\n"
        "100.5 /etc/systemd/network/05-meshctl-eth9.network\n"
        "100.9 /run/systemd/netif/links/1\n"
        "100.2 /run/systemd/netif/links/7\n"
    )
    assert unread(times, {"lo": 1, "eth1": 7}) == ["eth1"]
    assert unread("", {"lo": 1}) == []
