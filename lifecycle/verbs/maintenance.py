"""Maintenance: operations on tables, from their plan to their result."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any

from annotated_types import Ge, Le, MaxLen
from pydantic import AwareDatetime, StringConstraints, ValidationError

from lifecycle.domain.environment import Environment
from lifecycle.domain.operations import (
    OPTIONS,
    Operation,
    OperationKind,
    OperationPlan,
    OperationState,
    Options,
    Strategy,
)
from lifecycle.domain.table_policy import TablePolicy
from lifecycle.domain.tables import TableAt
from lifecycle.errors import Invalid
from lifecycle.usecases import operate_table
from lifecycle.verbs.answers import Page
from lifecycle.verbs.inputs import Cursor, Digest, Id, InQuery, Limit, SeenName, ShortText
from lifecycle.verbs.verb import Call, answers, lists

Where = Annotated[str, StringConstraints(max_length=10_000, pattern=r"^[^\x00]*$")]
Bytes = Annotated[int, Ge(1), Le(2**50)]
Files = Annotated[int, Ge(1), Le(1_000_000)]
Snapshots = Annotated[int, Ge(1), Le(1_000_000)]
Names = Annotated[tuple[SeenName, ...], MaxLen(100)]
SortColumns = Annotated[tuple[SeenName, ...], MaxLen(32)]
_MOST_HOURS = 24 * 3_660
Hours = Annotated[float, Ge(0), Le(_MOST_HOURS)]
States = Annotated[tuple[OperationState, ...], MaxLen(5), InQuery("state")]


@answers(OperationPlan)
def plan(
    call: Call,
    kind: OperationKind,
    name: SeenName,
    *,
    environment: Environment | None = None,
    ref: ShortText | None = None,
    options: dict[str, Any] | None = None,
) -> OperationPlan:
    """What an operation would do now, why, and at what cost; changes nothing. `options` are the operation's own."""
    made = options_of(kind, options or {})
    return operate_table.plan_operation(call.ctx, call.who, kind, _at(name, environment), ref, made)


@answers(TablePolicy)
def policy(call: Call, name: SeenName, *, environment: Environment | None = None) -> TablePolicy:
    """What happens to a table automatically, which property or setting says so, and when the next window opens."""
    return operate_table.table_policy(call.ctx, call.who, _at(name, environment))


@answers(Operation)
def compact(
    call: Call,
    name: SeenName,
    *,
    environment: Environment | None = None,
    ref: ShortText | None = None,
    strategy: Strategy = "binpack",
    columns: SortColumns = (),
    where: Where = "",
    target_bytes: Bytes | None = None,
    min_files: Files = 5,
    every_file: bool = False,
    plan: Digest | None = None,
) -> Operation:
    """Rewrite small files, files with deletes, or (`every_file`) all of them, optionally sorted by `columns`.

    `plan`: the digest of the plan that you looked at; another one is refused.
    """
    given = {
        "strategy": strategy,
        "columns": columns,
        "where": where,
        "target_bytes": target_bytes,
        "min_files": min_files,
        "all": every_file,
    }
    return _start(call, OperationKind.COMPACT, name, environment, ref, given, plan)


@answers(Operation)
def manifests(
    call: Call,
    name: SeenName,
    *,
    environment: Environment | None = None,
    ref: ShortText | None = None,
    target_bytes: Bytes | None = None,
    plan: Digest | None = None,
) -> Operation:
    """Rewrite manifests, so that planning a read opens fewer of them."""
    return _start(call, OperationKind.MANIFESTS, name, environment, ref, {"target_bytes": target_bytes}, plan)


@answers(Operation)
def expire(
    call: Call,
    name: SeenName,
    *,
    environment: Environment | None = None,
    retain_last: Snapshots | None = None,
    older_than: AwareDatetime | None = None,
    refs: Names = (),
    plan: Digest | None = None,
) -> Operation:
    """Remove old snapshots, and the files that only they need; keeps what releases, sessions and readers need.

    Without `retain_last` and `older_than` the table's own properties (history.expire.*) say how much.
    """
    given = {"retain_last": retain_last, "older_than": older_than, "refs": refs}
    return _start(call, OperationKind.EXPIRE, name, environment, None, given, plan)


@answers(Operation)
def orphans(
    call: Call,
    name: SeenName,
    *,
    environment: Environment | None = None,
    older_than_hours: Hours = 72,
    dry_run: bool = True,
    plan: Digest | None = None,
) -> Operation:
    """List files in the table's folder that no metadata names; without `dry_run`, remove them."""
    if not 0 <= older_than_hours <= _MOST_HOURS:
        raise Invalid(f"older_than_hours: must be from 0 to {_MOST_HOURS:,}")
    given = {"older_than": timedelta(hours=older_than_hours), "dry_run": dry_run}
    return _start(call, OperationKind.ORPHANS, name, environment, None, given, plan)


@answers(Operation)
def vacuum(
    call: Call,
    name: SeenName,
    *,
    environment: Environment | None = None,
    ref: ShortText | None = None,
    options: dict[str, Any] | None = None,
    plan: Digest | None = None,
) -> Operation:
    """Compact, rewrite manifests, expire and list or remove orphans, in this order, each where needed.

    `options` has those of each part: compact, manifests, expire, orphans.
    """
    return _start(call, OperationKind.VACUUM, name, environment, ref, options or {}, plan)


@lists(Operation)
def list_operations(
    call: Call,
    *,
    table: SeenName | None = None,
    environment: Environment | None = None,
    states: States = (),
    before: Cursor = None,
    limit: Limit = 100,
) -> Page[Operation]:
    """Operations on tables that the caller may see, newest first. `before` (a number) pages on."""
    at = None if table is None else _at(table, environment)
    found, following = operate_table.list_operations(
        call.ctx, call.who, table=at, states=states, before=before, limit=limit
    )
    return Page(items=list(found), next=None if following is None else str(following))


@answers(Operation)
def show(call: Call, operation_id: Id) -> Operation:
    """An operation: its plan, how far it is, and its result."""
    return operate_table.show_operation(call.ctx, call.who, operation_id)


@answers(Operation)
def cancel(call: Call, operation_id: Id) -> Operation:
    """Ask an operation to stop. What it has committed stays; what it has not is cleaned up."""
    return operate_table.cancel_operation(call.ctx, call.who, operation_id)


def options_of(kind: OperationKind, given: dict[str, Any]) -> Options:
    """The options of an operation. Raises Invalid for what does not fit."""
    try:
        return OPTIONS[kind].model_validate(given)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "options"
        raise Invalid(f"{where}: {first['msg']}") from None


def _start(
    call: Call,
    kind: OperationKind,
    name: str,
    environment: Environment | None,
    ref: str | None,
    given: dict[str, Any],
    digest: str | None,
) -> Operation:
    at, options = _at(name, environment), options_of(kind, given)
    return operate_table.start_operation(call.ctx, call.who, kind, at, ref, options, digest=digest)


def _at(name: str, environment: Environment | None) -> TableAt:
    return TableAt(name=name, environment=environment)
