"""Arrow batches as Ray Datasets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa
    from ray.data import Dataset


def dataset_of(reader: pa.RecordBatchReader) -> Dataset:
    """Arrow batches as a Ray Dataset, a block each."""
    import pyarrow as pa
    import ray
    import ray.data

    blocks: list[Any] = [ray.put(pa.Table.from_batches([batch])) for batch in reader]
    if not blocks:
        return ray.data.from_arrow(reader.schema.empty_table())
    return ray.data.from_arrow_refs(blocks)
