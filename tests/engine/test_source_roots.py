"""Sources in a real run: what is outside of landing and of `[sources] roots` is not read, and errors quote nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from lab import Lab, Ran, sink

from drls_dagster.settings import SourcesSettings

ROWS = "id,who\n1,a\n2,b\n"
SECRET = "drls_hidden_token_4711"


def run(lab: Lab, path: str, kind: str = "csv", schema: dict[str, str] | None = None, **options: Any) -> Ran:
    source: dict[str, Any] = {"kind": "files", "format": kind, "path": path, "options": options}
    node = {"id": "raw", "type": "source", "source": {**source, **({"schema": schema} if schema else {})}}
    return lab.run(lab.pipeline(node, sink("out", lab.named("out"), "overwrite"), flow="raw>out"))


def test_a_run_reads_neither_the_home_nor_anything_else_outside_of_landing(lab: Lab, tmp_path: Path) -> None:
    """Failed on 0.1.0: with the token of DRLS_HOME/secret an engineer became Admin."""
    secret = lab.settings.home / f"secret-of-{lab.ns}"
    secret.write_text(f"token\n{SECRET}\n")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a.csv").write_text(ROWS)
    (lab.landing / "link.csv").symlink_to(secret)
    (lab.landing / "folder").symlink_to(tmp_path / "data")
    try:
        for path in (str(secret), f"file://{secret}", lab.path("link.csv"), lab.path("l*.csv"), lab.path("**/*.csv"),
                     str(tmp_path / "data" / "a.csv"), f"file:{lab.landing}/%2e%2e/%2e%2e/{secret.name}"):  # fmt: skip
            failure = run(lab, path, header=True).failure
            assert failure.startswith("node 'raw': "), failure
            assert "outside of landing and of [sources] roots" in failure, failure
            assert SECRET not in failure
    finally:
        secret.unlink()


def test_a_root_of_the_environment_is_read_also_through_links_into_it(lab: Lab, tmp_path: Path) -> None:
    data = tmp_path / "data" / "day=2024-01-01"
    data.mkdir(parents=True)
    # Copied into staging as UTF-8: an engine that runs already has a fence that does not know this root.
    (data / "a.csv").write_text(ROWS, encoding="utf-16")
    (lab.landing / "day=2024-02-02").symlink_to(data)
    step = lab.prepare(
        lab.pipeline(
            {
                "id": "raw",
                "type": "source",
                "source": {
                    "kind": "files", "format": "csv", "path": f"{tmp_path}/data/*/*.csv", "options": {"header": "true"}
                },
            },
            {
                "id": "linked",
                "type": "source",
                "source": {
                    "kind": "files", "format": "csv", "path": lab.path("day=*"), "options": {"header": "true"}
                },
            },
            {"id": "both", "type": "transform", "step": "spark",
             "sql": "SELECT id, who, day FROM raw UNION ALL SELECT id, who, day FROM linked"},
            sink("out", lab.named("out"), "overwrite"),
            flow="raw>both>out, linked>both",
        )
    )  # fmt: skip
    sources = SourcesSettings(roots=(str(tmp_path / "data"),))
    step.run.settings = lab.settings.model_copy(update={"sources": sources})
    step.sink("out")
    days = [str(row[2]) for row in lab.rows("out")]
    assert days == ["2024-01-01", "2024-02-02"] * 2


@pytest.mark.parametrize(
    ("name", "data", "schema", "told"),
    [
        ("a.csv", f"id,who\n1,a\n2,b,{SECRET}\n", {"id": "int", "who": "string"}, "(line 3)"),
        ("b.csv", f"id,who\n1,a\n{SECRET},b\n", {"id": "int", "who": "string"}, "(line 3, column 'id')"),
        ("c.json", f'{{"id":1}}\n{{"id":"{SECRET}"}}\n', {"id": "int"}, "(line 2)"),
        ("d.json", f'{{"id":1}}\n{SECRET}\n', {"id": "int"}, "(line 2)"),
        ("e.parquet", f"{SECRET}\n", None, "is not a Parquet file"),
    ],
)
def test_an_unreadable_record_is_shown_by_its_line_and_never_quoted(
    lab: Lab, name: str, data: str, schema: dict[str, str] | None, told: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """Failed on 0.1.0: the failure, which every Viewer reads, quoted the record and named the server's folders."""
    lab.file(name, data)
    ran = run(lab, lab.path(name), name.rpartition(".")[2], schema, **({"header": True} if "csv" in name else {}))
    assert ran.failure.startswith(f"node 'raw': {lab.path(name)} ")
    assert told in ran.failure
    shown = f"{ran.failure} {''.join(ran.retried)} {capfd.readouterr()}"
    assert SECRET not in shown
    assert str(lab.settings.home) not in ran.failure


def test_columns_of_spark_that_hold_the_servers_paths_cannot_be_selected(lab: Lab) -> None:
    lab.file("a.csv", ROWS)
    node = {"id": "raw", "type": "source",
            "source": {"kind": "files", "format": "csv", "path": lab.path("*.csv"), "options": {"header": "true"}}}  # fmt: skip
    step = lab.prepare(lab.pipeline(node, sink("out", lab.named("out"), "overwrite"), flow="raw>out"))
    frame = step.frames.frame("raw", step.run.reads_of("raw"))
    with pytest.raises(Exception, match="_metadata"):
        frame.select("_metadata.file_path").collect()
