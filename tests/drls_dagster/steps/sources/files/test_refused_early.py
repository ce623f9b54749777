"""Files that are refused before Spark is asked, by name, column and remedy (finding 24)."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from drls_dagster.lakehouse.catalog import load_catalog
from drls_dagster.lakehouse.positions import Read
from drls_dagster.settings import Settings
from drls_dagster.steps.sources.files.source import Files
from drls_dagster.steps.sources.pins import Place, Reader, SourceUnreadable
from lifecycle.domain.environment import Environment
from lifecycle.spec import FilesSource


def refusal(tmp_path: Path, source: FilesSource) -> str:
    """What reading the source says; nothing here has an engine."""
    settings = Settings(home=tmp_path / "home", landing=str(tmp_path / "landing"))
    place = Place(settings, Environment.DEVELOPMENT, load_catalog(settings))
    pin = Files().pin("raw", source, place)
    reader = Reader(None, place, str(tmp_path / "stage"))  # pyright: ignore[reportArgumentType]
    with pytest.raises(SourceUnreadable) as refused:
        Files().read(reader, "raw", source, pin, Read(None, None))
    return str(refused.value)


@pytest.mark.parametrize("mode", ["FAILFAST", "PERMISSIVE", "DROPMALFORMED"])
@pytest.mark.parametrize(
    ("data", "where"),
    [
        ('{"at":0}\n{"at":"10:30"}\n', "line 2"),
        ('[\n {"at": 0},\n {"at":\n  "2024"}\n]', "record 2"),
    ],
)
def test_a_text_in_json_is_no_time_of_the_day_of_the_run(data: str, where: str, mode: str, tmp_path: Path) -> None:
    """`10:30` was today's, in every mode."""
    (tmp_path / "landing").mkdir()
    (tmp_path / "landing" / "a.json").write_text(data)
    written = {"format": "json", "path": "a.json", "schema": {"at": "timestamp"}, "options": {"mode": mode}}
    source = FilesSource.model_validate(written)
    assert refusal(tmp_path, source) == (
        f"node 'raw': a.json ({where}, column 'at') has a text that is not a timestamp as in 2024-01-31 10:30:00; "
        "correct it, set the option `timestampFormat`, or declare the column as `string` and convert it in the SQL"
    )


def test_parquet_files_that_spark_cannot_read_are_refused_with_the_remedy(tmp_path: Path) -> None:
    """Each was a sentence of Java's or Spark's own, without the file or without a remedy."""
    landing = tmp_path / "landing"
    landing.mkdir()
    twins = pa.array([[{"a": 1, "A": 2}]], pa.list_(pa.struct([("a", pa.int64()), ("A", pa.int64())])))
    pq.write_table(pa.table({"id": [1]}), landing / "brotli.parquet", compression="brotli")
    pq.write_table(pa.table({}), landing / "none.parquet")
    pq.write_table(pa.table({"s": twins}), landing / "twins.parquet")
    for name, told in (
        ("brotli", "is compressed with brotli, which Spark cannot read; write it with zstd or snappy"),
        ("none", "has no columns; send it again, or correct the path"),
        (
            "twins",
            (
                "has the columns s.a and s.A, which Spark treats as the same column; rename one where the file is "
                "written, or give the source a schema without them"
            ),
        ),
    ):
        said = refusal(tmp_path, FilesSource(format="parquet", path=f"{name}.parquet"))
        assert said == f"node 'raw': {name}.parquet {told}"


def test_a_link_that_leads_to_nothing_is_named_as_the_pipeline_would_write_it(tmp_path: Path) -> None:
    (tmp_path / "landing" / "in").mkdir(parents=True)
    (tmp_path / "landing" / "in" / "a.csv").symlink_to("nowhere")
    settings = Settings(home=tmp_path / "home", landing=str(tmp_path / "landing"))
    place = Place(settings, Environment.DEVELOPMENT, load_catalog(settings))
    with pytest.raises(SourceUnreadable, match=r"^node 'raw': in/a\.csv is a link that leads to nothing; correct it"):
        Files().pin("raw", FilesSource(format="csv", path="in/*"), place)
