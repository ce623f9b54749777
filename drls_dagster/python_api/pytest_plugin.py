"""The pytest plugin of DRLS: the fixture `drls_pipeline`. pytest loads it wherever DRLS is installed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import pytest

if TYPE_CHECKING:
    from drls_dagster.python_api.finding import AnyPipeline
    from drls_dagster.python_api.testing.rows import GivenRows
    from drls_dagster.python_api.testing.tested import Tested


class PipelineOnRows(Protocol):
    """What the fixture is: a function from a pipeline and rows to what the pipeline makes of them."""

    def __call__(
        self,
        pipeline: AnyPipeline,
        given: Mapping[str, GivenRows],
        *,
        parameters: Mapping[str, object] | None = None,
        partition: str | None = None,
        types: Mapping[str, Mapping[str, str]] | None = None,
    ) -> Tested:
        """As `drls.test`, which says what the arguments mean; computes and checks nothing yet."""
        ...


@pytest.fixture
def drls_pipeline(request: pytest.FixtureRequest) -> Iterator[PipelineOnRows]:
    """A pipeline on rows that the test gives, on the warm engine, in one Spark session for all tests.

    `drls_pipeline(pipeline, given)` has the methods `expect`, `expect_checks`, `rows` and `arrow`. A pipeline file is
    looked for from the test's file upwards, so that tests run from any folder.
    """
    from drls_dagster.python_api.testing.tested import open_test

    opened: list[Tested] = []

    def on_rows(
        pipeline: AnyPipeline,
        given: Mapping[str, GivenRows],
        *,
        parameters: Mapping[str, object] | None = None,
        partition: str | None = None,
        types: Mapping[str, Mapping[str, str]] | None = None,
    ) -> Tested:
        found = _file(pipeline, request.path)
        folder = request.path.parent
        tested = open_test(found, given, parameters=parameters, partition=partition, types=types, folder=folder)
        opened.append(tested)
        return tested

    yield on_rows
    for tested in opened:
        tested.close()


def _file(pipeline: AnyPipeline, test: Path) -> AnyPipeline:
    """The file that a relative path means: below the nearest folder above the test that has it."""
    if not isinstance(pipeline, str | Path):
        return pipeline
    places = (folder / pipeline for folder in test.parents)
    return next((place for place in places if place.is_file()), pipeline)
