"""Where notebooks are: the sockets and files that the app, the keeper and a notebook know by the same names.

In the folder of sockets of a `drls up`, by the number of a person: the socket that their notebook serves, a file that
the app touches when its person does something, and a folder that the notebook sees, with its token in it. One more
folder has the socket at which notebooks ask.
"""

from __future__ import annotations

from pathlib import Path

from drls_dagster.private_home import private_home
from drls_dagster.settings import Settings

NAME = "notebooks"  # among the processes of `drls up`
# In DRLS_HOME/up: where the keeper listens.
PLACE = "notebooks"
MARIMO = "marimo"
INSTALL = "install it where DRLS is (pip install 'drls-dagster[notebook]'), and start drls up again"
# What the process of a notebook finds in its environment: the folders that it asks at, and with which token.
ASK_VARIABLE, TOKEN_VARIABLE = "DRLS_NOTEBOOK_ASK", "DRLS_NOTEBOOK_TOKEN_FILE"


def ask_socket(sockets: Path) -> Path:
    return sockets / "nb" / "ask"


def web_socket(sockets: Path, person: int) -> Path:
    return sockets / f"nb-{person}.sock"


def used_file(sockets: Path, person: int) -> Path:
    """Its modification time is when the person last did something in the notebook."""
    return sockets / f"nb-{person}.used"


def token_file(sockets: Path, person: int) -> Path:
    return sockets / f"nb-{person}" / "token"


def files_of(settings: Settings, person: int) -> Path:
    """The person's own notebooks, which stay."""
    private_home(settings.home, "notebooks")
    return private_home(settings.home, f"notebooks/{person}")
