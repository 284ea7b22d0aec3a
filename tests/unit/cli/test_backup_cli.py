"""`backup`: what is refused before any host is asked; what it collects is in tests/unit/lifecycle and tests/lab."""

from pathlib import Path

import pytest

from meshctl.cli.main import run
from tests.unit.cli.recorded import UNREACHABLE


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "t.yaml").write_text(UNREACHABLE)
    for name, mode in (("pass", 0o600), ("loose", 0o644)):
        (tmp_path / name).write_text("correct horse\n")
        (tmp_path / name).chmod(mode)
    (tmp_path / "empty").touch(mode=0o600)
    return tmp_path


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("", "nobody is named who could open the archive"),
        ("--to age1nonsense", "age1nonsense is no age recipient"),
        ("--passphrase-file {}/none", "No such file"),
        ("--passphrase-file {}/loose", "has mode 0644; only its owner may have access"),
        ("--passphrase-file {}/empty", "has no passphrase in its first line"),
        ("--passphrase-file {}/pass --out {}/t.yaml", "is there already, and is not overwritten"),
        ("--passphrase-file {}/pass --out {}/no/where", "there is no such folder"),
        ("--verify {}/t.yaml", "nothing is named that opens the archive"),
        ("--passphrase-file {}/pass --verify {}/t.yaml", "is not opened by this passphrase"),
        ("--passphrase-file {}/pass --verify {}/none", "can't be read: No such file"),
    ],
)
def test_wrong_words(folder: Path, words: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    given = [word.replace("{}", str(folder)) for word in words.split()]
    assert run(["--state-dir", str(folder / "state"), "backup", str(folder / "t.yaml"), *given]) == 1
    captured = capsys.readouterr()
    assert said in captured.err
    assert "connecting" not in captured.err
    assert "defect" not in captured.err
    assert captured.out == ""
