"""What changed between two versions: the semantic part, the texts side by side, the marks in the graph."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from lifecycle.app.kit.render import make_kit
from lifecycle.app.kit.spec import text_diff as side
from lifecycle.app.kit.spec.graph_view import graph_view
from lifecycle.app.kit.spec.highlight import highlight, plain_lines
from lifecycle.app.kit.spec.spec_diff_view import spec_diff_view
from lifecycle.app.kit.spec.text_diff import text_diff
from lifecycle.spec import PipelineSpec
from tests.lifecycle.life import make_spec

SCRIPT = "<script>alert(1)</script>"
SHOW = '{% from "parts/spec_diff.html" import spec_diff %}{{ spec_diff(view) }}'


def shown(before: PipelineSpec | None, after: PipelineSpec) -> str:
    kit = make_kit(())
    return kit.templates.from_string(SHOW).render(view=spec_diff_view(before, after))


def changed(spec: PipelineSpec, **nodes: dict[str, Any]) -> PipelineSpec:
    """The spec with fields of some nodes changed."""
    data = spec.model_dump(by_alias=True)
    for node in data["nodes"]:
        node.update(nodes.get(node["id"], {}))
    return PipelineSpec.model_validate(data)


def test_equal_versions_say_so() -> None:
    view = spec_diff_view(make_spec(), make_spec())
    assert view.is_empty
    assert "versions are identical" in shown(make_spec(), make_spec())


def test_what_changed_is_counted_marked_and_listed() -> None:
    before = make_spec(tables=("flights.daily", "flights.late"))
    after = make_spec(rows=2, tables=("flights.daily",), description="shorter")
    view = spec_diff_view(before, after)
    assert [count.text for count in view.counts] == [
        "2 nodes removed", "1 node changed", "2 edges removed", "1 pipeline field changed",
    ]  # fmt: skip
    assert {node.id: node.mark for node in view.graph.nodes} == {
        "raw": "", "delays": "changed", "sink0": "", "sink1": "removed",
    }  # fmt: skip
    assert [edge.mark for edge in view.graph.edges].count("removed") == 1
    assert [(part.name, part.change) for part in view.parts] == [
        ("", "changed"), ("checks1", "removed"), ("delays", "changed"), ("sink1", "removed"),
    ]  # fmt: skip
    html = shown(before, after)
    # Not by colour alone: a sign and a word.
    assert '<span class="change removed"><span aria-hidden="true">−</span> 2 nodes removed</span>' in html
    assert "sink1, overwrite sink, flights.late, 1 blocking check, removed" in html


def test_a_changed_check_is_found_by_its_name_and_marks_what_it_checks() -> None:
    before = make_spec()
    check = {"kind": "row_count", "min": 5, "name": "some", "severity": "warn"}
    after = changed(before, checks0={"checks": [check]})
    view = spec_diff_view(before, after)
    (part,) = view.parts
    assert {one.field: (one.before, one.after) for one in part.fields} == {
        "checks.some.min": ("1", "5"), "checks.some.severity": ("blocking", "warn"),
    }  # fmt: skip
    (sink,) = [node for node in view.graph.nodes if node.id == "sink0"]
    assert (sink.mark, sink.anchor, sink.warn, sink.blocking) == ("changed", "checks0", 1, 0)
    assert 'href="#node-checks0"' in shown(before, after)


def test_a_first_release_is_all_new() -> None:
    view = spec_diff_view(None, make_spec())
    assert view.is_first
    assert {part.change for part in view.parts} == {"added"}
    assert "This is the first version" in shown(None, make_spec())


def test_nothing_in_a_spec_becomes_markup() -> None:
    sql = f"SELECT '{SCRIPT}' AS a, \"<img src=x onerror=alert(1)>\" -- {SCRIPT}\nFROM raw"
    fields: dict[str, Any] = {"description": SCRIPT, "tags": {SCRIPT: SCRIPT}}
    fields["parameters"] = {"p": {"type": "string", "default": SCRIPT, "description": SCRIPT}}
    evil = changed(
        make_spec(**fields), delays={"sql": sql}, sink0={"properties": {SCRIPT: "\"'><svg/onload=alert(1)>"}}
    )
    for html in (shown(None, evil), shown(make_spec(), evil), shown(evil, make_spec())):
        assert "&lt;script&gt;" in html
        assert "<script" not in html
        assert "<img" not in html
        assert "<svg/onload" not in html


def test_unchanged_lines_are_folded_and_counted() -> None:
    before = "\n".join(f"line {number}" for number in range(100))
    found = text_diff(before, before.replace("line 50", "other"), "sql")
    assert [(block.folded, len(block.rows)) for block in found.blocks] == [
        (True, 47), (False, 3), (False, 1), (False, 3), (True, 46),
    ]  # fmt: skip
    assert (found.added, found.removed, found.note) == (1, 1, "")


TEXTS = st.lists(st.sampled_from(["a", "b", "SELECT 'x", "/* c", "d */", ""]), max_size=15).map("\n".join)


@given(TEXTS, TEXTS)
def test_both_texts_can_be_read_off_the_rows(before: str, after: str) -> None:
    rows = [row for block in text_diff(before, after, "sql").blocks for row in block.rows]
    left = [row.left_text.striptags() for row in rows if row.left is not None]
    right = [row.right_text.striptags() for row in rows if row.right is not None]
    squeezed = [
        [" ".join(line.split()) for line in plain_lines(text).split("\n")] if text else [] for text in (before, after)
    ]
    assert [left, right] == squeezed
    assert [row.left for row in rows if row.left is not None] == list(range(1, len(left) + 1))


@given(st.text())
def test_the_highlighter_keeps_the_lines(text: str) -> None:
    for language in ("sql", "python", "yaml", "text"):
        lines = highlight(text, language)
        assert len(lines) == plain_lines(text).count("\n") + 1


def test_texts_that_cannot_be_aligned_in_time_are_shown_and_said(monkeypatch: Any) -> None:
    monkeypatch.setattr(side, "MAX_PAIRS", 10)
    monkeypatch.setattr(side, "MAX_LINES", 8)
    same = ["same"] * 3
    before, after = "\n".join([*same, *"abcde"]), "\n".join([*same, *"vwxyz"])
    found = text_diff(before, after, "")
    assert "too many differences" in found.note
    assert (found.added, found.removed) == (5, 5)
    assert "4 more lines are not shown" in text_diff(before, after + "\n1\n2\n3\n4", "").note


def test_only_ends_of_lines_are_a_difference_that_is_said() -> None:
    assert text_diff("a\r\nb", "a\nb", "").note == "only the line endings differ"


def test_more_nodes_than_can_be_read_are_a_list_or_a_part() -> None:
    tables = tuple(f"flights.t{number}" for number in range(120))
    spec = make_spec(tables=tables)
    whole = graph_view(spec)
    assert whole.nodes == ()
    assert len(whole.listed) == 122
    assert "too many to draw" in whole.note
    part = graph_view(spec, around="raw")
    assert len(part.nodes) == 100
    assert "100 of 122" in part.note
    view = spec_diff_view(spec, make_spec(tables=tables, rows=2))
    assert {node.id: node.mark for node in view.graph.nodes}["delays"] == "changed"
    assert len(view.graph.nodes) == 100
