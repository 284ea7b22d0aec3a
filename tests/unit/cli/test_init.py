"""Questions in, a topology out: by options, by a scripted operator, and on a pseudo-terminal."""

import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meshctl.cli.asking import Check
from meshctl.cli.files import write_new
from meshctl.cli.interview import Given, interview
from meshctl.cli.main import run
from meshctl.discover.answers import Answers, Uplink, topology_text
from meshctl.errors import UsageError
from meshctl.topology import load, loads
from tests.unit.cli.schemas import check
from tests.unit.cli.test_terminal import on_terminal

ROOT = Path(__file__).parents[3]
TRIANGLE = ROOT / "topologies/triangle.yaml"
PROGRAM = ("-m", "meshctl")
NODES = [word for i in (1, 2, 3) for word in ("--node", f"node{i}=172.31.0.1{i}")]
DISKS = [word for i in (1, 2, 3) for word in ("--disk", f"node{i}:/dev/sdb")]
UPLINK = ["--uplink-parent=eth3", "--uplink-gateway=203.0.113.1/24", "--uplink-range=203.0.113.100-203.0.113.199"]
MANY = [f"--node=192.0.2.{i}" for i in range(1, 50)]
APART = ["--cable=node1:eth3=node2:eth1", "--cable=node2:eth2=node3:eth2"]
Captured = pytest.CaptureFixture[str]


@dataclass
class Script:
    """An operator who types one answer after the other; `refused` has what each wrong one was told."""

    answers: Iterator[str]
    asked: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    told: list[str] = field(default_factory=list)

    def tell(self, text: str) -> None:
        self.told.append(text)

    def ask(self, question: str, default: str | None, check: Check) -> str:
        self.asked.append(f"{question} [{default}]")
        while True:
            answer = next(self.answers) or default
            if answer is not None:
                if not (said := check(answer)):
                    return answer
                self.refused += said


def script(*answers: str) -> Script:
    return Script(iter(answers))


def test_all_options_are_the_triangle_without_a_terminal(tmp_path: Path, capsys: Captured) -> None:
    file = tmp_path / "new.yaml"
    words = ["init", "--name=triangle", *NODES, *DISKS, *UPLINK, "--out", str(file)]
    assert run(words) == 0
    wanted, made = loads(TRIANGLE.read_text(), file), load(file)
    assert made == wanted
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "cluster triangle, 3 hosts, 3 cables, 3 disks; written to " in captured.err
    assert f"meshctl validate {file}\n  meshctl bootstrap {file}\n" in captured.err
    assert run(words) == 1
    assert "is there already, and is not overwritten" in capsys.readouterr().err


def test_the_file_goes_to_standard_output_without_out(capsys: Captured) -> None:
    assert run(["init", *NODES, "--no-disks", "--management-nic=eno1", "--user=admin"]) == 0
    captured = capsys.readouterr()
    made = loads(captured.out, Path("x"))
    assert {node.management_nic for node in made.nodes} == {"eno1"}
    assert made.ssh.user == "admin"
    assert "FILE:" in captured.err
    assert "[too-few-disks]" in captured.err


def test_more_hosts_than_can_be_wired_each_to_each(capsys: Captured) -> None:
    chain = [f"--cable=node{i}:eth1=node{i + 1}:eth2" for i in range(1, 49)]
    assert run(["init", *MANY, "--no-disks", *chain]) == 0
    assert len(loads(capsys.readouterr().out, Path("x")).cables) == 48


def test_json_is_what_its_schema_says(capsys: Captured, tmp_path: Path) -> None:
    words = ["-o", "json", "--lab=x", "init", *NODES[:4], *DISKS[:4], "--out", str(tmp_path / "t.yaml")]
    assert run(words) == 0
    found = check(capsys.readouterr().out, "meshctl/init/1")
    assert found["topology"] == (tmp_path / "t.yaml").read_text()
    assert {warning["rule"] for warning in found["warnings"]} == {"too-few-disks", "even-voters", "single-point"}
    assert found["next"] == [f"meshctl --lab=x {word} {tmp_path}/t.yaml" for word in ("validate", "bootstrap")]
    assert run(["-o", "json", "init"]) == 1
    check(capsys.readouterr().out, "meshctl/error/1")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "missing: --node, --disk (or --no-disks)"),
        ([*NODES, "--no-disks", "--uplink-parent=eth3"], "missing: --uplink-gateway, --uplink-range"),
        ([*NODES, "--no-disks", "--uplink-gateway=203.0.113.1/24"], "--uplink-parent is missing"),
        ([*NODES, "--no-disks", *UPLINK[::2]], "--uplink-gateway is missing"),
        ([*MANY, "--no-disks"], "--cable: cables: the cables leave separate parts"),
        ([*NODES, *DISKS, "--no-disks"], "--disk and --no-disks contradict each other"),
        (["--node=a=192.0.2.1", "--node=a=192.0.2.2", "--no-disks"], "nodes.a: the key 'a' stands here a second time"),
        (["--node=a=192.0.2", "--no-disks"], "--node: nodes.a.address: Input is not a valid IPv4 address"),
        (["--node=192.0.2.1", "--node=192.0.2.1", "--no-disks"], "address 192.0.2.1 is node1's already"),
        ([*NODES, "--disk", "node4:/dev/sdb"], "there is no node 'node4'; known: node1, node2, node3"),
        ([*NODES, "--disk", "node1"], "nodes.node1.disks[0]: String should match pattern"),
        ([*NODES, "--no-disks", "--cable", "node1:eth1"], "found 'node1:eth1'"),
        ([*NODES, "--no-disks", "--cable", "node1:eth1=node2:eth2"], "separate parts: node1, node2 | node3"),
        ([*NODES, "--no-disks", "--loopbacks", "172.31.0.0/24"], "lies in mesh.loopbacks 172.31.0.0/24"),
        ([*NODES, "--no-disks", "--links", "x"], "mesh.links: "),
        ([*NODES, "--no-disks", "--name", "A"], "--name: cluster: String should match pattern"),
        ([*NODES, "--no-disks", *UPLINK[:2], "--uplink-range=1-2"], "--uplink-range: uplink.range: "),
        ([*NODES, "--no-disks", *UPLINK, *APART], "is the uplink NIC of node1"),
        ([*NODES, "--no-disks", "--user=a b"], "ssh.user: String should match pattern"),
        ([*NODES, "--no-disks", "--out=/nowhere/t.yaml"], "there is no such folder"),
    ],
)
def test_wrong_words_name_the_option_and_nothing_is_written(
    words: list[str], said: str, capsys: Captured, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["init", *words]) == 1
    captured = capsys.readouterr()
    assert said in captured.err
    assert captured.out == ""
    assert not list(tmp_path.iterdir())


def test_a_few_questions_with_their_defaults() -> None:
    operator = script("", "", "172.31.0.11", "", "", "", "", "", "", "y", "-", "", "")
    answers = interview(Given(), operator)
    assert loads(topology_text(answers), TRIANGLE) == loads(
        TRIANGLE.read_text().replace("cluster: triangle", "cluster: mesh").partition("uplink:")[0], TRIANGLE
    )
    assert operator.asked[3] == "Host 2, ADDRESS or NAME=ADDRESS [node2=172.31.0.12]"
    [told] = operator.told
    assert told.endswith(":\n  node1:eth1 <-> node2:eth2\n  node2:eth1 <-> node3:eth2\n  node3:eth1 <-> node1:eth2")
    assert operator.refused == []


def test_wrong_answers_are_asked_again_and_told_why() -> None:
    operator = script(
        *("My Mesh", "attic", "0", "two", "2", "pve1=192.0.2", "pve1=192.0.2.1", "pve1=192.0.2.2", ""),
        *("eth 0", "eno1", "sdb", "/dev/sdb /dev/sdc", "-"),
        *("maybe", "n", "pve1:eth1", "pve1:eth1=pve3:eth1", "", "pve1:eno1=pve2:eth1", "pve1:eth1=pve2:eth1", ""),
        *("eth1", "eth2", "203.0.113.1/99", "203.0.113.1/24", "203.0.113.1-203.0.113.9", "203.0.113.2-203.0.113.9"),
        *("192.0.2.0/24", "10.1.0.0/24", "203.0.113.0/24", "10.1.1.0/24"),
    )
    answers = interview(Given(), operator)
    assert answers == Answers(
        cluster="attic",
        nodes={"pve1": "192.0.2.1", "pve2": "192.0.2.2"},
        management_nic="eno1",
        disks={"pve1": ("/dev/sdb", "/dev/sdc"), "pve2": ()},
        cables=("pve1:eth1 <-> pve2:eth1",),
        uplink=Uplink("eth2", "203.0.113.1/24", "203.0.113.2-203.0.113.9"),
        loopbacks="10.1.0.0/24",
        links="10.1.1.0/24",
    )
    for part in (
        "cluster: String should match pattern", "a number from 1 to 45 expected; found '0'", "found 'two'",
        "nodes.pve1.address: Input is not a valid IPv4 address; found '192.0.2'", "the key 'pve1' stands here a second",
        "management_nic: String should match pattern", "nodes.pve1.disks[0]: String", "y or n expected",
        "found 'pve1:eth1'", "there is no node 'pve3'", "separate parts: pve1 | pve2", "is the management NIC of pve1",
        "is the uplink NIC", "uplink.gateway: ", "leave out the gateway", "lies in mesh.loopbacks", "overlaps",
    ):  # fmt: skip
        assert any(part in said for said in operator.refused), part
    assert next(operator.answers, None) is None


def test_what_options_answer_is_not_asked() -> None:
    operator = script("", "", "", "")
    disks = [f"node{i}:/dev/sdb" for i in (1, 2)]
    given_ = Given(name="x", nodes=["192.0.2.1", "192.0.2.2"], disks=disks, uplink_parent="eth1",
                   uplink_gateway="203.0.113.1/24", uplink_range="203.0.113.2-203.0.113.9")  # fmt: skip
    answers = interview(given_, operator)
    assert [question.split(" [")[0].split(" (")[0] for question in operator.asked] == [
        "NIC of these addresses, on every host", "Plugged like this",
        "Prefix of the hosts' stable addresses", "Prefix of the cables' addresses",
    ]  # fmt: skip
    assert answers.cables == ["node1:eth2 <-> node2:eth2"], "the uplink's NIC takes no cable"


BAD = st.sampled_from(
    ["", "x y", "\x1b[31m", "a:b=c:d", "-1", "999", "eth0", "10.158.0.0/24", "node1=1.2.3.4", "\udcff"]
)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_nonsense_before_each_answer_changes_nothing(data: st.DataObject) -> None:
    """Whatever is refused leaves no trace: what is taken in the end is what the check let through."""
    good = ("attic", "2", "pve1=192.0.2.1", "pve2=192.0.2.2", "eno1", "/dev/sdb", "/dev/sdc", "y", "eth3",
            "203.0.113.1/24", "203.0.113.2-203.0.113.9", "10.1.0.0/24", "10.1.1.0/24")  # fmt: skip

    class Sloppy(Script):
        def ask(self, question: str, default: str | None, check: Check) -> str:
            for text in data.draw(st.lists(BAD, max_size=2)):
                self.refused += check(text)
            return super().ask(question, default, check)

    operator = Sloppy(iter(good))
    answers = interview(Given(), operator)
    assert answers == interview(Given(), script(*good))


def test_on_a_terminal(tmp_path: Path) -> None:
    (tmp_path / "there.yaml").write_text("mine")
    typed = (
        "triangle\n3\n172.31.0.1111\n172.31.0.11\n\n\n\n\n\n\ny\neth3\n203.0.113.1/24\n203.0.113.100-203.0.113.199\n"
    )
    code, shown = on_terminal(["init"], f"{typed}\n\nthere.yaml\n\n", tmp_path, PROGRAM)
    assert code == 0, shown
    assert "The cluster's name [mesh]: " in shown
    said = "Error: nodes.node1.address: Input is not a valid IPv4 address; found '172.31.0.1111'"
    assert said in " ".join(shown.split()), "whatever the terminal's width"
    assert "there.yaml is there already, and is not overwritten" in shown
    assert "Write it to [triangle.yaml]: " in shown
    assert "Next:\r\n  meshctl validate triangle.yaml\r\n  meshctl bootstrap triangle.yaml\r\n" in shown
    file = tmp_path / "triangle.yaml"
    assert load(file) == loads(TRIANGLE.read_text(), file)
    assert (tmp_path / "there.yaml").read_text() == "mine"


@pytest.mark.parametrize("typed", ["\x04", "attic\n\x04", "\n\n192.0.2.1\n\x04"])
def test_given_up_leaves_nothing_behind(tmp_path: Path, typed: str) -> None:
    code, shown = on_terminal(["init", "--out", "new.yaml"], typed, tmp_path, PROGRAM)
    assert code == 130
    assert "Traceback" not in shown
    assert "interrupted" in shown
    assert not list(tmp_path.iterdir())


def test_ctrl_c_at_a_question(tmp_path: Path) -> None:
    """The signal itself, while the prompt waits."""
    ours, theirs = pty.openpty()
    # Under a runner in the background SIGINT is ignored, and children inherit that.
    argv = ["env", "--default-signal=INT", sys.executable, *PROGRAM, "init", "--out", "new.yaml"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    with subprocess.Popen(argv, stdin=theirs, stdout=theirs, stderr=theirs, cwd=tmp_path, env=environment) as process:
        os.close(theirs)
        shown, deadline = b"", time.monotonic() + 60
        while b"[mesh]: " not in shown:
            assert time.monotonic() < deadline
            shown += os.read(ours, 4096)
        process.send_signal(signal.SIGINT)
        try:
            assert process.wait(timeout=60) == 130
        finally:
            process.kill()
    os.close(ours)
    assert not list(tmp_path.iterdir())


def test_a_file_that_is_interrupted_is_not_left_half(tmp_path: Path) -> None:
    file = tmp_path / "t.yaml"
    with pytest.raises(UnicodeEncodeError):
        write_new(file, "cluster: \udcff")
    assert not file.exists()
    write_new(file, "whole")
    with pytest.raises(UsageError, match="can't be written: File exists"):
        write_new(file, "again")
    assert file.read_text() == "whole"


@pytest.mark.parametrize(
    ("disk", "proposed"), [("/dev/sdc", "/dev/sdc"), ("-", "-"), ("/dev/disk/by-id/ata-WD_1234", None)]
)
def test_a_serial_number_is_not_proposed_for_the_next_host(disk: str, proposed: str | None) -> None:
    operator = script("", disk, "/dev/sdd", "", "", "", "")
    interview(Given(name="x", nodes=["192.0.2.1", "192.0.2.2"]), operator)
    assert operator.asked[2] == f"Empty disks of node2 for Ceph (-: none) [{proposed}]"
