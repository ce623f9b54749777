"""Dagster's web server."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dagster_webserver.webserver import DagsterWebserver

if TYPE_CHECKING:
    from graphql import GraphQLSchema


def schema_of(server: DagsterWebserver) -> GraphQLSchema:
    """The GraphQL schema that a web server answers with."""
    return server._graphene_schema.graphql_schema
