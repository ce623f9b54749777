from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from drls_dagster.cli.main import run
from drls_dagster.settings import _load as load

EXAMPLE = Path(__file__).parents[3] / "docs" / "pipeline-example.yaml"


@pytest.fixture
def wrong(tmp_path: Path) -> Path:
    """The example with a misspelt kind and an unknown field: two problems."""
    file = tmp_path / "wrong.yaml"
    file.write_text(EXAMPLE.read_text().replace("kind: files", "kind: filez") + "surprise: 1\n")
    return file


def test_the_example_is_valid(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["pipeline", "validate", str(EXAMPLE)]) == 0
    assert "valid, flights_daily, 5 nodes, sha256:" in capsys.readouterr().out


def test_every_problem_is_a_line_and_the_other_files_are_still_checked(
    wrong: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["pipeline", "validate", str(wrong), str(EXAMPLE)]) == 2
    out, err = capsys.readouterr()
    assert "flights_daily" in out
    lines = err.splitlines()
    assert len(lines) >= 2
    assert all(str(wrong) in line for line in lines)
    assert any("surprise" in line for line in lines)


UNREADABLE = {
    "cut.yaml": (b"a: [1,\n b: }", "this is not YAML"),
    "latin.yaml": ("name: Z\u00fcrich".encode("latin-1"), "save it as UTF-8"),
    "empty.yml": (b"", "the file is empty"),
    "bomb.yaml": (b"a: &a [x, x]\nb: [*a, *a]", "anchors and aliases"),
    "deep.json": (b"[" * 60 + b"]" * 60, "nested more than 50 levels deep"),
}


def test_a_file_of_a_folder_that_cannot_be_read_is_a_problem_and_not_passed_over(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "ok.yaml").write_text(EXAMPLE.read_text())
    for name, (content, _) in UNREADABLE.items():
        (tmp_path / name).write_bytes(content)
    assert run(["pipeline", "validate", str(tmp_path)]) == 2
    out, err = capsys.readouterr()
    assert "ok.yaml: valid" in out
    lines = sorted(err.splitlines())
    assert len(lines) == len(UNREADABLE)
    for line, name in zip(lines, sorted(UNREADABLE), strict=True):
        assert f"{tmp_path}/{name}: " in line
        assert UNREADABLE[name][1] in line


def test_every_line_names_its_file_a_place_and_a_remedy(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wrong = EXAMPLE.read_text().replace("SELECT", "SELECT FROM (", 1).replace("0 6 * * *", "61 * * * *")
    texts = {"broken.yaml": "a: b: c", "orders.yaml": wrong, "cut.json": '{"a": 1'}
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
    assert run(["pipeline", "validate", *(str(tmp_path / name) for name in texts)]) == 2
    lines = [line.removeprefix("Error: ") for line in capsys.readouterr().err.splitlines()]
    assert len(lines) >= len(texts)
    for name in texts:
        assert any(re.match(rf"{tmp_path}/{name}: [^:]+: [^;]+; .+", line) for line in lines), lines
    assert all(line.startswith(f"{tmp_path}/") for line in lines)


def test_what_reads_well_and_is_no_pipeline_is_skipped_and_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "ok.yaml").write_text(EXAMPLE.read_text())
    (tmp_path / "values.yaml").write_text("replicas: 3\n")
    (tmp_path / "list.json").write_text("[1, 2]")
    assert run(["pipeline", "validate", str(tmp_path)]) == 0
    skipped = [line.split(":")[0] for line in capsys.readouterr().out.splitlines() if "skipped" in line]
    assert skipped == [f"{tmp_path}/list.json", f"{tmp_path}/values.yaml"]


def test_problems_as_json(wrong: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["pipeline", "validate", str(EXAMPLE), str(wrong), "--json"]) == 2
    out, err = capsys.readouterr()
    good, bad = json.loads(out)
    assert (good["valid"], good["problems"]) == (True, [])
    assert good["digest"].startswith("sha256:")
    assert not bad["valid"]
    assert set(bad["problems"][0]) == {"node", "field", "message", "remedy"}
    assert "surprise" in json.loads(err)["error"]


def test_show_has_the_flow_the_sinks_and_the_checks(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["pipeline", "show", str(EXAMPLE)]) == 0
    out = capsys.readouterr().out
    places = [out.index(word) for word in ("flights source files", "delays transform spark", "daily_delays sink")]
    assert places == sorted(places)
    assert "flights.daily_delays" in out
    assert "in_2013" in out


def test_show_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["pipeline", "show", str(EXAMPLE), "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["sinks"] == [{"node": "daily_delays", "table": "flights.daily_delays", "mode": "overwrite_partitions"}]
    assert {"from": "flights", "to": "delays"} in shown["edges"]
    assert shown["digest"].startswith("sha256:")


def test_show_refuses_a_wrong_file(wrong: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["pipeline", "show", str(wrong)]) == 2
    assert "surprise" in capsys.readouterr().err


def test_a_node_with_two_inputs_is_shown_below_both(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "joined.yaml"
    file.write_text(
        """
format_version: 1
name: joined
nodes:
  - {id: left_side, type: source, source: {kind: iceberg, table: a.left_table}}
  - {id: right_side, type: source, source: {kind: iceberg, table: a.right_table}}
  - {id: both, type: transform, step: spark, sql: SELECT left_side.x FROM left_side JOIN right_side USING (x)}
  - {id: target, type: sink, table: a.target, mode: overwrite}
edges:
  - {from: left_side, to: both}
  - {from: right_side, to: both}
  - {from: both, to: target}
"""
    )
    assert run(["pipeline", "show", str(file)]) == 0
    out = capsys.readouterr().out
    assert out.count("both transform spark") == 2
    assert out.count("target sink overwrite") == 1


def test_the_schema_is_json_schema(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["pipeline", "schema"]) == 0
    assert json.loads(capsys.readouterr().out)["$schema"].startswith("https://json-schema.org/")


def test_a_source_outside_of_landing_and_roots_is_valid_and_warned_of(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], drls_home: Path
) -> None:
    """Another machine may have other settings: here a run would fail, and there it may not."""
    file = tmp_path / "p.yaml"
    file.write_text(
        "format_version: 1\nname: p\nnodes:\n"
        "- {id: raw, type: source, source: {kind: files, format: csv, path: /data/reference/a.csv}}\n"
        "- {id: out, type: sink, table: ns.out, mode: overwrite}\nedges: [{from: raw, to: out}]\n"
    )
    assert run(["pipeline", "validate", str(file)]) == 0
    out, err = capsys.readouterr()
    assert "valid, p, 2 nodes" in out
    assert err.splitlines() == [
        (
            f"{file}: warning: runs here will fail: node 'raw': /data/reference/a.csv is outside of landing and of [sources] "
            "roots; copy the files into landing, or add the folder to sources.roots in drls.toml"
        )
    ]
    drls_home.mkdir()
    (drls_home / "drls.toml").write_text('[environments.qa]\nroots = ["/data"]\n')
    load.cache_clear()
    assert run(["pipeline", "validate", str(file)]) == 0
    assert "fail: in development, uat, production, node 'raw': /data" in capsys.readouterr().err
    (drls_home / "drls.toml").write_text('[sources]\nroots = ["/data"]\n')
    load.cache_clear()
    assert run(["pipeline", "validate", str(file)]) == 0
    assert not capsys.readouterr().err
