"""An operation of the run service: a function of a run, with what it takes and what it answers."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import (
    TYPE_CHECKING,
    Any,
    Concatenate,
    Generic,
    ParamSpec,
    Protocol,
    Self,
    TypeVar,
    get_type_hints,
    overload,
)

from pydantic import BaseModel, ConfigDict, TypeAdapter, create_model

if TYPE_CHECKING:
    from drls_dagster.runs.run import Run

P = ParamSpec("P")
A = TypeVar("A")


class Asked(BaseModel):
    """What an operation takes. Unknown fields are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Asker(Protocol):
    """Something that operations can be asked of: the service in this process, or one elsewhere."""

    def ask(self, operation: Operation[..., A], given: Mapping[str, Any]) -> A:
        """The answer to `operation` for these arguments."""
        ...


class Operation(Generic[P, A]):
    """As an attribute of an Asker's class it is a method: `client.publish(candidate)`.

    Every operation can be repeated: one whose answer was lost is asked again. `late`: also when the run's admission is
    over, to finish what it had begun; `early`: also before the run is admitted; `upkeep`: for runs that look after
    tables, and for those alone.
    """

    def __init__(self, run: Callable[Concatenate[Run, P], A], *, late: bool, early: bool, upkeep: bool = False) -> None:
        self.run, self.late, self.early, self.upkeep = run, late, early, upkeep
        self.__doc__ = run.__doc__

    @property
    def name(self) -> str:
        return self.run.__name__

    @cached_property
    def takes(self) -> type[Asked]:
        """The model of what it takes, made from its parameters."""
        fields: dict[str, Any] = {
            one.name: (self._hints[one.name], ... if one.default is one.empty else one.default)
            for one in self._parameters
        }
        return create_model(self.name.title().replace("_", ""), __base__=Asked, **fields)

    @cached_property
    def answer(self) -> TypeAdapter[A]:
        return TypeAdapter(self._hints["return"])

    @cached_property
    def _hints(self) -> dict[str, Any]:
        return get_type_hints(self.run, include_extras=True, localns={"Run": object})

    @property
    def _parameters(self) -> tuple[inspect.Parameter, ...]:
        return tuple(inspect.signature(self.run).parameters.values())[1:]

    @overload
    def __get__(self, asker: Asker, _owner: object = None) -> Callable[P, A]: ...
    @overload
    def __get__(self, asker: None, _owner: object = None) -> Self: ...
    def __get__(self, asker: Any, _owner: object = None) -> Callable[P, A] | Self:
        if asker is None:
            return self

        def call(*args: P.args, **kwargs: P.kwargs) -> A:
            given = inspect.signature(self.run).bind(None, *args, **kwargs)  # pyright: ignore[reportArgumentType]
            return asker.ask(self, dict(list(given.arguments.items())[1:]))

        return call


def operation(
    *, late: bool = False, early: bool = False, upkeep: bool = False
) -> Callable[[Callable[Concatenate[Run, P], A]], Operation[P, A]]:
    """Makes an operation of a function."""
    return lambda run: Operation(run, late=late, early=early, upkeep=upkeep)
