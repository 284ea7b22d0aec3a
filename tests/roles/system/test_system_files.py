from ipaddress import IPv4Address

import pytest

from meshctl.lab.recipe import recipe
from meshctl.roles import distributions
from meshctl.roles.system import hosts, packages, sysctls
from meshctl.roles.system.role import System
from tests.roles import golden

NODES = {"node1": IPv4Address("10.50.1.1"), "node2": IPv4Address("10.50.1.2")}
BLOCK = f"{hosts.BEGIN}\n10.50.1.1\tnode1\n10.50.1.2\tnode2\n{hosts.END}\n"


@pytest.mark.parametrize("name", ["triangle", "five"])
def test_files_are_as_reviewed(name: str) -> None:
    golden.check(__file__, System, name)


def test_hosts_block_goes_behind_the_operators_lines() -> None:
    merged = hosts.merge("127.0.0.1\tlocalhost\n10.9.9.9 nas # backup\n", NODES)
    assert merged == f"127.0.0.1\tlocalhost\n10.9.9.9 nas # backup\n\n{BLOCK}"


def test_hosts_block_is_stable_and_follows_the_topology() -> None:
    once = hosts.merge("127.0.0.1\tlocalhost\n", NODES)
    assert hosts.merge(once, NODES) == once
    assert "node2" not in hosts.merge(once, {"node1": NODES["node1"]})
    assert hosts.merge(once + "10.9.9.9 nas\n", NODES) == once + "10.9.9.9 nas\n"


def test_hosts_lines_that_would_shadow_a_node_lose_its_name() -> None:
    merged = hosts.merge("127.0.1.1\tnode1.example.org node1\n10.1.1.1 node2 mirror\n127.0.1.1 other\n", NODES)
    assert "127.0.1.1\tnode1" not in merged
    assert "10.1.1.1\tmirror\n" in merged
    assert "127.0.1.1 other\n" in merged


def test_hosts_block_without_its_end_takes_only_its_paragraph() -> None:
    broken = f"127.0.0.1 localhost\n{hosts.BEGIN}\n10.0.0.1 old\n\n10.9.9.9 nas\n"
    assert hosts.merge(broken, NODES) == f"127.0.0.1 localhost\n\n{BLOCK}10.9.9.9 nas\n"


def test_hosts_file_may_be_missing() -> None:
    assert hosts.merge("", NODES) == BLOCK


def test_missing_packages_include_half_installed_ones() -> None:
    listing = "frr\tinstalled\tok\nchrony\thalf-configured\tok\nlvm2\tconfig-files\tok\nacl\tinstalled\treinstreq\n"
    assert packages.missing(["frr", "chrony", "lvm2", "acl", "udev"], listing) == ["chrony", "lvm2", "acl", "udev"]


def test_bare_lab_image_offers_every_package() -> None:
    bare = recipe("bare")
    debian = distributions.find("debian", "13")
    assert debian
    assert set(debian.packages) <= {*bare.packages, *bare.offered}


def test_foreign_repositories_are_pinned_to_a_key() -> None:
    ubuntu = distributions.find("ubuntu", "24.04")
    assert ubuntu
    [(path, file)] = packages.sources(ubuntu).items()
    assert path == "/etc/apt/sources.list.d/zabbly-incus-lts-6.0.sources"
    assert b"Suites: noble\n" in file.content
    assert b"Signed-By: /etc/apt/keyrings/zabbly-incus-lts-6.0.asc\n" in file.content


def test_unknown_distributions_are_not_found() -> None:
    assert distributions.find("debian", "11") is None
    assert distributions.find("fedora", "43") is None


def test_os_release_quotes_are_removed() -> None:
    assert distributions.os_release('ID=ubuntu\nVERSION_ID="24.04"\n# x=y\n') == {"ID": "ubuntu", "VERSION_ID": "24.04"}


def test_settings_that_are_at_least_enough_are_left_alone() -> None:
    seen = {setting.path: setting.value for setting in sysctls.SETTINGS}
    seen["/proc/sys/fs/aio-max-nr"] = 9999999
    assert sysctls.wrong(seen) == []
    seen["/proc/sys/net/ipv4/ip_forward"] = 0
    assert [setting.key for setting in sysctls.wrong(seen)] == ["net.ipv4.ip_forward"]


def test_settings_are_read_back() -> None:
    text = "/proc/sys/net/ipv4/ip_forward:1\n/proc/sys/kernel/odd:a b\n"
    assert sysctls.parse(text) == {"/proc/sys/net/ipv4/ip_forward": 1}
