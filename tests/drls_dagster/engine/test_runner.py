"""What a `rayProcess` step says of errors that are Ray's own (finding 26): words of ours with a remedy."""

from __future__ import annotations

import pytest
import ray.exceptions

from drls_dagster.engine.ray_words import words_of

LOOK = "; run again; `drls logs ray` has Ray's own message"
TOLD = [
    (ValueError("no room"), f"ValueError: no room{LOOK}"),
    (ValueError(""), f"ValueError{LOOK}"),
    (
        ValueError('ray::work()\n  File "a.py", line 1\n    call()\nray.exceptions.TaskCancelledError: it was cancelled.\n'),
        "its work was cancelled in Ray; run again",
    ),
    (
        RuntimeError("ray::f()\nray.exceptions.ObjectStoreFullError: Failed to put object in object store"),
        "Ray's object store is full; lower its batch_size or concurrency, or use a machine with more memory",
    ),
    (OSError(28, "No space left on device"), "the disk of Ray's folder is full; free some space, then run again"),
    (
        ray.exceptions.NodeDiedError("The task died because its node, with ID 1, has died."),
        "Ray lost a node or a process that worked on it; run again",
    ),
    (ray.exceptions.ActorUnavailableError("The actor is unavailable.", None), "Ray lost a node or a process that worked on it; run again"),
    (ray.exceptions.GetTimeoutError("Get timed out"), "Ray did not answer; run again"),
    (
        ray.exceptions.TaskUnschedulableError("The task is not schedulable"),
        "no node of Ray can hold its workers; lower its resources, or use a larger cluster (engine.ray_address)",
    ),
    (ray.exceptions.PendingCallsLimitExceeded("x"), f"Ray failed at it (PendingCallsLimitExceeded){LOOK}"),
]  # fmt: skip


@pytest.mark.parametrize(("error", "told"), TOLD)
def test_an_error_of_ray_is_told_in_one_line_with_what_to_do(error: Exception, told: str) -> None:
    """Failed before: Ray's own sentence, and no remedy."""
    assert words_of(error) == told


@pytest.mark.parametrize(
    "name", [n for n, c in vars(ray.exceptions).items() if n.endswith("Error") and type(c) is type]
)
def test_no_sentence_of_ray_is_passed_on(name: str) -> None:
    said = words_of(
        RuntimeError(f"ray::write_part()\nray.exceptions.{name}: Please set RAY_x, see https://docs.ray.io")
    )
    assert "; " in said
    assert not any(word in said for word in ("Please", "RAY_", "https", "ray.exceptions", "\n"))
