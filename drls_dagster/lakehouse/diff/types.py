"""What the values of both sides are read as, so that a type that became wider is compared by value."""

from __future__ import annotations

from pyiceberg.exceptions import ResolveError
from pyiceberg.schema import promote
from pyiceberg.types import (
    DecimalType,
    DoubleType,
    FloatType,
    IcebergType,
    IntegerType,
    ListType,
    LongType,
    MapType,
    NestedField,
    PrimitiveType,
    StringType,
    StructType,
)

NUMBERS = (IntegerType, LongType, FloatType, DoubleType, DecimalType)


def common_type(old: IcebergType, new: IcebergType, *, by_id: bool) -> IcebergType:
    """The wider of the two, a struct with the fields that both have; text where neither can be read as the other.

    Within a table (`by_id`) Iceberg sees to it that one can, except for a struct of which no field is left.
    """
    found = _shared(old, new, by_id)
    if found is not None or by_id:
        return found or old
    return DoubleType() if isinstance(old, NUMBERS) and isinstance(new, NUMBERS) else StringType()


def identity(field: NestedField, by_id: bool) -> int | str:
    """What makes two fields the same one: the id within a table, the name between two tables."""
    return field.field_id if by_id else field.name


def type_words(kind: IcebergType) -> str:
    """The type without field ids, which differ from one table to the next."""
    match kind:
        case StructType():
            return f"struct<{', '.join(f'{field.name}: {type_words(field.field_type)}' for field in kind.fields)}>"
        case ListType():
            return f"list<{type_words(kind.element_type)}>"
        case MapType():
            return f"map<{type_words(kind.key_type)}, {type_words(kind.value_type)}>"
        case _:
            return str(kind)


def _shared(old: IcebergType, new: IcebergType, by_id: bool) -> IcebergType | None:
    match old, new:
        case StructType(), StructType():
            return _shared_fields(old, new, by_id)
        case ListType(), ListType():
            element = _shared(old.element_type, new.element_type, by_id)
            return element and ListType(new.element_id, element, element_required=False)
        case MapType(), MapType():
            key, value = (
                _shared(was, now, by_id)
                for was, now in ((old.key_type, new.key_type), (old.value_type, new.value_type))
            )
            return key and value and MapType(new.key_id, key, new.value_id, value, value_required=False)
        case PrimitiveType(), PrimitiveType():
            return old if old == new else _promoted(old, new) or _promoted(new, old)
        case _:
            return None


def _shared_fields(old: StructType, new: StructType, by_id: bool) -> StructType | None:
    earlier = {identity(field, by_id): field for field in old.fields}
    fields: list[NestedField] = []
    for field in new.fields:
        was = earlier.get(identity(field, by_id))
        if was is None:
            continue
        kind = _shared(was.field_type, field.field_type, by_id)
        if kind is None:
            return None
        fields.append(NestedField(field.field_id, field.name, kind, required=False))
    return StructType(*fields) if fields else None


def _promoted(kind: PrimitiveType, wider: PrimitiveType) -> IcebergType | None:
    try:
        return promote(kind, wider)
    except ResolveError:
        return None
