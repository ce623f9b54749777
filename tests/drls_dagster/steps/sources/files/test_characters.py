"""Half characters in JSON are noticed wherever they are in a file."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from drls_dagster.steps.sources.files.characters import first_half, half_character
from drls_dagster.steps.sources.files.heads import heads_of


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (r'{"a":"\ud83d\ude00"}', None),
        (r'{"a":"\\ud83d"}', None),
        ('{"a":1}\n' + r'{"a":"\ud83dx"}', 2),
        (r'{"a":"\uDE00"}', 1),
        (r'{"a":"\ud83d\n\ude00"}', 1),
        (r'{"a":"\ud83d\ud83d\ude00"}', 1),
        (r'{"a":"\ud83d', 1),
    ],
)
def test_half_of_a_character_in_json_is_noticed(text: str, line: int | None) -> None:
    """Finding 24, F17; failed before: Spark writes a question mark. However the file is cut into pieces."""
    for before in (0, 3000):
        data = (r'{"a":"x\\\ud83d\ude00"}' + "\n").encode() * before + text.encode()
        expected = None if line is None else line + before
        for size in (1, 2, 7, 13, 4096) if not before else (997, 4096):
            pieces = (data[at : at + size] for at in range(0, len(data), size))
            assert first_half(pieces) == expected, size


@pytest.mark.parametrize("name", ["a.json", "a.json.gz"])
def test_all_of_a_file_is_looked_through(tmp_path: Path, name: str) -> None:
    """Failed before: only the first 64 KB were."""
    data = b'{"a": "fine"}\n' * 20_000 + rb'{"a": "\ud83d"}'
    (tmp_path / name).write_bytes(gzip.compress(data) if name.endswith("gz") else data)
    (found,) = heads_of("raw", [(name, str(tmp_path / name))], None, "JSON file")
    assert half_character("raw", found, str(tmp_path / name)) == 20_001
