"""Plots as SVG that the server draws: no script, themed by the style sheet, always with a table of the same numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

_WIDTH, _HEIGHT = 640, 200
_LEFT, _BOTTOM, _TOP = 44, 24, 12
_BAR_LEFT, _BAR_ROW = 0, 26


@dataclass(frozen=True, slots=True)
class Bar:
    """A bar of a plot; `says` is read out and shown on hover, `look` a class of the style sheet."""

    x: float
    y: float
    width: float
    height: float
    label: str
    says: str
    look: str


@dataclass(frozen=True, slots=True)
class Tick:
    """A line of the scale, with its number."""

    at: float
    word: str


@dataclass(frozen=True, slots=True)
class Plot:
    """Upright bars on a scale."""

    width: int
    height: int
    left: int
    floor: float
    bars: tuple[Bar, ...]
    ticks: tuple[Tick, ...]


@dataclass(frozen=True, slots=True)
class Line:
    """A line through points from left to right, on a scale; `points` is what a polyline takes."""

    width: int
    height: int
    left: int
    floor: float
    points: str
    dots: tuple[Bar, ...]
    ticks: tuple[Tick, ...]


@dataclass(frozen=True, slots=True)
class Given:
    """A number to plot, what stands below it, and what is said of it."""

    number: float
    label: str
    says: str
    look: str = ""


def bars(given: Sequence[Given]) -> Plot:
    """Upright bars, from left to right."""
    most = scale_end(max((one.number for one in given), default=0))
    floor = _HEIGHT - _BOTTOM
    room = floor - _TOP
    step = (_WIDTH - _LEFT) / max(len(given), 1)
    width = min(step * 0.7, 64)
    made: list[Bar] = []
    for place, one in enumerate(given):
        # What is there can be seen, however small next to the largest.
        height = max(room * one.number / most, 2) if one.number else 0
        x = _LEFT + step * place + (step - width) / 2
        made.append(
            Bar(_round(x), _round(floor - height), _round(width), _round(height), one.label, one.says, one.look)
        )
    return Plot(_WIDTH, _HEIGHT, _LEFT, floor, tuple(made), _ticks(most, floor, room))


def line(given: Sequence[Given], most: float | None = None) -> Line:
    """A line, from left to right."""
    end = most or scale_end(max((one.number for one in given), default=0))
    floor = _HEIGHT - _BOTTOM
    room = floor - _TOP
    step = (_WIDTH - _LEFT - 16) / max(len(given) - 1, 1)
    dots: list[Bar] = []
    for place, one in enumerate(given):
        x, y = _round(_LEFT + 8 + step * place), _round(floor - room * min(one.number / end, 1))
        dots.append(Bar(x, y, 0, 0, one.label, one.says, one.look))
    points = " ".join(f"{one.x},{one.y}" for one in dots)
    return Line(_WIDTH, _HEIGHT, _LEFT, floor, points, tuple(dots), _ticks(end, floor, room))


def scale_end(most: float) -> float:
    """The next round number: 1, 2 or 5 with zeros."""
    if most <= 0:
        return 1
    power = 10 ** math.floor(math.log10(most))
    return float(next(one * power for one in (1, 2, 5, 10) if one * power >= most))


def share(number: float, most: float) -> int:
    """A number as a part of the largest, in hundredths; something is never nothing."""
    return max(round(100 * number / most), 1) if number > 0 and most > 0 else 0


def _ticks(most: float, floor: float, room: float) -> tuple[Tick, ...]:
    parts = 4 if most >= 4 else max(int(most), 1)
    return tuple(Tick(_round(floor - room * part / parts), _short(most * part / parts)) for part in range(parts + 1))


def _short(number: float) -> str:
    for unit, name in ((1_000_000_000, "G"), (1_000_000, "M"), (1_000, "k")):
        if number >= unit:
            return f"{number / unit:.4g}{name}"
    return f"{number:.4g}"


def _round(number: float) -> float:
    return round(number, 1)
