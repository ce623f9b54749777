"""What a GraphQL request would do, read before Dagster reads it, and handed on as it was read."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from graphql import (
    DocumentNode,
    FragmentDefinitionNode,
    GraphQLError,
    GraphQLSchema,
    OperationDefinitionNode,
    OperationType,
    get_operation_root_type,
    parse,
    validate,
)
from graphql.execution.collect_fields import collect_fields
from graphql.execution.execute import ExecutionContext
from graphql.execution.values import get_argument_values
from graphql.language import FieldNode, InlineFragmentNode, SelectionSetNode

MAX_TOKENS = 20_000
# GraphQL compares every two fields that one answer merges, and every two fragments: 3,000 of them cost a minute.
MAX_SAME = 200
MAX_FRAGMENTS = 200


class Unreadable(ValueError):
    """A request that Dagster would not take either."""


@dataclass(frozen=True)
class Operations:
    """The kinds of operations in a request and, of mutations, the names of their fields."""

    kinds: frozenset[OperationType]
    mutations: tuple[str, ...]

    @property
    def changes(self) -> bool:
        return OperationType.MUTATION in self.kinds


@dataclass(frozen=True)
class Sent:
    """A GraphQL request: one document, its variables, and which of its operations is meant."""

    query: str
    variables: Mapping[str, Any]
    operation_name: str | None = None

    @property
    def body(self) -> bytes:
        """The request for Dagster: what was judged, and nothing else."""
        whole = {"query": self.query, "variables": self.variables, "operationName": self.operation_name}
        return json.dumps(whole).encode()


@dataclass(frozen=True)
class Field:
    """A field of an operation's root with the values of its arguments, by the names that the schema has."""

    name: str
    arguments: Mapping[str, Any]


@dataclass(frozen=True)
class Operation:
    """The operation that would be executed: fragments are resolved, variables and defaults are filled in."""

    kind: OperationType
    fields: tuple[Field, ...]
    node: OperationDefinitionNode
    document: DocumentNode


def read_sent(content_type: str, body: bytes) -> Sent:
    """The request in a body. Raises Unreadable."""
    try:
        text = body.decode()
        if "application/graphql" in content_type and "application/json" not in content_type:
            return Sent(text, {})
        if "application/json" not in content_type:
            raise Unreadable("send GraphQL as a JSON body with the content type application/json")
        return sent_of(json.loads(text))
    except RecursionError:
        raise Unreadable("the body is nested too deeply") from None
    except ValueError as error:
        if isinstance(error, Unreadable):
            raise
        raise Unreadable("the body is not valid JSON") from None


def sent_of(found: Any, operation_name: str = "operationName") -> Sent:
    """The request in what a body or a message says. Raises Unreadable."""
    if not isinstance(found, dict):
        raise Unreadable("the body is not one JSON object")
    query, variables, name = found.get("query"), found.get("variables"), found.get(operation_name)
    if not isinstance(query, str):
        raise Unreadable("query is not text")
    if isinstance(variables, str):
        try:
            variables = json.loads(variables) if variables else None
        except ValueError:
            raise Unreadable("variables are not valid JSON") from None
    if variables is not None and not isinstance(variables, dict):
        raise Unreadable("variables are not one JSON object")
    if name is not None and not isinstance(name, str):
        raise Unreadable(f"{operation_name} is not text")
    return Sent(query, variables or {}, name or None)


def read_operation(schema: GraphQLSchema, sent: Sent) -> Operation:
    """The operation that Dagster would execute. Raises Unreadable, also for what does not fit the schema."""
    document = _parsed(sent.query)
    try:
        errors = validate(schema, document)
        if errors:
            raise Unreadable(errors[0].message)
        built = ExecutionContext.build(
            schema, document, raw_variable_values=dict(sent.variables), operation_name=sent.operation_name
        )
        if isinstance(built, list):
            raise Unreadable(built[0].message)
        root = get_operation_root_type(schema, built.operation)
        found = collect_fields(schema, built.fragments, built.variable_values, root, built.operation.selection_set)
        nodes = [same[0] for same in found.values() if same[0].name.value in root.fields]
        fields = tuple(
            Field(one.name.value, _named(get_argument_values(root.fields[one.name.value], one, built.variable_values)))
            for one in nodes
        )
    except GraphQLError as error:
        raise Unreadable(error.message) from None
    except RecursionError:
        raise Unreadable("this is nested too deeply") from None
    return Operation(built.operation.operation, fields, built.operation, document)


def read_documents(documents: Iterable[str]) -> Operations:
    """The operations of some documents, whichever would be executed. Raises Unreadable for what is no GraphQL."""
    kinds: set[OperationType] = set()
    mutations: list[str] = []
    for document in documents:
        for node in _parsed(document).definitions:
            if isinstance(node, OperationDefinitionNode):
                kinds.add(node.operation)
                if node.operation is OperationType.MUTATION:
                    fields = (one for one in node.selection_set.selections if isinstance(one, FieldNode))
                    mutations += [field.name.value for field in fields]
    return Operations(frozenset(kinds), tuple(mutations))


def _parsed(query: str) -> DocumentNode:
    try:
        document = parse(query, max_tokens=MAX_TOKENS)
    except (GraphQLError, RecursionError) as error:
        raise Unreadable(f"this is not valid GraphQL: {getattr(error, 'message', 'nested too deeply')}") from None
    _check_cost(document)
    return document


def _check_cost(document: DocumentNode) -> None:
    """Raises Unreadable for a document that would take long to validate, here or in Dagster.

    Counts the fields that may have to be merged: those with the same path of names in the answer. All operations and
    fragments count as one, because a fragment may be spread anywhere.
    """
    fragments = sum(isinstance(node, FragmentDefinitionNode) for node in document.definitions)
    if fragments > MAX_FRAGMENTS:
        raise Unreadable(f"there are more than {MAX_FRAGMENTS} fragments")
    sets = (getattr(node, "selection_set", None) for node in document.definitions)
    todo: list[tuple[int, SelectionSetNode]] = [(0, one) for one in sets if one is not None]
    places: dict[tuple[int, str], int] = {}
    found: Counter[int] = Counter()
    while todo:
        place, selections = todo.pop()
        for one in selections.selections:
            if isinstance(one, InlineFragmentNode):
                todo.append((place, one.selection_set))
            elif isinstance(one, FieldNode):
                name = (one.alias or one.name).value
                here = places.setdefault((place, name), len(places) + 1)
                found[here] += 1
                if found[here] > MAX_SAME:
                    raise Unreadable(f"{name} is requested more than {MAX_SAME} times in one place")
                if one.selection_set is not None:
                    todo.append((here, one.selection_set))


def _named(value: Any) -> Any:
    """Arguments by GraphQL's names: graphene hands some of them over under Python's."""
    if isinstance(value, Mapping):
        names = {_camel(str(key)): one for key, one in value.items()}
        # What a run is configured with has keys of its own.
        return {key: one if key == "runConfigData" else _named(one) for key, one in names.items()}
    if isinstance(value, list | tuple):
        return [_named(one) for one in value]
    return value


def _camel(name: str) -> str:
    first, *more = name.split("_")
    return first + "".join(part[:1].upper() + part[1:] for part in more) if first else name
