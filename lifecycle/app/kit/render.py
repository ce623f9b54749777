"""Making a page: a template, what every page shows, and the visitor's own badge."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, cast

from fastapi import Request
from jinja2 import ChoiceLoader, FileSystemLoader, PrefixLoader, StrictUndefined
from jinja2 import Environment as Jinja
from starlette.responses import HTMLResponse, Response

from lifecycle.app.kit import links, words
from lifecycle.app.kit.answers import take_notice
from lifecycle.app.kit.assets import Assets
from lifecycle.app.kit.csrf import masked
from lifecycle.app.kit.guard import Visitor
from lifecycle.app.kit.parts import parts_in
from lifecycle.app.kit.section import Asks, NavLink, Section
from lifecycle.domain.environment import Environment
from lifecycle.domain.roles import Role
from lifecycle.usecases.context import Context
from lifecycle.usecases.pending import pending_ids

THEMES = {"light", "dark"}
HERE = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Kit:
    """What the pages are made with. `dagster`: the path of Dagster's own UI behind this app, where it is."""

    templates: Jinja
    assets: Assets
    nav: tuple[NavLink, ...]
    dagster: str | None
    asks: Asks | None


@cache
def make_kit(sections: tuple[Section, ...], *, dagster: str | None = None) -> Kit:
    """Templates escape everything, and a name that is not there is an error. Compiled once per process."""
    assets = Assets((HERE / "static", *(one.static for one in sections if one.static is not None)))
    folders = {one.name: FileSystemLoader(one.templates) for one in sections if one.templates is not None}
    templates = Jinja(
        loader=ChoiceLoader([FileSystemLoader(HERE / "templates"), PrefixLoader(folders)]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    filters = cast("dict[str, Any]", templates.filters)  # pyright: ignore[reportUnknownMemberType]
    filters.update(words.FILTERS)
    shown = cast("dict[str, Any]", templates.globals)  # pyright: ignore[reportUnknownMemberType]
    shown.update(asset=assets.url, links=links, environments=tuple(Environment), Role=Role)
    asks = next((one.asks for one in sections if one.asks is not None), None)
    return Kit(templates, assets, tuple(link for one in sections for link in one.nav), dagster, asks)


def render(request: Request, template: str, *, status: int = 200, **values: Any) -> Response:
    """A whole page, or a part of one, for the visitor of this request."""
    kit = kit_of(request)
    visitor = cast("Visitor | None", getattr(request.state, "visitor", None))
    context = cast("Context", request.app.state.context)
    shown: dict[str, Any] = {
        "me": visitor,
        "csrf": masked(visitor.session) if visitor else "",
        "new_key": _new_key,
        "pending": _Once(lambda: _pending(context, visitor)),
        "theme": _theme(request),
        "path": request.url.path,
        "nav": kit.nav,
        "dagster": kit.dagster,
        "ask": kit.asks.address if kit.asks and visitor and kit.asks.shown(parts_in(request), visitor) else None,
        "now": context.clock.now(),
        "notice": None,
        **values,
    }
    answer = HTMLResponse("", status)
    if "hx-request" not in request.headers:
        shown["notice"] = take_notice(context, request, answer)
    text = kit.templates.get_template(template).render(shown)
    answer.body = answer.render(text)
    answer.headers["content-length"] = str(len(answer.body))
    answer.headers["Vary"] = "HX-Request"
    return answer


def kit_of(request: Request) -> Kit:
    return cast("Kit", request.app.state.kit)


class _Once:
    """A number that is counted when a template asks for it, and then kept."""

    def __init__(self, count: Callable[[], int]) -> None:
        self._count = count
        self._number: int | None = None

    def __call__(self) -> int:
        if self._number is None:
            self._number = self._count()
        return self._number


def _pending(context: Context, visitor: Visitor | None) -> int:
    if visitor is None:
        return 0
    with context.store.read() as view:
        return len(pending_ids(view, visitor.actor))


def _theme(request: Request) -> str:
    chosen = request.cookies.get("drls_theme", "")
    return chosen if chosen in THEMES else "auto"


def _new_key() -> str:
    """What makes two clicks on one button one change."""
    return secrets.token_urlsafe(16)
