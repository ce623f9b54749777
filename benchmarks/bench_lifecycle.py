"""The lifecycle with years of history in it: 1,000 pipelines × 20 versions on SQLite, behind its real server."""

from __future__ import annotations

import random
import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from benchmarks.lab import Lab, Worker, median
from benchmarks.lifecycle_store import ENGINEER, LEADS, PRODUCTION, fill, open_lifecycle, spec_text
from benchmarks.report import Line, Side, at_most
from lifecycle.domain.gate import Action
from lifecycle.usecases.may import may

PIPELINES, VERSIONS = 1000, 20
P95, GATE, FLAT = 50.0, 2.0, 1.5  # milliseconds, milliseconds, ratio
CALLS = ("list", "get", "plan", "approve")
WRITERS = 4
WARM, CHUNK = 5, 20  # calls


class Filled:
    """A store with its server, what may be approved in it, and who may."""

    def __init__(self, lab: Lab, name: str, pipelines: int, versions: int, requests: int) -> None:
        began = time.perf_counter()
        self.folder = lab.folder / name
        self.pipelines, self.versions = pipelines, versions
        self.tokens, self._waiting = fill(self.folder, pipelines, versions, requests)
        lab.log(f"{name}: {pipelines} pipelines × {versions} versions in {time.perf_counter() - began:.0f} s")
        port = lab.worker("lifecycle_server", self.folder).ask()["port"]
        self.url = f"http://127.0.0.1:{port}"

    def ask(self, client: Worker, who: str, *, rounds: int, seconds: float, think: float) -> dict[str, list[float]]:
        """What one client measured, in milliseconds by call."""
        mine = [self._waiting.pop() for _ in range(_approvals(rounds))]
        request: dict[str, Any] = {
            "url": self.url, "token": self.tokens[who], "seed": len(self._waiting), "requests": mine,
            "pipelines": self.pipelines, "versions": self.versions, "rounds": rounds, "seconds": seconds,
            "think": think,
        }  # fmt: skip
        return client.ask(**request)["took"]


def run(lab: Lab) -> list[Line]:
    seconds = lab.times(30, 8)
    rounds = int(seconds / 0.1) + 5
    alone = lab.times(200, 50)
    pipelines = lab.times(PIPELINES, 200)
    # Each pipeline has one request, and each approval takes one.
    by_one = max(60, _approvals(WARM) + alone // CHUNK * _approvals(CHUNK))
    by_all = len(LEADS) * (_approvals(WARM) + _approvals(rounds)) + by_one
    large = Filled(lab, "large", max(pipelines, by_all), VERSIONS, by_all)
    few = Filled(lab, "few", max(50, by_one), VERSIONS, by_one)
    young = Filled(lab, "young", large.pipelines, 1, by_one)
    return [
        *_clients(lab, large, rounds, seconds),
        *_flat(lab, large, few, young, alone),
        _gate(large),
        *_writers(lab, large),
    ]


def _clients(lab: Lab, large: Filled, rounds: int, seconds: float) -> list[Line]:
    """Eight people at once, each of whom thinks 100 ms."""
    clients = [lab.worker("lifecycle_client") for _ in LEADS]
    # Not the first calls: connections and caches are new.
    for client, who in zip(clients, LEADS, strict=True):
        large.ask(client, who, rounds=WARM, seconds=60, think=0)
    with ThreadPoolExecutor(len(clients)) as pool:
        jobs = [
            pool.submit(large.ask, client, who, rounds=rounds, seconds=seconds, think=0.1)
            for client, who in zip(clients, LEADS, strict=True)
        ]
        found = [job.result() for job in jobs]
    lines: list[Line] = []
    for call in CALLS:
        took = [value for one in found for value in one[call]]
        a = Side(f"p95 of {len(took)} calls, 8 clients", (_p95(took),), "ms")
        b = Side("median of them", (median(took),), "ms")
        lines.append(at_most("lifecycle", call, a, b, P95, f"≤ {P95:.0f} ms"))
    return lines


def _flat(lab: Lab, large: Filled, few: Filled, young: Filled, rounds: int) -> list[Line]:
    """The same calls, one after another, on stores of a twentieth of the versions."""
    client = lab.worker("lifecycle_client")
    stores = (large, few, young)
    took: list[dict[str, list[float]]] = [{call: [] for call in CALLS} for _ in stores]
    for store in stores:
        store.ask(client, LEADS[0], rounds=WARM, seconds=60, think=0)
    for _ in range(rounds // CHUNK):
        for found, store in zip(took, stores, strict=True):
            for call, values in store.ask(client, LEADS[0], rounds=CHUNK, seconds=600, think=0).items():
                found[call] += values
    lines: list[Line] = []
    for call in CALLS:
        a = Side(f"{large.pipelines} pipelines × {large.versions}", tuple(took[0][call]), "ms")
        for other, store in ((took[1], few), (took[2], young)):
            b = Side(f"{store.pipelines} pipelines × {store.versions}", tuple(other[call]), "ms")
            lines.append(at_most("lifecycle", f"{call}, flat", a, b, FLAT * b.median, f"A ≤ {FLAT:g} × B"))
    return lines


def _gate(large: Filled) -> Line:
    """`may`, as a code location or a step asks it, in its own process."""
    ctx = open_lifecycle(large.folder, "gate")
    choose = random.Random(1)  # noqa: S311
    took: list[float] = []
    try:
        for _ in range(2_000):
            name = f"pipeline_{choose.randrange(1, large.pipelines + 1):04d}"
            digest = spec_text(name, choose.randrange(1, large.versions + 1))[1]
            began = time.perf_counter()
            may(ctx, name, digest, PRODUCTION, Action.ADMIT)
            took.append(1000 * (time.perf_counter() - began))
    finally:
        ctx.store.close()
    a = Side(f"p95 of {len(took)} decisions", (_p95(took),), "ms")
    return at_most(
        "lifecycle", "may V run in E", a, Side("median of them", (median(took),), "ms"), GATE, f"≤ {GATE:g} ms"
    )


def _writers(lab: Lab, large: Filled) -> list[Line]:
    """Four processes save at once; every acknowledged save must be there."""
    count = lab.times(150, 40)
    writers = [lab.worker("lifecycle_writer", large.folder, number) for number in range(WRITERS)]

    def save(number: int) -> dict[str, Any]:
        name = f"pipeline_{number + 1:04d}"
        return writers[number].ask(pipeline=name, first=1_000_000, count=count)

    began = time.perf_counter()
    with ThreadPoolExecutor(WRITERS) as pool:
        told = list(pool.map(save, range(WRITERS)))
    took = time.perf_counter() - began
    ctx = open_lifecycle(large.folder, "count")
    try:
        with ctx.store.read() as view:
            found = set[str]()
            for number in range(WRITERS):
                pipeline = view.pipelines.named(f"pipeline_{number + 1:04d}")
                found |= {one.digest for one in view.pipelines.versions(pipeline.id, limit=10 * count)}
    finally:
        ctx.store.close()
    saved = [digest for one in told for digest in one["saved"]]
    lost = sum(digest not in found for digest in saved)
    locked = sum(one["locked"] for one in told)
    every = Side("acknowledged saves", (len(saved),), "saves")
    note = f"{len(saved) / took:.0f} saves per second by {WRITERS} processes, as {ENGINEER}"
    return [
        at_most("lifecycle", "lost by 4 processes", Side("lost", (lost,), "saves"), every, 0, "0", note),
        at_most("lifecycle", "locked out of 4 processes", Side("refused as busy", (locked,), "saves"), every, 0, "0"),
    ]


def _approvals(rounds: int) -> int:
    """How many of so many calls approve, at most."""
    return rounds // 5 + 1


def _p95(values: list[float]) -> float:
    return statistics.quantiles(values, n=20)[-1]
