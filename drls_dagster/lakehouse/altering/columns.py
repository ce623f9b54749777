"""Changes of columns: added, renamed, dropped, moved, widened, optional or required, documented."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyiceberg import types as ib
from pyiceberg.schema import Schema

from drls_dagster.lakehouse.altering.paths import (
    Path,
    find_column,
    iceberg_type,
    require_new_name,
    shown,
    siblings,
    split_path,
    struct_at,
)
from drls_dagster.lakehouse.altering.proof import require_proof
from drls_dagster.lakehouse.altering.staged import Look, Staged
from drls_dagster.lakehouse.diff.types import type_words
from drls_dagster.lakehouse.evolution import fits
from lifecycle.domain.evolution import AddColumn, AlterType, DropColumn, MoveColumn, RenameColumn, SetDoc, SetNullable
from lifecycle.errors import Invalid, Refused

if TYPE_CHECKING:
    from pyiceberg.table import Transaction
    from pyiceberg.table.update.schema import UpdateSchema

_MOST_COLUMNS = 10_000


def add(look: Look, change: AddColumn) -> Staged:
    schema = look.table.schema()
    path = split_path(change.column)
    name = path[-1]
    if len(path) > 1:
        find_column(schema, shown(path[:-1]), look.name)
        struct_at(schema, path[:-1])
    kind = iceberg_type(change.type)
    level = siblings(schema, path)
    there = next((field for field in level if field.name == name), None)
    if there is not None and _same(there, kind, change):
        return Staged()
    require_new_name(name, level)
    if len(schema.field_ids) >= _MOST_COLUMNS:
        raise Refused(f"{look.name} has {len(schema.field_ids):,} columns and fields, and a table may have 10,000")
    behind = _behind(look, path, first=change.first, after=change.after, needed=False)

    def stage(transaction: Transaction) -> None:
        with transaction.update_schema() as update:
            update.add_column(path, kind, doc=change.doc)
            _move(update, path, first=change.first, behind=behind)

    place = ", first" if change.first else f", after {shown(behind)}" if behind else ""
    return Staged(lines=(f"add column {shown(path)} {type_words(kind)}{place}",), stage=stage)


def _same(field: ib.NestedField, kind: ib.IcebergType, change: AddColumn) -> bool:
    """Whether an earlier try added it."""
    return field.optional and type_words(field.field_type) == type_words(kind) and change.doc in (None, field.doc)


def rename(look: Look, change: RenameColumn) -> Staged:
    schema = look.table.schema()
    path, field = find_column(schema, change.column, look.name)
    if field.name == change.to:
        return Staged()
    _refuse_inside(schema, path)
    require_new_name(change.to, siblings(schema, path), but=field.field_id)

    def stage(transaction: Transaction) -> None:
        with transaction.update_schema() as update:
            update.rename_column(path, change.to)

    return Staged(lines=(f"rename column {shown(path)} to {change.to}",), column=path[0], stage=stage)


def drop(look: Look, change: DropColumn) -> Staged:
    schema = look.table.schema()
    path, field = find_column(schema, change.column, look.name)
    _refuse_inside(schema, path)
    if len(siblings(schema, path)) == 1:
        what = f"field of {shown(path[:-1])}" if len(path) > 1 else f"column of {look.name}"
        raise Refused(f"{shown(path)} is the only {what}, and Iceberg keeps at least one")
    _refuse_in_layout(look, path, field)
    kind = type_words(field.field_type)

    def stage(transaction: Transaction) -> None:
        with transaction.update_schema() as update:
            update.delete_column(path)

    text = f"drop column {shown(path)} {kind}"
    return Staged(
        lines=(text,),
        warnings=(f"values of {shown(path)} can be read only in snapshots that are older than this change",),
        column=path[0],
        stage=stage,
    )


def _refuse_in_layout(look: Look, path: Path, field: ib.NestedField) -> None:
    ids = {field.field_id, *Schema(field).field_ids}
    current = look.table.spec().spec_id
    for number, spec in sorted(look.table.specs().items(), key=lambda one: one[0] != current):
        if any(part.source_id in ids for part in spec.fields):
            now = number == current
            remedy = "; replace the partition field first" if now else ": files of an earlier partitioning need it"
            raise Refused(f"{look.name} {'is' if now else 'was'} partitioned by {shown(path)}{remedy}")
    order = look.table.sort_order()
    if any(part.source_id in ids for part in order.fields):
        raise Refused(f"{look.name} is sorted by {shown(path)}; change the sort order first")
    if ids & set(look.table.schema().identifier_field_ids):
        raise Refused(f"{shown(path)} is an identifier field of {look.name}; unset that first")


def move(look: Look, change: MoveColumn) -> Staged:
    schema = look.table.schema()
    path, field = find_column(schema, change.column, look.name)
    _refuse_inside(schema, path)
    behind = _behind(look, path, first=change.first, after=change.after, needed=True)
    if behind == path:
        raise Invalid(f"{shown(path)} cannot be moved behind itself")
    order = [one.name for one in siblings(schema, path)]
    left = [name for name in order if name != field.name]
    at = left.index(behind[-1]) + 1 if behind else 0
    if [*left[:at], field.name, *left[at:]] == order:
        return Staged()

    def stage(transaction: Transaction) -> None:
        with transaction.update_schema() as update:
            _move(update, path, first=change.first, behind=behind)

    return Staged(
        lines=(f"move column {shown(path)} {'first' if change.first else f'after {shown(behind or ())}'}",),
        warnings=("queries that combine rows by position, such as SELECT * … UNION, see another order",),
        stage=stage,
    )


def widen(look: Look, change: AlterType) -> Staged:
    schema = look.table.schema()
    path, field = find_column(schema, change.column, look.name)
    kind = iceberg_type(change.type)
    if field.field_type == kind:
        return Staged()
    was, becomes = type_words(field.field_type), type_words(kind)
    if not fits(field.field_type, kind):
        raise Refused(
            f"{shown(path)} is {was} and cannot become {becomes}: Iceberg widens int to long, float to double and "
            "decimals to more digits of the same scale; add another column, or rebuild the table with its pipeline"
        )
    if schema.find_column_name(field.field_id) in _map_keys(schema):
        raise Refused(f"{shown(path)} is the key of a map, which cannot change")

    def stage(transaction: Transaction) -> None:
        with transaction.update_schema() as update:
            update.update_column(path, kind)

    return Staged(lines=(f"widen column {shown(path)} from {was} to {becomes}",), stage=stage)


def set_nullable(look: Look, change: SetNullable) -> Staged:
    schema = look.table.schema()
    path, field = find_column(schema, change.column, look.name)
    if field.optional == change.nullable:
        return Staged()
    if schema.find_column_name(field.field_id) in _map_keys(schema):
        raise Refused(f"{shown(path)} is the key of a map, which cannot change")
    if field.field_id in schema.identifier_field_ids:
        raise Refused(f"{shown(path)} is an identifier field of {look.name}, which must be required")
    requirements = () if change.nullable else require_proof(look, path, field)

    def stage(transaction: Transaction) -> None:
        with transaction.update_schema(allow_incompatible_changes=not change.nullable) as update:
            update.update_column(path, required=not change.nullable)

    what = "optional" if change.nullable else "required"
    return Staged(
        lines=(f"make column {shown(path)} {what}",),
        warnings=() if change.nullable else ("writers that may write null, such as Spark, fail from now on",),
        stage=stage,
        requirements=requirements,
    )


def set_doc(look: Look, change: SetDoc) -> Staged:
    path, field = find_column(look.table.schema(), change.column, look.name)
    if (field.doc or "") == change.doc:
        return Staged()

    def stage(transaction: Transaction) -> None:
        with transaction.update_schema() as update:
            update.update_column(path, doc=change.doc)

    return Staged(lines=(f"document column {shown(path)}: {change.doc or '(nothing)'}",), stage=stage)


def _behind(look: Look, path: Path, *, first: bool, after: str | None, needed: bool) -> Path | None:
    """The column that `path` goes behind; None: it goes first, or stays last."""
    if (first and after is not None) or (needed and not first and after is None):
        raise Invalid("say where the column goes: first, or after another one")
    if after is None:
        return None
    schema = look.table.schema()
    level = {field.name for field in siblings(schema, path)}
    if after in level:  # a field of the same struct may be named alone
        return (*path[:-1], after)
    found, _ = find_column(schema, after, look.name)
    if found[:-1] != path[:-1]:
        raise Invalid(f"{shown(found)} is not on the level of {shown(path)}")
    return found


def _move(update: UpdateSchema, path: Path, *, first: bool, behind: Path | None) -> None:
    if first:
        update.move_first(path)
    elif behind is not None:
        update.move_after(path, behind)


def _refuse_inside(schema: Schema, path: Path) -> None:
    """The element of a list, and key and value of a map, have fixed names and go with their column."""
    if len(path) > 1 and not isinstance(schema.find_field(".".join(path[:-1])).field_type, ib.StructType):
        raise Refused(f"{shown(path)} is a part of {shown(path[:-1])}, which changes as a whole only")


def _map_keys(schema: Schema) -> frozenset[str]:
    def walk(kind: ib.IcebergType, above: str) -> list[str]:
        match kind:
            case ib.StructType():
                return [name for one in kind.fields for name in walk(one.field_type, f"{above}{one.name}.")]
            case ib.ListType():
                return walk(kind.element_type, f"{above}element.")
            case ib.MapType():
                keys = [f"{above}key", *_all(kind.key_type, f"{above}key.")]
                return [*keys, *walk(kind.value_type, f"{above}value.")]
            case _:
                return []

    return frozenset(walk(schema.as_struct(), ""))


def _all(kind: ib.IcebergType, above: str) -> list[str]:
    fields = kind.fields if isinstance(kind, ib.StructType) else ()
    return [name for one in fields for name in (f"{above}{one.name}", *_all(one.field_type, f"{above}{one.name}."))]
