"""Plain values in the one form that their meaning has: what digests are made of."""

from __future__ import annotations

from typing import Any, cast

from pydantic import BaseModel

_SAFE = 2**53 - 1


def normal_form(spec: BaseModel) -> dict[str, Any]:
    """The plain values of a spec in the one form that stands for its meaning."""
    data = _normal(spec.model_dump(mode="json", by_alias=True))
    data["nodes"] = sorted(data["nodes"], key=lambda node: node["id"])
    if "edges" in data:
        data["edges"] = sorted(data["edges"], key=lambda edge: edge["to"])
    return data


def _normal(value: Any, key: str = "") -> Any:
    if isinstance(value, dict):
        items = cast("dict[str, Any]", value)
        if key in {"schema", "output_schema"}:
            # JSON objects have no order, and the order of columns counts.
            return [{"name": name, "type": kind} for name, kind in items.items()]
        kept = {name: _normal(item, name) for name, item in items.items()}
        return {name: item for name, item in kept.items() if item not in (None, {}, [])}
    if isinstance(value, list):
        return [_normal(item) for item in value]  # pyright: ignore[reportUnknownVariableType]
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) > _SAFE:
        return str(value)
    return value


def canonical_bytes(value: Any) -> bytes:
    """RFC 8785 JSON of plain values."""
    import rfc8785

    return rfc8785.dumps(value)
