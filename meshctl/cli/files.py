# ruff: noqa: PLC0415  (imports happen where they are needed)
"""New files that an operator asks for; what is there is never overwritten."""

from pathlib import Path
from typing import TextIO


def check_new(file: Path) -> None:
    """Raise UsageError when there is something already, or no folder for it."""
    from meshctl.errors import UsageError

    if file.exists() or not file.parent.is_dir():
        what = "is there already, and is not overwritten" if file.exists() else "can't be made: there is no such folder"
        raise UsageError(f"{file} {what}", advice="Choose another --out.")


def write_new(file: Path, text: str) -> None:
    """The whole file, or none when interrupted. Raises UsageError when it can't be written, or is there meanwhile."""
    from meshctl.errors import UsageError

    try:
        with file.open("x") as stream:
            _fill(stream, text, file)
    except OSError as error:
        raise UsageError(f"{file} can't be written: {error.strerror}", advice="Choose another --out.") from error


def _fill(stream: TextIO, text: str, file: Path) -> None:
    try:
        stream.write(text)
        stream.flush()
    except BaseException:  # Ctrl-C as well as a full disk
        file.unlink(missing_ok=True)
        raise
