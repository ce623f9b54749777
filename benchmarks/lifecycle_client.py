"""One client of the server, in a process of its own: it asks, thinks, asks; answers with every call's milliseconds."""

from __future__ import annotations

import itertools
import random
import time
from collections import defaultdict
from typing import Any

import httpx

from benchmarks.lab import serve


def answer(request: dict[str, Any]) -> dict[str, Any]:
    """For `seconds` (or `rounds`), `think` seconds between two calls; `requests` are this client's to approve."""
    took: dict[str, list[float]] = defaultdict(list)
    choose = random.Random(request["seed"])  # noqa: S311
    waiting = iter(request["requests"])
    pipelines, versions = request["pipelines"], request["versions"]
    deadline = time.perf_counter() + request["seconds"]
    headers = {"Authorization": f"Bearer {request['token']}"}
    with httpx.Client(base_url=request["url"], headers=headers, timeout=60) as client:

        def call(what: str, method: str, path: str, **options: Any) -> None:
            began = time.perf_counter()
            done = client.request(method, path, **options)
            took[what].append(1000 * (time.perf_counter() - began))
            if not done.is_success:
                raise RuntimeError(f"{what}: {done.status_code} {done.text}")

        for position in itertools.count():
            if time.perf_counter() >= deadline or position >= request["rounds"]:
                break
            name = f"pipeline_{choose.randrange(1, pipelines + 1):04d}"
            number = choose.randrange(1, versions + 1)
            one = f"/api/pipeline-defs/{name}/versions/{number}"
            match position % 5:
                case 0:
                    after = f"pipeline_{choose.randrange(0, pipelines):04d}"
                    call("list", "GET", "/api/pipeline-defs", params={"after": after, "limit": 50})
                case 1:
                    call("list", "GET", "/api/approvals", params={"limit": 50})
                case 2:
                    call("get", "GET", one)
                case 3:
                    newest = f"/api/pipeline-defs/{name}/versions/{versions}"
                    call("plan", "POST", newest + "/plan", json={"target": "uat"})
                case _:
                    number, digest = next(waiting)
                    call("approve", "POST", f"/api/approvals/{number}/approve", json={"plan_digest": digest})
            time.sleep(request["think"])
    return {"took": took}


if __name__ == "__main__":
    serve(answer)
