"""The topology's reference: JSON Schema for editors, a Markdown page for people, both from the models."""

from typing import Any

from meshctl.topology.document import Document
from meshctl.topology.lint import RULES


def json_schema() -> dict[str, Any]:
    """JSON Schema (2020-12) of a topology file."""
    schema = Document.model_json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "meshctl topology", **schema}


def markdown() -> str:
    """docs/topology.md: every key with its meaning and default."""
    schema = Document.model_json_schema()
    sections = [_section("The file", schema, schema)]
    sections += [_section(_title(name), part, schema) for name, part in sorted(schema["$defs"].items())]
    return _HEAD + "\n".join(sections)


def lint_page() -> str:
    """docs/lint.md: every rule with its reason."""
    rules = sorted(RULES, key=lambda one: (one.severity, one.id))
    parts = [f"## {one.id}\n\n{one.severity.capitalize()}. **{one.sentence}** {one.why}\n" for one in rules]
    return _LINT_HEAD + "\n".join(parts)


_LINT_HEAD = """# Lint rules

Generated from `meshctl/topology/lint/` by `make docs`; don't edit. `meshctl validate FILE` names
the rule in brackets behind each finding. Errors make a topology unusable (exit code
3); warnings are shown and nothing more.

"""

_HEAD = """# The topology file

Generated from the models in `meshctl/topology/document.py` by `make docs`; don't edit. `topologies/` has examples,
`meshctl schema` prints the same as JSON Schema, `meshctl validate FILE` checks a file.

Unknown keys are errors. A node's number gives its addresses: the stated `id`, else the number its name ends in (when
every name ends in a different one), else its place in the file. The /30 of a cable follows from the numbers of its two
nodes, so that another cable or node never renumbers it.

"""


def _section(title: str, part: dict[str, Any], schema: dict[str, Any]) -> str:
    rows = ["| key | type | default | meaning |", "|---|---|---|---|"]
    required = set(part.get("required", ()))
    for key, value in part.get("properties", {}).items():
        default = "required" if key in required else _default(value)
        meaning = value.get("description") or _meaning(value, schema)
        rows.append(f"| `{key}` | {_type(value)} | {default} | {meaning} |".replace("| |", "|  |"))
    text = (part.get("description") or "").splitlines()
    return f"## {title}\n\n{text[0] if text else ''}\n\n" + "\n".join(rows) + "\n"


def _title(model: str) -> str:
    return model.removesuffix("Section")


def _meaning(value: dict[str, Any], schema: dict[str, Any]) -> str:
    name = _reference(value)
    return str(schema["$defs"][name].get("description", "")).splitlines()[0] if name else ""


def _reference(value: dict[str, Any]) -> str:
    options = [value, *value.get("anyOf", ()), *value.get("allOf", ())]
    names = [option["$ref"].rsplit("/", 1)[1] for option in options if "$ref" in option]
    return names[0] if names else ""


def _default(value: dict[str, Any]) -> str:
    if "default" not in value or value["default"] is None or isinstance(value["default"], dict):
        return "—"
    return f"`{value['default']}`"


def _type(value: dict[str, Any]) -> str:
    if "anyOf" in value:
        return " or ".join(_type(option) for option in value["anyOf"] if option.get("type") != "null")
    if "$ref" in value:
        name = _title(_reference(value))
        return f"[{name}](#{name.lower()})"
    if "enum" in value:
        return ", ".join(f"`{choice}`" for choice in value["enum"])
    if value.get("type") == "array":
        return f"list of {_type(value['items'] if 'items' in value else value['prefixItems'][0])}"
    if value.get("type") == "object":
        values = [value.get("additionalProperties"), *value.get("patternProperties", {}).values()]
        return f"name → {_type(next(v for v in values if v))}"
    return str(value.get("format") or value.get("const") or value.get("type", "any"))
