"""Errors of Ray in one line: what happened to the step's work, and what to do."""

from __future__ import annotations

import re

_AGAIN = "run again"
_LOST = ("Ray lost a node or a process that worked on it", _AGAIN)
_SILENT = ("Ray did not answer", _AGAIN)
_NO_ROOM = (
    "no node of Ray can hold its workers",
    "lower its resources, or use a larger cluster (engine.ray_address)",
)
_LOOK = "run again; `drls logs ray` has Ray's own message"
_MEMORY = "lower its batch_size or concurrency, or use a machine with more memory"
_ENDED = (
    "NodeDiedError",
    "LocalRayletDiedError",
    "OwnerDiedError",
    "RayActorError",
    "ActorDiedError",
    "ActorUnavailableError",
    "ObjectLostError",
    "ObjectFreedError",
    "ObjectFetchTimedOutError",
    "ObjectReconstructionFailedError",
)
_KINDS: dict[str, tuple[str, str]] = {
    "ObjectStoreFullError": ("Ray's object store is full", _MEMORY),
    "OutOfMemoryError": ("its workers were killed because memory ran out", _MEMORY),
    "MemoryError": ("memory ran out", _MEMORY),
    "OutOfDiskError": ("the disk of Ray's folder is full", "free some space, then run again"),
    "WorkerCrashedError": ("its workers ended without an answer", _MEMORY),
    "TaskCancelledError": ("its work was cancelled in Ray", _AGAIN),
    "RuntimeEnvSetupError": ("Ray could not prepare its workers", _LOOK),
    **dict.fromkeys(("TaskUnschedulableError", "ActorUnschedulableError"), _NO_ROOM),
    **dict.fromkeys(_ENDED, _LOST),
    **dict.fromkeys(("GetTimeoutError", "RpcError", "RaySystemError", "AuthenticationError"), _SILENT),
}  # fmt: skip


def words_of(error: BaseException) -> str:
    """What to say of an error that came out of Ray; of one from a worker, whose text is a stack, the last."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    named = [line for line in lines if re.match(r"[\w.]+(Error|Exception|Exit|Interrupt)\b", line)]
    kind, _, said = named[-1].partition(":") if named else (type(error).__name__, "", lines[0] if lines else "")
    name = kind.strip().rpartition(".")[2]
    names = (name, *(one.__name__ for one in type(error).__mro__))
    known = next((_KINDS[one] for one in names if one in _KINDS), None)
    if known is not None:
        return "; ".join(known)
    if "No space left on device" in str(error):
        return "; ".join(_KINDS["OutOfDiskError"])
    if kind.startswith("ray.") or type(error).__module__.startswith("ray."):
        return f"Ray failed at it ({name}); {_LOOK}"
    return f"{name}: {said.strip()}; {_LOOK}" if said.strip() else f"{name}; {_LOOK}"
