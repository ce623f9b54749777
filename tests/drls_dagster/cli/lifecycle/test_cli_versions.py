"""pipeline save, list, show, diff, export, verify, import, clone, delete."""

from __future__ import annotations

import json
from pathlib import Path

import yaml

from drls_dagster.cli.lifecycle import own_public_key
from lifecycle.audit.keys import SigningKey
from lifecycle.bundle import read_bundle, write_bundle
from tests.drls_dagster.cli.lifecycle.shell import Shell


def test_a_saved_file_is_a_version_and_saving_it_again_is_the_same_one(shell: Shell) -> None:
    first = shell("pipeline", "save", shell.file(), "-m", "begin", "--json", by="ada").json
    assert (first["pipeline"], first["number"], first["stage"], first["author"]) == ("flights", 1, "development", "ada")
    again = shell("pipeline", "save", shell.file(), "--json", by="ada").json
    assert (again["number"], again["digest"]) == (1, first["digest"])
    assert "flights v2, development, sha256:" in shell("pipeline", "save", shell.file(rows=2), by="ada").out


def test_a_wrong_file_is_wrong_use_and_saves_nothing(shell: Shell, tmp_path: Path) -> None:
    file = tmp_path / "wrong.yaml"
    file.write_text("format_version: 1\nname: flights\nnodes: []\n")
    assert str(file) in shell("pipeline", "save", str(file), by="ada", fails=2).err
    assert shell("pipeline", "list", "--json").json == []


def test_a_viewer_may_look_and_not_save(shell: Shell) -> None:
    said = shell("pipeline", "save", shell.file(), by="vic", fails=1)
    assert "needs the role DataEngineer" in said.err
    assert "ask an Admin for a grant" in said.err
    shell.save()
    assert "flights" in shell("pipeline", "list", by="vic").out


def test_who_saved_in_between_is_not_overwritten(shell: Shell) -> None:
    first = shell("pipeline", "save", shell.file(), "--json", by="ada").json["digest"]
    shell.save(rows=2, by="lea")
    stale = shell("pipeline", "save", shell.file(rows=3), "--if-newest", first, by="ada", fails=1)
    assert "the newest version of flights is now v2" in stale.err


def test_a_key_makes_a_repetition_answer_the_same(shell: Shell) -> None:
    shell("pipeline", "save", shell.file(), "--key", "k1", by="ada")
    shell.save(rows=2)
    again = shell("pipeline", "save", shell.file(), "--key", "k1", "--json", by="ada").json
    assert again["number"] == 1
    assert shell.active() == {"development": 2}
    assert "use a new key" in shell("pipeline", "save", shell.file(rows=3), "--key", "k1", by="ada", fails=1).err


def test_show_has_the_flow_the_versions_and_the_file_to_go_on_with(shell: Shell, tmp_path: Path) -> None:
    shell.save()
    shell.save(rows=2)
    out = shell("pipeline", "show", "flights", by="vic").out
    assert "delays transform spark" in out
    assert "superseded" in out
    found = shell("pipeline", "show", "flights@v1", "--json", by="vic").json
    assert (found["version"], found["stage"], found["sinks"][0]["table"]) == (1, "superseded", "flights.daily")
    file = tmp_path / "again.yaml"
    file.write_text(shell("pipeline", "show", "flights", "--yaml", by="vic").out)
    assert shell("pipeline", "save", str(file), "--json", by="ada").json["number"] == 2


def test_what_is_not_there_is_named(shell: Shell) -> None:
    assert "there is no pipeline 'nothing'" in shell("pipeline", "show", "nothing", fails=1).err
    shell.save()
    assert "flights has no version 7" in shell("pipeline", "show", "flights@7", fails=1).err
    assert "write NAME or NAME@VERSION" in shell("pipeline", "show", "flights@seven", fails=2).err


def test_errors_are_json_where_json_was_asked_for(shell: Shell) -> None:
    said = shell("pipeline", "show", "nothing", "--json", fails=1)
    assert "there is no pipeline" in json.loads(said.err)["error"]


def test_diff_of_versions_and_files(shell: Shell) -> None:
    shell.save()
    shell.save(rows=2)
    out = shell("pipeline", "diff", "flights@1", "flights@2", by="vic").out
    assert "delays" in out
    assert "LIMIT 1" in out
    assert "LIMIT 2" in out
    assert "No difference" in shell("pipeline", "diff", "flights@2", shell.file(rows=2), by="vic").out
    assert shell("pipeline", "diff", "flights@1", "flights@2", "--json", by="vic").json != {}


def test_an_exported_version_is_checked_offline_and_a_changed_one_refused(shell: Shell, tmp_path: Path) -> None:
    shell.save()
    file = tmp_path / "flights.json"
    shell("pipeline", "export", "flights", str(file), by="vic")
    assert "flights v1 is exactly what was signed" in shell("verify", str(file), by=None).out
    assert shell("verify", str(file), "--json", by=None).json["problems"] == []
    data = json.loads(file.read_bytes())
    file.write_text(json.dumps(data | {"payload": data["payload"].replace("a", "b", 1)}))
    shell("verify", str(file), by=None, fails=2)
    file.write_text("{}")
    told = shell("verify", str(file), by=None, fails=2).err
    assert "is not a bundle" in told
    assert "KeyError" not in told, "the name of an exception tells people nothing"


def test_without_a_key_to_trust_nothing_is_verified(fresh: Shell, tmp_path: Path) -> None:
    file = tmp_path / "some.json"
    file.write_text("{}")
    assert "--key" in fresh("verify", str(file), by=None, fails=2).err
    assert "64 hexadecimal digits" in fresh("verify", str(file), "--key", "mine", by=None, fails=2).err
    assert not fresh.home.exists()


def test_an_import_lands_in_development_with_its_provenance(shell: Shell, tmp_path: Path) -> None:
    shell.save()
    file = tmp_path / "flights.json"
    shell("pipeline", "export", "flights@1", str(file), by="ada")
    shell.save(rows=2)
    saved = shell("pipeline", "import", str(file), "--json", by="ada").json
    assert (saved["number"], saved["active_in"]) == (1, ["development"])
    shell("pipeline", "import", str(file), by="vic", fails=1)


def test_a_foreign_bundle_is_imported_when_its_key_is_trusted(shell: Shell, tmp_path: Path) -> None:
    shell.save()
    file = tmp_path / "flights.json"
    shell("pipeline", "export", "flights@1", str(file), by="ada")
    foreign = SigningKey.generate()
    file.write_bytes(write_bundle(read_bundle(file.read_bytes(), own_public_key()), foreign))
    shell.save(rows=2)
    assert "signed" in shell("pipeline", "import", str(file), by="ada", fails=2).err
    other = SigningKey.generate().public
    shell("pipeline", "import", str(file), "--trust", other, by="ada", fails=2)
    trust = ["--trust", other, "--trust", foreign.public]
    assert shell("pipeline", "import", str(file), *trust, "--json", by="ada").json["number"] == 1
    shell("pipeline", "import", str(file), "--trust", "mine", by="ada", fails=2)


def test_a_clone_of_an_old_version_is_active_again(shell: Shell) -> None:
    shell.save()
    shell.save(rows=2)
    shell("pipeline", "clone", "flights@1", by="ada")
    assert shell.active() == {"development": 1}
    refused = shell("pipeline", "clone", "flights", "--to", "copies", by="ada", fails=1)
    assert "is already written by pipeline flights" in refused.err


def test_l16_a_deleted_name_stays_reserved(shell: Shell) -> None:
    shell.save()
    shell("pipeline", "delete", "flights", "--yes", by="ada", fails=1)
    shell("pipeline", "delete", "flights", by="lea", fails=130)
    shell("pipeline", "delete", "flights", "--yes", "--key", "k", by="lea")
    shell("pipeline", "delete", "flights", "--yes", "--key", "k", by="lea")
    assert shell("pipeline", "list", "--json").json == []
    assert "stays reserved" in shell("pipeline", "save", shell.file(rows=2), by="ada", fails=1).err


def test_a_pipeline_that_is_not_there_ends_every_command_with_1(shell: Shell) -> None:
    for command in (["pipeline", "show", "nope"], ["promote", "nope", "--to", "qa"]):
        assert "there is no pipeline 'nope'" in shell(*command, by="ada", fails=1).err


def test_running_a_pipeline_that_is_not_there_ends_with_1(local: Shell) -> None:
    assert "there is no pipeline 'nope'" in local("run", "nope", by="ada", fails=1).err


def test_l2_local_code_is_saved_with_the_version_from_wherever_it_is(shell: Shell, tmp_path: Path) -> None:
    """Finding 7; failed on 0.1.0: a server did not find the code, and no store kept any."""
    (tmp_path / "own_entry.py").write_text("import own_helper\n\ndef delays(spark, raw):\n    return raw\n")
    (tmp_path / "own_helper.py").write_text("VALUE = 1\n")
    data = yaml.safe_load(Path(shell.file()).read_text())
    (node,) = (one for one in data["nodes"] if one["id"] == "delays")
    del node["sql"]
    node["entrypoint"] = "own_entry:delays"
    code_file = tmp_path / "with_code.yaml"
    code_file.write_text(yaml.safe_dump(data))
    first = shell("pipeline", "save", str(code_file), "--json", by="ada").json
    (tmp_path / "own_helper.py").write_text("VALUE = 2\n")
    second = shell("pipeline", "save", str(code_file), "--json", by="ada").json
    assert (first["number"], second["number"]) == (1, 2)
    assert "own_helper.py" in shell("pipeline", "diff", "flights@1", str(code_file), by="vic").out
    assert "No difference" in shell("pipeline", "diff", "flights@2", str(code_file), by="vic").out
    for name in ("own_helper.py", "own_entry.py"):
        (tmp_path / name).unlink()
    bundle = tmp_path / "bundle.json"
    shell("pipeline", "export", "flights@1", str(bundle), by="ada")
    shell("verify", str(bundle))
    with shell.store() as store:
        found = read_bundle(bundle.read_bytes(), [store.signing_key.public])
    assert found.files()["own_helper.py"] == b"VALUE = 1\n"
    assert shell("pipeline", "import", str(bundle), "--json", by="ada").json["number"] == 1
    assert shell("pipeline", "clone", "flights@2", "--json", by="ada").json["number"] == 2
