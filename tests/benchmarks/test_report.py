"""A line that misses what is wanted says so, in the table, in the JSON and by the exit code."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from benchmarks import __main__ as program
from benchmarks import bench_help
from benchmarks.report import Line, Side, at_least, at_most, show, write_json

FAST = Side("fast", (1.0, 3.0, 2.0))
SLOW = Side("slow", (9.0, 10.0, 11.0))


def test_the_ratio_is_of_the_medians() -> None:
    assert Line("b", "w", FAST, SLOW).ratio == 5


@pytest.mark.parametrize(("factor", "ok"), [(5, True), (5.01, False)])
def test_at_least(factor: float, ok: bool) -> None:
    assert at_least("b", "w", FAST, SLOW, factor).ok is ok


@pytest.mark.parametrize(("limit", "ok"), [(2.0, True), (1.9, False)])
def test_at_most(limit: float, ok: bool) -> None:
    assert at_most("b", "w", FAST, SLOW, limit, "").ok is ok


def test_the_table_shows_median_spread_and_what_was_missed() -> None:
    out = io.StringIO()
    show([at_least("b", "w", FAST, SLOW, 6)], Console(file=out, width=200))
    for text in ("2.00 s (1.00–3.00)", "10.00 s (9.00–11.00)", "5.00", "≥ 6 ×", "MISSED"):
        assert text in out.getvalue()


def test_the_json_has_every_repetition(tmp_path: Path) -> None:
    write_json([Line("b", "w", FAST, SLOW)], {"x": "broke"}, {"cores": 2}, tmp_path / "new" / "r.json")
    found = json.loads((tmp_path / "new" / "r.json").read_text())
    assert found["lines"][0]["a"] == {"what": "fast", "values": [1.0, 3.0, 2.0], "unit": "s"}
    assert (found["lines"][0]["ratio"], found["failures"], found["machine"]) == (
        5,
        {"x": "broke"},
        {"cores": 2},
    )


@pytest.mark.parametrize(("factor", "code"), [(5, 0), (6, 1)])
def test_the_exit_code_says_whether_something_was_missed(
    factor: float,
    code: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(bench_help, "run", lambda _: [at_least("b", "w", FAST, SLOW, factor)])
    monkeypatch.setattr(program, "Lab", FakeLab)
    monkeypatch.setattr("sys.argv", ["benchmarks", "help", "--json", str(tmp_path / "r.json")])
    monkeypatch.setattr(program.signal, "signal", lambda *_: None)
    assert program.main() == code
    assert ("MISSED b, w" in capsys.readouterr().out) == bool(code)


def test_a_benchmark_that_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["benchmarks", "speed"])
    with pytest.raises(SystemExit, match="2"):
        program.main()


class FakeLab:
    def __init__(self, **_: object) -> None:
        pass

    def __enter__(self) -> FakeLab:
        return self

    def __exit__(self, *_: object) -> None:
        pass
