"""`python -m benchmarks.unhosted_up PORT`: a `drls up` without the warm host, whose runs Dagster's launcher starts."""

from __future__ import annotations

import secrets
import socket
import sys
import uuid
from dataclasses import replace

from drls_dagster.gate.warm_host import NAME, VARIABLE
from drls_dagster.settings import load_settings
from drls_dagster.up.children import Child
from drls_dagster.up.layout import Layout
from drls_dagster.up.supervisor import Supervisor, own_state


class Unhosted(Layout):
    """The same processes but one, and none of them knows of it."""

    def children(self) -> list[Child]:
        return [
            replace(child, environment={name: value for name, value in child.environment.items() if name != VARIABLE})
            for child in super().children()
            if child.name != NAME
        ]


def main() -> None:
    settings = load_settings()
    with socket.create_server(("127.0.0.1", int(sys.argv[1])), backlog=128) as listening:
        up_id, token = uuid.uuid4().hex, secrets.token_urlsafe(32)
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        layout = Unhosted(settings, up_id, token, listening.fileno())
        del layout.listening[NAME]
        Supervisor(settings, layout, own_state(up_id, token, url), lambda text: print(text, flush=True)).run()


if __name__ == "__main__":
    main()
