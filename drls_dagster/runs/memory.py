"""What a run remembers, as its steps use it: the ledger of the platform, asked through the run service."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from typing import Any

from drls_dagster.ledger import About, PublishRecord, RunBranch, place_of, this_worker
from drls_dagster.ledger.heartbeat import Heartbeat
from drls_dagster.runs.client import RunClient
from drls_dagster.runs.table_words import Candidate, TableState
from drls_dagster.runs.token import LIFE, RunToken
from drls_dagster.settings import Settings


class Executing:
    """This process's work on one run: it sends heartbeats until `leave`, and renews the run's token."""

    def __init__(self, client: RunClient, settings: Settings) -> None:
        self.name = uuid.uuid4().hex
        self.place = place_of(settings)
        self.worker = this_worker(self.place)
        self._client = client
        self._renewed = time.monotonic()
        self._heart = Heartbeat(self._beat, settings.ledger.heartbeat_seconds)
        client.execute(self.name, self.worker)
        self._heart.start()

    def leave(self) -> None:
        """The run is over in this process."""
        self._heart.stop()
        self._client.leave(self.name)

    def _beat(self) -> None:
        self._client.beat(self.name)
        if self._client.way.renews and time.monotonic() - self._renewed > LIFE.total_seconds() / 2:
            self._client.way.renewed(RunToken(self._client.renew()))
            self._renewed = time.monotonic()


class RunMemory:
    """Pins, branches, outputs, check results and publishes of one pipeline in a run."""

    def __init__(self, client: RunClient, executing: Executing) -> None:
        self._client = client
        self._executing = executing

    def require_alive(self) -> None:
        """Raises RunTakenForDead where others have gone on without this process."""
        self._client.require_alive(self._executing.name)

    def pin(self, epoch: str, node: str, make: Callable[[], Any]) -> Any:
        """What `node` was pinned to in this run; the first who asks decides by `make()` (D1)."""
        found = self._client.pinned(epoch, node)
        return self._client.pin(epoch, node, make()) if found is None else found

    def open_branch(self, table: str, branch: str, session_id: str, engine_id: str) -> None:
        """Notes a branch before it is made. Raises RunTakenForDead where others have gone on without this process."""
        one = self._executing
        self._client.open_branch(one.name, one.worker, table, branch, session_id, engine_id)

    def keep_branch(self, table: str, branch: str) -> None:
        """A check failed: the branch stays for inspection."""
        self._client.keep_branch(table, branch)

    def close_branch(self, table: str, branch: str) -> None:
        """The branch is gone."""
        self._client.close_branch(table, branch)

    def debris(self, table: str) -> list[RunBranch]:
        """The branches of a table for which nobody comes back (D13)."""
        return self._client.debris(table, self._executing.place)

    def output(self, node: str, key: str) -> list[list[Any]] | None:
        """The files of a materialised node, None when it was not materialised in this run (D2)."""
        return self._client.output(node, key)

    def record_output(self, node: str, key: str, files: list[Any]) -> None:
        """Notes them."""
        self._client.record_output(node, key, files)

    def rows_read(self, node: str, key: str) -> list[list[Any]]:
        """What a materialised node read: of each source its name, its rows, and why nobody knows them."""
        return self.output(node, f"{key}.read") or []

    def record_rows_read(self, node: str, key: str, found: list[list[Any]]) -> None:
        """Notes it next to the files."""
        self.record_output(node, f"{key}.read", found)

    def checks(self, node: str, key: str) -> list[dict[str, Any]] | None:
        """What the checks on a node found for that recipe, None when nobody has looked in this run."""
        return self._client.checks(node, key)

    def record_checks(self, node: str, key: str, results: list[dict[str, Any]]) -> None:
        """Notes it."""
        self._client.record_checks(node, key, results)

    def note(self, node: str, about: About, value: Any) -> None:
        """Keeps what people see when they ask why the run failed."""
        self._client.note(node, about, value)

    def publishes(self, table: str, table_uuid: str) -> list[PublishRecord]:
        """The publishes of a table that the run writes, newest first (D4)."""
        return self._client.publishes(table, table_uuid)

    def publish(self, candidate: Candidate) -> TableState:
        """Publishes what the run has written, under the rules of `operations.publishing.publish`."""
        return self._client.publish(self._executing.name, candidate)
