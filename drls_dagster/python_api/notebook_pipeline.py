"""`drls.notebook_pipeline(file, name)`: what a notebook's marked cells are as a pipeline."""

from __future__ import annotations

from pathlib import Path

from drls_dagster.notebooks import inside
from drls_dagster.notebooks.files import read_notebook
from drls_dagster.python_api.asking import asked
from lifecycle.usecases.save_notebook import NotebookPipeline


def notebook_pipeline(file: str | Path, name: str) -> NotebookPipeline:
    """The pipeline file that `drls notebook save FILE --name NAME` would save, and what saving it would refuse.

    `file` is a marimo notebook; in one, pass `__file__`. Saves nothing, also in a notebook, which changes nothing.
    Raises SpecError for a cell that cannot become a node.
    """
    text = read_notebook(file)
    if inside.is_inside():
        return NotebookPipeline.model_validate(inside.pipeline(name, text))
    with asked() as client:
        return client.notebooks.pipeline(name, text)
