"""Which versions use a table, whoever may see them: what a change of the table by hand has to ask."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from lifecycle.domain.checklist import Check
from lifecycle.domain.environment import Environment
from lifecycle.domain.people import Actor, Target
from lifecycle.domain.roles import Role
from lifecycle.errors import Forbidden
from lifecycle.spec import PipelineSpec
from lifecycle.store.unit import View
from lifecycle.usecases.parts.access import role_check, target_of
from lifecycle.usecases.parts.visible import sees
from lifecycle.usecases.parts.visible_tables import real_name, tables_of


@dataclass(frozen=True, slots=True)
class TableUser:
    """A version that reads or writes a table. `environments`: where it is active; none: it is only the newest."""

    pipeline_id: int
    pipeline: str
    version: int
    digest: str
    environments: tuple[Environment, ...]
    writes: bool


def own_environment(name: str) -> Environment | None:
    """The environment whose own copy a table is; None for a real table."""
    *_, namespace, _ = ["", *name.split(".")] if "." in name else ("", "", name)
    return next((one for one in Environment if namespace.endswith(f"__{one.value}")), None)


def table_users(view: View, name: str) -> tuple[TableUser, ...]:
    """Every newest or active version that names the table, or the real one that it is a copy of."""
    real = real_name(name)
    heads = view.overview.heads()
    live = view.overview.live([head.id for head in heads])
    digests = {head.digest for head in heads} | {one.digest for found in live.values() for one in found.values()}
    known = tables_of(view, digests)
    users: list[TableUser] = []
    for head in heads:
        active: dict[tuple[int, str], list[Environment]] = {(head.number, head.digest): []}
        for environment, one in sorted(live.get(head.id, {}).items(), key=lambda item: item[0].rank):
            active.setdefault((one.number, one.digest), []).append(environment)
        for (number, digest), where in sorted(active.items()):
            users += [
                TableUser(head.id, head.name, number, digest, tuple(where), writes)
                for table, writes in known.get(digest, ())
                if table == real
            ]
    return tuple(users)


def deployed(users: Sequence[TableUser], name: str) -> tuple[tuple[TableUser, Environment], ...]:
    """Those that are active where they use this very table, and where.

    Development has copies of the tables that pipelines write; it reads the real one where no pipeline writes it.
    """
    own = own_environment(name)
    raw = not any(one.writes for one in users)
    return tuple(
        (one, environment)
        for one in users
        for environment in one.environments
        if (environment is own if own is not None else raw or environment is not Environment.DEVELOPMENT)
    )


def lead_checks(view: View, actor: Actor, users: Iterable[TableUser], doing: str) -> tuple[Check, ...]:
    """Whether the actor is a Lead on every pipeline that writes the table; of a table of none, on everything."""
    writers = dict.fromkeys(one.pipeline_id for one in users if one.writes)
    if not writers:
        return (role_check(view, actor, Role.LEAD, Target(), doing),)
    return tuple(_lead(view, actor, pipeline, doing) for pipeline in writers)


def _lead(view: View, actor: Actor, pipeline_id: int, doing: str) -> Check:
    check = role_check(view, actor, Role.LEAD, target_of(view, view.pipelines.get(pipeline_id)), doing)
    if check.ok or actor.person is None or sees(view, actor, pipeline_id):
        return check
    return Check(False, f"{doing} needs the role {Role.LEAD.value} on every pipeline that writes it", Forbidden)


def specs_of(view: View, users: Iterable[TableUser]) -> dict[str, PipelineSpec]:
    """By digest, the definitions of these versions."""
    texts = view.overview.specs(sorted({one.digest for one in users}))
    return {
        digest: PipelineSpec.model_validate_json(text, by_alias=True, by_name=False) for digest, text in texts.items()
    }
