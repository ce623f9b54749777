"""The one page of the door itself. It loads nothing from elsewhere."""

from __future__ import annotations

_STYLE = """
body { font: 14px/20px system-ui, sans-serif; max-width: 34rem; margin: 12vh auto; padding: 0 1rem;
  color: #171a1f; background: #f6f7f9; }
@media (prefers-color-scheme: dark) { body { background: #0b0d11; color: #e8ebf0; } }
"""


def starting() -> str:
    """A page that looks again by itself."""
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" '
        'content="width=device-width, initial-scale=1"><title>DRLS is starting</title>'
        f'<meta http-equiv="refresh" content="2"><style>{_STYLE}</style></head>'
        "<body><h1>Dagster is starting</h1><p>This page looks again by itself.</p></body></html>"
    )
