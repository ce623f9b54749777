"""`python -m benchmarks.unhosted_up PORT`: a `drls up` without the warm host, whose runs Dagster's launcher starts."""

from __future__ import annotations

from dataclasses import replace

from benchmarks.unpushed_up import serve
from drls_dagster.gate.warm_host import NAME, VARIABLE
from drls_dagster.settings import Settings
from drls_dagster.up.children import Child
from drls_dagster.up.layout import Layout


class Unhosted(Layout):
    """The same processes but one, and none of them knows of it."""

    def __init__(self, settings: Settings, up_id: str, token: str, listening: int) -> None:
        super().__init__(settings, up_id, token, listening)
        del self.listening[NAME]

    def children(self) -> list[Child]:
        return [
            replace(child, environment={name: value for name, value in child.environment.items() if name != VARIABLE})
            for child in super().children()
        ]


if __name__ == "__main__":
    serve(Unhosted)
