# ruff: noqa: ASYNC240  (small local files)
"""Hosts reached as an SSH configuration says, instead of the topology."""

from dataclasses import replace
from pathlib import Path

import asyncssh
import pytest

from meshctl.cli.options import Options
from meshctl.cli.reach import answering, connected, reachable
from meshctl.errors import AuthError, HostKeyError, UsageError
from meshctl.host.connect import HostsUnreachableError
from meshctl.host.dial import KEEPALIVE
from meshctl.host.known_hosts import KnownHosts
from meshctl.host.sshconfig import logins
from meshctl.state import StateFolder
from meshctl.topology import Topology, load
from meshctl.topology.document import Ssh
from tests.ssh.sshd import Server

TRIANGLE = load(Path(__file__).parents[2] / "topologies/triangle.yaml")
NAMES = ["node1", "node2", "node3"]

# What `vagrant ssh-config` (2.3.4) printed for a libvirt machine.
VAGRANT = """Host {name}
  HostName {host}
  User {user}
  Port {port}
  UserKnownHostsFile /dev/null
  StrictHostKeyChecking no
  PasswordAuthentication no
  IdentityFile {key}
  IdentitiesOnly yes
  LogLevel FATAL

"""


def vagrant(names: list[str], server: Server, key: Path, host: str = "127.0.0.1") -> str:
    return "".join(VAGRANT.format(name=n, host=host, user="root", port=server.port, key=key) for n in names)


@pytest.fixture
def config(tmp_path: Path, server: Server, client_key: Path) -> Path:
    path = tmp_path / "ssh_config"
    path.write_text(vagrant(NAMES, server, client_key))
    return path


@pytest.fixture
def state(tmp_path: Path) -> StateFolder:
    return StateFolder(tmp_path / "state")


def impatient(topology: Topology = TRIANGLE) -> Topology:
    return replace(topology, ssh=topology.ssh.model_copy(update={"connect_timeout": 2}))


async def test_the_topology_is_used_unchanged(config: Path, state: StateFolder, server: Server) -> None:
    async with connected(TRIANGLE, Options(ssh_config=config), state, accept_new=False) as hosts:
        assert list(hosts) == NAMES
        assert (await hosts["node2"].query(["echo", "here"])).stdout == "here\n"
    assert f"[127.0.0.1]:{server.port} " in state.known_hosts.read_text(), "StrictHostKeyChecking no: recorded unasked"
    assert TRIANGLE.node("node1").management == "172.31.0.11"


async def test_status_and_lifecycle_come_the_same_way(config: Path, state: StateFolder) -> None:
    options = Options(ssh_config=config)
    async with answering(TRIANGLE, options, state, knock=2, login=5) as (hosts, errors):
        assert (list(hosts), errors) == (NAMES, ())
    async with reachable(TRIANGLE, options, state) as (hosts, errors):
        assert (list(hosts), errors) == (NAMES, ())


async def test_a_changed_key_is_refused_whatever_the_file_says(config: Path, state: StateFolder) -> None:
    other = asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode()
    port = config.read_text().split("Port ")[1].split()[0]
    state.write_secret("known_hosts", f"[127.0.0.1]:{port} {other}".encode())
    with pytest.raises(HostsUnreachableError) as caught:
        async with connected(TRIANGLE, Options(ssh_config=config), state, accept_new=True):
            pass
    assert {type(error) for error in caught.value.errors} == {HostKeyError}
    assert "ssh-keygen -f" in caught.value.advice


async def test_its_known_hosts_count_and_are_only_read(
    config: Path, state: StateFolder, server: Server, tmp_path: Path
) -> None:
    known = tmp_path / "theirs"
    known.write_text(f"[127.0.0.1]:{server.port} {server.host_key.export_public_key().decode()}")
    before = known.read_text()
    strict = config.read_text().replace("/dev/null", str(known)).replace("Checking no", "Checking yes")
    config.write_text(strict)
    async with connected(TRIANGLE, Options(ssh_config=config), state, accept_new=False) as hosts:
        assert list(hosts) == NAMES
    assert known.read_text() == before
    known.write_text("")
    with pytest.raises(HostsUnreachableError, match=r"host key of 127\.0\.0\.1 is unknown"):
        async with connected(impatient(), Options(ssh_config=config), state, accept_new=False):
            pass


async def test_a_key_that_is_not_let_in_is_named_in_the_files_own_words(
    config: Path, state: StateFolder, server: Server
) -> None:
    server.users = {"somebody"}
    with pytest.raises(HostsUnreachableError) as caught:
        async with connected(impatient(), Options(ssh_config=config), state, accept_new=False):
            pass
    assert {type(error) for error in caught.value.errors} == {AuthError}
    assert f"the right key as IdentityFile, or the right user as User, in {config}" in caught.value.advice
    assert "ssh.identity" not in caught.value.advice


async def test_each_machine_has_a_key_of_its_own(config: Path, state: StateFolder, tmp_path: Path) -> None:
    text = config.read_text()
    key = text.split("IdentityFile ")[1].split()[0]
    first, rest = text.split("Host node2")
    config.write_text(f"{first.replace(key, str(tmp_path / 'gone'))}Host node2{rest}")
    with pytest.raises(HostsUnreachableError) as caught:
        async with connected(impatient(), Options(ssh_config=config), state, accept_new=False):
            pass
    (error,) = caught.value.errors
    assert (error.host, error.advice) == ("node1", f"See IdentityFile in {config}.")


# What the file may say


def one(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "config"
    path.write_text(text)
    return path


def test_what_the_file_leaves_open_is_the_topologys(tmp_path: Path) -> None:
    path = one(tmp_path, "Host 172.31.0.13\n  Port 2222\nHost node*\n  User admin\n  ConnectTimeout 40\n")
    ssh = Ssh(identity="/keys/mine", port=22022)
    found = logins(path, TRIANGLE.nodes, ssh)
    assert {name: login.address for name, login in found.items()} == {
        "node1": "172.31.0.11",
        "node2": "172.31.0.12",
        "node3": "172.31.0.13",
    }
    assert found["node1"].ssh == Ssh(identity="/keys/mine", port=22022, user="admin", connect_timeout=40)
    by_address = logins(one(tmp_path, "Host 172.31.0.*\n  User admin\n"), TRIANGLE.nodes, ssh)
    assert by_address["node2"].ssh.user == "admin"
    assert not found["node1"].accept_new
    assert found["node1"].keepalive == KEEPALIVE
    slow = logins(one(tmp_path, "Host *\n  User root\n  ServerAliveInterval 20\n"), TRIANGLE.nodes, ssh)
    assert slow["node3"].keepalive == 20


def test_of_several_keys_the_first_that_is_there(tmp_path: Path) -> None:
    (tmp_path / "b").touch()
    path = one(tmp_path, f"Host node*\n IdentityFile {tmp_path}/a\n IdentityFile {tmp_path}/b\n")
    assert logins(path, TRIANGLE.nodes, Ssh())["node1"].ssh.identity == f"{tmp_path}/b"


@pytest.mark.parametrize(
    ("text", "message", "advice"),
    [
        ("", "says nothing about node1, node2, node3", "vagrant ssh-config > "),
        ("Host node1 node3\n User root\n", "says nothing about node2", "Every host of the topology"),
        ("Host node*\n Port many\n", r"is no SSH configuration: .* line 2: Invalid Port integer", "ssh -G -F"),
        ('Host node*\n User "a\n', r"line 2: No closing quotation", "ssh -G -F"),
        ("Host node*\n Port 70000\n", "Port of node1: Input should be less", ""),
        ("Host node*\n User A/B\n", "User of node1: ", ""),
        ("Host node*\n HostName a;b\n", "HostName of node1 is no address: 'a;b'", ""),
        ("Host node*\n User root\n ProxyJump gate\n", "node1 is reached through ProxyJump", "jump host"),
        ("Host node*\n User root\n ProxyCommand nc %h\n", "node1 is reached through ProxyCommand", "jump host"),
    ],
)
def test_faults_of_the_file_are_sentences(tmp_path: Path, text: str, message: str, advice: str) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        logins(one(tmp_path, text), TRIANGLE.nodes, Ssh())
    assert advice in caught.value.advice


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="can't be read: No such file") as caught:
        logins(tmp_path / "none", TRIANGLE.nodes, Ssh())
    assert f"vagrant ssh-config > {tmp_path}/none" in caught.value.advice


def test_known_hosts_of_the_file_come_beside_the_clusters_own(tmp_path: Path, state: StateFolder) -> None:
    (tmp_path / "bad").write_bytes(b"\xff\n")
    path = one(tmp_path, f"Host node*\n User root\n UserKnownHostsFile {tmp_path}/bad {tmp_path}/none\n")
    login = logins(path, TRIANGLE.nodes, Ssh())["node1"]
    assert login.known_hosts == (tmp_path / "bad", tmp_path / "none")
    with pytest.raises(HostKeyError, match=f"{tmp_path}/bad can't be read"):
        login.trusting(KnownHosts(state)).trust(TRIANGLE.node("node1"), 22)
