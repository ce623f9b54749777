"""What a run asks the platform through: one typed interface, wherever the platform is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, TypeVar

from drls_dagster.runs.operation import Operation
from drls_dagster.runs.operations import admission, connections, memory, publishing, tables, tracing, upkeep, version
from drls_dagster.runs.service import RunService
from drls_dagster.runs.token import RunToken
from drls_dagster.traces.place import Place
from lifecycle.domain.environment import Environment

A = TypeVar("A")


class Way(ABC):
    """Brings a run's questions to the run service, with its token. `renews`: it has one that expires. `at`: the span of
    the run that asks.
    """

    renews = True
    at: Place | None = None

    @abstractmethod
    def carry(
        self, operation: Operation[..., A], pipeline: str, environment: Environment, given: Mapping[str, Any]
    ) -> A:
        """The answer. Raises DrlsError: what the service raised, as the same class with the same message."""

    def renewed(self, token: RunToken) -> None:
        """From now on this one is shown."""
        self._token = token


class Direct(Way):
    """The service in this process: the owner's own command serves itself, through the same checks."""

    renews = False

    def __init__(self, service: RunService, token: RunToken) -> None:
        self._service = service
        self._token = token

    def carry(
        self, operation: Operation[..., A], pipeline: str, environment: Environment, given: Mapping[str, Any]
    ) -> A:
        return self._service.answer(self._token.text, operation, pipeline, environment, given, at=self.at)


class RunClient:
    """A run's own view of the platform, for one of its pipelines. Every call raises DrlsError."""

    def __init__(self, way: Way, pipeline: str, environment: Environment) -> None:
        self.way, self.pipeline, self.environment = way, pipeline, environment

    def ask(self, operation: Operation[..., A], given: Mapping[str, Any]) -> A:
        """The answer to any operation, by its arguments' names."""
        return self.way.carry(operation, self.pipeline, self.environment, given)

    admit = admission.admit
    start = admission.start
    look_for_dead_runs = admission.look_for_dead_runs
    ask_again = admission.ask_again
    gave_up = admission.gave_up
    tries = admission.tries
    finish = admission.finish

    load_table = tables.load_table
    create_namespace = tables.create_namespace
    create_table = tables.create_table
    commit_table = tables.commit_table
    read_metadata = tables.read_metadata

    written = publishing.written
    publish = publishing.publish
    confirm = publishing.confirm
    fingerprints = publishing.fingerprints

    connection = connections.connection

    execute = memory.execute
    beat = memory.beat
    require_alive = memory.require_alive
    leave = memory.leave
    pinned = memory.pinned
    pin = memory.pin
    open_branch = memory.open_branch
    keep_branch = memory.keep_branch
    close_branch = memory.close_branch
    debris = memory.debris
    output = memory.output
    record_output = memory.record_output
    checks = memory.checks
    record_checks = memory.record_checks
    publishes = memory.publishes
    note = memory.note

    trace = tracing.trace
    tell_spans = tracing.tell_spans

    look_at_tables = upkeep.look_at_tables
    look_at_table = upkeep.look_at_table
    begin = upkeep.begin
    follow = upkeep.follow
    stop = upkeep.stop

    saved_version = version.saved_version
    code = version.code
    renew = version.renew
