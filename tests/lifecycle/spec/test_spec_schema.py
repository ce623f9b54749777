"""The JSON Schema accepts what the reader accepts, and tells an editor what is wrong."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from lifecycle.spec import json_schema, load_pipeline
from lifecycle.spec.reading import read_text


def plain(file: Path) -> Any:
    return json.loads(json.dumps(read_text(file.read_text()), default=str))


def validator() -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator(json_schema())


def test_the_schema_is_a_json_schema() -> None:
    schema = json_schema()
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    jsonschema.Draft202012Validator.check_schema(schema)
    json.dumps(schema)


def test_the_examples_keep_to_the_schema(example: Path, all_kinds: Path) -> None:
    for file in (example, all_kinds):
        validator().validate(plain(file))
        data = load_pipeline(file).model_dump(mode="json", by_alias=True, exclude_defaults=True)
        validator().validate(data)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (["nmae"], "x"),
        (["nodes", 0, "type"], "sorce"),
        (["nodes", 0, "source", "kind"], "file"),
        (["nodes", 2, "output_schema"], {}),
        (["nodes", 3, "mode"], "overwrit"),
        (["nodes", 3, "partition_by"], [3]),
        (["nodes", 4, "checks", 0, "kind"], "rowcount"),
        (["edges", 0, "from"], "A B"),
        (["run", "retries", "delay"], "soon"),
    ],
)
def test_an_editor_is_told_what_is_wrong(example: Path, path: list[str | int], value: object) -> None:
    data = plain(example)
    place: Any = data
    for part in path[:-1]:
        place = place[part]
    place[path[-1]] = value
    assert list(validator().iter_errors(data))


def test_the_schema_of_one_caller_is_not_changed_by_another() -> None:
    json_schema()["properties"].clear()
    assert json_schema()["properties"]
