"""A section of the site: its pages, its REST routes, its links in the bar, and what it needs.

A section is one folder with a module that has SECTION in it; a site is made of a list of their dotted names.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path

from fastapi import APIRouter

from lifecycle.app.kit.guard import Visitor
from lifecycle.app.kit.needs import PageNeed
from lifecycle.app.kit.parts import Parts
from lifecycle.domain.roles import Role
from lifecycle.usecases.context import Context
from lifecycle.verbs.table import Need

# A method and a path.
Route = tuple[str, str]


@dataclass(frozen=True)
class NavLink:
    """A link in the bar, for who has `role` anywhere. `badge` is a template that is included after the word."""

    href: str
    word: str
    role: Role = Role.VIEWER
    badge: str = ""

    def leads_to(self, path: str) -> bool:
        """Whether the page at this path is behind the link."""
        return path == self.href or (self.href != "/" and path.startswith(f"{self.href}/"))


@dataclass(frozen=True)
class Pages:
    """Routers of pages, and who may open each page."""

    routers: tuple[APIRouter, ...] = ()
    access: Mapping[Route, PageNeed] = field(default_factory=dict[Route, PageNeed])


@dataclass(frozen=True)
class Api:
    """Routers below /api, and who may call each route. `large`: the bytes that a route takes where it takes many."""

    routers: tuple[APIRouter, ...] = ()
    access: Mapping[Route, Need] = field(default_factory=dict[Route, Need])
    large: Mapping[Route, int] = field(default_factory=dict[Route, int])


@dataclass(frozen=True)
class Asks:
    """Where people ask about what a page shows: the address for a kind and a name, for visitors that `shown` names.

    A page's template says what it shows: `{% set shows = (kind, name) %}`.
    """

    address: Callable[[str, str], str]
    shown: Callable[[Parts, Visitor], bool]


def _nothing(_context: Context, _parts: Parts) -> Iterable[object]:
    return ()


@dataclass(frozen=True, eq=False)
class Section:
    """`needs` are types: without a thing of each, the site has neither the section's routes nor its links.

    `templates` and `static` are folders. A template's name begins with the section's, for example audit/audit.html;
    a static file's name is its own, and no two sections have the same. `keeps` makes what the section keeps between
    two requests, once for each site. `asks`: other sections' pages link to it.
    """

    name: str
    nav: tuple[NavLink, ...] = ()
    pages: Pages = Pages()
    api: Api = Api()
    needs: tuple[type[object], ...] = ()
    templates: Path | None = None
    static: Path | None = None
    keeps: Callable[[Context, Parts], Iterable[object]] = _nothing
    asks: Asks | None = None


def load_sections(names: Iterable[str | Section]) -> tuple[Section, ...]:
    """Sections by the dotted names of their modules, or as they are. Raises RuntimeError for a module without one."""
    return tuple(one if isinstance(one, Section) else _load(one) for one in names)


def connected_sections(names: Iterable[str | Section], connected: Parts) -> tuple[Section, ...]:
    """Those that have what they need."""
    return tuple(one for one in load_sections(names) if all(connected.has(kind) for kind in one.needs))


def parts_of(context: Context, sections: Iterable[Section], connected: Parts) -> Parts:
    """What is connected, and what each section keeps."""
    return Parts((*connected.things, *(one for section in sections for one in section.keeps(context, connected))))


def _load(name: str) -> Section:
    found = getattr(import_module(name), "SECTION", None)
    if not isinstance(found, Section):
        raise RuntimeError(f"{name} is no section: a section's module has SECTION = Section(…) in it")
    return found
