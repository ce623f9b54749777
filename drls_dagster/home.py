"""Where DRLS keeps its files, for those that cannot wait for the settings to be imported."""

from __future__ import annotations

import os
from pathlib import Path


def home_folder() -> Path:
    """DRLS_HOME, absolute; `~/.drls` when it is not set."""
    return Path(os.environ.get("DRLS_HOME") or "~/.drls").expanduser().absolute()
