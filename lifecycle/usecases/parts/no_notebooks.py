"""Where nothing keeps notebooks: starting one is refused."""

from __future__ import annotations

from lifecycle.domain.notebooks import Notebook, stopped_notebook
from lifecycle.domain.people import Person
from lifecycle.errors import Refused
from lifecycle.ports import Notebooks


class NoNotebooks(Notebooks):
    """Says that nothing is connected; it pretends nothing."""

    def start(self, person: Person) -> Notebook:
        raise Refused("notebooks run where drls up does: start drls up, and ask it")

    def stop(self, person: Person) -> Notebook:
        return self.find(person)

    def find(self, person: Person) -> Notebook:
        return stopped_notebook(person.name)
