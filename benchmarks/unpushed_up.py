"""`python -m benchmarks.unpushed_up PORT`: a `drls up` without the push, its sensors at Dagster's default interval."""

from __future__ import annotations

import secrets
import socket
import sys
import uuid
from dataclasses import replace

from benchmarks.lab import CHECKOUT
from drls_dagster.settings import load_settings
from drls_dagster.up.children import Child
from drls_dagster.up.layout import Layout
from drls_dagster.up.supervisor import Supervisor, own_state

INSTEAD = {
    "drls_dagster.definitions": "benchmarks.unpushed_definitions",
    "drls_dagster.up.web.serve": "benchmarks.unpushed_web",
}


class Unpushed(Layout):
    """The same processes with two modules of the benchmark's own."""

    def children(self) -> list[Child]:
        return [
            replace(
                child,
                command=[INSTEAD.get(word, word) for word in child.command],
                environment={**child.environment, "PYTHONPATH": str(CHECKOUT)},
            )
            for child in super().children()
        ]


def serve(kind: type[Layout]) -> None:
    """A `drls up` of that layout on the port that the command line names."""
    settings = load_settings()
    with socket.create_server(("127.0.0.1", int(sys.argv[1])), backlog=128) as listening:
        up_id, token = uuid.uuid4().hex, secrets.token_urlsafe(32)
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        layout = kind(settings, up_id, token, listening.fileno())
        Supervisor(settings, layout, own_state(up_id, token, url), lambda text: print(text, flush=True)).run()


if __name__ == "__main__":
    serve(Unpushed)
