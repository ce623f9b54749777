"""Every route has an entry in a table of permissions, and every entry a route: looked at when an app is made."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from fastapi import APIRouter
from fastapi.routing import APIRoute


def check_listed(routers: Iterable[APIRouter], table: Collection[tuple[str, str]], where: str) -> None:
    """Raises RuntimeError when a route is not in the table in module `where`, or the table names one that is not there.

    An entry is a method and a path.
    """
    every = [route for router in routers for route in router.routes if isinstance(route, APIRoute)]
    routes = {(method, route.path) for route in every for method in route.methods or ()}
    listed = set(table)
    if missing := sorted(routes - listed):
        raise RuntimeError(f"routes without an entry in {where}: {missing}")
    if dead := sorted(listed - routes):
        raise RuntimeError(f"{where} names routes that are not there: {dead}")
