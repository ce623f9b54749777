"""A policy in sentences: what it asks of a promotion, for who is about to ask and for who sets it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from lifecycle.domain.policy import Policy
from lifecycle.domain.quorum import Clause, Quorum
from lifecycle.domain.roles import Role
from lifecycle.domain.windows import Window

_DAYS = {"MO": 0, "TU": 1, "WE": 2, "TH": 3, "FR": 4, "SA": 5, "SU": 6}
_SHORT = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_WEEK = timedelta(days=7)
_UNITS = (("day", 86_400), ("h", 3_600), ("min", 60), ("s", 1))


def policy_words(policy: Policy) -> tuple[str, ...]:
    """What `policy` means, a sentence each, the most important first."""
    return tuple(_sentences(policy))


def quorum_words(quorum: Quorum) -> str:
    """A quorum as people say it: `1 LeadDataEngineer or Admin`, `2 of team risk`."""
    joined = [" and ".join(clause_words(clause) for clause in clauses) for clauses in quorum.alternatives]
    return ", or ".join(joined)


def clause_words(clause: Clause) -> str:
    """One part of a quorum, with how many people it asks for."""
    if clause.person is not None:
        return clause.person
    return f"{clause.count} {'of ' if clause.team is not None else ''}{who_words(clause)}"


def who_words(clause: Clause) -> str:
    """Whom one part of a quorum asks for: `LeadDataEngineer or Admin`, `team risk`, `lea`."""
    if clause.role is not None:
        return " or ".join(role.value for role in Role if role.includes(clause.role))
    return f"team {clause.team}" if clause.team is not None else f"{clause.person}"


def long(length: timedelta) -> str:
    """A length of time, exactly, in the largest unit that divides it: 7 days, 36 h, 90 min."""
    seconds = int(length.total_seconds())
    name, size = next((name, size) for name, size in _UNITS if seconds % size == 0)
    number = seconds // size
    return f"{number} {name}{'s' if name == 'day' and number != 1 else ''}"


def _sentences(policy: Policy) -> Iterable[str]:
    solo = policy.approvals == "solo"
    independent = "" if solo else ", excluding contributors and the requester"
    yield f"Needs {quorum_words(policy.parsed_quorum)}{independent}."
    if solo:
        yield "People may approve their own work; such a release stays marked unreviewed."
    yield f"Requests expire after {long(policy.expires)}."
    if policy.soak:
        yield f"The version must have been active in the previous environment for {long(policy.soak)}."
    if policy.evidence_max_age is not None:
        yield f"Evidence may be at most {long(policy.evidence_max_age)} old."
    if policy.newest_run_passed:
        yield "The newest run in the previous environment must have passed."
    if policy.verify == "digests":
        yield "A promotion verifies the content of every file that it moves."
    if policy.evidence_parameters:
        given = ", ".join(f"{name} = {value}" for name, value in policy.evidence_parameters.items())
        yield f"The evidence must have run with {given}."
    if policy.fence == "required":
        yield "Only fenced runs may start here, publish here or count as evidence."
    yield from (window_words(window) for window in policy.windows)
    if policy.schedules is not None:
        yield f"Schedules {'run' if policy.schedules else 'do not run'} here."
    if policy.on_promote == "run":
        yield "A promotion starts a run."
    if policy.break_glass is None:
        yield "Nobody may deploy without approval, even in an emergency."
    else:
        who = who_words(Clause(count=1, role=policy.break_glass))
        due = long(policy.break_glass_review)
        yield f"In an emergency, a {who} may deploy without approval; the review is due within {due}."
    if policy.reminder is not None:
        yield f"Approvers are reminded every {long(policy.reminder).removeprefix('1 ')}."


def window_words(window: Window) -> str:
    """One window: `Frozen Fri 18:00–Mon 06:00 (Europe/Berlin): "weekend".`"""
    effect = "Frozen" if window.effect == "freeze" else "Promotions execute only"
    return f"{effect} {_when(window)} ({window.timezone}): “{window.name}”."


def _when(window: Window) -> str:
    start, rule = window.start, _parts(window.rule)
    if not window.rule:
        return f"once, {_moment(start)}–{_moment(start + window.duration)}"
    if rule is not None and rule.get("FREQ") == "DAILY" and "BYDAY" not in rule:
        return f"every day {_span(start, window.duration, weekday=False)}"
    days = [day for day in (rule or {}).get("BYDAY", "").split(",") if day]
    weekly = rule is not None and rule.get("FREQ") in ("DAILY", "WEEKLY")
    if weekly and all(day in _DAYS for day in days):
        every = [_DAYS[day] for day in days] or [start.weekday()]
        return _weekly(start, window.duration, sorted(set(every)))
    # Rarer rules are shown exactly as written.
    return f"from {_moment(start)} for {long(window.duration)}, repeated by {window.rule}"


def _parts(rule: str) -> dict[str, str] | None:
    """The parts of a rule that is simple enough to say in words; None for every other."""
    pairs = [part.partition("=") for part in rule.upper().removeprefix("RRULE:").split(";") if part]
    found = {name: value for name, _, value in pairs if (name, value) not in (("INTERVAL", "1"),) and name != "WKST"}
    return found if found.keys() <= {"FREQ", "BYDAY"} else None


def _weekly(start: datetime, duration: timedelta, days: list[int]) -> str:
    if duration >= _WEEK:
        return f"{', '.join(_SHORT[day] for day in days)} {start:%H:%M} for {long(duration)}"
    monday = start - timedelta(days=start.weekday())
    if len(days) > 1 and duration < timedelta(days=1):
        row = days == list(range(days[0], days[-1] + 1)) and len(days) > 2
        named = f"{_SHORT[days[0]]}–{_SHORT[days[-1]]}" if row else ", ".join(_SHORT[day] for day in days)
        return f"{named} {_span(start, duration, weekday=False)}"
    return " and ".join(_span(monday + timedelta(days=day), duration, weekday=True) for day in days)


def _span(start: datetime, duration: timedelta, *, weekday: bool) -> str:
    end = start + duration
    if not weekday:
        if duration >= timedelta(days=1):
            return f"{start:%H:%M} for {long(duration)}"
        return f"{start:%H:%M}–{end:%H:%M}"
    same = start.date() == end.date()
    return f"{_SHORT[start.weekday()]} {start:%H:%M}–{'' if same else _SHORT[end.weekday()] + ' '}{end:%H:%M}"


def _moment(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M}"
