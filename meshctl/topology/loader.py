"""From a file to a Topology, or to one TopologyError that names every fault with its line."""

import difflib
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from meshctl.topology.document import Document
from meshctl.topology.errors import Finding, TopologyError
from meshctl.topology.lint import Severity, lint
from meshctl.topology.model import Topology
from meshctl.topology.positions import Path as YamlPath
from meshctl.topology.positions import Positioned, YamlFault, parse, shortened
from meshctl.topology.resolve import Fault, resolve

MAX_BYTES = 1 << 18
"""A topology of a hundred nodes has some 20 kB; PyYAML reads some 200 kB in a second."""

MOST_EXPLAINED = 500
"""Faults that are looked at; an explanation costs 40 µs, and a file of 256 kB can have 30000."""


def load(path: Path | str) -> Topology:
    """Read, check and resolve a topology file. Raises TopologyError with every finding."""
    file = Path(path)
    return loads(_read(file), file)


def loads(text: str, file: Path) -> Topology:
    """The same for text already read; `file` is only named in errors."""
    positioned = _parse(text, file)
    topology = _resolve(positioned, file)
    if errors := _lint(positioned, topology, Severity.ERROR):
        raise TopologyError(file, errors)
    return topology


def warnings(path: Path | str) -> list[Finding]:
    """What could be better about a topology file that can be used. Raises TopologyError when it can't."""
    file = Path(path)
    return warnings_of(_read(file), file)


def warnings_of(text: str, file: Path) -> list[Finding]:
    """The same for text already read; `file` is only named in errors."""
    return _lint(_parse(text, file), loads(text, file), Severity.WARNING)


def _resolve(positioned: Positioned, file: Path) -> Topology:
    document = _validate(positioned, file)
    try:
        return resolve(document, file)
    except Fault as fault:
        findings = [_finding(positioned, where, message) for where, message in fault.findings]
        raise TopologyError(file, findings) from fault


def _lint(positioned: Positioned, topology: Topology, severity: Severity) -> list[Finding]:
    return [_finding(positioned, where, message, rule.id) for rule, (where, message) in lint(topology, severity)]


def _read(file: Path) -> str:
    try:
        with file.open("rb") as stream:
            content = stream.read(MAX_BYTES + 1)
        if len(content) > MAX_BYTES:
            raise _too_large(file)
        return content.decode()
    except OSError as error:
        raise TopologyError(file, [Finding(1, 1, "", f"can't be read: {error.strerror}")]) from error
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise TopologyError(file, [Finding(line, 1, "", f"is not UTF-8 text (byte {error.start})")]) from error


def _too_large(file: Path) -> TopologyError:
    return TopologyError(file, [Finding(1, 1, "", f"larger than {MAX_BYTES} bytes: not a topology file")])


def _parse(text: str, file: Path) -> Positioned:
    if len(text) > MAX_BYTES:
        raise _too_large(file)
    try:
        positioned = parse(text)
    except YamlFault as fault:
        raise TopologyError(file, [Finding(*fault.place, "", fault.message)]) from fault
    if not isinstance(positioned.data, dict):
        message = "a topology is a mapping that starts like `cluster: NAME`"
        raise TopologyError(file, [Finding(1, 1, "", message)])
    return positioned


def _validate(positioned: Positioned, file: Path) -> Document:
    try:
        return Document.model_validate(positioned.data)
    except ValidationError as error:
        faults = error.errors(include_url=False)[:MOST_EXPLAINED]
        raise TopologyError(file, list({_explain(positioned, dict(fault)) for fault in faults})) from error


def _explain(positioned: Positioned, fault: dict[str, Any]) -> Finding:
    where = _known(positioned, fault["loc"])
    message = str(fault["msg"]).removeprefix("Value error, ")
    if fault["type"] == "extra_forbidden":
        message = _unknown_key(fault["loc"])
    elif fault["type"] == "missing":
        message = f"the key {fault['loc'][-1]!r} is missing here"
    elif not isinstance(fault["input"], dict | list):
        message = f"{message}; found {shortened(str(fault['input']))}"
    return _finding(positioned, where, message)


def _known(positioned: Positioned, loc: tuple[Any, ...]) -> YamlPath:
    """Pydantic's location without the names of union branches, cut to what the file has."""
    path: YamlPath = ()
    for part in loc:
        step = (*path, part)
        if step in positioned.values:
            path = step
    return path


def _unknown_key(loc: tuple[Any, ...]) -> str:
    known = sorted(_keys_at(loc[:-1]))
    close = difflib.get_close_matches(str(loc[-1]), known, n=1)
    hint = f"did you mean {close[0]!r}?" if close else f"known here: {', '.join(known)}"
    return f"unknown key {shortened(str(loc[-1]))}; {hint}"


def _keys_at(loc: tuple[Any, ...]) -> set[str]:
    """The keys that the model allows at a location."""
    models: list[type[BaseModel]] = [Document]
    for part in loc:
        fields = [m.model_fields[part].annotation for m in models if part in m.model_fields]
        models = [m for annotation in fields for m in _models_in(annotation)] or models
    return {key for model in models for key in model.model_fields}


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [m for arg in getattr(annotation, "__args__", ()) for m in _models_in(arg)]


def _finding(positioned: Positioned, where: YamlPath, message: str, rule: str = "") -> Finding:
    """A finding at `where`, or at the nearest thing around it that the file states."""
    while where and where not in positioned.values:
        where = where[:-1]
    place = positioned.keys.get(where) or positioned.values.get(where) or (1, 1)
    return Finding(*place, _dotted(where), message, rule)


def _dotted(where: YamlPath) -> str:
    text = ""
    for part in where:
        name = part if isinstance(part, int) or len(part) <= _LONG_NAME else f"{part[:_LONG_NAME]}…"
        text += f"[{name}]" if isinstance(name, int) else f".{name}" if text else name
    return text


_LONG_NAME = 64
