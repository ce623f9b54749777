"""Rows of Arrow tables as Python values that can be printed, whatever their dates are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa


def rows_of(data: pa.Table) -> list[dict[str, Any]]:
    """The rows by column. A date or time that Python has no value for, of the year 10399 for example, is text."""
    columns = {name: values_of(data.column(name)) for name in data.column_names}
    return [{name: values[at] for name, values in columns.items()} for at in range(data.num_rows)]


def values_of(column: pa.Array | pa.ChunkedArray) -> list[Any]:
    """The values of one column; text that is no UTF-8 has a mark where it is wrong."""
    try:
        return column.to_pylist()
    except (ValueError, OverflowError):
        return [_value(scalar) for scalar in column]


def _value(scalar: Any) -> Any:
    import pyarrow as pa

    if not scalar.is_valid:
        return None
    if isinstance(scalar, pa.StructScalar):
        return {name: _value(scalar[name]) for name in scalar}
    if isinstance(scalar, pa.MapScalar):
        return [tuple(_value(part) for part in pair.values()) for pair in scalar.values]
    if isinstance(scalar, pa.ListScalar):
        return [_value(item) for item in scalar.values]
    try:
        return scalar.as_py()
    except UnicodeDecodeError:
        return scalar.as_buffer().to_pybytes().decode("utf-8", "replace")
    except (ValueError, OverflowError):
        return _text(scalar)


def _text(scalar: Any) -> str:
    """A date or timestamp of any year as in ISO 8601; Arrow's own text ends at the year 32767."""
    import pyarrow as pa

    if pa.types.is_date(scalar.type):
        return _day(scalar.value if pa.types.is_date32(scalar.type) else scalar.value // 86_400_000)
    if not pa.types.is_timestamp(scalar.type):
        return str(scalar)
    per_second = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[scalar.type.unit]
    seconds, fraction = divmod(scalar.value, per_second)
    day, second = divmod(seconds, 86_400)
    clock = f"{second // 3600:02}:{second // 60 % 60:02}:{second % 60:02}"
    digits = f".{fraction:0{len(str(per_second)) - 1}}" if fraction else ""
    return f"{_day(day)}T{clock}{digits}{'+00:00' if scalar.type.tz else ''}"


def _day(days: int) -> str:
    """The date of a number of days since 1970 in the Gregorian calendar (H. Hinnant, civil_from_days)."""
    era, of_era = divmod(days + 719_468, 146_097)
    year = (of_era - of_era // 1460 + of_era // 36_524 - of_era // 146_096) // 365
    of_year = of_era - (365 * year + year // 4 - year // 100)
    month = (5 * of_year + 2) // 153
    day = of_year - (153 * month + 2) // 5 + 1
    month = month + 3 if month < 10 else month - 9
    year = year + era * 400 + (month <= 2)
    return f"{'-' if year < 0 else ''}{abs(year):04}-{month:02}-{day:02}"
