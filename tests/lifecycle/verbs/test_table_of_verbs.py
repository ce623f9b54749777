"""The table of verbs: what holds for every row."""

from __future__ import annotations

import inspect
import json
import pkgutil
from importlib import import_module

from pydantic import BaseModel, TypeAdapter

import lifecycle.verbs
from lifecycle.domain.credentials import TokenScope
from lifecycle.domain.roles import Role
from lifecycle.verbs import environments, people, promotions
from lifecycle.verbs.carrying import Place, places
from lifecycle.verbs.table import ROWS, Kind, row_of
from lifecycle.verbs.verb import Verb


def test_every_verb_of_the_package_has_one_row() -> None:
    modules = [import_module(f"lifecycle.verbs.{one.name}") for one in pkgutil.iter_modules(lifecycle.verbs.__path__)]
    made = {value.name for module in modules for value in vars(module).values() if isinstance(value, Verb)}
    assert made == {row.verb.name for row in ROWS}
    assert len(made) == len(ROWS) == len({(row.method, row.path) for row in ROWS})


def test_every_verb_says_what_it_does_takes_and_answers() -> None:
    for row in ROWS:
        assert inspect.cleandoc(row.verb.__doc__ or ""), row.verb.name
        assert json.dumps(row.verb.input.model_json_schema()) or row.verb.answer is bytes, row.verb.name
        if isinstance(row.verb.answer, type) and issubclass(row.verb.answer, BaseModel):
            assert TypeAdapter(row.verb.answer).json_schema()["type"] == "object", row.verb.name


def test_only_what_changes_nothing_may_be_asked_with_a_token_to_read() -> None:
    """A signed token is made with what its maker shows, and reaches no further."""
    for row in ROWS:
        if row.kind is Kind.READ:
            assert row.need.scope is TokenScope.READ, row.verb.name
        elif row.verb not in (people.signed_token, people.agent_token):
            assert row.need.scope is not TokenScope.READ, row.verb.name
        if row.method == "GET":
            assert row.kind is Kind.READ, row.verb.name


def test_l6_no_agent_ever_decides_or_grants() -> None:
    for row in ROWS:
        if row.need.scope in {TokenScope.APPROVE, TokenScope.ADMIN}:
            assert not row.agents, row.verb.name
    for verb in (promotions.approve, promotions.reject, promotions.review, promotions.break_glass):
        assert not row_of(verb).agents
    for verb in (people.signed_token, people.agent_token, people.issue_token, people.issue_agent_token):
        assert not row_of(verb).agents
    assert row_of(promotions.request).kind is Kind.ASK
    assert row_of(environments.freeze).need.role is Role.LEAD


def test_every_part_of_a_path_is_a_parameter_and_only_changes_have_a_body() -> None:
    for row in ROWS:
        carried = places(row)
        inside = [name for name, one in carried.items() if one.place is Place.PATH]
        assert row.path.count("{") == len(inside), row.verb.name
        if any(one.place in {Place.BODY, Place.WHOLE} for one in carried.values()):
            assert row.method in {"POST", "PUT"}, row.verb.name
