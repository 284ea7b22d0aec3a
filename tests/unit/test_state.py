"""The operator's folder, where the disk has something against it; who may enter is in test_certs.py."""

from pathlib import Path

import pytest

from meshctl.cli.main import run
from meshctl.errors import SecretsError
from meshctl.state import StateFolder

TRIANGLE = str(Path(__file__).parents[2] / "topologies/triangle.yaml")


def test_a_folder_that_can_not_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SecretsError, match="file/below can't be made: Not a directory") as caught:
        StateFolder(tmp_path / "file" / "below").ensure()
    assert "--state-dir" in caught.value.advice


def test_a_file_that_can_not_be_written_or_read(tmp_path: Path) -> None:
    state = StateFolder(tmp_path / "state")
    state.write_secret("x", b"old")
    (state.path / "ca.pem").mkdir(mode=0o700)
    with pytest.raises(SecretsError, match=r"ca\.pem can't be written: Is a directory"):
        state.write_secret("ca.pem", b"new")
    with pytest.raises(SecretsError, match=r"ca\.pem can't be read: Is a directory"):
        state.read_secret("ca.pem")
    assert state.read_secret("x") == b"old"


@pytest.mark.parametrize(
    "words",
    [
        ("bootstrap", TRIANGLE, "--yes"),
        ("verify", TRIANGLE),
        ("destroy", TRIANGLE),
        ("discover", "--host", "127.0.0.1"),
    ],
    ids=lambda words: words[0],
)
def test_no_command_takes_that_for_a_defect(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...]
) -> None:
    (tmp_path / "file").touch()
    assert run(["--state-dir", str(tmp_path / "file/below"), *words]) == 1
    said = capsys.readouterr().err
    assert "can't be made: Not a directory" in said
    assert "defect" not in said
