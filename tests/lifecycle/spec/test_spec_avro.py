"""The schema that a source's messages in Avro are read by: named by the version, and in its own folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lifecycle.spec import (
    PipelineSpec,
    SpecError,
    check_definition,
    content_digest,
    digest,
    resolve_lock,
    subtree_digest,
)

KAFKA = {"kind": "kafka", "connection": "bus", "topic": "clicks", "format": "avro"}
REGISTRY = {"connection": "schemas", "subject": "shop.clicks-value", "version": 3}


def made(**source: Any) -> PipelineSpec:
    return check_definition(
        {
            "format_version": 1,
            "name": "avro",
            "nodes": [
                {"id": "clicks", "type": "source", "source": {**KAFKA, **source}},
                {"id": "out", "type": "sink", "table": "a.out", "mode": "append"},
            ],
            "edges": [{"from": "clicks", "to": "out"}],
        }
    )


def test_a_registry_is_a_connection_of_the_source() -> None:
    assert made(registry=REGISTRY).sources[0].source.connections == ("bus", "schemas")
    assert made(schema_file="click.avsc").sources[0].source.connections == ("bus",)
    assert digest(made(registry=REGISTRY)) != digest(made(registry={**REGISTRY, "version": 4}))


@pytest.mark.parametrize(
    "source",
    [
        {"registry": {**REGISTRY, "subject": "../../config"}},
        {"registry": {**REGISTRY, "subject": "a/versions/1?x="}},
        {"registry": {**REGISTRY, "subject": "a\r\nHost: b"}},
        {"registry": {**REGISTRY, "subject": ".."}},
        {"registry": {**REGISTRY, "version": "latest"}},
        {"registry": {**REGISTRY, "version": 0}},
        {"registry": {**REGISTRY, "connection": "https://evil.example"}},
        {"registry": {**REGISTRY, "url": "file:///etc/passwd"}},
        {"registry": REGISTRY, "schema_file": "click.avsc"},
        {"schema_file": "../click.avsc"},
        {"schema_file": "/etc/passwd"},
        {"schema_file": ".git/config"},
        {"schema_file": "file:///etc/passwd"},
        {"schema_file": "click.avsc", "format": "json", "schema": {"a": "string"}},
    ],
)
def test_what_leads_elsewhere_is_refused(source: dict[str, Any]) -> None:
    with pytest.raises(SpecError, match="clicks"):
        made(**source)


def test_l2_a_file_is_kept_with_the_version_and_decides_what_comes_of_the_source(tmp_path: Path) -> None:
    (tmp_path / "schemas").mkdir()
    file = tmp_path / "schemas/click.avsc"
    spec, digests = made(schema_file="schemas/click.avsc"), set[str]()
    for text in ("{}", "[]"):
        file.write_text(text)
        locked = resolve_lock(spec, [tmp_path])
        assert locked.lock is not None
        assert locked.lock.files == {"schemas/click.avsc": content_digest(text.encode())}
        assert locked.lock.files_of(["clicks"]) == locked.lock.files
        digests.add(subtree_digest(locked, "out"))
    assert len(digests) == 2


def test_a_file_that_is_a_link_or_lies_behind_one_or_is_none_is_refused(tmp_path: Path) -> None:
    own, other = tmp_path / "own", tmp_path / "other"
    own.mkdir()
    other.mkdir()
    (other / "click.avsc").write_text("{}")
    (own / "click.avsc").symlink_to(other / "click.avsc")
    (own / "schemas").symlink_to(other)
    for name in ("click.avsc", "schemas/click.avsc"):
        with pytest.raises(SpecError, match="is a link"):
            resolve_lock(made(schema_file=name), [own])
    with pytest.raises(SpecError, match=r"there is no file 'other\.avsc'"):
        resolve_lock(made(schema_file="other.avsc"), [own])
