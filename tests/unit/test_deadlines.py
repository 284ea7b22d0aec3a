"""Nothing that meshctl asks a host can take for ever: every way to a host has a deadline, and nobody goes around it.

That the deadlines are kept, on the host and by the controller, is for `tests/ssh`; that daemons which hang are met by
them, for `tests/lab/test_failures.py`.
"""

import ast
import functools
import inspect
from collections.abc import Iterator
from pathlib import Path

import pytest

from meshctl.host import dryrun, fake, remembering, ssh, views
from meshctl.host.base import QUERY_TIMEOUT, RUN_TIMEOUT, Host

ROOT = Path(__file__).parents[2]
ABOVE = sorted(
    path
    for folder in ("meshctl", "roles")
    for path in (ROOT / folder).rglob("*.py")
    if not path.is_relative_to(ROOT / "meshctl" / "lab")
)
HOSTS = (Host, ssh.SshHost, dryrun.DryRunHost, remembering.RememberingHost, views.ReadOnlyHost, views.RecordingHost)
WAITS = {"query", "run", "safeguard", "until", "timeout", "wait_for"}
NO_HOST = ("meshctl/host/", "meshctl/cli/reach.py", "meshctl/executor.py")
"""The layer that keeps the deadlines (`tests/ssh`), the operator's key press, and steps, which end by their own."""


@pytest.mark.parametrize("host", [*HOSTS, fake.FakeHost], ids=lambda host: host.__name__)
@pytest.mark.parametrize(("method", "longest"), [("query", QUERY_TIMEOUT), ("run", RUN_TIMEOUT)])
def test_every_host_has_a_deadline_by_itself(host: type[Host], method: str, longest: float) -> None:
    timeout = inspect.signature(getattr(host, method)).parameters["timeout"]
    assert 0 < timeout.default <= longest


def test_a_wait_must_name_its_deadline() -> None:
    assert inspect.signature(Host.until).parameters["timeout"].default is inspect.Parameter.empty


@functools.cache
def program() -> tuple[tuple[str, ast.AST], ...]:
    """Every call and every list of the program with its place; read once."""
    trees = ((path.relative_to(ROOT), ast.parse(path.read_text())) for path in ABOVE)
    return tuple(
        (f"{path}:{node.lineno}", node)
        for path, tree in trees
        for node in ast.walk(tree)
        if isinstance(node, ast.Call | ast.List)
    )


def methods() -> Iterator[tuple[str, ast.Call, ast.Attribute]]:
    for place, call in program():
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute):
            yield place, call, call.func


def nothing(value: ast.expr) -> bool:
    return isinstance(value, ast.Constant) and not value.value


def test_nobody_turns_a_deadline_off() -> None:
    endless = []
    for place, call, method in methods():
        if method.attr in WAITS:
            given = [word.value for word in call.keywords if word.arg in {"timeout", "seconds"}]
            given += call.args if method.attr in {"timeout", "wait_for"} else []
            endless += [place] * any(nothing(value) for value in given)
    assert not endless


def test_above_the_hosts_nobody_waits_for_an_event_or_a_process() -> None:
    """`x.wait()` and `.communicate()` have no deadline; `asyncio.wait(…, timeout=…)` has."""
    assert not [
        place
        for place, call, method in methods()
        if method.attr in {"communicate", "wait"} and not call.keywords and not place.startswith(NO_HOST)
    ]


def test_above_the_hosts_nobody_sleeps() -> None:
    """Polling is for `Host.until`, which ends."""
    assert not [
        place
        for place, call, method in methods()
        if method.attr == "sleep"
        and not place.startswith(("meshctl/host/", "meshctl/cli/"))
        and not nothing(call.args[0])
    ]


def test_roles_ask_ceph_only_where_it_gives_up() -> None:
    """The `ceph` command waits 300 s for a quorum; `ceph-ask` (meshctl/roles/ceph.py) gives up after seconds.

    `ceph daemon` asks a daemon of the host, which needs no quorum.
    """
    assert not [
        place
        for place, argv in program()
        if isinstance(argv, ast.List)
        and place.startswith("roles/")
        and [word.value for word in argv.elts[:1] if isinstance(word, ast.Constant)] == ["ceph"]
        and not any(limit in ast.unparse(argv) for limit in ("--connect-timeout", "'daemon'"))
    ]
