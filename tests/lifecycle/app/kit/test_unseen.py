"""What nobody would see is seen: a text that is decided about reads as it runs."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from lifecycle.app.kit.spec.highlight import highlight
from lifecycle.app.kit.unseen import reveal
from tests.lifecycle.app.visit import Visit
from tests.lifecycle.life import Life, make_spec

MARK = '<span class="tok-hidden" title="an invisible character">U+{}</span>'


@pytest.mark.parametrize(
    ("text", "number"),
    [("a\u202eb", "202E"), ("\u2066", "2066"), ("ad\u200bmin", "200B"), ("id\u200d", "200D"), ("\ufeff1", "FEFF"), ("\x1b[2K", "001B")],
)  # fmt: skip
def test_what_turns_or_hides_a_text_stands_as_its_number(text: str, number: str) -> None:
    assert MARK.format(number) in reveal(text)


@pytest.mark.parametrize(
    "text",
    [
        "\u0645\u0631\u062d\u0628\u0627",
        "e\u0301",
        "\U0001f469\u200d\U0001f52c",
        "a\tb\n",
        "\u0646\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",
        "日本",
    ],
)
def test_what_people_write_stays_as_it_is(text: str) -> None:
    assert reveal(text) == text


def test_it_stays_text() -> None:
    assert reveal("<b>\u202e</b>") == f"&lt;b&gt;{MARK.format('202E')}&lt;/b&gt;"


@pytest.mark.parametrize("language", ["sql", "yaml", ""])
def test_no_line_of_code_hides_anything(language: str) -> None:
    lines = highlight("SELECT 1 -- \u202e 0 \u2066\nFROM ad\u200bmin", language)
    assert len(lines) == 2
    assert MARK.format("202E") in lines[0]
    assert MARK.format("200B") in lines[1]


def test_a_reviewer_sees_what_the_sql_hides(life: Life, visit: Callable[[str], Visit]) -> None:
    life.save()
    turned = make_spec().model_dump(mode="json", by_alias=True, exclude_none=True)
    turned["nodes"][1]["sql"] = "SELECT * FROM raw -- \u202e only the first"
    turned["description"] = "turned"
    life.save(type(make_spec()).model_validate(turned))
    page = visit("lea").page("/pipelines/flights/compare/1/2")
    assert "\u202e" not in page
    assert MARK.format("202E") in page
