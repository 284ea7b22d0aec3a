from pathlib import Path

import jsonschema
import pytest
import yaml

from meshctl.topology.reference import json_schema, lint_page, markdown

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize("file", sorted((ROOT / "topologies").glob("*.yaml")), ids=lambda file: file.stem)
def test_examples_match_the_schema(file: Path) -> None:
    jsonschema.Draft202012Validator(json_schema()).validate(yaml.safe_load(file.read_text()))


@pytest.mark.parametrize("file", sorted((ROOT / "topologies").glob("*.yaml")), ids=lambda file: file.stem)
def test_editors_find_the_schema(file: Path) -> None:
    first = file.read_text().splitlines()[0]
    assert first.startswith("# yaml-language-server: $schema=")
    assert (file.parent / first.partition("=")[2]).exists()


def test_schema_refuses_unknown_keys() -> None:
    document = yaml.safe_load((ROOT / "topologies/triangle.yaml").read_text()) | {"clustr": 1}
    with pytest.raises(jsonschema.ValidationError, match="clustr"):
        jsonschema.Draft202012Validator(json_schema()).validate(document)


@pytest.mark.parametrize(("page", "text"), [("topology", markdown()), ("lint", lint_page())])
def test_the_pages_are_up_to_date(page: str, text: str) -> None:
    assert (ROOT / f"docs/{page}.md").read_text() == text, "run `make docs`"
