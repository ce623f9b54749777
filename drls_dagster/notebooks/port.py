"""The port `Notebooks`: asks the process of `drls up` that keeps them."""

from __future__ import annotations

from importlib.util import find_spec

import httpx

from drls_dagster.notebooks.places import INSTALL, MARIMO, PLACE
from drls_dagster.notebooks.problems import error_of
from drls_dagster.settings import Settings
from lifecycle.domain.notebooks import Notebook, stopped_notebook
from lifecycle.domain.people import Person
from lifecycle.errors import Refused
from lifecycle.ports import Notebooks

_SECONDS = 240.0  # more than a start may take


class KeptNotebooks(Notebooks):
    """Those of this machine."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def start(self, person: Person) -> Notebook:
        if not is_installed():
            raise Refused(f"notebooks need marimo, which is not installed; {INSTALL}")
        found = self._ask("start", person)
        if found is None:
            raise Refused("notebooks run in drls up, and none runs here; start it: drls up")
        return found

    def stop(self, person: Person) -> Notebook:
        return self._ask("stop", person) or stopped_notebook(person.name)

    def find(self, person: Person) -> Notebook:
        return self._ask("find", person) or stopped_notebook(person.name)

    def _ask(self, verb: str, person: Person) -> Notebook | None:
        """None where nothing keeps notebooks."""
        try:
            place = (self._settings.home / "up" / PLACE).read_text()
            with httpx.Client(transport=httpx.HTTPTransport(uds=place), timeout=_SECONDS, trust_env=False) as client:
                answer = client.post(f"http://notebooks/{verb}", json={"person": person.id, "name": person.name})
        except (FileNotFoundError, httpx.ConnectError):
            return None
        if answer.is_error:
            raise error_of(answer.status_code, answer.text)
        return Notebook.model_validate_json(answer.content)


def is_installed() -> bool:
    return find_spec(MARIMO) is not None
