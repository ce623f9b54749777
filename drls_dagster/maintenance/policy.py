"""What may happen to a table without being asked: what its own properties say, or the settings, or the default."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import get_args

from pydantic import ValidationError

from drls_dagster.lakehouse.health.looking import POLICY
from drls_dagster.maintenance_settings import MaintenanceSettings, Mode, windows_of
from lifecycle.domain.environment import Environment
from lifecycle.domain.operations import CompactOptions, OperationKind, Strategy
from lifecycle.domain.table_policy import Automatic, PolicyRule, TablePolicy
from lifecycle.domain.windows import Closed, closed_now
from lifecycle.usecases.parts.visible_tables import environment_of

MODE, BELOW, STRATEGY, COLUMNS = "mode", "below", "strategy", "columns"
# As properties and settings name them, in the order in which one helps the next.
NAMES: Mapping[str, OperationKind] = {
    "compact": OperationKind.COMPACT,
    "manifests": OperationKind.MANIFESTS,
    "expire": OperationKind.EXPIRE,
    "orphans": OperationKind.ORPHANS,
}
_MODES, _STRATEGIES = get_args(Mode), get_args(Strategy)
_DEFAULT = "default"
MOST_ZORDER = 8  # with more columns, none of them prunes files


def policy_of(
    name: str,
    own: Mapping[str, str],
    settings: MaintenanceSettings,
    closed: Closed | None = None,
    *,
    sortable: bool = False,
) -> TablePolicy:
    """The policy of the table `name`, whose properties `drls.maintenance.*` are `own`.

    `closed` says why no window is open for it, `sortable` whether it has a sort order that its rows can be sorted by.
    A property that says nothing valid allows nothing.
    """
    wrong = _wrong(own)
    rules = tuple(_rule(part, own, settings, bool(wrong)) for part in NAMES)
    acts = any(one.automatic is Automatic.AUTO for one in rules)
    options, strategy_origin = _compaction(own, settings, sortable)
    valid_below = BELOW in own and _is_score(own[BELOW])
    return TablePolicy(
        table=name,
        environment=environment_of(name),
        rules=rules,
        below=int(own[BELOW]) if valid_below else settings.below,
        below_origin=_property(BELOW) if valid_below else _setting(settings, BELOW),
        strategy=options.strategy,
        columns=options.columns,
        strategy_origin=strategy_origin,
        wrong=wrong,
        waits=closed.why if closed and acts else "",
        opens=closed.until if closed and acts else None,
    )


def closed_for(environment: Environment, settings: MaintenanceSettings, now: datetime) -> Closed | None:
    """Why nothing is done automatically in an environment at `now`; None where it may be. Only production has windows.

    Production needs one that allows it: without any, none is ever open.
    """
    if environment is not Environment.PRODUCTION:
        return None
    windows = windows_of(settings.windows)
    if not any(one.effect == "allow" for one in windows):
        return Closed(
            why='production has no maintenance window: set maintenance.windows, with effect = "allow"', until=None
        )
    return closed_now(windows, now, "maintenance")


def _rule(part: str, own: Mapping[str, str], settings: MaintenanceSettings, wrong: bool) -> PolicyRule:
    said, origin = _said(part, own, settings)
    mode = Automatic(said)
    if mode is Automatic.AUTO and wrong:
        mode, origin = Automatic.REPORT, "a property that is not valid"
    elif mode is Automatic.AUTO and part == "orphans" and origin.endswith(f".{MODE}"):
        mode = Automatic.REPORT  # to remove files takes a word of its own
    return PolicyRule(operation=NAMES[part], automatic=mode, origin=origin)


def _said(part: str, own: Mapping[str, str], settings: MaintenanceSettings) -> tuple[str, str]:
    """What counts for one operation, and where it was said. `off` for everything is the last word."""
    if settings.mode == "off":
        return "off", _setting(settings, MODE)
    if own.get(MODE) == "off":
        return "off", _property(MODE)
    for key in (part, MODE):
        if key in own:
            return own[key] if own[key] in _MODES else "report", _property(key)
    given: Mode | None = getattr(settings, part)
    return (settings.mode, _setting(settings, MODE)) if given is None else (given, _setting(settings, part))


def _compaction(own: Mapping[str, str], settings: MaintenanceSettings, sortable: bool) -> tuple[CompactOptions, str]:
    """How rows are ordered, and what says so. The setting sorts only tables that have a sort order."""
    if STRATEGY in own:
        return _ordered(own) or CompactOptions(), _property(STRATEGY)
    if settings.strategy == "sort" and not sortable:
        return CompactOptions(), f"{_setting(settings, STRATEGY)}; the table has no sort order to sort by"
    return CompactOptions(strategy=settings.strategy), _setting(settings, STRATEGY)


def _ordered(own: Mapping[str, str]) -> CompactOptions | None:
    """What the properties say of the order of rows; None where that is nothing valid."""
    columns = [one.strip() for one in own.get(COLUMNS, "").split(",")]
    try:
        return CompactOptions.model_validate(
            {"strategy": own.get(STRATEGY), "columns": columns if columns != [""] else ()}
        )
    except ValidationError:
        return None


def _wrong_order(own: Mapping[str, str]) -> Iterator[str]:
    given = own.get(STRATEGY)
    if given is not None and given not in _STRATEGIES:
        yield f"{_property(STRATEGY)} is {given!r}; use {' or '.join(_STRATEGIES)}"
        return
    options = _ordered(own) if given is not None else None
    if COLUMNS in own and given in (None, "binpack"):
        yield f"{_property(COLUMNS)} is given without a strategy that orders rows; set {_property(STRATEGY)}"
    elif given is not None and options is None:
        yield f"{_property(COLUMNS)} is {own[COLUMNS]!r}; write names of columns with commas between them"
    elif options is not None and given == "zorder" and not 2 <= len(options.columns) <= MOST_ZORDER:
        yield f"{_property(STRATEGY)} is 'zorder'; name two to {MOST_ZORDER} columns in {_property(COLUMNS)}"


def _wrong(own: Mapping[str, str]) -> tuple[str, ...]:
    """A line for each property that says nothing valid."""
    lines: list[str] = []
    for key, value in sorted(own.items()):
        if key == BELOW:
            if not _is_score(value):
                lines.append(f"{_property(key)} is {value!r}; use a number from 0 to 100")
        elif key in (STRATEGY, COLUMNS):
            continue
        elif key not in (MODE, *NAMES):
            known = ", ".join((MODE, BELOW, *NAMES, STRATEGY, COLUMNS))
            lines.append(f"{_property(key)} is not known; there are {known} and health.*")
        elif value not in _MODES:
            lines.append(f"{_property(key)} is {value!r}; use {' or '.join(_MODES)}")
    return (*lines, *_wrong_order(own))


def _is_score(text: str) -> bool:
    return text.isascii() and text.isdecimal() and int(text) <= 100


def _property(key: str) -> str:
    return f"property {POLICY}{key}"


def _setting(settings: MaintenanceSettings, key: str) -> str:
    return f"setting maintenance.{key}" if key in settings.model_fields_set else _DEFAULT
