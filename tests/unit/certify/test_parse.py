"""Captured output of Debian 13's ip, iperf3 3.18 and FRR's routes, as facts."""

from pathlib import Path

import pytest

from meshctl.certify import parse
from meshctl.certify.facts import Throughput

DATA = Path(__file__).parent / "data"


def data(name: str) -> str:
    return (DATA / name).read_text()


def test_nic() -> None:
    nic = parse.nic(data("nic.txt"))
    assert (nic.mtu, nic.up, nic.carrier, nic.speed, nic.duplex) == (1500, True, True, 10000, "full")
    assert (nic.sent, nic.received, nic.errors, nic.drops, nic.carrier_changes) == (18732, 18832, 0, 4, 6)


def test_nic_whose_driver_tells_nothing() -> None:
    told = data("nic.txt").splitlines()[0]
    for speed, duplex in (("", ""), ("-1", "unknown")):
        nic = parse.nic(f"{told}\n{speed}\n{duplex}\n1")
        assert (nic.speed, nic.duplex) == (None, None)


def test_throughput() -> None:
    found = parse.throughput(data("iperf3.json"))
    assert found.mbit == pytest.approx(20, rel=0.2)
    assert found.missing == ""


def test_throughput_that_nobody_received() -> None:
    found = parse.throughput(data("iperf3_refused.json"))
    assert found.mbit is None
    assert "Connection refused" in found.missing
    assert found == Throughput(None, missing=found.missing)


def test_nics_of_ospf_routes() -> None:
    assert sorted(set(parse.ospf_nics(data("routes.json")))) == ["eth1", "eth2"]
    ecmp = '[{"dst": "10.0.0.2", "protocol": "188", "nexthops": [{"dev": "eth1"}, {"dev": "eth2"}]}, {"dst": "x"}]'
    assert parse.ospf_nics(ecmp) == ["eth1", "eth2"]


def test_next_hop() -> None:
    assert parse.next_hop(data("route_get.json")) == ("eth1", "192.168.11.2")
    assert parse.next_hop('[{"dst": "192.168.11.2", "dev": "eth1"}]') == ("eth1", "")


@pytest.mark.parametrize("reads", [parse.nic, parse.throughput, parse.ospf_nics, parse.next_hop])
@pytest.mark.parametrize("output", ["", "Device not found", "[]\n1\n2\n3", "{}", "[{}]"])
def test_anything_else_is_a_value_error(reads: object, output: str) -> None:
    if (reads, output) == (parse.ospf_nics, "[{}]"):
        return  # a route that isn't OSPF's
    with pytest.raises(ValueError, match=r"."):
        reads(output)  # type: ignore[operator]
