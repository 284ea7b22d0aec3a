"""Checks output against the JSON Schemas that the package carries."""

import json
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

import meshctl.cli

FOLDER = Path(meshctl.cli.__file__).parent / "schemas"


def check(text: str, name: str) -> dict[str, Any]:
    """The one JSON object in `text`: it names its schema first and is what that schema says."""
    found: dict[str, Any] = json.loads(text)
    assert next(iter(found)) == "schema"
    assert found["schema"] == name
    validator(name).validate(found)
    return found


def validator(name: str) -> Draft202012Validator:
    """The schema `meshctl/COMMAND/1`; all of `lab` have one."""
    _, command, version = name.split("/")
    file = "lab" if command.startswith("lab-") else command
    schema = json.loads((FOLDER / f"{file}-{version}.json").read_text())
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)
