"""What a run may change of tables: those of its version's sinks, in its environment, and there its own branches.

Refs of environments, tags and snapshots are never among it: the platform publishes, and maintains.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, NoReturn

from pyiceberg.table import TableProperties
from pyiceberg.table.update import (
    AddPartitionSpecUpdate,
    AddSchemaUpdate,
    AddSortOrderUpdate,
    RemovePropertiesUpdate,
    RemoveSnapshotRefUpdate,
    SetCurrentSchemaUpdate,
    SetDefaultSortOrderUpdate,
    SetDefaultSpecUpdate,
    SetPropertiesUpdate,
    SetSnapshotRefUpdate,
)

from drls_dagster.lakehouse.naming import MAIN, TableLocation, separate_location, table_location
from drls_dagster.lakehouse.prepare import OWNER
from drls_dagster.lakehouse.rebuild import REBUILD
from drls_dagster.lakehouse.refs import RELEASED
from drls_dagster.lakehouse.separate import SEPARATE, may_reshape
from drls_dagster.ledger import RunBranch
from drls_dagster.runs.table_words import Name
from lifecycle.domain.environment import Environment
from lifecycle.errors import Forbidden
from lifecycle.spec import PipelineSpec

if TYPE_CHECKING:
    from pyiceberg.schema import Schema
    from pyiceberg.table import Table
    from pyiceberg.table.update import TableUpdate

_DEVELOPMENTS = "__development"
_SCHEMA = AddSchemaUpdate | SetCurrentSchemaUpdate
_LAYOUT = AddPartitionSpecUpdate | SetDefaultSpecUpdate | AddSortOrderUpdate | SetDefaultSortOrderUpdate
_REFS = SetSnapshotRefUpdate | RemoveSnapshotRefUpdate
# PyIceberg reads these from a table's properties too: where files lie, which class opens them, with what credential.
_STEERS_FILES = re.compile(
    r"(s3|gcs|adls|hdfs|hf|client|glue|dynamodb|rest|header|oauth2|ssl|py-[a-z]+|io|http|encryption|kms)[.-].*"
    r"|uri|token|credential|warehouse|.*[.-](path|impl)"
)


@dataclass(frozen=True)
class Target:
    """A table that a run writes: where it is, what the pipeline calls it, and the properties that its sink names.

    Any properties where these are None, for a draft. A separate table says which one it stands in for (D10).
    """

    location: TableLocation
    table: str
    properties: Mapping[str, str] | None
    stands_in_for: TableLocation | None = None


@dataclass(frozen=True)
class TablePolicy:
    """The rules for one pipeline of one run. A draft has no `spec`: it may write what is development's own.

    `gave_up(owner, table)`: whether that pipeline writes the table no longer (D11). `branches` are those that the
    ledger lists for a table.
    """

    pipeline: str
    spec: PipelineSpec | None
    environment: Environment
    run_id: str
    branches: Callable[[str], Sequence[RunBranch]]
    gave_up: Callable[[str, str], bool]

    @cached_property
    def _targets(self) -> Mapping[Name, Target]:
        found: dict[Name, Target] = {}
        for sink in self.spec.sinks if self.spec is not None else ():
            real, own = table_location(self.environment, sink.table), separate_location(self.environment, sink.table)
            found[real.identifier] = Target(real, sink.table, sink.properties)
            if own is not None:
                found[own.identifier] = Target(own, sink.table, sink.properties, real)
        return found

    def target(self, table: Name) -> Target:
        """The run's own table of that name. Raises Forbidden where it has none."""
        found = self._targets.get(table)
        if found is None and self.spec is None and self.environment is Environment.DEVELOPMENT:
            namespace = table[-2].removesuffix(_DEVELOPMENTS)
            if namespace != table[-2]:
                location = TableLocation(table, MAIN)
                return Target(location, ".".join((*table[:-2], namespace, table[-1])), None)
        if found is None:
            mine = ", ".join(sorted(".".join(one) for one in self._targets))
            self._refuse(f"change table {'.'.join(table)}; its version writes {mine or 'none'} there")
        return found

    def may_use_namespace(self, namespace: Name) -> None:
        """Raises Forbidden where none of the run's tables is in that namespace."""
        drafts = self.spec is None and namespace[-1].endswith(_DEVELOPMENTS)
        if not drafts and namespace not in {table[:-1] for table in self._targets}:
            self._refuse(f"create namespace {'.'.join(namespace)}")

    def may_create(self, table: Name, properties: Mapping[str, str], real: Callable[[Name], Table]) -> None:
        """Raises Forbidden for a table of nobody's sink, or one that would claim to be what it is not.

        `real` loads a table: a separate one inherits the properties of the table that it stands in for.
        """
        target = self.target(table)
        allowed = {**(target.properties or {}), OWNER: self.pipeline, RELEASED: "false"}
        if target.stands_in_for is not None:
            inherited = real(target.stands_in_for.identifier).properties
            self._refuse_foreign(target, inherited.get(OWNER))
            allowed = {**inherited, SEPARATE: properties.get(SEPARATE, "")}
        for name, value in properties.items():
            if name in (OWNER, RELEASED, SEPARATE):
                is_allowed = allowed.get(name) == value
            elif name == "format-version":
                is_allowed = value in ("1", "2")
            else:
                is_allowed = not _is_kept_from_runs(name) and (target.properties is None or allowed.get(name) == value)
            if not is_allowed:
                self._refuse(f"create {'.'.join(table)} with the property {name}={value}")
        if OWNER in allowed and OWNER not in properties:
            self._refuse(f"create {'.'.join(table)} without saying whose it is ({OWNER})")

    def needs_table(self, updates: Sequence[TableUpdate]) -> bool:
        """Whether `may_commit` has to see the table as it is now; for the run's own branches it need not."""
        return not all(isinstance(one, _REFS) for one in updates)

    def may_commit(self, name: Name, updates: Sequence[TableUpdate], table: Table | None) -> None:
        """Raises Forbidden where one of the updates is not this run's to make."""
        target = self.target(name)
        location = target.location
        if table is not None:
            self._refuse_foreign(target, table.properties.get(OWNER))
        for update in updates:
            if isinstance(update, _REFS):
                self._may_set_ref(location, update)
            elif table is None:
                raise ValueError("only refs are changed without a look at the table")
            elif isinstance(update, SetPropertiesUpdate):
                for key, value in update.updates.items():
                    self._may_set(target, table, key, value)
            elif isinstance(update, RemovePropertiesUpdate):
                if set(update.removals) != {REBUILD} or not self._is_free(location):
                    self._refuse(f"remove the properties {', '.join(update.removals)} of {location.name}")
            elif not isinstance(update, _SCHEMA | _LAYOUT):
                self._refuse(f"make the change '{update.action}' in {location.name}")
            elif not self._is_free(location):
                self._may_add(table, updates, update)

    def may_publish(self, table: Table, location: TableLocation, branch: str) -> None:
        """Raises Forbidden for another's table, and for a branch that this run did not make."""
        self._refuse_foreign(self.target(location.identifier), table.properties.get(OWNER))
        if not self.is_own_branch(location.name, branch):
            self._refuse(f"publish '{branch}' of {location.name}; it publishes its own branch")

    def is_own_branch(self, table: str, branch: str) -> bool:
        """Whether this run has noted the branch as its own, before it made it (D13)."""
        named = branch.startswith(f"drls_run_{self.run_id[:8]}_")
        return named and any((one.branch, one.run_id) == (branch, self.run_id) for one in self.branches(table))

    def _is_free(self, location: TableLocation) -> bool:
        return may_reshape(self.environment, location)

    def _may_set_ref(self, location: TableLocation, update: _REFS) -> None:
        ref = update.ref_name
        if isinstance(update, SetSnapshotRefUpdate):
            keeps = (update.max_ref_age_ms, update.max_snapshot_age_ms, update.min_snapshots_to_keep)
            if update.type != "branch" or any(one is not None for one in keeps) or not self._owns(location, ref):
                self._refuse(f"set the {update.type} '{ref}' of {location.name}; it writes a branch of its own")
        elif not self._owns(location, ref) and not self._is_debris(location, ref):
            self._refuse(f"remove '{ref}' of {location.name}; it removes its own branch, and those of dead runs")

    def _owns(self, location: TableLocation, branch: str) -> bool:
        return self.is_own_branch(location.name, branch)

    def _is_debris(self, location: TableLocation, branch: str) -> bool:
        return any(one.branch == branch and one.is_debris for one in self.branches(location.name))

    def _may_add(self, table: Table, updates: Sequence[TableUpdate], update: _SCHEMA | _LAYOUT) -> None:
        """In a table that others share, new optional columns are all that a run may bring (D10)."""
        wanted = None
        if isinstance(update, AddSchemaUpdate):
            wanted = update.schema_
        elif isinstance(update, SetCurrentSchemaUpdate):
            if update.schema_id == -1:
                return  # the one that this commit adds, which is looked at as such
            added = [one.schema_ for one in updates if isinstance(one, AddSchemaUpdate)]
            wanted = {**{one.schema_id: one for one in added}, **table.schemas()}.get(update.schema_id)
        if wanted is None or not _only_adds(table.schema(), wanted):
            name = ".".join(table.name())
            self._refuse(f"change columns or layout of {name}, which all environments share, but by optional columns")

    def _may_set(self, target: Target, table: Table, key: str, value: str) -> None:
        if key == OWNER:
            allowed = value == self.pipeline and table.properties.get(OWNER) is not None
        elif key == TableProperties.DEFAULT_NAME_MAPPING:
            allowed = key in table.properties
        elif key == REBUILD:
            allowed = self._is_free(target.location)
        else:
            wanted = target.properties is None or target.properties.get(key) == value
            allowed = self._is_free(target.location) and wanted and not _is_kept_from_runs(key)
        if not allowed:
            self._refuse(f"set the property {key}={value} of {target.location.name}")

    def _refuse_foreign(self, target: Target, owner: str | None) -> None:
        if owner not in (None, self.pipeline) and not self.gave_up(owner, target.table):
            self._refuse(f"change table {target.location.name}, which pipeline '{owner}' writes")

    def _refuse(self, what: str) -> NoReturn:
        raise Forbidden(f"a run of {self.pipeline} in {self.environment.label} may not {what}")


def _is_kept_from_runs(name: str) -> bool:
    """Whether a property is DRLS's own, or says where the platform would look for files and how it opens them."""
    return name.startswith("drls.") or _STEERS_FILES.fullmatch(name) is not None


def _only_adds(before: Schema, after: Schema) -> bool:
    """Whether each field is still what it was, by its id, and each new one optional."""
    from pyiceberg.schema import index_by_id, index_name_by_id

    names, then = index_name_by_id(before), index_by_id(before)
    new_names, now = index_name_by_id(after), index_by_id(after)
    for number, field in then.items():
        other = now.get(number)
        if other is None or (other.required, new_names[number]) != (field.required, names[number]):
            return False
        same = other.field_type == field.field_type
        if not same and (field.field_type.is_primitive or type(other.field_type) is not type(field.field_type)):
            return False
    return all(not field.required for number, field in now.items() if number not in then)
