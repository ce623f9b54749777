"""What of a pipeline one run covers: its parameters, partitions and nodes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from drls_dagster.errors import UsageError

if TYPE_CHECKING:
    from lifecycle.spec import ParameterValue, PipelineSpec


@dataclass(frozen=True)
class Partitions:
    """What of a partitioned pipeline one run covers: one key, or a range of them."""

    first: str
    last: str

    def __str__(self) -> str:
        return self.first if self.first == self.last else f"{self.first}...{self.last}"


def check_flags(parameters: Sequence[str], *, each: bool, keep_going: bool) -> None:
    """Raises UsageError for what is wrong whatever the pipeline is."""
    for text in parameters:
        _name_and_value(text)
    if keep_going and not each:
        raise UsageError("--keep-going needs --each: without --each there is only one run")


def read_parameters(spec: PipelineSpec, given: Sequence[str]) -> dict[str, Any]:
    """`name=value` texts as run configuration values. Raises UsageError naming the parameter."""
    return run_config(typed_parameters(spec, dict(map(_name_and_value, given)), "--param {}=…"))


def typed_parameters(
    spec: PipelineSpec, given: Mapping[str, object], how: str = "parameters={{'{}': …}}"
) -> dict[str, ParameterValue]:
    """The given values in the types that the pipeline declares. Raises UsageError naming the parameter.

    `how` tells people in which way they pass one.
    """
    values: dict[str, ParameterValue] = {}
    for name, value in given.items():
        if name not in spec.parameters:
            known = ", ".join(spec.parameters) or "none"
            raise UsageError(f"pipeline '{spec.name}' has no parameter '{name}'; it has: {known}")
        try:
            values[name] = spec.parameters[name].coerce(value)
        except ValueError as error:
            raise UsageError(f"parameter '{name}': {error}") from None
    for name, parameter in spec.parameters.items():
        if parameter.default is None and name not in values:
            raise UsageError(f"parameter '{name}' has no default; pass {how.format(name)}")
    return values


def run_config(values: Mapping[str, ParameterValue]) -> dict[str, Any]:
    """Parameters as Dagster's run configuration holds them."""
    return {
        name: value if isinstance(value, str | int | float | bool) else value.isoformat()
        for name, value in values.items()
    }


def _name_and_value(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise UsageError(f"--param {text!r} is not name=value")
    return name, value


def read_partitions(
    spec: PipelineSpec, text: str | None, *, each: bool, option: str = "--partition"
) -> list[Partitions | None]:
    """What `--partition` names, one entry per run. Raises UsageError, in which it is called `option`.

    A key, `first...last`, or `all`; the beginning of keys (`2024-01` of days) names all of those.
    """
    if spec.partitions is None:
        if text is not None:
            raise UsageError(f"pipeline '{spec.name}' is not partitioned; remove {option}")
        return [None]
    from drls_dagster.assets.partitions import partitions_definition

    definition = partitions_definition(spec)
    assert definition is not None, "it has partitions"  # noqa: S101
    keys = list(definition.get_partition_keys())
    if not keys:
        raise UsageError(f"pipeline '{spec.name}' has no complete partition yet")
    span = f"{keys[0]}...{keys[-1]}"
    if text is None:
        raise UsageError(f"pipeline '{spec.name}' is partitioned; pass {option} KEY, FIRST...LAST or all ({span})")
    first, dots, last = text.partition("...") if text != "all" else (keys[0], "...", keys[-1])
    chosen: list[str] = []
    for end in (first, last if dots else first):
        match = [key for key in keys if key == end] or [key for key in keys if key.startswith(end) and end]
        if not match:
            raise UsageError(f"pipeline '{spec.name}' has no partition {end!r}; it has {span}")
        chosen.append(match[0] if len(chosen) == 0 else match[-1])
    low, high = keys.index(chosen[0]), keys.index(chosen[1])
    if low > high:
        raise UsageError(f"{option} {text}: {chosen[0]} is after {chosen[1]}")
    if each or spec.partitions.kind == "static":
        return [Partitions(key, key) for key in keys[low : high + 1]]
    return [Partitions(keys[low], keys[high])]


def select_nodes(spec: PipelineSpec, selection: str | None) -> list[str]:
    """Node ids that `--select` names: `a,b`, with `+a` everything upstream too, with `a+` downstream too.

    Raises UsageError naming a node that is not there, or that is not a step.
    """
    steps = [node.id for node in (*spec.transforms, *spec.sinks)]
    if selection is None:
        return [name for name in spec.topological() if name in steps]
    chosen: set[str] = set()
    for word in filter(None, selection.replace(",", " ").split()):
        name = word.strip("+")
        if name not in steps:
            raise UsageError(f"pipeline '{spec.name}' has no step '{name}'; it has: {', '.join(steps)}")
        chosen.add(name)
        if word.startswith("+"):
            chosen.update(spec.ancestors(name))
        if word.endswith("+"):
            chosen.update(other for other in steps if name in spec.ancestors(other))
    if not chosen:
        raise UsageError("--select does not name a step")
    return [name for name in spec.topological() if name in chosen and name in steps]
