"""Notebooks: each person's own. Nobody starts, stops or sees another's."""

from __future__ import annotations

from lifecycle.domain.notebooks import Notebook
from lifecycle.usecases import keep_notebook
from lifecycle.verbs.verb import Call, answers


@answers(Notebook)
def start(call: Call) -> Notebook:
    """Starts your notebook, or answers the one that runs: code of your own on development tables, inside a fence."""
    return keep_notebook.start_notebook(call.ctx, call.who)


@answers(Notebook)
def stop(call: Call) -> Notebook:
    """Stops your notebook. Its files stay."""
    return keep_notebook.stop_notebook(call.ctx, call.who)


@answers(Notebook)
def status(call: Call) -> Notebook:
    """Whether your notebook runs, since when, and how much memory it has."""
    return keep_notebook.find_notebook(call.ctx, call.who)
