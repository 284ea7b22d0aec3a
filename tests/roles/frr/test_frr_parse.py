import json
from pathlib import Path

import pytest

from meshctl.roles.frr import parse
from meshctl.roles.frr.ospf import Ospf

DATA = Path(__file__).parent / "data"


def data(name: str) -> str:
    return (DATA / name).read_text()


def test_adjacencies_of_a_lab_host() -> None:
    assert Ospf().adjacencies(parse.answers(data("neighbors.json"))) == (
        parse.Adjacency("10.50.1.2", "192.168.11.2", "eth1", "Full"),
        parse.Adjacency("10.50.1.3", "192.168.11.18", "eth2", "Full"),
    )


def test_no_neighbours() -> None:
    assert Ospf().adjacencies(({"neighbors": {}},)) == ()


@pytest.mark.parametrize("text", ["", "ospfd is not running\n", "[]"])
def test_who_does_not_answer_has_no_list_of_neighbours(text: str) -> None:
    assert Ospf().adjacencies(parse.answers(text)) is None


def test_bfd_sessions_of_a_lab_host() -> None:
    assert set(parse.bfd_peers(json.loads(data("bfd.json")))) == {
        parse.BfdPeer("192.168.11.2", "eth1", "up"),
        parse.BfdPeer("192.168.11.18", "eth2", "up"),
    }


def test_routes_of_a_lab_host() -> None:
    found = parse.routes(data("routes.json"))
    assert parse.Route("10.50.1.2", "ospf", "10.50.1.1", "eth1", 20) in found
    assert parse.Route("192.168.11.0/30", "kernel", "192.168.11.1", "eth1") in found


def test_daemons_and_configuration_of_a_lab_host() -> None:
    daemons, configuration = parse.running(data("daemons.txt") + data("running.conf"))
    assert daemons >= {"zebra", "ospfd", "bfdd"}
    assert configuration == data("running.conf")
    assert parse.running("") == (frozenset(), "")


def test_two_answers_of_one_vtysh() -> None:
    neighbours, peers = parse.answers(data("neighbors.json") + data("bfd.json"))
    assert len(Ospf().adjacencies((neighbours, peers)) or ()) == 2
    assert len(parse.bfd_peers(peers)) == 2


@pytest.mark.parametrize("text", ["ospfd is not running\n[]\n", "[\n]\n"])
def test_one_daemon_is_dead(text: str) -> None:
    assert parse.answers(text) == ([],)


def test_all_daemons_are_dead() -> None:
    assert parse.answers("failed to connect to any daemons.\n") == ()


SIGNED = "key chain meshctl\n key 1\n  cryptographic-algorithm hmac-sha-256\n  key-string abcDEF0123-_x\n exit\nexit\n"


def test_the_routing_key_in_a_configuration() -> None:
    assert parse.routing_key(SIGNED) == "abcDEF0123-_x"
    assert parse.routing_key(SIGNED.replace("meshctl", "other")) == ""
    assert parse.routing_key("") == ""


def test_differences_show_no_secret() -> None:
    other = SIGNED.replace("abcDEF", "ZZZZZZ")
    assert parse.differences(SIGNED, other) == (
        "lacks `key chain meshctl / key 1 / key-string (not shown)`, "
        "has `key chain meshctl / key 1 / key-string (not shown)`"
    )


@pytest.mark.parametrize(
    ("line", "shown", "undone"),
    [
        ("ip ospf cost 5", "ip ospf cost 5", "no ip ospf cost 5"),
        ("no ip ospf bfd", "no ip ospf bfd", "ip ospf bfd"),
        ("ip ospf authentication-key hush", "ip ospf authentication-key (not shown)", "no ip ospf authentication-key"),
        (
            "ip ospf message-digest-key 1 md5 hush",
            "ip ospf message-digest-key 1 md5 (not shown)",
            "no ip ospf message-digest-key 1",
        ),
        ("openfabric password clear hush", "openfabric password clear (not shown)", "no openfabric password"),
    ],
)
def test_lines_of_others_are_taken_back_without_their_secrets(line: str, shown: str, undone: str) -> None:
    assert parse.redacted(line) == shown
    assert parse.undone(line) == undone


def test_someone_elses_secret_is_not_named() -> None:
    assert parse.foreign("key chain x\n key 1\n  key-string hush\nenable password hush\n") == (
        "enable password (not shown)"
    )


def test_lines_carry_their_context() -> None:
    assert parse.config_lines("bfd\n profile meshctl\n  detect-multiplier 5\n exit\n !\nexit\n") == {
        ("bfd",),
        ("bfd", "profile meshctl"),
        ("bfd", "profile meshctl", "detect-multiplier 5"),
    }


def test_kernel_switches_and_frames_are_no_configuration() -> None:
    shown = "Building configuration...\n\nCurrent configuration:\n!\nfrr version 10.3\nno ipv6 forwarding\n# x\nend\n"
    assert parse.config_lines(shown) == frozenset()


def test_differences_name_both_directions() -> None:
    found = parse.differences("interface eth1\n ip ospf cost 5\nexit\n", "interface eth1\n ip ospf cost 6\nexit\n")
    assert found == "lacks `interface eth1 / ip ospf cost 5`, has `interface eth1 / ip ospf cost 6`"


def test_many_differences_are_counted() -> None:
    assert parse.differences("a\nb\nc\nd\ne\n", "").endswith("`c` and 2 more")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "# default to using syslog.\nlog syslog informational\n",
        "frr version 10.3\nfrr defaults traditional\nhostname x\nservice integrated-vtysh-config\n",
        "route-map meshctl-source permit 10\n set src 10.50.1.1\nexit\nrouter bgp 1\n",
    ],
)
def test_nothing_foreign(text: str) -> None:
    assert parse.foreign(text) == ""


def test_someone_elses_configuration_is_named() -> None:
    assert parse.foreign("log syslog\nrouter bgp 65000\n neighbor 10.0.0.1 remote-as 1\n") == "router bgp 65000"


def test_what_runs_on_other_interfaces() -> None:
    wanted = "interface eth1\n ip ospf area 0\nexit\n"
    running = wanted + "interface eth0\n ip ospf area 0\n no shutdown\nexit\n"
    assert parse.strangers(wanted, running) == [("interface eth0", "ip ospf area 0"), ("interface eth0", "no shutdown")]
    assert parse.strangers(wanted, wanted) == []
