"""Why a run ended as it did: what failed, the last good run, what changed since, and what to do."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from enum import StrEnum

from lifecycle.domain.environment import Environment
from lifecycle.domain.model import Frozen
from lifecycle.domain.run_facts import Ending, FailedCheck, RunFacts
from lifecycle.domain.spec_diff import FieldDiff, SpecDiff

_MOST = 12  # changes of one kind
_LONGEST = 300
_LINES = 8  # of a changed text
_MEMORY = re.compile(r"OutOfMemory|out of memory|Java heap space|\bOOM|exit code 137\b", re.IGNORECASE)
_TIME = re.compile(r"timed? ?out|timeout|deadline exceeded|exceeded (?:its|the) maximum run", re.IGNORECASE)
_KILLED = re.compile(
    r"unexpectedly|was killed|SIGKILL|declared dead|is gone|worker (?:has )?(?:died|failed)|exit code -?\d+",
    re.IGNORECASE,
)


class Cause(StrEnum):
    """What kind of ending it was."""

    NONE = "none"
    CHECK = "check failed"
    ERROR = "error"
    REFUSED = "refused by the gate"
    CANCELLED = "cancelled"
    MEMORY = "out of memory"
    TIME = "timed out"
    KILLED = "killed"


class Change(Frozen):
    """Something that is otherwise than in the last good run."""

    kind: str  # code, data, schema or tools
    what: str


class GoodRun(Frozen):
    """The last run of the pipeline in this environment that succeeded."""

    run_id: str
    version: str
    ended: datetime | None


class Explanation(Frozen):
    """The answer, short. `said` is the error in one line; `checks` are the failed ones with their first bad rows."""

    run_id: str
    pipeline: str
    environment: Environment | None
    version: str
    by: str | None
    partition: str | None
    state: Ending
    cause: Cause
    summary: str
    step: str | None = None
    node: str | None = None
    said: str | None = None
    checks: tuple[FailedCheck, ...] = ()
    ended: datetime | None = None
    last_good: GoodRun | None = None
    changed: tuple[Change, ...] = ()
    todo: tuple[str, ...] = ()


def cause_of(facts: RunFacts) -> Cause:
    """By what the run itself says first, then by what ended its process."""
    if facts.ending is Ending.REFUSED:
        return Cause.REFUSED
    if facts.ending is Ending.CANCELLED:
        return Cause.CANCELLED
    if facts.ending is not Ending.FAILED:
        return Cause.NONE
    if any(one.blocking for one in facts.failed_checks):
        return Cause.CHECK
    text = " ".join([*(one.message for one in facts.failures), *facts.said])
    if not facts.failures and "terminated by signal" in text:
        # Dagster guesses that memory was short; a person can send the signal as well.
        return Cause.KILLED
    for cause, pattern in ((Cause.MEMORY, _MEMORY), (Cause.TIME, _TIME)):
        if pattern.search(text):
            return cause
    if not facts.failures and _KILLED.search(text):
        return Cause.KILLED
    return Cause.ERROR


def error_of(facts: RunFacts) -> str:
    """The first error in one line; empty for a run without any."""
    told = facts.failures[0].message if facts.failures else facts.said[-1] if facts.said else ""
    return one_line(told)


def changes_since(
    before: RunFacts, now: RunFacts, code: SpecDiff | None, versions: tuple[str, str]
) -> tuple[Change, ...]:
    """What is otherwise than in the run `before`; `code` is None where a version's spec is not known."""
    kinds: tuple[tuple[str, Iterator[str]], ...] = (
        ("code", _code(before, now, code, versions)),
        ("schema", _schema(before, now)),
        ("data", _data(before, now)),
        ("tools", _tools(before, now)),
    )
    found: list[Change] = []
    for kind, lines in kinds:
        all_lines = list(lines)
        found += [Change(kind=kind, what=line) for line in all_lines[:_MOST]]
        if len(all_lines) > _MOST:
            found.append(Change(kind=kind, what=f"and {len(all_lines) - _MOST} more"))
    return tuple(found)


def one_line(text: str, most: int = _LONGEST * 3) -> str:
    plain = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    return plain if len(plain) <= most else f"{plain[: most - 1]}…"


def _code(before: RunFacts, now: RunFacts, diff: SpecDiff | None, versions: tuple[str, str]) -> Iterator[str]:
    if diff is None:
        old, new = ({part.digest for part in one.parts} for one in (before, now))
        if old != new:
            yield f"the definition is not the same ({versions[0]} → {versions[1]}), and one of them was never saved"
        return
    for field in diff.pipeline:
        yield f"pipeline, {_field(field)}"
    for node in diff.nodes:
        if node.change == "changed":
            yield from (f"node {node.node}, {_field(field)}" for field in node.fields)
        else:
            yield f"node {node.node} was {node.change}"
    for edge in diff.edges_added:
        yield f"edge {edge} was added"
    for edge in diff.edges_removed:
        yield f"edge {edge} was removed"


def _field(diff: FieldDiff) -> str:
    if diff.lines:
        changed = [one for one in diff.lines if one[:1] in "+-" and one[1:].strip()]
        return f"{diff.field}: " + one_line(" | ".join(changed[:_LINES]), _LONGEST)
    return f"{diff.field}: {one_line(repr(diff.before), 120)} → {one_line(repr(diff.after), 120)}"


def _schema(before: RunFacts, now: RunFacts) -> Iterator[str]:
    sources = ({name: seen.columns for name, seen in one.sources.items() if seen.columns} for one in (before, now))
    old_sources, new_sources = sources
    yield from _columns(old_sources, new_sources, "source")
    yield from _columns(before.columns, now.columns, "node")


def _columns(before: Mapping[str, Mapping[str, str]], now: Mapping[str, Mapping[str, str]], kind: str) -> Iterator[str]:
    for name in sorted(before.keys() & now.keys()):
        old, new = before[name], now[name]
        for column in sorted(old.keys() - new.keys()):
            yield f"{kind} {name}: column {column} ({old[column]}) is gone"
        for column in sorted(new.keys() - old.keys()):
            yield f"{kind} {name}: column {column} ({new[column]}) is new"
        for column in sorted(old.keys() & new.keys()):
            if old[column] != new[column]:
                yield f"{kind} {name}: column {column} was {old[column]}, is {new[column]}"


def _data(before: RunFacts, now: RunFacts) -> Iterator[str]:
    for name in sorted(now.sources):
        new, old = now.sources[name], before.sources.get(name)
        if old is None or (old.what, old.files) == (new.what, new.files):
            continue
        if old.files or new.files:
            yield f"source {name}: {_files(old.files, new.files)}"
        else:
            rows = "" if old.rows is None or new.rows is None else f", {new.rows - old.rows:+,} rows ({new.rows:,} now)"
            yield f"source {name}: {old.what} → {new.what}{rows}"
    if before.partition != now.partition:
        yield f"partition {before.partition or 'none'} → {now.partition or 'none'}"


def _files(old: Mapping[str, str], new: Mapping[str, str]) -> str:
    added, gone = sorted(new.keys() - old.keys()), sorted(old.keys() - new.keys())
    changed = sorted(name for name in old.keys() & new.keys() if old[name] != new[name])
    told = [f"{_some(names)} {verb}" for names, verb in ((added, "new"), (changed, "changed"), (gone, "gone")) if names]
    return ", ".join(told)


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(one_line(name, 100) for name in names[:3])
    return f"{len(names)} file(s) ({shown}{', …' if len(names) > 3 else ''})"


def _tools(before: RunFacts, now: RunFacts) -> Iterator[str]:
    if before.tools and now.tools:
        for name in sorted(before.tools.keys() | now.tools.keys()):
            old, new = before.tools.get(name), now.tools.get(name)
            if old != new:
                yield f"{name} {old or 'none'} → {new or 'none'}"
