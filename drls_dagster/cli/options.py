"""Arguments and options that several lifecycle commands take, and how they print results."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from drls_dagster.cli.output import print_json
from lifecycle.domain.environment import Environment

if TYPE_CHECKING:
    from pydantic import BaseModel

    from drls_dagster.lifecycle_client import Lifecycle


# What every database holds in a version's column, and far more than any store has requests.
_MOST = 2**31 - 1


class Ref(NamedTuple):
    """A pipeline, or one of its versions."""

    name: str
    number: int | None

    def __str__(self) -> str:
        return self.name if self.number is None else f"{self.name}@{self.number}"


class _RefType(click.ParamType):
    name = "NAME[@VERSION]"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Ref:
        if isinstance(value, Ref):
            return value
        name, at, number = str(value).partition("@")
        digits = number.removeprefix("v")
        if not name or (at and not (digits.isascii() and digits.isdigit() and len(digits) <= len(str(_MOST)))):
            self.fail(f"{value!r} is not a version; write NAME or NAME@VERSION, for example flights@3", param, ctx)
        return Ref(name, number_type.convert(digits, param, ctx) if at else None)


class _NumberType(click.ParamType):
    """The number that names a request, version, token or the like."""

    name = "number"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        try:
            number = int(value)
        except ValueError:
            self.fail(f"{value!r} is not a number", param, ctx)
        if not 1 <= number <= _MOST:
            self.fail(f"{value} is out of range; numbers go from 1 to {_MOST}", param, ctx)
        return number


class _EnvironmentType(click.Choice[str]):
    name = "environment"

    def __init__(self) -> None:
        super().__init__([environment.value for environment in Environment])

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        return Environment(super().convert(value, param, ctx))


class _MomentType(click.ParamType):
    name = "TIME"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        if isinstance(value, datetime):
            return value
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            self.fail(f"{value!r} is not a time; write it like 2026-03-31T18:00 (UTC)", param, ctx)
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


number_type = _NumberType()
ref_type = _RefType()
environment_type = _EnvironmentType()
moment_type = _MomentType()

key_option = click.option("--key", help="Idempotency key: a command repeated with the same key takes effect once.")
reason_option = click.option("--reason", required=True, help="Reason, visible to everyone.")
public_key_option = click.option(
    "--key", "keys", multiple=True, metavar="KEY", help="A public key to trust, in hexadecimal. Repeatable."
)
plan_digest_option = click.option("--plan", "plan_digest", metavar="DIGEST", help="The plan you reviewed.")


def active_number(client: Lifecycle, ref: Ref, environment: Environment) -> int:
    """The version that `ref` names; without a number the one that is active in `environment`."""
    from lifecycle.errors import Refused

    if ref.number is not None:
        return ref.number
    found = client.environments.active(environment, pipeline=ref.name)
    if not found:
        raise Refused(f"{ref.name} is not active in {environment.label}; name a version: {ref.name}@VERSION")
    return found[0].version


def print_models(models: Iterable[BaseModel]) -> None:
    """Results as a JSON list."""
    print_json([one.model_dump(mode="json", by_alias=True) for one in models])


def print_model(model: BaseModel) -> None:
    """A result as a JSON object."""
    print_json(model.model_dump(mode="json", by_alias=True))


def short_time(moment: datetime | None) -> str | None:
    """A moment for people, in UTC to the minute."""
    return None if moment is None else f"{moment.astimezone(UTC):%Y-%m-%d %H:%M}"


def short_digest(digest: str) -> str:
    """Enough of a digest to tell it from others by eye."""
    return digest[:19]


def ask_secret(what: str) -> str:
    """A secret that is typed unseen, or the first line of what is piped in."""
    if sys.stdin.isatty():
        return click.prompt(what, hide_input=True, err=True)
    return sys.stdin.readline().strip()
