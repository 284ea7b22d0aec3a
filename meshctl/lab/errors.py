"""What can go wrong in the rehearsal lab."""

from collections.abc import Sequence

from meshctl.errors import MeshctlError


class LabError(MeshctlError):
    """The lab can't do what was asked; nothing outside the lab was changed."""


class ToolError(LabError):
    """A program that the lab started on this machine failed."""

    def __init__(self, argv: Sequence[str], status: int, said: str) -> None:
        self.argv = tuple(argv)
        self.status = status
        tail = " / ".join(said.strip().splitlines()[-4:]) or "and printed nothing"
        super().__init__(f"`{' '.join(argv)}` exited with {status}: {tail}")


class LabTimeout(LabError):  # noqa: N818  (same word as CommandTimeout)
    """Something in the lab did not happen before its deadline."""

    def __init__(self, what: str, seconds: float, *, seen: str = "", advice: str = "") -> None:
        self.what = what
        tail = f"; last seen: {seen}" if seen else ""
        super().__init__(f"waited {seconds:g} s for {what}{tail}", advice=advice)
