"""Values in the words and marks that people read: times, sizes, digests, states."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, time, timedelta
from typing import Any

from jinja2 import pass_context
from jinja2.runtime import Context as Shown
from markupsafe import Markup

from lifecycle.app.kit.unseen import reveal
from lifecycle.domain.environment import Environment
from lifecycle.domain.promotion import State

# What people call the environments.
NAMES: dict[Environment, str] = {environment: environment.label for environment in Environment}

# The look and the icon of each state; the word is always next to them.
LOOKS: dict[State, str] = {
    State.REQUESTED: "pending",
    State.APPROVED: "approved",
    State.EXECUTING: "running",
    State.DONE: "active",
    State.REJECTED: "rejected",
    State.WITHDRAWN: "draft",
    State.EXPIRED: "draft",
    State.STALE: "stale",
    State.FAILED: "rejected",
}
# The verbs and the store also answer the command line; where they name a command, a page names a page.
_PAGES_FOR = tuple(
    (re.compile(command), page)
    for command, page in (
        (r"drls pipeline list shows", "the Pipelines page shows"),
        (r"drls approvals list shows", "the Approvals page shows"),
        (r"drls pipeline show \S+ lists", "the pipeline's page lists"),
        (r"drls table list shows", "the Tables page shows"),
        (r"drls table history .+ lists", "its Snapshots view lists"),
        (r"drls table show .+ lists", "its Columns view lists"),
        (r"drls (user|team) list shows", "Settings, People and teams shows"),
        (r"set one with drls policy set \w+", "an Admin can set one in Settings, Policies"),
        (r"sign in with drls login", "sign in"),
    )
)
_UNITS = (("day", 86_400), ("h", 3_600), ("min", 60))


def look(state: State) -> str:
    """Which of the looks in the style sheet a request's state has."""
    return LOOKS[state]


def span(length: timedelta) -> str:
    """A length of time in its largest whole unit: 3 days, 5 h, 12 min."""
    seconds = int(abs(length).total_seconds())
    for unit, size in _UNITS:
        if seconds >= size:
            count = seconds // size
            return f"{count} {unit}{'s' if unit == 'day' and count != 1 else ''}"
    return f"{seconds} s"


def _nearest(length: timedelta) -> str:
    """As `span`, rounded: a request that lives for 7 days says so also a second later."""
    seconds = abs(length).total_seconds()
    for _, size in reversed(_UNITS):
        if round(seconds) >= size:
            seconds = round(seconds / size) * size
    return span(timedelta(seconds=seconds))


@pass_context
def ago(shown: Shown, at: datetime | None) -> Markup | str:
    """How long ago something was, or how long until it is; the exact time (UTC) is in the title."""
    if at is None:
        return "never"
    now: datetime = shown["now"]
    text = f"{span(now - at)} ago" if at <= now else f"in {_nearest(at - now)}"
    exact = at.strftime("%Y-%m-%d %H:%M:%S UTC")
    return Markup('<time datetime="{}" title="{}">{}</time>').format(at.isoformat(), exact, text)


def exact(at: datetime | None) -> str:
    """A moment in UTC, to the minute."""
    return at.strftime("%Y-%m-%d %H:%M UTC") if at else ""


def partition(text: str) -> Markup | str:
    """A partition's key; a range of times as days where it begins and ends at midnight UTC, the key in the title."""
    begin, _, end = text.partition("/")
    try:
        moments = [datetime.fromisoformat(one) for one in (begin, end)]
    except ValueError:
        return text
    if any(one.tzinfo is None for one in moments):
        return text
    utc = [one.astimezone(UTC) for one in moments]
    form = "%Y-%m-%d" if all(one.time() == time() for one in utc) else "%Y-%m-%d %H:%M:%S"
    shown = " to ".join(one.strftime(form) for one in utc)
    return Markup('<span class="nowrap" title="{}">{}</span>').format(text, shown)


def short(digest: str | None) -> str:
    """The first twelve characters of a digest, without its algorithm."""
    return (digest or "").rpartition(":")[2][:12]


def on_page(text: str) -> str:
    """A refusal or a check as a page says it: what to open, where it names a command."""
    for command, page in _PAGES_FOR:
        text = command.sub(page, text)
    return text


def count(number: int | None) -> str:
    """A number in groups of three; a dash where nothing is known."""
    return "–" if number is None else f"{number:,}".replace(",", "\u202f")


def size(number: int | None) -> str:
    """Bytes in the unit that gives at most four digits."""
    if number is None:
        return "–"
    amount = float(number)
    for unit in ("B", "kB", "MB", "GB"):
        if amount < 1_000:
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1_000
    return f"{amount:.1f} TB"


FILTERS: dict[str, Callable[..., Any]] = {
    "ago": ago,
    "exact": exact,
    "short": short,
    "partition": partition,
    "count": count,
    "size": size,
    "span": span,
    "look": look,
    "on_page": on_page,
    "named": NAMES.__getitem__,
    "reveal": reveal,
}
