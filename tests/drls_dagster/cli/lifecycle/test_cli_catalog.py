"""search, lineage, history, pipeline about, pipeline validate --for-saving."""

from __future__ import annotations

from pathlib import Path

from tests.drls_dagster.cli.lifecycle.shell import Shell


def test_a_saved_pipeline_is_found_with_its_tables_and_its_past(shell: Shell) -> None:
    shell.save()
    found = shell("search", "flights.daily", "--json", by="vic").json
    assert [(one["kind"], one["name"], one["pipeline"]) for one in found] == [("table", "flights.daily", "flights")]
    assert "flights/delays" in shell("search", "--kind", "asset", by="vic").out
    arrows = shell("lineage", "flights.daily", "--json", by="vic").json["arrows"]
    assert [(one["source"], one["target"]) for one in arrows] == [("flights_raw.flights", "flights.daily")]
    assert "flights_raw.flights" in shell("lineage", "flights", by="vic").out
    assert "saved v1" in shell("history", "flights", by="vic").out
    (newest,) = shell("history", "--env", "development", "--limit", "1", "--json", by="vic").json
    assert (newest["what"], newest["by"]) == ("made v1 active in development", "ada")
    assert "flights v1 (newest: v1), sha256:" in shell("pipeline", "about", "flights@1", by="vic").out
    assert "no table or pipeline" in shell("lineage", "nothing", by="vic", fails=1).err


def test_what_the_lifecycle_would_refuse_is_known_before_saving(shell: Shell, tmp_path: Path) -> None:
    file = shell.file()
    said = shell("pipeline", "validate", "--for-saving", file, by="ada").out
    assert "can be saved, flights, sha256:" in said
    assert "advice: it has no owners" in said
    shell.save()
    assert "saved as v1" in shell("pipeline", "validate", "--for-saving", file, by="ada").out
    other = tmp_path / "trains.yaml"
    other.write_text(Path(file).read_text().replace("name: flights\n", "name: trains\n", 1))
    refused = shell("pipeline", "validate", "--for-saving", str(other), by="ada", fails=2).err
    assert "flights.daily is already written by pipeline flights" in refused
