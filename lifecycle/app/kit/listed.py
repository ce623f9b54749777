"""What must hold of a site's sections before it starts: every route has somebody who may call it, and is reached."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Sequence

from fastapi import APIRouter
from fastapi.routing import APIRoute

from lifecycle.app.kit.section import Api, Pages, Route, Section


def check_sections(sections: Sequence[Section]) -> None:
    """Raises RuntimeError that names the section and the route."""
    if twice := _twice(section.name for section in sections):
        raise RuntimeError(f"sections with the same name: {twice}")
    for section in sections:
        check_listed(section.pages.routers, section.pages.access, section.name)
        check_listed(section.api.routers, section.api.access, section.name)
        if lost := [path for _, path in section.pages.access if _is_below_api(path)]:
            raise RuntimeError(f"pages of the section {section.name} below /api, where only REST routes are: {lost}")
        if lost := [path for _, path in section.api.access if not _is_below_api(path)]:
            raise RuntimeError(f"REST routes of the section {section.name} that are not below /api: {lost}")
    _check_reached([(section.name, section.pages) for section in sections])
    _check_reached([(section.name, section.api) for section in sections])


def check_listed(routers: Iterable[APIRouter], access: Collection[Route], section: str) -> None:
    """Raises RuntimeError when a route has no entry in the access table of its section, or an entry no route."""
    routes = {(method, path) for method, path, _ in _routes(routers)}
    if missing := sorted(routes - set(access)):
        raise RuntimeError(f"routes without an entry in the access table of the section {section}: {missing}")
    if dead := sorted(set(access) - routes):
        raise RuntimeError(f"the access table of the section {section} names routes that are not there: {dead}")


def _check_reached(sections: Sequence[tuple[str, Pages | Api]]) -> None:
    """An earlier section's `/pipelines/{name}` would answer a later section's `/pipelines/new`, with its permission."""
    earlier: list[tuple[str, str, str, re.Pattern[str]]] = []
    for name, part in sections:
        own = _routes(part.routers)
        for method, path, _ in own:
            example = re.sub(r"{[^}]+}", "0", path)
            for other, by, pattern, matches in earlier:
                if by == method and matches.fullmatch(example):
                    raise RuntimeError(
                        f"{method} {path} of the section {name} is answered by {pattern} of the section {other}; "
                        "choose another path"
                    )
        earlier += [(name, method, path, regex) for method, path, regex in own]


def _routes(routers: Iterable[APIRouter]) -> list[tuple[str, str, re.Pattern[str]]]:
    """Method, path and what matches it. Raises RuntimeError for what is no plain route: nobody would look at it."""
    found: list[tuple[str, str, re.Pattern[str]]] = []
    for route in (route for router in routers for route in router.routes):
        if not isinstance(route, APIRoute):
            raise RuntimeError(f"{route} is no plain route of a section's own router")
        found += [(method, route.path, route.path_regex) for method in route.methods or ()]
    return found


def _is_below_api(path: str) -> bool:
    return path == "/api" or path.startswith("/api/")


def _twice(names: Iterable[str]) -> list[str]:
    return sorted(name for name, count in Counter(names).items() if count > 1)
