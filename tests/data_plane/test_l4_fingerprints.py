"""L3, L4: one fingerprint means one place, and no credential is in it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from drls_dagster.lakehouse.data_plane import IcebergDataPlane
from drls_dagster.settings import load_settings
from lifecycle.domain.environment import Environment
from lifecycle.spec import PipelineSpec

DEVELOPMENT, QA, UAT, PRODUCTION = Environment
SINK = {"id": "sink", "type": "sink", "table": "a.b", "mode": "overwrite"}


def fingerprint(home: Path, source: dict[str, Any], environment: Environment) -> str:
    nodes = [{"id": "in", "type": "source", "source": source}, SINK]
    data = {"format_version": 1, "name": "p", "nodes": nodes, "edges": [{"from": "in", "to": "sink"}]}
    text = PipelineSpec.model_validate(data).model_dump_json(by_alias=True)
    found = IcebergDataPlane(load_settings(home)).fingerprints(text, environment)
    assert set(found) == {"in"}
    return found["in"]


def files(path: str) -> dict[str, Any]:
    return {"kind": "files", "format": "csv", "path": path}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    folder = tmp_path / "given"
    folder.mkdir()
    (folder / "drls.toml").write_text(
        '[environments.uat]\nlanding = "s3://key:secret@lake/landing"\n'
        '[environments.production]\nlanding = "s3://other:word@lake/landing/"\n'
    )
    return folder


def test_l4_the_same_place_has_the_same_fingerprint_whatever_the_credentials(home: Path) -> None:
    assert fingerprint(home, files("a/*.csv"), UAT) == fingerprint(home, files("a/*.csv"), PRODUCTION)
    assert fingerprint(home, files("a/*.csv"), UAT) != fingerprint(home, files("b/*.csv"), UAT)


def test_l4_another_landing_is_another_place(home: Path) -> None:
    assert fingerprint(home, files("a.csv"), DEVELOPMENT) == fingerprint(home, files("a.csv"), QA)
    assert fingerprint(home, files("a.csv"), QA) != fingerprint(home, files("a.csv"), UAT)
    assert fingerprint(home, files("/data/a.csv"), QA) == fingerprint(home, files("/data//a.csv"), QA)


def test_l4_a_whole_path_is_the_same_place_everywhere(tmp_path: Path) -> None:
    (tmp_path / "drls.toml").write_text('[environments.uat]\nlanding = "/test/data"\n')
    assert fingerprint(tmp_path, files("/data/a.csv"), UAT) == fingerprint(tmp_path, files("/data/a.csv"), PRODUCTION)
    assert fingerprint(tmp_path, files("a.csv"), UAT) == fingerprint(tmp_path, files("/test/data/a.csv"), PRODUCTION)


def test_l4_connections_are_taken_to_differ_as_long_as_nothing_shows_that_they_do_not(home: Path) -> None:
    source = {"kind": "jdbc", "connection": "sales", "table": "orders"}
    assert fingerprint(home, source, UAT) != fingerprint(home, source, PRODUCTION)
    assert fingerprint(home, source, UAT) == fingerprint(home, source, UAT)


def test_l4_a_connection_is_known_by_host_port_database_and_user_and_not_by_its_password(tmp_path: Path) -> None:
    text = """
[{section}.sales]
driver = "postgresql"
url = "jdbc:postgresql://{url}"
user = "{user}"
password = "env:{variable}"
options = {{ {options} }}
"""
    given = {
        UAT: ("db.example/sales", "reader", "UAT_PASSWORD", ""),
        PRODUCTION: ("DB.example:5432/sales", "reader", "PRODUCTION_PASSWORD", 'connectTimeout = "5"'),
        QA: ("db.example/sales", "other", "UAT_PASSWORD", ""),
    }
    (tmp_path / "drls.toml").write_text(
        text.format(section="connections", url="test.example/sales", user="reader", variable="X", options="")
        + "".join(
            text.format(section=f"environments.{one}.connections", url=url, user=user, variable=name, options=options)
            for one, (url, user, name, options) in given.items()
        )
    )
    source = {"kind": "jdbc", "connection": "sales", "table": "orders"}
    found = {one: fingerprint(tmp_path, source, one) for one in Environment}
    assert found[UAT] == found[PRODUCTION]
    assert len({found[UAT], found[QA], found[DEVELOPMENT]}) == 3
