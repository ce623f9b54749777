"""A notebook's marked cells as a pipeline: shown with what saving would refuse, or saved as a version."""

from __future__ import annotations

from lifecycle.domain.model import Frozen
from lifecycle.domain.people import Actor
from lifecycle.domain.version import Version
from lifecycle.spec import dump_yaml
from lifecycle.spec.from_notebook import pipeline_from_notebook
from lifecycle.usecases.check_definition import Checked, check_definition
from lifecycle.usecases.context import Context
from lifecycle.usecases.save_version import save_version


class NotebookPipeline(Frozen):
    """`definition` is the text of the pipeline file, `checked` what saving it would refuse, and advice."""

    definition: str
    checked: Checked


def show_notebook(ctx: Context, actor: Actor, text: str, name: str) -> NotebookPipeline:
    """Saves nothing. Raises SpecError for a cell that cannot become a node, Forbidden for who may not save it."""
    definition = dump_yaml(pipeline_from_notebook(text, name))
    return NotebookPipeline(definition=definition, checked=check_definition(ctx, actor, definition, code={}))


def save_notebook(
    ctx: Context, actor: Actor, text: str, name: str, *, message: str = "", key: str | None = None
) -> Version:
    """The version, as saving the pipeline file makes it. Code next to the notebook is not part of it."""
    return save_version(ctx, actor, pipeline_from_notebook(text, name), message=message, code={}, key=key)
