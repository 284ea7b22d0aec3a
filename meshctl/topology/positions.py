"""YAML with places: the values of a document, and the line and column of each."""

import re
from dataclasses import dataclass, field
from typing import Any, ClassVar, NoReturn

import yaml

Place = tuple[int, int]
Path = tuple[str | int, ...]

MAX_DEPTH = 40
"""A topology nests five levels; anything deeper is an attack or an accident."""


class YamlFault(Exception):  # noqa: N818  (internal, always translated by the loader)
    """The text is not YAML that can be used; `place` counts from 1."""

    def __init__(self, message: str, place: Place) -> None:
        super().__init__(message)
        self.message = message
        self.place = place


@dataclass(frozen=True)
class Positioned:
    """A parsed document: `keys` has the place of each key, `values` of each value."""

    data: Any
    keys: dict[Path, Place] = field(default_factory=dict)
    values: dict[Path, Place] = field(default_factory=dict)


def parse(text: str) -> Positioned:
    """Parse one YAML document. Raises YamlFault on bad syntax, duplicate keys, anchors and tags."""
    if found := _SEPARATORS.search(text):
        _refuse(text, found.start(), f"an invisible line separator (U+{ord(found[0]):04X})")
    try:
        node = _compose(text)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise YamlFault(_sentence(error), _place(mark) if mark else (1, 1)) from error
    except yaml.reader.ReaderError as error:
        _refuse(text, error.position, f"a character that no text has (U+{error.character:04X})")
    positions = Positioned(data=None)
    data = None if node is None else _walk(node, (), positions)
    return Positioned(data, positions.keys, positions.values)


_SEPARATORS = re.compile("[\x85\u2028\u2029]")
"""YAML 1.1 ends a line here and editors don't: two people would count different lines."""


def _refuse(text: str, index: int, what: str) -> NoReturn:
    before = text[:index].replace("\r\n", "\n").replace("\r", "\n")
    place = (before.count("\n") + 1, index - max(text.rfind("\n", 0, index), text.rfind("\r", 0, index)))
    raise YamlFault(f"{what} stands here", place)


def _compose(text: str) -> yaml.Node | None:
    loader = _Loader(text)
    try:
        node: yaml.Node | None = loader.get_single_node()
    except (ValueError, OverflowError) as error:  # PyYAML's chr() of a number like "\UFFFFFFFF"
        raise YamlFault(f"a character that can't be: {error}", _place(loader.get_mark())) from error
    finally:
        loader.dispose()
    return node


class _Loader(yaml.SafeLoader):
    """SafeLoader without what can make a small file large (anchors, deep nesting) or a value something else (tags).

    Plain words are text, decimal numbers, true, false or null; so a host may be called `no`, and a MAC address of
    digits alone is no number to the base of 60.
    """

    yaml_implicit_resolvers: ClassVar[dict[str, Any]] = {}  # type: ignore[misc]
    depth = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        """As PyYAML does, refusing what a topology never has."""
        event = self.peek_event()  # type: ignore[no-untyped-call]
        place = _place(event.start_mark)
        if isinstance(event, yaml.AliasEvent) or event.anchor is not None:
            raise YamlFault("anchors and aliases (`&`, `*`) have no place in a topology", place)
        if getattr(event, "tag", None) is not None:
            raise YamlFault(f"tags have no place in a topology; found {shortened(event.tag)}", place)
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise YamlFault(f"nested more than {MAX_DEPTH} levels deep", place)
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node


for _kind, _form, _first in (
    ("bool", r"(?:true|True|TRUE|false|False|FALSE)\Z", "tTfF"),
    ("null", r"(?:~|null|Null|NULL|)\Z", ["~", "n", "N", ""]),
    ("int", r"[-+]?(?:0|[1-9][0-9]{0,17})\Z", "-+0123456789"),
    ("float", r"[-+]?[0-9]{1,18}\.[0-9]{1,18}\Z", "-+0123456789"),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_kind}", re.compile(_form), list(_first))


def shortened(text: str, most: int = 80) -> str:
    """A text quoted for a message, cut where nobody would read on."""
    return repr(text) if len(text) <= most else f"{text[:most]!r}… ({len(text)} characters)"


def _place(mark: yaml.Mark) -> Place:
    return (mark.line + 1, mark.column + 1)


def _sentence(error: yaml.MarkedYAMLError) -> str:
    said = " ".join(part for part in (error.context, error.problem) if part)
    return said if len(said) <= _LONGEST else f"{said[:_LONGEST]}…"


_LONGEST = 300


def _walk(node: yaml.Node, path: Path, found: Positioned) -> Any:
    place = (node.start_mark.line + 1, node.start_mark.column + 1)
    found.values[path] = place
    if isinstance(node, yaml.MappingNode):
        return _mapping(node, path, found)
    if isinstance(node, yaml.SequenceNode):
        return [_walk(item, (*path, i), found) for i, item in enumerate(node.value)]
    return _scalar(node)


def _scalar(node: yaml.Node) -> Any:
    loader = _Loader("")
    try:
        return loader.construct_object(node)
    finally:
        loader.dispose()


def _mapping(node: yaml.MappingNode, path: Path, found: Positioned) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for key_node, value_node in node.value:
        place = (key_node.start_mark.line + 1, key_node.start_mark.column + 1)
        if not isinstance(key_node, yaml.ScalarNode):
            raise YamlFault("a key must be a plain word", place)
        key = str(key_node.value)
        if key in result:
            raise YamlFault(f"the key {shortened(key)} stands here a second time", place)
        found.keys[(*path, key)] = place
        result[key] = _walk(value_node, (*path, key), found)
    return result
