"""Wrong documents made from right ones: of structures, and of bytes."""

import copy
from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st

ODD: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1 << 31, 1 << 63, 10**30, 1.5, 1e308, float("inf"), float("nan")),
    *("", " ", "x", "-x", "../..", "a\nb", "\t", "\ufeff", "\x7f", "\u2028", "\x85", "é" * 30, "x" * 5000, "9" * 5000),
    *(
        "0x" + "f" * 9000,
        "1:2:3",
        "~",
        "null",
        "no",
        "1e999",
        ".nan",
        "255.255.255.255/0",
        "0.0.0.0/0",
        "::1",
        "1.2.3.4/33",
    ),
    *("node1:eth1 <-> node2:eth2", "{{ 7*7 }}", "%s", "$(reboot)", "\U0001f4a3", "node1", "id", [], {}, [[]], {"": ""}),
    *({"a": {"b": {"c": 1}}}, [None], [1, "x"], {"x" * 300: 1}, ["node1"] * 300),
)
"""Values that somebody will put where they don't belong."""

Where = tuple[str | int, ...]


def places(data: Any, where: Where = ()) -> list[Where]:
    """The paths of everything in a document."""
    below: list[tuple[str | int, Any]] = []
    if isinstance(data, dict):
        below = list(data.items())
    elif isinstance(data, list):
        below = list(enumerate(data[:20]))
    return [where, *(place for key, value in below for place in places(value, (*where, key)))]


def _replace(parent: Any, key: Any, odd: Any) -> None:
    parent[key] = odd


def _drop(parent: Any, key: Any, odd: Any) -> None:
    del parent[key]


def _rename(parent: Any, key: Any, odd: Any) -> None:
    if isinstance(parent, dict):
        parent[str(odd)[:400]] = parent.pop(key)


def _double(parent: Any, key: Any, odd: Any) -> None:
    if isinstance(parent, list):
        parent.append(copy.deepcopy(parent[key]))
    else:
        parent[f"{key}2"] = copy.deepcopy(parent[key])


def _wrap(parent: Any, key: Any, odd: Any) -> None:
    parent[key] = [parent[key]]


def _unwrap(parent: Any, key: Any, odd: Any) -> None:
    value = parent[key]
    if isinstance(value, list | dict) and value:
        parent[key] = next(iter(value.values())) if isinstance(value, dict) else value[0]


ACTS: tuple[Callable[[Any, Any, Any], None], ...] = (_replace, _replace, _drop, _rename, _double, _wrap, _unwrap)


@st.composite
def damaged(draw: st.DrawFn, original: Any, most: int = 4) -> Any:
    """A copy of a document with one to `most` mutations."""
    data = {"": copy.deepcopy(original)}
    for _ in range(draw(st.integers(1, most))):
        where = draw(st.sampled_from([place for place in places(data) if place] or [("",)]))
        data.setdefault("", None)
        parent: Any = data
        for key in where[:-1]:
            parent = parent[key]
        draw(st.sampled_from(ACTS))(parent, where[-1], copy.deepcopy(draw(st.sampled_from(ODD))))
    return data.get("")


BYTES = (
    *(b"\x00", b"\xff", b"\xc3", b"\xed\xa0\x80", b"\xef\xbb\xbf", b"\r", b"\r\n", b"\t", b"\xe2\x80\xa8", b"\xc2\x85"),
    *(b"&a ", b"*a", b"!!python/object:os.system ", b"!!bool ", b"<<: ", b"? ", b"- ", b": ", b"[", b"]", b"{", b"}"),
    *(b"'", b'"', b'"\\UFFFFFFFF"', b'"\\ud800"', b"|", b">", b"%", b"@", b"`", b"#", b"\n", b"---\n", b"...\n", b","),
    *(
        b"%YAML 9.9\n",
        b"0x",
        b"1:1",
        b"\\",
        b"[" * 200,
        b"{a: " * 200,
        b"- " * 200,
        b"9" * 5000,
        b"-",
        b"=",
        b";",
        b"|",
    ),
)
"""What is put between the bytes of a file."""


@st.composite
def garbled(draw: st.DrawFn, original: bytes, most: int = 6) -> bytes:
    """A file with one to `most` places inserted, cut out, overwritten or moved."""
    data = bytearray(original)
    for _ in range(draw(st.integers(1, most))):
        at = draw(st.integers(0, len(data)))
        span = draw(st.integers(0, 40))
        act = draw(st.sampled_from(("insert", "noise", "cut", "flip", "repeat", "end")))
        if act == "insert":
            data[at:at] = draw(st.sampled_from(BYTES))
        elif act == "noise":
            data[at : at + span] = draw(st.binary(max_size=8))
        elif act == "cut":
            del data[at : at + span]
        elif act == "flip" and at < len(data):
            data[at] ^= 1 << draw(st.integers(0, 7))
        elif act == "repeat":
            data[at:at] = data[at : at + span] * draw(st.integers(1, 20))
        elif act == "end":
            del data[at:]
    return bytes(data)
