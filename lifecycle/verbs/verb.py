"""A verb: a function that answers a caller, with what it takes and what it answers."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Concatenate, Generic, ParamSpec, Protocol, Self, TypeVar, cast, get_type_hints, overload

from pydantic import BaseModel, ConfigDict, create_model

from lifecycle.domain.credentials import TokenScope
from lifecycle.domain.people import Actor
from lifecycle.store.unit import View
from lifecycle.usecases.context import Context
from lifecycle.verbs.answers import Page
from lifecycle.verbs.names import Names

P = ParamSpec("P")
A = TypeVar("A")
M = TypeVar("M", bound=BaseModel)


@dataclass(frozen=True)
class Call:
    """Who calls, and with what: `scopes` are those of the token or session that they showed."""

    ctx: Context
    who: Actor
    scopes: frozenset[TokenScope]

    @contextmanager
    def read(self) -> Generator[tuple[View, Names]]:
        """One picture of the store, with the names in it."""
        with self.ctx.store.read() as view:
            yield view, Names(view)

    def named(self, name: Callable[[Names], A]) -> A:
        """What an act left behind, with names."""
        with self.read() as (_, names):
            return name(names)


class Input(BaseModel):
    """What a verb takes. Unknown fields are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Asker(Protocol):
    """Something that verbs can be asked of: a store that is open here, or a server."""

    def ask(self, verb: Verb[..., A], given: Mapping[str, Any], *, everything: bool) -> A:
        """The answer to `verb` for these arguments; `everything`: all pages of a list."""
        ...


class Verb(Generic[P, A]):
    """As an attribute of an Asker's class it is a method: `client.promotions.approve(7, digest)`.

    `run` is the function itself, `answer` the model of its answer, or (`many`) of the items in it.
    """

    def __init__(self, run: Callable[..., Any], answer: type[Any], *, many: bool, everything: bool = False) -> None:
        self.run, self.answer, self.many = run, answer, many
        self._everything = everything
        self.__doc__ = run.__doc__

    @property
    def noun(self) -> str:
        """The file that the verb is in."""
        return self.run.__module__.rpartition(".")[2]

    @property
    def name(self) -> str:
        """Its name among all verbs, for example `promotions.approve`."""
        return f"{self.noun}.{self.run.__name__}"

    @cached_property
    def input(self) -> type[Input]:
        """The model of what it takes, made from its parameters."""
        hints = get_type_hints(self.run, include_extras=True)
        fields: dict[str, Any] = {
            one.name: (hints[one.name], ... if one.default is one.empty else one.default) for one in self.parameters
        }
        title = "".join(part.title() for part in self.run.__name__.split("_"))
        return create_model(title, __base__=Input, __doc__=self.__doc__, **fields)

    @cached_property
    def returns(self) -> Any:
        """What the function itself returns: the answer and, for REST, the ids that belong to it."""
        returned = get_type_hints(self.run)["return"]
        return None if returned is type(None) else returned

    @cached_property
    def parameters(self) -> tuple[inspect.Parameter, ...]:
        """What it takes, in order, without the caller."""
        return tuple(inspect.signature(self.run).parameters.values())[1:]

    @property
    def all(self) -> Verb[P, A]:
        """The same for a list, asked for to its end."""
        return Verb(self.run, self.answer, many=self.many, everything=True)

    def shown(self, value: Any) -> A:
        """What the function returned, or a server sent, as people and programs read it."""
        if self.many:
            return cast("A", tuple(_read(self.answer, one) for one in cast("Page[Any]", value).items))
        return cast("A", _read(self.answer, value) if issubclass(self.answer, BaseModel) else value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Verb) and self.run is other.run

    def __hash__(self) -> int:
        return hash(self.run)

    @overload
    def __get__(self, asker: Asker, _owner: object = None) -> Callable[P, A]: ...
    @overload
    def __get__(self, asker: object, _owner: object = None) -> Self: ...
    def __get__(self, asker: Any, _owner: object = None) -> Callable[P, A] | Self:
        if asker is None:
            return self

        def call(*args: P.args, **kwargs: P.kwargs) -> A:
            bound = inspect.signature(self.run).bind(None, *args, **kwargs)
            given = dict(list(bound.arguments.items())[1:])
            return asker.ask(self, given, everything=self._everything)

        return call


def answers(model: type[A]) -> Callable[[Callable[Concatenate[Call, P], object]], Verb[P, A]]:
    """Makes a verb of a function whose answer is read as `model`."""
    return lambda run: Verb(run, model, many=False)


def lists(model: type[M]) -> Callable[[Callable[Concatenate[Call, P], Page[Any]]], Verb[P, tuple[M, ...]]]:
    """Makes a verb of a function that answers pages, whose items are read as `model`."""
    return lambda run: Verb(run, model, many=True)


def _read(model: type[Any], value: Any) -> Any:
    if type(value) is model:
        return value
    return model.model_validate(dict(cast("BaseModel", value)) if isinstance(value, model) else value)
