"""What `plan` prints, from a preview made by hand."""

import json

from meshctl.cli.diffs import as_json, lines, overview
from meshctl.events import Change
from meshctl.preview import Preview, Unknown
from meshctl.roles.base import Problem
from tests.unit.cli.schemas import check

DIFF = "--- a/etc/x\n+++ b/etc/x\n@@ -1 +1 @@\n-old\n+new\n"
PREVIEW = Preview(
    changes=(
        Change("frr@node2", "node2", "file", "/etc/x", "content differs", DIFF),
        Change("frr@node2", "node2", "service", "systemctl reload frr", "OSPF differs"),
        Change("smoke@node1", "node1", "command", "sh -c " + "x" * 300, "does it work?"),
    ),
    unknown=(Unknown("ovn@node1", "node1", "no socket", ("frr@node2", "system@node2")),),
    problems=(("preflight.verify", Problem("node3", "no disk", "/dev/sdb", "nothing", advice="Plug it in.")),),
)


def plain(*, whole: bool = False, preview: Preview = PREVIEW) -> list[str]:
    return list(lines(preview, style=lambda text, _colour: text, whole=whole))


def test_json_matches_its_schema() -> None:
    printed = json.dumps({"schema": "meshctl/plan/1", **as_json(PREVIEW)})
    report = check(printed, "meshctl/plan/1")
    assert report["summary"] == {"hosts": 2, "changes": 3}
    assert report["changes"][0]["diff"] == DIFF
    assert report["changes"][1]["command"] == "systemctl reload frr"


def test_text_shows_diffs_reasons_and_what_is_unknown() -> None:
    text = plain()
    assert text[:3] == ["frr@node2", "  file  /etc/x", "    --- a/etc/x"]
    assert "    because: OSPF differs" in text
    assert "  ovn@node1: more may follow frr@node2 and 1 other step" in text
    assert "preflight.verify on node3: no disk" in text
    assert text[-1] == "3 changes on 2 hosts; 1 step can't be known in full yet; 1 problem to be mended first"


def test_long_commands_are_cut_unless_asked_for() -> None:
    assert max(map(len, plain())) < 120
    assert any("x" * 300 in line for line in plain(whole=True))


def test_diffs_are_coloured_like_git_diff() -> None:
    styled = list(lines(PREVIEW, style=lambda text, colour: f"<{colour}>{text}"))
    assert {"    <red>-old", "    <green>+new", "    <cyan>@@ -1 +1 @@"} <= set(styled)


def test_nothing_to_do_is_one_sentence() -> None:
    assert plain(preview=Preview((), (), ())) == ["Nothing to do: every host is as the topology says."]


def shown(preview: Preview, *hosts: str) -> list[str]:
    return list(overview(preview, hosts, style=lambda text, _colour: text, more="meshctl plan t.yaml"))


TABLE = """\
  frr       node2  1 file, 1 service
  smoke     node1  1 command
  in total  node1  1 command
            node2  1 file, 1 service"""


def test_overview_counts_by_layer_and_host() -> None:
    assert shown(PREVIEW, "node1", "node2", "node3") == [
        "What would change:",
        TABLE,
        "  Each of them, with the reason: meshctl plan t.yaml",
        "Known only after these changes, what else: ovn",
        "In the way: preflight.verify on node3: no disk",
    ]


def test_overview_says_the_same_of_several_hosts_once() -> None:
    changes = tuple(Change(f"frr@{node}", node, "file", f"/etc/{n}", "") for node in ("a", "b") for n in (1, 2))
    assert "  frr       every host  2 files" in shown(Preview(changes, (), ()), "a", "b")[1]
    assert "  frr       a, b  2 files" in shown(Preview(changes, (), ()), "a", "b", "c")[1]


def test_overview_of_a_cluster_that_is_only_ill() -> None:
    (line,) = shown(Preview((), (), ()), "a")
    assert line.startswith("Nothing has to be changed, but not every layer is healthy")
