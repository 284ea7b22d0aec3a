"""No secret lies where it doesn't belong: after a bootstrap, a plan, repairs and a renewal, on hosts and controller.

The secrets are collected from the hosts themselves. The sampler runs on the controller, which sees the processes of
all hosts of a lab: those are in process namespaces below its own.
"""

import base64
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.lab.conftest import Lab, running_lab
from tests.lab.needles import FILES_OF_OTHERS, SAMPLER, Needles, needles

pytestmark = pytest.mark.lab

NODES = ("node1", "node2", "node3")
KEY_FILES = (
    "find /etc/ovn/pki /etc/ceph /var/lib/ceph /var/lib/incus /etc/ssh -xdev -type f "
    r"\( -name '*.key' -o -name 'key.pem' -o -name '*keyring' -o -name 'ssh_host_*_key' \) 2>/dev/null"
)
LARGEST_KEY = 100_000
NOBODY = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")


@dataclass
class Told:
    """What meshctl said, and what its processes and the hosts' looked like meanwhile."""

    lab: Lab
    folder: Path
    started: float
    texts: dict[str, str] = field(default_factory=dict)
    processes: list[str] = field(default_factory=list)
    secrets: Needles = field(default_factory=lambda: Needles({}))

    def run(self, *arguments: str, code: int = 0) -> None:
        """A command whose outputs are kept."""
        done = self.lab.call("-v", *arguments)
        self.texts[" ".join(arguments)] = done.stdout + done.stderr
        assert done.returncode == code, done.stdout + done.stderr


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Told]:
    folder = tmp_path_factory.mktemp("secrets")
    stop, out, started = folder / "stop", folder / "processes", time.time()
    for lab in running_lab(f"s{os.getpid()}"):
        sampler = subprocess.Popen([sys.executable, "-c", SAMPLER, str(stop), str(out)])
        try:
            found = Told(lab, folder, started)
            use(found)
        finally:
            stop.touch()
            sampler.wait(timeout=60)
        found.processes = out.read_bytes().decode(errors="surrogateescape").splitlines()
        yield found


def use(told: Told) -> None:
    """All that handles secrets: plan and bootstrap from nothing, a repair with what a plan shows of it, a renewal."""
    topology = told.lab.topology
    told.run("plan", topology, code=2)
    told.run("-o", "json", "bootstrap", topology, "--yes")
    before = secrets_of(told.lab)  # a renewal replaces some
    told.lab.ssh("node2", "rm /etc/ceph/ceph.client.admin.keyring /etc/ovn/pki/key.pem")
    told.run("plan", topology, code=2)
    told.run("-o", "json", "plan", topology, code=2)
    told.run("bootstrap", topology, "--yes")
    told.run("certs", "renew", topology, "--yes")
    told.run("certs", "list", topology)
    told.run("-o", "json", "verify", topology)
    told.secrets = Needles({**before.by_name, **{f"{k}'": v for k, v in secrets_of(told.lab).by_name.items()}})


def secrets_of(lab: Lab) -> Needles:
    """Every private key and Ceph key that exists, on the hosts and on the controller."""
    files = []
    for node in NODES:
        blocks = lab.ssh(node, f'for f in $({KEY_FILES}); do echo "=== $f"; cat "$f"; done').split("=== ")
        files += [(f"{node}:{path}", text) for path, _, text in (block.partition("\n") for block in blocks)]
    files.append(("ceph", lab.ssh("node1", "ceph", "auth", "ls").replace("key: ", "key = ")))
    home = Path("/var/lib/meshctl/labs") / lab.name
    kept = [file for file in home.rglob("*") if file.is_file() and "nodes" not in file.parts]
    texts = [(file, file.read_bytes()) for file in kept if file.stat().st_size < LARGEST_KEY]
    files += [(f"here:{file.name}", content.decode()) for file, content in texts if b"PRIVATE KEY" in content]
    return needles(files)


def test_all_kinds_of_secrets_were_found(told: Told) -> None:
    names = " ".join(told.secrets.by_name)
    for kind in (
        "here:ca.pem",
        "node3:/etc/ovn/pki/key.pem",
        "node1:/var/lib/incus/cluster.key",
        "client.admin.keyring",
    ):
        assert kind in names
    assert len([name for name in told.secrets.by_name if name.startswith("ceph#")]) >= 8
    assert "ssh_host_ed25519_key" in names


def test_processes_show_no_secret(told: Told) -> None:
    assert any("ceph-mon --mkfs" in line or "ceph-osd" in line for line in told.processes), "the sampler saw nothing"
    raw = {line: line.encode(errors="surrogateescape") for line in told.processes}
    hits = [(names, line[:120]) for line, content in raw.items() if (names := told.secrets.seen_in(content))]
    assert hits == []
    assert [line[:80] for line in told.processes if joining_token(line)] == []


def joining_token(line: str) -> bool:
    """Whether a process was given an Incus join token: base64 of an object with a secret."""
    for word in re.findall(r"eyJ[A-Za-z0-9+/=_-]{60,}", line):
        try:
            if "secret" in json.loads(base64.urlsafe_b64decode(word + "==")):
                return True
        except ValueError:
            continue
    return False


def test_what_meshctl_says_shows_no_secret(told: Told) -> None:
    hits = {what: names for what, text in told.texts.items() if (names := told.secrets.seen_in(text.encode()))}
    assert hits == {}
    assert not [what for what, text in told.texts.items() if "PRIVATE KEY" in text]
    assert "ceph.client.admin.keyring" in told.texts[f"plan {told.lab.topology}"], "the plan shows no keyring at all"


def test_run_logs_show_no_secret(told: Told) -> None:
    logs = sorted((Path("/var/lib/meshctl/labs") / told.lab.name / "state" / "runs").glob("*.jsonl"))
    assert len(logs) >= 4
    assert {log.name: names for log in logs if (names := told.secrets.seen_in(log.read_bytes()))} == {}


@pytest.mark.parametrize("node", NODES)
def test_journal_shows_no_secret(told: Told, node: str) -> None:
    journal = told.lab.ssh(node, "journalctl", "--no-pager", "-o", "cat")
    assert len(journal.splitlines()) > 100
    assert told.secrets.seen_in(journal.encode()) == set()


@pytest.mark.parametrize("node", NODES)
def test_others_on_a_host_can_read_no_secret(told: Told, node: str) -> None:
    told.lab.feed(node, "cat > /tmp/look.py", FILES_OF_OTHERS)
    command = f"{' '.join(NOBODY)} python3 /tmp/look.py {told.started} /"
    assert told.lab.feed(node, command, told.secrets.lines()).splitlines() == ["looked at everything"]


def test_others_on_the_controller_can_read_no_secret(told: Told) -> None:
    home = str(Path("/var/lib/meshctl/labs") / told.lab.name)
    argv = [*NOBODY, "/usr/bin/python3", "-c", FILES_OF_OTHERS, "0", home, "/tmp", "/var/tmp"]
    done = subprocess.run(argv, input=told.secrets.lines(), capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["looked at everything"]


@pytest.mark.parametrize("node", NODES)
def test_the_search_finds_what_is_there(told: Told, node: str) -> None:
    told.lab.ssh(node, "install -m 644 /etc/ovn/pki/key.pem /var/tmp/planted")
    try:
        told.lab.feed(node, "cat > /tmp/look.py", FILES_OF_OTHERS)
        command = f"{' '.join(NOBODY)} python3 /tmp/look.py {told.started} /var/tmp"
        assert "/var/tmp/planted" in told.lab.feed(node, command, told.secrets.lines())
    finally:
        told.lab.ssh(node, "rm /var/tmp/planted")
