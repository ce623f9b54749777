from __future__ import annotations

import pytest

from drls_dagster.engine.runner import words_of


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("no room", "ValueError: no room"),
        ("", "ValueError"),
        (
            'ray::work()\n  File "a.py", line 1\n    call()\nray.exceptions.TaskCancelledError: it was cancelled.\n',
            "ray.exceptions.TaskCancelledError: it was cancelled.",
        ),
    ],
)
def test_an_error_of_ray_is_told_in_one_line(text: str, words: str) -> None:
    assert words_of(ValueError(text)) == words
