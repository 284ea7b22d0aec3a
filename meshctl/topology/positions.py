"""YAML with places: the values of a document, and the line and column of each."""

from dataclasses import dataclass, field
from typing import Any

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
    """Parse one YAML document. Raises YamlFault on bad syntax, duplicate keys, anchors and custom tags."""
    try:
        node = yaml.compose(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise YamlFault(_sentence(error), (mark.line + 1, mark.column + 1) if mark else (1, 1)) from error
    except (yaml.YAMLError, RecursionError) as error:
        raise YamlFault(f"not YAML: {error}".splitlines()[0], (1, 1)) from error
    found = Positioned(data=None)
    data = None if node is None else _walk(node, (), found)
    return Positioned(data, found.keys, found.values)


class _Loader(yaml.SafeLoader):
    """SafeLoader that keeps `no`, `on` and dates as text, so that a host may be called `no`."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, regex) for tag, regex in resolvers if tag.rsplit(":", 1)[1] in {"int", "float", "null", "merge"}]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
for _first in "tTfF":
    _Loader.yaml_implicit_resolvers.setdefault(_first, []).extend(
        (tag, regex) for tag, regex in yaml.SafeLoader.yaml_implicit_resolvers.get(_first, []) if tag.endswith(":bool")
    )


def _sentence(error: yaml.MarkedYAMLError) -> str:
    return " ".join(part for part in (error.context, error.problem) if part)


def _walk(node: yaml.Node, path: Path, found: Positioned) -> Any:
    place = (node.start_mark.line + 1, node.start_mark.column + 1)
    found.values[path] = place
    if len(path) > MAX_DEPTH:
        raise YamlFault(f"nested more than {MAX_DEPTH} levels deep", place)
    if isinstance(node, yaml.MappingNode):
        return _mapping(node, path, found)
    if isinstance(node, yaml.SequenceNode):
        return [_walk(item, (*path, i), found) for i, item in enumerate(node.value)]
    return _scalar(node, place)


def _scalar(node: yaml.Node, place: Place) -> Any:
    loader = _Loader("")
    try:
        return loader.construct_object(node)
    except (yaml.YAMLError, ValueError, OverflowError) as error:
        raise YamlFault(f"{node.value!r} can't be read: {error}".splitlines()[0], place) from error
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
            raise YamlFault(f"the key {key!r} stands here a second time", place)
        found.keys[(*path, key)] = place
        result[key] = _walk(value_node, (*path, key), found)
    return result
