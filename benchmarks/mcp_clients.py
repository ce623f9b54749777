"""Clients of an MCP server in one process: each calls a tool over HTTP, thinks, and calls again, in single requests."""

from __future__ import annotations

import asyncio
import itertools
import json
import random
import time
from collections import defaultdict
from typing import Any

import httpx

from benchmarks.lab import serve

VERSION = "2026-07-28"
_META = {
    "io.modelcontextprotocol/protocolVersion": VERSION,
    "io.modelcontextprotocol/clientInfo": {"name": "benchmark", "version": "1"},
    "io.modelcontextprotocol/clientCapabilities": {},
}


def answer(request: dict[str, Any]) -> dict[str, Any]:
    """`calls` are names with arguments; each client makes them in turn, for `seconds`, `think` seconds apart."""
    return asyncio.run(_all(request))


async def _all(request: dict[str, Any]) -> dict[str, Any]:
    took: dict[str, list[float]] = defaultdict(list)
    errors: list[str] = []
    deadline = time.perf_counter() + request["seconds"]
    began, cpu = time.perf_counter(), time.process_time()
    async with httpx.AsyncClient(timeout=60, limits=httpx.Limits(max_connections=None)) as http:

        async def client(number: int) -> None:
            token = request["tokens"][number % len(request["tokens"])]
            # Not all of them at the same moment.
            await asyncio.sleep(random.Random(number).random() * request["think"])  # noqa: S311
            for name, arguments in itertools.islice(itertools.cycle(request["calls"]), number, None):
                if time.perf_counter() >= deadline:
                    return
                started = time.perf_counter()
                error = await _call(http, request["url"], token, name, arguments)
                spent = time.perf_counter() - started
                took[name].append(1000 * spent)
                if error:
                    errors.append(f"{name}: {error}")
                await asyncio.sleep(max(0, request["think"] - spent))

        await asyncio.gather(*(client(number) for number in range(request["clients"])))
    spent = {"seconds": time.perf_counter() - began, "cpu": time.process_time() - cpu}
    return {"took": took, "errors": errors, **spent}


async def _call(http: httpx.AsyncClient, url: str, token: str, name: str, arguments: dict[str, Any]) -> str:
    """What went wrong, in words; nothing when nothing did."""
    body = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "tools/call",
        "params": {"name": name, "arguments": arguments, "_meta": _META},
    }
    headers = {
        "Authorization": f"Bearer {token}",
        "Accept": "application/json, text/event-stream",
        "MCP-Protocol-Version": VERSION,
        "Mcp-Method": "tools/call",
        "Mcp-Name": name,
    }
    answered = await http.post(url, json=body, headers=headers)
    if answered.status_code != httpx.codes.OK:
        return f"{answered.status_code} {answered.text[:200]}"
    result = json.loads(answered.text.rpartition("data: ")[2] or answered.text).get("result", {})
    return "" if result and not result.get("isError") else answered.text[:200]


if __name__ == "__main__":
    serve(answer)
