"""A policy as the fields of a form: out of a policy, and back with what is wrong said at its field."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError
from starlette.datastructures import FormData

from lifecycle.domain.duration import write_duration
from lifecycle.domain.environment import Environment
from lifecycle.domain.policy import Policy
from lifecycle.errors import Invalid

_TEXTS = ("quorum", "expires", "soak", "break_glass_review", "evidence_max_age", "reminder")
_MAY_BE_EMPTY = ("evidence_max_age", "reminder")
_WINDOW = ("name", "effect", "start", "duration", "rule", "timezone")
_BLANKS = 2
_MOST_WINDOWS = 20
_KNOWN = {"true": True, "false": False}


@dataclass(frozen=True, slots=True)
class PolicyFields:
    """The contents of the form, valid or not; `windows` with a blank one or two at their end."""

    values: Mapping[str, str]
    windows: tuple[Mapping[str, str], ...]
    errors: Mapping[str, str] = field(default_factory=dict[str, str])

    @property
    def slots(self) -> tuple[str, ...]:
        """Every place that can show an error."""
        own = (
            *_TEXTS,
            "approvals",
            "newest_run_passed",
            "verify",
            "evidence_parameters",
            "fence",
            "schedules",
            "on_promote",
            "break_glass",
        )
        return (*own, *(f"window-{number}" for number in range(len(self.windows))))


def fields_of(policy: Policy) -> PolicyFields:
    """A policy as its form shows it."""
    body = policy.model_dump(mode="json")
    values = {name: body[name] or "" for name in _TEXTS}
    values |= {
        "soak": write_duration(policy.soak),
        "approvals": policy.approvals,
        "newest_run_passed": str(policy.newest_run_passed).lower(),
        "fence": policy.fence,
        "verify": policy.verify,
        "schedules": "" if policy.schedules is None else str(policy.schedules).lower(),
        "on_promote": policy.on_promote,
        "break_glass": policy.break_glass.value if policy.break_glass else "",
        "evidence_parameters": "\n".join(
            f"{name}={_plain(value)}" for name, value in policy.evidence_parameters.items()
        ),
    }
    rows = [{name: str(window[name]) for name in _WINDOW} for window in body["windows"]]
    return PolicyFields(values, _with_blanks(rows))


def read_fields(form: FormData) -> PolicyFields:
    """What was typed, as it was."""
    names = (
        *_TEXTS,
        "approvals",
        "newest_run_passed",
        "verify",
        "fence",
        "schedules",
        "on_promote",
        "break_glass",
        "evidence_parameters",
    )
    values = {name: _text(form, name) for name in names}
    numbers = [number for number in range(_MOST_WINDOWS) if f"window-{number}-name" in form]
    rows = [{name: _text(form, f"window-{number}-{name}") for name in (*_WINDOW, "gone")} for number in numbers]
    return PolicyFields(values, tuple(rows))


def policy_of_fields(fields: PolicyFields, environment: Environment) -> tuple[Policy | None, PolicyFields]:
    """The policy that the fields say, or None and the fields with an error at each that cannot be read."""
    body: dict[str, Any] = {name: text for name, text in fields.values.items() if text}
    for name in _MAY_BE_EMPTY:
        body[name] = fields.values[name] or None
    body["break_glass"] = fields.values["break_glass"] or None
    body["schedules"] = _KNOWN.get(fields.values["schedules"])
    counted = [number for number, row in enumerate(fields.windows) if _counts(row)]
    rows = [fields.windows[number] for number in counted]
    body["windows"] = [{name: row[name] for name in _WINDOW if row[name]} for row in rows]
    errors: dict[str, str] = {}
    body["evidence_parameters"] = _parameters(fields.values["evidence_parameters"], errors)
    if not environment.governed:
        # Of a QA policy only these count; the form asks for nothing else.
        body = {name: body[name] for name in ("fence", "schedules", "on_promote") if name in body}
    policy = None
    try:
        policy = Policy.model_validate(body)
    except Invalid as error:
        errors["quorum"] = error.message.removeprefix("quorum: ")
    except ValidationError as error:
        for one in error.errors():
            errors.setdefault(_slot(one["loc"], counted), _words(one))
    if errors:
        return None, PolicyFields(fields.values, fields.windows, errors)
    return policy, fields


def _counts(row: Mapping[str, str]) -> bool:
    """Whether a window's fields say anything; blank windows and those to be removed do not count."""
    return not row.get("gone") and any(row[name] for name in ("name", "start", "rule", "duration"))


def _slot(place: tuple[int | str, ...], counted: list[int]) -> str:
    """Where an error is shown; `counted` are the rows of the windows that count."""
    first, *rest = place
    if first == "windows" and rest and isinstance(rest[0], int):
        return f"window-{counted[rest[0]]}"
    return str(first)


def _words(error: Any) -> str:
    """What is wrong, for people; pydantic's own words where they are plain."""
    names = [str(part) for part in error["loc"] if isinstance(part, str) and part != "windows"]
    message: str = error["msg"].removeprefix("Value error, ")
    if "time_delta" in error["type"]:
        message = "write a duration like 30m, 12h, 7d or 2w"
    elif error["type"] == "missing":
        message = "is required"
    elif "datetime" in error["type"]:
        message = "write the date and time"
    return f"{names[-1]}: {message}" if error["loc"][0] == "windows" and names else message


def _parameters(text: str, errors: dict[str, str]) -> dict[str, str | int | float | bool]:
    found: dict[str, str | int | float | bool] = {}
    for line in filter(None, map(str.strip, text.splitlines())):
        name, sign, value = (part.strip() for part in line.partition("="))
        if not sign or not name:
            errors["evidence_parameters"] = f"{line!r}: write name=value, one per line"
            continue
        found[name] = _value(value)
    return found


def _value(text: str) -> str | int | float | bool:
    if text in _KNOWN:
        return _KNOWN[text]
    for kind in (int, float):
        try:
            number = kind(text)
        except ValueError:
            continue
        if str(number) == text:
            return number
    return text


def _plain(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _with_blanks(rows: list[dict[str, str]]) -> tuple[Mapping[str, str], ...]:
    blank = dict.fromkeys(_WINDOW, "") | {"effect": "freeze", "timezone": "UTC"}
    return (*rows, *(blank for _ in range(_BLANKS)))[:_MOST_WINDOWS]


def _text(form: FormData, name: str) -> str:
    value = form.get(name, "")
    return value.strip()[:2_000] if isinstance(value, str) else ""
