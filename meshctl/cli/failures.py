"""Any exception as sentences for the operator and an exit code (docs/cli.md)."""

import os
import tempfile
import traceback
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TextIO

import click

from meshctl.cli.exits import INTERRUPTED
from meshctl.cli.output import coloured
from meshctl.errors import MeshctlError

_AGAIN = "Whatever had begun can be taken up again: run the same command."
_DEFECT = "this is a defect of meshctl"


def report(error: BaseException, stream: TextIO, defects: Sequence[Path] | None = None) -> int:
    """Say what is wrong and what to do; returns the exit code.

    What nobody foresaw is a defect of meshctl: its trace goes to a file in the first of the `defects` folders that
    can be written, never to the operator's screen.
    """
    if isinstance(error, click.Abort | KeyboardInterrupt):
        _say(stream, "interrupted", _AGAIN)
        return INTERRUPTED
    if isinstance(error, click.ClickException):
        return _wrong_usage(error, stream)
    found = list(leaves(error))
    expected = [leaf for leaf in found if isinstance(leaf, MeshctlError)]
    for leaf in expected:
        if hasattr(leaf, "findings"):  # a TopologyError: its lines start with file:line:column, for editors
            click.echo(_encodable(str(leaf)), file=stream)
        else:
            _say(stream, str(leaf), leaf.advice)
    unexpected = [leaf for leaf in found if not isinstance(leaf, MeshctlError | click.Abort | KeyboardInterrupt)]
    if unexpected:
        _crashed(unexpected[0], error, stream, _defect_folders() if defects is None else defects)
    return max((leaf.exit_code for leaf in expected), default=1)


def document(error: BaseException) -> dict[str, Any]:
    """The same for `--output json`, where standard output has one object whatever happens."""
    found = [_wrong(leaf) for leaf in leaves(error)]
    codes = [leaf.exit_code for leaf in leaves(error) if isinstance(leaf, MeshctlError)]
    code = INTERRUPTED if isinstance(error, click.Abort) else max(codes, default=1)
    return {"ok": False, "exit_code": code, "errors": found}


def _wrong(leaf: BaseException) -> dict[str, str]:
    if isinstance(leaf, click.Abort):
        return {"host": "", "what": "interrupted", "advice": _AGAIN}
    if isinstance(leaf, click.ClickException):
        return {"host": "", "what": leaf.format_message(), "advice": ""}
    if isinstance(leaf, MeshctlError):
        return {"host": getattr(leaf, "host", ""), "what": _encodable(leaf.message), "advice": _encodable(leaf.advice)}
    return {"host": "", "what": _encodable(f"{_DEFECT}: {type(leaf).__name__}: {leaf}"), "advice": ""}


def leaves(error: BaseException) -> Iterator[BaseException]:
    """The exceptions in a group, or the one that it is."""
    if isinstance(error, BaseExceptionGroup):
        for part in error.exceptions:
            yield from leaves(part)
    else:
        yield error


def _wrong_usage(error: click.ClickException, stream: TextIO) -> int:
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        click.echo(error.format_message(), file=stream)
        return 1
    context = error.ctx if isinstance(error, click.UsageError) else None
    advice = f"`{context.command_path} --help` shows what it takes." if context else ""
    if isinstance(error, click.NoSuchOption) and error.option_name == "--lab":
        advice = "--lab stands before the command: meshctl --lab bootstrap TOPOLOGY"
    _say(stream, error.format_message(), advice)
    return 1


def _crashed(leaf: BaseException, whole: BaseException, stream: TextIO, defects: Sequence[Path]) -> None:
    where = _write_trace("".join(traceback.format_exception(whole)), defects)
    text = " ".join(str(leaf).split()) or "no message"
    advice = f"The full trace is in {where}; please report it." if where else "The trace could not be written anywhere."
    _say(stream, f"{_DEFECT}: {type(leaf).__name__}: {text[:300]}", advice)


def _defect_folders() -> tuple[Path, ...]:
    base = os.environ.get("XDG_STATE_HOME") or os.path.expanduser("~/.local/state")  # noqa: PTH111  (Path.home raises)
    return (Path(base) / "meshctl" / "defects", Path(tempfile.gettempdir()))


def _write_trace(text: str, folders: Sequence[Path]) -> Path | None:
    for folder in folders:
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
            descriptor, name = tempfile.mkstemp(".txt", f"meshctl-{stamp}-", folder, text=True)
            with os.fdopen(descriptor, "w") as file:
                file.write(text)
        except OSError:
            continue
        return Path(name)
    return None


def _say(stream: TextIO, message: str, advice: str = "") -> None:
    click.echo(f"{coloured(stream)('error:', 'red')} {_encodable(message)}", file=stream, color=True)
    for line in advice.splitlines():
        click.echo(f"  {_encodable(line)}", file=stream)


def _encodable(text: str) -> str:
    """The text without the half characters that Python makes of file names which are not UTF-8."""
    return text.encode("utf-8", "backslashreplace").decode()
