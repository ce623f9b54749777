"""The data of a request: a part of the review page, a page of its own, and the same over REST."""

from __future__ import annotations

import html
import re
import threading
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest

from lifecycle.domain.data_diff import (
    Cell,
    ChangedRow,
    ColumnDiff,
    DataDiff,
    Duplicates,
    RowSample,
    SchemaChange,
    Statistics,
)
from lifecycle.domain.promotion import Promotion
from lifecycle.errors import Unavailable
from tests.lifecycle.app.approvals.given_diff import GivenPlane, T, made
from tests.lifecycle.app.visit import Visit
from tests.lifecycle.life import PRODUCTION, QA, UAT, Life

EVIL = "<script>alert(1)</script>"
Open = Callable[[str | None], Visit]


@pytest.fixture
def plane(tmp_path: Path) -> GivenPlane:
    return GivenPlane(tmp_path / "plane.db")


@pytest.fixture
def life(life: Life, plane: GivenPlane, tmp_path: Path) -> Life:
    return Life(life.store, tmp_path, life.clock, plane=plane)


@pytest.fixture
def promotion(life: Life) -> Promotion:
    version = life.save()
    life.to_uat(version)
    life.run(version, UAT)
    return life.ask(version, PRODUCTION)


def url(promotion: Promotion, table: str = T) -> str:
    return f"/approvals/{promotion.id}/data/{table}"


def text(page: str) -> str:
    """What people read, in one line."""
    return html.unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", page))).replace("\u202f", " ")


def ready(visit: Visit, promotion: Promotion, table: str = T) -> str:
    """The part of the page, when it is computed."""
    pause = threading.Event()
    for _ in range(500):
        answer = visit.get(url(promotion, table), headers={"HX-Request": "true"})
        assert answer.status_code == 200, answer.text
        if 'hx-trigger="load' not in answer.text:
            return answer.text
        pause.wait(0.02)
    raise TimeoutError("not computed within 10 seconds")


def test_the_page_answers_at_once_and_says_how_far_it_is(visit: Open, promotion: Promotion, plane: GivenPlane) -> None:
    lea = visit("lea")
    lea.get(url(promotion))
    pause = threading.Event()
    for _ in range(500):
        part = lea.get(url(promotion), headers={"HX-Request": "true"}).text
        if "reading" in part:
            break
        pause.wait(0.02)
    assert "3 of 12 files, 45 000 rows" in text(part)
    assert f'hx-get="{url(promotion)}" hx-trigger="load delay:1s" hx-target="this" hx-swap="outerHTML"' in part
    assert "<html" not in part
    page = lea.page(url(promotion))
    assert "<html" in page
    assert '<noscript><meta http-equiv="refresh" content="2"></noscript>' in page
    assert f'<a class="button" href="{url(promotion)}">Refresh</a>' in page
    plane.given = made()
    part = ready(lea, promotion)
    assert "hx-get" not in part, "it asks no more"
    assert "http-equiv" not in lea.page(url(promotion))


def test_what_moved_is_said_in_counts_words_columns_and_samples(
    visit: Open, promotion: Promotion, plane: GivenPlane
) -> None:
    plane.given = made()
    part = ready(visit("lea"), promotion)
    said = text(part)
    for words in (
        "what goes live", "+ 5 added", "~ 1 changed", "− 2 removed", "7 unchanged", "column late boolean is new",
        "1 column without differences", "of all rows", "12 empty text 2", "13 NULL 1", "1 more column is not", "7 note b NULL", "and 2 more columns",
        "Rows are matched by id: the sink merges rows by this key; compared on the columns both sides have.",
        "Data files read: 4. Identical on both sides, so skipped: 1.", "snapshot 11", "snapshot 22",
    ):  # fmt: skip
        assert words in said, (words, said)
    assert re.search(r"note\s+string\s+1\s+0\s+→\s+is now\s+4", said), said
    moved, quiet = part.split("<details>")
    assert '>late</span> <span class="tag">new</span>' in moved
    assert "key" not in text(moved.split(">late</span>")[1]), "a new column is no key"
    assert ">id</span>" in quiet.split("</details>")[0]


def test_a_sample_is_called_one_and_its_counts_are_estimates(
    visit: Open, promotion: Promotion, plane: GivenPlane
) -> None:
    plane.given = made(
        fraction=0.1, reason="10 % of the rows, the same by key on both sides, because …", statistics_fraction=0.05,
        statistics_note="of a sample of about 5 % of the rows", distinct_exact=False,
        duplicates_before=Duplicates(), duplicates_after=Duplicates(keys=3, nulls=1),
    )  # fmt: skip
    said = text(ready(visit("lea"), promotion))
    for words in (
        "+ ≈ 50 added (5 in the sample)", "− ≈ 20 removed (2 in the sample)", "Sampled: 10 % of the rows",
        "Column statistics, of a sample of about 5 % of the rows", "Distinct (estimated)",
        "3 keys are duplicated after (UAT)", "1 row has no key after (UAT)",
    ):  # fmt: skip
        assert words in said, (words, said)
    assert "unchanged" not in said, "nobody counted those"


def test_the_headings_of_a_tables_own_page_go_down_one_by_one(visit: Open, promotion: Promotion) -> None:
    page = visit("lea").page(url(promotion))
    levels = [int(level) for level in re.findall(r"<h([1-6])", page)]
    assert levels[:3] == [1, 2, 3]
    assert all(after <= before + 1 for before, after in pairwise(levels))


def test_no_difference_is_said_too(visit: Open, promotion: Promotion, plane: GivenPlane) -> None:
    plane.given = made(
        added=0, removed=0, changed=0, schema_changes=(), added_rows=(), removed_rows=(), changed_rows=()
    )
    assert "No differences in rows or columns." in text(ready(visit("lea"), promotion))


def test_a_failed_comparison_says_why_and_is_tried_again_by_a_click(
    visit: Open, promotion: Promotion, plane: GivenPlane
) -> None:
    plane.given = Unavailable("the comparison took longer than 600 seconds")
    lea = visit("lea")
    part = ready(lea, promotion)
    assert "took longer than 600 seconds" in part
    assert f'href="{url(promotion)}?again=true"' in part
    plane.given = made()
    assert "took longer" in ready(lea, promotion), "a look is no try"
    lea.page(url(promotion) + "?again=true")
    assert "+ 5 added" in text(ready(lea, promotion))


def test_evidence_is_called_evidence(visit: Open, life: Life, plane: GivenPlane) -> None:
    plane.given = made()
    version = life.save()
    life.to_qa(version)
    life.run(version, QA)
    said = text(ready(visit("lea"), life.ask(version, UAT)))
    assert "evidence only" in said
    assert "This is evidence, not what goes live" in said


def test_a2_who_may_not_see_the_pipeline_sees_no_data_and_nobody_none_without_signing_in(
    visit: Open, life: Life, promotion: Promotion, plane: GivenPlane
) -> None:
    plane.given = made()
    nobody = visit(None)
    assert nobody.get(url(promotion)).headers["location"].startswith("/sign-in?back=")
    assert nobody.get("/api" + url(promotion)).status_code == 401
    life.add_person("otto", None)
    with life.store.write(life.as_("adam"), "setup") as unit:
        unit.people.add_grant(
            person_id=life.person("otto"), team_id=None, role="Viewer", scope="pipeline", scope_value="other",
            granted_by=None, revoked_at=None,
        )  # fmt: skip
        unit.audit("grant.added", "person:otto")
    otto = visit("otto")
    for path in (url(promotion), "/api" + url(promotion)):
        answer = otto.get(path)
        assert answer.status_code == 403
        assert "gone" not in answer.text
    lea = visit("lea")
    assert lea.get(url(promotion, "secret.table")).status_code == 404
    assert lea.get("/approvals/99/data/" + T).status_code == 404
    assert lea.get("/approvals/no/data/" + T).status_code == 404
    assert lea.get(url(promotion)).headers["cache-control"] == "no-store"


def test_values_and_names_out_of_data_are_text_and_never_a_page(
    visit: Open, promotion: Promotion, plane: GivenPlane
) -> None:
    tricks = [EVIL, '"><img src=x onerror=alert(1)>', "{{ 7 * 7 }}", "javascript:alert(1)", "' onload='x"]
    evil = "".join(tricks)
    some = Statistics(nulls=0, min=evil, max=evil, distinct=1)
    plane.given = made(
        table=evil, matched_by=evil, keys=(evil,), statistics_note=evil, reason=evil, fraction=0.5,
        schema_changes=tuple(
            SchemaChange(kind=kind, column=evil, before=evil, after=evil)
            for kind in ("added", "removed", "renamed", "retyped", "required", "optional")
        ),
        columns=(
            ColumnDiff(column=evil, type=evil, before=some, after=some.model_copy(update={"nulls": 1}), changed=1),
            ColumnDiff(column=evil, type=evil, before=some, after=some),
        ),
        sample_columns=(evil,), added_rows=(RowSample(values=(evil,)),), removed_rows=(RowSample(values=(evil,)),),
        changed_rows=(ChangedRow(key=(evil,), cells=(Cell(column=evil, before=evil, after=evil),)),),
    )  # fmt: skip
    lea = visit("lea")
    part = ready(lea, promotion)
    assert part.count("&lt;script&gt;alert(1)&lt;/script&gt;") >= 20
    for page in (part, lea.page(url(promotion))):
        assert "<script>alert" not in page
        assert "<img" not in page
        assert "{{ 7 * 7 }}" in html.unescape(page)
        assert not re.search(r"<[^>]*\son\w+=", page)
    plane.given = Unavailable(evil)
    again = lea.get(url(promotion, "flights.late"), headers={"HX-Request": "true"})
    assert "<script>" not in again.text + ready(lea, promotion, "flights.late")
    unknown = lea.get(url(promotion, EVIL.replace("/", "%2F")), headers={"HX-Request": "true"})
    assert unknown.status_code == 404
    assert "<script>" not in unknown.text


def test_a_table_of_a_thousand_columns_is_cut_and_says_so(visit: Open, promotion: Promotion, plane: GivenPlane) -> None:
    some = Statistics(nulls=0)
    columns = tuple(ColumnDiff(column=f"c{number}", type="int", before=some, after=some) for number in range(1000))
    plane.given = made(columns=columns)
    part = ready(visit("lea"), promotion)
    assert "800 more columns are not shown here" in text(part)
    assert part.count('<th scope="row">') == 200


def test_rest_says_accepted_while_it_computes_and_then_all_of_it(
    visit: Open, promotion: Promotion, plane: GivenPlane
) -> None:
    lea = visit("lea")
    answer = lea.get("/api" + url(promotion))
    assert (answer.status_code, answer.headers["retry-after"]) == (202, "1")
    assert answer.json()["progress"]["step"] in ("waiting", "reading")
    plane.given = made()
    ready(lea, promotion)
    answer = lea.get("/api" + url(promotion))
    assert answer.status_code == 200
    assert DataDiff.model_validate(answer.json()["diff"]) == plane.given
    assert answer.json()["meaning"] == "release"
