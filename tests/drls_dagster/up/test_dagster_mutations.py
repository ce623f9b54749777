"""The one table of who may change what in Dagster, against the schema of the pinned Dagster (finding 10)."""

from __future__ import annotations

import pytest
from graphql import GraphQLSchema, is_composite_type, parse, validate

from drls_dagster.dagster_private.tried import create_schema
from drls_dagster.dagster_private.workspace import Permissions
from drls_dagster.up.web.arguments import audited_arguments
from drls_dagster.up.web.mutations import MUTATIONS
from drls_dagster.up.web.narrow import ROOTS
from drls_dagster.up.web.operations import OperationType, Sent, Unreadable, read_operation, read_sent
from drls_dagster.up.web.permissions import EVERYWHERE, SOMEWHERE, permissions_of
from drls_dagster.up.web.visitor import Visitor
from lifecycle.domain.people import Actor, WayIn
from lifecycle.domain.roles import Role

LAUNCH = """mutation A($p: ExecutionParams!) { first: launchRun(executionParams: $p) { __typename } ...More }
fragment More on Mutation { second: terminateRun(runId: "r") { __typename } }
query B { version }"""
SELECTOR = {"repositoryLocationName": "qa", "repositoryName": "r", "pipelineName": "flights"}


@pytest.fixture(scope="module")
def schema() -> GraphQLSchema:
    return create_schema().graphql_schema


def test_every_mutation_of_dagster_has_a_least_role_and_no_other_has(schema: GraphQLSchema) -> None:
    """A release of Dagster with another mutation fails here until somebody decides who may use it."""
    assert schema.mutation_type is not None
    assert set(MUTATIONS) == set(schema.mutation_type.fields)


def test_what_is_for_the_whole_installation_is_an_admins() -> None:
    for name in (
        *("wipeAssets", "deleteRun", "deletePipelineRun", "setConcurrencyLimit", "deleteConcurrencyLimit"),
        *("freeConcurrencySlots", "setAutoMaterializePaused", "shutdownRepositoryLocation"),
    ):
        assert MUTATIONS[name].role is Role.ADMIN, name
    for name in ("startSensor", "stopSensor", "setSensorCursor", "startSchedule", "stopRunningSchedule"):
        assert MUTATIONS[name].role is Role.LEAD, name
    viewers = {name for name, rule in MUTATIONS.items() if rule.role is Role.VIEWER}
    assert viewers == {"logTelemetry", "setNuxSeen"}


def test_every_permission_of_dagster_has_a_least_role() -> None:
    assert {*SOMEWHERE, *EVERYWHERE} == set(Permissions)
    assert not SOMEWHERE.keys() & EVERYWHERE.keys()
    assert not any(one.enabled for one in permissions_of(None).values())
    reader = Visitor(Actor(person=1, name="a", way_in=WayIn.WEB), True, False, True, Role.ADMIN, Role.ADMIN)
    assert not any(one.enabled for one in permissions_of(reader).values())


def test_what_is_let_through_to_everybody_is_in_the_schema(schema: GraphQLSchema) -> None:
    roots = [one.fields for one in (schema.query_type, schema.subscription_type) if one]
    assert all(any(name in fields for fields in roots) for name in ROOTS)
    assert is_composite_type(schema.get_type("Run"))


def test_an_operation_is_read_with_its_fragments_aliases_and_variables(schema: GraphQLSchema) -> None:
    found = read_operation(schema, Sent(LAUNCH, {"p": {"selector": SELECTOR}}, "A"))
    assert found.kind is OperationType.MUTATION
    assert [one.name for one in found.fields] == ["launchRun", "terminateRun"]
    assert found.fields[0].arguments["executionParams"]["selector"] == SELECTOR
    assert found.fields[1].arguments == {"runId": "r"}
    assert read_operation(schema, Sent(LAUNCH, {}, "B")).kind is OperationType.QUERY


@pytest.mark.parametrize(
    ("query", "variables", "name"),
    [
        (LAUNCH, {"p": {"selector": SELECTOR}}, None),
        (LAUNCH, {"p": {"selector": SELECTOR}}, "C"),
        (LAUNCH, {}, "A"),
        (LAUNCH, {"p": {"selector": {**SELECTOR, "unknown": 1}}}, "A"),
        ("mutation { ...F } fragment F on Mutation { ...F }", {}, None),
        ("mutation { unknown }", {}, None),
        ("mutation { a: deleteRun(runId: 1) { __typename } }", {}, None),
        ('mutation { deleteRun(runId: "a") { __typename } deleteRun(runId: "b") { __typename } }', {}, None),
    ],
)
def test_what_dagster_would_not_execute_is_refused(
    schema: GraphQLSchema, query: str, variables: dict[str, object], name: str | None
) -> None:
    with pytest.raises(Unreadable):
        read_operation(schema, Sent(query, variables, name))


def test_skipped_fields_and_defaults_are_read_as_dagster_reads_them(schema: GraphQLSchema) -> None:
    query = """mutation($yes: Boolean = true, $id: String! = "d", $ids: [String!]! = "one") {
      a: deleteRun(runId: $id) @skip(if: $yes) { __typename }
      b: terminateRuns(runIds: $ids) @include(if: $yes) { __typename }
      ... on Mutation @skip(if: $yes) { c: setNuxSeen }
      d: stopSensor(jobOriginId: "o", jobSelectorId: "s") { __typename }
    }"""
    assert validate(schema, parse(query)) == []
    found = read_operation(schema, Sent(query, {}))
    assert [(one.name, dict(one.arguments)) for one in found.fields] == [
        ("terminateRuns", {"runIds": ["one"]}),
        ("stopSensor", {"jobOriginId": "o", "jobSelectorId": "s"}),
    ]


def test_run_configuration_keeps_its_own_keys(schema: GraphQLSchema) -> None:
    config = {"resources": {"flights_daily_parameters": {"config": {"min_flights": 200}}}}
    params = {"selector": SELECTOR, "runConfigData": config}
    found = read_operation(schema, Sent(LAUNCH, {"p": params}, "A"))
    said = audited_arguments(found.fields[0].arguments)
    assert said["runConfig"] == ["resources.flights_daily_parameters.config.min_flights"]
    assert said["pipelineName"] == "flights"
    text = audited_arguments({"executionParams": {"runConfigData": "ops: {a: {config: secret}}"}})
    assert text == {"runConfig": ["ops.a.config"]}


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'{"query": 1}', b'{"query": "{a}", "variables": []}', b"\xff"])
def test_a_body_that_is_no_request_is_refused(body: bytes) -> None:
    with pytest.raises(Unreadable):
        read_sent("application/json", body)


def test_variables_may_be_text_and_the_body_is_written_anew() -> None:
    sent = read_sent("application/json; charset=utf-8", b'{"query": "{a}", "variables": "{\\"b\\": 1}", "more": 1}')
    assert sent == Sent("{a}", {"b": 1})
    assert sent.body == b'{"query": "{a}", "variables": {"b": 1}, "operationName": null}'
