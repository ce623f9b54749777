"""The tools that write pipelines, on a real store: what they refuse, and what they save."""

from __future__ import annotations

import pytest

from agent.tools.errors import ToolError
from drls_dagster.errors import DrlsError
from lifecycle.domain.roles import Role
from lifecycle.errors import Conflict, Forbidden, NotFound
from lifecycle.spec import dump_yaml
from tests.agent.tools.conftest import READ, Hands
from tests.lifecycle.life import make_spec
from tests.lifecycle.spec.test_spec_from_sql import QUERIES

SCORED = """\
format_version: 1
name: scored
nodes:
  - {id: raw, type: source, source: {kind: iceberg, table: land.raw}}
  - {id: made, type: transform, step: spark, entrypoint: "scoring.main:score"}
  - {id: out, type: sink, table: a.scored, mode: overwrite}
edges: [{from: raw, to: made}, {from: made, to: out}]
"""
CODE = {"scoring/__init__.py": "", "scoring/main.py": "def score(spark, raw):\n    return raw  # é\n"}


def test_every_error_has_its_line_and_what_to_write_instead(hands: Hands) -> None:
    text = SCORED.replace("kind: iceberg", "kind: icebreg").replace("mode: overwrite", "mode: overwrit")
    found = hands("validate", definition=text)
    assert not found["valid"]
    assert [(one["line"], one["where"], one["instead"]) for one in found["problems"]] == [
        (4, "raw.source", "did you mean 'iceberg'?"),
        (6, "out.mode", "did you mean 'overwrite'?"),
    ]
    for text, said in (("", "the file is empty"), ("a: [", "this is not YAML"), ("[]", "not a mapping")):
        assert said in hands("validate", definition=text)["problems"][0]["message"]
    many = "\n".join(f"  - {{id: X{number}, type: sink, table: a, mode: b}}" for number in range(200))
    assert "more problems" in str(hands("validate", definition=f"format_version: 1\nname: x\nnodes:\n{many}\n"))


def test_what_validates_is_saved_under_the_same_digest(hands: Hands) -> None:
    text = dump_yaml(make_spec())
    checked = hands("validate", definition=text)
    assert checked["valid"]
    assert checked["next"] == "save_version saves it"
    assert "it has no owners: add owners, so that people know whom to ask" in checked["hints"]
    saved = hands("save_version", definition=text, message="begin")
    assert (saved["pipeline"], saved["version"], saved["digest"]) == ("flights", 1, checked["digest"])
    assert (saved["active_in"], saved["link"]) == (["development"], "https://drls.example/pipelines/flights/versions/1")
    assert hands("save_version", definition=text, message="again")["version"] == 1
    assert hands("validate", definition=text)["next"] == "v1 has this content already"


def test_code_goes_with_a_version(hands: Hands) -> None:
    missing = hands("validate", definition=SCORED)
    assert [one["where"] for one in missing["problems"]] == ["made.entrypoint"]
    assert hands("validate", definition=SCORED, code=CODE)["valid"]
    saved = hands("save_version", definition=SCORED, message="with code", code=CODE)
    assert saved["version"] == 1
    changed = {**CODE, "scoring/main.py": "def score(spark, raw):\n    return raw.limit(1)\n"}
    assert hands("save_version", definition=SCORED, message="other code", code=changed)["version"] == 2
    text = hands("diff", pipeline="scored", before=1, after=2)["text"]
    assert "+    return raw.limit(1)" in text
    for path in ("../evil.py", "/etc/evil.py", "a\x00.py", ".hidden/x.py"):
        with pytest.raises(DrlsError):
            hands("save_version", definition=SCORED, message="x", code={**CODE, path: "x = 1"})


def test_a_newer_version_is_not_saved_over(hands: Hands) -> None:
    hands("save_version", definition=dump_yaml(make_spec()), message="1")
    hands("save_version", definition=dump_yaml(make_spec(rows=2)), message="2", on=1)
    with pytest.raises(Conflict, match="newest version of flights is now v2"):
        hands("save_version", definition=dump_yaml(make_spec(rows=3)), message="3", on=1)
    with pytest.raises(NotFound, match="flights has no version 9"):
        hands("save_version", definition=dump_yaml(make_spec(rows=3)), message="3", on=9)


def test_a_key_saves_once(hands: Hands) -> None:
    first = hands("save_version", definition=dump_yaml(make_spec()), message="1", key="key-00001")
    hands("save_version", definition=dump_yaml(make_spec(rows=2)), message="2")
    again = hands("save_version", definition=dump_yaml(make_spec()), message="1", key="key-00001")
    assert again == {**first, "active_in": []}
    assert hands("get_pipeline", name="flights")["active"][0].startswith("development: v2")
    with pytest.raises(Conflict, match="use a new key"):
        hands("save_version", definition=dump_yaml(make_spec(rows=3)), message="3", key="key-00001")


def test_only_who_may_save_saves(hands: Hands) -> None:
    text = dump_yaml(make_spec())
    with pytest.raises(Forbidden, match="needs the role DataEngineer"):
        hands("validate", definition=text, by="vic")
    with pytest.raises(Forbidden):
        hands("save_version", definition=text, message="x", by="vic")
    with pytest.raises(ToolError, match="no tool save_version for this token"):
        hands("save_version", definition=text, message="x", scopes=READ)
    hands("save_version", definition=text, message="x")
    hands.world.add_somebody("tina", Role.DATA_ENGINEER, on="flights")
    assert hands("save_version", definition=dump_yaml(make_spec(rows=2)), message="x", by="tina")["version"] == 2
    with pytest.raises(Forbidden):
        hands("save_version", definition=dump_yaml(make_spec("trains")), message="x", by="tina")
    with pytest.raises(ToolError, match="validate names every problem"):
        hands("save_version", definition="name: x", message="x")


def test_a_version_is_compared_with_another_and_with_a_file(hands: Hands) -> None:
    hands("save_version", definition=dump_yaml(make_spec()), message="1")
    hands("save_version", definition=dump_yaml(make_spec(rows=2)), message="2")
    found = hands("diff", pipeline="flights", before=1, after=2)
    assert found["text"] == (
        'node delays changed\n  delays.sql: "SELECT * FROM raw LIMIT 1" -> "SELECT * FROM raw LIMIT 2"'
    )
    assert hands("diff", pipeline="flights", before=2, definition=dump_yaml(make_spec(rows=2)))["same"]
    assert "LIMIT 3" in hands("diff", pipeline="flights", before=2, definition=dump_yaml(make_spec(rows=3)))["text"]
    long = dump_yaml(make_spec(description="line\n" * 9_000))
    page = hands("diff", pipeline="flights", before=2, definition=long)
    assert page["offset"] > 0
    assert hands("diff", pipeline="flights", before=2, definition=long, offset=page["offset"])["text"]
    for wrong in ({}, {"after": 2, "definition": "x"}):
        with pytest.raises(ToolError, match="compares with one thing"):
            hands("diff", pipeline="flights", before=1, **wrong)
    with pytest.raises(ToolError, match="no pipeline 'planes' here"):
        hands("diff", pipeline="planes", before=1, after=2)


def test_sql_becomes_a_draft_that_can_be_saved(hands: Hands) -> None:
    made = hands(
        "import_pipeline", sql="SELECT o.id, o.amount FROM lake.sales.orders o", name="copied", table="sales.copied"
    )
    assert made["valid"]
    assert made["notes"] == []
    assert "sql: SELECT o.id, o.amount FROM orders o" in made["definition"]
    assert hands("search", text="copied")["found"] == []
    assert hands("save_version", definition=made["definition"], message="from SQL")["pipeline"] == "copied"


def test_every_query_of_the_list_becomes_a_draft_that_validates(hands: Hands) -> None:
    for sql in QUERIES:
        made = hands("import_pipeline", sql=sql, name="draft")
        assert made["valid"], (sql, made["problems"])


def test_other_sql_and_both_at_once_are_refused(hands: Hands) -> None:
    with pytest.raises(ToolError, match="DROP is neither a query"):
        hands("import_pipeline", sql="DROP TABLE a.b")
    for wrong in ({}, {"sql": "SELECT 1", "bundle": "{}"}):
        with pytest.raises(ToolError, match="reads one thing"):
            hands("import_pipeline", **wrong)


def test_a_bundle_becomes_a_draft_with_its_code(hands: Hands) -> None:
    hands("save_version", definition=SCORED, message="1", code=CODE)
    bundle = hands.world.ask("store", "ada").pipelines.export("scored", 1).decode()
    made = hands("import_pipeline", bundle=bundle)
    assert made["valid"]
    assert made["code"] == sorted(CODE)
    assert "lock" not in made["definition"]
    assert hands("diff", pipeline="scored", before=1, definition=made["definition"])["same"]
    for wrong in ("{}", "nonsense", "[1]", '{"payload": "e30="}', '{"payload": 7}', "\x00"):
        with pytest.raises(ToolError, match="not an exported bundle"):
            hands("import_pipeline", bundle=wrong)
