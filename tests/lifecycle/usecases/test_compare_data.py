"""What a request changes in a table: which two snapshots, computed once, and what happens when that fails."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from lifecycle.domain.data_diff import DataDiff, DiffLimits, DiffStep, Progress, RowKey, Side, Watch
from lifecycle.domain.environment import Environment
from lifecycle.domain.promotion import Promotion
from lifecycle.errors import DrlsError, Forbidden, NotFound, TooMany, Unavailable
from lifecycle.spec import PipelineSpec
from lifecycle.usecases.break_glass import break_glass
from lifecycle.usecases.compare_data import DataComparison, Meaning, compare_data
from lifecycle.usecases.parts.comparisons import Asked, Comparisons, Standing
from tests.fakes.plane import FakePlane
from tests.lifecycle.life import PRODUCTION, QA, UAT, Life, make_spec

T = "flights.daily"


@pytest.fixture(params=["sqlite"])
def database(request: pytest.FixtureRequest) -> str:
    return request.param


def until(done: Callable[[], bool]) -> None:
    pause = threading.Event()
    for _ in range(500):
        if done():
            return
        pause.wait(0.02)
    raise TimeoutError("not within 10 seconds")


def compared(life: Life, promotion: Promotion, table: str = T, by: str = "lea") -> DataComparison:
    found: list[DataComparison] = []

    def over() -> bool:
        found.append(compare_data(life.ctx, life.as_(by), promotion.id, table))
        return found[-1].progress is None

    until(over)
    return found[-1]


class SlowPlane(FakePlane):
    """Compares when it is told to, and counts how often it did."""

    def __init__(self, file: Path) -> None:
        super().__init__(file)
        self.go_on = threading.Event()
        self.begun = 0
        self.at = Progress(step=DiffStep.PLANNING)
        self.breaks: Exception | None = None

    def compare(
        self, table: str, before: Side, after: Side, keys: Sequence[RowKey], limits: DiffLimits, watch: Watch
    ) -> DataDiff:
        self.begun += 1
        while not self.go_on.wait(0.01):
            watch(self.at)
        if self.breaks is not None:
            raise self.breaks
        return super().compare(table, before, after, keys, limits, watch)


@pytest.fixture
def slow(tmp_path: Path) -> Iterator[SlowPlane]:
    plane = SlowPlane(tmp_path / "slow.db")
    yield plane
    plane.go_on.set()


def asked(plane: FakePlane) -> Asked:
    base = plane.commit(T)
    before, after = Side(environment=PRODUCTION, snapshot=base), Side(environment=UAT, snapshot=plane.write(T, base))
    return Asked(table=T, before=before, after=after)


def over(comparisons: Comparisons, plane: FakePlane, what: Asked) -> Standing:
    until(lambda: comparisons.ask(plane, what).progress is None)
    return comparisons.ask(plane, what)


def test_l3_what_goes_live_is_compared_by_the_snapshots_that_the_plan_names(life: Life) -> None:
    version = life.save()
    life.to_uat(version)
    life.run(version, UAT)
    promotion = life.ask(version, PRODUCTION)
    (planned, _) = promotion.plan.tables
    assert planned.candidate is not None
    life.run(version, UAT)
    found = compared(life, promotion)
    assert found.meaning is Meaning.RELEASE
    assert found.before == Side(environment=PRODUCTION, snapshot=planned.base)
    assert found.after == Side(environment=UAT, snapshot=planned.candidate), "not what ran since"
    assert found.diff is not None
    assert (found.diff.added, found.diff.removed) == (1, 0)
    assert "every row is added" in found.note, "production has no such table yet"


def test_a_check_of_the_version_that_rows_are_unique_tells_which_of_them_changed(life: Life) -> None:
    plain = make_spec()
    nodes = [node.model_dump(by_alias=True) for node in plain.nodes]
    (monitor,) = (node for node in nodes if node["id"] == "checks0")
    monitor["checks"] = [*monitor["checks"], {"kind": "unique", "columns": ["id"], "severity": "warn"}]
    version = life.save(PipelineSpec.model_validate({**plain.model_dump(by_alias=True), "nodes": nodes}))
    life.to_uat(version)
    life.run(version, UAT)
    promotion = life.ask(version, PRODUCTION)
    diff = compared(life, promotion).diff
    assert diff is not None
    assert diff.keys == ("id",)
    assert diff.matched_by == "rows are matched by id: the check checks0.unique_id says it is unique"
    other = compared(life, promotion, "flights.late").diff
    assert other is not None
    assert other.keys == (), "that is no promise of the other table"


def test_l4_where_code_alone_goes_live_the_data_is_shown_as_evidence_and_called_so(life: Life) -> None:
    version = life.save()
    life.to_qa(version)
    life.run(version, QA)
    promotion = life.ask(version, UAT)
    assert promotion.plan.tables[0].candidate is None
    found = compared(life, promotion)
    assert found.meaning is Meaning.EVIDENCE
    assert "This is evidence, not what goes live" in found.note
    assert found.after == Side(environment=QA, snapshot=life.plane.head(T, "qa"))
    assert found.before == Side(environment=UAT, snapshot=life.plane.table(T, UAT).head)


def test_l7_a_release_without_evidence_has_nothing_to_compare_and_says_why(life: Life) -> None:
    life.to_production(life.save())
    second = life.save(make_spec(rows=2))
    promotion = break_glass(life.ctx, life.as_("lea"), "flights", second.number, PRODUCTION, reason="it burns")
    found = compared(life, promotion)
    assert (found.meaning, found.diff, found.progress) == (Meaning.NOTHING, None, None)
    assert "without evidence" in found.note


def test_a2_only_who_sees_the_pipeline_sees_its_data(life: Life) -> None:
    version = life.save()
    life.to_qa(version)
    life.run(version, QA)
    promotion = life.ask(version, UAT)
    life.add_person("nobody", None)
    with pytest.raises(Forbidden, match="looking at data"):
        compare_data(life.ctx, life.as_("nobody"), promotion.id, T)
    with pytest.raises(NotFound, match=f"request {promotion.id} has no table other.secrets"):
        compare_data(life.ctx, life.as_("lea"), promotion.id, "other.secrets")
    with pytest.raises(NotFound):
        compare_data(life.ctx, life.as_("lea"), 999, T)


def test_two_who_ask_at_once_wait_for_one_computation(slow: SlowPlane) -> None:
    comparisons, what = Comparisons(), asked(slow)
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda _: comparisons.ask(slow, what), range(8)))
    assert all(answer.progress is not None for answer in answers)
    slow.go_on.set()
    assert over(comparisons, slow, what).diff is not None
    assert slow.begun == 1


def test_what_was_found_once_is_kept_for_the_next_process_and_for_no_other_eyes(tmp_path: Path) -> None:
    plane, folder = FakePlane(tmp_path / "plane.db"), tmp_path / "home" / "data-diff"
    what = asked(plane)
    first = over(Comparisons(folder=folder), plane, what)
    (file,) = folder.glob("*.json")
    assert (folder.stat().st_mode & 0o777, file.stat().st_mode & 0o777) == (0o700, 0o600)
    plane.expire(T, [what.before.snapshot or 0])
    assert Comparisons(folder=folder).ask(plane, what) == first, "from the file, at once"
    other_limits = Comparisons(DiffLimits(rows=5), folder)
    assert "no longer has snapshot" in (over(other_limits, plane, what).failed or ""), "found under other limits"


def test_processes_that_share_the_folder_compute_it_once_and_all_show_how_far_it_is(
    slow: SlowPlane, tmp_path: Path
) -> None:
    one, other = (Comparisons(folder=tmp_path / "data-diff") for _ in range(2))
    what = asked(slow)
    one.ask(slow, what)
    until(lambda: slow.begun == 1)
    slow.at = Progress(step=DiffStep.READING, files=3, of=12)
    until(lambda: other.ask(slow, what).progress == slow.at)
    slow.go_on.set()
    until(lambda: other.ask(slow, what).diff is not None)
    assert one.ask(slow, what) == other.ask(slow, what)
    assert slow.begun == 1
    until(lambda: not list(tmp_path.glob("data-diff/*.progress")))


def test_a_process_that_ends_leaves_its_turn_to_the_next(slow: SlowPlane, tmp_path: Path) -> None:
    one, other = (Comparisons(folder=tmp_path / "data-diff") for _ in range(2))
    what = asked(slow)
    one.ask(slow, what)
    until(lambda: slow.begun == 1)
    other.ask(slow, what)
    one.close()
    until(lambda: slow.begun == 2)
    slow.go_on.set()
    assert over(other, slow, what).diff is not None


def test_a_file_that_was_cut_short_is_computed_again(tmp_path: Path) -> None:
    plane, folder = FakePlane(tmp_path / "plane.db"), tmp_path / "data-diff"
    what = asked(plane)
    first = over(Comparisons(folder=folder), plane, what)
    (file,) = folder.glob("*.json")
    file.write_text(file.read_text()[:100])
    assert over(Comparisons(folder=folder), plane, what) == first


def test_a_folder_that_cannot_be_written_costs_only_the_keeping(tmp_path: Path) -> None:
    plane = FakePlane(tmp_path / "plane.db")
    (tmp_path / "taken").write_text("a file")
    assert over(Comparisons(folder=tmp_path / "taken"), plane, asked(plane)).diff is not None


def test_a_comparison_that_failed_says_why_until_somebody_tries_again(slow: SlowPlane) -> None:
    comparisons, what = Comparisons(), asked(slow)
    slow.breaks = Unavailable("the warehouse does not answer")
    slow.go_on.set()
    assert over(comparisons, slow, what).failed == "the warehouse does not answer"
    assert comparisons.ask(slow, what).failed == "the warehouse does not answer"
    assert slow.begun == 1, "looking is not trying again"
    slow.breaks = None
    assert comparisons.ask(slow, what, again=True).failed is None
    assert over(comparisons, slow, what).diff is not None


def test_a_bug_is_told_without_its_insides(slow: SlowPlane, caplog: pytest.LogCaptureFixture) -> None:
    slow.breaks = ValueError("secret=hunter2")
    slow.go_on.set()
    failed = over(Comparisons(), slow, asked(slow)).failed
    assert failed == "this is a bug in DRLS; the server's log has the details"
    assert "hunter2" in caplog.text


def test_closing_ends_what_is_computed_and_what_waits(slow: SlowPlane) -> None:
    comparisons = Comparisons()
    several = [asked(slow) for _ in range(3)]
    for what in several:
        comparisons.ask(slow, what)
    until(lambda: slow.begun == 1)
    comparisons.close()
    assert [comparisons.ask(slow, what).failed for what in several] == ["the server is being stopped"] * 3
    assert slow.begun == 1


def test_too_many_that_wait_are_refused(slow: SlowPlane) -> None:
    comparisons = Comparisons()
    for _ in range(32):
        comparisons.ask(slow, asked(slow))
    with pytest.raises(TooMany, match="32 data comparisons"):
        comparisons.ask(slow, asked(slow))
    slow.go_on.set()


def test_an_unreachable_catalog_is_an_error_of_who_asks(life: Life, monkeypatch: pytest.MonkeyPatch) -> None:
    version = life.save()
    life.to_qa(version)
    life.run(version, QA)
    promotion = life.ask(version, UAT)

    def gone(table: str, environment: Environment) -> None:
        raise Unavailable("the catalog does not answer")

    monkeypatch.setattr(life.plane, "table", gone)
    with pytest.raises(DrlsError, match="does not answer"):
        compare_data(life.ctx, life.as_("lea"), promotion.id, T)
