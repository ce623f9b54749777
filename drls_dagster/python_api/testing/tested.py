"""`drls.test(...)`: what a pipeline makes of rows that a test gives it."""

# ruff: noqa: PT028  `test` is no test

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from drls_dagster.errors import UsageError

if TYPE_CHECKING:
    import pyarrow as pa

    from drls_dagster.python_api.finding import AnyPipeline
    from drls_dagster.python_api.testing.bench import Bench
    from drls_dagster.python_api.testing.rows import GivenRows
    from drls_dagster.steps.checks import Finding
    from drls_dagster.steps.window import Window
    from lifecycle.spec import PipelineSpec


class Tested:
    """A pipeline on a test's rows. Nodes are computed when you ask for them, each once.

    `checks` has what each check found, by `monitor.check`: `passed`, `observed` and `message`.
    """

    __test__ = False  # to pytest, a class whose name begins with Test

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self._rows: dict[str, pa.Table] = {}
        self.checks: dict[str, Finding] = {}

    def arrow(self, node: str) -> pa.Table:
        """The rows of a node as Arrow; of a sink, those that it would write to an empty table.

        Raises UsageError where the node reads a source that the test gives no rows for, and DrlsError where a step
        fails.
        """
        if node not in self._rows:
            spec = self._bench.spec
            known = [one.id for one in spec.nodes if one.type != "monitor"]
            if node not in known:
                raise UsageError(f"pipeline '{spec.name}' has no node '{node}' with rows; it has: {', '.join(known)}")
            missing = self._bench.missing(node)
            if missing is not None:
                raise UsageError(f"'{node}' reads '{missing}', of which the test gives no rows; add it to given")
            self._rows[node] = self._bench.rows(node)
        return self._rows[node]

    def rows(self, node: str) -> list[dict[str, Any]]:
        """The rows of a node as dicts, as `arrow`."""
        return self.arrow(node).to_pylist()

    def expect(self, node: str, rows: GivenRows) -> None:
        """Raises AssertionError unless the node has exactly these rows, in any order, in the columns that they name.

        Values are compared in the type of the column: a date or a decimal may be written as text. Floating-point
        numbers may differ by a billionth.
        """
        __tracebackhide__ = True
        from drls_dagster.python_api.testing.comparing import difference

        told = difference(node, rows, self.arrow(node))
        if told is not None:
            raise AssertionError(told)

    def expect_checks(self, failing: Iterable[str] = (), skip: Iterable[str] = ()) -> None:
        """Raises AssertionError unless exactly the named checks fail, of those on nodes that the given rows reach.

        A check is named `monitor.check`, or by its own name where no other has it. Those in `skip` are not looked at.
        """
        __tracebackhide__ = True
        known = self._checks()
        wanted = {self._named(name, known) for name in failing}
        skipped = {self._named(name, known) for name in skip}
        unreached = sorted(name for name in wanted if self._bench.missing(known[name]) is not None)
        if unreached:
            missing = self._bench.missing(known[unreached[0]])
            raise UsageError(
                f"check '{unreached[0]}' reads '{missing}', of which the test gives no rows; add it to given"
            )
        wrong: list[str] = []
        for node in dict.fromkeys(known.values()):
            names = [name for name, on in known.items() if on == node]
            if self._bench.missing(node) is not None or skipped.issuperset(names):
                continue
            for name, (finding, rows) in zip(names, self._bench.checks(node), strict=True):
                self.checks[name] = finding
                if name in skipped or finding.passed is not (name in wanted):
                    continue
                if finding.passed:
                    wrong.append(f"check '{name}' was expected to fail, and it passes: {finding.message}")
                else:
                    wrong.append(f"check '{name}' on '{node}' fails: {finding.message}" + (f"\n{rows}" if rows else ""))
        if wrong:
            raise AssertionError("\n".join(wrong))

    def close(self) -> None:
        """Ends what the test has started; the engine stays warm."""
        self._bench.close()

    def _checks(self) -> dict[str, str]:
        """The node of each check, by `monitor.check`, in the order of the nodes' monitors."""
        spec = self._bench.spec
        return {
            f"{monitor.id}.{check.name}": node.id
            for node in spec.nodes
            for monitor in spec.monitors_of(node.id)
            for check in monitor.checks
        }

    def _named(self, name: str, known: Mapping[str, str]) -> str:
        found = [one for one in known if name in (one, one.partition(".")[2])]
        if len(found) == 1:
            return found[0]
        if found:
            raise UsageError(f"several checks have the name '{name}'; name one of: {', '.join(found)}")
        there = ", ".join(known) or "none"
        raise UsageError(f"pipeline '{self._bench.spec.name}' has no check '{name}'; it has: {there}")


def test(
    pipeline: AnyPipeline,
    given: Mapping[str, GivenRows],
    expect: Mapping[str, GivenRows] | None = None,
    *,
    failing: Iterable[str] = (),
    skip: Iterable[str] = (),
    parameters: Mapping[str, object] | None = None,
    partition: str | None = None,
    types: Mapping[str, Mapping[str, str]] | None = None,
    folder: str | Path | None = None,
) -> Tested:
    """Runs the SQL and Python of a pipeline on rows that you give, on the warm engine. Writes to no table.

    `given` has the rows of sources, or of steps whose place they take: lists of dicts, an Arrow table or a pandas
    frame. `expect` has the rows that nodes must have, in any order, in the columns that you name. The checks of the
    pipeline must pass on the nodes that the given rows reach, except those in `failing`, which must fail, and those in
    `skip`, which are not looked at.

    A column has the type that `types` says (`{'orders': {'amount': 'decimal(10,2)'}}`), else that of its source's
    schema, else that of its values. `parameters` and `partition` are those of `drls.run`. A definition made in Python
    finds its modules in `folder`.

    Raises AssertionError for other rows and other failing checks, with the difference. Raises UsageError for what
    cannot be tested, and DrlsError where a step fails.
    """
    __tracebackhide__ = True
    tested = open_test(pipeline, given, parameters=parameters, partition=partition, types=types, folder=folder)
    try:
        for node, rows in (expect or {}).items():
            tested.expect(node, rows)
        tested.expect_checks(failing, skip)
    except BaseException:
        tested.close()
        raise
    return tested


test.__test__ = False  # type: ignore[attr-defined]  # `from drls_dagster import test` in a module of tests


def open_test(
    pipeline: AnyPipeline,
    given: Mapping[str, GivenRows],
    *,
    parameters: Mapping[str, object] | None = None,
    partition: str | None = None,
    types: Mapping[str, Mapping[str, str]] | None = None,
    folder: str | Path | None = None,
) -> Tested:
    """The pipeline on its rows, of which nothing is computed yet."""
    from drls_dagster.launch.choices import typed_parameters
    from drls_dagster.python_api.finding import find
    from drls_dagster.python_api.testing.bench import Bench, typed_rows
    from drls_dagster.settings import load_settings
    from drls_dagster.steps.kinds import unsupported

    settings = load_settings()
    loaded = find(pipeline, settings, folder=folder)
    spec = loaded.spec
    assert spec is not None, "what is found can be read"  # noqa: S101
    for node, told in ((node, told) for node, told in unsupported(spec) if node not in given):
        raise UsageError(f"pipeline '{spec.name}', node '{node}': {told}")
    values = typed_parameters(spec, parameters or {})
    defaults = {name: one.default for name, one in spec.parameters.items() if one.default is not None}
    window = _window(spec, partition)
    rows = typed_rows(spec, given, types or {})
    return Tested(Bench(loaded, settings, rows, {**defaults, **values}, window))


def _window(spec: PipelineSpec, partition: str | None) -> Window | None:
    """The window of a run of the partitions. Raises UsageError."""
    from drls_dagster.launch.choices import read_partitions

    if spec.partitions is None and partition is None:
        return None
    window, *others = read_partitions(spec, partition, each=False, option="partition=")
    if window is None or others:
        raise UsageError(f"partition={partition!r} of '{spec.name}' takes several runs; name one key")
    import dagster as dg

    from drls_dagster.assets.partitions import window_of
    from drls_dagster.dagster_private.tags import ASSET_PARTITION_RANGE_END_TAG, ASSET_PARTITION_RANGE_START_TAG

    tags = {ASSET_PARTITION_RANGE_START_TAG: window.first, ASSET_PARTITION_RANGE_END_TAG: window.last}
    return window_of(dg.DagsterRun(job_name=spec.name, tags=tags), spec)
