"""All of a file of text is looked through for what Spark would take silently for something else (finding 24)."""

from __future__ import annotations

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
