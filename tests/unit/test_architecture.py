"""The table of layers in docs/architecture.md is the one of the code."""

import re
from pathlib import Path

from meshctl.roles.discovery import discover

ROW = re.compile(r"^    ([a-z_]+) +(-|[a-z_]+(?:, [a-z_]+)*)  ", re.MULTILINE)


def test_the_table_has_every_role_with_what_it_needs() -> None:
    text = (Path(__file__).parents[2] / "docs/architecture.md").read_text()
    table = text[text.index("## The layers") : text.index("Each role's README")]
    stated = {name: frozenset() if needs == "-" else frozenset(needs.split(", ")) for name, needs in ROW.findall(table)}
    stated.pop("layer")
    assert stated == {name: role.needs for name, role in discover().items()}
