"""Traces: one story from a request at the door to the receipt of a publish, as a collector gets it; and what a trace is not."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from drls_dagster import settings as settings_module
from drls_dagster.gate.traced import TRACE_TAG, place_of
from drls_dagster.ledger import place_of as ledger_place
from drls_dagster.ledger import this_worker
from drls_dagster.runs.client import RunClient
from drls_dagster.runs.part import Part
from drls_dagster.runs.step_spans import SpanKind, StepSpan, StepSpans
from drls_dagster.runs.token import bind, issue
from drls_dagster.settings import Settings, TracesSettings, load_settings
from drls_dagster.traces.place import HEADER, Place, new_trace, read_place
from drls_dagster.traces.place import HERE as PLACE
from drls_dagster.traces.requests import traced
from drls_dagster.traces.sending import address, sender_of
from drls_dagster.traces.spans import span
from tests.drls_dagster.runs.conftest import HERE, World
from tests.drls_dagster.runs.test_run_service import written
from tests.security.door import GRAPHQL, LAUNCH, MINE, Door, open_door, params
from tests.trace_collector import Collector, attributes, collecting

pytestmark = pytest.mark.tables


@pytest.fixture(scope="module", autouse=True)
def collector() -> Iterator[Collector]:
    """Before the home of this file, whose settings name it."""
    with collecting() as found, pytest.MonkeyPatch.context() as patch:
        patch.setenv("DRLS_TRACES__ENDPOINT", found.url)
        settings_module._load.cache_clear()
        yield found
    settings_module._load.cache_clear()


@pytest.fixture(scope="module")
def door(collector: Collector, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    with open_door(tmp_path_factory.mktemp("door")) as found:
        yield found


@pytest.fixture
def drls_home(door: Door, monkeypatch: pytest.MonkeyPatch, collector: Collector) -> Iterator[Path]:
    """The door's, for what the coordinator asks while it launches."""
    for name, value in {**door.environment, "DRLS_TRACES__ENDPOINT": collector.url}.items():
        monkeypatch.setenv(name, value)
    settings_module._load.cache_clear()
    yield door.home
    settings_module._load.cache_clear()


def flushed(settings: Settings) -> None:
    sender = sender_of(settings)
    assert sender is not None
    sender.flush()


def client_in(world: World, place: Place | None) -> RunClient:
    token = issue(
        world.ctx, bind(world.run, world.run, [Part(world.name, world.version.digest, HERE)], world.person, place)
    )
    return world.client(token)


def test_one_story_from_the_request_at_the_door_to_the_receipt(
    door: Door, drls_home: Path, world: World, collector: Collector
) -> None:
    caller = new_trace()
    http = TestClient(traced(door.client.app, load_settings(), ("/dagster",)), base_url="http://localhost")
    body = {"query": LAUNCH, "variables": {"p": params(MINE, tags={TRACE_TAG: new_trace().text})}}
    answer: Any = http.post(GRAPHQL, json=body, headers={**door.bearer("nora"), HEADER: caller.text})
    run = door.run_of(answer)

    client = client_in(world, place_of(run))
    client.execute(world.execution, this_worker(ledger_place(world.settings)))
    assert client.admit({}) is not None
    assert client.start().waits_for == ""
    spans = StepSpans(client, is_on=True)
    with spans.span(SpanKind.SINK, "sink0") as facts:
        with spans.span(SpanKind.SOURCE, "raw"):
            pass
        candidate = written(world, client)
        with spans.span(SpanKind.CHECK, "sink0") as found:
            found.checks, found.failed_checks = 1, 0
        client.publish(world.execution, candidate)
        facts.table, facts.snapshot, facts.rows = candidate.table, candidate.snapshot, 2
    spans.close()
    client.finish()
    flushed(world.settings)

    tree = {one.name: one for one in collector.in_trace(caller.trace)}
    above = {
        "POST /dagster": caller.span, "admit run": "POST /dagster", "run admit": "POST /dagster", "run": "POST /dagster",
        "sink sink0": "run", "source raw": "sink sink0", "check sink0": "sink sink0", "run publish": "sink sink0",
        "permit": "run publish", "compare and set": "run publish", "receipt": "run publish", "run finish": "POST /dagster",
    }  # fmt: skip
    assert above.keys() == tree.keys()
    ids = {name: one.span_id.hex() for name, one in tree.items()} | {caller.span: caller.span}
    assert {name: one.parent_span_id.hex() for name, one in tree.items()} == {
        name: ids[parent] for name, parent in above.items()
    }
    sink = attributes(tree["sink sink0"])
    assert sink == {
        "drls.run_id": world.run, "drls.pipeline": world.name, "drls.version": world.version.digest,
        "drls.environment": "development", "drls.node": "sink0", "drls.table": candidate.table,
        "drls.snapshot": str(candidate.snapshot), "drls.rows": 2,
    }  # fmt: skip
    assert attributes(tree["receipt"])["drls.snapshot"] == str(candidate.snapshot)
    assert attributes(tree["check sink0"])["drls.failed_checks"] == 0
    assert attributes(tree["POST /dagster"])["http.response.status_code"] == 200
    sent = b"".join(collector.bodies)
    for secret in (door.token("nora"), "drls_", "launchRun", "Bearer"):
        assert secret.encode() not in sent


def test_a_run_joins_no_other_trace_than_its_tokens(world: World, collector: Collector) -> None:
    own, other = new_trace(), new_trace()
    client = client_in(world, own)
    client.way.at = other
    client.admit({})
    client.tell_spans([_span(other)])
    flushed(world.settings)
    assert collector.in_trace(other.trace) == []
    assert {one.name for one in collector.in_trace(own.trace)} == {"run admit", "sink out"}


def test_a_token_of_no_trace_gives_spans_of_its_own_and_takes_none(world: World, collector: Collector) -> None:
    client = client_in(world, None)
    before = len(collector.spans)
    assert client.trace() == ""
    client.tell_spans([_span(new_trace())])
    spans = StepSpans(client, is_on=True)
    with spans.span(SpanKind.SINK, "out"):
        pass
    spans.close()
    flushed(world.settings)
    assert len(collector.spans) == before


def _span(place: Place) -> StepSpan:
    return StepSpan(kind=SpanKind.SINK, node="out", span=place.below().span, above=place.span, began=1, ended=2)


@pytest.mark.parametrize(
    "text",
    [
        "", "x", None, 3, "00-" + "0" * 32 + "-" + "1" * 16 + "-01", "00-" + "1" * 32 + "-" + "0" * 16 + "-01",
        "ff-" + "1" * 32 + "-" + "1" * 16 + "-01", "00-" + "A" * 32 + "-" + "1" * 16 + "-01", new_trace().text + "\n",
        new_trace().text + "-more", "00-" + "١" * 32 + "-" + "1" * 16 + "-01",
    ],
)  # fmt: skip
def test_what_is_not_exactly_a_place_is_none(text: object) -> None:
    assert read_place(text) is None


def test_a_span_of_a_run_carries_no_text_of_its_choice() -> None:
    right = _span(new_trace()).model_dump()
    for wrong in (
        {"node": "SELECT 1"}, {"failed": "no such row: ada"}, {"table": "a b"}, {"span": "0" * 16}, {"rows": "ada"},
        {"note": "x"}, {"kind": "other"},
    ):  # fmt: skip
        with pytest.raises(ValueError, match=next(iter(wrong))):
            StepSpan.model_validate({**right, **wrong})


def test_a_collector_that_does_not_answer_fails_nothing_and_is_named_once(
    caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    with collecting() as gone:
        found = load_settings(tmp_path).model_copy(update={"traces": TracesSettings(endpoint=gone.url)})
        gone.answer = 400
        with caplog.at_level(logging.WARNING):
            for _ in range(2):
                with span(found, "a"):
                    assert PLACE.get() is not None
                flushed(found)
            gone.answer = 200
            with span(found, "b"):
                pass
            flushed(found)
    said = [one.getMessage() for one in caplog.records if "traces" in one.name or "opentelemetry" in one.name]
    assert said == [
        f"traces cannot be sent to {gone.url}/v1/traces; they are dropped until it answers",
        f"traces are sent to {gone.url}/v1/traces again",
    ]
    assert [one.name for one in gone.spans] == ["b"]


def test_what_a_block_raises_is_noted_by_its_kind_alone(collector: Collector, tmp_path: Path) -> None:
    found = load_settings(tmp_path)
    with pytest.raises(ValueError, match="ada"), span(found, "failing block"):
        raise ValueError("a row of ada")
    flushed(found)
    assert collector.named("failing block").status.message == "ValueError"


def test_without_the_setting_nothing_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DRLS_TRACES__ENDPOINT")
    settings_module._load.cache_clear()
    found = load_settings(tmp_path)
    with span(found, "a") as made:
        assert (made.place, PLACE.get(), sender_of(found)) == (None, None, None)
    app = object()
    assert traced(app, found) is app  # type: ignore[arg-type]


def test_an_address_may_name_its_path() -> None:
    assert address("http://c:4318") == address("http://c:4318/") == "http://c:4318/v1/traces"
    assert address("https://c/otlp/v1/traces") == "https://c/otlp/v1/traces"
    for wrong in ("c:4318", "http://user:secret@c", "http://c/?token=x", "file:///x"):
        with pytest.raises(ValueError, match="endpoint"):
            TracesSettings(endpoint=wrong)
