"""The whole app as one: REST under /api, pages everywhere else."""

from __future__ import annotations

from collections.abc import Iterable

from starlette.types import Receive, Scope, Send

from lifecycle.app.kit.listed import check_sections
from lifecycle.app.kit.make_pages import make_pages
from lifecycle.app.kit.parts import Parts
from lifecycle.app.kit.rest.door import Door
from lifecycle.app.kit.rest.make_api import make_api
from lifecycle.app.kit.section import Section, connected_sections, parts_of
from lifecycle.app.kit.static_files import STATIC
from lifecycle.app.sections import SECTIONS
from lifecycle.usecases.context import Context


class Site:
    """Sends what is asked under /api to the REST app, everything else to the pages.

    They are two apps because they say no differently: one in problem+json, the other in HTML.
    """

    def __init__(self, context: Context, sections: tuple[Section, ...], parts: Parts) -> None:
        self.sections = sections
        self.api, self.pages = make_api(context, sections, parts), make_pages(context, sections, parts)
        large = {route: most for section in sections for route, most in section.api.large.items()}
        self._door = Door(self.api, self.api.state.access, large)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope.get("path", "")
        app = self._door if path == "/api" or path.startswith("/api/") else self.pages
        await app(scope, receive, send)


def create_site(
    context: Context, sections: Iterable[str | Section] = SECTIONS, *, connected: Iterable[object | None] = ()
) -> Site:
    """A site of these sections on a store and its ports; a section is there when what it needs is connected.

    Raises RuntimeError when a route has no entry in the access table of its section, or is not reached.
    """
    given = Parts(connected)
    shown = (STATIC, *connected_sections(sections, given))
    check_sections(shown)
    return Site(context, shown, parts_of(context, shown, given))
