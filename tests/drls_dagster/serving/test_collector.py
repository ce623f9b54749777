"""The collector of a process that answers people: what is there stays, what requests leave goes."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator

import pytest

from drls_dagster.serving.collector import YOUNG, spare_the_collector


@pytest.fixture(autouse=True)
def as_it_was() -> Iterator[None]:
    thresholds = gc.get_threshold()
    yield
    gc.set_threshold(*thresholds)
    gc.unfreeze()


class Node:
    def __init__(self) -> None:
        self.itself = self


def test_what_is_there_is_not_looked_through_and_new_cycles_go() -> None:
    spare_the_collector()
    assert gc.get_freeze_count() > 1_000
    left = weakref.ref(Node())
    kept = [Node() for _ in range(YOUNG + 1)]
    assert left() is None, "a cycle that a request left is collected while it is young"
    assert kept
