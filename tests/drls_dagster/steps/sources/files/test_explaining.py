"""What people read of a record that Spark cannot read: file, line, column, and never what is in it (findings 24, 26)."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import pytest

from drls_dagster.steps.sources.files.explaining import explained
from drls_dagster.steps.sources.files.text_files import NO_DECIMAL
from lifecycle.spec import FilesSource

SPARK = """[FAILED_READ_FILE.NO_HINT] Encountered error while reading file file://{file}.  SQLSTATE: KD001
Caused by: org.apache.spark.SparkException: [MALFORMED_RECORD_IN_PARSING.WITHOUT_SUGGESTION] Malformed records: [null].
Caused by: {cause}"""
ZONED = (
    "org.apache.spark.SparkException: [INTERNAL_ERROR] Cannot parse field value '2024-01-15T03:30:00+05:00' for pattern"
    " 'yyyy-MM-dd HH:mm:ss' as the target spark data type \"TIMESTAMP_NTZ\". SQLSTATE: XX000"
)


def told(
    tmp_path: Path, kind: Literal["csv", "json"], text: str, cause: str, schema: dict[str, str], **options: Any
) -> str:
    name = f"a.{kind}"
    file = tmp_path / name
    file.write_text(text)
    given = {"kind": "files", "format": kind, "path": "*", "schema": schema, "options": options}
    source = FilesSource.model_validate(given)
    error = RuntimeError(SPARK.format(file=file, cause=cause))
    return str(explained(error, "raw", source, [(name, str(file))], str(tmp_path / "staging")))


@pytest.mark.parametrize(
    ("kind", "text", "cause", "schema", "place"),
    [
        (
            "csv",
            "id,who\n1,a\n 2 ,b\n",
            'java.lang.NumberFormatException: For input string: " 2 "',
            {"id": "int", "who": "string"},
            "a.csv (line 3, column 'id') has a record that cannot be read: a value does not have the type",
        ),
        (
            "csv",
            "at\n2024-01-15T03:30:00+05:00\n",
            ZONED,
            {"at": "timestamp_ntz"},
            "a.csv (line 2, column 'at') has a record that cannot be read: a value does not have the type",
        ),
        (
            "json",
            '{"id":1}\n{"id":99999999999}\n',
            "com.fasterxml.jackson.core.exc.InputCoercionException: Numeric value (99999999999) out of range of int",
            {"id": "int"},
            "a.json (line 2, column 'id') has a record that cannot be read: a value does not have the type",
        ),
        (
            "json",
            '{"at":"2024-01-15T03:30:00+05:00"}\n',
            ZONED,
            {"at": "timestamp_ntz"},
            "a.json (line 1, column 'at') has a record that cannot be read: a value does not have the type",
        ),
        (
            "json",
            '{"id":1}\n\n[{"id":2}]\nnull\n',
            "org.apache.spark.SparkRuntimeException: [INVALID_JSON_ROOT_FIELD] Cannot convert JSON root field",
            {"id": "int"},
            "a.json (line 4) has a record that cannot be read: it is not an object, {…}",
        ),
    ],
)
def test_a_value_that_does_not_fit_is_found_again_and_not_quoted(
    tmp_path: Path, kind: Literal["csv", "json"], text: str, cause: str, schema: dict[str, str], place: str
) -> None:
    """Failed before: the file was named, and neither the line nor the column."""
    options = {"header": "true"} if kind == "csv" else {}
    found = told(tmp_path, kind, text, cause, schema, **options)
    assert found.startswith(f"node 'raw': {place}")
    assert "99999999999" not in found
    assert "03:30" not in found
    assert "set in the source's options `mode: PERMISSIVE`" in found


def test_a_text_that_is_no_decimal_is_found_again_by_its_column(tmp_path: Path) -> None:
    cause = f"[USER_RAISED_EXCEPTION] {NO_DECIMAL}'v' of node 'raw' SQLSTATE: P0001"
    schema = {"id": "int", "v": "decimal(5,2)"}
    for wrong in ("1,5", "1.234,56", "x", "1234"):
        found = told(tmp_path, "csv", f"v;id\n1.5;1\n;2\n{wrong};3\n", cause, schema, header="true", sep=";")
        assert found.startswith("node 'raw': a.csv (line 4, column 'v') has a value that is not a decimal")
        assert wrong not in found.partition(" has a ")[2].replace("1234.5", "")


def test_a_file_that_cannot_be_read_has_a_remedy(tmp_path: Path) -> None:
    """Failed before: it ended with the words of Java's exception."""
    file = tmp_path / "a.csv"
    error = RuntimeError(
        f"Encountered error while reading file file://{file}.  SQLSTATE: KD001\nCaused by: x: Bad header"
    )
    source = FilesSource(kind="files", format="csv", path="*")
    found = str(explained(error, "raw", source, [("a.csv", str(file))], ""))
    assert found == "node 'raw': a.csv cannot be read (Bad header); check how it was written, and send it again"
