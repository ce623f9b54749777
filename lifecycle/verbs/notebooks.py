"""Notebooks: each person's own. Nobody starts, stops or sees another's."""

from __future__ import annotations

from typing import Annotated

from pydantic import StringConstraints

from lifecycle.domain.notebooks import Notebook
from lifecycle.spec.notebook_cells import MAX_NOTEBOOK
from lifecycle.usecases import keep_notebook
from lifecycle.usecases.save_notebook import NotebookPipeline, save_notebook, show_notebook
from lifecycle.verbs import inputs
from lifecycle.verbs.answers import VersionDetail, VersionInfo
from lifecycle.verbs.inputs import Key, Name
from lifecycle.verbs.verb import Call, answers

# The .py file of a notebook.
NotebookText = Annotated[str, StringConstraints(max_length=MAX_NOTEBOOK, pattern=r"^[^\x00]*$")]


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


@answers(NotebookPipeline)
def pipeline(call: Call, name: Name, text: NotebookText) -> NotebookPipeline:
    """The pipeline file of a notebook's marked cells, and what saving it would refuse; runs and saves nothing."""
    return show_notebook(call.ctx, call.who, text, name)


@answers(VersionInfo)
def save(call: Call, name: Name, text: NotebookText, *, message: inputs.Text = "", key: Key = None) -> VersionDetail:
    """Saves a notebook's marked cells as a version, as saving that pipeline file does; does not run the notebook."""
    version = save_notebook(call.ctx, call.who, text, name, message=message, key=key)
    return call.named(lambda names: names.version(version))
