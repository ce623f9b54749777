"""Saves versions as fast as it can, next to others that do the same, and prints the acknowledged digests."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from benchmarks.lab import serve
from benchmarks.lifecycle_store import ENGINEER, open_lifecycle, spec_text
from lifecycle.domain.people import Actor, WayIn
from lifecycle.errors import StoreError
from lifecycle.spec import parse_pipeline
from lifecycle.usecases.save_version import save_version


def main() -> None:
    ctx = open_lifecycle(Path(sys.argv[1]), f"writer-{sys.argv[2]}")
    with ctx.store.read() as view:
        actor = Actor(person=view.people.named(ENGINEER).id, name=ENGINEER, way_in=WayIn.CLI)

    def answer(request: dict[str, Any]) -> dict[str, Any]:
        saved: list[str] = []
        locked = 0
        for number in range(request["first"], request["first"] + request["count"]):
            spec = parse_pipeline(spec_text(request["pipeline"], number)[0])
            try:
                saved.append(save_version(ctx, actor, spec).digest)
            except StoreError:
                locked += 1
        return {"saved": saved, "locked": locked}

    try:
        serve(answer)
    finally:
        ctx.store.close()


if __name__ == "__main__":
    main()
