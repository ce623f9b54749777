"""Limits of Dagster that a spec would meet only when it is loaded there."""

from __future__ import annotations

import keyword
from collections.abc import Iterator

from lifecycle.spec.errors import Problem, shorten
from lifecycle.spec.partitions import StaticPartitions, TimePartitions
from lifecycle.spec.pipeline import PipelineSpec

# Names of Dagster's own that a job may not have, besides Python's keywords.
_TAKEN = {"arg_dict", "bool", "conf", "config", "context", "dict", "float", "input", "input_arg_dict", "int", "meta"}
_TAKEN_TOO = {"output", "output_arg_dict", "str", "type"}
_FIRST_YEAR = 1001


def rules(spec: PipelineSpec) -> Iterator[Problem]:
    """What Dagster refuses of names and partitions."""
    if spec.name in _TAKEN | _TAKEN_TOO or keyword.iskeyword(spec.name):
        message = f"Dagster cannot have a job called '{spec.name}', which is a word of Python or Dagster"
        yield Problem(None, "name", message, f"rename it, for example '{spec.name}_pipeline'")
    if isinstance(spec.partitions, StaticPartitions):
        for value in spec.partitions.values:
            if "..." in value:
                message = f"'{shorten(value)}' contains '...', which Dagster and drls run use for a range of partitions"
                yield Problem(None, "partitions.values", message, "write it without '...'")
    if isinstance(spec.partitions, TimePartitions) and spec.partitions.start.year < _FIRST_YEAR:
        message = f"Dagster has no partitions before the year {_FIRST_YEAR}"
        yield Problem(None, "partitions.start", message, "start later")
