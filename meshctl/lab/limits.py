"""Limits of the machine that all hosts of all labs share, looked at before they are hit.

A systemd that gets no inotify instance says "Failed to allocate manager object" and exits. That helps nobody.
"""

from pathlib import Path

from meshctl.lab.errors import LabError

_NAME = "fs.inotify.max_user_instances"
_LIMIT = Path("/proc/sys", *_NAME.split("."))
_PER_HOST = 10  # 8 were seen at the busiest moment of a boot, 5 to 8 afterwards
_ENOUGH = 1024


def check(hosts: int) -> None:
    """LabError with the command that helps if so many more hosts can't start."""
    allowed, used, needed = int(_LIMIT.read_text()), in_use(), hosts * _PER_HOST
    if used + needed > allowed:
        raise LabError(
            f"{hosts} more hosts need {needed} inotify instances; root may have {allowed} and has {used}",
            advice=f"Take another lab down, or run: sysctl -w {_NAME}={max(_ENOUGH, 2 * allowed)}",
        )


def in_use() -> int:
    """Inotify instances of root's processes, those of all labs included."""
    return sum(_of_process(process) for process in Path("/proc").glob("[0-9]*"))


def _of_process(process: Path) -> int:
    try:
        if process.stat().st_uid:
            return 0
        return sum(1 for f in (process / "fd").iterdir() if str(f.readlink()) == "anon_inode:inotify")
    except OSError:  # it ended meanwhile
        return 0
