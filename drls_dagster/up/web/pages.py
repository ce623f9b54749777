"""The pages of the door itself. They load nothing from elsewhere."""

from __future__ import annotations

from html import escape

_STYLE = """
body { font: 14px/20px system-ui, sans-serif; max-width: 34rem; margin: 12vh auto; padding: 0 1rem;
  color: #171a1f; background: #f6f7f9; }
@media (prefers-color-scheme: dark) { body { background: #0b0d11; color: #e8ebf0; } }
"""


_HEAD = (
    '<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" '
    'content="width=device-width, initial-scale=1">'
)


def starting() -> str:
    """A page that reloads automatically."""
    return (
        f"{_HEAD}<title>DRLS is starting</title>"
        f'<meta http-equiv="refresh" content="2"><style>{_STYLE}</style></head>'
        "<body><h1>Dagster is starting</h1><p>This page reloads automatically.</p></body></html>"
    )


def not_for_you(name: str) -> str:
    """For somebody whose grants cover some pipelines only."""
    return (
        f"{_HEAD}<title>Dagster needs a wider grant</title><style>{_STYLE}</style></head>"
        "<body><h1>Dagster needs a wider grant</h1><p>Dagster's pages show the code, the runs and the logs of every "
        f"pipeline. {escape(name)} has grants on some pipelines only. Ask an Admin for the role Viewer on everything."
        '</p><p><a href="/">Back to DRLS</a></p></body></html>'
    )


def no_notebook() -> str:
    """For somebody whose notebook does not run."""
    return (
        f"{_HEAD}<title>Your notebook is stopped</title><style>{_STYLE}</style></head>"
        "<body><h1>Your notebook is stopped</h1><p>Start it with <code>drls notebook start</code>, then reload this "
        'page.</p><p><a href="/">Back to DRLS</a></p></body></html>'
    )
