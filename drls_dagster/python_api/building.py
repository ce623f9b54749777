"""`drls.Pipeline(name)`: a pipeline definition written in Python. It becomes the same spec as a pipeline file."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from pydantic import BaseModel

from drls_dagster.errors import UsageError
from lifecycle.spec import (
    AnySource,
    AnyTransform,
    MonitorNode,
    PipelineSpec,
    SinkNode,
    SourceNode,
    SpecError,
    check_definition,
    dump_yaml,
    sql_tables,
)
from lifecycle.spec.checks import Check
from lifecycle.spec.errors import Problem, did_you_mean
from lifecycle.spec.kind import Source, Step

if TYPE_CHECKING:
    from lifecycle.spec import AnyPartitions, Parameter, RunResources, Schedule

Value = dict[str, Any]
Names = str | Sequence[str]


def _kinds(union: Any, tag: str) -> dict[str, type[BaseModel]]:
    """The classes of a kind of node by the name that a pipeline file has for them."""
    return {one.model_fields[tag].default: one for one in get_args(get_args(union)[0])}


@dataclass(frozen=True)
class _Parts:
    """What a pipeline file would hold. An edge without a start is that of a query: from the nodes that it reads."""

    fields: Value
    nodes: tuple[Value, ...] = ()
    edges: tuple[tuple[str | None, str], ...] = ()


class Pipeline:
    """A pipeline definition, built step by step. Each method gives a new one; the old one stays as it is.

    The kinds and fields of nodes are those of the pipeline file: give their classes in `drls.spec`, which editors know,
    or a kind by its name with its fields. Nothing is checked before `spec()`, except that a kind exists.

    `after` names the nodes that a node reads. By default SQL reads the nodes that it names as tables, and everything
    else the source or transform added before it.
    """

    def __init__(
        self,
        name: str,
        *,
        description: str = "",
        owners: Sequence[str] = (),
        tags: Mapping[str, str] | None = None,
        schedule: Schedule | Mapping[str, Any] | str | None = None,
        automation: Literal["on_new_data"] | None = None,
        partitions: AnyPartitions | Mapping[str, Any] | None = None,
        parameters: Mapping[str, Parameter | Mapping[str, Any]] | None = None,
        run: RunResources | Mapping[str, Any] | None = None,
    ) -> None:
        """The fields of a pipeline file. `schedule` may be a cron expression, which is then in UTC."""
        given = {
            "description": description,
            "owners": owners,
            "tags": tags,
            "schedule": {"cron": schedule} if isinstance(schedule, str) else schedule,
            "automation": automation,
            "partitions": partitions,
            "parameters": parameters,
            "run": run,
        }
        self._parts = _Parts({"name": name, **{one: _plain(value) for one, value in given.items() if value}})

    @classmethod
    def of(cls, spec: PipelineSpec) -> Pipeline:
        """The builder of an existing definition, to add to it. Its lock is left out: saving makes a new one."""
        data: Value = _plain(spec.model_copy(update={"lock": None}))
        nodes, edges = data.pop("nodes"), data.pop("edges", [])
        made = cls(spec.name)
        made._parts = _Parts(data, tuple(nodes), tuple((edge["from"], edge["to"]) for edge in edges))
        return made

    @property
    def name(self) -> str:
        """The pipeline's name."""
        return str(self._parts.fields["name"])

    def source(self, id: str, source: Source | str, **fields: Any) -> Pipeline:
        """Reads from outside: `source("orders", drls.spec.IcebergSource(table="sales.orders"))`, or with a kind's name
        `source("orders", "iceberg", table="sales.orders")`.
        """
        if isinstance(source, str):
            _refuse_unknown("source", source, _kinds(AnySource, "kind"))
            source_value = {"kind": source, **_plain(fields)}
        else:
            _refuse_fields(type(source).__name__, fields)
            source_value = _plain(source)
        return self._with({"id": id, "type": "source", "source": source_value}, ())

    def sql(self, id: str, sql: str, *, after: Names | None = None, step: str = "spark") -> Pipeline:
        """A query in which the ids of nodes are table names."""
        return self.transform(id, step, after=after, sql=sql)

    def python(self, id: str, code: str | Callable[..., Any], *, after: Names | None = None) -> Pipeline:
        """A function on DataFrames: `transform(spark, <ids of the nodes above>)`.

        `code` is `module:function`, source text that defines `transform`, or a function, whose source text is taken. A
        function must not use names of its module or of functions around it: import inside of it.
        """
        return self.transform(id, "spark", after=after, **_recipe(code, "transform"))

    def ray(
        self,
        id: str,
        code: str | Callable[..., Any],
        output_schema: Mapping[str, str],
        *,
        after: Names | None = None,
        **fields: Any,
    ) -> Pipeline:
        """A function on batches, from pyarrow.Table to pyarrow.Table: `process(batch)`. `code` as for `python`."""
        recipe = _recipe(code, "process")
        return self.transform(id, "rayProcess", after=after, output_schema=output_schema, **recipe, **fields)

    def transform(self, id: str, step: str, *, after: Names | None = None, **fields: Any) -> Pipeline:
        """A step of any kind by its name, such as `transform("late", "spark", sql=…)`."""
        _refuse_unknown("step", step, _kinds(AnyTransform, "step"))
        return self._with({"id": id, "type": "transform", "step": step, **_plain(fields)}, after)

    def sink(
        self,
        id: str,
        table: str,
        mode: Literal["append", "overwrite", "overwrite_partitions", "merge"] = "append",
        *,
        after: Names | None = None,
        **fields: Any,
    ) -> Pipeline:
        """Writes an Iceberg table; further fields are those of `drls.spec.SinkNode`, such as `keys`."""
        return self._with({"id": id, "type": "sink", "table": table, "mode": mode, **_plain(fields)}, after)

    def monitor(self, id: str, *checks: Check | Mapping[str, Any], on: str | None = None) -> Pipeline:
        """Checks on the node `on`; by default, on the node added before it."""
        above = self._last("source", "transform", "sink") if on is None else on
        return self._with({"id": id, "type": "monitor", "checks": _plain(checks)}, above)

    def add(self, node: SourceNode | Step | SinkNode | MonitorNode, *, after: Names | None = None) -> Pipeline:
        """A node as an object of its class in `drls.spec`."""
        value = _plain(node)
        if isinstance(node, MonitorNode) and after is None:
            after = self._last("source", "transform", "sink")
        return self._with(value, () if isinstance(node, SourceNode) else after)

    def definition(self) -> dict[str, Any]:
        """The definition as plain values, not checked. Raises SpecError for SQL that cannot be read."""
        edges = [{"from": start, "to": end} for start, end in self._edges()]
        more = {"edges": edges} if edges else {}
        return {"format_version": 1, **self._parts.fields, "nodes": [dict(one) for one in self._parts.nodes], **more}

    def spec(self) -> PipelineSpec:
        """The definition, checked as a pipeline file is. Raises SpecError with every problem."""
        return check_definition(self.definition())

    def yaml(self) -> str:
        """The text of the pipeline file. Raises SpecError."""
        return dump_yaml(self.spec())

    def write(self, file: str | Path) -> Path:
        """Writes the pipeline file. Raises SpecError, and then leaves the file as it is."""
        path = Path(file)
        path.write_text(self.yaml())
        return path

    def __repr__(self) -> str:
        return f"Pipeline({self.name!r}, nodes={[one.get('id') for one in self._parts.nodes]})"

    def _with(self, node: Value, after: Names | None) -> Pipeline:
        starts: Sequence[str | None]
        if after is None:
            starts = (None,) if node.get("sql") else _one_or_none(self._last("source", "transform"))
        else:
            starts = (after,) if isinstance(after, str) else tuple(after)
        made = Pipeline(self.name)
        parts = self._parts
        edges = tuple((start, node["id"]) for start in starts)
        made._parts = replace(parts, nodes=(*parts.nodes, node), edges=(*parts.edges, *edges))
        return made

    def _last(self, *types: str) -> str | None:
        return next((one["id"] for one in reversed(self._parts.nodes) if one["type"] in types), None)

    def _edges(self) -> list[tuple[str, str]]:
        """With those of queries, which may read nodes that were added after them."""
        ids = {one["id"]: one for one in self._parts.nodes}
        found: list[tuple[str, str]] = []
        for start, end in self._parts.edges:
            if start is not None:
                found.append((start, end))
                continue
            try:
                tables = sql_tables(ids[end]["sql"])
            except SpecError as error:
                raise SpecError(
                    Problem(end, problem.field, problem.message, problem.remedy) for problem in error.problems
                ) from None
            found += [(table, end) for table in tables if table in ids]
        return found


def _one_or_none(one: str | None) -> tuple[str, ...]:
    """A tuple of it, empty without one."""
    return () if one is None else (one,)


def _plain(value: Any) -> Any:
    """As JSON has it, with lists for tuples; models without the fields that have their defaults."""
    if isinstance(value, BaseModel):
        return _plain(value.model_dump(by_alias=True, exclude_defaults=True))
    if isinstance(value, Mapping):
        return {str(name): _plain(one) for name, one in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(one) for one in value]
    return value


def _recipe(code: str | Callable[..., Any], name: str) -> dict[str, str]:
    from drls_dagster.python_api.source_text import source_text

    if not isinstance(code, str):
        return {"python": source_text(code, name)}
    module, colon, function = code.partition(":")
    is_entrypoint = colon and all(map(str.isidentifier, (*module.split("."), function)))
    return {"entrypoint" if is_entrypoint else "python": code}


def _refuse_unknown(what: str, given: str, known: Mapping[str, Any]) -> None:
    if given not in known:
        hint = did_you_mean(given, known) or f"use one of {', '.join(known)}"
        raise UsageError(f"there is no {what} of kind {given!r}; {hint}")


def _refuse_fields(name: str, fields: Mapping[str, Any]) -> None:
    if fields:
        raise UsageError(f"pass {', '.join(fields)} to {name}(…), which has the fields of the source")
