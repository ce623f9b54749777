"""Changes of a table by hand: its columns, layout, branches and tags, one metadata commit each.

A column is named by its path: `city`, or `address.city` for a field of a struct. A part that has a dot itself is in
double quotes.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Literal, TypeVar

from annotated_types import Ge, Le, MaxLen
from pydantic import AwareDatetime, Field, StringConstraints, ValidationError, model_validator

from lifecycle.domain.data_diff import DataDiff, Progress, SchemaChange
from lifecycle.domain.environment import Environment
from lifecycle.domain.model import Frozen, SnapshotId
from lifecycle.errors import Invalid

_PLAIN = r"^[^\x00-\x1f\x7f]*$"
Path = Annotated[str, StringConstraints(min_length=1, max_length=500, pattern=_PLAIN)]
TypeText = Annotated[str, StringConstraints(min_length=1, max_length=2_000, pattern=_PLAIN)]
Doc = Annotated[str, StringConstraints(max_length=2_000, pattern=r"^[^\x00]*$")]
RefName = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=_PLAIN)]
Place = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=_PLAIN)]
Layout = Annotated[tuple[Path, ...], MaxLen(50)]
Keep = Annotated[int, Ge(1), Le(1_000_000)]
Milliseconds = Annotated[int, Ge(1), Le(2**53)]


class AddColumn(Frozen):
    """A new optional column or, below a struct, field; last unless `first` or `after` says otherwise."""

    kind: Literal["add_column"] = "add_column"
    column: Path
    type: TypeText
    doc: Doc | None = None
    first: bool = False
    after: Path | None = None


class RenameColumn(Frozen):
    """`to` is the new name alone, also for a nested field."""

    kind: Literal["rename_column"] = "rename_column"
    column: Path
    to: Path


class DropColumn(Frozen):
    """Data files keep its values; snapshots that had the column still show it."""

    kind: Literal["drop_column"] = "drop_column"
    column: Path


class MoveColumn(Frozen):
    """To the first place, or behind `after`, among the columns of the same level."""

    kind: Literal["move_column"] = "move_column"
    column: Path
    first: bool = False
    after: Path | None = None


class AlterType(Frozen):
    """To a wider type: int to long, float to double, a decimal to more digits."""

    kind: Literal["alter_type"] = "alter_type"
    column: Path
    type: TypeText


class SetNullable(Frozen):
    """Optional, or required where the metadata of all files proves that there is no null."""

    kind: Literal["set_nullable"] = "set_nullable"
    column: Path
    nullable: bool


class SetDoc(Frozen):
    """What the column is; empty: nothing."""

    kind: Literal["set_doc"] = "set_doc"
    column: Path
    doc: Doc


class AlterPartitions(Frozen):
    """Fields such as `region`, `day(at)`, `bucket(16, id)`; for files that are written from now on."""

    kind: Literal["alter_partitions"] = "alter_partitions"
    drop: Layout = ()
    add: Layout = ()

    @model_validator(mode="after")
    def _some(self) -> AlterPartitions:
        if not (self.drop or self.add):
            raise ValueError("name a partition field to add or to drop")
        return self


class SetSortOrder(Frozen):
    """Columns, each with ` desc` behind it or not; none: no order. For files that are written from now on."""

    kind: Literal["set_sort_order"] = "set_sort_order"
    sort_by: Layout


class RollBack(Frozen):
    """Puts a branch back to a snapshot that it was at: an ancestor of its head. `to`: a snapshot or ref."""

    kind: Literal["roll_back"] = "roll_back"
    ref: RefName = "main"
    to: Place | None = None
    at: AwareDatetime | None = None


class SetRef(Frozen):
    """A new branch or tag at `to` (a snapshot or ref; else the head of main), or another retention of one.

    `max_ref_age_ms`: expiry removes the ref when its snapshot is older. For branches, `min_snapshots` and
    `max_snapshot_age_ms` say which snapshots expiry keeps.
    """

    kind: Literal["set_ref"] = "set_ref"
    ref: RefName
    type: Literal["branch", "tag"]
    to: Place | None = None
    max_ref_age_ms: Milliseconds | None = None
    min_snapshots: Keep | None = None
    max_snapshot_age_ms: Milliseconds | None = None


class DropRef(Frozen):
    """Removes a branch or tag; expiry may then remove snapshots that only it kept."""

    kind: Literal["drop_ref"] = "drop_ref"
    ref: RefName


class FastForward(Frozen):
    """Moves a branch to a snapshot that descends from its head. `to`: a snapshot or ref."""

    kind: Literal["fast_forward"] = "fast_forward"
    ref: RefName
    to: Place


Change = Annotated[
    AddColumn
    | RenameColumn
    | DropColumn
    | MoveColumn
    | AlterType
    | SetNullable
    | SetDoc
    | AlterPartitions
    | SetSortOrder
    | RollBack
    | SetRef
    | DropRef
    | FastForward,
    Field(discriminator="kind"),
]
MOVES = (RollBack, FastForward)
REFS = (RollBack, SetRef, DropRef, FastForward)
LAYOUTS = (AlterPartitions, SetSortOrder)


class ChangeFacts(Frozen):
    """What a change does to the table as it is now.

    `lines` say it for people; none: the table already is that way. `column` is the top-level column that it
    removes or renames, `layout` what partitioning or sort order becomes. For refs: `base` is where the ref is, `to`
    where it goes. `undone` are the snapshots that leave the branch, newest first.
    """

    table: str
    uuid: str
    lines: tuple[str, ...]
    warnings: tuple[str, ...] = ()
    column: str | None = None
    layout: tuple[str, ...] | None = None
    base: SnapshotId | None = None
    to: SnapshotId | None = None
    undone: tuple[SnapshotId, ...] = ()

    def digest_for(self, change: Change) -> str:
        """What names this change of this table in this state."""
        said: dict[str, Any] = {"change": change.model_dump(mode="json"), "facts": self.model_dump(mode="json")}
        return "sha256:" + hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


class ColumnUse(Frozen):
    """A deployed version that still uses a column. `certain`: else its code cannot be traced, and may."""

    pipeline: str
    version: int
    environment: Environment
    how: str
    certain: bool = True

    @property
    def words(self) -> str:
        """The use as a clause for people."""
        return f"{self.pipeline} v{self.version}, deployed in {self.environment.label}, {self.how}"


class TableChange(Frozen):
    """A change that was made (`done`), or would be. `refused` says what keeps it from being made, best first.

    `lines` is empty where the table already is that way. `governed`: a deployed version writes the table in production.
    """

    table: str
    done: bool
    lines: tuple[str, ...]
    refused: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    uses: tuple[ColumnUse, ...] = ()
    governed: bool = False
    base: SnapshotId | None = None
    to: SnapshotId | None = None
    undone: tuple[SnapshotId, ...] = ()
    digest: str


class FileCounts(Frozen):
    """Data and delete files of a snapshot, and what they hold."""

    files: int
    rows: int
    bytes: int
    delete_files: int


class SnapshotSide(Frozen):
    """One side of a difference; all but `name` is null where there is no snapshot yet."""

    name: str
    snapshot: SnapshotId | None = None
    at: datetime | None = None
    operation: str | None = None
    counts: FileCounts | None = None


class SnapshotDiff(Frozen):
    """What differs between two snapshots, from metadata: columns, files and their rows.

    `relation` says whether `after` descends from `before`. `steps` are the snapshots between them, where one descends
    from the other. With `rows`: `progress`, then `data` or `failed`, is the comparison of the rows themselves.
    """

    table: str
    before: SnapshotSide
    after: SnapshotSide
    relation: Literal["same", "descendant", "ancestor", "unrelated"]
    steps: int | None = None
    schema_changes: tuple[SchemaChange, ...] = ()
    added: FileCounts
    removed: FileCounts
    kept_files: int
    progress: Progress | None = None
    failed: str | None = None
    data: DataDiff | None = None


C = TypeVar("C", bound=Frozen)


def make_change(kind: type[C], **given: Any) -> C:
    """A change. Raises Invalid, in one line, for values that it cannot have."""
    try:
        return kind(**given)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"]))
        said = str(first["msg"]).removeprefix("Value error, ")
        raise Invalid(f"{where}: {said}" if where else said) from None


def told(names: Sequence[str], most: int = 10) -> str:
    """Some names in a sentence; of thousands only the first."""
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return (", ".join(names[:most]) + more) or "none"
