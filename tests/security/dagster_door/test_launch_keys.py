"""A launch with an Idempotency-Key starts once, however often it is sent, and no key is worth anything to others."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from drls_dagster.up.web.once import CLAIM_TAG
from tests.security.dagster_door.asking import BACKFILL, key
from tests.security.door import GRAPHQL, LAUNCH, MINE, Door, params

# Dagster's own web server uses what Dagster has deprecated.
pytestmark = [
    pytest.mark.filterwarnings(
        "ignore::DeprecationWarning", "ignore::dagster.BetaWarning", "ignore::dagster.PreviewWarning"
    ),
    pytest.mark.tables,
]


def launch(door: Door, name: str, sent_key: str, *, query: str = LAUNCH, given: Any = None) -> httpx.Response:
    headers = {**door.bearer(name), "Idempotency-Key": sent_key}
    sent = {"query": query, "variables": {"p": given or params(MINE)}}
    return door.client.post(GRAPHQL, json=sent, headers=headers)


def test_a_launch_that_is_sent_again_starts_nothing_new(door: Door) -> None:
    first = door.run_of(launch(door, "nora", "key-of-nora-1")).run_id
    again = [launch(door, "nora", "key-of-nora-1") for _ in range(2)]
    assert {door.run_of(one).run_id for one in again} == {first}
    assert door.run_of(launch(door, "nora", "key-of-nora-2")).run_id != first


def test_launches_at_the_same_time_under_one_key_are_one_run(door: Door) -> None:
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: launch(door, "nora", "all-at-once"), range(4)))
    assert len({door.run_of(one).run_id for one in answers}) == 1


def test_a_key_is_its_persons_and_for_one_launch(door: Door) -> None:
    first = door.run_of(launch(door, "nora", "shared-key"))
    assert door.run_of(launch(door, "adam", "shared-key")).run_id != first.run_id
    other = launch(door, "nora", "shared-key", given=params(MINE, tags={"why": "another"}))
    assert other.status_code == 409
    assert first.run_id in other.json()["detail"]


def test_nobody_plants_a_run_under_the_key_of_another(door: Door) -> None:
    claimed = door.run_of(launch(door, "nora", "planted-key")).tags[CLAIM_TAG]
    door.instance.delete_run(door.run_of(launch(door, "nora", "planted-key")).run_id)
    planted = door.run_of(door.launch("adam", MINE, tags={CLAIM_TAG: claimed}))
    assert door.run_of(launch(door, "nora", "planted-key")).run_id != planted.run_id


def test_a_backfill_has_a_key_too(door: Door) -> None:
    given = {"assetSelection": [key(MINE)], "partitionNames": ["north"], "title": "north"}
    answers = [launch(door, "nora", "backfill-key", query=BACKFILL, given=given).json()["data"] for _ in range(2)]
    first, again = (one["launchPartitionBackfill"]["backfillId"] for one in answers)
    assert first == again


@pytest.mark.parametrize(
    ("sent_key", "query"),
    [
        ("short", LAUNCH),
        ("long enough?", LAUNCH),
        ("a-good-key", "mutation { setNuxSeen }"),
        ("a-good-key", "{ version }"),
    ],
)
def test_what_is_no_key_or_no_launch_is_refused(door: Door, sent_key: str, query: str) -> None:
    sent = {"query": query, "variables": {"p": params(MINE)} if query == LAUNCH else {}}
    answer = door.client.post(GRAPHQL, json=sent, headers={**door.bearer("nora"), "Idempotency-Key": sent_key})
    assert answer.status_code == 400
    assert "Idempotency-Key" in answer.json()["detail"]
