"""The parsers of every role, of certify and of discover: whatever a command prints, typed facts or a ValueError.

They are discovered: every public function of a `parse.py` whose parameters are text, or JSON that was read already,
and what is marked as a parser in a role's other modules.
"""

import importlib
import inspect
import json
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshctl.roles.discovery import discover
from meshctl.roles.parsing import fits
from tests.fuzz.budget import budget, no_hang
from tests.fuzz.mutations import damaged, garbled

Parser = Callable[..., Any]
ROLES = Path(__file__).resolve().parents[1] / "roles"
ELSEWHERE = ("incus_network.nb", "incusapi", "ceph", "distributions", "disks", "fsid", "units")
"""Modules with parsers beside the roles' `parse.py`."""

BESIDE = ("certify", "discover")
"""Packages beside the roles that have a `parse.py`; their captured output is in tests/unit."""

NO_PARSER = {
    *("ceph_config.parse.render_keyring", "ceph_osd.parse.memory_target", "incus_storage.parse.placeholder"),
    *("pki.parse.fault", "pki.parse.issuer_of", "pki.parse.holds", "pki.parse.in_common"),
    *("incus_network.nb.command", "incus_network.nb.connection"),
}
"""What reads no output: their parameters are facts already."""

ALSO: dict[Any, tuple[Any, ...]] = {
    Mapping[str, int]: ({}, {"eth1": 2, "eth2": 3}, {"lo": 1}),
    Collection[str]: ((), ("eth1", "eth2"), ("lo",)),
}
"""Parameters that are neither text nor JSON."""


def modules() -> Iterator[tuple[str, ModuleType]]:
    for role in discover():
        name = f"{role}.parse"
        if (ROLES.parents[1] / "roles" / role / "parse.py").exists():
            yield name, importlib.import_module(f"meshctl.roles.{name}")
        for ability in ("status", "absence", "removal"):
            if (ROLES.parents[1] / "roles" / role / f"{ability}.py").exists():
                yield f"{role}.{ability}", importlib.import_module(f"meshctl.roles.{role}.{ability}")
    for name in BESIDE:
        yield f"{name}.parse", importlib.import_module(f"meshctl.{name}.parse")
    for name in ELSEWHERE:
        yield name, importlib.import_module(f"meshctl.roles.{name}")


def found() -> dict[str, Parser]:
    parsers = {}
    for module_name, module in modules():
        for name, value in vars(module).items():
            own = inspect.isfunction(value) and value.__module__ == module.__name__ and not name.startswith("_")
            if own and f"{module_name}.{name}" not in NO_PARSER and _reads(value, module_name):
                parsers[f"{module_name}.{name}"] = value
    return parsers


def _reads(function: Parser, module: str) -> bool:
    """In `parse.py` every function has to be a parser or be named above; elsewhere those that look like one."""
    if module.rpartition(".")[2] in {"status", "absence", "removal"}:
        return hasattr(function, "__wrapped__")  # by @parser
    kinds = _parameters(function)
    known = all(kind in {str, bytes, Any} or kind in ALSO for kind in kinds)
    return module.endswith(".parse") or (bool(kinds) and known and not inspect.iscoroutinefunction(function))


def _parameters(function: Parser) -> list[Any]:
    return [kind for name, kind in get_type_hints(function).items() if name != "return"]


PARSERS = {
    name: parser
    for name, parser in found().items()
    if name not in {"incusapi.query", "ceph.mon_socket", "distributions.find"}
}


def captured(owner: str) -> list[bytes]:
    folder = (ROLES.parent / "unit" if owner in BESIDE else ROLES) / owner / "data"
    texts = [path.read_bytes() for path in sorted(folder.glob("*")) if path.is_file()]
    return texts or EVERYTHING


def _all() -> list[bytes]:
    return [path.read_bytes() for path in sorted(ROLES.glob("*/data/*")) if path.is_file()]


EVERYTHING = _all()
DEEP = (
    "[" * 100_000,
    '{"a":' * 100_000,
    "[[]]",
    "null",
    "{}",
    "[{}]",
    "[[{}]]",
    '"x"',
    "0",
    "",
    "\n",
    "=",
    ":",
    "a b c",
)


def decoded(content: bytes) -> str:
    """As a host's output comes to a parser."""
    return content.decode("utf-8", "replace")


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


@st.composite
def output(draw: st.DrawFn, contents: list[bytes]) -> str:
    """Captured output, garbled as text or, when it is JSON (or has a JSON document in each line), damaged as such."""
    content = draw(st.sampled_from(contents))
    lines = [_json(line) for line in decoded(content).splitlines()]
    whole = _json(decoded(content))
    act = draw(st.sampled_from(("json", "json", "bytes", "as it is", "odd")))
    if act == "json" and whole is not None:
        return json.dumps(draw(damaged(whole)))
    if act == "json" and all(line is not None for line in lines):
        at = draw(st.integers(0, len(lines) - 1)) if lines else 0
        return "\n".join(json.dumps(draw(damaged(line)) if i == at else line) for i, line in enumerate(lines))
    if act == "odd":
        return draw(st.one_of(st.sampled_from(DEEP), st.text(max_size=200)))
    return decoded(content if act == "as it is" else draw(garbled(content)))


def argument(kind: Any, contents: list[bytes]) -> st.SearchStrategy[Any]:
    if kind is str:
        return output(contents)
    if kind is bytes:
        return st.one_of(st.sampled_from(contents), st.binary(max_size=300), st.sampled_from(contents).flatmap(garbled))
    if kind is Any:
        values = [value for value in (_json(decoded(content)) for content in contents) if value is not None]
        return st.sampled_from(values).flatmap(damaged)
    return st.sampled_from(ALSO[kind])


def examine(parser: Parser, arguments: list[Any]) -> bool:
    """Whether the parser understood it; fails when it neither did nor said so."""
    with no_hang():
        try:
            result = parser(*arguments)
        except ValueError as error:
            assert str(error)  # noqa: PT017  (either outcome is fine)
            return False
    assert fits(result, get_type_hints(parser)["return"]), f"{result!r} is not what {parser.__name__} promises"
    return True


def understood(parser: Parser, contents: list[bytes]) -> list[bytes]:
    """The captured outputs that are this parser's own."""
    kinds = _parameters(parser)
    if kinds[0] not in {str, Any} or len(kinds) > 1:
        return contents
    given = [decoded(content) if kinds[0] is str else _json(decoded(content)) for content in contents]
    return [
        content for content, value in zip(contents, given, strict=True) if value is not None and _accepts(parser, value)
    ]


def _accepts(parser: Parser, value: Any) -> bool:
    try:
        return bool(parser(value))
    except ValueError:
        return False


@pytest.mark.parametrize("name", PARSERS)
def test_parser_keeps_its_promise(name: str) -> None:
    parser, contents = PARSERS[name], captured(name.split(".", maxsplit=1)[0])
    own = understood(parser, contents) or contents

    @given(st.tuples(*(st.one_of(argument(kind, own), argument(kind, contents)) for kind in _parameters(parser))))
    @budget(25)
    def fuzz(arguments: tuple[Any, ...]) -> None:
        examine(parser, list(arguments))

    fuzz()


def test_there_are_parsers() -> None:
    assert len(PARSERS) > 50
