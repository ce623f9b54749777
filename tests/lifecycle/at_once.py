"""Doing two things at the same moment, in threads or in processes, and seeing how each ended."""

from __future__ import annotations

import multiprocessing
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from lifecycle.audit.keys import SigningKey
from lifecycle.errors import LifecycleError
from lifecycle.store.engine import open_engine
from lifecycle.store.store import Store
from tests.fakes.clock import FakeClock
from tests.lifecycle.life import Life

Act = Callable[[Life], object]


def at_once(kind: str, acts: Sequence[Act], url: str, folder: Path, key: SigningKey, clock: FakeClock) -> list[int]:
    """The status of each act: 200, or its refusal's; anything else that is raised gives 500."""
    fork = multiprocessing.get_context("fork")
    barrier = threading.Barrier(len(acts)) if kind == "threads" else fork.Barrier(len(acts))
    shared = fork.Array("i", len(acts))

    def work(number: int, act: Act) -> None:
        store = Store(open_engine(url), key, FakeClock(clock.now()))
        life = Life(store, folder, FakeClock(clock.now()), executor=f"executor-{number}")
        barrier.wait(60)
        try:
            act(life)
            shared[number] = 200
        except LifecycleError as error:
            shared[number] = error.status
        except Exception:
            shared[number] = 500
            raise
        finally:
            store.close()

    make = threading.Thread if kind == "threads" else fork.Process
    workers = [make(target=work, args=(number, act)) for number, act in enumerate(acts)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(120)
    return list(shared)
