"""What a process that answers queries does besides: it takes one request after the other, within its limits.

Requests (pickles of the parent) arrive on standard input, answers (JSON, for what has run a stranger's SQL is not
believed more than that) go to standard output, each behind its length in eight bytes.
"""

from __future__ import annotations

import json
import os
import pickle
import re
import resource
import select
import sys
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

Answer = Callable[[dict[str, Any], dict[str, Any]], dict[str, Any]]

_IDLE_SECONDS = 120
_OWN = 700_000_000  # bytes that Arrow, a piece of a table and the answer take besides
_WORN = 300_000_000
_UNITS = {"M": 10**6, "G": 10**9}


def serve(memory: str, ready: Callable[[], None], answer: Answer) -> None:
    """Answers until the parent is gone, or asked nothing for a while; then ends the process.

    `ready` imports what takes a second before the clock of the first query runs. `answer` gets what is kept from
    request to request, and the request.
    """
    os.nice(5)
    answers = os.fdopen(os.dup(1), "wb")
    # Whatever a library prints must not be taken for an answer.
    os.dup2(2, 1)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    state: dict[str, Any] = {"memory": memory}
    ready()
    start = _data()
    most = start + int(re.sub(r"\D", "", memory)) * _UNITS[memory[-2]] + _OWN
    resource.setrlimit(resource.RLIMIT_DATA, (most, most))
    _send(answers, {"ready": True})
    while (request := _receive(sys.stdin.buffer)) is not None:
        answered = _answered(answer, state, request)
        # Libraries keep what they once had: the next query gets a new process.
        _send(answers, {**answered, "worn": _data() - start > _WORN})
    # Nothing is left to clean up, and DuckDB's bindings complain of how Python ends.
    os._exit(0)


def _answered(answer: Answer, state: dict[str, Any], request: dict[str, Any]) -> dict[str, Any]:
    from lifecycle.errors import DrlsError

    try:
        return answer(state, request)
    except DrlsError as error:
        return {"failed": type(error).__name__, "message": error.message}
    except MemoryError:
        return {"failed": "TooMuch", "message": ""}
    except RecursionError:
        return {"failed": "Invalid", "message": "the SQL is nested too deeply"}
    except Exception as error:  # noqa: BLE001 (each storage has errors of its own; the parent waits for an answer)
        from drls_dagster.lakehouse.catalog_config import resolve_catalog
        from lifecycle.errors import one_line

        clean = resolve_catalog(request["settings"]).without_secrets(one_line(error))
        return {"failed": "CannotRead", "message": f"the tables cannot be read: {clean}"}


def _data() -> int:
    """The bytes of this process that its limit counts."""
    found = re.search(r"VmData:\s+(\d+) kB", Path("/proc/self/status").read_text(encoding="ascii", errors="replace"))
    return int(found[1]) * 1024 if found else 0


def _send(stream: IO[bytes], answer: dict[str, Any]) -> None:
    body = json.dumps(answer, ensure_ascii=False).encode("utf-8", "surrogatepass")
    stream.write(len(body).to_bytes(8, "big") + body)
    stream.flush()


def _receive(stream: IO[bytes]) -> dict[str, Any] | None:
    """The next request; None when the parent is gone, or asked nothing for a while."""
    ready, _, _ = select.select([stream], [], [], _IDLE_SECONDS)
    head = stream.read(8) if ready else b""
    if len(head) < 8:
        return None
    found: dict[str, Any] = pickle.loads(stream.read(int.from_bytes(head, "big")))  # noqa: S301 (the parent's own)
    return found
