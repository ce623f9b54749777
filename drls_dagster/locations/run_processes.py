"""What the process of a run gets of the code server's environment under `drls up`: the variables on a list (ADR 28).

Dagster starts that process with `multiprocessing`, which has a public way to name the Python that it starts: here a
file that leaves variables out and then becomes that Python.
"""

from __future__ import annotations

import hashlib
import logging
import multiprocessing
import os
import re
import shlex
import sys

from drls_dagster.engine.handover import engine_environment
from drls_dagster.orchestrator.instance import dagster_home
from drls_dagster.private_home import private_home
from drls_dagster.runs.address import TOKEN_VARIABLE, URL_VARIABLE
from drls_dagster.settings import Settings
from lifecycle.private_files import write_private

FOLDER = "run-python"
_STORE = "DRLS_LIFECYCLE__URL"
_NAMES = {"HOME", "TMPDIR", "PWD", "DRLS_HOME", "DRLS_UP_ID", "DRLS_DEBUG", "DRLS_PIPELINES", "DRLS_LANDING"}
# Of the settings, those by which a run reads its sources, finds its tables and starts an engine.
_PREFIXES = (
    *("DRLS_CATALOG__", "DRLS_ENGINE__", "DRLS_FENCE__", "DRLS_SOURCES__", "DRLS_ENVIRONMENTS__", "DRLS_LEDGER__"),
    *("DRLS_MAINTENANCE__", "DRLS_CONNECTIONS__", "DAGSTER_", "XDG_"),
)
_ENV_IN_YAML = re.compile(r"\benv\s*:\s*[\"']?([A-Za-z_][A-Za-z0-9_]*)")


def run_variables(settings: Settings) -> frozenset[str]:
    """The variables of this environment that the process of a run gets.

    They are the engine's, which a run starts where none is there, Dagster's with those that dagster.yaml names, and
    settings without secrets. `fence.environment` names further ones.
    """
    allowed = {*_NAMES, URL_VARIABLE, TOKEN_VARIABLE, *engine_environment(settings), *_named_by_dagster(settings)}
    if (os.environ.get(_STORE) or "").startswith("sqlite:"):
        allowed.add(_STORE)  # a path, which the engine's fence must know
    return frozenset(name for name in os.environ if name in allowed or name.startswith(_PREFIXES))


def strip_run_processes(settings: Settings) -> None:
    """Has what this code server starts for runs get `run_variables` alone. Without effect where no run service runs."""
    if URL_VARIABLE not in os.environ:
        return
    left_out = sorted(os.environ.keys() - run_variables(settings))
    options = " ".join(f"-u {shlex.quote(name)}" for name in left_out)
    text = f'#!/bin/sh\nexec env {options} {shlex.quote(sys.executable)} "$@"\n'
    file = private_home(settings.home, FOLDER) / hashlib.sha256(text.encode()).hexdigest()[:16]
    if not file.exists():
        write_private(file, text)
        file.chmod(0o700)
    if not os.access(file, os.X_OK):
        logging.getLogger(__name__).warning("no program may be started from %s: runs keep all variables", file.parent)
        return
    multiprocessing.set_executable(str(file))


def _named_by_dagster(settings: Settings) -> set[str]:
    """The variables that dagster.yaml reads, such as the password of Dagster's own database."""
    try:
        return set(_ENV_IN_YAML.findall((dagster_home(settings) / "dagster.yaml").read_text()))
    except OSError:
        return set()
