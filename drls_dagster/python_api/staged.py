"""Rows of a program in the staging folder, which is cleared after 7 days."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def new_folder(what: str) -> Iterator[str]:
    """The place of a folder of its own, not made yet; `what` begins its name. What is in it goes where that fails."""
    from drls_dagster.settings import load_settings
    from drls_dagster.steps.staging import forget, staging_folder

    folder = staging_folder(load_settings(), f"{what}-{uuid.uuid4().hex}", "rows")
    try:
        yield folder
    except BaseException:
        forget(folder)
        raise
