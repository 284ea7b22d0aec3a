from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from meshctl.errors import ParseError
from meshctl.roles.parsing import fits, parser, understand


@dataclass(frozen=True)
class Fact:
    name: str
    sizes: tuple[int, ...] = ()
    label: str | None = None


@parser
def fact(data: Any) -> Fact:
    return Fact(data["name"], tuple(data["sizes"]), data.get("label"))


def test_facts_come_through() -> None:
    assert fact({"name": "x", "sizes": [1, 2]}) == Fact("x", (1, 2))


@pytest.mark.parametrize(
    "data",
    [
        *({}, [], None, 5, {"name": "x"}, {"name": 5, "sizes": []}, {"name": "x", "sizes": ["1"]}),
        *({"name": "x", "sizes": [True]}, {"name": "x", "sizes": 1}, {"name": "x", "sizes": [], "label": 1}),
    ],
)
def test_anything_else_is_a_value_error(data: Any) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        fact(data)


@pytest.mark.parametrize(
    ("value", "kind", "expected"),
    [
        (1, float, True),
        (True, int, False),
        ("x", int | str, True),
        ({"a": [1]}, Mapping[str, list[int]], True),
        ({"a": ["1"]}, Mapping[str, list[int]], False),
        (frozenset({(1, "a")}), frozenset[tuple[int, str]], True),
        ((1, "a", 2), tuple[int, str], False),
        (None, str, False),
        (None, None, True),
    ],
)
def test_what_fits(value: Any, kind: Any, expected: bool) -> None:  # noqa: FBT001  (a parameter of the test)
    assert fits(value, kind) is expected


def test_the_error_names_host_and_command() -> None:
    with pytest.raises(
        ParseError, match=r"node1: `ceph status` should print fact in a form known here .*printed 'rubbish'"
    ):
        understand("node1", ["ceph", "status"], fact, "rubbish")
