"""A pipeline on a test's rows: the product's own steps and checks on the engine, without a catalog and a ledger."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar, cast

from drls_dagster.errors import DrlsError, UsageError
from drls_dagster.lakehouse.columns import arrow_type
from drls_dagster.ledger import About
from drls_dagster.python_api.sessions import is_shared, shared_session
from drls_dagster.python_api.testing.rows import arrow_rows
from drls_dagster.runs.catalog import RunCatalog
from drls_dagster.runs.client import RunClient, Way
from drls_dagster.runs.memory import RunMemory
from drls_dagster.runs.operation import Operation
from drls_dagster.steps.bad_rows import tell_bad_rows
from drls_dagster.steps.changes import COLUMN, DELETE, UPSERT, takes_changes
from drls_dagster.steps.checks import Finding, checks_of, evaluate
from drls_dagster.steps.frames import Frames
from drls_dagster.steps.kinds import BUILDERS
from drls_dagster.steps.run import PipelineRun, Reads, SourceRead
from drls_dagster.steps.sources.pins import Pin
from drls_dagster.steps.spark import arguments_of
from drls_dagster.steps.staging import forget, staging_folder
from drls_dagster.steps.write import inside_window, one_row_per_key, what_write_refused
from lifecycle.domain.environment import Environment
from lifecycle.spec import FilesSource, IcebergSource, PipelineSpec, SinkNode, SourceNode
from lifecycle.spec.columns import column_type
from lifecycle.spec.pipeline import sql_texts

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame

    from drls_dagster.engine.session import EngineSession
    from drls_dagster.pipeline_files import Loaded
    from drls_dagster.python_api.testing.rows import GivenRows
    from drls_dagster.settings import Settings
    from drls_dagster.steps.window import Window

A = TypeVar("A")


class Bench:
    """The nodes of one pipeline as frames over given rows. `given` may also have rows of transforms, in their place."""

    def __init__(
        self,
        loaded: Loaded,
        settings: Settings,
        given: Mapping[str, pa.Table],
        parameters: Mapping[str, Any],
        window: Window | None,
    ) -> None:
        spec = loaded.spec
        assert spec is not None, "what is found can be read"  # noqa: S101
        self.spec = spec
        self.given = given
        self._opened: EngineSession | None = None
        run_id = f"test-{uuid.uuid4().hex}"
        runs = RunClient(_NoPlatform(settings, loaded, run_id), spec.name, Environment.DEVELOPMENT)
        self.run = PipelineRun(
            spec=spec,
            environment=Environment.DEVELOPMENT,
            settings=settings,
            catalog=RunCatalog(settings.catalog.name, runs),
            runs=runs,
            memory=_Kept(),
            open_session=self._open,
            run_id=run_id,
            run_key=run_id,
            parameters=parameters,
            window=window,
            search_path=(str(loaded.path.parent.resolve()),),
        )
        self.frames = _GivenFrames(self.run, given)

    def close(self) -> None:
        """Ends the process of the pipeline's Python, and removes what lies in the session and in the staging folder."""
        self.run.code.end()
        if self._opened is not None and is_shared(self._opened):  # of a session that was closed, nothing is left
            for view in self.frames.views:
                self._opened.spark.catalog.dropTempView(view)
        forget(staging_folder(self.run.settings, self.run.run_key, "x").rpartition("/")[0])

    def _open(self) -> EngineSession:
        self._opened = shared_session(self.run.settings)
        return self._opened

    def missing(self, node_id: str) -> str | None:
        """A source that the node reads and that the test gives no rows for; None where it can be computed."""
        if node_id in self.given:
            return None
        node = self.spec.node(node_id)
        if isinstance(node, SourceNode):
            return node_id
        return next((found for name in self.spec.upstream(node_id) if (found := self.missing(name)) is not None), None)

    def rows(self, node_id: str) -> pa.Table:
        """The rows of a node; of a sink, those that it would write."""
        with self._errors(node_id):
            return self._frame(node_id).toArrow()

    def checks(self, node_id: str) -> list[tuple[Finding, str]]:
        """What the checks on a node find, each with the first rows that it fails on, in words."""
        checks = checks_of(self.spec, node_id)
        with self._errors(node_id):
            frame = self._frame(node_id)
            view = f"drls_test_{node_id}_{uuid.uuid4().hex}"
            frame.createOrReplaceTempView(view)
            self.frames.views.append(view)
            spark = self.run.session.spark
            found = evaluate(spark, frame, node_id, checks, view, lambda sql: arguments_of(self.run, node_id, sql))
            tell_bad_rows(self.run, node_id, frame, checks, found, view)
        assert isinstance(self.run.memory, _Kept)  # noqa: S101
        told = self.run.memory.noted.get(node_id, {})
        return [(one, _bad_rows(told.get(one.name))) for one in found]

    def _frame(self, node_id: str) -> DataFrame:
        node = self.spec.node(node_id)
        if not isinstance(node, SinkNode) or node_id in self.given:
            return self.frames.frame(node_id, self.frames.reads)
        (upstream,) = self.spec.upstream(node_id)
        return self._written(node, self.frames.frame(upstream, self.frames.reads))

    def _written(self, sink: SinkNode, frame: DataFrame) -> DataFrame:
        """What the sink would write to an empty table, under the rules of its mode."""
        from pyspark.sql.connect.functions import builtin as f

        window = self.run.window
        if takes_changes(self.spec, sink):
            if COLUMN not in frame.columns:
                raise DrlsError(
                    f"sink '{sink.id}': its input has no column '{COLUMN}', so deleted rows would be written"
                )
            frame = frame.where(f.col(COLUMN) != DELETE).drop(COLUMN)
        if sink.mode == "merge":
            lacking = next((key for key in sink.keys or () if key.lower() not in map(str.lower, frame.columns)), None)
            if lacking is not None:
                has = ", ".join(frame.columns)
                raise DrlsError(f"sink '{sink.id}' merges by '{lacking}', which its input lacks; it has {has}")
            return one_row_per_key(frame, sink.keys or (), frame.columns)
        if sink.mode == "overwrite_partitions" and window is not None:
            return inside_window(frame, window, sink.id)
        return frame

    @contextmanager
    def _errors(self, node_id: str) -> Iterator[None]:
        """What Spark raises, in a line."""
        from pyspark.errors import PySparkException

        from drls_dagster.engine.spark_errors import explain

        try:
            yield
        except PySparkException as error:
            told = what_write_refused(error)
            if told is not None:
                raise DrlsError(f"sink '{node_id}': {told}") from None
            sql = {node.id: text for node in self.spec.nodes for text in sql_texts(node)[:1]}
            raise DrlsError(explain(error, node_id, sql)) from None


def typed_rows(
    spec: PipelineSpec, given: Mapping[str, GivenRows], types: Mapping[str, Mapping[str, str]]
) -> dict[str, pa.Table]:
    """The rows of each node as Arrow: in the types of `types`, else of its declared schema, else of their values.

    Raises UsageError for a name that no node has, and for a value that does not fit.
    """
    import pyarrow as pa

    known = {node.id: node for node in spec.nodes if node.type != "monitor"}
    for name in (*given, *types):
        if name not in known:
            raise UsageError(f"pipeline '{spec.name}' has no node '{name}' with rows; it has: {', '.join(known)}")
    found: dict[str, pa.Table] = {}
    for name, rows in given.items():
        node = known[name]
        source = node.source if isinstance(node, SourceNode) else None
        declared = getattr(source, "schema_", None) or getattr(node, "output_schema", None) or {}
        # A schema of csv may name some of the columns; any other names all that there are.
        only = bool(declared) and not (isinstance(source, FilesSource) and source.format == "csv")
        kinds = {one: _type(name, text) for one, text in {**declared, **types.get(name, {})}.items()}
        table = arrow_rows(f"given rows of '{name}'", rows, kinds, there=tuple(declared), only=only)
        if isinstance(source, IcebergSource) and source.read == "changes" and COLUMN not in table.column_names:
            table = table.append_column(COLUMN, pa.repeat(UPSERT, table.num_rows))
        found[name] = table
    return found


def _type(node: str, text: str) -> pa.DataType:
    try:
        return arrow_type(column_type(text))
    except ValueError as error:
        raise UsageError(f"types of '{node}': {error}") from None


@dataclass(frozen=True)
class _GivenPin(Pin):
    """Rows of a test."""

    digest: str

    def stored(self) -> dict[str, Any]:
        return {"given": self.digest}


class _GivenFrames(Frames):
    """Frames in which the rows of a test take the place of what nodes would read or compute."""

    def __init__(self, run: PipelineRun, given: Mapping[str, pa.Table]) -> None:
        super().__init__(run, BUILDERS)
        self._given = given
        # The names of views are made of the reads: two tests of one pipeline never meet in the session.
        self.reads: Reads = {name: SourceRead(_GivenPin(f"{run.run_id}.{name}")) for name in given}
        self.views: list[str] = []

    def view(self, node_id: str, reads: Reads) -> str:
        name = super().view(node_id, reads)
        self.views.append(name)
        return name

    def _build(self, node_id: str, reads: Reads) -> DataFrame:
        if node_id in self._given:
            return self.run.session.spark.createDataFrame(self._given[node_id])
        if isinstance(self.run.spec.node(node_id), SourceNode):
            raise UsageError(f"the test gives no rows of source '{node_id}'; pass given={{'{node_id}': [...]}}")
        return super()._build(node_id, reads)

    def _sources(self, node_id: str) -> Iterator[SourceNode]:
        """None is read: there is no file that could change meanwhile."""
        return iter(())


class _NoPlatform(Way):
    """A test has no run that the platform knows. The code of a saved version is all that it asks for."""

    renews = False

    def __init__(self, settings: Settings, loaded: Loaded, run_id: str) -> None:
        self._settings = settings
        self._loaded = loaded
        self._run_id = run_id

    def carry(
        self, operation: Operation[..., A], pipeline: str, environment: Environment, given: Mapping[str, Any]
    ) -> A:
        from drls_dagster.runs.opening import direct
        from drls_dagster.runs.operations import version
        from drls_dagster.runs.part import Part
        from lifecycle.spec import digest

        if operation is not version.code:
            raise DrlsError(f"a test of '{pipeline}' asks nothing of the platform, and it asked for {operation.name}")
        release, spec = self._loaded.release, self._loaded.spec
        if release is None or spec is None:
            return cast(A, {})  # a draft's code lies in its folder
        part = Part(pipeline, digest(spec), environment)
        return direct(self._settings, self._run_id, self._run_id, [part]).carry(operation, pipeline, environment, given)


class _Kept(RunMemory):
    """What a run remembers, in this process and for this test alone."""

    def __init__(self) -> None:
        self.noted: dict[str, dict[str, Any]] = {}
        self._outputs: dict[tuple[str, str], list[list[Any]]] = {}
        self._checks: dict[tuple[str, str], list[dict[str, Any]]] = {}

    def output(self, node: str, key: str) -> list[list[Any]] | None:
        return self._outputs.get((node, key))

    def record_output(self, node: str, key: str, files: list[Any]) -> None:
        self._outputs[node, key] = files

    def checks(self, node: str, key: str) -> list[dict[str, Any]] | None:
        return self._checks.get((node, key))

    def record_checks(self, node: str, key: str, results: list[dict[str, Any]]) -> None:
        self._checks[node, key] = results

    def note(self, node: str, about: About, value: Any) -> None:
        if about is About.ROWS:
            self.noted[node] = value


def _bad_rows(told: Mapping[str, Any] | None) -> str:
    if told is None:
        return ""
    shown = (
        "  " + ", ".join(f"{name}={value}" for name, value in zip(told["columns"], row, strict=True))
        for row in told["rows"]
    )
    return "\n".join(shown)
