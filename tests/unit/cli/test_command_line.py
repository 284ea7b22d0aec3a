"""Words in, exit code and sentences out; nothing here touches a host."""

import json
import shlex
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import click
import pytest
import yaml
from click.shell_completion import BashComplete
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from meshctl.cli.limits import spread
from meshctl.cli.main import root, run
from meshctl.cli.options import _WITH_VALUE, Options, spell_out_lab
from tests.roles import golden
from tests.unit.cli.recorded import UNREACHABLE
from tests.unit.cli.schemas import check

ROOT = Path(__file__).parents[3]
TRIANGLE = str(ROOT / "topologies/triangle.yaml")
Captured = pytest.CaptureFixture[str]


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["--help"], 0, "bootstrap"),
        (["--version"], 0, "meshctl 0."),
        (["validate", TRIANGLE], 0, "3 hosts, 3 cables, 3 disks"),
        (["-v", "validate", TRIANGLE], 0, "192.168.11.0/30"),
        (["completion", "bash"], 0, "_MESHCTL_COMPLETE"),
        (["completion", "zsh"], 0, "#compdef meshctl"),
        (["completion", "fish"], 0, "complete --no-files --command meshctl"),
        ([], 1, "Usage: meshctl"),
        (["bootstrp", TRIANGLE], 1, "Did you mean 'bootstrap'?"),
        (["bootstrap", TRIANGLE, "--yess"], 1, "Did you mean '--yes'?"),
        (["bootstrap", "--lab", TRIANGLE], 1, "--lab stands before the command"),
        (["bootstrap"], 1, "Missing argument 'TOPOLOGY'"),
        (["plan", TRIANGLE, "--only", "frr", "ovm"], 1, "Did you mean ovn? Known: ceph_config, "),
        (["bootstrap", "--only", "frr", TRIANGLE, "--node", "node1", "nod2"], 1, "--node nod2: there is no node"),
        (["plan", TRIANGLE, "--only", "frr", "--wipe", "node1:/dev/sdb"], 1, "--only leaves out the role wipe"),
        (["bootstrap", TRIANGLE, "--node", "node2", "--wipe", "node1:/dev/sdb"], 1, "--node leaves node1 as it is"),
        (["verify", TRIANGLE, "--wait", "nan"], 1, "'nan' is no number of seconds"),
        (["verify", TRIANGLE, "--wait", "inf"], 1, "inf is not in the range"),
        (["status", TRIANGLE, "--patience", "0.1"], 1, "0.1 is not in the range"),
        (["status", TRIANGLE, "--watch", "--every", "inf"], 1, "inf is not in the range"),
        (["--output", "yaml", "validate", TRIANGLE], 1, "'yaml' is not one of"),
        (["validate", "/nowhere.yaml"], 3, "/nowhere.yaml:1:1: can't be read"),
        (["validate", "/"], 3, "/:1:1: "),
        (["validate", "\udcff"], 3, "\\udcff:1:1: "),
        (["--lab=No Such", "bootstrap", TRIANGLE], 1, "can't be the name of a lab"),
        (["--lab", "--ssh-config", "f", "verify", TRIANGLE], 1, "--lab and --ssh-config are two ways to the hosts"),
        (["--ssh-config=/nowhere", "status", TRIANGLE], 1, "vagrant ssh-config > /nowhere"),
    ],
)
def test_exit_codes_and_what_is_said(capsys: Captured, words: list[str], code: int, says: str) -> None:
    assert run(words) == code
    captured = capsys.readouterr()
    assert says in (captured.err if code else captured.out)
    assert captured.out == "" or not code
    assert "Traceback" not in captured.err


def test_unknown_key_names_its_place_and_the_known_one(capsys: Captured, tmp_path: Path) -> None:
    file = tmp_path / "t.yaml"
    file.write_text(Path(TRIANGLE).read_text().replace("loopbacks:", "loopback:"))
    assert run(["validate", str(file)]) == 3
    said = capsys.readouterr().err.splitlines()
    assert any(line.startswith(f"{file}:22:3: mesh.loopback: ") and "'loopbacks'" in line for line in said)


def test_bootstrap_without_terminal_asks_for_yes(capsys: Captured) -> None:
    assert run(["bootstrap", TRIANGLE]) == 1
    assert "then pass --yes." in capsys.readouterr().err


@pytest.mark.parametrize("command", ["bootstrap", "verify"])
def test_a_run_that_never_started_is_an_object_too(capsys: Captured, tmp_path: Path, command: str) -> None:
    (tmp_path / "t.yaml").write_text(UNREACHABLE)
    words = ["--state-dir", str(tmp_path / "state"), "-o", "json", command, str(tmp_path / "t.yaml")]
    assert run([*words, "--yes"] if command == "bootstrap" else words) == 1
    captured = capsys.readouterr()
    report = check(captured.out, f"meshctl/{command}/1")
    assert not report["ok"]
    assert [problem["host"] for problem in report["problems"]] == ["node1"]
    assert "error: " in captured.err


@pytest.mark.parametrize("command", ["bootstrap", "verify"])
def test_a_lab_that_is_not_there_stays_so(capsys: Captured, command: str) -> None:
    assert run(["--lab=not-there", "-o", "json", command, TRIANGLE]) == 1
    assert not check(capsys.readouterr().out, f"meshctl/{command}/1")["ok"]
    assert not Path("/var/lib/meshctl/labs/not-there").exists()


@pytest.mark.parametrize("name", ["triangle", "five", "ring", "dual"])
def test_validate_and_render_print_what_their_schemas_say(capsys: Captured, tmp_path: Path, name: str) -> None:
    topology = str(ROOT / f"topologies/{name}.yaml")
    assert run(["--output=json", "validate", topology]) == 0
    assert check(capsys.readouterr().out, "meshctl/validate/1")["ok"]
    assert run(["--output=json", "render", topology, "--out", str(tmp_path)]) == 0
    for file in check(capsys.readouterr().out, "meshctl/render/1")["files"]:
        assert (tmp_path / file["node"] / file["path"].lstrip("/")).stat().st_mode & 0o7777 == int(file["mode"], 8)


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["plan"], 1),
        (["nosuch"], 1),
        (["--lab", "--ssh-config=x", "plan", TRIANGLE], 1),
        (["bootstrap", "/not/there.yaml"], 3),
        (["--lab=not-there", "status", TRIANGLE], 1),
    ],
)
def test_an_error_is_an_object_too(capsys: Captured, words: list[str], code: int) -> None:
    assert run(["-o", "json", *words]) == code
    captured = capsys.readouterr()
    found = check(captured.out, "meshctl/error/1")
    assert found["exit_code"] == code
    assert found["errors"][0]["what"] in captured.err
    assert run(words) == code
    assert capsys.readouterr().out == ""


def test_faults_are_an_object_too(capsys: Captured, tmp_path: Path) -> None:
    (tmp_path / "t.yaml").write_text("cluster: x\nnodess: {}\n")
    assert run(["--output=json", "validate", str(tmp_path / "t.yaml")]) == 3
    assert {f["line"] for f in check(capsys.readouterr().out, "meshctl/validate/1")["findings"]} == {1, 2}


def test_schema_of_topologies_accepts_an_example(capsys: Captured) -> None:
    assert run(["schema"]) == 0
    text = capsys.readouterr().out
    Draft202012Validator(json.loads(text)).validate(yaml.safe_load(Path(TRIANGLE).read_text()))
    assert (ROOT / "topologies/topology.schema.json").read_text() == text, "run `make docs`"


def test_warnings_are_shown_and_do_not_fail(capsys: Captured) -> None:
    ring = str(ROOT / "topologies/ring.yaml")
    assert run(["validate", ring]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith(f"{ring}:12:1: nodes: 4 voters")
    assert said[-1].endswith("; 1 warning")
    assert run(["-o", "json", "validate", ring]) == 0
    assert [f["rule"] for f in check(capsys.readouterr().out, "meshctl/validate/1")["findings"]] == ["even-voters"]


def test_render_says_when_it_cannot_write(capsys: Captured, tmp_path: Path) -> None:
    (tmp_path / "node1").write_text("in the way")
    assert run(["render", TRIANGLE, "--out", str(tmp_path)]) == 1
    assert "can't be written" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "spelt_out"),
    [
        (["--lab", "bootstrap", "t"], ["--lab=", "bootstrap", "t"]),
        (["--lab=x", "bootstrap"], ["--lab=x", "bootstrap"]),
        (["--output", "json", "--lab", "verify"], ["--output", "json", "--lab=", "verify"]),
        (["--log-file", "--lab", "verify"], ["--log-file", "--lab", "verify"]),
        (["--ssh-config", "--lab", "verify"], ["--ssh-config", "--lab", "verify"]),
        (["lab", "ssh", "t", "n", "x", "--lab"], ["lab", "ssh", "t", "n", "x", "--lab"]),
        (["--", "--lab"], ["--", "--lab"]),
        (["--lab"], ["--lab="]),
    ],
)
def test_bare_lab_never_takes_the_next_word(words: list[str], spelt_out: list[str]) -> None:
    assert spell_out_lab(words) == spelt_out


def test_every_option_that_takes_a_value_is_known_to_the_search_for_lab() -> None:
    valued = [one for one in root.params if isinstance(one, click.Option) and not (one.is_flag or one.count)]
    names = {name for one in valued for name in one.opts} - {"--lab"}
    assert names == _WITH_VALUE


@pytest.mark.parametrize(
    ("words", "each_has_its_option"),
    [
        (["--only", "frr", "ovn"], ["--only", "frr", "--only", "ovn"]),
        (["--only", "frr", "./t"], ["--only", "frr", "./t"]),
        (["t.yaml", "--node=a", "b", "--yes"], ["t.yaml", "--node=a", "--node", "b", "--yes"]),
        (["--only", "frr", "t.yaml", "--node", "a", "--only", "ovn"], None),
        (["--wipe", "node1:/dev/sdb", "t.yaml"], None),
        (["--yes", "t.yaml"], None),
        (["--only", "frr", "--", "ovn"], None),
    ],
)
def test_options_with_several_values(words: list[str], each_has_its_option: list[str] | None) -> None:
    assert spread(words) == (each_has_its_option or words)


@pytest.mark.parametrize(("words", "lab"), [([], None), (["--lab"], ""), (["--lab=x"], "x"), (["-v", "--lab"], "")])
def test_lab_option(words: list[str], lab: str | None) -> None:
    context = root.make_context("meshctl", [*words, "validate", TRIANGLE])
    with context:
        context.invoke(root.callback, **context.params)  # type: ignore[arg-type]
        assert isinstance(context.obj, Options)
        assert context.obj.lab == lab


def test_command_lines_in_advice_can_be_pasted() -> None:
    options = Options(lab="", state_dir=Path("/my state"), age_identity=Path("/id"))
    topology = replace(golden.topology("triangle"), source=Path("my files/t.yaml"))
    assert shlex.split(options.line("plan", topology, " --node node1")) == [
        *("meshctl", "--lab", "--state-dir=/my state", "--age-identity=/id"),
        *("plan", "my files/t.yaml", "--node", "node1"),
    ]


@pytest.mark.parametrize(
    ("words", "begun", "offered"),
    [
        ([], "boot", {"bootstrap"}),
        ([], "ini", {"init"}),
        (["init"], "--upl", {"--uplink-parent", "--uplink-gateway", "--uplink-range"}),
        (["--lab"], "veri", {"verify"}),
        (["lab"], "power", {"power-off", "power-on"}),
        (["bootstrap"], "--y", {"--yes"}),
        (["plan", "--only"], "ceph_m", {"ceph_mgr", "ceph_mon"}),
    ],
)
def test_completion(words: list[str], begun: str, offered: set[str]) -> None:
    found = BashComplete(root, {}, "meshctl", "_MESHCTL_COMPLETE").get_completions(words, begun)
    assert {item.value for item in found} == offered


WORDS = ["--lab", "--lab=", "--lab=x y", "-v", "--output", "json", "validate", "schema", "lab", "status", "completion"]
WORDS += ["render", "--", "-", "", "é", "\udcff", "\x1b[31m", "-vvvx", "--=", "--out=", "x" * 5000, TRIANGLE, "bash"]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from(WORDS), max_size=5))
def test_no_traceback_on_nonsense(capsys: Captured, words: list[str]) -> None:
    assert run(words) in {0, 1, 3}
    said = capsys.readouterr().err
    assert "Traceback" not in said
    assert "defect" not in said


def test_the_module_runs_as_a_program() -> None:
    argv = [sys.executable, "-m", "meshctl", "validate", "nowhere.yaml"]
    done = subprocess.run(argv, capture_output=True, text=True, cwd=ROOT, check=False, timeout=60)
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr.startswith("nowhere.yaml:1:1: ")


def test_help_imports_only_what_it_needs() -> None:
    code = "import sys; from meshctl.cli.main import run; run(['--help']); print(*sys.modules, file=sys.stderr)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True, timeout=60
    )
    assert "meshctl.cli.lab" in done.stderr.split()
    heavy = {name.split(".")[0] for name in done.stderr.split()} & {
        "asyncio",
        "asyncssh",
        "pydantic",
        "networkx",
        "rich",
        "structlog",
        "yaml",
        "jinja2",
    }
    assert not heavy


def test_every_command_has_one_line_of_help_that_fits() -> None:
    context = click.Context(root)
    commands = [*root.commands.values(), *root.commands["lab"].commands.values()]  # type: ignore[attr-defined]
    for command in commands:
        assert not command.get_short_help_str(limit=62).endswith("..."), command.name
    assert "..." not in root.get_help(context).split("Commands:")[1]
