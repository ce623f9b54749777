"""Notebooks: one for each person, where people look at development tables with code of their own."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from lifecycle.domain.model import Frozen


class NotebookState(StrEnum):
    """Whether a person's notebook runs."""

    RUNNING = "running"
    STOPPED = "stopped"


class Notebook(Frozen):
    """A person's notebook. `path`: where the app has its pages, below its address; `folder`: where its files stay.

    `used_at`: when its person last did something in it. `memory`: bytes that its processes have now. `ended`: why the
    last one ended that its person did not stop.
    """

    person: str
    state: NotebookState
    path: str
    folder: str = ""
    started_at: datetime | None = None
    used_at: datetime | None = None
    memory: int | None = None
    ended: str = ""


def stopped_notebook(person: str) -> Notebook:
    """One that does not run, where nobody keeps notebooks who knows more."""
    return Notebook(person=person, state=NotebookState.STOPPED, path=notebook_path(person))


def notebook_path(person: str) -> str:
    """Where the app has the pages of a person's notebook."""
    return f"/notebook/{person}/"
