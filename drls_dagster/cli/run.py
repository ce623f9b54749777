"""`drls run`: run a pipeline here and now."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import click

from drls_dagster.cli.options import environment_type
from drls_dagster.cli.output import duplicate_stdout, in_words, json_option, make_console, print_json, print_table
from drls_dagster.errors import DrlsError, UsageError
from drls_dagster.settings import Settings, load_settings
from lifecycle.domain.environment import Environment

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console
    from rich.table import Table

    from drls_dagster.launch.progress import RunOutcome, StepProgress
    from drls_dagster.pipeline_files import Loaded

_NAMED = 5  # partitions of a list that a message names
_ICONS = {"waiting": "·", "running": "▶", "done": "✔", "failed": "✘", "skipped": "–"}
_STYLES = {"waiting": "dim", "running": "blue", "done": "green", "failed": "red", "skipped": "dim"}


@click.command()
@click.argument("pipeline", metavar="PIPELINE|FILE")
@click.option(
    "--env",
    "environment",
    type=environment_type,
    default="development",
    show_default=True,
    help="Environment to run in.",
)
@click.option(
    "--select", help='Run only these steps: "a,b". "+a" adds everything upstream, "a+" everything downstream.'
)
@click.option("--param", "parameters", multiple=True, metavar="NAME=VALUE", help="Set a parameter. Repeatable.")
@click.option("--partition", metavar="KEY|FIRST...LAST|all", help="Which partitions of a partitioned pipeline to run.")
@click.option("--each", is_flag=True, help="Start one run per partition instead of one for the whole range.")
@click.option("--keep-going", is_flag=True, help="With --each: continue with the other partitions when one fails.")
@json_option
def run(
    pipeline: str,
    environment: Environment,
    select: str | None,
    parameters: tuple[str, ...],
    partition: str | None,
    each: bool,
    keep_going: bool,
    as_json: bool,
) -> None:
    """Run a pipeline: the version deployed in the environment or, in development, a file."""
    from drls_dagster.launch.choices import check_flags
    from drls_dagster.launch.find import find_pipeline

    check_flags(parameters, each=each, keep_going=keep_going)
    settings = load_settings()
    loaded = find_pipeline(pipeline, settings, environment)
    outcomes, not_run = run_pipeline(
        loaded,
        settings,
        environment,
        select=select,
        parameters=parameters,
        partition=partition,
        each=each,
        keep_going=keep_going,
        show=not as_json,
    )
    if as_json:
        print_json([vars_of(outcome) for outcome in outcomes])
    failed = [outcome for outcome in outcomes if not outcome.success]
    if failed:
        raise DrlsError(_failure(failed, len(outcomes), not_run))


def _failure(failed: Sequence[RunOutcome], ran: int, not_run: Sequence[str]) -> str:
    """What failed and which partitions were not run, in one line."""
    first = failed[0].failure or f"run {failed[0].run_id} failed"
    if failed[0].partition is None:
        return first
    which = _listed([outcome.partition or "" for outcome in failed])
    text = f"{len(failed)} of {ran} runs failed: {which}; the first: {first}" if ran > 1 else f"{which}: {first}"
    if not_run:
        text += f"; not run: {_listed(not_run)}; pass --keep-going to run the others when one fails"
    return text


def _listed(names: Sequence[str]) -> str:
    if len(names) <= _NAMED:
        return ", ".join(names)
    return f"{', '.join(names[: _NAMED - 1])}, … {names[-1]} ({len(names)} partitions)"


def run_pipeline(
    loaded: Loaded,
    settings: Settings,
    environment: Environment = Environment.DEVELOPMENT,
    *,
    select: str | None = None,
    parameters: tuple[str, ...] = (),
    partition: str | None = None,
    each: bool = False,
    keep_going: bool = False,
    show: bool = True,
) -> tuple[list[RunOutcome], list[str]]:
    """Check what was asked for, start the engine, run: one outcome per run, and the partitions that were not run.

    Reports what is wrong before it loads Dagster and the engine, as far as they need not be asked.

    Without `keep_going` the first run that fails is the last one. Raises KeyboardInterrupt behind a run that was
    interrupted.
    """
    from drls_dagster.launch.choices import read_parameters, read_partitions, select_nodes

    spec = loaded.spec
    if spec is None:
        raise UsageError(loaded.problem or "the pipeline cannot be read")
    nodes = select_nodes(spec, select)
    values = read_parameters(spec, parameters)
    windows = read_partitions(spec, partition, each=each)
    from drls_dagster.assets.compile import refuse_unsupported
    from drls_dagster.launch.run import launch

    refuse_unsupported(spec)
    start_engine(settings)
    outcomes: list[RunOutcome] = []
    for window in windows:
        # The first failure is the command's error, which says it once.
        is_first = all(outcome.success for outcome in outcomes)
        with Display(f"{spec.name} {window or ''}".strip(), show=show, explain=not is_first) as display:
            outcome = launch(
                loaded,
                settings,
                environment,
                nodes=nodes,
                parameters=values,
                partitions=window,
                changed=display.update,
            )
        outcomes.append(outcome)
        if show:
            show_outcome(outcome, said=outcome.failure if is_first else "")
        if outcome.interrupted:
            raise KeyboardInterrupt
        if not outcome.success and not keep_going:
            break
    return outcomes, [str(window) for window in windows[len(outcomes) :]]


def start_engine(settings: Settings) -> None:
    """Wait for the engine in sight of the person; a warm one is there at once."""
    from drls_dagster.cli.engine import progress
    from drls_dagster.engine.client import ensure_engine

    if settings.engine.spark_connect:
        return
    # What the run needs next is imported while the engine starts.
    warm = threading.Thread(target=_import_spark, daemon=True)
    warm.start()
    with progress("engine") as report:
        ensure_engine(settings, report)
    warm.join()


def _import_spark() -> None:
    import pyspark.sql.connect.session  # noqa: F401


class Display:
    """The steps of a run as they go: a table that moves on a terminal, a line per step elsewhere.

    `explain`: a failed step's line says why it failed.
    """

    def __init__(self, title: str, *, show: bool, explain: bool) -> None:
        from rich.live import Live

        # As it is now: what is written to stdout itself while a run works is kept as the run's output.
        self.stdout = duplicate_stdout() if show else None
        self.console = make_console(self.stdout)
        self.title = title
        self.live = Live(console=self.console, refresh_per_second=8) if show and self.console.is_terminal else None
        self.show = show
        self.explain = explain
        self.said: set[tuple[str, str]] = set()

    def __enter__(self) -> Display:
        if self.live:
            self.live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self.live:
            self.live.stop()
        if self.stdout:
            self.stdout.close()

    def update(self, outcome: RunOutcome) -> None:
        if self.live:
            self.live.update(self._table(outcome))
        elif self.show:
            for step in outcome.steps:
                if step.state in {"done", "failed"} and (step.node, step.state) not in self.said:
                    self.said.add((step.node, step.state))
                    took = f"{step.seconds:6.1f} s" if step.seconds is not None else " " * 8
                    self.console.print(f"{_ICONS[step.state]} {took}  {step.node} {self._why(step, outcome)}".rstrip())

    def _why(self, step: StepProgress, outcome: RunOutcome) -> str:
        return "" if step.state == "failed" and not (self.explain or outcome.interrupted) else step.message

    def _table(self, outcome: RunOutcome) -> Table:
        from rich.table import Table
        from rich.text import Text

        table = Table(box=None, title=self.title, title_justify="left", show_header=False, padding=(0, 1))
        for step in outcome.steps:
            took = f"{step.seconds:.1f} s" if step.seconds is not None else ""
            style = _STYLES[step.state]
            message = Text(self._why(step, outcome), style=style, overflow="ellipsis", no_wrap=True)
            table.add_row(Text(_ICONS[step.state], style=style), step.node, Text(took, justify="right"), message)
        return table


def show_outcome(outcome: RunOutcome, *, said: str = "") -> None:
    """The tables and checks of a run, for people; without what the command's error says as well."""
    console = make_console()
    if outcome.tables:
        print_table(
            ("table", "rows", "size", "added", "removed", "snapshot"),
            [
                (
                    table["name"],
                    table["rows"],
                    in_words(table["bytes"]),
                    table["rows_added"],
                    table["rows_removed"],
                    table["snapshot_id"],
                )
                for table in outcome.tables
            ],
            right=("rows", "size", "added", "removed"),
        )
    if outcome.checks:
        show_checks(console, outcome, said)
    state = "succeeded" if outcome.success else "failed"
    covers = f" of {outcome.partition}" if outcome.partition else ""
    console.print(f"run {outcome.run_id}{covers} {state} in {outcome.seconds:.1f} s")


def show_checks(console: Console, outcome: RunOutcome, said: str) -> None:
    failed = [check for check in outcome.checks if not check["passed"]]
    console.print(f"{len(outcome.checks) - len(failed)} of {len(outcome.checks)} checks passed")
    for check in failed:
        message = check["message"] or ""
        why = f": {message}" if message not in said else ""
        console.print(f"  {'✘' if check['severity'] == 'blocking' else '!'} {check['check']}{why}")


def vars_of(outcome: RunOutcome) -> dict[str, Any]:
    """An outcome as JSON."""
    return {**vars(outcome), "steps": [vars(step) for step in outcome.steps]}
