"""schemathesis over the OpenAPI document, signed in as an Admin: no 5xx, no broken contract."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import schemathesis
from fastapi import FastAPI
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)

from lifecycle.app.site import create_site
from lifecycle.domain.credentials import TokenKind, TokenScope
from lifecycle.usecases.parts.signed_tokens import rotate_secret
from lifecycle.usecases.tokens import issue
from tests.lifecycle.app.sites import TABLE
from tests.lifecycle.life import QA, SETUP, UAT, Life

CHECKS = [
    not_a_server_error, status_code_conformance, content_type_conformance, response_headers_conformance,
    response_schema_conformance, negative_data_rejection, unsupported_method,
]  # fmt: skip
PER_ROUTE = 8


@pytest.fixture(params=["sqlite"])
def database(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def served(life: Life) -> tuple[FastAPI, str]:
    with life.store.write(SETUP, "token") as unit:
        rotate_secret(unit)
        person = unit.people.named("adam")
        secret = issue(
            unit, person, TokenKind.PERSONAL, "test", scopes=tuple(TokenScope), life=timedelta(days=300)
        ).secret
    version = life.save()
    life.to_qa(version)
    life.run(version, QA)
    life.ask(version, UAT)
    return create_site(life.ctx).api, secret


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_the_contract_holds_for_whatever_is_sent(served: tuple[FastAPI, str]) -> None:
    app, secret = served
    schema = schemathesis.openapi.from_asgi("/api/openapi.json", app, headers={"Authorization": f"Bearer {secret}"})
    skipped = {"/api/me/password", "/api/people/{person}"}
    tried: set[tuple[str, str]] = set()
    for result in schema.get_all_operations():
        operation = result.ok()
        if operation.path in skipped:
            continue
        tried.add((operation.method.upper(), operation.path))
        strategy = st.one_of(operation.as_strategy(), operation.as_strategy(
            generation_mode=schemathesis.GenerationMode.NEGATIVE) if _can_be_wrong(operation) else st.nothing())  # fmt: skip

        @settings(
            max_examples=PER_ROUTE, deadline=None, suppress_health_check=list(HealthCheck), phases=[Phase.generate],
            database=None, derandomize=True,
        )  # fmt: skip
        @given(case=strategy)
        def probe(case: Any) -> None:
            if case.path == "/api/events":
                case.query = {**(case.query if isinstance(case.query, dict) else {}), "seconds": 0}
            response = case.call(headers={"Authorization": f"Bearer {secret}"})
            case.validate_response(response, checks=CHECKS, headers={"Authorization": f"Bearer {secret}"})

        probe()
    assert {path for path in TABLE if path[1] not in skipped} <= tried


def _can_be_wrong(operation: Any) -> bool:
    return bool(operation.body or operation.query or operation.path_parameters)
