"""What a GraphQL request would do, read before Dagster reads it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass

from graphql import GraphQLError, OperationDefinitionNode, OperationType, parse
from graphql.language import FieldNode
from starlette.datastructures import QueryParams


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


def operations_of(query: QueryParams, content_type: str, body: bytes) -> Operations:
    """Every document that Dagster could take out of this request, wherever it is.

    All of its operations count, also those that `operationName` does not name. Raises Unreadable.
    """
    documents = list(query.getlist("query"))
    if body:
        documents += _in_body(content_type, body)
    return read_documents(documents)


def read_documents(documents: Iterable[str]) -> Operations:
    """The operations of some documents. Raises Unreadable for what is no GraphQL."""
    kinds: set[OperationType] = set()
    mutations: list[str] = []
    for document in documents:
        try:
            parsed = parse(document, max_tokens=20_000)
        except (GraphQLError, RecursionError) as error:
            raise Unreadable(f"this is no GraphQL: {getattr(error, 'message', 'nested too deeply')}") from None
        for node in parsed.definitions:
            if isinstance(node, OperationDefinitionNode):
                kinds.add(node.operation)
                if node.operation is OperationType.MUTATION:
                    fields = (one for one in node.selection_set.selections if isinstance(one, FieldNode))
                    mutations += [field.name.value for field in fields]
    return Operations(frozenset(kinds), tuple(mutations))


def _in_body(content_type: str, body: bytes) -> list[str]:
    try:
        text = body.decode()
        if "application/json" not in content_type:
            return [text] if "application/graphql" in content_type else []
        sent = json.loads(text)
    except ValueError:
        raise Unreadable("the body is not valid JSON") from None
    if not isinstance(sent, dict):
        raise Unreadable("the body is not one JSON object")
    found = sent.get("query")
    if found is not None and not isinstance(found, str):
        raise Unreadable("query is not text")
    return [found] if found else []
