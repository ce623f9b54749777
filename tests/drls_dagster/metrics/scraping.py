"""Asking an app for /metrics, as Prometheus does."""

from __future__ import annotations

import asyncio

import httpx
from prometheus_client.parser import text_string_to_metric_families
from starlette.types import ASGIApp

TOKEN = "a-token-of-some-letters-1234"
Samples = dict[str, dict[tuple[tuple[str, str], ...], float]]


def ask(app: ASGIApp, path: str, method: str = "GET", token: str = "", **headers: str) -> httpx.Response:
    async def asked() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as client:
            return await client.request(method, path, headers=headers | _shown(token))

    return asyncio.run(asked())


def _shown(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"} if token else {}


def scrape(app: ASGIApp) -> tuple[str, Samples]:
    answer = ask(app, "/metrics", token=TOKEN)
    assert answer.status_code == 200
    found: Samples = {}
    for family in text_string_to_metric_families(answer.text):
        for sample in family.samples:
            found.setdefault(sample.name, {})[tuple(sorted(sample.labels.items()))] = sample.value
    return answer.text, found


def of(**labels: str) -> tuple[tuple[str, str], ...]:
    return tuple(sorted(labels.items()))
