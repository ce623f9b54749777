"""Comments can hold no script, no picture and no link that does not say where it leads."""

from __future__ import annotations

import re
import time
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lifecycle.app.kit.markdown import answer_to_html, to_html
from lifecycle.usecases.comment_promotion import MAX_COMMENT

TAGS = {
    "p", "br", "em", "strong", "s", "code", "pre", "blockquote", "ul", "ol", "li", "hr", "a", "h4", "h5", "h6",
}  # fmt: skip
ATTRIBUTES = {"a": {"href", "title", "rel"}, "ol": {"start"}, "code": {"class"}}


class Harmless(HTMLParser):
    """Raises AssertionError at the first tag, attribute or address that is not among the few that comments have."""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in TAGS, tag
        for name, value in attrs:
            assert name in ATTRIBUTES.get(tag, set()), (tag, name)
            if name == "href":
                assert re.match(r"(https?|mailto):", value or ""), value
                assert ("rel", "noopener nofollow") in attrs

    def handle_comment(self, data: str) -> None:
        raise AssertionError(data)

    def handle_decl(self, decl: str) -> None:
        raise AssertionError(decl)

    def handle_pi(self, data: str) -> None:
        raise AssertionError(data)


def harmless(text: str) -> str:
    html = str(to_html(text))
    Harmless(convert_charrefs=True).feed(html)
    return html


ATTACKS = [
    "<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "<svg/onload=alert(1)>", "<!-- --><!DOCTYPE x><?php ?>",
    "[x](javascript:alert(1))", "[x](JaVaScRiPt:alert(1))", "[x](java\nscript:alert(1))", "[x](<javascript:alert(1)>)",
    "[x](&#106;avascript:alert(1))", "[x](javascript&colon;alert(1))", "[x](&#x6A;avascript&#58;alert(1))",
    "[x](%6aavascript:alert(1))", "[x](\x01javascript:alert(1))", "[x](data:text/html,<script>alert(1)</script>)",
    "[x](data:text/html;base64,PHNjcmlwdD4=)", "[x](vbscript:msgbox(1))", "[x](file:///etc/passwd)", "[x](/sign-out)",
    "[x](//evil.example)", "[x](\\\\evil.example)", "[x](#a)", "[x](?a=b)", "![x](https://evil.example/pixel.png)",
    "![x](javascript:alert(1))", "![a][b]\n\n[b]: https://evil.example/p.png", "[a][b]\n\n[b]: javascript:alert(1)",
    "<javascript:alert(1)>", "<https://e.example/?\"onclick=alert(1)>", '[x](https://e.example "a" onclick="b")',
    "[x](https://e.example/'onmouseover='alert(1))", '[x](https://e.example "\\" onclick=alert(1) x=\\"")',
    "[![x](javascript:alert(1))](javascript:alert(1))", "[a [b](https://e.example) c](javascript:x)",
    "```\"><script>alert(1)</script>\nx\n```", "``` x\" onload=\"alert(1)\n```", "`<script>alert(1)</script>`",
    "# <script>alert(1)</script>", "> <iframe src=https://e.example>", "- <form action=/approvals/1/approve>",
    "**<b onclick=alert(1)>x</b>**", "<style>*{display:none}</style>", "<a href='https://e.example'>x</a>",
    "~~<script>~~</script>", "\x00<script>\x00alert(1)</script>", "&lt;script&gt;", "[x](mailto:)", "[x](http:)",
    "[x](https://[::1)", "[x]()", "[x](<>)", '[x]("title")', "[a]\n\n[a]: <>", "<base href=//evil.example>", "<meta http-equiv=refresh content=0>",
]  # fmt: skip


@pytest.mark.parametrize("text", ATTACKS)
def test_an_attack_stays_text(text: str) -> None:
    html = harmless(text)
    assert "<script" not in html
    assert "<img" not in html


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.sampled_from([*ATTACKS, "[", "](", ")", "<", ">", '"', "'", "`", "*", "_", "~~", "\n", "\n\n", "> ", "- ", "&", "\\"]),
        max_size=12,
    ).map("".join)
)  # fmt: skip
def test_attacks_put_together_stay_text(text: str) -> None:
    harmless(text)


def test_what_people_write_is_shown_as_they_mean_it() -> None:
    html = harmless(
        "**Looks good**, _but_ ~~no~~:\n\n1. `rows` fell\n2. see <https://e.example/a?b=c&d=e>\n\n"
        "> quoted\n\n```sql\nSELECT 1 < 2\n```\n\n# Title\n\n[mail](mailto:ada@example.org)\nnext line"
    )
    for part in (
        "<strong>Looks good</strong>", "<em>but</em>", "<s>no</s>", "<li><code>rows</code> fell</li>",
        '<a href="https://e.example/a?b=c&amp;d=e" rel="noopener nofollow">', "<blockquote>", "SELECT 1 &lt; 2",
        "<h4>Title</h4>", 'href="mailto:ada@example.org"', "<br",
    ):  # fmt: skip
        assert part in html, part


@pytest.mark.parametrize(
    "unit",
    [
        "[", "](", "[a](", "![", "*", "_a_ ", "*a_ ", "**a ", "`", "` ", "``a`", ">", "> ", "- ", "1. ", "<", "<a ", "&", "&#",
        "\\", "~~", "~~a", "[a]: x\n", "[a][b]", "#", "# ", "\t", "    ", "a\n", "\n> - ", "a**b", "_*", "((", "<https:",
        "[x](<", "[x](https://e.example ", "\n```\n", "| a ", "=\n", "*_[", "&amp;",
    ],
)  # fmt: skip
def test_the_largest_comment_takes_bounded_time(unit: str) -> None:
    text = (unit * MAX_COMMENT)[:MAX_COMMENT]
    begun = time.process_time()
    harmless(text)
    # Processor time: what grows with the square of the text takes minutes.
    assert time.process_time() - begun < 5.0


def test_deep_nesting_ends() -> None:
    for text in ("> " * 5_000 + "x", "".join("  " * depth + "- x\n" for depth in range(90)), "[" * 5_000 + "]" * 5_000):
        html = harmless(text)
        assert html.count("<blockquote>") <= 12
        assert html.count("<ul>") <= 12


@pytest.mark.parametrize(
    "nested",
    [
        "".join("  " * depth + f"- a{depth}\n" for depth in range(9)), "- " * 14 + "a8", "> " * 14 + "a8", "1. > " * 9 + "a8",
    ],
)  # fmt: skip
def test_what_is_nested_too_deep_and_what_follows_it_stays_there(nested: str) -> None:
    html = harmless(f"{nested.rstrip()}\n\nthe **rest** of it")
    assert "a8" in html
    assert "<p>the <strong>rest</strong> of it</p>" in html


class OfAnAnswer(HTMLParser):
    """Raises AssertionError at a tag that answers do not have, and at an address that is no page of this site."""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in TAGS | {"div", "table", "thead", "tbody", "tr", "th", "td"}, tag
        for name, value in attrs:
            assert name in {"href", "title", "rel", "start", "class", "tabindex", "role", "aria-label"}, (tag, name)
            if name == "href":
                assert re.match(r"/(pipelines|approvals|environments|drifts|chats|dagster)/", value or ""), value


@pytest.mark.parametrize("text", ATTACKS)
def test_an_answer_of_a_model_links_to_no_other_site_and_to_nothing_that_acts(text: str) -> None:
    html = str(answer_to_html(f"{text}\n\n| a |\n|:-:|\n| {text} |"))
    OfAnAnswer(convert_charrefs=True).feed(html)
    assert "<a " not in html


def test_an_answer_links_to_pages_of_this_site_and_has_tables() -> None:
    html = answer_to_html("[f](/pipelines/flights) [r](/dagster/runs/1a) [no](/pipelines/x?y=z)\n\n| n |\n|--:|\n| 1 |")
    assert '<a href="/pipelines/flights" rel="noopener nofollow">f</a>' in html
    assert '<a href="/dagster/runs/1a" rel="noopener nofollow">r</a>' in html
    assert "[no](/pipelines/x?y=z)" in html
    assert "<td>1</td>" in html


def test_nothing_in_an_answer_is_invisible() -> None:
    assert answer_to_html("a\u202eb\u200b") == "<p>a⟨U+202E⟩b⟨U+200B⟩</p>\n"
