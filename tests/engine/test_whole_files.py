"""All of a file of text is looked through for what Spark would take silently for something else (finding 24)."""

from __future__ import annotations

import base64
import json

import pytest
from lab import Lab
from test_file_contract import rows

from drls_dagster.steps.sources.pins import SourceUnreadable

SCHEMA = {"id": "int", "who": "string"}
FINE = "".join(f'{at},"a ""b"""\n' for at in range(9_000))  # more than the 64 KB that were looked at before


@pytest.mark.slow
def test_an_open_quote_is_refused_wherever_it_is(lab: Lab) -> None:
    """Failed before behind the first 64 KB: the rest of the file, or of the line, became one value."""
    lab.file("a.csv", f'id,who\n{FINE}1,"x\n2,y\n3,z\n')
    with pytest.raises(SourceUnreadable, match=r"begins in line 9,002 of \S+ does not end"):
        rows(lab, "a.csv", "csv", SCHEMA, header=True, multiLine=True)
    lab.file("a.csv", f'id,who\n{FINE}1,"x\ny"\n')
    assert len(rows(lab, "a.csv", "csv", SCHEMA, header=True, multiLine=True)) == 9_001
    with pytest.raises(SourceUnreadable, match=r"line 9,002 of \S+ has a quoted value that spans several lines"):
        rows(lab, "a.csv", "csv", SCHEMA, header=True, mode="PERMISSIVE")


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["FAILFAST", "DROPMALFORMED"])
def test_half_a_character_is_refused_wherever_it_is(lab: Lab, mode: str) -> None:
    """Failed before behind the first 64 KB, and with `DROPMALFORMED`: a question mark was published."""
    fine = "".join(json.dumps({"id": at, "who": "fine"}) + "\n" for at in range(9_000))
    lab.file("a.json", fine + '{"id": 1, "who": "\\ud83d"}\n')
    with pytest.raises(SourceUnreadable, match="has half of a surrogate pair in line 9001"):
        rows(lab, "a.json", "json", SCHEMA, mode=mode)


@pytest.mark.slow
def test_spark_reads_a_value_with_an_unescaped_quote_to_the_end_of_its_field(lab: Lab) -> None:
    """What the search for open quotes rests on."""
    lab.file("a.csv", 'id,who,more\n1,"a,b"c,d\n2,x,y\n')
    found = rows(lab, "a.csv", "csv", {**SCHEMA, "more": "string"}, header=True, multiLine=True)
    assert found == [(1, '"a,b"c', "d"), (2, "x", "y")]


# Of Spark with `parquet.writer.version` v2, without a dictionary or compression: eight rows of text and a number.
DELTA = """
UEFSMRUGFWgVaFwVEBUBFRAVDhUEFQARAAAQAYABBAgAAAEAAAACAAAAgAEECAwHAwAAABhJEgAAAAAAAAAAAG5vYm9keWMwMTIzNDU2FQYVGBUY
XBUQFQEVEBUKFQQVABEAABABgAEECAACAAAAABkcFggVlAEWAAAZFigAGRwWnAEVRBYAAAAVAhk8SAxzcGFya19zY2hlbWEVBAAVDCUCGAFhJQBM
HAAAABUEJQIYAW4AFhAZHBksJgAcFQwZFQ4ZGAFhFQAWEBaUARaUASYISRwVBhUOFQIAPBYoAAAW4AEVHAAmABwVBBkVChkYAW4VABYQFkQWRCac
AUkcFQYVChUCADwAABb8ARUWABbYARYQJggW2AEUAAAZLBgYb3JnLmFwYWNoZS5zcGFyay52ZXJzaW9uGAU0LjEuNAAYKW9yZy5hcGFjaGUuc3Bh
cmsuc3FsLnBhcnF1ZXQucm93Lm1ldGFkYXRhGJABeyJ0eXBlIjoic3RydWN0IiwiZmllbGRzIjpbeyJuYW1lIjoiYSIsInR5cGUiOiJzdHJpbmci
LCJudWxsYWJsZSI6dHJ1ZSwibWV0YWRhdGEiOnt9fSx7Im5hbWUiOiJuIiwidHlwZSI6ImxvbmciLCJudWxsYWJsZSI6dHJ1ZSwibWV0YWRhdGEi
Ont9fV19ABhKcGFycXVldC1tciB2ZXJzaW9uIDEuMTYuMCAoYnVpbGQgNDAyYzM4MTBjMzcyZDI5NjAzZTE4MTc3MWFjZWJmZWNjNzFiZWY2MSkZ
LBwAABwAAADLAQAAUEFSMQ==
"""


@pytest.mark.slow
def test_text_that_spark_s_vectorized_reader_gets_wrong_is_read_as_it_is(lab: Lab) -> None:
    """Failed before: 'nobody' was published as four zeros and 'no'."""
    (lab.landing / "odd.parquet").write_bytes(base64.b64decode(DELTA))
    found = rows(lab, "odd.parquet", "parquet", {"a": "string", "n": "long"})
    assert sorted(found, key=lambda row: row[1]) == [("nobody", 0), *((f"c{at}", at + 1) for at in range(7))]
