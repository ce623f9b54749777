"""Schemas of a registry, and of a file: what is hostile is refused by name before anything is made of it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from drls_dagster.connections.opened import OpenedRegistry
from drls_dagster.connections.registry import RegistryConnection
from drls_dagster.errors import DrlsError
from drls_dagster.lakehouse.fingerprints import fingerprint
from drls_dagster.settings import load_settings
from drls_dagster.steps.sources.kafka.avro_schemas import Unusable, checked, columns, digest, marked
from drls_dagster.steps.sources.kafka.registry import MOST_BYTES, Asked
from lifecycle.domain.environment import Environment
from lifecycle.spec import SourceNode
from tests.schema_registry import SchemaRegistry, running_registry

PASSWORD = "kanarienvogel-4c1d"
CLICK = {"type": "record", "name": "Click", "fields": [{"name": "page", "type": "string"}]}


@pytest.fixture
def registry() -> Iterator[SchemaRegistry]:
    with running_registry("reader", PASSWORD) as found:
        yield found


def asked(url: str, password: str | None = PASSWORD) -> Asked:
    user = None if password is None else "reader"
    return Asked(
        "clicks", OpenedRegistry(name="schemas", user=user, password=password, url=url, ca=None, fingerprint="")
    )


def test_it_asks_for_a_version_of_a_subject_and_for_the_schema_of_an_id(registry: SchemaRegistry) -> None:
    number = registry.register("a:b.c-value", CLICK)
    one = asked(registry.url + "/")
    assert json.loads(one.reader("a:b.c-value", 1)) == json.loads(one.writer(number)) == CLICK
    assert registry.asked == ["/subjects/a%3Ab.c-value/versions/1", f"/schemas/ids/{number}"]


@pytest.mark.parametrize(
    ("says", "told"),
    [
        ((302, {"Location": "http://169.254.169.254/"}, b""), "leads to another address"),
        ((301, {"Location": "file:///etc/passwd"}, b""), "leads to another address"),
        ((200, {}, b"<html>"), "does not answer like a registry (status 200)"),
        ((200, {}, b"[" * 100_000), "does not answer like a registry"),
        ((500, {}, b"{}"), "does not answer like a registry (status 500)"),
        ((200, {}, b" " * (MOST_BYTES + 1)), "answers with more than"),
        ((200, {}, b"{}"), "has no text"),
        ((200, {}, b'{"schema": "x", "schemaType": "PROTOBUF"}'), "is no Avro schema"),
        ((200, {}, b'{"schema": "x", "references": [{"name": "other"}]}'), "refers to schemas of other subjects"),
    ],
)
def test_what_a_registry_must_not_answer_is_refused_by_name(
    registry: SchemaRegistry, says: tuple[int, dict[str, str], bytes], told: str
) -> None:
    registry.says["/subjects/s/versions/1"] = says
    with pytest.raises(DrlsError, match=re.escape(told)) as refused:
        asked(registry.url).reader("s", 1)
    assert "the registry 'schemas'" in str(refused.value)
    assert "\n" not in str(refused.value)
    assert registry.asked == ["/subjects/s/versions/1"], "a redirect is not followed"


def test_errors_say_what_to_do_and_not_the_password(registry: SchemaRegistry) -> None:
    with pytest.raises(DrlsError, match="has no version 3 of the subject 's'; correct subject and version"):
        asked(registry.url).reader("s", 3)
    with pytest.raises(DrlsError, match="refuses the user or the password") as wrong:
        asked(registry.url, f"not-{PASSWORD}").reader("s", 1)
    with pytest.raises(DrlsError, match="does not answer") as gone:
        asked("http://127.0.0.1:9").reader("s", 1)
    assert PASSWORD not in str(wrong.value) + str(gone.value) + repr(asked(registry.url))


def nested(levels: int) -> dict[str, Any]:
    """Each type has two fields of the one before it: 2 ** levels fields in a few hundred characters."""
    types: Any = {"type": "record", "name": "T0", "fields": [{"name": "a", "type": "int"}]}
    for level in range(1, levels):
        fields = [{"name": "a", "type": types}, {"name": "b", "type": f"T{level - 1}"}]
        types = {"type": "record", "name": f"T{level}", "fields": fields}
    return types


def chain(links: int) -> dict[str, Any]:
    """Flat as text, and as deep as it has fields."""
    first = {"type": "record", "name": "T0", "fields": [{"name": "a", "type": "int"}]}
    fields: list[dict[str, Any]] = [{"name": "f0", "type": first}]
    for link in range(1, links):
        one = {"type": "record", "name": f"T{link}", "fields": [{"name": "a", "type": f"T{link - 1}"}]}
        fields.append({"name": f"f{link}", "type": one})
    return {"type": "record", "name": "Top", "fields": fields}


SELF = {"type": "record", "name": "n.Self", "fields": [{"name": "next", "type": ["null", "Self"]}]}


@pytest.mark.parametrize(
    ("schema", "told"),
    [
        (nested(20), "fields, nested ones included"),
        (chain(40), "is nested more than 24 levels deep"),
        (SELF, "contains itself, in 'n.Self'"),
        ("string", "is no record"),
        ({"type": "record", "name": "A", "fields": [{"name": "a", "type": "B"}]}, "names a type 'B'"),
        ({"type": "record", "name": "A", "fields": "x"}, "whose fields are no fields"),
        ({"type": "record", "fields": []}, "has a type without a name"),
        ({"type": "record", "name": "A", "fields": [{"name": n, "type": "int"} for n in ("a", "A")]}, "in case alone"),
        ({"type": "record", "name": "A", "fields": []}, "has no fields"),
    ],
)
def test_a_schema_that_spark_could_not_work_with_is_refused(schema: Any, told: str) -> None:
    with pytest.raises(Unusable, match=re.escape(told)):
        checked(json.dumps(schema))


def test_text_that_is_no_schema_is_refused() -> None:
    for text in ("{", "[" * 100_000, '{"type":' * 5_000, " " * 2_000_000):
        with pytest.raises(Unusable):
            checked(text)


def test_spaces_and_the_order_of_keys_do_not_count_and_a_field_does() -> None:
    assert digest(json.dumps(CLICK)) == digest(json.dumps(dict(reversed(CLICK.items())), indent=2))
    text, mark = marked(json.dumps(CLICK))
    assert columns(text) == ("page", mark)
    assert digest(text) != digest(json.dumps(CLICK))


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"url": "file:///etc/passwd"}, "must begin with https:// or http://"),
        ({"url": "gopher://a.example"}, "must begin with https:// or http://"),
        ({"url": "https://"}, "must begin with https:// or http://"),
        ({"url": "https://ada:secret@a.example"}, "url has a user in it"),
        ({"url": "https://a.example/?x=1"}, "more than a host and a path"),
        ({"url": "https://a.example/../b"}, "more than a host and a path"),
        ({"url": "https://a.example:x"}, "url is no address"),
        ({"url": "https://a.example/\nb"}, "must begin with"),
        ({"url": "http://a.example", "user": "a", "password": "env:A"}, "sent in clear text"),
        ({"url": "https://a.example", "user": "a"}, "belong together"),
        ({"url": "https://a.example", "user": "a:b", "password": "env:A"}, "characters that no name of a user needs"),
        ({"url": "https://a.example", "user": "a", "password": PASSWORD}, "pattern"),
        ({"url": "http://a.example", "ca": "/etc/ca.pem"}, "ca belongs to https"),
    ],
)
def test_a_connection_that_could_do_more_than_ask_a_registry_is_refused(more: dict[str, Any], told: str) -> None:
    with pytest.raises(ValidationError, match=re.escape(told)):
        RegistryConnection.model_validate({"kind": "registry", **more})


def test_l4_its_place_has_no_password_and_tells_it_from_others() -> None:
    def place(**more: Any) -> dict[str, Any]:
        made = {"kind": "registry", "url": "https://A.example:443/x/", "user": "a", "password": "env:A"}
        return RegistryConnection.model_validate({**made, **more}).place

    assert place() == {"registry": "https://a.example:443/x", "user": "a"}
    assert place(password="env:B") == place()
    assert place(url="https://b.example") != place() != place(user="b")


def test_l4_a_source_has_the_fingerprint_of_its_brokers_and_its_registry(drls_home: Path) -> None:
    drls_home.mkdir(mode=0o700)
    bus = '[connections.bus]\nkind = "kafka"\nbootstrap_servers = ["a:1"]\nsecurity_protocol = "plaintext"\n'
    schemas = '[{}connections.schemas]\nkind = "registry"\nurl = "https://{}.example"\n'
    text = bus + schemas.format("", "one") + schemas.format("environments.production.", "other")
    (drls_home / "drls.toml").write_text(text)
    settings = load_settings(drls_home)
    source = {"kind": "kafka", "connection": "bus", "topic": "t", "format": "avro"}
    registry = {"connection": "schemas", "subject": "s", "version": 1}

    def found(environment: Environment, **more: Any) -> str:
        return fingerprint(SourceNode.model_validate({"id": "t", "source": {**source, **more}}), settings, environment)

    assert found(Environment.UAT) == found(Environment.PRODUCTION)
    assert found(Environment.UAT, registry=registry) == found(Environment.QA, registry=registry)
    assert found(Environment.UAT, registry=registry) != found(Environment.PRODUCTION, registry=registry)
    assert found(Environment.UAT, registry=registry) != found(Environment.UAT)
